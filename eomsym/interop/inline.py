"""A jaxpr without calls: what nested ``jit`` and ``checkpoint`` hold stands in the outermost level."""

from __future__ import annotations

from typing import Any

__all__ = ["inlined"]

#: Calls that change nothing about derivatives. A ``custom_jvp`` is none of them: its rule is its derivative.
CALLS = frozenset({"jit", "pjit", "closed_call", "core_call", "remat", "remat2", "checkpoint"})


def inlined(closed: Any) -> Any:
    """The same function, each operation with its line of the user's code.

    Parameters
    ----------
    closed : jax.extend.core.ClosedJaxpr

    Returns
    -------
    jax.extend.core.ClosedJaxpr
    """
    from jax.extend.core import ClosedJaxpr

    constants = dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))
    known: dict[Any, Any] = {}
    equations = _walked(closed.jaxpr, known, constants)
    outputs = [_read(known, atom) for atom in closed.jaxpr.outvars]
    flat = closed.jaxpr.replace(eqns=equations, outvars=outputs, constvars=list(constants))
    return ClosedJaxpr(flat, list(constants.values()))


def _read(known: dict[Any, Any], atom: Any) -> Any:
    """The atom that stands for another one; literals stand for themselves."""
    return atom if hasattr(atom, "val") else known.get(atom, atom)


def _walked(jaxpr: Any, known: dict[Any, Any], constants: dict[Any, Any]) -> list[Any]:
    """The equations of a jaxpr, calls replaced by what they call."""
    from jax.extend.core import Var

    equations = []
    for equation in jaxpr.eqns:
        inputs = [_read(known, atom) for atom in equation.invars]
        if equation.primitive.name not in CALLS:
            outputs = [Var(variable.aval) for variable in equation.outvars]
            known.update(zip(equation.outvars, outputs, strict=True))
            equations.append(equation.replace(invars=inputs, outvars=outputs))
            continue
        inner = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
        body = getattr(inner, "jaxpr", inner)
        own = dict(zip(body.invars, inputs, strict=True))
        for variable, value in zip(body.constvars, getattr(inner, "consts", ()), strict=True):
            own[variable] = Var(variable.aval)
            constants[own[variable]] = value
        equations += _walked(body, own, constants)
        known.update(zip(equation.outvars, [_read(own, atom) for atom in body.outvars], strict=True))
    return equations
