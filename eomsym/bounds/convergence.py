"""A guarantee that gradient descent converges, for an instance: deep linear network, one output, whitened data.

From a balanced start the whole geometry of gradient flow follows from two numbers, the norm r of the end-to-end vector
and its cosine with the target: each matrix has the norm ``r**(1/n)``, and on the ball of radius D around the flow the
closed forms of `eomsym.curvature.networks` hold with ``r**(1/n) + D``. Gradient flow brings the loss down; the theorem
keeps gradient descent close to it. The guarantee needs no knowledge of the number of parameters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from eomsym import checks
from eomsym.bounds.bound import Hypothesis, bound_record, require, said
from eomsym.checks import shown
from eomsym.codegen.kernel import Kernel
from eomsym.dynamics.deep_linear import ScalarMotion, balancedness
from eomsym.dynamics.descent import descend
from eomsym.errors import HypothesisError
from eomsym.losses.network import DeepLinear
from eomsym.output.tables import Table
from eomsym.types import Array

__all__ = ["Guarantee", "guarantee_convergence"]

# Whitening and balance must hold to this relative error; their rounding is far below.
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Guarantee:
    """A learning rate and a number of steps after which the loss is below `epsilon` above its minimum.

    Attributes
    ----------
    eta : float
    steps : int
    epsilon : float
    time : float
        ``eta * steps``.
    distance : float
        How far gradient descent can be from gradient flow at that time.
    hypotheses : tuple of Hypothesis
    minimum : float
        The smallest value of the loss.

    Examples
    --------
    >>> import eomsym as eom
    >>> loss = eom.DeepLinear((1, 1), inputs=[[1.0]], targets=[[1.0]])
    >>> guarantee = eom.bounds.guarantee_convergence(loss, [0.5], epsilon=0.01)
    >>> guarantee.confirm(loss, [0.5]) < guarantee.epsilon
    True
    """

    eta: float
    steps: int
    epsilon: float
    time: float
    distance: float
    hypotheses: tuple[Hypothesis, ...]
    minimum: float

    #: How it is known: as of a :class:`Bound`.
    certificate = "proven"
    proven = True
    source = "eomsym, derivations/convergence_of_an_instance, after Elkabetz and Cohen (2021), arXiv:2107.06608"
    notes = ()

    @property
    def claim(self) -> str:
        """What it says."""
        return f"after {self.steps} steps the loss is within {self.epsilon:.4g} of its minimum"

    def confirm(self, loss: DeepLinear, start: ArrayLike) -> float:
        """Run gradient descent and return how far the loss ends above its minimum."""
        path = descend(loss, start, eta=self.eta, steps=self.steps, every=self.steps)
        return loss.value(path.thetas[-1]) - self.minimum

    def __str__(self) -> str:
        head = f"after {self.steps} steps of eta = {self.eta:.4g} the loss is within {self.epsilon:.4g} of its minimum"
        return "\n".join([head, *(f"  given {hypothesis}" for hypothesis in self.hypotheses)])

    def table(self) -> Table:
        """Return claim, number, hypotheses and source as a table."""
        return said("learning rate", self.eta, self.claim, self.certificate, self.hypotheses, self.source, self.notes)

    def record(self, *, command: str | None = None) -> dict[str, Any]:
        """Return everything as a record for JSON; see :func:`eomsym.output.record`.

        Parameters
        ----------
        command : str, optional
            What was typed.
        """
        numbers = {name: getattr(self, name) for name in ("epsilon", "steps", "time", "distance", "minimum")}
        return bound_record("convergence", self.eta, self, numbers, command)

    def _repr_html_(self) -> str:
        return self.table().html()


def guarantee_convergence(loss: Any, start: ArrayLike, *, epsilon: float, cells: int = 400) -> Guarantee:
    """Find a learning rate and a number of steps after which gradient descent has provably converged.

    Parameters
    ----------
    loss : DeepLinear, or its Kernel
        One output, squared error, whitened data (``X^T X/samples = I``), no weight decay.
    start : array_like, shape (n,)
        Balanced: ``W_(j+1)^T W_(j+1) = W_j W_j^T``; such as ``loss.initial(scheme="balanced")``.
    epsilon : float
        How far above its minimum the loss may end.
    cells : int
        Pieces of time on which the geometry is bounded.

    Returns
    -------
    Guarantee

    Raises
    ------
    HypothesisError
        If the network, the data or the start do not fit; in particular if the start points exactly away from the
        target, where gradient flow goes to the saddle at zero.

    Examples
    --------
    >>> loss = DeepLinear((2, 1, 1), inputs=[[2**0.5, 0.0], [0.0, 2**0.5]], targets=[[2**0.5], [0.0]])
    >>> start = loss.pack(W1=[[0.48, 0.64]], W2=[[0.8]])  # balanced, 53 degrees from the target
    >>> guarantee = guarantee_convergence(loss, start, epsilon=0.01)
    >>> guarantee.confirm(loss, start) < 0.01
    True

    References
    ----------
    O. Elkabetz and N. Cohen, Continuous vs. Discrete Optimization of Deep Neural Networks, NeurIPS 2021,
    arXiv:2107.06608, section 4; with the constants of the instance in place of those of their theorem.
    """
    loss = loss.loss if isinstance(loss, Kernel) else loss
    goal, pieces = checks.positive(epsilon, "epsilon"), checks.count(cells, "cells", 1)
    radius, cosine, target, minimum, hypotheses = _instance(loss, start)
    n = loss.depth
    motion = ScalarMotion(n, target)
    reach = math.sqrt(2 * goal)  # |w - target| at the goal
    best = max(
        (_largest_rate(motion, radius, cosine, reach, count) for count in {pieces, -(-pieces // 8), -(-pieces // 40)}),
        key=lambda found: found[0],
    )
    if best[0] == 0:
        raise HypothesisError(
            "no bound: no learning rate above 1e-60 of the time keeps gradient descent near gradient flow"
        )
    rate, time, walk = best
    steps = math.ceil(time / rate)
    return Guarantee(time / steps, steps, goal, time, walk.distance(time / steps), hypotheses, minimum)


def _largest_rate(
    motion: ScalarMotion, radius: float, cosine: float, reach: float, pieces: int
) -> tuple[float, float, _Walk]:
    """The largest learning rate that the theorem allows, the time of convergence, and the walk."""
    n = motion.depth
    times, radii, errors = _descent_of_flow(motion, radius, cosine, reach / 2, pieces)
    # r first falls and then rises, and the error falls: their largest values on a piece are at its ends.
    walk = _Walk(n, np.diff(times), np.maximum(radii[:-1], radii[1:]) ** (1 / n), errors[:-1])

    def suits(eta: float) -> bool:
        """Whether the end-to-end vectors of gradient descent and gradient flow are close enough at the end."""
        return _derivatives(n, float(radii[-1]) ** (1 / n), walk.distance(eta))[0] <= reach / 2

    low = high = float(times[1])
    while not suits(low):
        high, low = low, low / 2
        if low < 1e-60 * times[-1]:
            return 0.0, float(times[-1]), walk
    for _ in range(12 if high > low else 0):  # the distance grows with eta
        middle = math.sqrt(low * high)
        low, high = (middle, high) if suits(middle) else (low, middle)
    return low, float(times[-1]), walk


def _instance(loss: Any, start: ArrayLike) -> tuple[float, float, float, float, tuple[Hypothesis, ...]]:
    """Norm and cosine of the start, norm of the target, minimum of the loss, and the hypotheses."""
    fits = isinstance(loss, DeepLinear) and loss.loss == "mse" and loss.widths[-1] == 1 and loss.weight_decay == 0
    first = require(
        fits, "a deep linear network with one output, squared error and no weight decay", shown(loss, 200),
        "see eomsym.DeepLinear",
    )  # fmt: skip
    samples, columns = loss.inputs.shape
    unwhite = float(np.abs(loss.inputs.T @ loss.inputs / samples - np.eye(columns)).max())
    whitened = require(unwhite <= TOLERANCE, "whitened data, X^T X/samples = I", f"off by {unwhite:.1e}",
                       "multiply the inputs by the inverse square root of X^T X/samples")  # fmt: skip
    theta = loss.validate(start)
    matrices = list(loss.unpack(theta).values())
    size = max(float(np.linalg.norm(matrix, 2)) for matrix in matrices) ** 2
    off = max((float(np.abs(defect).max()) for defect in balancedness(matrices)), default=0.0)
    balanced = require(
        off <= TOLERANCE * size, "a balanced start, W_(j+1)^T W_(j+1) = W_j W_j^T", f"off by {off:.1e}",
        'use loss.initial(scheme="balanced")',
    )  # fmt: skip
    vector = loss.end_to_end(theta)[0]
    aim = (loss.targets.T @ loss.inputs / samples)[0]
    radius, target = float(np.linalg.norm(vector)), float(np.linalg.norm(aim))
    nonzero = require(radius > 0 and target > 0, "a start and a target that are not zero",
                      f"norms {radius:.3g} and {target:.3g}")  # fmt: skip
    cosine = min(max(float(vector @ aim) / (radius * target), -1.0), 1.0)
    aimed = require(cosine > -1 + 1e-12, "a cosine above -1 with the target", f"{cosine:.6g}",
                    "move the start: opposite to the target, gradient flow ends in the saddle at zero")  # fmt: skip
    minimum = float((loss.targets**2).sum() / (2 * samples)) - target**2 / 2
    return radius, cosine, target, minimum, (first, whitened, balanced, nonzero, aimed)


def _descent_of_flow(
    motion: ScalarMotion, radius: float, cosine: float, reach: float, pieces: int
) -> tuple[Array, Array, Array]:
    """Times, norms and distances from the target until that distance is at most `reach`."""

    def errors(radii: Array, cosines: Array) -> Array:
        squares = (radii - motion.target) ** 2 + 2 * radii * motion.target * (1 - cosines)
        found: Array = np.sqrt(np.maximum(squares, 0.0))
        return found

    last = 2.0 ** round(math.log2(motion.time))
    for _ in range(60):
        grid = np.linspace(0.0, last, pieces + 1)
        path = motion.path(radius, cosine, grid)
        reached = np.flatnonzero(errors(*path) <= reach)
        if len(reached):
            last = float(grid[max(int(reached[0]), 1)])
            grid = np.linspace(0.0, last, pieces + 1)
            path = motion.path(radius, cosine, grid)
            return grid, path[0], errors(*path)
        last *= 2
    raise HypothesisError(f"no bound: needed gradient flow to reach the goal, got no end before time {last:.3g}")


def _derivatives(n: int, norm: float, distance: float) -> tuple[float, float, float]:
    """Change of the product on a ball, and bounds on its first and twice its second derivative there.

    All n matrices have the same norm, so that ``p_k = C(n, k) n**(-k/2) norm**(n-k)``.
    """
    change = sum(math.comb(n, k) * (distance / math.sqrt(n)) ** k * norm ** (n - k) for k in range(1, n + 1))
    wide = norm + distance
    return change, math.sqrt(n) * wide ** (n - 1), (n - 1) * wide ** (n - 2) if n > 1 else 0.0


@dataclass(frozen=True, eq=False)
class _Walk:
    """Distance of gradient descent from gradient flow, piece of time by piece of time."""

    depth: int
    widths: Array
    norms: Array
    errors: Array

    def distance(self, eta: float) -> float:
        """At the end; infinite if `eta` is too large for the pieces or for a stable step."""
        distance = 0.0
        if eta > float(self.widths.min()):
            return math.inf
        # A step that straddles two pieces belongs to the one in which it begins, and sees the norms of both.
        both = np.maximum(self.norms, np.append(self.norms[1:], 0.0)).tolist()
        for h, norm, error in zip(self.widths.tolist(), both, self.errors.tolist(), strict=True):
            # On the flow itself: |A g| <= beta gamma.
            _, p1, p2 = _derivatives(self.depth, norm, 0.0)
            created = eta / 2 * (p1**2 + p2 * error) * p1 * error
            guess = 1.5 * distance + 2 * h * created
            for _ in range(30):
                change, p1, p2 = _derivatives(self.depth, norm, guess)
                growth = p2 * (error + change)
                if not (eta * (p1**2 + growth) <= 2 and growth * h < 50):
                    return math.inf
                # At most h/eta + 1 steps begin in the piece.
                end = math.exp(growth * (h + eta)) * (distance + (h + eta) * created)
                if end <= guess:
                    break
                guess = 1.2 * end
            else:
                return math.inf
            distance = end
        return distance
