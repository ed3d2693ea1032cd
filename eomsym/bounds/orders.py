"""The order at which one step of the equation of motion is closest to gradient descent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eomsym import checks
from eomsym.curvature.hessian import as_kernel
from eomsym.dynamics.flow import as_times, integrate
from eomsym.errors import DivergenceError, HypothesisError, TableError
from eomsym.output.figures import Figure, legend_below, on_axes, whole_numbers
from eomsym.output.records import record
from eomsym.output.style import BAND, DESCENT, INK, colour
from eomsym.output.tables import Column, Table
from eomsym.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from eomsym.codegen.kernel import Kernel
    from eomsym.losses.objective import Objective

__all__ = ["BestOrder", "best_order"]

#: Evaluations of the velocity in one step of gradient flow: some hundred will do where it does not run away.
MOST = 20_000
#: A motion of a higher order that needs so many times those of gradient flow, and more than `LEAST`, runs away.
TIMES, LEAST = 40, 1000
#: After so many orders that run away the series has ended: the rest gets `LEAST`.
ENDED = 3


@dataclass(frozen=True, eq=False)
class BestOrder:
    """The errors of one step at all orders.

    Attributes
    ----------
    eta : float
    orders : ndarray of int, shape (m,)
    predicted : ndarray, shape (m,)
        ``eta**(K+2) |term_(K+1)|``, the leading error of one step.
    measured : ndarray, shape (m,)
        Distance after one step of the equation of motion from gradient descent; NaN where it diverges.
    floor : float
        Below this the measurement is rounding.

    Examples
    --------
    >>> import eomsym as eom
    >>> found = eom.bounds.best_order(eom.Loss("-x**3/3", variables="x"), [1.0], eta=0.5, highest=3)
    >>> bool(found.order == found.orders[found.measured.argmin()]), found.at_floor
    (True, False)
    """

    eta: float
    orders: NDArray[np.int64]
    predicted: Array
    measured: Array
    floor: float

    @property
    def order(self) -> int:
        """The order with the smallest measured error; the smallest order that reaches the floor, if one does."""
        reached = np.flatnonzero(self.measured <= self.floor)
        return int(self.orders[reached[0] if len(reached) else np.nanargmin(self.measured)])

    @property
    def at_floor(self) -> bool:
        """Whether rounding, and not the series, decides the best order."""
        return bool(np.nanmin(self.measured) <= self.floor)

    @property
    def error(self) -> float:
        """The measured error of one step at the best order."""
        return float(self.measured[self.orders == self.order][0])

    def table(self) -> Table:
        """Return the errors of all orders as a table."""
        columns: list[Column | str] = ["order", "predicted", "measured", Column("", "left")]
        rows = [
            (int(order), predicted, measured, "best" if order == self.order else "")
            for order, predicted, measured in zip(self.orders, self.predicted, self.measured, strict=True)
        ]
        note = f"below {self.floor:.1e} a measurement is rounding"
        return Table(columns, rows, title=f"one step, eta = {self.eta:.4g}", notes=[note])

    def __str__(self) -> str:
        return str(self.table())

    def plot(self, ax: Axes | None = None) -> Figure:
        """Draw measured and predicted error of one step against the order.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            New ones by default.

        Returns
        -------
        Figure
        """
        figure = on_axes(ax)
        one = figure.axes[0]
        one.axhspan(self.floor / 30, self.floor, color=BAND, zorder=0, label="rounding")
        one.plot(self.orders, self.predicted, color=INK, linewidth=1.0, linestyle=(0, (3, 2)), label="predicted")
        one.plot(self.orders, self.measured, color=DESCENT, linewidth=0.6, marker="o", label="measured")
        best: dict[str, Any] = {"marker": "o", "markersize": 10, "markerfacecolor": "none", "linestyle": "none"}
        one.plot([self.order], [self.error], color=colour(0), label="best order", **best)
        one.set(xlabel="order of the equation", ylabel="error of one step", yscale="log")
        whole_numbers(one)
        one.set_title(rf"$\eta = {self.eta:.4g}$", fontsize=9)
        legend_below(one)
        return figure

    def record(self, *, command: str | None = None) -> dict[str, Any]:
        """Return everything as a record for JSON; see :func:`eomsym.output.record`.

        Parameters
        ----------
        command : str, optional
            What was typed.
        """
        names = ("eta", "orders", "predicted", "measured", "floor", "at_floor", "error")
        content = {
            "quantity": "best order",
            "value": self.order,
            "claim": "one step of the equation of motion of this order is closest to gradient descent",
            "certificate": "measured",
            "proven": False,
            "hypotheses": [],
            "source": "E. Hairer, C. Lubich, G. Wanner, Geometric Numerical Integration (2006), section IX.7",
            "notes": [],
            "numbers": {name: getattr(self, name) for name in names},
        }
        return record("bound", content, command=command)

    def _repr_html_(self) -> str:
        return self.table().html()


def _few(kernel: Kernel, eta: float, most: int) -> Callable[[Array], Array]:
    """The velocity, for so many evaluations as one step can need: a motion that needs more runs away."""
    left = most

    def velocity(theta: Array) -> Array:
        nonlocal left
        left -= 1
        if left < 0:
            raise DivergenceError(f"one step of the motion needs more than {most} evaluations", 1)
        return kernel.field(theta, eta)

    return velocity


@np.errstate(over="ignore", invalid="ignore")  # sizes far beyond the radius are infinite
def best_order(loss: Objective | Kernel, start: ArrayLike, *, eta: float, highest: int = 15) -> BestOrder:
    """Find the order at which one step of the equation of motion is closest to gradient descent.

    The series of counter terms diverges: for each learning rate there is an order beyond which more terms are worse.

    Parameters
    ----------
    loss : Objective or Kernel
    start : array_like, shape (n,)
    eta : float
    highest : int
        Orders ``0 … highest`` are compared.

    Returns
    -------
    BestOrder

    Raises
    ------
    InputError
        If an argument cannot be used.
    HypothesisError
        If the motion diverges at every order.

    Examples
    --------
    >>> import eomsym as eom
    >>> found = eom.bounds.best_order(eom.Loss("-x**3/3", variables="x"), [1.0], eta=0.4)
    >>> found.order, found.at_floor
    (13, False)

    References
    ----------
    E. Hairer, C. Lubich, G. Wanner, Geometric Numerical Integration (2006), section IX.7, doi:10.1007/3-540-30666-8.
    """
    rate, top = checks.positive(eta, "eta"), checks.count(highest, "highest", 0)
    kernel = as_kernel(loss, top + 1)
    point = kernel.loss.validate(start)
    goal = point - rate * kernel.gradient(point)
    orders = np.arange(top + 1)
    sizes = rate ** (orders + 2.0) * np.linalg.norm(kernel.terms(point), axis=1)[1:]
    measured = np.full(len(orders), np.nan)
    scale = max(float(np.max(np.abs(point))), float(np.max(np.abs(goal))))
    steepest = float(np.linalg.norm(kernel.gradient(point)))
    floor = 50 * float(np.finfo(np.float64).eps) * max(scale, rate * steepest)
    most, away = MOST, 0
    for order in orders:
        truncated = kernel.at_order(int(order))
        try:
            ends, error, spent = integrate(
                _few(truncated, rate, most), point, as_times(rate), 3e-13, 1e-15 * max(scale, 1e-300)
            )
        except (DivergenceError, TableError):
            away += 1
            most = LEAST if away >= ENDED else most
            continue
        most = max(TIMES * spent, LEAST) if order == 0 else most
        floor = max(floor, 3 * error)
        measured[order] = np.linalg.norm(ends[-1] - goal)
    if np.isnan(measured).all():
        raise HypothesisError(
            f"needed one step of the motion, got none that stays finite with eta = {rate:.3g}; use a smaller eta"
        )
    return BestOrder(rate, orders, sizes, measured, floor)
