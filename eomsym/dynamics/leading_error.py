"""The leading error of the equation of motion, with its propagator.

At a fixed time the equation of motion of order ``K`` is ``eta**(K+1) v_K + O(eta**(K+2))`` away from the
discrete optimiser. The vector ``v_K`` solves one linear equation next to gradient flow,

    v_K' = -D term_0(theta) v_K + term_{K+1}(theta),      v_K(0) = 0,

in which ``D term_0`` is the Hessian (for methods with momentum, a multiple of it). All orders are solved at
once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eomsym import checks
from eomsym.checks import shown
from eomsym.codegen.kernel import Kernel, kernel_of
from eomsym.dynamics.flow import SMALLEST_RTOL, integrate
from eomsym.dynamics.patience import Patience, Stopped
from eomsym.dynamics.reach import stiffness
from eomsym.errors import InputError
from eomsym.losses.objective import Objective
from eomsym.optimisers.base import Method
from eomsym.types import Array

__all__ = ["LeadingError", "leading_error"]

#: A vector whose share of error is larger is solved for again, so often at most.
POOR, REPEATS = 1e-3, 3
#: Explicit steps end at about this over the sharpness; tolerances stay above so many times what rounding does there.
LONGEST, ABOVE = 5.0, 4.0


@dataclass(frozen=True)
class LeadingError:
    """Leading errors at one time, of several orders.

    Attributes
    ----------
    orders : tuple of int
        The orders ``K``, length m.
    time : float
        The time ``T``.
    vectors : ndarray, shape (m, n)
        Row i is ``v_K(T)`` of ``K = orders[i]``.
    errors : ndarray, shape (m,)
        Estimated errors of the vectors, as Euclidean distances.
    evaluations : int
        Evaluations of the counter terms, those of a repetition that was stopped left out.
    notes : tuple of str
        Which vectors are less exact than was asked for, as the limit of time stopped their repetition.
    """

    orders: tuple[int, ...]
    time: float
    vectors: Array
    errors: Array
    evaluations: int
    notes: tuple[str, ...] = ()

    @property
    def norms(self) -> Array:
        """Euclidean norms of the vectors, shape (m,)."""
        norms: Array = np.linalg.norm(self.vectors, axis=1)
        return norms

    def at(self, eta: float) -> Array:
        """Predicted distance ``eta**(K+1) v_K(T)`` from the optimiser with learning rate ``eta``.

        Parameters
        ----------
        eta : float

        Returns
        -------
        ndarray, shape (m, n)
        """
        rate = checks.positive(eta, "eta")
        with np.errstate(over="ignore", invalid="ignore"):  # far beyond the radius: infinite, and NaN where v is 0
            found: Array = rate ** (np.array(self.orders)[:, None] + 1.0) * self.vectors
        return found


def leading_error(
    loss: Objective | Sequence[Objective] | Kernel,
    start: Any,
    *,
    time: float,
    orders: Iterable[int],
    method: Method | None = None,
    rtol: float = 1e-8,
    limit: float = 60.0,
    watch: Callable[[Array], None] = lambda point: None,
) -> LeadingError:
    """Solve for the leading errors of several orders, in one integration.

    Parameters
    ----------
    loss : Loss, Field, DeepLinear, Network, a list of them, or Kernel
        A kernel needs at least order ``max(orders) + 1``.
    start : array_like, shape (n,), or dict
    time : float
        The fixed time ``T = k eta``, positive.
    orders : iterable of int
        Orders ``K`` of the equation of motion.
    method : Method, optional
        Gradient descent by default, or that of the kernel.
    rtol : float
        Relative tolerance. Each vector is scaled by ``T`` times its counter term at the start; one that decays far
        below that is solved for again on its own scale, as far as rounding allows.
    limit : float
        Seconds of CPU time of this process that it may take. What will clearly take longer is given up early. Where
        that stops a repetition, the vectors are those found before, with their errors, and `notes` say so.
    watch : callable
        Called with the point at each evaluation; an error that it raises ends the work.

    Returns
    -------
    LeadingError

    Raises
    ------
    InputError
        If the orders or the time cannot be used, or the kernel has too few terms.
    ShapeError
        If ``start`` does not fit the loss.
    DivergenceError
        If gradient flow leaves the finite numbers before ``time``, or the limit is reached before anything is found.

    Examples
    --------
    For ``L = x**2/2`` the terms are ``x/(k+1)``, so ``v_K(t) = t exp(-t) x_0 / (K+2)``:

    >>> import numpy as np
    >>> import eomsym as eom
    >>> leading = eom.leading_error(eom.Loss("x**2/2", variables="x"), [1.0], time=2.0, orders=range(3))
    >>> bool(np.allclose(leading.norms, 2.0 * np.exp(-2.0) / np.array([2, 3, 4]), rtol=1e-6))
    True

    References
    ----------
    Hairer, Nørsett, Wanner (1993), Solving Ordinary Differential Equations I, theorem II.8.1,
    doi:10.1007/978-3-540-78862-1; there for the error of a one-step method against the exact solution.
    """
    asked, rtol = check_orders(orders), checks.positive(rtol, "rtol", 1e-8)
    duration = checks.positive(time, "time", 1)
    patience = Patience(checks.positive(limit, "limit", 60.0))
    kernel = kernel_of(loss, None if isinstance(loss, Kernel) else max(asked) + 1, method)
    theta = kernel.point(start)
    if max(asked) + 1 > kernel.order:
        raise InputError(
            f"the leading error of order {max(asked)} needs term {max(asked) + 1}, but the kernel has order "
            f"{kernel.order}; type eom.compile(loss, {max(asked) + 1})"
        )
    checks.function(watch, "watch", "the point")
    needed = kernel.at_order(max(asked) + 1)
    rows = np.array(asked) + 1
    # A vector that is zero must not be resolved to its last digit: floor its scale by that of theta.
    typical = float(np.sqrt(np.mean(theta**2))) or 1.0
    floors = 1e-6 * typical / np.clip(duration, 1e-38, 1e38) ** np.minimum(rows, 8)
    terms = np.abs(needed.terms(theta)[rows])
    largest = terms.max(axis=1)
    with np.errstate(over="ignore", invalid="ignore"):  # squares of large ones would be infinite
        scales = duration * largest * np.sqrt(np.mean((terms / np.where(largest, largest, 1.0)[:, None]) ** 2, axis=1))
    scales = np.maximum(np.where(np.isfinite(scales), scales, 0.0), floors)
    # In a unit of its own theta does not drown the vectors in its rounding; powers of two round nothing.
    unit = math.ldexp(1.0, math.frexp(typical)[1])
    evaluations, finest, poor = 0, np.zeros(len(rows)), np.zeros(len(rows), dtype=bool)
    notes: tuple[str, ...] = ()
    for attempt in range(1 + REPEATS):
        tolerance = max(rtol / 30**attempt, SMALLEST_RTOL)
        scales = np.maximum(scales, finest / tolerance)
        velocity = _velocity(needed, rows, np.array([unit, *scales]), watch)
        first = np.concatenate([theta / unit, np.zeros(len(rows) * len(theta))])
        atol = tolerance * np.repeat([typical / unit, *np.ones(len(rows))], len(theta))
        try:
            states, error, spent = integrate(velocity, first, np.array([0.0, duration]), tolerance, atol, patience)
        except Stopped as stopped:
            if attempt == 0 or not patience.exhausted:  # nothing is known, or it was `watch`
                raise
            notes = (_unfinished(asked, poor, stopped),)
            break
        evaluations += spent
        point, *others = states[-1].reshape(-1, len(theta))
        vectors = np.array(others) * scales[:, None]
        sizes, errors = np.linalg.norm(vectors, axis=1), error * scales
        # A vector that has decayed far below what it once was is resolved again, on its own scale.
        poor = errors > np.maximum(POOR * sizes, floors)
        if poor.any() and attempt == 0:
            finest = _finest(needed, rows, unit * point, duration)
        if not (poor & (tolerance * scales > finest)).any():
            break
        scales = np.maximum(np.minimum(scales, np.maximum(sizes, errors)), floors)
    return LeadingError(asked, duration, vectors, errors, evaluations, notes)


def _unfinished(orders: tuple[int, ...], poor: Array, stopped: Stopped) -> str:
    """What is said of vectors that were to be solved for again."""
    which = ", ".join(str(order) for order, one in zip(orders, poor, strict=True) if one)
    return f"leading error of order {which}: known to `errors`, not to rtol, as solving for it again stopped: {stopped}"


def _velocity(kernel: Kernel, rows: Array, scales: Array, watch: Callable[[Array], None]) -> Callable[[Array], Array]:
    """Gradient flow with the leading errors beside it, all over their scales."""
    slope = slope_of(kernel)
    unit, others = scales[0], scales[1:, None]

    def velocity(state: Array) -> Array:
        first, *vectors = state.reshape(len(rows) + 1, -1)
        point = unit * first
        watch(point)
        terms = kernel.terms(point)
        out = np.empty((len(rows) + 1, len(point)))
        out[0] = -terms[0] / unit
        out[1:] = terms[rows] / others - slope(point, np.array(vectors))
        return out.ravel()

    return velocity


def _finest(kernel: Kernel, rows: Array, point: Array, duration: float) -> Array:
    """Absolute tolerances of a step that rounding of the terms leaves, shape (m,): below, steps only get shorter."""
    generator = np.random.default_rng(0)
    shaken = point * (1.0 + 2.0**-52 * generator.choice([-1.0, 1.0], size=(4, len(point))))
    terms = kernel.terms(point)[rows]
    noise = np.max([np.sqrt(np.mean((kernel.terms(one)[rows] - terms) ** 2, axis=1)) for one in shaken], axis=0)
    sharp = stiffness(kernel, point)
    step = min(duration, LONGEST / sharp) if sharp > 0 else duration
    finest: Array = ABOVE * step * noise
    return finest


def slope_of(kernel: Kernel) -> Callable[[Array, Array], Array]:
    """Derivative of term 0 along a vector, shape (n,), or several, shape (m, n).

    Of a linear method it is an effective rate times the Hessian.
    """
    if kernel.method.is_linear and kernel.method.colours == 1:
        # term_0 = (sum_i chi_i(0)) g, because every stage is psi_i(0) = 1 times theta at eta = 0.
        rate = float(sum(chi[0] for chi in kernel.method.series(1).chi))
        return lambda point, vectors: rate * kernel.hessian_vector(point, vectors)
    motion = kernel.at_order(0)

    def slope(point: Array, vectors: Array) -> Array:
        if vectors.ndim == 2:
            return np.array([slope(point, vector) for vector in vectors])
        return -motion.jacobian_vector(point, vectors, 0.0)

    return slope


def check_orders(orders: Iterable[int]) -> tuple[int, ...]:
    """Return ``orders`` as increasing non-negative integers.

    Parameters
    ----------
    orders : iterable of int

    Returns
    -------
    tuple of int

    Raises
    ------
    InputError
        If there is none, or one is negative or no integer.

    Examples
    --------
    >>> check_orders([2, 0])
    (0, 2)
    """
    try:
        asked = tuple(sorted(set(orders)))
        valid = bool(asked) and all(order == int(order) and order >= 0 for order in asked)
    except (TypeError, ValueError, OverflowError):
        valid = False
    if not valid:
        raise InputError(f"orders={shown(orders)}: expected one or more integers from 0 on, such as range(5)")
    return tuple(int(order) for order in asked)
