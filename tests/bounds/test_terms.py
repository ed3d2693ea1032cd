"""Bounds on derivatives and counter terms: against plain sums over trees, and against the derivatives themselves."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import sympy

import eomsym as eom
from eomsym.bounds.terms import tree_bounds
from eomsym.curvature.closed_form import curvature_of
from eomsym.curvature.derivatives import Derivatives
from eomsym.curvature.hessian import eigenvalue_range
from eomsym.curvature.networks import NetworkCurvature
from eomsym.curvature.polynomials import PolynomialCurvature
from eomsym.errors import HypothesisError


@pytest.mark.parametrize("kinds", [1, 2, 3, 6, 9])
def test_tree_bounds_are_the_plain_sum_over_trees(kinds: int) -> None:
    rng = np.random.default_rng(kinds)
    known = rng.random((kinds, 3)) * 3
    known[-1, 0] = known[0, 1] = 0.0
    expected = np.zeros((8, 3))
    for k, term in enumerate(eom.counter_terms(7)):
        for tree, coefficient in term.items():
            children = np.bincount([parent for parent in tree.parents if parent >= 0], minlength=k + 1)
            if children.max() < kinds:
                expected[k] += abs(float(coefficient)) * np.prod(known[children], axis=0)
    np.testing.assert_allclose(tree_bounds(known, 7), expected, rtol=1e-12)


def test_polynomials_have_the_norms_of_their_derivatives() -> None:
    loss = eom.Loss("(1-x)**2/2 + 3*(y - x**2)**2/2 + x*y*z**2 - z**3/5", variables="x y z").with_weight_decay(
        Fraction(1, 4)
    )
    theta = np.array([0.5, -1.25, 0.75])
    at = dict(zip(loss.variables, map(sympy.Rational, theta), strict=True))
    whole = loss.expression + sum(v**2 for v in loss.variables) / 8
    derivatives = PolynomialCurvature(loss).at(theta).derivatives()
    for j in range(4):
        entries = [whole.diff(*along).subs(at) for along in itertools.product(loss.variables, repeat=j + 1)]
        if j == 1:  # the spectral norm is sharper
            matrix = np.array(entries, dtype=float).reshape(3, 3)
            expected = np.linalg.norm(matrix, 2)
        else:
            expected = math.sqrt(sum(entry**2 for entry in entries))
        assert derivatives.known[j] == pytest.approx(expected, rel=1e-12, abs=0)
    assert len(derivatives.known) == 4


def test_curvature_of_a_polynomial_over_a_ball() -> None:
    # L = x**4/12: A = x**2 and g = x**3/3 on [1, 2]; the floor takes |A'| <= 2 + 2 r for A' = 2 x.
    ball = curvature_of(eom.Loss("x**4/12", variables="x")).at(np.array([1.5])).spectrum(0.5)
    assert ball.upper == pytest.approx(4.0, rel=1e-9, abs=0)
    assert ball.slope == pytest.approx(8 / 3, rel=1e-9, abs=0)
    assert ball.lower == pytest.approx(2.25 - 1.75, rel=1e-9, abs=0)


@pytest.mark.parametrize("order", range(4))
def test_bounds_of_a_polynomial_hold_at_every_order(order: int) -> None:
    loss, start, eta, steps = eom.Loss("(1-x)**2/2 + (y-x**2)**2/2", variables="x y"), [-0.5, 1.0], 0.01, 50
    bound = eom.bounds.distance(loss, start, eta=eta, steps=steps, order=order, certificate="proven")
    descent = eom.descend(loss, start, eta=eta, steps=steps)
    motion = eom.flow(eom.compile(loss, order), start, eta=eta, time=descent.times)
    true = np.linalg.norm(descent.thetas - motion.thetas, axis=1)
    assert bound.proven
    assert np.all(true <= bound.values + 1e-13)
    assert bound.value < 12 * true[-1]


def test_other_losses_are_refused() -> None:
    with pytest.raises(HypothesisError, match="needed a network without biases or a polynomial loss, got"):
        curvature_of(eom.Loss("exp(x)", variables="x"))
    names = [f"x{i}" for i in range(20)]
    with pytest.raises(HypothesisError, match=r"at most 1,000,000 derivatives of its terms, got 1,048,576"):
        curvature_of(eom.Loss("*".join(names), variables=" ".join(names)))
    with pytest.raises(HypothesisError, match="needed finite derivatives"):
        curvature_of(eom.Loss("x**9", variables="x")).at(np.array([1e200]))


@pytest.mark.parametrize("activation", ["linear", "leaky_relu"])
def test_the_majorant_of_softmax_is_a_power_series(activation: str) -> None:
    # Each row is the derivative of the row before, and the first ones are known.
    rng = np.random.default_rng(5)
    inputs, labels = rng.standard_normal((7, 2)), np.eye(3)[rng.integers(0, 3, 7)]
    loss = eom.Network((2, 3, 3), inputs, labels, activation, "cross_entropy").with_weight_decay(Fraction(1, 10))
    theta = rng.standard_normal(loss.size)
    derivatives = NetworkCurvature(loss).at(theta).derivatives()
    assert derivatives.known[0] == pytest.approx(np.linalg.norm(loss.gradient(theta)), rel=1e-9, abs=0)
    assert derivatives.known[1] == pytest.approx(
        max(map(abs, eigenvalue_range(eom.compile(loss, 0), theta))), rel=1e-9, abs=0
    )
    radius, step = 0.02, 1e-4
    here, after, before = (derivatives.at(r, 7) for r in (radius, radius + step, radius - step))
    np.testing.assert_allclose((after - before)[:-1] / (2 * step), here[1:], rtol=1e-3)
    assert np.all(np.isinf(derivatives.at(100.0, 3)))


def test_only_what_is_not_known_comes_from_the_majorant() -> None:
    geometric = Derivatives(np.array([0.5]), lambda r, top: np.array([math.factorial(j) / (1 - r) ** (j + 1)
                                                                     for j in range(top + 1)]))  # fmt: skip
    np.testing.assert_allclose(geometric.at([0.0, 0.5], 2), [[0.5, 1.5], [1, 4], [2, 16]])
    larger = Derivatives(np.array([7.0]), geometric.majorant)
    np.testing.assert_allclose(larger.at(0.5, 0), [2.0])


def test_other_functions_of_the_same_matrices_are_refused() -> None:
    rng = np.random.default_rng(0)
    layers = [eom.losses.Linear(3), eom.losses.BatchNorm(), eom.losses.Linear(1)]
    loss = eom.Network(layers, rng.standard_normal((6, 2)), rng.standard_normal((6, 1)))
    with pytest.raises(HypothesisError, match="needed a network without biases"):
        curvature_of(loss)


@pytest.mark.parametrize("gap", [5.0, 40.0, 1000.0])
@pytest.mark.parametrize("classes", [2, 5])
def test_softmax_that_is_almost_certain(gap: float, classes: int) -> None:
    # Nothing may vanish that rounding or underflow takes away: far from the centre the loss is steep again.
    labels = np.eye(classes)[:1]
    loss = eom.DeepLinear((1, classes), [[40.0]], labels, loss="cross_entropy")
    theta = np.full(loss.size, -gap / 80)
    theta[0] = gap / 80
    derivatives = curvature_of(loss).at(theta).derivatives()
    small = math.exp(-gap) if gap < 700 else 0.0
    chance = small / (1 + (classes - 1) * small)  # of each other class
    assert derivatives.at(0.0, 0)[0] >= 40 * chance * math.sqrt((classes - 1) ** 2 + classes - 1) * (1 - 1e-12)
    there = theta.copy()
    there[0] -= 2 * gap / 80
    assert derivatives.at(2 * gap / 80, 0)[0] >= np.linalg.norm(loss.gradient(there))
    assert np.all(derivatives.at(0.0, 8) > 0)


def test_cancellation_in_a_polynomial_is_allowed_for() -> None:
    loss = eom.Loss("(x-100)**8/8", variables="x")
    theta = np.array([100.05])
    derivatives = curvature_of(loss).at(theta).derivatives()
    true = [math.factorial(7) / math.factorial(7 - j) * 0.05 ** (7 - j) for j in range(8)]
    assert np.all(derivatives.known >= true)


def test_many_parameters_need_no_eigenvalues() -> None:
    names = [f"x{i}" for i in range(420)]
    loss = eom.Loss("+".join(f"{i}*{name}**2/840" for i, name in enumerate(names, 1)), variables=names)
    spectrum = curvature_of(loss).at(np.ones(420)).spectrum(0.0)
    assert spectrum.upper >= 1.0
    assert spectrum.lower <= 1 / 420


def test_irrational_coefficients_and_high_orders() -> None:
    spectrum = curvature_of(eom.Loss("sqrt(2)*x**2", variables="x")).at(np.zeros(1)).spectrum(1.0)
    assert spectrum.upper == pytest.approx(2 * math.sqrt(2), rel=1e-9, abs=0)
    loss = eom.Loss("x**2/2 + x**3/30", variables="x")
    assert eom.bounds.distance(loss, [1.0], eta=0.05, steps=1, order=16, certificate="proven").value < 1e-12
    with pytest.raises(HypothesisError, match="too many from order 17 on, got order 17"):
        eom.bounds.distance(loss, [1.0], eta=0.05, steps=1, order=17, certificate="proven")


def test_a_step_that_leaves_the_activation_region_has_no_bound() -> None:
    loss = eom.Network((1, 2, 1), [[1.0]], [[3.0]], "relu")
    start = [0.5, 0.01, 1.0, 1.0]  # the second unit is close to its kink
    assert eom.bounds.distance(loss, start, eta=1e-4, steps=3, order=1, certificate="proven").proven
    with pytest.raises(HypothesisError, match=r"activation region|one step to stay in the ball of radius"):
        eom.bounds.distance(loss, start, eta=0.02, steps=3, order=1, certificate="proven")
