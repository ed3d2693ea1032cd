"""``eomsym verify``: the order of the equation of motion against the running optimiser."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from eomsym.cli.methods import method_options
from eomsym.cli.options import Command, command_line, integers
from eomsym.cli.problem import Given, Problem, problem_options
from eomsym.cli.show import EXIT, Files, note, output_options, progress_bar
from eomsym.errors import MissingDependencyError

if TYPE_CHECKING:
    from eomsym.optimisers.base import Method
    from eomsym.verification.report import Report


@click.command(cls=Command)
@problem_options(several=True)
@method_options()
@click.option("--time", type=float, metavar="T", help="Fixed time T; the learning rates are T over the ladder.  "
              "[default: that of the problem, or 1]")  # fmt: skip
@click.option(
    "--ladder", metavar="INTEGERS", help="Numbers of steps.  [default: that of the problem, or of eom.verify]"
)
@click.option("--orders", default="0-4", show_default=True, metavar="INTEGERS", help="Orders K.")
@output_options("eomsym-verify", "verify")
def command(
    problem: Problem, method: Method | None, time: float | None, ladder: str | None, orders: str, files: Files
) -> None:
    """Check that the equation of motion of order K is O(eta^(K+1)) away from the running optimiser.

    Without arguments: a Rosenbrock-like loss and two deep linear networks on handwritten digits, orders 0
    to 4. Slope and leading constant are held against the theory; what rounding makes doubtful is not
    judged.
    """
    import eomsym as eom
    from eomsym.output.records import collection
    from eomsym.output.terminal import echo
    from eomsym.verification.figures import draw_reports
    from eomsym.verification.verdict import worst

    paths = files.checked("verify")
    asked = integers(orders, "--orders")
    rungs = integers(ladder, "--ladder") if ladder is not None else None
    reports: list[Report] = []
    for given in _problems(problem):
        with progress_bar(given.name) as progress:
            chosen, steps = method or given.method, given.ladder if rungs is None else rungs
            report = eom.verify(
                given.batches(chosen),
                given.start,
                time=given.time if time is None else time,
                ladder=steps,
                orders=asked,
                method=chosen,
                name=given.name,
                progress=progress,
            )
        reports.append(replace(report, seed=given.seed, setting={**report.setting, **given.setting}))
        report.table().show()
        echo(f"{report.verdict}\n")
    line = command_line()
    record = collection([report.record(command=line) for report in reports], command=line)
    files.write(paths, record, lambda: draw_reports(reports))
    sys.exit(EXIT[worst(report.status for report in reports)])


def _problems(problem: Problem) -> Iterator[Given]:
    """What is verified; of the problems of a bare command those that can be, and a word about the others."""
    from eomsym.experiments.suite import DEFAULT_PROBLEMS

    if problem.named:
        yield from problem.read()
        return
    for name in DEFAULT_PROBLEMS:
        try:
            yield from problem.read([name])
        except MissingDependencyError as error:
            note(f"{name} is left out: {error}")
