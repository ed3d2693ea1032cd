"""Papers on optimisers with a memory: momentum to first and to every order, Adam."""

from __future__ import annotations

import time

import numpy as np
import sympy

from eomsym.codegen.kernel import compile
from eomsym.exact.coefficients import universal
from eomsym.experiments.experiment import Claim, Experiment
from eomsym.experiments.ladders import (
    BETA,
    ROSENBROCK,
    START,
    VARIABLES,
    against_eta,
    equal,
    lines_of,
    made,
    slopes_of,
)
from eomsym.formulas.potentials import split
from eomsym.formulas.terms import counter_terms
from eomsym.losses.expression import Loss
from eomsym.optimisers.accelerated import HeavyBall
from eomsym.optimisers.adaptive import Adam
from eomsym.verification.order import verify

__all__ = ["adam", "heavy_ball", "momentum_to_every_order"]


def heavy_ball() -> Experiment:
    """Ghosh et al.: the first-order modified loss of heavy ball."""
    began = time.perf_counter()
    potential = split(counter_terms(1, method=HeavyBall(BETA))[1]).potential
    [coefficient] = potential.values()
    expected = (1 + BETA) / (4 * (1 - BETA) ** 3)
    claims = [
        equal(
            "heavy ball has the modified loss L/(1-β) + η(1+β)/(4(1-β)³)|g|²",
            sympy.simplify(coefficient - expected) == 0,
        )
    ]
    loss, panels = Loss(ROSENBROCK, variables=VARIABLES), []
    for beta, rungs in (("1/2", (80, 160, 320)), ("9/10", (4000, 8000, 16000))):
        report = verify(loss, START, time=0.5, ladder=rungs, orders=[0, 1], method=HeavyBall(beta))
        last = report.orders[1]
        claims.append(Claim(f"order 1 follows heavy ball with β = {beta} as η²", last.slopes[-1], 1.95, 2.05))
        claims.append(Claim(f"and its leading constant is right, β = {beta}", last.ratios[-1], 0.97, 1.03))
        panels.append(against_eta(rf"Heavy ball, $\beta = {beta}$", r"distance at $T=1/2$", lines_of(report)))
    return made("ghosh2023", "Momentum: implicit regularisation", panels, claims, began)


#: Coefficients of heavy ball by tree through order 3, over 1/(1-β) to a power.
_MOMENTUM = (
    (1, 1), (-(1 + BETA) / 2, 3), ((1 + 4 * BETA + BETA**2) / 3, 5), ((1 + 10 * BETA + BETA**2) / 6, 5),
)  # fmt: skip


def momentum_to_every_order() -> Experiment:
    """Cattaneo and Shigida: memory as a modified loss, here at every order."""
    began = time.perf_counter()
    table = universal(3, HeavyBall(BETA))
    exact = all(
        sympy.simplify(table.value(i) - above / (1 - BETA) ** power) == 0 for i, (above, power) in enumerate(_MOMENTUM)
    )
    loss = Loss(ROSENBROCK, variables=VARIABLES)
    report = verify(loss, START, time=0.5, ladder=(80, 160, 320), orders=range(4), method=HeavyBall("1/2"))
    claims = [equal("coefficients of heavy ball on all trees with at most three nodes", exact), *slopes_of(report)]
    panel = against_eta(r"Heavy ball, $\beta = 1/2$", r"distance at $T=1/2$", lines_of(report))
    return made("cattaneo2025", "Memory of momentum at every order", [panel], claims, began)


def adam() -> Experiment:
    """Cattaneo, Klusowski and Shigida: the first-order term of Adam."""
    began = time.perf_counter()
    b1, b2, eps = 0.5, 0.6, 0.1
    method = Adam("1/2", "3/5", "1/10", inside=True)
    loss = Loss("x**4/4 + x**2/2 - x*y/2 + x**2*y/2 + y**2/2 + 3*y**4/40", variables=VARIABLES)
    kernel, rng, worst_gap = compile(loss, 1, method=method), np.random.default_rng(0), 0.0
    for theta in rng.normal(size=(20, 2)):
        g = loss.gradient(theta)
        s = g**2 + eps
        hess = kernel.hessian_vector(theta, g / np.sqrt(s))
        factor = (1 + b1) / (1 - b1) - (1 + b2) / (1 - b2) + (1 + b2) / (1 - b2) * eps / s
        published = 0.5 * factor * hess / np.sqrt(s)
        gap = np.linalg.norm(kernel.terms(theta)[1] - published) / np.linalg.norm(published)
        worst_gap = max(worst_gap, float(gap))
    report = verify(loss, [1.2, 0.9], time=0.1, ladder=(40, 80, 160), orders=[0, 1, 2, 3], method=method)
    claims = [Claim("the published first-order term, largest relative difference at 20 points", worst_gap, 0.0, 1e-12)]
    claims += slopes_of(report)
    panel = against_eta(r"Adam, $\beta_1 = 1/2$, $\beta_2 = 3/5$", r"distance at $T=1/10$", lines_of(report))
    return made("cattaneo2024", "The implicit bias of Adam", [panel], claims, began)
