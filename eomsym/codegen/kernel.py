"""The kernel of a loss: all counter terms at a point, compiled by numba."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from eomsym.codegen import emit, explicit
from eomsym.codegen.numbers import numeric_series, to_float, to_pairs
from eomsym.codegen.store import load, write_atomically
from eomsym.errors import ExpressionError, InputError, TableError
from eomsym.exact.methods import GradientDescent, Method
from eomsym.losses.objective import Linearised, Objective
from eomsym.taylor.primitives import PRIMITIVES
from eomsym.taylor.table import Plan, entries, is_plain

__all__ = ["Kernel", "compile"]


#: How terms can be evaluated.
FORMS = ("table", "explicit", "auto")
PRECISIONS = ("double", "dd")


def compile(
    loss: Objective, order: int, method: Method | None = None, *, form: str = "table", precision: str = "double"
) -> Kernel:
    """Compile all counter terms of a loss up to an order.

    Parameters
    ----------
    loss : Loss, Field, DeepLinear, Network
    order : int
        Number of counter terms; 0 is gradient flow.
    method : Method, optional
        The discrete optimiser; gradient descent by default. Its parameters must be numbers.
    form : {"table", "explicit", "auto"}
        How the terms are evaluated. ``"table"`` runs the Taylor table; a new loss compiles nothing. ``"explicit"``
        compiles the closed form of all terms at a point: some fifty times faster for many points of a small loss at low
        order, at the cost of about a second for 500 operations, for each loss, order and method. ``"auto"`` is
        explicit where that is sure to be small. The forms agree up to rounding.
    precision : {"double", "dd"}
        ``"dd"`` computes with pairs of doubles, some 32 digits, by the same rules (the table form only); `terms` gives
        the nearest doubles, `Kernel.terms_dd` both halves. It has no softplus and no erf.

    Returns
    -------
    Kernel

    Raises
    ------
    InputError
        `order` is not an integer >= 0, `loss` is not a loss, or `form` or `precision` is unknown.
    SizeError
        The explicit form would be too long.
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
    if form not in FORMS:
        raise InputError(f"unknown form {form!r}; choose one of {', '.join(FORMS)}")
    if form == "auto":
        form = "explicit" if explicit.worth_it(Plan(loss.program), order) else "table"
    if precision not in PRECISIONS:
        raise InputError(f"unknown precision {precision!r}; choose one of {', '.join(PRECISIONS)}")
    if precision == "dd" and form == "explicit":
        raise InputError("the explicit form knows doubles only; use form='table' with precision='dd'")
    return Kernel(loss, order, chosen, form, precision)


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
    form: str = "table"
    precision: str = "double"

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
        return numeric_series(self.method, self.order)

    @cached_property
    def _plain(self) -> bool:
        return is_plain(self.method.series(self.order + 1))

    @cached_property
    def _explicit(self) -> tuple[explicit.Explicit, ModuleType]:
        written = explicit.Explicit(self._compiled.plan, self.method, self.order)
        return written, load(written.source)

    # evaluation ---------------------------------------------------------------------------------------------------

    def terms(self, theta: Any, *, threads: int = 1) -> np.ndarray:
        """All counter terms at a point, or at many.

        Parameters
        ----------
        theta : array_like, shape (n,) or (m, n)
        threads : int
            Over how many threads the points are spread.

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
        if threads == 1 or len(points) < 2:
            self._fill(points, out)
        else:
            self._fill_in_threads(points, out, threads)
        if not np.isfinite(out).all():
            bad = int(np.argmin(np.isfinite(out).all(axis=(0, 2))))
            raise TableError(
                f"the counter terms of {self.loss.name} are not finite from order {bad} on; "
                "the point lies outside of the domain of the loss, or the order is too high for float64",
                order=bad,
            )
        return out if np.ndim(theta) == 2 else out[0]

    def terms_dd(self, theta: Any, low: Any = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """All counter terms in double-double precision: two arrays whose exact sum is the result.

        Parameters
        ----------
        theta, low : array_like, shape (n,)
            The point is ``theta + low``, `low` being less than half a unit in the last place of `theta`.

        Returns
        -------
        high, low : ndarray, shape (order+1, n)
            `high` is the double nearest to the sum.
        """
        points = self._points(theta) + 1j * np.broadcast_to(np.asarray(low, dtype=np.float64), (1, self.loss.size))
        out = self._compiled.fill_dd(points, self.order, int(self._plain), self.method)[0]
        return out.real.copy(), out.imag.copy()

    def _fill(self, points: np.ndarray, out: np.ndarray) -> None:
        if self.precision == "dd":
            out[:] = self._compiled.fill_dd(
                points.astype(np.complex128), self.order, int(self._plain), self.method
            ).real
        elif self.form == "explicit":
            self._explicit[1].explicit(points, out)
        else:
            self._compiled.fill(points, self.order, int(self._plain), self._series, out)

    def _fill_in_threads(self, points: np.ndarray, out: np.ndarray, threads: int) -> None:
        if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
            raise InputError(f"threads must be an integer >= 1, got {threads!r}")
        self._fill(points[:1], out[:1])  # compiles before the threads begin
        edges = np.linspace(0, len(points), threads + 1).astype(int)
        with ThreadPoolExecutor(threads) as pool:  # compiled code releases the GIL
            started = [pool.submit(self._fill, points[a:b], out[a:b]) for a, b in pairwise(edges)]
            for task in started:
                task.result()

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

    def jacobian_vector(self, theta: Any, direction: Any, eta: float) -> np.ndarray:
        """Derivative of the velocity ``field(theta, eta)``, shape (n,), along a direction, shape (n,).

        Modified fields commute with linearisation: the terms of the field ``(F(theta), DF(theta) u)`` are those of F
        and their derivatives along u.
        """
        n = self.loss.size
        both = np.concatenate([self._points(theta)[0], self._points(direction)[0]])
        result: np.ndarray = self._linearised.field(both, eta)[n:]
        return result

    @cached_property
    def _linearised(self) -> Kernel:
        return Kernel(Linearised(self.loss), self.order, self.method)

    @cached_property
    def _flow(self) -> Kernel:
        return Kernel(self.loss, 0, GradientDescent())

    def at_order(self, order: int) -> Kernel:
        """The kernel of the same loss and method to another order. Nothing is compiled again."""
        return Kernel(self.loss, checked_order(order), self.method, self.form, self.precision)

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
                f"Loss: {self.loss.describe()}\nMachine: {emit.digest(compiled.source)}\n\n"
                "theta' = -sum_k eta**k terms(theta)[k] follows the discrete optimiser with learning rate eta."
            )
            .replace('"""', "'''")
            .replace("\\", "\\\\")
        )
        if self.form == "explicit":
            return explicit.standalone(self._explicit[0], header)
        return emit.standalone(compiled.plan, compiled.constants, self.order, int(self._plain), self._series, header)

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
        self.source = emit.machine(self.plan.primitives)
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

    def fill_dd(self, points: np.ndarray, order: int, low: int, method: Method) -> np.ndarray:
        """Terms at rows of points, high parts real and low parts imaginary."""
        special = next(number for number, f in enumerate(PRIMITIVES) if f.__name__ == "special")
        if (self.plan.code[:, 0] == special).any():
            raise InputError("softplus and erf have no double-double values; use precision='double'")
        module = load(emit.machine(self.plan.primitives, double_double=True))
        constants = np.concatenate([to_pairs(piece) for piece in self.plan.pieces])
        series = numeric_series(method, order, True)
        count = entries(order)
        memory = np.zeros((len(series["chi"]), self.plan.memory(order)), dtype=np.complex128)
        flow = np.zeros(self.plan.size * entries(order + 1) + 1, dtype=np.complex128)
        push = np.zeros(self.plan.size, dtype=np.complex128)
        out = np.empty((len(points), order + 1, self.plan.size), dtype=np.complex128)
        machine = (self.plan.code, self.plan.table, constants, count, self.plan.lanes * count)
        psi, coupling, chi = series["psi"], series["coupling"], series["chi"]
        module.motion(machine, points, order, low, memory, self.plan.field * count, psi, coupling, chi, push, flow, out)
        return out

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
