"""Named problems, the default of ``eomsym verify`` among them.

A problem is data: a loss, a start, a time and a ladder that is fine enough for the tolerances of `verify`.
Losses that are quadratic, one-dimensional or separable cannot tell fourth-order trees apart; none of these
is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from eomsym.errors import InputError
from eomsym.losses.data import digits
from eomsym.losses.expression import Loss
from eomsym.losses.network import DeepLinear
from eomsym.types import Array, Progress
from eomsym.verification.order import verify
from eomsym.verification.report import Report

if TYPE_CHECKING:
    from eomsym.losses.objective import Objective
    from eomsym.optimisers.base import Method

__all__ = ["DEFAULT_PROBLEMS", "PROBLEMS", "Problem", "verify_problems"]

#: Of the starts that are drawn.
SEED = 0


@dataclass(frozen=True)
class Problem:
    """A loss with the run on which it is verified.

    Attributes
    ----------
    title : str
        What figures and tables call it.
    build : callable
        Returns the loss and the start, shape (n,).
    time : float
    steps : tuple of int
    """

    title: str
    build: Callable[[], tuple[Objective, Array]]
    time: float
    steps: tuple[int, ...]

    def verify(
        self,
        orders: Iterable[int] = range(5),
        method: Method | None = None,
        *,
        time: float | None = None,
        steps: Sequence[int] | None = None,
        progress: Progress = lambda done, total, label: None,
    ) -> Report:
        """Verify the problem, with other orders, method, time or ladder if they are given.

        Parameters
        ----------
        orders : iterable of int
        method : Method, optional
        time : float, optional
        steps : sequence of int, optional
        progress : callable, optional

        Returns
        -------
        Report

        Examples
        --------
        >>> PROBLEMS["rosenbrock"].verify(orders=[0, 1]).status
        'passed'
        """
        loss, start = self.build()
        return verify(
            loss,
            start,
            time=self.time if time is None else time,
            ladder=self.steps if steps is None else steps,
            orders=orders,
            method=method,
            name=self.title,
            progress=progress,
        )


def _rosenbrock() -> tuple[Objective, Array]:
    return Loss("(1-x)**2/2 + (y-x**2)**2/2", variables="x y"), np.array([-0.5, 1.0])


def _deep_linear(widths: tuple[int, ...], loss: str, images: int | None) -> tuple[Objective, Array]:
    inputs, labels = digits(images)
    targets = labels if loss == "cross_entropy" else np.eye(10)[labels]
    network = DeepLinear(widths, inputs, targets, loss=loss)
    # Half of Xavier's weights: at their full size the largest eigenvalues of the Hessian are 22 to 42, and the
    # ladder would have to be four times finer.
    return network, network.initial(seed=SEED, scheme="xavier", scale=0.5)


PROBLEMS: dict[str, Problem] = {
    "rosenbrock": Problem("Rosenbrock-like loss", _rosenbrock, 1.0, (10, 20, 40, 80)),
    "digits-2": Problem(
        "deep linear 64-16-10 on digits",
        partial(_deep_linear, (64, 16, 10), "mse", None),
        1.0,
        (20, 40, 80, 160),
    ),
    "digits-3": Problem(
        "deep linear 64-16-16-10 on digits",
        partial(_deep_linear, (64, 16, 16, 10), "mse", None),
        1.0,
        (20, 40, 80, 160),
    ),
    "digits-cross-entropy": Problem(
        "deep linear 64-16-10 on digits, cross-entropy",
        partial(_deep_linear, (64, 16, 10), "cross_entropy", 1000),
        2.0,
        (10, 20, 40),
    ),
}
DEFAULT_PROBLEMS = ("rosenbrock", "digits-2", "digits-3")


def verify_problems(
    names: Iterable[str] = DEFAULT_PROBLEMS,
    orders: Iterable[int] = range(5),
    method: Method | None = None,
    *,
    time: float | None = None,
    steps: Sequence[int] | None = None,
    progress: Progress = lambda done, total, label: None,
) -> list[Report]:
    """Verify some of `PROBLEMS`, one after the other.

    Parameters
    ----------
    names : iterable of str
    orders : iterable of int
    method : Method, optional
    time : float, optional
        Instead of the time of each problem.
    steps : sequence of int, optional
        Instead of the ladder of each problem.
    progress : callable, optional
        Called with (done, total, label), counted over all problems.

    Returns
    -------
    list of Report

    Raises
    ------
    InputError
        If a name is unknown, or as for `verify`.

    Examples
    --------
    >>> [report.status for report in verify_problems(["rosenbrock"], orders=[0])]
    ['passed']
    """
    chosen = list(names)
    if unknown := [name for name in chosen if name not in PROBLEMS]:
        raise InputError(f"unknown problem {unknown[0]!r}; expected one of {', '.join(PROBLEMS)}")
    listed = list(orders)
    reports = []
    for i, name in enumerate(chosen):

        def forward(done: int, total: int, label: str, i: int = i) -> None:
            progress(i * total + done, len(chosen) * total, f"{chosen[i]}: {label}")

        report = PROBLEMS[name].verify(listed, method, time=time, steps=steps, progress=forward)
        reports.append(replace(report, seed=SEED, setting={**report.setting, "case": {"problem": name}}))
    return reports
