"""What cases measure beside their verdicts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import eomsym as eom
from eomsym.errors import InputError
from eomsym.experiments import charts
from eomsym.experiments.case import Case, run_case
from eomsym.experiments.measures import measured
from eomsym.experiments.problem import Given, make
from eomsym.experiments.records import Records
from eomsym.experiments.summary import summarise


def invariant() -> Given:
    """A network whose first matrix is scale-invariant."""
    network = {"widths": [2, 3, 1], "activation": "tanh", "normalisation": "weight", "samples": 5}
    return make({"network": network, "weight_decay": "1/10", "seed": 2})


def test_sharpness_is_the_largest_eigenvalue_on_the_way() -> None:
    given = make({"loss": "x**4/4 + 3*y**2/2", "variables": "x y", "start": [2.0, 1.0]})
    found = measured(["sharpness"], given, 0.05, 7, [0])["sharpness"]
    path = eom.descend(given.loss, given.start, eta=0.05, steps=7).thetas
    np.testing.assert_allclose(found["values"], np.maximum(3 * path[:, 0] ** 2, 3.0), rtol=1e-12)
    np.testing.assert_allclose(found["times"], 0.05 * np.arange(8), rtol=1e-12)
    assert found["limit"] == pytest.approx(2 / 0.05, rel=1e-9, abs=0)


def test_the_limit_of_stability_is_the_optimisers() -> None:
    given = make({"loss": "x**2/2", "variables": "x", "start": [1.0]})
    heavy = Given(given.loss, given.start, "quadratic", method=eom.HeavyBall("1/2"))
    assert measured(["sharpness"], heavy, 0.1, 4, [0])["sharpness"]["limit"] == pytest.approx(
        2 * 1.5 / 0.1, rel=1e-9, abs=0
    )


def test_bounds_hold_and_the_truth_is_the_distance() -> None:
    given = make({"loss": "x**4/4", "variables": "x", "start": [1.0]})
    found = measured(["bound"], given, 0.05, 20, [0, 1, 5])["bound"]
    assert [row["order"] for row in found["orders"]] == [0, 1]
    end = eom.descend(given.loss, [1.0], eta=0.05, steps=20).end
    for row in found["orders"]:
        motion = eom.flow(given.loss, [1.0], eta=0.05, time=1.0, order=row["order"]).end
        assert row["true"] == pytest.approx(abs(float(motion[0] - end[0])), rel=1e-6, abs=0)
        for name in ("measured", "proven"):
            assert row["true"] <= row[name] <= 1.1 * row["true"]


def test_norms_and_angles_of_invariant_layers() -> None:
    given = invariant()
    found = measured(["layers"], given, 0.05, 40, [0, 1])["layers"]
    [block] = found["blocks"]
    path = eom.descend(given.loss, given.start, eta=0.05, steps=40).thetas
    rows = path[:, given.loss.blocks["W1"].place]
    np.testing.assert_allclose(block["series"]["descent"]["norm"], np.linalg.norm(rows, axis=1)[::2], rtol=1e-12)
    for series in block["series"].values():
        np.testing.assert_allclose(series["norm"], series["predicted"], rtol=1e-7)
    before, after = rows[1:40:2], rows[2::2]
    cosines = np.sum(before * after, axis=1) / np.linalg.norm(before, axis=1) / np.linalg.norm(after, axis=1)
    np.testing.assert_allclose(block["angles"], np.arccos(cosines), rtol=1e-6)
    assert block["angle at rest"] == pytest.approx(
        np.sqrt(2 * 0.05 * 0.1), rel=0.01, abs=0
    )  # Wan et al. 2021, leading order


def test_what_cannot_be_measured_says_why() -> None:
    given = make({"loss": "x**4/4", "variables": "x", "start": [1.0]})
    heavy = Given(given.loss, given.start, "quartic", method=eom.HeavyBall("1/2"))
    found = measured(["bound", "layers"], heavy, 0.05, 4, [0])
    assert {one["why"] for one in found.values()} == {"it is about gradient descent"}
    assert measured(["layers"], given, 0.05, 4, [0])["layers"] == {"why": "the loss has no scale-invariant weights"}
    wild = make({"loss": "-x**4", "variables": "x", "start": [10.0]})
    assert measured(["sharpness"], wild, 1.0, 40, [0])["sharpness"]["why"].startswith("DivergenceError: ")


def test_measures_go_into_records_and_reports(tmp_path: Path) -> None:
    network = {"widths": [2, 3, 1], "activation": "tanh", "normalisation": "weight", "samples": 5}
    shared = {"orders": [0, 1], "ladder": [20, 40], "time": 0.2, "measure": ["sharpness", "bound", "layers"]}
    cases = [
        Case({"network": network, "weight_decay": "1/10", "seed": 2, **shared}),
        Case({"loss": "x**4/4", "variables": "x", "start": [1.0], **shared}),
    ]
    with Records(tmp_path / "some.sqlite") as records:
        records.add(map(run_case, cases))
        found = {name: set(records.measures(name)) for name in ("sharpness", "bound", "layers")}
        assert found == {"sharpness": {c.key for c in cases}, "bound": {c.key for c in cases}, "layers": {cases[0].key}}
        assert records.measures("sharpness", 1).keys() < found["sharpness"]
        summary = summarise(records)
    assert {name: len(figure.axes) for name, figure in summary.beside().items()} == {
        "bound": 2,
        "sharpness": 2,
        "layers": 2,
    }
    text = summary.html()
    for heading in ("Bound against truth", "Sharpness on the way", "Norms and angles of invariant layers"):
        assert f"<h2>{heading}</h2>" in text


def test_a_report_without_measures_has_no_headings(tmp_path: Path) -> None:
    case = Case({"loss": "x**4/4", "variables": "x", "start": [1.0], "orders": [0], "ladder": [20, 40]})
    with Records(tmp_path / "some.sqlite") as records:
        records.add([run_case(case)])
        summary = summarise(records)
    assert summary.beside() == {}
    assert "Sharpness" not in summary.html()


def test_charts_show_what_was_measured() -> None:
    rows = [
        {"order": 0, "true": 0.1, "measured": 0.2, "proven": None},
        {"order": 1, "true": 0.01, "measured": 0.04, "proven": None},
    ]
    [chart] = charts.bound_charts({"a": {"orders": rows}})
    [ax] = charts.drawn([chart]).axes
    assert "median 3 times" in ax.get_title()
    points = [line.get_xydata().tolist() for line in ax.lines]  # type: ignore[union-attr]
    assert points[:2] == [[[0.1, 0.2]], [[0.01, 0.04]]]
    one = {"eta": 0.1, "times": [0.0, 0.1], "values": [5.0, None], "limit": 20.0}
    [ax] = charts.drawn(charts.sharpness_charts({"a": one}, {"a": "quartic"})).axes
    assert list(ax.lines[1].get_ydata()) == [20.0, 20.0]


@pytest.mark.parametrize("names", [["curvature"], ["sharpness", 3]])
def test_unknown_measures(names: list[object]) -> None:
    with pytest.raises(InputError, match="choose one of sharpness, bound, layers"):
        Case({"loss": "x**2", "variables": "x", "start": [1.0], "measure": names})
