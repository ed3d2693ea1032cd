"""Tubes along the motion against a plain reading: growth, rounding, one cell after the other, distances."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from bounds.bent import CENTRE, ETAS, LOSS, POWERS, ROWS, STARTS
from bounds.plain import EPS, FAMILY, TINY, made, single, trees

import eomsym as eom
from eomsym.bounds import batch_tubes, tubes
from eomsym.bounds.batch_tubes import BatchTube
from eomsym.bounds.rounding import field_rounding, outward, steeper_terms, step_rounding
from eomsym.bounds.terms import tree_bounds
from eomsym.bounds.tubes import tube_distances
from eomsym.curvature import PolynomialFamily, curvature_of
from eomsym.curvature.hessian import EstimatedCurvature
from eomsym.errors import HypothesisError


def plain_growth(jacobian: np.ndarray, steep: float, radius: float, bend: float) -> float:
    top = np.linalg.eigvalsh((jacobian + jacobian.T) / 2)[-1]
    return float(top) + 1e-10 * (float(sum(map(abs, jacobian.ravel()))) + steep) + radius * bend


def plain_radius(
    before: float, h: float, growth: float, smoothness: float, numbers: dict[str, float], size: float, truncation: float
) -> float:
    """What the radius becomes: it grows, and the error of the integrator and rounding are added."""
    rows, speed, eta = tubes._gauss()[2], numbers["speed"], numbers["eta"]
    lipschitz = smoothness + numbers["steep"]
    shaken = numbers["haze"] + lipschitz * EPS * (size + 12 * h * speed)
    rounding = h * shaken * math.exp(min(2 * rows * h * lipschitz, 700)) + EPS * (
        size + 16 * h * speed + 4 * eta * speed
    )
    return outward(math.exp(h * growth) * before + truncation + rounding)


@pytest.mark.parametrize("order", range(4))
@pytest.mark.parametrize("before, truncation", [(0.0, 0.0), (1e-16, 0.0), (0.0, 1e-16), (0.25, 0.0)])
def test_how_a_radius_grows(order: int, before: float, truncation: float) -> None:
    kernel, known, cell = single(order)
    tube = tubes._Tube(kernel, known, 0.25, CENTRE)
    tube.radius = before
    after = CENTRE + np.array([0.1, 0.3])
    size = float(np.linalg.norm(CENTRE) + np.linalg.norm(after))
    for place in (10, 48, 54, 57):
        numbers = {name: float(getattr(cell, name)[place]) for name in ("speed", "steep", "haze")} | {"eta": 0.25}
        ball = known.at(CENTRE).spectrum(float(cell.radii[place]))
        jacobian = np.array([kernel.jacobian_vector(CENTRE, one, 0.25) for one in np.eye(2)])
        bent = plain_growth(jacobian, numbers["steep"], float(cell.radii[place]), float(cell.bend[place]))
        assert tube._growth(cell, place) == pytest.approx(bent, rel=1e-13, abs=0)
        growth = ball.growth + numbers["steep"]
        growth = min(growth, bent) if 0.25 * numbers["steep"] > 0.2 else growth
        for h in (1e-9, 1e-3, 0.02):
            expected = plain_radius(before, h, growth, ball.smoothness, numbers, size, truncation)
            assert tube._grown(cell, h, place, truncation, after) == pytest.approx(expected, rel=1e-12, abs=0)


def test_how_many_radii_grow() -> None:
    losses, some = FAMILY, np.arange(3)
    for order in (0, 1, 3):
        tube, cells = BatchTube(losses, STARTS, ETAS, order), batch_tubes._cells(losses, STARTS, ETAS, order)
        jacobians = losses.jacobians(STARTS, ETAS, order)
        for before, truncation, h in ((0.0, 0.0, 1e-9), (0.0, 0.0, 0.01), (1e-3, 0.0, 0.01), (0.0, 1e-16, 0.01)):
            tube.radii, after = np.full(3, before), STARTS + 0.125
            for places in ([10, 48, 57], [54, 56, 50], [57, 20, 54]):
                reach = np.array(places)
                found = tube._grown(cells, some, np.full(3, h), reach, np.full(3, truncation), after)
                growths = np.full(3, np.nan)
                for chosen in (np.array([2]), np.array([0, 1])):
                    growths[chosen] = tube._growth(cells, some, reach, chosen)
                balls = cells.around.spectrum(cells.radii[some, reach])
                for i in range(3):
                    numbers = {name: float(getattr(cells, name)[i, reach[i]]) for name in ("speed", "steep", "haze")}
                    radius, bend = float(cells.radii[i, reach[i]]), float(cells.bend[i, reach[i]])
                    bent = plain_growth(jacobians[i], numbers["steep"], radius, bend)
                    assert growths[i] == pytest.approx(bent, rel=1e-12, abs=0)
                    growth = float(balls.growth[i]) + numbers["steep"]
                    growth = min(growth, bent) if ETAS[i] * numbers["steep"] > 0.2 else growth
                    size = float(np.linalg.norm(STARTS[i]) + np.linalg.norm(after[i]))
                    expected = plain_radius(
                        before, h, growth, float(balls.smoothness[i]), numbers | {"eta": ETAS[i]}, size, truncation
                    )
                    assert found[i] == pytest.approx(expected, rel=1e-11, abs=0)


def test_the_jacobian_pays_where_terms_are_steep_and_parameters_few(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel, known = eom.compile(LOSS, 0), curvature_of(LOSS)
    tube = tubes._Tube(kernel, known, 0.25, CENTRE)
    asked: list[int] = []
    monkeypatch.setattr(tube, "_growth", lambda cell, reach: asked.append(reach) or 0.0)
    for steep, expected in ((0.8, []), (0.8 * (1 + 1e-12), [1])):
        tube._grown(made(steep=[0.0, steep]), 0.1, 1, 0.0, CENTRE)
        assert asked == expected
    tube.centre = np.zeros(400)
    tube._grown(made(steep=[0.0, 9.0]), 0.1, 1, 0.0, np.zeros(400))
    tube._grown(made(steep=[0.0, 9.0]), 0.1, 1, 0.0, np.zeros(401))
    assert asked == [1, 1]


@pytest.mark.parametrize("order, eta", [(0, 0.25), (2, 0.25), (1, 0.6)])
def test_a_step_is_one_cell_after_the_other(order: int, eta: float) -> None:
    kernel, known = eom.compile(LOSS, 3).at_order(order), curvature_of(LOSS)
    tube, plain = (tubes._Tube(kernel, known, eta, CENTRE) for _ in range(2))
    tube.advance()
    left, number = eta, 0
    while True:
        cell = tubes._cell(kernel, known.at(plain.centre), plain.centre, eta)
        count, reach, zero, truncation = plain._cut(cell, left, number)
        after = plain.centre + plain._move(left / count, zero)
        plain.radius = plain._grown(cell, left / count, reach, truncation, after)
        plain.centre, left, number = after, left - left / count, number + 1
        if count == 1:
            break
    assert number > 1
    np.testing.assert_array_equal(tube.centre, plain.centre)
    assert tube.radius == plain.radius


def test_the_sweeps_of_a_cell() -> None:
    kernel, known = eom.compile(LOSS, 3).at_order(1), curvature_of(LOSS)
    tube, (matrix, weights, _) = tubes._Tube(kernel, known, 0.25, CENTRE), tubes._gauss()
    losses = FAMILY
    many = BatchTube(losses, STARTS, ETAS, 1)
    for zero in (3, 4, 17):
        slopes = [kernel.field(CENTRE, 0.25)] * 8
        for _ in range(zero - 2):
            slopes = [kernel.field(CENTRE + 0.2 * sum(a * s for a, s in zip(row, slopes, strict=True)), 0.25)
                      for row in matrix]  # fmt: skip
        expected = 0.2 * sum(b * s for b, s in zip(weights, slopes, strict=True))
        np.testing.assert_allclose(tube._move(0.2, zero), expected, rtol=1e-13)
    np.testing.assert_allclose(many._move(np.array([0, 2]), np.array([0.2, 0.1]))[0], expected, rtol=1e-13)
    with pytest.raises(HypothesisError, match="needed a finite motion, got none"):
        tubes._Tube(kernel, known, 0.25, np.array([1e150, 1e150]))._move(1e9, 17)


def test_distances_of_tubes() -> None:
    kernel, known, eta = eom.compile(LOSS, 3).at_order(1), curvature_of(LOSS), 0.2
    path = eom.descend(LOSS, CENTRE, eta=eta, steps=3).thetas
    found = tube_distances(kernel, known, path, eta, 1)
    tube, drift, expected = tubes._Tube(kernel, known, eta, CENTRE), 0.0, [0.0]
    for k in range(3):
        around = known.at(path[k])
        slope = float(np.linalg.norm(kernel.gradient(path[k])))
        rounding = step_rounding(around, float(np.linalg.norm(path[k + 1])), eta, slope)
        drift = outward(around.spectrum(drift).amplification(eta) * drift + rounding)
        tube.advance()
        apart = float(np.linalg.norm(tube.centre - path[k + 1]))
        expected.append(outward(apart * (1 + 2 * EPS) + drift + tube.radius))
    assert found.tolist() == expected
    # Up to the first that is above the limit, not the first that reaches it.
    assert len(tube_distances(kernel, known, path, eta, 1, limit=found[1])) == 3
    assert len(tube_distances(kernel, known, path, eta, 1, limit=found[1] * (1 - 1e-12))) == 2
    with pytest.raises(HypothesisError, match=r"too many from order 17 on, got order 17"):
        tube_distances(kernel, known, path, eta, 17)


def test_a_tube_without_end_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tubes._Tube, "_grown", lambda self, *rest: np.inf if self.radius else 1.0)
    path = eom.descend(LOSS, CENTRE, eta=0.01, steps=3).thetas
    kernel = eom.compile(LOSS, 3).at_order(1)
    monkeypatch.setattr(tubes._Tube, "_cut", lambda self, cell, left, cells: (1, 70, 17, 0.0))
    with pytest.raises(HypothesisError, match="needed a finite tube, got inf after 2 steps; use fewer"):
        tube_distances(kernel, curvature_of(LOSS), path, 0.01, 1)


def test_many_tubes_are_one_after_the_other() -> None:
    count = 130  # more than stand side by side
    losses = PolynomialFamily(POWERS, [ROWS[0]] * count)
    rng = np.random.default_rng(3)
    starts, etas = rng.uniform(-1, 1, (count, 2)), rng.uniform(0.05, 0.5, count)
    starts[5], etas[7] = [1e9, 1e9], 1e9
    many = BatchTube(losses, starts, etas, 1)
    with np.errstate(all="ignore"):
        many.advance()
        many.advance()
    for i in (0, 5, 7, 64, 127, 128, 129):
        alone = BatchTube(losses[[i]], starts[[i]], etas[[i]], 1)
        with np.errstate(all="ignore"):
            alone.advance()
            alone.advance()
        np.testing.assert_allclose(many.centres[i], alone.centres[0], rtol=1e-14)
        np.testing.assert_allclose(many.radii[i], alone.radii[0], rtol=1e-9)
        if i in (5, 7):
            assert many.radii[i] == np.inf
            continue
        tube = tubes._Tube(eom.compile(LOSS, 3).at_order(1), curvature_of(LOSS), etas[i], starts[i])
        tube.advance()
        tube.advance()
        np.testing.assert_allclose(tube.centre, alone.centres[0], rtol=1e-13, atol=1e-15)
        assert 0.1 * tube.radius < alone.radii[0] < 10 * tube.radius


def test_many_cells_are_one_after_the_other() -> None:
    losses, etas = FAMILY, 3 * ETAS
    tube, plain = (BatchTube(losses, STARTS, etas, 1) for _ in range(2))
    with np.errstate(all="ignore"):
        tube.advance()
        lefts, number = etas.copy(), 0
        while (lefts > 0).any():
            for i in np.flatnonzero(lefts > 0):
                one = np.array([i])
                cells = batch_tubes._cells(losses[one], plain.centres[one], etas[one], 1)
                count, reach, error = plain._cut(cells, one, lefts[one], np.array([float(number)]))
                h = lefts[one] / count
                after = plain.centres[one] + plain._move(one, h)
                plain.radii[i] = plain._grown(cells, one, h, reach, error, after)[0]
                lefts[i] = lefts[i] - h[0] if count[0] > 1 and np.isfinite(plain.radii[i]) else 0.0
                plain.centres[i] = after[0] if np.isfinite(plain.radii[i]) else plain.centres[i]
            number += 1
    assert 2 < number < 64
    np.testing.assert_allclose(tube.centres, plain.centres, rtol=1e-14)
    np.testing.assert_allclose(tube.radii, plain.radii, rtol=1e-9)


def test_allowances_for_rounding_are_their_formulas() -> None:
    assert outward(1.0) == 1 + 512 * EPS
    assert outward(0.0) == TINY
    kernel, around = eom.compile(LOSS, 3), curvature_of(LOSS).at(CENTRE)
    for size, eta, slope in ((1.5, 0.25, 0.5), (0.0, 0.125, 3.0), (0.0, 1e-3, 0.0)):
        expected = EPS * size + 2 * EPS * eta * slope + 2 * eta * around.rounding() + 4 * TINY
        assert step_rounding(around, size, eta, slope) == pytest.approx(expected, rel=1e-14, abs=0)
    nothing: Any = SimpleNamespace(rounding=lambda: 0.0)
    assert step_rounding(nothing, 0.0, 0.5, 0.0) == 4 * TINY
    terms = kernel.terms(CENTRE)
    estimated = EstimatedCurvature(eom.compile(LOSS, 0)).at(CENTRE)
    for order in range(4):
        part, gradient = kernel.at_order(order), float(np.linalg.norm(terms[0]))
        sizes = tree_bounds(around.derivatives().at(0.0, order), order)
        series = sum(0.25**k * sizes[k] for k in range(1, order + 1))
        expected = around.rounding() + 256 * EPS * series + 4 * EPS * gradient
        assert field_rounding(part, around, terms[: order + 1], 0.25) == pytest.approx(expected, rel=1e-13, abs=0)
        series = sum(0.25**k * 16 * float(np.linalg.norm(terms[k])) for k in range(1, order + 1))
        expected = estimated.rounding() + 256 * EPS * series + 4 * EPS * gradient
        assert field_rounding(part, estimated, terms[: order + 1], 0.25) == pytest.approx(expected, rel=1e-13, abs=0)
        gradient, slope, _ = around.derivatives().at(0.0, 2)
        for radius in (0.0, 1e-6, 0.125, 2.0):
            wide = max(radius, 1e-3 * gradient / slope)
            near, far = (trees(around.derivatives(), f * wide, order, 0.25) for f in (1.0, 1.125))
            chord = (1 + 1e-9) * (sum(far[1:]) - sum(near[1:])) / (0.125 * wide)
            assert steeper_terms(around, radius, 0.25, order) == pytest.approx(chord, rel=1e-11, abs=0)
    assert steeper_terms(estimated, 1.0, 0.25, 0) == 0.0
    assert steeper_terms(estimated, 1.0, 0.25, 1) is None
    with np.errstate(invalid="ignore"):
        assert steeper_terms(around, np.inf, 0.25, 1) == np.inf
