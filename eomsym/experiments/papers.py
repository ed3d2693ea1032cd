"""Papers, reproduced: for each a small experiment with its formula, its figure and its claims, judged."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from html import escape
from itertools import permutations
from typing import Any

import numpy as np
import sympy

from eomsym import checks
from eomsym.codegen.kernel import compile
from eomsym.dynamics.descent import descend
from eomsym.dynamics.flow import flow
from eomsym.experiments.experiment import Claim, Experiment, Line, Panel
from eomsym.experiments.simulate import simulate
from eomsym.formulas.elementwise import elementwise_terms
from eomsym.formulas.epochs import shuffled_epoch
from eomsym.formulas.potentials import split
from eomsym.formulas.terms import counter_terms
from eomsym.losses.expression import Field, Loss
from eomsym.optimisers.accelerated import HeavyBall
from eomsym.optimisers.adaptive import Adam
from eomsym.optimisers.linear import GradientDescent
from eomsym.output.pages import shown
from eomsym.output.records import collection
from eomsym.verification.order import Report, verify
from eomsym.verification.verdict import Status, worst

__all__ = ["PAPERS", "Paper", "Reproduction", "reproduce"]

Progress = Callable[[int, int, str], None]
VARIABLES = "x y"
ROSENBROCK = "(1-x)**2/2 + (y-x**2)**2/2"
START = (-0.5, 1.0)
BETA = sympy.Symbol("beta", positive=True)


@dataclass(frozen=True)
class Paper:
    """A paper and what reproduces it: names of `simulate`, or functions that give an experiment.

    Attributes
    ----------
    title, reference : str
    formula : callable
        Gives the formula that is its result, which has ``format("latex")`` and other formats.
    experiments : tuple of str or callable
    """

    title: str
    reference: str
    formula: Callable[[], Any]
    experiments: tuple[str | Callable[[], Experiment], ...]


@dataclass(frozen=True, eq=False)
class Reproduction:
    """What reproducing a paper gave.

    Attributes
    ----------
    name : str
    paper : Paper
    experiments : tuple of Experiment
    """

    name: str
    paper: Paper
    experiments: tuple[Experiment, ...]

    @property
    def status(self) -> Status:
        """The worst of the claims."""
        return worst(one.status for one in self.experiments)

    def __str__(self) -> str:
        return "\n\n".join([f"{self.paper.title}\n{self.paper.reference}", *map(str, self.experiments), self.status])

    def parts(self) -> list[Any]:
        """What a page shows: formula, figures, claims."""
        formula = self.paper.formula().format("mathml")
        parts: list[Any] = [f"<p>{escape(self.paper.reference)}</p>", f'<p class="sum">{formula}</p>']
        for one in self.experiments:
            parts += [f"<h2>{escape(one.title)}</h2>", one.plot(), one.table()]
        return parts

    def _repr_html_(self) -> str:
        return "".join(map(shown, self.parts()))

    def record(self) -> dict[str, Any]:
        """A collection of the records of the experiments."""
        return collection([one.record() for one in self.experiments], command=f"eomsym reproduce {self.name}")


def reproduce(name: str, *, progress: Progress | None = None) -> Reproduction:
    """Reproduce a paper: its experiments, its figures and its claims, judged.

    Parameters
    ----------
    name : str
        One of `PAPERS`.
    progress : callable, optional
        Called with (done, total, what).

    Returns
    -------
    Reproduction

    Raises
    ------
    InputError
        An unknown name.
    MissingDependencyError
        scikit-learn, which has the digits, is not installed.

    Examples
    --------
    >>> found = reproduce("ghosh2023")
    >>> found.status
    'passed'
    >>> print(found.paper.formula())
    (1+β)/(4(1−β)³) ‖g‖²
    """
    paper, found, told = PAPERS[checks.choice(name, "paper", PAPERS)], [], checks.progress(progress)
    for k, one in enumerate(paper.experiments):
        told(k, len(paper.experiments), one if isinstance(one, str) else one.__name__.replace("_", " "))
        found.append(simulate(one) if isinstance(one, str) else one())
    told(len(paper.experiments), len(paper.experiments), "")
    return Reproduction(name, paper, tuple(found))


# what the experiments share ---------------------------------------------------------------------------------------


def equal(statement: str, holds: bool) -> Claim:
    """A claim that is true or false in exact arithmetic: 0 where it holds."""
    return Claim(f"{statement} (exact)", 0.0 if holds else 1.0, 0.0, 0.0)


def slope(etas: Iterable[float], errors: Iterable[float]) -> float:
    """The slope of the last two points on double logarithmic axes."""
    x, y = np.log(list(etas)), np.log(list(errors))
    return float((y[-1] - y[-2]) / (x[-1] - x[-2]))


def ladder_lines(found: dict[str, tuple[int | str, list[float]]], etas: list[float]) -> tuple[Line, ...]:
    """A line for each model: its distance against the learning rate."""
    return tuple(Line(label, np.array(etas), np.array(errors), model) for label, (model, errors) in found.items())


def made(name: str, title: str, panels: Iterable[Panel], claims: Iterable[Claim], began: float) -> Experiment:
    """An experiment, timed."""
    return Experiment(name, title, {}, tuple(panels), tuple(claims), seconds=time.perf_counter() - began)


def slopes_of(report: Report, what: str = "") -> list[Claim]:
    """Claims that the slope of each order is one more than the order."""
    claims = []
    for result in report.orders:
        j = result.judged
        found = float("nan") if j is None else result.slopes[j - 1]
        claims.append(Claim(f"{what}order {result.order}: slope", found, result.order + 0.95, result.order + 1.05))
    return claims


def lines_of(report: Report, what: str = "") -> tuple[Line, ...]:
    """Errors of each order against the learning rate."""
    etas = np.array(report.etas)
    return tuple(Line(f"{what}order {r.order}", etas, np.array(r.errors), r.order) for r in report.orders)


def against_eta(title: str, measured: str, lines: tuple[Line, ...]) -> Panel:
    """A panel of distances over learning rates."""
    return Panel(title, "learning rate η", measured, lines, "xy")


def modified(expression: str, eta: Fraction, weight: Fraction = Fraction(1, 4)) -> Loss:
    """``L + eta weight |g|**2`` as a loss of its own."""
    x, y = sympy.symbols(VARIABLES)
    value = sympy.sympify(expression, locals={"x": x, "y": y})
    squares = sum(sympy.diff(value, v) ** 2 for v in (x, y))
    return Loss(value + sympy.Rational(eta * weight) * squares, variables=VARIABLES)


# the papers -------------------------------------------------------------------------------------------------------


def implicit_regularisation() -> Experiment:
    """Barrett and Dherin: descent follows the gradient flow of ``L + eta/4 |g|**2`` to second order."""
    began = time.perf_counter()
    loss, etas = Loss(ROSENBROCK, variables=VARIABLES), [1 / k for k in (20, 40, 80, 160)]
    found: dict[str, tuple[int | str, list[float]]] = {"gradient flow of L": (0, []), "of the modified loss": (1, [])}
    for k in (20, 40, 80, 160):
        end = descend(loss, START, eta=1 / k, steps=k).end
        for label, other in zip(found, (loss, modified(ROSENBROCK, Fraction(1, k))), strict=True):
            found[label][1].append(float(np.linalg.norm(flow(other, START, time=1.0, order=0).end - end)))
    potential = split(counter_terms(1)[1])
    claims = [
        equal(
            "term 1 is the gradient of |g|²/4 for every loss",
            potential.is_gradient and str(potential.potential) == "1/4 ‖g‖²",
        ),
        Claim("distance from gradient flow falls as η", slope(etas, found["gradient flow of L"][1]), 0.95, 1.05),
        Claim(
            "distance from the flow of L + η|g|²/4 falls as η²",
            slope(etas, found["of the modified loss"][1]),
            1.95,
            2.05,
        ),
    ]
    panel = Panel(
        "Implicit gradient regularisation", "learning rate η", "distance after time 1", ladder_lines(found, etas), "xy"
    )
    return made("barrett2021", "Implicit gradient regularisation", [panel], claims, began)


def mini_batches() -> Experiment:
    """Smith et al.: the mean over all orders of the batches follows ``L + epsilon/(4m) sum_k |g_k|**2``."""
    began = time.perf_counter()
    parts = ["(1-x)**2/2 + (y-x**2)**2/4", "(y-x**2)**2/2 + x*y/4", "x**4/4 + (x-y)**2/3"]
    m, etas = len(parts), [1 / 20, 1 / 40, 1 / 80]
    batches = [Loss(part, variables=VARIABLES) for part in parts]
    x, y = sympy.symbols(VARIABLES)
    whole = sum(sympy.sympify(part, locals={"x": x, "y": y}) for part in parts) / m
    found: dict[str, tuple[int | str, list[float]]] = {"gradient flow": (0, []), "of the modified loss": (1, [])}
    for eta in etas:  # of an epoch; a batch has eta/m
        ends = []
        for order in permutations(batches):
            theta = np.array(START)
            for batch in order:
                theta = theta - eta / m * batch.gradient(theta)
            ends.append(theta)
        mean = np.mean(ends, axis=0)
        rate = sympy.Rational(Fraction(eta).limit_denominator(1000)) / m
        squares = sum(sympy.diff(sympy.sympify(p, locals={"x": x, "y": y}), v) ** 2 for p in parts for v in (x, y))
        losses = [Loss(whole, variables=VARIABLES), Loss(whole + rate / (4 * m) * squares, variables=VARIABLES)]
        for label, loss in zip(found, losses, strict=True):
            found[label][1].append(float(np.linalg.norm(flow(loss, START, time=eta, order=0).end - mean)))
    exact = all(
        all(
            value == (sympy.Rational(1, 2 * k * k) if tree.colour == tree.branches[0].colour else 0)
            for tree, value in term.items()
        )
        for k in (2, 3, 4)
        for term in [shuffled_epoch(k, 1)[1]]
    )
    claims = [
        equal("the mean of term 1 is the gradient of sum_k |g_k|²/(4m²), for 2, 3 and 4 batches", exact),
        Claim("one epoch: distance from gradient flow falls as η²", slope(etas, found["gradient flow"][1]), 1.9, 2.1),
        Claim(
            "one epoch: from the flow of the modified loss as η³",
            slope(etas, found["of the modified loss"][1]),
            2.9,
            3.1,
        ),
    ]
    panel = Panel(
        "Mini-batches in random order",
        "learning rate η of an epoch",
        "distance of the mean",
        ladder_lines(found, etas),
        "xy",
    )
    return made("smith2021", "The mean over the order of mini-batches", [panel], claims, began)


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
    lines: list[Line] = []
    loss = Loss(ROSENBROCK, variables=VARIABLES)
    for beta in ("1/2", "9/10"):
        rungs = (80, 160, 320) if beta == "1/2" else (4000, 8000, 16000)
        report = verify(loss, START, time=0.5, ladder=rungs, orders=[0, 1], method=HeavyBall(beta))
        lines += [
            Line(f"β = {beta}, order {r.order}", np.array(report.etas), np.array(r.errors), r.order)
            for r in report.orders
        ]
        last = report.orders[1]
        claims.append(Claim(f"order 1 follows heavy ball with β = {beta} as η²", last.slopes[-1], 1.95, 2.05))
        claims.append(Claim(f"and its leading constant is right, β = {beta}", last.ratios[-1], 0.97, 1.03))
    panel = against_eta("Heavy ball", "distance after time 1/2", tuple(lines))
    return made("ghosh2023", "Momentum: implicit regularisation", [panel], claims, began)


#: Coefficients of heavy ball by tree through order 3, over 1/(1-β) to a power.
_MOMENTUM = (
    (1, 1), (-(1 + BETA) / 2, 3), ((1 + 4 * BETA + BETA**2) / 3, 5), ((1 + 10 * BETA + BETA**2) / 6, 5),
)  # fmt: skip


def momentum_to_every_order() -> Experiment:
    """Cattaneo and Shigida: memory as a modified loss, here at every order."""
    began = time.perf_counter()
    from eomsym.exact.coefficients import universal

    table = universal(3, HeavyBall(BETA))
    exact = all(
        sympy.simplify(table.value(i) - above / (1 - BETA) ** power) == 0 for i, (above, power) in enumerate(_MOMENTUM)
    )
    loss = Loss(ROSENBROCK, variables=VARIABLES)
    report = verify(loss, START, time=0.5, ladder=(80, 160, 320), orders=range(4), method=HeavyBall("1/2"))
    claims = [equal("coefficients of heavy ball on all trees with at most three nodes", exact), *slopes_of(report)]
    panel = against_eta("Heavy ball, β = 1/2", "distance after time 1/2", lines_of(report))
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
    panel = against_eta("Adam, β₁ = 1/2, β₂ = 3/5", "distance after time 0.1", lines_of(report))
    return made("cattaneo2024", "The implicit bias of Adam", [panel], claims, began)


def games() -> Experiment:
    """Rosca et al.: discretisation drift of two players that descend at once."""
    began = time.perf_counter()
    bilinear, game = (
        Field(["-y", "x"], variables=VARIABLES),
        Field(["-y - x**3/3 + x/4", "x - y**3/3"], variables=VARIABLES),
    )
    claims, etas = [], [1 / k for k in (10, 20, 40, 80)]
    # |theta+|² = (1 + eta²)|theta|² in a bilinear game; gradient flow keeps the norm
    growth: dict[str, tuple[int | str, list[float]]] = {}
    for order in range(4):
        gaps = []
        for eta in etas:
            start = np.array([1.0, 0.0])
            rate = float(compile(bilinear, order).field(start, eta) @ start)
            gaps.append(abs(rate - np.log1p(eta**2) / (2 * eta)))
        growth[f"order {order}"] = (order, gaps)
    claims.append(
        Claim(
            "gradient flow keeps the norm: its growth rate is off by η/2",
            growth["order 0"][1][-1] / (etas[-1] / 2),
            0.97,
            1.03,
        )
    )
    claims.append(
        Claim("order 1 has the growth rate of the game to third order", slope(etas, growth["order 1"][1]), 2.95, 3.05)
    )
    report = verify(game, [0.5, 0.4], time=2.0, ladder=(40, 80, 160), orders=range(4), method=GradientDescent())
    claims += slopes_of(report, "a game that is not linear, ")
    lines = {label: pair for label, pair in growth.items() if max(pair[1]) > 0}
    panel = against_eta("Bilinear game", "error of the growth rate", ladder_lines(lines, etas))
    return made("rosca2021", "Discretisation drift in two-player games", [panel], claims, began)


def principal_flow() -> Experiment:
    """Rosca et al.: on a quadratic the series sums to the principal flow ``log(1 - eta lambda)/eta``."""
    began = time.perf_counter()
    kernel = compile(Loss("x**2/2", variables="x"), 19)
    terms = kernel.terms([1.0])[:, 0]
    orders, lines, claims = np.arange(20), [], []
    claims.append(
        Claim(
            "term k of a quadratic is λ^(k+1)/(k+1), largest relative error to k = 19",
            float(np.max(np.abs(terms * (orders + 1) - 1))),
            0.0,
            1e-12,
        )
    )
    for product in (0.3, 0.6, 0.9, 1.1):
        partial = np.cumsum(product**orders * terms)
        true = -np.log(complex(1 - product)).real / product
        lines.append(
            Line(
                f"ηλ = {product}",
                orders,
                np.abs(partial - true),
                "descent" if product > 1 else int(10 * product) // 3 - 1,
            )
        )
    gap = float(np.max(np.abs(terms * (orders + 1) - 1)))
    below = float(np.abs(np.sum(0.6**orders * terms) + np.log(0.4) / 0.6))
    above = np.abs(1.1**orders * terms)
    claims = [
        Claim("term k of a quadratic is λ^(k+1)/(k+1), largest relative error to k = 19", gap, 0.0, 1e-12),
        Claim("below ηλ = 1 the series converges: error of order 19 at ηλ = 0.6", below, 0.0, 1e-4),
        Claim("beyond it the terms grow: term 19 over term 10 at ηλ = 1.1", float(above[19] / above[10]), 1.2, 2.0),
    ]
    panel = Panel("Principal flow of a quadratic", "order of the equation", "error of the rate", tuple(lines), "y")
    return made("rosca2023", "The principal flow", [panel], claims, began)


def _of_method(order: int, method: Any = None) -> Callable[[], Any]:
    return lambda: counter_terms(order, method=method)


def _of_adam() -> Any:
    b1, b2, epsilon = sympy.symbols("beta1 beta2 epsilon", positive=True)
    return elementwise_terms(Adam(b1, b2, epsilon, inside=True), 1)


#: Papers by name.
PAPERS: dict[str, Paper] = {
    "miyagawa2022": Paper(
        "Toward Equation of Motion for Deep Neural Networks",
        "T. Miyagawa, NeurIPS 2022, arXiv:2210.15898",
        _of_method(3),
        ("error", "scale", "translation"),
    ),
    "elkabetz2021": Paper(
        "Continuous vs. Discrete Optimization of Deep Neural Networks",
        "O. Elkabetz, N. Cohen, NeurIPS 2021, arXiv:2107.06608",
        _of_method(1),
        ("linear", "relu", "convolution", "modes"),
    ),
    "barrett2021": Paper(
        "Implicit Gradient Regularization",
        "D. G. T. Barrett, B. Dherin, ICLR 2021, arXiv:2009.11162",
        lambda: split(counter_terms(1)[1]).potential,
        (implicit_regularisation,),
    ),
    "smith2021": Paper(
        "On the Origin of Implicit Regularization in Stochastic Gradient Descent",
        "S. L. Smith, B. Dherin, D. G. T. Barrett, S. De, ICLR 2021, arXiv:2101.12176",
        lambda: shuffled_epoch(3, 1)[1],
        (mini_batches,),
    ),
    "ghosh2023": Paper(
        "Implicit Regularization in Heavy-ball Momentum Accelerated Stochastic Gradient Descent",
        "A. Ghosh, H. Lyu, X. Zhang, R. Wang, ICLR 2023, arXiv:2302.00849",
        lambda: split(counter_terms(1, method=HeavyBall(BETA))[1]).potential,
        (heavy_ball,),
    ),
    "cattaneo2025": Paper(
        "Modified Loss of Momentum Gradient Descent: Fine-Grained Analysis",
        "M. D. Cattaneo, B. Shigida, 2025, arXiv:2509.08483",
        _of_method(2, HeavyBall(BETA)),
        (momentum_to_every_order,),
    ),
    "cattaneo2024": Paper(
        "On the Implicit Bias of Adam",
        "M. D. Cattaneo, J. M. Klusowski, B. Shigida, ICML 2024, arXiv:2309.00079",
        _of_adam,
        (adam,),
    ),
    "rosca2021": Paper(
        "Discretization Drift in Two-Player Games",
        "M. Rosca, Y. Wu, B. Dherin, D. G. T. Barrett, ICML 2021, arXiv:2105.13922",
        _of_method(1),
        (games,),
    ),
    "rosca2023": Paper(
        "On a Continuous Time Model of Gradient Descent Dynamics and Instability in Deep Learning",
        "M. Rosca, Y. Wu, C. Qin, B. Dherin, TMLR 2023, arXiv:2302.01952",
        _of_method(3),
        (principal_flow,),
    ),
}
