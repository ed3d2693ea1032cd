"""Memories that are kept as states: how they fade, and the learning rate that they are meant for."""

from __future__ import annotations

from typing import Literal

import sympy

from eomsym import checks
from eomsym.errors import MethodError
from eomsym.exact.numbers import ETA, Exact, Scalar, as_exact

__all__ = ["Memory", "fading", "learning_rate", "told_of_memory"]

#: What becomes of the memory of a method: it is eliminated from the equation of motion, or a state of its own.
Memory = Literal["eliminated", "kept"]


def fading(beta: Exact, step: Exact) -> Exact:
    """``exp(-c eta)`` as a function of the step, with the rate ``c = -log(beta)/step`` that makes it `beta` there."""
    return sympy.exp(ETA * sympy.log(beta) / step)


def learning_rate(memory: str, eta: Scalar, **betas: Exact) -> Exact | None:
    """The exact learning rate that belongs to a kept memory, None where the memory is eliminated; MethodError."""
    if not (isinstance(memory, str) and memory in ("eliminated", "kept")):
        raise MethodError(f"unknown memory {checks.shown(memory)}; choose 'eliminated' or 'kept'")
    if memory == "eliminated":
        if eta is not None:
            raise MethodError(
                f"eta = {checks.shown(eta)} belongs to a memory that is kept; leave it out, or add memory='kept'"
            )
        return None
    if eta is None:
        raise MethodError("a kept memory fades at a rate that needs the learning rate; add for instance eta='1/100'")
    exact = as_exact(eta, "eta")
    if not (exact.is_number and exact > 0):
        raise MethodError(f"eta = {exact}; a kept memory needs a number > 0, for instance eta='1/100'")
    for name, beta in betas.items():
        if not (beta.is_number and 0 < beta < 1):
            raise MethodError(f"{name} = {beta}; a kept memory needs a number between 0 and 1, such as {name}='9/10'")
    return exact


def told_of_memory(memory: str, eta: Exact | None) -> str:
    """What a name says about a kept memory."""
    return "" if memory == "eliminated" else f", memory kept at eta = {eta}"
