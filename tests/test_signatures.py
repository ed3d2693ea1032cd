"""The defaults of all that can be called, and what optimisers take: a change is one for users, and is written down.

python tests/test_signatures.py    # writes tests/signatures.txt anew
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

import eomsym
from eomsym import cli
from eomsym.optimisers.names import optimisers

WRITTEN = Path(__file__).with_name("signatures.txt")
#: Not modules to import: the entry point, and checkers that run as programs.
ALONE = ("eomsym.__main__",)


def called(function: Any) -> str:
    """The arguments of a function with their defaults, without annotations."""
    found = inspect.signature(function)
    bare = [one.replace(annotation=inspect.Parameter.empty) for one in found.parameters.values()]
    text = str(found.replace(parameters=bare, return_annotation=inspect.Signature.empty))
    return re.sub(r"<function ([\w.<>]*?) at 0x[0-9a-f]+>", r"\1", re.sub(r" at 0x[0-9a-f]+>", ">", text))


def functions() -> Iterator[str]:
    """What each module lists in ``__all__``; of a class also its public methods."""
    for module in pkgutil.walk_packages(eomsym.__path__, "eomsym."):
        if module.ispkg or module.name in ALONE:
            continue
        here = importlib.import_module(module.name)
        for name in getattr(here, "__all__", ()):
            thing = getattr(here, name)
            if getattr(thing, "__module__", "") != module.name or not callable(thing):
                continue
            if not inspect.isclass(thing):
                yield f"{module.name}.{name}{called(thing)}"
                continue
            yield f"{module.name}.{name}{_made(thing)}"
            for method, body in sorted(vars(thing).items()):
                body = body.__func__ if isinstance(body, classmethod | staticmethod) else body
                if inspect.isfunction(body) and not method.startswith("_"):
                    yield f"{module.name}.{name}.{method}{called(body)}"


def _made(thing: type) -> str:
    try:
        return called(thing)
    except ValueError:  # made by an interpreter of its own, as errors are
        return "(...)"


def commands() -> Iterator[str]:
    """The options of each command with their defaults."""
    context = click.Context(cli.main)
    for name in cli.main.list_commands(context):
        told = []
        for one in cli.main.get_command(context, name).params:
            known = one.to_info_dict()["default"]
            told.append("/".join((*one.opts, *one.secondary_opts)) + ("" if known is None else f"={known!r}"))
        yield f"$ eomsym {name} {' '.join(told)}"


def methods() -> Iterator[str]:
    """The parameters that each optimiser takes by name."""
    for name, known in optimisers().items():
        yield f"{name}: {', '.join(f'{one} {kind}' for one, kind in known.parameters.items())}"


def everything() -> str:
    return "\n".join([*(one for one in functions() if "=" in one), *commands(), *methods()]) + "\n"


def test_defaults_are_written_down() -> None:
    now, before = everything().splitlines(), WRITTEN.read_text(encoding="utf-8").splitlines()
    assert now == before, "run python tests/test_signatures.py, and look at the difference"


if __name__ == "__main__":
    WRITTEN.write_text(everything(), encoding="utf-8")
