"""Closed-form bounds on the derivatives of deep linear and homogeneous networks over a ball.

Write ``P(W) = W_n ⋯ W_1``. For a unit direction ``U`` the product ``P(W + sU) = sum_k s**k P_k`` has ::

    |P_k|_F  <=  p_k := C(n, k) n**(-k/2) max over |J| = n-k of  prod_(j in J) |W_j|      (k >= 1)

by Maclaurin's inequality, and ``|P_1| <= sqrt(sum_j prod_(i != j) |W_i|**2)``. With a convex ``phi`` whose second and
third derivatives are bounded, the chain rule turns the ``p_k`` into bounds on all derivatives of ``L = phi(P)``. On a
ball each ``|W_j|`` grows by its radius at most. The p_k hold for complex directions as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property, partial

import numpy as np

from eomsym.checks import shown
from eomsym.curvature.derivatives import Derivatives
from eomsym.curvature.hessian import DENSE, Curvature, Neighbourhood, Spectrum, as_kernel, eigenvalue_range
from eomsym.curvature.series import SoftmaxSeries, squared_error_derivatives
from eomsym.errors import HypothesisError
from eomsym.losses.activations import HOMOGENEOUS
from eomsym.losses.layers import Activation, Linear
from eomsym.losses.network import Network
from eomsym.losses.objective import Objective
from eomsym.types import Array

__all__ = ["NetworkCurvature", "product_derivatives"]

#: Largest third central moment of a coordinate of a unit vector under any distribution: range sqrt(2), R**3/(6 sqrt 3).
SOFTMAX_THIRD = math.sqrt(2) ** 3 / (6 * math.sqrt(3))


def product_derivatives(norms: Array, top: int) -> list[float]:
    """Bounds ``p_0 … p_top`` on the coefficients of ``(W_n + sU_n) ⋯ (W_1 + sU_1)`` over unit directions U.

    Parameters
    ----------
    norms : ndarray, shape (n,)
        Spectral norms of the matrices.
    top : int

    Returns
    -------
    list of float

    Examples
    --------
    >>> [round(p, 6) for p in product_derivatives(np.array([1.0, 2.0]), 3)]
    [2.0, 2.236068, 0.5, 0.0]
    """
    n = len(norms)
    given = [float(norm) for norm in norms]
    largest = [1.0]  # products of the largest ones
    for norm in sorted(given, reverse=True):
        largest.append(largest[-1] * norm)
    bounds = [math.comb(n, k) * n ** (-k / 2) * largest[n - k] if k <= n else 0.0 for k in range(top + 1)]
    if top >= 1:
        before = [1.0]
        after = [1.0]
        for j in range(n - 1):
            before.append(before[-1] * given[j])
            after.append(after[-1] * given[n - 1 - j])
        bounds[1] = math.hypot(*(x * y for x, y in zip(before, reversed(after), strict=True)))
    return bounds


def homogeneous(loss: Objective) -> Activation | None:
    """The activation of a network whose closed forms are known; None for all others.

    Layers must be matrices, with the same homogeneous activation between any two of them or with none at all. Biases,
    normalisation, convolution and pooling make another function of the same matrices.
    """
    if not isinstance(loss, Network):
        return None
    if all(type(layer) is Linear for layer in loss.layers):
        return Activation("linear")
    between = set(loss.layers[1::2])
    if len(loss.layers) % 2 == 0 or not all(type(layer) is Linear for layer in loss.layers[::2]) or len(between) != 1:
        return None
    found = between.pop()
    return found if isinstance(found, Activation) and found.kind in HOMOGENEOUS else None


class NetworkCurvature(Curvature):
    """Closed forms for a network without biases whose activation is linear, ReLU or leaky ReLU.

    Parameters
    ----------
    loss : Network
    sharp : bool
        See `eomsym.curvature.hessian.curvature_of`.

    Raises
    ------
    HypothesisError
        If the loss is no such network.

    Examples
    --------
    >>> import eomsym as eom
    >>> loss = eom.DeepLinear((1, 1, 1), inputs=[[1.0]], targets=[[1.0]])  # (w1 w2 - 1)**2/2
    >>> spectrum = NetworkCurvature(loss).at(np.array([0.5, 0.5])).spectrum(0.0)
    >>> round(spectrum.lower, 9), round(spectrum.upper, 9)  # of [[1/4, -1/2], [-1/2, 1/4]]
    (-0.25, 0.75)
    """

    def __init__(self, loss: Objective, *, sharp: bool = True) -> None:
        between = homogeneous(loss)
        if between is None:
            raise HypothesisError(
                "no bound: needed a network without biases whose activation is linear, relu or leaky_relu, got "
                f"{shown(loss, 200)}; give GivenCurvature(lower, upper, slope), or EstimatedCurvature(kernel) for an "
                "estimate"
            )
        assert isinstance(loss, Network)
        self.loss = loss
        self.kernel = as_kernel(loss)
        self.sharp = sharp and loss.size <= DENSE
        self.linear = between.kind == "linear"
        #: slope of the activation below zero
        self.below = {"linear": 1.0, "relu": 0.0, "leaky_relu": between.slope}[between.kind]
        self.gain = max(1.0, abs(self.below)) ** (loss.depth - 1)
        self.lengths = np.linalg.norm(loss.inputs, axis=1)
        squares = loss.inputs.T @ loss.inputs / len(loss.inputs)
        self.second = float(np.linalg.eigvalsh(squares)[-1]) if self.linear else float(np.trace(squares))
        self.third = float(np.max(self.lengths)) * self.second
        self.decay = float(loss.weight_decay)
        # Largest second and third derivative of the loss of one sample.
        self.bend, self.twist = (1.0, 0.0) if loss.loss == "mse" else (0.5, SOFTMAX_THIRD)
        family = "deep linear" if self.linear else "homogeneous"
        self.source = f"closed forms of a {family} network" + (
            ", with the spectrum at the centre and a bound on the third derivative" if self.sharp else ""
        )

    def at(self, theta: Array) -> Neighbourhood:
        """See `Curvature.at`."""
        return _NetworkNeighbourhood(self, theta)


def rounded_units(owner: NetworkCurvature, matrices: list[Array]) -> float:
    """What rounding may take from the units of a layer, for an input of length one: their sign may be the other one."""
    gain = max(1.0, abs(owner.below)) ** (len(matrices) - 1)
    lost: float = 4e-16 * sum(owner.loss.widths) * gain * math.prod(float(np.linalg.norm(w)) for w in matrices)
    return lost


class _NetworkNeighbourhood(Neighbourhood):
    def __init__(self, owner: NetworkCurvature, theta: Array) -> None:
        self.owner, self.theta = owner, theta
        loss = owner.loss
        self.matrices = list(loss.unpack(theta).values())
        self.norms = np.array([np.linalg.norm(matrix, 2) for matrix in self.matrices])
        self.length = float(np.linalg.norm(theta))
        hidden = loss.inputs
        self.margins: list[tuple[float, int]] = []
        for layer, matrix in enumerate(self.matrices, 1):
            hidden = hidden @ matrix.T
            if layer < loss.depth and not owner.linear:
                # How far each unit is from its kink, for an input of length one; an input that is zero stays there.
                seen = owner.lengths > 0
                distances = np.abs(hidden[seen]) / owner.lengths[seen, None]
                least = float(np.min(distances, initial=np.inf)) - rounded_units(owner, self.matrices[:layer])
                self.margins.append((least, layer))
                hidden = np.where(hidden > 0, hidden, owner.below * hidden)
        if loss.loss == "mse":
            residuals = hidden - loss.targets
        else:
            residuals, variances = softmax_residuals(hidden, loss.targets)
            self.variance = float(np.max(variances))
            weighted = loss.inputs * variances[:, None]
            squares = weighted.T @ loss.inputs / len(loss.inputs)
            self.spread = float(np.linalg.eigvalsh(squares)[-1] if owner.linear else np.trace(squares))
        # The residuals of a fit are differences: what rounding may have taken from them, or from sums in the layers.
        self.terms = terms = sum(loss.widths) + len(hidden)
        most = float(np.prod(self.norms)) * owner.gain * owner.lengths + np.linalg.norm(loss.targets, axis=1)
        haze = 4e-16 * terms * float(np.mean(most * owner.lengths))
        if owner.linear:
            self.residual = float(np.linalg.norm(residuals.T @ loss.inputs)) / len(hidden)
        else:
            self.residual = float(np.mean(np.linalg.norm(residuals, axis=1) * owner.lengths))
        self.residual += haze
        self.haze = haze * owner.gain
        steep = self._product[1] * (self.haze + 4e-16 * terms * owner.gain * self.residual)
        self.haze_of_gradient = steep + 4e-16 * owner.decay * self.length
        self.slope = float(np.linalg.norm(owner.kernel.gradient(theta))) + self.haze_of_gradient

    @cached_property
    def _centre(self) -> tuple[float, float]:
        own, (_, p1, p2, *_) = self.owner, self._product
        rounding = 2 * p2 * self.haze + 4e-16 * self.terms * own.gain**2 * own.bend * own.second * p1**2
        lower, upper = eigenvalue_range(own.kernel, self.theta)
        return lower - rounding, upper + rounding

    @cached_property
    def _product(self) -> list[float]:
        return product_derivatives(self.norms, max(len(self.norms), 2))

    def _change(self, radius: float, norms: Array | None = None) -> float:
        """Largest change of the product over the ball."""
        bounds = self._product if norms is None else product_derivatives(norms, len(norms))
        return sum(p * radius**k for k, p in enumerate(bounds) if k > 0)

    def _stay_in_region(self, radius: float) -> None:
        if not 6 * self.owner.loss.depth * math.log(1 + radius + float(self.norms.max())) < 300:
            raise HypothesisError(f"no bound: needed a tube of moderate radius, got {radius:.3g}; use a smaller eta")
        for margin, layer in self.margins:
            gain = self.owner.gain ** ((layer - 1) / max(self.owner.loss.depth - 1, 1))
            reach = gain * self._change(radius, self.norms[:layer])
            if not reach < margin:
                raise HypothesisError(
                    f"no bound: needed the ball of radius {radius:.3g} to stay inside one activation region, got a "
                    f"unit of layer {layer} at distance {margin:.3g} from its kink, less rounding, where the ball "
                    f"reaches {reach:.3g}; use a smaller eta or epsilon"
                )

    def _residual(self, radius: float) -> float:
        own = self.owner
        return self.residual + own.bend * own.gain * own.second * self._change(radius)

    def rounding(self) -> float:
        return float(2 * self.haze_of_gradient)

    def third(self, radius: float) -> float:
        self._stay_in_region(radius)
        own = self.owner
        a, residual = own.gain, self._residual(radius)
        _, p1, p2, p3 = product_derivatives(self.norms + radius, 3)
        return 6 * a**2 * own.bend * own.second * p1 * p2 + a**3 * own.twist * own.third * p1**3 + 6 * a * p3 * residual

    def spectrum(self, radius: float) -> Spectrum:
        self._stay_in_region(radius)
        own = self.owner
        a, residual = own.gain, self._residual(radius)
        _, p1, p2 = product_derivatives(self.norms + radius, 2)
        crossed = 2 * a * p2 * residual
        lower = own.decay - crossed
        upper = own.decay + a**2 * own.bend * own.second * p1**2 + crossed
        if own.sharp:
            change = self.third(radius) * radius
            lower = max(lower, self._centre[0] - change)
            upper = min(upper, self._centre[1] + change)
        smoothness = max(abs(lower), abs(upper))
        slope = min(a * p1 * residual + own.decay * (self.length + radius), self.slope + smoothness * radius)
        return Spectrum(lower, upper, slope)

    @cached_property
    def _valid(self) -> float:
        """Radius of a ball inside one activation region, almost the largest."""
        return math.inf if self.owner.linear else _largest(self._inside)

    def _inside(self, radius: float) -> bool:
        try:
            self._stay_in_region(radius)
        except HypothesisError:
            return False
        return True

    def derivatives(self) -> Derivatives:
        own = self.owner
        product = own.gain * np.array([0.0, *self._product[1 : own.loss.depth + 1]])
        if own.loss.loss == "mse":
            bounds = squared_error_derivatives(product, self.residual, own.second)
            bounds[0] = self.slope
            bounds[1] = max(map(abs, self._centre)) if own.sharp else bounds[1] + own.decay
            return Derivatives(bounds, valid=self._valid)
        known = [self.slope, *([max(map(abs, self._centre))] if own.sharp else [])]
        rest = (self.residual, self.variance, self.spread, float(np.max(own.lengths)))
        softmax = SoftmaxSeries(product[:, None], *(np.array([number]) for number in rest))
        return Derivatives(np.array(known), partial(self._majorant, softmax), self._valid)

    def _majorant(self, softmax: SoftmaxSeries, radii: Array, top: int) -> Array:
        """Derivatives of a power series that majorises the gradient."""
        bounds = softmax.at(radii[None], top)[:, 0]
        bounds[0] += self.owner.decay * (self.length + radii)
        bounds[1:2] += self.owner.decay
        return bounds


def softmax_residuals(outputs: Array, targets: Array) -> tuple[Array, Array]:
    """Residuals of a softmax and the largest variance of a coordinate for each sample, of one network or of many.

    Parameters
    ----------
    outputs, targets : ndarray, shape (..., samples, classes)

    Returns
    -------
    residuals : ndarray, shape (..., samples, classes)
    variances : ndarray, shape (..., samples)
        NaN where the outputs are not finite.
    """
    chances = np.exp(outputs - outputs.max(axis=-1, keepdims=True))
    chances /= chances.sum(axis=-1, keepdims=True)
    count = chances.shape[-1]
    others = chances @ (1 - np.eye(count))  # 1 - p without cancellation
    flat = chances.reshape(-1, count)
    fine = np.isfinite(flat).all(axis=1)
    variances = np.full(len(flat), np.nan)
    # Softmax can underflow, its derivatives do not.
    variances[fine] = np.maximum(_variances(flat[fine], others.reshape(-1, count)[fine]), 1e-300)
    residuals: Array = np.where(targets == 1, -others, chances - targets)
    return residuals, variances.reshape(chances.shape[:-1])


def _variances(chances: Array, others: Array) -> Array:
    """Largest variance of a coordinate of a unit vector under each softmax: below the top of ``diag(p) - p p^T``."""
    # By Gershgorin, exact for two classes; where no class is almost certain, the eigenvalue itself can be trusted.
    found = np.minimum(2 * np.max(chances * others, axis=1), 0.5)
    unsure = chances.max(axis=1) < 0.999
    covariances = -np.einsum("ij,ik->ijk", chances, chances)
    places = np.arange(chances.shape[1])
    covariances[:, places, places] = chances * others
    eigenvalues = np.linalg.eigvalsh(covariances)[:, -1] * (1 + 1e-12)
    variances: Array = np.where(unsure, np.minimum(eigenvalues, found), found)
    return variances


def _largest(holds: Callable[[float], bool]) -> float:
    """About the largest radius, at most 1e6, for which a condition holds that fails from some radius on; 0 if none."""
    low, high = 0.0, 1e-6
    while high < 1e6 and holds(high):
        low, high = high, 2 * high
    for _ in range(8):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
