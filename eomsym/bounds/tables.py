"""Bound, estimate and truth side by side: of distances from gradient descent, and of learning rates for a distance."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from eomsym import checks
from eomsym.bounds.bound import Bound, StepSize
from eomsym.bounds.comparison import DistanceRow, Distances, StepSizeRow, StepSizes
from eomsym.bounds.distances import distance
from eomsym.bounds.prediction import predicted_distance
from eomsym.bounds.step_sizes import step_size
from eomsym.curvature.closed_form import curvature_of
from eomsym.curvature.hessian import Curvature, EstimatedCurvature, as_kernel
from eomsym.dynamics.descent import MOST_STEPS, descend
from eomsym.dynamics.flow import flow
from eomsym.dynamics.leading_error import check_orders
from eomsym.errors import DivergenceError, HypothesisError, TableError
from eomsym.output.records import data_hash

if TYPE_CHECKING:
    from eomsym.codegen.kernel import Kernel
    from eomsym.losses.objective import Objective

__all__ = ["compare_distances", "compare_step_sizes"]


Progress = Callable[[int, int, str], None]
Answer = TypeVar("Answer", Bound, StepSize)


def compare_distances(
    loss: Objective | Kernel,
    start: ArrayLike,
    *,
    eta: float,
    steps: int,
    orders: Iterable[int] = range(3),
    curvature: Curvature | None = None,
    rigorous: bool = False,
    name: str = "",
    progress: Progress = lambda done, total, label: None,
) -> Distances:
    """Compute truth, predictions and bounds of several orders.

    Parameters
    ----------
    loss : Objective or Kernel
    start : array_like, shape (n,)
    eta : float
    steps : int
    orders : iterable of int
    curvature : Curvature, optional
        By default the closed form of the loss; where there is none, estimates, which are labelled as such.
    rigorous : bool
        Add bounds by enclosures.
    name : str
        What the problem is called; the description of the loss by default.
    progress : callable
        Called with (done, total, label) before each piece of work.

    Returns
    -------
    Distances
        A row for each order.

    Examples
    --------
    >>> import eomsym as eom
    >>> loss = eom.DeepLinear((1, 1, 1, 1), inputs=[[1.0]], targets=[[1.0]])
    >>> row, = compare_distances(loss, [0.3, 0.3, 0.3], eta=0.1, steps=50, orders=[0])
    >>> row.true <= row.measured.value <= 20 * row.true
    True
    """
    rate, count = checks.positive(eta, "eta"), checks.count(steps, "steps", 1, MOST_STEPS)
    asked = check_orders(orders)
    kernel = as_kernel(loss, max(asked) + 1)
    theta = kernel.loss.validate(start)
    every = _every(count)
    run = descend(kernel, theta, eta=rate, steps=count, every=every)
    known = curvature if curvature is not None else _curvature(kernel)
    rows = []
    for done, order in enumerate(asked):
        progress(done, len(asked), f"order {order}")
        try:
            path = flow(kernel.at_order(order), theta, eta=rate, time=run.times)
            truths, doubt = np.linalg.norm(path.thetas - run.thetas, axis=1), path.error
        except DivergenceError:
            truths, doubt = np.full(len(run.times), math.nan), math.nan
        question: dict[str, Any] = {"eta": rate, "steps": count, "order": order}
        prediction = predicted_distance(kernel, theta, **question)
        rows.append(
            DistanceRow(
                order,
                float(truths[-1]),
                doubt,
                float(prediction.norms[-1]),
                float(np.linalg.norm(prediction.refined[-1])),
                float(prediction.sums[-1]),
                _attempt(distance, kernel, theta, **question, curvature=known),
                _attempt(distance, kernel, theta, **question, curvature=known, certificate="proven"),
                _attempt(distance, kernel, theta, **question, certificate="rigorous") if rigorous else None,
                run.times,
                truths,
                prediction.norms[::every],
            )
        )
    return Distances(
        checks.text(name, "name") or kernel.loss.name, rate, count, tuple(rows), tuple(theta.tolist()), _data(kernel)
    )


def _every(count: int) -> int:
    """Every so many steps the way is kept: the least divisor of the number of steps that leaves at most 200."""
    return next(every for every in range(max(1, count // 200), count + 1) if count % every == 0)


def _data(kernel: Kernel) -> str | None:
    arrays = [getattr(kernel.loss, name) for name in ("inputs", "targets") if hasattr(kernel.loss, name)]
    return data_hash(*arrays) if arrays else None


def _curvature(kernel: Kernel) -> Curvature:
    try:
        return curvature_of(kernel.loss)
    except HypothesisError:
        return EstimatedCurvature(kernel)


def _attempt(function: Callable[..., Answer], *arguments: Any, **options: Any) -> Answer | str:
    try:
        return function(*arguments, **options)
    except (HypothesisError, DivergenceError, TableError) as error:
        return str(error)


def compare_step_sizes(
    loss: Objective | Kernel,
    start: ArrayLike,
    *,
    time: float,
    epsilon: float,
    orders: Iterable[int] = range(3),
    curvature: Curvature | None = None,
    limit: float = 60.0,
    name: str = "",
    progress: Progress = lambda done, total, label: None,
) -> StepSizes:
    """Compute guaranteed and predicted learning rates of several orders.

    Parameters
    ----------
    loss : Objective or Kernel
    start : array_like, shape (n,)
    time, epsilon : float
        Gradient descent is to stay within `epsilon` up to this time.
    orders : iterable of int
    curvature, name, progress
        As for `compare_distances`.
    limit : float
        Seconds of CPU time for each of them, see `eomsym.bounds.step_size`.

    Returns
    -------
    StepSizes
        A row for each order.

    Examples
    --------
    >>> import eomsym as eom
    >>> loss = eom.DeepLinear((1, 1, 1), inputs=[[1.0]], targets=[[1.0]])
    >>> row, = compare_step_sizes(loss, [0.5, 0.5], time=2.0, epsilon=0.01, orders=[0])
    >>> row.theorem.eta < row.measured.eta <= row.proven.eta < row.predicted
    True
    """
    asked = check_orders(orders)
    kernel = as_kernel(loss)
    theta = kernel.loss.validate(start)
    known = curvature if curvature is not None else _curvature(kernel)
    rows = []
    for done, order in enumerate(asked):
        progress(done, len(asked), f"order {order}")
        question: dict[str, Any] = {"time": time, "epsilon": epsilon, "order": order, "limit": limit}
        try:
            predicted = step_size(kernel, theta, **question, certificate="predicted").eta
        except DivergenceError:
            predicted = math.nan
        found = {
            kind: _attempt(step_size, kernel, theta, **question, certificate=kind, curvature=known)
            for kind in ("theorem", "proven", "measured")
            if order == 0 or kind != "theorem"
        }
        rows.append(StepSizeRow(order, found.get("theorem"), found["proven"], found["measured"], predicted))
    title, start_told = checks.text(name, "name") or kernel.loss.name, tuple(theta.tolist())
    return StepSizes(title, float(time), float(epsilon), tuple(rows), start_told, _data(kernel))
