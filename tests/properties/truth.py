"""The truth, without the package: rooted trees in fractions, polynomials of python-flint, Taylor series of 80 digits.

A method is a general linear method: stages ``Y_i = psi_i(z) y + eta sum_j a_ij F(Y_j)`` and
``y' = sum_i chi_i(z) F(Y_i)`` with ``z = eta d/dt``. The coefficient of a rooted tree is found by the recursion for the
polynomials ``P_t`` of the step number (Murua 2006, doi:10.1007/s10208-003-0111-0), the elementary differentials by
differentiating polynomials, and the
modified flow by its Taylor series in arb. Nothing here imports the package.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint
import numpy as np
from properties.polynomials import CrossEntropy, Horner, Polynomial

__all__ = [
    "METHODS",
    "GeneralLinear",
    "Truth",
    "coefficient",
    "differential",
    "symmetry",
    "trees",
]

BITS = 300
#: Terms of a Taylor series, and how small its last ones are to be against the state.
DEGREE, SMALL = 28, 1e-34
Tree = tuple[Any, ...]
Series = list[Fraction]

# trees ----------------------------------------------------------------------------------------------------------------


@functools.cache
def trees(nodes: int) -> tuple[Tree, ...]:
    """All rooted trees of so many nodes, as sorted tuples of subtrees."""

    def forests(left: int, largest: Tree | None) -> list[Tree]:
        if left == 0:
            return [()]
        found = []
        for size in range(1, left + 1):
            for first in trees(size):
                if largest is None or (size, first) <= largest:
                    found += [(first, *rest) for rest in forests(left - size, (size, first))]
        return found

    return tuple(forests(nodes - 1, None)) if nodes > 1 else ((),)


def size(tree: Tree) -> int:
    return 1 + sum(map(size, tree))


def symmetry(tree: Tree) -> int:
    alike = [len(list(same)) for _, same in itertools.groupby(sorted(tree, key=repr))]
    return math.prod(map(math.factorial, alike)) * math.prod(map(symmetry, tree))


# methods --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GeneralLinear:
    """Taylor coefficients of ``chi_i`` and ``psi_i`` in z, and the numbers ``a_ij``."""

    name: str
    chi: tuple[tuple[Fraction, ...], ...]
    psi: tuple[tuple[Fraction, ...], ...] = ((Fraction(1),),)
    a: tuple[tuple[Fraction, ...], ...] = ((Fraction(0),),)


TERMS = 8


def _exp(factor: int) -> Series:
    return [Fraction(factor**k, math.factorial(k)) for k in range(TERMS + 1)]


def _times(a: Sequence[Fraction], b: Sequence[Fraction]) -> Series:
    return [sum((a[i] * b[k - i] for i in range(k + 1)), Fraction(0)) for k in range(min(len(a), len(b)))]


def _over(a: Sequence[Fraction], b: Sequence[Fraction]) -> Series:
    out: Series = []
    for k in range(min(len(a), len(b))):
        out.append((a[k] - sum((out[i] * b[k - i] for i in range(k)), Fraction(0))) / b[0])
    return out


def _combined(*weighted: tuple[Fraction | int, Series]) -> Series:
    return [sum((Fraction(w) * s[k] for w, s in weighted), Fraction(0)) for k in range(TERMS + 1)]


ONE, UP, DOWN = [Fraction(k == 0) for k in range(TERMS + 1)], _exp(1), _exp(-1)


def _state(increment: Series) -> Series:
    """``z/increment``: the increment has a zero at 0."""
    return _over(ONE[:-1], increment[1:])


EULER = _state(_combined((1, UP), (-1, ONE)))


def heavy_ball(beta: Fraction) -> GeneralLinear:
    return GeneralLinear(f"heavy ball {beta}", (tuple(_state(_momentum(beta))),))


def nesterov(beta: Fraction) -> GeneralLinear:
    ahead = _combined((1 + beta, ONE), (-beta, DOWN))
    return GeneralLinear(f"Nesterov {beta}", (tuple(_state(_momentum(beta))),), (tuple(ahead),))


def _momentum(beta: Fraction) -> Series:
    return _combined((1, UP), (-1, ONE), (-beta, ONE), (beta, DOWN))


def runge_kutta(name: str, a: Sequence[Sequence[Any]], b: Sequence[Any]) -> GeneralLinear:
    chi = tuple(tuple(Fraction(weight) * c for c in EULER) for weight in b)
    table = tuple(tuple(Fraction(entry) for entry in row) for row in a)
    return GeneralLinear(name, chi, tuple((Fraction(1),) for _ in b), table)


GRADIENT_DESCENT = GeneralLinear("gradient descent", (tuple(EULER),))
#: By the name of the class in the package and its parameter.
METHODS: dict[str, Callable[[Fraction], GeneralLinear]] = {
    "GradientDescent": lambda _: GRADIENT_DESCENT,
    "HeavyBall": heavy_ball,
    "Nesterov": nesterov,
    "ProximalPoint": lambda _: GeneralLinear("proximal point", (tuple(_state(_combined((1, ONE), (-1, DOWN)))),)),
    "OptimisticGradient": lambda _: GeneralLinear(
        "optimistic", (tuple(_times(_combined((2, ONE), (-1, DOWN)), [*EULER, Fraction(0)])[:-1]),)
    ),
    "Extragradient": lambda _: runge_kutta("extragradient", [[0, 0], [1, 0]], [0, 1]),
    "SharpnessAware": lambda r: runge_kutta(f"SAM {r}", [[0, 0], [-r, 0]], [0, 1]),
}


@functools.cache
def coefficient(tree: Tree, method: GeneralLinear) -> Fraction:
    """``alpha(t)``, so that the modified field is the sum of ``eta**(|t|-1) alpha(t)/symmetry(t) F(t)``."""
    return _polynomials(tree, method)[0][1]


@functools.cache
def _polynomials(tree: Tree, method: GeneralLinear) -> tuple[Series, list[Series]]:
    """``P_t`` and the ``P_t`` of the stages, as coefficients in the step number."""
    stages = len(method.chi)
    inner = []  # Q of each stage: the product over the branches
    for i in range(stages):
        product: Series = [Fraction(1)]
        for branch in tree:
            product = _product(product, _polynomials(branch, method)[1][i])
        inner.append(product)
    slope = _sum(*(_filtered(method.chi[i], inner[i]) for i in range(stages)))
    outer = [Fraction(0), *(c / (k + 1) for k, c in enumerate(slope))]
    outer += [Fraction(0)] * (2 - len(outer))
    ahead = [
        _sum(_filtered(method.psi[i], outer), *([method.a[i][j] * c for c in inner[j]] for j in range(stages)))
        for i in range(stages)
    ]
    return outer, ahead


def _filtered(series: Sequence[Fraction], polynomial: Series) -> Series:
    """``series(d) polynomial``."""
    total, derivative = [Fraction(0)] * len(polynomial), list(polynomial)
    for weight in series:
        for k, c in enumerate(derivative):
            total[k] += weight * c
        derivative = [k * c for k, c in enumerate(derivative)][1:]
    return total  # the series has more terms than a polynomial of up to six nodes has derivatives


def _product(a: Series, b: Series) -> Series:
    out = [Fraction(0)] * (len(a) + len(b) - 1)
    for (i, x), (j, y) in itertools.product(enumerate(a), enumerate(b)):
        out[i + j] += x * y
    return out


def _sum(*series: Series) -> Series:
    return [sum(column, Fraction(0)) for column in itertools.zip_longest(*series, fillvalue=Fraction(0))]


# elementary differentials ---------------------------------------------------------------------------------------------


def differential(tree: Tree, loss: Polynomial | CrossEntropy) -> list[Any]:
    """The elementary differential ``F(t)`` of ``F = -g``: polynomials, shape (n,)."""
    below = [differential(branch, loss) for branch in tree]
    return [_along(component, below, loss) for component in loss.velocity]


def _along(part: Any, vectors: list[list[Any]], loss: Polynomial | CrossEntropy) -> Any:
    """A derivative along so many vectors, which are not differentiated."""
    if not vectors:
        return part
    total = part * 0
    for axis, entry in enumerate(vectors[0]):
        slope = loss.derivative(part, axis)
        if slope != 0 and entry != 0:
            total = total + entry * _along(slope, vectors[1:], loss)
    return total


def weighted(tree: Tree, loss: Polynomial | CrossEntropy, method: GeneralLinear) -> list[Any]:
    """The part of one tree in the modified field, without its power of eta."""
    weight = coefficient(tree, method) / symmetry(tree)
    return [flint.fmpq(weight.numerator, weight.denominator) * part for part in differential(tree, loss)]


# the motion -----------------------------------------------------------------------------------------------------------


class Truth:
    """Exact gradient descent and the exact equation of motion of an order, to 30 digits and more.

    Parameters
    ----------
    loss : Polynomial or CrossEntropy
    order : int
    eta : float
    method : GeneralLinear
    """

    def __init__(
        self, loss: Polynomial | CrossEntropy, order: int, eta: float, method: GeneralLinear = GRADIENT_DESCENT
    ) -> None:
        self.loss, self.eta = loss, Fraction(eta)
        total = [part * 0 for part in loss.velocity]
        for nodes in range(1, order + 2):
            power = self.eta ** (nodes - 1)
            factor = flint.fmpq(power.numerator, power.denominator)
            for tree in trees(nodes):
                total = [t + factor * p for t, p in zip(total, weighted(tree, loss, method), strict=True)]
        flint.ctx.prec = BITS
        self.field = [Horner(part) for part in total]
        self.gradient = [Horner(part) for part in loss.velocity]

    def flow(self, start: Sequence[float], time: float | Fraction) -> np.ndarray:
        """The equation of motion at a time, shape (n,), of arb."""
        flint.ctx.prec = BITS
        state = [flint.arb(flint.fmpq(*Fraction(x).as_integer_ratio())) for x in start]
        return np.array(self._advance(state, Fraction(time)))

    def _advance(self, state: list[Any], time: Fraction) -> list[Any]:
        left = flint.arb(flint.fmpq(*time.as_integer_ratio()))
        for _ in range(10_000):
            series = self._series(state)
            # By logarithms: coefficients of fast motions overflow in doubles.
            size = max((_log(x) for x in state), default=-math.inf)
            last = max(_log(row[k]) for row in series for k in (DEGREE - 1, DEGREE))
            step = math.exp(min((math.log(SMALL) + size - last) / DEGREE, 700.0)) if last > -math.inf else math.inf
            if not step > 0:
                raise ArithmeticError("the motion runs away")
            h = flint.arb(step) if step < float(left) else left
            state = [_horner(row, h).mid() for row in series]
            left = left - h
            if h is left or float(left) <= 0:
                return state
        raise ArithmeticError("the motion needs too many steps")

    def _at(self, field: Sequence[Horner], point: Sequence[Any]) -> list[Any]:
        """A field at numbers or series."""
        lifted = self.loss.lifted(point)
        powers = [[point[0] * 0 + 1] for _ in lifted]
        return [part.at(lifted, powers) for part in field]

    def _series(self, state: list[Any]) -> list[list[Any]]:
        """Taylor coefficients of the motion from a state, by Picard's iteration, one coefficient at a time."""
        rows = [[x] for x in state]
        for k in range(DEGREE):
            flint.ctx.cap = k + 1
            velocity = self._at(self.field, [flint.arb_series(row, k + 1) for row in rows])
            for part, row in zip(velocity, rows, strict=True):
                row.append(part[k] / (k + 1))
        return rows

    def descent(self, start: Sequence[float], steps: int) -> np.ndarray:
        """Iterates of exact gradient descent, shape (steps+1, n), of arb."""
        flint.ctx.prec = BITS
        eta = flint.arb(flint.fmpq(*self.eta.as_integer_ratio()))
        state = [flint.arb(flint.fmpq(*Fraction(x).as_integer_ratio())) for x in start]
        path = [state]
        for _ in range(steps):
            state = [(x + eta * part).mid() for x, part in zip(state, self._at(self.gradient, state), strict=True)]
            path.append(state)
        return np.array(path)

    def distances(self, start: Sequence[float], steps: int) -> np.ndarray:
        """Distances of gradient descent from the motion at the times ``0, eta, …``, in doubles, shape (steps+1,)."""
        path, state = self.descent(start, steps), list(self.descent(start, 0)[0])
        found = [0.0]
        for k in range(steps):
            state = self._advance(state, self.eta)
            gaps = [a - b for a, b in zip(state, path[k + 1], strict=True)]
            found.append(float(sum((gap * gap for gap in gaps), flint.arb(0)).sqrt()))
        return np.array(found)


def _log(number: Any) -> float:
    """Natural logarithm of the magnitude; minus infinity of zero."""
    return float(abs(number).mid().log()) if number.mid() != 0 else -math.inf


def _horner(row: Sequence[Any], h: Any) -> Any:
    total = row[-1]
    for c in row[-2::-1]:
        total = total * h + c
    return total
