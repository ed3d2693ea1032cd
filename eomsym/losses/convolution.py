"""A small convolutional network: one layer of filters and a fully connected rest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from eomsym.errors import InputError
from eomsym.losses.activations import ACTIVATIONS
from eomsym.losses.initial import Scheme, weights
from eomsym.losses.network import Network, checked_widths
from eomsym.losses.objective import Block, Objective
from eomsym.losses.program import Builder, Value

__all__ = ["Convolutional", "patches"]


class Convolutional(Network):
    """Filters of ``kernel x kernel`` pixels, an activation, and fully connected layers.

    The windows of the images that the filters see are constants (`patches`), so a convolution is one product of
    matrices and needs no operation of its own.

    Parameters
    ----------
    filters : int
    widths : sequence of int
        Hidden layers and outputs behind the filters, such as ``(32, 10)``.
    inputs : array_like, shape (samples, side*side)
        Square images of one channel, row by row, as scikit-learn has them.
    targets : array_like, shape (samples, widths[-1])
    activation, loss, slope, name
        As for :class:`eomsym.Network`.
    kernel, stride : int
        Size of a filter, and from one window to the next.

    Raises
    ------
    InputError
        The images are not square, or smaller than the filters.
    ShapeError, InputError
        As for :class:`eomsym.Network`.

    Examples
    --------
    >>> images = np.arange(32.0).reshape(2, 16)
    >>> net = Convolutional(3, (2,), images, [0, 1], loss="cross_entropy", kernel=2, stride=2)
    >>> {name: block.shape for name, block in net.blocks.items()}
    {'W1': (3, 4), 'W2': (2, 12)}

    References
    ----------
    Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, Gradient-based learning applied to document recognition,
    Proc. IEEE 86 (1998), doi:10.1109/5.726791.
    """

    def __init__(
        self,
        filters: int,
        widths: Sequence[int],
        inputs: Any,
        targets: Any,
        activation: str = "relu",
        loss: str = "mse",
        *,
        kernel: int = 3,
        stride: int = 1,
        slope: float = 0.01,
        name: str | None = None,
    ) -> None:
        filters, *widths = checked_widths((filters, *widths))
        images = np.asarray(inputs, dtype=np.float64)
        self.windows = patches(images, kernel, stride)
        positions = self.windows.shape[1] // len(images)
        # Network checks data, activation and loss; its widths are those of the matrices from here on.
        super().__init__((images.shape[1], widths[-1]), images, targets, activation, loss, slope=slope, name="")
        self.widths = (kernel * kernel, filters, *widths)
        shapes = [(filters, kernel * kernel)]
        shapes += [(rows, columns) for columns, rows in zip((filters * positions, *widths), widths, strict=False)]
        blocks: dict[str, Block] = {}
        start = 0
        for layer, shape in enumerate(shapes, start=1):
            blocks[f"W{layer}"] = Block(start, shape)
            start += math.prod(shape)
        chain = "-".join(map(str, widths))
        text = f"{activation} network of {filters} filters {kernel}x{kernel} and {chain}, {loss}, {len(images)} samples"
        Objective.__init__(self, name or text, blocks)

    def initial(
        self, seed: int | np.random.Generator = 0, scheme: str | Scheme = "xavier", scale: float = 1.0
    ) -> np.ndarray:
        """Random parameters, shape (n,): as for a fully connected network with matrices of these shapes."""
        random = np.random.default_rng(seed)
        if scheme == "balanced":
            raise InputError("a convolutional network has no balanced weights; choose 'xavier', 'he' or 'near_zero'")
        found = [
            weights((block.shape[1], block.shape[0]), scheme, random, scale)[0].ravel()
            for block in self.blocks.values()
        ]
        return np.concatenate(found)

    def _keep(self, samples: slice) -> None:
        count = len(self.inputs)
        super()._keep(samples)
        windows = self.windows.reshape(len(self.windows), -1, count)[:, :, samples]
        self.windows = np.ascontiguousarray(windows).reshape(len(self.windows), -1)

    def _outputs(self, builder: Builder) -> Value:
        hidden: Any = self.windows
        for layer in range(1, self.depth + 1):
            hidden = self._weight(builder, layer) @ hidden
            if layer == self.depth:
                break
            hidden = ACTIVATIONS[self.activation](builder, hidden, self.slope)
            if layer == 1:  # (filters, positions*samples) and (filters*positions, samples) lie alike in memory
                samples = len(self.inputs)
                hidden = builder.apply("reshape", [hidden], (hidden.shape[0] * hidden.shape[1] // samples, samples))
        result: Value = hidden
        return result


def patches(images: np.ndarray, kernel: int, stride: int = 1) -> np.ndarray:
    """The windows that filters see, shape (kernel*kernel, positions*samples); samples run fastest.

    Parameters
    ----------
    images : ndarray, shape (samples, side*side)
    kernel, stride : int

    Raises
    ------
    InputError
        The images are not square, or smaller than the window.

    Examples
    --------
    >>> patches(np.arange(9.0)[None], 2)
    array([[0., 1., 3., 4.],
           [1., 2., 4., 5.],
           [3., 4., 6., 7.],
           [4., 5., 7., 8.]])
    """
    side = math.isqrt(images.shape[1]) if images.ndim == 2 else 0
    if not side or side * side != images.shape[1]:
        raise InputError(f"inputs have shape {images.shape}, expected (samples, side*side): square images, row by row")
    if not (1 <= kernel <= side and stride >= 1):
        raise InputError(f"a window of {kernel} pixels with stride {stride} does not fit images of {side} x {side}")
    squares = images.reshape(-1, side, side)
    windows = np.lib.stride_tricks.sliding_window_view(squares, (kernel, kernel), axis=(1, 2))[:, ::stride, ::stride]
    # (samples, row, column, kernel, kernel) -> (kernel, kernel, row, column, samples)
    return np.ascontiguousarray(windows.transpose(3, 4, 1, 2, 0)).reshape(kernel * kernel, -1)
