"""Typed answers: a bound, a step size; what they claim, their numbers, their hypotheses and their source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil, isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from eomsym import checks
from eomsym.errors import HypothesisError, InputError
from eomsym.output.figures import Figure, legend_below, on_axes
from eomsym.output.records import record
from eomsym.output.style import INK
from eomsym.output.tables import Column, Table
from eomsym.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "Bound",
    "Hypothesis",
    "StepSize",
    "bound_record",
    "checked_certificate",
    "motion_name",
    "require",
    "said",
]


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
    certificate : {"measured", "proven", "closed_form", "rigorous", "estimated"}
        How it is known, see `eomsym.bounds.distance`; "estimated" where an estimate took the place of a proven number.
    notes : tuple of str
        What else must be known.
    """

    claim: str
    values: Array
    times: Array
    hypotheses: tuple[Hypothesis, ...]
    source: str
    certificate: str = "proven"
    notes: tuple[str, ...] = ()

    @property
    def proven(self) -> bool:
        """Whether the claim follows from the hypotheses and from what `notes` names; False for an estimate."""
        return self.certificate != "estimated"

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

    def table(self) -> Table:
        """Return claim, number, hypotheses and source as a table."""
        kind = "bound" if self.proven else "estimate"
        return said(kind, self.value, self.claim, self.certificate, self.hypotheses, self.source, self.notes)

    def plot(self, ax: Axes | None = None, label: str = "") -> Figure:
        """Draw the bound against time.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Those of another bound, to draw both; new ones by default.
        label : str
            Its name in the legend; the certificate by default.

        Returns
        -------
        Figure

        Examples
        --------
        >>> import eomsym as eom
        >>> loss = eom.Loss("x**2/2", variables="x")
        >>> bound = eom.bounds.distance(loss, [1.0], eta=0.1, steps=20)
        >>> bound.plot().axes[0].get_ylabel()
        'distance'
        """
        figure = on_axes(ax)
        one = figure.axes[0]
        later = self.values > 0  # at the start there is nothing
        one.plot(self.times[later], self.values[later], color=INK, label=label or self.certificate)
        one.set(xlabel=r"time $\eta k$", ylabel="distance", yscale="log")
        legend_below(one)
        return figure

    def record(self, *, command: str | None = None) -> dict[str, Any]:
        """Return everything as a record for JSON; see :func:`eomsym.output.record`.

        Parameters
        ----------
        command : str, optional
            What was typed.
        """
        return bound_record("distance", self.value, self, {"times": self.times, "values": self.values}, command)

    def _repr_html_(self) -> str:
        return self.table().html()


@dataclass(frozen=True)
class StepSize:
    """A learning rate that keeps gradient descent within a distance of its equation of motion.

    Attributes
    ----------
    claim : str
        What it does.
    eta : float
        The learning rate; infinite if any will do.
    time, epsilon : float
        Up to when, and within what distance.
    order : int
        Of the equation of motion.
    hypotheses : tuple of Hypothesis
    source : str
        The theorem.
    certificate : {"measured", "proven", "closed_form", "rigorous", "theorem", "predicted", "estimated"}
        How it is known, see `eomsym.bounds.step_size`.
    notes : tuple of str
        What else must be known.
    stopped : str
        Why the search for a larger rate was ended early; nothing where it was not. This is one of the notes too.

    Examples
    --------
    >>> import eomsym as eom
    >>> found = eom.bounds.step_size(eom.Loss("x**2/2", variables="x"), [1.0], time=1.0, epsilon=0.02)
    >>> found.steps, round(found.eta, 3), found.proven
    (10, 0.1, True)
    """

    claim: str
    eta: float
    time: float
    epsilon: float
    order: int
    hypotheses: tuple[Hypothesis, ...]
    source: str
    certificate: str
    notes: tuple[str, ...] = ()
    stopped: str = ""

    @property
    def proven(self) -> bool:
        """Whether the claim follows from the hypotheses; False for a prediction or an estimate."""
        return self.certificate not in {"estimated", "predicted"}

    @property
    def steps(self) -> int:
        """The number of steps up to `time`, with a learning rate of at most `eta`."""
        # time/steps was divided: a quotient that rounding left just above an integer is that integer.
        return max(ceil(self.time / self.eta * (1 - 1e-12)), 1) if isfinite(self.eta) else 1

    def __float__(self) -> float:
        return self.eta

    def __str__(self) -> str:
        head = f"{'learning rate' if self.proven else 'estimate'} {self.eta:.4g}: {self.claim}"
        return "\n".join(_lines(head, self.hypotheses, self.source, self.notes))

    def table(self) -> Table:
        """Return claim, number, hypotheses and source as a table."""
        kind = "learning rate" if self.proven else "estimate"
        return said(kind, self.eta, self.claim, self.certificate, self.hypotheses, self.source, self.notes)

    def record(self, *, command: str | None = None) -> dict[str, Any]:
        """Return everything as a record for JSON; see :func:`eomsym.output.record`.

        Parameters
        ----------
        command : str, optional
            What was typed.
        """
        numbers = {name: getattr(self, name) for name in ("time", "epsilon", "order", "steps")}
        return bound_record("learning rate", self.eta, self, numbers, command)

    def _repr_html_(self) -> str:
        return self.table().html()


def _lines(head: str, hypotheses: Iterable[Hypothesis], source: str, notes: Iterable[str]) -> Iterable[str]:
    yield head
    yield from (f"  given {hypothesis}" for hypothesis in hypotheses)
    yield from (f"  note: {note}" for note in notes)
    yield f"  from {source}"


def said(
    kind: str,
    value: float,
    claim: str,
    certificate: str,
    hypotheses: Iterable[Hypothesis],
    source: str,
    notes: Iterable[str],
) -> Table:
    """A bound as a table of two columns.

    Examples
    --------
    >>> print(said("bound", 0.5, "it is small", "proven", [Hypothesis("eta < 1", "eta = 0.1")], "a theorem", []))
    bound        0.5
    claim        it is small
    certificate  proven
    given        eta < 1 (eta = 0.1)
    from         a theorem
    """
    rows = [("claim", claim), ("certificate", certificate)]
    rows += [("given", str(hypothesis)) for hypothesis in hypotheses]
    rows += [*(("note", note) for note in notes), ("from", source)]
    return Table([Column(kind, "left"), Column(f"{value:.4g}", "left")], rows)


def bound_record(
    quantity: str, value: float, answer: Any, numbers: Mapping[str, Any], command: str | None
) -> dict[str, Any]:
    """The record of an answer that has a claim, hypotheses and a source."""
    content = {
        "quantity": quantity,
        "value": value,
        "claim": answer.claim,
        "certificate": answer.certificate,
        "proven": answer.proven,
        "hypotheses": [str(hypothesis) for hypothesis in answer.hypotheses],
        "source": answer.source,
        "notes": answer.notes,
        "numbers": numbers,
    }
    return record("bound", content, command=command)


def motion_name(order: int) -> str:
    """What a claim calls the equation of motion of an order."""
    return "gradient flow" if order == 0 else f"the equation of motion of order {order}"


def checked_certificate(certificate: str, known: tuple[str, ...]) -> str:
    """A certificate that is known, or InputError."""
    if not (isinstance(certificate, str) and certificate in known):
        raise InputError(f"certificate={checks.shown(certificate)}: expected one of {', '.join(map(repr, known))}")
    return certificate
