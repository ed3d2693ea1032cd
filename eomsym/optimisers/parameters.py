"""Parameters of optimisers: exact, in their range, and told in the name."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from eomsym.errors import EomsymWarning, MethodError
from eomsym.exact.general_linear import GeneralLinear
from eomsym.exact.numbers import Exact, Scalar, as_exact
from eomsym.optimisers.base import Method, no_trees

__all__ = ["Nonlinear", "decay", "named", "not_negative", "positive", "settle", "warn_of_rate", "warn_of_roots"]


class Nonlinear(Method):
    """Base of optimisers whose step is no linear function of gradients: they have no rooted trees."""

    is_linear = False

    def general_linear(self) -> GeneralLinear:
        """Refuse: the step is not linear in the gradient."""
        raise no_trees(self)


def settle(method: Any, **checks: Callable[[Any, str], Any]) -> None:
    """Replace parameters of a frozen object by what their checks make of them."""
    for name, check in checks.items():
        object.__setattr__(method, name, check(getattr(method, name), name))


def decay(value: Scalar, name: str) -> Exact:
    """The weight of the past in a moving average: ``0 <= value < 1`` where it is a number."""
    exact = as_exact(value, name)
    if exact == 1:
        raise MethodError(f"{name} = 1 keeps all of the past for ever and has no modified equation; use {name} < 1")
    if exact.is_number and not 0 <= exact < 1:
        raise MethodError(f"{name} = {exact}; expected a number from 0 to below 1, such as {name}='9/10'")
    return exact


def not_negative(value: Scalar, name: str) -> Exact:
    """A number >= 0, or a symbol."""
    exact = as_exact(value, name)
    if exact.is_number and not exact >= 0:
        raise MethodError(f"{name} = {exact}; expected a number >= 0, such as {name}='{abs(exact)}'")
    return exact


def positive(value: Scalar, name: str) -> Exact:
    """A number > 0, or a symbol."""
    exact = as_exact(value, name)
    if exact.is_number and not exact > 0:
        raise MethodError(f"{name} = {exact}; expected a number > 0, such as {name}='{abs(exact) or '1/10'}'")
    return exact


def named(title: str, **parameters: Any) -> str:
    """A name with its parameters; switches only where they are on, and no symbol that is called like its parameter.

    Examples
    --------
    >>> named("Adam", beta1=decay("9/10", "beta1"), inside=False)
    'Adam, beta1 = 9/10'
    """
    shown = {name: value for name, value in parameters.items() if value is not False and str(value) != name}
    said = [name if value is True else f"{name} = {value}" for name, value in shown.items()]
    return ", ".join([title, *said])


def warn_of_rate(name: str, rate: Exact) -> None:
    """Warn where a step moves with a rate that is far from the learning rate.

    Examples
    --------
    >>> import pytest, sympy
    >>> with pytest.warns(EomsymWarning, match="moves 10 times as fast"):
    ...     warn_of_rate("my method", sympy.Integer(10))
    """
    if rate.free_symbols or Fraction(1, 2) <= rate <= 2:
        return
    if rate < 0:
        told = f"has the effective learning rate {rate} eta, and climbs; change the sign of its weights"
    else:
        told = f"moves {_short(rate)} times as fast as gradient descent with the same eta; divide its weights by {rate}"
    warnings.warn(f"{name} {told}, or mean it", EomsymWarning, stacklevel=4)


def warn_of_roots(name: str, rho: Sequence[Exact]) -> None:
    """Warn where a polynomial, highest power first, has a root outside of the unit circle, or a double one on it.

    Examples
    --------
    >>> import pytest
    >>> with pytest.warns(EomsymWarning, match="is not zero-stable: its rho has the root -5"):
    ...     warn_of_roots("my method", [as_exact(x) for x in (1, 4, -5)])
    """
    if any(x.free_symbols for x in rho):
        return
    roots = np.roots([complex(x) for x in rho])
    outside = [root for root in roots if abs(root) > 1 + 1e-6]
    twice = [root for i, root in enumerate(roots) if abs(root) > 1 - 1e-6 and np.any(abs(roots[:i] - root) < 1e-6)]
    if outside or twice:
        root = max(outside or twice, key=abs)
        shown = f"{root.real:.4g}" if abs(root.imag) < 1e-6 else f"{root:.4g}"
        how = "" if outside else " twice"
        warnings.warn(
            f"{name} is not zero-stable: its rho has the root {shown}{how}, so that every run leaves the equation of "
            "motion exponentially; choose a rho with all other roots inside of the unit circle",
            EomsymWarning,
            stacklevel=4,
        )


def _short(rate: Exact) -> str:
    return str(rate) if len(str(rate)) < 12 else f"{float(rate):.4g}"
