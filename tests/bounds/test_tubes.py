"""Bounds along the motion: sharp at every order, never below what Arb encloses, refused where the motion runs away."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eomsym as eom
from eomsym.bounds import distance, enclose_flow, step_size, tubes
from eomsym.bounds.rigorous import EnclosedCurvature
from eomsym.bounds.tubes import tube_distances
from eomsym.curvature.closed_form import curvature_of
from eomsym.errors import DivergenceError, HypothesisError
from eomsym.testing import Run, altered, homogeneous_networks, losses, runs
from eomsym.types import Array

BENT = "(1/2-x)**2/2 + 3/8*(y-3/4*x**2)**2/2 + x*y/8"


def bounded(run: Run, order: int) -> Array:
    return distance(run.loss, run.start, eta=run.eta, steps=run.steps, order=order, certificate="proven").values


@settings(max_examples=8)  # each of them costs a second
@given(runs(losses(), most_steps=3, largest_start=1.5, largest_step=0.25), st.integers(0, 2))
def test_the_truth_of_arb_lies_below_and_close(run: Run, order: int) -> None:
    values = bounded(run, order)
    try:
        flow = enclose_flow(run.loss, run.start, eta=run.eta, steps=run.steps, order=order, degree=14, substeps=4)
    except HypothesisError:
        return
    path = eom.descend(run.loss, run.start, eta=run.eta, steps=run.steps).thetas
    true = np.linalg.norm(flow.centres - path, axis=1)
    haze = 1e-16 * np.linalg.norm(path, axis=1)  # the centres of the enclosure are rounded to doubles
    assert np.all(true <= values + flow.radii + haze)
    assert values[-1] <= 1.001 * true[-1] + 1e-13 * (1 + np.linalg.norm(run.start))


@given(runs(homogeneous_networks(), largest_step=0.25), st.integers(0, 3))
def test_networks_with_kinks(run: Run, order: int) -> None:
    try:
        values = bounded(run, order)
        motion = eom.flow(eom.compile(run.loss, order), run.start, eta=run.eta, time=run.eta * run.steps)
    except (HypothesisError, DivergenceError):
        return
    end = eom.descend(run.loss, run.start, eta=run.eta, steps=run.steps).thetas[-1]
    true = float(np.linalg.norm(motion.thetas[-1] - end))
    assert true - 3 * motion.error - 1e-14 <= values[-1] <= 1.001 * true + 3 * motion.error + 1e-11


@pytest.mark.parametrize("loss, order", [*(("mse", order) for order in range(4)), ("cross_entropy", 1)])
def test_large_steps_of_a_deep_network(loss: str, order: int) -> None:
    # Where the closed forms from one ball a step have ended or are hundreds of times too large.
    rng = np.random.default_rng(3)
    inputs = rng.standard_normal((6, 2))
    targets = np.eye(2)[rng.integers(0, 2, 6)]
    net = eom.DeepLinear((2, 2, 2), inputs, targets, loss)
    start = net.initial(2)
    eta = (0.5 if loss == "mse" else 0.25) / curvature_of(net).at(start).spectrum(0.0).smoothness
    bound = distance(net, start, eta=eta, steps=4, order=order, certificate="proven")
    path = eom.descend(net, start, eta=eta, steps=4)
    motion = eom.flow(eom.compile(net, order), start, eta=eta, time=path.times, rtol=1e-12, atol=1e-14)
    true = np.linalg.norm(path.thetas - motion.thetas, axis=1)
    assert np.all(true <= bound.values + motion.error)
    assert bound.value <= 1.0001 * true[-1]
    assert bound.proven


def test_a_run_of_many_steps() -> None:
    loss = eom.Loss(BENT, variables="x y")
    bound = distance(loss, [-0.5, 1.0], eta=0.02, steps=200, order=1, certificate="proven")
    measured = distance(loss, [-0.5, 1.0], eta=0.02, steps=200, order=1)
    np.testing.assert_allclose(bound.values, measured.values, rtol=1e-3, atol=1e-13)


def test_an_integrator_that_is_wrong_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    # The bound on the error of the integrator is what keeps the radius honest: with a single cell it is refused.
    loss = eom.Loss(BENT, variables="x y")
    path = eom.descend(loss, [1.0, -1.0], eta=0.2, steps=1).thetas
    kernel = eom.compile(loss, 2)
    tube_distances(kernel, curvature_of(loss), path, 0.2, 2)
    monkeypatch.setattr(tubes, "MOST_CELLS", 1)
    with pytest.raises(HypothesisError, match="cannot leave within a cell of time, got none with 1 cells a step"):
        tube_distances(kernel, curvature_of(loss), path, 0.2, 2)


def test_truncation_is_above_the_error_of_gauss_steps() -> None:
    # Few sweeps, so that the error is visible: order 3 after two sweeps of stages.
    loss, start, h = eom.Loss(BENT, variables="x y"), np.array([1.0, -1.0]), 0.02
    kernel, known = eom.compile(loss, 1), curvature_of(loss)
    cell = tubes._cell(kernel, known.at(start), start, 0.1)
    matrix, weights, rows = tubes._gauss()
    exact = eom.flow(kernel, start, eta=0.1, time=h, rtol=1e-12, atol=1e-14).thetas[-1]
    slopes = np.broadcast_to(kernel.field(start, 0.1), (tubes.NODES, 2))
    for sweep in range(5):
        error = float(np.linalg.norm(start + h * (weights @ slopes) - exact))
        ratio = rows * h * cell.speed / cell.radii
        bound = float(np.min(np.where(ratio < 1, 2 * cell.radii / rows * ratio ** (sweep + 2), np.inf)))
        assert error <= bound <= 1e6 * error
        slopes = kernel.field(start + h * (matrix @ slopes), 0.1)


def test_speeds_and_growths_hold_on_balls() -> None:
    loss, centre, eta = eom.Loss(BENT, variables="x y"), np.array([0.75, -0.5]), 0.25
    kernel = eom.compile(loss, 3)
    cell = tubes._cell(kernel, curvature_of(loss).at(centre), centre, eta)
    tube = tubes._Tube(kernel, curvature_of(loss), eta, centre)
    rng = np.random.default_rng(5)
    for place in range(40, 72, 4):
        radius, growth = cell.radii[place], tube._growth(cell, place)
        for _ in range(20):
            direction = rng.standard_normal(2)
            point = centre + radius * direction / np.linalg.norm(direction)
            assert np.linalg.norm(kernel.field(point, eta)) <= cell.speed[place]
            jacobian = np.array([kernel.jacobian_vector(point, one, eta) for one in np.eye(2)])
            assert np.linalg.eigvalsh((jacobian + jacobian.T) / 2)[-1] <= growth


def test_a_kernel_that_is_wrong_by_a_percent_is_not_covered() -> None:
    loss, start = eom.Loss(BENT, variables="x y"), np.array([-0.5, 1.0])
    kernel = eom.compile(loss, 1)
    path = eom.descend(loss, start, eta=0.1, steps=5).thetas
    right = tube_distances(kernel, curvature_of(loss), path, 0.1, 1)

    wrong = altered(kernel, 1, 0.01)
    other = tube_distances(wrong, curvature_of(loss), path, 0.1, 1)
    assert abs(other[-1] / right[-1] - 1) > 1e-3


def test_where_there_is_no_bound() -> None:
    with pytest.raises(HypothesisError, match="needed a ball that the motion of order 0 cannot leave"):
        distance(eom.Loss("-x**4", variables="x"), [1.0], eta=0.2, steps=3, certificate="proven")
    loss = eom.Loss("exp(x)", variables="x")
    with pytest.raises(HypothesisError, match="needed all derivatives"):
        distance(loss, [1.0], eta=0.1, steps=3, order=1, certificate="proven", curvature=EnclosedCurvature(loss))


def test_the_rate_is_the_largest_that_holds() -> None:
    loss, start, time, epsilon = eom.Loss(BENT, variables="x y"), np.array([-0.5, 1.0]), 1.0, 2e-3
    for order in range(3):
        found = step_size(loss, start, time=time, epsilon=epsilon, order=order, certificate="proven")
        fewer = min(found.steps - 1, int(0.97 * found.steps))
        for steps, holds in ((found.steps, True), (fewer, False)):
            path = eom.descend(loss, start, eta=time / steps, steps=steps)
            motion = eom.flow(eom.compile(loss, order), start, eta=time / steps, time=path.times)
            assert (np.linalg.norm(path.thetas - motion.thetas, axis=1).max() <= epsilon) == holds


def test_a_step_may_have_as_many_cells_as_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    loss = eom.Loss("x**2/2", variables="x")
    free = eom.bounds.distance(loss, [1.0], eta=0.01, steps=3, order=1, certificate="proven")
    monkeypatch.setattr(tubes, "MOST_CELLS", 1)
    assert eom.bounds.distance(loss, [1.0], eta=0.01, steps=3, order=1, certificate="proven").value == free.value
    with pytest.raises(HypothesisError, match="got none with 1 cells a step"):
        eom.bounds.distance(loss, [1.0], eta=0.9, steps=3, order=1, certificate="proven")
