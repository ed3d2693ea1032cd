"""Rings of polynomials with a generator for each number that is not rational.

The machine of :mod:`eomsym.taylor.primitives` needs ``+``, ``*`` and division by integers. Everything else, the value
of a function at the start of a table, becomes a generator, so that all coefficients are polynomials with rational
coefficients: sparse polynomial arithmetic is far faster than symbolic expressions. python-flint does it where it is
installed, sympy's sparse polynomials otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import sympy

from eomsym.errors import ExpressionError
from eomsym.losses.functions import FUNCTIONS
from eomsym.losses.program import Number, exact

__all__ = ["PolynomialRing"]


def _factored(terms: Sequence[Any]) -> Any:
    """A sum as a factored fraction. In the field of fractions, which is a hundred times faster than on expressions."""
    symbols = sorted({s for term in terms for s in term.free_symbols}, key=str)
    if not symbols:
        return sympy.Add(*terms)
    field = sympy.QQ.frac_field(*symbols)
    try:
        total = sum((field.from_sympy(term) for term in terms), field.zero)
    except (sympy.CoercionFailed, ValueError):  # pi, or the square root of a symbol
        return sympy.factor(sympy.Add(*terms))
    return sympy.factor(total.numer.as_expr()) / sympy.factor(total.denom.as_expr())


class PolynomialRing:
    """Polynomials over the rationals in some variables, and in generators made on demand.

    Parameters
    ----------
    variables : sequence of sympy.Symbol
    spare : int
        How many generators can be made.
    use_flint : bool, optional
        Force python-flint or sympy; by default flint where it is installed.

    Attributes
    ----------
    generators : list of sympy.Symbol
        Symbols of the variables, then of the generators.
    meaning : dict
        Generator symbol to the expression that it stands for, in earlier generators.
    reciprocals : dict
        Index of a generator to the polynomial whose reciprocal it is.
    """

    def __init__(self, variables: Sequence[sympy.Symbol], spare: int, use_flint: bool | None = None) -> None:
        self.variables = tuple(variables)
        made = [sympy.Dummy(f"g{i}") for i in range(spare)]
        self.generators: list[Any] = [*self.variables, *made]
        self.meaning: dict[Any, Any] = {}
        self.reciprocals: dict[int, Any] = {}
        self._used = len(self.variables)
        self._known: dict[Any, Any] = {}
        names = [f"x{i}" for i in range(len(self.generators))]
        try:
            if use_flint is False:
                raise ImportError
            import flint
        except ImportError:
            self.flint = False
            domain = sympy.QQ
            _, *self._elements = sympy.ring(names, domain)
            self._rational: Callable[[int, int], Any] = domain
            self.zero = self._elements[0] * 0
        else:
            self.flint = True
            context = flint.fmpq_mpoly_ctx.get(tuple(names), "degrevlex")
            self._elements = list(context.gens())
            self._rational = flint.fmpq
            self.zero = context.from_dict({})

    # making elements ----------------------------------------------------------------------------------------------

    def __call__(self, number: Number) -> Any:
        """The element of an exact number; one that is not rational gets a generator."""
        number = exact(number)
        if isinstance(number, int):
            return self._rational(number, 1)
        if isinstance(number, Fraction):
            return self._rational(number.numerator, number.denominator)
        return self.generator(number)

    def element(self, variable: int) -> Any:
        """The variable as an element."""
        return self._elements[variable]

    def generator(self, meaning: Any) -> Any:
        """The generator that stands for an expression (the same one for the same expression)."""
        if meaning not in self._known:
            place = self._used
            self._used += 1
            self._known[meaning] = self._elements[place]
            self.meaning[self.generators[place]] = meaning
        return self._known[meaning]

    def value(self, name: str, x: Any, exponent: Any) -> Any:
        """The value of a function: a generator."""
        argument = self.expression(x)
        if name == "power":
            return self._made(argument ** self.expression(exponent))
        result = self._made(FUNCTIONS[name].symbol(argument))
        if name == "reciprocal":
            self._remember(result, x)
        return result

    def _made(self, meaning: Any) -> Any:
        if meaning.has(sympy.nan, sympy.oo, -sympy.oo, sympy.zoo):
            raise ExpressionError("the loss is not defined: a function is taken at a point where it is infinite")
        if meaning.is_Rational:
            return self._rational(int(meaning.p), int(meaning.q))
        if meaning in self.generators:
            return self._elements[self.generators.index(meaning)]
        return self.generator(meaning)

    def _remember(self, reciprocal: Any, argument: Any) -> None:
        for place, element in enumerate(self._elements):
            if place >= len(self.variables) and element == reciprocal:
                self.reciprocals[place] = argument

    # reading elements ---------------------------------------------------------------------------------------------

    def monomials(self, element: Any) -> Iterator[tuple[tuple[int, ...], sympy.Rational]]:
        """Exponents and coefficients."""
        if not hasattr(element, "terms"):
            if element != 0:
                yield (0,) * len(self.generators), self._sympy(element)
            return
        for exponents, coefficient in element.terms():
            yield tuple(int(e) for e in exponents), self._sympy(coefficient)

    @staticmethod
    def _sympy(number: Any) -> sympy.Rational:
        if hasattr(number, "p") and not callable(number.p):
            return sympy.Rational(int(number.p), int(number.q))
        return sympy.Rational(int(number.numerator), int(number.denominator))

    def expression(self, element: Any) -> Any:
        """The sympy expression of an element, in the generators' symbols."""
        terms = []
        for exponents, coefficient in self.monomials(element):
            powers = [g**e for g, e in zip(self.generators, exponents, strict=True) if e]
            terms.append(sympy.Mul(coefficient, *powers))
        return sympy.Add(*terms)

    def readable(self, element: Any) -> Any:
        """The expression of an element in the user's own functions and symbols, over common denominators."""
        numerator, denominator = self._over_denominators(element)
        numbers = self._constants()
        collected: dict[tuple[int, ...], list[Any]] = {}
        for exponents, coefficient in self.monomials(numerator):
            kept = tuple(0 if place in numbers else e for place, e in enumerate(exponents))
            factor = sympy.Mul(coefficient, *(numbers[p] ** e for p, e in enumerate(exponents) if e and p in numbers))
            collected.setdefault(kept, []).append(factor)
        terms = []
        for exponents, factors in collected.items():
            coefficient = _factored(factors)
            powers = [self.resolved(p) ** e for p, e in enumerate(exponents) if e]
            terms.append(sympy.Mul(coefficient, *powers))
        below = sympy.Mul(*(self.translated(x) ** e for x, e in denominator))
        return sympy.Add(*terms) / below

    def _constants(self) -> dict[int, Any]:
        """Generators that are constants: pi, or a method's symbol."""
        free = set(self.variables)
        return {
            place: self.resolved(place)
            for place in range(len(self.variables), self._used)
            if not (self.resolved(place).free_symbols & free)
        }

    def _over_denominators(self, element: Any) -> tuple[Any, list[tuple[Any, int]]]:
        """Numerator, and the polynomials below with their powers, as small as exact division makes them."""
        below = []
        for place, argument in self.reciprocals.items():
            top = max((e[place] for e, _ in self.monomials(element)), default=0)
            if top == 0:
                continue
            parts: dict[int, Any] = {}
            for exponents, coefficient in self.monomials(element):
                lowered = (*exponents[:place], 0, *exponents[place + 1 :])
                parts[exponents[place]] = parts.get(exponents[place], self.zero) + self._monomial(lowered, coefficient)
            numerator = self.zero
            for power in range(top + 1):  # Horner in the argument
                numerator = numerator * argument + parts.get(power, self.zero)
            while top > 0:
                quotient, remainder = divmod(numerator, argument)
                if remainder != 0:
                    break
                numerator, top = quotient, top - 1
            element = numerator
            if top:
                below.append((argument, top))
        return element, below

    def _monomial(self, exponents: tuple[int, ...], coefficient: sympy.Rational) -> Any:
        result = self.zero + self._rational(int(coefficient.p), int(coefficient.q))
        for element, exponent in zip(self._elements, exponents, strict=True):
            if exponent:
                result = result * element**exponent
        return result

    def resolved(self, place: int) -> Any:
        """The expression that a generator stands for, in the user's own symbols."""
        symbol = self.generators[place]
        if symbol in self.meaning:
            return self._resolve(self.meaning[symbol])
        return symbol

    def _resolve(self, expression: Any) -> Any:
        while expression.has(sympy.Dummy):
            known = {s: self.meaning[s] for s in expression.atoms(sympy.Dummy) if s in self.meaning}
            if not known:
                break
            expression = expression.xreplace(known)
        return expression

    def translated(self, element: Any) -> Any:
        """An element in the user's own symbols, as it stands."""
        return self._resolve(self.expression(element))
