"""What is known in closed form about gradient flow of deep linear networks.

``L(W_1, …, W_n) = phi(W_n ⋯ W_1)``. Along gradient flow ``W_{j+1}ᵀ W_{j+1} - W_j W_jᵀ`` is conserved; where it is zero
(*balanced*) the end-to-end matrix has a differential equation of its own. For one output and whitened data that
equation has two numbers: the norm r of the end-to-end vector and its cosine nu with the target.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from eomsym import checks
from eomsym.checks import shown
from eomsym.dynamics.flow import as_times, integrate
from eomsym.errors import HypothesisError, InputError, ShapeError
from eomsym.types import Array

__all__ = ["ScalarMotion", "balancedness", "end_to_end_velocity", "singular_modes", "time_to_converge"]

QUADRATURE: Any = {"epsabs": 0, "epsrel": 1e-11, "limit": 500}


def balancedness(matrices: Sequence[Any]) -> list[Array]:
    """``W_{j+1}ᵀ W_{j+1} - W_j W_jᵀ`` for j = 1 … n-1: conserved by gradient flow, zero in a balanced network.

    Parameters
    ----------
    matrices : sequence of array_like
        ``W_1 … W_n``, such as ``net.unpack(theta).values()``.

    Returns
    -------
    list of ndarray, shapes (hidden, hidden)

    Raises
    ------
    ShapeError
        The matrices cannot be multiplied.

    Examples
    --------
    >>> balancedness([[[1.0, 0.0], [0.0, 2.0]], [[3.0, 0.0]]])
    [array([[ 8.,  0.],
           [ 0., -4.]])]
    """
    factors = checked_factors(matrices)
    return [above.T @ above - below @ below.T for below, above in pairwise(factors)]


def end_to_end_velocity(matrices: Sequence[Any], gradient: Any, *, balanced: bool = False) -> Array:
    """Velocity of ``W = W_n ⋯ W_1`` along gradient flow.

    Without any assumption ``-sum_j (W_n ⋯ W_{j+1}) (…)ᵀ G (W_{j-1} ⋯ W_1)ᵀ (…)``; for balanced factors, in terms of W
    alone, ``-sum_j (W Wᵀ)**((n-j)/n) G (Wᵀ W)**((j-1)/n)``.

    Parameters
    ----------
    matrices : sequence of array_like
        ``W_1 … W_n``.
    gradient : array_like, shape (outputs, inputs)
        G, the gradient of phi at W.
    balanced : bool
        Use the second formula, which forgets the factors.

    Returns
    -------
    ndarray, shape (outputs, inputs)

    Raises
    ------
    ShapeError
        The matrices cannot be multiplied, or the gradient does not have the shape of their product.
    HypothesisError
        `balanced` is asked for and the factors are not.

    Examples
    --------
    >>> end_to_end_velocity([[[2.0]], [[3.0]]], [[1.0]])
    array([[-13.]])

    References
    ----------
    S. Arora, N. Cohen and E. Hazan, On the Optimization of Deep Networks: Implicit Acceleration by
    Overparameterization, ICML 2018, arXiv:1802.06509, theorem 1.
    """
    factors = checked_factors(matrices)
    slope = np.asarray(gradient, dtype=np.float64)
    n = len(factors)
    below = [np.eye(factors[0].shape[1])]
    for factor in factors:
        below.append(factor @ below[-1])
    product = below[-1]
    if slope.shape != product.shape:
        raise ShapeError(f"the gradient has shape {slope.shape}, expected {product.shape}, that of the product")
    if not balanced:
        above = np.eye(len(product))
        total = np.zeros_like(product)
        for j in range(n, 0, -1):
            total -= above @ above.T @ slope @ below[j - 1].T @ below[j - 1]
            above = above @ factors[j - 1]
        return total
    size = max(float(np.linalg.norm(factor)) for factor in factors) ** 2
    worst = max((float(np.linalg.norm(defect)) for defect in balancedness(factors)), default=0.0)
    if worst > 1e-8 * size:
        raise HypothesisError(
            f"the factors are not balanced: |W_(j+1)ᵀ W_(j+1) - W_j W_jᵀ| is {worst:.2g} where |W|² is {size:.2g}; "
            "start from initial(scheme='balanced'), or leave out balanced=True"
        )
    left, values, right = np.linalg.svd(product, full_matrices=True)
    rows, columns = (np.append(values, np.zeros(size - len(values))) for size in product.shape)
    total = np.zeros_like(product)
    for j in range(1, n + 1):
        total -= (left * rows ** (2 * (n - j) / n)) @ left.T @ slope @ (right.T * columns ** (2 * (j - 1) / n)) @ right
    return total


def checked_factors(matrices: Sequence[Any]) -> list[Array]:
    """``W_1 … W_n`` as matrices that can be multiplied."""
    factors = [np.asarray(matrix, dtype=np.float64) for matrix in matrices]
    shapes = [factor.shape for factor in factors]
    if not factors or any(len(shape) != 2 for shape in shapes):
        raise ShapeError(f"expected matrices W_1 … W_n, got shapes {shapes}")
    if any(above[1] != below[0] for below, above in pairwise(shapes)):
        raise ShapeError(f"matrices of shapes {shapes} do not follow each other: each needs the rows of the last one")
    return factors


# one output -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ScalarMotion:
    """Gradient flow of a balanced deep linear network with one output on whitened data.

    The loss is ``|w - target|**2 / 2`` of the end-to-end vector w. Its norm r and its cosine nu with the target, whose
    norm is l, obey

        r' = n r**(2-2/n) (nu l - r),        nu' = r**(1-2/n) l (1 - nu**2).

    Parameters
    ----------
    depth : int
        Number n of weight matrices.
    target : float
        Norm l > 0 of the target.

    Raises
    ------
    InputError
        A depth below 1, or a target that is not positive.

    Examples
    --------
    >>> motion = ScalarMotion(depth=3, target=2.0)
    >>> radii, cosines = motion.path(0.1, 0.0, [0.0, 1.0, 20.0])
    >>> bool(np.allclose([radii[-1], cosines[-1]], [2.0, 1.0]))
    True

    References
    ----------
    O. Elkabetz and N. Cohen, Continuous vs. Discrete Optimization of Deep Neural Networks, NeurIPS 2021,
    arXiv:2107.06608, section 4.
    """

    depth: int
    target: float

    def __post_init__(self) -> None:
        checks.count(self.depth, "depth", 1)
        checks.positive(self.target, "target", 1)

    def velocity(self, radius: float, cosine: float) -> tuple[float, float]:
        """``(r', nu')``."""
        n, target = self.depth, self.target
        return (
            n * radius ** (2 - 2 / n) * (cosine * target - radius),
            radius ** (1 - 2 / n) * target * (1 - cosine**2),
        )

    def path(
        self, radius: float, cosine: float, times: Any, rtol: float = 1e-11, atol: float = 1e-13
    ) -> tuple[Array, Array]:
        """Norm and cosine at the times asked for, each of shape (m,); tolerances are those of norms over the target's.

        Raises
        ------
        InputError
            ``radius <= 0``, or a cosine outside of -1 … 1.
        """
        start = self._checked(radius, cosine) / [self.target, 1.0]
        unit = ScalarMotion(self.depth, 1.0)
        states, _, _ = integrate(
            # A trial step may leave the cosine by rounding; there it stands still.
            lambda y: np.array(unit.velocity(max(y[0], 0.0), min(max(y[1], -1.0), 1.0))),
            start,
            as_times(times) / self.time,
            rtol,
            atol,
        )
        return self.target * states[:, 0], states[:, 1]

    @property
    def time(self) -> float:
        """The unit of time in which the motion is that to a target of norm one: ``target**(2/n - 2)``.

        Examples
        --------
        >>> ScalarMotion(depth=2, target=4.0).time
        0.25
        """
        return float(self.target ** (2 / self.depth - 2))

    def invariant(self, radius: float, cosine: float) -> float:
        """The number that gradient flow conserves; it gives the radius for each cosine.

        ``(1-nu**2)**(-n/2) / r - n/l * integral of (1-u**2)**(-n/2-1) du from 0 to nu``: one equation divided by the
        other is a linear equation for 1/r as a function of nu.

        Raises
        ------
        InputError
            ``radius <= 0``, or ``|cosine| >= 1``, where the direction stands still.
        """
        from scipy.special import hyp2f1

        self._checked(radius, cosine)
        if abs(cosine) == 1:
            raise InputError("the invariant needs a cosine strictly between -1 and 1")
        n = self.depth
        integral = cosine * hyp2f1(0.5, n / 2 + 1, 1.5, cosine**2)
        return float((1 - cosine**2) ** (-n / 2) / radius - n / self.target * integral)

    def growth(self, start: float, end: float) -> float:
        """``exp(integral of m)`` along an aligned run from one radius to another, ``(end/start)**((n-1)/n)``.

        ``m = (n-1) (l - r) r**(1-2/n)`` bounds how negative the Hessian of the network is on the way, and so how fast
        neighbours of the flow may part. The result is polynomial in 1/start: so is the number of steps of gradient
        descent that the theorem asks for.
        """
        return float((end / start) ** ((self.depth - 1) / self.depth))

    def _checked(self, radius: float, cosine: float) -> Array:
        return np.array([checks.positive(radius, "radius", 1), checks.number(cosine, "cosine", -1, 1)])


def time_to_converge(depth: int, strength: float, start: float, end: float) -> float:
    """Time in which one mode of a balanced network grows from `start` to `end` along gradient flow.

    ``s' = n s**(2-2/n) (strength - s)``; for one output and an aligned start, s is the norm of the end-to-end vector.

    Parameters
    ----------
    depth : int
        Number n of weight matrices.
    strength : float
        The value that the mode tends to, > 0.
    start, end : float
        Both between 0 and `strength`, or both above it.

    Returns
    -------
    float

    Raises
    ------
    InputError
        The mode never gets from `start` to `end`.

    Examples
    --------
    >>> round(time_to_converge(2, 1.0, 0.01, 0.5), 6), round(np.log(99) / 2, 6)  # two layers: a logistic curve
    (2.29756, np.float64(2.29756))

    References
    ----------
    A. M. Saxe, J. L. McClelland and S. Ganguli, Exact solutions to the nonlinear dynamics of learning in deep linear
    neural networks, ICLR 2014, arXiv:1312.6120, section 3.
    """
    from scipy.integrate import quad

    motion = ScalarMotion(depth, strength)
    if not (0 < start <= end < strength or strength < end <= start < math.inf):
        raise InputError(
            f"a mode of strength {shown(strength)} does not go from {shown(start)} to {shown(end)} in finite time; "
            f"give 0 < start <= end < {shown(strength)}, or both above it in falling order"
        )
    middle = (start + end) / 2

    def slowness(value: float) -> float:
        return 1 / abs(motion.velocity(value, 1.0)[0])

    # The speed vanishes at 0 and at the strength. Logarithms of the distance from either smooth the integrand.
    sign = 1 if start < strength else -1
    first = quad(lambda x: math.exp(x) * slowness(math.exp(x)), *map(math.log, (start, middle)), **QUADRATURE)[0]
    ends = (math.log(abs(strength - value)) for value in (end, middle))
    second = quad(lambda x: math.exp(x) * slowness(strength - sign * math.exp(x)), *ends, **QUADRATURE)[0]
    return float(abs(first) + second)


def singular_modes(depth: int, strengths: Any, starts: Any, times: Any) -> Array:
    """Singular values of the end-to-end matrix of a balanced network whose singular vectors are those of the target.

    On whitened data the modes do not see each other: ``s' = n s**(2-2/n) (strength - s)`` for each. Strong modes are
    learnt first, one after the other if the start is small and the network deep.

    Parameters
    ----------
    depth : int
        Number n of weight matrices.
    strengths : array_like, shape (k,)
        Singular values of the target, > 0.
    starts : array_like, shape (k,) or float
        Values at time 0, > 0.
    times : array_like, shape (m,)

    Returns
    -------
    ndarray, shape (m, k)

    Raises
    ------
    InputError
        A strength or a start that is not positive.

    Examples
    --------
    >>> singular_modes(2, [3.0, 1.0], 0.01, [0.0, 1.0, 2.0, 4.0]).round(3)
    array([[0.01 , 0.01 ],
           [1.723, 0.069],
           [2.994, 0.355],
           [3.   , 0.968]])

    References
    ----------
    A. M. Saxe, J. L. McClelland and S. Ganguli, Exact solutions to the nonlinear dynamics of learning in deep linear
    neural networks, ICLR 2014, arXiv:1312.6120, equation 6.
    """
    aims = np.atleast_1d(np.asarray(strengths, dtype=np.float64))
    first = np.broadcast_to(np.asarray(starts, dtype=np.float64), aims.shape)
    if aims.ndim != 1 or not (np.isfinite(aims) & (aims > 0) & np.isfinite(first) & (first > 0)).all():
        raise InputError(f"strengths and starts must be positive numbers, got {shown(strengths)} and {shown(starts)}")
    power = 2 - 2 / ScalarMotion(depth, 1.0).depth
    # Logarithms stay meaningful however small the start is.
    logarithms, _, _ = integrate(
        lambda y: depth * np.exp((power - 1) * y) * (aims - np.exp(y)), np.log(first), as_times(times), 1e-12, 1e-13
    )
    values: Array = np.exp(logarithms)
    return values
