"""Bound, estimate and truth side by side: how several orders show themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from eomsym.bounds.bound import Bound, StepSize
from eomsym.output.figures import Figure, legend_below, on_axes, whole_numbers
from eomsym.output.records import record
from eomsym.output.style import INK, colour
from eomsym.output.tables import Column, Table
from eomsym.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["DistanceRow", "Distances", "StepSizeRow", "StepSizes"]

NONE: Array = np.zeros(0)


@dataclass(frozen=True, eq=False)
class DistanceRow:
    """One order: distances of gradient descent from the equation of motion.

    Attributes
    ----------
    order : int
    true : float
        Measured distance at the end; NaN if the motion diverges.
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
    times, truths, predicted : ndarray, shape (m,)
        True and leading distance on the way; empty if the motion diverges.
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
    times: Array = field(default_factory=NONE.copy, repr=False)
    truths: Array = field(default_factory=NONE.copy, repr=False)
    predicted: Array = field(default_factory=NONE.copy, repr=False)

    @property
    def bounds(self) -> dict[str, Bound]:
        """Those that there are, by name."""
        named = {"measured": self.measured, "proven": self.proven, "rigorous": self.rigorous}
        return {name: bound for name, bound in named.items() if isinstance(bound, Bound)}

    @property
    def violated(self) -> tuple[str, ...]:
        """Names of the proven bounds that lie below the truth; there should be none."""
        return tuple(
            name for name, bound in self.bounds.items() if bound.proven and bound.value + self.doubt < self.true
        )


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


@dataclass(frozen=True, eq=False)
class Distances(Sequence[DistanceRow]):
    """Truth, predictions and bounds of the distance of several orders; a sequence of its rows.

    Attributes
    ----------
    name : str
        What the problem is called.
    eta : float
    steps : int
    rows : tuple of DistanceRow
    start : tuple of float
    data : str, optional
        Hash of the data of the loss.

    Examples
    --------
    >>> row = DistanceRow(0, 0.5, 0.0, 0.45, 0.5, 1.0, "no bound: eta is too large", None, None)
    >>> print(Distances("a loss", 0.1, 10, (row,)))
    a loss: 10 steps up to time 1, eta = 0.1
    order  truth  leading  refined  plain sum  measured  proven
        0    0.5     0.45      0.5          1         –
    order 0, measured: no bound: eta is too large
    """

    name: str
    eta: float
    steps: int
    rows: tuple[DistanceRow, ...]
    start: tuple[float, ...] | None = None
    data: str | None = None

    @overload
    def __getitem__(self, index: int) -> DistanceRow: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[DistanceRow, ...]: ...
    def __getitem__(self, index: int | slice) -> DistanceRow | tuple[DistanceRow, ...]:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[DistanceRow]:
        return iter(self.rows)

    @property
    def time(self) -> float:
        """Up to when."""
        return self.eta * self.steps

    def table(self) -> Table:
        """Return the distances at the end: ~ marks an estimate, a dash what has no bound, with the reason below."""
        names = {"truth": "true", "leading": "leading", "refined": "refined", "plain sum": "plain"}
        names |= {name: name for name in ("measured", "proven", "rigorous")}
        if all(row.rigorous is None for row in self.rows):
            del names["rigorous"]
        title = f"{self.name}: {self.steps} steps up to time {self.time:g}, eta = {self.eta:.4g}"
        return _table(title, self.rows, names)

    def __str__(self) -> str:
        return str(self.table())

    def plot(self, ax: Axes | None = None) -> Figure:
        """Draw bound against truth: marks are the true distance, dashed lines the leading error, lines bounds.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            New ones by default.

        Returns
        -------
        Figure
        """
        figure = on_axes(ax)
        one, later, kinds = figure.axes[0], slice(1, None), {}
        for row in self.rows:
            shade = colour(row.order)
            few = max(1, len(row.times) // 16)
            marks: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 4, "zorder": 3}
            one.plot(row.times[later], row.predicted[later], color=shade, linewidth=1.0, linestyle="--")
            one.plot(row.times[later][::few], row.truths[later][::few], color=shade, label=_order(row.order), **marks)
            for name, bound in row.bounds.items():
                style = {"measured": "-", "proven": ":", "rigorous": "-."}[name]
                one.plot(bound.times[later], bound.values[later], color=shade, linewidth=1.4, linestyle=style)
                kinds[name if bound.proven else f"{name}, an estimate"] = style
        one.plot([], [], color=INK, linewidth=1.0, linestyle="--", label="leading error")
        for name, style in kinds.items():
            one.plot([], [], color=INK, linestyle=style, label=f"bound, {name}")
        one.set(xlabel=r"time $\eta k$", ylabel="distance from gradient descent", yscale="log")
        one.set_title(
            f"{self.name}\n" + rf"$\eta = {self.eta:.4g}$, {self.steps} steps; marks: true distance", fontsize=9
        )
        legend_below(one)
        return figure

    def record(self, *, command: str | None = None) -> dict[str, Any]:
        """Return everything as a record for JSON; see :func:`eomsym.output.record`.

        Parameters
        ----------
        command : str, optional
            What was typed.
        """
        numbers, bounds = ("true", "doubt", "leading", "refined", "plain"), ("measured", "proven", "rigorous")
        content = {"quantity": "distance", "name": self.name, "time": self.time, "eta": self.eta, "epsilon": None}
        content |= {"steps": self.steps, "rows": [_recorded(row, numbers, bounds) for row in self.rows]}
        return record("bounds", content, command=command, start=self.start, data=self.data)

    def _repr_html_(self) -> str:
        return self.table().html()


@dataclass(frozen=True, eq=False)
class StepSizes(Sequence[StepSizeRow]):
    """Guaranteed and predicted learning rates of several orders; a sequence of its rows.

    Attributes
    ----------
    name : str
        What the problem is called.
    time, epsilon : float
        Up to when, and within what distance.
    rows : tuple of StepSizeRow
    start : tuple of float
    data : str, optional
        Hash of the data of the loss.

    Examples
    --------
    >>> reason = "no bound: epsilon is too small"
    >>> print(StepSizes("a loss", 1.0, 0.01, (StepSizeRow(1, None, reason, reason, 0.02),)))
    a loss: learning rates for a distance below 0.01 up to time 1
    order  theorem  proven  measured  predicted
        1                –         –       0.02
    order 1, proven: no bound: epsilon is too small
    order 1, measured: no bound: epsilon is too small
    """

    name: str
    time: float
    epsilon: float
    rows: tuple[StepSizeRow, ...]
    start: tuple[float, ...] | None = None
    data: str | None = None

    @overload
    def __getitem__(self, index: int) -> StepSizeRow: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[StepSizeRow, ...]: ...
    def __getitem__(self, index: int | slice) -> StepSizeRow | tuple[StepSizeRow, ...]:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[StepSizeRow]:
        return iter(self.rows)

    def table(self) -> Table:
        """Return the learning rates: ~ marks an estimate, a dash what has no bound.

        The reasons stand below, and which search was stopped.
        """
        title = f"{self.name}: learning rates for a distance below {self.epsilon:g} up to time {self.time:g}"
        names = {name: name for name in ("theorem", "proven", "measured", "predicted")}
        return _table(title, self.rows, names)

    def __str__(self) -> str:
        return str(self.table())

    def plot(self, ax: Axes | None = None) -> Figure:
        """Draw the learning rates against the order, one line for each way to find them.

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
        for number, name in enumerate(("theorem", "proven", "measured", "predicted")):
            found = [(row.order, getattr(row, name)) for row in self.rows]
            points = [(order, float(rate)) for order, rate in found if rate is not None and not isinstance(rate, str)]
            if points:
                style = "--" if name == "predicted" else "-"
                one.plot(
                    *zip(*points, strict=True), color=colour(number), marker="os^D"[number], linestyle=style, label=name
                )
        one.set(xlabel="order of the equation", ylabel=r"learning rate $\eta$", yscale="log")
        whole_numbers(one)
        one.set_title(f"{self.name}\nwithin {self.epsilon:g} up to time {self.time:g}", fontsize=9)
        legend_below(one)
        return figure

    def record(self, *, command: str | None = None) -> dict[str, Any]:
        """Return everything as a record for JSON; see :func:`eomsym.output.record`.

        Parameters
        ----------
        command : str, optional
            What was typed.
        """
        content = {"quantity": "learning rate", "name": self.name, "time": self.time, "eta": None}
        rows = [_recorded(row, ("predicted",), ("theorem", "proven", "measured")) for row in self.rows]
        content |= {"epsilon": self.epsilon, "rows": rows}
        return record("bounds", content, command=command, start=self.start, data=self.data)

    def _repr_html_(self) -> str:
        return self.table().html()


def _order(order: int) -> str:
    return "gradient flow" if order == 0 else f"order {order}"


def _table(title: str, rows: Sequence[Any], names: Mapping[str, str]) -> Table:
    """Columns by heading and attribute."""
    lines, reasons = [], []
    for row in rows:
        cells: list[Any] = [row.order]
        for heading, name in names.items():
            value = getattr(row, name)
            if isinstance(value, (Bound, StepSize)):
                cells.append(("" if value.proven else "~") + f"{float(value):.4g}")
                if isinstance(value, StepSize) and value.stopped:
                    reasons.append(f"order {row.order}, {heading}: {value.stopped}")
            elif isinstance(value, str):
                cells.append(None)
                reasons.append(f"order {row.order}, {heading}: {value}")
            else:
                cells.append("" if value is None else value)
        lines.append(cells)
    columns = [Column(name, format=".4g") for name in names]
    return Table(["order", *columns], lines, title=title, notes=reasons)


def _recorded(row: Any, numbers: Sequence[str], bounds: Sequence[str]) -> dict[str, Any]:
    """A row for JSON."""

    def told(bound: Any) -> Any:
        if isinstance(bound, (Bound, StepSize)):
            return {"value": float(bound), "proven": bound.proven, "certificate": bound.certificate,
                    "hypotheses": [str(h) for h in bound.hypotheses], "source": bound.source,
                    "notes": list(bound.notes)}  # fmt: skip
        return None if bound is None else {"refused": bound}

    found = {name: getattr(row, name) for name in numbers}
    return {"order": row.order} | found | {name: told(getattr(row, name)) for name in bounds}
