"""Rules for the operations of ATen, with their arguments in ATen's order."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from eomsym.errors import ExpressionError
from eomsym.interop.aten_layers import (
    adaptive_pool,
    addmm,
    array,
    avg_pool,
    batch_norm,
    batch_norm_fixed,
    batch_norm_stateless,
    batched,
    convolution,
    group_norm,
    known,
    largest,
    layer_norm,
    max_pool,
    mean,
    number,
    product,
    reduced,
    shifted,
    smallest,
    total,
    variance,
    vector_norm,
)  # fmt: skip
from eomsym.interop.lowering import Decision, add, divide, larger, multiplied, multiply, power, subtract, where
from eomsym.losses.contraction import contract
from eomsym.losses.tensors import Array, Tensor, concatenate

__all__ = ["MOVES", "RANDOM", "RULES", "Constants"]

HALF = Fraction(1, 2)
#: What draws random numbers.
RANDOM = {"native_dropout", "dropout", "bernoulli", "rand", "rand_like", "randn", "randn_like", "randint", "randperm"}
#: What only moves entries.
MOVES = {
    "slice", "select", "index", "gather", "embedding", "constant_pad_nd", "split", "split_with_sizes", "unbind", "flip",
    "roll", "narrow", "repeat", "index_select", "diagonal", "as_strided", "reflection_pad1d", "reflection_pad2d",
    "replication_pad1d", "replication_pad2d", "pixel_shuffle", "unfold", "chunk", "take",
}  # fmt: skip


class Constants:
    """Numbers of entries, as tensors of the framework."""

    def places(self, shape: Sequence[int]) -> Any:
        """Each entry's own number."""
        import torch

        return torch.arange(math.prod(shape)).reshape(tuple(shape))


# functions ----------------------------------------------------------------------------------------------------------


def _spread(x: Tensor, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """x less its largest entry, the exponential of that, and its sum."""
    apart = x - largest(None, x, [dim], True).stopped()
    exponential = apart.call("exp", positive=True)
    return apart, exponential, total(None, exponential, [dim], True)


def softmax(low: Any, x: Tensor, dim: int, half: Any = False, **options: Any) -> Tensor:
    """Exponentials over their sum."""
    _, exponential, whole = _spread(x, dim)
    return exponential * whole.reciprocal()


def log_softmax(low: Any, x: Tensor, dim: int, half: bool = False) -> Tensor:
    """The logarithm of that."""
    apart, _, whole = _spread(x, dim)
    return apart - whole.call("log")


def logsumexp(low: Any, x: Tensor, dims: Any, keepdim: bool = False) -> Tensor:
    """The logarithm of the sum of exponentials."""
    top = largest(None, x, dims, True).stopped()
    found = total(None, (x - top).call("exp", positive=True), dims, True).call("log") + top
    return found if keepdim else found.reshaped(total(None, x, dims, False).shape)


def gelu(low: Any, x: Tensor, *, approximate: str = "none") -> Tensor:
    """x times the normal distribution function, or its approximation by tanh."""
    if approximate == "tanh":
        inner = (x + x * x * x * np.asarray(0.044715)) * np.asarray(math.sqrt(2 / math.pi))
        return x * (inner.call("tanh") + np.ones(())) * np.asarray(0.5)
    return x * ((x * np.asarray(math.sqrt(0.5))).call("erf") + np.ones(())) * np.asarray(0.5)


def softplus(low: Any, x: Tensor, beta: Any = 1, threshold: Any = 20) -> Tensor:
    """``log(1 + exp(beta x)) / beta``."""
    scaled = x if beta == 1 else x * np.asarray(float(beta))
    found = scaled.call("softplus")
    return found if beta == 1 else found * np.asarray(1 / float(beta))


def elu(low: Any, x: Tensor, alpha: Any = 1, scale: Any = 1, input_scale: Any = 1) -> Any:
    """Linear above zero, exponential below."""
    below = x.gate(x, 0, float(input_scale))
    curved = (below.call("exp") - np.ones(())) * np.asarray(float(alpha))
    return where(low.builder, Decision(x), x, curved) * np.asarray(float(scale))


def clamp(low: Any, x: Any, least: Any = None, most: Any = None) -> Any:
    """Between bounds."""
    found = x if least is None else larger(low.builder, known(x), known(least), 1)
    return found if most is None else larger(low.builder, found, known(most), -1)


def raised(low: Any, x: Any, y: Any) -> Any:
    """A power."""
    return power(known(x), known(y))


def compare(sign: int) -> Callable[..., Decision]:
    """Of two numbers."""

    def rule(low: Any, x: Any, y: Any) -> Decision:
        apart = subtract(known(x), known(y))
        assert isinstance(apart, Tensor)
        return Decision(apart if sign == 1 else -apart)

    return rule


def equal(result: bool) -> Callable[..., Any]:
    """Only against infinity, and against itself (NaN)."""

    def rule(low: Any, x: Any, y: Any) -> Any:
        import torch

        if x is y or (not isinstance(y, Tensor) and np.isinf(number(y)).all()):
            return torch.full(x.shape, result == (x is y))
        raise ExpressionError("a test for equality of numbers that depend on the parameters; use torch.where(x > y)")

    return rule


def chosen(low: Any, condition: Any, above: Any, below: Any) -> Any:
    """One of two."""
    return where(low.builder, array(condition), known(above), known(below))


def masked_fill(low: Any, x: Any, mask: Any, value: Any) -> Any:
    """A constant where the mask is true."""
    return where(low.builder, array(mask), known(value), known(x))


def triangle(name: str) -> Callable[..., Any]:
    """Zero on one side of a diagonal."""

    def rule(low: Any, x: Tensor, diagonal: int = 0) -> Tensor:
        mask: np.ndarray = getattr(np, name)(np.ones(x.shape), diagonal)
        return x * mask

    return rule


def expand(low: Any, x: Any, sizes: Any, *, implicit: bool = False) -> Any:
    """Copies."""
    inner = x.tensor if isinstance(x, Decision) else x
    rank = len(sizes) - len(inner.shape)
    wanted = [inner.shape[k - rank] if n == -1 else n for k, n in enumerate(sizes)]
    found = inner.broadcast(wanted)
    return Decision(found) if isinstance(x, Decision) else found


def view(low: Any, x: Any, sizes: Any) -> Any:
    """Another shape."""
    inner = x.tensor if isinstance(x, Decision) else x
    rest = -math.prod(sizes)
    found = inner.reshaped([inner.size // rest if n == -1 else n for n in sizes])
    return Decision(found) if isinstance(x, Decision) else found


def unsqueeze(low: Any, x: Any, dim: int) -> Any:
    """One more axis."""
    shape = list(x.shape)
    shape.insert(dim % (len(shape) + 1), 1)
    return view(low, x, shape)


def squeeze(low: Any, x: Any, dims: Any = None) -> Any:
    """Axes of length one go."""
    chosen = [dims] if isinstance(dims, int) else range(len(x.shape)) if dims is None else dims
    gone = [a % len(x.shape) for a in chosen]
    return view(low, x, [n for a, n in enumerate(x.shape) if not (a in gone and n == 1)])


def permute(low: Any, x: Any, dims: Any) -> Any:
    """Axes in another order."""
    return Decision(x.tensor.transposed(dims)) if isinstance(x, Decision) else x.transposed(dims)


def transpose(low: Any, x: Any, first: int, second: int) -> Any:
    """Two axes change places."""
    order = list(range(len(x.shape)))
    order[first], order[second] = order[second], order[first]
    return permute(low, x, order)


def converted(low: Any, x: Any, *, dtype: Any = None, **_: Any) -> Any:
    """Another type."""
    if isinstance(x, Decision):
        return where(low.builder, x, np.ones(()), np.zeros(()))
    if dtype is not None and not dtype.is_floating_point:
        raise ExpressionError(f"a conversion to {dtype} of numbers that depend on the parameters has no derivative")
    low.rounds = low.rounds or (dtype is not None and dtype.itemsize < 8)
    return x


def filled(value: float) -> Callable[..., Any]:
    """A constant of the shape of something."""

    def rule(low: Any, x: Any, *rest: Any, **_: Any) -> Any:
        import torch

        return torch.full(tuple(x.shape), value, dtype=torch.float64)

    return rule


def full_like(low: Any, x: Any, value: Any, **_: Any) -> Any:
    """A constant of the shape of something."""
    return filled(float(value))(low, x)


def prod(low: Any, x: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """Product of all entries, or along an axis."""
    return reduced(x, dim, keepdim, lambda axes: multiplied(x, axes))


def cumsum(low: Any, x: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Running sums."""
    axis, rank = dim % len(x.shape), len(x.shape)
    order = list(range(rank - 1))
    order.insert(axis, rank - 1)
    return contract(x, np.tril(np.ones((x.shape[axis],) * 2)), ((axis,), (1,)), ((), ())).transposed(order)


def sums(low: Any, x: Any, y: Any, *, alpha: Any = 1) -> Any:
    """``x + alpha y``."""
    return add(known(x), known(y) if alpha == 1 else multiply(known(y), np.asarray(float(alpha))))


def differences(low: Any, x: Any, y: Any, *, alpha: Any = 1) -> Any:
    """``x - alpha y``."""
    return subtract(known(x), known(y) if alpha == 1 else multiply(known(y), np.asarray(float(alpha))))


def quotient(low: Any, x: Any, y: Any, *, rounding_mode: Any = None) -> Any:
    """``x / y``."""
    if rounding_mode is not None:
        raise ExpressionError("a division that rounds has no derivative")
    return divide(known(x), known(y))


def _same(low: Any, x: Any, *_: Any, **__: Any) -> Any:
    return x


def _call(name: str, **known: Any) -> Callable[..., Any]:
    return lambda low, x: x.call(name, **known)


def _of(change: Callable[[Tensor], Array]) -> Callable[..., Any]:
    return lambda low, x: change(x)


RULES: dict[str, Callable[..., Any]] = {
    **{name: _call(name) for name in ("tanh", "sin", "cos", "log", "erf", "atan")},
    **dict.fromkeys(("clone", "alias", "contiguous", "lift_fresh_copy", "dropout"), _same),
    "native_dropout": lambda low, x, p, train: [x, None],
    "exp": _call("exp", positive=True),
    "sigmoid": _call("sigmoid", positive=True),
    "log1p": _of(lambda x: (x + np.ones(())).call("log")),
    "log2": _of(lambda x: x.call("log") * np.asarray(1 / math.log(2))),
    "expm1": _of(lambda x: x.call("exp") - np.ones(())),
    "erfc": _of(lambda x: -x.call("erf") + np.ones(())),
    "sqrt": _of(lambda x: x.power(HALF)),
    "rsqrt": _of(lambda x: x.power(-HALF)),
    "reciprocal": _of(lambda x: x.reciprocal()),
    "neg": _of(lambda x: -x),
    "square": _of(lambda x: x * x),
    "abs": _of(lambda x: x if x.source.positive else x.gate(x, 1, -1)),
    "sign": lambda low, x: where(low.builder, Decision(x), np.ones(()), -np.ones(())),
    "silu": _of(lambda x: x * x.call("sigmoid")),
    "relu": _of(lambda x: x.gate(x, 1, 0)),
    "leaky_relu": lambda low, x, slope=0.01: x.gate(x, 1, slope),
    "log_sigmoid_forward": lambda low, x: [-(-x).call("softplus"), None],
    "gelu": gelu,
    "softplus": softplus,
    "elu": elu,
    "hardtanh": lambda low, x, least=-1.0, most=1.0: clamp(low, x, least, most),
    "clamp": clamp,
    "clamp_min": clamp,
    "clamp_max": lambda low, x, most: clamp(low, x, None, most),
    "maximum": lambda low, x, y: larger(low.builder, known(x), known(y), 1),
    "minimum": lambda low, x, y: larger(low.builder, known(x), known(y), -1),
    "pow": raised,
    "add": sums,
    "sub": differences,
    "rsub": lambda low, x, y, alpha=1: differences(low, y, x, alpha=alpha),
    "mul": lambda low, x, y: multiply(known(x), known(y)),
    "div": quotient,
    "gt": compare(1),
    "ge": compare(1),
    "lt": compare(-1),
    "le": compare(-1),
    "eq": equal(True),
    "ne": equal(False),
    "logical_not": lambda low, x: x.inverted(),
    "bitwise_not": lambda low, x: x.inverted(),
    "where": chosen,
    "masked_fill": masked_fill,
    "tril": triangle("tril"),
    "triu": triangle("triu"),
    "detach": _of(lambda x: x.stopped()),
    "_to_copy": converted,
    "to": converted,
    "full_like": full_like,
    "zeros_like": filled(0.0),
    "ones_like": filled(1.0),
    "expand": expand,
    "view": view,
    "_unsafe_view": view,
    "reshape": view,
    "unsqueeze": unsqueeze,
    "squeeze": squeeze,
    "permute": permute,
    "transpose": transpose,
    "t": lambda low, x: permute(low, x, range(len(x.shape))[::-1]),
    "cat": lambda low, parts, dim=0: concatenate(low.builder, [known(x) for x in parts], dim),
    "sum": total,
    "mean": mean,
    "var": variance,
    "prod": prod,
    "amax": largest,
    "amin": smallest,
    "max": lambda low, x, dim, keepdim=False: [largest(low, x, [dim], keepdim), None],
    "linalg_vector_norm": vector_norm,
    "cumsum": cumsum,
    "logsumexp": logsumexp,
    "mm": lambda low, x, y: product(x, y),
    "mv": lambda low, x, y: product(x, y),
    "dot": lambda low, x, y: product(x, y),
    "bmm": lambda low, x, y: batched(x, y),
    "addmm": addmm,
    "baddbmm": lambda low, b, x, y, beta=1, alpha=1: shifted(low, b, batched(x, y), beta, alpha),
    "convolution": convolution,
    "max_pool2d_with_indices": max_pool,
    "max_pool3d_with_indices": max_pool,
    "avg_pool1d": avg_pool,
    "avg_pool2d": avg_pool,
    "avg_pool3d": avg_pool,
    "_adaptive_avg_pool2d": adaptive_pool,
    "_adaptive_avg_pool3d": adaptive_pool,
    "adaptive_avg_pool1d": adaptive_pool,
    "native_layer_norm": layer_norm,
    "native_group_norm": group_norm,
    "_native_batch_norm_legit_functional": batch_norm,
    "_native_batch_norm_legit": batch_norm,
    "_native_batch_norm_legit_no_training": batch_norm_fixed,
    "_native_batch_norm_legit.no_stats": batch_norm_stateless,
    "_softmax": softmax,
    "_safe_softmax": softmax,
    "_log_softmax": log_softmax,
}
