"""From the description of a problem to a loss and a start: one room for cases, case files and the command line.

A description is a table of plain data. It says one of ``problem``, ``loss``, ``field``, ``network`` and ``file``, and
what belongs to it.
"""

from __future__ import annotations

import hashlib
import runpy
import shlex
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eomsym.checks import shown
from eomsym.errors import InputError, ShapeError
from eomsym.exact.numbers import as_fraction
from eomsym.experiments.data import named_data
from eomsym.experiments.suite import PROBLEMS, SEED
from eomsym.files import content
from eomsym.losses.expression import Field, Loss
from eomsym.losses.layers import Activation, Layer, Linear
from eomsym.losses.network import DeepLinear, Network
from eomsym.losses.normalisation import BatchNorm, LayerNorm, WeightNorm
from eomsym.losses.objective import Objective
from eomsym.optimisers.names import checked_method

if TYPE_CHECKING:
    from eomsym.optimisers.base import Method

__all__ = [
    "DESCRIPTION",
    "SOURCES",
    "Given",
    "check_description",
    "check_keys",
    "hash_of",
    "make",
    "options_of",
    "told_of_file",
]

#: Time of what has none of its own.
TIME = 1.0
#: What a description may say, and of what type.
DESCRIPTION: dict[str, tuple[type, ...]] = {
    "problem": (str,),
    "loss": (str,),
    "field": (str, list),
    "variables": (str,),
    "network": (dict,),
    "file": (str,),
    "file_hash": (str,),
    "start": (list,),
    "weight_decay": (int, float, str),
    "seed": (int,),
}
NETWORK: dict[str, tuple[type, ...]] = {
    "widths": (list,),
    "depth": (int,),
    "width": (int,),
    "data": (str,),
    "samples": (int,),
    "activation": (str,),
    "objective": (str,),
    "normalisation": (str,),
    "scheme": (str,),
    "scale": (int, float),
}
SOURCES = ("problem", "loss", "field", "network", "file")
NORMALISATIONS = ("batch", "layer", "weight")


@dataclass(frozen=True)
class Given:
    """What a description describes.

    Attributes
    ----------
    loss : Objective, or list of them
        One for each batch.
    start : array_like, shape (n,), or None
        None where none was asked for and none was given.
    name : str
    time : float
    ladder : sequence of int, or None
        None where the problem has none of its own.
    method : Method or None
        That of the user's file, if it has one.
    orders : sequence of int, or None
        Those of a case file.
    seed : int or None
        That of the start, if it was drawn.
    definition : mapping
        The description.
    """

    loss: Any
    start: Any
    name: str
    time: float = TIME
    ladder: Any = None
    method: Method | None = None
    orders: Any = None
    seed: int | None = None
    definition: Mapping[str, Any] = field(default_factory=dict)

    def batches(self, method: Method | None) -> Objective | list[Objective]:
        """The loss, or one for each batch of the method.

        Raises
        ------
        InputError
            The method is none, or needs batches, and the loss has no samples to make them of.
        """
        count = checked_method(method).colours
        if count == 1 or isinstance(self.loss, (list, tuple)):
            return self.loss  # type: ignore[no-any-return]
        if not hasattr(self.loss, "split"):
            raise InputError(
                f"{checked_method(method).name} has one loss for each of {count} batches; give a network on data, such "
                "as --data with --network, or a file with a list `loss`"
            )
        return list(self.loss.split(count))


def check_keys(table: Mapping[str, Any], known: Mapping[str, tuple[type, ...]], where: str) -> None:
    """InputError where a table has an unknown key, or a value of another type."""
    for key, value in table.items():
        if key not in known:
            raise InputError(f"{where} has the unknown key {key!r}; it knows {', '.join(known)}")
        types = known[key]
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            expected = " or ".join(kind.__name__ for kind in types)
            raise InputError(f"{where}: {key} is {shown(value)}, expected {expected}")


def check_description(said: Mapping[str, Any], *, start: bool = True) -> str:
    """The source that a description names, its keys checked.

    Raises
    ------
    InputError
        It names none or several, or something belongs to it that is not there.

    Examples
    --------
    >>> check_description({"loss": "x**2", "variables": "x", "start": [1.0]})
    'loss'
    """
    named = [name for name in SOURCES if name in said]
    if len(named) != 1:
        raise InputError(f"a case has one of {', '.join(SOURCES)}; got {', '.join(named) or 'none'}")
    needed = {"variables", "start"} if start else {"variables"}
    if named[0] in ("loss", "field") and not needed <= set(said):
        raise InputError(f"{named[0]} needs variables and start, such as variables = 'x y', start = [-0.5, 1]")
    if "network" in said:
        check_keys(said["network"], NETWORK, "network")
    return named[0]


def make(said: Mapping[str, Any], *, start: bool = True) -> Given:
    """Make a problem from its description.

    Parameters
    ----------
    said : mapping
        See :class:`eomsym.experiments.case.Case`; other keys than those of the problem are left alone.
    start : bool
        Whether a start is needed.

    Returns
    -------
    Given

    Raises
    ------
    InputError, ShapeError
        The description cannot be made into a loss.

    Examples
    --------
    >>> given = make({"loss": "x**2*y", "variables": "x y", "start": [1, 2], "weight_decay": "1/10"})
    >>> given.loss, given.start
    (<Loss x**2*y (2 parameters, weight decay 1/10)>, [1, 2])
    >>> make({"network": {"depth": 3, "width": 2}, "seed": 4}).name
    'deep linear network 2-2-2-2, mse, 20 samples'
    """
    source = check_description(said, start=start)
    made = {"problem": _named, "loss": _expression, "field": _expression, "network": _network, "file": _file}[source](
        said, start
    )
    loss = made.loss
    if "weight_decay" in said:
        many = isinstance(loss, (list, tuple))
        losses = loss if many else [loss]
        if not all(isinstance(one, Objective) for one in losses):
            raise InputError(f"expected a loss such as eomsym.Loss('x**2', variables='x'), got {type(loss).__name__}")
        decayed = [one.with_weight_decay(_decay(said["weight_decay"])) for one in losses]
        loss = decayed if many else decayed[0]
    point, seed = made.start, made.seed
    if "start" in said:
        point, seed = said["start"], None
    return Given(loss, point, made.name, made.time, made.ladder, made.method, None, seed, dict(said))


def _decay(said: Any) -> Any:
    try:
        return as_fraction(str(said))
    except (ValueError, ZeroDivisionError) as error:
        raise InputError(f"weight_decay: {said!r} is not a number such as 1/1000 or 0.001") from error


def _named(said: Mapping[str, Any], start: bool) -> Given:
    name = said["problem"]
    if name not in PROBLEMS:
        raise InputError(f"unknown problem {name!r}; expected one of {', '.join(PROBLEMS)}")
    known = PROBLEMS[name]
    loss, point = known.build()
    return Given(loss, point, known.title, known.time, tuple(known.steps), seed=SEED)


def _expression(said: Mapping[str, Any], start: bool) -> Given:
    if "loss" in said:
        return Given(Loss(said["loss"], variables=said["variables"]), None, said["loss"])
    parts = said["field"]
    listed = [part.strip() for part in parts.split(";")] if isinstance(parts, str) else parts
    return Given(Field(listed, variables=said["variables"]), None, f"field {'; '.join(map(str, listed))}")


# networks -------------------------------------------------------------------------------------------------------------


def _network(said: Mapping[str, Any], start: bool) -> Given:
    """A network, its data and its start from a table."""
    table, seed = said["network"], said.get("seed", 0)
    data, objective = table.get("data", "synthetic"), table.get("objective", "mse").replace("-", "_")
    widths = table.get("widths")
    if widths is None:
        if not {"depth", "width"} <= set(table):
            raise InputError("network needs widths = [4, 4, 2], or depth and width")
        ends = (64, 10) if data == "digits" else (table["width"], table["width"])
        widths = [ends[0], *[table["width"]] * (table["depth"] - 1), ends[1]]
    if len(widths) < 2 or not all(isinstance(width, int) and width > 0 for width in widths):
        raise InputError(f"network: widths is {widths}, expected two or more positive integers, such as [64, 16, 10]")
    inputs, targets = named_data(data, widths[0], widths[-1], table.get("samples"), objective, seed)
    _check_ends(table, widths, inputs, targets)
    activation = table.get("activation", "linear")
    net: Network
    if "normalisation" in table:
        net = Network(_normalised(widths, activation, table["normalisation"]), inputs, targets, loss=objective)
    elif activation == "linear":
        net = DeepLinear(widths, inputs, targets, loss=objective)
    else:
        net = Network(widths, inputs, targets, activation=activation, loss=objective)
    place = "" if data == "synthetic" else f" on {Path(data).name}"
    point = net.initial(seed, scheme=table.get("scheme", "xavier"), scale=table.get("scale", 0.5))
    return Given(net, point, f"{net.name}{place}", seed=seed)


def _check_ends(table: Mapping[str, Any], widths: list[int], inputs: Any, targets: Any) -> None:
    """ShapeError, with the key that says so, where the first or the last width is not that of the data."""
    if np.ndim(inputs) != 2:  # the network says what it expects
        return
    ends = np.shape(inputs)[1], np.shape(targets)[1] if np.ndim(targets) == 2 else widths[-1]
    if (widths[0], widths[-1]) == ends:
        return
    key = "widths" if "widths" in table else "width"
    fitting = [ends[0], *widths[1:-1], ends[1]]
    raise ShapeError(
        f"network: {key} is {table[key]}, but inputs have shape {np.shape(inputs)} and targets {np.shape(targets)}; "
        f"expected widths = {fitting}, or other data"
    )


def _normalised(widths: list[int], activation: str, normalisation: str) -> list[Layer]:
    """Layers with a normalisation before each activation."""
    kinds = {"batch": BatchNorm, "layer": LayerNorm}
    if normalisation not in NORMALISATIONS:
        raise InputError(f"network: normalisation is {normalisation!r}, expected batch, layer or weight")
    layers: list[Layer] = []
    for width in widths[1:-1]:
        layers += [WeightNorm(Linear(width))] if normalisation == "weight" else [Linear(width), kinds[normalisation]()]
        layers.append(Activation("tanh" if activation == "linear" else activation))
    return [*layers, Linear(widths[-1])]


def options_of(said: Mapping[str, Any]) -> list[str]:
    """A description as it is typed.

    Examples
    --------
    >>> options_of({"loss": "x**2*y", "variables": "x y", "start": [1.0, -2.0]})
    ["--loss 'x**2*y'", "--variables 'x y'", "--start '1.0, -2.0'"]
    >>> options_of({"network": {"widths": [4, 3, 2], "data": "synthetic"}, "seed": 3})
    ['--network 4-3-2', '--data synthetic', '--seed 3']
    """
    told = []
    for key, value in said.items():
        if key == "network":
            told += options_of({**value, "data": value.get("data", "synthetic")})
        elif key == "widths":
            told.append(f"--network {'-'.join(map(str, value))}")
        elif key != "file_hash":
            joined = ("; " if key == "field" else ", ").join(map(str, value)) if isinstance(value, list) else str(value)
            told.append(f"--{key.replace('_', '-')} {shlex.quote(joined)}")
    return told


# files ----------------------------------------------------------------------------------------------------------------


def hash_of(path: str | Path) -> str:
    """Hash of a file that describes a problem.

    Raises
    ------
    InputError
        It cannot be read.
    """
    try:
        return hashlib.sha256(content(path)).hexdigest()[:16]
    except OSError as error:
        raise InputError(
            f"file {str(path)!r}: {error.strerror}; give a Python file that defines `loss` and `start`"
        ) from error


def _file(said: Mapping[str, Any], start: bool) -> Given:
    """Run a user's file and take from it what is asked for."""
    path = said["file"]
    if said.get("file_hash", (found := hash_of(path))) != found:
        raise InputError(f"{path} has changed since the case was made; make it again")
    try:
        names = runpy.run_path(path)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: a file that ends the program is no problem to work on
        raise InputError(told_of_file(path, error)) from error
    needed = ("loss", "start") if start and "start" not in said else ("loss",)
    if missing := [name for name in needed if name not in names]:
        raise InputError(
            f"{path} does not define {' and '.join(missing)}; expected Python that defines `loss` and `start`, "
            "or TOML, whose name ends in .toml; a network reads data by --data FILE"
        )
    name = getattr(names["loss"], "name", Path(path).name)
    return Given(
        names["loss"], names.get("start"), name, names.get("time", TIME), names.get("ladder"), names.get("method")
    )


def told_of_file(path: str | Path, error: BaseException) -> str:
    """What went wrong in a file, with the line."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f"{path}, line {error.lineno}: {type(error).__name__}: {error.msg}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    where = f"{path}, line {lines[-1]}" if lines else str(path)
    return f"{where}: {type(error).__name__}: {error}"
