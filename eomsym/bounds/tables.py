"""Bound, estimate and truth side by side: of distances from gradient descent, and of learning rates for a distance."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from eomsym import checks
from eomsym.bounds.bound import Bound, StepSize
from eomsym.bounds.distances import distance
from eomsym.bounds.prediction import predicted_distance
from eomsym.bounds.step_sizes import step_size
from eomsym.curvature.closed_form import curvature_of
from eomsym.curvature.hessian import Curvature, EstimatedCurvature, as_kernel
from eomsym.dynamics.descent import descend
from eomsym.dynamics.flow import flow
from eomsym.dynamics.leading_error import check_orders
from eomsym.errors import DivergenceError, HypothesisError, TableError

if TYPE_CHECKING:
    from eomsym.codegen.kernel import Kernel
    from eomsym.losses.objective import Objective

__all__ = [
    "DistanceRow",
    "StepSizeRow",
    "compare_distances",
    "compare_step_sizes",
    "format_distances",
    "format_step_sizes",
]


Progress = Callable[[int, int, str], None]
Answer = TypeVar("Answer", Bound, StepSize)


@dataclass(frozen=True)
class DistanceRow:
    """One order: distances of gradient descent from the equation of motion at the end.

    Attributes
    ----------
    order : int
    true : float
        Measured distance; NaN if the motion diverges.
    doubt : float
        Its error.
    leading : float
        The leading error, with its propagator.
    refined : float
        The same with the next order in ``eta``.
    plain : float
        The plain sum, without.
    measured, proven, rigorous : Bound or str or None
        Bound a posteriori, bound from closed forms, bound by enclosures: the bound, why there is none, or None if it
        was not asked for.
    """

    order: int
    true: float
    doubt: float
    leading: float
    refined: float
    plain: float
    measured: Bound | str | None
    proven: Bound | str | None
    rigorous: Bound | str | None

    @property
    def violated(self) -> tuple[str, ...]:
        """Names of the proven bounds that lie below the truth; there should be none."""
        named = (("measured", self.measured), ("proven", self.proven), ("rigorous", self.rigorous))
        return tuple(
            name
            for name, bound in named
            if isinstance(bound, Bound) and bound.proven and bound.value + self.doubt < self.true
        )


def compare_distances(
    loss: Objective | Kernel,
    start: ArrayLike,
    *,
    eta: float,
    steps: int,
    orders: Iterable[int] = range(3),
    curvature: Curvature | None = None,
    rigorous: bool = False,
    progress: Progress = lambda done, total, label: None,
) -> list[DistanceRow]:
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
    progress : callable
        Called with (done, total, label) before each piece of work.

    Returns
    -------
    list of DistanceRow

    Examples
    --------
    >>> import eomsym as eom
    >>> loss = eom.DeepLinear((1, 1, 1, 1), inputs=[[1.0]], targets=[[1.0]])
    >>> row, = compare_distances(loss, [0.3, 0.3, 0.3], eta=0.1, steps=50, orders=[0])
    >>> row.true <= row.measured.value <= 20 * row.true
    True
    """
    rate, count = checks.positive(eta, "eta"), checks.count(steps, "steps", 1)
    asked = check_orders(orders)
    kernel = as_kernel(loss, max(asked) + 1)
    theta = kernel.loss.validate(start)
    end = descend(kernel, theta, eta=rate, steps=count, every=count).thetas[-1]
    known = curvature if curvature is not None else _curvature(kernel)
    rows = []
    for done, order in enumerate(asked):
        progress(done, len(asked), f"order {order}")
        try:
            path = flow(kernel.at_order(order), theta, eta=rate, time=rate * count)
            true, doubt = float(np.linalg.norm(path.thetas[-1] - end)), path.error
        except DivergenceError:
            true, doubt = math.nan, math.nan
        question: dict[str, Any] = {"eta": rate, "steps": count, "order": order}
        prediction = predicted_distance(kernel, theta, **question)
        rows.append(
            DistanceRow(
                order,
                true,
                doubt,
                float(prediction.norms[-1]),
                float(np.linalg.norm(prediction.refined[-1])),
                float(prediction.sums[-1]),
                _attempt(distance, kernel, theta, **question, curvature=known),
                _attempt(distance, kernel, theta, **question, curvature=known, certificate="proven"),
                _attempt(distance, kernel, theta, **question, certificate="rigorous") if rigorous else None,
            )
        )
    return rows


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


@dataclass(frozen=True)
class StepSizeRow:
    """One order: learning rates that keep gradient descent within a distance of the equation of motion.

    Attributes
    ----------
    order : int
    theorem : StepSize or str or None
        The guarantee of Elkabetz and Cohen, or why there is none; None but at order 0.
    proven, measured : StepSize or str
        The largest rate found with this certificate, or why there is none.
    predicted : float
        The rate at which the leading error is that distance; NaN if gradient flow diverges.
    """

    order: int
    theorem: StepSize | str | None
    proven: StepSize | str
    measured: StepSize | str
    predicted: float


def compare_step_sizes(
    loss: Objective | Kernel,
    start: ArrayLike,
    *,
    time: float,
    epsilon: float,
    orders: Iterable[int] = range(3),
    curvature: Curvature | None = None,
    progress: Progress = lambda done, total, label: None,
) -> list[StepSizeRow]:
    """Compute guaranteed and predicted learning rates of several orders.

    Parameters
    ----------
    loss : Objective or Kernel
    start : array_like, shape (n,)
    time, epsilon : float
        Gradient descent is to stay within `epsilon` up to this time.
    orders : iterable of int
    curvature, progress
        As for `compare_distances`.

    Returns
    -------
    list of StepSizeRow

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
        question: dict[str, Any] = {"time": time, "epsilon": epsilon, "order": order}
        try:
            predicted = step_size(kernel, theta, **question, certificate="predicted").eta
        except DivergenceError:
            predicted = math.nan
        found = {
            name: _attempt(step_size, kernel, theta, **question, certificate=name, curvature=known)
            for name in ("theorem", "proven", "measured")
            if order == 0 or name != "theorem"
        }
        rows.append(StepSizeRow(order, found.get("theorem"), found["proven"], found["measured"], predicted))
    return rows


def format_distances(rows: Sequence[DistanceRow]) -> str:
    """A table in plain text; estimates are marked with ~, what has no bound with a dash and its reason below.

    Parameters
    ----------
    rows : sequence of DistanceRow

    Returns
    -------
    str

    Examples
    --------
    >>> print(format_distances([DistanceRow(0, 0.5, 0.0, 0.45, 0.5, 1.0, "no bound: eta is too large", None, None)]))
    order  truth      leading    refined    plain sum  measured   proven
        0  0.5        0.45       0.5        1          -
    order 0, measured: no bound: eta is too large
    """
    columns = ["truth", "leading", "refined", "plain sum", "measured", "proven"]
    if any(row.rigorous is not None for row in rows):
        columns.append("rigorous")
    cells = [
        {"truth": row.true, "leading": row.leading, "refined": row.refined, "plain sum": row.plain,
         "measured": row.measured, "proven": row.proven, "rigorous": row.rigorous}
        for row in rows
    ]  # fmt: skip
    return _table([row.order for row in rows], columns, cells)


def format_step_sizes(rows: Sequence[StepSizeRow]) -> str:
    """A table in plain text, as of `format_distances`.

    Parameters
    ----------
    rows : sequence of StepSizeRow

    Returns
    -------
    str

    Examples
    --------
    >>> reason = "no bound: epsilon is too small"
    >>> print(format_step_sizes([StepSizeRow(1, None, reason, reason, 0.02)]))
    order  theorem    proven     measured   predicted
        1             -          -          0.02
    order 1, proven: no bound: epsilon is too small
    order 1, measured: no bound: epsilon is too small
    """
    columns = ["theorem", "proven", "measured", "predicted"]
    return _table(
        [row.order for row in rows], columns, [{name: getattr(row, name) for name in columns} for row in rows]
    )


def _table(orders: Sequence[int], columns: Sequence[str], cells: Sequence[dict[str, Any]]) -> str:
    lines = ["order  " + "  ".join(f"{name:<9}" for name in columns)]
    reasons = []
    for order, row in zip(orders, cells, strict=True):
        shown = []
        for name in columns:
            cell = row[name]
            if isinstance(cell, (Bound, StepSize)):
                shown.append(("" if cell.proven else "~") + f"{float(cell):.4g}")
            elif isinstance(cell, str):
                shown.append("-")
                reasons.append(f"order {order}, {name}: {cell}")
            else:
                shown.append("" if cell is None else f"{cell:.4g}")
        lines.append(f"{order:5d}  " + "  ".join(f"{text:<9}" for text in shown))
    return "\n".join(line.rstrip() for line in [*lines, *reasons])
