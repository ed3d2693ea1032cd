"""Paths draw themselves."""

from __future__ import annotations

import numpy as np

import eomsym as eom
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
