r"""Counter terms: what gradient descent follows besides gradient flow, for every loss at once.

The equation of motion of order ``K`` is ``theta' = -(terms[0] + eta terms[1] + ... + eta**K terms[K])``, and
each term is an exact combination of elementary differentials of the loss, one for each rooted tree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, overload

import sympy

from eomsym import checks
from eomsym.exact.coefficients import Universal, universal
from eomsym.exact.forests import MAX_NODES, require_memory
from eomsym.exact.general_linear import LinearMethod
from eomsym.exact.numbers import Exact
from eomsym.exact.trees import Tree
from eomsym.formulas.coefficients import style_of
from eomsym.formulas.layout import ARTICLE, aligned, broken
from eomsym.formulas.mathml import equations
from eomsym.formulas.notation import linear_combination, summands, term_name
from eomsym.optimisers.linear import GradientDescent

__all__ = ["CounterTerms", "Term", "counter_terms"]

_TREE_BYTES = 1000  # measured: 550 for a tree and its coefficient as Python objects, 350 for its text


class Term(Mapping[Tree, Exact]):
    """The counter term that multiplies ``eta**order``: a mapping from trees to exact coefficients.

    Parameters
    ----------
    order : int
        The power of the learning rate.
    coefficients : mapping of Tree to sympy.Expr
        One for each tree with ``order + 1`` nodes, zeros included.

    Examples
    --------
    >>> term = counter_terms(2)[2]
    >>> term[Tree.parse("[..]")]
    1/12
    >>> print(term.latex())
    \\tfrac{1}{3} H^{2} g + \\tfrac{1}{12} \\nabla^{3} L[g, g]
    >>> print(term.format("unicode", indices=True))
    1/3 L_{i j} L_{j k} L_{k} + 1/12 L_{i j k} L_{j} L_{k}
    """

    def __init__(self, order: int, coefficients: Mapping[Tree, Exact]) -> None:
        self.order = order
        self._coefficients = dict(coefficients)

    def __getitem__(self, tree: Tree) -> Exact:
        return self._coefficients[tree]

    def __iter__(self) -> Iterator[Tree]:
        return iter(self._coefficients)

    def __len__(self) -> int:
        return len(self._coefficients)

    def __hash__(self) -> int:
        return hash((self.order, tuple(self.items())))

    def format(self, format: str = "unicode", **options: Any) -> str:
        """Write the term; `options` as in :func:`eomsym.formulas.notation.linear_combination`."""
        return style_of(format).whole(linear_combination(self, format, **options))

    def latex(self, *, width: float | None = None, **options: Any) -> str:
        r"""Write the term in LaTeX, for amsmath; with a width in points, in lines of ``multline`` that fit into it."""
        return " \\\\\n".join(broken(self.format("latex", **options), width))

    def mathml(self, **options: Any) -> str:
        """Write the term as a ``math`` element."""
        return self.format("mathml", **options)

    def __str__(self) -> str:
        return self.format()

    def __repr__(self) -> str:
        return f"<Term {self.order}: {self if len(self) < 50 else f'{len(self)} trees'}>"

    def _repr_latex_(self) -> str:
        return rf"$\displaystyle {self.latex()}$"

    def _repr_html_(self) -> str:
        return equations([("", self.summands())])

    def summands(self, **options: Any) -> list[str]:
        """The term in MathML, in pieces between which a line may break; `options` as for :meth:`format`."""
        front, parts = summands(self, "mathml", **options)
        return [f"{front}<mo>(</mo>", *parts, "<mo>)</mo>"] if front else parts


class CounterTerms(Sequence[Term]):
    """The counter terms of a method through some order; ``terms[k]`` multiplies ``eta**k``.

    Parameters
    ----------
    table : Universal
        Coefficients of all trees with at most ``order + 1`` nodes.

    Examples
    --------
    >>> print(counter_terms(3))
    term_0 = g
    term_1 = 1/2 Hg
    term_2 = 1/3 H²g + 1/12 ∇³L[g,g]
    term_3 = 1/4 H³g + 1/12 H ∇³L[g,g] + 1/12 ∇³L[g,Hg]
    """

    def __init__(self, table: Universal) -> None:
        self.table = table
        self._terms: dict[int, Term] = {}

    @property
    def method(self) -> LinearMethod:
        """The method that they belong to."""
        return self.table.method

    @property
    def order(self) -> int:
        """The highest order."""
        return self.table.max_nodes - 1

    def __len__(self) -> int:
        return self.table.max_nodes

    @overload
    def __getitem__(self, index: int) -> Term: ...
    @overload
    def __getitem__(self, index: slice) -> list[Term]: ...
    def __getitem__(self, index: int | slice) -> Term | list[Term]:
        if isinstance(index, slice):
            return [self[k] for k in range(*index.indices(len(self)))]
        k = index + len(self) if index < 0 else index
        if not 0 <= k < len(self):
            raise IndexError(f"there is no term {index}; these are the terms 0 to {self.order}")
        if k not in self._terms:
            self._terms[k] = self._term(k)
        return self._terms[k]

    def _term(self, k: int) -> Term:
        trees = self.table.forest
        where = trees.of_size(k + 1)
        many = where.stop - where.start
        require_memory(_TREE_BYTES * many, f"term {k} as a mapping from {many:,} trees (its arrays are in .table)")
        sign = (-1) ** k  # k + 1 fields F = -g, and the minus in theta' = -sum
        symmetry = trees.symmetry[where].tolist()
        values = {
            tree: self.table.value(i) * sympy.Rational(sign, s)
            for i, s, tree in zip(range(where.start, where.stop), symmetry, trees.trees(k + 1), strict=True)
        }
        return Term(k, values)

    def format(self, format: str = "unicode", *, xi: bool = False, width: float | None = None, **options: Any) -> str:
        """Write all terms, one equation a line.

        Parameters
        ----------
        format : {"unicode", "text", "latex", "mathml"}
            The style; LaTeX comes with the marks and line ends of ``align``, MathML as one ``math`` element a
            line.
        xi : bool
            Whether to use Miyagawa's notation ``theta' = -g - eta xi``, ``xi = sum_a eta**a xi_a``: ``xi_a``
            is our term ``a + 1``.
        width : float, optional
            Of the text in points: longer LaTeX is broken into lines.
        **options
            As in :func:`eomsym.formulas.notation.linear_combination`.

        Examples
        --------
        >>> print(counter_terms(2).format(xi=True))
        ξ₀ = 1/2 Hg
        ξ₁ = 1/3 H²g + 1/12 ∇³L[g,g]
        >>> print(counter_terms(1).format("latex"))
        \\mathrm{term}_{0} &= g \\\\
        \\mathrm{term}_{1} &= \\tfrac{1}{2} H g

        References
        ----------
        T. Miyagawa, *Toward Equation of Motion for Deep Neural Networks*, NeurIPS 2022, arXiv:2210.15898.
        """
        style = style_of(format)
        trees = len(self.table.forest)
        require_memory(_TREE_BYTES * trees, f"a formula with {trees:,} trees (their arrays are in .table)")
        rows = [
            (term_name(k, format, xi), linear_combination(term, format, **options))
            for k, term in enumerate(self)
            if k >= xi
        ]
        if format == "latex":
            return aligned(rows, width)
        return "\n".join(style.whole(style.equation(*row)) for row in rows)

    def latex(self, *, width: float | None = ARTICLE, **options: Any) -> str:
        r"""Write all terms in an ``align*`` environment of amsmath, with lines that fit into a width in points."""
        return "\\begin{align*}\n" + self.format("latex", width=width, **options) + "\n\\end{align*}"

    def mathml(self, **options: Any) -> str:
        """Write all terms as ``math`` elements."""
        return self.format("mathml", **options)

    def __str__(self) -> str:
        return self.format()

    def __repr__(self) -> str:
        return f"<CounterTerms of {self.method.name} through order {self.order}>"

    def _repr_latex_(self) -> str:
        # `aligned` may stand inside of other mathematics, unlike `align*`
        return rf"$\displaystyle \begin{{aligned}} {self._shown.format('latex', width=ARTICLE)} \end{{aligned}}$"

    def _repr_html_(self) -> str:
        return equations((term_name(k, "mathml"), term.summands()) for k, term in enumerate(self._shown))

    @property
    def _shown(self) -> CounterTerms:
        """What a notebook shows: more would not fit on a page."""
        return self if self.order < 6 else counter_terms(5, method=self.method)

    @cached_property
    def rate(self) -> Exact:
        """Effective learning rate over ``eta``: the coefficient of ``g`` in term 0."""
        return self[0][Tree()]


def counter_terms(order: int, *, method: LinearMethod | None = None) -> CounterTerms:
    """Derive the counter terms of a method through an order, exactly and for every loss.

    Parameters
    ----------
    order : int
        The highest power of the learning rate, 0 to 19; order 0 is gradient flow.
    method : Method, optional
        The optimiser; gradient descent by default.

    Returns
    -------
    CounterTerms

    Raises
    ------
    InputError
        If the order is not an integer from 0 to 19.
    SizeError
        If the table of trees would not fit in memory.

    Examples
    --------
    >>> str(counter_terms(4)[2])
    '1/3 H²g + 1/12 ∇³L[g,g]'
    >>> from eomsym.optimisers.accelerated import HeavyBall
    >>> print(counter_terms(1, method=HeavyBall(sympy.Symbol("beta"))))
    term_0 = 1/(1−β) g
    term_1 = (1+β)/(2(1−β)³) Hg

    References
    ----------
    T. Miyagawa, *Toward Equation of Motion for Deep Neural Networks*, NeurIPS 2022, arXiv:2210.15898, Theorem
    3.1. E. Hairer, C. Lubich, G. Wanner, *Geometric Numerical Integration*, 2nd ed., Springer 2006, section
    IX.9.1, doi:10.1007/3-540-30666-8.
    """
    nodes = checks.count(order, "order", 0, MAX_NODES - 1) + 1
    return CounterTerms(universal(nodes, GradientDescent() if method is None else method))
