"""Losses, each with its home."""

from .expression import Field, Loss
from .layers import Activation, Bias, Conv, Layer, Linear, Pool, Scale
from .network import DeepLinear, Network
from .normalisation import BatchNorm, LayerNorm, WeightNorm

__all__ = [
    "Activation",
    "BatchNorm",
    "Bias",
    "Conv",
    "DeepLinear",
    "Field",
    "Layer",
    "LayerNorm",
    "Linear",
    "Loss",
    "Network",
    "Pool",
    "Scale",
    "WeightNorm",
]
