"""How a formula is spelled: one small class for each style, and all of them say the same thing.

A style turns parts that are already written into a larger part. :func:`spell` writes a coefficient.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any
from xml.sax.saxutils import escape

import sympy
from sympy.printing.pretty.pretty_symbology import pretty_symbol

from eomsym.errors import InputError
from eomsym.exact.numbers import Exact

__all__ = ["LatexStyle", "MathMLStyle", "Style", "TextStyle", "UnicodeStyle", "mathml_of", "spell", "style_of"]

_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_LOWERED = str.maketrans("0123456789ijklmnprstuvx", "₀₁₂₃₄₅₆₇₈₉ᵢⱼₖₗₘₙₚᵣₛₜᵤᵥₓ")


@cache
def _pretty(name: str) -> str:
    return str(pretty_symbol(name))


@cache
def _latex(name: str) -> str:
    return str(sympy.latex(sympy.Symbol(name)))


class TextStyle:
    """Plain ASCII: ``1/3 H^2 g + 1/12 D^3 L[g, g]``.

    Examples
    --------
    >>> TextStyle().derivative(3, "", ["g", "Hg"])
    'D^3 L[g, Hg]'
    """

    minus, plus, nabla, comma, total = " - ", " + ", "D", ", ", "sum"

    def number(self, value: int) -> str:
        """Write a whole number."""
        return str(value)

    def symbol(self, name: str, index: str = "") -> str:
        """Write a name, with an index or without."""
        return f"{name}_{index}" if index else name

    def power(self, base: str, exponent: int) -> str:
        """Write a power with a whole exponent."""
        return base if exponent == 1 else f"{base}^{exponent}"

    def fraction(self, above: str, below: str) -> str:
        """Write a quotient."""
        return f"{above}/{below}"

    def group(self, inner: str) -> str:
        """Put brackets around a sum."""
        return f"({inner})"

    def product(self, parts: Sequence[str]) -> str:
        """Write factors of a coefficient next to each other."""
        return "*".join(parts)

    def join(self, left: str, right: str) -> str:
        """Write a coefficient or operator in front of what it acts on."""
        return f"{left} {right}"

    def apply(self, hessian: str, vector: str, simple: bool) -> str:
        """Write a power of the Hessian in front of a vector."""
        return hessian + vector if simple and "^" not in hessian else f"{hessian} {vector}"

    def derivative(self, order: int, index: str, arguments: Sequence[str]) -> str:
        """Write a higher derivative of the loss, applied to vectors."""
        return f"{self.power(self.nabla, order)} {self.symbol('L', index)}[{self.comma.join(arguments)}]"

    def norm(self, vector: str) -> str:
        """Write a squared norm."""
        return f"|{vector}|^2"

    def inner(self, left: str, right: str) -> str:
        """Write the inner product of two vectors."""
        return f"{left}.{right}"

    def partial(self, index: str, indices: Sequence[str]) -> str:
        """Write partial derivatives of the loss in index notation."""
        return f"{self.symbol('L', index)}_{{{' '.join(indices)}}}"

    def indexed(self, name: str, indices: str) -> str:
        """Write an entry of a tableau."""
        return f"{name}_{indices}"

    def foreign(self, value: Exact) -> str:
        """Write anything that is not a rational function."""
        return str(value)

    def equation(self, left: str, right: str) -> str:
        """Write an equation."""
        return f"{left} = {right}"

    def whole(self, formula: str) -> str:
        """Wrap a finished formula."""
        return formula


class UnicodeStyle(TextStyle):
    """Unicode: ``1/3 H²g + 1/12 ∇³L[g,g]``."""

    minus, nabla, comma, total = " − ", "∇", ",", "Σ"

    def symbol(self, name: str, index: str = "") -> str:
        """Write a name, with an index or without."""
        return _pretty(name) + index.translate(_LOWERED)

    def power(self, base: str, exponent: int) -> str:
        """Write a power with a whole exponent."""
        return base if exponent == 1 else base + str(exponent).translate(_RAISED)

    def product(self, parts: Sequence[str]) -> str:
        """Write factors of a coefficient next to each other."""
        return "".join(parts)

    def apply(self, hessian: str, vector: str, simple: bool) -> str:
        """Write a power of the Hessian in front of a vector."""
        return hessian + vector if simple else f"{hessian} {vector}"

    def derivative(self, order: int, index: str, arguments: Sequence[str]) -> str:
        """Write a higher derivative of the loss, applied to vectors."""
        return f"{self.power(self.nabla, order)}{self.symbol('L', index)}[{self.comma.join(arguments)}]"

    def indexed(self, name: str, indices: str) -> str:
        """Write an entry of a tableau."""
        return name + indices.translate(_LOWERED)

    def foreign(self, value: Exact) -> str:
        """Write anything that is not a rational function."""
        return re.sub(r"sqrt\((\w+)\)", r"√\1", str(value))

    def norm(self, vector: str) -> str:
        """Write a squared norm."""
        return f"‖{vector}‖²"

    def inner(self, left: str, right: str) -> str:
        """Write the inner product of two vectors."""
        return f"{left}ᵀ{right}"


class LatexStyle(TextStyle):
    r"""LaTeX with amsmath and nothing else: ``\tfrac{1}{3} H^{2} g + \tfrac{1}{12} \nabla^{3} L[g, g]``."""

    nabla, total = r"\nabla", r"\sum"

    def symbol(self, name: str, index: str = "") -> str:
        """Write a name, with an index or without."""
        written = _latex(name)
        return f"{written}_{{{index}}}" if index else written

    def power(self, base: str, exponent: int) -> str:
        """Write a power with a whole exponent."""
        return base if exponent == 1 else f"{base}^{{{exponent}}}"

    def fraction(self, above: str, below: str) -> str:
        """Write a quotient, small if it is one of numbers."""
        return rf"\{'tfrac' if above.isdigit() and below.isdigit() else 'frac'}{{{above}}}{{{below}}}"

    def group(self, inner: str) -> str:
        """Put brackets around a sum."""
        return rf"\left({inner}\right)"

    def product(self, parts: Sequence[str]) -> str:
        """Write factors of a coefficient next to each other."""
        return " ".join(parts)

    def apply(self, hessian: str, vector: str, simple: bool) -> str:
        """Write a power of the Hessian in front of a vector."""
        return f"{hessian} {vector}"

    def norm(self, vector: str) -> str:
        """Write a squared norm."""
        return rf"\lVert {vector} \rVert^{{2}}"

    def inner(self, left: str, right: str) -> str:
        """Write the inner product of two vectors."""
        return rf"{left}^{{\mathsf{{T}}}} {right}"

    def indexed(self, name: str, indices: str) -> str:
        """Write an entry of a tableau."""
        return f"{name}_{{{' '.join(indices)}}}"

    def foreign(self, value: Exact) -> str:
        """Write anything that is not a rational function."""
        return str(sympy.latex(value))

    def equation(self, left: str, right: str) -> str:
        """Write an equation, with the mark for alignment."""
        return f"{left} &= {right}"


class MathMLStyle(TextStyle):
    """Presentation MathML, as browsers draw it without help."""

    minus, plus, nabla, comma = "<mo>−</mo>", "<mo>+</mo>", "<mo>∇</mo>", "<mo>,</mo>"
    total = "<mo>∑</mo>"

    def number(self, value: int) -> str:
        """Write a whole number."""
        return f"<mn>{value}</mn>"

    def symbol(self, name: str, index: str = "") -> str:
        """Write a name, with an index or without."""
        letter = f"<mi>{escape(_pretty(name))}</mi>"
        return f"<msub>{letter}<mn>{escape(index)}</mn></msub>" if index else letter

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

    def equation(self, left: str, right: str) -> str:
        """Write an equation."""
        return f"<mrow>{left}<mo>=</mo>{right}</mrow>"

    def whole(self, formula: str) -> str:
        """Wrap a finished formula."""
        return f'<math xmlns="http://www.w3.org/1998/Math/MathML" display="block"><mrow>{formula}</mrow></math>'


def mathml_of(value: Any) -> str:
    """Return an expression or matrix in presentation MathML, with entities that XML knows too."""
    return str(sympy.mathml(value, printer="presentation")).replace("&InvisibleTimes;", "&#x2062;")


Style = TextStyle
_STYLES = {"text": TextStyle(), "unicode": UnicodeStyle(), "latex": LatexStyle(), "mathml": MathMLStyle()}


def style_of(name: str) -> Style:
    """Return a style by its name: ``text``, ``unicode``, ``latex`` or ``mathml``.

    Raises
    ------
    InputError
        If there is no such style.

    Examples
    --------
    >>> style_of("postscript")
    Traceback (most recent call last):
    ...
    eomsym.errors.InputError: unknown format 'postscript'; expected text, unicode, latex or mathml
    """
    if name not in _STYLES:
        raise InputError(f"unknown format {name!r}; expected text, unicode, latex or mathml")
    return _STYLES[name]


def spell(value: Exact, style: Style) -> tuple[bool, str]:
    """Write a coefficient, without its sign; an empty text stands for one.

    Polynomials come with ascending powers and a positive first term, so momentum reads ``(1−β)⁵`` and not
    ``(β−1)⁵``.

    Returns
    -------
    negative : bool
    text : str

    Examples
    --------
    >>> beta = sympy.Symbol("beta")
    >>> spell((1 + beta) / (2 * (beta - 1) ** 3), style_of("unicode"))
    (True, '(1+β)/(2(1−β)³)')
    """
    if value.is_Rational:
        return bool(value < 0), _ratio(abs(int(value.p)), int(value.q), [], [], style)
    if not value.is_rational_function(*value.free_symbols) or not value.free_symbols:
        return False, style.group(style.foreign(value))
    above, below = sympy.fraction(sympy.together(value))
    sign, ratio = 1, sympy.S.One
    sides: list[list[tuple[str, bool, int]]] = []
    for side, expression in ((1, above), (-1, below)):
        content, factors = sympy.factor_list(expression)
        ratio *= content**side
        written = []
        for polynomial, exponent in factors:
            poly = sympy.Poly(polynomial)
            terms = sorted(poly.terms(), key=lambda term: (sum(term[0]), [-x for x in term[0]]))
            if terms[0][1] < 0:
                sign *= (-1) ** exponent
                terms = [(powers, -x) for powers, x in terms]
            base = _polynomial(terms, poly.gens, style)
            written.append((base, len(terms) > 1, exponent))
        sides.append(written)
    negative = bool(ratio * sign < 0)
    return negative, _ratio(abs(int(ratio.p)), int(ratio.q), sides[0], sides[1], style)


def _ratio(p: int, q: int, above: list[tuple[str, bool, int]], below: list[tuple[str, bool, int]], style: Style) -> str:
    """Write ``p above / (q below)``; factors come as (base, whether it is a sum, exponent)."""
    if p == q == 1 and not above and not below:
        return ""
    stacked = isinstance(style, LatexStyle | MathMLStyle)  # a fraction bar needs no brackets

    def side(number: int, factors: list[tuple[str, bool, int]]) -> tuple[list[str], str]:
        parts = [style.number(number)] if number != 1 or not factors else []
        if stacked and len(parts) + len(factors) == 1 and factors and factors[0][2] == 1 and (below or q != 1):
            return parts, factors[0][0]
        parts += [style.power(style.group(base) if is_sum else base, k) for base, is_sum, k in factors]
        return parts, style.product(parts) if len(parts) > 1 else parts[0]

    top = side(p, above)[1]
    if q == 1 and not below:
        return top
    parts, bottom = side(q, below)
    return style.fraction(top, style.group(bottom) if len(parts) > 1 and not stacked else bottom)


def _polynomial(terms: list[Any], symbols: Sequence[Any], style: Style) -> str:
    out = ""
    for powers, x in terms:
        negative, number = spell(sympy.sympify(x), style)
        names = [style.symbol(s.name) if s.is_Symbol else style.group(style.foreign(s)) for s in symbols]
        factors = [style.power(name, k) for name, k in zip(names, powers, strict=True) if k]
        parts = ([number] if number else []) + factors or [style.number(1)]
        if out or negative:
            out += (style.minus if negative else style.plus).strip()
        out += style.product(parts)
    return out
