"""A verification that cannot fail proves nothing: each coefficient, altered by 1 %, must make it fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import combinations
from math import factorial
from typing import Any

import numpy as np
import pytest
import sympy
from problems import DEEP, ROSENBROCK

import eomsym as eom
from eomsym.testing import altered

Array = np.ndarray
Derivative = Callable[..., Array]

# The counter terms of gradient descent: (order, coefficient, elementary differential), D(u, v) = D²g[u, v].
TREES: tuple[tuple[int, str, Callable[[Derivative, Array], Array]], ...] = (
    (0, "1", lambda D, g: g),
    (1, "1/2", lambda D, g: D(g)),
    (2, "1/3", lambda D, g: D(D(g))),
    (2, "1/12", lambda D, g: D(g, g)),
    (3, "1/4", lambda D, g: D(D(D(g)))),
    (3, "1/12", lambda D, g: D(D(g, g))),
    (3, "1/12", lambda D, g: D(g, D(g))),
    (4, "1/5", lambda D, g: D(D(D(D(g))))),
    (4, "3/40", lambda D, g: D(D(D(g, g)))),
    (4, "1/10", lambda D, g: D(D(g, D(g)))),
    (4, "1/180", lambda D, g: D(D(g, g, g))),
    (4, "1/20", lambda D, g: D(g, D(D(g)))),
    (4, "1/120", lambda D, g: D(g, D(g, g))),
    (4, "1/60", lambda D, g: D(D(g), D(g))),
    (4, "-1/120", lambda D, g: D(g, g, D(g))),
    (4, "-1/720", lambda D, g: D(g, g, g, g)),
)


def symbolic_tree(index: int) -> Callable[[Array], Array]:
    """One tree of the Rosenbrock-like loss, coefficient included, by sympy."""
    x, y = variables = sympy.symbols("x y")
    g = sympy.Matrix([(1 - x) ** 2 / 2 + (y - x**2) ** 2 / 2]).jacobian(variables).T

    def derivative(*directions: sympy.Matrix) -> sympy.Matrix:
        scales = sympy.symbols(f"s:{len(directions)}")
        shift = sum((s * u for s, u in zip(scales, directions, strict=True)), sympy.zeros(2, 1))
        moved = g.subs({x: x + shift[0], y: y + shift[1]}, simultaneous=True)
        return moved.diff(*scales).subs(dict.fromkeys(scales, 0)).expand()

    _, coefficient, tree = TREES[index]
    formula = (sympy.Rational(coefficient) * tree(derivative, g)).expand()
    compiled = sympy.lambdify([x, y], list(formula), "numpy")
    return lambda theta: np.array(compiled(*theta), dtype=float)


def numerical_tree(loss: Any, degree: int, index: int) -> Callable[[Array], Array]:
    """One tree of any loss whose gradient is a polynomial, exact up to rounding by interpolation on lines."""
    nodes = np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))
    solve = np.linalg.inv(np.vander(nodes, increasing=True))

    def at(theta: Array) -> Array:
        def along(u: Array, power: int) -> Array:
            if not (length := np.linalg.norm(u)):
                return np.zeros_like(u)
            values = np.array([loss.gradient(theta + node * u / length) for node in nodes])
            return factorial(power) * length**power * (solve[power] @ values)

        def derivative(*directions: Array) -> Array:
            power = len(directions)
            if all(direction is directions[0] for direction in directions):
                return along(directions[0], power)
            total = np.zeros_like(theta)  # polarisation
            for count in range(1, power + 1):
                for chosen in combinations(directions, count):
                    total += (-1) ** (power - count) * along(sum(chosen), power)
            return total / factorial(power)

        _, coefficient, tree = TREES[index]
        return float(sympy.Rational(coefficient)) * tree(derivative, loss.gradient(theta))

    return at


SOURCES = {
    ROSENBROCK.name: (ROSENBROCK, lambda loss: symbolic_tree),
    DEEP.name: (DEEP, lambda loss: partial(numerical_tree, loss, 5)),
}


@pytest.mark.parametrize("name", SOURCES)
def test_the_trees_are_all_of_the_terms(name: str) -> None:
    case, source = SOURCES[name]
    tree = source(case.build())
    theta = np.array(case.start)
    terms = np.zeros((5, len(theta)))
    for index, (row, _, _) in enumerate(TREES):
        terms[row] += tree(index)(theta)
    expected = eom.compile(case.build(), 4).terms(theta)
    np.testing.assert_allclose(terms, expected, rtol=0, atol=1e-9 * np.max(np.abs(expected)))


# From here every tree of the Rosenbrock-like loss weighs enough; its fifth derivative is zero, and the last tree.
STEEP = replace(ROSENBROCK, start=(0.0, 2.0), time=0.5, steps=(20, 40, 80))


@pytest.mark.parametrize("index", range(len(TREES) - 1))
def test_rosenbrock_tells_every_coefficient(index: int) -> None:
    row = TREES[index][0]
    tree = symbolic_tree(index)
    kernel = eom.compile(STEEP.build(), row + 1)
    assert STEEP.verify([row], loss=kernel).status == "passed"
    for factor in (0.01, -0.01):
        wrong = altered(kernel, row, lambda theta, factor=factor: factor * tree(theta))
        report = STEEP.verify([row], loss=wrong)
        assert report.status == "failed", str(report)


@pytest.mark.parametrize("index", [0, 1, 2, 3, 4, 5, 6, 9])
def test_deep_linear_network_tells_too(index: int) -> None:
    row = TREES[index][0]
    tree = numerical_tree(DEEP.build(), 5, index)
    wrong = altered(eom.compile(DEEP.build(), row + 1), row, lambda theta: 0.01 * tree(theta))
    steps = DEEP.steps[-2:] if row < 4 else DEEP.steps[1:3]  # the finest error of order 4 drowns in rounding
    report = DEEP.verify([row], loss=wrong, ladder=steps)
    assert report.status == "failed", str(report)


def test_higher_orders_fail_with_the_lower_term() -> None:
    tree = symbolic_tree(1)
    wrong = altered(eom.compile(ROSENBROCK.build(), 4), 1, lambda theta: 0.01 * tree(theta))
    report = ROSENBROCK.verify(range(4), loss=wrong)
    statuses = [result.status for result in report.orders]
    # Order 0 does not use the term; its prediction does, and 1 % is within the tolerance.
    assert statuses == ["passed", "failed", "failed", "failed"]
    assert report.orders[3].slopes[-1] == pytest.approx(1, abs=0.05)
