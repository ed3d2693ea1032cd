"""The front door: what `import eomsym` costs, and that every public name is there."""

from __future__ import annotations

import ast
import importlib.metadata
import inspect
import subprocess
import sys

import pytest

import eomsym

HEAVY = ("jax", "matplotlib", "numba", "numpy", "scipy", "sklearn", "sympy", "torch")
OBJECTS = sorted({*eomsym._MODULE_OF} - {"EomsymError"})  # the module of errors holds their example


@pytest.mark.parametrize("statement", ["import eomsym", "import eomsym.errors", "import eomsym.cli"])
def test_import_is_light(statement: str) -> None:
    code = f"import sys; {statement}; print([name for name in {HEAVY!r} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize("name", eomsym.__all__)
def test_public_name_resolves(name: str) -> None:
    value = getattr(eomsym, name)
    assert value is getattr(eomsym, name)
    assert name in dir(eomsym)


@pytest.mark.parametrize("name", OBJECTS)
def test_public_object_is_documented_with_an_example(name: str) -> None:
    documentation = inspect.getdoc(getattr(eomsym, name)) or ""
    assert ">>>" in documentation, f"eomsym.{name} has no executed example"


def test_inner_modules_can_be_imported_under_a_name() -> None:
    code = "import eomsym.verification.order as order, eomsym; print(order.verify is eomsym.verify)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "True\n"


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="module 'eomsym' has no attribute 'gradient_descent'"):
        _ = eomsym.gradient_descent


def test_type_checkers_see_the_same_names() -> None:
    """The imports under TYPE_CHECKING and the table of lazy names say the same."""
    tree = ast.parse(inspect.getsource(eomsym))
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    imports = {alias.name: node.module for node in block.body for alias in node.names}
    lazy = {name: f"eomsym.{module}" for name, module in eomsym._MODULE_OF.items()}
    assert imports == lazy | dict.fromkeys(eomsym._SUBMODULES, "eomsym")
    assert sorted([*imports, "__version__"]) == eomsym.__all__


def test_version_agrees_with_the_installed_package() -> None:
    assert importlib.metadata.version("eomsym") == eomsym.__version__
