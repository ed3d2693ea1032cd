"""``eomsym bound``: bound, estimate and truth of the distance from gradient descent."""

from __future__ import annotations

import json
import math
import runpy
import sys
from pathlib import Path
from typing import Any

import click

from eomsym import checks
from eomsym.errors import InputError


@click.command()
@click.option("--problem", metavar="NAME", help="A named problem, as of `eomsym verify`; rosenbrock by default.")
@click.option("--loss", "expression", metavar="EXPR", help="A loss of your own, such as '(x*y - 1)**2/2'.")
@click.option("--variables", metavar="NAMES", help="Its variables in order, such as 'x y'.")
@click.option("--start", metavar="NUMBERS", help="Where your loss starts, such as '0.5, 0.5'.")
@click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A Python file of your own that defines `loss` and `start`. It is run.",
)
@click.option("--time", type=float, metavar="T", help="Fixed time T.")
@click.option("--steps", type=int, metavar="INTEGER", help="Number of steps; the learning rate is T over it.")
@click.option("--epsilon", type=float, metavar="NUMBER", help="Ask for learning rates that keep the distance below it.")
@click.option("--orders", default="0-2", show_default=True, metavar="INTEGERS", help="Orders K.")
@click.option(
    "--rigorous", is_flag=True, help="Add machine-checked bounds, all rounding included; small problems only."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def command(
    problem: str | None,
    expression: str | None,
    variables: str | None,
    start: str | None,
    path: Path | None,
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
    from eomsym.bounds.tables import compare_distances, compare_step_sizes, format_distances, format_step_sizes
    from eomsym.cli.verify import integers

    if sum(option is not None for option in (problem, expression, path)) > 1:
        raise InputError("--problem, --loss and --file exclude each other")
    loss, point, default_time, default_steps = _load(problem, expression, variables, start, path)
    duration = default_time if time is None else time
    count = default_steps if steps is None else steps
    chosen = integers(orders, "--orders")

    def progress(done: int, total: int, label: str) -> None:
        click.echo(label, err=True)

    if epsilon is not None:
        if rigorous or steps is not None:
            raise InputError("--epsilon asks for learning rates; leave out --steps and --rigorous")
        rates = compare_step_sizes(loss, point, time=duration, epsilon=epsilon, orders=chosen, progress=progress)
        if as_json:
            click.echo(
                json.dumps([_record(row, ("predicted",), ("theorem", "proven", "measured")) for row in rates], indent=2)
            )
        else:
            click.echo(f"{loss.name}: learning rates for a distance below {epsilon:g} up to time {duration:g}")
            click.echo(format_step_sizes(rates))
        return
    rate = checks.positive(duration, "time") / checks.count(count, "steps", 1)
    rows = compare_distances(loss, point, eta=rate, steps=count, orders=chosen, rigorous=rigorous, progress=progress)
    if as_json:
        numbers, bounds = ("true", "leading", "refined", "plain"), ("measured", "proven", "rigorous")
        click.echo(json.dumps([_record(row, numbers, bounds) for row in rows], indent=2))
    else:
        click.echo(f"{loss.name}: {count} steps up to time {duration:g}, eta = {rate:.4g}")
        click.echo(format_distances(rows))
    if broken := [f"order {row.order}: {', '.join(row.violated)}" for row in rows if row.violated]:
        click.echo(f"violated: {'; '.join(broken)}", err=True)
        sys.exit(1)


def _load(
    problem: str | None, expression: str | None, variables: str | None, start: str | None, path: Path | None
) -> tuple[Any, Any, float, int]:
    """Loss, start, and default time and number of steps."""
    import eomsym as eom
    from eomsym.cli.verify import numbers
    from eomsym.experiments.suite import PROBLEMS

    if expression is not None:
        if variables is None or start is None:
            raise InputError("--loss needs --variables and --start, such as --variables 'x y' --start '-0.5, 1'")
        return eom.Loss(expression, variables=variables), numbers(start, "--start"), 1.0, 20
    if variables or start:
        raise InputError("--variables and --start describe a loss of your own; add --loss EXPR")
    if path is not None:
        names = runpy.run_path(str(path))
        if missing := [name for name in ("loss", "start") if name not in names]:
            raise InputError(f"{path} does not define {' and '.join(missing)}; expected `loss` and `start`")
        return names["loss"], names["start"], 1.0, 20
    name = problem or "rosenbrock"
    if name not in PROBLEMS:
        raise InputError(f"unknown problem {name!r}; expected one of {', '.join(PROBLEMS)}")
    chosen = PROBLEMS[name]
    loss, point = chosen.build()
    return loss, point, chosen.time, chosen.steps[0]


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
