"""How loose the closed forms are: attained where they can be, and elsewhere what a plain reading of the formulas gives.

That bounds hold is tested elsewhere. A constant that is too large still holds, and is seen here alone.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from scipy.optimize import brentq

import eomsym as eom
from eomsym.curvature.closed_form import curvature_of
from eomsym.curvature.families import PolynomialFamily
from eomsym.curvature.hessian import EstimatedCurvature, GivenCurvature, eigenvalue_range, hessian
from eomsym.curvature.networks import (
    SOFTMAX_THIRD,
    _variances,
    product_derivatives,
)
from eomsym.curvature.series import exponential, minus_log_of_one_minus
from eomsym.errors import HypothesisError

#: Of a sum in float64, for each of its summands; see `haze` below.
SHARE = 4e-16


class Plain:
    """The formulas of a network at a point, by sums over subsets of the matrices; no rounding is allowed for."""

    def __init__(self, loss: Any, theta: np.ndarray, below: float = 1.0) -> None:
        self.loss, self.linear = loss, below == 1.0
        self.matrices = list(loss.unpack(theta).values())
        self.norms = [np.linalg.svd(matrix)[1][0] for matrix in self.matrices]
        self.depth, self.decay, self.length = len(self.norms), float(loss.weight_decay), float(np.linalg.norm(theta))
        self.gain = max(1.0, abs(below)) ** (self.depth - 1)
        rows, outputs, self.hidden = loss.inputs, [], []
        for x in rows:
            for i, matrix in enumerate(self.matrices):
                x = matrix @ x
                if i < self.depth - 1:
                    self.hidden.append((i + 1, np.min(np.abs(x))))
                    x = np.array([number if number > 0 else below * number for number in x])
            outputs.append(x)
        self.outputs = np.array(outputs)
        self.lengths = np.sqrt((rows**2).sum(axis=1))
        squares = sum(np.outer(x, x) for x in rows) / len(rows)
        self.second = self.size(squares)
        self.mse = loss.loss == "mse"
        probabilities = np.exp(self.outputs) / np.exp(self.outputs).sum(axis=1, keepdims=True)
        errors = (self.outputs if self.mse else probabilities) - loss.targets
        each = [np.outer(error, x) for error, x in zip(errors, rows, strict=True)]
        self.residual = np.linalg.norm(sum(each)) / len(rows)
        if not self.linear:
            self.residual = sum(np.linalg.norm(one) for one in each) / len(rows)
        self.bend, self.twist = (1.0, 0.0) if self.mse else (0.5, SOFTMAX_THIRD)
        variances = [np.linalg.eigvalsh(np.diag(p) - np.outer(p, p))[-1] for p in probabilities]
        self.variance = max(variances)
        weighted = zip(variances, rows, strict=True)
        self.spread = self.size(sum(v * np.outer(x, x) for v, x in weighted) / len(rows))

    def size(self, squares: np.ndarray) -> float:
        return float(np.linalg.eigvalsh(squares)[-1] if self.linear else np.trace(squares))

    def product(self, k: int, radius: float = 0.0, some: int | None = None) -> float:
        norms = [norm + radius for norm in self.norms[:some]]
        n = len(norms)
        if k == 1:
            return math.sqrt(sum(math.prod(norms[:j] + norms[j + 1 :]) ** 2 for j in range(n)))
        chosen = [math.prod(some) for some in itertools.combinations(norms, n - k)] if k <= n else [0.0]
        return math.comb(n, k) / math.sqrt(n) ** k * max(chosen)

    def change(self, radius: float, some: int | None = None) -> float:
        return sum(self.product(k, 0.0, some) * radius**k for k in range(1, (some or self.depth) + 1))

    def residual_at(self, radius: float) -> float:
        return self.residual + self.bend * self.gain * self.second * self.change(radius)

    def third(self, radius: float) -> float:
        p1, p2, p3 = (self.gain * self.product(k, radius) for k in (1, 2, 3))
        lengths = max(self.lengths) * self.second
        return 6 * self.bend * self.second * p1 * p2 + self.twist * lengths * p1**3 + 6 * p3 * self.residual_at(radius)

    def spectrum(self, radius: float) -> tuple[float, float, float]:
        """Of the closed forms alone, and the part of the slope that knows no gradient."""
        crossed = 2 * self.gain * self.product(2, radius) * self.residual_at(radius)
        bent = self.bend * self.second * (self.gain * self.product(1, radius)) ** 2
        slope = self.gain * self.product(1, radius) * self.residual_at(radius) + self.decay * (self.length + radius)
        return self.decay - crossed, self.decay + bent + crossed, slope

    def derivative(self, j: int, radius: float = 0.0) -> float:
        """Of the majorant of g along a line: its derivative j at the radius."""

        def height(u: Any) -> Any:
            moved = self.gain * sum(self.product(k) * u**k for k in range(1, self.depth + 1))
            if self.mse:
                return self.residual * moved + self.second / 2 * moved**2
            longest = max(self.lengths)
            y = mpmath.sqrt(2) * longest * moved
            bent = mpmath.log(1 - self.variance / 2 * (mpmath.exp(y) - 1 - y))
            return self.residual * moved - self.spread / (self.variance * longest**2) * bent

        with mpmath.workdps(40):
            found = float(mpmath.diff(height, radius, j + 1))
        return found + self.decay * {0: self.length + radius, 1: 1}.get(j, 0)


def network(kind: str, loss: str, widths: tuple[int, ...] = (2, 3, 2, 2), seed: int = 163) -> tuple[Any, np.ndarray]:
    rng = np.random.default_rng(seed)
    inputs = rng.standard_normal((6, widths[0]))
    targets = rng.standard_normal((6, widths[-1])) if loss == "mse" else np.eye(widths[-1])[rng.integers(0, 2, 6)]
    options: dict[str, Any] = {"slope": -1.5} if kind == "leaky_relu" else {}
    made = eom.Network(widths, inputs, targets, kind, loss=loss, **options).with_weight_decay(0.25)
    return made, rng.standard_normal(made.size) * 0.7


CASES = pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
KINDS = pytest.mark.parametrize("kind, below", [("linear", 1.0), ("leaky_relu", -1.5), ("relu", 0.0)])


@KINDS
@CASES
def test_networks_by_a_plain_reading(kind: str, below: float, loss: str) -> None:
    made, theta = network(kind, loss)
    plain, kernel = Plain(made, theta, below), eom.compile(made, 0)
    closed, sharp = curvature_of(made, sharp=False).at(theta), curvature_of(made).at(theta)
    slope, (lowest, highest) = np.linalg.norm(kernel.gradient(theta)), eigenvalue_range(kernel, theta)
    for radius in (0.0, 1e-3, 1e-2, *([1.0, 10.0] if kind == "linear" else [])):
        lower, upper, steepest = plain.spectrum(radius)
        smoothness = max(abs(lower), abs(upper))
        ball = closed.spectrum(radius)
        expected = [lower, upper, min(steepest, slope + radius * smoothness)]
        np.testing.assert_allclose([ball.lower, ball.upper, ball.slope], expected, rtol=1e-11)
        assert sharp.third(radius) == pytest.approx(plain.third(radius), rel=1e-11, abs=0)
        moved = radius * plain.third(radius)
        lower, upper = max(lower, lowest - moved), min(upper, highest + moved)
        ball = sharp.spectrum(radius)
        expected = [lower, upper, min(steepest, slope + radius * max(abs(lower), abs(upper)))]
        np.testing.assert_allclose([ball.lower, ball.upper, ball.slope], expected, rtol=1e-11)


@KINDS
@CASES
def test_all_derivatives_by_a_plain_reading(kind: str, below: float, loss: str) -> None:
    made, theta = network(kind, loss)
    plain, kernel = Plain(made, theta, below), eom.compile(made, 0)
    known = [float(np.linalg.norm(kernel.gradient(theta)))]
    top, radius = 2 * made.depth - 1, 2e-3
    for sharp in (False, True):
        if sharp:
            known.append(max(map(abs, eigenvalue_range(kernel, theta))))
        # What is known at the point, and beyond it the majorant, moved by Taylor's formula.
        lost = [plain.derivative(j) - number for j, number in enumerate(known)]
        expected = [
            plain.derivative(j, radius)
            - sum(less * radius ** (i - j) / math.factorial(i - j) for i, less in enumerate(lost) if i >= j)
            for j in range(top + 1)
        ]
        found = curvature_of(made, sharp=sharp).at(theta).derivatives()
        np.testing.assert_allclose(found.at(radius, top), expected, rtol=1e-9)
        if loss == "mse":
            assert (found.at(radius, top + 3)[top + 1 :] == 0).all()


def test_all_derivatives_of_a_softmax_that_is_almost_certain() -> None:
    made, theta = network("linear", "cross_entropy")
    theta = 5 * theta
    plain = Plain(made, theta)
    assert plain.variance < 2 * 0.999 * 0.001  # where two classes need no eigenvalue
    found = curvature_of(made, sharp=False).at(theta).derivatives().majorant
    assert found is not None
    np.testing.assert_allclose(found(np.array([1e-3]), 4)[:, 0], [plain.derivative(j, 1e-3) for j in range(5)], 1e-9)


def test_the_majorant_of_softmax_ends_where_its_logarithm_does() -> None:
    made, theta = network("linear", "cross_entropy")
    plain = Plain(made, theta)

    def inside(radius: float) -> float:
        y = math.sqrt(2) * max(plain.lengths) * plain.change(radius)
        return plain.variance / 2 * (math.exp(y) - 1 - y)

    derivatives = curvature_of(made).at(theta).derivatives()
    for value, ends in ((0.999, False), (1.001, True), (1.5, True), (3.0, True)):
        radius = brentq(lambda r, value=value: inside(r) - value, 0.0, 1.0, xtol=1e-12)
        assert inside(radius) == pytest.approx(value, rel=1e-6, abs=0)
        assert np.isinf(derivatives.at(radius, 3)).all() == ends
        assert np.isfinite(derivatives.at(radius, 3)).all() != ends


def test_functions_of_power_series() -> None:
    x = np.array([0.3, -0.7, 0.2, 0.1, 0.4])
    series = np.polynomial.Polynomial(x)
    cases = ((exponential, mpmath.exp), (minus_log_of_one_minus, lambda number: -mpmath.log(1 - number)))
    for function, plain in cases:
        with mpmath.workdps(40):
            truth = mpmath.taylor(lambda u, plain=plain: plain(mpmath.polyval(series.coef[::-1].tolist(), u)), 0, 4)
        np.testing.assert_allclose(function(x[:, None])[:, 0], np.array(truth, dtype=float), rtol=1e-12)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_attained_by_equal_weights(depth: int) -> None:
    """``(w_n ⋯ w_1 + 1)**2/2``: along (1, …, 1) every derivative is the bound, at the point and at each distance."""
    made = eom.DeepLinear((1,) * (depth + 1), [[1.0]], [[-1.0]])
    theta = np.full(depth, 0.8)
    neighbourhood = curvature_of(made).at(theta)
    along = np.polynomial.Polynomial([0.8, depth**-0.5]) ** depth + 1
    loss = along**2 / 2
    for radius in (0.0, 0.3):
        truth = [loss.deriv(j + 1)(radius) for j in range(2 * depth)]
        np.testing.assert_allclose(neighbourhood.derivatives().at(radius, 2 * depth - 1), truth, rtol=1e-11)
    assert neighbourhood.third(0.0) == pytest.approx(loss.deriv(3)(0.0), rel=1e-11, abs=0)
    ball, values = neighbourhood.spectrum(0.0), np.linalg.eigvalsh(hessian(eom.compile(made, 0), theta))
    np.testing.assert_allclose([ball.lower, ball.upper], [values[0], values[-1]], rtol=1e-11)
    np.testing.assert_allclose(product_derivatives(theta, depth), (along - 1).coef, rtol=1e-12)


@pytest.mark.parametrize("kind, below, widths", [("relu", 0.0, (2, 3, 1)), ("leaky_relu", -2.0, (2, 3, 2, 1))])
def test_the_ball_reaches_to_the_nearest_kink(kind: str, below: float, widths: tuple[int, ...]) -> None:
    made, theta = network(kind, "mse", widths)
    inputs = made.inputs / np.linalg.norm(made.inputs, axis=1, keepdims=True)
    options: dict[str, Any] = {"slope": below} if kind == "leaky_relu" else {}
    made = eom.Network(widths, inputs, made.targets, kind, **options)
    plain = Plain(made, theta, below)
    gain = max(1.0, abs(below))

    def inside(radius: float) -> bool:
        return all(gain ** (layer - 1) * plain.change(radius, layer) < margin for layer, margin in plain.hidden)

    valid = curvature_of(made).at(theta).derivatives().valid
    assert inside(valid)
    assert not inside(valid * 1.01)
    assert curvature_of(made).at(theta).spectrum(valid).upper > 0
    with pytest.raises(HypothesisError, match="inside one activation region"):
        curvature_of(made).at(theta).spectrum(valid * 1.01)


def test_a_tube_that_is_too_wide_is_refused() -> None:
    neighbourhood = curvature_of(eom.DeepLinear((1, 1, 1), [[1.0]], [[1.0]])).at(np.ones(2))
    widest = math.exp(300 / 12) - 2
    assert neighbourhood.spectrum(widest * (1 - 1e-12)).upper > 0
    with pytest.raises(HypothesisError, match="a tube of moderate radius"):
        neighbourhood.spectrum(widest * (1 + 1e-12))


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
@pytest.mark.parametrize("scale", [1e-8, 1.0])
def test_rounding_of_a_gradient_is_the_stated_share(loss: str, scale: float) -> None:
    """Each sum loses a share for each summand: of the outputs, and of the products of the gradient."""
    made, theta = network("leaky_relu", loss, (2, 3, 2))
    theta = theta * scale
    plain = Plain(made, theta, -1.5)
    summands = sum(made.widths) + len(made.inputs)
    goals = np.linalg.norm(made.targets, axis=1)
    largest = math.prod(plain.norms) * plain.gain * plain.lengths + goals
    haze = SHARE * summands * np.mean(largest * plain.lengths)
    lost = plain.product(1) * plain.gain * (haze + SHARE * summands * (plain.residual + haze))
    expected = 2 * (lost + SHARE * plain.decay * plain.length)
    assert curvature_of(made).at(theta).rounding() == pytest.approx(expected, rel=1e-9, abs=0)


@pytest.mark.parametrize("power", [2, 3, 5])
def test_attained_by_a_power(power: int) -> None:
    loss = np.polynomial.Polynomial([0.0] * power + [0.7])
    neighbourhood = curvature_of(eom.Loss(f"7*x**{power}/10", variables="x")).at(np.array([1.3]))
    truth: Callable[[int, float], float] = lambda j, r: loss.deriv(j)(1.3 + r)  # noqa: E731
    for radius in (0.0, 0.4):
        found = neighbourhood.derivatives().at(radius, power)
        np.testing.assert_allclose(found, [truth(j + 1, radius) for j in range(power + 1)], rtol=1e-12)
        ball = neighbourhood.spectrum(radius)
        change = truth(2, radius) - truth(2, 0.0)
        expected = [truth(2, 0.0) - change, truth(2, radius), truth(1, radius)]
        np.testing.assert_allclose([ball.lower, ball.upper, ball.slope], expected, rtol=1e-12)
        assert neighbourhood.third(radius) == pytest.approx(truth(3, radius), rel=1e-12, abs=1e-300)


def test_the_estimate_of_a_slope_is_the_mean_value_theorem() -> None:
    for sign in (1, -1):
        kernel = eom.compile(eom.Loss(f"{sign}*x**4/12", variables="x"), 0)
        ball = EstimatedCurvature(kernel, samples=0).at(np.array([2.0])).spectrum(0.1)
        np.testing.assert_allclose([ball.lower, ball.upper], sign * 4.0, rtol=1e-12)
        assert ball.slope == pytest.approx(8 / 3 + 0.1 * 4, rel=1e-12, abs=0)
        assert ball.smoothness == pytest.approx(4, rel=1e-12, abs=0)
        assert ball.growth == pytest.approx(-4 * sign, rel=1e-12, abs=0)


def test_variances_under_softmax_are_not_rounded_down() -> None:
    rng = np.random.default_rng(0)
    chances = rng.dirichlet(np.ones(4), 40)
    found = _variances(chances, 1 - chances)
    for row, number in zip(chances, found, strict=True):
        with mpmath.workdps(40):
            exact = mpmath.matrix(len(row))
            for i, j in itertools.product(range(len(row)), repeat=2):
                exact[i, j] = (i == j) * mpmath.mpf(row[i]) - mpmath.mpf(row[i]) * mpmath.mpf(row[j])
            truth = mpmath.eigsy(exact, eigvals_only=True)[len(row) - 1]
            assert truth <= min(number, 0.5) <= truth * (1 + mpmath.mpf("2e-12"))


def test_families_allow_for_the_same_rounding_as_one_loss() -> None:
    """Where summands cancel, and where there is no third derivative."""
    powers, thetas = [[1, 0], [2, 0], [1, 1], [0, 2]], np.array([[1.0, 3.0], [0.2, -0.4]])
    family = PolynomialFamily(powers, [[-5.0, 1.0, 1.0, 0.5], [1.0, 2.0, 3.0, 4.0]])
    around = family.around(thetas)
    assert (around.third(np.ones(2)) == 0).all()
    for i, (a, b, c, d) in enumerate(family.coefficients):
        one = curvature_of(eom.Loss(f"{a}*x + {b}*x**2 + {c}*x*y + {d}*y**2", variables="x y")).at(thetas[i])
        assert around.rounding()[i] == pytest.approx(one.rounding(), rel=1e-12, abs=0)
        for radius in (0.0, 0.5):
            ball = around.spectrum(np.full(2, radius))
            single = one.spectrum(radius)
            expected = [single.lower, single.upper, single.slope]
            np.testing.assert_allclose([ball.lower[i], ball.upper[i], ball.slope[i]], expected, rtol=1e-14)
        x, y = thetas[i]
        # Of four summands of degree two: the derivatives along x and along y, each with all that is added up in it.
        lost = [abs(a) + 2 * abs(b * x) + abs(c * y), abs(c * x) + 2 * abs(d * y)]
        assert one.rounding() == pytest.approx(2 * SHARE * 6 * math.hypot(*lost), rel=1e-12, abs=0)


def test_spectra_allow_for_what_cancels_in_a_hessian() -> None:
    """``H = 3/4 (x**2 - a**2)`` at ``x = a``: of two summands and degree four, with their derivatives."""
    a = 1024.0
    family = PolynomialFamily([[4], [2]], [[1 / 16, -3 * a**2 / 8]])
    around, one = (
        family.around(np.array([[a]])),
        curvature_of(eom.Loss(f"x**4/16 - {3 * a**2 / 8}*x**2", variables="x")),
    )
    ball = one.at(np.array([a])).spectrum(0.0)
    lost = SHARE * 6 * 2 * 0.75 * a**2
    assert [ball.lower, ball.upper] == pytest.approx([-lost, lost], rel=1e-9, abs=0)
    np.testing.assert_allclose([around.lower[0], around.upper[0]], [-lost, lost], rtol=1e-9)


def test_bounds_on_derivatives_allow_for_what_cancels_in_them() -> None:
    """``D3 L = 3/2 x - 3/2 a`` at ``x = a``: of two summands and degree four."""
    a = 1024.0
    family = PolynomialFamily([[4], [3]], [[1 / 16, -a / 4]])
    one = curvature_of(eom.Loss(f"x**4/16 - {a / 4}*x**3", variables="x")).at(np.array([a]))
    lost = SHARE * 6 * 2 * 1.5 * a
    for known in (family.around(np.array([[a]])).known.known[:, 0], one.derivatives().known):
        assert known[2:].tolist() == pytest.approx([lost, 1.5 * (1 + SHARE * 6)], rel=1e-12, abs=0)
        assert known[3] > 1.5


def test_where_nothing_is_known_64_units_in_the_last_place_are_allowed_for() -> None:
    given = GivenCurvature(lambda x, r: -2.0, lambda x, r: 1.0, lambda x, r: 3.0 + r)
    assert given.at(np.array([3.0, 4.0])).rounding() == 64 * 2.0**-52 * (3 + 2 * 5)


def test_hessian_of_a_loss_is_symmetric_and_of_a_field_is_not() -> None:
    field = eom.compile(eom.Field(["x*y", "y**3"], variables="x y"), 0)
    np.testing.assert_allclose(hessian(field, np.array([2.0, 3.0])), [[-3.0, -2.0], [0.0, -27.0]])
    made, theta = network("linear", "cross_entropy")
    matrix = hessian(eom.compile(made, 0), theta)
    assert (matrix == matrix.T).all()
