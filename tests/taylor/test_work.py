"""The arithmetic of a plan, counted one product of entries after the other."""

from __future__ import annotations

from itertools import product as pairs

import numpy as np
import pytest

import eomsym as eom
from eomsym.taylor.instructions import SKIP
from eomsym.taylor.plan import Plan, terms_plan
from eomsym.taylor.work import products, work

RNG = np.random.default_rng(0)
PLANS = {
    "quartic": terms_plan(eom.Loss("x**4/4 + x*y", variables="x y"), 4),
    "functions": terms_plan(eom.Loss("exp(x)*sin(y) + x/y", variables="x y"), 4, eom.HeavyBall("1/2")),
    "network": terms_plan(
        eom.Network((3, 4, 2), RNG.random((5, 3)), RNG.random((5, 2)), activation="tanh"), 3, eom.Adam()
    ),
}


def entries(k: int, plain: bool) -> list[tuple[int, int]]:
    """What there is of degree k: without the pure power of eta where that vanishes."""
    return [(k, i) for i in range(1 if plain and k else 0, k + 1)]


def counted(plan: Plan, order: int) -> float:
    total = 0.0
    for line in plan.instructions:
        lanes = plan.tables[line.out].lanes
        if line.primitive.startswith("matmul"):
            lanes *= plan.integers[line.integers + 1]
        if line.primitive == "value":
            total += 20 * lanes
            continue
        each = (1 if line.primitive.startswith("matmul") else 4) * lanes
        for d in range(order + 1):
            top = d == order > 0
            if top and line.mix == SKIP:
                continue
            for k in range(d + 1) if line.primitive in ("convolve", "matmul") else (0,):
                if top and line.mix >= 0 and (k in (0, d) or line.primitive not in ("convolve", "matmul")):
                    total += each  # one number is a weighted sum
                elif line.primitive in ("convolve", "matmul"):
                    total += each * sum(1 for _ in pairs(entries(k, line.plain), entries(d - k, line.plain)))
                else:
                    total += each * len(entries(d, line.plain))
    return total


@pytest.mark.parametrize("name", PLANS)
def test_the_work_is_the_number_of_products(name: str) -> None:
    plan = PLANS[name]
    assert len(products(plan)) == len(plan.instructions)
    for order in range(plan.order + 1):
        assert work(plan, order) == counted(plan, order)
    assert any(line.mix >= 0 for line in plan.instructions)
