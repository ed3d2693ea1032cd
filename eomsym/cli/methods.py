"""Options for the optimiser: ``--method`` and its parameters, all taken from the classes in `eomsym.optimisers`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from eomsym.cli.options import Callback, options, read_number, read_scalar
from eomsym.errors import InputError
from eomsym.optimisers.names import build, optimisers

if TYPE_CHECKING:
    from eomsym.optimisers.base import Method

__all__ = ["build_method", "method_options"]

#: Options that are not called like the parameter, because commands use that name already, or say less with it.
_OPTION_OF = {
    "r": "radius",
    "A": "tableau",
    "b": "weights",
    "order": "batches",
    "steps": "inner-steps",
    "weight_decay": "decoupled-decay",
    "eta": "kept-at",
    "width": "sign-width",
}
#: What an option is, with an example where one is typed. A parameter that is not here shows its name alone.
_MEANING = {
    "beta": ("Momentum", "9/10"),
    "radius": ("Radius of the ascent step over the learning rate", "1/2"),
    "rho": ("Polynomial rho, highest power first", "'1, -1, 0'"),
    "sigma": ("Polynomial sigma, highest power first", "'3/2, -1/2'"),
    "tableau": ("Matrix A, row by row", "'0, 0; 1/2, 0'"),
    "weights": ("Weights b", "'0, 1'"),
    "batches": ("Batches of an epoch: their number, or their order", "2"),
    "beta1": ("Weight of the past in the mean of gradients", "9/10"),
    "beta2": ("Weight of the past in the mean of squares (or of Lion's memory)", "999/1000"),
    "epsilon": ("What is added to a denominator", "1/100000000"),
    "alpha": ("Weight of the past, or share of the outer step", "1/2"),
    "nu": ("Share of the momentum", "7/10"),
    "dampening": ("Dampening, as in PyTorch", "1/10"),
    "sign-width": ("Width of the smooth sign", "1/100"),
    "threshold": ("Norm at which gradients are clipped", "1"),
    "ns-steps": ("Newton-Schulz steps", "5"),
    "inner-steps": ("Inner steps", "5"),
    "decoupled-decay": ("Weight decay apart from the gradient", "1/100"),
    "memory": ("Whether the memory is eliminated, or kept as a state", "kept"),
    "kept-at": ("Learning rate for which momenta are meant when the memory is kept", "1/100"),
    "inside": ("Take epsilon inside of the root", ""),
    "bias-correction": ("Correct the bias of the means", ""),
    "nesterov": ("Nesterov's variant, as in PyTorch", ""),
}
_SECTION = "Optimiser (numbers are read exactly: 9/10, 0.9)"


def option_of(parameter: str) -> str:
    """The option of a parameter, without dashes in front."""
    return _OPTION_OF.get(parameter, parameter.replace("_", "-"))


def options_of(name: str) -> dict[str, str]:
    """Option to parameter, for one optimiser."""
    return {option_of(parameter): parameter for parameter in optimisers()[name].parameters}


def _users(option: str) -> str:
    """Who takes an option, with the default: ``adam: 9/10; heavy-ball, nesterov``."""
    groups: dict[str, list[str]] = {}
    for name, known in optimisers().items():
        if parameter := options_of(name).get(option):
            default = "" if parameter in known.needed else _default(known.factory, parameter)
            groups.setdefault(default, []).append(name)
    return "; ".join(f"{', '.join(names)}{default and f': {default}'}" for default, names in groups.items())


def _default(factory: Any, parameter: str) -> str:
    import inspect

    value = inspect.signature(factory).parameters[parameter].default
    if isinstance(value, bool):
        return "on" if value else "off"
    return "" if value is None else str(value)


def _option(option: str) -> tuple[tuple[str, ...], dict[str, Any]]:
    meaning, example = _MEANING.get(option, (option.replace("-", " ").capitalize(), "1/2"))
    kinds = {
        known.parameters[parameter]
        for name, known in optimisers().items()
        if (parameter := options_of(name).get(option))
    }
    told = f"{meaning}{example and f', such as {example}'}. [{_users(option)}]"
    if kinds == {"flag"}:
        return (f"--{option}/--no-{option}",), {"default": None, "help": told}
    if len(kinds) == 1 and "|" in (kind := next(iter(kinds))):
        return (f"--{option}",), {"type": click.Choice(kind.split("|")), "help": told}
    return (f"--{option}",), {"metavar": "VALUE", "help": told}


def method_options(*, symbols: bool = False) -> Callable[[Callback], Callback]:
    """Give a command ``--method`` and the options of its parameters.

    The command gets the optimiser as `method`: None where ``--method`` was not typed.

    Parameters
    ----------
    symbols : bool
        Whether parameters may be symbols.
    """
    names = list(dict.fromkeys(option for name in optimisers() for option in options_of(name)))
    words = [option.replace("-", "_") for option in names]
    told = f"{', '.join(optimisers())}. [default: gd, or that of the file]"
    choice = {"type": click.Choice(list(optimisers())), "metavar": "NAME", "help": told}
    listed = [(("--method", "method_name"), choice), *map(_option, names)]

    def decorate(callback: Callback) -> Callback:
        @wraps(callback)
        def command(*, method_name: str | None, **given: Any) -> Any:
            parameters = {word: given.pop(word) for word in words}
            typed = method_name is not None or any(value is not None for value in parameters.values())
            read = read_scalar if symbols else read_number
            method = build_method(method_name or "gd", parameters, read) if typed else None
            return callback(method=method, **given)

        return options(_SECTION, listed)(command)  # type: ignore[return-value]

    return decorate


def build_method(name: str, given: Mapping[str, Any], read: Callable[[str], Any] = read_scalar) -> Method:
    """Build the optimiser from its name and its parameters.

    Parameters
    ----------
    name : str
        One of :func:`eomsym.optimisers.names.optimisers`.
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
            takes = ", ".join(f"--{option}" for option in known) or "no parameters"
            raise InputError(f"--method {name} does not take --{option}; it takes {takes}")
    chosen = optimisers()[name]
    for parameter in chosen.needed:
        if (option := option_of(parameter)) not in typed:
            example = _MEANING.get(option, ("", "1/2"))[1]
            raise InputError(f"--method {name} needs --{option}, such as --{option} {example}")
    read_as = {option: _read(value, chosen.parameters[known[option]], option, read) for option, value in typed.items()}
    method: Method = build(name, **{known[option]: value for option, value in read_as.items()})
    return method


def _read(value: Any, kind: str, option: str, read: Callable[[str], Any]) -> Any:
    """A parameter from its text."""
    if kind == "flag" or "|" in kind:
        return value
    if kind in ("count", "counts"):
        try:
            counts = [int(word) for word in value.split(",")]
        except ValueError as error:
            raise InputError(f"--{option} {value!r}: expected an integer, such as --{option} 5") from error
        return counts[0] if len(counts) == 1 else counts
    try:
        if kind == "row":
            return [read(word) for word in value.split(",")]
        if kind == "rows":
            return [[read(word) for word in line.split(",")] for line in value.split(";")]
        return read(value)
    except InputError as error:
        raise type(error)(f"--{option}: {error}") from error
