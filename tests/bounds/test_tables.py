"""The table of bounds and the command that prints it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from eomsym.bounds.comparison import DistanceRow, StepSizes
from eomsym.bounds.tables import compare_distances, compare_step_sizes
from eomsym.cli import main
from eomsym.losses.network import DeepLinear
from eomsym.output.records import data_hash, dumps
from eomsym.output.style import colour

TOY = DeepLinear((1, 1, 1, 1), inputs=[[1.0]], targets=[[1.0]])


def test_rows_of_a_network() -> None:
    rows = compare_distances(TOY, [0.3, 0.3, 0.3], eta=0.02, steps=100, orders=range(2), rigorous=True)
    for row in rows:
        assert not row.violated
        assert row.true <= row.measured.value <= 1.05 * row.true  # type: ignore[union-attr]
        assert row.true - 3 * row.doubt <= row.rigorous.value <= 1.05 * row.true  # type: ignore[union-attr]
        assert row.true <= row.proven.value <= 2 * row.true  # type: ignore[union-attr]
        assert row.leading == pytest.approx(row.true, rel=0.05, abs=0)
        assert row.refined == pytest.approx(row.true, rel=0.002, abs=0)


def test_a_violation_would_be_seen() -> None:
    (row,) = compare_distances(TOY, [0.3, 0.3, 0.3], eta=0.05, steps=20, orders=[0])
    too_far = DistanceRow(0, 10 * row.true, row.doubt, row.leading, row.refined, row.plain, row.measured, None, None)
    assert too_far.violated == ("measured",)


def test_bound_against_truth_is_drawn_as_it_was_found(valid: Any) -> None:
    found = compare_distances(TOY, [0.3, 0.3, 0.3], eta=0.02, steps=30, orders=range(2), rigorous=True, name="toy")
    axes = found.plot().axes[0]
    assert axes.get_yscale() == "log"
    for row in found:
        assert len(row.times) == len(row.truths) == len(row.predicted) == 31
        assert (row.truths[-1], row.predicted[-1]) == (row.true, row.leading)
        own = [line for line in axes.lines if line.get_color() == colour(row.order)]
        assert [line.get_linestyle() for line in own] == ["--", "None", "-", ":", "-."]
        np.testing.assert_array_equal(own[0].get_ydata(), row.predicted[1:])
        np.testing.assert_array_equal(own[1].get_ydata(), row.truths[1:])
        for line, bound in zip(own[2:], (row.measured, row.proven, row.rigorous), strict=True):
            np.testing.assert_array_equal(line.get_data(), [bound.times[1:], bound.values[1:]])  # type: ignore[union-attr]
            assert (np.asarray(line.get_ydata()) + row.doubt >= row.truths[1:]).all()
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend == [
        "gradient flow", "order 1", "leading error", "bound, measured", "bound, proven", "bound, rigorous",
    ]  # fmt: skip
    made = json.loads(dumps(found.record()))
    valid(made)
    assert made["rows"][1]["true"] == found[1].true
    assert made["rows"][0]["rigorous"]["hypotheses"]
    assert "<table>" in found._repr_html_()


def test_many_steps_are_thinned() -> None:
    found = compare_distances(TOY, [0.3, 0.3, 0.3], eta=0.002, steps=400, orders=[0])
    [row] = found
    assert len(row.times) == 201
    np.testing.assert_allclose(row.times, 0.004 * np.arange(201))
    assert row.predicted[-1] == row.leading


def test_learning_rates_show_themselves(valid: Any) -> None:
    toy = DeepLinear((1, 1, 1), inputs=[[1.0]], targets=[[1.0]])
    found = compare_step_sizes(toy, [0.5, 0.5], time=2.0, epsilon=0.01, orders=[0, 1])
    assert isinstance(found, StepSizes)
    valid(json.loads(dumps(found.record(command="x"))))
    lines = {line.get_label(): line for line in found.plot().axes[0].lines}
    assert list(lines["theorem"].get_ydata()) == [found[0].theorem.eta]  # type: ignore[union-attr]
    assert list(lines["measured"].get_ydata()) == [row.measured.eta for row in found]  # type: ignore[union-attr]
    assert list(lines["predicted"].get_ydata()) == [row.predicted for row in found]
    for one in (found[0].measured, found[0].theorem):
        made = json.loads(dumps(one.record()))  # type: ignore[union-attr]
        valid(made)
        assert (made["quantity"], made["value"]) == ("learning rate", one.eta)  # type: ignore[union-attr]
        assert "epsilon" in made["numbers"]


def test_command_draws(tmp_path: Path) -> None:
    arguments = ["bound", "--loss", "(x*y - 1)**2/2", "--variables", "x y", "--start", "0.5, 0.5", "--orders", "0"]
    result = CliRunner().invoke(main, [*arguments, "--plot", str(tmp_path / "a.png")])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    wrong = CliRunner().invoke(main, [*arguments, "--plot", str(tmp_path / "a.gif")])
    assert wrong.exit_code == 2
    assert "a figure is written as .png, .svg or .pdf" in wrong.stderr


def test_command_on_a_loss_of_ones_own() -> None:
    arguments = ["bound", "--variables", "x y", "--start", "0.5, 0.5", "--orders", "0,1", "--rigorous"]
    result = CliRunner().invoke(main, [*arguments, "--loss", "(x*y - 1)**2/2"])
    assert result.exit_code == 0, result.output
    assert "~" not in result.stdout
    estimated = CliRunner().invoke(main, [*arguments, "--loss", "log(1 + exp(x*y - 1))"])
    assert estimated.exit_code == 0, estimated.output
    assert "~" in estimated.stdout
    assert result.stdout.splitlines()[1].split() == [
        "order", "truth", "leading", "refined", "plain", "sum", "measured", "proven", "rigorous",
    ]  # fmt: skip


def test_command_on_a_file(tmp_path: Path, valid: Any) -> None:
    script = tmp_path / "mine.py"
    script.write_text("import eomsym as eom\nloss = eom.DeepLinear((1, 1, 1), [[1.0]], [[1.0]])\nstart = [0.5, 0.5]\n")
    result = CliRunner().invoke(main, ["bound", "--file", str(script), "--orders", "0", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    valid(found)
    assert (found["schema"], found["quantity"], found["start"]) == ("eomsym.bounds", "distance", [0.5, 0.5])
    assert found["command"] == f"eomsym bound --file {script} --orders 0 --json"
    assert found["data_hash"] == data_hash([[1.0]], [[1.0]])
    (record,) = found["rows"]
    assert record["true"] <= record["proven"]["value"] <= 1.0001 * record["true"]
    assert record["true"] <= record["measured"]["value"]
    assert record["measured"]["proven"]


def test_command_for_learning_rates(valid: Any) -> None:
    arguments = ["bound", "--loss", "(x*y - 1)**2/2", "--variables", "x y", "--start", "0.5, 0.5", "--epsilon", "0.01"]
    result = CliRunner().invoke(main, [*arguments, "--orders", "0,1", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    valid(found)
    assert (found["quantity"], found["epsilon"], found["eta"]) == ("learning rate", 0.01, None)
    first, second = found["rows"]
    assert first["theorem"]["value"] < first["measured"]["value"] <= first["proven"]["value"] < first["predicted"]
    assert first["predicted"] < second["measured"]["value"] <= second["proven"]["value"] <= second["predicted"]
    assert second["theorem"] is None
    text = CliRunner().invoke(main, [*arguments, "--orders", "1"]).stdout.splitlines()
    assert text[1].split() == ["order", "theorem", "proven", "measured", "predicted"]
    assert len(text[2].split()) == 4


def test_what_is_no_number_is_null(valid: Any) -> None:
    # The motion runs away where gradient descent does not.
    arguments = ["bound", "--loss", "4*sqrt(x)/3", "--variables", "x", "--start", "1", "--time", "1.2", "--steps", "3"]
    result = CliRunner().invoke(main, [*arguments, "--orders", "0", "--json"])
    found = json.loads(result.stdout, parse_constant=pytest.fail)
    valid(found)
    (record,) = found["rows"]
    assert record["true"] is None
    assert record["refined"] is None
    assert record["leading"] > 0


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--problem", "nothing"], "unknown problem 'nothing'"),
        (["--loss", "x**2"], "--loss needs --variables"),
        (["--start", "1"], "add --loss EXPR"),
        (["--epsilon", "0.1", "--steps", "5"], "leave out --steps and --rigorous"),
        (["--epsilon", "-1"], "epsilon must be a finite number > 0, got -1.0"),
        (["--loss", "x**2", "--problem", "rosenbrock"], "exclude each other"),
    ],
)
def test_bad_input(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(main, ["bound", *arguments])
    assert result.exit_code == 2
    assert message in result.stderr
