"""The leading error along a trajectory: Miyagawa's discretisation error with its propagator, and without.

To leading order the distance ``e_k`` of the equation of motion of order K from gradient descent obeys

    e_(k+1) = (I - eta A(theta_k)) e_k + eta**(K+2) term_(K+1)(theta_k),      e_0 = 0.

Without the propagator ``I - eta A`` the terms just add up, which over-estimates on stiff losses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eomsym.bounds.hessian import as_kernel
from eomsym.bounds.leading_error import leading_error
from eomsym.codegen.kernel import checked_order
from eomsym.dynamics.descent import checked_count, descend
from eomsym.dynamics.flow import check_positive

if TYPE_CHECKING:
    from eomsym.losses.objective import Objective

__all__ = ["Prediction", "predict_error", "predict_step_size"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Prediction:
    """Leading error along a run of gradient descent.

    Attributes
    ----------
    times : ndarray, shape (k+1,)
    vectors : ndarray, shape (k+1, n)
        Predicted distance vectors, equation of motion minus gradient descent.
    sums : ndarray, shape (k+1,)
        Norm of the plain sum, without the propagator, for comparison.
    """

    times: Array
    vectors: Array
    sums: Array

    @property
    def norms(self) -> Array:
        """Predicted distances, shape (k+1,)."""
        norms: Array = np.linalg.norm(self.vectors, axis=1)
        return norms


def predict_error(loss: Objective, start: ArrayLike, eta: float, steps: int, order: int = 0) -> Prediction:
    """Predict the distance between the equation of motion and gradient descent, step by step.

    Parameters
    ----------
    loss : Objective
    start : array_like, shape (n,)
    eta : float
    steps : int
    order : int
        ``K`` of the equation of motion; 0 is gradient flow.

    Returns
    -------
    Prediction

    Raises
    ------
    InputError
        If a number cannot be used.
    DivergenceError
        If gradient descent diverges.

    Examples
    --------
    For ``L = x**2/2`` the distance is ``exp(-t) - (1 - eta)**k``:

    >>> import eomsym as eom
    >>> prediction = predict_error(eom.Loss("x**2/2", variables="x"), [1.0], eta=0.01, steps=100)
    >>> bool(np.isclose(prediction.vectors[-1, 0], np.exp(-1) - 0.99**100, rtol=0.02))
    True

    References
    ----------
    T. Miyagawa, Toward Equation of Motion for Deep Neural Networks, NeurIPS 2022, arXiv:2210.15898, section 5 (the
    discretisation error); the propagator is that of Hairer, Nørsett, Wanner (1993), section II.8,
    doi:10.1007/978-3-540-78862-1.
    """
    rate, order = check_positive("eta", eta), checked_order(order)
    kernel = as_kernel(loss, order + 1)
    path = descend(loss, kernel.loss.validate(start), rate, checked_count(steps, "steps", 1))
    vectors = np.zeros_like(path.thetas)
    total = np.zeros(loss.size)
    sums = np.zeros(len(vectors))
    for k, theta in enumerate(path.thetas[:-1]):
        created = rate ** (order + 2) * kernel.terms(theta)[-1]
        vectors[k + 1] = vectors[k] - rate * kernel.hessian_vector(theta, vectors[k]) + created
        total += created
        sums[k + 1] = np.linalg.norm(total)
    return Prediction(path.times, vectors, sums)


def predict_step_size(loss: Objective, start: ArrayLike, epsilon: float, time: float, order: int = 0) -> float:
    """The learning rate at which the leading error at a time is `epsilon`: ``(epsilon/|v(time)|)**(1/(K+1))``.

    Parameters
    ----------
    loss : Objective
    start : array_like, shape (n,)
    epsilon, time : float
    order : int
        ``K``.

    Returns
    -------
    float
        Infinite if the leading error vanishes.

    Examples
    --------
    For ``L = x**2/2`` the leading error of gradient flow at time 1 is ``eta exp(-1)/2``:

    >>> import eomsym as eom
    >>> eta = predict_step_size(eom.Loss("x**2/2", variables="x"), [1.0], epsilon=0.01, time=1.0)
    >>> bool(np.isclose(eta, 0.02 * np.e))
    True
    """
    eps = check_positive("epsilon", epsilon)
    order = checked_order(order)
    norm = float(leading_error(as_kernel(loss, order + 1), start, time, [order]).norms[0])
    return float((eps / norm) ** (1 / (order + 1))) if norm > 0 else np.inf
