"""What the characteristic polynomial says of a method: parasitic roots, radius of the series, limit of the run."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import sympy

from eomsym.exact.general_linear import GeneralLinear
from eomsym.exact.numbers import Exact
from eomsym.optimisers.stability.limit import limit
from eomsym.optimisers.stability.radius import radius

__all__ = ["Stability", "stability"]


@dataclass(frozen=True)
class Stability:
    """What the characteristic polynomial of a method says about it.

    Parameters
    ----------
    polynomial : sympy.Poly
        ``rho(zeta) = zeta**m - sum_l past[l] zeta**(m-1-l)`` with ``m`` lags.
    roots : dict
        Its roots other than the principal one, with multiplicities. They are *parasitic*: the modified
        equation describes the motion only as far as they die out.
    zero_stable : bool or None
        Whether all of them lie in the closed unit disc, those on the circle simple; None if it depends on a
        parameter.
    condition : sympy.Basic
        The condition for it, ``True`` or ``False`` where it is decided.
    rate : sympy.Expr
        Effective learning rate over ``eta``: the modified flow starts with ``theta' = -rate * g``.
    form : GeneralLinear or None
        The method; None for a flow.

    Notes
    -----
    `radius` and `limit` are found when they are asked for. They are exact, infinity where nothing ends, and None where
    a parameter decides; ``float`` makes numbers of them. One symbol is taken to lie between 0 and 1.

    Examples
    --------
    >>> from eomsym.optimisers.accelerated import HeavyBall
    >>> report = HeavyBall("9/10").stability()
    >>> report.radius, report.limit
    (19/10 - 3*sqrt(10)/5, 19/5)
    >>> round(float(report.radius), 4), float(report.limit)
    (0.0026, 3.8)
    """

    polynomial: sympy.Poly
    roots: dict[Exact, int]
    zero_stable: bool | None
    condition: Any
    rate: Exact
    form: GeneralLinear | None = field(default=None, repr=False)

    @cached_property
    def radius(self) -> Exact | None:
        """The ``eta * lambda`` up to which the series of the counter terms converges on a quadratic."""
        return radius(self.form) if self.form is not None else sympy.oo

    @cached_property
    def limit(self) -> Exact | None:
        """The ``eta * lambda`` up to which the run is stable on a quadratic."""
        return limit(self.form) if self.form is not None else sympy.oo


def stability(form: GeneralLinear) -> Stability:
    """Report the parasitic roots of the method; nothing is hidden and nothing is refused.

    Examples
    --------
    >>> import sympy
    >>> beta = sympy.Symbol("beta")
    >>> report = stability(GeneralLinear([1 + beta, -beta], [[1, 0]], [[1, 0]], [[0]]))
    >>> report.roots, report.zero_stable, report.condition
    ({beta: 1}, None, Abs(beta) < 1)
    """
    zeta = sympy.Dummy("zeta")
    rho = sympy.Poly([1, *(-weight for weight in form.past)], zeta)
    quotient = sympy.div(rho, sympy.Poly(zeta - 1, zeta))[0]
    roots: dict[Exact, int] = sympy.roots(quotient)
    if sum(roots.values()) < quotient.degree():  # beyond radicals
        found = sympy.Poly(quotient, zeta).all_roots() if not quotient.free_symbols - {zeta} else []
        if not found:
            return Stability(rho, roots, None, sympy.Symbol("unknown"), form.rate, form)
        roots = {root: found.count(root) for root in found}
    condition = sympy.And(*(sympy.Abs(root) < 1 if many > 1 else _inside(root) for root, many in roots.items()))
    decided = {sympy.true: True, sympy.false: False}.get(condition)
    return Stability(rho, roots, decided, condition, form.rate, form)


def _inside(root: Exact) -> Any:
    """Return the condition that a simple root does not grow; strict for symbols, since then it dies out."""
    return sympy.Abs(root) <= 1 if root.is_number else sympy.Abs(root) < 1
