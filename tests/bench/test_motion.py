"""Motion: orders against gradient flow, 1,000 starts against heyoka's batches, and prediction against the run."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import sympy
from bench.measure import show, side_by_side
from bench.test_against_heyoka import LOSSES, TIME

import eomsym as eom
from eomsym.dynamics import integrate_many
from eomsym.losses.data import digits
from eomsym.losses.initial import weights

pytestmark = pytest.mark.bench


@pytest.mark.parametrize("name", LOSSES)
def test_orders(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    loss = eom.Loss(*LOSSES[name])
    start = np.linspace(-0.5, 0.9, loss.size)
    works: dict[Any, Any] = {}
    for order in range(5):
        kernel = eom.compile(loss, order)
        works[order] = partial(eom.flow, kernel, start, eta=0.01, time=TIME, rtol=1e-10)
    seconds = side_by_side(works, rounds=100)
    lines = [f"order {k}: {1e3 * t:.3f} ms, {t / seconds[0]:.1f} times gradient flow" for k, t in seconds.items()]
    show(capsys, f"equation of motion of {name} to time {TIME}", lines)


@pytest.mark.parametrize("name", LOSSES)
def test_a_thousand_starts(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    heyoka = pytest.importorskip("heyoka")
    loss = eom.Loss(*LOSSES[name])
    starts = np.random.default_rng(0).normal(size=(1000, loss.size)) / 2
    names = {symbol: heyoka.expression(symbol.name) for symbol in loss.variables}
    fractions = [number for number in loss.expression.atoms(sympy.Rational) if number.q > 1]
    text = heyoka.from_sympy(loss.expression.xreplace({x: sympy.Float(x, 17) for x in fractions}), names)
    gradient = heyoka.diff_tensors([text], diff_args=list(names.values()), diff_order=1).gradient
    system = [(variable, -slope) for variable, slope in zip(names.values(), gradient, strict=True)]
    width = heyoka.recommended_simd_size()
    batch = heyoka.taylor_adaptive_batch(system, np.zeros((loss.size, width)), tol=1e-12)

    def theirs() -> np.ndarray:
        out = np.empty_like(starts)
        for first in range(0, len(starts), width):
            batch.set_time(0.0)
            batch.state[:] = starts[first : first + width].T
            batch.propagate_until(TIME)
            out[first : first + width] = batch.state.T
        return out

    times = np.array([0.0, TIME])
    ours = partial(integrate_many, eom.compile(loss, 0), starts, eta=1.0, time=times, rtol=2e-10, threads=1)
    np.testing.assert_allclose(ours().thetas[:, -1], theirs(), rtol=0, atol=1e-10)
    seconds = side_by_side({"heyoka": theirs, "eomsym, error measured": ours}, rounds=10)
    lines = [f"{who}: {1e3 * t:.2f} ms" for who, t in seconds.items()]
    show(capsys, f"1,000 starts of {name}, one thread, {width} side by side", lines)


@pytest.mark.parametrize("activation", ["tanh", "linear"])
def test_forward(activation: str, capsys: pytest.CaptureFixture[str]) -> None:
    data = digits(500)
    net: Any = (
        eom.DeepLinear((64, 20, 10), *data, loss="cross_entropy")
        if activation == "linear"
        else eom.Network((64, 20, 10), *data, activation=activation, loss="cross_entropy")
    )
    start = np.concatenate([matrix.ravel() for matrix in weights((64, 20, 10), "xavier", seed=0)])
    works = {
        "1,000 steps of descent": partial(eom.descend, net, start, eta=0.01, steps=1_000, every=1_000),
        "100,000 steps predicted": partial(eom.forward, net, start, eta=0.01, steps=100_000),
    }
    seconds = side_by_side(works, rounds=3, budget=60.0)
    found = eom.forward(net, start, eta=0.01, steps=100_000)
    ratio = 100 * seconds["1,000 steps of descent"] / seconds["100,000 steps predicted"]
    lines = [f"{who}: {t:.2f} s" for who, t in seconds.items()]
    lines.append(f"{found.saved:.1f} times fewer gradients, {ratio:.1f} times less time; estimate {found.error:.1e}")
    show(capsys, f"{activation} network 64-20-10 on 500 digits, eta = 0.01", lines)
