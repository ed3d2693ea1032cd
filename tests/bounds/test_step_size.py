"""Guaranteed learning rates: the theorem's, and the largest that the discrete theorem allows."""

from __future__ import annotations

import numpy as np
import pytest
from problems import DEEP

import eomsym as eom
from eomsym.bounds import distance, step_size
from eomsym.curvature.hessian import EstimatedCurvature, GivenCurvature
from eomsym.errors import HypothesisError, InputError


def test_step_size_of_a_saddle_is_the_constant_formula() -> None:
    # m eps/(beta gamma (exp(mT) - 1)): Elkabetz and Cohen's corollary for constant m, beta and gamma
    m, time, epsilon = 0.5, 2.0, 0.1
    loss = eom.Loss("-x**2/4", variables="x")
    constant = GivenCurvature(lambda x, r: -m, lambda x, r: m, lambda x, r: 3.0)
    allowed = step_size(loss, [1.0], time=time, epsilon=epsilon, certificate="theorem", curvature=constant)
    assert allowed.eta == pytest.approx(m * epsilon / (m * 3.0 * np.expm1(m * time)), rel=1e-9, abs=0)
    assert time / allowed.steps <= allowed.eta < time / (allowed.steps - 1)


@pytest.mark.parametrize(
    "growth, expected",
    [(0.0, 0.1 / (2 * 3 * 4)), (-0.5, 0.5 * 0.1 / (6 * -np.expm1(-2))), (1.0, 0.1 / (6 * np.expm1(4)))],
)
def test_constant_step_sizes(growth: float, expected: float) -> None:
    given = GivenCurvature(lambda x, r: -growth, lambda x, r: 2.0, lambda x, r: 3.0)
    loss = eom.Loss("x**2/2", variables="x")
    assert step_size(loss, [1.0], time=4.0, epsilon=0.1, certificate="theorem", curvature=given).eta == pytest.approx(
        expected, rel=1e-9, abs=0
    )


def test_the_theorem_keeps_its_promise() -> None:
    loss, start = DEEP.build(), DEEP.start
    found = step_size(loss, start, epsilon=0.05, time=0.5, certificate="theorem")
    steps = found.steps + 1
    descent = eom.descend(loss, start, eta=0.5 / steps, steps=steps)
    motion = eom.flow(eom.compile(loss, 0), start, eta=0.1, time=descent.times)
    assert np.linalg.norm(descent.thetas - motion.thetas, axis=1).max() <= 0.05
    assert found.proven
    assert "eps-tube" in str(found)
    with pytest.raises(InputError, match="certificate='theorem' is for order 0"):
        step_size(loss, start, epsilon=0.05, time=0.5, order=1, certificate="theorem")


@pytest.mark.parametrize("certificate", ["measured", "proven"])
@pytest.mark.parametrize("order", range(3))
def test_search_finds_a_larger_rate_and_keeps_its_promise(order: int, certificate: str) -> None:
    loss, start, epsilon, time = DEEP.build(), DEEP.start, 0.01, 0.5
    found = step_size(loss, start, epsilon=epsilon, time=time, order=order, certificate=certificate)
    assert found.eta == time / found.steps
    descent = eom.descend(loss, start, eta=found.eta, steps=found.steps)
    motion = eom.flow(eom.compile(loss, order), start, eta=found.eta, time=descent.times)
    reached = np.linalg.norm(descent.thetas - motion.thetas, axis=1).max()
    assert (0.2 if certificate == "measured" else 0.01) * epsilon < reached <= epsilon
    assert found.certificate == certificate
    assert found.eta > 2 * step_size(loss, start, epsilon=epsilon, time=time, certificate="theorem").eta


def test_search_ends_at_the_smallest_number_of_steps() -> None:
    # From above and from below: 2 % fewer steps would not do.
    loss, start = DEEP.build(), DEEP.start
    for epsilon in (0.03, 0.003):
        steps = step_size(loss, start, epsilon=epsilon, time=1.0, certificate="proven").steps
        assert distance(loss, start, eta=1 / steps, steps=steps, certificate="proven").largest <= epsilon
        fewer = min(int(0.97 * steps), steps - 1)
        assert distance(loss, start, eta=1 / fewer, steps=fewer, certificate="proven").largest > epsilon


def test_rigorous_rates() -> None:
    loss = eom.Loss("x**2/2", variables="x")
    found = step_size(loss, [1.0], time=1.0, epsilon=0.02, certificate="rigorous")
    # The largest of |exp(-k eta) - (1 - eta)**k| is at the end.
    assert (
        np.exp(-1) - (1 - found.eta) ** found.steps
        <= 0.02
        < np.exp(-1) - (1 - 1 / (found.steps - 1)) ** (found.steps - 1)
    )


def test_search_takes_one_step_if_that_is_enough() -> None:
    flat = eom.Loss("x", variables="x")
    for certificate in ("measured", "proven"):
        found = step_size(flat, [0.0], epsilon=0.1, time=7.0, certificate=certificate)
        assert (found.eta, found.steps) == (7.0, 1)


def test_search_that_finds_nothing_says_how_far_it_came() -> None:
    with pytest.raises(HypothesisError, match=r"a distance below epsilon = 1e-06, got with 50 steps the bound"):
        step_size(DEEP.build(), DEEP.start, epsilon=1e-6, time=1.0, certificate="proven", most_steps=50)


def test_search_says_at_once_what_more_steps_cannot_mend() -> None:
    loss = eom.Loss("exp(x) - x", variables="x")
    estimate = EstimatedCurvature(eom.compile(loss, 0))
    with pytest.raises(HypothesisError, match=r"^no bound: needed all derivatives of the gradient"):
        step_size(loss, [1.0], epsilon=0.05, time=1.0, order=1, certificate="proven", curvature=estimate)


def test_an_estimate_is_labelled() -> None:
    loss = eom.Loss("(x*y - 1)**2/2", variables="x y")
    curvature = EstimatedCurvature(eom.compile(loss, 0))
    found = step_size(loss, [0.5, 0.5], epsilon=0.05, time=1.0, curvature=curvature)
    assert found.certificate == "estimated"
    assert not found.proven
