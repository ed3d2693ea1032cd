"""Text to sympy, without evaluating anything: the grammar is arithmetic, names and function calls."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sympy

from eomsym.checks import nearest
from eomsym.errors import ExpressionError
from eomsym.losses.functions import FUNCTIONS

__all__ = ["functions", "parse", "symbols"]

#: Functions that an expression may call by other names, or that are written with those of the table of functions.
_WRITTEN: dict[str, Callable[..., Any]] = {
    "sqrt": sympy.sqrt,
    "tan": sympy.tan,
    "sinh": sympy.sinh,
    "cosh": sympy.cosh,
    "Abs": sympy.Abs,
    "abs": sympy.Abs,
    "Max": sympy.Max,
    "max": sympy.Max,
    "Min": sympy.Min,
    "min": sympy.Min,
}


def functions() -> dict[str, Callable[..., Any]]:
    """Functions that an expression may call, by the name to type."""
    rows = {name: row.symbol for name, row in FUNCTIONS.items() if row.rule == "follow"}
    return rows | _WRITTEN


CONSTANTS = {"pi": sympy.pi, "E": sympy.E}
_OPERATORS: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: lambda a, b: a**b,
}


def symbols(variables: str | Sequence[Any]) -> tuple[sympy.Symbol, ...]:
    """Distinct symbols from ``"x y"``, ``"w0:5"``, or a sequence of names and symbols."""
    try:
        if isinstance(variables, str):
            found = sympy.symbols(variables, seq=True)
        else:
            found = tuple(sympy.Symbol(v) if isinstance(v, str) else v for v in variables)
    except (TypeError, ValueError) as error:
        raise ExpressionError(
            f"variables must be names or symbols, got {variables!r}; write variables='x y'"
        ) from error
    if not found or not all(isinstance(v, sympy.Symbol) for v in found):
        raise ExpressionError(f"variables must be names or symbols, got {variables!r}; write variables='x y'")
    if len(set(found)) < len(found):
        raise ExpressionError(f"variables must be distinct, got {', '.join(map(str, found))}")
    return tuple(found)


def parse(text: str, variables: Sequence[sympy.Symbol]) -> Any:
    """The sympy expression that `text` writes; ``^`` is a power, decimals are the exact fractions they write.

    Examples
    --------
    >>> import sympy
    >>> parse("0.1*x^2 + tanh(x)/3", [sympy.Symbol("x")])
    x**2/10 + tanh(x)/3
    """
    try:
        tree = ast.parse(text.strip().replace("^", "**"), mode="eval")
    except (SyntaxError, ValueError) as error:
        raise ExpressionError(f"cannot read the expression {text!r}: {error.args[0]}") from error
    try:
        return _Reader({v.name: v for v in variables}).read(tree.body)
    except RecursionError as error:
        raise ExpressionError("the expression is nested too deeply to read; pass a sympy expression") from error


class _Reader:
    def __init__(self, variables: Mapping[str, sympy.Symbol]) -> None:
        self.variables = variables
        self.names = {**CONSTANTS, **variables}

    def read(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            return sympy.Rational(repr(node.value))
        if isinstance(node, ast.Name):
            return self._name(node.id)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
            value = self.read(node.operand)
            return -value if isinstance(node.op, ast.USub) else value
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](self.read(node.left), self.read(node.right))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
            if node.func.id not in functions():
                raise ExpressionError(unsupported(node.func.id))
            return self._call(node.func.id, [self.read(argument) for argument in node.args])
        raise ExpressionError(
            f"cannot use {ast.unparse(node)!r} in an expression: write numbers, the variables, + - * / **, "
            "parentheses and functions such as tanh(x)"
        )

    def _name(self, name: str) -> Any:
        if name in self.names:
            return self.names[name]
        if name in functions():
            raise ExpressionError(f"{name} is a function: write {name}(...)")
        raise ExpressionError(
            f"unknown name {name!r}{nearest(name, self.names)}; the variables are {', '.join(self.variables)}"
        )

    def _call(self, name: str, arguments: list[Any]) -> Any:
        try:
            return functions()[name](*arguments)
        except TypeError as error:
            raise ExpressionError(f"{name} got {len(arguments)} arguments: {error}") from error


def unsupported(name: str) -> str:
    """Message for a function that has no rule, with the nearest ones that have."""
    return f"unsupported function {name!r}{nearest(name, functions())}; supported: {', '.join(functions())}"
