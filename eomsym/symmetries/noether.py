"""What a symmetry predicts for optimiser, gradient flow and equation of motion: the part common to all symmetries.

The symmetries of :mod:`eomsym.symmetries.symmetry` are groups ``theta -> exp(t X) theta`` that leave L alone: scaling
of a block, translation of a block, and rescaling of two layers against each other. Then ``X theta . grad L = 0`` and,
differentiated once more, ``hess L X theta = -X^T grad L``. `Symmetry.check` measures both.

Each has a quantity that gradient flow treats as if there were no data (Noether), and that the optimiser does not. With
``x = eta*lambda``, a quadratic quantity q and ``p``, the same form of ``grad L``, gradient descent does

    q(k+1) = (1 - x)**2 q(k) + eta**2 p(k)

exactly. As a shift operator this is ``(e**(eta D) - (1 - x)**2) q = eta**2 p``, and its solution is the equation of
motion to all orders,

    q' = -2 kappa q + eta (1 - x)**-2 B(eta (D + 2 kappa)) p,    B(w) = w/(e**w - 1),  kappa = -log(1 - x)/eta,

which is truncated here at order K.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from eomsym import checks
from eomsym.checks import shown
from eomsym.codegen.kernel import Kernel, compile
from eomsym.errors import InputError, MethodError, SymmetryError
from eomsym.losses.objective import Objective
from eomsym.optimisers.linear import GradientDescent
from eomsym.types import Array

__all__ = [
    "DESCENT",
    "Check",
    "Model",
    "Quadratic",
    "Symmetry",
    "bare_gradient",
    "bare_hessian",
    "decay_rate",
    "norm",
    "places_of",
]

#: Order of the equation of motion (0 is gradient flow), or "descent" for the discrete iteration itself.
Model: TypeAlias = int | str
DESCENT = "descent"
#: The largest order at which the derivative of a quadratic quantity is written out below.
LARGEST_ORDER = 3
#: Violations are relative; rounding leaves some 1e-15, a symmetry that is not there some 0.1.
TOLERANCE = 1e-9
#: ``X theta`` of a generator X, and the map ``g -> X^T g`` of its linear part.
Generated: TypeAlias = tuple[Array, Callable[[Array], Array]]


@dataclass(frozen=True)
class Check:
    """Measured violations of a symmetry's two identities, relative to the size of what cancels in them.

    Attributes
    ----------
    gradient : float
        Of ``X theta . grad L = 0``.
    hessian : float
        Of ``hess L X theta = -X^T grad L``.
    """

    gradient: float
    hessian: float

    @property
    def violation(self) -> float:
        """The larger of the two."""
        return max(self.gradient, self.hessian)


class Symmetry(ABC):
    """A symmetry of a loss, and a quantity of it that feels the data only through the step size."""

    #: What the quantity is called in figures, and its degree in theta.
    quantity: str
    degree: int = 1

    @abstractmethod
    def value(self, loss: Objective, theta: Array) -> Array:
        """The quantity at theta, shape (components,)."""

    @abstractmethod
    def along(self, loss: Objective, theta: Array, velocity: Array) -> Array:
        """Derivative of the quantity along a velocity, shape (components,)."""

    @abstractmethod
    def derivative(self, kernel: Kernel, theta: Array, eta: float) -> Array:
        """Predicted time derivative of the quantity in the equation of motion of ``kernel.order``.

        Parameters
        ----------
        kernel : Kernel
            Of gradient descent.
        theta : ndarray, shape (n,)
        eta : float

        Returns
        -------
        ndarray, shape (components,)
        """

    @abstractmethod
    def after_step(self, kernel: Kernel, theta: Array, eta: float) -> Array:
        """Predicted quantity after one step of gradient descent, exact, shape (components,)."""

    @abstractmethod
    def _generators(self, loss: Objective, theta: Array) -> list[Generated]:
        """Some generators of the group, at theta."""

    def check(self, loss: Objective, theta: Array, tolerance: float = TOLERANCE) -> Check:
        """Measure both identities at a point, weight decay left out.

        Parameters
        ----------
        loss : Network, Loss, …
        theta : array_like, shape (n,)
        tolerance : float
            Largest relative violation that is put down to rounding.

        Returns
        -------
        Check

        Raises
        ------
        SymmetryError
            The loss does not have this symmetry; the message says by how much.
        InputError
            The loss has no such block.
        """
        theta = loss.validate(theta)
        kernel = compile(loss, 0)
        generators = self._generators(loss, theta)
        gradient = bare_gradient(kernel, theta)
        random = np.random.default_rng(0).standard_normal(theta.size)
        # How much the gradient changes over the length of theta: the size of what is rounded inside of it.
        curvature = norm(bare_hessian(kernel, theta, random)) / norm(random)
        size = norm(gradient) + curvature * norm(theta)
        first = second = 0.0
        for generated, transposed in generators:
            turned = transposed(gradient)
            scales = norm(generated) * size, curvature * norm(generated) + norm(turned)
            if min(scales) > 0:
                first = max(first, abs(float(generated @ gradient)) / scales[0])
                second = max(second, norm(bare_hessian(kernel, theta, generated) + turned) / scales[1])
        found = Check(first, second)
        if not found.violation <= tolerance:
            raise SymmetryError(
                f"{loss.name} does not have {self}: its identities are violated by {first:.2g} (gradient) and "
                f"{second:.2g} (Hessian), relatively, where rounding leaves less than {tolerance:.2g}; "
                f"declare another block: {', '.join(loss.blocks)}"
            )
        return found


class Quadratic(Symmetry):
    """A symmetry whose quantity is a quadratic form ``q(theta, theta)`` with ``q(theta, grad L) = 0``."""

    degree = 2

    @abstractmethod
    def form(self, loss: Objective, left: Array, right: Array) -> Array:
        """The symmetric bilinear form, shape (components,)."""

    def value(self, loss: Objective, theta: Array) -> Array:
        return self.form(loss, theta, theta)

    def along(self, loss: Objective, theta: Array, velocity: Array) -> Array:
        return 2 * self.form(loss, theta, velocity)

    def after_step(self, kernel: Kernel, theta: Array, eta: float) -> Array:
        x, _ = checked(kernel, eta)
        gradient = bare_gradient(kernel, theta)
        squared: Array = (1 - x) ** 2 * self.value(kernel.loss, theta)
        return squared + eta**2 * self.form(kernel.loss, gradient, gradient)

    def derivative(self, kernel: Kernel, theta: Array, eta: float) -> Array:
        """Predicted time derivative of the quantity, from gradients and Hessians alone up to order 2.

        With ``p = q(grad L, grad L)`` and its derivatives ``p1`` along ``-g``, ``p2`` along ``-Ag/2`` and ``p11``
        twice along ``-g``, and ``lambda`` the weight decay::

            q' = -2 (lambda + eta lambda**2/2 + eta**2 lambda**3/3 + …) q + eta p + eta**2 (lambda p - p1/2)
                 + eta**3 (5/6 lambda**2 p - 2/3 lambda p1 - p2/2 + p11/12)

        Parameters
        ----------
        kernel : Kernel
            Of gradient descent, of order 3 at most.
        theta : ndarray, shape (n,)
        eta : float

        Returns
        -------
        ndarray, shape (components,)

        Raises
        ------
        InputError
            The order is larger than 3, or ``eta * weight_decay >= 1``.
        """
        loss, order = kernel.loss, kernel.order
        _, decay = checked(kernel, eta)
        if order > LARGEST_ORDER:
            raise InputError(f"the predicted derivative is written out to order {LARGEST_ORDER}, got order {order}")
        rate: Array = -2 * decay_rate(eta, decay, order) * self.value(loss, theta)
        if order == 0:
            return rate
        gradient = bare_gradient(kernel, theta)
        p = self.form(loss, gradient, gradient)
        rate += eta * p
        if order == 1:
            return rate
        g = kernel.gradient(theta)
        turned = -bare_hessian(kernel, theta, g)  # d/dt grad L along -g
        p1 = 2 * self.form(loss, gradient, turned)
        rate += eta**2 * (decay * p - p1 / 2)
        if order == 2:
            return rate
        ag = kernel.hessian_vector(theta, g)
        aag = kernel.hessian_vector(theta, ag)
        third = 12 * (kernel.at_order(2).terms(theta)[2] - aag / 3)  # third derivative of L along g, g
        p2 = -self.form(loss, gradient, bare_hessian(kernel, theta, ag))
        p11 = 2 * self.form(loss, turned, turned)
        p11 += 2 * self.form(loss, gradient, third + bare_hessian(kernel, theta, ag))
        rate += eta**3 * (5 / 6 * decay**2 * p - 2 / 3 * decay * p1 - p2 / 2 + p11 / 12)
        return rate


def decay_rate(eta: float, decay: float, model: Model = DESCENT) -> float:
    """Rate kappa of ``e**(-kappa t)``: how fast weight decay alone shrinks parameters.

    Parameters
    ----------
    eta, decay : float
        Learning rate and weight decay lambda.
    model : int or "descent"
        Gradient flow (0): lambda. Equation of motion of order K: ``sum_(j<=K) eta**j lambda**(j+1)/(j+1)``. Gradient
        descent: ``-log(1 - eta*lambda)/eta``.

    Raises
    ------
    InputError
        ``eta <= 0``, ``decay < 0``, an unknown model, or ``decay >= 1/eta``, where a step of gradient descent puts the
        parameters to zero or to the other side, and no equation of motion follows it.

    Examples
    --------
    >>> [round(decay_rate(0.1, 1.0, model), 6) for model in (0, 1, 2, "descent")]
    [1.0, 1.05, 1.053333, 1.053605]
    """
    eta = checks.positive(eta, "eta")
    if not 0 <= decay < 1 / eta:
        raise InputError(
            f"weight decay {shown(decay)} must lie in 0 <= decay < 1/eta = {1 / eta:g}; take a smaller decay or eta"
        )
    x = eta * decay
    if model == DESCENT:
        return -math.log1p(-x) / eta
    if isinstance(model, bool) or not isinstance(model, (int, np.integer)) or model < 0:
        raise InputError(f"model must be an order >= 0 or {DESCENT!r}, got {shown(model)}")
    return decay * math.fsum(x**j / (j + 1) for j in range(int(model) + 1))


def places_of(
    loss: Objective, names: str | tuple[str, ...], row: int | None = None, column: int | None = None
) -> np.ndarray:
    """Places of a block (or of several), or of one row or column of it, in the flat vector."""
    if isinstance(names, tuple):
        return np.concatenate([places_of(loss, name, row, column) for name in names])
    if names not in loss.blocks:
        raise InputError(f"{loss.name} has no block {shown(names)}; its blocks are {', '.join(loss.blocks)}")
    block = loss.blocks[names]
    places = np.arange(block.start, block.start + block.size).reshape(block.shape)
    for axis, index in enumerate((row, column)):
        if index is not None:
            if places.ndim != 2 or not 0 <= index < places.shape[axis]:
                raise InputError(f"block {names} of shape {block.shape} has no {('row', 'column')[axis]} {index}")
            places = np.take(places, [index], axis=axis)
    flat: np.ndarray = places.ravel()
    return flat


def bare_gradient(kernel: Kernel, theta: Array) -> Array:
    """Gradient of L without weight decay."""
    bare: Array = kernel.gradient(theta) - float(kernel.loss.weight_decay) * theta
    return bare


def bare_hessian(kernel: Kernel, theta: Array, direction: Array) -> Array:
    """Hessian of L without weight decay, times a direction."""
    bare: Array = kernel.hessian_vector(theta, direction) - float(kernel.loss.weight_decay) * direction
    return bare


def norm(vector: Array) -> float:
    """Euclidean norm."""
    return float(np.linalg.norm(vector))


def checked(kernel: Kernel, eta: float) -> tuple[float, float]:
    """``eta * lambda`` and lambda, where the predictions hold."""
    if kernel.method != GradientDescent():
        raise MethodError(f"predictions are known for gradient descent, got {kernel.method.name}")
    decay = float(kernel.loss.weight_decay)
    decay_rate(eta, decay)
    return eta * decay, decay
