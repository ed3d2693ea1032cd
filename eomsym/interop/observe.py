"""The equation of motion of an opaque training step, from a few calls."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from eomsym import checks
from eomsym.errors import DivergenceError, InputError

__all__ = ["Observation", "observe"]

#: Differences of more iterates than this hold rounding alone.
HIGHEST = 5
#: Of rounding to what is wanted, beyond which nothing is said.
DROWNED = 0.1
#: Squares of larger numbers overflow.
LARGEST = 1e150


@dataclass(frozen=True, eq=False)
class Observation:
    """What a few iterates say about a training step. Made by :func:`observe`.

    Attributes
    ----------
    displacement : ndarray, shape (n,)
        ``eta`` times the velocity of the modified equation: how far its flow goes in the time of one step.
    first : ndarray, shape (n,)
        The step itself; minus ``eta`` times the gradient for gradient descent.
    drift : float
        ``|displacement - first| / |first|``: how far the motion is from the flow of the step's own direction, relative.
        To first order it is ``eta |Hg| / (2 |g|)`` for gradient descent.
    terms : ndarray, shape (order + 1,)
        Size of each term of the series, relative to the first. They must fall; where they do not, the step is too long.
    error : float
        What the series leaves out, relative: the last term times the rate at which the last ones fall.
    rounding : float
        What rounding adds to the displacement, relative to ``|first|``.
    local_order : int
        Up to here the terms fall and stand above rounding; at most the order asked for.
    digits : float
        Relative rounding of the numbers that the step works with.
    status : str
        ``"trusted"``, or ``"inconclusive"`` where rounding or a series that does not fall leaves no digit of the drift.
    """

    displacement: np.ndarray
    first: np.ndarray
    drift: float
    terms: np.ndarray
    error: float
    rounding: float
    local_order: int
    digits: float
    status: str

    def velocity(self, eta: float) -> np.ndarray:
        """Velocity of the modified equation, shape (n,), in units in which a step takes the time `eta`."""
        return self.displacement / eta

    def __str__(self) -> str:
        falling = ", ".join(f"{x:.1e}" for x in self.terms)
        return (
            f"drift {self.drift:.3g}, terms {falling}, error {self.error:.1e}, rounding {self.rounding:.1e}, "
            f"local order {self.local_order}: {self.status}"
        )


def observe(step: Callable[[Any], Any], theta: Any, order: int = 3, *, check: bool = True) -> Observation:
    """The modified velocity of any training step, from ``order + 1`` calls of it.

    The logarithm of the shift, ``eta d/dt = log(1 + D) = D - D**2/2 + …`` with the differences ``D`` of the iterates,
    gives the velocity of the equation that the step really follows, up to ``O(eta**(order+1))``.

    Parameters
    ----------
    step : callable
        From parameters to the parameters after a step: arrays of NumPy, JAX or PyTorch, or dicts, lists and tuples of
        them. It must be a function: no random batches, no memory outside of its argument.
    theta : as `step` takes it
    order : int
        0 to 5.
    check : bool
        Call the step at `theta` once more, and refuse it where it gives another result.

    Returns
    -------
    Observation

    Raises
    ------
    InputError
        The step works in float32 and rounding drowns the result; it is no function of its argument; it changes the
        shape of the parameters; or `order` is out of range.
    DivergenceError
        The iterates left the finite numbers.

    Examples
    --------
    >>> import numpy as np
    >>> found = observe(lambda x: x - 0.1 * np.sin(x), np.array([1.0]), order=3)
    >>> found.status
    'trusted'
    >>> x, s, c = 1.0, np.sin(1.0), np.cos(1.0)
    >>> exact = -(s + 0.1 * c * s / 2 + 0.01 * (c * c * s / 3 - s * s * s / 12))
    >>> bool(abs(found.velocity(0.1)[0] - exact) < 1e-4)
    True

    References
    ----------
    C. Jordan, Calculus of Finite Differences (1939): ``log(1 + D)``; E. Hairer, C. Lubich and G. Wanner, Geometric
    Numerical Integration (2006), chapter IX, doi:10.1007/3-540-30666-8.
    """
    order, check = checks.count(order, "order", 0, HIGHEST, "beyond, rounding wins"), checks.flag(check, "check")
    iterates, digits = _iterates(step, theta, int(order) + 1, check)
    differences = [iterates]
    for _ in range(order + 1):
        differences.append(np.diff(differences[-1], axis=0))
    first = differences[1][0]
    size = float(np.linalg.norm(first))
    parts = [(-1) ** (k + 1) * differences[k][0] / k for k in range(1, order + 2)]
    if size == 0:
        raise InputError("the step does not move: this is a fixed point, and there is no motion to observe")
    displacement = np.sum(parts, axis=0)
    terms = np.array([np.linalg.norm(part) for part in parts]) / size
    # each iterate is rounded on its own; the weights of the iterates in the sum are those of its differences
    noise = digits * float(np.linalg.norm(iterates[0])) / size
    grown = np.array([_weights(k) / k for k in range(1, order + 2)]) * noise
    rounding = float(np.linalg.norm(grown))
    rates = terms[1:] / np.maximum(terms[:-1], 1e-300)
    rate = float(rates[-1]) if order else float("nan")
    error = float(terms[-1] * rate) if order else float("nan")
    usable = 0
    while usable < order and terms[usable + 1] < terms[usable] and terms[usable + 1] > grown[usable + 1]:
        usable += 1
    drift = float(np.linalg.norm(displacement - first)) / size
    drowned = order > 0 and rounding > DROWNED * max(drift, 1e-300)
    if drowned and digits > 1e-10:
        raise InputError(
            f"the step works in float32, and its rounding, {rounding:.1e} of a step, drowns the drift of {drift:.1e}; "
            "run it in float64: model.double() in PyTorch, jax.config.update('jax_enable_x64', True) in JAX, "
            "dtype=float in NumPy"
        )
    falls = order == 0 or rate < 1
    status = "inconclusive" if drowned or not falls else "trusted"
    return Observation(displacement, first, drift, terms, error, rounding, usable, digits, status)


def _weights(k: int) -> float:
    """Euclidean norm of the coefficients of a k-th difference."""
    from math import comb

    return float(np.sqrt(sum(comb(k, j) ** 2 for j in range(k + 1))))


def _copied(theta: Any) -> Any:
    try:
        return copy.deepcopy(theta)
    except Exception as error:  # whatever the object of somebody else raises
        raise InputError(
            f"parameters must be arrays, or dicts and lists of them, got {checks.shown(theta)}, which cannot be copied"
        ) from error


def _iterates(step: Callable[[Any], Any], theta: Any, count: int, check: bool) -> tuple[np.ndarray, float]:
    """Iterates as rows, and the relative rounding of the numbers that they are made of."""
    checks.function(step, "step", "the parameters")
    point = _copied(theta)
    rows, digits = [_vector(point)], []
    for k in range(count):
        point = step(copy.deepcopy(point))
        row = _vector(point)
        if row.shape != rows[0].shape:
            raise InputError(
                f"the step gives {row.size} numbers for {rows[0].size} parameters; it must keep their shape"
            )
        if not np.isfinite(row).all() or np.max(np.abs(row), initial=0.0) > LARGEST:
            raise DivergenceError(
                f"call {k + 1} of the step gives numbers that are not finite, or above {LARGEST:g}", step=k + 1
            )
        digits.append(_digits(point, row))
        rows.append(row)
    if check and not np.array_equal(_vector(step(copy.deepcopy(theta))), rows[1]):
        raise InputError(
            "the step gives another result at the same parameters: it draws batches or random numbers, or it remembers "
            "(momentum); fix the batch, and make what it remembers a part of theta"
        )
    return np.array(rows), max(digits)


def _leaves(tree: Any) -> Iterator[Any]:
    if isinstance(tree, Mapping):
        for key in tree:
            yield from _leaves(tree[key])
    elif isinstance(tree, (list, tuple)):
        for item in tree:
            yield from _leaves(item)
    else:
        yield tree


def _array(leaf: Any) -> np.ndarray:
    return np.asarray(leaf.detach().cpu().numpy() if hasattr(leaf, "detach") else leaf)


def _vector(tree: Any) -> np.ndarray:
    try:
        arrays = [np.ravel(_array(leaf)) for leaf in _leaves(tree)]
        if any(map(np.iscomplexobj, arrays)):
            raise TypeError("complex numbers")
        parts = [array.astype(np.float64) for array in arrays]
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"parameters must be arrays of real numbers, or dicts and lists of them, got {checks.shown(tree)}"
        ) from error
    if not parts:
        raise InputError("theta holds no numbers")
    return np.concatenate(parts)


def _digits(tree: Any, row: np.ndarray) -> float:
    """Rounding of the coarsest type; float64 that holds nothing but float32 counts as float32."""
    kinds = [_array(leaf).dtype for leaf in _leaves(tree)]
    found = max((float(np.finfo(kind).eps) for kind in kinds if kind.kind == "f"), default=2.3e-16)
    with np.errstate(over="ignore"):
        coarse = row.size >= 4 and bool((row.astype(np.float32).astype(np.float64) == row).all())
    return max(found, float(np.finfo(np.float32).eps)) if coarse and np.ptp(row) else found
