"""Every layer: value and gradient against plain loops, terms against trees at fifty digits, and its symmetry."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import eomsym as eom
from eomsym.errors import HypothesisError, InputError, ShapeError, SymmetryError, TableError
from eomsym.losses import (
    Activation,
    BatchNorm,
    Bias,
    Conv,
    Layer,
    LayerNorm,
    Linear,
    Network,
    Pool,
    Scale,
    WeightNorm,
)
from eomsym.losses.sites import Site, as_value, divided
from eomsym.symmetries import RescalingSymmetry, ScaleInvariance, TranslationInvariance, symmetries_of

Array = np.ndarray
RANDOM = np.random.default_rng(8)
IMAGES = RANDOM.standard_normal((3, 2, 4, 4))
FLAT = RANDOM.standard_normal((4, 3))
LABELS = [0, 1, 1]
TANH, RELU = Activation("tanh"), Activation("relu")

#: All layers in one network: smooth, and with kinks.
MIXED = [Conv(2, 2), Bias(), BatchNorm(), Scale(), Bias(), TANH, Pool(2, stride=1), WeightNorm(Conv(2, 2)), LayerNorm(),
         Linear(2), Bias()]  # fmt: skip
KINKED = [Conv(2, 3, padding=1), Bias(), RELU, Pool(2, "max"), Conv(2, 2), Activation("leaky_relu", 0.2), Linear(2)]

NETWORKS: dict[str, tuple[list[Layer], Array]] = {
    "linear": ([Linear(3), Linear(2)], FLAT),
    "bias": ([Linear(3), Bias(), TANH, Linear(2), Bias()], FLAT),
    "bias first": ([Bias(), TANH, Linear(2)], FLAT),
    "scale": ([Linear(3), Scale(), TANH, Linear(2)], FLAT),
    "batch": ([Linear(3), BatchNorm(), TANH, Linear(2), BatchNorm(), TANH, Linear(2)], FLAT),
    "batch of the inputs": ([BatchNorm(), Linear(3), TANH, Linear(2)], FLAT),
    "batch, epsilon": ([Linear(3), BatchNorm(0.1), TANH, Linear(2)], FLAT),
    "layer": ([Linear(3), LayerNorm(), TANH, Linear(2)], FLAT),
    "layer, epsilon": ([Linear(3), LayerNorm(epsilon=0.1), TANH, Linear(2)], FLAT),
    "weight": ([WeightNorm(Linear(3)), TANH, WeightNorm(Linear(2))], FLAT),
    "convolution": ([Conv(2, 3), TANH, Conv(2, 2), TANH, Linear(2)], IMAGES),
    "strides and padding": ([Conv(2, 3, 2, 1), Bias(), TANH, Conv(3, 2, padding=1), TANH, Linear(2)], IMAGES),
    "one pixel": ([Conv(2, 1), TANH, Conv(2, 1), Bias(), Pool()], IMAGES),
    "pooling": ([Conv(2, 2), TANH, Pool(2, stride=1), Linear(2)], IMAGES),
    "pooling of the inputs": ([Pool(2), Pool(2, "max"), Linear(2)], IMAGES),
    "maximum": ([Conv(2, 2), Pool(2, "max", stride=1), TANH, Linear(2)], IMAGES),
    "everywhere": ([Conv(2, 2), TANH, Pool(), Linear(2)], IMAGES),
    "everywhere, maximum": ([Conv(2, 2), TANH, Pool(kind="max"), Linear(2)], IMAGES),
    "images, layer": ([Conv(2, 2), LayerNorm(), TANH, Linear(2)], IMAGES),
    "mixed": (MIXED, IMAGES),
    "kinked": (KINKED, IMAGES),
}


def build(name: str, loss: str = "cross_entropy") -> Network:
    layers, inputs = NETWORKS[name]
    labels = [0, 1, 1, 0][: len(inputs)]
    return Network(layers, inputs, labels if loss == "cross_entropy" else np.eye(2)[labels], loss=loss)


def start(net: Network, seed: int = 1) -> Array:
    """A point at which nothing is special: biases and factors are not where they start."""
    return net.initial(seed) + 0.3 * np.random.default_rng(seed).standard_normal(net.size)


# by loops -------------------------------------------------------------------------------------------------------------


def plain(layer: Layer, x: Array, blocks: dict[str, Array]) -> Array:
    """One layer, samples first, without any of the package's array tricks."""
    wide = (..., *[None] * (x.ndim - 2))  # a number for each channel, over all pixels
    if isinstance(layer, WeightNorm):
        rows = [row / np.sqrt(sum(entry**2 for entry in row)) for row in blocks["W"]]
        return plain(layer.layer, x, {"W": np.array(rows)})
    if isinstance(layer, Linear):
        return np.array([blocks["W"] @ sample.ravel() for sample in x])
    if isinstance(layer, Conv):
        filters = blocks["W"].reshape(layer.filters, x.shape[1], layer.size, layer.size)
        edge = layer.padding
        x = np.pad(x, ((0, 0), (0, 0), (edge, edge), (edge, edge)))
        return np.moveaxis(np.array([slid(x, layer.size, layer.stride, lambda w, f=f: (w * f).sum(axis=(1, 2, 3)))
                                     for f in filters]), 0, 1)  # fmt: skip
    if isinstance(layer, Pool):
        size = layer.size or x.shape[2]
        take = (lambda w: w.mean(axis=(2, 3))) if layer.kind == "mean" else (lambda w: w.max(axis=(2, 3)))
        return np.moveaxis(slid(x, size, layer.stride or size, take), 3, 1)
    if isinstance(layer, Bias):
        return x + blocks["b"][wide]
    if isinstance(layer, Scale):
        return x * blocks["g"][wide]
    if isinstance(layer, (BatchNorm, LayerNorm)):
        axes = tuple(i for i in range(x.ndim) if i != (1 if isinstance(layer, BatchNorm) else 0))
        return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + layer.epsilon)
    functions = {"tanh": np.tanh, "relu": lambda y: np.maximum(y, 0), "leaky_relu": lambda y: np.maximum(y, 0.2 * y)}
    return functions[layer.kind](x)  # type: ignore[attr-defined]


def slid(x: Array, size: int, stride: int, take: Any) -> Array:
    """What `take` makes of each window (samples, channels, size, size)."""
    rows = range(0, x.shape[2] - size + 1, stride)
    columns = range(0, x.shape[3] - size + 1, stride)
    found = [[take(x[:, :, row : row + size, column : column + size]) for column in columns] for row in rows]
    return np.moveaxis(np.moveaxis(np.array(found), 0, -1), 0, -1) if np.ndim(found[0][0]) == 1 else np.moveaxis(
        np.array(found), 2, 0)  # fmt: skip


def plain_loss(net: Network, theta: Array, inputs: Array) -> float:
    blocks = net.unpack(theta)
    x = inputs
    for layer, names in zip(net.layers, net.names, strict=True):
        x = plain(layer, x, {letter: blocks[name] for letter, name in names.items()})
    outputs = x.reshape(len(x), -1)
    if net.loss == "mse":
        return float(((outputs - net.targets) ** 2).sum() / 2 / len(x))
    return float((np.log(np.exp(outputs).sum(axis=1)) - (outputs * net.targets).sum(axis=1)).mean())


def derivative(function: Any, theta: Array, step: float = 2e-3) -> Array:
    """Central differences of order eight."""
    weights = (4 / 5, -1 / 5, 4 / 105, -1 / 280)
    return np.array([
        sum(w * (function(theta + k * row) - function(theta - k * row)) for k, w in enumerate(weights, 1)) / step
        for row in step * np.eye(len(theta))
    ])  # fmt: skip


def test_slid() -> None:
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    np.testing.assert_array_equal(plain(Pool(2), x, {}), [[[[2.5, 4.5], [10.5, 12.5]]]])
    np.testing.assert_array_equal(plain(Conv(1, 3), x, {"W": np.eye(9)[[5]]}), [[[[6.0, 7.0], [10.0, 11.0]]]])


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
@pytest.mark.parametrize("name", NETWORKS)
def test_value_and_gradient(name: str, loss: str) -> None:
    net, inputs = build(name, loss), NETWORKS[name][1]
    theta = start(net)
    assert net.value(theta) == pytest.approx(plain_loss(net, theta, inputs), rel=1e-13, abs=0)
    step = 2e-5 if net.kinks else 2e-3  # inside one activation region
    tolerance = 1e-9 if net.kinks else 1e-10
    expected = derivative(lambda point: plain_loss(net, point, inputs), theta, step)
    np.testing.assert_allclose(net.gradient(theta), expected, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize("name", ["mixed", "kinked", "layer, epsilon"])
def test_terms_are_those_of_trees(name: str) -> None:
    """``g``, ``g'g/2`` and ``g''(g, g)/12 + g'g'g/3`` by differences of gradients with fifty digits."""
    net = build(name)
    kernel, theta = eom.compile(net, 2), start(net)

    def g(at: Any) -> Any:
        return np.array([Fraction(mpmath.nstr(x, 50)) for x in kernel.at_order(0).decimals(at, 50)[0]])

    point, h = np.array([Fraction(x) for x in theta.tolist()]), Fraction(1, 10**12)
    here = g(point)
    ahead, behind = g(point + h * here), g(point - h * here)
    along = (ahead - behind) / (2 * h)
    second = (ahead - 2 * here + behind) / h**2
    twice = (g(point + h * along) - g(point - h * along)) / (2 * h)
    expected = np.array([here, along / 2, second / 12 + twice / 3], dtype=np.float64)
    scale = np.abs(expected).max(axis=1, keepdims=True)
    np.testing.assert_allclose(kernel.terms(theta) / scale, expected / scale, atol=1e-12)


def test_a_network_of_all_layers_is_followed_at_its_order() -> None:
    kinds = {type(layer) for layer in MIXED + KINKED} - {Activation}
    assert kinds == {Conv, Bias, BatchNorm, Scale, Pool, WeightNorm, LayerNorm, Linear}
    net = build("mixed")
    report = eom.verify(net, net.initial(3), time=0.4, orders=range(3), ladder=(8, 16, 32))
    assert report.status == "passed", str(report)


# symmetries -----------------------------------------------------------------------------------------------------------

S, T, R = ScaleInvariance, TranslationInvariance, RescalingSymmetry
BROUGHT: dict[str, tuple[list[Layer], Array, list[Any]]] = {
    "batch": ([Linear(3), BatchNorm(), TANH, Linear(2)], FLAT, [S("W1"), T("W2")]),
    "batch behind a bias": (
        [Linear(3), Bias(), BatchNorm(), TANH, Linear(2), Bias()], FLAT, [S("W1"), T("b1"), T("b2"), T("W2")],
    ),
    "two layers in front of a batch": (
        [Linear(3), RELU, Linear(3), Scale(), BatchNorm(), TANH, Linear(2)], FLAT,
        [S("W1"), S("W2"), S("g2"), T("W3"), R(("W1", "W2"))],
    ),
    "layer": ([Linear(3), Bias(), LayerNorm(), TANH, Linear(2)], FLAT, [S(("W1", "b1")), T("b1"), T("W1"), T("W2")]),
    "weight": ([WeightNorm(Linear(3)), TANH, WeightNorm(Linear(2))], FLAT, [S("W1"), S("W2")]),
    "homogeneous": (
        [Linear(3), Bias(), RELU, Linear(3), Activation("leaky_relu"), Bias(), Linear(2)], FLAT,
        [T("W3"), R(("W1", "W2"), bias="b1"), R(("W2", "W3"), bias="b2")],
    ),
    "linear": (
        [Linear(3), Bias(), Activation("linear"), Linear(3), Scale(), Linear(2)], FLAT,
        [T("W3"), R(("W1", "W2"), bias="b1", matrix=True), R(("W2", "W3"))],
    ),
    "images": (
        [Conv(2, 2), Bias(), RELU, Pool(2, "max", 1), BatchNorm(), Conv(2, 2), Bias(), LayerNorm(), Linear(2)], IMAGES,
        [S(("W1", "b1")), S(("W2", "b2")), T("b2"), T("W3")],
    ),
    "pooled": ([WeightNorm(Conv(2, 2)), TANH, Pool(), Linear(2), Bias()], IMAGES, [S("W1"), T("b2"), T("W2")]),
    "nothing": ([Linear(3), BatchNorm(0.1), TANH, Linear(2), TANH], FLAT, []),
}  # fmt: skip


@pytest.mark.parametrize("name", BROUGHT)
def test_symmetries_that_layers_bring(name: str) -> None:
    layers, inputs, expected = BROUGHT[name]
    net = Network(layers, inputs, [0, 1, 1, 0][: len(inputs)], loss="cross_entropy")
    found = symmetries_of(net)
    assert found == expected
    for symmetry in found:
        assert symmetry.check(net, start(net)).violation < 1e-11


def test_blocks_without_a_symmetry_are_not_named() -> None:
    """What the layers do not bring is not there: a constant in a variance, an activation or a bias in the way."""
    for layers in (
        [Linear(3), BatchNorm(0.1), TANH, Linear(2)],
        [Linear(3), TANH, BatchNorm(), Linear(2)],
        [Linear(3), Bias(), LayerNorm(), Linear(2)],
        [Linear(3), Bias(), RELU, BatchNorm(), Linear(2)],
    ):
        net = Network(layers, FLAT, [0, 1, 1, 0], loss="cross_entropy")
        assert S("W1") not in symmetries_of(net)
        with pytest.raises(SymmetryError, match=r"does not have ScaleInvariance\('W1'\)"):
            S("W1").check(net, start(net))
    net = Network([Linear(3), RELU, Linear(2)], FLAT, np.ones((4, 2)))
    assert symmetries_of(net) == [R(("W1", "W2"))]  # no softmax
    with pytest.raises(InputError, match="expected a network, whose layers tell its symmetries, got Loss"):
        symmetries_of(eom.Loss("x**2", variables="x"))  # type: ignore[arg-type]


@given(
    layers=st.sampled_from([[Linear(3), BatchNorm()], [Linear(3), LayerNorm()], [WeightNorm(Linear(3))]]),
    seed=st.integers(0, 2**31),
    factor=st.floats(1e-3, 1e3),
)
def test_scaling_changes_nothing(layers: list[Layer], seed: int, factor: float) -> None:
    net = Network([*layers, TANH, Linear(2)], FLAT, [0, 1, 1, 0], loss="cross_entropy")
    theta = net.initial(seed)
    scaled = theta.copy()
    scaled[net.blocks["W1"].place] *= factor
    assert net.value(scaled) == pytest.approx(net.value(theta), rel=1e-11, abs=0)
    # The gradient is homogeneous of degree -1 in the block and 0 in the others.
    gradient, other = net.gradient(theta), net.gradient(scaled)
    other[net.blocks["W1"].place] *= factor
    np.testing.assert_allclose(other, gradient, rtol=1e-7, atol=1e-11 * np.abs(gradient).max())


@pytest.mark.parametrize("layers", [[Linear(3), BatchNorm()], [WeightNorm(Linear(3))]], ids=["batch", "weight"])
def test_each_row_is_scale_invariant(layers: list[Layer]) -> None:
    net = Network([*layers, TANH, Linear(2)], FLAT, [0, 1, 1, 0], loss="cross_entropy")
    for row in range(3):
        assert ScaleInvariance("W1", row=row).check(net, net.initial(0)).violation < 1e-11


# a layer is one class -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class RootMeanSquare(Layer):
    """Each sample divided by its root mean square."""

    removes_scale = True
    divides_by = "mean square"

    def lines(self, builder: Any, at: Site, hidden: Any, blocks: Any) -> Any:
        rows = as_value(builder, hidden)
        return divided(builder, rows, builder.scaled(builder.sum(rows * rows, 0), 1 / at.features), 0)


def test_a_new_layer_is_one_class() -> None:
    net = Network([Linear(3), RootMeanSquare(), TANH, Linear(2)], FLAT, [0, 1, 1, 0], loss="cross_entropy")
    theta = net.initial(0)
    w = net.unpack(theta)
    hidden = FLAT @ w["W1"].T
    outputs = np.tanh(hidden / np.sqrt((hidden**2).mean(axis=1, keepdims=True))) @ w["W2"].T
    expected = (np.log(np.exp(outputs).sum(axis=1)) - (outputs * net.targets).sum(axis=1)).mean()
    assert net.value(theta) == pytest.approx(expected, rel=1e-14, abs=0)
    assert symmetries_of(net) == [S("W1"), T("W2")]
    assert all(symmetry.check(net, theta).violation < 1e-11 for symmetry in symmetries_of(net))
    assert repr(net.layers[1]) == "RootMeanSquare()"
    theta[net.blocks["W1"].place] = 0
    with pytest.raises(InputError, match=r"the mean square of RootMeanSquare\(\) at W1 is 0, and it is divided by"):
        net.value(theta)


# starts, names, closed forms ------------------------------------------------------------------------------------------


def test_names_and_starts() -> None:
    net = build("mixed")
    shapes = {name: block.shape for name, block in net.blocks.items()}
    assert shapes == {"W1": (2, 8), "b1": (2,), "g1": (2,), "b1_2": (2,), "W2": (2, 8), "W3": (2, 2), "b3": (2,)}
    assert net.widths == (32, 18, 2, 2)
    assert net.depth == 3
    parts = net.unpack(net.initial(0, scale=3.0))
    assert [set(parts[name].tolist()) for name in ("b1", "g1", "b1_2", "b3")] == [{0.0}, {1.0}, {0.0}, {0.0}]
    with pytest.raises(InputError, match="has no balanced weights: its matrices do not follow each other"):
        net.initial(0, "balanced")
    plain_net = Network([WeightNorm(Linear(3)), TANH, Linear(2), Bias()], FLAT, [0, 1, 1, 0], loss="cross_entropy")
    first, second, _ = plain_net.unpack(plain_net.initial(0, "balanced")).values()
    np.testing.assert_allclose(second.T @ second, first @ first.T, atol=1e-14)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "linear"])
def test_closed_forms_of_curvature_are_refused(name: str) -> None:
    with pytest.raises(HypothesisError, match="needed a network without biases"):
        eom.curvature.curvature_of(build(name))


def test_closed_forms_know_layers_as_widths() -> None:
    by_layers = Network([Linear(3), RELU, Linear(2)], FLAT, [0, 1, 1, 0], loss="cross_entropy")
    by_widths = Network((3, 3, 2), FLAT, [0, 1, 1, 0], "relu", "cross_entropy")
    theta = by_layers.initial(0)
    floors = [eom.curvature.curvature_of(net).at(theta).spectrum(0.0).lower for net in (by_layers, by_widths)]
    assert floors[0] == floors[1]
    for layers in ([Linear(3), RELU, Linear(3), Linear(2)], [Linear(3), RELU, Linear(3), Activation("leaky_relu"),
                                                             Linear(2)], [Linear(2), RELU]):  # fmt: skip
        with pytest.raises(HypothesisError, match="needed a network without biases"):
            eom.curvature.curvature_of(Network(layers, FLAT, [0, 1, 1, 0], loss="cross_entropy"))


# refused --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: Linear(0), "units must be an integer >= 1, got 0; type units=1"),
        (lambda: Conv(2, 1.5), "size must be an integer >= 1, got 1.5; type size=1"),
        (lambda: Conv(2, 1, padding=-1), "padding must be an integer >= 0, got -1"),
        (lambda: Pool(2, "median"), "unknown pooling 'median'; choose one of mean, max"),
        (lambda: Activation("tahn"), r"unknown activation 'tahn'.*did you mean tanh"),
        (lambda: BatchNorm("small"), "epsilon must be a finite number >= 0, got 'small'"),
        (lambda: LayerNorm(-1), "epsilon must be a finite number >= 0, got -1"),
        (lambda: WeightNorm(Bias()), r"WeightNorm wraps a layer with weights, got Bias\(\); type WeightNorm\(Linear"),
        (lambda: Network(Linear(2), FLAT, FLAT), r"layers must be widths .* got Linear\(2\); type \[Linear\(2\)\]"),
        (lambda: Network("64-10", FLAT, FLAT), "layers must be widths such as .* got '64-10'"),
        (lambda: Network([Linear(3), 2], FLAT, FLAT), r"layers\[1\] must be a layer.* got 2; type Linear\(2\)"),
        (lambda: Network([Linear(3), Bias], FLAT, FLAT), r"layers\[1\] must be a layer.*; type Bias\(…\)"),
        (lambda: Network([TANH], FLAT, FLAT), r"have no parameters; add one such as Linear\(3\)"),
        (lambda: Network([Linear(3)], FLAT, FLAT, bias=True), "layers have activations and biases of their own"),
        (lambda: Network([Linear(3)], FLAT, FLAT, "relu"), "layers have activations and biases of their own"),
        (lambda: Network([Linear(1), LayerNorm(), Linear(3)], FLAT, FLAT), "the layer before it has one unit"),
        (lambda: Network([Linear(3), BatchNorm()], FLAT[:1], FLAT[:1]), "give at least two, got 1"),
        (lambda: Network([Linear(3), BatchNorm()], np.ones((3, 2)), np.ones((3, 3))), "no feature of these inputs"),
        (lambda: build("batch").split(4), "give at least two, got 1"),
    ],
)
def test_refused(call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()


@pytest.mark.parametrize(
    "layers, inputs, message",
    [
        ([Conv(2, 3), Linear(2)], FLAT, "rows are no square images; give images of shape"),
        ([Conv(2, 5), Linear(2)], IMAGES, "a window of 5 x 5 pixels does not fit images of 4 x 4; give a size of at"),
        ([Linear(4), Conv(2, 2)], FLAT[:, [0, 1, 2, 0]], "put layers with windows before Linear"),
        ([Linear(4), Pool()], IMAGES, "put layers with windows before Linear"),
    ],
)
def test_images_that_do_not_fit(layers: list[Layer], inputs: Array, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        Network(layers, inputs, np.ones((len(inputs), 2)))


@pytest.mark.parametrize(
    "layers, message",
    [
        ([Linear(3), BatchNorm()], r"the variance of BatchNorm\(\) at W2 is 0.*change W2 or the inputs"),
        ([Linear(3), LayerNorm()], r"the variance of LayerNorm\(\) at W2 is 0"),
        ([WeightNorm(Linear(3))], r"the squared norm of a row of WeightNorm\(Linear\(3\)\) at W2 is 0"),
    ],
)
def test_zero_variance(layers: list[Layer], message: str) -> None:
    """By name where the loss is asked; the compiled kernel says that the point is outside of the domain."""
    net = Network([*layers, TANH, *layers, TANH, Linear(2)], FLAT, [0, 1, 1, 0], loss="cross_entropy")
    parts = net.unpack(net.initial(0))
    parts["W2"][:] = 0
    theta = np.concatenate([part.ravel() for part in parts.values()])
    with pytest.raises(InputError, match=message):
        net.value(theta)
    with pytest.raises(InputError, match=message):
        eom.descend(net, theta, eta=0.1, steps=1)
    with pytest.raises(TableError, match="not finite from order 0"):
        eom.compile(net, 0).terms(theta)


def test_square_rows_are_images() -> None:
    rows, images = RANDOM.standard_normal((3, 16)), [Conv(2, 2), Linear(2)]
    nets = [Network(images, data, LABELS, loss="cross_entropy") for data in (rows, rows.reshape(3, 4, 4),
                                                                             rows.reshape(3, 1, 4, 4))]  # fmt: skip
    assert all(one == other for one, other in itertools.pairwise(nets))
