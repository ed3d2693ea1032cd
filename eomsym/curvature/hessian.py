"""Bounds on gradient and Hessian over a ball of parameters: closed forms, functions of the user, estimates.

Every theorem of this package needs the same three numbers on balls around the points of a curve: the smallest and
the largest eigenvalue of the Hessian ``A`` and the largest gradient. A `Curvature` gives them.

References
----------
O. Elkabetz and N. Cohen, Continuous vs. Discrete Optimization of Deep Neural Networks, NeurIPS 2021,
arXiv:2107.06608, section 4 (Hessians of deep linear and homogeneous networks).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse.linalg import LinearOperator, eigsh

from eomsym import checks
from eomsym.codegen.kernel import Kernel, compile
from eomsym.curvature.derivatives import Derivatives
from eomsym.errors import HypothesisError, MethodError, TableError
from eomsym.optimisers.linear import GradientDescent
from eomsym.types import Array

if TYPE_CHECKING:
    from eomsym.losses.objective import Objective

__all__ = [
    "Curvature",
    "EstimatedCurvature",
    "GivenCurvature",
    "Neighbourhood",
    "Spectrum",
    "eigenvalue_range",
    "hessian",
]

EPS = float(np.finfo(np.float64).eps)
# Up to this many parameters the Hessian is made dense; beyond, Lanczos.
DENSE = 400


@dataclass(frozen=True)
class Spectrum:
    """Numbers that hold for all points of a ball.

    Attributes
    ----------
    lower, upper : float
        All eigenvalues of the Hessian lie between them.
    slope : float
        No gradient is longer.
    """

    lower: float
    upper: float
    slope: float

    @property
    def growth(self) -> float:
        """``m``: the largest rate at which two gradient flows in the ball can move apart, ``-lower``."""
        return -self.lower

    @property
    def smoothness(self) -> float:
        """``beta``: the largest spectral norm of the Hessian."""
        return max(abs(self.lower), abs(self.upper))

    def amplification(self, eta: float) -> float:
        """The largest ``|I - eta A|``: how much one step of gradient descent can move two points apart."""
        return max(abs(1 - eta * self.lower), abs(1 - eta * self.upper))


class Neighbourhood(ABC):
    """What a curvature knows about the balls around one point, `theta`."""

    theta: Array

    @abstractmethod
    def spectrum(self, radius: float) -> Spectrum:
        """Numbers that hold on the ball of this radius, or HypothesisError if it leaves the domain."""

    def third(self, radius: float) -> float | None:
        """Largest third derivative of the loss on the ball, the Lipschitz constant of the Hessian, if it is known."""
        return None

    def rounding(self) -> float:
        """Largest error of the gradient at the point in float64; 64 units in the last place where nothing is known."""
        here = self.spectrum(0.0)
        return 64 * EPS * (here.slope + here.smoothness * float(np.linalg.norm(self.theta)))

    def derivatives(self) -> Derivatives:
        """Bounds on the gradient and all its derivatives."""
        raise HypothesisError(
            "no bound: needed all derivatives of the gradient, which only polynomials and networks without biases give "
            "in closed form; use order=0, or certificate='measured'"
        )


class Curvature(ABC):
    """Bounds on gradient and Hessian around any point.

    Attributes
    ----------
    proven : bool
        False for estimates.
    source : str
        Where the numbers come from.
    """

    proven: bool = True
    source: str = ""

    @abstractmethod
    def at(self, theta: Array) -> Neighbourhood:
        """Everything that is known around `theta`, shape (n,)."""


# the user's own functions, and estimates ------------------------------------------------------------------------------


class GivenCurvature(Curvature):
    """Bounds by functions of the user.

    Parameters
    ----------
    lower, upper, slope : callable
        From a point, shape (n,), and a radius to a number that holds on that ball: smallest and largest eigenvalue
        of the Hessian, longest gradient.

    Examples
    --------
    For ``L = -x**2/2`` the Hessian is -1 and the gradient at most ``|x| + radius``:

    >>> import numpy as np
    >>> given = GivenCurvature(lambda x, r: -1.0, lambda x, r: -1.0, lambda x, r: abs(x[0]) + r)
    >>> given.at(np.array([2.0])).spectrum(0.5)
    Spectrum(lower=-1.0, upper=-1.0, slope=2.5)
    """

    source = "the caller's functions"

    def __init__(
        self,
        lower: Callable[[Array, float], float],
        upper: Callable[[Array, float], float],
        slope: Callable[[Array, float], float],
    ) -> None:
        self._functions = (lower, upper, slope)

    def at(self, theta: Array) -> Neighbourhood:
        """See `Curvature.at`."""
        return _Given(self._functions, theta)


class _Given(Neighbourhood):
    def __init__(self, functions: tuple[Callable[[Array, float], float], ...], theta: Array) -> None:
        self.functions, self.theta = functions, theta

    def spectrum(self, radius: float) -> Spectrum:
        lower, upper, slope = (float(function(self.theta, radius)) for function in self.functions)
        if not (np.isfinite([lower, upper, slope]).all() and lower <= upper and slope >= 0):
            raise HypothesisError(
                f"no bound: needed finite numbers lower <= upper and slope >= 0 on the ball of radius {radius:.3g}, "
                f"got lower={lower}, upper={upper}, slope={slope}: the ball leaves the domain of the functions"
            )
        return Spectrum(lower, upper, slope)


#: Each sample is a spectrum.
MOST_SAMPLES = 10_000


class EstimatedCurvature(Curvature):
    """Estimates for any smooth loss: the Hessian at the centre and at random points on the sphere around it.

    Parameters
    ----------
    kernel : Kernel
    samples : int
        Points on the sphere, besides the centre.
    seed : int

    Examples
    --------
    >>> import eomsym as eom
    >>> kernel = eom.compile(eom.Loss("x**4/12 + y**2", variables="x y"), 0)
    >>> estimate = EstimatedCurvature(kernel).at(np.array([1.0, 0.0]))
    >>> round(estimate.spectrum(0.0).lower, 6), estimate.spectrum(0.1).slope > 1 / 3
    (1.0, True)
    """

    proven = False

    def __init__(self, kernel: Kernel, samples: int = 2, seed: int = 0) -> None:
        self.kernel = checks.instance(kernel, "a kernel", Kernel, "eomsym.compile(loss, 0)").at_order(0)
        self.samples, self.seed = checks.count(samples, "samples", 0, MOST_SAMPLES), checks.count(seed, "seed")
        self.source = f"estimates: spectra at the centre and at {samples} points of the sphere"

    def at(self, theta: Array) -> Neighbourhood:
        """See `Curvature.at`."""
        return _Estimated(self, theta)


class _Estimated(Neighbourhood):
    def __init__(self, owner: EstimatedCurvature, theta: Array) -> None:
        self.kernel, self.theta = owner.kernel, theta
        directions = np.random.default_rng(owner.seed).standard_normal((owner.samples, len(theta)))
        self.directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
        self.centre = self._look(theta)

    def _look(self, point: Array) -> tuple[float, float, float]:
        try:
            with np.errstate(over="ignore"):
                seen = (*eigenvalue_range(self.kernel, point), float(np.linalg.norm(self.kernel.gradient(point))))
        except (TableError, np.linalg.LinAlgError):
            seen = (np.nan, np.nan, np.nan)
        if not np.isfinite(seen).all():
            away = np.linalg.norm(point - self.theta)
            raise HypothesisError(
                f"no bound: needed a finite gradient and Hessian within {away:.3g} of the centre of a ball, got "
                "numbers that are not finite; use a smaller eta or fewer steps"
            )
        return seen

    def spectrum(self, radius: float) -> Spectrum:
        seen = [self.centre]
        if radius > 0:
            seen += [self._look(self.theta + radius * direction) for direction in self.directions]
        lower, upper, slope = zip(*seen, strict=True)
        # By the mean value theorem, with the spectra that were seen.
        steepest = self.centre[2] + radius * max(abs(min(lower)), abs(max(upper)))
        return Spectrum(min(lower), max(upper), max(*slope, steepest))


# spectra --------------------------------------------------------------------------------------------------------------


def hessian(kernel: Kernel, theta: Array) -> Array:
    """The Hessian at a point, dense.

    Parameters
    ----------
    kernel : Kernel
    theta : ndarray, shape (n,)

    Returns
    -------
    ndarray, shape (n, n)
        Symmetric for a loss; for a field, the derivative of ``g``.

    Examples
    --------
    >>> import eomsym as eom
    >>> hessian(eom.compile(eom.Loss("x**2*y + y**2", variables="x y"), 0), np.array([1.0, 2.0]))
    array([[4., 2.],
           [2., 2.]])
    """
    matrix = kernel.hessian_vector(theta, np.eye(len(theta))).T
    return (matrix + matrix.T) / 2 if kernel.loss.has_value else matrix


def eigenvalue_range(kernel: Kernel, theta: Array) -> tuple[float, float]:
    """Smallest and largest eigenvalue of the Hessian at a point: dense for few parameters, Lanczos for many.

    Parameters
    ----------
    kernel : Kernel
    theta : ndarray, shape (n,)

    Returns
    -------
    tuple of float

    Examples
    --------
    >>> import eomsym as eom
    >>> eigenvalue_range(eom.compile(eom.Loss("x**2 - y**2", variables="x y"), 0), np.zeros(2))
    (-2.0, 2.0)
    """
    checks.instance(kernel, "a kernel", Kernel, "eomsym.compile(loss, 0)")
    theta = kernel.loss.validate(theta)
    n = len(theta)
    if n <= DENSE:
        values = np.linalg.eigvalsh(hessian(kernel, theta))
        return float(values[0]), float(values[-1])
    operator = LinearOperator((n, n), matvec=lambda v: kernel.hessian_vector(theta, np.ravel(v)), dtype=np.float64)
    start = np.random.default_rng(0).standard_normal(n)  # reproducible
    values = eigsh(operator, k=2, which="BE", v0=start, tol=1e-6, return_eigenvectors=False)
    return float(np.min(values)), float(np.max(values))


# choosing -------------------------------------------------------------------------------------------------------------


def as_kernel(loss: Objective | Kernel, order: int = 0) -> Kernel:
    """The kernel of a loss for gradient descent, of a kernel itself to this order.

    Raises
    ------
    MethodError
        If the kernel is for another method.
    HypothesisError
        If the loss is a field without a value.
    """
    if isinstance(loss, Kernel):
        if not isinstance(loss.method, GradientDescent):
            raise MethodError(f"bounds are for gradient descent, got a kernel of {loss.method.name}; give its loss")
        kernel = loss.at_order(order)
    else:
        kernel = compile(loss, order)
    if not kernel.loss.has_value:
        raise HypothesisError(
            f"no bound: needed a gradient, got the velocity field {kernel.loss.name}, whose derivative is not "
            "symmetric; give a loss"
        )
    return kernel
