"""Orders that cannot be judged are told at once, and the others are judged."""

from __future__ import annotations

import numpy as np

import eomsym as eom
from eomsym.verification.hidden import hidden_orders

LOSS = eom.Loss("(1-x)**2/2 + (y-x**2)**2/2", variables="x y")
START = np.array([-0.5, 1.0])


def test_high_orders_are_not_run() -> None:
    report = eom.verify(LOSS, START, time=1.0, ladder=(10, 20, 40), orders=[1, 45])
    assert [result.status for result in report.orders] == ["passed", "inconclusive"]
    assert "orders up to about 14 can be judged" in report.orders[1].reason
    assert np.isnan(report.orders[1].errors).all()
    alone = eom.verify(LOSS, START, time=1.0, ladder=(10, 20, 40), orders=[45])
    assert alone.orders[0].reason == report.orders[1].reason


def test_what_is_hidden_is_far_below_what_could_be_seen() -> None:
    kernel = eom.compile(LOSS, 41)
    hidden = hidden_orders(kernel, START, 1.0, range(41), 0.1, 60.0)
    assert min(hidden) > 20  # whose true errors would have been 1e-16 and less
    assert set(hidden) == set(range(min(hidden), 41))
    assert not hidden_orders(kernel, START, 1.0, range(5), 0.1, 60.0)
    assert not hidden_orders(kernel, np.ones(2), 1.0, range(41), 0.1, 60.0)  # a critical point


def test_a_limit_that_is_too_short_for_the_order() -> None:
    [reason] = set(hidden_orders(eom.compile(LOSS, 60), START, 1.0, [0, 59], 0.9, 1e-3).values())
    assert "take lower orders, or a larger limit" in reason
