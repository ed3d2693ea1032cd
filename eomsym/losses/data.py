"""Data that ship with scikit-learn, and what is done to data before training."""

from __future__ import annotations

from typing import Any

import numpy as np

from eomsym import checks
from eomsym.errors import InputError, MissingDependencyError, ShapeError

__all__ = ["digits", "standardised", "whitened"]


def digits(images: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Handwritten digits of 8 x 8 pixels, standardised.

    Parameters
    ----------
    images : int, optional
        The first so many of 1797, standardised by themselves; all by default.

    Returns
    -------
    inputs : ndarray, shape (images, 64)
    labels : ndarray of int, shape (images,)

    Raises
    ------
    InputError
        More images than there are, or fewer than two.
    MissingDependencyError
        scikit-learn is not installed.

    Examples
    --------
    >>> inputs, labels = digits(100)
    >>> inputs.shape, labels[:3].tolist()
    ((100, 64), [0, 1, 2])

    References
    ----------
    E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository (1998),
    doi:10.24432/C50P49.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingDependencyError("the digits need scikit-learn; type: pip install 'eomsym[data]'") from error
    pixels, labels = load_digits(return_X_y=True)
    count = len(pixels) if images is None else checks.count(images, "images", 2, len(pixels))
    return standardised(pixels[:count]), np.array(labels[:count], dtype=np.int64)


def standardised(inputs: Any) -> np.ndarray:
    """Each feature with mean 0 and variance 1 over the samples; a feature that does not vary becomes 0.

    Parameters
    ----------
    inputs : array_like, shape (samples, features)

    Returns
    -------
    ndarray, shape (samples, features)

    Raises
    ------
    ShapeError, InputError
        The inputs are not a finite matrix.

    Examples
    --------
    >>> standardised([[1.0, 7.0], [3.0, 7.0]])
    array([[-1.,  0.],
           [ 1.,  0.]])
    """
    centred = _centred(inputs)
    spread = np.sqrt((centred**2).mean(axis=0))
    varies = spread > 1e-12 * np.abs(np.asarray(inputs, dtype=np.float64)).max(axis=0)
    return np.where(varies, centred, 0) / np.where(varies, spread, 1)


def whitened(inputs: Any) -> np.ndarray:
    """Inputs with mean 0 and second moment ``XᵀX / samples = I``, by the symmetric root (ZCA).

    Parameters
    ----------
    inputs : array_like, shape (samples, features)

    Returns
    -------
    ndarray, shape (samples, features)

    Raises
    ------
    InputError
        The features are linearly dependent, so that no linear map whitens them.

    Examples
    --------
    >>> x = whitened(np.random.default_rng(0).standard_normal((20, 3)))
    >>> bool(np.allclose(x.T @ x / 20, np.eye(3)))
    True
    """
    centred = _centred(inputs)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    if not values[0] > 1e-12 * values[-1]:
        rank = int(np.count_nonzero(values > 1e-12 * max(values[-1], 0.0)))
        raise InputError(
            f"{centred.shape[1]} features of {len(centred)} samples have rank {rank} and cannot be whitened; "
            "drop or combine features (principal components), or give more samples"
        )
    white: np.ndarray = centred @ (vectors / np.sqrt(values)) @ vectors.T
    return white


def _centred(inputs: Any) -> np.ndarray:
    array = checks.array(inputs, "inputs")
    if array.ndim != 2 or not array.size:
        raise ShapeError(f"inputs have shape {array.shape}, expected (samples, features)")
    centred: np.ndarray = array - array.mean(axis=0)
    return centred
