"""How many small changes of the package its tests notice.

Each mutant is one changed operator, comparison, constant, condition or returned value in one file of a copy of the
package; some test must fail. The tests that run the changed line come first, the quick ones before the slow ones, then
the others of that part, until `--budget` seconds are spent. Mutants are drawn in an order that the seed fixes, so that
a larger sample holds the smaller one; results are kept as they come, and the next run goes on.

    python tests/mutation/mutate.py --each 20 exact bounds
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import multiprocessing
import os
import py_compile
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import tomllib
import traceback
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
sys.path.insert(0, str(Path(__file__).parent))

from mutants import ROOT, Mutant, sample  # noqa: E402
from reach import Reach, record  # noqa: E402

KEPT = ROOT / "build" / "mutation"
RESULTS = KEPT / "results.jsonl"
#: Mutants that change nothing that anybody can see, with the reason; by the key of the results.
EQUIVALENT = ROOT / "tests" / "mutation" / "equivalent.toml"
#: What concerns every part: the defaults, which no call runs.
EVERY = ["tests/test_signatures.py"]
#: From a part of the package to the tests that concern it.
PARTS = {
    "exact": ["tests/exact", "tests/optimisers", "tests/formulas", *EVERY],
    "taylor": ["tests/taylor", "tests/codegen", *EVERY],
    "optimisers": ["tests/optimisers", "tests/verification", *EVERY],
    "bounds": ["tests/bounds", "tests/properties", *EVERY],
    "curvature": ["tests/curvature", "tests/bounds", *EVERY],
    "verification": ["tests/verification", "tests/cli", *EVERY],
}
#: What every mutant needs and none changes: loaded once, and taken over by each process.
LIBRARIES = (
    "numpy", "scipy.integrate", "scipy.linalg", "scipy.optimize", "scipy.special", "sympy", "numba", "mpmath", "flint",
    "click", "rich.console", "rich.progress", "hypothesis", "hypothesis.extra.numpy", "pytest", "xdist", "pytest_cov",
    "jsonschema", "matplotlib.pyplot", "sklearn.datasets",
)  # fmt: skip
#: Seconds of the first round, in which most mutants are noticed; of the processor and of the clock for all tests.
FIRST, CPU, CLOCK = 4.0, 120, 1800
#: What a process says that could not even start the tests.
BROKEN = 70


fork = multiprocessing.get_context("fork")
#: Of this process: its copy of the package; and whether a test passes there without any mutant.
own: dict[str, Path] = {}
sound: dict[str, bool] = {}


def run(folder: Path, tests: list[str]) -> tuple[str, str]:
    """Run tests in a copy, in a process that has the libraries already: what came of it, and the first that failed."""
    said = folder / "said.txt"
    child = os.fork()
    if child == 0:
        with said.open("w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        code = BROKEN
        try:
            os.setsid()
            os.chdir(folder)
            os.environ["PYTHONPATH"] = str(folder)
            os.environ.setdefault("EOMSYM_CACHE_DIR", str(KEPT / "compiled"))
            sys.path[:] = [
                str(folder),
                *(one for one in sys.path if one not in (str(ROOT), str(Path(__file__).parent))),
            ]
            resource.setrlimit(resource.RLIMIT_CPU, (CPU, CPU + 10))
            options = ["-x", "-q", "-n", "0", "-p", "no:cacheprovider", "--tb=no", "--durations=0"]
            options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
            code = int(importlib.import_module("pytest").main([*options, *tests]))
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        os._exit(code)
    began = time.monotonic()
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() - began > CLOCK:
            os.killpg(child, signal.SIGKILL)
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # what tests have left running
    code = os.waitstatus_to_exitcode(status)
    if code in (0, 5):
        return "survived", ""
    if code == BROKEN:
        raise RuntimeError(said.read_text(errors="replace"))
    failed = re.findall(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", said.read_text(errors="replace"), re.MULTILINE)
    return "killed", (failed or [f"exit status {code}"])[0]


def chosen(mutant: Mutant, part: str, reach: Reach, budget: float) -> list[list[str]]:
    """The tests of a mutant in two rounds: those that run its lines, then others of its part, the quick ones first."""
    lines = () if mutant.on_import else range(mutant.line, mutant.last + 1)
    direct = reach.tests(mutant.file, lines) if mutant.on_import or reach.tests(mutant.file) else set()
    near = reach.within([mutant.file, *PARTS[part]])

    def rank(name: str) -> tuple[bool, bool, float]:
        return name not in direct, name not in near, reach.seconds[name]

    rounds: list[list[str]] = [[], []]
    spent = 0.0
    for name in sorted(direct | near, key=rank):
        if spent + reach.seconds[name] > budget:
            continue
        spent += reach.seconds[name]
        rounds[spent > FIRST].append(name)
    return [one for one in rounds if one]


def settle(place: Path) -> None:
    """Make the copy of this process."""
    own["folder"] = copy(place / str(os.getpid()))


def judge(task: tuple[str, Mutant, list[list[str]]]) -> dict[str, object]:
    """Put a mutant into the copy, run its tests, and take it out again."""
    part, mutant, rounds = task
    folder = own["folder"]
    path = folder / mutant.file
    whole = path.read_bytes()
    status, by = "survived", ""
    for tests in rounds:
        while tests:
            path.write_bytes(whole[: mutant.start] + mutant.new.encode() + whole[mutant.end :])
            try:
                status, by = run(folder, tests)
            finally:
                path.write_bytes(whole)
            # A test that fails in the copy without the mutant, too, tells nothing.
            if status == "survived" or by not in tests:
                break
            if by not in sound:
                sound[by] = run(folder, [by])[0] == "survived"
            if sound[by]:
                break
            tests, status = [one for one in tests if one != by], "survived"
        if status == "killed":
            break
    return asdict(mutant) | {"key": mutant.key, "part": part, "status": status, "by": by if status == "killed" else ""}


def told(rows: list[dict[str, object]]) -> Iterator[str]:
    """The table of the parts, and the survivors."""
    reasons = tomllib.loads(EQUIVALENT.read_text(encoding="utf-8"))
    counts = {True: 0, False: 0}
    for part in PARTS:
        mine = [row for row in rows if row["part"] == part and row["key"] not in reasons]
        killed = sum(row["status"] == "killed" for row in mine)
        same = sum(row["part"] == part and row["key"] in reasons for row in rows)
        counts[True] += killed
        counts[False] += len(mine) - killed
        if mine:
            yield f"{part:14}{killed:5} of {len(mine):4} noticed, {killed / len(mine):.1%}; {same} change nothing"
    yield f"{'all':14}{counts[True]:5} of {sum(counts.values()):4} noticed"
    for row in rows:
        if row["status"] == "survived":
            change = f"{row['old']}  ->  {row['new']}"
            yield f"{row['key']} {row['file']}:{row['line']}  {change}  {reasons.get(str(row['key']), '')}"


def copy(folder: Path) -> Path:
    """A copy of the package and its tests, compiled so that what a file says counts, not when it was written."""
    for part in ("eomsym", "tests", "derivations", "docs"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__", "_build"))
    for name in ("conftest.py", "pyproject.toml", "README.md", "CHANGELOG.md", "CITATION.cff", "Makefile"):
        shutil.copy(ROOT / name, folder)
    for path in (folder / "eomsym").rglob("*.py"):
        py_compile.compile(str(path), invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)
    return folder


def main() -> None:
    """Draw mutants, judge those that are not judged yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=f"{', '.join(PARTS)}; all by default")
    parser.add_argument("--each", type=int, default=20, help="mutants of each part")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--budget", type=float, default=60.0, help="seconds of tests for each mutant")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--again", action="store_true", help="judge once more what survived")
    asked = parser.parse_args()
    reach = record(ROOT, PARTS, KEPT)
    rows = [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    reasons = tomllib.loads(EQUIVALENT.read_text(encoding="utf-8"))
    latest = {row["key"]: row for row in rows}
    drawn = [(part, mutant) for part in asked.parts for mutant in sample(part, asked.each, asked.seed)]
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    tasks = [
        (part, mutant, chosen(mutant, part, reach, asked.budget)) for part, mutant in drawn
        if mutant.key not in latest
        or (asked.again and latest[mutant.key]["status"] == "survived" and mutant.key not in reasons)
    ]  # fmt: skip
    with (
        tempfile.TemporaryDirectory(prefix="eomsym-mutation-") as name,
        fork.Pool(asked.processes, settle, [Path(name)]) as pool,
    ):
        for row in pool.imap_unordered(judge, tasks):
            latest[str(row["key"])] = row
            with RESULTS.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            print(row["status"], f"{row['file']}:{row['line']}", row["old"], "->", row["new"], row["by"], flush=True)
    print("\n".join(told([latest[mutant.key] for _, mutant in drawn])))


if __name__ == "__main__":
    main()
