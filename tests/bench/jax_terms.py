"""Counter terms of gradient descent in JAX, in the two ways that it offers, for any gradient function."""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from math import factorial
from typing import Any

os.environ.setdefault("NPROC", "1")  # the pool of XLA; a second thread would only wait, and that is CPU time
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.jet import jet

from eomsym.formulas.terms import counter_terms

jax.config.update("jax_enable_x64", True)

Gradient = Callable[[Any], Any]


def tanh_network(widths: tuple[int, ...], inputs: np.ndarray, targets: np.ndarray, loss: str) -> Callable[[Any], Any]:
    """The loss of `eomsym.Network`, as one writes it in JAX."""
    shapes = list(zip(widths[1:], widths[:-1], strict=True))
    ends = np.cumsum([0] + [rows * columns for rows, columns in shapes])
    x, y = jnp.asarray(inputs), jnp.asarray(targets)

    def value(theta: Any) -> Any:
        hidden = x
        for number, shape in enumerate(shapes):
            hidden = hidden @ theta[ends[number] : ends[number + 1]].reshape(shape).T
            if number < len(shapes) - 1:
                hidden = jnp.tanh(hidden)
        if loss == "mse":
            return ((hidden - y) ** 2).sum() / (2 * len(x))
        shifted = hidden - jax.lax.stop_gradient(hidden.max(axis=1, keepdims=True))
        return (jnp.log(jnp.exp(shifted).sum(axis=1)).sum() - (shifted * y).sum()) / len(x)

    return value


def by_trees(gradient: Gradient, order: int) -> Callable[[Any], Any]:
    """The sum over rooted trees; m branches are m nested JVPs of the gradient, along the branches' values."""
    universal = counter_terms(order)

    def terms(theta: Any) -> Any:
        known: dict[Any, Any] = {}

        def elementary(tree: Any) -> Any:
            if tree not in known:
                known[tree] = _derivative(gradient, theta, [elementary(branch) for branch in tree.branches])
            return known[tree]

        rows = []
        for k in range(order + 1):
            weighted = [float(Fraction(int(c.p), int(c.q))) * elementary(tree) for tree, c in universal[k].items() if c]
            rows.append(sum(weighted[1:], weighted[0]))
        return jnp.stack(rows)

    return terms


def _derivative(gradient: Gradient, theta: Any, directions: list[Any]) -> Any:
    if not directions:
        return gradient(theta)
    *rest, last = directions
    return jax.jvp(lambda point: _derivative(gradient, point, rest), (theta,), (last,))[1]


def by_jets(gradient: Gradient, order: int) -> Callable[[Any], Any]:
    """The iterates as Taylor series in eta, by `jet`; the terms are the derivative of their interpolation at step 0.

    As a function of the step, each coefficient is a polynomial of degree <= order + 1, so nothing is truncated.
    `jet` holds derivatives, not Taylor coefficients: they differ by n!.
    """
    steps = order + 1
    nodes = [Fraction(j) for j in range(steps + 1)]
    weights = [_slope_at_zero(nodes, j) for j in range(steps + 1)]
    scale = np.array([factorial(k) for k in range(1, steps + 1)], dtype=np.float64)[:, None]

    def terms(theta: Any) -> Any:
        series = jnp.zeros((steps, theta.size))  # Taylor coefficients of eta**1, eta**2, ... of the iterate
        total = weights[0] * series
        for j in range(1, steps + 1):
            value, derivatives = jet(gradient, (theta,), (list(series[:order] * scale[:order]),)) if order else (
                gradient(theta), [])  # fmt: skip
            rows = [value, *(d / factorial(k) for k, d in enumerate(derivatives, 1))]
            series = series - jnp.stack(rows)
            total = total + weights[j] * series
        return -total

    return terms


def _slope_at_zero(nodes: list[Fraction], j: int) -> float:
    """Derivative at 0 of the Lagrange polynomial of node j; node 0 is 0."""
    others = [x for i, x in enumerate(nodes) if i != j]
    if j == 0:
        return float(sum(-1 / x for x in others))
    product = Fraction(1)
    for x in others:
        product *= (1 if x == 0 else -x) / (nodes[j] - x)
    return float(product)
