"""Exact numbers: what may enter the exact floor, and in which domain it is computed with."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from numbers import Integral, Rational
from typing import Any, TypeAlias

import numpy as np
import sympy

from eomsym.checks import shown
from eomsym.errors import InexactError, InputError

__all__ = ["ETA", "Exact", "Scalar", "as_exact", "as_fraction", "as_matrix", "as_vector", "common_domain"]

Exact: TypeAlias = sympy.Expr
"""A sympy number or expression without floats."""

#: The step size inside of circuits.
ETA = sympy.Symbol("eta", positive=True)

#: Numbers with more digits are refused.
MOST_DIGITS = 1000

Scalar: TypeAlias = Any
"""What a user may give: ``int``, ``Fraction``, text such as ``"9/10"``, or an exact sympy expression."""


def as_exact(value: Scalar, name: str = "value") -> Exact:
    """Turn an exact number into a sympy object, and refuse everything else.

    Parameters
    ----------
    value : int, Fraction, str or sympy.Expr
        The number, its text, or an expression in symbols.
    name : str
        What to call it in an error.

    Returns
    -------
    sympy.Expr

    Raises
    ------
    InexactError
        If `value` is, or holds, a float.
    InputError
        If it is not a finite number.

    Examples
    --------
    >>> from fractions import Fraction
    >>> as_exact(Fraction(9, 10))
    9/10
    >>> as_exact("0.9")
    9/10
    """
    if _digits(value) > MOST_DIGITS:
        raise InputError(f"{name} has more than {MOST_DIGITS} digits; write a number such as '9/10' or '0.9'")
    if isinstance(value, sympy.Expr):
        if value.has(sympy.Float):
            raise InexactError(
                f"{name} is {value}, which holds a float; exact numbers are needed, "
                f"for example {sympy.nsimplify(value, rational=True)}"
            )
        if value.has(sympy.nan, sympy.oo, -sympy.oo, sympy.zoo):
            raise InputError(f"{name} is {value}; a finite number is needed")
        return value
    if isinstance(value, str):
        try:
            return as_exact(as_fraction(value), name)
        except (ValueError, ZeroDivisionError) as error:
            raise InputError(f"{name} is {shown(value)}; write a number such as '9/10' or '0.9'") from error
    if isinstance(value, Integral) and not isinstance(value, np.timedelta64):
        return sympy.Integer(int(value))
    if isinstance(value, Rational) and not isinstance(value, np.timedelta64):
        return sympy.Rational(int(value.numerator), int(value.denominator))
    if isinstance(value, float) or hasattr(value, "dtype"):
        is_float, shorter = isinstance(value, (float, np.floating)), "an int or a Fraction"
        if is_float and math.isfinite(value):
            shorter = f"{int(value)}" if float(value).is_integer() else f"'{value}'"
        kind = "a float" if is_float else f"of type {type(value).__name__}"
        raise InexactError(f"{name} is {shown(value)}, {kind}; exact numbers are needed, for example {shorter}")
    raise InputError(
        f"{name} is {shown(value)} of type {type(value).__name__}; "
        "an int, a Fraction or an exact sympy expression is needed"
    )


def _digits(value: Any) -> float:
    """About how many digits an exact number has; 0 of everything else."""
    if isinstance(value, np.timedelta64) or not isinstance(value, Rational):
        return 0.0
    return math.log10(2) * max(int(value.numerator).bit_length(), int(value.denominator).bit_length())


def as_fraction(text: str) -> Fraction:
    """Read ``9/10``, ``0.9`` or ``1e-8``; ValueError where it is no number, or has more digits than anybody types.

    Examples
    --------
    >>> as_fraction("1e-3")
    Fraction(1, 1000)
    >>> as_fraction("1e999999999")
    Traceback (most recent call last):
    ...
    ValueError: a number of more than 1000 digits
    """
    mantissa, _, exponent = text.lower().partition("e")
    if (
        len(mantissa) > MOST_DIGITS
        or len(exponent) > 6
        or (exponent.strip("+-_").isdigit() and abs(int(exponent)) > MOST_DIGITS)
    ):
        raise ValueError(f"a number of more than {MOST_DIGITS} digits")
    return Fraction(text)


def _listed(values: Any, name: str, what: str) -> list[Any]:
    """What can be gone through, as a list."""
    if not isinstance(values, str | bytes) and isinstance(values, Iterable):
        try:
            return list(values)
        except TypeError:  # an array of no dimension
            pass
    raise InputError(f"{name} is {shown(values)}; {what} of exact numbers {'are' if what == 'rows' else 'is'} needed")


def as_vector(values: Iterable[Scalar], name: str) -> tuple[Exact, ...]:
    """Turn a sequence of exact numbers into a tuple of sympy objects; errors as in :func:`as_exact`."""
    return tuple(as_exact(value, f"{name}[{i}]") for i, value in enumerate(_listed(values, name, "a sequence")))


def as_matrix(rows: Iterable[Iterable[Scalar]], name: str) -> tuple[tuple[Exact, ...], ...]:
    """Turn rows of exact numbers into a tuple of tuples; errors as in :func:`as_exact`."""
    if isinstance(rows, sympy.MatrixBase):
        rows = rows.tolist()
    matrix = tuple(as_vector(row, f"{name}[{i}]") for i, row in enumerate(_listed(rows, name, "rows")))
    if len({len(row) for row in matrix}) > 1:
        raise InputError(f"{name} has rows of lengths {[len(row) for row in matrix]}; they must be equal")
    return matrix


def common_domain(values: Sequence[Exact]) -> Any:
    """Return the smallest sympy field that holds all `values`: ``QQ``, ``QQ<sqrt(3)>``, ``QQ(beta)``, ...

    Examples
    --------
    >>> import sympy
    >>> common_domain([sympy.Rational(1, 2)])
    QQ
    >>> common_domain([sympy.sqrt(3) / 6])
    QQ<sqrt(3)>
    >>> common_domain([1 / sympy.Symbol("beta")])
    ZZ(beta)
    """
    domain, _ = sympy.construct_domain([*values, sympy.Rational(1, 2)], field=True, extension=True)
    return domain
