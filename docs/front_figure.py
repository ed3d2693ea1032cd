"""Draws the figure of the front page and of the README: `python docs/front_figure.py` writes docs/_static/front.svg."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import eomsym as eom
from eomsym.output import Figure
from eomsym.output.style import DESCENT, GREYS, colour, marker

LOSS = "(1-x)**2/2 + (y-x**2)**2/2"
NAMES = ("gradient flow", "order 1", "order 2")


def paths(ax, loss) -> None:
    """Five steps of gradient descent, and three equations of motion for the same time."""
    start, eta, steps = [-0.5, 2.0], 0.4, 5
    kernel = eom.compile(loss, 2)
    times = np.linspace(0, eta * steps, 40 * steps + 1)
    x, y = np.meshgrid(np.linspace(-0.7, 1.05, 120), np.linspace(0.2, 2.1, 120))
    values = (1 - x) ** 2 / 2 + (y - x**2) ** 2 / 2
    ax.contour(x, y, values, levels=np.geomspace(0.05, 8, 14), colors=GREYS[0], linewidths=0.7)
    for order, name in enumerate(NAMES):
        motion = eom.flow(kernel.at_order(order), start, eta=eta, time=times).thetas
        ax.plot(*motion.T, color=colour(order), label=name)
        whole = motion[:: len(times) // steps]  # where each step ends
        ax.plot(*whole.T, marker(order), color=colour(order))
    descent = eom.descend(loss, start, eta=eta, steps=steps).thetas
    ax.plot(*descent.T, "o", color=DESCENT, label="gradient descent")
    ax.set(xlabel="x", ylabel="y", title=f"five steps, η = {eta}")
    ax.legend()


def main(target: Path) -> Path:
    loss = eom.Loss(LOSS, variables="x y")
    figure = Figure(2, size=(4.4, 3.6))
    paths(figure.axes[0], loss)
    report = eom.verify(loss, [-0.5, 1.0], time=1.0, ladder=(10, 20, 40, 80), orders=range(5))
    report.plot(figure.axes[1])
    figure.axes[1].set_title("distance from gradient descent after time 1")
    return figure.save(target)


if __name__ == "__main__":
    print(main(Path(__file__).parent / "_static" / "front.svg"))
