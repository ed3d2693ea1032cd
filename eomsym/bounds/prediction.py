"""The leading error along a trajectory: Miyagawa's discretisation error with its propagator, and without.

To leading order the distance ``e_k`` of the equation of motion of order K from gradient descent obeys

    e_(k+1) = (I - eta A(theta_k)) e_k + eta**(K+2) term_(K+1)(theta_k),      e_0 = 0.

Without the propagator ``I - eta A`` the terms just add up, which over-estimates on stiff losses. The next order in
``eta`` tells how far the leading error can be trusted, and is the better prediction; see
derivations/leading_error_with_propagator.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from eomsym import checks
from eomsym.curvature.hessian import as_kernel
from eomsym.dynamics.descent import MOST_STEPS, descend
from eomsym.dynamics.leading_error import leading_error
from eomsym.dynamics.patience import Stopped
from eomsym.errors import InputError, TableError
from eomsym.output.figures import Figure, legend_below, on_axes
from eomsym.output.style import INK
from eomsym.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from eomsym.codegen.kernel import Kernel
    from eomsym.losses.objective import Objective

__all__ = ["Prediction", "predicted_distance", "predicted_rate"]


@dataclass(frozen=True, eq=False)
class Prediction:
    """Leading error along a run of gradient descent.

    Attributes
    ----------
    times : ndarray, shape (k+1,)
    vectors : ndarray, shape (k+1, n)
        Leading error: predicted distance vectors, equation of motion minus gradient descent.
    refined : ndarray, shape (k+1, n)
        The same with the next order in ``eta``; NaN from where it leaves the domain of the loss.
    sums : ndarray, shape (k+1,)
        Norm of the plain sum, without the propagator, for comparison.

    Examples
    --------
    >>> import eomsym as eom
    >>> found = eom.bounds.predicted_distance(eom.Loss("x**2/2", variables="x"), [1.0], eta=0.1, steps=2)
    >>> found.norms.round(4), found.doubts.round(4)
    (array([0.   , 0.005, 0.009]), array([0.    , 0.0002, 0.0003]))
    """

    times: Array
    vectors: Array
    refined: Array
    sums: Array

    @property
    def norms(self) -> Array:
        """Leading errors as distances, shape (k+1,)."""
        norms: Array = np.linalg.norm(self.vectors, axis=1)
        return norms

    @property
    def doubts(self) -> Array:
        """How far `vectors` can be trusted: their distances from `refined`, shape (k+1,)."""
        doubts: Array = np.linalg.norm(self.refined - self.vectors, axis=1)
        return doubts

    def plot(self, ax: Axes | None = None) -> Figure:
        """Draw the leading error against time, alone, with the next order, and without its propagator.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            New ones by default.

        Returns
        -------
        Figure
        """
        figure = on_axes(ax)
        one, later = figure.axes[0], slice(1, None)
        refined = np.linalg.norm(self.refined, axis=1)
        for name, values, style in (
            ("leading", self.norms, "-"),
            ("refined", refined, "--"),
            ("plain sum", self.sums, ":"),
        ):
            one.plot(self.times[later], values[later], color=INK, linestyle=style, label=name)
        one.set(xlabel=r"time $\eta k$", ylabel="predicted distance", yscale="log")
        legend_below(one)
        return figure


def predicted_distance(
    loss: Objective | Kernel, start: ArrayLike, *, eta: float, steps: int, order: int = 0
) -> Prediction:
    """Predict the distance between the equation of motion and gradient descent, step by step; no bound.

    At ``eta |A| <= 0.05``, over random deep linear networks, the leading error is mostly within 5 % of the truth, and
    the refined one within 0.5 %.

    Parameters
    ----------
    loss : Objective or Kernel
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
    >>> prediction = predicted_distance(eom.Loss("x**2/2", variables="x"), [1.0], eta=0.01, steps=100)
    >>> true = np.exp(-1) - 0.99**100
    >>> bool(np.isclose(prediction.vectors[-1, 0], true, rtol=0.02))
    True
    >>> bool(np.isclose(prediction.refined[-1, 0], true, rtol=2e-4))
    True

    References
    ----------
    T. Miyagawa, Toward Equation of Motion for Deep Neural Networks, NeurIPS 2022, arXiv:2210.15898, section 5 (the
    discretisation error); the propagator is that of Hairer, Nørsett, Wanner (1993), section II.8,
    doi:10.1007/978-3-540-78862-1.
    """
    rate, order = checks.positive(eta, "eta"), checks.order(order)
    kernel = as_kernel(loss, order + 2)
    path = descend(kernel, kernel.loss.validate(start), eta=rate, steps=checks.count(steps, "steps", 1, MOST_STEPS))
    vectors, refined = np.zeros_like(path.thetas), np.zeros_like(path.thetas)
    total = np.zeros(kernel.loss.size)
    sums = np.zeros(len(vectors))
    for k, theta in enumerate(path.thetas[:-1]):
        created = rate ** (order + 2) * kernel.terms(theta)[order + 1]
        vectors[k + 1] = vectors[k] - rate * kernel.hessian_vector(theta, vectors[k]) + created
        total += created
        sums[k + 1] = np.linalg.norm(total)
        refined[k + 1] = _refined_step(kernel, theta, refined[k], rate, order)
    return Prediction(path.times, vectors, refined, sums)


def _refined_step(kernel: Kernel, theta: Array, error: Array, eta: float, order: int) -> Array:
    """One step of the distance vector, but for terms that are ``O(eta**2)`` times as large."""
    moved = theta + error
    try:
        here = kernel.terms(moved)
        missed = [here[order + 1] + eta * here[order + 2]]
        there = kernel.terms(moved - eta * here[0])
        missed.append(there[order + 1] + eta * there[order + 2])
        # What the motion misses, integrated over the step by the trapezoidal rule.
        defect = missed[0] - eta * kernel.hessian_vector(moved, missed[0]) + missed[1]
        # g(theta + e) - g(theta) by the midpoint rule: a difference would cancel.
        curved = kernel.hessian_vector(theta + error / 2, error)
    except (InputError, TableError):  # not finite any more
        return np.full_like(theta, np.nan)
    after: Array = error - eta * curved + eta ** (order + 2) / 2 * defect
    return after


def predicted_rate(
    kernel: Kernel, theta: Array, epsilon: float, time: float, order: int, limit: float = 60.0
) -> tuple[float, tuple[str, ...]]:
    """The learning rate at which the leading error at a time is `epsilon`, with what must be known about it.

    It is infinite if the leading error vanishes; `limit` is that of `leading_error`, and `Stopped` is raised where that
    leaves it known to no more than a tenth.
    """
    found = leading_error(kernel.at_order(order + 1), theta, time=time, orders=[order], limit=limit)
    norm = float(found.norms[0])
    if found.notes and not found.errors[0] < norm / 10:
        raise Stopped(found.notes[0], 0)
    with np.errstate(over="ignore"):
        return float((epsilon / norm) ** (1 / (order + 1))) if norm > 0 else np.inf, found.notes
