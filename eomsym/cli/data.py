"""Data for a network from files of the user."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from eomsym.errors import InputError, ShapeError

__all__ = ["read_data"]

#: What the arrays of an archive may be called.
INPUTS, TARGETS = ("inputs", "x", "X", "x_train"), ("targets", "labels", "y", "Y", "y_train")


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
        raise InputError(f"--data {path}: expected a file that ends in .npz or .csv")
    inputs, targets = readers[path.suffix.lower()](path, widths[0])
    if objective == "cross_entropy":
        classes = targets[:, 0] if targets.ndim == 2 and targets.shape[1] == 1 and widths[-1] > 1 else targets
        if classes.ndim == 1:
            if not np.array_equal(classes, np.round(classes)):
                raise InputError(f"--data {path}: classes must be whole numbers from 0 on, got {classes[:3].tolist()}")
            targets = classes.astype(np.int64)
    elif targets.ndim == 1:
        targets = targets.reshape(len(targets), -1)
    return inputs, targets


def _archive(path: Path, columns: int) -> tuple[Any, Any]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except Exception as error:  # zipfile, zlib and numpy each have errors of their own
        raise InputError(f"--data {path}: cannot be read as an .npz archive of arrays ({error})") from error
    found = [next((arrays[name] for name in names if name in arrays), None) for names in (INPUTS, TARGETS)]
    if found[0] is None or found[1] is None:
        raise InputError(
            f"--data {path}: expected arrays `inputs` and `targets`, got {', '.join(arrays) or 'nothing'}; "
            "write it with numpy.savez(path, inputs=..., targets=...)"
        )
    return found[0], found[1]


def _table(path: Path, columns: int) -> tuple[Any, Any]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--data {path}: cannot be read as text ({error})") from error
    rows: list[list[float]] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            rows.append([float(word) for word in line.split(",")])
        except ValueError as error:
            if rows or number > 1:  # the first line may be a heading
                raise InputError(f"--data {path}, line {number}: expected numbers, got {line[:40]!r}") from error
        if rows and len(rows[-1]) != len(rows[0]):
            raise InputError(
                f"--data {path}, line {number}: {len(rows[-1])} columns, the lines above have {len(rows[0])}"
            )
    if not rows:
        raise InputError(f"--data {path}: no lines of numbers")
    table = np.array(rows)
    if table.shape[1] <= columns:
        raise ShapeError(
            f"--data {path}: {table.shape[1]} columns; the network takes {columns} inputs, and targets come after them"
        )
    return table[:, :columns], table[:, columns:]
