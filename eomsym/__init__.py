"""The differential equation that gradient descent really follows.

A discrete optimiser with learning rate ``eta`` is followed, to order ``K``, by the equation of motion
``theta' = -(terms[0] + eta terms[1] + ... + eta**K terms[K])``. eomsym derives the counter terms exactly,
compiles them for a given loss, integrates the equation and verifies the order against the running optimiser.

Names are imported when they are first used (PEP 562): ``import eomsym`` is quick and loads neither numba nor
scipy.

Examples
--------
>>> import eomsym as eom
>>> str(eom.counter_terms(2)[2])
'1/3 H²g + 1/12 ∇³L[g,g]'
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eomsym import errors, plot, testing
    from eomsym.codegen.kernel import compile
    from eomsym.dynamics.descent import descend
    from eomsym.dynamics.flow import flow
    from eomsym.errors import EomsymError
    from eomsym.exact.counter_terms import counter_terms
    from eomsym.exact.methods import (
        Extragradient,
        GradientDescent,
        GradientFlow,
        HeavyBall,
        LinearMultistep,
        Nesterov,
        OptimisticGradient,
        ProximalPoint,
        RungeKutta,
        SharpnessAware,
    )
    from eomsym.losses.expression import Field, Loss
    from eomsym.losses.network import DeepLinear, Network
    from eomsym.taylor.symbolic import modified_field
    from eomsym.verify.order import verify

__version__ = "0.1.0"

__all__ = [
    "DeepLinear",
    "EomsymError",
    "Extragradient",
    "Field",
    "GradientDescent",
    "GradientFlow",
    "HeavyBall",
    "LinearMultistep",
    "Loss",
    "Nesterov",
    "Network",
    "OptimisticGradient",
    "ProximalPoint",
    "RungeKutta",
    "SharpnessAware",
    "__version__",
    "compile",
    "counter_terms",
    "descend",
    "errors",
    "flow",
    "modified_field",
    "plot",
    "testing",
    "verify",
]

_HOMES = {
    "codegen.kernel": ["compile"],
    "dynamics.descent": ["descend"],
    "dynamics.flow": ["flow"],
    "errors": ["EomsymError"],
    "exact.counter_terms": ["counter_terms"],
    "exact.methods": [
        "Extragradient",
        "GradientDescent",
        "GradientFlow",
        "HeavyBall",
        "LinearMultistep",
        "Nesterov",
        "OptimisticGradient",
        "ProximalPoint",
        "RungeKutta",
        "SharpnessAware",
    ],
    "losses.expression": ["Field", "Loss"],
    "losses.network": ["DeepLinear", "Network"],
    "taylor.symbolic": ["modified_field"],
    "verify.order": ["verify"],
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}
_SUBMODULES = frozenset({"errors", "plot", "testing"})


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        value: Any = import_module(f"{__name__}.{name}")
    elif name in _MODULE_OF:
        value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value  # the next use costs nothing
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """Keeps ``eomsym.verify`` the function.

    As soon as one of its modules is imported, Python binds a package to its name in the parent. That would put
    the package ``eomsym/verify/`` over the function.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _MODULE_OF and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
