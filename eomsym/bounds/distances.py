"""How far gradient descent is from gradient flow and from the equation of motion of any order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from eomsym import checks
from eomsym.bounds.bound import Bound, Hypothesis, checked_certificate, motion_name
from eomsym.bounds.measured import measured_distances
from eomsym.bounds.proven import proven_distances
from eomsym.curvature.closed_form import checked_curvature
from eomsym.curvature.hessian import Curvature, as_kernel
from eomsym.dynamics.descent import descend
from eomsym.errors import InputError

if TYPE_CHECKING:
    from eomsym.codegen.kernel import Kernel
    from eomsym.losses.objective import Objective

__all__ = ["CERTIFICATES", "distance"]

CERTIFICATES = ("measured", "proven", "rigorous")
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
    certificate : {"measured", "proven", "rigorous"}
        * ``"measured"``, a posteriori: the equation of motion is integrated, what it misses the next iterate by is
          measured at each step, and its growth is bounded. Sharp. The rounding of run and motion is bounded; the error
          of the integrator is measured by halving its steps.
        * ``"proven"``, a priori: nothing is integrated, closed forms bound the defects around the run. From order 1 on
          the closed form of a network or of a polynomial is needed.
        * ``"rigorous"``: both are enclosed in balls of python-flint, for small smooth losses.
    curvature : Curvature, optional
        Bounds on the Hessian; the closed form of the loss by default. An estimate gives an estimate. Not for
        ``"rigorous"``.
    **options
        ``degree`` and ``substeps`` of ``"rigorous"``, see `eomsym.bounds.rigorous.enclose_flow`.

    Returns
    -------
    Bound
        At the times ``0, eta, …``. It holds for exact gradient descent with the learning rate `eta`; where it is
        measured or proven, for the run in float64 as well.

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
    >>> f"{eom.bounds.distance(loss, [0.3, 0.3, 0.3], **run, certificate='proven').value:.2e}"
    '1.41e-05'

    References
    ----------
    O. Elkabetz and N. Cohen, Continuous vs. Discrete Optimization of Deep Neural Networks, NeurIPS 2021,
    arXiv:2107.06608, theorem 2; here its discrete twin, of derivations/fundamental_theorem.
    """
    kind = checked_certificate(certificate, CERTIFICATES)
    rate, order, count = checks.positive(eta, "eta"), checks.order(order), checks.count(steps, "steps", 1)
    if kind == "rigorous":
        if curvature is not None:
            raise InputError("certificate='rigorous' encloses the Hessian itself; leave out curvature")
        from eomsym.bounds.rigorous import rigorous_distance

        return rigorous_distance(as_kernel(loss).loss, start, eta=rate, steps=count, order=order, **options)
    if options:
        raise InputError(f"unknown options {', '.join(options)} of the {kind} distance; it has none")
    kernel = as_kernel(loss, order if kind == "measured" else order and order + 1)
    known = checked_curvature(kernel.loss, curvature)
    theta = kernel.loss.validate(start)
    notes: tuple[str, ...] = ()
    if kind == "measured":
        values, error = measured_distances(kernel, known, theta, rate, count)
        around, source = "the motion", THEOREM
        notes = (f"of it {error:.1e} is for rounding and the integrator, whose error is measured by halving its steps",)
    else:
        values = proven_distances(kernel, known, descend(kernel, theta, eta=rate, steps=count).thetas, rate, order)
        around, source = "the run", THEOREM + ("" if order == 0 else " and derivations/best_truncation")
    hypotheses = (
        Hypothesis(
            f"each ball around {around} lies in the domain of the curvature", f"radii up to {np.max(values):.4g}"
        ),
        Hypothesis("curvature", known.source),
    )
    times = rate * np.arange(count + 1.0)
    claim = f"distance of gradient descent from {motion_name(order)} up to time {times[-1]:.4g}"
    return Bound(claim, values, times, hypotheses, source, kind if known.proven else "estimated", notes)
