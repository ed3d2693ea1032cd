"""Symmetries of layers as checked objects: scaling, translation and rescaling.

>>> import eomsym as eom
>>> net = eom.DeepLinear((2, 2, 2), [[1.0, 0.0], [0.0, 1.0]], [0, 1], loss="cross_entropy").with_weight_decay(0.1)
>>> kernel, theta = eom.compile(net, 2), net.initial(0)
>>> symmetry = TranslationInvariance("W2")
>>> predicted = symmetry.derivative(kernel, theta, eta=0.5)
>>> measured = symmetry.along(net, theta, kernel.field(theta, 0.5))
>>> bool(np.allclose(predicted, measured, rtol=1e-12))
True
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from eomsym import checks
from eomsym.checks import shown
from eomsym.codegen.kernel import Kernel
from eomsym.errors import InputError, ShapeError
from eomsym.losses.objective import Objective
from eomsym.symmetries.noether import (
    DESCENT,
    LARGEST_ORDER,
    Generated,
    Model,
    Quadratic,
    Symmetry,
    checked,
    decay_rate,
    places_of,
)
from eomsym.types import Array

__all__ = ["RescalingSymmetry", "ScaleInvariance", "TranslationInvariance"]


@dataclass(frozen=True)
class ScaleInvariance(Quadratic):
    """``L(c theta_A) = L(theta_A)``: weights before a normalisation. The quantity is the squared norm.

    Parameters
    ----------
    block : str or tuple of str
        Name of the block A, or names of the parts that it consists of.
    row : int, optional
        Only this row of it.

    Examples
    --------
    >>> import eomsym as eom
    >>> loss = eom.Loss("x*y/(x**2 + y**2)", variables="x y")
    >>> ScaleInvariance(("x", "y")).check(loss, [1.0, 2.0]).violation < 1e-12
    True
    >>> ScaleInvariance("x").check(loss, [1.0, 2.0])
    Traceback (most recent call last):
    ...
    eomsym.errors.SymmetryError: x*y/(x**2 + y**2) does not have ScaleInvariance('x'): its identities ...

    References
    ----------
    T. Miyagawa, Toward Equation of Motion for Deep Neural Networks, NeurIPS 2022, arXiv:2210.15898, section 5.
    D. Kunin et al., Neural Mechanics, ICLR 2021, arXiv:2012.04728.
    """

    block: str | tuple[str, ...]
    row: int | None = None
    quantity = "squared norm"

    def __str__(self) -> str:
        return f"ScaleInvariance({self.block!r}{'' if self.row is None else f', row={self.row}'})"

    def form(self, loss: Objective, left: Array, right: Array) -> Array:
        places = places_of(loss, self.block, self.row)
        return np.array([left[places] @ right[places]])

    def _generators(self, loss: Objective, theta: Array) -> list[Generated]:
        mask = np.zeros(theta.size)
        mask[places_of(loss, self.block, self.row)] = 1
        return [(mask * theta, lambda g: mask * g)]

    def effective_rate(self, loss: Objective, theta: Array, eta: float) -> float:
        """Learning rate of the direction of the block, ``eta / |theta_A|**2``."""
        return checks.positive(eta, "eta") / float(self.value(loss, loss.validate(theta))[0])

    @staticmethod
    def equilibrium(eta: float, decay: float, gradient: float, model: Model = DESCENT) -> float:
        """Norm ``|theta_A|`` at which decay and growth balance, for a steady gradient.

        Gradient descent and order 1 need no more than a steady size of the gradient; orders 2 and 3 are for one that
        turns the block along a great circle.

        Parameters
        ----------
        eta, decay : float
            Learning rate and weight decay, ``0 < eta * decay < 1``.
        gradient : float
            ``|grad_A L|`` at unit norm of the block.
        model : {0, 1, 2, 3, "descent"}
            Order of the equation of motion, or gradient descent itself.

        Returns
        -------
        float
            0 for gradient flow, which has no equilibrium: its norm vanishes and its effective rate grows without end.

        Raises
        ------
        InputError
            ``eta * decay`` does not lie between 0 and 1, or another model.

        Examples
        --------
        >>> for model in (0, 1, 2, 3, "descent"):
        ...     print(f"{ScaleInvariance.equilibrium(0.1, 0.5, 1.0, model):.6f}")
        0.000000
        0.558881
        0.558767
        0.565257
        0.565912
        """
        if model == 0:
            decay_rate(eta, decay, model)
            return 0.0
        return float((eta * gradient) ** 0.5 / _balance(eta, decay, model) ** 0.25)

    @staticmethod
    def angle(eta: float, decay: float, model: Model = DESCENT) -> float:
        """Angle in radians by which the block turns in one step at equilibrium: it knows nothing of the loss.

        Parameters
        ----------
        eta, decay : float
        model : {1, 2, 3, "descent"}
            As for `equilibrium`.

        Raises
        ------
        InputError
            ``eta * decay`` does not lie between 0 and 1, or another model.

        Examples
        --------
        >>> for model in (1, 2, 3, "descent"):
        ...     print(f"{ScaleInvariance.angle(0.1, 0.5, model):.6f}")
        0.320156
        0.325629
        0.317690
        0.317560
        """
        x, balance = eta * decay, _balance(eta, decay, model)
        if model == DESCENT:
            return math.acos(1 - x)
        corrections = (0.0, (balance - x**2) / 6, -x * (x**2 + balance) / 6)
        return math.sqrt(balance) * (1 + math.fsum(corrections[: int(model)]))


def _balance(eta: float, decay: float, model: Model) -> float:
    """``(eta G/r**2)**2`` where the norm r stays, G the size of the gradient at norm 1; derived in `derivations/`."""
    decay_rate(eta, decay, model)
    x = eta * decay
    if not x > 0:
        raise InputError(f"decay must be > 0 for an equilibrium, got {shown(decay)}")
    if model == DESCENT:
        return x * (2 - x)
    if model not in (1, 2, 3):
        raise InputError(
            f"the equilibrium is known for orders 1 to {LARGEST_ORDER} and {DESCENT!r}, got {shown(model)}"
        )
    decayed = 2 * eta * decay_rate(eta, decay, model)
    if model < LARGEST_ORDER:
        return decayed
    slope = 1 - 2 / 3 * x**2  # decayed = slope*balance + balance**2/2
    return 2 * decayed / (slope + math.sqrt(slope**2 + 2 * decayed))


@dataclass(frozen=True)
class TranslationInvariance(Symmetry):
    """``L(theta + c 1_A) = L(theta)``: weights and biases of the layer before a softmax. The quantity is the sum.

    Parameters
    ----------
    block : str or tuple of str
        Name of the block A, or names of the parts that it consists of.
    column : int, optional
        Only this column of it: the weights of one feature into all classes.

    Examples
    --------
    >>> import eomsym as eom
    >>> net = eom.DeepLinear((2, 2, 2), [[1.0, 0.0], [0.0, 1.0]], [0, 1], loss="cross_entropy")
    >>> TranslationInvariance("W2", column=0).check(net, net.initial(0)).violation < 1e-12
    True

    References
    ----------
    T. Miyagawa, Toward Equation of Motion for Deep Neural Networks, NeurIPS 2022, arXiv:2210.15898, section 5.
    """

    block: str | tuple[str, ...]
    column: int | None = None
    quantity = "sum"

    def __str__(self) -> str:
        return f"TranslationInvariance({self.block!r}{'' if self.column is None else f', column={self.column}'})"

    def value(self, loss: Objective, theta: Array) -> Array:
        return self.along(loss, theta, theta)

    def along(self, loss: Objective, theta: Array, velocity: Array) -> Array:
        return np.array([velocity[places_of(loss, self.block, column=self.column)].sum()])

    def derivative(self, kernel: Kernel, theta: Array, eta: float) -> Array:
        _, decay = checked(kernel, eta)
        derivative: Array = -decay_rate(eta, decay, kernel.order) * self.value(kernel.loss, theta)
        return derivative

    def after_step(self, kernel: Kernel, theta: Array, eta: float) -> Array:
        x, _ = checked(kernel, eta)
        after: Array = (1 - x) * self.value(kernel.loss, theta)
        return after

    def _generators(self, loss: Objective, theta: Array) -> list[Generated]:
        ones = np.zeros(theta.size)
        ones[places_of(loss, self.block, column=self.column)] = 1
        return [(ones, np.zeros_like)]


@dataclass(frozen=True)
class RescalingSymmetry(Quadratic):
    """``(W_j, W_{j+1}) -> (D W_j, W_{j+1} D**-1)``: layers around a homogeneous activation.

    The quantity is the balancedness ``W_{j+1}ᵀ W_{j+1} - W_j W_jᵀ``: its diagonal, one number for each hidden unit; the
    upper triangle of it where any invertible matrix D will do, in linear networks.

    Parameters
    ----------
    layers : tuple of two str
        The blocks ``W_j`` and ``W_{j+1}``.
    bias : str, optional
        The bias of the first of them, which is rescaled with it.
    matrix : bool
        Whether D is any invertible matrix, and not only a positive diagonal one.
    axes : tuple of two int
        The axis of each matrix along which the hidden units stand: (0, 1) where matrices are outputs × inputs, as here
        and in PyTorch; (1, 0) where they are inputs × outputs, as is usual in JAX, and W above stands for their
        transposes.

    Raises
    ------
    InputError
        `layers` are not two names, or `axes` not two of 0 and 1.

    Examples
    --------
    >>> import eomsym as eom
    >>> net = eom.DeepLinear((2, 2, 1), [[1.0, 0.0], [0.0, 1.0]], [[1.0], [0.0]])
    >>> symmetry = RescalingSymmetry(("W1", "W2"), matrix=True)
    >>> symmetry.check(net, net.initial(0)).violation < 1e-12
    True
    >>> symmetry.value(net, net.pack(W1=[[1.0, 0.0], [0.0, 2.0]], W2=[[3.0, 1.0]]))
    array([ 8.,  3., -3.])

    References
    ----------
    S. S. Du, W. Hu and J. D. Lee, Algorithmic Regularization in Learning Deep Homogeneous Models: Layers are
    Automatically Balanced, NeurIPS 2018, arXiv:1806.00900, theorems 2.1 and 2.2.
    """

    layers: tuple[str, str]
    bias: str | None = None
    matrix: bool = False
    axes: tuple[int, int] = (0, 1)
    quantity = "balancedness"

    def __post_init__(self) -> None:
        if not (isinstance(self.layers, tuple) and len(self.layers) == 2):
            raise InputError(f"layers must be two names such as ('W1', 'W2'), got {checks.shown(self.layers)}")
        if not (isinstance(self.axes, tuple) and len(self.axes) == 2 and set(self.axes) <= {0, 1}):
            raise InputError(
                f"axes={checks.shown(self.axes)}: expected two of 0 and 1, one for each layer; type axes=(0, 1) for "
                "matrices of outputs × inputs, axes=(1, 0) for inputs × outputs"
            )

    def __str__(self) -> str:
        rest = (f", bias={self.bias!r}" if self.bias else "") + (", matrix=True" if self.matrix else "")
        rest += f", axes={self.axes!r}" if self.axes != (0, 1) else ""
        return f"RescalingSymmetry({self.layers!r}{rest})"

    def _factors(self, loss: Objective, theta: Array) -> tuple[Array, Array]:
        """The layer below with its bias as a last column, and the layer above, both as outputs × inputs."""
        below, above = (theta[places_of(loss, name)].reshape(loss.blocks[name].shape) for name in self.layers)
        flat = below.ndim != 2 or above.ndim != 2
        if flat or below.shape[self.axes[0]] != above.shape[self.axes[1]]:
            raise ShapeError(
                f"layers {self.layers} have shapes {below.shape} and {above.shape}; expected two matrices, the first "
                f"with as many {('rows', 'columns')[self.axes[0]]} as the second has "
                f"{('rows', 'columns')[self.axes[1]]}; type axes=(1, 0) for matrices of inputs × outputs"
            )
        below, above = self._oriented(below, above)
        if self.bias:
            below = np.column_stack([below, theta[places_of(loss, self.bias)]])
        return below, above

    def _oriented(self, below: Array, above: Array) -> tuple[Array, Array]:
        """From the matrices as they stand to outputs × inputs, and back."""
        return below if self.axes[0] == 0 else below.T, above if self.axes[1] == 1 else above.T

    def form(self, loss: Objective, left: Array, right: Array) -> Array:
        (below, above), (under, over) = self._factors(loss, left), self._factors(loss, right)
        if not self.matrix:
            diagonal: Array = (above * over).sum(axis=0) - (below * under).sum(axis=1)
            return diagonal
        product = above.T @ over - below @ under.T
        symmetric: Array = ((product + product.T) / 2)[np.triu_indices(len(product))]
        return symmetric

    def _generators(self, loss: Objective, theta: Array) -> list[Generated]:
        """Three random D: they miss a violation with probability zero."""
        random = np.random.default_rng(0)
        size = self._factors(loss, theta)[0].shape[0]
        found = []
        for _ in range(3):
            turn = random.standard_normal((size, size))
            if not self.matrix:
                turn = np.diag(np.diag(turn))
            found.append((self._turned(loss, theta, turn), self._transposed(loss, turn)))
        return found

    def _transposed(self, loss: Objective, turn: Array) -> Callable[[Array], Array]:
        return lambda g: self._turned(loss, g, turn.T)

    def _turned(self, loss: Objective, vector: Array, turn: Array) -> Array:
        """``(D W_j, -W_{j+1} D)``, zero elsewhere."""
        below, above = self._factors(loss, vector)
        out = np.zeros(vector.size)
        moved = turn @ below
        if self.bias:
            out[places_of(loss, self.bias)] = moved[:, -1]
            moved = moved[:, :-1]
        for name, matrix in zip(self.layers, self._oriented(moved, -(above @ turn)), strict=True):
            out[places_of(loss, name)] = matrix.ravel()
        return out
