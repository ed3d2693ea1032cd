"""The public names, each with its home; `__init__.py` imports them when they are first used."""

from . import bounds, curvature, errors, formulas, losses, optimisers, output, symmetries, testing
from .codegen.kernel import compile
from .dynamics.descent import descend
from .dynamics.flow import flow
from .dynamics.leading_error import leading_error
from .errors import EomsymError
from .experiments.rerun import rerun
from .experiments.simulate import simulate
from .formulas.potentials import modified_loss
from .formulas.terms import counter_terms
from .losses.expression import Field, Loss
from .losses.network import DeepLinear, Network
from .optimisers.accelerated import HeavyBall, Nesterov
from .optimisers.adaptive import Adam
from .optimisers.linear import GradientDescent
from .taylor.symbolic import modified_field
from .verification.order import verify

__version__: str

__all__ = [
    "Adam",
    "DeepLinear",
    "EomsymError",
    "Field",
    "GradientDescent",
    "HeavyBall",
    "Loss",
    "Nesterov",
    "Network",
    "__version__",
    "bounds",
    "compile",
    "counter_terms",
    "curvature",
    "descend",
    "errors",
    "flow",
    "formulas",
    "leading_error",
    "losses",
    "modified_field",
    "modified_loss",
    "optimisers",
    "output",
    "rerun",
    "simulate",
    "symmetries",
    "testing",
    "verify",
]
