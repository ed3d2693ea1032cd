"""All optimisers by the name that a command takes, and their parameters; imports nothing heavy."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eomsym import checks
from eomsym.errors import InputError

__all__ = ["OPTIMISERS", "Optimiser", "build"]


@dataclass(frozen=True)
class Optimiser:
    """An optimiser in the list.

    Parameters
    ----------
    title : str
        Name of the class in `eomsym.optimisers`.
    parameters : dict of str to str
        Parameters and what they take: ``"number"`` (exact), ``"count"``, ``"flag"``, ``"row"``, ``"rows"`` or a
        choice ``"a|b"``.
    needed : tuple of str
        Those without a default.
    """

    title: str
    parameters: Mapping[str, str]
    needed: tuple[str, ...] = ()

    @property
    def factory(self) -> Any:
        """The class; imported when it is asked for."""
        return getattr(importlib.import_module("eomsym.optimisers"), self.title)


_MEMORY = {"memory": "eliminated|kept", "eta": "number"}
_ADAM = {"beta1": "number", "beta2": "number", "epsilon": "number", "inside": "flag", "bias_correction": "flag"}

#: Optimisers by name.
OPTIMISERS: dict[str, Optimiser] = {
    "gd": Optimiser("GradientDescent", {}),
    "proximal": Optimiser("ProximalPoint", {}),
    "heavy-ball": Optimiser("HeavyBall", {"beta": "number", **_MEMORY}, ("beta",)),
    "nesterov": Optimiser("Nesterov", {"beta": "number", **_MEMORY}, ("beta",)),
    "optimistic": Optimiser("OptimisticGradient", {}),
    "extragradient": Optimiser("Extragradient", {}),
    "sam": Optimiser("SharpnessAware", {"r": "number"}, ("r",)),
    "multistep": Optimiser("LinearMultistep", {"rho": "row", "sigma": "row"}, ("rho", "sigma")),
    "runge-kutta": Optimiser("RungeKutta", {"A": "rows", "b": "row"}, ("A", "b")),
    "epoch": Optimiser("Epoch", {"order": "count"}, ("order",)),
    "momentum": Optimiser("Momentum", {"beta": "number", "dampening": "number", "nesterov": "flag"}, ("beta",)),
    "qhm": Optimiser("QuasiHyperbolic", {"nu": "number", "beta": "number"}),
    "lookahead": Optimiser("Lookahead", {"steps": "count", "alpha": "number"}),
    "adam": Optimiser("Adam", {**_ADAM, **_MEMORY}),
    "adamw": Optimiser("AdamW", {**_ADAM, **_MEMORY, "weight_decay": "number"}),
    "rmsprop": Optimiser("RMSProp", {"alpha": "number", "epsilon": "number", "inside": "flag"}),
    "sign": Optimiser("SignSGD", {"width": "number"}, ("width",)),
    "lion": Optimiser(
        "Lion",
        {"beta1": "number", "beta2": "number", "width": "number", "weight_decay": "number"},
    ),
    "normalised": Optimiser("NormalisedGradient", {"epsilon": "number"}),
    "normalised-sam": Optimiser("NormalisedSAM", {"r": "number", "epsilon": "number"}, ("r",)),
    "clipped": Optimiser("ClippedGradient", {"threshold": "number"}, ("threshold",)),
    "muon": Optimiser("Muon", {"beta": "number", "ns_steps": "count"}),
}


def build(name: str, **parameters: Any) -> Any:
    """Make an optimiser from its name and its parameters.

    Parameters
    ----------
    name : str
        One of `OPTIMISERS`.
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
    chosen = OPTIMISERS[checks.choice(name, "optimiser", OPTIMISERS)]
    unknown, missing = sorted(set(parameters) - set(chosen.parameters)), sorted(set(chosen.needed) - set(parameters))
    if unknown:
        known = ", ".join(chosen.parameters) or "no parameters"
        raise InputError(f"{name} does not take {', '.join(unknown)}; it takes {known}")
    if missing:
        raise InputError(f"{name} needs {', '.join(missing)}")
    return chosen.factory(**parameters)
