"""Certificates: proofs as data that `eomsym.bounds.checker`, or a program of one's own, checks again."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy
from numpy.typing import ArrayLike

from eomsym import checks
from eomsym.bounds.bound import motion_name
from eomsym.bounds.formula_certificates import FORMULA
from eomsym.bounds.network_certificates import CONVERGENCE, NETWORK, network_certificate
from eomsym.bounds.rigorous import MOST_DEGREE, MOST_INNER
from eomsym.checks import shown
from eomsym.curvature.hessian import as_kernel
from eomsym.dynamics.descent import MOST_STEPS
from eomsym.errors import HypothesisError, InputError
from eomsym.losses.expression import Loss
from eomsym.losses.network import DeepLinear
from eomsym.taylor.rings.balls import load_flint
from eomsym.types import Array

if TYPE_CHECKING:
    from eomsym.codegen.kernel import Kernel
    from eomsym.losses.objective import Objective

__all__ = ["certificate", "check_certificate", "claim_of"]

SCHEMA = "eomsym.certificate/1"
MOST_SUBSTEPS = 64
#: The program that checks a certificate, by its schema.
CHECKERS = {
    SCHEMA: "eomsym.bounds.checker",
    NETWORK: "eomsym.bounds.checker_networks",
    CONVERGENCE: "eomsym.bounds.checker_convergence",
    FORMULA: "eomsym.bounds.checker_formulas",
}


def certificate(
    loss: Objective | Kernel,
    start: ArrayLike,
    *,
    eta: float,
    steps: int,
    order: int = 0,
    degree: int = 10,
    substeps: int | None = None,
) -> dict[str, Any]:
    """Prove a distance of gradient descent from its equation of motion, with everything that is needed to check it.

    Parameters
    ----------
    loss : Loss or DeepLinear, or its Kernel
        A polynomial with rational coefficients, or a network with squared error; without weight decay.
    start : array_like, shape (n,)
    eta : float
    steps : int
    order : {0, 1, 2}
        Of a network 0 or 1.
    degree : int
        Of Taylor's formula, for a polynomial; for a network it is chosen.
    substeps : int, optional
        Steps of the enclosure for each `eta`, for a polynomial; as many as it takes by default, up to 64.

    Returns
    -------
    dict
        JSON: loss, start, claim, and for each substep of a polynomial a centre, a radius, a box and a growth, of a
        network a radius.

    Raises
    ------
    InputError
        If the loss is neither, or the order is too high.
    HypothesisError
        If no box is found in which the motion stays for a substep.
    MissingDependencyError
        If python-flint is not installed.

    Examples
    --------
    >>> import eomsym as eom
    >>> proof = certificate(eom.Loss("x**2/2", variables="x"), [1.0], eta=0.125, steps=8)
    >>> distances = check_certificate(proof)
    >>> bool(0 <= distances[-1] - (np.exp(-1) - 0.875**8) < 1e-12)
    True
    """
    load_flint()
    kernel = as_kernel(loss)
    if isinstance(kernel.loss, DeepLinear):
        return network_certificate(kernel, start, eta=eta, steps=steps, order=order)
    rate, count, top = checks.positive(eta, "eta"), checks.count(steps, "steps", 1, MOST_STEPS), checks.order(order)
    terms, theta, inner = _terms(kernel.loss), kernel.loss.validate(start), 1
    if top > 2:
        raise InputError(f"order={shown(order)}: a certificate knows the orders 0, 1 and 2")
    numbers = {"eta": rate.hex(), "order": top, "degree": checks.count(degree, "degree", 1, MOST_DEGREE)}
    if substeps is not None:
        return _proof(terms, theta, numbers | {"substeps": checks.count(substeps, "substeps", 1, MOST_INNER)}, count)
    while True:
        try:
            return _proof(terms, theta, numbers | {"substeps": inner}, count)
        except HypothesisError:
            if inner >= MOST_SUBSTEPS:
                raise
            inner *= 4


def _proof(terms: list[Any], theta: Array, numbers: dict[str, Any], count: int) -> dict[str, Any]:
    """The certificate of a polynomial."""
    flint = load_flint()
    from eomsym.bounds.checker import DIGITS, Field, definite, length, value

    arb, precision, cap = flint.arb, flint.ctx.prec, flint.ctx.cap
    flint.ctx.prec = DIGITS
    try:
        exact = flint.fmpq(*float.fromhex(numbers["eta"]).as_integer_ratio())
        field, inner = Field(terms, len(theta), exact, numbers["order"]), numbers["substeps"]
        h = arb(exact) / inner
        claim, entries = [0.0], []
        centre, radius = theta, 0.0
        run = [arb(float(x)) for x in theta]
        for number in range(1, count * inner + 1):
            box = _box(field, centre, radius, h, flint)
            balls = [arb(mid, rad) for mid, rad in box]
            growth = _growth(field.symmetric(balls), definite, arb)
            ends = field.end([arb(float(x)) for x in centre], balls, h, numbers["degree"])
            after = np.array([float(end.mid()) for end in ends])
            missed = length([end - arb(float(x)) for end, x in zip(ends, after, strict=True)])
            radius = _above((arb(growth) * h).exp() * radius + missed)
            centre = after
            entries.append(
                {
                    "box": [[mid.hex(), rad.hex()] for mid, rad in box],
                    "growth": growth.hex(),
                    "centre": [float(x).hex() for x in centre],
                    "radius": radius.hex(),
                }
            )
            if number % inner == 0:
                slopes = [value(p, run) for p in field.gradient]
                run = [x - arb(exact) * g for x, g in zip(run, slopes, strict=True)]
                claim.append(_above(length([x - arb(float(y)) for x, y in zip(run, centre, strict=True)]) + radius))
    finally:
        flint.ctx.prec, flint.ctx.cap = precision, cap
    found = {"schema": SCHEMA, "loss": terms, "start": [float(x).hex() for x in theta], **numbers}
    return found | {"claim": [x.hex() for x in claim], "steps": entries}


def check_certificate(proof: Mapping[str, Any]) -> list[float]:
    """Check a certificate with python-flint, or Python alone: nothing that made it is used.

    Parameters
    ----------
    proof : mapping
        As from `certificate`, `certify_convergence` or `certify_formula`, or read from its JSON.

    Returns
    -------
    list of float
        What is proven: the distances after 0, 1, … steps, the one excess of the loss, or the one order of a formula.

    Raises
    ------
    HypothesisError
        If anything in it does not hold; the message names the step.
    InputError
        If it is no certificate: the schema is another, or a key is missing.

    Examples
    --------
    >>> import json
    >>> import eomsym as eom
    >>> proof = certificate(eom.Loss("x**2/2", variables="x"), [1.0], eta=0.5, steps=1, order=1)
    >>> [round(x, 4) for x in check_certificate(json.loads(json.dumps(proof)))]
    [0.0, 0.0353]
    """
    schema = proof.get("schema") if isinstance(proof, Mapping) else None
    if schema not in CHECKERS:
        raise InputError(f"no certificate: its schema is {shown(schema)}, expected one of {', '.join(CHECKERS)}")
    if schema != FORMULA:
        load_flint()
    try:
        found: list[float] = import_module(CHECKERS[schema]).check(dict(proof))
        return found
    except KeyError as error:
        raise InputError(f"no certificate: the key {error} of {schema} is missing; write it again") from error
    except (ValueError, TypeError, IndexError, ArithmeticError, AttributeError) as error:
        raise HypothesisError(f"{error}" if "does not hold" in str(error) else f"no certificate: {error!r}") from error


def claim_of(proof: Mapping[str, Any], found: list[float]) -> str:
    """What a certificate that holds says, in one line.

    Parameters
    ----------
    proof : mapping
    found : list of float
        As from `check_certificate`.

    Examples
    --------
    >>> from eomsym.bounds.formula_certificates import certify_formula
    >>> claim_of(proof := certify_formula(2), check_certificate(proof))
    'the counter terms of gradient descent to order 2'
    """
    if proof["schema"] == FORMULA:
        return f"the counter terms of {proof['method'].get('name', 'the method')} to order {found[0]}"
    if proof["schema"] == CONVERGENCE:
        return f"the loss ends within {found[0]:.4g} of its infimum after {proof['steps']} steps"
    return f"distance {found[-1]:.6g} from {motion_name(int(proof['order']))} after {len(found) - 1} steps"


def _terms(loss: Objective) -> list[Any]:
    """A polynomial loss as exponents and fractions."""
    try:
        if not isinstance(loss, Loss) or loss.weight_decay:
            raise sympy.PolynomialError
        known = sympy.Poly(loss.expression, *loss.variables).terms()
        if not all(number.is_Rational for _, number in known):
            raise sympy.PolynomialError
    except sympy.PolynomialError as error:
        raise InputError(
            f"a certificate needs a polynomial with rational coefficients and no weight decay, got {shown(loss, 200)}"
        ) from error
    return [[list(map(int, powers)), f"{number.p}/{number.q}"] for powers, number in known]


def _above(ball: Any) -> float:
    if not ball.is_finite():
        raise HypothesisError("no bound: an enclosure became infinite; use a smaller eta, or more substeps")
    return float(np.nextafter(float(ball.upper()), np.inf))


def _box(field: Any, centre: Any, radius: float, h: Any, flint: Any) -> list[tuple[float, float]]:
    """A box that contains the image of the ball in it, by inflation."""
    arb = flint.arb
    ball = [arb(float(x), radius) for x in centre]
    box = [(float(x), 1.01 * radius + 1e-300) for x in centre]
    for _ in range(60):
        image = field.image(ball, [arb(mid, rad) for mid, rad in box], h)
        if all(arb(mid, rad).contains(x) for (mid, rad), x in zip(box, image, strict=True)):
            return box
        box = []
        for x in image:
            if not x.is_finite():
                break
            middle = float(x.mid())
            box.append((middle, 1.1 * _above(abs(x - middle)) + 1e-300))
        else:
            continue
        break
    raise HypothesisError(
        "no bound: found no box that the motion stays in for one step; use a smaller eta or more substeps"
    )


def _growth(matrix: list[list[Any]], definite: Any, arb: Any) -> float:
    """A number above all eigenvalues of all symmetric matrices in the enclosure."""
    middle = np.array([[float(x.mid()) for x in row] for row in matrix])
    width = float(np.sqrt(sum(float(x.rad()) ** 2 for row in matrix for x in row)))
    guess = float(np.linalg.eigvalsh(middle)[-1])
    slack = 1e-12 * (1e-300 + float(np.abs(middle).max())) + 0.02 * width + 1e-300
    for _ in range(80):
        bound = guess + slack
        if definite([[arb(bound) * (i == j) - x for j, x in enumerate(row)] for i, row in enumerate(matrix)]):
            return bound
        slack *= 2
    raise HypothesisError("no bound: the enclosure of the Hessian is too wide; use a smaller eta or more substeps")
