"""The tree of errors."""

from __future__ import annotations

import pickle

import pytest

from eomsym import errors

WITH_PLACE = {"DivergenceError": "step", "TableError": "order"}


@pytest.mark.parametrize("name", errors.__all__)
def test_error_is_ours_documented_and_survives_pickling(name: str) -> None:
    kind = getattr(errors, name)
    place = (7,) if name in WITH_PLACE else ()
    error = pickle.loads(pickle.dumps(kind("what happened", *place)))
    assert type(error) is kind
    assert str(error) == "what happened"
    assert issubclass(kind, UserWarning if name.endswith("Warning") else errors.EomsymError)
    assert kind.__doc__
    if name in WITH_PLACE:
        assert getattr(error, WITH_PLACE[name]) == 7


@pytest.mark.parametrize(
    "name, builtin",
    [
        ("InputError", ValueError),
        ("ExpressionError", ValueError),
        ("ShapeError", ValueError),
        ("MethodError", ValueError),
        ("InexactError", TypeError),
        ("SizeError", MemoryError),
        ("CacheError", OSError),
        ("DivergenceError", ArithmeticError),
        ("TableError", ArithmeticError),
        ("HypothesisError", ValueError),
        ("SymmetryError", ValueError),
        ("InternalError", RuntimeError),
        ("MissingDependencyError", ImportError),
    ],
)
def test_error_is_also_a_builtin_one(name: str, builtin: type[Exception]) -> None:
    assert issubclass(getattr(errors, name), builtin)


def test_all_errors_of_the_module_are_listed() -> None:
    defined = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert sorted(defined) == errors.__all__
