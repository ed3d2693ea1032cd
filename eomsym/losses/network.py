"""Losses of networks on data, as a handful of array operations."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from functools import reduce
from itertools import pairwise
from typing import Any, Self

import numpy as np

from eomsym import checks
from eomsym.errors import InputError, ShapeError
from eomsym.losses.activations import ACTIVATIONS
from eomsym.losses.initial import Scheme, weights
from eomsym.losses.objective import Block, Objective
from eomsym.losses.program import Builder, Program, Value

__all__ = ["DeepLinear", "Network"]

LOSSES = ("mse", "cross_entropy")


class Network(Objective):
    """A fully connected network ``W_n s(… s(W_1 x + b_1) …) + b_n`` on data, with full-batch loss.

    Parameters
    ----------
    widths : sequence of int
        Inputs, hidden layers, outputs: ``(64, 50, 50, 10)``.
    inputs : array_like, shape (samples, widths[0])
    targets : array_like, shape (samples, widths[-1])
        For ``"cross_entropy"`` also integer labels, shape (samples,), or rows of probabilities.
    activation : str
        ``"tanh"``, ``"sigmoid"``, ``"softplus"``, ``"gelu"``, ``"sin"``, ``"linear"``; ``"relu"`` and
        ``"leaky_relu"`` are piecewise linear: their counter terms hold inside an activation region.
    loss : {"mse", "cross_entropy"}
        Mean over samples of ``|f(x) - y|**2 / 2``, or of the cross-entropy of ``softmax(f(x))``.
    bias : bool
        Whether layers have a bias.
    slope : float
        Slope of ``leaky_relu`` below zero.
    name : str, optional

    Raises
    ------
    ShapeError
        Widths do not fit the data.
    InputError
        Unknown activation or loss, data that are not finite, labels out of range.

    Examples
    --------
    >>> import numpy as np
    >>> net = Network((2, 3, 1), inputs=np.eye(2), targets=[[1.0], [0.0]])
    >>> net
    <Network tanh network 2-3-1, mse, 2 samples (9 parameters)>
    >>> net.value(np.zeros(9))
    0.25
    """

    def __init__(
        self,
        widths: Sequence[int],
        inputs: Any,
        targets: Any,
        activation: str = "tanh",
        loss: str = "mse",
        *,
        bias: bool = False,
        slope: float = 0.01,
        name: str | None = None,
    ) -> None:
        self.widths = checked_widths(widths)
        self.inputs, self.targets = checked_data(self.widths, inputs, targets, loss)
        if activation not in ACTIVATIONS:
            raise InputError(f"unknown activation {activation!r}; choose one of {', '.join(ACTIVATIONS)}")
        self.activation = activation
        self.loss = loss
        self.bias = bool(bias)
        self.slope = float(slope)
        blocks: dict[str, Block] = {}
        start = 0
        for layer, (columns, rows) in enumerate(pairwise(self.widths), start=1):
            shapes: list[tuple[str, tuple[int, ...]]] = [(f"W{layer}", (rows, columns))]
            if self.bias:
                shapes.append((f"b{layer}", (rows,)))
            for block, shape in shapes:
                blocks[block] = Block(start, shape)
                start += math.prod(shape)
        chain = "-".join(map(str, self.widths))
        super().__init__(name or f"{self._kind()} {chain}, {loss}, {len(self.inputs)} samples", blocks)

    def _kind(self) -> str:
        return f"{self.activation} network"

    @property
    def depth(self) -> int:
        """Number of weight matrices."""
        return len(self.widths) - 1

    def initial(
        self, seed: int | np.random.Generator = 0, scheme: str | Scheme = "xavier", scale: float = 1.0
    ) -> np.ndarray:
        """Random parameters, shape (n,); biases are zero.

        Parameters
        ----------
        seed : int or numpy.random.Generator
        scheme : {"xavier", "he", "near_zero", "balanced"} or callable
            See :func:`eomsym.losses.initial.weights`. Arrays of your own: ``pack(W1=…, W2=…)``.
        scale : float
            Factor of all weights.

        Raises
        ------
        InputError
            Unknown scheme, or widths that cannot be balanced.
        """
        theta = np.zeros(self.size)
        for layer, matrix in enumerate(weights(self.widths, scheme, seed, scale), start=1):
            theta[self.blocks[f"W{layer}"].place] = matrix.ravel()
        return theta

    def split(self, count: int) -> list[Self]:
        """The same network on equal batches of its samples, in their order: the losses of an `Epoch`.

        Parameters
        ----------
        count : int
            Number of batches; it must divide the number of samples, since the loss is the mean of those of the batches.

        Returns
        -------
        list of Network
            Each with the parameters, and the weight decay, of this one.

        Raises
        ------
        InputError
            The samples cannot be split evenly.

        Examples
        --------
        >>> net = Network((2, 3, 1), inputs=np.eye(2), targets=[[1.0], [0.0]])
        >>> [len(batch.inputs) for batch in net.split(2)]
        [1, 1]
        """
        samples = len(self.inputs)
        if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 1 or samples % count:
            divisors = [k for k in range(1, samples + 1) if samples % k == 0]
            raise InputError(
                f"{samples} samples cannot be split into {count!r} equal batches; choose one of "
                f"{', '.join(map(str, divisors))}, or leave some samples out"
            )
        batches = []
        for number in range(count):
            batch = copy.copy(self)
            batch.__dict__.pop("program", None)
            batch.name = f"batch {number + 1} of {count} of {self.name}"
            batch._keep(slice(number * samples // count, (number + 1) * samples // count))
            batches.append(batch)
        return batches

    def _keep(self, samples: slice) -> None:
        """Leave out all other samples."""
        self.inputs, self.targets = self.inputs[samples], self.targets[samples]

    def _weight(self, builder: Builder, layer: int) -> Value:
        block = self.blocks[f"W{layer}"]
        return builder.part(block.start, (block.shape[0], block.shape[1]))

    def _normalized(self, builder: Builder, hidden: Value) -> Value:
        """What happens to a hidden layer before its activation; nothing here."""
        return hidden

    def _outputs(self, builder: Builder) -> Value:
        """Network outputs, shape (outputs, samples)."""
        hidden: Any = np.ascontiguousarray(self.inputs.T)
        for layer in range(1, self.depth + 1):
            hidden = self._weight(builder, layer) @ hidden
            if self.bias:
                block = self.blocks[f"b{layer}"]
                hidden = hidden + builder.expand(builder.part(block.start, (block.size, 1)), 1, len(self.inputs))
            if layer < self.depth:
                hidden = self._normalized(builder, hidden)
                hidden = ACTIVATIONS[self.activation](builder, hidden, self.slope)
        result: Value = hidden
        return result

    def _bare_program(self) -> Program:
        builder = Builder(self.size)
        return builder.finish([loss_of_outputs(builder, self._outputs(builder), self.targets, self.loss)])


class DeepLinear(Network):
    """A deep linear network ``W_n ⋯ W_1 x`` on data.

    With the loss ``"mse"`` the data enter only through ``XXᵀ`` and ``YXᵀ``; these are used where they are smaller
    than the data.

    Parameters
    ----------
    widths : sequence of int
        Inputs, hidden layers, outputs: ``(64, 16, 10)``.
    inputs : array_like, shape (samples, widths[0])
    targets : array_like, shape (samples, widths[-1])
        For ``"cross_entropy"`` also integer labels, shape (samples,).
    loss : {"mse", "cross_entropy"}
        Mean over samples of ``|f(x) - y|**2 / 2``, or of the cross-entropy of ``softmax(f(x))``.
    name : str, optional

    Raises
    ------
    ShapeError, InputError
        As for `Network`.

    Examples
    --------
    >>> import numpy as np
    >>> loss = DeepLinear((2, 2, 1), inputs=np.eye(2), targets=[[1.0], [0.0]])
    >>> loss.gradient(loss.pack(W1=np.eye(2), W2=[[1.0, 1.0]]))
    array([0. , 0.5, 0. , 0.5, 0. , 0.5])

    References
    ----------
    O. Elkabetz and N. Cohen, Continuous vs. Discrete Optimization of Deep Neural Networks, NeurIPS 2021,
    arXiv:2107.06608.
    """

    def __init__(
        self, widths: Sequence[int], inputs: Any, targets: Any, loss: str = "mse", *, name: str | None = None
    ) -> None:
        super().__init__(widths, inputs, targets, "linear", loss, name=name)

    def _kind(self) -> str:
        return "deep linear network"

    def end_to_end(self, theta: Any) -> np.ndarray:
        """The matrix ``W_n ⋯ W_1``, shape (outputs, inputs)."""
        product = np.eye(self.widths[0])
        for matrix in self.unpack(theta).values():
            product = matrix @ product
        return product

    def _product(self, builder: Builder) -> Value:
        """``W_n ⋯ W_1``, multiplied from the narrower end."""
        layers = [self._weight(builder, layer) for layer in range(1, self.depth + 1)]
        if self.widths[-1] <= self.widths[0]:
            return reduce(lambda product, weight: product @ weight, reversed(layers))
        return reduce(lambda product, weight: weight @ product, layers)

    def _outputs(self, builder: Builder) -> Value:
        """The data go through one matrix or through all layers, whichever needs fewer multiplications."""
        rows, columns = self.widths[-1], self.widths[0]
        pairs = list(pairwise(self.widths))
        layered = sum(a * b for a, b in pairs) * len(self.inputs)
        ends = pairs[:-1] if rows <= columns else pairs[1:]
        multiplied = min(rows, columns) * sum(a * b for a, b in ends) + rows * columns * len(self.inputs)
        if self.depth == 1 or layered <= multiplied:
            return super()._outputs(builder)
        return self._product(builder) @ np.ascontiguousarray(self.inputs.T)

    def _bare_program(self) -> Program:
        samples, columns = self.inputs.shape
        rows = self.targets.shape[1]
        if self.loss != "mse" or columns + rows >= samples:
            return super()._bare_program()
        second = self.inputs.T @ self.inputs / samples
        cross = self.targets.T @ self.inputs / samples
        constant = float((self.targets**2).sum() / (2 * samples))
        builder = Builder(self.size)
        product = self._product(builder)
        quadratic = builder.sum((product @ second) * product) * 0.5
        return builder.finish([quadratic - builder.sum(product * cross) + constant])


def loss_of_outputs(builder: Builder, outputs: Value, targets: np.ndarray, loss: str) -> Value:
    """Mean loss, shape (1, 1), of network outputs (outputs, samples) against targets (samples, outputs)."""
    if loss == "mse":
        residual = outputs - targets.T
        total = builder.sum(residual * residual) * 0.5
    else:
        logits = builder.elementwise("center", outputs)
        partition = builder.sum(builder.elementwise("exp", logits), 0)
        total = builder.sum(partition.call("log")) - builder.sum(logits * targets.T)
    return total * (1 / len(targets))


# data ---------------------------------------------------------------------------------------------------------------


def checked_widths(widths: Sequence[int]) -> tuple[int, ...]:
    """Widths as a tuple of at least two positive integers."""
    try:
        found = tuple(widths)
    except TypeError as error:
        raise InputError(f"widths must be integers such as (64, 16, 10), got {widths!r}") from error
    if len(found) < 2 or not all(isinstance(w, (int, np.integer)) and w > 0 for w in found):
        raise InputError(f"widths must be at least two positive integers such as (64, 16, 10), got {widths!r}")
    return tuple(int(w) for w in found)


def checked_data(widths: tuple[int, ...], inputs: Any, targets: Any, loss: str) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (samples, widths[0]) and targets (samples, widths[-1]) as finite float64 arrays."""
    if loss not in LOSSES:
        raise InputError(f"unknown loss {loss!r}; choose one of {', '.join(LOSSES)}")
    x, y = checks.array(inputs, "inputs"), checks.array(targets, "targets")
    if x.ndim != 2 or x.shape[1] != widths[0]:
        raise ShapeError(f"inputs have shape {x.shape}, expected (samples, {widths[0]}) for widths {widths}")
    if loss == "cross_entropy" and y.ndim == 1:
        y = one_hot(y, widths[-1])
    if y.shape != (len(x), widths[-1]):
        raise ShapeError(f"targets have shape {y.shape}, expected ({len(x)}, {widths[-1]}) for widths {widths}")
    if len(x) == 0:
        raise ShapeError("inputs hold no samples")
    if loss == "cross_entropy" and not ((y >= 0).all() and np.allclose(y.sum(axis=1), 1)):
        raise InputError("targets of cross_entropy must be labels, or rows of probabilities that sum to 1")
    return x, y


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """Rows of the identity for integer labels 0..classes-1."""
    if not (np.equal(np.mod(labels, 1), 0).all() and (labels >= 0).all() and (labels < classes).all()):
        raise InputError(f"labels must be integers from 0 to {classes - 1}, got {labels.min()} to {labels.max()}")
    return np.eye(classes)[labels.astype(np.int64)]
