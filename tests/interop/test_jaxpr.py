"""Losses from JAX: values, gradients and terms against JAX itself; what cannot be read is named with its line."""

from __future__ import annotations

import numpy as np
import pytest

import eomsym as eom
from eomsym.errors import ExpressionError, InputError
from eomsym.losses.activations import region_changes

jax = pytest.importorskip("jax", reason="from_jax needs JAX: pip install 'eomsym[jax]'")

import jax.numpy as jnp  # noqa: E402
from bench.jax_terms import by_trees  # noqa: E402
from interop.jax_models import MODELS  # noqa: E402
from jax import lax  # noqa: E402
from jax.flatten_util import ravel_pytree  # noqa: E402

RNG = np.random.default_rng(2)
X = RNG.standard_normal((5, 4))


def read(name):
    """A model, drawn once, and its loss."""
    loss_fn, params = MODELS[name]()
    return loss_fn, params, eom.from_jax(loss_fn, params)


@pytest.mark.parametrize("name", MODELS)
def test_value_and_gradient_are_those_of_jax(name):
    loss_fn, params, loss = read(name)
    start, tree = ravel_pytree(params)
    for seed in range(3):
        theta = np.asarray(start) + 0.1 * np.random.default_rng(seed).standard_normal(start.size)
        value, gradient = jax.value_and_grad(lambda vector: loss_fn(tree(vector)))(theta)
        assert loss.value(theta) == pytest.approx(float(value), rel=1e-12, abs=0)
        np.testing.assert_allclose(loss.gradient(theta), gradient, rtol=0, atol=1e-12 * abs(np.asarray(gradient)).max())
        np.testing.assert_allclose(eom.compile(loss, 0).terms(theta)[0], gradient, atol=1e-12 * abs(gradient).max())


@pytest.mark.parametrize(
    "name, order",
    [
        ("mlp", 3),
        ("layer norm", 3),
        ("lenet", 2),
        ("batch norm", 2),
        pytest.param("lenet", 3, marks=pytest.mark.slow),
        pytest.param("batch norm", 3, marks=pytest.mark.slow),
        pytest.param("transformer", 3, marks=pytest.mark.slow),
    ],
)
def test_terms_are_those_of_nested_jvp(name, order):
    loss_fn, params, loss = read(name)
    start, tree = ravel_pytree(params)
    expected = np.asarray(by_trees(jax.grad(lambda vector: loss_fn(tree(vector))), order)(start))
    found = eom.compile(loss, order).terms(loss.start)
    np.testing.assert_allclose(loss.start, start, rtol=0, atol=0)
    for row, true in zip(found, expected, strict=True):
        np.testing.assert_allclose(row, true, rtol=0, atol=1e-10 * abs(true).max())


@pytest.mark.parametrize(
    "name",
    ["mlp", "layer norm", *(pytest.param(n, marks=pytest.mark.slow) for n in ("lenet", "batch norm", "transformer"))],
)
def test_verify_passes(name):
    *_, loss = read(name)
    time = {"mlp": 3.0, "layer norm": 0.6, "lenet": 2.0, "batch norm": 0.08, "transformer": 0.02}[name]
    report = eom.verify(loss, loss.start, time=time, ladder=(10, 20, 40, 80), orders=range(4))
    assert report.status == "passed", report


# operations ---------------------------------------------------------------------------------------------------------

A = RNG.standard_normal((3, 2, 4))
KERNEL = RNG.standard_normal((4, 2, 2)) / 3
SIGNAL = RNG.standard_normal((2, 2, 6))

#: Scalars of an array of shape (3, 4), as far from kinks as random numbers are.
FUNCTIONS = {
    "exp, log1p, expm1": lambda x: (jnp.log1p(jnp.exp(x)) + jnp.expm1(x) + jnp.exp2(x)).sum(),
    "powers": lambda x: ((x**2 + 1) ** 1.5 + (x**2 + 1) ** -2 + x**5 + 2.0**x + (2 + x**2) ** x).sum(),
    "roots": lambda x: (jnp.sqrt(x**2 + 1) + lax.rsqrt(x**2 + 1) + jnp.cbrt(x**2 + 1)).sum(),
    "trigonometric": lambda x: (jnp.tan(x / 5) + jnp.arctan(x) + jnp.sinh(x) * jnp.cosh(x)).sum(),
    "activations": lambda x: sum(f(x).sum() for f in (jax.nn.gelu, jax.nn.silu, jax.nn.softplus, jax.nn.elu)),
    "erf": lambda x: (jax.scipy.special.erf(x) * jax.nn.gelu(x, approximate=False) / (2 + x)).sum(),
    "kinks": lambda x: (jax.nn.relu(x) ** 2 + jnp.abs(x) * jnp.clip(x, -0.7, 0.6) + jnp.minimum(x, x**2) * x).sum(),
    "where": lambda x: (jnp.where(x > 0.1, x**2, jnp.sin(x)) * jnp.where(x < 0, 2.0, -1.0) + jnp.sign(x) * x**3).sum(),
    "maxima": lambda x: (x.max(axis=1) ** 2).sum() + (x**2).min(axis=0).sum() + jnp.max(x) ** 3,
    "softmax": lambda x: (jax.nn.softmax(x, axis=0) * jnp.arange(4.0)).sum() + jax.nn.logsumexp(x**2),
    "middle axis": lambda x: (jax.nn.softmax(A * x[:, None, :], axis=1) ** 2).sum() + (A * x[:, None]).var(1).sum(),
    "slices": lambda x: (x[1:, ::2] * x[:2, 1:3]).sum() + (x[::-1] * x**2).sum() + x[2, 3] ** 2,
    "gather": lambda x: (x[jnp.array([2, 0, 2]), jnp.array([1, 1, 3])] ** 3).sum() + jnp.take(x, 1, axis=1).prod(),
    "scatter": lambda x: (jnp.zeros((4, 4)).at[jnp.array([3, 1, 0])].set(x) ** 2 @ jnp.ones(4))[1] ** 2,
    "scatter add": lambda x: (jnp.asarray(x).at[1, jnp.array([0, 3])].add(x[0, :2] ** 2) ** 2).sum(),
    "dynamic slice": lambda x: (lax.dynamic_update_slice(x, x[:1, :2] ** 2, (1, 2)) ** 2).sum(),
    "pad, concatenate": lambda x: (jnp.pad(jnp.concatenate([x, x.T @ x]), 1, constant_values=2.0) ** 3).sum(),
    "stack, split": lambda x: sum((a**k).sum() for k, a in enumerate(jnp.split(jnp.stack([x, x**2]), 2, axis=2))),
    "cumsum, prod": lambda x: (jnp.cumsum(x, axis=1) ** 2).sum() + x.prod(axis=0).sum() + (x[:2].prod()) ** 2,
    "einsum": lambda x: jnp.einsum("ijk,ik,lk->jl", A, x, x).sum() ** 2 + jnp.einsum("ij,kj->", x, x) ** 2,
    "batched": lambda x: (jnp.einsum("bij,bkj->bik", A * x[:, None], A) ** 2).sum() + ((A @ x.T) ** 3).sum(),
    "same batches": lambda x: (jnp.matmul(jnp.broadcast_to(x.T, (3, 4, 3)), A.transpose(0, 2, 1)[:, :3]) ** 2).sum(),
    "convolution": lambda x: (lax.conv(SIGNAL * x[:2, :2, None], KERNEL, (2,), "SAME") ** 2).sum(),
    "convolution with weights": lambda x: (lax.conv(SIGNAL, x.reshape(3, 2, 2), (1,), "VALID") ** 3).sum(),
    "grouped convolution": lambda x: (
        lax.conv_general_dilated(
            SIGNAL * x[0, 0], x.reshape(4, 1, 3), (1,), [(1, 2)], (2,), (2,), feature_group_count=2
        )
        ** 2
    ).sum(),
    "windows": lambda x: (lax.reduce_window(x, -jnp.inf, lax.max, (2, 2), (1, 1), "SAME") ** 2).sum(),
    "loops": lambda x: (
        lax.fori_loop(0, 3, lambda i, c: jnp.sin(c) * jnp.asarray(x)[i], x[0]).sum()
        + lax.scan(lambda c, row: (c * row, c + row), x[0], x, reverse=True)[1].var()
        + lax.fori_loop(0, 3, lambda i, c: c * x[0, 1], x[0, 0])
    ),
    "cond": lambda x: lax.cond(X[0, 0] > 100, jnp.sin, jnp.cos, x).sum() * jax.checkpoint(jnp.sin)(x[0, 0]),
    "norm": lambda x: (
        jnp.linalg.norm(x) + jnp.linalg.norm(x, axis=1).sum() + (x / jnp.linalg.norm(x, axis=0)).sum() ** 2
    ),
    "attention": lambda x: (jax.nn.softmax(jnp.where(np.tri(3, dtype=bool), x @ x.T, -jnp.inf)) @ x).var(),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_operation_and_its_derivatives(name):
    """Value, gradient, and the first two terms, which hold second and third derivatives."""
    function = FUNCTIONS[name]
    x = np.random.default_rng(8).standard_normal((3, 4))
    with jax.enable_x64(True):
        loss = eom.from_jax(lambda params: function(params["x"]), {"x": x})
        flat = jax.jit(lambda vector: function(vector.reshape(3, 4)))
        g = jax.grad(flat)(x.ravel())
        slope = jax.jvp(jax.grad(flat), (x.ravel(),), (g,))[1]
        assert loss.value(x.ravel()) == pytest.approx(float(function(x)), rel=1e-12, abs=0)
    np.testing.assert_allclose(loss.gradient(x.ravel()), g, rtol=1e-11, atol=1e-12 * abs(g).max())
    terms = eom.compile(loss, 1).terms(x.ravel())
    np.testing.assert_allclose(terms[1], slope / 2, rtol=1e-10, atol=1e-11 * abs(slope).max())


def test_a_while_loop_of_known_length():
    """JAX itself has no gradient of it."""
    loss = eom.from_jax(
        lambda x: lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, c[1] * x[0]), (0, x[1]))[1], X[0]
    )
    a, b = X[0, :2]
    assert loss.value(X[0]) == pytest.approx(a**3 * b, rel=1e-9, abs=0)
    np.testing.assert_allclose(loss.gradient(X[0]), [3 * a**2 * b, a**3, 0, 0])


# trees, regions, errors ---------------------------------------------------------------------------------------------


def test_vectors_pack_and_unpack_to_the_tree():
    params = {"layers": [{"W": np.ones((2, 3)), "b": np.zeros(3)}], "scale": 2.0}
    loss = eom.from_jax(lambda p: ((p["layers"][0]["W"].sum(0) + p["layers"][0]["b"]) ** 2).sum() * p["scale"], params)
    assert list(loss.blocks) == ["layers.0.W", "layers.0.b", "scale"]
    theta = np.arange(10.0)
    tree = loss.unpack(theta)
    np.testing.assert_array_equal(tree["layers"][0]["W"], np.arange(6.0).reshape(2, 3))
    assert tree["scale"] == 9.0
    np.testing.assert_array_equal(loss.pack(tree), theta)
    np.testing.assert_array_equal(loss.start, [1] * 6 + [0] * 3 + [2])
    with pytest.raises(InputError, match="expected a tree of the structure"):
        loss.pack({"layers": []})


def test_leaving_a_region_is_seen():
    loss = eom.from_jax(lambda w: jax.nn.relu(w[0] * w[1]) + w[1] ** 2, np.array([1.0, 1.0]))
    np.testing.assert_array_equal(region_changes(loss, [[1.0, 1.0], [0.5, 1.0], [-0.5, 1.0]]), [0, 1])
    smooth = eom.from_jax(lambda w: jax.nn.softplus(w).sum() + jnp.logaddexp(w[0], w[1]), np.array([1.0, 2.0]))
    assert "gate" not in {node.operation for node in smooth.program.nodes}
    softmax = eom.from_jax(lambda w: jax.nn.logsumexp(w), np.array([1.0, 2.0]))
    np.testing.assert_array_equal(region_changes(softmax, [[1.0, 2.0], [2.0, 1.0]]), [0])


def test_a_stopped_gradient_moves_all_the_same():
    """g = x sg(x): the step is that of g = x**2, whose term 1 is g' g / 2 = x**3."""
    loss = eom.from_jax(lambda x: (x * lax.stop_gradient(x**2) / 1.0).sum(), np.array([2.0]))
    np.testing.assert_allclose(eom.compile(loss, 1).terms([2.0]).ravel(), [4.0, 8.0])


def test_what_cannot_be_read_is_named_with_its_line():
    def sorted_loss(x):
        return (jnp.sort(x) * jnp.arange(3.0)).sum()

    with pytest.raises(
        ExpressionError, match=r"the operation 'sort' of JAX has no rule here.*test_jaxpr\.py:\d+.*sorted_loss"
    ):
        eom.from_jax(sorted_loss, np.ones(3))
    with pytest.raises(ExpressionError, match=r"a while loop depends on the parameters.*test_jaxpr\.py"):
        eom.from_jax(lambda x: lax.while_loop(lambda c: c < 9, lambda c: c * 2, x[0]), np.ones(3))
    with pytest.raises(ExpressionError, match="the operation 'argmax' of JAX"):
        eom.from_jax(lambda x: x[jnp.argmax(x)], np.ones(3))


def test_what_is_not_a_loss_is_refused():
    with pytest.raises(InputError, match="must return one number"):
        eom.from_jax(lambda x: x, np.ones(3))
    with pytest.raises(InputError, match="of type int64, expected floats"):
        eom.from_jax(lambda p: p["x"].sum(), {"x": np.ones(2), "n": np.arange(2)})
    with pytest.raises(InputError, match="does not depend on the parameters"):
        eom.from_jax(lambda x: jnp.ones(()), np.ones(3))
    with pytest.raises(InputError, match=r"shapes \[\(\), \(3,\)\]; return the loss alone"):
        eom.from_jax(lambda x: (x.sum(), x), np.ones(3))
    with pytest.raises(
        InputError, match=r"audit takes a module.*got function and 0 more; type eom.audit\(loss_fn, params\)"
    ):
        eom.audit(lambda x: x.sum())


def test_what_jax_itself_cannot_trace_is_refused_with_its_line():
    for asks in (lambda x: x.sum() if x.sum() > 0 else -x.sum(), lambda x: float(x.sum())):
        with pytest.raises(ExpressionError, match=r"use jnp\.where.*test_jaxpr\.py:\d+\)"):
            eom.from_jax(asks, np.ones(3))
    with pytest.raises(ExpressionError, match=r"hands parameters to NumPy.*use jax\.numpy \(at .*test_jaxpr\.py:\d+\)"):
        eom.from_jax(lambda x: np.tanh(x).sum(), np.ones(3))


def test_a_truth_value_becomes_a_number_and_a_cond_on_it_is_refused():
    loss = eom.from_jax(lambda x: (x.sum() > 0).astype(float) * (x**2).sum(), np.arange(3.0))
    assert (loss.value(np.arange(3.0)), loss.value(-np.arange(3.0))) == (5.0, 0.0)
    with pytest.raises(ExpressionError, match=r"a cond that depends on the parameters; use where\(\)"):
        eom.from_jax(lambda x: lax.cond(x.sum() > 0, lambda: x.sum(), lambda: -x.sum()), np.ones(3))


def test_a_custom_derivative_and_a_maximum_that_does_not_cancel_are_refused():
    @jax.custom_jvp
    def straight(x):
        return jnp.sin(x)

    straight.defjvp(lambda primals, tangents: (jnp.sin(primals[0]), tangents[0]))
    with pytest.raises(ExpressionError, match="differs from JAX's by"):
        eom.from_jax(lambda x: straight(x).sum(), np.ones(3))
    with pytest.raises(ExpressionError, match="a maximum under stop_gradient changes the gradient"):
        eom.from_jax(lambda x: (x * lax.stop_gradient(x.max())).sum(), np.arange(3.0))


def test_the_audit_agrees_with_jax_and_names_a_wrong_rule():
    loss_fn, params, _ = read("mlp")
    assert eom.audit(loss_fn, params, orders=(2, 3)).status == "agrees"

    @jax.custom_jvp
    def wrong(x):
        return jnp.sin(x)

    wrong.defjvp(lambda primals, tangents: (jnp.sin(primals[0]), lax.stop_gradient(jnp.cos(primals[0])) * tangents[0]))
    found = eom.audit(lambda x: (wrong(x * x) ** 2).sum(), np.ones(3) / 2, orders=(1, 2))
    assert [one.agrees for one in found.comparisons] == [True, False, True, False]
    assert all("wrong (" in culprit for culprit in found.culprits)
    assert "test_jaxpr.py" in found.culprits[0]


def test_the_audit_looks_inside_of_nested_calls():
    """The operation is named, not the jit around it; the same function called twice is read twice."""

    @jax.custom_jvp
    def wrong(x):
        return jnp.sin(x)

    wrong.defjvp(lambda primals, tangents: (jnp.sin(primals[0]), lax.stop_gradient(jnp.cos(primals[0])) * tangents[0]))
    table = np.linspace(0.5, 1, 3)

    @jax.jit
    def inner(x):
        return jax.jit(lambda y: jnp.cos(y) * table)(x) + 1

    def outer(x):
        both = jax.checkpoint(jax.jit(lambda y: inner(inner(y)) + wrong(y)))(x * x)
        return (both**2).sum()

    found = eom.audit(outer, np.ones(3) / 2, orders=(2,))
    assert found.status == "differs"
    assert all(culprit.startswith("wrong (") and "test_jaxpr.py" in culprit for culprit in found.culprits)
    right = eom.audit(lambda x: jax.jit(lambda y: inner(inner(y)).sum())(x), np.ones(3) / 2, orders=(2, 3))
    assert right.status == "agrees"
