"""The monitor against dense Hessians, and its predictions against the loops that it watches."""

from __future__ import annotations

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
    assert value == pytest.approx(values[np.argmax(abs(values))], rel=1e-10)


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
        assert look.gradient == pytest.approx(np.linalg.norm(g), rel=1e-9)
        assert look.drift == pytest.approx(0.05 * np.linalg.norm(second) / np.linalg.norm(g), rel=1e-9)
        sharpness = abs(np.linalg.eigvalsh(hessian)).max()
        assert look.product == pytest.approx(0.05 * sharpness, abs=look.doubt + 1e-9)
        assert (look.radius, look.limit) == (1.0, 2.0)
        assert look.product == pytest.approx(0.05 * sharpness, rel=0.05)


def test_norm_and_angle_of_normalised_layers_are_predicted():
    *_, monitor, points = torch_loop(weight_decay=0.1)
    assert list(monitor.looks[0].layers) == ["0.weight"]
    layer = monitor.looks[0].layers["0.weight"]
    before, after = points[2][:12], points[3][:12]
    assert layer.norm == pytest.approx(np.linalg.norm(before), rel=1e-12)
    assert layer.next_norm == pytest.approx(np.linalg.norm(after), rel=1e-12)
    assert layer.predicted_norm == pytest.approx(layer.next_norm, rel=1e-9)
    assert layer.predicted_angle == pytest.approx(layer.angle, rel=1e-6)
    assert layer.equilibrium_angle == pytest.approx(np.arccos(1 - 0.05 * 0.1))


def test_a_look_leaves_the_loop_as_it_was():
    with_looks, without = torch_loop(every=1), torch_loop(every=1000)
    np.testing.assert_array_equal(with_looks[3], without[3])
    for (_, a), (_, b) in zip(with_looks[0].named_buffers(), without[0].named_buffers(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_momentum_has_its_own_limits_and_its_own_drift():
    """Heavy ball: term 0 is g/(1-b), term 1 is (1+b)/(2 (1-b)**3) Hg; it is stable to 2 (1 + b)."""
    plain, heavy = torch_loop(steps=3)[2].looks[0], torch_loop(steps=3, momentum=0.5)[2].looks[0]
    assert (heavy.radius, heavy.limit) == (pytest.approx((1 - np.sqrt(0.5)) ** 2), 3.0)
    assert torch_loop(steps=3, momentum=0.5, nesterov=True)[2].looks[0].radius == pytest.approx(1 / 9)
    assert plain.limit == 2.0
    from eomsym.interop.monitor import _first_terms

    assert _first_terms(eom.HeavyBall("1/2")) == (2.0, pytest.approx(1.5 / (2 * 0.125)))


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
    assert look.eta == pytest.approx(0.18)
    assert look.product == pytest.approx(3 * 0.18, rel=1e-6)
    assert look.drift == pytest.approx(0.18 * np.linalg.norm(bent) / (2 * np.linalg.norm(slope)), rel=1e-9)
