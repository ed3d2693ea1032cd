"""Two solutions of a field side by side, whose distance is the error that is reported.

Tolerances of an adaptive integrator bound the error of one step, not of the path, so the equation is solved twice, each
solution going on by itself. Where nothing is stiff both are by DOP853, the second at a ten times looser tolerance.
Where stability, and no longer accuracy, bounds its steps, stabilised steps of order 4 take over, for the square root of
the evaluations: two of them along the first solution, and one of twice the length along the second. Which of the two it
is, is measured: the steps that were made, times the fastest rate of decay from a few Arnoldi products.

References
----------
Hairer, Nørsett, Wanner (1993), Solving Ordinary Differential Equations I, sections II.4, II.5 and II.10,
doi:10.1007/978-3-540-78862-1.
Hairer, Wanner (1996), Solving Ordinary Differential Equations II, section IV.2 (stabilised methods, and how stiffness
shows), doi:10.1007/978-3-642-05221-7.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import DOP853

from eomsym.dynamics import stabilised
from eomsym.dynamics.patience import Patience
from eomsym.errors import DivergenceError, TableError

__all__ = ["TIGHTENING", "Pair", "fastest_decay"]

Array = NDArray[np.float64]
Velocity = Callable[[Array], Array]

#: How much tighter the run is that is the answer.
TIGHTENING = 10.0
#: Of DOP853, and how many evaluations each of them takes: 2.4 million in all, as many as stabilised steps may take.
MOST_STEPS, STAGES = 200_000, 12
#: After so many steps it is seen whether the rest could be done.
HOPELESS = 1000
#: After so many steps of DOP853 stiffness is measured first.
LOOK = 25
#: Steps times decay of DOP853 at which stability bounds them (its limit is about 6), and of a stabilised step below
#: which DOP853 needs fewer evaluations.
BOUND, WORTH = 4.0, 2.0
#: Products of a first measurement, and of one that is renewed after so many pairs of steps; stages are chosen for more.
FIRST, AGAIN, RENEWED, MARGIN = 8, 3, 4, 1.15
#: Stabilised steps want real eigenvalues: imaginary parts are at most this share of the fastest decay.
REAL = 0.1


def fastest_decay(velocity: Velocity, state: Array, slope: Array, guess: Array, products: int) -> tuple[float, Array]:
    """The largest rate at which displacements decay, by Arnoldi's method on differences of the field.

    Parameters
    ----------
    velocity : callable
    state, slope : ndarray, shape (n,)
        A point, and the velocity there.
    guess : ndarray, shape (n,)
        A direction to begin with.
    products : int
        Evaluations to spend.

    Returns
    -------
    rate : float
        0 where nothing decays, or where the field turns around as fast as it decays.
    direction : ndarray, shape (n,)
        A unit vector that decays at about that rate.

    Examples
    --------
    >>> found = fastest_decay(lambda y: -np.array([1.0, 50.0]) * y, np.zeros(2), np.zeros(2), np.ones(2), 2)
    >>> round(found[0], 6)
    50.0
    """
    count, short = min(products, len(state)), 1e-8 * (1.0 + float(np.linalg.norm(state)))
    basis, matrix = np.zeros((count + 1, len(state))), np.zeros((count + 1, count))
    basis[0] = guess / (float(np.linalg.norm(guess)) or 1.0)
    for k in range(count):
        image = (velocity(state + short * basis[k]) - slope) / short
        for _ in range(2):  # Gram and Schmidt, twice
            shares = basis[: k + 1] @ image
            image = image - shares @ basis[: k + 1]
            matrix[: k + 1, k] += shares
        matrix[k + 1, k] = float(np.linalg.norm(image))
        if not matrix[k + 1, k] > 1e-6 * abs(matrix[: k + 1, : k + 1]).max():
            count = k + 1
            break
        basis[k + 1] = image / matrix[k + 1, k]
    if not np.isfinite(matrix).all():
        return 0.0, basis[0]
    values, vectors = np.linalg.eig(matrix[:count, :count])
    fastest = int(np.argmin(values.real))
    rate = max(-float(values[fastest].real), 0.0)
    direction = vectors[:, fastest].real @ basis[:count]
    turning = float(np.abs(values.imag).max()) > REAL * rate
    return 0.0 if turning else rate, direction / (float(np.linalg.norm(direction)) or 1.0)


class Pair:
    """Two solutions at given times.

    Parameters
    ----------
    velocity : callable
        From state ``(n,)`` to its derivative ``(n,)``.
    start : ndarray, shape (n,)
    times : ndarray, shape (m,)
        Increasing or decreasing.
    rtol : float
        Relative tolerance of a step of the looser solution.
    atol : float or ndarray, shape (n,)
    patience : Patience, optional
        How long it may take.

    Attributes
    ----------
    states : ndarray, shape (2, m, n)
        The solutions; the first is nearer to the truth.
    evaluations : int
    stiff : float
        The share of the way that was made by stabilised steps.

    Raises
    ------
    DivergenceError
        The solution leaves the finite numbers, or the field is too stiff.
    Stopped
        It takes longer than it may.

    Examples
    --------
    A slow decay next to one that is ten thousand times faster:

    >>> rates = np.array([1.0, 1e4])
    >>> pair = Pair(lambda y: -rates * y, np.ones(2), np.array([0.0, 1.0]), 1e-6, 1e-9)
    >>> bool(abs(pair.states[0, -1, 0] - np.exp(-1)) < pair.error < 1e-4), pair.evaluations < 5000
    (True, True)
    """

    def __init__(
        self,
        velocity: Velocity,
        start: Array,
        times: Array,
        rtol: float,
        atol: float | Array,
        patience: Patience | None = None,
    ) -> None:
        self.times, self.rtol, self.atol = times, rtol, np.asarray(atol)
        self.states = np.empty((2, len(times), len(start)))
        self.states[:, 0] = start
        self.evaluations, self.stiff = 0, 0.0
        self._velocity, self._way = velocity, float(np.sign(times[-1] - times[0]))
        self._marks = self._way * times  # what happens in this class happens forwards
        self._now, self._at, self._reached = float(self._marks[0]), [start, start], 1
        self._step, self._decay, self._look = 0.0, 0.0, LOOK
        self._direction = np.random.default_rng(0).normal(size=len(start))
        self._patience, self._before = patience, patience.spent if patience else 0.0
        with np.errstate(all="ignore"):
            if not np.all(np.isfinite(self._field(start))):
                raise DivergenceError("the velocity at the start is not finite; choose another start", 1)
            while self._reached < len(times):
                self._explicit()
                if self._reached < len(times):
                    self._stabilised()

    @property
    def error(self) -> float:
        """Largest Euclidean distance of the two solutions over the times."""
        return float(np.max(np.linalg.norm(self.states[0] - self.states[1], axis=1)))

    def _field(self, state: Array) -> Array:
        # A trial step may leave the domain where a shorter one does not; NaN makes an integrator shorten it.
        self.evaluations += 1
        try:
            if math.isfinite(state.sum()):
                return self._velocity(state) if self._way > 0 else -self._velocity(state)
        except TableError:
            pass
        return np.full_like(state, np.nan)

    # steps that accuracy bounds ---------------------------------------------------------------------------------------

    def _explicit(self) -> None:
        """Both solutions by DOP853, to the end or to where the field is stiff."""
        stop, reached = self._march(0, float(self._marks[-1]), 1 / TIGHTENING)
        if stop > self._now:
            self._march(1, stop, 1.0)
        self._now, self._reached = stop, reached

    def _march(self, which: int, end: float, share: float) -> tuple[float, int]:
        """One solution; the time at which it ends and the first of the times that it did not reach."""
        begin, last, reached = self._now, float(self._marks[-1]), self._reached
        # One step of both, which they would make alike, measures nothing: of the first solution it takes two.
        longest = (end - begin) / 2 or end - begin if which == 0 else math.inf
        solver = DOP853(
            lambda _, state: self._field(state), begin, self._at[which], end, max_step=longest,
            rtol=self.rtol * share, atol=self.atol * share, first_step=min(self._step, end - begin, longest) or None,
        )  # fmt: skip
        for steps in range(1, MOST_STEPS + 1):
            solver.step()
            if solver.status == "failed" or not np.all(np.isfinite(solver.y)):
                raise self._diverged(solver.t, reached)
            passed = int(np.searchsorted(self._marks, solver.t, side="left"))
            if passed > reached:
                self.states[which, reached:passed] = solver.dense_output()(self._marks[reached:passed]).T
                reached = passed
            self._at[which] = solver.y
            if solver.status == "finished":
                if solver.t == last:
                    self.states[which, -1] = solver.y
                    reached = len(self.times)
                return float(solver.t), reached
            if which == 0 and steps % self._look == 0 and self._is_stiff(solver):
                return float(solver.t), reached
            self._hurry(solver.t, reached, foresee=which == 0)
            if steps % HOPELESS == 0 and abs((solver.t - begin) / (end - begin)) * 5 * MOST_STEPS < steps:
                break  # at this pace it would take five times as many
        raise self._too_stiff(f"{steps} steps", solver.t, reached)

    def _is_stiff(self, solver: DOP853) -> bool:
        """Whether stability bounds the last step, and more than one like it remain."""
        self._measure(solver.y, self._field(solver.y), FIRST)
        self._step = float(solver.step_size)
        return self._decay * self._step > BOUND and self._marks[-1] - solver.t > 8 * self._step

    def _measure(self, state: Array, slope: Array, products: int) -> None:
        self._decay, self._direction = fastest_decay(self._field, state, slope, self._direction, products)

    def _diverged(self, when: float, reached: int) -> DivergenceError:
        return DivergenceError(
            f"the solution leaves the finite numbers at about time {self._way * when:.6g}; "
            f"integrate to an earlier time than {self.times[-1]:.6g}, or take a smaller eta or order",
            reached,
        )

    def _too_stiff(self, spent: str, when: float, reached: int) -> DivergenceError:
        return DivergenceError(
            f"the field is too stiff: {spent} only reach time {self._way * when:.6g} of {self.times[-1]:.6g}; "
            "take a shorter time, or a smaller eta or order",
            reached,
        )

    def _share(self, when: float) -> float:
        """Of the whole way."""
        return float((when - self._marks[0]) / (self._marks[-1] - self._marks[0]))

    def _hurry(self, when: float, reached: int, *, foresee: bool) -> None:
        """Stop where all of this takes longer than it may."""
        if self._patience:
            where = f"time {self._way * when:.6g} of {self.times[-1]:.6g}"
            foresee = foresee and self.evaluations > STAGES * HOPELESS
            self._patience.check(self._share(when), where, reached, before=self._before, foresee=foresee)

    # steps that stability would bound ---------------------------------------------------------------------------------

    def _stabilised(self) -> None:
        """Both solutions by stabilised steps, to the end or as long as these are worth it."""
        slopes = [self._field(state) for state in self._at]
        length, short, pairs = self._step, 0, 0
        while self._reached < len(self.times) and short < 3:
            rate, rest = MARGIN * self._decay, float(self._marks[self._reached]) - self._now
            longest = stabilised.stability(stabilised.MOST) / max(2 * rate, 1e-300)
            h = min(length, rest / 2, longest)
            found = self._both(h, rate, slopes)
            size = self._size(*found)
            if not size <= 1.0:
                length = h * (max(0.2, 0.8 * size**-0.2) if math.isfinite(size) else 0.25)
                short += length * rate < WORTH
                continue
            short = short + 1 if h * rate < WORTH else 0
            # Where fast directions are slaved the error grows faster than with the fifth power.
            grown = h * min(2.0, 0.85 * max(size, 1e-9) ** -0.125)
            length = max(length, grown) if h < length else grown
            self._now, self._at = self._now + 2 * h, list(found)
            self.stiff += 2 * h / float(self._marks[-1] - self._marks[0])
            if h == rest / 2:
                self._now = float(self._marks[self._reached])
                self.states[:, self._reached] = found
                self._reached += 1
            slopes, pairs = [self._field(state) for state in found], pairs + 1
            self._hurry(self._now, self._reached, foresee=True)
            if pairs % RENEWED == 0 and self._reached < len(self.times):
                self._measure(found[0], slopes[0], AGAIN)
                share = self._share(self._now)
                if self.evaluations > STAGES * HOPELESS and share * 5 * STAGES * MOST_STEPS < self.evaluations:
                    raise self._too_stiff(f"{self.evaluations} evaluations", self._now, self._reached)
        self._look *= 2  # looks that did not pay become rare

    def _both(self, h: float, rate: float, slopes: list[Array]) -> tuple[Array, Array]:
        """Two steps along the first solution, one of twice the length along the second."""
        few, many = stabilised.stages_for(h * rate), stabilised.stages_for(2 * h * rate)
        middle = stabilised.step(self._field, self._at[0], slopes[0], h, few)
        fine = stabilised.step(self._field, middle, self._field(middle), h, few)
        return fine, stabilised.step(self._field, self._at[1], slopes[1], 2 * h, many)

    def _size(self, fine: Array, coarse: Array) -> float:
        """By how much the solutions moved apart, over what is allowed."""
        apart = (fine - coarse) - (self._at[0] - self._at[1])
        scale = self.atol + self.rtol * np.maximum(np.abs(self._at[0]), np.abs(fine))
        return float(np.sqrt(np.mean((apart / scale) ** 2)))
