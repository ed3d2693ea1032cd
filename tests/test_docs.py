"""Every public name is on a page of the reference."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import eomsym
import eomsym.bounds

ROOT = Path(__file__).parents[1]
REFERENCE = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs/reference").glob("*.md"))


@pytest.mark.parametrize("name", sorted(name for names in eomsym._HOMES.values() for name in names))
def test_public_name_has_its_entry(name: str) -> None:
    assert re.search(rf"^\.\. auto(class|function|exception):: {name}$", REFERENCE, re.MULTILINE) or (
        name == "EomsymError" and ".. automodule:: eomsym.errors" in REFERENCE
    )


@pytest.mark.parametrize("module", sorted(eomsym.bounds._HOMES))
def test_bounds_are_listed_with_their_modules(module: str) -> None:
    entry = rf"^\.\. automodule:: eomsym\.bounds\.{module}\n   :members:$"
    assert re.search(entry, REFERENCE, re.MULTILINE)
