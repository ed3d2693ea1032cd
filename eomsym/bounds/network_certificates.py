"""Certificates for deep linear networks: distances over thousands of steps, and the convergence of an instance."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from eomsym import checks
from eomsym.bounds.convergence import guarantee_convergence
from eomsym.bounds.prediction import predicted_distance
from eomsym.checks import shown
from eomsym.curvature.hessian import as_kernel
from eomsym.dynamics.descent import MOST_STEPS, descend
from eomsym.errors import HypothesisError, InputError
from eomsym.losses.network import DeepLinear
from eomsym.taylor.rings.balls import load_flint
from eomsym.types import Array

__all__ = ["CONVERGENCE", "NETWORK", "certify_convergence", "network_certificate"]

NETWORK, CONVERGENCE = "eomsym.network/1", "eomsym.convergence/1"
#: Share of the distance that the error of the enclosure may have at the end.
SHARE = 1e-3
#: Precision at which nothing more is tried, in bits.
MOST_BITS = 1 << 14
#: Points of the run at which growth and radii are looked up.
LOOKS = 20
#: A substep takes at most one part in so many of the time in which Taylor's formula converges.
RATIO = 4
#: Balls that are tried at most, each half as large again as the one before.
CANDIDATES = 40
#: The shortest substep for which a plan is made is the learning rate over it.
FINE = 256
#: Smaller distances than this are zero.
LEAST = 1e-60


def network_certificate(loss: Any, start: ArrayLike, *, eta: float, steps: int, order: int = 0) -> dict[str, Any]:
    """Prove a distance of gradient descent from its equation of motion for a deep linear network.

    Parameters
    ----------
    loss : DeepLinear, or its Kernel
        With squared error and without weight decay.
    start : array_like, shape (n,)
    eta : float
    steps : int
    order : {0, 1}

    Returns
    -------
    dict
        JSON: data, start, claim, and a radius for each substep; see `eomsym.bounds.checker_networks`.

    Raises
    ------
    InputError
        If the loss is no such network, or the order is above 1.
    HypothesisError
        If the motion cannot be enclosed.
    MissingDependencyError
        If python-flint is not installed.

    Examples
    --------
    >>> import eomsym as eom
    >>> loss = eom.DeepLinear((1, 1, 1), inputs=[[1.0]], targets=[[1.0]])
    >>> proof = network_certificate(loss, [0.5, 0.5], eta=0.125, steps=8)
    >>> round(float.fromhex(proof["claim"][-1]), 6)
    0.009337
    """
    network, given = _given(loss, start)
    rate, count, top = checks.positive(eta, "eta"), checks.count(steps, "steps", 1, MOST_STEPS), checks.order(order)
    if top > 1:
        raise InputError(f"order={shown(order)}: a certificate of a network knows the orders 0 and 1")
    theta = network.validate(start)
    path = descend(network, theta, eta=rate, steps=count, every=max(count // LOOKS, 1)).thetas
    likely = predicted_distance(network, theta, eta=rate, steps=count, order=top).norms[1:]
    proof = {"schema": NETWORK, **given, "eta": rate.hex(), "order": top}
    proof |= _plan(proof, network, path, rate, count, max(float(np.min(likely)), LEAST))
    return proof | _walked(proof, count)


def certify_convergence(
    loss: Any, start: ArrayLike, *, epsilon: float, eta: float | None = None, steps: int | None = None
) -> dict[str, Any]:
    """Prove that gradient descent on a deep linear network ends within `epsilon` of the smallest loss.

    Parameters
    ----------
    loss : DeepLinear, or its Kernel
        With squared error and without weight decay.
    start : array_like, shape (n,)
    epsilon : float
    eta : float, optional
    steps : int, optional
        Those of `eomsym.bounds.guarantee_convergence` by default, where that has an answer.

    Returns
    -------
    dict
        JSON: data, start, learning rate, steps and claim; see `eomsym.bounds.checker_convergence`. It holds for the
        numbers as they are: data that are white and a start that is balanced up to rounding.

    Raises
    ------
    InputError
        If the loss is no such network, or only one of `eta` and `steps` is given.
    HypothesisError
        If the loss does not end there, or the inputs do not span their space.

    Examples
    --------
    >>> loss = DeepLinear((2, 1, 1), inputs=[[2**0.5, 0.0], [0.0, 2**0.5]], targets=[[2**0.5], [0.0]])
    >>> proof = certify_convergence(loss, loss.pack(W1=[[0.48, 0.64]], W2=[[0.8]]), epsilon=0.01)
    >>> proof["steps"], float.fromhex(proof["epsilon"])
    (181, 0.01)
    """
    flint = load_flint()
    from eomsym.bounds.checker_convergence import end

    network, given = _given(loss, start)
    goal = checks.positive(epsilon, "epsilon")
    if (eta is None) != (steps is None):
        raise InputError(
            f"got eta={shown(eta)} and steps={shown(steps)}: give both, or neither and the guarantee chooses them"
        )
    if eta is None or steps is None:
        guarantee = guarantee_convergence(network, start, epsilon=goal)
        eta, steps = guarantee.eta, guarantee.steps
    rate, count = checks.positive(eta, "eta"), checks.count(steps, "steps", 1, MOST_STEPS)
    proof: dict[str, Any] = {"schema": CONVERGENCE, **given, "eta": rate.hex(), "steps": count, "epsilon": goal.hex()}
    before, bits = flint.ctx.prec, 128
    try:
        while bits <= MOST_BITS:
            excess = end(proof | {"bits": bits})
            if excess <= flint.arb(goal):
                return proof | {"bits": bits}
            if excess > flint.arb(goal):
                break
            bits *= 2
    except ZeroDivisionError as error:
        raise HypothesisError(
            "no certificate: needed inputs that span their space, got X^T X without inverse"
        ) from error
    finally:
        flint.ctx.prec = before
    raise HypothesisError(
        f"no certificate: needed a loss within epsilon = {goal:.4g} of its infimum, got {float(excess.mid()):.4g} "
        f"after {count} steps; use more steps or a larger epsilon"
    )


def _given(loss: Any, start: ArrayLike) -> tuple[DeepLinear, dict[str, Any]]:
    """The network, and its data and start as JSON."""
    network = as_kernel(loss).loss
    if not isinstance(network, DeepLinear) or network.loss != "mse" or network.weight_decay:
        raise InputError(
            "this certificate needs a DeepLinear network with squared error and no weight decay, got "
            f"{shown(network, 200)}"
        )
    weights = network.unpack(network.validate(start)).values()
    return network, {
        "inputs": _hexadecimal(network.inputs),
        "targets": _hexadecimal(network.targets),
        "start": [_hexadecimal(w) for w in weights],
    }


def _hexadecimal(matrix: Array) -> list[list[str]]:
    return [[float(x).hex() for x in row] for row in np.atleast_2d(matrix)]


def _plan(
    proof: dict[str, Any], network: DeepLinear, path: Array, eta: float, steps: int, least: float
) -> dict[str, int]:
    """Substeps, degree and precision for which the error of the enclosure stays below `least`."""
    flint = load_flint()
    from eomsym.bounds.checker_networks import Network, exact

    before, arb = flint.ctx.prec, flint.arb
    flint.ctx.prec = 64
    try:
        net = Network(proof["inputs"], proof["targets"], arb(exact(proof["eta"])), proof["order"])
        slow, growth = math.inf, 0.0  # the shortest rho, and what parts two motions
        for theta in path:
            at = net.bounds([flint.arb_mat(matrix.tolist()) for matrix in network.unpack(theta).values()])
            ball, speed, m = _ball(at, arb(eta) / FINE, arb(0))
            slow, growth = min(slow, float(ball / speed)), growth + 1.1 * float(m) * eta * steps / len(path)
    finally:
        flint.ctx.prec = before
    substeps = max(math.ceil(RATIO * eta / slow), 1)
    size = 2.0 ** math.ceil(math.log2(max(float(np.abs(path).max()), LEAST)))  # bits are those of the weights
    nats = max(growth - math.log(SHARE * least / (size * steps * substeps)), 1.0)
    degree = math.ceil(nats / math.log(substeps * slow / eta)) + 1
    bits = 64 + math.ceil(nats / math.log(2))
    return {"substeps": substeps, "degree": degree, "bits": bits, "run_bits": _run_bits(proof, steps, bits, size)}


def _run_bits(proof: dict[str, Any], steps: int, bits: int, size: float) -> int:
    """The precision at which the balls of gradient descent stay small for weights of this size."""
    flint = load_flint()
    from eomsym.bounds.checker_networks import Network, exact, length, matrix

    before, tried = flint.ctx.prec, bits
    try:
        while tried <= MOST_BITS:
            flint.ctx.prec = tried
            net = Network(proof["inputs"], proof["targets"], flint.arb(exact(proof["eta"])), 0)
            run = [flint.arb_mat(matrix(rows)) for rows in proof["start"]]
            for _ in range(steps):
                run = net.descend(run)
            lost = length(*(w - w.mid() for w in run))
            if lost < size * flint.arb(2) ** -(bits - 32):
                return tried
            tried *= 2
    finally:
        flint.ctx.prec = before
    raise HypothesisError(f"no certificate: {steps} steps lose more than {MOST_BITS} bits; use fewer steps")


def _ball(at: Any, h: Any, radius: Any) -> tuple[Any, Any, Any]:
    """The ball in which the motion stays longest, its speed there, and the growth where it comes within h."""
    arb = load_flint().arb
    best: tuple[Any, Any] | None = None
    size = ((radius + h * at(arb(0))[0]) * arb(1.01)).mid()
    for _ in range(CANDIDATES):
        size = (size * arb(1.5)).mid()
        speed = at(size)[0]
        if radius + h * speed <= size and (best is None or size * best[1] > best[0] * speed):
            best = size, speed
        elif best is not None:  # it was the best one: the speed is a polynomial with coefficients >= 0
            break
    if best is None:
        raise HypothesisError(
            "no certificate: found no ball that the motion stays in for one step; use a smaller eta, or start where "
            "the loss is smaller"
        )
    return *best, at(radius + h * best[1])[1]


def _walked(proof: dict[str, Any], steps: int) -> dict[str, Any]:
    """The claims, and the balls for which they hold."""
    flint = load_flint()
    from eomsym.bounds.checker_networks import walk

    before, balls = flint.ctx.prec, []

    def ball(number: int, net: Any, centre: Any, radius: Any, h: Any) -> Any:
        chosen = float(_ball(net.bounds(centre), h, radius)[0])
        balls.append(chosen.hex())
        return flint.arb(chosen)

    try:
        claim = [0.0]
        for gap in walk(proof, steps, ball):
            claim.append(float(np.nextafter(float(gap.upper()), np.inf)))
            if not math.isfinite(claim[-1]):
                raise HypothesisError("no certificate: an enclosure became infinite; use fewer steps or a smaller eta")
    finally:
        flint.ctx.prec = before
    return {"claim": [x.hex() for x in claim], "balls": balls}
