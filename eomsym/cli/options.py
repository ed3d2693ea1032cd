"""What the options of all commands have in common: sections in the help, and how numbers are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import groupby
from typing import Any, TypeVar

import click

from eomsym.errors import InputError

__all__ = [
    "Callback", "Command", "Option", "command_line", "completed", "integers", "numbers", "options", "read_number",
    "read_scalar",
]  # fmt: skip

Callback = TypeVar("Callback", bound=Callable[..., Any])


class Option(click.Option):
    """An option that stands in a section of the help.

    Parameters
    ----------
    section : str
        Its heading.
    names : callable, optional
        What may be typed: offered by the shell after Tab, and listed in the help. It is called then only, because the
        names may be slow to import.
    """

    def __init__(
        self, *words: Any, section: str = "Options", names: Callable[[], Iterable[str]] | None = None, **settings: Any
    ) -> None:
        if names:
            settings["shell_complete"] = completed(names)
        super().__init__(*words, **settings)
        self.section = section
        self.names = names

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        record = super().get_help_record(ctx)
        if record is None or self.names is None:
            return record
        return record[0], f"{record[1]} {', '.join(self.names())}."


class Command(click.Command):
    """A command whose help has sections."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [
            (getattr(parameter, "section", "Options"), record)
            for parameter in self.get_params(ctx)
            if (record := parameter.get_help_record(ctx)) is not None
        ]
        order = list(dict.fromkeys(section for section, _ in rows))
        rows.sort(key=lambda row: (row[0] == "Options", order.index(row[0])))
        for section, part in groupby(rows, key=lambda row: row[0]):
            with formatter.section(section):
                formatter.write_dl([record for _, record in part])


def options(section: str, listed: Iterable[tuple[tuple[str, ...], dict[str, Any]]]) -> Callable[[Callback], Callback]:
    """Give a command several options of one section, each as its words and its settings."""

    def decorate(callback: Callback) -> Callback:
        for words, settings in reversed(list(listed)):
            callback = click.option(*words, cls=Option, section=section, **settings)(callback)
        return callback

    return decorate


def completed(names: Callable[[], Iterable[str]]) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """What a shell offers after Tab, for names that are too slow to import for anything else."""

    def complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        return [name for name in names() if name.startswith(incomplete)]

    return complete


def command_line() -> str | None:
    """What was typed, with quotes where a shell needs them; None outside of a command."""
    context = click.get_current_context(silent=True)
    return None if context is None else context.meta.get("eomsym.command")


def numbers(text: str, option: str) -> list[float]:
    """Read ``1, 2.5`` as a list."""
    try:
        return [float(word) for word in text.replace(",", " ").split()]
    except ValueError as error:
        raise InputError(f"{option} {text!r}: expected numbers, such as {option} '-0.5, 1'") from error


#: A range that is longer than this is a mistake.
_LONGEST = 1000


def integers(text: str, option: str) -> list[int]:
    """Read ``10,20`` or ``0-4`` as a list."""
    try:
        return list(_integers(text))
    except ValueError as error:
        raise InputError(f"{option} {text!r}: expected integers, such as {option} 0-4 or {option} 10,20,40") from error


def _integers(text: str) -> Iterator[int]:
    first, dash, last = text.partition("-")
    if dash and first.strip():
        low, high = int(first), int(last)
        if high - low > _LONGEST:
            raise ValueError
        yield from range(low, high + 1)
    else:
        yield from map(int, text.replace(",", " ").split())


def read_number(text: str, option: str = "") -> Fraction:
    """Read ``9/10`` or ``0.9`` exactly; what is wrong is told of the option."""
    from eomsym.exact.numbers import as_fraction

    try:
        return as_fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise InputError(f"{option and f'{option}: '}{text!r} is not a number such as 9/10 or 0.9") from error


def read_scalar(text: str) -> Any:
    """Read an exact number or an expression in free symbols: ``9/10``, ``beta``, ``1 - 1/k``."""
    import sympy

    from eomsym.losses.parse import functions, parse

    word = re.sub(r"\blambda\b", "lambda_", text)  # a word that Python reserves
    names = {name for name in re.findall(r"[A-Za-z_]\w*", word) if name not in functions()}
    return parse(word, [sympy.Symbol(name) for name in sorted(names)]).subs("lambda_", sympy.Symbol("lambda"))
