"""What a measurement knows before a rung is measured: what is asked of others, and what becomes of it."""

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
    monkeypatch.setattr(measure, "stiffness", lambda kernel, point: point[0] if point[0] != 5 else np.nan)
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
    monkeypatch.setattr(measure, "stiffness", lambda kernel, point: np.nan)
    lost = made()
    del vars(lost)["sharpness"]
    assert lost.sharpness == 0.0
    monkeypatch.setattr(measure, "stiffness", lambda kernel, point: point[1])
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
    monkeypatch.setattr(measure, "stiffness", lambda kernel, point: 50.0)
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
