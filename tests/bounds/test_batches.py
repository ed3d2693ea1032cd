"""Distances of many cases at once: those of one case after the other."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import eomsym as eom
from eomsym.bounds import distance, many_distances
from eomsym.bounds.batch_defects import batch_step_defects
from eomsym.bounds.truncation import step_defect
from eomsym.curvature import PolynomialFamily, curvature_of
from eomsym.curvature.derivatives import Derivatives
from eomsym.curvature.families import BatchTaylor
from eomsym.errors import DivergenceError, HypothesisError, InputError, ShapeError

POWERS = np.array([p for p in itertools.product(range(4), repeat=2) if 0 < sum(p) <= 3])
STEPS = 3
#: Slightly inside of where the series ends; and far outside, where nothing is bounded.
SHARES = (0.01, 0.1, 0.3, 30.0)


def family(seed: int, count: int = 12) -> tuple[PolynomialFamily, np.ndarray, np.ndarray]:
    """Losses with all coefficients, starts, learning rates."""
    rng = np.random.default_rng(seed)
    losses = PolynomialFamily(POWERS, rng.uniform(-1, 1, (count, len(POWERS))))
    starts = rng.uniform(-1, 1, (count, 2))
    sharpness = losses.around(starts).spectrum(np.zeros(count)).smoothness
    return losses, starts, rng.choice(SHARES, count) / sharpness


def loss_of(losses: PolynomialFamily, i: int) -> eom.Loss:
    row = losses.coefficients[i].tolist()
    terms = (f"({c!r})*x**{a}*y**{b}" for c, (a, b) in zip(row, POWERS.tolist(), strict=True))
    return eom.Loss(" + ".join(terms), variables="x y")


@pytest.mark.parametrize(
    "certificate, order", [("closed_form", 0), ("closed_form", 2), ("measured", 0), ("measured", 1), ("proven", 1)]
)
def test_as_one_after_the_other(certificate: str, order: int) -> None:
    losses, starts, etas = family(10 * order + len(certificate))
    found = many_distances(losses, starts, eta=etas, steps=STEPS, order=order, certificate=certificate)
    known = 0
    for i, start in enumerate(starts):
        try:
            single = distance(
                loss_of(losses, i), start, eta=etas[i], steps=STEPS, order=order, certificate=certificate
            ).values
        except (HypothesisError, DivergenceError):
            assert np.isinf(found[i, -1])
            continue
        if certificate != "closed_form" and np.isinf(found[i, -1]):
            continue  # a single motion is followed by more parts of a step
        known += 1
        # Measured defects are differences of neighbouring numbers: they differ by their rounding.
        slack = 0.0 if certificate == "closed_form" else 1e-14
        np.testing.assert_allclose(found[i], single, rtol=1e-9, atol=slack)
    assert known >= 4


def test_closed_forms_around_many_points() -> None:
    losses, starts, _ = family(3)
    around, radii = losses.around(starts), np.linspace(0, 1, len(starts))
    ball, third = around.spectrum(radii), around.third(radii)
    for i, start in enumerate(starts):
        one = curvature_of(loss_of(losses, i)).at(start)
        single = one.spectrum(radii[i])
        expected = [single.lower, single.upper, single.slope, single.smoothness, single.amplification(0.1)]
        got = [x[i] for x in (ball.lower, ball.upper, ball.slope, ball.smoothness, ball.amplification(0.1))]
        np.testing.assert_allclose([*got, third[i]], [*expected, one.third(radii[i])], rtol=1e-11)


def test_step_defects() -> None:
    rng = np.random.default_rng(0)
    known = np.abs(rng.standard_normal((4, 30)))
    distances, etas = 0.1 * rng.random(30), 10.0 ** rng.uniform(-4, 0, 30)
    found = batch_step_defects(BatchTaylor(known), distances, etas, 1, np.ones((0, 30)))
    for i in range(30):
        try:
            single = step_defect(Derivatives(known[:, i]), distances[i], etas[i], 1)
        except HypothesisError:
            single = np.inf
        np.testing.assert_allclose(found[i], single, rtol=1e-11)


def test_one_loss_with_many_starts() -> None:
    loss = eom.Loss("x**2/2", variables="x")
    found = many_distances(loss, [[1.0], [-2.0]], eta=0.1, steps=2, certificate="closed_form")
    single = distance(loss, [1.0], eta=0.1, steps=2, certificate="closed_form").values
    np.testing.assert_allclose(found, [single, 2 * single], rtol=1e-6)


def test_wrong_arguments() -> None:
    losses, starts, etas = family(0, 2)
    with pytest.raises(ShapeError, match=r"expected \(2, 2\), one for each loss"):
        many_distances(losses, starts[:1], eta=etas, steps=1)
    with pytest.raises(ShapeError, match="a start in each row"):
        many_distances(losses, starts[0], eta=etas, steps=1)
    with pytest.raises(InputError, match="expected positive numbers, one or 2"):
        many_distances(losses, starts, eta=[-1.0, 1.0], steps=1)
    with pytest.raises(InputError, match="expected positive numbers, one or 2"):
        many_distances(losses, starts, eta=[0.0, 1.0], steps=1)
    with pytest.raises(InputError, match="expected one of 'measured', 'proven', 'closed_form'"):
        many_distances(losses, starts, eta=etas, steps=1, certificate="rigorous")
    with pytest.raises(InputError, match="expected a polynomial loss"):
        many_distances(eom.Loss("exp(x)", variables="x"), [[1.0]], eta=0.1, steps=1)
    with pytest.raises(InputError, match="no weight decay"):
        many_distances(eom.Loss("x**2", variables="x").with_weight_decay(0.5), [[1.0]], eta=0.1, steps=1)
    with pytest.raises(InputError, match="order must be an integer from 0 to 16"):
        many_distances(losses, starts, eta=etas, steps=1, order=17)


@pytest.mark.parametrize(
    "powers, coefficients, message",
    [
        ([[0.5]], [[1.0]], "expected exponents >= 0"),
        ([[1], [1]], [[1.0, 1.0]], "expected different monomials"),
        ([[1], [2]], [[1.0]], r"expected finite numbers of shape \(m, 2\)"),
    ],
)
def test_a_family_needs_monomials_and_rows(powers: list, coefficients: list, message: str) -> None:
    with pytest.raises(InputError, match=message):
        PolynomialFamily(powers, coefficients)
