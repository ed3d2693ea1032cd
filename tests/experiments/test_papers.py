"""Papers, reproduced: every claim holds, and none would hold if the theory were another one."""

from __future__ import annotations

import pytest

from eomsym.errors import InputError
from eomsym.experiments import papers
from eomsym.experiments.papers import PAPERS, reproduce
from eomsym.formulas.terms import counter_terms

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


def test_a_wrong_modified_loss_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = papers.modified
    monkeypatch.setattr(papers, "modified", lambda text, eta: right(text, eta, papers.Fraction(101, 400)))
    found = papers.implicit_regularisation()
    assert [claim.status for claim in found.claims] == ["passed", "passed", "failed"]


def test_a_wrong_coefficient_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(papers, "counter_terms", lambda order, method=None: counter_terms(order))
    found = papers.heavy_ball()
    assert found.claims[0].status == "failed"


def test_progress_and_names() -> None:
    calls: list[tuple[int, int, str]] = []
    reproduce("rosca2023", progress=lambda *call: calls.append(call))
    assert calls == [(0, 1, "principal flow"), (1, 1, "")]
    with pytest.raises(InputError, match="unknown paper 'rosca'; choose one of miyagawa2022, "):
        reproduce("rosca")
