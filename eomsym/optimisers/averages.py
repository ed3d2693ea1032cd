"""Averages of weights: outputs of an optimiser that feed nothing back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from eomsym.errors import MethodError, ShapeError
from eomsym.exact.general_linear import GeneralLinear
from eomsym.exact.numbers import Scalar
from eomsym.optimisers.base import Method
from eomsym.optimisers.parameters import decay as checked_decay
from eomsym.optimisers.parameters import settle

__all__ = ["Averaged"]


@dataclass(frozen=True)
class Averaged(Method):
    """A method whose weights are averaged beside it: ``average+ = decay average + (1 - decay) theta+``.

    The parameters move as by the method alone. On its equation of motion the average is the filter of theta,
    ``theta - eta decay/(1 - decay) theta' + ...``; see :meth:`eomsym.codegen.kernel.Kernel.outputs`.

    Parameters
    ----------
    method : Method
    decay : int, Fraction, str or sympy.Expr
        Weight of the past, from 0 to below 1.

    Raises
    ------
    MethodError
        `method` is no method, or `decay` is out of range.

    Examples
    --------
    >>> import eomsym as eom
    >>> averaged = Averaged(eom.GradientDescent(), "1/2")
    >>> path = eom.descend(eom.Loss("x**2/2", variables="x"), [1.0], eta=0.5, steps=2, method=averaged)
    >>> path.thetas.ravel(), averaged.along(path.thetas).ravel()
    (array([1.  , 0.5 , 0.25]), array([1.  , 0.75, 0.5 ]))

    References
    ----------
    B. T. Polyak, A. B. Juditsky, *Acceleration of Stochastic Approximation by Averaging*, SIAM J. Control Optim. 30,
    1992, doi:10.1137/0330046; P. Izmailov et al., *Averaging Weights Leads to Wider Optima*, UAI 2018,
    arXiv:1803.05407.
    """

    method: Method
    decay: Scalar

    def __post_init__(self) -> None:
        if not isinstance(self.method, Method):
            raise MethodError(f"expected a method such as GradientDescent(), got {type(self.method).__name__}")
        settle(self, decay=checked_decay)

    @property
    def name(self) -> str:
        """What the method is called."""
        return f"{self.method.name}, averaged with decay = {self.decay}"

    @property
    def is_linear(self) -> bool:  # type: ignore[override]
        """As the method."""
        return self.method.is_linear

    @property
    def is_flow(self) -> bool:  # type: ignore[override]
        """As the method."""
        return self.method.is_flow

    @property
    def symbols(self) -> tuple[str, ...]:
        """Of the method, and of the decay."""
        return tuple(sorted({*self.method.symbols, *map(str, self.decay.free_symbols)}))

    @property
    def colours(self) -> int:
        """As the method."""
        return self.method.colours

    def kept(self, size: int) -> dict[str, int]:
        """As the method."""
        return self.method.kept(size)

    def update(self, circuit: Any) -> Any:
        """Write the step of the method."""
        return self.method.update(circuit)

    def general_linear(self) -> GeneralLinear:
        """Return the step of the method."""
        return self.method.general_linear()

    def outputs(self, circuit: Any) -> dict[str, Any]:
        """Wires that nothing reads, by name."""
        return {"average": circuit.average(circuit.theta, self.decay)}

    def along(self, iterates: Any, start: Any = None) -> np.ndarray:
        """The average beside each iterate of a run.

        Parameters
        ----------
        iterates : array_like, shape (m, n)
            All of them, as of a path with ``every=1``.
        start : array_like, shape (n,), optional
            The average before the first iterate; as if that one had always been there by default.

        Returns
        -------
        ndarray, shape (m, n)

        Raises
        ------
        ShapeError
            `iterates` is not a list of vectors.
        """
        rows = np.array(iterates, dtype=np.float64)
        if rows.ndim != 2 or not len(rows):
            raise ShapeError(f"iterates have shape {rows.shape}, expected (m, n), such as path.thetas")
        past, average = float(self.decay), rows[0] if start is None else np.asarray(start, dtype=np.float64)
        for k, row in enumerate(rows):
            average = past * average + (1 - past) * row
            rows[k] = average
        return rows
