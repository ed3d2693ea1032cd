"""Losses written in JAX: a jaxpr becomes a program."""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eomsym import checks
from eomsym.errors import ExpressionError, InputError, MissingDependencyError
from eomsym.interop.inline import inlined
from eomsym.interop.jax_rules import DECIDES, LOOPS, MOVES, RULES, as_jax
from eomsym.interop.lowering import Decision, entry_value, scalar_program
from eomsym.interop.traced import Traced, agree, blocks_of, checked_maxima
from eomsym.losses.builder import Builder
from eomsym.losses.tensors import Array, Tensor, concatenate

__all__ = ["from_jax"]


def from_jax(loss_fn: Callable[[Any], Any], params: Any, *, name: str | None = None) -> Traced:
    """The loss of a JAX function, for everything that works on the losses of this package.

    The function is traced once, in float64, and its operations become a program. It is then held against JAX itself:
    value and gradient at the given parameters must agree.

    Parameters
    ----------
    loss_fn : callable
        From a tree of parameters to a scalar. Data are closed over; loops have known lengths.
    params : pytree of arrays of floats
        Their paths become the names of blocks.
    name : str, optional
        By default that of the function.

    Returns
    -------
    Traced
        ``loss.pack(tree)`` and ``loss.unpack(theta)`` go from a tree to the flat vector and back; ``loss.start`` is the
        vector of `params`.

    Raises
    ------
    MissingDependencyError
        JAX is not installed.
    InputError
        The function does not return a scalar, or a parameter is not an array of floats.
    ExpressionError
        An operation that cannot be read, with the line of your code; or the program does not agree with JAX.

    Notes
    -----
    ``max``, ``relu``, ``abs``, ``where`` on what depends on the parameters make the loss smooth in regions only; its
    counter terms hold inside a region, see :func:`eomsym.losses.activations.region_changes`. The maximum that
    ``softmax`` and ``logsumexp`` subtract is no kink.

    Examples
    --------
    >>> import pytest
    >>> jax = pytest.importorskip("jax")
    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> import eomsym as eom
    >>> x = np.linspace(-1, 1, 5)[:, None]
    >>> def loss_fn(params):
    ...     hidden = jnp.tanh(x @ params["W"] + params["b"])
    ...     return ((hidden.sum(axis=1) - x[:, 0] ** 2) ** 2).mean()
    >>> loss = eom.from_jax(loss_fn, {"W": np.ones((1, 3)), "b": np.zeros(3)})
    >>> loss
    <Traced loss_fn (6 parameters)>
    >>> list(loss.blocks)
    ['W', 'b']
    >>> eom.compile(loss, 2).terms(loss.start).shape
    (3, 6)
    """
    traced = trace(loss_fn, params, name)
    import jax

    with jax.enable_x64(True):
        value, slopes = _asked(traced.function, traced.leaves)
    if slopes is not None:
        gradient = np.concatenate([np.ravel(s) for s in slopes])
        agree(traced.loss, float(value), gradient, 1e-4 if traced.lowering.rounds else 1e-9, "JAX")
    checked_maxima(traced.loss)
    return traced.loss


@dataclass(frozen=True, eq=False)
class Trace:
    """A function of JAX that was read: the loss, the function of the leaves of its tree, and the jaxpr."""

    loss: Traced
    function: Callable[..., Any]
    leaves: list[np.ndarray]
    closed: Any
    lowering: Lowering


def trace(loss_fn: Callable[[Any], Any], params: Any, name: str | None = None, *, flat_calls: bool = False) -> Trace:
    """Read a function, without a look at whether the result agrees with JAX.

    With `flat_calls` what nested ``jit`` holds is read as if it stood outside of it: each operation is then recorded.
    """
    try:
        import jax
    except ImportError as error:
        raise MissingDependencyError("from_jax needs JAX; type: pip install 'eomsym[jax]'") from error
    checks.function(loss_fn, "loss_fn", "the parameters")
    if isinstance(params, Iterator):
        raise InputError(f"params is {checks.shown(params)}, which is read once only; give a list, a dict or an array")
    paths, structure = jax.tree_util.tree_flatten_with_path(params)
    leaves = {}
    for path, leaf in paths:
        label = jax.tree_util.keystr(path, simple=True, separator=".") or "params"
        array = np.asarray(leaf)
        if not np.issubdtype(array.dtype, np.floating):
            raise InputError(f"the parameter {label} is of type {array.dtype}, expected floats; close over it instead")
        leaves[label] = array.astype(np.float64)
    blocks = blocks_of({label: array.shape for label, array in leaves.items()})
    start = np.concatenate([array.ravel() for array in leaves.values()])

    def flat(*arrays: Any) -> Any:
        return loss_fn(jax.tree_util.tree_unflatten(structure, arrays))

    with jax.enable_x64(True):
        closed, out = _jaxpr(jax, flat, list(leaves.values()))
        shapes = [leaf.shape for leaf in jax.tree_util.tree_leaves(out)]
        if shapes != [()]:
            what = "use .mean() or .sum()" if len(shapes) == 1 else "return the loss alone, without what comes with it"
            raise InputError(f"the loss must return one number, got arrays of shapes {shapes}; {what}")
        closed = inlined(closed) if flat_calls else closed
        lowering = Lowering(Builder(start.size))
        entries = [entry_value(lowering.builder, block) for block in blocks.values()]
        (result,) = lowering.run(closed.jaxpr, list(closed.consts), entries)
    if not isinstance(result, Tensor):
        raise InputError("the loss does not depend on the parameters")

    def tree(found: dict[str, np.ndarray]) -> Any:
        return jax.tree_util.tree_unflatten(structure, list(found.values()))

    def flattened(given: Any) -> list[Any]:
        leaves, other = jax.tree_util.tree_flatten(given)
        if other != structure:
            raise InputError(f"expected a tree of the structure {structure}, got {other}")
        return list(leaves)

    title = checks.text(name, "name") if name is not None else str(getattr(loss_fn, "__name__", type(loss_fn).__name__))
    loss = Traced(title, blocks, scalar_program(lowering.builder, result), start, tree, flattened)
    return Trace(loss, flat, list(leaves.values()), closed, lowering)


def _jaxpr(jax: Any, flat: Callable[..., Any], leaves: list[np.ndarray]) -> Any:
    """The jaxpr of a function, and the shapes of what it gives."""
    try:
        return jax.make_jaxpr(flat, return_shape=True)(*leaves)
    except jax.errors.TracerArrayConversionError as error:
        raise ExpressionError(
            f"the loss hands parameters to NumPy, which JAX cannot trace; use jax.numpy{_line_of(error)}"
        ) from error
    except (jax.errors.ConcretizationTypeError, jax.errors.TracerIntegerConversionError) as error:
        raise ExpressionError(
            "the loss asks for a number that depends on the parameters, by if, while, float() or int(), which JAX "
            f"cannot trace; use jnp.where, which is valid inside a region{_line_of(error)}"
        ) from error


def _line_of(error: Exception) -> str:
    """Where in the user's code an error of JAX came up."""
    own = Path(__file__).parent
    frames = [(Path(frame.filename), frame) for frame in traceback.extract_tb(error.__traceback__)]
    places = [frame for path, frame in frames if path.parent != own and not {"jax", "numpy"} & set(path.parts)]
    return f" (at {places[-1].filename}:{places[-1].lineno})" if places else ""


def _asked(flat: Callable[..., Any], leaves: list[np.ndarray]) -> tuple[Any, Any]:
    """Value and gradient by JAX; no gradient where JAX has none, as of a while loop."""
    import jax

    try:
        return jax.jit(jax.value_and_grad(flat, argnums=tuple(range(len(leaves)))))(*leaves)  # type: ignore[no-any-return]
    except ValueError as error:
        if "Reverse-mode differentiation does not work" not in str(error):
            raise
        return flat(*leaves), None


class Lowering:
    """Walks through jaxprs and writes a program.

    Attributes
    ----------
    rounds : bool
        Whether the function rounds to fewer digits than float64 somewhere; that is not repeated.
    records : list of (str, Tensor, variable)
        Each operation of the outermost level that was written, with where it stands in the user's code.
    """

    def __init__(self, builder: Builder) -> None:
        self.builder = builder
        self.rounds = False
        self.lines: list[str] = []
        self.records: list[tuple[str, Tensor, Any]] = []

    def run(self, jaxpr: Any, consts: Sequence[Any], args: Sequence[Any]) -> list[Any]:
        """Values of the outputs of a jaxpr."""
        known: dict[Any, Any] = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *args], strict=True))

        def read(atom: Any) -> Any:
            return atom.val if hasattr(atom, "val") else known[atom]

        for equation in _needed(jaxpr):
            inputs = [_shaped(read(atom)) for atom in equation.invars]
            self.lines.append(_line(equation))
            outputs = self.apply(equation, inputs)
            if isinstance(outputs[0], Tensor) and len(self.lines) == 1:
                self.records.append((f"{_called(equation)} ({self.line})", outputs[0], equation.outvars[0]))
            self.lines.pop()
            known.update(zip(equation.outvars, outputs, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    @property
    def line(self) -> str:
        """Where the current operation stands in the user's code."""
        return next((line for line in reversed(self.lines) if line), "unknown line")

    def refuse(self, text: str) -> ExpressionError:
        """The error for an operation that cannot be read."""
        return ExpressionError(f"{text} (at {self.line})")

    def apply(self, equation: Any, inputs: list[Any]) -> list[Any]:
        """One equation."""
        name = equation.primitive.name
        if name in LOOPS:
            return LOOPS[name](self, equation.params, inputs)
        if name == "custom_jvp_call" and _called(equation) == "logaddexp":
            return [self.logaddexp(*inputs)]
        inner = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
        if inner is not None and name not in {"scatter", "scatter-add", "reduce"}:
            return self.run(getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), inputs)
        if not any(isinstance(x, (Tensor, Decision)) for x in inputs):
            found = equation.primitive.bind(*inputs, **equation.params)
            return list(found) if equation.primitive.multiple_results else [found]
        if name in MOVES:
            return self.moved(equation, inputs)
        rule = RULES.get(name)
        if rule is None:
            raise self.refuse(
                f"the operation {name!r} of JAX has no rule here, and its input depends on the parameters; write it "
                f"with others. There are rules for {', '.join(sorted({*RULES, *MOVES, *LOOPS}))}"
            )
        if any(isinstance(x, Decision) for x in inputs) and name not in DECIDES:
            raise self.refuse(f"{name!r} of a comparison of numbers that depend on the parameters; use where()")
        try:
            found = rule(self, equation.params, *inputs)
        except ExpressionError as error:
            raise error if "(at " in str(error) else self.refuse(str(error)) from error
        return found if isinstance(found, list) else [found]

    def moved(self, equation: Any, inputs: list[Any]) -> list[Any]:
        """What only moves entries is done with their numbers: JAX says where they go."""
        moving = 2 if equation.primitive.name in {"dynamic_update_slice", "scatter"} else 1
        place = {0: 0, 1: 2 if equation.primitive.name == "scatter" else 1}
        rest = [x for k, x in enumerate(inputs) if k not in [place[m] for m in range(moving)]]
        if any(isinstance(x, (Tensor, Decision)) for x in rest):
            raise self.refuse(
                f"the indices of {equation.primitive.name!r} depend on the parameters; a loss can only be read where "
                "they are known when it is traced"
            )
        given, arguments, base = [], list(inputs), 1
        for m in range(moving):
            array = inputs[place[m]]
            count = math.prod(array.shape)
            arguments[place[m]] = np.arange(base, base + count).reshape(array.shape)
            base += count
            given.append(array.tensor if isinstance(array, Decision) else array)
        params = dict(equation.params)
        if "fill_value" in params:
            params["fill_value"] = 0
        if equation.primitive.name == "pad":
            arguments[1] = np.int64(0)
        out = equation.primitive.bind(*map(as_jax, arguments), **params)
        outs = [np.asarray(x) - 1 for x in (out if equation.primitive.multiple_results else [out])]
        if equation.primitive.name == "gather" and any((x < 0).any() for x in outs):
            raise self.refuse("an index is out of bounds")
        if moving == 2:
            flat = [x.reshaped((x.size,)) if isinstance(x, Tensor) else np.ravel(x) for x in given]
            whole = concatenate(self.builder, flat, 0)
        else:
            whole = given[0]
        found = [whole.gathered(x) for x in outs]
        if equation.primitive.name == "pad" and np.any(np.asarray(inputs[1]) != 0):
            found = [one + np.where(x < 0, float(inputs[1]), 0.0) for one, x in zip(found, outs, strict=True)]
        return [Decision(x) for x in found] if isinstance(inputs[0], Decision) else found

    def logaddexp(self, left: Any, right: Any) -> Array:
        """``log(exp(left) + exp(right))``: smooth, although it is written with a maximum."""
        apart = left - right if isinstance(left, Tensor) else -(right - left)
        result: Array = apart.call("softplus") + right
        return result


def _shaped(x: Any) -> Any:
    """Numbers of Python as arrays."""
    return np.asarray(x) if isinstance(x, (bool, int, float)) else x


def _called(equation: Any) -> str:
    """The function that an equation calls, or its primitive."""
    inner = equation.params.get("call_jaxpr", equation.params.get("jaxpr"))
    debug = getattr(getattr(inner, "jaxpr", inner), "debug_info", None)
    return str(getattr(debug, "func_name", None) or equation.primitive.name).split(" at ")[0]


def _line(equation: Any) -> str:
    from jax.extend.source_info_util import summarize

    return str(summarize(equation.source_info)).strip()


def _needed(jaxpr: Any) -> list[Any]:
    """The equations that the outputs depend on."""
    wanted = {atom for atom in jaxpr.outvars if not hasattr(atom, "val")}
    kept = []
    for equation in reversed(jaxpr.eqns):
        if wanted & set(equation.outvars):
            kept.append(equation)
            wanted |= {atom for atom in equation.invars if not hasattr(atom, "val")}
    return kept[::-1]
