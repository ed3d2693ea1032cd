"""The circuit in two channels, with its fast directions slaved: the reading that holds at the edge of stability.

Write every iterate as ``theta_k = a + (-1)**k d`` with smooth a and d. Then every wire of a circuit carries two smooth
channels, a mean and an alternating one, and the step ``theta+ = theta + eta u`` is exactly

    (E - 1) a = eta (mean of u),        (-E - 1) d = eta (alternating part of u).

An array operation f acts on ``a + d`` and on ``a - d`` (two branches, half of whose sum and difference are the
channels), and a filter ``H(E^-1)`` acts as ``H(E^-1)`` on the mean and as ``H(-E^-1)`` on the alternating channel.

In fast directions, the columns of U, with curvatures Lambda, neither channel is a state: on a quadratic the method
answers with ``u = -G(E^-1) Lambda c``, and with the rest ``r = W'(mean of u) + G Lambda c``, W'U = 1,

    c = eta (E - 1 + eta Lambda G(E^-1))^-1 r,

a filter whose series is real and converges where that of the eliminated motion does not; likewise for d with
``(E + 1 - eta Lambda G(-E^-1))^-1``. Only in critical directions, where this has a pole at ``E = 1``, the amplitude x
of the alternating channel is a state: ``x' = z/(e^z + 1 - q G(-e^-z)) [-(alternating u) - G(-E^-1)(q/eta) x]``,
``z = eta d/dt``, with the critical number ``q = 2/G(-1)`` (2 for gradient descent).

U, W and Lambda are data: a new frame compiles nothing. ``eta Lambda`` counts as a number of order one.

References
----------
J. M. Cohen et al., Gradient Descent on Neural Networks Typically Occurs at the Edge of Stability, ICLR 2021,
arXiv:2103.00065; A. Damian, E. Nichani, J. D. Lee, Self-Stabilization, ICLR 2023, arXiv:2209.15594 (the motion to
leading order). The series to every order is derived in ``derivations/edge_of_stability.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import sympy

from eomsym.errors import MethodError
from eomsym.exact.numbers import ETA
from eomsym.losses.builder import Builder, Value
from eomsym.losses.program import Node, Program, exact
from eomsym.optimisers.filters import Filter
from eomsym.taylor.circuit import Circuit

__all__ = ["Channels", "Frame", "critical_number", "response"]

_STEP = Filter([1], [1], step=True)
_BACKWARD = Filter([1, -1])  # 1 - E^-1
_HALF_SUM = Filter([0, 1], [1, 1])  # 1/(1 + E)


@dataclass(frozen=True, eq=False)
class Frame:
    """Fast directions that stay fixed for a stretch of the motion.

    Attributes
    ----------
    right, left : ndarray, shape (n, m)
        Columns U and W with ``W'U = 1``; the same for a symmetric Hessian.
    curvatures : ndarray, shape (m,)
        Eigenvalues Lambda, the critical ones first.
    critical : int
        How many directions carry an amplitude.
    eta : float
    """

    right: np.ndarray
    left: np.ndarray
    curvatures: np.ndarray
    critical: int
    eta: Any

    @property
    def fast(self) -> int:
        """Number m of fast directions."""
        return int(self.right.shape[1])


@lru_cache(maxsize=64)
def response(method: Any) -> Filter:
    """The filter G with which a method answers a quadratic: ``u = -G(E^-1) Lambda theta``.

    For an optimiser that divides by a root of squared gradients, Lambda is the preconditioned Hessian, and G what it
    does to the gradient.

    Raises
    ------
    MethodError
        The answer depends on ``eta Lambda`` otherwise (stages), or is not known.

    Examples
    --------
    >>> from eomsym.optimisers.accelerated import HeavyBall
    >>> from eomsym.optimisers.linear import GradientDescent
    >>> response(GradientDescent()).above, response(HeavyBall("1/2")).below
    ((1,), (1, -1/2))
    """
    if method.kept(1):
        raise MethodError(f"{method.name} keeps its memory as a state; at the edge eliminate it")
    given = getattr(method, "edge_response", None)
    if given is not None:
        return Filter(*given())
    if method.is_flow or not method.is_linear or method.colours > 1:
        raise MethodError(f"{method.name} has no known answer to a quadratic; at the edge use for instance HeavyBall")
    form = method.general_linear()
    if form.stages != 1 or any(x != 0 for row in form.coupling for x in row):
        raise MethodError(f"{method.name} has stages, and its edge is not at -1 alone; use a method with one gradient")
    past, weights, point = (_polynomial(row) for row in (form.past, form.weights[0], form.extrapolation[0]))
    return _filter(weights * point * (1 - _SHIFT), 1 - _SHIFT * past)


#: Stands for ``E^-1``.
_SHIFT = sympy.Dummy("shift")


def _polynomial(row: Sequence[Any], sign: int = 1) -> Any:
    """``sum_l row[l] (sign E^-1)**l``."""
    return sum((c * (sign * _SHIFT) ** k for k, c in enumerate(row)), sympy.S.Zero)


def _filter(above: Any, below: Any, step: bool = False) -> Filter:
    """The filter of a quotient of polynomials in ``E^-1``, without common factors."""
    parts = sympy.fraction(sympy.cancel(above / below))
    top, bottom = (sympy.Poly(part, _SHIFT).all_coeffs()[::-1] for part in parts)
    return Filter(top, bottom, step=step)


def _alternated(chosen: Filter) -> Filter:
    """``H(-E^-1)``: what a filter does to the alternating channel."""
    above, below = ([c * (-1) ** k for k, c in enumerate(row)] for row in (chosen.above, chosen.below))
    return Filter(above, below)


def critical_number(method: Any) -> Any:
    """The product ``eta lambda`` at which a root of the method leaves the unit circle through -1.

    Examples
    --------
    >>> from eomsym.optimisers.accelerated import HeavyBall, Nesterov
    >>> critical_number(HeavyBall("9/10")), critical_number(Nesterov("9/10"))
    (19/5, 19/14)
    """
    return 2 / _alternated(response(method)).gain


@lru_cache(maxsize=64)
def _swing(method: Any) -> Filter:
    """``z/(1 + E - q G(-E^-1))``, without the pole at ``E = 1``: the filter behind an amplitude."""
    answer = _alternated(response(method))
    above, below = _polynomial(answer.above), _polynomial(answer.below)
    return _filter((1 - _SHIFT) * below, (1 + _SHIFT) * below - critical_number(method) * _SHIFT * above, step=True)


def _lanes(frame: Frame, answer: Filter, count: int, alternating: bool) -> list[np.ndarray]:
    """Taylor coefficients in ``w = 1 - E^-1`` of the filters of fast directions, one lane each.

    With ``E - 1 = w/(1 - w)`` they are ``(1-w) below/(w below + q (1-w) above)`` for the mean, and
    ``(1-w) below/((2-w) below - q (1-w) above)`` for the alternating channel, G = above/below at ``E^-1 = 1 - w``.
    """
    chosen = _alternated(answer) if alternating else answer
    kind = frame.curvatures.dtype
    number = float if kind == np.float64 else exact
    above, below = (_in_w([number(c) for c in row], count) for row in (chosen.above, chosen.below))
    first, sign = ([2, -1], -1) if alternating else ([0, 1], 1)
    columns = []
    for curvature in frame.curvatures[frame.critical if alternating else 0 :]:
        q = frame.eta * curvature
        top = _product([1, -1], below, count)
        parts = zip(_product(first, below, count), _product([1, -1], above, count), strict=True)
        columns.append(_quotient(top, [x + sign * q * y for x, y in parts]))
    return [np.array([column[k] for column in columns], dtype=kind) for k in range(count)]


def _in_w(row: Sequence[Any], count: int) -> list[Any]:
    """The first coefficients of ``sum_l row[l] (1 - w)**l``."""
    found = [0 * row[0]] * count
    for c in reversed(row):
        found = _product([1, -1], found, count)
        found[0] += c
    return found


def _product(a: Sequence[Any], b: Sequence[Any], count: int) -> list[Any]:
    return [sum(a[i] * b[k - i] for i in range(min(k + 1, len(a)))) for k in range(count)]


def _quotient(above: Sequence[Any], below: Sequence[Any]) -> list[Any]:
    found: list[Any] = []
    for k, top in enumerate(above):
        found.append((top - sum(found[i] * below[k - i] for i in range(k))) / below[0])
    return found


class Channels:
    """The programs of a circuit in two channels.

    Their parameters are ``(slow, x, base)``: the slow part of the mean, shape (n,), the amplitudes, one for each
    critical direction, and constant coordinates of the mean in the fast directions, shape (m,), to expand around.

    Parameters
    ----------
    circuit : Circuit
        Of a method without memories that are kept as states.
    frame : Frame
    order : int
        To which the filters of the fast directions are expanded.

    Raises
    ------
    MethodError
        The answer of the method to a quadratic is not known.
    """

    def __init__(self, circuit: Circuit, frame: Frame, order: int) -> None:
        self.circuit, self.frame = circuit, frame
        self.method, self.answer = circuit.method, response(circuit.method)
        self.size, self.fast, self.critical = circuit.losses[0].size, frame.fast, frame.critical
        self.builder = builder = Builder(self.size + self.critical + self.fast)
        self._count = max(order, 1)
        self._closings: list[Callable[[Value], None]] = []
        self.slow = builder.part(0, (self.size, 1))
        mean, offsets = self.slow, None
        self.rest: Value | None = None
        if self.fast:
            base = builder.part(self.size + self.critical, (self.fast, 1))
            self.rest, close = self._later(self.fast)
            mean = mean + builder.matmul(frame.right, base + self.rest)
        if self.critical:
            self.swing = builder.part(self.size, (self.critical, 1))
            offsets = self._offsets()
        self.offsets = offsets
        change, turned = self._branches(mean, offsets)
        self.change = self._without_fast(change)
        if self.rest is not None:
            self.force = builder.matmul(frame.left.T.copy(), change)
            close(self._lanewise(self.force + self._answered(self.rest, 0, False), False))
        if turned is not None:
            self._close_offsets(turned)

    # the programs -------------------------------------------------------------------------------------------------

    def motion(self) -> Program:
        """Minus the velocity of ``(slow, x, base)``."""
        return self.builder.finish([self._velocity()])

    def whole(self) -> Program:
        """The same, and behind it: fast coordinates of the mean, the alternating channel, and the fast mean change."""
        pieces = [self.rest, self.offsets, self.force] if self.fast else []
        kept = [piece for piece in pieces if piece is not None] or [self.slow]
        starts = np.cumsum([0, *(piece.shape[0] for piece in kept)]).tolist()
        joined = self.builder.join(list(zip(starts, kept, strict=False)), starts[-1])
        return self.builder.finish([self._velocity(), joined])

    def _velocity(self) -> Value:
        pieces = [(0, -self._filtered(self.change, _STEP))]
        if self.critical:
            pieces.append((self.size, -self._filtered(self.drive, _swing(self.method))))
        return self.builder.join(pieces, self.builder.theta.shape[0])

    # the channels -------------------------------------------------------------------------------------------------

    def _offsets(self) -> Value:
        """The alternating channel: amplitudes, slaved fast directions, and all the others."""
        self.across, close = self._later(self.size)
        total = self.builder.matmul(self._right(0, self.critical), self.swing) + self.across
        self._closings.append(close)
        if self.critical < self.fast:
            self.beside, close = self._later(self.fast - self.critical)
            total = total + self.builder.matmul(self._right(self.critical, self.fast), self.beside)
            self._closings.append(close)
        return total

    def _close_offsets(self, turned: Value) -> None:
        """Write what the alternating change feeds."""
        c = self.critical
        self._closings[0](self._filtered(self._without_fast(-turned), _HALF_SUM))
        pulled = self.builder.matmul(self.frame.left.T.copy(), -turned)
        part = self.builder.apply("part", [pulled], (c, 1), (0,))
        limit = exact(critical_number(self.method)) / exact(self.frame.eta)
        self.drive = part - self._filtered(self.swing, _alternated(self.answer)) * limit
        if c < self.fast:
            part = self.builder.apply("part", [pulled], (self.fast - c, 1), (c,))
            self._closings[1](self._lanewise(part - self._answered(self.beside, c, True), True))

    def _branches(self, mean: Value, offsets: Value | None) -> tuple[Value, Value | None]:
        """Mean and alternating channel of the change of a step: the circuit on ``a + d`` and on ``a - d``."""
        program = self.circuit.change()
        constants = [self.builder.constant(array) for array in program.constants]
        first = (mean,) if offsets is None else (mean + offsets, mean - offsets)
        wires: list[tuple[Value, ...]] = [first]
        open_ends: list[tuple[tuple[Value, ...], int]] = []
        for place, node in enumerate(program.nodes[1:], 1):
            if node.operation == "filter":
                wires.append(self._filtered_wire(wires[node.inputs[0]], node.parameters[0]))
                continue
            if any(i >= place for i in node.inputs):  # an implicit step
                found = tuple(self._open(node.shape, node.parameters) for _ in first)
                open_ends.append((found, node.inputs[0]))
                wires.append(found)
                continue
            parameters = node.parameters
            if node.operation in {"constant", "shift", "weigh", "matmul_left", "matmul_right"}:
                parameters = (constants[parameters[0]],)
            inputs = [[wires[i][branch] for i in node.inputs] for branch in range(len(first))]
            wires.append(tuple(self.builder.apply(node.operation, x, node.shape, parameters) for x in inputs))
        for found, source in open_ends:
            for value, target in zip(found, wires[source], strict=True):
                self._close(value, target)
        out = wires[program.outputs[0]]
        return (out[0], None) if len(out) == 1 else _halves(*out)

    def _filtered_wire(self, wire: tuple[Value, ...], chosen: Filter) -> tuple[Value, ...]:
        if len(wire) == 1:
            return (self._filtered(wire[0], chosen),)
        mean, turned = _halves(*wire)
        mean, turned = self._filtered(mean, chosen), self._filtered(turned, _alternated(chosen))
        return mean + turned, mean - turned

    # helpers ------------------------------------------------------------------------------------------------------

    def _right(self, first: int, last: int) -> np.ndarray:
        return np.ascontiguousarray(self.frame.right[:, first:last])

    def _without_fast(self, value: Value) -> Value:
        """The part of a vector across the fast directions, ``(1 - U W') v``."""
        if not self.fast:
            return value
        along = self.builder.matmul(self.frame.left.T.copy(), value)
        return value - self.builder.matmul(self.frame.right, along)

    def _answered(self, value: Value, first: int, alternating: bool) -> Value:
        """``G Lambda`` of coordinates in the fast directions, from the given one on."""
        weighed = self._weighed(value, self.frame.curvatures[first:])
        return self._filtered(weighed, _alternated(self.answer) if alternating else self.answer)

    def _lanewise(self, value: Value, alternating: bool) -> Value:
        """The filters of the fast directions, each on its lane."""
        columns = _lanes(self.frame, self.answer, self._count, alternating)
        total = self._weighed(value, columns[0])
        for column in columns[1:]:
            value = self._filtered(value, _BACKWARD)
            total = total + self._weighed(value, column)
        return total

    def _weighed(self, value: Value, numbers: np.ndarray) -> Value:
        place = self.builder.constant(numbers.reshape(-1, 1))
        return self.builder.apply("weigh", [value], value.shape, (place,))

    def _filtered(self, value: Value, chosen: Filter) -> Value:
        return value if chosen.trivial else self.builder.apply("filter", [value], value.shape, (chosen,))

    def _later(self, rows: int) -> tuple[Value, Callable[[Value], None]]:
        """``eta`` times a column that is written later, and the function that says which."""
        value = self._open((rows, 1), (ETA,))
        return value, lambda target: self._close(value, target)

    def _open(self, shape: tuple[int, int], parameters: tuple[Any, ...]) -> Value:
        self.builder.nodes.append(Node("series", (0,), shape, parameters))
        return Value(self.builder, len(self.builder.nodes) - 1)

    def _close(self, value: Value, target: Value) -> None:
        node = self.builder.nodes[value.index]
        self.builder.nodes[value.index] = Node("series", (target.index,), node.shape, node.parameters)


def _halves(plus: Value, minus: Value) -> tuple[Value, Value]:
    """Half the sum and half the difference."""
    half = sympy.Rational(1, 2)
    return plus.builder.add(plus, minus, half, half), plus.builder.add(plus, minus, half, -half)
