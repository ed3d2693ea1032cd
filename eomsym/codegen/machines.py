"""What belongs to a loss and a method: circuits, machines and steppers, made once and shared by kernels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from eomsym.codegen.backends import explicit
from eomsym.codegen.backends.jax import JaxMachine
from eomsym.codegen.backends.series import Stepper
from eomsym.codegen.run import Machine, Runner
from eomsym.codegen.store import load
from eomsym.errors import InputError, MethodError, SizeError
from eomsym.losses.gradient import tangent
from eomsym.losses.objective import Objective
from eomsym.losses.program import Program
from eomsym.optimisers.base import Method
from eomsym.optimisers.linear import Epoch
from eomsym.taylor.circuit import Circuit
from eomsym.taylor.plan import Plan, circuit_of

__all__ = ["SHORT", "Machines", "checked_losses", "checked_numbers"]

#: Circuits and machines of losses, for each method; they go when the loss goes.
_KNOWN: WeakKeyDictionary[Objective, dict[Any, Any]] = WeakKeyDictionary()
#: Machines are made for this order at least, so that neighbouring orders share them.
CAPACITY = 6
#: Predicted operations of terms up to which a Taylor stepper is made (in a tenth of a second or two).
SHORT = 20_000


def checked_losses(loss: Any, method: Method) -> tuple[Objective, ...]:
    """The losses of a method, one for each batch; MethodError where their number is not that of its batches."""
    if isinstance(loss, Machines):
        return loss.losses
    losses = tuple(loss) if isinstance(loss, (list, tuple)) else (loss,)
    for one in losses:
        if not isinstance(one, Objective):
            raise InputError(f"expected a loss such as eomsym.Loss('x**2', variables='x'), got {type(one).__name__}")
    if len(losses) == 1 and method.colours > 1:
        raise MethodError(
            f"{method.name} needs {method.colours} losses, one for each batch, and got one; "
            f"give a list of losses, or network.split({method.colours})"
        )
    if len(losses) != method.colours:
        raise MethodError(
            f"{method.name} takes {method.colours} loss{'es' * (method.colours > 1)} and got {len(losses)}; "
            f"for one loss for each batch use {Epoch.__name__}({len(losses)})"
        )
    return losses


def checked_numbers(method: Method) -> None:
    """MethodError where a method holds a symbol."""
    if method.symbols:
        raise MethodError(
            f"{method.name} holds the symbol {', '.join(method.symbols)}; give it a number to compile or to run, "
            "for instance eomsym.HeavyBall('9/10')"
        )


@dataclass(frozen=True, eq=False)
class Machines:
    """Losses and a method to an order, and what runs them; the part of a kernel that compiles."""

    losses: tuple[Objective, ...]
    order: int
    method: Method
    form: str = "auto"
    backend: str = "numba"
    dtype: str = "float64"

    @property
    def loss(self) -> Objective:
        """The loss; the first one, where there is one for each batch."""
        return self.losses[0]

    @cached_property
    def size(self) -> int:
        """Numbers of a point: the parameters, and the memories that the method keeps as states."""
        return self.loss.size + sum(self.method.kept(self.loss.size).values())

    def _cached(self, key: Any, make: Any) -> Any:
        """What belongs to the losses and not to this kernel alone: losses never change, and equal ones share it."""
        store = _KNOWN.setdefault(self.loss, {})
        whole = (key, self.losses[1:])
        if whole not in store:
            store[whole] = make()
        return store[whole]

    @property
    def circuit(self) -> Circuit:
        """The optimiser on its losses."""
        made: Circuit = self._cached(("circuit", self.method), lambda: circuit_of(list(self.losses), self.method))
        return made

    def _machine_of(self, kind: str, program: Any, flow: bool = True) -> Machine | JaxMachine:
        if flow:
            checked_numbers(self.method)
        capacity = max(self.order, CAPACITY)
        key = (kind, self.method if flow else None, capacity, self.backend, self.dtype)

        def make() -> Machine | JaxMachine:
            plan = Plan.of(program(), capacity, flow=flow)
            return Machine(plan) if self.backend == "numba" else JaxMachine(plan, self.dtype)

        made: Machine | JaxMachine = self._cached(key, make)
        return made

    @cached_property
    def _terms(self) -> Machine | JaxMachine:
        return self._machine_of("terms", lambda: self.circuit.terms())

    @cached_property
    def _gradient(self) -> Machine | JaxMachine:
        """The gradient of the first loss along given curves."""
        return self._machine_of("gradient", lambda: self.loss.program.pruned(self.loss.program.outputs[-1:]), False)

    def _tangent(self) -> Program:
        terms = self.circuit.terms()
        return tangent(terms, terms.outputs[0])

    @cached_property
    def _linearised(self) -> Machine | JaxMachine:
        """The terms and their derivatives along a direction, as one flow of twice the size."""
        return self._machine_of("linearised", self._tangent)

    @cached_property
    def _pays(self) -> float:
        """From how many points at once on the explicit form pays."""
        return explicit.worth_it(self._terms.plan, self.order)

    @cached_property
    def _explicit(self) -> tuple[explicit.Explicit, ModuleType]:
        written = explicit.Explicit(Plan.of(self.circuit.terms(), self.order, flow=True), self.order)
        return written, load(written.source)

    @cached_property
    def _linearised_explicit(self) -> ModuleType:
        """The same as a closed form."""
        return load(explicit.Explicit(Plan.of(self._tangent(), self.order, flow=True), self.order).source)

    @property
    def bytes(self) -> int:
        """Memory that terms at a point take, in bytes, known before anything is allocated.

        Each thread takes as much. `terms` refuses with a SizeError what does not fit.

        Examples
        --------
        >>> import numpy as np
        >>> import eomsym as eom
        >>> kernel = eom.compile(eom.Network((784, 50, 10), np.zeros((200, 784)), np.zeros((200, 10))), 4)
        >>> round(kernel.bytes / 2**20)
        31
        """
        return self._terms.bytes(self.order)

    def stepper(self, lanes: int = 2, most: int = SHORT) -> Stepper | None:
        """The compiled Taylor stepper of the equation of motion; None where the loss is too long for one.

        Parameters
        ----------
        lanes : {2, 8}
            Trajectories side by side.
        most : int
            Operations of the terms, as predicted, beyond which there is none.
        """
        own: dict[tuple[int, int], Stepper | None] = self.__dict__.setdefault("_steppers", {})
        if (lanes, most) not in own:
            own[lanes, most] = self._made_stepper(lanes, most)
        return own[lanes, most]

    def _made_stepper(self, lanes: int, most: int) -> Stepper | None:
        checked_numbers(self.method)
        if self.backend == "jax":
            return None

        def make() -> Stepper | None:
            plan = Plan.of(self.circuit.terms(), self.order, flow=True)
            # A root of a square changes its branch where the square touches zero, which a series does not see.
            if "power" in plan.functions or explicit.predicted(plan, self.order) > most:
                return None
            try:
                return Stepper.of(plan, self.order, lanes, 2 * most)
            except SizeError:
                return None

        made: Stepper | None = self._cached(("stepper", self.method, self.order, lanes, most), make)
        return made

    def runner(self) -> Runner:
        """The running optimiser."""
        checked_numbers(self.method)
        circuit = self.circuit
        made: Runner = self._cached(
            ("runner", self.method), lambda: Runner(Plan.of(circuit.change(), discrete=True), circuit.implicit)
        )
        return made
