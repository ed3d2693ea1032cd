"""``eomsym simulate``: the experiments of the two source papers, on their problems or on yours, with figures."""

from __future__ import annotations

import sys

import click

from eomsym.cli.options import Command, command_line, completed
from eomsym.cli.problem import Problem, problem_options
from eomsym.cli.show import EXIT, Files, output_options, progress_bar


def experiments() -> list[str]:
    """Names of the experiments."""
    from eomsym.experiments.simulate import EXPERIMENTS

    return list(EXPERIMENTS)


@click.command(cls=Command)
@click.argument("name", required=False, shell_complete=completed(experiments))
@problem_options()
@click.option("--eta", type=float, metavar="NUMBER", help="Learning rate for a problem of yours.  "
              "[default: its time over the steps]")  # fmt: skip
@click.option("--images", type=int, metavar="N", help="How many of the 1797 handwritten digits.  "
              "[default: that of the experiment]")  # fmt: skip
@click.option("--steps", type=int, metavar="N", help="Steps of gradient descent.  [default: that of the experiment]")
@output_options("eomsym-simulate", "NAME")
def command(
    problem: Problem, name: str | None, eta: float | None, images: int | None, steps: int | None, files: Files
) -> None:
    """Run the experiment NAME, draw its figure, and judge its claims; without NAME, list the experiments.

    Elkabetz & Cohen's comparison of gradient descent with eta and eta/r (linear, relu, convolution), Miyagawa's
    subjects (error, scale, translation), and what is known about linear layers (balance, modes). The experiments
    ratios, error, scale, translation and balance take a problem of yours, too.
    """
    from eomsym import checks
    from eomsym.experiments.simulate import EXPERIMENTS, simulate
    from eomsym.output.terminal import echo

    if name is None:
        for known, entry in EXPERIMENTS.items():
            echo(f"{known:12} {entry.summary}")
        return
    paths = files.checked(checks.choice(name, "experiment", EXPERIMENTS))
    given = next(problem.read()) if problem.described or problem.weight_decay else None
    with progress_bar(name) as progress:
        found = simulate(name, problem=given, eta=eta, images=images, steps=steps, progress=progress)
    echo(f"{found.title}\n")
    found.table().show()
    files.write(paths, found.record(command=command_line()), found.plot)
    sys.exit(EXIT[found.status])
