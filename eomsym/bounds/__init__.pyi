"""Bounds, each with its home."""

from .batch_step_sizes import many_step_sizes
from .batches import many_distances
from .bound import Bound, Hypothesis, StepSize
from .certificates import certificate, check_certificate
from .convergence import Guarantee, guarantee_convergence
from .distances import distance
from .formula_certificates import certify_formula
from .network_certificates import certify_convergence
from .orders import BestOrder, best_order
from .prediction import Prediction, predicted_distance
from .rigorous import Enclosure, enclose_flow, enclose_terms
from .step_sizes import step_size

__all__ = [
    "BestOrder",
    "Bound",
    "Enclosure",
    "Guarantee",
    "Hypothesis",
    "Prediction",
    "StepSize",
    "best_order",
    "certificate",
    "certify_convergence",
    "certify_formula",
    "check_certificate",
    "distance",
    "enclose_flow",
    "enclose_terms",
    "guarantee_convergence",
    "many_distances",
    "many_step_sizes",
    "predicted_distance",
    "step_size",
]
