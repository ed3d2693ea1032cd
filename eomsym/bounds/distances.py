"""How far gradient descent is from gradient flow and from the equation of motion of any order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from eomsym import checks
from eomsym.bounds.bound import Bound, Hypothesis, checked_certificate, motion_name
from eomsym.bounds.measured import measured_distances
from eomsym.bounds.proven import proven_distances
from eomsym.bounds.tubes import tube_distances
from eomsym.curvature.closed_form import checked_curvature
from eomsym.curvature.hessian import Curvature, as_kernel
from eomsym.dynamics.descent import MOST_STEPS, checked_steps, descend
from eomsym.dynamics.patience import Patience
from eomsym.errors import HypothesisError, InputError
from eomsym.types import Array

if TYPE_CHECKING:
    from eomsym.codegen.kernel import Kernel
    from eomsym.losses.objective import Objective

__all__ = ["CERTIFICATES", "distance", "proven_values"]

CERTIFICATES = ("measured", "proven", "closed_form", "rigorous")
THEOREM = "eomsym, derivations/fundamental_theorem"


def distance(
    loss: Objective | Kernel,
    start: ArrayLike,
    *,
    eta: float,
    steps: int,
    order: int = 0,
    certificate: str = "measured",
    curvature: Curvature | None = None,
    **options: Any,
) -> Bound:
    """Bound the distance of gradient descent from gradient flow, or from the equation of motion of an order.

    Parameters
    ----------
    loss : Objective or Kernel
        A loss; a kernel of gradient descent stands for its loss.
    start : array_like, shape (n,)
    eta : float
        Learning rate.
    steps : int
    order : int
        ``K`` of the equation of motion; 0 is gradient flow.
    certificate : {"measured", "proven", "closed_form", "rigorous"}
        * ``"measured"``: the equation of motion is integrated, what it misses the next iterate by is measured at each
          step, and its growth is bounded. Sharp. The rounding of run and motion is bounded; the error of the integrator
          is measured by halving its steps.
        * ``"proven"``: as sharp, and the error of the integrator is bounded too, by closed forms for the derivatives on
          small balls along the motion. From order 1 on the closed form of a network or of a polynomial is needed; at
          order 0 without one this is ``"closed_form"``.
        * ``"closed_form"``, a priori: nothing is integrated, closed forms bound the defects around the run. Loose for
          large steps.
        * ``"rigorous"``: both are enclosed in balls of python-flint, for small smooth losses.
    curvature : Curvature, optional
        Bounds on the Hessian; the closed form of the loss by default. An estimate gives an estimate. Not for
        ``"rigorous"``.
    **options
        ``degree`` and ``substeps`` of ``"rigorous"``, see `eomsym.bounds.rigorous.enclose_flow`.

    Returns
    -------
    Bound
        At the times ``0, eta, …``. It holds for exact gradient descent with the learning rate `eta`; unless it is
        rigorous, for the run in float64 as well.

    Raises
    ------
    InputError
        If an argument cannot be used.
    HypothesisError
        If the distance grows without limit or leaves the domain of the curvature: then there is no bound.
    DivergenceError
        If the run, or for ``"measured"`` the motion, leaves the finite numbers.
    MissingDependencyError
        ``"rigorous"`` without python-flint.

    Examples
    --------
    >>> import eomsym as eom
    >>> loss = eom.DeepLinear((1, 1, 1, 1), inputs=[[1.0]], targets=[[1.0]])
    >>> run = {"eta": 0.01, "steps": 200, "order": 1}
    >>> bound = eom.bounds.distance(loss, [0.3, 0.3, 0.3], **run)
    >>> f"{bound.value:.2e}", bound.certificate
    ('1.34e-05', 'measured')
    >>> for certificate in ("proven", "closed_form"):
    ...     print(f"{eom.bounds.distance(loss, [0.3, 0.3, 0.3], **run, certificate=certificate).value:.2e}")
    1.34e-05
    1.41e-05

    References
    ----------
    O. Elkabetz and N. Cohen, Continuous vs. Discrete Optimization of Deep Neural Networks, NeurIPS 2021,
    arXiv:2107.06608, theorem 2; here its discrete twin, of derivations/fundamental_theorem.
    """
    kind = checked_certificate(certificate, CERTIFICATES)
    rate, order, count = checks.positive(eta, "eta"), checks.order(order), checks.count(steps, "steps", 1, MOST_STEPS)
    if kind == "rigorous":
        if curvature is not None:
            raise InputError("certificate='rigorous' encloses the Hessian itself; leave out curvature")
        from eomsym.bounds.rigorous import rigorous_distance

        return rigorous_distance(as_kernel(loss).loss, start, eta=rate, steps=count, order=order, **options)
    if options:
        raise InputError(f"unknown options {', '.join(options)} of the {kind} distance; it has none")
    kernel = as_kernel(loss, order + 1 if kind == "closed_form" and order else order)
    known = checked_curvature(kernel.loss, curvature)
    theta = kernel.loss.validate(start)
    checked_steps(count, len(theta), rate)
    notes: tuple[str, ...] = ()
    around, source = "the motion", THEOREM
    if kind == "measured":
        values, error = measured_distances(kernel, known, theta, rate, count)
        notes = (f"of it {error:.1e} is for rounding and the integrator, whose error is measured by halving its steps",)
    else:
        thetas = descend(kernel, theta, eta=rate, steps=count).thetas
        along = kind == "proven" and _has_derivatives(known, theta, order)
        values = (tube_distances if along else proven_distances)(kernel, known, thetas, rate, order)
        around = "the motion" if along else "the run"
        source += " and derivations/best_truncation" if along or order else ""
    hypotheses = (
        Hypothesis(
            f"each ball around {around} lies in the domain of the curvature", f"radii up to {np.max(values):.4g}"
        ),
        Hypothesis("curvature", known.source),
    )
    times = rate * np.arange(count + 1.0)
    claim = f"distance of gradient descent from {motion_name(order)} up to time {times[-1]:.4g}"
    return Bound(claim, values, times, hypotheses, source, kind if known.proven else "estimated", notes)


def proven_values(
    kernel: Kernel,
    known: Curvature,
    start: Array,
    eta: float,
    steps: int,
    order: int,
    limit: float = np.inf,
    *,
    patience: Patience | None = None,
) -> Array:
    """The bounds of the certificate ``"proven"``, up to the first above a limit.

    Parameters
    ----------
    kernel : Kernel
        To the order ``order + 1``, at order 0 any.
    known : Curvature
    start : ndarray, shape (n,)
    eta : float
    steps, order : int
    limit : float
        Of the distance.
    patience : Patience, optional
        How long it may take.

    Raises
    ------
    Stopped
        If it takes longer than it may.

    Examples
    --------
    >>> import eomsym as eom
    >>> kernel = eom.compile(eom.Loss("x**2/2", variables="x"), 0)
    >>> proven_values(kernel, checked_curvature(kernel.loss, None), np.array([1.0]), 0.1, 2, 0).round(4)
    array([0.    , 0.0048, 0.0087])
    """
    thetas = descend(kernel, start, eta=eta, steps=steps).thetas
    if _has_derivatives(known, start, order):
        return tube_distances(kernel, known, thetas, eta, order, limit, patience)
    return proven_distances(kernel, known, thetas, eta, order, limit, patience)


def _has_derivatives(known: Curvature, theta: Array, order: int) -> bool:
    """Whether all derivatives are bounded; only at order 0 there is a theorem that needs none."""
    try:
        known.at(theta).derivatives()
    except HypothesisError:
        if order > 0:
            raise
        return False
    return True
