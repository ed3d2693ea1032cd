"""The verdict on one loss and one method, and how it shows itself: as text, table, figure, page and record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

from eomsym.output.figures import Figure
from eomsym.output.records import record
from eomsym.output.tables import Column, Table
from eomsym.verification.figures import draw_reports
from eomsym.verification.verdict import (
    MISFIT_TOLERANCE,
    SLOPE_TOLERANCE,
    TRUST,
    OrderReport,
    Status,
    short,
    worst,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Report"]


@dataclass(frozen=True)
class Report:
    """The verdict on one loss and one method.

    Attributes
    ----------
    name : str
        What the problem is called.
    loss : str
        Its description.
    method : str
    size : int
        Number of parameters.
    start : tuple of float, length size
    time : float
        The fixed time ``T``.
    steps : tuple of int, length m
        Steps of the optimiser, coarse to fine.
    orders : tuple of OrderReport
    seconds : float
        What the verification took, compilation included.
    notes : tuple of str
        What a reader of the verdict should know: learning rates beyond the radius of the method.
    setting : mapping
        Loss and method as they can be written down, to make them again.
    data : str, optional
        Hash of the data of the loss.
    seed : int, optional
        Of the random numbers that the start was drawn with.
    """

    name: str
    loss: str
    method: str
    size: int
    start: tuple[float, ...] = field(repr=False)
    time: float
    steps: tuple[int, ...]
    orders: tuple[OrderReport, ...]
    seconds: float
    notes: tuple[str, ...] = ()
    setting: Mapping[str, Any] = field(default_factory=dict, repr=False)
    data: str | None = None
    seed: int | None = None

    @property
    def etas(self) -> tuple[float, ...]:
        """Learning rates ``time / steps``, length m."""
        return tuple(self.time / steps for steps in self.steps)

    @property
    def status(self) -> Status:
        """``failed`` if any order failed, else ``inconclusive`` if any is, else ``passed``."""
        return worst(result.status for result in self.orders)

    @property
    def title(self) -> str:
        """What was verified, in one line."""
        return f"{self.name} · {self.method} · {self.size} parameters · time {self.time:g}"

    def table(self) -> Table:
        """Return the summary; an untrusted error is in brackets.

        Slope, ratio, misfit and reference error are those at the judged learning rate.

        Examples
        --------
        >>> import eomsym as eom
        >>> report = eom.verify(eom.Loss("x**4/4", variables="x"), [1.0], time=1.0, ladder=(20, 40), orders=[0])
        >>> report.table().headings
        ('order', 'η=0.05', 'η=0.025', 'slope', 'theory', 'ratio', 'misfit', 'reference', 'status')
        """
        rates = [Column(f"η={eta:.3g}", latex=rf"$\eta={eta:.3g}$") for eta in self.etas]
        columns: list[Column | str] = [
            "order", *rates, Column("slope", format=".3f"), "theory", "ratio", "misfit", "reference",
            Column("status", "left", status=True),
        ]  # fmt: skip
        rows = []
        for result in self.orders:
            measured = zip(result.errors, result.trusted, strict=True)
            errors = [f"{error:.1e}" if trusted else f"({error:.1e})" for error, trusted in measured]
            j = result.judged
            judged: list[Any] = [None, None, None, None]
            if j is not None:
                judged = [result.slopes[j - 1], short(result.ratios[j]), short(result.misfits[j]), result.references[j]]
            rows.append([result.order, *errors, judged[0], result.expected_slope, *judged[1:], result.status])
        notes = [f"order {result.order}: {result.reason}" for result in self.orders if result.reason]
        return Table(columns, rows, title=self.title, notes=[*notes, *self.notes])

    def __str__(self) -> str:
        title, _, rest = str(self.table()).partition("\n")
        return f"{title}\n\n{rest}\n\n{self.verdict}"

    @property
    def verdict(self) -> str:
        """Status and time taken, in one line."""
        return f"{self.status} in {self.seconds:.1f} s"

    def plot(self, ax: Axes | None = None) -> Figure:
        r"""Draw error against learning rate, one colour for each order.

        Markers are measured, lines are the predicted leading error ``eta**(K+1) norm(v)``, which is the reference
        slope at its right height. In the grey band nothing is judged: it reaches up to a hundred times the
        reference error. Hollow markers are errors that were not trusted.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            New ones by default.

        Returns
        -------
        Figure

        Raises
        ------
        MissingDependencyError
            If matplotlib is not installed.

        Examples
        --------
        >>> import eomsym as eom
        >>> report = eom.verify(eom.Loss("x**4/4", variables="x"), [1.0], time=1.0, orders=[0, 1])
        >>> report.plot().axes[0].get_xlabel()
        'learning rate $\\eta$'
        """
        return draw_reports([self], ax)

    def record(self, *, command: str | None = None) -> dict[str, Any]:
        """Return everything as a record for JSON; see :func:`eomsym.output.record`.

        Parameters
        ----------
        command : str, optional
            What was typed.

        Examples
        --------
        >>> import eomsym as eom
        >>> report = eom.verify(eom.Loss("x**4/4", variables="x"), [1.0], time=1.0, orders=[0, 1])
        >>> made = report.record()
        >>> made["schema"], made["start"], made["setting"]["losses"][0]["expression"]
        ('eomsym.verification', [1.0], 'x**4/4')
        """
        content = {key: value for key, value in vars(self).items() if key not in ("start", "seed", "data", "orders")}
        content |= {
            "status": self.status,
            "etas": self.etas,
            "tolerances": {"slope": SLOPE_TOLERANCE, "misfit": MISFIT_TOLERANCE, "trust": TRUST},
            "orders": [{**asdict(o), "ratios": o.ratios, "trusted": o.trusted} for o in self.orders],
        }
        return record("verification", content, command=command, seed=self.seed, start=self.start, data=self.data)

    def _repr_html_(self) -> str:
        return f"{self.table().html()}<p>{escape(self.verdict)}</p>"
