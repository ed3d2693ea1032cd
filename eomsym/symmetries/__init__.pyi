"""Symmetries of layers, and predictions for them."""

from .networks import symmetries_of
from .prediction import predict
from .symmetry import RescalingSymmetry, ScaleInvariance, TranslationInvariance

__all__ = [
    "RescalingSymmetry",
    "ScaleInvariance",
    "TranslationInvariance",
    "predict",
    "symmetries_of",
]
