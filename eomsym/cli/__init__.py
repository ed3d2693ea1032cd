"""The command line: ``eomsym COMMAND``, the same as ``python -m eomsym COMMAND``.

Each command is the attribute ``command`` of the module of its own name, imported only when it is called.
Data go to stdout, progress and complaints to stderr.
"""

from __future__ import annotations

import shlex
from importlib import import_module
from importlib.util import find_spec

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
    "simulate": "Run a named experiment and draw its figure.",
    "cite": "Print the references of eomsym and of its two source papers.",
}


class _Refusal(click.ClickException):
    """One line on stderr, exit status 2."""

    exit_code = 2

    def show(self, file: object = None) -> None:
        click.echo(f"eomsym: {' '.join(self.message.split())}", err=True)


class _LazyGroup(click.Group):
    """A group that imports a command when it is called, and turns errors of eomsym into refusals."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta["eomsym.command"] = shlex.join(["eomsym", *args])  # records say how they came about
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in COMMANDS if find_spec(f"{__name__}.{name}")]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = import_module(f"{__name__}.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in self.list_commands(ctx)])

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except EomsymError as error:
            raise _Refusal(str(error)) from error


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 passed, 1 a claim failed, 2 bad input, 3 inconclusive.",
)
@click.version_option(__version__, prog_name="eomsym", message="%(prog)s %(version)s")
def main() -> None:
    """Derive, compile and verify the differential equation that gradient descent really follows."""
