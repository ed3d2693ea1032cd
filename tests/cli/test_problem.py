"""The options of the problem, which all commands share: every way to give a problem, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import eomsym as eom
from eomsym.cli import main
from eomsym.cli.problem import Problem
from eomsym.errors import InputError, ShapeError
from eomsym.experiments.case import Case

RNG = np.random.default_rng(7)
INPUTS, TARGETS = RNG.standard_normal((12, 3)), RNG.standard_normal((12, 2))
CLASSES = RNG.integers(0, 2, 12)
MINE = """
import eomsym as eom

loss = eom.Loss("x**4/4 + y**2/2 + x*y/3", variables="x y")
start = [1.0, -0.5]
method = eom.Nesterov("1/4")
time = 0.5
ladder = [40, 80, 160]
"""
OWN_METHOD = """

class Mine(eom.optimisers.Method):
    name, is_linear = 'mine', False

    def update(self, circuit):
        return circuit.oops()


method = Mine()
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my.py").write_text(MINE)
    np.savez("data.npz", inputs=INPUTS, targets=TARGETS)
    np.savez("classes.npz", x=INPUTS, y=CLASSES)
    np.savetxt("data.csv", np.hstack([INPUTS, TARGETS]), delimiter=",", header="a,b,c,u,v", comments="")
    np.savetxt("classes.csv", np.hstack([INPUTS, CLASSES[:, None]]), delimiter=",", fmt="%.18g")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_a_file_gives_loss_start_method_time_and_ladder() -> None:
    result = run("verify", "--file", "my.py", "--orders", "0,1", "--no-plot")
    assert result.exit_code == 0, result.output
    (report,) = json.loads(Path("eomsym-verify/verify.json").read_text())["records"]
    assert (report["method"], report["time"], report["steps"]) == ("Nesterov, beta = 1/4", 0.5, [40, 80, 160])
    assert report["start"] == [1.0, -0.5]


def test_what_is_typed_goes_before_the_file() -> None:
    typed = ("--method", "gd", "--time", "1", "--ladder", "10,20", "--start", "0.5, 0.5")
    result = run("verify", "--file", "my.py", "--orders", "0", "--no-plot", *typed)
    assert result.exit_code == 0, result.output
    (report,) = json.loads(Path("eomsym-verify/verify.json").read_text())["records"]
    assert (report["method"], report["time"], report["steps"]) == ("gradient descent", 1.0, [10, 20])
    assert report["start"] == [0.5, 0.5]


@pytest.mark.parametrize("name", ["data.npz", "data.csv"])
def test_a_network_on_data(name: str) -> None:
    (given,) = Problem(data=Path(name), network="3-4-2", activation="sigmoid", seed=5).read()
    expected = eom.Network((3, 4, 2), INPUTS, TARGETS, activation="sigmoid")
    np.testing.assert_array_equal(given.start, expected.initial(seed=5, scale=0.5))
    assert given.loss.value(given.start) == pytest.approx(expected.value(given.start), rel=1e-14, abs=0)
    assert given.seed == 5


@pytest.mark.parametrize("name", ["classes.npz", "classes.csv"])
def test_classes_for_cross_entropy(name: str) -> None:
    decay = "1/100"
    (given,) = Problem(data=Path(name), network="3-2", objective="cross-entropy", weight_decay=decay).read()
    expected = eom.Network((3, 2), INPUTS, CLASSES, loss="cross_entropy").with_weight_decay(Fraction(1, 100))
    assert given.loss.value(given.start) == pytest.approx(expected.value(given.start), rel=1e-14, abs=0)


def test_batches_of_data() -> None:
    (given,) = Problem(data=Path("data.npz"), network="3-2").read()
    assert len(given.batches(eom.optimisers.Epoch(3))) == 3
    typed = ("--data", "data.npz", "--network", "3-2", "--method", "epoch", "--batches", "2", "--orders", "0")
    result = run("verify", *typed, "--no-plot")
    assert result.exit_code == 0, result.output


CASE = """
name = "mine"
time = 0.5
orders = [0, 1]
ladder = [20, 40]
seed = 3
method = { name = "heavy-ball", beta = "1/2" }

[network]
widths = [3, 2, 2]
data = "data.csv"
activation = "tanh"
scale = 0.25
"""


def test_a_case_file_is_what_is_typed() -> None:
    Path("mine.toml").write_text(CASE)
    (given,) = Problem(path=Path("mine.toml")).read()
    (typed,) = Problem(data="data.csv", network="3-2-2", activation="tanh", scale=0.25, seed=3).read()
    assert given.loss == typed.loss
    np.testing.assert_array_equal(given.start, typed.start)
    assert (given.name, given.time, given.ladder, given.orders) == ("mine", 0.5, [20, 40], [0, 1])
    assert given.method == eom.HeavyBall("1/2")
    (decayed,) = Problem(path=Path("mine.toml"), weight_decay="1/10", start=", ".join(["0.1"] * 10)).read()
    assert decayed.loss.weight_decay == Fraction(1, 10)
    assert decayed.start == [0.1] * 10


def test_the_three_ways_to_run_a_case_agree() -> None:
    """Typed, from a case file, and from the record of either."""
    Path("mine.toml").write_text(CASE)
    for typed in (
        ("--file", "mine.toml"),
        ("--data", "data.csv", "--network", "3-2-2", "--activation", "tanh", "--scale", "0.25", "--seed", "3",
         "--method", "heavy-ball", "--beta", "1/2", "--time", "0.5", "--orders", "0,1", "--ladder", "20,40"),
    ):  # fmt: skip
        run("verify", *typed, "--no-plot")
        (report,) = json.loads(Path("eomsym-verify/verify.json").read_text())["records"]
        direct = Case(tomllib.loads(CASE)).verify()
        assert [order["errors"] for order in report["orders"]] == [list(order.errors) for order in direct.orders]
        assert report["seed"] == 3
        again = eom.rerun(report)
        assert (again.orders, again.seed) == (direct.orders, 3)
        assert eom.rerun(again.record()).orders == direct.orders  # it still knows its case


def test_a_plan_is_many_problems() -> None:
    Path("plan.toml").write_text(f"[case]{CASE.replace('[network]', '[case.network]')}[vary]\nseed = [0, 1]\n")
    assert [given.seed for given in Problem(path=Path("plan.toml")).read()] == [0, 1]


def test_data_that_come_with_the_package() -> None:
    (given,) = Problem(data="synthetic", network="3-2", samples=7).read()
    assert given.loss.inputs.shape == (7, 3)
    (given,) = Problem(data="digits", network="64-4-10", samples=9, normalisation="batch", scheme="he").read()
    assert given.loss.inputs.shape == (9, 64)
    assert "BatchNorm" in str(given.loss)


BAD_CASES = [
    ("widths = [3, 2, 2]", "width = [3, 2, 2]", "mine.toml, line 10, key network.width: network: width is [3, 2, 2]"),
    ("orders", "order", "mine.toml, line 4, key order: a case has the unknown key 'order'; it knows problem"),
    ("widths = [3, 2, 2]", "widths = [3]", "mine.toml, line 10, key network.widths: network: widths is [3], expected"),
    (
        "widths = [3, 2, 2]",
        "widths = [4, 2, 2]",
        "mine.toml, line 10, key network.widths: network: widths is [4, 2, 2]",
    ),
    ("widths = [3, 2, 2]", "widths = [0, 2]", "mine.toml, line 10, key network.widths: network: widths is [0, 2], exp"),
    ('"tanh"', '"tan"', "mine.toml, line 12, key network.activation: unknown activation 'tan'"),
    ("heavy-ball", "heavy-bal", "mine.toml, line 7, key method.name: unknown optimiser 'heavy-bal'"),
    ('"1/2"', '"half"', "mine.toml, line 7, key method.beta: "),
    ('"data.csv"', '"data.tsv"', "mine.toml, line 11, key network.data: data data.tsv: expected 'digits'"),
    ("seed = 3", 'weight_decay = "x"', "mine.toml, line 6, key weight_decay: weight_decay: 'x' is not a number"),
    ("seed = 3", "seed =", "mine.toml is no TOML: Invalid value (at line 6, column 7): seed ="),
    ("[network]", "[networks]", "mine.toml, line 9, key networks: a case has the unknown key 'networks'"),
]


@pytest.mark.parametrize("old, new, complaint", BAD_CASES)
@pytest.mark.parametrize("command", ["verify", "bound"])
def test_a_wrong_case_file_is_bad_input_and_line_and_key_are_named(
    command: str, old: str, new: str, complaint: str
) -> None:
    assert old in CASE
    Path("mine.toml").write_text(CASE.replace(old, new, 1))
    result = run(command, "--file", "mine.toml")
    assert result.exit_code == 2, result.output
    assert complaint in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


@pytest.mark.parametrize("command", ["derive", "emit"])
def test_all_commands_take_all_problems(command: str) -> None:
    for typed in (
        ("--file", "my.py"),
        ("--problem", "rosenbrock"),
        ("--field", "x - x*y; x*y - y", "--variables", "x y"),
        ("--data", "data.npz", "--network", "3-1-2", "--activation", "linear"),
    ):
        result = run(command, *typed, "--order", "1")
        assert result.exit_code == 0, result.output
        assert result.stdout


def test_a_bare_verify_without_data_does_what_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    result = run("verify", "--orders", "0", "--no-plot")
    asked = run("verify", "--problem", "digits-2", "--orders", "0", "--no-plot")
    assert result.exit_code == 0, result.output
    assert "Rosenbrock-like loss" in result.stdout
    for name in ("digits-2", "digits-3"):
        assert f"{name} is left out: the digits need scikit-learn; type: pip install" in result.stderr
    assert asked.exit_code == 2
    assert "pip install 'eomsym[data]'" in asked.stderr


BAD_FILES = {
    "division": ("import eomsym\n\nloss = 1/0\n", "bad.py, line 3: ZeroDivisionError: division by zero"),
    "grammar": ("import eomsym\nloss = = 3\n", "bad.py, line 2: SyntaxError: invalid syntax"),
    "name": ("loss = undefined\n", "bad.py, line 1: NameError: name 'undefined' is not defined"),
    "loss": (
        "import eomsym\nloss = eomsym.Loss('x**2 + z', variables='x')\n",
        "bad.py, line 2: ExpressionError: unknown name 'z'",
    ),
    "exit": ("raise SystemExit(0)\n", "bad.py, line 1: SystemExit: 0"),
    "called": ("def f():\n    return [][1]\n\nloss = f()\n", "bad.py, line 2: IndexError: list index out of range"),
    "empty": ("", "bad.py does not define loss and start"),
    "no start": (MINE.replace("start = ", "begin = "), "bad.py does not define start"),
    "no loss": ("loss, start = 'x**2', [1.0]\n", "expected a loss such as eomsym.Loss('x**2', variables='x'), got str"),
    "method": (f"{MINE}method = 'heavy-ball'\n", "eomsym.HeavyBall"),
    "ladder": (f"{MINE}ladder = 10\n", "expected two or more different positive integers"),
    "time": (f"{MINE}time = 'long'\n", "time"),
    "own method": (
        MINE + OWN_METHOD,
        "bad.py, line 15: AttributeError: 'Circuit' object has no attribute 'oops'",
    ),
}


@pytest.mark.parametrize("text, complaint", BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_file_is_bad_input_and_its_line_is_named(text: str, complaint: str) -> None:
    Path("bad.py").write_text(text)
    result = run("verify", "--file", "bad.py", "--no-plot")
    assert result.exit_code == 2, result.output
    assert complaint in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


BAD_OPTIONS = [
    ((), "which problem?"),
    (("--file", "my.py", "--problem", "rosenbrock"), "--problem and --file exclude each other"),
    (("--field", "x"), "--field needs --variables"),
    (("--loss", "x", "--variables", "x"), "--loss needs --start"),
    (("--loss", "", "--variables", "x", "--start", "1"), "cannot read the expression"),
    (("--loss", "x**2", "--variables", "", "--start", "1"), "variables must be names or symbols"),
    (("--loss", "x**2", "--variables", "x x", "--start", "1"), "variables must be distinct"),
    (("--loss", "x**2", "--variables", "x", "--start", ""), "theta has shape (0,), expected (1,)"),
    (("--loss", "x**2", "--variables", "x", "--start", "inf"), "must be finite"),
    (("--problem", "rosenbrock", "--variables", "x"), "add --loss EXPR or --field EXPRS"),
    (("--problem", "rosenbrock", "--seed", "1"), "--seed goes with a network on data; add --data FILE, such as digits"),
    (("--network", "3-2", "--problem", "rosenbrock"), "--network goes with a network on data; add --data FILE"),
    (("--data", "data.npz"), "--data needs the widths of a network, such as --network 64-16-10"),
    (("--data", "data.npz", "--network", "3-a"), "expected widths, such as --network 64-16-10"),
    (("--data", "data.npz", "--network", "3-2", "--activation", "tan"), "did you mean tanh?"),
    (("--data", "data.npz", "--network", "4-2"), "network: widths is [4, 2], but inputs have shape (12, 3)"),
    (("--data", "data.npz", "--network", "3-4-1"), "and targets (12, 2); expected widths = [3, 4, 2], or other data"),
    (("--data", "data.csv", "--network", "5-2"), "5 columns; the network takes 5 inputs"),
    (("--data", "my.py", "--network", "3-2"), "a file that ends in .npz or .csv"),
    (("--data", "none.npz", "--network", "3-2"), "File 'none.npz' does not exist"),
    (("--file", "none.py"), "File 'none.py' does not exist"),
    (("--data", "empty.csv", "--network", "3-2"), "no lines of numbers"),
    (("--data", "words.csv", "--network", "3-2"), "words.csv, line 3: expected numbers, got 'x,y,z,1,2'"),
    (("--data", "ragged.csv", "--network", "1-1"), "ragged.csv, line 2: 3 columns, the lines above have 2"),
    (("--data", "nan.csv", "--network", "1-1"), "must be finite"),
    (("--data", "broken.npz", "--network", "1-1"), "cannot be read as an .npz archive"),
    (("--data", "other.npz", "--network", "1-1"), "expected arrays `inputs` and `targets`, got a, b"),
    (("--data", "objects.npz", "--network", "1-1"), "cannot be read as an .npz archive"),
    (("--data", "data.npz", "--network", "3-2", "--objective", "cross-entropy"), "targets"),
    (("--data", "data.csv", "--network", "4-1", "--objective", "cross-entropy"), "targets"),
    (("--problem", "rosenbrock", "--weight-decay", "1e999999999"), "is not a number"),
    (("--problem", "rosenbrock", "--method", "epoch", "--batches", "2"), "such as --data with --network"),
    (("--problem", "rosenbrock", "--method", "epoch", "--batches", "0"), "expected a permutation"),
    (("--problem", "rosenbrock", "--method", "lookahead", "--inner-steps", "100"), "from 1 to 50"),
    (("--problem", "rosenbrock", "--method", "lookahead", "--inner-steps", "5.5"), "expected an integer"),
]


@pytest.mark.parametrize("typed, complaint", BAD_OPTIONS, ids=lambda value: value if isinstance(value, str) else "")
def test_bad_options(typed: tuple[str, ...], complaint: str) -> None:
    Path("empty.csv").write_text("a,b\n")
    Path("words.csv").write_text("1,2,3,4,5\n1,2,3,4,5\nx,y,z,1,2\n")
    Path("ragged.csv").write_text("1,2\n1,2,3\n")
    Path("nan.csv").write_text("1,nan\n1,2\n")
    Path("broken.npz").write_bytes(Path("data.npz").read_bytes()[:200])
    np.savez("other.npz", a=INPUTS, b=TARGETS)
    np.savez("objects.npz", inputs=np.array([{}], dtype=object), targets=TARGETS)
    result = run("bound" if typed == () else "verify", *typed, "--no-plot") if typed else run("emit")
    assert result.exit_code == 2, result.output
    assert complaint in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_errors_are_those_of_the_library() -> None:
    with pytest.raises(InputError, match="exclude each other"):
        list(Problem(problems=("rosenbrock",), expression="x").read())
    with pytest.raises(ShapeError, match="5 columns; the network takes 5 inputs"):
        list(Problem(data=Path("data.csv"), network="5-2").read())


@pytest.mark.slow
def test_the_example_of_the_help_runs_as_a_program() -> None:
    typed = ["--loss", "x**2*y**2 + (x-1)**2", "--variables", "x y", "--start", "-0.5, 1", "--no-plot"]
    command = [sys.executable, "-m", "eomsym", "verify", *typed, "--ladder", "40,80,160"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
