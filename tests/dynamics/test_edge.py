"""The motion at the edge of stability: its orders, its limits, and what it refuses."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy.integrate import RK45

import eomsym as eom
from eomsym.dynamics import edge_motion
from eomsym.dynamics.frames import Chooser, fading
from eomsym.dynamics.spectrum import spectrum
from eomsym.errors import (
    DivergenceError,
    ExpressionError,
    HypothesisError,
    InputError,
    MethodError,
    ShapeError,
)
from eomsym.losses import Field, Network
from eomsym.optimisers import Extragradient, RMSProp

VALLEY = eom.Loss("(1 - x*y)**2/2", variables="x y")


@cache
def network() -> Network:
    """48 parameters on the Chebyshev polynomial ``4x**3 - 3x``."""
    x = np.linspace(-1, 1, 20)
    return Network((2, 16, 1), np.column_stack([x, np.ones(20)]), (4 * x**3 - 3 * x)[:, None])


def first(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    weights, biases, out = rng.normal(size=16), rng.normal(size=16) / 2, rng.normal(size=16) / 4
    return np.concatenate([np.column_stack([weights, biases]).ravel(), out])


@cache
def burst(seed: int, eta: float, method: Any = None, level: float = 1e-4) -> tuple[np.ndarray, np.ndarray, int]:
    """Where the amplitude last passes a level upwards, the memory there, and steps until it has died again.

    When bursts come depends on rounding errors; what a burst is does not.
    """
    path = eom.descend(network(), first(seed), eta=eta, steps=4500, method=method).thetas
    swing = np.linalg.norm(path[:-4] - 4 * path[1:-3] + 6 * path[2:-2] - 4 * path[3:-1] + path[4:], axis=1) / 16
    rising = [k for k in np.flatnonzero((swing[:-1] < level) & (swing[1:] >= level)) if 600 < k < 4200]
    k = int(rising[-1])
    top = k + int(np.argmax(swing[k : k + 300]))
    gone = np.flatnonzero(swing[top:] < 10 * level)
    memory = eom.descend(network(), first(seed), eta=eta, steps=k, method=method).memory
    return path[k], memory, (top + int(gone[0]) if len(gone) else 4490) - k


def largest(path: Any, start: np.ndarray, method: Any = None, memory: Any = "rest") -> float:
    run = eom.descend(network(), start, eta=path.eta, steps=int(path.steps[-1]), method=method, memory=memory).thetas
    return float(np.linalg.norm(path.iterates - run[path.steps], axis=1).max())


def test_every_order_is_closer_through_a_whole_burst() -> None:
    start, _, steps = burst(4, 0.3)
    paths = [
        eom.edge_flow(network(), start, eta=0.3, steps=steps, order=k, every=5, estimate=False, rtol=1e-7)
        for k in range(4)
    ]
    errors = [largest(path, start) for path in paths]
    assert errors[0] < 0.1
    assert all(5 * after < before for before, after in pairwise(errors)), errors
    assert abs(paths[0].amplitudes[:, 0]).max() > 0.05  # a burst it was
    assert paths[0].products[:, 0].max() > 2 > paths[0].products[-1, 0]


def test_the_estimate_is_the_error() -> None:
    start, _, steps = burst(4, 0.3)
    path = eom.edge_flow(network(), start, eta=0.3, steps=steps, order=1, every=10, rtol=1e-7)
    run = eom.descend(network(), start, eta=0.3, steps=steps).thetas
    measured = np.linalg.norm(path.iterates - run[path.steps], axis=1)
    late = path.error > 1e-6
    np.testing.assert_allclose(path.error[late], measured[late], rtol=0.3)
    assert path.status == "complete"
    assert path.cost.frames >= 2  # both orders
    np.testing.assert_allclose(path.times, 0.3 * path.steps)


def test_any_step_can_be_asked_for() -> None:
    start, _, _ = burst(4, 0.3)
    path = eom.edge_flow(network(), start, eta=0.3, steps=40, order=2, every=7, estimate=False)
    run = eom.descend(network(), start, eta=0.3, steps=40).thetas
    for step in (0, 1, 2, 13, 40):
        assert np.linalg.norm(path.iterate(step) - run[step]) < 1e-5
    np.testing.assert_allclose(path.iterate(14), path.iterates[2])
    with pytest.raises(InputError, match="goes from step 0 to step"):
        path.iterate(41)


def test_a_slow_manifold_without_oscillation() -> None:
    """``eta lambda`` between 1 and 1.4: the classical series diverges, the slaved one converges."""
    loss, eta = eom.Loss("6*(y - sin(x)/2)**2 + x**2/4 + x**4/20", variables="x y"), 0.1
    run = eom.descend(loss, [1.0, 0.0], eta=eta, steps=60).thetas
    errors = []
    for order in range(4):
        path = eom.edge_flow(loss, [1.0, 0.0], eta=eta, steps=60, order=order, estimate=False, every=10, rtol=1e-9)
        assert 0 < path.settled < 30
        assert not path.alternating.any()
        kept = path.steps >= path.settled
        errors.append(np.linalg.norm(path.iterates - run[path.steps], axis=1)[kept].max())
    assert errors[0] < 1e-2
    assert all(8 * after < before for before, after in pairwise(errors)), errors


def test_slow_everywhere_it_is_the_equation_of_motion() -> None:
    loss = eom.Loss("x**2/2 + y**4/4 + x*y/4", variables="x y")
    path = eom.edge_flow(loss, [1.0, 0.8], eta=0.1, steps=20, order=2, every=10, estimate=False, rtol=1e-10)
    classical = eom.flow(loss, [1.0, 0.8], eta=0.1, time=path.times, order=2)
    np.testing.assert_allclose(path.iterates, classical.thetas, atol=1e-9)


def test_entering_and_leaving_the_edge() -> None:
    """From beyond the edge of a valley to where it is flat enough: a critical direction becomes a slaved one."""
    start = np.array([2.1, 0.46])
    path = eom.edge_flow(VALLEY, start, eta=0.5, steps=150, order=3, every=5, estimate=False, rtol=1e-8)
    run = eom.descend(VALLEY, start, eta=0.5, steps=150).thetas
    assert path.products[0, 0] > 2 > path.products[-1, 0]
    assert path.cost.frames > 1
    assert np.linalg.norm(path.iterates[-1] - run[-1]) < 2e-2 * np.linalg.norm(run[-1] - run[0])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("eta", [0.2, 0.3])
def test_ten_starts(seed: int, eta: float) -> None:
    try:
        start, _, steps = burst(seed, eta)
    except IndexError:
        pytest.skip("no burst")
    paths = [
        eom.edge_flow(network(), start, eta=eta, steps=steps, order=k, every=4, estimate=False, rtol=1e-8)
        for k in range(4)
    ]
    errors = [largest(path, start) for path in paths]
    assert all(5 * after < before for before, after in pairwise(errors[:3])), errors
    assert errors[3] < errors[2] / 2, errors


@pytest.mark.slow
def test_two_thousand_steps_with_two_critical_directions() -> None:
    start = eom.descend(network(), first(0), eta=0.6, steps=800).end
    path = eom.edge_flow(network(), start, eta=0.6, steps=2000, order=2, rtol=1e-7)
    measured = largest(path, start)
    assert path.cost.frames > 4
    assert measured < 0.05
    assert 0.3 < measured / path.error.max() < 3


@pytest.mark.parametrize("method", [eom.HeavyBall("1/10"), eom.Nesterov("1/2")])
def test_momentum_at_its_own_edge(method: Any) -> None:
    eta = {"HeavyBall": 0.24, "Nesterov": 0.15}[type(method).__name__]
    start, memory, _ = burst(0, eta, method, 1e-3)
    errors = []
    for order in range(3):
        path = eom.edge_flow(
            network(), start, eta=eta, steps=30, order=order, method=method, memory=memory, every=5, estimate=False,
            rtol=1e-8,
        )  # fmt: skip
        errors.append(largest(path, start, method, memory))
    assert errors[0] < 0.1
    assert 5 * errors[1] < errors[0], errors
    assert 2 * errors[2] < errors[1], errors


def test_from_rest_momentum_settles_first() -> None:
    method = eom.Nesterov("1/2")
    start, _, _ = burst(0, 0.15, method, 1e-3)
    path = eom.edge_flow(network(), start, eta=0.15, steps=40, order=1, method=method, every=5, estimate=False)
    assert fading(method) == pytest.approx(0.5, rel=1e-9, abs=0)
    assert path.settled >= 20
    assert largest(path, start, method) < 1e-2


def test_rmsprop_at_the_preconditioned_edge() -> None:
    method = RMSProp("1/2", "1/10")
    past = eom.descend(network(), first(0), eta=0.05, steps=3000, method=method)
    errors = []
    for order in range(2):
        path = eom.edge_flow(
            network(), past.end, eta=0.05, steps=40, order=order, method=method, memory=past.memory, every=10,
            estimate=False,
        )  # fmt: skip
        errors.append(largest(path, past.end, method, past.memory))
    assert errors[0] < 1e-3
    assert 5 * errors[1] < errors[0]


# bad input -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes, error, words",
    [
        ({"eta": 0}, InputError, "eta must be a finite number"),
        ({"steps": 0}, InputError, "steps must be an integer"),
        ({"order": -1}, InputError, "order must be an integer"),
        ({"rtol": 2.0}, InputError, "rtol must be a finite number from 1e-12 to 0.5, got 2.0"),
        ({"critical": -1}, InputError, "critical must be an integer"),
        ({"method": Extragradient()}, MethodError, "has stages"),
        ({"method": eom.HeavyBall("9/10", memory="kept", eta="1/10")}, MethodError, "eliminate it"),
    ],
)
def test_bad_arguments(changes: dict[str, Any], error: type[Exception], words: str) -> None:
    options = {"eta": 0.5, "steps": 10, "order": 1, **changes}
    with pytest.raises(error, match=words):
        eom.edge_flow(VALLEY, [2.0, 0.52], **options)


def test_bad_losses_and_starts() -> None:
    with pytest.raises(ShapeError, match="expected"):
        eom.edge_flow(VALLEY, [2.0], eta=0.5, steps=10)
    with pytest.raises(ExpressionError, match="has kinks"):
        eom.edge_flow(eom.Loss("Abs(x) + x**2", variables="x"), [1.0], eta=0.5, steps=10)
    with pytest.raises(InputError, match="field without a loss"):
        eom.edge_flow(Field(["y", "-x"], variables="x y"), [1.0, 0.0], eta=0.1, steps=10)


def test_more_critical_directions_than_asked_for() -> None:
    loss = eom.Loss("(1 - x*y)**2/2 + (1 - z*w)**2/2", variables="x y z w")
    with pytest.raises(HypothesisError, match="type critical=2"):
        eom.edge_flow(loss, [2.0, 0.52, 2.0, 0.51], eta=0.5, steps=10, critical=1)


def test_a_start_far_from_the_slow_manifold() -> None:
    loss = eom.Loss("6*(y - sin(x)/2)**2 + x**2/4", variables="x y")
    with pytest.raises(HypothesisError, match=r"away from the slow manifold .* settle=\d+"):
        eom.edge_flow(loss, [1.0, 0.0], eta=0.1, steps=60, settle=0)
    with pytest.raises(InputError, match="are needed to settle"):
        eom.edge_flow(loss, [1.0, 0.0], eta=0.1, steps=3)


def test_a_run_that_diverges() -> None:
    loss = eom.Loss("x**2/2 + x**4/4", variables="x")
    with pytest.raises(DivergenceError, match="does not come back") as caught:
        eom.edge_flow(loss, [0.05], eta=2.1, steps=200, order=1, estimate=False)
    assert caught.value.step < 60


def test_an_amplitude_below_rounding_is_inconclusive() -> None:
    path = eom.edge_flow(VALLEY, [2.0, 0.5], eta=0.5, steps=50, order=1)
    assert path.status == "inconclusive"
    assert "below the rounding errors" in path.reason
    assert path.steps[-1] < 50


def test_many_fast_directions_are_refused() -> None:
    names = [f"x{i}" for i in range(8)]
    loss = eom.Loss(" + ".join(f"(2 + {i}/10)*{n}**2/2" for i, n in enumerate(names)), variables=" ".join(names))
    with pytest.raises(HypothesisError, match="allow more with fast="):
        eom.edge_flow(loss, np.ones(8), eta=0.4, steps=10, fast=3)


# pieces --------------------------------------------------------------------------------------------------------------


def test_warm_and_cold_eigenvalues_agree_with_a_dense_solver() -> None:
    kernel, theta = eom.compile(network(), 0), first(1)
    exact = np.linalg.eigvalsh(kernel.hessian_vector(theta, np.eye(48)))[::-1]
    cold = spectrum(kernel, theta, 3, rtol=1e-5)
    warm = spectrum(kernel, theta + 1e-3, 3, guess=cold.right, rtol=1e-5)
    np.testing.assert_allclose(cold.values, exact[:3], rtol=1e-8)
    assert warm.products < cold.products
    scale = np.linspace(1, 2, 48)
    weighed = spectrum(kernel, theta, 3, scale=scale, rtol=1e-6)
    root = np.sqrt(scale)
    dense = np.linalg.eigvalsh(kernel.hessian_vector(theta, np.eye(48)) / root / root[:, None])[::-1]
    np.testing.assert_allclose(weighed.values, dense[:3], rtol=1e-8)
    np.testing.assert_allclose(weighed.left.T @ weighed.right, np.eye(3), atol=1e-10)
    with pytest.raises(InputError, match="use at most 48"):
        spectrum(kernel, theta, 49, rtol=1e-3)


def test_the_cut_is_at_the_widest_gap() -> None:
    chooser = Chooser(eom.compile(VALLEY, 0), 1.0, 3, 24)
    assert chooser.cut(np.array([2.0, 1.1, 0.6, 0.4, 0.39])) == 3
    assert chooser.cut(np.array([2.0, 1.1, 0.7, 0.68, 0.36])) == 4
    assert chooser.cut(np.array([0.3, 0.1])) == 0


def test_amplitudes_from_a_few_steps_are_not_sought_for_ever(monkeypatch):
    """Where the mean cannot be followed over six steps, they are those of one iterate."""
    made = [0]

    class Counted(RK45):
        def step(self):
            made[0] += 1
            return super().step()

    monkeypatch.setattr(edge_motion, "RK45", Counted)
    monkeypatch.setattr(edge_motion, "STUCK", 1)
    loss = eom.Loss("(tanh(a*x) - 1/2)**2 + exp(-a)*x**2/8", variables="a x")
    with pytest.raises(DivergenceError, match="does not come back"):
        eom.edge_flow(loss, [0.125, 0.125], eta=3.0, steps=2, order=1, critical=3, fast=24, rtol=1e-6, estimate=False)
    assert 3 < made[0] < 20
