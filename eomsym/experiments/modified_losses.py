"""Papers on the modified loss of gradient descent: implicit regularisation by the step size and by mini-batches."""

from __future__ import annotations

import time
from fractions import Fraction
from itertools import permutations

import numpy as np
import sympy

from eomsym.codegen.kernel import compile
from eomsym.dynamics.descent import descend
from eomsym.dynamics.flow import flow
from eomsym.dynamics.leading_error import leading_error
from eomsym.experiments.experiment import Claim, Experiment
from eomsym.experiments.ladders import (
    ROSENBROCK,
    START,
    VARIABLES,
    against_eta,
    equal,
    line_of_powers,
    made,
    slope,
)
from eomsym.experiments.panels import Line
from eomsym.formulas.epochs import shuffled_epoch
from eomsym.formulas.potentials import split
from eomsym.formulas.terms import counter_terms
from eomsym.losses.expression import Loss
from eomsym.types import Array

__all__ = ["implicit_regularisation", "mini_batches"]


def modified(expression: str, eta: Fraction, weight: Fraction = Fraction(1, 4)) -> Loss:
    """``L + eta weight |g|**2`` as a loss of its own."""
    x, y = sympy.symbols(VARIABLES)
    value = sympy.sympify(expression, locals={"x": x, "y": y})
    squares = sum(sympy.diff(value, v) ** 2 for v in (x, y))
    return Loss(value + sympy.Rational(eta * weight) * squares, variables=VARIABLES)


def implicit_regularisation() -> Experiment:
    """Barrett and Dherin: descent follows the gradient flow of ``L + eta/4 |g|**2`` to second order."""
    began = time.perf_counter()
    loss, rungs = Loss(ROSENBROCK, variables=VARIABLES), (20, 40, 80, 160)
    etas = [1 / k for k in rungs]
    names = ("gradient flow of L", "flow of the modified loss")
    found: dict[str, list[float]] = {name: [] for name in names}
    for k in rungs:
        end = descend(loss, START, eta=1 / k, steps=k).end
        for name, other in zip(names, (loss, modified(ROSENBROCK, Fraction(1, k))), strict=True):
            found[name].append(float(np.linalg.norm(flow(other, START, time=1.0, order=0).end - end)))
    potential = split(counter_terms(1)[1])
    exact = potential.is_gradient and str(potential.potential) == "1/4 ‖g‖²"
    claims = [equal("term 1 is the gradient of |g|²/4 for every loss", exact)]
    constants = leading_error(compile(loss, 2), START, time=1.0, orders=(0, 1)).norms
    lines: list[Line] = []
    for order, (name, power) in enumerate(zip(names, ("η", "η²"), strict=True)):
        errors, predicted = found[name], float(constants[order]) * etas[-1] ** (order + 1)
        claims.append(
            Claim(f"distance from the {name} falls as {power}", slope(etas, errors), order + 0.95, order + 1.05)
        )
        claims.append(Claim("and its constant is the predicted one", errors[-1] / predicted, 0.97, 1.03))
        lines += [Line(name, np.array(etas), np.array(errors), order)]
        lines += [line_of_powers(etas, float(constants[order]), order + 1, order)]
    panel = against_eta("Two gradient flows beside descent", r"distance from descent at $T=1$", lines)
    return made("barrett2021", "Implicit gradient regularisation", [panel], claims, began)


PARTS = ("(1-x)**2/2 + (y-x**2)**2/4", "(y-x**2)**2/2 + x*y/4", "x**4/4 + (x-y)**2/3")


def mini_batches() -> Experiment:
    """Smith et al.: the mean over all orders of the batches follows ``L + epsilon/(4m) sum_k |g_k|**2``."""
    began = time.perf_counter()
    etas = [1 / 20, 1 / 40, 1 / 80]
    names = ("gradient flow", "flow of the modified loss")
    found: dict[str, list[float]] = {name: [] for name in names}
    for eta in etas:  # of an epoch; a batch has eta/m
        mean = _mean_of_orders(eta)
        for name, loss in zip(names, _whole_losses(eta), strict=True):
            found[name].append(float(np.linalg.norm(flow(loss, START, time=eta, order=0).end - mean)))
    exact = all(
        value == (sympy.Rational(1, 2 * k * k) if tree.colour == tree.branches[0].colour else 0)
        for k in (2, 3, 4)
        for tree, value in shuffled_epoch(k, 1)[1].items()
    )
    claims = [
        equal("the mean of term 1 is the gradient of sum_k |g_k|²/(4m²), for 2, 3 and 4 batches", exact),
        Claim("one epoch: distance from gradient flow falls as η²", slope(etas, found[names[0]]), 1.9, 2.1),
        Claim("one epoch: from the flow of the modified loss as η³", slope(etas, found[names[1]]), 2.9, 3.1),
    ]
    lines = [Line(name, np.array(etas), np.array(found[name]), order) for order, name in enumerate(names)]
    label = r"learning rate of an epoch, $\eta$"
    panel = against_eta("One epoch of three batches", "distance of the mean over their orders", lines, label)
    return made("smith2021", "The mean over the order of mini-batches", [panel], claims, began)


def _mean_of_orders(eta: float) -> Array:
    """Where an epoch ends in the mean over all orders of its batches."""
    batches, ends = [Loss(part, variables=VARIABLES) for part in PARTS], []
    for order in permutations(batches):
        theta = np.array(START)
        for batch in order:
            theta = theta - eta / len(batches) * batch.gradient(theta)
        ends.append(theta)
    mean: Array = np.mean(ends, axis=0)
    return mean


def _whole_losses(eta: float) -> tuple[Loss, Loss]:
    """The loss of all batches, and the modified one."""
    m, names = len(PARTS), dict(zip(VARIABLES.split(), sympy.symbols(VARIABLES), strict=True))
    parts = [sympy.sympify(part, locals=names) for part in PARTS]
    rate = sympy.Rational(Fraction(eta).limit_denominator(1000)) / m
    squares = sum(sympy.diff(part, v) ** 2 for part in parts for v in names.values())
    whole = sum(parts) / m
    return Loss(whole, variables=VARIABLES), Loss(whole + rate / (4 * m) * squares, variables=VARIABLES)
