"""Radius of the series and stability limit: published values, the discriminant, the series itself, brute force."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy

import eomsym as eom
from eomsym.errors import MethodError
from eomsym.exact.general_linear import GeneralLinear
from eomsym.optimisers.stability.algebraic import modulus, spots
from eomsym.optimisers.stability.characteristic import ZETA, X, characteristic
from eomsym.optimisers.stability.radius import is_singular
from eomsym.optimisers.stability.report import Stability, stability

R = sympy.Rational
HALF = Fraction(1, 2)
BETA = sympy.Symbol("beta")
OO = sympy.oo
ROOT3 = sympy.sqrt(3)
RK4 = eom.optimisers.RungeKutta(
    [[0, 0, 0, 0], [HALF, 0, 0, 0], [0, HALF, 0, 0], [0, 0, 1, 0]],
    [R(1, 6), R(1, 3), R(1, 3), R(1, 6)],
)
GAUSS = eom.optimisers.RungeKutta([[R(1, 4), R(1, 4) - ROOT3 / 6], [R(1, 4) + ROOT3 / 6, R(1, 4)]], [HALF, HALF])
AB2 = eom.optimisers.LinearMultistep([1, -1, 0], [R(3, 2), R(-1, 2)])
AB4 = eom.optimisers.LinearMultistep([1, -1, 0, 0, 0], [R(55, 24), R(-59, 24), R(37, 24), R(-9, 24)])
BDF2 = eom.optimisers.LinearMultistep([R(3, 2), -2, HALF], [1, 0, 0])
BDF4 = eom.optimisers.LinearMultistep([R(25, 12), -4, 3, R(-4, 3), R(1, 4)], [1, 0, 0, 0, 0])

#: Method, radius, limit. Limits: B. T. Polyak 1964 (heavy ball, 2(1 + beta)); Cohen et al. 2021, arXiv:2103.00065,
#: appendix B (Nesterov, 2(1 + beta)/(1 + 2 beta)); Hairer, Norsett, Wanner I, section III.3 (Adams: 1 and 3/10);
#: Hairer, Wanner II, section V.1 (BDF: the negative axis is stable), section IV.3 (implicit midpoint, Gauss: A-stable).
KNOWN = {
    "gradient descent": (eom.GradientDescent(), 1, 2),
    "gradient flow": (eom.optimisers.GradientFlow(), OO, OO),
    "proximal": (eom.optimisers.ProximalPoint(), 1, OO),
    "heavy ball": (eom.HeavyBall("9/10"), (1 - sympy.sqrt(R(9, 10))) ** 2, R(19, 5)),
    "heavy ball, beta < 0": (eom.HeavyBall("-1/2"), R(3, 2), 1),  # the discriminant has zeros (1 +- i sqrt(1/2))**2
    "heavy ball, beta irrational": (
        eom.HeavyBall(sympy.sqrt(2) / 2),
        (1 - 2 ** R(-1, 4)) ** 2,
        2 + sympy.sqrt(2),
    ),
    "heavy ball, beta = 1/pi": (eom.HeavyBall(1 / sympy.pi), (1 - 1 / sympy.sqrt(sympy.pi)) ** 2, 2 + 2 / sympy.pi),
    "Nesterov": (eom.Nesterov("9/10"), R(1, 361), R(19, 14)),
    "optimistic": (eom.optimisers.OptimisticGradient(), HALF, R(2, 3)),  # discriminant 1 + 4x**2
    "extragradient": (eom.optimisers.Extragradient(), 1, 1),  # zeta = 1 - x + x**2
    "SAM": (eom.optimisers.SharpnessAware("1/2"), ROOT3 - 1, sympy.sqrt(5) - 1),  # zeta = 1 - x - x**2/2
    "implicit midpoint": (eom.optimisers.RungeKutta([[HALF]], [1]), 2, OO),
    "Gauss, order 4": (GAUSS, 2 * ROOT3, OO),  # zeros of 1 - x/2 + x**2/12
    "Adams-Bashforth 2": (AB2, R(2, 3), 1),
    "BDF 2": (BDF2, HALF, OO),  # discriminant 1 - 2x
    "epoch": (eom.optimisers.Epoch(3), 3, 6),  # zeta = (1 - x/3)**3
    "leap-frog": (eom.optimisers.LinearMultistep([1, 0, -1], [2, 0]), 1, 0),  # discriminant 1 + x**2
    "not zero-stable": (eom.optimisers.LinearMultistep([1, 4, -5], [4, 2]), R(3, 2), 0),
    # Roots that go their own way: gradient descent times (zeta - 1/2), (zeta + 1), (zeta**2 + 1), and 1 + 2x
    "factor with a root inside": (eom.optimisers.LinearMultistep([1, R(-3, 2), HALF], [1, -HALF]), 1, 2),
    "factor with a root on the circle": (eom.optimisers.LinearMultistep([1, 0, -1], [1, 1]), 1, 2),
    "factor with two roots on the circle": (eom.optimisers.LinearMultistep([1, -1, 1, -1], [1, 0, 1]), 1, 2),
    "stage that nothing uses": (eom.optimisers.RungeKutta([[0, 0], [0, 2]], [1, 0]), 1, 2),
}


@pytest.mark.parametrize("method, expected, end", KNOWN.values(), ids=KNOWN)
def test_known_values(method: Any, expected: Any, end: Any) -> None:
    report = method.stability()
    assert report.radius == expected or sympy.simplify(report.radius - expected) == 0
    assert report.limit == end or sympy.simplify(report.limit - end) == 0
    assert not report.radius.has(sympy.Float)
    assert report.radius is report.radius  # found once


def test_runge_kutta_of_order_four() -> None:
    """Hairer, Wanner II, section IV.2: stable to 2.785; the series ends at a zero of the stability polynomial."""
    report = RK4.stability()
    assert sympy.expand(report.limit**3 - 4 * report.limit**2 + 12 * report.limit - 24).equals(0)
    assert float(report.limit) == pytest.approx(2.785293563405282, abs=1e-14)
    zeros = np.roots([1 / 24, -1 / 6, 1 / 2, -1, 1])  # its stability polynomial at -x
    assert float(report.radius) == pytest.approx(min(abs(zeros)), rel=1e-12, abs=0)
    assert report.radius.has(sympy.CRootOf)


def test_momentum_nine_tenths_against_the_discriminant() -> None:
    for method, about in ((eom.HeavyBall("9/10"), 0.00263), (eom.Nesterov("9/10"), 0.00277)):
        found = method.stability().radius
        assert float(found) == pytest.approx(about, abs=5e-6)
        discriminant = characteristic(method.general_linear()).discriminant()
        assert sympy.expand(discriminant.as_expr().subs(X, found)) == 0


@pytest.mark.parametrize("symbol", [BETA, sympy.Symbol("x"), sympy.Symbol("zeta", positive=True)], ids=str)
def test_symbols(symbol: sympy.Symbol) -> None:
    """Formulas for all beta between 0 and 1, whatever the symbol is called."""
    for make, expected, end in (
        (eom.HeavyBall, (1 - sympy.sqrt(symbol)) ** 2, 2 * (1 + symbol)),
        (eom.Nesterov, ((1 - symbol) / (1 + symbol)) ** 2, 2 * (1 + symbol) / (1 + 2 * symbol)),
    ):
        report = make(symbol).stability()
        assert sympy.expand(report.radius - expected).equals(0)
        assert sympy.simplify(report.limit - end) == 0
        for value in (R(1, 50), R(2, 5), R(19, 20)):
            at = make(value).stability()
            assert at.radius.equals(report.radius.subs(symbol, value))
            assert at.limit == report.limit.subs(symbol, value)


def test_no_formula_where_there_is_none() -> None:
    two = eom.optimisers.LinearMultistep([1, -1 - BETA, BETA], [sympy.Symbol("c"), 0]).stability()
    assert (two.radius, two.limit) == (None, None)
    # zeta = (1 - x)(1 - 2 beta x): the nearest zero is 1 up to beta = 1/2, then 1/(2 beta)
    switching = eom.optimisers.RungeKutta([[0, 0], [2 * BETA, 0]], [2 * BETA, 1]).stability()
    assert switching.radius is None
    # a root that the radius is not: zeta = (1 - x)(1 - beta x)
    staying = eom.optimisers.RungeKutta([[0, 0], [BETA, 0]], [BETA, 1]).stability()
    assert staying.radius == 1
    # complex numbers have no order, and sympy has no field for some real ones
    assert eom.HeavyBall(sympy.I / 2).stability().limit is None
    odd = eom.optimisers.LinearMultistep([1, -1 - sympy.sqrt(2) / 9, sympy.sqrt(2) / 9], [sympy.pi, 0]).stability()
    assert (odd.radius, odd.limit) == (None, None)


def test_what_is_singular() -> None:
    """A zero, a pole, a branch point; and roots that only pass through each other, alone or with a third."""

    def both(x: Any) -> list[Any]:  # they meet at 1/2, and the second one vanishes at 13/16
        return [1 - x, 1.3 - 1.6 * x]

    assert not is_singular(both, [0.5, 1.0], 0)
    assert not is_singular(both, [0.5, 0.8125, 1.0], 1)
    assert is_singular(both, [0.5, 0.8125, 1.0], 2)
    assert is_singular(lambda x: [1 / (1 - x)], [1.0], 0)
    assert is_singular(lambda x: [(1 - x) ** 0.5, -((1 - x) ** 0.5)], [1.0], 0)
    cube = np.exp(2j * np.pi * np.arange(3) / 3)
    assert is_singular(lambda x: list(2 - cube * complex(1 - x) ** (1 / 3)), [1.0], 0)


def report_of(method: Any) -> Stability:
    return stability(method if isinstance(method, GeneralLinear) else method.general_linear())


def random_method(seed: int) -> GeneralLinear:
    """One to three lags, one or two stages, explicit or implicit, zero-stable, downhill."""
    rng = np.random.default_rng(seed)
    lags, stages = ((1, 1), (2, 1), (3, 1), (1, 2), (2, 2))[seed % 5]

    def row(n: int) -> list[Fraction]:
        return [Fraction(int(rng.integers(-3, 4)), int(rng.integers(3, 5))) for _ in range(n)]

    def sums_to_one(n: int) -> list[Fraction]:
        rest = row(n - 1)
        return [1 - sum(rest), *rest]

    past = sums_to_one(lags)
    coupling = [[a if j < i or seed % 2 else 0 for j, a in enumerate(row(stages))] for i in range(stages)]
    try:
        form = GeneralLinear(
            past, [row(lags) for _ in range(stages)], [sums_to_one(lags) for _ in range(stages)], coupling
        )
        kept = report_of(form).zero_stable is True and form.rate > 0  # downhill
    except MethodError:
        kept = False
    return form if kept else random_method(seed + 1000)


Series = list[Fraction]


def times(a: Series, b: Series) -> Series:
    """Product of two power series with as many coefficients."""
    return [sum((a[i] * b[k - i] for i in range(k + 1) if a[i]), Fraction(0)) for k in range(len(b))]


def inverse(a: Series) -> Series:
    out: Series = []
    for k in range(len(a)):
        rest = int(k == 0) - sum((a[i] * out[k - i] for i in range(1, k + 1) if a[i]), Fraction(0))
        out.append(rest / a[0])
    return out


def exponent(polynomial: sympy.Poly, count: int) -> Series:
    """Coefficients of ``-log zeta(x)``, with the principal root by Newton's iteration on power series."""
    rows = [[Fraction(0)] * count for _ in range(polynomial.degree(ZETA) + 1)]
    for (power, k), c in polynomial.terms():
        rows[power][k] = Fraction(int(c.p), int(c.q))
    zeta, known = [Fraction(1)], 1
    while known < count:
        known = min(2 * known, count)
        zeta = zeta + [Fraction(0)] * (known - len(zeta))
        value, slope = [Fraction(0)] * known, [Fraction(0)] * known
        for row in reversed(rows):
            slope = [a + b for a, b in zip(times(slope, zeta), value, strict=True)]
            value = [a + b for a, b in zip(times(value, zeta), row[:known], strict=True)]
        zeta = [a - b for a, b in zip(zeta, times(value, inverse(slope)), strict=True)]
    slopes = times([k * c for k, c in enumerate(zeta)], inverse(zeta))  # x zeta'/zeta
    return [Fraction(0), *(-slopes[k] / k for k in range(1, count))]


@pytest.mark.parametrize("method", [*range(10), RK4, AB2, AB4, BDF2, BDF4], ids=lambda m: getattr(m, "name", None))
def test_radius_against_the_series(method: Any) -> None:
    """The coefficients of m(x) over radius**-k neither grow nor shrink but by a power of k."""
    form = random_method(method) if isinstance(method, int) else method.general_linear()
    polynomial = characteristic(form)
    series = exponent(polynomial, 60)
    assert series[1] == Fraction(str(form.rate))
    found = np.log(float(report_of(form).radius))
    logs = np.array([float(sympy.log(sympy.Abs(R(c.numerator, c.denominator)))) if c else -np.inf for c in series])
    scaled = logs + found * np.arange(len(series))
    early, late = np.max(scaled[20:40]), np.max(scaled[40:60])
    assert -0.09 < (late - early) / 20 < 0.03


@pytest.mark.parametrize("seed", range(40))
def test_limit_against_brute_force(seed: int) -> None:
    form = random_method(seed)
    rows = np.zeros((characteristic(form).degree(ZETA) + 1, characteristic(form).degree(X) + 1))
    for (power, k), c in characteristic(form).terms():
        rows[-1 - power, -1 - k] = float(c)

    def largest(x: float) -> float:
        return float(np.max(abs(np.roots([np.polyval(row, x) for row in rows]))))

    end = float(report_of(form).limit)
    inside = np.linspace(1e-4, min(end, 20.0), 801)[:-1] if end else []
    assert all(largest(x) < 1 + 1e-6 for x in inside)
    if end < 20:
        assert any(largest(end + step) > 1 + 1e-9 for step in (1e-5, 1e-3))


def test_the_modulus_of_a_zero_of_a_polynomial_that_is_not_monic() -> None:
    x = sympy.Symbol("x")
    assert modulus(spots(sympy.Poly(2 * x**2 - 2 * x + 3, x), {})[0], {}) == sympy.sqrt(6) / 2


def test_a_branch_behind_a_place_is_not_walked_around() -> None:
    # Two branches that meet at `far`. At 1 the other one vanishes, and nothing happens to the principal one.
    far = 4 * np.exp(0.3j)
    share = 1 / (1 + np.sqrt(1 - 1 / far))

    def roots(x: complex) -> list[complex]:
        return [1 - share + sign * share * np.sqrt(1 - x / far) for sign in (1, -1)]

    assert roots(0)[0] == pytest.approx(1, rel=1e-9, abs=0)
    assert abs(roots(1)[1]) < 1e-15
    assert not is_singular(roots, [1.0, far], 0)
    assert is_singular(roots, [1.0, far], 1)


def test_a_root_is_outside_from_a_distance_of_1e_20_on() -> None:
    """Of heavy ball near beta = 1 the modulus of the roots is the root of beta."""
    for excess, outside in ((18, False), (22, True)):
        beta = 1 + R(excess, 10**21)
        assert eom.HeavyBall(beta).stability().limit == (0 if outside else 2 + 2 * beta)
