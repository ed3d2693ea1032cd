"""Many cases on any executor: started in order, recorded as they end, gone on with where a run stopped."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from eomsym import checks
from eomsym.codegen.store import cores
from eomsym.errors import InputError
from eomsym.experiments.case import Case, Outcome, run_case
from eomsym.experiments.jobs import Jobs, as_executor
from eomsym.experiments.lock import locked
from eomsym.experiments.records import Records

__all__ = ["Sweep", "sweep"]

Progress = Callable[[int, int, str], None]
#: Cases that travel together, at most: a small case costs less than its way to a worker and back.
PACK = 16
#: Jobs on their way on a cluster, at most.
WINDOW = 256
#: How often a case may take its worker down with it before that is its outcome.
TRIES = 2


@dataclass(frozen=True)
class Sweep:
    """What a sweep did.

    Attributes
    ----------
    outcomes : tuple of Outcome
        Of the cases that were run now, in the order in which they ended; empty where a file keeps them.
    counts : dict of str to int
        Cases by status, those of the file that were done before included.
    done_before : int
    path : Path or None
        The file of records.
    """

    outcomes: tuple[Outcome, ...]
    counts: dict[str, int]
    done_before: int = 0
    path: Path | None = None

    def __str__(self) -> str:
        told = ", ".join(f"{count} {status}" for status, count in sorted(self.counts.items())) or "no cases"
        before = f" ({self.done_before} of them before)" if self.done_before else ""
        return f"{sum(self.counts.values())} cases{before}: {told}"


def sweep(
    cases: Iterable[Case | dict[str, Any]],
    *,
    executor: Executor | Any | None = None,
    path: str | Path | None = None,
    progress: Progress = lambda done, total, label: None,
) -> Sweep:
    """Verify many cases.

    Parameters
    ----------
    cases : iterable of Case, or of their definitions
    executor : concurrent.futures.Executor or submitit.Executor, optional
        Where they run: threads, processes, ``dask.distributed.Client(address).get_executor()``, submitit's
        ``AutoExecutor`` … Processes on all cores of this machine by default. It is not shut down.
    path : path-like, optional
        A file of records, see `Records`. Cases that it holds are not run again, so a sweep that was ended at any
        moment goes on where it stopped.
    progress : callable, optional
        Called with (done, total, counts by status).

    Returns
    -------
    Sweep

    Raises
    ------
    InputError
        A definition is no case; the executor is none; the file is no record file, or another sweep is writing to it.

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> cases = [
    ...     {"loss": "x**4/4", "variables": "x", "start": [x], "orders": [0, 1], "ladder": [20, 40]} for x in (0.5, 1.0)
    ... ]
    >>> with ThreadPoolExecutor(2) as threads:
    ...     print(sweep(cases, executor=threads))
    2 cases: 2 passed
    """
    listed = {case.key: case for case in map(as_case, checks.items(cases, "cases", "[{'problem': 'rosenbrock'}]"))}
    executor = None if executor is None else as_executor(executor)
    told = checks.progress(progress)
    if path is None:
        outcomes: list[Outcome] = []
        counted: Counter[str] = Counter()

        def keep(found: Sequence[Outcome]) -> None:
            outcomes.extend(found)
            counted.update(one.status for one in found)
            told(len(outcomes), len(listed), _told(counted))

        _run(list(listed.values()), executor, keep)
        return Sweep(tuple(outcomes), dict(counted))
    file = checks.path(path)
    if not file.parent.is_dir():
        raise InputError(f"there is no folder {file.parent} for the records; make it, or give another file")
    with locked(file), Records(file) as records:
        known = records.keys() & set(listed)
        left = [case for key, case in listed.items() if key not in known]
        done = len(known)
        told(done, len(listed), _told(records.counts()))

        def write(found: Sequence[Outcome]) -> None:
            nonlocal done
            records.add(found)
            done += len(found)
            told(done, len(listed), _told(records.counts()))

        _run(left, executor, write)
        return Sweep((), records.counts(), len(known), file)


def as_case(given: Case | dict[str, Any]) -> Case:
    """A case, or the case of a definition."""
    return given if isinstance(given, Case) else Case(given)


def run_pack(cases: Sequence[Case]) -> list[Outcome]:
    """What a worker does."""
    return [run_case(case) for case in cases]


def _told(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))


def _run(cases: list[Case], executor: Executor | None, keep: Callable[[Sequence[Outcome]], None]) -> None:
    """Run cases and keep what they give."""
    if not cases:
        return
    if isinstance(executor, Jobs):  # a job of a cluster costs seconds before it begins
        _drive(executor, _packs(cases, max(1, min(PACK, len(cases) // WINDOW))), keep, window=WINDOW)
        return
    if executor is not None:
        _drive(executor, _packs(cases, 1), keep, window=4 * (os.cpu_count() or 1))
        return
    workers = _Workers(min(len(cases), cores()))
    left, size = cases, max(1, min(PACK, len(cases) // (8 * workers.count)))
    try:
        while left:
            left, size = workers.go(left, size, keep), 1
    finally:
        workers.stop()


@dataclass
class _Workers:
    """Processes of this machine. One that dies takes the pool with it: the pool is made anew, its cases run again."""

    count: int
    tries: Counter[str] = field(default_factory=Counter)
    _pool: ProcessPoolExecutor | None = None

    def go(self, cases: list[Case], size: int, keep: Callable[[Sequence[Outcome]], None]) -> list[Case]:
        """Run cases; gives those that are left where a worker died."""
        context = multiprocessing.get_context("spawn")  # numba's threads and locks do not survive a fork
        # Ctrl-C reaches the workers too: they end without a traceback, and the parent says that it was interrupted.
        quiet = (signal.SIGINT, signal.SIG_DFL)
        self._pool = ProcessPoolExecutor(self.count, mp_context=context, initializer=signal.signal, initargs=quiet)
        done: set[str] = set()

        def note(found: Sequence[Outcome]) -> None:
            keep(found)
            done.update(one.case.key for one in found)

        try:
            _drive(self._pool, _packs(cases, size), note, window=2 * self.count + 2)
        except _Died as death:
            for case in death.cases:
                self.tries[case.key] += 1
            fatal = [case for case in death.cases if self.tries[case.key] >= TRIES and len(death.cases) == 1]
            note([Outcome(case, "error", [], "the worker died in this case, twice") for case in fatal])
        self.stop()
        return [case for case in cases if case.key not in done]

    def stop(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None


class _Died(Exception):
    """A worker died; these cases were on their way."""

    def __init__(self, cases: list[Case]) -> None:
        super().__init__(f"{len(cases)} cases were lost")
        self.cases = cases


def _packs(cases: list[Case], size: int) -> Iterator[list[Case]]:
    for begin in range(0, len(cases), size):
        yield cases[begin : begin + size]


def _drive(
    executor: Executor, packs: Iterator[list[Case]], keep: Callable[[Sequence[Outcome]], None], window: int
) -> None:
    """Keep a window of packs on their way, whatever is to come; keep what comes back."""
    pending: dict[Future[list[Outcome]], list[Case]] = {}
    try:
        while True:
            for pack in islice(packs, window - len(pending)):
                pending[executor.submit(run_pack, pack)] = pack
            if not pending:
                return
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                pack = pending.pop(future)
                try:
                    found = future.result()
                except BrokenExecutor as error:
                    raise _Died([*pack, *(case for other in pending.values() for case in other)]) from error
                except Exception as error:  # a scheduler that gave a case up
                    message = f"{type(error).__name__}: {error}"
                    found = [Outcome(case, "error", [], message) for case in pack]
                keep(found)
    except BrokenExecutor as error:  # while submitting
        raise _Died([case for other in pending.values() for case in other]) from error
    finally:
        for future in pending:
            future.cancel()


def connect(address: str) -> Executor:
    """The executor of a Dask cluster.

    Parameters
    ----------
    address : str
        Such as ``tcp://10.0.0.1:8786``.

    Raises
    ------
    InputError
        `dask.distributed` is not installed, or the scheduler cannot be reached within ten seconds.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise InputError("a Dask cluster needs: pip install 'eomsym[distributed]'") from error
    try:
        client = Client(address, timeout=10)
    except (OSError, TimeoutError, ValueError) as error:
        raise InputError(
            f"no Dask scheduler at {address}: {error}; is it running, and is the address right?"
        ) from error
    executor: Executor = client.get_executor()
    return executor
