"""Imports go down the floors of the house, and the contract notices one that goes up."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the contract on the package in this folder."""
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    return subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)


def test_every_folder_is_a_package() -> None:
    """Import-linter does not look into a folder without ``__init__.py``."""
    folders = {path.parent for path in (ROOT / "eomsym").rglob("*.py")}
    assert [folder.name for folder in folders if not (folder / "__init__.py").exists()] == []


def test_tests_mirror_the_package() -> None:
    folders = {path.parent.name for path in (ROOT / "eomsym").glob("*/*.py") if path.name != "__init__.py"}
    without = [name for name in sorted(folders) if not [*(ROOT / "tests" / name).glob("test_*.py")]]
    assert without == []


def test_imports_go_down() -> None:
    run = lint(ROOT)
    assert run.returncode == 0, run.stdout


def test_an_import_that_goes_up_is_noticed(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "eomsym", tmp_path / "eomsym", ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "eomsym" / "errors.py").open("a") as module:
        module.write("\nimport eomsym.cli\n")
    run = lint(tmp_path)
    assert run.returncode == 1
    assert "eomsym.errors -> eomsym.cli" in run.stdout
