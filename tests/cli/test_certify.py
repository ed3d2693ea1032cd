"""Certificates on the command line: written, checked, refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from eomsym.cli import main

NETWORK = """import eomsym as eom
loss = eom.DeepLinear((2, 1, 1), inputs=[[2**0.5, 0.0], [0.0, 2**0.5]], targets=[[2**0.5], [0.0]])
start = loss.pack(W1=[[0.48, 0.64]], W2=[[0.8]])
"""


@pytest.mark.parametrize(
    "words, told",
    [
        ("distance --order 1 --steps 4 --time 0.2", "holds: distance 2.306"),
        ("distance --file net.py --order 1 --steps 4 --time 0.2", "holds: distance 0.0001383"),
        ("convergence --file net.py --excess 0.01", "holds: the loss ends within 0.01 of its infimum after 181 steps"),
        (
            "formula --order 2 --method heavy-ball --beta 1/2",
            "holds: the counter terms of heavy ball, beta = 1/2 to order 2",
        ),
    ],
)
def test_what_is_certified_holds(words: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(NETWORK)
    made = CliRunner().invoke(main, ["certify", *words.split(), "--output", "proof.json"])
    assert made.exit_code == 0, made.output
    held = CliRunner().invoke(main, ["check", "proof.json"])
    assert held.exit_code == 0
    assert held.stdout.startswith(told)
    proof = json.loads(Path("proof.json").read_text())
    proof["order" if "order" in proof else "steps"] -= 1
    Path("proof.json").write_text(json.dumps(proof))
    refused = CliRunner().invoke(main, ["check", "proof.json"])
    if "convergence" not in words:  # one step less would do
        assert refused.exit_code == 1
        assert "the certificate does not hold" in refused.stderr


@pytest.mark.parametrize(
    "words, message",
    [
        ("formula --steps 3", "a formula is for every loss; give --method and --order alone"),
        ("convergence", "convergence needs --excess"),
        ("convergence --excess -1", "excess must be a finite number > 0, got -1.0"),
        ("convergence --excess 1 --steps 2", "give both --time and --steps"),
        ("distance --excess 1", "--excess is for convergence"),
        ("distance --method nesterov --beta 1/2", "leave out the method"),
        ("formula --method heavy-ball --beta nine", "--beta: 'nine' is not a number such as 9/10 or 0.9"),
        ("formula --method multistep --rho 1,-1 --sigma 1,one", "--sigma: 'one' is not a number such as 9/10 or 0.9"),
    ],
)
def test_what_does_not_fit(words: str, message: str) -> None:
    run = CliRunner().invoke(main, ["certify", *words.split()])
    assert run.exit_code == 2
    assert message in run.stderr


def test_a_file_that_is_no_certificate(tmp_path: Path) -> None:
    path = tmp_path / "proof.json"
    for text, told in (
        ("no json", "proof.json is no JSON"),
        ("{}", "proof.json: no certificate: its schema is None"),
        ("[1]", "proof.json: no certificate: its schema is None"),
        ('{"schema": "eomsym.certificate/1"}', "proof.json: no certificate: the key 'eta' of eomsym.certificate/1 is"),
    ):
        path.write_text(text)
        run = CliRunner().invoke(main, ["check", str(path)])
        assert run.exit_code == 2
        assert told in run.stderr
