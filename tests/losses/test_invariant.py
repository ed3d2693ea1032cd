"""Normalised networks: value against NumPy, exact invariance, and what is refused. Data helpers."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import eomsym as eom
from eomsym.errors import InputError, MissingDependencyError, ShapeError, TableError
from eomsym.losses.data import digits, standardised, whitened
from eomsym.losses.invariant import NORMALIZATIONS, NormalizedNetwork


def network(normalization: str, loss: str = "cross_entropy", seed: int = 0, **options: Any) -> NormalizedNetwork:
    random = np.random.default_rng(seed)
    inputs = random.standard_normal((6, 3))
    targets = random.integers(0, 2, 6) if loss == "cross_entropy" else random.standard_normal((6, 2))
    return NormalizedNetwork((3, 4, 3, 2), inputs, targets, loss=loss, normalization=normalization, **options)


def plain_hidden(normalization: str, weight: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """One hidden layer, (units, samples), with numpy's own mean and std."""
    if normalization == "weight":
        weight = weight / np.linalg.norm(weight, axis=1, keepdims=True)
    z = weight @ hidden
    if normalization != "weight":
        axis = 1 if normalization == "batch" else 0
        z = (z - z.mean(axis, keepdims=True)) / z.std(axis, keepdims=True)
    return np.asarray(np.tanh(z))


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_value_and_gradient(normalization: str) -> None:
    net = network(normalization, "mse")
    theta = net.initial(1)
    first, second, last = net.unpack(theta).values()
    hidden = plain_hidden(normalization, second, plain_hidden(normalization, first, net.inputs.T))
    assert net.value(theta) == pytest.approx(((last @ hidden - net.targets.T) ** 2).sum() / 12, rel=1e-14)
    step = 1e-6 * np.eye(net.size)
    differences = [(net.value(theta + h) - net.value(theta - h)) / 2e-6 for h in step]
    np.testing.assert_allclose(net.gradient(theta), differences, atol=2e-9)


@given(
    normalization=st.sampled_from(NORMALIZATIONS),
    seed=st.integers(0, 2**31),
    factor=st.floats(1e-3, 1e3),
    layer=st.sampled_from(["W1", "W2"]),
)
def test_scaling_changes_nothing(normalization: str, seed: int, factor: float, layer: str) -> None:
    net = network(normalization, seed=seed)
    theta = net.initial(seed)
    scaled = theta.copy()
    scaled[net.blocks[layer].place] *= factor
    assert net.value(scaled) == pytest.approx(net.value(theta), rel=1e-11)
    # The gradient is homogeneous of degree -1 in the block and 0 in the others.
    gradient, other = net.gradient(theta), net.gradient(scaled)
    other[net.blocks[layer].place] *= factor
    np.testing.assert_allclose(other, gradient, rtol=1e-7, atol=1e-11 * np.abs(gradient).max())


@pytest.mark.parametrize("normalization", ["batch", "weight"])
def test_each_row_is_scale_invariant(normalization: str) -> None:
    net = network(normalization)
    parts = net.unpack(net.initial(0))
    value = net.value(net.pack(**parts))
    parts["W2"] *= np.array([[2.0], [0.3], [7.0]])
    assert net.value(net.pack(**parts)) == pytest.approx(value, rel=1e-13)


def test_refused_normalisations() -> None:
    with pytest.raises(InputError, match="unknown normalization 'group'; choose one of batch, layer, weight"):
        network("group")
    with pytest.raises(InputError, match=r"no hidden layer to normalise"):
        NormalizedNetwork((3, 2), np.eye(3), np.ones((3, 2)))
    with pytest.raises(InputError, match="divides by the variance over the 3 samples, and no feature"):
        NormalizedNetwork((2, 2, 1), np.ones((3, 2)), np.ones((3, 1)))
    with pytest.raises(InputError, match="divides by the variance over the 1 samples"):
        NormalizedNetwork((2, 2, 1), np.ones((1, 2)), np.ones((1, 1)))
    with pytest.raises(InputError, match="a hidden layer of one unit"):
        NormalizedNetwork((2, 1, 1), np.eye(2), np.ones((2, 1)), normalization="layer")


@pytest.mark.parametrize(
    "normalization, message",
    [
        ("batch", "the variance of layer 2 is 0"),
        ("layer", "the variance of layer 2 is 0"),
        ("weight", "the squared norm of a row of layer 2 is 0"),
    ],
)
def test_zero_variance(normalization: str, message: str) -> None:
    """By name where the loss is asked; the compiled kernel says that the point is outside of the domain."""
    net = network(normalization)
    parts = net.unpack(net.initial(0))
    parts["W2"][1 if normalization != "layer" else slice(None)] = 0
    theta = np.concatenate([part.ravel() for part in parts.values()])
    with pytest.raises(InputError, match=message):
        net.value(theta)
    with pytest.raises(InputError, match=message):
        eom.descend(net, theta, eta=0.1, steps=1)
    with pytest.raises(TableError, match="not finite from order 0"):
        eom.compile(net, 0).terms(theta)


# data -----------------------------------------------------------------------------------------------------------------


def test_digits() -> None:
    inputs, labels = digits(300)
    varies = inputs.any(axis=0)
    np.testing.assert_allclose(inputs.mean(axis=0), 0, atol=1e-14)
    np.testing.assert_allclose(inputs[:, varies].std(axis=0), 1)
    assert (inputs.shape, labels.shape, set(labels.tolist())) == ((300, 64), (300,), set(range(10)))
    assert 50 < varies.sum() < 64  # the outer columns of the images are always white
    assert len(digits()[0]) == 1797


@pytest.mark.parametrize("images", [0, 1, 1798, 2.5, True])
def test_bad_number_of_images(images: Any) -> None:
    with pytest.raises(InputError, match="images must be an integer from 2 to 1797"):
        digits(images)


def test_digits_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
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
