"""What plain readings of bounds share: one case of many, lengths, cells, what rounding takes from a step."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
from bounds.bent import CENTRE, LOSS, POWERS, ROWS

import eomsym as eom
from eomsym.bounds import tubes
from eomsym.bounds.terms import tree_bounds
from eomsym.curvature import PolynomialFamily, curvature_of
from eomsym.curvature.derivatives import Derivatives
from eomsym.curvature.hessian import Spectrum

EPS, TINY = 2.0**-52, 2.0**-1022
FAMILY = PolynomialFamily(POWERS, ROWS)


class One:
    """One of many neighbourhoods as a neighbourhood."""

    def __init__(self, around: Any, i: int) -> None:
        self.many, self.i = around, i
        self.gradient, self.hessian = around.gradients[i], around.hessians[i]

    def spectrum(self, radius: float) -> Spectrum:
        found = self.many.spectrum(np.full(len(self.many.thetas), radius))
        return Spectrum(found.lower[self.i], found.upper[self.i], found.slope[self.i])

    def third(self, radius: float) -> float:
        return float(self.many.third(np.full(len(self.many.thetas), radius))[self.i])

    def rounding(self) -> float:
        return float(self.many.rounding()[self.i])

    def derivatives(self) -> Derivatives:
        return Derivatives(self.many.known.known[:, self.i])


def length(vector: Any) -> float:
    return math.sqrt(sum(float(x) ** 2 for x in vector))


def step_rounded(around: Any, size: float, eta: float, slope: float) -> float:
    return EPS * (size + 2 * eta * slope) + 2 * eta * around.rounding() + 4 * TINY


def trees(known: Any, radius: float, order: int, eta: float) -> list[float]:
    return [eta**k * size for k, size in enumerate(tree_bounds(known.at(radius, order), order))]


def single(order: int) -> tuple[Any, Any, Any]:
    kernel, known = eom.compile(LOSS, 3).at_order(order), curvature_of(LOSS)
    return kernel, known, tubes._cell(kernel, known.at(CENTRE), CENTRE, 0.25)


def made(**changes: Any) -> tubes._Cell:
    """A cell of two balls of one's own choice."""
    numbers = {"radii": [0.5, 1.0], "speed": [1.0, 1.0], "steep": [0.0, 0.0], "bend": [0.0, 0.0], "haze": [0.0, 0.0]}
    arrays = {name: np.array(changes.get(name, row)) for name, row in numbers.items()}
    around = SimpleNamespace(spectrum=lambda radius: Spectrum(-radius, 2 * radius, 1.0))
    return tubes._Cell(changes.get("around", around), valid=changes.get("valid", np.inf), **arrays)
