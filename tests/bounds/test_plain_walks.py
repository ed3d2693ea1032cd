"""Measured distances against a plain reading of their formulas, one case and many."""

from __future__ import annotations

import itertools
import math
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import pytest
from bounds.bent import CENTRE, ETAS, LOSS, STARTS
from bounds.plain import EPS, FAMILY, One, length, step_rounded
from scipy.integrate import DOP853

import eomsym as eom
from eomsym.bounds import batch_measured, batches, measured
from eomsym.bounds.batch_measured import MeasuredWalk
from eomsym.bounds.rounding import field_rounding, outward
from eomsym.bounds.terms import tree_bounds
from eomsym.curvature import PolynomialFamily, curvature_of
from eomsym.curvature.hessian import EstimatedCurvature
from eomsym.errors import DivergenceError, HypothesisError

WEIGHT = sum(abs(b) for b in DOP853.B)


def chord(around: Any, radius: float, eta: float, order: int) -> float:
    if order == 0:
        return 0.0
    gradient, slope, _ = around.derivatives().at(0.0, 2)
    wide = max(radius, 1e-3 * gradient / slope)
    near, far = (tree_bounds(around.derivatives().at(f * wide, order), order) for f in (1.0, 1.125))
    return (1 + 1e-9) * sum(eta**k * (far[k] - near[k]) / (wide / 8) for k in range(1, order + 1))


def flow_stepped(around: Any, error: float, moved: float, jump: float, eta: float, further: Any) -> float:
    radius = error + 1.5 * moved
    return outward(math.exp(eta * (around.spectrum(radius).growth + further(radius))) * error + jump)


def descent_stepped(
    around: Any, state: tuple[float, float, np.ndarray], after: Any, way: Any, gradient: Any, defect: Any, hessian: Any,
    eta: float,
) -> tuple[float, float, np.ndarray]:  # fmt: skip
    """Distance, the part of it that is bounded in the norm, and the part that is a vector."""
    distance, rest, vector = state
    slope, ball = length(gradient), around.spectrum(distance)
    rounding = EPS * (length(way) + 2 * eta * slope) + 2 * eta * around.rounding()
    rounding += step_rounded(around, length(after) + 2 * distance, eta, slope + ball.smoothness * distance)
    plain = ball.amplification(eta) * distance + length(defect) + rounding
    third = around.third(distance)
    if third is not None:
        here = around.spectrum(0.0)
        lost = (8 + 8 * eta * here.smoothness * len(after)) * EPS * length(vector)
        rest = here.amplification(eta) * rest + eta / 2 * third * distance**2 + rounding + lost
        vector = vector - eta * hessian @ vector + defect
        plain = min(plain, length(vector) + rest)
    return outward(plain), rest, vector


STATES = [
    (0.0, 0.0, 0.0),
    (1e-9, 1e-16, 0.0),
    (0.125, 0.01, 0.0625),
    (2.0, 1e-12, 1e-3),
    (1e-15, 1e-15, 1e-15),
    (1e-3, 9.0, 1.0),
    (1e-9, 0.0, 1e6),  # rounding of the vector alone
]


@pytest.mark.parametrize("distance, rest, vector", STATES)
@pytest.mark.parametrize("defect", [0.0, 1e-17, 1e-3])
def test_a_step_of_a_measured_walk(distance: float, rest: float, vector: float, defect: float) -> None:
    kernel, eta = eom.compile(LOSS, 3), 0.25
    gradient = kernel.gradient(CENTRE)
    hessian = np.array([kernel.hessian_vector(CENTRE, e) for e in np.eye(2)])
    after, missed = CENTRE - eta * gradient + np.array([0.0, defect]), np.array([0.3 * defect, -defect])
    for known in (curvature_of(LOSS), EstimatedCurvature(eom.compile(LOSS, 0))):
        around = known.at(CENTRE)
        walk = measured._Walk(kernel.at_order(0), eta)
        walk.distance, walk.rest, walk.vector = distance, rest, vector * np.array([0.6, -0.8])
        state = (walk.distance, walk.rest, walk.vector)
        expected = descent_stepped(around, state, after, after - CENTRE, gradient, missed, hessian, eta)
        walk.descent_step(around, CENTRE, after, gradient, missed)
        assert walk.distance == pytest.approx(expected[0], rel=1e-12, abs=0)
        assert walk.rest == pytest.approx(expected[1], rel=1e-12, abs=0)
        np.testing.assert_allclose(walk.vector, expected[2], rtol=1e-12)
        for order in range(3):
            walk = measured._Walk(kernel.at_order(order), eta)
            walk.error = distance
            if known.proven or not order:
                steeper = partial(chord, around, eta=eta, order=order)
                expected_error = flow_stepped(around, distance, 0.01, defect, eta, steeper)
            else:
                jacobian = [kernel.at_order(order).jacobian_vector(CENTRE, e, eta) for e in np.eye(2)]
                twice = 2 * float(np.linalg.norm(np.array(jacobian) + hessian))
                expected_error = flow_stepped(around, distance, 0.01, defect, eta, lambda r, t=twice: t)
            walk.flow_step(around, CENTRE, 0.01, defect)
            assert walk.error == pytest.approx(expected_error, rel=1e-9, abs=0)


def dop(field: Any, point: np.ndarray, time: float, parts: int) -> tuple[np.ndarray, float]:
    """Equal steps of DOP853, as its tableau says, and the estimate of their errors (Hairer et al. 1993, (II.10.17))."""
    h, moved, error = time / parts, np.zeros_like(point), 0.0
    for _ in range(parts):
        slopes: list[np.ndarray] = []
        for row in DOP853.A[:12]:
            slopes.append(field(point + (moved + h * sum((a * s for a, s in zip(row, slopes)), 0 * point))))  # noqa: B905
        moved = moved + h * sum(b * s for b, s in zip(DOP853.B, slopes, strict=True))
        fifth, third = (
            length(h * sum(e * s for e, s in zip(row[:12], slopes, strict=True))) for row in (DOP853.E5, DOP853.E3)
        )
        error += fifth**2 / math.sqrt(fifth**2 + 0.01 * third**2) if fifth else 0.0
    return moved, error


def test_the_ways_of_motions() -> None:
    kernel = eom.compile(LOSS, 3).at_order(2)
    points = np.array([CENTRE, -CENTRE])
    for parts in (1, 3):
        found = measured._move(kernel, points, 0.2, parts)
        for row, error, point in zip(*found, points, strict=True):
            moved, lost = dop(lambda p: kernel.field(p, 0.2), point, 0.2, parts)
            np.testing.assert_allclose(row, moved, rtol=1e-13)
            assert error == pytest.approx(lost, rel=1e-6, abs=1e-17)
        many = batch_measured._moves(FAMILY, STARTS, ETAS, 2, parts)
        for i in range(3):
            part = FAMILY[[i]]
            moved, lost = dop(lambda p, f=part, e=ETAS[[i]]: f.field(p[None], e, 2)[0], STARTS[i], ETAS[i], parts)
            np.testing.assert_allclose(many[0][i], moved, rtol=1e-13)
            assert many[1][i] == pytest.approx(lost, rel=1e-6, abs=1e-17)
    assert np.isnan(measured._move(kernel, np.full((1, 2), 1e200), 1.0, 2)[0]).all()
    assert measured.embedded_error(np.zeros((12, 2, 3))).tolist() == [0.0, 0.0]
    walk, centres = MeasuredWalk(FAMILY, STARTS, ETAS, 1), STARTS.copy()
    for _ in range(3):
        walk.advance()
        for i, parts in enumerate(walk.parts):
            centres[i] += batch_measured._moves(FAMILY[[i]], centres[[i]], ETAS[[i]], 1, int(parts))[0][0]
        np.testing.assert_allclose(walk.centres, centres, rtol=1e-15)


def way_rounding(stiff: float, size: float, speed: float, field: float, eta: float) -> float:
    return EPS * size + 8 * EPS * (stiff * size + eta * speed) + WEIGHT * eta * field * (1 + stiff)


@pytest.mark.parametrize("order", range(3))
def test_the_rounding_of_ways(order: int) -> None:
    kernel, known = eom.compile(LOSS, 3).at_order(order), curvature_of(LOSS)
    for points in (np.array([CENTRE, -3 * CENTRE]), np.zeros((1, 2)), 1e6 * CENTRE[None]):
        around = [known.at(point) for point in points]
        for eta in (0.25, 1e-4):
            found = measured._rounding(kernel, around, points, eta)
            for i, here in enumerate(around):
                terms = kernel.terms(points[i])
                field = field_rounding(kernel, here, terms, eta)
                stiff = eta * here.spectrum(0.0).smoothness
                expected = way_rounding(stiff, length(points[i]), length(terms[0]), field, eta)
                assert found[i] == pytest.approx(expected, rel=1e-13, abs=0)


@pytest.mark.parametrize("order", range(3))
def test_the_doubts_of_many_ways(monkeypatch: pytest.MonkeyPatch, order: int) -> None:
    for starts, parts in ((STARTS, 8), (1e-3 * STARTS, 8), (STARTS, 2)):
        monkeypatch.setattr(batch_measured, "MOST_PARTS", parts)  # no second attempt
        walk, around = MeasuredWalk(FAMILY, starts, ETAS, order), FAMILY.around(starts)
        walk.parts[:] = parts
        moved, doubts = walk._ways(around)
        ways, errors = batch_measured._moves(FAMILY, starts, ETAS, order, parts)
        for i in range(3):
            one, part = One(around, i), FAMILY[[i]]
            again = batch_measured._moves(part, starts[[i]], ETAS[[i]], order, parts // 2)[0][0]
            change = 2 * length(ways[i] - again)
            speed = length(one.gradient)
            sizes = tree_bounds(one.derivatives().at(0.0, order), order)
            series = sum(ETAS[i] ** j * sizes[j] for j in range(1, order + 1))
            field = one.rounding() + 256 * EPS * series + 4 * EPS * speed
            stiff = ETAS[i] * one.spectrum(0.0).smoothness
            rounding = way_rounding(stiff, length(starts[i]), speed, field, ETAS[i])
            lost = 64 * EPS * length(ways[i])  # of a difference of two ways
            if max(change, errors[i]) <= 1e-14 * length(ways[i]) + rounding:
                np.testing.assert_array_equal(moved[i], ways[i])
                assert doubts[i] == pytest.approx(change + errors[i] + rounding, rel=1e-6, abs=lost)
                assert walk.parts[i] == parts
            else:
                assert np.isnan([*moved[i], doubts[i]]).all()
                assert walk.parts[i] == np.inf
        assert np.isfinite(doubts).any() == (parts == 8)
    endless = PolynomialFamily([[4]], [[-1.0]] * 2)
    walk = MeasuredWalk(endless, np.array([[0.1], [9.0]]), np.full(2, 0.1), order)
    with np.errstate(all="ignore"):
        values = [walk.advance() for _ in range(2)]
    assert np.isfinite(values)[:, 0].all()
    assert not np.isfinite(values)[:, 1].any()


@pytest.mark.parametrize("order", range(3))
@pytest.mark.parametrize("scale", [1.0, 1e-7])
def test_many_measured_walks(order: int, scale: float) -> None:
    sizes = np.random.default_rng(0).random((3, 4)) * scale * 10.0 ** np.array([-16, -3, -9, -1])
    for wide in (sizes, 1e-18 * sizes, 0 * sizes):
        walk, centres = MeasuredWalk(FAMILY, scale * STARTS, ETAS, order), scale * STARTS
        errors: list[float] = [0.0] * 3
        states: list[Any] = [(0.0, 0.0, np.zeros(2))] * 3
        for k in range(4):
            around = FAMILY.around(centres)
            moved, _ = batch_measured._moves(FAMILY, centres, ETAS, order, 8)
            after = centres + moved
            way = after - centres
            jump = np.linalg.norm(way - moved, axis=1) + wide[:, k]
            walk._flow_step(around, moved, jump)
            walk._descent_step(around, after, way)
            for i, eta in enumerate(ETAS):
                one = One(around, i)
                errors[i] = flow_stepped(
                    one, errors[i], length(moved[i]), jump[i], eta,
                    lambda r, a=one, e=eta: chord(a, r, e, order) if order else 0.0,
                )  # fmt: skip
                defect = way[i] + eta * one.gradient
                states[i] = descent_stepped(
                    one, states[i], after[i], way[i], one.gradient, defect, one.hessian, eta
                )  # fmt: skip
                assert walk.error[i] == pytest.approx(errors[i], rel=1e-9, abs=0)
                assert walk.distance[i] == pytest.approx(states[i][0], rel=1e-9, abs=0)
            centres = after


def test_rounding_is_all_that_is_left_of_a_walk_there_and_back(monkeypatch: pytest.MonkeyPatch) -> None:
    # On x**2/2 the vector is exact and comes back to zero: what is left is what the vector may have lost on the way.
    losses, eta, far = PolynomialFamily([[2]], [[0.5]]), 0.25, 2.0**20
    for doubt in (0.0, 1e-9):
        walk = MeasuredWalk(losses, np.zeros((1, 1)), np.array([eta]), 0)
        error, state = 0.0, (0.0, 0.0, np.zeros(1))
        for here, after in ((0.0, far), (far, 0.0)):
            way = np.array([after - here])
            monkeypatch.setattr(walk, "_ways", lambda around, w=way, d=doubt: (w[None], np.array([d])))
            around = One(losses.around(np.array([[here]])), 0)
            found = walk.advance()[0]
            error = flow_stepped(around, error, far, doubt, eta, lambda r: 0.0)
            defect = way + eta * here
            state = descent_stepped(around, state, np.array([after]), way, around.gradient, defect, around.hessian, eta)
        assert state[2][0] == 0
        assert found == pytest.approx(outward(state[0] + error), rel=1e-12, abs=0)
        assert found < 1e-7


def test_a_measured_distance_is_its_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel, known, eta = eom.compile(LOSS, 3).at_order(1), curvature_of(LOSS), 0.2
    found, part = measured.measured_distances(kernel, known, CENTRE, eta, 3)
    asked: list[int] = []
    move = measured._move
    with monkeypatch.context() as patch:
        patch.setattr(measured, "_move", lambda k, p, e, parts: asked.append(parts) or move(k, p, e, parts))
        centres, moves, doubts, around = measured._motion(kernel, known, CENTRE, eta, 3)
    walk, expected = measured._Walk(kernel, eta), [0.0]
    for k in range(3):
        jump = float(np.linalg.norm(centres[k + 1] - centres[k] - moves[k])) + doubts[k]
        gradient = kernel.gradient(centres[k])
        walk.flow_step(around[k], centres[k], float(np.linalg.norm(moves[k])), float(jump))
        walk.descent_step(around[k], centres[k], centres[k + 1], gradient, centres[k + 1] - centres[k] + eta * gradient)
        expected.append(outward(walk.distance + walk.error))
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    assert part == walk.error
    assert len(measured.measured_distances(kernel, known, CENTRE, eta, 3, found[1])[0]) == 3
    assert len(measured.measured_distances(kernel, known, CENTRE, eta, 3, found[1] * (1 - 1e-9))[0]) == 2
    rounded = measured._rounding(kernel, around, centres[:3], eta)
    change = 2 * np.linalg.norm(moves - move(kernel, centres[:3], eta, asked[-1])[0], axis=1)
    lost = [move(kernel, centres[k : k + 1], eta, 2 * asked[-1])[1][0] for k in range(3)]
    np.testing.assert_allclose(doubts, change + lost + rounded, rtol=1e-12)
    monkeypatch.setattr(measured._Walk, "flow_step", lambda self, *rest: setattr(self, "error", self.error * np.inf))
    monkeypatch.setattr(measured, "outward", lambda value: np.inf)
    with pytest.raises(HypothesisError, match="needed a finite tube, got inf after 1 steps; use fewer"):
        measured.measured_distances(kernel, known, CENTRE, eta, 3)


def parts_of(monkeypatch: pytest.MonkeyPatch, loss: Any = LOSS, start: Any = CENTRE, eta: float = 0.2) -> list[int]:
    """Into how many parts the steps of a motion of order 0 are cut, attempt by attempt."""
    asked: list[int] = []
    move = measured._move
    with monkeypatch.context() as patch:
        patch.setattr(measured, "_move", lambda k, p, e, parts: asked.append(parts) or move(k, p, e, parts))
        with suppress(DivergenceError):
            measured._motion(eom.compile(loss, 0), curvature_of(loss), np.asarray(start, dtype=float), eta, 1)
    return asked


def test_into_how_many_parts_a_step_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    square = eom.Loss("x**2/2", variables="x")
    for eta, first in ((1e-3, 2), (0.5 - 1e-9, 2), (0.5 + 1e-9, 4), (1 - 1e-9, 4), (1.2, 6)):
        assert parts_of(monkeypatch, square, [1.0], eta)[0] == first
    assert parts_of(monkeypatch, square, [1.0], 100.0)[0] == 128
    assert parts_of(monkeypatch, square, [1.0], 0.4) == [2, 1, 8, 4]
    # With the most parts a change of a millionth will do.
    for share, fine in ((0.9e-6, True), (1.1e-6, False)):
        turns = itertools.cycle([0.0, share / 2])  # what halving changes
        monkeypatch.setattr(measured, "_move", lambda k, p, *_, t=turns: (np.full_like(p, 1.0 + next(t)), np.zeros(1)))
        monkeypatch.setattr(measured, "_rounding", lambda *rest: 0.0)
        monkeypatch.setattr(measured, "MOST_PARTS", 256)
        if fine:
            centres, _, doubts, _ = measured._motion(eom.compile(square, 0), curvature_of(square), np.ones(1), 16.0, 1)
            assert doubts[0] == pytest.approx(share, rel=1e-9, abs=0)
            assert centres.tolist() == [[1.0], [2.0]]
        else:
            with pytest.raises(
                DivergenceError, match="order 0 cannot be followed beyond step 0 of 1 with eta = 16; use"
            ):
                measured._motion(eom.compile(square, 0), curvature_of(square), np.ones(1), 16.0, 1)


def test_into_how_many_parts_many_steps_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    assert batch_measured.MOST_PARTS == 32
    losses = PolynomialFamily([[2]], [[0.5]] * 8)
    etas = np.array([1e-3, 0.5 - 1e-9, 0.5 + 1e-9, 1 - 1e-9, 1 + 1e-9, 8 - 1e-9, 8 + 1e-9, 1e9])
    asked: list[tuple[int, list[float]]] = []
    least = 8

    def moves(family: Any, points: Any, eta: Any, order: int, parts: int) -> Any:
        """What halving changes is nothing from so many parts on."""
        asked.append((parts, eta.tolist()))
        change = 0.0 if parts >= least / 2 else np.inf if parts == 1 else float(parts)
        return np.full(points.shape, change), np.zeros(len(points))

    monkeypatch.setattr(batch_measured, "_moves", moves)
    walk = MeasuredWalk(losses, np.ones((8, 1)), etas, 0)
    assert walk.parts.tolist() == [2, 2, 4, 4, 8, 32, 32, 32]
    with np.errstate(all="ignore"):
        walk.advance()
    # Four times as many where they do not do, and so from there on.
    assert [parts for parts, _ in asked] == [2, 1, 4, 2, 8, 4, 16, 8, 32, 16]
    assert asked[4][1] == [*etas[:2], etas[4]]
    assert asked[6][1] == etas[2:4].tolist()
    assert asked[8][1] == etas[5:].tolist()
    assert walk.parts.tolist() == [8, 8, 16, 16, 8, 32, 32, 32]
    asked.clear()
    walk.advance()
    assert [parts for parts, _ in asked] == [8, 4, 16, 8, 32, 16]
    # Up to the most; then there is no number.
    least = 1000
    values = batches.many_distances(losses[:7], np.ones((7, 1)), eta=etas[:7], steps=2)
    np.testing.assert_array_equal(values, np.tile([0.0, np.inf, np.inf], (7, 1)))
