"""Bounds of many cases at once are those of each case on its own."""

from __future__ import annotations

import numpy as np
import pytest

import eomsym as eom
from eomsym.bounds import distance, many_distances

LOSS = eom.Loss("x**4/4 + x**2*y/3 + y**2/2", variables="x y")


@pytest.mark.parametrize("order", [0, 2])
@pytest.mark.parametrize("certificate", ["measured", "closed_form"])
def test_each_row_is_the_bound_of_its_case(certificate: str, order: int) -> None:
    starts, etas, steps = np.array([[0.5, -0.25], [0.25, 0.75], [-1.0, 0.5]]), np.array([0.01, 0.05, 0.02]), 4
    found = many_distances(LOSS, starts, eta=etas, steps=steps, order=order, certificate=certificate)
    assert found.shape == (3, steps + 1)
    for row, start, eta in zip(found, starts, etas, strict=True):
        single = distance(LOSS, start, eta=float(eta), steps=steps, order=order, certificate=certificate)
        truth = np.linalg.norm(
            eom.descend(LOSS, start, eta=float(eta), steps=steps).thetas
            - eom.flow(LOSS, start, eta=float(eta), order=order, time=eta * np.arange(steps + 1)).thetas,
            axis=1,
        )
        assert np.all(truth[1:] <= row[1:])
        np.testing.assert_allclose(row[1:], single.values[1:], rtol=0.2)
