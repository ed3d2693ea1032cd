"""``eomsym verify``: the order of the equation of motion against the running optimiser."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from eomsym.cli.options import METHODS, build_method, command_line, method_options, read_number
from eomsym.errors import InputError

if TYPE_CHECKING:
    from eomsym.optimisers.base import Method
    from eomsym.verification.order import Progress
    from eomsym.verification.report import Report

EXIT = {"passed": 0, "failed": 1, "inconclusive": 3}


def numbers(text: str, option: str) -> list[float]:
    """Read ``1, 2.5`` as a list."""
    try:
        return [float(word) for word in text.replace(",", " ").split()]
    except ValueError as error:
        raise InputError(f"{option} {text!r}: expected numbers, such as {option} '-0.5, 1'") from error


def integers(text: str, option: str) -> list[int]:
    """Read ``10,20`` or ``0-4`` as a list."""
    first, dash, last = text.partition("-")
    try:
        if dash and first:
            return list(range(int(first), int(last) + 1))
        return [int(word) for word in text.replace(",", " ").split()]
    except ValueError as error:
        raise InputError(f"{option} {text!r}: expected integers, such as {option} 0-4 or {option} 10,20,40") from error


@click.command()
@click.option("--problem", "problems", multiple=True, metavar="NAME", help="A named problem; may be repeated.")
@click.option("--loss", "expression", metavar="EXPR", help="A loss of your own, such as 'x**2*y**2 + (x-1)**2'.")
@click.option("--variables", metavar="NAMES", help="Its variables in order, such as 'x y'.")
@click.option("--start", metavar="NUMBERS", help="Where your loss starts, such as '-0.5, 1'.")
@click.option("--time", type=float, metavar="T", help="Fixed time T; the learning rates are T over the steps.")
@click.option("--steps", metavar="INTEGERS", help="The ladder, such as 10,20,40,80.")
@click.option("--orders", default="0-4", show_default=True, metavar="INTEGERS", help="Orders K.")
@method_options(*(name for name in METHODS if name != "epoch"))
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default="eomsym-verify",
    show_default=True,
    metavar="FOLDER",
    help="Where verify.json and verify.png go.",
)
@click.option("--json", "json_path", type=click.Path(path_type=Path), metavar="FILE", help="The record, elsewhere.")
@click.option("--plot", "plot_path", type=click.Path(path_type=Path), metavar="FILE", help="The figure, elsewhere.")
@click.option("--no-plot", is_flag=True, help="Draw no figure.")
def command(
    problems: tuple[str, ...],
    expression: str | None,
    variables: str | None,
    start: str | None,
    time: float | None,
    steps: str | None,
    orders: str,
    method_name: str,
    output: Path,
    json_path: Path | None,
    plot_path: Path | None,
    no_plot: bool,
    **parameters: str | None,
) -> None:
    """Check that the equation of motion of order K is O(eta^(K+1)) away from the running optimiser.

    Without arguments: a Rosenbrock-like loss and two deep linear networks on handwritten digits, orders 0
    to 4. Slope and leading constant are held against the theory; what rounding makes doubtful is not
    judged.
    """
    from eomsym.files import check_writable, write
    from eomsym.output.figures import check_figure
    from eomsym.output.records import collection, dumps
    from eomsym.output.terminal import echo

    if no_plot and plot_path:
        raise InputError("--plot and --no-plot exclude each other")
    if not (no_plot or plot_path) and find_spec("matplotlib") is None:
        click.echo("no figure: matplotlib is not installed (pip install 'eomsym[plot]')", err=True)
        no_plot = True
    record = check_writable(json_path or output / "verify.json")
    figure = None if no_plot else check_figure(plot_path or output / "verify.png")

    method = build_method(method_name, parameters, read_number)
    ladder = integers(steps, "--steps") if steps else None
    with click.progressbar(length=1, file=sys.stderr, label="verifying", item_show_func=lambda item: item) as bar:

        def progress(done: int, total: int, label: str) -> None:
            bar.length = total
            bar.update(done - bar.pos, label)

        reports = _reports(
            problems,
            expression,
            variables,
            start,
            time,
            ladder,
            integers(orders, "--orders"),
            method,
            progress,
        )
    if figure:
        from eomsym.verification.figures import draw_reports

        draw_reports(reports).save(figure)
    line = command_line()
    write(record, dumps(collection([report.record(command=line) for report in reports], command=line)))
    for report in reports:
        report.table().show()
        echo(f"{report.verdict}\n")
    for path in filter(None, (record, figure)):
        click.echo(f"wrote {path}", err=True)

    from eomsym.verification.verdict import worst

    sys.exit(EXIT[worst(report.status for report in reports)])


def _reports(
    problems: tuple[str, ...],
    expression: str | None,
    variables: str | None,
    start: str | None,
    time: float | None,
    steps: list[int] | None,
    orders: list[int],
    method: Method,
    progress: Progress,
) -> list[Report]:
    import eomsym as eom
    from eomsym.experiments.suite import DEFAULT_PROBLEMS, verify_problems

    if expression is None:
        if variables or start:
            raise InputError("--variables and --start describe a loss of your own; add --loss EXPR")
        names = problems or DEFAULT_PROBLEMS
        return verify_problems(names, orders, method, time=time, steps=steps, progress=progress)
    if problems:
        raise InputError("--problem and --loss exclude each other")
    if variables is None or start is None:
        raise InputError("--loss needs --variables and --start, such as --variables 'x y' --start '-0.5, 1'")
    loss = eom.Loss(expression, variables=variables)
    ladder = (10, 20, 40, 80) if steps is None else steps
    point = numbers(start, "--start")
    duration = 1.0 if time is None else time
    return [
        eom.verify(
            loss, point, time=duration, ladder=ladder, orders=orders, method=method, name=expression, progress=progress
        )
    ]
