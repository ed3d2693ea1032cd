"""Distances of many cases at once: those of one case after the other."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import eomsym as eom
from eomsym.bounds import distance, many_distances, many_step_sizes, step_size
from eomsym.bounds.batch_defects import batch_step_defects
from eomsym.bounds.batch_step_sizes import _fewest_steps
from eomsym.bounds.batches import followed
from eomsym.bounds.truncation import step_defect
from eomsym.curvature import NetworkFamily, PolynomialFamily, curvature_of, network_families
from eomsym.curvature.derivatives import Derivatives
from eomsym.curvature.families import BatchTaylor
from eomsym.errors import DivergenceError, HypothesisError, InputError, ShapeError, SizeError

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


def agree(losses: Any, single: Callable[[int], Any], starts: np.ndarray, etas: np.ndarray, **run: Any) -> None:
    """Many distances are those of one loss after the other, but for rounding."""
    found = many_distances(losses, starts, eta=etas, steps=STEPS, **run)
    known = 0
    for i, start in enumerate(starts):
        try:
            one = distance(single(i), start, eta=etas[i], steps=STEPS, **run).values
        except (HypothesisError, DivergenceError):
            assert np.isinf(found[i, -1])
            continue
        if run["certificate"] != "closed_form" and np.isinf(found[i, -1]):
            continue  # a single motion is followed by more parts of a step
        known += 1
        # Measured defects are differences of neighbouring numbers: they differ by their rounding.
        slack = 0.0 if run["certificate"] == "closed_form" else 1e-14
        np.testing.assert_allclose(found[i], one, rtol=1e-9, atol=slack)
    assert known >= 4


@pytest.mark.parametrize(
    "certificate, order", [("closed_form", 0), ("closed_form", 2), ("measured", 0), ("measured", 1), ("proven", 1)]
)
def test_as_one_after_the_other(certificate: str, order: int) -> None:
    losses, starts, etas = family(10 * order + len(certificate))
    agree(losses, lambda i: loss_of(losses, i), starts, etas, order=order, certificate=certificate)


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


def test_closed_forms_of_terms_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    nets, starts, etas = networks("leaky_relu", "mse")
    run = {"eta": etas, "steps": STEPS, "order": 1, "certificate": "measured"}
    expected, hessians = many_distances(nets, starts, **run), nets.around(starts).hessians
    monkeypatch.setattr(network_families, "MANY", len(starts))
    many = NetworkFamily(nets.widths, nets.inputs, nets.targets, activation="leaky_relu", loss="mse",
                         slope=0.25)  # fmt: skip
    assert (nets.many, many.many, many[1:].many) == (False, True, True)
    assert (nets.kernel(1).form, many[:2].kernel(1).form) == ("auto", "explicit")
    np.testing.assert_allclose(many.terms(starts, 1), nets.terms(starts, 1), rtol=1e-13, atol=1e-16)
    np.testing.assert_allclose(many.around(starts).hessians, hessians, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(many_distances(many, starts, **run), expected, rtol=1e-9, atol=1e-14)
    assert [PolynomialFamily([[2]], np.ones((count, 1))).many for count in (399, 400)] == [False, True]


# learning rates -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("certificate, order", [("closed_form", 0), ("closed_form", 2), ("measured", 1), ("proven", 1)])
def test_rates_as_one_after_the_other(certificate: str, order: int) -> None:
    losses, starts, _ = family(5, 6)
    rng = np.random.default_rng(order)
    times = 1.0 / losses.around(starts).spectrum(np.zeros(6)).smoothness
    limits = 10.0 ** rng.uniform(-3 - order, -1 - order, 6)
    run = {"order": order, "certificate": certificate, "most_steps": 30}
    found = many_step_sizes(losses, starts, time=times, epsilon=limits, **run)
    for i, start in enumerate(starts):
        try:
            single = step_size(loss_of(losses, i), start, time=times[i], epsilon=limits[i], **run).eta
        except HypothesisError:
            single = np.nan
        assert found[i] == pytest.approx(single, rel=1e-12, nan_ok=True)
    assert len(np.unique(found[np.isfinite(found)])) >= 3


def test_fewest_steps_of_many() -> None:
    least = np.array([1, 2, 3, 7, 20, 64, 65, 400])
    tried: list[tuple[int, int]] = []
    first = np.array([1, 4, 64, 7, 30, 2, 60, 1])
    for power, off in ((1.0, 1.0), (0.25, 1.0), (1.0, 0.3), (0.5, 40.0), (1.0, np.inf)):

        def largest(some: np.ndarray, steps: np.ndarray, p: float = power, f: float = off) -> np.ndarray:
            """Estimates that are right, or wrong by a factor, or none."""
            tried.extend(zip(some.tolist(), steps.tolist(), strict=True))
            ratio = (least[some] / steps) ** (1 / p)
            return 7.0 * np.where(ratio > 1, np.maximum(f * ratio, 1 + 1e-9), ratio)

        tried.clear()
        good = _fewest_steps(largest, np.full(len(least), 7.0), np.ones(8, int), power, 64)
        assert good.tolist() == [1, 2, 3, 7, 20, 64, 0, 0]
        assert {min(steps for _, steps in tried), max(steps for _, steps in tried)} == {1, 64}
        assert len(set(tried)) == len(tried)
        if off == 1.0:  # the guess is right: one step, up to four times as many at once, the right number, one less
            assert sum(case == 3 for case, _ in tried) <= 5
        assert _fewest_steps(largest, np.full(len(least), 7.0), first, power, 64).tolist() == good.tolist()
        tried.clear()
        good = _fewest_steps(largest, np.full(len(least), 7.0), np.ones(8, int), power, 1000)
        assert good[:7].tolist() == least[:7].tolist()
        assert 400 <= good[7] <= 408  # 2 %
        assert max(sum(case == i for case, _ in tried) for i in range(8)) <= 24


def test_a_walk_ends_above_its_limit() -> None:
    class Counting:
        """Bounds that grow by their rate in each step."""

        def __init__(self) -> None:
            self.rates, self.done = np.array([1.0, 2.0, 3.0, np.inf, np.nan, 1.0]), 0

        def advance(self) -> np.ndarray:
            self.done += 1
            return self.rates * self.done

        def keep(self, chosen: np.ndarray) -> None:
            self.rates = self.rates[chosen]

    steps, limits = np.array([2, 4, 4, 4, 4, 1]), np.array([9.0, 6.0, 6.0, np.inf, np.inf, 9.0])
    seen = [(places.tolist(), values.tolist()) for places, values in followed(Counting(), steps, limits)]
    assert [places for places, _ in seen] == [[0, 1, 2, 3, 4, 5], [0, 1, 2], [1, 2], [1]]
    assert [values for _, values in seen[1:]] == [[2.0, 4.0, 6.0], [6.0, 9.0], [8.0]]
    assert list(followed(Counting(), np.zeros(0, int), np.inf)) == []


def test_bad_limits_of_rates() -> None:
    loss = eom.Loss("x**2/2", variables="x")
    with pytest.raises(InputError, match=r"epsilon=-1.0: expected positive numbers, one or 1"):
        many_step_sizes(loss, [[1.0]], time=1.0, epsilon=-1.0)
    with pytest.raises(InputError, match=r"time=\[1.0, 2.0\]: expected positive numbers, one or 1"):
        many_step_sizes(loss, [[1.0]], time=[1.0, 2.0], epsilon=1.0)
    with pytest.raises(InputError, match="most_steps"):
        many_step_sizes(loss, [[1.0]], time=1.0, epsilon=1.0, most_steps=0)
    with pytest.raises(InputError, match="most_steps must be an integer from 1 to 10000000000, got 10"):
        many_step_sizes(loss, [[1.0]], time=1.0, epsilon=1.0, most_steps=10**30)
    assert many_step_sizes(loss, [[1.0]], time=0.1, epsilon=1.0, most_steps=1).tolist() == [0.1]


# networks -------------------------------------------------------------------------------------------------------------


def networks(activation: str, loss: str, count: int = 12) -> tuple[NetworkFamily, np.ndarray, np.ndarray]:
    """Networks with data of their own, starts, learning rates."""
    rng = np.random.default_rng(len(activation + loss))
    inputs = rng.uniform(-1, 1, (count, 2, 1))
    targets = rng.uniform(-1, 1, (count, 2, 2))
    if loss == "cross_entropy":
        targets = rng.dirichlet([1.0, 1.0], (count, 2))
        targets[::2, 0] = [1.0, 0.0]  # labels, too
    nets = NetworkFamily((1, 1, 2), inputs, targets, activation=activation, loss=loss, slope=0.25)
    starts = rng.uniform(-1.5, 1.5, (count, nets.size))
    sharpness = nets.around(starts).spectrum(np.zeros(count)).smoothness
    return nets, starts, rng.choice([0.01, 0.03, 0.1], count) / sharpness


@pytest.mark.parametrize("certificate, order", [("closed_form", 0), ("closed_form", 1), ("measured", 1), ("proven", 1)])
def test_networks_as_one_after_the_other(certificate: str, order: int) -> None:
    nets, starts, etas = networks("leaky_relu", "cross_entropy")
    agree(nets, nets.network, starts, etas, order=order, certificate=certificate)


@pytest.mark.parametrize(
    "activation, loss, hidden",
    [("relu", "mse", 1), ("leaky_relu", "cross_entropy", 1), ("linear", "mse", 1), ("leaky_relu", "mse", 2)],
)
def test_closed_forms_around_many_networks(activation: str, loss: str, hidden: int) -> None:
    nets, starts, _ = networks(activation, loss)
    if hidden == 2:  # steeper below zero than above
        nets = NetworkFamily((1, 1, 1, 2), nets.inputs, nets.targets, activation=activation, loss=loss, slope=-1.75)
        starts = np.random.default_rng(0).uniform(0.5, 1.5, (len(starts), nets.size))
    radii = np.geomspace(1e-4, 0.3, len(starts))
    around = nets.around(starts)
    ball, third, rows = around.spectrum(radii), around.third(radii), around.known.at(radii, 3)
    valid, seen = np.broadcast_to(around.known.valid, len(starts)), 0
    for i, start in enumerate(starts):
        one = curvature_of(nets.network(i)).at(start)
        np.testing.assert_allclose(around.rounding()[i], one.rounding(), rtol=1e-11)
        np.testing.assert_allclose(valid[i], one.derivatives().valid, rtol=1e-11)
        np.testing.assert_allclose(rows[:, i], one.derivatives().at(radii[i], 3), rtol=1e-10)
        got = [ball.lower[i], ball.upper[i], ball.slope[i], third[i]]
        try:
            single = one.spectrum(radii[i])
        except HypothesisError:
            assert np.isinf(got).all()
            continue
        seen += 1
        np.testing.assert_allclose(got, [single.lower, single.upper, single.slope, one.third(radii[i])], rtol=1e-10)
    assert seen >= 6


@pytest.mark.parametrize("activation", ["linear", "leaky_relu"])
def test_rounding_of_spectra_of_many_networks(activation: str) -> None:
    """Where the right class is certain the Hessian vanishes, and what is left is the allowance."""
    rng = np.random.default_rng(0)
    labels = np.tile([1.0, 0.0], (5, 2, 1))
    nets = NetworkFamily((1, 1, 2), rng.uniform(0.5, 1, (5, 2, 1)), labels, activation=activation, loss="cross_entropy")
    starts = rng.uniform(8, 12, (5, 3)) * [1, 1, -1]
    around = nets.around(starts)
    for i, start in enumerate(starts):
        assert abs(around.hessians[i]).max() < 1e-12 * around.upper[i]
        np.testing.assert_allclose(
            [around.lower[i], around.upper[i]], curvature_of(nets.network(i)).at(start)._centre, rtol=1e-9
        )


def test_units_on_a_kink_have_the_slope_below() -> None:
    nets = NetworkFamily((1, 1, 1), [[[2.0]]], [[[1.0]]], activation="leaky_relu", slope=0.25)
    start = np.array([[0.0, 3.0]])
    np.testing.assert_array_equal(nets.gradients(start)[0], eom.compile(nets.network(0), 0).gradient(start[0]))
    assert nets.gradients(start)[0, 0] == -0.25 * 3 * 2


def test_networks_without_a_hidden_layer() -> None:
    nets = NetworkFamily((2, 1), [[[1.0, 2.0]], [[0.5, -1.0]]], [[[1.0]], [[2.0]]])
    starts = np.array([[0.5, 0.25], [0.125, 1.0]])
    found = many_distances(nets, starts, eta=0.125, steps=2, certificate="closed_form")
    for i, start in enumerate(starts):
        single = distance(nets.network(i), start, eta=0.125, steps=2, certificate="closed_form").values
        np.testing.assert_allclose(found[i], single, rtol=1e-12)
    with pytest.raises(ShapeError, match=r"widths=\(2,\): expected two or more numbers of units"):
        NetworkFamily((2,), [[[1.0, 2.0]]], [[[1.0]]])


def test_one_of_many_losses_is_asked_for_by_name() -> None:
    nets = NetworkFamily((1, 1, 1), np.ones((3, 1, 1)), np.ones((3, 1, 1)))
    assert len(nets[[0, 2]]) == len(nets[1:]) == 2
    for losses in (nets, PolynomialFamily([[2]], [[0.5]] * 3)):
        with pytest.raises(InputError, match=r"family\[1\]: expected several losses; type family\[\[1\]\]"):
            losses[1]
    with pytest.raises(InputError, match="i must be an integer from 0 to 2, got 3"):
        nets.network(3)


def test_probabilities_that_do_not_add_up() -> None:
    for targets in ([[[0.25, 0.75 + 9e-13]]], [[[0.1, 0.5]]], [[[-0.5, 1.5]]]):
        with pytest.raises(InputError, match=r"add up to one, got .* and numbers from .* on; divide them by their sum"):
            NetworkFamily((1, 1, 2), [[[1.0]]], targets, loss="cross_entropy")


def test_how_large_a_family_of_networks_may_be() -> None:
    made = NetworkFamily((1, 1, 1), np.ones((1, 200, 1)), np.ones((1, 200, 1)))
    assert made.size * 200 == 400
    with pytest.raises(SizeError, match="2 parameters times 201 samples: a family of networks has at most 400; use"):
        NetworkFamily((1, 1, 1), np.ones((1, 201, 1)), np.ones((1, 201, 1)))


def test_some_of_many_networks() -> None:
    nets, starts, etas = networks("leaky_relu", "cross_entropy")
    run = {"steps": 2, "order": 1, "certificate": "closed_form"}
    found = many_distances(nets, starts, eta=etas, **run)
    some = np.array([7, 2])
    np.testing.assert_allclose(many_distances(nets[some], starts[some], eta=etas[some], **run), found[some], rtol=1e-12)


def test_many_networks_of_nothing() -> None:
    # Inputs of zero: no unit ever moves.
    nets = NetworkFamily((1, 1, 1), np.zeros((2, 1, 1)), [[[1.0]], [[0.0]]], activation="relu")
    found = many_distances(nets, [[1.0, 1.0], [0.0, 0.0]], eta=0.1, steps=2, certificate="closed_form")
    assert (found < 1e-14).all()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"widths": (2,)}, "two or more numbers of units"),
        ({"widths": 3}, "two or more numbers of units"),
        ({"widths": (2, 0, 1)}, "widths"),
        ({"inputs": np.ones((3, 2))}, r"inputs of shape \(3, 2\): expected numbers of shape \(networks, samples"),
        ({"inputs": np.full((1, 1, 2), np.nan)}, "inputs must be finite"),
        ({"targets": np.ones((2, 1, 1))}, r"targets of shape \(2, 1, 1\): expected \(1, 1, 1\)"),
        (
            {"loss": "cross_entropy", "targets": np.full((1, 1, 1), 0.5)},
            "probabilities of each sample that add up to one",
        ),
        ({"activation": "tanh"}, "activation"),
        ({"widths": (2, 40, 10, 1)}, "at most 400; use eomsym.bounds.distance"),
    ],
)
def test_networks_that_are_none(change: dict[str, Any], message: str) -> None:
    given = {"widths": (2, 1, 1), "inputs": np.ones((1, 1, 2)), "targets": np.ones((1, 1, 1)), **change}
    with pytest.raises((InputError, SizeError), match=message):
        NetworkFamily(**given)


def test_two_ways_that_err_alike_are_not_believed() -> None:
    """Steps of half and of a quarter of eta end within 3e-12 of each other, and 5e-11 from the flow."""
    row = [1095.8309581992444, 19.295026400122012, -1.1093563953813472, 0.052321011941741866]
    row += [-0.0007896436678434598, 1.1034748101449772e-05]
    start, eta, true = 19.775498176328394, 0.00812726672293474, 2.58155619360268  # to 80 digits, rounded
    losses = PolynomialFamily([[k] for k in range(1, 7)], [row])
    assert true <= many_distances(losses, [[start]], eta=eta, steps=1)[0, 1] <= true * (1 + 1e-10)
    loss = eom.Loss("+".join(f"{c!r}*x**{k}" for k, c in enumerate(row, 1)), variables="x")
    assert true <= distance(loss, [start], eta=eta, steps=1).value <= true * (1 + 1e-10)
