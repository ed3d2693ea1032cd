"""Lengths of vectors whose squares are no numbers of float64."""

from __future__ import annotations

import numpy as np

from eomsym.types import Array

__all__ = ["lengths"]


def lengths(vectors: Array) -> Array:
    """Euclidean norms along the last axis; as `numpy.linalg.norm` where no square is too small or too large.

    Counter terms are products of many derivatives: of a loss in small units they are below 1e-160, and squares vanish.

    Parameters
    ----------
    vectors : ndarray, shape (..., n)

    Returns
    -------
    ndarray, shape (...)

    Examples
    --------
    >>> lengths(np.array([[3e-200, 4e-200], [3.0, 4.0]]))
    array([5.e-200, 5.e+000])
    """
    _, powers = np.frexp(np.abs(vectors).max(axis=-1, initial=0.0))
    found: Array = np.ldexp(np.linalg.norm(np.ldexp(vectors, -powers[..., None]), axis=-1), powers)
    return found
