"""Data of cases by name: digits, synthetic ones, and files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from eomsym.errors import InputError, ShapeError
from eomsym.files import content
from eomsym.losses.data import digits

__all__ = ["named_data", "read_data", "synthetic"]

Array = np.ndarray
SAMPLES = 20
#: What the arrays of an archive may be called.
INPUTS, TARGETS = ("inputs", "x", "X", "x_train"), ("targets", "labels", "y", "Y", "y_train")


def named_data(
    name: str, inputs: int, outputs: int, samples: int | None = None, objective: str = "mse", seed: int = 0
) -> tuple[Array, Array]:
    """Inputs and targets of a network.

    Parameters
    ----------
    name : str
        ``"digits"``, ``"synthetic"``, or a file, see `read_data`.
    inputs, outputs : int
        Width of the first and of the last layer.
    samples : int, optional
        How many; all of a file and 20 synthetic ones by default.
    objective : {"mse", "cross_entropy"}
    seed : int
        Of synthetic data.

    Returns
    -------
    inputs : ndarray, shape (samples, inputs)
    targets : ndarray, shape (samples, outputs), or (samples,) for classes

    Raises
    ------
    InputError, ShapeError
        The file cannot be read, or does not fit the network.

    Examples
    --------
    >>> x, y = named_data("synthetic", 3, 2, samples=5)
    >>> x.shape, y.shape
    ((5, 3), (5, 2))
    """
    if name == "synthetic":
        return synthetic(inputs, outputs, samples or SAMPLES, objective, seed)
    if name == "digits":
        if (inputs, outputs) != (64, 10):
            raise InputError(
                f"network: widths is [{inputs}, …, {outputs}], and digits have 64 inputs and 10 classes; "
                "expected widths such as [64, 16, 10], or other data"
            )
        pixels, labels = digits(samples)
        return pixels, np.eye(outputs)[labels]
    found, targets = read_data(Path(name), (inputs, outputs), objective)
    return found[:samples], targets[:samples]


def synthetic(inputs: int, outputs: int, samples: int, objective: str, seed: int) -> tuple[Array, Array]:
    """Normal inputs; targets by a random linear map, or the class that it makes largest.

    Examples
    --------
    >>> synthetic(2, 3, 4, "cross_entropy", 0)[1].sum(axis=1)
    array([1., 1., 1., 1.])
    """
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((samples, inputs))
    y = x @ rng.standard_normal((inputs, outputs)) / np.sqrt(inputs)
    return x, np.eye(outputs)[y.argmax(axis=1)] if objective == "cross_entropy" else y


def read_data(path: Path, widths: tuple[int, ...], objective: str) -> tuple[Any, Any]:
    """Inputs and targets of a network.

    Parameters
    ----------
    path : Path
        ``.npz`` with arrays `inputs` and `targets` (also `x` and `y`, or `labels`); or ``.csv``, with or without a
        heading, whose first ``widths[0]`` columns are inputs, and whose other columns are targets. For cross-entropy
        one column of class numbers will do.
    widths : tuple of int
    objective : {"mse", "cross_entropy"}

    Returns
    -------
    inputs : ndarray, shape (samples, widths[0])
    targets : ndarray, shape (samples, widths[-1]); or (samples,) of int, classes

    Raises
    ------
    InputError, ShapeError
        The file cannot be read, or its columns do not fit the network.
    """
    readers = {".npz": _archive, ".csv": _table}
    if path.suffix.lower() not in readers:
        raise InputError(f"data {path}: expected 'digits', 'synthetic', or a file that ends in .npz or .csv")
    inputs, targets = readers[path.suffix.lower()](path, widths[0])
    if objective == "cross_entropy":
        classes = targets[:, 0] if targets.ndim == 2 and targets.shape[1] == 1 and widths[-1] > 1 else targets
        if classes.ndim == 1:
            if not np.array_equal(classes, np.round(classes)):
                raise InputError(f"data {path}: classes must be whole numbers from 0 on, got {classes[:3].tolist()}")
            targets = classes.astype(np.int64)
    elif targets.ndim == 1:
        targets = targets.reshape(len(targets), -1)
    return inputs, targets


def _archive(path: Path, columns: int) -> tuple[Any, Any]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except OSError as error:
        raise InputError(f"data {path}: {error.strerror or error}") from error
    except Exception as error:  # zipfile, zlib and numpy each have errors of their own
        raise InputError(f"data {path}: cannot be read as an .npz archive of arrays ({error})") from error
    found = [next((arrays[name] for name in names if name in arrays), None) for names in (INPUTS, TARGETS)]
    if found[0] is None or found[1] is None:
        raise InputError(
            f"data {path}: expected arrays `inputs` and `targets`, got {', '.join(arrays) or 'nothing'}; "
            "write it with numpy.savez(path, inputs=..., targets=...)"
        )
    return found[0], found[1]


def _table(path: Path, columns: int) -> tuple[Any, Any]:
    try:
        lines = content(path).decode("utf-8-sig").splitlines()
    except OSError as error:
        raise InputError(f"data {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"data {path}: cannot be read as text ({error})") from error
    rows: list[list[float]] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            rows.append([float(word) for word in line.split(",")])
        except ValueError as error:
            if rows or number > 1:  # the first line may be a heading
                raise InputError(f"data {path}, line {number}: expected numbers, got {line[:40]!r}") from error
        if rows and len(rows[-1]) != len(rows[0]):
            raise InputError(
                f"data {path}, line {number}: {len(rows[-1])} columns, the lines above have {len(rows[0])}"
            )
    if not rows:
        raise InputError(f"data {path}: no lines of numbers")
    table = np.array(rows)
    if table.shape[1] <= columns:
        raise ShapeError(
            f"data {path}: {table.shape[1]} columns; the network takes {columns} inputs, and targets come after them"
        )
    return table[:, :columns], table[:, columns:]
