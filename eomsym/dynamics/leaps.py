"""Gradient descent many steps at a time: leaps that agree with a run of it, along two paths that measure their error.

A leap of m steps is a stabilised step of order 4 (:mod:`eomsym.dynamics.stabilised`) whose rooted trees carry the
weights of those m steps: the equation of motion without its terms being evaluated, for one gradient a stage. Two leaps
of m are made along one path and one of 2m along another; both paths go on by themselves, so their distance holds
everything that has been done wrong, as far as the flow has carried it. The finer one is about 15 times nearer to the
optimiser than the other.

References
----------
E. Hairer, S. P. Nørsett, G. Wanner, Solving Ordinary Differential Equations I, section II.4 (Richardson extrapolation).
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from eomsym.codegen.kernel import Kernel
from eomsym.dynamics import stabilised
from eomsym.dynamics.spectrum import PRODUCT, sharpest
from eomsym.errors import DivergenceError, TableError

__all__ = ["Leaper"]

Array = NDArray[np.float64]

#: The distance of the paths over the error of the finer one, ``2**4 - 1``.
RATIO = 15.0
#: Steps of the first leap, and of the shortest.
FIRST, SHORTEST = 8, 7
#: How much of the tolerance two leaps may take, and the least part of that, when errors have used it up.
SHARE, LEAST = 0.5, 0.4
#: The sharpness is measured again after so many pairs of leaps; stages are chosen for a little more.
RENEWED, MARGIN = 3, 1.1


@dataclass
class Leaper:
    """A state of gradient descent that leaps; `step` moves it by two leaps.

    Parameters
    ----------
    kernel : Kernel
        Of gradient descent.
    eta : float
    theta : ndarray, shape (n,)
    until : float
        Time at which to end, a whole number of steps; it begins at 0.
    tolerance : float
        Euclidean distance from the optimiser that will do.
    errors : ndarray, shape (n,)
        What the start is away from the optimiser, estimated.
    """

    kernel: Kernel
    eta: float
    theta: Array
    until: float
    tolerance: float
    errors: Array
    time: float = 0.0
    sharpness: float = 0.0
    gradients: float = 0.0
    steps: int = 0
    _direction: Array | None = field(default=None, repr=False)
    _length: int = FIRST
    _pairs: int = 0

    def __post_init__(self) -> None:
        self._last = round(self.until / self.eta)
        self._coarse = self.theta - RATIO * self.errors
        self._slopes = self._velocity(self.theta), self._velocity(self._coarse)
        if not np.isfinite(self._slopes).all():
            raise DivergenceError("the gradient at the start is not finite; choose another start", 1)
        self.measure(10)

    @property
    def by(self) -> str:
        """What makes the way."""
        return "leaps of order 4"

    @property
    def order(self) -> int:
        """Order of the equation of motion that rooted trees of up to four nodes carry."""
        return 3

    @property
    def missing(self) -> Array:
        """What is known to be missing: nothing."""
        return np.zeros_like(self.theta)

    def carry(self) -> None:
        """Nothing is left behind."""

    def stop_at(self, when: float) -> None:
        """Another time at which to end, a whole number of steps."""
        self.until, self._last = when, round(when / self.eta)

    def _velocity(self, theta: Array) -> Array:
        """Minus the gradient, NaN where it is not defined."""
        self.gradients += 1.0
        if np.isfinite(theta).all():
            with suppress(TableError):
                return np.asarray(-self.kernel.gradient(theta))
        return np.full_like(theta, np.nan)

    def measure(self, products: int) -> None:
        """The largest eigenvalue of the Hessian, by Lanczos from the last direction."""
        self.sharpness, self._direction, spent = sharpest(
            lambda vector: self.kernel.hessian_vector(self.theta, vector), len(self.theta), self._direction, products
        )
        self.gradients += PRODUCT * spent

    def step(self) -> float:
        """Two leaps, or some plain steps where leaps cannot be made; returns the time that they took.

        Raises
        ------
        DivergenceError
            The optimiser leaves the finite numbers.
        """
        rate = MARGIN * self.eta * self.sharpness
        for _ in range(60):
            longest = stabilised.stability(stabilised.MOST) / max(2 * rate, 1e-9)
            length = _round(int(min(self._length, (self._last - self.steps) // 2, longest)))
            if length < SHORTEST or stabilised.stages_for(length * rate) > 0.8 * length:
                return self._plain()
            found = self._leaps(length, rate)
            if found is not None:
                return self._moved(2 * length, *found)
            if self._length <= SHORTEST:
                return self._plain()
            self._length = max(self._length, SHORTEST)
        raise DivergenceError("no leap is short enough; run the optimiser", self.steps + 1)

    def _leaps(self, m: int, rate: float) -> tuple[Array, Array] | None:
        """Ends of both paths; None where the error is too large. Chooses the length of the next leap, or of a trial."""
        h = m * self.eta
        stages, more = stabilised.stages_for(m * rate), stabilised.stages_for(2 * m * rate)
        with np.errstate(all="ignore"):
            middle = stabilised.step(self._velocity, self.theta, self._slopes[0], h, stages, m)
            fine = stabilised.step(self._velocity, middle, self._velocity(middle), h, stages, m)
            coarse = stabilised.step(self._velocity, self._coarse, self._slopes[1], 2 * h, more, 2 * m)
            before, after = self.theta - self._coarse, fine - coarse
            new, old = float(np.linalg.norm(after - before)) / RATIO, float(np.linalg.norm(before)) / RATIO
        x = new / (SHARE * self.tolerance * max(LEAST, 1.0 - old / self.tolerance))
        if not math.isfinite(x):
            self.measure(5)
            self._length = m // 4
            return None
        if x <= 1.0:
            # Where fast directions are slaved the error grows faster than with the fifth power: by a cautious one.
            self._length = int(m * min(2.0, 0.85 * max(x, 1e-9) ** -0.125))
            return fine, coarse
        self._length = min(int(m * max(0.3, 0.8 * x**-0.2)), m - 1)
        if x > 100.0:
            self.measure(3)
        return None

    def _plain(self) -> float:
        """Some steps of the optimiser itself, on both paths."""
        count = min(2 * SHORTEST, self._last - self.steps)
        fine, coarse = self.theta, self._coarse
        for k in range(count):
            fine = fine + self.eta * (self._velocity(fine) if k else self._slopes[0])
            coarse = coarse + self.eta * (self._velocity(coarse) if k else self._slopes[1])
        self._length = max(2 * self._length, FIRST)
        return self._moved(count, fine, coarse)

    def _moved(self, count: int, fine: Array, coarse: Array) -> float:
        self.theta, self._coarse = fine, coarse
        self.errors = (fine - coarse) / RATIO
        self._slopes = self._velocity(fine), self._velocity(coarse)
        if not np.isfinite(self._slopes).all():
            raise DivergenceError(f"the run leaves the finite numbers after about {self.steps} steps", self.steps + 1)
        self.steps += count
        self.time = self.until if self.steps == self._last else self.steps * self.eta
        self._pairs += 1
        if self._pairs % RENEWED == 0 and self.steps < self._last:
            self.measure(2)
        return count * self.eta


def _round(count: int) -> int:
    """Down to a number of three binary digits, so that few kinds of leaps are made."""
    if count < 8:
        return count
    shift = count.bit_length() - 4
    return count >> shift << shift
