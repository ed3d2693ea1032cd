"""One writer at a time: a lock beside a file, which the system gives back when its process ends, however it ends."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from eomsym.errors import InputError

__all__ = ["locked"]


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file.

    Raises
    ------
    InputError
        Another process holds it.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "records.sqlite"
    >>> with locked(path):
    ...     path.with_name("records.sqlite.lock").exists()
    True
    >>> path.with_name("records.sqlite.lock").exists()
    False
    """
    beside = path.with_name(f"{path.name}.lock")
    try:
        handle = os.open(beside, os.O_RDWR | os.O_CREAT, 0o644)
        taken = _take(handle)
        # The holder may have removed the file between our opening it and its letting go: take the lock of the new one.
        while taken and not _same(handle, beside):
            os.close(handle)
            handle = os.open(beside, os.O_RDWR | os.O_CREAT, 0o644)
            taken = _take(handle)
    except OSError as error:
        raise InputError(
            f"cannot write {beside}: {error.strerror}; give a file in a folder that can be written"
        ) from error
    try:
        if not taken:
            raise InputError(f"another sweep is writing to {path}; wait for it, or give another file")
        yield
        with contextlib.suppress(OSError):
            beside.unlink()
    finally:
        os.close(handle)


def _same(handle: int, path: Path) -> bool:
    """Whether an open file is still the one of this name."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _take(handle: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
