"""Enclosures of the Hessian."""

from .closed_form import curvature_of, hessian_floor
from .hessian import Curvature, EstimatedCurvature, GivenCurvature, eigenvalue_range

__all__ = [
    "Curvature",
    "EstimatedCurvature",
    "GivenCurvature",
    "curvature_of",
    "eigenvalue_range",
    "hessian_floor",
]
