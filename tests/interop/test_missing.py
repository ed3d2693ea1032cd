"""Without the frameworks, what needs them says what to install, and everything else works."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import eomsym as eom
from eomsym.errors import MissingDependencyError
from eomsym.interop import watch_optax


@pytest.fixture
def bare(monkeypatch):
    """Neither framework can be imported."""
    for name in ("jax", "torch", "pandas"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.usefixtures("bare")
def test_what_is_missing_is_said():
    with pytest.raises(MissingDependencyError, match=r"from_jax needs JAX; type: pip install 'eomsym\[jax\]'"):
        eom.from_jax(lambda x: x, np.ones(2))
    with pytest.raises(MissingDependencyError, match=r"from_torch needs PyTorch; type: pip install 'eomsym\[torch\]'"):
        eom.from_torch(None, None, None, None)
    with pytest.raises(MissingDependencyError, match="watch_optax needs JAX"):
        watch_optax(lambda x: x, np.ones(2), 0.1)
    with pytest.raises(MissingDependencyError, match="backend='jax' needs JAX"):
        eom.compile(eom.Loss("x**2", variables="x"), 1, backend="jax")


@pytest.mark.usefixtures("bare")
def test_steps_of_numpy_are_observed_all_the_same():
    assert eom.observe(lambda x: 0.9 * x, np.ones(2), 2).status == "trusted"
