"""Optimisers as circuits: both readings, against independent numbers, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import eomsym as eom
from eomsym.codegen.kernel import Kernel
from eomsym.errors import InputError, MethodError, TableError
from eomsym.exact.concrete import apply_term
from eomsym.exact.general_linear import GeneralLinear
from eomsym.optimisers.base import Method
from eomsym.optimisers.filters import Filter
from eomsym.taylor.plan import circuit_of, terms_plan
from eomsym.taylor.table import counter_terms_at

QUARTIC = eom.Loss("x**4/4 + x**2/2 - x*y/2 + x**2*y/2 + y**2/2 + 3*y**4/40", variables="x y")
START = np.array([1.2, 0.9])


@dataclass(frozen=True)
class Own(Method):
    """An optimiser as a user writes it."""

    step: Any
    name: str = "own optimiser"
    is_linear = False

    def update(self, circuit: Any) -> Any:
        return self.step(circuit)


def adam(circuit: Any) -> Any:
    g = circuit.gradient()
    v = circuit.average(g * g, Fraction(3, 5))
    return -circuit.average(g, Fraction(1, 2)) / (circuit.root(v) + Fraction(1, 10))


def test_adam_against_a_table_of_its_own() -> None:
    """Velocity terms 0..3 from a small NumPy prototype of two-variable series, beta 1/2 and 3/5, epsilon 1/10."""
    velocity = [
        [-0.9726626571897211, -0.925300664824083],
        [0.8153753348828147, 0.5973104549903909],
        [6.677275282144493, 5.798668970048725],
        [-5.5543363694078645, -7.712568276195762],
    ]
    np.testing.assert_allclose(-eom.compile(QUARTIC, 3, method=Own(adam)).terms(START), velocity, rtol=1e-13)


def test_adam_follows_its_plain_loop() -> None:
    theta, m, v = START.copy(), np.zeros(2), np.zeros(2)
    path = eom.descend(QUARTIC, START, eta=0.01, steps=30, method=Own(adam))
    for found in path.thetas[1:]:
        g = QUARTIC.gradient(theta)
        m, v = m / 2 + g / 2, 0.6 * v + 0.4 * g * g
        theta = theta - 0.01 * m / (np.sqrt(v) + 0.1)
        np.testing.assert_allclose(found, theta, rtol=1e-13)


def test_adam_is_followed_to_the_predicted_order_and_a_wrong_filter_is_not() -> None:
    report = eom.verify(QUARTIC, START, time=0.1, ladder=(40, 80, 160), orders=range(4), method=Own(adam))
    assert report.status == "passed", str(report)

    def altered(circuit: Any) -> Any:
        g = circuit.gradient()
        m = circuit.filter(g, [Fraction(1, 2)], [1, -Fraction(101, 200)])  # one coefficient, one per cent
        v = circuit.average(g * g, Fraction(3, 5))
        return -m / (circuit.root(v) + Fraction(1, 10))

    class Wrong(Kernel):
        """The equation of the altered optimiser, held against the right one."""

        def terms(self, theta: Any, *, threads: int = 1) -> np.ndarray:
            return eom.compile(QUARTIC, self.order, method=Own(altered)).terms(theta, threads=threads)

    wrong = Wrong((QUARTIC,), 6, Own(adam))
    report = eom.verify(wrong, START, time=0.1, ladder=(40, 80, 160), orders=range(4))
    assert [order.status for order in report.orders] == ["failed"] * 4


fractions = st.fractions(-1, 1, max_denominator=4)


@st.composite
def general_linear(draw: Any) -> GeneralLinear:
    """Random methods with two lags and two stages, implicit ones too."""
    beta, c = draw(st.fractions(-Fraction(2, 3), Fraction(2, 3), max_denominator=3)), draw(fractions)
    weights = [[draw(fractions), draw(fractions)], [1, draw(fractions)]]
    if sum(map(sum, weights)) == 0:
        weights[0][0] += 1
    coupling = [[draw(fractions), draw(fractions)], [draw(fractions), 0]]
    return GeneralLinear([1 + beta, -beta], weights, [[1 + c, -c], [1, 0]], coupling)


@dataclass(frozen=True)
class Linear(Method):
    form: GeneralLinear
    name: str = "random method"

    def general_linear(self) -> GeneralLinear:
        return self.form


ROSENBROCK = eom.Loss("(1-x)**2/2 + (y-x**2)**2/2 + x**3*y", variables="x y")


@given(general_linear())
@settings(max_examples=15, deadline=None)
def test_circuits_and_trees_agree_exactly(form: GeneralLinear) -> None:
    """On a loss that tells all trees of four nodes apart, terms 0..3 of random linear methods, as fractions."""
    method = Linear(form)
    point = [Fraction(-1, 2), Fraction(2, 3)]
    at = dict(zip(ROSENBROCK.variables, map(sympy.Rational, point), strict=True))
    gradient = [sympy.diff(ROSENBROCK.expression, v) for v in ROSENBROCK.variables]
    terms = counter_terms_at(terms_plan(ROSENBROCK, 3, method), point, 3)
    for found, term in zip(terms, eom.counter_terms(3, method=method), strict=True):
        expected = [sympy.sympify(e).subs(at) for e in apply_term(term, gradient, ROSENBROCK.variables)]
        assert [sympy.Rational(x) for x in found] == expected


def test_the_memory_of_a_filter_is_what_its_recurrence_keeps() -> None:
    """Series of ``s_l`` against the recurrence on an exponential ``x_k = r**k``, for which ``E = r`` exactly."""
    chosen = Filter(["1/2", "-1/3", "1/5"], [1, "-1/4", "1/8"])
    r = 1.3
    above, below = (np.array(row, dtype=float) for row in chosen.coefficients())
    backwards = np.array([r**-k for k in range(3)])
    response = (above @ backwards) / (below @ backwards)
    s = np.zeros(3)
    for k in range(-200, 0):  # from long ago, so that the start is forgotten
        x = r**k
        w = above[0] * x + s[0]
        s[:2] = above[1:] * x - below[1:] * w + s[1:]
    assert w == pytest.approx(response * r**-1, rel=1e-12, abs=0)
    for found, part in zip(s[:2], chosen.memory(), strict=True):
        a, b = ([float(x) for x in row] for row in part.coefficients())
        assert found == pytest.approx(np.polyval(a[::-1], 1 / r) / np.polyval(b[::-1], 1 / r), rel=1e-12, abs=0)


def test_bad_circuits_are_refused() -> None:
    refused = {
        "is not finite at E = 1": lambda c: c.filter(c.gradient(), [1], [1, -1]),
        "needs its own new value to find it": lambda c: c.filter(c.gradient(), [1], [0, 1]),
        "leaves a feedback open": lambda c: -c.gradient(c.theta + c.feedback()[0]),
        "gives a change of type int; expected a wire": lambda c: 1,
        r"gives a change of shape \(1, 2\); expected a column": lambda c: c.gradient().T,
        r"gives a change of \['momentum', 'theta'\]; expected \['theta'\]": lambda c: {
            "theta": c.theta,
            "momentum": c.theta,
        },
    }
    for message, step in refused.items():
        with pytest.raises(MethodError, match=message):
            circuit_of(QUARTIC, Own(step))
    with pytest.raises(InputError, match="empty list"):
        circuit_of([])


def test_what_is_not_finite_is_named() -> None:
    normalised = Own(lambda c: -c.gradient() / c.norm(c.gradient()))
    with pytest.raises(TableError, match=r"not finite from order 0 on, first in v\d+ = (reciprocal|power)\("):
        eom.compile(eom.Loss("x**2 + y**2", variables="x y"), 1, method=normalised).terms([0.0, 0.0])
    bare = Own(lambda c: -c.gradient() / c.root(c.average(c.gradient().squared(), Fraction(1, 2))))
    with pytest.raises(TableError, match="give an epsilon"):
        eom.compile(eom.Loss("x**2 + y**2", variables="x y"), 1, method=bare).terms([1.0, 0.0])


def test_batches_are_an_epoch_of_their_own_losses() -> None:
    rng = np.random.default_rng(0)
    net = eom.Network((4, 5, 2), rng.standard_normal((12, 4)), rng.standard_normal((12, 2))).with_weight_decay(0.02)
    batches, theta = net.split(3), net.initial(0)
    np.testing.assert_allclose(np.mean([b.gradient(theta) for b in batches], axis=0), net.gradient(theta), rtol=1e-13)
    method = eom.optimisers.Epoch(3)
    moved = theta
    for batch in batches:
        moved = moved - 0.1 / 3 * batch.gradient(moved)
    np.testing.assert_allclose(
        eom.descend(batches, theta, eta=0.1, steps=1, method=method).thetas[-1], moved, rtol=1e-14
    )
    assert eom.verify(batches, theta, time=1.0, ladder=(10, 20, 40), orders=range(4), method=method).status == "passed"
    # expand one epoch to second order: term 1 is Hg/2 - sum over j before i of H_i g_j / 9
    slope = [eom.compile(batch, 0).hessian_vector for batch in batches]
    g = [batch.gradient(theta) for batch in batches]
    early = sum(slope[i](theta, g[j]) for i in range(3) for j in range(i)) / 9
    half = eom.compile(net, 0).hessian_vector(theta, net.gradient(theta)) / 2
    np.testing.assert_allclose(eom.compile(batches, 1, method=method).terms(theta)[1], half - early, rtol=1e-11)


@pytest.mark.parametrize("call", ["compile", "descend", "verify", "modified_field"])
def test_one_loss_is_not_taken_for_all_batches(call: str) -> None:
    arguments: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
        "compile": ((QUARTIC, 1), {}),
        "descend": ((QUARTIC, START), {"eta": 0.1, "steps": 1}),
        "verify": ((QUARTIC, START), {"time": 1.0, "ladder": (10, 20), "orders": (0,)}),
        "modified_field": ((QUARTIC, 1), {}),
    }
    given, named = arguments[call]
    with pytest.raises(MethodError, match=r"2 losses, one for each batch, and got (one|1); .*network.split"):
        getattr(eom, call)(*given, **named, method=eom.optimisers.Epoch(2))
    with pytest.raises(MethodError, match=r"takes 2 losses and got 3; for one loss for each batch use Epoch\(3\)"):
        eom.compile([QUARTIC] * 3, 1, method=eom.optimisers.Epoch(2))
