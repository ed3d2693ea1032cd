"""Mini-batch epochs: averages over the order in which the batches are visited."""

from __future__ import annotations

from itertools import permutations

import sympy

from eomsym import checks
from eomsym.exact.numbers import Exact
from eomsym.exact.trees import Tree
from eomsym.formulas.terms import Term, counter_terms
from eomsym.optimisers.linear import Epoch

__all__ = ["shuffled_epoch"]


def shuffled_epoch(batches: int, order: int) -> list[Term]:
    """Average the counter terms of an epoch over all orders of its batches.

    Parameters
    ----------
    batches : int
        Number of batches; the full gradient is the mean of theirs.
    order : int
        The highest power of ``eta``, the learning rate of the whole epoch: `batches` times that of one batch.

    Returns
    -------
    list of Term
        Term ``k`` multiplies ``eta**k``; its trees have the batch as the colour of each node.

    Raises
    ------
    InputError
        If there are no batches, or more than six, of which there are too many orders.

    Examples
    --------
    >>> print(shuffled_epoch(2, 1)[1])
    1/8 H₀g₀ + 1/8 H₁g₁

    References
    ----------
    S. L. Smith, B. Dherin, D. G. T. Barrett, S. De, *On the Origin of Implicit Regularization in Stochastic
    Gradient Descent*, ICLR 2021, arXiv:2101.12176, equations (1) and (2): on average the modified loss is the
    loss plus ``epsilon / (4 m) sum_k |g_k|**2``, with ``epsilon = eta / m`` the learning rate of one batch.
    """
    batches = checks.count(batches, "batches", 1, 6)  # 720 orders
    relabelings = list(permutations(range(batches)))
    averaged = []
    for term in counter_terms(order, method=Epoch(batches)):
        orbits: dict[Tree, list[Tree]] = {}
        for tree in term:
            first = min(_relabel(tree, names) for names in relabelings)
            orbits.setdefault(first, []).append(tree)
        values: dict[Tree, Exact] = {}
        for orbit in orbits.values():
            mean = sympy.Add(*(term[tree] for tree in orbit)) / len(orbit)
            values |= dict.fromkeys(orbit, mean)
        averaged.append(Term(term.order, {tree: values[tree] for tree in term}))
    return averaged


def _relabel(tree: Tree, names: tuple[int, ...]) -> Tree:
    return Tree(*(_relabel(branch, names) for branch in tree.branches), colour=names[tree.colour])
