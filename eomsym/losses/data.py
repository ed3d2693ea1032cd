"""Data that ship with scikit-learn, what is done to data before training, and what makes data fit a network."""

from __future__ import annotations

import gzip
import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from eomsym import checks
from eomsym.errors import InputError, MissingDependencyError, ShapeError

__all__ = ["checked_data", "checked_inputs", "digits", "standardised", "whitened"]


def digits(images: int | None = None, *, standard: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Handwritten digits of 8 x 8 pixels, standardised.

    Parameters
    ----------
    images : int, optional
        The first so many of 1797, standardised by themselves; all by default.
    standard : bool
        Whether to standardise; else pixels lie between 0 and 1.

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
    pixels, labels = _digits()
    count = len(pixels) if images is None else checks.count(images, "images", 2, len(pixels))
    inputs = standardised(pixels[:count]) if standard else pixels[:count] / 16
    return inputs, np.array(labels[:count], dtype=np.int64)


def _digits() -> tuple[np.ndarray, np.ndarray]:
    """All pixels and labels; from the file of scikit-learn where it lies, since its import takes a second."""
    found = importlib.util.find_spec("sklearn")
    if found is None or found.origin is None:
        raise MissingDependencyError("the digits need scikit-learn; type: pip install 'eomsym[data]'")
    path = Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz"
    if path.is_file():
        table = _read(path)
        return table[:, :-1], table[:, -1].astype(np.int64)
    from sklearn.datasets import load_digits  # where a later version keeps them elsewhere

    pixels, labels = load_digits(return_X_y=True)
    return pixels, labels


@lru_cache(maxsize=1)
def _read(path: Path) -> np.ndarray:
    """The table of pixels and labels; read once."""
    with gzip.open(path, "rt", encoding="ascii") as file:
        table: np.ndarray = np.loadtxt(file, delimiter=",")
    table.setflags(write=False)
    return table


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


def checked_inputs(inputs: Any) -> tuple[np.ndarray, tuple[int, ...]]:
    """Inputs as read-only float64 rows of features, and the shape of one sample."""
    x = checks.array(inputs, "inputs")
    if x.ndim not in (2, 3, 4):
        raise ShapeError(
            f"inputs have shape {x.shape}, expected (samples, features) or images of shape (samples, channels, height, "
            "width); for one sample type inputs[None], for one feature inputs[:, None]"
        )
    if not x.size:
        raise ShapeError(
            f"inputs of shape {x.shape} hold no {'samples' if not len(x) else 'features'}; give at least one"
        )
    shape = x.shape[1:] if x.ndim != 3 else (1, *x.shape[1:])
    rows = x.reshape(len(x), -1)
    rows.setflags(write=False)
    return rows, shape


def checked_data(inputs: np.ndarray, targets: Any, loss: str, outputs: int) -> np.ndarray:
    """Targets as a read-only float64 array of shape (samples, outputs)."""
    y = checks.array(targets, "targets")
    samples = len(inputs)
    if y.ndim and len(y) != samples:
        raise ShapeError(f"inputs hold {samples} samples and targets {len(y)}; give one target for each sample")
    if loss == "cross_entropy" and y.ndim == 1:
        y = one_hot(y, outputs)
    if y.shape != (samples, outputs):
        hints = {
            1: f'type loss="cross_entropy" for labels, or targets of {outputs} numbers for each sample'
            if outputs > 1
            else "type targets[:, None]",
            2: f"give a last layer of {y.shape[-1] if y.ndim else 1} units, or other targets",
        }
        hint = hints.get(y.ndim, "give one row for each sample")
        raise ShapeError(f"targets have shape {y.shape}, expected ({samples}, {outputs}); {hint}")
    if loss == "cross_entropy" and not ((y >= 0).all() and np.allclose(y.sum(axis=1), 1)):
        raise InputError(
            "targets of cross_entropy must be labels, or rows of probabilities that sum to 1; type "
            'loss="mse" for other numbers'
        )
    y.setflags(write=False)
    return y


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """Rows of the identity for integer labels 0..classes-1."""
    if not np.equal(np.mod(labels, 1), 0).all():
        raise InputError(f"labels must be integers from 0 to {classes - 1}, got {labels[np.mod(labels, 1) != 0][0]:g}")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        hint = "labels - 1" if low == 1 and high == classes else f"a last layer of {high + 1} units"
        hint = "numpy.unique(labels, return_inverse=True)[1]" if low < 0 else hint
        raise InputError(f"labels must be integers from 0 to {classes - 1}, got {low} to {high}; give {hint}")
    return np.eye(classes)[labels.astype(np.int64)]
