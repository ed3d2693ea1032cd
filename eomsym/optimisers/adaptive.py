"""Adam and its kin: steps in units of the size of past gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

from eomsym import checks
from eomsym.errors import MethodError
from eomsym.exact.numbers import ETA, Exact, Scalar
from eomsym.optimisers.memory import Memory, fading, learning_rate, told_of_memory
from eomsym.optimisers.parameters import Nonlinear, decay, named, not_negative, settle

__all__ = ["Adam", "AdamW", "RMSProp"]


@dataclass(frozen=True)
class Adam(Nonlinear):
    """Adam: ``theta+ = theta - eta m/(sqrt(v) + epsilon)`` with averages m of the gradient, v of its square.

    Parameters
    ----------
    beta1, beta2 : int, Fraction, str or sympy.Expr
        Weights of the past in m and v, from 0 to below 1.
    epsilon : int, Fraction, str or sympy.Expr
        At least 0. At 0 a component with a zero gradient divides by zero.
    inside : bool
        Divide by ``sqrt(v + epsilon)`` instead, which is smooth where a gradient vanishes. Else the equation of motion
        has no counter terms where a component of the gradient is 0.
    bias_correction : bool
        Divide m and v by ``1 - beta**k`` in step k. Where the memory is eliminated the correction has become 1: the
        equation of motion is that of a run long after its start (``late=True`` in `descend`).
    memory : {"eliminated", "kept"}
        Whether m and v follow from the parameters, for motion that is slow for both averages, or are states of their
        own, which fade as ``exp(-c_i t)``, ``c_i = -log(beta_i)/eta``. With bias correction the time ``t`` is a state
        too. Begin after some steps of the run: at ``v = 0`` the root has no Taylor series.
    eta : int, Fraction, str or sympy.Expr, optional
        With a kept memory: the learning rate for which the betas are meant.

    Raises
    ------
    MethodError
        A parameter is out of its range, or a kept memory comes without `eta`.

    Examples
    --------
    >>> Adam(beta1="1/2").name
    'Adam, beta1 = 1/2, beta2 = 999/1000, epsilon = 1/100000000'
    >>> import eomsym as eom
    >>> kernel = eom.compile(eom.Loss("x**2/2", variables="x"), 1, method=Adam("1/2", "1/2", "1/4", inside=True))
    >>> kernel.terms([1.0]).round(6).ravel()  # x/sqrt(x**2 + 1/4), and that of Cattaneo et al.
    array([0.894427, 0.24    ])

    References
    ----------
    D. P. Kingma, J. Ba, *Adam: A Method for Stochastic Optimization*, ICLR 2015, arXiv:1412.6980;
    M. D. Cattaneo, J. M. Klusowski, B. Shigida, *On the Implicit Bias of Adam*, ICML 2024, arXiv:2309.00079 (the first
    term, with the epsilon inside).
    """

    beta1: Scalar = "9/10"
    beta2: Scalar = "999/1000"
    epsilon: Scalar = "1/100000000"
    inside: bool = False
    bias_correction: bool = True
    memory: Memory = "eliminated"
    eta: Scalar = None

    def __post_init__(self) -> None:
        settle(self, beta1=decay, beta2=decay, epsilon=not_negative, inside=checks.flag, bias_correction=checks.flag)
        object.__setattr__(self, "eta", learning_rate(self.memory, self.eta, beta1=self.beta1, beta2=self.beta2))

    @property
    def name(self) -> str:
        """What the method is called."""
        told = named("Adam", beta1=self.beta1, beta2=self.beta2, epsilon=self.epsilon, inside=self.inside)
        return told + ("" if self.bias_correction else ", no bias correction") + told_of_memory(self.memory, self.eta)

    @property
    def step(self) -> Exact:
        """What to give as eta: the learning rate itself; with a kept memory only."""
        if self.eta is None:
            raise MethodError(f"{self.name} has eliminated its memory and takes any eta; a step needs memory='kept'")
        return self.eta

    def kept(self, size: int) -> dict[str, int]:
        """Both averages, if they are kept, and the time for the bias correction."""
        if self.eta is None:
            return {}
        return {"m": size, "v": size, **({"t": 1} if self.bias_correction else {})}

    def update(self, circuit: Any) -> Any:
        """Write the step; with a kept memory it changes all states."""
        g = circuit.gradient()
        if self.eta is not None:
            return self._kept_update(circuit, g)
        m, v = circuit.average(g, self.beta1), circuit.average(g.squared(), self.beta2)
        if self.bias_correction:
            m, v = m * circuit.correction(self.beta1), v * circuit.correction(self.beta2)
        return -self._direction(circuit, m, v)

    def _direction(self, circuit: Any, m: Any, v: Any) -> Any:
        """The two averages as a direction."""
        return m / root_of(circuit, v, self.epsilon, self.inside)

    # near the edge of stability, where squares of gradients are averaged and slow ----------------------------------

    def edge_response(self) -> tuple[list[Any], list[Any]]:
        """What it does to the gradient before it divides, a filter: the average of weight `beta1`."""
        return [1 - self.beta1, 0], [1, -self.beta1]

    def edge_scale(self, squares: np.ndarray) -> np.ndarray:
        """What it divides by where the squared gradients have this average."""
        return root_at(squares, self.epsilon, self.inside)

    def edge_fading(self) -> float:
        """By which factor its memory of the start shrinks in a step."""
        return max(float(self.beta1), float(self.beta2))

    def _kept_update(self, circuit: Any, g: Any) -> dict[str, Any]:
        """The changes of all states."""
        changes, new = {}, {}
        for name, beta, fed in (("m", self.beta1, g), ("v", self.beta2, g.squared())):
            fade, old = fading(beta, self.eta), circuit.state(name)
            new[name] = circuit.times(old, fade) + circuit.times(fed, 1 - fade)
            changes[name] = circuit.times(old - fed, (fade - 1) / ETA)
            if self.bias_correction:
                time = circuit.state("t") + circuit.times(circuit.builder.fix(np.ones((1, 1))))
                past = circuit.function("exp", time * (sympy.log(beta) / self.eta))
                new[name] = new[name] / (1 - past)
        if self.bias_correction:
            changes["t"] = circuit.builder.fix(np.ones((1, 1)))
        return {"theta": -self._direction(circuit, new["m"], new["v"]), **changes}


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay: ``theta+ = (1 - eta weight_decay) theta - eta m/(sqrt(v) + epsilon)``.

    Parameters
    ----------
    beta1, beta2, epsilon, inside, bias_correction, memory, eta
        As for :class:`Adam`.
    weight_decay : int, Fraction, str or sympy.Expr
        At least 0. It is not that of a loss, which enters the gradient.

    Raises
    ------
    MethodError
        As for :class:`Adam`, or `weight_decay` is negative.

    Examples
    --------
    >>> AdamW(weight_decay="1/10").name
    'AdamW, beta1 = 9/10, beta2 = 999/1000, epsilon = 1/100000000, weight_decay = 1/10'

    References
    ----------
    I. Loshchilov, F. Hutter, *Decoupled Weight Decay Regularization*, ICLR 2019, arXiv:1711.05101.
    """

    weight_decay: Scalar = "1/100"

    def __post_init__(self) -> None:
        super().__post_init__()
        settle(self, weight_decay=not_negative)

    @property
    def name(self) -> str:
        """What the method is called."""
        return named(super().name.replace("Adam", "AdamW", 1), weight_decay=self.weight_decay)

    edge_response = None  # type: ignore[assignment]  # the weights enter the step beside the gradient

    def _direction(self, circuit: Any, m: Any, v: Any) -> Any:
        """That of Adam, and the weights themselves."""
        return super()._direction(circuit, m, v) + circuit.theta * self.weight_decay


@dataclass(frozen=True)
class RMSProp(Nonlinear):
    """RMSProp as `torch.optim.RMSprop` writes it: ``v+ = alpha v + (1 - alpha) g**2``, a step of ``g/(sqrt(v) + eps)``.

    Parameters
    ----------
    alpha : int, Fraction, str or sympy.Expr
        Weight of the past, from 0 to below 1.
    epsilon : int, Fraction, str or sympy.Expr
        At least 0.
    inside : bool
        Divide by ``sqrt(v + epsilon)`` instead.

    Raises
    ------
    MethodError
        A parameter is out of its range.

    Examples
    --------
    >>> RMSProp().name
    'RMSProp, alpha = 99/100, epsilon = 1/100000000'

    References
    ----------
    T. Tieleman, G. Hinton, *Lecture 6.5, rmsprop*, Coursera 2012.
    """

    alpha: Scalar = "99/100"
    epsilon: Scalar = "1/100000000"
    inside: bool = False

    def __post_init__(self) -> None:
        settle(self, alpha=decay, epsilon=not_negative, inside=checks.flag)

    @property
    def name(self) -> str:
        """What the method is called."""
        return named("RMSProp", alpha=self.alpha, epsilon=self.epsilon, inside=self.inside)

    def update(self, circuit: Any) -> Any:
        """Write the step."""
        g = circuit.gradient()
        return -g / root_of(circuit, circuit.average(g.squared(), self.alpha), self.epsilon, self.inside)

    def edge_response(self) -> tuple[list[Any], list[Any]]:
        """What it does to the gradient before it divides: nothing."""
        return [1], [1]

    def edge_scale(self, squares: np.ndarray) -> np.ndarray:
        """What it divides by where the squared gradients have this average."""
        return root_at(squares, self.epsilon, self.inside)

    def edge_fading(self) -> float:
        """By which factor its memory of the start shrinks in a step."""
        return float(self.alpha)


def root_at(v: np.ndarray, epsilon: Exact, inside: bool) -> np.ndarray:
    """`root_of` in numbers."""
    found: np.ndarray = np.sqrt(v + float(epsilon)) if inside else np.sqrt(v) + float(epsilon)
    return found


def root_of(circuit: Any, v: Any, epsilon: Exact, inside: bool) -> Any:
    """``sqrt(v) + epsilon``, or ``sqrt(v + epsilon)``."""
    if epsilon == 0:
        return circuit.root(v)
    return circuit.root(v + epsilon) if inside else circuit.root(v) + epsilon
