"""Guaranteed learning rates: the theorem's, and the largest that the discrete theorem allows."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from problems import DEEP

import eomsym as eom
from eomsym.bounds.fundamental import distance_bound
from eomsym.bounds.step_size import constant_step_size, safe_step_size, search_step_size
from eomsym.curvature.hessian import EstimatedCurvature, GivenCurvature
from eomsym.errors import HypothesisError


def test_step_size_of_a_saddle_is_the_constant_formula() -> None:
    m, time, epsilon = 0.5, 2.0, 0.1
    loss = eom.Loss("-x**2/4", variables="x")
    constant = GivenCurvature(lambda x, r: -m, lambda x, r: m, lambda x, r: 3.0)
    allowed = safe_step_size(loss, [1.0], epsilon, time, constant)
    assert allowed.value == pytest.approx(constant_step_size(epsilon, time, m, m, 3.0), rel=1e-9)
    assert allowed.value == pytest.approx(m * epsilon / (m * 3.0 * np.expm1(m * time)), rel=1e-9)


@pytest.mark.parametrize(
    "growth, expected", [(0.0, 0.1 / (2 * 3 * 4)), (-0.5, 0.5 * 0.1 / (2 * 3)), (1.0, 0.1 / (6 * np.expm1(4)))]
)
def test_constant_step_sizes(growth: float, expected: float) -> None:
    assert constant_step_size(0.1, 4.0, growth, 2.0, 3.0) == pytest.approx(expected)


def test_safe_step_size_keeps_its_promise() -> None:
    loss, start = DEEP.build(), DEEP.start
    bound = safe_step_size(loss, start, epsilon=0.05, time=0.5)
    steps = int(np.ceil(0.5 / bound.value)) + 1
    descent = eom.descend(loss, start, eta=0.5 / steps, steps=steps)
    motion = eom.flow(eom.compile(loss, 0), start, eta=0.1, time=descent.times)
    assert np.linalg.norm(descent.thetas - motion.thetas, axis=1).max() <= 0.05
    assert bound.proven
    assert "eps-tube" in str(bound)


def test_start_too_far_away() -> None:
    loss = eom.Loss("-x**2/2", variables="x")
    curvature = GivenCurvature(lambda x, r: -1.0, lambda x, r: -1.0, lambda x, r: abs(x[0]) + r)
    with pytest.raises(HypothesisError, match=r"needed exp\(int m\) .* < epsilon"):
        safe_step_size(loss, [1.0], 0.1, 5.0, curvature, initial=0.05)


@pytest.mark.parametrize("order", range(3))
def test_search_finds_a_larger_rate_and_keeps_its_promise(order: int) -> None:
    loss, start, epsilon, time = DEEP.build(), DEEP.start, 0.01, 0.5
    found = search_step_size(loss, start, epsilon, time, order)
    steps = round(time / found.value)
    assert found.value == time / steps
    descent = eom.descend(loss, start, eta=found.value, steps=steps)
    motion = eom.flow(eom.compile(loss, order), start, eta=found.value, time=descent.times)
    assert np.linalg.norm(descent.thetas - motion.thetas, axis=1).max() <= epsilon
    assert found.proven
    assert found.value > 2 * safe_step_size(loss, start, epsilon, time).value


def test_search_ends_at_the_smallest_number_of_steps() -> None:
    # From above and from below: 2 % fewer steps would not do.
    loss, start = DEEP.build(), DEEP.start
    for epsilon in (0.3, 0.003):
        steps = round(1 / search_step_size(loss, start, epsilon, 1.0).value)
        assert distance_bound(loss, start, 1 / steps, steps).largest <= epsilon
        fewer = min(int(0.97 * steps), steps - 1)
        with contextlib.suppress(HypothesisError):  # no bound at all, for the larger epsilon
            assert distance_bound(loss, start, 1 / fewer, fewer).largest > epsilon


def test_search_takes_one_step_if_that_is_enough() -> None:
    flat = eom.Loss("x", variables="x")
    curvature = GivenCurvature(lambda x, r: 0.0, lambda x, r: 0.0, lambda x, r: 1.0)
    assert search_step_size(flat, [0.0], 0.1, 7.0, curvature=curvature).value == 7.0


def test_search_that_finds_nothing_says_how_far_it_came() -> None:
    with pytest.raises(
        HypothesisError, match=r"needed a distance below epsilon = 1e-06 .* got with 50 steps the bound"
    ):
        search_step_size(DEEP.build(), DEEP.start, 1e-6, 1.0, most_steps=50)


def test_search_says_at_once_what_more_steps_cannot_mend() -> None:
    loss = eom.Loss("exp(x) - x", variables="x")
    with pytest.raises(HypothesisError, match=r"^no bound: needed all derivatives of the gradient"):
        search_step_size(loss, [1.0], 0.05, 1.0, order=1, curvature=EstimatedCurvature(eom.compile(loss, 0)))


def test_an_estimate_is_labelled() -> None:
    loss = eom.Loss("(x*y - 1)**2/2", variables="x y")
    curvature = EstimatedCurvature(eom.compile(loss, 0))
    assert not search_step_size(loss, [0.5, 0.5], 0.05, 1.0, curvature=curvature).proven
