from __future__ import annotations

import numpy as np
import pytest

import eomsym as eom
from eomsym.dynamics import variation
from eomsym.dynamics import variations as module
from eomsym.errors import ShapeError

LOSS = eom.Loss("(1-x)**2/2 + (y-x**2)**2/2 + exp(x*y)/9", variables="x y")
START = [-0.5, 1.0]


@pytest.mark.parametrize("order", [0, 1, 2])
def test_compiled_against_jacobian_products(order: int, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.random.default_rng(order).normal(size=(2, 2))
    fast = variation(LOSS, START, eta=0.05, time=1.0, order=order, vectors=vectors)
    monkeypatch.setattr(module, "_stepper", lambda *_: None)
    slow = variation(LOSS, START, eta=0.05, time=1.0, order=order, vectors=vectors)
    for name in ("thetas", "vectors", "leading"):
        np.testing.assert_allclose(getattr(fast, name), getattr(slow, name), rtol=0, atol=1e-10)
    assert fast.error < 1e-9


def test_the_propagator_is_the_derivative_of_the_end() -> None:
    found = variation(LOSS, START, eta=0.05, time=1.0, order=1, vectors=np.eye(2))
    for direction, moved in zip(np.eye(2), found.vectors[-1], strict=True):
        ends = [eom.flow(LOSS, START + h * direction, eta=0.05, time=1.0, order=1).end for h in (1e-5, -1e-5)]
        np.testing.assert_allclose(moved, (ends[0] - ends[1]) / 2e-5, rtol=1e-7)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_the_leading_error_is_the_distance_from_descent(order: int) -> None:
    """To one per cent, as a vector; a leading error that is wrong by 1 % shows between two learning rates."""
    off = []
    for steps in (200, 400):
        found = variation(LOSS, START, eta=1 / steps, time=1.0, order=order)
        distance = found.thetas[-1] - eom.descend(LOSS, START, eta=1 / steps, steps=steps).end
        off.append(np.linalg.norm(distance - found.distance[-1]) / np.linalg.norm(distance))
    assert off[1] < 0.01
    assert 2 * off[1] - off[0] == pytest.approx(0.0, abs=2e-3)


def test_bad_vectors() -> None:
    with pytest.raises(ShapeError, match=r"expected \(k, 2\)"):
        variation(LOSS, START, eta=0.05, time=1.0, order=0, vectors=[[1.0, 2.0, 3.0]])
    with pytest.raises(ShapeError, match=r"expected \(k, 2\)"):
        variation(LOSS, START, eta=0.05, time=1.0, order=0, vectors=[[1.0, np.nan]])
