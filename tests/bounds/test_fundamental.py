"""The theorems on cases with a known answer, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from problems import DEEP, ROSENBROCK

import eomsym as eom
from eomsym.bounds.fundamental import (
    constant_step_size,
    distance_bound,
    fundamental_bound,
    measured_bound,
    safe_step_size,
)
from eomsym.bounds.hessian import EstimatedCurvature, GivenCurvature
from eomsym.errors import HypothesisError, InputError


def saddle(m: float) -> GivenCurvature:
    """Exact curvature of ``-m x**2/2``."""
    return GivenCurvature(lambda x, r: -m, lambda x, r: -m, lambda x, r: m * (abs(x[0]) + r))


def test_the_exponential_is_necessary() -> None:
    # Elkabetz and Cohen's lower bound: on -m x**2/2 gradient flow and gradient descent part like exp(mt).
    m, eta, steps = 1.0, 0.01, 400
    loss = eom.Loss("-x**2/2", variables="x")
    bound = distance_bound(loss, [1.0], eta, steps, curvature=saddle(m))
    times = bound.times
    true = np.exp(m * times) - (1 + eta * m) ** np.arange(steps + 1)
    assert np.all(true <= bound.values * (1 + 1e-12))
    assert bound.value < 1.05 * true[-1]
    without = np.sum(eta**2 * m**2 * np.exp(m * times[:-1]) / 2)  # the sum of the defects, not amplified
    assert true[-1] > 3 * without


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
    descent = eom.descend(loss, start, 0.5 / steps, steps)
    motion = eom.flow(eom.compile(loss, 0), start, 0.1, descent.times)
    assert np.linalg.norm(descent.thetas - motion.thetas, axis=1).max() <= 0.05
    assert bound.proven
    assert "eps-tube" in str(bound)


@pytest.mark.parametrize("order", range(3))
def test_bounds_of_a_network(order: int) -> None:
    loss, start, eta, steps = DEEP.build(), DEEP.start, 0.01, 50
    descent = eom.descend(loss, start, eta, steps)
    motion = eom.flow(eom.compile(loss, order), start, eta, descent.times)
    true = np.linalg.norm(descent.thetas - motion.thetas, axis=1)
    measured = measured_bound(loss, start, eta, steps, order)
    proven = distance_bound(loss, start, eta, steps, order)
    for bound in (measured, proven):
        assert np.all(true <= bound.values + 1e-13)
    assert measured.value < 1.1 * true[-1]
    assert proven.value < 40 * true[-1]


def test_estimates_are_labelled() -> None:
    loss = ROSENBROCK.build()
    estimate = EstimatedCurvature(eom.compile(loss, 0))
    bound = measured_bound(loss, ROSENBROCK.start, 0.05, 20, 1, estimate)
    assert not bound.proven
    assert str(bound).startswith("estimate ")


@pytest.mark.parametrize(
    "growth, defect, message",
    [
        ([np.inf], [1.0], r"needed m\(t\) integrable"),
        ([1.0], [-1.0], "needed a finite defect >= 0"),
        ([1.0], [np.nan], "needed a finite defect >= 0"),
    ],
)
def test_fundamental_bound_names_the_hypothesis(growth: list[float], defect: list[float], message: str) -> None:
    with pytest.raises(HypothesisError, match=message):
        fundamental_bound([0.0, 1.0], growth, defect)


def test_fundamental_bound_checks_shapes() -> None:
    with pytest.raises(InputError, match="one number between each two times"):
        fundamental_bound([0.0, 1.0], [1.0, 2.0], [1.0])
    with pytest.raises(InputError, match="increasing"):
        fundamental_bound([0.0, 0.0], [1.0], [1.0])


def test_a_tube_that_leaves_the_domain_gives_no_number() -> None:
    # log x: the tube must stay above zero
    def lower(x: np.ndarray, r: float) -> float:
        return -1 / (x[0] - r) ** 2 if r < x[0] else float("nan")

    given = GivenCurvature(lower, lambda x, r: 0.0, lambda x, r: 1 / (x[0] - r))
    loss = eom.Loss("log(x)", variables="x")
    assert distance_bound(loss, [1.0], 0.01, 5, curvature=given).value < 0.01
    with pytest.raises(HypothesisError, match="leaves the domain"):
        distance_bound(loss, [0.3], 0.05, 20, curvature=given)
    with pytest.raises(HypothesisError, match="leaves the domain"):
        safe_step_size(loss, [0.3], 0.5, 0.01, given)


def test_start_too_far_away() -> None:
    loss = eom.Loss("-x**2/2", variables="x")
    with pytest.raises(HypothesisError, match=r"needed exp\(int m\) .* < epsilon"):
        safe_step_size(loss, [1.0], 0.1, 5.0, saddle(1.0), initial=0.05)


def test_too_large_a_step() -> None:
    with pytest.raises(HypothesisError, match="no bound: needed"):
        distance_bound(DEEP.build(), DEEP.start, 0.5, 20)
    with pytest.raises(HypothesisError, match="needed a disc"):
        distance_bound(DEEP.build(), DEEP.start, 0.2, 5, 2)


def test_a_field_has_no_bound() -> None:
    field = eom.Field(["x - x*y", "x*y - y"], variables="x y")
    with pytest.raises(HypothesisError, match="needed a gradient"):
        distance_bound(field, [1.0, 1.0], 0.1, 2)


def test_an_unknown_loss_has_no_closed_form() -> None:
    with pytest.raises(HypothesisError, match="needed a network without biases"):
        measured_bound(ROSENBROCK.build(), ROSENBROCK.start, 0.05, 2)
    with pytest.raises(InputError, match="curvature must be a Curvature"):
        measured_bound(ROSENBROCK.build(), ROSENBROCK.start, 0.05, 2, 0, 3.0)  # type: ignore[arg-type]
