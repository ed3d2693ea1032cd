"""A measurement piece by piece, with what it asks of others put in its place: what is asked, and what becomes of it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from verification.pieces import KERNEL, LEADING, START, made

from eomsym.dynamics.leading_error import LeadingError
from eomsym.errors import DivergenceError, EomsymError, TableError
from eomsym.verification import measure
from eomsym.verification.advice import Advice
from eomsym.verification.measure import Measurement
from eomsym.verification.verdict import OrderReport


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    for module in ("verification.measure", "dynamics.patience"):
        monkeypatch.setattr(f"eomsym.{module}.process_time", found)
    return found


@pytest.mark.parametrize("seconds, evaluations", [(2.0**-12, 21), (0.002, 3), (0.004, 2), (1e-6, 100), (1.0, 1)])
def test_the_cost_of_an_evaluation(clock: Clock, seconds: float, evaluations: int) -> None:
    calls = [0]

    def terms(theta: np.ndarray) -> None:
        calls[0] += 1
        clock.now += seconds if calls[0] > 1 else 7.0  # the first one compiles

    found = made(kernel=SimpleNamespace(terms=terms))
    vars(found).pop("cost")
    assert found.cost == pytest.approx(seconds, rel=1e-6, abs=0)
    assert calls[0] == 1 + evaluations


def test_five_milliseconds_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    times, calls = iter([0.0, 5e-3, 1.0]), [0]
    monkeypatch.setattr(measure, "process_time", lambda: next(times))
    monkeypatch.setattr(Measurement, "__init__", lambda self: None)
    found = Measurement()
    found.theta = START
    found.kernel = SimpleNamespace(terms=lambda theta: calls.append(1))
    assert found.cost == 5e-3
    assert len(calls) == 3


def test_the_velocity_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    watched: list[Any] = []
    monkeypatch.setattr(Measurement, "_watch", lambda self, order: lambda point: watched.append((order, point)))
    kernel = SimpleNamespace(order=2, field=lambda point, eta: point + eta)
    assert made()._velocity(kernel, 0.5)(1.0) == 1.5
    assert watched == [(2, 1.0)]


def test_the_limit_is_reached_behind_it(clock: Clock) -> None:
    clock.now = 5.0
    found = made(limit=3.0)
    clock.now = 8.0
    found._check()
    assert not found.late
    clock.now = 8.001
    with pytest.raises(DivergenceError, match="the limit of time was reached"):
        found._check()
    assert found.late
    assert found.silence == "the limit of 3 s was reached; take fewer orders or steps, or a larger limit"
    assert found.notes() == ["stopped after 3 s of CPU time; what had not been measured by then is nan"]
    vars(found)["critical"] = True
    assert found.notes() == []
    vars(found)["leading"] = replace(LEADING, notes=("leading error of order 1: known to `errors`",))
    assert found.notes() == ["leading error of order 1: known to `errors`"]
    for known in ({"critical": True}, {"_stiff": "too long"}):  # then gates were not looked at, and none is told of
        assert made(gates=(1, 2), **known).notes() == []
    assert made(gates=(1, 2)).notes() == ["1 of 2 gates switched on the way: between kinks only does the theory hold"]


def test_the_sharpness_is_the_largest_at_six_points_of_gradient_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    path = np.array([[1.0, 0.0], [2.0, 0.0], [np.inf, 0.0], [5.0, 0.0], [np.nan, 1.0], [4.0, 0.0]])

    def integrate(velocity: Any, theta: np.ndarray, times: np.ndarray, rtol: float, atol: float) -> Any:
        assert velocity == "of order 0 at eta = 0.0"
        asked.append((theta.tolist(), times.tolist(), rtol, atol))
        return path, 0.0, 0

    monkeypatch.setattr(measure, "integrate", integrate)
    monkeypatch.setattr(measure, "sharpness", lambda kernel, point: point[0] if point[0] != 5 else np.nan)
    monkeypatch.setattr(Measurement, "_velocity", lambda self, kernel, eta: f"of order {kernel.order} at eta = {eta}")
    found = made()
    del vars(found)["sharpness"]
    assert found.sharpness == 4.0
    ((theta, times, rtol, atol),) = asked
    assert (theta, times, rtol) == ([3.0, 4.0], pytest.approx([0.0, 0.4, 0.8, 1.2, 1.6, 2.0], rel=1e-9, abs=0), 1e-6)
    assert atol == pytest.approx(1e-8 * np.sqrt(12.5), rel=1e-12, abs=0)
    nought = made(start=np.zeros(2))
    del vars(nought)["sharpness"]
    assert nought.sharpness == 4.0
    assert asked[-1][-1] == 1e-8
    # Where it cannot be known, or the flow is too long.
    monkeypatch.setattr(measure, "sharpness", lambda kernel, point: np.nan)
    lost = made()
    del vars(lost)["sharpness"]
    assert lost.sharpness == 0.0
    monkeypatch.setattr(measure, "sharpness", lambda kernel, point: point[1])
    stiff = made(_stiff="too long")
    del vars(stiff)["sharpness"]
    assert stiff.sharpness == 4.0
    assert len(asked) == 3

    def runs_away(*_: Any) -> Any:
        raise DivergenceError("away", 1)

    monkeypatch.setattr(measure, "integrate", runs_away)
    away = made()
    del vars(away)["sharpness"]
    assert away.sharpness == 4.0


def test_what_is_too_stiff_to_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "sharpness", lambda kernel, point: 50.0)
    found = made(0, 1, 2, cost=0.25, limit=500.0)  # 4 * 100 * 0.25 * 5
    del vars(found)["_stiff"]
    assert found._stiff == ""
    assert not found._hopeless
    found = made(0, 1, 2, cost=0.25, limit=499.0)
    del vars(found)["_stiff"]
    assert found._stiff == (
        "time times sharpness is 100: that takes about 500 s, more than limit=499; "
        "take a shorter time, or a larger limit"
    )
    assert found._hopeless
    assert found.silence == found._stiff
    assert (found.suitable(), found.notes()) == ((10, 20), [])
    found.refusal = "no"
    del vars(found)["_stiff"]
    assert found._stiff == "no"


def test_nothing_moves_at_a_critical_point() -> None:
    def at(speed: Any) -> bool:
        def terms(theta: np.ndarray) -> Any:
            if speed is None:
                raise TableError("not finite", 0)
            return np.array([[speed, 0.0], [9.0, 9.0]])

        kernel = SimpleNamespace(at_order=lambda order: SimpleNamespace(terms=terms) if order == 0 else None)
        found = made(kernel=kernel)
        del vars(found)["critical"]
        return found.critical

    assert at(0.0)
    assert at(2.5e-13)  # times 2 is 1e-13 of the length 5
    assert not at(2.51e-13)
    assert not at(None)
    still = made(critical=True)
    assert still._hopeless
    assert still.silence == "the start is a critical point of the loss, where nothing moves; move the start"
    still.late, still.sliding = True, "it slides"
    assert still.silence.startswith("the start is a critical point")
    late = made()
    late.late, late.sliding = True, "it slides"
    assert late.silence.startswith("the limit of 60 s was reached")
    late.late = False
    assert late.silence == "it slides; between kinks only does the theory hold; take a shorter time, or another start"
    assert not late._hopeless
    late.stuck = True
    assert late._hopeless
    assert made().silence == ""
    begun = made()
    assert (begun.late, begun.skipped, begun.sliding, begun.stuck) == (False, False, "", False)
    assert (begun.refusal, begun.done, begun.total, begun.divergence) == ("", 0, 1, None)
    assert (begun.runs, begun.ends) == ({}, {})


def test_leading_errors_are_those_of_all_orders_from_the_lowest_on(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def leading_error(kernel: Any, theta: np.ndarray, **options: Any) -> Any:
        assert options.pop("watch") == "the watch of order 0"
        asked.append((kernel, theta.tolist(), options))
        if len(asked) > 1:
            raise measure.Stopped("late", 0)
        return "found"

    monkeypatch.setattr(Measurement, "_watch", lambda self, order: f"the watch of order {order}")
    monkeypatch.setattr(measure, "leading_error", leading_error)
    found = made(1, 3)
    assert (found.leading, found.done) == ("found", 1)
    assert asked == [(KERNEL, [3.0, 4.0], {"time": 2.0, "orders": range(1, 4), "rtol": 1e-6, "limit": 60.0})]
    for stopped in (made(1, 3), made(1, 3, critical=True)):
        unknown = stopped.leading
        assert (unknown.orders, unknown.time, unknown.evaluations, stopped.done) == ((1, 2, 3), 2.0, 0, 0)
        np.testing.assert_array_equal(unknown.vectors, np.zeros((3, 2)))
        np.testing.assert_array_equal(unknown.errors, np.zeros(3))
    assert len(asked) == 2  # at a critical point nothing is asked


def test_leading_errors_that_take_too_long_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: Any, **__: Any) -> Any:
        raise measure.Stopped("about 70 s, more than limit=60", 0)

    monkeypatch.setattr(measure, "leading_error", slow)
    found = made(1, 3, sharpness=1.0)
    assert (found.slow, found._hopeless, found.silence) == ("", False, "")
    np.testing.assert_array_equal(found.leading.vectors, np.zeros((3, 2)))
    assert (found.slow, found._hopeless, found.silence) == ("about 70 s, more than limit=60", True, found.slow)
    for known in ({"late": True}, {"sliding": "a kink"}):  # these have words of their own
        other = made(1, 3, sharpness=1.0)
        vars(other).update(known)
        assert (other.leading.evaluations, other.slow) == (0, "")


def test_the_radius_is_one_where_it_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(kernel: Any) -> float:
        raise EomsymError("no radius")

    monkeypatch.setattr(measure, "radius_of", unknown)
    assert made().radius == 1.0


def test_the_ladder_that_suits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "choose_ladder", lambda *args: args)
    found = made(1, 2, leading=LEADING, sharpness=7.0, radius=0.5)
    assert found.suitable() == (LEADING, (1, 2), 2.0, 5.0, 7.0, 0.5)
    found.late = True
    assert found.suitable() == (10, 20)
    assert made(critical=True, leading=LEADING).suitable() == (10, 20)


def order_report(slope: int) -> OrderReport:
    return SimpleNamespace(expected_slope=slope)


def test_what_the_advice_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "advise", lambda *args, **options: (args, options))
    found = made(1, 2, leading=LEADING, sharpness=7.0, radius=0.5, gates=(0, 0))
    found.runs = {40: (START, 0.0), 20: (START, 0.0)}
    assert found.counts == (20, 40)
    np.testing.assert_array_equal(found.etas, [0.1, 0.05])
    for slope, following in ((1, 0.0), (2, 4.0), (3, 0.0), (4, 0.0)):
        result = order_report(slope)
        args, options = found.advice(result)
        assert args == (result, 2.0, (20, 40))
        assert options == {"stiff": 14.0, "following": following, "length": 5.0}
    small = LeadingError((1, 2), 2.0, np.array([[0.5, 0.0], [0.0, 1.0]]), np.zeros(2), 0)
    vars(found)["leading"] = small
    assert found.advice(order_report(2))[1]["following"] == 2.0
    backward = LeadingError((1, 2), 2.0, np.array([[0.0, 0.0], [0.0, 1.0]]), np.zeros(2), 0)
    vars(found)["leading"] = backward
    assert found.advice(order_report(2))[1]["following"] == 0.0
    vars(found)["gates"] = (2, 5)
    why = "no ladder decides while gates switch on the way; take a shorter time, or another start"
    assert found.advice(order_report(2)) == Advice((), why)
    found.late = True
    assert found.advice(order_report(2)) == Advice()


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
