"""Tubes along the motion against a plain reading of their formulas: cells, cuts, growth and rounding, case by case."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from bounds.bent import CENTRE, ETAS, LOSS, POWERS, ROWS, STARTS

import eomsym as eom
from eomsym.bounds import batch_tubes, tubes
from eomsym.bounds.batch_tubes import BatchTube
from eomsym.bounds.rounding import field_rounding, outward, steeper_terms, step_rounding
from eomsym.bounds.terms import tree_bounds
from eomsym.bounds.tubes import tube_distances
from eomsym.curvature import PolynomialFamily, curvature_of
from eomsym.curvature.derivatives import Derivatives
from eomsym.curvature.hessian import EstimatedCurvature, Spectrum
from eomsym.errors import HypothesisError

EPS, TINY = 2.0**-52, 2.0**-1022
RADII = [1e-12 * 1e15 ** (i / 75) for i in range(76)]
COUNTS = sorted({round(512 ** (i / 39)) for i in range(40)})


def tightened(values: list[float]) -> list[float]:
    """What holds on a ball holds on those in it; a little is added for rounding."""
    return [min(values[i:]) * (1 + 1e-9) + TINY for i in range(len(values))]


def trees(known: Any, radius: float, order: int, eta: float) -> list[float]:
    return [eta**k * size for k, size in enumerate(tree_bounds(known.at(radius, order), order))]


def plain_cell(known: Any, rounding: float, centre: np.ndarray, velocity: float, eta: float, order: int) -> dict:
    """Speed, steepness, bend and rounding on all balls; first and second differences to the right."""
    length = math.hypot(*centre) + eta * velocity
    rows: dict[str, list[float]] = {"speed": [], "steep": [], "bend": [], "haze": []}
    still = sum(trees(known, 0.0, order, eta))
    ratio = RADII[1] / RADII[0]
    for radius in (length * r for r in RADII):
        here, near, far = (trees(known, radius * ratio**j, order, eta) for j in range(3))
        w1, w2 = radius * (ratio - 1), radius * ratio * (ratio - 1)
        rows["steep"].append((sum(near[1:]) - sum(here[1:])) / w1)
        second = (sum(far) - sum(near)) / w2 - (sum(near) - sum(here)) / w1
        rows["bend"].append(2 * (second + 32 * EPS * sum(far) / w1) / (w1 + w2))
        rows["haze"].append(2 * rounding + 256 * EPS * sum(here[1:]) + 4 * EPS * here[0])
        close = velocity + rows["haze"][-1] + (sum(here) - still) + 16 * EPS * sum(here)
        rows["speed"].append(min(sum(here), close))
    return {name: tightened(values) for name, values in rows.items()}


def plain_batch_cell(known: Any, rounding: float, centre: np.ndarray, velocity: float, eta: float, order: int) -> dict:
    """The same with differences of equal widths."""
    length = math.hypot(*centre) + eta * velocity
    rows: dict[str, list[float]] = {"speed": [], "steep": [], "bend": [], "haze": []}
    still = sum(trees(known, 0.0, order, eta))
    for radius in (length * r for r in RADII):
        here, near, far = (trees(known, radius * (1 + j / 4), order, eta) for j in range(3))
        rows["steep"].append((sum(near[1:]) - sum(here[1:])) / (radius / 4))
        rows["bend"].append((sum(far) - 2 * sum(near) + sum(here) + 16 * EPS * sum(far)) / (radius / 4) ** 2)
        rows["haze"].append(2 * rounding + 256 * EPS * sum(here[1:]) + 4 * EPS * here[0])
        close = velocity + rows["haze"][-1] + (sum(here) - still) + 16 * EPS * sum(here)
        rows["speed"].append(min(sum(here), close))
    return {name: tightened(values) for name, values in rows.items()}


def compare(cell: Any, expected: dict[str, list[float]], row: Any = slice(None)) -> None:
    for name in ("speed", "haze"):
        np.testing.assert_allclose(getattr(cell, name)[row], expected[name], rtol=1e-11)
    # Differences cancel on the small balls.
    np.testing.assert_allclose(cell.steep[row][30:], expected["steep"][30:], rtol=1e-6)
    # Of a quadratic loss they leave rounding alone.
    np.testing.assert_allclose(cell.bend[row][45:], expected["bend"][45:], rtol=1e-4, atol=1e-15)
    assert np.all(np.diff(cell.bend[row]) >= 0)


def single(order: int) -> tuple[Any, Any, Any]:
    kernel, known = eom.compile(LOSS, 3).at_order(order), curvature_of(LOSS)
    return kernel, known, tubes._cell(kernel, known.at(CENTRE), CENTRE, 0.25)


def family() -> PolynomialFamily:
    return PolynomialFamily(POWERS, ROWS)


def one_of(losses: PolynomialFamily, i: int, theta: np.ndarray) -> Derivatives:
    return Derivatives(losses.around(theta).known.known[:, i])


@pytest.mark.parametrize("order", range(4))
def test_what_is_known_in_a_cell(order: int) -> None:
    kernel, known, cell = single(order)
    around = known.at(CENTRE)
    velocity = float(np.linalg.norm(kernel.field(CENTRE, 0.25)))
    compare(cell, plain_cell(around.derivatives(), around.rounding(), CENTRE, velocity, 0.25, order))
    np.testing.assert_allclose(cell.radii, np.array(RADII) * (np.linalg.norm(CENTRE) + 0.25 * velocity), rtol=1e-13)
    losses = family()
    cells = batch_tubes._cells(losses, STARTS, ETAS, order)
    for i in range(3):
        velocity = float(np.linalg.norm(losses.field(STARTS, ETAS, order)[i]))
        rounding = losses.around(STARTS).rounding()[i]
        compare(cells, plain_batch_cell(one_of(losses, i, STARTS), rounding, STARTS[i], velocity, ETAS[i], order), i)
        length = np.linalg.norm(STARTS[i]) + ETAS[i] * velocity
        np.testing.assert_allclose(cells.radii[i], np.array(RADII) * length, rtol=1e-13)
    places = np.array([3, 40, 75])
    np.testing.assert_array_equal(cells.at("speed", places), [cells.speed[i, places[i]] for i in range(3)])


def test_what_rounding_leaves_of_a_second_difference_that_vanishes() -> None:
    loss = eom.Loss("3*x**2/4 + x*y/8 + 5*y**2/16", variables="x y")
    around = curvature_of(loss).at(CENTRE)
    kernel = eom.compile(loss, 0)
    cell, length = tubes._cell(kernel, around, CENTRE, 0.25), math.hypot(*CENTRE)
    length += 0.25 * math.hypot(*kernel.gradient(CENTRE))
    known, ratio = around.derivatives(), RADII[1] / RADII[0]
    allowed = []
    for radius in (length * r for r in RADII):
        far, w1, w2 = known.at(radius * ratio**2, 0)[0], radius * (ratio - 1), radius * ratio * (ratio - 1)
        allowed.append(2 * 32 * EPS * far / w1 / (w1 + w2))
    np.testing.assert_allclose(cell.bend, tightened(allowed), rtol=0.4)
    losses = PolynomialFamily([[2, 0], [1, 1], [0, 2]], [[3 / 4, 1 / 8, 5 / 16]])
    cells = batch_tubes._cells(losses, CENTRE[None], np.array([0.25]), 0)
    allowed = [16 * EPS * known.at(1.5 * length * r, 0)[0] / (length * r / 4) ** 2 for r in RADII]
    np.testing.assert_allclose(cells.bend[0], tightened(allowed), rtol=0.5)


def test_the_method_of_gauss() -> None:
    matrix, weights, rows = tubes._gauss()
    nodes = matrix.sum(axis=1)
    for q in range(1, 17):
        assert weights @ nodes ** (q - 1) == pytest.approx(1 / q, rel=1e-13, abs=0)
        if q <= 8:
            np.testing.assert_allclose(matrix @ nodes ** (q - 1), nodes**q / q, rtol=1e-12, atol=1e-16)
    largest = max(1.0, *(sum(abs(x) for x in row) for row in matrix.tolist()))
    assert rows == pytest.approx(largest * (1 + 1e-12), rel=1e-14, abs=0)
    assert rows > largest
    assert (tubes.NODES, tubes.ZERO, tubes.MOST_CELLS, tubes.STEEP) == (8, 17, 512, 0.2)
    assert tubes.ZEROS.tolist() == list(range(3, 18))
    assert (batch_tubes.MOST, batch_tubes.SIDE_BY_SIDE, batch_tubes.COUNTS.tolist()) == (64, 128, COUNTS)


def plain_cut(cell: Any, radius: float, length: float, left: float, before: int) -> tuple[int, int, int, float] | None:
    """The fewest cells of which the first stays in a ball and has a small error there; the fewest sweeps for that."""
    rows = tubes._gauss()[2]
    allowed = max(EPS * (length + left * cell.speed[0]) / 4 + TINY, EPS * radius)
    for count in COUNTS:
        if count > 512 - before:
            return None
        h = left / count
        inside = [i for i, big in enumerate(cell.radii) if radius + rows * h * cell.speed[i] <= min(big, cell.valid)]
        ratios = [rows * h * speed / big for speed, big in zip(cell.speed, cell.radii, strict=True)]
        for zero in range(3, 18):
            error = min((2 * big / rows * q**zero for big, q in zip(cell.radii, ratios, strict=True) if q < 1),
                        default=math.inf)  # fmt: skip
            if error <= allowed and inside:
                return count, inside[0], zero, error
    return None


@pytest.mark.parametrize("order", range(3))
def test_how_a_step_is_cut(order: int) -> None:
    kernel, known, cell = single(order)
    seen = set()
    for radius in (0.0, 1e-14, 1e-6, 1e-2):
        for left in (1e-6, 1e-3, 0.03, 0.125, 0.25):
            for before in (0, 400, 505):
                tube = tubes._Tube(kernel, known, 0.25, CENTRE)
                tube.radius = radius
                expected = plain_cut(cell, radius, float(np.linalg.norm(CENTRE)), left, before)
                if expected is None:
                    with pytest.raises(HypothesisError, match=f"order {order} cannot leave .* with 512 cells"):
                        tube._cut(cell, left, before)
                    continue
                found = tube._cut(cell, left, before)
                assert found[:3] == expected[:3]
                assert found[3] == pytest.approx(expected[3], rel=1e-11, abs=0)
                seen.add(found[0])
    assert len(seen) >= 4


def made(**changes: Any) -> tubes._Cell:
    """A cell of two balls of one's own choice."""
    numbers = {"radii": [0.5, 1.0], "speed": [1.0, 1.0], "steep": [0.0, 0.0], "bend": [0.0, 0.0], "haze": [0.0, 0.0]}
    arrays = {name: np.array(changes.get(name, row)) for name, row in numbers.items()}
    around = SimpleNamespace(spectrum=lambda radius: Spectrum(-radius, 2 * radius, 1.0))
    return tubes._Cell(changes.get("around", around), valid=changes.get("valid", np.inf), **arrays)


def test_the_ends_of_cuts() -> None:
    kernel, known = eom.compile(LOSS, 0), curvature_of(LOSS)
    tube, rows = tubes._Tube(kernel, known, 0.25, np.array([1e17, 0.0])), tubes._gauss()[2]
    # The motion may just reach the sphere; the piece in which the closed form holds counts as well.
    h = 0.5 / rows
    for speed, place in ((1.0, 0), (1.0 + 1e-12, 1), (2.0, 1)):
        count, reach, *_ = tube._cut(made(speed=[speed, min(speed, 2.0)], radii=[0.5, 1.0 + 1e-9]), h, 0)
        assert (count, reach) == (1, place)
    count, reach, *_ = tube._cut(made(valid=0.75), 0.5 / rows, 0)
    assert (count, reach) == (1, 0)
    for valid, expected in ((0.5, 1), (0.5 - 1e-9, 2), (0.25, 2), (0.25 - 1e-9, 3)):
        assert tube._cut(made(valid=valid), 0.5 / rows, 0)[0] == expected
    # As many cells as are left, and none more.
    assert tube._cut(made(valid=0.25), 0.5 / rows, 510)[0] == 2
    with pytest.raises(HypothesisError, match="use a smaller eta, a lower order or fewer steps"):
        tube._cut(made(valid=0.25), 0.5 / rows, 511)


def plain_batch_cut(cells: Any, i: int, radius: float, length: float, left: float, before: float) -> Any:
    rows = tubes._gauss()[2]
    balls, speeds = cells.radii[i].tolist(), cells.speed[i].tolist()
    allowed = max(EPS * (length + left * speeds[0]) / 4 + TINY, EPS * radius)
    staying = max((big - radius) / (rows * s) for big, s in zip(balls, speeds, strict=True))
    exact = max(
        big / (rows * s) * min((allowed * rows / (2 * big)) ** (1 / 17), 1 - EPS)
        for big, s in zip(balls, speeds, strict=True)
    )
    needed = left / min(staying, exact) * (1 + 1e-12)
    count = next((c for c in COUNTS if c >= needed), None)
    if count is None or count > 64 - before:
        return count, None, math.inf
    h = left / count
    reach = next(j for j in range(len(balls)) if radius + rows * h * speeds[j] <= balls[j])
    error = min(2 * big / rows * q**17 for big, s in zip(balls, speeds, strict=True) if (q := rows * h * s / big) < 1)
    return count, reach, error


@pytest.mark.parametrize("order", [0, 2])
def test_how_many_steps_are_cut(order: int) -> None:
    losses, some = family(), np.arange(3)
    tube = BatchTube(losses, STARTS, ETAS, order)
    cells = batch_tubes._cells(losses, STARTS, ETAS, order)
    endless = set()
    for radius in (0.0, 1e-14, 1e-5, 1e-2):
        for share in (0.01, 1.0, 10.0):
            for before in (0.0, 50.0, 63.0):
                tube.radii = np.full(3, radius)
                count, reach, errors = tube._cut(cells, some, share * ETAS, np.full(3, before))
                for i in range(3):
                    length = float(np.linalg.norm(STARTS[i]))
                    expected = plain_batch_cut(cells, i, radius, length, share * ETAS[i], before)
                    endless.add(math.isinf(expected[2]))
                    if math.isinf(expected[2]):
                        assert errors[i] == math.inf
                    else:
                        assert (count[i], reach[i]) == expected[:2]
                        assert errors[i] == pytest.approx(expected[2], rel=1e-9, abs=0)
    assert endless == {True, False}


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
    losses, some = family(), np.arange(3)
    for order in (0, 1, 3):
        tube, cells = BatchTube(losses, STARTS, ETAS, order), batch_tubes._cells(losses, STARTS, ETAS, order)
        jacobians = losses.jacobians(STARTS, ETAS, order)
        for before, truncation, h in ((0.0, 0.0, 1e-9), (0.0, 0.0, 0.01), (1e-3, 0.0, 0.01), (0.0, 1e-16, 0.01)):
            tube.radii, after = np.full(3, before), STARTS + 0.125
            for places in ([10, 48, 57], [54, 56, 50], [57, 20, 54]):
                reach = np.array(places)
                found = tube._grown(cells, some, np.full(3, h), reach, np.full(3, truncation), after)
                growths = tube._growth(cells, some, reach)
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
    losses = family()
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
    losses, etas = family(), 3 * ETAS
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
