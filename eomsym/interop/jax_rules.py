"""Rules for the primitives of JAX: ``rule(lowering, params, *inputs)``."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np

from eomsym.errors import ExpressionError
from eomsym.interop.lowering import (
    Decision,
    add,
    convolved,
    divide,
    integer_power,
    larger,
    multiplied,
    multiply,
    pooled,
    power,
    subtract,
    where,
)
from eomsym.losses.contraction import contract
from eomsym.losses.tensors import Array, Tensor, concatenate

__all__ = ["DECIDES", "LOOPS", "MOVES", "RULES", "as_jax"]

#: Of an unrolled loop.
LONGEST = 10_000
#: `eomsym.interop.jaxpr.Lowering`, which reads this table.
Lowering: TypeAlias = Any


def as_jax(array: Any) -> Any:
    """An array of JAX."""
    import jax.numpy as jnp

    return jnp.asarray(array)


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
    return found.transposed(np.argsort(numbers.out_spec).tolist())


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
        zeros = as_jax(np.zeros(x.shape, dtype=np.int64))
        return np.asarray(lax.scatter_add(zeros, indices, as_jax(value), numbers, mode=kept["mode"]))

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
    found: list[Any] = lowering.run(branch.jaxpr, branch.consts, rest)
    return found


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
