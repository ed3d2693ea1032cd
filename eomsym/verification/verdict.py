"""What a verification says: the numbers of each order, and the verdict on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from eomsym.types import Array

__all__ = [
    "MISFIT_TOLERANCE",
    "SLOPE_TOLERANCE",
    "TRUST",
    "Evidence",
    "OrderReport",
    "Status",
    "judge",
    "short",
    "worst",
]

Status = Literal["passed", "failed", "inconclusive"]

SLOPE_TOLERANCE = 0.05
MISFIT_TOLERANCE = 0.03
#: What is left of the misfit at eta = 0, in squares of what a right equation may show; more is that of a wrong one.
DECISIVE = 3.0
#: Where a right equation may be off by more than this share, the ladder is not asymptotic.
ASYMPTOTIC = 0.25
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
        The misfit, extrapolated as a vector from the judged pair to ``eta = 0``. Where it is out of tolerance, nothing
        passes.
    judged : int or None
        Index of the finest learning rate whose error, and the error before it, can be trusted.
    status : str
    reason : str
        Why, in a few words.
    ladder : tuple of int
        Numbers of steps that would decide an inconclusive order; empty where there are none, and the reason says why.
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
    ladder: tuple[int, ...] = ()

    @property
    def ratios(self) -> tuple[float, ...]:
        """Measured over predicted error, length m."""
        return tuple(float(np.divide(e, p)) for e, p in zip(self.errors, self.predictions, strict=True))

    @property
    def trusted(self) -> tuple[bool, ...]:
        """Which errors stand far enough above the reference error, length m."""
        return tuple(e >= TRUST * r for e, r in zip(self.errors, self.references, strict=True))


@dataclass(frozen=True)
class Evidence:
    """What is known about a learning rate besides the measured errors.

    Attributes
    ----------
    expected : float
        The misfit that a right equation may show there: how far its leading error is from the distance between its
        flow and the flow of the next order, and how large the next order is.
    obstacle : str
        What the theory does not allow for, such as gates that switch; empty if there is nothing.
    """

    expected: float
    obstacle: str = ""


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


def judge(
    order: int,
    etas: Array,
    gaps: Array,
    references: Array,
    vectors: Array,
    *,
    doubts: Array | None = None,
    evidence: Callable[[int, int], Evidence] = lambda j, slope: Evidence(0.0),
    silence: str = "",
) -> OrderReport:
    """Hold what was measured for one order against the theory.

    Parameters
    ----------
    order : int
    etas : ndarray, shape (m,)
        Learning rates, decreasing.
    gaps : ndarray, shape (m, n)
        Measured error vectors.
    references : ndarray, shape (m,)
        Reference errors.
    vectors : ndarray, shape (k, n)
        Leading errors ``v`` of this order and of those that follow.
    doubts : ndarray, shape (k,), optional
        Their errors.
    evidence : callable
        From the index of the judged learning rate and the expected slope to what else is known there; it is asked only
        where the measurement speaks against the equation.
    silence : str
        What is known about why there may be nothing to judge.

    Returns
    -------
    OrderReport

    Examples
    --------
    >>> etas = np.array([0.1, 0.05])
    >>> v = np.array([[3.0, 4.0]])
    >>> result = judge(1, etas, etas[:, None] ** 2 * v, np.full(2, 1e-15), v)
    >>> result.status, result.slopes, result.leading
    ('passed', (2.0,), 5.0)
    """
    # A counter term may vanish (midpoint rule: term_1 = 0). The first prediction above the reference leads.
    lengths = np.linalg.norm(vectors, axis=1)
    known = lengths > (0.0 if doubts is None else TRUST / 3 * doubts)
    above = [i for i, v in enumerate(lengths) if known[i] and np.any(etas ** (order + i + 1) * v > references)]
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
    limit = haze = np.nan
    if j is not None:
        shrink = etas[j] / etas[j - 1]
        extrapolated = (misses[j] - shrink * misses[j - 1]) / (1 - shrink)
        with np.errstate(all="ignore"):
            limit = float(np.linalg.norm(extrapolated) / lengths[first])
            # What the errors of the measurement can do to it.
            shares = references[j - 1 : j + 1] / predictions[j - 1 : j + 1]
            haze = float((shares[1] + shrink * shares[0]) / (1 - shrink))
            haze += 0.0 if doubts is None else float(doubts[first] / lengths[first])
    status: Status = "inconclusive"
    if j is None or not above:
        reason = silence or _silence(errors, bool(above))
    else:
        status, reason = _status(j, slope, slopes, misfits, (limit, haze), etas, evidence)
    if j is not None and j < len(etas) - 1 and not np.isnan(errors[j + 1 :]).any():
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


def _silence(errors: Array, leads: bool) -> str:
    """Why nothing can be judged."""
    if np.isnan(errors).sum() > len(errors) - 2:
        return "the run or the motion leaves the finite numbers on all but one rung"
    if not leads:
        return "the leading error vanishes; ask for higher orders too"
    return "no two neighbouring errors are 100 times above the reference error"


def _status(
    j: int,
    slope: int,
    slopes: Array,
    misfits: Array,
    limit: tuple[float, float],
    etas: Array,
    evidence: Callable[[int, int], Evidence],
) -> tuple[Status, str]:
    """Verdict at index ``j`` of the ladder, and why; `limit` is the misfit extrapolated to zero, and its error."""
    complaints = []
    if abs(slopes[j - 1] - slope) > SLOPE_TOLERANCE:
        complaints.append(f"slope {slopes[j - 1]:.3f}")
    if misfits[j] > MISFIT_TOLERANCE:
        complaints.append(f"misfit {short(misfits[j])}")
    if not complaints:
        doubt = _coincidence(j, slope, misfits, limit[0], etas, evidence)
        return ("inconclusive", doubt) if doubt else ("passed", "")
    complaint = " and ".join(complaints) + " out of tolerance"
    # A wrong coefficient makes the misfit grow as eta -> 0. The next term of the expansion makes it shrink
    # like eta.
    if not misfits[j] > misfits[j - 1] * np.sqrt(etas[j] / etas[j - 1]):
        return "inconclusive", complaint + ", but the misfit shrinks with eta"
    if not misfits[j] > MISFIT_TOLERANCE:
        return "inconclusive", complaint + ", but the misfit is not"
    found = evidence(j, slope)
    if found.obstacle:
        return "inconclusive", f"{complaint}, but {found.obstacle}"
    # Of a right equation the misfit is linear in eta, and what the extrapolation leaves is the square of it.
    left = DECISIVE * (found.expected * etas[j - 1] / etas[j]) ** 2 + limit[1]
    if not (found.expected <= ASYMPTOTIC and limit[0] >= MISFIT_TOLERANCE + left):
        return "inconclusive", (
            f"{complaint}, but there the series is not asymptotic yet: by the next order, a right equation may have a "
            f"misfit of {short(found.expected)}"
        )
    return "failed", (
        f"{complaint}; of a right equation it would vanish with eta up to {short(left)}, and it tends to "
        f"{short(limit[0])}"
    )


def _coincidence(
    j: int, slope: int, misfits: Array, limit: float, etas: Array, evidence: Callable[[int, int], Evidence]
) -> str:
    """Why a small misfit at index ``j`` may be that of a wrong equation, whose next term happens to cancel it."""
    if limit > MISFIT_TOLERANCE:
        return (
            f"misfit {short(misfits[j])} is within tolerance, but where eta vanishes it would tend to {short(limit)}, "
            "which is not"
        )
    if misfits[j] > MISFIT_TOLERANCE / 3 and misfits[j] > misfits[j - 1] * np.sqrt(etas[j] / etas[j - 1]):
        expected = evidence(j, slope).expected
        if expected > ASYMPTOTIC:
            return (
                f"misfit {short(misfits[j])} is within tolerance, but it does not shrink with eta, and the series is "
                f"not asymptotic yet: by the next order, a right equation may have a misfit of {short(expected)}"
            )
    return ""


def short(value: float) -> str:
    """A number near one, or far from it, in six characters or seven."""
    return f"{value:.4f}" if value < 10 else f"{value:.1e}"


def _floats(values: Array) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
