"""Networks with normalised layers: their weights are exactly scale-invariant.

The layer before a softmax needs no class of its own: in every network with ``loss="cross_entropy"`` the last weights
(and the last bias) are translation-invariant, and so is each of their columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from eomsym.errors import InputError
from eomsym.losses.network import Network
from eomsym.losses.program import Builder, Value, evaluate

__all__ = ["NORMALIZATIONS", "NormalizedNetwork"]

NORMALIZATIONS = ("batch", "layer", "weight")


class NormalizedNetwork(Network):
    """A network whose hidden layers are normalised, without the small constant that would spoil the invariance.

    ``"batch"``: each unit has mean 0 and variance 1 over the full batch; each row of the weights is scale-invariant.
    ``"layer"``: each sample has mean 0 and variance 1 over the units; each weight matrix is scale-invariant.
    ``"weight"``: each row of the weights is divided by its norm; each row is scale-invariant.
    The last layer is an ordinary one.

    Parameters
    ----------
    widths, inputs, targets, activation, loss, slope, name
        As for :class:`eomsym.Network`. There is no bias: batch and layer normalisation would remove it, and with it
        the invariance would belong to weights and bias together.
    normalization : {"batch", "layer", "weight"}

    Raises
    ------
    InputError
        Unknown normalisation; inputs that do not vary over the samples, or fewer than two samples (batch); hidden
        layers of one unit (layer); and, when it is evaluated, parameters at which a variance or a norm is zero.

    Examples
    --------
    >>> import numpy as np
    >>> data = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]])
    >>> net = NormalizedNetwork((2, 3, 1), data, [[0.0], [1.0], [0.0]], normalization="batch")
    >>> theta = net.initial(0)
    >>> bigger = theta.copy()
    >>> bigger[net.blocks["W1"].place] *= 5
    >>> bool(np.isclose(net.value(bigger), net.value(theta), rtol=1e-14))
    True

    References
    ----------
    S. Ioffe and C. Szegedy, Batch Normalization, ICML 2015, arXiv:1502.03167.
    J. L. Ba, J. R. Kiros and G. E. Hinton, Layer Normalization, 2016, arXiv:1607.06450.
    T. Salimans and D. P. Kingma, Weight Normalization, NeurIPS 2016, arXiv:1602.07868.
    """

    def __init__(
        self,
        widths: Sequence[int],
        inputs: Any,
        targets: Any,
        activation: str = "tanh",
        loss: str = "mse",
        *,
        normalization: str = "batch",
        slope: float = 0.01,
        name: str | None = None,
    ) -> None:
        if normalization not in NORMALIZATIONS:
            raise InputError(f"unknown normalization {normalization!r}; choose one of {', '.join(NORMALIZATIONS)}")
        self.normalization = normalization
        super().__init__(widths, inputs, targets, activation, loss, slope=slope, name=name)
        if self.depth < 2:
            raise InputError(f"widths {self.widths} have no hidden layer to normalise; give at least three widths")
        if normalization == "batch" and not np.ptp(self.inputs, axis=0).any():
            raise InputError(
                f"batch normalisation divides by the variance over the {len(self.inputs)} samples, and no feature of "
                "these inputs varies; give samples that differ"
            )
        if normalization == "layer" and min(self.widths[1:-1]) < 2:
            raise InputError(
                f"layer normalisation divides by the variance over the units, and widths {self.widths} have a hidden "
                "layer of one unit; give hidden layers at least two"
            )

    def _kind(self) -> str:
        return f"{self.activation} network with {self.normalization} normalisation"

    def validate(self, theta: Any) -> np.ndarray:
        """`theta` as a float64 vector of shape (n,) at which no norm or variance vanishes."""
        vector = super().validate(theta)
        divisors = [node.inputs[0] for node in self.program.nodes if node.operation == "power"]
        program = self.program.pruned(divisors)
        with np.errstate(all="ignore"):
            values = evaluate(program, vector)
        for layer, place in enumerate(program.outputs, start=1):
            smallest, largest = values[place].min(), values[place].max()
            if not smallest > 1e-28 * largest:  # what rounding leaves of a zero, relative to the others
                what = "squared norm of a row" if self.normalization == "weight" else "variance"
                raise InputError(
                    f"the {what} of layer {layer} is {smallest:.3g}, and {self.normalization} normalisation divides "
                    f"by it; change W{layer} or the inputs"
                )
        return vector

    def _weight(self, builder: Builder, layer: int) -> Value:
        weight = super()._weight(builder, layer)
        if self.normalization != "weight" or layer == self.depth:
            return weight
        return self._divided(builder, weight, builder.sum(weight * weight, 1), 1)

    def _normalized(self, builder: Builder, hidden: Value) -> Value:
        if self.normalization == "weight":
            return hidden
        axis = 1 if self.normalization == "batch" else 0
        count = hidden.shape[axis]
        mean = builder.scaled(builder.sum(hidden, axis), Fraction(1, count))
        centred = hidden - builder.expand(mean, axis, count)
        variance = builder.scaled(builder.sum(centred * centred, axis), Fraction(1, count))
        return self._divided(builder, centred, variance, axis)

    @staticmethod
    def _divided(builder: Builder, value: Value, square: Value, axis: int) -> Value:
        """``value / sqrt(square)``, with the square along an axis of length one."""
        reciprocal = builder.elementwise("reciprocal", square)
        scale = builder.elementwise("power", square, reciprocal, parameters=(Fraction(-1, 2),))
        return value * builder.expand(scale, axis, value.shape[axis])
