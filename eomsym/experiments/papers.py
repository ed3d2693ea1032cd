"""Papers, reproduced: for each small experiments with its formula, its figures and its claims, judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

import sympy

from eomsym import checks
from eomsym.experiments.drifts import games, principal_flow
from eomsym.experiments.experiment import Experiment
from eomsym.experiments.ladders import BETA
from eomsym.experiments.memories import adam, heavy_ball, momentum_to_every_order
from eomsym.experiments.modified_losses import implicit_regularisation, mini_batches
from eomsym.experiments.simulate import simulate
from eomsym.formulas.elementwise import elementwise_terms
from eomsym.formulas.epochs import shuffled_epoch
from eomsym.formulas.potentials import split
from eomsym.formulas.terms import counter_terms
from eomsym.optimisers.accelerated import HeavyBall
from eomsym.optimisers.adaptive import Adam
from eomsym.output.pages import shown, side_by_side
from eomsym.output.records import collection
from eomsym.types import Progress
from eomsym.verification.verdict import Status, worst

__all__ = ["PAPERS", "Paper", "Reproduction", "reproduce"]


@dataclass(frozen=True)
class Paper:
    """A paper and what reproduces it: names of `simulate`, or functions that give an experiment.

    Attributes
    ----------
    title, authors, venue : str
    arxiv : str
        Its number there.
    says : str
        What the formula is, in a sentence.
    formula : callable
        Gives the formula that is its result, which has ``format("latex")`` and other formats.
    experiments : tuple of str or callable
    quick : mapping
        Arguments of `simulate`, by name of the experiment, with which it takes seconds; empty where it always does.
    """

    title: str
    authors: str
    venue: str
    arxiv: str
    says: str
    formula: Callable[[], Any]
    experiments: tuple[str | Callable[[], Experiment], ...]
    quick: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def doi(self) -> str:
        """The DOI that arXiv gives every paper."""
        return f"10.48550/arXiv.{self.arxiv}"

    @property
    def reference(self) -> str:
        """Authors, venue, number at arXiv and DOI."""
        return f"{self.authors}, {self.venue}, arXiv:{self.arxiv}, doi:{self.doi}"

    def citation(self) -> str:
        """The reference with its title, as HTML; its links are for a reader to follow, nothing is fetched."""
        links = {
            "https://arxiv.org/abs/" + self.arxiv: "arXiv:" + self.arxiv,
            "https://doi.org/" + self.doi: "doi:" + self.doi,
        }
        linked = ", ".join(f'<a href="{url}">{text}</a>' for url, text in links.items())
        return f"<p>{escape(self.authors)}, <cite>{escape(self.title)}</cite>, {escape(self.venue)}, {linked}</p>"


@dataclass(frozen=True, eq=False)
class Reproduction:
    """What reproducing a paper gave.

    Attributes
    ----------
    name : str
    paper : Paper
    experiments : tuple of Experiment
    quick : bool
        Whether they were made small.
    """

    name: str
    paper: Paper
    experiments: tuple[Experiment, ...]
    quick: bool = False

    @property
    def status(self) -> Status:
        """The worst of the claims."""
        return worst(one.status for one in self.experiments)

    @property
    def command(self) -> str:
        """The command line that repeats it."""
        return f"eomsym reproduce {self.name}" + " --quick" * bool(self.quick and self.paper.quick)

    def __str__(self) -> str:
        return "\n\n".join([f"{self.paper.title}\n{self.paper.reference}", *map(str, self.experiments), self.status])

    def parts(self, heading: str = "h2") -> list[Any]:
        """What a page shows: citation, formula, figures, claims and the command.

        Parameters
        ----------
        heading : str
            Element of the titles of the experiments.
        """
        formula = self.paper.formula().format("mathml")
        parts: list[Any] = [self.paper.citation(), f"<p>{escape(self.paper.says)}</p>"]
        parts.append(f'<div class="sum wide" style="overflow-x:auto">{formula}</div>')
        for one in self.experiments:
            parts += [
                f"<{heading}>{escape(one.title)}</{heading}>",
                side_by_side(panel.plot() for panel in one.panels),
                one.table(),
            ]
        return [*parts, f"<p><code>{escape(self.command)}</code></p>"]

    def _repr_html_(self) -> str:
        return "".join(map(shown, self.parts("h4")))

    def record(self) -> dict[str, Any]:
        """A collection of the records of the experiments."""
        return collection([one.record() for one in self.experiments], command=self.command)


def reproduce(name: str, *, quick: bool = False, progress: Progress | None = None) -> Reproduction:
    """Reproduce a paper: its experiments, its figures and its claims, judged.

    Parameters
    ----------
    name : str
        One of `PAPERS`.
    quick : bool
        Fewer images and steps where the paper's own experiments take minutes; the claims are the same.
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
    total = len(paper.experiments)
    for k, one in enumerate(paper.experiments):
        told(k, total, one if isinstance(one, str) else one.__name__.replace("_", " "))
        if isinstance(one, str):
            found.append(simulate(one, **dict[str, Any](paper.quick.get(one, {}) if quick else {})))
        else:
            found.append(one())
    told(total, total, "")
    return Reproduction(name, paper, tuple(found), quick)


def _of_method(order: int, method: Any = None) -> Callable[[], Any]:
    return lambda: counter_terms(order, method=method)


def _of_adam() -> Any:
    b1, b2, epsilon = sympy.symbols("beta1 beta2 epsilon", positive=True)
    return elementwise_terms(Adam(b1, b2, epsilon, inside=True), 1)


#: Papers by name.
PAPERS: dict[str, Paper] = {
    "miyagawa2022": Paper(
        "Toward Equation of Motion for Deep Neural Networks: Continuous-time Gradient Descent and Discretization Error "
        "Analysis",
        "T. Miyagawa",
        "NeurIPS 2022",
        "2210.15898",
        "The equation of motion that gradient descent follows; its terms are exact at every order.",
        _of_method(3),
        ("error", "scale", "translation"),
        {"error": {"images": 100, "steps": 200}, "scale": {"steps": 100}, "translation": {"steps": 50}},
    ),
    "elkabetz2021": Paper(
        "Continuous vs. Discrete Optimization of Deep Neural Networks",
        "O. Elkabetz, N. Cohen",
        "NeurIPS 2021",
        "2107.06608",
        "Gradient flow is the first term; the second is what halving the learning rate halves.",
        _of_method(1),
        ("linear", "relu", "convolution", "modes"),
        {
            "linear": {"images": 200, "steps": 1000},
            "relu": {"images": 40, "steps": 200},
            "convolution": {"images": 20, "steps": 200},
            "modes": {"steps": 40},
        },
    ),
    "barrett2021": Paper(
        "Implicit Gradient Regularization",
        "D. G. T. Barrett, B. Dherin",
        "ICLR 2021",
        "2009.11162",
        "Gradient descent follows gradient flow of the loss plus the learning rate times this:",
        lambda: split(counter_terms(1)[1]).potential,
        (implicit_regularisation,),
    ),
    "smith2021": Paper(
        "On the Origin of Implicit Regularization in Stochastic Gradient Descent",
        "S. L. Smith, B. Dherin, D. G. T. Barrett, S. De",
        "ICLR 2021",
        "2101.12176",
        "Term 1 of an epoch of three batches, in the mean over their orders: batches act on themselves alone.",
        lambda: shuffled_epoch(3, 1)[1],
        (mini_batches,),
    ),
    "ghosh2023": Paper(
        "Implicit Regularization in Heavy-ball Momentum Accelerated Stochastic Gradient Descent",
        "A. Ghosh, H. Lyu, X. Zhang, R. Wang",
        "ICLR 2023",
        "2302.00849",
        "Heavy ball follows gradient flow of the loss over 1 − β plus the learning rate times this:",
        lambda: split(counter_terms(1, method=HeavyBall(BETA))[1]).potential,
        (heavy_ball,),
    ),
    "cattaneo2025": Paper(
        "Modified Loss of Momentum Gradient Descent: Fine-Grained Analysis",
        "M. D. Cattaneo, B. Shigida",
        "2025",
        "2509.08483",
        "The equation of motion of heavy ball; the memory is in the coefficients.",
        _of_method(2, HeavyBall(BETA)),
        (momentum_to_every_order,),
    ),
    "cattaneo2024": Paper(
        "On the Implicit Bias of Adam",
        "M. D. Cattaneo, J. M. Klusowski, B. Shigida",
        "ICML 2024",
        "2309.00079",
        "The equation of motion of Adam to first order, entry by entry; s = g² + ε.",
        _of_adam,
        (adam,),
    ),
    "rosca2021": Paper(
        "Discretization Drift in Two-Player Games",
        "M. Rosca, Y. Wu, B. Dherin, D. G. T. Barrett",
        "ICML 2021",
        "2105.13922",
        "The drift of two players that descend at once: here g is the field of both, and H its Jacobian.",
        _of_method(1),
        (games,),
    ),
    "rosca2023": Paper(
        "On a Continuous Time Model of Gradient Descent Dynamics and Instability in Deep Learning",
        "M. Rosca, Y. Wu, C. Qin, B. Dherin",
        "TMLR 2023",
        "2302.01952",
        "Where derivatives of the Hessian vanish, the series of these terms sums to a logarithm: the principal flow.",
        _of_method(3),
        (principal_flow,),
    ),
}
