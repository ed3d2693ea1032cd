"""Momentum as frameworks write it, and other optimisers that are linear in gradients: they have rooted trees too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

from eomsym import checks
from eomsym.errors import MethodError
from eomsym.exact.general_linear import GeneralLinear
from eomsym.exact.numbers import Scalar, as_exact
from eomsym.optimisers.base import Method
from eomsym.optimisers.parameters import decay, named, settle

__all__ = ["Lookahead", "Momentum", "QuasiHyperbolic"]


@dataclass(frozen=True)
class Momentum(Method):
    """Momentum as `torch.optim.SGD` writes it: ``b+ = beta b + (1 - dampening) g``, ``theta+ = theta - eta b+``.

    With `nesterov` the step is ``theta+ = theta - eta (g + beta b+)``.

    Parameters
    ----------
    beta : int, Fraction, str or sympy.Expr
        Momentum, from 0 to below 1.
    dampening : int, Fraction, str or sympy.Expr
        Not 1. Without momentum (`beta` 0) torch ignores it, and so do we.
    nesterov : bool
        Step along the gradient plus the new momentum. This is Nesterov's method for the look-ahead points, so its
        counter terms differ from those of :class:`~eomsym.optimisers.accelerated.Nesterov` from ``eta`` on.

    Raises
    ------
    MethodError
        `beta` is out of range, or `nesterov` comes with a dampening (torch refuses that too).

    Notes
    -----
    At rest our momentum is ``b = 0``, so the first step is ``b+ = (1 - dampening) g``. torch begins with ``b+ = g``;
    give what `torch_start` returns as `memory` to do the same.

    Examples
    --------
    >>> Momentum("9/10").general_linear() == Momentum("9/10", dampening="0").general_linear()
    True
    >>> Momentum("1/2", nesterov=True).series(2).chi
    ((2, -2),)

    References
    ----------
    I. Sutskever, J. Martens, G. Dahl, G. Hinton, *On the importance of initialization and momentum in deep learning*,
    ICML 2013; documentation of torch.optim.SGD.
    """

    beta: Scalar
    dampening: Scalar = 0
    nesterov: bool = False

    def __post_init__(self) -> None:
        settle(self, beta=decay, dampening=as_exact, nesterov=checks.flag)
        if self.dampening == 1:
            raise MethodError("dampening = 1 leaves no gradient in the momentum; use dampening < 1")
        if self.nesterov and self.dampening != 0:
            raise MethodError(f"nesterov=True takes no dampening, and got {self.dampening}; leave one of them out")

    @property
    def name(self) -> str:
        """What the method is called."""
        extra = {"dampening": self.dampening} if self.dampening != 0 else {}
        return named("momentum", beta=self.beta, **extra, nesterov=self.nesterov)

    def general_linear(self) -> GeneralLinear:
        """Return the step with two past iterates."""
        first = 1 - self.dampening if self.beta != 0 else 1
        weights = [1 + self.beta, -self.beta] if self.nesterov else [first, 0]
        return GeneralLinear([1 + self.beta, -self.beta], [weights], [[1, 0]], [[0]])

    def torch_start(self, kernel: Any, theta: Any) -> np.ndarray:
        """What to give `descend` as `memory` to begin as torch does, with ``b = g``.

        Parameters
        ----------
        kernel : Kernel
            Of this method.
        theta : array_like, shape (n,)
            The start.

        Returns
        -------
        ndarray, shape (n,), or (0,) without momentum
        """
        standing: np.ndarray = kernel.at_order(0).memories(theta, 1.0)  # b = (1 - dampening)/(1 - beta) g
        if self.beta == 0:
            return standing
        return standing * float(self.dampening * (1 - self.beta) / (self.beta * (1 - self.dampening)))


@dataclass(frozen=True)
class QuasiHyperbolic(Method):
    """Quasi-hyperbolic momentum: ``m+ = beta m + (1 - beta) g``, ``theta+ = theta - eta ((1 - nu) g + nu m+)``.

    Parameters
    ----------
    nu : int, Fraction, str or sympy.Expr
        Share of the momentum in the step.
    beta : int, Fraction, str or sympy.Expr
        Momentum, from 0 to below 1.

    Raises
    ------
    MethodError
        `beta` is out of range.

    Examples
    --------
    >>> QuasiHyperbolic(nu="7/10", beta="999/1000").name
    'quasi-hyperbolic momentum, nu = 7/10, beta = 999/1000'

    References
    ----------
    J. Ma, D. Yarats, *Quasi-hyperbolic momentum and Adam for deep learning*, ICLR 2019, arXiv:1810.06801.
    """

    nu: Scalar = "7/10"
    beta: Scalar = "999/1000"

    def __post_init__(self) -> None:
        settle(self, nu=as_exact, beta=decay)

    @property
    def name(self) -> str:
        """What the method is called."""
        return named("quasi-hyperbolic momentum", nu=self.nu, beta=self.beta)

    def general_linear(self) -> GeneralLinear:
        """Return the step with two past iterates."""
        weights = [1 - self.nu * self.beta, -(1 - self.nu) * self.beta]
        return GeneralLinear([1 + self.beta, -self.beta], [weights], [[1, 0]], [[0]])


@dataclass(frozen=True)
class Lookahead(Method):
    """Lookahead around gradient descent: ``theta+ = theta + alpha (step**steps (theta) - theta)``.

    eta is the learning rate of the inner steps; an outer step counts once.

    Parameters
    ----------
    steps : int
        Inner steps k, from 1 to 50.
    alpha : int, Fraction, str or sympy.Expr
        How far the slow weights go.

    Raises
    ------
    InputError
        `steps` is no such integer.
    MethodError
        `alpha` is 0.

    Examples
    --------
    >>> Lookahead(2, "1/2").series(2).chi
    ((1/2, -1/4), (1/2, -1/4))

    References
    ----------
    M. R. Zhang, J. Lucas, G. Hinton, J. Ba, *Lookahead Optimizer: k steps forward, 1 step back*, NeurIPS 2019,
    arXiv:1907.08610.
    """

    steps: int = 5
    alpha: Scalar = "1/2"

    def __post_init__(self) -> None:
        settle(self, steps=lambda value, name: checks.count(value, name, 1, 50), alpha=as_exact)
        if self.alpha == 0:
            raise MethodError("alpha = 0 never moves the slow weights; use for instance alpha='1/2'")

    @property
    def name(self) -> str:
        """What the method is called."""
        return named("lookahead", steps=self.steps, alpha=self.alpha)

    def general_linear(self) -> GeneralLinear:
        """Return the Runge-Kutta method that it is."""
        k = self.steps
        below = [[sympy.Integer(j < i) for j in range(k)] for i in range(k)]
        return GeneralLinear([1], [[self.alpha]] * k, [[1]] * k, below)
