"""Which closed form of the curvature belongs to a loss."""

from __future__ import annotations

from typing import Any

from eomsym.curvature.hessian import Curvature
from eomsym.curvature.networks import NetworkCurvature
from eomsym.curvature.polynomials import PolynomialCurvature
from eomsym.errors import InputError
from eomsym.losses.expression import Loss
from eomsym.losses.objective import Objective

__all__ = ["checked_curvature", "curvature_of", "hessian_floor"]


def curvature_of(loss: Objective, *, sharp: bool = True) -> Curvature:
    """The closed-form curvature of a network, or of a polynomial loss.

    Parameters
    ----------
    loss : DeepLinear, Network with activation ``"linear"``, ``"relu"`` or ``"leaky_relu"``, without biases, or Loss
        A loss given by an expression must be a polynomial.
    sharp : bool
        For networks of up to 400 parameters: also use the spectrum at the centre and a bound on the third derivative,
        which is much sharper on small balls.

    Returns
    -------
    Curvature

    Raises
    ------
    HypothesisError
        If no closed form is known for the loss.

    Examples
    --------
    >>> import eomsym as eom
    >>> loss = eom.DeepLinear((1, 1, 1), inputs=[[1.0]], targets=[[1.0]])
    >>> round(curvature_of(loss, sharp=False).at(loss.validate([0.0, 0.0])).spectrum(0.0).lower, 9)
    -1.0
    """
    if isinstance(loss, Loss):
        return PolynomialCurvature(loss)
    return NetworkCurvature(loss, sharp=sharp)


def hessian_floor(loss: Any, theta: Any) -> float:
    """Lower bound on the smallest eigenvalue of the Hessian of a deep linear or homogeneous network.

    For ``L = phi(W_n ⋯ W_1)`` with ``phi`` convex::

        lambda_min >= -(n-1) |grad phi|_F  max over |J| = n-2 of  prod_(j in J) |W_j|

    (plus the weight decay); for a homogeneous activation with slopes at most ``a``, inside one activation region,
    ``|grad phi|_F`` is replaced by ``a**(n-1)`` times the mean over samples of ``|grad l_i| |x_i|``.

    Parameters
    ----------
    loss : DeepLinear or Network
    theta : array_like, shape (n,)

    Returns
    -------
    float

    Raises
    ------
    HypothesisError
        If no closed form is known for the loss, or `theta` lies on the border of an activation region.

    Examples
    --------
    >>> import eomsym as eom
    >>> loss = eom.DeepLinear((1, 1, 1, 1), inputs=[[1.0]], targets=[[1.0]])
    >>> round(hessian_floor(loss, [0.1, 0.2, 0.3]), 6)
    -0.5964

    References
    ----------
    O. Elkabetz and N. Cohen (2021), arXiv:2107.06608, section 4, the lemmas on the Hessian of a deep linear and of a
    homogeneous network.
    """
    return curvature_of(loss, sharp=False).at(loss.validate(theta)).spectrum(0.0).lower


def checked_curvature(loss: Objective, curvature: Curvature | None) -> Curvature:
    """`curvature`, or the closed form of the loss."""
    if curvature is None:
        return curvature_of(loss)
    if not isinstance(curvature, Curvature):
        raise InputError(
            f"curvature must be a Curvature such as GivenCurvature(lower, upper, slope), got {type(curvature).__name__}"
        )
    return curvature
