"""What a file of records says: tables, figures, and one page that needs nothing else."""

from __future__ import annotations

import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np

from eomsym import checks
from eomsym.experiments import charts
from eomsym.experiments.measures import MEASURES
from eomsym.experiments.records import COLUMNS, Curve, Records
from eomsym.formulas.terms import counter_terms
from eomsym.output.figures import Figure
from eomsym.output.pages import page, side_by_side
from eomsym.output.style import STATUS
from eomsym.output.tables import Column, Table

__all__ = ["Summary", "summarise"]

#: Cases that are listed one by one, at most; the file has them all.
LISTED = 200
#: Cases whose errors are drawn against eta, at most.
DRAWN = 4
STATUSES = ("passed", "failed", "inconclusive", "error")
VERDICT = Column("status", align="left", status=True)

#: Of what is measured beside the verdicts.
HEADINGS = {
    "bound": "Bound against truth",
    "sharpness": "Sharpness on the way",
    "layers": "Norms and angles of invariant layers",
}
#: A click on a heading sorts by it, numbers as numbers; without it the table is a table.
SORT = """
<script>
document.querySelectorAll("table").forEach(table => {
  table.querySelectorAll("thead th").forEach((heading, k) => {
    heading.style.cursor = "pointer";
    heading.title = "sort";
    let down = false;
    heading.addEventListener("click", () => {
      const body = table.tBodies[0], value = row => row.cells[k].textContent.trim();
      const rows = [...body.rows].sort((a, b) => {
        const x = value(a), y = value(b), p = parseFloat(x), q = parseFloat(y);
        return isNaN(p) || isNaN(q) ? x.localeCompare(y) : p - q;
      });
      if (down) rows.reverse();
      down = !down;
      rows.forEach(row => body.append(row));
    });
  });
});
</script>
"""


@dataclass(frozen=True)
class Summary:
    """The records of a file, read.

    Attributes
    ----------
    name : str
        Of the file.
    rows : tuple of dict
        One for each order of each case, by the names of `COLUMNS`.
    definitions : dict
        Of the cases by their hash.
    versions : tuple of dict
        With what the cases were run.
    curves : dict
        Errors over the learning rates, of a few cases, by their hash and the order.
    measures : dict
        What was measured beside the verdicts: by its name, then by the hash of the case. Of sharpness and layers a few.
    """

    name: str
    rows: tuple[dict[str, Any], ...]
    definitions: dict[str, dict[str, Any]]
    versions: tuple[dict[str, str], ...]
    curves: dict[tuple[str, int], Curve]
    measures: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)

    # tables -----------------------------------------------------------------------------------------------------------

    def verdicts(self) -> Table:
        """Verdicts of each order, by method."""
        counted: dict[tuple[str, Any], Counter[str]] = defaultdict(Counter)
        for row in self.rows:
            counted[row["method"], row["order"]][row["status"] or "error"] += 1
        columns: list[Column | str] = [
            Column("method", align="left"),
            "order",
            *STATUSES,
            Column("median ratio", format=".4f"),
        ]
        lines = []
        for (method, order), counts in sorted(counted.items(), key=str):
            found = [r["ratio"] for r in self.rows if (r["method"], r["order"]) == (method, order) and r["ratio"]]
            middle = float(np.median(found)) if found else None
            lines.append((method, order, *(counts[status] for status in STATUSES), middle))
        return Table(
            columns,
            lines,
        )

    def cases(self, statuses: Iterable[str] = ("failed", "error", "inconclusive")) -> Table:
        """Cases with these verdicts, why, and the command that runs each of them again."""
        wanted, rows = set(statuses), []
        for row in self.rows:
            status = row["status"] or row["case_status"]
            if status in wanted:
                reason = row["reason"] or row["case_error"]
                again = f"eomsym sweep --again {row['key'][:12]} {shlex.quote(self.name)}"
                rows.append((status, row["title"], row["order"], row["slope"], row["misfit"], reason, again))
        note = [f"{len(rows) - LISTED} more are in the file"] if len(rows) > LISTED else []
        columns: list[Column | str] = [
            VERDICT,
            Column("case", align="left"),
            "order",
            Column("slope", format=".3f"),
            Column("misfit", format=".2e"),
            Column("why", align="left"),
            Column("run it again", align="left"),
        ]
        return Table(columns, rows[:LISTED], notes=note)

    # figures ----------------------------------------------------------------------------------------------------------

    def ratios(self) -> Figure:
        """Measured over predicted error, one step line for each order."""
        return charts.drawn([charts.ratios(self)])

    def agreement(self) -> Figure:
        """Measured against predicted error of every case and order."""
        return charts.drawn([charts.agreement(self)])

    def errors(self) -> Figure | None:
        """Errors against the learning rate with their predictions, of a few cases; None where none was judged."""
        return charts.drawn(made) if (made := charts.error_charts(self.curves, self._titles())) else None

    def map(self) -> Figure | None:
        """Errors of the orders, and the highest that passed, over depth and initial scale, where both vary."""
        return charts.drawn(made) if (made := charts.map_charts(self)) else None

    def beside(self) -> dict[str, Figure]:
        """What was measured beside the verdicts, by its name: ``"bound"``, ``"sharpness"``, ``"layers"``."""
        return {name: charts.drawn(made) for name, made in self._beside().items() if made}

    def _beside(self) -> dict[str, list[charts.Chart]]:
        titles = self._titles()
        found = {name: self.measures.get(name, {}) for name in MEASURES}
        return {
            "bound": charts.bound_charts(found["bound"]),
            "sharpness": charts.sharpness_charts(found["sharpness"], titles),
            "layers": charts.layer_charts(found["layers"], titles),
        }

    def _titles(self) -> dict[str, str]:
        """Of the charts: with the optimiser, unless the case was given a name that no other optimiser has."""
        methods: dict[str, set[str]] = defaultdict(set)
        for row in self.rows:
            methods[row["title"]].add(row["method"])

        def title(row: dict[str, Any]) -> str:
            alone = "name" in self.definitions[row["key"]] and len(methods[row["title"]]) == 1
            return str(row["title"]) if alone else f"{row['title']}, {row['method']}"

        return {row["key"]: title(row) for row in self.rows}

    @property
    def orders(self) -> list[int]:
        """Orders that occur."""
        return sorted({row["order"] for row in self.rows if row["order"] is not None})

    # documents --------------------------------------------------------------------------------------------------------

    def parts(self) -> list[Any]:
        """What a page shows."""
        counts = Counter({row["key"]: row["case_status"] for row in self.rows}.values())
        told = " · ".join(f'<b style="color:{STATUS.get(s, "#888")}">{n} {s}</b>' for s, n in sorted(counts.items()))
        parts: list[Any] = [f"<p>{len(self.definitions)} cases: {told}</p>"]
        if self.orders and max(self.orders) < 5:
            parts += ["<h2>Counter terms of gradient descent</h2>", counter_terms(max(self.orders))]
        parts += ["<h2>Verdicts</h2>", self.verdicts()]
        drawings = [charts.ratios(self), charts.agreement(self)] if self.orders else []
        for title, some in (
            ("Measured and predicted", drawings),
            ("Error against the learning rate", charts.error_charts(self.curves, self._titles())),
            ("Over depth and scale of the start", charts.map_charts(self)),
            *((HEADINGS[name], some) for name, some in self._beside().items()),
        ):
            if some:
                parts += [f"<h2>{title}</h2>", side_by_side(charts.drawn([chart]) for chart in some)]
        parts += ["<h2>Cases to look at</h2>", self.cases(), "<h2>Made with</h2>"]
        parts += [
            f"<p>{escape(', '.join(f'{k} {v}' for k, v in sorted(one.items()) if v))}</p>" for one in self.versions
        ]
        return [*parts, SORT]

    def html(self, title: str | None = None) -> str:
        """One page; its tables sort by a click on a heading."""
        return page(title or f"Sweep {self.name}", self.parts())

    def markdown(self) -> str:
        """Tables in Markdown."""
        return f"# Sweep {self.name}\n\n{self.verdicts().markdown()}\n\n{self.cases().markdown()}\n"

    def latex(self) -> str:
        """The table of verdicts in LaTeX, for booktabs."""
        return self.verdicts().latex() + "\n"

    def _repr_html_(self) -> str:
        return self.verdicts()._repr_html_()

    def __str__(self) -> str:
        return f"{self.verdicts()}\n\n{self.cases()}"


def summarise(records: Records) -> Summary:
    """Read a file of records.

    Parameters
    ----------
    records : Records

    Returns
    -------
    Summary

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from eomsym.experiments.case import Case, run_case
    >>> case = Case({"loss": "x**4/4", "variables": "x", "start": [1.0], "orders": [0], "ladder": [20, 40]})
    >>> with Records(Path(tempfile.mkdtemp()) / "some.sqlite") as records:
    ...     records.add([run_case(case)])
    ...     print(summarise(records).verdicts())
    method  order  passed  failed  inconclusive  error  median ratio
    gd          0       1       0             0      0        1.0152
    """
    checks.instance(records, "records", Records, "Records('records.sqlite')")
    rows = tuple(dict(zip(COLUMNS, row, strict=True)) for row in records.rows())
    beside = {name: records.measures(name, -1 if name == "bound" else DRAWN) for name in MEASURES}
    return Summary(
        records.path.name,
        rows,
        records.definitions(),
        tuple(records.environments()),
        records.curves(DRAWN),
        {name: found for name, found in beside.items() if found},
    )
