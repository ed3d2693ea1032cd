"""The equation of motion of every optimiser: its order, and its first terms as published."""

from __future__ import annotations

import numpy as np
import pytest
import sympy
from scipy.integrate import solve_ivp

import eomsym as eom
from eomsym.optimisers.adaptive import Adam, AdamW, RMSProp
from eomsym.optimisers.averages import Averaged
from eomsym.optimisers.matrix import Muon
from eomsym.optimisers.momentum import Lookahead, Momentum, QuasiHyperbolic
from eomsym.optimisers.normalised import ClippedGradient, NormalisedGradient, NormalisedSAM
from eomsym.optimisers.signs import Lion, SignSGD

RNG = np.random.default_rng(1)
QUARTIC = eom.Loss("x**4/4 + x**2/2 - x*y/2 + x**2*y/2 + y**2/2 + 3*y**4/40", variables="x y")
NET = eom.DeepLinear((3, 2, 4), RNG.standard_normal((9, 3)), RNG.standard_normal((9, 4)))
START = np.array([1.2, 0.9])
KEPT = np.array([1.2, 0.9, 1.0, 0.5, 0.8, 0.3, 1.0])


def motion(kernel, start, eta, time):
    found = solve_ivp(lambda t, x: kernel.field(x, eta), (0, time), start, "DOP853", rtol=1e-12, atol=1e-14)
    return found.y[:, -1]


#: Method and number of steps in a time of 0.2.
ORDERS = [
    (Momentum("1/2", "1/4"), 80),
    (Momentum("1/2", nesterov=True), 80),
    (QuasiHyperbolic("2/3", "1/2"), 80),
    (Lookahead(2, "1/4"), 20),
    (Adam("1/2", "3/5", "1/10"), 40),
    (Adam("1/2", "3/5", "1/10", inside=True), 40),
    (AdamW("1/2", "3/5", "1/10", weight_decay="1/10"), 40),
    (RMSProp("1/4", "1/10"), 80),
    (SignSGD(2), 20),
    (Lion("1/2", "3/5", 2, "1/10"), 40),
    (NormalisedGradient("1/10"), 20),
    (NormalisedSAM("1/2"), 40),
    (ClippedGradient("1/2"), 20),
    (ClippedGradient(10), 40),
    (eom.HeavyBall("9/10", memory="kept", eta="1/100"), 20),
    (eom.Nesterov("9/10", memory="kept", eta="1/100"), 20),
    (Adam("9/10", "19/20", "1/10", memory="kept", eta="1/10"), 20),
]


def slopes(loss, method, start, time, steps):
    kernel = eom.compile(loss, 4, method=method)
    errors = []
    for count in (steps, 2 * steps):
        run = eom.descend(
            loss, start, eta=time / count, steps=count, method=method, memory="flow", late=not kernel.method.kept(2)
        )
        orders = (motion(kernel.at_order(k), start, time / count, time) for k in range(4))
        errors.append([np.linalg.norm(found - run.thetas[-1]) for found in orders])
    return np.log2(np.array(errors[0]) / errors[1])


@pytest.mark.parametrize("method, steps", ORDERS, ids=lambda x: getattr(x, "name", ""))
def test_the_order_is_right(method, steps):
    start = KEPT[: 2 + sum(method.kept(2).values())]
    np.testing.assert_allclose(slopes(QUARTIC, method, start, 0.2, steps), [1, 2, 3, 4], atol=0.1)


def test_the_order_is_right_for_muon():
    start = RNG.standard_normal(NET.size)
    np.testing.assert_allclose(slopes(NET, Muon("1/3", ns_steps=1), start, 0.2, 40), [1, 2, 3, 4], atol=0.1)


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_an_average_follows_from_the_motion(order):
    """After its start has faded, the average at an iterate is that of the equation of motion there."""
    errors = []
    for count in (80, 160):
        method, eta = Averaged(Momentum("1/4"), "1/3"), 0.4 / count
        run = eom.descend(QUARTIC, START, eta=eta, steps=count, method=method, memory="flow")
        average = method.along(run.thetas)[-1]
        errors.append(
            np.linalg.norm(eom.compile(QUARTIC, order, method=method).outputs(run.thetas[-1], eta)["average"] - average)
        )
    np.testing.assert_allclose(np.log2(errors[0] / errors[1]), order + 1, atol=0.1)


# first terms as published ---------------------------------------------------------------------------------------------

T = np.array([0.7, -0.4])
_G = eom.compile(QUARTIC, 0)
G = _G.gradient(T)


def H(direction, at=T):
    return _G.hessian_vector(at, direction)


def adam_term(beta1, beta2, epsilon):
    """Cattaneo, Klusowski, Shigida 2024 (theory.md, section 8), the epsilon inside."""
    s = G**2 + epsilon
    past = (1 + beta2) / (1 - beta2)
    factor = (1 + beta1) / (1 - beta1) - past + past * epsilon / s
    return G / np.sqrt(s), factor * H(G / np.sqrt(s)) / np.sqrt(s) / 2


def adamw_term(beta1, beta2, epsilon, decay):
    s = G**2 + epsilon
    D = G / np.sqrt(s)
    whole = D + decay * T
    memory = beta1 / (1 - beta1) * s**-0.5 - beta2 / (1 - beta2) * G**2 * s**-1.5
    return whole, memory * H(whole) + (epsilon * s**-1.5 * H(whole) + decay * whole) / 2


def lion_term(beta1, beta2, width):
    sign = np.tanh(G / width)
    return sign, (beta1 / (1 - beta2) + 0.5) * (1 - sign**2) / width * H(sign)


def normalised_term():
    N = G / np.linalg.norm(G)
    found = H(N) / np.linalg.norm(G) / 2
    return N, found - N * (N @ found)


def sam_term(r):
    """g(theta + r eta N), and half of Hg from the step."""
    return G, r * H(G / np.linalg.norm(G)) + H(G) / 2


FIRST = [
    (Adam("1/2", "3/5", "1/10", inside=True), adam_term(0.5, 0.6, 0.1)),
    (Adam("9/10", "99/100", "1/100", inside=True, bias_correction=False), adam_term(0.9, 0.99, 0.01)),
    (RMSProp("3/5", "1/10", inside=True), adam_term(0, 0.6, 0.1)),
    (AdamW("1/2", "3/5", "1/10", inside=True, weight_decay="1/5"), adamw_term(0.5, 0.6, 0.1, 0.2)),
    (Lion("1/2", "3/5", "1/2"), lion_term(0.5, 0.6, 0.5)),
    (SignSGD("1/2"), lion_term(0, 0, 0.5)),
    (NormalisedGradient(), normalised_term()),
    (NormalisedSAM("1/3"), sam_term(1 / 3)),
    (ClippedGradient("1/3"), tuple(term / 3 / 3**k for k, term in enumerate(normalised_term()))),
    (QuasiHyperbolic("2/3", "1/2"), (G, (1 - 0.5 + 2 * 0.5 * 2 / 3) / (2 * (1 - 0.5)) * H(G))),
    (Lookahead(2, "1/3"), (2 / 3 * G, -1 / 3 * (1 - 2 / 3) * H(G))),
    (Momentum("1/2", nesterov=True), (2 * G, (1 - 0.5 + 2 * 0.25) / (2 * 0.125) * H(G))),
    (Momentum("1/2", "1/4"), (1.5 * G, 0.75**2 * 1.5 / (2 * 0.125) * H(G))),
    (Momentum("1/2"), (2 * G, 1.5 / (2 * 0.125) * H(G))),
]


@pytest.mark.parametrize("method, expected", FIRST, ids=lambda x: getattr(x, "name", ""))
def test_first_terms_are_those_published(method, expected):
    np.testing.assert_allclose(eom.compile(QUARTIC, 1, method=method).terms(T), expected, rtol=1e-10, atol=1e-12)


def test_second_term_of_nesterov_in_torch_is_not_that_of_nesterov():
    """The coefficient of T[g,g] is (1 - 2 beta + 13 beta²)/(12 (1-beta)⁵); on the linear losses it does not show."""
    beta = sympy.Symbol("beta")
    terms = eom.modified_field(eom.Loss("x**3/6", variables="x"), 2, method=Momentum(beta, nesterov=True)).terms
    x = sympy.Symbol("x")
    chain = (
        eom.modified_field(eom.Loss("x**2/2", variables="x"), 2, method=Momentum(beta, nesterov=True)).terms[2][0] / x
    )
    bushy = (1 - 2 * beta + 13 * beta**2) / (12 * (1 - beta) ** 5)  # H = x, T = 1, g = x²/2
    assert sympy.simplify(terms[2][0] - (chain * x**2 * x**2 / 2 + bushy * x**4 / 4)) == 0


def newton_schulz(x, steps=5):
    """Without conjugation, so that complex steps give derivatives."""
    x = x / (np.sqrt((x * x).sum()) + 1e-7)
    turned = x.shape[0] > x.shape[1]
    x = x.T if turned else x
    for _ in range(steps):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x.T if turned else x


def test_first_terms_of_muon():
    """Phi, and (beta²/(1-beta) + 1/2) Phi'[H Phi]."""
    theta, beta = np.random.default_rng(5).standard_normal(NET.size), 0.75
    plain = eom.compile(NET, 0)

    def phi(x):
        out = np.empty_like(x)
        for block in NET.blocks.values():
            out[block.place] = newton_schulz(x[block.place].reshape(block.shape)).ravel()
        return out

    gradient = plain.gradient(theta)
    step = phi(gradient)
    slope = phi(gradient + 1e-30j * plain.hessian_vector(theta, step)).imag / 1e-30
    expected = [step, (beta**2 / (1 - beta) + 0.5) * slope]
    np.testing.assert_allclose(eom.compile(NET, 1, method=Muon("3/4")).terms(theta), expected, rtol=1e-10, atol=1e-12)
