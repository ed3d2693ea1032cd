"""Universal coefficients of any method, over any exact domain, from the power series of its shift operators.

Each ``P_t`` is a list of coefficients; for all trees of one size these are arrays of exact elements. Rational
functions are kept as polynomials: with ``d`` the denominator of the method, coefficient ``i`` of ``P_t`` is a
polynomial over ``d**(2|t|-i)``, since each derivative costs one ``d`` and each step one more. So no greatest
common divisor is needed before the end.
"""

from __future__ import annotations

from collections.abc import Callable
from math import comb, factorial
from typing import Any

import numpy as np
import sympy
from numpy.typing import NDArray

from eomsym.errors import InternalError
from eomsym.exact.forests import Forest, require_memory
from eomsym.exact.general_linear import LinearMethod
from eomsym.exact.numbers import Exact, common_domain

__all__ = ["expand"]

Array = NDArray[Any]
Reader = Callable[[Exact, int], Any]


def expand(trees: Forest, method: LinearMethod) -> tuple[Array, Any, Any]:
    """Compute the coefficients of all trees of a forest.

    Returns
    -------
    numerators : ndarray of ring elements, shape (trees,)
        ``alpha(t)`` times the denominator.
    ring : sympy domain
        What they are elements of.
    denominator : ring element

    Raises
    ------
    SizeError
        If the arrays would not fit in memory.

    Examples
    --------
    >>> from eomsym.optimisers.linear import OptimisticGradient
    >>> from eomsym.exact.forests import forest
    >>> [str(x) for x in expand(forest(3), OptimisticGradient())[0]]
    ['1', '1/2', '-2/3', '-11/6']
    """
    n_max = trees.max_nodes
    series = method.series(n_max + 1)
    stages = range(series.stages)
    require_memory(len(trees) * (series.stages + 1) * n_max * 250, f"all {len(trees):,} trees of {method.name}")
    ring, d, read = _ring(method)
    chi = [[read(x, k + 1) * factorial(k) for k, x in enumerate(row)] for row in series.chi]
    psi = [[read(x, k) * factorial(k) for k, x in enumerate(row)] for row in series.psi]
    coupling = [[read(x, 2) for x in row] for row in series.coupling]
    inverse = [read(sympy.Rational(1, k), 0) for k in range(1, n_max + 1)]

    products: list[list[list[Array]]] = []  # by size, stage and power: one element for each tree
    branches: list[list[list[Array]]] = []
    numerators = np.empty(len(trees), dtype=object)
    for n in range(1, n_max + 1):
        here = trees.of_size(n)
        size = here.stop - here.start
        product = [[_full(size, ring.one if n == 1 else ring.zero) for _ in range(n)] for _ in stages]
        for block, lefts, rights in trees.blocks(n):
            left, right = trees.left[block] - lefts.start, trees.right[block] - rights.start
            put = slice(block.start - here.start, block.stop - here.start)
            m = int(trees.nodes[lefts.start])
            for i in stages:
                for p, trunk in enumerate(products[m - 1][i]):
                    for q, branch in enumerate(branches[n - m - 1][i]):
                        product[i][p + q][put] += trunk[left] * branch[right]
        # A stage evaluates one field only: the trees whose root has its colour.
        active = [trees.root_colour[here] == colour for colour in series.colours]
        seen = [[np.where(active[i], row, ring.zero) for row in product[i]] for i in stages]
        flow = [_full(size, ring.zero)]
        for k, speed in enumerate(zip(*(_apply(chi[i], seen[i]) for i in stages), strict=True)):
            flow.append(sum(speed[1:], speed[0]) * inverse[k])
        stage = [_apply(psi[i], flow) for i in stages]
        for i in stages:
            for j in stages:
                if coupling[i][j]:
                    for k in range(n):
                        stage[i][k] = stage[i][k] + seen[j][k] * coupling[i][j]
        products.append(product)
        branches.append(stage)
        numerators[here] = flow[1] * d ** (2 * (n_max - n))
    return numerators, ring, d ** (2 * n_max - 1)


def _apply(row: list[Any], poly: list[Array]) -> list[Array]:
    """Apply a power series in the derivative to polynomials, all of one degree."""
    return [
        sum(
            (poly[i + k] * (row[k] * comb(i + k, k)) for k in range(1, len(poly) - i) if row[k]),
            poly[i] * row[0],
        )
        for i in range(len(poly))
    ]


def _full(size: int, value: Any) -> Array:
    out = np.empty(size, dtype=object)
    out[:] = [value] * size  # a ring element may be a dict, which np.full would unpack
    return out


def _ring(method: LinearMethod) -> tuple[Any, Any, Reader]:
    """Return the ring, the denominator ``d`` of the method, and what reads ``x * d**power`` into the ring."""
    if method.is_flow:
        return sympy.QQ, sympy.QQ.one, lambda x, power: sympy.QQ.from_sympy(x)
    form = method.general_linear()
    field = common_domain(form.entries())
    if not field.is_FractionField:
        return field, field.one, lambda x, power: field.from_sympy(x)
    ring = sympy.QQ[field.symbols]
    slope = sum((field.from_sympy(x) * lag for lag, x in enumerate(form.past)), field.one)
    d = slope.numer
    for x in form.entries():
        d = d.lcm(field.from_sympy(x).denom)

    def read(x: Exact, power: int) -> Any:
        element = field.from_sympy(x) * field(d) ** power
        if not element.denom.is_ground:
            raise InternalError(f"{x} times the power {power} of {d} is not a polynomial")
        return ring.from_sympy(element.numer.as_expr() / element.denom.as_expr())

    return ring, ring.from_sympy(d.as_expr()), read
