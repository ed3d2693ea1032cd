"""The reference leaves out nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import eomsym

ROOT = Path(__file__).parents[1]
REFERENCE = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs/reference").glob("*.md"))
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "eomsym").rglob("*.py")
    if not path.name.startswith("_") and path.parent.name != "cli"
)
PUBLIC = {f"eomsym.{module}" for module in eomsym._HOMES}


@pytest.mark.parametrize("name", sorted(eomsym._MODULE_OF))
def test_public_name_has_its_entry(name: str) -> None:
    assert re.search(rf"^\.\. auto(class|function|exception):: {name}$", REFERENCE, re.MULTILINE) or (
        name == "EomsymError" and ".. automodule:: eomsym.errors" in REFERENCE
    )


@pytest.mark.parametrize("module", MODULES)
def test_module_is_documented(module: str) -> None:
    """The modules of public names are covered by these names."""
    assert module in PUBLIC or f".. automodule:: {module}\n" in REFERENCE
