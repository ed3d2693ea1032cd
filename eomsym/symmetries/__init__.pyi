"""Symmetries of layers, and predictions for them."""

from .prediction import predict
from .symmetry import RescalingSymmetry, ScaleInvariance, TranslationInvariance

__all__ = [
    "RescalingSymmetry",
    "ScaleInvariance",
    "TranslationInvariance",
    "predict",
]
