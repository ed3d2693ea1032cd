"""Where a run will be after many steps: the optimiser's parameters by its equation of motion.

Where ``eta * lambda`` is small, the equation of motion takes steps that are hundreds of learning rates long. What is
neglected in the equation, and the errors of its integrator, are carried along the path by the linearised flow: their
sum is the estimated error. The prediction has what is neglected added, so it is mostly better than that.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eomsym import checks
from eomsym.codegen.kernel import Kernel, kernel_of
from eomsym.dynamics.descent import MEMORY_ORDER, descend
from eomsym.dynamics.leading_error import slope_of
from eomsym.dynamics.trajectory import Trajectory
from eomsym.dynamics.walker import PRODUCT, Walker, carried
from eomsym.errors import DivergenceError, InputError
from eomsym.losses.objective import Objective
from eomsym.optimisers.base import Method

__all__ = ["Forward", "Stretch", "forward"]

Array = NDArray[np.float64]
Progress = Callable[[int, int, str], None]

#: Highest order that is chosen.
HIGHEST = 4
#: Runs shorter than this are not worth a prediction.
SHORTEST = 400
#: Where ``eta * lambda`` exceeds this share of the radius, the optimiser runs.
SHARE = 0.7
#: The equation must gain at least so many steps for the cost of one, or the optimiser runs.
GAIN = 1.5
#: Steps of the equation over which that is judged, and the share of the run that may be spent before.
WINDOW, TRIAL = 8, 0.05
#: How often the equation is tried on a stretch.
ATTEMPTS = 3
#: A direction of rate ``eta * lambda`` above this is left to the optimiser, for so many of its times, to come to rest.
FAST, REST = 0.03, 12.0
#: A memory is on the flow when it is as near as this, relative.
SETTLED = 1e-8
#: Steps of the optimiser between two calls of `progress`.
PIECE = 20_000


@dataclass(frozen=True)
class Stretch:
    """A part of the way.

    Attributes
    ----------
    by : str
        ``"optimiser"``, or the equation of motion with its order and integrator.
    eta : float
    steps : int
        Steps of the optimiser that it covers.
    gradients : float
        What was spent on it, in steps of the optimiser.
    """

    by: str
    eta: float
    steps: int
    gradients: float


@dataclass(frozen=True, eq=False)
class Forward:
    """A prediction of the parameters after many steps.

    Attributes
    ----------
    theta : ndarray, shape (n,)
        The parameters; behind them the memories that the method keeps as states.
    steps : int
        Steps that were made; fewer than asked for after an interruption.
    error : float
        Estimated Euclidean distance from the optimiser: what the equation neglects plus the integrator's.
        0 where the optimiser ran all the way.
    neglected, integration : float
        Its two parts. The first has been subtracted from the prediction, so the true distance is mostly far smaller.
    order : int
        Order of the equation of motion; -1 where it was not used.
    gradients : float
        What was spent, in steps of the optimiser, counted by arithmetic.
    stretches : tuple of Stretch
        How the way was made.
    sharpness : tuple of float
        ``eta * lambda`` at the begin of the equation and at its end.
    notes : tuple of str
        Why the optimiser ran, where it did; what to know.
    complete : bool
        False after an interruption.
    seconds : float
    kernel : Kernel
    """

    theta: Array
    steps: int
    error: float
    neglected: float
    integration: float
    order: int
    gradients: float
    stretches: tuple[Stretch, ...]
    sharpness: tuple[float, ...]
    notes: tuple[str, ...]
    complete: bool
    seconds: float
    kernel: Kernel = field(repr=False)

    @property
    def saved(self) -> float:
        """How many times fewer gradients than the optimiser itself."""
        return self.steps / max(self.gradients, 1e-9)

    def __str__(self) -> str:
        way = "; ".join(
            f"{part.steps:,} steps by {part.by} for {part.gradients:,.0f} gradients" for part in self.stretches
        )
        head = f"{self.steps:,} steps" + ("" if self.complete else " (interrupted)")
        spent = f"{self.gradients:,.0f} gradients, {self.saved:.1f} times fewer, {self.seconds:.2f} s"
        return "\n".join([f"{head}: error {self.error:.1e}, {spent}", way, *self.notes])

    def record(self) -> dict[str, Any]:
        """Everything as numbers, lists and text, for JSON."""
        numbers = ("steps", "error", "neglected", "integration", "order", "gradients", "saved", "complete", "seconds")
        return {
            "schema": "eomsym.forward",
            "schema_version": 1,
            **{name: getattr(self, name) for name in numbers},
            "sharpness": list(self.sharpness),
            "stretches": [vars(part) for part in self.stretches],
            "notes": list(self.notes),
            "loss": self.kernel.loss.describe(),
            "method": self.kernel.method.name,
            "theta": self.theta.tolist(),
        }


def forward(
    loss: Objective | Sequence[Objective] | Kernel,
    start: Any,
    *,
    eta: float | Sequence[float],
    steps: int | Sequence[int],
    method: Method | None = None,
    tolerance: float = 1e-6,
    order: int | None = None,
    progress: Progress | None = None,
) -> Forward:
    """Predict where an optimiser will be after many steps, by its equation of motion.

    Parameters
    ----------
    loss : Loss, Field, DeepLinear, Network, a list of them, or Kernel
        One for each batch of an `Epoch`.
    start : array_like, shape (n,), or dict
    eta : float or sequence of float
        Learning rate; for a schedule one of each stretch.
    steps : int or sequence of int
        Steps of the optimiser, of each stretch.
    method : Method, optional
        Gradient descent by default, or that of the kernel.
    tolerance : float
        Euclidean distance from the optimiser that will do.
    order : int, optional
        Order of the equation of motion; by default the lowest that promises the tolerance, at most 4.
    progress : callable, optional
        Called with (steps done, steps in all, what is done).

    Returns
    -------
    Forward
        Where the equation would not pay, or ``eta * lambda`` leaves the radius of the method, the optimiser runs, and
        ``notes`` say so. After Ctrl-C what has been reached is returned.

    Raises
    ------
    InputError
        ``eta``, ``steps``, ``tolerance`` or ``order`` cannot be used, or a schedule has a hole.
    ShapeError
        The start does not fit the loss.
    DivergenceError
        The optimiser itself diverges.

    Examples
    --------
    >>> import eomsym as eom
    >>> found = forward(eom.Loss("x**2/2", variables="x"), [1.0], eta=0.1, steps=50)
    >>> found.error, found.notes[0].split(";")[0]
    (0.0, '50 steps are too few for a prediction to pay')

    References
    ----------
    E. Hairer, C. Lubich, G. Wanner, Geometric Numerical Integration, chapter IX (the equation);
    E. Hairer, S. P. Nørsett, G. Wanner, Solving Ordinary Differential Equations I, section II.8 (the carried errors).
    """
    kernel = kernel_of(loss, None if isinstance(loss, Kernel) else 0, method)
    theta = kernel.point(start)
    schedule = _schedule(eta, steps)
    tolerance = checks.positive(tolerance, "tolerance", 1e-6)
    least = 1e-13 * max(1.0, float(np.linalg.norm(theta)))
    if tolerance < least:
        raise InputError(f"tolerance={tolerance!r}: float64 cannot give less than {least:.1e} for these parameters")
    if order is not None:
        checks.count(order, "order")
    told = checks.progress(progress)
    run = _Run(kernel, theta, tolerance, order, sum(count for _, count in schedule), told)
    try:
        for rate, count in schedule:
            run.stretch(rate, count)
    except KeyboardInterrupt:
        run.interrupted()
    return run.result()


def _schedule(eta: Any, steps: Any) -> list[tuple[float, int]]:
    """Learning rates and steps of the stretches."""
    rates = list(eta) if isinstance(eta, (list, tuple, np.ndarray)) else [eta]
    counts = list(steps) if isinstance(steps, (list, tuple, np.ndarray)) else [steps]
    if len(rates) != len(counts) or not rates:
        raise InputError(
            f"the schedule has {len(rates)} learning rates for {len(counts)} stretches of steps: expected one of each, "
            "such as eta=[0.1, 0.01], steps=[1000, 5000]"
        )
    for k, (rate, count) in enumerate(zip(rates, counts, strict=True), 1):
        if rate is None or count is None:
            raise InputError(f"the schedule has a hole: stretch {k} of {len(rates)} has eta={rate!r}, steps={count!r}")
    return [
        (checks.positive(rate, "eta"), checks.count(count, "steps", 1))
        for rate, count in zip(rates, counts, strict=True)
    ]


class _Run:
    """The state of a prediction, and how it came about."""

    def __init__(
        self, kernel: Kernel, theta: Array, tolerance: float, order: int | None, total: int, progress: Progress | None
    ) -> None:
        self.kernel, self.theta, self.tolerance, self.asked, self.total = kernel, theta, tolerance, order, total
        self.progress = progress
        self.begin = time.perf_counter()
        self.memory: Any = "rest"
        self.late = False
        self.done = 0
        self.order = -1
        self.sharpness = 0.0
        self.missing, self.errors = np.zeros_like(theta), np.zeros_like(theta)
        self.stretches: list[Stretch] = []
        self.notes: list[str] = []
        self.products: list[float] = []
        self.complete = True
        self._walker: Walker | None = None

    # the parts of the way -----------------------------------------------------------------------------------------

    def stretch(self, eta: float, steps: int) -> None:
        """Steps with one learning rate: the equation where it pays, the optimiser elsewhere."""
        if steps < SHORTEST:
            self._note(f"{steps:,} steps are too few for a prediction to pay; the optimiser ran")
            return self._optimise(eta, steps)
        left = steps - self._settle_memory(eta, steps)
        for _ in range(ATTEMPTS):
            if left < SHORTEST:
                break
            trial = self._walk_from(eta, left, 1)
            reason = self._outside(trial, eta)
            if not reason and eta * trial.sharpness > FAST and left == steps:
                first = min(math.ceil(REST / (eta * trial.sharpness)), steps // 20)
                self._optimise(eta, first)
                left -= first
                trial = self._walk_from(eta, left, 1, trial)
                reason = self._outside(trial, eta)
            if reason:
                self._note(f"{reason}; the optimiser ran the remaining {left:,} steps")
                break
            left, again = self._follow(trial, eta, left, self._order(eta, left) if self.asked is None else self.asked)
            if not left or not again:
                break
            count = min(left, max(steps - left, left // 10))  # the way may be smoother further on
            self._optimise(eta, count)
            left -= count
        if left:
            self._optimise(eta, left)
        return None

    def _follow(self, trial: Walker, eta: float, steps: int, order: int) -> tuple[int, bool]:
        """The equation as far as it goes, with one order more where the first was too low; see `_walk`."""
        before = self.theta, self.missing, self.errors, self.done, self.memory, self.late
        left, again = self._walk(self._walk_from(eta, steps, order, trial), eta, steps)
        grown = float(np.linalg.norm(self.missing)) > max(self.tolerance, 2 * float(np.linalg.norm(before[1])))
        if grown and self.asked is None and (order < HIGHEST or (left and again)):
            spent = self.stretches.pop().gradients
            if left and again:  # neither exact enough nor cheap
                self.theta, self.missing, self.errors, self.done, self.memory, self.late = before
                self.stretches.append(Stretch("the equation, given up", eta, 0, spent))
                return steps, True
            self.notes.append(
                f"order {order} would have neglected {np.linalg.norm(self.missing):.1e}: order {order + 1}"
            )
            self.theta, self.missing, self.errors, self.done, self.memory, self.late = before
            trial.gradients = spent
            return self._follow(trial, eta, steps, order + 1)
        return left, again

    def _walk_from(self, eta: float, steps: int, order: int, trial: Walker | None = None) -> Walker:
        kernel = self.kernel.at_order(order)
        spent = trial.gradients if trial else 0.0
        direction = trial._direction if trial else None
        return Walker(
            kernel, eta, self.theta, eta * steps, self.tolerance, self.missing, self.errors, gradients=spent,
            _direction=direction,
        )  # fmt: skip

    def _walk(self, walker: Walker, eta: float, steps: int) -> tuple[int, bool]:
        """Follow the equation; returns how many steps are left, and whether it may pay again further on."""
        self._walker, self.order = walker, max(self.order, walker.kernel.order)
        self.products.append(eta * walker.sharpness)
        recent = [(0.0, walker.gradients)]
        kinds, outside, poor = set(), "", ""
        try:
            while walker.time < walker.until:
                kinds.add("Chebyshev" if walker.stabilised else "DOP853")
                walker.step()
                self._tell(self.done + min(steps, int(walker.time / eta)), f"equation of order {walker.kernel.order}")
                recent = [*recent[-WINDOW:], (walker.time, walker.gradients)]
                outside, poor = self._outside(walker, eta), self._poor(recent, eta, steps)
                if outside or poor:
                    self._to_whole_step(walker)
                    break
        except DivergenceError as failure:
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
    def _to_whole_step(walker: Walker) -> None:
        """On to the next whole step of the optimiser."""
        walker.stop_at(min(walker.until, walker.eta * math.ceil(walker.time / walker.eta - 1e-9)))
        while walker.time < walker.until:
            walker.step()

    def _arrive(self, walker: Walker, eta: float, made: int, kinds: str) -> None:
        walker.carry()
        self.theta, self.missing, self.errors = walker.theta, walker.missing, walker.errors
        self.sharpness = walker.sharpness
        self.done += made
        by = f"the equation of order {walker.kernel.order} ({kinds})"
        self.stretches.append(Stretch(by, eta, made, walker.gradients))
        self.memory, self.late, self._walker = None, True, None

    def _optimise(self, eta: float, steps: int) -> None:
        """Run the optimiser, in pieces for the sake of progress."""
        memory = self.memory
        if memory is None:  # behind the equation
            memory = self.kernel.at_order(MEMORY_ORDER).memories(self.theta, eta)
        # Corrections of a bias count the steps of a run, so that one is not made in pieces.
        piece = min(steps, PIECE) if self.late or not self.kernel.runner().plan.clocks else steps
        made, spent = 0, 0.0
        while made < steps:
            count = min(piece, steps - made)
            every = self._every(eta, count)
            count -= count % every
            path = descend(self.kernel, self.theta, eta=eta, steps=count, every=every, memory=memory, late=self.late)
            spent += self._carry_errors(path)
            self.theta, memory = path.end, path.memory
            made += count
            self.done += count
            self._tell(self.done, "optimiser")
        self.memory = memory
        self.stretches.append(Stretch("the optimiser", eta, steps, steps + spent))

    def _every(self, eta: float, count: int) -> int:
        """Steps of the optimiser over which errors are carried at a time."""
        if not (np.any(self.missing) or np.any(self.errors)):
            return count
        return min(count, max(1, round(8.0 / max(eta * self.sharpness, 0.004))))

    def _carry_errors(self, path: Trajectory) -> float:
        """Carry errors of the equation along the path of the optimiser that follows it; returns the gradients spent."""
        if not (np.any(self.missing) or np.any(self.errors)):
            return 0.0
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

    def _settle_memory(self, eta: float, steps: int) -> int:
        """Run an optimiser that has a memory until this is that of the flow; returns the steps that it took."""
        if not isinstance(self.memory, str) or not self.kernel.runner().plan.memories:
            return 0
        flow, count, spent, last = self.kernel.at_order(MEMORY_ORDER), 64, 0, math.inf
        while True:
            path = descend(self.kernel, self.theta, eta=eta, steps=count, every=count, memory="rest")
            spent += count
            expected = flow.memories(path.end, eta)
            assert path.memory is not None
            away = float(np.linalg.norm(path.memory - expected) / max(float(np.linalg.norm(expected)), 1e-300))
            if away < SETTLED or away > last / 2 or 4 * count > steps:
                break
            count, last = 2 * count, away
        self.theta, self.memory, self.late = path.end, path.memory, True
        self.done += count
        self.stretches.append(Stretch("the optimiser", eta, count, float(spent)))
        return count

    def _outside(self, walker: Walker, eta: float) -> str:
        """Why the series of the equation does not reach this far, if it does not."""
        product = eta * walker.sharpness
        if product > SHARE * self.radius:
            return (
                f"eta*lambda = {product:.3g} is too near to the radius {self.radius:.3g} of {self.kernel.method.name}"
            )
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
    def _poor(recent: list[tuple[float, float]], eta: float, steps: int) -> str:
        """Whether the last steps of the equation have not been worth it; a share may be spent on a slow beginning."""
        (begin, spent), (end, now) = recent[0], recent[-1]
        gain = (end - begin) / eta / max(now - spent, 1e-9)
        if len(recent) > 4 and gain < GAIN and now > TRIAL * steps:
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

    def interrupted(self) -> None:
        """Keep what the walker has reached: to the next whole step."""
        self.complete = False
        walker = self._walker
        if walker is not None and walker.time > 0:
            self._to_whole_step(walker)
            self._arrive(walker, walker.eta, round(walker.time / walker.eta), "interrupted")
        self._note(f"interrupted after {self.done:,} of {self.total:,} steps")

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
        )
