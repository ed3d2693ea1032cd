"""Discrete optimisers on a loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from eomsym.codegen.kernel import Kernel, compile
from eomsym.codegen.numbers import nearest
from eomsym.errors import DivergenceError, InputError, MethodError, ShapeError
from eomsym.exact.methods import GradientDescent, Method
from eomsym.losses.objective import Objective

__all__ = ["DescentPath", "checked_eta", "descend"]


@dataclass(frozen=True, eq=False)
class DescentPath:
    """Iterates of a discrete optimiser.

    Attributes
    ----------
    thetas : ndarray, shape (m, n)
        The recorded iterates, the start first.
    steps : ndarray of int, shape (m,)
        Their numbers.
    eta : float
        Learning rate.
    """

    thetas: np.ndarray
    steps: np.ndarray
    eta: float

    @property
    def times(self) -> np.ndarray:
        """Times ``eta * steps``, shape (m,)."""
        return self.eta * self.steps


def descend(
    loss: Objective,
    start: Any,
    eta: float,
    steps: int,
    method: Method | None = None,
    *,
    every: int = 1,
    history: Any = None,
) -> DescentPath:
    """Run a discrete optimiser.

    Parameters
    ----------
    loss : Loss, Field, DeepLinear, Network
    start : array_like, shape (n,)
    eta : float
        Learning rate.
    steps : int
    method : Method, optional
        Gradient descent by default.
    every : int
        Keep every so many iterates.
    history : array_like, shape (k, n), optional
        Iterates -1, -2, … before the start, for methods with a memory. What is missing repeats the oldest one given,
        which is how momentum methods are started at rest.

    Returns
    -------
    DescentPath

    Raises
    ------
    InputError
        ``eta <= 0``, bad `start`, `steps` or `every`.
    DivergenceError
        The run left the finite numbers; ``error.step`` is the step at which it did.
    MethodError
        The method has no discrete form, or holds a symbol.

    Examples
    --------
    >>> import eomsym as eom
    >>> eom.descend(eom.Loss("x**2/2", variables="x"), [1.0], eta=0.5, steps=2).thetas.ravel()
    array([1.  , 0.5 , 0.25])
    """
    kernel = compile(loss, 0)
    return run(kernel, start, eta, steps, method, every=every, history=history)


def run(
    kernel: Kernel,
    start: Any,
    eta: float,
    steps: int,
    method: Method | None,
    *,
    every: int = 1,
    history: Any = None,
) -> DescentPath:
    """`descend` for a kernel that exists already."""
    loss = kernel.loss
    theta = loss.validate(start)
    eta = checked_eta(eta)
    steps, every = checked_count(steps, "steps", 0), checked_count(every, "every", 1)
    form = (method or GradientDescent()).general_linear()
    past, weights, extrapolation, coupling = (
        _numeric(part, method) for part in ([form.past], form.weights, form.extrapolation, form.coupling)
    )
    depth = max(past.shape[1], weights.shape[1] + extrapolation.shape[1] - 1) + 1
    ring = np.empty((depth, loss.size))
    ring[0] = theta
    given = np.atleast_2d(np.asarray(theta if history is None else history, dtype=np.float64))
    if given.shape[1] != loss.size or not np.isfinite(given).all():
        raise ShapeError(f"history has shape {given.shape}, expected (k, {loss.size}) of finite numbers")
    for back in range(1, depth):
        ring[-back] = given[min(back, len(given)) - 1]
    slopes = np.zeros((depth, len(weights), loss.size))
    compiled = kernel._compiled
    for back in range(1, weights.shape[1]):  # the field at the stages of earlier steps
        lags = extrapolation.shape[1]
        for stage in range(len(weights)):
            point = extrapolation[stage] @ np.array([ring[-min(back + lag, depth - 1)] for lag in range(lags)])
            slopes[-back, stage] = -kernel.gradient(point)
    out = np.empty((steps // every + 1, loss.size))
    machine, field, memory, _ = compiled.workspace(1, 0)
    bad = compiled.module.descend(
        ring,
        slopes,
        eta,
        steps,
        every,
        past[0],
        weights,
        extrapolation,
        coupling,
        machine,
        field,
        memory[0],
        out,
    )
    if bad:
        raise DivergenceError(
            f"the run diverged at step {bad} of {steps} with eta = {eta:g}; use a smaller learning rate",
            step=bad,
        )
    return DescentPath(out, every * np.arange(len(out)), eta)


def _numeric(part: Any, method: Method | None) -> np.ndarray:
    try:
        return np.array([[nearest(x) for x in row] for row in part], dtype=np.float64).reshape(len(part), -1)
    except (InputError, TypeError) as error:
        name = method.name if method else "the method"
        raise MethodError(f"{name} holds a symbol; give it a number to run, such as HeavyBall('9/10')") from error


def checked_eta(eta: Any) -> float:
    """A learning rate as a positive finite float."""
    try:
        number = float(eta)
    except (TypeError, ValueError) as error:
        raise InputError(f"eta must be a number > 0, got {eta!r}") from error
    if not 0 < number < float("inf"):
        raise InputError(f"eta must be a finite number > 0, got {eta!r}")
    return number


def checked_count(value: Any, name: str, least: int) -> int:
    """A count as an int."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise InputError(f"{name} must be an integer >= {least}, got {value!r}")
    return int(value)
