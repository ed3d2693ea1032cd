"""How far the tables reach: seconds and memory over parameters and orders, measured, fitted, written into the page.

``python -m bench.reach`` from `tests/` measures up to a million parameters and prints; ``--largest 1e7 --write`` goes
on to ten million (7.5 GiB are asked for) and rewrites the table of `docs/comparison/reach.md`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

#: (inputs, hidden units), with ten outputs: 1,000, 10,322, 100,044, 999,646 and 9,999,636 parameters.
SHAPES = ((90, 10), (784, 13), (784, 126), (784, 1259), (784, 12594))
ORDERS = (0, 2, 4)
PAGE = Path(__file__).parents[2] / "docs" / "comparison" / "reach.md"
MARKS = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"

#: One size in a process of its own: peaks only grow, and so do orders.
CODE = """
import json, resource, sys, time
import numpy as np
import eomsym as eom
inputs, hidden, orders, rounds = json.loads(sys.argv[1])
rng = np.random.default_rng(0)
data = rng.standard_normal((200, inputs)), rng.integers(0, 10, 200)
net = eom.Network((inputs, hidden, 10), *data, loss="cross_entropy")
theta = net.initial(0)
small = eom.Network((2, 2, 2), rng.standard_normal((3, 2)), rng.integers(0, 2, 3), loss="cross_entropy")
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
found = []
for order in orders:
    eom.compile(small, order).terms(small.initial(0))
    kernel = eom.compile(net, order)
    told, before = kernel.bytes, peak()
    seconds = []
    for _ in range(rounds):
        start = time.process_time()
        kernel.terms(theta)
        seconds.append(time.process_time() - start)
    found.append([net.size, order, min(seconds[1:] or seconds), told, peak() - before])
    kernel._terms._local.__dict__.clear()
print(json.dumps(found))
"""


def measured(shapes: Sequence[tuple[int, int]], orders: Sequence[int], rounds: int = 3) -> list[list[float]]:
    """Rows (parameters, order, CPU seconds, bytes told, growth of the peak), one process a size, one thread."""
    rows: list[list[float]] = []
    for inputs, hidden in shapes:
        told = json.dumps([inputs, hidden, list(orders), rounds])
        run = subprocess.run(
            [sys.executable, "-c", CODE, told],
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"}, capture_output=True, check=True, text=True,
        )  # fmt: skip
        rows += json.loads(run.stdout)
    return rows


def exponents(x: Any, y: Any, group: Any) -> tuple[float, float]:
    """The common slope of ``log y`` over ``log x`` in groups with heights of their own, and half its 95 % interval.

    Examples
    --------
    >>> slope, doubt = exponents([1, 10, 100] * 2, [2, 20, 200, 5, 50, 500], [0, 0, 0, 1, 1, 1])
    >>> round(slope, 12), doubt < 1e-9
    (1.0, True)
    """
    from scipy.stats import t

    lx, ly, names = np.log(np.asarray(x, float)), np.log(np.asarray(y, float)), np.asarray(group)
    for name in np.unique(names):
        lx[names == name] -= lx[names == name].mean()
        ly[names == name] -= ly[names == name].mean()
    slope = float(lx @ ly / (lx @ lx))
    free = len(lx) - len(np.unique(names)) - 1
    doubt = math.sqrt(float(((ly - slope * lx) ** 2).sum()) / free / float(lx @ lx)) * float(t.ppf(0.975, free))
    return slope, doubt


def fits(rows: Sequence[Sequence[float]]) -> list[str]:
    """What the rows say about parameters, order and memory."""
    n, order, seconds, told, peak = np.array(rows, dtype=float).T
    lines = []
    large = n > 5000
    for name, y in (("Seconds", seconds), ("Bytes", told)):
        slope, doubt = exponents(n[large], y[large], order[large])
        lines.append(f"{name} grow as parameters to the power {slope:.2f} ± {doubt:.2f} (from ten thousand on)")
        slope, doubt = exponents(order[large] + 1, y[large], n[large])
        lines.append(f"{name} grow as (order + 1) to the power {slope:.2f} ± {doubt:.2f}")
    big = told > 2**26
    if big.any():
        share = peak[big] / told[big]
        lines.append(
            f"The measured peak over what `Kernel.bytes` says beforehand: {share.min():.2f} to {share.max():.2f} "
            "(where it is more than 64 MiB)"
        )
    return lines


def table(rows: Sequence[Sequence[float]]) -> str:
    """The table and the fits in Markdown."""
    orders = sorted({int(row[1]) for row in rows})
    head = "| parameters | " + " | ".join(f"order {k} | " for k in orders) + "|\n|" + "---|" * (1 + 2 * len(orders))
    lines = [head]
    for size in sorted({int(row[0]) for row in rows}):
        cells = []
        for k in orders:
            one = next((row for row in rows if int(row[0]) == size and int(row[1]) == k), None)
            cells += ["", ""] if one is None else [f"{one[2]:.3g} s", f"{one[3] / 2**30:.2g} GiB"]
        lines.append(f"| {size:,} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n\n" + "\n".join(f"* {line}." for line in fits(rows)) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--largest", type=float, default=1e6, help="parameters")
    parser.add_argument("--write", action="store_true", help="into the page")
    chosen = parser.parse_args()
    text = table(measured([s for s in SHAPES if s[1] * (s[0] + 10) <= 1.01 * chosen.largest], ORDERS))
    print(text)
    if chosen.write:
        before, rest = PAGE.read_text("utf-8").split(MARKS[0])
        PAGE.write_text(before + MARKS[0] + text + MARKS[1] + rest.split(MARKS[1])[1], "utf-8")


if __name__ == "__main__":
    main()
