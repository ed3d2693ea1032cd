"""The time-step-size Taylor table: all counter terms of a program in polynomial time, over any ring.

With ``y(s, eta) = sum y_ij s**i eta**j`` the exact modified flow of a discrete method, of which a step is the shift
``exp(eta d/ds)``, and ``u`` the change of a step over eta,

    a = chi(eta d/ds) u,        y_(i+1, j) = a_ij / (i+1),        chi(z) = z/(exp(z) - 1),

and ``u`` follows from ``y`` by the operations of the circuit, each of which needs only known coefficients: one list of
instructions is swept degree by degree, and ``-term_j`` is ``a_0j``. This module is the plain reading of that list; the
back ends of :mod:`eomsym.codegen` are tested against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from eomsym.errors import InternalError
from eomsym.taylor import primitives
from eomsym.taylor.instructions import SKIP, Instruction, entries
from eomsym.taylor.plan import Plan
from eomsym.taylor.rings.numbers import Rationals

__all__ = ["counter_terms_at", "sweep", "term_rows"]


def sweep(plan: Plan, d: int, order: int, tables: list[np.ndarray], numbers: Any, weights: Any, ring: Any) -> None:
    """Degree d of all tables of arrays of ring elements."""
    integers, zero = plan.integers, ring(0)
    scratch = np.full(plan.scratch_for(order), zero, dtype=object)
    for line in plan.instructions:
        last = d == order and d > 0
        if last and line.mix == SKIP:
            continue
        z, x, y = tables[line.out], tables[line.x], tables[line.y]
        if line.primitive == "value":
            _value(plan, line, d, z, x, numbers, ring)
            continue
        mixed = last and line.mix >= 0
        at = (d, int(line.plain and d > 0), mixed, weights[max(line.mix, 0)], zero, scratch)
        getattr(primitives, line.primitive)(at, z, x, y, integers[line.integers :], numbers[line.numbers :])


def _value(plan: Plan, line: Instruction, d: int, z: np.ndarray, x: np.ndarray, numbers: Any, ring: Any) -> None:
    """Degree 0 of a function."""
    name = plan.function(line)
    for q in range(z.shape[1] if d == 0 else 0):
        z[0, q] = ring.value(name, x[0, q], numbers[line.numbers])


def term_rows(plan: Plan, order: int) -> np.ndarray:
    """Where the coefficients of ``eta**0 … eta**order`` stand; a sum of the last degree is in the place of an entry."""
    first = np.array([d * (d + 1) // 2 for d in range(order + 1)], dtype=np.int64)
    if len(plan.outputs) == 1:
        first[-1] += order
    return first


def counter_terms_at(plan: Plan, theta: Sequence[Any], order: int, ring: Any = None) -> np.ndarray:
    """Terms 0..order at one point over any ring, by the rules as plain Python.

    Parameters
    ----------
    plan : Plan
        From `terms_plan`, of this order or a higher one.
    theta : sequence of n ring elements
    order : int
    ring : ring, optional
        See :mod:`eomsym.taylor.rings`; exact fractions by default.

    Returns
    -------
    numpy.ndarray
        Shape (order+1, n), object dtype.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from eomsym.losses.expression import Loss
    >>> from eomsym.taylor.plan import terms_plan
    >>> [str(x) for x in counter_terms_at(terms_plan(Loss("-x**3/3", variables="x"), 3), [Fraction(1)], 3).ravel()]
    ['-1', '1', '-3/2', '8/3']
    """
    if order > plan.order:
        raise InternalError(f"the plan has order {plan.order}, and terms to order {order} were asked for")
    ring = ring or Rationals()
    zero = ring(0)

    def elements(numbers: Any) -> np.ndarray:
        source = np.asarray(numbers, dtype=object)
        out = np.empty(source.shape, dtype=object)
        for place in np.ndindex(source.shape):
            out[place] = ring(source[place])
        return out

    tables = [np.full((entries(order), table.lanes), zero, dtype=object) for table in plan.tables]
    tables[0][0, :] = list(theta)
    numbers, weights = elements(plan.numbers), elements(plan.weights(order))
    for d in range(order + 1):
        sweep(plan, d, order, tables, numbers, weights, ring)
    terms: np.ndarray = tables[plan.outputs[0]][term_rows(plan, order)]
    return terms
