"""The rows of a file of records as columns of pandas: read table by table, put together by numbers."""

from __future__ import annotations

import gc
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from eomsym.errors import MissingDependencyError

__all__ = ["OF_CASE", "OF_ORDER", "read_frame"]

#: Columns of the table `cases`, and what they are called in a frame.
OF_CASE = {
    "key": "key", "title": "title", "method": "method", "seed": "seed", "status": "case_status", "size": "size",
    "seconds": "seconds", "error": "case_error", "finished": "finished",
}  # fmt: skip
#: Columns of the table `orders`.
OF_ORDER = (
    "order", "status", "reason", "expected_slope", "slope", "ratio", "misfit", "error", "prediction", "reference",
)  # fmt: skip
WHOLE = {"order", "expected_slope", "size", "seed"}
TEXT = {"key", "title", "method", "case_status", "case_error", "finished", "status", "reason"}


def read_frame(connection: sqlite3.Connection, status: str | None = None) -> Any:
    """One row for each order of each case, in the order of the hashes; one row for a case without orders.

    A join in SQLite would make every text of a case anew for each of its orders; here the tables are read once each,
    and the rows are put together in NumPy.

    Parameters
    ----------
    connection : sqlite3.Connection
    status : str, optional
        Only cases with this status.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    MissingDependencyError
        pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise MissingDependencyError("a frame needs pandas; type: pip install pandas") from error
    where, given = ("", ()) if status is None else (" WHERE status = ?", (status,))
    inside = "" if status is None else " WHERE key IN (SELECT key FROM cases WHERE status = ?)"
    with _no_collection():
        cases = _columns(connection, f"SELECT {', '.join(OF_CASE)} FROM cases{where}", given, len(OF_CASE))
        wanted = ", ".join(f'"{name}"' for name in ("key", *OF_ORDER))
        orders = _columns(connection, f"SELECT {wanted} FROM orders{inside}", given, 1 + len(OF_ORDER))
        case, order = _rows(cases[0], orders[0], orders[1].astype(np.int64))
        columns = [*zip(OF_CASE.values(), cases, strict=True), *zip(OF_ORDER, orders[1:], strict=True)]
        places = [case] * len(cases) + [order] * len(OF_ORDER)
        found = {name: _taken(pandas, name, values, rows) for (name, values), rows in zip(columns, places, strict=True)}
        return pandas.DataFrame(found, copy=False)


def _columns(connection: sqlite3.Connection, query: str, given: tuple[Any, ...], width: int) -> np.ndarray:
    """What a query gives, as an array of objects, shape (columns, rows)."""
    rows = connection.execute(query, given).fetchall()
    made = np.empty((len(rows), width), dtype=object)
    if rows:
        made[:] = rows
    return made.T


def _rows(keys: np.ndarray, of: np.ndarray, orders: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each row of the frame its case, and its order or -1 where a case has none."""
    place = dict(zip(keys, range(len(keys)), strict=True))
    # The orders of a case mostly follow each other: what is looked up is the first of each such stretch.
    begins = np.flatnonzero(np.append(True, of[1:] != of[:-1])) if len(of) else np.array([], dtype=np.int64)
    first = np.fromiter(map(place.__getitem__, of[begins]), np.int64, len(begins))
    owner = np.repeat(first, np.diff(np.append(begins, len(of))))
    without = np.flatnonzero(np.bincount(owner, minlength=len(keys)) == 0)
    case = np.concatenate([owner, without])
    order = np.concatenate([np.arange(len(of)), np.full(len(without), -1)])
    rank = np.empty(len(keys), dtype=np.int64)
    rank[np.argsort(keys.astype("S"))] = np.arange(len(keys))
    sorted_by = np.lexsort([np.concatenate([orders, np.full(len(without), -1)]), rank[case]])
    return case[sorted_by], order[sorted_by]


def _taken(pandas: Any, name: str, values: np.ndarray, rows: np.ndarray) -> Any:
    """A column: text as text, numbers as numbers, whole ones whole where none is missing; row -1 is missing."""
    holes = bool((rows < 0).any())
    if name in TEXT:
        words = {word: k for k, word in enumerate(dict.fromkeys(values))}
        if len(words) < len(values) / 8:  # few words that come again and again
            rows = np.append(np.fromiter(map(words.__getitem__, values), np.int64, len(values)), -1)[rows]
            values = np.array(list(words), dtype=object)
        made = pandas.array(values, dtype="str")
        return made.take(rows, allow_fill=True) if holes else made.take(rows)
    made = values.astype(np.float64)
    if holes:
        return np.append(made, np.nan)[rows]
    whole = name in WHOLE and not np.isnan(made).any()
    return (values.astype(np.int64) if whole else made)[rows]


@contextmanager
def _no_collection() -> Iterator[None]:
    """Millions of new objects, none of which is garbage, are not searched for garbage."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()
