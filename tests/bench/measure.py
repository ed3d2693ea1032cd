"""What the measurements share: clocks, two small losses, and networks in plain NumPy.

Time is CPU time of this process, because other programs on the machine stretch the time on the wall and not this one.
On a machine that is left alone the two are equal, since everything measured here runs on one thread.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from statistics import median
from typing import Any

import numpy as np
import pytest

import eomsym as eom
from eomsym.losses.gradient import gradient

WIDTHS = (784, 50, 50, 10)
SAMPLES = 1000


def side_by_side(works: Mapping[Any, Callable[[], object]], rounds: int, budget: float = 20.0) -> dict[Any, float]:
    """Median CPU seconds of each piece of work, in turn, for some rounds or until the budget is spent."""
    seconds: dict[Any, list[float]] = {name: [] for name in works}
    begin = time.process_time()
    for work in works.values():
        work()
    for _ in range(rounds):
        for name, work in works.items():
            start = time.process_time()
            work()
            seconds[name].append(time.process_time() - start)
        if time.process_time() - begin > budget:
            break
    return {name: median(found) for name, found in seconds.items()}


def show(capsys: pytest.CaptureFixture[str], title: str, lines: Iterable[str]) -> None:
    """Print a table past pytest's capture, with the load of the machine."""
    load = os.getloadavg()[0]
    with capsys.disabled():
        print(f"\n{title} (load average {load:.1f})", *lines, sep="\n  ")


def fresh_process(code: str, **environment: str) -> dict[str, float]:
    """Run code in a new interpreter; it prints one JSON object."""
    run = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, check=True, text=True
    )
    found: dict[str, float] = json.loads(run.stdout)
    return found


# small losses -------------------------------------------------------------------------------------------------------


def tanh_text(inputs: int, hidden: int, outputs: int, samples: int) -> tuple[str, str]:
    """Mean square error of a tanh network on random data, written out; and its variables."""
    rng = np.random.default_rng(0)
    weights = iter(f"w{i}" for i in range(hidden * (inputs + outputs)))
    first = [[next(weights) for _ in range(inputs)] for _ in range(hidden)]
    second = [[next(weights) for _ in range(hidden)] for _ in range(outputs)]

    def dot(row: Iterable[str], column: Iterable[Any]) -> str:
        return " + ".join(f"{w}*({x})" for w, x in zip(row, column, strict=True))

    squares = []
    for _ in range(samples):
        x = [f"{v:.3f}" for v in rng.uniform(-1, 1, inputs)]
        layer = [f"tanh({dot(row, x)})" for row in first]
        squares += [f"({dot(row, layer)} - ({rng.uniform(-1, 1):.3f}))**2/{2 * samples}" for row in second]
    return " + ".join(squares), f"w:{hidden * (inputs + outputs)}"


#: (inputs, hidden, outputs, samples): 12 parameters and about 632 scalar operations, 24 and about 2,400.
SMALL, LARGE = (3, 3, 1, 10), (4, 4, 2, 19)


def scalar_operations(loss: eom.Loss) -> int:
    """Additions, multiplications and function calls of loss and gradient, where every scalar is computed once."""
    total = 0
    for node in gradient(loss._bare_program()).nodes:
        if node.operation == "combine":
            entries, offset = node.parameters
            total += sum(c not in (1, -1) for *_, c in entries) + len(entries) - 1 + (offset[0] != 0)
        elif node.operation == "add":
            total += 1 + sum(weight not in (1, -1) for weight in node.parameters)
        elif node.operation == "square" and node.parameters:  # 1 - tanh**2
            total += 2
        elif node.operation not in {"theta", "part", "join", "constant"}:
            total += 1
    return total


# networks -----------------------------------------------------------------------------------------------------------


def data(loss: str) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((SAMPLES, WIDTHS[0]))
    labels = rng.integers(0, WIDTHS[-1], SAMPLES)
    return inputs, labels if loss == "cross_entropy" else rng.standard_normal((SAMPLES, WIDTHS[-1]))


def network(activation: str, loss: str) -> eom.Network:
    if activation == "linear":
        return eom.DeepLinear(WIDTHS, *data(loss), loss=loss)
    return eom.Network(WIDTHS, *data(loss), activation=activation, loss=loss)


def numpy_gradient(activation: str, loss: str) -> Callable[[np.ndarray], np.ndarray]:
    """The gradient of `network` as one writes it by hand: every layer a matrix product."""
    inputs, targets = data(loss)
    if loss == "cross_entropy":
        targets = np.eye(WIDTHS[-1])[targets]
    x, y = np.ascontiguousarray(inputs.T), np.ascontiguousarray(targets.T)
    shapes = [(rows, columns) for columns, rows in pairwise(WIDTHS)]
    ends = np.cumsum([0] + [rows * columns for rows, columns in shapes])

    def evaluate(theta: np.ndarray) -> np.ndarray:
        matrices = [theta[s:e].reshape(shape) for (s, e), shape in zip(pairwise(ends), shapes, strict=True)]
        layers = [x]
        for matrix in matrices[:-1]:
            layer = matrix @ layers[-1]
            layers.append(np.tanh(layer, out=layer) if activation == "tanh" else layer)
        back = matrices[-1] @ layers[-1]
        if loss == "cross_entropy":
            back = np.exp(back - back.max(axis=0))
            back /= back.sum(axis=0)
        back = (back - y) / SAMPLES
        out = np.empty_like(theta)
        for number in range(len(matrices) - 1, -1, -1):
            out[ends[number] : ends[number + 1]] = (back @ layers[number].T).ravel()
            if number:
                back = matrices[number].T @ back
                if activation == "tanh":
                    back *= 1 - layers[number] ** 2
        return out

    return evaluate


def relative_error(found: np.ndarray, exact: np.ndarray) -> float:
    """Largest error of each row over the largest entry of that row; the worst row."""
    exact = exact.astype(float)
    worst = max(abs(row - true).max() / abs(true).max() for row, true in zip(found, exact, strict=True))
    return float(worst) if math.isfinite(worst) else math.inf
