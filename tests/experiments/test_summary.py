"""Reports of records."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from eomsym.experiments import charts
from eomsym.experiments.case import Case, run_case
from eomsym.experiments.records import Records
from eomsym.experiments.suite import PROBLEMS
from eomsym.experiments.summary import Summary, summarise


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    path = tmp_path_factory.mktemp("records") / "depths.sqlite"
    one = {"network": {"width": 2, "samples": 5}, "time": 0.5, "orders": [0, 1], "ladder": [20, 40]}
    cases = [
        Case({**one, "network": {**one["network"], "depth": depth, "scale": scale}, "seed": 1})  # type: ignore[dict-item]
        for depth in (2, 3)
        for scale in (0.2, 0.4)
    ]
    bad = Case({"loss": "log(x)", "variables": "x", "start": [-1.0]})
    with Records(path) as records:
        records.add(map(run_case, [*cases, bad]))
        return summarise(records)


def test_verdicts_count_every_order(summary: Summary) -> None:
    rows = summary.verdicts().rows
    assert [row[:2] for row in rows] == [("gd", "0"), ("gd", "1"), ("gd", "–")]
    assert sum(int(cell) for row in rows for cell in row[2:6]) == 4 * 2 + 1
    assert rows[2][5] == "1"  # the error


def test_cases_to_look_at_say_how_to_run_them_again(summary: Summary) -> None:
    [row] = summary.cases(["error"]).rows
    assert row[1] == "log(x)"
    assert "finite numbers" in row[5]
    assert re.fullmatch(r"eomsym sweep --again [0-9a-f]{12} depths\.sqlite", row[6])


def test_the_page_needs_nothing_else(summary: Summary) -> None:
    text = summary.html()
    assert not re.search(r"(src|href)=.?(https?:)?//|url\(.?http|@import", text)
    # leading constants, every case, four cases against the learning rate, maps of two errors and of the highest order
    assert text.count("<svg") == 2 + 4 + 3
    assert "</script>" in text
    body = text[text.index("<table") : text.index("</table>") + 8]
    assert len(ElementTree.fromstring(body).findall(".//tr")) == 4


def test_no_maps_of_different_times(summary: Summary) -> None:
    definitions = {key: {**said, "time": number} for number, (key, said) in enumerate(summary.definitions.items())}
    assert charts.map_charts(summary) != []
    assert charts.map_charts(replace(summary, definitions=definitions)) == []


def test_charts_name_the_optimiser_once(summary: Summary) -> None:
    assert all(title.endswith(", gd") for title in summary._titles().values())
    key = summary.rows[0]["key"]
    named = replace(
        summary,
        definitions={**summary.definitions, key: {**summary.definitions[key], "name": "mine"}},
        rows=tuple({**row, "title": "mine"} if row["key"] == key else row for row in summary.rows),
    )
    assert named._titles()[key] == "mine"
    shared = replace(named, rows=(*named.rows, {**named.rows[0], "method": "adam"}))
    assert shared._titles()[key].startswith("mine, ")


def test_maps_where_depth_and_scale_vary(summary: Summary) -> None:
    figure = summary.map()
    assert figure is not None
    assert [ax.get_title() for ax in figure.axes] == ["gradient flow", "order 1", "highest order that passed"]
    recorded = {
        (*charts.place_of(summary.definitions[r["key"]]), r["order"]): r for r in summary.rows if r["order"] is not None
    }  # type: ignore[misc]
    for order, ax in enumerate(figure.axes[:2]):
        [cells] = ax.collections
        drawn = np.asarray(cells.get_array()).reshape(2, 2)
        wanted = [[np.log10(recorded[d, s, order]["error"]) for s in (0.2, 0.4)] for d in (2, 3)]
        np.testing.assert_allclose(drawn, wanted, rtol=1e-12)
        assert [text.get_text() for text in ax.get_xticklabels()] == ["0.2", "0.4"]
        assert [text.get_text() for text in ax.get_yticklabels()] == ["2", "3"]
    highest = {
        (0.5 + (d > 2), 0.5 + (s > 0.3)): o for (d, s, o), r in sorted(recorded.items()) if r["status"] == "passed"
    }
    shown = {
        (float(y), float(x)): int(dots.get_label()[-1])  # type: ignore[index]
        for dots in figure.axes[2].collections
        for x, y in np.asarray(dots.get_offsets())
    }
    assert shown == highest


def test_a_median_stands_for_several_in_a_cell() -> None:
    depths, scales, cells = charts._cells(
        np.array([2, 2, 2, 3]), np.array([0.1, 0.1, 0.1, 0.2]), np.array([1, 5, 2, 7])
    )
    assert (depths.tolist(), scales.tolist()) == ([2, 3], [0.1, 0.2])
    np.testing.assert_array_equal(cells, [[2, np.nan], [np.nan, 7]])


def test_random_scales_are_points(summary: Summary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charts, "CELLS", 1)
    figure = summary.map()
    assert figure is not None
    [dots] = figure.axes[0].collections
    assert dots.get_offsets().shape == (4, 2)
    assert sorted(np.asarray(dots.get_offsets())[:, 0].tolist()) == [0.2, 0.2, 0.4, 0.4]
    assert figure.axes[0].get_xscale() == "log"


def test_errors_are_drawn_as_recorded(summary: Summary) -> None:
    figure = summary.errors()
    assert figure is not None
    assert len(figure.axes) == len({key for key, _ in summary.curves}) == 4
    for (key, order), curve in summary.curves.items():
        ax = figure.axes[list(dict.fromkeys(k for k, _ in summary.curves)).index(key)]
        assert summary.definitions[key]["network"]["scale"] == float(
            str(ax.get_title()).split("scale ")[1].split(",")[0]
        )
        marks, line = ax.lines[2 * order : 2 * order + 2]
        np.testing.assert_array_equal(curve.etas, [0.5 / 20, 0.5 / 40])
        np.testing.assert_array_equal(marks.get_xdata(), curve.etas)
        np.testing.assert_array_equal(marks.get_ydata(), curve.errors)
        np.testing.assert_array_equal(line.get_ydata(), curve.predictions)
        assert (marks.get_markerfacecolor() == "white") == (curve.status != "passed")


def test_every_case_is_in_the_cloud(summary: Summary) -> None:
    axes = summary.agreement().axes[0]
    shown = sorted((x, y) for line in axes.lines[:-1] for x, y in zip(*line.get_data(), strict=True))
    assert shown == sorted((r["prediction"], r["error"]) for r in summary.rows if r["order"] is not None)
    lines = summary.ratios().axes[0].lines
    for order, line in enumerate(lines):
        assert list(line.get_xdata()) == sorted(r["ratio"] for r in summary.rows if r["order"] == order)


def test_a_sweep_of_expressions_has_no_map(tmp_path: Path) -> None:
    case = Case({"problem": "rosenbrock", "orders": [1]})
    with Records(tmp_path / "one.sqlite") as records:
        records.add([run_case(case)])
        found = summarise(records)
    assert found.map() is None
    [curve] = found.curves.values()
    known = PROBLEMS["rosenbrock"]
    np.testing.assert_array_equal(curve.etas, [known.time / k for k in known.steps])  # not those of another problem


def test_nothing_that_was_judged(tmp_path: Path) -> None:
    with Records(tmp_path / "none.sqlite") as records:
        records.add([run_case(Case({"loss": "log(x)", "variables": "x", "start": [-1.0]}))])
        found = summarise(records)
    assert found.errors() is None
    assert "<svg" not in found.html()


def test_other_formats(summary: Summary) -> None:
    assert summary.markdown().startswith("# Sweep depths.sqlite")
    assert r"\toprule" in summary.latex()
    assert Path(summary.name).suffix == ".sqlite"
