"""What a simulation leaves behind: lines in panels, and claims with what was measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from importlib.util import find_spec
from typing import Any

import numpy as np

from eomsym.experiments.panels import Line, Panel, draw_panels
from eomsym.experiments.problem import options_of
from eomsym.output.figures import Figure
from eomsym.output.pages import side_by_side
from eomsym.output.records import record
from eomsym.output.tables import Column, Table
from eomsym.verification.verdict import Status, worst

__all__ = ["Claim", "Experiment", "Line", "Panel"]


@dataclass(frozen=True)
class Claim:
    """A statement of the theory, and the number that it is judged by.

    Attributes
    ----------
    statement : str
    measured : float
    lowest, highest : float
        The statement holds where ``lowest <= measured <= highest``; ``lowest`` may be minus infinity.
    reference : float
        Error of what was measured: where it is not far below the width of the interval, nothing is judged.

    Examples
    --------
    >>> Claim("the ratio is 2", 2.01, 1.9, 2.1).status, Claim("the ratio is 2", 3.0, 1.9, 2.1, 5.0).status
    ('passed', 'inconclusive')
    """

    statement: str
    measured: float
    lowest: float
    highest: float
    reference: float = 0.0

    @property
    def status(self) -> Status:
        """Inconclusive where twice the reference error could turn the answer."""
        inside = self.lowest <= self.measured <= self.highest
        slack = min(abs(self.measured - self.lowest), abs(self.measured - self.highest))
        if not np.isfinite(self.measured) or (self.reference > 0 and 2 * self.reference >= slack):
            return "inconclusive"
        return "passed" if inside else "failed"

    @property
    def expected(self) -> str:
        """The limits in words."""
        return f"{self.lowest:.3g} … {self.highest:.3g}" if np.isfinite(self.lowest) else f"<= {self.highest:.3g}"

    def __str__(self) -> str:
        return f"{self.status:12}  {self.measured:<10.4g} {self.expected:20}  {self.statement}"


@dataclass(frozen=True, eq=False)
class Experiment:
    """A simulation: all settings that are needed to repeat it, panels, claims, seconds, arguments of `simulate`."""

    name: str
    title: str
    settings: dict[str, Any]
    panels: tuple[Panel, ...]
    claims: tuple[Claim, ...]
    figures: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    arguments: dict[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> Status:
        """The worst of the claims."""
        return worst(claim.status for claim in self.claims)

    def __str__(self) -> str:
        return f"{self.title}\n\n{self.table()}"

    def record(self, *, command: str | None = None) -> dict[str, Any]:
        """Return everything as a record for JSON; see :func:`eomsym.output.record`.

        Parameters
        ----------
        command : str, optional
            What was typed; by default the command line that repeats it.
        """
        content = {
            "name": self.name,
            "title": self.title,
            "status": self.status,
            "seconds": self.seconds,
            "settings": self.settings,
            "arguments": self.arguments,
            "figures": self.figures,
            "claims": [{**vars(claim), "status": claim.status} for claim in self.claims],
            "panels": [{**vars(panel), "lines": [vars(line) for line in panel.lines]} for panel in self.panels],
        }
        # Every experiment makes its data and its start from the arguments; the random numbers have seed 0.
        return record("experiment", content, command=command or self.command, seed=0)

    @property
    def command(self) -> str:
        """The command line that repeats the experiment."""
        typed = dict(self.arguments)
        described = options_of(typed.pop("problem", None) or {})
        options = [f"--{key} {value}" for key, value in typed.items() if value is not None]
        return " ".join(["eomsym simulate", self.name, *described, *options])

    def table(self) -> Table:
        """Return the claims as a table."""
        columns = [
            Column("status", "left", status=True),
            Column("measured", format=".4g"),
            Column("expected"),
            Column("claim", "left"),
        ]
        rows = [(claim.status, claim.measured, claim.expected, claim.statement) for claim in self.claims]
        return Table(columns, rows, notes=[f"{self.status} in {self.seconds:.1f} s"])

    def plot(self, ax: Any = None) -> Figure:
        """Draw the panels side by side: measured lines solid, predictions dashed and on top of them.

        Parameters
        ----------
        ax : sequence of matplotlib.axes.Axes, optional
            One for each panel; new ones by default.

        Returns
        -------
        Figure

        Raises
        ------
        InputError
            If there are not as many axes as panels.
        MissingDependencyError
            If matplotlib is not installed.
        """
        return draw_panels(self.panels, self.title, ax)

    def _repr_html_(self) -> str:
        drawn = side_by_side(panel.plot() for panel in self.panels) if find_spec("matplotlib") else ""
        return f"<p><strong>{escape(self.title)}</strong></p>{drawn}{self.table().html()}"
