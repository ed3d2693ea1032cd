"""The way of a prediction: the equation of motion where it pays, the optimiser elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eomsym.codegen.kernel import Kernel
from eomsym.dynamics.descent import MEMORY_ORDER, MOST_STEPS, descend
from eomsym.dynamics.leading_error import slope_of
from eomsym.dynamics.leaps import Leaper
from eomsym.dynamics.patience import Patience, Stopped
from eomsym.dynamics.prediction import Forward, Stretch
from eomsym.dynamics.spectrum import PRODUCT
from eomsym.dynamics.trajectory import Trajectory
from eomsym.dynamics.walker import Walker, carried
from eomsym.errors import DivergenceError, InputError
from eomsym.optimisers.linear import GradientDescent

__all__ = ["Ahead"]

Array = NDArray[np.float64]
Progress = Callable[[int, int, str], None]

#: Highest order that is chosen.
HIGHEST = 4
#: Runs shorter than this are not worth a prediction.
SHORTEST = 400
#: Where ``eta * lambda`` exceeds this share of the radius, the optimiser runs.
SHARE = 0.7
#: Leaps of gradient descent end where it is this near to the edge of stability.
EDGE = 1.9
#: The equation must gain at least so many steps for the cost of one, or the optimiser runs.
GAIN, KEPT = 1.5, 0.6
#: Steps of the equation over which that is judged, and the share of the run that may be spent before.
WINDOW, TRIAL = 8, 0.05
#: Leaps that end with more than this share of the way to go are given up.
GIVEN_UP = 0.8
#: After that they are tried again further on, if each gradient made so many steps.
RETRY = 0.7
#: How often the equation is tried on a stretch.
ATTEMPTS = 3
#: A direction of rate ``eta * lambda`` above this is left to the optimiser, for so many of its times, to come to rest.
FAST, REST = 0.03, 12.0
#: A memory has settled when as much of its beginning is left.
SETTLED = 1e-10
#: Then it is that of the flow, up to the order to which this is known: as near as this, relative.
KNOWN = 0.5
#: Steps of the optimiser between two calls of `progress`; and at first, where there is a limit of time.
PIECE, FIRST = 20_000, 64


class Ahead:
    """The state of a prediction, and how it came about."""

    def __init__(
        self,
        kernel: Kernel,
        theta: Array,
        tolerance: float,
        order: int | None,
        total: int,
        progress: Progress | None,
        patience: Patience | None = None,
    ) -> None:
        self.kernel, self.theta, self.tolerance, self.asked, self.total = kernel, theta, tolerance, order, total
        self.start, self.progress, self.patience = theta, progress, patience
        self.begin = time.perf_counter()
        self.memory: Any = "rest"
        self.eta = 0.0  # of the equation that was followed last
        self.done = 0
        self.order = -1
        self.sharpness = 0.0
        self.missing, self.errors = np.zeros_like(theta), np.zeros_like(theta)
        self.stretches: list[Stretch] = []
        self.notes: list[str] = []
        self.products: list[float] = []
        self.complete = True
        self._leaping = order is None and isinstance(kernel.method, GradientDescent)
        self._walker: Walker | Leaper | None = None

    # the parts of the way -----------------------------------------------------------------------------------------

    def stretch(self, eta: float, steps: int) -> None:
        """Steps with one learning rate: the equation where it pays, the optimiser elsewhere."""
        if steps < SHORTEST:
            self._note(f"{steps:,} steps are too few for a prediction to pay; the optimiser ran")
            return self._optimise(eta, steps)
        taken, reason = self._settle_memory(eta, steps)
        left = steps - taken
        if reason:
            self._note(f"{(taken and self._beyond(eta, left)) or reason}; the optimiser ran")
            return self._optimise(eta, left)
        for _ in range(ATTEMPTS):
            if left < SHORTEST:
                break
            try:
                walker, reason = self._begin(eta, left), ""
            except DivergenceError:  # such as Adam's square root where an entry of the gradient is 0
                self._note(f"the equation of {self.kernel.method.name} has no finite velocity here; the optimiser ran")
                break
            if not (reason := self._outside(walker, eta)) and eta * walker.sharpness > FAST and left == steps:
                first = min(math.ceil(REST / (eta * walker.sharpness)), steps // 20)
                self._optimise(eta, first)
                left -= first
                walker = self._begin(eta, left, walker)
                reason = self._outside(walker, eta)
            if reason:
                self._note(f"{reason}; the optimiser ran the remaining {left:,} steps")
                break
            if isinstance(walker, Leaper):
                left, again = self._leap(walker, eta, left)
            else:
                order = self._order(eta, left) if self.asked is None else self.asked
                left, again = self._follow(walker, eta, left, order)
            if not left or not again:
                break
            count = min(
                left, max(steps - left, left // (30 if self._leaping else 10))
            )  # the way may be smoother further on
            self._optimise(eta, count)
            left -= count
        if left:
            self._optimise(eta, left)
        return None

    def _begin(self, eta: float, steps: int, before: Walker | Leaper | None = None) -> Walker | Leaper:
        """Leaps for gradient descent, unless an order is asked for; the equation of motion for all others."""
        if not self._leaping:
            return self._walk_from(eta, steps, 1, before)
        spent, direction = (before.gradients, before._direction) if before else (0.0, None)
        return Leaper(
            self.kernel.at_order(0), eta, self.theta, eta * steps, self.tolerance, self.errors, gradients=spent,
            _direction=direction,
        )  # fmt: skip

    def _leap(self, leaper: Leaper, eta: float, steps: int) -> tuple[int, bool]:
        """Leaps as far as they go; see `_walk`."""
        before = self.theta, self.errors, self.done
        left, again = self._walk(leaper, eta, steps)
        if left > GIVEN_UP * steps and not before[1].any():
            # Errors would have to be carried along with the optimiser, at twice its cost: rather begin without any.
            self.theta, self.errors, self.done = before
            spent = self.stretches.pop().gradients
            self.stretches.append(Stretch("the equation, given up", eta, 0, spent))
            again = again and steps - left > RETRY * spent
            left = steps
        return left, again

    def _follow(self, trial: Walker, eta: float, steps: int, order: int) -> tuple[int, bool]:
        """The equation as far as it goes, with one order more where the first was too low; see `_walk`."""
        before = self.theta, self.missing, self.errors, self.done, self.memory
        left, again = self._walk(self._walk_from(eta, steps, order, trial), eta, steps)
        grown = float(np.linalg.norm(self.missing)) > max(self.tolerance, 2 * float(np.linalg.norm(before[1])))
        if grown and self.asked is None and (order < HIGHEST or (left and again)):
            spent = self.stretches.pop().gradients
            if left and again:  # neither exact enough nor cheap
                self.theta, self.missing, self.errors, self.done, self.memory = before
                self.stretches.append(Stretch("the equation, given up", eta, 0, spent))
                return steps, True
            self.notes.append(
                f"order {order} would have neglected {np.linalg.norm(self.missing):.1e}: order {order + 1}"
            )
            self.theta, self.missing, self.errors, self.done, self.memory = before
            trial.gradients = spent
            return self._follow(trial, eta, steps, order + 1)
        return left, again

    def _walk_from(self, eta: float, steps: int, order: int, trial: Walker | Leaper | None = None) -> Walker:
        kernel = self.kernel.at_order(order)
        spent = trial.gradients if trial else 0.0
        direction = trial._direction if trial else None
        return Walker(
            kernel, eta, self.theta, eta * steps, self.tolerance, self.missing, self.errors, gradients=spent,
            _direction=direction,
        )  # fmt: skip

    def _walk(self, walker: Walker | Leaper, eta: float, steps: int) -> tuple[int, bool]:
        """Follow the equation; returns how many steps are left, and whether it may pay again further on."""
        self._walker, self.order = walker, max(self.order, walker.order)
        self.products.append(eta * walker.sharpness)
        recent = [(0.0, walker.gradients)]
        kinds, outside, poor = set(), "", ""
        try:
            while walker.time < walker.until:
                kinds.add(walker.by)
                walker.step()
                self._tell(self.done + min(steps, int(walker.time / eta)), f"equation of order {walker.order}")
                recent = [*recent[-WINDOW:], (walker.time, walker.gradients)]
                outside, poor = self._outside(walker, eta), self._poor(recent, eta, steps, self._least(walker, steps))
                if outside or poor:
                    self._to_whole_step(walker)
                    break
        except Stopped:
            raise
        except DivergenceError as failure:
            self._walker = None
            self._note(f"{failure}; the optimiser ran instead")
            self.stretches.append(Stretch("the equation, given up", eta, 0, walker.gradients))
            return steps, False
        made = min(steps, round(walker.time / eta))
        self.products.append(eta * walker.sharpness)
        self._arrive(walker, eta, made, " and ".join(sorted(kinds)))
        if made < steps:
            self._note(f"after {self.done:,} steps {outside or poor}; the optimiser ran on")
        return steps - made, not outside

    @staticmethod
    def _to_whole_step(walker: Walker | Leaper) -> None:
        """On to the next whole step of the optimiser."""
        walker.stop_at(min(walker.until, walker.eta * math.ceil(walker.time / walker.eta - 1e-9)))
        while walker.time < walker.until:
            walker.step()

    def _arrive(self, walker: Walker | Leaper, eta: float, made: int, kinds: str) -> None:
        walker.carry()
        self.theta, self.missing, self.errors = walker.theta, walker.missing, walker.errors
        self.sharpness = walker.sharpness
        self.done += made
        by = f"the equation of order {walker.order} ({kinds})"
        self.stretches.append(Stretch(by, eta, made, walker.gradients))
        self.memory, self.eta, self._walker = None, eta, None

    def _optimise(self, eta: float, steps: int) -> None:
        """Run the optimiser, in pieces for the sake of progress."""
        if steps > MOST_STEPS:
            why = "".join(f": {note}" for note in self.notes[-1:])
            raise InputError(f"the optimiser itself would make {steps:,} of the steps, for days; take fewer steps{why}")
        memory = self.memory
        if memory is None:  # behind the equation
            memory = self.kernel.at_order(MEMORY_ORDER).memories(self.theta, eta)
        made, spent, pace = 0, 0.0, 0.0
        try:
            while made < steps:
                began = time.process_time()
                count = min(self._piece(made, pace), steps - made)
                every = self._every(eta, count)
                count -= count % every
                path = descend(
                    self.kernel, self.theta, eta=eta, steps=count, every=every, memory=memory, late=self.done
                )
                spent += self._carry_errors(path, eta, count)
                self.theta, memory = path.end, path.memory
                made += count
                self.done += count
                pace = (time.process_time() - began) / count
                self._tell(self.done, "optimiser")
        finally:
            self.memory = memory
            if made:
                self.stretches.append(Stretch("the optimiser", eta, made, made + spent))

    def _piece(self, made: int, pace: float) -> int:
        """Steps to be made at once: with a limit of time ever more, but not more than there is time for."""
        if self.patience is None:
            return PIECE
        left = self.patience.limit - self.patience.spent
        return max(1, int(min(PIECE, max(FIRST, made), left / pace if pace > 0 else PIECE)))

    def _every(self, eta: float, count: int) -> int:
        """Steps of the optimiser over which errors are carried at a time."""
        if not (np.any(self.missing) or np.any(self.errors)) or self._leaping:
            return count
        return min(count, max(1, round(8.0 / max(eta * self.sharpness, 0.004))))

    def _carry_errors(self, path: Trajectory, eta: float, count: int) -> float:
        """Carry errors of the equation along the path of the optimiser that follows it; returns the gradients spent."""
        if not (np.any(self.missing) or np.any(self.errors)):
            return 0.0
        if self._leaping:  # a second run, from where the first one should have begun
            second = descend(self.kernel, self.theta - self.errors, eta=eta, steps=count, every=count)
            self.errors = path.end - second.end
            return float(count)
        slope, spent = slope_of(self.kernel.at_order(1)), 0.0

        def product(point: Array, vector: Array) -> Array:
            nonlocal spent
            spent += PRODUCT
            return slope(point, vector)

        nothing, h = np.zeros_like(self.theta), float(path.times[1] - path.times[0])
        for before, after in pairwise(path.thetas):
            middle = (before + after) / 2
            for name in ("missing", "errors"):
                vector, self.sharpness = carried(product, middle, getattr(self, name), nothing, h, self.sharpness)
                setattr(self, name, vector)
        return spent

    # decisions ----------------------------------------------------------------------------------------------------

    def _settle_memory(self, eta: float, steps: int) -> tuple[int, str]:
        """Run an optimiser that has a memory until this is that of the flow.

        Returns the steps that it took, and why the equation cannot begin behind them, if it cannot.
        """
        plan, method = self.kernel.runner().plan, self.kernel.method.name
        if not plan.memories:
            return 0, ""
        flow = self.kernel.at_order(MEMORY_ORDER)
        if self.memory is None:  # behind the equation
            if eta == self.eta:
                return 0, ""
            self.memory = flow.memories(self.theta, self.eta)
        slowest = max((plan.slowest, *(rate for _, rate in plan.clocks)))
        if slowest >= 1:
            return 0, f"the memory of {method} never settles"
        count = max(64, math.ceil(math.log(SETTLED) / math.log(slowest)) if slowest > 0 else 0)
        if 4 * count > steps:
            return 0, f"the memory of {method} needs {count:,} steps to settle"
        self._optimise(eta, count)
        apart = float(np.linalg.norm(self.memory - flow.memories(self.theta, eta)))
        if apart > KNOWN * float(np.linalg.norm(self.memory)):
            return count, f"the memory of {method} has not settled in {count:,} steps"
        return count, ""

    def _outside(self, walker: Walker | Leaper, eta: float) -> str:
        """Why the series of the equation does not reach this far, if it does not."""
        product = eta * walker.sharpness
        if isinstance(walker, Leaper):  # they need no series, but fast directions at rest
            return f"eta*lambda = {product:.3g} is at the edge of stability" if product > EDGE else ""
        if product > SHARE * self.radius:
            return (
                f"eta*lambda = {product:.3g} is too near to the radius {self.radius:.3g} of {self.kernel.method.name}"
            )
        return ""

    def _beyond(self, eta: float, steps: int) -> str:
        """The same where the equation may have no velocity either."""
        try:
            return self._outside(self._begin(eta, steps), eta)
        except DivergenceError:
            return ""

    @cached_property
    def radius(self) -> float:
        """Where the series of the counter terms ends on a quadratic; that of descent where it is not known."""
        method = self.kernel.method
        if method.is_linear and method.colours == 1 and not method.is_flow:
            found = method.stability().radius
            return math.inf if found is None else float(found)
        return 1.0

    @staticmethod
    def _least(walker: Walker | Leaper, steps: int) -> float:
        """What must be gained: late leaps leave errors behind, with which the optimiser costs twice as much."""
        return KEPT if isinstance(walker, Leaper) and walker.steps >= (1.0 - GIVEN_UP) * steps else GAIN

    @staticmethod
    def _poor(recent: list[tuple[float, float]], eta: float, steps: int, least: float) -> str:
        """Whether the last steps of the equation have not been worth it; a share may be spent on a slow beginning."""
        (begin, spent), (end, now) = recent[0], recent[-1]
        gain = (end - begin) / eta / max(now - spent, 1e-9)
        if len(recent) > 4 and gain < least and now > TRIAL * steps:
            return f"the equation gains only {gain:.2g} steps for the cost of one"
        return ""

    def _order(self, eta: float, steps: int) -> int:
        """The lowest order whose first neglected term promises the tolerance."""
        terms = self.kernel.at_order(HIGHEST + 1).terms(self.theta)
        sizes = np.linalg.norm(terms, axis=1) * eta ** np.arange(HIGHEST + 2)
        way = min(float(sizes[0]) * eta * steps, float(np.linalg.norm(self.theta)) or 1.0)
        for order in range(1, HIGHEST):
            if 0.2 * way * sizes[order + 1] / max(float(sizes[0]), 1e-300) < 3 * self.tolerance:
                return order
        return HIGHEST

    # what is told -------------------------------------------------------------------------------------------------

    def _note(self, text: str) -> None:
        self.notes.append(text)

    def _tell(self, done: int, label: str) -> None:
        if self.progress is not None:
            self.progress(done, self.total, label)
        if self.patience is not None and done < self.total:
            self.patience.check(done / self.total, f"step {done:,} of {self.total:,}", done)

    def interrupted(self) -> None:
        """Keep what the walker has reached: to the next whole step."""
        self.complete = False
        walker = self._walker
        if walker is not None and walker.time > 0:
            self._to_whole_step(walker)
            self._arrive(walker, walker.eta, round(walker.time / walker.eta), "interrupted")
        why = f"interrupted after {self.done:,} of {self.total:,} steps"
        if self.patience is not None and self.patience.exhausted:
            why = (
                f"the limit of {self.patience.limit:g} s of CPU time was reached after {self.done:,} of "
                f"{self.total:,} steps; take fewer steps, or a larger limit"
            )
        self._note(why)

    def result(self) -> Forward:
        neglected, integration = float(np.linalg.norm(self.missing)), float(np.linalg.norm(self.errors))
        if neglected + integration > self.tolerance:
            self._note(f"the estimated error is above the tolerance of {self.tolerance:g}: ask for a smaller one")
        return Forward(
            self.theta - self.missing,
            self.done,
            neglected + integration,
            neglected,
            integration,
            self.order,
            sum(part.gradients for part in self.stretches),
            tuple(self.stretches),
            tuple(self.products),
            tuple(self.notes),
            self.complete,
            time.perf_counter() - self.begin,
            self.kernel,
            self.start,
        )
