"""How far a learning rate is from where the series of the counter terms ends, and from where a run is unstable."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from eomsym.optimisers.accelerated import HeavyBall, Nesterov

if TYPE_CHECKING:
    from eomsym.codegen.kernel import Kernel

__all__ = ["Reach", "reach", "sharpness", "stiffness"]

#: Up to here all eigenvalues are computed.
DENSE = 40


@dataclass(frozen=True)
class Reach:
    """Learning rate times sharpness, against the two limits of a method.

    Attributes
    ----------
    product : float
        ``eta * lambda``, lambda the largest eigenvalue of the Hessian in magnitude.
    radius, limit : float
        Where the series of the counter terms ends on a quadratic, and where the run becomes unstable; NaN where they
        are not known (nonlinear optimisers).
    note : str
        What to know and what to type; empty inside of the radius.
    instability : str
        The same of the limit; empty where the run is stable.
    """

    product: float
    radius: float
    limit: float
    note: str
    instability: str = ""


def sharpness(kernel: Kernel, theta: NDArray[np.float64]) -> float:
    """Largest eigenvalue, in magnitude, of the derivative of the gradient at a point (to about one per cent).

    Parameters
    ----------
    kernel : Kernel
    theta : ndarray, shape (n,)

    Returns
    -------
    float
        NaN where the Hessian is not finite.

    Examples
    --------
    >>> import eomsym as eom
    >>> kernel = eom.compile(eom.Loss("x**2 + 5*y**2", variables="x y"), 1)
    >>> round(sharpness(kernel, np.ones(2)), 6)
    10.0
    """
    n = kernel.loss.size
    return _largest(lambda vectors: kernel.hessian_vector(theta[:n], vectors), n)


def stiffness(kernel: Kernel, theta: NDArray[np.float64]) -> float:
    """Largest eigenvalue, in magnitude, of the derivative of the velocity of order 0 at a point.

    Of linear methods the `sharpness`, in which their radius and limit are known. Others, such as Adam, move at another
    speed than gradients do, whatever the unit of the loss.

    Parameters
    ----------
    kernel : Kernel
    theta : ndarray, shape (n,)

    Returns
    -------
    float
        NaN where the derivative is not finite.

    Examples
    --------
    With ``epsilon = 1/2`` Adam moves by ``x/(|x| + 1/2)``, with the slope ``(1/2)/(|x| + 1/2)**2``:

    >>> import eomsym as eom
    >>> kernel = eom.compile(eom.Loss("x**2/2", variables="x"), 0, method=eom.Adam(epsilon="1/2"))
    >>> round(stiffness(kernel, np.ones(1)), 6)
    0.222222
    """
    if kernel.method.is_linear:
        return sharpness(kernel, theta)
    motion = kernel.at_order(0)
    return _largest(
        lambda vectors: np.array([motion.jacobian_vector(theta, vector, 0.0) for vector in vectors]), kernel.size
    )


def _largest(product: Callable[[NDArray[np.float64]], NDArray[np.float64]], n: int) -> float:
    """Largest eigenvalue, in magnitude, of a matrix that is known by its products with some vectors."""
    if n <= DENSE:
        matrix = product(np.eye(n))
        return float(np.max(np.abs(np.linalg.eigvals(matrix)))) if np.isfinite(matrix).all() else float("nan")
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigs  # slow to import

    operator = LinearOperator((n, n), matvec=lambda v: product(v.reshape(1, n))[0], dtype=np.float64)
    try:
        found = eigs(operator, k=1, which="LM", tol=1e-2, v0=np.ones(n), return_eigenvectors=False)
    except ArpackNoConvergence as error:
        found = error.eigenvalues
    return float(np.max(np.abs(found))) if len(found) else float("nan")


def reach(kernel: Kernel, theta: NDArray[np.float64], eta: float, time: float | None = None) -> Reach:
    """Hold a learning rate against the radius and the stability limit of a method, with the sharpness at a point.

    Parameters
    ----------
    kernel : Kernel
    theta : ndarray, shape (n,)
    eta : float
    time : float, optional
        That of the run; with it, the note names the number of steps that would do.

    Returns
    -------
    Reach

    Examples
    --------
    >>> import eomsym as eom
    >>> kernel = eom.compile(eom.Loss("x**2/2", variables="x"), 1, method=eom.HeavyBall("9/10"))
    >>> found = reach(kernel, np.ones(1), 0.01)
    >>> found.product, round(found.radius, 5)
    (0.01, 0.00263)
    >>> found.note.split(":")[0]
    'eta*lambda = 0.01 is beyond the radius 0.00263 of heavy ball, beta = 9/10'

    References
    ----------
    J. M. Cohen et al., Gradient Descent on Neural Networks Typically Occurs at the Edge of Stability, ICLR 2021,
    arXiv:2103.00065 (limits); the radius is that of :mod:`eomsym.optimisers.stability.radius`.
    """
    method = kernel.method
    product = eta * sharpness(kernel, theta)
    if not method.is_linear or method.colours > 1 or method.is_flow or method.symbols:
        return Reach(product, float("nan"), float("nan"), "")
    stability = method.stability()
    radius, limit = (float("nan") if x is None else float(x) for x in (stability.radius, stability.limit))
    note = instability = ""
    if product > limit:
        instability = (
            f"eta*lambda = {product:.3g} is beyond {limit:.3g}, where {method.name} becomes unstable; "
            f"use {_smaller(eta, limit / product, time)}"
        )
    if product > radius:
        note = (
            f"eta*lambda = {product:.3g} is beyond the radius {radius:.3g} of {method.name}: there the series of the "
            f"counter terms diverges, and higher orders may be worse; use {_smaller(eta, radius / product, time)}"
        )
        if isinstance(method, (HeavyBall, Nesterov)):
            name, beta = type(method).__name__, method.beta
            note += f", or keep the memory as a state: {name}('{beta}', memory='kept', eta='{eta:.3g}')"
        if instability:
            note += f"; the run itself is unstable beyond eta*lambda = {limit:.3g}"
    return Reach(product, radius, limit, note, instability)


def _smaller(eta: float, factor: float, time: float | None) -> str:
    """A learning rate that would do, and the steps that it takes; a little on the safe side."""
    if factor == 0:
        return "another method"
    fine = float(f"{0.98 * eta * factor:.2g}")
    return f"eta <= {fine:.2g}" + (
        "" if time is None else f", at least {math.ceil(abs(time) / fine)} steps up to time {time:g}"
    )
