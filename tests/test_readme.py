"""The README's Python blocks run, in order, in one namespace, and print what it shows.

A block of kind ``text`` that follows a block of kind ``python`` is what that block prints.
"""

from __future__ import annotations

import contextlib
import io
import re
from itertools import pairwise
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_readme_runs_and_shows_the_truth() -> None:
    blocks = BLOCK.findall(README.read_text(encoding="utf-8"))
    assert "python" in {kind for kind, _ in blocks}
    namespace: dict[str, object] = {"__name__": "readme"}
    for (kind, body), (next_kind, shown) in pairwise([*blocks, ("", "")]):
        if kind != "python":
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(body, str(README), "exec"), namespace)
        if next_kind == "text":
            assert printed.getvalue().split() == shown.split()
