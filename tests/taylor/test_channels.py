"""The two-channel reading: against a plain prototype in fractions and floats, and against the running optimiser."""

from __future__ import annotations

from fractions import Fraction
from math import factorial
from typing import Any

import numpy as np
import pytest

import eomsym as eom
from eomsym.codegen.run import Machine
from eomsym.errors import MethodError
from eomsym.optimisers import AdamW, Extragradient, GradientFlow, OptimisticGradient, RMSProp
from eomsym.taylor.channels import Channels, Frame, critical_number, response
from eomsym.taylor.plan import Plan, circuit_of
from eomsym.taylor.table import counter_terms_at

ORDER = 3
CUBIC = eom.Loss("x**2*y/2 + x**4/8 + 3*y**2 + y*z + z**2 + x*z**2 + y**3/3", variables="x y z")


# a prototype: series in time and eta as dictionaries, swept until nothing changes -----------------------------------


Series = dict[tuple[int, int], Any]


def plus(*series: Series) -> Series:
    out: Series = {}
    for one in series:
        for at, v in one.items():
            out[at] = out[at] + v if at in out else v
    return out


def times(c: Any, x: Series) -> Series:
    return {at: c * v for at, v in x.items()}


def product(x: Series, y: Series) -> Series:
    out: Series = {}
    for (i, j), a in x.items():
        for (k, m), b in y.items():
            if i + j + k + m <= ORDER:
                out = plus(out, {(i + k, j + m): a * b})
    return out


def filtered(x: Series, c: list[Any]) -> Series:
    out: Series = {}
    for (i, j), v in x.items():  # c_k (eta d/ds)**k
        for k in range(i + 1):
            if i + j <= ORDER:
                out = plus(out, {(i - k, j + k): c[k] * Fraction(factorial(i), factorial(i - k)) * v})
    return out


def times_eta(x: Series) -> Series:
    return {(i, j + 1): v for (i, j), v in x.items() if i + j < ORDER}


def integral(x: Series, start: Any) -> Series:
    return {(0, 0): start, **{(i + 1, j): v / (i + 1) for (i, j), v in x.items() if i + j < ORDER}}


def reciprocal(row: list[Any]) -> list[Any]:
    out = [1 / row[0]]
    for k in range(1, ORDER + 1):
        out.append(-sum(row[i] * out[k - i] for i in range(1, k + 1)) / row[0])
    return out


EXP = [Fraction(1, factorial(k)) for k in range(ORDER + 2)]


def shifted(constant: Any) -> list[Any]:
    """``1/(e**z + constant)``."""
    return reciprocal([EXP[0] + constant, *EXP[1 : ORDER + 1]])


def gradient(x: Series, y: Series, z: Series) -> list[Series]:
    """Of CUBIC, by hand."""
    xx, zz = product(x, x), product(z, z)
    return [
        plus(product(x, y), times(Fraction(1, 2), product(xx, x)), zz),
        plus(times(Fraction(1, 2), xx), times(6, y), z, product(y, y)),
        plus(y, times(2, z), times(2, product(x, z))),
    ]


def dot(row: Any, vector: list[Series]) -> Series:
    return plus(*(times(c, v) for c, v in zip(row, vector, strict=True)))


def prototype(frame: Frame, point: list[Any]) -> list[list[Any]]:
    """Velocity terms of (slow, x) of gradient descent with one critical and one slaved direction."""
    eta, (q0, q1) = frame.eta, (frame.eta * c for c in frame.curvatures)
    u, w = frame.right.T, frame.left.T
    slow, amplitude, base = point[:3], point[3], point[4:]
    a_slow = [{(0, 0): v} for v in slow]
    x: Series = {(0, 0): amplitude}
    fast: list[Series] = [{}, {}]
    beside: Series = {}
    across: list[Series] = [{}, {}, {}]
    for _ in range(ORDER + 2):
        mean = [
            plus(a_slow[i], *(times(u[k][i], plus({(0, 0): base[k]}, fast[k])) for k in range(2))) for i in range(3)
        ]
        off = [plus(times(u[0][i], x), times(u[1][i], beside), across[i]) for i in range(3)]
        up = gradient(*(plus(a, d) for a, d in zip(mean, off, strict=True)))
        down = gradient(*(plus(a, times(-1, d)) for a, d in zip(mean, off, strict=True)))
        half = Fraction(1, 2)
        g = [times(half, plus(a, b)) for a, b in zip(up, down, strict=True)]
        t = [times(half, plus(a, times(-1, b))) for a, b in zip(up, down, strict=True)]
        fast = [
            times_eta(filtered(plus(times(frame.curvatures[k], fast[k]), times(-1, dot(w[k], g))), shifted(q - 1)))
            for k, q in enumerate((q0, q1))
        ]
        rest = plus(dot(w[1], t), times(-frame.curvatures[1], beside))
        beside = times_eta(filtered(rest, shifted(1 - q1)))

        def without_fast(v: list[Series]) -> list[Series]:
            along = [dot(w[k], v) for k in range(2)]
            return [plus(v[i], *(times(-u[k][i], along[k]) for k in range(2))) for i in range(3)]

        across = [times_eta(filtered(v, shifted(1))) for v in without_fast(t)]
        chi = reciprocal(EXP[1 : ORDER + 2])
        velocity = [filtered(times(-1, v), chi) for v in without_fast(g)]
        swing = filtered(plus(dot(w[0], t), times(-2 / eta, x)), chi)
        a_slow = [integral(v, slow[i]) for i, v in enumerate(velocity)]
        x = integral(swing, amplitude)
    return [[v.get((0, j), 0) for v in (*velocity, swing)] for j in range(ORDER + 1)]


# ---------------------------------------------------------------------------------------------------------------------


def rational_frame() -> tuple[Frame, list[Fraction]]:
    """Oblique directions, ``W'U = 1``, all of it in fractions."""
    right = np.array([[Fraction(1, 3), 0], [1, Fraction(1, 2)], [Fraction(-1, 4), 1]], dtype=object)
    left = np.array([[0, 0], [Fraction(8, 9), Fraction(2, 9)], [Fraction(-4, 9), Fraction(8, 9)]], dtype=object)
    assert (left.T @ right == np.eye(2)).all()
    curvatures = np.array([Fraction(19, 3), Fraction(5, 2)], dtype=object)
    point = [Fraction(1, 2), Fraction(1, 7), Fraction(-1, 5), Fraction(1, 9), Fraction(1, 11), Fraction(-1, 13)]
    return Frame(right, left, curvatures, 1, Fraction(3, 10)), point


def test_terms_are_those_of_the_prototype_exactly() -> None:
    frame, point = rational_frame()
    plan = Plan.of(Channels(circuit_of(CUBIC), frame, ORDER).motion(), ORDER, flow=True)
    found = -counter_terms_at(plan, point, ORDER)
    assert [list(row[:4]) for row in found] == prototype(frame, point)
    assert not found[:, 4:].any()  # the base point stays


def test_compiled_terms_are_those_of_the_prototype() -> None:
    frame, point = rational_frame()
    numbers = (frame.right.astype(float), frame.left.astype(float), frame.curvatures.astype(float))
    floats = Frame(*numbers, 1, float(frame.eta))
    machine = Machine(Plan.of(Channels(circuit_of(CUBIC), floats, ORDER).motion(), ORDER, flow=True))
    out = np.empty((1, ORDER + 1, 6))
    machine.terms(np.array([point], dtype=float), ORDER, out)
    expected = np.array(prototype(frame, point), dtype=float)
    np.testing.assert_allclose(-out[0, :, :4], expected, rtol=1e-12, atol=1e-12 * abs(expected).max())


def test_without_fast_directions_it_is_the_equation_of_motion() -> None:
    empty = np.zeros((3, 0))
    channels = Channels(circuit_of(CUBIC, eom.HeavyBall("1/3")), Frame(empty, empty, np.zeros(0), 0, 0.1), 2)
    plan = Plan.of(channels.motion(), 2, flow=True)
    point = [Fraction(1, 2), Fraction(1, 3), Fraction(-1, 4)]
    expected = counter_terms_at(Plan.of(circuit_of(CUBIC, eom.HeavyBall("1/3")).terms(), 2, flow=True), point, 2)
    assert (counter_terms_at(plan, point, 2) == expected).all()


@pytest.mark.parametrize("method", [eom.GradientDescent(), eom.HeavyBall("1/3"), eom.Nesterov("1/4")])
def test_a_quadratic_is_followed_exactly(method: Any) -> None:
    """On ``lambda c**2/2`` the slaved coordinate is its fixed point, and the amplitude is multiplied by a root."""
    q = critical_number(method) + sp(1, 50)
    loss = eom.Loss(f"{q}*x**2/2", variables="x")
    one = np.ones((1, 1))
    frame = Frame(one, one, np.array([float(q)]), 1, 1.0)
    machine = Machine(Plan.of(Channels(circuit_of(loss, method), frame, 8).motion(), 8, flow=True))
    out = np.empty((1, 9, 3))
    machine.terms(np.array([[0.0, 1.0, 0.0]]), 8, out)
    rate = -float(out[0, :, 1].sum())
    run = eom.descend(loss, [1.0], eta=1.0, steps=400, method=method).thetas[:, 0]
    assert np.exp(rate) == pytest.approx(-run[-1] / run[-2], abs=1e-10)
    assert out[0, :, 0].any() == 0


def sp(a: int, b: int) -> Any:
    import sympy

    return sympy.Rational(a, b)


def test_critical_numbers_are_the_limits_of_stability() -> None:
    for method in (eom.GradientDescent(), eom.HeavyBall("9/10"), eom.Nesterov("1/2"), eom.HeavyBall("1/3")):
        assert critical_number(method) == method.stability().limit
    assert critical_number(eom.Adam("9/10", "1/2")) == 38
    assert critical_number(RMSProp("1/2")) == 2


@pytest.mark.parametrize(
    "method, words",
    [
        (Extragradient(), "has stages"),
        (GradientFlow(), "no known answer"),
        (AdamW(), "no known answer"),
    ],
)
def test_methods_without_a_known_edge_are_refused(method: Any, words: str) -> None:
    with pytest.raises(MethodError, match=words):
        response(method)


def test_optimistic_descent_answers_with_its_weights() -> None:
    assert response(OptimisticGradient()).above == (2, -1)


def test_kept_memories_are_refused() -> None:
    method = eom.HeavyBall("9/10", memory="kept", eta="1/10")
    empty = np.zeros((3, 0))
    with pytest.raises(MethodError, match="at the edge eliminate it"):
        Channels(circuit_of(CUBIC, method), Frame(empty, empty, np.zeros(0), 0, 0.1), 2)
