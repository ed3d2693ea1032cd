"""Tools to test theory: Hypothesis strategies for losses, networks, methods and runs, and assertions.

A bound of your own is property-tested in a few lines:

>>> import numpy as np
>>> from hypothesis import given, settings
>>> import eomsym as eom
>>> from eomsym.testing import assert_bound_holds, runs
>>> @settings(max_examples=10, deadline=None, derandomize=True)
... @given(runs())
... def flow_moves_at_most(run):  # |theta(T) - theta(0)| <= sqrt(T (L(0) - L(T)))
...     end = eom.flow(eom.compile(run.loss, 0), run.start, eta=run.eta, time=run.eta, rtol=1e-8).thetas[-1]
...     fallen = run.loss.value(run.start) - run.loss.value(end)
...     assert_bound_holds(np.linalg.norm(end - run.start), np.sqrt(run.eta * max(fallen, 0)), rtol=1e-6, atol=1e-7)
>>> flow_moves_at_most()

The assertions need nothing but eomsym; the strategies need `hypothesis`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eomsym.testing.altered import altered
from eomsym.testing.assertions import assert_bound_holds, assert_coefficients_equal, assert_order

if TYPE_CHECKING:
    from eomsym.testing.strategies import (
        Run,
        deep_linear_networks,
        homogeneous_networks,
        invariant_networks,
        losses,
        methods,
        runs,
        starts,
        step_sizes,
    )

_STRATEGIES = (
    "Run",
    "deep_linear_networks",
    "homogeneous_networks",
    "invariant_networks",
    "losses",
    "methods",
    "runs",
    "starts",
    "step_sizes",
)

__all__ = [
    "Run",
    "altered",
    "assert_bound_holds",
    "assert_coefficients_equal",
    "assert_order",
    "deep_linear_networks",
    "homogeneous_networks",
    "invariant_networks",
    "losses",
    "methods",
    "runs",
    "starts",
    "step_sizes",
]


def __getattr__(name: str) -> Any:
    if name in _STRATEGIES:  # imported when asked for: they need hypothesis
        from eomsym.testing import strategies

        return getattr(strategies, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
