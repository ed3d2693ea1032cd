"""The figures of a sweep: each a function that draws recorded numbers on axes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from eomsym.experiments.records import Curve
from eomsym.output.figures import Figure, legend_below, styled
from eomsym.output.style import BAND, GREYS, INK, colour, marker

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from eomsym.experiments.summary import Summary

__all__ = ["Chart", "agreement", "bound_charts", "drawn", "error_charts", "layer_charts", "map_charts", "place_of",
           "ratios", "sharpness_charts"]  # fmt: skip

Chart = Callable[["Axes"], None]
#: So many points of an order are drawn in a cloud, at most: evenly chosen from all.
CLOUD = 2_000
#: So many different scales make cells; more of them, as random draws give, make points.
CELLS = 12
#: Highest order that gets a map of its own.
MAPPED = 4


def drawn(charts: Sequence[Chart], columns: int = 2, size: tuple[float, float] = (4.2, 3.8)) -> Figure:
    """A figure with a panel for each chart.

    Examples
    --------
    >>> drawn([lambda ax: ax.set_title("a"), lambda ax: ax.set_title("b")])
    <Figure of 2 panels; .save("figure.png"), .svg or .pdf writes it>
    """
    figure = Figure(len(charts), columns=columns, size=size)
    with styled():  # colour bars make axes of their own
        for chart, ax in zip(charts, figure.axes, strict=True):
            chart(ax)
    return figure


# constants ------------------------------------------------------------------------------------------------------------


def ratios(summary: Summary) -> Chart:
    """Measured over predicted error, one step line for each order."""

    def draw(ax: Axes) -> None:
        for order in summary.orders:
            found = np.sort([r["ratio"] for r in summary.rows if r["order"] == order and r["ratio"]])
            if len(found):
                share = np.arange(1, len(found) + 1) / len(found)
                ax.step(found, share, color=colour(order), where="post", label=f"order {order}")
        ax.axvspan(0.97, 1.03, color=BAND, zorder=0)
        ax.set(xlabel="measured over predicted error", ylabel="share of cases", xlim=(0.8, 1.2), ylim=(0, 1.02))
        ax.set_title("Leading constants\ngrey: within 3 %")
        legend_below(ax)

    return draw


def agreement(summary: Summary) -> Chart:
    """Measured against predicted error of every case and order; hollow where there is no verdict of passed."""

    def draw(ax: Axes) -> None:
        ends: list[float] = []
        for order in summary.orders:
            rows = [r for r in summary.rows if r["order"] == order and r["error"] and r["prediction"]]
            rows = rows[:: max(1, len(rows) // CLOUD)]
            for passed in (True, False):
                some = [r for r in rows if (r["status"] == "passed") == passed]
                look: dict[str, Any] = {"color": colour(order), "marker": marker(order), "linestyle": "none"}
                look["markersize"] = 4
                if not passed:
                    look["markerfacecolor"] = "none"
                x, y = [r["prediction"] for r in some], [r["error"] for r in some]
                ax.plot(x, y, alpha=0.7, label=f"order {order}" if passed else "_", **look)
                ends += [*x, *y]
        if ends:
            ax.plot([min(ends), max(ends)], [min(ends), max(ends)], color=INK, linewidth=0.8, zorder=0)
            ax.set(xscale="log", yscale="log")
        ax.set(xlabel="predicted leading error", ylabel="measured distance from the optimiser")
        ax.set_title("Every case\nhollow: not passed")
        legend_below(ax)

    return draw


# error against the learning rate ------------------------------------------------------------------------------------


def error_charts(curves: Mapping[tuple[str, int], Curve], titles: Mapping[str, str]) -> list[Chart]:
    """For each of some cases its errors against the learning rate, with the predicted leading errors as lines.

    Parameters
    ----------
    curves : mapping from (key, order) to Curve
    titles : mapping from key to str

    Returns
    -------
    list of callable
    """
    keys = dict.fromkeys(key for key, _ in curves)
    return [_errors({order: curve for (k, order), curve in curves.items() if k == key}, titles[key]) for key in keys]


def _errors(curves: Mapping[int, Curve], title: str) -> Chart:
    from matplotlib.ticker import FixedLocator, NullLocator

    def draw(ax: Axes) -> None:
        etas: set[float] = set()
        for order, curve in curves.items():
            passed = curve.status == "passed"
            look: dict[str, Any] = {"color": colour(order), "marker": marker(order), "linestyle": "none"}
            look["markerfacecolor"] = colour(order) if passed else "white"
            ax.loglog(curve.etas, curve.errors, zorder=3, label=f"order {order}", **look)
            ax.loglog(curve.etas, curve.predictions, color=colour(order), linewidth=1.0, linestyle=(0, (3, 2)))
            etas.update(curve.etas.tolist())
        ax.xaxis.set_major_locator(FixedLocator(sorted(etas)))
        ax.xaxis.set_minor_locator(NullLocator())
        stride = -(-len(etas) // 5)
        ax.set_xticklabels([f"{eta:.3g}" if k % stride == 0 else "" for k, eta in enumerate(sorted(etas))])
        ax.set(xlabel=r"learning rate $\eta$", ylabel="distance from the optimiser")
        ax.set_title(fill(title, 52), fontsize=8)
        legend_below(ax)

    return draw


# what is measured beside ----------------------------------------------------------------------------------------------


def bound_charts(found: Mapping[str, Mapping[str, Any]]) -> list[Chart]:
    """Bounds against the true distance, of every case and order: one chart for each certificate that gave a number."""
    rows = [row for one in found.values() for row in one["orders"]]
    return [chart for name in ("measured", "proven") if (chart := _bounds(rows, name))]


def _bounds(rows: Sequence[Mapping[str, Any]], name: str) -> Chart | None:
    known = [row for row in rows if row[name] and row["true"]]
    if not known:
        return None

    def draw(ax: Axes) -> None:
        for order in sorted({row["order"] for row in known}):
            some = [row for row in known if row["order"] == order]
            some = some[:: max(1, len(some) // CLOUD)]
            x, y = [row["true"] for row in some], [row[name] for row in some]
            ax.loglog(x, y, color=colour(order), marker=marker(order), linestyle="none", markersize=4, alpha=0.7,
                      label=f"order {order}")  # fmt: skip
        ends = [min(row["true"] for row in known), max(row["true"] for row in known)]
        ax.loglog(ends, ends, color=INK, linewidth=0.8, zorder=0)
        ax.set(xlabel="distance from gradient descent", ylabel=f"{name} bound")
        ratio = float(np.median([row[name] / row["true"] for row in known]))
        ax.set_title(f"{name} bound, median {ratio:.3g} times the distance\nline: equal", fontsize=8)
        legend_below(ax)

    return draw


def sharpness_charts(found: Mapping[str, Mapping[str, Any]], titles: Mapping[str, str]) -> list[Chart]:
    """The largest eigenvalue of the Hessian along the run of each case, with the limit of stability."""
    return [_sharpness(one, titles[key]) for key, one in found.items()]


def _sharpness(one: Mapping[str, Any], title: str) -> Chart:
    def draw(ax: Axes) -> None:
        ax.plot(
            one["times"], _numbers(one["values"]), color=colour(0), marker=marker(0), markersize=4, label="sharpness"
        )
        if one["limit"] is not None:
            ax.axhline(one["limit"], color=INK, linewidth=0.8, linestyle=(0, (3, 2)), label="limit of stability")
        ax.set(xlabel=r"time $\eta k$", ylabel="largest eigenvalue of the Hessian", ylim=(0, None))
        ax.set_title(fill(rf"{title}, $\eta$ = {one['eta']:.3g}", 52), fontsize=8)
        legend_below(ax)

    return draw


def layer_charts(found: Mapping[str, Mapping[str, Any]], titles: Mapping[str, str]) -> list[Chart]:
    """Norm of each scale-invariant block of each case, and the angle by which a step turns it."""
    charts = []
    for key, one in found.items():
        for block in one["blocks"]:
            title = fill(f"{block['name']} of {titles[key]}", 52)
            charts += [_norms(one["times"], block, title), _angles(one["times"][1:], block, title)]
    return charts


def _norms(times: Sequence[float], block: Mapping[str, Any], title: str) -> Chart:
    def draw(ax: Axes) -> None:
        for model, series in block["series"].items():
            name = {"descent": "descent", "0": "gradient flow"}.get(model, f"order {model}")
            shade = INK if model == "descent" else colour(int(model))
            ax.plot(times, _numbers(series["norm"]), color=shade, linewidth=3, alpha=0.45, label=name)
            ax.plot(times, _numbers(series["predicted"]), color=shade, linewidth=1, linestyle=(0, (3, 2)))
        ax.set(xlabel=r"time $\eta k$", ylabel="norm")
        ax.set_title(f"{title}\ndashed: predicted", fontsize=8)
        legend_below(ax)

    return draw


def _angles(times: Sequence[float], block: Mapping[str, Any], title: str) -> Chart:
    def draw(ax: Axes) -> None:
        ax.plot(times, _numbers(block["angles"]), color=INK, marker=marker(0), markersize=4, label="angle of a step")
        if (rest := block["angle at rest"]) is not None:
            ax.axhline(rest, color=colour(0), linewidth=1, linestyle=(0, (3, 2)), label="predicted at rest")
        ax.set(xlabel=r"time $\eta k$", ylabel="radians", ylim=(0, None))
        ax.set_title(title, fontsize=8)
        legend_below(ax)

    return draw


def _numbers(values: Sequence[float | None]) -> np.ndarray:
    """Numbers of a record; what was not finite is NaN."""
    return np.array([np.nan if value is None else value for value in values])


# maps over depth and scale of the start -----------------------------------------------------------------------------


def place_of(definition: Mapping[str, Any]) -> tuple[int, float] | None:
    """Depth of the network of a case and scale of its start, or None.

    Examples
    --------
    >>> place_of({"network": {"widths": [4, 4, 4, 2], "scale": 0.5}})
    (3, 0.5)
    """
    network = definition.get("network", {})
    depth = network.get("depth") or len(network.get("widths", ())) - 1
    return (depth, network["scale"]) if depth > 0 and "scale" in network else None


def map_charts(summary: Summary) -> list[Chart]:
    """Errors of the orders, and the highest order that passed, over depth and scale; empty where they do not vary, or
    where the times of the cases differ: their errors would say nothing of depth and scale.

    Where several cases share a cell (seeds, methods) it is their median.
    """
    found = {key: place_of(said) for key, said in summary.definitions.items()}
    places = {key: place for key, place in found.items() if place is not None}
    times = {summary.definitions[key].get("time") for key in places}
    if any(len({place[k] for place in places.values()}) < 2 for k in (0, 1)) or len(times) > 1:
        return []
    charts = []
    for order in [order for order in summary.orders if order < MAPPED]:
        errors = [
            (*places[r["key"]], r["error"])
            for r in summary.rows
            if r["key"] in places and r["order"] == order and r["error"]
        ]
        if errors:
            charts.append(_error_map("gradient flow" if order == 0 else f"order {order}", np.array(errors)))
    highest = dict.fromkeys(places, -1)
    for r in summary.rows:
        if r["key"] in places and r["status"] == "passed":
            highest[r["key"]] = max(highest[r["key"]], r["order"])
    return [*charts, _highest_map(np.array([(*places[key], order) for key, order in highest.items()]))]


def _error_map(name: str, points: np.ndarray) -> Chart:
    """Points: depth, scale, error."""

    def draw(ax: Axes) -> None:
        image: Any
        if len(np.unique(points[:, 1])) <= CELLS:
            depths, scales, cells = _cells(points[:, 0], points[:, 1], np.log10(points[:, 2]))
            image = ax.pcolormesh(cells, cmap="cividis", edgecolors="white", linewidth=0.5)
            _name_cells(ax, depths, scales)
        else:
            x, y = points[:, 1], _spread(points[:, 0])
            image = ax.scatter(x, y, c=np.log10(points[:, 2]), s=16, cmap="cividis")
            _name_points(ax, points[:, 0])
        ax.figure.colorbar(image, ax=ax, label=r"$\log_{10}$ of the error")
        ax.set_title(name)

    return draw


def _highest_map(points: np.ndarray) -> Chart:
    """Points: depth, scale, highest order that passed or -1; the median is rounded down."""

    def draw(ax: Axes) -> None:
        if len(np.unique(points[:, 1])) <= CELLS:
            depths, scales, cells = _cells(*points.T)
            row, column = np.nonzero(np.isfinite(cells))
            x, y, orders, size = column + 0.5, row + 0.5, np.floor(cells[row, column]), 90
            _name_cells(ax, depths, scales)
            ax.set(xlim=(0, len(scales)), ylim=(0, len(depths)))
        else:
            x, y, orders, size = points[:, 1], _spread(points[:, 0]), points[:, 2], 16
            _name_points(ax, points[:, 0])
        for order in np.unique(orders).astype(int).tolist():
            here = orders == order
            shade, mark = (GREYS[1], "x") if order < 0 else (colour(order), marker(order))
            ax.scatter(
                x[here], y[here], s=size, color=shade, marker=mark, label="none" if order < 0 else f"order {order}"
            )
        ax.set_title("highest order that passed")
        legend_below(ax)

    return draw


def _cells(depth: np.ndarray, scale: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Depths, scales, and the median of the values in each cell, NaN where there is none."""
    depths, scales = np.unique(depth), np.unique(scale)
    cells = np.full((len(depths), len(scales)), np.nan)
    for i, j in np.ndindex(cells.shape):
        here = (depth == depths[i]) & (scale == scales[j])
        if here.any():
            cells[i, j] = np.median(values[here])
    return depths, scales, cells


def _name_cells(ax: Axes, depths: np.ndarray, scales: np.ndarray) -> None:
    ax.set_xticks(np.arange(len(scales)) + 0.5, [f"{scale:.3g}" for scale in scales])
    ax.set_yticks(np.arange(len(depths)) + 0.5, [f"{int(depth)}" for depth in depths])
    ax.tick_params(length=0)
    ax.set(xlabel="scale of the start", ylabel="depth")


def _name_points(ax: Axes, depths: Iterable[float]) -> None:
    ax.set(xscale="log", xlabel="scale of the start", ylabel="depth")
    ax.set_yticks(sorted({int(depth) for depth in depths}))


def _spread(x: np.ndarray) -> np.ndarray:
    """Depths moved by less than half, so that points of one depth do not hide each other."""
    out = np.array(x, dtype=np.float64)
    for value in np.unique(x):
        where = np.flatnonzero(x == value)
        out[where] += 0.5 * ((np.arange(len(where)) + 0.5) / len(where) - 0.5)
    return out
