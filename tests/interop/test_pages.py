"""The pages of the front ends can be pasted and run."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

HOW_TO = Path(__file__).parents[2] / "docs/how_to"
PAGES = {"jax": ("jax",), "torch": ("torch",), "observe": (), "monitor": ("jax", "optax", "torch")}


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_page_runs(name: str) -> None:
    missing = [module for module in PAGES[name] if find_spec(module) is None]
    if missing:
        pytest.skip(f"the page needs {', '.join(missing)}: pip install 'eomsym[interop]'")
    blocks = re.findall(r"^```python\n(.*?)^```", (HOW_TO / f"{name}.md").read_text(encoding="utf-8"), re.M | re.S)
    assert blocks
    run = subprocess.run([sys.executable, "-c", "\n".join(blocks)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "Error" not in run.stderr
