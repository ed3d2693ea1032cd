"""The checkers piece by piece: exact algebra, sums over trees, bounds on networks, and what they refuse at the edge."""

from __future__ import annotations

import copy
import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy
from flint import arb, arb_mat, ctx, fmpq
from scipy.integrate import solve_ivp

import eomsym as eom
from eomsym.bounds import (
    certificates,
    certify_convergence,
    certify_formula,
    check_certificate,
    checker,
    checker_convergence,
    checker_formulas,
    checker_networks,
)
from eomsym.bounds.rigorous import _positive_definite
from eomsym.errors import HypothesisError, InputError
from eomsym.formulas.terms import counter_terms

X = sympy.symbols("x y")
TERMS = [[[2, 0], "1/2"], [[2, 1], "-1/3"], [[0, 4], "3/7"], [[1, 1], "2"], [[3, 2], "1/5"]]
ETA = Fraction(3, 8)


def polynomial(p: dict[tuple[int, ...], Any]) -> Any:
    return sympy.expand(sum(sympy.Rational(int(c.p), int(c.q)) * X[0] ** a * X[1] ** b for (a, b), c in p.items()))


@pytest.mark.parametrize("order", range(3))
def test_the_velocity_of_a_certificate(order: int) -> None:
    loss = sum(sympy.Rational(c) * X[0] ** a * X[1] ** b for (a, b), c in TERMS)
    g = sympy.Matrix([loss.diff(x) for x in X])
    hessian = g.jacobian(X)
    bent = sympy.Matrix([(g.T * sympy.hessian(entry, X) * g)[0] for entry in g])
    terms = [g, hessian * g / 2, hessian * hessian * g / 3 + bent / 12]
    expected = -sum((sympy.Rational(ETA) ** k * terms[k] for k in range(order + 1)), sympy.zeros(2, 1))
    field = checker.Field(TERMS, 2, fmpq(3, 8), order)
    for i in range(2):
        assert polynomial(field.gradient[i]) == sympy.expand(g[i])
        assert polynomial(field.velocity[i]) == sympy.expand(expected[i])
        assert all(number != 0 for number in field.velocity[i].values())
        for j in range(2):
            assert polynomial(field.jacobian[i][j]) == sympy.expand(expected[i].diff(X[j]))
    rows = field.symmetric([arb(2), arb(3)])
    jacobian = np.array(expected.jacobian(X).subs({X[0]: 2, X[1]: 3}), dtype=float)
    np.testing.assert_allclose([[float(x) for x in row] for row in rows], (jacobian + jacobian.T) / 2, rtol=1e-12)
    box = [arb(2, 0.25), arb(3)]
    image = field.image([arb(2), arb(3)], box, arb(0.5))
    for k, f in enumerate(expected):
        values = [float(f.subs({X[0]: x, X[1]: 3})) / 2 for x in np.linspace(1.75, 2.25, 9)]
        assert image[k].lower() <= (2, 3)[k] + min(0, *values)
        assert image[k].upper() >= (2, 3)[k] + max(0, *values)
        assert image[k].contains((2, 3)[k])
    narrow = field.image([arb(2), arb(3)], [arb(2), arb(3)], arb(0.5))
    for k, f in enumerate(expected):
        way = float(f.subs({X[0]: 2, X[1]: 3})) / 2
        assert float(narrow[k].mid()) == pytest.approx((2, 3)[k] + way / 2, rel=1e-9, abs=0)
        assert float(narrow[k].rad()) == pytest.approx(abs(way) / 2, rel=1e-6, abs=0)


def test_orders_that_a_certificate_does_not_know() -> None:
    for order in (-1, 3):
        with pytest.raises(ValueError, match=f"order {order}: a certificate knows the orders 0, 1 and 2"):
            checker.Field(TERMS, 2, fmpq(1), order)


@pytest.mark.parametrize("degree", [1, 2, 3, 7])
def test_taylors_formula_with_the_remainder_on_the_box(degree: int) -> None:
    # x' = -x: the coefficients are those of the exponential; the last one sees the box.
    field = checker.Field([[[2], "1/2"]], 1, fmpq(1), 0)
    before = ctx.prec, ctx.cap
    try:
        (end,) = field.end([arb(2)], [arb(3)], arb(0.5), degree)
    finally:
        ctx.prec, ctx.cap = before
    expected = sum(2 * (-0.5) ** k / math.factorial(k) for k in range(degree))
    assert float(end) == pytest.approx(expected + 3 * (-0.5) ** degree / math.factorial(degree), rel=1e-14, abs=0)


def test_definite_matrices_and_lengths() -> None:
    rng = np.random.default_rng(0)
    seen = []
    for n in (1, 2, 3, 4):
        for _ in range(30):
            raw = rng.integers(-3, 4, (n, n))
            matrix = raw + raw.T + int(rng.integers(0, 14)) * np.eye(n, dtype=int)
            least = np.linalg.eigvalsh(matrix)[0]
            if abs(least) < 1e-9:
                continue
            for found in (checker.definite, _positive_definite):
                assert found([[arb(int(x)) for x in row] for row in matrix]) == (least > 0)
            seen.append(least > 0)
    assert 20 < sum(seen) < len(seen) - 20
    assert not checker.definite([[arb(0)]])
    assert not checker.definite([[arb(1), arb(1)], [arb(1), arb(1)]])
    assert not checker.definite([[arb(1, 1.5)]])
    assert float(checker.length([arb(3), arb(-4)])) == pytest.approx(5, rel=1e-9, abs=0)
    assert float(checker.length([arb(2, 1), arb(0, 4)]).upper()) == pytest.approx(5, rel=1e-6, abs=0)
    assert float(checker.length([])) == 0


def straight(**changes: Any) -> dict[str, Any]:
    """A certificate of a loss without curvature, for which everything is exact: two steps of two substeps."""
    steps = [
        {"box": [[(-1.0 - k / 4 - 0.125).hex(), 0.1251.hex()]], "growth": (2.0**-60).hex(),
         "centre": [(-1.25 - k / 4).hex()], "radius": 0.0.hex()} for k in range(4)
    ]  # fmt: skip
    proof: dict[str, Any] = {"schema": "eomsym.certificate/1", "loss": [[[1], "1"]], "start": [(-1.0).hex()]}
    proof |= {"eta": (0.5).hex(), "order": 1, "degree": 2, "substeps": 2, "claim": [(0.0).hex()] * 3, "steps": steps}
    return proof | changes


def test_a_certificate_may_be_exact() -> None:
    before = ctx.prec, ctx.cap
    assert check_certificate(straight()) == [0.0, 0.0, 0.0]
    assert check_certificate(straight(claim=[x.hex() for x in (1.0, 2.0, 0.0)])) == [1.0, 2.0, 0.0]
    assert (ctx.prec, ctx.cap) == before
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("one entry a substep", {"substeps": 1}),
        ("one entry a substep", {"substeps": 0, "steps": []}),
        ("one entry a substep", {"claim": [(0.0).hex()] * 2}),
        ("a distance", {"claim": [(-1.0).hex(), (0.0).hex(), (0.0).hex()]}),
        ("step 1: claim", {"claim": [(0.0).hex(), (-1e-9).hex(), (0.0).hex()]}),
        ("step 2: claim", {"claim": [(0.0).hex(), (0.0).hex(), (-1e-9).hex()]}),
    ]
    for k in range(4):
        for name, value, message in (
            ("box", [[(-1.0 - k / 4 - 0.125).hex(), (0.1249).hex()]], "stays in its box"),
            ("growth", (0.0).hex(), "growth"),
            ("radius", (-1e-9).hex(), "radius"),
            ("centre", [(-1.25 - k / 4 + 1e-9).hex()], "radius"),
        ):
            proof = straight()
            proof["steps"][k][name] = value
            wrong.append((f"substep {k + 1}: {message}", proof))
    for message, change in wrong:
        with pytest.raises(HypothesisError, match=f"does not hold: {message}"):
            check_certificate(straight() | change)
    assert (ctx.prec, ctx.cap) == before


def test_radii_grow_and_are_part_of_the_claim() -> None:
    proof = straight()
    for k, step in enumerate(proof["steps"]):
        step["box"][0][1] = (0.5).hex()
        step["growth"] = (1.0).hex()
        step["radius"] = (1e-3 * math.exp(0.25 * k) * (1 + 1e-12 * (k + 1))).hex()
    ends = [1e-3 * math.exp(0.25 * k) for k in (1, 3)]
    proof["claim"] = [x.hex() for x in (0.0, *(x * (1 + 1e-9) for x in ends))]
    check_certificate(proof)
    for k in (1, 2):
        other = copy.deepcopy(proof)
        other["claim"][k] = (ends[k - 1] * (1 - 1e-9)).hex()
        with pytest.raises(HypothesisError, match=f"step {k}: claim"):
            check_certificate(other)
    for k in (1, 2, 3):
        other = copy.deepcopy(proof)
        other["steps"][k]["radius"] = (1e-3 * math.exp(0.25 * k) * (1 - 1e-9)).hex()
        with pytest.raises(HypothesisError, match=f"substep {k + 1}: radius"):
            check_certificate(other)


# networks -------------------------------------------------------------------------------------------------------------


def network(depth: int, order: int, eta: float = 0.25) -> tuple[eom.DeepLinear, np.ndarray, Any, list[Any]]:
    rng = np.random.default_rng(depth)
    widths = (2, 3, 2, 2)[: depth + 1]
    inputs = rng.standard_normal((4, 2))
    loss = eom.DeepLinear(widths, inputs, rng.standard_normal((4, widths[-1])))
    theta = 0.7 * loss.initial(depth)
    rows = [[[float(x).hex() for x in row] for row in data] for data in (loss.inputs, loss.targets)]
    net = checker_networks.Network(*rows, arb(eta), order)
    return loss, theta, net, [arb_mat(w.tolist()) for w in loss.unpack(theta).values()]


def flat(loss: eom.DeepLinear, matrices: list[Any]) -> np.ndarray:
    return loss.pack(*(np.array([[float(x) for x in row] for row in m.tolist()]) for m in matrices))


def slope(loss: eom.DeepLinear, theta: np.ndarray) -> np.ndarray:
    """The gradient, matrix by matrix; of complex parameters as well."""
    ends = np.cumsum([0, *(a * b for a, b in itertools.pairwise(loss.widths))])
    parts = [theta[i:j].reshape(b, a) for (i, j), (a, b) in zip(
        itertools.pairwise(ends), itertools.pairwise(loss.widths), strict=True)]  # fmt: skip
    samples, out = len(loss.inputs), []
    for j in range(len(parts)):
        before, after = np.eye(loss.widths[0]), np.eye(loss.widths[-1])
        for w in parts[:j]:
            before = w @ before
        for w in reversed(parts[j + 1 :]):
            after = after @ w
        errors = after @ parts[j] @ before @ loss.inputs.T - loss.targets.T
        out.append((after.T @ errors @ loss.inputs @ before.T / samples).ravel())
    return np.concatenate(out)


def velocity(loss: eom.DeepLinear, theta: np.ndarray, eta: float, order: int) -> np.ndarray:
    g = slope(loss, theta)
    bent = (slope(loss, theta + 1e-100j * g) / 1e-100).imag if order else 0.0
    return -(g + eta / 2 * bent)


def descended(loss: eom.DeepLinear, theta: np.ndarray, eta: float, steps: int) -> np.ndarray:
    for _ in range(steps):
        theta = theta - eta * slope(loss, theta)
    return theta


def excess_of(loss: eom.DeepLinear, theta: np.ndarray) -> float:
    best = np.linalg.lstsq(loss.inputs, loss.targets, rcond=None)[0]
    gap = loss.inputs @ (loss.end_to_end(theta).T - best)
    return float((gap**2).sum()) / (2 * len(loss.inputs))


def size(matrix: Any) -> float:
    """``|(A^T A)**8|_F**(1/16)``, which is not below the spectral norm."""
    return float(np.sum(np.linalg.svd(matrix, compute_uv=False) ** 32)) ** (1 / 32)


@pytest.mark.parametrize("order", range(2))
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_bounds_of_a_network_are_their_formulas(depth: int, order: int) -> None:
    loss, theta, net, weights = network(depth, order)
    norms = sorted((size(w) for w in loss.unpack(theta).values()), reverse=True)
    s = size(loss.inputs.T @ loss.inputs / 4)
    assert float(net.bend) == pytest.approx(s, rel=1e-12, abs=0)
    end = loss.end_to_end(theta)
    q0 = float(np.linalg.norm((end @ loss.inputs.T - loss.targets.T) @ loss.inputs / 4))

    def p(k: int, r: float) -> float:
        product = math.prod(x + r for x in norms[: max(depth - k, 0)])
        return math.comb(depth, k) * depth ** (-k / 2) * product

    g0 = float(np.linalg.norm(slope(loss, theta)))
    at = net.bounds(weights)
    for r in (0.0, 0.25, 2.0):
        q = q0 + s * sum(p(k, 0) * r**k for k in range(1, depth + 1))
        b = s * p(1, r) ** 2 + 2 * p(2, r) * q
        t = 6 * s * p(1, r) * p(2, r) + 6 * p(3, r) * q
        g = g0 + b * r
        speed, growth = at(arb(r))
        assert float(speed) == pytest.approx(g * (1 + order * 0.125 * b), rel=1e-12, abs=0)
        assert float(growth) == pytest.approx(2 * p(2, r) * q + order * 0.125 * t * g, rel=1e-12, abs=0)


def test_norms_are_above_the_spectral_norm_and_close() -> None:
    rng = np.random.default_rng(1)
    for shape in ((1, 4), (4, 1), (3, 3), (2, 5), (5, 2)):
        a = rng.standard_normal(shape)
        found = checker_networks.norm(arb_mat(a.tolist()))
        assert float(found) == pytest.approx(size(a), rel=1e-12, abs=0)
    assert float(checker_networks.length(arb_mat([[3, 0]]), arb_mat([[0], [4]]))) == pytest.approx(5, rel=1e-9, abs=0)


@pytest.mark.parametrize("order", range(2))
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_motions_of_a_network(depth: int, order: int) -> None:
    loss, theta, net, weights = network(depth, order)
    np.testing.assert_allclose(flat(loss, net.descend(weights)), descended(loss, theta, 0.25, 1), rtol=1e-12)
    speed, h = velocity(loss, theta, 0.25, order), 0.125
    np.testing.assert_allclose(flat(loss, net.advance(weights, arb(h), 1)), theta + h * speed, rtol=1e-12)
    tiny = 1e-5  # of a central difference
    turned = [velocity(loss, theta + sign * tiny * speed, 0.25, order) for sign in (1, -1)]
    second = theta + h * speed + h**2 / 2 * (turned[0] - turned[1]) / (2 * tiny)
    np.testing.assert_allclose(flat(loss, net.advance(weights, arb(h), 2)), second, rtol=1e-6)
    motion = solve_ivp(
        lambda _, x: velocity(loss, x, 0.25, order), (0, 0.001), theta, method="DOP853", rtol=3e-14, atol=1e-15
    ).y[:, -1]
    np.testing.assert_allclose(flat(loss, net.advance(weights, arb(0.001), 12)), motion, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("order", range(2))
def test_a_substep_of_a_network(order: int) -> None:
    loss, _, net, weights = network(2, order)
    at = net.bounds(weights)
    for radius, ball, degree, share in ((0.0, 0.5, 3, 0.3), (1e-3, 0.4, 2, 0.5), (0.1, 1.0, 20, 0.1)):
        speed = float(at(arb(ball))[0])
        h = share * ball / speed
        after, wide = checker_networks.follow(net, weights, arb(radius), arb(h), arb(ball), degree)
        reach, ratio = radius + h * speed, h * speed / ball
        assert reach <= ball
        growth = float(at(arb(reach))[1])
        remainder = ball * ratio ** (degree + 1) / (1 - ratio)
        assert float(wide) == pytest.approx(math.exp(growth * h) * radius + remainder, rel=1e-9, abs=1e-14)
        np.testing.assert_allclose(flat(loss, after), flat(loss, net.advance(weights, arb(h), degree)), rtol=1e-14)
        with pytest.raises(ValueError, match="the motion stays in its ball, and h < rho"):
            checker_networks.follow(net, weights, arb(radius), arb(ball / speed * 1.001), arb(ball), degree)
        with pytest.raises(ValueError, match="the motion stays in its ball, and h < rho"):
            checker_networks.follow(net, weights, arb(ball - h * speed * 0.999), arb(h), arb(ball), degree)
        checker_networks.follow(net, weights, arb(ball - h * speed * 1.001), arb(h), arb(ball), degree)


def proof_of(steps: int = 2, order: int = 1) -> dict[str, Any]:
    rng = np.random.default_rng(1)  # the shape of other tests, whose kernels are compiled
    inputs = rng.standard_normal((5, 2))
    loss = eom.DeepLinear((2, 3, 2), inputs, inputs @ rng.standard_normal((2, 2)))
    theta = 0.6 * loss.initial(1)
    return certificates.certificate(loss, theta, eta=0.05, steps=steps, order=order)


def test_what_a_certificate_of_a_network_must_have() -> None:
    proof = proof_of()
    before = ctx.prec
    assert check_certificate(proof) == [float.fromhex(x) for x in proof["claim"]]
    assert check_certificate(proof | {"claim": [(-1.0).hex(), *proof["claim"][1:]]})[0] == 0.0
    for message, change in (
        ("one ball a substep", {"balls": proof["balls"][:-1]}),
        ("one ball a substep", {"claim": proof["claim"][:-1]}),
        ("at least one of each", {"substeps": 0, "balls": []}),
        ("at least one of each", {"degree": 0}),
        ("at least one of each", {"start": []}),
        ("order 0 or 1", {"order": 2}),
        ("order 0 or 1", {"order": -1}),
    ):
        with pytest.raises(HypothesisError, match=f"does not hold: {message}"):
            check_certificate(proof | change)
    for k in (1, 2):
        other = copy.deepcopy(proof)
        other["claim"][k] = (0.99 * float.fromhex(proof["claim"][k])).hex()
        with pytest.raises(HypothesisError, match=f"does not hold: step {k}: claim"):
            check_certificate(other)
    assert ctx.prec == before


def test_convergence_is_the_excess_of_the_loss() -> None:
    for depth in (1, 2, 3):
        loss, theta, *_ = network(depth, 0)
        excess = excess_of(loss, descended(loss, theta, 0.05, 7))
        proof = certify_convergence(loss, theta, epsilon=excess * (1 + 1e-9), eta=0.05, steps=7)
        before = ctx.prec
        assert check_certificate(proof) == [excess * (1 + 1e-9)]
        ctx.prec = before
        assert float(checker_convergence.end(proof | {"bits": 100})) == pytest.approx(excess, rel=1e-10, abs=0)
        assert ctx.prec == 100
        ctx.prec = before
        with pytest.raises(HypothesisError, match="does not hold: 7 steps: epsilon"):
            check_certificate(proof | {"epsilon": (excess * (1 - 1e-9)).hex()})
        with pytest.raises(HypothesisError, match="does not hold: at least one matrix"):
            check_certificate(proof | {"start": []})
        assert ctx.prec == before


# formulas -------------------------------------------------------------------------------------------------------------


def test_trees_of_the_checker_are_those_of_the_package() -> None:
    known: dict[int, list[Any]] = {}
    for nodes, count in enumerate((1, 1, 2, 4, 9, 20), 1):
        trees = checker_formulas.trees(nodes, known)
        assert len(trees) == count
        named = {checker_formulas.parse(tree.brackets): tree for tree in counter_terms(5)[nodes - 1]}
        assert set(trees) == set(named)
        for tree in trees:
            assert checker_formulas.size(tree) == nodes
            assert checker_formulas.symmetry(tree) == named[tree].symmetry
    for wrong in ("", "..", "[", "]", "[.]]", "[.", "x", "[.].", "[[.]", ".]"):
        with pytest.raises(ValueError, match="does not hold: the tree"):
            checker_formulas.parse(wrong)
    assert checker_formulas.parse("[[.].]") == checker_formulas.parse("[.[.]]") == ((), ((),))


def test_branches_are_cut_off_in_all_ways() -> None:
    cuts = checker_formulas.cuts
    assert cuts(()) == [((), ())]
    assert sorted(cuts(((),))) == sorted([((), ((),)), (((),), ())])
    cherry = ((), ())
    found = sorted(cuts(cherry))
    assert found == sorted([((), ((), ())), (((),), ((),)), (((),), ((),)), (cherry, ())])
    tall = (((),),)
    assert sorted(cuts(tall)) == sorted([((), (((),),)), (((),), ((),)), (tall, ())])


def test_polynomials_of_the_checker() -> None:
    p, q = [Fraction(1), Fraction(2), Fraction(3)], [Fraction(5), Fraction(-1)]
    assert checker_formulas.plus(p, q) == [6, 1, 3]
    assert checker_formulas.plus(q, p, Fraction(1, 2)) == [Fraction(11, 2), 0, Fraction(3, 2)]
    assert checker_formulas.plus([], q) == q
    assert checker_formulas.times(p, q) == [5, 9, 13, -3]
    assert checker_formulas.product([]) == [1]
    assert checker_formulas.product([p, q, q]) == checker_formulas.times(checker_formulas.times(p, q), q)
    assert checker_formulas.value(p, 2) == 17
    assert checker_formulas.value([], 2) == 0
    for steps, s in itertools.product(range(4), range(-2, 3)):
        assert checker_formulas.value(checker_formulas.back(p, steps), s) == checker_formulas.value(p, s - steps)


def test_methods_that_a_formula_cannot_have() -> None:
    proof = certify_formula(2, method=eom.HeavyBall("1/2"))
    method = proof["method"]
    for message, change in (
        ("the weights of the past sum to one", {"past": ["1/2", "1"]}),
        ("each extrapolation sums to one", {"extrapolation": [["2"]]}),
        ("a method that determines its motion", {"past": ["2", "-1"]}),
    ):
        with pytest.raises(HypothesisError, match=f"does not hold: {message}"):
            check_certificate(proof | {"method": method | change})
    assert check_certificate(proof) == [2]
    with pytest.raises(HypothesisError, match="all trees with at most 4 nodes, and no others"):
        check_certificate(proof | {"order": 3})
    with pytest.raises(HypothesisError, match="all trees with at most 2 nodes, and no others"):
        check_certificate(proof | {"order": 1})
    with pytest.raises(InputError, match=r"the key 'terms' of eomsym\.formula/1 is missing"):
        check_certificate({name: part for name, part in proof.items() if name != "terms"})
    assert certify_formula(0)["terms"] == {".": "1"}
    with pytest.raises(InputError, match="order=10: a certificate of a formula goes up to order 9"):
        certify_formula(10)
