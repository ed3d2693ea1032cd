"""What users install: the built wheel holds the package, its types and its licence, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import eomsym

ROOT = Path(__file__).parents[1]


def test_wheel_holds_the_package_and_runs(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, capture_output=True, check=True)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "site")
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "eomsym").rglob("*.py")}
    info = f"eomsym-{eomsym.__version__}.dist-info"
    assert {name for name in names if name.endswith(".py")} == sources
    assert "eomsym/py.typed" in names
    assert {path.relative_to(ROOT).as_posix() for path in (ROOT / "eomsym").rglob("*.json")} <= names
    assert f"{info}/licenses/LICENSE" in names
    assert {name.split("/")[0] for name in names} == {"eomsym", info}

    # An unpacked wheel is a valid path entry; it must win over the checkout.
    code = "import sys; sys.path.insert(0, sys.argv[1]); import eomsym; print(eomsym.__file__)"
    command = [sys.executable, "-I", "-c", code, str(tmp_path / "site")]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert Path(run.stdout.strip()).is_relative_to(tmp_path)
