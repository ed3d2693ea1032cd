"""Memory is known before it is taken, and a request that does not fit is refused."""

from __future__ import annotations

import numpy as np
import pytest

import eomsym as eom
from eomsym.codegen.memory import available
from eomsym.errors import SizeError

NET = eom.Network((20, 30, 5), np.ones((50, 20)), np.ones((50, 5)))


@pytest.mark.parametrize("order", [0, 2, 6])
def test_the_estimate_is_what_is_allocated(order):
    kernel = eom.compile(NET, order)
    kernel.terms(NET.initial(0))
    memory = kernel._terms._workspace(order)[0]
    scratch = kernel._terms._local.spaces[kernel.order][2]
    assert kernel.bytes == memory.nbytes + scratch.nbytes


def test_what_does_not_fit_is_refused_before_it_is_allocated(monkeypatch):
    wide = eom.Network((300, 20_000, 10), np.ones((500, 300)), np.ones((500, 10)))
    kernel = eom.compile(wide, 4)
    monkeypatch.setenv("EOMSYM_MEMORY", "1e9")
    assert available() == 10**9
    with pytest.raises(SizeError, match=r"terms to order 4 need [\d.]+ GiB, and 0\.93 GiB are free; use a lower order"):
        kernel.terms(np.zeros(wide.size))
    monkeypatch.setenv("EOMSYM_MEMORY", "1e12")
    assert kernel.bytes < 0.9 * available()
