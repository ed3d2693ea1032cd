"""Small changes of the files of the package: one operator, comparison, constant, condition or returned value."""

from __future__ import annotations

import ast
import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SWAPS: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.Pow: ast.Mult, ast.MatMult: ast.Add, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
    ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """A piece of a file, and what takes its place; `on_import` where no call runs it but the import."""

    file: str
    line: int
    last: int
    start: int
    end: int
    old: str
    new: str
    context: str
    on_import: bool

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
    if isinstance(node, ast.keyword) and node.arg == "strict":  # of zip: an assertion, too
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


def called(tree: ast.AST) -> set[int]:
    """The identities of all nodes in the body of a function, which run when it is called."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.Lambda)]
    bodies = [part for f in functions for part in (f.body if isinstance(f.body, list) else [f.body])]
    return {id(node) for part in bodies for node in ast.walk(part)}


def mutants(path: Path) -> list[Mutant]:
    """All mutants of a file."""
    text = path.read_text(encoding="utf-8")
    starts = [0]
    for line in text.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    tree, found = ast.parse(text), []
    left_out = {id(below) for node in ast.walk(tree) for top in skipped(node) for below in ast.walk(top)}
    inside = called(tree)
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
            found.append(
                Mutant(
                    str(path.relative_to(ROOT)), node.lineno, node.end_lineno, start, end, old, said, context,
                    id(node) not in inside,
                )
            )  # fmt: skip
    return found


def sample(part: str, count: int, seed: int) -> list[Mutant]:
    """The first mutants of a part in the order of a seed."""
    found = [one for path in sorted((ROOT / "eomsym" / part).rglob("*.py")) for one in mutants(path)]
    random.Random(f"{seed} {part}").shuffle(found)
    return found[:count]
