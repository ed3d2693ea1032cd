"""Losses of networks on data: layers one behind the other, as a handful of array operations."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import cached_property, reduce
from itertools import pairwise
from typing import Any, Self

import numpy as np

from eomsym import checks
from eomsym.errors import InputError, ShapeError
from eomsym.losses.architecture import checked_layers, fully_connected, names_of, sites_of
from eomsym.losses.builder import Builder, Value
from eomsym.losses.data import checked_data, checked_inputs
from eomsym.losses.initial import Scheme, drawing, weights
from eomsym.losses.layers import Activation, Layer, Linear
from eomsym.losses.normalisation import WeightNorm
from eomsym.losses.objective import Objective, blocks_of
from eomsym.losses.program import Program
from eomsym.losses.sites import Site
from eomsym.losses.values import evaluate

__all__ = ["DeepLinear", "Network"]

LOSSES = ("mse", "cross_entropy")


class Network(Objective):
    """Layers one behind the other on data, with full-batch loss.

    Parameters
    ----------
    layers : sequence of int, or of layers
        Widths of a fully connected network: inputs, hidden layers, outputs, ``(64, 50, 50, 10)``. Or any layers of
        `eomsym.losses`: ``[Conv(8, 3), BatchNorm(), Activation("tanh"), Pool(2), Linear(10)]``. Blocks are named by
        their letter and by the number of the last layer with weights: ``W1``, ``b1``, ``W2``, ….
    inputs : array_like, shape (samples, features), (samples, height, width) or (samples, channels, height, width)
        Square images of one channel may also come as rows of pixels.
    targets : array_like, shape (samples, outputs)
        For ``"cross_entropy"`` also integer labels, shape (samples,), or rows of probabilities.
    activation : str
        Between the layers of a fully connected network, see :class:`eomsym.losses.Activation`; tanh by default. Layers
        have their own.
    loss : {"mse", "cross_entropy"}
        Mean over samples of ``|f(x) - y|**2 / 2``, or of the cross-entropy of ``softmax(f(x))``.
    bias : bool
        Whether the layers of a fully connected network have a bias.
    slope : float
        Slope of ``leaky_relu`` below zero.
    name : str, optional

    Attributes
    ----------
    layers : tuple of Layer
    sites : tuple of Site
        Where each of them stands.
    names : tuple of dict
        The names of its blocks by letter, for each layer.
    inputs, targets : ndarray, shapes (samples, features), (samples, outputs)
        The data; they cannot be written to.
    kinks : tuple of str
        What has no derivative somewhere: counter terms hold inside an activation region.

    Raises
    ------
    ShapeError
        Layers do not fit each other, or the data.
    InputError
        Unknown activation or loss, data that are not finite, labels out of range; and, when it is evaluated, parameters
        at which a normalisation divides by zero.

    Examples
    --------
    >>> import numpy as np
    >>> net = Network((2, 3, 1), inputs=np.eye(2), targets=[[1.0], [0.0]])
    >>> net
    <Network tanh network 2-3-1, mse, 2 samples (9 parameters)>
    >>> net.value(np.zeros(9))
    0.25
    >>> from eomsym.losses import Conv, Pool
    >>> images = np.arange(72.0).reshape(2, 6, 6) % 7
    >>> net = Network([Conv(2, 3), Activation("relu"), Pool(2), Linear(3)], images, [0, 2], loss="cross_entropy")
    >>> {name: block.shape for name, block in net.blocks.items()}, net.kinks
    ({'W1': (2, 9), 'W2': (3, 8)}, ('relu',))
    """

    def __init__(
        self,
        layers: Sequence[int] | Sequence[Layer],
        inputs: Any,
        targets: Any,
        activation: str | None = None,
        loss: str = "mse",
        *,
        bias: bool = False,
        slope: float = 0.01,
        name: str | None = None,
    ) -> None:
        chosen: Sequence[Any] = checked_layers(layers)
        self.loss = checks.choice(loss, "loss", LOSSES)
        data, shape = checked_inputs(inputs)
        kind = f"network {', '.join(map(repr, chosen))}"
        if isinstance(chosen[0], int):
            widths = tuple(chosen)
            if data.shape[1] != widths[0]:
                raise ShapeError(
                    f"inputs have shape {data.shape}, expected (samples, {widths[0]}) for widths {widths}; give widths "
                    f"{(data.shape[1], *widths[1:])}, or other inputs"
                )
            kind = f"{self._kind(activation)} {'-'.join(map(str, widths))}"
            chosen = fully_connected(widths, self._between(activation, slope), checks.flag(bias, "bias"))
        elif activation is not None or checks.flag(bias, "bias"):
            raise InputError(
                "layers have activations and biases of their own; leave out activation= and bias=, and put "
                "Activation('tanh') and Bias() among the layers"
            )
        self.layers = tuple(chosen)
        self.sites, outputs = sites_of(self.layers, shape, data)
        self.names = names_of(self.layers, self.sites)
        self.inputs, self.targets = data, checked_data(data, targets, self.loss, outputs)
        self.widths = (
            data.shape[1],
            *(math.prod(layer.output(at)) for layer, at, _ in self._walk() if "W" in layer.parameters(at)),
        )
        self.kinks = tuple(dict.fromkeys(kink for layer in self.layers for kink in layer.kinks))
        shapes = {names[k]: shape for layer, at, names in self._walk() for k, shape in layer.parameters(at).items()}
        if not shapes:
            raise InputError(f"layers {list(self.layers)} have no parameters; add one such as Linear({outputs})")
        super().__init__(
            checks.text("" if name is None else name, "name") or f"{kind}, {self.loss}, {len(data)} samples",
            blocks_of(shapes),
        )

    @staticmethod
    def _kind(activation: str | None) -> str:
        return f"{'tanh' if activation is None else activation} network"

    @staticmethod
    def _between(activation: str | None, slope: float) -> list[Layer]:
        """What stands between the matrices of a fully connected network."""
        return [Activation("tanh" if activation is None else activation, slope)]

    def _walk(self) -> list[tuple[Layer, Site, dict[str, str]]]:
        """Each layer, where it stands, and the names of its blocks by letter."""
        return list(zip(self.layers, self.sites, self.names, strict=True))

    @cached_property
    def _content(self) -> tuple[Any, ...] | None:
        if type(self) not in (Network, DeepLinear):  # another class may hold more than is compared here
            return None
        return (self.layers, self.loss, self.digest, self.name, self.weight_decay)

    @cached_property
    def _hash(self) -> int:  # without reading the data
        return hash((self.layers, self.loss, self.inputs.shape, self.name, self.weight_decay))

    @property
    def digest(self) -> str:
        """SHA-256 of the data, for records."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        text = hashlib.sha256(repr((self.inputs.shape, self.targets.shape)).encode())
        for array in (self.inputs, self.targets):
            text.update(np.ascontiguousarray(array).tobytes())
        return text.hexdigest()

    @property
    def depth(self) -> int:
        """Number of layers with weights."""
        return len(self.widths) - 1

    def validate(self, theta: Any) -> np.ndarray:
        """`theta` as a float64 vector of shape (n,) at which no norm or variance vanishes."""
        vector = super().validate(theta)
        program, told = self._divisors
        if not told:
            return vector
        with np.errstate(all="ignore"):
            values = evaluate(program, vector)
        for place, (what, names) in zip(program.outputs, told, strict=True):
            smallest, largest = values[place].min(), values[place].max()
            if not smallest > 1e-28 * largest:  # what rounding leaves of a zero, relative to the others
                raise InputError(f"{what} is {smallest:.3g}, and it is divided by; change {names} or the inputs")
        return vector

    @cached_property
    def _divisors(self) -> tuple[Program, list[tuple[str, str]]]:
        """The program of what is divided by, and how messages call each of them and the weights before it."""
        told, last = [], "the layers before"
        for layer, _, names in self._walk():
            last = names.get("W", last)
            if layer.divides_by:
                told.append((f"the {layer.divides_by} of {layer!r} at {last}", last))
        nodes = [node.inputs[0] for node in self.program.nodes if node.operation == "power"] if told else []
        return self.program.pruned(nodes), told

    def initial(
        self, seed: int | np.random.Generator = 0, scheme: str | Scheme = "xavier", scale: float = 1.0
    ) -> np.ndarray:
        """Random parameters, shape (n,); biases are zero, factors one.

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
            Unknown scheme, or layers that cannot be balanced.
        """
        if isinstance(scheme, str) and scheme == "balanced":
            counted = [layer for layer, at, _ in self._walk() if "W" in layer.parameters(at)]
            matrices = [self.blocks[f"W{number}"].shape for number in range(1, self.depth + 1)]
            if not all(isinstance(layer, (Linear, WeightNorm)) for layer in counted) or any(
                below[0] != above[1] for below, above in pairwise(matrices)
            ):
                raise InputError(
                    f"{self.name} has no balanced weights: its matrices do not follow each other; choose one of "
                    "xavier, he, near_zero, or give a function"
                )
            given = iter(weights((matrices[0][1], *(m[0] for m in matrices)), scheme, seed, scale))
            draw = lambda rows, columns: next(given)  # noqa: E731
        else:
            draw = drawing(scheme, seed, scale)
        theta = np.empty(self.size)
        for layer, at, names in self._walk():
            for letter, array in layer.initial(at, draw).items():
                theta[self.blocks[names[letter]].place] = array.ravel()
        return theta

    def split(self, count: int) -> list[Self]:
        """The same network on equal batches of its samples, in their order: the losses of an `Epoch`.

        Parameters
        ----------
        count : int
            Number of batches; it must divide the number of samples, since the loss is the mean of those of the batches.
            With batch normalisation each batch has its own statistics, and the mean is another loss.

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
        count = checks.count(count, "count", 1, samples)
        if samples % count:
            divisors = [k for k in range(1, samples + 1) if samples % k == 0]
            raise InputError(
                f"{samples} samples cannot be split into {count} equal batches; choose one of "
                f"{', '.join(map(str, divisors))}, or leave some samples out"
            )
        return [
            self._on(
                slice(k * samples // count, (k + 1) * samples // count), f"batch {k + 1} of {count} of {self.name}"
            )
            for k in range(count)
        ]

    def _on(self, samples: slice, name: str) -> Self:
        """The same network on some of its samples."""
        inputs = self.inputs[samples]
        sites, _ = sites_of(self.layers, self.sites[0].shape, inputs)
        return self._with(sites=sites, inputs=inputs, targets=self.targets[samples], name=name)

    def _outputs(self, builder: Builder) -> Value:
        """Network outputs, shape (outputs, samples)."""
        hidden: Any = np.ascontiguousarray(self.inputs.T)
        for layer, at, names in self._walk():
            blocks = {}
            for letter, shape in layer.parameters(at).items():
                rows = shape[0]
                blocks[letter] = builder.part(self.blocks[names[letter]].start, (rows, math.prod(shape[1:])))
            hidden = layer.lines(builder, at, hidden, blocks)
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
        super().__init__(widths, inputs, targets, None, loss, name=name)

    @staticmethod
    def _kind(activation: str | None) -> str:
        return "deep linear network"

    @staticmethod
    def _between(activation: str | None, slope: float) -> list[Layer]:
        return []

    def end_to_end(self, theta: Any) -> np.ndarray:
        """The matrix ``W_n ⋯ W_1``, shape (outputs, inputs)."""
        product = np.eye(self.widths[0])
        for matrix in self.unpack(theta).values():
            product = matrix @ product
        return product

    def _product(self, builder: Builder) -> Value:
        """``W_n ⋯ W_1``, multiplied from the narrower end."""
        layers = [builder.part(block.start, (block.shape[0], block.shape[1])) for block in self.blocks.values()]
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
