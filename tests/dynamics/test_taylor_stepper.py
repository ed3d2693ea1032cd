from __future__ import annotations

import numpy as np
import pytest

import eomsym as eom
from eomsym.codegen.backends import series
from eomsym.codegen.backends.explicit import Explicit
from eomsym.codegen.backends.levels import Levels
from eomsym.dynamics import integrate_many, patience, taylor_stepper
from eomsym.dynamics.flow import integrate
from eomsym.dynamics.patience import Stopped
from eomsym.errors import DivergenceError, InputError, ShapeError, SizeError
from eomsym.taylor.plan import Plan, circuit_of

#: Every kind of instruction: products, squares, functions with slopes of their own, a shared sum.
EVERYTHING = (
    "sin(x*y)/5 + log(2 + x**2)*exp(y)/3 + softplus(x + y/2)/2 + atan(x - y) + 1/(3 + x*y)"
    " + tanh(x)**2 + sigmoid(y)*cos(x) + (x + y + z + 1)**2*z**2/4 + erf(z)/4"
)


def by_kernel(kernel: eom.codegen.kernel.Kernel, start: object, eta: float, times: np.ndarray) -> np.ndarray:
    """The same equation by DOP853 on the terms of the table."""
    theta = np.array(start, dtype=np.float64)
    states, _, _ = integrate(lambda y: kernel.field(y, eta), theta, times, 1e-12, 1e-13)
    return states


@pytest.mark.parametrize("order", [0, 1, 2])
def test_every_instruction_agrees_with_the_table(order: int) -> None:
    kernel = eom.compile(eom.Loss(EVERYTHING, variables="x y z"), order)
    start, times = np.random.default_rng(order).normal(size=3), np.array([0.0, 0.3, 1.0, 1.5])
    stepper = kernel.stepper(2)
    assert stepper is not None
    states, error, _, _ = taylor_stepper.integrate(stepper, start, 0.05, times, 1e-11, 1e-12)
    expected = by_kernel(kernel, start, 0.05, times)
    np.testing.assert_allclose(states, expected, rtol=0, atol=1e-10)
    assert error < 1e-10


@pytest.mark.parametrize("method", [eom.HeavyBall("1/3"), eom.optimisers.Lion("1/2", "3/5", width=1)], ids=str)
def test_other_optimisers(method: object) -> None:
    kernel = eom.compile(eom.Loss("x**4/4 + x*y/3 + y**2 + x**2*y/2", variables="x y"), 2, method=method)
    path = eom.flow(kernel, [1.0, 0.7], eta=0.05, time=[0.0, 0.5, 1.0])
    assert kernel.stepper(2) is not None
    np.testing.assert_allclose(path.thetas, by_kernel(kernel, [1.0, 0.7], 0.05, path.times), rtol=0, atol=1e-11)


def test_random_networks() -> None:
    rng = np.random.default_rng(5)
    for order in (0, 2):
        net = eom.Network((2, 3, 1), rng.normal(size=(4, 2)), rng.normal(size=(4, 1)), activation="tanh", loss="mse")
        kernel, start = eom.compile(net, order), rng.normal(size=net.size)
        path = eom.flow(kernel, start, eta=0.1, time=[0.0, 1.0, 2.0])
        np.testing.assert_allclose(path.thetas, by_kernel(kernel, start, 0.1, path.times), rtol=0, atol=1e-11)


def test_the_reported_error_bounds_the_true_one() -> None:
    loss = eom.Loss("(1-x)**2/2 + (y-x**2)**2/2", variables="x y")
    for order in (0, 3):
        kernel = eom.compile(loss, order)
        true = eom.flow(kernel, [-0.5, 1.0], eta=0.1, time=4.0, rtol=3e-13).end
        for rtol in (1e-4, 1e-6, 1e-8, 1e-10):
            path = eom.flow(kernel, [-0.5, 1.0], eta=0.1, time=4.0, rtol=rtol, atol=1e-13)
            assert np.linalg.norm(path.end - true) <= path.error <= 100 * rtol


def test_backwards_returns_to_the_start() -> None:
    loss = eom.Loss("(1-x)**2/2 + (y-x**2)**2/2", variables="x y")
    there = eom.flow(loss, [-0.5, 1.0], eta=0.1, time=1.0, order=2)
    back = eom.flow(loss, there.end, eta=0.1, time=[0.0, -1.0], order=2)
    np.testing.assert_allclose(back.end, [-0.5, 1.0], rtol=0, atol=1e-11)


def looked(monkeypatch: pytest.MonkeyPatch, *moments: float) -> list[float]:
    """A clock that shows these moments in turn, the last one for ever; the moments that were looked at."""
    seen: list[float] = []

    def now() -> float:
        seen.append(moments[min(len(seen), len(moments) - 1)])
        return seen[-1]

    monkeypatch.setattr(patience, "process_time", now)
    return seen


@pytest.mark.parametrize("piece", [0.0, 1e5])
def test_a_limit_of_time_does_not_change_a_bit(piece: float, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = looked(monkeypatch, 0.0)
    loss = eom.Loss("(1-x)**2/2 + (y-x**2)**2/2", variables="x y")
    rest = eom.Loss("(tanh(a*x) - 1/2)**2 + exp(-a)*x**2/8", variables="a x")
    asked = [(loss, [-0.5, 1.0], time, order) for time in (3.0, [0.0, 0.5, 2.0], [1.25, 1.0]) for order in range(3)]
    asked += [(rest, [0.7, 1.2], 300.0, 1), (eom.Loss("x**2/2 + y**2*10**8/2", variables="x y"), [1.0, 1.0], 1e-6, 0)]
    events = (eom.Event(lambda theta: theta[0] - 0.25, "passes", True),)
    pieces = []
    for which, start, time, order in asked:
        kernel = eom.compile(which, order)
        for crossed in ((), events):
            free = eom.flow(kernel, start, eta=0.01, time=time, events=crossed)
            monkeypatch.setattr(series, "PIECE", piece)
            looks = len(seen)
            limited = eom.flow(kernel, start, eta=0.01, time=time, events=crossed, limit=60)
            pieces.append(len(seen) - looks - 1)
            np.testing.assert_array_equal(limited.thetas, free.thetas)
            np.testing.assert_array_equal(limited.times, free.times)
            assert (limited.error, limited.evaluations) == (free.error, free.evaluations)
    assert max(pieces) > (100 if piece == 0 else 2)


def test_what_takes_longer_than_it_may_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    loss, start = eom.Field(["x*y - x", "y - x*y"], variables="x y"), [1.5, 0.5]
    monkeypatch.setattr(series, "PIECE", 1e4)
    looked(monkeypatch, 0.0, 0.0, 1.0, 2.0, 2.5, 61.0)
    with pytest.raises(
        Stopped, match=r"^the limit of 60 s of CPU time was reached at time [1-9]\S* of 90; take a"
    ) as late:
        eom.flow(loss, start, time=[0.0, 1e-3, 90.0], order=0, limit=60)
    assert late.value.step == 2
    # It is seen early that the rest takes long, counted from when this flow began, as flows that look for events do.
    looked(monkeypatch, 0.0, 50.0, 50.0, 50.0, 50.0, 50.0, 55.0)
    with pytest.raises(
        Stopped, match=r"55 s of CPU time only reach time \S+ of 9000: that takes about \S+ s, more than"
    ):
        eom.flow(loss, start, time=[0.0, 9000.0], order=0, limit=60)
    looked(monkeypatch, 0.0, 61.0)
    with pytest.raises(Stopped, match=r"was reached at time 0 of 1; take a shorter time"):
        eom.flow(loss, start, time=1.0, order=0, limit=60)


def test_an_altered_instruction_is_noticed() -> None:
    """1 % on one factor of the program shows in the path: nothing in the comparison is idle."""
    loss = eom.Loss("x**4/4 + x*y/3 + y**2", variables="x y")
    form = Explicit(Plan.of(circuit_of(loss).terms(), 2, flow=True), 2)
    levels = Levels(form.tape, form.terms, 2, 2)
    stepper, start, times = eom.compile(loss, 2).stepper(2), np.array([1.0, 0.7]), np.array([0.0, 1.0])
    assert stepper is not None
    right = taylor_stepper.integrate(stepper, start, 0.1, times, 1e-10, 1e-12)[0][-1]
    factors, constants = levels.numbers(0.1)
    used = np.flatnonzero(factors)
    for place in used[:: max(1, len(used) // 8)]:
        wrong = factors.copy()
        wrong[place] *= 1.01
        addresses = stepper._addressed(0.1)[1].copy()
        addresses[4] = wrong.ctypes.data
        stepper._numbers = 0.1, addresses, (wrong, constants)
        found = taylor_stepper.integrate(stepper, start, 0.1, times, 1e-10, 1e-12)[0][-1]
        assert np.linalg.norm(found - right) > 1e-6
    stepper._numbers = stepper._addressed(0.1)


def test_explosion_says_when() -> None:
    loss = eom.Loss("-x**3/3", variables="x")  # x' = x**2 from 1/2: 1/(2 - t)
    with pytest.raises(DivergenceError, match="at about time 2;") as caught:
        eom.flow(loss, [0.5], eta=0.1, time=[0.0, 1.0, 3.0], order=0)
    assert caught.value.step == 2


def test_a_start_outside_of_the_domain() -> None:
    with pytest.raises(DivergenceError, match="the velocity at the start is not finite"):
        eom.flow(eom.Loss("log(x)", variables="x"), [0.0], eta=0.1, time=1.0, order=0)


def test_many_starts_are_single_ones() -> None:
    kernel = eom.compile(eom.Loss("(1-x)**2/2 + (y-x**2)**2/2", variables="x y"), 1)
    starts, times = np.random.default_rng(1).normal(size=(37, 2)), np.array([0.0, 0.5, 2.0])
    for threads in (1, 3):
        bundle = integrate_many(kernel, starts, eta=0.05, time=times, threads=threads)
        assert bundle.complete.all()
        assert bundle.errors.max() < 1e-11
        for start, thetas in zip(starts[::6], bundle.thetas[::6], strict=True):
            single = eom.flow(kernel, start, eta=0.05, time=times)
            np.testing.assert_allclose(thetas, single.thetas, rtol=0, atol=1e-11)


def test_one_explosion_does_not_stop_the_others() -> None:
    kernel = eom.compile(eom.Loss("-x**3/3", variables="x"), 0)
    bundle = integrate_many(kernel, [[1.0], [-1.0]], eta=0.1, time=np.array([0.0, 0.5, 2.0]))
    assert bundle.complete.tolist() == [False, True]
    np.testing.assert_allclose(bundle.stopped, [1.0, 2.0], atol=1e-6)
    np.testing.assert_allclose(bundle.thetas[:, 1, 0], [2.0, -2 / 3], atol=1e-12)
    assert np.isnan(bundle.thetas[0, 2, 0])
    assert np.isnan(bundle.errors[0])


def test_kinks_and_long_losses_have_no_stepper() -> None:
    rng = np.random.default_rng(0)
    relu = eom.Network((2, 3, 1), rng.normal(size=(4, 2)), rng.normal(size=(4, 1)), activation="relu", loss="mse")
    large = eom.DeepLinear((30, 30, 30), rng.normal(size=(40, 30)), rng.normal(size=(40, 30)))
    for net in (relu, large):
        kernel = eom.compile(net, 0)
        assert kernel.stepper(2) is None
        with pytest.raises(SizeError, match="too long for the compiled Taylor stepper"):
            integrate_many(kernel, [np.zeros(net.size)], eta=0.1, time=np.array([0.0, 1.0]))


def test_roots_have_no_stepper() -> None:
    """Adam's root of a square: past its zero the series would follow the wrong branch."""
    kernel = eom.compile(eom.Loss("x**4/4 + y**2", variables="x y"), 1, method=eom.Adam("1/2", "3/5", "1/10"))
    assert kernel.stepper(2) is None


def test_bad_batches() -> None:
    kernel = eom.compile(eom.Loss("x**2", variables="x"), 0)
    with pytest.raises(InputError, match="threads must be an integer >= 1"):
        integrate_many(kernel, [[1.0]], eta=0.1, time=np.array([0.0, 1.0]), threads=0)
    with pytest.raises(InputError, match="starts is empty"):
        integrate_many(kernel, np.zeros((0, 1)), eta=0.1, time=1.0)
    for starts in ([1.0], 3.0, "many"):
        with pytest.raises(ShapeError, match=r"expected an array of shape \(s, 1\)"):
            integrate_many(kernel, starts, eta=0.1, time=1.0)
    with pytest.raises(InputError, match="eta must be a finite number > 0"):
        integrate_many(kernel, [[1.0]], eta=-0.1, time=1.0)
    with pytest.raises(InputError, match=r"time='soon': expected numbers"):
        integrate_many(kernel, [[1.0]], eta=0.1, time="soon")
    with pytest.raises(InputError, match="a loss needs an order"):
        integrate_many(kernel.loss, [[1.0]], eta=0.1, time=1.0)
