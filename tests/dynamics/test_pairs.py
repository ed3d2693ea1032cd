"""Two solutions side by side: the reported error, and who makes the steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import eomsym as eom
from eomsym.dynamics.pairs import Pair, fastest_decay
from eomsym.errors import DivergenceError

RATES = np.array([1.0, 30.0, 2e3])


def decay(state: Any) -> Any:
    """Slow and fast decay, and what couples them."""
    return -RATES * state + np.array([0.1 * state[0] ** 2, np.sin(state[0]), state[0] * state[1]])


def _network(rng: np.random.Generator) -> tuple[Any, Any]:
    """A small network, random in all things, and a start; its weights are large now and then, so that it is stiff."""
    widths = (int(rng.integers(2, 8)), int(rng.integers(2, 8)), int(rng.integers(1, 4)))
    samples = int(rng.integers(3, 20))
    inputs, targets = rng.normal(size=(samples, widths[0])), rng.normal(size=(samples, widths[-1]))
    activation = str(rng.choice(["tanh", "sigmoid", "softplus"]))
    scale = 10 ** rng.uniform(-0.5, 0.7)
    net: Any = (
        eom.DeepLinear(widths, scale * inputs, targets)
        if rng.random() < 0.4
        else eom.Network(widths, scale * inputs, targets, activation=activation)
    )
    return net, net.initial(seed=int(rng.integers(1000)), scale=rng.uniform(0.5, 1.5))


def _true_over_reported(rng: np.random.Generator) -> tuple[float, float]:
    """Of a random network, tolerance and order: the true error over the reported one, and how much was stiff."""
    net, start = _network(rng)
    order, tolerance = int(rng.integers(0, 3)), 10 ** rng.uniform(-9, -3)
    kernel = eom.compile(net, order)
    sharpness = float(np.abs(np.linalg.eigvalsh(kernel.hessian_vector(start, np.eye(net.size)))).max())
    eta, time = 0.05 / sharpness, 10 ** rng.uniform(0, 3) / sharpness

    def velocity(theta: Any) -> Any:
        return kernel.field(theta, eta)

    times = np.linspace(0.0, time, int(rng.choice([2, 5])))
    pair = Pair(velocity, start, times, tolerance, 0.01 * tolerance)
    best = Pair(velocity, start, times, max(1e-3 * tolerance, 3e-12), max(1e-5 * tolerance, 3e-14))
    true = float(np.max(np.linalg.norm(pair.states[0] - best.states[0], axis=1)))
    return true / max(pair.error, 1e-15), pair.stiff


def _judge(count: int, seed: int) -> None:
    found = np.array([_true_over_reported(np.random.default_rng((seed, k))) for k in range(count)])
    assert np.mean(found[:, 0] <= 3.0) >= 0.99, np.sort(found[:, 0])[-5:]
    assert np.mean(found[:, 1] > 0.1) > 0.1, "too few of them are stiff to say anything"


def test_the_reported_error_holds() -> None:
    _judge(8, seed=1)


@pytest.mark.slow
def test_the_reported_error_holds_in_many_cases() -> None:
    _judge(200, seed=2)


def test_stabilised_steps_take_over_where_stability_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    times, start = np.array([0.0, 5.0]), np.array([1.0, 0.5, -1.0])
    stiff = Pair(decay, start, times, 1e-6, 1e-8)
    monkeypatch.setattr("eomsym.dynamics.pairs.BOUND", np.inf)
    plain = Pair(decay, start, times, 1e-6, 1e-8)
    assert stiff.stiff > 0.8
    assert plain.stiff == 0.0
    assert 3 * stiff.evaluations < plain.evaluations
    assert np.linalg.norm(stiff.states[0, -1] - plain.states[0, -1]) < stiff.error + plain.error < 1e-4


def test_a_time_of_one_step_has_an_error_too() -> None:
    """Both would make the same step, and find no distance."""
    pair = Pair(lambda state: 50 * state**2, np.ones(1), np.array([0.0, 0.01]), 0.1, 0.1)
    assert abs(pair.states[0, -1, 0] - 2.0) < pair.error < 1e-2
    assert pair.evaluations < 45  # one step, and two


def test_both_solutions_are_real() -> None:
    """The distance is that of two solutions, each of which converges: not a guess from one of them."""
    times, errors = np.linspace(0.0, 5.0, 4), []
    exact = Pair(decay, np.array([1.0, 0.5, -1.0]), times, 1e-12, 1e-14).states[0]
    for tolerance in (1e-5, 1e-7):
        pair = Pair(decay, np.array([1.0, 0.5, -1.0]), times, tolerance, 0.01 * tolerance)
        errors.append([np.linalg.norm(solution - exact, axis=1).max() for solution in pair.states])
        assert errors[-1][0] < errors[-1][1]
        assert pair.error == pytest.approx(errors[-1][1], rel=0.5, abs=0)
    assert errors[1][1] < errors[0][1] / 10


def test_backwards_is_the_mirror() -> None:
    times = np.array([0.0, 1.0, 3.0])
    there = Pair(decay, np.array([1.0, 0.5, -1.0]), times, 1e-6, 1e-8)
    back = Pair(lambda state: -decay(state), np.array([1.0, 0.5, -1.0]), -times, 1e-6, 1e-8)
    np.testing.assert_array_equal(there.states, back.states)
    assert there.stiff == back.stiff > 0.5


def test_fields_that_turn_are_left_to_dop853() -> None:
    matrix = np.array([[-1.0, 300.0], [-300.0, -1.0]])
    pair = Pair(lambda state: matrix @ state, np.array([1.0, 0.0]), np.array([0.0, 1.0]), 1e-6, 1e-8)
    assert pair.stiff == 0.0
    np.testing.assert_allclose(np.linalg.norm(pair.states[0, -1]), np.exp(-1), rtol=1e-4)


@pytest.mark.parametrize("rates", [[1.0, 50.0, 7.0], [3.0], [-2.0, 40.0]])
def test_fastest_decay(rates: list[float]) -> None:
    numbers = np.array(rates)
    rate, direction = fastest_decay(
        lambda state: -numbers * state, np.ones(len(rates)), -numbers, np.linspace(1, 2, len(rates)), len(rates)
    )
    assert rate == pytest.approx(numbers.max(), rel=1e-6, abs=0)
    assert abs(direction[numbers.argmax()]) == pytest.approx(1.0, abs=1e-6)


def test_growth_is_no_decay() -> None:
    assert fastest_decay(lambda state: 5 * state, np.ones(2), np.full(2, 5.0), np.array([1.0, 0.0]), 2)[0] == 0.0


def test_an_explosion_of_a_stiff_field_is_told_with_its_time() -> None:
    def field(state: Any) -> Any:
        return np.array([0.01 * state[0] ** 2, -1e3 * state[1]])  # the first leaves the numbers at time 100

    with pytest.raises(DivergenceError, match=r"leaves the finite numbers at about time (99\.9|100)"):
        Pair(field, np.ones(2), np.array([0.0, 150.0]), 1e-5, 1e-7)


def test_a_time_that_cannot_be_reached_is_refused_soon() -> None:
    rates, spent = np.array([1.0, 50.0]), []

    def velocity(state: np.ndarray) -> np.ndarray:
        spent.append(1)
        return np.cos(state[::-1]) - rates * state

    with pytest.raises(DivergenceError, match=r"too stiff: \d+ evaluations only reach time .* of 1e\+15"):
        Pair(velocity, np.array([1.0, 2.0]), np.array([0.0, 1e15]), 1e-6, 1e-9)
    assert len(spent) < 50_000
