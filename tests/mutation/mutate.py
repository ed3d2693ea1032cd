"""How many small changes of the package its tests notice.

Each mutant is one changed operator, comparison, constant, condition or return value in one file of a copy of the
package; the examples of that file and the tests of its part must fail. Mutants are drawn in an order that the seed
fixes, so that a larger sample holds the smaller one; results are kept as they come, and the next run goes on.

    python tests/mutation/mutate.py --each 20 exact bounds
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "build" / "mutation.jsonl"
#: Mutants that change nothing that anybody can see, with the reason; by the key of the results.
EQUIVALENT = ROOT / "tests" / "mutation" / "equivalent.toml"
#: From a part of the package to the tests that concern it, the quick ones first.
PARTS = {
    "exact": ["tests/exact", "tests/optimisers/test_linear.py", "tests/formulas/test_counter_terms.py"],
    "taylor": ["tests/taylor", "tests/codegen/test_kernel.py"],
    "optimisers": ["tests/optimisers", "tests/verification/test_optimisers.py"],
    "bounds": ["tests/bounds", "tests/properties/test_bounds.py"],
    "curvature": [
        "tests/curvature",
        "tests/bounds/test_terms.py",
        "tests/bounds/test_batches.py",
        "tests/bounds/test_truncation.py",
    ],
    "verification": ["tests/verification", "tests/cli/test_verify.py"],
}
#: Seconds of CPU time and of the clock that the tests of a mutant may take; more is noticed, too.
CPU, CLOCK = 300, 3600
SWAPS: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.Pow: ast.Mult, ast.MatMult: ast.Add, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
    ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """A piece of a file, and what takes its place."""

    file: str
    line: int
    start: int
    end: int
    old: str
    new: str
    context: str

    @property
    def key(self) -> str:
        """The same for the same change of the same line, wherever it has moved to."""
        return hashlib.sha256(f"{self.file} {self.context} {self.old} {self.new}".encode()).hexdigest()[:12]


def changed(node: ast.AST) -> Iterator[ast.AST]:
    """Small changes of a node."""
    if isinstance(node, ast.BinOp) and type(node.op) in SWAPS and not isinstance(node.left, ast.JoinedStr):
        yield ast.BinOp(node.left, SWAPS[type(node.op)](), node.right)
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        yield ast.Compare(node.left, [SWAPS[type(node.ops[0])]()], node.comparators)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(SWAPS[type(node.op)](), node.values)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub)):
        yield node.operand
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        yield ast.Constant(node.value + 1 if isinstance(node.value, int) else node.value * 1.5 or 1.0)
    elif isinstance(node, ast.IfExp):
        yield ast.IfExp(node.test, node.orelse, node.body)
    elif isinstance(node, ast.Return) and node.value is not None and not isinstance(node.value, ast.Constant):
        yield ast.Return(ast.Constant(None))


def skipped(node: ast.AST) -> Iterator[ast.AST]:
    """What is not mutated below a node: messages, annotations, decorators, lists of names, how things are shown."""
    if isinstance(node, ast.Raise | ast.Assert | ast.JoinedStr):
        yield node
    if isinstance(node, ast.FunctionDef):
        yield from node.decorator_list
        yield from filter(None, [node.returns, *(one.annotation for one in node.args.args + node.args.kwonlyargs)])
        if node.name in ("__repr__", "__str__", "_repr_html_", "_repr_latex_"):
            yield node
    if isinstance(node, ast.ClassDef):
        yield from node.decorator_list
    if isinstance(node, ast.AnnAssign):
        yield node.annotation
    if isinstance(node, ast.Assign) and any(
        isinstance(name, ast.Name) and name.id == "__all__" for name in node.targets
    ):
        yield node


def mutants(path: Path) -> list[Mutant]:
    """All mutants of a file."""
    text = path.read_text(encoding="utf-8")
    starts = [0]
    for line in text.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    tree, found = ast.parse(text), []
    left_out = {id(below) for node in ast.walk(tree) for top in skipped(node) for below in ast.walk(top)}
    for node in ast.walk(tree):
        if id(node) in left_out:
            continue
        for new in changed(node):
            start = starts[node.lineno - 1] + node.col_offset
            end = starts[node.end_lineno - 1] + node.end_col_offset
            old = text.encode()[start:end].decode()
            said = ast.unparse(ast.fix_missing_locations(new))
            said = said if isinstance(node, ast.Return | ast.Constant) else f"({said})"
            context = f"{node.col_offset} {text.splitlines()[node.lineno - 1].strip()}"
            found.append(Mutant(str(path.relative_to(ROOT)), node.lineno, start, end, old, said, context))
    return found


def sample(part: str, count: int, seed: int) -> list[Mutant]:
    """The first mutants of a part in the order of a seed."""
    found = [one for path in sorted((ROOT / "eomsym" / part).rglob("*.py")) for one in mutants(path)]
    random.Random(f"{seed} {part}").shuffle(found)
    return found[:count]


def run(folder: Path, tests: list[str]) -> tuple[str, str]:
    """Run tests in a copy: what came of it, and the first test that failed."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", *tests]
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.setdefault("EOMSYM_CACHE_DIR", str(folder / "compiled"))

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU, CPU + 10))

    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=CLOCK, preexec_fn=limit
        )
    except subprocess.TimeoutExpired:
        return "killed", "time"
    failed = [
        line.split()[1] for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR")) and " " in line
    ]
    return ("survived" if done.returncode == 0 else "killed"), (failed or [f"exit status {done.returncode}"])[0]


def judged(mutant: Mutant, part: str, folder: Path) -> dict[str, object]:
    """Put a mutant into the copy, run its tests, and take it out again."""
    path = folder / mutant.file
    whole = path.read_bytes()
    path.write_bytes(whole[: mutant.start] + mutant.new.encode() + whole[mutant.end :])
    try:
        status, by = run(folder, [mutant.file, *PARTS[part]])
    finally:
        path.write_bytes(whole)
    return asdict(mutant) | {"key": mutant.key, "part": part, "status": status, "by": by if status == "killed" else ""}


def told(rows: list[dict[str, object]]) -> Iterator[str]:
    """The table of the parts, and the survivors."""
    reasons = tomllib.loads(EQUIVALENT.read_text(encoding="utf-8")) if EQUIVALENT.exists() else {}
    for part in PARTS:
        mine = [row for row in rows if row["part"] == part and row["key"] not in reasons]
        killed = sum(row["status"] == "killed" for row in mine)
        same = sum(row["part"] == part and row["key"] in reasons for row in rows)
        if mine:
            yield f"{part:14}{killed:5} of {len(mine):4} killed, {killed / len(mine):.1%}; {same} change nothing"
    for row in rows:
        if row["status"] == "survived":
            change = f"{row['old']}  ->  {row['new']}"
            yield f"{row['key']} {row['file']}:{row['line']}  {change}  {reasons.get(str(row['key']), '')}"


def main() -> None:
    """Draw mutants, judge those that are not judged yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=f"{', '.join(PARTS)}; all by default")
    parser.add_argument("--each", type=int, default=20, help="mutants of each part")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    RESULTS.parent.mkdir(exist_ok=True)
    rows = [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    with tempfile.TemporaryDirectory(prefix="eomsym-mutation-") as name:
        folder = Path(name)
        for part in ("eomsym", "tests"):
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        for part in ("conftest.py", "pyproject.toml"):
            shutil.copy(ROOT / part, folder)
        for part in asked.parts:
            for mutant in sample(part, asked.each, asked.seed):
                if mutant.key in {row["key"] for row in rows}:
                    continue
                rows.append(judged(mutant, part, folder))
                with RESULTS.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(rows[-1]) + "\n")
                print(rows[-1]["status"], mutant.file, mutant.line, mutant.old, "->", mutant.new, flush=True)
    print("\n".join(told(rows)))


if __name__ == "__main__":
    main()
