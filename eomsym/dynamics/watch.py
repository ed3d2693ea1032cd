"""The largest eigenvalues along a path, against the limits of the method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eomsym import checks
from eomsym.checks import shown
from eomsym.codegen.kernel import Kernel, kernel_of
from eomsym.dynamics.edge import EdgePath
from eomsym.dynamics.events import Event
from eomsym.dynamics.spectrum import Spectrum, denominator, spectrum
from eomsym.errors import InputError, ShapeError
from eomsym.output.figures import Figure, legend_below, on_axes
from eomsym.output.style import GREYS, INK, colour
from eomsym.taylor.channels import critical_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from eomsym.losses.objective import Objective
    from eomsym.optimisers.base import Method

__all__ = ["Watch", "limits", "sharpness_event", "watch"]

Array = NDArray[np.float64]

#: Residual of eigenvalues, over the largest one; their error is of its square.
RTOL = 1e-4


@dataclass(frozen=True, eq=False)
class Watch:
    """Eigenvalues along a path.

    Attributes
    ----------
    products : ndarray, shape (m, count)
        The largest eigenvalues of the Hessian (of the preconditioned one, for an optimiser that divides by a root of
        squared gradients) times eta, in descending order.
    cosines : ndarray, shape (m,)
        Of the angle between the gradient and the direction of the largest eigenvalue, from 0 to 1; NaN where the
        gradient is zero.
    eta : float
    radius : float
        The product beyond which the series of the counter terms diverges; NaN where it is not known.
    limit : float
        The product beyond which the run is unstable; NaN where it is not known.
    residual : float
        Largest residual of an eigenvector, over the largest eigenvalue.
    evaluations : int
        Hessian products that it took.
    times : ndarray, shape (m,), or None
        Times of the points, where the path has them.
    """

    products: Array
    cosines: Array
    eta: float
    radius: float
    limit: float
    residual: float
    evaluations: int
    times: Array | None = None

    def plot(self, ax: Axes | None = None) -> Figure:
        """Draw ``eta lambda`` along the path, with the radius of the series and the limit of stability.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            New ones by default.

        Returns
        -------
        Figure

        Examples
        --------
        >>> import eomsym as eom
        >>> loss = eom.Loss("x**4/4 + y**2/2", variables="x y")
        >>> path = eom.descend(loss, [1.0, 1.0], eta=0.4, steps=3)
        >>> [line.get_label() for line in eom.watch(loss, path).plot().axes[0].lines]
        ['largest', 'next ones', 'radius of the series', 'limit of stability']
        """
        figure = on_axes(ax)
        one = figure.axes[0]
        along = np.arange(len(self.products)) if self.times is None else self.times
        for k, products in enumerate(self.products.T):
            label = "largest" if k == 0 else "next ones" if k == 1 else "_"
            one.plot(along, products, color=colour(0) if k == 0 else GREYS[1], label=label, zorder=2 - (k > 0))
        for value, name, style in (
            (self.radius, "radius of the series", ":"),
            (self.limit, "limit of stability", "--"),
        ):
            if np.isfinite(value):
                one.axhline(value, color=INK, linewidth=0.8, linestyle=style, label=name)
        one.set(xlabel="point of the path" if self.times is None else r"time $\eta k$", ylabel=r"$\eta\lambda$")
        legend_below(one)
        return figure

    def first_beyond(self, product: float) -> int | None:
        """The first point whose largest ``eta lambda`` is beyond a number, such as `radius` or `limit`; or None."""
        beyond = np.flatnonzero(self.products[:, 0] > product)
        return int(beyond[0]) if len(beyond) else None


def watch(
    loss: Objective | Kernel,
    path: Any,
    *,
    eta: float | None = None,
    count: int = 3,
    method: Method | None = None,
) -> Watch:
    """Measure the largest eigenvalues along a path.

    Parameters
    ----------
    loss : Loss, Network, or Kernel
    path : Trajectory, EdgePath, or array_like, shape (m, n)
    eta : float, optional
        Learning rate; that of the path by default.
    count : int
        How many eigenvalues.
    method : Method, optional
        Gradient descent by default, or that of the kernel.

    Returns
    -------
    Watch

    Raises
    ------
    InputError
        A number that cannot be used, no learning rate, or a field without a loss.
    ShapeError
        The path does not fit the loss.

    Examples
    --------
    >>> import eomsym as eom
    >>> loss = eom.Loss("x**4/4 + y**2/2", variables="x y")
    >>> path = eom.descend(loss, [1.0, 1.0], eta=0.4, steps=3)
    >>> found = eom.watch(loss, path, count=2)
    >>> found.products.round(3)
    array([[1.2  , 0.4  ],
           [0.432, 0.4  ],
           [0.4  , 0.317],
           [0.4  , 0.253]])
    >>> found.radius, found.limit, found.first_beyond(found.radius)
    (1.0, 2.0, 0)

    References
    ----------
    J. M. Cohen et al., ICLR 2021, arXiv:2103.00065; for the preconditioned Hessian J. M. Cohen et al., Adaptive
    Gradient Methods at the Edge of Stability, 2022, arXiv:2207.14484.
    """
    kernel = kernel_of(loss, None if isinstance(loss, Kernel) else 0, method)
    if not kernel.loss.has_value:
        raise InputError(f"{kernel.loss.name} is a field without a loss: its Hessian is not symmetric; use a loss")
    points = _points(path, kernel.loss.size)
    rate = checks.positive(getattr(path, "eta", None) if eta is None else eta, "eta")
    count = min(checks.count(count, "count", 1), kernel.loss.size)
    found: list[Spectrum] = []
    cosines = np.full(len(points), np.nan)
    for i, point in enumerate(points):
        guess = found[-1].right if found else None
        scale = denominator(kernel, point[None])
        found.append(spectrum(kernel, point, count, guess=guess, scale=scale, rtol=RTOL))
        g = kernel.gradient(point) / (1 if scale is None else np.sqrt(scale))
        top = found[-1].right[:, 0] * (1 if scale is None else np.sqrt(scale))
        if np.linalg.norm(g) > 0:
            cosines[i] = abs(g @ top) / (np.linalg.norm(g) * np.linalg.norm(top))
    products = rate * np.array([one.values for one in found])
    radius, limit = limits(kernel.method)
    worst = max(one.residual for one in found)
    times = getattr(path, "times", None)
    return Watch(products, cosines, rate, radius, limit, worst, sum(one.products for one in found), times)


def sharpness_event(
    loss: Objective | Kernel,
    product: float | str,
    *,
    eta: float,
    method: Method | None = None,
    ends: bool = False,
) -> Event:
    """The event that ``eta lambda`` reaches a number, lambda the largest eigenvalue of the Hessian.

    Parameters
    ----------
    loss : Loss, Network, or Kernel
    product : float or {"radius", "limit"}
        Of the method: where its series ends, and where the run becomes unstable.
    eta : float
    method : Method, optional
        Gradient descent by default, or that of the kernel.
    ends : bool
        Whether the path ends there.

    Returns
    -------
    Event
        It remembers the last eigenvector, and is quick along a path.

    Examples
    --------
    >>> import eomsym as eom
    >>> loss = eom.Loss("(1 - x*y)**2/2", variables="x y")
    >>> event = eom.sharpness_event(loss, "limit", eta=0.48, ends=True)
    >>> path = eom.flow(loss, [2.0, 0.2], time=[0.0, 0.5, 1.0], order=0, events=[event])
    >>> path.events[0].name, path.events[0].rising, bool(path.times[-1] == path.events[0].time)
    ('eta*lambda = 2 (limit)', True, True)
    """
    kernel = kernel_of(loss, None if isinstance(loss, Kernel) else 0, method)
    rate = checks.positive(eta, "eta")
    if isinstance(product, str):
        names = dict(zip(("radius", "limit"), limits(kernel.method), strict=True))
        if product not in names or np.isnan(names[product]):
            known = ", ".join(name for name, value in names.items() if not np.isnan(value)) or "neither of them"
            raise InputError(f"product={shown(product)}: of {kernel.method.name}, known: {known}; or give a number")
        value, name = names[product], f"eta*lambda = {names[product]:.4g} ({product})"
    else:
        value = checks.number(product, "product", such_as=2.0)
        name = f"eta*lambda = {value:.4g}"
    last: list[Array | None] = [None]

    def function(theta: Array) -> float:
        point = theta[: kernel.loss.size]
        scale = denominator(kernel, point[None])
        found = spectrum(kernel, point, min(2, len(point)), guess=last[0], scale=scale, rtol=RTOL)
        last[0] = found.right
        return rate * float(found.values[0]) - value

    return Event(function, name, ends)


def limits(method: Method) -> tuple[float, float]:
    """Radius of the series and limit of stability of a method, in ``eta lambda``; NaN where they are not known.

    Examples
    --------
    >>> from eomsym.optimisers.accelerated import HeavyBall
    >>> [round(x, 5) for x in limits(HeavyBall("9/10"))]
    [0.00263, 3.8]
    """
    if method.is_linear and method.colours == 1 and not method.is_flow and not method.symbols:
        stability = method.stability()
        radius, limit = (float("nan") if x is None else float(x) for x in (stability.radius, stability.limit))
        return radius, limit
    if getattr(method, "edge_response", None) is not None:
        return float("nan"), float(critical_number(method))
    return float("nan"), float("nan")


def _points(path: Any, size: int) -> Array:
    """The points of a path, parameters alone."""
    given = path.mean if isinstance(path, EdgePath) else getattr(path, "thetas", path)
    try:
        points = checks.reals(given)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"expected a path, or points in rows, got {type(path).__name__}") from error
    points = points[None] if points.ndim == 1 else points
    if points.ndim != 2 or points.shape[1] < size or not len(points):
        raise ShapeError(f"the path has shape {points.shape}, expected (points, {size})")
    if not np.isfinite(points).all():
        raise InputError("the path holds numbers that are not finite; watch it up to there")
    return points[:, :size]
