"""Files that are written whole or not at all, and read to their end; all that eomsym writes passes through here."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from pathlib import Path

from eomsym.errors import InputError

__all__ = ["check_writable", "content", "replace", "write"]

#: Bytes that are read from what has no size, such as a pipe: a device may never end.
MOST = 2**28


def replace(path: str | Path, content: str | bytes) -> None:
    """Put a file with this content in its place in one step; text is UTF-8 with the line ends that it has.

    Whoever reads the file, and whoever comes after an interruption, sees the old content or the new one. The file has
    the mode that the system gives to new files, and that of the old one where there was one. A link stays a link; what
    is no ordinary file, such as ``/dev/stdout``, is written to and not replaced.

    Parameters
    ----------
    path : str or Path
        Its folder exists.
    content : str or bytes

    Raises
    ------
    OSError
        If it cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "record.json"
    ...     replace(path, "{}")
    ...     path.read_text()
    '{}'
    """
    target = Path(os.path.realpath(path))
    data = content.encode() if isinstance(content, str) else content
    if target.exists() and not target.is_file():
        with target.open("wb") as stream:
            stream.write(data)
        return
    part = target.with_name(f".{target.name[:100]}.{secrets.token_hex(8)}.part")
    try:
        # The system takes the mode of new files from 0o666; asking for the umask would change it for other threads.
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)  # without it a power cut may leave the new name with nothing in it
        if target.exists():
            part.chmod(target.stat().st_mode & 0o7777)
        os.replace(part, target)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


def content(path: str | Path) -> bytes:
    """Read a file of a user, who may have named a device that never ends.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    OSError
        If it cannot be read, or is no ordinary file and goes on for more than 256 MiB.

    Examples
    --------
    >>> content("/dev/null")
    b''
    >>> content("/dev/zero")
    Traceback (most recent call last):
    ...
    OSError: [Errno 27] more than 256 MiB, and no ordinary file: '/dev/zero'
    """
    target = Path(path)
    with target.open("rb") as file:
        if target.is_file():
            return file.read()
        found = file.read(MOST + 1)
    if len(found) > MOST:
        raise OSError(errno.EFBIG, f"more than {MOST // 2**20} MiB, and no ordinary file", str(path))
    return found


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
    try:
        target = Path(path)
        target.exists()
    except (TypeError, ValueError) as error:  # no text, or one with a zero byte
        raise InputError(f"expected the path of a file, got {path!r:.60}; type a text such as 'report.json'") from error
    except OSError as error:  # such as a name of thousands of letters
        raise InputError(f"cannot write {str(path)[:60]}…: {error.strerror}; name another file") from error
    folder = Path(os.path.realpath(target)).parent
    while not os.path.lexists(folder):
        folder = folder.parent
    if target.is_dir():
        complaint = "it is a folder"
    elif not folder.is_dir():
        complaint = f"{folder} is no folder"
    elif target.exists() and not target.is_file():
        return target
    elif not os.access(folder, os.W_OK | os.X_OK):
        complaint = f"no permission in {folder}"
    else:
        return target
    raise InputError(f"cannot write {target}: {complaint}; name another file")


def write(path: str | Path, content: str | bytes) -> Path:
    """Write a file whole or not at all, and the folders that it needs.

    Parameters
    ----------
    path : str or Path
    content : str or bytes

    Returns
    -------
    Path

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
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        replace(target, content)
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror or error}; name another file") from error
    return target
