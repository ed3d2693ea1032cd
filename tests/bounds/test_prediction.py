"""The leading error along a run: against the truth, and against its own next order."""

from __future__ import annotations

import numpy as np
import pytest

import eomsym as eom
from eomsym.bounds import predicted_distance, step_size
from eomsym.curvature.hessian import eigenvalue_range


def test_plain_sum_over_estimates_on_a_stiff_loss() -> None:
    loss = eom.Loss("20*x**2 + y**2/2 + x*y**2/4", variables="x y")
    prediction = predicted_distance(loss, [1.0, 1.0], eta=0.001, steps=2000)
    assert prediction.sums[-1] > 5 * prediction.norms[-1]


def test_predicted_step_size() -> None:
    loss = eom.Loss("(1-x)**2/2 + (y-x**2)**2/2", variables="x y")
    found = step_size(loss, [-0.5, 1.0], epsilon=1e-4, time=1.0, order=1, certificate="predicted")
    assert not found.proven
    assert str(found).startswith("estimate 0.0")
    eta = found.eta
    steps = round(1 / eta)
    end = eom.descend(loss, [-0.5, 1.0], eta=1 / steps, steps=steps, every=steps).thetas[-1]
    motion = eom.flow(eom.compile(loss, 1), [-0.5, 1.0], eta=1 / steps, time=1.0).thetas[-1]
    assert np.linalg.norm(end - motion) == pytest.approx(1e-4, rel=0.1, abs=0)
    assert step_size(eom.Loss("x", variables="x"), [0.0], epsilon=1e-3, time=1.0, certificate="predicted").eta == np.inf


def test_prediction_within_five_percent() -> None:
    # eta lambda_max <= 0.05 along the run, over random deep linear networks and orders
    rng = np.random.default_rng(0)
    leading, refined = [], []
    for _case in range(20):
        inputs = rng.standard_normal((6, 2))
        loss = eom.DeepLinear((2, 2, 2), inputs, inputs @ rng.standard_normal((2, 2)))
        start = 0.7 * rng.standard_normal(loss.size)
        kernel = eom.compile(loss, 2)
        eta = 0.05 / max(map(abs, eigenvalue_range(kernel, start)))
        path = eom.descend(loss, start, eta=eta, steps=20)
        sharpest = max(max(map(abs, eigenvalue_range(kernel, theta))) for theta in path.thetas)
        eta *= min(1.0, 0.05 / (eta * sharpest))
        path = eom.descend(loss, start, eta=eta, steps=20)
        for order in range(3):
            predicted = predicted_distance(loss, start, eta=eta, steps=20, order=order)
            true = eom.flow(kernel.at_order(order), start, eta=eta, time=path.times).thetas[-1] - path.thetas[-1]
            size = np.linalg.norm(true)
            leading.append(np.linalg.norm(predicted.vectors[-1] - true) / size)
            refined.append(np.linalg.norm(predicted.refined[-1] - true) / size)
    assert np.quantile(leading, 0.95) < 0.05
    assert np.max(refined) < 0.005


@pytest.mark.parametrize("order", [0, 1, 2])
def test_the_refined_prediction_is_one_order_better(order: int) -> None:
    # A loss that tells trees apart: what is left is O(eta) of the leading error, and O(eta**2) of the refined one.
    loss = eom.Loss("(1-x)**2/2 + (y-x**2)**2/2", variables="x y")
    start, kernel, ratios = [-0.5, 1.0], eom.compile(loss, 0), []
    for steps in (40, 80):
        eta = 1 / steps
        path = eom.descend(loss, start, eta=eta, steps=steps)
        true = eom.flow(eom.compile(loss, order), start, eta=eta, time=path.times).thetas[-1] - path.thetas[-1]
        found = predicted_distance(kernel, start, eta=eta, steps=steps, order=order)
        ratios.append([np.linalg.norm(guess[-1] - true) for guess in (found.vectors, found.refined)])
    assert found.doubts[-1] == pytest.approx(ratios[-1][0], rel=0.1, abs=0)
    leading, refined = np.log2(np.divide(*ratios)) - (order + 1)
    assert leading == pytest.approx(1.0, abs=0.15)
    assert refined == pytest.approx(2.0, abs=0.25)


def test_refinement_that_leaves_the_domain_is_no_number() -> None:
    found = predicted_distance(eom.Loss("4*sqrt(x)/3", variables="x"), [1.0], eta=0.4, steps=3)
    assert np.isnan(found.refined[-1]).all()
    assert np.isnan(found.doubts[-1])
    assert np.isfinite(found.vectors).all()
