"""Every optimiser, step by step: against a plain NumPy loop, and against torch and optax where they are installed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pytest

import eomsym as eom
from eomsym.errors import InexactError, InputError, MethodError
from eomsym.optimisers.adaptive import Adam, AdamW, RMSProp
from eomsym.optimisers.averages import Averaged
from eomsym.optimisers.matrix import Muon
from eomsym.optimisers.momentum import Lookahead, Momentum, QuasiHyperbolic
from eomsym.optimisers.names import build, optimisers
from eomsym.optimisers.normalised import ClippedGradient, NormalisedGradient, NormalisedSAM
from eomsym.optimisers.signs import Lion, SignSGD

RNG = np.random.default_rng(1)
QUARTIC = eom.Loss("x**4/4 + x**2/2 - x*y/2 + x**2*y/2 + y**2/2 + 3*y**4/40", variables="x y")
#: Matrices of 2 x 3 and 4 x 2.
NET = eom.DeepLinear((3, 2, 4), RNG.standard_normal((9, 3)), RNG.standard_normal((9, 4)))
#: Matrices, and biases, which are none.
BIASED = eom.Network((3, 2, 4), RNG.standard_normal((9, 3)), RNG.standard_normal((9, 4)), "tanh", bias=True)
START, ETA, STEPS = np.array([1.2, 0.9]), 0.05, 25
g = QUARTIC.gradient


def momentum(beta, dampening=0.0, nesterov=False):
    def step(theta, k, s):
        s["b"] = beta * s.get("b", 0) + (1 - dampening) * g(theta)
        return theta - ETA * (g(theta) + beta * s["b"] if nesterov else s["b"])

    return step


def quasi_hyperbolic(nu, beta):
    def step(theta, k, s):
        s["m"] = beta * s.get("m", 0) + (1 - beta) * g(theta)
        return theta - ETA * ((1 - nu) * g(theta) + nu * s["m"])

    return step


def lookahead(count, alpha):
    def step(theta, k, s):
        fast = theta
        for _ in range(count):
            fast = fast - ETA * g(fast)
        return theta + alpha * (fast - theta)

    return step


def adam(beta1, beta2, epsilon, inside=False, correct=True, decay=0.0):
    def step(theta, k, s):
        s["m"] = beta1 * s.get("m", 0) + (1 - beta1) * g(theta)
        s["v"] = beta2 * s.get("v", 0) + (1 - beta2) * g(theta) ** 2
        m = s["m"] / (1 - beta1 ** (k + 1)) if correct else s["m"]
        v = s["v"] / (1 - beta2 ** (k + 1)) if correct else s["v"]
        return (1 - ETA * decay) * theta - ETA * m / (np.sqrt(v + epsilon) if inside else np.sqrt(v) + epsilon)

    return step


def lion(beta1, beta2, width, decay=0.0):
    def step(theta, k, s):
        m = s.get("m", 0)
        s["m"] = beta2 * m + (1 - beta2) * g(theta)
        return theta - ETA * (np.tanh((beta1 * m + (1 - beta1) * g(theta)) / width) + decay * theta)

    return step


def plain(rule):
    return lambda theta, k, s: theta - ETA * rule(theta)


def unit(x, epsilon=0.0):
    return x / (np.linalg.norm(x) + epsilon)


RULES = [
    (Momentum("4/5"), momentum(0.8)),
    (Momentum("4/5", "1/4"), momentum(0.8, 0.25)),
    (Momentum("4/5", nesterov=True), momentum(0.8, nesterov=True)),
    (Momentum(0), momentum(0.0)),
    (QuasiHyperbolic("7/10", "4/5"), quasi_hyperbolic(0.7, 0.8)),
    (Lookahead(3, "2/5"), lookahead(3, 0.4)),
    (Adam(), adam(0.9, 0.999, 1e-8)),
    (Adam("4/5", "9/10", "1/10", inside=True, bias_correction=False), adam(0.8, 0.9, 0.1, True, False)),
    (AdamW(epsilon="1/10", inside=True, weight_decay="1/5"), adam(0.9, 0.999, 0.1, True, decay=0.2)),
    (Adam("9/10", "19/20", memory="kept", eta="1/20"), adam(0.9, 0.95, 1e-8)),
    (
        AdamW("9/10", "19/20", memory="kept", eta="1/20", bias_correction=False),
        adam(0.9, 0.95, 1e-8, False, False, 0.01),
    ),
    (RMSProp("9/10", "1/100"), adam(0.0, 0.9, 0.01, correct=False)),
    (RMSProp("9/10", 0), adam(0.0, 0.9, 0.0, correct=False)),
    (RMSProp("9/10", "1/100", inside=True), adam(0.0, 0.9, 0.01, True, False)),
    (SignSGD("1/3"), plain(lambda x: np.tanh(3 * g(x)))),
    (Lion("4/5", "9/10", "1/4"), lion(0.8, 0.9, 0.25)),
    (Lion("4/5", "9/10", "1/4", "1/10"), lion(0.8, 0.9, 0.25, 0.1)),
    (NormalisedGradient(), plain(lambda x: unit(g(x)))),
    (NormalisedGradient("1/10"), plain(lambda x: unit(g(x), 0.1))),
    (NormalisedSAM("1/2", "1/10"), plain(lambda x: g(x + 0.5 * ETA * unit(g(x), 0.1)))),
    (ClippedGradient("3/2"), plain(lambda x: g(x) * min(1, 1.5 / np.linalg.norm(g(x))))),
    (Averaged(NormalisedGradient(), "1/2"), plain(lambda x: unit(g(x)))),
]


def loop(step, start=START, steps=STEPS):
    theta, path, state = start, [start], {}
    for k in range(steps):
        theta = step(theta, k, state)
        path.append(theta)
    return np.array(path)


@pytest.mark.parametrize("method, step", RULES, ids=lambda x: getattr(x, "name", ""))
def test_a_run_repeats_a_plain_loop(method, step):
    path = eom.descend(QUARTIC, START, eta=ETA, steps=STEPS, method=method)
    np.testing.assert_allclose(path.thetas[:, :2], loop(step), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("ahead", [0.0, 1.0], ids=["heavy ball", "Nesterov"])
def test_a_kept_momentum_is_momentum(ahead):
    """The step is the root of the learning rate, and the momentum p is sqrt(eta) times the usual one."""
    method = (eom.Nesterov if ahead else eom.HeavyBall)("4/5", memory="kept", eta="1/20")
    path = eom.descend(QUARTIC, START, eta=method.step, steps=STEPS, method=method)
    before = START

    def step(theta, k, s):
        nonlocal before
        jump, before = 0.8 * (theta - before), theta
        return theta + jump - ETA * g(theta + ahead * jump)

    expected = loop(step)
    np.testing.assert_allclose(path.thetas[:, :2], expected, rtol=1e-12)
    np.testing.assert_allclose(math.sqrt(ETA) * path.thetas[1:, 2:], np.diff(expected, axis=0), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("text", ["x**2/2", "x**2", "2*x", "3*x**2 + 2*x"])
def test_momentum_is_at_rest_where_a_gradient_is_linear_or_constant(text):
    loss = eom.Loss(text, variables="x")
    path = eom.descend(loss, [1.0], eta=ETA, steps=1, method=eom.HeavyBall("1/2"))
    np.testing.assert_allclose(path.thetas[1], 1 - ETA * loss.gradient([1.0]), rtol=1e-15)


def orthogonal(x, steps):
    x = x / (np.sqrt((x * x).sum()) + 1e-7)
    x = x.T if x.shape[0] > x.shape[1] else x
    for _ in range(steps):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x


def muon(loss, beta, steps, eta):
    def step(theta, k, s):
        grad = loss.gradient(theta)
        s["m"] = beta * s.get("m", 0) + (1 - beta) * grad
        u, out = (1 - beta) * grad + beta * s["m"], theta.copy()
        for block in loss.blocks.values():
            part = u[block.place]
            if len(block.shape) == 2:
                found = orthogonal(part.reshape(block.shape), steps)
                part = (found if found.shape == block.shape else found.T).ravel()
            out[block.place] -= eta * part
        return out

    return step


@pytest.mark.parametrize("loss", [NET, BIASED], ids=["matrices", "with biases"])
def test_muon_repeats_a_plain_loop(loss):
    start = 0.4 * np.random.default_rng(2).standard_normal(loss.size)
    path = eom.descend(loss, start, eta=0.02, steps=15, method=Muon("9/10"))
    np.testing.assert_allclose(path.thetas, loop(muon(loss, 0.9, 5, 0.02), start, 15), rtol=1e-11, atol=1e-12)
    assert sorted({block.shape for block in NET.blocks.values()}) == [(2, 3), (4, 2)]


# frameworks -----------------------------------------------------------------------------------------------------------


def torch_run(make, loss=QUARTIC, start=START, steps=STEPS):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    parameter = torch.nn.Parameter(torch.tensor(start, dtype=torch.float64))
    optimiser, path = make(torch)([parameter]), [start]
    for _ in range(steps):
        parameter.grad = torch.tensor(loss.gradient(path[-1].ravel())).reshape(parameter.shape)
        optimiser.step()
        path.append(parameter.detach().numpy().copy())
    return np.array(path)


def sgd(**options):
    return lambda torch: lambda p: torch.optim.SGD(p, lr=ETA, **options)


TORCH = [
    (Momentum("9/10"), sgd(momentum=0.9)),
    (Momentum("9/10", "3/10"), sgd(momentum=0.9, dampening=0.3)),
    (Momentum("9/10", nesterov=True), sgd(momentum=0.9, nesterov=True)),
    (Momentum(0, "3/10"), sgd(momentum=0, dampening=0.3)),
    (Adam(), lambda torch: lambda p: torch.optim.Adam(p, lr=ETA)),
    (Adam("9/10", "999/1000", memory="kept", eta="1/20"), lambda torch: lambda p: torch.optim.Adam(p, lr=ETA)),
    (AdamW(weight_decay="1/10"), lambda torch: lambda p: torch.optim.AdamW(p, lr=ETA, weight_decay=0.1)),
    (RMSProp(), lambda torch: lambda p: torch.optim.RMSprop(p, lr=ETA)),
]


@pytest.mark.parametrize("method, make", TORCH, ids=lambda x: getattr(x, "name", ""))
def test_a_run_is_that_of_torch(method, make):
    expected = torch_run(make)
    memory = (
        method.torch_start(eom.compile(QUARTIC, 0, method=method), START) if isinstance(method, Momentum) else "rest"
    )
    path = eom.descend(QUARTIC, START, eta=ETA, steps=STEPS, method=method, memory=memory)
    np.testing.assert_allclose(path.thetas[:, :2], expected, rtol=1e-12, atol=1e-13)


def test_muon_is_that_of_torch_but_for_its_short_floats(monkeypatch):
    """torch iterates in bfloat16, and takes max(norm, 1e-7) where we add; with doubles in its place they agree."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    if not hasattr(torch.optim, "Muon"):
        pytest.skip("this torch has no Muon")
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda self: self.clone())
    rng = np.random.default_rng(4)
    loss = eom.DeepLinear((3, 3), rng.standard_normal((9, 3)), rng.standard_normal((9, 3)))
    start = rng.standard_normal((3, 3))

    def make(torch):
        return lambda p: torch.optim.Muon(p, lr=0.02, momentum=0.9, weight_decay=0)

    expected = torch_run(make, loss, start, 10).reshape(11, 9)
    path = eom.descend(loss, start.ravel(), eta=0.02, steps=10, method=Muon("9/10"))
    np.testing.assert_allclose(path.thetas, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("inside", [True, False])
def test_adam_is_that_of_optax(inside):
    optax = pytest.importorskip("optax", reason="optax is not installed")
    jax = pytest.importorskip("jax", reason="jax is not installed")
    epsilon = {"eps": 0.0, "eps_root": 0.01} if inside else {"eps": 0.01}
    with jax.enable_x64(True):
        optimiser, theta = optax.adam(ETA, **epsilon), jax.numpy.array(START)
        state, expected = optimiser.init(theta), [START]
        for _ in range(STEPS):
            change, state = optimiser.update(jax.numpy.array(g(np.array(theta))), state)
            theta = optax.apply_updates(theta, change)
            expected.append(np.array(theta))
    path = eom.descend(QUARTIC, START, eta=ETA, steps=STEPS, method=Adam(epsilon="1/100", inside=inside))
    np.testing.assert_allclose(path.thetas, expected, rtol=1e-12, atol=1e-13)


# input ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make, error, match",
    [
        (lambda: Adam(beta1=1), MethodError, r"beta1 = 1 keeps all of the past for ever .* use beta1 < 1"),
        (lambda: Adam(beta2="3/2"), MethodError, r"beta2 = 3/2; expected a number from 0 to below 1, such as beta2="),
        (lambda: Adam(epsilon="-1/10"), MethodError, r"epsilon = -1/10; expected a number >= 0"),
        (lambda: Adam(beta1=0.9), InexactError, r"beta1 is 0.9, a float; exact numbers are needed, for example '0.9'"),
        (lambda: Adam(inside=1), InputError, r"inside must be True or False, got 1"),
        (lambda: Adam(memory="kept"), MethodError, r"needs the learning rate; add for instance eta='1/100'"),
        (lambda: Adam(memory="lost"), MethodError, r"unknown memory 'lost'; choose 'eliminated' or 'kept'"),
        (
            lambda: Adam(eta="1/10"),
            MethodError,
            r"belongs to a memory that is kept; leave it out, or add memory='kept'",
        ),
        (
            lambda: Adam(0, memory="kept", eta=1),
            MethodError,
            r"beta1 = 0; a kept memory needs a number between 0 and 1",
        ),
        (lambda: Adam().step, MethodError, r"takes any eta; a step needs memory='kept'"),
        (lambda: eom.HeavyBall("1/2").step, MethodError, r"takes any eta; a step needs memory='kept'"),
        (lambda: eom.HeavyBall("1/2", "kept", eta=-1), MethodError, r"eta = -1; a kept memory needs a number > 0"),
        (lambda: eom.counter_terms(2, method=Adam()), MethodError, r"Adam.* has no coefficients on rooted trees"),
        (lambda: eom.HeavyBall("1/2", "kept", eta=1).stability(), MethodError, r"has no coefficients on rooted trees"),
        (lambda: SignSGD(0), MethodError, r"width = 0; expected a number > 0, such as width='1/10'"),
        (lambda: ClippedGradient(-2), MethodError, r"threshold = -2; expected a number > 0, such as threshold='2'"),
        (lambda: Momentum("1/2", "1/2", nesterov=True), MethodError, r"takes no dampening, and got 1/2"),
        (lambda: Momentum("1/2", 1), MethodError, r"dampening = 1 leaves no gradient"),
        (lambda: Lookahead(0), InputError, r"steps must be an integer from 1 to 50, got 0"),
        (lambda: Lookahead(2, 0), MethodError, r"alpha = 0 never moves the slow weights"),
        (lambda: Muon(ns_steps=0.5), InputError, r"ns_steps must be an integer from 1 to 20, got 0.5"),
        (lambda: Averaged("gd", "1/2"), MethodError, r"expected a method such as GradientDescent\(\), got str"),
        (lambda: build("sgd"), InputError, r"unknown optimiser 'sgd'; choose one of gd, adam"),
        (lambda: build("sam"), InputError, r"sam needs r"),
        (lambda: build("muon", width=1), InputError, r"muon does not take width; it takes beta, ns_steps"),
    ],
)
def test_bad_input(make, error, match):
    with pytest.raises(error, match=match):
        make()


def test_where_a_norm_vanishes_it_is_said():
    with pytest.raises(eom.errors.TableError, match="not finite from order 0 on"):
        eom.compile(QUARTIC, 1, method=NormalisedGradient()).terms([0.0, 0.0])
    np.testing.assert_array_equal(eom.compile(QUARTIC, 1, method=ClippedGradient(1)).terms([0.0, 0.0]), 0)


@pytest.mark.parametrize("name", optimisers())
def test_the_list_of_names_knows_the_classes(name):
    known = optimisers()[name]
    assert known.factory.__name__ in eom.optimisers.__all__
    if known.needed:
        with pytest.raises(InputError, match=f"{name} needs {', '.join(sorted(known.needed))}"):
            build(name)
    else:
        assert build(name).name
    with pytest.raises(InputError, match=f"{name} does not take momentun; it takes"):
        build(name, momentun=1)


def test_an_optimiser_that_is_exported_is_found(monkeypatch):
    """One class and its line in the list of exported names: parameters and defaults are read off the class."""

    @dataclass(frozen=True)
    class SlowStart(eom.optimisers.Method):
        share: Any
        rows: tuple[tuple[int, ...], ...] = ()
        fast: bool = False
        rounds: int = 3
        kind: Literal["a", "b"] = "a"

    monkeypatch.setattr(eom.optimisers, "__all__", [*eom.optimisers.__all__, "SlowStart"])
    monkeypatch.setattr(eom.optimisers, "SlowStart", SlowStart, raising=False)
    optimisers.cache_clear()
    try:
        found = optimisers()["slow-start"]
    finally:
        optimisers.cache_clear()
    assert found.parameters == {"share": "number", "rows": "rows", "fast": "flag", "rounds": "count", "kind": "a|b"}
    assert found.needed == ("share",)
