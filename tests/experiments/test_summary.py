"""Reports of records."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from eomsym.experiments.case import Case, run_case
from eomsym.experiments.records import Records
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
    assert text.count("<svg") == 3
    assert "</script>" in text
    body = text[text.index("<table") : text.index("</table>") + 8]
    assert len(ElementTree.fromstring(body).findall(".//tr")) == 4


def test_maps_where_depth_and_scale_vary(summary: Summary) -> None:
    figure = summary.map()
    assert figure is not None
    assert [ax.get_title() for ax in figure.axes] == ["order 0", "order 1"]
    assert figure.axes[0].collections[0].get_offsets().shape == (4, 2)


def test_other_formats(summary: Summary) -> None:
    assert summary.markdown().startswith("# Sweep depths.sqlite")
    assert r"\toprule" in summary.latex()
    assert Path(summary.name).suffix == ".sqlite"
