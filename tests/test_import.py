"""The front door: what `import eomsym` costs, and that every public name is there."""

from __future__ import annotations

import ast
import importlib.metadata
import inspect
import pkgutil
import subprocess
import sys
from types import ModuleType

import pytest

import eomsym
import eomsym.bounds

PACKAGES = (eomsym, eomsym.bounds)
HEAVY = ("jax", "matplotlib", "numba", "numpy", "scipy", "sklearn", "sympy", "torch")
NAMES = [(package, name) for package in PACKAGES for name in package.__all__]
OBJECTS = [
    (package, name)
    for package in PACKAGES
    for names in package._HOMES.values()
    for name in names
    if name not in ("EomsymError", "Bound", "Hypothesis", "Curvature")  # their examples stand where they are made
]


def label(value: object) -> str:
    return value if isinstance(value, str) else getattr(value, "__name__", "")


@pytest.mark.parametrize("statement", ["import eomsym", "import eomsym.errors", "import eomsym.cli"])
def test_import_is_light(statement: str) -> None:
    code = f"import sys; {statement}; print([name for name in {HEAVY!r} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize("package, name", NAMES, ids=label)
def test_public_name_resolves(package: ModuleType, name: str) -> None:
    value = getattr(package, name)
    assert value is getattr(package, name)
    assert name in dir(package)


@pytest.mark.parametrize("package, name", OBJECTS, ids=label)
def test_public_object_is_documented_with_an_example(package: ModuleType, name: str) -> None:
    documentation = inspect.getdoc(getattr(package, name)) or ""
    assert ">>>" in documentation, f"{package.__name__}.{name} has no executed example"


def test_inner_modules_can_be_imported_under_a_name() -> None:
    code = "import eomsym.verification.order as order, eomsym; print(order.verify is eomsym.verify)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "True\n"


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="module 'eomsym' has no attribute 'gradient_descent'"):
        _ = eomsym.gradient_descent
    with pytest.raises(AttributeError, match=r"module 'eomsym\.bounds' has no attribute 'distance'"):
        _ = eomsym.bounds.distance


@pytest.mark.parametrize("package", PACKAGES, ids=label)
def test_type_checkers_see_the_same_names(package: ModuleType) -> None:
    """The imports under TYPE_CHECKING and the table of lazy names say the same."""
    tree = ast.parse(inspect.getsource(package))
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    imports = {alias.name: node.module for node in block.body for alias in node.names}
    lazy = {name: f"{package.__name__}.{module}" for module, names in package._HOMES.items() for name in names}
    whole = dict.fromkeys(getattr(package, "_SUBMODULES", ()), package.__name__)
    assert imports == lazy | whole
    assert sorted({*imports} | {"__version__"} & {*vars(package)}) == package.__all__


@pytest.mark.parametrize("package", PACKAGES, ids=label)
def test_no_name_is_also_a_module(package: ModuleType) -> None:
    """Importing a module would put it in the place of the object of its name."""
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    assert modules & ({*package.__all__} - {*getattr(package, "_SUBMODULES", ())}) == set()


def test_version_agrees_with_the_installed_package() -> None:
    assert importlib.metadata.version("eomsym") == eomsym.__version__
