"""Public names that are imported when they are first used (PEP 562)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["lazily"]


def lazily(
    package: str, homes: Mapping[str, Iterable[str]], submodules: Iterable[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """A package's ``__getattr__`` and ``__dir__``: from the names of its modules to what they define.

    >>> getter, names = lazily("eomsym", {"exact.counter_terms": ["counter_terms"]}, ["errors"])
    >>> str(getter("counter_terms")(0)[0])
    'g'
    """
    module_of = {name: f"{package}.{module}" for module, names in homes.items() for name in names}
    whole = frozenset(submodules)

    def __getattr__(name: str) -> Any:
        if name in whole:
            value: Any = import_module(f"{package}.{name}")
        elif name in module_of:
            value = getattr(import_module(module_of[name]), name)
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        setattr(sys.modules[package], name, value)  # the next use costs nothing
        return value

    def __dir__() -> list[str]:
        return sorted({*vars(sys.modules[package]), *module_of, *whole})

    return __getattr__, __dir__
