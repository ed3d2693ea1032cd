"""Figures: every function takes axes and returns them.

matplotlib is imported when a figure is drawn; it comes with ``pip install 'eomsym[plot]'``.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from eomsym.errors import InputError, MissingDependencyError
from eomsym.verification.verdict import TRUST, Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_order", "plot_orders", "to_png"]

# Okabe and Ito's colours, told apart by colour-blind readers, without yellow, which is faint on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
INK = "#444444"


def plot_order(report: Report, ax: Axes | None = None) -> Axes:
    r"""Draw error against learning rate, one colour for each order.

    Markers are measured, lines are the predicted leading error ``eta**(K+1) norm(v)``, which is the reference
    slope at its right height. In the grey band nothing is judged: it reaches up to a hundred times the
    reference error. Hollow markers are errors that were not trusted.

    Parameters
    ----------
    report : Report
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
    >>> import eomsym as eom
    >>> report = eom.verify(eom.Loss("x**4/4", variables="x"), [1.0], time=1.0, orders=[0, 1])
    >>> ax = plot_order(report)
    >>> ax.get_xlabel()
    'learning rate $\\eta$'
    """
    ax = ax or _figure(1).axes[0]
    etas = np.array(report.etas)
    fine = np.geomspace(etas[-1] / 1.25, etas[0] * 1.25, 50)
    for i, result in enumerate(report.orders):
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
        ax.plot(fine, fine**result.expected_slope * result.leading, color=colour, linewidth=0.9, zorder=2)
        errors, trusted = np.array(result.errors), np.array(result.trusted)
        style: dict[str, Any] = {
            "color": colour,
            "marker": marker,
            "markersize": 5.0,
            "linestyle": "none",
            "zorder": 3,
        }
        ax.plot(etas[trusted], errors[trusted], **style)
        ax.plot(etas[~trusted], errors[~trusted], markerfacecolor="white", **style)
    ax.set(xscale="log", yscale="log", xlim=(fine[0], fine[-1]))
    _shade(report, ax)
    _name_orders(report, ax)
    _label_etas(ax, report)
    ax.set_xlabel(r"learning rate $\eta$")
    ax.set_ylabel(r"$\|\theta_\mathrm{EoM}(T) - \theta_{T/\eta}\|$")
    ax.set_title(f"{report.name}\n{report.method}, {report.size:,} parameters, $T={report.time:g}$", fontsize=9)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_orders(reports: Sequence[Report]) -> Figure:
    """Draw several reports side by side.

    Parameters
    ----------
    reports : sequence of Report

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If there is no report.
    MissingDependencyError
        If matplotlib is not installed.

    Examples
    --------
    >>> import eomsym as eom
    >>> report = eom.verify(eom.Loss("x**4/4", variables="x"), [1.0], time=1.0, orders=[0, 1])
    >>> len(plot_orders([report, report]).axes)
    2
    """
    if not reports:
        raise InputError("no report to draw; expected one or more")
    figure = _figure(len(reports))
    for report, ax in zip(reports, figure.axes, strict=True):
        plot_order(report, ax)
    for ax in figure.axes[1:]:
        ax.set_ylabel("")
    return figure


def to_png(figure: Figure, dpi: int = 200) -> bytes:
    """Return the bytes of a PNG file, the same for the same figure.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    dpi : int

    Returns
    -------
    bytes

    Examples
    --------
    >>> import eomsym as eom
    >>> report = eom.verify(eom.Loss("x**4/4", variables="x"), [1.0], time=1.0, orders=[0, 1])
    >>> to_png(plot_orders([report]))[1:4]
    b'PNG'
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def _figure(panels: int) -> Figure:
    """A figure with its canvas and no window, so that it draws on a machine without a screen."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError("figures need matplotlib; type: pip install 'eomsym[plot]'") from error
    figure = Figure(figsize=(4.2 * panels + 0.4, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    figure.subplots(1, panels)
    return figure


def _shade(report: Report, ax: Axes) -> None:
    """Grey band up to a hundred times the reference error."""
    # The tolerance of a low order is chosen loose; the smallest reference of each learning rate is what
    # could be reached there.
    left, right = ax.get_xlim()
    etas = np.array([right, *report.etas, left])
    limits = TRUST * np.min([result.references for result in report.orders], axis=0)
    limits = np.array([limits[0], *limits, limits[-1]])
    lowest = min(left**result.expected_slope * result.leading for result in report.orders)
    bottom = min(float(np.min(limits)), lowest) / 10
    ax.fill_between(etas, limits, bottom, color="#d9d9d9", linewidth=0, zorder=1)
    ax.set_ylim(bottom=bottom)
    ax.text(
        np.sqrt(left * right),
        bottom * 1.6,
        f"below {TRUST:.0f} × reference error: not judged",
        color=INK,
        fontsize=7.5,
        ha="center",
    )


def _name_orders(report: Report, ax: Axes) -> None:
    """Write each order at the right end of its line, moved down where it would cover the one above."""
    right = ax.get_xlim()[1]
    bottom, top = np.log10(ax.get_ylim())
    ends = {i: np.log10(right**r.expected_slope * r.leading) for i, r in enumerate(report.orders) if r.leading}
    height = np.inf
    for i in sorted(ends, key=lambda i: -ends[i]):
        result = report.orders[i]
        height = min(ends[i], height - 0.055 * (top - bottom))
        power = rf"\eta^{{{result.expected_slope}}}" if result.expected_slope > 1 else r"\eta"
        ax.annotate(
            rf"$K={result.order}$: ${power}$",
            (right, 10**height),
            xytext=(4, 0),
            textcoords="offset points",
            color=COLOURS[i % len(COLOURS)],
            fontsize=9,
            va="center",
            annotation_clip=False,
        )


def _label_etas(ax: Axes, report: Report) -> None:
    """Name the learning rates that were run, instead of powers of ten, of which few fit in."""
    from matplotlib.ticker import FixedLocator, NullLocator

    ax.xaxis.set_major_locator(FixedLocator(report.etas))
    ax.xaxis.set_minor_locator(NullLocator())
    stride = -(-len(report.etas) // 6)  # more than six labels would run into each other
    labels = [f"{eta:.3g}" if i % stride == 0 else "" for i, eta in enumerate(report.etas)]
    ax.set_xticklabels(labels, fontsize=8)
