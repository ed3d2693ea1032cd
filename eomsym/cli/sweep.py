"""``eomsym sweep``: many cases, recorded as they end."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from eomsym import checks
from eomsym.cli.show import EXIT, note, progress_bar
from eomsym.errors import InputError

__all__ = ["command"]


@click.command("sweep")
@click.argument("plan", type=click.Path(path_type=Path))
@click.option(
    "--output", type=click.Path(path_type=Path), metavar="FILE", help="Records; PLAN with .sqlite by default."
)
@click.option("--dask", metavar="ADDRESS", help="Run on a Dask cluster, such as tcp://10.0.0.1:8786.")
@click.option("--again", metavar="KEY", help="Run one case of a file of records once more, and print its verdict.")
@click.option("--dry-run", is_flag=True, help="Say how many cases there are, and run none.")
def command(plan: Path, output: Path | None, dask: str | None, again: str | None, dry_run: bool) -> None:
    """Verify many cases: a grid or random draws, described by the TOML file PLAN.

    Cases are recorded as they end, in a file of SQLite. The same command goes on where it stopped, whatever stopped it.
    With --again KEY, PLAN is a file of records.
    """
    from eomsym.experiments.plan import read_plan
    from eomsym.experiments.records import Records
    from eomsym.experiments.sweep import connect, sweep

    if again is not None:
        if not checks.path(plan, "PLAN", "plan.toml").exists():
            raise InputError(f"there is no file {plan}")
        with Records(plan) as records:
            case = records.case(again)
        report = case.verify()
        click.echo(str(report))
        sys.exit(EXIT[report.status])
    cases = read_plan(plan).all()
    target = output or plan.with_suffix(".sqlite")
    if dry_run:
        click.echo(f"{len(cases)} cases, to {target}")
        return
    executor = connect(dask) if dask else None
    with progress_bar("cases") as progress:
        found = sweep(cases, executor=executor, path=target, progress=progress)
    click.echo(str(found))
    note(f"wrote {target}; eomsym report {target}")
    sys.exit(1 if found.counts.get("failed") else 0)
