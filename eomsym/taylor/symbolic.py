"""Counter terms of a given loss as exact formulas: the Taylor table over polynomials."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import sympy

from eomsym.errors import ExpressionError, InputError
from eomsym.exact.concrete import apply_term
from eomsym.exact.counter_terms import counter_terms
from eomsym.exact.methods import GradientDescent, Method
from eomsym.losses.objective import Objective
from eomsym.taylor.primitives import FUNCTIONS, PRIMITIVES
from eomsym.taylor.rings import PolynomialRing
from eomsym.taylor.table import Plan, counter_terms_at

__all__ = ["ModifiedField", "modified_field"]


def modified_field(
    loss: Objective, order: int, method: Method | None = None, *, use_flint: bool | None = None
) -> ModifiedField:
    """Exact counter terms of a given loss as formulas in its variables.

    Parameters
    ----------
    loss : Loss, Field, DeepLinear, Network
        Polynomial, rational or with functions. Floating-point data are taken as the fractions that they are.
    order : int
        Number of counter terms; 0 is gradient flow.
    method : Method, optional
        The discrete optimiser, gradient descent by default; it may hold symbols such as beta.
    use_flint : bool, optional
        Whether polynomials are python-flint's (default where it is installed) or sympy's.

    Returns
    -------
    ModifiedField

    Raises
    ------
    InputError
        `order` is not an integer >= 0.
    ExpressionError
        The loss has kinks.

    Notes
    -----
    The time-step-size Taylor table runs over polynomials in the variables, with a generator for the value of each
    function, so the cost is polynomial in the order.

    Examples
    --------
    >>> import eomsym as eom
    >>> modified_field(eom.Loss("-x**3/3", variables="x"), order=3).velocity()
    -8*eta**3*x**5/3 + 3*eta**2*x**4/2 - eta*x**3 + x**2

    References
    ----------
    E. Hairer, C. Lubich and G. Wanner, Geometric Numerical Integration, 2nd ed., Springer (2006), example IX.1.1,
    doi:10.1007/3-540-30666-8.
    """
    if isinstance(order, bool) or not isinstance(order, int) or order < 0:
        raise InputError(f"order must be an integer >= 0 (0 is gradient flow), got {order!r}")
    if not isinstance(loss, Objective):
        raise InputError(f"expected a loss such as eomsym.Loss('x**2', variables='x'), got {type(loss).__name__}")
    if not loss.smooth:
        raise ExpressionError(f"{loss.name} has kinks, so it has no formula for counter terms")
    method = GradientDescent() if method is None else method
    plan = Plan(loss.program)
    series = method.series(order + 1)
    ring = PolynomialRing(loss.symbols, _spare(plan, series), use_flint)
    theta = [ring.element(i) for i in range(loss.size)]
    rows = counter_terms_at(plan, theta, series, order, ring, ring.value)
    return ModifiedField(loss, order, method, ring, rows)


def _spare(plan: Plan, series: Any) -> int:
    """Generators that may be needed: function values, and numbers that are not rational."""
    functions = {primitive for primitive, _ in FUNCTIONS.values()}
    values = sum(int(line[4]) for line in plan.code if PRIMITIVES[line[0]].__name__ in functions)
    numbers = {x for x in plan.constants.ravel().tolist() if getattr(x, "is_Rational", True) is not True}
    for row in (*series.psi, *series.chi, *series.coupling):
        numbers |= {x for x in row if getattr(x, "is_Rational", True) is not True}
    # a symbolic coefficient meets up to order + 1 different factorials
    return values + len(numbers) * (len(series.chi[0]) + 1)


class Terms(Sequence[Any]):
    """Counter terms as sympy column vectors, made when they are asked for."""

    def __init__(self, ring: PolynomialRing, rows: Any) -> None:
        self._ring = ring
        self._rows = rows
        self._made: dict[int, Any] = {}

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        if index not in self._made:
            self._made[index] = sympy.Matrix([self._ring.readable(x) for x in self._rows[index]])
        return self._made[index]

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))


@dataclass(frozen=True, eq=False)
class ModifiedField:
    """Counter terms of one loss as formulas. Made by :func:`modified_field`.

    Attributes
    ----------
    loss, order, method
        What it was made from.
    terms : sequence of sympy.Matrix, shape (n, 1)
        ``terms[k]`` multiplies ``eta**k`` in ``theta' = -sum_k eta**k terms[k]``.
    """

    loss: Objective
    order: int
    method: Method
    _ring: PolynomialRing = field(repr=False)
    _rows: Any = field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "terms", Terms(self._ring, self._rows))

    terms: Terms = field(init=False, repr=False)

    @property
    def variables(self) -> tuple[Any, ...]:
        """Symbols of the parameters."""
        return self._ring.variables

    def velocity(self, eta: Any = None) -> Any:
        """The right-hand side ``-sum_k eta**k terms[k]``: a column vector, or an expression for one variable."""
        eta = sympy.Symbol("eta") if eta is None else eta
        total = -sum((eta**k * term for k, term in enumerate(self.terms)), sympy.zeros(self.loss.size, 1))
        total = total.applyfunc(sympy.expand_mul) if self.loss.size == 1 else total
        return total[0] if self.loss.size == 1 else total

    def agrees_with_trees(self, order: int | None = None) -> bool:
        """Whether the terms up to an order equal the sum over rooted trees, by differentiating the gradient."""
        top = self.order if order is None else min(order, self.order)
        universal = counter_terms(top, self.method)
        gradient = list(self.terms[0] / self.method.series(1).chi[0][0] if len(self.method.series(1).chi) == 1 else ())
        gradient = gradient or list(modified_field(self.loss, 0).terms[0])
        for k in range(top + 1):
            expected = sympy.Matrix(apply_term(universal[k], gradient, self.variables))
            if any(sympy.simplify(x) != 0 for x in expected - self.terms[k]):
                return False
        return True

    def latex(self, eta: str = r"\eta", theta: str = r"\dot\theta") -> str:
        """LaTeX of the equation of motion, one aligned line for each order (amsmath)."""
        lines = []
        for k, term in enumerate(self.terms):
            power = "" if k == 0 else f"{eta} " if k == 1 else f"{eta}^{{{k}}} "
            lines.append(f"- {power}{sympy.latex(term)}")
        body = " \\\\\n&\\quad ".join(lines)
        return f"\\begin{{align*}}\n{theta} &= {body}\n\\end{{align*}}"

    def _repr_latex_(self) -> str:
        return self.latex()

    def __str__(self) -> str:
        names = ", ".join(map(str, self.variables))
        rows = [f"terms[{k}] = {list(term)}" for k, term in enumerate(self.terms)]
        return "\n".join([f"theta = ({names}),  theta' = -sum_k eta**k terms[k]", *rows])
