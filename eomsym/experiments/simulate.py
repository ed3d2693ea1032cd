"""The experiments of the source papers by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from eomsym import checks
from eomsym.errors import InputError
from eomsym.experiments import discretisation, fast_forward, layers
from eomsym.experiments.edge import edge
from eomsym.experiments.experiment import Experiment
from eomsym.types import Progress

__all__ = ["EXPERIMENTS", "simulate"]


@dataclass(frozen=True)
class _Entry:
    """A row of the table of experiments."""

    function: Callable[..., Experiment]
    summary: str
    takes_images: bool = True


EXPERIMENTS = {
    "linear": _Entry(discretisation.linear, "Elkabetz & Cohen: linear network 64-50-50-10 on digits."),
    "relu": _Entry(discretisation.relu, "Elkabetz & Cohen: ReLU network 64-50-50-10 on digits."),
    "convolution": _Entry(discretisation.convolution, "Elkabetz & Cohen: small convolutional network on digits."),
    "error": _Entry(discretisation.error, "Miyagawa: error of gradient flow and equations of motion over the steps."),
    "forward": _Entry(fast_forward.fast_forward, "What a prediction many steps ahead saves, and how exact it is."),
    "scale": _Entry(layers.scale, "Miyagawa: norm, effective rate and equilibrium of scale-invariant weights."),
    "translation": _Entry(layers.translation, "Miyagawa: decay of translation-invariant weights."),
    "balance": _Entry(layers.balance, "Drift of the balance of linear layers."),
    "edge": _Entry(edge, "Cohen et al.: the edge of stability, two networks; what follows gradient descent there."),
    "modes": _Entry(layers.modes, "Singular modes and the one-output equations of deep linear networks.", False),
}


#: Each step is kept, and compared.
MOST_STEPS = 10_000_000


def simulate(
    name: str, *, images: int | None = None, steps: int | None = None, progress: Progress | None = None
) -> Experiment:
    """Run a named experiment.

    Parameters
    ----------
    name : str
        One of `EXPERIMENTS`.
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
        An unknown name, or numbers that cannot be used.
    MissingDependencyError
        scikit-learn, which has the digits, is not installed.

    Examples
    --------
    >>> found = simulate("modes", steps=20)
    >>> found.status, len(found.panels)
    ('passed', 3)

    References
    ----------
    O. Elkabetz and N. Cohen, NeurIPS 2021, arXiv:2107.06608. T. Miyagawa, NeurIPS 2022, arXiv:2210.15898.
    """
    entry = EXPERIMENTS[checks.choice(name, "experiment", EXPERIMENTS)]
    options = {}
    if images is not None:
        if not entry.takes_images:
            raise InputError(f"the experiment {name!r} makes its own data; leave out images")
        options["images"] = checks.count(images, "images", 2)
    if steps is not None:
        options["steps"] = checks.count(steps, "steps", 10, MOST_STEPS)
    found = entry.function(progress=checks.progress(progress), **options)
    return replace(found, arguments=options)
