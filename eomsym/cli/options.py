"""Options that several commands share: the optimiser, and how exact numbers are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeVar

import click

from eomsym.errors import InputError
from eomsym.optimisers.names import OPTIMISERS, build

if TYPE_CHECKING:
    from eomsym.optimisers.base import Method

__all__ = ["METHODS", "build_method", "command_line", "method_options", "read_number", "read_scalar"]

Command = TypeVar("Command", bound=Callable[..., Any])

#: Names of the optimisers, those that a general linear form describes first.
METHODS = tuple(OPTIMISERS)
#: Options that are not called like the parameter, because commands use that name already, or say less with it.
_OPTION_OF = {
    "r": "radius",
    "A": "tableau",
    "b": "weights",
    "order": "batches",
    "steps": "inner-steps",
    "weight_decay": "decoupled-decay",
    "eta": "kept-at",
}
#: What each of these options is, with an example.
_MEANING = {
    "beta": ("Momentum, read exactly", "9/10"),
    "radius": ("Radius of sam over the learning rate, read exactly", "1/2"),
    "rho": ("Polynomial of multistep, highest power first", "'1, -1, 0'"),
    "sigma": ("The other polynomial of multistep", "'3/2, -1/2'"),
    "tableau": ("Matrix A of runge-kutta", "'0, 0; 1/2, 0'"),
    "weights": ("Weights b of runge-kutta", "'0, 1'"),
    "batches": ("Batches of an epoch in fixed order", "2"),
    "beta1": ("Weight of the past in the mean of gradients", "9/10"),
    "beta2": ("Weight of the past in the mean of squares (or of Lion's memory)", "999/1000"),
    "epsilon": ("What is added to a denominator", "1/100000000"),
    "alpha": ("Weight of the past of rmsprop, share of lookahead", "1/2"),
    "nu": ("Share of the momentum of qhm", "7/10"),
    "dampening": ("Dampening of momentum, as in PyTorch", "1/10"),
    "width": ("Width of the smooth sign", "1/100"),
    "threshold": ("Norm at which gradients are clipped", "1"),
    "ns-steps": ("Newton-Schulz steps of muon", "5"),
    "inner-steps": ("Inner steps of lookahead", "5"),
    "decoupled-decay": ("Weight decay of adamw and lion, apart from the gradient", "1/100"),
    "memory": ("eliminated, or kept as a state", "kept"),
    "kept-at": ("Learning rate for which momenta are meant when the memory is kept", "1/100"),
    "inside": ("Take epsilon inside of the root", ""),
    "bias-correction": ("Correct the bias of the means", ""),
    "nesterov": ("Nesterov's variant of momentum, as in PyTorch", ""),
}


def command_line() -> str | None:
    """What was typed, with quotes where a shell needs them; None outside of a command."""
    context = click.get_current_context(silent=True)
    return None if context is None else context.meta.get("eomsym.command")


def option_of(parameter: str) -> str:
    """The option of a parameter, without dashes in front."""
    return _OPTION_OF.get(parameter, parameter.replace("_", "-"))


def options_of(name: str) -> dict[str, str]:
    """Option to parameter, for one optimiser."""
    return {option_of(parameter): parameter for parameter in OPTIMISERS[name].parameters}


def method_options(*names: str) -> Callable[[Command], Command]:
    """Give a command ``--method`` with these optimisers (``method_name``), and the options of their parameters."""
    used = [option for option in _MEANING if any(option in options_of(name) for name in names)]

    def decorate(command: Command) -> Command:
        for option in reversed(used):
            meaning, example = _MEANING[option]
            if example:
                command = click.option(f"--{option}", metavar="VALUE", help=f"{meaning}: {example}.")(command)
            else:
                command = click.option(f"--{option}/--no-{option}", default=None, help=f"{meaning}.")(command)
        choice = click.Choice(names)
        return click.option("--method", "method_name", type=choice, default="gd", show_default=True)(command)

    return decorate


def read_number(text: str) -> Fraction:
    """Read ``9/10`` or ``0.9`` exactly."""
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise InputError(f"{text!r} is not a number such as 9/10 or 0.9") from error


def read_scalar(text: str) -> Any:
    """Read an exact number or an expression in free symbols: ``9/10``, ``beta``, ``1 - 1/k``."""
    import sympy

    from eomsym.losses.parse import functions, parse

    word = re.sub(r"\blambda\b", "lambda_", text)  # a word that Python reserves
    names = {name for name in re.findall(r"[A-Za-z_]\w*", word) if name not in functions()}
    return parse(word, [sympy.Symbol(name) for name in sorted(names)]).subs("lambda_", sympy.Symbol("lambda"))


def build_method(name: str, given: Mapping[str, Any], read: Callable[[str], Any] = read_scalar) -> Method:
    """Build the optimiser from its name and its parameters.

    Parameters
    ----------
    name : str
        One of `METHODS`.
    given : mapping
        Text of each option that the command has, None where it was not typed.
    read : callable
        From text to an exact number; `read_scalar` lets symbols pass, `read_number` does not.

    Raises
    ------
    InputError
        An option is missing or does not belong to the method, or cannot be read.

    Examples
    --------
    >>> build_method("heavy-ball", {"beta": "9/10", "radius": None}).name
    'heavy ball, beta = 9/10'
    """
    known = options_of(name)
    typed = {option.replace("_", "-"): value for option, value in given.items() if value is not None}
    for option in typed:
        if option not in known:
            raise InputError(f"--method {name} does not take --{option}")
    for parameter in OPTIMISERS[name].needed:
        if (option := option_of(parameter)) not in typed:
            raise InputError(f"--method {name} needs --{option}, such as --{option} {_MEANING[option][1]}")
    kinds = OPTIMISERS[name].parameters
    method: Method = build(name, **{known[o]: _read(value, kinds[known[o]], read) for o, value in typed.items()})
    return method


def _read(value: Any, kind: str, read: Callable[[str], Any]) -> Any:
    """A parameter from its text."""
    if kind == "flag" or "|" in kind:
        return value
    if kind == "count":
        return int(value) if value.isdigit() else 0
    if kind == "row":
        return [read(word) for word in value.split(",")]
    if kind == "rows":
        return [[read(word) for word in line.split(",")] for line in value.split(";")]
    return read(value)
