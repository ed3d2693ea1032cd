"""The equation of motion in one frame of fast directions: velocity, both channels, and the way in and out."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from eomsym.codegen.run import Machine
from eomsym.taylor.channels import Channels, Frame, response
from eomsym.taylor.instructions import entries
from eomsym.taylor.plan import Plan
from eomsym.taylor.table import term_rows

if TYPE_CHECKING:
    from eomsym.codegen.kernel import Kernel

__all__ = ["Cost", "Stretch"]

Array = NDArray[np.float64]

#: Sweeps of the search for the base point, and of that for a state on the slow manifold.
MOST = 40


@dataclass
class Cost:
    """What a motion costs: evaluations by kind, and all of them in gradients, counted by their multiplications."""

    velocities: int = 0
    bases: int = 0
    products: int = 0
    frames: int = 0
    steps: int = 0
    gradients: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(*(getattr(self, name) + getattr(other, name) for name in vars(self)))


@dataclass(eq=False)
class Stretch:
    """The motion in one frame.

    Its state is ``y = (slow, x)``: the part of the mean across the fast directions, shape (n,), and the amplitudes of
    the critical ones. The base point, a zero of the mean change in the fast directions, follows from it.
    """

    kernel: Kernel
    frame: Frame
    order: int
    cost: Cost
    #: To which the base point is found, over the size of the parameters.
    tolerance: float
    #: Fast coordinates of the last base point, and the inverse of the derivative of the fast change there; and where to
    #: begin anew.
    base: Array = field(init=False)
    inverse: Array = field(init=False)
    home: Array = field(init=False)
    plain: Array = field(init=False)
    #: Minus the terms of the last velocity, shape (order+1, size).
    terms: Array = field(init=False)

    def __post_init__(self) -> None:
        self._size = self.kernel.loss.size
        gain = float(response(self.kernel.method).gain) if self.frame.fast else 1.0
        self.plain = -np.diag(1 / (gain * self.frame.curvatures))
        self.place(np.zeros(self._size))
        self.cost.frames += 1

    def place(self, mean: Array) -> None:
        """Look for base points near a mean."""
        self.home = self.base = self.frame.left.T @ mean
        self.inverse = self.plain

    # machines -----------------------------------------------------------------------------------------------------

    @cached_property
    def _motion(self) -> Machine:
        program = Channels(self.kernel.circuit, self.frame, self.order).motion()
        return Machine(Plan.of(program, self.order, flow=True))

    @cached_property
    def _whole(self) -> Machine:
        program = Channels(self.kernel.circuit, self.frame, self.order + 1).whole()
        return Machine(Plan.of(program, self.order + 1, flow=True))

    @cached_property
    def _force(self) -> Machine:
        whole = Channels(self.kernel.circuit, self.frame, 0)
        return Machine(Plan.of(whole.builder.finish([whole.force]), 0))

    @cached_property
    def _unit(self) -> float:
        """Multiplications of a gradient."""
        program = self.kernel.loss.program
        return multiplications(Plan.of(program.pruned(program.outputs[-1:]), 0), 0)

    def _count(self, machine: Machine, order: int) -> None:
        self.cost.gradients += multiplications(machine.plan, order) / self._unit

    # evaluation ---------------------------------------------------------------------------------------------------

    def point(self, y: Array) -> Array:
        """The state with its base point; NaN where there is none."""
        if not self.frame.fast:
            return y
        for base, inverse in ((self.base, self.inverse), (self.home, self.plain)):
            found = self._search(y, base, inverse.copy())
            if found is not None:
                return found
        return np.full(len(y) + self.frame.fast, np.nan)

    def _search(self, y: Array, start: Array, inverse: Array) -> Array | None:
        """Quasi-Newton steps (Broyden's) to the zero of the fast mean change; None where they do not get there."""
        out, place = np.empty((1, 1, self.frame.fast)), np.zeros(1, dtype=np.int64)
        point = np.concatenate([y, start])
        base = point[len(y) :]
        tolerance = self.tolerance * max(float(np.linalg.norm(y[: self._size])), 1e-300)
        before = change = None
        for _ in range(MOST):
            self._force.fill(point[None, None], 0, place, out)
            self.cost.bases += 1
            self._count(self._force, 0)
            force = out[0, 0].copy()
            if before is not None and change is not None:
                _broyden(inverse, change, force - before)
            before, change = force, -inverse @ force
            base += change
            if not np.isfinite(base).all():
                return None
            if np.max(np.abs(change)) <= tolerance:
                self.base, self.inverse = base.copy(), inverse
                return point
        return None

    def velocity(self, y: Array, eta: float) -> Array:
        """Derivative of the state, shape (n + critical,); NaN where it does not exist."""
        point = self.point(y)
        self.cost.velocities += 1
        if not np.isfinite(point).all():
            return np.full_like(y, np.nan)
        out = np.empty((1, self.order + 1, len(point)))
        self._motion.terms(point[None], self.order, out)
        self._count(self._motion, self.order)
        self.terms = out[0]
        found: Array = -np.polynomial.polynomial.polyval(eta, out[0])[: len(y)]
        return found

    def channels(self, y: Array, eta: float) -> tuple[Array, Array]:
        """Mean and alternating channel, shapes (n,), their slaved parts to one order more than the velocity."""
        n, m = self._size, self.frame.fast
        if not m:
            return y.copy(), np.zeros(n)
        point = self.point(y)
        plan, order = self._whole.plan, self.order + 1
        out = np.empty((1, order + 1, plan.tables[plan.outputs[1]].lanes))
        self._whole.fill(point[None, None], order, term_rows(plan, order), out, output=1)
        self._count(self._whole, order)
        parts = np.polynomial.polynomial.polyval(eta, out[0])
        mean = y[:n] + self.frame.right @ (point[len(y) :] + parts[:m])
        return mean, parts[m : m + n] if self.frame.critical else np.zeros(n)

    def outline(self, y: Array) -> tuple[Array, Array]:
        """Both channels to order 0, from the last base point: where to measure eigenvalues."""
        mean = y[: self._size] + self.frame.right @ self.base
        return mean, self.frame.right[:, : self.frame.critical] @ y[self._size :]

    def last_share(self, y: Array, eta: float) -> float:
        """By how much the last term of the velocity changes an amplitude in a step, over the amplitude, at most."""
        x = np.abs(y[self._size :])
        if not self.frame.critical or not x.any():
            return 0.0
        change = eta ** (self.order + 1) * np.abs(self.terms[self.order, self._size : len(y)])
        return float(np.max(change) / np.max(x))

    # in and out ---------------------------------------------------------------------------------------------------

    def across(self, vector: Array) -> Array:
        """The part of a vector across the fast directions."""
        found: Array = vector - self.frame.right @ (self.frame.left.T @ vector)
        return found

    def enter(self, mean: Array, alternating: Array) -> Array:
        """The state with these channels, as far as they lie on the slow manifold."""
        return np.concatenate([self.across(mean), self.swings @ alternating])

    def enter_at(self, theta: Array, sign: int, eta: float) -> tuple[Array, float]:
        """The state whose iterate is nearest to `theta` (`sign` that of the alternating channel), and how near."""
        y = np.concatenate([self.across(theta), np.zeros(self.frame.critical)])
        self.place(theta)
        best = np.inf
        for _ in range(MOST):
            mean, alternating = self.channels(y, eta)
            off = theta - mean - sign * alternating
            if not np.isfinite(off).all():
                return y, np.inf
            inside = np.concatenate([self.across(off), sign * (self.swings @ off)])
            size = float(np.linalg.norm(inside))
            if size <= 1e-14 * np.linalg.norm(theta) or size >= best:
                break
            y, best = y + inside, size
        return y, float(np.linalg.norm(off))

    @property
    def swings(self) -> Array:
        """Rows that read the critical components of a vector."""
        return self.frame.left.T[: self.frame.critical]


def _broyden(inverse: Array, change: Array, answer: Array) -> None:
    """Make the inverse of a derivative fit one more pair, in place."""
    guess = inverse @ answer
    weight = float(change @ guess)
    if abs(weight) > 1e-3 * float(change @ change) > 0 and np.isfinite(weight):
        inverse += np.outer(change - guess, change @ inverse) / weight


def multiplications(plan: Plan, order: int) -> float:
    """Of one sweep: products of two tables take one for each pair of entries, everything else one an entry."""
    pairs = (order + 1) * (order + 2) * (order + 3) * (order + 4) / 24
    total = 0.0
    for line in plan.instructions:
        inner = plan.integers[line.integers + 1] if line.primitive.startswith("matmul") else 1
        both = line.primitive in {"convolve", "matmul"}
        total += plan.tables[line.out].lanes * inner * (pairs if both else entries(order))
    return total
