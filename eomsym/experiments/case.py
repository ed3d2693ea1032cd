"""A case: loss, optimiser, orders, step sizes, time, start and seed as plain data, and what it is worth.

A case travels to other processes and machines, lies in files, and is known by the hash of its definition; arrays are
made where it runs.
"""

from __future__ import annotations

import hashlib
import json
import math
import runpy
import time as clock
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from eomsym.errors import EomsymError, InputError
from eomsym.experiments.data import named_data
from eomsym.experiments.suite import PROBLEMS
from eomsym.losses.expression import Field, Loss
from eomsym.losses.layers import Activation, Layer, Linear
from eomsym.losses.network import DeepLinear, Network
from eomsym.losses.normalisation import BatchNorm, LayerNorm, WeightNorm
from eomsym.losses.objective import Objective
from eomsym.optimisers.base import Method
from eomsym.optimisers.names import build
from eomsym.verification.order import Report, verify

__all__ = ["Case", "Outcome", "run_case"]

#: What a case may say, and of what type.
KEYS: dict[str, tuple[type, ...]] = {
    "problem": (str,),
    "loss": (str,),
    "field": (str, list),
    "variables": (str,),
    "network": (dict,),
    "file": (str,),
    "file_hash": (str,),
    "start": (list,),
    "weight_decay": (int, float, str),
    "method": (str, dict),
    "time": (int, float),
    "orders": (list,),
    "ladder": (list,),
    "seed": (int,),
}
NETWORK_KEYS: dict[str, tuple[type, ...]] = {
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


def _check_finite(plain: Any) -> None:
    """Refuse NaN and infinity, which no JSON has."""
    if isinstance(plain, float) and not math.isfinite(plain):
        raise InputError(f"the numbers of a case must be finite, got {plain}; leave it out or replace it")
    for one in plain.values() if isinstance(plain, dict) else plain if isinstance(plain, list) else ():
        _check_finite(one)


@dataclass(frozen=True)
class Case:
    """One thing to verify, as data.

    Parameters
    ----------
    definition : mapping
        Exactly one of ``problem`` (a name of the suite), ``loss`` or ``field`` (expressions, with ``variables`` and
        ``start``), ``network`` (a table: ``widths``, or ``depth`` and ``width``; ``data``: ``"digits"``,
        ``"synthetic"`` or a file; ``samples``, ``activation``, ``objective``, ``normalisation``, ``scheme``,
        ``scale``) and ``file`` (Python that defines ``loss`` and ``start``). Beside it ``method`` (a name, or a table
        with ``name`` and the parameters), ``weight_decay``, ``time``, ``orders``, ``ladder`` and ``seed``.

    Raises
    ------
    InputError
        The definition says what no case says, says it in the wrong type, or leaves out what is needed.

    Examples
    --------
    >>> case = Case({"loss": "x**4/4", "variables": "x", "start": [1.0], "orders": [0, 1], "ladder": [20, 40]})
    >>> case.key[:8], case.title
    ('...', 'x**4/4')
    >>> run_case(case).status
    'passed'
    """

    definition: Mapping[str, Any]

    def __post_init__(self) -> None:
        if not isinstance(self.definition, Mapping):
            raise InputError(f"a case is a mapping such as {{'problem': 'rosenbrock'}}, got {self.definition!r}")
        plain = json.loads(json.dumps(dict(self.definition), default=_plain))
        check_keys(plain, KEYS, "a case")
        _check_finite(plain)
        named = [name for name in SOURCES if name in plain]
        if len(named) != 1:
            raise InputError(f"a case has one of {', '.join(SOURCES)}; got {', '.join(named) or 'none'}")
        if named[0] in ("loss", "field") and not {"variables", "start"} <= set(plain):
            raise InputError(f"{named[0]} needs variables and start, such as variables = 'x y', start = [-0.5, 1]")
        if "network" in plain:
            check_keys(plain["network"], NETWORK_KEYS, "network")
        if "file" in plain:
            plain["file_hash"] = _hash_of(plain["file"])
        object.__setattr__(self, "definition", plain)

    @cached_property
    def text(self) -> str:
        """The definition as JSON, the same text for the same case."""
        return json.dumps(self.definition, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @cached_property
    def key(self) -> str:
        """Hash of the definition."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:32]

    @property
    def method_title(self) -> str:
        """The optimiser in words."""
        given = self.definition.get("method", "gd")
        options = {} if isinstance(given, str) else {key: value for key, value in given.items() if key != "name"}
        return told(given if isinstance(given, str) else str(given.get("name")), options).rstrip(", ")

    @property
    def title(self) -> str:
        """What tables call it."""
        for name in SOURCES:
            if name in self.definition:
                what = self.definition[name]
                return what if isinstance(what, str) else told(name, what)
        raise InputError("a case without a source")

    def method(self) -> Method:
        """The optimiser."""
        given = self.definition.get("method", "gd")
        options = {"name": given} if isinstance(given, str) else dict(given)
        if "name" not in options:
            raise InputError(f"method is {given!r}; expected a table with a name, such as name = 'heavy-ball'")
        name = options.pop("name")
        exact = {key: _exact(value) for key, value in options.items()}
        made: Method = build(name, **exact)
        return made

    def problem(self) -> tuple[Objective, np.ndarray, float, tuple[int, ...]]:
        """Loss, start, and the time and ladder that are meant where the case says none."""
        said, seed = self.definition, self.definition.get("seed", 0)
        time = 1.0
        ladder: tuple[int, ...] = (10, 20, 40, 80)
        loss: Objective
        start: Any
        if "problem" in said:
            if said["problem"] not in PROBLEMS:
                raise InputError(f"unknown problem {said['problem']!r}; choose one of {', '.join(PROBLEMS)}")
            known = PROBLEMS[said["problem"]]
            (loss, start), time, ladder = known.build(), known.time, known.steps
        elif "loss" in said:
            loss, start = Loss(said["loss"], variables=said["variables"]), said["start"]
        elif "field" in said:
            parts = said["field"].split(";") if isinstance(said["field"], str) else said["field"]
            loss, start = Field(parts, variables=said["variables"]), said["start"]
        elif "file" in said:
            loss, start = _from_file(said["file"], said["file_hash"])
        else:
            loss, start = _network(said["network"], seed)
        if "weight_decay" in said:
            loss = loss.with_weight_decay(_exact(said["weight_decay"]))
        if "start" in said:
            start = said["start"]
        return loss, np.asarray(start, dtype=np.float64), time, ladder

    def verify(self) -> Report:
        """The verdict; errors are raised."""
        loss, start, time, ladder = self.problem()
        return verify(
            loss,
            start,
            time=float(self.definition.get("time", time)),
            ladder=self.definition.get("ladder", ladder),
            orders=self.definition.get("orders", range(4)),
            method=self.method(),
            name=self.title,
        )


@dataclass(frozen=True)
class Outcome:
    """What a case gave.

    Attributes
    ----------
    case : Case
    status : {"passed", "failed", "inconclusive", "error"}
    orders : list of dict
        For each order: slope, expected slope, ratio to the leading error, misfit, errors, predictions, status, reason.
    error : str
        What went wrong, where the case could not be judged.
    size : int
        Number of parameters.
    seconds : float
    """

    case: Case
    status: str
    orders: list[dict[str, Any]]
    error: str = ""
    size: int = 0
    seconds: float = 0.0


def run_case(case: Case) -> Outcome:
    """Verify a case; what cannot be judged is an outcome too.

    Parameters
    ----------
    case : Case

    Returns
    -------
    Outcome

    Examples
    --------
    >>> run_case(Case({"loss": "x**", "variables": "x", "start": [1.0]})).status
    'error'
    """
    began = clock.perf_counter()
    try:
        with np.errstate(all="ignore"):  # what overflows is judged, and needs no warning beside
            report = case.verify()
    except EomsymError as error:
        message = f"{type(error).__name__}: {error}"
        return Outcome(case, "error", [], message, seconds=clock.perf_counter() - began)
    except Exception as error:  # an unforeseen one must not end a sweep of thousands
        message = f"unforeseen {type(error).__name__}: {error}"
        return Outcome(case, "error", [], message, seconds=clock.perf_counter() - began)
    rows = [_row(result) for result in report.orders]
    return Outcome(case, report.status, rows, "", report.size, clock.perf_counter() - began)


def check_keys(table: Mapping[str, Any], known: Mapping[str, tuple[type, ...]], where: str) -> None:
    """InputError where a table has an unknown key, or a value of another type."""
    for key, value in table.items():
        if key not in known:
            raise InputError(f"{where} has the unknown key {key!r}; it knows {', '.join(known)}")
        types = known[key]
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            expected = " or ".join(kind.__name__ for kind in types)
            raise InputError(f"{where}: {key} is {value!r}, expected {expected}")


def told(name: str, said: Any) -> str:
    """A table in words.

    Examples
    --------
    >>> told("network", {"depth": 3, "scale": 0.123456})
    'network, depth 3, scale 0.1235'
    """
    if not isinstance(said, Mapping):
        return f"{name} {said:.4g}" if isinstance(said, float) else f"{name} {said}"
    return ", ".join([name, *(told(key, value) for key, value in said.items())])


def _row(result: Any) -> dict[str, Any]:
    j = result.judged
    return {
        "order": result.order,
        "status": result.status,
        "reason": result.reason,
        "expected_slope": result.expected_slope,
        "slope": None if j is None else _finite(result.slopes[j - 1]),
        "ratio": None if j is None else _finite(result.ratios[j]),
        "misfit": None if j is None else _finite(result.misfits[j]),
        "error": _finite(result.errors[-1 if j is None else j]),
        "prediction": _finite(result.predictions[-1 if j is None else j]),
        "reference": _finite(result.references[-1 if j is None else j]),
        "errors": [_finite(x) for x in result.errors],
        "predictions": [_finite(x) for x in result.predictions],
    }


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _plain(value: Any) -> Any:
    """NumPy numbers and ranges as JSON has them."""
    if isinstance(value, (np.integer, np.floating)):
        return value.item()
    if isinstance(value, (np.ndarray, range, tuple, Iterable)):
        return list(value)
    raise InputError(f"a case holds plain data, and got {value!r} of type {type(value).__name__}")


def _exact(value: Any) -> Any:
    """A number of a table as the optimisers read it: floats as they are written."""
    return repr(value) if isinstance(value, float) else value


def _hash_of(path: str) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]
    except OSError as error:
        raise InputError(
            f"file {path!r}: {error.strerror}; give a Python file that defines `loss` and `start`"
        ) from error


def _from_file(path: str, known: str) -> tuple[Objective, Any]:
    if _hash_of(path) != known:
        raise InputError(f"{path} has changed since the case was made; make it again")
    names = runpy.run_path(path)
    if missing := [name for name in ("loss", "start") if name not in names]:
        raise InputError(f"{path} does not define {' and '.join(missing)}; expected `loss` and `start`")
    return names["loss"], names["start"]


def _normalised(widths: list[int], activation: str, normalisation: str) -> list[Layer]:
    """Layers with a normalisation before each activation."""
    kinds = {"batch": BatchNorm, "layer": LayerNorm}
    if normalisation not in (*kinds, "weight"):
        raise InputError(f"network: normalisation is {normalisation!r}, expected batch, layer or weight")
    layers: list[Layer] = []
    for width in widths[1:-1]:
        layers += [WeightNorm(Linear(width))] if normalisation == "weight" else [Linear(width), kinds[normalisation]()]
        layers.append(Activation("tanh" if activation == "linear" else activation))
    return [*layers, Linear(widths[-1])]


def _network(said: Mapping[str, Any], seed: int) -> tuple[Objective, np.ndarray]:
    """A network, its data and its start from a table."""
    data = said.get("data", "synthetic")
    objective = said.get("objective", "mse")
    widths = said.get("widths")
    if widths is None:
        if not {"depth", "width"} <= set(said):
            raise InputError("network needs widths = [4, 4, 2], or depth and width")
        ends = (64, 10) if data == "digits" else (said["width"], said["width"])
        widths = [ends[0], *[said["width"]] * (said["depth"] - 1), ends[1]]
    inputs, targets = named_data(data, widths[0], widths[-1], said.get("samples"), objective, seed)
    activation = said.get("activation", "linear")
    net: Network
    if "normalisation" in said:
        net = Network(_normalised(widths, activation, said["normalisation"]), inputs, targets, loss=objective)
    elif activation == "linear":
        net = DeepLinear(widths, inputs, targets, loss=objective)
    else:
        net = Network(widths, inputs, targets, activation=activation, loss=objective)
    start: np.ndarray = net.initial(seed, scheme=said.get("scheme", "xavier"), scale=said.get("scale", 0.5))
    return net, start
