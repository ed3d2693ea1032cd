"""Filters: what an optimiser does with the past of a quantity.

A filter ``H(E⁻¹) = above(E⁻¹)/below(E⁻¹)``, with E the shift by one step, is the recurrence
``sum_l below[l] w_(k-l) = sum_l above[l] x_(k-l)``. On a smooth motion the shift is ``exp(eta d/dt)``, so the filter is
the power series ``H(exp(-z)) = sum_k c_k z**k`` in ``z = eta d/dt``, as long as it is finite at ``E = 1``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import sympy

from eomsym.errors import MethodError
from eomsym.exact.exponentials import exponentials, growth, quotient
from eomsym.exact.numbers import Exact, as_vector, common_domain

__all__ = ["Filter"]


@dataclass(frozen=True)
class Filter:
    """A rational function of the backward shift ``E⁻¹``, exact.

    Parameters
    ----------
    above, below : sequence of int, Fraction, str or sympy.Expr
        Coefficients of numerator and denominator, that of ``E⁻¹`` to the power 0 first.
    step : bool
        Times ``chi(z) = z/(exp(z) - 1)``, which turns the change of a step over eta into a velocity.

    Raises
    ------
    MethodError
        The filter is not finite at ``E = 1``, or its new value depends on itself without a delay.

    Examples
    --------
    The exponential moving average with weight 9/10 for the past:

    >>> from fractions import Fraction
    >>> Filter([Fraction(1, 10)], [1, Fraction(-9, 10)]).series(3)
    (1, -9, 171/2)
    """

    above: tuple[Exact, ...]
    below: tuple[Exact, ...] = field(default=(sympy.S.One,))
    step: bool = False

    def __init__(self, above: Sequence[Any], below: Sequence[Any] = (1,), step: bool = False) -> None:
        top, bottom = _trimmed(as_vector(above, "above")), _trimmed(as_vector(below, "below"))
        if not bottom or bottom[0] == 0:
            raise MethodError(
                f"a filter with the denominator {list(bottom)} needs its own new value to find it; "
                "the first coefficient must not be 0"
            )
        if sympy.simplify(sum(bottom)) == 0:
            raise MethodError(
                f"the filter {list(top)}/{list(bottom)} is not finite at E = 1: it keeps all of the past for ever "
                "(such as a momentum of 1) and follows no modified equation"
            )
        object.__setattr__(self, "above", tuple(x / bottom[0] for x in top) or (sympy.S.Zero,))
        object.__setattr__(self, "below", tuple(x / bottom[0] for x in bottom))
        object.__setattr__(self, "step", step)

    def __mul__(self, other: Filter) -> Filter:
        if self.step and other.step:
            raise MethodError("a circuit steps once; two states one behind the other are states of their own")
        return Filter(_times(self.above, other.above), _times(self.below, other.below), self.step or other.step)

    @property
    def trivial(self) -> bool:
        """Whether it gives back what it gets."""
        return self.above == self.below == (1,) and not self.step

    @property
    def gain(self) -> Exact:
        """What a constant is multiplied by: ``H(1)``."""
        return sympy.factor(sum(self.above) / sum(self.below))

    @property
    def taps(self) -> int:
        """How many numbers a lane it remembers from step to step."""
        return max(len(self.above), len(self.below)) - 1

    def coefficients(self) -> tuple[tuple[Exact, ...], tuple[Exact, ...]]:
        """Numerator and denominator, both of length ``taps + 1``."""
        length = self.taps + 1
        return _padded(self.above, length), _padded(self.below, length)

    def memory(self) -> list[Filter]:
        """What it remembers, as filters of its input.

        With ``w_k = above[0] x_k + s_1`` and ``s_l <- above[l] x_k - below[l] w_k + s_(l+1)``, memory l is
        ``s_l = sum_(m>=l) (above[m] - below[m] H) E^-(m-l+1) x``.
        """
        above, below = self.coefficients()
        found = []
        for first in range(1, self.taps + 1):
            total: tuple[Exact, ...] = ()
            for m in range(first, self.taps + 1):
                part = _plus([above[m] * x for x in self.below], [-below[m] * x for x in self.above])
                total = _plus(total, [sympy.S.Zero] * (m - first + 1) + list(part))
            found.append(Filter([sympy.cancel(x) for x in total] or [0], self.below))
        return found

    def series(self, n: int) -> tuple[Exact, ...]:
        """The first `n` Taylor coefficients of ``H(exp(-z))``, times those of chi for a step."""
        return _series(self, n)


def _trimmed(row: Sequence[Exact]) -> tuple[Exact, ...]:
    last = max((k + 1 for k, x in enumerate(row) if x != 0), default=0)
    return tuple(row[:last])


def _padded(row: Sequence[Exact], length: int) -> tuple[Exact, ...]:
    return (*row, *([sympy.S.Zero] * (length - len(row))))


def _plus(a: Sequence[Exact], b: Sequence[Exact]) -> tuple[Exact, ...]:
    length = max(len(a), len(b))
    return tuple(x + y for x, y in zip(_padded(a, length), _padded(b, length), strict=True))


def _times(a: Sequence[Exact], b: Sequence[Exact]) -> tuple[Exact, ...]:
    out = [sympy.S.Zero] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            out[i + j] += x * y
    return tuple(sympy.expand(x) for x in out)


@lru_cache(maxsize=1024)
def _series(chosen: Filter, n: int) -> tuple[Exact, ...]:
    domain = common_domain([*chosen.above, *chosen.below])
    found = quotient(exponentials(chosen.above, n, domain), exponentials(chosen.below, n, domain))
    if chosen.step:
        found = quotient(found, growth(n, domain))
    return tuple(domain.to_sympy(x) for x in found)
