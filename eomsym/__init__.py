"""The differential equation that gradient descent really follows.

A discrete optimiser with learning rate ``eta`` is followed, to order ``K``, by the equation of motion
``theta' = -(terms[0] + eta terms[1] + ... + eta**K terms[K])``. eomsym derives the counter terms exactly,
compiles them for a given loss, integrates the equation and verifies the order against the running optimiser.

Names are imported when they are first used (PEP 562): ``import eomsym`` is quick and loads neither numba nor
scipy.

Examples
--------
>>> import eomsym as eom
>>> str(eom.counter_terms(2)[2])
'1/3 H²g + 1/12 ∇³L[g,g]'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eomsym._names import lazily

if TYPE_CHECKING:
    from eomsym import bounds, errors, figures, plot, report, testing
    from eomsym.bounds.leading_error import leading_error
    from eomsym.codegen.kernel import compile
    from eomsym.dynamics.descent import descend
    from eomsym.dynamics.flow import flow
    from eomsym.errors import EomsymError
    from eomsym.exact.counter_terms import counter_terms
    from eomsym.exact.methods import (
        Epoch,
        Extragradient,
        GradientDescent,
        GradientFlow,
        HeavyBall,
        LinearMultistep,
        Nesterov,
        OptimisticGradient,
        ProximalPoint,
        RungeKutta,
        SharpnessAware,
    )
    from eomsym.exact.modified_loss import modified_loss
    from eomsym.interop.jaxpr import from_jax
    from eomsym.losses.convolution import Convolutional
    from eomsym.losses.expression import Field, Loss
    from eomsym.losses.invariant import NormalizedNetwork
    from eomsym.losses.network import DeepLinear, Network
    from eomsym.optimisers.adaptive import Adam, AdamW, RMSProp
    from eomsym.optimisers.averages import Averaged
    from eomsym.optimisers.formulas import elementwise_terms
    from eomsym.optimisers.matrix import Muon
    from eomsym.optimisers.momentum import Lookahead, Momentum, QuasiHyperbolic
    from eomsym.optimisers.normalised import ClippedGradient, NormalisedGradient, NormalisedSAM
    from eomsym.optimisers.signs import Lion, SignSGD
    from eomsym.taylor.symbolic import modified_field
    from eomsym.verification.order import verify
    from eomsym.verification.prediction import predict
    from eomsym.verification.simulate import simulate
    from eomsym.verification.symmetry import RescalingSymmetry, ScaleInvariance, TranslationInvariance

__version__ = "0.2.0"

__all__ = [
    "Adam",
    "AdamW",
    "Averaged",
    "ClippedGradient",
    "Convolutional",
    "DeepLinear",
    "EomsymError",
    "Epoch",
    "Extragradient",
    "Field",
    "GradientDescent",
    "GradientFlow",
    "HeavyBall",
    "LinearMultistep",
    "Lion",
    "Lookahead",
    "Loss",
    "Momentum",
    "Muon",
    "Nesterov",
    "Network",
    "NormalisedGradient",
    "NormalisedSAM",
    "NormalizedNetwork",
    "OptimisticGradient",
    "ProximalPoint",
    "QuasiHyperbolic",
    "RMSProp",
    "RescalingSymmetry",
    "RungeKutta",
    "ScaleInvariance",
    "SharpnessAware",
    "SignSGD",
    "TranslationInvariance",
    "__version__",
    "bounds",
    "compile",
    "counter_terms",
    "descend",
    "elementwise_terms",
    "errors",
    "figures",
    "flow",
    "from_jax",
    "leading_error",
    "modified_field",
    "modified_loss",
    "plot",
    "predict",
    "report",
    "simulate",
    "testing",
    "verify",
]

_HOMES = {
    "bounds.leading_error": ["leading_error"],
    "codegen.kernel": ["compile"],
    "dynamics.descent": ["descend"],
    "dynamics.flow": ["flow"],
    "errors": ["EomsymError"],
    "exact.counter_terms": ["counter_terms"],
    "exact.methods": [
        "Epoch",
        "Extragradient",
        "GradientDescent",
        "GradientFlow",
        "HeavyBall",
        "LinearMultistep",
        "Nesterov",
        "OptimisticGradient",
        "ProximalPoint",
        "RungeKutta",
        "SharpnessAware",
    ],
    "exact.modified_loss": ["modified_loss"],
    "interop.jaxpr": ["from_jax"],
    "losses.convolution": ["Convolutional"],
    "losses.expression": ["Field", "Loss"],
    "losses.invariant": ["NormalizedNetwork"],
    "losses.network": ["DeepLinear", "Network"],
    "optimisers.adaptive": ["Adam", "AdamW", "RMSProp"],
    "optimisers.averages": ["Averaged"],
    "optimisers.formulas": ["elementwise_terms"],
    "optimisers.matrix": ["Muon"],
    "optimisers.momentum": ["Lookahead", "Momentum", "QuasiHyperbolic"],
    "optimisers.normalised": ["ClippedGradient", "NormalisedGradient", "NormalisedSAM"],
    "optimisers.signs": ["Lion", "SignSGD"],
    "taylor.symbolic": ["modified_field"],
    "verification.order": ["verify"],
    "verification.prediction": ["predict"],
    "verification.simulate": ["simulate"],
    "verification.symmetry": ["RescalingSymmetry", "ScaleInvariance", "TranslationInvariance"],
}
_SUBMODULES = frozenset({"bounds", "errors", "figures", "plot", "report", "testing"})

__getattr__, __dir__ = lazily(__name__, _HOMES, _SUBMODULES)
