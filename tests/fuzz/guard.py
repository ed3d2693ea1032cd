"""What every call must leave as it found it, and how long it may take."""

from __future__ import annotations

import contextlib
import decimal
import locale
import os
import random
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.font_manager  # keeps a list of fonts in the user's home
import numba
import numpy as np

#: Seconds of this process's time (not of the clock: machines are busy) that a call may take.
LONGEST = float(os.environ.get("EOMSYM_FUZZ_SECONDS", "20"))
#: Where a call may write: what it was asked to write goes there.
ASKED = "asked"


class TooLong(BaseException):
    """A call ran over. Not an Exception, so that nothing takes it for an error of its own."""


class Here(Executor):
    """An executor without processes."""

    def submit(self, function: Any, /, *arguments: Any, **named: Any) -> Any:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments, **named))
        except Exception as error:
            future.set_exception(error)
        return future


def state() -> dict[str, Any]:
    """Settings of the process that belong to the user."""
    return {
        "numpy errors": np.geterr(),
        "numpy print options": np.get_printoptions(),
        "numpy random": hash(np.random.get_state()[1].tobytes()),  # noqa: NPY002
        "random": hash(random.getstate()),
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "temporary folder": tempfile.gettempdir(),
        "threads of numba": numba.get_num_threads(),
        "precision of decimals": decimal.getcontext().prec,
        "precision of mpmath": sys.modules["mpmath"].mp.prec if "mpmath" in sys.modules else 53,
        "precision of flint": sys.modules["flint"].ctx.prec if "flint" in sys.modules else 53,
        "warnings": list(warnings.filters),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "locale": locale.setlocale(locale.LC_ALL),
        "limit of recursion": sys.getrecursionlimit(),
        "matplotlib": dict(matplotlib.rcParams),
        "streams": (sys.stdout, sys.stderr),
    }


def files(folder: Path) -> set[str]:
    """All files below a folder but those that were asked for."""
    found = (path.relative_to(folder) for path in folder.rglob("*"))
    return {str(path) for path in found if path.parts[0] != ASKED}


def clear(folder: Path) -> None:
    """Remove what a call was asked to write, so that the next one finds the same."""
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def remove(folder: Path, name: str, there: set[str]) -> None:
    """Remove a file that a call was asked to write, and the folders that were made for it."""
    for suffix in ("", "-shm", "-wal"):  # an open file of SQLite is three
        with contextlib.suppress(OSError, ValueError):
            (folder / f"{name}{suffix}").unlink()
    for parent in Path(name).parents:
        if not Path(name).is_absolute() and ".." not in parent.parts and str(parent) not in there | {ASKED, "."}:
            with contextlib.suppress(OSError):
                (folder / parent).rmdir()


@contextlib.contextmanager
def limited(seconds: float = LONGEST) -> Iterator[None]:
    """AssertionError after some seconds of CPU time. Machine code that never returns is not stopped."""

    def stop(number: int, frame: Any) -> None:
        raise TooLong(f"more than {seconds:g} s of CPU time")

    assert threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    except TooLong as error:  # of a BaseException Hypothesis would not say which call it was
        raise AssertionError(str(error)) from error
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@contextlib.contextmanager
def unchanged(folder: Path, named: Iterable[Any] = ()) -> Iterator[None]:
    """Refuse a call that leaves a file, or another setting of NumPy, numba, Python or the process.

    What its arguments name it may write.
    """
    before, there, threads, loaded = state(), files(folder), threading.active_count(), set(sys.modules)
    try:
        yield
    finally:
        clear(folder / ASKED)
        for name in named:
            if isinstance(name, (str, Path)) and str(name) not in ("", ".") and "\0" not in str(name):
                remove(folder, str(name), there)
    after = state()
    if {"jax", "torch"} & set(sys.modules) - loaded:  # their import changes filters, the environment, a seed
        return
    changed = {name: (before[name], after[name]) for name in before if before[name] != after[name]}
    assert not changed, f"left behind other settings: {changed}"
    left = files(folder) - there
    assert not left, f"left behind files: {sorted(left)}"
    deadline = time.monotonic() + 5
    while threading.active_count() > threads and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= threads, f"left behind threads: {threading.enumerate()}"
