"""The ring of straight-line programs and the rings of polynomials: what they compute, and what they fold."""

from __future__ import annotations

import operator
from fractions import Fraction
from random import Random
from typing import Any

import numpy as np
import pytest
import sympy

from eomsym.errors import ExpressionError, SizeError
from eomsym.losses.expression import Loss
from eomsym.losses.network import DeepLinear
from eomsym.optimisers import Muon
from eomsym.taylor.plan import terms_plan
from eomsym.taylor.rings.balls import Ball, enclosed, working
from eomsym.taylor.rings.degrees import Degree, Degrees
from eomsym.taylor.rings.polynomials import PolynomialRing
from eomsym.taylor.rings.tape import Place, Slope, Tape
from eomsym.taylor.symbolic import modified_field
from eomsym.taylor.table import counter_terms_at

POINT = (Fraction(2, 3), Fraction(-5, 7), Fraction(3))
CALLS = {"reciprocal": lambda a: 1 / a, "square": lambda a: a * a}


def run(tape: Tape, place: Place) -> Fraction:
    """The tape at a point, line by line."""
    known: list[Any] = []
    for kind, *content in tape.lines:
        if kind == "variable":
            known.append(POINT[content[0]])
        elif kind == "number":
            known.append(content[0])
        elif kind in "+*":
            a, b = (known[i] for i in content)
            known.append(a + b if kind == "+" else a * b)
        elif kind == "power":
            known.append(known[content[0]] ** int(known[content[1]]))
        else:
            known.append(CALLS[kind](known[content[0]]))
    return known[place.index]


BOTH = (operator.add, operator.sub, operator.mul)


@pytest.mark.parametrize("seed", range(40))
def test_a_tape_computes_what_was_written(seed: int) -> None:
    random, tape = Random(seed), Tape(1000)
    pairs: list[tuple[Any, Fraction]] = [(tape.variable(i), x) for i, x in enumerate(POINT)]
    for _ in range(30):
        kind = random.randrange(4)
        (a, x), (b, y) = random.choice(pairs), random.choice(pairs)
        if kind == 0:
            made = (-a, -x)
        elif kind == 1:
            by = random.choice([2, -3, 7])
            made = (a / by, x / by)
        else:
            op = random.choice(BOTH)
            number = random.choice([0, 1, -1, 2, Fraction(1, 3)])
            sides = random.choice([((a, b), (x, y)), ((a, number), (x, number)), ((number, b), (number, y))])
            made = (op(*sides[0]), op(*sides[1]))
        if abs(made[1].numerator) < 10**40:
            pairs.append(made)
    for place, value in pairs:
        assert run(tape, place) == value
        kept = [tape.lines[i] for i in tape.live([place])]
        assert all(line in tape.lines for line in kept)


def test_a_tape_folds_numbers_and_shares_what_is_equal() -> None:
    tape = Tape(100)
    x, y = tape.variable(0), tape.variable(1)
    assert x + 0 is x
    assert 0 + x is x
    assert 1 * x == x == x * 1
    assert x * 0 == tape.zero == 0
    assert tape.one == 1
    assert isinstance(tape.lines[tape(7).index][1], Fraction)  # an integer would be divided by flooring
    assert tape.lines[tape(sympy.pi).index] == ("number", sympy.pi)
    assert x + y == y + x
    assert x * y == y * x
    assert hash(x * y) == hash(y * x)
    assert x != y
    assert x != 1
    assert tape(2) + 3 == 5
    assert tape(2) * Fraction(1, 2) == 1
    assert 2 * (3 * x) == 6 * x
    assert Fraction(1, 3) * (3 * x) == x
    assert x + x == 2 * x
    assert 2 * x + 3 * x == 5 * x
    assert x - x == 0
    assert tape.lines[(6 * x).index] == ("*", tape(6).index, x.index)  # numbers to the left
    assert tape.lines[(x * 6).index] == ("*", tape(6).index, x.index)


def test_a_tape_has_an_end_and_knows_what_is_live() -> None:
    tape = Tape(4)  # zero and one are two
    x, y = tape.variable(0), tape.variable(1)
    assert tape.variable(1) == y
    with pytest.raises(SizeError, match=r"needs more than 4 operations; use form='table', whose code does not grow"):
        x * y
    tape = Tape(50)
    x, y = tape.variable(0), tape.variable(1)
    other = y * y
    found = tape.value("exp", x, tape.zero)
    power = tape.value("power", y, tape(3))
    assert tape.lines[found.index] == ("exp", x.index)
    assert tape.lines[power.index] == ("power", y.index, tape(3).index)
    assert tape.live([found]) == [x.index, found.index]
    assert tape.live([power]) == sorted([y.index, tape(3).index, power.index])
    assert other.index not in tape.live([found, power])


@pytest.mark.parametrize("seed", range(20))
def test_slopes_compute_what_was_written(seed: int) -> None:
    random, tape = Random(seed), Tape(1000)
    pairs: list[tuple[Any, Any]] = [(Slope(tape, tape.variable(i)), x) for i, x in enumerate(POINT)]
    for _ in range(12):
        (a, x), (b, y) = random.choice(pairs), random.choice(pairs)
        number = random.choice([2, -1, Fraction(3, 5)])
        makers = [
            lambda a=a, x=x: (-a, -x),
            lambda a=a, x=x: (a.squared(), x * x),
            lambda a=a, x=x: (a.squared(3, Fraction(1, 7)), 3 * x * x + Fraction(1, 7)),
            lambda a=a, x=x: (a.call("square"), x * x),
            lambda a=a, x=x: (a.power(3), x**3),
        ]
        for op in (*BOTH, operator.truediv):
            makers += [
                lambda op=op, a=a, b=b, x=x, y=y: (op(a, b), op(x, y)),
                lambda op=op, a=a, x=x, n=number: (op(a, n), op(x, n)),
                lambda op=op, b=b, y=y, n=number: (op(n, b), op(Fraction(n), y)),
            ]
        for maker in makers:
            if x != 0 and y != 0:
                made = maker()
                assert run(tape, made[0].place) == made[1]
                assert made[0].tape is tape
        chosen = random.choice(makers[5:])() if x != 0 and y != 0 else (a, x)
        if abs(chosen[1].numerator * chosen[1].denominator) < 10**12:
            pairs.append(chosen)


@pytest.mark.parametrize("use_flint", [True, False])
def test_rings_of_polynomials(use_flint: bool) -> None:
    if use_flint:
        pytest.importorskip("flint")
    x, y = sympy.symbols("x y")
    ring = PolynomialRing([x, y], 6, use_flint)
    assert ring.flint == use_flint
    a, b = ring.element(0), ring.element(1)
    assert ring.expression(a * a * 3 - b + 2) == 3 * x**2 - y + 2
    assert ring.expression(ring(Fraction(3, 4)) * a) == sympy.Rational(3, 4) * x
    assert ring.expression(ring.zero) == 0
    assert sorted(ring.monomials(a * a + ring(Fraction(1, 2)))) == [
        ((0,) * 8, sympy.Rational(1, 2)), ((2, *(0,) * 7), sympy.S.One),
    ]  # fmt: skip
    assert list(ring.monomials(ring(5))) == [((0,) * 8, 5)]
    assert list(ring.monomials(ring(0))) == []
    # Numbers that are not rational, and functions, are generators: one for each.
    pi = ring(sympy.pi)
    assert pi == ring(sympy.pi) == ring.generator(sympy.pi)
    exp = ring.value("exp", a, None)
    assert exp == ring.value("exp", a, None)
    assert exp not in (pi, a, b)
    assert ring.readable(pi * exp) == sympy.pi * sympy.exp(x)
    # What becomes a generator again, or a number, is that.
    assert ring.value("power", exp, ring(1)) == exp
    assert ring.value("exp", ring(0), None) == 1
    assert ring.value("power", a * 0 + 4, ring(Fraction(1, 2))) == 2
    with pytest.raises(ExpressionError, match="a function is taken at a point where it is infinite"):
        ring.value("reciprocal", ring(0), None)
    for nowhere in (sympy.nan, sympy.oo, -sympy.oo, sympy.zoo):
        with pytest.raises(ExpressionError, match="a function is taken at a point where it is infinite"):
            ring._made(nowhere)
    for number in (Fraction(3, 4), sympy.Rational(3, 4), ring(Fraction(3, 4))):
        assert ring._sympy(number) == sympy.Rational(3, 4)


@pytest.mark.parametrize("use_flint", [True, False])
def test_fractions_are_as_small_as_division_makes_them(use_flint: bool) -> None:
    if use_flint:
        pytest.importorskip("flint")
    x, y = sympy.symbols("x y")
    ring = PolynomialRing([x, y], 4, use_flint)
    a, b = ring.element(0), ring.element(1)
    below = ring.value("reciprocal", a + b + 1, None)
    assert list(ring.reciprocals) == [2]
    assert ring.readable(below) == 1 / (x + y + 1)
    assert ring.readable((a + b + 1) * below * b) == y
    assert ring.readable((a + b + 1) * (a + b + 1) * below * b) == x * y + y**2 + y
    assert ring.readable((a * a - b * b + a - b) * below * below) == (x - y) / (x + y + 1)
    assert sympy.simplify(ring.readable(a + below * b * b * 2) - (x + 2 * y**2 / (x + y + 1))) == 0
    other = ring.value("reciprocal", a, None)
    assert sympy.simplify(ring.readable(other * below + 1) - (1 / (x * (x + y + 1)) + 1)) == 0


@pytest.mark.parametrize("use_flint", [True, False])
def test_what_is_constant_stands_before_the_functions(use_flint: bool) -> None:
    if use_flint:
        pytest.importorskip("flint")
    x = sympy.Dummy("x")  # as symbols that are made are
    ring = PolynomialRing([x], 6, use_flint)
    a = ring.element(0)
    exp, pi = ring.value("exp", a, None), ring(sympy.pi)
    outer = ring.value("sin", exp * pi + a, None)
    assert ring.readable(exp * pi + exp * 3) == (3 + sympy.pi) * sympy.exp(x)
    assert ring.readable(outer * a) == x * sympy.sin(sympy.pi * sympy.exp(x) + x)
    assert ring.translated(outer + a) == x + sympy.sin(sympy.pi * sympy.exp(x) + x)
    assert [ring.resolved(k) for k in range(4)] == [x, sympy.exp(x), sympy.pi, sympy.sin(sympy.pi * sympy.exp(x) + x)]


def test_balls_are_compared_where_they_do_not_overlap() -> None:
    flint = pytest.importorskip("flint")
    one, two, wide = Ball(flint.arb(1)), Ball(flint.arb(2)), Ball(flint.arb(1, 3))
    assert two > one
    assert not one > two
    assert not two > wide
    assert Ball(flint.arb_series([2, 1])) > Ball(flint.arb_series([1, 9]))
    assert one == 1
    assert one != 2
    assert wide != 1


def test_degrees_bound_those_of_the_polynomials() -> None:
    x, y = sympy.symbols("x y")
    for text, order in (("x**4/4 + x*y**2 - y**3", 4), ("(x*y - 1)**2/2", 5), ("x**2 + 3*y", 3)):
        plan = terms_plan(Loss(text, variables="x y"), order)
        bounds = counter_terms_at(plan, [Degree(1)] * 2, order, Degrees())
        ring = PolynomialRing([x, y], 0)
        exact = counter_terms_at(plan, [ring.element(0), ring.element(1)], order, ring)
        for bound, entry in zip(bounds.ravel(), exact.ravel(), strict=True):
            terms = sympy.Poly(ring.expression(entry), x, y)
            assert terms.is_zero or bound.bound >= terms.total_degree()
        assert max(bound.bound for bound in bounds.ravel()) <= 5 * order + 3
    one, two, zero = Degree(1), Degree(2), Degrees()(0)
    assert (zero * two, zero + two, two - one, one * two * 3, -two, two / 3, 1 + two, 0 * two) == (
        zero, two, two, Degree(3), two, two, two, zero,
    )  # fmt: skip
    assert zero == 0
    assert one != 0
    assert Degrees()(7) == 7 != 0
    assert not two > one


def test_what_cannot_be_multiplied_out_is_refused() -> None:
    network = DeepLinear((1, 1, 1), inputs=[[1.0]], targets=[[1.0]])
    with pytest.raises(SizeError, match=r"Muon.* order 0 are polynomials of degree [\d,]+, and more"):
        modified_field(network, 0, method=Muon())
    assert len(modified_field(network, 3).terms) == 4


def test_what_an_exact_number_is_enclosed_by() -> None:
    flint = pytest.importorskip("flint")
    wide = flint.arb(1, 0.5)
    assert enclosed(wide).rad() == wide.rad()
    with working():
        for number, exact in ((0.1, flint.arb(0.1)), (np.float32(0.1), flint.arb(float(np.float32(0.1)))), (7, 7)):
            assert enclosed(number).is_exact()
            assert enclosed(number) == exact
        third = enclosed(Fraction(1, 3))
        assert third.contains(flint.fmpq(1, 3))
        assert 0 < third.rad() < 1e-37
        root = enclosed(sympy.sqrt(2))
        assert root.overlaps(flint.arb(2).sqrt())
        assert 0 < root.rad() < 1e-37
