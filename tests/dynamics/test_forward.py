from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from looks import Looks

import eomsym as eom
from eomsym.dynamics import forward as module
from eomsym.dynamics import patience
from eomsym.dynamics.ahead import Ahead
from eomsym.dynamics.forward import forward
from eomsym.dynamics.leaps import Leaper
from eomsym.dynamics.reach import sharpness
from eomsym.errors import DivergenceError, InputError, ShapeError

LOSS = eom.Loss("(1-x)**2/2 + (y-x**2)**2/2", variables="x y")
START = [-0.5, 1.0]


@pytest.mark.parametrize("eta, least", [(0.02, 12.0), (0.2, 3.0)])
def test_descent_goes_by_leaps(eta: float, least: float) -> None:
    """Along a valley, eta lambda across is eta."""
    loss, start = eom.Loss("(y - x**2/9)**2/2 + x**4/4000", variables="x y"), [2.0, 0.4]
    found = forward(loss, start, eta=eta, steps=6_000, tolerance=1e-4)
    end = eom.descend(loss, start, eta=eta, steps=6_000, every=6_000).end
    assert np.linalg.norm(found.theta - end) <= 3 * found.error <= 1e-4
    assert found.order == 3
    assert found.saved > least
    assert any("leaps of order 4" in part.by for part in found.stretches)


def test_leaps_that_do_not_pay_are_given_up() -> None:
    """Growing sharpness, to the edge of stability: what the optimiser does is returned, without an error."""
    net, start = network(3)
    eta = 1.2 / sharpness(eom.compile(net, 0), start)
    found = forward(net, start, eta=eta, steps=2_000, tolerance=1e-4)
    end = eom.descend(net, start, eta=eta, steps=2_000, every=2_000).end
    np.testing.assert_array_equal(found.theta, end)
    assert found.error == 0
    assert found.gradients < 1.5 * 2_000
    assert any(part.by == "the equation, given up" for part in found.stretches)


def network(seed: int) -> tuple[eom.Network, np.ndarray]:
    rng = np.random.default_rng(seed)
    net = eom.Network((3, 4, 2), rng.normal(size=(12, 3)), rng.normal(size=(12, 2)), activation="tanh", loss="mse")
    return net, 0.6 * rng.normal(size=net.size)


def test_a_long_run_of_descent() -> None:
    found = forward(LOSS, START, eta=0.001, steps=20_000, tolerance=1e-7)
    end = eom.descend(LOSS, START, eta=0.001, steps=20_000, every=20_000).end
    assert np.linalg.norm(found.theta - end) <= found.error <= 1e-6
    assert found.saved > 5
    assert found.complete
    assert found.steps == sum(part.steps for part in found.stretches) == 20_000
    assert found.gradients == pytest.approx(sum(part.gradients for part in found.stretches), rel=1e-9, abs=0)


def test_a_stiff_network_goes_by_chebyshev() -> None:
    net, start = network(3)
    eta = 0.06 / sharpness(eom.compile(net, 0), start)
    found = forward(net, start, eta=eta, steps=8_000, tolerance=1e-4, order=1)
    end = eom.descend(net, start, eta=eta, steps=8_000, every=8_000).end
    assert np.linalg.norm(found.theta - end) <= 3 * found.error
    assert any("Chebyshev" in part.by for part in found.stretches)
    assert found.stretches[0].by == "the optimiser"  # fast directions come to rest first


@pytest.mark.parametrize(
    "method", [eom.HeavyBall("1/2"), eom.Nesterov("1/2"), eom.Adam("1/2", "3/5", "1/10")], ids=lambda m: m.name
)
def test_optimisers_with_a_memory(method: eom.optimisers.Method) -> None:
    found = forward(LOSS, START, eta=0.0005, steps=8_000, method=method, tolerance=1e-6)
    end = eom.descend(LOSS, START, eta=0.0005, steps=8_000, method=method, every=8_000).end
    assert np.linalg.norm(found.theta - end) <= max(3 * found.error, 1e-12)
    assert any("equation" in part.by for part in found.stretches)


def test_the_order_that_is_asked_for_decides_the_error() -> None:
    errors = []
    for order in (0, 1, 2):
        found = forward(LOSS, START, eta=0.001, steps=5_000, order=order, tolerance=1e-8)
        end = eom.descend(LOSS, START, eta=0.001, steps=5_000).end
        assert [part.steps for part in found.stretches] == [5_000]  # by the equation all the way
        errors.append(found.neglected)
        assert np.linalg.norm(found.theta - end) < found.error
    assert errors[0] > 100 * errors[1] > 10_000 * errors[2]


def test_a_schedule() -> None:
    found = forward(LOSS, START, eta=[0.002, 0.0005], steps=[2_000, 3_000])
    first = eom.descend(LOSS, START, eta=0.002, steps=2_000).end
    end = eom.descend(LOSS, first, eta=0.0005, steps=3_000).end
    assert np.linalg.norm(found.theta - end) <= 3 * found.error
    assert [part.eta for part in found.stretches] == sorted((part.eta for part in found.stretches), reverse=True)


def test_short_runs_are_run() -> None:
    found = forward(LOSS, START, eta=0.01, steps=100)
    np.testing.assert_array_equal(found.theta, eom.descend(LOSS, START, eta=0.01, steps=100).end)
    assert (found.error, found.order) == (0.0, -1)
    assert "too few" in found.notes[0]


def test_beyond_the_radius_the_optimiser_runs() -> None:
    found = forward(LOSS, START, eta=0.005, steps=1200, method=eom.HeavyBall("9/10"))
    end = eom.descend(LOSS, START, eta=0.005, steps=1200, method=eom.HeavyBall("9/10")).end
    np.testing.assert_allclose(found.theta, end, rtol=0, atol=1e-12)
    assert "too near to the radius 0.00263" in " ".join(found.notes)


def test_an_interruption_keeps_what_there_is() -> None:
    seen: list[int] = []

    def progress(done: int, total: int, label: str) -> None:
        seen.append(done)
        if len(seen) == 6:
            raise KeyboardInterrupt

    found = forward(LOSS, START, eta=0.001, steps=20_000, progress=progress)
    assert not found.complete
    assert 0 < found.steps < 20_000
    end = eom.descend(LOSS, START, eta=0.001, steps=found.steps, every=found.steps).end
    assert np.linalg.norm(found.theta - end) <= found.error
    assert "interrupted" in found.notes[-1]


def test_progress_and_record() -> None:
    seen = []
    found = forward(LOSS, START, eta=0.001, steps=2_000, progress=lambda *told: seen.append(told))
    assert [done for done, *_ in seen] == sorted(done for done, *_ in seen)
    assert seen[-1][:2] == (2_000, 2_000)
    record = json.loads(json.dumps(found.record()))
    assert record["saved"] == found.saved
    assert record["theta"] == found.theta.tolist()
    assert record["start"] == START
    assert record["data_hash"] is None
    assert "2,000 steps: error" in str(found)


def test_a_wrong_equation_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The estimates hold for the right equation only: with 1 % on its first correction the truth is outside."""
    field = eom.codegen.kernel.Kernel.field

    def wrong(kernel: eom.codegen.kernel.Kernel, theta: np.ndarray, eta: float) -> np.ndarray:
        return field(kernel, theta, eta * 1.01)

    monkeypatch.setattr(eom.codegen.kernel.Kernel, "field", wrong)
    found = forward(LOSS, START, eta=0.005, steps=800, tolerance=1e-8, order=2)
    end = eom.descend(LOSS, START, eta=0.005, steps=800).end
    assert np.linalg.norm(found.theta - end) > 3 * found.error


@pytest.mark.parametrize(
    "words, message",
    [
        ({"eta": 0.1, "steps": 0}, "steps must be an integer from 1 to 10"),
        ({"eta": -0.1, "steps": 10}, "eta must be a finite number > 0"),
        ({"eta": [0.1, 0.01], "steps": 10}, "2 learning rates for 1 stretches"),
        ({"eta": [0.1, None], "steps": [10, 10]}, "hole: stretch 2 of 2"),
        ({"eta": [], "steps": []}, "0 learning rates"),
        ({"eta": 0.1, "steps": 10, "tolerance": 1e-20}, "float64 cannot give less"),
        ({"eta": 0.1, "steps": 10, "tolerance": 0.0}, "tolerance must be a finite number > 0"),
        ({"eta": 0.1, "steps": 10, "order": -1}, "order must be an integer >= 0"),
    ],
)
def test_bad_input(words: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        forward(LOSS, START, **words)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=r"\(3,\)"):
        forward(LOSS, [1.0, 2.0, 3.0], eta=0.1, steps=10)


def test_an_equation_without_a_finite_velocity_leaves_the_run_to_the_optimiser() -> None:
    """A parameter that the loss does not move has a gradient of 0, and Adam's equation a square root of it."""
    loss = eom.DeepLinear((2, 1, 1), [[1.0, 0.0], [2.0, 0.0]], [[1.0], [1.0]])
    adam = eom.Adam("1/2", "3/5", "1/10")
    found = forward(loss, [1.0, 0.5, 0.3], eta=1e-4, steps=2000, method=adam)
    run = eom.descend(loss, [1.0, 0.5, 0.3], eta=1e-4, steps=2000, method=adam, every=2000)
    np.testing.assert_allclose(found.theta, run.end, rtol=1e-13)
    assert found.error == 0
    assert any("no finite velocity here; the optimiser ran" in note for note in found.notes)


def test_bias_corrections_that_have_not_ended_are_not_forgotten() -> None:
    """Adam's second average needs 18,400 steps; shorter runs and stretches are the optimiser's."""
    net, start = network(0)
    adam = eom.Adam(epsilon="1/1000")
    found = forward(net, start, eta=[1e-3, 5e-4], steps=[1500, 900], method=adam)
    first = eom.descend(net, start, eta=1e-3, steps=1500, method=adam, every=1500)
    then = eom.descend(net, first.end, eta=5e-4, steps=900, method=adam, every=900, memory=first.memory, late=1500)
    np.testing.assert_allclose(found.theta, then.end, rtol=1e-12, atol=1e-14)
    assert (found.error, found.gradients) == (0.0, 2400.0)
    assert found.notes[0].startswith("the memory of Adam")
    restarted = eom.descend(net, first.end, eta=5e-4, steps=900, method=adam, every=900, memory=first.memory)
    assert np.linalg.norm(restarted.end - then.end) > 1e-6


def test_a_memory_that_never_settles_leaves_the_run_to_the_optimiser() -> None:
    """The leapfrog rule has a second root on the unit circle."""
    leapfrog = eom.optimisers.LinearMultistep([1, 0, -1], [0, 2, 0])
    found = forward(LOSS, START, eta=0.0005, steps=2000, method=leapfrog)
    end = eom.descend(LOSS, START, eta=0.0005, steps=2000, every=2000, method=leapfrog).end
    np.testing.assert_allclose(found.theta, end, rtol=1e-13)
    assert (found.error, found.gradients) == (0.0, 2000.0)
    assert "never settles; the optimiser ran" in found.notes[0]


def test_a_memory_follows_the_learning_rate_of_a_schedule() -> None:
    """Where the learning rate changes, momentum is that of the old one; the equation waits until it has settled."""
    net, start = network(1)
    heavy = eom.HeavyBall("1/2")
    found = forward(net, start, eta=[0.02, 0.002], steps=[4000, 4000], method=heavy, tolerance=1e-7)
    first = eom.descend(net, start, eta=0.02, steps=4000, method=heavy, every=4000)
    end = eom.descend(net, first.end, eta=0.002, steps=4000, method=heavy, every=4000, memory=first.memory).end
    assert np.linalg.norm(found.theta - end) <= 3 * found.error + 1e-12
    assert found.saved > 1.1


@pytest.mark.slow
def test_two_hundred_random_cases() -> None:
    """In 99 % the true error is within 3 times the estimate."""
    inside = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        net, start = network(seed)
        eta = 10 ** rng.uniform(-2.5, -0.9) / sharpness(eom.compile(net, 0), start)
        steps, tolerance = int(10 ** rng.uniform(2.8, 4.0)), 10 ** rng.uniform(-8, -4)
        found = module.forward(net, start, eta=eta, steps=steps, tolerance=tolerance)
        end = eom.descend(net, start, eta=eta, steps=steps, every=steps).end
        inside.append(np.linalg.norm(found.theta - end) <= 3 * found.error + 1e-12)
    assert np.mean(inside) >= 0.99


@pytest.mark.parametrize("note, told", [((), "take fewer steps$"), (("too near",), "take fewer steps: too near$")])
def test_the_optimiser_is_not_run_for_days(note: tuple[str, ...], told: str) -> None:
    ahead = Ahead(eom.compile(LOSS, 0), np.array(START), 1e-6, None, 10**12, None)
    ahead.notes.extend(note)
    with pytest.raises(
        InputError, match=f"the optimiser itself would make 10,000,000,001 of the steps, for days; {told}"
    ):
        ahead._optimise(0.1, 10**10 + 1)
    ahead._optimise(0.1, 10)
    assert ahead.done == 10


@pytest.mark.parametrize(
    "asked",
    [
        {"eta": 0.001, "steps": 20_000},  # by leaps
        {"eta": 0.001, "steps": 5_000, "order": 1},
        {"eta": [0.001, 0.0005], "steps": [3_000, 2_000], "method": eom.HeavyBall("1/2")},
        {"eta": 0.3, "steps": 50_000, "method": eom.HeavyBall("9/10")},  # the optimiser runs
    ],
)
def test_where_the_limit_is_reached_what_there_is_is_kept(
    asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = forward(LOSS, START, **asked)
    same = forward(LOSS, START, **asked, limit=1e9)
    assert same.complete
    np.testing.assert_allclose(same.theta, whole.theta, rtol=1e-12)
    assert [(part.by, part.steps) for part in same.stretches] == [(part.by, part.steps) for part in whole.stretches]
    clock, reached = Looks(), []
    monkeypatch.setattr(patience, "process_time", clock)
    rates, counts = np.atleast_1d(asked["eta"]).tolist(), np.atleast_1d(asked["steps"]).tolist()
    for limit in (0.5, *range(2, 40)):
        clock.now = 0.0
        found = forward(LOSS, START, **asked, limit=limit)
        reached.append(found.steps)
        assert found.steps == sum(part.steps for part in found.stretches)
        if found.complete:
            np.testing.assert_allclose(found.theta, whole.theta, rtol=1e-12)
            continue
        assert found.notes[-1 - ("above the tolerance" in found.notes[-1])] == (
            f"the limit of {limit} s of CPU time was reached after {found.steps:,} of {sum(counts):,} steps; "
            "take fewer steps, or a larger limit"
        )
        assert str(found).startswith(f"{found.steps:,} steps (not all): error")
        end, memory, left = np.array(START), "rest", found.steps
        for eta, count in zip(rates, counts, strict=True):
            steps = min(left, count)
            path = eom.descend(
                LOSS, end, eta=eta, steps=steps, every=max(steps, 1), method=asked.get("method"), memory=memory
            )
            end, memory, left = path.end, path.memory, left - steps
        assert np.linalg.norm(found.theta - end) <= 3 * found.error + 1e-12
    assert 0 < reached[0] < reached[-1]


def test_pieces_are_no_longer_than_there_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel, now = eom.compile(LOSS, 0), 0.0
    monkeypatch.setattr(patience, "process_time", lambda: now)
    ahead = Ahead(kernel, np.array(START), 1e-6, None, 10**6, None, patience.Patience(10.0))
    assert [ahead._piece(made, 0.0) for made in (0, 64, 65, 19_999, 50_000)] == [64, 64, 65, 19_999, 20_000]
    assert [ahead._piece(50_000, pace) for pace in (1e-9, 1e-3, 0.5, 9.0, 11.0)] == [20_000, 10_000, 20, 1, 1]
    now = 8.0
    assert [ahead._piece(50_000, pace) for pace in (1e-3, 0.5, 9.0)] == [2_000, 4, 1]
    assert Ahead(kernel, np.array(START), 1e-6, None, 10**6, None)._piece(0, 1.0) == 20_000


def test_an_equation_that_failed_is_not_what_an_interruption_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    step, calls = Leaper.step, 0

    def fails(leaper: Leaper) -> None:
        nonlocal calls
        calls += 1
        if calls > 3:
            raise DivergenceError("away", 1)
        step(leaper)

    def progress(done: int, total: int, label: str) -> None:
        if label == "optimiser" and done > 20_000:
            raise KeyboardInterrupt

    monkeypatch.setattr(Leaper, "step", fails)
    found = forward(LOSS, START, eta=0.001, steps=90_000, progress=progress)
    assert (found.steps, found.complete, found.error) == (40_000, False, 0.0)
    np.testing.assert_array_equal(found.theta, eom.descend(LOSS, START, eta=0.001, steps=40_000, every=40_000).end)
    assert found.gradients >= 40_000  # what the optimiser had made is counted


def test_nothing_made_is_told_without_a_division_by_zero() -> None:
    found = forward(LOSS, START, eta=0.001, steps=100)
    nothing = replace(found, steps=0, complete=False)
    assert str(nothing).startswith("0 steps (not all)")
