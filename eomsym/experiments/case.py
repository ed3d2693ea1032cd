"""A case: loss, optimiser, orders, step sizes, time, start and seed as plain data, and what it is worth.

A case travels to other processes and machines, lies in files, and is known by the hash of its definition; arrays are
made where it runs.
"""

from __future__ import annotations

import hashlib
import json
import math
import time as clock
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from eomsym import checks
from eomsym.checks import shown
from eomsym.errors import EomsymError, InputError
from eomsym.experiments.measures import MEASURES, measured
from eomsym.experiments.problem import DESCRIPTION, SOURCES, Given, check_description, check_keys, hash_of, make
from eomsym.optimisers.base import Method
from eomsym.optimisers.names import build
from eomsym.types import Progress
from eomsym.verification.order import Report, verify

__all__ = ["Case", "Outcome", "run_case"]

#: What a case may say, and of what type.
KEYS: dict[str, tuple[type, ...]] = {
    **DESCRIPTION,
    "name": (str,),
    "method": (str, dict),
    "time": (int, float),
    "orders": (list,),
    "ladder": (list,),
    "limit": (int, float),
    "measure": (list,),
}


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
        Exactly one of ``problem`` (a name), ``loss`` or ``field`` (expressions, with ``variables`` and
        ``start``), ``network`` (a table: ``widths``, or ``depth`` and ``width``; ``data``: ``"digits"``,
        ``"synthetic"`` or a file; ``samples``, ``activation``, ``objective``, ``normalisation``, ``scheme``,
        ``scale``) and ``file`` (Python that defines ``loss`` and ``start``). Beside it ``method`` (a name, or a table
        with ``name`` and the parameters), ``weight_decay``, ``time``, ``orders``, ``ladder``, ``seed``, ``limit`` (in
        seconds of CPU time), ``name``, and ``measure``: what to measure beside, a list of ``"sharpness"``,
        ``"bound"`` and ``"layers"``, all with the largest learning rate of the ladder. A ladder that is left out is
        that of the problem, or chooses itself.

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
            raise InputError(
                f"a case is a mapping such as {{'problem': 'rosenbrock'}}, got {shown(self.definition, 200)}"
            )
        plain = json.loads(json.dumps(dict(self.definition), default=_plain))
        check_keys(plain, KEYS, "a case")
        _check_finite(plain)
        check_description(plain)
        for name in plain.get("measure", ()):
            checks.choice(name, "measure", MEASURES)
        if "file" in plain:
            plain["file_hash"] = hash_of(plain["file"])
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
        if "name" in self.definition:
            return str(self.definition["name"])
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
            raise InputError(f"method is {shown(given)}; expected a table with a name, such as name = 'heavy-ball'")
        name = options.pop("name")
        exact = {key: _exact(value) for key, value in options.items()}
        made: Method = build(name, **exact)
        return made

    def problem(self) -> Given:
        """Loss and start, and how they are to be verified."""
        said = self.definition
        made = make(said)
        return replace(
            made,
            name=self.title,
            time=said.get("time", made.time),
            ladder=said.get("ladder", made.ladder),
            orders=said.get("orders"),
            method=self.method() if "method" in said else made.method,
        )

    def verify(self, *, progress: Progress = lambda done, total, label: None) -> Report:
        """The verdict; errors are raised."""
        return self._verified(self.problem(), progress)

    def _verified(self, given: Given, progress: Progress = lambda done, total, label: None) -> Report:
        report = verify(
            given.batches(given.method),
            given.start,
            time=given.time,
            ladder=given.ladder,
            orders=range(4) if given.orders is None else given.orders,
            method=given.method,
            name=given.name,
            limit=self.definition.get("limit", 60.0),
            progress=progress,
        )
        return replace(report, seed=given.seed, setting={**report.setting, "case": dict(self.definition)})

    def outcome(self) -> tuple[Report, dict[str, dict[str, Any]]]:
        """The verdict, and what the case asks for beside it, at the largest learning rate of the verdict."""
        given = self.problem()
        report = self._verified(given)
        orders = [one.order for one in report.orders]
        return report, measured(self.definition.get("measure", ()), given, report.etas[0], report.steps[0], orders)


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
    etas : list of float
        The learning rates that were run, to which errors and predictions belong.
    report : Report or None
        The verdict in full; None where the case could not be judged.
    measures : dict
        What was measured beside, by its name.
    """

    case: Case
    status: str
    orders: list[dict[str, Any]]
    error: str = ""
    size: int = 0
    seconds: float = 0.0
    etas: list[float] = field(default_factory=list)
    report: Report | None = None
    measures: dict[str, Any] = field(default_factory=dict)


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
            report, measures = case.outcome()
    except EomsymError as error:
        message = f"{type(error).__name__}: {error}"
        return Outcome(case, "error", [], message, seconds=clock.perf_counter() - began)
    except Exception as error:  # an unforeseen one must not end a sweep of thousands
        message = f"unforeseen {type(error).__name__}: {error}"
        return Outcome(case, "error", [], message, seconds=clock.perf_counter() - began)
    rows = [_row(result) for result in report.orders]
    spent = clock.perf_counter() - began
    return Outcome(case, report.status, rows, "", report.size, spent, list(report.etas), report, measures)


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
    raise InputError(f"a case holds plain data, and got {shown(value)} of type {type(value).__name__}")


def _exact(value: Any) -> Any:
    """A number of a table as the optimisers read it: floats as they are written."""
    return repr(value) if isinstance(value, float) else value
