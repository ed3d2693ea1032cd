"""Reports as JSON, Markdown and LaTeX, and files that are written whole or not at all."""

from __future__ import annotations

import dataclasses
import json
import os
import stat
from pathlib import Path

import pytest
from problems import ROSENBROCK

from eomsym.errors import InputError
from eomsym.output.report import check_writable, provenance, to_json, to_latex, to_markdown, write
from eomsym.verification.verdict import Report


@pytest.fixture(scope="module")
def report() -> Report:
    return ROSENBROCK.verify(range(2), ladder=(1, 40, 80), name="a name")


def test_record_holds_every_number(report: Report) -> None:
    record = json.loads(to_json([report, report]))
    assert (record["schema"], record["schema_version"]) == ("eomsym.verification", 1)
    assert record["tolerances"] == {"slope": 0.05, "misfit": 0.03, "trust": 100}
    assert len(record["reports"]) == 2
    entry = record["reports"][0]
    assert entry["name"] == "a name"
    assert entry["steps"] == [1, 40, 80]
    assert entry["start"] == [-0.5, 1.0]
    assert entry["etas"] == list(report.etas)
    for found, result in zip(entry["orders"], report.orders, strict=True):
        for field in dataclasses.fields(result):
            value = getattr(result, field.name)
            assert found[field.name] == (list(value) if isinstance(value, tuple) else value)
        assert found["ratios"] == list(result.ratios)
        assert found["trusted"] == list(result.trusted)


def test_status_is_that_of_the_worst(report: Report) -> None:
    bad = dataclasses.replace(report, orders=(dataclasses.replace(report.orders[0], status="failed"),))
    assert json.loads(to_json([report]))["status"] == "passed"
    assert json.loads(to_json([report, bad]))["status"] == "failed"


def test_numbers_that_json_does_not_know_become_null(report: Report) -> None:
    result = dataclasses.replace(report.orders[0], errors=(float("nan"), 1.0, 1.0), limit=float("inf"))
    entry = json.loads(to_json([dataclasses.replace(report, orders=(result,))]))["reports"][0]["orders"][0]
    assert entry["errors"] == [None, 1.0, 1.0]
    assert entry["limit"] is None


def test_provenance_names_versions_and_no_machine() -> None:
    found = provenance()
    assert found["eomsym"]
    assert found["numpy"][0].isdigit()
    assert not any(os.sep in value for value in found.values())


def test_markdown_is_a_table(report: Report) -> None:
    title, _, heading, ruler, *rows = to_markdown(report).splitlines()
    assert title == "**a name**, gradient descent, 2 parameters, time 1: passed"
    assert len(rows) == 2
    assert {line.count("|") for line in (heading, ruler, *rows)} == {heading.count("|")}
    # An order with something to say says it below.
    result = dataclasses.replace(report.orders[1], reason="too coarse")
    noted = to_markdown(dataclasses.replace(report, orders=(result,)))
    assert noted.splitlines()[-1] == "* order 1: too coarse"


def test_latex_is_a_plain_tabular(report: Report) -> None:
    text = to_latex(report)
    begin, *_, end = text.splitlines()
    columns = len(report.table()[0])
    assert begin == rf"\begin{{tabular}}{{{'r' * (columns - 1)}l}}"
    assert end == r"\end{tabular}"
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 3
    assert {row.count("&") for row in rows} == {columns - 1}
    assert r"$\eta=0.025$" in rows[0]
    assert r"\cdot 10^{-3}$" in rows[1]
    assert text.isascii()


def test_file_is_written_with_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "record.json"
    write(path, "eins")
    write(path, b"zwei")
    assert path.read_text() == "zwei"
    assert stat.S_IMODE(path.stat().st_mode) & 0o600 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["record.json"]


def test_checking_leaves_no_trace(tmp_path: Path) -> None:
    check_writable(tmp_path / "a" / "record.json")
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="file is no folder; name another file"):
        write(tmp_path / "file" / "record.json", "{}")
    with pytest.raises(InputError, match="it is a folder"):
        write(tmp_path, "{}")
    assert (tmp_path / "file").read_text() == "in the way"


def test_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "record.json"
    write(path, "old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InputError, match="No space left on device"):
        write(path, "new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["record.json"]
