"""Rooted trees, one by one; all together they are a :class:`~eomsym.exact.forests.Forest`.

The canonical order, used everywhere: by number of nodes; then by *left* part, then by *right* part. The right
part is the last branch of the root, the left part is the tree without it, and branches stand in ascending
order. So the trees with four nodes come as ``[[[.]]], [[..]], [.[.]], [...]``, and formulas come out from
``H**3 g`` to ``L''''[g,g,g]``.

References
----------
J. C. Butcher, *B-Series: Algebraic Analysis of Numerical Methods*, Springer 2021,
doi:10.1007/978-3-030-70956-3, ch. 2. OEIS A000081, https://oeis.org/A000081.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import total_ordering
from itertools import pairwise
from math import factorial
from typing import Any

from eomsym.errors import InputError

__all__ = ["Tree"]


@total_ordering
class Tree:
    """One rooted tree; immutable, hashable, ordered canonically, equal to every tree of the same shape.

    Parameters
    ----------
    *branches : Tree
        The subtrees of the root, in any order.
    colour : int
        Colour of the root: which field (mini-batch) it stands for.

    Examples
    --------
    >>> tree = Tree(Tree(Tree()), Tree())
    >>> tree, tree.nodes, tree.symmetry, tree.density
    (Tree.parse('[.[.]]'), 4, 1, 8)
    >>> tree == Tree(Tree(), Tree(Tree()))
    True
    >>> tree.level_sequence, tree.parents
    ((0, 1, 1, 2), (-1, 0, 0, 2))
    """

    __slots__ = ("_key", "branches", "colour", "nodes")
    _key: tuple[Any, ...]
    branches: tuple[Tree, ...]
    colour: int
    nodes: int

    def __init__(self, *branches: Tree, colour: int = 0) -> None:
        branches = tuple(sorted(branches))
        key: tuple[Any, ...] = (1, colour)
        for branch in branches:
            key = (key[0] + branch.nodes, key, branch._key)
        for name, value in (("branches", branches), ("colour", colour), ("nodes", key[0]), ("_key", key)):
            object.__setattr__(self, name, value)

    @classmethod
    def _joined(cls, left: Tree, right: Tree) -> Tree:
        """Return `left` with `right` as its last branch, which must not be below the others."""
        tree = cls.__new__(cls)
        key = (left.nodes + right.nodes, left._key, right._key)
        fields = (("branches", (*left.branches, right)), ("colour", left.colour), ("nodes", key[0]), ("_key", key))
        for name, value in fields:
            object.__setattr__(tree, name, value)
        return tree

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"trees are immutable; cannot set {name}")

    def __reduce__(self) -> tuple[object, ...]:
        return Tree.parse, (self.brackets,)

    @staticmethod
    def parse(brackets: str) -> Tree:
        """Read a tree in brackets: ``.`` is a leaf, ``[..]`` the cherry; a colour follows its node, as in ``[.1.]2``.

        Raises
        ------
        InputError
            If the text is not one tree.

        Examples
        --------
        >>> Tree.parse("[.[.]]") == Tree(Tree(), Tree(Tree()))
        True
        """
        stack: list[list[Tree]] = [[]]
        at = 0
        for token in re.finditer(r"\s*(?:(\[)|([].])(\d*))\s*", brackets):
            if token.start() != at or (token[2] == "]" and len(stack) == 1):
                break
            at = token.end()
            if token[1]:
                stack.append([])
            else:
                branches = stack.pop() if token[2] == "]" else []
                stack[-1].append(Tree(*branches, colour=int(token[3] or 0)))
        if at < len(brackets):
            raise InputError(
                f"{brackets!r} is not a tree: unexpected {brackets[at]!r} at {at}; write for example '[.[.]]'"
            )
        if len(stack) != 1 or len(stack[0]) != 1:
            raise InputError(f"{brackets!r} is not one tree; write for example '[.[.]]'")
        return stack[0][0]

    @classmethod
    def from_level_sequence(cls, levels: Sequence[int]) -> Tree:
        """Build a tree from the depths of its nodes in depth-first order.

        Examples
        --------
        >>> Tree.from_level_sequence((0, 1, 2, 1)).brackets
        '[.[.]]'
        """
        if not levels or levels[0] != 0 or any(not 1 <= b <= a + 1 for a, b in pairwise(levels)):
            raise InputError(f"{tuple(levels)} is not a level sequence: expected 0, then depths that rise by at most 1")
        grown: list[list[Tree]] = []
        for depth in reversed(levels):
            while len(grown) <= depth + 1:
                grown.append([])
            tree = cls(*grown[depth + 1])
            grown[depth + 1] = []
            grown[depth].append(tree)
        return grown[0][0]

    @property
    def brackets(self) -> str:
        """The tree in brackets, as :meth:`parse` reads it."""
        inner = "".join(branch.brackets for branch in self.branches)
        return (f"[{inner}]" if inner else ".") + (str(self.colour) if self.colour else "")

    @property
    def coloured(self) -> bool:
        """Whether any node has another colour than 0."""
        return self.colour > 0 or any(branch.coloured for branch in self.branches)

    @property
    def left(self) -> Tree:
        """The tree without its last branch."""
        return Tree(*self.branches[:-1], colour=self.colour)

    @property
    def right(self) -> Tree:
        """The last branch."""
        return self.branches[-1]

    @property
    def symmetry(self) -> int:
        """Order of the automorphism group."""
        product = 1
        for branch in set(self.branches):
            product *= factorial(self.branches.count(branch))
        for branch in self.branches:
            product *= branch.symmetry
        return product

    @property
    def density(self) -> int:
        """Product of the numbers of nodes of all subtrees (the tree's factorial)."""
        product = self.nodes
        for branch in self.branches:
            product *= branch.density
        return product

    @property
    def height(self) -> int:
        """Number of edges on the longest path from the root."""
        return max((1 + branch.height for branch in self.branches), default=0)

    @property
    def level_sequence(self) -> tuple[int, ...]:
        """Depths of the nodes in depth-first order."""
        return (0, *(1 + depth for branch in self.branches for depth in branch.level_sequence))

    @property
    def parents(self) -> tuple[int, ...]:
        """Index of the parent of each node in depth-first order; -1 for the root."""
        last: dict[int, int] = {}
        out = []
        for node, depth in enumerate(self.level_sequence):
            out.append(last.get(depth - 1, -1))
            last[depth] = node
        return tuple(out)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tree) and self._key == other._key

    def __lt__(self, other: Tree) -> bool:
        return self._key < other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __repr__(self) -> str:
        return f"Tree.parse({self.brackets!r})"
