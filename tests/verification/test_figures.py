"""The figure of a verification shows the numbers of the report, and nothing else."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

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


def made_report(report: Report, steps: tuple[int, ...], **changes: Any) -> Report:
    """Two orders with round numbers: eta = 1/steps."""
    m = len(steps)
    low = {
        "order": 0,
        "expected_slope": 1,
        "leading": 2.0,
        "errors": (1.0,) * m,
        "references": (1e-3,) * m,
        "judged": 1,
    }
    high = {"order": 3, "expected_slope": 4, "leading": 8.0, "errors": (1e-2,) * m, "references": (1e-5,) * m}
    orders = tuple(dataclasses.replace(report.orders[0], **row) for row in (low | changes, high))
    return dataclasses.replace(
        report, orders=orders, steps=steps, time=1.0, size=1234, name="a name", method="a method"
    )


def test_where_everything_is_drawn(report: Report) -> None:
    made = made_report(report, (10, 40))
    (ax,) = made.plot().axes
    left, right = 0.025 / 1.25, 0.1 * 1.25
    assert ax.get_xlim() == (pytest.approx(left, rel=1e-9, abs=0), pytest.approx(right, rel=1e-9, abs=0))
    lines = ax.get_lines()
    for line, slope, size in ((lines[0], 1, 2.0), (lines[3], 4, 8.0)):
        np.testing.assert_allclose(line.get_xdata(), np.geomspace(left, right, 50))
        np.testing.assert_allclose(line.get_ydata(), size * np.geomspace(left, right, 50) ** slope)
        assert (line.get_linewidth(), line.get_zorder()) == (0.9, 2)
    assert [line.get_zorder() for line in (lines[1], lines[2])] == [3, 3]
    # The band: a hundred times the smallest reference of each rate, down to a tenth of what is lowest.
    bottom = 8.0 * left**4 / 10
    assert ax.get_ylim()[0] == pytest.approx(bottom, rel=1e-9, abs=0)
    (band,) = ax.collections
    points = band.get_paths()[0].vertices
    assert points[:, 1].max() == pytest.approx(1e-3, rel=1e-9, abs=0)
    assert points[:, 1].min() == pytest.approx(bottom, rel=1e-9, abs=0)
    assert (points[:, 0].min(), points[:, 0].max()) == (
        pytest.approx(left, rel=1e-9, abs=0),
        pytest.approx(right, rel=1e-9, abs=0),
    )
    assert (band.get_zorder(), band.get_linewidth()[0]) == (1, 0)
    told = next(text for text in ax.texts if text.get_text() == "below 100 × reference error: not judged")
    assert told.get_position() == (
        pytest.approx(np.sqrt(left * right), rel=1e-9, abs=0),
        pytest.approx(1.6 * bottom, rel=1e-9, abs=0),
    )
    assert (told.get_fontsize(), told.get_ha()) == (7.5, "center")
    # The names of the orders, at the ends of their lines.
    names = {text.get_text(): text for text in ax.texts if "K=" in text.get_text()}
    assert list(names) == [r"$K=0$: $\eta$", r"$K=3$: $\eta^{4}$"]
    for text, height in zip(names.values(), (2.0 * right, 8.0 * right**4), strict=True):
        assert text.xy == (pytest.approx(right, rel=1e-9, abs=0), pytest.approx(height, rel=1e-9, abs=0))
        assert (text.get_position(), text.get_fontsize(), text.get_va()) == ((4, 0), 9, "center")
        assert (text.anncoords, text.get_annotation_clip()) == ("offset points", False)
    assert ax.get_title() == "a name\na method, 1,234 parameters, $T=1$"
    assert ax.title.get_fontsize() == 9
    assert ax.get_xlabel() == r"learning rate $\eta$"
    assert ax.get_ylabel() == r"$\|\theta_\mathrm{EoM}(T) - \theta_{T/\eta}\|$"
    assert {label.get_fontsize() for label in ax.get_xticklabels()} == {8}
    np.testing.assert_allclose(ax.get_xticks(), [0.1, 0.025])
    assert len(ax.get_xticks(minor=True)) == 0


def test_the_bottom_is_a_tenth_of_what_is_lowest(report: Report) -> None:
    for changes, lowest in (
        ({"references": (1e-13, 1e-3)}, 1e-11),
        ({"errors": (1e-14, 1.0)}, 1e-14),
        ({"errors": (0.0, 1e-14)}, 1e-14),
        ({"expected_slope": 9}, 2.0 * 0.02**9),
    ):
        assert made_report(report, (10, 40), **changes).plot().axes[0].get_ylim()[0] == pytest.approx(
            lowest / 10, rel=1e-9, abs=0
        )


def test_names_that_would_cover_each_other_are_moved_down(report: Report) -> None:
    made = made_report(report, (10, 40), leading=8.0, expected_slope=4)
    (ax,) = made.plot().axes
    first, second = (text.xy[1] for text in ax.texts if "K=" in text.get_text())
    bottom, top = np.log10(ax.get_ylim())
    assert np.log10(first) == pytest.approx(np.log10(8.0 * 0.125**4), rel=1e-9, abs=0)
    assert np.log10(second) == pytest.approx(np.log10(first) - 0.055 * (top - bottom), rel=1e-9, abs=0)
    flat = made_report(report, (10, 40), leading=0.0)
    assert len([text for text in flat.plot().axes[0].texts if "K=" in text.get_text()]) == 1


@pytest.mark.parametrize("count, every", [(6, 1), (7, 2), (12, 2), (13, 3)])
def test_six_learning_rates_are_named_at_most(report: Report, count: int, every: int) -> None:
    made = made_report(report, tuple(2 ** (k + 1) for k in range(count)))
    labels = [label.get_text() for label in made.plot().axes[0].get_xticklabels()]
    assert labels == [f"{0.5 ** (k + 1):.3g}" if k % every == 0 else "" for k in range(count)]


def test_only_the_first_of_new_panels_names_its_heights(report: Report) -> None:
    labels = [ax.get_ylabel() for ax in draw_reports([report, report, report]).axes]
    assert labels[0]
    assert labels[1:] == ["", ""]
    given = Figure().subplots(1, 2)
    assert all(ax.get_ylabel() for ax in draw_reports([report, report], given).axes)


def test_a_figure_without_errors(report: Report) -> None:
    nothing = tuple(0.0 for _ in report.etas)
    made = dataclasses.replace(report, orders=tuple(dataclasses.replace(one, errors=nothing) for one in report.orders))
    (ax,) = made.plot().axes
    assert (ax.get_xscale(), ax.get_yscale(), list(ax.get_yticks())) == ("log", "linear", [])
    (told,) = ax.texts
    assert (told.get_position(), told.get_ha(), told.get_transform()) == ((0.5, 0.5), "center", ax.transAxes)
