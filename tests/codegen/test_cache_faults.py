"""The folder of compiled programs after every kind of fault: the next run heals it and gives the right result.

Damaged files, processes that are killed while they compile or write, a disk that is full, a folder that is read-only.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time

import numba
import pytest

from eomsym.codegen import seals
from eomsym.codegen.source import digest, flags
from eomsym.codegen.store import cache_folder, load, prepare
from eomsym.errors import CacheError

#: Loads a module from stdin's source and prints what it computes; a limit on the size of files is a disk that is full.
CHILD = """
import os, resource, signal, sys
from eomsym.codegen import store
from eomsym.errors import CacheError
sys.dont_write_bytecode = False
limit, calls = int(sys.argv[1]), int(sys.argv[2])
if limit:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
if calls:
    real, done = os.replace, []
    def replace(*arguments):
        done.append(arguments)
        if len(done) == calls:
            os.kill(os.getpid(), signal.SIGKILL)
        real(*arguments)
    os.replace = replace
try:
    print(store.load(sys.stdin.read()).grown(2.0))
except CacheError as error:
    print(error)
    sys.exit(3)
"""


def source_of(factor):
    body = f"def grown(x):\n    total = x\n    for k in range(20):\n        total += {factor} * x\n    return total\n"
    return f"from numba import njit\n\n\n{flags(entry=True, types='float64(float64)')}\n{body}"


SOURCES = {factor: source_of(factor) for factor in (1.0, 3.0)}


@pytest.fixture(autouse=True)
def fresh(tmp_path, monkeypatch):
    monkeypatch.setenv("EOMSYM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    yield
    forget()


def forget():
    for source in SOURCES.values():
        sys.modules.pop(f"eomsym_kernel_{digest(source)}", None)


def result(factor=1.0):
    """What a fresh import of the module computes."""
    forget()
    return load(SOURCES[factor]).grown(2.0)


def kept(suffix="", factor=1.0):
    return sorted(cache_folder().glob(f"__pycache__/eomsym_kernel_{digest(SOURCES[factor])}.*{suffix}"))


def path_of(factor=1.0):
    return cache_folder() / f"eomsym_kernel_{digest(SOURCES[factor])}.py"


def child(limit=0, calls=0, **options):
    command = [sys.executable, "-c", CHILD, str(limit), str(calls)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def intact():
    return seals.sealed(path_of()) and not seals.broken(path_of())


def test_what_is_whole_is_loaded_and_not_compiled_again():
    result()
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in kept()}
    assert {path.suffix for path in before} == {".pyc", ".nbi", ".nbc", ".sha256"}
    assert result() == 42.0
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in kept()} == before


@pytest.mark.parametrize("suffix", [".nbi", ".nbc", ".pyc", ".sha256", ".py"])
def test_a_flipped_bit_is_noticed(suffix):
    """The constant of the machine code, a pointer, a name: the length is right, and numba would run it."""
    result()
    draw = random.Random(suffix)
    for _ in range(8):
        (file,) = kept(suffix) if suffix != ".py" else [path_of()]
        data = bytearray(file.read_bytes())
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        file.write_bytes(data)
        assert suffix == ".py" or seals.broken(path_of())
        assert result() == 42.0
        assert intact()


def test_the_code_of_another_module_is_noticed():
    """Each file is whole, and is the one of the other module."""
    result(1.0), result(3.0)
    for suffix in (".nbi", ".nbc"):
        (one,), (other,) = kept(suffix, 1.0), kept(suffix, 3.0)
        first, second = one.read_bytes(), other.read_bytes()
        one.write_bytes(second)
        other.write_bytes(first)
    assert (result(1.0), result(3.0)) == (42.0, 122.0)


@pytest.mark.parametrize("suffix", [".nbi", ".nbc", ".pyc", ".sha256"])
def test_a_missing_file_is_made_again(suffix):
    result()
    (file,) = kept(suffix)
    file.unlink()
    assert result() == 42.0
    assert intact()


@pytest.mark.parametrize(
    "content", [b"", b"\xff\x00", b"0" * 64 + b"  eomsym_kernel.nbc\n"], ids=["empty", "no text", "0"]
)
def test_a_foreign_seal_is_no_seal(content):
    result()
    kept(".sha256")[0].write_bytes(content)
    assert result() == 42.0
    assert intact()


def test_code_of_another_numba_is_replaced(monkeypatch):
    """As after an upgrade: the files are whole, and sealed, and numba does not take them."""
    monkeypatch.setattr(numba, "__version__", "0.0.1")
    result()
    monkeypatch.undo()
    monkeypatch.setenv("EOMSYM_CACHE_DIR", str(path_of().parent))
    assert result() == 42.0
    assert intact()


def test_code_that_numba_keeps_elsewhere_is_sealed_too(monkeypatch, tmp_path):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "numba"))
    result()
    (file,) = (tmp_path / "numba").glob("*/*.nbc")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 8
    file.write_bytes(data)
    assert seals.broken(path_of())
    assert result() == 42.0
    file.write_bytes(data[:100])
    assert result() == 42.0
    assert intact()


@pytest.mark.parametrize("calls", [1, 2, 3])
def test_a_failed_write_is_told_and_the_next_run_heals(monkeypatch, calls):
    """No room for the module, numba's index, or the code."""
    real, done = os.replace, []

    def replace(*arguments):
        done.append(arguments)
        if len(done) >= calls:
            raise OSError(28, "No space left on device")
        real(*arguments)

    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(CacheError, match="No space left on device; make room there, or set EOMSYM_CACHE_DIR"):
        result()
    monkeypatch.setattr(os, "replace", real)
    assert result() == 42.0
    assert intact()


def test_a_seal_that_cannot_be_written_costs_a_compile_and_no_more(monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(seals, "replace", refuse)
        assert result() == 42.0
    assert not seals.sealed(path_of())
    assert result() == 42.0
    assert intact()


def test_what_killed_processes_left_goes_after_an_hour():
    result()
    folder = cache_folder()
    old = [folder / ".a.py.0.part", folder / "__pycache__" / "a.nbi.tmp.0", folder / "__pycache__" / ".a.0.part"]
    young = folder / "__pycache__" / "b.nbi.tmp.0"
    for file in (*old, young):
        file.write_bytes(b"half")
    for file in old:
        os.utime(file, (time.time() - 4000,) * 2)
    forget()
    prepare([SOURCES[3.0]])
    assert not any(file.exists() for file in old)
    assert young.exists()


def test_a_killed_helper_leaves_nothing_that_is_trusted(monkeypatch):
    """Two sources are compiled by two processes, and the second one dies."""
    real = subprocess.Popen

    def popen(command, **options):
        return real([command[0], "-c", f"import os, signal; os.kill(os.getpid(), {int(signal.SIGKILL)})"], **options)

    monkeypatch.setattr("eomsym.codegen.store.cores", lambda: 2)
    monkeypatch.setattr("eomsym.codegen.store.subprocess.Popen", popen)
    prepare(list(SOURCES.values()))
    assert (result(1.0), result(3.0)) == (42.0, 122.0)


@pytest.mark.slow
@pytest.mark.parametrize("calls", [1, 2, 3, 4])
def test_killed_at_each_write(calls):
    """SIGKILL before the file takes its place: the module, numba's index, its code, the seal."""
    process = child(calls=calls)
    process.communicate(SOURCES[1.0])
    assert process.returncode == -signal.SIGKILL
    assert not seals.sealed(path_of())
    assert result() == 42.0
    assert intact()


@pytest.mark.slow
def test_killed_at_random():
    """Anywhere between start and end, many times in one folder."""
    start = time.monotonic()
    assert child().communicate(SOURCES[1.0])[0] == "42.0\n"
    whole = time.monotonic() - start
    draw = random.Random(1)
    for _ in range(15):
        if draw.random() < 0.5:
            shutil.rmtree(cache_folder() / "__pycache__", ignore_errors=True)
        process = child()
        process.stdin.write(SOURCES[1.0])
        process.stdin.close()
        process.stdin = None
        time.sleep(draw.uniform(0.3, 1.0) * whole)
        process.kill()
        process.communicate()
        assert result() == 42.0
        assert intact()


@pytest.mark.slow
def test_a_disk_that_is_full_at_any_byte():
    """No file can be longer than a random size: a result or our error, and the next run is right."""
    draw, told = random.Random(2), 0
    for limit in [1, 100, *(int(10 ** draw.uniform(1, 4.7)) for _ in range(10))]:
        shutil.rmtree(cache_folder(), ignore_errors=True)
        cache_folder().mkdir(parents=True)
        process = child(limit)
        out, err = process.communicate(SOURCES[1.0])
        told += process.returncode == 3
        assert (process.returncode, out) == (0, "42.0\n") or (process.returncode == 3 and "make room there" in out), err
        assert result() == 42.0
        assert intact()
    assert told


_MOUNTED = 'mount -t tmpfs -o size="$1" tmpfs "$2" && shift 2 && exec "$@"'


def can_mount(folder):
    if not shutil.which("unshare"):
        return False
    command = ["unshare", "-rm", "sh", "-c", _MOUNTED, "sh", "64k", str(folder), "true"]
    return subprocess.run(command, capture_output=True).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("size", ["4k", "8k", "12k", "20k", "32k", "48k"])
def test_a_small_file_system(tmp_path, size):
    """A tmpfs with room for some of the files: first run on it, then one after the disk has grown."""
    folder = tmp_path / "small"
    folder.mkdir()
    if not can_mount(folder):
        pytest.skip("no file system can be mounted here")
    grown = f'"$@"; echo $?; mount -o remount,size=8m "{folder}" && "$@"'
    run = [sys.executable, "-c", CHILD.replace("sys.stdin.read()", "os.environ['SOURCE']"), "0", "0"]
    command = ["unshare", "-rm", "sh", "-c", _MOUNTED, "sh", size, str(folder), "sh", "-c", grown, "sh", *run]
    environment = os.environ | {"EOMSYM_CACHE_DIR": str(folder), "SOURCE": SOURCES[1.0]}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    first, status, second = done.stdout.splitlines()
    assert (status, first) == ("0", "42.0") or (status == "3" and "make room there" in first), done.stderr
    assert second == "42.0"


@pytest.mark.slow
def test_a_folder_that_becomes_read_only(tmp_path):
    """A folder that somebody chose and that cannot be written is told, and not silently left."""
    if not can_mount(tmp_path):
        pytest.skip("no file system can be mounted here")
    result()
    command = ["unshare", "-rm", "sh", "-c", 'mount --bind -o ro "$1" "$1" && shift && exec "$@"', "sh"]
    run = [*command, str(cache_folder()), sys.executable, "-c", CHILD, "0", "0"]
    environment = os.environ | {"EOMSYM_CACHE_DIR": str(cache_folder())}
    done = subprocess.run(run, input=SOURCES[1.0], env=environment, capture_output=True, text=True)
    assert done.returncode == 3
    assert "Read-only file system; set EOMSYM_CACHE_DIR to a folder that can be written" in done.stdout
