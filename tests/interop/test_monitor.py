"""The monitor against dense Hessians, and its predictions against the loops that it watches."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import eomsym as eom
from eomsym.errors import InputError
from eomsym.interop import watch_optax, watch_torch
from eomsym.interop.monitor import largest

RNG = np.random.default_rng(6)


class Writer:
    def __init__(self):
        self.scalars = {}

    def add_scalar(self, tag, value, step):
        self.scalars[tag, step] = value


def test_lanczos_finds_the_largest_eigenvalue_and_says_how_well():
    for count in (3, 30):
        matrix = RNG.standard_normal((30, 30))
        matrix = matrix + matrix.T
        value, vector, residual = largest(lambda v, m=matrix: m @ v, RNG.standard_normal(30), count)
        values = np.linalg.eigvalsh(matrix)
        assert min(abs(values - value)) <= residual + 1e-12
        assert np.linalg.norm(matrix @ vector - value * vector) == pytest.approx(residual, abs=1e-9)
    assert value == pytest.approx(values[np.argmax(abs(values))], rel=1e-10, abs=0)


# PyTorch ------------------------------------------------------------------------------------------------------------


def torch_loop(lr=0.05, steps=7, every=3, **options):
    torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'eomsym[torch]'")
    torch.manual_seed(1)
    module = torch.nn.Sequential(
        torch.nn.Linear(3, 4, bias=False), torch.nn.BatchNorm1d(4), torch.nn.Tanh(), torch.nn.Linear(4, 2)
    )
    module = module.double()
    module[1].eps = 1e-12
    x, y = torch.randn(9, 3).double(), torch.randn(9, 2).double()
    given = {k: options.pop(k) for k in ("momentum", "weight_decay", "nesterov") if k in options}

    def closure():
        return torch.nn.functional.mse_loss(module(x), y)

    optimiser = torch.optim.SGD(module.parameters(), lr=lr, **given)
    monitor = watch_torch(module, optimiser, closure, every=every, **options)
    points = []
    for _ in range(steps):
        optimiser.zero_grad()
        closure().backward()
        optimiser.step()
        monitor.step()
        points.append(torch.nn.utils.parameters_to_vector(module.parameters()).detach().numpy().copy())
    return module, (lambda out, target: torch.nn.functional.mse_loss(out, target), x, y), monitor, points


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
def test_looks_are_those_of_our_own_terms():
    decay = 0.1
    module, data, monitor, points = torch_loop(weight_decay=decay)
    loss = eom.from_torch(module, *data).with_weight_decay(decay)
    kernel = eom.compile(loss, 1)
    assert [look.step for look in monitor.looks] == [3, 6]
    for look in monitor.looks:
        theta = points[look.step - 1]
        g, second = kernel.terms(theta)
        hessian = np.array([kernel.hessian_vector(theta, e) for e in np.eye(loss.size)])
        assert look.gradient == pytest.approx(np.linalg.norm(g), rel=1e-9, abs=0)
        assert look.drift == pytest.approx(0.05 * np.linalg.norm(second) / np.linalg.norm(g), rel=1e-9, abs=0)
        sharpness = abs(np.linalg.eigvalsh(hessian)).max()
        assert look.product == pytest.approx(0.05 * sharpness, abs=look.doubt + 1e-9)
        assert (look.radius, look.limit) == (1.0, 2.0)
        assert look.product == pytest.approx(0.05 * sharpness, rel=0.05, abs=0)


def test_norm_and_angle_of_normalised_layers_are_predicted():
    *_, monitor, points = torch_loop(weight_decay=0.1)
    assert list(monitor.looks[0].layers) == ["0.weight"]
    layer = monitor.looks[0].layers["0.weight"]
    before, after = points[2][:12], points[3][:12]
    assert layer.norm == pytest.approx(np.linalg.norm(before), rel=1e-12, abs=0)
    assert layer.next_norm == pytest.approx(np.linalg.norm(after), rel=1e-12, abs=0)
    assert layer.predicted_norm == pytest.approx(layer.next_norm, rel=1e-9, abs=0)
    assert layer.predicted_angle == pytest.approx(layer.angle, rel=1e-6, abs=0)
    assert layer.equilibrium_angle == pytest.approx(np.arccos(1 - 0.05 * 0.1), rel=1e-9, abs=0)


def test_a_look_leaves_the_loop_as_it_was():
    with_looks, without = torch_loop(every=1), torch_loop(every=1000)
    np.testing.assert_array_equal(with_looks[3], without[3])
    for (_, a), (_, b) in zip(with_looks[0].named_buffers(), without[0].named_buffers(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_momentum_has_its_own_limits_and_its_own_drift():
    """Heavy ball: term 0 is g/(1-b), term 1 is (1+b)/(2 (1-b)**3) Hg; it is stable to 2 (1 + b)."""
    plain, heavy = torch_loop(steps=3)[2].looks[0], torch_loop(steps=3, momentum=0.5)[2].looks[0]
    assert (heavy.radius, heavy.limit) == (pytest.approx((1 - np.sqrt(0.5)) ** 2, rel=1e-9, abs=0), 3.0)
    assert torch_loop(steps=3, momentum=0.5, nesterov=True)[2].looks[0].radius == pytest.approx(1 / 9, rel=1e-9, abs=0)
    assert plain.limit == 2.0
    from eomsym.interop.monitor import _first_terms

    assert _first_terms(eom.HeavyBall("1/2")) == (2.0, pytest.approx(1.5 / (2 * 0.125), rel=1e-9, abs=0))


def test_scalars_rows_and_figures():
    writer = Writer()
    *_, monitor, _ = torch_loop(writer=writer, live=True)
    assert writer.scalars["eomsym/drift", 3] == monitor.looks[0].drift
    assert writer.scalars["eomsym/0.weight/angle", 6] == monitor.looks[1].layers["0.weight"].angle
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    table = monitor.table()
    assert isinstance(table, pandas.DataFrame)
    assert list(table.index) == [3, 6]
    assert table["0.weight.norm"].iloc[1] == monitor.looks[1].layers["0.weight"].norm
    assert len(monitor.draw().axes) == 2
    assert str(monitor).count("\n") == 2
    assert monitor.overhead > 0
    from matplotlib import pyplot

    pyplot.close("all")


def test_what_cannot_be_watched_is_refused():
    with pytest.raises(InputError, match="every must be a number of steps >= 1"):
        torch_loop(every=0)
    with pytest.raises(InputError, match=r"there is no parameter 5\.weight; there are 0\.weight, 1\.weight"):
        torch_loop(normalised=["5.weight"])
    with pytest.raises(InputError, match=r"3\.weight is not scale-invariant"):
        torch_loop(normalised=["3.weight"])


def hessian_of(closure, parameters):
    import torch

    slopes = torch.autograd.grad(closure(), parameters, create_graph=True)
    flat = torch.cat([s.ravel() for s in slopes])
    rows = [torch.autograd.grad(one, parameters, retain_graph=True, materialize_grads=True) for one in flat]
    return np.array([torch.cat([r.ravel() for r in row]).numpy() for row in rows])


@pytest.mark.parametrize(
    "name, options, limit",
    [
        ("Adam", {"betas": (0.8, 0.99), "weight_decay": 0.1}, 3.6 / 0.2),
        ("AdamW", {"amsgrad": True}, 38.0),
        ("RMSprop", {"momentum": 0.5, "centered": True}, 3.0),
    ],
)
def test_adaptive_optimisers_are_held_against_their_preconditioned_limit(name, options, limit):
    """The divisor is measured: by what a step divides its momentum, parameter for parameter."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    module = torch.nn.Linear(3, 2).double()
    x, y = torch.randn(9, 3).double(), torch.randn(9, 2).double()

    def closure():
        return torch.nn.functional.mse_loss(torch.tanh(module(x)), y)

    optimiser = getattr(torch.optim, name)(module.parameters(), lr=0.01, **options)
    monitor = watch_torch(module, optimiser, closure, every=7)
    for _ in range(7):
        optimiser.zero_grad()
        closure().backward()
        before = torch.nn.utils.parameters_to_vector(module.parameters()).detach().numpy().copy()
        optimiser.step()
        monitor.step()
    after = torch.nn.utils.parameters_to_vector(module.parameters()).detach().numpy()
    first = {"RMSprop": "momentum_buffer"}.get(name, "exp_avg")
    moved = np.concatenate([optimiser.state[p][first].numpy().ravel() for p in module.parameters()])
    decayed = before * (1 - 0.01 * 0.01) if name == "AdamW" else before
    hessian = hessian_of(closure, list(module.parameters())) + options.get("weight_decay", 0.0) * np.eye(8) * (
        name != "AdamW"
    )
    if name == "RMSprop":  # the buffer is divided already
        parts = [optimiser.state[p] for p in module.parameters()]
        divisor = np.concatenate([(s["square_avg"] - s["grad_avg"] ** 2).sqrt().numpy().ravel() for s in parts]) + 1e-8
        np.testing.assert_allclose(before - after, 0.01 * moved, rtol=1e-9)
    else:
        divisor = 0.01 * moved / (decayed - after)
    root = 1 / np.sqrt(divisor)
    exact = abs(np.linalg.eigvalsh(root[:, None] * hessian * root)).max()
    (look,) = monitor.looks
    assert look.limit == pytest.approx(limit, rel=1e-9, abs=0)
    assert look.product == pytest.approx(0.01 * exact, rel=1e-6, abs=0)
    beta = {"Adam": 0.8, "AdamW": 0.9}.get(name)
    momentum = (1 + beta) / (1 - beta) if beta else (1 + 0.5) / (1 - 0.5) ** 2
    for p in module.parameters():
        p.grad = None
    closure().backward()
    point, slopes = (
        torch.nn.utils.parameters_to_vector(found).detach().numpy()
        for found in (list(module.parameters()), [p.grad for p in module.parameters()])
    )
    moved = (slopes + (0.1 * point if name == "Adam" else 0.0)) / divisor
    bent = hessian @ moved / divisor
    assert look.drift == pytest.approx(
        momentum * 0.01 / 2 * np.linalg.norm(bent) / np.linalg.norm(moved), rel=1e-6, abs=0
    )
    assert np.isnan(look.radius)


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9])
def test_the_limits_are_where_a_frozen_divisor_makes_runs_unstable(beta):
    """The largest root of momentum on a line crosses 1 there, and not a per mille before."""
    from eomsym.interop.preconditioners import averaged

    for limit, share in ((averaged(beta), 1 - beta), (2 + 2 * beta, 1.0)):
        sizes = []
        for product in (0.999 * limit, 1.001 * limit):
            # m <- beta m + share lambda theta, theta <- theta - eta m
            step = np.array([[beta, share * product], [-beta, 1 - share * product]])
            sizes.append(abs(np.linalg.eigvals(step)).max())
        assert sizes[0] < 1 < sizes[1]


def preconditioned():
    """A loss of two variables, a divisor, a point."""
    return eom.Loss("x**4/4 + x*y + cos(y)", variables="x y"), np.array([4.0, 0.25]), np.array([0.9, 0.4])


def test_the_drift_with_a_frozen_divisor_is_what_is_observed():
    """What is observed over eta, extrapolated from two learning rates."""
    from eomsym.interop.preconditioners import Preconditioner

    loss, divisor, theta = preconditioned()
    kernel = eom.compile(loss, 1)
    moved = loss.gradient(theta) / divisor

    def share(eta):
        found = eom.observe(lambda x: x - eta * loss.gradient(x) / divisor, theta, 4).velocity(eta)
        return np.linalg.norm(found + moved) / np.linalg.norm(moved) / eta

    drift = Preconditioner(divisor, 2.0).drift(
        loss.gradient(theta), lambda v: kernel.hessian_vector(theta, v), 1e-3, decay=0.0
    )
    assert drift / 1e-3 == pytest.approx(2 * share(5e-4) - share(1e-3), rel=1e-4, abs=0)
    assert drift / 1e-3 != pytest.approx(
        np.linalg.norm(kernel.terms(theta)[1] / divisor) / np.linalg.norm(moved), rel=0.1, abs=0
    )


@pytest.mark.parametrize("beta", ["1/2", "9/10"])
def test_the_drift_with_momentum_is_that_of_a_heavy_ball_in_the_stretched_space(beta):
    from eomsym.interop.preconditioners import Preconditioner, added_terms, averaged_terms

    loss, divisor, theta = preconditioned()
    stretched = eom.Loss("(x/2)**4/4 + x/2*y*2 + cos(y*2)", variables="x y")
    zeroth, first = eom.compile(stretched, 1, method=eom.HeavyBall(beta)).terms(np.sqrt(divisor) * theta) / np.sqrt(
        divisor
    )
    share, eta, size = float(Fraction(beta)), 0.1, np.linalg.norm
    for terms, step in ((added_terms(share), eta), (averaged_terms(share), eta * (1 - share))):
        drift = Preconditioner(divisor, 2.0, terms).drift(
            loss.gradient(theta), lambda v: eom.compile(loss, 1).hessian_vector(theta, v), eta, decay=0.0
        )
        assert drift == pytest.approx(step * size(first) / size(zeroth), rel=1e-12, abs=0)


# JAX ----------------------------------------------------------------------------------------------------------------


def test_a_loop_of_optax():
    jax = pytest.importorskip("jax", reason="needs JAX: pip install 'eomsym[jax]'")
    optax = pytest.importorskip("optax", reason="needs optax")
    import jax.numpy as jnp

    scales = np.array([1.0, 3.0, -2.0])

    def loss_fn(params, shift):
        return (scales * (params["x"] - shift) ** 2).sum() / 2 + jnp.cos(params["y"])

    with jax.enable_x64(True):
        params = {"x": jnp.ones(3), "y": jnp.asarray(0.3)}
        schedule = optax.linear_schedule(0.1, 0.2, 10)
        optimiser = optax.sgd(schedule)
        state = optimiser.init(params)
        monitor = watch_optax(loss_fn, params, schedule, every=4)
        for _ in range(8):
            updates, state = optimiser.update(jax.grad(loss_fn)(params, 0.5), state)
            params = optax.apply_updates(params, updates)
            monitor.step(params, 0.5)
        g = {name: np.asarray(x) for name, x in jax.grad(loss_fn)(params, 0.5).items()}
        angle = float(params["y"])
    look = monitor.looks[1]
    slope = np.concatenate([g["x"], [g["y"]]])
    bent = np.concatenate([scales * g["x"], [-np.cos(angle) * g["y"]]])
    assert look.eta == pytest.approx(0.18, rel=1e-9, abs=0)
    assert look.product == pytest.approx(3 * 0.18, rel=1e-6, abs=0)
    assert look.drift == pytest.approx(0.18 * np.linalg.norm(bent) / (2 * np.linalg.norm(slope)), rel=1e-9, abs=0)


def test_the_state_of_optax_is_read_as_far_as_it_goes():
    """Adam's divisor by its own updates; the numbers too, where they are injected; a momentum is asked for."""
    jax = pytest.importorskip("jax", reason="needs JAX: pip install 'eomsym[jax]'")
    optax = pytest.importorskip("optax", reason="needs optax")
    import jax.numpy as jnp

    scales = np.array([1.0, 3.0, 2.0])

    def loss_fn(params):
        return (scales * params["x"] ** 2).sum() / 2

    def run(optimiser, **options):
        params = {"x": jnp.asarray([1.0, 0.5, 0.2])}
        state = optimiser.init(params)
        monitor = watch_optax(loss_fn, params, 0.01, every=3, **options)
        for _ in range(3):
            updates, state = optimiser.update(jax.grad(loss_fn)(params), state, params)
            params = optax.apply_updates(params, updates)
            monitor.step(params, state=state)
        return monitor.looks[0], np.asarray(updates["x"]), state

    with jax.enable_x64(True):
        look, update, state = run(optax.adam(0.01, b1=0.8, b2=0.9), betas=(0.8, 0.9))
        injected = run(optax.inject_hyperparams(optax.adam)(0.01, b1=0.8, b2=0.9))[0]
        rms = run(optax.rmsprop(0.01, decay=0.5, eps=1e-8))[0]
        divisor = -0.01 * np.asarray(state[0].mu["x"]) / update
        with pytest.raises(InputError, match="does not keep its coefficient there; give method"):
            run(optax.sgd(0.01, momentum=0.9))
        heavy = run(optax.sgd(0.01, momentum=0.9), method=eom.HeavyBall("9/10"))[0]
    assert look.product == pytest.approx(0.01 * (scales / divisor).max(), rel=1e-6, abs=0)
    assert (look.limit, rms.limit, heavy.limit) == (
        pytest.approx(18.0, rel=1e-9, abs=0),
        2.0,
        pytest.approx(3.8, rel=1e-9, abs=0),
    )
    assert (injected.product, injected.limit) == (
        pytest.approx(look.product, rel=1e-6, abs=0),
        pytest.approx(18.0, rel=1e-9, abs=0),
    )
