"""Bounds on all derivatives of the cross-entropy of many networks, by power series; see derivations/all_derivatives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from eomsym.curvature.families import BatchTaylor
from eomsym.curvature.series import SoftmaxSeries
from eomsym.types import Array

__all__ = ["BatchMajorant"]


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
