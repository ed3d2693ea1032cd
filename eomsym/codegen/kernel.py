"""The kernel of a loss: all counter terms at a point, compiled by numba."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from eomsym.codegen.emit import digest, machine, standalone
from eomsym.codegen.store import load, write_atomically
from eomsym.errors import ExpressionError, InputError, MethodError, TableError
from eomsym.exact.methods import GradientDescent, Method, MethodSeries
from eomsym.losses.objective import Objective
from eomsym.losses.program import exact
from eomsym.taylor.table import Plan, entries, is_plain, weights

__all__ = ["Kernel", "compile"]


def compile(loss: Objective, order: int, method: Method | None = None) -> Kernel:
    """Compile all counter terms of a loss up to an order.

    Parameters
    ----------
    loss : Loss, Field, DeepLinear, Network
    order : int
        Number of counter terms; 0 is gradient flow.
    method : Method, optional
        The discrete optimiser; gradient descent by default. Its parameters must be numbers.

    Returns
    -------
    Kernel

    Raises
    ------
    InputError
        `order` is not an integer >= 0, or `loss` is not a loss.
    ExpressionError
        The loss has kinks (``Abs``, ``Max``) and `order` is at least 1.
    MethodError
        The method holds a symbol.
    CacheError
        The cache folder cannot be written.

    Examples
    --------
    >>> import eomsym as eom
    >>> kernel = eom.compile(eom.Loss("a**2", variables="a"), order=2)
    >>> kernel.terms([1.0])  # g, Hg/2, H²g/3 with g = 2a, H = 2
    array([[2.        ],
           [2.        ],
           [2.66666667]])

    References
    ----------
    T. Miyagawa, Toward Equation of Motion for Deep Neural Networks, NeurIPS 2022, arXiv:2210.15898.
    """
    if not isinstance(loss, Objective):
        raise InputError(f"expected a loss such as eomsym.Loss('x**2', variables='x'), got {type(loss).__name__}")
    order = checked_order(order)
    chosen = GradientDescent() if method is None else method
    if not isinstance(chosen, Method):
        raise InputError(f"expected a method such as eomsym.HeavyBall(beta='9/10'), got {type(chosen).__name__}")
    if order > 0 and not loss.smooth:
        kinks = ", ".join(getattr(loss, "kinks", ["the loss"]))
        raise ExpressionError(
            f"{kinks} has no derivatives at its kinks, so there are no counter terms; "
            "use order=0, or a smooth function such as softplus"
        )
    return Kernel(loss, order, chosen)


def checked_order(order: Any) -> int:
    """`order` as an int >= 0, or InputError."""
    if isinstance(order, bool) or not isinstance(order, (int, np.integer)) or order < 0:
        raise InputError(f"order must be an integer >= 0 (0 is gradient flow), got {order!r}")
    return int(order)


@dataclass(frozen=True, eq=False)
class Kernel:
    """Compiled counter terms of one loss, for one method, up to one order. Made by :func:`compile`."""

    loss: Objective
    order: int
    method: Method

    # numbers ------------------------------------------------------------------------------------------------------

    @cached_property
    def _compiled(self) -> _Compiled:
        """Plan, module and constants, shared by all orders and methods of the loss object."""
        known = self.loss.__dict__.setdefault("_compiled", {})
        program = self.loss.program
        if "kernel" not in known or known["kernel"].program is not program:
            known["kernel"] = _Compiled(self.loss)
        found: _Compiled = known["kernel"]
        return found

    @cached_property
    def _series(self) -> dict[str, np.ndarray]:
        return _numeric_series(self.method, self.order)

    @cached_property
    def _plain(self) -> bool:
        return is_plain(self.method.series(self.order + 1))

    # evaluation ---------------------------------------------------------------------------------------------------

    def terms(self, theta: Any) -> np.ndarray:
        """All counter terms at a point, or at many.

        Parameters
        ----------
        theta : array_like, shape (n,) or (m, n)

        Returns
        -------
        ndarray, shape (order+1, n) or (m, order+1, n)
            Row k multiplies ``eta**k`` in ``theta' = -sum_k eta**k terms[k]``.

        Raises
        ------
        ShapeError, InputError
            `theta` is not a finite vector of the right length.
        TableError
            A number overflowed; ``error.order`` is the first term that is not finite.
        """
        points = self._points(theta)
        out = np.empty((len(points), self.order + 1, self.loss.size))
        self._compiled.fill(points, self.order, int(self._plain), self._series, out)
        if not np.isfinite(out).all():
            bad = int(np.argmin(np.isfinite(out).all(axis=(0, 2))))
            raise TableError(
                f"the counter terms of {self.loss.name} are not finite from order {bad} on; "
                "the point lies outside of the domain of the loss, or the order is too high for float64",
                order=bad,
            )
        return out if np.ndim(theta) == 2 else out[0]

    def field(self, theta: Any, eta: float) -> np.ndarray:
        """Velocity ``theta' = -sum_k eta**k terms[k]`` of the equation of motion; shape (n,) or (m, n)."""
        terms = self.terms(theta)
        velocity: np.ndarray = -terms[..., self.order, :]
        for k in range(self.order - 1, -1, -1):  # Horner, as in the generated module
            velocity = eta * velocity - terms[..., k, :]
        return velocity

    def gradient(self, theta: Any) -> np.ndarray:
        """Gradient g (weight decay included); shape (n,) or (m, n)."""
        result: np.ndarray = self._flow.terms(theta)[..., 0, :]
        return result

    def hessian_vector(self, theta: Any, direction: Any) -> np.ndarray:
        """Derivative of g at `theta`, shape (n,), along a direction, shape (n,): the Hessian times the vector."""
        return self._compiled.directional(self._points(theta)[0], self._points(direction)[0])

    @cached_property
    def _flow(self) -> Kernel:
        return self.at_order(0)

    def at_order(self, order: int) -> Kernel:
        """The kernel of the same loss and method to another order. Nothing is compiled again."""
        return Kernel(self.loss, checked_order(order), self.method)

    def _points(self, theta: Any) -> np.ndarray:
        """A fast way through for what is right already; everything else is checked by the loss."""
        n = self.loss.size
        if type(theta) is np.ndarray and theta.dtype == np.float64 and theta.shape == (n,):
            if np.isfinite(theta).all():
                return theta.reshape(1, n)
        elif np.ndim(theta) == 2:
            points = np.ascontiguousarray(theta, dtype=np.float64)
            if points.shape[1] == n and np.isfinite(points).all():
                return points
            for row in points:
                self.loss.validate(row)
        return self.loss.validate(theta).reshape(1, n)

    # artifacts ----------------------------------------------------------------------------------------------------

    @property
    def source(self) -> str:
        """A standalone module (it needs numpy and numba only) with ``terms(theta)`` and ``field(theta, eta)``."""
        from eomsym import __version__

        compiled = self._compiled
        header = (
            (
                f"Counter terms of {self.method.name} to order {self.order}, generated by eomsym {__version__}.\n\n"
                f"Loss: {self.loss.describe()}\nMachine: {digest(compiled.source)}\n\n"
                "theta' = -sum_k eta**k terms(theta)[k] follows the discrete optimiser with learning rate eta."
            )
            .replace('"""', "'''")
            .replace("\\", "\\\\")
        )
        return standalone(compiled.plan, compiled.constants, self.order, int(self._plain), self._series, header)

    def save(self, path: str | Path) -> Path:
        """Write `source` to a file, as a whole or not at all; returns its path."""
        target = Path(path)
        write_atomically(target, self.source)
        return target

    def __repr__(self) -> str:
        return f"<Kernel of {self.loss.describe()}, {self.method.name}, order {self.order}>"


class _Compiled:
    """A loss's plan, its numbers as float64, the imported module, and memory for each thread."""

    def __init__(self, loss: Objective) -> None:
        self.program = loss.program
        self.plan = Plan(self.program)
        self.constants = np.concatenate([to_float(piece) for piece in self.plan.pieces])
        self.source = machine(self.plan.primitives)
        self.module: ModuleType = load(self.source)
        self._local = threading.local()

    def machine(self, count: int) -> tuple[Any, ...]:
        """What `execute` takes apart, for tables of `count` entries."""
        return (self.plan.code, self.plan.table, self.constants, count, self.plan.lanes * count)

    def workspace(self, stages: int, order: int) -> tuple[Any, ...]:
        """Machine, place of the field, and memory, kept for the next call of the same thread."""
        known = self._local.__dict__
        if known.get("key") != (stages, order):
            count = entries(order)
            memory = np.empty((stages, self.plan.memory(order)))
            memory[:, -1] = 0.0
            flow = np.zeros(self.plan.size * entries(order + 1) + 1)
            known["space"] = (self.machine(count), self.plan.field * count, memory, flow)
            known["key"] = (stages, order)
        space: tuple[Any, ...] = known["space"]
        return space

    def fill(self, points: np.ndarray, order: int, low: int, series: dict[str, np.ndarray], out: np.ndarray) -> None:
        psi, coupling, chi = series["psi"], series["coupling"], series["chi"]
        machine, field, memory, flow = self.workspace(len(chi), order)
        push = np.zeros(self.plan.size)
        self.module.motion(machine, points, order, low, memory, field, psi, coupling, chi, push, flow, out)

    def directional(self, theta: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """Derivative of g along a direction: the second coefficient of ``g(theta + s * direction)``."""
        machine, field, memory, flow = self.workspace(1, 1)
        out = np.empty((1, 2, theta.size))
        self.module.motion(
            machine, theta.reshape(1, -1), 1, 1, memory, field, _ONE, _NONE, _SECOND, direction, flow, out
        )
        result: np.ndarray = out[0, 1]
        return result


#: Series of a single plain stage, and one that stands still and looks at the coefficient of s in g.
_ONE = np.array([[[1.0, 0.0], [1.0, 0.0]]])
_NONE = np.zeros((1, 1))
_SECOND = np.array([[[0.0, 1.0], [0.0, 0.0]]])


def to_float(numbers: np.ndarray) -> np.ndarray:
    """Exact numbers as the doubles nearest to them."""
    if numbers.dtype == np.float64:
        return numbers
    return np.array([nearest(number) for number in numbers.ravel()], dtype=np.float64).reshape(numbers.shape)


def nearest(number: Any) -> float:
    """The double nearest to an exact number."""
    number = exact(number)
    if isinstance(number, (int, Fraction)):
        return float(number)
    return float(number.evalf(30))


@lru_cache(maxsize=256)
def _numeric_series(method: Method, order: int) -> dict[str, np.ndarray]:
    """psi, coupling and chi of a method as float64 arrays, each entry rounded once."""
    series: MethodSeries = method.series(order + 1)
    names = {str(s) for row in (*series.chi, *series.psi, *series.coupling) for x in row for s in _symbols(x)}
    if names:
        raise MethodError(
            f"{method.name} holds the symbol {', '.join(sorted(names))}; give it a number to compile, "
            "for instance eomsym.HeavyBall('9/10')"
        )

    def table(coefficients: Any) -> np.ndarray:
        made = weights([[exact(x) for x in row] for row in coefficients], order + 1)
        return np.array([[[nearest(x) for x in row] for row in rows] for rows in made])

    coupling = np.array([[nearest(x) for x in row] for row in series.coupling], dtype=np.float64)
    return {"psi": table(series.psi), "coupling": coupling, "chi": table(series.chi)}


def _symbols(number: Any) -> set[Any]:
    return set(getattr(number, "free_symbols", ()))
