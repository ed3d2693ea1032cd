"""Networks against plain NumPy, their starts, and what they refuse."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import eomsym as eom
from eomsym.errors import InputError, ShapeError
from eomsym.losses.activations import ACTIVATIONS, region, region_changes
from eomsym.losses.initial import balanced
from eomsym.losses.network import DeepLinear, Network

RANDOM = np.random.default_rng(5)
INPUTS = RANDOM.standard_normal((7, 3))
TARGETS = RANDOM.standard_normal((7, 2))
LABELS = np.array([0, 1, 1, 0, 1, 0, 0])


def erf(x: np.ndarray) -> np.ndarray:
    from scipy.special import erf

    return np.asarray(erf(x))


PLAIN = {
    "linear": lambda x: x,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "sin": np.sin,
    "softplus": lambda x: np.log(1 + np.exp(x)),
    "gelu": lambda x: x * (1 + erf(x / np.sqrt(2))) / 2,
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
}


def cross_entropy(outputs: np.ndarray, labels: np.ndarray) -> float:
    """Mean of -log softmax at the label; outputs (samples, classes)."""
    logarithm = np.log(np.exp(outputs).sum(axis=1))
    return float((logarithm - outputs[np.arange(len(labels)), labels]).mean())


def differences(loss: Any, theta: np.ndarray) -> np.ndarray:
    """Central differences of the value."""
    step = 1e-6
    rows = step * np.eye(len(theta))
    return np.array([(loss.value(theta + row) - loss.value(theta - row)) / (2 * step) for row in rows])


def test_every_activation_has_its_plain_formula() -> None:
    assert set(PLAIN) == set(ACTIVATIONS)


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
@pytest.mark.parametrize("activation", PLAIN)
def test_value_and_gradient(activation: str, loss: str) -> None:
    targets = TARGETS if loss == "mse" else LABELS
    net = Network((3, 4, 2), INPUTS, targets, activation, loss, bias=True, slope=0.2).with_weight_decay(0.1)
    theta = np.random.default_rng(1).standard_normal(net.size)
    w = net.unpack(theta)
    outputs = PLAIN[activation](INPUTS @ w["W1"].T + w["b1"]) @ w["W2"].T + w["b2"]
    bare = cross_entropy(outputs, LABELS) if loss == "cross_entropy" else ((outputs - TARGETS) ** 2).sum() / 14
    assert net.value(theta) == pytest.approx(bare + 0.05 * theta @ theta, rel=1e-14, abs=0)
    np.testing.assert_allclose(net.gradient(theta), differences(net, theta), atol=2e-9)


@pytest.mark.parametrize(
    "widths", [(3, 2), (3, 4, 2), (3, 5, 4, 2), (3, 1, 2), (2, 4, 3)], ids=lambda widths: "-".join(map(str, widths))
)
@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_deep_linear_is_the_linear_network(widths: tuple[int, ...], loss: str) -> None:
    """Whatever order the matrices are multiplied in, and whether the data enter through moments."""
    random = np.random.default_rng(2)
    inputs = random.standard_normal((9, widths[0]))
    targets = random.standard_normal((9, widths[-1])) if loss == "mse" else random.integers(0, widths[-1], 9)
    deep = DeepLinear(widths, inputs, targets, loss)
    plain = Network(widths, inputs, targets, "linear", loss)
    theta = deep.initial(3)
    assert deep.value(theta) == pytest.approx(plain.value(theta), rel=1e-13, abs=0)
    np.testing.assert_allclose(deep.gradient(theta), plain.gradient(theta), atol=1e-14)
    np.testing.assert_allclose(inputs @ deep.end_to_end(theta).T, plain_outputs(plain, theta), atol=1e-13)


def plain_outputs(net: Network, theta: np.ndarray) -> np.ndarray:
    hidden = net.inputs
    for matrix in net.unpack(theta).values():
        hidden = hidden @ matrix.T
    return hidden


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_samples_do_not_enlarge_a_narrow_linear_network(loss: str) -> None:
    """With many samples only one node may be as large as the data for each use of the outputs; none with mse."""
    inputs = np.random.default_rng(0).standard_normal((500, 4))
    targets = inputs[:, :2] if loss == "mse" else (inputs[:, 0] > 0).astype(int)
    net = DeepLinear((4, 30, 30, 2), inputs, targets, loss)
    widest = max(node.size for node in net.program.nodes)
    assert widest == net.size == 1080  # layer by layer it would be 30*500


# activation regions ---------------------------------------------------------------------------------------------------


def test_region_is_the_sign_of_the_preactivations() -> None:
    net = Network((3, 4, 5, 2), INPUTS, TARGETS, "relu", bias=True)
    theta = np.random.default_rng(3).standard_normal(net.size)
    w = net.unpack(theta)
    first = w["W1"] @ INPUTS.T + w["b1"][:, None]
    second = w["W2"] @ np.maximum(first, 0) + w["b2"][:, None]
    expected = np.concatenate([first.ravel() > 0, second.ravel() > 0])
    np.testing.assert_array_equal(region(net, theta), expected)
    assert region(Network((3, 4, 2), INPUTS, TARGETS), np.zeros(20)).size == 0


def test_leaving_the_region_is_counted() -> None:
    net = Network((1, 2, 1), [[1.0], [2.0]], [[0.0], [0.0]], "leaky_relu")
    path = [net.pack(W1=[[a], [b]], W2=[[1.0, 1.0]]) for a, b in [(1, 1), (0.5, -1), (0.2, -2), (-1, 1)]]
    np.testing.assert_array_equal(region_changes(net, path), [2, 0, 4])
    with pytest.raises(ShapeError, match=r"a path has shape \(m, 4\)"):
        region_changes(net, path[0])


def test_inside_a_region_a_relu_network_is_followed_at_its_order() -> None:
    """Until a gate switches the error falls by 2**(K+1); descend and flow agree on the region."""
    net = Network((3, 4, 2), INPUTS, TARGETS, "relu")
    start = net.initial(4)
    kernel = eom.compile(net, 2)
    for order in range(3):
        errors = []
        for steps in (8, 16):
            eta = 0.08 / steps
            descent = eom.descend(net, start, eta=eta, steps=steps)
            path = eom.flow(kernel.at_order(order), start, eta=eta, time=descent.times)
            assert not region_changes(net, descent.thetas).any()
            assert not region_changes(net, path.thetas).any()
            errors.append(np.linalg.norm(path.thetas[-1] - descent.thetas[-1]))
        assert np.log2(errors[0] / errors[1]) == pytest.approx(order + 1, abs=0.05)


# starts ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scheme, variance", [("xavier", 2 / 500), ("he", 2 / 200), ("near_zero", 1e-4)], ids=lambda x: str(x)
)
def test_variance_of_random_weights(scheme: str, variance: float) -> None:
    net = Network((200, 300, 2), np.zeros((1, 200)), np.zeros((1, 2)), bias=True)
    parts = net.unpack(net.initial(0, scheme, scale=2.0))
    assert parts["W1"].var() == pytest.approx(4 * variance, rel=0.02, abs=0)  # 60,000 draws: 0.6 % standard deviation
    assert not parts["b1"].any()
    np.testing.assert_array_equal(net.initial(0), net.initial(0))


@pytest.mark.parametrize("widths", [(3, 4, 5, 2), (2, 2, 3), (4, 1, 1)])
def test_balanced_weights(widths: tuple[int, ...]) -> None:
    net = DeepLinear(widths, np.zeros((1, widths[0])), np.zeros((1, widths[-1])))
    matrices = list(net.unpack(net.initial(1, "balanced", scale=0.3)).values())
    for below, above in itertools.pairwise(matrices):
        np.testing.assert_allclose(above.T @ above, below @ below.T, atol=1e-15)
    matrix = np.random.default_rng(0).standard_normal((widths[-1], widths[0]))
    product = np.eye(widths[0])
    for factor in balanced(matrix, widths):
        product = factor @ product
    np.testing.assert_allclose(product, matrix, atol=1e-13)


def test_weights_of_your_own() -> None:
    net = DeepLinear((2, 3, 1), np.eye(2), [[1.0], [0.0]])
    theta = net.initial(scheme=lambda random, rows, columns: np.full((rows, columns), rows))
    np.testing.assert_array_equal(theta, [3, 3, 3, 3, 3, 3, 1, 1, 1])
    with pytest.raises(ShapeError, match=r"gave a matrix of shape \(2, 3\), expected \(3, 2\)"):
        net.initial(scheme=lambda random, rows, columns: np.zeros((columns, rows)))


def test_refused_starts() -> None:
    net = Network((3, 2, 3), np.eye(3), np.eye(3))
    with pytest.raises(InputError, match="unknown scheme 'zero'; choose one of xavier, he, near_zero, balanced, or"):
        net.initial(scheme="zero")
    with pytest.raises(InputError, match=r"widths \(3, 2, 3\) cannot be balanced.*at least 3 wide"):
        net.initial(scheme="balanced")
    with pytest.raises(InputError, match="scale must be a finite number"):
        net.initial(scale=np.inf)
    with pytest.raises(ShapeError, match=r"the matrix has shape \(2, 2\), expected \(3, 3\)"):
        balanced(np.eye(2), (3, 4, 3))


# bad input ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments, message",
    [
        (((3,), INPUTS, TARGETS), "widths must be at least two positive integers such as"),
        (((3, 0, 2), INPUTS, TARGETS), "at least two positive integers"),
        (((3, True, 2), INPUTS, TARGETS), "at least two positive integers"),
        ((3, INPUTS, TARGETS), "layers must be widths such as .* got 3"),
        (((4, 2), INPUTS, TARGETS), r"inputs have shape \(7, 3\), expected \(samples, 4\).* give widths \(3, 2\)"),
        (((3, 3), INPUTS, TARGETS), r"targets have shape \(7, 2\), expected \(7, 3\); give a last layer of 2 units"),
        (((3, 2), INPUTS, TARGETS[:5]), "inputs hold 7 samples and targets 5; give one target for each sample"),
        (
            ((3, 2), INPUTS, LABELS),
            r"expected \(7, 2\); type loss=\"cross_entropy\" for labels, or",
        ),
        (((3, 1), INPUTS, LABELS), r"expected \(7, 1\); type targets\[:, None\]"),
        (((3, 2), INPUTS, np.ones((7, 2, 1))), r"expected \(7, 2\); give one row for each sample"),
        (((3, 2), INPUTS[0], TARGETS), r"inputs have shape \(3,\), expected .*for one sample type inputs\[None\]"),
        (
            ((3, 2), INPUTS * np.nan, TARGETS),
            r"inputs must be finite, got inputs\[0, 0\] = nan; leave such",
        ),
        (((3, 2), INPUTS, TARGETS * np.inf), r"targets must be finite, got targets\[0, 0\] = "),
        (((3, 2), "abc", TARGETS), "inputs must be an array of real numbers, got str 'abc'"),
        (((3, 2), INPUTS + 1j, TARGETS), "inputs must be an array of real numbers, got ndarray"),
        (((3, 2), INPUTS[:0], TARGETS[:0]), "hold no samples; give at least one"),
        (((3, 2), INPUTS[:, :0], TARGETS), "hold no features; give at least one"),
        (((3, 2), INPUTS, TARGETS, "tan"), r"unknown activation 'tan'; choose one of linear, tanh.*did you mean tanh"),
        (((3, 2), INPUTS, TARGETS, "tanh", "hinge"), "unknown loss 'hinge'; choose one of mse, cross_entropy"),
        (((3, 2), INPUTS, TARGETS, "tanh", "cross_entropy"), r"rows of probabilities that sum to 1; type loss=\"mse\""),
        (((3, 2), INPUTS, LABELS + 1, "tanh", "cross_entropy"), "from 0 to 1, got 1 to 2; give labels - 1"),
        (((3, 2), INPUTS, LABELS * 4, "tanh", "cross_entropy"), "got 0 to 4; give a last layer of 5 units"),
        (((3, 2), INPUTS, LABELS - 1, "tanh", "cross_entropy"), r"got -1 to 0; give numpy.unique\(labels, return_inv"),
        (((3, 2), INPUTS, LABELS + 0.5, "tanh", "cross_entropy"), "labels must be integers from 0 to 1, got 0.5"),
    ],
)
def test_bad_networks(arguments: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Network(*arguments)


@pytest.mark.parametrize("options, message", [({"bias": 1}, "bias must be True or False"), ({"slope": "x"}, "slope")])
def test_bad_options(options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Network((3, 2), INPUTS, TARGETS, **options)


@pytest.mark.parametrize(
    "count, message", [(2, "7 samples cannot be split into 2 equal batches; choose one of 1, 7"), (0, "count must be"),
                       (8, "count must be an integer from 1 to 7, got 8")],
)  # fmt: skip
def test_uneven_batches(count: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Network((3, 2), INPUTS, TARGETS).split(count)


def test_batches_are_the_network_on_their_samples() -> None:
    net = Network((3, 4, 2), INPUTS[:6], TARGETS[:6], bias=True).with_weight_decay(0.1)
    theta = net.initial(0)
    parts = net.split(3)
    assert sum(part.value(theta) for part in parts) / 3 == pytest.approx(net.value(theta), rel=1e-14, abs=0)
    alone = Network((3, 4, 2), INPUTS[2:4], TARGETS[2:4], bias=True, name=parts[1].name).with_weight_decay(0.1)
    assert parts[1] == alone
    assert parts[1].program.nodes == alone.program.nodes
