"""Front ends and what watches training, each with its home."""

from .audit import Audit
from .loops import watch_optax, watch_torch
from .monitor import Look
from .observe import Observation
from .traced import Traced

__all__ = [
    "Audit",
    "Look",
    "Observation",
    "Traced",
    "watch_optax",
    "watch_torch",
]
