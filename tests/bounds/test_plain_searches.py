"""Predictions and searches for rates against a plain reading: numbers, branches taken, limits of work."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from bounds.bent import CENTRE as START
from bounds.bent import LOSS
from scipy.special import exprel

import eomsym as eom
from eomsym.bounds import distance, prediction, step_size, step_sizes
from eomsym.bounds.prediction import predicted_distance, predicted_rate
from eomsym.bounds.step_sizes import _check_affordable, _fewest_steps
from eomsym.curvature.hessian import GivenCurvature
from eomsym.dynamics import patience
from eomsym.dynamics.flow import flow
from eomsym.dynamics.patience import Stopped
from eomsym.errors import DivergenceError, HypothesisError, InputError, TableError

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
