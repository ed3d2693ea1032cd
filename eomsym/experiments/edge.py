"""The edge of stability: gradient descent against gradient flow, equations of motion, and what others offer there.

References
----------
J. M. Cohen et al., Gradient Descent on Neural Networks Typically Occurs at the Edge of Stability, ICLR 2021,
arXiv:2103.00065.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eomsym.codegen.kernel import compile
from eomsym.dynamics.descent import descend
from eomsym.dynamics.edge import EdgePath, edge_flow
from eomsym.dynamics.watch import watch
from eomsym.experiments.experiment import Claim, Experiment, Line, Panel
from eomsym.experiments.flows import central_flow, classical, principal_flow
from eomsym.losses.data import digits
from eomsym.losses.network import Network
from eomsym.verification.order import Progress

__all__ = ["chebyshev", "edge"]

Array = NDArray[np.float64]

ORDERS = range(4)
#: Weights that take the alternating part of five neighbouring iterates.
SECOND = np.array([1.0, -4.0, 6.0, -4.0, 1.0]) / 16
#: Lines that would lie on others: of classical orders the last one stands for all.
LEFT_OUT = ("classical, order 1", "classical, order 2", "central flow")


@dataclass(frozen=True)
class _Setting:
    """A network at its edge."""

    name: str
    net: Network
    start: Array
    eta: float
    first: int
    steps: int
    critical: int


def edge(images: int | None = None, steps: int | None = None, progress: Progress | None = None) -> Experiment:
    """Two networks: 2-16-1 on a Chebyshev polynomial (a burst), 64-32-10 on digits (several directions at once)."""
    began = time.perf_counter()
    told = progress or (lambda done, total, label: None)
    panels: list[Panel] = []
    claims: list[Claim] = []
    figures: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    chosen = [_chebyshev(steps or 260), _digits(images or 200, steps or 200)]
    for number, setting in enumerate(chosen):
        told(number, len(chosen), setting.name)
        found = _compare(setting)
        panels += _panels(setting, found)
        claims += _claims(setting, found)
        figures[setting.name] = _figures(setting, found)
        settings[setting.name] = {
            "network": setting.net.name,
            "eta": setting.eta,
            "first step": setting.first,
            "steps": setting.steps,
        }
    figures["classical equations from the start of the Chebyshev network"] = _breaks(*chebyshev())
    told(len(chosen), len(chosen), "done")
    title = "The edge of stability: gradient descent and what follows it"
    return Experiment("edge", title, settings, tuple(panels), tuple(claims), figures, time.perf_counter() - began)


def chebyshev() -> tuple[Network, Array, float]:
    """The network, its start and its learning rate."""
    x = np.linspace(-1, 1, 20)
    net = Network((2, 16, 1), np.column_stack([x, np.ones(20)]), (4 * x**3 - 3 * x)[:, None])
    rng = np.random.default_rng(4)
    weights, biases, out = rng.normal(size=16), rng.normal(size=16) / 2, rng.normal(size=16) / 4
    return net, np.concatenate([np.column_stack([weights, biases]).ravel(), out]), 0.3


def _breaks(net: Network, start: Array, eta: float, steps: int = 1500) -> dict[str, str]:
    """From which step on a classical order is farther from descent than the order before, and eta*lambda there."""
    marks = np.arange(steps + 1)
    run = descend(net, start, eta=eta, steps=steps)
    kernel = compile(net, max(ORDERS))
    paths = [classical(kernel.at_order(order), start, eta, marks) for order in ORDERS]
    apart = [np.linalg.norm(path - run.thetas[: len(path)], axis=1) for path in paths]
    found = {}
    for order in ORDERS[1:]:
        both = min(len(apart[order]), len(apart[order - 1]))
        worse = np.flatnonzero(apart[order][1:both] > apart[order - 1][1:both])
        step = int(worse[0]) + 1 if len(worse) else both - 1
        product = watch(net, run.thetas[step], eta=eta, count=1).products[0, 0]
        told = "farther than the order before" if len(worse) else "closer than the order before"
        found[_word(order)] = f"{told} at step {step}, eta*lambda = {product:.3g}; ends at step {len(paths[order]) - 1}"
    return found


def _chebyshev(steps: int) -> _Setting:
    """48 parameters on ``4x**3 - 3x``; the burst before which the amplitude passes 1e-4."""
    net, start, eta = chebyshev()
    path = descend(net, start, eta=eta, steps=4000).thetas
    swing = _swings(path)
    rising = np.flatnonzero((swing[600:-1] < 1e-4) & (swing[601:] >= 1e-4))
    first = 600 + int(rising[-1])
    return _Setting("Chebyshev", net, path[first], eta, first, steps, 3)


def _digits(images: int, steps: int) -> _Setting:
    """2,368 parameters, squared loss, pixels from 0 to 1: ten directions are fast, six of them near the edge."""
    inputs, labels = digits(images, standard=False)
    net = Network((64, 32, 10), inputs, np.eye(10)[labels], "tanh", "mse")
    eta, first = 0.12, 2000
    path = descend(net, net.initial(0), eta=eta, steps=first)
    return _Setting("digits", net, path.end, eta, first, steps, 8)


# the runs -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Found:
    """What each of them does: points at marks (steps from the start on)."""

    run: Array
    marks: NDArray[np.int64]
    ours: dict[int, EdgePath]
    others: dict[str, Array]
    ends: dict[str, str]
    swing: Array
    seconds: dict[str, float]


def _compare(setting: _Setting) -> _Found:
    eta, steps = setting.eta, setting.steps
    every = max(1, steps // 50)
    marks = np.arange(0, steps + 1, every)
    run = descend(setting.net, setting.start, eta=eta, steps=steps + 4).thetas
    kernel = compile(setting.net, max(ORDERS))
    seconds, ours = {}, {}
    for order in ORDERS:
        began = time.process_time()
        ours[order] = edge_flow(
            kernel, setting.start, eta=eta, steps=steps, order=order, every=every, critical=setting.critical,
            estimate=False,
        )  # fmt: skip
        seconds[f"order {order}"] = time.process_time() - began
    others, ends = {}, {}
    mean = ours[1].mean[0]
    jobs: dict[str, Callable[[], Array]] = {
        _word(order): partial(classical, kernel.at_order(order), setting.start, eta, marks) for order in ORDERS
    }
    jobs["central flow"] = lambda: central_flow(kernel, mean, eta, marks)[0]
    jobs["principal flow"] = lambda: principal_flow(kernel, setting.start, eta, marks)
    for name, job in jobs.items():
        began = time.process_time()
        others[name] = job()
        seconds[name] = time.process_time() - began
        if len(others[name]) < len(marks):
            ends[name] = f"given up at step {marks[len(others[name]) - 1]}"
    return _Found(run, marks, ours, others, ends, _swings(run), seconds)


def _word(order: int) -> str:
    return "gradient flow" if order == 0 else f"classical, order {order}"


def _swings(path: Array) -> Array:
    """Size of the alternating part of five neighbouring iterates."""
    found: Array = np.linalg.norm(sum(w * path[i : len(path) - 4 + i] for i, w in enumerate(SECOND)), axis=1)
    return found


# what comes out -----------------------------------------------------------------------------------------------------


def _distances(setting: _Setting, found: _Found) -> dict[str, Array]:
    """From the iterates; for the central flow also from the mean of neighbouring iterates, which it stands for."""
    there = found.run[found.marks]
    out = {f"order {k}": np.linalg.norm(path.iterates - there, axis=1) for k, path in found.ours.items()}
    for name, points in found.others.items():
        out[name] = np.linalg.norm(points - there[: len(points)], axis=1)
    out["central flow from the mean"] = np.linalg.norm(found.others["central flow"] - _means(found), axis=1)
    return out


def _means(found: _Found) -> Array:
    """The iterates without their oscillation: of three neighbours, of two at the start."""
    weights = np.array([0.25, 0.5, 0.25])
    means = [weights @ found.run[k - 1 : k + 2] if k else (found.run[0] + found.run[1]) / 2 for k in found.marks]
    return np.array(means)


def _panels(setting: _Setting, found: _Found) -> list[Panel]:
    marks, x = found.marks, setting.first + found.marks
    apart = _distances(setting, found)
    shown = {"gradient flow": found.others["gradient flow"], "central flow": found.others["central flow"]}
    best = found.ours[2]

    def value(points: Array) -> Array:
        return np.array([setting.net.value(point) for point in points])

    losses = [Line("descent", x, value(found.run[marks]), "descent")]
    losses += [Line(name, x[: len(p)], value(p), _model(name), "predicted") for name, p in shown.items()]
    losses.append(Line("ours, order 2", x, value(best.iterates), 2, "predicted"))

    def sharpness(points: Array) -> Array:
        return watch(setting.net, points, eta=setting.eta, count=1).products[:, 0]

    sharp = [Line("mean of descent", x, sharpness(_means(found)), "descent")]
    sharp.append(Line("ours, order 2", x, sharpness(best.mean), 2, "predicted"))
    sharp += [Line(name, x[: len(p)], sharpness(p), _model(name), "predicted") for name, p in shown.items()]
    swings = [
        Line("descent", x[marks >= 2], found.swing[marks[marks >= 2] - 2], "descent"),  # the third of five iterates
        Line("ours, order 2", x, np.linalg.norm(best.alternating, axis=1), 2, "predicted"),
    ]
    gaps = [
        Line(f"ours, {name}" if name.startswith("order") else name, x[1 : len(d)], d[1:], _model(name))
        for name, d in apart.items()
        if name not in LEFT_OUT
    ]
    title, label = f"{setting.name}: ", "step of gradient descent"
    ends = [f"{name} {told}" for name, told in found.ends.items()]
    note = "\n".join(["classical orders lie on gradient flow", *ends])
    return [
        Panel(title + "training loss", label, "loss", tuple(losses), "y"),
        Panel(title + r"sharpness", label, r"$\eta\lambda_{\max}$", tuple(sharp)),
        Panel(title + "oscillation", label, r"$\|\delta\|$", tuple(swings), "y"),
        Panel(title + "distance from descent", label, r"$\|\theta-\theta_k\|$", tuple(gaps), "y", note),
    ]


def _model(name: str) -> int | str:
    """What chooses the colour of a line."""
    return int(name[-1]) if name.startswith("order") else name


def _claims(setting: _Setting, found: _Found) -> list[Claim]:
    apart = _distances(setting, found)
    worst = {name: float(d.max()) for name, d in apart.items()}
    claims = [
        Claim(
            f"{setting.name}: largest distance of order {k} over that of order {k - 1}",
            worst[f"order {k}"] / worst[f"order {k - 1}"],
            -np.inf,
            0.2,
        )
        for k in ORDERS[1:]
    ]
    end = {name: float(d[-1]) for name, d in apart.items()}
    claims.append(
        Claim(
            f"{setting.name}: distance of order 2 over that of gradient flow, at the end",
            end["order 2"] / end["gradient flow"],
            -np.inf,
            0.01,
        )
    )
    claims.append(
        Claim(
            f"{setting.name}: distance of order 2 over that of the central flow from the mean, at the end",
            end["order 2"] / end["central flow from the mean"],
            -np.inf,
            1.0,
        )
    )
    return claims


def _figures(setting: _Setting, found: _Found) -> dict[str, Any]:
    apart = _distances(setting, found)
    costs = {
        f"order {k}": {
            "integrator steps": path.cost.steps,
            "velocities": path.cost.velocities,
            "base sweeps": path.cost.bases,
            "frames": path.cost.frames,
            "gradients": round(path.cost.gradients),
        }
        for k, path in found.ours.items()
    }
    flow = apart["gradient flow"]
    worse = {}
    for order in ORDERS[1:]:
        own = apart[_word(order)]
        beyond = np.flatnonzero(own[1:] > flow[1 : len(own)])
        worse[_word(order)] = (
            f"farther from descent than gradient flow from step {found.marks[1 + beyond[0]]} on"
            if len(beyond)
            else found.ends.get(_word(order), "never farther than gradient flow")
        )
    return {
        "largest distances": {name: float(d.max()) for name, d in apart.items()},
        "distances at the end": {name: float(d[-1]) for name, d in apart.items()},
        "classical equations break": worse,
        "given up": found.ends,
        "cost": costs,
        "processor seconds": found.seconds,
    }
