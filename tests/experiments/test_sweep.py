"""Sweeps: nothing is lost, whatever dies."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eomsym.errors import InputError
from eomsym.experiments import jobs
from eomsym.experiments import sweep as module
from eomsym.experiments.case import Case, Outcome
from eomsym.experiments.columns import TEXT
from eomsym.experiments.lock import locked
from eomsym.experiments.records import COLUMNS, Records
from eomsym.experiments.sweep import connect, run_pack, sweep


def cases(count: int) -> list[Case]:
    """Cheap cases, one of which cannot be run."""
    one: dict[str, Any] = {"loss": "x**4/4", "variables": "x", "orders": [0, 1], "ladder": [20, 40]}
    found = [Case({**one, "start": [0.5 + k / count]}) for k in range(count - 1)]
    return [*found, Case({**one, "start": [1e200]})]


def content(path: Path) -> list[tuple[Any, ...]]:
    """Everything but when and how long."""
    with Records(path) as records:
        moved = {COLUMNS.index("seconds"), COLUMNS.index("finished")}
        return [tuple(x for k, x in enumerate(row) if k not in moved) for row in records.rows()]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Any, ...]]:
    path = tmp_path_factory.mktemp("sweep") / "all.sqlite"
    with ThreadPoolExecutor(1) as threads:
        found = sweep(cases(12), executor=threads, path=path)
    assert found.counts == {"passed": 11, "error": 1}
    return content(path)


def test_records_hold_every_case_and_order(undisturbed: list[tuple[Any, ...]]) -> None:
    assert len(undisturbed) == 11 * 2 + 1
    outcomes = {outcome.case.key: outcome for outcome in run_pack(cases(12))}
    for row in undisturbed:
        outcome = outcomes[row[0]]
        assert row[4] == outcome.status
        if outcome.orders:
            [found] = [found for found in outcome.orders if found["order"] == row[7]]
            assert row[8:] == tuple(found[name] for name in COLUMNS[10:])


def test_processes_give_the_same(tmp_path: Path, undisturbed: list[tuple[Any, ...]]) -> None:
    calls: list[tuple[int, int, str]] = []
    found = sweep(cases(12), path=tmp_path / "a.sqlite", progress=lambda *call: calls.append(call))
    assert found.counts == {"passed": 11, "error": 1}
    assert content(tmp_path / "a.sqlite") == undisturbed
    assert [done for done, _, _ in calls] == sorted(done for done, _, _ in calls)
    assert calls[-1] == (12, 12, "1 error, 11 passed")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.sqlite"]


def test_a_sweep_goes_on_where_it_stopped(tmp_path: Path, undisturbed: list[tuple[Any, ...]]) -> None:
    with ThreadPoolExecutor(1) as threads:
        sweep(cases(12)[:5], executor=threads, path=tmp_path / "a.sqlite")
        calls: list[tuple[int, int, str]] = []
        found = sweep(cases(12), executor=threads, path=tmp_path / "a.sqlite", progress=lambda *x: calls.append(x))
    assert (found.done_before, calls[0][:2]) == (5, (5, 12))
    assert "(5 of them before)" in str(found)
    assert content(tmp_path / "a.sqlite") == undisturbed


SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
from experiments_of_sweeps import cases
from eomsym.experiments.sweep import sweep

if __name__ == "__main__":
    print(sweep(cases({count}), path={path!r}))
"""


@contextlib.contextmanager
def running(tmp_path: Path, count: int, path: Path) -> Iterator[subprocess.Popen[str]]:
    """A sweep in a process group of its own."""
    (tmp_path / "experiments_of_sweeps.py").write_text(
        "from eomsym.experiments.case import Case\n"
        "def cases(count):\n"
        '    one = {"loss": "x**4/4", "variables": "x", "orders": [0, 1], "ladder": [20, 40]}\n'
        '    found = [Case({**one, "start": [0.5 + k / count]}) for k in range(count - 1)]\n'
        '    return [*found, Case({**one, "start": [1e200]})]\n'
    )
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(tests=str(tmp_path), count=count, path=str(path)))
    command = [sys.executable, str(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        yield process


def kill_at_random_moments(tmp_path: Path, times: int, count: int, seed: int) -> Path:
    path = tmp_path / "killed.sqlite"
    rng = np.random.default_rng(seed)
    for _ in range(times):
        with running(tmp_path, count, path) as process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=float(rng.uniform(0.2, 5.0)))
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    with running(tmp_path, count, path) as process:
        assert process.wait(timeout=120) == 0
    return path


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")
def test_killed_sweeps_lose_nothing(tmp_path: Path, undisturbed: list[tuple[Any, ...]]) -> None:
    assert content(kill_at_random_moments(tmp_path, 2, 12, seed=0)) == undisturbed


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")
def test_sweeps_killed_at_twenty_moments_lose_nothing(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as threads:
        sweep(cases(300), executor=threads, path=tmp_path / "undisturbed.sqlite")
    assert content(kill_at_random_moments(tmp_path, 20, 300, seed=1)) == content(tmp_path / "undisturbed.sqlite")


class Deadly(ThreadPoolExecutor):
    """An executor of a scheduler that gives cases up."""

    def submit(self, function: Any, /, *args: Any, **options: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_exception(RuntimeError("three workers died"))
        return future


def test_what_a_scheduler_gives_up_is_an_outcome() -> None:
    found = sweep(cases(3), executor=Deadly())
    assert found.counts == {"error": 3}
    assert {outcome.error for outcome in found.outcomes} == {"RuntimeError: three workers died"}


def test_a_case_that_kills_its_worker_is_named(tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text("import os\nos._exit(1)\n")
    found = sweep([*cases(3), {"file": str(mine)}])
    assert found.counts == {"passed": 2, "error": 2}
    assert [o.error for o in found.outcomes if "file" in o.case.definition] == ["the worker died in this case, twice"]


def test_two_sweeps_on_one_file(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    code = (
        "import sys, time; from pathlib import Path; from eomsym.experiments.lock import locked\n"
        f"with locked(Path({str(path)!r})): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(InputError, match="another sweep is writing to"):
            sweep(cases(2), path=path)
        other.kill()
        other.wait()
        with locked(path):  # the lock of a killed process is free
            pass


def test_files_that_are_no_records_are_left_as_they_are(tmp_path: Path) -> None:
    text, foreign, newer = tmp_path / "notes.txt", tmp_path / "other.sqlite", tmp_path / "newer.sqlite"
    older = tmp_path / "older.sqlite"
    text.write_text("my notes, not a database, " * 100)
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE mine (x)")
    for path, version in ((newer, 99), (older, 1)):
        Records(path).close()
        with sqlite3.connect(path) as connection:
            connection.execute(f"PRAGMA user_version={version}")
    before = {path: path.read_bytes() for path in (text, foreign, newer, older)}
    for path, message in (
        (text, "damaged, or no record file"),
        (foreign, "not a record file of eomsym"),
        (newer, "has schema 99, and eomsym .* knows 3; it was left as it is"),
        (older, "has schema 1, and eomsym .* knows 3; it was left as it is"),
    ):
        with pytest.raises(InputError, match=message):
            sweep(cases(2), path=path)
        assert path.read_bytes() == before[path]
    with pytest.raises(InputError, match="there is no folder"):
        sweep(cases(2), path=tmp_path / "nowhere" / "a.sqlite")


def test_a_damaged_file_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    with Records(path) as records:
        records.add(
            [
                Outcome(Case({"loss": str(k), "variables": "x", "start": [0.0]}), "error", [], "x" * 500)
                for k in range(200)
            ]
        )
    data = bytearray(path.read_bytes())
    for page in range(2, len(data) // 4096):
        data[4096 * page : 4096 * page + 100] = os.urandom(100)
    path.write_bytes(data)
    with pytest.raises(InputError, match="damaged"):
        Records(path)
    assert path.read_bytes() == data


def test_exports(tmp_path: Path) -> None:
    with Records(tmp_path / "a.sqlite") as records:
        records.add(run_pack(cases(3)))
        records.to_csv(tmp_path / "a.csv")
        lines = (tmp_path / "a.csv").read_text().splitlines()
        assert lines[0].split(",") == list(COLUMNS)
        assert len(lines) == 1 + len(records.rows())
        [key] = [row[0] for row in records.rows("error")]
        assert records.case(key[:10]).definition["start"] == [1e200]
        assert records.environments()[0]["eomsym"]
        with pytest.raises(InputError, match=r"no case of .* begins with 'zzz'"):
            records.case("zzz")


@pytest.mark.parametrize("status", [None, "passed", "error", "failed"])
def test_a_frame_is_the_rows(tmp_path: Path, status: str | None) -> None:
    """Column by column what SQLite's own join gives, row by row."""
    pandas = pytest.importorskip("pandas", reason="frames need pandas")
    outcomes = run_pack(cases(7))
    mixed = [outcome for k in (3, 6, 0, 5, 1, 4, 2) for outcome in [outcomes[k]]]
    mixed.append(Outcome(Case({**cases(2)[0].definition, "seed": 5}), "failed", outcomes[0].orders[::-1], size=1))
    with Records(tmp_path / "a.sqlite") as records:
        records.add(mixed)
        frame = records.frame(status)
        wanted = pandas.DataFrame.from_records(records.rows(status), columns=list(COLUMNS))
        numbers = [name for name in COLUMNS if name not in TEXT]
        wanted[numbers] = wanted[numbers].astype(float)
        for name in TEXT:
            wanted[name] = wanted[name].astype("str")
        whole = {name: "int64" for name in numbers if len(frame) and frame[name].dtype == "int64"}
        pandas.testing.assert_frame_equal(frame, wanted.astype(whole), check_dtype=len(frame) > 0)
        assert status is not None or set(whole) == {"size"}  # the others are missing somewhere


def test_a_hundred_thousand_records(tmp_path: Path) -> None:
    """They are written and found again, here 5,000 of them; `tests/bench` measures how fast all are."""
    row = run_pack(cases(2))[0].orders
    with Records(tmp_path / "a.sqlite") as records:
        many = (
            Outcome(Case({"loss": "x", "variables": "x", "start": [float(k)]}), "passed" if k % 10 else "failed", row)
            for k in range(5_000)
        )
        records.add(many)
        assert records.counts() == {"failed": 500, "passed": 4_500}
        assert len(records.rows("failed")) == 1_000


def test_no_cluster() -> None:
    if find_spec("distributed") is None:
        with pytest.raises(InputError, match=r"pip install 'eomsym\[distributed\]'"):
            connect("tcp://127.0.0.1:1")
    else:
        began = time.monotonic()
        with pytest.raises(InputError, match=r"no Dask scheduler at tcp://127\.0\.0\.1:1"):
            connect("tcp://127.0.0.1:1")
        assert time.monotonic() - began < 60


@pytest.mark.slow
def test_a_dask_cluster_gives_the_same(tmp_path: Path, undisturbed: list[tuple[Any, ...]]) -> None:
    distributed = pytest.importorskip("distributed", reason="Dask comes with eomsym[distributed]")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        executor = connect(cluster.scheduler_address)
        sweep(cases(12), executor=executor, path=tmp_path / "dask.sqlite")
        assert content(tmp_path / "dask.sqlite") == undisturbed
        # a worker that is killed loses nothing
        begun = ThreadPoolExecutor(1).submit(sweep, cases(60), executor=executor, path=tmp_path / "killed.sqlite")
        time.sleep(0.5)
        os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)
        assert begun.result(timeout=120).counts == {"passed": 59, "error": 1}


class Job:
    """What submitit's jobs can do, and no more."""

    def __init__(self, function: Any, arguments: Any, looks: int) -> None:
        self.function, self.arguments, self.looks, self.cancelled = function, arguments, looks, False

    def done(self) -> bool:
        self.looks -= 1
        return self.looks < 0

    def result(self) -> Any:
        return self.function(*self.arguments)

    def cancel(self) -> None:
        self.cancelled = True


class Cluster:
    """An executor of such jobs."""

    def __init__(self, looks: int = 2) -> None:
        self.looks, self.jobs = looks, list[Job]()

    def submit(self, function: Any, *arguments: Any) -> Job:
        self.jobs.append(Job(function, arguments, self.looks))
        return self.jobs[-1]


def test_jobs_that_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: list[tuple[Any, ...]]
) -> None:
    monkeypatch.setattr(jobs, "PAUSE", 0.01)
    cluster = Cluster()
    found = sweep(cases(12), executor=cluster, path=tmp_path / "a.sqlite")
    assert found.counts == {"passed": 11, "error": 1}
    assert content(tmp_path / "a.sqlite") == undisturbed
    assert len(cluster.jobs) == 12


def test_jobs_that_fail_and_jobs_that_are_given_up() -> None:
    cluster = Cluster(looks=0)
    executor = jobs.Jobs(cluster, pause=0.01)
    with pytest.raises(ZeroDivisionError, match="by zero"):
        executor.submit(divmod, 1, 0).result(timeout=20)
    assert executor.submit(divmod, 7, 2).result(timeout=20) == (3, 1)
    cluster.looks = 10**9
    endless = executor.submit(divmod, 7, 2)
    assert endless.cancel()
    limit = time.monotonic() + 20
    while not cluster.jobs[-1].cancelled and time.monotonic() < limit:
        time.sleep(0.01)
    assert cluster.jobs[-1].cancelled


@pytest.mark.parametrize("executor", ["slurm", 2, ThreadPoolExecutor])
def test_what_is_no_executor(executor: Any) -> None:
    with pytest.raises(InputError, match=r"executor=.*: expected one of concurrent\.futures, Dask or submitit"):
        sweep(cases(2), executor=executor)


@pytest.mark.slow
def test_submitit_gives_the_same(tmp_path: Path, undisturbed: list[tuple[Any, ...]]) -> None:
    """Its executor for this machine has the interface of that for Slurm."""
    submitit = pytest.importorskip("submitit", reason="submitit is not installed")
    executor = submitit.AutoExecutor(folder=tmp_path / "log", cluster="local")
    executor.update_parameters(timeout_min=10, cpus_per_task=1)
    sweep(cases(12), executor=executor, path=tmp_path / "a.sqlite")
    assert content(tmp_path / "a.sqlite") == undisturbed


def test_small_cases_travel_in_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def drive(executor: Any, packs: Any, keep: Any, window: int) -> None:
        for pack in packs:
            sizes.append(len(pack))
            keep([Outcome(case, "passed", []) for case in pack])

    monkeypatch.setattr(module, "_drive", drive)
    found = sweep(cases(1_000))
    assert found.counts == {"passed": 1_000}
    assert max(sizes) == module.PACK
    assert json.loads(found.outcomes[0].case.text)["loss"] == "x**4/4"
