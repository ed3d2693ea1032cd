"""Losses as data, shared by the tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import pytest

import eomsym as eom


@dataclass(frozen=True)
class Case:
    """A loss, where it starts, and a ladder of steps on which all orders up to 4 are in their asymptotic range."""

    name: str
    build: Callable[[], Any]
    start: tuple[float, ...]
    time: float = 1.0
    steps: tuple[int, ...] = (10, 20, 40, 80)
    slow: bool = False  # to compile

    def __post_init__(self) -> None:
        # One loss object for all tests: it is compiled once.
        object.__setattr__(self, "build", cache(self.build))

    def verify(self, orders: Sequence[int] = range(5), **options: Any) -> Any:
        ladder, loss = options.pop("ladder", self.steps), options.pop("loss", None) or self.build()
        return eom.verify(loss, self.start, time=self.time, ladder=ladder, orders=orders, **options)


def small_network(widths: tuple[int, ...], samples: int = 20, loss: str = "mse") -> Any:
    """A deep linear network on random data, the same each time."""
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((samples, widths[0]))
    if loss == "cross_entropy":
        targets = np.eye(widths[-1])[rng.integers(0, widths[-1], samples)]
    else:
        targets = inputs @ rng.standard_normal((widths[0], widths[-1])) / np.sqrt(widths[0])
    return eom.DeepLinear(widths, inputs, targets, loss=loss)


def small_start(size: int, seed: int = 1) -> tuple[float, ...]:
    return tuple(0.5 * np.random.default_rng(seed).standard_normal(size))


# theory: the table of errors at eta = 1/10 for K = 0, ..., 4 is known to two digits for this loss
ROSENBROCK = Case("rosenbrock", lambda: eom.Loss("(1-x)**2/2 + (y-x**2)**2/2", variables="x y"), (-0.5, 1.0))
ROSENBROCK_TABLE = (2.0e-2, 1.2e-3, 1.4e-4, 1.6e-5, 2.3e-6)

DEEP = Case("deep linear 3-2-2-2", lambda: small_network((3, 2, 2, 2)), small_start(14), 1.0, (20, 40, 80, 160))

CASES = (
    ROSENBROCK,
    DEEP,
    Case(
        "cross-entropy 3-2-3",
        lambda: small_network((3, 2, 3), loss="cross_entropy"),
        small_start(12),
        2.0,
        slow=True,
    ),
    Case(
        "tanh",
        lambda: eom.Loss("(tanh(a*x + b) - 1/2)**2 + exp(-a*b)*x**2/8", variables="a b x"),
        (0.4, -0.3, 0.9),
    ),
    Case(
        "a field that is no gradient",
        lambda: eom.Field(["x - x*y", "x*y - y"], variables="x y"),
        (1.5, 0.7),
        1.0,
        (20, 40, 80, 160),
    ),
    Case(
        "weight decay",
        lambda: ROSENBROCK.build().with_weight_decay(Fraction(1, 10)),
        (-0.5, 1.0),
    ),
)

PARAMETERS = tuple(pytest.param(case, id=case.name, marks=[pytest.mark.slow] if case.slow else []) for case in CASES)
