"""Which symmetries any loss with named blocks has, found by measuring them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, product

import numpy as np

from eomsym.codegen.kernel import compile
from eomsym.errors import ShapeError, SymmetryError
from eomsym.losses.objective import Objective
from eomsym.symmetries.noether import Symmetry
from eomsym.symmetries.symmetry import RescalingSymmetry, ScaleInvariance, TranslationInvariance
from eomsym.types import Array

__all__ = ["measured_symmetries"]

#: A block whose part of the gradient is below this share does nothing: it has every symmetry.
NOTHING = 1e-12


def measured_symmetries(loss: Objective, start: Array) -> list[Symmetry]:
    """The symmetries of blocks, of neighbouring blocks together, and between neighbouring matrices that hold.

    Each is held against its two identities at two points, see :meth:`eomsym.symmetries.noether.Symmetry.check`. A block
    that does nothing to the loss, such as a bias in front of a batch normalisation, is left out of scalings.

    Parameters
    ----------
    loss : Objective
    start : ndarray, shape (n,)
        Where it is measured, and beside it.
    """
    random = np.random.default_rng(0).standard_normal(loss.size)
    points = [start, start + 0.1 * random * np.linalg.norm(start) / np.linalg.norm(random)]
    gradient = compile(loss, 0).gradient(points[1])
    alive = {
        name for name, block in loss.blocks.items() if _length(gradient[block.place]) > NOTHING * _length(gradient)
    }
    found: list[Symmetry] = []
    for symmetry in _candidates(loss, alive):
        taken = {name for one in found if isinstance(one, ScaleInvariance) for name in np.atleast_1d(one.block)}
        if isinstance(symmetry, ScaleInvariance) and taken & set(np.atleast_1d(symmetry.block)):
            continue
        pairs = {one.layers for one in found if isinstance(one, RescalingSymmetry)}
        if isinstance(symmetry, RescalingSymmetry) and symmetry.layers in pairs:
            continue
        if all(_holds(symmetry, loss, point) for point in points):
            found.append(symmetry)
    return found


def _length(vector: Array) -> float:
    return float(np.linalg.norm(vector))


def _candidates(loss: Objective, alive: set[str]) -> Iterator[Symmetry]:
    """Single blocks before pairs."""
    blocks = loss.blocks
    yield from (ScaleInvariance(name) for name in blocks if name in alive)
    yield from (ScaleInvariance(pair) for pair in pairwise(blocks) if set(pair) <= alive)
    yield from (TranslationInvariance(name) for name in blocks)
    matrices = [name for name, block in blocks.items() if len(block.shape) == 2]
    for layers in pairwise(matrices):
        for axes in product((0, 1), (1, 0)):  # of either matrix the hidden units are the rows or the columns
            sizes = [blocks[name].shape[axis] for name, axis in zip(layers, axes, strict=True)]
            if sizes[0] == sizes[1]:
                yield from _rescalings(loss, layers, axes, sizes[0])


def _rescalings(
    loss: Objective, layers: tuple[str, str], axes: tuple[int, int], size: int
) -> Iterator[RescalingSymmetry]:
    """By any matrix before by a diagonal one; the bias stands between the layers, or anywhere, or there is none."""
    names = list(loss.blocks)
    between = names[names.index(layers[0]) + 1 : names.index(layers[1])]
    anywhere = [name for name in names if loss.blocks[name].shape == (size,) and name not in between]
    biases = [None, *anywhere] if not between else between if len(between) == 1 else []
    for whole in (True, False):
        yield from (RescalingSymmetry(layers, bias=bias, matrix=whole, axes=axes) for bias in biases)


def _holds(symmetry: Symmetry, loss: Objective, point: Array) -> bool:
    try:
        symmetry.check(loss, point)
    except (SymmetryError, ShapeError):
        return False
    return True
