"""Bound, estimate and truth side by side: of distances from gradient descent, and of learning rates for a distance."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from eomsym.bounds.bound import Bound
from eomsym.bounds.fundamental import distance_bound, measured_bound
from eomsym.bounds.prediction import predict_error, predict_step_size
from eomsym.bounds.step_size import safe_step_size, search_step_size
from eomsym.curvature.closed_form import curvature_of
from eomsym.curvature.hessian import Curvature, EstimatedCurvature, as_kernel
from eomsym.dynamics.descent import checked_count, descend
from eomsym.dynamics.flow import check_positive, flow
from eomsym.dynamics.leading_error import check_orders
from eomsym.errors import DivergenceError, HypothesisError, TableError

if TYPE_CHECKING:
    from eomsym.losses.objective import Objective

__all__ = ["RateRow", "Row", "compare_bounds", "compare_rates", "format_rates", "format_rows"]


@dataclass(frozen=True)
class Row:
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
            if isinstance(bound, Bound) and bound.proven and bound.value * (1 + 1e-9) + self.doubt < self.true
        )


def compare_bounds(
    loss: Objective,
    start: ArrayLike,
    time: float,
    steps: int,
    orders: Iterable[int] = range(3),
    *,
    curvature: Curvature | None = None,
    rigorous: bool = False,
    progress: Callable[[str], None] = lambda label: None,
) -> list[Row]:
    """Compute truth, predictions and bounds of several orders.

    Parameters
    ----------
    loss : Objective
    start : array_like, shape (n,)
    time : float
    steps : int
        The learning rate is ``time/steps``.
    orders : iterable of int
    curvature : Curvature, optional
        By default the closed form of the loss; where there is none, estimates, which are labelled as such.
    rigorous : bool
        Add bounds by enclosures.
    progress : callable
        Called with a label before each piece of work.

    Returns
    -------
    list of Row

    Examples
    --------
    >>> import eomsym as eom
    >>> loss = eom.DeepLinear((1, 1, 1, 1), inputs=[[1.0]], targets=[[1.0]])
    >>> row, = compare_bounds(loss, [0.3, 0.3, 0.3], time=5.0, steps=50, orders=[0])
    >>> row.true <= row.measured.value <= 20 * row.true
    True
    """
    duration, count = check_positive("time", time), checked_count(steps, "steps", 1)
    eta, theta = duration / count, loss.validate(start)
    asked = check_orders(orders)
    kernel = as_kernel(loss, max(asked) + 1)
    end = descend(loss, theta, eta=eta, steps=count, every=count).thetas[-1]
    known = curvature if curvature is not None else _curvature(loss)
    rows = []
    for order in asked:
        progress(f"order {order}")
        try:
            path = flow(kernel.at_order(order), theta, eta=eta, time=duration)
            true, doubt = float(np.linalg.norm(path.thetas[-1] - end)), path.error
        except DivergenceError:
            true, doubt = math.nan, math.nan
        prediction = predict_error(loss, theta, eta, count, order)
        enclosed: Bound | str | None = None
        if rigorous:
            from eomsym.bounds.rigorous import rigorous_distance

            enclosed = _attempt(rigorous_distance, loss, theta, eta, count, order)
        rows.append(
            Row(
                order,
                true,
                doubt,
                float(prediction.norms[-1]),
                float(np.linalg.norm(prediction.refined[-1])),
                float(prediction.sums[-1]),
                _attempt(measured_bound, loss, theta, eta, count, order, known),
                _attempt(distance_bound, loss, theta, eta, count, order, known),
                enclosed,
            )
        )
    return rows


def _curvature(loss: Objective) -> Curvature:
    try:
        return curvature_of(loss)
    except HypothesisError:
        return EstimatedCurvature(as_kernel(loss))


def _attempt(function: Callable[..., Bound], *arguments: Any) -> Bound | str:
    try:
        return function(*arguments)
    except (HypothesisError, DivergenceError, TableError) as error:
        return str(error)


@dataclass(frozen=True)
class RateRow:
    """One order: learning rates that keep gradient descent within a distance of the equation of motion.

    Attributes
    ----------
    order : int
    theorem : Bound or str or None
        The guarantee of Elkabetz and Cohen, or why there is none; None but at order 0.
    search : Bound or str
        The largest guaranteed rate found, or why there is none.
    predicted : float
        The rate at which the leading error is that distance; NaN if gradient flow diverges.
    """

    order: int
    theorem: Bound | str | None
    search: Bound | str
    predicted: float


def compare_rates(
    loss: Objective,
    start: ArrayLike,
    time: float,
    epsilon: float,
    orders: Iterable[int] = range(3),
    *,
    curvature: Curvature | None = None,
    progress: Callable[[str], None] = lambda label: None,
) -> list[RateRow]:
    """Compute guaranteed and predicted learning rates of several orders.

    Parameters
    ----------
    loss : Objective
    start : array_like, shape (n,)
    time, epsilon : float
        Gradient descent is to stay within `epsilon` up to this time.
    orders : iterable of int
    curvature, progress
        As for `compare_bounds`.

    Returns
    -------
    list of RateRow

    Examples
    --------
    >>> import eomsym as eom
    >>> loss = eom.DeepLinear((1, 1, 1), inputs=[[1.0]], targets=[[1.0]])
    >>> row, = compare_rates(loss, [0.5, 0.5], time=2.0, epsilon=0.01, orders=[0])
    >>> row.theorem.value < row.search.value < row.predicted
    True
    """
    theta = loss.validate(start)
    known = curvature if curvature is not None else _curvature(loss)
    rows = []
    for order in check_orders(orders):
        progress(f"order {order}")
        try:
            predicted = predict_step_size(loss, theta, epsilon, time, order)
        except DivergenceError:
            predicted = math.nan
        theorem = _attempt(safe_step_size, loss, theta, epsilon, time, known) if order == 0 else None
        rows.append(
            RateRow(order, theorem, _attempt(search_step_size, loss, theta, epsilon, time, order, known), predicted)
        )
    return rows


def format_rows(rows: Sequence[Row]) -> str:
    """A table in plain text; estimates are marked with ~, what has no bound with a dash and its reason below.

    Parameters
    ----------
    rows : sequence of Row

    Returns
    -------
    str

    Examples
    --------
    >>> print(format_rows([Row(0, 0.5, 0.0, 0.45, 0.5, 1.0, "no bound: eta is too large", None, None)]))
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


def format_rates(rows: Sequence[RateRow]) -> str:
    """A table in plain text, as of `format_rows`.

    Parameters
    ----------
    rows : sequence of RateRow

    Returns
    -------
    str

    Examples
    --------
    >>> print(format_rates([RateRow(1, None, "no bound: epsilon is too small", 0.02)]))
    order  theorem    search     predicted
        1             -          0.02
    order 1, search: no bound: epsilon is too small
    """
    cells = [{"theorem": row.theorem, "search": row.search, "predicted": row.predicted} for row in rows]
    return _table([row.order for row in rows], ["theorem", "search", "predicted"], cells)


def _table(
    orders: Sequence[int], columns: Sequence[str], cells: Sequence[dict[str, float | Bound | str | None]]
) -> str:
    lines = ["order  " + "  ".join(f"{name:<9}" for name in columns)]
    reasons = []
    for order, row in zip(orders, cells, strict=True):
        shown = []
        for name in columns:
            cell = row[name]
            if isinstance(cell, Bound):
                shown.append(("" if cell.proven else "~") + f"{cell.value:.4g}")
            elif isinstance(cell, str):
                shown.append("-")
                reasons.append(f"order {order}, {name}: {cell}")
            else:
                shown.append("" if cell is None else f"{cell:.4g}")
        lines.append(f"{order:5d}  " + "  ".join(f"{text:<9}" for text in shown))
    return "\n".join(line.rstrip() for line in [*lines, *reasons])
