"""The front door: what `import eomsym` costs, and that every public name is there."""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import pkgutil
import subprocess
import sys
from types import ModuleType

import lazy_loader
import pytest

import eomsym
from eomsym.errors import EomsymError

PARTS = (
    "", ".bounds", ".curvature", ".dynamics", ".experiments", ".formulas", ".interop", ".losses", ".optimisers",
    ".output", ".symmetries",
)  # fmt: skip
PACKAGES = tuple(importlib.import_module(f"eomsym{part}") for part in PARTS)
HEAVY = ("jax", "matplotlib", "numba", "numpy", "scipy", "sklearn", "sympy", "torch")
NAMES = [(package, name) for package in PACKAGES for name in package.__all__]
SHOWN_WHERE_THEY_ARE_MADE = {
    "Audit", "BestOrder", "Bound", "CounterTerms", "Curvature", "Enclosure", "EomsymError", "Experiment", "Guarantee",
    "Hypothesis", "Bundle", "Crossing", "Curve", "Forward", "Look", "Method", "Observation", "Outcome", "PAPERS",
    "Prediction", "StepSize", "Stretch", "Summary", "Term", "Traced", "Variation", "__version__",
}  # fmt: skip


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
    assert name in dir(package) or name == "__version__"


@pytest.mark.parametrize("package, name", NAMES, ids=label)
def test_public_object_is_documented_with_an_example(package: ModuleType, name: str) -> None:
    value = getattr(package, name)
    if name in SHOWN_WHERE_THEY_ARE_MADE or inspect.ismodule(value):
        assert inspect.getdoc(value)
    else:
        assert ">>>" in (inspect.getdoc(value) or ""), f"{package.__name__}.{name} has no executed example"


def test_names_at_the_top_are_few() -> None:
    assert len(eomsym.__all__) <= 42
    assert issubclass(eomsym.EomsymError, EomsymError)


def test_inner_modules_can_be_imported_under_a_name() -> None:
    code = "import eomsym.verification.order as order, eomsym; print(order.verify is eomsym.verify)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "True\n"


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="No eomsym attribute gradient_descent"):
        _ = eomsym.gradient_descent


@pytest.mark.parametrize("package", PACKAGES, ids=label)
def test_no_name_is_also_a_module(package: ModuleType) -> None:
    """Importing a module would put it in the place of the object of its name."""
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    objects = {name for name in package.__all__ if not inspect.ismodule(getattr(package, name))}
    assert modules & objects == set()


def test_every_lazy_package_has_its_stub() -> None:
    for package in PACKAGES:
        assert package.__file__ is not None
        assert lazy_loader.attach_stub(package.__name__, package.__file__)[2]


def test_version_agrees_with_the_installed_package() -> None:
    assert importlib.metadata.version("eomsym") == eomsym.__version__
