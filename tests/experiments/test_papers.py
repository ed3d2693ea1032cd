"""Papers, reproduced: every claim holds, and none would hold if the theory were another one."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from eomsym.errors import InputError
from eomsym.experiments import drifts, memories, modified_losses, papers
from eomsym.experiments.experiment import Claim, Experiment
from eomsym.experiments.papers import PAPERS, reproduce
from eomsym.formulas.terms import counter_terms
from eomsym.output.pages import shown
from eomsym.testing import altered

QUICK = [name for name, paper in PAPERS.items() if not any(isinstance(one, str) for one in paper.experiments)]


@pytest.mark.parametrize("name", QUICK)
def test_small_papers(name: str) -> None:
    found = reproduce(name)
    assert found.status == "passed", str(found)
    assert all(panel.lines for one in found.experiments for panel in one.panels)
    assert len(found.experiments[0].claims) >= 3
    assert found.paper.formula()


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(PAPERS) - set(QUICK)))
def test_large_papers(name: str) -> None:
    found = reproduce(name)
    assert found.status == "passed", str(found)


def test_quick_settings_are_those_of_the_paper(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: dict[str, dict[str, int]] = {}

    def simulated(name: str, **options: int) -> Experiment:
        calls[name] = options
        return Experiment(name, name, {}, (), (Claim("it holds", 1.0, 0.0, 2.0),))

    monkeypatch.setattr(papers, "simulate", simulated)
    found = reproduce("elkabetz2021", quick=True)
    assert calls == PAPERS["elkabetz2021"].quick
    assert found.record()["command"] == found.command == "eomsym reproduce elkabetz2021 --quick"
    assert reproduce("elkabetz2021").command == "eomsym reproduce elkabetz2021"
    assert calls == {key: {} for key in ("linear", "relu", "convolution", "modes")}
    assert reproduce("rosca2023", quick=True).command == "eomsym reproduce rosca2023"  # it is quick anyway


@pytest.mark.parametrize("name", PAPERS)
def test_citations(name: str) -> None:
    paper = PAPERS[name]
    assert re.fullmatch(r"\d{4}\.\d{5}", paper.arxiv)
    root = ElementTree.fromstring(paper.citation())
    links = [link.get("href") for link in root.iter("a")]
    assert links == [f"https://arxiv.org/abs/{paper.arxiv}", f"https://doi.org/10.48550/arXiv.{paper.arxiv}"]
    assert "".join(root.itertext()).startswith(f"{paper.authors}, {paper.title}, {paper.venue}, arXiv:")
    for experiment, options in paper.quick.items():
        assert experiment in paper.experiments
        assert set(options) <= {"images", "steps"}


def test_a_page_has_formula_figures_claims_and_command() -> None:
    found = reproduce("rosca2021")
    text = "".join(map(shown, found.parts()))
    assert text.count("<svg ") == sum(len(one.panels) for one in found.experiments) == 2
    assert "<math" in text
    assert text.count(">passed<") == len(found.experiments[0].claims)
    assert "<code>eomsym reproduce rosca2021</code>" in text
    assert "<h4>" in found._repr_html_()


def test_figures_show_what_was_measured_and_predicted() -> None:
    """The bilinear game is known in closed form: marks and lines must lie on it."""
    [one] = reproduce("rosca2021").experiments
    axes = one.panels[0].plot().axes[0]
    etas = np.array([1 / k for k in (10, 20, 40, 80)])
    exact = {"gradient flow": etas / 2, "orders 1 and 2": etas**3 / 4, "order 3": etas**5 / 6}
    drawn = {line.get_label(): line for line in axes.lines}
    for name, values in exact.items():
        np.testing.assert_allclose(drawn[name].get_ydata(), values, rtol=0.01)
        assert drawn[name].get_linestyle() == "None"
    dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
    for line, (constant, power) in zip(dashed, ((1 / 2, 1), (1 / 4, 3), (1 / 6, 5)), strict=True):
        x = np.asarray(line.get_xdata())
        np.testing.assert_allclose(line.get_ydata(), constant * x**power, rtol=1e-12)
    assert [text.get_text() for text in axes.get_xticklabels()] == ["0.0125", "0.025", "0.05", "0.1"]


def test_a_wrong_modified_loss_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = modified_losses.modified
    wrong = Fraction(101, 400)
    monkeypatch.setattr(modified_losses, "modified", lambda text, eta: right(text, eta, wrong))
    found = modified_losses.implicit_regularisation()
    assert [claim.status for claim in found.claims] == ["passed", "passed", "passed", "failed", "failed"]


def test_a_wrong_coefficient_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memories, "counter_terms", lambda order, method=None: counter_terms(order))
    found = memories.heavy_ball()
    assert found.claims[0].status == "failed"


def test_a_drift_that_is_off_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the bilinear game each order has its own constant."""
    right = drifts.compile
    monkeypatch.setattr(
        drifts, "compile", lambda field, order: altered(right(field, order), 1, 0.01) if order else right(field, order)
    )
    found = drifts.games()
    assert [claim.status for claim in found.claims[:4]] == ["passed", "failed", "failed", "failed"]


def test_progress_and_names() -> None:
    calls: list[tuple[int, int, str]] = []
    reproduce("rosca2023", progress=lambda *call: calls.append(call))
    assert calls == [(0, 1, "principal flow"), (1, 1, "")]
    with pytest.raises(InputError, match="unknown paper 'rosca'; choose one of miyagawa2022, "):
        reproduce("rosca")


def test_every_paper_is_in_the_gallery() -> None:
    page = (Path(__file__).parents[2] / "docs/gallery/papers.md").read_text(encoding="utf-8")
    assert re.findall(r'^FOUND\["(\w+)"\]$', page, re.MULTILINE) == list(PAPERS)
