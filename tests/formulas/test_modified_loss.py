"""Whether there is a modified loss, its potential, and the obstruction."""

from __future__ import annotations

from fractions import Fraction

import pytest
import sympy

from eomsym.exact.concrete import apply_term
from eomsym.exact.forests import forest
from eomsym.exact.trees import Tree
from eomsym.formulas.potentials import FreeTree, Potential, modified_loss, split
from eomsym.formulas.terms import counter_terms
from eomsym.optimisers.accelerated import HeavyBall, Nesterov
from eomsym.optimisers.base import Method
from eomsym.optimisers.linear import Epoch, Extragradient, GradientDescent, ProximalPoint

R = sympy.Rational
BETA = sympy.Symbol("beta")
X, Y = sympy.symbols("x y")
LOSS = (1 - X) ** 2 / 2 + (Y - X**2) ** 2 / 2
GRADIENT = [sympy.diff(LOSS, v) for v in (X, Y)]


def curl(vector: tuple[sympy.Expr, ...]) -> sympy.Expr:
    return sympy.expand(sympy.diff(vector[0], Y) - sympy.diff(vector[1], X))


def free_trees(nodes: int) -> set[FreeTree]:
    return {FreeTree(tree) for tree in forest(nodes).trees(nodes)}


def test_free_trees() -> None:
    """Counts: OEIS A000055; their symmetries: sum of n! / symmetry = n^(n-2) labelled trees (Cayley)."""
    assert [len(free_trees(n)) for n in range(1, 10)] == [1, 1, 1, 2, 3, 6, 11, 23, 47]
    for n in range(2, 8):
        labelled = sum(R(sympy.factorial(n), tree.symmetry) for tree in free_trees(n))
        assert labelled == n ** (n - 2)
        assert all(sum(tree.rootings.values()) == n for tree in free_trees(n))
        assert all(FreeTree(t) == tree for tree in free_trees(n) for t in tree.rootings)


def test_scalars() -> None:
    names = [tree.format() for n in range(1, 6) for tree in sorted(free_trees(n))]
    assert names == [
        "L", "‖g‖²", "gᵀHg", "gᵀH²g", "∇³L[g,g,g]", "gᵀH³g", "∇³L[g,g,Hg]", "∇⁴L[g,g,g,g]"
    ]  # fmt: skip
    assert FreeTree(Tree.parse("[..]")).format("latex") == r"g^{\mathsf{T}} H g"
    assert FreeTree(Tree.parse("[.]")).format("text") == "|g|^2"
    assert FreeTree(Tree.parse("[.]1")).format() == "g₀ᵀg₁"


def test_known_modified_losses() -> None:
    """Barrett & Dherin 2021: |g|^2/4; heavy ball, Ghosh et al. 2023: (1+beta)/(4 (1-beta)^3) |g|^2."""
    assert str(modified_loss(1)[1].potential) == "1/4 ‖g‖²"
    assert str(modified_loss(1, method=HeavyBall(BETA))[1].potential) == "(1+β)/(4(1−β)³) ‖g‖²"
    assert modified_loss(2).format() == "L + η (1/4 ‖g‖²)"
    assert modified_loss(1, method=HeavyBall(BETA)).highest == 1
    assert modified_loss(3).highest == 1


def test_epoch_in_fixed_order_has_no_modified_loss() -> None:
    """The order of the batches matters: a bracket of two gradients is not one; the mean over orders is."""
    fixed = split(counter_terms(1, method=Epoch(2))[1])
    assert not fixed.is_gradient
    assert str(fixed.obstruction) == "1/8 H₀g₁ − 1/8 H₁g₀"
    assert str(fixed.potential) == "1/16 ‖g₀‖² + 1/16 ‖g₁‖²"


METHODS = [
    GradientDescent(),
    ProximalPoint(),
    HeavyBall(Fraction(1, 2)),
    Nesterov(Fraction(1, 3)),
    Extragradient(),
]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_answer_on_a_concrete_loss(method: Method) -> None:
    """A term has curl exactly where it has an obstruction; the gradient part has none."""
    for k, term in enumerate(counter_terms(4, method=method)):
        parts = split(term)
        assert {t: sympy.cancel(parts.gradient[t] + parts.obstruction[t] - term[t]) for t in term} == dict.fromkeys(
            term, 0
        )
        assert curl(apply_term(parts.gradient, GRADIENT, (X, Y))) == 0
        assert (curl(apply_term(term, GRADIENT, (X, Y))) == 0) == parts.is_gradient
        assert parts.is_gradient == (k < 2)


@pytest.mark.parametrize("nodes", [2, 3, 4, 5])
def test_potentials_by_contraction(nodes: int) -> None:
    """The scalar of each free tree, contracted by hand, has the gradient that we claim."""
    for free in free_trees(nodes):
        tree = min(free.rootings)
        scalar = sympy.S.Zero
        parents = tree.parents
        edges = [(i, p) for i, p in enumerate(parents) if p >= 0]
        for labels in _labels(len(edges)):
            factor = sympy.S.One
            for node in range(nodes):
                along = [labels[e] for e, edge in enumerate(edges) if node in edge]
                factor *= sympy.diff(LOSS, *along)
            scalar += factor
        gradient = tuple(sympy.expand(sympy.diff(scalar, v)) for v in (X, Y))
        assert apply_term(Potential({free: sympy.S.One}).gradient(nodes - 1), GRADIENT, (X, Y)) == gradient


def _labels(edges: int) -> list[tuple[sympy.Symbol, ...]]:
    return [()] if not edges else [(v, *rest) for v in (X, Y) for rest in _labels(edges - 1)]


def test_written_answer() -> None:
    assert modified_loss(2).latex() == r"L + \eta \left(\tfrac{1}{4} \lVert g \rVert^{2}\right)"
    assert modified_loss(2)._repr_latex_().startswith(r"$\displaystyle L + ")
    assert "<mo>‖</mo>" in modified_loss(1)[1].potential.format("mathml")
    assert repr(modified_loss(1)[1].potential) == "<Potential 1/4 ‖g‖²>"
    assert len(modified_loss(2)) == 3
