"""Does the equation of motion of order ``K`` follow the discrete optimiser with error ``O(eta**(K+1))``?

At a fixed time ``T = k eta`` the distance between the two is measured over a ladder of learning rates and
held against the theory in two ways. The slope between neighbours must be ``K + 1``; and the error vector
itself must be ``eta**(K+1) v_K``, with ``v_K`` from `eomsym.dynamics.leading_error`. A slope alone can be
fooled, the leading constant cannot.

Nothing is judged that is not at least a hundred times larger than the *reference error*: the error of the
integrator, of the rounding of the discrete run, and of its starting values, all of them measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eomsym.codegen.kernel import Kernel, compile, kernel_of
from eomsym.dynamics.flow import SMALLEST_RTOL, check_positive, flow
from eomsym.dynamics.leading_error import check_orders, leading_error
from eomsym.dynamics.reach import reach
from eomsym.errors import DivergenceError, InputError
from eomsym.verification.discrete import Optimiser
from eomsym.verification.report import Report
from eomsym.verification.setting import data_of, setting_of
from eomsym.verification.verdict import TRUST, OrderReport, judge

if TYPE_CHECKING:
    from eomsym.losses.objective import Objective
    from eomsym.optimisers.base import Method

__all__ = ["OrderReport", "Progress", "Report", "verify"]

Array = NDArray[np.float64]
Progress = Callable[[int, int, str], None]


def verify(
    loss: Objective | Sequence[Objective] | Kernel,
    start: Any,
    *,
    time: float,
    ladder: Sequence[int] = (10, 20, 40, 80),
    orders: Iterable[int] = range(5),
    method: Method | None = None,
    name: str | None = None,
    progress: Progress = lambda done, total, label: None,
) -> Report:
    """Measure the order of the equation of motion against the running optimiser.

    For each order and each ``eta = time / k``, ``k`` in `ladder`, the equation of motion is integrated to
    `time` and compared with ``k`` steps of the optimiser. At the finest pair of learning rates that can be
    trusted, the slope must be within 0.05 of the theory's, and the misfit (see `OrderReport`) within 3 %.
    Where one of them is not, but the misfit shrinks with ``eta``, the ladder is too coarse for a verdict:
    ``inconclusive``.

    Parameters
    ----------
    loss : Loss, Field, DeepLinear, Network, a list of them, or Kernel
        One loss for each batch of an `Epoch`. A kernel is judged as it is; it needs order ``max(orders) + 1``, and
        ``max(orders) + 3`` if the method remembers.
    start : array_like, shape (n,), or dict
    time : float
        The fixed time ``T``, positive.
    ladder : sequence of int, length m
        At least two different numbers of steps; more steps are finer.
    orders : iterable of int
        Orders ``K`` of the equation of motion, 0 is gradient flow.
    method : Method, optional
        The optimiser; gradient descent by default, or that of the kernel. A method that remembers starts with the
        memory that its own modified flow gives, see `eomsym.verification.discrete`.
    name : str, optional
        What to call the problem in the report; by default the description of the loss.
    progress : callable, optional
        Called with (done, total, label) after each piece of work.

    Returns
    -------
    Report

    Raises
    ------
    InputError
        If an argument cannot be used.
    ShapeError
        If `start` does not fit the loss.
    DivergenceError
        If the optimiser leaves the finite numbers; ``.step`` says where.

    Examples
    --------
    >>> import eomsym as eom
    >>> loss = eom.Loss("(1-x)**2/2 + (y-x**2)**2/2", variables="x y")
    >>> report = eom.verify(loss, [-0.5, 1.0], time=1.0, orders=range(3))
    >>> report.status
    'passed'
    >>> [f"{result.slopes[-1]:.2f}" for result in report.orders]
    ['1.00', '2.00', '3.01']

    References
    ----------
    Hairer, Lubich, Wanner (2006), Geometric Numerical Integration, section IX.1, doi:10.1007/3-540-30666-8.
    Hairer, Nørsett, Wanner (1993), Solving Ordinary Differential Equations I, section II.8,
    doi:10.1007/978-3-540-78862-1.
    """
    began = perf_counter()
    asked = check_orders(orders)
    counts = _check_ladder(ladder)
    duration = check_positive("time", time)
    given = kernel_of(loss, None if isinstance(loss, Kernel) else 0, method)
    method, losses = given.method, given.losses
    theta = given.point(start)
    optimiser = Optimiser(losses, method)
    kernel = given if isinstance(loss, Kernel) else compile(losses, max(asked) + optimiser.extra_order, method=method)
    if kernel.order < max(asked) + optimiser.extra_order:
        raise InputError(
            f"the kernel has order {kernel.order}; orders up to {max(asked)} need "
            f"eom.compile(loss, {max(asked) + optimiser.extra_order}, method=...)"
        )
    total = 1 + len(counts) * (1 + len(asked))
    leading = leading_error(kernel, theta, time=duration, orders=range(min(asked), max(asked) + 1))
    progress(1, total, "leading errors")

    n, done = len(theta), 1
    etas = np.array([duration / count for count in counts])
    gaps = np.empty((len(asked), len(counts), n))
    references = np.empty(gaps.shape[:2])
    for j, (eta, count) in enumerate(zip(etas, counts, strict=True)):
        final, doubt = optimiser.run(kernel.order, theta, eta, count)
        done += 1
        progress(done, total, f"{count} steps")
        for i, order in enumerate(asked):
            goal = float(np.linalg.norm(leading.at(eta)[order - min(asked)]))
            end, error = _motion(kernel.at_order(order), theta, eta, duration, goal)
            gaps[i, j], references[i, j] = end - final, error + doubt
            done += 1
            progress(done, total, f"order {order}, {count} steps")
    results = tuple(
        judge(order, etas, gaps[i], references[i], leading.vectors[order - min(asked) :])
        for i, order in enumerate(asked)
    )
    return Report(
        name=name or losses[0].describe(),
        loss=losses[0].describe(),
        method=method.name,
        size=n,
        start=tuple(theta.tolist()),
        time=duration,
        steps=counts,
        orders=results,
        seconds=perf_counter() - began,
        notes=tuple(filter(None, [reach(Kernel(losses, 1, method), theta, float(etas[0])).note])),
        setting=setting_of(losses, method),
        data=data_of(losses),
    )


def _motion(kernel: Kernel, theta: Array, eta: float, time: float, goal: float) -> tuple[Array, float]:
    """State ``(n,)`` of the equation of motion at ``time``, and its error; NaN if it blows up on the way.

    The error must only be small against ``goal``, the one to be measured; a tolerance chosen to suit halves
    the cost of the low orders. If it turns out too large, the smallest tolerance decides.
    """
    size = float(np.sqrt(np.mean(theta**2))) or 1.0
    guess = 1e-2 * goal / (TRUST * float(np.linalg.norm(theta)) or 1.0)
    rtol = float(np.clip(guess, SMALLEST_RTOL, 1e-6))
    try:
        path = flow(kernel, theta, eta=eta, time=time, rtol=rtol, atol=0.01 * rtol * size)
        if path.error * 2 * TRUST > goal and rtol > SMALLEST_RTOL:
            path = flow(kernel, theta, eta=eta, time=time, rtol=SMALLEST_RTOL, atol=0.01 * SMALLEST_RTOL * size)
    except DivergenceError:
        return np.full_like(theta, np.nan), np.inf
    return path.thetas[-1], path.error


def _check_ladder(ladder: Sequence[int]) -> tuple[int, ...]:
    """Return the ladder, coarse to fine, or refuse it."""
    try:
        counts = tuple(sorted(set(ladder)))
        valid = len(counts) >= 2 and all(count == int(count) and count >= 1 for count in counts)
    except (TypeError, ValueError, OverflowError):
        valid = False
    if not valid:
        raise InputError(
            f"ladder={ladder!r}: expected two or more different positive integers, such as (10, 20, 40, 80)"
        )
    return tuple(int(count) for count in counts)
