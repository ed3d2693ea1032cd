"""Parameters of optimisers: exact, in their range, and told in the name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eomsym.errors import MethodError
from eomsym.exact.general_linear import GeneralLinear
from eomsym.exact.numbers import Exact, Scalar, as_exact
from eomsym.optimisers.base import Method, no_trees

__all__ = ["Nonlinear", "decay", "named", "not_negative", "positive", "settle"]


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
