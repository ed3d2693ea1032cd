"""Pieces of source that generated modules are printed from: whole functions, as they stand.

numba compiles what it finds in a module; so the primitives that a loss needs, the values of its functions, and loops
around them are printed one behind the other, and nothing in them is altered.
"""

from __future__ import annotations

import base64
import hashlib
import inspect
import re
import zlib
from collections.abc import Callable, Iterable
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from eomsym.codegen import elementary
from eomsym.losses.functions import FUNCTIONS
from eomsym.taylor import primitives

__all__ = ["IMPORTS", "array", "decorated", "digest", "flags", "helpers", "values", "vector_functions"]

IMPORTS = "import math\n\nimport numpy as np\nfrom numba import njit"
#: Functions that primitives call.
HELPERS = ("row", "begin", "add_product")


def flags(*, entry: bool, types: str = "") -> str:
    """The one place where numba's options are chosen.

    No fastmath: sums are added in the order written, so a saved module repeats the results to the last bit. Division
    follows NumPy (x/0 is inf, found later by its order) and entries release the GIL, for threads over points. What only
    compiled code calls needs no wrapper for Python.
    """
    if entry:
        said = f'\n    "{types}",\n    ' if types else ""
        return f'@njit({said}error_model="numpy", nogil=True, cache=True)'
    return '@njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)'


def digest(text: str) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def decorated(function: Callable[..., Any], *, entry: bool = False, types: str = "") -> str:
    """A function with numba's decorator; with types it is compiled when its module is loaded."""
    return f"{flags(entry=entry, types=types)}\n{inspect.getsource(function).rstrip()}"


@cache
def helpers(names: frozenset[str]) -> str:
    """Source of some primitives and of what they call."""
    needed = [name for name in HELPERS if name != "add_product" or names & {"matmul", "matmuls"}]
    written = [name for name in vars(primitives) if name in names]
    return "\n\n\n".join(decorated(getattr(primitives, name)) for name in (*needed, *written))


def values(names: Iterable[str], *, vector: bool) -> str:
    """The primitive ``value``: degree 0 of elementary functions, by their number in the table of functions."""
    lines = [
        flags(entry=False),
        "def value(at, z, x, y, i, c):",
        '    """Degree 0 of a function, by its number."""',
        "    if at[0] > 0:",
        "        return",
        "    out, line = z[0], x[0]",
    ]
    order = list(FUNCTIONS)
    for position, name in enumerate(sorted(names, key=order.index)):
        row = FUNCTIONS[name]
        source = row.vector if vector and row.vector else row.source
        lines += [
            f"    {'elif' if position else 'if'} i[0] == {order.index(name)}:  # {name}",
            "        for q in range(out.size):",
            f"            out[q] = {source.format('line[q]', 'c[0]')}",
        ]
    return "\n".join(lines)


def vector_functions() -> str:
    """exp and tanh without branches."""
    own = [f for f in vars(elementary).values() if inspect.isfunction(f) and f.__module__ == elementary.__name__]
    return "\n\n\n".join(["POWERS = 2.0 ** np.arange(-550, 551)", *(decorated(function) for function in own)])


def functions_of(module: ModuleType) -> list[Callable[..., Any]]:
    """The functions that a module defines, in the order in which they stand."""
    return [f for f in vars(module).values() if inspect.isfunction(f) and f.__module__ == module.__name__]


UNPACK = '''
def unpacked(text, kind, shape):
    """An array from its compressed bytes in base 64."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype=kind).reshape(shape).copy()
'''.strip()


def array(numbers: np.ndarray) -> str:
    """A small array as the shortest literals that give it back exactly, a large one as compressed bytes."""
    if numbers.size <= 64:
        kind = "np.float64" if numbers.dtype == np.float64 else "np.int64"
        literals = re.sub(r"\b(inf|nan)\b", r"np.\1", repr(numbers.ravel().tolist()))
        return f"np.array({literals}, dtype={kind}).reshape({numbers.shape})"
    packed = base64.b64encode(zlib.compress(np.ascontiguousarray(numbers).tobytes(), 9)).decode()
    return f'unpacked("{packed}", "{numbers.dtype.str}", {numbers.shape})'
