"""Leading errors against closed forms, for optimisers with and without memory."""

from __future__ import annotations

import math
from fractions import Fraction
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from problems import PARAMETERS, ROSENBROCK, Case

import eomsym as eom
from eomsym.dynamics.leading_error import POOR, leading_error
from eomsym.dynamics.patience import FAR, Patience, Stopped
from eomsym.errors import DivergenceError, InputError, ShapeError

#: As the package's attribute of this name is the function.
module = import_module("eomsym.dynamics.leading_error")

METHODS = (
    eom.GradientDescent(),
    eom.HeavyBall(Fraction(1, 2)),
    eom.Nesterov(Fraction(1, 3)),
    eom.optimisers.OptimisticGradient(),
    eom.optimisers.ProximalPoint(),
    eom.optimisers.Extragradient(),
    eom.optimisers.SharpnessAware(2),
)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_scalar_quadratic(method: eom.GradientDescent) -> None:
    # g = x: term_k = c_k x, and so v_K = t exp(-c_0 t) c_{K+1}
    kernel = eom.compile(eom.Loss("x**2/2", variables="x"), 4, method=method)
    rates = kernel.terms(np.ones(1))[:, 0]
    leading = leading_error(kernel, [1.0], time=0.7, orders=range(4))
    exact = 0.7 * math.exp(-rates[0] * 0.7) * rates[1:]
    np.testing.assert_allclose(leading.vectors[:, 0], exact, rtol=1e-7, atol=1e-9)
    assert np.all(np.abs(leading.vectors[:, 0] - exact) <= leading.errors + 1e-15)


@pytest.mark.parametrize("case", PARAMETERS)
def test_two_equations_of_motion_differ_by_it(case: Case) -> None:
    # Order K against order K + 2, both integrated: their distance is eta**(K+1) v_K + O(eta**(K+2)).
    order = 1
    kernel = eom.compile(case.build(), order + 2)
    leading = leading_error(kernel, case.start, time=case.time, orders=[order])
    misfits = []
    for eta in (2e-3, 1e-3):
        low, high = (eom.flow(kernel.at_order(k), case.start, eta=eta, time=case.time) for k in (order, order + 2))
        gap = (low.thetas[-1] - high.thetas[-1]) / eta ** (order + 1)
        misfits.append(np.linalg.norm(gap - leading.vectors[0]) / leading.norms[0])
    assert misfits[1] < 0.01
    assert misfits[1] == pytest.approx(misfits[0] / 2, rel=0.1, abs=0)


def test_orders_do_not_disturb_each_other() -> None:
    kernel = eom.compile(ROSENBROCK.build(), 5)
    together = leading_error(kernel, ROSENBROCK.start, time=1.0, orders=range(5))
    assert together.orders == (0, 1, 2, 3, 4)
    for order in range(5):
        alone = leading_error(kernel, ROSENBROCK.start, time=1.0, orders=[order])
        np.testing.assert_allclose(alone.vectors[0], together.vectors[order], rtol=1e-6)
    np.testing.assert_array_equal(together.at(0.5)[2], 0.125 * together.vectors[2])


def test_loss_without_counter_terms_has_no_error() -> None:
    leading = leading_error(eom.compile(eom.Loss("x", variables="x"), 3), [1.0], time=1.0, orders=range(3))
    np.testing.assert_array_equal(leading.vectors, 0.0)


def test_reported_errors_bound_the_true_ones() -> None:
    kernel = eom.compile(ROSENBROCK.build(), 5)
    best = leading_error(kernel, ROSENBROCK.start, time=1.0, orders=range(5), rtol=1e-12)
    for rtol in (1e-3, 1e-5, 1e-7):
        leading = leading_error(kernel, ROSENBROCK.start, time=1.0, orders=range(5), rtol=rtol)
        assert np.all(np.linalg.norm(leading.vectors - best.vectors, axis=1) <= leading.errors)
        assert np.all(leading.errors <= 100 * rtol * best.norms)


def test_flow_that_blows_up() -> None:
    kernel = eom.compile(eom.Loss("-x**3/3", variables="x"), 1)
    with pytest.raises(DivergenceError, match="at about time"):
        leading_error(kernel, [1.0], time=2.0, orders=[0])


@pytest.mark.parametrize("orders", [[], [-1], [0.5], ["one"], [math.inf], 3])
def test_orders_are_integers_from_zero_on(orders: object) -> None:
    kernel = eom.compile(ROSENBROCK.build(), 2)
    with pytest.raises(InputError, match="expected one or more integers from 0 on"):
        leading_error(kernel, ROSENBROCK.start, time=1.0, orders=orders)  # type: ignore[arg-type]


def test_kernel_must_hold_the_next_term() -> None:
    kernel = eom.compile(ROSENBROCK.build(), 2)
    with pytest.raises(InputError, match=r"needs term 3.*eom.compile\(loss, 3\)"):
        leading_error(kernel, ROSENBROCK.start, time=1.0, orders=[2])


def test_start_and_time_must_fit() -> None:
    kernel = eom.compile(ROSENBROCK.build(), 2)
    with pytest.raises(ShapeError, match=r"\(1,\)"):
        leading_error(kernel, [1.0], time=1.0, orders=[0])
    with pytest.raises(InputError, match="time must be a finite number > 0, got -1"):
        leading_error(kernel, ROSENBROCK.start, time=-1.0, orders=[0])


def test_vectors_that_have_decayed_are_resolved_as_far_as_rounding_allows() -> None:
    # At the end the flow rests, and rounding of the terms is all that moves the vectors: tolerances below it had steps
    # of no length.
    kernel = eom.compile(ROSENBROCK.build(), 5)
    leading = leading_error(kernel, [0.5, 0.5], time=300.0, orders=[2])
    assert leading.evaluations < 40_000
    assert leading.norms[0] < 1e-12
    assert leading.errors[0] < 1e-12
    # Where rounding is far below, a vector of a millionth of what it was is resolved as before.
    slow = leading_error(eom.compile(eom.Loss("x**2/2", variables="x"), 1), [1.0], time=20.0, orders=[0])
    assert slow.vectors[0, 0] == pytest.approx(10 * math.exp(-20), rel=1e-3)


def test_what_takes_too_long_is_given_up_with_a_word() -> None:
    kernel = eom.compile(ROSENBROCK.build(), 5)
    with pytest.raises(Stopped, match=r"the limit of 1e-09 s .* was reached at time .* of 1; take a shorter"):
        leading_error(kernel, ROSENBROCK.start, time=1.0, orders=[0], limit=1e-9)
    with pytest.raises(DivergenceError, match=r"reach time .* of 1e\+09: that takes about .* s, more than limit=2"):
        leading_error(kernel, ROSENBROCK.start, time=1e9, orders=[0], limit=2)
    with pytest.raises(InputError, match="limit must be a finite number > 0, got -1"):
        leading_error(kernel, ROSENBROCK.start, time=1.0, orders=[0], limit=-1.0)


@pytest.mark.parametrize(
    "clock, why", [(61.0, "the limit of 60 s of CPU time was reached at"), (59.0, "that takes about")]
)
def test_what_was_found_before_the_limit_stops_a_repetition_is_kept(
    monkeypatch: pytest.MonkeyPatch, clock: float, why: str
) -> None:
    # at the end both are a few thousandths of what they were, and solved for again
    kernel = eom.compile(eom.Loss("x**2/2", variables="x"), 2)
    asked: Any = {"time": 8.0, "orders": [0, 1], "rtol": 1e-3}
    exact = np.array([4.0, 8.0 / 3]) * math.exp(-8)
    whole = leading_error(kernel, [1.0], **asked)
    assert whole.notes == ()
    now, real = 0.0, module.integrate
    passes: list[Any] = []
    monkeypatch.setattr("eomsym.dynamics.patience.process_time", lambda: now)

    def integrate(*arguments: Any) -> Any:
        nonlocal now
        if passes:
            patience = arguments[-1]
            now = clock
            patience.check(0.001, "time 0.008 of 8", foresee=True)
        passes.append(real(*arguments))
        return passes[-1]

    monkeypatch.setattr(module, "integrate", integrate)
    kept = leading_error(kernel, [1.0], **asked)
    assert len(passes) == 1
    (note,) = kept.notes
    assert note.startswith(
        "leading error of order 0, 1: known to `errors`, not to rtol, as solving for it again stopped: "
    )
    assert why in note
    assert kept.evaluations == passes[0][2] < whole.evaluations
    for found, rough in ((whole, False), (kept, True)):
        assert np.all(np.abs(found.vectors[:, 0] - exact) <= 3 * found.errors)
        assert np.all((found.errors > POOR * exact) == rough)


@pytest.mark.parametrize("late", [False, True])
def test_a_stop_that_the_caller_asks_for_is_passed_on(monkeypatch: pytest.MonkeyPatch, late: bool) -> None:
    kernel = eom.compile(eom.Loss("x**2/2", variables="x"), 1)
    passes: list[Any] = []
    real = module.integrate

    def integrate(*arguments: Any) -> Any:
        passes.append(arguments)
        return real(*arguments)

    def watch(point: np.ndarray) -> None:
        if len(passes) == 1 + late:
            raise Stopped("a kink", 0)

    monkeypatch.setattr(module, "integrate", integrate)
    with pytest.raises(Stopped, match=r"^a kink$"):
        leading_error(kernel, [1.0], time=8.0, orders=[0], rtol=1e-3, watch=watch)
    assert len(passes) == 1 + late


def test_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 5.0
    monkeypatch.setattr("eomsym.dynamics.patience.process_time", lambda: clock)
    patience = Patience(10.0)
    clock = 15.0
    assert patience.spent == 10.0
    assert not patience.over
    assert not patience.exhausted
    patience.check(0.01, "here")
    patience.check(1 / FAR, "here", foresee=True)
    patience.check(0.1 / FAR, "here", before=9.0, foresee=True)
    with pytest.raises(Stopped, match=r"^10 s of CPU .* here: that takes about 53 s, more than limit=10;") as error:
        patience.check(0.19, "here", 7, foresee=True)
    assert error.value.step == 7
    assert patience.exhausted
    with pytest.raises(Stopped, match=r"about 1e\+02 s, more than limit=10"):
        patience.check(0.002, "here", before=9.8, foresee=True)
    with pytest.raises(Stopped, match="that takes for ever"):
        patience.check(0.0, "here", foresee=True)
    clock = 15.5
    assert patience.over
    with pytest.raises(Stopped, match="the limit of 10 s of CPU time was reached at here; take a shorter time, or"):
        patience.check(0.99, "here")
