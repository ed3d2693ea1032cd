"""Activation functions of networks, and the regions of the piecewise linear ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from eomsym.errors import ShapeError
from eomsym.losses.builder import Builder, Value
from eomsym.losses.objective import Objective
from eomsym.losses.values import evaluate

__all__ = ["ACTIVATIONS", "HOMOGENEOUS", "region", "region_changes"]


def _gelu(builder: Builder, x: Value, slope: float) -> Value:
    """``x Phi(x)`` with the distribution function of the normal distribution."""
    return x * ((x * math.sqrt(0.5)).call("erf") + 1) * 0.5


#: Activation functions by name: (builder, argument, slope) -> value.
ACTIVATIONS: dict[str, Callable[[Builder, Value, float], Value]] = {
    "linear": lambda builder, x, slope: x,
    "tanh": lambda builder, x, slope: builder.elementwise("tanh", x),
    "sigmoid": lambda builder, x, slope: builder.elementwise("sigmoid", x),
    "sin": lambda builder, x, slope: builder.elementwise("sin", x),
    "softplus": lambda builder, x, slope: x.call("softplus"),
    "gelu": _gelu,
    "relu": lambda builder, x, slope: builder.elementwise("gate", x, x, parameters=(1, 0)),
    "leaky_relu": lambda builder, x, slope: builder.elementwise("gate", x, x, parameters=(1, slope)),
}

#: Those with ``s(c x) = c s(x)`` for ``c > 0``: layers can be rescaled against each other.
HOMOGENEOUS = frozenset({"linear", "relu", "leaky_relu"})

#: Those that have no derivative at zero.
KINKED = HOMOGENEOUS - {"linear"}


def region(loss: Objective, theta: Any) -> np.ndarray:
    """The activation region that a point lies in: which gates of the loss are open.

    Inside a region a ReLU network is smooth and its counter terms are those of the multilinear network that it is
    there; they know nothing of the neighbours.

    Parameters
    ----------
    loss : Network, Loss, …
    theta : array_like, shape (n,)

    Returns
    -------
    ndarray of bool, shape (gates,)
        Empty for a smooth loss.

    Examples
    --------
    >>> from eomsym.losses.network import Network
    >>> net = Network((1, 2, 1), [[1.0], [-1.0]], [[1.0], [0.0]], activation="relu")
    >>> region(net, net.pack(W1=[[1.0], [-2.0]], W2=[[1.0, 1.0]]))
    array([ True, False, False,  True])
    """
    program = loss.program
    deciding = sorted({node.inputs[1] for node in program.nodes if node.operation == "gate"})
    pruned = program.pruned(deciding)
    values = evaluate(pruned, loss.validate(theta))
    return np.concatenate([np.zeros(0, dtype=bool), *(values[i].ravel() > 0 for i in pruned.outputs)])


def region_changes(loss: Objective, thetas: Any) -> np.ndarray:
    """How many gates switch between the two ends of each step of a path.

    Where a step of the flow changes region, a Taylor table has been used outside of the region that it was made in, and
    the promise ``O(eta**(K+1))`` of the equation of motion of order K >= 1 ends. A gate that switches there and back
    within one step is not seen.

    Parameters
    ----------
    loss : Network, Loss, …
    thetas : array_like, shape (m, n)
        A path, such as ``descend(…).thetas`` or ``flow(…).thetas``.

    Returns
    -------
    ndarray of int, shape (m - 1,)

    Raises
    ------
    ShapeError
        `thetas` is not a path.

    Examples
    --------
    >>> from eomsym.losses.network import Network
    >>> net = Network((1, 1, 1), [[1.0]], [[1.0]], activation="relu")
    >>> region_changes(net, [[1.0, 1.0], [0.5, 1.0], [-0.5, 1.0]])
    array([0, 1])
    """
    if np.ndim(thetas) != 2 or len(thetas) < 2:
        raise ShapeError(f"a path has shape (m, {loss.size}) with m >= 2, got {np.shape(thetas)}")
    patterns = np.array([region(loss, theta) for theta in thetas])
    changes: np.ndarray = np.count_nonzero(patterns[1:] != patterns[:-1], axis=1)
    return changes
