"""Predictions against runs: one call, every quantity beside its closed form."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import eomsym as eom
from eomsym.errors import DivergenceError, InputError, SymmetryError
from eomsym.losses import Activation, BatchNorm, Linear
from eomsym.losses.network import DeepLinear, Network
from eomsym.symmetries.noether import DESCENT, decay_rate
from eomsym.symmetries.prediction import Predictions, follow_in_steps, predict, with_nodes
from eomsym.symmetries.symmetry import RescalingSymmetry, ScaleInvariance, TranslationInvariance

RANDOM = np.random.default_rng(8)
INPUTS = RANDOM.standard_normal((8, 3))
LABELS = RANDOM.integers(0, 3, 8)
NORM = ScaleInvariance("W1")
SUM = TranslationInvariance("W2")
BALANCE = RescalingSymmetry(("W1", "W2"), matrix=True)
ETA, DECAY, STEPS = 0.2, 0.25, 20


@cache
def normalised() -> Predictions:
    layers = [Linear(4), BatchNorm(), Activation("tanh"), Linear(3)]
    net = Network(layers, INPUTS, LABELS, loss="cross_entropy").with_weight_decay(DECAY)
    return predict(net, net.initial(1, scale=3.0), eta=ETA, steps=STEPS, symmetries=[NORM, SUM], orders=range(4))


@cache
def linear() -> Predictions:
    net = DeepLinear((3, 4, 3), INPUTS, LABELS, "cross_entropy").with_weight_decay(DECAY)
    return predict(net, net.initial(1), eta=ETA, steps=STEPS, symmetries=[BALANCE, SUM], orders=range(4), every=2)


@pytest.mark.parametrize("build", [normalised, linear])
def test_every_quantity_has_its_predicted_value(build: Any) -> None:
    found = build()
    assert len(found.series) == 2 * 5
    for (symmetry, model), series in found.series.items():
        if model == DESCENT:
            assert series.misfit < 1e-13, (symmetry, model)
            assert series.rate_misfit < 1e-13, (symmetry, model)
        else:
            assert series.rate_misfit < 1e-12, (symmetry, model)
            assert series.misfit < 1e-8, (symmetry, model)  # errors of the integration, and of the quadrature
            assert found.runs[model].error < 1e-8


def test_the_models_can_be_told_apart() -> None:
    """A prediction of the wrong model would fail: the squared norms of the models differ far more than the misfits."""
    found = normalised()
    last = {model: found.series[NORM, model].values[-1, 0] for model in found.runs}
    gaps = [abs(last[order] - last[DESCENT]) for order in range(4)]
    assert gaps[0] > 1e-2
    assert min(gaps) > 1e-6
    assert gaps[0] > 5 * gaps[1] > 5 * gaps[2]


@pytest.mark.parametrize("order", range(4))
def test_rate_of_translation(order: int) -> None:
    """The decay of the sum, fitted over the whole run, is ``sum_j eta**j lambda**(j+1)/(j+1)``."""
    found = linear()
    sums = found.series[SUM, order].values[:, 0]
    expected = sum(ETA**j * DECAY ** (j + 1) / (j + 1) for j in range(order + 1))
    assert -np.log(sums[-1] / sums[0]) / found.times[-1] == pytest.approx(expected, rel=1e-10, abs=0)
    exact = found.series[SUM, DESCENT].values[:, 0]
    assert -np.log(exact[-1] / exact[0]) / found.times[-1] == pytest.approx(decay_rate(ETA, DECAY), rel=1e-13, abs=0)


def test_distances_fall_with_the_order() -> None:
    for found in (normalised(), linear()):
        last = [found.runs[order].distances[-1] for order in range(4)]
        assert last[0] > 3 * last[1] > 9 * last[2] > 18 * last[3]
        assert not found.runs[DESCENT].distances.any()


def test_gradient_flow_keeps_the_balance_and_descent_does_not() -> None:
    """Without decay: conserved by gradient flow, drifting by eta times an integral otherwise."""
    net = DeepLinear((3, 4, 3), INPUTS, LABELS, "cross_entropy")
    drifts = []
    for eta in (0.1, 0.05):
        found = predict(net, net.initial(1), eta=eta, steps=round(4 / eta), symmetries=[BALANCE], orders=(0, 1))
        flow, motion, descent = (found.series[BALANCE, model].values for model in (0, 1, DESCENT))
        assert np.abs(flow - flow[0]).max() < 1e-9
        drifts.append(descent[-1] - descent[0])
        assert np.linalg.norm(motion[-1] - descent[-1]) < 0.1 * np.linalg.norm(drifts[-1])
    assert np.linalg.norm(drifts[0]) > 1e-3
    np.testing.assert_allclose(drifts[0], 2 * drifts[1], rtol=0.15, atol=2e-4)


def test_leaving_an_activation_region_is_reported() -> None:
    """Far away the flows slide along boundaries of regions, where an adaptive integrator would come to a halt."""
    net = Network((3, 4, 3), INPUTS, LABELS, "relu", "cross_entropy")
    balance = RescalingSymmetry(("W1", "W2"))
    far = predict(net, net.initial(1), eta=0.1, steps=40, symmetries=[balance], orders=(0, 1))
    assert all(run.region_changes > 0 for run in far.runs.values())
    assert all(run.error < 0.05 for run in far.runs.values())
    assert far.series[balance, DESCENT].misfit < 1e-13  # an identity of the gradient, region by region
    assert all(far.series[balance, order].rate_misfit < 1e-13 for order in (0, 1))
    near = predict(net, net.initial(1), eta=1e-3, steps=2, orders=(0, 1))
    assert all(run.region_changes == 0 for run in near.runs.values())
    assert near.runs[0].error < 1e-14
    assert near.runs[1].distances[-1] < 0.01 * near.runs[0].distances[-1]


def test_steps_of_fixed_size_are_those_of_an_adaptive_integrator() -> None:
    net = DeepLinear((3, 4, 3), INPUTS, LABELS, "cross_entropy")
    kernel, theta, times = eom.compile(net, 1), net.initial(1), np.array([0.0, 0.1, 0.25, 2.0])
    thetas, error, changes = follow_in_steps(kernel, theta, 0.1, times)
    exact = eom.flow(kernel, theta, eta=0.1, time=times).thetas
    assert np.abs(thetas - exact).max() < error < 1e-5
    assert changes == 0
    with pytest.raises(DivergenceError, match="left the finite numbers"):
        follow_in_steps(eom.compile(eom.Loss("-x**4", variables="x"), 0), np.ones(1), 0.5, np.array([0.0, 9.0]))


def test_report_and_progress() -> None:
    calls: list[tuple[int, int, str]] = []
    loss = eom.Loss("x*y/(x**2 + y**2)", variables="x y")
    found = predict(
        loss, [1.0, 0.5], eta=0.1, steps=4, orders=(2, 0), every=4, progress=lambda *call: calls.append(call)
    )
    assert calls == [(0, 3, "descent"), (1, 3, "flow"), (2, 3, "order 2"), (3, 3, "")]
    assert [row.split()[0] for row in str(found).splitlines()] == ["model", "descent", "flow", "order"]
    np.testing.assert_allclose(found.times, [0, 0.4])


def test_nodes_integrate_polynomials() -> None:
    times = with_nodes(np.array([0.0, 2.0, 3.0]))
    assert len(times) == 15
    assert (np.diff(times) > 0).all()
    weights = np.polynomial.legendre.leggauss(6)[1]
    assert times[1:7] ** 11 @ weights == pytest.approx(2**12 / 12, rel=1e-9, abs=0)


def test_refusals() -> None:
    net = DeepLinear((3, 4, 3), INPUTS, LABELS, "cross_entropy")
    theta = net.initial(1)
    with pytest.raises(SymmetryError, match="does not have ScaleInvariance"):
        predict(net, theta, eta=0.1, steps=4, symmetries=[NORM])
    with pytest.raises(InputError, match="0 <= decay < 1/eta = 5; take a smaller"):
        predict(net.with_weight_decay(5), theta, eta=0.2, steps=4, symmetries=[SUM])
    with pytest.raises(InputError, match="symmetries predict to order 3, got order 4"):
        predict(net, theta, eta=0.1, steps=4, symmetries=[SUM], orders=(1, 4))
    with pytest.raises(InputError, match="every=3 must divide steps=4"):
        predict(net, theta, eta=0.1, steps=4, every=3)
    with pytest.raises(InputError, match="steps must be an integer from 1 to 10000000000, got 0"):
        predict(net, theta, eta=0.1, steps=0)
