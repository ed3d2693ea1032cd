"""How a formula is spelled: one small class for each style, and all of them say the same thing.

A style turns parts that are already written into a larger part. MathML is in :mod:`eomsym.formulas.mathml`;
coefficients are written in :mod:`eomsym.formulas.coefficients`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

import sympy
from sympy.printing.pretty.pretty_symbology import pretty_symbol

from eomsym.exact.numbers import Exact

__all__ = ["LatexStyle", "Style", "TextStyle", "UnicodeStyle", "pretty"]

_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_LOWERED = str.maketrans("0123456789ijklmnprstuvx", "₀₁₂₃₄₅₆₇₈₉ᵢⱼₖₗₘₙₚᵣₛₜᵤᵥₓ")


@cache
def pretty(name: str) -> str:
    """A name as Unicode writes it: ``beta1`` is ``β₁``."""
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
    name, equals = "text", " = "
    #: Whether fractions have a bar, which stands in for brackets.
    stacked = False

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

    def raised(self, base: str, exponent: Exact) -> str:
        """Write a power whose exponent may be a fraction."""
        if exponent == sympy.S.Half:
            return self.root(base)
        return self.power(base, int(exponent)) if exponent.is_Integer else f"{base}^({exponent})"

    def root(self, base: str) -> str:
        """Write a square root."""
        return f"sqrt({base})"

    def beside(self, parts: Sequence[str]) -> str:
        """Write a coefficient and what it multiplies next to each other."""
        return " ".join(parts)

    def factors(self, parts: Sequence[str]) -> str:
        """Write factors of one coefficient next to each other, names of more than one letter kept apart."""
        return "*".join(parts)

    def applied(self, name: str, arguments: Sequence[str]) -> str:
        """Write a linear map and its vectors: ``H[u]``."""
        return f"{name}[{', '.join(arguments)}]"

    def called(self, name: str, argument: str) -> str:
        """Write the value of a function."""
        return f"{name}({argument})"

    def paired(self, left: str, right: str) -> str:
        """Write an inner product in brackets."""
        return f"<{left}, {right}>"

    def length(self, vector: str) -> str:
        """Write a norm."""
        return f"norm({vector})"

    def absolute(self, inner: str) -> str:
        """Write an absolute value."""
        return f"|{inner}|"

    def bare(self, inner: str) -> str:
        """Take the brackets off a factor that stands alone over or under a bar; without a bar they stay."""
        return inner

    def nabla_of(self, order: int, index: str = "") -> str:
        """Write a derivative of the loss, applied to nothing: the gradient, the Hessian, ..."""
        operator = "grad" if order == 1 else self.power(self.nabla, order)
        return f"{operator} {self.symbol('L', index)}"

    def dot(self, name: str) -> str:
        """Write a time derivative."""
        return f"{self.symbol(name)}'"

    def equation(self, left: str, right: str) -> str:
        """Write an equation."""
        return f"{left} = {right}"

    def inline(self, formula: str) -> str:
        """Write a formula inside of a sentence."""
        return formula

    def whole(self, formula: str) -> str:
        """Wrap a finished formula."""
        return formula


class UnicodeStyle(TextStyle):
    """Unicode: ``1/3 H²g + 1/12 ∇³L[g,g]``."""

    name, minus, nabla, comma, total = "unicode", " − ", "∇", ",", "Σ"

    def symbol(self, name: str, index: str = "") -> str:
        """Write a name, with an index or without."""
        return pretty(name) + index.translate(_LOWERED)

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

    def root(self, base: str) -> str:
        """Write a square root."""
        return f"√{base}"

    def factors(self, parts: Sequence[str]) -> str:
        """Write factors of one coefficient next to each other, names of more than one letter kept apart."""
        return ("·" if any(re.match("[A-Za-z]{2}", x) for x in parts) else "").join(parts)

    def paired(self, left: str, right: str) -> str:
        """Write an inner product in brackets."""
        return f"⟨{left}, {right}⟩"

    def length(self, vector: str) -> str:
        """Write a norm."""
        return f"‖{vector}‖"

    def nabla_of(self, order: int, index: str = "") -> str:
        """Write a derivative of the loss, applied to nothing."""
        return self.power(self.nabla, order) + self.symbol("L", index)


class LatexStyle(TextStyle):
    r"""LaTeX with amsmath and nothing else: ``\tfrac{1}{3} H^{2} g + \tfrac{1}{12} \nabla^{3} L[g, g]``."""

    name = "latex"
    nabla, total, stacked = r"\nabla", r"\sum", True

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

    def raised(self, base: str, exponent: Exact) -> str:
        """Write a power whose exponent may be a fraction."""
        if exponent == sympy.S.Half or exponent.is_Integer:
            return super().raised(base, exponent)
        return f"{base}^{{{sympy.latex(exponent)}}}"

    def root(self, base: str) -> str:
        """Write a square root."""
        return rf"\sqrt{{{base}}}"

    def factors(self, parts: Sequence[str]) -> str:
        """Write factors of one coefficient next to each other."""
        return " ".join(parts)

    def applied(self, name: str, arguments: Sequence[str]) -> str:
        """Write a linear map and its vectors."""
        inner = ", ".join(arguments)
        return rf"{name}\left[{inner}\right]" if r"\frac" in inner else f"{name}[{inner}]"

    def called(self, name: str, argument: str) -> str:
        """Write the value of a function."""
        known = name in {"exp", "tanh", "sin", "cos", "log", "cosh", "sinh"}
        return (rf"\{name}" if known else rf"\operatorname{{{name}}}") + rf"\left({argument}\right)"

    def paired(self, left: str, right: str) -> str:
        """Write an inner product in brackets."""
        return rf"\langle {left}, {right} \rangle"

    def length(self, vector: str) -> str:
        """Write a norm."""
        return rf"\lVert {vector} \rVert"

    def absolute(self, inner: str) -> str:
        """Write an absolute value."""
        return rf"\left|{inner}\right|"

    def bare(self, inner: str) -> str:
        """Take the brackets off a factor that stands alone over or under a bar."""
        left, right = r"\left(", r"\right)"
        whole = inner.startswith(left) and inner.endswith(right) and inner.count(left) == 1
        return inner[len(left) : -len(right)] if whole else inner

    def nabla_of(self, order: int, index: str = "") -> str:
        """Write a derivative of the loss, applied to nothing."""
        return f"{self.power(self.nabla, order)} {self.symbol('L', index)}"

    def dot(self, name: str) -> str:
        """Write a time derivative."""
        return rf"\dot{{{self.symbol(name)}}}"

    def inline(self, formula: str) -> str:
        """Write a formula inside of a sentence."""
        return f"${formula}$"


#: Any of them.
Style = TextStyle
