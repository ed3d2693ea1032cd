"""Bounds hold where rounding decides: against 40 digits, near the last place, and at any scale."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy

import eomsym as eom
from eomsym.bounds import distance, many_distances, many_step_sizes, step_size
from eomsym.curvature import NetworkFamily
from eomsym.errors import HypothesisError

mp = mpmath.mp.clone()
mp.dps = 40


def extrapolated(velocity: Callable[[Any], Any], start: Any, time: Any, parts: int = 2) -> Any:
    """The flow by the modified midpoint rule, extrapolated (Gragg, Bulirsch, Stoer): nothing of the package in it."""
    state = start
    for _ in range(parts):
        rows: list[list[Any]] = []
        for j in range(1, 11):
            h = time / parts / (2 * j)
            before, now = state, state + h * velocity(state)
            for _ in range(2 * j - 1):
                before, now = now, before + 2 * h * velocity(now)
            row = [(before + now + h * velocity(now)) / 2]
            for k in range(1, j):
                row.append(row[-1] + (row[-1] - rows[-1][k - 1]) / ((mp.mpf(j) / (j - k)) ** 2 - 1))
            rows.append(row)
        state = rows[-1][-1]
    return state


def exact_distances(loss: eom.Loss, start: float, eta: float, steps: int, order: int) -> list[float]:
    """Distances of gradient descent from the equation of motion for one variable, rounded up."""
    x, e = sympy.symbols("x eta")
    fields = [
        sympy.lambdify([x, e], sympy.sympify(str(eom.modified_field(loss, k).velocity())), modules=[mp, "mpmath"])
        for k in (0, order)
    ]
    rate = mp.mpf(eta)
    run = motion = mp.mpf(start)
    found = [0.0]
    for _ in range(steps):
        run = run + rate * fields[0](run, rate)
        motion = extrapolated(lambda point: fields[1](point, rate), motion, rate)
        found.append(float(abs(run - motion)))
    return found


CASES = (
    ("-30*x**3 + 50*x**2 + 125", -1.02306, 4.118e-5, 8, 2),
    ("7*x**3/10 + 11*x**2/4 - 5/4", 0.00661863, 4.6899e-4, 4, 4),
    ("x**2/2", 1.0, 1e-9, 3, 0),  # 1 - eta is rounded by more than the distance
    ("(x - 1)**2/2", 1 + 2**-40, 0.125, 5, 3),
    ("3*x**4/7 - x**2/3 + x/100", 1.7e-7, 0.03, 6, 1),
    ("1e-9*x**4 - 2e-6*x**3 + x**2/1000", 1e3, 0.25, 4, 2),
    ("1234567*x**2 + 7654321*x**3", 1e-9, 1e-8, 6, 2),
)


@pytest.mark.parametrize("certificate", ["measured", "proven"])
@pytest.mark.parametrize("expression, start, eta, steps, order", CASES)
def test_bounds_hold_at_the_last_place(
    expression: str, start: float, eta: float, steps: int, order: int, certificate: str
) -> None:
    loss = eom.Loss(str(sympy.nsimplify(sympy.sympify(expression), rational=True)), variables="x")
    true = np.array(exact_distances(loss, start, eta, steps, order))
    bound = eom.bounds.distance(loss, [start], eta=eta, steps=steps, order=order, certificate=certificate)
    assert np.all(true <= bound.values), (true, bound.values)
    # The run in float64 is within it too, and what is added is a few units in the last place of theta each step.
    run = eom.descend(loss, [start], eta=eta, steps=steps).thetas[:, 0]
    exact = [mp.mpf(start)]
    gradient = sympy.lambdify(sympy.Symbol("x"), sympy.diff(loss.expression), modules=[mp, "mpmath"])
    for _ in range(steps):
        exact.append(exact[-1] - mp.mpf(eta) * gradient(exact[-1]))
    assert float(abs(mp.mpf(float(run[-1])) - exact[-1])) <= bound.value
    if certificate == "measured":
        assert bound.value <= 1.02 * true[-1] + 300 * (steps + 1) * np.spacing(abs(start))


def test_a_network_at_a_huge_learning_rate() -> None:
    # A leaky ReLU network that almost fits: eta lambda is 1/20 at a learning rate of 1e8, and the distance is rounding.
    eta, inputs, slope = 1.2e8, 2e-5, 0.25
    weights = np.array([1.25, -0.75])
    target = float(weights[1] * weights[0] * inputs) * (1 + 2**-44)
    net = eom.Network((1, 1, 1), [[inputs]], [[target]], "leaky_relu", slope=slope)
    x, t = mp.mpf(inputs), mp.mpf(target)

    def gradient(w: np.ndarray) -> np.ndarray:
        residual = w[1] * w[0] * x - t
        return np.array([residual * w[1] * x, residual * w[0] * x])

    start = np.array([mp.mpf(float(w)) for w in weights])
    run = motion = start
    for certificate in ("measured", "proven"):
        bound = eom.bounds.distance(net, weights, eta=eta, steps=6, certificate=certificate)
        run = motion = start
        for k in range(6):
            run = run - mp.mpf(eta) * gradient(run)
            motion = extrapolated(lambda w: -gradient(w), motion, mp.mpf(eta))
            true = float(mp.sqrt(sum((run - motion) ** 2)))
            assert true <= bound.values[k + 1], (k, true, bound.values[k + 1])
        floats = eom.descend(net, weights, eta=eta, steps=6).thetas[-1]
        gap = np.array([mp.mpf(float(a)) for a in floats]) - motion
        assert float(mp.sqrt(sum(gap**2))) <= bound.value


def test_a_gate_that_rounding_decides_has_no_bound() -> None:
    """``w x`` is 8.8e-17, and less than zero in float64: nothing moves then, and the truth moves by 0.3."""
    x = [-3.1063368012832915, -1.1422789566319196, 1.2969153998005238, -0.345672529464465]
    start = np.array([0.8545842348534083, -0.4889690638420449, 1.760667296993123, 0.5419844765648789, 1.0])
    assert sum(Fraction(a) * Fraction(b) for a, b in zip(x, start[:4].tolist(), strict=True)) > 0
    network = eom.Network((4, 1, 1), [x], [[5.0]], "relu")
    family = NetworkFamily((4, 1, 1), [[x]], [[[5.0]]], activation="relu")
    for certificate in ("closed_form", "measured", "proven"):
        with pytest.raises(HypothesisError, match="inside one activation region, got a unit of layer 1"):
            distance(network, start, eta=0.05, steps=1, certificate=certificate)
        assert many_distances(family, [start], eta=0.05, steps=1, certificate=certificate)[0, 1] == np.inf
    with pytest.raises(HypothesisError, match="needed a distance below epsilon"):
        step_size(network, start, time=0.05, epsilon=1e-6)
    assert np.isnan(many_step_sizes(family, [start], time=0.05, epsilon=1e-6))
