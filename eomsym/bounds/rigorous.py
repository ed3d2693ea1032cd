"""Machine-checked statements: counter terms, curvature and flows enclosed in balls, all rounding included.

python-flint's Arb (extra ``rigorous``) runs through the same Taylor rules as the compiled kernels. The flow of the
equation of motion is enclosed step by step: an a-priori box by Picard's iteration, Taylor's formula at the centre with
the remainder on the box, and for the points around the centre the fundamental theorem with the logarithmic norm of the
field on the box. For small problems: each step costs some dozen tables in plain Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from eomsym import checks
from eomsym.bounds.bound import Bound, Hypothesis, motion_name
from eomsym.codegen.kernel import compile
from eomsym.curvature.hessian import Curvature, Neighbourhood, Spectrum
from eomsym.dynamics.descent import checked_steps
from eomsym.dynamics.patience import Patience, watched
from eomsym.errors import HypothesisError
from eomsym.losses.functions import FUNCTIONS
from eomsym.losses.objective import Objective
from eomsym.taylor.plan import terms_plan
from eomsym.taylor.rings.balls import Ball, Balls, enclosed, load_flint, working
from eomsym.taylor.table import counter_terms_at
from eomsym.types import Array

__all__ = ["EnclosedCurvature", "Enclosure", "enclose_flow", "enclose_terms", "rigorous_distance"]

#: Orders in plain Python cost their fourth power: the last of these takes seconds for a handful of parameters, of terms
#: and of each step of a flow. So do Taylor's formula of that degree, and that many parts of a step.
HIGHEST, HIGHEST_FLOW, MOST_DEGREE, MOST_INNER = 50, 12, 100, 1000

NUMBERS, SERIES = Balls(), Balls(series=True)


class _Field:
    """Counter terms of gradient descent over Arb."""

    def __init__(self, loss: Objective, order: int) -> None:
        self.loss = loss
        self.plan = terms_plan(loss, order)
        self.order = order
        if "gate" in self.plan.primitives:
            raise HypothesisError(f"rigorous mode needs a smooth loss, got {loss.name}, which has kinks")
        for name in sorted(self.plan.functions):
            FUNCTIONS[name].reading("ball", "Arb balls")

    def terms(self, theta: Sequence[Any], ring: Any = NUMBERS) -> np.ndarray:
        """Terms over balls, or over series of balls, with `ring` for the numbers of the loss."""
        terms: Any = counter_terms_at(self.plan, [Ball(x) for x in theta], self.order, ring)
        bare: Any = np.empty_like(terms)
        for place in np.ndindex(terms.shape):
            bare[place] = terms[place].value
            parts = [bare[place]] if ring is NUMBERS else bare[place].coeffs()
            if not all(part.is_finite() for part in parts):
                raise HypothesisError(
                    f"no bound: the box leaves the domain of {self.loss.name}, or is too wide for its operations; use "
                    "a smaller eta, or more substeps"
                )
        found: np.ndarray = bare
        return found

    def velocity(self, theta: Sequence[Any], eta: Any, ring: Any = NUMBERS) -> list[Any]:
        """``-sum_k eta**k term_k``, by Horner's rule."""
        total = [enclosed(0)] * self.plan.size
        for row in self.terms(theta, ring)[::-1]:
            total = [eta * entry - term for entry, term in zip(total, row, strict=True)]
        return total

    def jacobian(self, theta: Sequence[Any], eta: Any) -> list[list[Any]]:
        """Derivative of the velocity over a box, columns first."""
        columns = []
        with working(2) as flint:
            for j in range(self.plan.size):
                line = [flint.arb_series([x, 1] if i == j else [x]) for i, x in enumerate(theta)]
                columns.append([value[1] for value in self.velocity(line, eta, SERIES)])
        return columns

    def taylor(self, theta: Sequence[Any], eta: Any, degree: int) -> list[list[Any]]:
        """Time-Taylor coefficients 0 … degree of the motion from a point or a box."""
        coefficients = [list(theta)]
        for i in range(degree):
            with working(i + 1) as flint:
                lines = [flint.arb_series(list(line)) for line in zip(*coefficients, strict=True)]
                coefficients.append([value[i] / (i + 1) for value in self.velocity(lines, eta, SERIES)])
        return coefficients


def enclose_terms(loss: Objective, theta: ArrayLike, *, order: int) -> np.ndarray:
    """Counter terms of gradient descent at a point, enclosed.

    Parameters
    ----------
    loss : Objective
        Smooth; without softplus and erf, which have no enclosure here.
    theta : array_like, shape (n,)
    order : int
        Up to 50.

    Returns
    -------
    ndarray of flint.arb, shape (order+1, n)

    Raises
    ------
    HypothesisError
        If the loss uses a function without an enclosure.
    MissingDependencyError
        If python-flint is not installed.

    Examples
    --------
    >>> import eomsym as eom
    >>> enclose_terms(eom.Loss("x**3/3", variables="x"), [0.5], order=2)[2, 0]  # (1/3 H²g + 1/12 T[g,g]) at 1/2
    [0.0937500000000000 +/- ...]

    References
    ----------
    F. Johansson, Arb: efficient arbitrary-precision midpoint-radius interval arithmetic, IEEE Trans. Comput. 66
    (2017), doi:10.1109/TC.2017.2690633.
    """
    checks.instance(loss, "a loss", Objective, "eomsym.Loss('x**2', variables='x')")
    point = loss.validate(theta)
    with working():
        return _Field(loss, checks.order(order, HIGHEST)).terms([enclosed(x) for x in point])


# spectra --------------------------------------------------------------------------------------------------------------


def _positive_definite(matrix: list[list[Any]]) -> bool:
    """Whether all symmetric matrices in the enclosure are, proven by Cholesky's elimination."""
    rows = [list(row) for row in matrix]
    for k, pivot_row in enumerate(rows):
        if not pivot_row[k] > 0:
            return False
        for i in range(k + 1, len(rows)):
            factor = rows[i][k] / pivot_row[k]
            rows[i] = [a - factor * b for a, b in zip(rows[i], pivot_row, strict=True)]
    return True


def _largest_eigenvalue(columns: list[list[Any]]) -> float:
    """A number above all eigenvalues of the symmetric part of all matrices in the enclosure."""
    n = len(columns)
    symmetric = [[(columns[i][j] + columns[j][i]) / 2 for j in range(n)] for i in range(n)]
    middle = np.array([[float(x.mid()) for x in row] for row in symmetric])
    width = float(np.sqrt(sum(float(x.rad()) ** 2 for row in symmetric for x in row)))
    guess = float(np.linalg.eigvalsh(middle)[-1])
    slack = 1e-12 * float(np.abs(middle).max()) + 0.02 * width + 1e-300
    for _ in range(60):
        bound = guess + slack
        shifted = [
            [(enclosed(bound) if i == j else 0) - x for j, x in enumerate(row)] for i, row in enumerate(symmetric)
        ]
        if _positive_definite(shifted):
            return bound
        slack *= 2
    raise HypothesisError("no bound: the enclosure of the Hessian is too wide; use a smaller eta or radius")


def _norm(entries: Sequence[Any]) -> float:
    """A number above the Euclidean norm of a vector of balls."""
    # From exact upper ends: the square root of a ball that reaches below zero is no number.
    squares = [x.abs_upper() ** 2 for x in entries]
    return _above(sum(squares, enclosed(0)).upper().sqrt())


def _above(ball: Any) -> float:
    """A double that is not below any number of the ball."""
    if not ball.is_finite():
        raise HypothesisError("no bound: an enclosure became infinite; use a smaller eta, or more substeps")
    return float(np.nextafter(float(ball.upper()), np.inf))


class EnclosedCurvature(Curvature):
    """Proven bounds on gradient and Hessian for any smooth loss, by enclosures over boxes.

    Parameters
    ----------
    loss : Objective

    Examples
    --------
    >>> import eomsym as eom
    >>> curvature = EnclosedCurvature(eom.Loss("x**2/2 - cos(y)", variables="x y"))
    >>> spectrum = curvature.at(np.array([0.0, 0.0])).spectrum(0.5)  # cos(1/2) = 0.878
    >>> round(spectrum.lower, 2), round(spectrum.upper, 2)
    (0.86, 1.0)
    """

    source = "enclosures by Arb, all rounding included"

    def __init__(self, loss: Objective) -> None:
        self.field = _Field(loss, 0)
        self.gradient = compile(loss, 0).gradient

    def at(self, theta: Array) -> Neighbourhood:
        """See `Curvature.at`."""
        return _Enclosed(self, theta)


class _Enclosed(Neighbourhood):
    def __init__(self, owner: EnclosedCurvature, theta: Array) -> None:
        self.field, self.gradient, self.theta = owner.field, owner.gradient, theta

    def spectrum(self, radius: float) -> Spectrum:
        with working() as flint:
            box = [flint.arb(float(x), float(radius)) for x in self.theta]
            minus = self.field.jacobian(box, enclosed(0))  # of -g
            plus = [[-x for x in column] for column in minus]
            lower, upper = -_largest_eigenvalue(minus), _largest_eigenvalue(plus)
            return Spectrum(min(lower, upper), upper, _norm(self.field.velocity(box, enclosed(0))))

    def rounding(self) -> float:
        with working():
            exact = self.field.velocity([enclosed(x) for x in self.theta], enclosed(0))
            return _norm([x + enclosed(g) for x, g in zip(exact, self.gradient(self.theta), strict=True)])


# flows ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Enclosure:
    """A proven enclosure of a flow.

    Attributes
    ----------
    times : ndarray, shape (m,)
    centres : ndarray, shape (m, n)
    radii : ndarray, shape (m,)
        At each time the true solution lies in the Euclidean ball of this radius around the centre.

    Examples
    --------
    >>> import eomsym as eom
    >>> enclosure = eom.bounds.enclose_flow(eom.Loss("x**2/2", variables="x"), [1.0], eta=0.125, steps=2)
    >>> enclosure.times, bool(abs(enclosure.centres[1, 0] - np.exp(-0.125)) <= enclosure.radii[1])
    (array([0.   , 0.125, 0.25 ]), True)
    """

    times: Array
    centres: Array
    radii: Array


def enclose_flow(
    loss: Objective,
    start: ArrayLike,
    *,
    eta: float,
    steps: int,
    order: int = 0,
    degree: int = 8,
    substeps: int = 1,
) -> Enclosure:
    """Enclose gradient flow, or the equation of motion of an order, at the times ``0, eta, …, steps eta``.

    Parameters
    ----------
    loss : Objective
        Smooth; without softplus and erf.
    start : array_like, shape (n,)
    eta : float
    steps : int
    order : int
        Up to 12.
    degree : int
        Of Taylor's formula, up to 100.
    substeps : int
        Steps of the enclosure for each `eta`, up to 1000.

    Returns
    -------
    Enclosure

    Raises
    ------
    HypothesisError
        If no a-priori box is found, or the loss has no enclosure.

    Examples
    --------
    >>> import eomsym as eom
    >>> enclosure = enclose_flow(eom.Loss("x**2/2", variables="x"), [1.0], eta=0.125, steps=8)
    >>> bool(abs(enclosure.centres[-1, 0] - np.exp(-1)) <= enclosure.radii[-1] < 1e-11)
    True

    References
    ----------
    R. E. Moore, Interval Analysis (1966); W. Tucker, Validated Numerics (2011), chapter 6.
    """
    return _enclosed(*_checked(loss, start, eta, steps, order, degree, substeps))


def _checked(
    loss: Objective, start: ArrayLike, eta: float, steps: int, order: int, degree: int, substeps: int
) -> tuple[_Field, Array, float, int, int, int]:
    """The arguments of `_enclosed` from those of `enclose_flow`."""
    rate = checks.positive(eta, "eta")
    inner, terms = checks.count(substeps, "substeps", 1, MOST_INNER), checks.count(degree, "degree", 1, MOST_DEGREE)
    checks.instance(loss, "a loss", Objective, "eomsym.Loss('x**2', variables='x')")
    point = loss.validate(start)
    count = checked_steps(steps, len(point), rate)
    return _Field(loss, checks.order(order, HIGHEST_FLOW)), point, rate, count, terms, inner


def _enclosed(
    field: _Field, point: Array, eta: float, steps: int, degree: int, inner: int, patience: Patience | None = None
) -> Enclosure:
    """As `enclose_flow`."""
    centres, radii = [point], [0.0]
    with working():
        h, step = enclosed(eta) / inner, enclosed(eta)
        centre, radius = point, 0.0
        for _ in watched(range(steps), patience):
            for _ in range(inner):
                centre, radius = _advance(field, centre, radius, h, step, degree)
            centres.append(centre)
            radii.append(radius)
    return Enclosure(eta * np.arange(steps + 1.0), np.array(centres), np.array(radii))


def _advance(field: _Field, centre: Array, radius: float, h: Any, eta: Any, degree: int) -> tuple[Array, float]:
    """One step of the ball of `radius` around `centre`."""
    arb = load_flint().arb
    points = [enclosed(x) for x in centre]
    ball = [arb(float(x), radius) for x in centre]
    box = _a_priori(field, ball, h, eta)
    start = field.taylor(points, eta, degree - 1)
    remainder = field.taylor(box, eta, degree)[degree]
    ends = []
    for coefficients in zip(*start, remainder, strict=True):
        total = arb(0)
        for coefficient in reversed(coefficients):
            total = total * h + coefficient
        ends.append(total)
    moved = np.array([float(end.mid()) for end in ends])
    missed = _norm([end - enclosed(x) for end, x in zip(ends, moved, strict=True)])
    swell = enclosed(_largest_eigenvalue(field.jacobian(box, eta))) * h
    return moved, _above(swell.exp() * enclosed(radius) + enclosed(missed))


def _a_priori(field: _Field, ball: list[Any], h: Any, eta: Any) -> list[Any]:
    """A box that the motion cannot leave within the time h: ``ball + [0, h] f(box)`` lies inside of it."""
    arb = load_flint().arb
    span = h * arb(0.5, 0.5)
    box = ball
    for attempt in range(30):
        image = [x + span * f for x, f in zip(ball, field.velocity(box, eta), strict=True)]
        if attempt and all(wide.contains_interior(narrow) for wide, narrow in zip(box, image, strict=True)):
            return image
        # The image alone: a coordinate that has its box must not grow on, and others with it.
        box = [arb(x.mid(), 1.1 * x.rad() + 1e-300) for x in image]
    raise HypothesisError(
        "no bound: found no box that the motion stays in for one step; use a smaller eta or more substeps"
    )


def rigorous_distance(
    loss: Objective,
    start: ArrayLike,
    *,
    eta: float,
    steps: int,
    order: int = 0,
    degree: int = 8,
    substeps: int = 1,
    patience: Patience | None = None,
) -> Bound:
    """A machine-checked bound on the distance of gradient descent from the equation of motion, all rounding included.

    Both are enclosed: gradient descent in exact steps of Arb, the flow by `enclose_flow`.

    Parameters
    ----------
    loss, start, eta, steps, order, degree, substeps
        As for `enclose_flow`.
    patience : Patience, optional
        How long it may take.

    Returns
    -------
    Bound

    Raises
    ------
    HypothesisError
        As for `enclose_flow`.
    Stopped
        If it takes longer than it may.

    Examples
    --------
    >>> import eomsym as eom
    >>> bound = rigorous_distance(eom.Loss("x**2/2", variables="x"), [1.0], eta=0.125, steps=8)
    >>> true = np.exp(-1) - 0.875**8
    >>> bool(true <= bound.value <= true + 1e-11)
    True
    """
    enclosure = _enclosed(*_checked(loss, start, eta, steps, order, degree, substeps), patience)
    field = _Field(loss, 0)
    values = np.zeros(len(enclosure.times))
    with working():
        rate = enclosed(float(eta))
        theta = [enclosed(x) for x in enclosure.centres[0]]
        for k in range(1, len(values)):
            theta = [x + rate * f for x, f in zip(theta, field.velocity(theta, enclosed(0)), strict=True)]
            gap = _norm([x - enclosed(y) for x, y in zip(theta, enclosure.centres[k], strict=True)])
            values[k] = np.nextafter(gap + enclosure.radii[k], np.inf)
    return Bound(
        f"distance of gradient descent from {motion_name(order)} up to time {enclosure.times[-1]:.4g}",
        values,
        enclosure.times,
        (Hypothesis("the flow was enclosed", f"radius {enclosure.radii[-1]:.3g}"),),
        "eomsym.bounds.rigorous: enclosures by Arb",
        "rigorous",
        ("all rounding is included",),
    )
