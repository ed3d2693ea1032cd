"""How much arithmetic the instructions of a plan are: the unit in which predictions count."""

from __future__ import annotations

from eomsym.taylor.instructions import SKIP
from eomsym.taylor.plan import Plan

__all__ = ["products", "work"]

#: A multiplication of a matrix product, of an array operation, and the value of a function, against each other: matrix
#: products run from the cache, array operations through memory. With these the work is within a tenth of the time.
MATRIX, ARRAY, VALUE = 1.0, 4.0, 20.0


def products(plan: Plan) -> list[int]:
    """Multiplications of each instruction at degree 0."""
    found = []
    for line in plan.instructions:
        inner = plan.integers[line.integers + 1] if line.primitive.startswith("matmul") else 1
        found.append(plan.tables[line.out].lanes * inner)
    return found


def work(plan: Plan, order: int) -> float:
    """Arithmetic of all terms 0..order at a point.

    Parameters
    ----------
    plan : Plan
    order : int

    Examples
    --------
    >>> from eomsym.losses.expression import Loss
    >>> from eomsym.taylor.plan import terms_plan
    >>> plan = terms_plan(Loss("x**4/4", variables="x"), 2)
    >>> work(plan, 0) < work(plan, 1) < work(plan, 2)
    True
    """
    total = 0.0
    for lanes, line in zip(products(plan), plan.instructions, strict=True):
        if line.primitive == "value":
            total += VALUE * lanes
            continue
        entries = [d if line.plain and d > 0 else d + 1 for d in range(order + 1)]
        product = line.primitive in {"convolve", "matmul"}
        weight = MATRIX if line.primitive.startswith("matmul") else ARRAY
        for d in range(order + 1):
            last = d == order and d > 0
            if last and line.mix == SKIP:
                continue
            mixed = last and line.mix >= 0
            if product and mixed:  # both ends, and what lies between them
                count = 2 + sum(entries[e] * entries[d - e] for e in range(1, d))
            elif product:
                count = sum(entries[e] * entries[d - e] for e in range(d + 1))
            else:
                count = 1 if mixed else entries[d]
            total += weight * lanes * count
    return total
