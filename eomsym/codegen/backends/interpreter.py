"""The interpreter: loops that run the instructions of every loss, order and method.

Every primitive, and the value of every function, is compiled on its own, once for all losses, and called by its
address; the loop around them is compiled once. The instructions are rows of integers, sizes, data and the method are
numbers. So nothing is compiled for a new loss that has no new primitive.
"""

from __future__ import annotations

from functools import cache
from types import ModuleType

import numpy as np

from eomsym.codegen import source
from eomsym.codegen.machine import descend, run, sweep
from eomsym.codegen.store import load
from eomsym.losses.functions import FUNCTIONS
from eomsym.taylor.instructions import Instruction
from eomsym.taylor.plan import Plan

__all__ = ["encoded", "loops", "primitive"]

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


def encoded(plan: Plan, instructions: tuple[Instruction, ...]) -> np.ndarray:
    """Instructions as rows of integers.

    ``primitive, out, lanes, x, lanes, y, lanes, integers, numbers, plain, mix``: the address of a primitive, tables by
    place and width.
    """
    rows = []
    for line in instructions:
        name = plan.function(line) if line.primitive == "value" else line.primitive
        places = [(plan.tables[t].start, plan.tables[t].lanes) for t in (line.out, line.x, line.y)]
        flat = [number for pair in places for number in pair]
        address = primitive(name, plan.vector).entry.address
        rows.append([address, *flat, line.integers, line.numbers, int(line.plain), line.mix])
    return np.array(rows, dtype=np.int64).reshape(-1, 11)


def primitive(name: str, vector: bool) -> ModuleType:
    """The compiled primitive of this name, or the value of the function of this name."""
    row = FUNCTIONS.get(name)
    return _primitive(name, vector and row is not None and row.vector is not None, row)


@cache
def _primitive(name: str, vector: bool, row: object) -> ModuleType:
    own = source.values([name], vector=vector) if row else source.helpers(frozenset([name]))
    parts = [
        f'"""A primitive of Taylor tables: {name}."""',
        f"{source.IMPORTS}, carray, cfunc, types",
        *([source.vector_functions()] if vector else []),
        own,
        _ENTRY.format(name="value" if row else name),
    ]
    return load("\n\n\n".join(parts) + "\n")


@cache
def loops(discrete: bool) -> ModuleType:
    """The compiled loops: ``run`` sweeps tables, ``descend`` runs an optimiser."""
    parts = [
        '"""The loops around the primitives of Taylor tables."""',
        f"{source.IMPORTS}, types\nfrom numba.extending import intrinsic\nfrom llvmlite import ir",
        _CALL,
        source.decorated(sweep),
        source.decorated(descend if discrete else run, entry=True),
    ]
    return load("\n\n\n".join(parts) + "\n")
