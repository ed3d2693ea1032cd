"""Bounds on the defect of a step against a plain reading of their formulas: one circle, one ball, one case at once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from eomsym.bounds import batch_defects, truncation
from eomsym.bounds.batch_defects import batch_step_defects
from eomsym.bounds.terms import cauchy_numbers, term_bounds, tree_bounds
from eomsym.bounds.truncation import defect_bound, exponential_bound, step_defect
from eomsym.curvature.derivatives import Derivatives
from eomsym.curvature.families import BatchTaylor
from eomsym.errors import HypothesisError, InputError


def plain_defect(terms: Any, radii: Any, eta: float) -> float:
    """The bound by the maximum principle, circle by circle; infinite where no circle will do."""
    terms = [[min(row[i:]) for i in range(len(radii))] for row in np.asarray(terms).tolist()]
    inner = [0.0, *radii]
    widest = max(sum((b - a) / t for a, b, t in zip(inner, radii, terms[0], strict=False)) / eta, 1.0)
    best = math.inf
    for j in range(60):
        eps, time = eta * widest ** (j / 59), 0.0
        for i, radius in enumerate(radii):
            speed = sum(eps**k * row[i] for k, row in enumerate(terms))
            after = time + (radius - inner[i]) / speed
            if after >= eps:
                away = inner[i] + (eps - time) * speed
                best = min(best, (eta / eps) ** (len(terms) + 1) * (away + eps * terms[0][0]))
                break
            time = after
    return best


def plain_step(
    known: Derivatives, distance: float, eta: float, order: int, measured: Any = (), highest: int = 15
) -> float:
    """The bound of one step from a ball: the best of all orders with which it can be compared."""
    top = min(max(highest, order + 1), 17)
    scale = max(eta * known.at(distance, 0)[0], 1e-15)
    radii = [scale * 0.05 * 20000 ** (i / 47) for i in range(48)]
    wide = np.array([tree_bounds(known.at(distance + r, top), top) for r in radii]).T
    inner = speeds = tree_bounds(known.at(distance, top), top)
    for _ in range(12):
        sizes = [eta**k * speeds[k] for k in range(top + 1)]
        smallest = sizes.index(min(sizes))
        reach = 1.2 * eta * sum(sizes[: smallest + 1])
        ball = distance + reach
        near, far = (tree_bounds(known.at(r, top), top) for r in (ball, 1.125 * ball))
        steeper = (far - near) / (ball / 8) if ball > 0 else 0 * near
        between = (inner + near) / 2
        for k, size in enumerate(measured):
            if k <= top:
                between[k] = min(between[k], size + (distance + ball) / 2 * steeper[k])
                near[k] = min(near[k], size + ball * steeper[k])
        travelled = [eta * sum(eta**k * near[k] for k in range(last + 1)) for last in range(top + 1)]
        if travelled[smallest] <= reach:
            break
        speeds = near
    best = math.inf
    for last in range(order, top + 1):
        stays = ball <= known.valid and travelled[last] <= reach
        if not stays and (last > order or known.valid < math.inf):
            continue
        found = plain_defect(wide[: last + 1], radii, eta)
        if last > order:
            growth = eta * sum(eta**k * steeper[k] for k in range(last + 1))
            omitted = sum(eta**k * between[k] for k in range(order + 1, last + 1))
            found += eta * (math.expm1(growth) / growth if growth else 1.0) * omitted
        best = min(best, found)
    return best


@pytest.mark.parametrize("order", range(5))
def test_the_bound_of_a_motion_on_balls(order: int) -> None:
    rng = np.random.default_rng(order)
    for count in (1, 2, 7):
        radii = np.cumsum(rng.random(count) + 0.1)
        terms = np.sort(rng.random((order + 1, count)) + 0.5, axis=1)
        terms[0, -1] = terms[0, 0]  # what holds on a larger ball
        for eta in (1e-3, 0.05, 0.1):
            expected = plain_defect(terms, radii, eta)
            assert defect_bound(terms, radii, eta) == pytest.approx(expected, rel=1e-11, abs=0)
    assert defect_bound([1.0] * (order + 1), 3.0, 0.1) == pytest.approx(
        plain_defect([[1.0]] * (order + 1), [3.0], 0.1), rel=1e-11, abs=0
    )


@pytest.mark.parametrize("order", range(3))
@pytest.mark.parametrize("count", [1, 2, 9])
def test_many_motions_on_few_balls(order: int, count: int) -> None:
    rng, many = np.random.default_rng(10 * order + count), 12
    balls = np.cumsum(rng.random((many, count)) + 0.1, axis=1)
    terms = np.sort(rng.random((order + 1, many, count)) + 0.5, axis=2)
    etas = rng.choice([2.0**-10, 0.0625, 0.125, 1.0], many)  # exact, so that rounding decides nothing
    ways = (etas ** np.arange(1.0, order + 2)[:, None])[..., None] * terms
    found, above = (batch_defects._crossings(ways, balls, least) for least in (0, order))
    for k in range(min(order, 1), order + 1):  # of order 0 the largest circle is met to the last digit, or not
        expected = [plain_defect(terms[: k + 1, i], balls[i], etas[i]) for i in range(many)]
        np.testing.assert_allclose(found[k], expected, rtol=1e-11)
        np.testing.assert_array_equal(above[k], found[k] if k == order else np.inf)


def test_a_motion_that_only_just_stays() -> None:
    # At order 0 the ball of radius eta |g| is reached at the time eta: that circle is the only one.
    assert defect_bound([1.0], 0.125, 0.125) == pytest.approx(0.25, rel=1e-9, abs=0)
    with pytest.raises(HypothesisError, match=r"motion of order 0 stays in the balls, got eta \|g\|/r = 1 and more"):
        defect_bound([1.0], 0.125 * (1 - 1e-12), 0.125)
    with pytest.raises(HypothesisError, match=r"motion of order 1 stays in the balls, got eta \|g\|/r = 0\.5 and more"):
        defect_bound([[2.0, 2.0], [1e9, 1e9]], [0.1, 0.5], 0.125)
    # Where nothing moves there is no defect, but for what a number can be.
    assert 0 <= defect_bound([0.0, 0.0], 1.0, 0.1) < 1e-300
    for wrong in (0.0, -1.0, [1.0, 1.0], [2.0, 1.0]):
        with pytest.raises(InputError, match="expected a positive number, or several that increase"):
            defect_bound([[1.0] * np.size(wrong)] * 2, wrong, 0.1)


CASES = [
    # known derivatives, distance, eta, order, measured, highest
    ([1.0, 1.0], 0.0, 1e-3, 0, (), 15),
    ([1.0, 1.0], 0.0, 0.3, 1, (), 15),
    ([1.0, 0.5, 0.25], 0.125, 0.1, 0, (), 15),
    ([1.0, 0.5, 0.25], 0.125, 0.1, 1, (0.5, 0.05), 15),
    ([1.0, 2.0, 1.0, 0.5], 0.25, 0.05, 2, (1.0, 0.5, 0.25, 0.125), 5),
    ([1.0, 2.0, 1.0, 0.5], 0.25, 0.05, 2, (1.0, 0.5, 0.25, 0.125), 3),
    ([1.0, 2.0, 1.0, 0.5], 0.25, 0.05, 2, (1.0, 0.5, 0.25, 0.125), 0),
    ([0.3, 2.0, 4.0, 9.0], 0.01, 0.08, 3, (0.3, 0.1), 15),
    ([0.3, 2.0, 4.0, 9.0], 0.2, 0.08, 0, (0.1,) * 9, 15),
    ([2.0, 3.0, 4.0], 0.5, 0.02, 1, tuple(0.01 for _ in range(30)), 15),
    ([1e-9, 1.0, 1.0], 0.0, 0.1, 1, (), 6),
    ([0.5, 1.0, 2.0, 2.0], 0.05, 0.06, 2, (0.02, 0.03, 0.01, 0.1), 15),
    ([0.2, 1.0, 1.0], 0.02, 0.05, 6, (0.2, 0.1, 0.1), 15),
    ([1.0, 2.0, 1.0, 0.5], 0.0, 0.1, 1, (0.9, 0.02, 0.003, 0.0004, 0.00005), 3),  # all that was measured counts
]


@pytest.mark.parametrize("known, distance, eta, order, measured, highest", CASES)
def test_the_defect_of_a_step(
    known: list[float], distance: float, eta: float, order: int, measured: tuple[float, ...], highest: int
) -> None:
    expected = plain_step(Derivatives(np.array(known)), distance, eta, order, measured, highest)
    assert math.isfinite(expected)
    assert step_defect(known, distance, eta, order, measured, highest) == pytest.approx(expected, rel=1e-10, abs=0)
    batch = batch_step_defects(
        BatchTaylor(np.array(known)[:, None]), np.array([distance]), np.array([eta]), order,
        np.array(measured).reshape(-1, 1), highest,
    )  # fmt: skip
    assert batch[0] == pytest.approx(expected, rel=1e-10, abs=0)


@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def test_many_steps_at_random() -> None:
    rng = np.random.default_rng(0)
    m, found, singles = 24, [], []
    for order in (0, 2):
        known = rng.random((4, m)) * 10.0 ** rng.uniform(-2, 1, (4, m))
        distances, etas = rng.random(m) * 10.0 ** rng.uniform(-4, 0, m), 10.0 ** rng.uniform(-3, 1.5, m)
        distances[:5] = 0.0
        measured = known[0] * rng.random((3, m)) * np.array([[1.0], [0.3], [0.1]])
        found.append(batch_step_defects(BatchTaylor(known), distances, etas, order, measured, 7))
        for i in range(m):
            expected = plain_step(Derivatives(known[:, i]), distances[i], etas[i], order, measured[:, i], 7)
            singles.append(expected)
            if math.isinf(expected):
                with pytest.raises(HypothesisError, match="no bound: needed a disc"):
                    step_defect(known[:, i], distances[i], etas[i], order, measured[:, i], 7)
            else:
                single = step_defect(known[:, i], distances[i], etas[i], order, measured[:, i], 7)
                assert single == pytest.approx(expected, rel=1e-10, abs=0)
    np.testing.assert_allclose(np.concatenate(found), singles, rtol=1e-10)
    assert 5 < np.isinf(singles).sum() < len(singles) / 2


@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def test_where_the_closed_form_ends() -> None:
    plain = Derivatives(np.array([1.0, 1.0]))
    travel = 0.1 * 1.2 * sum(0.1**k / (k + 1) for k in range(16))
    for valid in (0.99 * travel, travel * (1 + 1e-9), 2 * travel, np.inf):
        known = Derivatives(plain.known, valid=valid)
        expected = plain_step(known, 0.0, 0.1, 1)
        if math.isinf(expected):
            with pytest.raises(HypothesisError, match=r"stay in the ball of radius 0\.\d+ in which .* got 0\.\d+"):
                step_defect(known, 0.0, 0.1, 1)
        else:
            assert step_defect(known, 0.0, 0.1, 1) == pytest.approx(expected, rel=1e-10, abs=0)

    def ending(radii: np.ndarray, top: int) -> np.ndarray:
        return np.array([[math.factorial(j) / (1 - r) ** (j + 1) if r < 1 else math.inf for r in radii]
                         for j in range(top + 1)])  # fmt: skip

    geometric = Derivatives(np.array([1.0]), ending)
    for eta in (0.01, 0.03):
        expected = plain_step(geometric, 0.0, eta, 1)
        assert step_defect(geometric, 0.0, eta, 1) == pytest.approx(expected, rel=1e-10, abs=0)
    with pytest.raises(HypothesisError, match="needed a bounded gradient on the complex ball of radius 1,"):
        step_defect(geometric, 1.0, 0.01, 1)
    unknown = batch_step_defects(
        BatchTaylor(np.array([[1.0, np.inf, 1.0], [1.0, 1.0, 1.0]])), np.array([0.0, 0.0, np.inf]), np.full(3, 0.01), 1,
        np.ones((0, 3)),
    )  # fmt: skip
    np.testing.assert_array_equal(np.isinf(unknown), [False, True, True])


def test_the_highest_orders() -> None:
    known, rate = [0.1, 0.5, 0.1], 0.01
    assert truncation.HIGHEST == 17
    for order in (15, 16):
        expected = plain_step(Derivatives(np.array(known)), 0.0, rate, order)
        assert step_defect(known, 0.0, rate, order) == pytest.approx(expected, rel=1e-10, abs=0)
        batch = batch_step_defects(
            BatchTaylor(np.array(known)[:, None]), np.zeros(1), np.array([rate]), order, np.ones((0, 1))
        )
        assert batch[0] == pytest.approx(expected, rel=1e-10, abs=0)
    with pytest.raises(HypothesisError, match="too many from order 18 on, got order 17"):
        step_defect(known, 0.0, rate, 17)


def test_more_cases_than_stand_side_by_side() -> None:
    assert batch_defects.SIDE_BY_SIDE == 64
    known = np.random.default_rng(1).random((3, 130)) + 0.1
    whole = batch_step_defects(BatchTaylor(known), np.zeros(130), np.full(130, 0.01), 1, np.ones((0, 130)), 3)
    for i in (0, 63, 64, 127, 128, 129):
        assert whole[i] == pytest.approx(plain_step(Derivatives(known[:, i]), 0.0, 0.01, 1, (), 3), rel=1e-10, abs=0)


def test_the_exponential_bound_is_its_formula() -> None:
    constant = 2 / (2 * math.log(2) - 1)
    for size, outer, eta in ((1.0, 1.0, 0.01), (2.5, 0.5, 1e-3), (0.125, 3.0, 0.25)):
        limit = outer / (math.e * constant * size)
        bound = exponential_bound(size, outer, eta)
        assert bound.value == pytest.approx(10.35 * eta * size * math.exp(-limit / eta), rel=1e-14, abs=0)
        assert bound.times.tolist() == [eta]
        assert f"of order {math.floor(limit / eta) - 1} from" in bound.claim
        assert len(bound.hypotheses) == 2
        assert exponential_bound(size, outer, limit * (1 - 1e-12)).claim.endswith("order 0 from gradient descent")
        with pytest.raises(HypothesisError, match="use a smaller eta"):
            exponential_bound(size, outer, limit * (1 + 1e-12))
    for wrong in ((0.0, 1.0, 0.1), (1.0, 0.0, 0.1), (1.0, 1.0, 0.0)):
        with pytest.raises(InputError, match="must be a finite number > 0"):
            exponential_bound(*wrong)


def test_term_bounds_are_their_formula() -> None:
    for order in (0, 1, 6):
        numbers = cauchy_numbers(order + 1)
        assert len(numbers) == order + 1
        for size, outer, inner in ((2.0, 3.0, 0.0), (0.5, 1.0, 0.75), (1.5, 4.0, None)):
            gap = outer / 2 if inner is None else outer - inner
            expected = [float(numbers[k]) * size * (k * size / gap) ** k for k in range(order + 1)]
            np.testing.assert_allclose(term_bounds(size, outer, order, inner=inner), expected, rtol=1e-14)
    for wrong in (-1e-9, 1.0):
        with pytest.raises(InputError, match=r"expected a number from 0 to radius = 1"):
            term_bounds(1.0, 1.0, 2, inner=wrong)


@pytest.mark.parametrize("shape", [(), (2,), (2, 3)])
def test_tree_bounds_take_any_shape(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(2)
    known = rng.random((4, *shape))
    flat = known.reshape(4, -1)
    expected = np.array([tree_bounds(flat[:, i], 5) for i in range(flat.shape[1])]).T.reshape(6, *shape)
    np.testing.assert_allclose(tree_bounds(known, 5), expected, rtol=1e-14)
    np.testing.assert_allclose(tree_bounds(np.concatenate([known, 0 * known]), 5), expected, rtol=1e-14)
    assert (tree_bounds(0 * known, 2) == 0).all()
    assert tree_bounds([np.inf, 1.0], 1).tolist() == [np.inf, np.inf]
    np.testing.assert_allclose(tree_bounds([np.inf, 0.0, 1.0], 0), [np.inf])
