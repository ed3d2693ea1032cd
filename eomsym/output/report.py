"""Reports as text for machines, web pages and papers."""

from __future__ import annotations

import json
import math
import os
import platform
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from eomsym._version import __version__
from eomsym.errors import InputError
from eomsym.verification.verdict import MISFIT_TOLERANCE, SLOPE_TOLERANCE, TRUST, Report, worst

__all__ = ["check_writable", "to_json", "to_latex", "to_markdown", "write"]

SCHEMA = "eomsym.verification"
SCHEMA_VERSION = 1
LONGEST_START = 16


def to_json(reports: Iterable[Report]) -> str:
    """Return a JSON record of some reports.

    NaN and infinity, which JSON does not know, become null; so does a start of more than sixteen numbers.

    Parameters
    ----------
    reports : iterable of Report

    Returns
    -------
    str

    Examples
    --------
    >>> import eomsym as eom
    >>> report = eom.verify(eom.Loss("x**4/4", variables="x"), [1.0], time=1.0, orders=[0, 1])
    >>> record = json.loads(to_json([report]))
    >>> record["schema"], record["schema_version"], record["reports"][0]["orders"][1]["expected_slope"]
    ('eomsym.verification', 1, 2)
    """
    listed = list(reports)
    record = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "status": worst(report.status for report in listed),
        "provenance": provenance(),
        "tolerances": {"slope": SLOPE_TOLERANCE, "misfit": MISFIT_TOLERANCE, "trust": TRUST},
        "reports": [_record(report) for report in listed],
    }
    return json.dumps(_finite(record), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def provenance() -> dict[str, str]:
    """Return the versions of what computed a report; nothing that names a machine or a folder.

    Returns
    -------
    dict

    Examples
    --------
    >>> sorted(provenance())[:3]
    ['eomsym', 'machine', 'numba']
    """
    found = {
        "eomsym": __version__,
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
    }
    for package in ("numpy", "numba", "scipy", "scikit-learn"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def to_markdown(report: Report) -> str:
    """Return a report as a Markdown table.

    Parameters
    ----------
    report : Report

    Returns
    -------
    str

    Examples
    --------
    >>> import eomsym as eom
    >>> report = eom.verify(eom.Loss("x**4/4", variables="x"), [1.0], time=1.0, ladder=(20, 40), orders=[0])
    >>> print(to_markdown(report).splitlines()[2])
    | order | η=0.05 | η=0.025 | slope | theory | ratio | misfit | reference | status |
    """
    heading, *rows = ["| " + " | ".join(row) + " |" for row in report.table()]
    ruler = "|" + "--:|" * (len(report.table()[0]) - 1) + "---|"
    notes = [f"* order {result.order}: {result.reason}" for result in report.orders if result.reason]
    title = f"**{report.name}**, {report.method}, {report.size} parameters, time {report.time:g}: {report.status}"
    return "\n".join([title, "", heading, ruler, *rows, *([""] if notes else []), *notes]) + "\n"


def to_latex(report: Report) -> str:
    r"""Return a report as a LaTeX ``tabular``, which needs no package.

    Parameters
    ----------
    report : Report

    Returns
    -------
    str

    Examples
    --------
    >>> import eomsym as eom
    >>> report = eom.verify(eom.Loss("x**4/4", variables="x"), [1.0], time=1.0, ladder=(20, 40), orders=[0])
    >>> print(to_latex(report).splitlines()[0])
    \begin{tabular}{rrrrrrrrl}
    """
    heading, *rows = report.table()
    names = [rf"$\eta={cell[2:]}$" if cell.startswith("η=") else cell for cell in heading]
    body = [" & ".join(_latex(cell) for cell in row) + r" \\" for row in rows]
    return "\n".join(
        [
            rf"\begin{{tabular}}{{{'r' * (len(heading) - 1)}l}}",
            r"\hline",
            " & ".join(names) + r" \\",
            r"\hline",
            *body,
            r"\hline",
            r"\end{tabular}",
            "",
        ]
    )


def _latex(cell: str) -> str:
    """One cell; ``1.2e-03`` becomes a power of ten."""
    bare = cell.strip("()")
    if "e" not in bare or not bare[0].isdigit():
        return cell.replace("–", "--")
    mantissa, exponent = bare.split("e")
    power = rf"{mantissa}\cdot 10^{{{int(exponent)}}}"
    return f"$({power})$" if cell.startswith("(") else f"${power}$"


def _record(report: Report) -> dict[str, Any]:
    record = asdict(report)
    if report.size > LONGEST_START:
        record["start"] = None
    record["status"], record["etas"] = report.status, report.etas
    for entry, result in zip(record["orders"], report.orders, strict=True):
        entry["ratios"], entry["trusted"] = result.ratios, result.trusted
    return record


def _finite(value: Any) -> Any:
    """Replace what JSON cannot hold by None, all the way down."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def check_writable(path: str | Path) -> Path:
    """Check that a file could be written, before work is spent on what goes into it; leave no trace.

    Parameters
    ----------
    path : str or Path
        A file; neither it nor its folder need exist.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If it cannot be written.

    Examples
    --------
    >>> check_writable("/dev/null/report.json")
    Traceback (most recent call last):
    ...
    eomsym.errors.InputError: cannot write /dev/null/report.json: /dev/null is no folder; name another file
    """
    target = Path(path)
    folder = target.absolute().parent
    while not os.path.lexists(folder):
        folder = folder.parent
    if target.is_dir():
        complaint = "it is a folder"
    elif not folder.is_dir():
        complaint = f"{folder} is no folder"
    elif not os.access(folder, os.W_OK | os.X_OK):
        complaint = f"no permission in {folder}"
    else:
        return target
    raise InputError(f"cannot write {target}: {complaint}; name another file")


def write(path: str | Path, content: str | bytes) -> None:
    """Write a file whole or not at all, and the folders that it needs.

    Parameters
    ----------
    path : str or Path
    content : str or bytes

    Raises
    ------
    InputError
        If it cannot be written.

    Examples
    --------
    >>> write("/dev/null/report.json", "{}")
    Traceback (most recent call last):
    ...
    eomsym.errors.InputError: cannot write /dev/null/report.json: /dev/null is no folder; name another file
    """
    target = check_writable(path)
    name = ""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-")
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        # mkstemp makes files that only their owner can read; a report is an ordinary file.
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, target)
    except OSError as error:
        if name:
            Path(name).unlink(missing_ok=True)
        raise InputError(f"cannot write {target}: {error.strerror or error}; name another file") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
