"""Does the equation of motion at the edge of stability follow the optimiser, each order with the error it predicts?

There eta cannot go to 0: the edge itself is at ``eta lambda = 2``. So there is no slope to fit. What the next order
says is exact to leading order, its propagator included: the motion of order ``K`` less that of order ``K + 1`` is the
predicted error of order ``K``, a vector at every step. The measured one must be that vector. Where the predictions do
not shrink from order to order, or are lost in the error of the integrator, the answer is ``inconclusive``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from html import escape
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eomsym.codegen.kernel import Kernel, kernel_of
from eomsym.dynamics.descent import descend
from eomsym.dynamics.edge import EdgePath, edge_flow
from eomsym.dynamics.leading_error import check_orders
from eomsym.output.figures import Figure, legend_below, on_axes
from eomsym.output.records import record
from eomsym.output.style import BAND, INK, colour, marker
from eomsym.output.tables import Column, Table
from eomsym.verification.verdict import Status, worst

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from eomsym.losses.objective import Objective
    from eomsym.optimisers.base import Method

__all__ = ["EdgeOrder", "EdgeReport", "verify_edge"]

Array = NDArray[np.float64]

#: How far the measured error may be from the predicted one, over the latter, at the step where that is largest.
MISFIT = 0.5
#: Predictions must shrink at least by this factor from order to order.
SHRINKS = 0.5
#: And be this many times the error of the integrator.
TRUST = 3.0


@dataclass(frozen=True)
class EdgeOrder:
    """What was measured for one order.

    Attributes
    ----------
    order : int
    error, prediction : float
        Largest Euclidean distance from the optimiser over the recorded steps, measured and predicted.
    misfit : float
        Distance of the two error vectors over the predicted one, where that is largest.
    reference : float
        Error of the integrator: the distance from a run at a ten times looser tolerance, at the highest order.
    status : {"passed", "failed", "inconclusive"}
    reason : str
    """

    order: int
    error: float
    prediction: float
    misfit: float
    reference: float
    status: Status
    reason: str


@dataclass(frozen=True)
class EdgeReport:
    """The verdict on a run at the edge.

    Attributes
    ----------
    loss, method : str
    eta : float
    steps : int
    products : tuple of float
        Smallest and largest ``eta lambda`` on the way.
    orders : tuple of EdgeOrder
    seconds : float
    """

    loss: str
    method: str
    eta: float
    steps: int
    products: tuple[float, float]
    orders: tuple[EdgeOrder, ...]
    seconds: float

    @property
    def status(self) -> Status:
        """The worst of the orders."""
        return worst(one.status for one in self.orders)

    @property
    def title(self) -> str:
        """What was verified, in one line."""
        low, high = self.products
        return f"{self.loss} · {self.method} · eta {self.eta:g}, {self.steps} steps, eta*lambda {low:.3g} … {high:.3g}"

    def table(self) -> Table:
        """Return measured and predicted errors of each order as a table."""
        columns: list[Column | str] = [
            "order",
            "error",
            "predicted",
            "misfit",
            "reference",
            Column("status", "left", status=True),
        ]
        rows = [(one.order, one.error, one.prediction, one.misfit, one.reference, one.status) for one in self.orders]
        notes = [f"order {one.order}: {one.reason}" for one in self.orders if one.reason]
        return Table(columns, rows, title=self.title, notes=notes)

    def __str__(self) -> str:
        title, _, rest = str(self.table()).partition("\n")
        return f"{title}\n\n{rest}\n\n{self.verdict}"

    @property
    def verdict(self) -> str:
        """Status and time taken, in one line."""
        return f"{self.status} in {self.seconds:.1f} s"

    def plot(self, ax: Axes | None = None) -> Figure:
        """Draw measured and predicted error against the order; the grey band is lost in the error of the integrator.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            New ones by default.

        Returns
        -------
        Figure
        """
        figure = on_axes(ax)
        axes = figure.axes[0]
        floor = TRUST * max(one.reference for one in self.orders)
        if floor > 0:
            axes.axhspan(floor / 30, floor, color=BAND, zorder=0)
        orders = [one.order for one in self.orders]
        axes.plot(
            orders, [one.prediction for one in self.orders], color=INK, linewidth=1.0, linestyle="--", label="predicted"
        )
        for one in self.orders:
            face = colour(one.order) if one.status == "passed" else "white"
            look: dict[str, Any] = {"color": colour(one.order), "marker": marker(one.order), "linestyle": "none"}
            axes.plot([one.order], [one.error], markerfacecolor=face, label=f"order {one.order}: {one.status}", **look)
        axes.set(
            xlabel="order of the equation", ylabel="largest distance from the optimiser", yscale="log", xticks=orders
        )
        axes.set_title(f"{self.method}, $\\eta = {self.eta:g}$, {self.steps} steps", fontsize=9)
        legend_below(axes)
        return figure

    def record(self, *, command: str | None = None) -> dict[str, Any]:
        """Return everything as a record for JSON; see :func:`eomsym.output.record`.

        Parameters
        ----------
        command : str, optional
            What was typed.
        """
        names = ("status", "loss", "method", "eta", "steps", "products", "seconds")
        content = {name: getattr(self, name) for name in names} | {"orders": [asdict(one) for one in self.orders]}
        return record("edge_verification", content, command=command)

    def _repr_html_(self) -> str:
        return f"{self.table().html()}<p>{escape(self.verdict)}</p>"


def verify_edge(
    loss: Objective | Kernel,
    start: Any,
    *,
    eta: float,
    steps: int,
    orders: Iterable[int] = range(3),
    method: Method | None = None,
    memory: Any = "rest",
    rtol: float = 1e-8,
    progress: Callable[[int, int, str], None] = lambda done, total, label: None,
    **options: Any,
) -> EdgeReport:
    """Hold the equation of motion at the edge of stability against the running optimiser.

    Parameters
    ----------
    loss, start, eta, steps, method, memory, rtol
        As for `eomsym.edge_flow`; the run begins at `start` with this memory.
    orders : iterable of int
        Orders of the equation.
    progress : callable, optional
        Called with (done, total, label) after each motion.
    options
        More of those of `eomsym.edge_flow`: ``critical``, ``fast``, ``every``.

    Returns
    -------
    EdgeReport

    Raises
    ------
    InputError, MethodError, ExpressionError, HypothesisError, DivergenceError
        As `eomsym.edge_flow` does.

    Examples
    --------
    >>> import eomsym as eom
    >>> loss = eom.Loss("(1 - x*y)**2/2", variables="x y")
    >>> verify_edge(loss, [2.0, 0.52], eta=0.5, steps=30, orders=range(3)).status
    'passed'

    References
    ----------
    As for `eomsym.edge_flow`; for the leading error Hairer, Nørsett, Wanner (1993), Solving Ordinary Differential
    Equations I, section II.8, doi:10.1007/978-3-540-78862-1.
    """
    began = perf_counter()
    kernel = kernel_of(loss, None if isinstance(loss, Kernel) else 0, method)
    asked = check_orders(orders)
    wanted = sorted({*asked, *(order + 1 for order in asked), *(order + 2 for order in asked[-1:])})
    total, paths = len(wanted) + 2, {}

    def motion(order: int, tolerance: float) -> EdgePath:
        given = {"eta": eta, "steps": steps, "order": order, "memory": memory, "rtol": tolerance, **options}
        return edge_flow(kernel, start, estimate=False, **given)

    for done, order in enumerate(wanted, 1):
        paths[order] = motion(order, rtol)
        progress(done, total, f"order {order}")
    rough = motion(wanted[-1], 10 * rtol)
    progress(total - 1, total, "error of the integrator")
    run = descend(kernel, start, eta=eta, steps=steps, memory=memory).thetas
    progress(total, total, "optimiser")
    reference = float(_norms(*_together(paths[wanted[-1]], rough)).max())
    results = tuple(_judged(order, paths, run, reference) for order in asked)
    products = np.concatenate([path.products[:, 0] for path in paths.values()])
    extremes = (float(np.nanmin(products)), float(np.nanmax(products)))
    name = kernel.loss.describe()
    return EdgeReport(name, kernel.method.name, eta, steps, extremes, results, perf_counter() - began)


def _judged(order: int, paths: dict[int, EdgePath], run: Array, reference: float) -> EdgeOrder:
    """The verdict on one order."""
    own, better = _together(paths[order], paths[order + 1])
    steps = np.intersect1d(paths[order].steps, paths[order + 1].steps)
    measured, predicted = own - run[steps], own - better
    sizes = np.linalg.norm(predicted, axis=1)
    peak = int(np.argmax(sizes))
    prediction, error = float(sizes[peak]), float(np.linalg.norm(measured, axis=1).max())
    misfit = float(np.linalg.norm(measured[peak] - predicted[peak]) / prediction) if prediction > 0 else float("nan")
    status: Status = "passed" if misfit <= MISFIT else "failed"
    reason = ""
    ended = [path.reason for path in (paths[order], paths[order + 1]) if path.reason]
    if ended:
        status, reason = "inconclusive", ended[0]
    elif not prediction > TRUST * reference:
        status, reason = "inconclusive", "the predicted error is lost in that of the integrator; take a smaller rtol"
    elif order + 2 in paths:
        following = float(_norms(*_together(paths[order + 1], paths[order + 2])).max())
        if following > SHRINKS * prediction:
            status = "inconclusive"
            reason = f"the next order predicts {following:.1e} for itself: the series does not converge there"
    return EdgeOrder(order, error, prediction, misfit, reference, status, reason)


def _together(one: EdgePath, other: EdgePath) -> tuple[Array, Array]:
    """Iterates of two paths at the steps that both have recorded."""
    _, here, there = np.intersect1d(one.steps, other.steps, return_indices=True)
    return one.iterates[here], other.iterates[there]


def _norms(one: Array, other: Array) -> Array:
    found: Array = np.linalg.norm(one - other, axis=1)
    return found
