"""The measurement behind a verification: runs, motions and their errors, rung by rung, within a limit of time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from time import process_time
from typing import TYPE_CHECKING

import numpy as np

from eomsym.dynamics.flow import SMALLEST_RTOL, as_times, integrate
from eomsym.dynamics.leading_error import LeadingError, leading_error
from eomsym.dynamics.patience import Patience, Stopped
from eomsym.dynamics.reach import stiffness
from eomsym.errors import DivergenceError, EomsymError, TableError
from eomsym.losses.activations import region
from eomsym.types import Array
from eomsym.verification.advice import BEYOND, Advice, advise
from eomsym.verification.gates import GateWatch
from eomsym.verification.ladder import choose_ladder, radius_of
from eomsym.verification.verdict import TRUST, Evidence, OrderReport

if TYPE_CHECKING:
    from eomsym.codegen.kernel import Kernel
    from eomsym.verification.discrete import Optimiser

__all__ = ["Measurement"]

#: Points of gradient flow at which the sharpness is looked at, and of a run at which gates are.
LOOKS, POINTS = 6, 64
#: A gradient is zero if it moves theta by less than this share of its length.
CRITICAL = 1e-13
#: The cost of an evaluation is measured over so many, or so many seconds.
EVALUATIONS, ENOUGH = 100, 5e-3
#: Relative tolerance of the leading errors, with which errors agree to a few percent or not at all.
LEADING = 1e-6


class Measurement:
    """Distances of one run from the motions of several orders, on a ladder that can grow.

    Parameters
    ----------
    kernel : Kernel
        To what the highest order needs.
    optimiser : Optimiser
    theta : ndarray, shape (n,)
        The start.
    time : float
    asked : sequence of int
        Orders, increasing.
    limit : float
        In seconds of CPU time of the process.
    progress : callable
        Called with (done, total, label).
    """

    def __init__(
        self,
        kernel: Kernel,
        optimiser: Optimiser,
        theta: Array,
        time: float,
        asked: Sequence[int],
        limit: float,
        progress: Callable[[int, int, str], None],
    ) -> None:
        self.kernel, self.optimiser, self.theta, self.time = kernel, optimiser, theta, time
        self.asked, self.limit, self.progress = tuple(asked), limit, progress
        self.patience = Patience(limit)
        self.late = self.skipped = False
        #: A kink that motions slide along; and whether gradient flow does, so that no order has a meaning.
        self.sliding, self.stuck = "", False
        #: Why nothing is worth a run, where that is known beforehand.
        self.refusal = ""
        #: And where the leading errors turned out to take too long.
        self.slow = ""
        self.done, self.total = 0, 1
        #: The last iterate and its error of each number of steps; motions and their errors, by order too.
        self.runs: dict[int, tuple[Array, float]] = {}
        self.ends: dict[tuple[int, int], tuple[Array, float]] = {}
        self.divergence: DivergenceError | None = None

    # what is known before a rung is measured ------------------------------------------------------------------------

    @cached_property
    def cost(self) -> float:
        """Seconds of CPU time of one evaluation of the highest field; it has been compiled before."""
        self.kernel.terms(self.theta)
        began, count, spent = process_time(), 0, 0.0
        while count < EVALUATIONS and spent < ENOUGH:
            self.kernel.terms(self.theta)
            count, spent = count + 1, process_time() - began
        return spent / count

    @cached_property
    def sharpness(self) -> float:
        """The largest along gradient flow, as far as it was looked at."""
        points = [self.theta]
        if not self._stiff:
            try:
                size = float(np.sqrt(np.mean(self.theta**2))) or 1.0
                found, _, _ = integrate(
                    self._velocity(self.kernel.at_order(0), 0.0),
                    self.theta,
                    np.linspace(0, self.time, LOOKS),
                    1e-6,
                    1e-8 * size,
                )
                points = list(found)
            except DivergenceError:
                pass
        seen = [stiffness(self.kernel, point) for point in points if np.isfinite(point).all()]
        return float(np.nanmax(seen)) if np.isfinite(seen).any() else 0.0

    @cached_property
    def _stiff(self) -> str:
        """Why the leading errors are out of reach, or nothing: the steps of an explicit integrator are known."""
        if self.refusal:
            return self.refusal
        product = self.time * stiffness(self.kernel, self.theta)
        seconds = 4 * product * self.cost * (2 + len(self.asked))
        if not seconds > self.limit:
            return ""
        return (
            f"time times sharpness is {product:.3g}: that takes about {seconds:.3g} s, more than limit={self.limit:g}; "
            "take a shorter time, or a larger limit"
        )

    @cached_property
    def leading(self) -> LeadingError:
        """Leading errors from the lowest order on; zero where they are out of reach."""
        orders = range(min(self.asked), max(self.asked) + 1)
        unknown = LeadingError(
            tuple(orders), self.time, np.zeros((len(orders), len(self.theta))), np.zeros(len(orders)), 0
        )
        if self._hopeless:
            return unknown
        try:
            found = leading_error(
                self.kernel,
                self.theta,
                time=self.time,
                orders=orders,
                rtol=LEADING,
                limit=self.limit,
                watch=self._watch(0),
            )
        except Stopped as error:
            self.slow = "" if self.late or self.sliding else str(error)
            return unknown
        self._step("leading errors")
        return found

    @cached_property
    def critical(self) -> bool:
        """Whether nothing moves at the start."""
        try:
            moved = self.time * float(np.linalg.norm(self.kernel.at_order(0).terms(self.theta)[0]))
        except TableError:
            return False
        return moved <= CRITICAL * float(np.linalg.norm(self.theta))

    @property
    def _hopeless(self) -> bool:
        """Whether nothing can be measured at all."""
        return bool(self.critical or self._stiff or self.stuck or self.slow)

    @property
    def silence(self) -> str:
        """Why nothing can be judged at all, where it is known."""
        if self.critical:
            return "the start is a critical point of the loss, where nothing moves; move the start"
        if self._stiff or self.slow:
            return self._stiff or self.slow
        if self.late:
            return f"the limit of {self.limit:g} s was reached; take fewer orders or steps, or a larger limit"
        if self.sliding:
            return f"{self.sliding}; between kinks only does the theory hold; take a shorter time, or another start"
        return ""

    @cached_property
    def radius(self) -> float:
        """That of the method, 1 where it is not known."""
        try:
            return radius_of(self.kernel)
        except EomsymError:
            return 1.0

    def suitable(self) -> tuple[int, ...]:
        """A ladder for the orders asked for."""
        leading = self.leading
        if self._hopeless or self.late:
            return (10, 20)
        length = float(np.linalg.norm(self.theta))
        return choose_ladder(leading, self.asked, self.time, length, self.sharpness, self.radius)

    def advice(self, result: OrderReport) -> Advice:
        """The ladder that would decide an order."""
        if self.silence:
            return Advice()
        if self.gates[0]:
            return Advice((), "no ladder decides while gates switch on the way; take a shorter time, or another start")
        row = result.expected_slope - min(self.asked)
        norms = self.leading.norms
        following = float(norms[row] / norms[row - 1]) if 0 < row < len(norms) and norms[row - 1] > 0 else 0.0
        return advise(
            result,
            self.time,
            self.counts,
            stiff=self.sharpness / self.radius,
            following=following,
            length=float(np.linalg.norm(self.theta)),
        )

    # measuring --------------------------------------------------------------------------------------------------------

    @property
    def counts(self) -> tuple[int, ...]:
        """The numbers of steps measured so far, coarse to fine."""
        return tuple(sorted(self.runs))

    @property
    def etas(self) -> Array:
        """Their learning rates."""
        return np.array([self.time / count for count in self.counts])

    def add(self, counts: Sequence[int]) -> bool:
        """Measure more rungs; False if there was no time for all of them."""
        self.total = self.done + len(counts) * (1 + len(self.asked)) + ("leading" not in vars(self))
        if not self._stiff:
            about = self.cost * 24 * max(20.0, self.time * self.sharpness / 4) * len(counts) * len(self.asked)
            self.progress(self.done, self.total, f"{len(counts)} rungs, about {about:.1g} s")
        for count in counts:
            eta = self.time / count
            try:
                self._check()
                if self._hopeless:
                    raise Stopped("nothing to do", 0)
                self.runs[count] = self.optimiser.run(self.kernel.order, self.theta, eta, count)
            except Stopped:
                self.runs[count] = np.full_like(self.theta, np.nan), np.inf
            except DivergenceError as error:
                self.divergence = error
                self.runs[count] = np.full_like(self.theta, np.nan), np.inf
            self._step(f"{count} steps")
            for order in self.asked:
                # Gradient flow is the same on every rung: made once, as the finest of them needs it.
                finest = max(counts) if order == 0 else count
                if (order, finest) not in self.ends:
                    self.ends[order, finest] = self._motion(order, self.time / finest)
                self.ends[order, count] = self.ends[order, finest]
                self._step(f"order {order}, {count} steps")
        if self.divergence and not any(np.isfinite(end).all() for end, _ in self.runs.values()):
            raise self.divergence
        return not self.late

    def of(self, order: int) -> tuple[Array, Array]:
        """Error vectors, shape (m, n), and reference errors, shape (m,), of an order."""
        pairs = [(self.ends[order, count], self.runs[count]) for count in self.counts]
        gaps = np.array([end - final for (end, _), (final, _) in pairs])
        return gaps, np.array([error + doubt for (_, error), (_, doubt) in pairs])

    def _motion(self, order: int, eta: float) -> tuple[Array, float]:
        """State ``(n,)`` of the equation of motion at the end, and its error; NaN if it blows up on the way.

        The error must only be small against the one to be measured; a tolerance chosen to suit halves the cost, and the
        error is mostly ten thousand times smaller than what it is held against. If it turns out too large, the smallest
        tolerance decides.
        """
        if order > 0 and self._out_of_reach(order, eta):
            return np.full_like(self.theta, np.nan), np.inf
        rows = self.leading.orders
        goal = float(np.linalg.norm(self.leading.at(eta)[rows.index(order)])) if order in rows else 0.0
        kernel, theta = self.kernel.at_order(order), self.theta
        size = float(np.sqrt(np.mean(theta**2))) or 1.0
        guess = goal / (TRUST * float(np.linalg.norm(theta)) or 1.0)
        rtol = float(np.clip(guess, SMALLEST_RTOL, 1e-6))

        velocity = self._velocity(kernel, eta)
        try:
            if self._hopeless:
                raise Stopped("nothing to do", 0)
            ends, error, _ = integrate(velocity, theta, as_times(self.time), rtol, 0.01 * rtol * size)
            if error * 2 * TRUST > goal and rtol > SMALLEST_RTOL:
                rtol = SMALLEST_RTOL
                ends, error, _ = integrate(velocity, theta, as_times(self.time), rtol, 0.01 * rtol * size)
        except (DivergenceError, TableError):
            return np.full_like(theta, np.nan), np.inf
        return ends[-1], error

    def _out_of_reach(self, order: int, eta: float) -> bool:
        """Whether the field of an order is far too stiff: where its series diverges, each term is larger."""
        growth = float(np.sum((eta * self.sharpness) ** np.arange(order + 1.0)))
        beyond = eta * self.sharpness > 1 and 4 * self.time * self.sharpness * growth * self.cost > self.limit / 20
        self.skipped |= beyond
        return beyond

    def _velocity(self, kernel: Kernel, eta: float) -> Callable[[Array], Array]:
        watch = self._watch(kernel.order)

        def velocity(point: Array) -> Array:
            watch(point)
            out: Array = kernel.field(point, eta)
            return out

        return velocity

    def _watch(self, order: int) -> Callable[[Array], None]:
        """What ends an integration of the field of an order: the limit, or a kink that it slides along."""
        gates = GateWatch(self.kernel.losses)

        def watch(point: Array) -> None:
            self._check()
            if found := gates(point):
                self.sliding = found
                self.stuck |= order == 0
                raise Stopped(found, 0)

        return watch

    def _check(self) -> None:
        if self.patience.over:
            self.late = True
            raise Stopped("the limit of time was reached", 0)

    def _step(self, label: str) -> None:
        self.done += 1
        self.progress(self.done, max(self.total, self.done), label)

    # what speaks for a right equation -----------------------------------------------------------------------------

    def evidence(self, order: int, j: int, slope: int) -> Evidence:
        """What a right equation may look like at a rung, see `Evidence`."""
        count, eta = self.counts[j], float(self.etas[j])
        switched, gates = self.gates
        if switched:
            return Evidence(np.inf, f"{switched} of {gates} gates switched on the way, where the loss has kinks")
        method = self.kernel.method
        product = eta * self.sharpness
        share = 0.0
        if method.is_linear and method.colours == 1 and not method.is_flow:
            radius = self.radius
            share = product / radius
            if share > BEYOND:
                return Evidence(
                    np.inf, f"eta*lambda = {product:.3g} is not well inside of the radius {radius:.3g} of {method.name}"
                )
        vector = self.leading.vectors[slope - 1 - min(self.asked)]
        size = eta**slope * float(np.linalg.norm(vector))
        # The distance between the flows of this order and of the first that makes a difference, against the leading
        # error: whether the error is linear yet. And the leading error of the next order against this one.
        further, _ = self._motion(slope, eta)
        linear = float(np.linalg.norm(self.ends[order, count][0] - further - eta**slope * vector)) / size
        try:
            after = leading_error(
                self.kernel.at_order(slope + 1),
                self.theta,
                time=self.time,
                orders=[slope],
                limit=self.limit,
                watch=self._watch(0),
            )
            following = eta ** (slope + 1) * float(after.norms[0] + after.errors[0]) / size
        except EomsymError:
            following = np.inf
        expected = linear + following + share / 4
        return Evidence(expected if np.isfinite(expected) else np.inf)

    @cached_property
    def gates(self) -> tuple[int, int]:
        """How many gates of the losses switch between the points of a run, and how many there are."""
        size = self.kernel.loss.size
        if not sum(region(loss, self.theta[:size]).size for loss in self.kernel.losses):
            return 0, 0
        count = next((count for count in self.counts if np.isfinite(self.runs[count][0]).all()), self.counts[-1])
        eta = self.time / count
        points = self.optimiser.path(self.theta, eta, count, max(count // POINTS, 1))[:, :size]
        switched = total = 0
        for loss in self.kernel.losses:
            patterns = np.array([region(loss, point) for point in points])
            switched += int((patterns != patterns[0]).any(axis=0).sum())
            total += patterns.shape[1]
        return switched, total

    def notes(self) -> list[str]:
        """What a reader of the verdict should know."""
        found = []
        if self.late and not self.critical:
            found.append(f"stopped after {self.limit:g} s of CPU time; what had not been measured by then is nan")
        if "leading" in vars(self):
            found += self.leading.notes
        if self.skipped:
            found.append("motions with eta*lambda > 1 were left out: too stiff, and their series diverges")
        if self.divergence and not self.late:
            found.append(f"{self.divergence}; the other rungs were judged")
        switched, gates = self.gates if not (self.critical or self._stiff) else (0, 0)
        if switched:
            found.append(f"{switched} of {gates} gates switched on the way: between kinks only does the theory hold")
        return found
