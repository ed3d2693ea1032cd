"""Symmetries: identities, the three rows of predictions against the terms themselves, and what is refused."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import eomsym as eom
from eomsym.errors import InputError, MethodError, ShapeError, SymmetryError
from eomsym.losses import Activation, BatchNorm, LayerNorm, Linear, WeightNorm
from eomsym.losses.network import DeepLinear, Network
from eomsym.symmetries.noether import DESCENT, Symmetry, bare_gradient, bare_hessian, decay_rate
from eomsym.symmetries.symmetry import RescalingSymmetry, ScaleInvariance, TranslationInvariance


@cache
def data(features: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.standard_normal((8, features)), random.integers(0, classes, 8)


NORMALISED = {
    "batch": lambda layer: [layer, BatchNorm()],
    "layer": lambda layer: [layer, LayerNorm()],
    "weight": lambda layer: [WeightNorm(layer)],
}


def build(kind: str, widths: tuple[int, ...], seed: int) -> Any:
    inputs, labels = data(widths[0], widths[-1], seed)
    if kind in NORMALISED:
        layers: list[Any] = []
        for units in widths[1:-1]:
            layers += [*NORMALISED[kind](Linear(units)), Activation("tanh")]
        return Network([*layers, Linear(widths[-1])], inputs, labels, loss="cross_entropy")
    if kind == "deep linear":
        return DeepLinear(widths, inputs, labels, "cross_entropy")
    return Network(widths, inputs, labels, kind, "cross_entropy", bias=True, slope=0.3)


#: Which kind of network has which symmetry, by layer.
SYMMETRIES: dict[str, list[Any]] = {
    "batch": [ScaleInvariance("W1"), ScaleInvariance("W2", row=1), TranslationInvariance("W3")],
    "layer": [ScaleInvariance("W1"), ScaleInvariance("W2")],
    "weight": [ScaleInvariance("W2"), ScaleInvariance("W1", row=0), TranslationInvariance("W3", column=1)],
    "tanh": [TranslationInvariance("W3"), TranslationInvariance("b3")],
    "relu": [RescalingSymmetry(("W1", "W2"), bias="b1"), RescalingSymmetry(("W2", "W3"), bias="b2")],
    "leaky_relu": [RescalingSymmetry(("W1", "W2"), bias="b1"), TranslationInvariance("W3", column=0)],
    "deep linear": [RescalingSymmetry(("W1", "W2"), matrix=True), RescalingSymmetry(("W2", "W3"))],
}
CASES = [(kind, symmetry) for kind, symmetries in SYMMETRIES.items() for symmetry in symmetries]
WIDTHS = st.tuples(st.integers(1, 4), st.integers(2, 4), st.integers(2, 4), st.integers(2, 3))


@given(case=st.sampled_from(CASES), widths=WIDTHS, seed=st.integers(0, 10**6), scale=st.floats(0.3, 2.0))
def test_identities(case: Any, widths: tuple[int, ...], seed: int, scale: float) -> None:
    kind, symmetry = case
    loss = build(kind, widths, seed).with_weight_decay(0.3)  # the identities are those of L, without the decay
    assert symmetry.check(loss, loss.initial(seed, scale=scale)).violation < 1e-10


@given(
    case=st.sampled_from(CASES),
    widths=WIDTHS,
    seed=st.integers(0, 10**6),
    order=st.integers(0, 3),
    eta=st.floats(0.01, 1.0),
    x=st.sampled_from([0.0, 0.1, 0.5]),
)
def test_derivative_in_the_equation_of_motion(
    case: Any, widths: tuple[int, ...], seed: int, order: int, eta: float, x: float
) -> None:
    """The terms of the compiled kernel on one side, gradients and Hessians alone on the other."""
    kind, symmetry = case
    loss = build(kind, widths, seed).with_weight_decay(x / eta)
    kernel, theta = eom.compile(loss, order), loss.initial(seed)
    terms = kernel.terms(theta)
    measured = symmetry.along(loss, theta, kernel.field(theta, eta))
    predicted = symmetry.derivative(kernel, theta, eta)
    # The size of what cancels: |theta| times each term.
    size = np.linalg.norm(theta) * sum(eta**k * np.linalg.norm(term) for k, term in enumerate(terms))
    np.testing.assert_allclose(predicted, measured, rtol=1e-10, atol=1e-12 * size)


@given(case=st.sampled_from(CASES), widths=WIDTHS, seed=st.integers(0, 10**6), x=st.sampled_from([0.0, 0.2]))
def test_step_of_gradient_descent(case: Any, widths: tuple[int, ...], seed: int, x: float) -> None:
    kind, symmetry = case
    loss = build(kind, widths, seed).with_weight_decay(x / 0.5)
    theta = loss.initial(seed)
    after = eom.descend(loss, theta, eta=0.5, steps=1).thetas[1]
    predicted = symmetry.after_step(eom.compile(loss, 0), theta, 0.5)
    np.testing.assert_allclose(symmetry.value(loss, after), predicted, rtol=1e-11, atol=1e-12)


def test_table_of_the_squared_norm() -> None:
    """All layers scale-invariant: the rows of the table, written out once more from gradient and Hessian."""
    loss = eom.Loss("x*y/(x**2 + y**2) * (1 + u*v/(u**2 + 2*v**2))", variables="x y u v").with_weight_decay(0.7)
    theta, eta, decay = np.array([1.0, -0.4, 0.8, 0.5]), 0.3, 0.7
    kernel = eom.compile(loss, 2)
    block = ScaleInvariance(("x", "y"))
    gradient = bare_gradient(kernel, theta)
    squared, part = theta[:2] @ theta[:2], gradient[:2] @ gradient[:2]
    bent = gradient[:2] @ bare_hessian(kernel, theta, gradient)[:2]
    rows = [
        -2 * decay * squared,
        -(2 * decay + eta * decay**2) * squared + eta * part,
        -(2 * decay + eta * decay**2 + 2 / 3 * eta**2 * decay**3) * squared + eta * part + eta**2 * bent,
    ]
    for order, row in enumerate(rows):
        motion = kernel.at_order(order)
        assert block.derivative(motion, theta, eta)[0] == pytest.approx(row, rel=1e-13, abs=0)
        assert block.along(loss, theta, motion.field(theta, eta))[0] == pytest.approx(row, rel=1e-12, abs=0)
    assert block.effective_rate(loss, theta, eta) == pytest.approx(eta / 1.16, rel=1e-9, abs=0)


def test_direction_follows_the_modified_flow_on_the_sphere() -> None:
    """At order 1 the decay cancels: the direction moves as in the modified flow of rate eta/r**2 at unit norm."""
    loss = eom.Loss("(x*y + z**2/2)/(x**2 + y**2 + z**2)", variables="x y z")
    unit, radius, eta = np.array([2.0, -1.0, 2.0]) / 3, 1.7, 0.4
    projection = np.eye(3) - np.outer(unit, unit)
    bare = eom.compile(loss, 1)
    effective = eta / radius**2
    expected = projection @ bare.field(unit, effective) / radius**2
    for decay in (0.0, 0.5):
        velocity = eom.compile(loss.with_weight_decay(decay), 1).field(radius * unit, eta)
        np.testing.assert_allclose(projection @ velocity / radius, expected, atol=1e-15)


# equilibrium ----------------------------------------------------------------------------------------------------------


def test_equilibria_are_reached() -> None:
    """A steady scale-invariant force: the norms of all models settle where they should, gradient flow's at zero."""
    force = eom.Field(["-y/(x**2 + y**2)", "x/(x**2 + y**2)"], variables="x y").with_weight_decay(0.5)
    eta, start = 0.4, np.array([1.5, 0.0])
    kernel = eom.compile(force, 3)
    thetas = eom.descend(force, start, eta=eta, steps=200).thetas
    expected = ScaleInvariance.equilibrium(eta, 0.5, 1.0)
    assert np.linalg.norm(thetas[-1]) == pytest.approx(expected, rel=1e-12, abs=0)
    turn = thetas[-2] @ thetas[-1] / (np.linalg.norm(thetas[-2]) * np.linalg.norm(thetas[-1]))
    assert np.arccos(turn) == pytest.approx(ScaleInvariance.angle(eta, 0.5), rel=1e-9, abs=0)
    for order in (1, 2, 3):
        path = eom.flow(kernel.at_order(order), start, eta=eta, time=[0.0, 40.0, 40.0 + eta / 8])
        expected = ScaleInvariance.equilibrium(eta, 0.5, 1.0, order)
        np.testing.assert_allclose(np.linalg.norm(path.thetas[1:], axis=1), expected, rtol=1e-9)
        turn = path.thetas[1] @ path.thetas[2] / np.prod(np.linalg.norm(path.thetas[1:], axis=1))
        assert 8 * np.arccos(turn) == pytest.approx(ScaleInvariance.angle(eta, 0.5, order), rel=1e-9, abs=0)
    # Gradient flow decays as if there were no force, while its effective rate grows.
    path = eom.flow(kernel.at_order(0), start, eta=eta, time=[0.0, 4.0])
    assert np.linalg.norm(path.thetas[1]) == pytest.approx(1.5 * np.exp(-2.0), rel=1e-10, abs=0)
    assert ScaleInvariance.equilibrium(eta, 0.5, 1.0, 0) == 0


def test_decay_of_high_order_is_that_of_descent() -> None:
    assert decay_rate(0.5, 0.6, 60) == pytest.approx(decay_rate(0.5, 0.6, DESCENT), rel=1e-15, abs=0)
    assert decay_rate(0.5, 0.6, 3) == pytest.approx(
        0.6 + 0.5 * 0.36 / 2 + 0.25 * 0.216 / 3 + 0.125 * 0.1296 / 4, rel=1e-9, abs=0
    )


# refusals -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind, symmetry",
    [
        ("tanh", ScaleInvariance("W1")),
        ("batch", ScaleInvariance("W3")),
        ("batch", TranslationInvariance("W2")),
        ("layer", ScaleInvariance("W1", row=0)),
        ("tanh", RescalingSymmetry(("W1", "W2"), bias="b1")),
        ("relu", RescalingSymmetry(("W1", "W2"))),
        ("relu", RescalingSymmetry(("W1", "W2"), bias="b1", matrix=True)),
    ],
    ids=str,
)
def test_a_symmetry_that_is_not_there(kind: str, symmetry: Symmetry) -> None:
    loss = build(kind, (3, 4, 3, 2), 0)
    theta = loss.initial(1) + 0.1
    with pytest.raises(SymmetryError, match=r"does not have .*violated by [0-9.e-]+ \(gradient\)") as caught:
        symmetry.check(loss, theta)
    assert str(symmetry) in str(caught.value)


def test_bad_input() -> None:
    loss = build("deep linear", (3, 4, 3, 2), 0)
    theta = loss.initial(0)
    with pytest.raises(InputError, match="has no block 'W9'; its blocks are W1, W2, W3"):
        ScaleInvariance("W9").check(loss, theta)
    with pytest.raises(InputError, match=r"block W1 of shape \(4, 3\) has no row 4"):
        ScaleInvariance("W1", row=4).value(loss, theta)
    with pytest.raises(InputError, match="layers must be two names"):
        RescalingSymmetry("W1")  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=r"layers \('W1', 'W3'\) have shapes"):
        RescalingSymmetry(("W1", "W3")).check(loss, theta)
    with pytest.raises(InputError, match="written out to order 3, got order 4"):
        RescalingSymmetry(("W1", "W2")).derivative(eom.compile(loss, 4), theta, 0.1)
    with pytest.raises(MethodError, match="known for gradient descent, got"):
        TranslationInvariance("W3").derivative(eom.compile(loss, 1, method=eom.HeavyBall(Fraction(1, 2))), theta, 0.1)
    with pytest.raises(InputError, match=r"0 <= decay < 1/eta = 2; take a smaller"):
        TranslationInvariance("W3").derivative(eom.compile(loss.with_weight_decay(2), 1), theta, 0.5)
    with pytest.raises(InputError, match="must be > 0 for an equilibrium"):
        ScaleInvariance.equilibrium(0.1, 0.0, 1.0)
    with pytest.raises(InputError, match="known for orders 1 to 3 and 'descent', got 4"):
        ScaleInvariance.angle(0.1, 0.1, 4)
    with pytest.raises(InputError, match="model must be an order >= 0 or 'descent', got 'adam'"):
        decay_rate(0.1, 0.1, "adam")
