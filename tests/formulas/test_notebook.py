"""What a notebook shows: every formula as MathML, which needs no script, and as LaTeX."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
import sympy

import eomsym as eom
from eomsym.exact.trees import Tree
from eomsym.formulas.elementwise import elementwise_terms
from eomsym.optimisers.adaptive import Adam

BETA = sympy.Symbol("beta")
SHOWN = {
    "terms": eom.counter_terms(3, method=eom.HeavyBall(BETA)),
    "term": eom.counter_terms(2)[2],
    "modified loss": eom.modified_loss(2),
    "potential": eom.modified_loss(2)[2].potential,
    "elementwise": elementwise_terms(Adam(*sympy.symbols("beta1 beta2 epsilon", positive=True)), 1),
    "field": eom.modified_field(eom.Loss("x**4/4 + x*y", variables="x y"), 1),
}


@pytest.mark.parametrize("name", SHOWN)
def test_formulas_show_themselves(name: str) -> None:
    value: Any = SHOWN[name]
    root = ElementTree.fromstring(f"<div>{value._repr_html_()}</div>")
    assert [e for e in root.iter() if e.tag == "{http://www.w3.org/1998/Math/MathML}math"]
    assert value._repr_latex_().count("{") == value._repr_latex_().count("}")


def test_lines_may_break_between_summands() -> None:
    """Each summand is a formula of its own: term 3 is a name, a factor with a bracket, four summands and a bracket."""
    *_, last = SHOWN["terms"]._repr_html_().strip().splitlines()
    assert last.count("<math") == 7
    assert '<mo form="infix">+</mo>' in last


def test_long_lists_are_cut() -> None:
    assert eom.counter_terms(8)._repr_html_() == eom.counter_terms(5)._repr_html_()


def test_a_tree_is_a_picture() -> None:
    picture = eom.formulas.draw_tree(Tree.parse("[..]"))
    assert picture._repr_svg_().count("<circle") == 3
    assert str(picture) == picture.svg
    assert "currentColor" in picture.svg
