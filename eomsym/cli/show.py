"""What commands show and write: progress on stderr, results on stdout, records and figures in files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eomsym.cli.options import Callback, options
from eomsym.errors import InputError

if TYPE_CHECKING:
    from eomsym.output.figures import Figure

__all__ = ["EXIT", "Files", "note", "output_options", "progress_bar"]

#: Exit status of a verdict.
EXIT = {"passed": 0, "failed": 1, "error": 2, "inconclusive": 3}

Progress = Callable[[int, int, str], None]


def note(text: str) -> None:
    """Say something on stderr, in the characters that it can show."""
    from eomsym.output.terminal import echo

    echo(text, sys.stderr)


@contextmanager
def progress_bar(label: str) -> Iterator[Progress]:
    """A bar on stderr, as a function of (done, total, what); nothing at all where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield lambda done, total, what: None
        return
    with click.progressbar(length=1, file=sys.stderr, label=label, item_show_func=lambda item: item) as bar:

        def progress(done: int, total: int, what: str) -> None:
            bar.length = total
            bar.update(done - bar.pos, what)

        yield progress


@dataclass(frozen=True)
class Files:
    """Where the record and the figure of a command go."""

    folder: Path
    json: Path | None
    plot: Path | None
    no_plot: bool

    def checked(self, name: str) -> tuple[Path, Path | None]:
        """Paths of record and figure, before work is spent on them; no figure where there is no matplotlib.

        Raises
        ------
        InputError
            A file cannot be written, or a figure cannot have that suffix.
        """
        from eomsym.files import check_writable
        from eomsym.output.figures import check_figure

        if self.no_plot and self.plot:
            raise InputError("--plot and --no-plot exclude each other")
        without = self.no_plot
        if not (without or self.plot) and find_spec("matplotlib") is None:
            note("no figure: matplotlib is not installed (pip install 'eomsym[plot]')")
            without = True
        record = check_writable(self.json or self.folder / f"{name}.json")
        return record, None if without else check_figure(self.plot or self.folder / f"{name}.png")

    def write(self, paths: tuple[Path, Path | None], record: Mapping[str, Any], draw: Callable[[], Figure]) -> None:
        """Write record and figure."""
        from eomsym.files import write
        from eomsym.output.records import dumps

        target, figure = paths
        if figure:
            draw().save(figure)
        write(target, dumps(record))
        for path in filter(None, paths):
            note(f"wrote {path}")


def output_options(folder: str, what: str) -> Callable[[Callback], Callback]:
    """Give a command ``--output``, ``--json``, ``--plot`` and ``--no-plot``; it gets them as `files`."""
    file = click.Path(path_type=Path)
    listed: list[tuple[tuple[str, ...], dict[str, Any]]] = [
        (("--output", "folder"), {"type": file, "default": folder, "show_default": True, "metavar": "FOLDER",
         "help": f"Where {what}.json and {what}.png go."}),
        (("--json",), {"type": file, "metavar": "FILE", "help": "The record, elsewhere."}),
        (("--plot",), {"type": file, "metavar": "FILE", "help": "The figure, elsewhere: .png, .svg or .pdf."}),
        (("--no-plot",), {"is_flag": True, "help": "Draw no figure."}),
    ]  # fmt: skip
    keys = ("folder", "json", "plot", "no_plot")

    def decorate(callback: Callback) -> Callback:
        @wraps(callback)
        def command(**given: Any) -> Any:
            return callback(files=Files(**{key: given.pop(key) for key in keys}), **given)

        return options("Output", listed)(command)  # type: ignore[return-value]

    return decorate
