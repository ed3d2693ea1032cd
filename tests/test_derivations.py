"""Every derivation runs, and ends in an assertion.

The code cells of a notebook are executed in one namespace of this process: the documentation runs them again
through Jupyter, which costs a kernel each.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

FOLDER = Path(__file__).parents[1] / "derivations"
NOTEBOOKS = sorted(FOLDER.glob("*.md"))
CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# A cell may begin with options: a block between lines of ---, or lines like `:tags: [hide-input]`.
OPTIONS = re.compile(r"\A(?:---\n.*?^---\n|(?::[\w-]+:[^\n]*\n)+)", re.MULTILINE | re.DOTALL)


def code_cells(text: str) -> list[str]:
    return [OPTIONS.sub("", cell) for cell in CELL.findall(text)]


def test_there_are_derivations() -> None:
    assert NOTEBOOKS


def test_options_of_a_cell_are_not_code() -> None:
    first = "```{code-cell} ipython3\n:tags: [a]\n:x: y\n\na = 1\n```\n"
    second = "```{code-cell}\n---\nb: 2\n---\nb = 2\n```\n"
    text = f"Words.\n\n{first}\n{second}"
    assert [cell.strip() for cell in code_cells(text)] == ["a = 1", "b = 2"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_derivation_runs(path: Path) -> None:
    cells = code_cells(path.read_text(encoding="utf-8"))
    trees = [ast.parse(cell) for cell in cells]
    assert any(isinstance(node, ast.Assert) for node in ast.walk(trees[-1])), "the last cell asserts nothing"
    namespace: dict[str, object] = {"__name__": "__main__"}
    try:
        for number, cell in enumerate(cells, 1):
            exec(compile(cell, f"{path.name}, code cell {number}", "exec"), namespace)
    finally:
        plt.close("all")
