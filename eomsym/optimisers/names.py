"""All optimisers by the name that a command takes; names and parameters are those of the classes themselves."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

import eomsym.optimisers
from eomsym import checks
from eomsym.errors import InputError
from eomsym.optimisers.base import Method

__all__ = ["Optimiser", "build", "call_of", "checked_method", "optimisers"]

#: Names that are not those of the classes: what the field calls them, and what fits a command.
_SHORT = {
    "gradient-descent": "gd",
    "sharpness-aware": "sam",
    "linear-multistep": "multistep",
    "quasi-hyperbolic": "qhm",
    "sign-sgd": "sign",
    "normalised-gradient": "normalised",
    "clipped-gradient": "clipped",
    "optimistic-gradient": "optimistic",
    "proximal-point": "proximal",
}


@dataclass(frozen=True)
class Optimiser:
    """An optimiser in the list.

    Parameters
    ----------
    factory : type
        Its class.
    parameters : dict of str to str
        Parameters and what they take: ``"number"`` (exact), ``"count"``, ``"counts"``, ``"flag"``, ``"row"``,
        ``"rows"`` or a choice ``"a|b"``. What a class takes by keyword only is left out.
    needed : tuple of str
        Those without a default.
    """

    factory: type[Method]
    parameters: Mapping[str, str]
    needed: tuple[str, ...] = ()


@cache
def optimisers() -> dict[str, Optimiser]:
    """All optimisers that can run, by name: gradient descent first, the others by the alphabet.

    Examples
    --------
    >>> list(optimisers())[:4]
    ['gd', 'adam', 'adamw', 'clipped']
    >>> optimisers()["lookahead"].parameters, optimisers()["lookahead"].needed
    ({'steps': 'count', 'alpha': 'number'}, ())
    """
    listed = [(name, Optimiser(cls, _kinds(cls), _needed(cls))) for name, cls in _classes()]
    return dict(sorted(listed, key=lambda entry: (entry[0] != "gd", entry[0])))


def _classes() -> Iterator[tuple[str, type[Method]]]:
    """The exported optimisers by name: not the base class, flows, and what wraps another optimiser."""
    for title in eomsym.optimisers.__all__:
        cls = getattr(eomsym.optimisers, title)
        if cls is not Method and not cls.is_flow and Method not in _hints(cls).values():
            kebab = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", title).replace("-W", "w").lower()
            yield _SHORT.get(kebab, kebab), cls


def _hints(cls: type[Method]) -> dict[str, Any]:
    """Types of the fields of a dataclass."""
    known = get_type_hints(cls)
    return {field.name: known[field.name] for field in fields(cls)}  # type: ignore[arg-type]


def _signature(cls: type[Method]) -> list[inspect.Parameter]:
    found = inspect.signature(cls).parameters.values()
    return [parameter for parameter in found if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]


def _kinds(cls: type[Method]) -> dict[str, str]:
    hints = _hints(cls)
    return {parameter.name: _kind(hints[parameter.name]) for parameter in _signature(cls)}


def _needed(cls: type[Method]) -> tuple[str, ...]:
    return tuple(parameter.name for parameter in _signature(cls) if parameter.default is parameter.empty)


def _kind(hint: Any) -> str:
    """What a parameter of this type takes."""
    if get_origin(hint) is Literal:
        return "|".join(get_args(hint))
    if get_origin(hint) is tuple:
        inner = get_args(hint)[0]
        return "rows" if get_origin(inner) is tuple else "counts" if inner is int else "row"
    return {bool: "flag", int: "count"}.get(hint, "number")


def call_of(value: Any) -> str:
    """What to type for an optimiser that was given as its name or as its class.

    Examples
    --------
    >>> call_of("heavy-ball"), call_of("sgd"), call_of(eomsym.optimisers.Muon)
    ("eomsym.HeavyBall(beta='9/10')", 'eomsym.GradientDescent()', 'eomsym.optimisers.Muon()')
    """
    titles = {known.factory.__name__.lower(): name for name, known in optimisers().items()}
    words = [*optimisers(), *titles]
    asked = value.__name__ if isinstance(value, type) else value if isinstance(value, str) else "heavy-ball"
    asked = {"sgd": "gd"}.get(asked.lower(), asked.lower().replace("_", "-").replace(" ", "-"))
    (found, *_) = difflib.get_close_matches(asked, words, n=1) or ["heavy-ball"]
    known = optimisers()[titles.get(found, found)]
    home = "eomsym" if known.factory.__name__ in eomsym.__all__ else "eomsym.optimisers"
    examples = {"rho": "[1, -1]", "sigma": "[1]", "A": "[[0]]", "b": "[1]", "order": "2", "beta": "'9/10'"}
    needed = ", ".join(f"{name}={examples.get(name, chr(39) + '1/2' + chr(39))}" for name in known.needed)
    return f"{home}.{known.factory.__name__}({needed})"


def checked_method(method: Any) -> Method:
    """A method; gradient descent for None."""
    if method is None:
        return eomsym.optimisers.GradientDescent()
    if not isinstance(method, Method):
        raise InputError(
            f"expected a method such as {call_of(method)}, got {type(method).__name__} {checks.shown(method)}"
        )
    return method


def build(name: str, **parameters: Any) -> Any:
    """Make an optimiser from its name and its parameters.

    Parameters
    ----------
    name : str
        One of :func:`optimisers`.
    **parameters
        As its class takes them.

    Returns
    -------
    Method

    Raises
    ------
    InputError
        The name or a parameter is unknown, or a parameter is missing.

    Examples
    --------
    >>> build("lookahead", steps=2, alpha="1/2").name
    'lookahead, steps = 2, alpha = 1/2'
    """
    chosen = optimisers()[checks.choice(name, "optimiser", optimisers())]
    unknown, missing = sorted(set(parameters) - set(chosen.parameters)), sorted(set(chosen.needed) - set(parameters))
    if unknown:
        known = ", ".join(chosen.parameters) or "no parameters"
        raise InputError(f"{name} does not take {', '.join(unknown)}; it takes {known}")
    if missing:
        raise InputError(f"{name} needs {', '.join(missing)}")
    return chosen.factory(**parameters)
