"""What others offer at the edge of stability, on losses where it can be known."""

from __future__ import annotations

import numpy as np
import pytest

import eomsym as eom
from eomsym.experiments.flows import central_flow, classical, principal_flow, third_derivative

VALLEY = eom.Loss("(1 - x*y)**2/2", variables="x y")


def test_the_third_derivative_is_exact() -> None:
    kernel = eom.compile(VALLEY, 0)
    theta, u, v, h = np.array([1.3, -0.4]), np.array([0.2, 1.0]), np.array([-1.0, 0.5]), 1e-5
    difference = (kernel.hessian_vector(theta + h * u, v) - kernel.hessian_vector(theta - h * u, v)) / (2 * h)
    np.testing.assert_allclose(third_derivative(kernel, theta, u, v), difference, rtol=1e-8)
    difference = (kernel.hessian_vector(theta + h * u, u) - kernel.hessian_vector(theta - h * u, u)) / (2 * h)
    np.testing.assert_allclose(third_derivative(kernel, theta, u, u), difference, rtol=1e-8)


def test_the_central_flow_brings_the_sharpness_to_the_edge_and_holds_it_there() -> None:
    points, sizes = central_flow(eom.compile(VALLEY, 0), np.array([2.1, 0.47]), 0.5, np.arange(0, 201, 20))
    products = eom.watch(VALLEY, points, eta=0.5, count=1).products[:, 0]
    assert products[0] > 2.1
    assert products[-1] == pytest.approx(2.0, abs=2e-3)
    assert sizes[1] > 0


def test_below_the_edge_the_central_flow_is_gradient_flow() -> None:
    points, _ = central_flow(eom.compile(VALLEY, 0), np.array([1.0, 0.2]), 0.1, np.array([0, 50]))
    flow = eom.flow(VALLEY, [1.0, 0.2], time=[0.0, 5.0], order=0)
    assert np.linalg.norm(points[-1] - flow.end) < 0.01 * np.linalg.norm(flow.end - flow.thetas[0])


def test_the_principal_flow_follows_descent_on_a_quadratic() -> None:
    loss = eom.Loss("3*x**2/2 + y**2/5", variables="x y")
    kernel, marks = eom.compile(loss, 0), np.arange(9)
    run = eom.descend(loss, [1.0, 1.0], eta=0.3, steps=8).thetas
    np.testing.assert_allclose(principal_flow(kernel, np.ones(2), 0.3, marks), run, atol=0.05)


def test_the_classical_equation_is_given_up_where_it_blows_up() -> None:
    loss = eom.Loss("-x**4/4", variables="x")
    assert len(classical(eom.compile(loss, 0), np.array([1.0]), 0.1, np.arange(20))) < 20
    kernel = eom.compile(VALLEY, 2)
    points = classical(kernel, np.array([1.0, 0.2]), 0.1, np.arange(11))
    flow = eom.flow(kernel, [1.0, 0.2], eta=0.1, time=0.1 * np.arange(11))
    np.testing.assert_allclose(points, flow.thetas, atol=1e-5)
