"""Every primitive against its meaning for whole series, in exact fractions.

What a primitive must not read is None in its inputs, and what it must not write is checked to be as it was: pure powers
of eta where they vanish, other degrees, and of the last degree all entries but the weighted sum.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import factorial
from random import Random
from typing import Any

import numpy as np
import pytest

from eomsym.taylor import primitives
from eomsym.taylor.primitives import row

Lanes = np.ndarray
#: Coefficients of s**e eta**(d - e) by (d, e); all of them.
Series = Mapping[tuple[int, int], Lanes]
TOP = 4
ZEROS = [Fraction(0)] * (TOP + 1)
THREE = [Fraction(2), Fraction(1), Fraction(3)]


def fractions(random: Random, size: int) -> Lanes:
    return np.array([Fraction(random.randint(-9, 9)) for _ in range(size)], dtype=object)


@dataclass
class At:
    """Where a primitive works: a degree, whether pure powers of eta vanish, and the weights where a sum is wanted."""

    d: int
    low: int
    mixed: bool
    weights: list[Fraction]

    @property
    def given(self) -> tuple[Any, ...]:
        scratch = np.full(4000, None, dtype=object)
        return self.d, self.low, self.mixed, np.array(self.weights, dtype=object), Fraction(0), scratch

    def series(self, random: Random, size: int) -> Series:
        return {
            (k, e): fractions(random, size) * (0 if self.low and k and not e else 1)
            for k in range(TOP + 1)
            for e in range(k + 1)
        }

    def table(self, series: Series, *, whole: bool = False) -> Lanes:
        """The rows that may be read; with `whole` all entries of the last degree, too."""
        out = np.full((row(TOP, TOP) + 1, len(series[0, 0])), None, dtype=object)
        for (k, e), line in series.items():
            if k < self.d or (k == self.d and (whole or not self.mixed)):
                out[row(k, e)] = line if e or not (self.low and k) else None
        if self.mixed and not whole:
            out[row(self.d, self.d)] = self.mean([series[self.d, e] for e in range(self.d + 1)])
        return out

    def mean(self, entries: list[Lanes]) -> Lanes:
        return sum(w * line for w, line in zip(self.weights, entries, strict=False))

    def after(self, z: Lanes, meaning: Callable[[int], Lanes], *, zeros: bool = False) -> Lanes:
        """The table z with this degree filled in; with `zeros` vanishing pure powers of eta are set to zero, too."""
        out, entries = z.copy(), [meaning(e) for e in range(self.d + 1)]
        if self.mixed:
            out[row(self.d, self.d)] = self.mean(entries)
            return out
        for e in range(0 if zeros or not self.d else self.low, self.d + 1):
            out[row(self.d, e)] = entries[e]
        return out


def places(random: Random, low: bool = True) -> list[At]:
    """All degrees, with and without what vanishes and what is summed up."""
    return [
        At(d, bottom, mixed, [Fraction(random.choice([0, 1, 2, -3])) for _ in range(TOP + 1)])
        for d in range(TOP + 1)
        for bottom in ((0, 1) if low and d else (0,))
        for mixed in ((False, True) if d else (False,))
    ]


def blank(size: int) -> Lanes:
    return np.array([[object() for _ in range(size)] for _ in range(row(TOP, TOP) + 1)], dtype=object)


def run(name: str, at: At, z: Lanes, x: Lanes, y: Lanes, integers: list[int], numbers: Any) -> Lanes:
    out, before = z.copy(), (x.copy(), y.copy())
    c = np.array(numbers, dtype=object)
    getattr(primitives, name)(at.given, out, x, y, np.array(integers, dtype=np.int64), c)
    assert (x == before[0]).all()
    assert (y == before[1]).all()
    return out


NOTHING = np.full((1, 1), None, dtype=object)


@pytest.mark.parametrize("lanes", [1, 128, 129, 260])
@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("square", [False, True])
def test_convolve(lanes: int, first: int, square: bool) -> None:
    random = Random(lanes)
    for at in (
        places(random) if lanes == 1 else [At(2, 0, False, ZEROS), At(0, 0, False, ZEROS), At(2, 1, True, [2, 1, 3])]
    ):
        for divide in (0, 1) if at.d else (0,):
            c = [*fractions(random, 4)]
            if square:
                c[1] = Fraction(0)
            one = at.series(random, lanes)
            other = one if square else at.series(random, lanes)

            def meaning(e: int, d: int = at.d, a: Series = one, b: Series = other, c: Any = c, by: int = divide) -> Any:
                total = sum(
                    (c[0] + c[1] * k + c[2] * d) * a[k, p] * b[d - k, e - p]
                    for k in range(d - first + 1 if square and first else d + 1)
                    if k >= first
                    for p in range(max(0, e - (d - k)), min(k, e) + 1)
                )
                total = total / d if by else total
                return total + (c[3] if d == 0 else 0)

            z, x, y = blank(lanes), at.table(one), at.table(other)
            found = run("convolve", at, z, x, x if square else y, [first, divide, int(square)], c)
            wanted = z if at.d < first else at.after(z, meaning)
            assert (found == wanted).all()


def matrices(lines: Lanes, count: int, rows: int, columns: int) -> Lanes:
    return lines.reshape(count, rows, columns)


@pytest.mark.parametrize(
    "count, shape", [(1, (2, 3, 4)), (1, (9, 12, 10)), (2, (9, 12, 10)), (2, (2, 3, 2)), (3, (1, 2, 1))]
)
@pytest.mark.parametrize("name", ["matmul", "matmuls"])
def test_products_of_matrices(name: str, count: int, shape: tuple[int, int, int]) -> None:
    if name == "matmul" and count > 1:
        return
    random, (rows, inner, columns) = Random(count), shape
    for at in places(random) if rows < 9 else [At(1, 0, False, ZEROS), At(2, 1, True, THREE)]:
        a, b = at.series(random, count * rows * inner), at.series(random, count * inner * columns)

        def meaning(e: int, d: int = at.d, a: Series = a, b: Series = b) -> Lanes:
            return sum(
                np.array(
                    [
                        left.dot(right)
                        for left, right in zip(
                            matrices(a[k, p], count, rows, inner),
                            matrices(b[d - k, e - p], count, inner, columns),
                            strict=True,
                        )
                    ]
                ).ravel()
                for k in range(d + 1)
                for p in range(max(0, e - (d - k)), min(k, e) + 1)
            )

        z = blank(count * rows * columns)
        told = [rows, inner, columns] + [count] * (name == "matmuls")
        found = run(name, at, z, at.table(a), at.table(b), told, [])
        assert (found == at.after(z, meaning, zeros=True)).all()


@dataclass(frozen=True)
class Linear:
    """A map of single entries: its integers and numbers, the lanes of z and x, and what it makes of x (and y) at d."""

    integers: list[int]
    numbers: list[Any]
    lanes: tuple[int, int]
    meaning: Callable[[int, Lanes, Lanes], Any]


C = [Fraction(k) for k in (2, -3, 5, 7, -4, 11, 6, -8, 9, 10, -7, 3)]
AT_ZERO = {d: int(d == 0) for d in range(TOP + 1)}
LINEAR: dict[str, tuple[str, Linear]] = {
    "right": ("matmul_right", Linear(
        [2, 3, 4], C, (8, 6), lambda d, x, y: x.reshape(2, 3).dot(np.array(C).reshape(3, 4)).ravel())),
    "left": ("matmul_left", Linear(
        [2, 3, 4], C[:6], (8, 12), lambda d, x, y: np.array(C[:6]).reshape(2, 3).dot(x.reshape(3, 4)).ravel())),
    "scaled": ("affine", Linear([0], C, (3, 3), lambda d, x, y: C[0] * x)),
    "sum": ("affine", Linear([1], C, (3, 3), lambda d, x, y: C[0] * x + C[1] * y)),
    "constant": ("array", Linear([0], C, (3, 3), lambda d, x, y: AT_ZERO[d] * np.array(C[:3]))),
    "plus": ("array", Linear([1], C, (3, 3), lambda d, x, y: x + AT_ZERO[d] * np.array(C[:3]))),
    "times": ("array", Linear([2], C, (3, 3), lambda d, x, y: np.array(C[:3]) * x)),
    "transposed": ("transpose", Linear([2, 3], [], (6, 6), lambda d, x, y: x.reshape(2, 3).T.ravel())),
    "columns": ("total", Linear([2, 3, 0], [], (3, 6), lambda d, x, y: x.reshape(2, 3).sum(axis=0))),
    "rows": ("total", Linear([2, 3, 1], [], (2, 6), lambda d, x, y: x.reshape(2, 3).sum(axis=1))),
    "down": ("expand", Linear([2, 3, 0], [], (6, 3), lambda d, x, y: np.tile(x, 2))),
    "across": ("expand", Linear([2, 3, 1], [], (6, 2), lambda d, x, y: np.repeat(x, 3))),
    "centred": ("center", Linear(
        [3, 2], [], (6, 6), lambda d, x, y: x - AT_ZERO[d] * np.tile(x.reshape(3, 2).max(axis=0), 3))),
    "peak of columns": ("peak", Linear(
        [3, 2, 0], [], (2, 6), lambda d, x, y: AT_ZERO[d] * x.reshape(3, 2).max(axis=0))),
    "peak of rows": ("peak", Linear(
        [3, 2, 1], [], (3, 6), lambda d, x, y: AT_ZERO[d] * x.reshape(3, 2).max(axis=1))),
    "gathered": ("gather", Linear(
        [0, 2, -1, 0, 3, 2], [], (5, 4), lambda d, x, y: np.array([x[2], 0, x[0], x[3], x[2]], dtype=object))),
    "scattered": ("gather", Linear(
        [1, 2, -1, 0, 2, 3], [], (4, 5), lambda d, x, y: np.array([x[2], 0, x[0] + x[3], x[4]], dtype=object))),
}  # fmt: skip


@pytest.mark.parametrize("case", LINEAR)
def test_maps_of_single_entries(case: str) -> None:
    random = Random(case)
    name, one = LINEAR[case]
    out, inside = one.lanes
    for at in [*places(random), *[At(0, 0, False, ZEROS)] * 6]:
        a, b = at.series(random, inside), at.series(random, inside)
        z = blank(out)
        found = run(name, at, z, at.table(a), at.table(b), one.integers, one.numbers)
        assert (found == at.after(z, lambda e, d=at.d, a=a, b=b: one.meaning(d, a[d, e], b[d, e]))).all()


@pytest.mark.parametrize("anew", [0, 1])
def test_combine(anew: int) -> None:
    """Rows 0 and 2 of three get ``2 x0 - 3 x4`` and ``5 x1 + 7 x1 - 4 x3``."""
    random, offset = Random(anew), np.array([Fraction(k) for k in (20, 30, 40)])
    for at in places(random):
        a, before = at.series(random, 5), at.series(random, 3)
        z = blank(3) if anew else at.table(before)
        c = [*C[:5], *offset, Fraction(0)] if anew else C[:5]
        found = run("combine", at, z, at.table(a), NOTHING, [anew, 2, 0, 2, 0, 2, 5, 0, 4, 1, 1, 3], c)

        def meaning(e: int, d: int = at.d, a: Series = a, before: Series = before) -> Lanes:
            x = a[d, e]
            start = offset * (d == 0) if anew else before[d, e]
            return start + np.array([2 * x[0] - 3 * x[4], 0, 5 * x[1] + 7 * x[1] - 4 * x[3]], dtype=object)

        assert (found == at.after(z, meaning)).all()


def test_copy_leaves_the_other_lanes() -> None:
    random = Random(0)
    for at in places(random):
        a, z = at.series(random, 5), blank(7)
        found = run("copy", at, z, at.table(a), NOTHING, [1, 2, 3], [])
        wanted = z.copy()
        wanted[:, 1:4] = at.after(z[:, 1:4], lambda e, d=at.d, a=a: a[d, e][2:5])
        assert (found == wanted).all()


def test_clear_sets_a_whole_degree_to_zero() -> None:
    for at in places(Random(0)):
        z = blank(2)
        wanted = z.copy()
        wanted[row(at.d, 0) : row(at.d, at.d) + 1] = 0
        assert (run("clear", at, z, NOTHING, NOTHING, [], []) == wanted).all()


def test_gate_and_times_first_look_at_degree_zero() -> None:
    random = Random(0)
    for at in places(random):
        a, b = at.series(random, 4), at.series(random, 4)
        b[0, 0][:] = [Fraction(k) for k in (3, 0, -2, 1)]
        z = blank(4)
        slopes = np.array([C[0], C[1], C[1], C[0]])
        found = run("gate", at, z, at.table(a), at.table(b), [], C[:2])
        assert (found == at.after(z, lambda e, d=at.d, a=a, s=slopes: s * a[d, e])).all()
        z = at.table(a)
        found = run("times_first", at, z, at.table(b), NOTHING, [], [])
        again = at.after(z, lambda e, d=at.d, a=a, b=b: a[d, e] * b[0, 0])
        assert (found == (again if at.d else z)).all()


def test_state_is_the_flow_of_minus_the_velocity() -> None:
    random = Random(0)
    for at in places(random, low=False):
        a, z = at.series(random, 3), blank(3)

        def meaning(e: int, d: int = at.d, a: Series = a) -> Lanes:
            return -a[d - 1, e - 1] / e if e else np.array([Fraction(0)] * 3)

        found = run("state", at, z, at.table(a), NOTHING, [], [])
        assert (found == (at.after(z, meaning) if at.d else z)).all()


def test_filtered_is_a_series_in_the_operator_eta_d_by_ds() -> None:
    random, c = Random(0), [Fraction(k) for k in (2, 0, -3, 5, 7)]
    for at in places(random, low=False):
        a, z = at.series(random, 3), blank(3)

        def meaning(e: int, d: int = at.d, a: Series = a) -> Lanes:
            return sum(c[h - e] * Fraction(factorial(h), factorial(e)) * a[d, h] for h in range(e, d + 1))

        found = run("filtered", at, z, at.table(a, whole=True), NOTHING, [0], c)
        if at.mixed:  # the weights belong to x
            assert (found == at.after(z, lambda e, d=at.d, a=a: a[d, e])).all()
            found = run("filtered", at, z, at.table(a), NOTHING, [1], c)
            assert (found == at.after(z, lambda e, d=at.d, a=a: a[d, e])).all()
        else:
            assert (found == at.after(z, meaning)).all()


@pytest.mark.parametrize("last", [0, 1, 2, 6])
def test_a_series_in_eta_moves_degrees_up(last: int) -> None:
    random, c = Random(last), [Fraction(k) for k in (2, -3, 0, 5, 7, 1, 1)]
    for at in places(random, low=False):
        a, z = at.series(random, 3), blank(3)

        def meaning(e: int, d: int = at.d, a: Series = a) -> Lanes:
            return sum(c[k] * a[d - k, e] for k in range(min(last, d - e) + 1))

        found = run("series", at, z, at.table(a), NOTHING, [last], c)
        assert (found == at.after(z, meaning)).all()


@pytest.mark.parametrize("taps", [0, 1, 3])
def test_a_running_filter_is_its_recursion(taps: int) -> None:
    """``z_k = sum_l a_l x_(k-l) - sum_l b_l z_(k-l)``, two numbers side by side."""
    random, at = Random(taps), At(0, 0, False, [])
    above, below = fractions(random, taps + 1), fractions(random, taps + 1)
    c = np.array([*above, *below], dtype=object)
    memory = np.full((1, 2 * taps), Fraction(0), dtype=object) if taps else NOTHING
    inputs, outputs = list[Lanes](), list[Lanes]()
    for k in range(6):
        inputs.append(fractions(random, 2))
        z, x = np.full((1, 2), None, dtype=object), inputs[-1].reshape(1, 2)
        primitives.recur(at.given, z, x, memory, [taps], c)
        primitives.remember(at.given, z, x, memory, [taps], c)
        back = range(1, min(k, taps) + 1)
        outputs.append(sum((above[s] * inputs[k - s] - below[s] * outputs[k - s] for s in back), above[0] * inputs[k]))
        assert (z[0] == outputs[k]).all()


def test_the_correction_of_a_mean_that_began_at_zero() -> None:
    at, beta = At(0, 0, False, []), Fraction(9, 10)
    z, y = np.full((2, 2), None, dtype=object), np.array([[Fraction(1), None], [None, None]], dtype=object)
    for k in range(4):
        primitives.correct(at.given, z, NOTHING, y, [], [beta])
        primitives.wait(at.given, z, NOTHING, y, [], [beta])
        assert z[0, 0] == 1 / (1 - beta ** (k + 1))
        assert y[0, 0] == beta ** (k + 1)
    assert z.ravel().tolist()[1:] == [None] * 3
