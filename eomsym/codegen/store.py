"""Generated modules as files that are named by their content.

A file is written once, in one step (:mod:`eomsym.files`); several processes that write the same content at once do no
harm. A file whose content is not what its name says is written again. numba keeps its own compiled code next to it;
what of it is damaged (:mod:`eomsym.codegen.seals`) or cannot be loaded is removed and compiled again. What several
modules need to be compiled is compiled side by side, in processes of their own.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType

from eomsym.codegen import seals
from eomsym.codegen.source import digest
from eomsym.errors import CacheError, EomsymWarning
from eomsym.files import replace

__all__ = ["cache_folder", "cores", "load", "prepare"]

#: A process that helps costs the import of numba, as much as compiling this many characters.
_START = 3000
_HELPER = """
import importlib, sys
sys.path.insert(0, sys.argv[1])
for name in sys.argv[2:]:
    importlib.import_module(name)
"""
_NONE = subprocess.DEVNULL

_lock = threading.Lock()


def cache_folder() -> Path:
    """Folder of generated modules: ``EOMSYM_CACHE_DIR``, else ``eomsym`` in the user's cache folder.

    Where the latter cannot be written, it is a temporary folder that goes with this process, and a warning says so.

    Raises
    ------
    CacheError
        ``EOMSYM_CACHE_DIR`` cannot be written.
    """
    return _writable(*_wanted())


def _wanted() -> tuple[Path | None, bool]:
    """The folder to use, None where there is no home, and whether the user chose it."""
    try:
        return _usual(), bool(os.environ.get("EOMSYM_CACHE_DIR"))
    except RuntimeError:  # no home
        return None, False


@cache
def _writable(folder: Path | None, chosen: bool) -> Path:
    """The folder, or one to take its place."""
    try:
        if folder is None:
            raise OSError("there is no home folder")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):  # permissions do not tell all, file systems may be read-only
            return folder
    except OSError as error:
        why = f"cannot write to the folder {folder}: {error.strerror or error}"
        if chosen:
            raise CacheError(f"{why}; set EOMSYM_CACHE_DIR to a folder that can be written") from error
    other = Path(tempfile.mkdtemp(prefix="eomsym-"))
    atexit.register(shutil.rmtree, other, ignore_errors=True)
    warnings.warn(
        f"{why}; compiled programs are kept in a temporary folder and compiled again next time, unless you set "
        "EOMSYM_CACHE_DIR to a folder that can be written",
        EomsymWarning,
        stacklevel=2,
    )
    return other


def _usual() -> Path:
    chosen = os.environ.get("EOMSYM_CACHE_DIR")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "eomsym"


def load(source: str) -> ModuleType:
    """The module with this source, from its file in the cache.

    Raises
    ------
    CacheError
        The cache folder cannot be written; set ``EOMSYM_CACHE_DIR`` to one that can.
    """
    name = _name(source)
    with _lock:
        if name in sys.modules:
            return sys.modules[name]
        path = _file(source)
        if seals.broken(path):
            seals.remove(path)
        with _told(path.parent):
            try:
                module = _imported(name, path)
            except Exception:  # unpickling damaged files raises almost anything
                if not seals.remove(path):
                    raise
                module = _imported(name, path)
        seals.seal(path)
        return module


@contextlib.contextmanager
def _told(folder: Path) -> Iterator[None]:
    """A folder that is full or cannot be written, as our error."""
    try:
        yield
    except OSError as error:
        raise CacheError(
            f"cannot write to the folder {folder}: {error.strerror or error}; "
            "make room there, or set EOMSYM_CACHE_DIR to a folder that can be written"
        ) from error


def _imported(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def prepare(sources: Sequence[str]) -> None:
    """Compile modules that numba has not compiled yet, on all cores: on two in half of the time, on eight in a fifth.

    Threads would not do: numba compiles under one lock. A process that fails does no harm, :func:`load` then compiles.

    Parameters
    ----------
    sources : sequence of str

    Raises
    ------
    CacheError
        The cache folder cannot be written.
    """
    missing = [source for source in sources if _name(source) not in sys.modules]
    missing = [source for source in missing if not seals.sealed(cache_folder() / f"{_name(source)}.py")]
    if missing:
        seals.remove_leftovers(cache_folder())
    shares: list[list[str]] = [[] for _ in range(min(cores() if sys.executable else 1, len(missing)))]
    sizes = [float(_START * (k > 0)) for k in range(len(shares))]
    for source in sorted(missing, key=len, reverse=True):
        least = sizes.index(min(sizes))
        shares[least].append(source)
        sizes[least] += len(source) + _START / 4
    command = [sys.executable, "-c", _HELPER, str(cache_folder())]
    helpers = []
    for share in filter(None, shares[1:]):
        paths = [_file(source) for source in share]
        for path in filter(seals.broken, paths):
            seals.remove(path)
        with contextlib.suppress(OSError):  # where no process can be started, this one compiles alone
            process = subprocess.Popen(
                [*command, *(path.stem for path in paths)], stdin=_NONE, stdout=_NONE, stderr=_NONE
            )
            helpers.append((process, paths))
    for source in shares[0] if shares else ():
        load(source)
    for process, paths in helpers:
        if process.wait() == 0:  # what a helper left that was killed has no seal, and is compiled again
            for path in paths:
                seals.seal(path)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _name(source: str) -> str:
    return f"eomsym_kernel_{digest(source)}"


def _file(source: str) -> Path:
    """The file of this source, written if it is not there."""
    path = cache_folder() / f"{_name(source)}.py"
    if not _holds(path, source):
        with _told(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            replace(path, source)
    return path


def _holds(path: Path, source: str) -> bool:
    """Whether a file has exactly this content; a damaged, foreign or missing one has not."""
    try:
        return path.read_text(encoding="utf-8") == source
    except (OSError, UnicodeDecodeError):
        return False
