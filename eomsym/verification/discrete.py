"""The discrete run that a verification judges, and how far it can be trusted.

The judged iterates come from `eomsym.descend`. A second, independent implementation, the circuit read by NumPy node
by node, repeats the run a few times with every iterate moved at random by up to one unit in the last place. The
largest distance of these runs from the judged one measures its rounding error; a mistake in either implementation
shows up there too.

**Methods that remember.** The modified flow describes the *principal* solution of a method with a memory; any other
memory at the start, such as none, excites parasitic modes, an error of order ``eta`` that no counter term can remove.
So the memory is taken from the modified flow at the start: a filter's memory is a power series in eta there, as the
terms are. With its order two above that of the leading error, the mistake is ``O(eta**3)`` times what is judged. It
is measured too: the run is repeated with a memory of one order less."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from eomsym.codegen.kernel import Kernel
from eomsym.codegen.numbers import nearest
from eomsym.dynamics.descent import descend
from eomsym.errors import DivergenceError, MethodError
from eomsym.losses.operations import operation
from eomsym.losses.program import Program
from eomsym.types import Array

if TYPE_CHECKING:
    from eomsym.losses.objective import Objective
    from eomsym.optimisers.base import Method

__all__ = ["Optimiser", "PlainRun"]


NOISY_RUNS = 3
LONG, PIECES = 1000, 250  # steps; pieces of a longer run
MOST_ITERATIONS = 200  # of an implicit step


class PlainRun:
    """A circuit read step by step with NumPy: every node an array, every filter a recurrence.

    Parameters
    ----------
    program : Program
        The change of a step, from `Circuit.change`.
    eta : float
    memory : ndarray, shape (k,)
        What the filters remember at the start.
    """

    def __init__(self, program: Program, eta: float, memory: Array) -> None:
        self.eta = eta
        exact = tuple(np.asarray(array, dtype=np.float64) for array in program.constants)
        self.program = Program(program.nodes, exact, program.outputs)
        self.values: list[Any] = [np.zeros(node.shape) for node in program.nodes]
        self.taps: dict[int, tuple[Array, Array, Array]] = {}
        place = 0
        for index, node in enumerate(program.nodes):
            if node.operation == "filter":
                above, below = (np.array(row, dtype=np.float64) for row in node.parameters[0].coefficients())
                count = node.parameters[0].taps
                kept = memory[place : place + count * node.size].reshape(count, *node.shape)
                self.taps[index] = (above, below, np.concatenate([kept, np.zeros((1, *node.shape))]))
                place += count * node.size
        self.factors = {
            index: nearest(node.parameters[0].subs(dict.fromkeys(node.parameters[0].free_symbols, eta)))
            for index, node in enumerate(program.nodes)
            if node.operation == "series"
        }
        self.implicit = any(i >= k for k, node in enumerate(program.nodes) for i in node.inputs)

    def change(self, theta: Array) -> Array:
        """Change over eta, shape (n,), of a step from `theta`; the filters go one step on."""
        output = self.program.outputs[0]
        with np.errstate(all="ignore"):
            for _ in range(MOST_ITERATIONS if self.implicit else 1):
                before = self.values[output]
                self._evaluate(theta)
                step = np.max(np.abs(self.values[output] - before))
                if self.implicit and (not np.isfinite(step) or step <= 1e-15 * np.max(np.abs(before))):
                    break
            else:
                if self.implicit and step > 1e-12 * np.max(np.abs(before)):
                    raise MethodError("the implicit step does not converge; take more steps")
        for index, (above, below, memory) in self.taps.items():
            x, z = self.values[self.program.nodes[index].inputs[0]], self.values[index]
            for k in range(len(memory) - 1):
                memory[k] = above[k + 1] * x - below[k + 1] * z + memory[k + 1]
        found: Array = self.values[output].ravel()
        return found

    def _evaluate(self, theta: Array) -> None:
        for index, node in enumerate(self.program.nodes):
            inputs = [self.values[i] for i in node.inputs]
            if node.operation == "theta":
                self.values[index] = theta.reshape(-1, 1)
            elif node.operation == "filter":
                above, _, memory = self.taps[index]
                self.values[index] = above[0] * inputs[0] + memory[0]
            elif node.operation == "series":
                self.values[index] = self.factors[index] * inputs[0]
            elif node.operation == "correction":
                self.values[index] = np.ones((1, 1))  # long after the start
            else:
                value = operation(node.operation).value(self.program, node, *inputs)
                self.values[index] = np.asarray(value).reshape(node.shape)


class Optimiser:
    """One method on its losses, ready to run from the principal start.

    Parameters
    ----------
    losses : Objective, or a sequence of them
        One for each batch of the method.
    method : Method
        Not a flow.

    Raises
    ------
    MethodError
        If the method has no discrete form, or the losses are not those of its batches.

    Examples
    --------
    >>> import numpy as np
    >>> import eomsym as eom
    >>> loss, method = eom.Loss("x**2/2", variables="x"), eom.GradientDescent()
    >>> optimiser = Optimiser(loss, method)
    >>> theta, doubt = optimiser.run(1, np.ones(1), 0.5, 3)
    >>> float(theta[0]), doubt < 1e-15
    (0.125, True)
    """

    def __init__(self, losses: Any, method: Method) -> None:
        self.losses: tuple[Objective, ...] = tuple(losses) if isinstance(losses, (list, tuple)) else (losses,)
        self.method = method
        self.change = Kernel(self.losses, 0, method).circuit.change()

    @property
    def remembers(self) -> bool:
        """Whether a step needs more than the iterate."""
        return any(node.operation == "filter" for node in self.change.nodes)

    @property
    def extra_order(self) -> int:
        """How much more order than the judged one the kernel needs."""
        return 3 if self.remembers else 1

    def run(self, order: int, start: Array, eta: float, steps: int) -> tuple[Array, float]:
        """Run the method from its principal start.

        Parameters
        ----------
        order : int
            That of the flow which gives the memory at the start.
        start : ndarray, shape (n,)
        eta : float
        steps : int

        Returns
        -------
        theta : ndarray, shape (n,)
            After `steps` steps.
        doubt : float
            Measured Euclidean error, of rounding and of the memory.

        Raises
        ------
        DivergenceError
            If an iterate is not finite.
        """
        kernel = Kernel(self.losses, order, self.method)
        memory = kernel.memories(start, eta)
        final = self._judged(kernel, start, eta, steps, memory)
        rng = np.random.default_rng(0)  # a fixed seed: the same command gives the same report
        repeat = self._repeat if steps <= LONG else partial(self._repeat_in_pieces, kernel)
        repeats = [repeat(start, eta, steps, memory, rng) for _ in range(NOISY_RUNS)]
        rounding = max(float(np.linalg.norm(other - final)) for other in repeats)
        if not len(memory):
            return final, rounding
        poorer = self._judged(kernel, start, eta, steps, kernel.at_order(order - 1).memories(start, eta))
        return final, rounding + float(np.linalg.norm(poorer - final))

    def path(self, start: Array, eta: float, steps: int, every: int) -> Array:
        """Iterates of the method, shape (m, n), every so many."""
        found: Array = descend(Kernel(self.losses, 0, self.method), start, eta=eta, steps=steps, every=every).thetas
        return found

    @staticmethod
    def _judged(kernel: Kernel, start: Array, eta: float, steps: int, memory: Array) -> Array:
        """Last iterate ``(n,)`` of the run that is judged."""
        path = descend(kernel, start, eta=eta, steps=steps, every=steps, memory=memory, late=True)
        last: Array = path.thetas[-1]
        return last

    @staticmethod
    def _repeat_in_pieces(
        kernel: Kernel, start: Array, eta: float, steps: int, memory: Array, rng: np.random.Generator
    ) -> Array:
        """Last iterate of the compiled run, moved after each piece by what its steps may have been rounded by."""
        theta, piece = start, -(-steps // PIECES)
        for done in range(0, steps, piece):
            count = min(piece, steps - done)
            path = descend(kernel, theta, eta=eta, steps=count, every=count, memory=memory, late=True)
            theta, memory = path.thetas[-1], memory if path.memory is None else path.memory
            theta = theta + count * np.spacing(theta) * rng.uniform(-1, 1, theta.shape)
        return theta

    def _repeat(
        self, start: Array, eta: float, steps: int, memory: Array, rng: np.random.Generator | None = None
    ) -> Array:
        """Last iterate ``(n,)`` of the second implementation; each iterate is moved if ``rng`` is given."""
        theta = start
        plain = PlainRun(self.change, eta, memory)
        for step in range(1, steps + 1):
            theta = theta + eta * plain.change(theta)
            if not np.all(np.isfinite(theta)):
                raise DivergenceError(f"{self.method.name} leaves the finite numbers at step {step}", step)
            if rng is not None:
                theta = theta + np.spacing(theta) * rng.integers(-1, 2, theta.shape)
        return theta
