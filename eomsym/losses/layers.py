"""The layers of networks, one class each.

A layer says what shape a sample has behind it, which parameters it has, which lines it writes into the program of the
loss, how its parameters start, and which symmetry of the loss it brings. Between layers stands an array of one row for
each entry of a sample and one column for each sample; images have entries (channel, row, column), columns fastest.

A new layer is one class here, or anywhere: a network takes whatever is a :class:`Layer`. Those that normalise are in
:mod:`eomsym.losses.normalisation`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from fractions import Fraction
from functools import reduce
from typing import Any, ClassVar

import numpy as np

from eomsym import checks
from eomsym.losses.activations import ACTIVATIONS, HOMOGENEOUS, KINKED
from eomsym.losses.builder import Builder, Value
from eomsym.losses.sites import Site, as_value, by_channel, by_entry, picked, reshaped, windows

__all__ = ["Activation", "Bias", "Conv", "Layer", "Linear", "Pool", "Scale"]

#: (rows, columns) -> matrix
Draw = Callable[[int, int], np.ndarray]


class Layer:
    """What a network is made of.

    The attributes say which symmetry a layer brings; `eomsym.symmetries.symmetries_of` reads them.

    Examples
    --------
    A layer of one's own is one class: here each sample without its mean.

    >>> from eomsym.losses import Activation, Linear, Network
    >>> @dataclass(frozen=True, repr=False)
    ... class Centred(Layer):
    ...     removes_shift = "sample"
    ...
    ...     def lines(self, builder, at, hidden, blocks):
    ...         mean = builder.sum(as_value(builder, hidden), 0) / at.features
    ...         return hidden - builder.expand(mean, 0, at.features)
    >>> net = Network([Linear(3), Centred(), Activation("tanh"), Linear(1)], [[1.0, 2.0]], [[0.5]])
    >>> net
    <Network network Linear(3), Centred(), Activation('tanh'), Linear(1), mse, 1 samples (9 parameters)>
    """

    #: Letters of the blocks that are factors of the output.
    linear_in: ClassVar[tuple[str, ...]] = ()
    #: Letters of the blocks whose size leaves no trace.
    normalises: ClassVar[tuple[str, ...]] = ()
    #: Letters of the blocks that must grow by a factor with the input, for the output to do so; None: it never does.
    scales_with: ClassVar[tuple[str, ...] | None] = None
    #: Whether it acts on each unit (or channel) by itself.
    separate: ClassVar[bool] = False
    #: Whether it looks at windows of images.
    takes_images: ClassVar[bool] = False

    #: Whether a positive factor of its input leaves no trace.
    removes_scale: ClassVar[bool] = False
    #: ``"unit"`` or ``"sample"`` where a number added to all entries of a unit, or of a sample, leaves no trace.
    removes_shift: ClassVar[str] = ""
    #: What must not vanish, for the message where it does.
    divides_by: ClassVar[str] = ""

    @property
    def kinks(self) -> tuple[str, ...]:
        """What in it has no derivative somewhere."""
        return ()

    def output(self, at: Site) -> tuple[int, ...]:
        """Shape of one sample behind the layer; ShapeError or InputError where it cannot stand here."""
        return at.shape

    def parameters(self, at: Site) -> dict[str, tuple[int, ...]]:
        """Shapes of its blocks by letter. A layer with a block ``"W"`` is one that is counted."""
        return {}

    def initial(self, at: Site, draw: Draw) -> dict[str, np.ndarray]:
        """Where its blocks start; `draw` gives a random matrix for (outputs, inputs)."""
        return {letter: draw(shape[0], math.prod(shape[1:])) for letter, shape in self.parameters(at).items()}

    def lines(self, builder: Builder, at: Site, hidden: Any, blocks: Mapping[str, Value]) -> Value:
        """What stands behind the layer, from what stands in front of it.

        Parameters
        ----------
        builder : Builder
        at : Site
        hidden : Value or ndarray, shape (features, samples)
            An array as long as no parameters came before.
        blocks : mapping of str to Value
            The parameters by letter, as matrices; those of one axis as a column.
        """
        raise NotImplementedError

    def __repr__(self) -> str:
        told = []
        for place, field in enumerate(fields(self)):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if field.default is MISSING or (place == 0 and value != field.default):
                told.append(repr(value))
            elif value != field.default:
                told.append(f"{field.name}={value!r}")
        return f"{type(self).__name__}({', '.join(told)})"


# products with weights ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Linear(Layer):
    """A matrix of weights ``W``, shape (units, features); images are taken apart into features.

    Parameters
    ----------
    units : int

    Examples
    --------
    >>> Linear(10).parameters(Site((8, 3, 3), 100))
    {'W': (10, 72)}
    """

    units: int
    linear_in = ("W",)
    scales_with = ()

    def __post_init__(self) -> None:
        checks.count(self.units, "units", 1)

    def output(self, at: Site) -> tuple[int, ...]:
        return (self.units,)

    def parameters(self, at: Site) -> dict[str, tuple[int, ...]]:
        return {"W": (self.units, at.features)}

    def lines(self, builder: Builder, at: Site, hidden: Any, blocks: Mapping[str, Value]) -> Value:
        found: Value = blocks["W"] @ hidden
        return found


@dataclass(frozen=True, repr=False)
class Conv(Layer):
    """Filters of ``size x size`` pixels over all channels: ``W`` of shape (filters, channels*size*size).

    Parameters
    ----------
    filters, size : int
    stride : int
        From one window to the next.
    padding : int
        Rows and columns of zeros around each image.

    Examples
    --------
    >>> Conv(8, 3, padding=1).output(Site((3, 28, 28), 1)), Conv(8, 3).parameters(Site((3, 28, 28), 1))
    ((8, 28, 28), {'W': (8, 27)})

    References
    ----------
    Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, Gradient-based learning applied to document recognition,
    Proc. IEEE 86 (1998), doi:10.1109/5.726791.
    """

    filters: int
    size: int
    stride: int = 1
    padding: int = 0
    linear_in = ("W",)
    scales_with = ()
    takes_images = True

    def __post_init__(self) -> None:
        for name in ("filters", "size", "stride"):
            checks.count(getattr(self, name), name, 1)
        checks.count(self.padding, "padding")

    def output(self, at: Site) -> tuple[int, ...]:
        return (self.filters, *windows(at, self.size, self.stride, self.padding).shape[3:])

    def parameters(self, at: Site) -> dict[str, tuple[int, ...]]:
        return {"W": (self.filters, at.channels * self.size**2)}

    def lines(self, builder: Builder, at: Site, hidden: Any, blocks: Mapping[str, Value]) -> Value:
        places = windows(at, self.size, self.stride, self.padding)
        seen = picked(builder, at, hidden, places.reshape(at.channels * self.size**2, -1))
        found = blocks["W"] @ seen
        return reshaped(builder, found, (self.filters * (found.shape[1] // at.samples), at.samples))


@dataclass(frozen=True, repr=False)
class Bias(Layer):
    """A number ``b`` added to each unit, or to each channel of images. It starts at zero.

    Examples
    --------
    >>> Bias().parameters(Site((8, 3, 3), 100))
    {'b': (8,)}
    """

    scales_with = ("b",)
    separate = True

    def parameters(self, at: Site) -> dict[str, tuple[int, ...]]:
        return {"b": (at.channels,)}

    def initial(self, at: Site, draw: Draw) -> dict[str, np.ndarray]:
        return {"b": np.zeros(at.channels)}

    def lines(self, builder: Builder, at: Site, hidden: Any, blocks: Mapping[str, Value]) -> Value:
        rows = by_channel(builder, at, hidden)
        return by_entry(builder, at, rows + builder.expand(blocks["b"], 1, rows.shape[1]))


@dataclass(frozen=True, repr=False)
class Scale(Layer):
    """A factor ``g`` of each unit, or of each channel of images, as behind a normalisation. It starts at one.

    Examples
    --------
    >>> Scale().initial(Site((2,), 5), lambda rows, columns: np.zeros((rows, columns)))
    {'g': array([1., 1.])}
    """

    linear_in = ("g",)
    scales_with = ()
    separate = True

    def parameters(self, at: Site) -> dict[str, tuple[int, ...]]:
        return {"g": (at.channels,)}

    def initial(self, at: Site, draw: Draw) -> dict[str, np.ndarray]:
        return {"g": np.ones(at.channels)}

    def lines(self, builder: Builder, at: Site, hidden: Any, blocks: Mapping[str, Value]) -> Value:
        rows = by_channel(builder, at, hidden)
        return by_entry(builder, at, rows * builder.expand(blocks["g"], 1, rows.shape[1]))


# functions ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Activation(Layer):
    """A function of each entry.

    Parameters
    ----------
    kind : str
        ``"tanh"``, ``"sigmoid"``, ``"softplus"``, ``"gelu"``, ``"sin"``, ``"linear"``; ``"relu"`` and
        ``"leaky_relu"`` are piecewise linear: their counter terms hold inside an activation region.
    slope : float
        Slope of ``leaky_relu`` below zero.

    Examples
    --------
    >>> Activation("relu").kinks, Activation("leaky_relu", slope=0.2)
    (('relu',), Activation('leaky_relu', slope=0.2))
    """

    kind: str
    slope: float = 0.01
    separate = True

    def __post_init__(self) -> None:
        checks.choice(self.kind, "activation", ACTIVATIONS)
        slope = checks.number(self.slope, "slope")
        object.__setattr__(self, "slope", slope if self.kind == "leaky_relu" else 0.01)  # equal ones are equal

    @property
    def scales_with(self) -> tuple[str, ...] | None:  # type: ignore[override]
        """It scales with its input where it is homogeneous."""
        return () if self.kind in HOMOGENEOUS else None

    @property
    def kinks(self) -> tuple[str, ...]:
        return (self.kind,) if self.kind in KINKED else ()

    def lines(self, builder: Builder, at: Site, hidden: Any, blocks: Mapping[str, Value]) -> Value:
        return ACTIVATIONS[self.kind](builder, as_value(builder, hidden), self.slope)


@dataclass(frozen=True, repr=False)
class Pool(Layer):
    """The mean, or the largest, of windows of ``size x size`` pixels in each channel.

    Parameters
    ----------
    size : int, optional
        The whole image by default.
    kind : {"mean", "max"}
        ``"max"`` has kinks where the largest pixel changes.
    stride : int, optional
        From one window to the next; `size` by default.

    Examples
    --------
    >>> Pool(2).output(Site((3, 28, 28), 1)), Pool().output(Site((3, 28, 28), 1))
    ((3, 14, 14), (3, 1, 1))
    """

    size: int | None = None
    kind: str = "mean"
    stride: int | None = None
    scales_with = ()
    separate = True
    takes_images = True

    def __post_init__(self) -> None:
        checks.choice(self.kind, "pooling", ("mean", "max"))
        for name in ("size", "stride"):
            if getattr(self, name) is not None:
                checks.count(getattr(self, name), name, 1)

    @property
    def kinks(self) -> tuple[str, ...]:
        return ("max",) if self.kind == "max" else ()

    def output(self, at: Site) -> tuple[int, ...]:
        return (at.channels, *self._windows(at).shape[3:])

    def lines(self, builder: Builder, at: Site, hidden: Any, blocks: Mapping[str, Value]) -> Value:
        places = self._windows(at)
        size = places.shape[1] * places.shape[2]
        rows = places.transpose(1, 2, 0, 3, 4).reshape(size, -1)  # (place in the window, entry behind the layer)
        shape = (rows.shape[1], at.samples)
        if self.kind == "max":
            parts = [as_value(builder, picked(builder, at, hidden, row[:, None])) for row in rows]
            return reduce(lambda a, b: a + builder.elementwise("gate", b - a, b - a, parameters=(1, 0)), parts)
        seen = as_value(builder, picked(builder, at, hidden, rows))
        return reshaped(builder, builder.scaled(builder.sum(seen, 0), Fraction(1, size)), shape)

    def _windows(self, at: Site) -> np.ndarray:
        if self.size is None and len(at.shape) == 3:
            return np.arange(at.features).reshape(at.channels, *at.shape[1:], 1, 1)
        size = self.size or 1
        return windows(at, size, self.stride or size, 0)
