"""Counter terms as Python modules that need nothing of this package."""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sympy.printing.numpy import NumPyPrinter
from sympy.printing.pycode import PythonCodePrinter

from eomsym._version import __version__
from eomsym.exact.numbers import Exact
from eomsym.formulas.terms import CounterTerms

if TYPE_CHECKING:
    from eomsym.formulas.documents import Derivation
    from eomsym.formulas.elementwise import ElementwiseTerms

__all__ = ["python_source"]


def python_source(document: Derivation) -> str:
    """Write counter terms as a Python module.

    Formulas on rooted trees are exact and need nothing. Elementwise formulas work on arrays of numpy.

    Returns
    -------
    str
        Source with a function ``coefficients(...)`` of the method's symbols, which maps trees in brackets to
        exact numbers for each order, or ``for_any_loss(theta, g, H, T, ...)`` for elementwise formulas; and, for a
        given loss, ``terms(...)`` of its variables.
    """
    lines: list[str] = []
    if isinstance(document.terms, CounterTerms):
        lines += _coefficients(document.terms)
    elif document.terms is not None:
        lines += _elementwise(document.terms)
    if document.concrete:
        concrete = document.concrete
        lines += ["", ""] * bool(lines) + _terms(concrete.symbols, concrete.terms, concrete.description)
    used = {name for name in ("math", "numpy", "Fraction") if any(re.search(rf"\b{name}[.(]", x) for x in lines)}
    standard = [*["import math"] * ("math" in used), *["from fractions import Fraction"] * ("Fraction" in used)]
    modules = [*standard, *[""] * ("numpy" in used and bool(standard)), *["import numpy"] * ("numpy" in used)]
    rows = [f"    {formula}" + (f"  {words}" if words else "") for formula, words in document.meaning("text")]
    head = [
        f'"""Counter terms of {document.method.name} through order {document.order}, by eomsym {__version__}.',
        "",
        *rows,
        '"""',
        "",
    ]
    return "\n".join([*head, *modules, *["", ""] * bool(modules), *lines]) + "\n"


class _Printer(PythonCodePrinter):  # type: ignore[misc]
    """Python source with exact fractions."""

    def _print_Rational(self, expression: Any) -> str:
        return f"Fraction({expression.p}, {expression.q})"

    def _print_Symbol(self, expression: Any) -> str:
        return _safe(expression.name)


class _Arrays(NumPyPrinter):  # type: ignore[misc]
    """Source for arrays, with H, T and inner products as calls."""

    def _print_Symbol(self, expression: Any) -> str:
        return _safe(expression.name)

    def _print_Hessian(self, expression: Any) -> str:
        return f"H({self._print(expression.args[0])})"

    def _print_Third(self, expression: Any) -> str:
        return f"T({self._print(expression.args[0])}, {self._print(expression.args[1])})"

    def _print_Dot(self, expression: Any) -> str:
        return f"numpy.dot({self._print(expression.args[0])}, {self._print(expression.args[1])})"

    _print_Named = _print_Symbol


def _safe(name: str) -> str:
    return f"{name}_" if keyword.iskeyword(name) else name


def _coefficients(terms: CounterTerms) -> list[str]:
    """A function from the parameters of the method to the coefficients of all trees."""
    show = _Printer({"fully_qualified_modules": True}).doprint

    def number(value: Exact) -> str:
        return f"Fraction({value.p}, {value.q})" if value.is_Rational else show(value)

    symbols = sorted(set().union(*(x.free_symbols for term in terms for x in term.values())), key=str)
    lines = [
        f"def coefficients({', '.join(_safe(s.name) for s in symbols)}):",
        '    """Return for each order a mapping from trees to coefficients; [..] is D^3 L[g, g], and so on."""',
        "    return [",
    ]
    for term in terms:
        lines.append("        {")
        lines += [f'            "{tree.brackets}": {number(value)},' for tree, value in term.items()]
        lines.append("        },")
    return [*lines, "    ]"]


def _elementwise(terms: ElementwiseTerms) -> list[str]:
    """A function from arrays, and the derivatives of the loss as functions of vectors, to the terms."""
    show = _Arrays({"fully_qualified_modules": True}).doprint
    symbols = sorted({_safe(s.name) for s in terms.parameters})
    keywords = f", *, {', '.join(symbols)}" if symbols else ""
    return [
        f"def for_any_loss(theta, g, H, T{keywords}):",
        '    """Return the terms, one array for each order.',
        "",
        "    theta and g are arrays; H(u) is the Hessian times u, T(u, v) the third derivative on u and v.",
        '    """',
        *(f"    {_safe(x.name)} = {show(x.stands_for)}" for x in terms.names),
        "    return [",
        *(f"        {show(x)}," for x in terms.shortened),
        "    ]",
    ]


def _terms(symbols: Sequence[Any], rows: Sequence[Sequence[Exact]], description: str) -> list[str]:
    """A function from the variables of one loss to its terms."""
    show = _Printer({"fully_qualified_modules": True}).doprint
    arguments = ", ".join(_safe(s.name) for s in symbols)
    lines = [f"def terms({arguments}):", f'    """Return the terms of {description}."""', "    return ["]
    for row in rows:
        lines += ["        [", *(f"            {show(x)}," for x in row), "        ],"]
    return [*lines, "    ]"]
