"""The edge judged: the predicted error is the measured one, and an altered equation is caught."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import eomsym as eom
from eomsym.output.style import colour
from eomsym.taylor import channels
from eomsym.verification import edge
from eomsym.verification.edge import SHRINKS, EdgeOrder, EdgeReport, _judged, verify_edge

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


# the verdict on made-up paths -----------------------------------------------------------------------------------------


def made(iterates: Any, steps: Any = None, reason: str = "") -> Any:
    rows = np.asarray(iterates, dtype=float)
    return SimpleNamespace(
        steps=np.arange(len(rows)) if steps is None else np.asarray(steps), iterates=rows, reason=reason
    )


def test_the_numbers_of_a_verdict() -> None:
    """Predicted and measured at the step where the former is largest; steps that both motions have recorded."""
    own = made([[0.0, 0.0], [1.0, 1.0], [2.0, 5.0], [9.0, 9.0]], [0, 1, 3, 4])
    better = made([[0.0, 0.0], [7.0, 7.0], [2.0, 1.0], [9.0, 8.0], [0.0, 0.0]], [0, 2, 3, 4, 5])
    run = np.array([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [2.0, 0.5], [6.0, 5.0], [0.0, 0.0]])
    found = _judged(3, {3: own, 4: better}, run, 0.25)
    # the steps 0, 3, 4: predicted 0, (0, 4), (0, 1); measured 0, (0, 4.5), (3, 4)
    assert (found.order, found.prediction, found.error, found.reference) == (3, 4.0, 5.0, 0.25)
    assert (found.misfit, found.status, found.reason) == (0.125, "passed", "")


def judged(predicted: float, off: float, reference: float = 0.0, after: float | None = None) -> Any:
    paths = {0: made([[0.0], [predicted]]), 1: made([[0.0], [0.0]])}
    if after is not None:
        paths[2] = made([[0.0], [after]])
    return _judged(0, paths, np.array([[0.0], [off]]), reference)


def test_the_thresholds_of_a_verdict() -> None:
    assert (judged(1.0, 0.5).status, judged(1.0, 0.5).misfit) == ("passed", 0.5)
    assert judged(1.0, np.nextafter(0.5, 1)).status == "failed"
    assert judged(1.0, np.nextafter(0.5, 1)).reason == ""
    lost = "the predicted error is lost in that of the integrator; take a smaller rtol"
    assert (judged(3.0, 0.0, 1.0).status, judged(3.0, 0.0, 1.0).reason) == ("inconclusive", lost)
    assert judged(np.nextafter(3.0, 4), 0.0, 1.0).status == "passed"
    assert judged(0.0, 0.0).reason == lost
    assert np.isnan(judged(0.0, 0.0).misfit)
    assert judged(1.0, 0.0, after=0.5).status == "passed"
    told = judged(1.0, 0.0, after=0.51)
    assert (told.status, told.reason) == (
        "inconclusive", "the next order predicts 5.1e-01 for itself: the series does not converge there",
    )  # fmt: skip
    assert judged(1.0, 9.0, after=0.51).status == "inconclusive"
    for ended in (0, 1):
        paths = {k: made([[0.0], [1.0 - k]], reason="it ends" if k == ended else "") for k in (0, 1)}
        found = _judged(0, paths, np.zeros((2, 1)), 0.0)
        assert (found.status, found.reason) == ("inconclusive", "it ends")


def test_what_a_verification_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    told: list[Any] = []

    def flow(kernel: Any, start: Any, **options: Any) -> Any:
        asked.append((options["order"], options["rtol"]))
        assert {k: options[k] for k in ("eta", "steps", "memory", "estimate", "every")} == {
            "eta": 0.5, "steps": 2, "memory": "rest", "estimate": False, "every": 1,
        }  # fmt: skip
        scale = 10.0 ** -options["order"] + (1e-4 if options["rtol"] > 1e-6 else 0)
        low = [np.nan, 1.5 + options["order"] / 8, 2.5]
        return SimpleNamespace(
            steps=np.arange(3), iterates=np.full((3, 1), scale), products=np.stack([low, [0.0, 9.0, 0.0]], 1), reason=""
        )

    monkeypatch.setattr(edge, "edge_flow", flow)
    monkeypatch.setattr(edge, "descend", lambda *_, **__: SimpleNamespace(thetas=np.zeros((3, 1))))
    report = verify_edge(
        VALLEY, START, eta=0.5, steps=2, orders=[0, 2], rtol=2.0**-20, every=1, progress=lambda *call: told.append(call)
    )
    assert asked == [*((order, 2.0**-20) for order in range(5)), (4, 10 * 2.0**-20)]
    labels = [*(f"order {k}" for k in range(5)), "error of the integrator", "optimiser"]
    assert told == [(done, 7, label) for done, label in enumerate(labels, 1)]
    assert report.products == (1.5, 2.5)
    assert [one.reference for one in report.orders] == [pytest.approx(1e-4, rel=1e-9, abs=0)] * 2
    assert [one.prediction for one in report.orders] == pytest.approx([0.9, 0.009], rel=1e-9, abs=0)
    assert (report.eta, report.steps, report.loss, report.method) == (0.5, 2, VALLEY.describe(), "gradient descent")
    assert 0 < report.seconds < 60
    assert report.title == f"{VALLEY.describe()} · gradient descent · eta 0.5, 2 steps, eta*lambda 1.5 … 2.5"


def test_a_report_shows_its_numbers() -> None:
    orders = (
        EdgeOrder(0, 0.5, 0.25, 0.125, 0.001, "passed", ""),
        EdgeOrder(2, 0.05, 0.025, 0.75, 0.002, "failed", "so it is"),
    )
    report = EdgeReport("a loss", "a method", 0.5, 30, (1.0, 2.5), orders, 1.25)
    assert report.status == "failed"
    assert str(report) == (
        f"a loss · a method · eta 0.5, 30 steps, eta*lambda 1 … 2.5\n\n"
        f"{str(report.table()).partition(chr(10))[2]}\n\nfailed in 1.2 s"
    )
    assert "order 2: so it is" in str(report)
    assert [row[0] for row in report.table().rows] == ["0", "2"]
    assert [row[-1] for row in report.table().rows] == ["passed", "failed"]
    assert "<p>failed in 1.2 s</p>" in report._repr_html_()
    assert [column.status for column in report.table().columns] == [False] * 5 + [True]
    assert report.table().html() in report._repr_html_()
    found = report.record(command="typed")
    assert (found["command"], found["status"], found["schema"]) == ("typed", "failed", "eomsym.edge_verification")
    assert found["products"] == [1.0, 2.5]
    assert found["orders"][1] == {
        "order": 2, "error": 0.05, "prediction": 0.025, "misfit": 0.75, "reference": 0.002, "status": "failed",
        "reason": "so it is",
    }  # fmt: skip

    (ax,) = report.plot().axes
    predicted, first, second = ax.get_lines()
    assert (list(predicted.get_xdata()), list(predicted.get_ydata())) == ([0, 2], [0.25, 0.025])
    assert (predicted.get_linestyle(), predicted.get_linewidth(), predicted.get_label()) == ("--", 1.0, "predicted")
    assert (list(first.get_xdata()), list(first.get_ydata())) == ([0], [0.5])
    assert (list(second.get_xdata()), list(second.get_ydata())) == ([2], [0.05])
    assert (first.get_markerfacecolor(), second.get_markerfacecolor()) == (colour(0), "white")
    assert (first.get_label(), second.get_label()) == ("order 0: passed", "order 2: failed")
    assert (ax.get_yscale(), list(ax.get_xticks())) == ("log", [0, 2])
    assert ax.get_title() == r"a method, $\eta = 0.5$, 30 steps"
    assert ax.title.get_fontsize() == 9
    (band,) = ax.patches
    box = band.get_extents().transformed(ax.transData.inverted())
    assert (box.y0, box.y1) == (
        pytest.approx(0.0002, rel=1e-9, abs=0),
        pytest.approx(0.006, rel=1e-9, abs=0),
    )  # three times the largest reference
    assert band.get_zorder() == 0
    exact = dataclasses.replace(report, orders=(dataclasses.replace(orders[0], reference=0.0),))
    assert not exact.plot().axes[0].patches
