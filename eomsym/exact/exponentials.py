"""Power series of sums of exponentials, over any domain of sympy: what shifts in time become."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["exponentials", "growth", "quotient"]


def exponentials(row: Sequence[Any], n: int, domain: Any) -> list[Any]:
    """The first `n` Taylor coefficients of ``sum_l row[l] exp(-l z)``.

    Examples
    --------
    >>> from sympy import QQ
    >>> [str(c) for c in exponentials([0, 1], 3, QQ)]
    ['1', '-1', '1/2']
    """
    weights = [domain.convert(x) if isinstance(x, int) else domain.from_sympy(x) for x in row]
    factorial, out = 1, []
    for k in range(n):
        factorial *= max(k, 1)
        total = domain.zero
        for lag, weight in enumerate(weights):
            total += weight * domain((-lag) ** k) / domain(factorial)
        out.append(total)
    return out


def growth(n: int, domain: Any) -> list[Any]:
    """The first `n` Taylor coefficients of ``(exp(z) - 1)/z``.

    Examples
    --------
    >>> from sympy import QQ
    >>> [str(c) for c in growth(3, QQ)]
    ['1', '1/2', '1/6']
    """
    out = [domain.one]
    for k in range(2, n + 1):
        out.append(out[-1] / domain(k))
    return out[:n]


def quotient(above: Sequence[Any], below: Sequence[Any]) -> list[Any]:
    """The quotient of two power series, as long as `above`; the first coefficient of `below` is not zero.

    Examples
    --------
    >>> from sympy import QQ
    >>> [str(b) for b in quotient([QQ(1), QQ(0), QQ(0)], growth(3, QQ))]  # Bernoulli / k!
    ['1', '-1/2', '1/12']
    """
    out: list[Any] = []
    for k, top in enumerate(above):
        rest = top
        for i in range(k):
            rest = rest - out[i] * below[k - i]
        out.append(rest / below[0])
    return out
