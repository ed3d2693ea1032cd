"""Hypothesis strategies for losses, networks, methods, starts, step sizes and whole runs.

Numbers are multiples of 1/16, so that failing examples shrink to readable ones. All losses of a strategy share one
compiled program, whatever their shape: an example costs milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from eomsym.codegen.kernel import compile
from eomsym.errors import MissingDependencyError
from eomsym.losses.expression import Loss
from eomsym.losses.layers import Activation, Layer, Linear
from eomsym.losses.network import DeepLinear, Network
from eomsym.losses.normalisation import BatchNorm, LayerNorm, WeightNorm
from eomsym.losses.objective import Objective
from eomsym.optimisers.accelerated import HeavyBall, Nesterov
from eomsym.optimisers.base import Method
from eomsym.optimisers.linear import Extragradient, GradientDescent, OptimisticGradient, ProximalPoint, SharpnessAware
from eomsym.types import Array

try:
    from hypothesis import strategies as st
except ImportError as missing:
    raise MissingDependencyError("the strategies need Hypothesis; type: pip install 'eomsym[testing]'") from missing

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

__all__ = [
    "Run",
    "deep_linear_networks",
    "homogeneous_networks",
    "invariant_networks",
    "losses",
    "methods",
    "runs",
    "starts",
    "step_sizes",
]

GRID = 16


@dataclass(frozen=True, eq=False)
class Run:
    """A loss, where a run starts, its learning rate and its number of steps.

    Attributes
    ----------
    loss : Objective
    start : ndarray, shape (n,)
    eta : float
    steps : int
    """

    loss: Objective
    start: Array
    eta: float
    steps: int

    def __repr__(self) -> str:
        # Everything that is needed to type it again.
        data = ""
        if isinstance(self.loss, Network):
            data = f", inputs={self.loss.inputs.tolist()}, targets={self.loss.targets.tolist()}"
        return f"Run({self.loss!r}{data}, start={self.start.tolist()}, eta={self.eta!r}, steps={self.steps})"


def _array(draw: DrawFn, shape: tuple[int, ...], largest: float) -> Array:
    """Multiples of 1/16 up to `largest`."""
    limit = int(largest * GRID)
    count = int(np.prod(shape))
    numbers = draw(st.lists(st.integers(-limit, limit), min_size=count, max_size=count))
    return np.array(numbers, dtype=np.float64).reshape(shape) / GRID


def starts(size: int, largest: float = 1.0) -> SearchStrategy[Array]:
    """Starting points: vectors of multiples of 1/16.

    Parameters
    ----------
    size : int
    largest : float
        Of one entry.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(starts(2), lambda theta: theta.sum() > 0.5)
    array([0.    , 0.5625])
    """
    return st.composite(lambda draw: _array(draw, (size,), largest))()


@st.composite
def losses(draw: DrawFn) -> Loss:
    """Smooth losses of two variables that can tell all trees of order four apart.

    ``(a - x)**2/2 + c (y - b x**2)**2/2 + d x y`` with ``b, c != 0``: of the Rosenbrock kind. Quadratic,
    one-dimensional and separable losses cannot tell them apart, and pass with wrong coefficients.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(losses(), lambda loss: True).size
    2
    """
    sixteenths = st.integers(-GRID, GRID).map(lambda i: Fraction(i, GRID))
    a, d = draw(sixteenths), draw(sixteenths)
    b, c = (draw(st.integers(4, GRID)) * draw(st.sampled_from((1, sign))) for sign in (-1, 1))
    return Loss(f"({a}-x)**2/2 + {c}/16*(y-({b})/16*x**2)**2/2 + ({d})*x*y", variables="x y")


@st.composite
def deep_linear_networks(
    draw: DrawFn,
    depths: tuple[int, int] = (2, 4),
    most_units: int = 2,
    loss: str = "mse",
) -> DeepLinear:
    """Deep linear networks on random data.

    Parameters
    ----------
    depths : tuple of int
        Smallest and largest number of weight matrices.
    most_units : int
        Of a layer.
    loss : {"mse", "cross_entropy"}

    Examples
    --------
    >>> from hypothesis import find
    >>> find(deep_linear_networks(), lambda net: net.depth == 3).widths
    (1, 1, 1, 1)
    """
    inputs, targets, widths = _data(draw, depths, most_units, loss)
    return DeepLinear(widths, inputs, targets, loss)


@st.composite
def homogeneous_networks(
    draw: DrawFn, depths: tuple[int, int] = (2, 3), most_units: int = 2, loss: str = "mse"
) -> Network:
    """Networks with ReLU or leaky ReLU and without biases, on random data.

    Parameters
    ----------
    depths, most_units, loss
        As for `deep_linear_networks`.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(homogeneous_networks(), lambda net: True).layers
    (Linear(1), Activation('relu'), Linear(1))
    """
    activation = draw(st.sampled_from(("relu", "leaky_relu")))
    slope = draw(st.integers(1, 2 * GRID)) / GRID
    inputs, targets, widths = _data(draw, depths, most_units, loss)
    return Network(widths, inputs, targets, activation, loss, slope=slope)


@st.composite
def invariant_networks(draw: DrawFn, most_units: int = 3) -> Network:
    """Networks whose first layer is normalised, and hence scale-invariant.

    Parameters
    ----------
    most_units : int
        Of the hidden layer.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(invariant_networks(), lambda net: True).layers
    (Linear(2), BatchNorm(), Activation('tanh'), Linear(1))
    """
    hidden = Linear(draw(st.integers(2, most_units)))
    kinds: list[list[Layer]] = [[hidden, BatchNorm()], [hidden, LayerNorm()], [WeightNorm(hidden)]]
    normalised = draw(st.sampled_from(kinds))
    inputs = _array(draw, (4, 2), 1.0) + np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0], [-3.0, 1.0]])
    targets = _array(draw, (4, 1), 1.0)
    return Network([*normalised, Activation("tanh"), Linear(1)], inputs, targets)


def _data(draw: DrawFn, depths: tuple[int, int], most: int, loss: str) -> tuple[Array, Array, tuple[int, ...]]:
    depth = draw(st.integers(*depths))
    units = st.integers(1, most)
    widths = [draw(units) for _ in range(depth)] + [draw(st.integers(2, max(most, 2)) if loss != "mse" else units)]
    samples = draw(st.integers(1, 3))
    inputs = _array(draw, (samples, widths[0]), 1.5)
    if loss == "mse":
        return inputs, _array(draw, (samples, widths[-1]), 1.5), tuple(widths)
    labels = [draw(st.integers(0, widths[-1] - 1)) for _ in range(samples)]
    return inputs, np.eye(widths[-1])[labels], tuple(widths)


def methods() -> SearchStrategy[Method]:
    """Optimisers of every family, with exact parameters.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(methods(), lambda method: True).name
    'gradient descent'
    """
    momenta = st.integers(1, 9).map(lambda i: Fraction(i, 10))
    return st.one_of(
        st.just(GradientDescent()),
        momenta.map(HeavyBall),
        momenta.map(Nesterov),
        st.just(OptimisticGradient()),
        st.just(ProximalPoint()),
        st.just(Extragradient()),
        st.integers(1, 8).map(lambda i: SharpnessAware(Fraction(i, 4))),
    )


def step_sizes(loss: Objective, theta: Array, largest: float = 1.0) -> SearchStrategy[float]:
    """Learning rates inside the stable range at a point: ``eta |A(theta)| <= largest``.

    Parameters
    ----------
    loss : Objective
    theta : ndarray, shape (n,)
    largest : float
        Below 2, gradient descent is stable there.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(step_sizes(Loss("4*x**2", variables="x"), np.zeros(1)), lambda eta: True)  # A = 8
    0.125
    """
    from eomsym.curvature.hessian import eigenvalue_range

    sharpness = max(map(abs, eigenvalue_range(compile(loss, 0), theta)))
    return st.integers(0, 8).map(lambda i: largest / (max(sharpness, 0.1) * 2**i))


@st.composite
def runs(
    draw: DrawFn,
    networks: SearchStrategy[Any] | None = None,
    most_steps: int = 6,
    largest_start: float = 1.0,
    largest_step: float = 0.5,
    start: Callable[[Any], SearchStrategy[Array]] | None = None,
) -> Run:
    """Whole runs of gradient descent.

    Parameters
    ----------
    networks : strategy of losses, optional
        `deep_linear_networks` by default.
    most_steps : int
    largest_start : float
        Of one entry of the start.
    largest_step : float
        Of ``eta |A|`` at the start.
    start : callable, optional
        From a loss to a strategy for its start; `starts` by default.

    Examples
    --------
    >>> from hypothesis import find
    >>> run = find(runs(), lambda run: run.steps == 2)
    >>> run.loss.widths, run.eta
    ((1, 1, 1), 5.0)
    """
    loss = draw(deep_linear_networks() if networks is None else networks)
    theta = draw(starts(loss.size, largest_start) if start is None else start(loss))
    eta = draw(step_sizes(loss, theta, largest_step))
    return Run(loss, theta, eta, draw(st.integers(1, most_steps)))
