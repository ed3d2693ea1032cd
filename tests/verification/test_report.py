"""Reports as tables, pages and records, and records that are computed again."""

from __future__ import annotations

import dataclasses
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from problems import ROSENBROCK

import eomsym as eom
from eomsym.errors import InputError
from eomsym.experiments.rerun import rerun
from eomsym.output.records import collection, dumps
from eomsym.verification.report import Report
from eomsym.verification.setting import make_method, setting_of


@pytest.fixture(scope="module")
def report() -> Report:
    return ROSENBROCK.verify(range(2), ladder=(1, 40, 80), name="a name")


def test_record_holds_every_number(report: Report, valid: Any) -> None:
    record = json.loads(dumps(report.record()))
    valid(record)
    assert record["tolerances"] == {"slope": 0.05, "misfit": 0.03, "trust": 100}
    assert record["name"] == "a name"
    assert record["steps"] == [1, 40, 80]
    assert record["start"] == [-0.5, 1.0]
    assert record["etas"] == list(report.etas)
    assert record["data_hash"] is None
    for found, result in zip(record["orders"], report.orders, strict=True):
        for field in dataclasses.fields(result):
            value = getattr(result, field.name)
            assert found[field.name] == (list(value) if isinstance(value, tuple) else value)
        assert found["ratios"] == list(result.ratios)
        assert found["trusted"] == list(result.trusted)


def test_every_field_of_a_report_is_in_its_record(report: Report) -> None:
    names = {field.name for field in dataclasses.fields(report)} - {"data"}
    assert names <= report.record().keys()


def test_status_is_that_of_the_worst(report: Report, valid: Any) -> None:
    bad = dataclasses.replace(report, orders=(dataclasses.replace(report.orders[0], status="failed"),))
    both = collection([report.record(), bad.record()], command="eomsym verify")
    valid(both)
    assert (both["status"], both["command"]) == ("failed", "eomsym verify")
    assert collection([report.record()])["status"] == "passed"


def test_numbers_that_json_does_not_know_become_null(report: Report, valid: Any) -> None:
    result = dataclasses.replace(report.orders[0], errors=(float("nan"), 1.0, 1.0), limit=float("inf"))
    record = dataclasses.replace(report, orders=(result,)).record()
    valid(record)
    assert record["orders"][0]["errors"] == [None, 1.0, 1.0]
    assert record["orders"][0]["limit"] is None


def test_text_and_table_have_the_same_numbers(report: Report) -> None:
    table = report.table()
    assert [row[0] for row in table.rows] == ["0", "1"]
    assert table.rows[1][-2] == f"{report.orders[1].references[2]:.1e}"
    assert str(report).splitlines()[0] == "a name · gradient descent · 2 parameters · time 1"
    assert str(report).splitlines()[-1].startswith("passed in ")
    order = dataclasses.replace(report.orders[1], reason="too coarse")
    shown = dataclasses.replace(report, orders=(order,), notes=())
    assert "order 1: too coarse" in str(shown)
    assert "order 1: too coarse" in shown._repr_html_()
    assert shown.table().markdown().splitlines()[-1] == "* order 1: too coarse"
    assert r"$\eta=0.025$" in shown.table().latex()


def test_an_unjudged_order_has_dashes(report: Report) -> None:
    blind = dataclasses.replace(report.orders[0], judged=None, status="inconclusive")
    (row,) = dataclasses.replace(report, orders=(blind,)).table().rows
    assert row[4:] == ("–", "1", "–", "–", "–", "inconclusive")


def test_what_a_report_says_of_itself(report: Report) -> None:
    made = dataclasses.replace(report, name="n", loss="l", method="m", size=2, time=0.5, steps=(4, 8), seconds=1.25)
    assert made.etas == (0.125, 0.0625)
    assert [column.status for column in dataclasses.replace(made, orders=()).table().columns] == [False] * 8 + [True]
    assert made.title == "n · m · 2 parameters · time 0.5"
    assert made.verdict == f"{made.status} in 1.2 s"
    shown = repr(dataclasses.replace(made, orders=()))
    assert "start=" not in shown
    assert "setting=" not in shown
    assert "steps=(4, 8), orders=(), seconds=1.25" in shown
    assert 0 < report.seconds < 600
    assert report.record(command="typed")["command"] == "typed"
    assert dataclasses.replace(report, seed=7).record()["seed"] == 7
    assert (report.seed, report.data, report.notes) == (None, None, report.notes)


def test_rows_of_a_table(report: Report) -> None:
    result = dataclasses.replace(
        report.orders[1], errors=(0.5, 0.25, 0.125), references=(0.001, 0.1, 0.001), judged=2,
        predictions=(1.0, 1.0, 0.5), misfits=(0.1, 0.2, 0.3), slopes=(1.125, 2.25),
    )  # fmt: skip
    (row,) = dataclasses.replace(report, orders=(result,), steps=(10, 20, 40)).table().rows
    assert row == ("1", "5.0e-01", "(2.5e-01)", "1.2e-01", "2.250", "2", "0.2500", "0.3000", "1.0e-03", result.status)
    headings = dataclasses.replace(report, time=1.0, steps=(10, 20, 40)).table().headings
    assert headings == (
        "order",
        "η=0.1",
        "η=0.05",
        "η=0.025",
        "slope",
        "theory",
        "ratio",
        "misfit",
        "reference",
        "status",
    )


# computed again -------------------------------------------------------------------------------------------------------


METHODS = [
    eom.GradientDescent(),
    eom.HeavyBall("1/2"),
    eom.Adam("1/2", "3/5", "1/10", inside=True),
    eom.optimisers.RungeKutta([["1/2"]], [1]),
    eom.optimisers.LinearMultistep([1, "-4/3", "1/3"], ["2/3", 0, 0]),
    eom.optimisers.Lookahead(3, "1/2"),
    eom.optimisers.ClippedGradient("1/2"),
]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_methods_are_written_down_and_made_again(method: Any) -> None:
    written = json.loads(json.dumps(setting_of([eom.Loss("x**2", variables="x")], method)))["method"]
    assert make_method(written) == method


def test_a_record_in_a_file_runs_again(report: Report, tmp_path: Path) -> None:
    (tmp_path / "record.json").write_text(dumps(collection([report.record()])), encoding="utf-8")
    (again,) = rerun(tmp_path / "record.json")  # type: ignore[misc]
    assert again.orders == report.orders
    assert again.name == report.name


def test_a_network_needs_its_data() -> None:
    inputs, targets = np.eye(2), np.array([[1.0], [0.0]])
    net = eom.DeepLinear((2, 2, 1), inputs, targets).with_weight_decay(Fraction(1, 10))
    report = eom.verify(net, net.initial(1), time=1.0, ladder=(20, 40), orders=[0])
    record = json.loads(dumps(report.record()))
    assert record["setting"]["losses"][0]["options"]["widths"] == [2, 2, 1]
    assert record["setting"]["losses"][0]["weight_decay"] == "1/10"
    with pytest.raises(InputError, match=r"no data for .*; make the loss and type eomsym.rerun\(record, loss=...\)"):
        rerun(record)
    other = eom.DeepLinear((2, 2, 1), inputs, 2 * targets).with_weight_decay(Fraction(1, 10))
    with pytest.raises(InputError, match=r"the loss has data sha256:.* give the loss with those data"):
        rerun(record, loss=other)
    assert rerun(record, loss=net).orders == report.orders  # type: ignore[union-attr]


def test_what_cannot_run_again() -> None:
    with pytest.raises(InputError, match="only verifications and experiments run again"):
        rerun({"schema": "eomsym.counter_terms"})
    with pytest.raises(
        InputError, match=r"mine is not one of eomsym.optimisers; .* eomsym.rerun\(record, method=...\)"
    ):
        make_method({"type": "Mine", "name": "mine", "parameters": None})
