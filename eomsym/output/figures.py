"""Figures of simulations: axes in, axes out.

matplotlib is imported when a figure is drawn; it comes with ``pip install 'eomsym[plot]'``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from eomsym.errors import MissingDependencyError
from eomsym.experiments.experiment import Experiment, Line, Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_experiment", "plot_panel"]

# Okabe and Ito's colours, told apart by colour-blind readers; gradient flow, orders 1, 2, 3.
ORDERS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00")
DESCENT = "#000000"
# Other lines, from light to dark.
GREYS = ("#c8c8c8", "#a8a8a8", "#888888", "#686868")
#: Predictions at no more points than this are marked instead of drawn as a line.
FEW = 10


def plot_experiment(experiment: Experiment) -> Figure:
    """Draw the panels of a simulation side by side.

    Parameters
    ----------
    experiment : Experiment

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> line = Line("descent", np.arange(3), np.ones(3), "descent")
    >>> panel = Panel("nothing happens", "step", "value", (line,))
    >>> len(plot_experiment(Experiment("none", "Nothing", {}, (panel, panel), ())).axes)
    2
    """
    figure = _figure(len(experiment.panels))
    for panel, ax in zip(experiment.panels, figure.axes, strict=True):
        plot_panel(panel, ax)
    figure.suptitle(experiment.title, fontsize=10)
    return figure


def plot_panel(panel: Panel, ax: Axes | None = None) -> Axes:
    """Draw one panel: measured lines solid, predictions dashed and on top of them.

    Parameters
    ----------
    panel : Panel
    ax : matplotlib.axes.Axes, optional
        New ones by default.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> line = Line("gradient flow", np.arange(3), np.ones(3), 0)
    >>> plot_panel(Panel("one", "step", "value", (line,))).get_ylabel()
    'value'
    """
    ax = ax or _figure(1).axes[0]
    greys = [line.model for line in panel.lines if not isinstance(line.model, int) and line.model != "descent"]
    shades = dict(zip(dict.fromkeys(greys), GREYS, strict=False))
    compared = any(line.kind == "predicted" for line in panel.lines)
    for line in panel.lines:
        ax.plot(line.x, line.y, label=line.label or "_", **_style(line, shades, compared))
    if "y" in panel.log:
        ax.set_yscale("log")
    if "x" in panel.log:
        ax.set_xscale("log")
    ax.set_title("\n".join(filter(None, (panel.title, panel.note))), fontsize=9)
    ax.set_xlabel(panel.xlabel)
    ax.set_ylabel(panel.ylabel)
    ax.spines[["top", "right"]].set_visible(False)
    if any(line.label for line in panel.lines):
        # Below the axes, where it covers no line.
        ax.legend(fontsize=7.5, frameon=False, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.17))
    return ax


def _style(line: Line, shades: dict[Any, str], compared: bool) -> dict[str, Any]:
    if isinstance(line.model, (int, np.integer)):
        colour = ORDERS[line.model % len(ORDERS)]
    else:
        colour = DESCENT if line.model == "descent" else shades.get(line.model, GREYS[-1])
    if line.kind == "measured":  # wide and pale where a prediction will lie on top
        return {"color": colour, "linewidth": 3.2, "alpha": 0.45} if compared else {"color": colour, "linewidth": 1.4}
    if len(line.x) <= FEW:  # marked one by one; a line between them would say too much
        return {"color": colour, "linestyle": "none", "marker": "o", "markersize": 5, "zorder": 3}
    return {"color": colour, "linewidth": 1.2, "linestyle": (0, (3, 2)), "zorder": 3}


def _figure(panels: int) -> Figure:
    """A figure with its canvas and no window, so that it draws on a machine without a screen."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError("figures need matplotlib; type: pip install 'eomsym[plot]'") from error
    figure = Figure(figsize=(4.0 * panels + 0.4, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    figure.subplots(1, panels)
    return figure
