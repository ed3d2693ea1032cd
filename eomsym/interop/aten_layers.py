"""Reductions, products, windows and normalisations of ATen, with their arguments in ATen's order."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from eomsym.errors import ExpressionError
from eomsym.interop.lowering import Decision, add, convolved, multiply, pooled, subtract
from eomsym.losses.contraction import contract
from eomsym.losses.tensors import Tensor

__all__ = [
    "adaptive_pool", "addmm", "array", "avg_pool", "batch_norm", "batch_norm_fixed", "batch_norm_stateless", "batched",
    "convolution", "group_norm", "known", "largest", "layer_norm", "max_pool", "mean", "number", "product", "reduced",
    "shifted", "smallest", "total", "variance", "vector_norm",
]  # fmt: skip

HALF = Fraction(1, 2)


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


def reduced(x: Tensor, dims: Any, keep: bool, change: Callable[[list[int]], Tensor]) -> Tensor:
    """A reduction along axes, which stay with length one if they are kept."""
    axes = _axes(x, dims)
    found = change(axes)
    return found.reshaped([1 if a in axes else n for a, n in enumerate(x.shape)]) if keep else found


def total(low: Any, x: Tensor, dims: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Sum."""
    return reduced(x, dims, keepdim, x.sum)


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
    return reduced(x, dims, keepdim, x.max)


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


def known(x: Any) -> Any:
    """Constants in float64; what depends on the parameters as it is."""
    return x if isinstance(x, Tensor) else number(x)


def product(x: Any, y: Any) -> Tensor:
    """Of two matrices, or of a matrix and a vector."""
    return contract(known(x), known(y), ((len(x.shape) - 1,), (0,)), ((), ()))


def batched(x: Any, y: Any) -> Tensor:
    """Of pairs of matrices."""
    return contract(known(x), known(y), ((2,), (1,)), ((0,), (0,)))


def shifted(low: Any, bias: Any, found: Tensor, beta: Any, alpha: Any) -> Any:
    """``beta bias + alpha found``."""
    weighted = found if alpha == 1 else found * np.asarray(float(alpha))
    bias = known(bias)
    return weighted + (bias if beta == 1 else multiply(bias, np.asarray(float(beta))))


def addmm(low: Any, bias: Any, x: Any, y: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """A product of matrices and a bias."""
    return shifted(low, bias, product(x, y), beta, alpha)


def convolution(
    low: Any, x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, transposed: bool, extra: Any,
    groups: int,
) -> Any:  # fmt: skip
    """A convolution, or the adjoint of one."""
    x, weight = known(x), known(weight)
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
    found = [int(x) for x in values]
    return found * rank if len(found) == 1 else found


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
            fixed = number(x)
            apart = fixed - fixed.mean(tuple(axes), keepdims=True)
            found = apart / np.sqrt((apart**2).mean(tuple(axes), keepdims=True) + eps)
    else:
        found = multiply(subtract(known(x), number(m).reshape(shape)), 1 / np.sqrt(number(v).reshape(shape) + eps))
    return [_scaled(found, weight, bias, shape), None, None, None, None]


def batch_norm_stateless(low: Any, x: Any, weight: Any, bias: Any, training: bool, momentum: Any, eps: Any) -> Any:
    """Without running statistics."""
    return batch_norm(low, x, weight, bias, None, None, training, momentum, eps)


def batch_norm_fixed(low: Any, x: Any, weight: Any, bias: Any, m: Any, v: Any, momentum: Any, eps: Any) -> Any:
    """With running statistics."""
    return batch_norm(low, x, weight, bias, m, v, False, momentum, eps)
