"""Learning rates that keep gradient descent within a distance of gradient flow, or of the equation of motion.

`safe_step_size` is the theorem of Elkabetz and Cohen, with the numbers of the whole tube of radius epsilon.
`search_step_size` looks for the largest learning rate for which `distance_bound` stays below epsilon: there the radius
grows with the distance itself, so the rate is many times larger.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import exprel

from eomsym.bounds.bound import Bound, Hypothesis, require
from eomsym.bounds.fundamental import distances
from eomsym.bounds.prediction import predict_step_size
from eomsym.codegen.kernel import checked_order
from eomsym.curvature.closed_form import checked_curvature
from eomsym.curvature.hessian import Curvature, as_kernel
from eomsym.dynamics.descent import checked_count, descend
from eomsym.dynamics.flow import check_positive, flow
from eomsym.errors import DivergenceError, HypothesisError, InputError, TableError

if TYPE_CHECKING:
    from eomsym.losses.objective import Objective

__all__ = ["constant_step_size", "safe_step_size", "search_step_size"]

THEOREM = "Elkabetz and Cohen (2021), arXiv:2107.06608, section 3"


def constant_step_size(epsilon: float, time: float, growth: float, smoothness: float, slope: float) -> float:
    """The guaranteed learning rate where ``m``, ``beta`` and ``gamma`` are constant.

    ``m eps/(beta gamma (exp(mT) - 1))`` for ``m > 0``, ``eps/(beta gamma T)`` for ``m = 0``, and for ``m < 0`` the
    rate ``-m eps/(beta gamma)``, which holds for all times.

    Parameters
    ----------
    epsilon, time : float
    growth : float
        ``m``, at least ``-lambda_min`` on the tube.
    smoothness, slope : float
        ``beta`` and ``gamma``, the largest Hessian and gradient on the tube.

    Returns
    -------
    float

    Raises
    ------
    InputError
        If a number cannot be used.

    Examples
    --------
    >>> constant_step_size(0.1, time=5.0, growth=0.0, smoothness=2.0, slope=1.0)
    0.01

    References
    ----------
    O. Elkabetz and N. Cohen (2021), arXiv:2107.06608, corollaries of theorem 2.
    """
    eps, duration = check_positive("epsilon", epsilon), check_positive("time", time)
    beta, gamma = check_positive("smoothness", smoothness), check_positive("slope", slope)
    if not np.isfinite(growth):
        raise InputError(f"growth={growth!r}: expected a finite number")
    integral = 1 / -growth if growth < 0 else duration * float(exprel(growth * duration))
    return eps / (beta * gamma * integral)


def safe_step_size(
    loss: Objective,
    start: ArrayLike,
    epsilon: float,
    time: float,
    curvature: Curvature | None = None,
    *,
    initial: float = 0.0,
    cells: int = 200,
) -> Bound:
    """A learning rate with which gradient descent stays within `epsilon` of gradient flow up to a time.

    The theorem of Elkabetz and Cohen: with ``m``, ``beta`` and ``gamma`` on the tube of radius `epsilon` around
    gradient flow, any

        eta < inf over t of (eps - exp(int_0^t m) initial) / (beta_t gamma_t int_0^t exp(int_s^t m) ds)

    will do. Between two of `cells` times, gradient flow moves by at most ``sqrt(dt (L(s) - L(t)))``, so the tube is
    covered by balls.

    Parameters
    ----------
    loss : Objective
    start : array_like, shape (n,)
    epsilon, time : float
    curvature : Curvature, optional
        The closed form of the loss by default.
    initial : float
        Distance of the start of gradient descent from that of gradient flow.
    cells : int
        Pieces of time.

    Returns
    -------
    Bound
        `value` is the learning rate; `values` are those that the times so far allow.

    Raises
    ------
    HypothesisError
        If the tube leaves the domain of the curvature, or `initial` grows beyond `epsilon`.

    Examples
    --------
    >>> import eomsym as eom
    >>> loss = eom.DeepLinear((1, 1, 1), inputs=[[1.0]], targets=[[1.0]])  # (w1 w2 - 1)**2/2
    >>> 0.001 < safe_step_size(loss, [0.5, 0.5], epsilon=0.1, time=2.0).value < 0.2
    True

    References
    ----------
    O. Elkabetz and N. Cohen (2021), arXiv:2107.06608, theorem 2.
    """
    eps, duration = check_positive("epsilon", epsilon), check_positive("time", time)
    pieces = checked_count(cells, "cells", 1)
    kernel = as_kernel(loss)
    known = checked_curvature(loss, curvature)
    path = flow(kernel, start, eta=1.0, time=np.linspace(0.0, duration, pieces + 1), rtol=1e-10, atol=1e-12)
    heights = np.array([loss.value(theta) for theta in path.thetas])
    h = duration / pieces
    beta = gamma = integral = 0.0
    swell = 1.0  # exp(int m)
    allowed = np.inf
    rates = np.empty(pieces + 1)
    rates[0] = np.inf
    for i, theta in enumerate(path.thetas[:-1]):
        # The difference of two losses is rounded.
        fallen = max(heights[i] - heights[i + 1], 0.0) + 4e-16 * max(abs(heights[i]), abs(heights[i + 1]))
        moved = float(np.sqrt(h * fallen))
        ball = known.at(theta).spectrum(eps + moved + path.error)
        beta, gamma, m = max(beta, ball.smoothness), max(gamma, ball.slope), ball.growth
        # m is constant on the piece, so both are monotone there.
        after = np.exp(m * h) * integral + h * exprel(m * h)
        worst = max(swell, swell * float(np.exp(m * h)))
        left = eps - worst * initial
        if not left > 0:
            raise HypothesisError(
                f"no bound: needed exp(int m) |theta_0 - theta(0)| < epsilon, got {worst * initial:.4g} at time "
                f"{(i + 1) * h:.4g} for epsilon = {eps:.4g}; use a larger epsilon or an earlier time"
            )
        if beta * gamma > 0:
            allowed = min(allowed, left / (beta * gamma * max(integral, after)))
        swell *= float(np.exp(m * h))
        integral = after
        rates[i + 1] = allowed
    hypotheses = (
        require(np.isfinite(integral) and np.isfinite(swell), "m(t) integrable", f"exp(int m) = {swell:.4g}"),
        Hypothesis("the eps-tube lies in the domain of the curvature", f"eps = {eps:.4g}"),
        Hypothesis("beta, gamma on the tube", f"{beta:.4g}, {gamma:.4g}"),
    )
    claim = f"largest learning rate that keeps gradient descent within {eps:.4g} of gradient flow up to {duration:.4g}"
    note = f"gradient flow was integrated numerically, with an error of about {path.error:.1e} added to the radius"
    return Bound(claim, rates, path.times, hypotheses, f"{THEOREM}; {known.source}", known.proven, (note,))


def search_step_size(
    loss: Objective,
    start: ArrayLike,
    epsilon: float,
    time: float,
    order: int = 0,
    curvature: Curvature | None = None,
    *,
    most_steps: int = 20_000,
) -> Bound:
    """The largest learning rate found that provably keeps gradient descent close to its equation of motion.

    Among the rates ``time/k``, it looks for the smallest number of steps k with `distance_bound` below `epsilon` at
    all steps; it begins where the leading error is `epsilon`.

    Parameters
    ----------
    loss : Objective
    start : array_like, shape (n,)
    epsilon, time : float
    order : int
        ``K`` of the equation of motion; 0 is gradient flow. From 1 on the closed form of a network or of a polynomial
        is needed.
    curvature : Curvature, optional
        The closed form of the loss by default.
    most_steps : int
        No more are tried.

    Returns
    -------
    Bound
        `value` is the learning rate, ``time/k``. The claim is for this rate; of smaller ones it says nothing.

    Raises
    ------
    HypothesisError
        If the distance cannot be bounded by `epsilon` with `most_steps`.

    Examples
    --------
    >>> import eomsym as eom
    >>> loss = eom.DeepLinear((1, 1, 1), inputs=[[1.0]], targets=[[1.0]])
    >>> theorem = safe_step_size(loss, [0.5, 0.5], epsilon=0.02, time=2.0)
    >>> found = search_step_size(loss, [0.5, 0.5], epsilon=0.02, time=2.0)
    >>> round(theorem.value, 4), round(found.value, 4)
    (0.0101, 0.0645)

    References
    ----------
    The discrete theorem of derivations/fundamental_theorem.
    """
    eps, duration, order = check_positive("epsilon", epsilon), check_positive("time", time), checked_order(order)
    limit = checked_count(most_steps, "most_steps", 1)
    known = checked_curvature(loss, curvature)
    kernel = as_kernel(loss, order and order + 1)
    theta = kernel.loss.validate(start)
    if order > 0:
        known.at(theta).derivatives()  # where there are none, more steps do not help: the error says so at once
    refusals: list[str] = []

    def held(steps: int) -> bool:
        try:
            path = descend(loss, theta, eta=duration / steps, steps=steps)
            reached = float(np.max(distances(kernel, known, path.thetas, duration / steps, order, limit=eps)))
        except (HypothesisError, DivergenceError, TableError) as error:
            refusals.append(f"with {steps} steps: {error}")
            return False
        if reached > eps:
            refusals.append(f"with {steps} steps the bound reaches {reached:.4g}")
        return reached <= eps

    try:
        promising = predict_step_size(loss, theta, eps, duration, order)
    except DivergenceError:
        promising = duration
    steps = int(np.clip(np.ceil(duration / promising), 1, limit))
    failed, good = 0, 0  # the largest number of steps known to fail below `good`, the smallest known to hold
    while not good:
        if held(steps):
            good = steps
        elif steps == limit:
            raise HypothesisError(
                f"no bound: needed a distance below epsilon = {eps:.4g} up to time {duration:.4g}, got {refusals[-1]}; "
                "use a larger epsilon, an earlier time or more of most_steps"
            )
        else:
            failed, steps = steps, min(int(np.ceil(1.5 * steps)), limit)
    while not failed and good > 1:
        steps = max(int(good / 1.5), 1)
        if held(steps):
            good = steps
        else:
            failed = steps
    while good - failed > max(1, good // 50):
        steps = (good + failed) // 2
        if held(steps):
            good = steps
        else:
            failed = steps
    rate = duration / good
    what = "gradient flow" if order == 0 else f"the equation of motion of order {order}"
    hypotheses = (
        Hypothesis("the bound of the distance stays below epsilon", f"{good} steps, epsilon = {eps:.4g}"),
        Hypothesis("curvature", known.source),
    )
    claim = f"learning rate that keeps gradient descent within {eps:.4g} of {what} up to time {duration:.4g}"
    return Bound(claim, np.array([rate]), np.array([duration]), hypotheses,
                 "eomsym, derivations/fundamental_theorem", known.proven)  # fmt: skip
