"""Which tests run a line of the package, and how long they take: one run of all tests under coverage, kept."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from coverage import CoverageData

#: `0.12s call     tests/exact/test_trees.py::test_counts[3]`
DURATION = re.compile(r"^([0-9.]+)s (?:call|setup|teardown) +(\S.*)$")
FAILED = re.compile(r"^(?:FAILED|ERROR) ([^: ]+)")


def digest(root: Path, paths: Iterable[Path]) -> str:
    """A name for the contents of files."""
    whole = hashlib.sha256()
    for path in sorted(paths):
        whole.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return whole.hexdigest()[:16]


@cache
def contexts_of(lines: CoverageData, file: str) -> dict[int, list[str]]:
    """The contexts in which each line of a file ran."""
    return dict(lines.contexts_by_lineno(file))


@dataclass(frozen=True)
class Reach:
    """The lines that each test runs, and its seconds."""

    lines: CoverageData
    seconds: dict[str, float]

    def tests(self, file: str, wanted: Iterable[int] = ()) -> set[str]:
        """The tests that run one of these lines of a file; any of its lines where none is named."""
        contexts = contexts_of(self.lines, file)
        chosen = [contexts.get(line, []) for line in wanted] if wanted else contexts.values()
        names = {context.rpartition("|")[0] for some in chosen for context in some}
        return names & self.seconds.keys()

    def within(self, folders: Iterable[str]) -> set[str]:
        """The tests in these files and folders."""
        return {name for name in self.seconds if any(name.startswith((f"{one}/", f"{one}::")) for one in folders)}


def record(root: Path, parts: Iterable[str], folder: Path) -> Reach:
    """Run all tests under coverage unless that was done for these parts of the package as they are; those of changed
    test files alone where only they have changed."""
    folder.mkdir(parents=True, exist_ok=True)
    data, notes = folder / "coverage", folder / "tests.json"
    package = digest(root, (path for part in parts for path in (root / "eomsym" / part).rglob("*.py")))
    known = json.loads(notes.read_text()) if notes.exists() and data.exists() else {"package": ""}
    files = {str(path.relative_to(root)): digest(root, [path]) for path in (root / "tests").rglob("test_*.py")}
    if known["package"] != package:
        data.unlink(missing_ok=True)
        known = {"package": package, "files": {}, "seconds": {}}
    stale = [file for file, name in files.items() if known["files"].get(file) != name]
    if stale:
        everything = not known["files"]
        seconds = {
            name: spent for name, spent in known["seconds"].items() if name.partition("::")[0] in {*files} - {*stale}
            or name.startswith("eomsym")
        }  # fmt: skip
        more, failed = measured(root, data, [] if everything else stale)
        known = {
            "package": package,
            "files": {file: name for file, name in files.items() if file not in failed},  # those are run again
            "seconds": seconds | more,
        }
        notes.write_text(json.dumps(known))
        if failed:
            sys.exit(f"the tests must pass before mutants are judged by them; failed: {', '.join(sorted(failed))}")
    lines = CoverageData(str(data))
    lines.read()
    return Reach(lines, known["seconds"])


def measured(root: Path, data: Path, chosen: list[str]) -> tuple[dict[str, float], set[str]]:
    """Run tests, add their lines to the data, and give their seconds and the files in which some failed."""
    print(f"running {len(chosen) or 'all'} test files to see which lines each test runs", flush=True)
    command = [
        sys.executable, "-m", "pytest", "-q", "-n", "2", "--cov=eomsym", "--cov-context=test", "--cov-report=",
        "--cov-append", "--cov-fail-under=0", "--durations=0", "--durations-min=0", *chosen,
    ]  # fmt: skip
    environment = os.environ | {"COVERAGE_FILE": str(data), "PYTHONPATH": str(root)}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    failed = {found[1] for found in map(FAILED.match, done.stdout.splitlines()) if found}
    if done.returncode not in (0, 5) and not failed:
        sys.exit(f"the tests must pass before mutants are judged by them:\n{done.stdout[-3000:]}")
    spent: dict[str, float] = {}
    for found in filter(None, map(DURATION.match, done.stdout.splitlines())):
        spent[found[2]] = spent.get(found[2], 0.0) + float(found[1])
    return spent, failed
