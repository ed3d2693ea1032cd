"""Descent, gradient flow and equations of motion side by side, each quantity with its closed-form prediction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from eomsym import checks
from eomsym.codegen.kernel import Kernel, compile
from eomsym.dynamics.descent import checked_steps, descend
from eomsym.dynamics.flow import flow
from eomsym.errors import DivergenceError, InputError, TableError
from eomsym.losses.activations import region, region_changes
from eomsym.losses.objective import Objective
from eomsym.symmetries.noether import DESCENT, LARGEST_ORDER, Check, Model, Symmetry, decay_rate
from eomsym.types import Array, Progress

__all__ = ["Predictions", "Run", "Series", "predict"]

#: Points of Gauss's quadrature in each recorded interval of a flow: exact for polynomials of degree 11.
NODES = 6


@dataclass(frozen=True, eq=False)
class Series:
    """A quantity along one run, measured and predicted.

    Attributes
    ----------
    values, predicted : ndarray, shape (m, components)
        The quantity. Predicted for gradient descent: the exact recursion of steps. For a flow: decay of the first value
        plus the integral of the predicted growth, which vanishes for gradient flow and for translations.
    rates, predicted_rates : ndarray, shape (m, components)
        Its time derivative; for gradient descent, the change over the next step divided by eta.
    scale : float
        The largest ``|theta| |velocity|``: what a rate is compared with to see whether it is right to rounding.
    """

    values: Array
    predicted: Array
    rates: Array
    predicted_rates: Array
    scale: float

    @property
    def misfit(self) -> float:
        """Largest distance of value and prediction, relative to the largest value."""
        return relative(self.values - self.predicted, float(np.abs(self.values).max()))

    @property
    def rate_misfit(self) -> float:
        """Largest distance of rate and prediction, relative to `scale`."""
        return relative(self.rates - self.predicted_rates, self.scale)


@dataclass(frozen=True, eq=False)
class Run:
    """One model from the common start.

    Attributes
    ----------
    thetas : ndarray, shape (m, n)
    error : float
        Estimated error of the integration; 0 for gradient descent.
    distances : ndarray, shape (m,)
        From gradient descent.
    region_changes : int
        How many gates of a piecewise linear network switched, step by step. Above 0 the promise
        ``O(eta**(K+1))`` of orders K >= 1 does not hold.
    """

    thetas: Array
    error: float
    distances: Array
    region_changes: int


@dataclass(frozen=True, eq=False)
class Predictions:
    """What `predict` returns.

    Attributes
    ----------
    times : ndarray, shape (m,)
    eta : float
    runs : mapping from model ("descent", 0, 1, …) to Run
    series : mapping from (symmetry, model) to Series
    checks : mapping from symmetry to Check
        The measured identities at the start.
    """

    times: Array
    eta: float
    runs: Mapping[Model, Run]
    series: Mapping[tuple[Symmetry, Model], Series]
    checks: Mapping[Symmetry, Check]

    def __str__(self) -> str:
        rows = ["model        error of run  distance     " + "  ".join(map(str, self.checks))]
        for model, one in self.runs.items():
            misfits = "  ".join(f"{self.series[symmetry, model].misfit:.1e}" for symmetry in self.checks)
            rows.append(f"{label(model):12} {one.error:12.1e}  {one.distances[-1]:8.2e}     {misfits}".rstrip())
        return "\n".join(rows)


def predict(
    loss: Objective,
    start: Any,
    *,
    eta: float,
    steps: int,
    symmetries: Iterable[Symmetry] = (),
    orders: Iterable[int] = (0, 1, 2),
    every: int = 1,
    rtol: float = 1e-10,
    progress: Progress | None = None,
) -> Predictions:
    """Run gradient descent, gradient flow and equations of motion from one start, beside what symmetries predict.

    Parameters
    ----------
    loss : Network, DeepLinear, Loss, …
    start : array_like, shape (n,)
    eta : float
    steps : int
        Of gradient descent; the flows run for the time ``eta * steps``.
    symmetries : iterable of Symmetry
        Each is checked at the start.
    orders : iterable of int
        Of the equations of motion; 0 is gradient flow.
    every : int
        Record every so many steps; divides `steps`.
    rtol : float
        Relative tolerance of the flows; the absolute one is a hundredth. Flows of piecewise linear networks are
        followed in fixed steps instead, see `follow_in_steps`.
    progress : callable, optional
        Called with (done, total, what).

    Returns
    -------
    Predictions

    Raises
    ------
    SymmetryError
        The loss does not have one of the symmetries.
    InputError
        ``weight_decay >= 1/eta``; an order above 3 together with symmetries; bad steps.
    DivergenceError
        One of the runs diverged.

    Examples
    --------
    >>> import eomsym as eom
    >>> from eomsym.symmetries.symmetry import ScaleInvariance
    >>> loss = eom.Loss("x*y/(x**2 + y**2)", variables="x y").with_weight_decay(0.1)
    >>> norm = ScaleInvariance(("x", "y"))
    >>> found = predict(loss, [1.0, 0.5], eta=0.2, steps=20, symmetries=[norm])
    >>> found.series[norm, "descent"].misfit < 1e-14, found.series[norm, 2].rate_misfit < 1e-14
    (True, True)
    >>> print(found)  # errors of the integration, distances from descent, misfits of the squared norm
    model        error of run  distance     ScaleInvariance(('x', 'y'))
    descent           0.0e+00  0.00e+00     ...
    flow              ...  5.99e-02     ...
    order 1           ...  3.24e-03     ...
    order 2           ...  1.62e-03     ...

    References
    ----------
    T. Miyagawa, Toward Equation of Motion for Deep Neural Networks, NeurIPS 2022, arXiv:2210.15898.
    """
    checks.instance(loss, "a loss", Objective, "eomsym.Network((2, 3, 1), inputs, targets)")
    theta, eta, rtol = loss.validate(start), checks.positive(eta, "eta"), checks.positive(rtol, "rtol", 1e-10)
    every = checks.count(every, "every", 1)
    steps = checked_steps(steps, len(theta), eta, every=every)
    if steps % every:
        raise InputError(f"every={every} must divide steps={steps}")
    chosen = tuple(checks.items(symmetries, "symmetries", "eomsym.symmetries.symmetries_of(network)"))
    for symmetry in chosen:
        checks.instance(symmetry, "symmetries", Symmetry, "eomsym.symmetries.ScaleInvariance('w1')")
    ladder = tuple(sorted({checks.order(order) for order in checks.items(orders, "orders", "(0, 1, 2)")}))
    if chosen and ladder and ladder[-1] > LARGEST_ORDER:
        raise InputError(f"symmetries predict to order {LARGEST_ORDER}, got order {ladder[-1]}")
    decay_rate(eta, float(loss.weight_decay))
    checked = {symmetry: symmetry.check(loss, theta) for symmetry in chosen}
    kernel = compile(loss, max(ladder, default=0))
    times: Array = eta * every * np.arange(steps // every + 1.0)
    report = checks.progress(progress)

    report(0, len(ladder) + 1, label(DESCENT))
    thetas, found, changes = _descent(kernel, theta, eta, steps, every, chosen)
    series: dict[tuple[Symmetry, Model], Series] = {(symmetry, DESCENT): one for symmetry, one in found.items()}
    runs: dict[Model, Run] = {DESCENT: Run(thetas, 0.0, np.zeros(len(times)), changes)}
    for done, order in enumerate(ladder, start=1):
        report(done, len(ladder) + 1, label(order))
        motion = kernel.at_order(order)
        asked = with_nodes(times) if chosen else times
        if region(loss, theta).size:
            points, error, changes = follow_in_steps(motion, theta, eta, asked)
        else:
            path = flow(motion, theta, eta=eta, time=asked, rtol=rtol, atol=rtol / 100)
            points, error, changes = path.thetas, path.error, 0
        kept = points[:: NODES + 1] if chosen else points
        distances = np.linalg.norm(kept - thetas, axis=1)
        runs[order] = Run(kept, error, distances, changes)
        for symmetry in chosen:
            series[symmetry, order] = _along(motion, points, times, eta, symmetry)
    report(len(ladder) + 1, len(ladder) + 1, "")
    return Predictions(times, eta, runs, series, checked)


#: Squares of larger parameters overflow.
LARGEST = 1e150


def _descent(
    kernel: Kernel, theta: Array, eta: float, steps: int, every: int, symmetries: tuple[Symmetry, ...]
) -> tuple[Array, dict[Symmetry, Series], int]:
    """Gradient descent in pieces of `every` steps: all iterates are seen, and few are kept."""
    loss = kernel.loss
    factor = 1 - eta * float(loss.weight_decay)
    thetas = [theta]
    columns: dict[Symmetry, list[list[Array]]] = {symmetry: [] for symmetry in symmetries}
    predicted = {symmetry: symmetry.value(loss, theta) for symmetry in symmetries}
    size, changes = 0.0, 0
    for begin in range(0, steps + 1, every):
        count = every if begin < steps else 1  # one more step for the last rate
        piece = descend(kernel, thetas[-1], eta=eta, steps=count).thetas
        if not np.max(np.abs(piece)) < LARGEST:
            raise DivergenceError(
                f"gradient descent passes {LARGEST:g} within {begin + count} steps; choose a smaller eta", begin + count
            )
        speed = float(np.linalg.norm(piece[1] - piece[0])) / eta
        size = max(size, float(np.linalg.norm(piece[0])) * speed)
        for symmetry in symmetries:
            values = [symmetry.value(loss, point) for point in piece]
            after = symmetry.after_step(kernel, piece[0], eta)
            rates = [(values[1] - values[0]) / eta, (after - values[0]) / eta]
            columns[symmetry].append([values[0], predicted[symmetry], *rates])
            for point, value in zip(piece[:-1], values[:-1], strict=True):
                after = symmetry.after_step(kernel, point, eta)
                predicted[symmetry] = after + factor**symmetry.degree * (predicted[symmetry] - value)
        if begin < steps:
            thetas.append(piece[-1])
            changes += int(region_changes(loss, piece).sum())
    found = {}
    for symmetry, rows in columns.items():
        values, guesses, rates, predicted_rates = np.array(rows).transpose(1, 0, 2)
        found[symmetry] = Series(values, guesses, rates, predicted_rates, size)
    return np.array(thetas), found, changes


def _along(kernel: Kernel, thetas: Array, times: Array, eta: float, symmetry: Symmetry) -> Series:
    """A quantity along a flow, given at `times` and at the nodes between them."""
    loss = kernel.loss
    kept, between = thetas[:: NODES + 1], np.delete(thetas, np.s_[:: NODES + 1], axis=0)
    velocities = kernel.field(kept, eta)
    values = np.array([symmetry.value(loss, theta) for theta in kept])
    rates = np.array([symmetry.along(loss, *pair) for pair in zip(kept, velocities, strict=True)])
    predicted_rates = np.array([symmetry.derivative(kernel, theta, eta) for theta in kept])
    kappa = symmetry.degree * decay_rate(eta, float(loss.weight_decay), kernel.order)
    predicted = np.exp(-kappa * (times - times[0]))[:, None] * values[0]
    if symmetry.degree == 2 and kernel.order > 0:
        # q(t + h) = e**(-kappa h) q(t) + integral over u in (0, h) of e**(-kappa (h - u)) growth(t + u)
        growth = [symmetry.derivative(kernel, theta, eta) + kappa * symmetry.value(loss, theta) for theta in between]
        nodes, weights = np.polynomial.legendre.leggauss(NODES)
        steps = np.diff(times)[:, None] / 2
        kernels = steps * weights * np.exp(-kappa * steps * (1 - nodes))
        added = np.einsum("ij,ijc->ic", kernels, np.reshape(growth, (len(steps), NODES, -1)))
        for k, (step, piece) in enumerate(zip(2 * steps, added, strict=True)):
            predicted[k + 1] = np.exp(-kappa * step) * predicted[k] + piece
    size = float((np.linalg.norm(kept, axis=1) * np.linalg.norm(velocities, axis=1)).max())
    return Series(values, predicted, rates, predicted_rates, size)


def follow_in_steps(
    kernel: Kernel, start: Array, eta: float, times: Array, step: float | None = None
) -> tuple[Array, float, int]:
    """Integrate the equation of motion of a piecewise linear network by steps of fixed size.

    The field jumps where a gate switches, and it can push to the switching point from both sides: the solution then
    slides along the boundary of two regions, and an adaptive integrator grinds to a halt there. The steps of the
    classical Runge-Kutta method just go on, to and fro across the boundary. The price is an error of the order of the
    step, which is measured by a second run with half of it.

    Parameters
    ----------
    kernel : Kernel
    start : ndarray, shape (n,)
    eta : float
    times : ndarray, shape (m,)
        Increasing.
    step : float, optional
        Largest step, eta by default.

    Returns
    -------
    thetas : ndarray, shape (m, n)
        Of the run with half of this step.
    error : float
        Largest distance of the two runs.
    region_changes : int
        How many gates switched in the steps of that run.

    Raises
    ------
    DivergenceError
        The solution left the finite numbers.
    """
    found = []
    for largest in (step or eta, (step or eta) / 2):
        thetas, changes, inside = [start], 0, region(kernel.loss, start)
        for k, interval in enumerate(np.diff(times)):
            count = max(1, int(np.ceil(interval / largest - 1e-9)))
            h, y = interval / count, thetas[-1]
            try:
                for _ in range(count):
                    k1 = kernel.field(y, eta)
                    k2 = kernel.field(y + h / 2 * k1, eta)
                    k3 = kernel.field(y + h / 2 * k2, eta)
                    y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + kernel.field(y + h * k3, eta))
                    before, inside = inside, region(kernel.loss, y)
                    changes += int(np.count_nonzero(before != inside))
            except (InputError, TableError) as error:
                raise DivergenceError(f"the solution left the finite numbers: {error}", k + 1) from error
            thetas.append(y)
        found.append(np.array(thetas))
    return found[1], float(np.linalg.norm(found[1] - found[0], axis=1).max()), changes


def with_nodes(times: Array) -> Array:
    """Times, and between any two of them the nodes of Gauss's quadrature."""
    nodes = np.polynomial.legendre.leggauss(NODES)[0]
    inner = times[:-1, None] + np.diff(times)[:, None] * (1 + nodes) / 2
    return np.append(np.column_stack([times[:-1], inner]).ravel(), times[-1])


def relative(difference: Array, scale: float) -> float:
    """Largest entry of a difference over a scale; 0 where there is no difference at all."""
    largest = float(np.abs(difference).max())
    return largest / scale if largest else 0.0


def label(model: Model) -> str:
    """A model in words."""
    return {DESCENT: "descent", 0: "flow"}.get(model, f"order {model}")
