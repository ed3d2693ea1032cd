"""Every public function with good and odd values: an answer or one of our errors, in time, and nothing left behind."""

from __future__ import annotations

import tempfile
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzz import guard, surface, values
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from eomsym import checks
from eomsym.errors import EomsymError, InternalError

NAMES = list(surface.public())
#: Calls of each name in `make test`; `make fuzz` says its own number.
QUICK = 8


def examples() -> int:
    return QUICK if settings().derandomize else settings().max_examples


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, the home and the folder of temporary files, all of them empty."""
    for part in (guard.ASKED, "home", "temporary"):
        (tmp_path / part).mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
def test_there_are_values_for_every_argument(name: str) -> None:
    missing = list(values.unknown(name))
    assert not missing, f"{name} takes {', '.join(missing)}: add good values to ARGUMENTS in tests/fuzz/values.py"


@pytest.mark.parametrize("name", NAMES)
def test_a_call_answers_or_says_what_to_type(name: str, folder: Path) -> None:
    function = surface.public()[name]

    @settings(max_examples=examples(), suppress_health_check=list(HealthCheck))
    @given(values.calls(name, folder))
    def run(call: tuple[list[Any], dict[str, Any]]) -> None:
        positional, named = call
        note(f"{name}(*{checks.shown(positional, 300)}, **{checks.shown(named, 900)})")
        with guard.unchanged(folder, [*positional, *named.values()]), guard.limited():
            check(function, positional, named)

    run()


#: What a line such as `if value:` or a message that repeats its value stumbles over.
AWKWARD = (np.array([]), np.zeros(2), "x" * 4000, {}, b"", object())


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_each_argument_alone_may_be_awkward(name: str, folder: Path) -> None:
    function, problem = surface.public()[name], values.Problem(values.losses()[0], folder)
    listed = [p for p in surface.parameters(function).values() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    free = [p.name for p in listed if p.name != "self" and f"{name}.{p.name}" not in values.FIXED]

    @settings(max_examples=1, derandomize=True, database=None, phases=[Phase.generate])
    @given(st.data())
    def run(data: st.DataObject) -> None:
        needed = {}
        for p in listed:
            good = values.known(name, p.name)
            assert good is not None
            if p.default is p.empty:
                needed[p.name] = data.draw(good(problem))
        for argument in free:
            for value in AWKWARD:
                note(f"{name}: {argument} = {checks.shown(value)}")
                named = needed | {argument: value} | values.BESIDE.get(name, {})
                first = [named.pop(p.name) for p in listed if p.name in named and p.kind is not p.KEYWORD_ONLY]
                with guard.unchanged(folder, [*first, *named.values()]), guard.limited():
                    check(function, first, named)

    run()


def users(error: BaseException) -> bool:
    """Whether an error comes from a function that the call was given, and not from what called it."""
    return any(frame.filename == values.__file__ for frame in traceback.extract_tb(error.__traceback__))


def check(function: Any, positional: list[Any], named: dict[str, Any]) -> None:
    """A call of which only an answer or an error of ours may come; what asserts may say that it is not so."""
    try:
        function(*positional, **named)
        return
    except InternalError:
        raise
    except EomsymError as error:
        told = str(error)
    except Exception as error:
        if users(error):
            return
        if not isinstance(error, AssertionError):
            raise
        if not function.__name__.startswith("assert_"):
            raise
        told = str(error)
    assert 20 < len(told) < 2000, f"an error that says nothing or too much: {told[:2000]}"
