"""Memory is known before it is taken, and a request that does not fit is refused."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from bench.reach import fits, table

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


def test_what_is_told_beforehand_is_what_is_asked_for():
    """The peak of all arrays, as Python's own tracer sees it; twice the samples make twice the memory of samples."""
    rng = np.random.default_rng(0)
    net = eom.Network((300, 40, 5), rng.standard_normal((60, 300)), rng.standard_normal((60, 5)))
    kernel, theta = eom.compile(net, 2), net.initial(0)
    told = kernel.bytes
    tracemalloc.start()
    kernel.terms(theta)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 1.0 < peak / told < 1.2


def test_the_fit_of_reach_finds_the_powers_that_were_planted():
    rows = [[n, k, 1e-7 * n * (k + 1) ** 1.5, 80 * n * (k + 1) ** 2, 60 * n * (k + 1) ** 2]
            for n in (1e4, 1e5, 1e6) for k in (0, 2, 4)]  # fmt: skip
    lines = fits(rows)
    assert "Seconds grow as parameters to the power 1.00 ± 0.00 (from ten thousand on)" in lines
    assert "Seconds grow as (order + 1) to the power 1.50 ± 0.00" in lines
    assert lines[-1].startswith("The measured peak over what `Kernel.bytes` says beforehand: 0.75 to 0.75")
    rows[0][2] *= 1.5
    assert "power 1.00 ± 0.00" not in fits(rows)[0]
    assert "| 10,000 | 0.0015 s |" in table(rows)
