"""Places of entries, as a parameter of a node."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

__all__ = ["Indices"]


class Indices:
    """A fixed array of places in a flat array; -1 stands for nowhere.

    Parameters
    ----------
    places : array_like of int
        Its shape does not matter.
    """

    __slots__ = ("_digest", "array")

    def __init__(self, places: Any) -> None:
        self.array = np.ascontiguousarray(places, dtype=np.int64).ravel()
        self.array.setflags(write=False)
        self._digest = hashlib.sha256(self.array.tobytes()).digest()

    def inverse(self, size: int) -> Indices | None:
        """Where each of `size` entries goes, if the places are a permutation of them."""
        if self.array.size != size or size == 0 or self.array.min() < 0:
            return None
        turned = np.full(size, -1, dtype=np.int64)
        turned[self.array] = np.arange(size)
        return None if turned.min() < 0 else Indices(turned)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Indices) and self._digest == other._digest

    def __hash__(self) -> int:
        return hash(self._digest)

    def __repr__(self) -> str:
        return f"<{self.array.size} places>"
