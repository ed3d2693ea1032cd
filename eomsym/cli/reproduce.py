"""``eomsym reproduce``: a paper, its formula, its figures and its claims, judged."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from eomsym.cli.options import Command, completed
from eomsym.cli.show import EXIT, note, progress_bar

__all__ = ["command"]


def papers() -> list[str]:
    """Names of the papers."""
    from eomsym.experiments.papers import PAPERS

    return list(PAPERS)


@click.command("reproduce", cls=Command)
@click.argument("name", required=False, shell_complete=completed(papers))
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="NAME.html by default: one page.")
@click.option("--list", "listed", is_flag=True, help="Print the papers.")
def command(name: str | None, output: Path | None, listed: bool) -> None:
    """Reproduce a paper: run its experiments, judge its claims, and write one page with formula and figures."""
    from eomsym.experiments.papers import PAPERS, reproduce
    from eomsym.files import write
    from eomsym.output.pages import page
    from eomsym.output.terminal import echo

    if listed or name is None:
        for key, paper in PAPERS.items():
            echo(f"{key:14} {paper.title}. {paper.reference}")
        return

    with progress_bar(name) as progress:
        found = reproduce(name, progress=progress)
    target = write(output or Path(f"{name}.html"), page(found.paper.title, found.parts()))
    echo(str(found))
    note(f"wrote {target}")
    sys.exit(EXIT[found.status])
