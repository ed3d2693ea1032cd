"""Discrete optimisers on a loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from eomsym import checks
from eomsym.codegen.kernel import Kernel, kernel_of
from eomsym.dynamics.events import Event, checked_events, follow
from eomsym.dynamics.reach import reach
from eomsym.dynamics.trajectory import Trajectory
from eomsym.errors import DivergenceError, InputError, SizeError
from eomsym.losses.objective import Objective
from eomsym.optimisers.base import Method

__all__ = ["descend"]

#: Order to which the memory on the flow is taken.
MEMORY_ORDER = 4
#: More steps would take days, and more numbers than this gigabytes.
MOST_STEPS, MOST_NUMBERS = 10**10, 10**9


def descend(
    loss: Objective | Sequence[Objective] | Kernel,
    start: Any,
    *,
    eta: float,
    steps: int,
    method: Method | None = None,
    every: int = 1,
    memory: Any = "rest",
    late: bool | int = False,
    events: Sequence[Event] = (),
) -> Trajectory:
    """Run a discrete optimiser.

    Parameters
    ----------
    loss : Loss, Field, DeepLinear, Network, a list of them, or Kernel
        One for each batch of an `Epoch`; of a kernel its loss and method.
    start : array_like, shape (n,), or dict
        Parameters; for a method that keeps memories as states also all states by name.
    eta : float
        Learning rate; for a method that keeps its memory, its step.
    steps : int
    method : Method, optional
        Gradient descent by default, or that of the kernel.
    every : int
        Keep every so many iterates.
    memory : {"rest", "flow"} or ndarray, shape (k,)
        What a method with a memory remembers at the start. At rest, momentum is zero (and averages of the gradient
        too); on the flow, it is what the modified equation of order 4 says; or that of an earlier path.
    late : bool or int
        Whether bias corrections are over, as long after the start; or how many steps were made before, to go on with
        the `memory` of an earlier path.
    events : sequence of Event
        Functions of the parameters whose changes of sign are reported, and may end the run.

    Returns
    -------
    Trajectory
        With numbers of `steps`, and the `memory` at the end.

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
    kernel = kernel_of(loss, None if isinstance(loss, Kernel) else 0, method)
    theta = kernel.point(start)
    eta = checks.positive(eta, "eta")
    late = late if isinstance(late, bool) else checks.count(late, "late", 0)
    every = checks.count(every, "every", 1)
    steps = checked_steps(steps, len(theta), eta, least=0, every=every)
    runner = kernel.runner()
    remembered = _memory(kernel, theta, eta, memory)
    if found := checked_events(events):
        return _descend_with(kernel, (theta, remembered), eta, steps, every, late, found)
    out, left, bad = runner.run(theta, remembered, eta, steps, every, late)
    if bad:
        raise DivergenceError(
            f"the run diverged at step {bad} of {steps} with eta = {eta:g}; {_cure(kernel, out, eta, steps)}", step=bad
        )
    numbers = every * np.arange(len(out))
    times = np.asarray(eta * numbers, dtype=np.float64)
    return Trajectory(times, out, kernel, eta, evaluations=steps, steps=numbers, memory=left)


def _descend_with(
    kernel: Kernel, start: Any, eta: float, steps: int, every: int, late: bool | int, events: tuple[Event, ...]
) -> Trajectory:
    """A run that looks for events: at the records, and then step by step between two of them."""
    runner = kernel.runner()
    if runner.plan.clocks and late is not True:
        raise InputError(f"events need {kernel.method.name} without its first steps: type late=True")
    first = 0

    def run(state: Any, count: int, record: int) -> list[Any]:
        found = []
        for k in range(count):
            out, memory, bad = runner.run(state[0], state[1], eta, record, record, late)
            if bad:
                raise DivergenceError(
                    f"the run diverged at step {(first + k) * every + bad} of {steps} with eta = {eta:g}; "
                    "use a smaller learning rate",
                    step=(first + k) * every + bad,
                )
            state = (out[-1], memory)
            found.append(state)
        return found

    def advance(state: Any, begin: int, end: int) -> list[Any]:
        nonlocal first
        first = begin
        return run(state, end - begin, every)

    def locate(state: Any, record: int, function: Any) -> tuple[float, Any]:
        before, step = function(state), record * every
        while step < (record + 1) * every:
            (state,), step = run(state, 1, 1), step + 1
            if before * function(state) <= 0:
                break
        return eta * step, state

    states, crossings, end = follow(advance, locate, lambda s: s[0], start, steps // every, events)
    numbers = every * np.arange(len(states))
    if end is not None:
        states, numbers = [*states, end[1]], np.append(numbers, round(end[0] / eta))
    thetas = np.array([state[0] for state in states])
    times = np.asarray(eta * numbers, dtype=np.float64)
    spent, memory = int(numbers[-1]), states[-1][1]
    return Trajectory(
        times, thetas, kernel, eta, evaluations=spent, steps=numbers, memory=memory, events=tuple(crossings)
    )


def _cure(kernel: Kernel, thetas: np.ndarray, eta: float, steps: int) -> str:
    """What to do about a run that diverged: how far it is from stable, where that is known."""
    finite = thetas[np.isfinite(thetas).all(axis=1)]
    for place, theta in (("at the start", finite[0]), ("on the way", finite[-1])):
        try:
            found = reach(kernel, theta, eta, time=eta * steps)
        except (ArithmeticError, ValueError):  # a Hessian that is not finite
            continue
        if found.product > found.limit:
            return f"{place} {found.instability}"
    return "use a smaller learning rate"


def _memory(kernel: Kernel, theta: np.ndarray, eta: float, memory: Any) -> np.ndarray:
    """What the filters remember at the start."""
    if isinstance(memory, str):
        checks.choice(memory, "memory", ("rest", "flow"), ", or give the memory of a path")
        chosen = kernel if memory == "rest" else kernel.at_order(max(kernel.order, MEMORY_ORDER))
        return chosen.memories(theta, eta, rest=memory == "rest")
    expected = len(kernel.memories(theta, eta, rest=True))
    return checks.vector(memory, "memory", expected)


def checked_steps(steps: Any, size: int, eta: float, *, least: int = 1, every: int = 0) -> int:
    """A number of steps; SizeError where what is kept of them would not fit in memory, InputError for no finite time.

    Parameters
    ----------
    steps : object
    size : int
        Numbers that are kept of a step.
    eta : float
    least : int
    every : int
        Of how many steps one is kept, where a user has that choice.

    Examples
    --------
    >>> checked_steps(100, 2, 0.1)
    100
    """
    count = checks.count(steps, "steps", least, MOST_STEPS)
    if count // (every or 1) * size > MOST_NUMBERS:
        fewer = max(2, count // 1000, -(-count * size // MOST_NUMBERS))
        instead = f"keep fewer with every={fewer}" if every and fewer <= count else "take fewer"
        raise SizeError(f"{count} steps of {size} numbers would not fit in memory; {instead}")
    if not math.isfinite(float(eta) * count):
        raise InputError(f"{count} steps of eta={eta:g} take no finite time; use a smaller eta")
    return count
