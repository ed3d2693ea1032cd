"""The public surface, read off the stubs: a name that is added there is called, or the tests ask for its values."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

import eomsym as eom
from eomsym.codegen.kernel import Kernel

#: What the package makes and a user only reads; each is made by a function that is called.
RESULTS = {
    "Audit", "BestOrder", "Bound", "Claim", "CounterTerms", "Enclosure", "Experiment", "Guarantee", "Hypothesis",
    "Look", "Observation", "Outcome", "Prediction", "StepSize", "Summary", "Term", "Traced",
}  # fmt: skip
#: Bases of what a user writes.
BASES = {"Curvature", "Layer", "Method"}
#: Run JAX or PyTorch: theirs are `make test-interop`.
FRAMEWORKS = {"watch_optax", "watch_torch"}
#: Methods that users call, beside the functions.
OWNERS: dict[str, tuple[type, tuple[str, ...]]] = {
    "Kernel": (
        Kernel,
        ("at_order", "decimals", "field", "gradient", "gradient_along", "hessian_vector", "jacobian_vector", "memories",
         "outputs", "save", "terms"),
    ),
    "Loss": (eom.Loss, ("gradient", "unpack", "validate", "value", "with_weight_decay")),
    "Network": (eom.Network, ("initial", "split", "unpack", "value")),
    "GradientDescent": (eom.GradientDescent, ("series",)),
}  # fmt: skip


def packages() -> dict[str, ModuleType]:
    """The package and its public parts by name."""
    parts = {name: getattr(eom, name) for name in eom.__all__}
    return {"eomsym": eom} | {name: part for name, part in parts.items() if inspect.ismodule(part)}


def public() -> dict[str, Callable[..., Any]]:
    """All public callables by their full names, each once."""
    found: dict[str, Callable[..., Any]] = {}
    for place, package in packages().items():
        for name in package.__all__:
            value = getattr(package, name)
            if not callable(value) or name in RESULTS | BASES | FRAMEWORKS or is_error(value):
                continue
            if value not in found.values():
                found[f"{place}.{name}"] = value
    for owner, (cls, names) in OWNERS.items():
        found |= {f"{owner}.{name}": getattr(cls, name) for name in names}
    return found


def is_error(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, BaseException | Warning)


def parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """What a call takes; `self` is an argument like any other."""
    return dict(inspect.signature(function).parameters)
