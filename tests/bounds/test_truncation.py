"""The numbers of the truncation bound, and the best order of a loss."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import sympy

import eomsym as eom
from eomsym.bounds import best_order
from eomsym.bounds.terms import cauchy_numbers, term_bounds
from eomsym.bounds.truncation import CONSTANT, GAMMA, defect_bound, exponential_bound, step_defect
from eomsym.errors import HypothesisError, InputError


def test_cauchy_numbers_by_the_recursion_of_the_modified_equation() -> None:
    # beta_j = sum_(i >= 2) 1/i! sum over k_1 + … + k_i = j of beta_(k_1) … beta_(k_i)
    z = sympy.Symbol("z")
    known = cauchy_numbers(7)
    b = sum(sympy.Rational(c.numerator, c.denominator) * z**j for j, c in enumerate(known, 1))
    left = sympy.series(1 + 2 * b - sympy.exp(b), z, 0, 8).removeO()
    assert sympy.expand(left - z) == 0
    assert known[:3] == (1, Fraction(1, 2), Fraction(2, 3))


def test_cauchy_numbers_stay_below_the_published_bound() -> None:
    # Hairer, Lubich, Wanner: beta_j <= ln 2 (2 ln 2 - 1)**-j
    for j, c in enumerate(cauchy_numbers(40), 1):
        assert float(c) <= math.log(2) * (2 * math.log(2) - 1) ** -j


def test_the_constant_of_the_exponential_bound() -> None:
    largest = max(sum((i / n) ** i for i in range(1, n)) for n in range(2, 400))
    assert largest == pytest.approx(1.0022, abs=1e-4)
    # Beyond 400 the sum is below 1/(exp(7/8) - 1) and what is left over is tiny: see derivations/best_truncation.
    assert math.e * (2 + math.log(2) * CONSTANT / 2 * largest) <= GAMMA
    # In the disc of the proof the motion stays in the ball of radius R/2.
    assert all((1 + math.log(2) * CONSTANT / 2 * largest) / (CONSTANT * n) <= 0.5 for n in range(2, 400))
    assert 1 / CONSTANT <= 0.5


def test_exponential_bound_on_the_scalar_example() -> None:
    # g = -x**2 at 1: |g| <= (1 + R)**2 on the complex disc.
    loss = eom.Loss("-x**3/3", variables="x")
    radius = 1.0
    for eta in (0.017, 0.009, 0.006):
        bound = exponential_bound((1 + radius) ** 2, radius, eta)
        order = int(radius / (np.e * CONSTANT * 4) / eta) - 1
        end = eom.flow(eom.compile(loss, order), [1.0], eta=eta, time=eta, rtol=3e-13).thetas[-1, 0]
        assert abs(end - (1 + eta)) <= bound.value


def test_term_bounds_are_sharper_than_the_published_ones() -> None:
    k = np.arange(1, 12)
    ours = term_bounds(1.0, 1.0, 11)[1:]
    published = np.log(2) * CONSTANT * (CONSTANT * (k + 1)) ** k
    assert np.all(ours < published / 2)


def test_bounds_refuse_large_steps() -> None:
    with pytest.raises(HypothesisError, match="needed eta <= h_0"):
        exponential_bound(1.0, 1.0, 0.1)
    with pytest.raises(HypothesisError, match="needed a disc"):
        defect_bound([1.0, 1.0], 0.01, 0.1)
    with pytest.raises(HypothesisError, match="needed a disc"):
        step_defect([1.0, 5.0, 5.0], 0.0, 1.0, 1)
    with pytest.raises(InputError, match="from 0 to radius"):
        term_bounds(1.0, 1.0, 2, inner=1.0)


def test_best_order_falls_as_the_step_grows() -> None:
    loss = eom.Loss("-x**3/3", variables="x")
    found = [best_order(loss, [1.0], eta=eta) for eta in (0.3, 0.4, 0.5, 0.7)]
    assert [f.order for f in found] == sorted((f.order for f in found), reverse=True)
    assert found[0].error < found[-1].error
    small = best_order(eom.compile(loss, 2), [1.0], eta=0.01)
    assert small.at_floor
    assert small.order < 8


def test_measured_step_errors_follow_the_next_term() -> None:
    loss = eom.Loss("(1-x)**2/2 + (y-x**2)**2/2", variables="x y")
    found = best_order(loss, [-0.5, 1.0], eta=0.02, highest=5)
    clear = found.measured > 100 * found.floor
    assert clear[:3].all()
    np.testing.assert_allclose(found.measured[clear], found.predicted[clear], rtol=0.35)


def test_best_order_needs_a_step_that_stays() -> None:
    loss = eom.Loss("-x**4", variables="x")
    with pytest.raises(InputError, match="highest must be an integer >= 0"):
        best_order(loss, [1.0], eta=0.1, highest=-1)
    with pytest.raises(HypothesisError, match="none that stays finite with eta = 1e\\+03"):
        best_order(loss, [1.0], eta=1e3, highest=0)
