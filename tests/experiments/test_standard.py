"""The standard suite passes, and each of its members notices one wrong coefficient."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import pytest

import eomsym as eom
from eomsym.experiments.case import Case, Outcome, run_case
from eomsym.experiments.standard import OPTIMISERS, standard_suite, suite_status, suite_table
from eomsym.testing import altered
from eomsym.verification.discrete import Optimiser

QUICK, WHOLE = standard_suite(quick=True), standard_suite()


def titled(cases: tuple[Case, ...]) -> Any:
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.title)


def test_what_is_in_it() -> None:
    """Every problem with gradient descent, and every optimiser with each family."""
    titles = [case.title for case in WHOLE]
    assert len(set(titles)) == len(titles)
    found = set()
    for case in WHOLE:
        if case.title.startswith("deep linear"):
            network = case.definition["network"]
            depth = network.get("depth") or len(network["widths"]) - 1
            found.add((network.get("data", "synthetic"), network.get("objective", "mse"), depth))
    assert found == set(product(("digits", "synthetic"), ("mse", "cross_entropy"), range(2, 7)))
    for family in ("Rosenbrock", "tanh", "scale-inv", "translation-inv", "deep linear, depth 2, mse, digits"):
        assert sum(title.startswith(family) for title in titles) == len(OPTIMISERS)
    assert {tuple(case.definition["orders"]) for case in WHOLE} == {(0, 1, 2, 3, 4, 5)}
    decays = [case for case in WHOLE if case.title.startswith("translation-invariant")]
    assert all(case.definition["weight_decay"] == "1/10" for case in decays)


@pytest.mark.parametrize("name, kind", [("scale-inv", "ScaleInvariance"), ("translation-inv", "TranslationInvariance")])
def test_the_layers_are_invariant_as_they_are_called(name: str, kind: str) -> None:
    case = next(case for case in WHOLE if case.title.startswith(name))
    given = case.problem()
    plain = given.loss.with_weight_decay(0) if given.loss.weight_decay else given.loss
    found = [each for each in eom.symmetries.symmetries_of(plain) if type(each).__name__ == kind]
    assert found
    assert all(each.check(plain, given.start).violation < 1e-12 for each in found)


def caught(case: Case, order: int) -> str:
    """The verdict on an order whose highest counter term is wrong by one per cent."""
    given, said = case.problem(), case.definition
    optimiser = Optimiser(given.loss, given.method)
    wrong = altered(eom.compile(given.loss, order + optimiser.extra_order, method=given.method), order)
    report = eom.verify(wrong, given.start, time=given.time, ladder=given.ladder, orders=[order], limit=said["limit"])
    return report.status


@titled(QUICK[:6])
def test_quick_members_notice_one_per_cent(case: Case) -> None:
    assert caught(case, max(case.definition["orders"])) == "failed"


@pytest.mark.slow
@titled(WHOLE)
def test_members_notice_one_per_cent(case: Case) -> None:
    assert caught(case, max(case.definition["orders"])) == "failed"


@pytest.mark.slow
@titled(WHOLE)
def test_members_pass(case: Case) -> None:
    outcome = run_case(case)
    assert outcome.status == "passed", str(suite_table([outcome]))
    for row in outcome.orders:
        assert abs(row["slope"] - row["expected_slope"]) < 0.05
        assert abs(row["ratio"] - 1) < 0.03


def test_the_quick_suite_passes_through_a_sweep() -> None:
    with ThreadPoolExecutor(1) as thread:
        found = eom.sweep(QUICK, executor=thread)
    assert found.counts == {"passed": len(QUICK)}, str(suite_table(found.outcomes))
    assert suite_status(found.outcomes) == "passed"
    assert all(one.report.setting["case"] == one.case.definition for one in found.outcomes if one.report)
    table = str(suite_table(found.outcomes))
    for case in QUICK:
        assert case.title in table


def test_what_cannot_be_run_has_failed_and_is_told() -> None:
    error = run_case(Case({"loss": "x**", "variables": "x", "start": [1.0], "name": "broken"}))
    assert suite_status([error]) == "failed"
    assert "broken: ExpressionError" in str(suite_table([error]))
    undecided = run_case(Case({"problem": "rosenbrock", "orders": [3], "ladder": [5, 10], "name": "coarse"}))
    assert suite_status([undecided]) == "inconclusive"
    assert "coarse, order 3: slope 4.078 and misfit" in str(suite_table([undecided]))
    assert suite_status([undecided, Outcome(error.case, "failed", [])]) == "failed"
