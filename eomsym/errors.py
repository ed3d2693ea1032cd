"""The errors that eomsym raises.

Every one of them is an :class:`EomsymError`, and every one is also the builtin exception that fits it,
so ``except ValueError`` works for somebody who has never opened this page.
A message says what was got, what was expected and what to type instead.

Examples
--------
>>> from eomsym.errors import EomsymError, ShapeError
>>> try:
...     raise ShapeError("theta has shape (2,), expected (3,)")
... except ValueError as error:
...     print(type(error).__name__, isinstance(error, EomsymError))
ShapeError True
"""

from __future__ import annotations

__all__ = [
    "CacheError",
    "DivergenceError",
    "EomsymError",
    "EomsymWarning",
    "ExpressionError",
    "HypothesisError",
    "InexactError",
    "InputError",
    "InternalError",
    "MethodError",
    "MissingDependencyError",
    "ShapeError",
    "SizeError",
    "SymmetryError",
    "TableError",
]


#: Characters of a message; of a longer one, in which somebody's text of 5,000 is repeated, the middle is left out.
LONGEST = 1500


class EomsymError(Exception):
    """Base class of all errors raised by eomsym."""

    def __init__(self, message: object = "", *more: object) -> None:
        if isinstance(message, str) and len(message) > LONGEST:
            message = f"{message[: LONGEST // 2]} … {message[-LONGEST // 2 :]}"
        super().__init__(message, *more)


class EomsymWarning(UserWarning):
    """What is done as asked, though it may not be what was meant."""


class InputError(EomsymError, ValueError):
    """What the caller passed in cannot be used."""


class ExpressionError(InputError):
    """A symbolic expression is outside of what eomsym can differentiate and compile."""


class ShapeError(InputError):
    """An array has the wrong shape."""


class MethodError(InputError):
    """A discrete method is inconsistent, or cannot do what was asked of it."""


class InexactError(InputError, TypeError):
    """A float was given where exact numbers are needed."""


class SizeError(InputError, MemoryError):
    """The request would not fit in memory."""


class CacheError(EomsymError, OSError):
    """The folder of compiled programs cannot be read or written."""


class DivergenceError(EomsymError, ArithmeticError):
    """An iteration left the range of finite numbers.

    Parameters
    ----------
    message : str
        What happened, and what to type instead.
    step : int
        Index of the first step whose result is not finite.

    Attributes
    ----------
    step : int
        As above.
    """

    def __init__(self, message: str, step: int) -> None:
        super().__init__(message, step)
        self.step = step

    def __str__(self) -> str:
        return str(self.args[0])


class TableError(EomsymError, ArithmeticError):
    """A Taylor table holds an overflow or a NaN.

    Parameters
    ----------
    message : str
        What happened, and what to type instead.
    order : int
        The first order of the table that is not finite.

    Attributes
    ----------
    order : int
        As above.
    """

    def __init__(self, message: str, order: int) -> None:
        super().__init__(message, order)
        self.order = order

    def __str__(self) -> str:
        return str(self.args[0])


class HypothesisError(EomsymError, ValueError):
    """A hypothesis of a bound does not hold."""


class SymmetryError(HypothesisError):
    """A loss does not have the symmetry that a bound relies on."""


class InternalError(EomsymError, RuntimeError):
    """A fault of eomsym itself; please report it."""


class MissingDependencyError(EomsymError, ImportError):
    """An optional dependency is not installed; the message holds the pip line that installs it."""
