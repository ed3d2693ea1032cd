"""One order of the motion at the edge of stability, from the start on: frame after frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import RK45

from eomsym import checks
from eomsym.dynamics.descent import descend
from eomsym.dynamics.frames import DRIFT, Chooser, fading, slowest
from eomsym.dynamics.stretch import Cost, Stretch
from eomsym.errors import DivergenceError, HypothesisError, InputError

if TYPE_CHECKING:
    from eomsym.codegen.kernel import Kernel
    from eomsym.taylor.channels import Frame

__all__ = ["Motion", "Options", "Piece", "Record"]

Array = NDArray[np.float64]

#: What is left over of the start away from the slow manifold, over the size of the parameters.
SETTLED = 1e-6
#: Steps of the optimiser after which slow directions are looked at again.
LOOK = 25
#: Plain steps that are tried at most to get there.
LONGEST = 500
#: An amplitude below this, over the size of the parameters, comes from the rounding errors of the run.
ROUNDING = 1e-13
#: Differences of gradients in the alternating channel are known to this, over the size of the parameters.
NOISE = 3e-15
#: The base point is found to this share of the tolerance of the integrator.
BASE = 1.0
#: So many steps of the integrator must get further than a tenth of that many steps of the optimiser.
STUCK = 200
#: In a step the last term may change amplitudes by this share: beyond it the series does not converge.
WIDEST = 0.4
#: Amplitudes from a few steps differ from that of one iterate by this share at most, or by this of the parameters.
REFINED = 0.1, 1e-4
#: An amplitude below this share of the edge decays faster than it matters.
DECAYS = 0.95
#: Frames that may follow each other without a step of the optimiser between them.
RESTLESS = 8


@dataclass(frozen=True)
class Options:
    """What :func:`eomsym.edge_flow` was asked for."""

    eta: float
    steps: int
    every: int
    critical: int
    fast: int
    settle: int | None
    memory: Any
    rtol: float
    progress: Callable[[int, int, str], None] | None


@dataclass(frozen=True, eq=False)
class Record:
    """The motion at one step."""

    step: int
    mean: Array
    alternating: Array
    amplitudes: Array
    products: Array

    @property
    def iterate(self) -> Array:
        """The predicted iterate, shape (n,)."""
        return self.mean + (1 - 2 * (self.step % 2)) * self.alternating


@dataclass(frozen=True, eq=False)
class Piece:
    """A step of the integrator: the state in between, in which frame."""

    first: float
    last: float
    state: Callable[[float], Array]
    stretch: Stretch | None
    eta: float

    def channels(self, step: float) -> tuple[Array, Array]:
        state = self.state(self.eta * step)
        return self.stretch.channels(state, self.eta) if self.stretch else (state, np.zeros_like(state))


class Motion:
    """One order of the equation, from the start on."""

    def __init__(self, kernel: Kernel, theta: Array, order: int, options: Options) -> None:
        self.kernel, self.order, self.options, self.eta = kernel, order, options, options.eta
        self.cost = Cost()
        self.chooser = Chooser(kernel, options.eta, options.critical, options.fast)
        self.pieces: list[Piece] = []
        self.records: list[Record] = []
        self.values = np.full(max(3, options.critical), np.nan)
        self.settled, self.reason = 0, ""
        self.start = theta

    # the run ------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """From the start to the last step, frame by frame."""
        stretch, y = self._settle()
        step, restless = float(self.settled), 0
        while True:
            before = step
            step, y = self._follow(stretch, y, step)
            if step >= self.options.steps * (1 - 1e-12) or self.reason:
                break
            restless = restless + 1 if step - before < 1 else 0
            if restless > RESTLESS:
                raise HypothesisError(self._no_gap(step))
            mean, alternating = stretch.channels(y, self.eta)
            stretch = self._stretch(mean, alternating)
            y = stretch.enter(mean, alternating)
            stretch.place(mean)
        self.cost.products += self.chooser.products

    def _stretch(self, mean: Array, alternating: Array) -> Stretch:
        """A frame for a point, and the equation in it."""
        found = self.chooser.measure(mean, alternating)
        self.values = self._first(found.values, np.full(max(3, self.options.critical), np.nan))
        return Stretch(self.kernel, self.chooser.frame(found), self.order, self.cost, BASE * self.options.rtol)

    def _drift(self, stretch: Stretch, before: Array | None, y: Array) -> float:
        """How far the frame has come from fitting; notes the eigenvalues."""
        if before is None:
            return 0.0
        now = self.chooser.turned(stretch.frame, *stretch.outline(y))
        drift, values = self.chooser.drift(stretch.frame, before, now)
        self.values = self._first(values, self.values)
        return drift

    @staticmethod
    def _first(values: Array, rest: Array) -> Array:
        """As many eigenvalues as are recorded; the rest as before."""
        kept = rest.copy()
        kept[: len(values)] = values[: len(rest)]
        return kept

    def _follow(self, stretch: Stretch, y: Array, step: float) -> tuple[float, Array]:
        """Integrate in one frame until it no longer fits; return the step and the state there."""
        n, eta = self.kernel.loss.size, self.eta
        solver = RK45(
            lambda _, state: stretch.velocity(state, eta),
            eta * step,
            y,
            eta * self.options.steps,
            rtol=self.options.rtol,
            atol=self._tolerances(y, n),
        )
        looked, marks = step, [step]
        before = self.chooser.turned(stretch.frame, *stretch.outline(y)) if stretch.frame.fast else None
        while solver.status == "running":
            with np.errstate(all="ignore"):
                solver.step()
            if solver.status == "failed" or not np.isfinite(solver.y).all():
                raise self._diverged(solver.t / eta, y[n:])
            if stretch.last_share(solver.y, eta) > WIDEST:
                raise self._diverged(solver.t / eta, solver.y[n:])
            self.cost.steps += 1
            marks.append(solver.t / eta)
            y, now = solver.y.copy(), solver.t / eta
            self._record(solver.dense_output(), stretch, step, now)
            step = now
            if self.options.progress:
                self.options.progress(round(step), self.options.steps, f"edge, order {self.order}")
            drift = self._drift(stretch, before, y)
            self.reason = self._lost(stretch.frame, y, step) or self._stuck(marks)
            if self.reason or drift > DRIFT:
                break
            if step - looked > LOOK:
                looked, found = step, self.chooser.measure(*stretch.outline(y))
                if self.chooser.enters(stretch.frame, found):
                    break
        return step, y

    def _tolerances(self, y: Array, n: int) -> Array:
        """Absolute tolerances: amplitudes are small for long and matter nonetheless.

        One that only decays is driven by the others, and need not be known better than the largest.
        """
        typical = float(np.sqrt(np.mean(y[:n] ** 2))) or 1.0
        noise = NOISE * float(np.linalg.norm(y[:n]))
        sizes = np.abs(y[n:])
        decays = self.eta * self.values[: len(sizes)] < DECAYS * self.chooser.edge
        sizes = np.where(decays, np.max(sizes, initial=0.0), sizes)
        swings = np.maximum(self.options.rtol / 10 * sizes, noise)
        return np.concatenate([np.full(n, self.options.rtol * typical), swings])

    def _record(self, state: Callable[[float], Array], stretch: Stretch, first: float, last: float) -> None:
        piece = Piece(first, last, state, stretch, self.eta)
        self.pieces.append(piece)
        every = self.options.every
        for step in range(every * int(np.floor(first / every) + 1), int(np.floor(last + 1e-9)) + 1, every):
            self._keep(step, *piece.channels(step), state(self.eta * step)[self.kernel.loss.size :])

    def _keep(self, step: int, mean: Array, alternating: Array, x: Array) -> None:
        amplitudes = np.zeros(self.options.critical)
        amplitudes[: len(x)] = x
        self.records.append(Record(step, mean, alternating, amplitudes, self.eta * self.values))

    # the start ----------------------------------------------------------------------------------------------------

    def _settle(self) -> tuple[Stretch, Array]:
        """Plain steps until the start is on the slow manifold, and the state there."""
        theta, k, memory = self.start, 0, self.options.memory
        n = self.kernel.loss.size
        if self.options.settle is not None:
            plain = checks.count(self.options.settle, "settle", 0)
        elif isinstance(memory, str) and fading(self.kernel.method) > 0:  # what is remembered is not that of the motion
            plain = _needed(1.0, SETTLED, fading(self.kernel.method))
        else:
            plain = 0
        limit = SETTLED * float(np.linalg.norm(theta))
        while True:
            if plain:
                path = descend(self.kernel, theta, eta=self.eta, steps=plain, memory=memory)
                for i in range(plain):
                    if (k + i) % self.options.every == 0:
                        self._keep_plain(k + i, path.thetas[i, :n])
                    self.pieces.append(Piece(k + i, k + i, _constant(path.thetas[i, :n]), None, self.eta))
                theta, memory, k = path.thetas[-1], path.memory, k + plain
                if k >= self.options.steps:
                    raise InputError(f"steps={self.options.steps}: the first {k} are needed to settle; follow more")
            stretch = self._stretch(theta, np.zeros(n))
            y, off = stretch.enter_at(theta, 1 - 2 * (k % 2), self.eta) if stretch.frame.fast else (theta, 0.0)
            rate = slowest(stretch.frame, self.kernel.method)
            if off <= limit or (stretch.frame.critical == stretch.frame.fast and np.isfinite(off)):
                break
            plain = _needed(off, limit, rate)
            if self.options.settle is not None or k + plain > LONGEST:
                raise HypothesisError(
                    f"the start is {off:.2g} away from the slow manifold (its fast directions have not settled, and "
                    f"shrink by {rate:.3g} a step); take about {k + plain} plain steps first: settle={k + plain}"
                )
        self.settled = k
        y = self._refined(stretch, y, theta, k, memory) if stretch.frame.critical else y
        if k % self.options.every == 0:
            self._keep(k, *stretch.channels(y, self.eta), y[n:])
        return stretch, y

    def _refined(self, stretch: Stretch, y: Array, theta: Array, k: int, memory: Any) -> Array:
        """The state with amplitudes from a few steps of the run.

        One iterate tells the mean and the amplitude apart only as well as the slaved mean is known, and an amplitude
        may be far smaller than that. But what the mean is off by stays, and what the amplitude is off by alternates.
        """
        n, weights = self.kernel.loss.size, np.array([1, 6, 15, 20, 15, 6, 1]) / 64
        plain = descend(self.kernel, theta, eta=self.eta, steps=len(weights) - 1, memory=memory).thetas[:, :n]
        growth = np.abs(1 - 2 * self.eta * self.values[: stretch.frame.critical] / self.chooser.edge)
        signs = (-1.0) ** np.arange(len(weights))
        first, spent = y, 0
        for _ in range(3):
            solver = RK45(
                lambda _, state: stretch.velocity(state, self.eta), 0.0, y, self.eta * (len(weights) - 1), rtol=1e-9,
                atol=self._tolerances(y, n) / 10,
            )  # fmt: skip
            states, reached = [y], 1
            while reached < len(weights):
                solver.step()
                spent += 1
                if solver.status == "failed" or spent > 3 * STUCK:
                    return first
                dense = solver.dense_output()
                while reached < len(weights) and reached * self.eta <= solver.t * (1 + 1e-12):
                    states.append(dense(self.eta * reached))
                    reached += 1
            off = []
            for j, state in enumerate(states):
                mean, alternating = stretch.channels(state, self.eta)
                off.append(stretch.swings @ (plain[j] - mean - (-1) ** (k + j) * alternating))
            mean_growth = np.sum(weights[:, None] * growth ** np.arange(len(weights))[:, None], axis=0)
            y = y.copy()
            y[n:] += (-1) ** k * np.sum((weights * signs)[:, None] * np.array(off), axis=0) / mean_growth
        most = max(REFINED[0] * float(np.linalg.norm(first[n:])), REFINED[1] * float(np.linalg.norm(theta)))
        return y if np.linalg.norm((y - first)[n:]) <= most else first

    def _keep_plain(self, step: int, theta: Array) -> None:
        none = np.full_like(self.values, np.nan)
        self.records.append(Record(step, theta, np.zeros_like(theta), np.zeros(self.options.critical), none))

    # ends ---------------------------------------------------------------------------------------------------------

    def _lost(self, frame: Frame, y: Array, step: float) -> str:
        """Why the motion cannot be known from here on; empty if it can."""
        n = self.kernel.loss.size
        floor = ROUNDING * float(np.linalg.norm(y[:n]))
        for j in range(frame.critical):
            if abs(y[n + j]) < floor and self.eta * self.values[j] > self.chooser.edge:
                return (
                    f"at step {step:.0f} a direction becomes unstable (eta*lambda = {self.eta * self.values[j]:.4g}) "
                    f"with an amplitude of {abs(y[n + j]):.1g}, below the rounding errors of the run ({floor:.1g}): "
                    "the burst that follows grows out of these. Start again from an iterate in that burst"
                )
        return ""

    def _stuck(self, marks: list[float]) -> str:
        """Whether the integrator makes no way; empty if it does."""
        if len(marks) <= STUCK or marks[-1] - marks[-1 - STUCK] > STUCK / 10:
            return ""
        return (
            f"at step {marks[-1]:.0f} the equation of order {self.order} has become stiff: {STUCK} steps of the "
            f"integrator for {marks[-1] - marks[-1 - STUCK]:.1g} of the optimiser, a sign that its series does not "
            "converge there; use a lower order"
        )

    def _no_gap(self, step: float) -> str:
        values = ", ".join(f"{self.eta * x:.3g}" for x in self.chooser.last.values) if self.chooser.last else ""
        return (
            f"at step {step:.0f} the fast directions change faster than the motion (eta*lambda = {values}): the gap to "
            "the slow ones closes; use a smaller eta, or plain steps through this stretch"
        )

    def _diverged(self, step: float, x: Array) -> DivergenceError:
        top = self.eta * self.values[0]
        beyond = f"eta*lambda = {top:.4g} is beyond the edge {self.chooser.edge:.4g} and does not come back"
        inside = f"eta*lambda = {top:.4g}"
        return DivergenceError(
            f"the equation of order {self.order} ends at step {step:.1f} of {self.options.steps}, with amplitudes "
            f"{np.array2string(np.abs(x), precision=2)}: {beyond if top > self.chooser.edge else inside}. The run "
            "diverges, or swings wider than the series reaches: use a smaller eta, or fewer steps",
            step=int(step),
        )


def _constant(value: Array) -> Callable[[float], Array]:
    return lambda _: value


def _needed(off: float, limit: float, rate: float) -> int:
    """Plain steps until a deviation has shrunk to a limit."""
    if not np.isfinite(off) or rate >= 1:
        return LONGEST
    return max(1, int(np.ceil(np.log(limit / off) / np.log(rate)))) if rate > 0 else 1
