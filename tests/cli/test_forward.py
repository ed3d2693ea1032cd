from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import eomsym as eom
from eomsym.cli import main

LOSS = ["--loss", "(1-x)**2/2 + (y-x**2)**2/2", "--variables", "x y", "--start", "-0.5, 1"]


def run(*arguments: str) -> tuple[int, str]:
    found = CliRunner().invoke(main, ["forward", *arguments])
    return found.exit_code, found.output


def test_prediction_as_text_and_file(tmp_path: Path) -> None:
    code, text = run(*LOSS, "--eta", "0.001", "--steps", "5000", "--save", str(tmp_path / "theta.txt"))
    assert code == 0
    assert "5,000 steps: error" in text
    end = eom.descend(eom.Loss(LOSS[1], variables="x y"), [-0.5, 1.0], eta=0.001, steps=5000).end
    np.testing.assert_allclose(np.loadtxt(tmp_path / "theta.txt"), end, rtol=0, atol=1e-6)


def test_a_schedule_as_json() -> None:
    code, text = run(*LOSS, "--eta", "0.002, 0.001", "--steps", "1000,1000", "--json")
    record = json.loads(text[text.index("{") :])
    assert (code, record["steps"], record["complete"]) == (0, 2000, True)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--eta", "fast", "--steps", "10"], "expected numbers"),
        (["--eta", "0.1", "--steps", "0"], "steps must be an integer from 1 to 1000000000000000000, got 0"),
        (["--eta", "0.1,0.1", "--steps", "10"], "2 learning rates for 1 stretches"),
        (["--eta", "0.1", "--steps", "10", "--problem", "nothing"], "unknown problem"),
    ],
)
def test_bad_input(arguments: list[str], message: str) -> None:
    code, text = run(*arguments)
    assert code == 2
    assert message in text


def test_a_limit_ends_a_run_with_what_it_has() -> None:
    asked = [*LOSS, "--eta", "0.3", "--steps", "100000000", "--method", "heavy-ball", "--beta", "9/10", "--json"]
    code, text = run(*asked, "--limit", "0.2")
    record = json.loads(text[text.index("{") :])
    assert (code, record["complete"]) == (3, False)
    assert 0 < record["steps"] < 100_000_000
    assert any("the limit of 0.2 s of CPU time was reached after" in note for note in record["notes"])
    code, text = run(*asked, "--limit", "-1")
    assert code == 2
    assert "limit must be a finite number > 0, got -1" in text
