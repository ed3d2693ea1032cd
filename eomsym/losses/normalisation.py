"""Layers that normalise: over the batch, over the units, the weights.

Without a constant beside what they divide by, what they normalise is exactly scale-invariant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eomsym import checks
from eomsym.checks import shown
from eomsym.errors import InputError
from eomsym.losses.builder import Builder, Value
from eomsym.losses.layers import Conv, Layer, Linear
from eomsym.losses.sites import Site, as_value, by_channel, by_entry, divided, normalised

__all__ = ["BatchNorm", "LayerNorm", "WeightNorm"]


@dataclass(frozen=True, repr=False)
class BatchNorm(Layer):
    """Mean 0 and variance 1 of each unit (or channel of images) over the full batch.

    Parameters
    ----------
    epsilon : float
        Added to the variance. Without it the weights before it are exactly scale-invariant, row by row.

    Examples
    --------
    >>> BatchNorm().removes_scale, BatchNorm(epsilon=1e-5).removes_scale
    (True, False)

    References
    ----------
    S. Ioffe and C. Szegedy, Batch Normalization, ICML 2015, arXiv:1502.03167.
    """

    epsilon: float = 0.0
    separate = True
    divides_by = "variance"
    removes_shift = "unit"

    def __post_init__(self) -> None:
        checks.number(self.epsilon, "epsilon", 0, such_as=1e-5)

    @property
    def removes_scale(self) -> bool:  # type: ignore[override]
        """Only exactly without the constant."""
        return self.epsilon == 0

    def output(self, at: Site) -> tuple[int, ...]:
        if at.samples * at.positions < 2:
            raise InputError("batch normalisation divides by the variance over the samples; give at least two, got 1")
        return at.shape

    def lines(self, builder: Builder, at: Site, hidden: Any, blocks: Mapping[str, Value]) -> Value:
        return by_entry(builder, at, normalised(builder, by_channel(builder, at, hidden), 1, self.epsilon))


@dataclass(frozen=True, repr=False)
class LayerNorm(Layer):
    """Mean 0 and variance 1 of each sample over all its entries.

    Parameters
    ----------
    epsilon : float
        Added to the variance. Without it the weights before it are exactly scale-invariant, as a whole.

    Examples
    --------
    >>> LayerNorm().removes_shift
    'sample'

    References
    ----------
    J. L. Ba, J. R. Kiros and G. E. Hinton, Layer Normalization, 2016, arXiv:1607.06450.
    """

    epsilon: float = 0.0
    divides_by = "variance"
    removes_shift = "sample"

    def __post_init__(self) -> None:
        checks.number(self.epsilon, "epsilon", 0, such_as=1e-5)

    @property
    def removes_scale(self) -> bool:  # type: ignore[override]
        """Only exactly without the constant."""
        return self.epsilon == 0

    def output(self, at: Site) -> tuple[int, ...]:
        if at.features < 2:
            raise InputError(
                "layer normalisation divides by the variance over the units, and the layer before it has one unit; "
                "give it at least two"
            )
        return at.shape

    def lines(self, builder: Builder, at: Site, hidden: Any, blocks: Mapping[str, Value]) -> Value:
        return normalised(builder, as_value(builder, hidden), 0, self.epsilon)


@dataclass(frozen=True, repr=False)
class WeightNorm(Layer):
    """A layer each row of whose weights is divided by its norm: each row is scale-invariant.

    Parameters
    ----------
    layer : Linear or Conv

    Examples
    --------
    >>> WeightNorm(Linear(3))
    WeightNorm(Linear(3))

    References
    ----------
    T. Salimans and D. P. Kingma, Weight Normalization, NeurIPS 2016, arXiv:1602.07868.
    """

    layer: Layer
    normalises = ("W",)
    scales_with = ()
    divides_by = "squared norm of a row"

    def __post_init__(self) -> None:
        if not isinstance(self.layer, (Linear, Conv)):
            raise InputError(
                f"WeightNorm wraps a layer with weights, got {shown(self.layer, 200)}; type WeightNorm(Linear(10))"
            )

    @property
    def takes_images(self) -> bool:  # type: ignore[override]
        """Where the layer does."""
        return self.layer.takes_images

    def output(self, at: Site) -> tuple[int, ...]:
        return self.layer.output(at)

    def parameters(self, at: Site) -> dict[str, tuple[int, ...]]:
        return self.layer.parameters(at)

    def lines(self, builder: Builder, at: Site, hidden: Any, blocks: Mapping[str, Value]) -> Value:
        weight = blocks["W"]
        scaled = divided(builder, weight, builder.sum(weight * weight, 1), 1)
        return self.layer.lines(builder, at, hidden, {**blocks, "W": scaled})
