"""Closed-form distances against a plain reading of their formulas, one case and many."""

from __future__ import annotations

import math
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from bounds.bent import CENTRE, ETAS, LOSS, STARTS
from bounds.plain import EPS, FAMILY, One, length, step_rounded

import eomsym as eom
from eomsym.bounds import batches, proven
from eomsym.bounds.batch_defects import batch_step_defects
from eomsym.bounds.rounding import outward, step_rounding
from eomsym.bounds.terms import tree_bounds
from eomsym.bounds.truncation import step_defect
from eomsym.curvature import PolynomialFamily, curvature_of
from eomsym.curvature.hessian import GivenCurvature, Spectrum
from eomsym.errors import HypothesisError, InputError, ShapeError


def euler(around: Any, distance: float, eta: float, curved: float) -> float | None:
    """The first of growing balls that the flow cannot leave, and the larger of two bounds there."""
    radius = distance + 1.1 * eta * around.spectrum(distance).slope
    for _ in range(60):
        if radius > 1e100:
            return None
        ball = around.spectrum(radius)
        if distance + eta * ball.slope <= radius:
            found = [ball.smoothness * ball.slope]
            third = around.third(radius)
            if third is not None:
                found.append(curved + radius * (ball.smoothness**2 + third * ball.slope))
            return eta**2 * min(found) / 2
        radius = distance + 1.1 * eta * ball.slope
        if not math.isfinite(radius):
            return None
    return None


def curved_at(around: Any, gradient: Any, hessian: Any) -> float:
    smoothness = around.spectrum(0.0).smoothness
    rounding = 256 * EPS * len(gradient) * smoothness * length(gradient) + smoothness * around.rounding()
    return length(hessian @ gradient) + rounding


@np.errstate(over="ignore", invalid="ignore")
def test_the_defects_of_euler_steps() -> None:
    kernel, around = eom.compile(LOSS, 0), curvature_of(LOSS).at(CENTRE)
    gradient = kernel.gradient(CENTRE)
    hessian = np.array([kernel.hessian_vector(CENTRE, e) for e in np.eye(2)])
    curved = proven._curved(kernel, around, CENTRE, gradient)
    assert curved == pytest.approx(curved_at(around, gradient, hessian), rel=1e-14, abs=0)
    cancelling: Any = SimpleNamespace(spectrum=lambda r: Spectrum(-3.0, 2.0, 1.0), rounding=lambda: 1e-7)
    still: Any = SimpleNamespace(hessian_vector=lambda theta, v: 0 * v)
    assert proven._curved(still, cancelling, CENTRE, np.array([3.0, 4.0])) == pytest.approx(
        256 * EPS * 2 * 3 * 5 + 3e-7, rel=1e-14, abs=0
    )
    seen = set()
    given = GivenCurvature(lambda x, r: 0.0, lambda x, r: 2.0, lambda x, r: 0.5 + r * r).at(CENTRE)
    for here in (around, given):
        for distance in (0.0, 1e-6, 0.1, 0.7):
            for eta in (1e-3, 0.1, 0.3, 0.42, 0.5, 3.0):
                expected = euler(here, distance, eta, 0.125)
                seen.add(expected is None)
                if expected is None:
                    with pytest.raises(HypothesisError, match=r"no bound: needed (a|finite)"):
                        proven._euler_defect(here, distance, eta, 0.125)
                else:
                    assert proven._euler_defect(here, distance, eta, 0.125) == pytest.approx(expected, rel=1e-13, abs=0)
    assert seen == {True, False}
    many = FAMILY.around(STARTS)
    for distance in (0.0, 1e-6, 0.1, 2.0):
        for eta in (1e-5, 0.05, 0.2, 2.0):
            found = batches._euler_defects(many, np.full(3, distance), np.full(3, eta))
            for i in range(3):
                one = One(many, i)
                expected = euler(one, distance, eta, curved_at(one, one.gradient, one.hessian))
                assert found[i] == pytest.approx(math.inf if expected is None else expected, rel=1e-12, abs=0)


def test_a_ball_that_the_flow_may_just_not_leave() -> None:
    # 1.1 times the way: with a slope that grows by a tenth at once the ball of the first attempt will do exactly.
    for tenth, smoothness in ((1.1, 3.0), (1.1 + 1e-12, 3.0)):
        slopes: list[float] = []

        def slope(x: Any, r: float, big: float = tenth, seen: list[float] = slopes) -> float:
            seen.append(r)
            return 1.0 if r == 0 else big

        around = GivenCurvature(lambda x, r: 0.0, lambda x, r, s=smoothness: s, slope).at(CENTRE)
        assert proven._euler_defect(around, 0.0, 1.0, 9.0) == pytest.approx(0.5 * 3.0 * tenth, rel=1e-14, abs=0)
        assert len(slopes) == (2 if tenth == 1.1 else 3)
    assert proven.ENLARGEMENTS == 60
    tried: list[float] = []

    def climbing(x: Any, r: float) -> float:
        tried.append(r)
        return 1.0 + 2 * r

    with pytest.raises(HypothesisError, match="got radii up to"):
        proven._euler_defect(GivenCurvature(lambda x, r: 0.0, lambda x, r: 1.0, climbing).at(CENTRE), 0.0, 1.0, 1.0)
    assert len(tried) == 61


def rounded(order: int, share: float) -> float:
    """Rounding of a term over its trees: the gradient, with this share of rounding, is in them `order + 1` times."""
    return min(1.0, 256 * EPS + 2 * float((1 + Fraction(share)) ** (order + 1) - 1))


@pytest.mark.parametrize("order", range(3))
def test_closed_forms_are_their_recursion(order: int) -> None:
    kernel, known, eta = eom.compile(LOSS, 3), curvature_of(LOSS), 0.05
    for scale in (1.0, 1e-9):
        path = eom.descend(LOSS, scale * CENTRE, eta=eta, steps=3).thetas
        part = kernel.at_order(order + 1 if order else 0)
        found = proven.proven_distances(part, known, path, eta, order)
        distance = drift = 0.0
        for k in range(3):
            around, gradient = known.at(path[k]), kernel.gradient(path[k])
            if order:
                known_here = around.derivatives()
                sizes = [length(row) for row in kernel.terms(path[k])[: order + 2]]
                trees = tree_bounds(known_here.at(0.0, order + 1), order + 1)
                rounds = [tree * rounded(k, around.rounding() / trees[0]) for k, tree in enumerate(trees)]
                sizes = [size + lost for size, lost in zip(sizes, rounds, strict=True)]
                defect = step_defect(known_here, distance, eta, order, sizes)
            else:
                hessian = np.array([kernel.hessian_vector(path[k], e) for e in np.eye(2)])
                defect = euler(around, distance, eta, curved_at(around, gradient, hessian)) or math.inf
            rounding = step_rounding(around, length(path[k + 1]), eta, length(gradient))
            distance = outward(around.spectrum(distance).amplification(eta) * distance + defect + rounding)
            drift = outward(around.spectrum(drift).amplification(eta) * drift + rounding)
            assert found[k + 1] == pytest.approx(outward(distance + drift), rel=1e-11, abs=0)
    assert len(proven.proven_distances(part, known, path, eta, order, found[1])) == 3
    assert len(proven.proven_distances(part, known, path, eta, order, found[1] * (1 - 1e-9))) == 2


@np.errstate(over="ignore", invalid="ignore")
@pytest.mark.parametrize("order", range(3))
def test_many_closed_forms_and_tubes_are_their_recursions(order: int) -> None:
    for starts, etas in ((STARTS, 0.2 * ETAS), (1e-9 * STARTS, ETAS)):
        found = batches.many_distances(FAMILY, starts, eta=etas, steps=3, order=order, certificate="closed_form")
        tubed = batches.many_distances(FAMILY, starts, eta=etas, steps=3, order=order, certificate="proven")
        tube = batches.BatchTube(FAMILY, starts, etas, order)
        thetas, distance, drift, other = starts, np.zeros(3), np.zeros(3), np.zeros(3)
        for k in range(3):
            around = FAMILY.around(thetas)
            after = thetas - etas[:, None] * around.gradients
            if order:
                sizes = np.linalg.norm(FAMILY.terms(thetas, order + 1), axis=2).T
                trees = tree_bounds(around.known.known, order + 1)
                shares = around.rounding() / trees[0]
                sizes = sizes + trees * [[rounded(k, share) for share in shares] for k in range(len(trees))]
                defects = batch_step_defects(around.known, distance, etas, order, sizes)
            else:
                defects = batches._euler_defects(around, distance, etas)
            tube.advance()
            for i in range(3):
                one = One(around, i)
                rounding = step_rounded(one, length(after[i]), etas[i], length(one.gradient))
                grown = one.spectrum(distance[i]).amplification(etas[i]) * distance[i]
                distance[i] = outward(grown + defects[i] + rounding)
                drift[i] = outward(one.spectrum(drift[i]).amplification(etas[i]) * drift[i] + rounding)
                expected = outward(distance[i] + drift[i])
                assert found[i, k + 1] == pytest.approx(
                    math.inf if math.isnan(expected) else expected, rel=1e-11, abs=0
                )
                other[i] = length(tube.centres[i] - after[i]) * (1 + 2 * EPS) + drift[i] + tube.radii[i]
                assert tubed[i, k + 1] == pytest.approx(outward(other[i]), rel=1e-11, abs=0)
            thetas = after
        np.testing.assert_array_equal(found[:, 0], 0.0)
        np.testing.assert_array_equal(tubed[:, 0], 0.0)


def test_what_has_no_end_stays_infinite() -> None:
    losses = PolynomialFamily([[4], [2]], [[-1.0, 0.0], [0.0, 0.5]])
    for certificate in ("measured", "proven", "closed_form"):
        found = batches.many_distances(losses, [[3.0], [1.0]], eta=0.5, steps=6, certificate=certificate)
        assert np.isinf(found[0, 1:]).all()
        assert found[0, 0] == 0
        assert np.isfinite(found[1]).all()
        again = batches.many_distances(losses[[1]], [[1.0]], eta=[0.5], steps=6, certificate=certificate)
        np.testing.assert_array_equal(found[1], again[0])
    losses = PolynomialFamily([[4]], [[-1.0]])
    late = batches.many_distances(losses, [[0.7]], eta=0.1, steps=40, order=0, certificate="proven")[0]
    ended = int(np.argmax(np.isinf(late)))
    assert 1 < ended < 40
    assert np.isinf(late[ended:]).all()
    assert np.isfinite(late[:ended]).all()


def test_orders_and_shapes_of_many() -> None:
    losses = PolynomialFamily([[2]], [[0.5], [0.5]])
    high = batches.many_distances(losses, [[1.0], [2.0]], eta=0.05, steps=1, order=16, certificate="proven")
    assert (high[:, 1] < 1e-12).all()
    assert high.shape == (2, 2)
    for starts in ([1.0, 2.0], [[[1.0]], [[2.0]]], [[np.nan], [1.0]], [[np.inf], [1.0]]):
        with pytest.raises((ShapeError, InputError), match=r"a start in each row|starts must be finite"):
            batches.many_distances(losses, starts, eta=0.1, steps=1)
    for eta in (np.nan, np.inf, [np.inf, 1.0], [0.1], [[0.1, 0.1]], [0.1, 0.1, 0.1], 0.0):
        with pytest.raises(InputError, match=r"expected positive numbers, one or 2|eta must be finite"):
            batches.many_distances(losses, [[1.0], [2.0]], eta=eta, steps=1)
    for starts in ([[1.0]], [[1.0, 1.0], [1.0, 1.0]]):
        with pytest.raises(ShapeError, match=r"expected \(2, 1\), one for each loss"):
            batches.many_distances(losses, starts, eta=0.1, steps=1)
    with pytest.raises(InputError, match="steps must be an integer from 1 to 10000000000, got 0"):
        batches.many_distances(losses, [[1.0], [2.0]], eta=0.1, steps=0)
