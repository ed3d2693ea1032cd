"""A measurement that knows some things already, for tests of its pieces."""

from __future__ import annotations

from typing import Any

import numpy as np

import eomsym as eom
from eomsym.dynamics.leading_error import LeadingError
from eomsym.verification.discrete import Optimiser
from eomsym.verification.measure import Measurement

LOSS = eom.Loss("(1-x)**2/2 + (y-x**2)**2/2", variables="x y")
KERNEL = eom.compile(LOSS, 3)
START = np.array([3.0, 4.0])
QUIET: Any = lambda done, total, label: None  # noqa: E731
LEADING = LeadingError((1, 2, 3), 2.0, np.array([[3.0, 4.0], [0.0, 20.0], [0.0, 0.0]]), np.zeros(3), 0)


def made(
    *asked: int, kernel: Any = KERNEL, start: np.ndarray = START, limit: float = 60.0, **known: Any
) -> Measurement:
    """A measurement that knows some things already."""
    optimiser = Optimiser(kernel.losses, kernel.method) if hasattr(kernel, "losses") else None
    found = Measurement(kernel, optimiser, start, 2.0, asked or (0, 1), limit, QUIET)
    vars(found).update({"cost": 0.0, "sharpness": 1.0, "_stiff": "", "critical": False} | known)
    return found
