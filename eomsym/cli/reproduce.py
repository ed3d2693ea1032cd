"""``eomsym reproduce``: a paper, its formula, its figures and its claims, judged."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from eomsym.cli.show import EXIT, note, progress_bar
from eomsym.errors import InputError

__all__ = ["command"]


class _Papers(click.ParamType):  # type: ignore[type-arg]
    """Names of papers; they are imported when they are needed."""

    name = "paper"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        from eomsym.experiments.papers import PAPERS

        return [CompletionItem(name, help=paper.title) for name, paper in PAPERS.items() if name.startswith(incomplete)]


@click.command("reproduce")
@click.argument("name", required=False, type=_Papers())
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="NAME.html by default: one page.")
@click.option("--quick", is_flag=True, help="Fewer images and steps where a paper's own experiments take minutes.")
@click.option("--list", "listed", is_flag=True, help="Print the papers.")
def command(name: str | None, output: Path | None, quick: bool, listed: bool) -> None:
    """Reproduce a paper: run its experiments, judge its claims, and write one page with formula and figures."""
    from eomsym.experiments.papers import PAPERS, reproduce
    from eomsym.files import check_writable, write
    from eomsym.output.pages import page
    from eomsym.output.terminal import echo

    if listed or name is None:
        for key, paper in PAPERS.items():
            echo(f"{key:14} {paper.title}. {paper.reference}")
        return

    if output is not None and output.suffix.lower() not in (".html", ".htm"):
        better = output.with_suffix(".html") if output.name else "page.html"
        raise InputError(f"cannot write {output}: a page is written as .html; try {better}")
    target = check_writable(output or Path(f"{name}.html"))
    with progress_bar("reproducing") as progress:
        found = reproduce(name, quick=quick, progress=progress)
    write(target, page(found.paper.title, found.parts()))
    echo(str(found))
    note(f"wrote {target}")
    sys.exit(EXIT[found.status])
