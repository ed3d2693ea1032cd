"""Plans of many cases."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eomsym.errors import InputError
from eomsym.experiments.plan import Plan, read_plan

TEXT = """
name = "depths"
draws = 50
seed = 3

[case]
time = 0.5
orders = [0, 1]

[case.network]
width = 3
data = "synthetic"

[vary]
"network.depth" = { low = 2, high = 6, integer = true }
"network.scale" = { low = 0.01, high = 1.0, log = true }
method = ["gd", { name = "heavy-ball", beta = "1/2" }]
"""


def test_random_draws_are_the_same_each_time(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(TEXT)
    plan = read_plan(tmp_path / "p.toml")
    cases = plan.all()
    assert len({case.key for case in cases}) == 50
    assert [case.key for case in read_plan(tmp_path / "p.toml").all()] == [case.key for case in cases]
    networks = [case.definition["network"] for case in cases]
    assert {network["depth"] for network in networks} == {2, 3, 4, 5, 6}
    scales = np.log10([network["scale"] for network in networks])
    assert scales.min() < -1.7
    assert scales.max() > -0.3  # spread over both decades
    assert {str(case.definition["method"]) for case in cases} == {"gd", "{'name': 'heavy-ball', 'beta': '1/2'}"}
    assert all(case.definition["network"]["width"] == 3 for case in cases)


def test_a_grid_has_every_combination() -> None:
    ranges = {"low": 0.01, "high": 1, "log": True, "count": 3}
    plan = Plan({"network": {"width": 2}}, {"network.depth": [2, 3], "network.scale": ranges, "seed": [0, 1]})
    found = {(c.definition["network"]["depth"], round(c.definition["network"]["scale"], 6), c.definition["seed"])
             for c in plan.all()}  # fmt: skip
    assert found == {(d, s, n) for d in (2, 3) for s in (0.01, 0.1, 1.0) for n in (0, 1)}


def test_single_cases_are_laid_over_what_all_share(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(
        '[case]\ntime = 2.0\n[[cases]]\nproblem = "rosenbrock"\n[[cases]]\nproblem = "rosenbrock"\ntime = 1.0\n'
    )
    assert [case.definition["time"] for case in read_plan(tmp_path / "p.toml").all()] == [2.0, 1.0]


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("draws = 50", "draws = 50 50", r"is no TOML: .*line 3"),
        ("draws = 50", "drawings = 50", r"p.toml, line 3, key drawings: a plan has the unknown key 'drawings'"),
        ("draws = 50", "draws = 0", r"p.toml, line 3, key draws: draws must be an integer >= 1 .*, got 0"),
        (
            "width = 3",
            'width = "three"',
            r"p.toml, line 11, key case.network.width: network: width is 'three', expected int",
        ),
        ("orders", "order", r"line 8, key case.order: a case has the unknown key 'order'"),
        (
            "log = true",
            "logarithmic = true",
            r"line 16, key vary.network.scale.logarithmic: .*unknown key 'logarithmic'",
        ),
        ('"gd", {', '"adamm", {', r"line 17, key vary.method.*: unknown optimiser 'adamm'"),
        ("seed = 3", "seed = 3\nseed = 4", r"is no TOML: .*line 5.*: seed = 4"),
        ('beta = "1/2"', 'gamma = "1/2"', r"line 17.*: heavy-ball does not take gamma"),
        ("low = 0.01", "low = 0", "logarithmic, so low must be > 0"),
        ("low = 2", "low = 8", "expected low and high, low <= high"),
        (
            '"network.scale" = { low = 0.01, high = 1.0, log = true }',
            "time = []",
            "expected a list of values, or a range",
        ),
        ("draws = 50\n", "", "needs count in a grid, such as count = 5"),
    ],
)
def test_bad_plans(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in TEXT
    (tmp_path / "p.toml").write_text(TEXT.replace(old, new, 1))
    with pytest.raises(InputError, match=message):
        read_plan(tmp_path / "p.toml")


def test_no_file() -> None:
    with pytest.raises(InputError, match=r"cannot read /nowhere/p\.toml: No such file"):
        read_plan("/nowhere/p.toml")
