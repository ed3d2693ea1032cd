"""Draw the figure of the README: how far each equation of motion is from gradient descent, and what the theory says.

Run as ``python docs/figure.py``; it writes ``docs/_static/orders.svg`` and ``orders.png``.
"""

from __future__ import annotations

from pathlib import Path

import eomsym as eom

FOLDER = Path(__file__).parent / "_static"


def main() -> None:
    """Verify orders 0 to 4 on the loss of the README, and draw the report."""
    loss = eom.Loss("(1-x)**2/2 + (y-x**2)**2/2", variables="x y")
    name = "The equation of motion of order $K$ against gradient descent"
    report = eom.verify(loss, [-0.5, 1.0], time=1.0, ladder=(10, 20, 40, 80), orders=range(5), name=name)
    figure = report.plot()
    figure.figure.set_size_inches(6.2, 3.9)
    ax = figure.axes[0]
    ax.set_title(name, fontsize=10)
    ax.set_ylabel("distance after time 1")
    for suffix in (".svg", ".png"):
        print(figure.save(FOLDER / f"orders{suffix}", dpi=160).relative_to(FOLDER.parents[1]))


if __name__ == "__main__":
    main()
