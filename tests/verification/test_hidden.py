"""Orders that cannot be judged are told at once, and the others are judged."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import eomsym as eom
from eomsym.errors import TableError
from eomsym.verification import hidden
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
    found = hidden_orders(kernel, START, 1.0, range(41), 0.1, 60.0)
    assert min(found) > 20  # whose true errors would have been 1e-16 and less
    assert set(found) == set(range(min(found), 41))
    assert not hidden_orders(kernel, START, 1.0, range(5), 0.1, 60.0)
    assert not hidden_orders(kernel, np.ones(2), 1.0, range(41), 0.1, 60.0)  # a critical point


def test_a_limit_that_is_too_short_for_the_order() -> None:
    [reason] = set(hidden_orders(eom.compile(LOSS, 60), START, 1.0, [0, 59], 0.9, 1e-3).values())
    assert "take lower orders, or a larger limit" in reason


# on made-up terms -----------------------------------------------------------------------------------------------------


class Terms:
    """A kernel whose terms have the sizes that are given."""

    def __init__(self, sizes: Any, order: int | None = None, asked: list[int] | None = None) -> None:
        self.sizes, self.order = np.asarray(sizes, dtype=float), len(sizes) - 1 if order is None else order
        self.asked: list[int] = [] if asked is None else asked

    def at_order(self, order: int) -> Any:
        return Terms(self.sizes, order, self.asked)

    def terms(self, theta: Any) -> Any:
        self.asked.append(self.order)
        return np.stack([0.6 * self.sizes[: self.order + 1], 0.8 * self.sizes[: self.order + 1]], 1)


#: With theta of length one, what can be seen.
SEEN = 100 * 2.0**-52


def hide(sizes: Any, orders: Any, time: float = 1.0, eta: float = 1.0, limit: float = 60.0) -> Any:
    return hidden_orders(Terms(sizes), np.array([0.6, 0.8]), time, orders, eta, limit)  # type: ignore[arg-type]


def test_an_order_is_hidden_a_million_times_below_what_can_be_seen() -> None:
    """And the three terms up to its own all are."""
    small = SEEN / 1e6
    for share, expected in ((1.01, []), (0.99, [4])):
        # the error of order K is term K + 1: terms 3, 4, 5 decide on order 4
        found = hide([1.0, 1.0, 1.0, *([share * small] * 3)], range(5))
        assert list(found) == expected
    assert list(hide([1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0], range(6))) == [4, 5]
    assert list(hide([1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0], range(6))) == []  # zero by chance
    assert list(hide([1.0, 1.0, 1.0, 0.0, 0.0, 0.0, SEEN / 2, 0.0], range(7))) == [4, 5, 6]  # rounding that grows again
    assert list(hide([1.0, 1.0, 1.0, 0.0, 0.0, 0.0, SEEN * 2, 0.0], range(7))) == [4]
    found = hide([1.0, 1e-3, 1e-3, 0.0, 0.0, 1e-25], [0, 1, 4], time=2.0, eta=0.5)
    assert found == {
        4: f"at eta=0.5 the error of order 4 is about {2 * 1e-25 / 32:.0e}, and rounding hides all below {SEEN:.0e}; "
        "orders up to about 1 can be judged"
    }
    told = hide([1.0, 0.0, 0.0, 0.0], [2])
    assert told[2].endswith("; take a longer time, or fewer steps")


def test_what_is_exactly_as_large_as_can_be_seen_is_not_hidden_behind() -> None:
    class Flat(Terms):
        def at_order(self, order: int) -> Any:
            return Flat(self.sizes, order)

        def terms(self, theta: Any) -> Any:
            return np.stack([self.sizes[: self.order + 1], 0 * self.sizes[: self.order + 1]], 1)

    def found(last: float) -> list[int]:
        kernel = Flat([1.0, 1.0, 1.0, 0.0, 0.0, 0.0, last, 0.0])
        return list(hidden_orders(kernel, np.array([1.0, 0.0]), 1.0, range(7), 1.0, 60.0))  # type: ignore[arg-type]

    assert found(SEEN) == [4]
    assert found(np.nextafter(SEEN, 0)) == [4, 5, 6]
    kernel = Flat([1.0, SEEN, np.nextafter(SEEN, 1), SEEN, 0.0, 0.0, 0.0])
    told = hidden_orders(kernel, np.array([1.0, 0.0]), 1.0, [5], 1.0, 60.0)  # type: ignore[arg-type]
    assert "orders up to about 1 can be judged" in told[5]


def test_time_and_rate_enter_the_error() -> None:
    sizes = [1.0, 1.0, 1.0, *([1e6] * 3)]
    # time * eta**k * 1e6 against SEEN/1e6 at k = 3, the largest of the three
    edge = (SEEN / 1e12) ** (1 / 3)
    assert list(hide(sizes, range(5), eta=edge * 0.999)) == [4]
    assert list(hide(sizes, range(5), eta=edge * 1.001)) == []
    assert list(hide(sizes, range(5), eta=edge * 0.999, time=1.01)) == []
    assert list(hide(sizes, range(5), eta=edge * 1.001, time=0.99)) == [4]


@pytest.mark.parametrize("sizes", [[0.0] * 6, [1.0, np.nan, *([0.0] * 4)], [np.inf, *([0.0] * 5)]])
def test_nothing_is_said_where_nothing_moves_or_is_known(sizes: Any) -> None:
    assert hide(sizes, range(5)) == {}
    kernel = Terms([1.0, 1.0, 0.0, 0.0, 0.0])
    assert hidden_orders(kernel, np.zeros(2), 1.0, range(4), 1.0, 60.0) == {}  # type: ignore[arg-type]

    def fails(theta: Any) -> Any:
        raise TableError("not finite", 0)

    kernel.at_order = lambda order: SimpleNamespace(terms=fails)  # type: ignore[method-assign]
    assert hidden_orders(kernel, np.ones(2), 1.0, range(4), 1.0, 60.0) == {}  # type: ignore[arg-type]


def test_orders_are_looked_at_from_sixteen_on_twice_as_many_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def looked(count: int, good: int) -> tuple[list[int], list[int]]:
        kernel = Terms([1.0] * good + [0.0] * (count + 1 - good))
        with monkeypatch.context() as patch:
            patch.setattr(hidden, "_seconds", lambda *_: 0.0)
            found = hidden_orders(kernel, np.array([0.6, 0.8]), 1.0, range(count), 1.0, 60.0)  # type: ignore[arg-type]
        return kernel.asked, list(found)

    assert looked(10, 11) == ([10], [])
    assert looked(100, 101) == ([16, 32, 64, 100], [])
    assert looked(100, 14) == ([16], list(range(15, 100)))  # terms 14, 15, 16 vanish: orders from 15 on are hidden
    assert looked(100, 15) == ([16, 32], list(range(16, 100)))
    assert looked(64, 64) == ([16, 32, 64], [])
    # An order beyond those looked at is told as the last of them.
    kernel = Terms([1.0] * 14 + [0.0] * 30)
    found = hidden_orders(kernel, np.array([0.6, 0.8]), 1.0, [15, 40], 1.0, 60.0)  # type: ignore[arg-type]
    assert [text.partition(" is about 0e+00")[0] for text in found.values()] == ["at eta=1 the error of order 15"] * 2
    assert all("orders up to about 12 can be judged" in text for text in found.values())


def test_what_takes_too_long_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Terms([1.0] * 65)
    monkeypatch.setattr(hidden, "_seconds", lambda kernel, theta: 2.0**-10 * kernel.order)
    seconds = 150 * 4**2 * 2.0**-10 * 16  # at order 16, for order 64; at 32 it would be half of that
    theta = np.array([0.6, 0.8])
    assert hidden_orders(kernel, theta, 1.0, [3, 63], 1.0, seconds) == {}  # type: ignore[arg-type]
    found = hidden_orders(kernel, theta, 1.0, [3, 63], 1.0, seconds - 0.1)  # type: ignore[arg-type]
    told = "a verification to order 63 takes more than 37.5 s, and limit=37.4: take lower orders, or a larger limit"
    assert found == {3: told, 63: told}


def test_the_time_of_one_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([3.0, 5.5])
    monkeypatch.setattr(hidden, "perf_counter", lambda: next(times))
    kernel = Terms([1.0, 1.0])
    assert hidden._seconds(kernel, np.ones(2)) == 2.5  # type: ignore[arg-type]
    assert kernel.asked == [1]
