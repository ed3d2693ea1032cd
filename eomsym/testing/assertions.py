"""Assertions whose messages name the first thing that is wrong, so that a shrunk example reads well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from eomsym import checks
from eomsym.bounds.bound import Bound
from eomsym.errors import InputError
from eomsym.types import Array

if TYPE_CHECKING:
    from eomsym.losses.objective import Objective
    from eomsym.optimisers.base import Method
    from eomsym.verification.order import Report

__all__ = ["assert_bound_holds", "assert_coefficients_equal", "assert_order"]


def assert_bound_holds(true: ArrayLike, bound: Bound | ArrayLike, *, rtol: float = 1e-9, atol: float = 0.0) -> float:
    """Assert that a bound is nowhere below the truth.

    Parameters
    ----------
    true : float or array_like
        The bounded quantity.
    bound : Bound, float or array_like
        A number for each number of `true`, or one for all.
    rtol, atol : float
        What rounding may do: ``true <= bound (1 + rtol) + atol``.

    Returns
    -------
    float
        The tightness: the smallest ratio of bound to truth; infinite where the truth vanishes.

    Raises
    ------
    AssertionError
        If the bound is violated, or one of the numbers is NaN.

    Examples
    --------
    >>> assert_bound_holds([1.0, 2.0], [1.5, 4.0])
    1.5
    >>> assert_bound_holds([1.0, 2.0], [1.5, 1.0])
    Traceback (most recent call last):
    AssertionError: bound violated at index 1 of 2: true 2 > bound 1 (true/bound = 2)
    """
    claim = f" of the {bound.claim}" if isinstance(bound, Bound) else ""
    limits = bound.values if isinstance(bound, Bound) else bound
    truth, limit = _beside(true, limits)
    rtol, atol = checks.number(rtol, "rtol", 0, such_as=1e-9), checks.number(atol, "atol", 0, such_as=0)
    wrong = np.flatnonzero(~(truth <= limit * (1 + rtol) + atol))
    if len(wrong):
        i = int(wrong[0])
        t, b = float(truth.flat[i]), float(limit.flat[i])
        ratio = f" (true/bound = {t / b:.6g})" if b else ""
        raise AssertionError(f"bound{claim} violated at index {i} of {truth.size}: true {t:.6g} > bound {b:.6g}{ratio}")
    positive = truth > 0
    with np.errstate(over="ignore"):
        return float(np.min(limit[positive] / truth[positive], initial=np.inf))


def assert_order(
    loss: Objective,
    start: ArrayLike,
    order: int,
    time: float = 1.0,
    steps: Sequence[int] = (20, 40, 80),
    method: Method | None = None,
    **options: Any,
) -> Report:
    """Assert that the equation of motion of an order is ``O(eta**(order+1))`` away from the optimiser.

    Slope and leading constant are held against the theory by `eomsym.verify`.

    Parameters
    ----------
    loss : Objective
    start : array_like, shape (n,)
    order : int
    time : float
    steps : sequence of int
    method : Method, optional
    **options
        More arguments of `eomsym.verify`, such as `limit`.

    Returns
    -------
    Report

    Raises
    ------
    AssertionError
        If the claim failed, or could not be judged.

    Examples
    --------
    >>> import eomsym as eom
    >>> rosenbrock = eom.Loss("(1-x)**2/2 + (y-x**2)**2/2", variables="x y")
    >>> assert_order(rosenbrock, [-0.5, 1.0], order=2).status
    'passed'
    """
    from eomsym.verification.order import verify

    report = verify(loss, start, time=time, ladder=steps, orders=[order], method=method, **options)
    if report.status != "passed":
        slope = report.orders[0].slopes[-1]
        raise AssertionError(
            f"order {order} of {report.method} on {report.loss}: {report.status}; the slope is {slope:.3f} between "
            f"the finest learning rates, expected {order + 1}\n{report}"
        )
    return report


def _beside(true: Any, bound: Any) -> tuple[Array, Array]:
    """Truth and bound as arrays of one shape; NaN stays, and is told as a violation."""
    try:
        listed = [np.atleast_1d(checks.reals(one)) for one in (true, bound)]
        truth, limit = np.broadcast_arrays(*listed)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"expected numbers and bounds such as [1.0, 2.0], got {checks.shown(true)} and {checks.shown(bound)}"
        ) from error
    return truth, limit


def assert_coefficients_equal(got: Mapping[Any, Any], expected: Mapping[Any, Any]) -> None:
    """Assert that two mappings from trees to exact coefficients are equal; a missing tree counts as 0.

    Parameters
    ----------
    got, expected : mapping from Tree to exact number
        Such as ``eomsym.counter_terms(2)[2]``.

    Raises
    ------
    AssertionError
        It names the first tree, by size, whose coefficient is wrong.

    Examples
    --------
    >>> import eomsym as eom
    >>> terms = eom.counter_terms(2)
    >>> assert_coefficients_equal(terms[2], terms[2])
    >>> assert_coefficients_equal(terms[2], {**terms[2], eom.exact.trees.Tree.parse("[..]"): 0})
    Traceback (most recent call last):
    AssertionError: 1 of 2 coefficients differ, first that of [..]: got 1/12, expected 0
    """
    from sympy import simplify

    for name, one in (("got", got), ("expected", expected)):
        checks.instance(one, f"{name} as a mapping", Mapping, "eomsym.counter_terms(2)[2]")
    try:
        trees = sorted({*got, *expected})
    except TypeError as error:
        raise InputError(
            f"expected mappings from trees such as eomsym.counter_terms(2)[2], got keys {checks.shown([*got])} and "
            f"{checks.shown([*expected])}, which have no order"
        ) from error
    wrong = [tree for tree in trees if simplify(got.get(tree, 0) - expected.get(tree, 0)) != 0]
    if wrong:
        first = wrong[0]
        name = first.brackets() if callable(getattr(first, "brackets", None)) else getattr(first, "brackets", first)
        raise AssertionError(
            f"{len(wrong)} of {len(trees)} coefficients differ, first that of {name}: "
            f"got {got.get(first, 0)}, expected {expected.get(first, 0)}"
        )
