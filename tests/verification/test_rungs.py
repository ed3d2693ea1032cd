"""Runs and motions of a measurement, rung by rung: what is asked of them, and what becomes of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from verification.pieces import LEADING, START, made

from eomsym.dynamics.leading_error import LeadingError
from eomsym.errors import DivergenceError, TableError
from eomsym.verification import measure
from eomsym.verification.measure import Measurement


class Runs:
    """An optimiser whose runs end where it is told."""

    def __init__(self, ends: dict[int, Any]) -> None:
        self.ends, self.asked = ends, []

    def run(self, order: int, start: np.ndarray, eta: float, steps: int) -> Any:
        self.asked.append((order, start.tolist(), eta, steps))
        end = self.ends[steps]
        if isinstance(end, Exception):
            raise end
        return np.asarray(end), 0.25


def test_rungs_are_run_and_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[Any] = []
    told: list[Any] = []

    def motion(self: Measurement, order: int, eta: float) -> Any:
        moved.append((order, eta))
        return np.array([order, eta]), 0.5

    monkeypatch.setattr(Measurement, "_motion", motion)
    found = made(0, 2, leading=LEADING, cost=2.0**-10, sharpness=640.0)
    found.optimiser = runs = Runs({10: [1.0, 2.0], 20: DivergenceError("away", 3), 40: [0.0, 0.0]})
    found.progress = lambda *call: told.append(call)
    assert found.add((10, 20))
    assert runs.asked == [(3, [3.0, 4.0], 0.2, 10), (3, [3.0, 4.0], 0.1, 20)]
    # 24 evaluations of 1/1024 s for each of 2 * 640/4 pieces of time, two rungs and two orders
    assert told[0] == (0, 6, "2 rungs, about 3e+01 s")
    assert [call[:2] for call in told[1:]] == [(k, 6) for k in range(1, 7)]
    assert [call[2] for call in told[1:4]] == ["10 steps", "order 0, 10 steps", "order 2, 10 steps"]
    assert moved == [(0, 0.1), (2, 0.2), (2, 0.1)]  # gradient flow once, as the finest rung needs it
    assert str(found.divergence) == "away"
    np.testing.assert_array_equal(found.runs[20][0], [np.nan, np.nan])
    assert found.runs[20][1] == np.inf
    gaps, references = found.of(2)
    np.testing.assert_array_equal(gaps, [[1.0, -1.8], [np.nan, np.nan]])
    np.testing.assert_array_equal(references, [0.75, np.inf])
    assert found.add((40,))
    assert told[7] == (6, 9, "1 rungs, about 2e+01 s")
    assert "away; the other rungs were judged" in found.notes()
    gentle = made(0, leading=LEADING, cost=2.0**-10, sharpness=4.0, gates=(0, 0))
    gentle.optimiser, gentle.progress = Runs({4: [0, 0]}), lambda *call: told.append(call)
    told.clear()
    gentle.add((4,))
    assert told[0][2] == "1 rungs, about 0.5 s"  # at least twenty pieces
    assert gentle.notes() == []
    told.clear()
    vars(gentle)["cost"] = 9.4 / 480
    gentle.add((4,))
    assert told[0][2] == "1 rungs, about 9 s"


def test_what_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Measurement, "_motion", lambda *_: (np.zeros(2), 0.5))
    told: list[Any] = []
    for known in ({"critical": True}, {"_stiff": "too long"}):
        found = made(0, leading=LEADING, **known)
        found.optimiser = runs = Runs({4: [0, 0]})
        found.progress = lambda *call: told.append(call[2])
        assert found.add((4,))
        assert (runs.asked, found.runs[4][1]) == ([], np.inf)
        assert np.isnan(found.runs[4][0]).all()
    assert told == ["1 rungs, about 0 s", "4 steps", "order 0, 4 steps", "4 steps", "order 0, 4 steps"]
    late = made(0, leading=LEADING, limit=-1.0)
    late.optimiser = runs = Runs({4: [0, 0]})
    assert not late.add((4,))
    assert runs.asked == []
    # Leading errors that are still to be found are one piece more.
    told.clear()
    fresh = made(0)
    fresh.optimiser, fresh.progress = Runs({4: [0, 0]}), lambda *call: told.append(call[1])
    fresh.add((4,))
    assert told == [3, 3, 3]
    away = made(0, leading=LEADING)
    away.optimiser = Runs({4: DivergenceError("away", 3), 8: DivergenceError("farther away", 7)})
    with pytest.raises(DivergenceError, match="farther away"):
        away.add((4, 8))
    half = made(0, leading=LEADING)
    half.optimiser = Runs({4: [np.nan, 1.0], 8: DivergenceError("away", 7)})
    with pytest.raises(DivergenceError, match="away"):
        half.add((4, 8))


@pytest.mark.parametrize("share", [1e-16, 1e-9, 1.0, 1e9])
@pytest.mark.parametrize("error", [0.0, 1e-30, 1.0])
def test_the_tolerance_of_a_motion_suits_its_leading_error(
    monkeypatch: pytest.MonkeyPatch, share: float, error: float
) -> None:
    asked: list[Any] = []

    def integrate(velocity: Any, theta: Any, times: Any, rtol: float, atol: float) -> Any:
        asked.append((theta.tolist(), list(times), rtol, atol))
        return np.array([[0.0, 0.0], [9.0, 9.0], [1.0, float(len(asked))]]), error, 0

    monkeypatch.setattr(measure, "integrate", integrate)
    leading = LeadingError((1, 2), 2.0, share * np.array([[3.0, 4.0], [6.0, 8.0]]), np.zeros(2), 0)
    for order, goal in ((1, share * 5 * 0.5**2), (2, share * 10 * 0.5**3), (3, 0.0)):
        asked.clear()
        end, told = made(1, 2, leading=leading)._motion(order, 0.5)
        rtol = min(max(goal / 500, measure.SMALLEST_RTOL), 1e-6)
        tolerances = [rtol]
        if error * 200 > goal and rtol > measure.SMALLEST_RTOL:
            tolerances.append(measure.SMALLEST_RTOL)
        assert [row[2] for row in asked] == pytest.approx(tolerances, rel=1e-12, abs=0)
        assert [row[3] for row in asked] == pytest.approx(
            [0.01 * x * np.sqrt(12.5) for x in tolerances], rel=1e-12, abs=0
        )
        assert all(row[0] == [3.0, 4.0] for row in asked)
        assert asked[0][1][-1] == 2.0
        assert (end.tolist(), told) == ([1.0, float(len(asked))], error)


def test_a_motion_is_repeated_where_its_error_is_more_than_half_a_hundredth(monkeypatch: pytest.MonkeyPatch) -> None:
    leading = LeadingError((1,), 2.0, np.array([[480.0, 640.0]]), np.zeros(1), 0)  # at eta = 1/2 it is 200
    for error, rounds in ((1.0, 1), (np.nextafter(1.0, 2), 2)):
        asked: list[float] = []

        def integrate(*args: Any, error: float = error, asked: list[float] = asked) -> Any:
            asked.append(args[3])
            return START[None], error, 0

        monkeypatch.setattr(measure, "integrate", integrate)
        made(1, leading=leading)._motion(1, 0.5)
        assert len(asked) == rounds


def test_a_motion_of_a_start_at_zero_and_one_that_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def integrate(velocity: Any, theta: Any, times: Any, rtol: float, atol: float) -> Any:
        asked.append((rtol, atol))
        return np.zeros((2, 2)), 0.0, 0

    monkeypatch.setattr(measure, "integrate", integrate)
    nought = made(1, leading=LEADING, start=np.zeros(2))
    nought._motion(1, 2.0**-14)  # 5 * 2**-28, over one where theta has no length
    assert asked == [pytest.approx((5 * 2.0**-28, 0.05 * 2.0**-28), rel=1e-9, abs=0)]
    for known in ({"critical": True}, {"sharpness": 1e9, "cost": 1.0}):
        end, error = made(1, leading=LEADING, **known)._motion(1, 0.5)
        assert np.isnan(end).all()
        assert error == np.inf
    assert len(asked) == 1
    for failure in (DivergenceError("away", 1), TableError("not finite", 0)):

        def fails(*_: Any, failure: Exception = failure) -> Any:
            raise failure

        monkeypatch.setattr(measure, "integrate", fails)
        end, error = made(1, leading=LEADING)._motion(1, 0.5)
        assert np.isnan(end).all()
        assert error == np.inf


def test_a_field_that_is_out_of_reach_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    # eta*lambda = 2, order 2: 4 * 2 * 20 * (1 + 2 + 4) evaluations, a twentieth of the limit
    for order, growth in ((0, 1), (1, 3), (2, 7), (3, 15)):
        for limit, beyond in ((160 * growth * 20.0, False), (160 * growth * 20.0 - 1, True)):
            found = made(sharpness=20.0, cost=1.0, limit=limit, leading=LEADING, gates=(0, 0))
            assert found._out_of_reach(order, 0.1) is beyond
            assert found.skipped is beyond
            note = "motions with eta*lambda > 1 were left out: too stiff, and their series diverges"
            assert found.notes() == [note] * beyond
    inside = made(sharpness=20.0, cost=1.0, limit=1.0)
    assert not inside._out_of_reach(1, 0.05)  # eta*lambda = 1
    assert inside._out_of_reach(1, 0.0501)
    assert not inside._out_of_reach(1, 0.05)
    assert inside.skipped
    # Gradient flow is not left out, as it has no series.
    monkeypatch.setattr(measure, "integrate", lambda *_: (np.ones((2, 2)), 0.0, 0))
    assert made(sharpness=1e3, cost=1.0, leading=LEADING)._motion(0, 0.1)[0].tolist() == [1.0, 1.0]


def test_a_watch_stops_at_the_limit_and_at_a_kink(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "GateWatch", lambda losses: lambda point: "it slides" if point[0] > 0 else "")
    for order, stuck in ((0, True), (1, False)):
        found = made()
        watch = found._watch(order)
        watch(np.zeros(2))
        assert (found.sliding, found.stuck) == ("", False)
        with pytest.raises(DivergenceError, match="it slides"):
            watch(np.ones(2))
        assert (found.sliding, found.stuck) == ("it slides", stuck)
    first, second = made(), np.ones(2)
    for order in (0, 1):  # what gradient flow has said stays
        with pytest.raises(DivergenceError, match="it slides"):
            first._watch(order)(second)
    assert first.stuck
    late = made(limit=-1.0)
    with pytest.raises(DivergenceError, match="the limit of time was reached"):
        late._watch(0)(np.zeros(2))
