"""One table in five forms, and on terminals that know few characters."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from eomsym.errors import InputError
from eomsym.output.style import STATUS
from eomsym.output.tables import Column, Table
from eomsym.output.terminal import echo, spelled

TABLE = Table(
    ["order", Column("η=0.1", latex=r"$\eta=0.1$"), Column("slope", format=".3f"), Column("what", "left"),
     Column("middle", "centre"), Column("status", "left", status=True)],
    [
        (0, 2.0e-2, 1.0, "50 % & a_b", "x", "passed"),
        (1, "(1.2e-03)", None, "∇³L", "yes", "failed"),
        (12, float("nan"), 1.9996, "η² – β", "no", "inconclusive"),
    ],
    title="A <title>",
    notes=["order 1: too coarse"],
)  # fmt: skip


class Terminal(io.TextIOWrapper):
    """A terminal with an encoding."""

    def __init__(self, encoding: str, tty: bool) -> None:
        super().__init__(io.BytesIO(), encoding=encoding)
        self.tty = tty

    def isatty(self) -> bool:
        return self.tty

    def shown(self) -> str:
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)  # type: ignore[attr-defined]


def test_text_is_aligned() -> None:
    title, heading, *rows, note = str(TABLE).splitlines()
    assert (title, note) == ("A <title>", "order 1: too coarse")
    assert heading == "order      η=0.1  slope  what        middle  status"
    assert rows == [
        "    0    2.0e-02  1.000  50 % & a_b    x     passed",
        "    1  (1.2e-03)      –  ∇³L          yes    failed",
        "   12          –  2.000  η² – β        no    inconclusive",
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "ascii", "cp437"])
@pytest.mark.parametrize("tty", [True, False])
def test_every_terminal_can_show_it(encoding: str, tty: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal(encoding, tty)
    TABLE.show(stream)
    text = stream.shown()
    assert ("\x1b[" in text) == tty
    bare = re.sub(r"\x1b\[[\d;]*m", "", text)
    assert all(cell in bare for cell in ("2.0e-02", "(1.2e-03)", "inconclusive", "order 1: too coarse"))
    assert ("η=0.1" if encoding == "utf-8" else "eta=0.1") in bare
    assert "?" not in bare


def test_verdicts_have_colours_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal("utf-8", True)
    TABLE.show(stream)
    words = {word: re.search(rf"\x1b\[(38;[\d;]+)m{word}", stream.shown()) for word in STATUS}
    assert all(words.values())
    assert len({found[1] for found in words.values() if found}) == 3
    assert STATUS["passed"] in str(TABLE.rich().columns[5]._cells[0].style)


def test_numbers_are_never_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    stream = Terminal("utf-8", True)
    Table(["a", Column("claim", "left")], [(1.2345e-10, "word " * 30)]).show(stream)
    assert "1.2e-10" in stream.shown()
    assert stream.shown().count("word") == 30


@pytest.mark.parametrize("columns", ["20", "60", "80", "200"])
def test_wide_tables_are_whole_on_narrow_terminals(monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    rows = [[k, *[f"1.{k}{j}e-1{j}" for j in range(9)], "inconclusive"] for k in range(3)]
    stream = Terminal("utf-8", True)
    Table([f"heading{j}" for j in range(10)] + [Column("status", "left", status=True)], rows).show(stream)
    bare = re.sub(r"\x1b\[[\d;]*m", "", stream.shown())
    lines = [line.split() for line in bare.splitlines()]
    assert [line for line in lines if line and line[-1] == "inconclusive"] == [list(map(str, row)) for row in rows]


def test_markdown() -> None:
    lines = TABLE.markdown().splitlines()
    assert lines[0] == "**A <title>**"
    assert lines[3] == "|------:|----------:|------:|:-----------|:------:|:-------------|"
    assert {line.count("|") for line in lines[2:7]} == {7}
    assert r"a\|b" in Table(["x"], [("a|b",)]).markdown()


def test_latex_escapes_and_has_powers_of_ten() -> None:
    text = TABLE.latex()
    assert text.splitlines()[0] == r"\begin{tabular}{rrrlcl}"
    assert r"$(1.2\cdot 10^{-3})$" in text
    assert r"50 \% \& a\_b" in text
    assert r"$\nabla$$^3$L" in text
    assert text.isascii()
    assert text.count("&") - text.count(r"\&") == 4 * 5


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("pdflatex"), reason="needs LaTeX")
def test_latex_compiles(tmp_path: Path) -> None:
    lines = [r"\documentclass{article}\usepackage{booktabs}\begin{document}", TABLE.latex(), r"\end{document}"]
    (tmp_path / "t.tex").write_text("\n".join(lines))
    run = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout.decode(errors="replace")[-2000:]


def test_html_is_well_formed() -> None:
    root = ElementTree.fromstring(TABLE._repr_html_())
    cells = ["".join(cell.itertext()) for cell in root.iter("td")]
    assert cells == [cell for row in TABLE.rows for cell in row]
    (failed,) = [cell for cell in root.iter("td") if cell.text == "failed"]
    assert STATUS["failed"] in failed.get("style", "")
    assert "".join(root.itertext()).endswith("order 1: too coarse")


def test_rows_must_fit() -> None:
    with pytest.raises(InputError, match="got a row of 1 cells; expected 2, one for each column"):
        Table(["a", "b"], [(1,)])
    assert repr(Table(["a", "b"], [])) == "<Table of 0 rows: a, b>"


def test_wide_characters_take_two_columns() -> None:
    rows = str(Table([Column("a", "left"), "b"], [("表", 1), ("xy", 2)])).splitlines()
    assert rows[1:] == ["表  1", "xy  2"]


def test_spelling() -> None:
    assert spelled("θ₁ ≤ ∞", "latin-1") == "theta_1 <= inf"
    assert spelled("η", "no such encoding") == "eta"
    assert spelled("表", None) == "?"
    stream = Terminal("cp1252", False)
    echo("η → λ", stream)
    assert stream.shown() == "eta -> lambda\n"
