"""Formulas of any optimiser for any loss: published terms, trees, and the numerical table as an independent reading."""

from __future__ import annotations

import operator
import pickle
from collections.abc import Callable
from fractions import Fraction
from functools import reduce
from typing import Any

import numpy as np
import pytest
import sympy

import eomsym as eom
from eomsym.errors import InputError, MethodError
from eomsym.exact.numbers import ETA
from eomsym.formulas.elementwise import Dot, Hessian, Third, elementwise_terms
from eomsym.formulas.monomials import g, gathered, normal, theta
from eomsym.optimisers.adaptive import Adam, AdamW, RMSProp
from eomsym.optimisers.base import Method
from eomsym.optimisers.matrix import Muon
from eomsym.optimisers.momentum import Lookahead, Momentum, QuasiHyperbolic
from eomsym.optimisers.normalised import ClippedGradient, NormalisedGradient, NormalisedSAM
from eomsym.optimisers.signs import Lion, SignSGD
from eomsym.taylor.plan import terms_plan
from eomsym.taylor.rings.numbers import Decimals
from eomsym.taylor.table import counter_terms_at

b1, b2, eps, nu, width, lam, r = sympy.symbols("beta1 beta2 epsilon nu width lambda r", positive=True)
s = g**2 + eps
D = g / sympy.sqrt(s)
R = sympy.Rational


class Own(Method):
    """An optimiser of a user, from one function."""

    is_linear = False

    def __init__(self, write: Callable[[Any], Any]) -> None:
        self.write = write

    @property
    def name(self) -> str:
        return f"my own, {self.write.__name__}"

    def update(self, circuit: Any) -> Any:
        return self.write(circuit)


def equal(found: Any, expected: Any) -> bool:
    """Equality in exact arithmetic, for each product of H[…] and T[…] by itself."""
    parts: dict[Any, Any] = {}
    for monomial, c in gathered(found - expected).items():
        key = frozenset(x for x in monomial if x[0].has(Hessian, Third))
        parts[key] = parts.get(key, 0) + c * sympy.Mul(*(x**k for x, k in monomial - key))
    return all(sympy.simplify(part) == 0 for part in parts.values())


# published terms ------------------------------------------------------------------------------------------------------


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
    (
        RMSProp(b2, eps, inside=True),
        (1 - (1 + b2) / (1 - b2) + (1 + b2) / (1 - b2) * eps / s) / 2 * Hessian(D) / sympy.sqrt(s),
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


def test_a_wrong_first_term_is_seen() -> None:
    assert not equal(elementwise_terms(Lookahead(2, nu), 1).terms[1], nu * (1 - 2 * nu) * Hessian(g))


def test_torch_nesterov_differs_from_nesterov_at_order_two() -> None:
    terms = elementwise_terms(Momentum(b1, nesterov=True), 2).terms
    assert equal(terms[2].coeff(Third(g, g)), (1 - 2 * b1 + 13 * b1**2) / (12 * (1 - b1) ** 5))


# trees ----------------------------------------------------------------------------------------------------------------

LINEAR = [
    eom.GradientDescent(),
    eom.optimisers.GradientFlow(),
    eom.optimisers.ProximalPoint(),
    eom.HeavyBall(b1),
    eom.Nesterov(b1),
    eom.optimisers.OptimisticGradient(),
    eom.optimisers.Extragradient(),
    eom.optimisers.SharpnessAware(r),
    eom.optimisers.RungeKutta([["1/2"]], [1]),
    eom.optimisers.RungeKutta(
        [["1/4", R(1, 4) - sympy.sqrt(3) / 6], [R(1, 4) + sympy.sqrt(3) / 6, "1/4"]], ["1/2", "1/2"]
    ),
    eom.optimisers.LinearMultistep([1, "-4/3", "1/3"], ["2/3", 0, 0]),
    Momentum(b1, dampening=nu),
    Momentum(b1, nesterov=True),
    QuasiHyperbolic(nu, b1),
    Lookahead(3, nu),
]


@pytest.mark.parametrize("method", LINEAR, ids=lambda m: m.name)
def test_linear_methods_agree_with_trees(method: Any) -> None:
    """Coefficients of g, Hg, HHg and T[g,g] against those of the rooted trees."""
    universal = eom.counter_terms(2, method=method)
    shapes = [[g], [Hessian(g)], [Hessian(Hessian(g)), Third(g, g)]]
    for found, term, atoms in zip(elementwise_terms(method, 2).terms, universal, shapes, strict=True):
        chains_first = sorted(term.items(), key=lambda item: -item[0].height)
        expected = sum(c * atom for (_, c), atom in zip(chains_first, atoms, strict=True))
        assert equal(found, expected)


# the numerical table --------------------------------------------------------------------------------------------------


def looped(circuit: Any) -> Any:
    """Feedback, a series in eta, averages of functions, theta itself."""
    ahead, close = circuit.feedback()
    g = circuit.gradient(circuit.theta + ahead * R(1, 3))
    close(-g)
    slow = circuit.times(circuit.average(circuit.function("sigmoid", g), R(1, 4)), sympy.exp(-ETA))
    return circuit.filter(circuit.function("sin", circuit.theta), [1, -1]) - slow


def gated(circuit: Any) -> Any:
    """Norms, inner products, gates and more functions."""
    g = circuit.gradient()
    gate = circuit.choose(circuit.function("softplus", g), g.squared() + 1, above=2)
    size = circuit.norm(circuit.function("atan", g)) + 1
    return -gate / size - circuit.theta * circuit.dot(g, circuit.average(g, R(1, 2)))


def powered(circuit: Any) -> Any:
    """Powers and quotients of sums."""
    g = circuit.gradient()
    below = circuit.root((g * 2 + circuit.theta).squared(3, 1)) + (g.squared() + 2).power(R(-3, 4))
    return (1 - circuit.function("exp", g / 4)) / below


def losses(seed: int) -> Any:
    """A random loss of two variables, and a point where all is smooth."""
    random = np.random.default_rng(seed)
    x, y = sympy.symbols("x y", real=True)
    c = [R(int(k), 16) for k in random.integers(3, 16, size=12)]
    expression = c[0] * x**4 / 4 + c[1] * x**2 - c[2] * x * y + c[3] * x**2 * y + c[4] * y**2 + c[5] * y**4
    expression += sympy.sin(c[6] * x * y + c[7]) / 3 + sympy.exp(c[8] * x - c[9] * y) / 4 + c[10] * x * y**3 / 5
    loss = eom.Loss(str(expression), variables="x y")
    return loss, [Fraction(int(k), 16) for k in random.integers(10, 20, size=2)]


NONLINEAR = [
    Adam("1/2", "3/5", "1/10"),
    Adam("1/2", "3/5", "1/10", inside=True, bias_correction=False),
    Adam("1/2", "3/5", 0),
    AdamW("1/2", "3/5", "1/10", weight_decay="1/10"),
    RMSProp("3/5", "1/10"),
    Lion("1/2", "3/5", width="1/2", weight_decay="1/10"),
    SignSGD(width="1/2"),
    NormalisedGradient(),
    NormalisedGradient("1/5"),
    NormalisedSAM("1/2"),
    NormalisedSAM("1/2", "1/5"),
    ClippedGradient("1/1000"),
    ClippedGradient(1000),
    Own(looped),
    Own(gated),
    Own(powered),
]


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("method", NONLINEAR, ids=lambda m: m.name)
def test_formulas_agree_with_the_numerical_table(method: Any, seed: int) -> None:
    """Orders 0 to 2, to 20 digits: derivatives by sympy in the formula, Taylor tables on the other side."""
    loss, point = losses(seed)
    ring = Decimals(30)
    expected = counter_terms_at(terms_plan(loss, 2, method), [ring(x) for x in point], 2, ring)
    inside = isinstance(method, ClippedGradient) and method.threshold > 1
    terms = elementwise_terms(method, 2, above=not inside).terms
    at = Atoms(loss, point)
    for term, row in zip(terms, expected, strict=True):
        for found, wanted in zip(at.value(term), row, strict=True):
            assert abs(found - sympy.Float(wanted, 35)) < 1e-20 * (1 + abs(wanted))


class Atoms:
    """Values of formulas at a point, to 35 digits, by differentiation of the loss."""

    def __init__(self, loss: Any, point: list[Fraction]) -> None:
        x = list(loss.variables)
        at = {v: R(c.numerator, c.denominator) for v, c in zip(x, point, strict=True)}

        def numbers(e: Any) -> np.ndarray:
            return np.array([sympy.N(sympy.diff(e, v).subs(at), 40) for v in x], dtype=object)

        first = [sympy.diff(loss.expression, v) for v in x]
        self.vectors = {g: numbers(loss.expression), theta: np.array([sympy.N(at[v], 40) for v in x], dtype=object)}
        self.second = np.array([numbers(f) for f in first])
        self.third = np.array([[numbers(sympy.diff(f, v)) for v in x] for f in first])

    def value(self, e: Any) -> Any:
        """Two numbers, or one where the expression is an inner product."""
        return self.one(e) + np.array([sympy.Float(0, 40)] * 2, dtype=object)

    def one(self, e: Any) -> Any:
        if e in self.vectors:
            return self.vectors[e]
        if not e.args:
            return sympy.N(e, 40)
        if isinstance(e, Hessian):
            return self.second @ self.value(e.args[0])
        if isinstance(e, Third):
            return (self.third @ self.value(e.args[0])) @ self.value(e.args[1])
        parts = [self.one(part) for part in e.args]
        if isinstance(e, Dot):
            return self.value(e.args[0]) @ self.value(e.args[1])
        if e.is_Add or e.is_Mul:
            return reduce(operator.add if e.is_Add else operator.mul, parts)
        return np.vectorize(lambda *x: sympy.N(e.func(*x), 40), otypes=[object])(*parts)


# forms ----------------------------------------------------------------------------------------------------------------


def test_derivatives_are_symmetric_and_linear() -> None:
    assert Hessian(0 * g) == 0
    assert Hessian(2 * eps * g * Dot(g, g) - theta) == 2 * eps * Dot(g, g) * Hessian(g) - Hessian(theta)
    assert Third(theta, g) == Third(g, theta)
    assert Dot(g, Hessian(Hessian(g))) == Dot(Hessian(g), Hessian(g))
    assert Dot(Hessian(g), Third(g, g)) == Dot(g, Third(g, Hessian(g)))


def test_sums_with_names_have_one_form() -> None:
    """With ``s = g**2 + epsilon`` quotients of polynomials become partial fractions."""
    terms = elementwise_terms(Adam(b1, b2, eps, inside=True), 0)
    (short,) = terms.names
    assert normal(g**2 / short, terms.names) == normal(1 - eps / short, terms.names)
    assert normal(Hessian(short - eps - g**2), terms.names) == {}


def test_text_and_latex_of_adam() -> None:
    terms = elementwise_terms(Adam(b1, b2, eps, inside=True), 1)
    first, second, last = str(terms).splitlines()
    assert first == "term_0 = g/√s"
    assert second == "term_1 = 1/√s ((β₁−β₂)/((1−β₁)(1−β₂)) + ε(1+β₂)/(2(1−β₂)s)) H[g/√s]"
    assert last.startswith("with s = ε + g²; g gradient, H[u] Hessian times u; products, quotients and powers")
    assert terms.format("text").splitlines()[0] == "term_0 = g/sqrt(s)"
    latex = terms.latex()
    assert r"\mathrm{term}_{0} &= \frac{g}{\sqrt{s}} \\" in latex
    assert r"\frac{\epsilon \left(1+\beta_{2}\right)}{2 \left(1-\beta_{2}\right) s}" in latex
    assert r"with $s = \epsilon + g^{2}$; $g$ gradient, $H[u]$ Hessian times $u$; products" in latex.splitlines()[-1]
    assert latex.count("{") == latex.count("}")
    assert r"\begin{aligned}" in terms._repr_latex_()
    assert len(terms) == 2
    with pytest.raises(InputError, match="unknown format 'html'; expected text, unicode, latex or mathml"):
        terms.format("html")


@pytest.mark.parametrize("method", [*NONLINEAR[:-3], Adam(b1, b2, eps)], ids=lambda m: m.name)
def test_order_two_stays_readable(method: Any) -> None:
    assert all(len(line) < 700 for line in str(elementwise_terms(method, 2)).splitlines())


def test_the_names_are_none_of_the_parameters() -> None:
    taken = sympy.Symbol("s", positive=True)
    assert "with s₁ = s + g²" in str(elementwise_terms(Adam(b1, b2, taken, inside=True), 1))


def test_terms_survive_pickling() -> None:
    terms = elementwise_terms(Adam(b1, b2, eps), 1)
    again = pickle.loads(pickle.dumps(terms))
    assert again == terms
    assert str(again) == str(terms)


# what the circuit takes -----------------------------------------------------------------------------------------------


def test_one_number_has_the_norm_of_one_number() -> None:
    twice = Own(lambda c: -c.gradient() / c.norm(c.norm(c.gradient())))
    assert elementwise_terms(twice, 1).terms == elementwise_terms(NormalisedGradient(), 1).terms


def test_factors_in_eta_need_only_a_taylor_series() -> None:
    fading = Own(lambda c: {"theta": -c.times(c.gradient(c.state("theta")), (1 - sympy.exp(-ETA)) / ETA)})
    assert equal(elementwise_terms(fading, 1).terms[1], (Hessian(g) - g) / 2)


#: What a step must not do, and what is said about it.
REFUSED: list[tuple[Callable[[Any], Any], str]] = [
    (lambda c: -c.gradient(c.theta * 2), r"a gradient that is not at theta when eta is 0, but at 2\*theta, has no"),
    (lambda c: -c.gradient(c.theta + c.feedback()[0]), "leaves a feedback open"),
    (lambda c: -c.norm(c.gradient()), "gives one number as its change"),
    (lambda c: 0, "gives a change of type int"),
    (lambda c: {"theta": c.theta, "m": c.theta}, r"gives a change of \['m', 'theta'\]"),
    (lambda c: c.state("m"), "a memory 'm' that is kept has no elementwise formula"),
    (lambda c: c.times(c.theta, 1 / ETA), "1/eta has no Taylor series at eta = 0"),
    (lambda c: c.function("gamma", c.theta), "no formula for the function 'gamma'"),
    (lambda c: c.gradient() / (c.theta - c.theta), "divides by zero for every gradient"),
    (lambda c: c.gradient() @ c.gradient().T, "an optimiser on matrices has no elementwise formula"),
    (lambda c: c.vector(c.blocks(c.theta)), "an optimiser on matrices has no elementwise formula"),
    (lambda c: c.builder.join([], 2), r"writes nodes itself \(circuit.builder\) has no elementwise formula"),
    (lambda c: c.theta * np.ones((2, 1)), "an array of constants has no elementwise formula"),
]


@pytest.mark.parametrize("write, said", REFUSED, ids=[said[:30] for _, said in REFUSED])
def test_steps_without_a_formula_are_refused(write: Callable[[Any], Any], said: str) -> None:
    with pytest.raises(MethodError, match=said):
        elementwise_terms(Own(write), 1)


def test_what_has_no_formula_is_refused() -> None:
    with pytest.raises(InputError, match=r"for any loss go to order 2, got 3; .*modified_field\(loss, order, method\)"):
        elementwise_terms(Adam(), 3)
    with pytest.raises(MethodError, match="an optimiser on matrices has no elementwise formula"):
        elementwise_terms(Muon(), 1)
    with pytest.raises(MethodError, match="which keeps memories, has no elementwise formula"):
        elementwise_terms(eom.HeavyBall("9/10", memory="kept", eta="1/100"), 1)
    with pytest.raises(MethodError, match="with a loss for each batch, has no elementwise formula"):
        elementwise_terms(eom.optimisers.Epoch(2), 1)
    with pytest.raises(MethodError, match="expected a method such as"):
        elementwise_terms("Adam", 1)
