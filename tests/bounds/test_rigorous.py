"""Enclosures contain the truth, and refuse what they do not know."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from problems import ROSENBROCK

import eomsym as eom
from eomsym.bounds import distance, enclose_flow, enclose_terms
from eomsym.bounds.rigorous import EnclosedCurvature
from eomsym.errors import ExpressionError, HypothesisError, MissingDependencyError

TANH = eom.Loss("(tanh(x*y) - 1/2)**2 + exp(-x)*y**2/8 + atan(x)**2", variables="x y")


def test_terms_contain_the_exact_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    from eomsym.taylor.plan import terms_plan
    from eomsym.taylor.table import counter_terms_at

    loss = ROSENBROCK.build()
    enclosed = enclose_terms(loss, ROSENBROCK.start, order=4)
    exact = counter_terms_at(terms_plan(loss, 4), [Fraction(-1, 2), Fraction(1)], 4)
    from flint import arb, ctx

    monkeypatch.setattr(ctx, "prec", 512)  # the exact number becomes a far smaller ball
    for ball, number in zip(enclosed.ravel(), exact.ravel(), strict=True):
        assert ball.contains(arb(Fraction(number).numerator) / Fraction(number).denominator)
        assert float(ball.rad()) < 1e-30


def test_terms_of_functions_agree_with_the_kernel() -> None:
    enclosed = enclose_terms(TANH, [0.4, -0.3], order=3)
    floats = np.array([[float(ball.mid()) for ball in row] for row in enclosed])
    np.testing.assert_allclose(floats, eom.compile(TANH, 3).terms([0.4, -0.3]), rtol=1e-12)


@pytest.mark.parametrize("order", range(3))
def test_flow_is_enclosed(order: int) -> None:
    enclosure = enclose_flow(TANH, [-0.5, 1.0], eta=0.05, steps=6, order=order, substeps=2)
    path = eom.flow(eom.compile(TANH, order), [-0.5, 1.0], eta=0.05, time=enclosure.times)
    gaps = np.linalg.norm(path.thetas - enclosure.centres, axis=1)
    assert np.all(gaps <= enclosure.radii + 3 * path.error)
    assert enclosure.radii[-1] < 2e-3


def test_gradient_descent_stays_within_epsilon_machine_checked() -> None:
    loss = ROSENBROCK.build()
    for order, epsilon in enumerate((2.2e-2, 1.3e-3, 3e-4)):
        bound = distance(loss, ROSENBROCK.start, eta=0.1, steps=10, order=order, certificate="rigorous", substeps=2)
        assert bound.largest <= epsilon
        assert bound.certificate == "rigorous"
        end = eom.flow(eom.compile(loss, order), ROSENBROCK.start, eta=0.1, time=1.0).thetas[-1]
        true = np.linalg.norm(eom.descend(loss, ROSENBROCK.start, eta=0.1, steps=10).thetas[-1] - end)
        assert true <= bound.value


def test_enclosed_curvature_contains_random_spectra() -> None:
    rng = np.random.default_rng(1)
    curvature, kernel = EnclosedCurvature(TANH), eom.compile(TANH, 0)
    from eomsym.curvature.hessian import eigenvalue_range

    for _ in range(20):
        centre, direction = rng.standard_normal(2), rng.standard_normal(2)
        ball = curvature.at(centre).spectrum(0.1)
        point = centre + 0.1 * direction / np.linalg.norm(direction)
        low, high = eigenvalue_range(kernel, point)
        assert ball.lower <= low + 1e-12
        assert high <= ball.upper + 1e-12
        assert np.linalg.norm(kernel.gradient(point)) <= ball.slope


def test_enclosed_curvature_proves_bounds_for_any_loss() -> None:
    bound = distance(TANH, [-0.5, 1.0], eta=0.05, steps=10, order=1, curvature=EnclosedCurvature(TANH))
    descent = eom.descend(TANH, [-0.5, 1.0], eta=0.05, steps=10)
    motion = eom.flow(eom.compile(TANH, 1), [-0.5, 1.0], eta=0.05, time=descent.times)
    true = np.linalg.norm(descent.thetas - motion.thetas, axis=1)
    assert bound.proven
    assert np.all(true <= bound.values)
    assert bound.value < 3 * true[-1]


def test_kinks_and_unknown_functions_are_refused() -> None:
    net = eom.Network((1, 1, 1), [[1.0]], [[1.0]], "relu")
    with pytest.raises(HypothesisError, match="smooth loss"):
        enclose_terms(net, [0.5, 0.5], order=0)
    with pytest.raises(ExpressionError, match="erf has no value in Arb balls; write the loss with one of exp, tanh"):
        enclose_terms(eom.Network((1, 1, 1), [[1.0]], [[1.0]], "gelu"), [0.5, 0.5], order=1)


def test_the_largest_number_that_a_softmax_takes_off_is_a_constant() -> None:
    rng = np.random.default_rng(4)
    net = eom.Network((3, 4, 2), rng.standard_normal((5, 3)), rng.integers(0, 2, 5), "tanh", "cross_entropy")
    theta = net.initial(0)
    terms = eom.compile(net, 1).terms(theta)
    for ball, number in zip(enclose_terms(net, theta, order=1).ravel(), terms.ravel(), strict=True):
        assert float(ball.rad()) < 1e-25
        assert float(ball.mid()) == pytest.approx(number, rel=1e-10, abs=1e-13 * abs(terms).max())


def test_a_box_outside_of_the_domain_is_refused() -> None:
    with pytest.raises(HypothesisError, match="no bound"):
        distance(eom.Loss("log(x)", variables="x"), [0.2], eta=0.05, steps=5, certificate="rigorous")


def test_without_flint(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "flint", None)
    with pytest.raises(MissingDependencyError, match="rigorous"):
        enclose_terms(TANH, [0.4, -0.3], order=1)


def test_every_operation_of_a_ball_and_of_a_series_of_balls() -> None:
    from flint import arb_series

    from eomsym.taylor.rings.balls import Ball, Balls

    for series in (False, True):
        three, eight = (Balls(series)(number) for number in (3, 8))
        assert isinstance(three.value, arb_series) == series
        found = [three + eight, three - eight, three * eight, three / eight, -eight]
        found += [2 + eight, 2 - eight, 2 * eight, 2 / eight, eight + 2, eight - 2, eight * 2, eight / 2]
        expected = [11, -5, 24, Fraction(3, 8), -8, 10, -6, 16, Fraction(1, 4), 10, 6, 16, 4]
        assert [Fraction(float(ball.first)) for ball in found] == expected
        assert all(isinstance(ball, Ball) for ball in found)
        assert three == 3
        assert three != 8
        root = Balls(series).value("power", eight, Balls(series)(Fraction(1, 3))).first
        assert root.contains(2)
        assert float(root.rad()) < 1e-13
