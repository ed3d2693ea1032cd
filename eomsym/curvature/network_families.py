"""Many small networks of one shape at once: the data are numbers, and one compiled program serves all.

The closed forms of `eomsym.curvature.networks` with arrays in place of numbers. Data and slopes of the activations are
states that stand still in a velocity field; inside of an activation region the slopes are constant.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import sympy
from numpy.typing import ArrayLike

from eomsym import checks
from eomsym.curvature.families import MANY, BatchSpectrum, BatchTaylor, Family, Kernels, Neighbourhoods
from eomsym.curvature.majorants import BatchMajorant
from eomsym.curvature.networks import SOFTMAX_THIRD, softmax_residuals
from eomsym.curvature.series import SoftmaxSeries, squared_error_derivatives
from eomsym.errors import InputError, ShapeError, SizeError
from eomsym.losses.activations import HOMOGENEOUS
from eomsym.losses.expression import Field
from eomsym.losses.network import LOSSES, DeepLinear, Network
from eomsym.types import Array

__all__ = ["NetworkFamily"]

#: Samples times parameters: the program of a family is written out number by number.
MOST = 400


class NetworkFamily(Family):
    """Small networks without biases of one shape, each with its own data.

    Parameters
    ----------
    widths : sequence of int
        Inputs, hidden layers, outputs: ``(2, 2, 1)``.
    inputs, targets : array_like, shape (m, samples, widths[0]) and (m, samples, widths[-1])
        The data of each network. For ``"cross_entropy"`` the targets of a sample are probabilities with the sum one.
    activation : {"linear", "relu", "leaky_relu"}
    loss : {"mse", "cross_entropy"}
        As of `eomsym.Network`.
    slope : float
        Slope of ``leaky_relu`` below zero.

    Raises
    ------
    InputError
        If an argument cannot be used.
    ShapeError
        If the data do not fit the widths.
    SizeError
        If samples times parameters are more than 400.

    Examples
    --------
    ``(w1 w2 - 1)**2/2`` and ``(2 w1 w2 - 1)**2/2``:

    >>> family = NetworkFamily((1, 1, 1), [[[1.0]], [[2.0]]], [[[1.0]], [[1.0]]])
    >>> len(family), family.gradients(np.array([[1.0, 0.5], [1.0, 0.5]])).tolist()
    (2, [[-0.25, -0.5], [0.0, 0.0]])
    >>> family.network(1)
    <DeepLinear deep linear network 1-1-1, mse, 1 samples (2 parameters)>

    Bounds for both at once, see `eomsym.bounds.many_distances`:

    >>> import eomsym as eom
    >>> eom.bounds.many_distances(family, [[1.0, 0.4], [1.0, 0.4]], eta=[0.1, 0.05], steps=2).round(4)
    array([[0.    , 0.0028, 0.0053],
           [0.    , 0.0022, 0.0036]])
    """

    def __init__(
        self, widths: Sequence[int], inputs: ArrayLike, targets: ArrayLike, *, activation: str = "linear",
        loss: str = "mse", slope: float = 0.01,
    ) -> None:  # fmt: skip
        row = widths.ndim > 0 if isinstance(widths, np.ndarray) else isinstance(widths, (list, tuple, range))
        given = list(widths) if row else []
        if len(given) < 2:
            raise ShapeError(f"widths={checks.shown(widths)}: expected two or more numbers of units, such as (2, 2, 1)")
        self.widths = tuple(checks.count(width, "widths", 1) for width in given)
        self.loss = checks.choice(loss, "loss", LOSSES)
        self.activation = checks.choice(activation, "activation", ("linear", *sorted(HOMOGENEOUS - {"linear"})))
        self.slope = checks.number(slope, "slope")
        self.inputs, self.targets = _data(inputs, "inputs", self.widths[0]), _data(targets, "targets", self.widths[-1])
        self.many = len(self.inputs) >= MANY
        if self.inputs.shape[:2] != self.targets.shape[:2]:
            raise ShapeError(
                f"targets of shape {self.targets.shape}: expected {(*self.inputs.shape[:2], self.widths[-1])}, as many "
                "networks and samples as of the inputs"
            )
        if self.loss == "cross_entropy":
            totals = self.targets.sum(axis=2)
            off = np.abs(totals - 1)
            if not ((self.targets >= 0).all() and (off <= 4e-16 * self.widths[-1]).all()):
                raise InputError(
                    "targets of the cross-entropy: expected probabilities of each sample that add up to one, got "
                    f"{float(totals.flat[np.argmax(off)])!r} and numbers from {self.targets.min():.3g} on; divide them "
                    "by their sum"
                )
        if self.size * self.inputs.shape[1] > MOST:
            raise SizeError(
                f"{self.size} parameters times {self.inputs.shape[1]} samples: a family of networks has at most "
                f"{MOST}; use eomsym.bounds.distance for each network"
            )

    def __len__(self) -> int:
        return len(self.inputs)

    def some(self, chosen: Any) -> NetworkFamily:
        part = object.__new__(NetworkFamily)
        part.widths, part.loss, part.activation, part.slope = self.widths, self.loss, self.activation, self.slope
        part.inputs, part.targets, part.many = self.inputs[chosen], self.targets[chosen], self.many
        return part

    @property
    def size(self) -> int:
        """Number of parameters of each network."""
        return sum(a * b for a, b in pairwise(self.widths))

    @property
    def below(self) -> float:
        """Slope of the activation below zero."""
        return {"linear": 1.0, "relu": 0.0, "leaky_relu": self.slope}[self.activation]

    def network(self, i: int) -> Network:
        """One of the networks, counted from 0.

        Raises
        ------
        InputError
            If there is none of this number.
        """
        place = checks.count(i, "i", 0, len(self) - 1)
        data = self.inputs[place], self.targets[place]
        if self.activation == "linear":
            return DeepLinear(self.widths, *data, loss=self.loss)
        return Network(self.widths, *data, self.activation, self.loss, slope=self.slope)

    def matrices(self, thetas: Array) -> list[Array]:
        """The layers of each network, shapes (m, rows, columns)."""
        found, place = [], 0
        for columns, rows in pairwise(self.widths):
            found.append(thetas[:, place : place + rows * columns].reshape(-1, rows, columns))
            place += rows * columns
        return found

    @np.errstate(all="ignore")  # where a network overflows, the others are still wanted
    def layers(self, thetas: Array) -> list[Array]:
        """What comes out of the matrices, before the activation, shapes (m, samples, rows)."""
        hidden, found = self.inputs, []
        for matrix in self.matrices(thetas):
            found.append(hidden @ matrix.transpose(0, 2, 1))
            hidden = np.where(found[-1] > 0, found[-1], self.below * found[-1])
        return found

    def still(self, thetas: Array) -> Array:
        """Data, and the slopes of the units at the points of the networks."""
        parts = [self.inputs, self.targets]
        if self.activation != "linear":
            parts += [np.where(before > 0, 1.0, self.below) for before in self.layers(thetas)[:-1]]
        return np.concatenate([part.reshape(len(self), -1) for part in parts], axis=1)

    def around(self, thetas: Array) -> Neighbourhoods:
        """See `Family.around`."""
        with np.errstate(all="ignore"):
            return _NetworkNeighbourhoods(self, thetas)

    def _programs(self) -> tuple[Field, Kernels]:
        return _programs(self.widths, self.inputs.shape[1], self.activation == "linear", self.loss)

    @cached_property
    def _moments(self) -> tuple[Array, Array, Array]:
        """Lengths of the inputs, shape (m, samples), and the largest second and third moment, shape (m,)."""
        lengths = np.linalg.norm(self.inputs, axis=2)
        second = self._largest(np.ones(lengths.shape))
        return lengths, second, lengths.max(axis=1) * second

    def _largest(self, weights: Array) -> Array:
        """Largest eigenvalue, or the trace, of the mean of ``weight x x^T``."""
        weighted = self.inputs * weights[:, :, None]
        squares = weighted.transpose(0, 2, 1) @ self.inputs / self.inputs.shape[1]
        if self.activation != "linear":
            traces: Array = np.trace(squares, axis1=1, axis2=2)
            return traces
        return _finite_eigenvalues(squares)[:, -1]


def _data(given: ArrayLike, name: str, width: int) -> Array:
    """Finite numbers of shape (m, samples, width)."""
    array = checks.array(given, name)
    if array.ndim != 3 or array.shape[2] != width or 0 in array.shape:
        raise ShapeError(
            f"{name} of shape {array.shape}: expected numbers of shape (networks, samples, {width}), with at "
            "least one of each"
        )
    return np.array(array, dtype=np.float64)


def _finite_eigenvalues(matrices: Array) -> Array:
    """Eigenvalues of symmetric matrices, shape (m, n); of those that are not finite NaN."""
    out = np.full(matrices.shape[:2], np.nan)
    fine = np.isfinite(matrices).all(axis=(1, 2))
    out[fine] = np.linalg.eigvalsh(matrices[fine])
    return out


# the field ------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _programs(widths: tuple[int, ...], samples: int, linear: bool, loss: str) -> tuple[Field, Kernels]:
    """The velocity of all networks of a shape, and room for its kernels."""
    letters = iter(sympy.symbols(f"v:{sum(a * b for a, b in pairwise(widths))}"))
    matrices = [sympy.Matrix(rows, columns, lambda i, j: next(letters)) for columns, rows in pairwise(widths)]
    inputs = sympy.Matrix(samples, widths[0], lambda s, i: sympy.Symbol(f"x{s}_{i}"))
    targets = sympy.Matrix(samples, widths[-1], lambda s, i: sympy.Symbol(f"y{s}_{i}"))
    hidden_widths = [] if linear else list(enumerate(widths[1:-1]))
    slopes = [
        sympy.Matrix(samples, width, lambda s, i, layer=layer: sympy.Symbol(f"a{layer}_{s}_{i}"))
        for layer, width in hidden_widths
    ]
    gradient = [sympy.zeros(*matrix.shape) for matrix in matrices]
    for s in range(samples):
        hidden = [inputs.row(s).T]
        for layer, matrix in enumerate(matrices):
            out = matrix * hidden[-1]
            if slopes and layer < len(slopes):
                out = out.multiply_elementwise(slopes[layer].row(s).T)
            hidden.append(out)
        delta = _residual(hidden[-1], targets.row(s).T, loss) / samples
        for layer in reversed(range(len(matrices))):
            gradient[layer] += delta * hidden[layer].T
            delta = matrices[layer].T * delta
            if slopes and layer:
                delta = delta.multiply_elementwise(slopes[layer - 1].row(s).T)
    data = [*inputs, *targets, *(entry for matrix in slopes for entry in matrix)]
    variables = [*(entry for matrix in matrices for entry in matrix), *data]
    return Field([*(-g for matrix in gradient for g in matrix), *([0] * len(data))], variables=variables), {}


def _residual(outputs: Any, targets: Any, loss: str) -> Any:
    """Derivative of the loss of a sample by the outputs."""
    if loss == "mse":
        return outputs - targets
    count = len(outputs)
    chances = [1 / sum(sympy.exp(outputs[j] - outputs[k]) for j in range(count)) for k in range(count)]
    # p_k - y_k, as both have the sum one: without cancellation where one class is certain.
    return sympy.Matrix(
        [sum(chances[k] * targets[j] - chances[j] * targets[k] for j in range(count) if j != k) for k in range(count)]
    )


# closed forms ---------------------------------------------------------------------------------------------------------


def _products(norms: Array, top: int) -> Array:
    """As `eomsym.curvature.networks.product_derivatives`, of norms of shape (n, m): shape (top+1, m)."""
    n = len(norms)
    ones = np.ones((1, norms.shape[1]))
    largest = np.concatenate([ones, np.cumprod(np.sort(norms, axis=0)[::-1], axis=0)])
    bounds = np.zeros((top + 1, norms.shape[1]))
    for k in range(min(n, top) + 1):
        bounds[k] = math.comb(n, k) * n ** (-k / 2) * largest[n - k]
    if top >= 1:
        before = np.concatenate([ones, np.cumprod(norms[:-1], axis=0)])
        after = np.concatenate([ones, np.cumprod(norms[:0:-1], axis=0)])[::-1]
        bounds[1] = np.sqrt(np.sum((before * after) ** 2, axis=0))
    return bounds


def _change(bounds: Array, radius: Array) -> Array:
    """Largest change of a product over the ball, from bounds on its derivatives."""
    found: Array = np.sum([p * radius**k for k, p in enumerate(bounds) if k > 0], axis=0)
    return found


class _NetworkNeighbourhoods(Neighbourhoods):
    """As `eomsym.curvature.networks._NetworkNeighbourhood`, with a row for each network."""

    def __init__(self, family: NetworkFamily, thetas: Array) -> None:
        self.family = family
        self.depth, self.gain = len(family.widths) - 1, max(1.0, abs(family.below)) ** (len(family.widths) - 2)
        self.bend, self.twist = (1.0, 0.0) if family.loss == "mse" else (0.5, SOFTMAX_THIRD)
        lengths, self.second, self.third_moment = family._moments
        fine: Any = np.isfinite(thetas).all(axis=1)
        norms = [
            np.linalg.norm(np.where(fine[:, None, None], matrix, 0.0), 2, axis=(1, 2))
            for matrix in family.matrices(thetas)
        ]
        self.norms = np.where(fine, np.array(norms), np.inf)
        self.product = _products(self.norms, max(self.depth, 2))
        layers = family.layers(thetas)
        self._look_at_margins(layers[:-1], family.matrices(thetas), lengths)
        self._look_at_residuals(layers[-1], lengths)
        self.gradients = family.gradients(thetas)
        self.slope = np.linalg.norm(self.gradients, axis=1) + self.haze_of_gradient
        flat = family.jacobians(thetas, np.ones(len(thetas)), 0)
        self.hessians = -(flat + flat.transpose(0, 2, 1)) / 2
        _, p1, p2, *_ = self.product
        terms = sum(family.widths) + family.inputs.shape[1]
        rounding = 2 * p2 * self.haze + 4e-16 * terms * self.gain**2 * self.bend * self.second * p1**2
        spectra = _finite_eigenvalues(self.hessians)
        self.lower, self.upper = spectra[:, 0] - rounding, spectra[:, -1] + rounding

    def _look_at_margins(self, layers: list[Array], matrices: list[Array], lengths: Array) -> None:
        """How far each layer is from a kink, for an input of length one; an input that is zero stays there."""
        self.margins: list[Array] = []
        if self.family.activation == "linear":
            return
        # As of `eomsym.curvature.networks.rounded_units`.
        rounding = (
            4e-16 * sum(self.family.widths) * np.cumprod([np.linalg.norm(w, axis=(1, 2)) for w in matrices], axis=0)
        )
        for layer, before in enumerate(layers):
            away = np.where(lengths[:, :, None] > 0, np.abs(before) / lengths[:, :, None], np.inf)
            gain = max(1.0, abs(self.family.below)) ** layer
            self.margins.append(away.min(axis=(1, 2)) - gain * rounding[layer])

    @cached_property
    def layer_products(self) -> list[Array]:
        """Of the first layers, as far as there are kinks behind them."""
        return [_products(self.norms[:layer], layer) for layer in range(1, len(self.margins) + 1)]

    def _look_at_residuals(self, outputs: Array, lengths: Array) -> None:
        family, targets = self.family, self.family.targets
        if family.loss == "mse":
            residuals = outputs - targets
        else:
            residuals, variances = softmax_residuals(outputs, targets)
            self.variance, self.spread = variances.max(axis=1), family._largest(variances)
        samples = lengths.shape[1]
        terms = sum(family.widths) + samples
        most = (np.prod(self.norms, axis=0) * self.gain)[:, None] * lengths + np.linalg.norm(targets, axis=2)
        haze = 4e-16 * terms * np.mean(most * lengths, axis=1)
        if family.activation == "linear":
            crossed = residuals.transpose(0, 2, 1) @ family.inputs
            residual = np.linalg.norm(crossed, axis=(1, 2)) / samples
        else:
            residual = np.mean(np.linalg.norm(residuals, axis=2) * lengths, axis=1)
        self.residual, self.haze = residual + haze, haze * self.gain
        self.haze_of_gradient = self.product[1] * (self.haze + 4e-16 * terms * self.gain * self.residual)

    def _inside(self, radius: Array) -> Array:
        """Whether the balls stay inside of their activation regions, and are of moderate size."""
        widest: Array = self.norms.max(axis=0)
        held: Any = 6 * self.depth * np.log(1 + radius + widest) < 300
        for layer, margin in enumerate(self.margins, 1):
            gain = self.gain ** ((layer - 1) / max(self.depth - 1, 1))
            held = held & (gain * _change(self.layer_products[layer - 1], radius) < margin)
        found: Array = held
        return found

    def _residual(self, radius: Array) -> Array:
        change = _change(self.product[: self.depth + 1], radius)
        found: Array = self.residual + self.bend * self.gain * self.second * change
        return found

    def rounding(self) -> Array:
        doubled: Array = 2 * self.haze_of_gradient
        return doubled

    @np.errstate(all="ignore")
    def third(self, radius: Array) -> Array:
        a = self.gain
        _, p1, p2, p3 = _products(self.norms + radius, 3)
        found = 6 * a**2 * self.bend * self.second * p1 * p2 + a**3 * self.twist * self.third_moment * p1**3
        whole: Array = np.where(self._inside(radius), found + 6 * a * p3 * self._residual(radius), np.inf)
        return whole

    @np.errstate(all="ignore")
    def spectrum(self, radius: Array) -> BatchSpectrum:
        a, residual = self.gain, self._residual(radius)
        _, p1, p2 = _products(self.norms + radius, 2)
        crossed, change = 2 * a * p2 * residual, self.third(radius) * radius
        lower = np.maximum(-crossed, self.lower - change)
        upper = np.minimum(a**2 * self.bend * self.second * p1**2 + crossed, self.upper + change)
        steepest = np.maximum(np.abs(lower), np.abs(upper))
        slope = np.minimum(a * p1 * residual, self.slope + steepest * radius)
        held = self._inside(radius)
        return BatchSpectrum(*(np.where(held, x, y) for x, y in ((lower, -np.inf), (upper, np.inf), (slope, np.inf))))

    @cached_property
    def valid(self) -> Array | float:
        """Radii of balls inside of one activation region, almost the largest."""
        if not self.margins:
            return np.inf
        low: Any = np.zeros(len(self.slope))
        high: Any = np.full(len(self.slope), 1e-6)
        while (growing := (high < 1e6) & self._inside(high)).any():
            low, high = np.where(growing, high, low), np.where(growing, 2 * high, high)
        for _ in range(8):
            middle = (low + high) / 2
            held = self._inside(middle)
            low, high = np.where(held, middle, low), np.where(held, high, middle)
        found: Array = low
        return found

    @cached_property
    def known(self) -> BatchTaylor:  # type: ignore[override]
        product = self.gain * self.product[: self.depth + 1]
        product[0] = 0.0
        smoothness = np.maximum(np.abs(self.lower), np.abs(self.upper))
        if self.family.loss != "mse":
            lengths, *_ = self.family._moments
            softmax = SoftmaxSeries(product, self.residual, self.variance, self.spread, lengths.max(axis=1))
            return BatchMajorant(np.array([self.slope, smoothness]), self.valid, softmax)
        bounds = squared_error_derivatives(product, self.residual, self.second)
        bounds[0], bounds[1] = self.slope, smoothness
        return BatchTaylor(bounds, self.valid)
