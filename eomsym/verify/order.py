"""Does the equation of motion of order ``K`` follow the discrete optimiser with error ``O(eta**(K+1))``?

At a fixed time ``T = k eta`` the distance between the two is measured over a ladder of learning rates and
held against the theory in two ways. The slope between neighbours must be ``K + 1``; and the error vector
itself must be ``eta**(K+1) v_K``, with ``v_K`` from `eomsym.bounds.leading_error`. A slope alone can be
fooled, the leading constant cannot.

Nothing is judged that is not at least a hundred times larger than the *reference error*: the error of the
integrator, of the rounding of the discrete run, and of its starting values, all of them measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eomsym.bounds.leading_error import check_orders, leading_error
from eomsym.codegen.kernel import compile
from eomsym.dynamics.flow import SMALLEST_RTOL, check_positive, flow
from eomsym.errors import DivergenceError, InputError, MethodError
from eomsym.exact.methods import GradientDescent
from eomsym.verify.discrete import Optimiser

if TYPE_CHECKING:
    from eomsym.codegen.kernel import Kernel
    from eomsym.exact.methods import Method
    from eomsym.losses.objective import Objective

__all__ = ["MISFIT_TOLERANCE", "SLOPE_TOLERANCE", "TRUST", "OrderReport", "Report", "Status", "verify"]

Array = NDArray[np.float64]
Status = Literal["passed", "failed", "inconclusive"]
Progress = Callable[[int, int, str], None]

SLOPE_TOLERANCE = 0.05
MISFIT_TOLERANCE = 0.03
TRUST = 100.0  # an error is judged only if it is this many times larger than the reference error


@dataclass(frozen=True)
class OrderReport:
    """What was measured for one order, over a ladder of m learning rates.

    Attributes
    ----------
    order : int
        Order ``K`` of the equation of motion.
    expected_slope : int
        ``K + 1``; more where the next counter terms vanish.
    leading : float
        ``norm(v)``, so that the predicted error is ``eta**expected_slope * leading``.
    errors : tuple of float, length m
        Measured Euclidean distance from the optimiser; NaN where the equation of motion blew up.
    predictions : tuple of float, length m
        Predicted leading error.
    references : tuple of float, length m
        Measured error of the measurement.
    misfits : tuple of float, length m
        Distance between the measured and the predicted error vector, over the length of the latter. It bounds
        how far the ratio of their lengths is from 1.
    cosines : tuple of float, length m
        Cosine of the angle between the two vectors.
    slopes : tuple of float, length m - 1
        Slope of ``log(error)`` between neighbours.
    limit : float
        The misfit, extrapolated as a vector from the judged pair to ``eta = 0``. Shown, never judged.
    judged : int or None
        Index of the finest learning rate whose error, and the error before it, can be trusted.
    status : str
    reason : str
        Why, in a few words.
    """

    order: int
    expected_slope: int
    leading: float
    errors: tuple[float, ...]
    predictions: tuple[float, ...]
    references: tuple[float, ...]
    misfits: tuple[float, ...]
    cosines: tuple[float, ...]
    slopes: tuple[float, ...]
    limit: float
    judged: int | None
    status: Status
    reason: str

    @property
    def ratios(self) -> tuple[float, ...]:
        """Measured over predicted error, length m."""
        return tuple(float(np.divide(e, p)) for e, p in zip(self.errors, self.predictions, strict=True))

    @property
    def trusted(self) -> tuple[bool, ...]:
        """Which errors stand far enough above the reference error, length m."""
        return tuple(e >= TRUST * r for e, r in zip(self.errors, self.references, strict=True))


@dataclass(frozen=True)
class Report:
    """The verdict on one loss and one method.

    Attributes
    ----------
    name : str
        What the problem is called.
    loss : str
        Its description.
    method : str
    size : int
        Number of parameters.
    start : tuple of float, length size
    time : float
        The fixed time ``T``.
    steps : tuple of int, length m
        Steps of the optimiser, coarse to fine.
    orders : tuple of OrderReport
    seconds : float
        What the verification took, compilation included.
    """

    name: str
    loss: str
    method: str
    size: int
    start: tuple[float, ...]
    time: float
    steps: tuple[int, ...]
    orders: tuple[OrderReport, ...]
    seconds: float

    @property
    def etas(self) -> tuple[float, ...]:
        """Learning rates ``time / steps``, length m."""
        return tuple(self.time / steps for steps in self.steps)

    @property
    def status(self) -> Status:
        """``failed`` if any order failed, else ``inconclusive`` if any is, else ``passed``."""
        return worst(result.status for result in self.orders)

    def table(self) -> list[tuple[str, ...]]:
        """Return the cells of the summary, heading first; an untrusted error is in brackets.

        Slope, ratio, misfit and reference error are those at the judged learning rate.
        """
        heading = ("order", *(f"η={eta:.3g}" for eta in self.etas))
        rows = [(*heading, "slope", "theory", "ratio", "misfit", "reference", "status")]
        for result in self.orders:
            measured = zip(result.errors, result.trusted, strict=True)
            errors = [f"{error:.1e}" if trusted else f"({error:.1e})" for error, trusted in measured]
            judged = ["–", str(result.expected_slope), "–", "–", "–"]
            if (j := result.judged) is not None:
                judged[0] = f"{result.slopes[j - 1]:.3f}"
                judged[2:] = (
                    f"{result.ratios[j]:.4f}",
                    f"{result.misfits[j]:.4f}",
                    f"{result.references[j]:.1e}",
                )
            rows.append((str(result.order), *errors, *judged, result.status))
        return rows

    def __str__(self) -> str:
        rows = self.table()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join([*map(str.rjust, row[:-1], widths), row[-1]])  # the status is the last cell
            for row in rows
        ]
        notes = [f"order {result.order}: {result.reason}" for result in self.orders if result.reason]
        title = f"{self.name} · {self.method} · {self.size} parameters · time {self.time:g}"
        return "\n".join([title, "", *lines, *notes, "", f"{self.status} in {self.seconds:.1f} s"])


def worst(statuses: Iterable[Status]) -> Status:
    """Return the most severe of some statuses.

    Parameters
    ----------
    statuses : iterable of str

    Returns
    -------
    str

    Examples
    --------
    >>> worst(["passed", "inconclusive", "passed"])
    'inconclusive'
    """
    found = set(statuses)
    return "failed" if "failed" in found else "inconclusive" if "inconclusive" in found else "passed"


def verify(
    loss: Objective,
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
    loss : Objective
        Any loss or field of eomsym.
    start : array_like, shape (n,)
    time : float
        The fixed time ``T``, positive.
    steps : sequence of int, length m
        At least two different numbers of steps; more steps are finer.
    orders : iterable of int
        Orders ``K`` of the equation of motion, 0 is gradient flow.
    method : Method, optional
        The optimiser; gradient descent by default, or that of `kernel`. A method that looks back starts from
        points on its own modified flow, see `eomsym.verify.discrete`.
    kernel : Kernel, optional
        A kernel to judge instead of ``eomsym.compile(loss, ...)``. It needs order ``max(orders) + 1``, and
        ``max(orders) + 3`` if the method looks back.
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
    theta = loss.validate(start)
    method = method or (kernel.method if kernel else GradientDescent())
    if kernel is not None and kernel.method != method:
        raise MethodError(f"the kernel is for {kernel.method.name}, but method={method.name}; pass one of the two")
    optimiser = Optimiser(loss, method)
    kernel = kernel or compile(loss, max(asked) + optimiser.extra_order, method=method)
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
        final, doubt = optimiser.run(kernel, theta, eta, count)
        done += 1
        progress(done, total, f"{count} steps")
        for i, order in enumerate(asked):
            goal = float(np.linalg.norm(leading.at(eta)[order - min(asked)]))
            end, error = _motion(kernel.at_order(order), theta, eta, duration, goal)
            gaps[i, j], references[i, j] = end - final, error + doubt
            done += 1
            progress(done, total, f"order {order}, {count} steps")
    results = tuple(
        _judge(order, etas, gaps[i], references[i], leading.vectors[order - min(asked) :])
        for i, order in enumerate(asked)
    )
    return Report(
        name=name or loss.describe(),
        loss=loss.describe(),
        method=method.name,
        size=n,
        start=_floats(theta),
        time=duration,
        steps=ladder,
        orders=results,
        seconds=perf_counter() - began,
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


def _judge(order: int, etas: Array, gaps: Array, references: Array, vectors: Array) -> OrderReport:
    """Verdict on one order.

    ``gaps (m, n)`` are the measured error vectors, ``vectors`` those of this order and all higher ones.
    """
    # A counter term may vanish (midpoint rule: term_1 = 0). The first prediction above the reference leads.
    lengths = np.linalg.norm(vectors, axis=1)
    above = [i for i, v in enumerate(lengths) if np.any(etas ** (order + i + 1) * v > references)]
    first = above[0] if above else 0
    slope, leading = order + first + 1, vectors[first]
    errors = np.linalg.norm(gaps, axis=1)
    with np.errstate(all="ignore"):
        predictions = etas**slope * lengths[first]
        misses = gaps / etas[:, None] ** slope - leading
        misfits = np.linalg.norm(misses, axis=1) / lengths[first]
        cosines = gaps @ leading / (errors * lengths[first])
        slopes = np.log(errors[:-1] / errors[1:]) / np.log(etas[:-1] / etas[1:])
    trusted = errors >= TRUST * references
    pairs = [j for j in range(1, len(etas)) if trusted[j - 1] and trusted[j]]
    j = pairs[-1] if pairs else None
    limit = np.nan
    if j is not None:
        shrink = etas[j] / etas[j - 1]
        extrapolated = (misses[j] - shrink * misses[j - 1]) / (1 - shrink)
        with np.errstate(all="ignore"):
            limit = float(np.linalg.norm(extrapolated) / lengths[first])
    status, reason = _status(j, bool(above), slope, slopes, misfits, etas)
    if j is not None and j < len(etas) - 1:
        reason = (reason + "; " if reason else "") + f"judged at eta = {etas[j]:.3g}, finer ones drown in rounding"
    return OrderReport(
        order=order,
        expected_slope=slope,
        leading=float(lengths[first]),
        errors=_floats(errors),
        predictions=_floats(predictions),
        references=_floats(references),
        misfits=_floats(misfits),
        cosines=_floats(cosines),
        slopes=_floats(slopes),
        limit=limit,
        judged=j,
        status=status,
        reason=reason,
    )


def _status(j: int | None, leads: bool, slope: int, slopes: Array, misfits: Array, etas: Array) -> tuple[Status, str]:
    """Verdict at index ``j`` of the ladder, and why."""
    if j is None:
        return "inconclusive", "no two neighbouring errors are 100 times above the reference error"
    if not leads:
        return "inconclusive", "the leading error vanishes; ask for higher orders too"
    complaints = []
    if abs(slopes[j - 1] - slope) > SLOPE_TOLERANCE:
        complaints.append(f"slope {slopes[j - 1]:.3f}")
    if misfits[j] > MISFIT_TOLERANCE:
        complaints.append(f"misfit {100 * misfits[j]:.2g} %")
    if not complaints:
        return "passed", ""
    complaint = " and ".join(complaints) + " out of tolerance"
    # A wrong coefficient makes the misfit grow as eta -> 0. The next term of the expansion makes it shrink
    # like eta.
    if misfits[j] <= misfits[j - 1] * np.sqrt(etas[j] / etas[j - 1]):
        return "inconclusive", complaint + ", but the misfit shrinks with eta; take more steps"
    return "failed", complaint


def _floats(values: Array) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


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
