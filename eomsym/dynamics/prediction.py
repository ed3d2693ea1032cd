"""What a prediction many steps ahead gives: the parameters, their estimated error, and how it came about."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eomsym.codegen.kernel import Kernel
from eomsym.output.records import data_hash, record
from eomsym.output.tables import Column, Table

__all__ = ["Forward", "Stretch"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Stretch:
    """A part of the way.

    Attributes
    ----------
    by : str
        ``"optimiser"``, or the equation of motion with its order and integrator.
    eta : float
    steps : int
        Steps of the optimiser that it covers.
    gradients : float
        What was spent on it, in steps of the optimiser.
    """

    by: str
    eta: float
    steps: int
    gradients: float


@dataclass(frozen=True, eq=False)
class Forward:
    """A prediction of the parameters after many steps.

    Attributes
    ----------
    theta : ndarray, shape (n,)
        The parameters; behind them the memories that the method keeps as states.
    steps : int
        Steps that were made; fewer than asked for after an interruption, or where a limit of time was reached.
    error : float
        Estimated Euclidean distance from the optimiser: what the equation neglects plus the integrator's.
        0 where the optimiser ran all the way.
    neglected, integration : float
        Its two parts. The first has been subtracted from the prediction, so the true distance is mostly far smaller.
    order : int
        Order of the equation of motion; -1 where it was not used.
    gradients : float
        What was spent, in steps of the optimiser, counted by arithmetic.
    stretches : tuple of Stretch
        How the way was made.
    sharpness : tuple of float
        ``eta * lambda`` at the begin of the equation and at its end.
    notes : tuple of str
        Why the optimiser ran, where it did; what to know.
    complete : bool
        False after an interruption, or where a limit of time was reached.
    seconds : float
    kernel : Kernel
    start : ndarray, shape (n,)
        Where it began, with the memories that the method keeps as states.
    """

    theta: Array
    steps: int
    error: float
    neglected: float
    integration: float
    order: int
    gradients: float
    stretches: tuple[Stretch, ...]
    sharpness: tuple[float, ...]
    notes: tuple[str, ...]
    complete: bool
    seconds: float
    kernel: Kernel = field(repr=False)
    start: Array = field(repr=False)

    @property
    def saved(self) -> float:
        """How many times fewer gradients than the optimiser itself."""
        return self.steps / max(self.gradients, 1e-9)

    def _saving(self, what: str) -> str:
        """How many times fewer gradients, in words; nobody is told of a saving where there is none."""
        if self.saved >= 1:
            return f"{self.saved:.1f} times fewer{what}"
        return f"{1 / max(self.saved, 1e-9) - 1:.1%} more{what} than the optimiser"

    def __str__(self) -> str:
        way = "; ".join(
            f"{part.steps:,} steps by {part.by} for {part.gradients:,.0f} gradients" for part in self.stretches
        )
        head = f"{self.steps:,} steps" + ("" if self.complete else " (not all)")
        spent = f"{self.gradients:,.0f} gradients, {self._saving('')}, {self.seconds:.2f} s"
        return "\n".join([f"{head}: error {self.error:.1e}, {spent}", way, *self.notes])

    def record(self, *, command: str | None = None) -> dict[str, Any]:
        """Return everything as a record for JSON; see :func:`eomsym.output.record`.

        Parameters
        ----------
        command : str, optional
            What was typed.
        """
        numbers = ("steps", "error", "neglected", "integration", "order", "gradients", "saved", "complete", "seconds")
        content = {name: getattr(self, name) for name in (*numbers, "sharpness", "notes", "theta")}
        content |= {"stretches": [vars(part) for part in self.stretches]}
        content |= {"loss": self.kernel.loss.describe(), "method": self.kernel.method.name}
        losses = self.kernel.losses
        arrays = [getattr(loss, name) for loss in losses for name in ("inputs", "targets") if hasattr(loss, name)]
        data = data_hash(*arrays) if arrays else None
        return record("forward", content, command=command, start=self.start, data=data)

    def table(self) -> Table:
        """Return how the way was made as a table."""
        columns: list[Column | str] = [
            Column("by", "left"),
            Column("eta", format=".4g"),
            "steps",
            Column("gradients", format=",.0f"),
        ]
        rows = [(part.by, part.eta, f"{part.steps:,}", part.gradients) for part in self.stretches]
        spent = f"error {self.error:.1e}; {self._saving(' gradients')}; {self.seconds:.2f} s"
        return Table(columns, rows, notes=[spent, *self.notes])

    def _repr_html_(self) -> str:
        return self.table().html()
