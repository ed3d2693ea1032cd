"""The panels of an experiment: lines that are data, and how they are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from eomsym.output.figures import Figure, legend_below, on_axes, whole_numbers
from eomsym.output.style import DESCENT, GREYS, colour, marker

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Line", "Panel", "draw_panels"]

#: So many panels stand in one row; more in two.
WIDEST = 5

#: Lines of no more points than this are marked point by point.
FEW = 10
#: Of predicted lines; greys need more than their shade to be told apart.
DASHES = ((3, 2), (1, 1.2), (7, 2), (6, 2, 1, 2))
#: So many different values on a logarithmic axis have their names below it, at most.
NAMED = 5


@dataclass(frozen=True, eq=False)
class Line:
    """One line of a panel.

    Attributes
    ----------
    label : str
    x, y : ndarray, shape (m,)
    model : int or str
        Order of the equation of motion, "descent", or another word; it chooses the colour.
    kind : {"measured", "predicted"}
        Solid or dashed.
    """

    label: str
    x: np.ndarray
    y: np.ndarray
    model: int | str
    kind: Literal["measured", "predicted"] = "measured"


@dataclass(frozen=True, eq=False)
class Panel:
    """Axes with their lines."""

    title: str
    xlabel: str
    ylabel: str
    lines: tuple[Line, ...]
    log: Literal["", "y", "xy"] = ""
    note: str = ""

    def plot(self, ax: Axes | None = None) -> Figure:
        """Draw the panel: measured lines solid, predictions dashed and on top of them.

        Examples
        --------
        >>> line = Line("gradient flow", np.arange(3), np.ones(3), 0)
        >>> Panel("one", "step", "value", (line,)).plot().axes[0].get_ylabel()
        'value'
        """
        return draw_panels([self], "", ax)


def draw_panels(panels: Sequence[Panel], title: str = "", ax: Any = None) -> Figure:
    """Draw panels side by side, or on axes that are given.

    Examples
    --------
    >>> line = Line("descent", np.arange(3), np.ones(3), "descent")
    >>> panel = Panel("nothing happens", "step", "value", (line,))
    >>> len(draw_panels([panel, panel]).axes)
    2
    """
    columns = None if len(panels) <= WIDEST else -(-len(panels) // 2)
    figure = on_axes(ax, len(panels), size=(4.0, 4.4), columns=columns)
    for panel, one in zip(panels, figure.axes, strict=True):
        _draw(panel, one)
    if title and ax is None:
        across = min(len(panels), columns or len(panels))
        figure.figure.suptitle(fill(title, 58 * across), fontsize=10)
    return figure


def _draw(panel: Panel, ax: Axes) -> None:
    greys = [line.model for line in panel.lines if not isinstance(line.model, int) and line.model != "descent"]
    shades = dict(zip(dict.fromkeys(greys), GREYS, strict=False))
    compared = any(line.kind == "predicted" for line in panel.lines)
    for line in panel.lines:
        ax.plot(line.x, line.y, label=line.label or "_", **_look(line, shades, compared))
    if "y" in panel.log:
        ax.set_yscale("log")
    if "x" in panel.log:
        ax.set_xscale("log")
        _name_values(ax, panel.lines)
    elif all(np.issubdtype(np.asarray(line.x).dtype, np.integer) for line in panel.lines):
        whole_numbers(ax)
    ax.set_title("\n".join(filter(None, (panel.title, panel.note))), fontsize=9)
    ax.set_xlabel(panel.xlabel)
    ax.set_ylabel(panel.ylabel)
    if any(line.label for line in panel.lines):
        legend_below(ax)


def _name_values(ax: Axes, lines: Sequence[Line]) -> None:
    """Name the few values at which something was measured, instead of powers of ten, of which few fit in."""
    from matplotlib.ticker import FixedLocator, NullLocator

    values = sorted({float(x) for line in lines if line.kind == "measured" for x in line.x})
    if 1 < len(values) <= NAMED:
        ax.xaxis.set_major_locator(FixedLocator(values))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set_xticklabels([f"{value:,.0f}" if value >= 100 else f"{value:.3g}" for value in values])


def _look(line: Line, shades: dict[Any, str], compared: bool) -> dict[str, Any]:
    few = len(line.x) <= FEW
    if isinstance(line.model, (int, np.integer)):
        shade, mark = colour(int(line.model)), marker(int(line.model))
    else:
        shade, mark = DESCENT if line.model == "descent" else shades.get(line.model, GREYS[-1]), "o"
    if line.kind == "predicted":
        if few:  # marked one by one; a line between them would say too much
            return {"color": shade, "linestyle": "none", "marker": "o", "markersize": 5, "zorder": 3}
        known = isinstance(line.model, (int, np.integer)) or line.model not in shades
        dashes = DASHES[0 if known else list(shades).index(line.model) % len(DASHES)]
        return {"color": shade, "linewidth": 1.2, "linestyle": (0, dashes), "zorder": 3}
    if few:
        return {"color": shade, "linestyle": "none" if compared else "-", "linewidth": 1.0, "marker": mark, "zorder": 4}
    # Wide and pale where a prediction will lie on top.
    return {"color": shade, "linewidth": 3.2, "alpha": 0.45} if compared else {"color": shade, "linewidth": 1.4}
