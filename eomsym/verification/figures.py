"""Figures of verifications: error against learning rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from eomsym.errors import InputError
from eomsym.output.figures import Figure, on_axes
from eomsym.output.style import BAND, INK, colour, marker
from eomsym.verification.verdict import TRUST

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from eomsym.verification.report import Report

__all__ = ["draw_reports"]


def draw_reports(reports: Sequence[Report], ax: Any = None) -> Figure:
    """Draw several reports side by side.

    Parameters
    ----------
    reports : sequence of Report
    ax : matplotlib.axes.Axes, or a sequence of them, optional
        One for each report; new ones by default.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        If there is no report, or another number of axes.
    MissingDependencyError
        If matplotlib is not installed.

    Examples
    --------
    >>> import eomsym as eom
    >>> report = eom.verify(eom.Loss("x**4/4", variables="x"), [1.0], time=1.0, orders=[0, 1])
    >>> draw_reports([report, report])
    <Figure of 2 panels; .save("figure.png"), .svg or .pdf writes it>
    """
    if not reports:
        raise InputError("no report to draw; expected one or more")
    figure = on_axes(ax, len(reports))
    for report, one in zip(reports, figure.axes, strict=True):
        _draw(report, one)
    for one in figure.axes[1:] if ax is None else ():
        one.set_ylabel("")
    return figure


def _draw(report: Report, ax: Axes) -> None:
    etas = np.array(report.etas)
    fine = np.geomspace(etas[-1] / 1.25, etas[0] * 1.25, 50)
    for result in report.orders:
        shade = colour(result.order)
        ax.plot(fine, fine**result.expected_slope * result.leading, color=shade, linewidth=0.9, zorder=2)
        errors, trusted = np.array(result.errors), np.array(result.trusted)
        look: dict[str, Any] = {"color": shade, "marker": marker(result.order), "linestyle": "none", "zorder": 3}
        ax.plot(etas[trusted], errors[trusted], **look)
        ax.plot(etas[~trusted], errors[~trusted], markerfacecolor="white", **look)
    ax.set(xscale="log", xlim=(fine[0], fine[-1]))
    if any(error > 0 for result in report.orders for error in result.errors):
        ax.set(yscale="log")
        _shade(report, ax)
        _name_orders(report, ax)
    else:  # stopped by a limit of time before anything was measured
        ax.set(yticks=[])
        ax.text(0.5, 0.5, "no error above zero was measured", color=INK, ha="center", transform=ax.transAxes)
    _label_etas(ax, report)
    ax.set_xlabel(r"learning rate $\eta$")
    ax.set_ylabel(r"$\|\theta_\mathrm{EoM}(T) - \theta_{T/\eta}\|$")
    ax.set_title(f"{report.name}\n{report.method}, {report.size:,} parameters, $T={report.time:g}$", fontsize=9)


def _shade(report: Report, ax: Axes) -> None:
    """Grey band up to a hundred times the reference error."""
    # The tolerance of a low order is chosen loose; the smallest reference of each learning rate is what
    # could be reached there.
    left, right = ax.get_xlim()
    etas = np.array([right, *report.etas, left])
    # What a limit of time left unmeasured is NaN.
    limits = TRUST * np.fmin.reduce([result.references for result in report.orders])
    limits = np.array([limits[0], *limits, limits[-1]])
    ends = [left**result.expected_slope * result.leading for result in report.orders]
    errors = [error for result in report.orders for error in result.errors]
    bottom = min(height for height in (*limits, *ends, *errors) if height > 0) / 10
    ax.fill_between(etas, limits, bottom, color=BAND, linewidth=0, zorder=1)
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
    ends = {i: np.log10(right**r.expected_slope * r.leading) for i, r in enumerate(report.orders) if r.leading > 0}
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
            color=colour(result.order),
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
