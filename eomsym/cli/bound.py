"""``eomsym bound``: bound, estimate and truth of the distance from gradient descent."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eomsym.cli.options import Command, command_line, integers
from eomsym.cli.problem import Problem, problem_options
from eomsym.cli.show import note, progress_bar
from eomsym.errors import InputError

if TYPE_CHECKING:
    from eomsym.bounds.comparison import Distances, StepSizes
    from eomsym.experiments.problem import Given


@click.command(cls=Command)
@problem_options()
@click.option("--time", type=float, metavar="T", help="Fixed time T.  [default: that of the problem, or 1]")
@click.option("--steps", type=int, metavar="INTEGER", help="Number of steps; the learning rate is T over it.  "
              "[default: the least of the problem, or 10]")  # fmt: skip
@click.option("--epsilon", type=float, metavar="NUMBER", help="Ask for learning rates that keep the distance below it.")
@click.option("--limit", type=float, metavar="S", help="Seconds of CPU time for each learning rate; a search that is "
              "stopped gives the largest that held.  [default: 60]")  # fmt: skip
@click.option("--orders", default="0-2", show_default=True, metavar="INTEGERS", help="Orders K.")
@click.option(
    "--rigorous", is_flag=True, help="Add machine-checked bounds, all rounding included; small problems only."
)
@click.option(
    "--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw bound against truth: .png, .svg or .pdf."
)
@click.option("--json", "as_json", is_flag=True, help="Print a record instead of a table.")
def command(
    problem: Problem,
    time: float | None,
    steps: int | None,
    epsilon: float | None,
    limit: float | None,
    orders: str,
    rigorous: bool,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Compare bounds, predictions and truth of the distance of gradient descent from the equation of motion.

    `leading` is the leading error with its propagator, `refined` has the next order too, and `plain sum` leaves the
    propagator out. `measured` bounds the distance with a measured error of the integrator, `proven` with a bounded
    one, from closed forms for the derivatives; estimates carry a ~. Where a hypothesis does not hold there is no
    number, and the hypothesis is named below the table.

    With --epsilon the table is of learning rates: `theorem` is the guarantee of Elkabetz and Cohen, `proven` and
    `measured` are the largest guaranteed rates that were found, and at `predicted` the leading error is epsilon.
    """
    from eomsym import checks
    from eomsym.optimisers import GradientDescent
    from eomsym.optimisers.names import checked_method
    from eomsym.output.figures import check_figure

    chosen = integers(orders, "--orders")
    shown = _Shown(as_json, check_figure(plot) if plot else None)
    given = next(problem.read(["rosenbrock"]))
    if checked_method(given.method) != GradientDescent():
        raise InputError("bounds are those of gradient descent; leave `method` out of the file")
    duration = checks.positive(given.time if time is None else time, "time")
    if epsilon is None:
        if limit is not None:
            raise InputError("--limit is for the search of learning rates; add --epsilon, or leave it out")
        _distances(given, duration, (given.ladder or (10,))[0] if steps is None else steps, chosen, rigorous, shown)
    elif rigorous or steps is not None:
        raise InputError("--epsilon asks for learning rates; leave out --steps and --rigorous")
    else:
        _step_sizes(given, duration, epsilon, chosen, {} if limit is None else {"limit": limit}, shown)


def _step_sizes(
    given: Given, time: float, epsilon: float, orders: list[int], own: dict[str, Any], shown: _Shown
) -> None:
    """The table of learning rates."""
    from eomsym.bounds.tables import compare_step_sizes

    with progress_bar("learning rates") as progress:
        found = compare_step_sizes(
            given.loss, given.start, time=time, epsilon=epsilon, orders=orders, name=given.name, progress=progress,
            **own,
        )  # fmt: skip
    shown(found)


def _distances(given: Given, time: float, steps: int, orders: list[int], rigorous: bool, shown: _Shown) -> None:
    """The table of distances; exit status 1 where a bound is violated."""
    from eomsym import checks
    from eomsym.bounds.tables import compare_distances

    eta = time / checks.count(steps, "steps", 1)
    with progress_bar("distances") as progress:
        found = compare_distances(
            given.loss, given.start, eta=eta, steps=steps, orders=orders, rigorous=rigorous, name=given.name,
            progress=progress,
        )  # fmt: skip
    shown(found)
    if broken := [f"order {row.order}: {', '.join(row.violated)}" for row in found if row.violated]:
        note(f"violated: {'; '.join(broken)}")
        sys.exit(1)


@dataclass(frozen=True)
class _Shown:
    """What becomes of an answer: a table or a record on stdout, and a figure in a file."""

    as_json: bool
    plot: Path | None

    def __call__(self, found: Distances | StepSizes) -> None:
        from eomsym.output.records import dumps
        from eomsym.output.terminal import echo

        if self.as_json:
            click.echo(dumps(found.record(command=command_line())), nl=False)
        else:
            echo(str(found))
        if self.plot:
            note(f"wrote {found.plot().save(self.plot)}")
