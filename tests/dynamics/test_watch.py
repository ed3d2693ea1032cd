"""Eigenvalues along a path, and events on it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import eomsym as eom
from eomsym.errors import DivergenceError, InputError, ShapeError
from eomsym.losses import Field
from eomsym.optimisers import GradientFlow, RMSProp

VALLEY = eom.Loss("(1 - x*y)**2/2", variables="x y")
QUARTIC = eom.Loss("x**4/4 + y**2/2", variables="x y")


def test_products_are_eta_times_the_eigenvalues_of_the_hessian() -> None:
    path = eom.descend(VALLEY, [2.0, 0.2], eta=0.3, steps=6)
    found = eom.watch(VALLEY, path, count=2)
    for theta, products, cosine in zip(path.thetas, found.products, found.cosines, strict=True):
        x, y = theta
        hessian = np.array([[y * y, 2 * x * y - 1], [2 * x * y - 1, x * x]])
        values, vectors = np.linalg.eigh(hessian)
        np.testing.assert_allclose(products, 0.3 * values[::-1], rtol=1e-9)
        g = VALLEY.gradient(theta)
        assert cosine == pytest.approx(abs(vectors[:, 1] @ g) / np.linalg.norm(g), abs=1e-9)
    assert (found.radius, found.limit) == (1.0, 2.0)
    assert found.first_beyond(1.0) == 0
    assert found.first_beyond(99.0) is None


def test_the_preconditioned_hessian_of_rmsprop() -> None:
    method = RMSProp("1/2", "1/4")
    theta = np.array([0.7, -0.4])
    found = eom.watch(QUARTIC, theta, eta=0.1, count=2, method=method)
    g = QUARTIC.gradient(theta)
    expected = np.array([3 * theta[0] ** 2, 1.0]) / (abs(g) + 0.25)
    np.testing.assert_allclose(np.sort(found.products[0]), np.sort(0.1 * expected), rtol=1e-9)
    assert found.limit == 2.0
    assert np.isnan(found.radius)


def test_at_rest_there_is_no_angle() -> None:
    assert np.isnan(eom.watch(QUARTIC, [[0.0, 0.0]], eta=0.1).cosines[0])


@pytest.mark.parametrize(
    "changes, error, words",
    [
        ({"path": [[1.0]]}, ShapeError, r"expected \(points, 2\)"),
        ({"path": "ab"}, InputError, "expected a path, or points in rows"),
        ({"path": [[1.0, np.nan]]}, InputError, "not finite"),
        ({"eta": None}, InputError, "eta must be"),
        ({"count": 0}, InputError, "count must be an integer >= 1"),
        ({"loss": Field(["y", "-x"], variables="x y")}, InputError, "field without a loss"),
    ],
)
def test_bad_arguments_of_watch(changes: dict[str, Any], error: type[Exception], words: str) -> None:
    options = {"loss": QUARTIC, "path": [[1.0, 1.0]], "eta": 0.1, **changes}
    loss, path = options.pop("loss"), options.pop("path")
    with pytest.raises(error, match=words):
        eom.watch(loss, path, **options)


# events --------------------------------------------------------------------------------------------------------------


def test_a_flow_ends_where_an_event_is() -> None:
    """On ``x' = -x`` from 1 the point 1/2 is met at ``log 2``."""
    loss = eom.Loss("x**2/2", variables="x")
    event = eom.Event(lambda theta: theta[0] - 0.5, "half", ends=True)
    path = eom.flow(loss, [1.0], time=np.linspace(0, 3, 4), order=0, events=[event])
    assert path.events[0].time == pytest.approx(np.log(2), abs=1e-10)
    assert path.times.tolist() == [0.0, path.events[0].time]
    assert path.end[0] == pytest.approx(0.5, abs=1e-10)
    assert not path.events[0].rising
    open_end = eom.flow(loss, [1.0], time=[0.0, 1.0, 2.0], order=0, events=[eom.Event(lambda t: t[0] - 0.5)])
    assert len(open_end.times) == 3
    np.testing.assert_allclose(open_end.thetas[:, 0], np.exp(-open_end.times), rtol=1e-10)


def test_a_run_reports_the_first_step_behind_an_event_and_goes_on_as_without() -> None:
    method = eom.HeavyBall("1/2")
    event = eom.Event(lambda theta: theta[0] - 0.5)
    plain = eom.descend(QUARTIC, [1.0, 1.0], eta=0.1, steps=200, method=method, every=4)
    path = eom.descend(QUARTIC, [1.0, 1.0], eta=0.1, steps=200, method=method, every=4, events=[event])
    assert (path.thetas == plain.thetas).all()
    assert (path.memory == plain.memory).all()
    every = eom.descend(QUARTIC, [1.0, 1.0], eta=0.1, steps=200, method=method).thetas[:, 0]
    assert path.events[0].time == pytest.approx(0.1 * int(np.flatnonzero(every < 0.5)[0]), rel=1e-9, abs=0)
    ended = eom.descend(
        QUARTIC,
        [1.0, 1.0],
        eta=0.1,
        steps=200,
        method=method,
        every=4,
        events=[eom.Event(event.function, "half", True)],
    )
    assert ended.times[-1] == path.events[0].time
    assert ended.end[0] == path.events[0].theta[0]


def test_the_limit_is_met_before_the_run_diverges() -> None:
    """With ``x**4`` the curvature grows on the way out."""
    loss, eta = eom.Loss("-x**2/2 - x**4/4 + y**2", variables="x y"), 0.4
    with pytest.raises(DivergenceError, match="diverged"):
        eom.descend(loss, [0.1, 1.0], eta=eta, steps=500)
    out = eom.Event(lambda theta: abs(theta[0]) - 2, "out", ends=True)
    assert abs(eom.descend(loss, [0.1, 1.0], eta=eta, steps=500, events=[out]).end[0]) > 2
    event = eom.sharpness_event(VALLEY, "limit", eta=0.48, ends=True)
    path = eom.flow(VALLEY, [2.0, 0.2], time=[0.0, 1.0, 2.0], order=0, events=[event])
    assert eom.watch(VALLEY, path, eta=0.48).products[-1, 0] == pytest.approx(2.0, abs=1e-6)


def test_bad_events() -> None:
    with pytest.raises(InputError, match="expected an event such as"):
        eom.descend(QUARTIC, [1.0, 1.0], eta=0.1, steps=2, events=[abs])  # type: ignore[list-item]
    with pytest.raises(InputError, match="is not a number"):
        eom.descend(QUARTIC, [1.0, 1.0], eta=0.1, steps=2, events=[eom.Event(lambda theta: np.nan)])
    with pytest.raises(InputError, match="known: limit; or give a number"):
        eom.sharpness_event(QUARTIC, "radius", eta=0.1, method=RMSProp("1/2"))
    with pytest.raises(InputError, match="neither of them"):
        eom.sharpness_event(QUARTIC, "limit", eta=0.1, method=GradientFlow())
    with pytest.raises(InputError, match="type late=True"):
        eom.descend(QUARTIC, [1.0, 1.0], eta=0.1, steps=2, method=eom.Adam(), events=[eom.Event(lambda t: 1.0)])
