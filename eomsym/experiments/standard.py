"""The standard suite: what a claim about every optimiser, every kind of network and every order is measured on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from eomsym import checks
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
#: Families: each with every optimiser.
FAMILIES: dict[str, dict[str, Any]] = {
    "Rosenbrock-like": {"loss": "(1-x)**2/2 + (y-x**2)**2/2", "variables": "x y"},
    "tanh network": {"network": {"widths": [4, 4, 2], "activation": "tanh"}},
    "scale-invariant layer": {
        "network": {
            "widths": [4, 4, 3], "normalisation": "batch", "activation": "tanh", "objective": "cross_entropy",
        },
    },
    "translation-invariant layer, weight decay": {
        "network": {"widths": [4, 4, 3], "activation": "tanh", "objective": "cross_entropy"}, "weight_decay": "1/10",
    },
    "deep linear, depth 2, mse, synthetic": {"network": {"depth": 2, "width": 3}},
    "deep linear, depth 2, cross-entropy, synthetic": {
        "network": {"depth": 2, "width": 3, "objective": "cross_entropy"},
    },
    "deep linear, depth 2, mse, digits": {"network": {"widths": [64, 4, 10], "data": "digits", "samples": 50}},
}  # fmt: skip
#: Scale of the weights (or start), seed and time of each family with each optimiser, in their order: such that order 5
#: stands above rounding where its misfit is within the tolerance.
SETTINGS: dict[str, tuple[tuple[Any, int, float], ...]] = {
    "Rosenbrock-like": (
        ([-1, 0.5], 0, 0.25), ([0.5, 0.5], 0, 0.25), ([0.25, -0.5], 0, 0.5), ([0.25, -0.5], 0, 0.5),
        ([0.25, -0.5], 0, 1),
    ),
    "tanh network": ((0.25, 1, 2), (0.25, 1, 1), (0.5, 1, 1), (0.25, 1, 1), (0.25, 1, 1)),
    "scale-invariant layer": ((1.0, 2, 0.25), (0.6, 1, 1), (0.5, 1, 1), (1.0, 2, 1), (1.0, 1, 2)),
    "translation-invariant layer, weight decay": (
        (0.25, 0, 2), (0.25, 1, 1), (0.5, 0, 2), (0.25, 0, 2), (0.25, 1, 2),
    ),
    "deep linear, depth 2, mse, synthetic": (
        (0.25, 0, 1), (0.25, 1, 2), (0.25, 0, 0.25), (0.25, 0, 0.5), (0.25, 2, 0.5),
    ),
    "deep linear, depth 2, cross-entropy, synthetic": (
        (0.25, 0, 1), (0.25, 0, 1), (0.25, 0, 0.5), (0.25, 0, 0.5), (0.25, 0, 0.25),
    ),
    "deep linear, depth 2, mse, digits": (
        (0.25, 1, 0.5), (0.25, 1, 0.5), (0.5, 1, 0.25), (0.5, 5, 0.5), (0.25, 1, 0.5),
    ),
}  # fmt: skip
#: Deep linear networks: (data, objective, depth) to scale, seed and time,
#: with gradient descent.
DEEP: dict[tuple[str, str, int], tuple[float, int, float]] = {
    ("synthetic", "mse", 3): (0.5, 0, 1),
    ("synthetic", "mse", 4): (0.75, 1, 1),
    ("synthetic", "mse", 5): (0.75, 0, 0.5),
    ("synthetic", "mse", 6): (0.5, 0, 0.5),
    ("synthetic", "cross_entropy", 3): (0.75, 0, 2),
    ("synthetic", "cross_entropy", 4): (0.75, 1, 2),
    ("synthetic", "cross_entropy", 5): (0.75, 0, 2),
    ("synthetic", "cross_entropy", 6): (0.75, 0, 2),
    ("digits", "mse", 3): (0.25, 0, 1),
    ("digits", "mse", 4): (0.25, 0, 2),
    ("digits", "mse", 5): (0.5, 0, 1),
    ("digits", "mse", 6): (0.5, 0, 2),
    ("digits", "cross_entropy", 2): (0.25, 0, 1),
    ("digits", "cross_entropy", 3): (0.5, 1, 1),
    ("digits", "cross_entropy", 4): (0.5, 2, 1),
    ("digits", "cross_entropy", 5): (0.5, 2, 1),
    ("digits", "cross_entropy", 6): (0.75, 0, 1),
}
#: Of the quick suite: the highest order, and what gradient descent alone is run on.
QUICK_ORDERS = [0, 1, 2, 3]
QUICK = (
    "tanh network", "scale-invariant layer", "translation-invariant layer, weight decay",
    "deep linear, depth 2, mse, synthetic",
)  # fmt: skip
QUICK_DEEP = ("synthetic", "cross_entropy", 3)


def standard_suite(*, quick: bool = False) -> tuple[Case, ...]:
    """The cases of the standard suite.

    Every problem with gradient descent: deep linear networks of depths 2 to 6, with mean squares and cross-entropy, on
    synthetic data and on handwritten digits; a layer that a normalisation makes scale-invariant; one in front of a
    softmax, translation-invariant, with weight decay; a tanh network; a Rosenbrock-like loss of two variables, which
    tells all rooted trees apart. And every optimiser with each family of them, deep linear networks at depth 2: how an
    optimiser enters the terms does not depend on the depth of the network that it is given.

    Orders are 0 to 5, as far as float64 decides for all of them. At order 6 it does for a quarter: for the others the
    learning rates at which the series is good enough leave errors that are not a hundred times above the rounding.

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
    return tuple(_quick() if checks.flag(quick, "quick") else _whole())


def _whole() -> Iterator[Case]:
    for family in FAMILIES:
        for optimiser in OPTIMISERS:
            yield _member(family, optimiser, ORDERS)
    for key in DEEP:
        yield _deep(key, ORDERS)


def _quick() -> Iterator[Case]:
    for optimiser in OPTIMISERS:
        yield _member("Rosenbrock-like", optimiser, QUICK_ORDERS)
    for family in QUICK:
        yield _member(family, "gradient descent", QUICK_ORDERS)
    yield _deep(QUICK_DEEP, QUICK_ORDERS)


def _member(family: str, optimiser: str, orders: list[int]) -> Case:
    """A family with an optimiser."""
    scale, seed, time = SETTINGS[family][list(OPTIMISERS).index(optimiser)]
    said = FAMILIES[family]
    if "network" in said:
        said = {**said, "network": {**said["network"], "scale": scale}, "seed": seed}
    else:
        said = {**said, "start": scale}
    return _case(family, optimiser, {**said, "time": time, "orders": orders})


def _deep(key: tuple[str, str, int], orders: list[int]) -> Case:
    """A deep linear network with gradient descent."""
    data, objective, depth = key
    scale, seed, time = DEEP[key]
    table: dict[str, Any] = {"depth": depth, "width": 3}
    if data == "digits":
        table = {"widths": [64, *[4] * (depth - 1), 10], "data": "digits", "samples": 50}
    said = {"network": {**table, "objective": objective, "scale": scale}, "seed": seed, "time": time, "orders": orders}
    return _case(_title(key), "gradient descent", said)


def _case(name: str, optimiser: str, said: dict[str, Any]) -> Case:
    return Case({**said, "method": OPTIMISERS[optimiser], "name": f"{name}, {optimiser}", "limit": LIMIT})


def _title(key: tuple[str, str, int]) -> str:
    data, objective, depth = key
    return f"deep linear, depth {depth}, {objective.replace('_', '-')}, {data}"


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
    x**4/4           1  1.01 2.00  1.008 0.998  passed
    """
    listed = checks.items(outcomes, "outcomes", "[eomsym.experiments.run_case(case)]")
    rows, notes = [], []
    for one in listed:
        checks.instance(one, "an outcome", Outcome, "eomsym.experiments.run_case(case)")
        slopes = " ".join(_number(row["slope"], 2) for row in one.orders)
        ratios = " ".join(_number(row["ratio"], 3) for row in one.orders)
        rows.append((one.case.title, one.size, slopes, ratios, one.status))
        notes += [f"{one.case.title}: {one.error}"] if one.error else []
        bad = (row for row in one.orders if row["status"] != "passed")
        notes += [f"{one.case.title}, order {row['order']}: {row['reason']}" for row in bad]
    counts = Counter(one.status for one in listed)
    told = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    columns: list[Column | str] = [
        Column("case", "left"), "parameters", Column("slopes", "left"), Column("ratios", "left"),
        Column("status", "left", status=True),
    ]  # fmt: skip
    return Table(columns, rows, title=f"{len(listed)} cases: {told}", notes=notes)


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
