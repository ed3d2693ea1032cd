"""Bounds, each with its home."""

from .bound import Bound, Hypothesis
from .convergence import guarantee_convergence
from .fundamental import distance_bound, fundamental_bound, measured_bound
from .prediction import predict_error, predict_step_size
from .rigorous import rigorous_distance
from .step_size import constant_step_size, safe_step_size, search_step_size
from .tables import compare_bounds, compare_rates, format_rates, format_rows
from .terms import term_bounds, tree_bounds
from .truncation import best_truncation, defect_bound, exponential_bound, step_defect

__all__ = [
    "Bound",
    "Hypothesis",
    "best_truncation",
    "compare_bounds",
    "compare_rates",
    "constant_step_size",
    "defect_bound",
    "distance_bound",
    "exponential_bound",
    "format_rates",
    "format_rows",
    "fundamental_bound",
    "guarantee_convergence",
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
