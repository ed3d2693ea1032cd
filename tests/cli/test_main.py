"""The group of commands: lazy, tidy about its streams, and clear when it refuses."""

from __future__ import annotations

import importlib.metadata
import os
import signal
import subprocess
import sys
import warnings
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

import eomsym
from eomsym import cli
from eomsym.errors import CacheError, DivergenceError, EomsymError, InputError, InternalError

ROOT = Path(__file__).parents[2]
LONG = "x" * 5000


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


def test_a_fault_says_how_to_report_it(monkeypatch: pytest.MonkeyPatch) -> None:
    add_command(monkeypatch, ZeroDivisionError("a fault"))
    run = CliRunner().invoke(cli.main, ["stumble"])
    assert run.exit_code == 70
    assert run.stderr.count("\n") == 1
    assert f"ZeroDivisionError: a fault -- this is a fault of eomsym {eomsym.__version__}; please report" in run.stderr


@pytest.mark.parametrize("error, status", [(ZeroDivisionError("a fault"), 70), (InputError("eta is -1"), 2)])
def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch, error: Exception, status: int) -> None:
    add_command(monkeypatch, error)
    run = CliRunner().invoke(cli.main, ["stumble", "--debug"])
    assert run.exit_code == status
    assert "Traceback (most recent call last)" in run.stderr
    assert str(error) in run.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "error, status",
    [
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
        (InternalError("a fault"), 70),
        (MemoryError("much"), 70),
        (CacheError("no folder"), 2),
        (click.ClickException("no"), 2),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_end_has_its_exit_status(monkeypatch: pytest.MonkeyPatch, error: Exception, status: int) -> None:
    """1 is for claims that failed, and for nothing else."""
    add_command(monkeypatch, error)
    run = CliRunner().invoke(cli.main, ["stumble"])
    assert run.exit_code == status
    assert run.stdout == ""
    assert "Traceback" not in run.stderr


def test_a_warning_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command("stumble")
    def command() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("the rate is 10\n  times eta", UserWarning, stacklevel=1)

    add_command(monkeypatch, ZeroDivisionError())
    monkeypatch.setattr(sys.modules["eomsym.cli.stumble"], "command", command)
    run = CliRunner().invoke(cli.main, ["stumble"])
    assert (run.exit_code, run.stderr) == (0, "eomsym: warning: the rate is 10 times eta\n")


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_an_interrupted_process_ends_with_130(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("print('here', flush=True)\nimport time\ntime.sleep(60)\n")
    command = [sys.executable, "-m", "eomsym", "verify", "--file", "slow.py"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job in the background ignores it
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"  # it runs
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate()
    assert (process.returncode, complaint) == (130, "eomsym: interrupted\n")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("seconds", [3, 5])
def test_workers_are_interrupted_without_a_traceback(seconds: float, tmp_path: Path) -> None:
    """Ctrl-C reaches them too, while they import what they need and while they work."""
    process = subprocess.Popen(
        [sys.executable, "-m", "eomsym", "verify", "--suite"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: (os.setsid(), signal.signal(signal.SIGINT, signal.SIG_DFL)),
    )
    with pytest.raises(subprocess.TimeoutExpired, match="timed out"):
        process.wait(seconds)
    os.killpg(process.pid, signal.SIGINT)
    said, complaint = process.communicate()
    assert (process.returncode, said, complaint) == (130, "", "eomsym: interrupted\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="pipes")
def test_a_closed_pipe_is_no_fault() -> None:
    """As in `eomsym derive --order 6 | head -1`."""
    command = [sys.executable, "-m", "eomsym", "derive", "--order", "6"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr:
        assert process.stderr.read() == ""
    assert process.wait() == 141


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_a_terminal_without_greek(encoding: str) -> None:
    command = [sys.executable, "-m", "eomsym", "derive", "--order", "2", "--xi", "--method", "sam", "--radius", "1/2"]
    environment = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    run = subprocess.run(command, capture_output=True, check=True, env=environment)
    assert run.stdout.decode(encoding).startswith("xi_0 = ")
    assert "series converges" in run.stderr.decode(encoding)


@pytest.mark.parametrize("name", [name for name in cli.COMMANDS if (ROOT / f"eomsym/cli/{name}.py").exists()])
def test_help_is_plain(name: str) -> None:
    """Every terminal can show it, and each default is in it once."""
    run = CliRunner().invoke(cli.main, [name, "--help"])
    assert run.stdout.isascii()


@pytest.mark.parametrize(
    "words, offered",
    [
        (["verify", "--problem", "dig"], "digits-2 digits-3 digits-cross-entropy"),
        (["verify", "--method", "hea"], "heavy-ball"),
        (["bound", "--problem", "ros"], "rosenbrock"),
        (["simulate", "mo"], "modes"),
        (["de"], "derive"),
    ],
)
def test_names_are_completed(words: list[str], offered: str) -> None:
    complete = ShellComplete(cli.main, {}, "eomsym", "_EOMSYM_COMPLETE")
    found = complete.get_completions(words[:-1], words[-1])
    assert " ".join(item.value for item in found) == offered


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


@pytest.mark.parametrize(
    "typed, told",
    [
        (["report", LONG], "RECORDS must name a file, got PosixPath"),
        (["sweep", LONG, "--again", "key"], "PLAN must name a file, got PosixPath"),
        (["sweep", LONG], "path must name a file, got PosixPath"),
        (["verify", "--data", LONG, "--network", "1-1"], "--data must name a file, got str"),
        (["derive", "--output", LONG], "File name too long; name another file"),
    ],
)
def test_names_of_thousands_of_letters_are_no_files(typed: list[str], told: str) -> None:
    done = CliRunner().invoke(cli.main, typed)
    assert done.exit_code == 2
    assert told in done.output + done.stderr
