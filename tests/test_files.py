"""Files are written whole or not at all, with the mode of ordinary files; what never ends is not read."""

from __future__ import annotations

import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from eomsym import files
from eomsym.errors import InputError
from eomsym.files import check_writable, content, replace, write


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_file_is_written_with_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "record.json"
    assert write(path, "eins") == path
    write(path, b"zwei\n\xff")
    assert path.read_bytes() == b"zwei\n\xff"
    assert [entry.name for entry in path.parent.iterdir()] == ["record.json"]


def test_text_keeps_its_line_ends_and_is_utf8(tmp_path: Path) -> None:
    replace(tmp_path / "x", "η\r\n\n")
    assert (tmp_path / "x").read_bytes() == "η\r\n\n".encode()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_mode_is_that_of_ordinary_files_and_of_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    ordinary = mode(tmp_path / "plain")
    write(tmp_path / "new", "")
    assert mode(tmp_path / "new") == ordinary != 0o600
    (tmp_path / "new").chmod(0o640)
    write(tmp_path / "new", "again")
    assert mode(tmp_path / "new") == 0o640


def test_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    write(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "new"


def test_what_is_no_ordinary_file_is_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write(pipe, "through")
    reader.join()
    assert read == [b"through"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_checking_leaves_no_trace(tmp_path: Path) -> None:
    assert check_writable(tmp_path / "a" / "record.json") == tmp_path / "a" / "record.json"
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="file is no folder; name another file"):
        write(tmp_path / "file" / "record.json", "{}")
    with pytest.raises(InputError, match="it is a folder; name another file"):
        write(tmp_path, "{}")
    assert (tmp_path / "file").read_text() == "in the way"


def test_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "record.json"
    write(path, "old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InputError, match="No space left on device; name another file"):
        write(path, "new")

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt("stopped")

    monkeypatch.setattr(os, "fsync", stopped)
    with pytest.raises(KeyboardInterrupt, match="stopped"):
        replace(path, "new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["record.json"]


def test_a_device_that_never_ends_is_not_read_to_its_end() -> None:
    for device in ("/dev/zero", "/dev/full"):
        with pytest.raises(OSError, match="more than 256 MiB, and no ordinary file"):
            content(device)


def test_a_pipe_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST", 5)
    for text, whole in ((b"12345", True), (b"123456", False)):
        pipe = tmp_path / f"pipe{len(text)}"
        os.mkfifo(pipe)
        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(pipe.write_bytes, text)
            if whole:
                assert content(pipe) == text
            else:
                with pytest.raises(OSError, match="more than 0 MiB"):
                    content(pipe)
            writing.result()
        (tmp_path / "file").write_bytes(text)
        assert content(tmp_path / "file") == text
