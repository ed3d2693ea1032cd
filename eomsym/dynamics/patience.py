"""How long work may take: a limit of CPU time that is told when it is reached, or when it is clear that it will be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from time import process_time
from typing import Any

from eomsym.errors import DivergenceError

__all__ = ["Patience", "Stopped", "watched"]

#: What will take so many times the limit is not gone on with.
FAR = 5.0


class Stopped(DivergenceError):
    """Why work was ended early, though nothing has diverged."""


class Patience:
    """A limit of CPU time of this process, from now on.

    Parameters
    ----------
    limit : float
        In seconds.

    Attributes
    ----------
    exhausted : bool
        Whether it has stopped anything.

    Examples
    --------
    >>> patience = Patience(60.0)
    >>> patience.over
    False
    >>> patience.check(0.5, "time 1 of 2")
    """

    def __init__(self, limit: float) -> None:
        self.limit, self.exhausted, self._began = limit, False, process_time()

    @property
    def spent(self) -> float:
        """Seconds so far."""
        return process_time() - self._began

    @property
    def over(self) -> bool:
        """Whether the limit is reached."""
        return self.spent > self.limit

    def check(self, share: float, where: str, step: int = 0, *, before: float = 0.0, foresee: bool = False) -> None:
        """Stop where the limit is reached, or will be reached by far.

        Parameters
        ----------
        share : float
            Of the work that is done.
        where : str
            How far that is.
        step : int
            For ``.step`` of the error.
        before : float
            Seconds spent before this work began.
        foresee : bool
            Whether enough of the work is done to tell how long the rest takes.

        Raises
        ------
        Stopped
            With what to type instead.
        """
        spent = self.spent
        instead = "take a shorter time, or a larger limit"
        why = ""
        if spent > self.limit:
            why = f"the limit of {self.limit:g} s of CPU time was reached at {where}"
        elif foresee and spent - before > FAR * self.limit * share:
            about = f"about {(spent - before) / share:.2g} s" if share > 0 else "for ever"
            why = f"{spent:.2g} s of CPU time only reach {where}: that takes {about}, more than limit={self.limit:g}"
        if why:
            self.exhausted = True
            raise Stopped(f"{why}; {instead}", step)


def watched(steps: Sequence[Any] | Any, patience: Patience | None) -> Iterator[Any]:
    """Go through some steps, with a look at the clock before each.

    Parameters
    ----------
    steps : sequence or ndarray
    patience : Patience, optional
        Without it nothing is looked at.

    Raises
    ------
    Stopped
        Where the limit is reached; `Stopped.step` is the number of steps that were made.

    Examples
    --------
    >>> list(watched(range(3), Patience(60.0)))
    [0, 1, 2]
    """
    for k, step in enumerate(steps):
        if patience is not None:
            patience.check(k / len(steps), f"step {k} of {len(steps)}", k)
        yield step
