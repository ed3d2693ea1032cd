"""Optimisers that measure the gradient by its norm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy

from eomsym.exact.numbers import Exact, Scalar, as_exact
from eomsym.optimisers.parameters import Nonlinear, named, not_negative, positive, settle

__all__ = ["ClippedGradient", "NormalisedGradient", "NormalisedSAM"]


@dataclass(frozen=True)
class NormalisedGradient(Nonlinear):
    """Normalised gradient descent: ``theta+ = theta - eta g/(|g| + epsilon)``.

    Parameters
    ----------
    epsilon : int, Fraction, str or sympy.Expr
        At least 0. The norm has a kink where the gradient vanishes: there are no counter terms there.

    Raises
    ------
    MethodError
        `epsilon` is negative.

    Examples
    --------
    >>> NormalisedGradient().name
    'normalised gradient descent'

    References
    ----------
    E. Hazan, K. Y. Levy, S. Shalev-Shwartz, *Beyond Convexity: Stochastic Quasi-Convex Optimization*, NeurIPS 2015,
    arXiv:1507.02030.
    """

    epsilon: Scalar = 0

    def __post_init__(self) -> None:
        settle(self, epsilon=not_negative)

    @property
    def name(self) -> str:
        """What the method is called."""
        return named("normalised gradient descent", epsilon=self.epsilon if self.epsilon != 0 else False)

    def update(self, circuit: Any) -> Any:
        """Write the step."""
        return -unit(circuit, circuit.gradient(), self.epsilon)


@dataclass(frozen=True)
class NormalisedSAM(Nonlinear):
    """Sharpness-aware minimisation: ``theta+ = theta - eta g(theta + rho g/(|g| + epsilon))`` with ``rho = r eta``.

    Parameters
    ----------
    r : int, Fraction, str or sympy.Expr
        Radius rho of the ascent step over the learning rate.
    epsilon : int, Fraction, str or sympy.Expr
        At least 0.

    Raises
    ------
    MethodError
        `epsilon` is negative.

    Examples
    --------
    >>> NormalisedSAM("1/2").name
    'normalised sharpness-aware, r = 1/2'

    References
    ----------
    P. Foret et al., *Sharpness-Aware Minimization*, ICLR 2021, arXiv:2010.01412.
    """

    r: Scalar
    epsilon: Scalar = 0

    def __post_init__(self) -> None:
        settle(self, r=as_exact, epsilon=not_negative)

    @property
    def name(self) -> str:
        """What the method is called."""
        return named("normalised sharpness-aware", r=self.r, epsilon=self.epsilon if self.epsilon != 0 else False)

    def update(self, circuit: Any) -> Any:
        """Write the step."""
        ascent = circuit.times(unit(circuit, circuit.gradient(), self.epsilon)) * self.r
        return -circuit.gradient(circuit.theta + ascent)


@dataclass(frozen=True)
class ClippedGradient(Nonlinear):
    """Gradient descent with its gradient clipped by the global norm: ``theta+ = theta - eta g min(1, threshold/|g|)``.

    Counter terms are exact inside of each of the two regions, and jump on the border.

    Parameters
    ----------
    threshold : int, Fraction, str or sympy.Expr
        Above 0.

    Raises
    ------
    MethodError
        `threshold` is not above 0.

    Examples
    --------
    >>> import eomsym as eom
    >>> kernel = eom.compile(eom.Loss("x**2/2", variables="x"), 1, method=ClippedGradient(2))
    >>> kernel.terms([[1.0], [3.0]])[:, :, 0]  # gradient descent; a constant velocity
    array([[1. , 0.5],
           [2. , 0. ]])

    References
    ----------
    R. Pascanu, T. Mikolov, Y. Bengio, *On the difficulty of training recurrent neural networks*, ICML 2013,
    arXiv:1211.5063.
    """

    threshold: Scalar

    def __post_init__(self) -> None:
        settle(self, threshold=positive)

    @property
    def name(self) -> str:
        """What the method is called."""
        return named("clipped gradient descent", threshold=self.threshold)

    def update(self, circuit: Any) -> Any:
        """Write the step: ``c g/sqrt(max(|g|**2, c**2))`` has no quotient that could fail at ``g = 0``."""
        g = circuit.gradient()
        over = circuit.dot(g, g) - self.threshold**2
        larger = circuit.choose(over, over) + self.threshold**2
        return -g * (larger.power(sympy.Rational(-1, 2)) * self.threshold)


def unit(circuit: Any, g: Any, epsilon: Exact) -> Any:
    """A vector over its norm."""
    norm = circuit.norm(g)
    return g / (norm + epsilon if epsilon != 0 else norm)
