"""The edge judged: the predicted error is the measured one, and an altered equation is caught."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import eomsym as eom
from eomsym.taylor import channels
from eomsym.verification.edge import SHRINKS, _judged, verify_edge

VALLEY = eom.Loss("(1 - x*y)**2/2", variables="x y")
START = [2.0, 0.52]


def test_each_order_has_the_error_that_the_next_one_predicts() -> None:
    report = verify_edge(VALLEY, START, eta=0.5, steps=30, orders=range(3))
    assert report.status == "passed", str(report)
    errors = [one.error for one in report.orders]
    assert all(4 * after < before for before, after in pairwise(errors))
    assert all(one.misfit < 0.3 for one in report.orders)
    low, high = report.products
    assert low < 2 < high
    assert str(report).splitlines()[-1].startswith("passed in")


def test_a_slaved_filter_that_is_one_per_cent_off_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first coefficient, of the mean channel of the critical direction."""
    plain = channels._lanes

    def altered(frame: Any, answer: Any, count: int, alternating: bool) -> list[np.ndarray]:
        columns = plain(frame, answer, count, alternating)
        return [columns[0] * 1.01, *columns[1:]] if not alternating else columns

    monkeypatch.setattr(channels, "_lanes", altered)
    report = verify_edge(VALLEY, START, eta=0.5, steps=30, orders=[4], rtol=1e-10)
    assert report.status == "failed", str(report)


def test_a_swing_that_is_one_per_cent_off_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    number = channels.critical_number
    monkeypatch.setattr(channels, "critical_number", lambda method: number(method) * 101 / 100)
    report = verify_edge(VALLEY, START, eta=0.5, steps=30, orders=[1])
    assert report.status == "failed", str(report)


def test_a_path_that_cannot_be_known_is_inconclusive() -> None:
    report = verify_edge(VALLEY, [2.0, 0.5], eta=0.5, steps=30, orders=[1])
    assert report.status == "inconclusive"
    assert "below the rounding errors" in report.orders[0].reason


def test_an_error_below_that_of_the_integrator_is_inconclusive() -> None:
    report = verify_edge(VALLEY, START, eta=0.5, steps=30, orders=[3], rtol=1e-3)
    assert report.status == "inconclusive", str(report)


def test_the_same_order_passes_unaltered() -> None:
    report = verify_edge(VALLEY, START, eta=0.5, steps=30, orders=[4], rtol=1e-10)
    assert report.status == "passed", str(report)


@pytest.mark.parametrize("share, status", [(0.99, "passed"), (1.01, "inconclusive")])
def test_the_next_order_must_predict_less_for_itself(share: float, status: str) -> None:
    def path(end: float) -> Any:
        return SimpleNamespace(steps=np.arange(3), iterates=np.array([[1.0], [end], [end]]), reason="")

    paths = {0: path(1.0), 1: path(0.9), 2: path(0.9 + share * SHRINKS * 0.1)}
    found = _judged(0, paths, paths[1].iterates, 1e-12)  # the run is what order 1 says
    assert found.misfit < 1e-12
    assert found.status == status
    assert ("the series does not converge there" in found.reason) == (status == "inconclusive")
