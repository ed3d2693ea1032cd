"""How the formulas of optimisers are written: sums over H[…] and T[…], coefficients in front, in every style."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import sympy

from eomsym.formulas.monomials import Dot, Hessian, Named, Third, gathered, is_parameter
from eomsym.formulas.styles import LatexStyle, Style, UnicodeStyle, spell, style_of

__all__ = ["note", "written"]


def written(expression: Any, format: str = "unicode") -> str:
    """Write an elementwise expression.

    Parameters
    ----------
    expression : sympy.Expr
    format : {"unicode", "text", "latex"}

    Examples
    --------
    >>> from eomsym.formulas.monomials import g
    >>> written(g * Hessian(g) / Dot(g, g) / 2 - 3 * g)
    '−3g + g/(2‖g‖²) H[g]'
    """
    return _Writer(style_of(format)).total(expression)


def note(terms: Sequence[Any], names: Sequence[Named], format: str) -> str:
    """The line that says what the symbols are.

    Examples
    --------
    >>> from eomsym.formulas.monomials import g
    >>> note([Hessian(g)], [], "text")
    'with g gradient, H[u] Hessian times u; products, quotients and powers entry by entry'
    """
    writer = _Writer(style_of(format))
    uses = [*terms, *(x.stands_for for x in names)]
    mark = "$" if writer.latex else ""
    meanings = {
        Hessian: (writer.form("H", ["u"]), f"Hessian times {mark}u{mark}"),
        Third: (writer.form("T", ["u", "v"]), f"third derivative on {mark}u, v{mark}"),
        Dot: (writer.inner("u", "v"), "inner product"),
    }
    words = [("g", "gradient"), *(said for kind, said in meanings.items() if any(x.has(kind) for x in uses))]
    told = ", ".join(f"{mark}{writer.style.symbol(x.name)} = {writer.total(x.stands_for)}{mark}" for x in names)
    said = ", ".join(f"{mark}{sign}{mark} {meaning}" for sign, meaning in words)
    text = f"with {told}{'; ' if told else ''}{said}; products, quotients and powers entry by entry"
    return rf"&\text{{{text}}}" if writer.latex else text


class _Writer:
    def __init__(self, style: Style) -> None:
        self.style = style
        self.latex, self.unicode = isinstance(style, LatexStyle), isinstance(style, UnicodeStyle)

    # sums ---------------------------------------------------------------------------------------------------------

    def total(self, expression: Any) -> str:
        """A sum over products of derivatives, each with one coefficient."""
        parts: dict[tuple[Any, ...], dict[Any, Any]] = {}
        for monomial, c in gathered(expression).items():
            derivatives = tuple(sorted((x for x in monomial if _derivative(x[0])), key=_order))
            others = frozenset(x for x in monomial if not _derivative(x[0]))
            row = parts.setdefault(derivatives, {})
            row[others] = row.get(others, 0) + c
        ordered = sorted(parts.items(), key=lambda item: (_weight(*item), [_order(x) for x in item[0]]))
        return self.joined(self.piece(coefficient, derivatives) for derivatives, coefficient in ordered)

    def joined(self, pieces: Iterable[tuple[bool, str]]) -> str:
        out = ""
        for negative, text in pieces:
            sign = (self.style.minus if negative else self.style.plus) if out else self.style.minus.strip() * negative
            out += sign + text
        return out or self.style.number(0)

    def piece(self, coefficient: dict[Any, Any], derivatives: tuple[Any, ...]) -> tuple[bool, str]:
        """One or more monomials times a product of derivatives."""
        above = [self.power(x, k) for x, k in derivatives]
        if len(coefficient) == 1:
            ((monomial, c),) = coefficient.items()
            negative, text = self.fraction(c, monomial)
            return negative, text if not above else " ".join([*([text] if text != "1" else []), *above])
        common = _common(list(coefficient))
        rows = sorted(
            ((frozenset(_over(monomial, common)), c) for monomial, c in coefficient.items()),
            key=lambda row: (sum(abs(k) for _, k in row[0]), sorted(map(_order, row[0]))),
        )
        pieces = [self.fraction(sympy.factor(c), monomial) for monomial, c in rows]
        negative = pieces[0][0]
        if not above and not common:
            return False, self.joined(pieces)
        inner = self.style.group(self.joined((negative ^ sign, text) for sign, text in pieces))
        front = self.fraction(sympy.S.One, frozenset(common.items()))[1]
        return negative, " ".join([*([front] if front != "1" else []), inner, *above])

    # products -----------------------------------------------------------------------------------------------------

    def fraction(self, c: Any, monomial: Iterable[tuple[Any, Any]]) -> tuple[bool, str]:
        """A coefficient times a monomial, as one quotient; and whether it is negative."""
        negative, top, bottom = self.coefficient(sympy.sympify(c))
        powers = sorted(monomial, key=_order)
        top += [self.power(x, k) for x, k in powers if k > 0]
        bottom += [self.power(x, -k) for x, k in powers if k < 0]
        above, below = self.product(top) or "1", self.product(bottom)
        if not below:
            return negative, above
        if self.latex:  # a fraction bar needs no brackets
            return negative, self.style.fraction(
                *(_bare(side[0]) if len(side) == 1 else self.product(side) or "1" for side in (top, bottom))
            )
        return negative, self.style.fraction(above, self.style.group(below) if len(bottom) > 1 else below)

    def product(self, parts: Sequence[str]) -> str:
        """Factors next to each other; names of more than one letter get a mark between."""
        if self.latex:
            return " ".join(parts)
        return ("*" if not self.unicode else "·" if any(re.match("[A-Za-z]{2}", x) for x in parts) else "").join(parts)

    def coefficient(self, c: Any) -> tuple[bool, list[str], list[str]]:
        """Sign, factors above and factors below of a number or of a function of the parameters."""
        if not c.is_Rational and (not c.free_symbols or not c.is_rational_function(*c.free_symbols)):
            return False, [self.style.group(self.style.foreign(c)) if c.is_Add else self.style.foreign(c)], []
        negative, sides = False, []
        for side in sympy.fraction(sympy.factor(c)):
            number, factors = sympy.factor_list(side)
            texts = []
            for base, k in factors:
                minus, text = spell(base, self.style)
                negative ^= minus and bool(k % 2)
                texts.append(self.style.power(text, k))
            negative ^= bool(number < 0)
            sides.append((abs(number), texts))
        ratio = sides[0][0] / sides[1][0]
        heads = [[self.style.number(x)] if x != 1 else [] for x in (int(ratio.p), int(ratio.q))]
        return negative, heads[0] + sides[0][1], heads[1] + sides[1][1]

    def power(self, x: Any, k: Any) -> str:
        """A power of an atom; an exponent may be a fraction."""
        if isinstance(x, Dot) and x.args[0] == x.args[1]:
            return self.raised(self.norm(x.args[0]), 2 * k)
        return self.raised(self.atom(x), k)

    def raised(self, base: str, k: Any) -> str:
        if k == sympy.S.Half:
            return rf"\sqrt{{{base}}}" if self.latex else f"√{base}" if self.unicode else f"sqrt({base})"
        if k.is_Integer:
            return self.style.power(base, int(k))
        return f"{base}^{{{sympy.latex(k)}}}" if self.latex else f"{base}^({k})"

    # atoms --------------------------------------------------------------------------------------------------------

    def atom(self, x: Any) -> str:
        if isinstance(x, Hessian | Third):
            return self.form("H" if isinstance(x, Hessian) else "T", [self.vector(y) for y in x.args])
        if isinstance(x, Dot):
            return self.inner(*(self.vector(y) for y in x.args))
        if isinstance(x, sympy.Abs):
            return rf"\left|{self.total(x.args[0])}\right|" if self.latex else f"|{self.total(x.args[0])}|"
        if x.is_Symbol:
            return self.style.symbol(x.name)
        if x.is_Function and len(x.args) == 1:
            inner = self.total(x.args[0])
            if not self.latex:
                return f"{x.func.__name__}({inner})"
            name = x.func.__name__
            known = name in {"exp", "tanh", "sin", "cos", "log", "cosh", "sinh"}
            return (rf"\{name}" if known else rf"\operatorname{{{name}}}") + rf"\left({inner}\right)"
        text = self.style.foreign(x) if is_parameter(x) else self.total(x)
        return self.style.group(text)

    def vector(self, x: Any) -> str:
        """An argument of a derivative: one quotient with its derivatives above."""
        ((monomial, c),) = gathered(x).items()
        negative, text = self.fraction(c, monomial)
        return self.style.minus.strip() * negative + text

    def form(self, name: str, arguments: Sequence[str]) -> str:
        inner = ", ".join(arguments)
        return rf"{name}\left[{inner}\right]" if r"\frac" in inner else f"{name}[{inner}]"

    def inner(self, left: str, right: str) -> str:
        if self.latex:
            return rf"\langle {left}, {right} \rangle"
        return f"⟨{left}, {right}⟩" if self.unicode else f"<{left}, {right}>"

    def norm(self, x: Any) -> str:
        inner = self.vector(x)
        return rf"\lVert {inner} \rVert" if self.latex else f"‖{inner}‖" if self.unicode else f"norm({inner})"


def _derivative(x: Any) -> bool:
    return isinstance(x, Hessian | Third)


def _weight(derivatives: Iterable[Any], coefficient: Iterable[Any]) -> int:
    """How much stands in derivatives and inner products: short pieces come first."""
    inner = [(x, k) for monomial in coefficient for x, k in monomial if isinstance(x, Dot) and x.has(Hessian, Third)]
    return sum(int(abs(k)) * len(list(sympy.preorder_traversal(x))) for x, k in [*derivatives, *inner])


def _order(power: tuple[Any, Any]) -> tuple[Any, ...]:
    x, k = power
    return (_derivative(x), isinstance(x, Dot), str(x), k)


def _common(monomials: Sequence[Any]) -> dict[Any, Any]:
    """What divides all of them: of each atom that all have with one sign, the exponent next to 0."""
    rows = [dict(monomial) for monomial in monomials]
    found = {}
    for x in rows[0]:
        powers = [row.get(x, sympy.S.Zero) for row in rows]
        if all(k > 0 for k in powers) or all(k < 0 for k in powers):
            found[x] = min(powers, key=abs)
    return found


def _over(monomial: Iterable[tuple[Any, Any]], common: dict[Any, Any]) -> list[tuple[Any, Any]]:
    """A monomial without the common factor."""
    return [(x, k - common.get(x, 0)) for x, k in monomial if k != common.get(x, 0)]


def _bare(text: str) -> str:
    """Without the brackets around one sum."""
    left, right = r"\left(", r"\right)"
    whole = text.startswith(left) and text.endswith(right) and text.count(left) == 1
    return text[len(left) : -len(right)] if whole else text
