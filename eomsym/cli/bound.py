"""``eomsym bound``: bound, estimate and truth of the distance from gradient descent."""

from __future__ import annotations

import json
import math
import sys
from typing import TYPE_CHECKING, Any

import click

from eomsym.cli.options import Command, integers
from eomsym.cli.problem import Problem, problem_options
from eomsym.cli.show import note, progress_bar
from eomsym.errors import InputError

if TYPE_CHECKING:
    from eomsym.experiments.problem import Given


@click.command(cls=Command)
@problem_options()
@click.option("--time", type=float, metavar="T", help="Fixed time T.  [default: that of the problem, or 1]")
@click.option("--steps", type=int, metavar="INTEGER", help="Number of steps; the learning rate is T over it.  "
              "[default: the least of the problem, or 10]")  # fmt: skip
@click.option("--epsilon", type=float, metavar="NUMBER", help="Ask for learning rates that keep the distance below it.")
@click.option("--orders", default="0-2", show_default=True, metavar="INTEGERS", help="Orders K.")
@click.option(
    "--rigorous", is_flag=True, help="Add machine-checked bounds, all rounding included; small problems only."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def command(
    problem: Problem,
    time: float | None,
    steps: int | None,
    epsilon: float | None,
    orders: str,
    rigorous: bool,
    as_json: bool,
) -> None:
    """Compare bounds, predictions and truth of the distance of gradient descent from the equation of motion.

    `leading` is the leading error with its propagator, `refined` has the next order too, and `plain sum` leaves the
    propagator out. `measured` bounds the distance a posteriori, `proven` from closed forms alone; estimates carry a ~.
    Where a hypothesis does not hold there is no number, and the hypothesis is named below the table.

    With --epsilon the table is of learning rates: `theorem` is the guarantee of Elkabetz and Cohen, `proven` and
    `measured` are the largest guaranteed rates that were found, and at `predicted` the leading error is epsilon.
    """
    from eomsym import checks
    from eomsym.optimisers import GradientDescent
    from eomsym.optimisers.names import checked_method

    chosen = integers(orders, "--orders")
    given = next(problem.read(["rosenbrock"]))
    if checked_method(given.method) != GradientDescent():
        raise InputError("bounds are those of gradient descent; leave `method` out of the file")
    duration = checks.positive(given.time if time is None else time, "time")
    if epsilon is None:
        _distances(given, duration, (given.ladder or (10,))[0] if steps is None else steps, chosen, rigorous, as_json)
    elif rigorous or steps is not None:
        raise InputError("--epsilon asks for learning rates; leave out --steps and --rigorous")
    else:
        _step_sizes(given, duration, epsilon, chosen, as_json)


def _step_sizes(given: Given, time: float, epsilon: float, orders: list[int], as_json: bool) -> None:
    """The table of learning rates."""
    from eomsym.bounds.tables import compare_step_sizes, format_step_sizes
    from eomsym.output.terminal import echo

    with progress_bar("learning rates") as progress:
        rows = compare_step_sizes(given.loss, given.start, time=time, epsilon=epsilon, orders=orders, progress=progress)
    if as_json:
        _print_json([_record(row, ("predicted",), ("theorem", "proven", "measured")) for row in rows])
        return
    echo(f"{given.name}: learning rates for a distance below {epsilon:g} up to time {time:g}")
    echo(format_step_sizes(rows))


def _distances(given: Given, time: float, steps: int, orders: list[int], rigorous: bool, as_json: bool) -> None:
    """The table of distances; exit status 1 where a bound is violated."""
    from eomsym import checks
    from eomsym.bounds.tables import compare_distances, format_distances
    from eomsym.output.terminal import echo

    eta = time / checks.count(steps, "steps", 1)
    with progress_bar("distances") as progress:
        rows = compare_distances(
            given.loss, given.start, eta=eta, steps=steps, orders=orders, rigorous=rigorous, progress=progress
        )
    if as_json:
        numbers, bounds = ("true", "leading", "refined", "plain"), ("measured", "proven", "rigorous")
        _print_json([_record(row, numbers, bounds) for row in rows])
    else:
        echo(f"{given.name}: {steps} steps up to time {time:g}, eta = {eta:.4g}")
        echo(format_distances(rows))
    if broken := [f"order {row.order}: {', '.join(row.violated)}" for row in rows if row.violated]:
        note(f"violated: {'; '.join(broken)}")
        sys.exit(1)


def _print_json(rows: list[dict[str, Any]]) -> None:
    click.echo(json.dumps(rows, indent=2))


def _record(row: Any, numbers: tuple[str, ...], bounds: tuple[str, ...]) -> dict[str, Any]:
    from eomsym.bounds.bound import Bound, StepSize

    def told(bound: Any) -> Any:
        if isinstance(bound, (Bound, StepSize)):
            return {"value": float(bound), "proven": bound.proven, "certificate": bound.certificate,
                    "hypotheses": [str(h) for h in bound.hypotheses], "source": bound.source}  # fmt: skip
        return None if bound is None else {"refused": bound}

    found = {name: getattr(row, name) for name in numbers}
    known = {name: value if math.isfinite(value) else None for name, value in found.items()}
    return {"order": row.order} | known | {name: told(getattr(row, name)) for name in bounds}
