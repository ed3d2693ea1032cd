"""The counter terms of every method satisfy the equation that defines them, on a loss that tells trees apart.

Along the modified flow a step is ``exp(eta D)``, with ``D`` the derivative along the modified field. The
discrete step, written out with these operators as power series in eta with polynomial coefficients, must hold
exactly. Nothing here knows about trees beyond order polynomials: the terms enter through exact
differentiation of the loss.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import factorial
from typing import Any

import pytest
import sympy

from eomsym.exact.concrete import apply_term
from eomsym.formulas.terms import counter_terms
from eomsym.optimisers.accelerated import HeavyBall, Nesterov
from eomsym.optimisers.base import Method
from eomsym.optimisers.linear import (
    Epoch,
    Extragradient,
    GradientDescent,
    LinearMultistep,
    OptimisticGradient,
    ProximalPoint,
    RungeKutta,
    SharpnessAware,
)

ORDER = 3
RING, ETA, X, Y = sympy.ring("eta x y", sympy.QQ)
SYMBOLS = sympy.symbols("x y")
# Rosenbrock-like (theory.md, section 3), and a second batch that shares nothing with it
LOSSES = ["(1-x)**2/2 + (y-x**2)**2/2", "x**3/3 + x*y**2 - y + x**2*y/2"]

METHODS = [
    GradientDescent(),
    ProximalPoint(),
    HeavyBall(Fraction(1, 3)),
    Nesterov(Fraction(2, 5)),
    OptimisticGradient(),
    LinearMultistep([1, -1, 0], [Fraction(5, 12), Fraction(8, 12), Fraction(-1, 12)]),
    LinearMultistep([1, Fraction(-4, 3), Fraction(1, 3)], [Fraction(2, 3), 0, 0]),
    Extragradient(),
    SharpnessAware(Fraction(1, 2)),
    RungeKutta([[Fraction(1, 2)]], [1], label="implicit midpoint"),
    Epoch((1, 0)),
]


def truncate(poly: Any) -> Any:
    return RING.from_dict({powers: x for powers, x in poly.terms() if powers[0] <= ORDER + 1})


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_step_is_the_flow_of_the_modified_field(method: Method) -> None:
    gradients = [[sympy.diff(loss, v) for v in SYMBOLS] for loss in LOSSES[: method.colours]]
    velocity = [RING.zero, RING.zero]
    for k, term in enumerate(counter_terms(ORDER, method=method)):
        for i, component in enumerate(apply_term(term, gradients, SYMBOLS)):
            velocity[i] -= ETA**k * RING.from_expr(component)

    def shift(steps: int) -> list[Any]:
        """Return ``exp(steps eta D) theta``."""
        derivative, total = [X, Y], [X, Y]
        for m in range(1, ORDER + 2):
            derivative = [truncate(ETA * (velocity[0] * p.diff(X) + velocity[1] * p.diff(Y))) for p in derivative]
            total = [t + d * sympy.QQ(steps**m, factorial(m)) for t, d in zip(total, derivative, strict=True)]
        return total

    fields = [[field_at(RING.from_expr(-component)) for component in gradient] for gradient in gradients]
    form = method.general_linear()
    right = [RING.zero, RING.zero]
    for lag, weight in enumerate(form.past):
        right = [r + t * number(weight) for r, t in zip(right, shift(-lag), strict=True)]
    for lag in range(form.lags):
        starts = [combine(row, [shift(-lag - k) for k in range(form.lags)]) for row in form.extrapolation]
        stages = starts
        for _ in range(ORDER + 1):  # each round of the fixed point gains one power of eta
            slopes = [[f(stage) for f in fields[c]] for stage, c in zip(stages, form.colours, strict=True)]
            stages = [
                [truncate(s + ETA * a) for s, a in zip(start, combine(row, slopes), strict=True)]
                for start, row in zip(starts, form.coupling, strict=True)
            ]
        slopes = [[f(stage) for f in fields[c]] for stage, c in zip(stages, form.colours, strict=True)]
        moved = combine([row[lag] for row in form.weights], slopes)
        right = [r + truncate(ETA * m) for r, m in zip(right, moved, strict=True)]
    assert shift(1) == right


def number(x: sympy.Rational) -> Any:
    return sympy.QQ.from_sympy(x)


def combine(weights: Any, vectors: list[list[Any]]) -> list[Any]:
    return [sum((v[i] * number(w) for w, v in zip(weights, vectors, strict=True)), RING.zero) for i in range(2)]


def field_at(poly: Any) -> Callable[[list[Any]], Any]:
    def value(point: list[Any]) -> Any:
        total = RING.zero
        for (_, i, j), x in poly.terms():
            monomial = RING.one
            for factor in [point[0]] * i + [point[1]] * j:
                monomial = truncate(monomial * factor)
            total += monomial * x
        return total

    return value
