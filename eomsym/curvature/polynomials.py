"""Closed-form bounds on the derivatives of a polynomial loss over a ball: exact, from its Taylor expansion.

The derivative of order j of ``L(theta + u) = sum_a c_a u**a`` at the centre is a symmetric tensor with the Frobenius
norm ``sqrt(sum_(|a|=j) j! a! c_a**2)``, which bounds it along real and complex directions; there are finitely many.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import sympy

from eomsym.checks import shown
from eomsym.curvature.derivatives import Derivatives
from eomsym.curvature.hessian import DENSE, Curvature, Neighbourhood, Spectrum, as_kernel, eigenvalue_range
from eomsym.errors import HypothesisError
from eomsym.losses.expression import Loss
from eomsym.types import Array

__all__ = ["PolynomialCurvature"]

#: Pairs of a monomial and one of its derivatives: a second and 100 MB of tables at most.
MOST_PAIRS = 1_000_000


class PolynomialCurvature(Curvature):
    """Closed forms for a loss that is a polynomial in its parameters.

    Parameters
    ----------
    loss : Loss

    Raises
    ------
    HypothesisError
        If the loss is no polynomial, or has too many terms.

    Examples
    --------
    >>> import eomsym as eom
    >>> curvature = PolynomialCurvature(eom.Loss("x**2/2 + x**3/6", variables="x"))
    >>> ball = curvature.at(np.array([1.0])).spectrum(0.5)  # A = 1 + x, g = x + x**2/2
    >>> round(ball.lower, 9), round(ball.upper, 9), round(ball.slope, 9)
    (1.5, 2.5, 2.625)
    """

    source = "closed forms of a polynomial: its Taylor expansion"

    def __init__(self, loss: Loss) -> None:
        try:
            terms = sympy.Poly(loss.expression, *loss.variables).terms()
        except sympy.PolynomialError as error:
            raise HypothesisError(
                f"no bound: needed a network without biases or a polynomial loss, got {shown(loss, 200)}; give "
                "GivenCurvature(lower, upper, slope), EstimatedCurvature(kernel) for an estimate, or EnclosedCurvature "
                "for machine-checked numbers"
            ) from error
        pairs = sum(math.prod(power + 1 for power in powers) for powers, _ in terms)
        if pairs > MOST_PAIRS:
            raise HypothesisError(
                f"no bound: needed a polynomial with at most {MOST_PAIRS:,} derivatives of its terms, got {pairs:,}; "
                "give EstimatedCurvature(kernel) for an estimate"
            )
        self.kernel = as_kernel(loss)
        self.decay = float(loss.weight_decay)
        # c_a = sum_b coefficient_b C(b, a) theta**(b - a): for each pair the number, the powers left, the place of a.
        places: dict[tuple[int, ...], int] = {}
        numbers, left, at = [], [], []
        for powers, coefficient in terms:
            for lower in itertools.product(*(range(power + 1) for power in powers)):
                numbers.append(float(coefficient) * math.prod(map(math.comb, powers, lower)))
                left.append([b - a for b, a in zip(powers, lower, strict=True)])
                at.append(places.setdefault(lower, len(places)))
        self.numbers, self.left, self.places = np.array(numbers), np.array(left), np.array(at)
        # Of a sum that cancels rounding leaves up to this share of its summands.
        self.rounding = 4e-16 * (len(terms) + max((sum(powers) for powers, _ in terms), default=0))
        self.degrees = np.array([sum(lower) for lower in places])
        # j! a!, as a tensor has each mixed derivative j!/a! times and the derivative is a! c_a.
        self.squares = np.array(
            [float(math.factorial(sum(lower)) * math.prod(map(math.factorial, lower))) for lower in places]
        )

    def at(self, theta: Array) -> Neighbourhood:
        """See `Curvature.at`."""
        return _PolynomialNeighbourhood(self, theta)


class _PolynomialNeighbourhood(Neighbourhood):
    def __init__(self, owner: PolynomialCurvature, theta: Array) -> None:
        self.owner, self.theta = owner, theta
        with np.errstate(over="ignore", invalid="ignore"):
            products = owner.numbers * np.prod(theta**owner.left, axis=1)
            count = len(owner.degrees)
            coefficients = np.abs(np.bincount(owner.places, weights=products, minlength=count))
            haze = owner.rounding * np.bincount(owner.places, weights=np.abs(products), minlength=count)
            norms, doubts = (
                np.sqrt(np.bincount(owner.degrees, weights=owner.squares * numbers**2))
                for numbers in (coefficients + haze, haze)
            )
        if not np.isfinite(norms).all():
            raise HypothesisError(
                f"no bound: needed finite derivatives, got {norms.tolist()} at a point with entries up to "
                f"{np.abs(theta).max():.3g}; use a smaller eta or fewer steps"
            )
        bounds = np.zeros(max(len(norms) - 1, 2))
        bounds[: len(norms) - 1] = norms[1:]
        doubts = np.append(doubts, np.zeros(2))
        bounds[0] = np.linalg.norm(owner.kernel.gradient(theta)) + doubts[1]
        if len(theta) <= DENSE:
            lower, upper = eigenvalue_range(owner.kernel, theta)
            self.centre = (lower - float(doubts[2]), upper + float(doubts[2]))
        else:  # Lanczos finds eigenvalues from inside
            self.centre = (owner.decay - float(bounds[1]), owner.decay + float(bounds[1]))
        bounds[1] = max(map(abs, self.centre))
        self.haze = float(doubts[1])
        self.known = Derivatives(bounds)

    def spectrum(self, radius: float) -> Spectrum:
        if not radius < 1e100:
            raise HypothesisError(f"no bound: needed a tube of moderate radius, got {radius:.3g}; use a smaller eta")
        slope, smoothness = self.known.at(radius, 1)
        change = smoothness - self.known.known[1]
        return Spectrum(self.centre[0] - float(change), self.centre[1] + float(change), float(slope))

    def rounding(self) -> float:
        return 2 * self.haze

    def third(self, radius: float) -> float:
        return float(self.known.at(radius, 2)[2])

    def derivatives(self) -> Derivatives:
        return self.known
