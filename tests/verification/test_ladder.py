"""Ladders that are chosen and named: a plain reading of what is documented, and the ends of every range."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import sympy

import eomsym as eom
from eomsym.dynamics.leading_error import LeadingError
from eomsym.errors import InputError
from eomsym.verification.advice import Advice, advise
from eomsym.verification.ladder import check_ladder, choose_ladder, finer_rungs, radius_of
from eomsym.verification.verdict import OrderReport


def leading(*norms: float, first: int = 0) -> LeadingError:
    orders = tuple(range(first, first + len(norms)))
    return LeadingError(orders, 1.0, np.array(norms)[:, None], np.zeros(len(norms)), 0)


def plain_ladder(
    norms: list[float], first: int, orders: list[int], time: float, length: float, sharpness: float, radius: float
) -> tuple[int, ...]:
    stiff = sharpness / radius
    coarse, fine = 4 * stiff, 0.0
    for order in orders:
        size = norms[order - first]
        further = norms[order + 1 - first] if order + 1 - first < len(norms) else 0.0
        if size <= 0:
            continue
        ratio = max(further / size, stiff / 2)
        # 1/eta where eta**(order + 1) size is a hundred times 1e-14 of the length
        drowned = (size / (1e-12 * length)) ** (1 / (order + 1)) if length > 0 else math.inf
        fine = max(fine, min(ratio * 4 / 0.03, drowned / 2))
        coarse = max(coarse, min(4 * ratio, drowned / 8))
    begin = int(min(max(math.ceil(time * coarse), 4), 5000))
    end = min(max(time * fine, 4 * begin), 20000.0)
    doublings = min(max(math.ceil(math.log2(end / begin) - 1e-9), 2), 9)
    return tuple(begin * 2**i for i in range(doublings + 1) if begin * 2**i <= 40000)


@pytest.mark.parametrize("seed", range(200))
def test_a_ladder_is_that_of_a_plain_reading(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, count = int(rng.integers(0, 3)), int(rng.integers(1, 5))
    norms = [float(x) for x in 10.0 ** rng.uniform(-4, 3, count + 1) * (rng.random(count + 1) > 0.1)]
    orders = sorted(
        rng.choice(np.arange(first, first + count), int(rng.integers(1, count + 1)), replace=False).tolist()
    )
    norms = norms[: count + int(rng.integers(0, 2))]
    time, length = float(10 ** rng.uniform(-2, 1)), float(10 ** rng.uniform(-2, 8) * (rng.random() > 0.1))
    sharpness, radius = float(10 ** rng.uniform(-1, 2)), float(10 ** rng.uniform(-2, 0.5))
    found = choose_ladder(leading(*norms, first=first), orders, time, length, sharpness, radius)
    assert found == plain_ladder(norms, first, orders, time, length, sharpness, radius)


@pytest.mark.parametrize("norms, args, expected", [
    # time, length, sharpness, radius
    ((1.0,), (1.0, 1.0, 0.0, 1.0), (4, 8, 16)),  # nothing is stiff: four steps
    ((0.0,), (1.0, 1.0, 4.0, 1.0), (16, 32, 64)),  # no leading error: by the sharpness alone
    ((1.0, 1.0), (1.0, 0.0, 0.0, 1.0), (4, 8, 16, 32, 64, 128, 256)),  # a start at 0: nothing drowns
    ((1.0, 1e9), (1.0, 1.0, 0.0, 1.0), tuple(5000 * 2**i for i in range(3))),
    ((0.0,), (1.0, 1.0, 1e6, 1.0), (5000, 10000, 20000)),
    ((0.0,), (1000.0, 1.0, 0.0, 1.0), (4, 8, 16)),
    ((1.0, 150.0), (1.0, 1.0, 0.0, 1.0), (600, 1200, 2400, 4800, 9600, 19200, 38400)),
    ((1.0, 1.0), (1000.0, 1.0, 0.0, 1.0), (4000, 8000, 16000, 32000)),
])  # fmt: skip
def test_ends_of_the_ranges(norms: Any, args: Any, expected: tuple[int, ...]) -> None:
    assert choose_ladder(leading(*norms), [0], *args) == expected


def test_exactly_a_power_of_two_takes_no_further_rung() -> None:
    # 4/0.03 of the ratio 0.24 is 32 = 8 times four; and a hair more than that is more
    for ratio, last in ((0.24, 32), (0.24 * (1 + 5e-10), 32), (0.24 * (1 + 8.5e-10), 64), (0.2401, 64)):
        assert choose_ladder(leading(1.0, ratio), [0], 1.0, 0.0, 0.0, 1.0)[-1] == last


def order_report(
    *,
    slope: int = 1,
    size: float = 1.0,
    misfits: tuple[float, ...] = (0.2, 0.1),
    slopes: tuple[float, ...] = (1.0,),
    references: tuple[float, ...] = (0.0, 0.0),
    predictions: tuple[float, ...] = (1.0, 1.0),
    judged: int | None = 1,
    ladder: tuple[int, ...] = (),
) -> OrderReport:
    return OrderReport(
        order=slope - 1, expected_slope=slope, leading=size, errors=predictions, predictions=predictions,
        references=references, misfits=misfits, cosines=(1.0, 1.0), slopes=slopes, limit=0.0, judged=judged,
        status="inconclusive", reason="", ladder=ladder,
    )  # fmt: skip


def test_finer_rungs_are_new_and_finer_and_affordable() -> None:
    def finer(ladder: tuple[int, ...], counts: tuple[int, ...], judged: int | None = None) -> tuple[int, ...]:
        return finer_rungs([order_report(judged=judged, ladder=ladder)], counts)

    assert finer((10, 20, 40), (5,)) == (10, 20, 40)
    assert finer((10, 20, 40), (5, 20, 60), judged=1) == (40,)  # finer than what was judged
    assert finer((10, 20, 40), (5, 20, 60)) == (10, 40)
    assert finer((1, 10), (5,)) == (1, 10)
    assert finer((20, 40), (19, 35)) == ()  # 5 % and 14 % apart
    assert finer((114, 400), (100,)) == (400,)
    assert finer((115, 400), (100,)) == (115, 400)
    assert finer((100,), (114,)) == ()
    assert finer((100,), (115,)) == (100,)
    assert finer((20000, 40000), (5,)) == (20000, 40000)
    assert finer((20000, 40001), (5,)) == (20000,)
    # Of two orders, the finest of each first; what is close to one that was taken is not.
    several = [order_report(judged=None, ladder=(10, 20, 40)), order_report(judged=None, ladder=(11, 21, 80))]
    assert finer_rungs(several, (3,)) == (10, 20, 40, 80)
    assert finer((10,), (10,), judged=0) == ()


def test_a_ladder_is_sorted_and_made_of_integers() -> None:
    found = check_ladder([40.0, 1, 20, 20])
    assert found == (1, 20, 40)
    assert all(type(count) is int for count in found)
    assert check_ladder((2, 1)) == (1, 2)
    for bad in ([1], [1, 1], [0, 1], [1, 2.5], 3, [1, math.inf]):
        with pytest.raises(InputError, match="expected two or more different positive integers, such as"):
            check_ladder(bad)


def test_the_radius_is_that_of_the_method_where_it_has_one() -> None:
    def radius(method: Any) -> float:
        return radius_of(SimpleNamespace(method=method))  # type: ignore[arg-type]

    assert radius(eom.HeavyBall("1/4")) == 0.25
    assert radius(eom.optimisers.RungeKutta([["1/2"]], [1])) == 2.0
    for method in (
        eom.HeavyBall("1/4", memory="kept", eta="1/100"),
        eom.optimisers.Epoch(2),
        eom.optimisers.GradientFlow(),
        eom.HeavyBall(sympy.Symbol("beta")),
        eom.optimisers.SignSGD(1),
    ):
        assert radius(method) == 1.0
    for unknown in (None, sympy.oo):
        told = SimpleNamespace(
            is_linear=True, colours=1, is_flow=False, symbols=(), stability=lambda x=unknown: SimpleNamespace(radius=x)
        )
        assert radius(told) == 1.0


# the ladder that is named ---------------------------------------------------------------------------------------------


def plain_advice(
    result: OrderReport, time: float, counts: tuple[int, ...], stiff: float, following: float, length: float
) -> tuple[int, ...] | str:
    etas, j, slope = [time / count for count in counts], result.judged, result.expected_slope
    share = max(following, stiff / 2)
    inside = j is not None and etas[j] * stiff <= 0.25
    if inside and result.misfits[j] <= result.misfits[j - 1] * math.sqrt(etas[j] / etas[j - 1]):
        share = max(result.misfits[j], abs(result.slopes[j - 1] - slope) / 1.4427) / etas[j]
    noise = 1e-14 * length
    for found, goal in zip(result.references, result.predictions, strict=True):  # the finest one is the last
        if found < math.inf and found > 1e-3 * goal:
            noise = found
    fine = max(0.015 / share, (150 * noise / result.leading) ** (1 / slope))
    assert fine * share > 0.03 or fine * stiff <= 0.25 or fine > etas[-1]
    if fine * share > 0.03 or not fine < math.inf or (j is not None and fine * 1.25 > etas[j]):
        return "no step sizes"
    last = max(math.ceil(time / fine), 4)
    if last > 200000:
        return f"that would take {last:.1g} steps; take a shorter time"
    return (math.ceil(last / 4), math.ceil(last / 2), last)


def test_advice_is_that_of_a_plain_reading() -> None:
    seen = {"ladder": 0, "none": 0, "steps": 0}
    for seed in range(600):
        rng = np.random.default_rng(seed)
        counts = tuple(int(x) for x in np.cumsum(rng.integers(2, 30, 2)))
        time, slope = float(10 ** rng.uniform(-1, 1)), int(rng.integers(1, 5))
        small, usual = rng.random() < 0.3, rng.random() < 0.3
        references = 10.0 ** rng.uniform(-14, -3, 2)
        result = order_report(
            slope=slope,
            size=float(10 ** rng.uniform(-2, 2)),
            misfits=tuple(float(x) for x in np.sort(10.0 ** rng.uniform(-3, 0.5, 2))[::-1]),
            slopes=(slope + float(rng.uniform(-0.3, 0.3)),),
            references=tuple(float(x) for x in (references if not usual else [math.inf, 1e-13])),
            predictions=tuple(float(x) for x in references * 10.0 ** (rng.uniform(2, 4, 2) if small else 2.9)),
            judged=None if rng.random() < 0.4 else 1,
        )
        stiff = float(10 ** rng.uniform(-2, 1.5) * (rng.random() > 0.1))
        args = (stiff, float(10 ** rng.uniform(-3, 5 if seed % 5 == 0 else 1.5)), float(10 ** rng.uniform(-1, 5)))
        found = advise(result, time, counts, stiff=args[0], following=args[1], length=args[2])
        expected = plain_advice(result, time, counts, *args)
        if isinstance(expected, tuple):
            assert found == Advice(expected), seed
            seen["ladder"] += 1
        else:
            assert found.ladder == (), seed
            assert found.why.startswith(expected), seed
            seen["none" if expected.startswith("no ") else "steps"] += 1
    assert min(seen["ladder"], seen["none"]) > 100, seen
    assert seen["steps"]


def advised(result: OrderReport, **options: Any) -> Advice:
    given = {"stiff": 0.25, "following": 0.125, "length": 0.0} | options
    return advise(result, 1.0, (2, 4), **given)


def test_the_ends_of_what_is_advised() -> None:
    unjudged = order_report(judged=None, references=(0.0, 0.0))
    assert advised(order_report(size=0.0, judged=None)) == Advice()
    assert str(Advice((1, 2, 4))) == "try ladder=(1, 2, 4), or --ladder 1,2,4"
    assert str(Advice((), "none")) == "none"
    # half of the tolerance: 0.015/0.125 = 0.12, nine steps; four at least
    assert advised(unjudged) == Advice((3, 5, 9))
    assert advised(unjudged, stiff=0.0, following=0.015) == Advice((1, 2, 4))
    assert advised(unjudged, stiff=0.0, following=0.0015) == Advice((1, 2, 4))
    # stiffer than what follows: by half of it
    assert advised(unjudged, stiff=2.0) == Advice((17, 34, 67))
    # where a series would diverge there is no use, and 200,000 steps are the most
    assert advised(unjudged, following=2999.999) == Advice((50000, 100000, 200000))
    assert advised(unjudged, following=3000.01).why == "that would take 2e+05 steps; take a shorter time"
    # the error of rungs as measured; it leaves eta = 150 * reference at order 0, and a misfit of 3 % is the most
    near = {"references": (0.0, 0.001), "predictions": (1.0, 0.01), "judged": None}
    none = "no step sizes in float64 decide this: where they are small enough, the error is not 100 times above the "
    assert advised(order_report(**near), following=0.19) == Advice((2, 4, 7))
    told = advised(order_report(**near), following=0.21)
    assert told.ladder == ()
    assert told.why == none + "reference error of 1.0e-03; judge a lower order, or take another time"
    # a reference that is small by choice is none
    assert advised(order_report(**near | {"predictions": (1.0, 1.0)}), following=0.21) == Advice((4, 7, 14))


def test_exact_ends_of_what_is_advised() -> None:
    # eta times the sharpness is exactly one quarter: what was measured counts
    measured = order_report(misfits=(0.4, 0.12), slopes=(1.0,))
    assert advised(measured, stiff=1.0, following=9.0) == Advice((8, 16, 32))  # 0.12/0.25 for each eta
    assert advised(measured, stiff=1.0001, following=9.0) == Advice((150, 300, 600))
    # a slope that is off by 0.2
    off = order_report(misfits=(0.4, 0.12), slopes=(1.2,))
    assert advised(off, stiff=1.0, following=9.0) == Advice((10, 19, 37))  # 0.2/1.4427/0.25
    # it shrinks exactly by the root
    quarter = order_report(misfits=(0.24, 0.12))
    assert advise(quarter, 1.0, (1, 4), stiff=1.0, following=9.0, length=0.0) == Advice((8, 16, 32))
    wild = order_report(misfits=(0.23, 0.12))
    assert advise(wild, 1.0, (1, 4), stiff=1.0, following=9.0, length=0.0) == Advice((150, 300, 600))
    # a rung of 0.5 is 1.25 times finer than the judged one of 0.625; a hair more is no news
    judged = order_report(misfits=(1.0, 1.0))
    for time, expected in ((2.5, (2, 3, 5)), (2.4999, ())):
        assert advise(judged, time, (2, 4), stiff=0.0, following=0.03, length=0.0).ladder == expected
    # a misfit of exactly 3 %, and eta times the sharpness of exactly a half, at the rung that rounding leaves
    near = order_report(judged=None, references=(0.0, 0.0), predictions=(1.0, 1.0))
    fine = 1.5 * 100 * (1e-14 * 1e12)  # 1.5
    assert fine == 1.5
    for share, expected in ((0.02, (1, 2, 4)), (0.0201, ())):
        assert advise(near, 6.0, (2, 4), stiff=0.0, following=share, length=1e12).ladder == expected
    small = order_report(judged=None, slope=1, size=1e30)
    for stiff in (0.5, 2.0):
        assert (
            advise(small, 8.0, (2, 4), stiff=stiff, following=0.0, length=0.0).ladder[-1]
            == 8 * stiff / 2 / 0.015 // 1 + 1
        )


def test_what_advice_cannot_go_by() -> None:
    unknown = order_report(judged=None, references=(0.0, 0.0))  # neither a sharpness nor a next order
    assert advised(unknown, stiff=0.0, following=0.0).why.startswith("no step sizes in float64 decide this")
    with pytest.raises(ValueError, match="zip"):
        advised(order_report(references=(0.0,)))
    with pytest.raises(ValueError, match="zip"):
        choose_ladder(LeadingError((0, 1), 1.0, np.ones((1, 1)), np.zeros(1), 0), [0], 1.0, 1.0, 1.0, 1.0)
