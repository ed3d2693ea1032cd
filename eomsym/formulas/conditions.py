"""What makes a method accurate: the order conditions, and the order that a method has.

References
----------
E. Hairer, S. P. Norsett, G. Wanner, *Solving Ordinary Differential Equations I*, 2nd ed., Springer 1993,
section II.2, doi:10.1007/978-3-540-78862-1.
"""

from __future__ import annotations

from collections.abc import Iterator

import sympy

from eomsym import checks
from eomsym.exact.coefficients import universal
from eomsym.exact.forests import forest
from eomsym.exact.trees import Tree
from eomsym.formulas.coefficients import spell, style_of
from eomsym.optimisers.base import Method

__all__ = ["accuracy", "order_conditions"]


def order_conditions(order: int, format: str = "unicode") -> dict[Tree, str]:
    """Write the conditions for an order of a Runge-Kutta method: one for each tree to this size.

    Examples
    --------
    >>> list(order_conditions(3).values())
    ['Σ bᵢ = 1', 'Σ bᵢcᵢ = 1/2', 'Σ bᵢaᵢⱼcⱼ = 1/6', 'Σ bᵢcᵢ² = 1/3']
    """
    order = checks.count(order, "order", 1, 12)  # 7,813 conditions
    return {tree: _condition(tree, format) for n in range(1, order + 1) for tree in forest(order).trees(n)}


def _condition(tree: Tree, format: str) -> str:
    """Write one order condition; leaves become ``c``, the row sums of ``a``."""
    style = style_of(format)
    letters = iter("ijklmnprstuvx")

    def factors(node: Tree, index: str) -> Iterator[str]:
        leaves = sum(not branch.branches for branch in node.branches)
        if leaves:
            yield style.power(style.indexed("c", index), leaves)
        for branch in node.branches:
            if branch.branches:
                below = next(letters)
                yield style.indexed("a", index + below)
                yield from factors(branch, below)

    root = next(letters)
    product = style.product([style.indexed("b", root), *factors(tree, root)])
    value = spell(sympy.Rational(1, tree.density), style)[1]
    return style.whole(style.equation(f"{style.total} {product}", value or style.number(1)))


#: Orders beyond are not told apart by anything that runs.
MOST_NODES = 15


def accuracy(method: Method, limit: int = 10) -> int:
    """Return the order of accuracy of a method, relative to gradient flow at its effective learning rate.

    Parameters
    ----------
    method : Method
        The optimiser.
    limit : int
        Highest order to look for; this is the answer if all conditions to it hold.

    Examples
    --------
    >>> from eomsym.optimisers.linear import GradientDescent, RungeKutta
    >>> half = sympy.Rational(1, 2)
    >>> accuracy(GradientDescent()), accuracy(RungeKutta([[half]], [1]))
    (1, 2)
    """
    for nodes in range(2, checks.count(limit, "limit", 1, MOST_NODES) + 1):
        table = universal(nodes, method)
        if any(table.value(i) != 0 for i in range(int(table.starts[nodes]), int(table.starts[nodes + 1]))):
            return nodes - 1
    return limit
