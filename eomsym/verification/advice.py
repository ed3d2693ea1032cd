"""The ladder that would decide what a verification could not, or why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eomsym.verification.ladder import COARSE, NOISE
from eomsym.verification.verdict import MISFIT_TOLERANCE, TRUST, OrderReport

__all__ = ["Advice", "advise"]

#: A rung near the rounding is chosen where the error stands this much higher than it must.
MARGIN = 1.5
#: A rung that is closer to one that was measured tells nothing new.
NEWS = 1.25
#: Of a slope between neighbours at eta and 2 eta: a misfit of c eta makes it wrong by c eta over log 2.
SLOPE_OF_MISFIT = 1.4427
#: Where eta times sharpness over the radius is larger, nothing is judged to have failed.
BEYOND = 0.5
MOST_STEPS = 200_000
#: Motions are integrated until their error is this small beside the predicted one; a smaller share is by choice.
AS_NEEDED = 1e-3


@dataclass(frozen=True)
class Advice:
    """What to measure next.

    Attributes
    ----------
    ladder : tuple of int
        Numbers of steps, coarse to fine; empty where none would do.
    why : str
        Why none would do; or empty.
    """

    ladder: tuple[int, ...] = ()
    why: str = ""

    def __str__(self) -> str:
        if not self.ladder:
            return self.why
        return f"try ladder={self.ladder}, or --ladder {','.join(map(str, self.ladder))}"


def advise(
    result: OrderReport, time: float, counts: Sequence[int], *, stiff: float, following: float, length: float
) -> Advice:
    """The ladder that would decide an order.

    Its finest rung is where the misfit is half of its tolerance, by what was measured or, where nothing could be
    judged, by the next leading error; and no finer than rounding allows.

    Parameters
    ----------
    result : OrderReport
        An inconclusive one.
    time : float
    counts : sequence of int
        The ladder that was measured.
    stiff : float
        Sharpness over the radius of the method.
    following : float
        The next leading error over this one, for each unit of eta.
    length : float
        Of theta.

    Returns
    -------
    Advice

    Examples
    --------
    >>> from eomsym.verification.verdict import judge
    >>> etas = np.array([0.5, 0.25])
    >>> v, w = np.array([[3.0, 4.0]]), np.array([[0.0, 5.0]])
    >>> coarse = judge(1, etas, etas[:, None] ** 2 * v + etas[:, None] ** 3 * w, np.full(2, 1e-15), v)
    >>> print(advise(coarse, 1.0, (2, 4), stiff=1.0, following=1.0, length=1.0))
    try ladder=(17, 34, 67), or --ladder 17,34,67
    """
    etas, j, slope = time / np.array(counts, dtype=float), result.judged, result.expected_slope
    if not result.leading > 0:
        return Advice()
    share = max(following, stiff / 2)
    if j is not None and etas[j] * stiff <= COARSE and _shrinks(result, j, etas[j] / etas[j - 1]):
        off = abs(result.slopes[j - 1] - slope) / SLOPE_OF_MISFIT
        share = max(result.misfits[j], off) / etas[j]
    reference = _rounding(result, NOISE * length)
    wanted = MISFIT_TOLERANCE / (2 * share) if share > 0 else np.inf  # so that eta times stiff is small, too
    floor = float((MARGIN * TRUST * reference / result.leading) ** (1 / slope))
    fine = max(wanted, floor)
    measured = j is not None and fine * NEWS > etas[j]  # nothing that is finer
    if fine * share > MISFIT_TOLERANCE or measured or not np.isfinite(fine):
        return Advice((), (
            "no step sizes in float64 decide this: where they are small enough, the error is not 100 times above the "
            f"reference error of {reference:.1e}; judge a lower order, or take another time"
        ))  # fmt: skip
    last = max(int(np.ceil(time / fine)), 4)
    if last > MOST_STEPS:
        return Advice((), f"that would take {last:.1g} steps; take a shorter time")
    return Advice((-(-last // 4), -(-last // 2), last))


def _shrinks(result: OrderReport, j: int, ratio: float) -> bool:
    """Whether the misfit is linear in eta, as that of a right equation; a wrong one tells nothing of finer rungs."""
    return bool(result.misfits[j] <= result.misfits[j - 1] * np.sqrt(ratio))


def _rounding(result: OrderReport, usual: float) -> float:
    """The reference error of finer rungs: that of the finest on which it is not small by choice, or the usual one."""
    pairs = zip(reversed(result.references), reversed(result.predictions), strict=True)
    return next((found for found, goal in pairs if np.isfinite(found) and found > AS_NEEDED * goal), usual)
