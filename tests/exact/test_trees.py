"""Trees one by one and all together."""

from __future__ import annotations

import pickle
from itertools import pairwise, permutations
from math import factorial

import pytest

from eomsym.errors import InputError
from eomsym.exact.forests import count_trees, forest
from eomsym.exact.trees import Tree

ALL = [tree for n in range(1, 8) for tree in forest(7).trees(n)]


def test_counts() -> None:
    """OEIS A000081; coloured: A000151 for two colours."""
    assert [count_trees(n) for n in range(1, 13)] == [1, 1, 2, 4, 9, 20, 48, 115, 286, 719, 1842, 4766]
    assert [count_trees(n, 2) for n in range(1, 6)] == [2, 4, 14, 52, 214]
    assert len(forest(4, 3)) == sum(count_trees(n, 3) for n in range(1, 5))


@pytest.mark.parametrize("colours", [1, 2])
def test_arrays_and_objects_agree(colours: int) -> None:
    table = forest(6, colours)
    trees = [table.tree(i) for i in range(len(table))]
    assert trees == sorted(set(trees))
    assert not any(tree < tree or not a < b for tree, (a, b) in zip(trees, pairwise(trees), strict=False))
    assert [table.index(tree) for tree in trees] == list(range(len(table)))
    assert table.nodes.tolist() == [tree.nodes for tree in trees]
    assert table.symmetry.tolist() == [tree.symmetry for tree in trees]
    assert table.density.tolist() == [tree.density for tree in trees]
    assert table.root_colour.tolist() == [tree.colour for tree in trees]


def test_blocks_cover_each_size_once() -> None:
    table = forest(9)
    for n in range(2, 10):
        covered = [i for block, _, _ in table.blocks(n) for i in range(block.start, block.stop)]
        assert covered == list(range(table.starts[n], table.starts[n + 1]))
        for block, lefts, rights in table.blocks(n):
            assert lefts.start <= table.left[block].min() <= table.left[block].max() < lefts.stop
            assert rights.start <= table.right[block].min() <= table.right[block].max() < rights.stop


@pytest.mark.parametrize("tree", ALL[:37], ids=lambda tree: tree.brackets)
def test_symmetry_and_density_by_counting(tree: Tree) -> None:
    """By the definitions: automorphisms of the edges; n! over the density is the number of heap orders."""
    parents, n = tree.parents, tree.nodes
    edges = {(i, p) for i, p in enumerate(parents) if p >= 0}
    maps = [m for m in permutations(range(n)) if m[0] == 0]
    assert tree.symmetry == sum({(m[i], m[p]) for i, p in edges} == edges for m in maps)
    orders = sum(all(m[i] > m[p] for i, p in edges) for m in maps)
    assert factorial(n) == tree.density * orders


@pytest.mark.parametrize("tree", ALL, ids=lambda tree: tree.brackets)
def test_ways_to_write_a_tree(tree: Tree) -> None:
    assert Tree.parse(tree.brackets) == tree
    assert Tree.from_level_sequence(tree.level_sequence) == tree
    assert pickle.loads(pickle.dumps(tree)) == tree
    assert Tree(*reversed(tree.branches)) == tree
    assert hash(Tree(*reversed(tree.branches))) == hash(tree)
    if tree.branches:
        assert Tree(*tree.left.branches, tree.right) == tree


def test_coloured_tree() -> None:
    tree = Tree(Tree(colour=1), Tree(), colour=2)
    assert tree.brackets == "[..1]2"
    assert Tree.parse("[ . .1 ]2") == tree
    for twisted in forest(4, 3).trees(4):
        assert Tree.parse(twisted.brackets) == twisted
    assert Tree.parse("[.1[.]12]") == Tree(Tree(colour=1), Tree(Tree(), colour=12))
    assert tree != Tree(Tree(), Tree())
    assert Tree(Tree(colour=1), Tree(colour=1)).symmetry == 2


def test_trees_are_immutable() -> None:
    with pytest.raises(AttributeError, match="trees are immutable; cannot set nodes"):
        Tree().nodes = 2


def test_bad_input() -> None:
    with pytest.raises(InputError, match=r"'\[.' is not one tree"):
        Tree.parse("[.")
    for text, at in (("[x]", "'x' at 1"), ("..]", "']' at 2"), ("[1.]", "'1' at 1"), ("[.] -", "'-' at 4")):
        with pytest.raises(InputError, match=f"unexpected {at}"):
            Tree.parse(text)
    with pytest.raises(InputError, match="'' is not one tree"):
        Tree.parse("")
    with pytest.raises(InputError, match=r"\(0, 2\) is not a level sequence"):
        Tree.from_level_sequence((0, 2))
    with pytest.raises(InputError, match="trees with 1 to 4"):
        forest(4).of_size(5)
    with pytest.raises(InputError, match="is not among the trees with 4 nodes and 1 colours"):
        forest(4).index(Tree(colour=1))
    with pytest.raises(InputError, match="colours must be an integer from 1 to 127, got 0"):
        forest(4, 0)
