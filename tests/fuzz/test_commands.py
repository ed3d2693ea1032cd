"""Every command with good and odd options: exit status 0 to 3, no traceback, and nothing left behind."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from fuzz import guard
from fuzz.test_functions import examples, folder  # noqa: F401 -- a fixture
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from eomsym import cli

#: Folder of the files that commands read.
GIVEN = "given"
PROBLEMS = (
    ("--problem", "rosenbrock"),
    ("--loss", "(1-x)**2/2 + (y-x**2)**2/2", "--variables", "x y", "--start", "0.5, 1"),
    ("--loss", "x**4/4", "--variables", "x", "--start", "1"),
    ("--field", "x - x*y; x*y - y", "--variables", "x y", "--start", "1.5, 0.5"),
    ("--file", f"{GIVEN}/loss.py"),
    ("--data", f"{GIVEN}/data.csv", "--network", "2-1"),
)
#: Options that describe the problem: they come as whole sets, and alone they are odd.
OF_PROBLEM = {"problems", "expression", "velocity", "variables", "start", "path", "data", "network"}
#: What is always typed: where files go, and what keeps a command short.
ALWAYS = {
    "certify": ["--steps", "3"],
    "verify": ["--output", guard.ASKED, "--ladder", "10,20", "--no-plot"],
    "simulate": ["--output", guard.ASKED, "--no-plot"],
    "sweep": ["--output", f"{guard.ASKED}/records.sqlite", "--dry-run"],
    "report": ["--output", f"{guard.ASKED}/report"],
    "reproduce": ["--output", f"{guard.ASKED}/page.html"],
}
#: Good words for arguments and for options whose type does not say them, by command or for all.
WORDS: dict[str, tuple[str, ...]] = {
    "sweep.plan": (f"{GIVEN}/plan.toml",),
    "report.records": (f"{GIVEN}/records.sqlite",),
    "reproduce.name": (),
    "simulate.name": ("modes",),
    "activation": ("tanh", "relu"),
    "weight_decay": ("1/10", "0"),
    "time": ("1", "0.5"),
    "ladder": ("10,20", "5,10,20"),
    "orders": ("0-2", "0", "1,2"),
    "limit": ("2", "0.1"),
    "order": ("0", "1", "2"),
    "eta": ("0.01", "0.01, 0.02"),
    "steps": ("10", "5,5"),
    "tolerance": ("1e-6", "1e-3"),
    "epsilon": ("0.01",),
    "images": ("2",),
    "width": ("345", "0", "200"),
    "seed": ("0", "3"),
    "samples": ("2", "3"),
    "scheme": ("xavier", "he"),
    "scale": ("1", "0.5"),
    "excess": ("0.1",),
    "check.file": (f"{GIVEN}/proof.json",),
    "again": ("0",),
    "dask": (),
    "json": (f"{guard.ASKED}/record.json",),
    "plot": (f"{guard.ASKED}/figure.png",),
    "folder": (guard.ASKED,),
    "save": (f"{guard.ASKED}/theta.txt",),
    "output": (f"{guard.ASKED}/output",),
    **dict.fromkeys(("beta", "beta1", "beta2", "alpha", "nu", "radius", "epsilon", "dampening"), ("9/10", "1/2")),
    **dict.fromkeys(("sign_width", "threshold", "decoupled_decay", "kept_at", "decay"), ("1/100",)),
    **dict.fromkeys(("batches", "ns_steps", "inner_steps"), ("2", "5")),
    "rho": ("1, -1",),
    "sigma": ("0, 1",),
    "tableau": ("0, 0; 1/2, 0",),
    "weights": ("0, 1",),
}
#: What an option is not given: it would connect to another machine.
NEVER = {"dask", "debug"}
ODD = (
    "", " ", "x", "-1", "0", "1", "1e400", "nan", "inf", "-inf", "1/0", "9" * 50, "1e-400", "é", "--", "-5", "1,2",
    "[1]", "0.5", "10-2", "0-1001", "0-2000000000", "99999999999999999999", "x y", ".", "/dev/null", "/dev/full",
    "nowhere/x",
    f"{GIVEN}/broken.sqlite", f"{GIVEN}/broken.toml", f"{GIVEN}/broken.py", f"{GIVEN}/ends.py", f"{GIVEN}/empty.csv",
    f"{GIVEN}/plan.toml", f"{GIVEN}", "x**2", "9**9**9", "None", "true", "a=b", "1;2", "∞", "0x10", "1_000", "'", "\\",
    "beta", "lambda", "x" * 3000,
)  # fmt: skip


def commands() -> dict[str, click.Command]:
    context = click.Context(cli.main)
    found = {name: cli.main.get_command(context, name) for name in cli.main.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


NAMES = list(commands())


def words(command: str, parameter: click.Parameter) -> tuple[str, ...] | None:
    """Good words for a parameter; None where nobody said them."""
    if isinstance(parameter, click.Option) and parameter.is_flag:
        return ()
    if isinstance(parameter.type, click.Choice):
        return tuple(map(str, parameter.type.choices))
    assert parameter.name is not None
    return WORDS.get(f"{command}.{parameter.name}", WORDS.get(parameter.name))


@pytest.fixture(autouse=True)
def files(folder: Path) -> None:  # noqa: F811
    """What commands read: a plan, data, a loss, and damaged ones of each."""
    from eomsym.experiments.records import Records

    place = folder / GIVEN
    place.mkdir()
    (place / "plan.toml").write_text('[case]\nproblem = "rosenbrock"\n[vary]\nseed = [0, 1]\n')
    (place / "data.csv").write_text("1,0.5,1\n-0.5,1,0\n0.25,-1,0.5\n")
    (place / "loss.py").write_text("import eomsym as eom\nloss = eom.Loss('x**4/4', variables='x')\nstart = [1.0]\n")
    (place / "broken.toml").write_text("[case\n")
    (place / "broken.sqlite").write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 20)
    (place / "broken.py").write_text("loss = 1/0\n")
    (place / "ends.py").write_text("raise SystemExit(0)\n")
    (place / "empty.csv").write_text("")
    (place / "proof.json").write_text('{"claim": 1}')
    Records(place / "records.sqlite").close()


@st.composite
def lines(draw: st.DrawFn, name: str) -> list[str]:
    """What is typed after the name of a command."""
    parameters = commands()[name].params
    typed: list[str] = []
    if any(parameter.name == "expression" for parameter in parameters):
        chosen = list(draw(st.sampled_from(PROBLEMS)))
        if all(parameter.name != "start" for parameter in parameters) and "--start" in chosen:
            chosen = chosen[: chosen.index("--start")]
        typed += chosen
    for parameter in parameters:
        good = words(name, parameter) or ()
        often = isinstance(parameter, click.Argument) or parameter.required
        whole = parameter.name in OF_PROBLEM and isinstance(parameter, click.Option)
        if parameter.name in NEVER or draw(st.integers(0, 9)) >= (9 if often else 1):
            continue
        odd = whole or not good or draw(st.integers(0, 2)) == 0
        word = draw(st.sampled_from(ODD) if odd else st.sampled_from(good))
        if isinstance(parameter, click.Argument):
            typed.append(word)
        elif isinstance(parameter, click.Option) and parameter.is_flag:
            typed.append(draw(st.sampled_from([*parameter.opts, *parameter.secondary_opts])))
        else:
            typed += [parameter.opts[-1], word]
    return [*typed, *ALWAYS.get(name, [])]


@pytest.mark.parametrize("name", NAMES)
def test_there_are_words_for_every_option(name: str) -> None:
    missing = [
        parameter.name
        for parameter in commands()[name].params
        if parameter.name not in OF_PROBLEM | NEVER and words(name, parameter) is None
    ]
    assert not missing, f"{name} takes {', '.join(map(str, missing))}: add good words to WORDS in {__name__}"


@pytest.mark.parametrize("name", NAMES)
def test_a_command_answers_or_says_what_to_type(name: str, folder: Path) -> None:  # noqa: F811
    @settings(max_examples=examples(), suppress_health_check=list(HealthCheck))
    @given(lines(name))
    def run(typed: list[str]) -> None:
        note(f"eomsym {name} {typed!r}")
        with guard.unchanged(folder), guard.limited():
            done = CliRunner().invoke(cli.main, [name, *typed])
        said = f"exit status {done.exit_code}: {done.output[-2000:]}"
        assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
        assert done.exit_code in (0, 1, 2, 3), said
        assert "Traceback" not in done.output, said
        assert done.exit_code != 2 or done.output.strip(), "refused without a word"

    run()
