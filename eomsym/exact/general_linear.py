"""The form that every linear method has in common, and its Taylor series.

One step of a general linear method, with ``F = -g``::

    theta_{k+1} = sum_l past[l] theta_{k-l} + eta sum_i sum_l weights[i][l] F(Y_i of step k-l)
    Y_i         = sum_l extrapolation[i][l] theta_{k-l} + eta sum_j coupling[i][j] F(Y_j)

A step is the shift ``exp(eta d/ds)`` along the modified flow ``y(s)``, hence
``y' = sum_i chi_i(eta d/ds) F(Y_i)`` and ``Y_i = psi_i(eta d/ds) y + eta sum_j coupling[i][j] F(Y_j)``
with the two power series of :class:`MethodSeries`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol, runtime_checkable

import sympy

from eomsym.errors import MethodError
from eomsym.exact.exponentials import exponentials, growth, quotient
from eomsym.exact.numbers import Exact, as_matrix, as_vector, common_domain

__all__ = ["GeneralLinear", "LinearMethod", "MethodSeries", "explicit_tableau"]

Matrix = tuple[tuple[Exact, ...], ...]


@dataclass(frozen=True)
class MethodSeries:
    """Taylor coefficients of what a method does to its modified flow.

    Parameters
    ----------
    psi : tuple of tuple of sympy.Expr, shape (stages, n)
        ``psi_i(z) = sum_l extrapolation[i][l] exp(-l z)``.
    coupling : tuple of tuple of sympy.Expr, shape (stages, stages)
        The coefficients ``a_ij``.
    chi : tuple of tuple of sympy.Expr, shape (stages, n)
        ``chi_i(z) = z sum_l weights[i][l] exp(-l z) / (exp(z) - sum_l past[l] exp(-l z))``.
    colours : tuple of int, shape (stages,)
        Which field each stage evaluates; all zero for full-batch methods.
    """

    psi: Matrix
    coupling: Matrix
    chi: Matrix
    colours: tuple[int, ...]

    @property
    def stages(self) -> int:
        """Number of stages."""
        return len(self.chi)


@dataclass(frozen=True)
class GeneralLinear:
    """One step of an optimiser, all entries exact (see the module for the formula).

    Parameters
    ----------
    past : sequence, shape (lags,)
        How the new iterate depends on the last ones, newest first; they sum to one.
    weights : sequence of sequences, shape (stages, lags)
        Weights of the fields evaluated in this step and in the ones before.
    extrapolation : sequence of sequences, shape (stages, lags)
        Where each stage starts from; each row sums to one.
    coupling : sequence of sequences, shape (stages, stages)
        Weights of the fields of this step in the stages.
    colours : sequence of int, shape (stages,), optional
        Which field each stage evaluates; all stages the same one by default.

    Raises
    ------
    MethodError
        If the shapes do not fit, or the method is inconsistent.
    InexactError
        If an entry is a float.

    Examples
    --------
    >>> GeneralLinear(past=[1], weights=[[1]], extrapolation=[[1]], coupling=[[0]]).series(4).chi
    ((1, -1/2, 1/12, 0),)

    References
    ----------
    E. Hairer, C. Lubich, G. Wanner, *Geometric Numerical Integration*, 2nd ed., Springer 2006, section XV.8,
    doi:10.1007/3-540-30666-8.
    """

    past: tuple[Exact, ...]
    weights: Matrix
    extrapolation: Matrix
    coupling: Matrix
    colours: tuple[int, ...] = field(default=())

    def __init__(self, past: Any, weights: Any, extrapolation: Any, coupling: Any, colours: Any = ()) -> None:
        def put(name: str, value: object) -> None:
            object.__setattr__(self, name, value)  # the class is frozen

        put("past", as_vector(past, "past"))
        put("weights", as_matrix(weights, "weights"))
        put("extrapolation", as_matrix(extrapolation, "extrapolation"))
        put("coupling", as_matrix(coupling, "coupling"))
        put("colours", tuple(int(c) for c in colours) or (0,) * len(self.weights))
        self._check()

    def _check(self) -> None:
        lags, stages = len(self.past), len(self.weights)
        wanted = {"weights": lags, "extrapolation": lags, "coupling": stages}
        if not lags or not stages:
            raise MethodError("a method needs at least one stage and one past iterate")
        for name, columns in wanted.items():
            rows: Matrix = getattr(self, name)
            if len(rows) != stages or any(len(row) != columns for row in rows):
                shape = (len(rows), len(rows[0]) if rows else 0)
                raise MethodError(f"{name} has shape {shape}, expected {(stages, columns)}")
        if len(self.colours) != stages or min(self.colours) < 0:
            raise MethodError(f"colours are {self.colours}, expected {stages} integers from 0 on")
        if (total := sympy.simplify(sum(self.past))) != 1:
            raise MethodError(
                f"the method is inconsistent: rho(1) = {sympy.simplify(1 - total)}, expected 0 "
                f"(the weights of the past iterates sum to {total}, and must sum to 1)"
            )
        for i, row in enumerate(self.extrapolation):
            if (total := sympy.simplify(sum(row))) != 1:
                raise MethodError(f"stage {i} is inconsistent: its extrapolation sums to {total}, expected 1")
        if sympy.simplify(self._slope()) == 0:
            raise MethodError(
                "the method is not zero-stable: rho has a double root at 1, so iterates drift where g = 0"
            )
        if sympy.simplify(sum(sum(row) for row in self.weights)) == 0:
            raise MethodError("the method is inconsistent: sigma(1) = 0, so it would not follow the gradient")

    def _slope(self) -> Exact:
        """Return ``rho'(1)``, over ``zeta**(m-1)``."""
        return sympy.Add(1, *(lag * weight for lag, weight in enumerate(self.past)))

    @property
    def lags(self) -> int:
        """How many iterates the step looks back to."""
        return len(self.past)

    @property
    def stages(self) -> int:
        """How many fields one step evaluates."""
        return len(self.weights)

    @property
    def explicit(self) -> bool:
        """Whether each stage needs only the stages before it."""
        return all(a == 0 for i, row in enumerate(self.coupling) for a in row[i:])

    def entries(self) -> list[Exact]:
        """Return all numbers of the method in one list."""
        matrices = (self.weights, self.extrapolation, self.coupling)
        return [*self.past, *(x for matrix in matrices for row in matrix for x in row)]

    def series(self, n: int) -> MethodSeries:
        """Return the first `n` Taylor coefficients of ``psi`` and ``chi``.

        Examples
        --------
        >>> import sympy
        >>> beta = sympy.Symbol("beta")
        >>> heavy_ball = GeneralLinear([1 + beta, -beta], [[1, 0]], [[1, 0]], [[0]])
        >>> sympy.factor(heavy_ball.series(2).chi[0][1])
        -(beta + 1)/(2*(beta - 1)**2)
        """
        return _series(self, n)

    @property
    def rate(self) -> Exact:
        """Effective learning rate over ``eta``: ``sigma(1) / rho'(1)``."""
        return sympy.factor(sympy.Add(*(x for row in self.weights for x in row)) / self._slope())


@runtime_checkable
class LinearMethod(Protocol):
    """What trees need to know of a method: every one of :mod:`eomsym.optimisers` that is linear in gradients has it."""

    @property
    def name(self) -> str:
        """What the method is called."""

    @property
    def is_flow(self) -> bool:
        """Whether it is a flow, which has no step."""

    @property
    def colours(self) -> int:
        """Number of different fields that one step evaluates."""

    def general_linear(self) -> GeneralLinear:
        """Return one discrete step."""

    def series(self, n: int) -> MethodSeries:
        """Return the first `n` Taylor coefficients of ``psi`` and ``chi``."""


@lru_cache(maxsize=256)
def _series(form: GeneralLinear, n: int) -> MethodSeries:
    field = common_domain(form.entries())
    # (exp(z) - past(z))/z = (exp(z) - 1)/z - (past(z) - 1)/z starts with rho'(1), which is not zero.
    past = exponentials(form.past, n + 1, field)[1:]
    below = [up - back for up, back in zip(growth(n, field), past, strict=True)]
    chi = [quotient(exponentials(row, n, field), below) for row in form.weights]
    psi = [exponentials(row, n, field) for row in form.extrapolation]

    def written(rows: list[list[Any]]) -> Matrix:
        return tuple(tuple(field.to_sympy(x) for x in row) for row in rows)

    return MethodSeries(written(psi), form.coupling, written(chi), form.colours)


def explicit_tableau(rows: Any) -> Matrix:
    """Return `rows` as a matrix, and refuse one that is not strictly lower triangular."""
    matrix = as_matrix(rows, "A")
    for i, row in enumerate(matrix):
        for j, a in enumerate(row[i:], start=i):
            if a != 0:
                raise MethodError(
                    f"A[{i}][{j}] = {a}, so the tableau is implicit, but explicit=True was given; "
                    "leave explicit out, or use a strictly lower triangular A"
                )
    return matrix
