"""Records: results as JSON, with all that is needed to compute them again.

Every record has the same head, whatever it records: its schema and version, the date, the command, the versions of what
computed it, seed, start and the hash of the data. The schemas are files of this package, see :func:`schema`.
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from fractions import Fraction
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from eomsym import checks
from eomsym._version import __version__
from eomsym.checks import shown
from eomsym.errors import InputError
from eomsym.files import content

__all__ = ["KINDS", "SCHEMA_VERSION", "collection", "data_hash", "dumps", "plain", "record", "schema", "versions"]

SCHEMA_VERSION = 2
#: Records are of these kinds; each has a schema.
KINDS = (
    "verification", "experiment", "counter_terms", "bounds", "bound", "trajectory", "forward", "edge",
    "edge_verification", "collection",
)  # fmt: skip
#: Packages whose versions a number may depend on; None where one is not installed.
_PACKAGES = ("numpy", "scipy", "numba", "sympy", "python-flint", "scikit-learn")
#: Longer starts are in a record by their hash alone.
LONGEST_START = 100_000


def record(
    kind: str,
    content: Mapping[str, Any],
    *,
    command: str | None = None,
    seed: int | None = None,
    start: Any = None,
    data: str | None = None,
) -> dict[str, Any]:
    """Make a record of something that was computed.

    Parameters
    ----------
    kind : str
        One of `KINDS`, such as ``"verification"``: the schema is ``"eomsym." + kind``.
    content : mapping
        What was computed; arrays become lists, exact numbers text, NaN and infinity null.
    command : str, optional
        What was typed to compute it.
    seed : int, optional
        Of the random numbers that went into it.
    start : array_like, shape (n,), optional
        Parameters that it started from. More than 100,000 numbers are kept by their hash alone.
    data : str, optional
        :func:`data_hash` of the data.

    Returns
    -------
    dict
        Fit for :func:`dumps` and for the schema of its kind.

    Raises
    ------
    InputError
        If there is no such kind, or `content` holds a key of the head.

    Examples
    --------
    >>> made = record("experiment", {"status": "passed", "error": float("nan")}, seed=0)
    >>> made["schema"], made["schema_version"], made["seed"], made["error"]
    ('eomsym.experiment', 2, 0, None)
    >>> sorted(made["versions"])[:3]
    ['eomsym', 'numba', 'numpy']
    """
    if not isinstance(kind, str) or kind not in KINDS:
        raise InputError(f"unknown kind of record {checks.shown(kind)}; expected one of {', '.join(KINDS)}")
    checks.instance(content, "content", Mapping, "{'status': 'passed'}")
    numbers = None if start is None else checks.array(start, "start").ravel().tolist()
    head = {
        "schema": f"eomsym.{kind}",
        "schema_version": SCHEMA_VERSION,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "versions": versions(),
        "seed": seed,
        "start": None if numbers is None or len(numbers) > LONGEST_START else numbers,
        "start_hash": None if numbers is None else data_hash(numbers),
        "data_hash": data,
    }
    if taken := sorted(head.keys() & content.keys()):
        raise InputError(f"{', '.join(taken)}: the head of a record has these keys already; choose other names")
    made: dict[str, Any] = plain({**head, **content})
    return made


def collection(records: Iterable[Mapping[str, Any]], *, command: str | None = None) -> dict[str, Any]:
    """Put several records into one.

    Parameters
    ----------
    records : iterable of dict
    command : str, optional

    Returns
    -------
    dict
        Its ``status`` is the most severe of theirs.

    Examples
    --------
    >>> parts = [record("experiment", {"status": status}) for status in ("passed", "inconclusive")]
    >>> collection(parts)["status"]
    'inconclusive'
    """
    listed = checks.items(records, "records", "[report.record()]")
    for one in listed:
        checks.instance(one, "a record", Mapping, "report.record()")
    found = {part.get("status") for part in listed}
    status = next((word for word in ("failed", "inconclusive", "passed") if word in found), None)
    return record("collection", {"status": status, "records": listed}, command=command)


def versions() -> dict[str, str | None]:
    """The versions of what computes; nothing that names a machine or a folder.

    Examples
    --------
    >>> versions()["sympy"][0].isdigit()
    True
    """
    found: dict[str, str | None] = {
        "eomsym": __version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
    }
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def data_hash(*arrays: Any) -> str:
    """SHA-256 of arrays: of their shapes and of their numbers as little-endian doubles.

    Parameters
    ----------
    *arrays : array_like

    Returns
    -------
    str
        ``"sha256:"`` and 64 digits; the same on every machine.

    Examples
    --------
    >>> data_hash([1, 2]) == data_hash([1.0, 2.0]), data_hash([1, 2]) == data_hash([[1, 2]])
    (True, False)
    """
    import numpy as np

    total = hashlib.sha256()
    for array in arrays:
        numbers = np.ascontiguousarray(array, dtype="<f8")
        total.update(f"{numbers.shape};".encode())
        total.update(numbers.tobytes())
    return f"sha256:{total.hexdigest()}"


def plain(value: Any) -> Any:
    """Turn a value into what JSON knows, all the way down.

    Examples
    --------
    >>> plain({"a": (1, float("inf"), Fraction(1, 3))})
    {'a': [1, None, '1/3']}
    """
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, Mapping):
        return {_text(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):  # arrays of numpy, and their numbers
        listed = value.tolist()
        if type(listed) is not type(value):
            return plain(listed)
        return plain(float(value)) if isinstance(value, Real) else _text(value)  # longer floats than those of Python
    if isinstance(value, Integral):
        _text(int(value))
        return int(value)
    if isinstance(value, (Real, float)) and not isinstance(value, Fraction) and not hasattr(value, "free_symbols"):
        return float(value) if math.isfinite(value) else None
    return _text(value)  # exact numbers, symbols, paths


def _text(value: Any) -> str:
    """As JSON writes it; Python refuses integers of more than some thousand digits."""
    try:
        return str(value)
    except ValueError as error:
        raise InputError(f"a record cannot hold {shown(value)}; give it a text, or a float") from error


def dumps(value: Any) -> str:
    """Write a record as JSON text, one key a line; a list of numbers stays in its line.

    Examples
    --------
    >>> print(dumps({"a": [1, 2.5], "b": {"c": float("nan")}}), end="")
    {
     "a": [1, 2.5],
     "b": {
      "c": null
     }
    }
    """
    return _written(plain(value), "") + "\n"


def _written(value: Any, indent: str) -> str:
    nested = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    simple = isinstance(value, list) and not any(isinstance(item, (dict, list)) for item in nested)
    if not value or simple or not isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    deeper = indent + " "
    lines = [_written(item, deeper) for item in nested]
    if isinstance(value, dict):
        lines = [f"{json.dumps(key, ensure_ascii=False)}: {line}" for key, line in zip(value, lines, strict=True)]
    left, right = "{}" if isinstance(value, dict) else "[]"
    return f"{left}\n{deeper}" + f",\n{deeper}".join(lines) + f"\n{indent}{right}"


def schema(kind: str) -> dict[str, Any]:
    """The JSON Schema of a kind of record (draft 2020-12).

    Parameters
    ----------
    kind : str
        One of `KINDS`, such as ``"verification"``; or ``"head"``, which is what all have.

    Returns
    -------
    dict

    Raises
    ------
    InputError
        If there is no such kind.

    Examples
    --------
    >>> schema("verification")["$id"]
    'eomsym.verification.json'
    """
    if not isinstance(kind, str) or kind not in (*KINDS, "head"):
        raise InputError(f"unknown kind of record {shown(kind)}; expected one of {', '.join((*KINDS, 'head'))}")
    text = files("eomsym.output").joinpath(f"schemas/{kind}.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def read(path: str | Path) -> dict[str, Any]:
    """Read a record from a file, and see that it is one.

    Raises
    ------
    InputError
        If it cannot be read, is no record, or has another version.

    Examples
    --------
    >>> read("/dev/null")
    Traceback (most recent call last):
    ...
    eomsym.errors.InputError: /dev/null is no record of eomsym: expected a JSON file with "schema": "eomsym...."
    """
    try:
        found = json.loads(content(checks.path(path, such_as="verify.json")))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}; give a file that exists") from error
    except ValueError:
        found = None
    if not isinstance(found, dict) or not str(found.get("schema")).startswith("eomsym."):
        raise InputError(f'{path} is no record of eomsym: expected a JSON file with "schema": "eomsym...."')
    if found.get("schema_version") != SCHEMA_VERSION:
        raise InputError(
            f"{path} has schema_version {found.get('schema_version')}, expected {SCHEMA_VERSION}; "
            f"read it with eomsym {(found.get('versions') or {}).get('eomsym', 'of its time')}"
        )
    return found
