"""Predictions, searches for rates and best orders against a plain reading: numbers, branches taken, limits of work."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.special import exprel

import eomsym as eom
from eomsym.bounds import distance, orders, prediction, step_size, step_sizes, tables
from eomsym.bounds.bound import Bound, Hypothesis, StepSize, require
from eomsym.bounds.comparison import DistanceRow, StepSizes
from eomsym.bounds.fundamental import fundamental_theorem
from eomsym.bounds.orders import BestOrder, best_order
from eomsym.bounds.prediction import predicted_distance, predicted_rate
from eomsym.bounds.step_sizes import _check_affordable, _fewest_steps
from eomsym.curvature.hessian import GivenCurvature
from eomsym.dynamics import patience
from eomsym.dynamics.flow import flow
from eomsym.dynamics.patience import Stopped
from eomsym.errors import DivergenceError, HypothesisError, InputError, TableError

LOSS = eom.Loss("(1/2-x)**2/2 + 3/8*(y-3/4*x**2)**2/2 + x*y/8", variables="x y")
START = np.array([0.75, -0.5])
SQUARE = eom.Loss("x**2/2", variables="x")
REST = eom.Loss("x**2/2 + y**2/2 + 5", variables="x y")


@pytest.mark.parametrize("order", [0, 1])
def test_a_prediction_is_its_recursion(order: int) -> None:
    eta, kernel = 0.1, eom.compile(LOSS, 3)
    found = predicted_distance(kernel, START, eta=eta, steps=4, order=order)
    path = eom.descend(LOSS, START, eta=eta, steps=4).thetas
    vector, refined, total = np.zeros(2), np.zeros(2), np.zeros(2)
    for k in range(4):
        theta, created = path[k], eta ** (order + 2) * kernel.terms(path[k])[order + 1]
        vector = vector - eta * kernel.hessian_vector(theta, vector) + created
        total = total + created
        moved = theta + refined
        rows = kernel.terms(moved), kernel.terms(moved - eta * kernel.gradient(moved))
        missed = [row[order + 1] + eta * row[order + 2] for row in rows]
        ahead = missed[0] - eta * kernel.hessian_vector(moved, missed[0])
        curved = kernel.hessian_vector(theta + refined / 2, refined)
        refined = refined - eta * curved + eta ** (order + 2) * (ahead + missed[1]) / 2
        np.testing.assert_allclose(found.vectors[k + 1], vector, rtol=1e-12)
        np.testing.assert_allclose(found.refined[k + 1], refined, rtol=1e-12)
        assert found.sums[k + 1] == pytest.approx(np.linalg.norm(total), rel=1e-12, abs=0)
    assert (found.vectors[0] == 0).all()
    assert (found.refined[0] == 0).all()
    assert found.sums[0] == 0
    np.testing.assert_allclose(found.times, 0.1 * np.arange(5))
    np.testing.assert_allclose(found.norms, np.linalg.norm(found.vectors, axis=1))
    np.testing.assert_allclose(found.doubts, np.linalg.norm(found.vectors - found.refined, axis=1))
    one = predicted_distance(kernel, START, eta=eta, steps=1, order=order)
    np.testing.assert_array_equal(one.vectors, found.vectors[:2])
    with pytest.raises(InputError, match="steps must be an integer from 1 to 10000000000, got 0"):
        predicted_distance(kernel, START, eta=eta, steps=0, order=order)
    lines = {line.get_label(): line for line in found.plot().axes[0].lines}
    assert {name: line.get_linestyle() for name, line in lines.items()} == {
        "leading": "-",
        "refined": "--",
        "plain sum": ":",
    }
    np.testing.assert_array_equal(lines["leading"].get_data(), [found.times[1:], found.norms[1:]])
    np.testing.assert_array_equal(lines["refined"].get_ydata(), np.linalg.norm(found.refined, axis=1)[1:])
    np.testing.assert_array_equal(lines["plain sum"].get_ydata(), found.sums[1:])


def leading(norm: float, error: float = 0.0, *notes: str) -> Any:
    return SimpleNamespace(norms=[norm], errors=[error], notes=notes)


def test_predicted_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    kernel: Any = SimpleNamespace(at_order=lambda order: asked.append(order) or order)
    for order in range(3):
        monkeypatch.setattr(
            prediction, "leading_error",
            lambda k, theta, time, orders, limit: asked.append((orders, limit)) or leading(0.25),
        )  # fmt: skip
        rate, notes = predicted_rate(kernel, START, 0.01, 1.0, order, 7.0)
        assert rate == pytest.approx(0.04 ** (1 / (order + 1)), rel=1e-14, abs=0)
        assert notes == ()
        assert asked[-2:] == [order + 1, ([order], 7.0)]
    monkeypatch.setattr(prediction, "leading_error", lambda *rest, **options: leading(0.0))
    assert predicted_rate(kernel, START, 0.01, 1.0, 0) == (np.inf, ())
    monkeypatch.setattr(prediction, "leading_error", lambda *rest, **options: leading(1e-320))
    assert predicted_rate(kernel, START, 0.01, 1.0, 0) == (np.inf, ())
    for error in (0.0, 0.0249):
        rough = leading(0.25, error, "known to its errors")
        monkeypatch.setattr(prediction, "leading_error", lambda *rest, r=rough, **options: r)
        assert predicted_rate(kernel, START, 0.01, 1.0, 0) == (0.04, ("known to its errors",))
    for rough in (leading(0.25, 0.025, "known to its errors"), leading(0.0, 0.0, "known to its errors")):
        monkeypatch.setattr(prediction, "leading_error", lambda *rest, r=rough, **options: r)
        with pytest.raises(Stopped, match=r"^known to its errors$"):
            predicted_rate(kernel, START, 0.01, 1.0, 0)


def searched(holds: Any, first: int, limit: int) -> tuple[int, list[int]]:
    """What is found, and what was asked."""
    asked: list[int] = []

    def largest(steps: int) -> float:
        asked.append(steps)
        return 0.5 if holds(steps) else 2.0

    found, stopped = _fewest_steps(largest, 1.0, first, limit)
    assert stopped == ""
    return found, asked


def test_the_fewest_steps() -> None:
    assert searched(lambda n: n >= 1, 1, 100) == (1, [1])
    assert searched(lambda n: n >= 2, 1, 100) == (2, [1, 2])
    assert searched(lambda n: n >= 10, 10, 100) == (10, [10, 6, 8, 9])
    assert searched(lambda n: n >= 1, 10, 100) == (1, [10, 6, 4, 2, 1])
    assert searched(lambda n: n >= 40, 10, 100) == (40, [10, 15, 23, 35, 53, 44, 39, 41, 40])
    assert searched(lambda n: n >= 90, 80, 100) == (90, [80, 100, 90, 85, 87, 88, 89])
    assert searched(lambda n: n >= 100, 80, 100)[0] == 100
    # From 100 on two percent more will do.
    found, asked = searched(lambda n: n >= 1000, 900, 5000)
    assert asked == [900, 1350, 1125, 1012, 956, 984, 998]
    assert found == 1012
    assert searched(lambda n: n >= 100, 100, 1000) == (100, [100, 66, 83, 91, 95, 97, 98])
    # What is reached exactly holds.
    assert _fewest_steps(lambda steps: 1.0, 1.0, 5, 9) == (1, "")
    with pytest.raises(HypothesisError, match=r"epsilon = 1, got with 9 steps the bound reaches 2; use a larger"):
        searched(lambda n: False, 4, 9)
    for error in (HypothesisError("too far"), DivergenceError("away", 3), TableError("no number", 1)):

        def refused(steps: int, error: Exception = error) -> float:
            if steps < 7:
                raise error
            return 0.0

        assert _fewest_steps(refused, 1.0, 4, 9) == (7, "")
        with pytest.raises(HypothesisError, match=f"got with 6 steps: {error}; use"):
            _fewest_steps(refused, 1.0, 4, 6)


def test_a_search_that_is_stopped_gives_what_held() -> None:
    whole = searched(lambda n: n >= 40, 10, 100)[1]
    assert whole == [10, 15, 23, 35, 53, 44, 39, 41, 40]
    between = {5: (35, 53), 6: (35, 44), 7: (39, 44), 8: (39, 41)}
    for calls in range(len(whole)):
        asked: list[int] = []

        def largest(steps: int, asked: list[int] = asked, calls: int = calls) -> float:
            if len(asked) == calls:
                raise Stopped("the limit was reached", 7)
            asked.append(steps)
            return 0.5 if steps >= 40 else 2.0

        if calls < 5:
            with pytest.raises(Stopped, match=r"^no learning rate was found: the limit was reached$") as error:
                _fewest_steps(largest, 1.0, 10, 100)
            assert error.value.step == 7
        else:
            few, many = between[calls]
            assert _fewest_steps(largest, 1.0, 10, 100) == (
                many,
                f"a larger rate may hold: the search between {few} and {many} steps was stopped; the limit was reached",
            )
        assert asked == whole[:calls]


def test_steps_for_which_there_is_no_time_are_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "process_time", lambda: 5.0)
    limited = patience.Patience(3.0)
    monkeypatch.setattr(patience, "process_time", lambda: 7.0)
    _check_affordable(99_999, limited)
    with pytest.raises(Stopped, match=r"^100,001 steps take more than 1 s of CPU time, with limit=3; take a larger ep"):
        _check_affordable(100_001, limited)
    # The memory for so many would not do either.
    with pytest.raises(Stopped, match=r"no learning rate was found: 10,000,000,000 steps take more than 1e\+05 s"):
        step_size(SQUARE, [1.0], time=1.0, epsilon=1e-12, most_steps=10**10)


@pytest.mark.parametrize("certificate", ["measured", "proven", "closed_form", "rigorous"])
def test_where_a_search_begins(certificate: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    limits: list[float] = []
    monkeypatch.setattr(
        step_sizes, "_fewest_steps", lambda largest, eps, first, limit: asked.append((first, limit)) or (4, "")
    )
    for promised, first in ((0.25, 4), (0.26, 4), (0.24, 5), (7.0, 1), (np.inf, 1), (1e-9, 50)):
        monkeypatch.setattr(step_sizes, "predicted_rate", lambda *rest, p=promised: limits.append(rest[-1]) or (p, ()))
        found = step_size(SQUARE, [1.0], time=1.0, epsilon=0.1, certificate=certificate, most_steps=50, limit=8.0)
        assert asked[-1] == (first, 50)
        assert (limits[-1], found.stopped, found.notes) == (2.0, "", ())
        assert (found.eta, found.steps, found.time, found.epsilon, found.order) == (0.25, 4, 1.0, 0.1, 0)
        assert found.certificate == certificate
        assert str(found.hypotheses[0]) == "the bound of the distance stays below epsilon (4 steps, epsilon = 0.1)"
        assert len(found.hypotheses) == 2

    def away(*rest: Any) -> float:
        raise DivergenceError("away", 1)

    monkeypatch.setattr(step_sizes, "predicted_rate", away)
    step_size(SQUARE, [1.0], time=1.0, epsilon=0.1, certificate=certificate)
    assert asked[-1] == (1, 20_000)
    wrong = {"epsilon": 0.0, "time": 0.0, "most_steps": 0, "limit": 0.0}
    for name, options in ((name, {name: value}) for name, value in wrong.items()):
        with pytest.raises(InputError, match=name):
            step_size(SQUARE, [1.0], certificate=certificate, **({"time": 1.0, "epsilon": 0.1} | options))


def test_the_orders_that_rates_need(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    known = step_sizes.as_kernel
    monkeypatch.setattr(step_sizes, "as_kernel", lambda loss, order: asked.append(order) or known(loss, order))
    monkeypatch.setattr(step_sizes, "predicted_rate", lambda *rest: (1.0, (f"within {rest[-1]} s",)))
    for order in (0, 1, 2):
        found = step_size(SQUARE, [1.0], time=1.0, epsilon=0.1, order=order, certificate="predicted", limit=3)
        assert found.notes == ("a prediction", "within 3.0 s")
        assert (found.certificate, found.proven, found.hypotheses, found.order) == ("predicted", False, (), order)
    assert asked == [0, 2, 3]
    asked.clear()
    monkeypatch.setattr("eomsym.bounds.distances.as_kernel", lambda loss, n: asked.append(n) or known(loss, n))
    for certificate, expected in (("measured", [0, 1, 2]), ("proven", [0, 1, 2]), ("closed_form", [0, 2, 3])):
        asked.clear()
        for order in range(3):
            bound = distance(SQUARE, [1.0], eta=0.1, steps=2, order=order, certificate=certificate)
            assert bound.certificate == certificate
            assert ("best_truncation" in bound.source) == (
                certificate == "proven" or (certificate == "closed_form" and order > 0)
            )
            assert ("around the run" in str(bound)) == (certificate == "closed_form")
            np.testing.assert_allclose(bound.times, [0.0, 0.1, 0.2])
            assert bool(bound.notes) == (certificate == "measured")
            assert f"radii up to {bound.largest:.4g}" in str(bound)
        assert asked == expected
    with pytest.raises(InputError, match="steps must be an integer from 1 to 10000000000, got 0"):
        distance(SQUARE, [1.0], eta=0.1, steps=0)
    assert distance(SQUARE, [1.0], eta=0.1, steps=1).values.shape == (2,)


def test_rates_that_just_hold_and_are_the_fewest() -> None:
    for certificate in ("measured", "proven", "closed_form", "rigorous"):
        found = step_size(SQUARE, [1.0], time=1.0, epsilon=0.02, certificate=certificate)
        values = [distance(SQUARE, [1.0], eta=1 / n, steps=n, certificate=certificate).largest
                  for n in (found.steps, found.steps - 1)]  # fmt: skip
        assert values[0] <= 0.02 < values[1]
        assert found.eta == 1 / found.steps


@pytest.mark.parametrize(
    "loss, wide, eps, time", [(LOSS, 1.0, 0.125, 0.5), (LOSS, 1.0, 0.125, 2.0), (REST, 1e8, 1e-8, 1.0)]
)
def test_the_theorem_is_its_formula(loss: eom.Loss, wide: float, eps: float, time: float) -> None:
    """At rest, what the loss falls by is rounding alone; its square root widens the tube."""
    given = GivenCurvature(
        lambda x, r: 1 - 2 * abs(x[0]) - r, lambda x, r: 2 + wide * r + x[1] ** 2, lambda x, r: 3 + x[0] ** 2 + r
    )
    kernel, start = eom.compile(loss, 3), START if loss is LOSS else [0.0, 0.0]
    found = step_size(kernel, start, time=time, epsilon=eps, certificate="theorem", curvature=given)
    path = flow(kernel.at_order(0), start, time=np.linspace(0, time, 201), rtol=1e-10, atol=1e-12)
    heights = [loss.value(theta) for theta in path.thetas]
    h, beta, gamma, integral, allowed = time / 200, 0.0, 0.0, 0.0, math.inf
    for i in range(200):
        fallen = max(heights[i] - heights[i + 1], 0.0) + 4e-16 * max(abs(heights[i]), abs(heights[i + 1]))
        ball = given.at(path.thetas[i]).spectrum(eps + math.sqrt(h * fallen) + 2 * path.error)
        beta, gamma = max(beta, ball.smoothness), max(gamma, ball.slope)
        after = math.exp(ball.growth * h) * integral + h * exprel(ball.growth * h)
        allowed = min(allowed, eps / (beta * gamma * max(integral, after)))
        integral = after
    assert found.eta == pytest.approx(allowed, rel=1e-9, abs=0)
    assert found.certificate == "theorem"
    assert [str(one).partition(" (")[0] for one in found.hypotheses] == [
        "m(t) integrable", "the eps-tube lies in the domain of the curvature", "beta, gamma on the tube",
    ]  # fmt: skip
    assert f"{beta:.4g}, {gamma:.4g}" in str(found.hypotheses[2])
    assert f"{path.error:.1e} widens the tube" in found.notes[0]
    given.proven = False
    assert (
        step_size(kernel, start, time=time, epsilon=eps, certificate="theorem", curvature=given).certificate
        == "estimated"
    )
    flat = GivenCurvature(lambda x, r: 0.0, lambda x, r: 0.0, lambda x, r: 1.0)
    assert step_size(kernel, start, time=time, epsilon=eps, certificate="theorem", curvature=flat).eta == np.inf


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
