"""A bound is an object: what it claims, its number, its hypotheses and its source."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from eomsym.errors import HypothesisError

__all__ = ["Bound", "Hypothesis", "require"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Hypothesis:
    """A condition that was checked before a number was given.

    Attributes
    ----------
    statement : str
        The condition.
    got : str
        What was found when it was checked.
    """

    statement: str
    got: str

    def __str__(self) -> str:
        return f"{self.statement} ({self.got})"


def require(holds: bool, statement: str, got: str, advice: str = "") -> Hypothesis:
    """Check a hypothesis.

    Parameters
    ----------
    holds : bool
    statement : str
        The hypothesis.
    got : str
        What was found.
    advice : str
        What to type instead where it does not hold.

    Returns
    -------
    Hypothesis

    Raises
    ------
    HypothesisError
        If it does not hold.

    Examples
    --------
    >>> print(require(0.1 < 0.5, "eta < 1/2", "eta = 0.1"))
    eta < 1/2 (eta = 0.1)
    """
    if not holds:
        raise HypothesisError(f"no bound: needed {statement}, got {got}" + (f"; {advice}" if advice else ""))
    return Hypothesis(statement, got)


@dataclass(frozen=True, eq=False)
class Bound:
    """A bound on a distance.

    Attributes
    ----------
    claim : str
        What is bounded.
    values : ndarray, shape (m,)
        The bound at each of `times`.
    times : ndarray, shape (m,)
    hypotheses : tuple of Hypothesis
        All were checked; had one failed, there would be no bound.
    source : str
        The theorem.
    proven : bool
        True if the claim follows from the hypotheses, but for the rounding of float64, and for the error of an
        integrator where one of `notes` names it; False if an estimate took the place of a proven number.
    notes : tuple of str
        What else must be known.
    """

    claim: str
    values: Array
    times: Array
    hypotheses: tuple[Hypothesis, ...]
    source: str
    proven: bool = True
    notes: tuple[str, ...] = field(default=())

    @property
    def value(self) -> float:
        """The bound at the last time."""
        return float(self.values[-1])

    @property
    def largest(self) -> float:
        """The largest bound over all times."""
        return float(np.max(self.values))

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        kind = "bound" if self.proven else "estimate"
        return "\n".join(_lines(f"{kind} {self.value:.4g}: {self.claim}", self.hypotheses, self.source, self.notes))


def _lines(head: str, hypotheses: Iterable[Hypothesis], source: str, notes: Iterable[str]) -> Iterable[str]:
    yield head
    yield from (f"  given {hypothesis}" for hypothesis in hypotheses)
    yield from (f"  note: {note}" for note in notes)
    yield f"  from {source}"
