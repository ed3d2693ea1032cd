"""The equation of motion together with its variations: the propagator times vectors, and the leading error.

Next to the path, ``V' = D f(theta) V`` moves vectors as small displacements of the start would move, and

    v' = D f(theta) v + terms[K+1](theta),      v(0) = 0,

is the leading error of the equation of order K: the optimiser is ``eta**(K+1) v`` behind it. All are one integration,
for small losses in compiled Taylor series.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eomsym import checks
from eomsym.codegen.backends.explicit import Explicit, predicted
from eomsym.codegen.backends.series import Stepper
from eomsym.codegen.kernel import Kernel, kernel_of
from eomsym.codegen.machines import SHORT
from eomsym.dynamics import taylor_stepper
from eomsym.dynamics.flow import as_times, as_tolerances, integrate
from eomsym.errors import ShapeError, SizeError
from eomsym.losses.objective import Objective
from eomsym.optimisers.base import Method
from eomsym.taylor.derivative import derivatives
from eomsym.taylor.plan import Plan
from eomsym.taylor.rings.tape import Place

__all__ = ["Variation", "variation"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Variation:
    """A path with vectors that are carried along.

    Attributes
    ----------
    times : ndarray, shape (m,)
    thetas : ndarray, shape (m, n)
    vectors : ndarray, shape (m, k, n)
        The propagator times each vector.
    leading : ndarray, shape (m, n)
        ``v``; ``eta**(K+1) v`` is the leading distance of the equation from the optimiser.
    eta : float
    error : float
        Estimated error: the largest Euclidean distance, over the times, from a run at a ten times looser tolerance, of
        path, vectors and ``eta**(K+1) leading`` together.
    kernel : Kernel
    """

    times: Array
    thetas: Array
    vectors: Array
    leading: Array
    eta: float
    error: float
    kernel: Kernel = field(repr=False)

    @property
    def distance(self) -> Array:
        """Predicted displacement of the equation from the optimiser at each time, shape (m, n)."""
        found: Array = self.eta ** (self.kernel.order + 1) * self.leading
        return found


def variation(
    loss: Objective | Sequence[Objective] | Kernel,
    start: Any,
    *,
    eta: float,
    time: ArrayLike,
    order: int | None = None,
    method: Method | None = None,
    vectors: ArrayLike = (),
    rtol: float = 1e-10,
    atol: float = 1e-12,
) -> Variation:
    """Integrate the equation of motion with its propagator times vectors, and its leading error, in one pass.

    Parameters
    ----------
    loss : Loss, Field, DeepLinear, Network, a list of them, or Kernel
    start : array_like, shape (n,)
    eta : float
    time : float, or array_like, shape (m,)
    order : int, optional
        Of the equation; that of the kernel by default.
    method : Method, optional
    vectors : array_like, shape (k, n)
        What is moved along the linearised flow.
    rtol, atol : float
        As for :func:`eomsym.flow`.

    Returns
    -------
    Variation

    Raises
    ------
    InputError, ShapeError, DivergenceError
        As for :func:`eomsym.flow`; vectors of another length.

    Examples
    --------
    On ``x**2/2`` at order 0 all decays alike, and ``v = t exp(-t)/2``:

    >>> import eomsym as eom
    >>> found = variation(eom.Loss("x**2/2", variables="x"), [1.0], eta=0.1, time=1.0, order=0, vectors=[[1.0]])
    >>> bool(np.allclose([found.vectors[-1, 0, 0], found.leading[-1, 0]], np.exp(-1) * np.array([1, 0.5])))
    True

    References
    ----------
    E. Hairer, S. P. Nørsett, G. Wanner, Solving Ordinary Differential Equations I, sections I.14 and II.8.
    """
    kernel = kernel_of(loss, order, method)
    theta, times = kernel.point(start), as_times(time)
    checks.positive(eta, "eta")
    rtol, atol = as_tolerances(rtol, atol)
    n = len(theta)
    moved = np.array(vectors, dtype=np.float64).reshape(-1, n) if np.size(vectors) % n == 0 else np.array(vectors)
    if moved.ndim != 2 or moved.shape[1] != n or not np.isfinite(moved).all():
        raise ShapeError(f"vectors has shape {np.shape(vectors)}, expected (k, {n}) of finite numbers")
    first = np.concatenate([theta, moved.ravel(), np.zeros(n)])
    stepper = _stepper(kernel, len(moved))
    if stepper is not None:
        states, error, *_ = taylor_stepper.integrate(stepper, first, eta, times, rtol, atol)
    else:
        states, error, _ = integrate(_velocity(kernel, eta, n), first, times, rtol, atol)
    parts = states.reshape(len(times), -1, n)
    leading = parts[:, -1]
    for _ in range(kernel.order + 1):
        leading = leading / eta
    return Variation(times, parts[:, 0], parts[:, 1:-1], leading, float(eta), error, kernel)


def _stepper(kernel: Kernel, count: int) -> Stepper | None:
    """The compiled equation of path, vectors and leading error; None where it is too long, or not the loss's own."""
    if kernel.stepper(2) is None:
        return None

    def make() -> Stepper | None:
        order, n = kernel.order, kernel.size
        plan = Plan.of(kernel.circuit.terms(), order + 1, flow=True)
        if predicted(plan, order + 1) * (count + 2) > SHORT:
            return None
        try:
            form = Explicit(plan, order + 1, 4 * SHORT)
            rows = [list(row) for row in form.terms[: order + 1]]
            for j in range(1, count + 2):
                for k, row in enumerate(form.terms[: order + 1]):
                    rows[k] += [place.index for place in derivatives(form.tape, row, j * n, n)]
            # The leading error times eta**(order + 1): a length, as the parameters are.
            zero, missing = form.tape(0), (Place(form.tape, index) for index in form.terms[order + 1])
            rows.append([*[zero.index] * (n * (count + 1)), *((-source).index for source in missing)])
            return Stepper(form.tape, rows, 2)
        except SizeError:
            return None

    made: Stepper | None = kernel._cached(("variation", kernel.method, kernel.order, count), make)
    return made


def _velocity(kernel: Kernel, eta: float, n: int) -> Any:
    """The same for networks, by Jacobian-vector products."""
    more = kernel.at_order(kernel.order + 1)

    def velocity(state: Array) -> Array:
        theta, *vectors = state.reshape(-1, n)
        terms = more.terms(theta)
        out = np.empty((len(vectors) + 1, n))
        out[0] = -np.polynomial.polynomial.polyval(eta, terms[:-1])
        for i, vector in enumerate(vectors, 1):
            out[i] = kernel.jacobian_vector(theta, vector, eta)
        missing = terms[-1]
        for _ in range(len(terms) - 1):
            missing = eta * missing
        out[-1] += missing
        return out.ravel()

    return velocity
