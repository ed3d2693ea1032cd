"""Bounds on all derivatives of the cross-entropy of many networks, by power series; see derivations/all_derivatives."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from eomsym.curvature.families import BatchTaylor
from eomsym.curvature.networks import _exponential, _minus_log_of_one_minus
from eomsym.types import Array

__all__ = ["BatchMajorant", "SoftmaxSeries"]


@dataclass(frozen=True, eq=False)
class SoftmaxSeries:
    """As `eomsym.curvature.networks._NetworkNeighbourhood._softmax_majorant`, of many networks."""

    product: Array
    residual: Array
    variance: Array
    spread: Array
    longest: Array

    def __getitem__(self, chosen: Any) -> SoftmaxSeries:
        rest = (self.residual, self.variance, self.spread, self.longest)
        return SoftmaxSeries(self.product[:, chosen], *(x[chosen] for x in rest))

    def at(self, radii: Array, top: int) -> Array:
        """Derivatives of the majorant at radii of shape (m, r): shape (top+1, m, r)."""
        moved = np.zeros((top + 2, *radii.shape))
        for k, coefficient in enumerate(self.product):
            for j in range(min(k, top + 1) + 1):
                moved[j] += coefficient[:, None] * math.comb(k, j) * radii ** (k - j)
        residual, variance, spread, longest = (
            x[:, None] for x in (self.residual, self.variance, self.spread, self.longest)
        )
        height = residual * moved
        y = math.sqrt(2) * longest * moved
        inside = variance / 2 * (_exponential(y) - y)
        inside[0] -= variance / 2
        curved = spread / (variance * longest**2) * _minus_log_of_one_minus(inside)
        height += np.where(longest > 0, curved, 0.0)
        height[:, ~(inside[0] < 1)] = np.inf
        factorials = np.array([float(math.factorial(j + 1)) for j in range(top + 1)])
        found: Array = factorials[:, None, None] * height[1:]
        return found


@dataclass(frozen=True, eq=False)
class BatchMajorant(BatchTaylor):
    """Bounds by a majorant, and by what is known better at the points."""

    softmax: SoftmaxSeries | None = None

    def __getitem__(self, chosen: Any) -> BatchTaylor:
        assert self.softmax is not None
        plain = super().__getitem__(chosen)
        return BatchMajorant(plain.known, plain.valid, self.softmax[chosen])

    def at(self, distance: Array, top: int) -> Array:
        """As of `BatchTaylor`, with ``top + 1`` rows."""
        assert self.softmax is not None
        radii = distance.reshape(len(distance), -1)
        with np.errstate(all="ignore"):  # infinite where the majorant ends
            out = self.softmax.at(radii, top)
            change = np.minimum(self.known - self.softmax.at(np.zeros((len(radii), 1)), 1)[..., 0], 0.0)
            for i, number in enumerate(change):
                for j in range(min(i, top) + 1):
                    out[j] += number[:, None] * radii ** (i - j)
        out[np.isnan(out)] = np.inf
        return np.maximum(out, 0.0).reshape(top + 1, *distance.shape)
