"""From a plan to the source of a numba module.

The *machine* of a module holds the primitives that a loss needs and the loops around them. The loss itself is code for
that machine, a short list of lines; sizes, data and the method are numbers. So one compiled machine serves every loss
of the same primitives, every order and every method, and nothing is compiled twice. A *standalone* module is a machine
with the code and numbers of one kernel, and two functions to call.
"""

from __future__ import annotations

import base64
import hashlib
import inspect
import re
import zlib
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from eomsym.codegen import double_double as dd
from eomsym.codegen import elementary
from eomsym.codegen.drivers import descend
from eomsym.codegen.rewrite import doubled
from eomsym.errors import InternalError
from eomsym.taylor.motion import motion
from eomsym.taylor.primitives import PRIMITIVES
from eomsym.taylor.table import Plan, entries

__all__ = ["FIELD", "digest", "flags", "machine", "standalone"]

#: Functions that Python calls, and that numba keeps compiled on disk.
ENTRIES = ("motion", "descend")


#: The table of :mod:`eomsym.codegen.elementary`, as it is written in modules.
_POWERS = "2.0 ** np.arange(-550, 551)"


def flags(*, entry: bool) -> str:
    """The one place where numba's options are chosen.

    No fastmath: sums are added in the order written, so a saved module repeats the results to the last bit. Division
    follows NumPy (x/0 is inf, found later by its order) and entries release the GIL, for threads over points.
    """
    return '@njit(error_model="numpy", nogil=True, cache=True)' if entry else '@njit(error_model="numpy")'


def digest(text: str) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache  # there are few machines, and reading their source takes longer than planning a small loss
def machine(primitives: range, *, double_double: bool = False) -> str:
    """Source of the machine that has these primitives, for doubles or for double-double numbers."""
    used = list(primitives)
    parts = ["import math\n\nimport numpy as np\nfrom numba import njit"]
    if double_double:
        used = [number for number in used if PRIMITIVES[number].__name__ != "special"]  # known to doubles only
        parts += [_compiled(function) for function in _functions(dd)]
    vector = not double_double and len(used) == len(PRIMITIVES)
    if vector:  # for networks: small losses would only take longer to compile
        parts += [f"POWERS = {_POWERS}", *(_compiled(function) for function in _functions(elementary))]
    written = doubled if double_double else _with_vector_functions if vector else inspect.getsource
    parts += [_compiled(PRIMITIVES[number], written) for number in used]
    parts += [_motion(used, written)]
    if not double_double:
        parts += [_execute(used), _compiled(descend)]
    return "\n\n\n".join(parts) + "\n"


def _with_vector_functions(function: Callable[..., Any]) -> str:
    """Source with exp and tanh from :mod:`eomsym.codegen.elementary`."""
    source = inspect.getsource(function)
    return source.replace("np.exp(", "fast_exp(").replace("np.tanh(", "fast_tanh(")


def _functions(module: ModuleType) -> list[Callable[..., Any]]:
    """The functions that a module defines, in the order in which they stand."""
    return [f for f in vars(module).values() if inspect.isfunction(f) and f.__module__ == module.__name__]


def _compiled(function: Callable[..., Any], written: Callable[..., str] = inspect.getsource) -> str:
    return f"{flags(entry=function.__name__ in ENTRIES)}\n{written(function).rstrip()}"


def _execute(used: list[int]) -> str:
    lines = [
        flags(entry=False),
        "def execute(d, low, memory, machine):",
        '    """Degree d of all tables."""',
        *(f"    {line}" for line in _dispatch(used)),
    ]
    return "\n".join(lines)


def _dispatch(used: list[int]) -> list[str]:
    """The loop that runs the code of a loss on the tables in `memory`: each line is a primitive on its tables."""
    lines = [
        "code, table, c, count, scratch = machine",
        "for line in range(code.shape[0]):",
        "    rule = code[line, 0]",
        "    o, a, b = code[line, 1] * count, code[line, 2] * count, code[line, 3] * count",
        "    i, j, k, at = code[line, 4], code[line, 5], code[line, 6], code[line, 7]",
    ]
    for position, number in enumerate(used):
        name = PRIMITIVES[number].__name__
        b = "code[line, 3]" if name == "combine" else "b"  # not a table
        at = "scratch" if name == "matmul" else "at"
        lines += [
            f"    {'elif' if position else 'if'} rule == {number}:",
            f"        {name}(d, low, memory, c, table, o, a, {b}, i, j, k, {at})",
        ]
    return lines


def _motion(used: list[int], written: Callable[..., str]) -> str:
    """`motion` with the loop of `execute` in place of its call: LLVM optimises the primitives once less (0.5 s)."""
    before, call, after = written(motion).partition("execute(d, low, m[s], machine)")
    if not call:
        raise InternalError("motion does not call execute as it is expected to")
    indent = before.rpartition("\n")[2]
    block = f"\n{indent}".join(["memory = m[s]", *_dispatch(used)])
    # numba cannot keep code on disk that gets a function as an argument.
    source = f"{before}{block}{after}".replace("def motion(execute, ", "def motion(")
    return f"{flags(entry=True)}\n{source.rstrip()}"


def standalone(
    plan: Plan, constants: np.ndarray, order: int, low: int, series: dict[str, np.ndarray], header: str
) -> str:
    """Source of a module that needs numpy and numba only: provenance, machine, numbers, and functions to call."""
    numbers = {
        "TABLE": plan.table,
        "CONSTANTS": constants,
        "PSI": series["psi"],
        "COUPLING": series["coupling"],
        "CHI": series["chi"],
    }
    data = "\n".join([_listing(plan), *(f"{name} = {_array(array)}" for name, array in numbers.items())])
    text = machine(plan.primitives)
    if "_unpacked(" in data:
        text = text.replace("import math\n", "import base64\nimport math\nimport zlib\n", 1)
        data = f"{_UNPACK}\n\n{data}"
    functions = f"{_TERMS}\n\n{FIELD}".format(
        order=order,
        low=low,
        field=plan.field,
        memory=plan.memory(order),
        lanes=plan.lanes,
        n=plan.size,
        count=entries(order),
        flow=plan.size * entries(order + 1) + 1,
    )
    numbered = f"# the loss and its gradient, and the numbers of loss and method\n\n{data}"
    return f'"""{header}\n"""\n\n{text}\n\n{numbered}\n\n\n{functions}'


def _listing(plan: Plan) -> str:
    """The code, one line each, with what it computes."""
    lines = [f"    {row},  # {comment}" for row, comment in zip(plan.code.tolist(), plan.comments, strict=True)]
    return "\n".join(["CODE = np.array([", "    # primitive, out, a, b, i, j, k, at", *lines, "], dtype=np.int64)"])


_UNPACK = '''
def _unpacked(text, kind, shape):
    """An array from its compressed bytes in base 64."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype=kind).reshape(shape)
'''.strip()

_TERMS = '''
def terms(theta):
    """Counter terms at theta, shape ({order} + 1, {n}): row k multiplies eta**k in theta' = -sum_k eta**k terms[k]."""
    theta = np.asarray(theta, dtype=np.float64).reshape(1, {n})
    memory = np.empty((len(CHI), {memory}))
    memory[:, -1] = 0.0
    flow = np.zeros({flow})
    out = np.empty((1, {order} + 1, {n}))
    machine = (CODE, TABLE, CONSTANTS, {count}, {lanes} * {count})
    push = np.zeros({n})
    motion(machine, theta, {order}, {low}, memory, {field} * {count}, PSI, COUPLING, CHI, push, flow, out)
    return out[0]
'''.lstrip()
#: Works for both forms.
FIELD = '''
def field(theta, eta):
    """Velocity theta' of the equation of motion of order {order} at theta, shape ({n},)."""
    rows = terms(theta)
    velocity = -rows[{order}]
    for row in rows[:{order}][::-1]:
        velocity = eta * velocity - row
    return velocity
'''.lstrip()


def _array(array: np.ndarray) -> str:
    """A small array as the shortest literals that give it back exactly, a large one as compressed bytes."""
    if array.size <= 64:
        kind = "np.float64" if array.dtype == np.float64 else "np.int64"
        literals = re.sub(r"\b(inf|nan)\b", r"np.\1", repr(array.tolist()))
        return f"np.array({literals}, dtype={kind}).reshape({array.shape})"
    packed = base64.b64encode(zlib.compress(np.ascontiguousarray(array).tobytes(), 9)).decode()
    return f'_unpacked("{packed}", "{array.dtype.str}", {array.shape})'
