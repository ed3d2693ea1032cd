"""``eomsym certify``: proofs as files, that ``eomsym check`` or a program without eomsym checks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eomsym.cli.methods import method_options
from eomsym.cli.options import Command
from eomsym.cli.problem import Problem, problem_options
from eomsym.cli.show import note
from eomsym.errors import InputError

if TYPE_CHECKING:
    from eomsym.optimisers.base import Method

STATEMENTS = ("distance", "convergence", "formula")


@click.command(cls=Command)
@click.argument("statement", type=click.Choice(STATEMENTS))
@problem_options()
@method_options()
@click.option("--order", type=int, default=0, show_default=True, metavar="K", help="Of the equation of motion.")
@click.option("--time", type=float, metavar="T", help="Fixed time T.  [default: that of the problem, or 1]")
@click.option("--steps", type=int, metavar="INTEGER", help="Number of steps; the learning rate is T over it.  "
              "[default: the least of the problem, or 10]")  # fmt: skip
@click.option("--excess", type=float, metavar="NUMBER", help="How far above its infimum the loss may end.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Not stdout.")
def command(
    statement: str, problem: Problem, method: Method | None, output: Path | None, order: int, **options: Any
) -> None:
    """Prove a statement and write down everything that is needed to check it, as JSON.

    `distance`: gradient descent stays near the equation of motion of order K; for polynomials and deep linear networks.
    `convergence`: gradient descent on a deep linear network ends within --excess of the smallest loss; without --steps
    the guarantee chooses learning rate and steps.
    `formula`: the counter terms of an optimiser to order K, for every loss.

    Check it with `eomsym check FILE`.
    """
    from eomsym.files import check_writable, write

    if output is not None:
        check_writable(output)
    if statement == "formula":
        proof = _formula(problem, method, order, options)
    else:
        proof = _of_problem(statement, problem, method, order, **options)
    text = json.dumps(proof, indent=1)
    if output is None:
        click.echo(text)
    else:
        note(f"wrote {write(output, text + chr(10))}")


def _formula(problem: Problem, method: Method | None, order: int, options: dict[str, Any]) -> dict[str, Any]:
    from eomsym.bounds import certify_formula

    given = [name for name, value in options.items() if value is not None]
    if problem.described or given:
        raise InputError("a formula is for every loss; give --method and --order alone")
    return certify_formula(order, method=method)


def _of_problem(
    statement: str,
    problem: Problem,
    method: Method | None,
    order: int,
    *,
    time: float | None,
    steps: int | None,
    excess: float | None,
) -> dict[str, Any]:
    from eomsym import checks
    from eomsym.bounds import certificate, certify_convergence
    from eomsym.optimisers import GradientDescent
    from eomsym.optimisers.names import checked_method

    given = next(problem.read(["rosenbrock"]))
    if checked_method(method or given.method) != GradientDescent():
        raise InputError("distance and convergence are statements on gradient descent; leave out the method")
    if statement == "convergence":
        if excess is None:
            raise InputError("convergence needs --excess, how far above its infimum the loss may end")
        if (time is None) != (steps is None):
            raise InputError("give both --time and --steps, or neither and the guarantee chooses them")
        rate = None if time is None or steps is None else time / checks.count(steps, "steps", 1)
        goal = checks.positive(excess, "excess")
        return certify_convergence(given.loss, given.start, epsilon=goal, eta=rate, steps=steps)
    if excess is not None:
        raise InputError("--excess is for convergence; the distance is what is proven")
    duration = checks.positive(given.time if time is None else time, "time")
    count = checks.count((given.ladder or (10,))[0] if steps is None else steps, "steps", 1)
    return certificate(given.loss, given.start, eta=duration / count, steps=count, order=order)
