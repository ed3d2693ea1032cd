"""What a simulation leaves behind: lines in panels, and claims with what was measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

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

    def __str__(self) -> str:
        limits = f"in {self.lowest:.3g} … {self.highest:.3g}" if np.isfinite(self.lowest) else f"<= {self.highest:.3g}"
        return f"{self.status:12}  {self.measured:<10.4g} {limits:20}  {self.statement}"


@dataclass(frozen=True, eq=False)
class Line:
    """One line of a panel.

    Attributes
    ----------
    label : str
    x, y : ndarray, shape (m,)
    model : int or str
        Order of the equation of motion, "descent", or another word; it chooses the colour.
    kind : {"measured", "predicted"}
        Solid or dashed.
    """

    label: str
    x: np.ndarray
    y: np.ndarray
    model: int | str
    kind: Literal["measured", "predicted"] = "measured"


@dataclass(frozen=True, eq=False)
class Panel:
    """Axes with their lines."""

    title: str
    xlabel: str
    ylabel: str
    lines: tuple[Line, ...]
    log: Literal["", "y", "xy"] = ""
    note: str = ""


@dataclass(frozen=True, eq=False)
class Experiment:
    """A simulation: name and title, all settings that are needed to repeat it, panels, claims, and seconds taken."""

    name: str
    title: str
    settings: dict[str, Any]
    panels: tuple[Panel, ...]
    claims: tuple[Claim, ...]
    figures: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def status(self) -> Status:
        """The worst of the claims."""
        return worst(claim.status for claim in self.claims)

    def __str__(self) -> str:
        return "\n".join([self.title, "", *map(str, self.claims), "", f"{self.status} in {self.seconds:.1f} s"])

    def record(self) -> dict[str, Any]:
        """Everything as lists, numbers and text, for JSON; what is not a finite number becomes null."""
        claims = [
            {
                **vars(claim),
                "measured": _finite(claim.measured),
                "lowest": _finite(claim.lowest),
                "status": claim.status,
            }
            for claim in self.claims
        ]
        panels = [{**vars(panel), "lines": [_listed(line) for line in panel.lines]} for panel in self.panels]
        return {
            "schema": "eomsym.experiment",
            "schema_version": 1,
            "name": self.name,
            "title": self.title,
            "status": self.status,
            "seconds": self.seconds,
            "settings": self.settings,
            "figures": self.figures,
            "claims": claims,
            "panels": panels,
        }


def _listed(line: Line) -> dict[str, Any]:
    return {**vars(line), "x": [*map(_finite, line.x)], "y": [*map(_finite, line.y)]}


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
