"""No bound is ever violated: random runs, few in `make test` and 2,000 of each kind in `make properties`."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import checks

import eomsym as eom
from eomsym.testing import Run, deep_linear_networks, homogeneous_networks, losses, runs, starts

pytestmark = pytest.mark.properties

ORDERS = st.integers(0, 2)
LOSSES = st.sampled_from(("mse", "cross_entropy"))
EIGENVALUES = st.lists(st.integers(-16, 32).map(lambda i: i / 16), min_size=1, max_size=3)


@given(EIGENVALUES, st.data(), st.integers(1, 40), st.integers(1, 12))
def test_quadratic(eigenvalues: list[float], data: st.DataObject, inverse: int, steps: int) -> None:
    start = data.draw(starts(len(eigenvalues), 2.0))
    checks.tightness("", checks.check_quadratic(eigenvalues, start, 1 / (2 * inverse), steps))


@given(runs(), ORDERS)
def test_distance(run: Run, order: int) -> None:
    checks.tightness(checks.regime(run, order), checks.check_distance(run, order))


@given(runs(LOSSES.flatmap(lambda loss: deep_linear_networks(loss=loss)), largest_step=1.5))
def test_distance_from_gradient_flow(run: Run) -> None:
    checks.tightness(checks.regime(run), checks.check_distance(run))


@given(runs(losses(), largest_start=1.5, largest_step=0.25), ORDERS)
def test_distance_polynomial(run: Run, order: int) -> None:
    checks.tightness(checks.regime(run, order), checks.check_distance(run, order))


@given(runs(deep_linear_networks(loss="cross_entropy"), largest_step=0.25), st.integers(1, 2))
def test_distance_cross_entropy(run: Run, order: int) -> None:
    checks.tightness(checks.regime(run, order), checks.check_distance(run, order))


@given(runs(LOSSES.flatmap(lambda loss: homogeneous_networks(loss=loss)), largest_step=0.25), ORDERS)
def test_distance_homogeneous(run: Run, order: int) -> None:
    checks.tightness(checks.regime(run, order), checks.check_distance(run, order))


@given(
    runs(st.one_of(LOSSES.flatmap(lambda loss: deep_linear_networks(loss=loss)), losses()), largest_step=1.0), ORDERS
)
def test_measured(run: Run, order: int) -> None:
    checks.tightness(checks.regime(run, order), checks.check_measured(run, order))


@given(
    runs(st.one_of(LOSSES.flatmap(lambda loss: deep_linear_networks(loss=loss)), losses()), largest_step=0.5), ORDERS
)
def test_proven(run: Run, order: int) -> None:
    checks.tightness(checks.regime(run, order), checks.check_proven(run, order))


@given(runs(), st.sampled_from((0.05, 0.1, 0.5)))
def test_step_size(run: Run, epsilon: float) -> None:
    checks.tightness("", checks.check_step_size(run, epsilon))


@given(runs(), st.sampled_from((0.003, 0.1)), ORDERS)
def test_search(run: Run, epsilon: float, order: int) -> None:
    checks.tightness(f"order {order}", checks.check_search(run, epsilon, order))


KINDS = st.one_of(losses(), *(kind(loss=loss) for kind in (deep_linear_networks, homogeneous_networks)
                             for loss in ("mse", "cross_entropy")))  # fmt: skip


@given(st.data(), KINDS, st.sampled_from((0.0, 0.03125, 0.5)))
def test_ball(data: st.DataObject, network: Any, radius: float) -> None:
    centre, direction = data.draw(starts(network.size, 2.0)), data.draw(starts(network.size))
    checks.tightness("", checks.check_ball(network, centre, direction, radius))


@given(st.data(), LOSSES.flatmap(lambda loss: deep_linear_networks(loss=loss)), st.integers(0, 5),
       st.sampled_from((0.0625, 0.25, 1.0, 4.0)))  # fmt: skip
def test_terms(data: st.DataObject, network: Any, order: int, radius: float) -> None:
    theta, direction = data.draw(starts(network.size)), data.draw(starts(network.size))
    checks.tightness(f"order {order}", checks.check_terms(network, theta, direction, order, radius))


@given(runs(LOSSES.flatmap(lambda loss: deep_linear_networks(loss=loss)), largest_step=0.1), st.integers(0, 3))
def test_one_step(run: Run, order: int) -> None:
    checks.tightness(checks.regime(run, order), checks.check_one_step(run, order))


def test_weight_decay() -> None:
    # One case by hand: strategies draw losses without decay.
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((5, 2))
    loss = eom.DeepLinear((2, 2, 1), inputs, inputs @ rng.standard_normal((2, 1))).with_weight_decay(Fraction(1, 5))
    run = Run(loss, 0.7 * rng.standard_normal(loss.size), 0.05, 10)
    for order in range(3):
        checks.check_distance(run, order)
        checks.check_measured(run, order)
