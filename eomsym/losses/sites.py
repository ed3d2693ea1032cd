"""Where a layer stands, and the lines that several layers write."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from eomsym.errors import ShapeError
from eomsym.losses.builder import Builder, Value
from eomsym.losses.indices import Indices

__all__ = ["Site", "as_value", "by_channel", "by_entry", "divided", "normalised", "picked", "reshaped", "windows"]


@dataclass(frozen=True)
class Site:
    """Where a layer stands.

    Attributes
    ----------
    shape : tuple of int
        What one sample is in front of it: ``(features,)`` or ``(channels, height, width)``.
    samples : int
    """

    shape: tuple[int, ...]
    samples: int

    @property
    def features(self) -> int:
        """Entries of one sample."""
        return math.prod(self.shape)

    @property
    def channels(self) -> int:
        """What has a weight of its own in a `Bias`: features, or channels of images."""
        return self.shape[0]

    @property
    def positions(self) -> int:
        """Places of one channel; 1 where a sample is no image."""
        return self.features // self.channels


def as_value(builder: Builder, hidden: Any) -> Value:
    """A node for what may be an array still."""
    return hidden if isinstance(hidden, Value) else builder.fix(hidden)


def reshaped(builder: Builder, value: Value, shape: tuple[int, int]) -> Value:
    """The same numbers, row by row, in another shape; shapes in between leave no node."""
    node = builder.nodes[value.index]
    if node.operation == "reshape":
        value = Value(builder, node.inputs[0])
    return value if value.shape == shape else builder.apply("reshape", [value], shape)


def by_channel(builder: Builder, at: Site, hidden: Any) -> Value:
    """One row for each channel, of shape (channels, positions*samples)."""
    return reshaped(builder, as_value(builder, hidden), (at.channels, at.positions * at.samples))


def by_entry(builder: Builder, at: Site, value: Value) -> Value:
    """Back from channels to one row for each entry of a sample."""
    return reshaped(builder, value, (at.features, at.samples))


def windows(at: Site, size: int, stride: int, padding: int = 0) -> np.ndarray:
    """Which entry of a sample each window sees; -1 for a zero of the padding.

    Parameters
    ----------
    at : Site
    size, stride, padding : int

    Returns
    -------
    ndarray of int, shape (channels, size, size, rows, columns)

    Raises
    ------
    ShapeError
        There are no images, or a window does not fit them.

    Examples
    --------
    >>> windows(Site((1, 3, 3), 1), 2, 1)[0, :, :, 1, 0]
    array([[3, 4],
           [6, 7]])
    """
    if len(at.shape) != 3:
        raise ShapeError(
            f"windows need images, and here a sample is {at.shape}; give inputs of shape (samples, channels, height, "
            "width), and put layers with windows before Linear"
        )
    height, width = at.shape[1:]
    if size > min(height, width) + 2 * padding:
        raise ShapeError(
            f"a window of {size} x {size} pixels does not fit images of {height} x {width}; give a size of at most "
            f"{min(height, width) + 2 * padding}"
        )
    entries = np.pad(
        np.arange(at.features).reshape(at.shape),
        ((0, 0), (padding, padding), (padding, padding)),
        constant_values=-1,
    )
    seen = np.lib.stride_tricks.sliding_window_view(entries, (size, size), axis=(1, 2))[:, ::stride, ::stride]
    return np.ascontiguousarray(seen.transpose(0, 3, 4, 1, 2))


def picked(builder: Builder, at: Site, hidden: Any, places: np.ndarray) -> Any:
    """Entries of each sample by their places, shape (rows, columns) -> (rows, columns*samples)."""
    shape = (places.shape[0], places.shape[1] * at.samples)
    if isinstance(hidden, np.ndarray):
        found = np.where(places[..., None] < 0, 0.0, hidden[np.maximum(places, 0)])
        return np.ascontiguousarray(found).reshape(shape)
    if np.array_equal(places.ravel(), np.arange(at.features)):
        return reshaped(builder, hidden, shape)
    lanes = np.where(places[..., None] < 0, -1, places[..., None] * at.samples + np.arange(at.samples))
    return builder.apply("gather", [hidden], shape, (Indices(lanes),))


def normalised(builder: Builder, value: Value, axis: int, epsilon: float = 0.0) -> Value:
    """``(x - mean)/sqrt(variance + epsilon)`` along an axis."""
    count = value.shape[axis]
    mean = builder.scaled(builder.sum(value, axis), Fraction(1, count))
    centred = value - builder.expand(mean, axis, count)
    variance = builder.scaled(builder.sum(centred * centred, axis), Fraction(1, count))
    return divided(builder, centred, variance + epsilon if epsilon else variance, axis)


def divided(builder: Builder, value: Value, square: Value, axis: int) -> Value:
    """``value / sqrt(square)``, with the square along an axis of length one."""
    reciprocal = builder.elementwise("reciprocal", square)
    scale = builder.elementwise("power", square, reciprocal, parameters=(Fraction(-1, 2),))
    return value * builder.expand(scale, axis, value.shape[axis])
