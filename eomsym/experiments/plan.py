"""Plans: a TOML file, or a table, that describes many cases: a grid or random draws."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from eomsym import checks
from eomsym.checks import shown
from eomsym.errors import InputError
from eomsym.experiments.case import Case
from eomsym.experiments.problem import Given, check_keys
from eomsym.experiments.toml import place, read_table

__all__ = ["Plan", "problem_of", "read_cases", "read_plan"]

Made = TypeVar("Made")

PLAN_KEYS: dict[str, tuple[type, ...]] = {
    "name": (str,),
    "draws": (int,),
    "seed": (int,),
    "case": (dict,),
    "vary": (dict,),
    "cases": (list,),
}
RANGE_KEYS: dict[str, tuple[type, ...]] = {
    "low": (int, float),
    "high": (int, float),
    "log": (bool,),
    "integer": (bool,),
    "count": (int,),
}


@dataclass(frozen=True)
class Plan:
    """Many cases: what they share, and what varies.

    Attributes
    ----------
    case : dict
        What all cases say, see :class:`eomsym.experiments.case.Case`.
    vary : dict
        From a key, such as ``"seed"`` or ``"network.depth"``, to a list of values, or to a range: a table with ``low``,
        ``high``, and ``log``, ``integer``; in a grid also ``count``.
    draws : int or None
        How many random cases; None is the whole grid.
    seed : int
        Of the draws.
    name : str
    cases : tuple of dict
        More cases, one by one; each is laid over `case`.

    Examples
    --------
    >>> heavy = {"problem": "rosenbrock", "method": {"name": "heavy-ball"}}
    >>> plan = Plan(heavy, {"seed": [0, 1], "method.beta": ["1/2", "1/3"]})
    >>> [case.definition["method"]["beta"] for case in plan.all()]
    ['1/2', '1/3', '1/2', '1/3']
    >>> drawn = Plan({"network": {"width": 3}}, {"network.depth": {"low": 2, "high": 6, "integer": True}}, draws=3)
    >>> [case.definition["network"]["depth"] for case in drawn.all()]
    [6, 5, 4]
    """

    case: Mapping[str, Any]
    vary: Mapping[str, Any]
    draws: int | None = None
    seed: int = 0
    name: str = ""
    cases: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        for name, value in (("case", self.case), ("vary", self.vary)):
            checks.instance(value, f"{name} as a table", Mapping, "{'seed': [0, 1]}")
        checks.items(self.cases, "cases", "[{'problem': 'rosenbrock'}]")
        checks.count(self.seed, "seed")
        if self.draws is not None:
            checks.count(self.draws, "draws", 1, note="none of it for the whole grid")
        for key, values in self.vary.items():
            _check_values(key, values, grid=self.draws is None)

    def all(self) -> list[Case]:
        """The cases, in an order that the plan decides."""
        made = [Case(_laid_over(self.case, one)) for one in self.cases]
        if self.vary or not self.cases:
            made += [Case(_with(self.case, said)) for said in (self._grid() if self.draws is None else self._draws())]
        return made

    def _grid(self) -> Iterator[dict[str, Any]]:
        for values in product(*(_grid_values(values) for values in self.vary.values())):
            yield dict(zip(self.vary, values, strict=True))

    def _draws(self) -> Iterator[dict[str, Any]]:
        rng = np.random.default_rng(self.seed)
        for number in range(self.draws or 0):
            said = {key: _drawn(values, rng) for key, values in self.vary.items()}
            yield {"seed": number, **said}


def read_plan(path: str | Path) -> Plan:
    """Read a plan from a TOML file.

    Parameters
    ----------
    path : path-like
        Tables ``[case]`` and ``[vary]``, ``[[cases]]``, and ``draws``, ``seed``, ``name``; see `Plan`.

    Returns
    -------
    Plan

    Raises
    ------
    InputError
        It cannot be read, is no TOML, or says what no plan says; with the line.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "plan.toml"
    >>> _ = path.write_text('[case]\\nproblem = "rosenbrock"\\n[vary]\\nseed = [0, 1, 2]')
    >>> len(read_plan(path).all())
    3
    """
    said, text = read_table(path)
    return _located(path, text, lambda: _plan(said, Path(path).stem))


def read_cases(path: str | Path) -> list[Case]:
    """Read the cases of a TOML file: a plan, or one case, whose keys stand at its top.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    list of Case

    Raises
    ------
    InputError
        As for `read_plan`.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "case.toml"
    >>> _ = path.write_text('loss = "x**2*y"\\nvariables = "x y"\\nstart = [1, 2]')
    >>> [case.title for case in read_cases(path)]
    ['x**2*y']
    """
    said, text = read_table(path)
    if {"case", "cases", "vary", "draws"} & set(said):
        return _located(path, text, lambda: _plan(said, Path(path).stem)).all()

    def made() -> Case:
        case = Case(said)
        case.method()
        return case

    return [_located(path, text, made)]


def problem_of(case: Case, path: str | Path) -> Given:
    """The problem of a case that was read from a file; errors name the file and the line."""
    return _located(path, read_table(path)[1], case.problem)


def _plan(said: dict[str, Any], name: str) -> Plan:
    check_keys(said, PLAN_KEYS, "a plan")
    plan = Plan(
        said.get("case", {}),
        said.get("vary", {}),
        said.get("draws"),
        said.get("seed", 0),
        said.get("name", name),
        tuple(said.get("cases", ())),
    )
    for method in {json.dumps(case.definition.get("method"), sort_keys=True): case for case in plan.all()}.values():
        method.method()
    return plan


def _located(path: str | Path, text: str, made: Callable[[], Made]) -> Made:
    """What was made; its error with the file, the line and the key."""
    try:
        return made()
    except InputError as error:
        raise InputError(f"{path}{place(text, str(error))}: {error}") from error


def _check_values(key: str, values: Any, *, grid: bool) -> None:
    if isinstance(values, Mapping):
        check_keys(values, RANGE_KEYS, f"the range of {key}")
        if not {"low", "high"} <= set(values) or not values["low"] <= values["high"]:
            raise InputError(f"the range of {key} is {dict(values)}, expected low and high, low <= high")
        if values.get("log") and values["low"] <= 0:
            raise InputError(f"the range of {key} is logarithmic, so low must be > 0, got {values['low']}")
        if grid and not values.get("integer") and values.get("count", 0) < 1:
            raise InputError(f"the range of {key} needs count in a grid, such as count = 5; or give draws to the plan")
    elif not isinstance(values, (list, tuple)) or not values:
        raise InputError(f"{key} is {shown(values)}, expected a list of values, or a range with low and high")


def _grid_values(values: Any) -> list[Any]:
    if not isinstance(values, Mapping):
        return list(values)
    low, high = values["low"], values["high"]
    if values.get("integer") and "count" not in values:
        return list(range(math.ceil(low), math.floor(high) + 1))
    space = np.geomspace if values.get("log") else np.linspace
    found = [float(x) for x in space(low, high, values["count"])]
    return sorted({round(x) for x in found}) if values.get("integer") else found


def _drawn(values: Any, rng: np.random.Generator) -> Any:
    if not isinstance(values, Mapping):
        return values[int(rng.integers(len(values)))]
    low, high = values["low"], values["high"]
    if values.get("integer") and not values.get("log"):
        return int(rng.integers(math.ceil(low), math.floor(high) + 1))
    x = math.exp(rng.uniform(math.log(low), math.log(high))) if values.get("log") else float(rng.uniform(low, high))
    return round(x) if values.get("integer") else x


def _with(case: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """The case with keys such as ``"network.depth"`` put where they belong."""
    out: dict[str, Any] = copy.deepcopy(dict(case))
    for key, value in said.items():
        *path, last = key.split(".")
        table = out
        for part in path:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                raise InputError(f"{key} varies, but {part} is {shown(table)} and no table")
        table[last] = value
    return out


def _laid_over(case: Mapping[str, Any], one: Any) -> dict[str, Any]:
    if not isinstance(one, Mapping):
        raise InputError(f"cases holds {shown(one)}, expected tables")
    out: dict[str, Any] = copy.deepcopy(dict(case))
    for key, value in one.items():
        both = isinstance(value, Mapping) and isinstance(out.get(key), dict)
        out[key] = {**out[key], **value} if both else value
    return out
