"""What a prediction by the equation of motion saves: against accuracy, against steps, against ``eta lambda``."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from eomsym.codegen.kernel import Kernel, compile
from eomsym.dynamics.descent import descend
from eomsym.dynamics.forward import forward
from eomsym.dynamics.prediction import Forward
from eomsym.dynamics.reach import sharpness
from eomsym.experiments.experiment import Claim, Experiment, Line, Panel
from eomsym.losses.data import digits
from eomsym.losses.initial import weights
from eomsym.losses.network import Network
from eomsym.types import Progress

__all__ = ["fast_forward"]

WIDTHS = (64, 20, 10)
ETA = 0.01
TOLERANCES = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
PRODUCTS = (0.003, 0.01, 0.03, 0.1, 0.2)


def fast_forward(images: int = 500, steps: int = 20_000, progress: Progress | None = None) -> Experiment:
    """Predict gradient descent on digits many steps ahead, and hold it against the run.

    Parameters
    ----------
    images : int
        Handwritten digits.
    steps : int
        Steps of gradient descent.
    progress : callable, optional
        Called with (done, total, what).

    Returns
    -------
    Experiment
    """
    begin = time.perf_counter()
    network = Network(WIDTHS, *digits(images), activation="tanh", loss="cross_entropy")
    start = np.concatenate([matrix.ravel() for matrix in weights(WIDTHS, "xavier", seed=0)])
    kernel = compile(network, 0)
    lengths = [steps // 100, steps // 30, steps // 10, steps // 3, steps]
    jobs = len(TOLERANCES) + len(lengths) + len(PRODUCTS)

    def told(done: int, what: str) -> None:
        if progress is not None:
            progress(done, jobs, what)

    told(0, "gradient descent")
    end = descend(kernel, start, eta=ETA, steps=steps, every=steps).end
    by_tolerance: list[Forward] = []
    for number, tolerance in enumerate(TOLERANCES, 1):
        by_tolerance.append(forward(kernel, start, eta=ETA, steps=steps, tolerance=tolerance))
        told(number, f"tolerance {tolerance:g}")
    by_steps = _by_steps(kernel, start, lengths, lambda k: told(len(TOLERANCES) + k, "steps"))
    rate = sharpness(kernel, start)
    by_product = []
    for number, product in enumerate(PRODUCTS, 1):
        by_product.append(forward(kernel, start, eta=product / rate, steps=steps, tolerance=1e-4))
        told(len(TOLERANCES) + len(lengths) + number, f"eta*lambda {product:g}")
    true = np.array([np.linalg.norm(found.theta - end) for found in by_tolerance])
    # Where the optimiser ran all the way both are 0, up to rounding.
    estimated = np.maximum([f.error for f in by_tolerance], 1e-12)
    best = by_tolerance[TOLERANCES.index(1e-6)]
    claims = (
        Claim("true error over estimate, at most", float(max(true / estimated)), -np.inf, 3.0),
        Claim("error at a tolerance of 1e-6", float(true[TOLERANCES.index(1e-6)]), -np.inf, 1e-6),
        Claim("times fewer gradients than descent", best.saved, 3.0 if steps < 50_000 else 25.0, np.inf),
    )
    settings: dict[str, Any] = {"images": images, "steps": steps, "eta": ETA, "widths": list(WIDTHS)}
    return Experiment(
        "forward",
        f"{steps:,} steps of gradient descent on {images} digits, predicted",
        settings,
        _panels(by_tolerance, true, lengths, by_steps, by_product, steps),
        claims,
        {"table": [_row(found) for found in (*by_tolerance, *by_steps, *by_product)]},
        time.perf_counter() - begin,
    )


def _row(found: Forward) -> dict[str, Any]:
    """What was found, without the parameters."""
    names = (
        "steps",
        "error",
        "neglected",
        "integration",
        "order",
        "gradients",
        "saved",
        "sharpness",
        "notes",
        "seconds",
    )
    return {name: getattr(found, name) for name in names} | {"stretches": [vars(part) for part in found.stretches]}


def _by_steps(kernel: Kernel, start: np.ndarray, lengths: list[int], told: Any) -> list[Forward]:
    found = []
    for number, count in enumerate(lengths, 1):
        found.append(forward(kernel, start, eta=ETA, steps=count, tolerance=1e-6))
        told(number)
    return found


def _panels(
    by_tolerance: list[Forward],
    true: np.ndarray,
    lengths: list[int],
    by_steps: list[Forward],
    by_product: list[Forward],
    steps: int,
) -> tuple[Panel, ...]:
    asked = np.array(TOLERANCES)
    counts, products = np.array(lengths, dtype=np.float64), np.array(PRODUCTS)
    return (
        Panel(
            "accuracy",
            "tolerance",
            "distance from gradient descent",
            (
                Line("true", asked, true, 2),
                Line("estimated", asked, np.array([found.error for found in by_tolerance]), 1, "predicted"),
            ),
            "xy",
        ),
        Panel(
            "against accuracy",
            "tolerance",
            "gradients",
            (
                Line("gradient descent", asked, np.full(len(asked), float(steps)), "descent"),
                Line("prediction", asked, np.array([found.gradients for found in by_tolerance]), 2),
            ),
            "xy",
        ),
        Panel(
            "against steps, to 1e-6",
            "steps of gradient descent",
            "gradients",
            (
                Line("gradient descent", counts, counts, "descent"),
                Line("prediction", counts, np.array([found.gradients for found in by_steps]), 2),
            ),
            "xy",
        ),
        Panel(
            f"{steps:,} steps, to 1e-4",
            r"$\eta\lambda$ at the start",
            "gradients",
            (
                Line("gradient descent", products, np.full(len(products), float(steps)), "descent"),
                Line("prediction", products, np.array([found.gradients for found in by_product]), 2),
            ),
            "xy",
        ),
    )
