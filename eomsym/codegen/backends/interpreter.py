"""The interpreter: one compiled machine that runs the instructions of every loss, order and method.

The instructions are rows of integers; sizes, data and the method are numbers. So nothing is compiled for a new loss. A
machine holds one of a few sets of primitives, from small to large, because each is compiled once (a second or more) and
then serves all losses on it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from eomsym.codegen import source
from eomsym.codegen.machine import descend
from eomsym.losses.functions import FUNCTIONS
from eomsym.taylor import primitives
from eomsym.taylor.instructions import Instruction
from eomsym.taylor.plan import Plan

__all__ = ["encoded", "machine"]

#: Sets of primitives and functions: every loss runs on the first that has all that it needs.
SMALL = (
    ("state", "filtered", "convolve", "combine", "value"),
    ("exp", "tanh", "reciprocal"),
)
MEDIUM = (
    (*SMALL[0], "affine", "times_first", "array", "copy", "clear", "series", "recur", "remember"),
    (*SMALL[1], "sigmoid", "sin", "cos", "log", "power"),
)
NUMBER = {name: place for place, name in enumerate(n for n in vars(primitives) if callable(vars(primitives)[n]))}
NUMBER["value"] = len(NUMBER)

_TABLE = '''
@intrinsic
def table(context, m, start, entries, lanes):
    """The table of entries × lanes that begins at a place in the memory: a view, without a copy or a count."""

    def build(context, builder, signature, arguments):
        memory = arrayobj.make_array(signature.args[0])(context, builder, arguments[0])
        start, entries, lanes = arguments[1:]
        size = context.get_constant(types.intp, 8)
        view = arrayobj.make_array(signature.return_type)(context, builder)
        arrayobj.populate_array(
            view,
            data=builder.gep(memory.data, [start]),
            shape=[entries, lanes],
            strides=[builder.mul(lanes, size), size],
            itemsize=size,
            meminfo=None,
        )
        return view._getvalue()

    return types.Array(m.dtype, 2, "C")(m, types.intp, types.intp, types.intp), build
'''.strip()


def encoded(plan: Plan, instructions: tuple[Instruction, ...]) -> np.ndarray:
    """Instructions as rows of integers.

    ``primitive, out, lanes, x, lanes, y, lanes, integers, numbers, plain, mix``: each table by its place and width.
    """
    rows = []
    for line in instructions:
        places = [(plan.tables[t].start, plan.tables[t].lanes) for t in (line.out, line.x, line.y)]
        flat = [number for pair in places for number in pair]
        rows.append([NUMBER[line.primitive], *flat, line.integers, line.numbers, int(line.plain), line.mix])
    return np.array(rows, dtype=np.int64).reshape(-1, 11)


def machine(plan: Plan, *, discrete: bool = False) -> str:
    """Source of the machine that a plan runs on."""
    for names, functions in (SMALL, MEDIUM):
        if plan.primitives <= set(names) and plan.functions <= set(functions):
            return _source(frozenset(names), frozenset(functions), False, discrete, _rows())
    everything = frozenset(NUMBER) - {"row", "begin", "add_product"}
    return _source(everything, frozenset(FUNCTIONS), True, discrete, _rows())


def _rows() -> tuple[Any, ...]:
    """The table of functions, so that a new row makes a new machine."""
    return tuple(FUNCTIONS.items())


@cache  # there are few machines, and reading their source takes longer than planning a small loss
def _source(names: frozenset[str], functions: frozenset[str], vector: bool, discrete: bool, rows: Any) -> str:
    head = [
        source.IMPORTS,
        "from numba.core import types\nfrom numba.extending import intrinsic\nfrom numba.np import arrayobj",
        _TABLE,
        *([source.vector_functions()] if vector else []),
        source.helpers(names - {"value"}),
        source.values(functions, vector=vector),
        *([_sweep(names), source.decorated(descend, entry=True)] if discrete else [_run(names)]),
    ]
    return "\n\n\n".join(head) + "\n"


def _run(names: frozenset[str]) -> str:
    """Degrees 0..order at each point. The instructions stand inside of the loop: that saves LLVM a second pass."""
    return "\n".join(
        [
            source.flags(entry=True),
            "def run(code, integers, numbers, weights, m, scratch, given, order, out_at, out_lanes, rows, out):",
            '    """Sweep at each point of `given`, and copy `rows` of the output table into `out`.',
            "",
            "    ``given[point, k]`` is coefficient k of the parameters in powers of s.",
            '    """',
            "    count = (order + 1) * (order + 2) // 2",
            "    result = table(m, out_at * count, count, out_lanes)",
            "    for point in range(given.shape[0]):",
            "        for k in range(given.shape[1]):",
            "            for q in range(given.shape[2]):",
            "                m[row(k, k) * given.shape[2] + q] = given[point, k, q]",
            "        for d in range(order + 1):",
            *(f"            {line}" for line in _dispatch(names)),
            "        for r in range(rows.size):",
            "            for q in range(out_lanes):",
            "                out[point, r, q] = result[rows[r], q]",
        ]
    )


def _sweep(names: frozenset[str]) -> str:
    """Degree 0 of all tables, for the running optimiser."""
    return "\n".join(
        [
            source.flags(entry=False),
            "def sweep(code, integers, numbers, m, scratch):",
            '    """One pass over the instructions, on numbers."""',
            "    d, order, count, weights = 0, 0, 1, scratch[:1].reshape(1, 1)",
            *(f"    {line}" for line in _dispatch(names)),
        ]
    )


def _dispatch(names: frozenset[str]) -> list[str]:
    """The one place where rows of integers are decoded."""
    lines = [
        "for line in range(code.shape[0]):",
        "    mix = code[line, 10]",
        "    last = d == order and d > 0",
        "    if last and mix == -2:",
        "        continue",
        "    z = table(m, code[line, 1] * count, count, code[line, 2])",
        "    x = table(m, code[line, 3] * count, count, code[line, 4])",
        "    y = table(m, code[line, 5] * count, count, code[line, 6])",
        "    i, c = integers[code[line, 7] :], numbers[code[line, 8] :]",
        "    at = (d, min(code[line, 9], d), last and mix >= 0, weights[max(mix, 0)], 0.0, scratch)",
        "    primitive = code[line, 0]",
    ]
    for position, name in enumerate(sorted(names, key=NUMBER.__getitem__)):
        lines += [
            f"    {'elif' if position else 'if'} primitive == {NUMBER[name]}:",
            f"        {name}(at, z, x, y, i, c)",
        ]
    return lines
