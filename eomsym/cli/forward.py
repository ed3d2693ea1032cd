"""``eomsym forward``: where an optimiser will be after many steps."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from eomsym.cli.methods import method_options
from eomsym.cli.options import Command, command_line, integers, numbers
from eomsym.cli.problem import Problem, problem_options
from eomsym.cli.show import EXIT, progress_bar

if TYPE_CHECKING:
    from eomsym.optimisers.base import Method


@click.command(cls=Command)
@problem_options()
@method_options()
@click.option("--eta", required=True, metavar="NUMBERS", help="Learning rate; of a schedule one for each stretch.")
@click.option("--steps", required=True, metavar="INTEGERS", help="Steps of the optimiser, of each stretch.")
@click.option("--tolerance", type=float, default=1e-6, show_default=True, help="Distance from the optimiser allowed.")
@click.option("--order", type=int, metavar="K", help="Order of the equation.  [default: the lowest that will do]")
@click.option("--limit", type=float, metavar="S", help="Seconds of CPU time; what is reached by then is the answer.")
@click.option("--save", type=click.Path(path_type=Path), metavar="FILE", help="Parameters, one a line, as text.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def command(
    problem: Problem,
    method: Method | None,
    eta: str,
    steps: str,
    tolerance: float,
    order: int | None,
    limit: float | None,
    save: Path | None,
    as_json: bool,
) -> None:
    """Predict the parameters that an optimiser reaches after many steps, by its equation of motion.

    Where the equation would not pay, or eta*lambda leaves its radius, the optimiser itself runs, and the answer says
    so. Ctrl-C ends a long run with what it has, and so does --limit; the exit status is 3 then.
    """
    from eomsym.dynamics.forward import forward
    from eomsym.files import write
    from eomsym.output.records import dumps

    rates, counts = numbers(eta, "--eta"), integers(steps, "--steps")
    given = next(problem.read(["rosenbrock"]))
    with progress_bar("steps") as progress:
        found = forward(
            given.loss, given.start, eta=rates, steps=counts, method=method or given.method, tolerance=tolerance,
            order=order, limit=limit, progress=progress,
        )  # fmt: skip
    if save is not None:
        write(save, "".join(f"{number!r}\n" for number in found.theta.tolist()))
    if as_json:
        click.echo(dumps(found.record(command=command_line())), nl=False)
    else:
        click.echo(str(found))
        if len(found.theta) <= 12:
            click.echo(f"theta = {', '.join(f'{number:.12g}' for number in found.theta)}")
    if not found.complete:
        sys.exit(EXIT["inconclusive"])
