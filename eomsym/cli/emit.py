"""``eomsym emit``: the compiled program of a loss as a standalone module."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from eomsym.cli.methods import method_options
from eomsym.cli.options import Command
from eomsym.cli.problem import Problem, problem_options
from eomsym.cli.show import note

if TYPE_CHECKING:
    from eomsym.optimisers.base import Method


@click.command(cls=Command)
@problem_options(start=False)
@method_options()
@click.option("--order", default=3, show_default=True, type=int, metavar="INTEGER",
              help="Highest power of the learning rate.")  # fmt: skip
@click.option(
    "--form",
    type=click.Choice(["table", "explicit", "auto"]),
    default="auto",
    show_default=True,
    help="explicit: the closed form, for many points of a small loss.",
)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Not stdout.")
def command(problem: Problem, method: Method | None, order: int, form: str, output: Path | None) -> None:
    """Write the counter terms of a loss as a Python module that needs only numpy and numba.

    It has two functions: terms(theta), row k of which multiplies eta**k, and field(theta, eta).
    """
    import eomsym as eom
    from eomsym.output.terminal import echo

    given = next(problem.read(start=False))
    chosen = method or given.method
    kernel = eom.compile(given.batches(chosen), order, method=chosen, form=form)
    if output is None:
        echo(kernel.source.rstrip("\n"))
    else:
        note(f"wrote {kernel.save(output)}")
