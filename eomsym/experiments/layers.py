"""Quantities of layers in gradient descent, gradient flow and equations of motion, beside their closed forms.

References
----------
T. Miyagawa, Toward Equation of Motion for Deep Neural Networks, NeurIPS 2022, arXiv:2210.15898, section 5.
S. Arora, N. Cohen and E. Hazan, ICML 2018, arXiv:1802.06509. A. M. Saxe et al., ICLR 2014, arXiv:1312.6120.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from eomsym.codegen.kernel import compile
from eomsym.dynamics.deep_linear import ScalarMotion, singular_modes, time_to_converge
from eomsym.dynamics.flow import flow
from eomsym.errors import InputError
from eomsym.experiments.claims import norms
from eomsym.experiments.discretisation import batch_normalised, name_of, words_of
from eomsym.experiments.experiment import Claim, Experiment, Line, Panel
from eomsym.losses.data import digits, whitened
from eomsym.losses.expression import Field
from eomsym.losses.initial import balanced, orthonormal
from eomsym.losses.network import DeepLinear, Network
from eomsym.losses.objective import Objective
from eomsym.symmetries.networks import symmetries_of
from eomsym.symmetries.noether import DESCENT, Model, Symmetry, decay_rate
from eomsym.symmetries.prediction import Predictions, predict
from eomsym.symmetries.symmetry import RescalingSymmetry, ScaleInvariance, TranslationInvariance
from eomsym.types import Array, Progress

__all__ = ["balance", "modes", "scale", "translation"]

#: Rates are sums of products that cancel; relative to their size, rounding leaves this much.
ROUNDING = 1e-12
RATE = r"$|\|\theta_{k,A}\|^2/\|\theta_A\|^2-1|$"
#: The symmetry of each experiment, and what its weights are called.
KINDS: dict[str, tuple[type[Symmetry], str]] = {
    "scale": (ScaleInvariance, "scale-invariant"),
    "translation": (TranslationInvariance, "translation-invariant"),
    "balance": (RescalingSymmetry, "rescalable"),
}
#: Of a loss with many symmetries so many are followed.
SHOWN = 4
#: Points in time that are kept.
POINTS = 100


def scale(images: int | None = None, steps: int | None = None, progress: Progress | None = None) -> Experiment:
    """Norm, effective learning rate and equilibrium of scale-invariant weights."""
    began = time.perf_counter()
    inputs, labels = digits(images or 100)
    eta, decay = 0.1, 0.1
    net = batch_normalised(8, inputs, labels).with_weight_decay(decay)
    block = ScaleInvariance("W1")
    count, every = spaced(steps or 200)
    found = predict(
        net,
        net.initial(0),
        eta=eta,
        steps=count,
        symmetries=[block],
        orders=(0, 1, 2, 3),
        every=every,
        progress=progress,
    )
    lines, rates = [], []
    for model in found.runs:
        series = found.series[block, model]
        lines += pair(words(model), found.times, series.values[:, 0], series.predicted[:, 0], model)
        if model != DESCENT:
            exact, late = found.series[block, DESCENT].values[:, 0], slice(1, None)
            measured, predicted = (np.abs(exact / part[:, 0] - 1)[late] for part in (series.values, series.predicted))
            rates += pair(words(model), found.times[late], measured, predicted, model)
    claims = identities(found, block)
    settled, more, figures = equilibria()
    settings = {
        "network": net.name,
        "eta": eta,
        "weight decay": decay,
        "steps": count,
        "start": "xavier, seed 0",
        "steady force": "(-y, x)/(x**2 + y**2), eta 0.4, weight decay 0.5",
    }
    panels = (
        Panel(
            "squared norm of the weights", r"time $\eta k$", r"$\|\theta_A\|^2$", tuple(lines), "y", "dashed: predicted"
        ),
        Panel("effective learning rate: distance from descent's, relative", r"time $\eta k$", RATE, tuple(rates), "y"),
        *settled,
    )
    title = f"Scale-invariant weights: W1 of a {net.name}"
    return finished("scale", title, settings, panels, [*claims, *more], figures, began)


def equilibria() -> tuple[tuple[Panel, ...], list[Claim], dict[str, Any]]:
    """A steady force along the sphere: every model comes to rest at a norm of its own, gradient flow at none.

    A loss cannot push for ever: on a compact sphere its gradient vanishes somewhere. In training it is the noise of
    batches that keeps the gradient alive; here a field that is not a gradient does.
    """
    eta, decay = 0.4, 0.5
    force = Field(["-y/(x**2 + y**2)", "x/(x**2 + y**2)"], variables="x y").with_weight_decay(decay)
    found = predict(force, [1.5, 0.0], eta=eta, steps=25, orders=(1, 2, 3))
    late = predict(force, [1.5, 0.0], eta=eta, steps=200, orders=(1, 2, 3), every=1)
    early = predict(force, [1.5, 0.0], eta=eta, steps=10, orders=(0,))
    lines: list[Line] = []
    claims = []
    figures: dict[str, Any] = {"equilibrium norms, measured and predicted": {}}
    for model in (DESCENT, 1, 2, 3):
        radius = np.linalg.norm(found.runs[model].thetas, axis=1)
        expected = ScaleInvariance.equilibrium(eta, decay, 1.0, model)
        lines += pair(words(model), found.times, radius, np.full(len(radius), expected), model)
        last = late.runs[model].thetas[-1]
        reached = float(np.linalg.norm(last))
        figures["equilibrium norms, measured and predicted"][words(model)] = [reached, expected]
        claims.append(
            Claim(
                f"equilibrium norm over prediction, {words(model)}",
                reached / expected,
                0.99,
                1.01,
                late.runs[model].error,
            )
        )
    flow_norm = np.linalg.norm(early.runs[0].thetas, axis=1)
    rate = -np.log(flow_norm[-1] / flow_norm[0]) / early.times[-1]
    lines.append(Line(words(0), early.times, flow_norm, 0))
    claims.append(Claim("gradient flow has no equilibrium: decay of its norm over lambda", rate / decay, 0.99, 1.01))
    panel = Panel(
        "steady force: norm and equilibrium", r"time $\eta k$", r"$\|\theta_A\|$", tuple(lines), "", "dashed: predicted"
    )
    angles, turned = turning(found, late, eta, decay)
    return (panel, angles), [*claims, *turned], figures


def turning(found: Predictions, late: Predictions, eta: float, decay: float) -> tuple[Panel, list[Claim]]:
    """By what angle the block turns in the time of a step, beside what learning rate and decay alone predict."""
    lines: list[Line] = []
    claims = []
    for model in (DESCENT, 1, 2, 3):
        turns, expected = angles_of(found.runs[model].thetas), ScaleInvariance.angle(eta, decay, model)
        lines += pair(words(model), found.times[1:], turns, np.full(len(turns), expected), model)
        last = angles_of(late.runs[model].thetas[-2:])[0]
        name = "arccos(1 - eta lambda)" if model == DESCENT else "prediction"
        claims.append(Claim(f"angle of a step at equilibrium over {name}, {words(model)}", last / expected, 0.99, 1.01))
    title, label = "steady force: angle of a step", "angle in radians"
    return Panel(title, r"time $\eta k$", label, tuple(lines), "", "dashed: predicted at rest"), claims


def angles_of(thetas: Array) -> Array:
    """Angles in radians between points that follow each other, shape (m-1,), for points of shape (m, 2).

    Examples
    --------
    >>> angles_of(np.array([[1.0, 0.0], [0.0, 2.0], [-3.0, 3.0]])).round(4)
    array([1.5708, 0.7854])
    """
    before, after = thetas[:-1].T, thetas[1:].T
    crossed = before[0] * after[1] - before[1] * after[0]
    found: Array = np.abs(np.arctan2(crossed, np.sum(before * after, axis=0)))
    return found


def translation(images: int | None = None, steps: int | None = None, progress: Progress | None = None) -> Experiment:
    """Decay of the sum of weights before a softmax."""
    began = time.perf_counter()
    inputs, labels = digits(images or 100)
    eta, decay = 0.1, 1.0
    net = Network((64, 8, 10), inputs, labels, loss="cross_entropy").with_weight_decay(decay)
    block = TranslationInvariance("W2")
    count, every = spaced(steps or 100)
    start = net.initial(0)
    found = predict(
        net,
        start,
        eta=eta,
        steps=count,
        symmetries=[block],
        orders=range(4),
        every=every,
        rtol=1e-12,
        progress=progress,
    )
    lines, gaps = [], []
    claims = identities(found, block)
    exact = found.series[block, DESCENT].values[:, 0]
    figures: dict[str, Any] = {"rates, measured and predicted": {}}
    for model in found.runs:
        series = found.series[block, model]
        values, predicted = np.abs(series.values[:, 0]), np.abs(series.predicted[:, 0])
        lines += pair(words(model), found.times, values, predicted, model)
        if model != DESCENT:
            late = slice(1, None)
            measured = np.abs(series.values[late, 0] / exact[late] - 1)
            rate = decay_rate(eta, decay, model) - decay_rate(eta, decay)
            gaps += pair(words(model), found.times[late], measured, np.abs(np.expm1(-rate * found.times[late])), model)
        fitted = -np.log(values[-1] / values[0]) / found.times[-1]
        expected = decay_rate(eta, decay, model)
        figures["rates, measured and predicted"][words(model)] = [fitted, expected]
        claims.append(Claim(f"rate of decay minus prediction, {words(model)}", fitted - expected, -1e-10, 1e-10))
    settings = {"network": net.name, "eta": eta, "weight decay": decay, "steps": count, "start": "xavier, seed 0"}
    panels = (
        Panel(
            "sum of the weights before the softmax",
            r"time $\eta k$",
            r"$|1_A\cdot\theta|$",
            tuple(lines),
            "y",
            "dashed: predicted",
        ),
        Panel("distance from descent, relative", r"time $\eta k$", r"$|s/s_\mathrm{GD}-1|$", tuple(gaps), "y"),
    )
    title = f"Translation-invariant weights: W2 of a {net.name}"
    return finished("translation", title, settings, panels, claims, figures, began)


def balance(images: int | None = None, steps: int | None = None, progress: Progress | None = None) -> Experiment:
    """Drift of the balance between two linear layers: gradient flow conserves it, descent does not."""
    began = time.perf_counter()
    inputs, labels = digits(images or 200)
    eta = 0.02
    net = DeepLinear((64, 8, 10), inputs, labels, "cross_entropy")
    block = RescalingSymmetry(("W1", "W2"), matrix=True)
    count, every = spaced(steps or 200)
    found = predict(
        net, net.initial(0), eta=eta, steps=count, symmetries=[block], orders=range(4), every=every, progress=progress
    )
    drifts = {model: found.series[block, model].values - found.series[block, model].values[0] for model in found.runs}
    lines, gaps = [], []
    for model in found.runs:
        series = found.series[block, model]
        predicted = norms(series.predicted - series.predicted[0])
        lines += pair(words(model), found.times[1:], norms(drifts[model])[1:], predicted[1:], model)
        if model != DESCENT:
            gaps.append(Line(words(model), found.times[1:], norms(drifts[model] - drifts[DESCENT])[1:], model))
    last = norms(np.array([drifts[model][-1] for model in (DESCENT, 0, 1, 2, 3)]))
    error = [found.runs[order].error for order in range(4)]
    claims = identities(found, block)
    claims.append(
        Claim("gradient flow conserves the balance: drift over that of descent", last[1] / last[0], -np.inf, 1e-6)
    )
    claims += [
        Claim(
            f"drift of order {order} over that of descent",
            last[order + 1] / last[0],
            0.95,
            1.05,
            error[order] / last[0],
        )
        for order in (1, 2, 3)
    ]
    settings = {"network": net.name, "eta": eta, "steps": count, "start": "xavier, seed 0"}
    figures = {"drift of descent, gradient flow, orders 1, 2, 3": last.tolist()}
    panels = (
        Panel("drift of the balance", r"time $\eta k$", r"$\|B(t)-B(0)\|$", tuple(lines), "", "dashed: predicted"),
        Panel("distance from the drift of descent", r"time $\eta k$", r"$\|B-B_\mathrm{GD}\|$", tuple(gaps), "y"),
    )
    title = f"Balance W₂ᵀW₂ − W₁W₁ᵀ of a {net.name}"
    return finished("balance", title, settings, panels, claims, figures, began)


def modes(steps: int | None = None, progress: Progress | None = None) -> Experiment:
    """Singular modes of deep linear networks, and the norm and direction of a network with one output."""
    began = time.perf_counter()
    random = np.random.default_rng(0)
    white = whitened(random.standard_normal((50, 4)))
    strengths, small = np.array([3.0, 1.5, 0.7]), 0.02
    left, right = orthonormal(random, 3, 3), orthonormal(random, 4, 3)
    panels, claims = [], []
    depths = (2, 3)
    for done, depth in enumerate(depths):
        if progress:
            progress(done, len(depths) + 1, f"depth {depth}")
        widths = (4, *[4] * (depth - 1), 3)
        net = DeepLinear(widths, white, white @ ((left * strengths) @ right.T).T)
        end = 1.3 * time_to_converge(depth, float(strengths[-1]), small, 0.95 * float(strengths[-1]))
        times = np.linspace(0, end, steps or POINTS)
        start = net.pack(*balanced(small * left @ right.T, widths))
        path = flow(compile(net, 0), start, eta=1.0, time=times)
        values = np.array([np.linalg.svd(net.end_to_end(p), compute_uv=False) for p in path.thetas])
        predicted = np.sort(singular_modes(depth, strengths, small, times), axis=1)[:, ::-1]
        lines: list[Line] = []
        for mode, strength in enumerate(strengths):
            lines += pair(f"strength {strength:g}", times, values[:, mode], predicted[:, mode], mode)
        panels.append(
            Panel(f"{depth} layers: singular values of the product", r"time $t$", "singular value", tuple(lines))
        )
        gap = float(np.abs(values - predicted).max())
        claims.append(Claim(f"singular values of {depth} layers minus prediction", gap, -np.inf, 1e-7, path.error))
    target = np.array([[1.0, -0.5, 0.8, 0.2]])
    size, widths = float(np.linalg.norm(target)), (4, 3, 3, 1)
    net = DeepLinear(widths, white, white @ target.T)
    first = np.array([[-0.1, 0.1, -0.02, 0.05]])
    times = np.linspace(0, 12, steps or POINTS)
    path = flow(compile(net, 0), net.pack(*balanced(first, widths)), eta=1.0, time=times)
    products = np.array([net.end_to_end(p)[0] for p in path.thetas])
    radii = norms(products)
    cosines = products @ target[0] / radii / size
    expected = ScalarMotion(3, size).path(radii[0], cosines[0], times)
    lines = []
    for index, (name, values, predicted) in enumerate(
        zip((r"norm $r$", r"cosine $\nu$"), (radii, cosines), expected, strict=True)
    ):
        lines += pair(name, times, values, predicted, index)
        gap = float(np.abs(values - predicted).max())
        claims.append(
            Claim(f"one output: {('norm', 'cosine')[index]} minus prediction", gap, -np.inf, 1e-7, path.error)
        )
    panels.append(Panel("3 layers, one output", r"time $t$", r"$r$, $\nu$", tuple(lines), "", "dashed: predicted"))
    if progress:
        progress(len(depths) + 1, len(depths) + 1, "")
    settings = {"depths": list(depths), "strengths": strengths.tolist(), "start": f"balanced, {small:g}"}
    title = "Gradient flow of balanced deep linear networks on whitened data"
    return finished("modes", title, settings, tuple(panels), claims, {}, began)


def identities(found: Predictions, symmetry: Symmetry) -> list[Claim]:
    """The symmetry itself, and each model's rate and value beside its closed form."""
    claims = [Claim(f"identities of {symmetry}: violation", found.checks[symmetry].violation, -np.inf, 1e-11)]
    for model, one in found.runs.items():
        series = found.series[symmetry, model]
        text = f"{symmetry.quantity} of {words(model)}"
        claims.append(Claim(f"rate of the {text} minus closed form, relative", series.rate_misfit, -np.inf, ROUNDING))
        limit = 1e-12 if model == DESCENT else max(1e-7, 100 * one.error)
        claims.append(Claim(f"{text} minus closed form, relative", series.misfit, -np.inf, limit))
    return claims


def of_any(
    name: str, loss: Objective, *, steps: int, eta: float, start: Array, progress: Progress | None = None
) -> Experiment:
    """One of these experiments on a loss of any kind: the symmetries that it has are looked for.

    Parameters
    ----------
    name : {"scale", "translation", "balance"}
    loss : Network, Loss, …
    steps : int
    eta : float
    start : ndarray, shape (n,)
    progress : callable, optional

    Raises
    ------
    InputError
        The loss has no symmetry of that kind.
    """
    began = time.perf_counter()
    kind, adjective = KINDS[name]
    known = symmetries_of(loss, start)
    blocks = [symmetry for symmetry in known if isinstance(symmetry, kind)][:SHOWN]
    if not blocks:
        told = ", ".join(map(str, known)) or "none"
        raise InputError(f"{name_of(loss)} has no {adjective} weights; the symmetries that it has: {told}")
    count, every = spaced(steps)
    found = predict(
        loss, start, eta=eta, steps=count, symmetries=blocks, orders=range(4), every=every, progress=progress
    )
    panels, claims = [], []
    for block in blocks:
        lines: list[Line] = []
        for model in found.runs:
            series = found.series[block, model]
            lines += pair(words(model), found.times, norms(series.values), norms(series.predicted), model)
        quantity = str(block.quantity)
        panels.append(Panel(str(block), r"time $\eta k$", quantity, tuple(lines), "", "dashed: predicted"))
        claims += identities(found, block)
    settings = {
        "network": name_of(loss),
        "eta": eta,
        "weight decay": float(loss.weight_decay),
        "steps": count,
        "start": words_of(start),
    }
    title = f"{adjective.capitalize()} weights of a {name_of(loss)}"
    return finished(name, title, settings, tuple(panels), claims, {}, began)


def pair(name: str, x: Array, measured: Array, predicted: Array, model: Model) -> list[Line]:
    """A measured line with its name, and its prediction."""
    return [Line(name, x, measured, model), Line("", x, predicted, model, "predicted")]


def words(model: Model) -> str:
    """A model in the words of a legend."""
    return {DESCENT: "descent", 0: "gradient flow"}.get(model, f"EoM, order {model}")


def spaced(steps: int) -> tuple[int, int]:
    """Steps that divide into intervals, and how many steps each has."""
    every = max(1, steps // POINTS)
    return steps - steps % every, every


def finished(
    name: str,
    title: str,
    settings: dict[str, Any],
    panels: tuple[Panel, ...],
    claims: Sequence[Claim],
    figures: dict[str, Any],
    began: float,
) -> Experiment:
    """The experiment, with the time that it took."""
    return Experiment(name, title, settings, panels, tuple(claims), figures, time.perf_counter() - began)
