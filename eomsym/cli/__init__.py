"""The command line: ``eomsym COMMAND``, the same as ``python -m eomsym COMMAND``.

Each command is the attribute ``command`` of the module of its own name, imported only when it is called.
Data go to stdout, progress and complaints to stderr.
"""

from __future__ import annotations

import os
import shlex
import sys
import traceback
import warnings
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import click

from eomsym._version import __version__
from eomsym.errors import EomsymError

__all__ = ["main"]

# The help lines stand here, so that `eomsym --help` need not import numba and scipy.
COMMANDS = {
    "derive": "Print counter terms, exact, for any loss or for a given one.",
    "emit": "Write the compiled program of a loss as a standalone module.",
    "verify": "Check the order of the equation of motion against the running optimiser.",
    "bound": "Compare bound, estimate and truth of the distance from the optimiser.",
    "certify": "Prove a distance, a convergence or a formula, as a file that others can check.",
    "check": "Check such a file.",
    "forward": "Predict where an optimiser will be after many steps.",
    "simulate": "Run a named experiment and draw its figure.",
    "sweep": "Verify many cases: a grid or random draws, recorded as they end.",
    "reproduce": "Reproduce a paper: formula, figures, and claims that are judged.",
    "report": "Write what a file of records says: a page, a table, or all rows.",
    "cite": "Print the references of eomsym and of its two source papers.",
}
EPILOG = """\b
Exit status: 0 passed, 1 a claim failed, 2 bad input, 3 inconclusive, 70 a fault of eomsym, 130 interrupted.
Completion of names in bash: eval "$(_EOMSYM_COMPLETE=bash_source eomsym)"; the same with zsh and fish."""

BAD_INPUT, FAULT, INTERRUPTED, CLOSED_PIPE = 2, 70, 130, 141
ISSUES = "the issue tracker of eomsym"


class _Refusal(click.ClickException):
    """One line on stderr, exit status 2."""

    exit_code = BAD_INPUT

    def show(self, file: object = None) -> None:
        _complain(self.message)


class _LazyGroup(click.Group):
    """A group that imports a command when it is called, and gives every ending its exit status."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta["eomsym.command"] = shlex.join(["eomsym", *args])  # records say how they came about
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in COMMANDS if find_spec(f"{__name__}.{name}")]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = import_module(f"{__name__}.{cmd_name}").command
        if all(parameter.name != "debug" for parameter in command.params):
            command.params.append(_debug_option())
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in self.list_commands(ctx)])

    def invoke(self, ctx: click.Context) -> object:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _show_warning
                result = super().invoke(ctx)
            sys.stdout.flush()  # here, so that a closed pipe is noticed here
            return result
        except BaseException as error:
            return _end(ctx, error)


def _debug_option() -> click.Option:
    return click.Option(
        ["--debug"],
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=lambda ctx, parameter, value: ctx.meta.__setitem__("eomsym.debug", value),
        help="Show the traceback of an error.",
    )


def _end(ctx: click.Context, error: BaseException) -> object:
    """Turn whatever ended a command into its exit status and at most one line."""
    if isinstance(error, (click.UsageError, click.exceptions.Exit, SystemExit)):
        raise error
    if isinstance(error, BrokenPipeError):
        # The reader has seen enough; what Python still holds for it must go somewhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        ctx.exit(CLOSED_PIPE)
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        click.echo("eomsym: interrupted", err=True)
        ctx.exit(INTERRUPTED)
    if ctx.meta.get("eomsym.debug"):
        traceback.print_exception(error, file=sys.stderr)
    if isinstance(error, click.ClickException):
        raise _Refusal(error.format_message()) from error
    if isinstance(error, EomsymError) and not isinstance(error, RuntimeError):
        raise _Refusal(str(error)) from error
    if (told := _told_of_own_file(ctx, error)) is not None:
        raise _Refusal(told) from error
    _complain(
        f"{type(error).__name__}: {error} -- this is a fault of eomsym {__version__}; please report it with the output "
        f"of the same command with --debug at its end"
    )
    ctx.exit(FAULT)


def _told_of_own_file(ctx: click.Context, error: BaseException) -> str | None:
    """What went wrong in code of the user's own file, with the line; None where the error is not from there."""
    path = ctx.meta.get("eomsym.file")
    if path is None:
        return None
    from eomsym.experiments.problem import told_of_file

    inside = any(frame.filename == str(path) for frame in traceback.extract_tb(error.__traceback__))
    return told_of_file(path, error) if inside else None


def _show_warning(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
    _complain(f"warning: {message}")


def _complain(text: str) -> None:
    """One line on stderr, in the characters that it can show."""
    from eomsym.output.terminal import spelled

    line = " ".join(text.split())
    click.echo(f"eomsym: {spelled(line, getattr(sys.stderr, 'encoding', None))}", err=True)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]}, epilog=EPILOG)
@click.version_option(__version__, prog_name="eomsym", message="%(prog)s %(version)s")
def main() -> None:
    """Derive, compile and verify the differential equation that gradient descent really follows."""
