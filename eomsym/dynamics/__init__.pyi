"""Motions that are not at the top, and what all of them give."""

from .bundles import Bundle, integrate_many
from .curve import Crossing, Curve
from .prediction import Forward, Stretch
from .solutions import solution
from .trajectory import Trajectory
from .variations import Variation, variation

__all__ = [
    "Bundle",
    "Crossing",
    "Curve",
    "Forward",
    "Stretch",
    "Trajectory",
    "Variation",
    "integrate_many",
    "solution",
    "variation",
]
