"""``eomsym report``: what a file of records says."""

from __future__ import annotations

from pathlib import Path

import click

from eomsym import checks
from eomsym.cli.show import note
from eomsym.errors import InputError

__all__ = ["command"]

FORMATS = {"html": ".html", "markdown": ".md", "latex": ".tex", "csv": ".csv", "parquet": ".parquet", "text": ""}


@click.command("report")
@click.argument("records", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(list(FORMATS)), default="html", show_default=True)
@click.option(
    "--output", type=click.Path(path_type=Path), metavar="FILE", help="RECORDS with another suffix by default."
)
def command(records: Path, form: str, output: Path | None) -> None:
    """Write what the cases of RECORDS, a file of `eomsym sweep`, gave: one page, a table, or all rows."""
    from eomsym.experiments.records import Records
    from eomsym.experiments.summary import summarise
    from eomsym.files import write

    if not checks.path(records, "RECORDS").exists():
        raise InputError(f"there is no file {records}; make one with eomsym sweep PLAN.toml")
    target = output or records.with_suffix(FORMATS[form])
    with Records(records) as opened:
        if form in ("csv", "parquet"):
            (opened.to_csv if form == "csv" else opened.to_parquet)(target)
        elif form == "text":
            click.echo(str(summarise(opened)))
            return
        else:
            write(target, getattr(summarise(opened), form)())
    note(f"wrote {target}")
