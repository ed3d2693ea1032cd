"""What others offer at the edge of stability: the classical equations, the central flow and the principal flow.

Central flow and principal flow are written from the ideas of their papers, to leading order.

References
----------
J. M. Cohen et al., Understanding Optimization in Deep Learning with Central Flows, 2025, arXiv:2410.24206. M. Rosca, Y.
Wu, C. Qin, B. Dherin, On a Continuous-Time Model of Gradient Descent Dynamics, TMLR 2023, arXiv:2302.01952.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import RK45

from eomsym.codegen.kernel import Kernel
from eomsym.dynamics.spectrum import spectrum
from eomsym.errors import EomsymError

__all__ = ["central_flow", "classical", "principal_flow", "third_derivative"]

Array = NDArray[np.float64]

#: The classical equation is given up after so many evaluations a step: it is stiff, or blows up.
PATIENCE = 60


def classical(kernel: Kernel, start: Array, eta: float, marks: NDArray[np.int64]) -> Array:
    """The equation of motion of one order, up to the mark where it blows up or becomes too stiff to go on."""
    solver = RK45(
        lambda _, theta: _quiet(lambda: kernel.field(theta, eta), theta), 0.0, start, eta * marks[-1], rtol=1e-6,
        atol=1e-8,
    )  # fmt: skip
    points = [start]
    size = 10 * float(np.linalg.norm(start))
    with np.errstate(all="ignore"):
        while solver.status == "running" and len(points) < len(marks):
            solver.step()
            lost = solver.status == "failed" or not np.linalg.norm(solver.y) < size
            if lost or solver.nfev > PATIENCE * (solver.t / eta + 50):
                break
            dense = solver.dense_output()
            while len(points) < len(marks) and eta * marks[len(points)] <= solver.t * (1 + 1e-12):
                points.append(dense(eta * marks[len(points)]))
    return np.array(points)


def _quiet(function: Callable[[], Array], like: Array) -> Array:
    """NaN where a trial step leaves the domain."""
    try:
        return function() if np.isfinite(like).all() else np.full_like(like, np.nan)
    except EomsymError:
        return np.full_like(like, np.nan)


def central_flow(kernel: Kernel, start: Array, eta: float, marks: NDArray[np.int64]) -> tuple[Array, Array]:
    """The central flow to leading order: gradient flow of the loss and of half the trace of the Hessian times Sigma.

    The covariance Sigma of the oscillation lives in the directions whose curvature has reached ``2/eta``, and is the
    positive one that keeps it there.

    Parameters
    ----------
    kernel : Kernel
        Of gradient descent.
    start : ndarray, shape (n,)
    eta : float
    marks : ndarray of int, shape (m,)
        Steps of the optimiser, increasing from 0 on.

    Returns
    -------
    points : ndarray, shape (m, n)
    sizes : ndarray, shape (m,)
        Root of the trace of Sigma.

    References
    ----------
    J. M. Cohen et al., 2025, arXiv:2410.24206.
    """
    theta, points, sizes, guess, swing = start.copy(), [start], [0.0], None, 0.0
    count = min(4, len(start))
    for step in range(int(marks[-1])):
        found = spectrum(kernel, theta, count, guess=guess, rtol=1e-3)
        guess = found.right
        count = min(len(theta), max(4, int(np.sum(eta * found.values > 1.9)) + 2))
        force, swing = _central_force(kernel, theta, eta, found.values, found.right)
        theta = _stepped(partial(_pushed, kernel, force), theta, eta, 2)
        if step + 1 in marks:
            points.append(theta)
            sizes.append(swing)
    return np.array(points), np.array(sizes)


def _pushed(kernel: Kernel, force: Array, theta: Array) -> Array:
    """Velocity of gradient flow with one more force."""
    found: Array = -kernel.gradient(theta) - force
    return found


def _stepped(velocity: Callable[[Array], Array], theta: Array, time: float, parts: int) -> Array:
    """Some steps of the Runge-Kutta method of order 4."""
    h = time / parts
    for _ in range(parts):
        a = velocity(theta)
        b = velocity(theta + h / 2 * a)
        c = velocity(theta + h / 2 * b)
        theta = theta + h / 6 * (a + 2 * b + 2 * c + velocity(theta + h * c))
    return theta


def _central_force(kernel: Kernel, theta: Array, eta: float, values: Array, vectors: Array) -> tuple[Array, float]:
    """``grad (1/2) <H, Sigma>`` and the root of the trace of Sigma."""
    at = np.flatnonzero(values >= 2 / eta)
    if not len(at):
        return np.zeros_like(theta), 0.0
    pairs = [(i, j) for i in at for j in at if i <= j]
    thirds = np.array([third_derivative(kernel, theta, vectors[:, i], vectors[:, j]) for i, j in pairs])
    # Half the change of u_i'Hu_j under the flow must be zero, or bring what is beyond the edge back
    doubled = np.array([1.0 if i == j else 2.0 for i, j in pairs])
    beyond = np.array([values[i] - 2 / eta if i == j else 0.0 for i, j in pairs]) / eta / 10
    wanted = -thirds @ kernel.gradient(theta) + beyond
    solution = np.linalg.lstsq(thirds @ (thirds * doubled[:, None]).T / 2, wanted, rcond=None)[0]
    sigma = np.zeros((len(at), len(at)))
    for (i, j), value in zip(pairs, solution, strict=True):
        sigma[i - at[0], j - at[0]] = sigma[j - at[0], i - at[0]] = value
    weights, axes = np.linalg.eigh(sigma)
    sigma = (axes * np.maximum(weights, 0)) @ axes.T
    force = sum(
        (d * sigma[i - at[0], j - at[0]] / 2 * third for (i, j), d, third in zip(pairs, doubled, thirds, strict=True)),
        np.zeros_like(theta),
    )
    return force, float(np.sqrt(np.trace(sigma)))


def third_derivative(kernel: Kernel, theta: Array, u: Array, v: Array) -> Array:
    """The third derivative along two directions, shape (n,), by polarisation of exact second Taylor coefficients."""
    if u is v or np.array_equal(u, v):
        found: Array = kernel.gradient_along(theta, u)[2] * 2
        return found
    plus, minus = (kernel.gradient_along(theta, w)[2] for w in (u + v, u - v))
    half: Array = (plus - minus) / 2
    return half


def principal_flow(kernel: Kernel, start: Array, eta: float, marks: NDArray[np.int64]) -> Array:
    """The principal flow, real part: ``theta' = log|1 - eta H|/(eta H) g``, by its eigenvectors.

    Beyond ``eta lambda = 1`` the logarithm is complex; its imaginary part turns the sign in every step, its real part
    is what a real motion can take. Slow directions take three terms of the series.

    Parameters
    ----------
    kernel, start, eta, marks
        As for `central_flow`.

    Returns
    -------
    ndarray, shape (k, n)
        Up to the mark where it leaves the finite numbers.

    References
    ----------
    M. Rosca et al., TMLR 2023, arXiv:2302.01952, equation 7.
    """
    theta, points, guess, count = start.copy(), [start], None, min(4, len(start))
    for step in range(int(marks[-1])):
        found = spectrum(kernel, theta, count, guess=guess, rtol=1e-3)
        guess = found.right
        count = min(len(theta), max(4, int(np.sum(eta * found.values > 0.3)) + 1))
        fast = eta * found.values > 0.3
        velocity = partial(_principal_velocity, kernel, eta, found.right[:, fast], eta * found.values[fast])
        theta = _stepped(velocity, theta, eta, 4)
        if not np.linalg.norm(theta) < 10 * np.linalg.norm(start):
            break
        if step + 1 in marks:
            points.append(theta)
    return np.array(points)


def _principal_velocity(kernel: Kernel, eta: float, basis: Array, q: Array, theta: Array) -> Array:
    """``log|1 - q|/q`` of the gradient in the fast directions, three terms of its series in the others."""
    g = kernel.gradient(theta)
    along = basis.T @ g
    rest = g - basis @ along
    turned = kernel.hessian_vector(theta, rest)
    slow = rest + eta / 2 * turned + eta**2 / 3 * kernel.hessian_vector(theta, turned)
    found: Array = basis @ (np.log(np.abs(1 - q)) / q * along) - (slow - basis @ (basis.T @ slow))
    return found
