"""A look, every so many steps, at how far an ordinary training loop is from gradient flow."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from eomsym.checks import shown
from eomsym.errors import InputError, MissingDependencyError
from eomsym.formulas.terms import counter_terms
from eomsym.interop.preconditioners import Preconditioner
from eomsym.optimisers.base import Method

__all__ = ["Layer", "Look", "Monitor", "largest"]

#: Products with the Hessian for the largest eigenvalue: at the first look, and at later ones, which start from it.
FIRST, LATER = 12, 2
#: Cosine between weights and gradient, zero for a scale-invariant layer, beyond which it is not one.
INVARIANT = 0.05


@dataclass(frozen=True)
class Layer:
    """A layer whose scale does not matter, at a look and one step later.

    Attributes
    ----------
    norm : float
        Of the weights at the look.
    next_norm, predicted_norm : float
        One step later: measured, and by ``r² -> (1 - eta λ)² r² + eta² |grad|²``, λ the weight decay.
    angle, predicted_angle : float
        Between the weights before and after the step, in radians: measured, and
        ``arctan(eta |grad| / ((1 - eta λ) r))``.
    equilibrium_norm, equilibrium_angle : float
        Where norm and angle come to rest with this gradient: ``r⁴ = eta Ĝ²/(λ (2 - eta λ))`` with the gradient Ĝ at
        norm 1, and ``arccos(1 - eta λ)``; infinite and 0 without weight decay.
    """

    norm: float
    next_norm: float
    predicted_norm: float
    angle: float
    predicted_angle: float
    equilibrium_norm: float
    equilibrium_angle: float


@dataclass(frozen=True)
class Look:
    """One look at a training loop.

    Attributes
    ----------
    step : int
    loss : float
    eta : float
        Learning rate.
    gradient : float
        Norm of the gradient g, weight decay included.
    drift : float
        First counter term over the gradient term; ``eta |Hg| / (2 |g|)`` for gradient descent: the share of each step
        by which it leaves gradient flow. Where the optimiser divides by P, that of a run with P held,
        ``eta |P**-1 H P**-1 g| / (2 |P**-1 g|)`` without momentum: how P moves is not in it.
    product : float
        ``eta`` times the largest eigenvalue of the Hessian, in magnitude; of ``P**-1/2 H P**-1/2`` where the optimiser
        divides by P.
    doubt : float
        ``eta`` times the residual: an eigenvalue is at most that far from the one that was found.
    radius, limit : float
        Of the method: where its series ends, and where it becomes unstable; NaN where they are not known.
    layers : dict of str to Layer
        Normalised layers by name; complete one step later.
    seconds : float
        What the look took.
    """

    step: int
    loss: float
    eta: float
    gradient: float
    drift: float
    product: float
    doubt: float
    radius: float
    limit: float
    layers: dict[str, Layer]
    seconds: float


class View(Protocol):
    """What a framework shows of a loop."""

    def weights(self) -> np.ndarray:
        """All parameters, shape (n,)."""

    def slope(self) -> tuple[float, np.ndarray, Callable[[np.ndarray], np.ndarray]]:
        """Loss, gradient, and the product with the Hessian, at the parameters."""

    def places(self) -> dict[str, slice]:
        """Where each parameter stands in the vector."""


class Monitor:
    """Collects looks. Made by :func:`eomsym.interop.watch_torch` and
    :func:`eomsym.interop.watch_optax`.

    Attributes
    ----------
    looks : list of Look
    """

    def __init__(
        self,
        view: View,
        method: Method | None,
        rate: Callable[[int], float],
        *,
        decay: float = 0.0,
        every: int = 200,
        normalised: Sequence[str] = (),
        writer: Any = None,
        live: bool = False,
        preconditioner: Callable[[], Preconditioner | None] | None = None,
    ) -> None:
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise InputError(f"every must be a number of steps >= 1, got {shown(every)}")
        unknown = sorted(set(normalised) - set(view.places()))
        if unknown:
            raise InputError(f"there is no parameter {', '.join(unknown)}; there are {', '.join(view.places())}")
        self._view, self._rate, self._decay, self._every = view, rate, float(decay), every
        self._normalised, self._writer, self._live = tuple(normalised), writer, live
        self._limits, self._weights = _limits(method), _first_terms(method)
        self._preconditioner = preconditioner or (lambda: None)
        self._count = 0
        self._vector: np.ndarray | None = None
        self._before: tuple[Look, np.ndarray, np.ndarray] | None = None
        self._began = time.perf_counter()
        self._spent = 0.0
        self._axes: Any = None
        self.looks: list[Look] = []

    @property
    def overhead(self) -> float:
        """Time of the looks over the time of everything else since the monitor was made."""
        whole = time.perf_counter() - self._began
        return self._spent / max(whole - self._spent, 1e-9)

    def _step(self) -> None:
        """Count a step, finish the look before it, and look where it is time."""
        self._count += 1
        began = time.perf_counter()
        if self._before is not None:
            self._finish()
        if self._count % self._every == 0:
            self._look()
        self._spent += time.perf_counter() - began

    def _look(self) -> None:
        began = time.perf_counter()
        theta = self._view.weights()
        loss, plain, product = self._view.slope()
        g = plain + self._decay * theta
        eta = self._rate(self._count)
        size = float(np.linalg.norm(g))
        divided = self._preconditioner()
        radius, limit = self._limits
        if divided is None:
            bent = product(g) + self._decay * g
            first, second = self._weights
            drift = eta * second * float(np.linalg.norm(bent)) / (first * size) if size > 0 else 0.0
            operator = Preconditioner(np.ones(g.size), limit).product(product, self._decay)
        else:
            drift, radius, limit = divided.drift(g, product, eta, self._decay), math.nan, divided.limit
            operator = divided.product(product, self._decay)
        if self._vector is None:
            self._vector = np.random.default_rng(0).standard_normal(g.size)
        count = LATER if self.looks else FIRST
        value, self._vector, residual = largest(operator, self._vector, count)
        look = Look(
            self._count, loss, eta, size, drift, eta * abs(value), eta * residual, radius, limit, {},
            time.perf_counter() - began,
        )  # fmt: skip
        self.looks.append(look)
        if self._normalised:
            self._before = (look, theta, plain)
        self._report(look)

    def _finish(self) -> None:
        """The layers of the last look, now that the step after it is done."""
        assert self._before is not None
        look, theta, plain = self._before
        self._before = None
        after = self._view.weights()
        for name in self._normalised:
            place = self._view.places()[name]
            w, g, later = theta[place], plain[place], after[place]
            cosine = abs(float(w @ g)) / max(float(np.linalg.norm(w) * np.linalg.norm(g)), 1e-300)
            if cosine > INVARIANT and float(np.linalg.norm(g)) > 1e-8 * float(np.linalg.norm(w)):
                raise InputError(
                    f"{name} is not scale-invariant: the cosine between it and its gradient is {cosine:.2f}, and 0 is "
                    "expected; leave it out of normalised=[...]"
                )
            look.layers[name] = _layer(w, g, later, look.eta, self._decay)
        if self._writer is not None:
            for name, layer in look.layers.items():
                for what in ("norm", "predicted_norm", "angle", "predicted_angle"):
                    self._writer.add_scalar(f"eomsym/{name}/{what}", getattr(layer, what), look.step)

    def _report(self, look: Look) -> None:
        if self._writer is not None:
            for what in ("loss", "drift", "product", "radius", "limit"):
                if np.isfinite(getattr(look, what)):
                    self._writer.add_scalar(f"eomsym/{what}", getattr(look, what), look.step)
        if self._live:
            self.draw()

    # what is shown --------------------------------------------------------------------------------------------------

    def rows(self) -> list[dict[str, Any]]:
        """Looks as dicts of numbers, layers in columns ``name.what``."""
        found = []
        for look in self.looks:
            row = {name: value for name, value in vars(look).items() if name != "layers"}
            for name, layer in look.layers.items():
                row |= {f"{name}.{what}": value for what, value in vars(layer).items()}
            found.append(row)
        return found

    def table(self) -> Any:
        """The looks as a ``pandas.DataFrame``, one a row.

        Raises
        ------
        MissingDependencyError
            pandas is not installed; :meth:`rows` needs nothing.
        """
        try:
            import pandas
        except ImportError as error:
            raise MissingDependencyError("a table needs pandas; type: pip install pandas, or use rows()") from error
        return pandas.DataFrame(self.rows()).set_index("step")

    def draw(self) -> Any:
        """Draw, or draw again, drift and ``eta λ`` over the steps; returns the figure of matplotlib."""
        try:
            from matplotlib import pyplot
        except ImportError as error:
            raise MissingDependencyError("a figure needs matplotlib; type: pip install 'eomsym[plot]'") from error
        if self._axes is None:
            _, self._axes = pyplot.subplots(2, 1, sharex=True, layout="constrained")
        steps = [look.step for look in self.looks]
        for axis, what in zip(self._axes, ("drift", "product"), strict=True):
            axis.clear()
            axis.plot(steps, [getattr(look, what) for look in self.looks], "o-")
            axis.set_ylabel({"drift": "drift of a step", "product": "η λ"}[what])
        last = self.looks[-1]
        for level, style in ((last.radius, ":"), (last.limit, "--")):
            if np.isfinite(level):
                self._axes[1].axhline(level, color="black", linestyle=style)
        self._axes[1].set_xlabel("step")
        figure = self._axes[0].figure
        figure.canvas.draw_idle()
        figure.canvas.flush_events()
        return figure

    def __str__(self) -> str:
        lines = ["   step       loss      drift        ηλ    radius     limit"]
        for one in self.looks:
            numbers = (one.loss, one.drift, one.product, one.radius, one.limit)
            lines.append(f"{one.step:7} " + " ".join(f"{x:9.4g}" for x in numbers))
        return "\n".join(lines)


def _limits(method: Method | None) -> tuple[float, float]:
    """Radius of the series and limit of stability, NaN where they are not known."""
    if method is None or not method.is_linear or method.is_flow or method.symbols:
        return float("nan"), float("nan")
    report = method.stability()
    radius, limit = (float("nan") if x is None else float(x) for x in (report.radius, report.limit))
    return radius, limit


def _first_terms(method: Method | None) -> tuple[float, float]:
    """Coefficients of g in term 0 and of Hg in term 1; those of gradient descent where they are not known."""
    if method is None or not method.is_linear or method.colours > 1 or method.is_flow:
        return 1.0, 0.5
    terms = counter_terms(1, method=method)
    found = [[abs(float(c)) for _, c in term.items() if c != 0] for term in (terms[0], terms[1])]
    return found[0][0], found[1][0] if found[1] else 0.0


def _layer(w: np.ndarray, g: np.ndarray, later: np.ndarray, eta: float, decay: float) -> Layer:
    r, slope, after = (float(np.linalg.norm(x)) for x in (w, g, later))
    shrink = 1 - eta * decay
    cosine = float(np.clip(w @ later / (r * after), -1, 1))
    across = float(np.linalg.norm(later / after - cosine * w / r))  # the sine, without loss of digits
    rest = (eta * (slope * r) ** 2 / (decay * (2 - eta * decay))) ** 0.25 if decay > 0 else math.inf
    return Layer(
        norm=r,
        next_norm=after,
        predicted_norm=math.hypot(shrink * r, eta * slope),
        angle=math.atan2(across, cosine),
        predicted_angle=math.atan2(eta * slope, shrink * r),
        equilibrium_norm=rest,
        equilibrium_angle=math.acos(max(-1.0, shrink)) if decay > 0 else 0.0,
    )


def largest(
    product: Callable[[np.ndarray], np.ndarray], start: np.ndarray, count: int
) -> tuple[float, np.ndarray, float]:
    """The eigenvalue of a symmetric matrix that is largest in magnitude, by `count` steps of Lanczos.

    Parameters
    ----------
    product : callable
        The matrix times a vector, shape (n,).
    start : ndarray, shape (n,)
    count : int

    Returns
    -------
    value : float
    vector : ndarray, shape (n,)
    residual : float
        ``|A v - value v|``: there is an eigenvalue at most that far.

    Examples
    --------
    >>> value, vector, residual = largest(lambda v: np.array([1.0, -3.0]) * v, np.ones(2), 2)
    >>> round(value, 12), residual < 1e-12
    (-3.0, True)

    References
    ----------
    B. N. Parlett, The Symmetric Eigenvalue Problem, SIAM (1998), chapter 13, doi:10.1137/1.9781611971163.
    """
    basis = [start / float(np.linalg.norm(start))]
    images: list[np.ndarray] = []
    for _ in range(min(count, start.size)):
        image = product(basis[-1])
        images.append(image)
        rest = image.copy()
        for _ in range(2):  # twice is enough
            for v in basis:
                rest -= (v @ rest) * v
        length = float(np.linalg.norm(rest))
        if length <= 1e-10 * max(float(np.linalg.norm(image)), 1e-300):
            break
        basis.append(rest / length)
    q, a = np.array(basis[: len(images)]), np.array(images)
    values, vectors = np.linalg.eigh((q @ a.T + a @ q.T) / 2)
    top = int(np.argmax(np.abs(values)))
    vector = vectors[:, top] @ q
    image = vectors[:, top] @ a
    value = float(values[top])
    return value, vector, float(np.linalg.norm(image - value * vector))
