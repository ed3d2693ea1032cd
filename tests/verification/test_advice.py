"""An inconclusive verdict names the ladder that decides, or says why none does; taken at its word, it decides."""

from __future__ import annotations

import re
from pathlib import Path
from time import process_time, sleep
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from problems import DEEP, ROSENBROCK

import eomsym as eom
from eomsym.cli import main
from eomsym.dynamics.flow import integrate
from eomsym.errors import DivergenceError
from eomsym.testing import altered
from eomsym.verification.advice import advise
from eomsym.verification.discrete import Optimiser
from eomsym.verification.gates import FIRST, GateWatch
from eomsym.verification.measure import Measurement
from eomsym.verification.verdict import judge

TANH = eom.Loss("(tanh(a*x + b) - 1/2)**2 + exp(-a*b)*x**2/8", variables="a b x")
#: Loss, start, time, order, and a ladder on which it cannot be decided: too coarse, beyond the radius, below rounding.
UNDECIDED: dict[str, tuple[Any, Any, float, int, tuple[int, ...]]] = {
    "coarse": (ROSENBROCK.build(), [-0.5, 1.0], 1.0, 3, (5, 10)),
    "two rungs": (TANH, [0.4, -0.3, 0.9], 1.0, 1, (1, 2)),
    "beyond the radius": (eom.Loss("25*x**2 + (y-x**2)**2/2", variables="x y"), [0.3, 1.0], 0.2, 1, (3, 4)),
    "in rounding": (ROSENBROCK.build(), [-0.5, 1.0], 1.0, 4, (640, 1280)),
    "a deep network": (DEEP.build(), DEEP.start, DEEP.time, 4, (160, 320)),
    "all but one rung runs away": (eom.Loss("x**4 + y**2*x**2", variables="x y"), [3.0, 1.0], 0.5, 0, (2, 40)),
}


@pytest.mark.parametrize("name", UNDECIDED)
def test_the_ladder_that_is_named_decides(name: str) -> None:
    loss, start, time, order, ladder = UNDECIDED[name]
    kernel = eom.compile(loss, order + 1)
    for _ in range(2):  # what was extrapolated from a wild ladder may need a second look
        report = eom.verify(kernel, start, time=time, ladder=ladder, orders=[order])
        (result,) = report.orders
        if result.status == "passed":
            break
        assert result.status == "inconclusive", str(report)
        named = re.search(r"try ladder=\(([\d, ]+)\), or --ladder ([\d,]+)$", result.reason)
        assert named, result.reason
        assert tuple(map(int, named[1].split(","))) == tuple(map(int, named[2].split(","))) == result.ladder
        assert result.reason in " ".join(str(report).split())
        assert f"or --ladder {named[2]}" in report._repr_html_()
        assert report.record()["orders"][0]["ladder"] == list(result.ladder)
        ladder = result.ladder
    assert ladder != UNDECIDED[name][-1]
    assert eom.verify(kernel, start, time=time, ladder=ladder, orders=[order]).status == "passed"


def test_a_wrong_equation_is_caught_on_the_ladder_that_is_named() -> None:
    wrong = altered(eom.compile(ROSENBROCK.build(), 3), 2)
    report = eom.verify(wrong, [-0.5, 1.0], time=1.0, ladder=(4, 8), orders=[2])
    assert report.status == "inconclusive"
    for _ in range(3):
        report = eom.verify(wrong, [-0.5, 1.0], time=1.0, ladder=report.orders[0].ladder, orders=[2])
        if report.status == "failed":
            return
    pytest.fail(str(report))


def test_it_is_what_the_command_line_takes(tmp_path: Path) -> None:
    typed = ["verify", "--problem", "rosenbrock", "--orders", "3", "--no-plot", "--output", str(tmp_path), "--ladder"]
    first = CliRunner().invoke(main, [*typed, "5,10"])
    assert first.exit_code == 3
    (named,) = re.findall(r"--ladder ([\d,]+)", first.stdout)
    assert CliRunner().invoke(main, [*typed, named]).exit_code == 0


@pytest.mark.parametrize(
    "loss, start, orders, why",
    [
        ("(x-1)**2/2 + y**2/2", [1.0, 0.0], [1], "critical point of the loss, where nothing moves; move the start"),
        ("x + 2*y", [1.0, 1.0], [0], "the leading error vanishes; ask for higher orders too"),
    ],
)
def test_why_there_is_none(loss: str, start: list[float], orders: list[int], why: str) -> None:
    report = eom.verify(eom.Loss(loss, variables="x y"), start, time=1.0, orders=orders)
    assert report.orders[0].ladder == ()
    assert report.orders[0].reason.endswith(why)


def test_no_step_sizes_decide_what_drowns_where_it_is_small_enough() -> None:
    report = ROSENBROCK.verify([9], ladder=(10, 20))
    assert report.orders[0].ladder == ()
    assert "no step sizes in float64 decide this" in report.orders[0].reason
    assert "100 times above the reference error of" in report.orders[0].reason


def test_gates_that_switch() -> None:
    net = eom.Network((1, 1, 1), [[1.0], [-0.5]], [[2.0], [1.0]], "relu", bias=True)
    report = eom.verify(net, [-0.1, 0.6, -0.5, -0.9], time=2.0, ladder=(8, 16), orders=[1])
    assert report.status == "inconclusive", str(report)
    # The gates of a plain run of the first rung.
    theta, patterns = np.array([-0.1, 0.6, -0.5, -0.9]), []
    for _ in range(9):
        patterns.append(net.inputs[:, 0] * theta[0] + theta[1] > 0)
        theta = theta - 2.0 / 8 * net.gradient(theta)
    switched = int((np.array(patterns) != patterns[0]).any(axis=0).sum())
    assert switched == 1
    assert f"{switched} of 2 gates switched on the way" in report.notes[-1]
    assert report.orders[0].ladder == ()
    assert "take a shorter time, or another start" in report.orders[0].reason


SLIDING = eom.Network((1, 1, 1), np.array([[0.2], [-0.5], [-0.4]]), np.array([[-2.4], [1.8], [1.1]]), "relu", bias=True)


def test_a_flow_that_slides_along_a_kink() -> None:
    began = process_time()
    report = eom.verify(SLIDING, [0.7, 0.4, -0.4, 0.5], time=2.0, ladder=(8, 16), orders=[0, 2])
    assert process_time() - began < 30  # of 60: the limit is not what ends it
    assert report.status == "inconclusive"
    for result in report.orders:
        assert "the motion slides along a kink, to and fro over gate 1 (of 0 to 2); between kinks" in result.reason
        assert result.reason.endswith("take a shorter time, or another start")
        assert result.ladder == ()
    assert not any("stopped after" in note for note in report.notes)
    assert "gates switched on the way" in report.notes[-1]


def test_where_the_motion_of_one_order_slides_the_others_are_measured() -> None:
    kernel = eom.compile(SLIDING, 2)
    begin, other = np.array([0.7, 0.4, -0.4, 0.5]), np.array([0.9, 0.4, -0.4, 0.5])  # gate 1 lies between them
    optimiser = Optimiser(kernel.losses, kernel.method)
    measurement = Measurement(kernel, optimiser, begin, 0.2, (0, 1), 60.0, lambda done, total, label: None)
    velocity = measurement._velocity(kernel.at_order(1), 0.1)
    with pytest.raises(DivergenceError, match=r"along a kink, to and fro over gate 1 \(of 0 to 2\)"):
        [velocity(point) for _ in range(5000) for point in (begin, other)]
    assert measurement.silence.startswith("the motion slides along a kink, to and fro over gate 1 (of 0 to 2); between")
    measurement.add((10, 20))
    assert np.isfinite([measurement.of(order)[0] for order in (0, 1)]).all()


@pytest.mark.parametrize("field", ["Abs(x)/10 - x", "9*Abs(x)/10 - x - Abs(x)*x**2"])
@pytest.mark.parametrize("tolerance", [1e-6, 1e-12])
def test_a_kink_that_is_crossed_again_and_again_is_none_to_slide_along(field: str, tolerance: float) -> None:
    # Some eighteen times through x = 0, each with a velocity of order one: more switches than a short slide has.
    kernel = eom.compile(eom.Field(["y", field], variables="x y"), 0)
    gates, crossings, side = GateWatch(kernel.losses), 0, 1.0

    def velocity(point: np.ndarray) -> np.ndarray:
        assert gates(point) == ""
        return kernel.field(point, 0.0)

    times = np.linspace(0.0, 60.0, 241)
    states, _, evaluations = integrate(velocity, np.array([1.0, 0.0]), times, tolerance, tolerance)
    for x in states[:, 0]:
        crossings, side = crossings + (x * side < 0), np.sign(x) or side
    assert crossings > 12
    assert evaluations > FIRST


def test_time_that_others_take_does_not_count() -> None:
    build = ROSENBROCK.build()
    eom.verify(build, [-0.5, 1.0], time=1.0, ladder=(10, 20), orders=[0])  # compiles
    naps = [0]

    def nap(*_: Any) -> None:
        naps[0] += 1
        sleep(0.2)

    report = eom.verify(build, [-0.5, 1.0], time=1.0, ladder=(10, 20), orders=[0], limit=0.9, progress=nap)
    assert naps[0] * 0.2 > 0.9
    assert np.isfinite(report.orders[0].errors).all(), str(report)


def test_the_limit_of_cpu_time_is_told() -> None:
    def work(*_: Any) -> None:
        began = process_time()
        while process_time() - began < 0.11:
            pass

    report = eom.verify(
        ROSENBROCK.build(), [-0.5, 1.0], time=1.0, ladder=(10, 20), orders=[0, 1], limit=0.1, progress=work
    )
    assert report.status == "inconclusive"
    assert report.orders[1].reason == "the limit of 0.1 s was reached; take fewer orders or steps, or a larger limit"
    assert report.notes[-1] == "stopped after 0.1 s of CPU time; what had not been measured by then is nan"


def test_too_many_steps() -> None:
    v = np.array([[1.0, 0.0]])
    etas = np.array([1.0, 0.5])
    stiff = judge(0, etas, etas[:, None] * v + 1e5 * etas[:, None] ** 2 * v, np.full(2, 1e-15), v)
    advice = advise(stiff, 1.0, (1, 2), stiff=1.0, following=1e5, length=1.0)
    assert advice.ladder == ()
    assert "steps; take a shorter time" in advice.why
