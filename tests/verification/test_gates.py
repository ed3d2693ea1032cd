"""The watch over gates, look by look."""

from __future__ import annotations

import numpy as np

import eomsym as eom
from eomsym.verification.gates import GateWatch

ABS = eom.Loss("Abs(x)", variables="x")


def looks(signs: list[float], watch: GateWatch) -> list[str]:
    """What is said at the looks: every seventh evaluation behind the first two thousand; between them nothing."""
    said = []
    for sign in signs:
        for _ in range(6 if watch.evaluations else 2001):
            assert watch(np.array([-sign])) == ""  # not looked at
        said.append(watch(np.array([sign])))
    return said


def test_four_hundred_and_one_switches_without_a_quiet_while_are_to_and_fro() -> None:
    watch = GateWatch([ABS])
    assert watch.evaluations == 0
    found = looks([(-1.0) ** k for k in range(402)], watch)
    assert watch.evaluations == 2002 + 7 * 401  # the first look is at 2002, which seven divides
    assert found[:401] == [""] * 401  # the first look is no switch
    assert found[401] == "the motion slides along a kink, to and fro over gates 0, 1 (of 0 to 1)"


def test_twelve_quiet_looks_are_a_slow_slide_and_thirteen_none() -> None:
    for quiet, slides in ((12, True), (13, False)):
        watch = GateWatch([ABS])
        signs = [(-1.0) ** (k // (quiet + 1)) for k in range(405 * (quiet + 1))]
        assert any(looks(signs, watch)) is slides


def test_one_gate_of_several_is_named() -> None:
    loss = eom.Loss("Max(x, 0) + Max(y, 0)", variables="x y")
    watch = GateWatch([loss])
    said = ""
    for k in range(7 * 402 + 2000):
        said = said or watch(np.array([1.0, (-1.0) ** k, 5.0]))  # and a state more than the loss has
    assert said == "the motion slides along a kink, to and fro over gates 2, 3 (of 0 to 3)"
    two = GateWatch([ABS, ABS])
    for k in range(7 * 402 + 2000):
        said = two(np.array([(-1.0) ** k]))
        if said:
            break
    assert said == "the motion slides along a kink, to and fro over gates 0, 1, 2, 3 (of 0 to 3)"


def test_a_loss_without_kinks_is_not_looked_at() -> None:
    watch = GateWatch([eom.Loss("x**2", variables="x")])
    assert not watch.kinked
    assert not any(watch(np.array([(-1.0) ** k])) for k in range(7000))
