"""Checks of arguments, one home for all of them.

Each gives the argument back as what it should be, or raises an error that says what was expected, what was got and what
to type instead.
"""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Callable, Collection, Iterable
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from eomsym.errors import InputError, ShapeError
from eomsym.types import Array, Progress

__all__ = [
    "array", "choice", "count", "flag", "function", "instance", "items", "nearest", "number", "order", "path",
    "positive", "progress", "reals", "shown", "text", "vector",
]  # fmt: skip


def shown(value: Any, most: int = 60) -> str:
    """A value as an error message shows it: short, whatever it is.

    Examples
    --------
    >>> shown("tanh"), shown(list(range(1000)), 12)
    ("'tanh'", '[0, 1, 2, 3…')
    """
    try:
        said = repr(value)
    except ValueError:  # Python refuses to write integers of many digits
        said = f"an integer of {value.bit_length()} bits" if isinstance(value, int) else type(value).__name__
    return said if len(said) <= most else f"{said[: most - 1]}…"


def count(value: Any, name: str, least: int = 0, most: int | None = None, note: str = "") -> int:
    """An integer from `least` to `most`.

    Parameters
    ----------
    value : object
    name : str
        Of the argument.
    least : int
    most : int, optional
    note : str
        What the message adds to the range.

    Raises
    ------
    InputError
        It is no integer, or out of range.

    Examples
    --------
    >>> count(3, "steps", 1)
    3
    >>> count(2.5, "order", 0, 19)
    Traceback (most recent call last):
    ...
    eomsym.errors.InputError: order must be an integer from 0 to 19, got 2.5; type order=2
    """
    whole = isinstance(value, Integral) and not isinstance(value, (bool, np.timedelta64))
    if whole and int(value) >= least and (most is None or int(value) <= most):
        return int(value)
    try:
        fitting = max(least, math.floor(_float(value)))
    except (TypeError, ValueError, OverflowError):
        fitting = least
    if most is not None:
        fitting = min(fitting, most)
    span = f">= {least}" if most is None else f"from {least} to {most}"
    told = f"{name} must be an integer {span}{note and f' ({note})'}, got {shown(value)}"
    raise InputError(f"{told}; type {name}={fitting}")


def order(value: Any, most: int | None = None) -> int:
    """An order of an equation of motion, or InputError.

    Examples
    --------
    >>> order(-1)
    Traceback (most recent call last):
    ...
    eomsym.errors.InputError: order must be an integer >= 0 (0 is gradient flow), got -1; type order=0
    """
    return count(value, "order", 0, most, "0 is gradient flow")


def number(value: Any, name: str, least: float = -math.inf, most: float = math.inf, such_as: float = 0.1) -> float:
    """A finite number from `least` to `most`, as a float.

    Raises
    ------
    InputError
        It is no finite number, or out of range. Texts and truth values are no numbers.

    Examples
    --------
    >>> number(1, "scale")
    1.0
    >>> number(-1, "slope", 0)
    Traceback (most recent call last):
    ...
    eomsym.errors.InputError: slope must be a finite number >= 0, got -1; type slope=0.1
    """
    found = _float(value)
    if not (math.isfinite(found) and least <= found <= most):
        span = f" from {least:g} to {most:g}" if most < math.inf else f" >= {least:g}" if least > -math.inf else ""
        raise InputError(f"{name} must be a finite number{span}, got {shown(value)}; type {name}={such_as:g}")
    return found


def positive(value: Any, name: str, such_as: float = 0.01) -> float:
    """A finite number above zero, as a float.

    Raises
    ------
    InputError
        It is no such number.

    Examples
    --------
    >>> positive(1, "eta")
    1.0
    >>> positive(0, "time", 1)
    Traceback (most recent call last):
    ...
    eomsym.errors.InputError: time must be a finite number > 0, got 0; type time=1
    """
    found = _float(value)
    if not (math.isfinite(found) and found > 0):
        raise InputError(f"{name} must be a finite number > 0, got {shown(value)}; type {name}={such_as:g}")
    return found


def _float(value: Any) -> float:
    """NaN for what is no number."""
    if type(value) is float:
        return value
    if isinstance(value, (str, bytes, bool, np.generic, np.ndarray)) and not _real(value):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf
    except (TypeError, ValueError):
        return math.nan


def _real(value: Any) -> bool:
    """Whether it is one number of NumPy, real and not masked: of others `float` makes a number, with a warning."""
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    return kind in {"i", "u", "f", "O"} and value.ndim == 0 and not np.ma.is_masked(value)


def flag(value: Any, name: str) -> bool:
    """True or False and nothing else.

    Examples
    --------
    >>> flag(1, "bias")
    Traceback (most recent call last):
    ...
    eomsym.errors.InputError: bias must be True or False, got 1; type bias=True
    """
    if not isinstance(value, (bool, np.bool_)):
        raise InputError(f"{name} must be True or False, got {shown(value)}; type {name}=True")
    return bool(value)


def choice(value: Any, name: str, options: Collection[str], more: str = "") -> str:
    """One of some names.

    Parameters
    ----------
    value : object
    name : str
    options : collection of str
    more : str
        What else could be given, for the message.

    Raises
    ------
    InputError
        It is none of them.

    Examples
    --------
    >>> choice("tan", "activation", ("linear", "tanh"))
    Traceback (most recent call last):
    ...
    eomsym.errors.InputError: unknown activation 'tan'; choose one of linear, tanh (did you mean tanh?)
    """
    if isinstance(value, str) and value in options:
        return value
    near = nearest(value if isinstance(value, str) else shown(value), options)
    raise InputError(f"unknown {name} {shown(value)}; choose one of {', '.join(options)}{more}{near}")


def text(value: Any, name: str, such_as: str = "") -> str:
    """A text and nothing else.

    Examples
    --------
    >>> text(3, "title", "errors")
    Traceback (most recent call last):
    ...
    eomsym.errors.InputError: title must be a text, got int 3; type title='errors'
    """
    if not isinstance(value, str):
        raise InputError(f"{name} must be a text, got {_typed(value)}; type {name}={such_as!r}")
    return value


def function(value: Any, name: str, takes: str) -> Callable[..., Any]:
    """Something that can be called.

    Examples
    --------
    >>> function(0.1, "step", "parameters")
    Traceback (most recent call last):
    ...
    eomsym.errors.InputError: step must be a function of parameters, got float 0.1
    """
    if not callable(value):
        raise InputError(f"{name} must be a function of {takes}, got {_typed(value)}")
    found: Callable[..., Any] = value
    return found


def progress(value: Any) -> Progress:
    """A function that is told how far some work is; None is nobody.

    Examples
    --------
    >>> progress(None)(1, 2, "steps")
    >>> progress(True)
    Traceback (most recent call last):
    ...
    eomsym.errors.InputError: progress must be a function of (done, total, label), got bool True; or leave it out
    """
    if value is None:
        return _silent
    if not callable(value):
        raise InputError(f"progress must be a function of (done, total, label), got {_typed(value)}; or leave it out")
    told: Progress = value
    return told


def _silent(done: int, total: int, label: str) -> None:
    return None


#: No system takes a longer path, or a longer name.
LONGEST_PATH, LONGEST_NAME = 4096, 255


def path(value: Any, name: str = "path", such_as: str = "records.sqlite") -> Path:
    """A path, from a text or what stands for one.

    Examples
    --------
    >>> path(3)
    Traceback (most recent call last):
    ...
    eomsym.errors.InputError: path must name a file, got int 3; type path='records.sqlite'
    """
    try:
        found = Path(os.fspath(value))
        named = value and found.name and "\0" not in str(found)
        if named and len(str(found)) <= LONGEST_PATH and len(found.name) <= LONGEST_NAME:
            return found
    except TypeError:
        pass
    raise InputError(f"{name} must name a file, got {_typed(value)}; type {name}={such_as!r}")


def instance(value: Any, name: str, kind: type | tuple[type, ...], such_as: str) -> Any:
    """An object of some type.

    Examples
    --------
    >>> instance(None, "records", Collection, "Records('records.sqlite')")
    Traceback (most recent call last):
    ...
    eomsym.errors.InputError: expected records such as Records('records.sqlite'), got NoneType None
    """
    if not isinstance(value, kind):
        raise InputError(f"expected {name} such as {such_as}, got {_typed(value)}")
    return value


def items(value: Any, name: str, such_as: str) -> list[Any]:
    """What can be gone through, and is no text, as a list.

    Examples
    --------
    >>> items(3, "rows", "[(1, 2)]")
    Traceback (most recent call last):
    ...
    eomsym.errors.InputError: rows must be a list such as [(1, 2)], got int 3
    """
    if not isinstance(value, (str, bytes)) and isinstance(value, Iterable):
        try:
            return list(value)
        except TypeError:  # an array of no dimension
            pass
    raise InputError(f"{name} must be a list such as {such_as}, got {_typed(value)}")


def _typed(value: Any) -> str:
    return f"{type(value).__name__} {shown(value)}"


def nearest(name: str, known: Any) -> str:
    """`` (did you mean …?)`` where a known name is close.

    Examples
    --------
    >>> nearest("tanf", ["tanh", "sin"])
    ' (did you mean tanh?)'
    """
    found = difflib.get_close_matches(name, list(known), n=2, cutoff=0.5)
    return f" (did you mean {' or '.join(found)}?)" if found else ""


def array(data: Any, name: str) -> Array:
    """A copy of some data as a float64 array of finite numbers.

    Raises
    ------
    InputError
        It is no array of real numbers, or one of them is NaN or infinite.

    Examples
    --------
    >>> array([[1, 2], [3, float("nan")]], "inputs")
    Traceback (most recent call last):
    ...
    eomsym.errors.InputError: inputs must be finite, got inputs[1, 1] = nan; leave such entries out or replace them
    """
    try:
        found = reals(data)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"{name} must be an array of real numbers, got {type(data).__name__} {shown(data, 40)}"
        ) from error
    if not np.isfinite(found).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(found))[0])
        place = f"{name}[{', '.join(map(str, where))}]" if where else name
        raise InputError(f"{name} must be finite, got {place} = {found[where]}; leave such entries out or replace them")
    return found


def reals(data: Any) -> Array:
    """A copy of some data as a float64 array of real numbers, NaN and infinity among them.

    Raises
    ------
    TypeError, ValueError, OverflowError
        It is none: of complex numbers NumPy would take the real parts, and of masked ones what is behind.

    Examples
    --------
    >>> reals([1, float("inf")])
    array([ 1., inf])
    """
    listed = data if isinstance(data, (list, tuple)) else ()
    if any(one is np.ma.masked for one in listed) or np.ma.is_masked(data) or np.iscomplexobj(data):
        raise TypeError(f"no array of real numbers: {shown(data)}")
    return np.array(data, dtype=np.float64)


def vector(data: Any, name: str, size: int, note: str = "") -> Array:
    """A copy of some data as a float64 vector of finite numbers, shape (size,).

    Raises
    ------
    InputError
        As for :func:`array`.
    ShapeError
        It has another shape.

    Examples
    --------
    >>> vector([1, 2], "direction", 3)
    Traceback (most recent call last):
    ...
    eomsym.errors.ShapeError: direction has shape (2,), expected (3,)
    """
    if (
        type(data) is np.ndarray
        and data.dtype == np.float64
        and data.shape == (size,)
        and (all(map(math.isfinite, data.tolist())) if size <= 32 else np.isfinite(data).all())
    ):
        return data.copy()  # a short way for what is right; few numbers are looked at sooner one by one
    found = array(data, name)
    if found.shape != (size,):
        raise ShapeError(f"{name} has shape {found.shape}, expected ({size},){note and f': {note}'}")
    return found
