"""The primitives rewritten for double-double numbers: the same rules, with another arithmetic.

The lines of a primitive are taken as they stand. Which names hold numbers of the ring follows from the arguments that
do, line by line; ``+ - * / **`` and functions on them become calls of :mod:`eomsym.codegen.double_double`, integers
and indices stay as they are.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from typing import Any

from eomsym.errors import InternalError

__all__ = ["doubled"]

#: Arguments that are arrays of numbers of the ring.
ARRAYS = {"m", "c", "thetas", "psi", "coupling", "chi", "push", "y", "out"}
#: The same names are integers in the primitives, where `out` is a place.
MOTION_ONLY = {"thetas", "psi", "coupling", "chi", "push", "y", "out"}
_OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "dd_add",
    ast.Sub: "dd_sub",
    ast.Mult: "dd_mul",
    ast.Div: "dd_div",
    ast.Pow: "dd_pow",
}
_FUNCTIONS = {name: f"dd_{name}" for name in ("exp", "tanh", "sin", "cos", "log", "arctan", "dot")}


def doubled(function: Callable[..., Any]) -> str:
    """Source of a primitive, or of `motion`, over double-double numbers."""
    tree = ast.parse(inspect.getsource(function))
    definition = tree.body[0]
    if not isinstance(definition, ast.FunctionDef):
        raise InternalError(f"{function.__name__} is not a plain function")
    arguments = {a.arg for a in definition.args.args}
    arrays = ARRAYS & arguments
    if "psi" not in arguments:
        arrays -= MOTION_ONLY
    return ast.unparse(_Doubling(arrays).visit(tree))


class _Doubling(ast.NodeTransformer):
    def __init__(self, arrays: set[str]) -> None:
        #: names of ring arrays and of ring numbers, as far as they are known
        self.arrays = set(arrays)
        self.numbers: set[str] = set()

    # what an expression is ----------------------------------------------------------------------------------------

    def is_array(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Name):
            return node.id in self.arrays
        if isinstance(node, ast.Subscript):
            return self.is_array(node.value) and any(isinstance(part, ast.Slice) for part in ast.walk(node.slice))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            return node.func.attr == "reshape" and self.is_array(node.func.value)
        return False

    def is_number(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Name):
            return node.id in self.numbers
        if isinstance(node, ast.Subscript):
            return self.is_array(node.value) and not self.is_array(node)
        if isinstance(node, ast.BinOp):
            return self.is_number(node.left) or self.is_number(node.right)
        if isinstance(node, ast.UnaryOp):
            return self.is_number(node.operand)
        if isinstance(node, ast.IfExp):
            return self.is_number(node.body)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return node.func.id.startswith("dd")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            return node.func.attr in _FUNCTIONS and node.func.attr != "dot"
        return False

    # rewriting ----------------------------------------------------------------------------------------------------

    def _lifted(self, node: ast.expr) -> ast.expr:
        """The expression as a number of the ring."""
        known = self.is_number(node)
        written: ast.expr = self.visit(node)
        return written if known else _call("dd", written)

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        if not self.is_number(node):
            self.generic_visit(node)
            return node
        return _call(_OPERATORS[type(node.op)], self._lifted(node.left), self._lifted(node.right))

    def visit_Assign(self, node: ast.Assign) -> ast.stmt:
        (target,) = node.targets
        if isinstance(target, ast.Name):
            if self.is_array(node.value):
                self.arrays.add(target.id)
            elif self.is_number(node.value):
                self.numbers.add(target.id)
        if self.is_number(target):
            node.value = self._lifted(node.value)
        else:
            node.value = self.visit(node.value)
        node.targets = [self.visit(target)]
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt:
        if not self.is_number(node.target):
            self.generic_visit(node)
            return node
        value = _call(_OPERATORS[type(node.op)], _loaded(node.target), self._lifted(node.value))
        return ast.copy_location(ast.Assign([node.target], value), node)

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        """An order is that of the leading parts; equality needs no change."""
        ordered = not isinstance(node.ops[0], (ast.Eq, ast.NotEq))
        sides = [node.left, *node.comparators]
        written = [
            ast.Attribute(self.visit(side), "real", ast.Load())
            if ordered and self.is_number(side)
            else self.visit(side)
            for side in sides
        ]
        node.left, node.comparators = written[0], written[1:]
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        if isinstance(node.func, ast.Attribute) and node.func.attr in _FUNCTIONS:
            return _call(_FUNCTIONS[node.func.attr], *(self.visit(argument) for argument in node.args))
        self.generic_visit(node)
        return node


def _call(name: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), list(arguments), [])


def _loaded(target: ast.expr) -> ast.expr:
    """A target of an assignment as an expression."""
    return ast.parse(ast.unparse(target), mode="eval").body
