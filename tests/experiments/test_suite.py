"""The named problems: real data, and the verdict that `eomsym verify` ends with."""

from __future__ import annotations

import pytest

from eomsym.errors import InputError
from eomsym.experiments.suite import DEFAULT_PROBLEMS, PROBLEMS, verify_problems


def test_default_holds_a_shallow_and_a_deep_network() -> None:
    depths = {
        len(loss.widths) - 1 for loss, _ in (PROBLEMS[n].build() for n in DEFAULT_PROBLEMS) if hasattr(loss, "widths")
    }
    assert depths == {2, 3}
    assert "rosenbrock" in DEFAULT_PROBLEMS


@pytest.mark.parametrize("name", DEFAULT_PROBLEMS)
def test_every_default_problem_passes(name: str) -> None:
    (report,) = verify_problems([name])
    assert report.status == "passed", str(report)
    assert [result.order for result in report.orders] == [0, 1, 2, 3, 4]
    for result in report.orders:
        assert result.judged == len(report.steps) - 1  # at the finest step
        assert abs(result.ratios[-1] - 1) < 0.03


@pytest.mark.slow
def test_cross_entropy_passes() -> None:
    (report,) = verify_problems(["digits-cross-entropy"])
    assert report.status == "passed", str(report)


def test_progress_is_counted_over_all_problems() -> None:
    calls: list[tuple[int, int, str]] = []
    verify_problems(["rosenbrock"] * 2, [0], steps=(10, 20), progress=lambda *call: calls.append(call))
    done = [done for done, _, _ in calls]
    assert done == sorted(done)
    assert (done[-1], {total for _, total, _ in calls}) == (10, {10})
    assert "rosenbrock: leading errors" in [label for _, _, label in calls]


def test_options_take_the_place_of_the_problems_own() -> None:
    (report,) = verify_problems(["rosenbrock"], [1], time=0.5, steps=(7, 14))
    assert (report.time, report.steps) == (0.5, (7, 14))


def test_unknown_problem_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match="unknown problem 'rosenbrok'; expected one of rosenbrock, digits-2"):
        verify_problems(["rosenbrock", "rosenbrok"])
