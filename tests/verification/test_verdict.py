"""The verdict on made-up measurements: a plain reading of its numbers, and both sides of every threshold."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from eomsym.verification.verdict import Evidence, OrderReport, _status, judge, short, worst


def norm(vector: Any) -> float:
    return math.sqrt(sum(float(x) ** 2 for x in vector))


def plain(order: int, etas: Any, gaps: Any, references: Any, vectors: Any, doubts: Any) -> dict[str, Any]:
    """The numbers of a verdict, one after the other."""
    m, first, leads = len(etas), 0, False
    for i, v in enumerate(vectors):
        known = norm(v) > (100 / 3 * doubts[i] if doubts is not None else 0)
        if known and any(etas[k] ** (order + 1 + i) * norm(v) > references[k] for k in range(m)):
            first, leads = i, True
            break
    slope, size = order + 1 + first, norm(vectors[first])
    errors = [norm(gap) for gap in gaps]
    predictions = [eta**slope * size for eta in etas]
    misses = [gap / eta**slope - vectors[first] for gap, eta in zip(gaps, etas, strict=True)]
    trusted = [error >= 100 * reference for error, reference in zip(errors, references, strict=True)]
    judged = max((k for k in range(1, m) if trusted[k] and trusted[k - 1]), default=None)
    limit = math.nan
    if judged is not None:
        a, b = etas[judged - 1], etas[judged]
        limit = norm((misses[judged] * a - misses[judged - 1] * b) / (a - b)) / size
    return {
        "leads": leads, "expected_slope": slope, "leading": size, "errors": errors, "predictions": predictions,
        "references": list(references), "misfits": [norm(miss) / size for miss in misses],
        "cosines": [float(gap @ vectors[first]) / error / size for gap, error in zip(gaps, errors, strict=True)],
        "slopes": [
            (math.log(errors[k]) - math.log(errors[k + 1])) / (math.log(etas[k]) - math.log(etas[k + 1]))
            for k in range(m - 1)
        ],
        "limit": limit, "judged": judged, "trusted": trusted,
        "ratios": [error / prediction for error, prediction in zip(errors, predictions, strict=True)],
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(40))
def test_the_numbers_are_those_of_a_plain_reading(seed: int) -> None:
    rng = np.random.default_rng(seed)
    order, m, n, k = int(rng.integers(0, 4)), int(rng.integers(2, 6)), int(rng.integers(1, 4)), int(rng.integers(1, 4))
    etas = 0.3 / np.cumprod(rng.uniform(1.2, 2.5, m))
    vectors = rng.standard_normal((k, n)) * 10.0 ** rng.uniform(-9, 1, (k, 1))
    gaps = sum(etas[:, None] ** (order + 1 + i) * v for i, v in enumerate(vectors)) * rng.uniform(0.8, 1.2, (m, n))
    references = np.linalg.norm(gaps, axis=1) * 10.0 ** rng.uniform(-5, -1.5, m)
    doubts = None if seed % 2 else np.linalg.norm(vectors, axis=1) * 10.0 ** rng.uniform(-3, -1, k)
    result = judge(order, etas, gaps, references, vectors, doubts=doubts)
    expected = plain(order, etas, gaps, references, vectors, doubts)
    leads = expected.pop("leads")
    assert (result.judged, result.order) == (expected.pop("judged"), order)
    assert result.trusted == tuple(expected.pop("trusted"))
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(result, name), value, rtol=1e-10, atol=1e-12, err_msg=name)
    if not leads:
        assert result.reason.startswith("the leading error vanishes; ask for higher orders too")
    elif result.judged is None:
        assert result.reason == "no two neighbouring errors are 100 times above the reference error"
    if result.judged is not None:
        drowned = f"judged at eta = {etas[result.judged]:.3g}, finer ones drown in rounding"
        assert (drowned in result.reason) == (result.judged < m - 1)
    assert result.ladder == ()


ETAS = np.array([0.5, 0.25])
EXACT = ETAS[:, None]  # the errors of order 0 whose leading error is 1


def verdict(gaps: Any = EXACT, references: Any = (0.0, 0.0), vectors: Any = ((1.0,),), **options: Any) -> OrderReport:
    return judge(0, ETAS, np.asarray(gaps), np.asarray(references), np.asarray(vectors), **options)


def test_an_error_is_trusted_from_a_hundred_times_its_reference_on() -> None:
    at = np.array([0.005, 0.0025])
    assert (100 * at == ETAS).all()
    assert verdict(references=at).status == "passed"
    assert verdict(references=at).trusted == (True, True)
    for one in (0, 1):
        more = at.copy()
        more[one] = np.nextafter(at[one], 1)
        result = verdict(references=more)
        assert (result.status, result.judged) == ("inconclusive", None)
        assert result.reason == "no two neighbouring errors are 100 times above the reference error"
        assert result.trusted == (one == 1, one == 0)


def test_a_leading_error_leads_above_the_reference_error() -> None:
    """And where its own doubt is less than 3 % of it."""
    vanishes = "the leading error vanishes; ask for higher orders too"
    assert verdict(references=ETAS).reason == vanishes
    below = verdict(references=[0.5, np.nextafter(0.25, 0)])
    assert below.reason == "no two neighbouring errors are 100 times above the reference error"
    assert verdict(vectors=[[0.0]]).reason == vanishes
    large = 100 * EXACT
    assert 100 / 3 * 3.0 == 100.0
    assert verdict(large, vectors=[[100.0]], doubts=np.array([3.0])).reason == vanishes
    assert verdict(large, vectors=[[100.0]], doubts=np.array([2.999])).status == "passed"
    # The next one leads in its place, with its slope; at an eta where it is above the reference.
    following = verdict(EXACT**2, vectors=[[0.0], [1.0]])
    assert (following.expected_slope, following.status) == (2, "passed")
    np.testing.assert_array_equal(following.predictions, ETAS**2)


def test_nothing_can_be_judged_where_all_but_one_rung_is_lost() -> None:
    etas, infinite = np.array([0.5, 0.25, 0.125]), np.full(3, np.inf)
    gaps = etas[:, None].copy()
    gaps[0] = np.nan
    two = judge(0, etas, gaps, infinite, np.ones((1, 1)))
    assert two.reason == "the leading error vanishes; ask for higher orders too"
    gaps[1] = np.nan
    one = judge(0, etas, gaps, infinite, np.ones((1, 1)))
    assert one.reason == "the run or the motion leaves the finite numbers on all but one rung"
    assert judge(0, etas, gaps, infinite, np.ones((1, 1)), silence="it is late").reason == "it is late"


def test_what_drowns_behind_the_judged_rung() -> None:
    etas = np.array([0.5, 0.25, 0.125, 0.0625])
    references = np.array([0.0, 0.0, 1.0, 1.0])
    result = judge(0, etas, etas[:, None], references, np.ones((1, 1)))
    assert (result.judged, result.status) == (1, "passed")
    assert result.reason == "judged at eta = 0.25, finer ones drown in rounding"
    gaps = etas[:, None].copy()
    gaps[3] = np.nan  # a motion that was left out drowns in nothing
    assert judge(0, etas, gaps, references, np.ones((1, 1))).reason == ""
    gaps[3], gaps[2] = 0.0625, np.nan
    assert judge(0, etas, gaps, references, np.ones((1, 1))).reason == ""
    # The finest pair is judged, though a coarser rung is lost.
    assert judge(0, etas, etas[:, None], np.array([1.0, 0.0, 0.0, 0.0]), np.ones((1, 1))).judged == 3
    # What is out of tolerance, and drowns.
    both = judge(0, etas, 1.5 * etas[:, None], references, np.ones((1, 1)))
    assert both.reason.endswith("; judged at eta = 0.25, finer ones drown in rounding")
    assert both.reason.startswith("misfit 0.5000 out of tolerance; of a right equation")


def status(
    slope: float = 1.0,
    misfits: tuple[float, float] = (0.2, 0.2),
    limit: tuple[float, float] = (0.2, 0.0),
    etas: Any = ETAS,
    found: Evidence | None = None,
) -> tuple[str, str]:
    asked = []

    def evidence(j: int, theory: int) -> Evidence:
        asked.append((j, theory))
        return found or Evidence(0.0)

    said = _status(1, 1, np.array([slope]), np.array(misfits), limit, np.asarray(etas), evidence)
    assert asked in ([], [(1, 1)])
    return (*said, *([] if asked else ["unasked"]))  # type: ignore[return-value]


def test_the_tolerances_belong_to_what_passes() -> None:
    for slope in (0.0, 1.0):
        for side in (-1, 1):
            inside = np.array([slope + side * 0.0499])
            zero = np.zeros(2)
            args = (zero, (0.0, 0.0), ETAS, lambda j, slope: Evidence(0.0))
            assert _status(1, int(slope), inside, *args) == ("passed", "")
            outside = _status(1, int(slope), np.array([slope + side * 0.0501]), *args)
            assert outside[0] == "inconclusive"
            assert outside[1].startswith(f"slope {slope + side * 0.0501:.3f} out of tolerance, but the misfit shrinks")
    assert _status(1, 0, np.array([0.05]), zero, (0.0, 0.0), ETAS, lambda j, slope: Evidence(0.0))[0] == "passed"
    assert status(misfits=(0.0, 0.03), limit=(0.0, 0.0)) == ("passed", "")
    assert status(misfits=(0.0, np.nextafter(0.03, 1)))[0] == "failed"
    # A slope that is off though the misfit is not.
    told = status(slope=1.1, misfits=(0.03, 0.03))
    assert told == ("inconclusive", "slope 1.100 out of tolerance, but the misfit is not", "unasked")
    assert status(slope=1.1, misfits=(0.0301, 0.0301))[1].startswith(
        "slope 1.100 and misfit 0.0301 out of tolerance; of a right equation"
    )


def test_a_misfit_that_shrinks_more_than_by_the_root_is_no_failure() -> None:
    quarter = [0.5, 0.125]  # whose root is a half
    told = status(misfits=(0.4, 0.2), etas=quarter)
    assert told == ("inconclusive", "misfit 0.2000 out of tolerance, but the misfit shrinks with eta", "unasked")
    assert status(misfits=(np.nextafter(0.4, 0), 0.2), etas=quarter)[0] == "failed"
    # The root of the ratio of the two, not of their product or of one.
    assert status(misfits=(0.4, 0.21), etas=quarter)[0] == "failed"
    assert status(misfits=(0.4, 0.19), etas=quarter)[0] == "inconclusive"


def test_a_small_misfit_by_chance_is_none_that_passes() -> None:
    """It tends to more than the tolerance; or it does not shrink where the series is not asymptotic."""
    small = {"misfits": (0.02, 0.01)}
    assert status(limit=(0.03, 0.0), **small) == ("passed", "", "unasked")
    assert status(limit=(np.nextafter(0.03, 1), 0.0), **small) == (
        "inconclusive",
        "misfit 0.0100 is within tolerance, but where eta vanishes it would tend to 0.0300, which is not",
        "unasked",
    )
    wild, quarter, third = Evidence(0.26), [0.5, 0.125], 0.03 / 3
    told = (
        "misfit 0.0200 is within tolerance, but it does not shrink with eta, and the series is not asymptotic yet: by "
    )
    told += "the next order, a right equation may have a misfit of 0.2600"
    none = {"limit": (0.0, 0.0), "etas": quarter}
    assert status(misfits=(0.039, 0.02), found=wild, **none) == ("inconclusive", told)
    assert status(misfits=(0.039, 0.02), found=Evidence(0.25), **none) == ("passed", "")
    assert status(misfits=(0.04, 0.02), found=wild, **none) == ("passed", "", "unasked")  # it shrinks by the root
    assert status(misfits=(0.0, third), found=wild, **none) == ("passed", "", "unasked")  # a third of the tolerance
    assert status(misfits=(0.0, np.nextafter(third, 1)), found=wild, **none)[0] == "inconclusive"
    # The rung before the judged one, and its rate.
    for misfits, etas, said in (
        ((9.0, 0.02, 0.02), (4.0, 2.0, 0.5), "inconclusive"),
        ((0.0, 0.05, 0.02), (4.0, 2.0, 0.5), "passed"),
        ((0.0, 0.03, 0.02), (9.0, 1.0, 0.5), "passed"),
    ):
        found = _status(2, 1, np.ones(2), np.array(misfits), (0.0, 0.0), np.array(etas), lambda *_: wild)
        assert found[0] == said, misfits


def test_the_rung_before_the_judged_one_counts() -> None:
    def judged(misfits: tuple[float, ...], etas: tuple[float, ...], slopes: tuple[float, ...]) -> str:
        found = _status(
            2, 1, np.array(slopes), np.array(misfits), (max(misfits), 0.0), np.array(etas), lambda *_: Evidence(0.05)
        )
        return " ".join(found)

    assert judged((0.01, 0.4, 0.2), (4.0, 2.0, 0.5), (1.0, 1.0)).endswith("the misfit shrinks with eta")
    assert judged((9.0, 0.1, 0.2), (4.0, 2.0, 0.5), (1.0, 1.0)).startswith("failed misfit 0.2000 out of tolerance")
    assert judged((9.0, 0.3, 0.2), (4.0, 1.0, 0.5), (1.0, 1.0)).endswith("the misfit shrinks with eta")
    assert judged((9.0, 0.28, 0.2), (4.0, 1.0, 0.5), (1.0, 1.0)).startswith("failed")
    assert "vanish with eta up to 0.1200," in judged((0.1, 0.1, 0.2), (4.0, 2.0, 0.5), (1.0, 1.0))  # 3 * (0.05 * 4)**2
    assert judged((0.0, 0.0, 0.0), (4.0, 2.0, 0.5), (2.0, 1.0)) == "passed "
    assert judged((0.0, 0.0, 0.0), (4.0, 2.0, 0.5), (1.0, 2.0)).startswith("inconclusive slope 2.000 out of tolerance")


def test_the_order_of_what_leads_is_its_own() -> None:
    """At eta = 1/2 a reference of 0.2 is below eta**2, and above eta**3 and 3 eta**4."""
    etas, references = np.array([0.5, 0.25]), np.array([0.2, 0.2])
    for order, vectors, slope in (
        (1, [[0.0], [1.0]], 2),  # none: the first stands for it
        (0, [[0.0], [1.0]], 2),
        (0, [[0.3], [1.0]], 2),
        (0, [[0.5], [1.0]], 1),
        (2, [[1.0], [3.9]], 4),
        (2, [[1.0], [3.1]], 3),
        (2, [[1.7], [3.1]], 3),
        (0, [[0.0], [0.0], [1.7], [9.0]], 3),
        (1, [[0.0], [0.0], [1.7], [9.0]], 5),
    ):
        result = judge(order, etas, etas[:, None], references, np.array(vectors))
        assert result.expected_slope == slope, (order, vectors)


def test_numbers_of_a_report_belong_together() -> None:
    short_one = dataclasses.replace(verdict(), errors=(1.0,))
    for name in ("ratios", "trusted"):
        with pytest.raises(ValueError, match="zip"):
            getattr(short_one, name)


def test_an_obstacle_is_told() -> None:
    told = status(found=Evidence(0.0, "the sky is grey"))
    assert told == ("inconclusive", "misfit 0.2000 out of tolerance, but the sky is grey")


@pytest.mark.parametrize("expected", [0.0, 0.01, 0.1, 0.25])
def test_what_a_right_equation_may_leave(expected: float) -> None:
    """Three times the square of what it may show on the coarser rung, and the errors of the measurement."""
    left = 3 * (2 * expected) ** 2 + 0.125
    edge = 0.03 + left
    told = status(limit=(edge + 1e-12, 0.125), found=Evidence(expected))
    assert told == (
        "failed",
        (
            f"misfit 0.2000 out of tolerance; of a right equation it would vanish with eta up to {left:.4f}, and it "
            f"tends to {edge:.4f}"
        ),
    )
    told = status(limit=(edge - 1e-12, 0.125), found=Evidence(expected))
    assert told == (
        "inconclusive",
        (
            "misfit 0.2000 out of tolerance, but there the series is not asymptotic yet: by the next order, a right "
            f"equation may have a misfit of {expected:.4f}"
        ),
    )
    assert status(limit=(0.03, 0.0))[0] == "failed"
    assert status(limit=(1e3, 0.0), found=Evidence(np.nextafter(0.25, 1)))[0] == "inconclusive"


def test_the_errors_of_the_measurement_are_allowed_for() -> None:
    """A misfit of 3.2 %, where the errors leave room for 3 % and more, or do not."""
    gaps, references = 1.05 * EXACT, np.array([0.001, 0.001])
    # shares of the predictions: 0.002 and 0.004, extrapolated (0.004 + 0.002/2)/(1 - 1/2) = 0.01
    assert verdict(gaps, references).reason == (
        "misfit 0.0500 out of tolerance; of a right equation it would vanish with eta up to 0.0100, and it tends to "
        "0.0500"
    )
    twice = verdict(2 * gaps, references, [[2.0]], doubts=np.array([0.01]))
    assert (
        "would vanish with eta up to 0.0100, and" in twice.reason
    )  # 0.005 of the leading error and 0.005 of the rungs
    assert verdict(gaps, references, doubts=np.array([0.0101])).status == "inconclusive"
    assert verdict(gaps, references, doubts=np.array([0.0099])).status == "failed"
    third = np.array([0.6, 0.2])
    skew = judge(0, third, 1.1 * third[:, None], np.array([0.003, 0.002]), np.ones((1, 1)))
    # (0.01 + 0.005/3)/(1 - 1/3) = 0.0175
    assert "up to 0.0175, and it tends to 0.1000" in skew.reason


def test_without_evidence_a_right_equation_is_exact() -> None:
    assert verdict(1.04 * EXACT).status == "failed"


def test_numbers_in_a_few_characters() -> None:
    assert [short(x) for x in (0.0, 1.0, 9.99994, 10.0, 12345.0)] == [
        "0.0000",
        "1.0000",
        "9.9999",
        "1.0e+01",
        "1.2e+04",
    ]


def test_the_worst_of_some() -> None:
    assert worst([]) == worst(["passed", "passed"]) == "passed"
    assert worst(["inconclusive"]) == worst(["passed", "inconclusive"]) == "inconclusive"
    assert worst(["failed", "inconclusive"]) == worst(["passed", "failed"]) == "failed"
