"""B-series: algebra that must hold for all trees, and published examples."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
import sympy

from eomsym.errors import InputError, MethodError
from eomsym.exact.forests import count_trees
from eomsym.exact.series import (
    Series,
    compose,
    elementary_weights,
    exact_flow,
    modified_equation,
    modifying_integrator,
    substitute,
)
from eomsym.exact.trees import Tree
from eomsym.formulas.conditions import accuracy, order_conditions
from eomsym.optimisers.accelerated import HeavyBall
from eomsym.optimisers.base import Method
from eomsym.optimisers.linear import (
    Extragradient,
    GradientDescent,
    GradientFlow,
    LinearMultistep,
    OptimisticGradient,
    ProximalPoint,
    RungeKutta,
)

N = 7
R = sympy.Rational
HALF = R(1, 2)
S = sympy.Symbol("s")
RK4 = RungeKutta([[0, 0, 0, 0], [HALF, 0, 0, 0], [0, HALF, 0, 0], [0, 0, 1, 0]], [R(1, 6), R(1, 3), R(1, 3), R(1, 6)])
MIDPOINT = RungeKutta([[HALF]], [1], label="implicit midpoint")
TRAPEZOID = RungeKutta([[0, 0], [HALF, HALF]], [HALF, HALF])
GENERIC = RungeKutta([[0, 0], [S, 0]], [1 - 1 / (2 * S), 1 / (2 * S)], label="all methods of order two")
ROOT = sympy.sqrt(3) / 6
GAUSS = RungeKutta([[R(1, 4), R(1, 4) - ROOT], [R(1, 4) + ROOT, R(1, 4)]], [HALF, HALF], label="Gauss")
ADAMS = LinearMultistep([1, -1, 0], [R(5, 12), R(8, 12), R(-1, 12)])
METHODS = [GradientDescent(), ProximalPoint(), Extragradient(), RK4, MIDPOINT]


def step(method: Method, n: int = N) -> Series:
    return elementary_weights(method, n)


def test_flow_is_a_group() -> None:
    flow = exact_flow(N)
    assert compose(flow, flow) == flow.scaled(2)
    assert compose(flow.scaled(R(1, 3)), flow.scaled(R(2, 3))) == flow


def test_euler_steps_make_midpoint_and_trapezoid() -> None:
    """HLW, section II.4: half an implicit step and half an explicit one, in both orders."""
    explicit, implicit = step(GradientDescent()).scaled(HALF), step(ProximalPoint()).scaled(HALF)
    assert compose(implicit, explicit) == step(MIDPOINT)
    assert compose(explicit, implicit) == step(TRAPEZOID)


@pytest.mark.parametrize("first", METHODS, ids=lambda method: method.name)
def test_composition_is_that_of_the_tableaux(first: Method) -> None:
    """Two Runge-Kutta steps in a row are one with the tableau [[A, 0], [b, A']]."""
    then = Extragradient()
    one, two = first.general_linear(), then.general_linear()
    b, c = [w[0] for w in one.weights], [w[0] for w in two.weights]
    rows = [[*row, *[0] * two.stages] for row in one.coupling] + [[*b, *row] for row in two.coupling]
    assert compose(step(first), step(then)) == step(RungeKutta(rows, [*b, *c]))


def test_adjoint_of_gradient_descent_is_proximal_point() -> None:
    identity = Series.of(N, lambda tree: 0)
    assert compose(step(GradientDescent()).scaled(-1), step(ProximalPoint())) == identity


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_modified_equation_and_modifying_integrator(method: Method) -> None:
    field = modified_equation(method, N)
    assert modified_equation(step(method)) == field
    assert substitute(field, exact_flow(N)) == step(method)
    assert substitute(modifying_integrator(method, N), step(method)) == exact_flow(N)


def test_substitution_is_associative_and_respects_composition() -> None:
    one, two = (modified_equation(method, 6) for method in (Extragradient(), RK4))
    flow, weights = exact_flow(6), step(ProximalPoint(), 6)
    assert substitute(substitute(one, two), flow) == substitute(one, substitute(two, flow))
    assert substitute(one, compose(flow, weights)) == compose(substitute(one, flow), substitute(one, weights))
    shrink = Series.of(6, lambda tree: R(1, 3) if tree.nodes == 1 else 0, empty=0)
    assert substitute(shrink, weights) == weights.scaled(R(1, 3))


def test_implicit_midpoint() -> None:
    """Chartier, Hairer, Vilmart, Math. Comp. 76, 2007, doi:10.1090/S0025-5718-07-01967-9, Example 6.

    The modified equation has h^2 (f'f'f/12 - f''(f,f)/24), the modifying integrator starts with its negative.
    """
    assert list(modified_equation(MIDPOINT, 3).values()) == [1, 0, R(1, 12), R(-1, 12)]
    assert list(modifying_integrator(MIDPOINT, 3).values()) == [1, 0, R(-1, 12), R(1, 12)]


def test_modifying_integrator_of_gradient_descent_is_taylor() -> None:
    assert list(modifying_integrator(GradientDescent(), N).values()) == list(exact_flow(N).values())


ACCURACY = {
    GradientDescent(): 1,
    Extragradient(): 1,
    MIDPOINT: 2,
    GENERIC: 2,
    RK4: 4,
    GAUSS: 4,
    ADAMS: 3,
    OptimisticGradient(): 1,
    HeavyBall(S): 1,
    GradientFlow(): 6,
}


@pytest.mark.parametrize("method", ACCURACY, ids=lambda method: method.name)
def test_accuracy(method: Method) -> None:
    order = ACCURACY[method]
    assert accuracy(method, limit=6) == order
    if isinstance(method, RungeKutta):
        defect = [x - y for x, y in zip(step(method, 5).values(), exact_flow(5).values(), strict=True)]
        sizes = [tree.nodes for tree in exact_flow(5)]
        assert min(n for n, x in zip(sizes, defect, strict=True) if sympy.simplify(x) != 0) == order + 1


def test_underlying_step_of_a_multistep_method() -> None:
    """What it does to y' = y: the principal root of rho(z) = eta sigma(z), here z^2 - z = eta (2z - 1)."""
    weights = step(OptimisticGradient(), 5)
    eta, z = sympy.symbols("eta z")
    tree, root = Tree(), 1 + sympy.S.Zero
    for _ in range(5):
        root, tree = root + eta**tree.nodes * weights[tree], Tree(tree)
    residual = sympy.expand((z**2 - z - eta * (2 * z - 1)).subs(z, root))
    assert [residual.coeff(eta, k) for k in range(6)] == [0] * 6


def test_order_conditions() -> None:
    """HNW I, table II.2.1; their number is A000081 summed."""
    assert list(order_conditions(4).values())[4:] == [
        "Σ bᵢaᵢⱼaⱼₖcₖ = 1/24", "Σ bᵢaᵢⱼcⱼ² = 1/12", "Σ bᵢcᵢaᵢⱼcⱼ = 1/8", "Σ bᵢcᵢ³ = 1/4"
    ]  # fmt: skip
    assert order_conditions(2, "latex")[Tree.parse("[.]")] == r"\sum b_{i} c_{i} &= \tfrac{1}{2}"
    assert len(order_conditions(8)) == sum(count_trees(n) for n in range(1, 9))


def test_order_conditions_hold_for_numbers() -> None:
    """Each written condition, evaluated with sums over the tableau, is the elementary weight."""
    a = [[Fraction(str(x)) for x in row] for row in RK4.A]
    b = [Fraction(str(x)) for x in RK4.b]
    c = [sum(row) for row in a]
    for tree, text in order_conditions(5, "text").items():
        left = text.removeprefix("sum ").split(" = ")[0]
        letters = sorted({x for factor in left.split("*") for x in factor.split("_")[1].split("^")[0]})
        total = Fraction(0)
        for code in range(4 ** len(letters)):
            at = {letter: code // 4**k % 4 for k, letter in enumerate(letters)}
            product = Fraction(1)
            for factor in left.split("*"):
                name, _, rest = factor.partition("_")
                where, _, power = rest.partition("^")
                value: Any = {"a": a, "b": b, "c": c}[name]
                for letter in where:
                    value = value[at[letter]]
                product *= value ** int(power or 1)
            total += product
        assert total == Fraction(str(step(RK4, 5)[tree]))


def test_mapping() -> None:
    flow = exact_flow(4)
    assert len(flow) == 8
    assert Tree.parse("[[[[.]]]]") not in flow
    with pytest.raises(KeyError, match=r"\[\[\[\[\.\]\]\]\]"):
        flow[Tree.parse("[[[[.]]]]")]


def test_bad_input() -> None:
    flow = exact_flow(3)
    field = modified_equation(RK4, 3)
    with pytest.raises(InputError, match="the first series has 0 at the empty tree; a map, with 1, is needed"):
        compose(field, flow)
    with pytest.raises(InputError, match="the field has 1 at the empty tree; 0 is needed"):
        substitute(flow, flow)
    with pytest.raises(InputError, match=r"at most \[3, 4\] nodes; expected equal sizes"):
        compose(flow, exact_flow(4))
    with pytest.raises(InputError, match=r"modified_equation\(method, 6\)"):
        modified_equation(RK4)
    with pytest.raises(InputError, match=r"modifying_integrator\(method, 6\)"):
        modifying_integrator(RK4)
    with pytest.raises(InputError, match="order must be an integer from 1 to 12, got 13"):
        order_conditions(13)
    with pytest.raises(InputError, match="2 coefficients were given for 4 trees"):
        Series(3, sympy.S.One, (sympy.S.One,) * 2)
    with pytest.raises(MethodError, match="it must move"):
        modifying_integrator(Series.of(3, lambda tree: 0))
    with pytest.raises(InputError, match="the series has 0 at the empty tree; a map, with 1, is needed"):
        modified_equation(field)
