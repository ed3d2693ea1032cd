"""What speaks for a right equation: the next order, obstacles, gates that switch."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from verification.pieces import KERNEL, LEADING, START, made

import eomsym as eom
from eomsym.errors import DivergenceError, TableError
from eomsym.verification import measure
from eomsym.verification.measure import Measurement

# what speaks for a right equation -------------------------------------------------------------------------------------


def known_of(order: int, kernel: Any = KERNEL, **known: Any) -> Measurement:
    found = made(1, 2, kernel=kernel, leading=LEADING, **({"gates": (0, 3), "radius": 0.5, "sharpness": 1.0} | known))
    found.runs = {10: (START, 0.0), 20: (START, 0.0)}
    found.ends = {(order, 10): (np.array([1.0, 2.0]), 0.0), (order, 20): (np.array([0.5, 0.25]), 0.0)}
    return found


def test_evidence_is_what_the_next_order_says(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def leading_error(kernel: Any, theta: np.ndarray, **options: Any) -> Any:
        assert options.pop("watch") == "the watch of order 0"
        asked.append((kernel.order, theta.tolist(), options))
        return SimpleNamespace(norms=np.array([6.75, 9.0]), errors=np.array([0.25, 3.0]))

    def motion(self: Measurement, order: int, eta: float) -> Any:
        asked.append((order, eta))
        return np.array([0.25, 0.125]), 0.0

    monkeypatch.setattr(Measurement, "_watch", lambda self, order: f"the watch of order {order}")
    monkeypatch.setattr(measure, "leading_error", leading_error)
    monkeypatch.setattr(Measurement, "_motion", motion)
    for j, eta, end in ((0, 0.2, np.array([1.0, 2.0])), (1, 0.1, np.array([0.5, 0.25]))):
        asked.clear()
        found = known_of(1).evidence(1, j, 2)
        vector = np.array([3.0, 4.0])
        linear = np.linalg.norm(end - [0.25, 0.125] - eta**2 * vector) / (eta**2 * 5.0)
        expected = linear + eta * 7.0 / 5.0 + eta / 0.5 / 4
        assert found.expected == pytest.approx(expected, rel=1e-12, abs=0)
        assert found.obstacle == ""
        assert asked == [(2, eta), (3, [3.0, 4.0], {"time": 2.0, "orders": [2], "limit": 60.0})]
    # of the order whose leading error leads
    found = known_of(1).evidence(1, 1, 3)
    linear = np.linalg.norm([0.25, 0.125 - 0.1**3 * 20]) / (0.1**3 * 20)
    assert found.expected == pytest.approx(linear + 0.1 * 7.0 / 20 + 0.05, rel=1e-12, abs=0)
    for failed in (DivergenceError("away", 1), TableError("not finite", 0)):

        def fails(*_: Any, failed: Exception = failed, **__: Any) -> Any:
            raise failed

        monkeypatch.setattr(measure, "leading_error", fails)
        assert known_of(1).evidence(1, 1, 2).expected == np.inf
    monkeypatch.setattr(Measurement, "_watch", lambda self, order: f"the watch of order {order}")
    monkeypatch.setattr(measure, "leading_error", leading_error)
    monkeypatch.setattr(Measurement, "_motion", lambda *_: (np.full(2, np.nan), np.inf))
    assert known_of(1).evidence(1, 1, 2).expected == np.inf


def test_obstacles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        measure, "leading_error", lambda *_, **__: SimpleNamespace(norms=np.zeros(1), errors=np.zeros(1))
    )
    monkeypatch.setattr(Measurement, "_motion", lambda *_: (np.array([0.5, 0.25]), 0.0))
    gates = known_of(1, gates=(2, 3)).evidence(1, 1, 2)
    assert (gates.expected, gates.obstacle) == (
        np.inf, "2 of 3 gates switched on the way, where the loss has kinks",
    )  # fmt: skip
    at = known_of(1, sharpness=2.5).evidence(1, 1, 2)  # eta*lambda is 0.25, half of the radius
    assert (at.expected, at.obstacle) == (pytest.approx(1 + 0.5 / 4, rel=1e-9, abs=0), "")
    beyond = known_of(1, sharpness=2.51).evidence(1, 1, 2)
    assert (beyond.expected, beyond.obstacle) == (
        np.inf, "eta*lambda = 0.251 is not well inside of the radius 0.5 of gradient descent",
    )  # fmt: skip
    # Where a method has no radius, the sharpness says nothing.
    for method in (
        SimpleNamespace(is_linear=False, colours=1, is_flow=False, name=""),
        SimpleNamespace(is_linear=True, colours=2, is_flow=False, name=""),
        SimpleNamespace(is_linear=True, colours=1, is_flow=True, name=""),
    ):
        found = known_of(1, sharpness=1e6)
        found.kernel = SimpleNamespace(method=method, at_order=KERNEL.at_order, losses=KERNEL.losses)
        assert found.evidence(1, 1, 2).expected == pytest.approx(1.0, rel=1e-9, abs=0)


class Paths:
    def __init__(self, points: np.ndarray) -> None:
        self.points, self.asked = points, []

    def path(self, start: np.ndarray, eta: float, steps: int, every: int) -> np.ndarray:
        self.asked.append((start.tolist(), eta, steps, every))
        return self.points


@pytest.mark.parametrize(
    "counts, run, every", [((10, 20), 10, 1), ((127, 200), 127, 1), ((128, 200), 128, 2), ((640,), 640, 10)]
)
def test_gates_are_looked_at_along_the_first_run(counts: tuple[int, ...], run: int, every: int) -> None:
    loss = eom.Loss("Abs(x) + Abs(y) + Abs(x + y)", variables="x y")
    found = made(kernel=eom.compile(loss, 0))
    found.runs = dict.fromkeys(counts, (START, 0.0))
    points = np.array([[1.0, 2.0, 9.0], [1.0, -0.5, 9.0], [1.0, 2.0, 9.0], [1.0, 3.0, 9.0]])
    found.optimiser = paths = Paths(points)
    switched, total = found.gates
    gates = np.array([eom.losses.activations.region(loss, point[:2]) for point in points])
    assert (switched, total) == (int((gates != gates[0]).any(axis=0).sum()), gates.shape[1])
    assert 0 < switched < total
    assert paths.asked == [([3.0, 4.0], 2.0 / run, run, every)]
    assert found.notes() == [
        f"{switched} of {total} gates switched on the way: between kinks only does the theory hold"
    ]


def test_gates_of_a_run_that_ends_and_of_none() -> None:
    loss = eom.Loss("Abs(x) + Abs(y)", variables="x y")
    for ends, run in (((np.nan, 1.0, 1.0), 20), ((np.nan, np.nan, np.nan), 40)):
        found = made(kernel=eom.compile(loss, 0))
        found.runs = {count: (np.array([end, 1.0]), 0.0) for count, end in zip((10, 20, 40), ends, strict=True)}
        found.optimiser = paths = Paths(np.ones((3, 2)))
        assert found.gates[0] == 0
        assert paths.asked[0][2] == run
        assert found.notes() == []
    smooth = made()
    smooth.optimiser = None
    assert smooth.gates == (0, 0)
