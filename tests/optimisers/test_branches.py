"""How roots are followed, spot by spot, and the exact numbers behind them: paths, thresholds and limits of work."""

from __future__ import annotations

import cmath
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy

from eomsym.optimisers.linear import OptimisticGradient
from eomsym.optimisers.stability import radius
from eomsym.optimisers.stability.algebraic import MP, Spot, _closest, exact, modulus, number, products, spots
from eomsym.optimisers.stability.characteristic import X, characteristic, irreducible, principal_factor
from eomsym.optimisers.stability.one_symbol import formula
from eomsym.optimisers.stability.radius import LostBranch, follow, is_singular, nearest

R = sympy.Rational


def followed(roots: Callable[[Any], list[Any]], places: list[Any], corners: list[Any]) -> tuple[Any, float, list[Any]]:
    asked: list[Any] = []

    def watched(x: Any) -> list[Any]:
        asked.append(x)
        return roots(x)

    end, turned = follow(watched, places, roots(corners[0])[0], corners)
    return end, turned, asked


def test_a_step_is_halved_until_the_root_is_nearer_by_far() -> None:
    assert followed(lambda x: [1 + x / 2], [100.0], [0.0, 1.0]) == (1.5, 0.0, [1.0])  # by half of it, and no more
    assert followed(lambda x: [1 + 0.51 * x], [100.0], [0.0, 1.0])[2] == [1.0, 0.5, 1.0]
    assert followed(lambda x: [1 + x / 8, 1.5], [100.0], [0.0, 1.0])[2] == [1.0]  # four times as near as the other
    assert followed(lambda x: [1 + x / 8, 1.499], [100.0], [0.0, 1.0])[2] == [1.0, 0.5, 1.0]
    assert followed(lambda x: [1 + x / 8, 1.499], [100.0], [0.0, 1.0])[0] == 1.125
    asked: list[float] = []
    with pytest.raises(LostBranch, match=r"^$"):
        follow(lambda x: asked.append(x) or [5.0], [100.0], 1.0, [0.0, 1.0])  # type: ignore[func-returns-value]
    assert asked == [0.5**k for k in range(12)]


def test_a_step_is_a_quarter_of_the_way_to_the_nearest_place() -> None:
    assert followed(lambda x: [1.0], [2.0, 9.0], [0.0, 1.0])[2] == [0.5, 0.875, 1.0]
    assert followed(lambda x: [1.0], [4.0], [0.0, 1.0])[2] == [1.0]
    assert followed(lambda x: [1.0], [2.0j], [0.0, 0.25, 0.5j])[2][0] == 0.25


def test_the_angle_by_which_a_root_has_turned() -> None:
    for rate in (1.0, -3.0):
        end, turned, _ = followed(lambda x, rate=rate: [cmath.exp(1j * rate * x)], [100.0], [0.0, 1.0, 2.0])
        assert turned == pytest.approx(2 * rate, rel=1e-9, abs=0)
        assert end == pytest.approx(cmath.exp(2j * rate), rel=1e-9, abs=0)


def test_twenty_thousand_steps_are_the_most() -> None:
    corners = [k * 2.0**-20 for k in range(20_002)]
    assert follow(lambda x: [1.0], [100.0], 1.0, corners[:-1]) == (1.0, 0.0)
    with pytest.raises(LostBranch, match=r"^$"):
        follow(lambda x: [1.0], [100.0], 1.0, corners)


def test_the_way_to_a_spot_and_around_it() -> None:
    for places, index, room in (([2.0], 0, 1.0), ([2.0, 2.5], 0, 0.25), ([2.5, 2.0], 1, 0.25), ([2.0j, -7.0], 0, 1.0)):
        asked: list[Any] = []
        here = places[index]
        assert not is_singular(lambda x, asked=asked: asked.append(complex(x)) or [1.0], places, index)
        ring = [here - room * here / abs(here) * cmath.exp(2j * cmath.pi * k / 32) for k in range(32)]
        way = [ring[0] * k / 16 * cmath.exp(0.7j * (16 - k) / 16) for k in range(1, 16)]
        expected = [*way, *ring, ring[0]]
        gaps = np.abs(np.subtract.outer(np.array(expected), np.array(asked)))
        assert gaps.min(axis=1).max() < 1e-12
        order = gaps.argmin(axis=1)  # each corner in its turn; the ring is closed, and its first corner comes twice
        assert (np.diff(order[:-1]) > 0).all()
        assert gaps[-1, -2:].max() < 1e-12  # once more at the end, to see which root it is


def test_spots_that_are_close_are_told_apart_with_many_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    branch = principal_factor(characteristic(OptimisticGradient().general_linear()))
    for gap, fails, expected in ((9, False, [False] * 2), (11, False, [True] * 2), (11, True, [True, False] * 2)):
        asked: list[bool] = []

        def singular(roots: Any, places: list[Any], index: int, fails: bool = fails, asked: list[bool] = asked) -> bool:
            asked.append(isinstance(places[0], complex))
            if fails and asked[-1]:
                raise LostBranch
            return bool(index)

        monkeypatch.setattr(radius, "is_singular", singular)
        candidates = [sympy.Poly(X - 1 - R(gap, 10**5), X), sympy.Poly(X - 1, X)]
        found = nearest(branch, candidates, {})
        assert asked == expected
        assert found.polynomial == candidates[0]  # the second in the order of their moduli
    monkeypatch.setattr(radius, "is_singular", lambda *_: False)
    assert nearest(branch, candidates, {}) is None
    monkeypatch.setattr(radius, "is_singular", lambda *_: True)
    assert nearest(branch, candidates, {}).polynomial == candidates[1]


def test_exact_numbers_have_forty_digits() -> None:
    assert MP.dps == 40
    x = sympy.Symbol("x")
    assert abs(number(R(1, 3)) * 3 - 1) < MP.mpf(10) ** -39
    assert abs(number(sympy.sqrt(2)) ** 2 - 2) < MP.mpf(10) ** -38
    assert abs(number(1 + sympy.I * sympy.sqrt(3)) ** 3 + 8) < MP.mpf(10) ** -37
    line = sympy.Poly(x - 1, x)
    assert [Spot(line, MP.mpc(2, im)).real for im in (0, 1.9e-25, 2.1e-25, -2.1e-25)] == [True, True, False, False]
    one, two = sympy.Integer(1), sympy.Integer(2)
    assert _closest([two, one], 1 + 0.9e-13, {}) == 1
    assert _closest([two, one], 1 + 1.2e-13, {}) is None
    assert _closest([one, two], 2 * (1 + 0.9e-13), {}) == 2
    assert _closest([], 1.0, {}) is None
    assert _closest([x, x**2], 9.0, {x: sympy.Integer(3)}) == x**2


@pytest.mark.parametrize("roots", [(2, 3), (1, -2, 3), (1, 2, 3, R(-5, 2)), (2, 2, 3, 1, R(1, 2))])
def test_products_of_two_zeros(roots: Any) -> None:
    x = sympy.Symbol("x")
    found = products(sympy.Poly(3 * sympy.prod([x - root for root in roots]), x))
    pairs = [a * b for i, a in enumerate(roots) for b in roots[:i]]
    assert found.as_expr() == sympy.expand(sympy.prod([x - pair for pair in pairs]))


def test_zeros_and_their_moduli() -> None:
    x, a = sympy.symbols("x a")
    for f in (
        x - 3,
        2 * x + 3,
        x**2 - 3 * x + 1,
        2 * x**2 - 2 * x + 3,
        x**3 - 2,
        x**4 + x + 3,
        x**2 + x - sympy.sqrt(2),
    ):
        polynomial = sympy.Poly(f, x, extension=True) if f.has(sympy.sqrt(2)) else sympy.Poly(f, x)
        for spot in spots(polynomial, {}):
            assert abs(number(modulus(spot, {})) - abs(spot.value)) < 1e-20
            if spot.real:
                assert abs(number(exact(spot, {})) - spot.value) < 1e-20
    (spot,) = spots(sympy.Poly(a * x + 2, x), {a: R(3)})
    assert exact(spot, {a: R(3)}) == -2 / a
    assert modulus(spot, {a: R(3)}) == 2 / a
    cubic = spots(sympy.Poly(x**3 - a, x), {a: R(3)})
    assert {modulus(one, {a: R(3)}) for one in cubic} == {None}


def test_factors_without_x_itself_and_once_each() -> None:
    def poly(f: Any) -> sympy.Poly:
        return sympy.Poly(f, X, domain="QQ")

    given = [poly(2 * X * (X - 1)), poly(0), poly(5), poly((X - 1) ** 2 * (X + 3)), poly(4 * X - 4)]
    assert irreducible(given) == [poly(X - 1), poly(X + 3)]


def test_a_formula_compares_six_candidates_at_most() -> None:
    beta = sympy.Symbol("beta")

    def none(*candidates: Any, symbols: Any = (beta,)) -> Any:
        polynomials = [sympy.Poly(f, X) for f in candidates]
        return formula(set(symbols), polynomials, lambda values: None, exact, of_moduli=False)

    assert none(X**6 - 2) == sympy.oo
    assert none(X**4 - 2, X**2 - 3) == sympy.oo
    assert none(X**7 - 2) is None
    assert none(X**4 - 2, X**3 - 3) is None
    assert none(X - 1, symbols=(beta, sympy.Symbol("c"))) is None
