"""Opaque steps against kernels, closed forms and rounding."""

from __future__ import annotations

import numpy as np
import pytest

import eomsym as eom
from eomsym.errors import DivergenceError, InputError

RNG = np.random.default_rng(4)
NET = eom.Network((3, 4, 2), RNG.standard_normal((6, 3)), RNG.standard_normal((6, 2)))
THETA = NET.initial(1)


def descent(eta):
    return lambda theta: theta - eta * NET.gradient(theta)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_error_has_its_order_and_constant(order):
    """The truncated logarithm misses the term of order K + 1 of log(1 + D), which is known from the kernel."""
    kernel = eom.compile(NET, 8)
    errors = []
    for eta in (0.05, 0.025):
        exact = kernel.velocity(THETA, eta) if hasattr(kernel, "velocity") else kernel.field(THETA, eta)
        errors.append(np.linalg.norm(eom.observe(descent(eta), THETA, order).velocity(eta) - exact))
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order + 1, abs=0.15)


@pytest.mark.parametrize("eta", [0.05, 0.3])
def test_a_quadratic_is_a_logarithm(eta):
    """D = -eta lambda: the terms are powers of it over k."""
    found = eom.observe(lambda x: x - eta * x, np.array([2.0, 1.0]), 4)
    np.testing.assert_allclose(found.terms, eta ** np.arange(5) / np.arange(1, 6), rtol=1e-9)
    exact = -np.log1p(-eta) / eta - 1
    assert found.drift == pytest.approx(exact, abs=2 * eta**5)
    assert found.error == pytest.approx(eta**5 / 6, rel=0.1, abs=0)
    assert (found.local_order, found.status) == (4, "trusted")


def test_the_drift_is_that_of_the_kernel():
    g, second = eom.compile(NET, 1).terms(THETA)
    found = eom.observe(descent(1e-3), THETA, 3)
    assert found.drift == pytest.approx(1e-3 * np.linalg.norm(second) / np.linalg.norm(g), rel=1e-2, abs=0)


def test_rounding_is_foreseen():
    """Of steps so small that nothing but rounding is left, the error against the kernel."""
    found = eom.observe(descent(1e-9), THETA, 4)
    assert (found.status, found.local_order) == ("inconclusive", 0)
    ratios = []
    for eta in np.geomspace(1e-5, 3e-5, 5):
        found = eom.observe(descent(eta), THETA, 4)
        exact = eta * eom.compile(NET, 4).field(THETA, eta)
        ratios.append(np.linalg.norm(found.displacement - exact) / np.linalg.norm(found.first) / found.rounding)
    assert 0.02 < np.median(ratios) < 2


def test_float32_is_refused_where_it_drowns_the_result_and_read_where_it_does_not():
    def coarse(eta):
        return lambda theta: (theta - np.float32(eta) * NET.gradient(theta).astype(np.float32)).astype(np.float32)

    with pytest.raises(InputError, match=r"works in float32.*drowns the drift.*model\.double\(\)"):
        eom.observe(coarse(1e-4), THETA.astype(np.float32), 3)
    with pytest.raises(InputError, match="works in float32"):  # hidden in float64
        eom.observe(lambda theta: coarse(1e-4)(theta).astype(float), THETA.astype(np.float32).astype(float), 3)
    found = eom.observe(coarse(0.3), THETA.astype(np.float32), 1)
    assert found.drift == pytest.approx(eom.observe(descent(0.3), THETA, 1).drift, rel=1e-3, abs=0)


def test_trees_are_kept():
    def step(theta):
        return {"a": [0.9 * theta["a"][0]], "b": 0.8 * theta["b"]}

    found = eom.observe(step, {"a": [np.ones((2, 2))], "b": np.ones(1)}, 5)
    np.testing.assert_allclose(found.displacement, [np.log(0.9)] * 4 + [np.log(0.8)], atol=1e-4)


def test_steps_of_the_frameworks():
    torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'eomsym[torch]'")
    start = [torch.ones(2, 2, dtype=torch.float64), torch.ones(1, dtype=torch.float64)]
    found = eom.observe(lambda theta: [0.9 * x for x in theta], start, 3)
    np.testing.assert_allclose(found.displacement, np.log(0.9), atol=1e-4)


def test_what_is_no_function_is_refused():
    state = np.zeros(2)

    def momentum(theta):
        state[:] = 0.9 * state - 0.1 * theta
        return theta + state

    with pytest.raises(InputError, match="gives another result at the same parameters"):
        eom.observe(momentum, np.ones(2))
    with pytest.raises(InputError, match="order must be an integer from 0 to 5"):
        eom.observe(lambda x: x, np.ones(2), 6)
    with pytest.raises(InputError, match="does not move"):
        eom.observe(lambda x: x, np.ones(2))
    with pytest.raises(InputError, match="gives 1 numbers for 2 parameters"):
        eom.observe(lambda x: x[:1], np.ones(2))
    with pytest.raises(DivergenceError, match="call 1 of the step") as caught:
        eom.observe(lambda x: x * np.inf, np.ones(2))
    assert caught.value.step == 1


def test_a_step_beyond_the_radius_is_inconclusive():
    assert eom.observe(lambda x: x - 1.5 * x, np.ones(2), 3).status == "inconclusive"
