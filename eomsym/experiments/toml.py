"""Tables in TOML, and the line and the key of what is wrong in one."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eomsym import checks
from eomsym.errors import InputError
from eomsym.files import content

__all__ = ["place", "read_table"]

_HEADING = re.compile(r"\s*\[\[?\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$")
#: A key, at the beginning of a line or in a table in braces.
_KEY = re.compile(r"""(?:^\s*|[{,]\s*)((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")


def read_table(path: str | Path) -> tuple[dict[str, Any], str]:
    """A table and the text it was read from.

    Raises
    ------
    InputError
        It cannot be read, or is no TOML; with the line.
    """
    try:
        text = content(checks.path(path, such_as="case.toml")).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    try:
        return tomllib.loads(text), text
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        lines = text.splitlines()
        line = lines[int(found[1]) - 1].strip() if found and int(found[1]) <= len(lines) else ""
        raise InputError(f"{path} is no TOML: {error}{f': {line}' if line else ''}") from error


def place(text: str, message: str) -> str:
    """Where a text says what a message complains of, as ``", line 3, key method"``; empty where that is not known.

    Examples
    --------
    >>> text = 'method = "adamm"\\n[network]\\nwidth = "three"'
    >>> place(text, "network: width is 'three', expected int"), place(text, "unknown optimiser 'adamm'")
    (', line 3, key network.width', ', line 1, key method')
    """
    keys = list(_keys(text))
    for table, key in _named(message):
        last = key.rpartition(".")[2]
        fitting = [(line, path) for line, path in keys if path.rpartition(".")[2] == last or path == key]
        within = [found for found in fitting if table and table in found[1].split(".")[:-1]]
        for line, path in within or fitting:
            return f", line {line}, key {path}"
    for word in (*re.findall(r"'([^']+)'", message), message.partition(" ")[0]):
        if value := re.search(rf"[\"']{re.escape(word)}[\"']", text):
            before = list(_keys(text[: value.start()] + "?"))
            line = text.count("\n", 0, value.start()) + 1
            return f", line {line}" + (f", key {before[-1][1]}" if before else "")
    return ""


def _named(message: str) -> Iterator[tuple[str, str]]:
    """Tables and keys that a message names, the surest first."""
    unknown = re.match(r"(?:a |the range of )?([\w.-]+) has the unknown key '([^']+)'", message)
    if unknown:
        yield unknown[1], unknown[2]
    wrong = re.match(r"(?:([\w.-]+(?: [\w.-]+)*): )?([\w.-]+) (?:is|=|must be) ", message)
    if wrong:
        yield wrong[1] or "", wrong[2]
    ranged = re.match(r"the range of ([\w.-]+)", message)
    if ranged:
        yield "", ranged[1]
    refused = re.match(r"[\w-]+ does not take ([\w-]+)", message)
    if refused:
        yield "", refused[1]
    needing = re.match(r"([\w.-]+)(?: [^\s:]+)?(?::| needs| of)", message)
    if needing:
        yield "", needing[1]


def _keys(text: str) -> Iterator[tuple[int, str]]:
    """Each key with its line, and with the tables that it is in."""
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if heading := _HEADING.match(line):
            table = heading[1].replace('"', "").replace("'", "")
            yield number, table
            continue
        outer = ""
        for found in _KEY.finditer(line.partition(" #")[0]):
            key = re.sub(r"[\"'\s]", "", found[1])
            path = ".".join(filter(None, [table, outer, key]))
            outer = outer or key
            yield number, path
