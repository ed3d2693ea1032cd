"""Text to sympy, without evaluating anything: the grammar is arithmetic, names and function calls."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sympy

from eomsym.checks import nearest, shown
from eomsym.errors import ExpressionError, SizeError
from eomsym.exact.numbers import MOST_DIGITS, as_fraction
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


#: What is larger than this in an expression is a mistake, and would cost minutes or all memory.
MOST_EXPONENT = 10_000
MOST_BITS = int(MOST_DIGITS * 3.33)
MOST_VARIABLES = 100_000

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
    if isinstance(variables, str):
        _check_ranges(variables)
    try:
        if isinstance(variables, str):
            found = sympy.symbols(variables, seq=True)
        else:
            found = tuple(sympy.Symbol(v) if isinstance(v, str) else v for v in variables)
    except (TypeError, ValueError) as error:
        raise ExpressionError(
            f"variables must be names or symbols, got {shown(variables)}; write variables='x y'"
        ) from error
    if not found or not all(isinstance(v, sympy.Symbol) for v in found):
        raise ExpressionError(f"variables must be names or symbols, got {shown(variables)}; write variables='x y'")
    given = found if isinstance(variables, str) else [v for v in variables if isinstance(v, str)]
    if odd := [str(v) for v in given if not str(v).isidentifier()]:
        raise ExpressionError(f"{odd[0]!r} is no name of a variable; expected letters, digits and _, such as 'x1'")
    if len(set(found)) < len(found):
        raise ExpressionError(f"variables must be distinct, got {', '.join(map(str, found))}")
    return tuple(found)


def _check_ranges(names: str) -> None:
    """Refuse ``x0:1000000000`` before a billion symbols are made."""
    ends = [int(number[:12]) for number in re.findall(r":\s*(\d+)", names)]
    if any(end > MOST_VARIABLES for end in ends):
        raise SizeError(f"variables {shown(names)} are more than {MOST_VARIABLES}; use eomsym.Network for large models")


def parse(text: str, variables: Sequence[sympy.Symbol]) -> Any:
    """The sympy expression that `text` writes; ``^`` is a power, decimals are the exact fractions they write.

    Examples
    --------
    >>> import sympy
    >>> parse("0.1*x^2 + tanh(x)/3", [sympy.Symbol("x")])
    x**2/10 + tanh(x)/3
    """
    written = text.strip().replace("^", "**")
    try:
        return _Reader(written, {v.name: v for v in variables}).read(ast.parse(written, mode="eval").body)
    except (SyntaxError, ValueError) as error:
        if isinstance(error, ExpressionError):
            raise
        raise ExpressionError(f"cannot read the expression {shown(text)}: {error.args[0]}") from error
    except (RecursionError, MemoryError) as error:  # MemoryError is what Python's parser calls its own depth
        raise ExpressionError("the expression is nested too deeply to read; pass a sympy expression") from error


class _Reader:
    def __init__(self, text: str, variables: Mapping[str, sympy.Symbol]) -> None:
        self.text = text
        self.variables = variables
        self.names = {**CONSTANTS, **variables}

    def read(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            return self._number(node)
        if isinstance(node, ast.Name):
            return self._name(node.id)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
            value = self.read(node.operand)
            return -value if isinstance(node.op, ast.USub) else value
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            left, right = self.read(node.left), self.read(node.right)
            if isinstance(node.op, ast.Pow):
                checked_power(left, right)
            return checked_size(_OPERATORS[type(node.op)](left, right))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
            if node.func.id not in functions():
                raise ExpressionError(unsupported(node.func.id))
            return self._call(node.func.id, [self.read(argument) for argument in node.args])
        raise ExpressionError(
            f"cannot use {ast.unparse(node)!r} in an expression: write numbers, the variables, + - * / **, "
            "parentheses and functions such as tanh(x)"
        )

    def _number(self, node: ast.Constant) -> Any:
        """A number exactly as it is written, not as the float that Python reads."""
        if isinstance(node.value, int):
            return checked_size(sympy.Integer(node.value))
        try:
            return sympy.Rational(as_fraction(ast.get_source_segment(self.text, node) or ""))
        except ValueError as error:
            raise ExpressionError(f"cannot use {ast.unparse(node)} in an expression: {error}") from error

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


def checked_power(base: Any, exponent: Any) -> None:
    """Refuse powers that nobody can mean, such as ``9**9**9``, before anything computes them."""
    if not exponent.is_Rational:
        return
    bits = max(math.log2(max(abs(base.p), 1)), math.log2(base.q)) if base.is_Rational else 1
    if abs(exponent) > MOST_EXPONENT or bits * abs(exponent) > MOST_BITS:
        raise ExpressionError(
            f"the power {shown(base, 20)}**{shown(exponent, 20)} in an expression is too large; expected exponents up "
            f"to {MOST_EXPONENT} and numbers of up to {MOST_DIGITS} digits"
        )


def checked_size(value: Any) -> Any:
    """The value, unless it is a number that is too long."""
    number = value.as_coeff_Mul()[0]
    if number.is_Rational and max(number.p.bit_length(), number.q.bit_length()) > MOST_BITS:
        raise ExpressionError(f"an expression holds a number of more than {MOST_DIGITS} digits; write a shorter one")
    return value


def unsupported(name: str) -> str:
    """Message for a function that has no rule, with the nearest ones that have."""
    return f"unsupported function {name!r}{nearest(name, functions())}; supported: {', '.join(functions())}"
