"""What must hold for every run. Each check returns the tightness, bound over truth, where there is one."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import numpy as np
from hypothesis import assume

import eomsym as eom
from eomsym.bounds import Bound, distance, step_size
from eomsym.bounds.terms import term_bounds, tree_bounds
from eomsym.bounds.truncation import exponential_bound, step_defect
from eomsym.curvature.closed_form import curvature_of
from eomsym.curvature.hessian import GivenCurvature, eigenvalue_range, hessian
from eomsym.errors import DivergenceError, HypothesisError
from eomsym.testing import Run, assert_bound_holds

ROUNDING = 1e-12

#: Bound over truth of each case so far, NaN where the truth is too small to tell.
TIGHTNESS: dict[str, list[float]] = defaultdict(list)


def tightness(what: str, ratio: float) -> None:
    """Note how sharp a bound was, for the table after a long run."""
    TIGHTNESS[what].append(ratio)


def regime(run: Run, order: int = 0) -> str:
    """The order and how large the steps are: bounds get loose as ``eta |A|`` grows."""
    low, high = eigenvalue_range(eom.compile(run.loss, 0), run.start)
    size = run.eta * max(-low, high)
    limits = [limit for limit in (0.02, 0.1, 0.5) if size <= limit]
    return f"order {order}, eta |A| {f'<= {limits[0]}' if limits else '> 0.5'}"


def bounded(function: Any, *arguments: Any, **options: Any) -> Any:
    """The bound, or an example that does not count: a hypothesis does not hold."""
    try:
        return function(*arguments, **options)
    except HypothesisError:
        assume(False)
    except DivergenceError:
        assume(False)
    raise AssertionError("not reached")


def truth(run: Run, order: int) -> tuple[np.ndarray, float]:
    """Distances of gradient descent from the equation of motion, and how far they can be trusted."""
    descent = eom.descend(run.loss, run.start, eta=run.eta, steps=run.steps)
    try:
        motion = eom.flow(
            eom.compile(run.loss, order), run.start, eta=run.eta, time=descent.times, rtol=1e-10, atol=1e-12
        )
    except DivergenceError:
        assume(False)
    return np.linalg.norm(descent.thetas - motion.thetas, axis=1), 3 * motion.error + ROUNDING


def holds(bound: Bound, true: np.ndarray, doubt: float) -> float:
    assert_bound_holds(true, bound, atol=doubt)
    last = float(true[-1])
    return float(bound.values[-1] / last) if last > 100 * doubt else math.nan


def check_distance(run: Run, order: int = 0) -> float:
    bound = bounded(distance, run.loss, run.start, eta=run.eta, steps=run.steps, order=order, certificate="closed_form")
    return holds(bound, *truth(run, order))


def check_proven(run: Run, order: int = 0) -> float:
    bound = bounded(distance, run.loss, run.start, eta=run.eta, steps=run.steps, order=order, certificate="proven")
    return holds(bound, *truth(run, order))


def check_measured(run: Run, order: int = 0) -> float:
    bound = bounded(distance, run.loss, run.start, eta=run.eta, steps=run.steps, order=order)
    return holds(bound, *truth(run, order))


def quadratic(eigenvalues: list[float]) -> tuple[Any, GivenCurvature]:
    """``sum lambda_i x_i**2/2`` and its exact curvature."""
    names = [f"x{i}" for i in range(len(eigenvalues))]
    terms = "+".join(f"({int(16 * value)})/32*{name}**2" for value, name in zip(eigenvalues, names, strict=True))
    values = np.array(eigenvalues)
    exact = GivenCurvature(
        lambda x, r: float(values.min()),
        lambda x, r: float(values.max()),
        lambda x, r: float(np.linalg.norm(values * x) + np.abs(values).max() * r),
    )
    return eom.Loss(terms, variables=" ".join(names)), exact


def check_quadratic(eigenvalues: list[float], start: np.ndarray, eta: float, steps: int) -> float:
    """Gradient flow of a quadratic loss in closed form: nothing is integrated."""
    loss, exact = quadratic(eigenvalues)
    bound = bounded(distance, loss, start, eta=eta, steps=steps, certificate="proven", curvature=exact)
    values, times = np.array(eigenvalues), eta * np.arange(steps + 1)
    gaps = (np.exp(-np.outer(times, values)) - (1 - eta * values) ** np.arange(steps + 1)[:, None]) * start
    return holds(bound, np.linalg.norm(gaps, axis=1), ROUNDING)


def check_step_size(run: Run, epsilon: float) -> float:
    time = run.eta * run.steps
    allowed = bounded(step_size, run.loss, run.start, time=time, epsilon=epsilon, certificate="theorem").eta
    assume(np.isfinite(allowed))
    steps = max(int(np.ceil(time / (0.999 * allowed))), 1)
    assume(steps <= 2000)
    # As many steps of the largest rate as fit into the time.
    eta = time / steps
    true, doubt = truth(Run(run.loss, run.start, eta, steps), 0)
    assert_bound_holds(true, epsilon, atol=doubt)
    return float(epsilon / true.max()) if true.max() > 100 * doubt else math.nan


def check_search(run: Run, epsilon: float, order: int) -> float:
    time = run.eta * run.steps
    eta = bounded(
        step_size, run.loss, run.start, time=time, epsilon=epsilon, order=order, certificate="proven", most_steps=100
    ).eta
    true, doubt = truth(Run(run.loss, run.start, eta, round(time / eta)), order)
    assert_bound_holds(true, epsilon, atol=doubt)
    return float(epsilon / true.max()) if true.max() > 100 * doubt else math.nan


def check_ball(loss: Any, centre: np.ndarray, direction: np.ndarray, radius: float) -> float:
    """Spectrum, gradient and Lipschitz constant at a point of a ball, for both kinds of closed form."""
    length = float(np.linalg.norm(direction))
    assume(length > 0)
    point = centre + radius * direction / length
    kernel = eom.compile(loss, 0)
    there, here = hessian(kernel, point), hessian(kernel, centre)
    values = np.linalg.eigvalsh(there)
    slack = 1e-9 * (1 + np.abs(values).max())
    for sharp in (False, True):
        around = curvature_of(loss, sharp=sharp).at(centre)
        try:
            ball = around.spectrum(radius)
        except HypothesisError:
            assume(False)
        assert_bound_holds(-values[0], -ball.lower if ball.lower < 0 else 0.0, atol=slack + max(ball.lower, 0.0))
        assert ball.lower <= values[0] + slack
        assert_bound_holds(values[-1], ball.upper, atol=slack)
        assert_bound_holds(np.linalg.norm(kernel.gradient(point)), ball.slope, atol=slack)
        assert_bound_holds(np.linalg.norm(there - here, 2), around.third(radius) * radius, atol=slack)
    floor = curvature_of(loss, sharp=False).at(point).spectrum(0.0).lower
    assert floor <= values[0] + slack
    return float(floor / values[0]) if values[0] < -1e-6 else math.nan


def complex_gradient(loss: Any, theta: np.ndarray) -> np.ndarray:
    """The gradient of a deep linear network at a complex point."""
    matrices = [theta[block.place].reshape(block.shape) for block in loss.blocks.values()]
    product = np.eye(loss.widths[0])
    befores = []
    for matrix in matrices:
        befores.append(product)
        product = matrix @ product
    outputs = product @ loss.inputs.T
    if loss.loss == "cross_entropy":
        outputs = np.exp(outputs - outputs.real.max(axis=0))
        outputs /= outputs.sum(axis=0)
    error = (outputs - loss.targets.T) @ loss.inputs / len(loss.inputs)
    after = np.eye(loss.widths[-1])
    parts = []
    for matrix, before in zip(reversed(matrices), reversed(befores), strict=True):
        parts.append((after.T @ error @ before.T).ravel())
        after = after @ matrix
    return np.concatenate(parts[::-1])


def check_terms(loss: Any, theta: np.ndarray, direction: np.ndarray, order: int, radius: float) -> float:
    """Bounds on the gradient on the complex ball, on its derivatives, and on the counter terms in two ways."""
    length = float(np.linalg.norm(direction))
    assume(length > 0)
    derivatives = curvature_of(loss).at(theta).derivatives()
    steepest = float(derivatives.at(radius, 0)[0])
    assume(1e-9 < steepest < np.inf)
    unit = direction / length
    for phase in (1.0, 1j, np.exp(0.7j)):
        point = theta + radius * unit * phase
        assert_bound_holds(np.linalg.norm(complex_gradient(loss, point)), steepest, atol=ROUNDING)
    circle, turns = radius / 8, np.exp(2j * np.pi * np.arange(16) / 16)
    around = np.array([complex_gradient(loss, theta + circle * turn * unit) for turn in turns])
    for j, series in enumerate(np.fft.fft(around, axis=0)[:6] / 16):  # Taylor coefficients along the direction
        scale = math.factorial(j) / circle**j
        rounding = 1e-13 * float(np.abs(around).max()) * scale
        bound = float(derivatives.at(0.0, 6)[j])
        assert_bound_holds(scale * np.linalg.norm(series), bound, atol=ROUNDING + rounding)
    kernel = eom.compile(loss, order)
    cauchy = term_bounds(steepest, radius, order)
    for share in (0.0, 0.5):
        sizes = np.linalg.norm(kernel.terms(theta + share * radius * unit), axis=1)
        assert_bound_holds(sizes, cauchy, atol=ROUNDING)
    sizes = np.linalg.norm(kernel.terms(theta), axis=1)
    assert_bound_holds(sizes, trees := tree_bounds(derivatives.at(0.0, order), order), atol=ROUNDING)
    return float(trees[-1] / sizes[-1]) if sizes[-1] > 1e-9 else math.nan


def check_one_step(run: Run, order: int) -> float:
    """The defect of one step against the bound by trees, and the exponentially small one at its own order."""
    around = curvature_of(run.loss).at(run.start)
    try:
        bound = step_defect(around.derivatives(), 0.0, run.eta, order)
    except HypothesisError:
        assume(False)
    true, doubt = truth(Run(run.loss, run.start, run.eta, 1), order)
    assert_bound_holds(true[-1], bound, atol=doubt)
    for radius in (0.5, 2.0):
        steepest = float(around.derivatives().at(radius, 0)[0])
        if not 1e-9 < steepest < np.inf:
            continue
        eta = radius / (np.e * 5.18 * steepest) / (order + 1.5)  # so that N = order + 1
        small = exponential_bound(steepest, radius, eta)
        assert f"of order {order} " in small.claim
        once, uncertain = truth(Run(run.loss, run.start, eta, 1), order)
        assert_bound_holds(once[-1], small.value, atol=uncertain)
    return float(bound / true[-1]) if true[-1] > 100 * doubt else math.nan
