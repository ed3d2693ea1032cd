"""`eomsym verify` from the outside: its streams, its files, its exit status."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import eomsym as eom
from eomsym.cli import main
from eomsym.experiments import standard, suite
from eomsym.experiments import sweep as sweeps
from eomsym.experiments.case import Case
from eomsym.experiments.records import Records
from eomsym.testing import altered
from eomsym.verification import order

OWN = ("--loss", "(1-x)**2/2 + (y-x**2)**2/2", "--variables", "x y", "--start", "-0.5, 1")


#: A suite that costs nothing.
SUITE = tuple(
    Case({"loss": "x**4/4", "variables": "x", "start": [x], "orders": [0, 1], "ladder": [80, 160], "name": name})
    for x, name in ((1.0, "one"), (0.5, "two"))
)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    here = sweeps._run
    with_thread = ThreadPoolExecutor(1)  # processes have a test of their own; they cost seconds to start
    monkeypatch.setattr(sweeps, "_run", lambda cases, executor, keep: here(cases, executor or with_thread, keep))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["verify", *arguments])


def test_what_a_limit_leaves_unmeasured_is_not_judged() -> None:
    result = run(*OWN, "--limit", "1e-9", "--no-plot")
    assert result.exit_code == 3, result.output
    assert "inconclusive" in result.stdout
    assert "more than limit=1e-09" in result.output


def test_default_run_writes_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, valid: Any) -> None:
    monkeypatch.setattr(suite, "DEFAULT_PROBLEMS", ("rosenbrock",))
    result = run()
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (tmp_path / "eomsym-verify").iterdir()) == ["verify.json", "verify.png"]
    record = json.loads((tmp_path / "eomsym-verify" / "verify.json").read_text())
    assert record["status"] == "passed"
    assert record["command"] == record["records"][0]["command"] == "eomsym verify"
    assert record["records"][0]["name"] == "Rosenbrock-like loss"
    assert record["records"][0]["setting"]["case"]["problem"] == "rosenbrock"
    assert record["records"][0]["seed"] == 0
    valid(record)
    assert "2.0e-02" in result.stdout
    assert "wrote" not in result.stdout
    assert "wrote eomsym-verify/verify.json" in result.stderr


def test_loss_of_ones_own() -> None:
    result = run(*OWN, "--orders", "0-2", "--json", "a/record.json", "--plot", "b/figure.pdf")
    assert result.exit_code == 0, result.output
    assert Path("a/record.json").exists()
    assert Path("b/figure.pdf").read_bytes()[1:4] == b"PDF"
    assert not Path("eomsym-verify").exists()
    record = json.loads(Path("a/record.json").read_text())["records"][0]
    assert record["start"] == [-0.5, 1.0]
    assert record["command"].startswith("eomsym verify --loss '(1-x)**2/2 + (y-x**2)**2/2' --variables 'x y' --start")


def test_without_figure(tmp_path: Path) -> None:
    assert run(*OWN, "--orders", "0", "--no-plot", "--output", "out").exit_code == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["verify.json"]


def test_without_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eomsym.cli.show.find_spec", lambda name: None)
    result = run(*OWN, "--orders", "0", "--output", "out")
    assert result.exit_code == 0
    assert "matplotlib is not installed (pip install 'eomsym[plot]')" in result.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["verify.json"]


@pytest.mark.parametrize(
    "options, name",
    [
        (("heavy-ball", "--beta", "1/2"), "heavy ball, beta = 1/2"),
        (("nesterov", "--beta", "0.5"), "Nesterov, beta = 1/2"),
        (("optimistic",), "optimistic gradient descent"),
        (("proximal",), "proximal point"),
        (("extragradient",), "extragradient"),
        (("sam", "--radius", "1/2"), "sharpness-aware, r = 1/2"),
    ],
)
def test_every_method_has_a_name(options: tuple[str, ...], name: str) -> None:
    result = run(*OWN, "--orders", "0,1", "--ladder", "80,160,320", "--no-plot", "--method", *options)
    assert result.exit_code == 0, result.output
    assert f" · {name} · " in result.stdout


def test_coarse_ladder_is_inconclusive() -> None:
    result = run(*OWN, "--orders", "3", "--ladder", "5 10", "--no-plot")
    assert result.exit_code == 3
    assert "inconclusive" in result.stdout


def test_wrong_coefficient_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "compile", lambda *args, **options: altered(eom.compile(*args, **options), row=1))
    result = run(*OWN, "--no-plot")
    assert result.exit_code == 1, result.output
    assert json.loads(Path("eomsym-verify/verify.json").read_text())["status"] == "failed"
    assert "order 1: slope" in result.stdout


BAD = [
    (("--problem", "rosenbrok"), "unknown problem 'rosenbrok'"),
    (("--problem", "rosenbrock", *OWN), "--problem and --loss exclude each other"),
    (("--variables", "x y"), "add --loss EXPR"),
    (("--loss", "x**2"), "--loss needs --variables"),
    (("--loss", "x**2 + z", "--variables", "x", "--start", "1"), "z"),
    (("--loss", "Abs(x)", "--variables", "x", "--start", "1"), "Abs"),
    ((*OWN[:-1], "1, 2, 3"), "expected (2,)"),
    ((*OWN[:-1], "1, nan"), "must be finite"),
    ((*OWN[:-1], "one"), "--start 'one': expected numbers"),
    ((*OWN, "--time", "0"), "time must be a finite number > 0, got 0.0"),
    ((*OWN, "--time", "-1"), "time must be a finite number > 0, got -1.0"),
    ((*OWN, "--ladder", "10"), "expected two or more different positive integers"),
    ((*OWN, "--ladder", "10,2.5"), "--ladder '10,2.5': expected integers"),
    ((*OWN, "--ladder", ","), "expected two or more different positive integers"),
    ((*OWN, "--orders", "-1"), "expected one or more integers from 0 on"),
    ((*OWN, "--orders", "4-0"), "expected one or more integers from 0 on"),
    ((*OWN, "--orders", "all"), "--orders 'all': expected integers"),
    ((*OWN, "--method", "heavy-ball"), "--method heavy-ball needs --beta"),
    ((*OWN, "--method", "heavy-ball", "--beta", "half"), "'half' is not a number"),
    ((*OWN, "--method", "heavy-ball", "--beta", "1/0"), "'1/0' is not a number"),
    ((*OWN, "--beta", "1/2"), "--method gd does not take --beta"),
    ((*OWN, "--method", "sam"), "--method sam needs --radius"),
    ((*OWN, "--no-plot", "--plot", "x.png"), "exclude each other"),
    ((*OWN, "--json", "/dev/null/record.json"), "cannot write /dev/null/record.json"),
    ((*OWN, "--plot", "figure.jpg"), "a figure is written as .png, .svg or .pdf; try figure.png"),
    ((*OWN, "--plot", "/dev/null/figure.png"), "cannot write /dev/null/figure.png"),
    ((*OWN, "--output", "/dev/null"), "cannot write /dev/null/verify.json"),
]


@pytest.mark.parametrize("arguments, complaint", BAD, ids=lambda value: value if isinstance(value, str) else "")
def test_bad_input_is_one_line_and_leaves_nothing(tmp_path: Path, arguments: tuple[str, ...], complaint: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert complaint in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_module_runs_as_a_program(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "eomsym", "verify", *OWN, "--orders", "0,1", "--no-plot"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert "passed in" in done.stdout
    assert done.stderr == "wrote eomsym-verify/verify.json\n"  # no bar where there is no terminal


def test_a_ladder_that_diverges_is_inconclusive_and_says_which_steps_would_do() -> None:
    result = run("--loss", "x**4", "--variables", "x", "--start", "30", "--time", "10", "--orders", "0", "--no-plot")
    assert result.exit_code == 3
    assert "diverged at step" in result.stdout
    assert "use eta <= 0.00018, at least 55556 steps" in result.stdout


def test_the_quick_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, valid: Any) -> None:
    monkeypatch.setattr(standard, "standard_suite", lambda quick: SUITE if quick else ())
    result = run("--suite", "--quick", "--output", "out")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "suite.html", "suite.json", "suite.png", "suite.sqlite",
    ]  # fmt: skip
    record = json.loads(Path("out/suite.json").read_text())
    valid(record)
    assert record["command"] == "eomsym verify --suite --quick --output out"
    assert [part["name"] for part in record["records"]] == ["one", "two"]
    assert "2 cases: 2 passed" in result.stdout
    assert "1.00 2.00" in result.stdout
    with Records("out/suite.sqlite") as records:
        assert records.counts() == {"passed": 2}
    assert "<table" in Path("out/suite.html").read_text()
    assert (eom.rerun(Path("out/suite.json")))[0].status == "passed"


def test_a_suite_is_measured_anew_and_may_be_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standard, "standard_suite", lambda quick: SUITE)
    assert run("--suite", "--no-plot", "--json", "a.json").exit_code == 0
    coarse = Case({"problem": "rosenbrock", "orders": [3], "ladder": [5, 10], "name": "coarse"})
    monkeypatch.setattr(standard, "standard_suite", lambda quick: (SUITE[0], coarse))
    result = run("--suite", "--no-plot", "--json", "a.json")
    assert result.exit_code == 3
    assert "2 cases: 1 inconclusive, 1 passed" in result.stdout
    assert "coarse, order 3: slope 4.078" in result.stdout
    with Records("eomsym-verify/suite.sqlite") as records:
        assert records.counts() == {"inconclusive": 1, "passed": 1}
    broken = Case({"loss": "x**", "variables": "x", "start": [1.0]})
    monkeypatch.setattr(standard, "standard_suite", lambda quick: (broken, SUITE[0]))
    assert run("--suite", "--no-plot").exit_code == 1


def test_a_suite_without_data_does_what_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    digits = Case({"network": {"widths": [64, 10], "data": "digits"}, "name": "on digits"})
    monkeypatch.setattr(standard, "standard_suite", lambda quick: (SUITE[0], digits))
    monkeypatch.setitem(sys.modules, "sklearn", None)
    result = run("--suite", "--no-plot")
    assert result.exit_code == 0, result.output
    assert "on digits is left out: the digits need scikit-learn" in result.stderr


@pytest.mark.parametrize(
    "typed", [("--problem", "rosenbrock"), ("--orders", "0"), ("--weight-decay", "1"), ("--limit", "9")]
)
def test_a_suite_takes_no_other_problem(typed: tuple[str, ...]) -> None:
    result = run("--suite", *typed)
    assert result.exit_code == 2
    assert "--suite has problems, optimisers, times and orders of its own" in result.stderr
