"""Data of cases by name: digits, synthetic ones, and files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from eomsym.errors import InputError
from eomsym.losses.data import digits

__all__ = ["named_data", "read_data", "synthetic"]

Array = np.ndarray
SAMPLES = 20


def named_data(
    name: str, inputs: int, outputs: int, samples: int | None = None, objective: str = "mse", seed: int = 0
) -> tuple[Array, Array]:
    """Inputs and targets of a network.

    Parameters
    ----------
    name : str
        ``"digits"``, ``"synthetic"``, or a file ``.npz`` (arrays ``inputs`` and ``targets``) or ``.csv`` (a row a
        sample: its inputs, then its targets, or its class).
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
    targets : ndarray, shape (samples, outputs)

    Raises
    ------
    InputError
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
            raise InputError(f"digits have 64 inputs and 10 classes, and the network {inputs} and {outputs}")
        pixels, labels = digits(samples)
        return pixels, np.eye(outputs)[labels]
    found, targets = read_data(name, outputs)
    if found.shape[1] != inputs:
        raise InputError(f"{name} has {found.shape[1]} inputs a sample, and the network takes {inputs}")
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


def read_data(name: str, outputs: int) -> tuple[Array, Array]:
    """Inputs and targets from a file ``.npz`` or ``.csv``; errors name the file and what it should hold."""
    path = Path(name)
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as held:
                if missing := [key for key in ("inputs", "targets") if key not in held]:
                    raise InputError(f"{name} has no array {' and '.join(missing)}; it has {', '.join(held) or 'none'}")
                inputs, targets = np.asarray(held["inputs"]), np.asarray(held["targets"])
        elif path.suffix == ".csv":
            table = np.genfromtxt(path, delimiter=",", ndmin=2)
            table = table[1:] if np.isnan(table[:1]).all() else table  # a heading
            if np.isnan(table).any():
                row, column = np.argwhere(np.isnan(table))[0] + 1
                raise InputError(f"{name}: row {row}, column {column} is not a number")
            width = 1 if table.shape[1] <= outputs or _classes(table[:, -1], outputs) else outputs
            inputs, targets = table[:, :-width], table[:, -width:]
        else:
            raise InputError(f"data {name!r}: expected 'digits', 'synthetic', or a file .npz or .csv")
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"cannot read {name}: {getattr(error, 'strerror', None) or error}") from error
    if len(inputs) != len(targets):
        raise InputError(f"{name} has {len(inputs)} inputs and {len(targets)} targets; expected one for each")
    inputs = np.asarray(inputs, dtype=np.float64).reshape(len(inputs), -1)
    targets = np.asarray(targets, dtype=np.float64).reshape(len(targets), -1)
    if targets.shape[1] == 1 and outputs > 1 and _classes(targets[:, 0], outputs):
        targets = np.eye(outputs)[targets[:, 0].astype(int)]
    if targets.shape[1] != outputs:
        raise InputError(f"{name} has {targets.shape[1]} targets a sample, and the network {outputs} outputs")
    return inputs, targets


def _classes(column: Array, outputs: int) -> bool:
    """Whether a column holds class numbers 0 … outputs - 1."""
    return outputs > 1 and bool(np.all((column == column.round()) & (column >= 0) & (column < outputs)))
