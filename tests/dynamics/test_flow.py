"""The integrator: closed forms, an error that is the truth, and failures that say when."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy
from problems import PARAMETERS, ROSENBROCK, Case

import eomsym as eom
from eomsym.dynamics.flow import SMALLEST_RTOL, as_times, integrate
from eomsym.errors import DivergenceError, InputError, ShapeError, TableError

MATRIX = np.array([[2.0, 0.5], [0.5, 1.0]])


def quadratic(order: int) -> eom.compile:
    return eom.compile(eom.Loss("x**2 + x*y/2 + y**2/2", variables="x y"), order)


@pytest.mark.parametrize("order", [0, 1, 4])
def test_quadratic_loss_follows_the_truncated_logarithm(order: int) -> None:
    # term_k = A**(k+1) theta / (k+1): eigenvalue a decays at the rate sum_k eta**k a**(k+1) / (k+1)
    eta, start, times = 0.1, np.array([1.0, -2.0]), np.linspace(0, 3, 7)
    values, vectors = np.linalg.eigh(MATRIX)
    rates = sum(eta**k * values ** (k + 1) / (k + 1) for k in range(order + 1))
    path = eom.flow(quadratic(order), start, eta=eta, time=times)
    exact = np.exp(-np.outer(times, rates)) * (vectors.T @ start) @ vectors.T
    np.testing.assert_allclose(path.thetas, exact, rtol=0, atol=1e-11)
    np.testing.assert_array_equal(path.times, times)
    np.testing.assert_array_equal(path.thetas[0], start)
    assert np.max(np.linalg.norm(path.thetas - exact, axis=1)) <= path.error + 1e-15


def test_many_orders_come_close_to_gradient_descent() -> None:
    eta, steps, start = 0.1, 20, np.array([1.0, -2.0])
    descent = np.linalg.matrix_power(np.eye(2) - eta * MATRIX, steps) @ start
    path = eom.flow(quadratic(16), start, eta=eta, time=eta * steps)
    np.testing.assert_allclose(path.thetas[-1], descent, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rtol", [1e-4, 1e-6, 1e-8, 1e-10])
def test_reported_error_bounds_the_true_one(rtol: float) -> None:
    kernel = eom.compile(ROSENBROCK.build(), 2)
    times = np.linspace(0, 5, 4)
    path = eom.flow(kernel, ROSENBROCK.start, eta=0.1, time=times, rtol=rtol, atol=rtol)
    best = eom.flow(kernel, ROSENBROCK.start, eta=0.1, time=times, rtol=SMALLEST_RTOL, atol=1e-15)
    true = np.max(np.linalg.norm(path.thetas - best.thetas, axis=1))
    assert true <= path.error <= 3e3 * rtol
    assert path.evaluations < best.evaluations


@pytest.mark.parametrize("case", PARAMETERS)
def test_there_and_back(case: Case) -> None:
    kernel = eom.compile(case.build(), 2)
    there = eom.flow(kernel, case.start, eta=0.01, time=case.time)
    back = eom.flow(kernel, there.thetas[-1], eta=0.01, time=[case.time, 0.0])
    np.testing.assert_allclose(back.thetas[-1], case.start, rtol=0, atol=1e-9)


def test_result_does_not_depend_on_the_times_in_between() -> None:
    kernel = eom.compile(ROSENBROCK.build(), 1)
    few, many = (eom.flow(kernel, ROSENBROCK.start, eta=0.1, time=times) for times in (2.0, np.linspace(0, 2, 101)))
    np.testing.assert_array_equal(few.thetas[-1], many.thetas[-1])
    np.testing.assert_allclose(
        many.thetas[50], eom.flow(kernel, ROSENBROCK.start, eta=0.1, time=1.0).thetas[-1], atol=1e-11
    )


def test_start_is_left_alone_and_the_path_is_frozen() -> None:
    start = np.array(ROSENBROCK.start)
    path = eom.flow(eom.compile(ROSENBROCK.build(), 1), start, eta=0.1, time=1.0)
    path.thetas[0] = 7.0
    np.testing.assert_array_equal(start, ROSENBROCK.start)
    with pytest.raises(dataclasses.FrozenInstanceError, match="error"):
        path.error = 0.0  # type: ignore[misc]


def test_blow_up_names_the_time() -> None:
    # theta' = theta**2 from 1 is 1/(1 - t)
    kernel = eom.compile(eom.Loss("-x**3/3", variables="x"), 0)
    with pytest.raises(DivergenceError, match=r"at about time (1|0\.99)") as caught:
        eom.flow(kernel, [1.0], eta=0.1, time=[0.0, 0.5, 0.9, 2.0, 3.0])
    assert caught.value.step == 3
    path = eom.flow(kernel, [1.0], eta=0.1, time=[0.0, 0.5, 0.9])
    np.testing.assert_allclose(path.thetas[:, 0], [1, 2, 10], rtol=1e-9)


def test_velocity_that_fails_at_the_start() -> None:
    with pytest.raises(DivergenceError, match="velocity at the start is not finite"):
        integrate(lambda y: y * np.nan, np.ones(2), as_times(1), 1e-8, 1e-8)


def test_unit_of_time_may_be_far_too_long() -> None:
    # x' = -c (x + x**3): r = x**2/(1 + x**2) decays as exp(-2 c t); Taylor coefficients grow as c**k
    kernel = eom.compile(eom.Loss("10**18*(x**2/2 + x**4/4)", variables="x"), 0)
    r = math.exp(-2) / 2
    assert eom.flow(kernel, [1.0], eta=1e-19, time=1e-18).end[0] == pytest.approx(
        math.sqrt(r / (1 - r)), rel=1e-9, abs=0
    )


def test_trial_steps_may_leave_the_domain() -> None:
    # y' = -1/(2y) from 1 is sqrt(1 - t): a long trial step lands where y < 0
    def velocity(y: np.ndarray) -> np.ndarray:
        if y[0] < 0.2:
            raise TableError("no logarithm here", 0)
        return -0.5 / y

    states, error, _ = integrate(velocity, np.ones(1), as_times([0.0, 0.9]), 1e-9, 1e-12)
    assert abs(states[-1, 0] - math.sqrt(0.1)) <= error + 1e-12 < 1e-7
    with pytest.raises(DivergenceError, match=r"at about time 0\.96"):
        integrate(velocity, np.ones(1), as_times([0.0, 0.99]), 1e-9, 1e-12)


def test_stiff_field_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eomsym.dynamics.pairs.MOST_STEPS", 20)
    with pytest.raises(DivergenceError, match="too stiff: 20 steps only reach time"):
        integrate(lambda y: -1e4 * y, np.ones(1), as_times(1), 1e-8, 1e-8)


@pytest.mark.parametrize("eta", [0.0, -0.1, math.nan, math.inf, "fast"])
def test_learning_rate_must_be_positive(eta: object) -> None:
    with pytest.raises(InputError, match=r"eta must be a finite number > 0"):
        eom.flow(quadratic(0), [1.0, 1.0], eta=eta, time=1.0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "times", [[], [0.0], [0.0, 0.0], [0.0, 2.0, 1.0], [0.0, math.nan], math.inf, 0.0, [[0.0, 1.0]], "later"]
)
def test_times_must_be_monotone(times: object) -> None:
    with pytest.raises(InputError, match="time="):
        eom.flow(quadratic(0), [1.0, 1.0], eta=0.1, time=times)  # type: ignore[arg-type]


@pytest.mark.parametrize("rtol", [0.0, 1e-15, 1.0, math.nan])
def test_relative_tolerance_has_a_range(rtol: float) -> None:
    with pytest.raises(InputError, match="rtol="):
        eom.flow(quadratic(0), [1.0, 1.0], eta=0.1, time=1.0, rtol=rtol)


@pytest.mark.parametrize("atol", [0.0, -1.0, math.nan])
def test_absolute_tolerance_is_positive(atol: float) -> None:
    with pytest.raises(InputError, match="atol="):
        eom.flow(quadratic(0), [1.0, 1.0], eta=0.1, time=1.0, atol=atol)


def test_start_must_fit() -> None:
    with pytest.raises(ShapeError, match=r"\(3,\)"):
        eom.flow(quadratic(0), [1.0, 1.0, 1.0], eta=0.1, time=1.0)
    with pytest.raises(InputError, match="finite"):
        eom.flow(quadratic(0), [1.0, math.nan], eta=0.1, time=1.0)


def test_a_flow_that_slides_along_a_kink_takes_no_longer_than_it_may() -> None:
    """Steps get ever shorter there: 200,000 of them would be made."""
    data, targets = np.array([[1.0, 0.5], [-0.5, 1.0], [0.25, -1.0]]), np.array([[1.0], [-0.5], [0.25]])
    loss = eom.Network((2, 2, 1), data, targets, activation="relu", bias=True)
    start = np.array([-14, -5, 14, 11, 2, 11, 12, 0, 3]) / 16
    with pytest.raises(DivergenceError, match=r"CPU time .* of 1.*; take a shorter time, or a larger limit"):
        eom.flow(loss, start, time=1.0, order=0, limit=0.1)
    with pytest.raises(InputError, match="limit must be a finite number > 0, got 0"):
        eom.flow(loss, start, time=1.0, order=0, limit=0)


@pytest.mark.parametrize("rtol", [np.array(1e-8), Fraction(1, 10**8), sympy.Float("1e-8"), np.float32(1e-8)])
@pytest.mark.parametrize("atol", [np.array(1e-9), Fraction(1, 10**9), [1e-9, 1e-9]])
def test_tolerances_of_any_kind(rtol: Any, atol: Any) -> None:
    loss = eom.Loss("x**2 + y**2/3", variables="x y")
    assert eom.flow(loss, [1.0, 0.5], order=1, eta=0.1, time=1.0, rtol=rtol, atol=atol).error < 1e-6
    states, error, _ = integrate(lambda y: -y, np.ones(2), np.array([0.0, 1.0]), rtol, atol)
    assert abs(states[-1, 0] - math.exp(-1)) <= error < 1e-6
