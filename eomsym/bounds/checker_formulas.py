"""Check a certificate of counter terms: ``python checker_formulas.py certificate.json``. Needs Python alone.

The method is ``theta+ = sum_l past_l theta_(-l) + eta sum_il weights_il F(Y_i)_(-l)``, ``F = -g``, with the stages
``Y_i = sum_l extrapolation_il theta_(-l) + eta sum_j coupling_ij F(Y_j)``; the index -l counts steps back. The claim
is that up to the order K its iterates are values, a step apart, of solutions of ``theta' = -sum_k eta**k term_k``,
``term_k = sum_t c(t) G(t)`` over the rooted trees t with k + 1 nodes, G(t) the elementary differential of g.

With ``c(t) = (-1)**(n+1) a(t)/symmetry(t)``, n the number of nodes, the solution from theta is, s steps later,
``theta + sum_t eta**n P_t(s)/symmetry(t) F(t)``. What is checked, in fractions, for all trees with at most K + 1 nodes:

* ``P_t' = sum a(kept) prod P_(cut off)`` over all ways to cut branches off t (Hairer, Lubich, Wanner, section III.1.4),
  ``P_t(0) = 0``: that is the differential equation, and it gives P_t;
* ``P_t(1) = sum_l past_l P_t(-l) + sum_il weights_il Q_it(-l)``, ``Q_it`` the product over the branches b of
  ``P_ib = sum_l extrapolation_il P_b(s - l) + sum_j coupling_ij Q_jb``: that is the step.

As ``1 + sum_l l past_l`` is not zero, this determines all c(t). The trees are built here anew: none may be missing.
"""

from __future__ import annotations

import json
import sys
from fractions import Fraction
from itertools import combinations_with_replacement, groupby
from math import comb, factorial, prod
from typing import Any

__all__ = ["check"]

Tree = tuple[Any, ...]  # its branches, sorted
Polynomial = list[Fraction]  # in s


def require(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"the certificate does not hold: {what}")


def parse(text: str) -> Tree:
    """A dot is a leaf, brackets hold the branches of a node."""
    stack: list[list[Tree]] = [[]]
    for sign in text:
        if sign == "[":
            stack.append([])
        elif sign == "]" and len(stack) > 1:
            branches = stack.pop()
            stack[-1].append(tuple(sorted(branches)))
        else:
            require(sign == ".", f"the tree {text}")
            stack[-1].append(())
    require(len(stack) == 1 and len(stack[0]) == 1, f"the tree {text}")
    return stack[0][0]


def trees(nodes: int, known: dict[int, list[Tree]]) -> list[Tree]:
    """All rooted trees with this many nodes."""
    if nodes not in known:
        found: set[Tree] = {()} if nodes == 1 else set()
        for count in range(1, nodes):
            smaller = [t for n in range(1, nodes - count + 1) for t in trees(n, known)]
            for branches in combinations_with_replacement(smaller, count):
                if sum(map(size, branches)) == nodes - 1:
                    found.add(tuple(sorted(branches)))
        known[nodes] = sorted(found)
    return known[nodes]


def size(tree: Tree) -> int:
    return 1 + sum(map(size, tree))


def symmetry(tree: Tree) -> int:
    return prod(symmetry(branch) ** len(same) * factorial(len(same))
                for branch, same in ((b, list(s)) for b, s in groupby(tree)))  # fmt: skip


def cuts(tree: Tree) -> list[tuple[Tree, tuple[Tree, ...]]]:
    """What is left and what is cut off, for all ways to cut branches off."""
    ways: list[tuple[list[Tree], tuple[Tree, ...]]] = [([], ())]
    for branch in tree:
        inner = cuts(branch)
        ways = [(kept, (*off, branch)) for kept, off in ways] + [
            ([*kept, one], (*off, *more)) for kept, off in ways for one, more in inner
        ]
    return [(tuple(sorted(kept)), off) for kept, off in ways]


def plus(p: Polynomial, q: Polynomial, scale: Fraction = Fraction(1)) -> Polynomial:
    longer = max(len(p), len(q))
    wide = [[*x, *[Fraction(0)] * (longer - len(x))] for x in (p, q)]
    return [x + scale * y for x, y in zip(*wide)]  # noqa: B905


def times(p: Polynomial, q: Polynomial) -> Polynomial:
    total = [Fraction(0)] * (len(p) + len(q) - 1)
    for i, x in enumerate(p):
        for j, y in enumerate(q):
            total[i + j] += x * y
    return total


def product(factors: list[Polynomial]) -> Polynomial:
    total = [Fraction(1)]
    for factor in factors:
        total = times(total, factor)
    return total


def back(p: Polynomial, steps: int) -> Polynomial:
    """``p(s - steps)``."""
    total = [Fraction(0)] * len(p)
    for i, x in enumerate(p):
        for j in range(i + 1):
            total[j] += x * comb(i, j) * (-steps) ** (i - j)
    return total


def value(p: Polynomial, s: int) -> Fraction:
    return sum((x * s**i for i, x in enumerate(p)), Fraction(0))


class Motion:
    """The polynomials P_t of the claimed motion, and Q_it of the stages on it."""

    def __init__(self, method: dict[str, Any], field: dict[Tree, Fraction]) -> None:
        self.past = [Fraction(x) for x in method["past"]]
        self.weights, self.extrapolation, self.coupling = (
            [[Fraction(x) for x in row] for row in method[name]] for name in ("weights", "extrapolation", "coupling")
        )
        require(sum(self.past) == 1, "the weights of the past sum to one")
        require(all(sum(row) == 1 for row in self.extrapolation), "each extrapolation sums to one")
        require(1 + sum(lag * x for lag, x in enumerate(self.past)) != 0, "a method that determines its motion")
        self.field = field
        self.paths: dict[Tree, Polynomial] = {}
        self.slopes: dict[tuple[int, Tree], Polynomial] = {}

    def path(self, tree: Tree) -> Polynomial:
        """P_t."""
        if tree not in self.paths:
            slope: Polynomial = []
            for kept, off in cuts(tree):
                slope = plus(slope, product([self.path(branch) for branch in off]), self.field[kept])
            self.paths[tree] = [Fraction(0), *(x / (i + 1) for i, x in enumerate(slope))]
        return self.paths[tree]

    def slope(self, stage: int, tree: Tree) -> Polynomial:
        """Q_it."""
        if (stage, tree) not in self.slopes:
            self.slopes[stage, tree] = product([self.stage(stage, branch) for branch in tree])
        return self.slopes[stage, tree]

    def stage(self, stage: int, tree: Tree) -> Polynomial:
        """P_it."""
        total: Polynomial = []
        for lag, x in enumerate(self.extrapolation[stage]):
            total = plus(total, back(self.path(tree), lag), x)
        for other, x in enumerate(self.coupling[stage]):
            total = plus(total, self.slope(other, tree), x) if x else total
        return total

    def missed(self, tree: Tree) -> Fraction:
        """What one step misses the motion by."""
        after = sum((x * value(self.path(tree), -lag) for lag, x in enumerate(self.past)), Fraction(0))
        for stage, row in enumerate(self.weights):
            after += sum((x * value(self.slope(stage, tree), -lag) for lag, x in enumerate(row)), Fraction(0))
        return after - value(self.path(tree), 1)


def check(certificate: dict[str, Any]) -> list[float]:
    """The order up to which the terms are proven, alone in a list; ValueError where anything does not hold."""
    order = int(certificate["order"])
    field: dict[Tree, Fraction] = {}
    for text, number in certificate["terms"].items():
        tree = parse(text)
        require(tree not in field, f"each tree once: {text}")
        field[tree] = (-1) ** (size(tree) + 1) * symmetry(tree) * Fraction(number)
    known: dict[int, list[Tree]] = {}
    every = [tree for nodes in range(1, order + 2) for tree in trees(nodes, known)]
    require(set(every) == set(field), f"all trees with at most {order + 1} nodes, and no others")
    motion = Motion(certificate["method"], field)
    for tree in every:
        require(motion.missed(tree) == 0, f"the coefficient of {tree}")
    return [order]


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        print(f"holds: the counter terms to order {check(json.load(file))[0]}")
