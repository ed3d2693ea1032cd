"""JAX as an oracle: its derivatives of a network, against the Taylor tables of ours."""

from __future__ import annotations

import numpy as np
import pytest

import eomsym as eom

jax = pytest.importorskip("jax")

from bench.jax_terms import by_jets, by_trees, tanh_network  # noqa: E402

WIDTHS = (4, 5, 3, 3)
RNG = np.random.default_rng(7)
INPUTS = RNG.standard_normal((9, WIDTHS[0]))
TARGETS = {"mse": RNG.standard_normal((9, WIDTHS[-1])), "cross_entropy": np.eye(WIDTHS[-1])[RNG.integers(0, 3, 9)]}


@pytest.mark.parametrize("loss", TARGETS)
def test_tanh_network_through_order_three(loss):
    """Nested jvp of grad along the branches of each tree: no formula of this package but the universal ones."""
    net = eom.Network(WIDTHS, INPUTS, TARGETS[loss], loss=loss)
    value = tanh_network(WIDTHS, INPUTS, TARGETS[loss], loss)
    for seed in range(3):
        theta = net.initial(seed)
        assert float(value(theta)) == pytest.approx(net.value(theta), rel=1e-14, abs=0)
        expected = np.asarray(by_trees(jax.grad(value), 3)(theta))
        found = eom.compile(net, 3).terms(theta)
        for row, true in zip(found, expected, strict=True):
            np.testing.assert_allclose(row, true, rtol=0, atol=1e-12 * abs(true).max())


@pytest.mark.slow
@pytest.mark.parametrize("loss", TARGETS)
def test_jets_of_the_iterates(loss):
    """No tree at all: the iterates as series in eta, and the derivative of their interpolation at step 0."""
    net = eom.Network(WIDTHS, INPUTS, TARGETS[loss], loss=loss)
    gradient = jax.grad(tanh_network(WIDTHS, INPUTS, TARGETS[loss], loss))
    theta = net.initial(0)
    found = eom.compile(net, 5).terms(theta)
    expected = np.asarray(by_jets(gradient, 5)(theta))
    for row, true in zip(found, expected, strict=True):
        np.testing.assert_allclose(row, true, rtol=0, atol=1e-10 * abs(true).max())
