"""What a plan asks for: scratch memory, Taylor coefficients of factors, smooth losses."""

from __future__ import annotations

import itertools

import pytest
import sympy

import eomsym as eom
from eomsym.errors import ExpressionError
from eomsym.exact.numbers import ETA
from eomsym.losses.builder import Builder
from eomsym.taylor import channels
from eomsym.taylor.plan import Plan
from eomsym.taylor.rules import taylor
from eomsym.taylor.symbolic import modified_field


def chain(*widths: int) -> Plan:
    """A product of matrices of parameters, from the left to the right."""
    pairs = list(itertools.pairwise(widths))
    builder = Builder(sum(a * b for a, b in pairs))
    place, out = 0, None
    for rows, columns in pairs:
        matrix = builder.part(place, (rows, columns))
        out = matrix if out is None else builder.matmul(out, matrix)
        place += rows * columns
    return Plan.of(builder.finish([out]), 3)


@pytest.mark.parametrize("widths", [(2, 3, 4), (2, 3, 4, 5), (5, 4, 3, 2), (2, 6, 1, 7)])
def test_scratch_is_what_the_largest_product_needs(widths: tuple[int, ...]) -> None:
    """A weighted sum of entries of the right factor, and of each degree a product of matrices."""
    plan = chain(*widths)
    right = [a * b for a, b in itertools.pairwise(widths[1:])]
    made = [widths[0] * b for b in widths[2:]]
    assert plan.scratch == (max(right), max(made))
    assert plan.scratch_for(3) == max(right) + 4 * max(made)


@pytest.mark.parametrize("count", [1, 3, 5])
@pytest.mark.parametrize(
    "factor", [ETA, ETA**2, 1 + ETA, sympy.sqrt(2) * ETA, sympy.exp(-ETA), 1 / (1 - ETA), sympy.log(3) ** 2 + ETA**3]
)
def test_as_many_coefficients_as_are_asked_for(factor: sympy.Expr, count: int) -> None:
    found = taylor(factor, count)
    assert found == [sympy.diff(factor, ETA, k).subs(ETA, 0) / sympy.factorial(k) for k in range(count)]


def test_a_factor_without_a_taylor_series() -> None:
    for factor in (1 / ETA, sympy.log(ETA), sympy.sqrt(ETA)):
        with pytest.raises(ExpressionError, match="has no Taylor series in eta at 0"):
            taylor(factor, 3)


@pytest.mark.parametrize("smooth, kinks", [(False, ()), (True, ("abs",)), (False, ("abs",))])
def test_formulas_need_a_loss_that_is_smooth_everywhere(smooth: bool, kinks: tuple[str, ...]) -> None:
    loss = eom.Loss("x**2/2", variables="x")
    modified_field(loss, 1)
    vars(loss).update(smooth=smooth, kinks=kinks)
    with pytest.raises(ExpressionError, match="has kinks, so it has no formula for counter terms"):
        modified_field(loss, 1)


@pytest.mark.parametrize("shapes", [((2, 3, 4), (2, 4, 1)), ((2, 1, 4), (2, 4, 6)), ((3, 2, 2), (3, 2, 2))])
def test_scratch_of_products_one_behind_the_other(shapes: tuple[tuple[int, int, int], ...]) -> None:
    """Two stacks of products, the first one the left factors of the second."""
    batch = 3
    (rows, inner, middle), (_, _, columns) = shapes
    builder = Builder(batch * (rows * inner + inner * middle + middle * columns))
    a = builder.part(0, (batch * rows, inner))
    b = builder.part(batch * rows * inner, (batch * inner, middle))
    c = builder.part(batch * (rows * inner + inner * middle), (batch * middle, columns))
    first = builder.apply("matmuls", [a, b], (batch * rows, middle), (batch,))
    second = builder.apply("matmuls", [first, c], (batch * rows, columns), (batch,))
    plan = Plan.of(builder.finish([second]), 3)
    assert plan.scratch == (max(inner * middle, middle * columns), batch * rows * max(middle, columns))


@pytest.mark.parametrize("row", [[3], [2, -5], [1, 0, 4], [1, -2, 3, -4]])
def test_a_polynomial_in_the_backward_difference(row: list[int]) -> None:
    w = sympy.Symbol("w")
    whole = sympy.Poly(sum(c * (1 - w) ** k for k, c in enumerate(row)), w).all_coeffs()[::-1]
    for count in (1, 2, 6):
        expected = [*whole, *([0] * 6)][:count]
        assert channels._in_w([sympy.Integer(c) for c in row], count) == expected


def test_products_and_quotients_of_series() -> None:
    s = sympy.Symbol("s")
    a, b = [2, 3, 5, 7], [1, -4, 6, 1]
    whole = sympy.expand(sum(c * s**k for k, c in enumerate(a)) * sum(c * s**k for k, c in enumerate(b)))
    assert channels._product(a, b, 4) == [whole.coeff(s, k) for k in range(4)]
    assert channels._product([2, 3], b, 4) == channels._product([2, 3, 0, 0], b, 4)
    quotient = channels._quotient([sympy.Integer(c) for c in a], [sympy.Integer(3), *b[1:]])
    assert channels._product(quotient, [3, *b[1:]], 4) == a
