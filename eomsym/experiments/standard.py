"""The standard suite: what a claim about every optimiser, every kind of network and every order is measured on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from eomsym.experiments.case import Case, Outcome
from eomsym.output.tables import Column, Table
from eomsym.verification.verdict import Status, worst

__all__ = ["OPTIMISERS", "standard_suite", "suite_status", "suite_table"]

#: The optimisers. Momenta are small: with 9/10 the radius of the series is 0.003 of that of gradient descent, and what
#: lies within it drowns in rounding from order 3 on. Epsilon is inside of the root, where Adam has a Taylor series.
OPTIMISERS: dict[str, Any] = {
    "gradient descent": "gd",
    "heavy ball": {"name": "heavy-ball", "beta": "1/4"},
    "Nesterov": {"name": "nesterov", "beta": "1/4"},
    "extragradient": "extragradient",
    "Adam": {"name": "adam", "beta1": "1/4", "beta2": "1/2", "epsilon": "1", "inside": True},
}
ORDERS = [0, 1, 2, 3, 4, 5]
#: Seconds; a loaded machine must not make a verdict.
LIMIT = 600
#: Families: each with every optimiser. Time, scale and seed are such that order 5 stands above rounding with a misfit
#: within its tolerance for all of them: where they are smooth and move far, relative to their length.
FAMILIES: dict[str, dict[str, Any]] = {
    "Rosenbrock-like": {"problem": "rosenbrock", "start": [0.5, 0.5], "time": 0.5},
    "tanh network": {
        "network": {"widths": [4, 4, 2], "activation": "tanh", "scale": 0.25}, "time": 0.5,
    },
    "scale-invariant layer": {
        "network": {
            "widths": [4, 4, 3], "normalisation": "batch", "activation": "tanh", "objective": "cross_entropy",
            "scale": 0.5,
        },
        "seed": 1, "time": 1,
    },
    "translation-invariant layer, weight decay": {
        "network": {"widths": [4, 4, 3], "activation": "tanh", "objective": "cross_entropy", "scale": 0.25},
        "weight_decay": "1/10", "time": 1,
    },
}  # fmt: skip
#: Deep linear networks: (data, objective, depth) to scale, seed and time. Those of depth 2 are families too.
DEEP: dict[tuple[str, str, int], tuple[float, int, float]] = {
    ("synthetic", "mse", 2): (0.25, 2, 2),
    ("synthetic", "mse", 3): (0.5, 0, 1),
    ("synthetic", "mse", 4): (0.5, 0, 2),
    ("synthetic", "mse", 5): (0.5, 0, 2),
    ("synthetic", "mse", 6): (0.5, 0, 2),
    ("synthetic", "cross_entropy", 2): (0.25, 1, 4),
    ("synthetic", "cross_entropy", 3): (0.5, 0, 2),
    ("synthetic", "cross_entropy", 4): (0.75, 1, 2),
    ("synthetic", "cross_entropy", 5): (0.75, 0, 2),
    ("synthetic", "cross_entropy", 6): (0.75, 0, 2),
    ("digits", "mse", 2): (0.25, 1, 0.5),
    ("digits", "mse", 3): (0.25, 0, 1),
    ("digits", "mse", 4): (0.25, 0, 2),
    ("digits", "mse", 5): (0.5, 0, 1),
    ("digits", "mse", 6): (0.5, 0, 2),
    ("digits", "cross_entropy", 2): (0.25, 0, 1),
    ("digits", "cross_entropy", 3): (0.5, 1, 2),
    ("digits", "cross_entropy", 4): (0.5, 1, 2),
    ("digits", "cross_entropy", 5): (0.5, 1, 2),
    ("digits", "cross_entropy", 6): (0.75, 0, 1),
}
QUICK_ORDERS = [0, 1, 2, 3]
QUICK = ("Rosenbrock-like", "tanh network", "scale-invariant layer", "translation-invariant layer, weight decay")


def standard_suite(*, quick: bool = False) -> tuple[Case, ...]:
    """The cases of the standard suite.

    Every problem with gradient descent: deep linear networks of depths 2 to 6, with mean squares and cross-entropy, on
    synthetic data and on handwritten digits; a layer that a normalisation makes scale-invariant; one in front of a
    softmax, translation-invariant, with weight decay; a tanh network; a Rosenbrock-like loss of two variables, which
    tells all rooted trees apart. And every optimiser with each family of them, deep linear networks at depth 2: how an
    optimiser enters the terms does not depend on the depth of the network that it is given.

    Orders are 0 to 5, which is as far as float64 goes: at order 6 the learning rates at which the series is good
    enough leave errors below the rounding of the run.

    Parameters
    ----------
    quick : bool
        Orders 0 to 3 of one problem of each family with gradient descent, and of every optimiser on the Rosenbrock-like
        loss.

    Returns
    -------
    tuple of Case
        For :func:`eomsym.sweep`; each has a name.

    Examples
    --------
    >>> len(standard_suite()), len(standard_suite(quick=True))
    (52, 10)
    >>> standard_suite()[0].title
    'Rosenbrock-like, gradient descent'
    """
    return tuple(_quick() if quick else _whole())


def _whole() -> Iterator[Case]:
    families = {**FAMILIES, **{_title(key): _deep(key) for key in DEEP if key[2] == 2 and key[:2] != LONE}}
    for name, said in families.items():
        for title, method in OPTIMISERS.items():
            yield _case(name, title, {**said, "method": method, "orders": ORDERS})
    for key in DEEP:
        if _title(key) not in families:
            yield _case(_title(key), "gradient descent", {**_deep(key), "method": "gd", "orders": ORDERS})


#: The deep linear network of depth 2 that gradient descent alone is run on.
LONE = ("digits", "cross_entropy")


def _quick() -> Iterator[Case]:
    quick = {name: FAMILIES[name] for name in QUICK}
    quick |= {_title(key): _deep(key) for key in (("synthetic", "mse", 2), ("synthetic", "cross_entropy", 3))}
    for name, said in quick.items():
        for title, method in OPTIMISERS.items():
            if title == "gradient descent" or name == QUICK[0]:
                yield _case(name, title, {**said, "method": method, "orders": QUICK_ORDERS})


def _case(name: str, optimiser: str, said: dict[str, Any]) -> Case:
    return Case({**said, "name": f"{name}, {optimiser}", "limit": LIMIT})


def _title(key: tuple[str, str, int]) -> str:
    data, objective, depth = key
    return f"deep linear, depth {depth}, {objective.replace('_', '-')}, {data}"


def _deep(key: tuple[str, str, int]) -> dict[str, Any]:
    """The description of a deep linear network."""
    data, objective, depth = key
    scale, seed, time = DEEP[key]
    table: dict[str, Any] = {"objective": objective, "data": data, "scale": scale}
    if data == "digits":
        table |= {"widths": [64, *[4] * (depth - 1), 10], "samples": 50}
    else:
        table |= {"depth": depth, "width": 3}
    return {"network": table, "seed": seed, "time": time}


def suite_status(outcomes: Iterable[Outcome]) -> Status:
    """The most severe verdict; a case that could not be run has failed.

    Examples
    --------
    >>> suite_status([Outcome(standard_suite()[0], "error", [])])
    'failed'
    """
    return worst("failed" if one.status == "error" else one.status for one in outcomes)  # type: ignore[misc]


def suite_table(outcomes: Iterable[Outcome]) -> Table:
    """One row a case: slopes and leading constants of its orders, and the verdict.

    Parameters
    ----------
    outcomes : iterable of Outcome

    Returns
    -------
    Table
        A ratio is the measured over the predicted error, at the learning rate that was judged.

    Examples
    --------
    >>> from eomsym.experiments.case import run_case
    >>> case = Case({"loss": "x**4/4", "variables": "x", "start": [1.0], "orders": [0, 1], "ladder": [40, 80]})
    >>> print(suite_table([run_case(case)]))
    1 cases: 1 passed
    <BLANKLINE>
    case    parameters  slopes     ratios       status
    x**4/4           1  1.01 2.01  1.008 1.010  passed
    """
    listed = list(outcomes)
    rows, notes = [], []
    for one in listed:
        slopes = " ".join(_number(row["slope"], 2) for row in one.orders)
        ratios = " ".join(_number(row["ratio"], 3) for row in one.orders)
        rows.append((one.case.title, one.size, slopes, ratios, one.status))
        notes += [f"{one.case.title}: {one.error}"] if one.error else []
        bad = (row for row in one.orders if row["status"] != "passed")
        notes += [f"{one.case.title}, order {row['order']}: {row['reason']}" for row in bad]
    counts = {
        status: sum(one.status == status for one in listed) for status in ("passed", "failed", "inconclusive", "error")
    }
    told = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    columns: list[Column | str] = [
        Column("case", "left"), "parameters", Column("slopes", "left"), Column("ratios", "left"),
        Column("status", "left", status=True),
    ]  # fmt: skip
    return Table(columns, rows, title=f"{len(listed)} cases: {told}", notes=notes)


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
