"""Closed forms of deep linear networks against gradient flow of the network itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import eomsym as eom
from eomsym.dynamics.deep_linear import (
    ScalarMotion,
    balancedness,
    end_to_end_velocity,
    singular_modes,
    time_to_converge,
)
from eomsym.errors import HypothesisError, InputError, ShapeError
from eomsym.losses.data import whitened
from eomsym.losses.initial import balanced, orthonormal
from eomsym.losses.network import DeepLinear

WHITE = whitened(np.random.default_rng(0).standard_normal((12, 3)))


def network(widths: tuple[int, ...], target: np.ndarray) -> DeepLinear:
    """On whitened data with linear targets the loss is ``|W - target|**2 / 2`` and no constant."""
    return DeepLinear(widths, WHITE, WHITE @ target.T)


def differential_of_product(matrices: list[np.ndarray], velocities: list[np.ndarray]) -> np.ndarray:
    """Product rule."""
    total: np.ndarray = np.zeros((matrices[-1].shape[0], matrices[0].shape[1]))
    for j in range(len(matrices)):
        term = np.eye(matrices[0].shape[1])
        for k, matrix in enumerate(matrices):
            term = (velocities[k] if k == j else matrix) @ term
        total += term
    return total


@given(
    widths=st.lists(st.integers(1, 4), min_size=2, max_size=5).map(tuple),
    seed=st.integers(0, 10**6),
    balance=st.booleans(),
)
def test_velocity_of_the_end_to_end_matrix(widths: tuple[int, ...], seed: int, balance: bool) -> None:
    """Both formulas against the product rule with ``W_j' = -(W_n ⋯ W_{j+1})ᵀ G (W_{j-1} ⋯ W_1)ᵀ``."""
    random = np.random.default_rng(seed)
    gradient = random.standard_normal((widths[-1], widths[0]))
    if balance:
        rank = min(widths)
        left, right = orthonormal(random, widths[-1], rank), orthonormal(random, widths[0], rank)
        matrices = balanced(left @ np.diag(random.uniform(0.1, 2, rank)) @ right.T, widths, random)
    else:
        matrices = [random.standard_normal(shape) for shape in zip(widths[1:], widths[:-1], strict=True)]
    net = DeepLinear(widths, np.eye(widths[0]), np.zeros((widths[0], widths[-1])))
    product = net.end_to_end(net.pack(*matrices))
    velocities = []
    for j in range(len(matrices)):
        above, below = np.eye(widths[-1]), np.eye(widths[0])
        for matrix in reversed(matrices[j + 1 :]):
            above = above @ matrix
        for matrix in matrices[:j]:
            below = matrix @ below
        velocities.append(-above.T @ gradient @ below.T)
    expected = differential_of_product(matrices, velocities)
    found = end_to_end_velocity(matrices, gradient, balanced=balance)
    np.testing.assert_allclose(found, expected, atol=1e-9 * (1 + np.abs(expected).max()))
    assert found.shape == product.shape


def test_gradient_flow_conserves_the_balance() -> None:
    net = network((3, 4, 3, 2), np.array([[1.0, 0.0, 2.0], [0.5, -1.0, 0.0]]))
    start = net.initial(2)
    path = eom.flow(eom.compile(net, 0), start, eta=0.1, time=[0.0, 3.0])
    before, after = (balancedness(list(net.unpack(theta).values())) for theta in path.thetas)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-11)
    assert np.linalg.norm(path.thetas[1] - start) > 0.5


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_one_output(depth: int) -> None:
    """Norm and cosine of the network's end-to-end vector, its invariant, and its gradient flow."""
    target = np.array([[1.0, -0.5, 0.8]])
    size = float(np.linalg.norm(target))
    widths = (3, *[2] * (depth - 1), 1)
    net = network(widths, target)
    matrix = np.array([[-0.3, 0.4, 0.1]])
    start = net.pack(*balanced(matrix, widths))
    times = np.array([0.0, 0.5, 1.5, 4.0])
    path = eom.flow(eom.compile(net, 0), start, eta=0.1, time=times)
    products = np.array([net.end_to_end(theta)[0] for theta in path.thetas])
    radii = np.linalg.norm(products, axis=1)
    cosines = products @ target[0] / radii / size
    motion = ScalarMotion(depth, size)
    np.testing.assert_allclose(motion.path(radii[0], cosines[0], times), [radii, cosines], rtol=1e-9)
    invariants = [motion.invariant(*pair) for pair in zip(radii[:3], cosines[:3], strict=True)]
    np.testing.assert_allclose(invariants, invariants[0], rtol=1e-8)


def test_no_convergence_from_the_opposite_direction() -> None:
    radii, cosines = ScalarMotion(3, 1.0).path(0.5, -1.0, [0.0, 50.0])
    assert cosines[-1] == -1
    assert radii[-1] < 0.01
    radii, cosines = ScalarMotion(3, 1.0).path(0.5, -0.9, [0.0, 80.0])
    np.testing.assert_allclose([radii[-1], cosines[-1]], 1, atol=1e-9)


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
@pytest.mark.parametrize("start, end", [(1e-3, 0.9), (0.2, 0.999999), (3.0, 1.6), (0.3, 0.3)])
def test_time_to_converge_is_the_time_of_the_flow(depth: int, start: float, end: float) -> None:
    strength = 1.5 if end > 1 else 1.0
    time = time_to_converge(depth, strength, start, end)
    if start == end:
        assert time == 0
        return
    radii, _ = ScalarMotion(depth, strength).path(start, 1.0, [0.0, time])
    assert radii[-1] == pytest.approx(end, rel=1e-8, abs=0)
    assert singular_modes(depth, [strength], start, [0.0, time])[-1, 0] == pytest.approx(end, rel=1e-8, abs=0)


def test_time_to_converge_in_closed_form() -> None:
    """One layer relaxes exponentially, two follow a logistic curve; deep ones wait polynomially long."""
    assert time_to_converge(1, 2.0, 0.5, 1.5) == pytest.approx(np.log(3), rel=1e-12, abs=0)
    assert time_to_converge(2, 2.0, 0.5, 1.5) == pytest.approx(np.log(9) / 4, rel=1e-12, abs=0)
    slow = [time_to_converge(3, 1.0, start, 0.5) for start in (1e-6, 1e-9)]
    assert slow[1] / slow[0] == pytest.approx(1000 ** (1 / 3), rel=0.01, abs=0)
    motion = ScalarMotion(3, 1.0)
    assert motion.growth(1e-6, 1.0) == pytest.approx(1e4, rel=1e-9, abs=0)


def test_growth_bounds_the_hessian() -> None:
    """Along an aligned run: m is above minus the smallest eigenvalue, and its integral gives the closed form."""
    from scipy.integrate import trapezoid

    target = np.array([[0.0, 0.0, 1.0]])
    widths = (3, 2, 2, 1)
    net = network(widths, target)
    kernel = eom.compile(net, 0)
    start = net.pack(*balanced(0.05 * target, widths))
    times = np.linspace(0, time_to_converge(3, 1.0, 0.05, 1 - 1e-6), 400)
    thetas = eom.flow(kernel, start, eta=0.1, time=times, rtol=1e-10, atol=1e-12).thetas
    radii = np.array([np.linalg.norm(net.end_to_end(theta)) for theta in thetas])
    rates = 2 * (1 - radii) * radii ** (1 / 3)
    for rate, theta in zip(rates[::20], thetas[::20], strict=True):
        hessian = np.array([kernel.hessian_vector(theta, row) for row in np.eye(net.size)])
        assert -np.linalg.eigvalsh(hessian)[0] < rate + 1e-12
    assert np.exp(trapezoid(rates, times)) == pytest.approx(ScalarMotion(3, 1.0).growth(0.05, 1.0), rel=1e-3, abs=0)


def test_singular_modes_of_a_network() -> None:
    """Aligned balanced factors on whitened data: the singular values of the product, in the order of their strength."""
    random = np.random.default_rng(4)
    left, right = orthonormal(random, 2, 2), orthonormal(random, 3, 2)
    target = left @ np.diag([2.0, 0.7]) @ right.T
    widths = (3, 4, 3, 2)
    net = network(widths, target)
    start = net.pack(*balanced(left @ np.diag([0.1, 0.05]) @ right.T, widths))
    times = np.array([0.0, 1.0, 2.0, 5.0])
    path = eom.flow(eom.compile(net, 0), start, eta=0.1, time=times)
    values = [np.linalg.svd(net.end_to_end(theta), compute_uv=False) for theta in path.thetas]
    np.testing.assert_allclose(values, singular_modes(3, [2.0, 0.7], [0.1, 0.05], times), rtol=1e-9)


def test_refusals() -> None:
    with pytest.raises(HypothesisError, match=r"not balanced: .* start from initial\(scheme='balanced'\)"):
        end_to_end_velocity([np.eye(2), 2 * np.eye(2)], np.eye(2), balanced=True)
    with pytest.raises(ShapeError, match="the gradient has shape"):
        end_to_end_velocity([np.eye(2)], np.eye(3))
    with pytest.raises(ShapeError, match="do not follow each other"):
        balancedness([np.eye(2), np.eye(3)])
    with pytest.raises(ShapeError, match="expected matrices"):
        balancedness([np.ones(2)])
    with pytest.raises(InputError, match="depth must be an integer >= 1, got 0"):
        ScalarMotion(0, 1.0)
    with pytest.raises(InputError, match=r"target must be a finite number > 0, got -1\.0"):
        ScalarMotion(2, -1.0)
    motion = ScalarMotion(2, 1.0)
    bad: list[tuple[Any, ...]] = [
        (0.0, 0.5, "radius"),
        (1.0, 1.5, "cosine must be"),
        (1.0, 1.0, "strictly"),
    ]
    for radius, cosine, message in bad:
        with pytest.raises(InputError, match=message):
            motion.invariant(radius, cosine)
    with pytest.raises(InputError, match=r"does not go from 0\.1 to 1\.0 in finite time"):
        time_to_converge(2, 1.0, 0.1, 1.0)
    with pytest.raises(InputError, match="strengths and starts must be positive"):
        singular_modes(2, [1.0, -1.0], 0.1, [0.0, 1.0])
