"""Seals on compiled code: what Python and numba keep of a generated module is loaded only as it was written.

numba notices a file that is cut short, as it cannot be unpickled; a byte that changed it runs as machine code. So the
digests of all kept files of a module stand in one more file beside them, written last. Where a digest does not fit, a
file is missing, or the process was killed before it could seal, everything kept of the module is removed and compiled
again. Several processes may compile the same module at once: whichever writes last also seals last, and a reader that
comes between compiles once more.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from eomsym.files import replace

__all__ = ["broken", "remove", "remove_leftovers", "seal", "sealed"]

#: Seconds after which an unfinished file is nobody's any more.
_ABANDONED = 3600.0


def sealed(path: Path) -> bool:
    """Whether a module has a seal, whatever it says.

    Parameters
    ----------
    path : Path
        The file of the module.
    """
    return _seal(path).exists()


def broken(path: Path) -> bool:
    """Whether something is kept of a module that is not what was written."""
    kept = sorted(_kept(path))
    try:
        return bool(kept or sealed(path)) and _seal(path).read_text(encoding="ascii") != _lines(kept)
    except (OSError, UnicodeDecodeError):
        return True


def seal(path: Path) -> None:
    """Seal what was just written of a module; in a folder that is full it stays without, and is compiled again."""
    with contextlib.suppress(OSError):
        kept = sorted(_kept(path))
        if kept and not (sealed(path) and all(_age(file) >= _age(_seal(path)) for file in kept)):
            replace(_seal(path), _lines(kept))


def _age(file: Path) -> int:
    return -file.stat().st_mtime_ns


def remove(path: Path) -> bool:
    """Remove what is kept of a module, the seal first; whether there was anything."""
    kept = [*_kept(path)]
    for file in (_seal(path), *kept):
        with contextlib.suppress(OSError):
            file.unlink()
    return bool(kept)


def remove_leftovers(folder: Path) -> None:
    """Remove what processes left that were killed while they wrote into a folder of modules."""
    for pattern in (".*.part", "__pycache__/.*.part", "__pycache__/*.tmp.*", "__pycache__/*.pyc.*"):
        for file in folder.glob(pattern):
            with contextlib.suppress(OSError):
                if time.time() - file.stat().st_mtime > _ABANDONED:
                    file.unlink()


def _seal(path: Path) -> Path:
    return path.parent / "__pycache__" / f"{path.stem}.{sys.implementation.cache_tag}.sha256"


def _kept(path: Path) -> Iterator[Path]:
    """The files of this interpreter; another one beside it has its own names and its own seal."""
    import numba

    ours = f".py{sys.version_info[0]}{sys.version_info[1]}{getattr(sys, 'abiflags', '')}."
    near = path.parent / "__pycache__"
    byte, own = f"{path.stem}.{sys.implementation.cache_tag}", f"{path.stem}."
    yield from (near / name for name in _names(near) if name.startswith(byte) and name.endswith(".pyc"))
    # NUMBA_CACHE_DIR moves numba's own files.
    elsewhere = getattr(numba.config, "CACHE_DIR", "")
    for folder in Path(elsewhere).glob("*/") if elsewhere else [near]:
        for name in _names(folder):
            if name.startswith(own) and name.endswith((".nbi", ".nbc")) and ours in name:
                yield folder / name


def _names(folder: Path) -> list[str]:
    """What is in a folder; nothing where there is none. A pattern of `Path.glob` takes ten times as long."""
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _lines(files: list[Path]) -> str:
    """As ``sha256sum`` writes them."""
    return "".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files)
