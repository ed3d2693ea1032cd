"""Nothing that is said depends on the units in which a loss is written.

``c L(x/l)`` moves as L does, in the units l of length and ``l**2/c`` of time. Units that are powers of two round
nothing, so that what is measured in them must be the same number, whatever size the numbers of the loss have: a
constant of the package that is compared with a length, or a product that underflows, shows here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
import sympy

import eomsym as eom
from eomsym import bounds, dynamics
from eomsym.curvature import NetworkFamily

SLOW = pytest.mark.slow
#: Powers of two of the loss and of its length: the sharpness gets a factor from 2**-120 to 2**120.
UNITS = [(40, -40), (-40, 40), *(pytest.param(unit, marks=SLOW) for unit in ((40, 0), (-40, 0), (0, 40), (0, -40)))]
STEPS = 6


@dataclass(frozen=True)
class Run:
    """A loss, where it begins, its learning rate, and its unit of length."""

    loss: Any
    start: np.ndarray
    eta: float
    length: float

    @property
    def time(self) -> float:
        return STEPS * self.eta


def polynomial(k: int, j: int) -> Run:
    x, y = sympy.symbols("x y")
    loss, length = sympy.Integer(2) ** k, sympy.Integer(2) ** j
    p, q = x / length, y / length
    expression = sympy.expand(loss * ((1 - p) ** 4 / 4 + (q - p**2 / 2) ** 2 / 2 + p * q / 8))
    return Run(eom.Loss(expression, variables=[x, y]), 2.0**j * np.array([0.3, 2.0]), 2.0 ** (2 * j - k) / 16, 2.0**j)


def data(j: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs, and targets as large as the outputs of two layers in units of length."""
    return np.array([[1.0, -0.5], [0.25, 1.0]]), 4.0**j * np.array([[1.0], [-0.5]])


def network(j: int, kind: str) -> Run:
    """The loss has the unit l**4, and the time l**-2."""
    start = 2.0**j * np.array([0.5, -0.25, 0.75, 0.5, 1.0, -0.5])
    loss = (
        eom.DeepLinear((2, 2, 1), *data(j)) if kind == "linear" else eom.Network((2, 2, 1), *data(j), activation=kind)
    )
    return Run(loss, start, 4.0**-j / 32, 2.0**j)


def distances(certificate: str, order: int) -> Callable[[Run], Any]:
    return lambda run: (
        bounds.distance(run.loss, run.start, eta=run.eta, steps=STEPS, order=order, certificate=certificate).values
        / run.length
    )


def motion(order: int) -> Callable[[Run], Any]:
    def ends(run: Run) -> Any:
        options = {"eta": run.eta, "order": order, "atol": 1e-14 * run.length}
        there = eom.flow(run.loss, run.start, time=run.time, **options)
        back = eom.flow(run.loss, run.start, time=-run.time / 4, **options)
        assert max(there.error, back.error) < 1e-11 * run.length
        between = dynamics.solution(run.loss, run.start, time=run.time, **options)
        return np.concatenate([there.thetas[-1], back.thetas[-1], between(run.time / 3)]) / run.length

    return ends


def leading(run: Run) -> Any:
    found = eom.leading_error(run.loss, run.start, time=run.time, orders=range(4))
    assert (found.errors <= 1e-3 * found.norms).all()
    return found.norms * run.eta ** np.arange(1.0, 5.0) / run.length


def verdicts(run: Run) -> Any:
    found = eom.verify(run.loss, run.start, time=run.time, orders=range(4))
    assert [result.status for result in found.orders] == ["passed"] * 4
    return [result.predictions[0] / run.length for result in found.orders]


def rates(certificate: str, order: int) -> Callable[[Run], Any]:
    return lambda run: (
        bounds.step_size(
            run.loss, run.start, time=run.time, epsilon=0.01 * run.length, order=order, certificate=certificate
        ).eta
        / run.eta
    )


def predicted(run: Run) -> Any:
    return bounds.predicted_distance(run.loss, run.start, eta=run.eta, steps=STEPS, order=3).norms / run.length


def many(certificate: str, order: int) -> Callable[[Run], Any]:
    """Distances and rates in batches."""

    def found(run: Run) -> Any:
        if isinstance(run.loss, eom.Loss):
            family: Any = run.loss
        else:
            inputs, targets = run.loss.inputs[None], run.loss.targets[None]
            kind = "linear" if isinstance(run.loss, eom.DeepLinear) else "relu"
            family = NetworkFamily((2, 2, 1), inputs, targets, activation=kind)
        options: dict[str, Any] = {"order": order, "certificate": certificate}
        starts, epsilon = run.start[None], 0.01 * run.length
        values = bounds.many_distances(family, starts, eta=run.eta, steps=STEPS, **options)[0] / run.length
        rate = bounds.many_step_sizes(family, starts, time=run.time, epsilon=epsilon, **options) / run.eta
        return np.concatenate([values, rate])

    return found


def heavy_ball(run: Run) -> Any:
    method, atol = eom.HeavyBall("1/2"), 1e-14 * run.length
    flow = eom.flow(run.loss, run.start, eta=run.eta, time=run.time, order=2, method=method, atol=atol)
    descent = eom.descend(run.loss, run.start, eta=run.eta, steps=STEPS, method=method)
    return np.concatenate([flow.thetas[-1], descent.thetas[-1]]) / run.length


def ahead(run: Run) -> Any:
    return eom.forward(run.loss, run.start, eta=run.eta, steps=2000, tolerance=1e-8 * run.length).theta / run.length


def variations(run: Run) -> Any:
    found = dynamics.variation(
        run.loss, run.start, vectors=[run.start], eta=run.eta, time=run.time, order=1, atol=1e-14 * run.length
    )
    return np.concatenate([found.vectors[-1].ravel(), run.eta**2 * found.leading[-1]]) / run.length


#: What is compared, and to which relative accuracy.
QUANTITIES: dict[str, tuple[Callable[[Run], Any], float]] = {
    **{f"motion of order {order}": (motion(order), 1e-13) for order in (0, 1, 3)},
    **{
        f"{certificate} distance of order {order}": (distances(certificate, order), 1e-6)
        for certificate in ("measured", "proven", "closed_form")
        for order in (0, 1, 3)
    },
    **{
        f"batch, {certificate}, order {order}": (many(certificate, order), 1e-6)
        for certificate in ("measured", "proven", "closed_form")
        for order in (0, 2)
    },
    "leading errors": (leading, 1e-6),
    "verdicts": (verdicts, 1e-6),
    **{f"rate by {certificate}": (rates(certificate, 1), 1e-12) for certificate in ("measured", "proven")},
    "rate of the theorem": (rates("theorem", 0), 1e-6),
    "predicted distance": (predicted, 1e-12),
    "heavy ball": (heavy_ball, 1e-12),
    "forward": (ahead, 1e-9),
    "variation": (variations, 1e-9),
}
#: In Arb, where numbers have no end.
RIGOROUS = {f"rigorous distance of order {order}": (distances("rigorous", order), 1e-6) for order in (0, 1)}


@cache
def reference(name: str, kind: str) -> Any:
    run = polynomial(0, 0) if kind == "polynomial" else network(0, kind)
    return (QUANTITIES | RIGOROUS)[name][0](run)


@pytest.mark.parametrize("name", QUANTITIES | RIGOROUS)
@pytest.mark.parametrize("units", UNITS, ids=str)
def test_units_of_a_polynomial(units: tuple[int, int], name: str) -> None:
    function, accuracy = (QUANTITIES | RIGOROUS)[name]
    np.testing.assert_allclose(function(polynomial(*units)), reference(name, "polynomial"), rtol=accuracy)


@pytest.mark.parametrize("name", QUANTITIES)
@pytest.mark.parametrize("kind", ["linear", "relu"])
@pytest.mark.parametrize("j", [-20, pytest.param(20, marks=SLOW)])
def test_units_of_a_network(j: int, kind: str, name: str) -> None:
    function, accuracy = QUANTITIES[name]
    np.testing.assert_allclose(function(network(j, kind)), reference(name, kind), rtol=accuracy)


@pytest.mark.parametrize("j", [-20, 20])
def test_units_of_a_guarantee(j: int) -> None:
    """Targets in millions and millionths, and weights that go with them."""

    def guarantee(j: int) -> bounds.Guarantee:
        inputs, targets = np.sqrt(2) * np.eye(2), 4.0**j * np.array([[1.0], [0.5]])
        loss, direction = eom.DeepLinear((2, 2, 1), inputs, targets), np.array([0.6, 0.8])
        start = loss.pack(W1=2.0**j * np.outer(direction, [0.4, 0.3]), W2=2.0**j * 0.5 * direction[None])
        return bounds.guarantee_convergence(loss, start, epsilon=1e-3 * 16.0**j)

    here, there = guarantee(0), guarantee(j)
    assert there.steps == here.steps
    assert 4.0**j * there.eta == pytest.approx(here.eta, rel=1e-9, abs=0)


@pytest.mark.parametrize("units", [(40, 0), (-40, 20)], ids=str)
def test_units_of_adam(units: tuple[int, int]) -> None:
    """Its learning rate is a length, and epsilon a slope: the unit of the loss is in nothing else."""

    def verdict(units: tuple[int, int]) -> Any:
        run, (k, j) = polynomial(*units), units
        method = eom.Adam(beta1="1/2", beta2="3/5", epsilon=sympy.Rational(1, 8) * sympy.Integer(2) ** (k - j))
        path = eom.flow(
            run.loss, run.start, eta=run.length / 64, time=0.4 * run.length, order=1, method=method,
            atol=1e-14 * run.length,
        )  # fmt: skip
        found = eom.verify(run.loss, run.start, time=0.4 * run.length, orders=range(2), method=method)
        assert found.orders[0].status == "passed"
        return [*path.thetas[-1] / run.length, found.orders[0].predictions[-1] / run.length, *found.steps]

    np.testing.assert_allclose(verdict(units), verdict((0, 0)), rtol=1e-6)


@pytest.mark.parametrize("j", [-20, 20])
def test_units_of_a_certificate(j: int) -> None:
    def claim(j: int) -> float:
        run = network(j, "linear")
        return float.fromhex(bounds.certificate(run.loss, run.start, eta=run.eta, steps=3)["claim"][-1]) / run.length

    assert claim(j) == pytest.approx(claim(0), rel=1e-6, abs=0)
