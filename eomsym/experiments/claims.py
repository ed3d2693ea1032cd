"""What comparisons of gradient descent and its continuous limits claim, each with the number that judges it."""

from __future__ import annotations

from typing import Any

import numpy as np

from eomsym.codegen.kernel import Kernel
from eomsym.dynamics.descent import descend
from eomsym.dynamics.reach import sharpness
from eomsym.experiments.experiment import Claim
from eomsym.losses.activations import region_changes
from eomsym.losses.objective import Objective
from eomsym.symmetries.prediction import follow_in_steps, label
from eomsym.types import Array
from eomsym.verification.order import verify
from eomsym.verification.verdict import MISFIT_TOLERANCE

__all__ = ["ORDERS", "RATIOS", "claims_of_any", "claims_of_ratios", "claims_of_region", "leading_claims", "norms"]

#: Orders that are compared, and by how much smaller the other learning rates are.
ORDERS = (0, 1, 2, 3)
RATIOS = (2, 5, 10, 20)


def claims_of_any(loss: Objective, theta: Array, eta: float, steps: int) -> tuple[list[Claim], dict[str, str]]:
    """What must hold of any smooth loss, and why it could not be judged: the verdicts at this learning rate and half.

    Only :func:`eomsym.verify` knows whether a learning rate is small enough for a leading error to say something.
    """
    report = verify(loss, theta, time=eta * steps, ladder=(steps, 2 * steps), orders=ORDERS)
    claims, reasons = [], {}
    for one in report.orders:
        statement = f"distance of {label(one.order)} minus its predicted leading error, relative"
        misfit = one.misfits[-1 if one.judged is None else one.judged]
        claims.append(
            Claim(statement, misfit, -np.inf, MISFIT_TOLERANCE, np.inf if one.status == "inconclusive" else 0.0)
        )
        if one.status != "passed":
            reasons[label(one.order)] = one.reason
    return claims, reasons


def claims_of_ratios(last: dict[Any, float], errors: dict[Any, float], travelled: float, smooth: bool) -> list[Claim]:
    """What the paper's distances between learning rates say about gradient flow, and how close to descent it ends."""
    claims = [
        Claim(
            f"distance of descent with eta/{ratio} over 1 - 1/{ratio} times that of gradient flow",
            last["r", ratio] / last[0] / (1 - 1 / ratio),
            *((0.98, 1.02) if smooth else (0.6, 1.4)),
            reference=errors[0] / last[0],
        )
        # Where gates switch, the way from eta to eta/2 is rough, and only the limit is judged.
        for ratio in (RATIOS if smooth else RATIOS[-1:])
    ]
    claims.append(
        Claim(
            "distance of gradient flow over the way travelled",
            last[0] / travelled,
            -np.inf,
            0.01,
            errors[0] / travelled,
        )
    )
    return claims


def leading_claims(
    sizes: Array, last: dict[Any, float], errors: dict[Any, float], *, width: float, falls: float
) -> list[Claim]:
    """At the end: each distance over its predicted leading part, and over that of the order before.

    Parameters
    ----------
    sizes : ndarray, shape (orders,)
        Predicted leading errors.
    last, errors : dict
        Distance at the end by order, and the error of its integration; where this is not far below the prediction,
        nothing is claimed.
    width : float
        How far from 1 the ratio to the prediction may be.
    falls : float
        By what factor each order must at least be nearer than the one before.
    """
    claims = [
        Claim(
            f"distance of {label(order)} over its predicted leading error eta^{order + 1} |v|",
            last[order] / float(size),
            1 - width,
            1 + width,
            errors[order] / float(size),
        )
        for order, size in zip(ORDERS, sizes, strict=True)
        if errors[order] < 0.01 * size
    ]
    return claims + [
        Claim(
            f"distance of order {order} over that of {label(order - 1)}",
            last[order] / last[order - 1],
            -np.inf,
            falls,
            errors[order] / last[order - 1],
        )
        for order in ORDERS[1:]
    ]


def claims_of_region(net: Any, kernel: Kernel, theta: Array) -> list[Claim]:
    """Inside the first region gradient flow keeps its promise: halving eta halves the distance.

    The region is so small that order 1 is lost in rounding there.
    """
    duration = min(0.1, 0.2 / max(sharpness(kernel, theta), 1e-300))
    while region_changes(net, descend(kernel, theta, eta=duration / 64, steps=64).thetas).any() and duration > 1e-6:
        duration /= 2
    gaps = []
    for count in (4, 8):
        rate = duration / count
        descent = descend(kernel, theta, eta=rate, steps=count).thetas
        path, error, switched = follow_in_steps(kernel.at_order(0), theta, rate, np.array([0.0, duration]), rate / 4)
        switched += int(region_changes(net, descent).sum())
        gaps.append((float(np.linalg.norm(path[-1] - descent[-1])), error, switched))
    ratio = gaps[0][0] / gaps[1][0] if not any(gap[2] for gap in gaps) else float("nan")
    reference = ratio * sum(gap[1] / gap[0] for gap in gaps)
    return [Claim("inside one activation region: distance at eta over that at eta/2", ratio, 1.9, 2.1, reference)]


def norms(rows: Array) -> Array:
    """Euclidean norm of each row."""
    return np.asarray(np.linalg.norm(rows, axis=1))
