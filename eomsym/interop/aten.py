"""Rules for the operations of ATen, with their arguments in ATen's order."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from eomsym.errors import ExpressionError
from eomsym.interop.lowering import (
    Decision,
    add,
    convolved,
    divide,
    larger,
    multiplied,
    multiply,
    pooled,
    power,
    subtract,
    where,
)
from eomsym.losses.tensors import Array, Tensor, concatenate, contract

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


def array(x: Any) -> Any:
    """Constants as arrays; what depends on the parameters as it is."""
    if isinstance(x, (Tensor, Decision)):
        return x
    return x.detach().cpu().numpy() if hasattr(x, "detach") else np.asarray(x)


def number(x: Any) -> np.ndarray:
    """A constant in float64."""
    return np.asarray(array(x), dtype=np.float64)


def _axes(x: Tensor, dims: Any) -> list[int]:
    rank = len(x.shape)
    chosen = range(rank) if dims is None or (isinstance(dims, (list, tuple)) and not dims) else dims
    return [int(d) % rank for d in ([chosen] if isinstance(chosen, int) else chosen)] if rank else []


def _reduced(x: Tensor, dims: Any, keep: bool, change: Callable[[list[int]], Tensor]) -> Tensor:
    axes = _axes(x, dims)
    found = change(axes)
    return found.reshaped([1 if a in axes else n for a, n in enumerate(x.shape)]) if keep else found


def total(low: Any, x: Tensor, dims: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Sum."""
    return _reduced(x, dims, keepdim, x.sum)


def mean(low: Any, x: Tensor, dims: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Mean."""
    count = math.prod(x.shape[a] for a in _axes(x, dims))
    return total(low, x, dims, keepdim) * np.asarray(1 / count)


def centred(x: Tensor, dims: Any) -> Tensor:
    """Less its mean along axes."""
    return x - mean(None, x, dims, True)


def variance(
    low: Any, x: Tensor, dims: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: Any = None
) -> Tensor:
    """Variance, with a correction of the count."""
    less = (1 if unbiased is None or unbiased else 0) if correction is None else correction
    count = math.prod(x.shape[a] for a in _axes(x, dims))
    apart = centred(x, dims)
    return total(low, apart * apart, dims, keepdim) * np.asarray(1 / (count - less))


def largest(low: Any, x: Tensor, dims: Any = None, keepdim: bool = False) -> Tensor:
    """Maximum along axes."""
    return _reduced(x, dims, keepdim, x.max)


def smallest(low: Any, x: Tensor, dims: Any = None, keepdim: bool = False) -> Tensor:
    """Minimum along axes."""
    return -largest(low, -x, dims, keepdim)


def vector_norm(
    low: Any, x: Tensor, order: Any = 2, dims: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Any:
    """Euclidean norm."""
    if order != 2:
        raise ExpressionError(f"the norm of order {order}; use the Euclidean norm")
    return total(low, x * x, dims, keepdim).power(HALF)


# products -----------------------------------------------------------------------------------------------------------


def _exact(x: Any) -> Any:
    return x if isinstance(x, Tensor) else number(x)


def product(x: Any, y: Any) -> Tensor:
    """Of two matrices, or of a matrix and a vector."""
    return contract(_exact(x), _exact(y), ((len(x.shape) - 1,), (0,)), ((), ()))


def batched(x: Any, y: Any) -> Tensor:
    """Of pairs of matrices."""
    return contract(_exact(x), _exact(y), ((2,), (1,)), ((0,), (0,)))


def shifted(low: Any, bias: Any, found: Tensor, beta: Any, alpha: Any) -> Any:
    """``beta bias + alpha found``."""
    weighted = found if alpha == 1 else found * np.asarray(float(alpha))
    bias = _exact(bias)
    return weighted + (bias if beta == 1 else multiply(bias, np.asarray(float(beta))))


def addmm(low: Any, bias: Any, x: Any, y: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """A product of matrices and a bias."""
    return shifted(low, bias, product(x, y), beta, alpha)


def convolution(
    low: Any, x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, transposed: bool, extra: Any,
    groups: int,
) -> Any:  # fmt: skip
    """A convolution, or the adjoint of one."""
    x, weight = _exact(x), _exact(weight)
    rank = len(x.shape) - 2
    stride, padding, dilation, extra = (
        list(v) * rank if len(v) == 1 else list(v) for v in (stride, padding, dilation, extra)
    )
    if not transposed:
        found = convolved(x, weight, stride, [(p, p) for p in padding], [1] * rank, dilation, groups)
    else:
        channels, outputs, *window = weight.shape
        split = (groups, channels // groups, outputs, *window)
        order = [0, 2, 1, *range(3, 3 + rank)]
        merged = (groups * outputs, channels // groups, *window)
        turned = weight.reshaped(split) if isinstance(weight, Tensor) else weight.reshape(split)
        turned = turned.transposed(order) if isinstance(turned, Tensor) else turned.transpose(order)
        turned = turned.reshaped(merged) if isinstance(turned, Tensor) else turned.reshape(merged)
        backwards = (slice(None), slice(None), *[slice(None, None, -1)] * rank)
        if isinstance(turned, Tensor):
            turned = turned.gathered(np.arange(turned.size).reshape(merged)[backwards])
        else:
            turned = turned[backwards]
        edges = [
            (d * (k - 1) - p, d * (k - 1) - p + e) for d, k, p, e in zip(dilation, window, padding, extra, strict=True)
        ]
        found = convolved(x, turned, [1] * rank, edges, stride, dilation, groups)
    if bias is None:
        return found
    shape = (1, found.shape[1], *[1] * rank)
    return found + (bias.reshaped(shape) if isinstance(bias, Tensor) else number(bias).reshape(shape))


# windows ------------------------------------------------------------------------------------------------------------


def _wide(values: Any, rank: int) -> list[int]:
    values = list(values)
    return values * rank if len(values) == 1 else values


def _pool(x: Tensor, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool, most: bool) -> Tensor:
    rank = 1 if len(kernel) == 1 and len(x.shape) == 3 else max(len(kernel), 2)
    kernel = _wide(kernel, rank)
    stride = _wide(stride, rank) if stride else kernel
    padding, dilation = _wide(padding, rank), _wide(dilation, rank)
    edges = []
    for n, k, s, p, d in zip(x.shape[-rank:], kernel, stride, padding, dilation, strict=True):
        rest = (n + 2 * p - d * (k - 1) - 1) % s
        if ceil and rest:
            raise ExpressionError("a pool with ceil_mode whose windows do not fit; use padding")
        edges.append((p, p))
    free = len(x.shape) - rank
    ones = [1] * free
    return pooled(x, ones + kernel, ones + stride, [(0, 0)] * free + edges, ones + dilation, [1] * len(x.shape), most)


def max_pool(
    low: Any, x: Tensor, kernel: Any, stride: Any = (), padding: Any = (0,), dilation: Any = (1,), ceil: bool = False
) -> Any:
    """Maxima of windows, and no places."""
    return [_pool(x, kernel, stride, padding, dilation, ceil, True), None]


def avg_pool(
    low: Any, x: Tensor, kernel: Any, stride: Any = (), padding: Any = (0,), ceil: bool = False,
    count_include_pad: bool = True, divisor: Any = None,
) -> Any:  # fmt: skip
    """Means of windows."""
    if not count_include_pad and any(padding):
        raise ExpressionError("an average pool with padding that does not count; use count_include_pad=True")
    found = _pool(x, kernel, stride, padding, (1,), ceil, False)
    rank = 1 if len(kernel) == 1 and len(x.shape) == 3 else max(len(kernel), 2)
    return found * np.asarray(1 / (divisor or math.prod(_wide(kernel, rank))))


def adaptive_pool(low: Any, x: Tensor, sizes: Any) -> Tensor:
    """Means of windows that cover each axis: a product with a matrix of means for each."""
    rank, count = len(x.shape), len(sizes)
    for k, wanted in enumerate(sizes):
        axis = rank - count + k
        n = x.shape[axis]
        means = np.zeros((wanted, n))
        for i in range(wanted):
            first, last = i * n // wanted, -(-(i + 1) * n // wanted)
            means[i, first:last] = 1 / (last - first)
        order = list(range(rank - 1))
        order.insert(axis, rank - 1)
        x = contract(x, means, ((axis,), (1,)), ((), ())).transposed(order)
    return x


# normalisation ------------------------------------------------------------------------------------------------------


def _scaled(x: Any, weight: Any, bias: Any, shape: Sequence[int]) -> Any:
    for other, act in ((weight, multiply), (bias, add)):
        if other is not None:
            x = act(x, other.reshaped(shape) if isinstance(other, Tensor) else number(other).reshape(shape))
    return x


def normalised(x: Tensor, axes: Sequence[int], eps: float) -> Tensor:
    """Mean 0 and variance 1 (less what `eps` takes) along axes."""
    apart = centred(x, axes)
    spread = mean(None, apart * apart, axes, True) + np.asarray(float(eps))
    return apart * spread.power(-HALF)


def layer_norm(low: Any, x: Tensor, shape: Any, weight: Any, bias: Any, eps: float) -> Any:
    """Along the last axes."""
    axes = list(range(len(x.shape) - len(shape), len(x.shape)))
    return [_scaled(normalised(_tensor(x), axes, eps), weight, bias, list(shape)), None, None]


def group_norm(
    low: Any, x: Tensor, weight: Any, bias: Any, count: int, channels: int, places: int, groups: int, eps: float
) -> Any:
    """Along the channels of a group and all places."""
    split = x.reshaped((count, groups, -(-x.size // (count * groups))))
    found = normalised(split, [2], eps).reshaped(x.shape)
    return [_scaled(found, weight, bias, [1, channels, *[1] * (len(x.shape) - 2)]), None, None]


def _tensor(x: Any) -> Tensor:
    if not isinstance(x, Tensor):
        raise ExpressionError("a normalisation of constants with parameters is not read; normalise the data beforehand")
    return x


def batch_norm(
    low: Any, x: Any, weight: Any, bias: Any, m: Any, v: Any, training: bool, momentum: Any, eps: Any
) -> Any:
    """Over the batch; with running statistics where it is not training."""
    shape = [1, x.shape[1], *[1] * (len(x.shape) - 2)]
    if training:
        axes = [a for a in range(len(x.shape)) if a != 1]
        if isinstance(x, Tensor):
            found: Any = normalised(x, axes, eps)
        else:
            known = number(x)
            apart = known - known.mean(tuple(axes), keepdims=True)
            found = apart / np.sqrt((apart**2).mean(tuple(axes), keepdims=True) + eps)
    else:
        found = multiply(subtract(_exact(x), number(m).reshape(shape)), 1 / np.sqrt(number(v).reshape(shape) + eps))
    return [_scaled(found, weight, bias, shape), None, None, None, None]


def batch_norm_stateless(low: Any, x: Any, weight: Any, bias: Any, training: bool, momentum: Any, eps: Any) -> Any:
    """Without running statistics."""
    return batch_norm(low, x, weight, bias, None, None, training, momentum, eps)


def batch_norm_fixed(low: Any, x: Any, weight: Any, bias: Any, m: Any, v: Any, momentum: Any, eps: Any) -> Any:
    """With running statistics."""
    return batch_norm(low, x, weight, bias, m, v, False, momentum, eps)


# functions ----------------------------------------------------------------------------------------------------------


def _spread(x: Tensor, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """x less its largest entry, the exponential of that, and its sum."""
    apart = x - largest(None, x, [dim], True).stopped()
    exponential = apart.call("exp", positive=True)
    return apart, exponential, total(None, exponential, [dim], True)


def softmax(low: Any, x: Tensor, dim: int, half: Any = False, **_: Any) -> Tensor:
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
    found = x if least is None else larger(low.builder, _exact(x), _exact(least), 1)
    return found if most is None else larger(low.builder, found, _exact(most), -1)


def raised(low: Any, x: Any, y: Any) -> Any:
    """A power."""
    return power(_exact(x), _exact(y))


def compare(sign: int) -> Callable[..., Decision]:
    """Of two numbers."""

    def rule(low: Any, x: Any, y: Any) -> Decision:
        apart = subtract(_exact(x), _exact(y))
        assert isinstance(apart, Tensor)
        return Decision(apart if sign == 1 else -apart)

    return rule


def equal(result: bool) -> Callable[..., Any]:
    """Only against infinity, and against itself (NaN)."""

    def rule(low: Any, x: Any, y: Any) -> Any:
        import torch

        if x is y or (not isinstance(y, Tensor) and np.isinf(number(y)).all()):
            return torch.full(x.shape, result == (x is y))
        raise ExpressionError(
            "a test for equality of numbers that depend on the parameters; use torch.where(x > y)"
        )

    return rule


def chosen(low: Any, condition: Any, above: Any, below: Any) -> Any:
    """One of two."""
    return where(low.builder, array(condition), _exact(above), _exact(below))


def masked_fill(low: Any, x: Any, mask: Any, value: Any) -> Any:
    """A constant where the mask is true."""
    return where(low.builder, array(mask), _exact(value), _exact(x))


def triangle(name: str) -> Callable[..., Any]:
    """Zero on one side of a diagonal."""

    def rule(low: Any, x: Tensor, diagonal: int = 0) -> Tensor:
        return x * getattr(np, name)(np.ones(x.shape), diagonal)

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
    known = -math.prod(sizes)
    found = inner.reshaped([inner.size // known if n == -1 else n for n in sizes])
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
    return _reduced(x, dim, keepdim, lambda axes: multiplied(x, axes))


def cumsum(low: Any, x: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Running sums."""
    axis, rank = dim % len(x.shape), len(x.shape)
    order = list(range(rank - 1))
    order.insert(axis, rank - 1)
    return contract(x, np.tril(np.ones((x.shape[axis],) * 2)), ((axis,), (1,)), ((), ())).transposed(order)


def sums(low: Any, x: Any, y: Any, *, alpha: Any = 1) -> Any:
    """``x + alpha y``."""
    return add(_exact(x), _exact(y) if alpha == 1 else multiply(_exact(y), np.asarray(float(alpha))))


def differences(low: Any, x: Any, y: Any, *, alpha: Any = 1) -> Any:
    """``x - alpha y``."""
    return subtract(_exact(x), _exact(y) if alpha == 1 else multiply(_exact(y), np.asarray(float(alpha))))


def quotient(low: Any, x: Any, y: Any, *, rounding_mode: Any = None) -> Any:
    """``x / y``."""
    if rounding_mode is not None:
        raise ExpressionError("a division that rounds has no derivative")
    return divide(_exact(x), _exact(y))


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
    "maximum": lambda low, x, y: larger(low.builder, _exact(x), _exact(y), 1),
    "minimum": lambda low, x, y: larger(low.builder, _exact(x), _exact(y), -1),
    "pow": raised,
    "add": sums,
    "sub": differences,
    "rsub": lambda low, x, y, alpha=1: differences(low, y, x, alpha=alpha),
    "mul": lambda low, x, y: multiply(_exact(x), _exact(y)),
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
    "cat": lambda low, parts, dim=0: concatenate(low.builder, [_exact(x) for x in parts], dim),
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
