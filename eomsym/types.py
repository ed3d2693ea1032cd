"""Types that several floors share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "Progress"]

#: Double precision numbers of any shape.
Array: TypeAlias = NDArray[np.float64]
#: Called with what is done, what there is to do, and what it is: ``(done, total, label)``.
Progress: TypeAlias = Callable[[int, int, str], None]
