from __future__ import annotations

import math

import numpy as np
import pytest

import eomsym as eom
from eomsym.dynamics import stabilised
from eomsym.errors import InputError

LOSS = eom.Loss("(1-x)**2/2 + (y-x**2)**2/2 + x*y**3/9", variables="x y")
START = np.array([-0.5, 0.8])


@pytest.mark.parametrize("stages", [5, 6, 9, 20, 60, 120])
@pytest.mark.parametrize("more", [1.25, 1.4, 10.0, math.inf])
def test_stable_on_the_whole_interval(stages: int, more: float) -> None:
    steps = more if math.isinf(more) else math.ceil(more * stages)
    z = np.linspace(0, stabilised.stability(stages), 4001)
    found = np.abs(stabilised.step(lambda y: -z * y, np.ones_like(z), -z, 1.0, stages, steps))
    assert found.max() <= 1.0 + 1e-12
    assert found[z > 0.4 * stabilised.stability(stages)].max() < 0.7  # what is fast goes away


def test_the_interval_is_not_much_longer() -> None:
    z = np.linspace(0, 1.5 * stabilised.stability(20), 4001)
    assert np.abs(stabilised.step(lambda y: -z * y, np.ones_like(z), -z, 1.0, 20)).max() > 1.0


@pytest.mark.parametrize("stages, steps", [(5, 7), (8, 10), (8, 30), (30, 38), (30, 100), (8, math.inf)])
def test_weights_of_trees_are_those_of_descent(stages: int, steps: float) -> None:
    """The step as a Runge-Kutta tableau, its elementary weights against sums over the Euler steps."""
    matrix, weights = _tableau(stages)(steps)
    if math.isinf(steps):
        wanted = 1 / np.array([1, 2, 3, 6, 4, 8, 12, 24])
    else:
        m = int(steps)
        wanted = _weights(np.tril(np.ones((m, m)), -1) / m, np.ones(m) / m)
    np.testing.assert_allclose(stabilised.targets(steps), wanted, rtol=1e-13, atol=1e-16)
    np.testing.assert_allclose(_weights(matrix, weights), wanted, rtol=0, atol=1e-13)


def _weights(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    one = np.ones(len(b))
    c = a @ one
    rows = [one, c, c**2, a @ c, c**3, c * (a @ c), a @ c**2, a @ a @ c]
    return np.array([b @ row for row in rows])


def _tableau(stages: int):  # type: ignore[no-untyped-def]
    """Read it off: each evaluation adds a unit vector."""

    def read(steps: float) -> tuple[np.ndarray, np.ndarray]:
        rows: list[np.ndarray] = [np.zeros(stages)]

        def velocity(state: np.ndarray) -> np.ndarray:
            rows.append(state.copy())
            return np.eye(stages)[len(rows) - 1]

        last = stabilised.step(velocity, np.zeros(stages), np.eye(stages)[0], 1.0, stages, steps)
        return np.array(rows), last

    return read


def ends(steps: int, pieces: int, change: float = 1.0) -> np.ndarray:
    """After `steps` steps of descent with eta = 1/steps, in a number of leaps."""
    kernel = eom.compile(LOSS, 0)
    m, y = steps // pieces, START
    for _ in range(pieces):
        y = stabilised.step(lambda t: -change * kernel.gradient(t), y, -kernel.gradient(y), m / steps, 6, m)
    return y


def test_order_four_against_descent() -> None:
    """With the learning rate fixed; the error of a leap is of the fifth order in its length."""
    steps = 960
    end = eom.descend(LOSS, START, eta=1 / steps, steps=steps, every=steps).end
    errors = [float(np.linalg.norm(ends(steps, pieces) - end)) for pieces in (5, 10, 20)]
    assert errors[0] / errors[1] == pytest.approx(16, rel=0.3, abs=0)
    assert errors[1] / errors[2] == pytest.approx(16, rel=0.3, abs=0)
    flow = eom.flow(LOSS, START, time=1.0, order=0).end
    assert np.linalg.norm(flow - end) > 100 * errors[2]  # it is descent that is met, and not the flow
    assert np.linalg.norm(ends(steps, 20, 1.01) - end) > 100 * errors[2]


@pytest.mark.parametrize("tree", range(1, 8))
def test_one_per_cent_on_a_weight_is_seen(monkeypatch: pytest.MonkeyPatch, tree: int) -> None:
    steps = 960
    end = eom.descend(LOSS, START, eta=1 / steps, steps=steps, every=steps).end
    right = float(np.linalg.norm(ends(steps, 40) - end))
    targets = stabilised.targets
    monkeypatch.setattr(stabilised, "targets", lambda m: targets(m) * (1 + 0.01 * (np.arange(8) == tree)))
    stabilised._outer.cache_clear()
    wrong = float(np.linalg.norm(ends(steps, 40) - end))
    stabilised._outer.cache_clear()
    assert wrong > 3 * right


def test_the_distance_from_the_flow_has_its_constant() -> None:
    """``eta v``, v the leading error of gradient flow: leaps carry the correction, to one per mille."""
    leading = eom.leading_error(LOSS, START, time=1.0, orders=[0]).vectors[0]
    flow = eom.flow(LOSS, START, time=1.0, order=0).end
    gap = (flow - ends(32_000, 40)) * 32_000
    np.testing.assert_allclose(gap, -leading if gap @ leading < 0 else leading, rtol=3e-3)
    assert np.linalg.norm(gap * 1.01 - gap) > 3e-3 * np.linalg.norm(gap)


@pytest.mark.parametrize("stages, steps", [(4, 10), (121, 200), (8, 7)])
def test_bad_input(stages: int, steps: int) -> None:
    with pytest.raises(InputError, match="expected 5 to 120 stages, not more than 4/5 of the steps"):
        stabilised.step(lambda y: -y, np.ones(1), -np.ones(1), 0.1, stages, steps)
