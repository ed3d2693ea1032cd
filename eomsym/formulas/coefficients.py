"""How a coefficient is written: a rational function of the parameters of a method, in every style."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy

from eomsym import checks
from eomsym.errors import InputError
from eomsym.exact.numbers import Exact
from eomsym.formulas.mathml import MathMLStyle
from eomsym.formulas.styles import LatexStyle, Style, TextStyle, UnicodeStyle

__all__ = ["spell", "style_of"]

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
    if not isinstance(name, str) or name not in _STYLES:
        raise InputError(f"unknown format {checks.shown(name)}; expected text, unicode, latex or mathml")
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

    def side(number: int, factors: list[tuple[str, bool, int]]) -> tuple[list[str], str]:
        parts = [style.number(number)] if number != 1 or not factors else []
        if style.stacked and len(parts) + len(factors) == 1 and factors and factors[0][2] == 1 and (below or q != 1):
            return parts, factors[0][0]
        parts += [style.power(style.group(base) if is_sum else base, k) for base, is_sum, k in factors]
        return parts, style.product(parts) if len(parts) > 1 else parts[0]

    top = side(p, above)[1]
    if q == 1 and not below:
        return top
    parts, bottom = side(q, below)
    return style.fraction(top, style.group(bottom) if len(parts) > 1 and not style.stacked else bottom)


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
