"""Losses, each with its home."""

from .convolution import Convolutional
from .expression import Field, Loss
from .invariant import NormalizedNetwork
from .network import DeepLinear, Network

__all__ = [
    "Convolutional",
    "DeepLinear",
    "Field",
    "Loss",
    "Network",
    "NormalizedNetwork",
]
