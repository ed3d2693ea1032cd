"""Sympy functions of the field that sympy does not have: sigmoid and softplus."""

from __future__ import annotations

from typing import Any

import sympy

__all__ = ["sigmoid", "softplus"]


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
