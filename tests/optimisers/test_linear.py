"""Methods as objects: exact parameters, consistency, stability, bad input."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import sympy

from eomsym.errors import InexactError, InputError, MethodError
from eomsym.exact.general_linear import GeneralLinear
from eomsym.optimisers.accelerated import HeavyBall, Nesterov
from eomsym.optimisers.base import Method
from eomsym.optimisers.linear import (
    Epoch,
    Extragradient,
    GradientDescent,
    GradientFlow,
    LinearMultistep,
    OptimisticGradient,
    ProximalPoint,
    RungeKutta,
    SharpnessAware,
)
from eomsym.optimisers.stability.report import stability

R = sympy.Rational
BETA, Z = sympy.symbols("beta z")
E_Z = sympy.exp(Z)

# theory.md, section 2: chi and psi in closed form
TABLE = {
    GradientDescent(): (Z / (E_Z - 1), 1),
    HeavyBall(BETA): (Z / (E_Z - 1 - BETA * (1 - 1 / E_Z)), 1),
    Nesterov(BETA): (Z / (E_Z - 1 - BETA * (1 - 1 / E_Z)), 1 + BETA - BETA / E_Z),
    OptimisticGradient(): (Z * (2 - 1 / E_Z) / (E_Z - 1), 1),
    LinearMultistep([1, -1, 0], [R(3, 2), R(-1, 2)]): (Z * (R(3, 2) * E_Z - R(1, 2)) / (E_Z**2 - E_Z), 1),
}


@pytest.mark.parametrize("method", TABLE, ids=lambda method: method.name)
def test_series_against_closed_form(method: Method) -> None:
    series = method.series(5)
    for found, closed in zip((series.chi[0], series.psi[0]), TABLE[method], strict=True):
        taylor = sympy.series(closed, Z, 0, 4).removeO() if closed != 1 else sympy.S.One
        assert all(sympy.cancel(found[k] - taylor.coeff(Z, k)) == 0 for k in range(4))


@pytest.mark.parametrize("method", [*TABLE, ProximalPoint(), Extragradient(), SharpnessAware(BETA), Epoch(3)])
def test_methods_are_frozen_and_hashable(method: Method) -> None:
    assert hash(method) == hash(type(method)(*[getattr(method, f) for f in method.__dataclass_fields__]))
    with pytest.raises(AttributeError, match="cannot assign to field"):
        method.beta = 1
    assert method.name
    form = method.general_linear()
    assert (form.stages, form.lags) == (len(form.weights), len(form.past))
    assert method.series(2).stages == form.stages


def test_one_step_by_hand() -> None:
    """Each general linear form does what the update rule of its method says (scalar g(x) = x**2)."""

    def step(method: Method, now: Fraction, before: Fraction, eta: Fraction) -> Fraction:
        form = method.general_linear()
        iterates = [now, before, before]

        def stages(lag: int) -> list[Fraction]:
            values: list[Fraction] = []
            for row, coupled in zip(form.extrapolation, form.coupling, strict=True):
                start = sum(Fraction(str(w)) * iterates[lag + i] for i, w in enumerate(row))
                values.append(
                    start + eta * sum(Fraction(str(a)) * -(y**2) for a, y in zip(coupled, values, strict=False))
                )
            return values

        moved = sum(Fraction(str(w)) * iterates[i] for i, w in enumerate(form.past))
        for lag in range(form.lags):
            moved += eta * sum(
                Fraction(str(row[lag])) * -(y**2) for row, y in zip(form.weights, stages(lag), strict=True)
            )
        return moved

    x, old, eta, beta = Fraction(3, 2), Fraction(7, 5), Fraction(1, 10), Fraction(4, 5)
    ahead = x + beta * (x - old)
    expected = {
        GradientDescent(): x - eta * x**2,
        HeavyBall(beta): x + beta * (x - old) - eta * x**2,
        Nesterov(beta): ahead - eta * ahead**2,
        OptimisticGradient(): x - 2 * eta * x**2 + eta * old**2,
        Extragradient(): x - eta * (x - eta * x**2) ** 2,
        SharpnessAware(3): x - eta * (x + 3 * eta * x**2) ** 2,
    }
    for method, value in expected.items():
        assert step(method, x, old, eta) == value


def test_stability_report() -> None:
    assert HeavyBall(BETA).stability().roots == {BETA: 1}
    assert HeavyBall(BETA).stability().zero_stable is None
    assert HeavyBall(Fraction(9, 10)).stability().zero_stable is True
    assert HeavyBall(2).stability().zero_stable is False
    assert GradientDescent().stability().roots == {}
    assert GradientDescent().stability().zero_stable is True
    # HNW I, section III.3, (3.1): the most accurate explicit method with two steps is unstable
    unstable = LinearMultistep([1, 4, -5], [4, 2]).stability()
    assert (unstable.roots, unstable.zero_stable) == ({sympy.Integer(-5): 1}, False)
    # the leap-frog has a root on the circle: stable, barely
    leapfrog = LinearMultistep([1, 0, -1], [2, 0]).stability()
    assert (leapfrog.roots, leapfrog.zero_stable) == ({sympy.Integer(-1): 1}, True)
    # double root -1: unstable, like k (-1)^k
    assert LinearMultistep([1, 1, -1, -1], [4, 0, 0]).stability().zero_stable is False
    assert HeavyBall(BETA).stability().rate.equals(1 / (1 - BETA))
    # a quintic quotient without radicals: theta+ is a mean of the six last iterates
    past = [
        Fraction(1, 2),
        Fraction(1, 10),
        Fraction(1, 10),
        Fraction(1, 10),
        Fraction(1, 10),
        Fraction(1, 10),
    ]
    report = stability(GeneralLinear(past, [[1, 0, 0, 0, 0, 0]], [[1, 0, 0, 0, 0, 0]], [[0]]))
    assert (sum(report.roots.values()), report.zero_stable) == (5, True)


def test_gradient_flow_has_no_step() -> None:
    with pytest.raises(MethodError, match=r"gradient flow has no discrete step; use GradientDescent\(\)"):
        GradientFlow().general_linear()


@pytest.mark.parametrize("beta", [0.9, np.float64(0.9), sympy.Float(0.9), BETA * 0.5, np.array([1, 2])])
@pytest.mark.parametrize("method", [HeavyBall, Nesterov, SharpnessAware])
def test_floats_are_refused(method: type, beta: object) -> None:
    with pytest.raises(InexactError, match="exact numbers are needed, for example"):
        method(beta)


def test_numpy_integers_are_welcome() -> None:
    assert HeavyBall(np.int64(0)) == HeavyBall(0)
    assert hash(HeavyBall(np.int64(0))) == hash(HeavyBall(0))


def test_text_is_read_exactly() -> None:
    assert HeavyBall("0.9") == HeavyBall("9/10") == HeavyBall(Fraction(9, 10))


@pytest.mark.parametrize(
    "make, match",
    [
        (lambda: HeavyBall("beta"), "beta is 'beta'; write a number such as '9/10' or '0.9'"),
        (lambda: HeavyBall(Decimal("0.9")), "of type Decimal"),
        (lambda: HeavyBall(sympy.oo), "beta is oo; a finite number is needed"),
        (lambda: HeavyBall(1), "beta = 1 keeps all momentum for ever"),
        (lambda: Nesterov(Fraction(2, 2)), "beta = 1 keeps all momentum for ever"),
        (lambda: LinearMultistep([1, -2], [1]), r"inconsistent: rho\(1\) = -1, expected 0"),
        (
            lambda: LinearMultistep([1, -1 - BETA, 2 * BETA], [1]),
            r"inconsistent: rho\(1\) = beta, expected 0",
        ),
        (lambda: LinearMultistep([1, -2, 1], [1]), "not zero-stable: rho has a double root at 1"),
        (lambda: LinearMultistep([1, -1, 0], [1, -1]), r"sigma\(1\) = 0"),
        (lambda: LinearMultistep([1, -1], [1, 0, 0]), "sigma has 3 coefficients and rho 2"),
        (lambda: LinearMultistep([0, 1, -1], [1]), "expected a degree of at least 1"),
        (lambda: RungeKutta([[0, 0], [1, 0]], [1]), r"coupling has shape \(2, 2\), expected \(1, 1\)"),
        (lambda: RungeKutta([[0], [1, 0]], [0, 1]), r"A has rows of lengths \[1, 2\]"),
        (
            lambda: RungeKutta([[Fraction(1, 2)]], [1], explicit=True),
            r"A\[0\]\[0\] = 1/2, so the tableau is implicit",
        ),
        (lambda: RungeKutta([[0, 0], [1, 0]], [1, -1]), r"sigma\(1\) = 0"),
        (lambda: RungeKutta("A", [1]), "rows of exact numbers are needed"),
        (lambda: RungeKutta([[0]], 1), "a sequence of exact numbers is needed"),
        (lambda: Epoch((0, 2)), r"order is \(0, 2\); expected a permutation"),
        (lambda: Epoch(0), "order is 0; expected a permutation"),
        (lambda: GeneralLinear([1], [], [], []), "at least one stage"),
        (
            lambda: GeneralLinear([1], [[1]], [[2]], [[0]]),
            "stage 0 is inconsistent: its extrapolation sums to 2",
        ),
        (
            lambda: GeneralLinear([1], [[1]], [[1]], [[0]], [0, 1]),
            r"colours are \(0, 1\), expected 1 integers",
        ),
        (lambda: GradientDescent().series(0), "n must be an integer from 1 to 500, got 0"),
        (lambda: GradientFlow().series(0), "n must be an integer >= 1, got 0"),
    ],
)
def test_bad_input(make, match: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=match):
        make()
