"""Optimisers that step along the signs of gradients, with a smooth sign ``tanh(x/width)``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eomsym.exact.numbers import Scalar
from eomsym.optimisers.parameters import Nonlinear, decay, named, not_negative, positive, settle

__all__ = ["Lion", "SignSGD"]


@dataclass(frozen=True)
class SignSGD(Nonlinear):
    """Gradient descent along a smooth sign: ``theta+ = theta - eta tanh(g/width)``.

    Parameters
    ----------
    width : int, Fraction, str or sympy.Expr
        Gradients well above it count as their signs; below it they count in proportion.

    Raises
    ------
    MethodError
        `width` is not above 0: the sign itself has a kink, where there are no counter terms.

    Examples
    --------
    >>> SignSGD("1/10").name
    'sign descent, width = 1/10'

    References
    ----------
    J. Bernstein, Y.-X. Wang, K. Azizzadenesheli, A. Anandkumar, *signSGD: Compressed Optimisation for Non-Convex
    Problems*, ICML 2018, arXiv:1802.04434.
    """

    width: Scalar

    def __post_init__(self) -> None:
        settle(self, width=positive)

    @property
    def name(self) -> str:
        """What the method is called."""
        return named("sign descent", width=self.width)

    def update(self, circuit: Any) -> Any:
        """Write the step."""
        return -circuit.function("tanh", circuit.gradient() / self.width)


@dataclass(frozen=True)
class Lion(Nonlinear):
    """Lion with a smooth sign: ``theta+ = theta - eta (tanh((beta1 m + (1 - beta1) g)/width) + weight_decay theta)``.

    After the step ``m+ = beta2 m + (1 - beta2) g``.

    Parameters
    ----------
    beta1, beta2 : int, Fraction, str or sympy.Expr
        From 0 to below 1.
    width : int, Fraction, str or sympy.Expr
        Above 0, see :class:`SignSGD`.
    weight_decay : int, Fraction, str or sympy.Expr
        At least 0, decoupled.

    Raises
    ------
    MethodError
        A parameter is out of its range.

    Examples
    --------
    >>> Lion(width="1/10").name
    'Lion, beta1 = 9/10, beta2 = 99/100, width = 1/10, weight_decay = 0'

    References
    ----------
    X. Chen et al., *Symbolic Discovery of Optimization Algorithms*, NeurIPS 2023, arXiv:2302.06675.
    """

    beta1: Scalar = "9/10"
    beta2: Scalar = "99/100"
    width: Scalar = "1/100"
    weight_decay: Scalar = 0

    def __post_init__(self) -> None:
        settle(self, beta1=decay, beta2=decay, width=positive, weight_decay=not_negative)

    @property
    def name(self) -> str:
        """What the method is called."""
        told = {"beta1": self.beta1, "beta2": self.beta2, "width": self.width, "weight_decay": self.weight_decay}
        return named("Lion", **told)

    def update(self, circuit: Any) -> Any:
        """Write the step; the momentum is that of the step before."""
        g = circuit.gradient()
        m = circuit.filter(g, [0, 1 - self.beta2], [1, -self.beta2])
        u = circuit.function("tanh", (m * self.beta1 + g * (1 - self.beta1)) / self.width)
        return -(u + circuit.theta * self.weight_decay if self.weight_decay != 0 else u)
