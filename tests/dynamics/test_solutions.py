from __future__ import annotations

import re

import numpy as np
import pytest

import eomsym as eom
from eomsym.dynamics import solution
from eomsym.errors import InputError

CIRCLE = eom.Field(["y", "-x"], variables="x y")  # turns


def test_dense_output_between_the_steps() -> None:
    path = solution(CIRCLE, [1.0, 0.0], time=20.0, order=0)
    times = np.linspace(0.0, 20.0, 301)
    exact = np.stack([np.cos(times), -np.sin(times)], axis=1)
    np.testing.assert_allclose(path(times), exact, rtol=0, atol=1e-11)
    assert len(path.edges) < 30
    assert path(3.0).shape == (2,)


@pytest.mark.parametrize("time", [20.0, -20.0])
def test_all_crossings_are_found(time: float) -> None:
    path = solution(CIRCLE, [1.0, 0.0], time=time, order=0)
    found = path.crossings(lambda theta: theta[0])
    expected = np.sign(time) * (np.pi / 2 + np.pi * np.arange(6))
    np.testing.assert_allclose([event.time for event in found], expected, rtol=0, atol=1e-10)
    falling = path.crossings(lambda theta: theta[0], direction=-1)
    assert [event.time for event in falling] == [event.time for event in found if event.direction == -1]
    assert len(falling) == 3


def test_two_crossings_in_one_step_and_one_that_touches() -> None:
    path = solution(CIRCLE, [1.0, 0.0], time=6.0, order=0)
    close = path.crossings(lambda theta: theta[0] + 1 - 1e-6)  # either side of pi
    np.testing.assert_allclose([e.time - np.pi for e in close], [-np.sqrt(2e-6), np.sqrt(2e-6)], rtol=1e-3)
    assert [event.direction for event in close] == [-1, 1]
    assert path.crossings(lambda theta: theta[0] + 2) == []


def test_of_a_network() -> None:
    rng = np.random.default_rng(2)
    net = eom.DeepLinear((30, 30, 30), rng.normal(size=(40, 30)), rng.normal(size=(40, 30)))
    start = rng.normal(size=net.size) / 6
    kernel = eom.compile(net, 0)
    assert kernel.stepper(2) is None
    path = solution(kernel, start, time=0.3, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(path(0.2), eom.flow(kernel, start, time=[0.0, 0.2, 0.3]).thetas[1], rtol=0, atol=1e-8)


def test_an_event_that_does_not_come() -> None:
    path = solution(CIRCLE, [1.0, 0.0], time=1.0, order=0)
    with pytest.raises(InputError, match=r"the event does not come before time 1: there the function is 2\.54"):
        path.first(lambda theta: theta[0] + 2)


def test_a_curve_says_what_it_is() -> None:
    shown = repr(solution(CIRCLE, [1.0, 0.0], time=1.0, order=0))
    assert re.fullmatch(r"<TaylorCurve from time 0 to 1, \d+ pieces, error \d\.\de[+-]\d+>", shown)


def test_bad_input() -> None:
    path = solution(CIRCLE, [1.0, 0.0], time=1.0, order=0)
    with pytest.raises(InputError, match="outside of the solution, from 0 to 1"):
        path(1.5)
    with pytest.raises(InputError, match="direction=2"):
        path.crossings(lambda theta: theta[0], direction=2)
    with pytest.raises(InputError, match="must give a number"):
        path.crossings(lambda theta: theta)
    with pytest.raises(InputError, match="not finite"):
        path.crossings(lambda theta: np.nan)
    for time in (0.0, np.inf, "soon"):
        with pytest.raises(InputError, match="time="):
            solution(CIRCLE, [1.0, 0.0], time=time, order=0)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="needs a learning rate"):
        solution(CIRCLE, [1.0, 0.0], time=1.0, order=1)
