"""A kernel that is wrong on purpose: a verification that cannot fail proves nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from eomsym import checks
from eomsym.codegen.kernel import Kernel
from eomsym.errors import InputError

__all__ = ["AlteredKernel", "altered"]


@dataclass(frozen=True, eq=False)
class AlteredKernel(Kernel):
    """A kernel one of whose terms is not what it should be. Made by :func:`altered`."""

    row: int = 0
    change: float | Callable[[np.ndarray], np.ndarray] = 0.0

    def terms(self, theta: Any, *, threads: int = 1) -> np.ndarray:
        """All counter terms, one of them altered."""
        terms = super().terms(theta, threads=threads).copy()
        if self.row <= self.order:
            row = terms[..., self.row, :]
            row += row * self.change if isinstance(self.change, float) else self.change(np.asarray(theta))
        return terms

    def stepper(self, lanes: int = 2, most: int = 0) -> None:
        """None: the compiled stepper has the equation as it should be."""


def altered(kernel: Kernel, row: int, change: float | Callable[[np.ndarray], np.ndarray] = 0.01) -> AlteredKernel:
    """A kernel with one of its counter terms altered, to see that a check notices.

    Parameters
    ----------
    kernel : Kernel
    row : int
        Which term.
    change : float or callable
        By which share of itself it is altered; or what is added to it, as a function of theta, shape (n,).

    Returns
    -------
    AlteredKernel
        Good for everything that takes a kernel.

    Raises
    ------
    InputError
        `kernel` is no kernel, or `row` is no order.

    Examples
    --------
    >>> import eomsym as eom
    >>> loss = eom.Loss("(1-x)**2/2 + (y-x**2)**2/2", variables="x y")
    >>> wrong = altered(eom.compile(loss, 2), row=1)
    >>> eom.verify(wrong, [-0.5, 1.0], time=1.0, ladder=(80, 160, 320), orders=[1]).status
    'failed'
    """
    if not isinstance(kernel, Kernel):
        raise InputError(f"expected a kernel, such as eomsym.compile(loss, 3), got {type(kernel).__name__}")
    own = {field.name: getattr(kernel, field.name) for field in fields(Kernel)}
    return AlteredKernel(**own, row=checks.order(row), change=change)
