"""Counter terms of any optimiser for any loss, orders 0 to 2, with elementwise products.

The circuit of an optimiser is read with the wires of :mod:`eomsym.formulas.wires`; what comes out is brought into a
normal form and given names for its sums.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sympy

from eomsym.checks import shown
from eomsym.errors import InputError, MethodError
from eomsym.formulas.coefficients import style_of
from eomsym.formulas.layout import ARTICLE, aligned
from eomsym.formulas.mathml import equations
from eomsym.formulas.monomials import Dot, Hessian, Named, Third, collected, g, normal, theta
from eomsym.formulas.notation import term_name
from eomsym.formulas.spelling import note, summands, written
from eomsym.formulas.wires import Formulas, Frame, Wire, no_formula
from eomsym.optimisers.base import Method
from eomsym.optimisers.filters import Filter

__all__ = ["Dot", "ElementwiseTerms", "Hessian", "Third", "elementwise_terms"]

MOST = 2


@dataclass(frozen=True)
class ElementwiseTerms:
    """Counter terms of an optimiser for any loss. Made by :func:`elementwise_terms`.

    Attributes
    ----------
    method : Method
    terms : tuple of sympy.Expr
        ``terms[k]`` multiplies ``eta**k`` in ``theta' = -sum_k eta**k terms[k]``.
    above : bool
        Of piecewise optimisers: in which region.
    shortened : tuple
        The same with names for sums under roots or in denominators and for values of functions.
    names : tuple of sympy.Symbol
        These names; each has its expression in ``stands_for``.

    Examples
    --------
    >>> from eomsym.optimisers.signs import SignSGD
    >>> found = elementwise_terms(SignSGD("1/2"), 1)
    >>> print(found.format("text"))
    term_0 = t
    term_1 = p H[t]
    with t = tanh(2*g), p = 1 - t^2; g gradient, H[u] Hessian times u; products, quotients and powers entry by entry
    """

    method: Method
    terms: tuple[Any, ...]
    above: bool = True
    shortened: tuple[Any, ...] = field(default=(), repr=False)
    names: tuple[Any, ...] = field(default=(), repr=False)

    @property
    def order(self) -> int:
        """The highest order."""
        return len(self.terms) - 1

    def __getitem__(self, index: int) -> Any:
        return self.terms[index]

    def __len__(self) -> int:
        return len(self.terms)

    def format(self, format: str = "unicode", *, width: float | None = None) -> str:
        """Write the terms, one equation a line, and in plain text a line that says what the symbols are.

        Parameters
        ----------
        format : {"unicode", "text", "latex", "mathml"}
            LaTeX comes with the marks and line ends of ``align``, MathML as one ``math`` element a line.
        width : float, optional
            Of the text in points: longer LaTeX is broken into lines.

        Raises
        ------
        InputError
            There is no such format.
        """
        style, rows = style_of(format), self.rows(format)
        if format == "latex":
            return aligned(rows, width)
        lines = [style.whole(style.equation(*row)) for row in rows]
        return "\n".join(lines if format == "mathml" else [*lines, note(self.shortened, self.names, format)])

    def rows(self, format: str, *, hessian: str = "H") -> list[tuple[str, str]]:
        """The left and right sides of the equations, one for each order."""
        return [(term_name(k, format), written(term, format, hessian=hessian)) for k, term in enumerate(self.shortened)]

    @property
    def parameters(self) -> set[Any]:
        """The symbols of the optimiser's parameters."""
        expressions = [*self.terms, *(name.stands_for for name in self.names)]
        return {x for e in expressions for x in e.free_symbols if not isinstance(x, Named)} - {g, theta}

    def latex(self, *, width: float | None = ARTICLE) -> str:
        """The equations in an ``align*`` environment of amsmath, and below a line that says what the symbols are."""
        words = note(self.shortened, self.names, "latex")
        return f"\\begin{{align*}}\n{self.format('latex', width=width)}\n\\end{{align*}}\n{words}"

    def mathml(self) -> str:
        """The equations as ``math`` elements."""
        return self.format("mathml")

    def __str__(self) -> str:
        return self.format()

    def _repr_latex_(self) -> str:
        return rf"$\displaystyle \begin{{aligned}} {self.format('latex', width=ARTICLE)} \end{{aligned}}$"

    def _repr_html_(self) -> str:
        rows = [(term_name(k, "mathml"), summands(term, "mathml")) for k, term in enumerate(self.shortened)]
        return equations(rows) + f"<p>{note(self.shortened, self.names, 'mathml')}</p>"


def elementwise_terms(method: Method, order: int, *, above: bool = True) -> ElementwiseTerms:
    """Counter terms of any optimiser for any loss, with elementwise products.

    Parameters
    ----------
    method : Method
        Its parameters may be symbols.
    order : int
        0, 1 or 2.
    above : bool
        Of a piecewise optimiser (clipping): the region where its gates are open, or the other one.

    Returns
    -------
    ElementwiseTerms

    Raises
    ------
    InputError
        The order is not 0, 1 or 2.
    MethodError
        The method works on matrices, keeps memories, sees batches, or has a step that is not smooth.

    Examples
    --------
    >>> from eomsym.optimisers.normalised import NormalisedGradient
    >>> print(elementwise_terms(NormalisedGradient(), 1))
    term_0 = g/‖g‖
    term_1 = 1/(2‖g‖²) H[g] − g⟨g, H[g]⟩/(2‖g‖⁴)
    with g gradient, H[u] Hessian times u, ⟨u, v⟩ inner product; products, quotients and powers entry by entry

    References
    ----------
    M. D. Cattaneo, J. M. Klusowski, B. Shigida, On the Implicit Bias of Adam, ICML 2024, arXiv:2309.00079 (order 1).
    """
    _check(method, order)
    frame = Frame(order)
    motion = Wire(frame, {(0, 0): theta})
    fed_back: dict[int, Wire] = {}
    terms = Wire(frame, {})
    for _ in range(order + 1):  # each pass makes one more degree right
        circuit = Formulas(frame, motion, fed_back, above)
        update = _changed(method, circuit)
        fed_back = circuit.closed
        terms = -(update if method.is_flow else circuit.filtered(update, Filter([1], [1], step=True)))
        terms = terms.mapped(lambda x: collected(normal(x)))
        moved = {(i + 1, j): -x / (i + 1) for (i, j), x in terms.entries.items()}
        motion = Wire(frame, {(0, 0): theta, **moved})
    return _finished(method, above, [terms[0, k] for k in range(order + 1)], tuple(frame.names.values()))


def _check(method: Method, order: int) -> None:
    """Whether there can be a formula."""
    if not isinstance(method, Method):
        raise MethodError(f"expected a method such as GradientDescent(), got {type(method).__name__}")
    if isinstance(order, bool) or not isinstance(order, int) or not 0 <= order <= MOST:
        raise InputError(
            f"formulas of {method.name} for any loss go to order {MOST}, got {shown(order)}; for a given loss every "
            "order is there: eomsym.modified_field(loss, order, method)"
        )
    if method.colours > 1:
        raise no_formula(f"{method.name}, with a loss for each batch,")
    if method.kept(1):
        raise no_formula(f"{method.name}, which keeps memories,")


def _changed(method: Method, circuit: Formulas) -> Wire:
    """The change of the parameters that a method writes."""
    update = method.update(circuit)
    if isinstance(update, Mapping):
        if set(update) != {"theta"}:
            raise MethodError(f"{method.name} gives a change of {sorted(update)}; expected ['theta']")
        update = update["theta"]
    if not isinstance(update, Wire):
        raise MethodError(f"{method.name} gives a change of type {type(update).__name__}; expected a wire")
    if update.single:
        raise MethodError(f"{method.name} gives one number as its change; expected a number for each parameter")
    if len(circuit.closed) < circuit._loops:
        raise MethodError(f"{method.name} leaves a feedback open; close it with what it feeds back")
    return update


def _finished(method: Method, above: bool, found: Sequence[Any], names: tuple[Named, ...]) -> ElementwiseTerms:
    """Terms in their normal form, with final names, and with none."""
    if any(x.has(sympy.zoo, sympy.nan, sympy.oo) for x in found):
        raise MethodError(f"the step of {method.name} divides by zero for every gradient; there are no counter terms")
    short = [collected(normal(x, names)) for x in found]
    used = _used(short, names)
    final = _renamed(used, {str(x) for term in short for x in term.free_symbols if not isinstance(x, Named)})
    plain: dict[Any, Any] = {}
    for name in names:  # a name may stand for an expression in earlier names
        plain[name] = name.stands_for.xreplace(plain)
    full = tuple(x.xreplace(plain) for x in short)
    return ElementwiseTerms(method, full, above, tuple(x.xreplace(final) for x in short), tuple(final.values()))


def _used(terms: Sequence[Any], names: Sequence[Named]) -> list[Named]:
    """The names that the terms need, in the order in which they were made."""
    needed = set().union(*(x.atoms(Named) for x in terms))
    for name in reversed(names):
        if name in needed:
            needed |= name.stands_for.atoms(Named)
    return [name for name in names if name in needed]


def _renamed(used: Sequence[Named], taken: set[str]) -> dict[Any, Any]:
    """Names without numbers where one letter serves, and none that a parameter has already."""
    final: dict[Any, Any] = {}
    for letter in ("s", "t", "p"):
        group = [name for name in used if name.name.startswith(f"{letter}_")]
        titles = (
            [letter] if len(group) == 1 and letter not in taken else [f"{letter}_{k + 1}" for k in range(len(group))]
        )
        final |= dict(zip(group, titles, strict=True))
    made: dict[Any, Any] = {}
    for name in used:
        made[name] = Named(final[name], name.stands_for.xreplace(made))
    return made
