"""The interpreter: loops that run the instructions of every loss, order and method.

Every primitive, and the value of every function, is compiled on its own, once for all losses, and called by its
address; the loop around them is compiled once. The instructions are rows of integers, sizes, data and the method are
numbers. So nothing is compiled for a new loss that has no new primitive.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from eomsym.codegen import source
from eomsym.codegen.machine import descend, run, sweep
from eomsym.codegen.store import load, prepare
from eomsym.losses.functions import FUNCTIONS
from eomsym.taylor.instructions import Instruction
from eomsym.taylor.plan import Plan

__all__ = ["Loop"]

#: A primitive for callers in machine code: numbers and addresses alone.
_ENTRY = '''
POINTER, WHOLE = types.CPointer(types.float64), types.CPointer(types.int64)
SIGNATURE = types.void(
    *[types.int64] * 4, *[POINTER, types.int64] * 5, WHOLE, types.int64, POINTER, types.int64
)


@cfunc(SIGNATURE, cache=True, error_model="numpy")
def entry(d, low, mixed, count, weights, order, scratch, size, z, zn, x, xn, y, yn, i, ni, c, nc):
    """The primitive on tables that begin at addresses."""
    at = (d, low, mixed != 0, carray(weights, (order + 1,)), 0.0, carray(scratch, (size,)))
    tables = carray(z, (count, zn)), carray(x, (count, xn)), carray(y, (count, yn))
    {name}(at, tables[0], tables[1], tables[2], carray(i, (ni,)), carray(c, (nc,)))
'''.strip()

_CALL = '''
@intrinsic
def call(context, address, d, low, mixed, count, weights, order, scratch, size, z, zn, x, xn, y, yn, i, ni, c, nc):
    """Call a compiled primitive by its address."""

    def build(context, builder, signature, arguments):
        word = ir.IntType(64)
        function = ir.FunctionType(ir.VoidType(), [word] * 18)
        builder.call(builder.inttoptr(arguments[0], function.as_pointer()), arguments[1:])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 19), build
'''.strip()


#: Types of the loops: said beforehand, they are compiled where the module is loaded, in whichever process.
_TYPES = {
    run: "void(int64[:, ::1], int64[::1], float64[::1], float64[:, :, :], int64, int64, int64, int64[::1], "
    "float64[:, :, :])",
    descend: "int64(int64[:, ::1], int64[:, ::1], int64[::1], float64[::1], float64, int64, int64, boolean, int64, "
    "float64[:, ::1])",
}


class Loop:
    """The compiled loop for some instructions: one that sweeps their tables, or one that runs an optimiser."""

    def __init__(self, plan: Plan, discrete: bool) -> None:
        lines = (*plan.instructions, *plan.after)
        names = {self._name(plan, line) for line in lines}
        loop = descend if discrete else run
        prepare([_loop(loop), *(_primitive(name, plan.vector) for name in sorted(names))])
        module = load(_loop(loop))
        self.run: Any = getattr(module, loop.__name__)
        self._plan, self._address = plan, {name: load(_primitive(name, plan.vector)).entry.address for name in names}

    def encoded(self, instructions: tuple[Instruction, ...]) -> np.ndarray:
        """Instructions as rows of integers.

        ``primitive, out, lanes, x, lanes, y, lanes, integers, numbers, plain, mix``: the address of a primitive,
        tables by place and width.
        """
        rows = []
        for line in instructions:
            places = [self._plan.tables[t] for t in (line.out, line.x, line.y)]
            flat = [number for table in places for number in (table.start, table.lanes)]
            address = self._address[self._name(self._plan, line)]
            rows.append([address, *flat, line.integers, line.numbers, int(line.plain), line.mix])
        return np.array(rows, dtype=np.int64).reshape(-1, 11)

    @staticmethod
    def _name(plan: Plan, line: Instruction) -> str:
        return plan.function(line) if line.primitive == "value" else line.primitive


@cache
def _primitive(name: str, vector: bool) -> str:
    """Source of the module of a primitive, or of the value of a function."""
    row = FUNCTIONS.get(name)
    vector = vector and row is not None and row.vector is not None
    parts = [
        f'"""A primitive of Taylor tables: {name}."""',
        f"{source.IMPORTS}, carray, cfunc, types",
        *([source.vector_functions()] if vector else []),
        source.values([name], vector=vector) if row else source.helpers(frozenset([name])),
        _ENTRY.format(name="value" if row else name),
    ]
    return "\n\n\n".join(parts) + "\n"


@cache
def _loop(function: Callable[..., Any]) -> str:
    """Source of the module of a loop."""
    parts = [
        '"""The loops around the primitives of Taylor tables."""',
        f"{source.IMPORTS}, types\nfrom numba.extending import intrinsic\nfrom llvmlite import ir",
        _CALL,
        source.decorated(sweep),
        source.decorated(function, entry=True, types=_TYPES[function]),
    ]
    return "\n\n\n".join(parts) + "\n"
