"""Muon: steps along orthogonalised matrices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy

from eomsym import checks
from eomsym.errors import MethodError
from eomsym.exact.numbers import Scalar
from eomsym.optimisers.parameters import Nonlinear, decay, named, settle

__all__ = ["Muon"]

#: Of the quintic step, and what is added to the norm.
COEFFICIENTS = tuple(map(sympy.Rational, ("3.4445", "-4.7750", "2.0315")))
EPSILON = sympy.Rational(1, 10**7)


@dataclass(frozen=True)
class Muon(Nonlinear):
    """Muon: momentum whose matrices are orthogonalised by some Newton-Schulz steps.

    ``m+ = beta m + (1 - beta) g``, ``u = (1 - beta) g + beta m+``; for each matrix ``X = u/(|u| + 1e-7)`` with the
    Frobenius norm, then `ns_steps` times ``X <- a X + (b A + c A²) X`` with ``A = X Xᵀ`` (of the transposed matrix
    where it has more rows than columns), and ``theta+ = theta - eta X``.

    Parameters
    ----------
    beta : int, Fraction, str or sympy.Expr
        Momentum, from 0 to below 1.
    ns_steps : int
        From 1 to 20.

    Raises
    ------
    MethodError
        `beta` is out of range; or, when compiled, the loss does not say which parameters are matrices.
    InputError
        `ns_steps` is no such integer.

    Notes
    -----
    A block of parameters that is not a matrix (biases, kernels of convolutions, the variables of a formula) moves by
    ``-eta u``, plain momentum. The step is not scaled by the shape of the matrix; all is float64, where public
    implementations iterate in bfloat16.

    Examples
    --------
    >>> Muon().name
    'Muon, beta = 19/20, ns_steps = 5'

    References
    ----------
    K. Jordan et al., *Muon: An optimizer for hidden layers in neural networks*, 2024,
    https://kellerjordan.github.io/posts/muon/.
    """

    beta: Scalar = "19/20"
    ns_steps: int = 5

    def __post_init__(self) -> None:
        settle(self, beta=decay, ns_steps=lambda value, name: checks.count(value, name, 1, 20))

    @property
    def name(self) -> str:
        """What the method is called."""
        return named("Muon", beta=self.beta, ns_steps=self.ns_steps)

    def update(self, circuit: Any) -> Any:
        """Write the step."""
        if not circuit.parameters:
            raise MethodError("Muon must know which parameters are matrices; give a network, or a loss with blocks")
        g = circuit.gradient()
        u = circuit.average(g, self.beta) * self.beta + g * (1 - self.beta)
        found = circuit.blocks(u)
        matrices = [name for name in found if len(circuit.parameters[name].shape) == 2]
        return -circuit.vector(found | {name: self._orthogonal(circuit, found[name]) for name in matrices})

    def _orthogonal(self, circuit: Any, u: Any) -> Any:
        """Newton-Schulz steps, with the smaller of the two Gram matrices."""
        a, b, c = COEFFICIENTS
        tall = u.shape[0] > u.shape[1]
        x = u / (circuit.norm(u) + EPSILON)
        x = x.T if tall else x
        for _ in range(self.ns_steps):
            gram = x @ x.T
            x = x * a + (gram * b + gram @ gram * c) @ x
        return x.T if tall else x
