"""Guaranteed learning rates: the theorem's, and the largest that the discrete theorem allows."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from looks import Looks
from problems import DEEP

import eomsym as eom
from eomsym.bounds import StepSize, distance, step_size, step_sizes, tables
from eomsym.cli import main
from eomsym.curvature.hessian import EstimatedCurvature, GivenCurvature
from eomsym.dynamics import patience
from eomsym.dynamics.patience import Stopped
from eomsym.errors import HypothesisError, InputError

SQUARE = eom.Loss("x**2/2", variables="x")


def test_step_size_of_a_saddle_is_the_constant_formula() -> None:
    # m eps/(beta gamma (exp(mT) - 1)): Elkabetz and Cohen's corollary for constant m, beta and gamma
    m, time, epsilon = 0.5, 2.0, 0.1
    loss = eom.Loss("-x**2/4", variables="x")
    constant = GivenCurvature(lambda x, r: -m, lambda x, r: m, lambda x, r: 3.0)
    allowed = step_size(loss, [1.0], time=time, epsilon=epsilon, certificate="theorem", curvature=constant)
    assert allowed.eta == pytest.approx(m * epsilon / (m * 3.0 * np.expm1(m * time)), rel=1e-9, abs=0)
    assert time / allowed.steps <= allowed.eta < time / (allowed.steps - 1)


@pytest.mark.parametrize(
    "growth, expected",
    [(0.0, 0.1 / (2 * 3 * 4)), (-0.5, 0.5 * 0.1 / (6 * -np.expm1(-2))), (1.0, 0.1 / (6 * np.expm1(4)))],
)
def test_constant_step_sizes(growth: float, expected: float) -> None:
    given = GivenCurvature(lambda x, r: -growth, lambda x, r: 2.0, lambda x, r: 3.0)
    loss = eom.Loss("x**2/2", variables="x")
    assert step_size(loss, [1.0], time=4.0, epsilon=0.1, certificate="theorem", curvature=given).eta == pytest.approx(
        expected, rel=1e-9, abs=0
    )


def test_the_theorem_keeps_its_promise() -> None:
    loss, start = DEEP.build(), DEEP.start
    found = step_size(loss, start, epsilon=0.05, time=0.5, certificate="theorem")
    steps = found.steps + 1
    descent = eom.descend(loss, start, eta=0.5 / steps, steps=steps)
    motion = eom.flow(eom.compile(loss, 0), start, eta=0.1, time=descent.times)
    assert np.linalg.norm(descent.thetas - motion.thetas, axis=1).max() <= 0.05
    assert found.proven
    assert "eps-tube" in str(found)
    with pytest.raises(InputError, match="certificate='theorem' is for order 0"):
        step_size(loss, start, epsilon=0.05, time=0.5, order=1, certificate="theorem")


@pytest.mark.parametrize("certificate", ["measured", "proven"])
@pytest.mark.parametrize("order", range(3))
def test_search_finds_a_larger_rate_and_keeps_its_promise(order: int, certificate: str) -> None:
    loss, start, epsilon, time = DEEP.build(), DEEP.start, 0.01, 0.5
    found = step_size(loss, start, epsilon=epsilon, time=time, order=order, certificate=certificate)
    assert found.eta == time / found.steps
    descent = eom.descend(loss, start, eta=found.eta, steps=found.steps)
    motion = eom.flow(eom.compile(loss, order), start, eta=found.eta, time=descent.times)
    reached = np.linalg.norm(descent.thetas - motion.thetas, axis=1).max()
    assert (0.2 if certificate == "measured" else 0.01) * epsilon < reached <= epsilon
    assert found.certificate == certificate
    assert found.eta > 2 * step_size(loss, start, epsilon=epsilon, time=time, certificate="theorem").eta


def test_search_ends_at_the_smallest_number_of_steps() -> None:
    # From above and from below: 2 % fewer steps would not do.
    loss, start = DEEP.build(), DEEP.start
    for epsilon in (0.03, 0.003):
        steps = step_size(loss, start, epsilon=epsilon, time=1.0, certificate="proven").steps
        assert distance(loss, start, eta=1 / steps, steps=steps, certificate="proven").largest <= epsilon
        fewer = min(int(0.97 * steps), steps - 1)
        assert distance(loss, start, eta=1 / fewer, steps=fewer, certificate="proven").largest > epsilon


def test_rigorous_rates() -> None:
    loss = eom.Loss("x**2/2", variables="x")
    found = step_size(loss, [1.0], time=1.0, epsilon=0.02, certificate="rigorous")
    # The largest of |exp(-k eta) - (1 - eta)**k| is at the end.
    assert (
        np.exp(-1) - (1 - found.eta) ** found.steps
        <= 0.02
        < np.exp(-1) - (1 - 1 / (found.steps - 1)) ** (found.steps - 1)
    )


def test_search_takes_one_step_if_that_is_enough() -> None:
    flat = eom.Loss("x", variables="x")
    for certificate in ("measured", "proven"):
        found = step_size(flat, [0.0], epsilon=0.1, time=7.0, certificate=certificate)
        assert (found.eta, found.steps) == (7.0, 1)


def test_search_that_finds_nothing_says_how_far_it_came() -> None:
    with pytest.raises(HypothesisError, match=r"a distance below epsilon = 1e-06, got with 50 steps the bound"):
        step_size(DEEP.build(), DEEP.start, epsilon=1e-6, time=1.0, certificate="proven", most_steps=50)


def test_search_says_at_once_what_more_steps_cannot_mend() -> None:
    loss = eom.Loss("exp(x) - x", variables="x")
    estimate = EstimatedCurvature(eom.compile(loss, 0))
    with pytest.raises(HypothesisError, match=r"^no bound: needed all derivatives of the gradient"):
        step_size(loss, [1.0], epsilon=0.05, time=1.0, order=1, certificate="proven", curvature=estimate)


def test_an_estimate_is_labelled() -> None:
    loss = eom.Loss("(x*y - 1)**2/2", variables="x y")
    curvature = EstimatedCurvature(eom.compile(loss, 0))
    found = step_size(loss, [0.5, 0.5], epsilon=0.05, time=1.0, curvature=curvature)
    assert found.certificate == "estimated"
    assert not found.proven


def test_the_theorem_says_where_growth_has_no_finite_integral() -> None:
    with pytest.raises(HypothesisError, match=r"needed m\(t\) integrable, got int exp\(int m\) = (nan|inf)"):
        step_size(eom.Loss("x**4/4", variables="x"), [1.0], time=1e5, epsilon=1e-3, certificate="theorem")


@pytest.mark.parametrize(
    "certificate, order",
    [("measured", 1), ("proven", 1), ("proven", 0), ("closed_form", 1), ("rigorous", 0)],
)
def test_a_search_that_is_stopped_gives_a_rate_that_holds(
    certificate: str, order: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"time": 1.0, "epsilon": 2e-2 if order == 0 else 2e-3, "order": order, "certificate": certificate}
    loss, start = eom.Loss("(x*y - 1)**2/2", variables="x y"), [0.5, 0.5]
    kernel = eom.compile(loss, 2)
    clock = Looks()
    monkeypatch.setattr(patience, "process_time", clock)
    # With no guess to begin with, bounds for ever more steps are tried: all fail at first, then fewer and fewer hold.
    monkeypatch.setattr(step_sizes, "predicted_rate", lambda *rest: (1.0, ()))
    whole = step_size(kernel, start, **asked, limit=1e9)
    assert (whole.stopped, whole.notes) == ("", ())
    looks, rates, refused = int(clock.now), [], []
    for limit in np.unique(np.linspace(1, looks, 12, dtype=int)):
        clock.now = 0.0
        try:
            found = step_size(kernel, start, **asked, limit=float(limit))
        except Stopped as stopped:
            refused.append((len(rates), str(stopped)))
            continue
        rates.append(found.eta)
        if found.stopped:
            assert found.notes == (found.stopped,)
            assert re.search(f"between \\d+ and {found.steps} steps was stopped; .*limit", found.stopped)
            assert found.stopped in str(found)
        else:
            assert found.eta == whole.eta
        bound = distance(kernel, start, eta=found.eta, steps=found.steps, order=order, certificate=certificate)
        assert bound.largest <= asked["epsilon"]
    assert rates == sorted(rates)
    assert rates[0] < rates[-1] <= whole.eta
    for earlier, told in refused:
        assert earlier == 0  # what is found with less time is found with more
        assert re.match(
            r"no learning rate was found: (the limit of \d+ s of CPU time was reached at |\d+ steps take more)", told
        )
    assert any("at step" in told for _, told in refused)


@pytest.mark.parametrize("certificate", ["predicted", "theorem"])
def test_what_is_not_searched_for_has_a_limit_too(certificate: str, monkeypatch: pytest.MonkeyPatch) -> None:
    net = eom.Network((2, 2, 1), [[1.0, 0.5], [-0.5, 1.0]], [[1.0], [-0.5]], activation="relu")
    monkeypatch.setattr(patience, "process_time", Looks())
    with pytest.raises(Stopped, match="the limit of 3 s of CPU time was reached at time"):
        step_size(net, np.full(6, 0.25), time=1.0, epsilon=0.1, certificate=certificate, limit=3)


def test_a_table_says_which_search_was_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(kernel: Any, start: Any, *, certificate: str, limit: float, **asked: Any) -> StepSize:
        why = "stopped early" if certificate == "proven" else ""
        assert limit == 7.0
        return StepSize("", 0.5, 1.0, 0.1, 0, (), "", certificate, (why,) if why else (), why)

    monkeypatch.setattr(tables, "step_size", stopped)
    found = tables.compare_step_sizes(SQUARE, [1.0], time=1.0, epsilon=0.1, orders=[0, 1], limit=7.0)
    told = str(found).splitlines()
    assert told[-2:] == ["order 0, proven: stopped early", "order 1, proven: stopped early"]
    assert "measured:" not in str(found)
    made = found.record()["rows"][0]
    assert (made["proven"]["notes"], made["measured"]["notes"]) == (["stopped early"], [])


def test_the_command_has_a_limit() -> None:
    asked = ["bound", "--loss", "x**2/2", "--variables", "x", "--start", "1", "--orders", "0"]
    wrong = CliRunner().invoke(main, [*asked, "--limit", "2"])
    assert wrong.exit_code == 2
    assert "--limit is for the search of learning rates; add --epsilon" in wrong.stderr
    late = CliRunner().invoke(main, [*asked, "--epsilon", "0.01", "--limit", "1e-9"])
    assert late.exit_code == 0, late.output
    assert "order 0, measured: no learning rate was found:" in late.stdout
    assert "the limit of 1e-09 s of CPU time was reached at the bound with" in late.stdout
    done = CliRunner().invoke(main, [*asked, "--epsilon", "0.01", "--limit", "600"])
    assert done.exit_code == 0, done.output
    assert ":" not in done.stdout.partition("predicted")[2]


def test_a_guess_that_underflows_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    loss, asked = eom.Loss("(x*y - 1)**2/2", variables="x y"), {"time": 1.0, "epsilon": 0.02}
    found = step_size(loss, [0.5, 0.5], **asked).eta
    monkeypatch.setattr(step_sizes, "predicted_rate", lambda *rest: (0.0, ()))
    assert step_size(loss, [0.5, 0.5], **asked).eta == found
