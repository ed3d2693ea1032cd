"""An optimiser on its losses as one program: the circuit, and its readings.

An optimiser is one circuit of array operations, gradients and filters that ends in the change ``u`` of a step
``theta+ = theta + eta u``. Its elements mean two things: for the running optimiser a filter is a recurrence and eta a
number; for a smooth motion a filter is a power series in ``eta d/dt``, eta the variable of the Taylor table, and the
step turns into ``theta' = chi(eta d/dt) u``. Both are programs made from the same nodes, :meth:`Circuit.terms` and
:meth:`Circuit.change`. Nothing after this module knows which optimiser it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sympy

from eomsym.errors import MethodError
from eomsym.exact.numbers import ETA
from eomsym.losses.builder import Builder, Value
from eomsym.losses.program import Node, Program
from eomsym.optimisers.base import Method
from eomsym.optimisers.filters import Filter

if TYPE_CHECKING:
    from eomsym.losses.objective import Block

__all__ = ["ETA", "Circuit"]


@dataclass(frozen=True)
class _Placed:
    """A filter of the circuit: its node, and whether its memory is empty at rest (else that of a standstill)."""

    node: int
    empty: bool


class Circuit:
    """What an optimiser writes its step with; every wire is an array with ``+ - * / @ .T`` (see :class:`Value`).

    Parameters
    ----------
    method : Method
    losses : sequence of Program
        Programs whose last output is a gradient; more than one for a method that sees batches.
    blocks : mapping of str to Block, optional
        Where named arrays of parameters lie, for optimisers that treat matrices as such.

    Attributes
    ----------
    theta : Value, shape (n, 1)
        The parameters.
    states : dict of str to slice
        Place of ``"theta"``, and of each memory that is kept as a state, in the whole vector.
    """

    def __init__(self, method: Method, losses: Sequence[Program], blocks: Mapping[str, Block] | None = None) -> None:
        self.method = method
        self.losses = tuple(losses)
        self.parameters = dict(blocks or {})
        if len(losses) != method.colours:
            raise MethodError(
                f"{method.name} takes {method.colours} losses, one for each batch, and got {len(losses)}; "
                "split a network with network.split(k), or give a list of losses"
                if method.colours > 1
                else f"{method.name} takes one loss, and got {len(losses)}; for batches use Epoch({len(losses)})"
            )
        n = losses[0].size
        for batch, program in enumerate(losses):
            if program.size != n:
                raise MethodError(f"batch {batch} has {program.size} parameters, and batch 0 has {n}; they must agree")
        self.states = {"theta": slice(0, n)}
        for name, size in method.kept(n).items():
            end = max(place.stop for place in self.states.values())
            self.states[name] = slice(end, end + size)
        total = max(place.stop for place in self.states.values())
        self.builder = Builder(total)
        self._open: set[int] = set()
        #: Whether a step needs its own result.
        self.implicit = False
        self.filters: list[_Placed] = []
        self.theta = self.state("theta")
        update = method.update(self)
        if not isinstance(update, Mapping):
            update = {"theta": update}
        if set(update) != set(self.states):
            raise MethodError(f"{method.name} gives a change of {sorted(update)}; expected {sorted(self.states)}")
        if self._open:
            raise MethodError(f"{method.name} leaves a feedback open; close it with what it feeds back")
        wires = [(place.start, self._column(update[name])) for name, place in self.states.items()]
        self.update = wires[0][1] if len(wires) == 1 else self.builder.join(wires, total)

    # elements -----------------------------------------------------------------------------------------------------

    def state(self, name: str) -> Value:
        """A state by name: ``"theta"``, or a memory that the method keeps."""
        place = self.states[name]
        if len(self.states) == 1:
            return self.builder.theta
        return self.builder.part(place.start, (place.stop - place.start, 1))

    def gradient(self, x: Value | None = None, batch: int = 0) -> Value:
        """Gradient g of a loss, weight decay included, at `x` (at the parameters by default)."""
        program = self.losses[batch]
        values = [self.theta if x is None else x]
        places = [self.builder.constant(array) for array in program.constants]
        for node in program.nodes[1:]:
            parameters = node.parameters
            if node.operation in {"constant", "shift", "weigh", "matmul_left", "matmul_right"}:
                parameters = (places[parameters[0]],)
            inputs = [values[i] for i in node.inputs]
            values.append(self.builder.apply(node.operation, inputs, node.shape, parameters))
        return self._marked(values[program.outputs[-1]])

    def _marked(self, g: Value) -> Value:
        """A gradient that is constant, or linear in the states, as a node that is known as a gradient.

        A filter is at rest where a gradient feeds it, and a constant would be multiplied by its gain from the start.
        """
        if g.fixed is not None:
            return self.builder.scaled(self.theta, 0) + g.fixed
        return g if self._sees_gradient(g.index) else self.builder.apply("reshape", [g], g.shape)

    def filter(self, x: Value, above: Sequence[Any], below: Sequence[Any] = (1,)) -> Value:
        """The recurrence ``sum_l below[l] w_(k-l) = sum_l above[l] x_(k-l)``.

        Before the start, w is 0 where it is fed by a gradient; elsewhere, and where it does not feed on itself, `x` is
        taken to have stood still.
        """
        return self._filtered(x, Filter(above, below))

    def average(self, x: Value, beta: Any) -> Value:
        """The exponential moving average ``w = beta w_before + (1 - beta) x``."""
        return self.filter(x, [1 - beta], [1, -beta])

    def times(self, x: Value, factor: Any = ETA) -> Value:
        """A wire times eta, or times a sympy expression in `ETA` that has a Taylor series at 0."""
        factor = sympy.sympify(factor)
        if not factor.has(ETA):
            return self.builder.multiply(x, factor)
        return self.builder.apply("series", [x], x.shape, (factor,))

    def feedback(self, size: int | None = None) -> tuple[Value, Callable[[Value], None]]:
        """``eta`` times a wire that is written later, and the function that says which: for implicit steps."""
        rows = self.losses[0].size if size is None else size
        node = Node("series", (0,), (rows, 1), (ETA,))  # reads the parameters until it is closed
        self.builder.nodes.append(node)
        index = len(self.builder.nodes) - 1
        self._open.add(index)

        def close(value: Value) -> None:
            self.builder.nodes[index] = Node("series", (value.index,), node.shape, node.parameters)
            self._open.discard(index)
            self.implicit = True

        return Value(self.builder, index), close

    def correction(self, beta: Any) -> Value:
        """``1/(1 - beta**k)`` in step k = 1, 2, …, a number that tends to 1; on the modified flow it is 1."""
        return self.builder.apply("correction", [], (1, 1), (sympy.sympify(beta),))

    def function(self, name: str, x: Value) -> Value:
        """An elementary function, entry by entry, by name."""
        return x.call(name)

    def root(self, x: Value) -> Value:
        """Square root, entry by entry."""
        return x.power(sympy.S.Half)

    def dot(self, x: Value, y: Value) -> Value:
        """The inner product of two arrays, shape (1, 1)."""
        return self.builder.sum(x * y)

    def norm(self, x: Value) -> Value:
        """The Euclidean norm of all entries, shape (1, 1)."""
        return self.root(self.builder.sum(x.squared()))

    def choose(self, x: Value, decides: Value, above: Any = 1, below: Any = 0) -> Value:
        """`x` times `above` where `decides` is positive, times `below` elsewhere: exact inside each region."""
        return self.builder.elementwise("gate", x, decides, parameters=(above, below))

    def blocks(self, x: Value) -> dict[str, Value]:
        """The named arrays of parameters that lie in a vector; what is not a matrix stays a column."""
        found = {}
        for name, block in self.parameters.items():
            shape = block.shape if len(block.shape) == 2 else (block.size, 1)
            found[name] = self.builder.apply("part", [x], (shape[0], shape[1]), (block.start,))
        return found

    def vector(self, blocks: Mapping[str, Value]) -> Value:
        """The vector of named arrays: the inverse of :meth:`blocks`."""
        pieces = [(self.parameters[name].start, value) for name, value in blocks.items()]
        return self.builder.join(pieces, self.losses[0].size)

    # readings -----------------------------------------------------------------------------------------------------

    def terms(self) -> Program:
        """The program of ``-theta' = -chi(eta d/dt) u``, whose coefficient of ``eta**k`` is counter term k."""
        return self.builder.finish([self._terms()])

    def _terms(self) -> Value:
        step = self._filtered(self.update, Filter([1], [1], step=True), keep=True)
        return -(self.update if self.method.is_flow else step)

    def change(self) -> Program:
        """The program of u, the change of a step over eta."""
        if self.method.is_flow:
            raise MethodError(f"{self.method.name} has no discrete step; use GradientDescent() for one")
        return self.builder.finish([self.update])

    def memory(self) -> Program:
        """The terms, and what the filters of :meth:`change` remember along the flow, one behind the other."""
        wires, place = [], 0
        for placed in self._used():
            node = self.builder.nodes[placed.node]
            for part in node.parameters[0].memory():
                wires.append((place, self._filtered(Value(self.builder, node.inputs[0]), part, keep=True)))
                place += node.size
        return self.builder.finish([self._terms(), self.builder.join(wires, place)])

    def empty_at_rest(self) -> list[bool]:
        """For each number that :meth:`memory` gives, whether it is zero at rest."""
        found = []
        for placed in self._used():
            node = self.builder.nodes[placed.node]
            found += [placed.empty] * (node.parameters[0].taps * node.size)
        return found

    def outputs(self) -> Program:
        """The terms, and what the method gives beside its parameters, one output behind the other."""
        wires = self._outputs()
        places = self.output_places()
        size = max(place.stop for place in places.values())
        joined = self.builder.join([(places[name].start, wire) for name, wire in wires.items()], size)
        return self.builder.finish([self._terms(), joined])

    def output_places(self) -> dict[str, slice]:
        """Where each output stands in that of :meth:`outputs`."""
        found, end = {}, 0
        for name, wire in self._outputs().items():
            found[name] = slice(end, end + wire.shape[0])
            end += wire.shape[0]
        return found

    def _outputs(self) -> dict[str, Value]:
        give = getattr(self.method, "outputs", None)
        if give is None:
            raise MethodError(f"{self.method.name} has no outputs; average its weights with Averaged(method, '9/10')")
        return {name: self._column(wire) for name, wire in give(self).items()}

    def _used(self) -> list[_Placed]:
        """The filters of :meth:`change`, in the order of its nodes."""
        whole = Program(tuple(self.builder.nodes), tuple(self.builder.constants), ())
        keep = set(whole.needed([self.update.index]))
        return sorted((placed for placed in self.filters if placed.node in keep), key=lambda placed: placed.node)

    # helpers ------------------------------------------------------------------------------------------------------

    def _column(self, value: Value) -> Value:
        if not isinstance(value, Value):
            raise MethodError(f"{self.method.name} gives a change of type {type(value).__name__}; expected a wire")
        if value.shape[1] != 1:
            raise MethodError(f"{self.method.name} gives a change of shape {value.shape}; expected a column")
        return value

    def _filtered(self, x: Value, chosen: Filter, keep: bool = False) -> Value:
        """The wire behind a filter; filters one behind the other become one, and weights pass through."""
        node = self.builder.nodes[x.index]
        if x.fixed is not None:
            return self.builder.multiply(x, chosen.gain)
        if node.operation == "scaled":
            inner = self._filtered(Value(self.builder, node.inputs[0]), chosen, keep)
            return self.builder.scaled(inner, node.parameters[0])
        if node.operation == "filter":
            return self._filtered(Value(self.builder, node.inputs[0]), node.parameters[0] * chosen, keep)
        if chosen.trivial:
            return x
        value = self.builder.apply("filter", [x], x.shape, (chosen,))
        if not keep and all(placed.node != value.index for placed in self.filters):
            fed = len(chosen.below) > 1 and self._sees_gradient(x.index)
            self.filters.append(_Placed(value.index, fed))
        return value

    def _sees_gradient(self, index: int) -> bool:
        """Whether a wire is more than a linear function of the states."""
        linear = {"theta", "part", "scaled", "add", "filter", "join"}
        whole = Program(tuple(self.builder.nodes), (), ())
        return any(whole.nodes[i].operation not in linear for i in whole.needed([index]))
