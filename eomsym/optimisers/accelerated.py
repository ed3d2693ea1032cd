"""Momentum by Polyak and by Nesterov, with its memory eliminated, or kept as a state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy

from eomsym.errors import MethodError
from eomsym.exact.general_linear import GeneralLinear
from eomsym.exact.numbers import ETA, Exact, Scalar, as_exact
from eomsym.optimisers.base import Method, no_trees
from eomsym.optimisers.memory import Memory, fading, learning_rate, told_of_memory
from eomsym.optimisers.parameters import named, warn_of_roots

__all__ = ["HeavyBall", "Nesterov"]


@dataclass(frozen=True)
class _Accelerated(Method):
    """What heavy ball and Nesterov share: a momentum that is eliminated, or kept as the state ``p``."""

    beta: Exact
    memory: Memory = "eliminated"
    eta: Exact | None = None

    _title = ""

    def __init__(self, beta: Scalar, memory: Memory = "eliminated", eta: Scalar = None) -> None:
        object.__setattr__(self, "beta", _momentum(beta))
        object.__setattr__(self, "memory", memory)
        warn_of_roots(self._title, [sympy.S.One, -1 - self.beta, self.beta])
        object.__setattr__(self, "eta", learning_rate(memory, eta, beta=self.beta))

    @property
    def name(self) -> str:
        """What the method is called."""
        return named(self._title, beta=self.beta) + told_of_memory(self.memory, self.eta)

    @property
    def is_linear(self) -> bool:  # type: ignore[override]
        """Whether rooted trees have coefficients for it: not with a kept memory."""
        return self.memory == "eliminated"

    @property
    def step(self) -> Exact:
        """What to give as eta: the root of the learning rate; with a kept memory only."""
        return kept_step(self)

    def kept(self, size: int) -> dict[str, int]:
        """The momentum, if it is kept."""
        return {} if self.is_linear else {"p": size}


@dataclass(frozen=True, init=False)
class HeavyBall(_Accelerated):
    """Gradient descent with momentum: ``theta+ = theta + beta (theta - theta-) - eta g(theta)``.

    Parameters
    ----------
    beta : int, Fraction, str or sympy.Expr
        Momentum, not 1.
    memory : {"eliminated", "kept"}
        Whether the equation of motion is one for the parameters alone, good for motion that is slow for the momentum
        (``eta lambda`` well below ``(1 - sqrt(beta))**2``), or one for the parameters and the momentum ``p``. Kept,
        the step is ``h = sqrt(eta)`` and the friction ``gamma = -log(beta)/h`` is fixed:
        ``p+ = exp(-gamma h) p - h g(theta)``, ``theta+ = theta + h p+``.
    eta : int, Fraction, str or sympy.Expr, optional
        With a memory that is kept: the learning rate for which `beta` is meant. Give `step` as eta to whatever runs.

    Raises
    ------
    MethodError
        `beta` is 1; `memory` is unknown; or a kept memory comes without `eta`, or with a `beta` outside of (0, 1).

    Examples
    --------
    >>> from fractions import Fraction
    >>> HeavyBall(Fraction(9, 10)).stability().rate
    10
    >>> HeavyBall("9/10", memory="kept", eta="1/100").step
    1/10

    References
    ----------
    B. T. Polyak, *USSR Comput. Math. Math. Phys.* 4(5), 1964, doi:10.1016/0041-5553(64)90137-5.
    """

    _title = "heavy ball"

    def update(self, circuit: Any) -> Any:
        """Write the step; with a kept memory it changes the parameters and the momentum."""
        if self.is_linear:
            return super().update(circuit)
        return _rolled(circuit, self, circuit.theta)

    def general_linear(self) -> GeneralLinear:
        """Return the step with two past iterates."""
        if not self.is_linear:
            raise no_trees(self)
        return GeneralLinear([1 + self.beta, -self.beta], [[1, 0]], [[1, 0]], [[0]])


@dataclass(frozen=True, init=False)
class Nesterov(_Accelerated):
    """Nesterov's momentum: ``y = theta + beta (theta - theta-)``, ``theta+ = y - eta g(y)``.

    Parameters
    ----------
    beta : int, Fraction, str or sympy.Expr
        Momentum, not 1.
    memory : {"eliminated", "kept"}
        As for :class:`HeavyBall`; kept, ``p+ = exp(-gamma h) p - h g(theta + h exp(-gamma h) p)``.
    eta : int, Fraction, str or sympy.Expr, optional
        As for :class:`HeavyBall`.

    Raises
    ------
    MethodError
        As for :class:`HeavyBall`.

    Examples
    --------
    >>> import sympy
    >>> Nesterov(sympy.Symbol("beta")).general_linear().extrapolation
    ((beta + 1, -beta),)

    References
    ----------
    Y. E. Nesterov, *Soviet Math. Dokl.* 27, 1983, 372-376.
    """

    _title = "Nesterov"

    def update(self, circuit: Any) -> Any:
        """Write the step; with a kept memory it changes the parameters and the momentum."""
        if self.is_linear:
            return super().update(circuit)
        ahead = ETA * fading(self.beta, self.step)
        return _rolled(circuit, self, circuit.theta + circuit.times(circuit.state("p"), ahead))

    def general_linear(self) -> GeneralLinear:
        """Return the step with two past iterates."""
        if not self.is_linear:
            raise no_trees(self)
        ahead = [1 + self.beta, -self.beta]
        return GeneralLinear(ahead, [[1, 0]], [ahead], [[0]])


def _momentum(beta: Scalar) -> Exact:
    exact = as_exact(beta, "beta")
    if exact == 1:
        raise MethodError("beta = 1 keeps all momentum for ever and has no modified equation; use beta < 1")
    return exact


def kept_step(method: Any) -> Exact:
    """Root of the learning rate, the step of a momentum that is kept."""
    if method.eta is None:
        raise MethodError(f"{method.name} has eliminated its memory and takes any eta; a step needs memory='kept'")
    return sympy.sqrt(method.eta)


def _rolled(circuit: Any, method: Any, point: Any) -> dict[str, Any]:
    """The step of a kept momentum whose gradient is taken at `point`."""
    momentum, g = circuit.state("p"), circuit.gradient(point)
    fade = fading(method.beta, method.step)
    return {
        "theta": circuit.times(momentum, fade) - circuit.times(g),
        "p": circuit.times(momentum, (fade - 1) / ETA) - g,
    }
