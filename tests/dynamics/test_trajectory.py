"""Paths draw themselves."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import eomsym as eom
from eomsym.dynamics import trajectory
from eomsym.output.records import dumps
from eomsym.output.style import DESCENT, colour

LOSS = eom.Loss("(x-1)**2/2 + x**2*y**2/4", variables="x y")


def test_the_loss_along_the_path() -> None:
    descent = eom.descend(LOSS, [0.5, 1.0], eta=0.1, steps=20)
    figure = descent.plot()
    eom.flow(LOSS, [0.5, 1.0], eta=0.1, time=[0.0, 1.0, 2.0], order=0).plot(figure.axes[0])
    points, line = figure.axes[0].lines
    np.testing.assert_allclose(points.get_ydata(), [LOSS.value(theta) for theta in descent.thetas])
    assert (points.get_color(), line.get_color()) == (DESCENT, colour(0))
    assert (points.get_marker(), line.get_marker()) == (".", "None")
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == [
        "gradient descent",
        "gradient flow",
    ]


def test_a_field_without_a_loss_shows_the_norm() -> None:
    path = eom.descend(eom.Field(["y", "-x"], variables="x y"), [3.0, 4.0], eta=0.1, steps=3)
    ax = path.plot().axes[0]
    assert ax.get_ylabel() == r"$\|\theta\|$"
    assert ax.lines[0].get_ydata()[0] == 5.0


def test_records_hold_the_path(valid: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    event = eom.Event(lambda theta: theta[1] - 0.9, "low")
    for path in (
        eom.descend(LOSS, [0.5, 1.0], eta=0.1, steps=20),
        eom.flow(LOSS, [0.5, 1.0], eta=0.1, time=[0.0, 1.0, 2.0], order=1, events=[event]),
        eom.descend(eom.Field(["y", "-x"], variables="x y"), [3.0, 4.0], eta=0.1, steps=3),
    ):
        made = json.loads(dumps(path.record(command="x")))
        valid(made)
        np.testing.assert_array_equal(made["thetas"], path.thetas)
        assert made["end"] == path.end.tolist()
        assert (made["start"], made["title"], made["command"]) == (path.thetas[0].tolist(), path.title, "x")
        assert [one["name"] for one in made["events"]] == [one.name for one in path.events]
        if path.kernel.loss.has_value:
            np.testing.assert_allclose(made["losses"], [LOSS.value(theta) for theta in path.thetas])
        else:
            assert made["losses"] is None
        assert path.title in path._repr_html_()
    monkeypatch.setattr(trajectory, "LONGEST_START", 10)
    made = path.record() if path.thetas.size > 10 else eom.descend(LOSS, [0.5, 1.0], eta=0.1, steps=20).record()
    assert made["thetas"] is None
    assert made["end"]


def test_data_have_their_hash() -> None:
    net = eom.DeepLinear((1, 1), inputs=[[2.0]], targets=[[1.0]])
    made = eom.descend(net, [0.5], eta=0.1, steps=2).record()
    assert made["data_hash"] == trajectory.data_hash([[2.0]], [[1.0]])


def test_an_epoch_has_a_loss_for_each_batch() -> None:
    batches = [eom.Loss("x**2/2", variables="x"), eom.Loss("x**2", variables="x")]
    made = eom.descend(batches, [1.0], eta=0.1, steps=1, method=eom.optimisers.Epoch(2)).record()
    assert made["losses"][0] == 0.75
