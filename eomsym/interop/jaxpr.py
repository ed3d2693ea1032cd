"""Losses written in JAX: a jaxpr becomes a program."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from eomsym.errors import ExpressionError, InputError, MissingDependencyError
from eomsym.interop.lowering import (
    Decision,
    add,
    convolved,
    divide,
    entry_value,
    integer_power,
    larger,
    multiplied,
    multiply,
    pooled,
    power,
    scalar_program,
    subtract,
    where,
)
from eomsym.interop.traced import Traced, agree, blocks_of, checked_maxima
from eomsym.losses.program import Builder
from eomsym.losses.tensors import Array, Tensor, concatenate, contract

__all__ = ["from_jax"]

#: Of an unrolled loop.
LONGEST = 10_000


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


def trace(loss_fn: Callable[[Any], Any], params: Any, name: str | None = None) -> Trace:
    """Read a function, without a look at whether the result agrees with JAX."""
    try:
        import jax
    except ImportError as error:
        raise MissingDependencyError("from_jax needs JAX; type: pip install 'eomsym[jax]'") from error
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
        closed, out = jax.make_jaxpr(flat, return_shape=True)(*leaves.values())
        shapes = [leaf.shape for leaf in jax.tree_util.tree_leaves(out)]
        if shapes != [()]:
            raise InputError(f"the loss must return one number, got arrays of shapes {shapes}; use .mean() or .sum()")
        lowering = Lowering(Builder(start.size))
        entries = [entry_value(lowering.builder, block) for block in blocks.values()]
        (result,) = lowering.run(closed.jaxpr, list(closed.consts), entries)
    if not isinstance(result, Tensor):
        raise InputError("the loss does not depend on the parameters")

    def tree(found: dict[str, np.ndarray]) -> Any:
        return jax.tree_util.tree_unflatten(structure, list(found.values()))

    def flattened(given: Any) -> list[Any]:
        found, other = jax.tree_util.tree_flatten(given)
        if other != structure:
            raise InputError(f"expected a tree of the structure {structure}, got {other}")
        return found

    label = name or getattr(loss_fn, "__name__", type(loss_fn).__name__)
    loss = Traced(label, blocks, scalar_program(lowering.builder, result), start, tree, flattened)
    return Trace(loss, flat, list(leaves.values()), closed, lowering)


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
                called = equation.params.get("name", equation.primitive.name)
                self.records.append((f"{called} ({self.line})", outputs[0], equation.outvars[0]))
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
        if name == "custom_jvp_call" and equation.params.get("name") == "logaddexp":
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
        out = equation.primitive.bind(*map(_jax, arguments), **params)
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


def _jax(array: Any) -> Any:
    import jax.numpy as jnp

    return jnp.asarray(array)


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


# elementwise ------------------------------------------------------------------------------------------------------


def _abs(lowering: Lowering, params: Any, x: Tensor) -> Tensor:
    return x if x.source.positive else x.gate(x, 1, -1)


def _flat(lowering: Lowering, params: Any, x: Tensor) -> Tensor:
    raise ExpressionError("rounding of numbers that depend on the parameters has no derivative")


def _convert(lowering: Lowering, params: Any, x: Any) -> Array:
    if isinstance(x, Decision):
        return where(lowering.builder, x, np.ones(()), np.zeros(()))
    kind = np.dtype(params["new_dtype"])
    if kind.kind in "iub":
        raise lowering.refuse(f"a conversion to {kind} of numbers that depend on the parameters has no derivative")
    lowering.rounds = lowering.rounds or kind.itemsize < 8
    return x  # type: ignore[no-any-return]


def _same(lowering: Lowering, params: Any, *x: Any) -> Any:
    return list(x)


def _compare(sign: int) -> Callable[..., Any]:
    def rule(lowering: Lowering, params: Any, x: Array, y: Array) -> Decision:
        apart = subtract(x, y)
        assert isinstance(apart, Tensor)
        return Decision(apart if sign == 1 else -apart)

    return rule


def _equal(result: bool) -> Callable[..., Any]:
    def rule(lowering: Lowering, params: Any, x: Array, y: Array) -> Any:
        if x is y:  # the usual test for NaN
            return np.full(x.shape, result)
        raise lowering.refuse("a test for equality of numbers that depend on the parameters; use where(x > y, ...)")

    return rule


def _select(lowering: Lowering, params: Any, chosen: Any, *cases: Array) -> Array:
    if len(cases) == 2:
        return where(lowering.builder, chosen, cases[1], cases[0])
    if isinstance(chosen, (Tensor, Decision)):
        raise lowering.refuse("a choice among several cases that depends on the parameters")
    found = cases[0]
    for k in range(1, len(cases)):
        found = where(lowering.builder, np.asarray(chosen) == k, cases[k], found)
    return found


def _clamp(lowering: Lowering, params: Any, low: Array, x: Array, high: Array) -> Array:
    return larger(lowering.builder, larger(lowering.builder, x, low, 1), high, -1)


def _not(lowering: Lowering, params: Any, x: Decision) -> Decision:
    return x.inverted()


# arrays -----------------------------------------------------------------------------------------------------------


def _kept(x: Any, change: Callable[[Tensor], Tensor]) -> Any:
    return Decision(change(x.tensor)) if isinstance(x, Decision) else change(x)


def _broadcast(lowering: Lowering, params: Any, x: Any) -> Any:
    return _kept(x, lambda t: t.broadcast(params["shape"], params["broadcast_dimensions"]))


def _reshape(lowering: Lowering, params: Any, x: Any) -> Any:
    return _kept(x, lambda t: t.reshaped(params["new_sizes"]))


def _squeeze(lowering: Lowering, params: Any, x: Any) -> Any:
    gone = {d % len(x.shape) for d in params["dimensions"]}
    return _kept(x, lambda t: t.reshaped([n for a, n in enumerate(t.shape) if a not in gone]))


def _expand_dims(lowering: Lowering, params: Any, x: Any) -> Any:
    rank = len(x.shape) + len(params["dimensions"])
    new = {d % rank for d in params["dimensions"]}
    sizes = iter(x.shape)
    return _kept(x, lambda t: t.reshaped([1 if a in new else next(sizes) for a in range(rank)]))


def _concatenate(lowering: Lowering, params: Any, *pieces: Array) -> Tensor:
    return concatenate(lowering.builder, pieces, params["dimension"])


def _stack(lowering: Lowering, params: Any, *pieces: Array) -> Tensor:
    axis = params.get("dimension", params.get("axis", 0))
    shape = list(pieces[0].shape)
    shape.insert(axis, 1)
    return concatenate(
        lowering.builder, [x.reshaped(shape) if isinstance(x, Tensor) else x.reshape(shape) for x in pieces], axis
    )


def _cumsum(lowering: Lowering, params: Any, x: Tensor) -> Tensor:
    axis, count = params["axis"], x.shape[params["axis"]]
    lower = np.tril(np.ones((count, count)))
    lower = lower.T if params.get("reverse") else lower
    found = contract(x, lower, ((axis,), (1,)), ((), ()))
    rank = len(x.shape)
    order = list(range(rank - 1))
    order.insert(axis, rank - 1)
    return found.transposed(order)


def _dot(lowering: Lowering, params: Any, x: Array, y: Array) -> Tensor:
    summed, batch = params["dimension_numbers"]
    return contract(x, y, summed, batch)


def _conv(lowering: Lowering, params: Any, x: Array, kernel: Array) -> Tensor:
    if params["batch_group_count"] != 1:
        raise lowering.refuse("a convolution with batch_group_count; write it without")
    numbers = params["dimension_numbers"]
    x, kernel = (
        a.transposed(spec) if isinstance(a, Tensor) else np.asarray(a).transpose(spec)
        for a, spec in ((x, numbers.lhs_spec), (kernel, numbers.rhs_spec))
    )
    found = convolved(
        x,
        kernel,
        params["window_strides"],
        params["padding"],
        params["lhs_dilation"],
        params["rhs_dilation"],
        params["feature_group_count"],
    )
    return found.transposed(np.argsort(numbers.out_spec))


def _window(largest: bool) -> Callable[..., Any]:
    def rule(lowering: Lowering, params: Any, x: Tensor) -> Tensor:
        return pooled(
            x,
            params["window_dimensions"],
            params["window_strides"],
            params["padding"],
            params["window_dilation"],
            params["base_dilation"],
            largest,
        )

    return rule


def _scatter_add(lowering: Lowering, params: Any, x: Array, indices: Any, updates: Array) -> Array:
    from jax import lax

    if isinstance(indices, Tensor):
        raise lowering.refuse("the indices of 'scatter-add' depend on the parameters")
    kept = {k: v for k, v in params.items() if k not in {"update_jaxpr", "update_consts"}}
    numbers = kept.pop("dimension_numbers")

    def landed(value: np.ndarray) -> np.ndarray:
        zeros = _jax(np.zeros(x.shape, dtype=np.int64))
        return np.asarray(lax.scatter_add(zeros, indices, _jax(value), numbers, mode=kept["mode"]))

    count = math.prod(updates.shape)
    if (landed(np.ones(updates.shape, dtype=np.int64)) > 1).any():
        raise lowering.refuse("'scatter-add' to equal indices; use a product with a constant matrix of zeros and ones")
    places = landed(np.arange(1, count + 1).reshape(updates.shape)) - 1
    moved = (
        updates.gathered(places)
        if isinstance(updates, Tensor)
        else np.where(places < 0, 0.0, np.ravel(updates)[places])
    )
    return add(x, moved)


# loops ------------------------------------------------------------------------------------------------------------


def _scan(lowering: Lowering, params: Any, inputs: list[Any]) -> list[Any]:
    consts, carry = params["num_consts"], params["num_carry"]
    inner, length = params["jaxpr"], params["length"]
    if length > LONGEST:
        raise lowering.refuse(f"a scan of {length} steps is too long to be unrolled; at most {LONGEST}")
    fixed, state, series = inputs[:consts], inputs[consts : consts + carry], inputs[consts + carry :]
    rows: list[list[Any]] = []
    order = range(length - 1, -1, -1) if params["reverse"] else range(length)
    for k in order:
        here = [_entry(x, k) for x in series]
        out = lowering.run(inner.jaxpr, inner.consts, [*fixed, *state, *here])
        state = out[:carry]
        rows.append(out[carry:])
    if params["reverse"]:
        rows.reverse()
    stacked = [_stacked(lowering, column) for column in zip(*rows, strict=True)]
    return [*state, *stacked]


def _entry(x: Any, k: int) -> Any:
    if isinstance(x, Tensor):
        return x.gathered(np.arange(x.size).reshape(x.shape)[k])
    return x[k]


def _stacked(lowering: Lowering, column: Sequence[Any]) -> Any:
    if not any(isinstance(x, Tensor) for x in column):
        return np.stack([np.asarray(x) for x in column])
    shape = (1, *column[0].shape)
    return concatenate(
        lowering.builder, [x.reshaped(shape) if isinstance(x, Tensor) else np.reshape(x, shape) for x in column], 0
    )


def _while(lowering: Lowering, params: Any, inputs: list[Any]) -> list[Any]:
    first, second = params["cond_nconsts"], params["body_nconsts"]
    asked, body, state = inputs[:first], inputs[first : first + second], inputs[first + second :]
    for _ in range(LONGEST):
        test, inner = params["cond_jaxpr"], params["body_jaxpr"]
        (go_on,) = lowering.run(test.jaxpr, test.consts, [*asked, *state])
        if isinstance(go_on, (Tensor, Decision)):
            raise lowering.refuse("the length of a while loop depends on the parameters; use a known number of steps")
        if not go_on:
            return state
        state = lowering.run(inner.jaxpr, inner.consts, [*body, *state])
    raise lowering.refuse(f"a while loop of more than {LONGEST} steps is too long to be unrolled")


def _cond(lowering: Lowering, params: Any, inputs: list[Any]) -> list[Any]:
    chosen, *rest = inputs
    if isinstance(chosen, (Tensor, Decision)):
        raise lowering.refuse("a cond that depends on the parameters; use where(), which is valid inside a region")
    branch = params["branches"][int(np.clip(int(chosen), 0, len(params["branches"]) - 1))]
    return lowering.run(branch.jaxpr, branch.consts, rest)


LOOPS: dict[str, Callable[[Lowering, Any, list[Any]], list[Any]]] = {"scan": _scan, "while": _while, "cond": _cond}
#: What only moves entries.
MOVES = {"slice", "rev", "gather", "dynamic_slice", "dynamic_update_slice", "pad", "split", "scatter"}
#: What a comparison may go into.
DECIDES = {
    "select_n", "not", "broadcast_in_dim", "reshape", "squeeze", "expand_dims", "transpose", "convert_element_type",
    "copy",
}  # fmt: skip


def _function(name: str, **known: Any) -> Callable[..., Any]:
    return lambda lowering, params, x: x.call(name, **known)


def _of(change: Callable[[Tensor], Array]) -> Callable[..., Any]:
    return lambda lowering, params, x: change(x)


HALF = Fraction(1, 2)

RULES: dict[str, Callable[..., Any]] = {
    **{name: _function(name) for name in ("tanh", "sin", "cos", "log", "erf", "atan")},
    "exp": _function("exp", positive=True),
    "logistic": _function("sigmoid", positive=True),
    "exp2": _of(lambda x: (x * np.asarray(math.log(2))).call("exp", positive=True)),
    "log1p": _of(lambda x: (x + np.ones(())).call("log")),
    "expm1": _of(lambda x: x.call("exp") - np.ones(())),
    "erfc": _of(lambda x: -x.call("erf") + np.ones(())),
    "tan": _of(lambda x: x.call("sin") * x.call("cos").reciprocal()),
    "sinh": _of(lambda x: (x.call("exp") - (-x).call("exp")) * np.asarray(0.5)),
    "cosh": _of(lambda x: (x.call("exp") + (-x).call("exp")) * np.asarray(0.5)),
    "neg": _of(lambda x: -x),
    "sqrt": _of(lambda x: x.power(HALF)),
    "rsqrt": _of(lambda x: x.power(-HALF)),
    "cbrt": _of(lambda x: x.power(Fraction(1, 3))),
    "square": _of(lambda x: x * x),
    "sign": lambda low, params, x: where(low.builder, Decision(x), np.ones(()), -np.ones(())),
    "abs": _abs,
    **dict.fromkeys(("floor", "ceil", "round"), _flat),
    "is_finite": _of(lambda x: np.ones(x.shape, dtype=bool)),
    "integer_pow": lambda low, params, x: integer_power(x, params["y"]),
    "pow": lambda low, params, x, y: power(x, y),
    "add": lambda low, params, x, y: add(x, y),
    "add_any": lambda low, params, x, y: add(x, y),
    "sub": lambda low, params, x, y: subtract(x, y),
    "mul": lambda low, params, x, y: multiply(x, y),
    "div": lambda low, params, x, y: divide(x, y),
    "max": lambda low, params, x, y: larger(low.builder, x, y, 1),
    "min": lambda low, params, x, y: larger(low.builder, x, y, -1),
    "clamp": _clamp,
    "gt": _compare(1),
    "ge": _compare(1),
    "lt": _compare(-1),
    "le": _compare(-1),
    "eq": _equal(True),
    "ne": _equal(False),
    "not": _not,
    "select_n": _select,
    "stop_gradient": _of(lambda x: x.stopped()),
    "convert_element_type": _convert,
    "reduce_precision": _convert,
    "copy": _same,
    "copy_p": _same,
    "name": _same,
    "optimization_barrier": _same,
    "broadcast_in_dim": _broadcast,
    "reshape": _reshape,
    "squeeze": _squeeze,
    "expand_dims": _expand_dims,
    "transpose": lambda low, params, x: _kept(x, lambda t: t.transposed(params["permutation"])),
    "concatenate": _concatenate,
    "stack": _stack,
    "reduce_sum": lambda low, params, x: x.sum(params["axes"]),
    "reduce_max": lambda low, params, x: x.max(params["axes"]),
    "reduce_min": lambda low, params, x: -(-x).max(params["axes"]),
    "reduce_prod": lambda low, params, x: multiplied(x, params["axes"]),
    "cumsum": _cumsum,
    "dot_general": _dot,
    "conv_general_dilated": _conv,
    "reduce_window_sum": _window(False),
    "reduce_window_max": _window(True),
    "scatter-add": _scatter_add,
}
