"""Best orders and answers against a plain reading: numbers, branches taken, limits of work."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from bounds.bent import CENTRE as START
from bounds.bent import LOSS

import eomsym as eom
from eomsym.bounds import orders, tables
from eomsym.bounds.bound import Bound, Hypothesis, StepSize, require
from eomsym.bounds.comparison import DistanceRow, StepSizes
from eomsym.bounds.fundamental import fundamental_theorem
from eomsym.bounds.orders import BestOrder, best_order
from eomsym.dynamics.flow import flow
from eomsym.errors import DivergenceError, HypothesisError, InputError

SQUARE = eom.Loss("x**2/2", variables="x")


def test_the_fundamental_theorem_is_its_recursion() -> None:
    times, growth, defect = [0.5, 1.0, 3.0, 3.25], [0.7, -2.0, 0.0], [0.1, 0.0, 0.4]
    for initial in (0.0, 0.3):
        found, value = fundamental_theorem(times, growth, defect, initial), initial
        assert found[0] == initial
        for k, (m, d) in enumerate(zip(growth, defect, strict=True)):
            h = times[k + 1] - times[k]
            value = math.exp(m * h) * value + d * (math.expm1(m * h) / m if m else h)
            assert found[k + 1] == pytest.approx(value, rel=1e-14, abs=0)
    for wrong in ([0.0], [[0.0, 1.0], [2.0, 3.0]], [1.0, 0.5], [0.0, 0.0]):
        with pytest.raises(InputError, match="times must be two or more increasing numbers"):
            fundamental_theorem(wrong, [1.0], [1.0])
    for shapes in (([1.0], [1.0, 1.0]), ([1.0, 1.0], [1.0]), ([1.0, 1.0], [1.0, 1.0])):
        with pytest.raises(InputError, match="one number between each two times"):
            fundamental_theorem([0.0, 1.0], *shapes)
    for initial in (-1e-300, np.inf, np.nan):
        with pytest.raises(HypothesisError, match="a finite distance at the start"):
            fundamental_theorem([0.0, 1.0], [1.0], [1.0], initial)
    for wrong in (np.inf, -1e-9):
        with pytest.raises(HypothesisError, match="a finite defect >= 0"):
            fundamental_theorem([0.0, 1.0], [1.0], [wrong])


def test_a_best_order_is_read_from_its_numbers() -> None:
    def made(values: list[float], floor: float) -> BestOrder:
        return BestOrder(0.1, np.arange(len(values)), np.ones(len(values)), np.array(values), floor)

    for values, floor, order, at_floor in (
        ([3.0, 1.0, 2.0], 0.5, 1, False),
        ([3.0, 1.0, 0.5], 1.0, 1, True),
        ([3.0, 1.0, 0.5], 1.0 - 1e-12, 2, True),
        ([np.nan, 4.0, np.nan], 0.1, 1, False),
        ([0.5, 0.1, 0.5], 0.1 - 1e-12, 1, False),
    ):
        found = made(values, floor)
        assert (found.order, found.at_floor, found.error) == (order, at_floor, values[order])
    lines = str(made([3.0, 1.0, 2.0], 0.5)).splitlines()
    assert lines[0] == "one step, eta = 0.1"
    assert [line.split()[-1] for line in lines[2:5]] == ["3.0e+00", "best", "2.0e+00"]
    axes = made([3.0, 1.0, 2.0], 0.5).plot().axes[0]
    marks = {line.get_label(): line for line in axes.lines}
    assert marks["best order"].get_xydata().tolist() == [[1.0, 1.0]]
    assert marks["measured"].get_ydata().tolist() == [3.0, 1.0, 2.0]
    assert axes.patches[0].get_zorder() == 0
    looks = {name: (line.get_linewidth(), line.get_markersize()) for name, line in marks.items()}
    assert (looks["predicted"][0], looks["measured"][0], looks["best order"][1]) == (1.0, 0.6, 10)
    assert marks["predicted"].get_linestyle() == "--"
    assert axes.title.get_fontsize() == 9
    assert axes.patches[0].get_bbox().y0 == pytest.approx(0.5 / 30, rel=1e-9, abs=0)
    assert axes.patches[0].get_bbox().y1 == pytest.approx(0.5, rel=1e-9, abs=0)
    assert made([3.0, 1.0, 2.0], 0.5).record()["proven"] is False


def test_the_numbers_of_a_best_order() -> None:
    eta = 0.125
    found = best_order(LOSS, START, eta=eta, highest=2)
    kernel = eom.compile(LOSS, 3)
    terms, goal = kernel.terms(START), START - eta * kernel.gradient(START)
    assert found.orders.tolist() == [0, 1, 2]
    np.testing.assert_allclose(found.predicted, [eta ** (k + 2) * np.linalg.norm(terms[k + 1]) for k in range(3)])
    for k in range(3):
        end = flow(kernel.at_order(k), START, eta=eta, time=eta, rtol=3e-13, atol=1e-15).thetas[-1]
        assert found.measured[k] == pytest.approx(np.linalg.norm(end - goal), rel=1e-6, abs=0)
    scale = max(abs(START).max(), abs(goal).max())
    least = 50 * 2.0**-52 * max(scale, eta * np.linalg.norm(terms[0]))
    assert found.floor >= least
    assert found.eta == eta
    assert best_order(LOSS, START, eta=eta, highest=0).orders.tolist() == [0]


def test_the_work_of_a_best_order_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[int] = []
    tolerances: list[tuple[float, float]] = []
    outcomes: list[Any] = []

    def integrate(velocity: Any, point: Any, times: Any, rtol: float, atol: float) -> Any:
        tolerances.append((rtol, atol))
        outcome = outcomes.pop(0)
        if outcome is None:
            raise DivergenceError("away", 1)
        return np.array([point, point + 1]), outcome[0], outcome[1]

    monkeypatch.setattr(orders, "integrate", integrate)
    monkeypatch.setattr(orders, "_few", lambda kernel, eta, most: limits.append(most))
    kernel = eom.compile(LOSS, 3)
    outcomes[:] = [(1e-3, 20), (1e-9, 999), (2e-3, 5)]
    found = best_order(kernel, START, eta=0.1, highest=2)
    assert limits == [20_000, 1000, 1000]
    assert tolerances[0] == pytest.approx(
        (3e-13, 1e-15 * np.abs([START, START - 0.1 * kernel.gradient(START)]).max()), rel=1e-9, abs=0
    )
    assert found.floor == 6e-3
    limits.clear()
    outcomes[:] = [(0.0, 30), (0.0, 999), (0.0, 5)]
    found = best_order(kernel, START, eta=0.1, highest=2)
    assert limits == [20_000, 1200, 1200]
    slope = float(np.linalg.norm(kernel.gradient(START)))
    scale = np.abs([START, START - 0.1 * kernel.gradient(START)]).max()
    assert found.floor == pytest.approx(50 * 2.0**-52 * max(scale, 0.1 * slope), rel=1e-14, abs=0)
    limits.clear()
    square = eom.compile(SQUARE, 6)
    outcomes[:] = [(0.0, 100), None, None, None, (0.0, 1), (0.0, 1)]
    found = best_order(square, [1.0], eta=0.1, highest=5)
    assert limits == [20_000, 4000, 4000, 4000, 1000, 1000]
    assert np.isnan(found.measured).tolist() == [False, True, True, True, False, False]
    outcomes[:] = [None] * 3
    with pytest.raises(HypothesisError, match=r"none that stays finite with eta = 0\.1; use a smaller eta"):
        best_order(kernel, START, eta=0.1, highest=2)


def test_so_many_evaluations_and_no_more() -> None:
    kernel = eom.compile(LOSS, 3).at_order(0)
    velocity = orders._few(kernel, 0.1, 3)
    for _ in range(3):
        np.testing.assert_array_equal(velocity(START), kernel.field(START, 0.1))
    with pytest.raises(DivergenceError, match="needs more than 3 evaluations") as caught:
        velocity(START)
    assert caught.value.step == 1


def test_answers_and_their_hypotheses() -> None:
    with pytest.raises(HypothesisError, match=r"^no bound: needed this, got that$"):
        require(False, "this", "that")
    with pytest.raises(HypothesisError, match=r"^no bound: needed this, got that; do so$"):
        require(False, "this", "that", "do so")
    one = Hypothesis("this", "that")
    bound = Bound("claim", np.array([0.0, 3.0, 2.0]), np.array([0.0, 1.0, 2.0]), (one,), "source")
    assert (bound.value, bound.largest, float(bound), bound.proven, bound.certificate) == (
        2.0,
        3.0,
        2.0,
        True,
        "proven",
    )
    (line,) = bound.plot().axes[0].lines
    assert line.get_xydata().tolist() == [[1.0, 3.0], [2.0, 2.0]]
    assert line.get_label() == "proven"
    assert bound.plot(label="mine").axes[0].lines[0].get_label() == "mine"
    guess = Bound("claim", np.ones(1), np.ones(1), (), "source", "estimated", ("note",))
    assert (str(bound).split()[0], str(guess).split()[0]) == ("bound", "estimate")
    assert str(guess).splitlines() == ["estimate 1: claim", "  note: note", "  from source"]
    assert (str(bound.table()).split()[0], str(guess.table()).split()[0]) == ("bound", "estimate")
    for eta, steps in (
        (0.1, 10),
        (1 / 3, 3),
        (0.3, 4),
        (5.0, 1),
        (np.inf, 1),
        (1 / 49, 49),
        (0.1 + 1e-9, 10),
        (0.1 - 1e-9, 11),
    ):
        assert StepSize("claim", eta, 1.0, 0.1, 0, (), "source", "proven").steps == steps
    for kind, sure in (("theorem", True), ("measured", True), ("predicted", False), ("estimated", False)):
        rate = StepSize("claim", 0.1, 1.0, 0.1, 0, (), "source", kind)
        assert rate.proven == sure
        assert str(rate).startswith("learning rate 0.1" if sure else "estimate 0.1")
        assert str(rate.table()).startswith("learning rate" if sure else "estimate")


def test_steps_that_are_kept_and_rows_that_are_violated() -> None:
    for count, every in (
        (1, 1),
        (199, 1),
        (200, 1),
        (201, 1),
        (399, 1),
        (400, 2),
        (401, 401),
        (402, 2),
        (1000, 5),
        (4001, 4001),
    ):
        assert tables._every(count) == every
    one = Bound("claim", np.ones(1), np.ones(1), (), "source")
    guess = Bound("claim", np.ones(1), np.ones(1), (), "source", "estimated")
    for true, doubt, names in (
        (1.0, 0.0, ()),
        (1.1, 0.0, ("measured", "rigorous")),
        (1.1, 0.1, ()),
        (1.2, 0.1, ("measured", "rigorous")),
    ):
        row = DistanceRow(0, true, doubt, 1.0, 1.0, 1.0, one, guess, one)
        assert row.violated == names
        assert list(row.bounds) == ["measured", "proven", "rigorous"]
    calls: list[tuple[int, int, str]] = []
    found = tables.compare_distances(
        SQUARE, [1.0], eta=0.1, steps=3, orders=[0, 1], progress=lambda *told: calls.append(told)
    )
    assert calls == [(0, 2, "order 0"), (1, 2, "order 1")]
    assert (len(found), found[1].order, found.time, found.start) == (2, 1, pytest.approx(0.3, rel=1e-9, abs=0), (1.0,))
    assert [row.order for row in found[0:2]] == [0, 1]
    assert found.data is None
    assert found[0].rigorous is None
    assert isinstance(found[0].proven, Bound)
    assert found[0].proven.certificate == "proven"
    drawn = tables.compare_distances(SQUARE, [1.0], eta=0.01, steps=40, orders=[0]).plot().axes[0]
    assert drawn.title.get_fontsize() == 9
    looks = [(line.get_linewidth(), line.get_markersize(), line.get_zorder()) for line in drawn.lines[:4]]
    assert [look[0] for look in looks] == [1.0, 1.5, 1.4, 1.4]
    assert looks[1][1:] == (4, 3)
    assert drawn.lines[4].get_linewidth() == 1.0
    np.testing.assert_allclose(drawn.lines[1].get_xdata(), 0.01 * np.arange(1, 41, 2))
    rates = tables.compare_step_sizes(
        SQUARE, [1.0], time=1.0, epsilon=0.1, orders=[0, 1], progress=lambda *told: calls.append(told)
    )
    assert calls[2:] == [(0, 2, "order 0"), (1, 2, "order 1")]
    assert isinstance(rates, StepSizes)
    assert [row.order for row in rates[:]] == [0, 1]
    assert rates[1].theorem is None
    assert str(rates).splitlines()[0] == f"{SQUARE.name}: learning rates for a distance below 0.1 up to time 1"
    axes = rates.plot().axes[0]
    assert axes.title.get_fontsize() == 9
    assert {line.get_label(): (line.get_marker(), line.get_linestyle()) for line in axes.lines} == {
        "theorem": ("o", "-"), "proven": ("s", "-"), "measured": ("^", "-"), "predicted": ("D", "--"),
    }  # fmt: skip
