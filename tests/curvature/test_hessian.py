"""Closed forms of the Hessian against the true one, and the picture of section 4 of Elkabetz and Cohen."""

from __future__ import annotations

import numpy as np
import pytest
from problems import DEEP, small_network

import eomsym as eom
from eomsym.curvature import hessian as curvature_hessian
from eomsym.curvature.closed_form import curvature_of, hessian_floor
from eomsym.curvature.hessian import EstimatedCurvature, eigenvalue_range, hessian
from eomsym.curvature.networks import SOFTMAX_THIRD, product_derivatives
from eomsym.errors import HypothesisError


def test_floor_is_the_published_formula() -> None:
    loss = DEEP.build()
    theta = np.asarray(DEEP.start)
    matrices = list(loss.unpack(theta).values())
    inputs, targets = loss.inputs, loss.targets
    error = (inputs @ loss.end_to_end(theta).T - targets).T @ inputs / len(inputs)
    norms = sorted(np.linalg.norm(matrix, 2) for matrix in matrices)
    expected = -(len(matrices) - 1) * np.linalg.norm(error) * np.prod(norms[2 - len(matrices) :])
    assert hessian_floor(loss, theta) == pytest.approx(expected, rel=1e-12, abs=0)


def test_floor_of_a_homogeneous_network_is_the_published_formula() -> None:
    rng = np.random.default_rng(3)
    loss = eom.Network(
        (2, 3, 2, 1), rng.standard_normal((6, 2)), rng.standard_normal((6, 1)), "leaky_relu", slope=-0.25
    )
    theta = rng.standard_normal(loss.size)
    hidden = loss.inputs
    matrices = list(loss.unpack(theta).values())
    for matrix in matrices[:-1]:
        hidden = hidden @ matrix.T
        hidden = np.where(hidden > 0, hidden, -0.25 * hidden)
    residuals = np.abs(hidden @ matrices[-1].T - loss.targets)[:, 0]
    sizes = residuals * np.linalg.norm(loss.inputs, axis=1)
    expected = -2 * np.mean(sizes) * max(np.linalg.norm(matrix, 2) for matrix in matrices)
    assert hessian_floor(loss, theta) == pytest.approx(expected, rel=1e-12, abs=0)
    assert expected <= eigenvalue_range(eom.compile(loss, 0), theta)[0]


def test_floor_on_the_border_of_a_region() -> None:
    loss = eom.Network((1, 2, 1), [[1.0]], [[1.0]], "relu")
    with pytest.raises(HypothesisError, match="inside one activation region"):
        hessian_floor(loss, [0.0, 1.0, 1.0, 1.0])


def test_weight_decay_lifts_the_floor() -> None:
    loss = DEEP.build()
    assert hessian_floor(loss.with_weight_decay(2), DEEP.start) == pytest.approx(
        hessian_floor(loss, DEEP.start) + 2, rel=1e-9, abs=0
    )


def test_lanczos_agrees_with_the_dense_spectrum(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = eom.compile(DEEP.build(), 0)
    dense = eigenvalue_range(kernel, np.asarray(DEEP.start))
    monkeypatch.setattr("eomsym.curvature.hessian.DENSE", 3)
    np.testing.assert_allclose(eigenvalue_range(kernel, np.asarray(DEEP.start)), dense, rtol=1e-5)


@pytest.mark.parametrize("most, iterated", [(3, False), (2, True)])
def test_the_spectrum_is_dense_up_to_a_size(most: int, iterated: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel, asked = eom.compile(eom.Loss("x**2 - y**2 + 3*z**2/2", variables="x y z"), 0), list[int]()
    monkeypatch.setattr(curvature_hessian, "DENSE", most)
    real = curvature_hessian.eigsh
    monkeypatch.setattr(curvature_hessian, "eigsh", lambda *given, **named: asked.append(1) or real(*given, **named))
    assert eigenvalue_range(kernel, np.ones(3)) == pytest.approx((-2, 3), rel=1e-6)
    assert bool(asked) == iterated


def test_an_estimate_says_where_it_ends() -> None:
    known = EstimatedCurvature(eom.compile(eom.Loss("sqrt(x) + sqrt(4-x) + x**2", variables="x"), 0)).at(
        np.array([2.0])
    )
    assert known.spectrum(1.5).slope > 4.5
    with pytest.raises(HypothesisError, match=r"within 2\.5 of the centre of a ball, got numbers that are not finite"):
        known.spectrum(2.5)


def test_an_estimate_looks_at_the_rim_of_a_ball(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel, centre = eom.compile(eom.Loss("x**4 + x*y**3 - y**2", variables="x y"), 0), np.array([0.5, -0.25])
    known = EstimatedCurvature(kernel, samples=5)
    around, looked = known.at(centre), list[np.ndarray]()
    real = type(around)._look
    monkeypatch.setattr(type(around), "_look", lambda self, point: looked.append(point) or real(self, point))
    around.spectrum(0.0)
    assert looked == []
    for radius in (0.5, 3.0):
        looked.clear()
        found = around.spectrum(radius)
        np.testing.assert_allclose(np.linalg.norm(np.array(looked) - centre, axis=1), [radius] * 5)
        ranges = [eigenvalue_range(kernel, point) for point in (centre, *looked)]
        slopes = [np.linalg.norm(kernel.gradient(point)) for point in (centre, *looked)]
        assert found.lower == min(low for low, _ in ranges)
        assert found.upper == max(high for _, high in ranges)
        steepest = slopes[0] + radius * max(abs(found.lower), abs(found.upper))
        assert found.slope == pytest.approx(max(*slopes, steepest), rel=1e-12, abs=0)


def test_a_ball_of_moderate_radius() -> None:
    known = curvature_of(eom.Loss("x**2 + x*y", variables="x y")).at(np.array([1.0, 2.0]))
    assert np.isfinite(known.spectrum(9e99).slope)
    for radius in (1e100, 1.2e100, np.inf, np.nan):
        with pytest.raises(HypothesisError, match=r"a tube of moderate radius, got (1e\+100|1\.2e\+100|inf|nan); use"):
            known.spectrum(radius)


def test_product_derivatives_hold_for_random_directions() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        count = rng.integers(2, 5)
        matrices = [rng.standard_normal((2, 2)) * rng.exponential() for _ in range(count)]
        directions = [rng.standard_normal((2, 2)) + 1j * rng.standard_normal((2, 2)) for _ in matrices]
        length = np.sqrt(sum(np.linalg.norm(u) ** 2 for u in directions))
        # The coefficients of the product, by interpolation at roots of unity.
        nodes = np.exp(2j * np.pi * np.arange(count + 1) / (count + 1))
        values = [np.linalg.multi_dot([w + z * u / length for w, u in zip(matrices, directions, strict=True)])
                  for z in nodes]  # fmt: skip
        coefficients = np.fft.fft(values, axis=0) / (count + 1)
        bounds = product_derivatives(np.array([np.linalg.norm(w, 2) for w in matrices]), count)
        assert all(np.linalg.norm(c) <= b * (1 + 1e-9) for c, b in zip(coefficients[1:], bounds[1:], strict=True))


def test_third_derivative_of_softmax() -> None:
    # The largest third central moment: p (1-p) (1-2p) at p = (3 - sqrt 3)/6, times the cube of the range sqrt 2.
    p = np.linspace(0, 1, 100_001)
    assert np.max(p * (1 - p) * (1 - 2 * p)) * np.sqrt(2) ** 3 == pytest.approx(SOFTMAX_THIRD, rel=1e-8, abs=0)


def test_roughly_convex_from_a_small_start() -> None:
    # From near zero the most negative curvature stays small although the loss is far from its minimum.
    loss = small_network((3, 3, 3, 1))
    kernel = eom.compile(loss, 0)

    def lowest(scale: float) -> tuple[float, float]:
        start = loss.initial(1, scale=scale)
        path = eom.flow(kernel, start, eta=0.1, time=np.linspace(0, 6 / scale**0.5, 40), rtol=1e-8)
        true = [eigenvalue_range(kernel, theta)[0] for theta in path.thetas]
        floors = [hessian_floor(loss, theta) for theta in path.thetas]
        assert np.all(np.array(floors) <= np.array(true) + 1e-9)
        return min(true), min(floors)

    small, large = lowest(0.2), lowest(2.0)
    assert abs(small[0]) < 0.5 * abs(large[0])
    assert abs(small[1]) < 0.5 * abs(large[1])


def test_sharp_is_never_worse() -> None:
    loss = DEEP.build()
    theta = np.asarray(DEEP.start)
    for radius in (0.0, 1e-3, 0.1, 1.0):
        closed = curvature_of(loss, sharp=False).at(theta).spectrum(radius)
        sharp = curvature_of(loss).at(theta).spectrum(radius)
        assert sharp.lower >= closed.lower
        assert sharp.upper <= closed.upper
    matrix = hessian(eom.compile(loss, 0), theta)
    np.testing.assert_allclose(matrix, matrix.T)
