"""The elementary functions, one row each: everything that any reading of a program knows about them.

A row is enough for a new function. Its Taylor rule follows from its derivative ``w = f'(x)``, written with functions
that have rows: with ``D = s d/ds + eta d/deta``, ``D y = w D x`` gives degree d of y from degrees below d of w. Only
the reciprocal and the power have shorter rules of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

from eomsym.errors import ExpressionError

__all__ = ["FUNCTIONS", "Function", "function", "register", "sigmoid", "softplus"]


class sigmoid(sympy.Function):  # type: ignore[misc]
    """The logistic function ``1/(1 + exp(-x))``."""

    nargs = 1

    def fdiff(self, argindex: int = 1) -> Any:
        return self * (1 - self)

    def _eval_evalf(self, precision: int) -> Any:
        return self.rewrite(sympy.exp)._eval_evalf(precision)

    def _eval_rewrite_as_exp(self, x: Any, **_: Any) -> Any:
        return 1 / (1 + sympy.exp(-x))

    def _latex(self, printer: Any, exp: Any = None) -> str:
        text = rf"\sigma\left({printer._print(self.args[0])}\right)"
        return text if exp is None else rf"{text}^{{{exp}}}"


class softplus(sympy.Function):  # type: ignore[misc]
    """``log(1 + exp(x))``, whose derivative is the sigmoid."""

    nargs = 1

    def fdiff(self, argindex: int = 1) -> Any:
        return sigmoid(self.args[0])

    def _eval_evalf(self, precision: int) -> Any:
        return self.rewrite(sympy.exp)._eval_evalf(precision)

    def _eval_rewrite_as_exp(self, x: Any, **_: Any) -> Any:
        return sympy.log(1 + sympy.exp(x))

    def _latex(self, printer: Any, exp: Any = None) -> str:
        text = rf"\operatorname{{softplus}}\left({printer._print(self.args[0])}\right)"
        return text if exp is None else rf"{text}^{{{exp}}}"


@dataclass(frozen=True)
class Function:
    """One elementary function of one variable (and, for the power, of a fixed exponent).

    Parameters
    ----------
    name : str
        As typed in expressions, and in the nodes of programs.
    symbol : callable
        The sympy function.
    value : callable
        Values of an array, by NumPy.
    derivative : callable
        ``derivative(x, y)``: the node of ``f'(x)`` from those of x and ``y = f(x)``.
    source : str
        Value of the scalar ``{0}`` in Python with `math`; what compiled code prints.
    ball : callable, optional
        Value of an Arb ball or of a series of balls.
    decimal : str, optional
        Name of the function in mpmath.
    vector : str, optional
        A source without branches, for long arrays.
    rule : {"follow", "reciprocal", "power"}
        The Taylor rule.
    """

    name: str
    symbol: Callable[..., Any]
    value: Callable[..., Any]
    derivative: Callable[[Any, Any], Any]
    source: str
    ball: Callable[..., Any] | None = None
    decimal: str | None = None
    vector: str | None = None
    rule: str = "follow"

    def reading(self, column: str, where: str) -> Any:
        """An optional column; ExpressionError that names the function and the back end where it is empty."""
        found = getattr(self, column)
        if found is None:
            raise ExpressionError(
                f"{self.name} has no value in {where}; write the loss with one of {', '.join(known(column))}, "
                f"or give {self.name} a `{column}` in its row of eomsym.losses.functions"
            )
        return found


#: Rows by name.
FUNCTIONS: dict[str, Function] = {}


def register(row: Function) -> Function:
    """Add a row; a name that is taken by another row is refused.

    Raises
    ------
    ExpressionError
        The name is taken.
    """
    if FUNCTIONS.setdefault(row.name, row) != row:
        raise ExpressionError(f"there is a function {row.name!r} already; choose another name")
    return row


def function(name: str) -> Function:
    """The row of a function."""
    return FUNCTIONS[name]


def known(column: str) -> list[str]:
    """Functions that have a column."""
    return [row.name for row in FUNCTIONS.values() if getattr(row, column) is not None]


def _erf(x: Any) -> Any:
    from scipy.special import erf  # here, because it is slow to import and rarely needed

    return np.asarray(erf(x))


def _ball_tanh(x: Any) -> Any:
    """Of a ball by Arb, of a series by the exponential."""
    return x.tanh() if hasattr(x, "tanh") else 1 - 2 / ((x + x).exp() + 1)


for _row in (
    Function("exp", sympy.exp, np.exp, lambda x, y: y, "math.exp({0})", lambda x: x.exp(), "exp", "fast_exp({0})"),
    Function(
        "tanh",
        sympy.tanh,
        np.tanh,
        lambda x, y: y.squared(-1, 1),
        "math.tanh({0})",
        _ball_tanh,
        "tanh",
        "fast_tanh({0})",
    ),
    Function(
        "sigmoid",
        sigmoid,
        lambda x: 1 / (1 + np.exp(-x)),
        lambda x, y: y - y.squared(),
        "1.0 / (1.0 + math.exp(-{0}))",
        lambda x: 1 / ((-x).exp() + 1),
        "sigmoid",
        "1.0 / (1.0 + fast_exp(-{0}))",
    ),
    Function("sin", sympy.sin, np.sin, lambda x, y: x.call("cos"), "math.sin({0})", lambda x: x.sin(), "sin"),
    Function("cos", sympy.cos, np.cos, lambda x, y: -x.call("sin"), "math.cos({0})", lambda x: x.cos(), "cos"),
    Function("log", sympy.log, np.log, lambda x, y: x.call("reciprocal"), "math.log({0})", lambda x: x.log(), "log"),
    Function(
        "atan",
        sympy.atan,
        np.arctan,
        lambda x, y: x.squared(1, 1).call("reciprocal"),
        "math.atan({0})",
        lambda x: x.atan(),
        "atan",
    ),
    Function(
        "softplus",
        softplus,
        lambda x: np.logaddexp(x, 0),
        lambda x, y: x.call("sigmoid"),
        "max({0}, 0.0) + math.log1p(math.exp(-abs({0})))",
        lambda x: (x.exp() + 1).log(),
        "softplus",
    ),
    Function(
        "erf",
        sympy.erf,
        _erf,
        lambda x, y: x.squared(-1).call("exp") * (2 / np.sqrt(np.pi)),
        "math.erf({0})",
        decimal="erf",
    ),
    Function(
        "reciprocal",
        lambda x: 1 / x,
        lambda x: 1 / x,
        lambda x, y: y.squared(-1),
        "1.0 / {0}",
        lambda x: 1 / x,
        "reciprocal",
        rule="reciprocal",
    ),
    Function(
        "power",
        lambda x, p: x**p,
        lambda x, p: x**p,
        lambda x, y: None,  # y p / x: written by the operation, which has both
        "{0} ** {1}",
        lambda x, p: x**p,
        "power",
        rule="power",
    ),
):
    register(_row)
