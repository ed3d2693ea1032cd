"""Enclosures of the Hessian."""

from .closed_form import curvature_of, hessian_floor
from .families import PolynomialFamily
from .hessian import Curvature, EstimatedCurvature, GivenCurvature, eigenvalue_range
from .network_families import NetworkFamily

__all__ = [
    "Curvature",
    "EstimatedCurvature",
    "GivenCurvature",
    "NetworkFamily",
    "PolynomialFamily",
    "curvature_of",
    "eigenvalue_range",
    "hessian_floor",
]
