"""Options that several commands share: the optimiser, and how exact numbers are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeVar

import click

from eomsym.errors import InputError

if TYPE_CHECKING:
    from eomsym.exact.methods import Method

__all__ = ["METHODS", "build_method", "method_options", "read_number", "read_scalar"]

Command = TypeVar("Command", bound=Callable[..., Any])

#: Name of each optimiser, and the options that it needs.
METHODS: dict[str, tuple[str, ...]] = {
    "gd": (),
    "heavy-ball": ("beta",),
    "nesterov": ("beta",),
    "optimistic": (),
    "proximal": (),
    "extragradient": (),
    "sam": ("radius",),
    "multistep": ("rho", "sigma"),
    "runge-kutta": ("tableau", "weights"),
    "epoch": ("batches",),
}
#: For each of these options: metavar, an example, and what it is.
PARAMETERS = {
    "beta": ("SCALAR", "9/10", "Momentum of heavy-ball and nesterov, read exactly"),
    "radius": ("SCALAR", "1/2", "Radius of sam over the learning rate, read exactly"),
    "rho": ("ROW", "'1, -1, 0'", "Polynomial of multistep, highest power first"),
    "sigma": ("ROW", "'3/2, -1/2'", "The other polynomial of multistep"),
    "tableau": ("ROWS", "'0, 0; 1/2, 0'", "Matrix A of runge-kutta"),
    "weights": ("ROW", "'0, 1'", "Weights b of runge-kutta"),
    "batches": ("NUMBER", "2", "Batches of an epoch in fixed order"),
}


def method_options(*names: str) -> Callable[[Command], Command]:
    """Give a command ``--method`` with these optimisers (``method_name``), and the options that they need."""
    needed = [option for option in PARAMETERS if any(option in METHODS[name] for name in names)]

    def decorate(command: Command) -> Command:
        for option in reversed(needed):
            metavar, example, meaning = PARAMETERS[option]
            command = click.option(f"--{option}", metavar=metavar, help=f"{meaning}: {example}.")(command)
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


def build_method(name: str, given: Mapping[str, str | None], read: Callable[[str], Any] = read_scalar) -> Method:
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
    import eomsym as eom
    from eomsym.exact.methods import Epoch

    wanted = METHODS[name]
    for option, value in given.items():
        if value is None and option in wanted:
            raise InputError(f"--method {name} needs --{option}, such as --{option} {PARAMETERS[option][1]}")
        if value is not None and option not in wanted:
            raise InputError(f"--method {name} does not take --{option}")
    text = [given[option] or "" for option in wanted]

    def row(words: str) -> list[Any]:
        return [read(word) for word in words.split(",")]

    builders: dict[str, Callable[[], Method]] = {
        "gd": eom.GradientDescent,
        "heavy-ball": lambda: eom.HeavyBall(read(text[0])),
        "nesterov": lambda: eom.Nesterov(read(text[0])),
        "optimistic": eom.OptimisticGradient,
        "proximal": eom.ProximalPoint,
        "extragradient": eom.Extragradient,
        "sam": lambda: eom.SharpnessAware(read(text[0])),
        "multistep": lambda: eom.LinearMultistep(row(text[0]), row(text[1])),
        "runge-kutta": lambda: eom.RungeKutta([row(line) for line in text[0].split(";")], row(text[1])),
        "epoch": lambda: Epoch(int(text[0]) if text[0].isdigit() else 0),
    }
    return builders[name]()
