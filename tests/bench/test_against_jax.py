"""Side by side with JAX on the CPU: all counter terms of a tanh network, jitted, one thread each."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np
import pytest
from bench.measure import WIDTHS, data, network, show, side_by_side

import eomsym as eom

pytestmark = pytest.mark.bench
jax = pytest.importorskip("jax")

from bench.jax_terms import by_jets, by_trees, tanh_network  # noqa: E402

#: how many times faster than the faster of JAX's two ways
PROMISED = {1: 0, 2: 1, 3: 1, 4: 2, 6: 5}


def test_terms_of_a_network(capsys: pytest.CaptureFixture[str]) -> None:
    """784-50-50-10, cross-entropy, 1,000 samples."""
    inputs, labels = data("cross_entropy")
    net = network("tanh", "cross_entropy")
    theta = net.initial(0)
    gradient = jax.grad(tanh_network(WIDTHS, inputs, np.eye(WIDTHS[-1])[labels], "cross_entropy"))
    kernel = eom.compile(net, 6)
    works: dict[Any, Any] = {"JAX": _compiled(gradient, theta)[0], "eomsym": partial(kernel.gradient, theta)}
    unit = side_by_side(works, rounds=20)
    lines = [f"gradient: JAX {1e3 * unit['JAX']:.1f} ms, eomsym {1e3 * unit['eomsym']:.1f} ms"]
    ratios = {}
    for order in PROMISED:
        works = {"eomsym": partial(kernel.at_order(order).terms, theta)}
        compiled = {}
        for name, way in (("trees", by_trees), ("jets", by_jets)):
            works[name], compiled[name] = _compiled(way(gradient, order), theta)
            error = abs(works["eomsym"]() - np.asarray(works[name]())).max(axis=1)
            assert (error <= 1e-9 * abs(works["eomsym"]()).max(axis=1)).all()
        seconds = side_by_side(works, rounds=7, budget=15)
        ratios[order] = min(seconds["trees"], seconds["jets"]) / seconds["eomsym"]
        theirs = [f"{way} {1e3 * seconds[way]:.0f} ms (compiled in {compiled[way]:.0f} s)" for way in compiled]
        lines.append(
            f"order {order}: eomsym {1e3 * seconds['eomsym']:.1f} ms, {', '.join(theirs)}: {ratios[order]:.1f} ×"
        )
    show(capsys, "terms of a 784-50-50-10 tanh network, cross-entropy", lines)
    for order, factor in PROMISED.items():
        # Some slack: machines are shared.
        assert ratios[order] > 0.85 * factor, f"order {order}"


def _compiled(function: Any, theta: np.ndarray) -> tuple[Any, float]:
    """The jitted function at a point, and the CPU seconds of its compilation."""
    point = jax.numpy.asarray(theta)
    start = time.process_time()
    compiled = jax.jit(function).lower(point).compile()
    seconds = time.process_time() - start
    return lambda: jax.block_until_ready(compiled(point)), seconds
