"""Every primitive as plain Python against its machine code, on the same random tables, to the last bit.

Kernels are printed from the source of the primitives, and exact fractions, polynomials and balls run that source as it
stands. So what is proven of the one reading holds for the other only where compiling changes nothing.
"""

from __future__ import annotations

import ctypes
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from eomsym.codegen.backends.interpreter import _primitive
from eomsym.codegen.source import functions_of
from eomsym.codegen.store import load, prepare
from eomsym.taylor import primitives

ORDER = 4
ENTRIES = (ORDER + 1) * (ORDER + 2) // 2
#: Integers and numbers of a primitive, and the lanes of its tables z, x and y.
Case = tuple[list[int], Any, tuple[int, int, int]]


def _sparse(rng: np.random.Generator) -> Case:
    anew, rows, lanes = int(rng.integers(2)), [0, 2], rng.integers(0, 5, 5)
    return [anew, 2, *rows, 0, 2, 5, *lanes.tolist()], rng.standard_normal(5 + 4), (3, 5, 1)


def _gathered(rng: np.random.Generator) -> Case:
    added = int(rng.integers(2))
    return [added, *rng.integers(-1, 4, 5).tolist()], [], (4, 5, 1) if added else (5, 4, 1)


def _along(lanes: Callable[[int], tuple[int, int, int]]) -> Callable[[np.random.Generator], Case]:
    def case(rng: np.random.Generator) -> Case:
        axis = int(rng.integers(2))
        return [2, 3, axis], [], lanes(3 if axis == 0 else 2)

    return case


def _product(rng: np.random.Generator) -> Case:
    rows, inner, columns = (2, 3, 4) if rng.integers(3) else (9, 12, 10)  # the latter by BLAS
    return [rows, inner, columns], [], (rows * columns, rows * inner, inner * columns)


def _products(rng: np.random.Generator) -> Case:
    integers, _, lanes = _product(rng)
    return [*integers, 2], [], (2 * lanes[0], 2 * lanes[1], 2 * lanes[2])


def _convolution(rng: np.random.Generator) -> Case:
    first, square = rng.integers(2, size=2).tolist()
    lanes = 130 if rng.integers(6) == 0 else 3  # more than a block
    return [first, first, square], rng.standard_normal(4), (lanes, lanes, lanes)


CASES: dict[str, Callable[[np.random.Generator], Case]] = {
    "convolve": _convolution,
    "times_first": lambda rng: ([], [], (3, 3, 1)),
    "matmul": _product,
    "matmuls": _products,
    "matmul_right": lambda rng: ([2, 3, 4], rng.standard_normal(12), (8, 6, 1)),
    "matmul_left": lambda rng: ([2, 3, 4], rng.standard_normal(6), (8, 12, 1)),
    "combine": _sparse,
    "affine": lambda rng: ([int(rng.integers(2))], rng.standard_normal(2), (3, 3, 3)),
    "array": lambda rng: ([int(rng.integers(3))], rng.standard_normal(3), (3, 3, 1)),
    "copy": lambda rng: ([1, 2, 3], [], (4, 5, 1)),
    "clear": lambda rng: ([], [], (3, 1, 1)),
    "transpose": lambda rng: ([2, 3], [], (6, 6, 1)),
    "total": _along(lambda short: (short, 6, 1)),
    "expand": _along(lambda short: (6, short, 1)),
    "center": lambda rng: ([2, 3], [], (6, 6, 1)),
    "peak": _along(lambda short: (short, 6, 1)),
    "gather": _gathered,
    "gate": lambda rng: ([], rng.standard_normal(2), (3, 3, 3)),
    "state": lambda rng: ([], [], (3, 3, 1)),
    "filtered": lambda rng: ([int(rng.integers(2))], rng.standard_normal(ORDER + 1), (3, 3, 1)),
    "series": lambda rng: ([2], [*rng.standard_normal(2), 0.0], (3, 3, 1)),
    "recur": lambda rng: ([int(rng.integers(3))], rng.standard_normal(1), (2, 2, 4)),
    "remember": lambda rng: ([2], rng.standard_normal(6), (2, 2, 4)),
    "correct": lambda rng: ([], rng.uniform(0.1, 0.9, 1), (1, 1, 1)),
    "wait": lambda rng: ([], rng.standard_normal(1), (1, 1, 1)),
}
#: Of the running optimiser, which knows degree 0 alone.
DISCRETE = ("recur", "remember", "correct", "wait")


def test_every_primitive_has_a_case() -> None:
    arguments = ["at", "z", "x", "y", "i", "c"]
    found = [f.__name__ for f in functions_of(primitives) if list(inspect.signature(f).parameters) == arguments]
    assert sorted(found) == sorted(CASES)


@pytest.fixture(scope="module")
def compiled() -> dict[str, Any]:
    prepare([_primitive(name, False) for name in CASES])
    return {name: load(_primitive(name, False)).entry.ctypes for name in CASES}


def machine(entry: Any, at: tuple[Any, ...], tables: list[np.ndarray], i: np.ndarray, c: np.ndarray) -> None:
    """Run the machine code on tables, by their addresses."""
    d, low, mixed, weights, _, scratch = at
    whole, real = ctypes.POINTER(ctypes.c_int64), ctypes.POINTER(ctypes.c_double)
    places = [word for table in tables for word in (table.ctypes.data_as(real), table.shape[1])]
    memory = weights.ctypes.data_as(real), len(weights) - 1, scratch.ctypes.data_as(real), len(scratch)
    told = i.ctypes.data_as(whole), len(i), c.ctypes.data_as(real), len(c)
    entry(d, low, int(mixed), len(tables[0]), *memory, *places, *told)


@pytest.mark.parametrize("name", CASES)
def test_plain_python_and_machine_code_agree_to_the_last_bit(name: str, compiled: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    changed = 0
    for _ in range(20):
        integers, numbers, lanes = CASES[name](rng)
        i, c = np.array(integers, dtype=np.int64), np.array(numbers, dtype=float)
        tables = [rng.standard_normal((ENTRIES, width)) for width in lanes]
        for d in range(1 if name in DISCRETE else ORDER + 1):
            weights = rng.standard_normal(ORDER + 1) * rng.integers(0, 2, ORDER + 1)
            at = (d, int(rng.integers(2)) if d else 0, bool(d and rng.integers(2)), weights, 0.0)
            plain, coded = ([table.copy() for table in tables] for _ in range(2))
            if name == "convolve" and integers[2]:  # a square
                plain[2], coded[2] = plain[1], coded[1]
            getattr(primitives, name)((*at, np.zeros(4000)), *plain, i, c)
            machine(compiled[name], (*at, np.zeros(4000)), coded, i, c)
            for one, other in zip(plain, coded, strict=True):
                np.testing.assert_array_equal(one, other)
            changed += any((one != table).any() for one, table in zip(plain, tables, strict=True))
    assert changed >= 15
