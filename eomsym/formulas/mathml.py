"""Presentation MathML, as browsers draw it without help."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any
from xml.sax.saxutils import escape

import sympy

from eomsym.exact.numbers import Exact
from eomsym.formulas.styles import TextStyle, pretty

__all__ = ["NAMESPACE", "MathMLStyle", "column", "equations", "formula", "mathml_of"]

NAMESPACE = "http://www.w3.org/1998/Math/MathML"


class MathMLStyle(TextStyle):
    """Presentation MathML, as browsers draw it without help."""

    minus, plus, nabla, comma = "<mo>−</mo>", "<mo>+</mo>", "<mo>∇</mo>", "<mo>,</mo>"
    name, equals = "mathml", "<mo>=</mo>"
    total, stacked = "<mo>∑</mo>", True

    def number(self, value: int) -> str:
        """Write a whole number."""
        return f"<mn>{value}</mn>"

    def symbol(self, name: str, index: str = "") -> str:
        """Write a name, with an index or without."""
        base, below = _parts(name)
        letter = f"<mi>{escape(pretty(base))}</mi>"
        below = " ".join(filter(None, (below, index)))
        return f"<msub>{letter}<mn>{escape(below)}</mn></msub>" if below else letter

    def power(self, base: str, exponent: int) -> str:
        """Write a power with a whole exponent."""
        return base if exponent == 1 else f"<msup><mrow>{base}</mrow><mn>{exponent}</mn></msup>"

    def fraction(self, above: str, below: str) -> str:
        """Write a quotient."""
        return f"<mfrac><mrow>{above}</mrow><mrow>{below}</mrow></mfrac>"

    def group(self, inner: str) -> str:
        """Put brackets around a sum."""
        return f"<mrow><mo>(</mo>{inner}<mo>)</mo></mrow>"

    def product(self, parts: Sequence[str]) -> str:
        """Write factors of a coefficient next to each other."""
        return "<mrow>" + "<mo>&#x2062;</mo>".join(parts) + "</mrow>"

    def join(self, left: str, right: str) -> str:
        """Write a coefficient or operator in front of what it acts on."""
        return f'{left}<mspace width="0.2em"/>{right}'

    def apply(self, hessian: str, vector: str, simple: bool) -> str:
        """Write a power of the Hessian in front of a vector."""
        return f"<mrow>{hessian}{vector}</mrow>"

    def derivative(self, order: int, index: str, arguments: Sequence[str]) -> str:
        """Write a higher derivative of the loss, applied to vectors."""
        inner = self.comma.join(arguments)
        operator = self.power(self.nabla, order) + self.symbol("L", index)
        return f"<mrow>{operator}<mo>[</mo>{inner}<mo>]</mo></mrow>"

    def norm(self, vector: str) -> str:
        """Write a squared norm."""
        return f"<msup><mrow><mo>‖</mo>{vector}<mo>‖</mo></mrow><mn>2</mn></msup>"

    def inner(self, left: str, right: str) -> str:
        """Write the inner product of two vectors."""
        return f"<mrow><msup>{left}<mi>T</mi></msup>{right}</mrow>"

    def partial(self, index: str, indices: Sequence[str]) -> str:
        """Write partial derivatives of the loss in index notation."""
        letters = "".join(f"<mi>{escape(i)}</mi>" for i in indices)
        return f"<msub>{self.symbol('L', index)}<mrow>{letters}</mrow></msub>"

    def indexed(self, name: str, indices: str) -> str:
        """Write an entry of a tableau."""
        return f"<msub><mi>{name}</mi><mi>{indices}</mi></msub>"

    def foreign(self, value: Exact) -> str:
        """Write anything that is not a rational function."""
        return mathml_of(value)

    def raised(self, base: str, exponent: Exact) -> str:
        """Write a power whose exponent may be a fraction."""
        if exponent == sympy.S.Half or exponent.is_Integer:
            return super().raised(base, exponent)
        return f"<msup><mrow>{base}</mrow><mrow>{mathml_of(exponent)}</mrow></msup>"

    def root(self, base: str) -> str:
        """Write a square root."""
        return f"<msqrt>{base}</msqrt>"

    def beside(self, parts: Sequence[str]) -> str:
        """Write a coefficient and what it multiplies next to each other."""
        return '<mspace width="0.2em"/>'.join(parts)

    def factors(self, parts: Sequence[str]) -> str:
        """Write factors of one coefficient next to each other."""
        return self.product(parts)

    def applied(self, name: str, arguments: Sequence[str]) -> str:
        """Write a linear map and its vectors."""
        return f"<mrow><mi>{name}</mi><mo>[</mo>{self.comma.join(arguments)}<mo>]</mo></mrow>"

    def called(self, name: str, argument: str) -> str:
        """Write the value of a function."""
        return f"<mrow><mi>{name}</mi><mo>&#x2061;</mo><mo>(</mo>{argument}<mo>)</mo></mrow>"

    def paired(self, left: str, right: str) -> str:
        """Write an inner product in brackets."""
        return f"<mrow><mo>⟨</mo>{left}<mo>,</mo>{right}<mo>⟩</mo></mrow>"

    def length(self, vector: str) -> str:
        """Write a norm."""
        return f"<mrow><mo>‖</mo>{vector}<mo>‖</mo></mrow>"

    def absolute(self, inner: str) -> str:
        """Write an absolute value."""
        return f"<mrow><mo>|</mo>{inner}<mo>|</mo></mrow>"

    def bare(self, inner: str) -> str:
        """Take the brackets off a factor that stands alone over or under a bar."""
        left, right = "<mrow><mo>(</mo>", "<mo>)</mo></mrow>"
        whole = inner.startswith(left) and inner.endswith(right) and inner.count("<mo>(</mo>") == 1
        return inner[len(left) : -len(right)] if whole else inner

    def nabla_of(self, order: int, index: str = "") -> str:
        """Write a derivative of the loss, applied to nothing."""
        return f"<mrow>{self.power(self.nabla, order)}{self.symbol('L', index)}</mrow>"

    def dot(self, name: str) -> str:
        """Write a time derivative."""
        return f"<mover>{self.symbol(name)}<mo>˙</mo></mover>"

    def equation(self, left: str, right: str) -> str:
        """Write an equation."""
        return f"<mrow>{left}<mo>=</mo>{right}</mrow>"

    def whole(self, formula: str) -> str:
        """Wrap a finished formula."""
        return f'<math xmlns="{NAMESPACE}" display="block"><mrow>{formula}</mrow></math>'

    def inline(self, formula: str) -> str:
        """Write a formula inside of a sentence."""
        return f'<math xmlns="{NAMESPACE}">{formula}</math>'


def _parts(name: str) -> tuple[str, str]:
    """A name and its index: ``beta1`` is ``beta`` and ``1``."""
    found = re.fullmatch(r"([A-Za-z]+)_?(\d+)", name)
    return (found[1], found[2]) if found else (name, "")


def mathml_of(value: Any) -> str:
    """Return an expression or matrix in presentation MathML, with entities that XML knows too, and true minus signs."""
    text = str(sympy.mathml(value, printer="presentation"))
    return text.replace("&InvisibleTimes;", "&#x2062;").replace("<mo>-</mo>", "<mo>−</mo>")


def equations(rows: Iterable[tuple[str, Sequence[str]]]) -> str:
    """Write equations for a page: each summand is a formula of its own, so that lines break between them.

    Parameters
    ----------
    rows : iterable of (str, sequence of str)
        MathML of the left side, which may be empty, and of the summands with their signs.

    Examples
    --------
    >>> equations([("<mi>a</mi>", ["<mi>b</mi>", "<mo>+</mo><mi>c</mi>"])]).count("<math")
    3
    """
    lines = []
    for left, parts in rows:
        head = [f"{left}<mo>=</mo>"] if left else []
        lines.append(" ".join(formula(part) for part in [*head, *(parts or ["<mn>0</mn>"])]))
    return "".join(f'<p class="sum" style="line-height:2.6">{line}</p>\n' for line in lines)


def formula(inner: str, block: bool = False) -> str:
    """Write a whole formula, in display style; a sign at its beginning stands between two things."""
    for sign in ("−", "+"):
        if inner.startswith(f"<mo>{sign}</mo>"):
            inner = f'<mo form="infix">{sign}</mo>' + inner.removeprefix(f"<mo>{sign}</mo>")
    display = 'display="block"' if block else 'displaystyle="true"'
    return f'<math xmlns="{NAMESPACE}" {display}><mrow>{inner}</mrow></math>'


#: An entry of more characters than this is an equation of its own on a page.
_LONG = 60


def column(name: str, variables: Sequence[Any], row: Sequence[Any]) -> str:
    """Write a vector for a page: as a column, or an equation for each entry where there is much to write.

    Parameters
    ----------
    name : str
        MathML of its name.
    variables : sequence of sympy.Symbol
        Names of its entries.
    row : sequence of sympy.Expr
        Its entries.
    """
    if all(len(str(x)) < _LONG for x in row):
        return formula(f"{name}<mo>=</mo>{mathml_of(sympy.Matrix(row))}", block=True)
    return equations(
        (f"<msub><mrow><mo>(</mo>{name}<mo>)</mo></mrow>{mathml_of(v)}</msub>", _summands(x))
        for v, x in zip(variables, row, strict=True)
    )


def _summands(expression: Any) -> list[str]:
    """MathML of an expression of one loss, in pieces between which a line may break."""
    parts = []
    for k, x in enumerate(expression.as_ordered_terms()):
        negative = x.could_extract_minus_sign()
        sign = "<mo>−</mo>" if negative else "<mo>+</mo>" if k else ""
        parts.append(sign + mathml_of(-x if negative else x))
    return parts
