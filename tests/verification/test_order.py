"""The verdict: right on what is known, silent where numbers cannot be trusted, clear about bad input."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from problems import DEEP, PARAMETERS, ROSENBROCK, ROSENBROCK_TABLE, Case

import eomsym as eom
from eomsym.dynamics.descent import descend
from eomsym.errors import DivergenceError, InputError, MethodError, ShapeError
from eomsym.verification import discrete, order
from eomsym.verification.report import Report
from eomsym.verification.verdict import MISFIT_TOLERANCE, SLOPE_TOLERANCE, TRUST, judge, worst

HALF, START = Fraction(1, 2), np.ones(1)


@pytest.fixture(scope="module")
def rosenbrock() -> Report:
    return ROSENBROCK.verify()


def test_published_table_to_two_digits(rosenbrock: Report) -> None:
    assert rosenbrock.etas[0] == 0.1
    assert [f"{result.errors[0]:.1e}" for result in rosenbrock.orders] == [f"{e:.1e}" for e in ROSENBROCK_TABLE]


@pytest.mark.parametrize("case", PARAMETERS)
def test_every_order_passes(case: Case) -> None:
    report = case.verify()
    assert report.status == "passed", str(report)
    for k, result in enumerate(report.orders):
        assert result.order == k
        assert result.expected_slope == k + 1
        j = result.judged
        assert j is not None
        assert abs(result.slopes[j - 1] - (k + 1)) <= SLOPE_TOLERANCE
        assert abs(result.ratios[j] - 1) <= result.misfits[j] <= MISFIT_TOLERANCE
        assert result.errors[j] >= TRUST * result.references[j]
        assert result.cosines[j] > 0.999
        assert result.limit < result.misfits[0]


METHODS = (
    (eom.HeavyBall(HALF), (40, 80, 160, 320)),
    (eom.Nesterov(HALF), (80, 160, 320)),
    (eom.optimisers.OptimisticGradient(), (40, 80, 160, 320)),
    (eom.optimisers.ProximalPoint(), (20, 40, 80)),
    (eom.optimisers.Extragradient(), (20, 40, 80, 160)),
    (eom.optimisers.SharpnessAware(HALF), (80, 160, 320)),
    # Adams-Bashforth with three lags, and a trapezoidal rule written as an implicit multistep method
    (
        eom.optimisers.LinearMultistep([1, -1, 0, 0], [Fraction(23, 12), Fraction(-4, 3), Fraction(5, 12)]),
        (80, 160, 320),
    ),
)


@pytest.mark.parametrize("method, steps", METHODS, ids=lambda value: getattr(value, "name", ""))
def test_other_optimisers(method: Any, steps: tuple[int, ...]) -> None:
    report = ROSENBROCK.verify(range(3), method=method, ladder=steps)
    assert report.status == "passed", str(report)
    assert report.method == method.name


def test_slope_of_a_method_whose_terms_vanish() -> None:
    # The explicit midpoint rule is of order two: term_1 = 0, so orders 0 and 1 are the same equation.
    midpoint = eom.optimisers.RungeKutta([[0, 0], [HALF, 0]], [0, 1])
    report = ROSENBROCK.verify(range(3), method=midpoint, ladder=(80, 160, 320))
    assert report.status == "passed", str(report)
    assert [result.expected_slope for result in report.orders] == [2, 2, 3]
    lonely = ROSENBROCK.verify([0], method=midpoint)
    assert lonely.status == "inconclusive"
    assert "leading error vanishes" in lonely.orders[0].reason


def test_a_leading_error_below_the_reference_does_not_lead() -> None:
    # eta**4 times 1e-12 is far below 1e-15 at both rates, and eta times it is not.
    etas, vectors = np.array([0.1, 0.05]), np.array([[1e-12], [1.0]])
    result = judge(3, etas, etas[:, None] ** 5 * vectors[1], np.full(2, 1e-15), vectors)
    assert result.expected_slope == 5
    assert result.status == "passed"
    alone = judge(3, etas, etas[:, None] ** 5 * vectors[1], np.full(2, 1e-15), vectors[:1])
    assert alone.reason == "the leading error vanishes; ask for higher orders too"


def test_nothing_drowned_in_rounding_is_judged() -> None:
    report = ROSENBROCK.verify([3, 4], ladder=(160, 320, 640, 1280))
    three, four = report.orders
    assert three.judged == 1
    assert three.status == "passed"
    assert three.reason == "judged at eta = 0.00313, finer ones drown in rounding"
    assert four.judged is None
    assert four.status == report.status == "inconclusive"
    for result in report.orders:
        for error, reference, trusted in zip(result.errors, result.references, result.trusted, strict=True):
            assert trusted == (error >= TRUST * reference)
            assert reference > 1e-17


def test_loss_without_error_is_inconclusive() -> None:
    # A constant gradient: gradient descent lies on gradient flow, and only rounding is left.
    report = eom.verify(eom.Loss("x + 2*y", variables="x y"), [1.0, 1.0], time=1.0, orders=range(2))
    assert report.status == "inconclusive"
    assert {result.judged for result in report.orders} == {None}


def test_coarse_ladder_is_inconclusive() -> None:
    report = ROSENBROCK.verify([3], ladder=(5, 10))
    assert report.status == "inconclusive"
    assert "but the misfit shrinks with eta; try ladder=(19, 37, 73), or --ladder 19,37,73" in report.orders[0].reason


def test_equation_of_motion_that_blows_up_is_not_judged() -> None:
    # theta' = theta**2 from 1: one step of gradient descent is 1.5, the truncated series runs away before.
    report = eom.verify(eom.Loss("-x**3/3", variables="x"), [1.0], time=0.5, ladder=(1, 120, 240), orders=[4])
    result = report.orders[0]
    assert math.isnan(result.errors[0])
    assert result.trusted == (False, True, True)
    assert result.status == "passed", str(report)
    assert "(nan)" in str(report)


def test_report_is_frozen_repeatable_and_readable(rosenbrock: Report) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError, match="size"):
        rosenbrock.size = 3  # type: ignore[misc]
    again = ROSENBROCK.verify()
    assert again.orders == rosenbrock.orders
    text = str(rosenbrock)
    assert "2.0e-02" in text
    assert text.splitlines()[-1].startswith("passed in ")


def test_progress_counts_to_the_total() -> None:
    calls: list[tuple[int, int, str]] = []
    ROSENBROCK.verify([0, 1], ladder=(10, 20), progress=lambda *call: calls.append(call))
    assert [done for done, _, _ in calls] == [*range(8)]
    assert calls[-1][1] == 7


def test_the_two_implementations_of_the_optimiser_watch_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*args: Any, **options: Any) -> Any:
        path = descend(*args, **options)
        return dataclasses.replace(path, thetas=path.thetas + 1e-6)

    monkeypatch.setattr(discrete, "descend", wrong)
    report = ROSENBROCK.verify([0, 4])
    assert report.orders[0].status == "passed"  # 1e-6 is small against its error
    assert report.orders[1].status == "inconclusive"


def test_worst_status() -> None:
    assert worst(["passed", "inconclusive", "failed"]) == "failed"
    assert worst(["passed"]) == "passed"


def test_optimiser_that_diverges_names_the_step() -> None:
    with pytest.raises(DivergenceError, match="step") as caught:
        eom.verify(eom.Loss("x**4", variables="x"), [10.0], time=10.0, ladder=(10, 20), orders=[0])
    assert 1 <= caught.value.step <= 10


@pytest.mark.parametrize("steps", [(), (10,), (10, 10), (0, 10), (-10, 10), (10, 20.5), ("a", "b"), 10, (10, math.nan)])
def test_ladder_needs_two_integers(steps: Any) -> None:
    with pytest.raises(InputError, match="expected two or more different positive integers"):
        ROSENBROCK.verify(ladder=steps)


@pytest.mark.parametrize("orders", [[], [-1], [0.5]])
def test_orders_are_integers_from_zero_on(orders: Any) -> None:
    with pytest.raises(InputError, match="expected one or more integers from 0 on"):
        ROSENBROCK.verify(orders)


@pytest.mark.parametrize("time", [0.0, -1.0, math.nan, math.inf, "long"])
def test_time_is_positive(time: Any) -> None:
    with pytest.raises(InputError, match="time must be a finite number > 0, got"):
        eom.verify(ROSENBROCK.build(), ROSENBROCK.start, time=time)


def test_start_fits_the_loss() -> None:
    with pytest.raises(ShapeError, match=r"\(3,\)"):
        eom.verify(ROSENBROCK.build(), [1.0, 2.0, 3.0], time=1.0)
    with pytest.raises(InputError, match="finite"):
        eom.verify(ROSENBROCK.build(), [1.0, math.nan], time=1.0)


def test_kernel_fits_the_question() -> None:
    kernel = eom.compile(ROSENBROCK.build(), 2)
    with pytest.raises(InputError, match=r"orders up to 2 need eom.compile\(loss, 3"):
        ROSENBROCK.verify([2], loss=kernel)
    with pytest.raises(MethodError, match="the kernel is for gradient descent"):
        ROSENBROCK.verify([1], loss=kernel, method=eom.HeavyBall(HALF))


def test_methods_without_a_step_are_refused() -> None:
    with pytest.raises(MethodError, match="no discrete step"):
        ROSENBROCK.verify([0], method=eom.optimisers.GradientFlow())


def test_networks_have_the_size_of_their_weights() -> None:
    assert DEEP.build().size == len(DEEP.start) == 14
    assert np.all(np.isfinite(DEEP.start))


def test_progress_is_a_function() -> None:
    with pytest.raises(InputError, match=r"progress must be a function of \(done, total, label\), got int 3"):
        ROSENBROCK.verify([0], progress=3)


def test_a_run_that_overflows_leaks_no_warning() -> None:
    text = "-1.8872085849520947e46*x**6 + 3.9060800532114207e25*x**3 + 2.1571001847287431e19*x**2"
    start, ladder, nesterov = [-1.2248269306794174e-05], (29, 90, 277), eom.Nesterov("3/20")
    with np.errstate(all="warn"):  # and warnings are errors
        with contextlib.suppress(eom.EomsymError):
            eom.verify(
                eom.Loss(text, variables="x"),
                start,
                time=7.262890241500164e-16,
                ladder=ladder,
                orders=[2],
                method=nesterov,
            )
        assert np.geterr()["over"] == "warn"


# what a verification asks of its parts --------------------------------------------------------------------------------

X = eom.Loss("x**4/4", variables="x")


def test_three_times_rungs_are_added_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, ...]] = []

    for wanted, rounds, rungs in ((True, 3, 3), (False, 1, 0)):
        asked.clear()

        def more(results: Any, counts: Any, wanted: bool = wanted) -> tuple[int, ...]:
            asked.append(counts)
            return (counts[-1] + 1,) if wanted else ()

        monkeypatch.setattr(order, "finer_rungs", more)
        report = eom.verify(X, [1.0], time=1.0, orders=[0])
        assert len(asked) == rounds
        assert len(report.steps) == len(asked[0]) + rungs
        assert all(len(one.errors) == len(report.steps) for one in report.orders)
    asked.clear()
    assert eom.verify(X, [1.0], time=1.0, orders=[0], ladder=(10, 20)).steps == (10, 20)
    assert not asked  # a ladder that is given is kept


def test_where_hidden_orders_are_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "hidden_orders", lambda *args: args[4])
    monkeypatch.setattr(order, "radius_of", lambda kernel: 0.5)
    for sharp, counts, rate in (
        (9.0, (8, 16), 0.25), (4.0, None, 0.125), (0.125, None, 2.0), (0.25, None, 2.0), (0.0, None, 2.0),
        (0.75, None, 2 / 3),
    ):  # fmt: skip
        monkeypatch.setattr(order, "stiffness", lambda kernel, theta, sharp=sharp: sharp)
        assert order._hidden(None, START, 2.0, [1], counts, 60.0) == rate  # type: ignore[arg-type,comparison-overlap]


def test_what_is_said_of_hidden_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    for hidden, statuses in (
        ({1: "too small", 2: "smaller"}, ["passed", "inconclusive", "inconclusive"]),
        ({0: "too small", 1: "smaller", 2: "smallest"}, ["inconclusive"] * 3),
    ):
        monkeypatch.setattr(order, "hidden_orders", lambda *_, hidden=hidden: hidden)
        report = eom.verify(X, [1.0], time=1.0, orders=[0, 1, 2], ladder=(20, 40))
        assert [one.order for one in report.orders] == [0, 1, 2]
        assert [one.status for one in report.orders] == statuses
        for one in report.orders:
            if one.order in hidden:
                assert one.reason == hidden[one.order]
                assert (one.judged, one.ladder, len(one.errors)) == (None, (), 2)
                assert np.isnan(one.errors).all()


def test_what_a_report_is_made_of() -> None:
    report = eom.verify(X, [1.0], time=1.5, orders=[0], ladder=(20, 40))
    assert (report.name, report.loss, report.method) == (X.describe(), X.describe(), "gradient descent")
    assert (report.size, report.start, report.time, report.steps) == (1, (1.0,), 1.5, (20, 40))
    assert (report.notes, report.data, report.setting["method"]["type"]) == ((), None, "GradientDescent")
    assert 0 < report.seconds < 600
    # The coarsest rate is what is held against the radius: 3 * 1.5/4 is more than 1, and 3 * 1.5/8 is not.
    assert (
        "is beyond the radius 1 of gradient descent"
        in eom.verify(X, [1.0], time=1.5, orders=[0], ladder=(4, 20)).notes[0]
    )
    assert eom.verify(X, [1.0], time=1.5, orders=[0], ladder=(8, 20)).notes == ()
    exact = eom.compile(X, 1)
    assert eom.verify(exact, [1.0], time=1.0, orders=[0], ladder=(20, 40)).status == "passed"
    with pytest.raises(InputError, match=r"the kernel has order 1; orders up to 1 need eom.compile\(loss, 2, method="):
        eom.verify(exact, [1.0], time=1.0, orders=[1])
    with pytest.raises(InputError, match=r"orders up to 0 need eom.compile\(loss, 3, method="):
        eom.verify(eom.compile(X, 2, method=eom.HeavyBall(HALF)), [1.0], time=1.0, orders=[0])
