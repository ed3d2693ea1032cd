"""What adaptive optimisers divide by, read off their own state.

Where the divisor P moves slowly, Adam and RMSProp are momentum methods in a space that P stretches: they are stable up
to a number for ``eta`` times the largest eigenvalue of ``P**-1 H``, which is that of ``P**-1/2 H P**-1/2``.

References
----------
J. M. Cohen et al., Adaptive Gradient Methods at the Edge of Stability (2022), arXiv:2207.14484, equations 2 and 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from eomsym.errors import InputError

__all__ = ["ADAPTIVE", "Preconditioner", "divides", "has_momentum", "of_optax", "of_torch"]

#: Optimisers of PyTorch whose state is read.
ADAPTIVE = ("Adam", "AdamW", "RMSprop")


@dataclass(frozen=True, eq=False)
class Preconditioner:
    """What an optimiser divides by, and what that makes of its limit.

    Attributes
    ----------
    divisor : ndarray, shape (n,)
        P; infinite where a parameter does not move.
    limit : float
        Of ``eta`` times the largest eigenvalue of ``P**-1 H``: beyond it a frozen P gives an unstable run.
    terms : tuple of float
        Coefficients of ``P**-1 g`` and ``eta P**-1 H P**-1 g`` in the equation of motion of a run with this P.
    """

    divisor: np.ndarray
    limit: float
    terms: tuple[float, float] = (1.0, 0.5)

    def drift(self, g: np.ndarray, hessian: Callable[[np.ndarray], np.ndarray], eta: float, decay: float) -> float:
        """The first counter term over the gradient term, with P held.

        In ``P**1/2 theta`` the run is one of momentum on a loss with Hessian ``P**-1/2 H P**-1/2``.
        """
        moved = g / self.divisor
        size = float(np.linalg.norm(moved))
        if size == 0:
            return 0.0
        bent = (hessian(moved) + decay * moved) / self.divisor
        return eta * self.terms[1] * float(np.linalg.norm(bent)) / (self.terms[0] * size)

    def product(self, hessian: Callable[[np.ndarray], np.ndarray], decay: float) -> Callable[[np.ndarray], np.ndarray]:
        """``P**-1/2 (H + decay) P**-1/2`` times a vector."""
        root = 1 / np.sqrt(self.divisor)

        def applied(v: np.ndarray) -> np.ndarray:
            along = root * v
            return np.asarray(root * (hessian(along) + decay * along))

        return applied


def averaged(beta: float) -> float:
    """The limit of momentum that averages, as in Adam.

    Examples
    --------
    >>> round(averaged(0.9), 12)
    38.0
    """
    return (2 + 2 * beta) / (1 - beta)


def averaged_terms(beta: float) -> tuple[float, float]:
    """The first two coefficients of momentum that averages: the gradient is that of ``beta/(1 - beta)`` steps ago."""
    return 1.0, (1 + beta) / (2 * (1 - beta))


def added_terms(beta: float) -> tuple[float, float]:
    """The same of a heavy ball, whose steps are ``1/(1 - beta)`` times longer."""
    return 1 / (1 - beta), (1 + beta) / (2 * (1 - beta) ** 3)


def of_adam(second: np.ndarray, count: float, betas: tuple[float, float], eps: float) -> Preconditioner:
    """Of Adam: ``P = (1 - beta1**t) (sqrt(v/(1 - beta2**t)) + eps)``."""
    early = 1 - betas[0] ** count
    return Preconditioner(
        early * (np.sqrt(second / (1 - betas[1] ** count)) + eps), averaged(betas[0]), averaged_terms(betas[0])
    )


# PyTorch ------------------------------------------------------------------------------------------------------------


def of_torch(optimiser: Any, parameters: list[Any]) -> Preconditioner | None:
    """Of an optimiser of ``torch.optim``; None for one that divides by nothing, or that is not known.

    Groups may have learning rates of their own: P is that of the first group's learning rate.
    """
    name = type(optimiser).__name__
    if name not in ADAPTIVE:
        return None
    groups = {id(p): group for group in optimiser.param_groups for p in group["params"]}
    first = optimiser.param_groups[0]
    key = "betas" if name != "RMSprop" else "momentum"
    pieces, limits, terms = [], set(), (math.nan, math.nan)
    for p in parameters:
        group = groups.get(id(p), first)
        state = optimiser.state.get(p, {}) if id(p) in groups else {}
        if not state or group["lr"] == 0:
            pieces.append(np.full(p.numel(), np.inf))
            continue
        one = _of_rms(state, group) if name == "RMSprop" else _of_torch_adam(state, group)
        pieces.append(one.divisor * (float(first["lr"]) / float(group["lr"])))
        limits.add(one.limit)
        terms = one.terms
    if len(limits) > 1:
        raise InputError(f"the groups of {name} have different {key}, so there is no limit of all; watch one of them")
    return Preconditioner(np.concatenate(pieces), limits.pop() if limits else math.nan, terms)


def _numbers(tensor: Any) -> np.ndarray:
    return np.asarray(tensor.detach().cpu().double().numpy().ravel(), dtype=np.float64)


def _of_torch_adam(state: Mapping[str, Any], group: Mapping[str, Any]) -> Preconditioner:
    second = state["max_exp_avg_sq"] if group.get("amsgrad") else state["exp_avg_sq"]
    betas = (float(group["betas"][0]), float(group["betas"][1]))
    return of_adam(_numbers(second), float(state["step"]), betas, float(group["eps"]))


def _of_rms(state: Mapping[str, Any], group: Mapping[str, Any]) -> Preconditioner:
    """Momentum is added up behind the division, as by a heavy ball."""
    second = _numbers(state["square_avg"])
    if group["centered"]:
        second = second - _numbers(state["grad_avg"]) ** 2
    beta = float(group["momentum"])
    return Preconditioner(np.sqrt(np.maximum(second, 0)) + float(group["eps"]), 2 + 2 * beta, added_terms(beta))


# optax --------------------------------------------------------------------------------------------------------------


def of_optax(
    state: Any, flat: Callable[[Any], np.ndarray], betas: tuple[float, float], eps: float, momentum: float | None
) -> Preconditioner | None:
    """Of a state of `optax`; None where it divides by nothing.

    The state holds the averages and the count, and, under ``optax.inject_hyperparams``, the numbers. Without that, the
    numbers are those that are given.

    Parameters
    ----------
    state : tree
    flat : callable
        From a tree like the parameters to a vector.
    betas, eps
        Of Adam.
    momentum : float or None
        Of a heavy ball behind RMSProp.
    """
    parts = {type(part).__name__: part for part in _parts(state)}
    known: Mapping[str, Any] = {}
    for name, part in parts.items():
        if name.startswith(("InjectHyperparams", "InjectStatefulHyperparams")):
            known = part.hyperparams
    adam, rms, trace = (parts.get(name) for name in ("ScaleByAdamState", "ScaleByRmsState", "TraceState"))
    eps = float(known.get("eps", eps))
    if adam is not None:
        numbers = float(known.get("b1", betas[0])), float(known.get("b2", betas[1]))
        return of_adam(flat(adam.nu), float(adam.count), numbers, eps)
    if rms is not None:
        beta = 0.0 if trace is None else known.get("momentum", momentum)
        divisor = np.sqrt(flat(rms.nu) + eps)
        if beta is None:
            return Preconditioner(divisor, math.nan, (math.nan, math.nan))
        return Preconditioner(divisor, 2 + 2 * float(beta), added_terms(float(beta)))
    return None


def divides(state: Any) -> bool:
    """Whether a state of `optax` is one of Adam or RMSProp."""
    return any(type(part).__name__ in {"ScaleByAdamState", "ScaleByRmsState"} for part in _parts(state))


def has_momentum(state: Any) -> bool:
    """Whether a state of `optax` holds a momentum (whose coefficient it does not hold)."""
    return any(type(part).__name__ == "TraceState" for part in _parts(state))


def _parts(state: Any) -> Iterator[Any]:
    """The named tuples of a state, from the outside in."""
    if isinstance(state, tuple):
        if hasattr(state, "_fields"):
            yield state
        for part in state:
            yield from _parts(part)
