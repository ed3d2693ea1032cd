"""The group of commands: lazy, tidy about its streams, and clear when it refuses."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import eomsym
from eomsym import cli
from eomsym.errors import DivergenceError, EomsymError, InputError

ROOT = Path(__file__).parents[1]


def add_command(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Add a command that raises this error."""

    @click.command("stumble")
    def command() -> None:
        raise error

    name = "eomsym.cli.stumble"
    module = module_from_spec(ModuleSpec(name, loader=None))
    module.command = command
    monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setitem(cli.COMMANDS, "stumble", "Raise an error.")


def test_help_lists_the_commands_that_exist() -> None:
    run = CliRunner().invoke(cli.main, ["--help"])
    assert run.exit_code == 0
    modules = {path.stem for path in (ROOT / "eomsym" / "cli").glob("[a-z]*.py")}
    for name, line in cli.COMMANDS.items():
        assert (f"  {name} " in run.stdout) == (name in modules)
        assert line.endswith(".")


@pytest.mark.parametrize("name", [name for name in cli.COMMANDS if (ROOT / f"eomsym/cli/{name}.py").exists()])
def test_every_command_explains_itself(name: str) -> None:
    run = CliRunner().invoke(cli.main, [name, "--help"])
    assert run.exit_code == 0, run.output
    assert run.stdout.startswith(f"Usage: main {name}")


def test_a_command_without_module_is_not_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cli.COMMANDS, "absent", "Not written.")
    assert "absent" not in CliRunner().invoke(cli.main, ["--help"]).stdout
    run = CliRunner().invoke(cli.main, ["absent"])
    assert run.exit_code == 2
    assert "No such command 'absent'" in run.stderr


def test_help_does_not_import_the_commands() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from eomsym.cli import main;"
        "run = CliRunner().invoke(main, ['--help']);"
        "print(run.exit_code, [m for m in sys.modules if m.startswith('eomsym.cli.') or m == 'numpy'])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "0 []"


@pytest.mark.parametrize(
    "error, line",
    [
        (InputError("eta is -1, expected a number above 0;\n  type eta=0.1"), "eta is -1, expected a number"),
        (DivergenceError("gradient descent left the finite numbers at step 12", step=12), "at step 12"),
        (EomsymError("something else"), "something else"),
    ],
)
def test_an_error_of_ours_is_one_line(monkeypatch: pytest.MonkeyPatch, error: EomsymError, line: str) -> None:
    add_command(monkeypatch, error)
    run = CliRunner().invoke(cli.main, ["stumble"])
    assert run.exit_code == 2
    assert run.stdout == ""
    assert run.stderr.startswith("eomsym: ")
    assert line in run.stderr
    assert run.stderr.count("\n") == 1


def test_a_fault_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    add_command(monkeypatch, ZeroDivisionError("a fault"))
    with pytest.raises(ZeroDivisionError, match="a fault"):
        CliRunner().invoke(cli.main, ["stumble"], catch_exceptions=False)


def test_module_and_script_are_the_same_command() -> None:
    run = subprocess.run([sys.executable, "-m", "eomsym", "--version"], capture_output=True, text=True, check=True)
    assert run.stdout == f"eomsym {eomsym.__version__}\n"
    [script] = importlib.metadata.distribution("eomsym").entry_points.select(group="console_scripts")
    assert script.load() is cli.main


@pytest.mark.parametrize("form", ["bibtex", "cff", "text"])
def test_cite_names_all_three_works(form: str) -> None:
    run = CliRunner().invoke(cli.main, ["cite", "--format", form])
    assert run.exit_code == 0
    assert run.stderr == ""
    for word in (eomsym.__version__, "Miyagawa", "arXiv.2210.15898", "Elkabetz", "Cohen", "arXiv.2107.06608"):
        assert word in run.stdout


def test_cite_refuses_an_unknown_format() -> None:
    run = CliRunner().invoke(cli.main, ["cite", "--format", "endnote"])
    assert run.exit_code == 2
    assert "'bibtex', 'cff', 'text'" in run.stderr


def test_citation_file_is_what_cite_prints() -> None:
    run = CliRunner().invoke(cli.main, ["cite", "--format", "cff"])
    assert run.stdout == (ROOT / "CITATION.cff").read_text(encoding="utf-8")
