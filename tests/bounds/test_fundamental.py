"""The theorems on cases with a known answer, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from problems import DEEP, ROSENBROCK

import eomsym as eom
from eomsym.bounds import distance, step_size
from eomsym.bounds.fundamental import fundamental_theorem
from eomsym.curvature.hessian import EstimatedCurvature, GivenCurvature
from eomsym.errors import DivergenceError, HypothesisError, InputError, MethodError


def saddle(m: float) -> GivenCurvature:
    """Exact curvature of ``-m x**2/2``."""
    return GivenCurvature(lambda x, r: -m, lambda x, r: -m, lambda x, r: m * (abs(x[0]) + r))


def test_the_exponential_is_necessary() -> None:
    # Elkabetz and Cohen's lower bound: on -m x**2/2 gradient flow and gradient descent part like exp(mt).
    m, eta, steps = 1.0, 0.01, 400
    loss = eom.Loss("-x**2/2", variables="x")
    bound = distance(loss, [1.0], eta=eta, steps=steps, certificate="proven", curvature=saddle(m))
    times = bound.times
    true = np.exp(m * times) - (1 + eta * m) ** np.arange(steps + 1)
    assert np.all(true <= bound.values * (1 + 1e-12))
    assert bound.value < 1.05 * true[-1]
    without = np.sum(eta**2 * m**2 * np.exp(m * times[:-1]) / 2)  # the sum of the defects, not amplified
    assert true[-1] > 3 * without


@pytest.mark.parametrize("order", range(3))
def test_bounds_of_a_network(order: int) -> None:
    loss, start, eta, steps = DEEP.build(), DEEP.start, 0.01, 50
    descent = eom.descend(loss, start, eta=eta, steps=steps)
    motion = eom.flow(eom.compile(loss, order), start, eta=eta, time=descent.times)
    true = np.linalg.norm(descent.thetas - motion.thetas, axis=1)
    measured = distance(loss, start, eta=eta, steps=steps, order=order)
    proven = distance(eom.compile(loss, 0), start, eta=eta, steps=steps, order=order, certificate="proven")
    assert (measured.certificate, proven.certificate) == ("measured", "proven")
    for bound in (measured, proven):
        assert np.all(true <= bound.values + 1e-13)
    assert measured.value < 1.1 * true[-1]
    assert proven.value < 40 * true[-1]


def test_estimates_are_labelled() -> None:
    loss = ROSENBROCK.build()
    estimate = EstimatedCurvature(eom.compile(loss, 0))
    bound = distance(loss, ROSENBROCK.start, eta=0.05, steps=20, order=1, curvature=estimate)
    assert bound.certificate == "estimated"
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
def test_fundamental_theorem_names_the_hypothesis(growth: list[float], defect: list[float], message: str) -> None:
    with pytest.raises(HypothesisError, match=message):
        fundamental_theorem([0.0, 1.0], growth, defect)


def test_fundamental_theorem_checks_shapes() -> None:
    with pytest.raises(InputError, match="one number between each two times"):
        fundamental_theorem([0.0, 1.0], [1.0, 2.0], [1.0])
    with pytest.raises(InputError, match="increasing"):
        fundamental_theorem([0.0, 0.0], [1.0], [1.0])


def test_a_tube_that_leaves_the_domain_gives_no_number() -> None:
    # log x: the tube must stay above zero
    def lower(x: np.ndarray, r: float) -> float:
        return -1 / (x[0] - r) ** 2 if r < x[0] else float("nan")

    given = GivenCurvature(lower, lambda x, r: 0.0, lambda x, r: 1 / (x[0] - r))
    loss = eom.Loss("log(x)", variables="x")
    assert distance(loss, [1.0], eta=0.01, steps=5, certificate="proven", curvature=given).value < 0.01
    with pytest.raises(HypothesisError, match="leaves the domain"):
        distance(loss, [0.3], eta=0.05, steps=20, certificate="proven", curvature=given)
    with pytest.raises(HypothesisError, match="leaves the domain"):
        step_size(loss, [0.3], time=0.01, epsilon=0.5, certificate="theorem", curvature=given)


def test_too_large_a_step() -> None:
    with pytest.raises(HypothesisError, match="no bound: needed"):
        distance(DEEP.build(), DEEP.start, eta=0.5, steps=20, certificate="closed_form")
    with pytest.raises(HypothesisError, match="needed a disc"):
        distance(DEEP.build(), DEEP.start, eta=0.2, steps=5, order=2, certificate="closed_form")


def test_a_field_has_no_bound() -> None:
    field = eom.Field(["x - x*y", "x*y - y"], variables="x y")
    with pytest.raises(HypothesisError, match="needed a gradient"):
        distance(field, [1.0, 1.0], eta=0.1, steps=2)


def test_an_unknown_loss_has_no_closed_form() -> None:
    with pytest.raises(HypothesisError, match="needed a network without biases or a polynomial loss, got"):
        distance(eom.Loss("exp(x) - x", variables="x"), [1.0], eta=0.05, steps=2)
    with pytest.raises(InputError, match="curvature must be a Curvature"):
        distance(ROSENBROCK.build(), ROSENBROCK.start, eta=0.05, steps=2, curvature=3.0)  # type: ignore[arg-type]


def test_what_does_not_fit_is_named() -> None:
    loss, start = ROSENBROCK.build(), ROSENBROCK.start
    with pytest.raises(InputError, match="certificate='exact': expected one of 'measured', 'proven', 'closed_f"):
        distance(loss, start, eta=0.05, steps=2, certificate="exact")
    with pytest.raises(InputError, match="encloses the Hessian itself; leave out curvature"):
        distance(loss, start, eta=0.05, steps=2, certificate="rigorous", curvature=saddle(1.0))
    with pytest.raises(InputError, match="unknown options degree of the measured distance"):
        distance(loss, start, eta=0.05, steps=2, degree=3)
    with pytest.raises(MethodError, match="bounds are for gradient descent, got a kernel of heavy ball"):
        distance(eom.compile(loss, 0, method=eom.HeavyBall("1/2")), start, eta=0.05, steps=2)
    with pytest.raises(DivergenceError, match="cannot be followed beyond step 1 of 2"):
        distance(eom.Loss("-x**4", variables="x"), [1.0], eta=0.1, steps=2)
