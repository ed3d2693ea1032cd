"""What every optimiser is: a frozen object with a name, and a step written in one of two forms."""

from __future__ import annotations

from typing import Any

import sympy

from eomsym import checks
from eomsym.errors import MethodError
from eomsym.exact.general_linear import GeneralLinear, MethodSeries
from eomsym.optimisers.stability.report import Stability, stability

__all__ = ["Method", "no_trees"]


class Method:
    """Base of all methods: give :attr:`name` and :meth:`general_linear`, or :meth:`update`; the rest follows.

    Examples
    --------
    >>> from eomsym.optimisers.linear import GradientDescent
    >>> GradientDescent().series(3).chi
    ((1, -1/2, 1/12),)
    """

    @property
    def name(self) -> str:
        """What the method is called in tables and formulas."""
        raise NotImplementedError

    def general_linear(self) -> GeneralLinear:
        """Return one discrete step of the method."""
        raise NotImplementedError

    def series(self, n: int) -> MethodSeries:
        """Return the first `n` Taylor coefficients of ``psi`` and ``chi`` (see :class:`GeneralLinear`)."""
        return self.general_linear().series(checks.count(n, "n", 1, 500))

    #: Whether rooted trees have coefficients for it: its step is linear in gradients.
    is_linear = True
    #: Whether it is a flow, which has no step.
    is_flow = False

    @property
    def symbols(self) -> tuple[str, ...]:
        """Names of the symbols that its parameters hold; a method that runs has none."""
        found: set[str] = set()
        stack: list[Any] = list(vars(self).values())
        while stack:
            value = stack.pop()
            if isinstance(value, (tuple, list)):
                stack.extend(value)
            else:
                found |= {str(s) for s in getattr(value, "free_symbols", ())}
        return tuple(sorted(found))

    def kept(self, size: int) -> dict[str, int]:
        """Memories that are states of their own, by name, and how many numbers each has; none by default."""
        return {}

    def update(self, circuit: Any) -> Any:
        """Write the change ``u`` of a step ``theta+ = theta + eta u`` with the elements of a circuit.

        Parameters
        ----------
        circuit : Circuit
            Its parameters are ``circuit.theta``; see :class:`eomsym.taylor.circuit.Circuit` for its elements.

        Returns
        -------
        Value, or dict of str to Value
            The change of the parameters, or those of all states by name.
        """
        form = self.general_linear()
        fields: list[Any] = []
        loops = [circuit.feedback() for _ in range(form.stages)] if not form.explicit else []
        for i, row in enumerate(form.coupling):
            point = circuit.filter(circuit.theta, form.extrapolation[i])
            for j, a in enumerate(row):
                if a != 0:
                    point = point + (circuit.times(fields[j]) if j < i else loops[j][0]) * a
            fields.append(-circuit.gradient(point, form.colours[i]))
        for (_, close), value in zip(loops, fields, strict=False):
            close(value)
        # (E - sum past E^-l) theta = (E - 1) q(E^-1) theta, with the partial sums of 1 - past as coefficients of q
        below, rest = [], sympy.S.One
        for x in form.past:
            below.append(sympy.expand(rest))
            rest = rest - x
        total = None
        for value, row in zip(fields, form.weights, strict=True):
            if any(x != 0 for x in row):
                part = circuit.filter(value, row) if any(x != 0 for x in row[1:]) else value * row[0]
                total = part if total is None else total + part
        return circuit.filter(total, [1], below)

    def stability(self) -> Stability:
        """Report zero-stability, parasitic roots, effective learning rate, radius of the series and stability limit."""
        return stability(self.general_linear())

    @property
    def colours(self) -> int:
        """Number of different fields that one step evaluates."""
        return max(self.general_linear().colours) + 1 if self.is_linear else 1


def no_trees(method: Method) -> MethodError:
    """The error of a method without rooted trees."""
    return MethodError(
        f"{method.name} has no coefficients on rooted trees, since its step is not a linear method in the gradient; "
        "use eomsym.compile(loss, order, method) for numbers, or eomsym.modified_field for formulas"
    )
