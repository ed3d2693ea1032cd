"""Models as one writes them in JAX, small enough for nested derivatives."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

RNG = np.random.default_rng(11)


def scaled(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape) / np.sqrt(shape[0])


def mlp():
    x, y = RNG.standard_normal((7, 4)), RNG.integers(0, 3, 7)
    params = {"hidden": {"W": scaled(4, 5), "b": scaled(5)}, "out": {"W": scaled(5, 3), "b": scaled(3)}}

    def loss_fn(params):
        hidden = jnp.tanh(x @ params["hidden"]["W"] + params["hidden"]["b"])
        logits = hidden @ params["out"]["W"] + params["out"]["b"]
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1).mean()

    return loss_fn, params


def lenet():
    """Two convolutions with average pooling and GELU, channels last."""
    x, y = RNG.standard_normal((3, 10, 10, 1)), RNG.integers(0, 3, 3)
    params = [scaled(3, 3, 1, 2) / 2, scaled(2, 2, 2, 3), scaled(12, 3), scaled(3)]

    def pooled(a):
        return lax.reduce_window(a, 0.0, lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "VALID") / 4

    def convolved(a, kernel):
        return lax.conv_general_dilated(a, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    def loss_fn(params):
        first, second, weight, bias = params
        hidden = pooled(jax.nn.gelu(convolved(x, first), approximate=False))
        hidden = pooled(jax.nn.gelu(convolved(hidden, second), approximate=True))
        logits = hidden.reshape(3, -1) @ weight + bias
        return (jax.nn.logsumexp(logits, axis=1) - logits[jnp.arange(3), y]).mean()

    return loss_fn, params


def normalised(kind: str):
    """A network with batch normalisation over the samples, or layer normalisation over the units."""
    x, y = RNG.standard_normal((6, 4)), RNG.standard_normal((6, 2))
    params = {"W1": scaled(4, 5), "scale": 1 + scaled(5) / 5, "shift": scaled(5), "W2": scaled(5, 2)}
    axis = 0 if kind == "batch" else 1

    def loss_fn(params):
        hidden = x @ params["W1"]
        apart = hidden - hidden.mean(axis=axis, keepdims=True)
        hidden = apart * lax.rsqrt(hidden.var(axis=axis, keepdims=True) + 1e-5)
        out = jax.nn.silu(hidden * params["scale"] + params["shift"]) @ params["W2"]
        return jnp.mean((out - y) ** 2)

    return loss_fn, params


def transformer():
    """Two layers with two heads on short sequences, with a causal mask; the layers are scanned."""
    width, heads, length, layers = 4, 2, 3, 2
    tokens, y = RNG.integers(0, 5, (2, length)), RNG.integers(0, 5, (2, length))
    mask = np.tril(np.ones((length, length), dtype=bool))
    params = {
        "embedding": RNG.standard_normal((5, width)),
        "layers": {
            "qkv": RNG.standard_normal((layers, width, 3 * width)) / 2,
            "out": RNG.standard_normal((layers, width, width)) / 2,
            "up": RNG.standard_normal((layers, width, 6)) / 2,
            "down": RNG.standard_normal((layers, 6, width)) / 2,
            "scale": np.ones((layers, 2, width)),
        },
    }

    def norm(x, scale):
        return scale * (x - x.mean(-1, keepdims=True)) / jnp.sqrt(x.var(-1, keepdims=True) + 1e-5)

    def layer(x, p):
        q, k, v = jnp.split(norm(x, p["scale"][0]) @ p["qkv"], 3, axis=-1)
        q, k, v = (a.reshape(2, length, heads, -1) for a in (q, k, v))
        scores = jnp.einsum("bihd,bjhd->bhij", q, k) / np.sqrt(width // heads)
        weights = jax.nn.softmax(jnp.where(mask, scores, -jnp.inf), axis=-1)
        mixed = jnp.einsum("bhij,bjhd->bihd", weights, v).reshape(2, length, width)
        x = x + mixed @ p["out"]
        return x + jax.nn.gelu(norm(x, p["scale"][1]) @ p["up"]) @ p["down"], None

    def loss_fn(params):
        x, _ = lax.scan(layer, params["embedding"][tokens], params["layers"])
        logits = x @ params["embedding"].T
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[..., None], axis=-1).mean()

    return loss_fn, params


MODELS = {
    "mlp": mlp,
    "lenet": lenet,
    "batch norm": lambda: normalised("batch"),
    "layer norm": lambda: normalised("layer"),
    "transformer": transformer,
}
