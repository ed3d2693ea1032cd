"""Losses, each with its home."""

from .expression import Field, Loss
from .layers import Activation, BatchNorm, Bias, Conv, Layer, LayerNorm, Linear, Pool, Scale, WeightNorm
from .network import DeepLinear, Network

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
