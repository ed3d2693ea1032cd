"""Every operation, from the table: NumPy value, Taylor rule over three rings, adjoint and tangent.

A new operation without an example here fails `test_every_operation_has_an_example_and_a_rule`.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
import sympy

from eomsym.losses.builder import Builder, Value
from eomsym.losses.functions import FUNCTIONS
from eomsym.losses.gradient import gradient, tangent
from eomsym.losses.indices import Indices
from eomsym.losses.operations import CIRCUIT, ELEMENTWISE, LINEAR, PRODUCTS
from eomsym.losses.program import Program
from eomsym.losses.values import evaluate
from eomsym.optimisers.accelerated import HeavyBall
from eomsym.taylor.plan import terms_plan
from eomsym.taylor.rings.numbers import Floats
from eomsym.taylor.rings.polynomials import PolynomialRing
from eomsym.taylor.rules import RULES
from eomsym.taylor.table import counter_terms_at

RNG = np.random.default_rng(7)
SIZE = 6


def halves(value: Value) -> tuple[Value, Value]:
    builder = value.builder
    return builder.part(0, (3, 1)), builder.part(3, (3, 1))


def elementwise(name: str) -> Callable[[Builder, Value], Value]:
    return lambda builder, x: builder.elementwise(name, x)


def softmax(builder: Builder, x: Value) -> Value:
    """The shift by the largest entry, which counts as a constant, cancels."""
    e = builder.elementwise("exp", builder.elementwise("center", x))
    return e * builder.expand(builder.elementwise("reciprocal", builder.sum(e, 0)), 0, x.shape[0])


def shifted_softmax(builder: Builder, x: Value) -> Value:
    """The same along rows."""
    largest = builder.apply("peak", [x], (x.shape[0], 1), (1,))
    e = builder.elementwise("exp", x - builder.expand(largest, 1, x.shape[1]))
    return e * builder.expand(builder.elementwise("reciprocal", builder.sum(e, 1)), 1, x.shape[1])


def largest(axis: int) -> Callable[[Builder, Value], Value]:
    """The largest numbers themselves, which cancel in a softmax: those of columns (axis 0) or of rows."""

    def use(builder: Builder, x: Value) -> Value:
        matrix = builder.apply("reshape", [x * x], (2, 3))
        peaks = builder.apply("peak", [matrix], (1, 3) if axis == 0 else (2, 1), (axis,))
        return matrix * builder.expand(peaks, axis, matrix.shape[axis])

    return use


def part(builder: Builder, start: int, rows: int, columns: int) -> Value:
    return builder.part(start, (rows, columns))


#: Operation to a vector-valued use of it on theta (all entries positive).
EXAMPLES: dict[str, Callable[[Builder, Value], Value]] = {
    "constant": lambda b, x: b.elementwise("gate", b.fix(np.full((SIZE, 1), 2.0)), x, parameters=(3, 1)),
    "part": lambda b, x: b.part(2, (2, 2)),
    "join": lambda b, x: b.join([(5, b.part(0, (1, 1))), (1, b.part(2, (2, 1)))], SIZE),
    "reshape": lambda b, x: b.apply("reshape", [x], (2, 3)),
    "combine": lambda b, x: b.combine(
        [x, x * x], [(0, 0, 1, Fraction(1, 3)), (0, 1, 2, -2), (2, 1, 5, 1)], [1, Fraction(1, 2), 0]
    ),
    "scaled": lambda b, x: x * Fraction(-2, 3),
    "add": lambda b, x: x * 3 - x * x,
    "shift": lambda b, x: x + np.arange(6.0).reshape(6, 1),
    "weigh": lambda b, x: x * np.arange(6.0).reshape(6, 1),
    "matmul_right": lambda b, x: part(b, 0, 2, 3) @ np.arange(6.0).reshape(3, 2),
    "matmul_left": lambda b, x: np.arange(6.0).reshape(3, 2) @ part(b, 0, 2, 3),
    "transpose": lambda b, x: part(b, 0, 2, 3).T,
    "sum": lambda b, x: b.sum(part(b, 0, 2, 3), 1) @ b.sum(part(b, 0, 2, 3), 0),
    "expand": lambda b, x: b.expand(part(b, 0, 1, 3), 0, 2) * b.expand(part(b, 3, 2, 1), 1, 3),
    "center": lambda b, x: softmax(b, part(b, 0, 3, 2)),
    "peak": lambda b, x: shifted_softmax(b, part(b, 0, 2, 3)),
    "peak of columns, itself": largest(0),
    "peak of rows, itself": largest(1),
    "stop": lambda b, x: b.apply("stop", [x * x], (6, 1)),
    "gather": lambda b, x: b.apply("gather", [x * x], (2, 3), (Indices([3, -1, 3, 0, 5, 1]),)),
    "gather of a permutation": lambda b, x: b.apply("gather", [x * x], (2, 3), (Indices([3, 2, 4, 0, 5, 1]),)),
    "scatter": lambda b, x: b.apply("scatter", [x * x], (2, 2), (Indices([3, -1, 3, 0, 2, 0]),)),
    "matmuls": lambda b, x: b.apply("matmuls", [part(b, 0, 6, 1), part(b, 0, 2, 3)], (6, 3), (2,)),
    "multiply": lambda b, x: halves(x)[0] * halves(x)[1],
    "square": lambda b, x: x * x,
    "matmul": lambda b, x: part(b, 0, 3, 2) @ part(b, 0, 2, 3),
    "power": lambda b, x: b.elementwise("power", x, b.elementwise("reciprocal", x), parameters=(Fraction(2, 3),)),
    "gate": lambda b, x: b.elementwise("gate", x, x - np.full((6, 1), 0.6), parameters=(1, Fraction(1, 5))),
    "square with weights": lambda b, x: x.squared(Fraction(-2, 3), Fraction(1, 2)),
    **{name: elementwise(name) for name in FUNCTIONS if name != "power"},
}
#: No formula: the choice depends on the point.
POINTWISE = {"gate", "center", "peak", "constant", "peak of columns, itself", "peak of rows, itself"}
#: What the adjoint does not see.
STOPPED = {"stop", "peak of columns, itself", "peak of rows, itself"}


def program_of(name: str) -> Program:
    """A field of six parameters, each component a mixture of all outputs of the operation."""
    builder = Builder(SIZE)
    used = EXAMPLES[name](builder, builder.theta)
    flat = builder.apply("reshape", [used], (used.shape[0] * used.shape[1], 1))
    weights = np.cos(np.arange(SIZE * flat.shape[0]).reshape(SIZE, -1))
    return builder.finish([weights @ flat])


def test_every_operation_has_an_example_and_a_rule():
    used = {name.split()[0] for name in EXAMPLES}
    assert used == {*LINEAR, *PRODUCTS, *ELEMENTWISE, *FUNCTIONS}
    assert set(RULES) | set(FUNCTIONS) == used | set(CIRCUIT)


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name not in STOPPED])
def test_adjoint_and_tangent_agree_with_finite_differences(name):
    program = program_of(name)
    builder = Builder.continuing(program)
    field = Value(builder, program.outputs[0])
    weights = RNG.standard_normal((SIZE, 1))
    scalar = builder.finish([builder.sum(field * weights)])
    both = gradient(scalar)
    theta, direction = RNG.uniform(0.3, 1.0, SIZE), RNG.standard_normal(SIZE)

    def value(point):
        return evaluate(program, point)[program.outputs[0]].ravel()

    h = 1e-5
    slope = 8 * (value(theta + h * direction) - value(theta - h * direction))
    slope = (slope - (value(theta + 2 * h * direction) - value(theta - 2 * h * direction))) / (12 * h)
    adjoint = evaluate(both, theta)[both.outputs[1]].ravel()
    np.testing.assert_allclose(adjoint @ direction, weights.ravel() @ slope, rtol=1e-8, atol=1e-9)
    pushed = tangent(program, program.outputs[0])
    forward = evaluate(pushed, np.concatenate([theta, direction]))[pushed.outputs[0]].ravel()
    np.testing.assert_allclose(forward, np.concatenate([value(theta), slope]), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", EXAMPLES)
def test_taylor_rule_agrees_with_the_tangent_over_floats(name):
    """Terms 1 and 2 of gradient descent from the table equal Hg/2 and the formula with repeated tangents.

    The tangent of the tangent is an independent route: it uses the NumPy values and no Taylor rule.
    """
    program = program_of(name)
    theta = RNG.uniform(0.3, 1.0, SIZE)
    terms = counter_terms_at(terms_plan(program, 2), list(theta), 2, Floats()).astype(float)
    first = tangent(program, program.outputs[0])
    second = tangent(first, first.outputs[0])

    def along(point, u):
        return evaluate(first, np.concatenate([point, u]))[first.outputs[0]].ravel()[SIZE:]

    def twice(point, u, v):
        """D²g[u, v]: the derivative of Dg(theta) u along v, with u fixed."""
        doubled = np.concatenate([point, u, v, np.zeros(SIZE)])
        return evaluate(second, doubled)[second.outputs[0]].ravel()[3 * SIZE :]

    g = evaluate(program, theta)[program.outputs[0]].ravel()
    np.testing.assert_allclose(terms[0], g, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(terms[1], along(theta, g) / 2, rtol=1e-11, atol=1e-12)
    expected = along(theta, along(theta, g)) / 3 + twice(theta, g, g) / 12
    np.testing.assert_allclose(terms[2], expected, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name not in POINTWISE])
@pytest.mark.parametrize("use_flint", [True, False], ids=["flint", "sympy"])
def test_taylor_rule_over_polynomials_agrees_with_floats(name, use_flint):
    theta = [Fraction(k, 7) for k in range(2, 8)]
    symbols = sympy.symbols(f"x:{SIZE}")
    ring = PolynomialRing(symbols, 40, use_flint)
    plan = terms_plan(program_of(name), 2, HeavyBall(Fraction(1, 3)))
    elements = [ring.element(i) for i in range(SIZE)]
    formulas = counter_terms_at(plan, elements, 2, ring)
    values = {s: float(x) for s, x in zip(symbols, theta, strict=True)}
    for generator, meaning in ring.meaning.items():  # each in earlier generators
        used = sorted(meaning.free_symbols, key=str)
        values[generator] = float(meaning.evalf(20, subs={s: values[s] for s in used}))

    def number(element):
        powers = [values.get(g, 1.0) for g in ring.generators]
        return sum(
            float(c) * np.prod([x**e for x, e in zip(powers, exponents, strict=True)])
            for exponents, c in ring.monomials(element)
        )

    numbers = [[number(x) for x in row] for row in formulas]
    floats = counter_terms_at(plan, [float(x) for x in theta], 2, Floats()).astype(float)
    np.testing.assert_allclose(numbers, floats, rtol=1e-11, atol=1e-12)
