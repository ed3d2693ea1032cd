"""Cases as plain data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import eomsym as eom
from eomsym.errors import InputError
from eomsym.experiments.case import Case, run_case
from eomsym.experiments.data import read_data

SMALL: dict[str, Any] = {
    "loss": "(1-x)**2/2 + (y-x**2)**2/2",
    "variables": "x y",
    "start": [-0.5, 1.0],
    "orders": [0, 1],
    "ladder": [20, 40],
}


def test_a_case_gives_what_verify_gives() -> None:
    outcome = run_case(Case({**SMALL, "method": {"name": "heavy-ball", "beta": "1/2"}, "time": 0.5}))
    loss = eom.Loss(SMALL["loss"], variables="x y")
    report = eom.verify(loss, [-0.5, 1.0], time=0.5, ladder=(20, 40), orders=[0, 1], method=eom.HeavyBall("1/2"))
    assert outcome.status == report.status
    assert [row["errors"] for row in outcome.orders] == [list(result.errors) for result in report.orders]
    assert outcome.size == 2


def test_the_key_is_that_of_the_definition() -> None:
    case = Case(SMALL)
    assert case.key == Case(dict(reversed(SMALL.items()))).key
    assert case.key == Case({**SMALL, "start": np.array([-0.5, 1.0]), "orders": range(2), "ladder": (20, 40)}).key
    assert case.key != Case({**SMALL, "seed": 1}).key
    assert len(case.key) == 32


@pytest.mark.parametrize(
    "network, size",
    [
        ({"depth": 3, "width": 2}, 12),
        ({"widths": [3, 2, 3], "objective": "cross_entropy", "samples": 6}, 12),
        ({"widths": [2, 3, 2], "activation": "tanh", "scale": 0.3}, 12),
        ({"widths": [2, 3, 2], "normalisation": "batch", "samples": 5, "scale": 2.0}, 12),
    ],
    ids=lambda value: None if isinstance(value, dict) else str(value),
)
def test_networks(network: dict[str, Any], size: int) -> None:
    outcome = run_case(Case({"network": network, "time": 0.25, "orders": [0, 1], "ladder": [40, 80], "seed": 3}))
    assert (outcome.status, outcome.size) == ("passed", size), outcome


def test_a_file_of_a_user(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("import eomsym as eom\nloss = eom.Loss('x**4/4', variables='x')\nstart = [1.0]\n")
    case = Case({"file": str(path), "orders": [0], "ladder": [20, 40]})
    assert run_case(case).status == "passed"
    path.write_text("loss = start = None")
    outcome = run_case(case)
    assert outcome.status == "error"
    assert "has changed since the case was made" in outcome.error
    path.write_text("start = 1 /")
    broken = run_case(Case({"file": str(path)}))
    assert broken.status == "error"
    assert "SyntaxError" in broken.error


def test_what_goes_wrong_is_an_outcome() -> None:
    outcome = run_case(Case({**SMALL, "start": [1e200, 1.0]}))
    assert outcome.status == "error"
    assert outcome.error.startswith(("DivergenceError", "TableError"))
    assert outcome.orders == []


@pytest.mark.parametrize(
    "definition, message",
    [
        ({}, "a case has one of problem, loss, .*; got none"),
        ({**SMALL, "problem": "rosenbrock"}, "got problem, loss"),
        ({**SMALL, "step": 3}, "unknown key 'step'; it knows problem, "),
        ({**SMALL, "seed": 1.5}, "seed is 1.5, expected int"),
        ({**SMALL, "seed": True}, "seed is True, expected int"),
        ({"loss": "x**2", "variables": "x"}, "loss needs variables and start"),
        ({"network": {"hidden": 3}}, "network has the unknown key 'hidden'"),
        ({"file": "/nowhere/mine.py"}, "No such file"),
        (["x"], "a case is a mapping such as"),
        ({**SMALL, "start": sum}, "a case holds plain data"),
    ],
    ids=lambda value: None if isinstance(value, dict) else str(value),
)
def test_bad_definitions(definition: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Case(definition)


@pytest.mark.parametrize(
    "definition, message",
    [
        ({"problem": "rosenbrok"}, "unknown problem 'rosenbrok'; expected one of rosenbrock"),
        ({**SMALL, "method": "adamm"}, "unknown optimiser 'adamm'"),
        ({**SMALL, "method": {"beta": "1/2"}}, "expected a table with a name"),
        ({**SMALL, "method": {"name": "heavy-ball"}}, "heavy-ball needs beta"),
        ({"network": {"width": 3}}, r"network needs widths = \[4, 4, 2\], or depth and width"),
        ({"network": {"widths": [5, 2], "data": "digits"}}, "digits have 64 inputs and 10 classes"),
    ],
    ids=lambda value: None if isinstance(value, dict) else str(value),
)
def test_definitions_that_cannot_be_run(definition: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Case(definition).verify()


def test_data_from_files(tmp_path: Path) -> None:
    inputs, targets = np.arange(6.0).reshape(3, 2), np.eye(3)[[0, 2, 1]]
    np.savez(tmp_path / "a.npz", inputs=inputs, targets=targets)
    np.savetxt(tmp_path / "a.csv", np.column_stack([inputs, [0, 2, 1]]), delimiter=",", header="p,q,class", comments="")
    for name in ("a.npz", "a.csv"):
        net = (
            Case({"network": {"widths": [2, 3], "data": str(tmp_path / name), "objective": "cross_entropy"}})
            .problem()
            .loss
        )
        np.testing.assert_array_equal(net.inputs, inputs)
        np.testing.assert_array_equal(net.targets, targets)


def test_bad_data(tmp_path: Path) -> None:
    np.savez(tmp_path / "b.npz", x=np.ones(3))
    (tmp_path / "b.csv").write_text("1,2\n3,oops\n")
    np.savez(tmp_path / "c.npz", inputs=np.ones((3, 2)), targets=np.ones((4, 1)))
    (tmp_path / "broken.npz").write_bytes(b"PK no archive")
    for name, message in {
        "b.npz": "expected arrays `inputs` and `targets`, got x",
        "b.csv": "line 2: expected numbers, got '3,oops'",
        "broken.npz": "cannot be read as an .npz archive",
        "d.npz": r"d\.npz: No such file or directory",
        "d.csv": r"d\.csv: No such file or directory",
        "d.txt": "expected 'digits', 'synthetic', or a file that ends in .npz or .csv",
    }.items():
        with pytest.raises(InputError, match=message):
            read_data(tmp_path / name, (1, 1), "mse")
    np.savez(tmp_path / "e.npz", inputs=np.ones((3, 2)), targets=np.ones((3, 2)))
    with pytest.raises(InputError, match="inputs have shape"):
        Case({"network": {"widths": [5, 2], "data": str(tmp_path / "e.npz")}}).problem()
