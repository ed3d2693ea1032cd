"""Figures show themselves, and save themselves in the format of the file's name."""

from __future__ import annotations

import io
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import matplotlib.image
import pytest
from matplotlib.figure import Figure as Canvas

from eomsym.errors import InputError, MissingDependencyError
from eomsym.output.figures import Figure, check_figure, on_axes
from eomsym.output.style import DESCENT, GREYS, OKABE_ITO, ORDERS, colour, marker


@pytest.fixture
def figure() -> Figure:
    made = Figure(2)
    for ax in made.axes:
        ax.plot([1, 2, 3], color=colour(1))
        ax.set_xlabel(r"$\eta$")
    return made


@pytest.mark.parametrize(
    "suffix, begin", [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF"), ("PNG", b"\x89PNG")]
)
def test_format_is_that_of_the_suffix(figure: Figure, tmp_path: Path, suffix: str, begin: bytes) -> None:
    path = figure.save(tmp_path / "a" / f"x.{suffix}")
    assert path.read_bytes().startswith(begin)


@pytest.mark.parametrize("format", ["png", "svg", "pdf"])
def test_same_figure_same_bytes(format: str) -> None:
    def made() -> bytes:
        figure = Figure()
        figure.axes[0].plot([1, 2], label="a")
        figure.axes[0].legend()
        return figure.to_bytes(format)

    assert made() == made()


@pytest.mark.parametrize("name, better", [("x.jpg", "x.png"), ("x", "x.png"), ("x.tar.gz", "x.tar.png")])
def test_other_suffixes_are_refused(figure: Figure, tmp_path: Path, name: str, better: str) -> None:
    with pytest.raises(InputError, match=rf"a figure is written as .png, .svg or .pdf; try .*{better}$"):
        figure.save(tmp_path / name)
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match="unknown format 'jpg' of a figure; expected png, svg or pdf"):
        figure.to_bytes("jpg")
    with pytest.raises(InputError, match="/dev/null is no folder"):
        check_figure("/dev/null/x.svg")


def test_notebooks_get_an_image_and_a_drawing(figure: Figure) -> None:
    pixels = matplotlib.image.imread(io.BytesIO(figure._repr_png_()))
    assert pixels.std() > 0.05
    assert pixels.shape[1] < 1000
    drawing = ElementTree.fromstring(figure._repr_svg_())
    assert drawing.tag == "{http://www.w3.org/2000/svg}svg"


def test_axes_of_somebody_else() -> None:
    axes = Canvas().subplots(1, 2)
    assert on_axes(axes, 2).axes == tuple(axes)
    assert on_axes(axes[0]).figure is axes[0].figure
    with pytest.raises(InputError, match="got 1 axes for 3 panels; leave ax out to have them made"):
        on_axes(axes[0], 3)


def test_panels_in_rows() -> None:
    figure = Figure(3, columns=2)
    assert len(figure.axes) == len(figure.figure.axes) == 3
    assert len({ax.get_position().y0 for ax in figure.axes}) == 2


def test_settings_of_matplotlib_stay_as_they_were(figure: Figure) -> None:
    import matplotlib

    before = matplotlib.rcParams["font.size"], matplotlib.rcParams["axes.spines.top"]
    figure.to_bytes("svg")
    assert (matplotlib.rcParams["font.size"], matplotlib.rcParams["axes.spines.top"]) == before == (10.0, True)
    assert not figure.axes[0].spines["top"].get_visible()


def test_orders_are_told_apart() -> None:
    looks = [(colour(order), marker(order)) for order in range(12)]
    assert len(set(looks)) == 12
    assert len({colour(order) for order in range(6)}) == 6
    assert colour("descent") == DESCENT == "#000000"
    assert set(ORDERS) < set(OKABE_ITO.values())
    assert not set(GREYS) & set(ORDERS)


def test_matplotlib_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("matplotlib")]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'eomsym\[plot\]'"):
        Figure()
