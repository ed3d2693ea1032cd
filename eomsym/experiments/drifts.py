"""Papers on the drift of discrete steps: games of two players, and the principal flow of a quadratic."""

from __future__ import annotations

import time

import numpy as np

from eomsym.codegen.kernel import compile
from eomsym.experiments.experiment import Claim, Experiment
from eomsym.experiments.ladders import VARIABLES, against_eta, line_of_powers, lines_of, made, slope, slopes_of
from eomsym.experiments.panels import Line, Panel
from eomsym.losses.expression import Field, Loss
from eomsym.types import Array
from eomsym.verification.order import verify

__all__ = ["games", "principal_flow"]


#: Of the rate ``log(1 + eta**2)/(2 eta)`` at which the norm grows in a bilinear game: what is left after each order.
DRIFTS = ((1 / 2, 1), (1 / 4, 3), (1 / 4, 3), (1 / 6, 5))


def games() -> Experiment:
    """Rosca et al.: discretisation drift of two players that descend at once."""
    began = time.perf_counter()
    bilinear = Field(["-y", "x"], variables=VARIABLES)
    game = Field(["-y - x**3/3 + x/4", "x - y**3/3"], variables=VARIABLES)
    etas, start = [1 / k for k in (10, 20, 40, 80)], np.array([1.0, 0.0])
    # |theta+|² = (1 + eta²)|theta|² in a bilinear game; gradient flow keeps the norm.
    gaps: list[list[float]] = []
    for order in range(4):
        kernel = compile(bilinear, order)
        rates = [float(kernel.field(start, eta) @ start) - np.log1p(eta**2) / (2 * eta) for eta in etas]
        gaps.append(np.abs(rates).tolist())
    lines: list[Line] = []
    for order, name in ((0, "gradient flow"), (1, "orders 1 and 2"), (3, "order 3")):
        lines += [Line(name, np.array(etas), np.array(gaps[order]), order)]
        lines += [line_of_powers(etas, *DRIFTS[order], order)]
    claims = [
        Claim("gradient flow keeps the norm: its growth rate is off by η/2", gaps[0][-1] / (etas[-1] / 2), 0.97, 1.03)
    ]
    for order, (constant, power) in list(enumerate(DRIFTS))[1:]:
        # The first learning rate stands for all where the last would be lost in rounding.
        ratio = gaps[order][0] / (constant * etas[0] ** power)
        claims.append(
            Claim(
                f"order {order} misses the growth rate by η{'³' if power == 3 else '⁵'}/{1 / constant:g}",
                ratio,
                0.97,
                1.03,
            )
        )
    claims.append(Claim("order 1 has the growth rate of the game to third order", slope(etas, gaps[1]), 2.95, 3.05))
    report = verify(game, [0.5, 0.4], time=2.0, ladder=(40, 80, 160), orders=range(4))
    claims += slopes_of(report, "a game that is not linear, ")
    panels = [
        against_eta("Bilinear game", "error of the growth rate of the norm", lines),
        against_eta("A game that is not linear", r"distance at $T=2$", lines_of(report)),
    ]
    return made("rosca2021", "Discretisation drift in two-player games", panels, claims, began)


def principal_flow() -> Experiment:
    """Rosca et al.: on a quadratic the series sums to the principal flow ``log(1 - eta lambda)/eta``."""
    began = time.perf_counter()
    kernel = compile(Loss("x**2/2", variables="x"), 19)
    terms = kernel.terms([1.0])[:, 0]
    orders = np.arange(20)
    gap = float(np.max(np.abs(terms * (orders + 1) - 1)))
    below = float(np.abs(np.sum(0.6**orders * terms) + np.log(0.4) / 0.6))
    above = np.abs(1.1**orders * terms)
    claims = [
        Claim("term k of a quadratic is λ^(k+1)/(k+1), largest relative error to k = 19", gap, 0.0, 1e-12),
        Claim("below ηλ = 1 the series converges: error of order 19 at ηλ = 0.6", below, 0.0, 1e-4),
        Claim("beyond it the terms grow: term 19 over term 10 at ηλ = 1.1", float(above[19] / above[10]), 1.2, 2.0),
    ]
    lines = []
    for model, product in enumerate((0.3, 0.6, 0.9, 1.1)):
        partial = np.cumsum(product**orders * terms)
        true = -np.log(abs(1 - product)) / product
        lines.append(Line(rf"$\eta\lambda = {product}$", orders, np.abs(partial - true), model))
    converges = Panel(
        "Where the series converges", "order of the equation", r"error of the rate, over $\lambda$", tuple(lines), "y"
    )
    panels = [_rates(terms), converges]
    return made("rosca2023", "The principal flow", panels, claims, began)


def _rates(terms: Array) -> Panel:
    """Rates of decay on a quadratic, over its eigenvalue: of the principal flow and of the orders."""
    products: Array = np.linspace(0.005, 1.895, 190)  # at 1 the logarithm is infinite
    exact = -np.log(np.abs(1 - products)) / products
    lines = [Line("principal flow, real part", products, exact, "descent")]
    for order in (0, 1, 2, 3, 5):
        rate = np.polyval(terms[order::-1], products)
        lines.append(Line("gradient flow" if order == 0 else f"order {order}", products, rate, order))
    return Panel(r"Rate of decay on $\lambda\theta^2/2$", r"$\eta\lambda$", r"rate, over $\lambda$", tuple(lines))
