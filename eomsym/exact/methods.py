"""The optimisers, as frozen objects; a new one costs a few lines.

Every method has a name, a :meth:`~Method.general_linear` form (one discrete step) and a
:meth:`~Method.series` (what the step means for the modified flow). Parameters are exact: ``int``,
``Fraction``, or sympy expressions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import sympy

from eomsym.errors import InputError, MethodError
from eomsym.exact.general_linear import GeneralLinear, MethodSeries, Stability, explicit_tableau
from eomsym.exact.numbers import ETA, Exact, Scalar, as_exact, as_matrix, as_vector

__all__ = [
    "Epoch",
    "Extragradient",
    "GeneralLinear",
    "GradientDescent",
    "GradientFlow",
    "HeavyBall",
    "LinearMultistep",
    "Method",
    "MethodSeries",
    "Nesterov",
    "OptimisticGradient",
    "ProximalPoint",
    "RungeKutta",
    "SharpnessAware",
    "Stability",
]


class Method:
    """Base of all methods: give :attr:`name` and :meth:`general_linear`, or :meth:`update`; the rest follows.

    Examples
    --------
    >>> GradientDescent().series(3).chi
    ((1, -1/2, 1/12),)
    """

    @property
    def name(self) -> str:
        """What the method is called in tables and formulas."""
        raise NotImplementedError

    def general_linear(self) -> GeneralLinear:
        """Return one discrete step of the method."""
        raise NotImplementedError

    def series(self, n: int) -> MethodSeries:
        """Return the first `n` Taylor coefficients of ``psi`` and ``chi`` (see :class:`GeneralLinear`)."""
        if n < 1:
            raise InputError(f"{n} coefficients were asked for; at least 1 is needed")
        return self.general_linear().series(n)

    #: Whether rooted trees have coefficients for it: its step is linear in gradients.
    is_linear = True
    #: Whether it is a flow, which has no step.
    is_flow = False

    @property
    def symbols(self) -> tuple[str, ...]:
        """Names of the symbols that its parameters hold; a method that runs has none."""
        found: set[str] = set()
        stack: list[Any] = list(vars(self).values())
        while stack:
            value = stack.pop()
            if isinstance(value, (tuple, list)):
                stack.extend(value)
            else:
                found |= {str(s) for s in getattr(value, "free_symbols", ())}
        return tuple(sorted(found))

    def kept(self, size: int) -> dict[str, int]:
        """Memories that are states of their own, by name, and how many numbers each has; none by default."""
        return {}

    def update(self, circuit: Any) -> Any:
        """Write the change ``u`` of a step ``theta+ = theta + eta u`` with the elements of a circuit.

        Parameters
        ----------
        circuit : Circuit
            Its parameters are ``circuit.theta``; see :class:`eomsym.taylor.circuit.Circuit` for its elements.

        Returns
        -------
        Value, or dict of str to Value
            The change of the parameters, or those of all states by name.
        """
        form = self.general_linear()
        fields: list[Any] = []
        loops = [circuit.feedback() for _ in range(form.stages)] if not form.explicit else []
        for i, row in enumerate(form.coupling):
            point = circuit.filter(circuit.theta, form.extrapolation[i])
            for j, a in enumerate(row):
                if a != 0:
                    point = point + (circuit.times(fields[j]) if j < i else loops[j][0]) * a
            fields.append(-circuit.gradient(point, form.colours[i]))
        for (_, close), value in zip(loops, fields, strict=False):
            close(value)
        # (E - sum past E^-l) theta = (E - 1) q(E^-1) theta, with the partial sums of 1 - past as coefficients of q
        below, rest = [], sympy.S.One
        for x in form.past:
            below.append(sympy.expand(rest))
            rest = rest - x
        total = None
        for value, row in zip(fields, form.weights, strict=True):
            if any(x != 0 for x in row):
                part = circuit.filter(value, row) if any(x != 0 for x in row[1:]) else value * row[0]
                total = part if total is None else total + part
        return circuit.filter(total, [1], below)

    def stability(self) -> Stability:
        """Report zero-stability, parasitic roots, effective learning rate, radius of the series and stability limit."""
        return self.general_linear().stability()

    @property
    def colours(self) -> int:
        """Number of different fields that one step evaluates."""
        return max(self.general_linear().colours) + 1 if self.is_linear else 1


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
        if n < 1:
            raise InputError(f"{n} coefficients were asked for; at least 1 is needed")
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
class _Accelerated(Method):
    """What heavy ball and Nesterov share: a momentum that is eliminated, or kept as the state ``p``."""

    beta: Exact
    memory: str = "eliminated"
    eta: Exact | None = None

    _title = ""

    def __init__(self, beta: Scalar, memory: str = "eliminated", eta: Scalar = None) -> None:
        object.__setattr__(self, "beta", _momentum(beta))
        object.__setattr__(self, "memory", memory)
        object.__setattr__(self, "eta", learning_rate(memory, eta, beta=self.beta))

    @property
    def name(self) -> str:
        """What the method is called."""
        return _named(self._title, "beta", self.beta) + told_of_memory(self.memory, self.eta)

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
        self.general_linear()  # refuse an inconsistent method where it is written

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
        object.__setattr__(self, "A", explicit_tableau(A) if explicit else as_matrix(A, "A"))
        object.__setattr__(self, "b", as_vector(b, "b"))
        object.__setattr__(self, "label", label or f"Runge-Kutta, {len(self.b)} stages")
        self.general_linear()  # refuse a tableau that does not fit where it is written

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
        return _named("sharpness-aware", "r", self.r)

    def general_linear(self) -> GeneralLinear:
        """Return the step with two stages."""
        return GeneralLinear([1], [[0], [1]], [[1], [1]], [[0, 0], [-self.r, 0]])


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
        batches = tuple(range(order)) if isinstance(order, int) else tuple(order)
        if not batches or sorted(batches) != list(range(len(batches))):
            raise MethodError(f"order is {order!r}; expected a permutation of 0, 1, ..., or the number of batches")
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


def _named(method: str, parameter: str, value: Exact) -> str:
    return method if str(value) == parameter else f"{method}, {parameter} = {value}"


def _momentum(beta: Scalar) -> Exact:
    exact = as_exact(beta, "beta")
    if exact == 1:
        raise MethodError("beta = 1 keeps all momentum for ever and has no modified equation; use beta < 1")
    return exact


# memories that are kept ---------------------------------------------------------------------------------------------


def fading(beta: Exact, step: Exact) -> Exact:
    """``exp(-c eta)`` as a function of the step, with the rate ``c = -log(beta)/step`` that makes it `beta` there."""
    return sympy.exp(ETA * sympy.log(beta) / step)


def learning_rate(memory: str, eta: Scalar, **betas: Exact) -> Exact | None:
    """The exact learning rate that belongs to a kept memory, None where the memory is eliminated; MethodError."""
    if memory not in ("eliminated", "kept"):
        raise MethodError(f"unknown memory {memory!r}; choose 'eliminated' or 'kept'")
    if memory == "eliminated":
        if eta is not None:
            raise MethodError(f"eta = {eta} belongs to a memory that is kept; leave it out, or add memory='kept'")
        return None
    if eta is None:
        raise MethodError("a kept memory fades at a rate that needs the learning rate; add for instance eta='1/100'")
    exact = as_exact(eta, "eta")
    if not (exact.is_number and exact > 0):
        raise MethodError(f"eta = {exact}; a kept memory needs a number > 0, for instance eta='1/100'")
    for name, beta in betas.items():
        if not (beta.is_number and 0 < beta < 1):
            raise MethodError(f"{name} = {beta}; a kept memory needs a number between 0 and 1, such as {name}='9/10'")
    return exact


def kept_step(method: Any) -> Exact:
    """Root of the learning rate, the step of a momentum that is kept."""
    if method.eta is None:
        raise MethodError(f"{method.name} has eliminated its memory and takes any eta; a step needs memory='kept'")
    return sympy.sqrt(method.eta)


def told_of_memory(memory: str, eta: Exact | None) -> str:
    """What a name says about a kept memory."""
    return "" if memory == "eliminated" else f", memory kept at eta = {eta}"


def no_trees(method: Method) -> MethodError:
    """The error of a method without rooted trees."""
    return MethodError(
        f"{method.name} has no coefficients on rooted trees, since its step is not a linear method in the gradient; "
        "use eomsym.compile(loss, order, method) for numbers, or eomsym.modified_field for formulas"
    )


def _rolled(circuit: Any, method: Any, point: Any) -> dict[str, Any]:
    """The step of a kept momentum whose gradient is taken at `point`."""
    momentum, g = circuit.state("p"), circuit.gradient(point)
    fade = fading(method.beta, method.step)
    return {
        "theta": circuit.times(momentum, fade) - circuit.times(g),
        "p": circuit.times(momentum, (fade - 1) / ETA) - g,
    }
