"""Explicit steps of order 4 for stiff fields with real negative eigenvalues, that stand for whole runs of descent too.

``m`` steps of gradient descent are a Runge-Kutta method of m stages for gradient flow. The step here has s stages, is
stable up to ``h lambda = 0.3 s**2 - 3``, and agrees with those m steps on all eight rooted trees of up to four nodes:
what gradient descent does in m steps, with all corrections of the equation of motion that these trees carry, for s
gradients. With ``m = inf`` it is a step of the flow itself.

The stability polynomial is ``w P``: P belongs to the polynomials that are orthogonal under ``w**2 / sqrt(1 - x**2)``,
whose three-term recurrence makes the first stages, and w, of degree 4, is what the last four stages add to make the
order; so w is a fixed point.

References
----------
A. Abdulle, Fourth order Chebyshev methods with recurrence relation, SIAM J. Sci. Comput. 23 (2002), 2041-2054,
doi:10.1137/S1064827500379549, for flows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eomsym.errors import InputError

__all__ = ["FEWEST", "MOST", "stability", "stages_for", "step", "targets"]

Array = NDArray[np.float64]

#: Fewest and most stages.
FEWEST, MOST = 5, 120
#: Length of the stability interval, ``LENGTH s**2 - OFFSET``, and damping: beyond the first stages the polynomial stays
#: below one half.
LENGTH, OFFSET, DAMPING = 0.30, 3.0, 2.0
#: Stages and weights of the classical method of order 4, where the search for the last four stages begins.
_CLASSICAL = np.array([0.5, 0.0, 0.5, 0.0, 0.0, 1.0, 1 / 6, 1 / 3, 1 / 3, 1 / 6])


def stability(stages: int) -> float:
    """Length of the stability interval of a step.

    Examples
    --------
    >>> stability(10)
    27.0
    """
    return LENGTH * stages**2 - OFFSET


def stages_for(stiffness: float) -> int:
    """Fewest stages for which a step with this ``h * lambda`` is stable, 5 or more.

    Examples
    --------
    >>> stages_for(27.0), stages_for(0.1)
    (10, 5)
    """
    return max(FEWEST, math.ceil(math.sqrt((max(stiffness, 0.0) + OFFSET) / LENGTH) - 1e-12))


def targets(steps: float) -> Array:
    """Weights of the trees ``. [.] [.,.] [[.]] [.,.,.] [.,[.]] [[.,.]] [[[.]]]`` in a run of descent, or in the flow.

    Parameters
    ----------
    steps : int or inf
        The step is ``steps * eta`` long.

    Returns
    -------
    ndarray, shape (8,)

    Examples
    --------
    >>> targets(1).tolist(), targets(2).tolist()[:3]
    ([1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], [1.0, 0.25, 0.125])
    """
    if math.isinf(steps):
        return 1.0 / np.array([1.0, 2.0, 3.0, 6.0, 4.0, 8.0, 12.0, 24.0])
    m = int(steps)
    two, three, four = (math.comb(m, k) for k in (2, 3, 4))
    sums = [m, two, 2 * three + two, three, two**2, 3 * four + 2 * three, 2 * four + three, four]
    return np.array([total / m**k for total, k in zip(sums, (1, 2, 3, 3, 4, 4, 4, 4), strict=True)])


def _of_field(tree: NDArray[Any]) -> NDArray[Any]:
    """Weights of h times the field at a state with these weights."""
    one, two, bush, tall, *_ = tree
    return np.array([1.0, one, one**2, two, one**3, one * two, bush, tall])


class _Inner(NamedTuple):
    """Recurrence of the first stages, ``new = a now + b h field(now) + c before``, and weights of the last of them."""

    rows: tuple[tuple[float, float, float], ...]
    weights: Array


@lru_cache(maxsize=256)
def _inner(stages: int) -> _Inner:
    """The first ``stages - 4`` stages."""
    count, edge = stages - 4, 1.0 + DAMPING / stages**2  # x = edge + z / scale: [-1, edge] is [-length, 0]
    scale = stability(stages) / (1.0 + edge)
    x = np.cos((np.arange(4 * stages + 20) + 0.5) * np.pi / (4 * stages + 20))
    w = np.array([1.0, 0.3, 0.06, 0.008, 0.0006])
    for _ in range(400):
        alpha, beta = _recurrence(np.polynomial.polynomial.polyval((x - edge) * scale, w) ** 2, x, count)
        rows = _rows(alpha, beta, edge, scale)
        new = _completion(rows)
        change = float(np.max(np.abs(new / w - 1.0)))
        w = (w + new) / 2
        if change < 1e-12:
            break
    before = now = np.zeros(8)
    for a, b, c in rows:
        before, now = now, a * now + b * _of_field(now) + c * before
    return _Inner(rows, now)


def _recurrence(weight: Array, x: Array, count: int) -> tuple[Array, Array]:
    """Coefficients of the monic polynomials that are orthogonal on points x (Stieltjes)."""
    alpha, beta = np.zeros(count), np.zeros(count)
    before, now, last = np.zeros_like(x), np.ones_like(x), 1.0
    for k in range(count):
        size = float(weight @ now**2)
        alpha[k] = float(weight @ (x * now**2)) / size
        beta[k] = size / last if k else 0.0
        before, now, last = now, (x - alpha[k]) * now - beta[k] * before, size
    return alpha, beta


def _rows(alpha: Array, beta: Array, edge: float, scale: float) -> tuple[tuple[float, float, float], ...]:
    """The same recurrence for polynomials in z that are 1 at 0."""
    rows, last = [], 1.0
    for a, b in zip(alpha.tolist(), beta.tolist(), strict=True):
        back = b / last
        last = edge - a - back
        rows.append(((edge - a) / last, 1.0 / (scale * last), -back / last))
    return tuple(rows)


def _completion(rows: tuple[tuple[float, float, float], ...]) -> Array:
    """The polynomial of degree 4 that makes the product with that of the rows agree with the exponential."""
    before, now = np.zeros(5), np.eye(5)[0]
    for a, b, c in rows:
        new = a * now + c * before
        new[1:] += b * now[:-1]
        before, now = now, new
    wanted, w = 1.0 / np.array([1.0, 1.0, 2.0, 6.0, 24.0]), np.zeros(5)
    for k in range(5):
        w[k] = wanted[k] - w[:k] @ now[k:0:-1]
    return w


@lru_cache(maxsize=1024)
def _outer(stages: int, steps: float) -> tuple[Array, Array]:
    """Matrix and weights of the last four stages: of all that make the order, near the classical ones (Newton)."""
    start, wanted = _inner(stages).weights, targets(steps)
    numbers = _CLASSICAL * (1.0 - start[0])
    for _ in range(40):
        defect = _completed(numbers, start) - wanted
        if np.max(np.abs(defect)) < 4e-15:
            break
        # Derivatives by a complex step, exact to rounding.
        slopes = [_completed(numbers + 1e-30j * unit, start).imag / 1e-30 for unit in np.eye(10)]
        change = np.linalg.lstsq(np.array(slopes).T, defect, rcond=1e-14)[0]
        size = max(float(np.linalg.norm(change)), 1e-300)
        numbers = numbers - change * min(1.0, 0.3 * float(np.linalg.norm(numbers)) / size)
    else:  # never seen with a quarter more steps than stages
        raise InputError(f"no step of {stages} stages stands for {steps} steps; take fewer stages")
    return _unpacked(numbers)


def _unpacked(numbers: NDArray[Any]) -> tuple[Array, Array]:
    matrix = np.zeros((4, 4), dtype=numbers.dtype)
    matrix[np.tril_indices(4, -1)] = numbers[:6]
    return matrix, numbers[6:]


def _completed(numbers: NDArray[Any], start: Array) -> NDArray[Any]:
    """Weights of the whole step with these last stages."""
    matrix, shares = _unpacked(numbers)
    slopes: list[NDArray[Any]] = []
    for row in matrix:
        slopes.append(_of_field(start + sum(a * slope for a, slope in zip(row, slopes, strict=False))))
    return np.asarray(start + sum(b * slope for b, slope in zip(shares, slopes, strict=True)))


def step(
    velocity: Callable[[Array], Array], state: Array, slope: Array, h: float, stages: int, steps: float = math.inf
) -> Array:
    """One step.

    Parameters
    ----------
    velocity : callable
        Autonomous field.
    state, slope : ndarray, shape (n,)
        Where the step begins, and the velocity there.
    h : float
    stages : int
        5 to 120; ``stages - 1`` evaluations.
    steps : int or inf
        Euler steps, of length ``h / steps``, whose result is wanted, a quarter more than stages or yet more; that of
        the flow by default.

    Returns
    -------
    ndarray, shape (n,)

    Raises
    ------
    InputError
        `stages` or `steps` is out of range.

    Examples
    --------
    Of ``y' = -y``, one step of 0.5, and 20 of 0.025:

    >>> one = np.ones(1)
    >>> flow, run = (step(lambda y: -y, one, -one, 0.5, 8, m)[0] for m in (np.inf, 20))
    >>> bool(abs(flow - np.exp(-0.5)) < 1e-4), bool(abs(run - 0.975**20) < 1e-4), bool(abs(run - flow) > 3e-3)
    (True, True, True)
    """
    if not FEWEST <= stages <= min(MOST, 0.8 * steps):
        raise InputError(
            f"stages={stages}, steps={steps}: expected {FEWEST} to {MOST} stages, not more than 4/5 of the steps"
        )
    before, now = np.zeros_like(state), state
    for k, (a, b, c) in enumerate(_inner(stages).rows):
        before, now = now, a * now + (b * h) * (velocity(now) if k else slope) + c * before
    matrix, shares = _outer(stages, steps)
    slopes: list[Array] = []
    for row in h * matrix:
        slopes.append(velocity(now + sum(a * one for a, one in zip(row, slopes, strict=False))))
    found: Array = now + h * sum(b * one for b, one in zip(shares, slopes, strict=True))
    return found
