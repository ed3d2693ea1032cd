"""Universal coefficients against closed forms, published values and each other."""

from __future__ import annotations

import resource
import tracemalloc
from fractions import Fraction
from itertools import pairwise
from math import gcd

import numpy as np
import pytest
import sympy

from eomsym.errors import InputError, MethodError, SizeError
from eomsym.exact import coefficients, forests, power_series
from eomsym.exact.coefficients import universal
from eomsym.exact.forests import forest
from eomsym.exact.general_linear import GeneralLinear, explicit_tableau
from eomsym.exact.power_series import expand
from eomsym.exact.trees import Tree
from eomsym.optimisers.accelerated import HeavyBall, Nesterov
from eomsym.optimisers.base import Method
from eomsym.optimisers.linear import (
    Epoch,
    Extragradient,
    GradientDescent,
    GradientFlow,
    LinearMultistep,
    OptimisticGradient,
    ProximalPoint,
    RungeKutta,
    SharpnessAware,
)

R = sympy.Rational
BETA = sympy.Symbol("beta")
MIDPOINT = RungeKutta([[0, 0], [R(1, 2), 0]], [0, 1])
RK4 = RungeKutta(
    [[0, 0, 0, 0], [R(1, 2), 0, 0, 0], [0, R(1, 2), 0, 0], [0, 0, 1, 0]], [R(1, 6), R(1, 3), R(1, 3), R(1, 6)]
)


HUGE = RungeKutta([[0]], [R(1, 10**9)])  # its integers do not fit into 64 bits


def values(max_nodes: int, method: Method) -> list[sympy.Expr]:
    table = universal(max_nodes, method)
    return [table.value(i) for i in range(len(table.forest))]


# theory.md, section 2a
PUBLISHED = {
    GradientDescent(): [1, R(-1, 2), R(1, 3), R(1, 6), R(-1, 4), R(-1, 6), R(-1, 12), 0],
    MIDPOINT: [1, 0, R(-1, 6), R(-1, 12), R(1, 8), R(1, 8), 0, 0],
    GradientFlow(): [1, 0, 0, 0, 0, 0, 0, 0],
    HeavyBall(BETA): [
        1 / (1 - BETA),
        -(1 + BETA) / (2 * (1 - BETA) ** 3),
        (1 + 4 * BETA + BETA**2) / (3 * (1 - BETA) ** 5),
        (1 + 10 * BETA + BETA**2) / (6 * (1 - BETA) ** 5),
    ],
    Nesterov(BETA): [
        1 / (1 - BETA),
        -(1 - BETA + 2 * BETA**2) / (2 * (1 - BETA) ** 3),
        (1 - 2 * BETA + 7 * BETA**2 - 3 * BETA**3 + 3 * BETA**4) / (3 * (1 - BETA) ** 5),
        (1 + 4 * BETA + 7 * BETA**2 - 6 * BETA**3 + 6 * BETA**4) / (6 * (1 - BETA) ** 5),
    ],
}


@pytest.mark.parametrize("method", PUBLISHED, ids=lambda method: method.name)
def test_coefficients_through_order_four(method: Method) -> None:
    expected = PUBLISHED[method]
    found = values(4 if len(expected) == 8 else 3, method)
    assert [sympy.cancel(x - y) for x, y in zip(found, expected, strict=True)] == [0] * len(expected)


# Sums over all trees with at most N nodes (peers.md, on which other exact packages agree through N = 14).
CHECKSUMS = {8: "31/60", 9: "143/140", 10: "77/180", 11: "875/792", 12: "20609/27720", 14: "-33563/60060"}


@pytest.mark.parametrize("max_nodes", [*CHECKSUMS, 16])
def test_checksum(max_nodes: int) -> None:
    table = universal(max_nodes, GradientDescent())
    expected = CHECKSUMS.get(max_nodes, "1446499/360360")
    assert sympy.Rational(int(table.numerators.sum()), table.denominator) == sympy.Rational(expected)


@pytest.mark.slow
def test_twenty_nodes() -> None:
    """All 20,247,374 trees: exact, in less than 4 GiB; chains and bushes have closed forms at every size."""
    table = universal(20, GradientDescent())
    assert len(table.numerators) == 20_247_374
    assert table.numerators.dtype == np.int64
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 4 * 2**20
    for n in range(3, 21):
        assert table.value(int(table.starts[n])) == R((-1) ** (n - 1), n)
        assert table.value(int(table.starts[n + 1]) - 1) == sympy.bernoulli(n - 1)
    # the same numbers from a computation with Python integers only, for a random sample
    rng = np.random.default_rng(0)
    for i in rng.integers(table.starts[20], table.starts[21], size=20):
        assert table.value(int(i)) == murua(table.forest.tree(int(i)))


def murua(tree: Tree) -> sympy.Rational:
    """Return the linear coefficient of the strict order polynomial, by sums and differences."""

    def polynomial(node: Tree) -> list[Fraction]:
        product = [Fraction(1)] * (tree.nodes + 1)
        for branch in node.branches:
            product = [x * y for x, y in zip(product, polynomial(branch), strict=True)]
        sums = [Fraction(0)]
        for x in product[:-1]:
            sums.append(sums[-1] + x)
        return sums

    found, differences, sign = Fraction(0), polynomial(tree), 1
    for k in range(1, tree.nodes + 1):  # derivative at 0 of the Newton series
        differences = [y - x for x, y in pairwise(differences)]
        found += sign * differences[0] / k
        sign = -sign
    return sympy.Rational(found.numerator, found.denominator)


def test_against_murua() -> None:
    table = universal(9, GradientDescent())
    assert values(9, GradientDescent()) == [murua(table.forest.tree(i)) for i in range(len(table.forest))]


RUNGE_KUTTA = [
    GradientDescent(),
    MIDPOINT,
    RK4,
    ProximalPoint(),
    Extragradient(),
    SharpnessAware(R(1, 3)),
    Epoch(2),
]


@pytest.mark.parametrize("method", RUNGE_KUTTA, ids=lambda method: method.name)
def test_iteration_agrees_with_power_series(method: Method) -> None:
    trees_ = forest(6 if method.colours == 1 else 4, method.colours)
    numerators, ring, _ = expand(trees_, method)
    assert [ring.to_sympy(x) for x in numerators] == values(trees_.max_nodes, method)


def test_python_integers_take_over_where_int64_could_overflow(monkeypatch: pytest.MonkeyPatch) -> None:
    fast = universal(8, RK4)
    monkeypatch.setattr(coefficients, "_majorant", lambda *_: 1e30)
    slow = coefficients._iterate(forest(8), RK4, RK4.general_linear())
    assert slow.numerators.tolist() == fast.numerators.tolist()
    assert slow.denominator == fast.denominator
    monkeypatch.undo()
    for entry in (R(1, 10**9 + 7), 10**30, R(1, 10**60), 10**400):
        odd = RungeKutta([[0, 0], [entry, 0]], [R(1, 3), R(2, 3)])
        numerators, ring, _ = expand(forest(6), odd)
        assert [ring.to_sympy(x) for x in numerators] == values(6, odd)


@pytest.mark.parametrize("method", [GradientDescent(), RK4, ProximalPoint()], ids=lambda method: method.name)
def test_majorant_is_a_bound(method: Method) -> None:
    bound = coefficients._majorant(10, method.general_linear())
    assert max(abs(x) for x in values(10, method)) <= bound


def test_majorant_is_attained_and_stays_small() -> None:
    form = GradientDescent().general_linear()
    for nodes in range(1, 9):  # but for the factor 2 that allows for rounding
        assert coefficients._majorant(nodes, form) == pytest.approx(
            2 * max(map(abs, values(nodes, GradientDescent()))), rel=1e-9, abs=0
        )
    assert coefficients._majorant(20, form) == pytest.approx(2 * 557, rel=1e-3, abs=0)
    assert coefficients._majorant(3, MIDPOINT.general_linear()) == pytest.approx(2 * R(7, 6), rel=1e-9, abs=0)


def test_symbols_specialise_to_numbers() -> None:
    beta = Fraction(9, 10)
    symbolic = [x.subs(BETA, R(9, 10)) for x in values(6, Nesterov(BETA))]
    assert symbolic == values(6, Nesterov(beta))


def test_multistep_and_general_linear_forms_agree() -> None:
    assert values(5, LinearMultistep([1, -1 - BETA, BETA], [1, 0])) == values(5, HeavyBall(BETA))
    assert values(6, LinearMultistep([1, -1, 0], [2, -1])) == values(6, OptimisticGradient())
    assert values(6, LinearMultistep([1, -1], [1, 0])) == values(6, ProximalPoint())
    assert values(6, LinearMultistep([1, -1], [1])) == values(6, GradientDescent())
    assert values(6, HeavyBall(0)) == values(6, Nesterov(0)) == values(6, GradientDescent())


def test_implicit_multistep_has_the_series_of_its_polynomials() -> None:
    """chi(z) = z sigma(e^z) / rho(e^z), for the method of Adams and Moulton with two steps (HNW III.1.9)."""
    rho, sigma = [1, -1, 0], [R(5, 12), R(8, 12), R(-1, 12)]
    z = sympy.Symbol("z")
    chi = z * sum(c * sympy.exp((2 - i) * z) for i, c in enumerate(sigma)) / (sympy.exp(2 * z) - sympy.exp(z))
    taylor = sympy.series(chi, z, 0, 7)
    expected = [taylor.coeff(z, k) for k in range(7)]

    class ByPolynomials(LinearMultistep):
        def general_linear(self) -> GeneralLinear:
            return GradientDescent().general_linear()

        def series(self, n: int):  # type: ignore[no-untyped-def]
            one = (sympy.S.One,) + (sympy.S.Zero,) * (n - 1)
            flow = GradientFlow().series(n)
            return type(flow)((one,), flow.coupling, (tuple(expected[:n]),), (0,))

    numerators, ring, _ = expand(forest(5), ByPolynomials(rho, sigma))
    assert [ring.to_sympy(x) for x in numerators] == values(5, LinearMultistep(rho, sigma))


def test_irrational_tableau() -> None:
    """Gauss with two stages has order four, so all coefficients of the orders 2 to 4 vanish (HNW II.7)."""
    root = sympy.sqrt(3) / 6
    gauss = RungeKutta([[R(1, 4), R(1, 4) - root], [R(1, 4) + root, R(1, 4)]], [R(1, 2), R(1, 2)])
    found = values(5, gauss)
    assert found[:8] == [1, 0, 0, 0, 0, 0, 0, 0]
    assert any(found[8:])


def test_colours_of_one_batch_are_none() -> None:
    assert values(5, Epoch(1)) == values(5, GradientDescent())


def test_bad_input() -> None:
    with pytest.raises(InputError, match="max_nodes must be an integer from 1 to 20, got 21"):
        universal(21, GradientDescent())
    with pytest.raises(InputError, match="max_nodes must be an integer from 1 to 20, got 0"):
        universal(0, GradientDescent())
    with pytest.raises(InputError, match=r"expected a method object such as eomsym.GradientDescent\(\)"):
        universal(3, "heavy ball")  # type: ignore[arg-type]


def test_memory_is_asked_for_before_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    trees_ = forest(16)
    monkeypatch.setattr(forests, "_free_memory", lambda: 2**20)
    with pytest.raises(
        SizeError, match=r"376,464 trees of Runge-Kutta, 4 stages needs about 0.5 GiB, and 0.0 GiB are free"
    ):
        coefficients._iterate(trees_, RK4, RK4.general_linear())
    with pytest.raises(SizeError, match=r"a table of 20,247,374 trees needs about 0.2 GiB"):
        forest.__wrapped__(20)
    with pytest.raises(SizeError, match=r"needs about .* GiB"):
        expand(trees_, HeavyBall(BETA))


def test_how_many_bytes_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    trees_, asked = forest(6), list[int]()  # 37 trees, 17 of them with fewer than six nodes
    for module in (coefficients, forests, power_series):
        monkeypatch.setattr(module, "require_memory", lambda needed, _: asked.append(needed))
    forest.__wrapped__(6)
    expand(trees_, HeavyBall(BETA))
    coefficients._iterate(trees_, RK4, RK4.general_linear())
    coefficients._iterate(trees_, HUGE, HUGE.general_linear())
    stages = HeavyBall(BETA).series(7).stages
    # Left and right of each tree, and its size; 250 bytes of each number that is expanded; int64 or integers of Python
    # of each tree with a further branch to come, and a fraction of each tree.
    assert asked == [12 * 37, 37 * (stages + 1) * 6 * 250, 4 * 6 * 17 * 8 + 37 * 24, 1 * 6 * 17 * 60 + 37 * 24]


@pytest.mark.parametrize("method", [GradientDescent(), RK4, HUGE, OptimisticGradient(), ProximalPoint()])
def test_numerators_and_denominator_share_nothing(method: Method) -> None:
    table = universal(8, method)
    numbers = [int(x) for x in table.numerators]
    assert gcd(table.denominator, *numbers) == 1
    assert table.numerators.dtype == (np.int64 if max(map(abs, numbers)) < 2**63 else object)
    assert not table.numerators.flags.writeable


@pytest.mark.parametrize("number", [0, 5, -7, 2**63 - 1, 2**63, -(2**63) - 1, 2**64 + 5, -(2**64) + 9, 3**90])
def test_integers_are_wrapped_at_64_bits(number: int) -> None:
    found = coefficients._wrap(number, np.int64)
    assert isinstance(found, np.int64)
    assert (int(found) - number) % 2**64 == 0
    assert coefficients._wrap(number, object) is number


def test_a_common_factor_beyond_64_bits_is_divided_out() -> None:
    trees_ = forest(3)
    numerators = np.array([2**70, 3 * 2**70, 0, -(2**71)], dtype=object)
    table = coefficients._reduced(GradientDescent(), trees_, numerators, 5 * 2**70)
    assert table.numerators.tolist() == [1, 3, 0, -2]
    assert table.denominator == 5
    assert table.numerators.dtype == np.int64


@pytest.mark.parametrize(
    "given, reduced, dtype",
    [
        ([2, 4, 0, -6], [1, 2, 0, -3], np.int64),
        ([2**63, 0, 3, 1], [2**63, 0, 3, 1], object),
        ([2**63 - 1, 0, 3, 1 - 2**63], [2**63 - 1, 0, 3, 1 - 2**63], np.int64),
    ],
)
def test_integers_of_python_where_they_are_needed(given: list[int], reduced: list[int], dtype: type) -> None:
    table = coefficients._reduced(GradientDescent(), forest(3), np.array(given, dtype=object), 8)
    assert table.numerators.tolist() == reduced
    assert table.numerators.dtype == dtype
    assert table.denominator * given[0] == 8 * reduced[0]


@pytest.mark.parametrize("denominator, common", [(9, 3), (3 * 2**61, 3), (2**63, 1), (3 * 2**63, 1)])
def test_integers_of_64_bits_and_what_is_below(denominator: int, common: int) -> None:
    """A denominator beyond 64 bits stays as it is."""
    table = coefficients._reduced(GradientDescent(), forest(3), np.array([3, 0, 9, -6]), denominator)
    assert table.denominator == denominator // common
    assert table.numerators.tolist() == [3 // common, 0, 9 // common, -6 // common]


@pytest.mark.parametrize("bound, dtype", [(np.nextafter(2.0**62, 0), np.int64), (2.0**62, object)])
def test_integers_of_64_bits_up_to_the_proven_bound(bound: float, dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coefficients, "_majorant", lambda *_: bound)
    wrapped, seen = coefficients._reduced, list[object]()
    monkeypatch.setattr(coefficients, "_reduced", lambda *given: seen.append(given[2].dtype) or wrapped(*given))
    method = GradientDescent()
    coefficients._iterate(forest(1), method, method.general_linear())
    assert seen == [dtype]


def test_a_majorant_covers_every_tree_and_gives_up_on_huge_entries() -> None:
    for method in (GradientDescent(), MIDPOINT, RK4):
        bound = coefficients._majorant(9, method.general_linear())
        largest = max(abs(float(x)) for x in values(9, method))
        assert largest <= bound <= 1000 * largest
    last = RungeKutta([[0, 0], [10**6, 0]], [0, 1]).general_linear()
    assert np.isfinite(coefficients._majorant(2, last))
    beyond = RungeKutta([[0, 0], [10**6 + 1, 0]], [0, 1]).general_linear()
    assert coefficients._majorant(2, beyond) == np.inf


def test_four_gibibytes_where_the_system_does_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(forests, "open", missing, raising=False)
    assert forests._free_memory() == 4 * 2**30


@pytest.mark.parametrize("more, refused", [(0, False), (-1, True)])
def test_what_is_free_may_be_used_up(more: int, refused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forests, "_free_memory", lambda: 3 * 2**30 + more)
    if refused:
        with pytest.raises(SizeError, match=r"it needs about 3.0 GiB, and 3.0 GiB are free"):
            forests.require_memory(3 * 2**30, "it")
    else:
        forests.require_memory(3 * 2**30, "it")


@pytest.mark.parametrize("method, nodes", [(GradientDescent(), 15), (MIDPOINT, 14), (HUGE, 10)])
def test_the_memory_asked_for_is_what_is_used(method: Method, nodes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(coefficients, "require_memory", lambda needed, _: asked.append(needed))
    forest(nodes)
    coefficients._universal.cache_clear()
    tracemalloc.start()
    try:
        universal(nodes, method)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        coefficients._universal.cache_clear()
    spare = 16 * 8 * coefficients._CHUNK  # what is computed at once
    assert asked[0] / 3 < peak < asked[0] + spare


def test_more_coloured_trees_than_anybody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    count = coefficients.count_trees
    for more, refused in ((0, False), (1, True)):
        monkeypatch.setattr(
            coefficients, "count_trees", lambda n, c, more=more: 200_000 + more if n == 1 else count(n, c)
        )
        coefficients._universal.cache_clear()
        if refused:
            with pytest.raises(SizeError, match="order 0 of 2 batches has 200,001 terms"):
                universal(1, Epoch(2))
        else:
            assert [str(universal(1, Epoch(2)).value(i)) for i in range(2)] == ["1/2", "1/2"]
    coefficients._universal.cache_clear()


def test_what_is_explicit() -> None:
    assert all(method.general_linear().explicit for method in (GradientDescent(), MIDPOINT, RK4, Nesterov(BETA)))
    assert not any(
        method.general_linear().explicit for method in (ProximalPoint(), RungeKutta([[0, 0], [0, 1]], [1, 0]))
    )
    assert explicit_tableau([[0, 0], ["1/2", 0]]) == MIDPOINT.A
    with pytest.raises(MethodError, match=r"A\[1\]\[1\] = 1, so the tableau is implicit"):
        explicit_tableau([[0, 0], [0, 1]])


def test_matrices_of_other_shapes_are_named() -> None:
    with pytest.raises(MethodError, match=r"weights has shape \(1, 2\), expected \(1, 1\)"):
        GeneralLinear([1], [[1, 2]], [[1]], [[0]])
    with pytest.raises(MethodError, match=r"coupling has shape \(0, 0\), expected \(1, 1\)"):
        GeneralLinear([1], [[1]], [[1]], [])
