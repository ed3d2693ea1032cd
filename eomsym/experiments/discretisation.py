"""How far gradient descent is from gradient flow and from equations of motion, on handwritten digits.

The protocol of Elkabetz and Cohen: full batch, cross-entropy, gradient descent with eta and with eta/r from the same
start. Added here: the limit of r to infinity, which is gradient flow itself, and the equations of motion of orders 1 to
3.

References
----------
O. Elkabetz and N. Cohen, Continuous vs. Discrete Optimization of Deep Neural Networks, NeurIPS 2021, arXiv:2107.06608,
section 6 and figure 2.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from eomsym.codegen.kernel import Kernel, compile
from eomsym.dynamics.descent import descend
from eomsym.dynamics.flow import flow
from eomsym.dynamics.leading_error import leading_error
from eomsym.errors import InputError
from eomsym.experiments.claims import (
    ORDERS,
    RATIOS,
    claims_of_any,
    claims_of_ratios,
    claims_of_region,
    leading_claims,
    norms,
)
from eomsym.experiments.experiment import Experiment, Line, Panel
from eomsym.losses.activations import region, region_changes
from eomsym.losses.data import digits
from eomsym.losses.layers import Activation, Conv, Linear
from eomsym.losses.network import DeepLinear, Network
from eomsym.losses.normalisation import BatchNorm
from eomsym.optimisers.linear import RungeKutta
from eomsym.symmetries.noether import DESCENT
from eomsym.symmetries.prediction import follow_in_steps
from eomsym.types import Array, Progress

__all__ = ["convolution", "error", "linear", "ratios", "relu"]

#: Points in time that are kept.
POINTS = 100
#: Equations of motion of piecewise linear networks run for this part of the time: by then they have left the first
#: activation region hundreds of times, and there is no order left to see.
PART = 10
RUNGE_KUTTA = RungeKutta(
    [[0, 0, 0, 0], [Fraction(1, 2), 0, 0, 0], [0, Fraction(1, 2), 0, 0], [0, 0, 1, 0]],
    [Fraction(1, 6), Fraction(1, 3), Fraction(1, 3), Fraction(1, 6)],
)
#: Loss and gradient leave the interpreter alone while they run: two cores, two threads.
WORKERS = 2
#: So many parameters are written down one by one.
FEW = 12
#: Accuracy of the flows of smooth losses; order 3 ends about 1e-11 away from descent.
RTOL = 3e-13


def linear(images: int | None = None, steps: int | None = None, progress: Progress | None = None) -> Experiment:
    """Elkabetz and Cohen's linear network, scaled to 64 inputs: 64-50-50-10."""
    inputs, labels = digits(images or 1000)
    net = DeepLinear((64, 50, 50, 10), inputs, labels, "cross_entropy")
    return compare("linear", net, steps or 10_000, progress)


def relu(images: int | None = None, steps: int | None = None, progress: Progress | None = None) -> Experiment:
    """Their ReLU network, scaled to 64 inputs: 64-50-50-10."""
    inputs, labels = digits(images or 100)
    net = Network((64, 50, 50, 10), inputs, labels, "relu", "cross_entropy")
    return compare("relu", net, steps or 10_000, progress)


def convolution(images: int | None = None, steps: int | None = None, progress: Progress | None = None) -> Experiment:
    """A convolutional ReLU network in the place of their LeNets: 6 filters of 3x3 pixels, 30 hidden units."""
    inputs, labels = digits(images or 100)
    layers = [Conv(6, 3, stride=2), Activation("relu"), Linear(30), Activation("relu"), Linear(10)]
    name = f"relu network of 6 filters 3x3 and 30-10, cross_entropy, {len(inputs)} samples"
    net = Network(layers, inputs, labels, loss="cross_entropy", name=name)
    return compare("convolution", net, steps or 10_000, progress)


def ratios(images: int | None = None, steps: int | None = None, progress: Progress | None = None) -> Experiment:
    """A tanh network 64-20-10: smooth, as theirs are not."""
    inputs, labels = digits(images or 200)
    net = Network((64, 20, 10), inputs, labels, "tanh", "cross_entropy")
    return compare("ratios", net, steps or 1000, progress, eta=0.01)


def batch_normalised(units: int, inputs: Array, labels: np.ndarray) -> Network:
    """A tanh network with one batch-normalised hidden layer and ten classes."""
    name = f"tanh network with batch normalisation {inputs.shape[1]}-{units}-10, cross_entropy, {len(inputs)} samples"
    layers = [Linear(units), BatchNorm(), Activation("tanh"), Linear(10)]
    return Network(layers, inputs, labels, loss="cross_entropy", name=name)


def compare(
    name: str, net: Any, steps: int, progress: Progress | None = None, eta: float = 1e-3, start: Any = None
) -> Experiment:
    """The protocol on one loss; a network without a start gets Xavier's.

    Parameters
    ----------
    name : str
        Of the experiment.
    net : Network, Loss, …
    steps : int
    progress : callable, optional
    eta : float
    start : array_like, shape (n,), optional
        With one, the claims are those that hold of any loss, see `claims_of_any`; without, the paper's too.

    Returns
    -------
    Experiment
    """
    began = time.perf_counter()
    every = max(1, steps // POINTS)
    steps -= steps % every
    theta = net.initial(0) if start is None else net.validate(start)
    kernel = compile(net, max(ORDERS) + 1)
    kernel.terms(theta)  # compiled once, before the threads begin
    times: Array = eta * every * np.arange(steps // every + 1.0)
    smooth = not region(net, theta).size

    found = paper_runs(kernel, theta, times, eta=eta, steps=steps, every=every, progress=progress)
    paths = {key: one[0] if key in ORDERS else one for key, one in found.items() if key != "leading"}
    errors = {order: found[order][1] for order in ORDERS}

    descent = paths[DESCENT]
    distances = {key: norms(path - descent[: len(path)]) for key, path in paths.items() if key != DESCENT}
    last = {key: float(distance[-1]) for key, distance in distances.items()}
    travelled = float(np.linalg.norm(descent[-1] - theta))
    figures: dict[str, Any] = {
        "way travelled by descent": travelled,
        "distances of gradient flow and orders 1, 2, 3 from descent at their end": [last[order] for order in ORDERS],
        "errors of their integration": [errors[order] for order in ORDERS],
        "distances of eta/r": {str(ratio): last["r", ratio] for ratio in RATIOS},
    }
    claims = claims_of_ratios(last, errors, travelled, smooth) if start is None else []
    if smooth and start is None:
        sizes = eta ** (np.array(ORDERS) + 1.0) * found["leading"].norms
        claims += leading_claims(sizes, last, errors, width=0.03, falls=0.02)
    elif smooth:
        claims, figures["not judged"] = claims_of_any(net, theta, eta, steps)
    else:
        figures["distance of gradient flow where orders 1, 2, 3 end"] = float(distances[0][len(distances[1]) - 1])
        figures["gates that switch between recorded points"] = {
            words(key): int(region_changes(net, path).sum()) for key, path in paths.items()
        }
        claims += claims_of_region(net, kernel, theta)
    settings = {
        "network": name_of(net),
        "eta": eta,
        "steps": steps,
        "ratios": list(RATIOS),
        "start": "xavier, seed 0" if start is None else words_of(theta),
        "integration": f"DOP853, rtol {RTOL:g}" if smooth else "Runge-Kutta of order 4, steps eta/2 and eta/4",
    }
    panels = paper_panels(net, times, paths, distances)
    return Experiment(
        name,
        f"{name_of(net)}: descent, gradient flow, equations of motion",
        settings,
        panels,
        tuple(claims),
        figures,
        time.perf_counter() - began,
    )


def paper_runs(
    kernel: Kernel, theta: Array, times: Array, *, eta: float, steps: int, every: int, progress: Progress | None
) -> dict[Any, Any]:
    """Descent with all learning rates, gradient flow and equations of motion, side by side."""
    net = kernel.loss
    smooth = not region(net, theta).size

    def iterates(ratio: int, chosen: Kernel = kernel) -> Array:
        return descend(chosen, theta, eta=eta / ratio, steps=steps * ratio, every=every * ratio).thetas

    def motion(order: int) -> tuple[Array, float]:
        if smooth:
            path = flow(kernel.at_order(order), theta, eta=eta, time=times, rtol=RTOL, atol=RTOL / 100)
            return path.thetas, path.error
        if order > 0:
            return follow_in_steps(kernel.at_order(order), theta, eta, times[: len(times) // PART + 1])[:2]
        # The field jumps: steps of fixed size, and their error from steps of half the size.
        classical = compile(net, 0, method=RUNGE_KUTTA)
        coarse, fine = (iterates(ratio, classical) for ratio in (2, 4))
        return fine, float(norms(fine - coarse).max())

    jobs: dict[Any, Callable[[], Any]] = {("r", ratio): partial(iterates, ratio) for ratio in reversed(RATIOS)}
    jobs |= {order: partial(motion, order) for order in reversed(ORDERS)}
    jobs[DESCENT] = partial(iterates, 1)
    if smooth:
        jobs["leading"] = lambda: leading_error(kernel, theta, time=float(times[-1]), orders=ORDERS)
    return run_jobs(jobs, progress)


def paper_panels(net: Any, times: Array, paths: dict[Any, Array], distances: dict[Any, Array]) -> tuple[Panel, ...]:
    """Loss, way travelled and distance: the three rows of the paper's figure, with the flows that it could not show."""
    names: dict[Any, str] = {
        DESCENT: r"descent, $\eta$",
        0: "gradient flow",
        ("r", max(RATIOS)): rf"descent, $\eta/{max(RATIOS)}$",
    }
    model: dict[Any, Any] = {DESCENT: DESCENT, 0: 0, ("r", max(RATIOS)): f"r={max(RATIOS)}"}

    def lines(what: Callable[[Array], Array]) -> tuple[Line, ...]:
        return tuple(
            Line(names[key], times, what(paths[key]), model[key], "predicted" if key == 0 else "measured")
            for key in names
        )

    later = slice(1, None)
    apart = [Line(rf"$\eta/{ratio}$", times[later], distances["r", ratio][later], f"r={ratio}") for ratio in RATIOS]
    apart.append(Line("gradient flow", times[later], distances[0][later], 0))
    orders = [
        Line(words(order), times[: len(distances[order])][later], distances[order][later], order) for order in ORDERS
    ]
    gap = r"$\|\theta-\theta_k\|$"
    return (
        Panel("training loss", r"time $\eta k$", "loss", lines(lambda path: np.array([net.value(p) for p in path]))),
        Panel("way travelled", r"time $\eta k$", r"$\|\theta-\theta_0\|$", lines(lambda path: norms(path - path[0]))),
        Panel(r"distance from descent with $\eta$", r"time $\eta k$", gap, tuple(apart)),
        Panel(r"distance from descent with $\eta$", r"time $\eta k$", gap, tuple(orders), "y"),
    )


def error(images: int | None = None, steps: int | None = None, progress: Progress | None = None) -> Experiment:
    """Error of gradient flow and of equations of motion over the steps of descent; after Miyagawa.

    A batch-normalised network with weight decay, large learning rate.
    """
    inputs, labels = digits(images or 200)
    return over_steps(batch_normalised(16, inputs, labels).with_weight_decay(0.01), steps or 400, progress, 0.05)


def over_steps(
    net: Any, steps: int, progress: Progress | None = None, eta: float = 0.05, start: Any = None
) -> Experiment:
    """Errors over the steps of one smooth loss; the parameters are those of `compare`.

    Raises
    ------
    InputError
        The loss has gates: their equations of motion hold in the first activation region only.
    """
    began = time.perf_counter()
    theta = net.initial(0) if start is None else net.validate(start)
    if region(net, theta).size:
        raise InputError(
            f"{name_of(net)} has ReLUs or other kinks, and no order holds across them; the experiment 'ratios' "
            "takes such a loss"
        )
    every = max(1, steps // POINTS)
    count = steps - steps % every
    times: Array = eta * every * np.arange(count // every + 1.0)
    marks = sorted({max(1, round(part * (len(times) - 1))) for part in (0.05, 0.2, 0.5, 1.0)})
    kernel = compile(net, max(ORDERS) + 1)
    kernel.terms(theta)
    found = run_jobs(error_jobs(kernel, theta, times, marks, eta=eta, every=every), progress)
    descent = found[DESCENT].thetas
    distances = {order: norms(found[order].thetas - descent) for order in ORDERS}
    predicted = eta ** (np.array(ORDERS) + 1.0) * np.array([found["v", mark] for mark in marks])
    last = {order: float(distances[order][-1]) for order in ORDERS}
    errors = {order: found[order].error for order in ORDERS}
    settings = {
        "network": name_of(net),
        "eta": eta,
        "weight decay": float(net.weight_decay),
        "steps": count,
        "start": "xavier, seed 0" if start is None else words_of(theta),
    }
    figures: dict[str, Any] = {"distances": list(last.values()), "errors of their integration": list(errors.values())}
    if start is None:
        claims = leading_claims(predicted[-1], last, errors, width=0.1, falls=0.5)
    else:
        claims, figures["not judged"] = claims_of_any(net, theta, eta, count)
    return Experiment(
        "error",
        f"{name_of(net)}: the error of continuous time",
        settings,
        (loss_panel(net, times / eta, descent, found[0].thetas), error_panel(times / eta, marks, distances, predicted)),
        tuple(claims),
        figures,
        time.perf_counter() - began,
    )


def error_jobs(
    kernel: Kernel, theta: Array, times: Array, marks: list[int], *, eta: float, every: int
) -> dict[Any, Callable[[], Any]]:
    """Descent, the motion of each order, and the leading errors at some marks."""

    def motion(order: int) -> Callable[[], Any]:
        return lambda: flow(kernel.at_order(order), theta, eta=eta, time=times, rtol=1e-11, atol=1e-13)

    def leading(mark: int) -> Callable[[], Any]:
        return lambda: leading_error(kernel, theta, time=float(times[mark]), orders=ORDERS, rtol=1e-6).norms

    jobs: dict[Any, Callable[[], Any]] = {("v", mark): leading(mark) for mark in reversed(marks)}
    jobs |= {order: motion(order) for order in reversed(ORDERS)}
    jobs[DESCENT] = lambda: descend(kernel, theta, eta=eta, steps=every * (len(times) - 1), every=every)
    return jobs


def error_panel(steps: Array, marks: list[int], distances: dict[int, Array], predicted: Array) -> Panel:
    """Distances over the steps, with the predicted leading errors at some of them, shape (marks, orders)."""
    lines = []
    for order in ORDERS:
        lines.append(Line(words(order), steps[1:], distances[order][1:], order))
        lines.append(Line("", steps[marks], predicted[:, order], order, "predicted"))
    return Panel(
        "error of gradient flow and equations of motion",
        "step of gradient descent",
        r"$\|\theta_\mathrm{EoM}(k\eta)-\theta_k\|$",
        tuple(lines),
        "y",
        r"dots: predicted leading error $\eta^{K+1}\|v_K\|$",
    )


def loss_panel(net: Any, steps: Array, descent: Array, motion: Array) -> Panel:
    """The training loss of descent and of gradient flow."""

    def values(path: Array) -> Array:
        return np.array([net.value(point) for point in path])

    lines = (
        Line("descent", steps, values(descent), DESCENT),
        Line("gradient flow", steps, values(motion), 0, "predicted"),
    )
    return Panel(
        "training loss", "step of gradient descent", "loss with penalty" if net.weight_decay else "loss", lines
    )


def run_jobs(jobs: dict[Any, Callable[[], Any]], progress: Progress | None) -> dict[Any, Any]:
    """Run all jobs in threads; the first error ends them."""
    found = {}
    with ThreadPoolExecutor(WORKERS) as pool:
        futures = {pool.submit(job): key for key, job in jobs.items()}
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                found[futures[future]] = future.result()
                if progress:
                    progress(done, len(jobs), words(futures[future]))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return found


def words(key: Any) -> str:
    """What a job computes, in the words of a legend."""
    if isinstance(key, tuple):
        return f"descent, eta/{key[1]}" if key[0] == "r" else "leading error"
    return {DESCENT: "descent, eta", 0: "gradient flow", "leading": "leading error"}.get(key, f"EoM, order {key}")


def name_of(loss: Any) -> str:
    """What titles call a loss."""
    return str(getattr(loss, "name", None) or loss).strip("<>")


def words_of(theta: Array) -> str:
    """A start in the settings: its numbers if they are few."""
    return ", ".join(f"{x:.17g}" for x in theta) if len(theta) <= FEW else f"given, {len(theta)} parameters"
