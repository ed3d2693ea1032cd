"""``eomsym verify``: the order of the equation of motion against the running optimiser."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import click

from eomsym.cli.methods import method_options
from eomsym.cli.options import Command, command_line, integers
from eomsym.cli.problem import Problem, problem_options
from eomsym.cli.show import EXIT, Files, note, output_options, progress_bar
from eomsym.errors import EomsymError, InputError, MissingDependencyError

if TYPE_CHECKING:
    from eomsym.experiments.case import Case
    from eomsym.experiments.problem import Given
    from eomsym.optimisers.base import Method
    from eomsym.verification.report import Report


@click.command(cls=Command)
@click.option("--suite", is_flag=True, help="The standard suite: every optimiser, kind of network and order.")
@click.option("--quick", is_flag=True, help="A part of the suite that takes seconds, the first time about a minute.")
@problem_options(several=True)
@method_options()
@click.option("--time", type=float, metavar="T", help="Fixed time T; the learning rates are T over the ladder.  "
              "[default: that of the problem, or 1]")  # fmt: skip
@click.option(
    "--ladder", metavar="INTEGERS", help="Numbers of steps.  [default: that of the problem, or of eom.verify]"
)
@click.option("--orders", metavar="INTEGERS", help="Orders K.  [default: those of a case file, or 0-4]")
@click.option("--limit", type=float, metavar="S", help="Seconds of CPU time for each problem; what is not measured by "
              "then is not judged.  [default: 60]")  # fmt: skip
@output_options("eomsym-verify", "verify")
def command(
    suite: bool,
    quick: bool,
    problem: Problem,
    method: Method | None,
    time: float | None,
    ladder: str | None,
    orders: str | None,
    limit: float | None,
    files: Files,
) -> None:
    """Check that the equation of motion of order K is O(eta^(K+1)) away from the running optimiser.

    Without arguments: a Rosenbrock-like loss and two deep linear networks on handwritten digits, orders 0
    to 4. Slope and leading constant are held against the theory; what rounding makes doubtful is not
    judged.

    With --suite, or --quick, the problems, optimisers and orders are those of the standard suite, on all cores. The
    folder gets suite.json, suite.sqlite with all records, and unless there is --no-plot suite.png and suite.html, a
    page of them.
    """
    if suite or quick:
        typed = {"--method": method, "--time": time, "--ladder": ladder, "--orders": orders, "--limit": limit}
        if problem.described or problem.weight_decay is not None or any(value is not None for value in typed.values()):
            raise InputError("--suite has problems, optimisers, times and orders of its own; give it no others")
        run_suite(quick, files)
    own = _Own(time, method, None if ladder is None else integers(ladder, "--ladder"),
               None if orders is None else integers(orders, "--orders"), limit)  # fmt: skip
    run_problems(problem, own, files)


class _Own(NamedTuple):
    """What was typed, and goes before what problems say; None where nothing was."""

    time: float | None
    method: Method | None
    ladder: list[int] | None
    orders: list[int] | None
    limit: float | None


def run_problems(problem: Problem, own: _Own, files: Files) -> NoReturn:
    """Verify what the options describe, one after the other."""
    import eomsym as eom
    from eomsym.output.records import collection
    from eomsym.output.terminal import echo
    from eomsym.verification.figures import draw_reports
    from eomsym.verification.verdict import worst

    paths = files.checked("verify")
    reports: list[Report] = []
    for given in _problems(problem):
        with progress_bar(given.name) as progress:
            chosen = own.method or given.method
            report = eom.verify(
                given.batches(chosen),
                given.start,
                time=_first(own.time, given.time),
                ladder=_first(own.ladder, given.ladder),
                orders=_first(own.orders, given.orders, range(5)),
                method=chosen,
                name=given.name,
                progress=progress,
                **({} if own.limit is None else {"limit": own.limit}),
            )
        reports.append(replace(report, seed=given.seed, setting={**report.setting, "case": dict(given.definition)}))
        report.table().show()
        echo(f"{report.verdict}\n")
    line = command_line()
    record = collection([report.record(command=line) for report in reports], command=line)
    files.write(paths, record, lambda: draw_reports(reports))
    sys.exit(EXIT[worst(report.status for report in reports)])


def _first(*said: Any) -> Any:
    """The first that was said."""
    return next((one for one in said if one is not None), None)


def run_suite(quick: bool, files: Files) -> NoReturn:
    """Verify the cases of the standard suite, on all cores."""
    from eomsym.experiments.records import Records
    from eomsym.experiments.standard import standard_suite, suite_status, suite_table
    from eomsym.experiments.summary import summarise
    from eomsym.experiments.sweep import sweep
    from eomsym.files import check_writable, write
    from eomsym.output.records import collection
    from eomsym.output.terminal import echo

    paths = files.checked("suite")
    target, page = (check_writable(files.folder / f"suite{suffix}") for suffix in (".sqlite", ".html"))
    heading = "A part of the standard suite" if quick else "The standard suite"
    cases = [case for case in standard_suite(quick=quick) if _at_hand(case)]
    began = perf_counter()
    with progress_bar("cases") as progress:
        found = {one.case.key: one for one in sweep(cases, progress=progress).outcomes}
    outcomes = [found[case.key] for case in cases]
    suite_table(outcomes).show()
    status = suite_status(outcomes)
    echo(f"\n{status} in {perf_counter() - began:.1f} s")
    with TemporaryDirectory() as folder:
        fresh = Path(folder) / target.name
        with Records(fresh) as records:
            records.add(outcomes)
            summary = summarise(records)
        write(target, fresh.read_bytes())
    note(f"wrote {target}")
    line = command_line()
    record = collection([one.report.record(command=line) for one in outcomes if one.report], command=line)
    files.write(paths, record, summary.ratios)
    if paths[1] is not None:
        note(f"wrote {write(page, summary.html(heading))}")
    sys.exit(EXIT[status])


def _at_hand(case: Case) -> bool:
    """Whether the data of a case are installed; a word about it where they are not."""
    try:
        case.problem()
    except MissingDependencyError as error:
        note(f"{case.title} is left out: {error}")
        return False
    except EomsymError:  # a row of the table
        return True
    return True


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
