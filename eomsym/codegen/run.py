"""Plans made ready to run: numbers, the module that runs them, and memory for each thread."""

from __future__ import annotations

import threading

import numpy as np

from eomsym.codegen.backends.interpreter import Loop
from eomsym.codegen.memory import check_memory
from eomsym.codegen.numbers import nearest, to_float
from eomsym.taylor.instructions import entries
from eomsym.taylor.plan import Plan
from eomsym.taylor.table import term_rows

__all__ = ["Machine", "Runner"]


#: Tables of fewer bytes are small.
SMALL = 2**20


class Machine:
    """A plan on the interpreter: coefficients of its outputs at points."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.numbers = np.concatenate([to_float(piece) for piece in plan.pieces])
        self.loop = Loop(plan, discrete=False)
        self.code = self.loop.encoded(plan.instructions)
        self.integers = np.array(plan.integers, dtype=np.int64)
        self._weights: dict[int, np.ndarray] = {}
        self._rows: dict[int, np.ndarray] = {}
        self._local = threading.local()

    def fill(self, given: np.ndarray, order: int, rows: np.ndarray, out: np.ndarray, output: int = 0) -> None:
        """Rows of an output's table at points into `out`.

        Parameters
        ----------
        given : ndarray, shape (points, coefficients, size)
            Taylor coefficients in s of the parameters, from degree 0 on.
        order : int
        rows : ndarray of int
        out : ndarray, shape (points, len(rows), lanes)
        output : int
            Which output of the plan.
        """
        memory, data = self._workspace(order)
        table = self.plan.tables[self.plan.outputs[output]]
        self.loop.run(self.code, data, memory, given, order, table.start, table.lanes, rows, out)

    def terms(self, points: np.ndarray, order: int, out: np.ndarray) -> None:
        """Terms 0..order at points in rows."""
        if order not in self._rows:
            self._rows[order] = term_rows(self.plan, order)
        self.fill(points[:, None], order, self._rows[order], out)

    def culprit(self, point: np.ndarray, order: int) -> str:
        """What is computed by the first instruction that gives a number which is not finite, at a point."""
        out = np.empty((1, order + 1, self.plan.tables[self.plan.outputs[0]].lanes))
        self.terms(point.reshape(1, -1), order, out)
        memory, count = self._workspace(order)[0], entries(order)
        for d in range(order + 1):
            for line in self.plan.instructions:
                table = self.plan.tables[line.out]
                entry = memory[table.start * count :][: count * table.lanes].reshape(count, -1)
                if line.primitive != "state" and not np.isfinite(entry[entries(d - 1) : entries(d)]).all():
                    return line.comment
        return "the terms themselves"

    def _weights_of(self, order: int) -> np.ndarray:
        if order not in self._weights:
            self._weights[order] = np.array([nearest(x) for line in self.plan.weights(order) for x in line])
        return self._weights[order]

    def bytes(self, order: int) -> int:
        """What a thread allocates for terms 0..order: its tables and scratch memory."""
        return 8 * (self.plan.lanes * entries(order) + self.plan.scratch_for(order) + 1)

    def _workspace(self, order: int) -> tuple[np.ndarray, np.ndarray]:
        """Memory of this thread, and the addresses of all data, kept for its next call."""
        known = self._local.__dict__.setdefault("spaces", {})
        if order not in known:
            # Orders are used in turn: small tables of all of them are kept, of large ones those of two orders.
            if len(known) >= (8 if self.bytes(order) < SMALL else 2):
                known.pop(next(iter(known)))
            check_memory(self.bytes(order), f"terms to order {order}")
            memory, scratch = np.zeros(self.plan.lanes * entries(order)), np.zeros(self.plan.scratch_for(order) + 1)
            data = addresses(memory, self.integers, self.numbers, self._weights_of(order), scratch)
            known[order] = memory, data, scratch
        space: tuple[np.ndarray, np.ndarray, np.ndarray] = known[order]
        return space[:2]


def addresses(
    memory: np.ndarray, integers: np.ndarray, numbers: np.ndarray, weights: np.ndarray, scratch: np.ndarray
) -> np.ndarray:
    """Addresses and lengths, as the loops want them; whoever asks keeps the arrays."""
    found = [memory.ctypes.data, integers.ctypes.data, integers.size, numbers.ctypes.data, numbers.size]
    return np.array([*found, weights.ctypes.data, scratch.ctypes.data, scratch.size], dtype=np.int64)


class Runner:
    """A discrete plan on the interpreter: the running optimiser."""

    def __init__(self, plan: Plan, implicit: bool) -> None:
        self.plan, self.implicit = plan, implicit
        self.numbers = np.concatenate([to_float(piece) for piece in plan.pieces])
        self.loop = Loop(plan, discrete=True)
        self.code, self.after = self.loop.encoded(plan.instructions), self.loop.encoded(plan.after)
        self.integers = np.array(plan.integers, dtype=np.int64)

    def run(
        self, theta: np.ndarray, memory: np.ndarray, eta: float, steps: int, every: int, late: bool | int = False
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """Run some steps.

        Parameters
        ----------
        theta : ndarray, shape (n,)
            All states.
        memory : ndarray, shape (k,)
            What the filters remember, one after the other.
        eta : float
        steps, every : int
            Keep every so many iterates.
        late : bool or int
            Whether bias corrections have become 1, as long after the start; or how many steps were made before.

        Returns
        -------
        iterates : ndarray, shape (steps // every + 1, n)
        memory : ndarray, shape (k,)
            At the end.
        bad : int
            The step at which the run left the finite numbers; 0 if it did not.
        """
        m = np.zeros(self.plan.lanes)
        m[: len(theta)] = theta
        places = self._places(self.plan.memories)
        m[places] = memory
        for clock, rate in self.plan.clocks:
            m[self._places((clock,))] = (0.0 if late else 1.0) if isinstance(late, bool) else rate**late
        numbers = self.numbers.copy() if self.plan.factors else self.numbers
        for place, factor in self.plan.factors:
            numbers[place] = nearest(factor.subs(dict.fromkeys(factor.free_symbols, eta)))
        out = np.empty((steps // every + 1, len(theta)))
        update = self.plan.tables[self.plan.outputs[0]].start
        scratch = np.zeros(self.plan.scratch_for(0) + 1)
        data = addresses(m, self.integers, numbers, scratch, scratch)
        bad = self.loop.run(self.code, self.after, data, m, eta, steps, every, self.implicit, update, out)
        return out, m[places], bad

    def _places(self, numbers: tuple[int, ...]) -> np.ndarray:
        """Where the numbers of some tables lie."""
        found = [np.arange(t.start, t.start + t.lanes) for t in (self.plan.tables[k] for k in numbers)]
        return np.concatenate([np.zeros(0, dtype=np.int64), *found]).astype(np.int64)
