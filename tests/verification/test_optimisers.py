"""Every optimiser is followed to the predicted order, with the predicted constant, and says how far it reaches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import eomsym as eom
from eomsym.dynamics.reach import reach
from eomsym.errors import DivergenceError

#: Not separable, and tells trees apart.
QUARTIC = eom.Loss("x**4/4 + x**2/2 - x*y/2 + x**2*y/2 + y**2/2 + 3*y**4/40", variables="x y")
START = np.array([1.2, 0.9])
HEAVY_BALL = eom.HeavyBall("9/10", memory="kept", eta="1/100")
NESTEROV = eom.Nesterov("9/10", memory="kept", eta="1/100")
ADAM = eom.Adam("9/10", "19/20", "1/10", memory="kept", eta="1/10")
#: Method, and the time in which its ladder is asymptotic on the quartic and on the network (None: with epsilon outside
#: of the root there is no Taylor series where a component of the gradient is zero, as some of a network's soon are).
OPTIMISERS = [
    (eom.Adam("1/2", "3/5", "1/10"), 0.1, None),
    (eom.Adam("1/2", "3/5", "1/10", inside=True), 0.1, 0.5),
    (eom.optimisers.AdamW("1/2", "3/5", "1/10", inside=True), 0.1, 0.5),
    (eom.optimisers.RMSProp("3/5", "1/10"), 0.1, None),
    (eom.optimisers.RMSProp("1/4", "1/10", inside=True), None, 0.6),
    (eom.optimisers.Lion("1/2", "3/5", width="1"), 0.1, 0.5),
    (eom.optimisers.SignSGD(width="1"), 0.4, 0.5),
    (eom.optimisers.NormalisedGradient(), 0.4, 0.5),
    (eom.optimisers.NormalisedSAM("1/2"), 0.1, 0.5),
    (eom.optimisers.ClippedGradient("1"), 0.4, 0.5),
    (eom.optimisers.ClippedGradient("100"), 0.1, 0.5),
    (eom.optimisers.Momentum("1/2", dampening="1/3"), 0.05, 0.1),
    (eom.optimisers.Momentum("1/2", nesterov=True), 0.05, 0.1),
    (eom.optimisers.QuasiHyperbolic("7/10", "1/2"), 0.1, 0.5),
    (eom.optimisers.Lookahead(2, "1/3"), 0.1, 2.0),
    (eom.optimisers.Averaged(eom.GradientDescent(), "1/2"), 0.1, 0.5),
    (eom.optimisers.Muon("1/2", 2), 0.1, 0.05),
    (HEAVY_BALL, 0.1, 0.5),
    (NESTEROV, 0.1, 0.5),
    (ADAM, 0.4, 0.5),
]


def digits_network() -> Any:
    """Twelve of the pixels that vary most: where a gradient is zero, a root has no Taylor series."""
    data = pytest.importorskip("sklearn.datasets").load_digits()
    pixels = np.argsort(data.data.std(axis=0))[-12:]
    return eom.Network((12, 4, 10), data.data[:40, pixels] / 16, data.target[:40], "tanh", "cross_entropy")


def begin(loss: Any, theta: np.ndarray, method: Any) -> Any:
    """A start with memories, where they are kept."""
    g = loss.gradient(theta)
    memories = {"m": g, "v": g * g + 0.01, "p": -g, "t": [1.0]}
    kept = method.kept(loss.size)
    return {"theta": theta, **{name: memories[name] for name in kept}} if kept else theta


@pytest.mark.parametrize("method, time, _", [row for row in OPTIMISERS if row[1]], ids=lambda x: getattr(x, "name", ""))
def test_on_a_loss_of_two_variables(method: Any, time: float, _: Any) -> None:
    report = eom.verify(
        QUARTIC, begin(QUARTIC, START, method), time=time, ladder=(40, 80, 160), orders=range(4), method=method
    )
    assert report.status == "passed", str(report)


@pytest.mark.parametrize("method, _, time", [row for row in OPTIMISERS if row[2]], ids=lambda x: getattr(x, "name", ""))
def test_on_a_network(method: Any, _: Any, time: float) -> None:
    net = digits_network()
    report = eom.verify(
        net, begin(net, net.initial(0), method), time=time, ladder=(40, 80, 160), orders=range(4), method=method
    )
    assert report.status == "passed", str(report)


# memory kept --------------------------------------------------------------------------------------------------------


def test_momentum_far_beyond_the_radius_of_its_series() -> None:
    """beta = 0.9, eta*lambda about 0.24, a hundred times the radius: the phase-space equation follows fifty steps.

    The theory gives 7.4e-2, 5.0e-2, 3.4e-3, 1.8e-3, 2.8e-4 at orders 0 to 4 on a loss that it does not name; on this
    one the errors of all states are of the same size.
    """
    loss = eom.Loss("(1-x)**2/2 + (y-x**2)**2/2", variables="x y")
    method = eom.HeavyBall("9/10", memory="kept", eta="1/25")
    h = float(method.step)
    path = eom.descend(loss, [-0.5, 1.0], eta=h, steps=50, method=method)
    errors = []
    for order in range(5):
        motion = eom.flow(
            eom.compile(loss, order, method=method), [-0.5, 1.0], eta=h, time=50 * h, rtol=1e-10, atol=1e-12
        )
        errors.append(np.linalg.norm(motion.thetas[-1] - path.thetas[-1]))
    np.testing.assert_allclose(errors, [1.1e-1, 7.5e-2, 3.1e-3, 2.7e-3, 2.7e-4], rtol=0.06)
    eliminated = eom.compile(loss, 3, method=eom.HeavyBall("9/10"))
    found = reach(eliminated, path.thetas[-1, :2], 0.04)
    assert found.product > 50 * found.radius


def test_kept_memories_run_like_the_optimiser_itself() -> None:
    kept = eom.descend(QUARTIC, START, eta=float(HEAVY_BALL.step), steps=40, method=HEAVY_BALL)
    plain = eom.descend(QUARTIC, START, eta=0.01, steps=40, method=eom.HeavyBall("9/10"))
    np.testing.assert_allclose(kept.thetas[:, :2], plain.thetas, rtol=1e-12)
    states = eom.compile(QUARTIC, 1, method=HEAVY_BALL).states(kept.thetas)
    np.testing.assert_allclose(states["p"][1:] * 0.1, np.diff(plain.thetas, axis=0), rtol=1e-9, atol=1e-15)


def test_a_state_without_a_start_is_named() -> None:
    with pytest.raises(ValueError, match=r"the start of heavy ball.* has the states theta, p; missing: p, unknown: q"):
        eom.descend(QUARTIC, {"theta": START, "q": START}, eta=0.1, steps=1, method=HEAVY_BALL)


# radius -------------------------------------------------------------------------------------------------------------


def test_verify_and_flow_say_what_is_beyond_the_radius() -> None:
    method = eom.HeavyBall("9/10")
    report = eom.verify(QUARTIC, START / 10, time=0.04, ladder=(10, 20), orders=range(2), method=method)
    (note,) = report.notes
    assert "is beyond the radius 0.00263 of heavy ball, beta = 9/10" in note
    assert "or keep the memory as a state: HeavyBall('9/10', memory='kept', eta='0.004')" in note
    assert note in str(report)
    path = eom.flow(eom.compile(QUARTIC, 1, method=method), START / 10, eta=0.004, time=0.1)
    assert path.reach.note.startswith("eta*lambda = ")
    inside = eom.verify(QUARTIC, START, time=0.1, ladder=(40, 80), orders=[0])
    assert inside.notes == ()
    assert eom.flow(eom.compile(QUARTIC, 1), START, eta=0.01, time=0.1).reach.note == ""


def test_a_flow_that_leaves_the_numbers_names_the_radius() -> None:
    stiff = eom.compile(eom.Loss("x**4", variables="x"), 3)
    with pytest.raises(DivergenceError, match=r"eta\*lambda = .* is beyond the radius 1 of gradient descent"):
        eom.flow(stiff, [40.0], eta=1.0, time=[0.0, -5.0])
