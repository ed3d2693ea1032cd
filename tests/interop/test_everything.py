"""What works on the package's own losses works on losses read from JAX and from PyTorch."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

import eomsym as eom
from eomsym.errors import HypothesisError, InputError, ShapeError
from eomsym.symmetries import RescalingSymmetry, ScaleInvariance, TranslationInvariance, predict, symmetries_of

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")

RNG = np.random.default_rng(8)
INPUTS, LABELS = RNG.standard_normal((9, 3)), RNG.integers(0, 2, 9)
WEIGHTS = {"0.weight": RNG.standard_normal((4, 3)) / 2, "2.weight": RNG.standard_normal((2, 4)) / 2}
TARGETS = RNG.standard_normal((9, 2))


def of_torch(activation="tanh", normalised=False):
    torch = pytest.importorskip("torch")
    nn = torch.nn
    between = {"tanh": nn.Tanh(), "gelu": nn.GELU(), "relu": nn.ReLU()}[activation]
    middle = [nn.BatchNorm1d(4, eps=1e-30, affine=False, dtype=torch.float64)] if normalised else []
    layers = [nn.Linear(3, 4, bias=False, dtype=torch.float64), *middle, between]
    module = nn.Sequential(*layers, nn.Linear(4, 2, bias=False, dtype=torch.float64))
    with torch.no_grad():
        module[0].weight.copy_(torch.as_tensor(WEIGHTS["0.weight"]))
        module[-1].weight.copy_(torch.as_tensor(WEIGHTS["2.weight"]))
    return eom.from_torch(module, nn.functional.cross_entropy, torch.as_tensor(INPUTS), torch.as_tensor(LABELS))


def of_jax(activation="tanh", normalised=False):
    jax = pytest.importorskip("jax")
    jnp = jax.numpy

    def loss_fn(params):
        hidden = INPUTS @ params[0].T
        if normalised:
            apart = hidden - hidden.mean(axis=0)
            hidden = apart * jax.lax.rsqrt((apart**2).mean(axis=0))
        hidden = getattr(jax.nn, activation)(hidden)
        logits = hidden @ params[1].T
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), LABELS[:, None], axis=1).mean()

    return eom.from_jax(loss_fn, list(WEIGHTS.values()))


FRAMEWORKS = pytest.mark.parametrize("read", [of_torch, of_jax], ids=["torch", "jax"])


def own(activation="tanh"):
    """The same network as a loss of the package."""
    net = eom.Network((3, 4, 2), INPUTS, LABELS, activation, "cross_entropy")
    return net, net.pack(*WEIGHTS.values())


@FRAMEWORKS
def test_motions_are_those_of_our_own_network(read):
    loss, (net, theta) = read(), own()
    np.testing.assert_array_equal(loss.start, theta)
    pairs = [
        (eom.flow(one, theta, eta=0.2, time=1.0, order=2).thetas, eom.descend(one, theta, eta=0.2, steps=5).thetas)
        for one in (loss, net)
    ]
    for found, expected in zip(*pairs, strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
    forwards = [eom.forward(one, theta, eta=0.01, steps=200) for one in (loss, net)]
    np.testing.assert_allclose(forwards[0].theta, forwards[1].theta, rtol=0, atol=1e-9)
    paths = [eom.edge_flow(one, theta, eta=0.5, steps=20) for one in (loss, net)]
    np.testing.assert_allclose(paths[0].iterates, paths[1].iterates, rtol=0, atol=1e-8)
    seen = [eom.watch(one, pairs[0][1], eta=0.2, count=2).products for one in (loss, net)]
    np.testing.assert_allclose(*seen, rtol=1e-6)


@pytest.mark.slow
@FRAMEWORKS
def test_a_module_is_emitted_that_stands_alone(read, tmp_path):
    loss = read()
    kernel = eom.compile(loss, 2)
    path = kernel.save(tmp_path / "emitted.py")
    spec = importlib.util.spec_from_file_location("emitted", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = path.read_text("utf-8")
    assert "import jax" not in text
    assert "import torch" not in text
    found, expected = module.terms(loss.start), kernel.terms(loss.start)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13 * abs(expected).max())


@FRAMEWORKS
def test_bounds_hold_or_say_which_hypothesis_is_missing(read):
    """The enclosure reads the program alone; closed forms of networks need a `Network`."""
    pytest.importorskip("flint")
    loss, (net, theta) = read(), own()
    balls = eom.bounds.enclose_terms(loss, theta, order=1)
    terms = eom.compile(net, 1).terms(theta)
    for ball, number in zip(balls.ravel(), terms.ravel(), strict=True):
        assert abs(float(ball.mid()) - number) <= float(ball.rad()) + 1e-12 * abs(terms).max()
    eta, steps = 0.1, 4
    predicted = eom.bounds.predicted_distance(loss, theta, eta=eta, steps=steps, order=1)
    same = eom.bounds.predicted_distance(net, theta, eta=eta, steps=steps, order=1)
    np.testing.assert_allclose(predicted.vectors, same.vectors, rtol=1e-6, atol=1e-12)
    with pytest.raises(HypothesisError, match="needed a network without biases whose activation is linear"):
        eom.bounds.step_size(loss, theta, time=1.0, epsilon=0.1)
    with pytest.raises(HypothesisError, match="no bound"):
        eom.bounds.distance(loss, theta, eta=eta, steps=steps)


@FRAMEWORKS
def test_symmetries_are_found_and_norms_predicted(read):
    loss = read("gelu", normalised=True)
    scale, *rest = symmetries_of(loss)
    assert scale == ScaleInvariance(next(iter(loss.blocks)))
    assert [type(one) for one in rest] == [TranslationInvariance]  # of the last weights, before the softmax
    predictions = predict(loss, loss.start, eta=0.1, steps=6, symmetries=[scale, *rest], orders=(0, 1, 2))
    for series in predictions.series.values():
        assert series.rate_misfit < 1e-11
        assert series.misfit < 1e-7
    with pytest.raises(eom.errors.SymmetryError, match="does not have"):
        ScaleInvariance(list(loss.blocks)[1]).check(loss, loss.start)


@pytest.mark.parametrize("activation", ["relu", "linear"])
@pytest.mark.parametrize("form", ["list", "dict", "no bias"])
def test_rescalings_of_matrices_that_are_inputs_times_outputs(activation, form):
    """The hidden units are columns below and rows above; a dictionary puts the bias behind both matrices."""
    jax = pytest.importorskip("jax")
    below, above, bias = RNG.standard_normal((3, 4)), RNG.standard_normal((4, 2)), RNG.standard_normal(4)
    params, names = {
        "list": ([below, bias, above], ("0", "2", "1")),
        "dict": ({"W1": below, "W2": above, "b": bias}, ("W1", "W2", "b")),
        "no bias": ([below, above], ("0", "1", None)),
    }[form]

    def loss_fn(params):
        first, second, *rest = params.values() if form == "dict" else params
        if form == "list":
            second, rest = rest[0], [second]
        hidden = INPUTS @ first + (rest[0] if rest else 0.0)
        hidden = jax.nn.relu(hidden) if activation == "relu" else hidden
        return ((hidden @ second - TARGETS) ** 2).mean()

    loss = eom.from_jax(loss_fn, params)
    (found,) = [one for one in symmetries_of(loss) if isinstance(one, RescalingSymmetry)]
    expected = RescalingSymmetry(names[:2], bias=names[2], matrix=activation == "linear", axes=(1, 0))
    assert found == expected
    turned = above @ above.T - below.T @ below - (0 if form == "no bias" else np.outer(bias, bias))
    balance = np.diag(turned) if activation == "relu" else turned[np.triu_indices(4)]
    np.testing.assert_allclose(found.value(loss, loss.start), balance, rtol=1e-12, atol=1e-12)
    assert "axes=(1, 0)" in str(found)
    with pytest.raises(InputError, match=r"expected two of 0 and 1.*type axes=\(0, 1\)"):
        RescalingSymmetry(names[:2], axes=(1, 2))
    with pytest.raises(ShapeError, match=r"type axes=\(1, 0\) for matrices of inputs × outputs"):
        RescalingSymmetry(names[:2]).check(loss, loss.start)


def test_measured_symmetries_are_those_of_the_layers():
    net = own("relu")[0]
    layers = symmetries_of(net)
    measured = symmetries_of(of_torch("relu"))
    assert (
        [type(one) for one in measured] == [type(one) for one in layers] == [TranslationInvariance, RescalingSymmetry]
    )
    with pytest.raises(InputError, match="give start=theta, a point at which they are measured"):
        symmetries_of(eom.Loss("x**2", variables="x"))


def test_a_form_without_branches_is_refused_where_a_softmax_branches():
    with pytest.raises(eom.errors.ExpressionError, match=r"has no branches.*use form='table'"):
        eom.compile(of_jax(), 1, form="explicit").terms(np.concatenate([w.ravel() for w in WEIGHTS.values()]))
