"""The table of bounds and the command that prints it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from eomsym.bounds.tables import DistanceRow, compare_distances
from eomsym.cli import main
from eomsym.losses.network import DeepLinear

TOY = DeepLinear((1, 1, 1, 1), inputs=[[1.0]], targets=[[1.0]])


def test_rows_of_a_network() -> None:
    rows = compare_distances(TOY, [0.3, 0.3, 0.3], eta=0.02, steps=100, orders=range(2), rigorous=True)
    for row in rows:
        assert not row.violated
        assert row.true <= row.measured.value <= 1.05 * row.true  # type: ignore[union-attr]
        assert row.true - 3 * row.doubt <= row.rigorous.value <= 1.05 * row.true  # type: ignore[union-attr]
        assert row.true <= row.proven.value <= 2 * row.true  # type: ignore[union-attr]
        assert row.leading == pytest.approx(row.true, rel=0.05)
        assert row.refined == pytest.approx(row.true, rel=0.002)


def test_a_violation_would_be_seen() -> None:
    (row,) = compare_distances(TOY, [0.3, 0.3, 0.3], eta=0.05, steps=20, orders=[0])
    too_far = DistanceRow(0, 10 * row.true, row.doubt, row.leading, row.refined, row.plain, row.measured, None, None)
    assert too_far.violated == ("measured",)


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


def test_command_on_a_file(tmp_path: Path) -> None:
    script = tmp_path / "mine.py"
    script.write_text("import eomsym as eom\nloss = eom.DeepLinear((1, 1, 1), [[1.0]], [[1.0]])\nstart = [0.5, 0.5]\n")
    result = CliRunner().invoke(main, ["bound", "--file", str(script), "--orders", "0", "--json"])
    assert result.exit_code == 0, result.output
    (record,) = json.loads(result.stdout)
    assert record["true"] <= record["proven"]["value"] <= 1.0001 * record["true"]
    assert record["true"] <= record["measured"]["value"]
    assert record["measured"]["proven"]


def test_command_for_learning_rates() -> None:
    arguments = ["bound", "--loss", "(x*y - 1)**2/2", "--variables", "x y", "--start", "0.5, 0.5", "--epsilon", "0.01"]
    result = CliRunner().invoke(main, [*arguments, "--orders", "0,1", "--json"])
    assert result.exit_code == 0, result.output
    first, second = json.loads(result.stdout)
    assert first["theorem"]["value"] < first["measured"]["value"] <= first["proven"]["value"] < first["predicted"]
    assert first["predicted"] < second["measured"]["value"] <= second["proven"]["value"] <= second["predicted"]
    assert second["theorem"] is None
    text = CliRunner().invoke(main, [*arguments, "--orders", "1"]).stdout.splitlines()
    assert text[1].split() == ["order", "theorem", "proven", "measured", "predicted"]
    assert len(text[2].split()) == 4


def test_what_is_no_number_is_null() -> None:
    # The motion runs away where gradient descent does not.
    arguments = ["bound", "--loss", "4*sqrt(x)/3", "--variables", "x", "--start", "1", "--time", "1.2", "--steps", "3"]
    result = CliRunner().invoke(main, [*arguments, "--orders", "0", "--json"])
    (record,) = json.loads(result.stdout, parse_constant=pytest.fail)
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
