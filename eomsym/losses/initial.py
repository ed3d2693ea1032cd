"""Where training starts: random weights of a network."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from eomsym import checks
from eomsym.errors import InputError, ShapeError

__all__ = ["SCHEMES", "balanced", "drawing", "orthonormal", "weights"]

#: (rows, columns) -> matrix
Draw = Callable[[int, int], np.ndarray]
#: (random, rows, columns) -> matrix
Scheme = Callable[[np.random.Generator, int, int], np.ndarray]

#: Deviations of normal weights by scheme, from outputs (rows) and inputs (columns) of the layer.
DEVIATIONS: dict[str, Callable[[int, int], float]] = {
    "xavier": lambda rows, columns: math.sqrt(2 / (rows + columns)),
    "he": lambda rows, columns: math.sqrt(2 / columns),
    "near_zero": lambda rows, columns: 1e-2,
}
SCHEMES = (*DEVIATIONS, "balanced")


def generator(seed: int | np.random.Generator) -> np.random.Generator:
    """The generator of a seed, or the one that was given.

    Raises
    ------
    InputError
        The seed is neither.

    Examples
    --------
    >>> generator("a")
    Traceback (most recent call last):
    ...
    eomsym.errors.InputError: seed must be an integer >= 0 (or a numpy.random.Generator), got 'a'; type seed=0
    """
    if isinstance(seed, np.random.Generator):
        return seed
    return np.random.default_rng(checks.count(seed, "seed", 0, note="or a numpy.random.Generator"))


def weights(
    widths: Sequence[int], scheme: str | Scheme, seed: int | np.random.Generator, scale: float = 1.0
) -> list[np.ndarray]:
    """Weight matrices ``W_1 … W_n``, shapes (widths[j], widths[j-1]).

    Parameters
    ----------
    widths : sequence of int
        Inputs, hidden layers, outputs.
    scheme : {"xavier", "he", "near_zero", "balanced"} or callable
        Normal weights of variance ``2/(inputs + outputs)`` (Glorot and Bengio), ``2/inputs`` (He et al.) or ``1e-4``;
        or `balanced` factors of a Xavier matrix; or a function ``(random, rows, columns) -> matrix``.
    seed : int or numpy.random.Generator
    scale : float
        Factor of all weights.

    Raises
    ------
    InputError
        Unknown scheme, `scale` that is not finite, or widths that cannot be balanced.
    ShapeError
        A function gave a matrix of another shape.

    Examples
    --------
    >>> first, second = weights((3, 2, 2), "balanced", seed=0)
    >>> bool(np.allclose(second.T @ second, first @ first.T))
    True

    References
    ----------
    X. Glorot and Y. Bengio, Understanding the difficulty of training deep feedforward neural networks, AISTATS 2010.
    K. He, X. Zhang, S. Ren and J. Sun, Delving deep into rectifiers, ICCV 2015, doi:10.1109/ICCV.2015.123.
    """
    scale = checks.number(scale, "scale", such_as=1)
    random = generator(seed)
    if scheme == "balanced":
        rows, columns = widths[-1], widths[0]
        matrix = DEVIATIONS["xavier"](rows, columns) * random.standard_normal((rows, columns))
        return [scale * factor for factor in balanced(matrix, widths, random)]
    draw = drawing(scheme, random, scale)
    return [draw(rows, columns) for columns, rows in pairwise(widths)]


def drawing(scheme: str | Scheme, seed: int | np.random.Generator, scale: float = 1.0) -> Draw:
    """A function that draws one matrix after the other, from its rows and columns."""
    scale = checks.number(scale, "scale", such_as=1)
    random = generator(seed)
    if not callable(scheme):
        deviation = DEVIATIONS[checks.choice(scheme, "scheme", SCHEMES, ", or give a function")]
        return lambda rows, columns: scale * (deviation(rows, columns) * random.standard_normal((rows, columns)))

    def draw(rows: int, columns: int) -> np.ndarray:
        matrix = np.asarray(scheme(random, rows, columns), dtype=np.float64)
        if matrix.shape != (rows, columns):
            raise ShapeError(f"the scheme gave a matrix of shape {matrix.shape}, expected {(rows, columns)}")
        return np.asarray(scale * matrix)

    return draw


def balanced(matrix: Any, widths: Sequence[int], seed: int | np.random.Generator = 0) -> list[np.ndarray]:
    """Factors ``W_1 … W_n`` of a matrix with ``W_{j+1}ᵀ W_{j+1} = W_j W_jᵀ``.

    From the singular value decomposition ``U S Vᵀ`` every factor gets ``S**(1/n)`` between random orthonormal bases of
    the hidden layers.

    Parameters
    ----------
    matrix : array_like, shape (widths[-1], widths[0])
        The end-to-end matrix ``W_n ⋯ W_1``.
    widths : sequence of int
    seed : int or numpy.random.Generator

    Returns
    -------
    list of ndarray, shapes (widths[j], widths[j-1])

    Raises
    ------
    ShapeError
        The matrix does not fit the widths.
    InputError
        A hidden layer is narrower than the rank of the matrix.

    Examples
    --------
    >>> first, second = balanced([[3.0, 4.0]], (2, 3, 1))
    >>> (second @ first).round(12)
    array([[3., 4.]])
    >>> balanced(np.eye(2), (2, 1, 2))
    Traceback (most recent call last):
    ...
    eomsym.errors.InputError: widths (2, 1, 2) cannot be balanced: a hidden layer of width 1 cannot carry a matrix of
    rank 2; make hidden layers at least 2 wide

    References
    ----------
    S. Arora, N. Cohen and E. Hazan, On the Optimization of Deep Networks: Implicit Acceleration by
    Overparameterization, ICML 2018, arXiv:1802.06509, definition of balancedness in theorem 1.
    """
    target = np.array(matrix, dtype=np.float64)
    if target.shape != (widths[-1], widths[0]):
        raise ShapeError(f"the matrix has shape {target.shape}, expected {(widths[-1], widths[0])} for {widths}")
    random = generator(seed)
    left, values, right = np.linalg.svd(target, full_matrices=False)
    rank = int(np.count_nonzero(values > values[0] * max(target.shape) * np.finfo(float).eps))
    narrow = min(widths[1:-1], default=rank)
    if narrow < rank:
        raise InputError(
            f"widths {tuple(widths)} cannot be balanced: a hidden layer of width {narrow} cannot carry a matrix of "
            f"rank {rank}; make hidden layers at least {rank} wide"
        )
    depth = len(widths) - 1
    bases = [right[:rank].T, *(orthonormal(random, width, rank) for width in widths[1:-1]), left[:, :rank]]
    middle = values[:rank] ** (1 / depth)
    return [(bases[j + 1] * middle) @ bases[j].T for j in range(depth)]


def orthonormal(random: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Random orthonormal columns, shape (rows, columns)."""
    factor, triangle = np.linalg.qr(random.standard_normal((rows, columns)))
    signed: np.ndarray = factor * np.where(np.diag(triangle) < 0, -1, 1)
    return signed
