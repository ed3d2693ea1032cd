"""Errors against the learning rate: what experiments of papers share, as claims, lines and panels."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

import numpy as np
import sympy

from eomsym.experiments.experiment import Claim, Experiment
from eomsym.experiments.panels import Line, Panel
from eomsym.types import Array
from eomsym.verification.report import Report

__all__ = [
    "BETA",
    "ROSENBROCK",
    "START",
    "VARIABLES",
    "against_eta",
    "equal",
    "line_of_powers",
    "lines_of",
    "made",
    "slope",
    "slopes_of",
]

VARIABLES = "x y"
ROSENBROCK = "(1-x)**2/2 + (y-x**2)**2/2"
START = (-0.5, 1.0)
BETA = sympy.Symbol("beta", positive=True)
#: Points of a predicted line.
FINE = 40


def equal(statement: str, holds: bool) -> Claim:
    """A claim that is true or false in exact arithmetic: 0 where it holds.

    Examples
    --------
    >>> equal("1/3 + 1/6 = 1/2", True).status
    'passed'
    """
    return Claim(f"{statement} (exact)", 0.0 if holds else 1.0, 0.0, 0.0)


def slope(etas: Sequence[float], errors: Sequence[float]) -> float:
    """The slope of the last two points on double logarithmic axes.

    Examples
    --------
    >>> round(slope([0.1, 0.05], [4e-2, 1e-2]), 6)
    2.0
    """
    x, y = np.log(etas[-2:]), np.log(errors[-2:])
    return float((y[1] - y[0]) / (x[1] - x[0]))


def made(name: str, title: str, panels: Iterable[Panel], claims: Iterable[Claim], began: float) -> Experiment:
    """An experiment, timed."""
    return Experiment(name, title, {}, tuple(panels), tuple(claims), seconds=time.perf_counter() - began)


def slopes_of(report: Report, what: str = "") -> list[Claim]:
    """Claims that the slope of each order is one more than the order."""
    claims = []
    for result in report.orders:
        j = result.judged
        found = float("nan") if j is None else result.slopes[j - 1]
        claims.append(Claim(f"{what}order {result.order}: slope", found, result.order + 0.95, result.order + 1.05))
    return claims


def line_of_powers(etas: Sequence[float], constant: float, power: int, model: int | str) -> Line:
    """The predicted line ``constant * eta**power`` over the range of some learning rates."""
    fine: Array = np.geomspace(min(etas), max(etas), FINE)
    return Line("", fine, constant * fine**power, model, "predicted")


def lines_of(report: Report, what: str = "") -> tuple[Line, ...]:
    """Errors of each order against the learning rate, and their predicted leading parts."""
    lines = []
    for result in report.orders:
        name = f"{what}order {result.order}"
        lines.append(Line(name, np.array(report.etas), np.array(result.errors), result.order))
        lines.append(line_of_powers(report.etas, result.leading, result.expected_slope, result.order))
    return tuple(lines)


def against_eta(title: str, measured: str, lines: Iterable[Line], label: str = r"learning rate $\eta$") -> Panel:
    """A panel of distances over learning rates; marks are measured, lines predicted."""
    told = tuple(lines)
    predicted = any(line.kind == "predicted" for line in told)
    return Panel(title, label, measured, told, "xy", "lines: predicted leading error" if predicted else "")
