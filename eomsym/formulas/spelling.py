"""How the formulas of optimisers are written: sums over H[…] and T[…], coefficients in front, in every style."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sympy

from eomsym.formulas.coefficients import spell, style_of
from eomsym.formulas.monomials import Dot, Hessian, Named, Third, gathered, is_parameter
from eomsym.formulas.styles import Style

__all__ = ["meanings", "note", "summands", "written"]


def written(expression: Any, format: str = "unicode", *, hessian: str = "H") -> str:
    """Write an elementwise expression.

    Parameters
    ----------
    expression : sympy.Expr
    format : {"unicode", "text", "latex", "mathml"}
    hessian : str
        Name of the Hessian; ``A`` is usual with weight decay.

    Examples
    --------
    >>> from eomsym.formulas.monomials import g
    >>> written(g * Hessian(g) / Dot(g, g) / 2 - 3 * g)
    '−3g + g/(2‖g‖²) H[g]'
    """
    return _Writer(style_of(format), hessian).total(expression)


def summands(expression: Any, format: str, *, hessian: str = "H") -> list[str]:
    """Write an elementwise expression as its summands, each but the first with its sign.

    Examples
    --------
    >>> from eomsym.formulas.monomials import g
    >>> summands(g * Hessian(g) - 3 * g, "text")
    ['-3*g', ' + g H[g]']
    """
    writer = _Writer(style_of(format), hessian)
    return writer.signed(writer.pieces(expression))


def meanings(terms: Sequence[Any], names: Sequence[Named], format: str, *, hessian: str = "H") -> list[tuple[str, str]]:
    """What the names and the derivatives in some terms mean: formulas, and words where the formula does not say it.

    Examples
    --------
    >>> from eomsym.formulas.monomials import g
    >>> meanings([Hessian(g)], [], "text")
    [('H[u]', 'Hessian times u')]
    """
    style = style_of(format)
    writer = _Writer(style, hessian)
    uses = [*terms, *(x.stands_for for x in names)]
    u, v = style.symbol("u"), style.symbol("v")
    forms = {
        Hessian: (style.applied(hessian, [u]), f"Hessian times {style.inline(u)}"),
        Third: (style.applied("T", [u, v]), f"third derivative on {style.inline(u + style.comma + v)}"),
        Dot: (style.paired(u, v), "inner product"),
    }
    told = [(f"{style.symbol(x.name)}{style.equals}{writer.total(x.stands_for)}", "") for x in names]
    return told + [said for kind, said in forms.items() if any(x.has(kind) for x in uses)]


def note(terms: Sequence[Any], names: Sequence[Named], format: str) -> str:
    """The line that says what the symbols are.

    Examples
    --------
    >>> from eomsym.formulas.monomials import g
    >>> note([Hessian(g)], [], "text")
    'with g gradient, H[u] Hessian times u; products, quotients and powers entry by entry'
    """
    style, found = style_of(format), meanings(terms, names, format)
    told = ", ".join(style.inline(formula) for formula, words in found if not words)
    words = [(style.symbol("g"), "gradient"), *((formula, words) for formula, words in found if words)]
    said = ", ".join(f"{style.inline(formula)} {meaning}" for formula, meaning in words)
    return f"with {told}{'; ' if told else ''}{said}; products, quotients and powers entry by entry"


class _Writer:
    def __init__(self, style: Style, hessian: str) -> None:
        self.style, self.hessian, self.one = style, hessian, style.number(1)

    # sums ---------------------------------------------------------------------------------------------------------

    def total(self, expression: Any) -> str:
        """A sum over products of derivatives, each with one coefficient."""
        return "".join(self.signed(self.pieces(expression))) or self.style.number(0)

    def pieces(self, expression: Any) -> list[tuple[bool, str]]:
        """Whether each summand is negative, and its text."""
        parts: dict[tuple[Any, ...], dict[Any, Any]] = {}
        for monomial, c in gathered(expression).items():
            derivatives = tuple(sorted((x for x in monomial if _derivative(x[0])), key=_order))
            others = frozenset(x for x in monomial if not _derivative(x[0]))
            row = parts.setdefault(derivatives, {})
            row[others] = row.get(others, 0) + c
        ordered = sorted(parts.items(), key=lambda item: (_weight(*item), [_order(x) for x in item[0]]))
        return [self.piece(coefficient, derivatives) for derivatives, coefficient in ordered]

    def signed(self, pieces: Iterable[tuple[bool, str]]) -> list[str]:
        """The summands with their signs, none in front of a positive first one."""
        out: list[str] = []
        for negative, text in pieces:
            first = self.style.minus.strip() * negative
            out.append(((self.style.minus if negative else self.style.plus) if out else first) + text)
        return out

    def joined(self, pieces: Iterable[tuple[bool, str]]) -> str:
        return "".join(self.signed(pieces)) or self.style.number(0)

    def piece(self, coefficient: dict[Any, Any], derivatives: tuple[Any, ...]) -> tuple[bool, str]:
        """One or more monomials times a product of derivatives."""
        above = [self.power(x, k) for x, k in derivatives]
        if len(coefficient) == 1:
            ((monomial, c),) = coefficient.items()
            negative, text = self.fraction(c, monomial)
            return negative, text if not above else self.style.beside([*([text] if text != self.one else []), *above])
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
        return negative, self.style.beside([*([front] if front != self.one else []), inner, *above])

    # products -----------------------------------------------------------------------------------------------------

    def fraction(self, c: Any, monomial: Iterable[tuple[Any, Any]]) -> tuple[bool, str]:
        """A coefficient times a monomial, as one quotient; and whether it is negative."""
        negative, top, bottom = self.coefficient(sympy.sympify(c))
        powers = sorted(monomial, key=_order)
        top += [self.power(x, k) for x, k in powers if k > 0]
        bottom += [self.power(x, -k) for x, k in powers if k < 0]
        if not bottom:
            return negative, self.product(top)
        if self.style.stacked:  # a fraction bar needs no brackets
            sides = (self.style.bare(side[0]) if len(side) == 1 else self.product(side) for side in (top, bottom))
            return negative, self.style.fraction(*sides)
        below = self.product(bottom)
        return negative, self.style.fraction(self.product(top), self.style.group(below) if len(bottom) > 1 else below)

    def product(self, parts: Sequence[str]) -> str:
        """Factors next to each other; one where there is none."""
        return parts[0] if len(parts) == 1 else self.style.factors(parts) if parts else self.one

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
            return self.style.raised(self.style.length(self.vector(x.args[0])), 2 * k)
        return self.style.raised(self.atom(x), k)

    # atoms --------------------------------------------------------------------------------------------------------

    def atom(self, x: Any) -> str:
        if isinstance(x, Hessian | Third):
            name = self.hessian if isinstance(x, Hessian) else "T"
            return self.style.applied(name, [self.vector(y) for y in x.args])
        if isinstance(x, Dot):
            return self.style.paired(*(self.vector(y) for y in x.args))
        if isinstance(x, sympy.Abs):
            return self.style.absolute(self.total(x.args[0]))
        if x.is_Symbol:
            return self.style.symbol(x.name)
        if x.is_Function and len(x.args) == 1:
            return self.style.called(x.func.__name__, self.total(x.args[0]))
        return self.style.group(self.style.foreign(x) if is_parameter(x) else self.total(x))

    def vector(self, x: Any) -> str:
        """An argument of a derivative: one quotient with its derivatives above."""
        ((monomial, c),) = gathered(x).items()
        negative, text = self.fraction(c, monomial)
        return self.style.minus.strip() * negative + text


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
