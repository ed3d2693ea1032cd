"""Simulations: claims, records, figures and the command."""

from __future__ import annotations

import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from click.testing import CliRunner

import eomsym as eom
from eomsym.cli import main
from eomsym.errors import InputError
from eomsym.experiments import discretisation, layers
from eomsym.experiments.discretisation import compare
from eomsym.experiments.edge import edge
from eomsym.experiments.experiment import Claim, Experiment, Line, Panel
from eomsym.experiments.fast_forward import fast_forward
from eomsym.experiments.problem import Given
from eomsym.experiments.rerun import rerun
from eomsym.experiments.simulate import EXPERIMENTS, simulate
from eomsym.output.records import dumps
from eomsym.output.style import colour
from eomsym.testing import altered
from eomsym.verification.order import verify

LINE = Line("order 1", np.array([0.0, 1.0]), np.array([1.0, np.nan]), 1)
PANEL = Panel("one", "step", "value", (LINE,))


def experiment(*claims: Claim) -> Experiment:
    return Experiment("none", "Nothing happens", {"eta": 0.1}, (PANEL,), claims, seconds=0.5)


# claims and records ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "measured, reference, status",
    [
        (1.0, 0.0, "passed"),
        (1.0, 0.04, "passed"),
        (1.0, 0.06, "inconclusive"),
        (1.05, 0.03, "inconclusive"),
        (1.2, 0.0, "failed"),
        (1.2, 0.04, "failed"),
        (1.2, 0.06, "inconclusive"),
        (float("nan"), 0.0, "inconclusive"),
    ],
)
def test_status_of_a_claim(measured: float, reference: float, status: str) -> None:
    assert Claim("ratio", measured, 0.9, 1.1, reference).status == status


def test_a_small_number_is_judged_by_its_upper_limit() -> None:
    assert Claim("gap", 1e-12, -np.inf, 1e-7, 1e-9).status == "passed"
    assert str(Claim("gap", 1e-12, -np.inf, 1e-7)).split() == ["passed", "1e-12", "<=", "1e-07", "gap"]


def test_status_of_an_experiment_is_its_worst_claim() -> None:
    good, bad = Claim("a", 1.0, 0.0, 2.0), Claim("b", 3.0, 0.0, 2.0)
    assert experiment(good).status == "passed"
    assert experiment(good, bad).status == "failed"
    assert "failed in 0.5 s" in str(experiment(good, bad))


def test_record_is_strict_json(valid: Any) -> None:
    record = experiment(Claim("gap", float("nan"), -np.inf, 1.0)).record()
    read = json.loads(dumps(record))
    valid(read)
    assert read["claims"][0] == {
        "statement": "gap",
        "measured": None,
        "lowest": None,
        "highest": 1.0,
        "reference": 0.0,
        "status": "inconclusive",
    }
    assert read["panels"][0]["lines"][0]["y"] == [1.0, None]


# figures --------------------------------------------------------------------------------------------------------------


def test_colours_tell_models_apart() -> None:
    names = ["descent", 0, 1, 2, 3, "r=2", "r=5"]
    lines = tuple(Line(str(name), np.arange(3.0), np.full(3, i + 1.0), name) for i, name in enumerate(names))
    (ax,) = Panel("models", "t", "y", lines, "y").plot().axes
    assert ax.lines[1].get_color() == colour(0)
    assert len({line.get_color() for line in ax.lines}) == len(names)
    assert ax.get_yscale() == "log"
    legend = ax.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == list(map(str, names))


def test_predictions_are_dashed_on_wide_lines() -> None:
    pair = layers.pair("order 1", np.arange(20.0), np.ones(20), np.ones(20), 1)
    wide, dashed = Panel("pair", "t", "y", tuple(pair)).plot().axes[0].lines
    assert wide.get_linewidth() > 2 * dashed.get_linewidth()
    assert wide.get_linestyle() == "-"
    assert dashed.get_linestyle() == "--"
    assert wide.get_color() == dashed.get_color()
    assert len(experiment(Claim("a", 1.0, 0.0, 2.0)).plot().axes) == 1


def test_an_experiment_shows_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    found = experiment(Claim("a < b", 1.0, 0.0, 2.0))
    text = found._repr_html_()
    assert (text.count("<svg "), text.count("a &lt; b")) == (1, 1)
    monkeypatch.setattr("eomsym.experiments.experiment.find_spec", lambda name: None)  # matplotlib is not needed for it
    assert "<svg" not in found._repr_html_()


def test_lines_of_few_points_are_marked() -> None:
    few, many = np.geomspace(0.01, 0.08, 4), np.geomspace(0.01, 0.08, 30)
    lines = (Line("order 1", few, few**2, 1), Line("", many, many**2, 1, "predicted"), Line("x", few, few, "other"))
    (ax,) = Panel("ladder", "t", "y", lines, "xy").plot().axes
    assert [line.get_marker() for line in ax.lines] == ["s", "None", "o"]
    assert [line.get_linestyle() for line in ax.lines] == ["None", "--", "None"]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["0.01", "0.02", "0.04", "0.08"]
    (alone,) = Panel("alone", "k", "y", (Line("a", np.arange(3), few[:3], 0),)).plot().axes
    assert (alone.lines[0].get_marker(), alone.lines[0].get_linestyle()) == ("o", "-")
    assert all(float(tick).is_integer() for tick in alone.get_xticks())


def test_greys_of_predictions_differ_in_their_dashes() -> None:
    names = ("gradient flow", "central flow", "principal flow")
    lines = [Line(name, np.arange(20.0), np.ones(20), name, "predicted") for name in names]
    (ax,) = Panel("greys", "t", "y", tuple(lines)).plot().axes
    assert len({str(line._unscaled_dash_pattern) for line in ax.lines}) == 3  # type: ignore[attr-defined]
    assert len({line.get_color() for line in ax.lines}) == 3


# experiments ----------------------------------------------------------------------------------------------------------


def test_experiments_come_from_the_table() -> None:
    assert {entry.function for entry in EXPERIMENTS.values()} == {
        *(getattr(discretisation, name) for name in discretisation.__all__ if name in EXPERIMENTS),
        *(getattr(layers, name) for name in layers.__all__),
        edge,
        fast_forward,
    }
    with pytest.raises(InputError, match="unknown experiment 'quadratic'; choose one of linear, relu"):
        simulate("quadratic")
    with pytest.raises(InputError, match="steps must be an integer from 10 to 10000000, got 3"):
        simulate("modes", steps=3)
    with pytest.raises(InputError, match="images must be an integer >= 2, got 1"):
        simulate("scale", images=1)
    with pytest.raises(InputError, match="makes its own data; leave out images"):
        simulate("modes", images=5)


@pytest.mark.parametrize(
    "name, steps, panels",
    [("balance", 40, 2), ("modes", 20, 3), ("scale", 40, 4), ("translation", 20, 2)],
)
def test_small_runs_of_layers(name: str, steps: int, panels: int) -> None:
    calls: list[Any] = []
    images = {} if name == "modes" else {"images": 40}
    found = simulate(name, steps=steps, progress=lambda *call: calls.append(call), **images)
    assert found.status == "passed", str(found)
    assert len(found.panels) == panels
    assert calls[-1][0] == calls[-1][1]


def test_paper_protocol_on_a_small_linear_network() -> None:
    """All distances over their predicted leading errors, and eta/r against gradient flow."""
    from eomsym.losses.data import digits
    from eomsym.losses.network import DeepLinear

    inputs, labels = digits(40)
    found = compare("small", DeepLinear((64, 5, 10), inputs, labels, "cross_entropy"), 200)
    assert found.status == "passed", str(found)
    distances = found.figures["distances of gradient flow and orders 1, 2, 3 from descent at their end"]
    assert distances[0] > 50 * distances[1] > 2500 * distances[2]
    assert [panel.title.split()[0] for panel in found.panels] == ["training", "way", "distance", "distance"]


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_full_runs(name: str) -> None:
    found = simulate(name)
    assert found.status == "passed", str(found)


# problems of the user's -----------------------------------------------------------------------------------------------

OWN = {"loss": "x**2*y**2/2 + x**2", "variables": "x y", "start": [1.0, 0.5]}
NORMALISED = {
    "network": {"widths": [3, 4, 2], "activation": "tanh", "normalisation": "weight", "samples": 6},
    "weight_decay": "1/100",
    "seed": 1,
}


@pytest.mark.parametrize("name", ["ratios", "error"])
def test_the_comparisons_take_a_problem_of_the_users(name: str, valid: Any) -> None:
    found = simulate(name, problem=OWN, eta=0.02, steps=50)
    assert found.status == "passed", str(found)
    assert [claim.highest for claim in found.claims] == [0.03] * 4
    gap = {"ratios": "distances of gradient flow and orders 1, 2, 3 from descent at their end", "error": "distances"}
    loss = eom.Loss("x**2*y**2/2 + x**2", variables="x y")
    ends = [eom.flow(loss, [1.0, 0.5], eta=0.02, time=1.0, order=order).end for order in range(2)]
    descent = eom.descend(loss, [1.0, 0.5], eta=0.02, steps=50).end
    expected = [float(np.linalg.norm(end - descent)) for end in ends]
    np.testing.assert_allclose(found.figures[gap[name]][:2], expected, rtol=1e-6)
    record = json.loads(dumps(found.record()))
    valid(record)
    again = rerun(record)
    assert json.loads(dumps(again.record()))["claims"] == record["claims"]  # type: ignore[union-attr]
    assert found.command.startswith(f"eomsym simulate {name} --loss 'x**2*y**2/2 + x**2' --variables 'x y'")


def test_a_wrong_coefficient_fails_the_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    claims = import_module("eomsym.experiments.claims")
    wrong = altered(eom.compile(eom.Loss(OWN["loss"], variables="x y"), 4), 1, 0.01)
    monkeypatch.setattr(claims, "verify", lambda loss, *rest, **options: verify(wrong, *rest, **options))
    found = simulate("error", problem=OWN, eta=0.002, steps=500)
    assert [claim.status for claim in found.claims][1] == "failed"


def test_what_is_not_asymptotic_is_not_judged() -> None:
    steep = {"loss": "50*x**2 + y**2/2 + x*y**2", "variables": "x y", "start": [0.1, 1.0]}
    found = simulate("error", problem=steep, eta=0.015, steps=20)
    assert found.status == "inconclusive"
    assert found.figures["not judged"]


def test_symmetries_of_the_users_network() -> None:
    found = simulate("scale", problem=NORMALISED, eta=0.05, steps=20)
    assert found.status == "passed", str(found)
    assert [panel.title for panel in found.panels] == ["ScaleInvariance('W1')"]
    balanced = simulate("balance", problem={"network": {"widths": [3, 4, 2]}}, eta=0.05, steps=20)
    assert balanced.status == "passed", str(balanced)
    shifted = {"network": {"widths": [3, 4, 2], "objective": "cross-entropy"}, "weight_decay": 1}
    moved = simulate("translation", problem=shifted, eta=0.1, steps=20)
    assert moved.status == "passed", str(moved)
    # With decay d the sum shrinks by 1 - eta d in every step, from the closed form alone.
    sums = moved.panels[0].lines[0].y
    np.testing.assert_allclose(sums[-1] / sums[0], 0.9**20, rtol=1e-12)


def test_gates_of_the_users_network() -> None:
    said = {"network": {"widths": [3, 4, 2], "activation": "relu", "samples": 6}}
    found = simulate("ratios", problem=said, eta=0.01, steps=50)
    assert found.status == "passed", str(found)
    assert [claim.statement.split(":")[0] for claim in found.claims] == ["inside one activation region"]


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("edge", {"problem": OWN}, "makes its own problem; those that take yours are ratios, error"),
        ("error", {"problem": OWN, "images": 5}, "leave them out with a problem of yours"),
        ("error", {"eta": 0.1}, "eta is that of a problem of yours"),
        ("error", {"problem": "rosenbrock"}, "expected problem such as {'loss'"),
        ("scale", {"problem": OWN}, "no scale-invariant weights; the symmetries that it has: none"),
        ("error", {"problem": {"network": {"widths": [2, 2, 1], "activation": "relu"}}}, "'ratios' takes such a loss"),
        ("error", {"problem": OWN, "eta": -1.0}, "eta must be"),
    ],
)
def test_bad_problems_of_the_users(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        simulate(name, **options)


def test_a_loss_that_is_not_written_down_is_not_run_again() -> None:
    given = Given(eom.Loss("x**4/4", variables="x"), [1.0], "quartic")
    found = simulate("error", problem=given, eta=0.02, steps=20)
    with pytest.raises(InputError, match="does not hold the loss"):
        rerun(found.record())
    with pytest.raises(InputError, match="not run unasked"):
        rerun({**found.record(), "arguments": {"problem": {"file": "mine.py"}}})


# the command ----------------------------------------------------------------------------------------------------------


def test_command_lists_experiments() -> None:
    result = CliRunner().invoke(main, ["simulate"])
    assert result.exit_code == 0
    assert [row.split()[0] for row in result.stdout.splitlines()] == list(EXPERIMENTS)


def test_command_writes_record_and_figure(tmp_path: Path, valid: Any) -> None:
    result = CliRunner().invoke(main, ["simulate", "modes", "--steps", "20", "--output", str(tmp_path)])
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "modes.json").read_text(encoding="utf-8"))
    assert (record["schema"], record["status"], record["name"]) == ("eomsym.experiment", "passed", "modes")
    valid(record)
    assert record["command"] == f"eomsym simulate modes --steps 20 --output {tmp_path}"
    again = rerun(tmp_path / "modes.json")
    assert again.command == "eomsym simulate modes --steps 20"  # type: ignore[union-attr]
    assert json.loads(dumps(again.record()))["panels"] == record["panels"]  # type: ignore[union-attr]
    assert matplotlib.image.imread(tmp_path / "modes.png").shape[2] == 4
    assert "passed in" in result.stdout
    assert "wrote" not in result.stdout


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["quadratic"], "unknown experiment 'quadratic'"),
        (["scale", "--images", "9999"], "images must be an integer from 2 to 1797"),
        (["modes", "--images", "5"], "leave out images"),
        (["modes", "--plot", "a.png", "--no-plot"], "exclude each other"),
        (["modes", "--json", "/dev/null/a.json"], "cannot write"),
        (["edge", "--problem", "rosenbrock"], "those that take yours are"),
        (["error", "--loss", "x**2", "--variables", "x"], "--loss needs --start"),
        (["modes", "--plot", "a.gif"], "a figure is written as .png, .svg or .pdf; try a.png"),
    ],
)
def test_bad_input_of_the_command(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(main, ["simulate", *arguments])
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) <= 2  # a progress bar may have begun
    assert not result.stdout


@pytest.mark.parametrize("measured, code", [(3.0, 1), (float("nan"), 3), (1.0, 0)])
def test_exit_status(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, measured: float, code: int) -> None:
    found = experiment(Claim("a", measured, 0.0, 2.0))
    # Not by its dotted name: eomsym.verify is also a function.
    monkeypatch.setattr(import_module("eomsym.experiments.simulate"), "simulate", lambda name, **options: found)
    result = CliRunner().invoke(main, ["simulate", "modes", "--no-plot", "--output", str(tmp_path)])
    assert result.exit_code == code, result.output
    assert not list(tmp_path.glob("*.png"))
