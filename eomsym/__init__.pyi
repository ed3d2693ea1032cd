"""The public names, each with its home; `__init__.py` imports them when they are first used."""

from . import (
    bounds,
    curvature,
    errors,
    experiments,
    formulas,
    interop,
    losses,
    optimisers,
    output,
    symmetries,
    testing,
)
from .codegen.kernel import compile
from .dynamics.descent import descend
from .dynamics.edge import edge_flow
from .dynamics.events import Event
from .dynamics.flow import flow
from .dynamics.forward import forward
from .dynamics.leading_error import leading_error
from .dynamics.watch import sharpness_event, watch
from .errors import EomsymError
from .experiments.papers import reproduce
from .experiments.rerun import rerun
from .experiments.simulate import simulate
from .experiments.sweep import sweep
from .formulas.potentials import modified_loss
from .formulas.terms import counter_terms
from .interop.audit import audit
from .interop.jaxpr import from_jax
from .interop.observe import observe
from .interop.torch_export import from_torch
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
    "Event",
    "Field",
    "GradientDescent",
    "HeavyBall",
    "Loss",
    "Nesterov",
    "Network",
    "__version__",
    "audit",
    "bounds",
    "compile",
    "counter_terms",
    "curvature",
    "descend",
    "edge_flow",
    "errors",
    "experiments",
    "flow",
    "formulas",
    "forward",
    "from_jax",
    "from_torch",
    "interop",
    "leading_error",
    "losses",
    "modified_field",
    "modified_loss",
    "observe",
    "optimisers",
    "output",
    "reproduce",
    "rerun",
    "sharpness_event",
    "simulate",
    "sweep",
    "symmetries",
    "testing",
    "verify",
    "watch",
]
