"""Many losses of one shape at once: their numbers are data, and one compiled program serves all.

The numbers of each loss are states that stand still in a velocity field, so that one kernel gives the counter terms of
all cases. Of polynomials, ``sum_j coefficients[j] x**powers[j]``, the closed forms of `eomsym.curvature.polynomials`
are computed for all of them side by side; of networks see `eomsym.curvature.network_families`.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np
import sympy
from numpy.typing import ArrayLike

from eomsym import checks
from eomsym.checks import shown
from eomsym.codegen.kernel import Kernel, compile
from eomsym.errors import InputError
from eomsym.losses.expression import Field, Loss
from eomsym.types import Array

__all__ = ["BatchSpectrum", "BatchTaylor", "Family", "Neighbourhoods", "PolynomialFamily"]

#: As in `eomsym.curvature.polynomials`: of a sum that cancels rounding leaves up to this share of its summands.
ROUNDING = 4e-16
#: From so many losses on their terms are compiled as closed forms: a second or two, then some fifty times faster.
MANY = 400

#: Kernels by their order, and whether they are closed forms.
Kernels = dict[tuple[int, bool], Kernel]


@dataclass(frozen=True, eq=False)
class _Shape:
    """What all families with the same monomials share: the field, its kernels, and tables of derivatives."""

    powers: tuple[tuple[int, ...], ...]
    kernels: Kernels = field(default_factory=dict)

    @cached_property
    def velocity(self) -> Field:
        xs = sympy.symbols(f"x:{len(self.powers[0])}")
        cs = sympy.symbols(f"c:{len(self.powers)}")
        loss = sum(
            c * math.prod(x**e for x, e in zip(xs, p, strict=True)) for c, p in zip(cs, self.powers, strict=True)
        )
        return Field([*(-sympy.diff(loss, x) for x in xs), *([0] * len(cs))], variables=[*xs, *cs])

    @cached_property
    def tables(self) -> tuple[Array, Array, Array, Array, Array, Array]:
        """Pairs of a monomial and one of its derivatives: monomial, factor, powers left; then places as a matrix, and
        of each place its degree and ``j! a!``."""
        places: dict[tuple[int, ...], int] = {}
        rows = []
        for j, powers in enumerate(self.powers):
            for lower in itertools.product(*(range(power + 1) for power in powers)):
                left = [b - a for b, a in zip(powers, lower, strict=True)]
                at = places.setdefault(lower, len(places))
                rows.append((j, math.prod(map(math.comb, powers, lower)), left, at))
        monomials, factors, remaining, where = (np.array(column) for column in zip(*rows, strict=True))
        summed = np.zeros((len(rows), len(places)))
        summed[np.arange(len(rows)), where] = 1.0
        degrees = np.array([sum(lower) for lower in places])
        squares = np.array(
            [float(math.factorial(sum(lower)) * math.prod(map(math.factorial, lower))) for lower in places]
        )
        return monomials, factors.astype(np.float64), remaining, summed, degrees, squares


_SHAPES: dict[tuple[tuple[int, ...], ...], _Shape] = {}


class Family(ABC):
    """Losses of one shape; the numbers in which they differ are the last states of a velocity field.

    Attributes
    ----------
    many : bool
        Whether it is, or is part of, a family so large that closed forms of its terms pay.
    """

    many: bool

    @abstractmethod
    def __len__(self) -> int: ...

    def __getitem__(self, chosen: Any) -> Self:
        """Some of the losses, by a slice, a list or a mask."""
        if isinstance(chosen, (int, np.integer)):
            raise InputError(f"family[{chosen}]: expected several losses; type family[[{chosen}]]")
        return self.some(chosen)

    @abstractmethod
    def some(self, chosen: Any) -> Self: ...

    @property
    @abstractmethod
    def size(self) -> int:
        """Number of parameters of each loss."""

    @abstractmethod
    def still(self, thetas: Array) -> Array:
        """The numbers of each loss at its own point, shape (m, k)."""

    @abstractmethod
    def around(self, thetas: Array) -> Neighbourhoods:
        """Closed forms around the point of each loss, shape (m, n)."""

    @abstractmethod
    def _programs(self) -> tuple[Field, Kernels]:
        """The velocity field, and its kernels."""

    def kernel(self, order: int) -> Kernel:
        """The kernel of the velocity field, whose last states are the numbers of the loss."""
        velocity, known = self._programs()
        key = order, self.many
        if key not in known:
            known[key] = compile(velocity, order)
            if self.many and known[key]._pays < math.inf:
                known[key] = compile(velocity, order, form="explicit")
        return known[key]

    def terms(self, thetas: Array, order: int) -> Array:
        """Counter terms of each loss at its own point, shape (m, order+1, n); not finite where they
        overflow."""
        points = np.concatenate([thetas, self.still(thetas)], axis=1)
        out = np.empty((len(thetas), order + 1, points.shape[1]))
        # Not by `Kernel.terms`: where one loss overflows, the others are still wanted.
        self.kernel(order)._fill(points, out)
        return out[..., : self.size]

    def field(self, thetas: Array, eta: Array, order: int) -> Array:
        """Velocities of the equations of motion, shape (m, n), with learning rates of shape (m,)."""
        terms = self.terms(thetas, order)
        velocity: Array = -terms[:, order]
        for k in range(order - 1, -1, -1):
            velocity = eta[:, None] * velocity - terms[:, k]
        return velocity

    def jacobians(self, thetas: Array, eta: Array, order: int) -> Array:
        """Their derivatives, shape (m, n, n), a row for each direction."""
        points = np.concatenate([thetas, self.still(thetas)], axis=1)
        n, width = self.size, points.shape[1]
        both = np.concatenate([np.repeat(points, n, axis=0), np.tile(np.eye(n, width), (len(points), 1))], axis=1)
        out = np.empty((len(both), order + 1, 2 * width))
        kernel = self.kernel(order)
        if kernel.form == "explicit" and order == 0:  # of higher orders it is long, and seldom wanted
            kernel._linearised_explicit.explicit(both, out)
        else:
            kernel._linearised.terms(both, order, out)
        slopes = out[..., width : width + n].reshape(len(points), n, order + 1, n)
        found: Array = -np.einsum("mikj,km->mij", slopes, eta ** np.arange(order + 1.0)[:, None])
        return found

    def gradients(self, thetas: Array) -> Array:
        """Gradients of each loss at its own point, shape (m, n)."""
        found: Array = self.terms(thetas, 0)[:, 0]
        return found


class PolynomialFamily(Family):
    """Polynomial losses with the same monomials and other coefficients.

    Parameters
    ----------
    powers : array_like of int, shape (k, n)
        Exponents of the monomials, all different.
    coefficients : array_like, shape (m, k)
        A row for each loss.

    Raises
    ------
    InputError
        If the arrays do not fit each other.

    Examples
    --------
    ``x**2/2`` and ``2 x**2 + x**4``:

    >>> family = PolynomialFamily([[2], [4]], [[0.5, 0.0], [2.0, 1.0]])
    >>> len(family), family.gradients(np.array([[1.0], [1.0]])).ravel()
    (2, array([1., 8.]))
    """

    def __init__(self, powers: ArrayLike, coefficients: ArrayLike) -> None:
        exponents = np.asarray(powers)
        if exponents.ndim != 2 or not np.issubdtype(exponents.dtype, np.integer) or (exponents < 0).any():
            raise InputError(
                f"powers={shown(powers)}: expected exponents >= 0 of shape (k, n), such as [[2, 0], [0, 2]]"
            )
        rows = tuple(tuple(int(e) for e in row) for row in exponents)
        if len(set(rows)) < len(rows) or not any(map(any, rows)):
            raise InputError(f"powers={shown(powers)}: expected different monomials, and not the constant alone")
        numbers = checks.array(coefficients, "coefficients")
        if numbers.ndim != 2 or numbers.shape[1] != len(rows) or not np.isfinite(numbers).all():
            raise InputError(
                f"coefficients of shape {numbers.shape}: expected finite numbers of shape (m, {len(rows)}), a row for "
                "each loss"
            )
        self.shape = _SHAPES.setdefault(rows, _Shape(rows))
        self.coefficients = np.array(numbers, dtype=np.float64)
        self.many = len(numbers) >= MANY

    @classmethod
    def of(cls, loss: Loss, count: int) -> PolynomialFamily:
        """The family of one loss so many times.

        Raises
        ------
        InputError
            If the loss is no polynomial.
        """
        try:
            terms = sympy.Poly(loss.expression, *loss.variables).terms()
        except (AttributeError, sympy.PolynomialError) as error:
            raise InputError(
                f"expected a polynomial loss such as Loss('x**2 + x**4', variables='x'), got {shown(loss, 200)}"
            ) from error
        if loss.weight_decay:
            raise InputError("a family has no weight decay; write it into the polynomial")
        row = [float(c) for _, c in terms]
        return cls([list(p) for p, _ in terms], np.tile(row, (count, 1)))

    def __len__(self) -> int:
        return len(self.coefficients)

    @property
    def size(self) -> int:
        """Number of parameters of each loss."""
        return len(self.shape.powers[0])

    def some(self, chosen: Any) -> PolynomialFamily:
        part = object.__new__(PolynomialFamily)
        part.shape, part.coefficients, part.many = self.shape, self.coefficients[chosen], self.many
        return part

    def still(self, thetas: Array) -> Array:
        """The coefficients."""
        return self.coefficients

    def around(self, thetas: Array) -> Neighbourhoods:
        """See `Family.around`."""
        return _PolynomialNeighbourhoods(self, thetas)

    def _programs(self) -> tuple[Field, Kernels]:
        return self.shape.velocity, self.shape.kernels


@dataclass(frozen=True)
class BatchSpectrum:
    """As `eomsym.curvature.Spectrum`, of many balls: arrays of shape (m,)."""

    lower: Array
    upper: Array
    slope: Array

    @property
    def growth(self) -> Array:
        """As of one ball."""
        return -self.lower

    @property
    def smoothness(self) -> Array:
        """As of one ball."""
        return np.maximum(np.abs(self.lower), np.abs(self.upper))

    def amplification(self, eta: Array) -> Array:
        """As of one ball."""
        return np.maximum(np.abs(1 - eta * self.lower), np.abs(1 - eta * self.upper))


@dataclass(frozen=True, eq=False)
class BatchTaylor:
    """Bounds on g and its derivatives at many points; as `eomsym.curvature.derivatives.Derivatives` of each.

    Attributes
    ----------
    known : ndarray, shape (k, m)
        The derivatives from the k-th on vanish.
    valid : ndarray, shape (m,), or float
        Radii of the real balls in which g has these derivatives.
    """

    known: Array
    valid: Array | float = np.inf

    def __getitem__(self, chosen: Any) -> BatchTaylor:
        """Those of some of the points."""
        return BatchTaylor(
            self.known[:, chosen], self.valid[chosen] if isinstance(self.valid, np.ndarray) else self.valid
        )

    def at(self, distance: Array, top: int) -> Array:
        """Bounds on the derivatives ``0 … top`` on the balls of these radii, shape (m,) or (m, r), by Taylor's formula:
        shape (min(top+1, k), m) or (min(top+1, k), m, r)."""
        rows = min(top + 1, len(self.known))
        wide = self.known.reshape(*self.known.shape, *([1] * (distance.ndim - 1)))
        out = []
        for j in range(rows):
            total: Array = np.broadcast_to(wide[-1], (len(distance), *distance.shape[1:])).copy()
            for i in range(len(wide) - 2, j - 1, -1):  # Horner
                total = wide[i] + total * (distance / (i + 1 - j))
            out.append(total)
        return np.array(out)


class Neighbourhoods(ABC):
    """What is known about the balls around the point of each loss; see `eomsym.curvature.hessian.Neighbourhood`.

    Numbers are infinite where the ball leaves the domain of the closed form.

    Attributes
    ----------
    gradients, hessians : ndarray, shape (m, n), (m, n, n)
        At the points.
    known : BatchTaylor
        Bounds on all derivatives.
    """

    gradients: Array
    hessians: Array
    known: BatchTaylor

    @abstractmethod
    def spectrum(self, radius: Array) -> BatchSpectrum:
        """Numbers that hold on the balls of these radii, shape (m,)."""

    @abstractmethod
    def third(self, radius: Array) -> Array:
        """Largest third derivatives on the balls, shape (m,)."""

    @abstractmethod
    def rounding(self) -> Array:
        """Largest errors of the gradients at the points in float64, shape (m,)."""

    def hessian_vectors(self, vectors: Array) -> Array:
        """The Hessian at each point times a vector, shape (m, n)."""
        found: Array = np.einsum("mij,mj->mi", self.hessians, vectors)
        return found


class _PolynomialNeighbourhoods(Neighbourhoods):
    def __init__(self, family: PolynomialFamily, thetas: Array) -> None:
        self.family, self.thetas = family, thetas
        monomials, factors, left, summed, degrees, squares = family.shape.tables
        with np.errstate(over="ignore", invalid="ignore"):
            table = thetas[:, :, None] ** np.arange(left.max() + 1)
            products = family.coefficients[:, monomials] * factors
            for i in range(family.size):
                products = products * table[:, i, left[:, i]]
            share = ROUNDING * (len(family.shape.powers) + degrees.max())
            coefficients = products @ summed
            haze = share * (np.abs(products) @ summed)
            by_degree = degrees[:, None] == np.arange(degrees.max() + 1)
            norms, doubts = (
                np.sqrt((squares * numbers**2) @ by_degree) for numbers in (np.abs(coefficients) + haze, haze)
            )
        bounds = np.zeros((max(norms.shape[1] - 1, 2), len(thetas)))
        bounds[: norms.shape[1] - 1] = norms[:, 1:].T
        doubts = np.concatenate([doubts, np.zeros((len(thetas), 2))], axis=1)
        self.gradients = family.gradients(thetas)
        bounds[0] = np.linalg.norm(self.gradients, axis=1) + doubts[:, 1]
        self.hessians = self._hessians(coefficients)
        fine = np.isfinite(self.hessians).all(axis=(1, 2)) & np.isfinite(bounds).all(axis=0)
        spectra = np.full(thetas.shape, np.inf)
        spectra[fine] = np.linalg.eigvalsh(self.hessians[fine])
        spectra[~fine, 0] = -np.inf
        self.lower, self.upper = spectra[:, 0] - doubts[:, 2], spectra[:, -1] + doubts[:, 2]
        bounds[1] = np.maximum(np.abs(self.lower), np.abs(self.upper))
        bounds[:, ~fine] = np.inf
        self.haze = doubts[:, 1]
        self.known = BatchTaylor(bounds)

    def _hessians(self, coefficients: Array) -> Array:
        """From the Taylor coefficients of degree two, shape (m, n, n)."""
        n = self.family.size
        out = np.zeros((len(coefficients), n, n))
        for place, lower in enumerate(_places(self.family.shape.powers)):
            if sum(lower) == 2:
                axes = [i for i, e in enumerate(lower) for _ in range(e)]
                value = coefficients[:, place] * (2 if axes[0] == axes[1] else 1)
                out[:, axes[0], axes[1]] = out[:, axes[1], axes[0]] = value
        return out

    def spectrum(self, radius: Array) -> BatchSpectrum:
        slope, smoothness = self.known.at(radius, 1)
        change = smoothness - self.known.known[1]
        return BatchSpectrum(self.lower - change, self.upper + change, slope)

    def third(self, radius: Array) -> Array:
        rows = self.known.at(radius, 2)
        return rows[2] if len(rows) > 2 else np.zeros(len(radius))

    def rounding(self) -> Array:
        return 2 * self.haze


def _places(powers: tuple[tuple[int, ...], ...]) -> list[tuple[int, ...]]:
    """The derivatives in the order of their places."""
    found: dict[tuple[int, ...], None] = {}
    for row in powers:
        for lower in itertools.product(*(range(power + 1) for power in row)):
            found.setdefault(lower)
    return list(found)
