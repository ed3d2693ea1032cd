"""Counter terms of a given loss as exact formulas: the Taylor table over polynomials."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import sympy

from eomsym import checks
from eomsym.errors import ExpressionError, InputError, SizeError
from eomsym.formulas.mathml import column
from eomsym.formulas.notation import term_name
from eomsym.losses.objective import Objective
from eomsym.optimisers.base import Method
from eomsym.optimisers.names import checked_method
from eomsym.taylor.plan import Plan, terms_plan
from eomsym.taylor.rings.degrees import Degree, Degrees
from eomsym.taylor.rings.polynomials import PolynomialRing
from eomsym.taylor.table import counter_terms_at

__all__ = ["ModifiedField", "modified_field"]

#: Formulas of a higher order are longer than anybody reads.
MOST_ORDER = 30
#: Polynomials of a higher degree take minutes in one multiplication, which nothing can interrupt.
MOST_DEGREE = 1000


def modified_field(
    loss: Objective | Sequence[Objective], order: int, *, method: Method | None = None, use_flint: bool | None = None
) -> ModifiedField:
    """Exact counter terms of a given loss as formulas in its variables.

    Parameters
    ----------
    loss : Loss, Field, DeepLinear, Network, or a list of them, one for each batch
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
    SizeError
        The formulas have powers above 1,000, as those of Muon with its five steps of Newton and Schulz.

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
    order = checks.order(order, MOST_ORDER)
    method = checked_method(method)
    losses = tuple(loss) if isinstance(loss, (list, tuple)) else (loss,)
    for one in losses:
        if not isinstance(one, Objective):
            raise InputError(f"expected a loss such as eomsym.Loss('x**2', variables='x'), got {type(one).__name__}")
        if not one.smooth or one.kinks:
            raise ExpressionError(f"{one.name} has kinks, so it has no formula for counter terms")
    plan = terms_plan(list(losses), order, method)
    symbols = _symbols(losses[0], method)
    _check_degree(plan, len(symbols), order, method)
    ring = PolynomialRing(symbols, _spare(plan, order), use_flint)
    theta = [ring.element(i) for i in range(len(symbols))]
    rows = counter_terms_at(plan, theta, order, ring)
    return ModifiedField(losses[0], order, method, ring, rows)


def _check_degree(plan: Plan, size: int, order: int, method: Method) -> None:
    """Refuse what would be multiplied out without end, before it is."""
    found = counter_terms_at(plan, [Degree(1)] * size, order, Degrees())
    highest = max(entry.bound for entry in found.ravel())
    if highest > MOST_DEGREE:
        raise SizeError(
            f"the formulas of {method.name} to order {order} are polynomials of degree {highest:,}, and more than "
            f"{MOST_DEGREE:,} are not multiplied out; ask for a lower order, or for numbers: eomsym.compile"
        )


def _symbols(loss: Objective, method: Method) -> tuple[Any, ...]:
    """Symbols of the parameters, and of the memories that a method keeps."""
    kept = [
        sympy.Symbol(f"{name}_{loss.symbols[i]}" if size == loss.size else name)
        for name, size in method.kept(loss.size).items()
        for i in range(size)
    ]
    return (*loss.symbols, *kept)


def _spare(plan: Plan, order: int) -> int:
    """Generators that may be needed: function values, and numbers that are not rational."""
    values = sum(plan.tables[line.out].lanes for line in plan.instructions if line.primitive == "value")
    weights = [x for line in plan.weights(order) for x in line]
    numbers = {x for x in [*plan.numbers.tolist(), *weights] if getattr(x, "is_Rational", True) is not True}
    return values + len(numbers)


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
    loss : Objective
    order : int
    method : Method
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
        total = -sum((eta**k * term for k, term in enumerate(self.terms)), sympy.zeros(len(self.variables), 1))
        if len(self.variables) > 1:
            return total
        return sympy.expand_mul(total[0])

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

    def _repr_html_(self) -> str:
        rows = (column(term_name(k, "mathml"), self.variables, list(term)) for k, term in enumerate(self.terms))
        return "".join(rows)

    def __str__(self) -> str:
        names = ", ".join(map(str, self.variables))
        rows = [f"terms[{k}] = {list(term)}" for k, term in enumerate(self.terms)]
        return "\n".join([f"theta = ({names}),  theta' = -sum_k eta**k terms[k]", *rows])
