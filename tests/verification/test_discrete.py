"""The run that is judged, and its doubts: what is repeated, how often, by how much it is moved, and what it finds."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import eomsym as eom
from eomsym.codegen.kernel import Kernel
from eomsym.dynamics.descent import descend
from eomsym.errors import DivergenceError, MethodError
from eomsym.verification import discrete
from eomsym.verification.discrete import Optimiser, PlainRun

LOSS = eom.Loss("(1-x)**2/2 + (y-x**2)**2/2", variables="x y")
START = np.array([-0.5, 1.0])
#: No filter, one and more of them, an implicit step, a power of eta, and gradients that are remembered.
METHODS = [
    eom.HeavyBall("1/2"),
    eom.optimisers.RungeKutta([["1/4", "1/8"], ["1/2", "1/4"]], ["1/2", "1/2"]),
    eom.optimisers.SharpnessAware("1/2"),
    eom.optimisers.LinearMultistep([1, "-3/2", "3/4", "-1/4"], ["1/2", "-1/8", "1/4", "-1/8"]),
    eom.optimisers.Lion("1/2", "3/5", width="1"),
]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_the_two_implementations_are_one(method: Any) -> None:
    kernel = Kernel((LOSS,), 2, method)
    memory = kernel.memories(START, 0.05)
    optimiser = Optimiser(LOSS, method)
    judged = optimiser._judged(kernel, START, 0.05, 12, memory)
    np.testing.assert_allclose(optimiser._repeat(START, 0.05, 12, memory), judged, rtol=1e-13)
    assert optimiser.remembers == bool(len(memory))
    assert optimiser.extra_order == (3 if len(memory) else 1)
    final, doubt = optimiser.run(2, START, 0.05, 12)
    np.testing.assert_array_equal(final, judged)
    assert 1e-17 < doubt < (1e-2 if len(memory) else 1e-14)
    np.testing.assert_array_equal(
        optimiser.path(START, 0.05, 12, 5),
        descend(Kernel((LOSS,), 0, method), START, eta=0.05, steps=12, every=5).thetas,
    )


def test_the_doubt_is_the_largest_rounding_and_that_of_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    optimiser, asked = Optimiser(LOSS, eom.HeavyBall("1/2")), []
    monkeypatch.setattr(discrete, "Kernel", lambda losses, order, method: kernel(order))

    def kernel(order: int) -> Any:
        return SimpleNamespace(order=order, memories=lambda start, eta: np.array([float(order)]), at_order=kernel)

    def judged(of: Any, start: Any, eta: float, steps: int, memory: Any) -> Any:
        asked.append((eta, steps))
        return np.array([0.0, 0.5 * (4 - memory[0])])

    offsets = iter([0.25, 2.0, 0.125])
    rngs = []

    def repeat(start: Any, eta: float, steps: int, memory: Any, rng: Any) -> Any:
        rngs.append(rng)
        assert (eta, steps, memory.tolist()) == (0.1, 1000, [4.0])
        return np.array([next(offsets), 0.0])

    monkeypatch.setattr(optimiser, "_judged", judged)
    monkeypatch.setattr(optimiser, "_repeat", repeat)
    final, doubt = optimiser.run(4, START, 0.1, 1000)
    assert (final.tolist(), doubt) == ([0.0, 0.0], 2.5)  # 2.0 of rounding, 0.5 of a memory of order 3
    assert asked == [(0.1, 1000)] * 2
    assert len({id(rng) for rng in rngs}) == 1
    assert len(rngs) == 3
    assert rngs[0].bit_generator.state["state"] == np.random.default_rng(0).bit_generator.state["state"]
    # A longer run is repeated in pieces.
    pieces = iter([0.0, -3.0, 1.0])
    monkeypatch.setattr(optimiser, "_repeat_in_pieces", lambda *args: np.array([next(pieces), 0.0]))
    assert optimiser.run(4, START, 0.1, 1001)[1] == 3.5
    # A method without a memory has no doubt about it.
    monkeypatch.setattr(
        discrete, "Kernel", lambda *_: SimpleNamespace(memories=lambda *_: np.zeros(0), at_order=None, order=0)
    )
    monkeypatch.setattr(optimiser, "_judged", lambda *_: np.zeros(2))
    offsets = iter([0.25, 2.0, 0.125])
    monkeypatch.setattr(optimiser, "_repeat", lambda *_: np.array([next(offsets), 0.0]))
    assert optimiser.run(4, START, 0.1, 3)[1] == 2.0


@pytest.mark.parametrize("steps, sizes", [
    (1001, [5] * 200 + [1]), (1250, [5] * 250), (1500, [6] * 250), (2000, [8] * 250), (1251, [6] * 208 + [3]),
])  # fmt: skip
def test_the_pieces_of_a_long_run(monkeypatch: pytest.MonkeyPatch, steps: int, sizes: list[int]) -> None:
    asked: list[Any] = []

    def fake(kernel: Any, theta: Any, *, eta: float, steps: int, every: int, memory: Any, late: bool) -> Any:
        asked.append((theta, eta, steps, every, memory, late))
        return SimpleNamespace(thetas=np.array([theta, theta + 1.0]), memory=None if len(asked) % 2 else len(asked))

    class Random:
        def uniform(self, low: float, high: float, shape: Any) -> Any:
            assert (low, high, shape) == (-1, 1, (2,))
            return np.array([1.0, 0.5])

    monkeypatch.setattr(discrete, "descend", fake)
    found = Optimiser._repeat_in_pieces(None, np.zeros(2), 0.1, steps, 0, Random())  # type: ignore[arg-type]
    assert [row[2] for row in asked] == [row[3] for row in asked] == sizes
    assert {(row[1], row[5]) for row in asked} == {(0.1, True)}
    assert [row[4] for row in asked[:5]] == [0, 0, 2, 2, 4]
    theta = np.zeros(2)
    for (start, *_), size in zip(asked, sizes, strict=True):
        np.testing.assert_array_equal(start, theta)
        theta = theta + 1.0
        theta = theta + size * np.spacing(theta) * [1.0, 0.5]
    np.testing.assert_array_equal(found, theta)


def test_pieces_go_on_where_the_last_one_ended() -> None:
    """With their memory: but for rounding the pieces are the run."""
    for method in (eom.GradientDescent(), eom.HeavyBall("1/2")):
        kernel = Kernel((LOSS,), 2, method)
        memory = kernel.memories(START, 0.001)
        whole = Optimiser._judged(kernel, START, 0.001, 1100, memory)
        pieces = Optimiser._repeat_in_pieces(kernel, START, 0.001, 1100, memory, np.random.default_rng(0))
        np.testing.assert_allclose(pieces, whole, rtol=1e-12)
        assert (pieces != whole).any()


def test_every_iterate_is_moved_by_a_unit_in_the_last_place_or_not() -> None:
    optimiser = Optimiser(LOSS, eom.GradientDescent())
    drawn: list[Any] = []

    class Random:
        def integers(self, low: int, high: int, shape: Any) -> Any:
            drawn.append((low, high, shape))
            return np.array([1, -1])

    empty = np.zeros(0)
    found = optimiser._repeat(START, 0.1, 3, empty, Random())  # type: ignore[arg-type]
    theta = START
    for _ in range(3):
        theta = theta + 0.1 * PlainRun(optimiser.change, 0.1, empty).change(theta)
        theta = theta + np.spacing(theta) * [1, -1]
    np.testing.assert_array_equal(found, theta)
    assert drawn == [(-1, 2, (2,))] * 3
    away = Optimiser(eom.Loss("x**4", variables="x"), eom.GradientDescent())
    with np.errstate(all="ignore"):
        theta, steps = 10.0, 0
        while abs(theta) < 1e308 and np.isfinite(theta):
            theta, steps = theta - 1.0 * 4 * theta * theta * theta, steps + 1
        with pytest.raises(
            DivergenceError, match=f"gradient descent leaves the finite numbers at step {steps}"
        ) as told:
            away._repeat(np.array([10.0]), 1.0, 50, empty)
        assert told.value.step == steps
        with pytest.raises(DivergenceError, match=f"at step {steps}"):
            away._repeat(np.array([10.0]), 1.0, steps, empty)
        assert np.isfinite(away._repeat(np.array([10.0]), 1.0, steps - 1, empty)).all()


def test_an_implicit_step_is_iterated_until_it_settles(monkeypatch: pytest.MonkeyPatch) -> None:
    optimiser = Optimiser(eom.Loss("x**2/2", variables="x"), eom.optimisers.ProximalPoint())
    rounds = [0]
    plain_evaluate = PlainRun._evaluate

    def counted(self: PlainRun, theta: Any) -> None:
        rounds[0] += 1
        plain_evaluate(self, theta)

    monkeypatch.setattr(PlainRun, "_evaluate", counted)

    def step(eta: float) -> float:
        rounds[0] = 0
        return float(PlainRun(optimiser.change, eta, np.zeros(0)).change(np.array([1.0]))[0])

    # Each round gains a factor eta: the last change of 1/(1 + eta) is 1e-15 of it.
    for eta in (0.5, 0.1, 0.01):
        assert step(eta) == pytest.approx(-1 / (1 + eta), rel=1e-14, abs=0)
        assert rounds[0] == pytest.approx(-15 / np.log10(eta), abs=2.5)
    # 200 rounds at most, which must leave less than 1e-12
    assert step(0.865) == pytest.approx(-1 / 1.865, rel=1e-11, abs=0)
    assert rounds[0] == 200
    with pytest.raises(MethodError, match="the implicit step does not converge; take more steps"):
        step(0.87)
    assert rounds[0] == 200
    assert step(0.8) == pytest.approx(-1 / 1.8, rel=1e-14, abs=0)
    assert rounds[0] < 200
    monkeypatch.setattr(discrete, "MOST_ITERATIONS", 10_000)
    assert abs(step(2.0)) > 1e300
    assert rounds[0] < 1200
    explicit = Optimiser(eom.Loss("x**2/2", variables="x"), eom.GradientDescent())
    rounds[0] = 0
    PlainRun(explicit.change, 0.1, np.zeros(0)).change(np.array([1.0]))
    assert rounds[0] == 1


def test_losses_are_those_of_the_batches() -> None:
    batches = [eom.Loss("x**2/2", variables="x"), eom.Loss("x**2", variables="x")]
    for given in (batches, tuple(batches)):
        assert Optimiser(given, eom.optimisers.Epoch(2)).losses == tuple(batches)
    assert Optimiser(batches[0], eom.GradientDescent()).losses == (batches[0],)
