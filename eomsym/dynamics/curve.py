"""A solution between the times: evaluated anywhere, and searched for events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import ArrayLike, NDArray

from eomsym.checks import shown
from eomsym.errors import InputError

__all__ = ["Crossing", "Curve", "DenseCurve", "TaylorCurve"]

Array = NDArray[np.float64]

#: Degree of the polynomial that stands for a user's function on a step.
DEGREE = 24


@dataclass(frozen=True)
class Crossing:
    """A zero of a function along a solution.

    Attributes
    ----------
    time : float
    theta : ndarray, shape (n,)
    direction : int
        1 where the function rises with time, -1 where it falls, 0 where it only touches zero.
    """

    time: float
    theta: Array
    direction: int


class Curve:
    """A solution of the equation of motion as a function of time.

    Attributes
    ----------
    edges : ndarray, shape (steps + 1,)
        Where its pieces meet; increasing or decreasing.
    error : float
        Measured error of the solution.
    """

    def __init__(self, edges: Array, error: float) -> None:
        self.edges, self.error = edges, error

    def __repr__(self) -> str:
        pieces = f"{len(self.edges) - 1} pieces, error {self.error:.1e}"
        return f"<{type(self).__name__} from time {self.edges[0]:.6g} to {self.edges[-1]:.6g}, {pieces}>"

    def _piece(self, number: int, times: Array) -> Array:
        """States ``(m, n)`` at times inside of a piece."""
        raise NotImplementedError

    def __call__(self, time: ArrayLike) -> Array:
        """The solution at a time, shape (n,), or at many, shape (m, n).

        Raises
        ------
        InputError
            A time lies outside.
        """
        times = np.atleast_1d(np.asarray(time, dtype=np.float64))
        sign = 1.0 if self.edges[-1] >= self.edges[0] else -1.0
        first, last = self.edges[0], self.edges[-1]
        if not np.all((sign * times >= sign * first) & (sign * times <= sign * last)):
            raise InputError(f"time={shown(time)} lies outside of the solution, from {first:.6g} to {last:.6g}")
        numbers = np.searchsorted(sign * self.edges, sign * times, side="right") - 1
        numbers = np.clip(numbers, 0, len(self.edges) - 2)
        found = [self._piece(int(k), times[numbers == k]) for k in np.unique(numbers)]
        out = np.empty((len(times), found[0].shape[1]))
        for k, states in zip(np.unique(numbers), found, strict=True):
            out[numbers == k] = states
        return out if np.ndim(time) else out[0]

    def crossings(self, function: Callable[[Array], Any], *, direction: int = 0) -> list[Crossing]:
        """Zeros of a function of the parameters along the solution, in the order in which they are passed.

        On each step the function becomes a polynomial of degree 24 in time, all of whose zeros are found; so two of
        them in one step are not missed, unless the function varies faster than that between two steps.

        Parameters
        ----------
        function : callable
            From parameters ``(n,)`` to a number; smooth.
        direction : {0, 1, -1}
            Only zeros at which the function rises (1) or falls (-1) with time.

        Returns
        -------
        list of Crossing
            Empty where it has no zero.

        Raises
        ------
        InputError
            Another direction, or a function that gives something else than a finite number.
        """
        if direction not in (0, 1, -1):
            raise InputError(f"direction={shown(direction)}: expected 1 (rising), -1 (falling) or 0 (both)")
        nodes = chebyshev.chebpts1(DEGREE + 1)
        transform = np.linalg.inv(chebyshev.chebvander(nodes, DEGREE))
        found: list[Crossing] = []
        for number in range(len(self.edges) - 1):
            begin, end = self.edges[number], self.edges[number + 1]
            times = begin + (nodes + 1) / 2 * (end - begin)
            values = _values(function, self._piece(number, times))
            for place, slope in _zeros(transform @ values, float(np.abs(values).max())):
                when = float(begin + (place + 1) / 2 * (end - begin))
                way = int(np.sign(slope) * np.sign(end - begin))
                if direction in (0, way) and not (found and abs(when - found[-1].time) <= 1e-12 * abs(end - begin)):
                    found.append(Crossing(when, self(when), way))
        return found

    def first(self, function: Callable[[Array], Any], *, direction: int = 0) -> Crossing:
        """The first zero of a function along the solution; see `crossings`.

        Raises
        ------
        InputError
            There is none.
        """
        found = self.crossings(function, direction=direction)
        if not found:
            last = float(np.ravel(_values(function, self(self.edges[-1:])))[0])
            raise InputError(
                f"the event does not come before time {self.edges[-1]:.6g}: there the function is {last:.6g}; "
                "integrate longer, or ask for another function"
            )
        return found[0]


def _values(function: Callable[[Array], Any], states: Array) -> Array:
    """A user's function at some states."""
    try:
        values = np.array([float(function(state)) for state in states])
    except (TypeError, ValueError) as error:
        raise InputError(f"the function of an event must give a number, and failed with: {error}") from error
    if not np.isfinite(values).all():
        raise InputError("the function of an event gives a number that is not finite; choose a smooth one")
    return values


def _zeros(coefficients: Array, size: float) -> list[tuple[float, float]]:
    """Zeros in [-1, 1] of a Chebyshev series, and its slopes there."""
    kept = np.flatnonzero(np.abs(coefficients) > 1e-15 * size)
    if not len(kept) or kept[-1] == 0:
        return []
    series = coefficients[: kept[-1] + 1]
    if abs(series[0]) > np.abs(series[1:]).sum():  # it cannot vanish
        return []
    slope = chebyshev.chebder(series)
    found: list[tuple[float, float]] = []
    for root in chebyshev.chebroots(series):
        if abs(root.imag) <= 1e-6 and abs(root.real) <= 1 + 1e-12:
            place = float(root.real)
            for _ in range(2):  # to the last digit, where the zero is simple
                steep = float(chebyshev.chebval(place, slope))
                if abs(steep) > 1e-6 * size:
                    place -= float(chebyshev.chebval(place, series) / steep)
            steep = float(chebyshev.chebval(place, slope))
            if abs(place) <= 1 + 1e-14 and abs(chebyshev.chebval(place, series)) <= 1e-12 * size:
                found.append((min(1.0, max(-1.0, place)), steep if abs(steep) > 1e-6 * size else 0.0))
    return sorted(found)


class TaylorCurve(Curve):
    """Pieces are Taylor polynomials.

    Parameters
    ----------
    pieces : ndarray, shape (steps, 3)
        Time and length of each step, and the unit of time of its coefficients.
    coefficients : ndarray, shape (steps, degree + 1, n)
    error : float
    """

    def __init__(self, pieces: Array, coefficients: Array, error: float) -> None:
        super().__init__(np.append(pieces[:, 0], pieces[-1, 0] + pieces[-1, 1]), error)
        self.units, self.coefficients = pieces[:, 2], coefficients

    def _piece(self, number: int, times: Array) -> Array:
        shift = (times - self.edges[number])[:, None] / self.units[number]
        series = self.coefficients[number]
        total = np.broadcast_to(series[-1], (len(times), series.shape[1]))
        for row in series[-2::-1]:
            total = total * shift + row
        return np.asarray(total)


class DenseCurve(Curve):
    """Pieces are functions of time, such as the dense output of an integrator of SciPy."""

    def __init__(self, edges: Array, functions: list[Callable[[Array], Array]], error: float) -> None:
        super().__init__(edges, error)
        self.functions = functions

    def _piece(self, number: int, times: Array) -> Array:
        return np.asarray(self.functions[number](times)).T
