"""Pictures of trees: well formed, one disc a node, one line an edge, nothing on top of each other."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest
import sympy

from eomsym.errors import InputError
from eomsym.exact.forests import forest
from eomsym.exact.trees import Tree
from eomsym.formulas.pictures import draw_table, draw_tree
from eomsym.formulas.terms import Term, counter_terms
from eomsym.optimisers.accelerated import HeavyBall
from eomsym.optimisers.linear import Epoch

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("tree", list(forest(6).trees(6)), ids=lambda tree: tree.brackets)
def test_tree(tree: Tree) -> None:
    root = ElementTree.fromstring(draw_tree(tree)._repr_svg_())
    discs = [(float(c.get("cx", "")), float(c.get("cy", ""))) for c in root.iter(f"{SVG}circle")]
    assert len(set(discs)) == tree.nodes
    assert all((a - c) ** 2 + (b - d) ** 2 >= 8**2 for i, (a, b) in enumerate(discs) for c, d in discs[:i])
    assert all(4 <= x <= float(root.get("width", "")) - 4 for x, _ in discs)
    assert all(4 <= y <= float(root.get("height", "")) - 4 for _, y in discs)
    lines = [[float(line.get(k, "")) for k in ("x1", "y1", "x2", "y2")] for line in root.iter(f"{SVG}line")]
    assert len(lines) == tree.nodes - 1
    heights = sorted({y for _, y in discs}, reverse=True)
    depths = {point: heights.index(point[1]) for point in discs}
    assert sorted(depths.values()) == sorted(tree.level_sequence)
    assert all(depths[a, b] == depths[c, d] + 1 for a, b, c, d in lines)


def test_table() -> None:
    picture = draw_table(counter_terms(4, method=HeavyBall(sympy.Symbol("beta")))[2], columns=1)
    root = ElementTree.fromstring(str(picture))
    assert [text.text for text in root.iter(f"{SVG}text")] == ["(1+4β+β²)/(3(1−β)⁵)", "(1+10β+β²)/(12(1−β)⁵)"]
    assert len(list(root.iter(f"{SVG}circle"))) == 6


def test_colours() -> None:
    fills = {
        c.get("fill")
        for c in ElementTree.fromstring(str(draw_table(counter_terms(1, method=Epoch(3))[0]))).iter(f"{SVG}circle")
    }
    assert len(fills) == 3


def test_bad_input() -> None:
    with pytest.raises(InputError, match="got 1 trees for 0 columns"):
        draw_table(counter_terms(0)[0], columns=0)
    with pytest.raises(InputError, match="got 0 trees"):
        draw_table(Term(0, {}))
