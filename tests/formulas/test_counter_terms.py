"""Counter terms and how they are written; every published coefficient with its source."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from itertools import permutations

import pytest
import sympy

import eomsym as eom
from eomsym.errors import InputError, SizeError
from eomsym.exact import forests
from eomsym.exact.concrete import apply_term, elementary_differential
from eomsym.exact.trees import Tree
from eomsym.formulas.epochs import shuffled_epoch
from eomsym.formulas.notation import differential_with_indices
from eomsym.formulas.terms import Term, counter_terms
from eomsym.optimisers.accelerated import HeavyBall, Nesterov
from eomsym.optimisers.linear import Epoch, OptimisticGradient, RungeKutta, SharpnessAware

R = sympy.Rational
BETA = sympy.Symbol("beta")


def test_gradient_descent() -> None:
    """theory.md, section 1; orders 1 and 2 also in Miyagawa 2022 (xi_0, xi_1) and HLW, example IX.1.1."""
    assert str(eom.counter_terms(4)) == (
        "term_0 = g\n"
        "term_1 = 1/2 Hg\n"
        "term_2 = 1/3 H²g + 1/12 ∇³L[g,g]\n"
        "term_3 = 1/4 H³g + 1/12 H ∇³L[g,g] + 1/12 ∇³L[g,Hg]\n"
        "term_4 = 1/5 H⁴g + 3/40 H² ∇³L[g,g] + 1/10 H ∇³L[g,Hg] + 1/180 H ∇⁴L[g,g,g] + 1/20 ∇³L[g,H²g]"
        " + 1/120 ∇³L[g,∇³L[g,g]] + 1/60 ∇³L[Hg,Hg] − 1/120 ∇⁴L[g,g,Hg] − 1/720 ∇⁵L[g,g,g,g]"
    )
    assert counter_terms(3)[3][Tree.parse("[...]")] == 0


def test_hlw_scalar_example() -> None:
    """HLW, section IX.1, equation (1.5): y' = y**2 by explicit Euler."""
    x = sympy.Symbol("x")
    found = [-apply_term(term, [-(x**2)], [x])[0].coeff(x, k + 2) for k, term in enumerate(counter_terms(6))]
    assert found == [1, -1, R(3, 2), R(-8, 3), R(31, 6), R(-157, 15), R(649, 30)]


def test_quadratic_loss() -> None:
    """theory.md, section 3: on a quadratic, term k is A**(k+1) theta / (k+1)."""
    variables = sympy.symbols("x:2")
    matrix = sympy.Matrix([[2, 1], [1, 3]])
    gradient = list(matrix * sympy.Matrix(variables))
    for k, term in enumerate(counter_terms(5)):
        expected = matrix ** (k + 1) * sympy.Matrix(variables) / (k + 1)
        assert apply_term(term, gradient, variables) == tuple(sympy.expand(x) for x in expected)


HEAVY_BALL = {  # theory.md, section 2a; first order: Ghosh et al. 2023; second order: Cattaneo & Shigida 2025
    ".": 1 / (1 - BETA),
    "[.]": (1 + BETA) / (2 * (1 - BETA) ** 3),
    "[[.]]": (1 + 4 * BETA + BETA**2) / (3 * (1 - BETA) ** 5),
    "[..]": (1 + 10 * BETA + BETA**2) / (12 * (1 - BETA) ** 5),
}


@pytest.mark.parametrize("tree", HEAVY_BALL)
def test_heavy_ball(tree: str) -> None:
    node = Tree.parse(tree)
    found = counter_terms(2, method=HeavyBall(BETA))[node.nodes - 1][node]
    assert sympy.cancel(found - HEAVY_BALL[tree]) == 0


def test_other_methods() -> None:
    """First orders that can be checked by hand, with psi and chi of theory.md, section 2."""
    r = sympy.Symbol("r")
    assert str(counter_terms(1, method=SharpnessAware(r))) == "term_0 = g\nterm_1 = (1+2r)/2 Hg"
    assert str(counter_terms(2, method=OptimisticGradient())[1]) == "−1/2 Hg"
    assert str(counter_terms(1, method=Nesterov(BETA))[1]) == "(1−β+2β²)/(2(1−β)³) Hg"
    assert str(counter_terms(2, method=RungeKutta([[0, 0], [R(1, 2), 0]], [0, 1]))) == (
        "term_0 = g\nterm_1 = 0\nterm_2 = −1/6 H²g − 1/24 ∇³L[g,g]"
    )


def test_styles() -> None:
    terms = counter_terms(2, method=HeavyBall(BETA))
    assert terms.format("text").splitlines()[1] == "term_1 = (1+beta)/(2*(1-beta)^3) Hg"
    assert terms[1].latex() == r"\frac{1+\beta}{2 \left(1-\beta\right)^{3}} H g"
    assert terms.latex().startswith("\\begin{align*}\n\\mathrm{term}_{0} &= \\frac{1}{1-\\beta} g \\\\\n")
    assert terms.latex().endswith("\n\\end{align*}")
    assert str(counter_terms(2)[2].format("text")) == "1/3 H^2 g + 1/12 D^3 L[g, g]"
    assert counter_terms(3)[3].format(hessian="A") == "1/4 A³g + 1/12 A ∇³L[g,g] + 1/12 ∇³L[g,Ag]"
    assert counter_terms(4)[4].format(group="hessian") == (
        "H (H (1/5 H²g + 3/40 ∇³L[g,g]) + 1/10 ∇³L[g,Hg] + 1/180 ∇⁴L[g,g,g]) + 1/20 ∇³L[g,H²g]"
        " + 1/120 ∇³L[g,∇³L[g,g]] + 1/60 ∇³L[Hg,Hg] − 1/120 ∇⁴L[g,g,Hg] − 1/720 ∇⁵L[g,g,g,g]"
    )
    assert terms[2].format(group="denominator") == ("1/(12(1−β)⁵) (4(1+4β+β²) H²g + (1+10β+β²) ∇³L[g,g])")
    assert counter_terms(1)[1].format("latex", indices=True) == r"\tfrac{1}{2} L_{i j} L_{j}"
    assert str(counter_terms(1, method=HeavyBall(-BETA))[1]) == "(1−β)/(2(1+β)³) Hg"
    assert str(counter_terms(0, method=HeavyBall(BETA * sympy.sqrt(2)))[0]) == "1/(1−β(√2)) g"
    assert repr(counter_terms(1)) == "<CounterTerms of gradient descent through order 1>"
    assert repr(counter_terms(1)[1]) == "<Term 1: 1/2 Hg>"


def test_xi_notation() -> None:
    """Miyagawa 2022: theta' = -g - eta xi, so xi_a is our term a + 1."""
    assert counter_terms(2).format(xi=True) == "ξ₀ = 1/2 Hg\nξ₁ = 1/3 H²g + 1/12 ∇³L[g,g]"
    assert counter_terms(1).format("latex", xi=True) == r"\xi_{0} &= \tfrac{1}{2} H g"


@pytest.mark.parametrize("options", [{}, {"indices": True}, {"group": "hessian"}, {"group": "denominator"}])
def test_mathml_is_well_formed(options: dict[str, object]) -> None:
    for line in counter_terms(5, method=Nesterov(BETA)).mathml(**options).splitlines():
        root = ElementTree.fromstring(line)
        assert root.tag == "{http://www.w3.org/1998/Math/MathML}math"
        assert "β" in "".join(root.itertext())


@pytest.mark.parametrize("group", ["hessian", "denominator"])
@pytest.mark.parametrize("order", [3, 4, 5])
def test_grouping_does_not_change_the_formula(group: str, order: int) -> None:
    """Read the text back with sympy: H acts as a number, and the other differentials are symbols."""
    term = counter_terms(order)[order]
    plain, grouped = (_read(term.format("text", group=g)) for g in ("none", group))
    assert sympy.expand(plain - grouped) == 0


def _read(text: str) -> sympy.Expr:
    """Read a formula back: each D^m L[...] is one symbol, H and g are numbers."""
    names: dict[str, str] = {}
    while "[" in text:
        text = re.sub(r"D\^\d L\[[^][]*\]", lambda found: names.setdefault(found[0], f"d{len(names)}_"), text)
    text = text.replace("Hg", "H*g").replace("^", "**").replace(" + ", "+").replace(" - ", "-")
    return sympy.sympify(text.replace(" ", "*"))


def test_term_is_a_mapping() -> None:
    term = counter_terms(4)[4]
    assert len(term) == 9
    assert sorted(term) == list(term)
    assert Term(4, term) == term
    assert hash(Term(4, term)) == hash(term)
    assert counter_terms(4)[-1] == term
    assert counter_terms(4)[1:3] == [counter_terms(4)[1], counter_terms(4)[2]]
    assert counter_terms(1)._repr_latex_() == (
        "$\\displaystyle \\begin{aligned} \\mathrm{term}_{0} &= g \\\\\n"
        "\\mathrm{term}_{1} &= \\tfrac{1}{2} H g \\end{aligned}$"
    )
    assert counter_terms(8)._repr_latex_() == counter_terms(5)._repr_latex_()


def test_index_notation_names_each_inner_index_twice() -> None:
    for tree in counter_terms(6)[6]:
        letters = re.findall(r"\b[a-z]\b", differential_with_indices(tree, "text"))
        assert sorted(letters.count(x) for x in set(letters)) == [1] + [2] * 6
    many = differential_with_indices(Tree.parse("[" + "." * 15 + "]"), "text")
    assert many.endswith("L_{i1} L_{i2}")


def test_smith_et_al() -> None:
    """Smith et al. 2021, eq. (1): the mean adds epsilon/(4m) sum |g_k|^2, epsilon = eta/m."""
    for m in (2, 3, 4):
        term = shuffled_epoch(m, 1)[1]
        for tree, value in term.items():
            same = tree.colour == tree.branches[0].colour
            assert value == (R(1, 2 * m**2) if same else 0)  # gradient of 1/(4 m^2) sum |g_k|^2


def test_shuffled_epoch_is_the_mean_over_orders() -> None:
    every = [counter_terms(2, method=Epoch(order))[2] for order in permutations(range(3))]
    assert dict(shuffled_epoch(3, 2)[2]) == {tree: sum(term[tree] for term in every) / 6 for tree in every[0]}


def test_batches_that_are_equal_make_small_steps() -> None:
    """With equal batches an epoch is m steps of gradient descent of size eta/m: term k shrinks by m**k."""
    for m in (2, 3):
        terms, plain = counter_terms(4, method=Epoch(m)), counter_terms(4)
        for k in range(5):
            merged: dict[Tree, sympy.Expr] = {}
            for tree, value in terms[k].items():
                bare = Tree.from_level_sequence(tree.level_sequence)
                merged[bare] = merged.get(bare, 0) + value
            assert merged == {tree: value / m**k for tree, value in plain[k].items()}


@pytest.mark.parametrize("order", [-1, 20, 2.0, True, "3"])
def test_bad_order(order: object) -> None:
    with pytest.raises(InputError, match=r"order must be an integer from 0 to 19, got"):
        counter_terms(order)  # type: ignore[arg-type]


def test_bad_input() -> None:
    with pytest.raises(InputError, match="unknown format 'tex'; expected text, unicode, latex or mathml"):
        counter_terms(2).format("tex")
    with pytest.raises(InputError, match="unknown grouping 'x'; choose one of auto, none, hessian, denominator"):
        counter_terms(2)[2].format(group="x")
    with pytest.raises(IndexError, match="there is no term 3; these are the terms 0 to 2"):
        counter_terms(2)[3]
    with pytest.raises(InputError, match="batches must be an integer from 1 to 6, got 7"):
        shuffled_epoch(7, 1)
    x = sympy.symbols("x:2")
    with pytest.raises(eom.errors.ShapeError, match="the gradient has 1 components and there are 2 variables"):
        elementary_differential([x[0]], x)


def test_a_mapping_that_would_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    terms = counter_terms(15)
    monkeypatch.setattr(forests, "_free_memory", lambda: 2**27)
    with pytest.raises(SizeError, match=r"term 15 as a mapping from 235,381 trees .* needs about 0.2 GiB"):
        terms[15]
    with pytest.raises(SizeError, match=r"a formula with 376,464 trees .* needs about 0.4 GiB"):
        str(terms)


def test_heavy_ball_on_a_quadratic() -> None:
    """The principal root of zeta - 1 - beta (1 - 1/zeta) = -x: chains have the numbers C(n-1, k)^2 (Narayana, type B).

    theory.md has n = 2, 3; the rest by Lagrange inversion of x in log zeta. Cattaneo & Shigida 2025 find such
    polynomials.
    """
    for n in range(1, 9):
        chain = counter_terms(n - 1, method=HeavyBall(BETA))[n - 1][Tree.from_level_sequence(range(n))]
        narayana = sum(sympy.binomial(n - 1, k) ** 2 * BETA**k for k in range(n))
        assert sympy.cancel(chain - narayana / (n * (1 - BETA) ** (2 * n - 1))) == 0


def test_heavy_ball_against_gradient_descent_of_the_same_speed() -> None:
    """Ghosh et al. 2023, abstract: the implicit regulariser is stronger by the factor (1 + beta) / (1 - beta)."""
    terms = counter_terms(1, method=HeavyBall(BETA))
    relative = terms[1][Tree.parse("[.]")] / terms.rate**2
    assert sympy.cancel(relative / counter_terms(1)[1][Tree.parse("[.]")] - (1 + BETA) / (1 - BETA)) == 0
