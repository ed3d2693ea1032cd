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
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eomsym.codegen.kernel import Kernel, checked_losses, compile
from eomsym.dynamics.flow import SMALLEST_RTOL, check_positive, flow
from eomsym.dynamics.leading_error import check_orders, leading_error
from eomsym.dynamics.reach import reach
from eomsym.errors import DivergenceError, InputError, MethodError
from eomsym.optimisers.linear import GradientDescent
from eomsym.verification.discrete import Optimiser
from eomsym.verification.verdict import TRUST, OrderReport, Report, judge

if TYPE_CHECKING:
    from eomsym.losses.objective import Objective
    from eomsym.optimisers.base import Method

__all__ = ["OrderReport", "Progress", "Report", "verify"]

Array = NDArray[np.float64]
Progress = Callable[[int, int, str], None]


def verify(
    loss: Objective | Sequence[Objective],
    start: ArrayLike,
    time: float,
    steps: Sequence[int] = (10, 20, 40, 80),
    orders: Iterable[int] = range(5),
    method: Method | None = None,
    *,
    kernel: Kernel | None = None,
    name: str | None = None,
    progress: Progress = lambda done, total, label: None,
) -> Report:
    """Measure the order of the equation of motion against the running optimiser.

    For each order and each ``eta = time / k``, ``k`` in `steps`, the equation of motion is integrated to
    `time` and compared with ``k`` steps of the optimiser. At the finest pair of learning rates that can be
    trusted, the slope must be within 0.05 of the theory's, and the misfit (see `OrderReport`) within 3 %.
    Where one of them is not, but the misfit shrinks with ``eta``, the ladder is too coarse for a verdict:
    ``inconclusive``.

    Parameters
    ----------
    loss : Objective, or a list of them
        Any loss or field of eomsym; one for each batch of an `Epoch`.
    start : array_like, shape (n,)
    time : float
        The fixed time ``T``, positive.
    steps : sequence of int, length m
        At least two different numbers of steps; more steps are finer.
    orders : iterable of int
        Orders ``K`` of the equation of motion, 0 is gradient flow.
    method : Method, optional
        The optimiser; gradient descent by default, or that of `kernel`. A method that remembers starts with the memory
        that its own modified flow gives, see `eomsym.verification.discrete`.
    kernel : Kernel, optional
        A kernel to judge instead of ``eomsym.compile(loss, ...)``. It needs order ``max(orders) + 1``, and
        ``max(orders) + 3`` if the method remembers.
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
    ladder = _check_steps(steps)
    duration = check_positive("time", time)
    method = method or (kernel.method if kernel else GradientDescent())
    losses = checked_losses(loss, method)
    loss = losses[0]
    theta = Kernel(losses, 0, method).point(start)
    if kernel is not None and kernel.method != method:
        raise MethodError(f"the kernel is for {kernel.method.name}, but method={method.name}; pass one of the two")
    optimiser = Optimiser(losses, method)
    kernel = kernel or compile(losses, max(asked) + optimiser.extra_order, method=method)
    if kernel.order < max(asked) + optimiser.extra_order:
        raise InputError(
            f"the kernel has order {kernel.order}; orders up to {max(asked)} need "
            f"eom.compile(loss, {max(asked) + optimiser.extra_order}, method=...)"
        )
    total = 1 + len(ladder) * (1 + len(asked))
    leading = leading_error(kernel, theta, duration, range(min(asked), max(asked) + 1))
    progress(1, total, "leading errors")

    n, done = len(theta), 1
    etas = np.array([duration / count for count in ladder])
    gaps = np.empty((len(asked), len(ladder), n))
    references = np.empty(gaps.shape[:2])
    for j, (eta, count) in enumerate(zip(etas, ladder, strict=True)):
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
        name=name or loss.describe(),
        loss=loss.describe(),
        method=method.name,
        size=n,
        start=tuple(theta.tolist()),
        time=duration,
        steps=ladder,
        orders=results,
        seconds=perf_counter() - began,
        notes=tuple(filter(None, [reach(Kernel(losses, 1, method), theta, float(etas[0])).note])),
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
        path = flow(kernel, theta, eta, time, rtol=rtol, atol=0.01 * rtol * size)
        if path.error * 2 * TRUST > goal and rtol > SMALLEST_RTOL:
            path = flow(kernel, theta, eta, time, rtol=SMALLEST_RTOL, atol=0.01 * SMALLEST_RTOL * size)
    except DivergenceError:
        return np.full_like(theta, np.nan), np.inf
    return path.thetas[-1], path.error


def _check_steps(steps: Sequence[int]) -> tuple[int, ...]:
    """Return the ladder, coarse to fine, or refuse it."""
    try:
        ladder = tuple(sorted(set(steps)))
        valid = len(ladder) >= 2 and all(count == int(count) and count >= 1 for count in ladder)
    except (TypeError, ValueError, OverflowError):
        valid = False
    if not valid:
        raise InputError(f"steps={steps!r}: expected two or more different positive integers, such as (10, 20, 40, 80)")
    return tuple(int(count) for count in ladder)
