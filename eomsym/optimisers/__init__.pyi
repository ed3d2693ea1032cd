"""All optimisers, each with its home."""

from .accelerated import HeavyBall, Nesterov
from .adaptive import Adam, AdamW, RMSProp
from .averages import Averaged
from .base import Method
from .linear import (
    Epoch,
    Extragradient,
    GradientDescent,
    GradientFlow,
    LinearMultistep,
    OptimisticGradient,
    ProximalPoint,
    RungeKutta,
    SharpnessAware,
)
from .matrix import Muon
from .momentum import Lookahead, Momentum, QuasiHyperbolic
from .normalised import ClippedGradient, NormalisedGradient, NormalisedSAM
from .signs import Lion, SignSGD

__all__ = [
    "Adam",
    "AdamW",
    "Averaged",
    "ClippedGradient",
    "Epoch",
    "Extragradient",
    "GradientDescent",
    "GradientFlow",
    "HeavyBall",
    "LinearMultistep",
    "Lion",
    "Lookahead",
    "Method",
    "Momentum",
    "Muon",
    "Nesterov",
    "NormalisedGradient",
    "NormalisedSAM",
    "OptimisticGradient",
    "ProximalPoint",
    "QuasiHyperbolic",
    "RMSProp",
    "RungeKutta",
    "SharpnessAware",
    "SignSGD",
]
