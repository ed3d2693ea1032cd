"""Every public name is on a page of the reference."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest

PACKAGES = (
    "eomsym",
    *(f"eomsym.{part}" for part in ("bounds", "curvature", "formulas", "losses", "optimisers", "output", "symmetries")),
)
ROOT = Path(__file__).parents[1]
REFERENCE = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs/reference").glob("*.md"))
OBJECTS = {
    getattr(importlib.import_module(package), name)
    for package in PACKAGES
    for name in importlib.import_module(package).__all__
    if not inspect.ismodule(getattr(importlib.import_module(package), name)) and name != "__version__"
}


@pytest.mark.parametrize("value", sorted(OBJECTS, key=lambda value: value.__name__), ids=lambda value: value.__name__)
def test_public_name_has_its_entry(value: type) -> None:
    """By its own entry, or by its module with all members."""
    alone = rf"^\.\. auto(class|function|exception):: ([\w.]*\.)?{value.__name__}$"
    module = rf"^\.\. automodule:: {re.escape(value.__module__)}\n(   :.*\n)*?   :members:$"
    assert re.search(alone, REFERENCE, re.MULTILINE) or re.search(module, REFERENCE, re.MULTILINE)
