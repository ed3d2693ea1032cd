"""The JAX reading of the instructions against the compiled tables."""

from __future__ import annotations

import numpy as np
import pytest

import eomsym as eom
from eomsym.errors import InputError, TableError
from eomsym.losses.builder import Builder
from eomsym.optimisers import Extragradient, RMSProp
from eomsym.taylor.plan import terms_plan
from eomsym.taylor.rings.numbers import Floats
from eomsym.taylor.table import counter_terms_at

pytest.importorskip("jax", reason="the JAX reading needs JAX: pip install 'eomsym[jax]'")

from taylor.test_rules import EXAMPLES, SIZE, program_of

from eomsym.codegen.backends.jax import JaxMachine

RNG = np.random.default_rng(3)


def network(activation="tanh", loss="cross_entropy"):
    inputs = RNG.standard_normal((7, 4))
    targets = RNG.standard_normal((7, 3)) if loss == "mse" else RNG.integers(0, 3, 7)
    return eom.Network((4, 5, 3), inputs, targets, activation, loss, bias=True)


METHODS = [eom.GradientDescent(), eom.HeavyBall("1/3"), eom.Nesterov("1/2"), Extragradient(), RMSProp("9/10")]


@pytest.mark.parametrize(
    "method, order",
    [
        *((METHODS[0], order) for order in (0, 2, 4)),
        (METHODS[1], 3),
        pytest.param(METHODS[0], 5, marks=pytest.mark.slow),
        *(pytest.param(m, order, marks=pytest.mark.slow) for m in METHODS[2:] for order in (1, 3, 4)),
    ],
)
def test_terms_are_those_of_the_tables(method, order):
    net = network()
    theta = net.initial(0) + 0.3
    expected = eom.compile(net, order, method=method).terms(theta)
    found = eom.compile(net, order, method=method, backend="jax").terms(theta)
    for row, true in zip(found, expected, strict=True):
        np.testing.assert_allclose(row, true, rtol=0, atol=1e-12 * abs(true).max())


@pytest.mark.parametrize("order", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_every_operation(order):
    """All examples of all operations, six parameters each, beside each other in one program."""
    theta = np.random.default_rng(5).uniform(0.3, 1.0, SIZE)
    builder = Builder(SIZE)
    values = [EXAMPLES[name](builder, builder.theta) for name in EXAMPLES]
    total = None
    for k, used in enumerate(values):
        flat = builder.apply("reshape", [used], (used.shape[0] * used.shape[1], 1))
        mixed = np.cos(k + np.arange(SIZE * flat.shape[0]).reshape(SIZE, -1)) @ flat
        total = mixed if total is None else total + mixed
    plan = terms_plan(builder.finish([total]), order)
    expected = counter_terms_at(plan, list(theta), order, Floats()).astype(float)
    out = np.empty((1, order + 1, SIZE))
    JaxMachine(plan).terms(theta[None], order, out)
    for row, true in zip(out[0], expected, strict=True):
        np.testing.assert_allclose(row, true, rtol=0, atol=1e-12 * abs(true).max())
    assert program_of("matmuls").size == SIZE


def test_float32_and_many_points():
    net = network("gelu", "mse")
    points = RNG.standard_normal((3, net.size)) / 2
    expected = eom.compile(net, 2).terms(points)
    kernel = eom.compile(net, 2, backend="jax", dtype="float32")
    found = kernel.terms(points)
    assert found.dtype == np.float64
    for k, tolerance in enumerate((1e-5, 1e-5, 1e-4)):
        np.testing.assert_allclose(found[:, k], expected[:, k], rtol=0, atol=tolerance * abs(expected[:, k]).max())
    assert kernel.at_order(1).backend == "jax"


def test_the_equation_of_motion_runs_on_it():
    net = network("tanh", "mse")
    theta = net.initial(2)
    numba, jax = (eom.compile(net, 2, backend=backend).field(theta, 0.1) for backend in ("numba", "jax"))
    np.testing.assert_allclose(numba, jax, rtol=1e-11, atol=1e-13)


def test_gradients_and_hessian_products_run_on_it(monkeypatch):
    """All of them, at two points, against the tables; the loops of numba are taken away."""
    net = network("tanh", "mse")
    theta, v = net.initial(2) + 0.2, RNG.standard_normal((2, net.size))
    numba, jax = (eom.compile(net, 1, method=eom.HeavyBall("1/3"), backend=backend) for backend in ("numba", "jax"))
    expected = [
        numba.gradient(np.stack([theta, 2 * theta])),
        numba.hessian_vector(theta, v),
        numba.gradient_along(theta, v[0], 2),
        numba.jacobian_vector(theta, v[0], 0.1),
        numba.memories(theta, 0.1),
    ]
    monkeypatch.setattr("eomsym.codegen.run.Machine.fill", None)
    found = [
        jax.gradient(np.stack([theta, 2 * theta])),
        jax.hessian_vector(theta, v),
        jax.gradient_along(theta, v[0], 2),
        jax.jacobian_vector(theta, v[0], 0.1),
        jax.memories(theta, 0.1),
    ]
    for one, true in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, true, rtol=0, atol=1e-12 * abs(true).max())
    assert jax.stepper() is None


def test_memory_is_that_of_the_entries_and_is_written_over():
    """One entry more costs what one entry costs; a second call at another point gives what a first one gives there."""
    net = network("tanh", "mse")
    bytes_of = [eom.compile(net, order, backend="jax").bytes for order in range(7)]
    for order, found in enumerate(bytes_of):
        assert found == bytes_of[0] * (order + 1) * (order + 2) // 2
    assert eom.compile(net, 6, backend="jax", dtype="float32").bytes == bytes_of[6] // 2
    kernel = eom.compile(net, 2, backend="jax")
    points = RNG.standard_normal((2, net.size)) / 2
    first, kept = kernel.terms(points), None
    for point, found in zip(points, first, strict=True):
        kept = kernel.terms(point)
        np.testing.assert_array_equal(kept, found)
    kernel.terms(points[0])
    np.testing.assert_array_equal(kept, first[1])


def test_what_is_not_finite_is_named():
    net = network("tanh", "mse")
    with pytest.raises(TableError, match="not finite from order 0 on, first in v"):
        eom.compile(net, 2, backend="jax").terms(np.full(net.size, 1e200))


def test_a_kernel_is_compiled_for_another_backend():
    kernel = eom.compile(eom.compile(network(), 1), 2, backend="jax", dtype="float32")
    assert (kernel.backend, kernel.dtype, kernel.order) == ("jax", "float32", 2)


def test_unknown_backends_are_refused():
    with pytest.raises(InputError, match="unknown backend 'torch'; choose one of numba, jax"):
        eom.compile(network(), 1, backend="torch")
    with pytest.raises(InputError, match="needs backend='jax'"):
        eom.compile(network(), 1, dtype="float32")
    with pytest.raises(InputError, match="unknown dtype 'float16'; choose one of float64, float32"):
        eom.compile(network(), 1, backend="jax", dtype="float16")
