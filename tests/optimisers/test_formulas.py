"""Formulas of any optimiser for any loss: published terms, trees, and the numerical table as an independent reading."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy

import eomsym as eom
from eomsym.errors import InputError, MethodError
from eomsym.optimisers.adaptive import Adam, AdamW, RMSProp
from eomsym.optimisers.formulas import Dot, Hessian, Third, elementwise_terms, g, theta
from eomsym.optimisers.matrix import Muon
from eomsym.optimisers.momentum import Lookahead, Momentum, QuasiHyperbolic
from eomsym.optimisers.normalised import ClippedGradient, NormalisedGradient, NormalisedSAM
from eomsym.optimisers.signs import Lion, SignSGD

b1, b2, eps, nu, width, lam = sympy.symbols("beta1 beta2 epsilon nu width lambda", positive=True)
s = g**2 + eps
D = g / sympy.sqrt(s)
R = sympy.Rational


def equal(found: Any, expected: Any) -> bool:
    return sympy.simplify(sympy.expand_mul(found - expected)) == 0


def test_the_first_term_of_adam_is_the_published_one() -> None:
    """Cattaneo, Klusowski, Shigida 2024, arXiv:2309.00079, theorem 3.1 without bias correction, epsilon inside."""
    terms = elementwise_terms(Adam(b1, b2, eps, inside=True), 1).terms
    memory = (1 + b1) / (1 - b1) - (1 + b2) / (1 - b2) + (1 + b2) / (1 - b2) * eps / s
    assert equal(terms[0], D)
    assert equal(terms[1], memory / 2 * Hessian(D) / sympy.sqrt(s))


#: Method and term 1, from the table of the theory.
PUBLISHED = [
    (
        AdamW(b1, b2, eps, inside=True, weight_decay=lam),
        (b1 / (1 - b1) * s ** R(-1, 2) - b2 / (1 - b2) * g**2 * s ** R(-3, 2)) * Hessian(D + lam * theta)
        + (eps * s ** R(-3, 2) * Hessian(D + lam * theta) + lam * (D + lam * theta)) / 2,
    ),
    (NormalisedGradient(), (Hessian(g) - g * Dot(g, Hessian(g)) / Dot(g, g)) / Dot(g, g) / 2),
    (
        Lion(b1, b2, width=width),
        (b1 / (1 - b2) + R(1, 2)) * (1 - sympy.tanh(g / width) ** 2) / width * Hessian(sympy.tanh(g / width)),
    ),
    (QuasiHyperbolic(nu, b1), (1 - b1 + 2 * b1 * nu) / (2 * (1 - b1)) * Hessian(g)),
    (Lookahead(2, nu), -nu * (1 - 2 * nu) * Hessian(g)),
    (Momentum(b1, nesterov=True), (1 - b1 + 2 * b1**2) / (2 * (1 - b1) ** 3) * Hessian(g)),
]


@pytest.mark.parametrize("method, first", PUBLISHED, ids=lambda x: getattr(x, "name", ""))
def test_published_first_terms(method: Any, first: Any) -> None:
    assert equal(elementwise_terms(method, 1).terms[1], first)


def test_torch_nesterov_differs_from_nesterov_at_order_two() -> None:
    terms = elementwise_terms(Momentum(b1, nesterov=True), 2).terms
    assert equal(terms[2].coeff(Third(g, g)), (1 - 2 * b1 + 13 * b1**2) / (12 * (1 - b1) ** 5))


LINEAR = [
    eom.GradientDescent(),
    eom.GradientFlow(),
    eom.ProximalPoint(),
    eom.HeavyBall(b1),
    eom.Nesterov(b1),
    eom.Extragradient(),
    eom.RungeKutta([["1/2"]], [1]),
]


@pytest.mark.parametrize("method", LINEAR, ids=lambda m: m.name)
def test_linear_methods_agree_with_trees(method: Any) -> None:
    """Coefficients of g, Hg, HHg and T[g,g] against those of the rooted trees."""
    universal = eom.counter_terms(2, method)
    shapes = [[g], [Hessian(g)], [Hessian(Hessian(g)), Third(g, g)]]
    for found, term, atoms in zip(elementwise_terms(method, 2).terms, universal, shapes, strict=True):
        expected = dict(zip(["chain", "cherry"], sorted(term.items(), key=lambda item: -item[0].height), strict=False))
        total = sum(c * atom for (_, c), atom in zip(expected.values(), atoms, strict=True))
        assert equal(found, total)


NONLINEAR = [
    Adam("1/2", "3/5", "1/10"),
    Adam("1/2", "3/5", "1/10", inside=True),
    AdamW("1/2", "3/5", "1/10", weight_decay="1/10"),
    RMSProp("3/5", "1/10"),
    Lion("1/2", "3/5", width="1/2", weight_decay="1/10"),
    SignSGD(width="1/2"),
    NormalisedGradient(),
    NormalisedSAM("1/2"),
    ClippedGradient("1/2"),
]
LOSS = eom.Loss("x**4/4 + x**2/2 - x*y/2 + x**2*y/2 + y**2/2 + 3*y**4/40 + sin(x*y)/3", variables="x y")


@pytest.mark.parametrize("method", NONLINEAR, ids=lambda m: m.name)
def test_formulas_agree_with_the_numerical_table(method: Any) -> None:
    """Orders 0 to 2 at a random point: derivatives by sympy in the formula, Taylor tables in the kernel."""
    point = np.random.default_rng(7).uniform(0.4, 1.3, 2)
    expected = eom.compile(LOSS, 2, method).terms(point)
    values = [evaluate(term, point) for term in elementwise_terms(method, 2).terms]
    np.testing.assert_allclose(values, expected, rtol=1e-10, atol=1e-12)


def evaluate(term: Any, point: np.ndarray) -> np.ndarray:
    """A formula at a point, its atoms by differentiation of `LOSS`."""
    x = list(LOSS.variables)
    at = dict(zip(x, map(sympy.Float, point), strict=True))
    first = [sympy.diff(LOSS.expression, v) for v in x]
    second = np.array([[float(sympy.diff(f, v).subs(at)) for v in x] for f in first])
    third = np.array([[[float(sympy.diff(f, v, w).subs(at)) for w in x] for v in x] for f in first])
    vectors = {g: np.array([float(f.subs(at)) for f in first]), theta: point}

    def value(e: Any) -> Any:
        if e in vectors:
            return vectors[e]
        parts = [value(part) for part in e.args]
        if isinstance(e, Hessian):
            return second @ np.broadcast_to(parts[0], 2)
        if isinstance(e, Third):
            return np.einsum("ijk,j,k->i", third, *parts)
        if isinstance(e, Dot):
            return parts[0] @ parts[1]
        if not e.args:
            return float(e)
        if e.is_Add or e.is_Mul or e.is_Pow:
            total = parts[0]
            for part in parts[1:]:
                total = total + part if e.is_Add else total * part if e.is_Mul else total**part
            return total
        names = {"tanh": np.tanh, "cosh": np.cosh, "Abs": np.abs, "sign": np.sign, "exp": np.exp}
        return names[e.func.__name__](*parts)

    return np.broadcast_to(value(term), 2)


def test_text_and_latex_name_their_symbols() -> None:
    terms = elementwise_terms(Adam(b1, b2, eps, inside=True), 1)
    assert str(terms).splitlines()[0] == "term_0 = g/sqrt(s)"
    assert str(terms).endswith("with s = epsilon + g**2, products entry by entry")
    assert "H[g/sqrt(s)]" in str(terms)
    assert r"\mathrm{term}_{1} &=" in terms.latex()
    assert r"H[\cdot] \text{ the Hessian" in terms.latex()
    assert len(terms) == 2


def test_what_has_no_formula_is_refused() -> None:
    with pytest.raises(InputError, match=r"for any loss go to order 2, got 3; .*modified_field\(loss, order, method\)"):
        elementwise_terms(Adam(), 3)
    with pytest.raises(MethodError, match="an optimiser on matrices has no elementwise formula"):
        elementwise_terms(Muon(), 1)
    with pytest.raises(MethodError, match="which keeps memories, has no elementwise formula"):
        elementwise_terms(eom.HeavyBall("9/10", memory="kept", eta="1/100"), 1)
    with pytest.raises(MethodError, match="with a loss for each batch, has no elementwise formula"):
        elementwise_terms(eom.Epoch(2), 1)
