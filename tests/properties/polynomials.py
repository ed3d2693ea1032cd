"""Losses whose derivatives are polynomials of python-flint, for `truth`. Nothing here imports the package."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint
import numpy as np

__all__ = ["CrossEntropy", "Horner", "Polynomial", "as_function", "squares"]


@dataclass(frozen=True)
class Polynomial:
    """``sum_j coefficients[j] x**powers[j]``; floats are the binary fractions that they are."""

    powers: tuple[tuple[int, ...], ...]
    coefficients: tuple[Fraction, ...]

    @property
    def size(self) -> int:
        return len(self.powers[0])

    @functools.cached_property
    def ring(self) -> Any:
        return flint.fmpq_mpoly_ctx.get([f"x{i}" for i in range(self.size)], "degrevlex")

    @functools.cached_property
    def velocity(self) -> list[Any]:
        """``F = -g`` as polynomials of python-flint."""
        numbers = [flint.fmpq(c.numerator, c.denominator) for c in map(Fraction, self.coefficients)]
        loss = self.ring.from_dict(dict(zip(self.powers, numbers, strict=True)))
        return [-loss.derivative(i) for i in range(self.size)]

    @staticmethod
    def derivative(part: Any, axis: int) -> Any:
        return part.derivative(axis)

    @staticmethod
    def lifted(point: Sequence[Any]) -> Sequence[Any]:
        return point

    def text(self, names: Sequence[str]) -> str:
        """As an expression that the package reads."""
        terms = []
        for powers, c in zip(self.powers, map(Fraction, self.coefficients), strict=True):
            factors = [f"{name}**{p}" for name, p in zip(names, powers, strict=False) if p]
            terms.append("*".join([f"({c.numerator})/({c.denominator})", *factors]))
        return " + ".join(terms)


@dataclass(frozen=True)
class CrossEntropy:
    """``weight sum_s log(1 + exp v_s)``: its derivatives are polynomials in x and the ``p_s = 1/(1 + exp(-v_s))``."""

    inner: tuple[Polynomial, ...]
    weight: Fraction

    @property
    def size(self) -> int:
        return self.inner[0].size

    @functools.cached_property
    def ring(self) -> Any:
        return flint.fmpq_mpoly_ctx.get([f"x{i}" for i in range(self.size + len(self.inner))], "degrevlex")

    @functools.cached_property
    def values(self) -> list[Any]:
        rest = (0,) * len(self.inner)
        return [
            self.ring.from_dict(
                {
                    (*p, *rest): flint.fmpq(c.numerator, c.denominator)
                    for p, c in zip(v.powers, v.coefficients, strict=True)
                }
            )
            for v in self.inner
        ]

    @functools.cached_property
    def velocity(self) -> list[Any]:
        weight, chances = flint.fmpq(self.weight.numerator, self.weight.denominator), self.ring.gens()[self.size :]
        zero = self.ring.from_dict({})
        return [
            sum((-weight * p * v.derivative(i) for p, v in zip(chances, self.values, strict=True)), zero)
            for i in range(self.size)
        ]

    def derivative(self, part: Any, axis: int) -> Any:
        """By ``dp = p (1 - p) dv``."""
        total = part.derivative(axis)
        for s, (p, v) in enumerate(zip(self.ring.gens()[self.size :], self.values, strict=True)):
            total = total + part.derivative(self.size + s) * p * (1 - p) * v.derivative(axis)
        return total

    def lifted(self, point: Sequence[Any]) -> Sequence[Any]:
        """A point and its chances."""
        nothing = point[0] * 0
        powers = [[nothing + 1] for _ in range(self.size + len(self.inner))]
        wide = [*point, *[nothing] * len(self.inner)]
        return [*point, *(1 / (1 + (-Horner(v).at(wide, powers)).exp()) for v in self.values)]


def squares(inner: Sequence[Polynomial], weight: Fraction) -> Polynomial:
    """``weight sum_s v_s**2/2``, multiplied out."""
    found: dict[tuple[int, ...], Fraction] = {}
    for v in inner:
        terms = list(zip(v.powers, map(Fraction, v.coefficients), strict=True))
        for (p, c), (q, d) in itertools.product(terms, terms):
            power = tuple(a + b for a, b in zip(p, q, strict=True))
            found[power] = found.get(power, Fraction(0)) + weight * c * d / 2
    return Polynomial(tuple(found), tuple(found.values()))


def as_function(field: Sequence[Any]) -> Callable[[np.ndarray], np.ndarray]:
    """Polynomials of python-flint as a function of theta in doubles, shape (n,) or (m, n)."""
    parts = []
    for polynomial in field:
        items = list(polynomial.to_dict().items())
        powers = np.array([[int(e) for e in p] for p, _ in items], dtype=np.int64).reshape(len(items), len(field))
        parts.append((powers, np.array([float(Fraction(int(c.p), int(c.q))) for _, c in items])))

    def value(theta: np.ndarray) -> np.ndarray:
        columns = [np.prod(theta[..., None, :] ** powers, axis=-1) @ c if len(c) else np.zeros(theta.shape[:-1])
                   for powers, c in parts]  # fmt: skip
        return np.stack(columns, axis=-1)

    return value


class Horner:
    """A polynomial with coefficients in arb, at series or numbers whose powers are shared."""

    def __init__(self, polynomial: Any) -> None:
        self.terms = [(flint.arb(c), p) for p, c in polynomial.to_dict().items()]

    def at(self, curves: Sequence[Any], powers: list[list[Any]]) -> Any:
        total = powers[0][0] * 0
        for c, exponents in self.terms:
            part = None
            for i, e in enumerate(exponents):
                e = int(e)
                while len(powers[i]) <= e:
                    powers[i].append(powers[i][-1] * curves[i])
                if e:
                    part = powers[i][e] if part is None else part * powers[i][e]
            total = total + (c if part is None else part * c)
        return total
