"""The experiments of the source papers by name, on their own problems or on one of yours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from eomsym import checks
from eomsym.errors import InputError
from eomsym.experiments import discretisation, fast_forward, layers
from eomsym.experiments.edge import edge
from eomsym.experiments.experiment import Experiment
from eomsym.experiments.problem import Given, make
from eomsym.losses.objective import Objective
from eomsym.optimisers.linear import GradientDescent
from eomsym.optimisers.names import checked_method
from eomsym.types import Progress

__all__ = ["EXPERIMENTS", "simulate"]


@dataclass(frozen=True)
class _Entry:
    """A row of the table of experiments."""

    function: Callable[..., Experiment]
    summary: str
    takes_images: bool = True
    #: The same on a problem of the user's, and how many steps it then takes.
    own: Callable[..., Experiment] | None = None
    own_steps: int = 100


EXPERIMENTS = {
    "linear": _Entry(discretisation.linear, "Elkabetz & Cohen: linear network 64-50-50-10 on digits."),
    "relu": _Entry(discretisation.relu, "Elkabetz & Cohen: ReLU network 64-50-50-10 on digits."),
    "convolution": _Entry(discretisation.convolution, "Elkabetz & Cohen: small convolutional network on digits."),
    "ratios": _Entry(
        discretisation.ratios,
        "Elkabetz & Cohen's comparison on a tanh network 64-20-10, or on a problem of yours.",
        own=partial(discretisation.compare, "ratios"),
        own_steps=1000,
    ),
    "error": _Entry(
        discretisation.error,
        "Miyagawa: error of gradient flow and equations of motion over the steps.",
        own=discretisation.over_steps,
        own_steps=400,
    ),
    "forward": _Entry(fast_forward.fast_forward, "What a prediction many steps ahead saves, and how exact it is."),
    "scale": _Entry(
        layers.scale,
        "Miyagawa: norm, effective rate and equilibrium of scale-invariant weights.",
        own=partial(layers.of_any, "scale"),
    ),
    "translation": _Entry(
        layers.translation,
        "Miyagawa: decay of translation-invariant weights.",
        own=partial(layers.of_any, "translation"),
    ),
    "balance": _Entry(layers.balance, "Drift of the balance of linear layers.", own=partial(layers.of_any, "balance")),
    "edge": _Entry(edge, "Cohen et al.: the edge of stability, two networks; what follows gradient descent there."),
    "modes": _Entry(layers.modes, "Singular modes and the one-output equations of deep linear networks.", False),
}
#: Each step is kept, and compared.
MOST_STEPS = 10_000_000


def simulate(
    name: str,
    *,
    problem: Given | Mapping[str, Any] | None = None,
    eta: float | None = None,
    images: int | None = None,
    steps: int | None = None,
    progress: Progress | None = None,
) -> Experiment:
    """Run a named experiment.

    Parameters
    ----------
    name : str
        One of `EXPERIMENTS`.
    problem : mapping or Given, optional
        A problem of your own, described as a case is (see :class:`eomsym.experiments.case.Case`), or a loss and a start
        as ``Given(loss, start, "name")``; for ``"ratios"``, ``"error"``, ``"scale"``, ``"translation"`` and
        ``"balance"``. The claims are then those that hold of any loss.
    eta : float, optional
        Learning rate for that problem; by default its time over the steps.
    images : int, optional
        How many handwritten digits; each experiment has its own default.
    steps : int, optional
        Steps of gradient descent (points in time for ``"modes"``); each experiment has its own default.
    progress : callable, optional
        Called with (done, total, what).

    Returns
    -------
    Experiment

    Raises
    ------
    InputError
        An unknown name, numbers that cannot be used, or a problem on which the experiment says nothing.
    MissingDependencyError
        scikit-learn, which has the digits, is not installed.

    Examples
    --------
    >>> found = simulate("modes", steps=20)
    >>> found.status, len(found.panels)
    ('passed', 3)
    >>> own = {"loss": "x**2*y**2/2 + x**2", "variables": "x y", "start": [1.0, 0.5]}
    >>> simulate("error", problem=own, eta=0.02, steps=50).status
    'passed'

    References
    ----------
    O. Elkabetz and N. Cohen, NeurIPS 2021, arXiv:2107.06608. T. Miyagawa, NeurIPS 2022, arXiv:2210.15898.
    """
    entry = EXPERIMENTS[checks.choice(name, "experiment", EXPERIMENTS)]
    told = checks.progress(progress)
    options: dict[str, Any] = {}
    if steps is not None:
        options["steps"] = checks.count(steps, "steps", 10, MOST_STEPS)
    if problem is not None:
        if images is not None:
            raise InputError("images are those of the experiment's own data; leave them out with a problem of yours")
        given = problem if isinstance(problem, Given) else make(checks.instance(problem, "problem", Mapping, EXAMPLE))
        rate = None if eta is None else checks.positive(eta, "eta")
        found, used = _own(name, entry, given, rate, options.get("steps", entry.own_steps), told)
        options |= {"problem": dict(given.definition) or None, "eta": used}
        return replace(found, arguments=options)
    if eta is not None:
        raise InputError("eta is that of a problem of yours; give problem too, or leave eta out")
    if images is not None:
        if not entry.takes_images:
            raise InputError(f"the experiment {name!r} makes its own data; leave out images")
        options["images"] = checks.count(images, "images", 2)
    return replace(entry.function(progress=told, **options), arguments=options)


#: A problem, for messages.
EXAMPLE = "{'loss': 'x**4/4', 'variables': 'x', 'start': [1.0]}"


def _own(
    name: str, entry: _Entry, given: Given, eta: float | None, steps: int, told: Progress
) -> tuple[Experiment, float]:
    """The experiment on a problem of the user's, and the learning rate that it used."""
    if entry.own is None:
        able = ", ".join(known for known, other in EXPERIMENTS.items() if other.own)
        raise InputError(f"the experiment {name!r} makes its own problem; those that take yours are {able}")
    if checked_method(given.method) != GradientDescent():
        raise InputError(f"the experiment {name!r} is about gradient descent; leave method out of the problem")
    checks.instance(given.loss, "a loss", Objective, "eomsym.Loss('x**2', variables='x')")
    if given.start is None:
        raise InputError(f"the problem has no start; give one, such as {EXAMPLE}")
    theta = given.loss.validate(given.start)
    rate = given.time / steps if eta is None else eta
    return entry.own(given.loss, steps=steps, progress=told, eta=rate, start=theta), rate
