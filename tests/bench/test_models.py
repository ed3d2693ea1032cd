"""Models of other frameworks: what the front ends, the JAX reading and the monitor cost."""

from __future__ import annotations

import time
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from bench.measure import WIDTHS, data, network, show, side_by_side

import eomsym as eom

pytestmark = pytest.mark.bench
jax = pytest.importorskip("jax")
torch = pytest.importorskip("torch")

from bench.jax_terms import by_trees, tanh_network  # noqa: E402
from bench.reach import ORDERS, SHAPES, exponents, fits, measured  # noqa: E402


def front_ends() -> dict[str, Any]:
    """The 784-50-50-10 network, 1,000 samples, through each front end."""
    inputs, labels = data("cross_entropy")
    labels = labels.astype(int)
    net = network("tanh", "cross_entropy")
    arrays = list(net.unpack(net.initial(0)).values())

    def loss_fn(params: Any) -> Any:
        hidden = inputs
        for layer, weight in enumerate(params, start=1):
            hidden = hidden @ weight.T
            hidden = jax.numpy.tanh(hidden) if layer < len(params) else hidden
        return -jax.numpy.take_along_axis(jax.nn.log_softmax(hidden), labels[:, None], axis=1).mean()

    layers = [torch.nn.Linear(a, b, bias=False, dtype=torch.float64) for a, b in pairwise(WIDTHS)]
    with torch.no_grad():
        for layer, array in zip(layers, arrays, strict=True):
            layer.weight.copy_(torch.as_tensor(array))
    module = torch.nn.Sequential(layers[0], torch.nn.Tanh(), layers[1], torch.nn.Tanh(), layers[2])
    cross_entropy = torch.nn.functional.cross_entropy
    return {
        "Network": net,
        "from_jax": eom.from_jax(loss_fn, arrays),
        "from_torch": eom.from_torch(module, cross_entropy, torch.as_tensor(inputs), torch.as_tensor(labels)),
    }


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
def test_front_ends_cost_what_our_own_network_costs(capsys: pytest.CaptureFixture[str]) -> None:
    losses = front_ends()
    theta = losses["Network"].initial(0)
    lines = []
    for order in (2, 4, 6):
        works = {name: partial(eom.compile(loss, order).terms, theta) for name, loss in losses.items()}
        seconds = side_by_side(works, rounds=9, budget=30)
        ratios = {name: seconds[name] / seconds["Network"] for name in losses}
        lines.append(
            f"order {order}: " + ", ".join(f"{n} {1e3 * s:.1f} ms ({ratios[n]:.2f})" for n, s in seconds.items())
        )
        assert max(ratios.values()) < 1.15
    show(capsys, "terms of a 784-50-50-10 network through the front ends", lines)


def test_the_jax_reading_against_nested_jvp(capsys: pytest.CaptureFixture[str]) -> None:
    inputs, labels = data("cross_entropy")
    net = network("tanh", "cross_entropy")
    theta = net.initial(0)
    gradient = jax.grad(tanh_network(WIDTHS, inputs, np.eye(WIDTHS[-1])[labels.astype(int)], "cross_entropy"))
    lines = []
    for order in (4, 6):
        compiled = jax.jit(by_trees(gradient, order)).lower(jax.numpy.asarray(theta)).compile()
        works: dict[str, Any] = {
            "numba": partial(eom.compile(net, order).terms, theta),
            "JAX reading": partial(eom.compile(net, order, backend="jax").terms, theta),
            "nested jvp": lambda c=compiled: jax.block_until_ready(c(jax.numpy.asarray(theta))),
        }
        expected = works["numba"]()
        for row, true in zip(works["JAX reading"](), expected, strict=True):
            assert abs(row - true).max() <= 1e-12 * abs(true).max()
        seconds = side_by_side(works, rounds=7, budget=30)
        ratio = {name: seconds["nested jvp"] / seconds[name] for name in works}
        lines.append(
            f"order {order}: " + ", ".join(f"{n} {1e3 * s:.0f} ms ({ratio[n]:.1f} ×)" for n, s in seconds.items())
        )
        assert ratio["JAX reading"] > {4: 2, 6: 5}[order]
    show(capsys, "the JAX reading of the instructions, one thread", lines)


def test_reach(capsys: pytest.CaptureFixture[str]) -> None:
    """Seconds and memory are linear in parameters and polynomial in the order; the peak is what was told beforehand."""
    rows = measured(SHAPES[1:4], ORDERS)
    show(capsys, "reach of the tables: one hidden layer, 200 samples", fits(rows))
    n, order, seconds, told, peak = np.array(rows, dtype=float).T
    for y, slack in ((seconds, 0.2), (told, 0.1)):
        slope, doubt = exponents(n, y, order)
        assert abs(slope - 1) < slack + doubt
    large = told > 2**26
    assert (peak[large] < 1.3 * told[large]).all()


@pytest.mark.parametrize("name, options", [("SGD", {"lr": 0.05, "momentum": 0.9}), ("Adam", {"lr": 0.001})])
def test_a_monitor_costs_at_most_five_per_cent(
    capsys: pytest.CaptureFixture[str], name: str, options: dict[str, float]
) -> None:
    """One look in 200 steps, after the first one."""
    from eomsym.interop import watch_torch

    torch.manual_seed(0)
    nn = torch.nn
    module = nn.Sequential(nn.Linear(784, 256), nn.Tanh(), nn.Linear(256, 128), nn.Tanh(), nn.Linear(128, 10))
    inputs, labels = torch.randn(256, 784), torch.randint(0, 10, (256,))

    def closure() -> Any:
        return nn.functional.cross_entropy(module(inputs), labels)

    optimiser = getattr(torch.optim, name)(module.parameters(), **options)
    monitor = watch_torch(module, optimiser, closure, every=200)
    for _ in range(800):
        optimiser.zero_grad()
        closure().backward()
        optimiser.step()
        monitor.step()
    later = sum(look.seconds for look in monitor.looks[1:]) / 600
    whole = (time.perf_counter() - monitor._began) / 800
    show(
        capsys,
        f"monitor of an MLP trained by {name}",
        [f"overhead {later / whole:.3f}, with the first look {monitor.overhead:.3f}"],
    )
    assert later / whole < 0.06
