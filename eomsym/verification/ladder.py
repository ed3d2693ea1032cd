"""Which learning rates can decide, and what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from eomsym.checks import shown
from eomsym.dynamics.leading_error import LeadingError
from eomsym.errors import InputError
from eomsym.verification.verdict import MISFIT_TOLERANCE, TRUST, OrderReport

if TYPE_CHECKING:
    from eomsym.codegen.kernel import Kernel

__all__ = ["check_ladder", "choose_ladder", "finer_rungs", "radius_of"]

#: On the coarsest rung, eta times sharpness over the radius, and the next order over this one.
COARSE = 0.25
#: Rounding of a run and of an integration, per length of theta.
NOISE = 1e-14
MOST_STEPS = 20_000
#: Rungs that are closer tell no slope.
APART = 1.15


def radius_of(kernel: Kernel) -> float:
    """Largest eta times sharpness for which the counter terms converge on quadratics; 1 where it is not known."""
    method = kernel.method
    if not method.is_linear or method.colours > 1 or method.is_flow or method.symbols:
        return 1.0
    radius = method.stability().radius
    return 1.0 if radius is None or not np.isfinite(float(radius)) else float(radius)


def choose_ladder(
    leading: LeadingError, orders: Sequence[int], time: float, length: float, sharpness: float, radius: float
) -> tuple[int, ...]:
    """Numbers of steps on which all orders can be judged, as far as float64 allows.

    The coarsest rung is inside of the radius and where the next order is small; the finest is where the misfit is
    expected to be a fraction of its tolerance, or, for high orders, above rounding.

    Parameters
    ----------
    leading : LeadingError
        Of all orders from the lowest on, one more than the highest if it is known.
    orders : sequence of int
        That are judged.
    time : float
    length : float
        Of theta.
    sharpness : float
        The largest along the flow.
    radius : float
        See `radius_of`.

    Returns
    -------
    tuple of int

    Examples
    --------
    >>> v = np.array([[0.1], [0.1], [0.2]])
    >>> leading = LeadingError((0, 1, 2), 1.0, v, np.zeros(3), 0)
    >>> choose_ladder(leading, (0, 1), time=1.0, length=1.0, sharpness=4.0, radius=1.0)
    (16, 32, 64, 128, 256, 512)
    """
    sizes = dict(zip(leading.orders, leading.norms, strict=True))
    stiff = sharpness / radius
    coarse, fine = stiff / COARSE, 0.0  # as 1/eta
    for order in orders:
        size, further = sizes[order], sizes.get(order + 1, 0.0)
        if not size > 0:
            continue
        ratio = max(further / size, stiff / 2)
        drowned = float((size / (TRUST * NOISE * length)) ** (1 / (order + 1))) if length > 0 else np.inf
        # Far below the rounding there must be two rungs; below that, nothing can be judged.
        fine = max(fine, min(4 * ratio / MISFIT_TOLERANCE, drowned / 2))
        coarse = max(coarse, min(ratio / COARSE, drowned / 8))
    first = int(np.clip(np.ceil(time * coarse), 4, MOST_STEPS // 4))
    last = float(np.clip(time * fine, 4 * first, MOST_STEPS))
    # From two on, as the last is four times the first, to six, as no order asks for more than 34 times its coarsest.
    doublings = int(np.ceil(np.log2(last / first) - 1e-9))
    return tuple(first * 2**i for i in range(doublings + 1))


def finer_rungs(results: Sequence[OrderReport], counts: Sequence[int]) -> tuple[int, ...]:
    """Rungs that would decide what the ladder did not; none where they would drown in rounding, or cost too much."""
    found: list[int] = []
    for result in results:
        finest = 0 if result.judged is None else counts[result.judged]
        for count in reversed(result.ladder):
            apart = all(max(count / other, other / count) >= APART for other in (*counts, *found))
            if apart and finest < count <= 2 * MOST_STEPS:
                found.append(count)
    return tuple(sorted(found))


def check_ladder(ladder: Any) -> tuple[int, ...]:
    """Return the ladder, coarse to fine, or refuse it."""
    try:
        counts = tuple(sorted(set(ladder)))
        valid = len(counts) >= 2 and all(count == int(count) and count >= 1 for count in counts)
    except (TypeError, ValueError, OverflowError):
        valid = False
    if not valid:
        raise InputError(
            f"ladder={shown(ladder)}: expected two or more different positive integers, such as (10, 20, 40, 80), or "
            "None"
        )
    return tuple(int(count) for count in counts)
