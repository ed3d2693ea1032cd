"""Orders that cannot be judged, as rounding hides their errors or time does not suffice, known before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from eomsym.errors import TableError
from eomsym.types import Array
from eomsym.verification.verdict import TRUST

if TYPE_CHECKING:
    from eomsym.codegen.kernel import Kernel

__all__ = ["hidden_orders"]

#: Orders are looked at from here on, twice as many at a time: the highest may take seconds each.
FIRST = 16
#: Evaluations that every verification needs; the time of one grows at least with the square of the order.
FEWEST = 150
#: An error grows on its way by no more than this, against its first guess.
GROWTH = 1e6
#: A term may vanish at the start by chance; so many orders in a row do not.
ROW = 3


def hidden_orders(
    kernel: Kernel, theta: Array, time: float, orders: Sequence[int], eta: float, limit: float
) -> dict[int, str]:
    """Orders that cannot be judged, with the reason.

    The error of order K at a learning rate is about ``time * eta**(K+1) * norm(terms[K+1])``, with the term at the
    start. Where that is a million times smaller than what float64 leaves to be judged, there is no use in running.

    Parameters
    ----------
    kernel : Kernel
        To one more than the highest order.
    theta : ndarray, shape (n,)
    time : float
    orders : sequence of int
    eta : float
        The coarsest learning rate.
    limit : float
        Seconds for everything; no order can be judged where the evaluations of the highest take longer.

    Returns
    -------
    dict
        From order to reason.

    Examples
    --------
    >>> import eomsym as eom
    >>> kernel = eom.compile(eom.Loss("(1-x)**2/2 + (y-x**2)**2/2", variables="x y"), 41)
    >>> found = hidden_orders(kernel, np.array([-0.5, 1.0]), 1.0, [4, 40], 0.1, 60.0)
    >>> list(found), found[40].partition(";")[2]
    ([40], ' orders up to about 14 can be judged')
    """
    seen = TRUST * float(np.finfo(np.float64).eps) * float(np.linalg.norm(theta))
    top, last = min(FIRST, kernel.order), kernel.order
    while True:
        try:
            terms = kernel.at_order(top).terms(theta)
        except TableError:  # then the verification says where, when it comes to it
            return {}
        sizes = time * eta ** np.arange(top + 1) * np.linalg.norm(terms, axis=1)  # entry K + 1 is the error of order K
        if not (np.isfinite(sizes).all() and sizes[0] > 0 and seen > 0):
            return {}
        peaks = np.array([sizes[max(k - ROW + 1, 0) : k + 1].max() for k in range(top + 1)])
        # Terms of very high orders are rounding themselves, and grow again: what comes behind is hidden all the more.
        behind = np.logical_or.accumulate(GROWTH * peaks < seen) & (peaks < seen)
        if behind[-1] or top == last:
            break
        seconds = FEWEST * (last / top) ** 2 * _seconds(kernel.at_order(top), theta)
        if seconds > limit:
            return dict.fromkeys(
                orders,
                f"a verification to order {last - 1} takes more than {seconds:.3g} s, and limit={limit:g}: take lower "
                "orders, or a larger limit",
            )
        top = min(2 * top, last)
    good = np.flatnonzero(sizes[1:] > seen)
    best = f"orders up to about {good[-1]} can be judged" if len(good) else "take a longer time, or fewer steps"
    return {
        order: f"at eta={eta:.3g} the error of order {min(order, top - 1)} is about {sizes[min(order + 1, top)]:.0e}, "
        f"and rounding hides all below {seen:.0e}; {best}"
        for order in orders
        if order >= top or behind[order + 1]
    }


def _seconds(kernel: Kernel, theta: Array) -> float:
    """Time of one evaluation, compiled before."""
    began = perf_counter()
    kernel.terms(theta)
    return perf_counter() - began
