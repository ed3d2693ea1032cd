"""Formulas of a given loss: time to all terms, with python-flint and with sympy's polynomials."""

from __future__ import annotations

import pytest

import eomsym as eom

pytestmark = pytest.mark.bench

CASES = {
    "rosenbrock to order 19": (eom.Loss("(1-x)**2/2 + (y-x**2)**2/2", variables="x y"), 19, True),
    "rosenbrock to order 10, sympy": (eom.Loss("(1-x)**2/2 + (y-x**2)**2/2", variables="x y"), 10, False),
    "lotka-volterra to order 19": (eom.Field(["x - x*y", "x*y - y"], variables="x y"), 19, True),
    "rational field to order 12": (eom.Field(["-v/(u**2+v**2)", "u/(u**2+v**2)"], variables="u v"), 12, True),
    "tanh and exp to order 6": (eom.Loss("tanh(x*y) + exp(x-y)", variables="x y"), 6, True),
}


@pytest.mark.parametrize("name", CASES)
def test_terms(benchmark, name):
    """Limits of the design: 2 s, none, 2 s, 3 s, none."""
    loss, order, use_flint = CASES[name]
    field = benchmark.pedantic(lambda: eom.modified_field(loss, order, use_flint=use_flint), rounds=3)
    assert len(field.terms) == order + 1
