"""Linear methods: multistep, Runge-Kutta and everything between them; each is one line of exact numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import index
from typing import Any

import sympy

from eomsym import checks
from eomsym.errors import MethodError
from eomsym.exact.general_linear import GeneralLinear, MethodSeries, explicit_tableau
from eomsym.exact.numbers import Exact, Scalar, as_exact, as_matrix, as_vector
from eomsym.optimisers.base import Method
from eomsym.optimisers.parameters import named, warn_of_rate, warn_of_roots
from eomsym.optimisers.stability.report import Stability

__all__ = [
    "Epoch",
    "Extragradient",
    "GradientDescent",
    "GradientFlow",
    "LinearMultistep",
    "OptimisticGradient",
    "ProximalPoint",
    "RungeKutta",
    "SharpnessAware",
]


@dataclass(frozen=True)
class GradientFlow(Method):
    """Gradient flow itself, ``theta' = -g``: no step, hence no counter terms.

    Examples
    --------
    >>> GradientFlow().series(3).chi
    ((1, 0, 0),)
    """

    name = "gradient flow"
    is_flow = True

    def update(self, circuit: Any) -> Any:
        """Minus the gradient."""
        return -circuit.gradient()

    def general_linear(self) -> GeneralLinear:
        """Refuse: a flow has no discrete form."""
        raise MethodError("gradient flow has no discrete step; use GradientDescent() for one")

    def series(self, n: int) -> MethodSeries:
        """Return ``psi = chi = 1``."""
        n = checks.count(n, "n", 1)
        one = (sympy.S.One,) + (sympy.S.Zero,) * (n - 1)
        return MethodSeries((one,), ((sympy.S.Zero,),), (one,), (0,))

    def stability(self) -> Stability:
        """Report that a flow has no step: nothing limits it."""
        zeta = sympy.Dummy("zeta")
        return Stability(sympy.Poly(zeta - 1, zeta), {}, True, sympy.true, sympy.S.One)

    @property
    def colours(self) -> int:
        """Number of different fields: one."""
        return 1


@dataclass(frozen=True)
class GradientDescent(Method):
    """Gradient descent (explicit Euler): ``theta+ = theta - eta g(theta)``.

    Examples
    --------
    >>> GradientDescent().general_linear().explicit
    True
    """

    name = "gradient descent"

    def general_linear(self) -> GeneralLinear:
        """Return ``theta+ = theta + eta F(theta)``."""
        return GeneralLinear([1], [[1]], [[1]], [[0]])


@dataclass(frozen=True)
class ProximalPoint(Method):
    """Proximal point (implicit Euler): ``theta+ = theta - eta g(theta+)``.

    Examples
    --------
    >>> ProximalPoint().general_linear().explicit
    False
    """

    name = "proximal point"

    def general_linear(self) -> GeneralLinear:
        """Return ``theta+ = Y``, ``Y = theta + eta F(Y)``."""
        return GeneralLinear([1], [[1]], [[1]], [[1]])


@dataclass(frozen=True)
class OptimisticGradient(Method):
    """Optimistic gradient descent: ``theta+ = theta - 2 eta g(theta) + eta g(theta-)``.

    Examples
    --------
    >>> OptimisticGradient().series(2).chi
    ((1, 1/2),)

    References
    ----------
    C. Daskalakis et al., *Training GANs with Optimism*, ICLR 2018, arXiv:1711.00141.
    """

    name = "optimistic gradient descent"

    def general_linear(self) -> GeneralLinear:
        """Return the step, which remembers the last gradient."""
        return GeneralLinear([1, 0], [[2, -1]], [[1, 0]], [[0]])


@dataclass(frozen=True)
class LinearMultistep(Method):
    """Any linear multistep method ``rho(E) theta = eta sigma(E) F``, with ``E`` the shift by one step.

    Parameters
    ----------
    rho, sigma : sequences
        Coefficients of the two polynomials, highest power first, as in ``numpy.poly1d``. A `sigma` of the
        degree of `rho` makes the method implicit.

    Raises
    ------
    MethodError
        If ``rho(1) != 0``, ``rho'(1) = 0``, ``sigma(1) = 0``, or `sigma` has a higher degree than `rho`.

    Examples
    --------
    >>> from fractions import Fraction
    >>> adams_bashforth = LinearMultistep(rho=[1, -1, 0], sigma=[Fraction(3, 2), Fraction(-1, 2)])
    >>> adams_bashforth.series(3).chi
    ((1, 0, -5/12),)
    >>> LinearMultistep([1, -2], [1])
    Traceback (most recent call last):
    ...
    eomsym.errors.MethodError: the method is inconsistent: rho(1) = -1, expected 0 ...
    """

    rho: tuple[Exact, ...]
    sigma: tuple[Exact, ...]

    def __init__(self, rho: Any, sigma: Any) -> None:
        rho, sigma = as_vector(rho, "rho"), as_vector(sigma, "sigma")
        if len(rho) < 2 or rho[0] == 0:
            raise MethodError(f"rho is {list(rho)}; expected a degree of at least 1 and a first coefficient not 0")
        if len(sigma) > len(rho) or not sigma:
            raise MethodError(
                f"sigma has {len(sigma)} coefficients and rho {len(rho)}; expected 1 to {len(rho)} in sigma"
            )
        sigma = (sympy.S.Zero,) * (len(rho) - len(sigma)) + sigma
        object.__setattr__(self, "rho", tuple(x / rho[0] for x in rho))
        object.__setattr__(self, "sigma", tuple(x / rho[0] for x in sigma))
        form = self.general_linear()  # refuse an inconsistent method where it is written
        warn_of_roots("the multistep method", self.rho)
        warn_of_rate("the multistep method", form.rate)

    @property
    def name(self) -> str:
        """What the method is called."""
        return f"linear multistep, rho = {list(self.rho)}, sigma = {list(self.sigma)}"

    def general_linear(self) -> GeneralLinear:
        """Return the step; an implicit one has a stage for the new iterate and one for each old one."""
        past = [-x for x in self.rho[1:]]
        lags = len(past)
        new, *old = self.sigma
        if new == 0:
            return GeneralLinear(past, [old], [[1] + [0] * (lags - 1)], [[0]])
        unit = [[int(i == j) for j in range(lags)] for i in range(lags)]
        weights = [[x] + [0] * (lags - 1) for x in self.sigma]
        coupling = [list(self.sigma)] + [[0] * (lags + 1)] * lags
        return GeneralLinear(past, weights, [past, *unit], coupling)


@dataclass(frozen=True)
class RungeKutta(Method):
    """Any Runge-Kutta method, ``theta+ = theta + eta sum_i b_i F(Y_i)``.

    The stages are ``Y_i = theta + eta sum_j A_ij F(Y_j)``, with ``F = -g``.

    Parameters
    ----------
    A : sequence of sequences, shape (stages, stages)
        The tableau.
    b : sequence, shape (stages,)
        The weights.
    explicit : bool
        Whether to refuse an `A` that is not strictly lower triangular.
    label : str
        What to call the method; "Runge-Kutta, 2 stages" and so on by default.

    Examples
    --------
    >>> from fractions import Fraction
    >>> midpoint = RungeKutta([[0, 0], [Fraction(1, 2), 0]], [0, 1], explicit=True)
    >>> RungeKutta([[Fraction(1, 2)]], [1], explicit=True)
    Traceback (most recent call last):
    ...
    eomsym.errors.MethodError: A[0][0] = 1/2, so the tableau is implicit, but explicit=True was given; ...
    """

    A: tuple[tuple[Exact, ...], ...]
    b: tuple[Exact, ...]
    label: str = field(compare=False)

    def __init__(self, A: Any, b: Any, *, explicit: bool = False, label: str = "") -> None:
        object.__setattr__(self, "A", explicit_tableau(A) if checks.flag(explicit, "explicit") else as_matrix(A, "A"))
        object.__setattr__(self, "b", as_vector(b, "b"))
        object.__setattr__(self, "label", checks.text(label, "label") or f"Runge-Kutta, {len(self.b)} stages")
        form = self.general_linear()  # refuse a tableau that does not fit where it is written
        warn_of_rate(f"the method {self.label!r}", form.rate)

    @property
    def name(self) -> str:
        """What the method is called."""
        return self.label

    def general_linear(self) -> GeneralLinear:
        """Return the step."""
        return GeneralLinear([1], [[x] for x in self.b], [[1]] * len(self.b), self.A)


@dataclass(frozen=True)
class Extragradient(Method):
    """Extragradient: ``theta+ = theta - eta g(theta - eta g(theta))``.

    Examples
    --------
    >>> Extragradient().general_linear().coupling
    ((0, 0), (1, 0))

    References
    ----------
    G. M. Korpelevich, *Ekonomika i Matematicheskie Metody* 12, 1976, 747-756.
    """

    name = "extragradient"

    def general_linear(self) -> GeneralLinear:
        """Return the step with two stages."""
        return GeneralLinear([1], [[0], [1]], [[1], [1]], [[0, 0], [1, 0]])


@dataclass(frozen=True)
class SharpnessAware(Method):
    """Unnormalised sharpness-aware minimisation: ``theta+ = theta - eta g(theta + r eta g(theta))``.

    Parameters
    ----------
    r : int, Fraction or sympy.Expr
        Radius of the ascent step over the learning rate.

    Examples
    --------
    >>> import sympy
    >>> SharpnessAware(sympy.Symbol("r")).general_linear().coupling
    ((0, 0), (-r, 0))

    References
    ----------
    P. Foret et al., *Sharpness-Aware Minimization*, ICLR 2021, arXiv:2010.01412;
    M. Andriushchenko, N. Flammarion, ICML 2022, arXiv:2206.06232 (the unnormalised form).
    """

    r: Exact

    def __init__(self, r: Scalar) -> None:
        object.__setattr__(self, "r", as_exact(r, "r"))

    @property
    def name(self) -> str:
        """What the method is called."""
        return named("sharpness-aware", r=self.r)

    def general_linear(self) -> GeneralLinear:
        """Return the step with two stages."""
        return GeneralLinear([1], [[0], [1]], [[1], [1]], [[0, 0], [-self.r, 0]])


#: Colours of trees, which batches are, are kept in a byte.
MOST_BATCHES = 127


@dataclass(frozen=True)
class Epoch(Method):
    """One epoch of mini-batch gradient descent in a fixed order of the batches, seen as one step.

    The full gradient is the mean of the gradients of the batches, and the epoch is one step of size ``eta``:
    each batch moves by ``eta / batches`` along its own gradient. Trees get a colour at each node, the batch.

    Parameters
    ----------
    order : sequence of int, or int
        The order in which batches ``0, 1, ...`` are visited, or their number.

    Examples
    --------
    >>> Epoch(2).general_linear().coupling
    ((0, 0), (1/2, 0))

    References
    ----------
    S. L. Smith, B. Dherin, D. G. T. Barrett, S. De, *On the Origin of Implicit Regularization in Stochastic
    Gradient Descent*, ICLR 2021, arXiv:2101.12176.
    """

    order: tuple[int, ...]

    def __init__(self, order: Any) -> None:
        many = order if isinstance(order, int) and not isinstance(order, bool) else None
        try:
            batches = tuple(range(min(many, MOST_BATCHES + 1))) if many is not None else tuple(map(index, order))
        except TypeError:
            batches = ()
        if not batches or sorted(batches) != list(range(len(batches))):
            told = checks.shown(order)
            raise MethodError(f"order is {told}; expected a permutation of 0, 1, ..., or the number of batches")
        if len(batches) > MOST_BATCHES:
            raise MethodError(f"an epoch of more than {MOST_BATCHES} batches was asked for; use fewer, larger batches")
        object.__setattr__(self, "order", batches)

    @property
    def name(self) -> str:
        """What the method is called."""
        return f"epoch of batches {', '.join(map(str, self.order))}"

    def general_linear(self) -> GeneralLinear:
        """Return the epoch as a Runge-Kutta method with one field for each stage."""
        m = len(self.order)
        share = sympy.Rational(1, m)
        coupling = [[share * int(j < i) for j in range(m)] for i in range(m)]
        return GeneralLinear([1], [[share]] * m, [[1]] * m, coupling, self.order)
