"""Random methods: three ways to the modified equation, and algebra that holds for all of them."""

from __future__ import annotations

from fractions import Fraction

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from eomsym.exact.coefficients import universal
from eomsym.exact.forests import forest
from eomsym.exact.general_linear import GeneralLinear
from eomsym.exact.power_series import expand
from eomsym.exact.series import compose, elementary_weights, modified_equation, substitute
from eomsym.exact.trees import Tree
from eomsym.optimisers.base import Method
from eomsym.optimisers.linear import RungeKutta

pytestmark = pytest.mark.properties
NODES = 5
numbers = st.builds(Fraction, st.integers(-6, 6), st.integers(1, 4))


@st.composite
def tableaux(draw: st.DrawFn) -> RungeKutta:
    stages = draw(st.integers(1, 3))
    row = st.lists(numbers, min_size=stages, max_size=stages)
    weights = draw(row.filter(any))
    if sum(weights) == 0:
        weights[0] += 1
    return RungeKutta(draw(st.lists(row, min_size=stages, max_size=stages)), weights)


class Drawn(Method):
    """A general linear method that was drawn at random."""

    name = "drawn"

    def __init__(self, form: GeneralLinear) -> None:
        self.form = form

    def general_linear(self) -> GeneralLinear:
        return self.form


@st.composite
def general_linear(draw: st.DrawFn) -> GeneralLinear:
    stages, lags = draw(st.integers(1, 2)), draw(st.integers(1, 3))

    def row(size: int, total: int | None = None) -> list[Fraction]:
        found = draw(st.lists(numbers, min_size=size, max_size=size))
        if total is not None:
            found[0] += total - sum(found)
        return found

    past = row(lags, 1)
    if 1 + sum(lag * x for lag, x in enumerate(past)) == 0:  # a double root at 1
        past = [Fraction(1)] + [Fraction(0)] * (lags - 1)
    weights = [row(lags) for _ in range(stages)]
    if sum(map(sum, weights)) == 0:
        weights[0][0] += 1
    extrapolation = [row(lags, 1) for _ in range(stages)]
    return GeneralLinear(past, weights, extrapolation, [row(stages) for _ in range(stages)])


@given(tableaux())
def test_three_routes_to_the_modified_equation(method: RungeKutta) -> None:
    table = universal(NODES, method)
    integers = [table.value(i) for i in range(len(table.forest))]
    numerators, ring, _ = expand(forest(NODES), method)
    assert [ring.to_sympy(x) for x in numerators] == integers
    assert list(modified_equation(elementary_weights(method, NODES)).values()) == integers


@given(tableaux(), tableaux(), tableaux())
def test_composition_is_associative(one: RungeKutta, two: RungeKutta, three: RungeKutta) -> None:
    a, b, c = (elementary_weights(method, NODES) for method in (one, two, three))
    assert compose(compose(a, b), c) == compose(a, compose(b, c))


@given(tableaux(), tableaux())
def test_substitution_respects_composition(one: RungeKutta, two: RungeKutta) -> None:
    field, a, b = modified_equation(one, NODES), elementary_weights(one, NODES), elementary_weights(two, NODES)
    assert substitute(field, compose(a, b)) == compose(substitute(field, a), substitute(field, b))


@given(general_linear())
def test_general_linear_method_on_exponential_growth(form: GeneralLinear) -> None:
    """On y' = y the modified field is y' = mu y, with zeta = exp(eta mu) a root of the method's own stability function.

    For a linear problem only chains count, so sum_n alpha(chain of n) eta**n is the logarithm of that root.
    """
    table = universal(NODES, Drawn(form))
    chain, exponent = Tree(), [Fraction(0)]
    for _ in range(NODES):
        exponent.append(Fraction(str(table.value(table.forest.index(chain)))))
        chain = Tree(chain)

    def power(lag: int) -> Poly:
        """zeta**(-lag)"""
        term = total = [Fraction(1)] + [Fraction(0)] * NODES
        for k in range(1, NODES + 1):
            term = times(term, [-lag * x / k for x in exponent])
            total = plus([(1, total), (1, term)])
        return total

    def exact(rows: tuple[tuple[sympy.Expr, ...], ...]) -> list[list[Fraction]]:
        return [[Fraction(str(x)) for x in row] for row in rows]

    (past,), weights, extrapolation, coupling = map(
        exact, ((form.past,), form.weights, form.extrapolation, form.coupling)
    )
    lagged = [power(lag) for lag in range(form.lags)]
    starts = [plus(list(zip(row, lagged, strict=True))) for row in extrapolation]
    values = starts
    for _ in range(NODES):  # each round of the fixed point gains one power of eta
        slopes = [[Fraction(0), *plus(list(zip(row, values, strict=True)))[:-1]] for row in coupling]
        values = [plus([(1, start), (1, slope)]) for start, slope in zip(starts, slopes, strict=True)]
    moved = plus(
        [
            (x, times(value, old))
            for row, value in zip(weights, values, strict=True)
            for x, old in zip(row, lagged, strict=True)
        ]
    )
    right = plus([*zip(past, lagged, strict=True), (1, [Fraction(0), *moved[:-1]])])
    assert power(-1) == right


Poly = list[Fraction]


def times(a: Poly, b: Poly) -> Poly:
    return [sum((a[i] * b[k - i] for i in range(k + 1)), Fraction(0)) for k in range(NODES + 1)]


def plus(terms: list[tuple[Fraction | int, Poly]]) -> Poly:
    return [sum((x * poly[k] for x, poly in terms), Fraction(0)) for k in range(NODES + 1)]
