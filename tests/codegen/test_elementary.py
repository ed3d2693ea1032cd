"""exp and tanh of generated modules against NumPy, and as they are compiled."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import eomsym as eom
from eomsym.codegen import elementary


@given(st.floats(-745, 709.78) | st.floats(-1e-5, 1e-5))
def test_exp_is_within_two_units_in_the_last_place(x):
    found = elementary.fast_exp(x)
    with mpmath.workdps(40):
        error = abs(mpmath.mpf(float(found)) - mpmath.exp(mpmath.mpf(x)))
        assert error <= 2 * np.spacing(found)


@given(st.floats(-50, 50) | st.floats(-1e-5, 1e-5))
def test_tanh_is_within_three_units_in_the_last_place(x):
    found = elementary.fast_tanh(x)
    with mpmath.workdps(40):
        error = abs(mpmath.mpf(float(found)) - mpmath.tanh(mpmath.mpf(x)))
        assert error <= 3 * np.spacing(abs(found))


@pytest.mark.parametrize("x", [0.0, -0.0, 709.7, 710.0, -800.0, 1e308, -1e308, 5e-324, np.inf, -np.inf])
def test_limits_are_those_of_numpy(x):
    with np.errstate(over="ignore"):
        assert float(elementary.fast_tanh(x)).hex() == float(np.tanh(x)).hex()
        assert elementary.fast_exp(x) == pytest.approx(np.exp(x), rel=5e-16, abs=0)


def test_what_is_not_a_number_stays_so_in_compiled_code():
    kernel = eom.compile(eom.Loss("tanh(x) + exp(y)", variables="x y"), 0)
    with pytest.raises(eom.errors.TableError, match="not finite from order 0 on"):
        kernel.terms([0.0, 800.0])
    large = kernel.terms([400.0, 709.7])[0]
    np.testing.assert_allclose(large, [0.0, np.exp(709.7)], rtol=1e-15)
