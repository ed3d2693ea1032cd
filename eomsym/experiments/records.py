"""Records of cases in one SQLite file: written as cases end, never lost, never overwritten."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np

from eomsym import checks
from eomsym._version import __version__
from eomsym.errors import InputError, MissingDependencyError
from eomsym.experiments.case import Case, Outcome
from eomsym.experiments.columns import read_frame
from eomsym.output.records import versions

__all__ = ["COLUMNS", "Curve", "Records"]

#: Says whose files these are: "eoms" as an integer.
APPLICATION = 0x656F6D73
SCHEMA_VERSION = 3  # 2: learning rates beside errors and predictions; 3: what is measured beside
SCHEMA = """
CREATE TABLE environments (hash TEXT PRIMARY KEY, versions TEXT NOT NULL);
CREATE TABLE cases (
    key TEXT PRIMARY KEY,
    definition TEXT NOT NULL,
    title TEXT NOT NULL,
    method TEXT NOT NULL,
    seed INTEGER,
    status TEXT NOT NULL,
    size INTEGER NOT NULL,
    seconds REAL NOT NULL,
    error TEXT NOT NULL,
    etas TEXT NOT NULL,
    finished TEXT NOT NULL,
    environment TEXT NOT NULL REFERENCES environments(hash)
);
CREATE TABLE orders (
    key TEXT NOT NULL REFERENCES cases(key),
    "order" INTEGER NOT NULL,
    status TEXT NOT NULL,
    reason TEXT NOT NULL,
    expected_slope INTEGER,
    slope REAL, ratio REAL, misfit REAL, error REAL, prediction REAL, reference REAL,
    errors TEXT NOT NULL, predictions TEXT NOT NULL,
    PRIMARY KEY (key, "order")
);
CREATE TABLE measures (
    key TEXT NOT NULL REFERENCES cases(key),
    name TEXT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (key, name)
);
CREATE INDEX by_status ON cases(status);
"""
#: Columns of :meth:`Records.rows`: one row for each order of each case; one for a case without orders.
COLUMNS = (
    "key", "title", "method", "seed", "case_status", "size", "seconds", "case_error", "finished",
    "order", "status", "reason", "expected_slope", "slope", "ratio", "misfit", "error", "prediction", "reference",
)  # fmt: skip
_ROWS = """
SELECT c.key, c.title, c.method, c.seed, c.status, c.size, c.seconds, c.error, c.finished,
       o."order", o.status, o.reason, o.expected_slope, o.slope, o.ratio, o.misfit, o.error, o.prediction, o.reference
FROM cases AS c LEFT JOIN orders AS o ON o.key = c.key
"""


class Curve(NamedTuple):
    """What was measured for one order of a case at each learning rate, and what was predicted; arrays of one length."""

    status: str
    etas: np.ndarray
    errors: np.ndarray
    predictions: np.ndarray


class Records:
    """A file of outcomes: one row a case, by the hash of its definition.

    Parameters
    ----------
    path : path-like
        Made where there is none.

    Raises
    ------
    InputError
        The file is no record of eomsym, has another schema, or is damaged; it is left as it is.

    Examples
    --------
    >>> import tempfile
    >>> from eomsym.experiments.case import run_case
    >>> case = Case({"loss": "x**4/4", "variables": "x", "start": [1.0], "orders": [0], "ladder": [20, 40]})
    >>> with Records(Path(tempfile.mkdtemp()) / "some.sqlite") as records:
    ...     records.add([run_case(case)])
    ...     records.counts(), case.key in records
    ({'passed': 1}, True)
    """

    def __init__(self, path: str | Path) -> None:
        self.path = checks.path(path)
        fresh = not self.path.exists() or self.path.stat().st_size == 0
        if not self.path.parent.is_dir():
            raise InputError(
                f"cannot write {path}: there is no folder {self.path.parent}; make it, or give another file"
            )
        try:
            self._connection = sqlite3.connect(self.path, timeout=30, isolation_level=None, check_same_thread=False)
            if fresh:
                self._begin()
            self._check()
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
        except sqlite3.OperationalError as error:
            raise InputError(f"cannot open {path}: {error}; give a file in a folder that can be written") from error
        except sqlite3.DatabaseError as error:
            raise InputError(f"{path} is damaged, or no record file ({error}); it was left as it is") from error

    def _begin(self) -> None:
        connection = self._connection
        connection.execute("PRAGMA journal_mode=WAL")
        with self._transaction():
            if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                return  # another process was faster
            for statement in SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id={APPLICATION}")
            connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")

    def _check(self) -> None:
        [application] = self._connection.execute("PRAGMA application_id").fetchone()
        [schema] = self._connection.execute("PRAGMA user_version").fetchone()
        if application != APPLICATION:
            raise InputError(f"{self.path} is not a record file of eomsym; it was left as it is. Give another file")
        if schema != SCHEMA_VERSION:
            raise InputError(
                f"{self.path} has schema {schema}, and eomsym {__version__} knows {SCHEMA_VERSION}; it was left as it "
                "is. Give another file, or read it with the version that wrote it"
            )
        [found] = self._connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise InputError(f"{self.path} is damaged ({found}); it was left as it is. Give another file")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Write outcomes in one transaction: all of them or none; a case that is there already is kept."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        told_versions = json.dumps(versions(), sort_keys=True)
        label = hashlib.sha256(told_versions.encode()).hexdigest()[:16]
        with self._transaction():
            run = self._connection.execute
            run("INSERT OR IGNORE INTO environments VALUES (?, ?)", (label, told_versions))
            for one in outcomes:
                said = one.case.definition
                row = (
                    one.case.key, one.case.text, one.case.title, one.case.method_title,
                    said.get("seed"), one.status, one.size, one.seconds, one.error, json.dumps(one.etas), now, label,
                )  # fmt: skip
                if run("INSERT OR IGNORE INTO cases VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", row).rowcount:
                    for found in one.orders:
                        lists = (json.dumps(found["errors"]), json.dumps(found["predictions"]))
                        numbers = tuple(found[name] for name in COLUMNS[9:])
                        run("INSERT INTO orders VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)", (one.case.key, *numbers, *lists))
                    for name, content in one.measures.items():
                        run("INSERT INTO measures VALUES (?,?,?)", (one.case.key, name, json.dumps(content)))

    def __contains__(self, key: object) -> bool:
        return self._connection.execute("SELECT 1 FROM cases WHERE key = ?", (key,)).fetchone() is not None

    def __len__(self) -> int:
        count: int = self._connection.execute("SELECT count(*) FROM cases").fetchone()[0]
        return count

    def keys(self) -> set[str]:
        """Hashes of the cases that are done."""
        return {key for (key,) in self._connection.execute("SELECT key FROM cases")}

    def counts(self) -> dict[str, int]:
        """How many cases have each status."""
        return dict(self._connection.execute("SELECT status, count(*) FROM cases GROUP BY status ORDER BY status"))

    def case(self, key: str) -> Case:
        """A case by its hash, or by the beginning of it.

        Raises
        ------
        InputError
            There is none, or more than one.
        """
        found = self._connection.execute(
            "SELECT definition FROM cases WHERE key >= ? AND key < ? LIMIT 2", (key, key + "g")
        ).fetchall()
        if len(found) != 1:
            raise InputError(f"{'no case' if not found else 'more than one case'} of {self.path} begins with {key!r}")
        return Case(json.loads(found[0][0]))

    def rows(self, status: str | None = None) -> list[tuple[Any, ...]]:
        """Rows with the `COLUMNS`, of all cases or of those with a status, in the order of their hashes."""
        where = "" if status is None else " WHERE c.status = ?"
        given = () if status is None else (status,)
        return self._connection.execute(f'{_ROWS}{where} ORDER BY c.key, o."order"', given).fetchall()

    def definitions(self) -> dict[str, dict[str, Any]]:
        """The definition of each case by its hash."""
        return {key: json.loads(text) for key, text in self._connection.execute("SELECT key, definition FROM cases")}

    def curves(self, count: int) -> dict[tuple[str, int], Curve]:
        """Errors and predictions over the learning rates, by case and order, of the first `count` that were judged."""
        found = self._connection.execute(
            'SELECT o.key, o."order", o.status, c.etas, o.errors, o.predictions FROM orders AS o JOIN cases AS c '
            "ON c.key = o.key WHERE o.key IN (SELECT key FROM cases WHERE status != 'error' ORDER BY key LIMIT ?) "
            'ORDER BY o.key, o."order"',
            (count,),
        )
        return {(key, order): Curve(status, *map(_numbers, lists)) for key, order, status, *lists in found}

    def measures(self, name: str, count: int = -1) -> dict[str, dict[str, Any]]:
        """What cases measured beside their verdicts, by their hashes; of the first `count` that could."""
        found = self._connection.execute(
            "SELECT key, content FROM measures WHERE name = ? AND json_extract(content, '$.why') IS NULL "
            "ORDER BY key LIMIT ?",
            (name, count),
        )
        return {key: json.loads(content) for key, content in found}

    def environments(self) -> list[dict[str, str]]:
        """Versions with which cases were run."""
        return [json.loads(text) for (text,) in self._connection.execute("SELECT versions FROM environments")]

    def frame(self, status: str | None = None) -> Any:
        """The rows as a pandas DataFrame; 100,000 cases in about a second.

        Parameters
        ----------
        status : str, optional
            Only cases with this status.

        Returns
        -------
        pandas.DataFrame
            With the `COLUMNS`, in the order of the hashes.

        Raises
        ------
        MissingDependencyError
            pandas is not installed.
        """
        return read_frame(self._connection, status)

    def to_csv(self, path: str | Path) -> None:
        """Write the rows as CSV."""
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows(self.rows())

    def to_parquet(self, path: str | Path) -> None:
        """Write the rows as Parquet; needs pandas and pyarrow."""
        try:
            self.frame().to_parquet(path)
        except ImportError as error:
            raise MissingDependencyError(
                "Parquet needs pandas and pyarrow; type: pip install pandas pyarrow"
            ) from error

    def close(self) -> None:
        """Close the file; its journal is folded into it."""
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _numbers(text: str) -> np.ndarray:
    """A list in JSON; what was not finite is NaN."""
    return np.array([np.nan if x is None else x for x in json.loads(text)], dtype=np.float64)
