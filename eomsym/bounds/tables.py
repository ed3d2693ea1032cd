"""Bound, estimate and truth of the distance from gradient descent, side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from eomsym.bounds.bound import Bound
from eomsym.bounds.fundamental import distance_bound, measured_bound
from eomsym.bounds.hessian import Curvature, EstimatedCurvature, as_kernel, curvature_of
from eomsym.bounds.leading_error import check_orders
from eomsym.bounds.prediction import predict_error
from eomsym.dynamics.descent import checked_count, descend
from eomsym.dynamics.flow import check_positive, flow
from eomsym.errors import DivergenceError, HypothesisError, TableError

if TYPE_CHECKING:
    from eomsym.losses.objective import Objective

__all__ = ["Row", "compare_bounds", "format_rows"]


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
    end = descend(loss, theta, eta, count, every=count).thetas[-1]
    known = curvature if curvature is not None else _curvature(loss)
    rows = []
    for order in asked:
        progress(f"order {order}")
        try:
            path = flow(kernel.at_order(order), theta, eta, duration)
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
    lines = ["order  " + "  ".join(f"{name:<9}" for name in columns)]
    reasons = []
    for row in rows:
        cells = [f"{number:.4g}" for number in (row.true, row.leading, row.refined, row.plain)]
        for name, bound in (("measured", row.measured), ("proven", row.proven), ("rigorous", row.rigorous)):
            if isinstance(bound, Bound):
                cells.append(("" if bound.proven else "~") + f"{bound.value:.4g}")
            elif bound is not None:
                cells.append("-")
                reasons.append(f"order {row.order}, {name}: {bound}")
        lines.append(f"{row.order:5d}  " + "  ".join(f"{cell:<9}" for cell in cells))
    return "\n".join(line.rstrip() for line in [*lines, *reasons])
