"""Terms of a concrete loss by differentiating it: the definition, slow, and the yardstick for faster ways."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product

import sympy

from eomsym.errors import ShapeError
from eomsym.exact.numbers import Exact
from eomsym.exact.trees import Tree

__all__ = ["apply_term", "elementary_differential"]

Vector = tuple[Exact, ...]


def elementary_differential(
    gradient: Sequence[Exact] | Sequence[Sequence[Exact]], variables: Sequence[sympy.Symbol]
) -> Callable[[Tree], Vector]:
    """Return the function that takes a tree to its elementary differential for a given gradient.

    Parameters
    ----------
    gradient : sequence of sympy.Expr, shape (n,), or of such sequences, shape (colours, n)
        The gradient, or one for each colour.
    variables : sequence of sympy.Symbol, shape (n,)
        The parameters.

    Examples
    --------
    >>> x = sympy.Symbol("x")
    >>> elementary_differential([x**3], [x])(Tree.parse("[..]"))
    (6*x**7,)
    """
    rows: list[Sequence[Exact]] = [g if isinstance(g, Sequence) else gradient for g in gradient]
    if any(len(row) != len(variables) for row in rows):
        raise ShapeError(f"the gradient has {len(rows[0])} components and there are {len(variables)} variables")
    known: dict[Tree, Vector] = {}
    derivatives: dict[tuple[int, int, tuple[int, ...]], Exact] = {}

    def derivative(colour: int, component: int, along: tuple[int, ...]) -> Exact:
        key = (colour, component, tuple(sorted(along)))
        if key not in derivatives:
            value = sympy.sympify(rows[colour][component])
            derivatives[key] = sympy.diff(value, *(variables[i] for i in key[2])) if along else value
        return derivatives[key]

    def differential(tree: Tree) -> Vector:
        if tree not in known:
            branches = [differential(branch) for branch in tree.branches]
            total = [sympy.S.Zero] * len(variables)
            for along in product(range(len(variables)), repeat=len(branches)):
                factor = sympy.Mul(*(branch[i] for branch, i in zip(branches, along, strict=True)))
                if factor != 0:
                    for k in range(len(variables)):
                        total[k] += derivative(tree.colour, k, along) * factor
            known[tree] = tuple(sympy.expand(x) for x in total)
        return known[tree]

    return differential


def apply_term(
    term: Mapping[Tree, Exact],
    gradient: Sequence[Exact] | Sequence[Sequence[Exact]],
    variables: Sequence[sympy.Symbol],
) -> Vector:
    """Return a counter term of a concrete gradient, by the definition: a sum over trees.

    Examples
    --------
    >>> from eomsym.formulas.terms import counter_terms
    >>> x = sympy.Symbol("x")
    >>> [apply_term(term, [-x**2], [x])[0] for term in counter_terms(3)]
    [-x**2, x**3, -3*x**4/2, 8*x**5/3]
    """
    differential = elementary_differential(gradient, variables)
    total: list[Exact] = [sympy.S.Zero] * len(variables)
    for tree, value in term.items():
        if value != 0:
            total = [x + value * y for x, y in zip(total, differential(tree), strict=True)]
    return tuple(sympy.expand(x) for x in total)
