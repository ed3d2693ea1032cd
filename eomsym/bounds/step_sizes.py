"""Learning rates that keep gradient descent within a distance of gradient flow, or of the equation of motion."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import exprel

from eomsym import checks
from eomsym.bounds.bound import Hypothesis, StepSize, checked_certificate, motion_name, require
from eomsym.bounds.distances import CERTIFICATES, THEOREM, proven_values
from eomsym.bounds.measured import measured_distances
from eomsym.bounds.prediction import predicted_rate
from eomsym.bounds.proven import proven_distances
from eomsym.bounds.rigorous import rigorous_distance
from eomsym.bounds.rounding import outward
from eomsym.curvature.closed_form import checked_curvature
from eomsym.curvature.hessian import Curvature, as_kernel
from eomsym.dynamics.descent import descend
from eomsym.dynamics.flow import flow
from eomsym.dynamics.patience import Patience, Stopped
from eomsym.errors import DivergenceError, HypothesisError, InputError, TableError

if TYPE_CHECKING:
    from eomsym.codegen.kernel import Kernel
    from eomsym.losses.objective import Objective

__all__ = ["step_size"]

PAPER = "Elkabetz and Cohen (2021), arXiv:2107.06608, section 3"
#: Pieces of time in which the theorem of Elkabetz and Cohen bounds the tube.
CELLS = 200
#: The rate at which a search begins is a guess, worth this share of the time.
GUESS = 4.0
#: A step of any bound takes longer, in seconds.
SHORTEST = 1e-5


def step_size(
    loss: Objective | Kernel,
    start: ArrayLike,
    *,
    time: float,
    epsilon: float,
    order: int = 0,
    certificate: str = "measured",
    curvature: Curvature | None = None,
    most_steps: int = 20_000,
    limit: float = 60.0,
) -> StepSize:
    """Find a large learning rate that keeps gradient descent within `epsilon` of its equation of motion up to a time.

    Parameters
    ----------
    loss : Objective or Kernel
    start : array_like, shape (n,)
    time, epsilon : float
        Gradient descent is to stay within the distance `epsilon` up to this time.
    order : int
        ``K`` of the equation of motion; 0 is gradient flow.
    certificate : {"measured", "proven", "closed_form", "rigorous", "theorem", "predicted"}
        * ``"measured"``, ``"proven"``, ``"closed_form"``, ``"rigorous"``: among the rates ``time/k`` the smallest
          number of steps k is sought for which `eomsym.bounds.distance` of this certificate stays below `epsilon`. The
          claim is for this rate; of smaller ones it says nothing.
        * ``"theorem"``: that of Elkabetz and Cohen, with the numbers of the whole tube of radius `epsilon` around
          gradient flow. It holds for all smaller rates too; many times smaller than what the search finds; order 0.
        * ``"predicted"``: no guarantee; there the leading error is `epsilon`, ``(epsilon/|v(time)|)**(1/(K+1))``.
    curvature : Curvature, optional
        The closed form of the loss by default.
    most_steps : int
        No more are tried.
    limit : float
        Seconds of CPU time of this process that it may take. A search that is stopped gives the largest rate that held
        so far, and `notes` say so.

    Returns
    -------
    StepSize

    Raises
    ------
    InputError
        If an argument cannot be used.
    HypothesisError
        If there is no such rate, or none with `most_steps`.
    DivergenceError
        If the motion, or for ``"predicted"`` gradient flow, leaves the finite numbers; or the limit is reached before
        any rate is found.

    Examples
    --------
    >>> import eomsym as eom
    >>> loss = eom.DeepLinear((1, 1, 1), inputs=[[1.0]], targets=[[1.0]])  # (w1 w2 - 1)**2/2
    >>> for certificate in ("theorem", "closed_form", "proven", "predicted"):
    ...     found = eom.bounds.step_size(loss, [0.5, 0.5], time=2.0, epsilon=0.02, certificate=certificate)
    ...     print(f"{certificate:12}{found.eta:.4f} {found.steps:4d} {found.proven}")
    theorem     0.0101  198 True
    closed_form 0.0645   31 True
    proven      0.1818   11 True
    predicted   0.2788    8 False

    References
    ----------
    O. Elkabetz and N. Cohen (2021), arXiv:2107.06608, theorem 2; the discrete theorem of
    derivations/fundamental_theorem.
    """
    kind = checked_certificate(certificate, (*CERTIFICATES, "theorem", "predicted"))
    eps, duration, order = checks.positive(epsilon, "epsilon"), checks.positive(time, "time"), checks.order(order)
    most, patience = checks.count(most_steps, "most_steps", 1), Patience(checks.positive(limit, "limit", 60.0))
    kernel = as_kernel(loss, order and order + 1)
    theta = kernel.loss.validate(start)
    if kind == "predicted":
        rate, notes = predicted_rate(kernel, theta, eps, duration, order, patience.limit)
        claim = f"learning rate at which the leading error of {motion_name(order)} at time {duration:.4g} is {eps:.4g}"
        return StepSize(claim, rate, duration, eps, order, (), "eomsym.leading_error", kind, ("a prediction", *notes))
    if kind == "theorem":
        if order > 0:
            raise InputError(f"certificate='theorem' is for order 0, got order={order}; use 'measured' or 'proven'")
        return _theorem(kernel, checked_curvature(kernel.loss, curvature), theta, duration, eps, patience.limit)
    if kind == "rigorous":
        if curvature is not None:
            raise InputError("certificate='rigorous' encloses the Hessian itself; leave out curvature")
        proven, source = True, "enclosures by Arb"
    else:
        known = checked_curvature(kernel.loss, curvature)
        proven, source = known.proven, known.source

    def largest(steps: int) -> float:
        """The bound of the distance with a number of steps; above `epsilon` it may stop early."""
        _check_affordable(steps, patience)
        eta = duration / steps
        if kind == "rigorous":
            return rigorous_distance(kernel.loss, theta, eta=eta, steps=steps, order=order, patience=patience).largest
        if kind == "measured":
            return float(measured_distances(kernel.at_order(order), known, theta, eta, steps, eps, patience)[0].max())
        if kind == "proven":
            return float(proven_values(kernel, known, theta, eta, steps, order, eps, patience=patience).max())
        thetas = descend(kernel, theta, eta=eta, steps=steps).thetas
        return float(proven_distances(kernel, known, thetas, eta, order, eps, patience).max())

    if kind in {"proven", "closed_form"} and order > 0:
        known.at(theta).derivatives()  # where there are none, more steps do not help: the error says so at once
    try:
        promising, _ = predicted_rate(kernel, theta, eps, duration, order, patience.limit / GUESS)
    except DivergenceError:
        promising = 0.0
    promising = (
        promising or duration
    )  # where nothing is known, or the prediction underflows, one step is the first guess
    good, stopped = _fewest_steps(largest, eps, int(np.clip(np.ceil(duration / promising), 1, most)), most)
    hypotheses = (
        Hypothesis("the bound of the distance stays below epsilon", f"{good} steps, epsilon = {eps:.4g}"),
        Hypothesis("curvature", source),
    )
    claim = f"learning rate that keeps gradient descent within {eps:.4g} of {motion_name(order)} up to {duration:.4g}"
    notes = (stopped,) if stopped else ()
    return StepSize(
        claim, duration / good, duration, eps, order, hypotheses, THEOREM, kind if proven else "estimated", notes,
        stopped,
    )  # fmt: skip


def _check_affordable(steps: int, patience: Patience) -> None:
    """Stop where there is no time for so many steps, before the memory for them is asked for."""
    patience.check(0.0, f"the bound with {steps:,} steps")
    if steps * SHORTEST > patience.limit - patience.spent:
        raise Stopped(
            f"{steps:,} steps take more than {steps * SHORTEST:.2g} s of CPU time, with limit={patience.limit:g}; take "
            "a larger epsilon, an earlier time, or a larger limit",
            0,
        )


def _fewest_steps(largest: Callable[[int], float], epsilon: float, first: int, limit: int) -> tuple[int, str]:
    """A number of steps with ``largest(steps) <= epsilon`` such that 2 % fewer, or one less, do not hold.

    Or the fewest that were found to hold, and why the search was stopped.
    """
    refusals: list[str] = []

    def held(steps: int) -> bool:
        try:
            reached = largest(steps)
        except Stopped:
            raise
        except (HypothesisError, DivergenceError, TableError) as error:
            refusals.append(f"with {steps} steps: {error}")
            return False
        if reached > epsilon:
            refusals.append(f"with {steps} steps the bound reaches {reached:.4g}")
        return reached <= epsilon

    steps, failed, good = first, 0, 0  # the most steps known to fail below `good`, the fewest known to hold
    try:
        while not good:
            if held(steps):
                good = steps
            elif steps == limit:
                raise HypothesisError(
                    f"no bound: needed a distance below epsilon = {epsilon:.4g}, got {refusals[-1]}; use a larger "
                    "epsilon, an earlier time or more of most_steps"
                )
            else:
                failed, steps = steps, min(int(np.ceil(1.5 * steps)), limit)
        while not failed and good > 1:
            steps = max(int(good / 1.5), 1)
            if held(steps):
                good = steps
            else:
                failed = steps
        while good - failed > max(1, good // 50):
            steps = (good + failed) // 2
            if held(steps):
                good = steps
            else:
                failed = steps
    except Stopped as stopped:
        if not good:
            raise Stopped(f"no learning rate was found: {stopped}", stopped.step) from stopped
        return good, f"a larger rate may hold: the search between {failed} and {good} steps was stopped; {stopped}"
    return good, ""


def _theorem(kernel: Kernel, known: Curvature, theta: Any, time: float, eps: float, limit: float) -> StepSize:
    """The theorem of Elkabetz and Cohen: any ``eta < inf_t eps/(beta_t gamma_t int_0^t exp(int_s^t m) ds)`` will do.

    ``m``, ``beta`` and ``gamma`` are those on the tube of radius `eps` around gradient flow. Between two times gradient
    flow moves by at most ``sqrt(dt (L(s) - L(t)))``, so the tube is covered by balls.
    """
    path = flow(kernel.at_order(0), theta, time=np.linspace(0.0, time, CELLS + 1), rtol=1e-10, atol=1e-12, limit=limit)
    heights = np.array([kernel.loss.value(theta) for theta in path.thetas])
    h = time / CELLS
    beta = gamma = integral = 0.0
    allowed = np.inf
    for i, theta in enumerate(path.thetas[:-1]):
        # The difference of two losses is rounded.
        fallen = max(heights[i] - heights[i + 1], 0.0) + 4e-16 * max(abs(heights[i]), abs(heights[i + 1]))
        moved = float(np.sqrt(h * fallen))
        ball = known.at(theta).spectrum(eps + moved + 2 * path.error)
        beta, gamma, m = max(beta, ball.smoothness), max(gamma, ball.slope), ball.growth
        # m is constant on the piece, so it is monotone there.
        with np.errstate(over="ignore", invalid="ignore"):
            after = outward(np.exp(m * h) * integral + h * exprel(m * h))
        if beta * gamma > 0:
            allowed = min(allowed, float(eps / outward(beta * gamma * max(integral, after))))
        integral = after
    hypotheses = (
        require(bool(np.isfinite(integral)), "m(t) integrable", f"int exp(int m) = {integral:.4g}"),
        Hypothesis("the eps-tube lies in the domain of the curvature", f"eps = {eps:.4g}"),
        Hypothesis("beta, gamma on the tube", f"{beta:.4g}, {gamma:.4g}"),
    )
    claim = f"largest learning rate that keeps gradient descent within {eps:.4g} of gradient flow up to {time:.4g}"
    note = f"gradient flow was integrated numerically; twice its measured error of {path.error:.1e} widens the tube"
    certificate = "theorem" if known.proven else "estimated"
    return StepSize(
        claim, allowed, time, eps, 0, hypotheses, f"{PAPER}; {known.source}", certificate, (note,)
    )  # fmt: skip
