"""Discrete optimisers on a loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eomsym.codegen.kernel import Kernel, checked_losses
from eomsym.errors import DivergenceError, InputError, ShapeError
from eomsym.losses.objective import Objective
from eomsym.optimisers.base import Method
from eomsym.optimisers.linear import GradientDescent

__all__ = ["DescentPath", "checked_eta", "descend"]


@dataclass(frozen=True, eq=False)
class DescentPath:
    """Iterates of a discrete optimiser.

    Attributes
    ----------
    thetas : ndarray, shape (m, n)
        The recorded iterates, the start first; behind the parameters the memories that the method keeps as states.
    steps : ndarray of int, shape (m,)
        Their numbers.
    eta : float
        Learning rate.
    memory : ndarray, shape (k,)
        What the filters of the method remember at the end; as `memory` of the next run it goes on where this one ends.
    """

    thetas: np.ndarray
    steps: np.ndarray
    eta: float
    memory: np.ndarray

    @property
    def times(self) -> np.ndarray:
        """Times ``eta * steps``, shape (m,)."""
        return self.eta * self.steps


def descend(
    loss: Objective | Sequence[Objective],
    start: Any,
    eta: float,
    steps: int,
    method: Method | None = None,
    *,
    every: int = 1,
    memory: Any = "rest",
    late: bool = False,
) -> DescentPath:
    """Run a discrete optimiser.

    Parameters
    ----------
    loss : Loss, Field, DeepLinear, Network, or a list of them
        One for each batch of an `Epoch`.
    start : array_like, shape (n,), or dict
        Parameters; for a method that keeps memories as states also all states by name.
    eta : float
        Learning rate; for a method that keeps its memory, its step.
    steps : int
    method : Method, optional
        Gradient descent by default.
    every : int
        Keep every so many iterates.
    memory : {"rest", "flow"} or ndarray, shape (k,)
        What a method with a memory remembers at the start. At rest, momentum is zero (and averages of the gradient
        too); on the flow, it is what the modified equation of order 4 says; or that of an earlier path.
    late : bool
        Whether bias corrections are over, as long after the start.

    Returns
    -------
    DescentPath

    Raises
    ------
    InputError
        ``eta <= 0``, bad `start`, `steps`, `every` or `memory`.
    DivergenceError
        The run left the finite numbers; ``error.step`` is the step at which it did.
    MethodError
        The method has no discrete form, holds a symbol, or the losses are not those of its batches.

    Examples
    --------
    >>> import eomsym as eom
    >>> eom.descend(eom.Loss("x**2/2", variables="x"), [1.0], eta=0.5, steps=2).thetas.ravel()
    array([1.  , 0.5 , 0.25])
    """
    kernel = Kernel(checked_losses(loss, method or GradientDescent()), 0, method or GradientDescent())
    return run(kernel, start, eta, steps, every=every, memory=memory, late=late)


#: Order to which the memory on the flow is taken.
MEMORY_ORDER = 4


def run(
    kernel: Kernel,
    start: Any,
    eta: float,
    steps: int,
    method: Method | None = None,
    *,
    every: int = 1,
    memory: Any = "rest",
    late: bool = False,
) -> DescentPath:
    """`descend` for a kernel that exists already; of its method, if no other one is given."""
    if method is not None and method != kernel.method:
        kernel = Kernel(kernel.losses, kernel.order, method)
    theta = kernel.point(start)
    eta = checked_eta(eta)
    steps, every = checked_count(steps, "steps", 0), checked_count(every, "every", 1)
    runner = kernel.runner()
    remembered = _memory(kernel, theta, eta, memory)
    out, left, bad = runner.run(theta, remembered, eta, steps, every, late)
    if bad:
        raise DivergenceError(
            f"the run diverged at step {bad} of {steps} with eta = {eta:g}; use a smaller learning rate",
            step=bad,
        )
    return DescentPath(out, every * np.arange(len(out)), eta, left)


def _memory(kernel: Kernel, theta: np.ndarray, eta: float, memory: Any) -> np.ndarray:
    """What the filters remember at the start."""
    if isinstance(memory, str):
        if memory not in {"rest", "flow"}:
            raise InputError(f"unknown memory {memory!r}; choose 'rest', 'flow', or the memory of a path")
        chosen = kernel if memory == "rest" else kernel.at_order(max(kernel.order, MEMORY_ORDER))
        return chosen.memories(theta, eta, rest=memory == "rest")
    expected = kernel.memories(theta, eta, rest=True).shape
    found = np.array(memory, dtype=np.float64)
    if found.shape != expected or not np.isfinite(found).all():
        raise ShapeError(f"memory has shape {found.shape}, expected {expected} of finite numbers")
    return found


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
