"""Handwritten digits, standardised and whitened data."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from eomsym.errors import InputError, MissingDependencyError, ShapeError
from eomsym.losses.data import digits, standardised, whitened


@pytest.mark.parametrize("images", [300, None])
def test_digits_are_standardised(images: int | None) -> None:
    inputs, labels = digits(images)
    count = images or 1797
    varies = inputs.any(axis=0)
    np.testing.assert_allclose(inputs.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(inputs[:, varies].std(axis=0), 1, atol=1e-12)
    assert (inputs.shape, labels.shape, set(labels.tolist())) == ((count, 64), (count,), set(range(10)))
    if images is None:
        assert 64 - varies.sum() == 3  # three corner pixels are always white
        assert np.bincount(labels).min() > 170


@pytest.mark.parametrize("images", [0, 1, 1798, 2.5, True])
def test_bad_number_of_images(images: Any) -> None:
    with pytest.raises(InputError, match="images must be an integer from 2 to 1797"):
        digits(images)


def test_digits_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'eomsym\[data\]'"):
        digits()


def test_whitening() -> None:
    random = np.random.default_rng(0)
    white = whitened(random.standard_normal((50, 4)) @ random.standard_normal((4, 4)) + 3)
    np.testing.assert_allclose(white.T @ white / 50, np.eye(4), atol=1e-13)
    with pytest.raises(InputError, match=r"64 features of 300 samples have rank .* cannot be whitened"):
        whitened(digits(300)[0])
    with pytest.raises(ShapeError, match=r"inputs have shape \(3,\)"):
        standardised([1.0, 2.0, 3.0])
