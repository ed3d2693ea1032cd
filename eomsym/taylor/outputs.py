"""What an optimiser gives beside its parameters, such as an average of them, on its equation of motion."""

from __future__ import annotations

from typing import Any

import numpy as np

from eomsym.exact.methods import Method
from eomsym.exact.numbers import as_count
from eomsym.taylor.plan import Plan, circuit_of
from eomsym.taylor.rings.numbers import Floats
from eomsym.taylor.table import sweep, term_rows
from eomsym.taylor.instructions import entries

__all__ = ["outputs_at"]


def outputs_at(loss: Any, order: int, method: Method, theta: Any, eta: float) -> dict[str, np.ndarray]:
    """Outputs of a method at a point of its equation of motion, to an order in eta.

    Parameters
    ----------
    loss : Loss, Field, DeepLinear, Network, or a list of them, one for each batch
    order : int
        The error is ``O(eta**(order + 1))``.
    method : Method
        With outputs, such as ``Averaged(GradientDescent(), "9/10")``.
    theta : array_like, shape (n,)
        All states.
    eta : float

    Returns
    -------
    dict of str to ndarray

    Raises
    ------
    InputError
        `order` is not an integer >= 0.
    MethodError
        The method has no outputs.

    Examples
    --------
    >>> from eomsym.exact.methods import GradientDescent
    >>> from eomsym.losses.expression import Loss
    >>> from eomsym.optimisers.averages import Averaged
    >>> loss = Loss("x**2/2", variables="x")
    >>> outputs_at(loss, 1, Averaged(GradientDescent(), "1/2"), [1.0], 0.1)["average"]  # theta - eta theta'
    array([1.1])
    """
    order = as_count(order, "order", 0, 100)
    circuit = circuit_of(loss, method)
    plan = Plan.of(circuit.outputs(), order, flow=True)
    ring = Floats()
    tables = [np.zeros((entries(order), table.lanes)) for table in plan.tables]
    tables[0][0, :] = theta
    numbers = np.array([ring(x) for x in plan.numbers])
    weights = np.array([[ring(x) for x in line] for line in plan.weights(order)])
    for d in range(order + 1):
        sweep(plan, d, order, tables, numbers, weights, ring)
    rows = tables[plan.outputs[1]][term_rows(plan, order)]
    values = np.polynomial.polynomial.polyval(eta, rows)
    return {name: values[place] for name, place in circuit.output_places().items()}
