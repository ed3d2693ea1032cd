"""All rooted trees to some size, as arrays in canonical order (see :mod:`eomsym.exact.trees`).

References
----------
D. E. Knuth, *The Art of Computer Programming* 1, section 2.3.4.4. OEIS A000081, https://oeis.org/A000081.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from eomsym import checks
from eomsym.errors import InputError, SizeError
from eomsym.exact.trees import Tree

__all__ = ["Forest", "count_trees", "forest", "require_memory"]

MAX_NODES = 20  # symmetries and densities of larger trees leave int64


@dataclass(frozen=True, eq=False)
class Forest:
    """All rooted trees with at most `max_nodes` nodes, as arrays in canonical order.

    Parameters
    ----------
    max_nodes : int
        Most nodes.
    colours : int
        Number of colours of a node.
    starts : ndarray of int64, shape (max_nodes + 2,)
        Trees with ``n`` nodes have the indices ``starts[n] .. starts[n + 1] - 1``; ``starts[0] = starts[1] =
        0``.
    left, right : ndarray of int32, shape (trees,)
        Indices of the two parts of each tree; -1 for single nodes.

    Examples
    --------
    >>> trees = forest(4)
    >>> len(trees), trees.left.tolist(), trees.right.tolist()
    (8, [-1, 0, 0, 1, 0, 0, 1, 3], [-1, 0, 1, 0, 2, 3, 1, 0])
    >>> [tree.brackets for tree in trees.trees(4)]
    ['[[[.]]]', '[[..]]', '[.[.]]', '[...]']
    """

    max_nodes: int
    colours: int
    starts: NDArray[np.int64]
    left: NDArray[np.int32]
    right: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.left)

    def of_size(self, nodes: int) -> slice:
        """Return the indices of the trees with that many nodes."""
        if not 1 <= nodes <= self.max_nodes:
            raise InputError(f"{nodes} nodes were asked for; this forest holds trees with 1 to {self.max_nodes}")
        return slice(int(self.starts[nodes]), int(self.starts[nodes + 1]))

    def blocks(self, nodes: int) -> Iterator[tuple[slice, slice, slice]]:
        """Split the trees with that many nodes into blocks whose left parts are of one size.

        Yields
        ------
        block, lefts, rights : slice
            Indices of the trees, of all trees of the size of their left, and of their right parts.
        """
        here = self.of_size(nodes)
        sizes = [*range(1, nodes)]
        cuts = here.start + np.searchsorted(self.left[here], self.starts[[*sizes, nodes]])
        for size, begin, end in zip(sizes, cuts[:-1], cuts[1:], strict=True):
            if end > begin:
                yield slice(int(begin), int(end)), self.of_size(size), self.of_size(nodes - size)

    def trees(self, nodes: int) -> Iterator[Tree]:
        """Iterate over the trees with that many nodes; they share their parts."""
        where = self.of_size(nodes)
        known: dict[int, Tree] = {}
        for index in range(where.start, where.stop):
            yield self._grow(index, known)

    def tree(self, index: int) -> Tree:
        """Return one tree as an object."""
        return self._grow(index, {})

    def _grow(self, index: int, known: dict[int, Tree]) -> Tree:
        right = int(self.right[index])
        if right < 0:
            return Tree(colour=index)
        parts = []
        for part in (int(self.left[index]), right):
            if part not in known:
                known[part] = self._grow(part, known)
            parts.append(known[part])
        return Tree._joined(*parts)

    def index(self, tree: Tree) -> int:
        """Return the index of a tree."""
        if not tree.branches:
            if tree.colour < self.colours:
                return tree.colour
        elif tree.nodes <= self.max_nodes:
            left, right = self.index(tree.left), self.index(tree.right)
            where = self.of_size(tree.nodes)
            lefts = self.left[where]
            low, high = np.searchsorted(lefts, [left, left + 1])
            return int(where.start + low + np.searchsorted(self.right[where][low:high], right))
        raise InputError(f"{tree!r} is not among the trees with {self.max_nodes} nodes and {self.colours} colours")

    @cached_property
    def nodes(self) -> NDArray[np.int8]:
        """Number of nodes of each tree."""
        return np.repeat(np.arange(self.max_nodes + 1, dtype=np.int8), np.diff(self.starts))

    @cached_property
    def root_colour(self) -> NDArray[np.int8]:
        """Colour of the root of each tree."""
        colour = np.zeros(len(self), dtype=np.int8)
        colour[: self.colours] = np.arange(self.colours)
        for n in range(2, self.max_nodes + 1):
            here = self.of_size(n)
            colour[here] = colour[self.left[here]]
        return colour

    @cached_property
    def symmetry(self) -> NDArray[np.int64]:
        """Order of the automorphism group of each tree."""
        symmetry = np.ones(len(self), dtype=np.int64)
        repeats = np.zeros(len(self), dtype=np.int8)  # how often the last branch occurs
        for n in range(2, self.max_nodes + 1):
            here = self.of_size(n)
            left, right = self.left[here], self.right[here]
            repeats[here] = 1 + repeats[left] * (self.right[left] == right)
            symmetry[here] = symmetry[left] * symmetry[right] * repeats[here]
        return symmetry

    @cached_property
    def density(self) -> NDArray[np.int64]:
        """Product of the numbers of nodes of all subtrees of each tree."""
        density = np.ones(len(self), dtype=np.int64)
        for n in range(2, self.max_nodes + 1):
            here = self.of_size(n)
            left, right = self.left[here], self.right[here]
            density[here] = density[left] // self.nodes[left] * density[right] * n
        return density


def count_trees(nodes: int, colours: int = 1) -> int:
    """Return how many rooted trees have exactly that many nodes.

    Examples
    --------
    >>> [count_trees(n) for n in range(1, 9)], sum(count_trees(n) for n in range(1, 21))
    ([1, 1, 2, 4, 9, 20, 48, 115], 20247374)

    References
    ----------
    OEIS A000081; D. E. Knuth, *The Art of Computer Programming* 1, 2.3.4.4, equation (3).
    """
    counts = [0, colours]
    for n in range(1, nodes):
        total = sum(
            sum(d * counts[d] for d in range(1, k + 1) if k % d == 0) * counts[n - k + 1] for k in range(1, n + 1)
        )
        counts.append(total // n)
    return counts[nodes]


def require_memory(needed: int, what: str) -> None:
    """Refuse a computation that would not fit, before anything is allocated.

    Raises
    ------
    SizeError
        If `needed` bytes are more than what the machine has free.
    """
    free = _free_memory()
    if needed > free:
        raise SizeError(
            f"{what} needs about {needed / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are free; ask for less"
        )


def _free_memory() -> int:
    try:
        with open("/proc/meminfo") as info:
            lines = dict(line.split(":") for line in info)
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError):
        return 4 * 2**30  # what the largest supported table needs


@lru_cache(maxsize=4)
def forest(max_nodes: int, colours: int = 1) -> Forest:
    """Enumerate all rooted trees with at most `max_nodes` nodes.

    A tree with left part ``l`` and right part ``r`` is canonical if ``r`` is not below the last branch of
    ``l``: for each left part, the right parts of one size are a suffix of all trees of that size.

    Raises
    ------
    InputError
        If `max_nodes` is not between 1 and 20, or there are no colours.
    SizeError
        If the arrays would not fit in memory.

    Examples
    --------
    >>> forest(10).starts.tolist()
    [0, 0, 1, 2, 4, 8, 17, 37, 85, 200, 486, 1205]
    """
    max_nodes = checks.count(max_nodes, "max_nodes", 1, MAX_NODES)
    colours = checks.count(colours, "colours", 1, 127)  # they are kept in int8
    counts = [count_trees(n, colours) for n in range(1, max_nodes + 1)]
    total = sum(counts)
    require_memory(12 * total, f"a table of {total:,} trees")
    if total >= 2**31:
        raise SizeError(f"{total:,} trees need 64-bit indices, {24 * total / 2**30:.0f} GiB; ask for fewer nodes")
    starts = np.zeros(max_nodes + 2, dtype=np.int64)
    starts[2:] = np.cumsum(counts)
    left = np.full(total, -1, dtype=np.int32)
    right = np.full(total, -1, dtype=np.int32)
    for n in range(2, max_nodes + 1):
        at = int(starts[n])
        for size in range(1, n):
            lefts = np.arange(starts[size], starts[size + 1])
            end = starts[n - size + 1]
            first = np.maximum(right[lefts], starts[n - size])  # smallest right part that each left admits
            many = np.maximum(end - first, 0)
            block = slice(at, at + int(many.sum()))
            left[block] = np.repeat(lefts, many)
            begin = np.repeat(first - (np.cumsum(many) - many), many)
            right[block] = begin + np.arange(block.stop - block.start)
            at = block.stop
    left.flags.writeable = right.flags.writeable = False
    return Forest(max_nodes, colours, starts, left, right)
