"""Which layers a network has, where they stand, and what their blocks are called."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from eomsym.checks import shown
from eomsym.errors import InputError, ShapeError
from eomsym.losses.layers import Bias, Layer, Linear
from eomsym.losses.normalisation import BatchNorm
from eomsym.losses.sites import Site

__all__ = ["checked_layers", "fully_connected", "names_of", "sites_of"]


def checked_layers(layers: Any) -> tuple[Any, ...]:
    """Layers, or widths as at least two positive integers."""
    expected = (
        "layers must be widths such as (64, 16, 10), or layers such as [Conv(8, 3), Activation('tanh'), Linear(10)]"
    )
    if isinstance(layers, Layer):
        raise InputError(f"{expected}, got {shown(layers)}; type [{shown(layers)}]")
    try:
        found = () if isinstance(layers, (str, bytes)) else tuple(layers)
    except TypeError:  # nothing to go through, or an array of no dimension
        found = ()
    if not found:
        raise InputError(f"{expected}, got {shown(layers)}")
    if found and all(isinstance(layer, Layer) for layer in found):
        return found
    if any(isinstance(layer, Layer) for layer in found):
        place, other = next((i, one) for i, one in enumerate(found) if not isinstance(one, Layer))
        hint = f"; type {other.__name__}(…)" if isinstance(other, type) and issubclass(other, Layer) else ""
        hint = f"; type Linear({other})" if isinstance(other, int) else hint
        raise InputError(f"layers[{place}] must be a layer such as Linear(10), got {shown(other)}{hint}")
    whole = all(isinstance(width, (int, np.integer)) and not isinstance(width, bool) and width > 0 for width in found)
    if len(found) < 2 or not whole:
        raise InputError(f"widths must be at least two positive integers such as (64, 16, 10), got {shown(layers)}")
    return tuple(map(int, found))


def fully_connected(widths: tuple[int, ...], between: list[Layer], bias: bool) -> list[Layer]:
    """The layers of a fully connected network."""
    layers: list[Layer] = []
    for units in widths[1:]:
        layers += [*(between if layers else []), Linear(units), *([Bias()] if bias else [])]
    return layers


def sites_of(layers: tuple[Layer, ...], shape: tuple[int, ...], inputs: np.ndarray) -> tuple[tuple[Site, ...], int]:
    """Where each layer stands, and the number of outputs."""
    sites = []
    if len(shape) == 1 and any(layer.takes_images for layer in layers):
        side = math.isqrt(shape[0])
        if side * side != shape[0]:
            raise ShapeError(
                f"inputs have shape {inputs.shape}, and their rows are no square images; give images of shape "
                "(samples, height, width) or (samples, channels, height, width)"
            )
        shape = (1, side, side)
    varies = bool(np.ptp(inputs, axis=0).any())
    for layer in layers:
        at = Site(shape, len(inputs))
        shape = layer.output(at)
        sites.append(at)
        if isinstance(layer, BatchNorm) and at.positions == 1 and not varies:
            raise InputError(
                f"batch normalisation divides by the variance over the {len(inputs)} samples, and no feature of "
                "these inputs varies; give samples that differ"
            )
    return tuple(sites), math.prod(shape)


def names_of(layers: tuple[Layer, ...], sites: tuple[Site, ...]) -> tuple[dict[str, str], ...]:
    """Names of the blocks of each layer: the letter and the number of the last layer with weights."""
    names: list[dict[str, str]] = []
    number, known = 0, set[str]()
    for layer, at in zip(layers, sites, strict=True):
        letters = layer.parameters(at)
        number += "W" in letters
        own = {}
        for letter in letters:
            name, copy = f"{letter}{number}", 1
            while name in known:
                copy += 1
                name = f"{letter}{number}_{copy}"
            known.add(name)
            own[letter] = name
        names.append(own)
    return tuple(names)
