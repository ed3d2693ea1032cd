"""Discrete optimisers against their textbook update rules."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import sympy

import eomsym as eom
from eomsym.errors import DivergenceError, InputError, MethodError, ShapeError

LOSS = eom.Loss("(1-x)**2/2 + (y-x**2)**2/2", variables="x y")
START = np.array([-0.5, 1.0])
ETA = 0.05


def run(step, steps=30):
    """Iterates of ``step(theta, previous)``, started at rest."""
    previous, theta = START, START
    path = [theta]
    for _ in range(steps):
        previous, theta = theta, step(theta, previous)
        path.append(theta)
    return np.array(path)


g = LOSS.gradient
RULES = {
    "gradient descent": (eom.GradientDescent(), lambda t, p: t - ETA * g(t)),
    "heavy ball": (eom.HeavyBall(Fraction(1, 2)), lambda t, p: t + 0.5 * (t - p) - ETA * g(t)),
    "nesterov": (eom.Nesterov(Fraction(1, 2)), lambda t, p: t + 0.5 * (t - p) - ETA * g(t + 0.5 * (t - p))),
    "optimistic": (eom.optimisers.OptimisticGradient(), lambda t, p: t - 2 * ETA * g(t) + ETA * g(p)),
    "extragradient": (eom.optimisers.Extragradient(), lambda t, p: t - ETA * g(t - ETA * g(t))),
    "sharpness-aware": (eom.optimisers.SharpnessAware(2), lambda t, p: t - ETA * g(t + 2 * ETA * g(t))),
    "heun": (
        eom.optimisers.RungeKutta([[0, 0], [1, 0]], ["1/2", "1/2"]),
        lambda t, p: t - ETA / 2 * (g(t) + g(t - ETA * g(t))),
    ),
}


@pytest.mark.parametrize("name", RULES)
def test_explicit_methods_follow_their_rule(name):
    method, rule = RULES[name]
    path = eom.descend(LOSS, START, eta=ETA, steps=30, method=method)
    np.testing.assert_allclose(path.thetas, run(rule), rtol=1e-12, atol=1e-14)


def test_proximal_point_solves_its_equation():
    path = eom.descend(LOSS, START, eta=ETA, steps=30, method=eom.optimisers.ProximalPoint())
    for before, after in zip(path.thetas, path.thetas[1:], strict=False):
        np.testing.assert_allclose(after, before - ETA * g(after), rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", ["heavy ball", "nesterov", "optimistic"])
def test_the_memory_of_a_path_continues_it(name):
    method, rule = RULES[name]
    first = eom.descend(LOSS, START, eta=ETA, steps=12, method=method)
    second = eom.descend(LOSS, first.thetas[-1], eta=ETA, steps=18, method=method, memory=first.memory)
    np.testing.assert_allclose(second.thetas, run(rule)[12:], rtol=1e-12, atol=1e-14)


def test_the_memory_on_the_flow_is_that_of_a_long_run():
    """Heavy ball remembers ``sum_l beta**l F(theta_(k-l))``; along the flow this is what a run has after a while."""
    method = eom.HeavyBall(Fraction(1, 2))
    long = eom.descend(LOSS, START, eta=1e-3, steps=60, method=method)
    flow = eom.descend(LOSS, long.thetas[-1], eta=1e-3, steps=0, method=method, memory="flow").memory
    rest = eom.descend(LOSS, long.thetas[-1], eta=1e-3, steps=0, method=method).memory
    np.testing.assert_allclose(flow, long.memory, rtol=1e-9)
    np.testing.assert_array_equal(rest, 0)


def test_every_thins_the_path():
    full = eom.descend(LOSS, START, eta=ETA, steps=10)
    thin = eom.descend(LOSS, START, eta=ETA, steps=10, every=3)
    np.testing.assert_array_equal(thin.thetas, full.thetas[::3])
    assert thin.steps.tolist() == [0, 3, 6, 9]
    np.testing.assert_allclose(thin.times, [0, 0.15, 0.3, 0.45])
    assert eom.descend(LOSS, START, eta=ETA, steps=0).thetas.shape == (1, 2)


def test_divergence_names_the_step():
    loss = eom.Loss("x**4/4", variables="x")
    theta, step = np.float64(10.0), 0
    while abs(theta) < 1e300:
        with np.errstate(over="ignore"):
            theta -= 0.1 * theta * theta * theta
        step += 1
    with pytest.raises(DivergenceError, match=rf"diverged at step {step} of 100 with eta = 0.1") as caught:
        eom.descend(loss, [10.0], eta=0.1, steps=100)
    assert caught.value.step == step


def test_bad_input():
    for eta in (0, -0.1, float("nan"), float("inf"), "fast"):
        with pytest.raises(InputError, match="eta must be a"):
            eom.descend(LOSS, START, eta=eta, steps=1)
    for steps in (-1, 1.5, True):
        with pytest.raises(InputError, match="steps must be an integer from 0 to 10000000000"):
            eom.descend(LOSS, START, eta=ETA, steps=steps)
    with pytest.raises(InputError, match="every must be an integer >= 1"):
        eom.descend(LOSS, START, eta=ETA, steps=1, every=0)
    with pytest.raises(ShapeError, match=r"expected \(2,\)"):
        eom.descend(LOSS, [1.0], eta=ETA, steps=1)
    with pytest.raises(ShapeError, match=r"memory has shape \(3,\), expected \(0,\)"):
        eom.descend(LOSS, START, eta=ETA, steps=1, memory=[1.0, 2.0, 3.0])
    with pytest.raises(InputError, match="unknown memory 'past'; choose one of rest, flow, or give"):
        eom.descend(LOSS, START, eta=ETA, steps=1, memory="past")
    with pytest.raises(MethodError, match="holds the symbol beta; give it a number"):
        eom.descend(LOSS, START, eta=ETA, steps=1, method=eom.HeavyBall(sympy.Symbol("beta")))


@pytest.mark.parametrize("method", [eom.Adam("9/10", "99/100"), eom.HeavyBall("9/10")], ids=lambda m: m.name)
def test_a_run_goes_on_where_another_ended(method: eom.optimisers.Method) -> None:
    """Bias corrections count the steps that were made before."""
    loss = eom.Loss("x**2*y**2/2 + (x - 1)**2", variables="x y")
    whole = eom.descend(loss, [0.5, 1.0], eta=0.01, steps=50, method=method)
    first = eom.descend(loss, [0.5, 1.0], eta=0.01, steps=20, method=method)
    then = eom.descend(loss, first.end, eta=0.01, steps=30, method=method, memory=first.memory, late=20)
    np.testing.assert_allclose(then.thetas, whole.thetas[20:], rtol=1e-14)
    with pytest.raises(InputError, match="late must be an integer >= 0"):
        eom.descend(loss, [0.5, 1.0], eta=0.01, steps=30, method=method, late=-1)
