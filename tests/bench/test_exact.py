"""How fast the exact floor is, side by side with kauri; the limits are promises, and the table is printed."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
import sympy

from eomsym.exact.coefficients import _universal, universal
from eomsym.exact.forests import forest
from eomsym.exact.trees import Tree
from eomsym.formulas.terms import counter_terms
from eomsym.optimisers.accelerated import HeavyBall, Nesterov
from eomsym.optimisers.base import Method
from eomsym.optimisers.linear import GradientDescent, RungeKutta

pytestmark = pytest.mark.bench

HALF = sympy.Rational(1, 2)
SIXTH = sympy.Rational(1, 6)
RK4 = RungeKutta(
    [[0, 0, 0, 0], [HALF, 0, 0, 0], [0, HALF, 0, 0], [0, 0, 1, 0]], [SIXTH, 2 * SIXTH, 2 * SIXTH, SIXTH], label="RK4"
)
MIDPOINT = RungeKutta([[0, 0], [HALF, 0]], [0, 1], label="explicit midpoint")
BETA = sympy.Symbol("beta")


def cold() -> None:
    """Forget every table, so that each round enumerates its trees again."""
    forest.cache_clear()
    _universal.cache_clear()


@pytest.mark.parametrize(
    "method, nodes, limit",
    [
        (GradientDescent(), 8, 0.020),
        (GradientDescent(), 14, 377 / 10_000),  # a ten-thousandth of what BSeries.jl needs
        (GradientDescent(), 16, 0.5),
        (RK4, 10, 5.0),
        (MIDPOINT, 10, 5.0),
        (HeavyBall(BETA), 8, 10.0),
        (Nesterov(BETA), 8, 10.0),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_universal_coefficients(benchmark: Any, method: Method, nodes: int, limit: float) -> None:
    benchmark.pedantic(universal, (nodes, method), setup=cold, rounds=5, warmup_rounds=1)
    assert benchmark.stats.stats.median < limit


@pytest.mark.parametrize("order", [8, 10, 12])
def test_formula_of_one_term(benchmark: Any, order: int) -> None:
    benchmark.pedantic(lambda: str(counter_terms(order)[order]), setup=cold, rounds=3)


def test_all_trees_to_twenty_nodes(capsys: pytest.CaptureFixture[str]) -> None:
    """In a fresh process, import excluded: under 10 s and 4 GiB."""
    code = (
        "import time, resource; from eomsym.exact.coefficients import universal;"
        "from eomsym.optimisers.linear import GradientDescent; t = time.perf_counter();"
        "n = universal(20, GradientDescent()).numerators; print(len(n), time.perf_counter() - t,"
        "resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    trees, seconds, memory = map(float, run.stdout.split())
    with capsys.disabled():
        print(f"\n20 nodes: {int(trees):,} trees in {seconds:.2f} s, {memory:.2f} GiB")
    assert trees == 20_247_374
    assert seconds < 10
    assert memory < 4


def test_side_by_side_with_kauri(capsys: pytest.CaptureFixture[str]) -> None:
    """Explicit Euler, all 200 trees to 8 nodes: at least 1,000 times faster, and equal to float accuracy."""
    kauri = pytest.importorskip("kauri")
    trees = [tree for n in range(1, 9) for tree in forest(8).trees(n)]
    inputs = [kauri.Tree(_nested(tree)) for tree in trees]

    def theirs() -> list[float]:
        rule = kauri.euler.modified_equation_map()
        return [rule(tree) for tree in inputs]

    def mine() -> list[float]:
        table = universal(8, GradientDescent())
        return (table.numerators / table.denominator).tolist()

    slow, expected = _timed(theirs)
    samples = []
    for _ in range(9):
        cold()
        samples.append(_timed(mine))
    fast = sorted(seconds for seconds, _ in samples)[4]
    with capsys.disabled():
        print(f"\n8 nodes: kauri {slow:.1f} s, eomsym {1e3 * fast:.2f} ms, {slow / fast:,.0f} times faster")
    assert samples[0][1] == pytest.approx(expected, abs=1e-12)
    assert slow / fast > 1000


def _nested(tree: Tree) -> list[Any]:
    return [_nested(branch) for branch in tree.branches]


def _timed(work: Callable[[], list[float]]) -> tuple[float, list[float]]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result
