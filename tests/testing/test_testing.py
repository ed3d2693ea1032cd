"""The tools themselves: strategies give what they promise, assertions fail when they must."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import eomsym as eom
from eomsym import testing
from eomsym.curvature.hessian import eigenvalue_range
from eomsym.exact.concrete import elementary_differential
from eomsym.exact.trees import Tree


@settings(max_examples=8)
@given(testing.losses())
def test_losses_tell_all_trees_of_order_four_apart(loss: eom.Loss) -> None:
    x, y = sympy.symbols("x y")
    text = loss.name.replace("^", "**")
    gradient = [sympy.diff(sympy.sympify(text, locals={"x": x, "y": y}), v) for v in (x, y)]
    differential = elementary_differential(gradient, (x, y))
    trees = [Tree.parse(t) for t in ("[[[.]]]", "[[..]]", "[.[.]]", "[...]")]
    points = [{x: sympy.Rational(a, 7), y: sympy.Rational(b, 5)} for a, b in ((2, 3), (-4, 1), (9, -2), (1, 11))]
    columns = [[entry.subs(point) for point in points for entry in differential(tree)] for tree in trees]
    assert sympy.Matrix(columns).rank() == 4 - (all(d == 0 for d in columns[3]))
    # A loss of degree four has no fourth derivative of g: that tree vanishes for g of degree three or less only.
    assert any(d != 0 for d in columns[3])


@settings(max_examples=10)
@given(st.data())
def test_step_sizes_are_stable(data: st.DataObject) -> None:
    net = data.draw(testing.deep_linear_networks())
    theta = data.draw(testing.starts(net.size))
    eta = data.draw(testing.step_sizes(net, theta, 0.5))
    low, high = eigenvalue_range(eom.compile(net, 0), theta)
    assert eta > 0
    assert eta * max(abs(low), abs(high)) <= 0.5 * (1 + 1e-12)


@settings(max_examples=10)
@given(st.data())
def test_networks_have_their_symmetries(data: st.DataObject) -> None:
    net = data.draw(testing.homogeneous_networks())
    theta = data.draw(testing.starts(net.size))
    matrices = list(net.unpack(theta).values())
    moved = net.pack(2 * matrices[0], matrices[1] / 2, *matrices[2:])
    assert net.value(moved) == pytest.approx(net.value(theta), rel=1e-9, abs=1e-12)

    invariant = data.draw(testing.invariant_networks())
    start = invariant.initial(1)
    bigger = start.copy()
    bigger[invariant.blocks["W1"].place] *= 3
    assert invariant.value(bigger) == pytest.approx(invariant.value(start), rel=1e-9, abs=0)


@settings(max_examples=10)
@given(testing.methods())
def test_methods_are_exact(method: eom.GradientDescent) -> None:
    assert all(sympy.sympify(x).is_rational for row in method.series(4).chi for x in row)


def test_assert_bound_holds() -> None:
    assert testing.assert_bound_holds([1.0, 0.0], [2.0, 0.0]) == 2.0
    assert testing.assert_bound_holds(0.0, 1.0) == np.inf
    with pytest.raises(AssertionError, match="violated at index 1 of 2: true 3 > bound 2"):
        testing.assert_bound_holds([1.0, 3.0], 2.0)
    with pytest.raises(AssertionError, match="violated at index 0"):
        testing.assert_bound_holds([np.nan], [1.0])
    with pytest.raises(AssertionError, match="violated at index 0"):
        testing.assert_bound_holds([1.0], [np.nan])


def test_assert_order() -> None:
    loss = eom.Loss("(1-x)**2/2 + (y-x**2)**2/2", variables="x y")
    testing.assert_order(loss, [-0.5, 1.0], 1)
    with pytest.raises(AssertionError, match=r"order 1 of .* expected 2"):
        # the kernel of another optimiser's equation cannot pass: here the ladder is too coarse
        testing.assert_order(loss, [-0.5, 1.0], 1, time=4.0, steps=(4, 5))


def test_assert_coefficients_equal() -> None:
    gd, midpoint = (eom.counter_terms(2, method=m)[2] for m in (eom.GradientDescent(), eom.optimisers.ProximalPoint()))
    testing.assert_coefficients_equal(gd, dict(gd))
    testing.assert_coefficients_equal(gd, midpoint)  # the reverse of a step: even terms agree
    odd = eom.counter_terms(1)[1]
    with pytest.raises(AssertionError, match=r"1 of 1 coefficients differ, first that of \[\.\]: got 1/2, expected 0"):
        testing.assert_coefficients_equal(odd, {})


def test_every_name_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in testing.__all__:
        assert getattr(testing, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        testing.nothing  # noqa: B018
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    monkeypatch.delitem(sys.modules, "eomsym.testing.strategies")
    monkeypatch.delattr(testing, "strategies")
    with pytest.raises(ImportError, match=r"pip install 'eomsym\[testing\]'"):
        testing.runs  # noqa: B018
