"""The figure of a verification shows the numbers of the report, and nothing else."""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure
from problems import ROSENBROCK

from eomsym.errors import InputError, MissingDependencyError
from eomsym.output.style import colour
from eomsym.verification.figures import draw_reports
from eomsym.verification.report import Report


@pytest.fixture(scope="module")
def report() -> Report:
    return ROSENBROCK.verify([0, 1, 4], ladder=(10, 20, 160, 640))


def test_markers_are_measured_and_lines_are_predicted(report: Report) -> None:
    (ax,) = report.plot().axes
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    lines = ax.get_lines()
    assert len(lines) == 3 * len(report.orders)
    for i, result in enumerate(report.orders):
        predicted, trusted, doubtful = lines[3 * i : 3 * i + 3]
        assert len({line.get_color() for line in (predicted, trusted, doubtful)}) == 1
        etas, errors = predicted.get_data()
        np.testing.assert_allclose(errors, np.asarray(etas) ** result.expected_slope * result.leading)
        assert trusted.get_linestyle() == doubtful.get_linestyle() == "None"
        assert doubtful.get_markerfacecolor() == "white"
        shown = [*trusted.get_ydata(), *doubtful.get_ydata()]
        assert sorted(shown) == sorted(result.errors)
        assert len(trusted.get_ydata()) == sum(result.trusted)
    assert len({line.get_color() for line in lines}) == len(report.orders)


def test_band_covers_what_is_not_judged(report: Report) -> None:
    (ax,) = report.plot().axes
    (band,) = ax.collections
    top = band.get_paths()[0].vertices[:, 1].max()
    doubtful = [e for result in report.orders for e, t in zip(result.errors, result.trusted, strict=True) if not t]
    assert doubtful
    assert max(doubtful) < top
    assert ax.get_ylim()[0] < min(doubtful)


def test_axes_are_those_given(report: Report) -> None:
    ax = Figure().subplots()
    assert report.plot(ax).axes == (ax,)
    with pytest.raises(InputError, match="got 1 axes for 2 panels; leave ax out"):
        draw_reports([report, report], ax)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0.1", "0.05", "0.00625", "0.00156"]
    assert "2 parameters" in ax.get_title()


def test_one_panel_for_each_report(report: Report) -> None:
    figure = draw_reports([report, report])
    assert len(figure.axes) == 2
    assert figure.axes[1].get_ylabel() == ""
    with pytest.raises(InputError, match="no report to draw"):
        draw_reports([])


def test_what_a_limit_of_time_left_unmeasured(report: Report) -> None:
    nothing = tuple(np.nan for _ in report.etas)
    lost = [dataclasses.replace(one, errors=nothing, references=nothing, leading=np.nan) for one in report.orders]
    some = dataclasses.replace(report, orders=(report.orders[0], *lost[1:])).plot().axes[0]
    assert some.get_yscale() == "log"
    assert [text.get_text() for text in some.texts if "K=" in text.get_text()] == [r"$K=0$: $\eta$"]
    none = dataclasses.replace(report, orders=tuple(lost)).plot()
    none.figure.draw_without_rendering()
    assert "no error above zero was measured" in [text.get_text() for text in none.axes[0].texts]


def test_nothing_is_cut_off(report: Report) -> None:
    figure = draw_reports([report, report])
    figure.figure.draw_without_rendering()
    for ax in figure.axes:
        for text in [*ax.texts, ax.title, ax.xaxis.label, ax.yaxis.label]:
            box = text.get_window_extent()
            assert box.x0 >= 0
            assert box.y0 >= 0
            assert box.x1 <= figure.figure.bbox.x1
            assert box.y1 <= figure.figure.bbox.y1


def test_an_order_has_its_colour_whatever_else_is_drawn(report: Report) -> None:
    alone = dataclasses.replace(report, orders=report.orders[-1:])
    assert {line.get_color() for line in alone.plot().axes[0].get_lines()} == {colour(4)}
    assert report.plot().axes[0].get_lines()[0].get_color() == colour(0)


def test_matplotlib_may_be_missing(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("matplotlib")]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'eomsym\[plot\]'"):
        report.plot()
