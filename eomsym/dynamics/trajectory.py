"""What every motion gives: points at times, and what is known of their error."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eomsym.codegen.kernel import Kernel
from eomsym.dynamics.events import Crossing
from eomsym.dynamics.reach import Reach, reach
from eomsym.output.figures import Figure, legend_below, on_axes
from eomsym.output.records import LONGEST_START, data_hash, record
from eomsym.output.style import colour
from eomsym.output.tables import Column, Table
from eomsym.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Trajectory"]


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Points of a running optimiser, of gradient flow, or of the equation of motion.

    Attributes
    ----------
    times : ndarray, shape (m,)
        Times; for an optimiser ``eta * steps``.
    thetas : ndarray, shape (m, n)
        The points, the start first; behind the parameters the memories that the method keeps as states.
    kernel : Kernel
        Loss, method and order of the motion.
    eta : float
        Learning rate.
    error : float
        Estimated global error: the largest Euclidean distance, over the times, from a second integration at a ten
        times looser tolerance, and no less than the rounding of the parameters. 0 for an optimiser, which is what it
        is.
    evaluations : int
        Gradients, or evaluations of the velocity, that were spent.
    steps : ndarray of int, shape (m,), or None
        Numbers of the iterates of an optimiser.
    memory : ndarray, shape (k,), or None
        What the filters of the optimiser remember at the end; as `memory` of the next run it goes on where this one
        ends.
    events : tuple of Crossing
        Events that were asked for and met, in the order of time.

    Examples
    --------
    >>> import eomsym as eom
    >>> loss = eom.Loss("x**2/2", variables="x")
    >>> path = eom.descend(loss, [1.0], eta=0.5, steps=2)
    >>> path.end, path.times, path.states["theta"].ravel()
    (array([0.25]), array([0. , 0.5, 1. ]), array([1.  , 0.5 , 0.25]))
    """

    times: Array
    thetas: Array
    kernel: Kernel = field(repr=False)
    eta: float
    error: float = 0.0
    evaluations: int = 0
    steps: NDArray[Any] | None = None
    memory: Array | None = field(default=None, repr=False)
    events: tuple[Crossing, ...] = ()

    @property
    def end(self) -> Array:
        """The last point, shape (n,)."""
        last: Array = self.thetas[-1]
        return last

    @property
    def states(self) -> dict[str, Array]:
        """The path of the parameters, ``"theta"``, and of each memory that is kept, by name; shapes (m, size)."""
        return self.kernel.states(self.thetas)

    @property
    def reach(self) -> Reach:
        """Learning rate times sharpness at the end of the path where it is larger, against the limits of the method.

        Its ``note`` says where the series of the counter terms has left its radius, and what to do.
        """
        ends = [reach(self.kernel, self.thetas[k], self.eta) for k in (0, -1)]
        return max(ends, key=lambda found: found.product)

    @property
    def title(self) -> str:
        """What moves: the optimiser, gradient flow, or the equation of motion of an order."""
        if self.steps is not None:
            return self.kernel.method.name
        return f"equation of motion, order {self.kernel.order}" if self.kernel.order else "gradient flow"

    def plot(self, ax: Axes | None = None) -> Figure:
        """Draw the loss along the path against time: an optimiser as points, a flow as a line.

        Where there is no loss but a velocity field, the norm of the parameters is drawn.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Those of another path, to draw both; new ones by default.

        Returns
        -------
        Figure

        Examples
        --------
        >>> import eomsym as eom
        >>> loss = eom.Loss("x**2/2", variables="x")
        >>> figure = eom.descend(loss, [1.0], eta=0.5, steps=5).plot()
        >>> figure = eom.flow(loss, [1.0], eta=0.5, time=2.5, order=1).plot(figure.axes[0])
        >>> [line.get_label() for line in figure.axes[0].lines]
        ['gradient descent', 'equation of motion, order 1']
        """
        figure = on_axes(ax)
        points, losses = self.states["theta"], self._losses()
        heights = np.linalg.norm(points, axis=1) if losses is None else losses
        one = figure.axes[0]
        if self.steps is None:
            one.plot(self.times, heights, color=colour(self.kernel.order), label=self.title, zorder=2)
        else:
            mark = "." if len(points) <= 200 else ""
            look: dict[str, Any] = {"color": colour("descent"), "linewidth": 0.5, "marker": mark, "markersize": 5}
            one.plot(self.times, heights, label=self.title, zorder=3, **look)
        one.set_xlabel("time")
        one.set_ylabel(r"$\|\theta\|$" if losses is None else "loss")
        legend_below(one)
        return figure

    def _losses(self) -> Array | None:
        """The loss at the points; None for a field without a loss."""
        losses = self.kernel.losses
        if not all(loss.has_value for loss in losses):
            return None
        # The batches of an epoch have one loss each.
        return np.array([np.mean([loss.value(point) for loss in losses]) for point in self.states["theta"]])

    def table(self) -> Table:
        """Return what the path is, and what it cost, as a table."""
        rows: list[tuple[str, Any]] = [("what", self.title), ("loss", self.kernel.loss.name)]
        if self.eta == self.eta:
            rows.append(("learning rate", f"{self.eta:.4g}"))
        rows.append(("points", f"{len(self.times):,}, up to time {self.times[-1]:.4g}"))
        if self.steps is not None:
            rows.append(("steps", f"{int(self.steps[-1]):,}"))
        else:
            rows.append(("error", f"{self.error:.1e}"))
        losses = self._losses()
        if losses is not None:
            rows.append(("loss from, to", f"{losses[0]:.4g}, {losses[-1]:.4g}"))
        rows.append(("evaluations", f"{self.evaluations:,}"))
        rows += [("event", f"{event.name} at time {event.time:.4g}") for event in self.events]
        return Table([Column("", "left"), Column("path", "left")], rows)

    def record(self, *, command: str | None = None) -> dict[str, Any]:
        """Return everything as a record for JSON; see :func:`eomsym.output.record`.

        Parameters
        ----------
        command : str, optional
            What was typed.

        Examples
        --------
        >>> import eomsym as eom
        >>> made = eom.descend(eom.Loss("x**2/2", variables="x"), [1.0], eta=0.5, steps=2).record()
        >>> made["schema"], made["thetas"], made["losses"]
        ('eomsym.trajectory', [[1.0], [0.5], [0.25]], [0.5, 0.125, 0.03125])
        """
        kernel, losses = self.kernel, self.kernel.losses
        content = {
            "title": self.title,
            "loss": kernel.loss.describe(),
            "method": kernel.method.name,
            "order": kernel.order,
            "eta": self.eta,
            "error": self.error,
            "evaluations": self.evaluations,
            "times": self.times,
            "steps": self.steps,
            "thetas": self.thetas if self.thetas.size <= LONGEST_START else None,
            "end": self.end,
            "losses": self._losses(),
            "events": [{"name": e.name, "time": e.time, "rising": e.rising} for e in self.events],
        }
        arrays = [getattr(loss, name) for loss in losses for name in ("inputs", "targets") if hasattr(loss, name)]
        data = data_hash(*arrays) if arrays else None
        return record("trajectory", content, command=command, start=self.thetas[0], data=data)

    def _repr_html_(self) -> str:
        return self.table().html()


def with_rounding(error: ArrayLike, thetas: Array) -> Any:
    """Errors that are no less than the rounding of the parameters: two runs may be equal by chance.

    Parameters
    ----------
    error : float, or ndarray of shape (s,)
    thetas : ndarray, shape (m, n) or (s, m, n)

    Examples
    --------
    >>> float(with_rounding(0.0, np.array([[1.0, 2.0]]))), float(with_rounding(0.1, np.array([[1.0, 2.0]])))
    (4.440892098500626e-16, 0.1)
    """
    return np.maximum(error, 2.0**-52 * np.abs(thetas).max(axis=(-2, -1)))
