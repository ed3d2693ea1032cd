"""The kernel of a loss: all counter terms at a point, compiled by numba."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from eomsym import checks
from eomsym.codegen.backends import explicit, unrolled
from eomsym.codegen.machines import Machines, checked_losses
from eomsym.errors import ExpressionError, InputError, MethodError, ShapeError, TableError
from eomsym.files import write
from eomsym.losses.objective import Objective
from eomsym.optimisers.base import Method
from eomsym.optimisers.names import checked_method
from eomsym.taylor.plan import Plan
from eomsym.taylor.rings.numbers import Decimals
from eomsym.taylor.table import counter_terms_at, term_rows

__all__ = ["Kernel", "compile", "kernel_of"]

#: How terms can be evaluated.
MOST_ORDER = 200
MOST_DIGITS = 10_000
FORMS = ("auto", "table", "explicit")
#: What runs them.
BACKENDS = ("numba", "jax")


def compile(
    loss: Objective | Sequence[Objective] | Kernel,
    order: int,
    *,
    method: Method | None = None,
    form: str = "auto",
    backend: str = "numba",
    dtype: str = "float64",
) -> Kernel:
    """Compile all counter terms of a loss up to an order.

    Parameters
    ----------
    loss : Loss, Field, DeepLinear, Network, a list of them, or Kernel
        One loss for each batch of an `Epoch`; of a kernel its loss.
    order : int
        Number of counter terms; 0 is gradient flow.
    method : Method, optional
        The discrete optimiser; gradient descent by default. Its parameters must be numbers.
    form : {"auto", "table", "explicit"}
        How the terms are evaluated. ``"table"`` runs the Taylor table; a new loss compiles nothing. ``"explicit"``
        compiles the closed form of all terms at a point: some fifty times faster for many points of a small loss at low
        order, at the cost of about a second for 500 operations, for each loss, order and method. ``"auto"`` chooses at
        each call, by the predicted cost of its points. The forms agree up to rounding.
    backend : {"numba", "jax"}
        What runs terms, gradients and Hessian products. ``"jax"`` is for large models: it uses all cores or the GPU
        that JAX finds, and compiles for each loss and order anew.
    dtype : {"float64", "float32"}
        With ``backend="jax"``, what it computes with; terms lose about a digit with each order.

    Returns
    -------
    Kernel

    Raises
    ------
    InputError
        `order` is not an integer >= 0, `loss` is not a loss, or `form` is unknown.
    SizeError
        The explicit form would be too long.
    ExpressionError
        The loss has kinks (``Abs``, ``Max``) and `order` is at least 1.
    MethodError
        The method holds a symbol, or the number of losses is not the number of its batches.
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
    order = checked_order(order)
    if isinstance(loss, Kernel):
        own = loss.method if method is None else method
        return compile(loss.losses, order, method=own, form=form, backend=backend, dtype=dtype)
    chosen = checked_method(method)
    losses = checked_losses(loss, chosen)
    for one in losses:
        if order > 0 and not one.smooth:
            kinks = ", ".join(one.kinks or ("the loss",))
            raise ExpressionError(
                f"{kinks} has no derivatives at its kinks, so there are no counter terms; "
                "use order=0, or a smooth function such as softplus"
            )
    if checks.choice(backend, "backend", BACKENDS) == "numba" and not (isinstance(dtype, str) and dtype == "float64"):
        raise InputError(f"dtype={checks.shown(dtype)} needs backend='jax'; the tables of numba hold float64")
    kernel = Kernel(losses, order, chosen, checks.choice(form, "form", FORMS), backend, dtype)
    if backend == "jax":
        _ = kernel._terms  # refused now if JAX or a function is missing
    return kernel


def kernel_of(loss: Any, order: int | None = None, method: Method | None = None) -> Kernel:
    """The kernel that a verb works on: of a loss and a method, or the one that it was given.

    Parameters
    ----------
    loss : Loss, Field, DeepLinear, Network, a list of them, or Kernel
    order : int, optional
        That of the kernel by default; a loss needs one.
    method : Method, optional
        Gradient descent by default, or that of the kernel.

    Raises
    ------
    InputError, MethodError
        As :func:`compile`; or a loss comes without an order, or a kernel with another method than its own.
    """
    if isinstance(loss, Kernel):
        if method is not None and checked_method(method) != loss.method:
            raise MethodError(f"the kernel is for {loss.method.name}, but method={method.name}; pass one of the two")
        return loss if order is None or order == loss.order else loss.at_order(order)
    if order is None:
        raise InputError("a loss needs an order of the equation of motion, such as order=2 (0 is gradient flow)")
    return compile(loss, order, method=method)


def checked_order(order: Any) -> int:
    """An order up to the highest that float64 has a use for; see `eomsym.checks.order`."""
    return checks.order(order, MOST_ORDER)


@dataclass(frozen=True, eq=False)
class Kernel(Machines):
    """Compiled counter terms of one loss, for one method, up to one order. Made by :func:`compile`."""

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
        points, threads = self._points(theta), checks.count(threads, "threads", 1)
        out = np.empty((len(points), self.order + 1, self.size))
        if threads == 1 or len(points) < 2:
            self._fill(points, out)
        else:
            self._fill_in_threads(points, out, threads)
        if not np.isfinite(out).all():
            bad = int(np.argmin(np.isfinite(out).all(axis=(0, 2))))
            where = int(np.argmin(np.isfinite(out).all(axis=(1, 2))))
            element = self._terms.culprit(points[where], self.order)
            raise TableError(
                f"the counter terms of {self.loss.name} with {self.method.name} are not finite from order {bad} on, "
                f"first in {element}; the point lies outside of the domain of the loss or of the optimiser (such as a "
                "root, a norm or a quotient at zero: start elsewhere, or give an epsilon), or the order is too high "
                "for float64",
                order=bad,
            )
        return out if np.ndim(theta) == 2 else out[0]

    def decimals(self, theta: Any, digits: int = 30) -> np.ndarray:
        """All counter terms to many digits, by the same instructions in plain Python; for small losses.

        Parameters
        ----------
        theta : sequence of n numbers or texts
            Texts such as ``"0.1"`` and fractions are read exactly, floats as the binary fractions that they are.
        digits : int
            What is computed with, plus five.

        Returns
        -------
        ndarray of mpmath.mpf, shape (order+1, n)

        Raises
        ------
        ExpressionError
            A function of the loss has no decimal value.

        Examples
        --------
        >>> import mpmath
        >>> import eomsym as eom
        >>> kernel = eom.compile(eom.Loss("exp(x)", variables="x"), 1)
        >>> mpmath.nstr(kernel.decimals(["1"], 25)[1, 0], 25)  # exp(x) exp(x)/2
        '3.694528049465325113615214'
        """
        import sympy

        ring = Decimals(checks.count(digits, "digits", 1, MOST_DIGITS))
        try:
            point = [ring(sympy.Rational(x) if isinstance(x, str) else x) for x in theta]
        except (AttributeError, TypeError, ValueError, ArithmeticError) as error:
            raise InputError(
                f"theta must be numbers or texts such as ['0.1', '-1/2'], got {checks.shown(theta)}"
            ) from error
        if len(point) != self.size:
            raise ShapeError(f"theta has {len(point)} numbers, expected {self.size}")
        return counter_terms_at(Plan.of(self.circuit.terms(), self.order, flow=True), point, self.order, ring)

    def _fill(self, points: np.ndarray, out: np.ndarray) -> None:
        if self.backend == "jax":
            self._terms.terms(points, self.order, out)
        elif self.form == "explicit" or (self.form == "auto" and len(points) >= self._pays):
            self._explicit[1].explicit(points, out)
        else:
            self._terms.terms(points, self.order, out)

    def _fill_in_threads(self, points: np.ndarray, out: np.ndarray, threads: int) -> None:
        self._fill(points[:1], out[:1])  # compiles before the threads begin
        edges = np.linspace(0, len(points), threads + 1).astype(int)
        with ThreadPoolExecutor(threads) as pool:  # compiled code releases the GIL
            started = [pool.submit(self._fill, points[a:b], out[a:b]) for a, b in pairwise(edges)]
            for task in started:
                task.result()

    def field(self, theta: Any, eta: float) -> np.ndarray:
        """Velocity ``theta' = -sum_k eta**k terms[k]`` of the equation of motion; shape (n,) or (m, n)."""
        terms, eta = self.terms(theta), checks.number(eta, "eta")
        velocity: np.ndarray = -terms[..., self.order, :]
        with np.errstate(over="ignore", invalid="ignore"):  # far beyond the radius: infinite
            for k in range(self.order - 1, -1, -1):  # Horner, as in the generated module
                velocity *= eta
                velocity -= terms[..., k, :]
        return velocity

    def gradient(self, theta: Any) -> np.ndarray:
        """Gradient g of the loss (weight decay included); shape (n,) or (m, n)."""
        points = self._points(theta)
        out = np.empty((len(points), 1, self.loss.size))
        self._gradient.fill(points[:, None, : self.loss.size], 0, _FIRST, out)
        if not np.isfinite(out).all():
            raise TableError(f"the gradient of {self.loss.name} is not finite at this point", order=0)
        return out[:, 0] if np.ndim(theta) == 2 else out[0, 0]

    def hessian_vector(self, theta: Any, direction: Any) -> np.ndarray:
        """Derivative of g at `theta`, shape (n,), along a direction, shape (n,), or several, shape (m, n): the Hessian
        times vectors."""
        point, n = self._points(theta)[0, : self.loss.size], self.loss.size
        rows = direction if np.ndim(direction) == 2 else [direction]
        vectors = np.array([checks.vector(one, "direction", n) for one in rows]).reshape(-1, n)
        given = np.stack([np.broadcast_to(point, vectors.shape), vectors], axis=1)
        out = np.empty((len(vectors), 1, n))
        self._gradient.fill(given, 1, _SLOPE, out)
        return np.asarray(out[:, 0] if np.ndim(direction) == 2 else out[0, 0])

    def gradient_along(self, theta: Any, direction: Any, degree: int = 2) -> np.ndarray:
        """Taylor coefficients of ``s -> g(theta + s direction)`` up to a degree, shape (degree+1, n): g, the Hessian
        times the direction, half the third derivative along it twice, and so on."""
        point = self._points(theta)[0, : self.loss.size]
        given = np.stack([point, checks.vector(direction, "direction", self.loss.size)])[None]
        degree = checks.count(degree, "degree", 0, MOST_ORDER)
        rows = np.array([d * (d + 1) // 2 + d for d in range(degree + 1)])
        out = np.empty((1, degree + 1, self.loss.size))
        self._gradient.fill(given, degree, rows, out)
        return np.asarray(out[0])

    def jacobian_vector(self, theta: Any, direction: Any, eta: float) -> np.ndarray:
        """Derivative of the velocity ``field(theta, eta)``, shape (n,), along a direction, shape (n,).

        Modified fields commute with linearisation: the terms of the linearised circuit are the derivatives.
        """
        both = np.concatenate([self._points(theta)[0], checks.vector(direction, "direction", self.size)])
        terms = np.empty((1, self.order + 1, 2 * self.size))
        self._linearised.terms(both[None], self.order, terms)
        return -_summed(terms[0, :, self.size :], eta)

    def memories(self, theta: Any, eta: float, *, rest: bool = False) -> np.ndarray:
        """What the filters of the optimiser remember at a point of the modified flow, or at rest there.

        Parameters
        ----------
        theta : array_like, shape (n,)
        eta : float
        rest : bool
            At rest, what gradients feed is empty, and everything else as if the point had always been there.

        Returns
        -------
        ndarray, shape (k,)
            One after the other, as in the circuit; empty for methods without a memory.
        """
        if not self.runner().plan.memories:
            return np.zeros(0)
        machine = self._machine_of("memory", lambda: self.circuit.memory())
        order = 0 if rest else self.order
        lanes = machine.plan.tables[machine.plan.outputs[1]].lanes
        out = np.empty((1, order + 1, lanes))
        machine.fill(self._points(theta)[:, None], order, term_rows(machine.plan, order), out, output=1)
        if rest:
            return np.asarray(np.where(self.circuit.empty_at_rest(), 0.0, out[0, 0]))
        return _summed(out[0], eta)

    def outputs(self, theta: Any, eta: float) -> dict[str, np.ndarray]:
        """What the method gives beside its parameters, at a point of its equation of motion: averages of weights.

        Parameters
        ----------
        theta : array_like, shape (n,)
        eta : float

        Returns
        -------
        dict of str to ndarray, shape (n,)
            To this order: the error is ``O(eta**(order+1))``.

        Raises
        ------
        MethodError
            The method has no outputs.

        Examples
        --------
        >>> import eomsym as eom
        >>> averaged = eom.optimisers.Averaged(eom.GradientDescent(), "1/2")
        >>> kernel = eom.compile(eom.Loss("x**2/2", variables="x"), 1, method=averaged)
        >>> kernel.outputs([1.0], 0.1)["average"]  # theta - eta theta'
        array([1.1])
        """
        places = self.circuit.output_places()
        machine = self._machine_of("outputs", lambda: self.circuit.outputs())
        out = np.empty((1, self.order + 1, max(place.stop for place in places.values())))
        machine.fill(self._points(theta)[:, None], self.order, term_rows(machine.plan, self.order), out, output=1)
        values = _summed(out[0], eta)
        return {name: values[place] for name, place in places.items()}

    def at_order(self, order: int) -> Kernel:
        """The kernel of the same loss and method to another order. Nothing is compiled again."""
        return replace(self, order=checked_order(order))

    def point(self, theta: Any) -> np.ndarray:
        """A point as a vector of `size` numbers.

        Parameters
        ----------
        theta : array_like, shape (n,) or (size,), or dict
            The parameters, to which memories at rest are added; or all of them by name.
        """
        kept = self.method.kept(self.loss.size)
        if not kept:
            return self.loss.validate(theta)
        if isinstance(theta, Mapping):
            unknown = sorted(set(theta) - {"theta", *kept})
            missing = sorted({"theta", *kept} - set(theta))
            if unknown or missing:
                raise InputError(
                    f"the start of {self.method.name} has the states {', '.join(['theta', *kept])}; "
                    f"missing: {', '.join(missing) or 'none'}, unknown: {', '.join(unknown) or 'none'}"
                )
            parts = [self.loss.validate(theta["theta"])]
            for name, size in kept.items():
                parts.append(checks.vector(np.ravel(theta[name]), f"the state {name}", size))
            return np.concatenate(parts)
        with suppress(TypeError, ValueError, OverflowError):  # which `validate` tells
            vector = checks.reals(theta)
            if vector.shape == (self.size,) and np.isfinite(vector).all():
                return vector
        return np.concatenate([self.loss.validate(theta), np.zeros(sum(kept.values()))])

    def points(self, thetas: Any) -> np.ndarray:
        """Points in rows, shape (s, size), each as by `point`."""
        return self._points(np.asarray(thetas) if np.ndim(thetas) == 2 else [self.point(theta) for theta in thetas])

    def states(self, points: Any) -> dict[str, np.ndarray]:
        """Parameters and kept memories by name, from a point or from a path of them."""
        places = self.circuit.states
        return {name: np.asarray(points)[..., place] for name, place in places.items()}

    def _points(self, theta: Any) -> np.ndarray:
        """A fast way through for what is right already; everything else is checked."""
        n = self.size
        if type(theta) is np.ndarray and theta.dtype == np.float64 and theta.shape == (n,):
            if np.isfinite(theta).all():
                return np.ascontiguousarray(theta).reshape(1, n)
        elif not isinstance(theta, Mapping) and (points := checks.array(theta, "theta")).ndim == 2:
            if points.shape[1] == n and np.isfinite(points).all():
                return np.ascontiguousarray(points)
            return np.array([self.point(line) for line in points])
        return self.point(theta).reshape(1, n)

    # artifacts ----------------------------------------------------------------------------------------------------

    @property
    def source(self) -> str:
        """A standalone module (it needs numpy and numba only) with ``terms(theta)`` and ``field(theta, eta)``."""
        from eomsym._version import __version__

        header = (
            (
                f"Counter terms of {self.method.name} to order {self.order}, generated by eomsym {__version__}.\n\n"
                f"Loss: {'; '.join(one.describe() for one in self.losses)}\n\n"
                "theta' = -sum_k eta**k terms(theta)[k] follows the discrete optimiser with learning rate eta."
            )
            .replace('"""', "'''")
            .replace("\\", "\\\\")
        )
        if self.form == "explicit":
            return explicit.standalone(self._explicit[0], header)
        return unrolled.standalone(self._terms.plan, self._terms.numbers, self.order, header)

    def save(self, path: str | Path) -> Path:
        """Write `source` to a file, as a whole or not at all; returns its path."""
        return write(checks.path(path, such_as="kernel.py"), self.source)

    def __repr__(self) -> str:
        return f"<Kernel of {self.loss.describe()}, {self.method.name}, order {self.order}>"


def _summed(terms: np.ndarray, eta: float) -> np.ndarray:
    """``sum_k eta**k terms[k]``; infinite far beyond the radius."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(np.polynomial.polynomial.polyval(checks.number(eta, "eta"), terms))


#: Rows of tables: the value, and the derivative along s.
_FIRST, _SLOPE = np.array([0]), np.array([2])
