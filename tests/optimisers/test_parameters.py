"""Parameters of optimisers at the ends of their ranges; names, filters and averages by hand; warnings and reports."""

from __future__ import annotations

import math
import warnings
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import sympy

import eomsym as eom
from eomsym import optimisers
from eomsym.errors import InputError, MethodError, ShapeError
from eomsym.exact.general_linear import GeneralLinear
from eomsym.exact.numbers import ETA
from eomsym.optimisers.accelerated import kept_step
from eomsym.optimisers.adaptive import root_at
from eomsym.optimisers.filters import Filter
from eomsym.optimisers.linear import MOST_BATCHES
from eomsym.optimisers.memory import fading, learning_rate, told_of_memory
from eomsym.optimisers.names import build, call_of, checked_method
from eomsym.optimisers.parameters import decay, named, not_negative, positive, warn_of_rate, warn_of_roots
from eomsym.optimisers.stability.report import stability

R = sympy.Rational
BETA = sympy.Symbol("beta")


# ranges ---------------------------------------------------------------------------------------------------------------


def test_the_ends_of_ranges() -> None:
    assert decay(0, "d") == 0
    assert decay("99/100", "d") == R(99, 100)
    assert decay(BETA, "d") == BETA
    with pytest.raises(MethodError, match="d = 1 keeps all of the past"):
        decay(1, "d")
    for bad in ("-1/100", "101/100"):
        with pytest.raises(MethodError, match="from 0 to below 1"):
            decay(bad, "d")
    assert (not_negative(0, "e"), not_negative("1/9", "e"), not_negative(BETA, "e")) == (0, R(1, 9), BETA)
    with pytest.raises(MethodError, match=r"e = -1/9; expected a number >= 0, such as e='1/9'"):
        not_negative("-1/9", "e")
    assert (positive("1/9", "w"), positive(BETA, "w")) == (R(1, 9), BETA)
    with pytest.raises(MethodError, match=r"w = 0; expected a number > 0, such as w='1/10'"):
        positive(0, "w")
    with pytest.raises(MethodError, match=r"w = -2; expected a number > 0, such as w='2'"):
        positive(-2, "w")
    assert (optimisers.Lookahead(1).steps, optimisers.Lookahead(50).steps) == (1, 50)
    assert (optimisers.Muon(ns_steps=1).ns_steps, optimisers.Muon(ns_steps=20).ns_steps) == (1, 20)
    with pytest.raises(InputError, match="from 1 to 50, got 51"):
        optimisers.Lookahead(51)
    with pytest.raises(InputError, match="from 1 to 20, got 21"):
        optimisers.Muon(ns_steps=21)
    with pytest.raises(InputError, match="from 1 to 20, got 0"):
        optimisers.Muon(ns_steps=0)
    with pytest.raises(InputError, match="from 1 to 500, got 501"):
        eom.GradientDescent().series(501)
    assert optimisers.GradientFlow().series(1).chi == ((1,),)
    flow = optimisers.GradientFlow().series(3)
    assert (flow.psi, flow.chi, flow.colours) == (((1, 0, 0),), ((1, 0, 0),), (0,))


def test_batches_of_an_epoch() -> None:
    assert optimisers.Epoch(1).order == (0,)
    assert optimisers.Epoch(MOST_BATCHES).order == tuple(range(127))
    assert optimisers.Epoch((1, 0, 2)).colours == 3
    for many in (128, 10**9):
        with pytest.raises(MethodError, match="more than 127 batches was asked for"):
            optimisers.Epoch(many)
    for bad in (True, (0, 0), (1, 2), -1, 1.5, "ab"):
        with pytest.raises(MethodError, match=r"expected a permutation of 0, 1, \.\.\., or the number of batches"):
            optimisers.Epoch(bad)
    form = optimisers.Epoch((1, 0)).general_linear()
    assert form.coupling == ((0, 0), (R(1, 2), 0))
    assert (form.weights, form.colours) == (((R(1, 2),), (R(1, 2),)), (1, 0))


def test_memories_that_are_kept() -> None:
    assert learning_rate("eliminated", None, beta=R(2)) is None
    assert learning_rate("kept", "1/9", beta=R(1, 2)) == R(1, 9)
    for eta in (0, -1, BETA):
        with pytest.raises(MethodError, match="a kept memory needs a number > 0"):
            learning_rate("kept", eta, beta=R(1, 2))
    for beta in (R(0), R(1), R(-1, 2), R(3, 2), BETA):
        with pytest.raises(MethodError, match="a kept memory needs a number between 0 and 1, such as b='9/10'"):
            learning_rate("kept", 1, b=beta)
    assert fading(R(1, 2), R(3)) == sympy.exp(ETA * sympy.log(R(1, 2)) / 3)
    assert (told_of_memory("eliminated", None), told_of_memory("kept", R(1, 9))) == ("", ", memory kept at eta = 1/9")
    for make in (eom.HeavyBall, eom.Nesterov):
        free, kept = make("1/2"), make("1/2", memory="kept", eta="1/9")
        assert (free.is_linear, free.kept(3), kept.is_linear, kept.kept(3)) == (True, {}, False, {"p": 3})
        assert (kept.step, kept_step(kept)) == (R(1, 3), R(1, 3))
        assert kept.name.endswith("beta = 1/2, memory kept at eta = 1/9")
        assert free.colours == kept.colours == 1
    adam = optimisers.Adam(memory="kept", eta="1/9")
    assert (adam.step, adam.kept(3)) == (R(1, 9), {"m": 3, "v": 3, "t": 1})
    plain = optimisers.Adam(memory="kept", eta="1/9", bias_correction=False)
    assert plain.kept(3) == {"m": 3, "v": 3}
    assert optimisers.Adam().kept(3) == eom.GradientDescent().kept(3) == {}
    assert plain.name == (
        "Adam, beta1 = 9/10, beta2 = 999/1000, epsilon = 1/100000000, no bias correction, memory kept at eta = 1/9"
    )
    assert optimisers.Adam(inside=True).name.endswith("epsilon = 1/100000000, inside")


# near the edge --------------------------------------------------------------------------------------------------------


def test_what_adaptive_methods_do_near_the_edge() -> None:
    squares = np.array([0.25, 4.0])
    for inside, expected in ((True, np.sqrt(squares + 0.1)), (False, np.sqrt(squares) + 0.1)):
        np.testing.assert_allclose(root_at(squares, R(1, 10), inside), expected, rtol=1e-15)
        for method in (
            optimisers.Adam("1/2", "3/5", "1/10", inside=inside),
            optimisers.RMSProp("3/5", "1/10", inside=inside),
        ):
            np.testing.assert_allclose(method.edge_scale(squares), expected, rtol=1e-15)
    assert optimisers.Adam("1/4", "3/5").edge_response() == ([R(3, 4), 0], [1, R(-1, 4)])
    assert optimisers.RMSProp("3/5").edge_response() == ([1], [1])
    assert optimisers.AdamW().edge_response is None
    assert optimisers.Adam("1/4", "3/5").edge_fading() == 0.6
    assert optimisers.Adam("3/4", "3/5").edge_fading() == 0.75
    assert optimisers.RMSProp("3/5").edge_fading() == 0.6


# names ----------------------------------------------------------------------------------------------------------------


def test_names() -> None:
    assert named("m", a=1, b=True, c=False, d=sympy.Symbol("d"), e=sympy.Symbol("x")) == "m, a = 1, b, e = x"
    assert optimisers.Momentum("1/2", "1/4").name == "momentum, beta = 1/2, dampening = 1/4"
    assert optimisers.Momentum("1/2", nesterov=True).name == "momentum, beta = 1/2, nesterov"
    assert optimisers.Momentum("1/2").name == "momentum, beta = 1/2"
    assert optimisers.NormalisedGradient("1/9").name == "normalised gradient descent, epsilon = 1/9"
    assert optimisers.NormalisedSAM("1/2", "1/9").name == "normalised sharpness-aware, r = 1/2, epsilon = 1/9"
    assert optimisers.NormalisedSAM("1/2").name == "normalised sharpness-aware, r = 1/2"
    assert optimisers.ClippedGradient(3).name == "clipped gradient descent, threshold = 3"
    assert optimisers.Epoch((1, 0)).name == "epoch of batches 1, 0"
    assert optimisers.RungeKutta([[0, 0], [1, 0]], [0, 1]).name == "Runge-Kutta, 2 stages"
    assert optimisers.RungeKutta([[0]], [1], label="mine").name == "mine"
    assert optimisers.LinearMultistep([2, -2], [2]).name == "linear multistep, rho = [1, -1], sigma = [0, 1]"
    assert optimisers.SharpnessAware(BETA).name == "sharpness-aware, r = beta"
    assert optimisers.SharpnessAware(sympy.Symbol("r")).name == "sharpness-aware"


def test_symbols_of_a_method() -> None:
    a, b = sympy.symbols("a b")
    assert eom.GradientDescent().symbols == ()
    assert optimisers.RungeKutta([[0, 0], [b, 0]], [1 - a, a]).symbols == ("a", "b")
    averaged = optimisers.Averaged(eom.HeavyBall(b), a)
    assert averaged.symbols == ("a", "b")
    assert optimisers.Averaged(eom.HeavyBall(b), "1/2").symbols == ("b",)


def test_what_to_type_for_a_name_or_a_class() -> None:
    assert call_of("linear_multistep") == "eomsym.optimisers.LinearMultistep(rho=[1, -1], sigma=[1])"
    assert call_of("sam") == "eomsym.optimisers.SharpnessAware(r='1/2')"
    assert call_of("Adam") == "eomsym.Adam()"
    assert call_of("heavy ball") == call_of(3) == call_of("qqqqqq") == "eomsym.HeavyBall(beta='9/10')"
    assert call_of("epoch") == "eomsym.optimisers.Epoch(order=2)"
    assert call_of(optimisers.RungeKutta) == "eomsym.optimisers.RungeKutta(A=[[0]], b=[1])"
    assert checked_method(None) == eom.GradientDescent()
    adam = optimisers.Adam()
    assert checked_method(adam) is adam
    with pytest.raises(InputError, match=r"expected a method such as eomsym.GradientDescent\(\), got str 'sgd'"):
        checked_method("sgd")
    assert build("heavy-ball", beta="1/2") == eom.HeavyBall("1/2")
    with pytest.raises(InputError, match="gd does not take a, b; it takes no parameters"):
        build("gd", b=1, a=2)
    with pytest.raises(InputError, match="multistep needs rho, sigma"):
        build("multistep")


# filters --------------------------------------------------------------------------------------------------------------


def test_filters_by_hand() -> None:
    average = Filter(["1/4"], [1, "-3/4"])
    assert (average.taps, average.gain, average.trivial) == (1, 1, False)
    assert average.coefficients() == ((R(1, 4), 0), (1, R(-3, 4)))
    assert Filter([3, 0, 6], [2]).above == (R(3, 2), 0, 3)
    assert (Filter([3, 0, 6, 0, 0], [2]).taps, Filter([3, 0, 6], [2]).gain) == (2, R(9, 2))
    assert (Filter([0], [1]).above, Filter([0], [1]).taps) == ((0,), 0)
    assert Filter([2], [2]).trivial
    assert not Filter([2], [1]).trivial
    assert not Filter([1], [1], step=True).trivial
    product = Filter([1, 2], [1, "1/2"]) * Filter([3, 1], [1, "1/4"])
    assert (product.above, product.below) == ((3, 7, 2), (1, R(3, 4), R(1, 8)))
    assert [(Filter([1], step=a) * Filter([1], step=b)).step for a, b in ((0, 0), (1, 0), (0, 1))] == [0, 1, 1]
    with pytest.raises(MethodError, match="a circuit steps once"):
        Filter([1], step=True) * Filter([1], step=True)
    for bad in ([0, 1], [], [0]):
        with pytest.raises(MethodError, match="the first coefficient must not be 0"):
            Filter([1], bad)
    for past in ([1, -1], [1, -2, 1], [1, -BETA, BETA - 1]):
        with pytest.raises(MethodError, match="is not finite at E = 1"):
            Filter([1], past)


@pytest.mark.parametrize("above, below", [
    (["1/4"], [1, "-3/4"]), ([1, 2, 3], [1]), ([1, "1/2"], [1, "-1/3", "1/5"]), ([0, 0, 1], [2, "-1/3"]),
])  # fmt: skip
def test_a_filter_and_its_memories_are_series_and_recurrences(above: Any, below: Any) -> None:
    """On x_k = exp(-s k): the series at z = -s is the answer over the input, and so for each memory."""
    chosen, s = Filter(above, below), 0.01
    top, bottom = ([float(x) for x in row] for row in chosen.coefficients())

    def value(one: Filter) -> float:
        return sum(float(c) * (-s) ** k for k, c in enumerate(one.series(12)))

    held = np.zeros(chosen.taps + 1)
    for k in range(400):
        x = math.exp(-s * k)
        expected = [value(one) * x for one in chosen.memory()] if k == 399 else []
        if k == 399:
            np.testing.assert_allclose(held[: chosen.taps], expected, rtol=1e-10, atol=1e-14)
        w = top[0] * x + held[0]
        held = np.array([*(top[i + 1] * x - bottom[i + 1] * w + held[i + 1] for i in range(chosen.taps)), 0.0])
    assert w == pytest.approx(value(chosen) * x, rel=1e-11, abs=0)
    stepped = Filter(above, below, step=True)
    assert value(stepped) == pytest.approx(value(chosen) * -s / math.expm1(-s), rel=1e-11, abs=0)


# averages, momentum ---------------------------------------------------------------------------------------------------


def test_averages_along_a_run() -> None:
    averaged = optimisers.Averaged(eom.HeavyBall("1/4"), "3/4")
    rows = np.array([[4.0, 0.0], [0.0, 8.0]])
    np.testing.assert_array_equal(averaged.along(rows), [[4.0, 0.0], [3.0, 2.0]])
    np.testing.assert_array_equal(averaged.along(rows, [0.0, 4.0]), [[1.0, 3.0], [0.75, 4.25]])
    np.testing.assert_array_equal(rows, [[4.0, 0.0], [0.0, 8.0]])
    for bad in ([1.0, 2.0], np.zeros((0, 2)), np.zeros((1, 1, 1))):
        with pytest.raises(ShapeError, match=r"expected \(m, n\), such as path.thetas"):
            averaged.along(bad)
    assert averaged.name == "heavy ball, beta = 1/4, averaged with decay = 3/4"
    assert (averaged.is_linear, averaged.is_flow, averaged.colours, averaged.kept(2)) == (True, False, 1, {})
    assert averaged.general_linear() == eom.HeavyBall("1/4").general_linear()
    kept = optimisers.Averaged(eom.HeavyBall("1/4", memory="kept", eta="1/9"), "3/4")
    assert (kept.is_linear, kept.kept(2)) == (False, {"p": 2})
    assert optimisers.Averaged(optimisers.GradientFlow(), "3/4").is_flow
    assert optimisers.Averaged(optimisers.Epoch(2), "3/4").colours == 2


def test_the_start_of_torch() -> None:
    """Standing, b is (1 - dampening)/(1 - beta) g times what the filter of b keeps of it; torch has b = g there."""

    def at_order(order: int) -> Any:
        return SimpleNamespace(memories=lambda theta, eta: np.array([6.0, 3.0 * order + eta]))

    kernel = SimpleNamespace(at_order=at_order)
    found = optimisers.Momentum("1/2", "1/4").torch_start(kernel, None)
    np.testing.assert_allclose(found, np.array([6.0, 1.0]) * (1 / 4 * 1 / 2) / (1 / 2 * 3 / 4))
    found = optimisers.Momentum(0, "1/4").torch_start(kernel, None)
    np.testing.assert_array_equal(found, [6.0, 1.0])
    assert optimisers.Momentum(0, "1/4").general_linear().weights == ((1, 0),)
    assert optimisers.Momentum("1/2", "1/4").general_linear().weights == ((R(3, 4), 0),)
    assert optimisers.Momentum("1/2", nesterov=True).general_linear().weights == ((R(3, 2), R(-1, 2)),)


# warnings -------------------------------------------------------------------------------------------------------------


def warned(call: Any) -> str:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        call()
    return "".join(str(one.message) for one in found)


def test_a_rate_that_is_far_from_the_learning_rate() -> None:
    for rate in (R(1, 2), R(1), R(2), BETA):
        assert warned(lambda rate=rate: warn_of_rate("m", rate)) == ""
    assert warned(lambda: warn_of_rate("m", R(21, 10))) == (
        "m moves 21/10 times as fast as gradient descent with the same eta; divide its weights by 21/10, or mean it"
    )
    assert warned(lambda: warn_of_rate("m", R(49, 100))).startswith("m moves 49/100 times as fast")
    assert warned(lambda: warn_of_rate("m", R(-1))) == (
        "m has the effective learning rate -1 eta, and climbs; change the sign of its weights, or mean it"
    )
    assert warned(lambda: warn_of_rate("m", R(0))).startswith("m moves 0 times as fast")
    assert warned(lambda: warn_of_rate("m", R(10000000001))).startswith("m moves 10000000001 times")
    assert warned(lambda: warn_of_rate("m", R(100000000001))).startswith("m moves 1e+11 times")


def test_roots_outside_of_the_circle_or_twice_on_it() -> None:
    def of(*roots: complex) -> str:
        z = sympy.Symbol("z")
        row = sympy.Poly(sympy.expand(sympy.prod([z - sympy.nsimplify(root) for root in roots])), z).all_coeffs()
        return warned(lambda: warn_of_roots("m", row))

    for fine in ((1,), (1, -1), (1, R(1, 2), R(1, 2)), (1, sympy.I, -sympy.I), (1, -R(10000009, 10**7))):
        assert of(*fine) == ""
    assert "its rho has the root 2, so that" in of(1, 2)
    assert "its rho has the root -3, so that" in of(1, 2, -3)
    assert "its rho has the root -1, so that" in of(1, -R(10000012, 10**7))
    assert "its rho has the root -1 twice, so that" in of(1, -1, -1)
    assert "twice" in of(-1, 1, -1)
    assert "its rho has the root 2, so that" in of(-1, -1, 2)
    assert "2j, so that" in of(1, 2 * sympy.I, -2 * sympy.I)
    assert warned(lambda: warn_of_roots("m", [R(1), -1 - BETA, BETA])) == ""


# reports --------------------------------------------------------------------------------------------------------------


def test_parasitic_roots_beyond_radicals() -> None:
    def report(*past: Any) -> Any:
        zeros = [0] * (len(past) - 1)
        return stability(GeneralLinear(past, [[1, *zeros]], [[1, *zeros]], [[0]]))

    quintic = report(R(1, 2), 0, 0, 0, R(1, 3), R(1, 6))
    assert quintic.zero_stable is True
    assert sum(quintic.roots.values()) == 5
    moduli = sorted(abs(np.roots([1, -1 / 2, 0, 0, 0, -1 / 3, -1 / 6])))
    np.testing.assert_allclose(sorted(abs(complex(root)) for root in quintic.roots), moduli[:-1], rtol=1e-9)
    symbolic = report(1 - BETA, 0, 0, 0, BETA / 2, BETA / 2)
    assert (symbolic.zero_stable, symbolic.condition, symbolic.form.lags) == (None, sympy.Symbol("unknown"), 6)
    assert symbolic.polynomial.degree() == 6
    flow = optimisers.GradientFlow().stability()
    assert (flow.roots, flow.zero_stable, flow.condition, flow.rate, flow.form) == ({}, True, sympy.true, 1, None)
    assert flow.polynomial.degree() == 1
    assert flow.polynomial.eval(1) == 0
    twice = report(R(2), R(-5, 4), R(1, 4))  # (z - 1)(z - 1/2)**2
    assert (twice.roots, twice.zero_stable) == ({R(1, 2): 2}, True)
    symbol = report(1 + BETA, -BETA)
    assert symbol.condition == (sympy.Abs(BETA) < 1)
    assert "form" not in repr(symbol)


def test_one_step_of_multistep_methods() -> None:
    explicit = optimisers.LinearMultistep([1, "-1/2", "-1/2"], ["1/4", "5/4"]).general_linear()
    assert (explicit.past, explicit.weights, explicit.extrapolation) == (
        (R(1, 2), R(1, 2)), ((R(1, 4), R(5, 4)),), ((1, 0),),
    )  # fmt: skip
    implicit = optimisers.LinearMultistep([2, -1, -1], [1, "1/2", "3/2"]).general_linear()
    assert implicit.past == (R(1, 2), R(1, 2))
    assert implicit.weights == ((R(1, 2), 0), (R(1, 4), 0), (R(3, 4), 0))
    assert implicit.extrapolation == ((R(1, 2), R(1, 2)), (1, 0), (0, 1))
    assert implicit.coupling == ((R(1, 2), R(1, 4), R(3, 4)), (0, 0, 0), (0, 0, 0))
    for rho, sigma in (([1], [1]), ([], [1]), ([0, 1], [1])):
        with pytest.raises(MethodError, match="expected a degree of at least 1"):
            optimisers.LinearMultistep(rho, sigma)
    with pytest.raises(MethodError, match="sigma has 0 coefficients and rho 2; expected 1 to 2"):
        optimisers.LinearMultistep([1, -1], [])
    assert optimisers.Lookahead(2, "1/3").general_linear() == GeneralLinear(
        [1], [[R(1, 3)], [R(1, 3)]], [[1], [1]], [[0, 0], [1, 0]]
    )
    qh = optimisers.QuasiHyperbolic("1/3", "1/2").general_linear()
    assert (qh.past, qh.weights) == ((R(3, 2), R(-1, 2)), ((R(5, 6), R(-1, 3)),))
    assert Fraction(str(qh.rate)) == 1
