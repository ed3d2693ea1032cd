"""Along the equation of motion of a network, step by step: what forward prediction is made of.

Two integrators share the work. DOP853 takes steps as long as the tolerance allows, up to ``h lambda`` of about 5, where
its stability ends. Where that is what holds it back, Runge-Kutta-Chebyshev goes on (:mod:`eomsym.dynamics.chebyshev`):
``lambda`` is measured along the way. Next to the path two vectors are carried along the linearised flow: what is still
missing from the equation (its first neglected term), and the local errors of the integrator.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import DOP853

from eomsym.codegen.kernel import Kernel
from eomsym.dynamics import chebyshev
from eomsym.dynamics.leading_error import slope_of
from eomsym.dynamics.spectrum import PRODUCT, sharpest
from eomsym.errors import DivergenceError, TableError
from eomsym.taylor.plan import Plan
from eomsym.taylor.work import work

__all__ = ["Costs", "Walker", "carried"]

Array = NDArray[np.float64]

#: Steps of DOP853 are held back by stability beyond this ``h * lambda``.
HELD_BACK = 4.5
#: Most stages of a Chebyshev step.
MOST_STAGES = 150
#: The sharpness is measured again after so many steps.
RENEWED = 4
#: The two vectors are carried over so many steps at a time.
CARRIED = 3
#: scipy refuses less.
RTOL = 3e-14


@dataclass(frozen=True)
class Costs:
    """What evaluations cost, in gradients: by their arithmetic, so a prediction does not depend on the clock.

    Attributes
    ----------
    field, terms, product : float
        The velocity, all terms with one more, and a Hessian-vector product.
    """

    field: float
    terms: float
    product: float = PRODUCT

    @classmethod
    def of(cls, kernel: Kernel) -> Costs:
        """For a kernel and its order."""
        program = kernel.circuit.terms()
        plan = Plan.of(program, kernel.order + 1, flow=True)
        gradient = work(plan, 0)
        return cls(work(plan, kernel.order) / gradient, work(plan, kernel.order + 1) / gradient)


def carried(
    product: Callable[[Array, Array], Array], point: Array, vector: Array, source: Array, h: float, sharpness: float
) -> tuple[Array, float]:
    """A vector after a time h of ``v' = source - A v``, the derivative A taken at a point; by one Chebyshev step.

    Parameters
    ----------
    product : callable
        ``product(point, v)`` is ``A v``.
    point, vector, source : ndarray, shape (n,)
    h : float
    sharpness : float
        Largest eigenvalue of A, as far as it is known.

    Returns
    -------
    vector : ndarray, shape (n,)
    sharpness : float
        A larger one, where the vector has shown one.

    Examples
    --------
    >>> v, _ = carried(lambda point, v: 2.0 * v, np.zeros(1), np.ones(1), np.zeros(1), 0.1, 2.0)
    >>> bool(abs(v[0] - np.exp(-0.2)) < 2e-3)
    True
    """

    def along(v: Array) -> Array:
        return source - product(point, v) if np.isfinite(v).all() else np.full_like(v, np.nan)

    allowed = 1.2 * (float(np.linalg.norm(vector)) + h * float(np.linalg.norm(source)))
    found = vector
    for _ in range(6):
        with np.errstate(all="ignore"):
            found = chebyshev.step(along, vector, along(vector), h, chebyshev.stages_for(1.2 * h * sharpness))
            size = float(np.linalg.norm(found))
        if size <= allowed:
            break
        # What has grown beyond what was there shows whether it had a right to: a direction of more curvature than was
        # known makes the step unstable.
        seen = (
            float(np.linalg.norm(product(point, found / size)))
            if math.isfinite(size)
            else max(4.0 * sharpness, 1.0 / h)
        )
        if seen <= 1.05 * sharpness:
            break
        sharpness = 1.1 * seen
    return found, sharpness


@dataclass
class Walker:
    """A state that walks along the equation of motion; `step` moves it.

    Parameters
    ----------
    kernel : Kernel
    eta : float
    theta : ndarray, shape (n,)
    until : float
        Time at which to end; it begins at 0.
    tolerance : float
        Euclidean distance that the errors of all steps together should not exceed.
    missing, errors : ndarray, shape (n,)
        What the equation misses, and the errors of the steps, both carried along.
    """

    kernel: Kernel
    eta: float
    theta: Array
    until: float
    tolerance: float
    missing: Array
    errors: Array
    time: float = 0.0
    sharpness: float = 0.0
    gradients: float = 0.0
    stabilised: bool = False
    _direction: Array | None = field(default=None, repr=False)
    _steps: int = 0
    _held: int = 0
    _length: float = 0.0
    _solver: DOP853 | None = field(default=None, repr=False)
    _pending: list[tuple[float, Array]] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        self._fresh = np.zeros_like(self.theta)
        self.costs = Costs.of(self.kernel)
        self._next = self.kernel.at_order(self.kernel.order + 1)
        self._slope = slope_of(self.kernel)
        # A sixth of the tolerance for each step: errors of early steps shrink along the way.
        self._atol = self.tolerance / 6 / math.sqrt(len(self.theta))
        self.velocity = self._velocity(self.theta)
        if not np.isfinite(self.velocity).all():
            raise DivergenceError("the velocity at the start is not finite; choose another start", 1)
        self.measure(10)

    # evaluations --------------------------------------------------------------------------------------------------

    def _velocity(self, theta: Array) -> Array:
        """The velocity, NaN where it is not defined: that makes an integrator shorten its step."""
        self.gradients += self.costs.field
        if np.isfinite(theta).all():
            with suppress(TableError):
                found: Array = self.kernel.field(theta, self.eta)
                return found
        return np.full_like(theta, np.nan)

    def _product(self, theta: Array, vector: Array) -> Array:
        self.gradients += self.costs.product
        return self._slope(theta, vector)

    def measure(self, products: int) -> None:
        """The largest eigenvalue of the linearised gradient flow, by Lanczos from the last direction."""
        self.sharpness, self._direction, _ = sharpest(
            lambda vector: self._product(self.theta, vector), len(self.theta), self._direction, products
        )

    @property
    def by(self) -> str:
        """What makes the next step."""
        return "Chebyshev" if self.stabilised else "DOP853"

    @property
    def order(self) -> int:
        """Order of the equation."""
        return self.kernel.order

    @property
    def stiffness(self) -> float:
        """The rate of the fastest direction of the equation, a little more than measured."""
        x = self.eta * self.sharpness
        return 1.1 * self.sharpness * sum(x**k / (k + 1) for k in range(self.kernel.order + 1))

    # steps --------------------------------------------------------------------------------------------------------

    def step(self) -> float:
        """One step of whichever integrator serves better; returns the time that it took.

        Raises
        ------
        DivergenceError
            The solution leaves the finite numbers, or no step is short enough.
        """
        before, slope, begin = self.theta, self.velocity, self.time
        error = self._chebyshev_step() if self.stabilised else self._dormand_prince_step()
        h = self.time - begin
        middle = (before + self.theta) / 2 + h / 8 * (slope - self.velocity)  # Hermite
        self._pending.append((h, middle))
        self._fresh = self._fresh + error
        if len(self._pending) == CARRIED or self.time >= self.until:
            self.carry()
        self._steps += 1
        if self._steps % RENEWED == 0:
            self.measure(3)
        self._choose(h)
        return h

    def _dormand_prince_step(self) -> Array:
        if self._solver is None:
            first = {"first_step": min(self._length, self.until - self.time)} if self._length else {}
            with np.errstate(all="ignore"):
                self._solver = DOP853(
                    lambda _, y: self._velocity(y),
                    self.time,
                    self.theta,
                    self.until,
                    rtol=RTOL,
                    atol=self._atol,
                    **first,
                )
        solver = self._solver
        with np.errstate(all="ignore"):
            solver.step()
        if solver.status == "failed" or not np.isfinite(solver.y).all():
            raise self._lost()
        h = solver.t - self.time
        fifth, third = solver.K.T @ solver.E5, solver.K.T @ solver.E3  # what the step was judged by
        size = float(np.linalg.norm(fifth))
        share = size / math.sqrt(size**2 + 0.01 * float(third @ third)) if size else 0.0
        self.time, self.theta, self.velocity = float(solver.t), solver.y, solver.f
        self._length = h
        found: Array = h * share * fifth
        return found

    def _chebyshev_step(self) -> Array:
        h = self._length
        for _ in range(60):
            h = min(h, self.until - self.time, chebyshev.stability(MOST_STAGES) / self.stiffness)
            stages = chebyshev.stages_for(h * self.stiffness)
            after = chebyshev.step(self._velocity, self.theta, self.velocity, h, stages)
            slope = self._velocity(after)
            error = chebyshev.local_error(self.theta, self.velocity, after, slope, h)
            # In slow directions errors stay: each step has its share of the time, not less than a hundredth.
            size = float(np.linalg.norm(error)) / (self.tolerance * max(h / self.until, 0.01))
            if size <= 1.0:
                self.time = self.until if self.time + h >= self.until else self.time + h
                self.theta, self.velocity = after, slope
                self._length = h * min(5.0, 0.8 * max(size, 1e-9) ** (-1 / 3))
                return error
            if not math.isfinite(size):
                self.measure(5)
            h *= max(0.1, 0.8 * size ** (-1 / 3)) if math.isfinite(size) else 0.25
        raise self._lost()

    def _lost(self) -> DivergenceError:
        return DivergenceError(
            f"the equation of motion leaves the finite numbers after about {self.time / self.eta:.0f} steps "
            f"(time {self.time:.4g}); run the optimiser, or take a smaller eta or order",
            max(1, round(self.time / self.eta)),
        )

    def carry(self) -> None:
        """Move both vectors over the last steps, along the flow that is linearised in the middle of them."""
        if not self._pending:
            return
        h = sum(length for length, _ in self._pending)
        middle = np.asarray(sum(length / h * state for length, state in self._pending))
        self.gradients += self.costs.terms
        source = self.eta ** (self.kernel.order + 1) * self._next.terms(middle)[-1]
        self.missing, most = carried(self._product, middle, self.missing, source, h, self.sharpness)
        if np.any(self.errors):
            self.errors, most = carried(self._product, middle, self.errors, np.zeros_like(source), h, most)
        self.sharpness = most
        self.errors = self.errors + self._fresh
        self._pending, self._fresh = [], np.zeros_like(source)

    def _choose(self, h: float) -> None:
        """Change the integrator where the other one promises more time for a gradient."""
        if not self.stabilised:
            self._held = self._held + 1 if h * self.stiffness > HELD_BACK else 0
            if self._held >= 3:
                self.stabilised, self._solver, self._held = True, None, 0
                self._length = 3 * h
        elif self.time < self.until:
            stages = chebyshev.stages_for(self._length * self.stiffness)
            self._held = self._held + 1 if self._length * self.stiffness < 0.4 * stages else 0
            if self._held >= 4:
                self.stabilised, self._held = False, 0

    def stop_at(self, when: float) -> None:
        """Another time at which to end."""
        self.until, self._solver = when, None
