"""The equation of motion beyond its radius and at the edge of stability.

Training at ordinary learning rates raises the sharpness lambda until ``eta lambda`` is about 2 and keeps it there.
The series of the counter terms ends at ``eta lambda = 1``. The motion is smooth nonetheless, in other variables: the
mean of neighbouring iterates, in which fast directions follow the slow ones, and the amplitude of the oscillation in
critical directions (:mod:`eomsym.taylor.channels`). :func:`edge_flow` measures the largest eigenvalues, chooses the
equation that fits, and renews its directions when they no longer do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eomsym import checks
from eomsym.codegen.kernel import Kernel, kernel_of
from eomsym.dynamics.descent import checked_steps
from eomsym.dynamics.edge_motion import Motion, Options, Piece
from eomsym.dynamics.stretch import Cost
from eomsym.errors import ExpressionError, InputError
from eomsym.optimisers.base import Method
from eomsym.output.figures import Figure, legend_below, on_axes
from eomsym.output.records import record
from eomsym.output.style import GREYS, colour
from eomsym.output.tables import Column, Table

if TYPE_CHECKING:
    from eomsym.losses.objective import Objective

__all__ = ["EdgePath", "edge_flow"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class EdgePath:
    """The motion of an optimiser beyond the radius of its series.

    Attributes
    ----------
    steps : ndarray of int, shape (m,)
        The recorded steps, 0 first; step 0 is the start.
    mean, alternating : ndarray, shape (m, n)
        The channels: the iterate is ``mean + (-1)**step alternating``.
    amplitudes : ndarray, shape (m, critical)
        Of the critical directions, the sharpest first; 0 where there is none.
    products : ndarray, shape (m, k)
        Largest eigenvalues times eta at the mean.
    error : ndarray, shape (m,)
        Distance from the path of the next order; NaN where none was asked for.
    eta : float
    order : int
    settled : int
        Plain steps of the optimiser before the equation began; the iterates up to there are exact.
    status : {"complete", "inconclusive"}
    reason : str
        Why not all of it can be trusted, and what to do; empty if it can. The path ends there.
    cost : Cost
        With that of the error estimate.
    """

    steps: NDArray[np.int64]
    mean: Array
    alternating: Array
    amplitudes: Array
    products: Array
    error: Array
    eta: float
    order: int
    settled: int
    status: str
    reason: str
    cost: Cost
    _pieces: Sequence[Piece] = field(default=(), repr=False)

    @property
    def times(self) -> Array:
        """Times ``eta * steps``."""
        found: Array = np.asarray(self.eta * self.steps, dtype=np.float64)
        return found

    @property
    def iterates(self) -> Array:
        """Predicted iterates at the recorded steps, shape (m, n)."""
        found: Array = self.mean + (1 - 2 * (self.steps % 2))[:, None] * self.alternating
        return found

    def iterate(self, step: int) -> Array:
        """The predicted iterate at any step, shape (n,).

        Raises
        ------
        InputError
            The path does not reach this step.
        """
        at = checks.count(step, "step", 0)
        for piece in self._pieces:
            if piece.first <= at <= piece.last:
                mean, alternating = piece.channels(at)
                return mean + (1 - 2 * (at % 2)) * alternating
        raise InputError(f"step={at}: this path goes from step 0 to step {self.steps[-1]}")

    @property
    def oscillation(self) -> Array:
        """Size of the alternating channel at the recorded steps, shape (m,)."""
        sizes: Array = np.linalg.norm(self.alternating, axis=1)
        return sizes

    def table(self) -> Table:
        """Return what the path is, and what it cost, as a table."""
        low, high = (f(self.products[:, 0]) for f in (np.nanmin, np.nanmax))
        rows = [
            ("status", " ".join(filter(None, (self.status, self.reason)))),
            ("equation", f"order {self.order}, after {self.settled} plain steps"),
            ("learning rate", f"{self.eta:.4g}"),
            ("steps", f"{int(self.steps[-1]):,}"),
            ("eta*lambda", f"{low:.3g} … {high:.3g}"),
            ("oscillation", f"up to {self.oscillation.max():.3g}"),
            ("error", "not asked for" if np.isnan(self.error[-1]) else f"{self.error[-1]:.1e}"),
            ("cost", f"{self.cost.gradients:,.0f} gradients"),
        ]
        return Table([Column("", "left"), Column("path at the edge", "left")], rows)

    def plot(self, ax: Any = None) -> Figure:
        """Draw sharpness and oscillation along the path.

        Parameters
        ----------
        ax : sequence of two matplotlib.axes.Axes, optional
            New ones by default.

        Returns
        -------
        Figure

        Examples
        --------
        >>> import eomsym as eom
        >>> loss = eom.Loss("(1 - x*y)**2/2", variables="x y")
        >>> path = eom.edge_flow(loss, [2.0, 0.52], eta=0.5, steps=20, estimate=False)
        >>> [axes.get_title() for axes in path.plot().axes]
        ['sharpness', 'oscillation']
        """
        figure = on_axes(ax, 2)
        sharp, swing = figure.axes
        for k, products in enumerate(self.products.T):
            label = "largest" if k == 0 else "next ones" if k == 1 else "_"
            sharp.plot(self.steps, products, color=colour(0) if k == 0 else GREYS[1], label=label, zorder=2 - (k > 0))
        swing.plot(self.steps, self.oscillation, color=colour(self.order), label=f"order {self.order}")
        sharp.set(xlabel="step of the optimiser", ylabel=r"$\eta\lambda$")
        swing.set(xlabel="step of the optimiser", ylabel=r"$\|\delta\|$")
        if (self.oscillation > 0).any():
            swing.set_yscale("log")
        for one, title in zip(figure.axes, ("sharpness", "oscillation"), strict=True):
            one.set_title(title, fontsize=9)
            legend_below(one)
        return figure

    def record(self, *, command: str | None = None) -> dict[str, Any]:
        """Return everything but the points on the way as a record for JSON; see :func:`eomsym.output.record`.

        Parameters
        ----------
        command : str, optional
            What was typed.
        """
        names = (
            "status",
            "reason",
            "eta",
            "order",
            "settled",
            "steps",
            "products",
            "amplitudes",
            "oscillation",
            "error",
        )
        content = {name: getattr(self, name) for name in names}
        content |= {"end": self.iterates[-1], "cost": vars(self.cost)}
        return record("edge", content, command=command, start=self.iterates[0])

    def _repr_html_(self) -> str:
        return self.table().html()


#: More directions than these are followed by no user.
MOST_DIRECTIONS = 1000


@np.errstate(over="ignore", invalid="ignore")  # what is not finite ends the motion
def edge_flow(
    loss: Objective | Kernel,
    start: Any,
    *,
    eta: float,
    steps: int,
    order: int = 2,
    method: Method | None = None,
    critical: int = 3,
    fast: int = 24,
    settle: int | None = None,
    memory: Any = "rest",
    every: int | None = None,
    rtol: float = 1e-6,
    estimate: bool = True,
    progress: Callable[[int, int, str], None] | None = None,
) -> EdgePath:
    """Follow an optimiser where ``eta lambda`` is beyond the radius of the series, or at the edge of stability.

    The equation is chosen by the largest eigenvalues: that of the counter terms while all directions are slow; with
    fast directions slaved where some have ``eta lambda`` above about 1/2; with two channels where one is near the edge.

    Parameters
    ----------
    loss : Loss, Network, or Kernel
        With derivatives everywhere.
    start : array_like, shape (n,)
    eta : float
        Learning rate.
    steps : int
        Steps of the optimiser to follow.
    order : int
        Of the equation; the error is of the order of ``eta**(order+1)``.
    method : Method, optional
        Gradient descent by default, or the method of the kernel.
    critical, fast : int
        At most so many critical and fast directions.
    settle : int, optional
        Plain steps to take first, until what is left of the start away from the slow manifold has decayed; as many as
        it takes by default.
    memory : "rest" or ndarray, shape (k,)
        What a method with a memory remembers at the start: nothing, or what an earlier run left behind.
    every : int, optional
        Record every so many steps; about a hundred records by default.
    rtol : float
        Relative tolerance of the integrator.
    estimate : bool
        Whether to integrate the next order too, for the error.
    progress : callable, optional
        Called with (done, total, what).

    Returns
    -------
    EdgePath

    Raises
    ------
    InputError, ShapeError
        Arguments that cannot be used.
    MethodError
        The method has stages, batches or kept memories, or its answer to a quadratic is not known.
    ExpressionError
        The loss has kinks.
    HypothesisError
        More critical or fast directions than asked for, no gap between fast and slow ones, or a start far from the slow
        manifold; the message says what to type.
    DivergenceError
        ``eta lambda`` stays beyond the edge and the amplitude leaves every bound; ``error.step`` says where.

    Examples
    --------
    On ``(1 - xy)**2/2`` the sharpness along the valley ``y = 1/x`` is ``x**2 + 1/x**2``; at 1.2 times the edge gradient
    descent crosses the valley from side to side, and that carries it to where the valley is flatter:

    >>> import numpy as np
    >>> import eomsym as eom
    >>> loss = eom.Loss("(1 - x*y)**2/2", variables="x y")
    >>> path = eom.edge_flow(loss, [2.0, 0.52], eta=0.5, steps=40, order=3)
    >>> run = eom.descend(loss, [2.0, 0.52], eta=0.5, steps=40)
    >>> float(np.linalg.norm(path.iterates[-1] - run.thetas[-1])) < 1e-3
    True

    References
    ----------
    J. M. Cohen et al., ICLR 2021, arXiv:2103.00065 (the edge); A. Damian et al., ICLR 2023, arXiv:2209.15594, and J. M.
    Cohen et al., arXiv:2410.24206 (leading order). See ``derivations/edge_of_stability.md``.
    """
    order = checks.count(order, "order", 0)
    kernel, theta = _prepared(loss, start, method)
    eta = checks.positive(eta, "eta")
    steps = checked_steps(steps, 1, eta)
    every = max(1, -(-steps // 100)) if every is None else checks.count(every, "every", 1)
    for name, value in (("critical", critical), ("fast", fast)):
        checks.count(value, name, 0, MOST_DIRECTIONS)
    rtol = checks.number(rtol, "rtol", 1e-12, 0.5, such_as=1e-6)
    settle = None if settle is None else checks.count(settle, "settle")
    options = Options(eta, steps, every, critical, fast, settle, memory, rtol, checks.progress(progress))
    estimate = checks.flag(estimate, "estimate")
    motion = Motion(kernel, theta, order, options)
    motion.run()
    other = None
    if estimate:
        other = Motion(kernel, theta, order + 1, options)
        other.run()
    return _path(motion, other)


def _prepared(loss: Any, start: Any, method: Method | None) -> tuple[Kernel, Array]:
    """The kernel and the start, checked."""
    kernel = kernel_of(loss, None if isinstance(loss, Kernel) else 0, method)
    if not kernel.loss.has_value:
        raise InputError(f"{kernel.loss.name} is a field without a loss: its Hessian is not symmetric; use a loss")
    if not kernel.loss.smooth:
        kinks = ", ".join(getattr(kernel.loss, "kinks", ["the loss"]))
        raise ExpressionError(
            f"{kinks} has kinks, and the edge of stability of a kink is not that of a Hessian; use a smooth function "
            "such as softplus or tanh"
        )
    return kernel, kernel.point(start)


def _path(motion: Motion, other: Motion | None) -> EdgePath:
    """What a motion leaves behind, with its distance from the motion of the next order."""
    records, cost, reason = motion.records, motion.cost, motion.reason
    error = np.full(len(records), np.nan)
    if other is not None:
        cost = cost + other.cost
        better = {record.step: record.iterate for record in other.records}
        for i, record in enumerate(records):
            if record.step in better:
                error[i] = float(np.linalg.norm(record.iterate - better[record.step]))
        reason = reason or other.reason
        way = float(np.linalg.norm(records[-1].iterate - records[0].iterate))
        if not reason and error[-1] > way / 2:
            reason = (
                f"orders {motion.order} and {other.order} end {error[-1]:.2g} from each other, after a way of {way:.2g}"
                ": the series has not converged; follow fewer steps, or start where the amplitude is larger"
            )
    return EdgePath(
        steps=np.array([record.step for record in records]),
        mean=np.array([record.mean for record in records]),
        alternating=np.array([record.alternating for record in records]),
        amplitudes=np.array([record.amplitudes for record in records]),
        products=np.array([record.products for record in records]),
        error=error,
        eta=motion.eta,
        order=motion.order,
        settled=motion.settled,
        status="inconclusive" if reason else "complete",
        reason=reason,
        cost=cost,
        _pieces=tuple(motion.pieces),
    )
