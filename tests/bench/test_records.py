"""How fast 100,000 recorded cases are loaded and filtered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eomsym.experiments.case import Case, Outcome, run_case
from eomsym.experiments.records import Records

pytestmark = pytest.mark.bench


def test_load_and_filter(benchmark: Any, tmp_path: Path) -> None:
    pytest.importorskip("pandas", reason="frames need pandas")
    definition = {"loss": "x**4/4", "variables": "x", "orders": [0, 1], "ladder": [20, 40]}
    orders = run_case(Case({**definition, "start": [0.5]})).orders
    with Records(tmp_path / "many.sqlite") as records:
        records.add(
            Outcome(Case({**definition, "start": [float(k)]}), "passed" if k % 10 else "failed", orders)
            for k in range(100_000)
        )

    def load() -> int:
        with Records(tmp_path / "many.sqlite") as records:
            frame = records.frame()
        return len(frame[(frame["case_status"] == "failed") & (frame["ratio"] > 0)])

    assert benchmark(load) == 20_000
