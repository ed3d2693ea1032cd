"""Generated modules as files that are named by their content.

A file is written once, beside its final name, and moved there in one step; several processes that write the same
content at once do no harm. A file whose content is not what its name says is written again. numba keeps its own
compiled code next to it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import tempfile
import threading
from pathlib import Path
from types import ModuleType

from eomsym.codegen.source import digest
from eomsym.errors import CacheError

__all__ = ["cache_folder", "load", "write_atomically"]

_lock = threading.Lock()


def cache_folder() -> Path:
    """Folder of generated modules: ``EOMSYM_CACHE_DIR``, else ``eomsym`` in the user's cache folder."""
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


def write_atomically(path: Path, text: str) -> None:
    """Write a text file as a whole or not at all.

    Raises
    ------
    CacheError
        The folder cannot be made or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    except OSError as error:
        raise CacheError(f"cannot write to the folder {path.parent}: {error.strerror}; choose another one") from error
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise CacheError(f"cannot write {path}: {error.strerror}") from error


def load(source: str) -> ModuleType:
    """The module with this source, from its file in the cache.

    Raises
    ------
    CacheError
        The cache folder cannot be written; set ``EOMSYM_CACHE_DIR`` to one that can.
    """
    name = f"eomsym_kernel_{digest(source)}"
    with _lock:
        if name in sys.modules:
            return sys.modules[name]
        path = cache_folder() / f"{name}.py"
        if not _holds(path, source):
            try:
                write_atomically(path, source)
            except CacheError as error:
                raise CacheError(f"{error} (set EOMSYM_CACHE_DIR to a folder that can be written)") from error
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


def _holds(path: Path, source: str) -> bool:
    """Whether a file has exactly this content; a damaged, foreign or missing one has not."""
    try:
        return path.read_text(encoding="utf-8") == source
    except (OSError, UnicodeDecodeError):
        return False
