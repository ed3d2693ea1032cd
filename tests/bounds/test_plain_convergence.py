"""The guarantee of convergence against a plain reading of its formulas, and its hypotheses at the edge."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

import eomsym as eom
from eomsym.bounds import convergence
from eomsym.bounds.convergence import guarantee_convergence
from eomsym.dynamics.deep_linear import ScalarMotion
from eomsym.errors import HypothesisError, InputError


def loss_of(widths: tuple[int, ...], target: Any, noise: float = 0.0) -> eom.DeepLinear:
    """White data: two orthogonal inputs of length root two, and the vector that fits them."""
    inputs = np.sqrt(2) * np.eye(2)
    return eom.DeepLinear(widths, np.vstack([inputs, inputs]),
                          np.concatenate([inputs @ target + noise, inputs @ target - noise])[:, None])  # fmt: skip


def start_of(loss: eom.DeepLinear, radius: float, angle: float) -> np.ndarray:
    """All matrices of rank one and norm ``radius**(1/n)``, the product at an angle from the first axis."""
    size = radius ** (1 / loss.depth)
    matrices = []
    unit = np.array([math.cos(angle), math.sin(angle)])
    for rows in loss.widths[1:]:
        ahead = np.zeros(rows)
        ahead[-1] = 1.0
        matrices.append(size * np.outer(ahead, unit))
        unit = ahead
    return loss.pack(*matrices)


def derivatives(n: int, norm: float, distance: float) -> tuple[float, float, float]:
    """``(norm + distance/root(n))**n - norm**n``, and bounds on both derivatives."""
    change = (norm + distance / math.sqrt(n)) ** n - norm**n
    wide = norm + distance
    return change, math.sqrt(n) * wide ** (n - 1), (n - 1) * wide ** (n - 2) if n > 1 else 0.0


def walked(n: int, widths: list[float], norms: list[float], errors: list[float], eta: float) -> float:
    distance = 0.0
    if eta > min(widths):
        return math.inf
    for i, h in enumerate(widths):
        norm = max(norms[i : i + 2])
        _, p1, p2 = derivatives(n, norm, 0.0)
        created = eta / 2 * (p1**2 + p2 * errors[i]) * p1 * errors[i]
        guess = 1.5 * distance + 2 * h * created
        for _ in range(30):
            change, p1, p2 = derivatives(n, norm, guess)
            growth = p2 * (errors[i] + change)
            if eta * (p1**2 + growth) > 2 or growth * h >= 50:
                return math.inf
            end = math.exp(growth * (h + eta)) * (distance + (h + eta) * created)
            if end <= guess:
                break
            guess = 1.2 * end
        else:
            return math.inf
        distance = end
    return distance


@pytest.mark.parametrize("n", range(1, 6))
def test_derivatives_of_a_product_of_equal_norms(n: int) -> None:
    for norm in (0.5, 1.0, 1.75):
        for distance in (0.0, 0.25, 2.0):
            expected = derivatives(n, norm, distance)
            assert convergence._derivatives(n, norm, distance) == pytest.approx(expected, rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("n", range(1, 5))
def test_the_walk_is_its_recursion(n: int) -> None:
    rng = np.random.default_rng(n)
    seen = set()
    for scale in (0.01, 0.3, 1.0, 4.0):
        for _ in range(8):
            widths, norms, errors = rng.random(5) * scale + 0.01, rng.random(5) + 0.25, np.sort(rng.random(5))[::-1]
            walk = convergence._Walk(n, widths, norms, errors)
            for eta in (1e-4, 1e-2, 0.99 * widths.min(), widths.min(), widths.min() * (1 + 1e-9)):
                expected = walked(n, widths.tolist(), norms.tolist(), errors.tolist(), eta)
                seen.add(math.isinf(expected))
                assert walk.distance(eta) == pytest.approx(expected, rel=1e-12, abs=0)
    assert seen == {True, False}


@pytest.mark.parametrize("n", range(1, 5))
def test_the_walk_bounds_itself(n: int) -> None:
    """In one piece the distance is no smaller than what it allows for, and near the smallest such distance."""
    rng, known = np.random.default_rng(100 + n), 0
    for _ in range(60):
        h, norm, error = 10.0 ** rng.uniform(-2, 0), rng.uniform(0.25, 1.25), rng.uniform(0, 1)
        eta = h * 10.0 ** rng.uniform(-4, -1)
        _, p1, p2 = derivatives(n, norm, 0.0)
        created = eta / 2 * (p1**2 + p2 * error) * p1 * error

        def allowed(distance: float, h=h, norm=norm, error=error, eta=eta, created=created) -> float:
            change, _, second = derivatives(n, norm, distance)
            return math.exp(second * (error + change) * (h + eta)) * (h + eta) * created

        found = convergence._Walk(n, np.array([h]), np.array([norm]), np.array([error])).distance(eta)
        if math.isinf(found):
            continue
        known += 1
        assert allowed(found) <= found * (1 + 1e-12)
        grid = found * np.linspace(0.25, 1, 400)
        least = next(d for d in grid if allowed(d) <= d * (1 + 1e-12))
        assert found <= 2 * least
    assert known > 20


def test_the_ends_of_the_walk() -> None:
    # One matrix: the curvature is one, nothing grows, and a step is stable up to eta = 2.
    walk = convergence._Walk(1, np.array([4.0]), np.array([1.0]), np.array([1.0]))
    assert walk.distance(2.0) == 6.0
    assert walk.distance(2.0 * (1 + 1e-12)) == math.inf
    # Two matrices: nothing is created where there is no error, and growth times h is below 50.
    for error, ended in ((49.9, False), (50.1, True)):
        walk = convergence._Walk(2, np.array([1.0]), np.array([1e-9]), np.array([error]))
        assert math.isinf(walk.distance(1e-60)) == ended


@pytest.mark.parametrize("n", [1, 2, 3])
def test_the_flow_to_the_target(n: int) -> None:
    motion = ScalarMotion(n, 1.5)
    unit = {1: 1.0, 2: 0.5, 3: 0.5}[n]  # the power of two next to 1.5**(2/n - 2)
    for radius, cosine, reach, pieces in ((0.7, 0.6, 0.05, 40), (0.5, 1.0, 0.2, 7), (1.6, 0.9, 1e-4, 100)):
        times, radii, errors = convergence._descent_of_flow(motion, radius, cosine, reach, pieces)
        last = unit
        while True:
            grid = [last * i / pieces for i in range(pieces + 1)]
            path = motion.path(radius, cosine, np.array(grid))
            gaps = [math.hypot(r * c - 1.5, r * math.sqrt(max(1 - c * c, 0.0))) for r, c in zip(*path, strict=True)]
            first = next((i for i, gap in enumerate(gaps) if gap <= reach), None)
            if first is not None:
                break
            last *= 2
        np.testing.assert_allclose(times, np.linspace(0, grid[max(first, 1)], pieces + 1), rtol=1e-13)
        again = motion.path(radius, cosine, times)
        np.testing.assert_allclose(radii, again[0], rtol=1e-14)
        gaps = [math.hypot(r * c - 1.5, r * math.sqrt(max(1 - c * c, 0.0))) for r, c in zip(*again, strict=True)]
        np.testing.assert_allclose(errors, gaps, rtol=1e-6, atol=1e-9)
        assert errors[-1] <= reach * (1 + 1e-9)
    # A start that is there already takes one piece of the unit of time.
    times, radii, errors = convergence._descent_of_flow(motion, 1.5, 1.0, 0.1, 10)
    assert times[-1] == pytest.approx(0.1 * unit, rel=1e-9, abs=0)
    assert len(times) == len(radii) == len(errors) == 11


class Still(ScalarMotion):
    """A motion that never arrives."""

    def path(self, radius: float, cosine: float, times: Any) -> Any:
        return np.full(len(times), radius), np.full(len(times), cosine)


def test_a_flow_that_never_arrives() -> None:
    with pytest.raises(HypothesisError, match=r"reach the goal, got no end before time 1\.15e\+18"):
        convergence._descent_of_flow(Still(2, 1.0), 0.5, 1.0, 0.1, 4)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_the_largest_rate_is_found(n: int) -> None:
    motion = ScalarMotion(n, 1.5)
    for radius, cosine, reach, pieces in ((0.7, 0.6, 0.2, 50), (0.5, 0.9, 0.02, 10), (1.4, 1.0, 0.3, 3)):
        rate, time, walk = convergence._largest_rate(motion, radius, cosine, reach, pieces)
        times, radii, errors = convergence._descent_of_flow(motion, radius, cosine, reach / 2, pieces)
        assert time == times[-1]
        widths, norms = np.diff(times).tolist(), [max(a, b) ** (1 / n) for a, b in itertools.pairwise(radii)]
        np.testing.assert_allclose(walk.norms, norms, rtol=1e-14)
        np.testing.assert_array_equal(walk.errors, errors[:-1])

        known = (widths, norms, errors[:-1].tolist(), radii, reach)

        def suits(eta: float, part: Any = known) -> bool:
            w, s, e, r, goal = part
            distance = walked(n, w, s, e, eta)
            return math.isfinite(distance) and derivatives(n, r[-1] ** (1 / n), distance)[0] <= goal / 2

        low = high = times[1]
        while not suits(low):
            low, high = low / 2, low
        for _ in range(12 if high > low else 0):
            middle = math.sqrt(low * high)
            low, high = (middle, high) if suits(middle) else (low, middle)
        assert rate == pytest.approx(low, rel=1e-12, abs=0)


def test_the_whole_guarantee() -> None:
    target = np.array([1.5, 0.0])
    for n, noise, epsilon, cells in ((1, 0.0, 0.01, 400), (2, 0.25, 0.02, 80), (3, 0.5, 0.05, 41)):
        loss = loss_of((2, *([2] * (n - 1)), 1), target, noise)
        start = start_of(loss, 0.7, 0.9)
        found = guarantee_convergence(loss, start, epsilon=epsilon, cells=cells)
        motion, reach = ScalarMotion(n, 1.5), math.sqrt(2 * epsilon)
        tried = [convergence._largest_rate(motion, 0.7, math.cos(0.9), reach, count)
                 for count in {cells, math.ceil(cells / 8), math.ceil(cells / 40)}]  # fmt: skip
        rate, time, walk = max(tried, key=lambda one: one[0])
        assert found.steps == pytest.approx(math.ceil(time / rate), abs=1)
        assert found.time == pytest.approx(time, rel=1e-9, abs=0)
        assert found.eta * found.steps == pytest.approx(found.time, rel=1e-14, abs=0)
        assert found.distance == pytest.approx(walk.distance(found.eta), rel=1e-6, abs=0)
        # The mean of half the squares that no vector fits.
        assert found.minimum == pytest.approx(noise**2 / 2, abs=1e-12)
        assert found.epsilon == epsilon
        said = [str(one) for one in found.hypotheses]
        assert [one.partition(" (")[0] for one in said] == [
            "a deep linear network with one output, squared error and no weight decay",
            "whitened data, X^T X/samples = I", "a balanced start, W_(j+1)^T W_(j+1) = W_j W_j^T",
            "a start and a target that are not zero", "a cosine above -1 with the target",
        ]  # fmt: skip
        assert said[3].endswith("(norms 0.7 and 1.5)")
        assert said[4].endswith(f"({math.cos(0.9):.6g})")
        assert found.proven
        assert found.certificate == "proven"
        assert found.record()["numbers"]["steps"] == found.steps
        assert "claim" in str(found.table())
    assert convergence._instance(loss, start)[:3] == pytest.approx((0.7, math.cos(0.9), 1.5), rel=1e-9, abs=0)
    with pytest.raises(InputError, match="cells must be an integer >= 1"):
        guarantee_convergence(loss, start, epsilon=0.1, cells=0)
    with pytest.raises(InputError, match="epsilon must be a finite number > 0"):
        guarantee_convergence(loss, start, epsilon=0.0)


def test_hypotheses_hold_up_to_rounding_and_no_further() -> None:
    target = np.array([1.5, 0.0])
    loss = loss_of((2, 2, 1), target)
    start = start_of(loss, 0.7, 0.9)
    for off, fine in ((0.9e-9, True), (1.1e-9, False)):
        white = eom.DeepLinear((2, 2, 1), loss.inputs * math.sqrt(1 + off), loss.targets)
        # The larger of two defects counts, against the square of the largest norm.
        moved = start.copy()
        moved[-1] *= math.sqrt(1 + off)
        if fine:
            convergence._instance(white, start)
            convergence._instance(loss, moved)
        else:
            with pytest.raises(HypothesisError, match=r"whitened data, .* got off by 1\.1e-09; multiply the inputs"):
                convergence._instance(white, start)
            with pytest.raises(HypothesisError, match=r"a balanced start, .* got off by"):
                convergence._instance(loss, moved)
    for cosine, fine in ((-1 + 2e-12, True), (-1.0, False)):
        turned = start_of(loss, 0.7, math.acos(cosine))
        if fine:
            assert convergence._instance(loss, turned)[1] == pytest.approx(cosine, abs=1e-13)
        else:
            with pytest.raises(HypothesisError, match="got -1; move the start"):
                convergence._instance(loss, turned)
    with pytest.raises(HypothesisError, match=r"got norms 0 and 1\.5"):
        convergence._instance(loss, 0 * start)
    with pytest.raises(HypothesisError, match=r"got norms 0\.7 and 0"):
        convergence._instance(loss_of((2, 2, 1), 0 * target), start)
    for other in (
        eom.DeepLinear((2, 2, 2), loss.inputs, np.hstack([loss.targets, loss.targets])),
        eom.DeepLinear((2, 2, 2), loss.inputs, np.tile(np.eye(2), (2, 1)), loss="cross_entropy"),
        loss.with_weight_decay(0.5),
        eom.Loss("x**2", variables="x"),
    ):
        with pytest.raises(HypothesisError, match="one output, squared error and no weight decay, got"):
            convergence._instance(other, np.zeros(8))


def test_no_rate_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[float] = []
    monkeypatch.setattr(convergence._Walk, "distance", lambda self, eta: tried.append(eta) or math.inf)
    loss = loss_of((2, 2, 1), np.array([1.5, 0.0]))
    with pytest.raises(HypothesisError, match="no learning rate above 1e-60 of the time keeps"):
        guarantee_convergence(loss, start_of(loss, 0.7, 0.9), epsilon=0.01)
    times, *_ = convergence._descent_of_flow(ScalarMotion(2, 1.5), 0.7, 0.9, math.sqrt(0.02) / 2, 400)
    assert 0.9e-60 <= min(tried) / times[-1] < 4.5e-60
