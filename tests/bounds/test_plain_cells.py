"""Cells of tubes against a plain reading of their formulas: what is known in them, and how a step is cut into them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from bounds.bent import CENTRE, ETAS, LOSS, STARTS
from bounds.plain import EPS, FAMILY, TINY, made, single, trees

import eomsym as eom
from eomsym.bounds import batch_tubes, tubes
from eomsym.bounds.batch_tubes import BatchTube
from eomsym.curvature import PolynomialFamily, curvature_of
from eomsym.curvature.derivatives import Derivatives
from eomsym.errors import HypothesisError

RADII = [1e-12 * 1e15 ** (i / 75) for i in range(76)]

COUNTS = sorted({round(512 ** (i / 39)) for i in range(40)})


def tightened(values: list[float]) -> list[float]:
    """What holds on a ball holds on those in it; a little is added for rounding."""
    return [min(values[i:]) * (1 + 1e-9) + TINY for i in range(len(values))]


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


def one_of(losses: PolynomialFamily, i: int, theta: np.ndarray) -> Derivatives:
    return Derivatives(losses.around(theta).known.known[:, i])


@pytest.mark.parametrize("order", range(4))
def test_what_is_known_in_a_cell(order: int) -> None:
    kernel, known, cell = single(order)
    around = known.at(CENTRE)
    velocity = float(np.linalg.norm(kernel.field(CENTRE, 0.25)))
    compare(cell, plain_cell(around.derivatives(), around.rounding(), CENTRE, velocity, 0.25, order))
    np.testing.assert_allclose(cell.radii, np.array(RADII) * (np.linalg.norm(CENTRE) + 0.25 * velocity), rtol=1e-13)
    losses = FAMILY
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
    losses, some = FAMILY, np.arange(3)
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
