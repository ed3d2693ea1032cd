"""What a case can measure beside its verdict: the sharpness on the way, bounds of the distance, invariant layers.

Each is a function of a problem, the learning rate and the number of steps of the coarsest run, and the orders; it gives
plain data, or one entry ``why`` where there is nothing to measure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from eomsym.bounds.bound import Bound
from eomsym.bounds.tables import compare_distances
from eomsym.codegen.kernel import compile
from eomsym.dynamics.descent import descend
from eomsym.dynamics.reach import reach, sharpness
from eomsym.errors import EomsymError
from eomsym.optimisers.linear import GradientDescent
from eomsym.optimisers.names import checked_method
from eomsym.symmetries.networks import symmetries_of
from eomsym.symmetries.noether import DESCENT
from eomsym.symmetries.prediction import predict
from eomsym.symmetries.symmetry import ScaleInvariance

if TYPE_CHECKING:
    from eomsym.experiments.problem import Given
    from eomsym.types import Array

__all__ = ["MEASURES", "measured"]

#: Points in time at which something is measured, at most.
POINTS = 20
#: Symmetries and bounds are known to this order.
HIGHEST = 3
GRADIENT_DESCENT_ONLY = "it is about gradient descent"

Plain = dict[str, Any]


def _sharpness(given: Given, eta: float, steps: int, orders: Sequence[int]) -> Plain:
    """Largest eigenvalue of the Hessian along the run, and the one at which the optimiser becomes unstable."""
    method = checked_method(given.method)
    kernel = compile(given.batches(method), 1, method=method)
    every = max(1, steps // POINTS)
    run = descend(kernel, given.start, eta=eta, steps=steps - steps % every, every=every)
    values = [sharpness(kernel, theta) for theta in run.thetas]
    limit = reach(kernel, run.thetas[0], eta).limit / eta
    return {
        "eta": eta,
        "times": run.times.tolist(),
        "values": values,
        "limit": limit,
    }


def _bound(given: Given, eta: float, steps: int, orders: Sequence[int]) -> Plain:
    """Bounds of the distance of gradient descent from the equation of motion, and what it is."""
    if checked_method(given.method) != GradientDescent():
        return {"why": GRADIENT_DESCENT_ONLY}
    found = compare_distances(given.loss, given.start, eta=eta, steps=steps, orders=[k for k in orders if k <= HIGHEST])
    rows = []
    for row in found:
        entry: Plain = {"order": row.order, "true": row.true, "doubt": row.doubt}
        for name in ("measured", "proven"):
            bound = getattr(row, name)
            entry[name] = bound.value if isinstance(bound, Bound) else None
        rows.append(entry)
    return {"eta": eta, "steps": steps, "orders": rows}


def _layers(given: Given, eta: float, steps: int, orders: Sequence[int]) -> Plain:
    """Norms of the scale-invariant weights beside their closed forms, and the angle by which each step turns them."""
    if checked_method(given.method) != GradientDescent():
        return {"why": GRADIENT_DESCENT_ONLY}
    loss = given.loss
    theta = loss.validate(given.start)
    blocks = [one for one in symmetries_of(loss, theta) if isinstance(one, ScaleInvariance)]
    if not blocks:
        return {"why": "the loss has no scale-invariant weights"}
    every = max(1, steps // POINTS)
    count = steps - steps % every
    highest = max((k for k in orders if k <= HIGHEST), default=0)
    found = predict(loss, theta, eta=eta, steps=count, symmetries=blocks, orders=sorted({0, highest}), every=every)
    path = descend(loss, theta, eta=eta, steps=count).thetas
    decay = float(loss.weight_decay)
    told = []
    for block in blocks:
        series = {
            str(model): {
                "norm": np.sqrt(found.series[block, model].values[:, 0]).tolist(),
                "predicted": np.sqrt(np.maximum(found.series[block, model].predicted[:, 0], 0)).tolist(),
            }
            for model in found.runs
        }
        turns = [_angle(block, loss, path[k - 1], path[k]) for k in range(every, count + 1, every)]
        rest = ScaleInvariance.angle(eta, decay, DESCENT) if decay > 0 else None
        told.append({"name": str(block), "series": series, "angles": turns, "angle at rest": rest})
    return {"eta": eta, "times": found.times.tolist(), "blocks": told}


def _angle(block: ScaleInvariance, loss: Any, before: Array, after: Array) -> float:
    """Between two states of a block, in radians; of the chord, which is exact where the angle is small."""
    one, two = (theta / np.sqrt(block.value(loss, theta)[0]) for theta in (before, after))
    chord = float(np.sqrt(block.value(loss, one - two)[0]))
    return 2 * float(np.arcsin(min(1.0, chord / 2)))


#: What a case may ask for.
MEASURES: dict[str, Callable[[Given, float, int, Sequence[int]], Plain]] = {
    "sharpness": _sharpness,
    "bound": _bound,
    "layers": _layers,
}


def measured(names: Sequence[str], given: Given, eta: float, steps: int, orders: Sequence[int]) -> dict[str, Plain]:
    """Measure what is asked for; what cannot be measured says why.

    Parameters
    ----------
    names : sequence of str
        Of `MEASURES`.
    given : Given
    eta : float
        Learning rate of the coarsest run.
    steps : int
        Of that run.
    orders : sequence of int

    Returns
    -------
    dict of dict

    Examples
    --------
    >>> from eomsym.experiments.problem import make
    >>> given = make({"loss": "5*x**2", "variables": "x", "start": [1.0]})
    >>> found = measured(["sharpness", "layers"], given, 0.1, 4, [0, 1])
    >>> found["sharpness"]["values"][0], found["sharpness"]["limit"]
    (10.0, 20.0)
    >>> found["layers"]["why"]
    'the loss has no scale-invariant weights'
    """
    found = {}
    for name in names:
        try:
            found[name] = _finite(MEASURES[name](given, eta, steps, orders))
        except EomsymError as error:
            found[name] = {"why": f"{type(error).__name__}: {error}"}
    return found


def _finite(value: Any) -> Any:
    """Plain data with None for numbers that no JSON has."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return (float(value) if np.isfinite(value) else None) if isinstance(value, (float, np.floating)) else value
