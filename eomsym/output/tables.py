r"""One table for terminals, web pages, Markdown and LaTeX.

Examples
--------
>>> table = Table(("order", Column("error", latex=r"$\|e\|$")), [(0, 2.04e-2), (1, "(1.2e-03)")], title="errors")
>>> print(table)
errors
order      error
    0    2.0e-02
    1  (1.2e-03)
>>> print(table.latex())
\begin{tabular}{rr}
\toprule
order & $\|e\|$ \\
\midrule
0 & $2.0\cdot 10^{-2}$ \\
1 & $(1.2\cdot 10^{-3})$ \\
\bottomrule
\end{tabular}
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from numbers import Integral, Real
from typing import Any, Literal, TextIO

from eomsym import checks
from eomsym.errors import InputError
from eomsym.output.style import STATUS
from eomsym.output.terminal import echo, spelled

__all__ = ["Column", "Table"]

#: Cells with more characters are sentences.
LONG = 30
#: What stands where there is no number.
NOTHING = "–"
_POWER = re.compile(r"^(\(?)(-?[\d.]+)e([+-]\d+)(\)?)$")
_TEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--", "…": r"\dots{}", "−": "$-$", "·": r"$\cdot$",
    "×": r"$\times$", "≤": r"$\le$", "≥": r"$\ge$", "<": r"$<$", ">": r"$>$", "‖": r"$\|$", "∇": r"$\nabla$",
    "→": r"$\to$", "∞": r"$\infty$", "√": r"$\surd$", "²": r"$^2$", "³": r"$^3$",
}  # fmt: skip


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Parameters
    ----------
    name : str
        Its heading.
    align : {"right", "left", "centre"}
    format : str
        How floats are written, as in Python's format strings.
    latex : str
        The heading in LaTeX, where it is more than text.
    status : bool
        Whether its cells are verdicts, which have colours.

    Examples
    --------
    >>> Column("error", format=".3f").cell(1.23456)
    '1.235'
    """

    name: str
    align: Literal["right", "left", "centre"] = "right"
    format: str = ".1e"
    latex: str = ""
    status: bool = False

    def cell(self, value: Any) -> str:
        """The text of a cell: None and NaN are a dash, whole numbers and text as they are."""
        if value is None or (isinstance(value, float) and value != value):
            return NOTHING
        if isinstance(value, (str, bool, Integral)):
            return str(value)
        return format(value, self.format) if isinstance(value, Real) else str(value)


def _column(heading: Any) -> Column:
    if isinstance(heading, str):
        return Column(heading)
    found: Column = checks.instance(heading, "a column", Column, "Column('error'), or its heading")
    return found


class Table:
    """Rows of numbers and words under headings.

    Parameters
    ----------
    columns : sequence of Column or str
        A heading alone makes a column of numbers.
    rows : iterable of sequence
        Text, numbers, or None where there is nothing.
    title : str
        A line above it.
    notes : sequence of str
        Lines below it.

    Raises
    ------
    InputError
        If a row has not as many cells as there are columns.

    Examples
    --------
    >>> print(Table(["order", "error"], [(0, 2.04e-2), (1, None)]))
    order    error
        0  2.0e-02
        1        –
    """

    def __init__(
        self,
        columns: Sequence[Column | str],
        rows: Iterable[Sequence[Any]],
        *,
        title: str = "",
        notes: Sequence[str] = (),
    ) -> None:
        headings = checks.items(columns, "columns", "('order', 'error')")
        self.columns = tuple(_column(heading) for heading in headings)
        self.title = checks.text(title, "title", "errors")
        self.notes = tuple(checks.text(line, "a note", "a line") for line in checks.items(notes, "notes", "['a line']"))
        listed = checks.items(rows, "rows", "[(0, 2.0e-2)]")
        self.rows: tuple[tuple[str, ...], ...] = tuple(self._row(row) for row in listed)

    def _row(self, row: Any) -> tuple[str, ...]:
        row = checks.items(row, "a row", "(0, 2.0e-2)")
        if len(row) != len(self.columns):
            raise InputError(f"got a row of {len(row)} cells; expected {len(self.columns)}, one for each column")
        return tuple(column.cell(value) for column, value in zip(self.columns, row, strict=True))

    @property
    def headings(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(column.name for column in self.columns)

    # text -------------------------------------------------------------------------------------------------------------

    def text(self, encoding: str | None = "utf-8") -> str:
        """Write the table in aligned columns, with characters that an encoding has.

        Examples
        --------
        >>> print(Table(["η", "status"], [(0.5, "passed")]).text("ascii"))
            eta  status
        5.0e-01  passed
        """
        grid = [[spelled(cell, encoding) for cell in row] for row in (self.headings, *self.rows)]
        widths = [max(map(_width, column)) for column in zip(*grid, strict=True)]
        lines = [
            "  ".join(_padded(*cell) for cell in zip(row, widths, (c.align for c in self.columns), strict=True))
            for row in grid
        ]
        around = [spelled(line, encoding) for line in self.notes]
        title = [spelled(self.title, encoding)] if self.title else []
        return "\n".join(line.rstrip() for line in [*title, *lines, *around])

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<Table of {len(self.rows)} rows: {', '.join(self.headings)}>"

    def show(self, stream: TextIO | None = None) -> None:
        """Print the table: with colours where a terminal is, as plain text elsewhere.

        Parameters
        ----------
        stream : text stream, optional
            stdout by default.
        """
        target = sys.stdout if stream is None else stream
        encoding = getattr(target, "encoding", None) or "utf-8"
        if not (hasattr(target, "isatty") and target.isatty()):
            echo(self.text(encoding), target)
            return
        from rich.console import Console

        console = Console(file=target, highlight=False)
        # A terminal breaks lines that are too long for it; rich would cut the numbers in them.
        console.width = max(console.width, sum(self._least(encoding)) + 2 * len(self.columns) + 2)
        console.print(self.rich(encoding))

    def _least(self, encoding: str | None) -> list[int]:
        """How many columns of a terminal each column takes at least: numbers stay whole, words may be wrapped."""
        cells = zip(*([spelled(cell, encoding) for cell in row] for row in (self.headings, *self.rows)), strict=True)
        whole = (column.align == "right" or column.status for column in self.columns)
        return [
            max(_width(part) for cell in column for part in ([cell] if kept else cell.split() or [""]))
            for kept, column in zip(whole, cells, strict=True)
        ]

    def rich(self, encoding: str | None = "utf-8") -> Any:
        """The table as a :class:`rich.table.Table`, in characters that an encoding has.

        Examples
        --------
        >>> Table(["order"], [(1,)]).rich().row_count
        1
        """
        from rich import box
        from rich.table import Table as Rich
        from rich.text import Text

        lines = box.SIMPLE_HEAD if spelled("─", encoding) == "─" else box.ASCII2
        caption = Text(spelled("\n".join(self.notes), encoding)) if self.notes else None
        title = Text(spelled(self.title, encoding), style="bold") if self.title else None
        made = Rich(box=lines, title=title, title_justify="left", caption=caption, caption_justify="left")
        made.padding = (0, 1, 0, 0)
        for column, least in zip(self.columns, self._least(encoding), strict=True):
            # Numbers that are cut are wrong numbers; words may go on in the next line.
            made.add_column(
                Text(spelled(column.name, encoding)),
                justify="center" if column.align == "centre" else column.align,
                no_wrap=column.align == "right" or column.status,
                min_width=least,
                overflow="fold",
            )
        for row in self.rows:
            cells = zip(row, self.columns, strict=True)
            made.add_row(*(Text(spelled(text, encoding), style=_colour(column, text)) for text, column in cells))
        return made

    # documents --------------------------------------------------------------------------------------------------------

    def markdown(self) -> str:
        """Write the table in Markdown.

        Examples
        --------
        >>> print(Table(["order", Column("status", "left")], [(1, "passed")]).markdown())
        | order | status |
        |------:|:-------|
        |     1 | passed |
        """
        grid = [[cell.replace("|", r"\|") for cell in row] for row in (self.headings, *self.rows)]
        widths = [max(3, *map(_width, column)) for column in zip(*grid, strict=True)]
        aligns = [column.align for column in self.columns]
        marks = {"right": ("-", ":"), "left": (":", "-"), "centre": (":", ":")}
        ruler = [marks[a][0] + "-" * width + marks[a][1] for width, a in zip(widths, aligns, strict=True)]
        rows = [
            "| " + " | ".join(_padded(*cell) for cell in zip(row, widths, aligns, strict=True)) + " |" for row in grid
        ]
        above = [f"**{self.title}**", ""] if self.title else []
        below = ["", *(f"* {note}" for note in self.notes)] if self.notes else []
        return "\n".join([*above, rows[0], "|" + "|".join(ruler) + "|", *rows[1:], *below])

    def latex(self) -> str:
        """Write the table as a ``tabular`` with the rules of the package booktabs; title and notes stay outside."""
        names = [column.latex or _tex(column.name) for column in self.columns]
        rows = [" & ".join(map(_tex, row)) + r" \\" for row in self.rows]
        aligns = "".join("c" if column.align == "centre" else column.align[0] for column in self.columns)
        head = [rf"\begin{{tabular}}{{{aligns}}}", r"\toprule", " & ".join(names) + r" \\", r"\midrule"]
        return "\n".join([*head, *rows, r"\bottomrule", r"\end{tabular}"])

    def html(self) -> str:
        """Write the table as an element of HTML that brings its own alignment and colours.

        Examples
        --------
        >>> Table(["a<b"], [(1,)]).html().count("&lt;")
        1
        """
        long = [any(len(row[k]) > LONG for row in self.rows) for k in range(len(self.columns))]
        head = "".join(_element("th", column, column.name) for column in self.columns)
        body = "".join(
            f"<tr>{''.join(map(partial(_element, 'td'), self.columns, row, long))}</tr>\n" for row in self.rows
        )
        caption = f"<caption style='text-align:left'>{escape(self.title)}</caption>" if self.title else ""
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        table = f"<table>{caption}<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>"
        return f'<div class="eomsym" style="overflow-x:auto">{table}{notes}</div>'

    def _repr_html_(self) -> str:
        return self.html()


def _element(tag: str, column: Column, text: str, long: bool = False) -> str:
    align = "center" if column.align == "centre" else column.align
    colour = _colour(column, text) if tag == "td" else ""
    # Words may go on in the next line, numbers may not.
    style = f"text-align:{align};padding:.1rem .6rem" + ";white-space:nowrap" * (align != "left" or column.status)
    # On a narrow screen a sentence keeps room to be read; the table is moved sideways.
    style += ";min-width:11rem;overflow-wrap:anywhere" * (long and column.align == "left")
    style += f";color:{colour};font-weight:bold" if colour else ""
    return f'<{tag} style="{style}">{escape(text)}</{tag}>'


def _colour(column: Column, text: str) -> str:
    """The colour of a verdict, which may be followed by more words."""
    return STATUS.get(text.split(" ")[0], "") if column.status else ""


def _width(text: str) -> int:
    """Columns of a terminal."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _padded(text: str, width: int, align: str) -> str:
    room = width - _width(text)
    left = {"right": room, "left": 0, "centre": room // 2}[align]
    return " " * left + text + " " * (room - left)


def _tex(text: str) -> str:
    """Text in LaTeX: ``1.2e-03`` becomes a power of ten, a Greek letter its name."""
    found = _POWER.match(text)
    if found:
        before, mantissa, exponent, after = found.groups()
        return rf"${before}{mantissa}\cdot 10^{{{int(exponent)}}}{after}$"
    return "".join(_TEX.get(character) or _greek(character) for character in text)


def _greek(character: str) -> str:
    name = spelled(character, "ascii") if "α" <= character <= "ω" else ""
    return rf"$\{name}$" if name.isalpha() else character
