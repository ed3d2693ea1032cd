"""Are the higher derivatives of a framework right?"""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from eomsym import checks
from eomsym.codegen.run import Machine
from eomsym.errors import InputError
from eomsym.interop import jaxpr, torch_export
from eomsym.losses.program import Program
from eomsym.losses.tensors import Tensor
from eomsym.taylor.plan import Plan

__all__ = ["Audit", "Comparison", "audit"]

#: Relative difference beyond which two derivatives are not the same.
TOLERANCE = 1e-8
#: From the parameters alone, at a point, to derivatives of some orders along a direction.
Derivatives = Callable[[np.ndarray], "list[float | None]"]


@dataclass(frozen=True)
class Comparison:
    """One directional derivative of the loss, in two ways.

    Attributes
    ----------
    mode : str
        How the framework takes it: ``"forward"`` (nested jvp) or ``"backward"`` (gradients of gradients).
    order : int
    theirs, ours : float
        ``theirs`` is NaN where the framework has none.
    difference : float
        Relative to the larger of them and of the size of the derivative of this order.
    culprit : str
        The first operation, with the line of your code, whose derivative is wrong or missing (or what the framework
        says about it); empty where they agree.
    """

    mode: str
    order: int
    theirs: float
    ours: float
    difference: float
    culprit: str

    @property
    def agrees(self) -> bool:
        """Whether they are the same up to rounding."""
        return self.difference <= TOLERANCE


@dataclass(frozen=True)
class Audit:
    """What :func:`audit` found."""

    framework: str
    comparisons: tuple[Comparison, ...]

    @property
    def status(self) -> str:
        """``"agrees"`` or ``"differs"``."""
        return "agrees" if all(one.agrees for one in self.comparisons) else "differs"

    @property
    def culprits(self) -> tuple[str, ...]:
        """Operations that are wrong, once each."""
        return tuple(dict.fromkeys(one.culprit for one in self.comparisons if one.culprit))

    def __str__(self) -> str:
        lines = [f"{self.framework}: {self.status}", "mode      order  theirs                  ours"]
        for one in self.comparisons:
            told = f"{one.mode:9} {one.order:5}  {one.theirs:<22.15g}  {one.ours:<22.15g}"
            verdict = "wrong" if np.isfinite(one.theirs) else "missing"
            lines.append(told + ("" if one.agrees else f"  {verdict}: {one.culprit or 'unknown operation'}"))
        return "\n".join(lines)


def audit(
    model: Any, *arguments: Any, orders: Sequence[int] = (2, 3, 4), direction: Any = None, seed: int = 0
) -> Audit:
    """Hold the directional derivatives of JAX or PyTorch against those of this package.

    ``d**k/ds**k L(theta + s v)`` is computed by the framework's own differentiation, forwards and backwards, and by the
    Taylor rules of this package. Where they differ, the operations are gone through one by one, and the first that is
    wrong is named.

    Parameters
    ----------
    model : torch.nn.Module, or a function of a tree of parameters in JAX
    *arguments
        What :func:`eomsym.from_torch` (loss, inputs, targets) or :func:`eomsym.from_jax` (parameters) takes besides.
    orders : sequence of int
        Orders of derivatives, from 1 on; each costs the framework twice as much as the one before.
    direction : array_like, shape (n,), optional
        A random one of length 1 by default.
    seed : int
        Of the random direction.

    Returns
    -------
    Audit

    Raises
    ------
    InputError
        An order is not a positive integer.
    ExpressionError
        The model cannot be read.

    Examples
    --------
    PyTorch's second derivative of layer normalisation is right backwards and wrong forwards; what lies beyond is wrong:

    >>> import pytest
    >>> torch = pytest.importorskip("torch")
    >>> import eomsym as eom
    >>> _ = torch.manual_seed(0)
    >>> module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4), torch.nn.Linear(4, 1))
    >>> found = eom.audit(module, torch.nn.functional.mse_loss, torch.randn(5, 3), torch.randn(5, 1), orders=(2, 3))
    >>> found.status
    'differs'
    >>> [(one.mode, one.order) for one in found.comparisons if not one.agrees]
    [('forward', 2), ('forward', 3), ('backward', 3)]
    >>> found.culprits[0].split()[0]
    'native_layer_norm'
    """
    asked = checks.items(orders, "orders", "(2, 3, 4)")
    if not asked or any(isinstance(k, bool) or not isinstance(k, Integral) or k < 1 for k in asked):
        raise InputError(f"orders must be integers >= 1, got {checks.shown(orders)}; type orders=(2, 3, 4)")
    asked = sorted({int(k) for k in asked})
    checks.count(seed, "seed")
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(model, torch.nn.Module):
        framework, views = "PyTorch", _of_torch(torch_export.trace(model, *arguments), asked[-1])
    elif len(arguments) != 1:
        raise InputError(
            f"audit takes a module, loss_fn, inputs and targets of PyTorch, or loss_fn and params of JAX; got "
            f"{type(model).__name__} and {len(arguments)} more; type eom.audit(loss_fn, params)"
        )
    else:
        framework, views = "JAX", _of_jax(jaxpr.trace(model, *arguments, flat_calls=True), asked[-1])
    loss = views.loss
    if direction is None:
        v = np.random.default_rng(seed).standard_normal(loss.size)
        v /= float(np.linalg.norm(v))
    else:
        v = checks.vector(direction, "direction", loss.size)
    (ours,) = along(loss._bare, loss.start, v, asked[-1])
    rows: list[Comparison] = []
    for mode in ("forward", "backward"):
        theirs = views.derivatives(mode, v)
        rows += [_compared(views, mode, k, theirs[k], float(ours[k]), v) for k in asked]
    return Audit(framework, tuple(rows))


def _compared(views: Views, mode: str, k: int, theirs: float, ours: float, v: np.ndarray) -> Comparison:
    difference = _apart(theirs, ours)
    culprit = ""
    if not difference <= TOLERANCE:
        difference = difference if np.isfinite(difference) else math.inf
        culprit = _first_wrong(views, mode, k, v) or views.messages.get((mode, k), "")
    return Comparison(mode, k, theirs, ours, difference, culprit)


def _apart(theirs: float, ours: float) -> float:
    return abs(theirs - ours) / max(abs(theirs), abs(ours), 1e-6)


def along(program: Program, theta: np.ndarray, v: np.ndarray, order: int) -> np.ndarray:
    """Derivatives 0..order of all outputs' entries along a direction, shape (entries, order+1)."""
    machine = Machine(Plan.of(program, order))
    given = np.zeros((1, order + 1, theta.size))
    given[0, 0], given[0, min(1, order)] = theta, v if order else theta
    rows = np.array([k * (k + 3) // 2 for k in range(order + 1)])
    lanes = machine.plan.tables[machine.plan.outputs[0]].lanes
    out = np.empty((1, order + 1, lanes))
    machine.fill(given, order, rows, out)
    factorials = np.array([math.factorial(k) for k in range(order + 1)], dtype=np.float64)
    return np.asarray(out[0].T * factorials)


@dataclass(frozen=True, eq=False)
class Views:
    """A model in its framework: derivatives of the loss, and of each operation's value.

    Attributes
    ----------
    derivatives : callable
        ``(mode, v)`` to the derivatives 0..order of the loss; NaN where there are none.
    operations : list of (str, Tensor, key)
    operation : callable
        ``(key, weights, mode, k, v)`` to the derivative k of a weighted sum of an operation's value.
    builder : Builder
    messages : dict
        What the framework says where it has no derivative, by mode and order.
    """

    loss: Any
    derivatives: Callable[[str, np.ndarray], list[float]]
    operations: list[tuple[str, Tensor, Any]]
    operation: Callable[[Any, np.ndarray, str, int, np.ndarray], float]
    builder: Any
    messages: dict[tuple[str, int], str]


def _first_wrong(views: Views, mode: str, k: int, v: np.ndarray) -> str:
    """The first operation whose derivative of order k differs."""
    random = np.random.default_rng(1)
    weights = [random.standard_normal(tensor.shape) for _, tensor, _ in views.operations]
    sums = [(t * w).sum(range(len(t.shape))) for (_, t, _), w in zip(views.operations, weights, strict=True)]
    pieces = [(place, one.matrix((), ())) for place, one in enumerate(sums)]
    program = views.builder.finish([views.builder.join(pieces, len(pieces))])
    ours = along(program, views.loss.start, v, k)[:, k]
    for (told, _, key), weight, mine in zip(views.operations, weights, ours, strict=True):
        theirs = views.operation(key, weight, mode, k, v)
        if not _apart(theirs, float(mine)) <= TOLERANCE:
            return told
    return ""


# JAX ----------------------------------------------------------------------------------------------------------------


def _of_jax(traced: jaxpr.Trace, order: int) -> Views:
    import jax
    from jax.extend import core

    loss = traced.loss
    messages: dict[tuple[str, int], str] = {}
    shapes = [leaf.shape for leaf in traced.leaves]
    ends = np.cumsum([0, *(leaf.size for leaf in traced.leaves)])

    def at(function: Callable[..., Any], v: np.ndarray) -> Callable[[Any], Any]:
        def curve(s: Any) -> Any:
            point = loss.start + s * v
            parts = [point[a:b].reshape(shape) for a, b, shape in zip(ends, ends[1:], shapes, strict=False)]
            return function(*parts)

        return curve

    def derived(function: Callable[[Any], Any], mode: str, k: int) -> float:
        def slope(inner: Callable[[Any], Any]) -> Callable[[Any], Any]:
            if mode == "forward":
                return lambda s: jax.jvp(inner, (s,), (1.0,))[1]
            gradient: Callable[[Any], Any] = jax.grad(inner)
            return gradient

        for _ in range(k):
            function = slope(function)
        try:
            with jax.enable_x64(True):
                return float(jax.jit(function)(0.0))
        except (NotImplementedError, ValueError, TypeError) as error:  # how JAX says that there is no rule
            messages.setdefault((mode, k), str(error).splitlines()[0])
            return float("nan")

    def derivatives(mode: str, v: np.ndarray) -> list[float]:
        return [derived(at(traced.function, v), mode, k) for k in range(order + 1)]

    def operation(key: Any, weights: np.ndarray, mode: str, k: int, v: np.ndarray) -> float:
        part = core.ClosedJaxpr(traced.closed.jaxpr.replace(outvars=[key]), traced.closed.consts)
        function = core.jaxpr_as_fun(part)
        return derived(at(lambda *parts: (function(*parts)[0] * weights).sum(), v), mode, k)

    return Views(loss, derivatives, traced.lowering.records, operation, traced.lowering.builder, messages)


# PyTorch ------------------------------------------------------------------------------------------------------------


def _of_torch(traced: torch_export.Trace, order: int) -> Views:
    import torch

    loss = traced.loss
    messages: dict[tuple[str, int], str] = {}

    def parameters(s: Any, v: np.ndarray) -> dict[str, Any]:
        named = {}
        for label, block in loss.blocks.items():
            ends = [torch.as_tensor(x[block.place].reshape(block.shape)) for x in (loss.start, v)]
            named[label] = ends[0] + s * ends[1]
        return named

    def whole(s: Any, v: np.ndarray) -> Any:
        state = {f"model.{label}": value for label, value in parameters(s, v).items()}
        return torch.func.functional_call(traced.whole, state, traced.data)

    def derived(function: Callable[[Any], Any], mode: str, k: int) -> float:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of the framework about itself
                if mode == "backward":
                    return _backwards(torch, function, k)
                for _ in range(k):
                    function = _forwards(torch, function)
                return float(function(torch.zeros((), dtype=torch.float64)))
        except (RuntimeError, NotImplementedError) as error:  # how PyTorch says that there is no rule
            messages.setdefault((mode, k), str(error).splitlines()[0])
            return float("nan")

    def derivatives(mode: str, v: np.ndarray) -> list[float]:
        return [derived(lambda s: whole(s, v), mode, k) for k in range(order + 1)]

    def operation(key: str, weights: np.ndarray, mode: str, k: int, v: np.ndarray) -> float:
        known = torch.as_tensor(weights)

        def function(s: Any) -> Any:
            found = traced.lowering.replayed(traced, parameters(s, v), key)
            first = found[0] if isinstance(found, (list, tuple)) else found
            return (first * known).sum()

        return derived(function, mode, k)

    return Views(loss, derivatives, traced.lowering.records, operation, traced.lowering.builder, messages)


def _backwards(torch: Any, function: Callable[[Any], Any], k: int) -> float:
    """Gradients of gradients."""
    s = torch.zeros((), dtype=torch.float64, requires_grad=True)
    found = function(s)
    for _ in range(k):
        if not found.requires_grad:  # constant from here on
            return 0.0
        (found,) = torch.autograd.grad(found, s, create_graph=True, materialize_grads=True)
    return float(found.detach())


def _forwards(torch: Any, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda s: torch.func.jvp(function, (s,), (torch.ones((), dtype=torch.float64),))[1]
