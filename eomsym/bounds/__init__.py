"""How far the equation of motion is from the discrete optimiser: bounds, predictions and their hypotheses.

Examples
--------
>>> import eomsym as eom
>>> loss = eom.DeepLinear((1, 1, 1), inputs=[[1.0]], targets=[[1.0]])  # (w1 w2 - 1)**2/2
>>> bound = eom.bounds.measured_bound(loss, [0.5, 0.5], eta=0.05, steps=20, order=1)
>>> bound.proven, f"{bound.value:.1e}"
(True, '2.7e-06')
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eomsym._names import lazily

if TYPE_CHECKING:
    from eomsym.bounds.bound import Bound, Hypothesis
    from eomsym.bounds.convergence import guarantee_convergence
    from eomsym.bounds.fundamental import distance_bound, fundamental_bound, measured_bound
    from eomsym.bounds.hessian import (
        Curvature,
        EstimatedCurvature,
        GivenCurvature,
        curvature_of,
        eigenvalue_range,
        hessian_floor,
    )
    from eomsym.bounds.prediction import predict_error, predict_step_size
    from eomsym.bounds.rigorous import rigorous_distance
    from eomsym.bounds.step_size import constant_step_size, safe_step_size, search_step_size
    from eomsym.bounds.tables import compare_bounds, compare_rates, format_rates, format_rows
    from eomsym.bounds.terms import term_bounds, tree_bounds
    from eomsym.bounds.truncation import best_truncation, defect_bound, exponential_bound, step_defect

__all__ = [
    "Bound",
    "Curvature",
    "EstimatedCurvature",
    "GivenCurvature",
    "Hypothesis",
    "best_truncation",
    "compare_bounds",
    "compare_rates",
    "constant_step_size",
    "curvature_of",
    "defect_bound",
    "distance_bound",
    "eigenvalue_range",
    "exponential_bound",
    "format_rates",
    "format_rows",
    "fundamental_bound",
    "guarantee_convergence",
    "hessian_floor",
    "measured_bound",
    "predict_error",
    "predict_step_size",
    "rigorous_distance",
    "safe_step_size",
    "search_step_size",
    "step_defect",
    "term_bounds",
    "tree_bounds",
]

_HOMES = {
    "bound": ["Bound", "Hypothesis"],
    "convergence": ["guarantee_convergence"],
    "fundamental": ["distance_bound", "fundamental_bound", "measured_bound"],
    "hessian": [
        "Curvature",
        "EstimatedCurvature",
        "GivenCurvature",
        "curvature_of",
        "eigenvalue_range",
        "hessian_floor",
    ],
    "prediction": ["predict_error", "predict_step_size"],
    "rigorous": ["rigorous_distance"],
    "step_size": ["constant_step_size", "safe_step_size", "search_step_size"],
    "tables": ["compare_bounds", "compare_rates", "format_rates", "format_rows"],
    "terms": ["term_bounds", "tree_bounds"],
    "truncation": ["best_truncation", "defect_bound", "exponential_bound", "step_defect"],
}

__getattr__, __dir__ = lazily(__name__, _HOMES)
