"""Results of many kinds show themselves the same way: as table, figure, record and HTML."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import eomsym as eom
from eomsym.dynamics.edge import EdgePath
from eomsym.output.records import dumps
from eomsym.verification.edge import EdgeReport, verify_edge

VALLEY = eom.Loss("(1 - x*y)**2/2", variables="x y")
START = [2.0, 0.52]


@pytest.fixture(scope="module")
def path() -> EdgePath:
    return eom.edge_flow(VALLEY, START, eta=0.5, steps=30, order=2)


@pytest.fixture(scope="module")
def report() -> EdgeReport:
    return verify_edge(VALLEY, START, eta=0.5, steps=30, orders=range(3))


def test_a_path_at_the_edge(path: EdgePath, valid: Any) -> None:
    sharp, swing = path.plot().axes
    np.testing.assert_array_equal(sharp.lines[0].get_data(), [path.steps, path.products[:, 0]])
    np.testing.assert_array_equal(swing.lines[0].get_data(), [path.steps, np.linalg.norm(path.alternating, axis=1)])
    made = json.loads(dumps(path.record(command="x")))
    valid(made)
    assert made["start"] == path.iterates[0].tolist()
    assert made["end"] == path.iterates[-1].tolist()
    assert made["cost"]["gradients"] == path.cost.gradients
    np.testing.assert_array_equal(np.array(made["products"], dtype=float), path.products)
    assert f"order {path.order}" in path._repr_html_()


def test_a_verdict_at_the_edge(report: EdgeReport, valid: Any) -> None:
    made = json.loads(dumps(report.record()))
    valid(made)
    assert [one["prediction"] for one in made["orders"]] == [one.prediction for one in report.orders]
    axes = report.plot().axes[0]
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [one.prediction for one in report.orders])
    assert [line.get_ydata()[0] for line in axes.lines[1:]] == [one.error for one in report.orders]
    root = ElementTree.fromstring(f"<div>{report._repr_html_()}</div>")
    assert len(root.findall(".//tr")) == 4
    assert "".join(root.itertext()).endswith(report.verdict)
    assert str(report).splitlines()[0] == report.title
    assert str(report).endswith(report.verdict)


def test_what_is_not_passed_is_hollow(report: EdgeReport) -> None:
    doubtful = [type(one)(**{**vars(one), "status": "inconclusive", "reason": "lost"}) for one in report.orders[:1]]
    shown = EdgeReport(**{**vars(report), "orders": (*doubtful, *report.orders[1:])})
    faces = [line.get_markerfacecolor() for line in shown.plot().axes[0].lines[1:]]
    assert (faces[0] == "white", faces[1] == "white") == (True, False)
    assert "order 0: lost" in str(shown)


def test_sharpness_along_training() -> None:
    run = eom.descend(VALLEY, START, eta=0.4, steps=10)
    found = eom.watch(VALLEY, run, count=2)
    axes = found.plot().axes[0]
    np.testing.assert_array_equal(axes.lines[0].get_data(), [run.times, found.products[:, 0]])
    assert [line.get_ydata()[0] for line in axes.lines[2:]] == [found.radius, found.limit] == [1.0, 2.0]
    assert eom.watch(VALLEY, run.thetas, eta=0.4, count=1).plot().axes[0].get_xlabel() == "point of the path"


def test_a_prediction_far_ahead(valid: Any) -> None:
    found = eom.forward(eom.Loss("x**2/2", variables="x"), [1.0], eta=0.01, steps=2_000)
    made = json.loads(dumps(found.record()))
    valid(made)
    assert (made["theta"], made["steps"]) == (found.theta.tolist(), 2_000)
    assert sum(int(row[2].replace(",", "")) for row in found.table().rows) == 2_000
    assert "times fewer gradients" in found._repr_html_()
    dearer = replace(found, gradients=2_100.0)
    assert "2,100 gradients, 5.0% more than the optimiser" in str(dearer)
    assert "5.0% more gradients than the optimiser" in dearer._repr_html_()


def test_bounds_and_the_best_order(valid: Any) -> None:
    loss = eom.Loss("-x**3/3", variables="x")
    best = eom.bounds.best_order(loss, [1.0], eta=0.4, highest=6)
    toy = eom.DeepLinear((1, 1), inputs=[[1.0]], targets=[[1.0]])
    distance = eom.bounds.distance(toy, [0.5], eta=0.1, steps=10)
    guarantee = eom.bounds.guarantee_convergence(toy, [0.5], epsilon=0.01)
    for one, quantity, value in (
        (best, "best order", best.order),
        (distance, "distance", distance.value),
        (guarantee, "convergence", guarantee.eta),
    ):
        made = json.loads(dumps(one.record(command="x")))  # type: ignore[attr-defined]
        valid(made)
        assert (made["quantity"], made["value"]) == (quantity, value)
        ElementTree.fromstring(one._repr_html_())  # type: ignore[attr-defined]
    assert json.loads(dumps(distance.record()))["numbers"]["values"] == distance.values.tolist()
    np.testing.assert_array_equal(distance.plot().axes[0].lines[0].get_ydata(), distance.values[1:])
    _, measured, circle = best.plot().axes[0].lines
    np.testing.assert_array_equal(measured.get_ydata(), best.measured)
    assert circle.get_data() == ([best.order], [best.error])
    assert [row[3] for row in best.table().rows].index("best") == best.order
    prediction = eom.bounds.predicted_distance(toy, [0.5], eta=0.1, steps=10)
    np.testing.assert_array_equal(prediction.plot().axes[0].lines[0].get_ydata(), prediction.norms[1:])
