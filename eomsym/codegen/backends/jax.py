"""The reading of instructions over arrays of JAX: for large models, on any device that JAX knows.

Every degree of the sweep is one jitted function: from the tables of the degrees below to those of this one. So what a
degree has computed lies in memory, and the compiler cannot compute it anew for each of its readers. The tables of one
call are given to the next one to be written over: memory that is new costs as much as half of the arithmetic.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from itertools import groupby
from math import factorial
from typing import Any

import numpy as np

from eomsym import checks
from eomsym.codegen.backends.jax_rules import FUNCTIONS, Early, Entries, Sweep
from eomsym.codegen.memory import check_memory
from eomsym.codegen.numbers import nearest, to_float
from eomsym.errors import ExpressionError, MissingDependencyError
from eomsym.taylor.instructions import SKIP, Instruction, entries
from eomsym.taylor.plan import Plan
from eomsym.taylor.table import term_rows

__all__ = ["DTYPES", "JaxMachine"]

DTYPES = ("float64", "float32")
#: Instructions that read lower degrees of their inputs x and y, or of x alone.
READS_BOTH = frozenset({"convolve", "matmuls", "gate"})
READS_FIRST = frozenset({"state", "series", "times_first"})


class JaxMachine:
    """A plan over arrays of JAX: coefficients of its outputs at points, as :class:`eomsym.codegen.run.Machine`.

    Parameters
    ----------
    plan : Plan
    dtype : {"float64", "float32"}

    Raises
    ------
    MissingDependencyError
        JAX is not installed.
    ExpressionError
        A function of the loss is unknown to JAX.
    """

    def __init__(self, plan: Plan, dtype: str = "float64") -> None:
        try:
            import jax
        except ImportError as error:
            raise MissingDependencyError("backend='jax' needs JAX; type: pip install 'eomsym[jax]'") from error
        checks.choice(dtype, "dtype", DTYPES)
        unknown = sorted(plan.functions - FUNCTIONS.keys())
        if unknown:
            raise ExpressionError(
                f"{', '.join(unknown)} has no value in JAX; write the loss with one of {', '.join(FUNCTIONS)}"
            )
        self._jax = jax
        self.plan, self.dtype = plan, np.dtype(dtype)
        self.numbers = np.concatenate([to_float(piece) for piece in plan.pieces])
        self.integers = np.array(plan.integers, dtype=np.int64)
        self.groups = [list(same) for _, same in groupby(plan.instructions, _group)]
        self.turned = {line.out: line.x for line in plan.instructions if line.primitive == "transpose"}
        self._kept = self._later(last=False)
        self._arrays: dict[int, Any] | None = None
        self._steps: dict[Any, Step] = {}
        self._lock = threading.Lock()

    def _later(self, last: bool) -> frozenset[int]:
        """Tables of which a higher degree reads entries, and the outputs."""
        found = set(self.plan.outputs)
        for line in [] if last else self.plan.instructions:
            if line.primitive == "matmul":
                found |= {self.turned.get(table, table) for table in (line.x, line.y)}
            elif line.primitive in READS_BOTH:
                found |= {line.x, line.y}
            elif line.primitive in READS_FIRST:
                found.add(line.x)
        return frozenset(found)

    def bytes(self, order: int) -> int:
        """What terms 0..order take: all tables."""
        return self.dtype.itemsize * self.plan.lanes * entries(order)

    def terms(self, points: np.ndarray, order: int, out: np.ndarray) -> None:
        """Terms 0..order at points in rows."""
        if self._early(order) is None:
            self.fill(points[:, None], order, term_rows(self.plan, order), out)
            return
        with self._lock, self._jax.enable_x64(self.dtype == np.float64):
            for point, lines in zip(points, out, strict=True):
                known = self._swept(point[None].astype(self.dtype), order, early=True)
                for step, line in zip(known, lines, strict=True):
                    _write(step[self.plan.outputs[0]][0], line)

    def fill(self, given: np.ndarray, order: int, rows: np.ndarray, out: np.ndarray, output: int = 0) -> None:
        """Rows of an output's table at points into `out`; see :meth:`eomsym.codegen.run.Machine.fill`."""
        places = [(d, int(row) - d * (d + 1) // 2) for row in rows for d in [(math.isqrt(8 * int(row) + 1) - 1) // 2]]
        table = self.plan.outputs[output]
        with self._lock, self._jax.enable_x64(self.dtype == np.float64):
            for point, lines in zip(given, out, strict=True):
                known = self._swept(point.astype(self.dtype), order)
                for (d, e), line in zip(places, lines, strict=True):
                    found = known[d][table]
                    _write(found[e] if len(found) == d + 1 else found[-1], line)

    def culprit(self, point: np.ndarray, order: int) -> str:
        """What is computed by the first instruction that gives a number which is not finite, at a point."""
        with self._lock, self._jax.enable_x64(self.dtype == np.float64):
            given = point.reshape(1, -1).astype(self.dtype)
            known = self._swept(given, order)[:order]
            known.append(self._degree(order, order)(None if known else given[0], known, self._arrays))
        for step in known:
            for line in self.plan.instructions:
                found = step.get(line.out, []) if line.primitive != "state" else []
                if not all(np.isfinite(entry).all() for entry in found if entry is not None):
                    return line.comment
        return "the terms themselves"

    def _early(self, order: int) -> Early | None:
        """What of the degree before the last is needed, where that is less than all of its entries.

        Where one filter alone makes the velocity, the pure powers of eta vanish before it. So at the last degree all
        tables of degree order - 1 meet the one entry of degree 1, and of them only the sum ``shares[e + 1] x_e`` is
        read. The other sum is that of the term itself. What the state reads of the velocity is made of both.
        """
        plan, d = self.plan, order - 1
        filters = [line for line in plan.instructions if line.primitive in {"filtered", "series"}]
        state = plan.instructions[0]
        if d < 3 or len(plan.outputs) > 1 or state.primitive != "state" or len(filters) != 1:
            return None
        ready = all(line.mix in {state.mix, SKIP} and (line.plain or line is filters[0]) for line in plan.instructions)
        if not ready or state.mix < 0 or not filters[0].out == state.x == plan.outputs[0]:
            return None
        shares = [nearest(x) for x in plan.weights(order)[state.mix]]
        matrix = self._filter(filters[0], d)
        rows = np.array([matrix[0], shares[1:]])
        read = np.array([-shares[e + 1] / (e + 1) for e in range(d + 1)]) @ matrix
        parts = np.linalg.lstsq(rows.T, read, rcond=None)[0]
        if abs(parts @ rows - read).max() > 1e-14 * abs(read).max():
            return None
        return Early(rows, parts)

    def _filter(self, line: Instruction, d: int) -> np.ndarray:
        """What a filter does to the entries of degree d, as a matrix."""
        found = np.zeros((d + 1, d + 1))
        for e in range(d + 1):
            for h in range(e, d + 1):
                found[e, h] = self.numbers[line.numbers + h - e] * factorial(h) / factorial(e)
        return found

    def _swept(self, given: np.ndarray, order: int, early: bool = False) -> list[dict[int, Entries]]:
        """The tables of all degrees that are kept, at a point; of the degree before the last all entries, or sums."""
        if self._arrays is None or order not in {key[0] for key in self._steps}:
            check_memory(self.bytes(order), f"terms to order {order}")
        if self._arrays is None:
            self._arrays = self._constants()
        known: list[dict[int, Entries]] = []
        for d in range(order + 1):
            last = d == order > 0
            own = last or (early and d == order - 1)
            key = (order if own else 0, d, d < len(given), own and early)
            if key not in self._steps:
                self._steps[key] = Step(self._jax, self._degree(d, order, self._later(last), own and early))
            point = self._jax.numpy.asarray(given[d]) if d < len(given) else None
            known.append(self._steps[key]((point, known, self._arrays)))
        return known

    def _degree(
        self, d: int, order: int, wanted: frozenset[int] | None = None, early: bool = False
    ) -> Callable[[Any, Any, Any], dict[int, Entries]]:
        """The function of one degree, which gives the tables that are wanted; all by default."""
        weights = [np.array([nearest(x) for x in row]) for row in self.plan.weights(order)]
        sums: dict[int, np.ndarray] = {}
        parts = self._early(order) if early else None
        for line in self.plan.instructions:
            if d == order > 0 and line.mix >= 0:
                sums[line.out] = weights[line.mix][None]
            elif d == order - 1 and parts is not None:
                sums[line.out] = parts.rows

        def degree(point: Any, known: Any, arrays: Any) -> dict[int, Entries]:
            tables = {table: [step.get(table, []) for step in known] for table in self._kept}
            sweep = Sweep(self, d, order, tables, arrays, sums, parts)
            if point is not None or d == 0:
                sweep.give(0, [*[None] * d, point.reshape(self.plan.tables[0].shape)])
            else:
                sweep.give(0, [None] * (d + 1))
            sweep.run()
            return {table: sweep.entries(table) for table in sweep.known() if wanted is None or table in wanted}

        return degree

    def _constants(self) -> dict[int, Any]:
        """Constant arrays by their places, on the device, once."""
        found: dict[int, Any] = {}
        for line in self.plan.instructions:
            i = [int(x) for x in self.integers[line.integers : line.integers + 3]]
            shape = {"matmul_right": i[1:3], "matmul_left": i[:2]}.get(line.primitive)
            if line.primitive == "array":
                shape = list(self.plan.tables[line.out].shape)
            if shape is not None:
                data = self.numbers[line.numbers : line.numbers + math.prod(shape)].reshape(shape)
                found[line.numbers] = self._jax.numpy.asarray(data.astype(self.dtype))
        return found


def _write(entry: Any, line: np.ndarray) -> None:
    """An entry of a table into a row of numbers."""
    line[:] = 0.0 if entry is None else np.asarray(entry).ravel()


def _group(line: Instruction) -> tuple[int, Any]:
    """The copies that make up one array are one piece of work; every other line stands alone."""
    return line.out, "copy" if line.primitive == "copy" else id(line)


class Step:
    """A jitted function; what it gave at the last call is memory for the next one."""

    def __init__(self, jax: Any, function: Callable[..., Any]) -> None:
        self._jax, self._function = jax, function
        self._jitted: Any = None
        self._before: list[Any] = []
        self._structure: Any = None

    def __call__(self, arguments: Sequence[Any]) -> Any:
        flat = self._jax.tree_util.tree_leaves(arguments)
        if self._jitted is None:
            self._trace(arguments)
        self._before = self._jitted(self._before, *flat)
        return self._jax.tree_util.tree_unflatten(self._structure, self._before)

    def _trace(self, arguments: Sequence[Any]) -> None:
        from jax.extend.core import jaxpr_as_fun

        closed, shapes = self._jax.make_jaxpr(self._function, return_shape=True)(*arguments)
        run = jaxpr_as_fun(closed)
        leaves, self._structure = self._jax.tree_util.tree_flatten(shapes)
        self._before = [self._jax.numpy.zeros(leaf.shape, leaf.dtype) for leaf in leaves]
        self._jitted = self._jax.jit(lambda before, *flat: run(*flat), donate_argnums=0, keep_unused=True)
