"""kauri as an oracle: every Runge-Kutta method that it has, in floats, against our exact numbers."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from eomsym.exact.forests import forest
from eomsym.exact.series import (
    Series,
    compose,
    elementary_weights,
    exact_flow,
    modified_equation,
    modifying_integrator,
    substitute,
)
from eomsym.exact.trees import Tree
from eomsym.optimisers.linear import RungeKutta

kauri = pytest.importorskip("kauri")

NODES = 6
METHODS = {name: rk for name, rk in vars(kauri.rk_methods).items() if isinstance(rk, kauri.RK)}
TREES = list(exact_flow(NODES))


def nested(tree: Tree) -> list[Any]:
    return [nested(branch) for branch in tree.branches]


THEIRS = {tree: kauri.Tree(nested(tree)) for tree in TREES}


def ours(name: str) -> RungeKutta:
    """The tableau of kauri, its floats taken as the fractions that they are."""
    rk = METHODS[name]
    return RungeKutta([[Fraction(x) for x in row] for row in rk.a], [Fraction(x) for x in rk.b], label=name)


def agree(series: Series, theirs: Any) -> None:
    values = {tree: float(x) for tree, x in series.items()}
    scale = max(map(abs, values.values()))
    assert values == pytest.approx({tree: theirs(THEIRS[tree]) for tree in values}, rel=1e-9, abs=1e-12 * max(scale, 1))


def test_trees() -> None:
    for n in range(1, 9):
        counted = list(kauri.trees_of_order(n))
        assert len(counted) == len(list(forest(8).trees(n)))
    for tree, other in THEIRS.items():
        assert (tree.nodes, tree.symmetry, tree.density, tree.height + 1) == (
            other.nodes(), other.sigma(), other.factorial(), other.height()
        )  # fmt: skip


def test_there_are_methods() -> None:
    assert {"euler", "backward_euler", "midpoint", "implicit_midpoint", "heun_rk2", "rk4", "gauss6"} <= {*METHODS}


@pytest.mark.parametrize("name", METHODS)
def test_elementary_weights(name: str) -> None:
    agree(elementary_weights(ours(name), NODES), METHODS[name].elementary_weights_map())


@pytest.mark.parametrize("name", METHODS)
def test_modified_equation(name: str) -> None:
    agree(modified_equation(ours(name), NODES), METHODS[name].modified_equation_map())


@pytest.mark.parametrize("name", METHODS)
def test_modifying_integrator(name: str) -> None:
    theirs = METHODS[name].elementary_weights_map().preprocessed_integrator()
    agree(modifying_integrator(ours(name), NODES), theirs)


def test_composition_and_substitution() -> None:
    """Their ``a * b`` composes maps, and ``b ^ a`` substitutes."""
    first, then = "heun_rk2", "rk4"
    one, two = (METHODS[name].elementary_weights_map() for name in (first, then))
    agree(compose(elementary_weights(ours(first), NODES), elementary_weights(ours(then), NODES)), one * two)
    field = modified_equation(ours(first), NODES)
    agree(substitute(field, elementary_weights(ours(then), NODES)), METHODS[first].modified_equation_map() ^ two)
