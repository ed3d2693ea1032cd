"""Guarantees of convergence: confirmed by the run, and refused where a hypothesis fails."""

from __future__ import annotations

import numpy as np
import pytest

import eomsym as eom
from eomsym.bounds.convergence import guarantee_convergence
from eomsym.errors import HypothesisError


def whitened(widths: tuple[int, ...], seed: int = 0) -> eom.DeepLinear:
    rng = np.random.default_rng(seed)
    raw = rng.standard_normal((12, widths[0]))
    inputs = np.linalg.qr(raw)[0] * np.sqrt(12)
    targets = inputs @ rng.standard_normal((widths[0], 1)) / np.sqrt(widths[0]) + 0.1 * rng.standard_normal((12, 1))
    return eom.DeepLinear(widths, inputs, targets)


def balanced(loss: eom.DeepLinear, vector: np.ndarray, seed: int = 0) -> np.ndarray:
    """Matrices of rank one and equal norms whose product is `vector`."""
    rng = np.random.default_rng(seed)
    size = np.linalg.norm(vector) ** (1 / loss.depth)
    unit = vector / np.linalg.norm(vector)
    matrices = []
    for rows in loss.widths[1:-1]:
        ahead = rng.standard_normal(rows)
        ahead /= np.linalg.norm(ahead)
        matrices.append(size * np.outer(ahead, unit))
        unit = ahead
    return loss.pack(*matrices, size * unit[None, :])


@pytest.mark.parametrize("widths", [(3, 2, 1), (3, 3, 2, 1), (2, 2, 2, 2, 1)])
@pytest.mark.parametrize("seed", range(3))
def test_the_run_confirms_the_guarantee(widths: tuple[int, ...], seed: int) -> None:
    loss = whitened(widths, seed)
    aim = (loss.targets.T @ loss.inputs / 12)[0]
    direction = np.random.default_rng(100 + seed).standard_normal(widths[0])
    direction *= np.sign(direction @ aim)  # far from the target the guarantee asks for very many steps
    start = balanced(loss, 0.6 * direction / np.linalg.norm(direction), seed)
    guarantee = guarantee_convergence(loss, start, epsilon=0.02)
    assert guarantee.steps < 10**6
    assert -1e-12 <= guarantee.confirm(loss, start) <= 0.02
    path = eom.descend(loss, start, eta=guarantee.eta, steps=guarantee.steps, every=guarantee.steps)
    motion = eom.flow(eom.compile(loss, 0), start, eta=0.1, time=guarantee.time, rtol=1e-10)
    assert np.linalg.norm(path.thetas[-1] - motion.thetas[-1]) <= guarantee.distance
    assert "balanced" in str(guarantee)


def test_more_steps_for_a_smaller_start_but_polynomially_many() -> None:
    loss = whitened((2, 1, 1, 1))
    aim = (loss.targets.T @ loss.inputs / 12)[0]
    steps = [guarantee_convergence(loss, balanced(loss, s * aim), epsilon=0.01).steps for s in (0.1, 0.05, 0.025)]
    assert steps[0] < steps[1] < steps[2] < 16 * steps[0]


def test_hypotheses_are_named() -> None:
    loss = whitened((2, 2, 1))
    aim = (loss.targets.T @ loss.inputs / 12)[0]
    start = balanced(loss, 0.3 * aim)
    with pytest.raises(HypothesisError, match="a balanced start"):
        guarantee_convergence(loss, start + 0.1, epsilon=0.01)
    with pytest.raises(HypothesisError, match="a cosine above -1"):
        guarantee_convergence(loss, balanced(loss, -0.3 * aim), epsilon=0.01)
    with pytest.raises(HypothesisError, match="that are not zero"):
        guarantee_convergence(loss, 0 * start, epsilon=0.01)
    stretched = eom.DeepLinear((2, 2, 1), 2 * loss.inputs, loss.targets)
    with pytest.raises(HypothesisError, match="whitened data"):
        guarantee_convergence(stretched, start, epsilon=0.01)
    with pytest.raises(HypothesisError, match="one output, squared error"):
        guarantee_convergence(loss.with_weight_decay(1), start, epsilon=0.01)
    with pytest.raises(HypothesisError, match="one output, squared error"):
        guarantee_convergence(eom.Loss("x**2", variables="x"), [1.0], epsilon=0.01)
