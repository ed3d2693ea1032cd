"""Random small networks of one shape, each with its own data, and their truth: sums of functions of polynomials.

Data and slopes are short binary fractions, so that the polynomials that the outputs are, of the weights inside of an
activation region, have exact coefficients in doubles.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
from properties import polynomials, truth
from properties.compiled_truth import HIGHEST_ORDER, SOFTPLUS, SQUARE, true_distances
from scipy.special import expit

from eomsym.curvature import NetworkFamily

Array = np.ndarray
#: Polynomials by their exponents, with a coefficient for each case.
Polynomials = dict[tuple[int, ...], Array]
#: Widths, up to eight parameters.
SHAPES = ((1, 1, 1), (1, 1, 1, 1), (2, 1, 1), (1, 1, 2), (2, 1, 2), (2, 2, 1), (1, 2, 2), (2, 2, 2))
#: Activation and loss, drawn with equal chances.
KINDS = (
    ("linear", "mse"), ("linear", "mse"), ("linear", "cross_entropy"), ("relu", "mse"), ("leaky_relu", "mse"),
    ("leaky_relu", "cross_entropy"),
)  # fmt: skip
SLOPE = 0.25


@dataclass(frozen=True)
class NetworkCases:
    """Runs of gradient descent on networks; as `properties.million.Cases`."""

    family: NetworkFamily
    starts: Array
    etas: Array
    steps: int
    order: int

    @property
    def prefix(self) -> str:
        """Of the names of its bounds."""
        linear = "deep linear" if self.family.activation == "linear" else "ReLU"
        return f"{linear}, {self.family.loss}: "

    @property
    def inner(self) -> tuple[Array, Array]:
        """Exponents, shape (k, n), and coefficients, shape (m, polynomials, k)."""
        parts = [part for sample in outputs(self.family, self.starts) for part in self._of_sample(*sample)]
        powers = sorted({power for part in parts for power in part})
        nothing = np.zeros(len(self.starts))
        rows = [[part.get(power, nothing) for power in powers] for part in parts]
        return np.array(powers), np.ascontiguousarray(np.array(rows).transpose(2, 0, 1))

    def _of_sample(self, found: list[Polynomials], targets: Array) -> list[Polynomials]:
        """Residuals; or what the other class is above the right one by."""
        constant = (0,) * self.family.size
        if self.family.loss == "mse":
            return [{**part, constant: -y} for part, y in zip(found, targets.T, strict=True)]
        first, second = found
        sign = targets[:, 1] - targets[:, 0]
        nothing = np.zeros(len(sign))
        return [{p: sign * (first.get(p, nothing) - second.get(p, nothing)) for p in {**first, **second}}]

    @property
    def phi(self) -> int:
        return SQUARE if self.family.loss == "mse" else SOFTPLUS

    @property
    def truth(self) -> Array:
        """Inside of the activation region of the start."""
        weight = 1 / self.family.inputs.shape[1]
        return true_distances(*self.inner, self.starts, self.etas, self.steps, self.order, self.phi, weight)

    def at(self, chosen: Array, etas: Array, steps: int) -> NetworkCases:
        """Some of them with other learning rates."""
        return NetworkCases(self.family[chosen], self.starts[chosen], etas, steps, self.order)

    @property
    def left(self) -> Array:
        """Whether a step has begun in another activation region than the first: the truth is of another run from
        there on. Shape (m, steps+1)."""
        thetas, found = self.starts, np.zeros((len(self.starts), self.steps + 1), bool)
        for k in range(1, self.steps):
            thetas = thetas - self.etas[:, None] * self.family.gradients(thetas)
            found[:, k + 1] = found[:, k] | ~self.in_region(thetas)
        return found

    def in_region(self, points: Array) -> Array:
        """Whether points are in the activation regions of the starts."""
        same: Array = (self.family.still(points) == self.family.still(self.starts)).all(axis=1)
        return same

    @property
    def cheap(self) -> bool:
        """Whether the truth to 80 digits takes seconds at most."""
        return self.family.size**self.order <= 30

    def slopes_and_hessians(self, points: Array) -> tuple[Array, Array]:
        """Gradients and Hessians by plain NumPy, inside of the activation region of the start."""
        n, (powers, coefficients) = self.family.size, self.inner
        gradients, matrices = np.zeros(points.shape), np.zeros((len(points), n, n))
        for column in range(coefficients.shape[1]):
            value, slope, bend = plain_derivatives(powers, coefficients[:, column], points)
            first, second = value, np.ones_like(value)
            if self.phi == SOFTPLUS:
                first, second = expit(value), expit(value) * expit(-value)
            gradients += first[:, None] * slope
            matrices += first[:, None, None] * bend
            matrices += second[:, None, None] * slope[:, :, None] * slope[:, None, :]
        samples = self.family.inputs.shape[1]
        return gradients / samples, matrices / samples

    def exact(self, i: int) -> Array:
        """The truth of a case to 80 digits, rounded to doubles."""
        some = self.at(np.array([i]), self.etas[[i]], self.steps)
        powers, coefficients = some.inner
        inner = [
            polynomials.Polynomial(tuple(map(tuple, powers.tolist())), tuple(map(Fraction, row.tolist())))
            for row in coefficients[0]
        ]
        weight = Fraction(1, self.family.inputs.shape[1])
        loss = (
            polynomials.squares(inner, weight) if self.phi == SQUARE else polynomials.CrossEntropy(tuple(inner), weight)
        )
        return truth.Truth(loss, self.order, float(self.etas[i])).distances(self.starts[i].tolist(), self.steps)

    def shown(self, i: int) -> str:
        """Everything that is needed to type it again."""
        family = self.family
        data = f"{family.inputs[[i]].tolist()}, {family.targets[[i]].tolist()}"
        return (
            f"NetworkFamily({family.widths}, {data}, "
            f"activation={family.activation!r}, loss={family.loss!r}, slope={family.slope}) from "
            f"{self.starts[i].tolist()}, eta = {float(self.etas[i])!r}, {self.steps} steps, order {self.order}"
        )


def outputs(family: NetworkFamily, starts: Array) -> list[tuple[list[Polynomials], Array]]:
    """For each sample the outputs as polynomials, inside of the activation region of the start, and the targets."""
    found = []
    for s in range(family.inputs.shape[1]):
        lines = [{(0,) * family.size: family.inputs[:, s, i]} for i in range(family.widths[0])]
        values, place = family.inputs[:, s], 0
        for layer, (columns, rows) in enumerate(pairwise(family.widths), 1):
            weights = starts[:, place : place + rows * columns].reshape(-1, rows, columns)
            values = np.einsum("mij,mj->mi", weights, values)
            lines = [_weighted_sum(lines, place + row * columns) for row in range(rows)]
            if layer < len(family.widths) - 1:
                gates = np.where(values > 0, 1.0, family.below)
                values = values * gates
                lines = [{p: gates[:, i] * c for p, c in line.items()} for i, line in enumerate(lines)]
            place += rows * columns
        found.append((lines, family.targets[:, s]))
    return found


def _weighted_sum(lines: list[Polynomials], place: int) -> Polynomials:
    """Polynomials times the weights from a place on."""
    total: Polynomials = {}
    for i, line in enumerate(lines):
        for powers, c in line.items():
            raised = tuple(e + (j == place + i) for j, e in enumerate(powers))
            total[raised] = total.get(raised, 0.0) + c
    return total


def plain_derivatives(powers: Array, coefficients: Array, points: Array) -> tuple[Array, Array, Array]:
    """Values, gradients and Hessians of polynomials by plain NumPy."""
    n = points.shape[1]
    values, gradients, matrices = np.zeros(len(points)), np.zeros(points.shape), np.zeros((len(points), n, n))
    axes = np.eye(n, dtype=int)
    for exponents, column in zip(powers, coefficients.T, strict=True):
        values += column * np.prod(points**exponents, axis=1)
        for i in np.flatnonzero(exponents):
            left = exponents - axes[i]
            gradients[:, i] += column * exponents[i] * np.prod(points**left, axis=1)
            for j in np.flatnonzero(left):
                matrices[:, i, j] += column * exponents[i] * left[j] * np.prod(points ** (left - axes[j]), axis=1)
    return values, gradients, matrices


def random_networks(rng: np.random.Generator, count: int, largest: float = 1.0) -> NetworkCases:
    """Cases of one shape, activation, loss, order and number of steps; ``eta |A|`` up to `largest`."""
    activation, loss = KINDS[int(rng.integers(len(KINDS)))]
    shapes = [shape for shape in SHAPES if shape[-1] == 2 or loss == "mse"]
    # The truth of many parameters is slow.
    chances = np.array([1 / sum(a * b for a, b in pairwise(shape)) ** 2 for shape in shapes])
    widths = shapes[int(rng.choice(len(shapes), p=chances / chances.sum()))]
    samples, depth = 2, len(widths) - 1
    # Sizes of data and weights: powers of two, over 12 decades; outputs and targets are mostly alike.
    data, weights = 2.0 ** rng.integers(-20, 21, (2, count, 1, 1))
    if loss == "cross_entropy":
        weights = (2.0 ** rng.integers(-3, 4, data.shape) / data) ** (1 / depth)
        targets = np.eye(2)[rng.integers(0, 2, (count, samples))]
    else:
        size = (
            data * weights**depth * 2.0 ** np.where(rng.random(data.shape) < 0.7, 0, rng.integers(-20, 21, data.shape))
        )
        targets = size * rng.integers(-16, 17, (count, samples, widths[-1])) / 16
    inputs = data * (rng.integers(-16, 17, (count, samples, widths[0])) / 16 + 1 / 32)
    alone = rng.random(count) < 0.3  # the other sample says nothing
    inputs[alone, 1] = 0.0
    if loss == "mse":
        targets[alone, 1] = 0.0
    family = NetworkFamily(widths, inputs, targets, activation=activation, loss=loss, slope=SLOPE)
    shrunk = np.where(rng.random((count, 1)) < 0.7, 1.0, 10.0 ** rng.uniform(-6, 0, (count, 1)))
    starts = weights[:, 0] * shrunk * rng.uniform(-1.5, 1.5, (count, family.size))
    sharpness = family.around(starts).spectrum(np.zeros(count)).smoothness
    shares = largest * 10.0 ** np.where(rng.random(count) < 0.8, rng.uniform(-2, 0, count), rng.uniform(-9, 0, count))
    order, steps = int(rng.integers(0, HIGHEST_ORDER + 1)), int(rng.integers(1, 7))
    return NetworkCases(family, starts, shares / np.where(np.isfinite(sharpness), sharpness, 1.0), steps, order)
