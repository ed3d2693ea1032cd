"""Executors whose jobs can only be asked whether they are done, such as submitit's on Slurm, as ones of futures."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, Protocol

from eomsym.checks import shown
from eomsym.errors import InputError

__all__ = ["Jobs", "as_executor"]

#: Seconds between two looks at the jobs.
PAUSE = 0.5


class _Job(Protocol):
    """What submitit calls a job."""

    def done(self) -> bool: ...
    def result(self) -> Any: ...
    def cancel(self) -> Any: ...


class Jobs(Executor):
    """An executor of jobs that are looked at, not waited for.

    A thread looks at all jobs on their way and ends when there are none.

    Parameters
    ----------
    inner : object
        With ``submit(function, *arguments)`` that gives jobs with ``done()``, ``result()`` and ``cancel()``.
    pause : float, optional
        Seconds between two looks; half a second by default.
    """

    def __init__(self, inner: Any, pause: float | None = None) -> None:
        self._inner, self._pause = inner, PAUSE if pause is None else pause
        self._jobs: list[tuple[_Job, Future[Any]]] = []
        self._lock = threading.Lock()
        self._watching = False

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **options: Any) -> Future[Any]:
        """See :meth:`concurrent.futures.Executor.submit`."""
        future: Future[Any] = Future()
        job = self._inner.submit(function, *arguments, **options)
        with self._lock:
            self._jobs.append((job, future))
            if not self._watching:
                self._watching = True
                threading.Thread(target=self._watch, daemon=True).start()
        return future

    def _watch(self) -> None:
        pause = threading.Event()
        while True:
            with self._lock:
                listed = list(self._jobs)
            over = [pair for pair in listed if _ended(*pair)]
            with self._lock:
                self._jobs = [pair for pair in self._jobs if pair not in over]
                if not self._jobs:
                    self._watching = False
                    return
            pause.wait(self._pause)


def _ended(job: _Job, future: Future[Any]) -> bool:
    """Hand what a job gave to its future, if it has ended."""
    if future.cancelled():
        job.cancel()
        return True
    try:
        if not job.done():
            return False
        result = job.result()
    except Exception as error:  # of the scheduler, or of the function: it belongs to who waits
        if future.set_running_or_notify_cancel():
            future.set_exception(error)
        return True
    if future.set_running_or_notify_cancel():
        future.set_result(result)
    return True


def as_executor(executor: Any) -> Executor:
    """An executor of futures.

    Parameters
    ----------
    executor : concurrent.futures.Executor, or an object with ``submit`` such as submitit's ``AutoExecutor``

    Raises
    ------
    InputError
        It is neither.

    Examples
    --------
    >>> as_executor("slurm")
    Traceback (most recent call last):
    ...
    eomsym.errors.InputError: executor='slurm': expected one of concurrent.futures, Dask or submitit, such as ...
    """
    if isinstance(executor, Executor):
        return executor
    if not callable(getattr(executor, "submit", None)) or isinstance(executor, type):
        raise InputError(
            f"executor={shown(executor)}: expected one of concurrent.futures, Dask or submitit, such as "
            "concurrent.futures.ProcessPoolExecutor(2)"
        )
    return Jobs(executor)
