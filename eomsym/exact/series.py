"""B-series: exact flow, methods, composition, substitution, modified equation and modifying integrator.

A series ``a`` stands for ``B(a) = a(empty) theta + sum_t eta**|t| a(t)/symmetry(t) F(t)``, with ``F = -g``. A
*map* has ``a(empty) = 1``; a *field* (times ``eta``) has ``a(empty) = 0``. Everything is built from the two
parts of a tree: cutting or keeping the edge between left and right part doubles the work, so ``n`` nodes cost
``2**(n-2)`` additions a tree, and nothing is ever enumerated twice. (The modified equation of a *method*
needs none of this: :func:`~eomsym.exact.coefficients.universal` has it at any size.)

References
----------
E. Hairer, C. Lubich, G. Wanner, *Geometric Numerical Integration*, 2nd ed., Springer 2006, chapters III.1 and
IX.9, doi:10.1007/3-540-30666-8. P. Chartier, E. Hairer, G. Vilmart, *Algebraic structures of B-series*,
Found. Comput. Math. 10, 2010, 407-427, doi:10.1007/s10208-010-9065-1 (Theorems 3.1 and 3.2: composition and
substitution).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sympy

from eomsym.errors import InputError, MethodError
from eomsym.exact.coefficients import universal
from eomsym.exact.forests import Forest, forest
from eomsym.exact.general_linear import LinearMethod
from eomsym.exact.numbers import Exact, as_exact, common_domain
from eomsym.exact.trees import Tree

__all__ = [
    "Series",
    "compose",
    "elementary_weights",
    "exact_flow",
    "modified_equation",
    "modifying_integrator",
    "substitute",
]


@dataclass(frozen=True)
class Series(Mapping[Tree, Exact]):
    """A truncated B-series: exact coefficients of the empty tree and of all trees to some size.

    Parameters
    ----------
    max_nodes : int
        Most nodes of a tree.
    empty : sympy.Expr
        Coefficient of the empty tree: 1 for maps, 0 for fields.
    values : tuple of sympy.Expr
        Coefficients of the trees, in canonical order.

    Examples
    --------
    >>> flow = exact_flow(3)
    >>> flow.empty, [str(flow[tree]) for tree in flow]
    (1, ['1', '1/2', '1/6', '1/3'])
    """

    max_nodes: int
    empty: Exact
    numbers: tuple[Exact, ...]

    def __post_init__(self) -> None:
        if len(self.numbers) != len(self.forest):
            raise InputError(
                f"{len(self.numbers)} coefficients were given for {len(self.forest)} trees with at most "
                f"{self.max_nodes} nodes"
            )

    @property
    def forest(self) -> Forest:
        """The trees, as arrays."""
        return forest(self.max_nodes)

    def __getitem__(self, tree: Tree) -> Exact:
        try:
            return self.numbers[self.forest.index(tree)]
        except InputError as error:
            raise KeyError(tree) from error

    def __iter__(self) -> Iterator[Tree]:
        return (self.forest.tree(i) for i in range(len(self)))

    def __len__(self) -> int:
        return len(self.numbers)

    @classmethod
    def of(cls, max_nodes: int, rule: Callable[[Tree], Any], empty: Any = 1) -> Series:
        """Build a series from a function of the tree.

        Examples
        --------
        >>> from eomsym.optimisers.linear import GradientDescent
        >>> Series.of(2, lambda tree: 1 if tree.nodes == 1 else 0) == elementary_weights(GradientDescent(), 2)
        True
        """
        trees = forest(max_nodes)
        values = (as_exact(rule(trees.tree(i)), "coefficient") for i in range(len(trees)))
        return cls(max_nodes, as_exact(empty, "empty"), tuple(values))

    def scaled(self, factor: Any) -> Series:
        """Return the series with step size ``factor * eta``, for instance -1 for the way back.

        Examples
        --------
        >>> flow = exact_flow(6)
        >>> compose(flow, flow.scaled(-1)) == Series.of(6, lambda tree: 0)
        True
        """
        exact = as_exact(factor, "factor")
        nodes = self.forest.nodes.tolist()
        values = tuple(sympy.cancel(x * exact**n) for x, n in zip(self.numbers, nodes, strict=True))
        return Series(self.max_nodes, self.empty, values)


def exact_flow(max_nodes: int) -> Series:
    """Return the B-series of the exact flow: one over the density.

    Examples
    --------
    >>> exact_flow(4)[Tree.parse("[.[.]]")]
    1/8
    """
    return Series.of(max_nodes, lambda tree: sympy.Rational(1, tree.density))


def elementary_weights(method: LinearMethod, max_nodes: int) -> Series:
    """Return the B-series of one step of a method.

    A method that looks back has no map of its own; its underlying one-step method is the flow of its modified
    field.

    Examples
    --------
    >>> from eomsym.optimisers.linear import Extragradient
    >>> [str(x) for x in elementary_weights(Extragradient(), 4).values()]
    ['1', '1', '0', '1', '0', '0', '0', '1']
    """
    form = method.general_linear()
    if form.lags > 1:
        return substitute(modified_equation(method, max_nodes), exact_flow(max_nodes))
    trees = forest(max_nodes)
    domain = common_domain(form.entries())
    a = [[domain.from_sympy(x) for x in row] for row in form.coupling]
    b = [domain.from_sympy(row[0]) for row in form.weights]
    stages = range(form.stages)
    products: list[list[Any]] = []  # by tree and stage
    branches: list[list[Any]] = []
    for left, right in zip(trees.left.tolist(), trees.right.tolist(), strict=True):
        product = [domain.one if right < 0 else products[left][i] * branches[right][i] for i in stages]
        products.append(product)
        branches.append([sum((a[i][j] * product[j] for j in stages), domain.zero) for i in stages])
    values = (sum((x * y for x, y in zip(b, product, strict=True)), domain.zero) for product in products)
    return Series(max_nodes, sympy.S.One, tuple(domain.to_sympy(x) for x in values))


class _Grafting:
    """Indices of trees that are put together from others, in one forest."""

    def __init__(self, trees: Forest) -> None:
        self.left, self.right = trees.left.tolist(), trees.right.tolist()
        self.found = {pair: i for i, pair in enumerate(zip(self.left, self.right, strict=True)) if pair[1] >= 0}
        self.merged: dict[tuple[int, int], int] = {}

    def graft(self, trunk: int, branch: int) -> int:
        """Return `trunk` with one more branch at its root."""
        key = (trunk, branch)
        if key not in self.found:  # the branch belongs below the last one
            self.found[key] = self.graft(self.graft(self.left[trunk], branch), self.right[trunk])
        return self.found[key]

    def merge(self, one: int, other: int) -> int:
        """Return the tree that has the branches of both."""
        key = (one, other)
        if key not in self.merged:
            right = self.right[other]
            self.merged[key] = one if right < 0 else self.graft(self.merge(one, self.left[other]), right)
        return self.merged[key]


def _elements(*series: Series) -> tuple[Any, list[list[Any]], list[Any]]:
    """Return a domain for all coefficients, the coefficients in it, and those of the empty trees."""
    if len({one.max_nodes for one in series}) > 1:
        raise InputError(f"series with at most {[one.max_nodes for one in series]} nodes; expected equal sizes")
    domain = common_domain([x for one in series for x in (one.empty, *one.numbers)])
    values = [[domain.from_sympy(x) for x in one.numbers] for one in series]
    return domain, values, [domain.from_sympy(one.empty) for one in series]


def compose(first: Series, then: Series) -> Series:
    """Return the series of ``B(then)`` applied to what ``B(first)`` returns; step sizes are those of the two.

    Raises
    ------
    InputError
        If `first` is not a map, or the two have different sizes.

    Examples
    --------
    >>> from eomsym.optimisers.linear import GradientDescent
    >>> step = elementary_weights(GradientDescent(), 3)
    >>> [str(x) for x in compose(step, step).values()]
    ['2', '1', '0', '1']
    """
    if first.empty != 1:
        raise InputError(f"the first series has {first.empty} at the empty tree; a map, with 1, is needed")
    domain, (inner, outer), (_, empty) = _elements(first, then)
    trees = _Grafting(first.forest)
    rows: list[dict[int, Any]] = []  # by tree: what each subtree with the same root leaves behind, as a product
    result = []
    for tree, (left, right) in enumerate(zip(trees.left, trees.right, strict=True)):
        if right < 0:
            row = {0: domain.one}
        else:
            row = {kept: x * inner[right] for kept, x in rows[left].items()}
            for kept, x in rows[left].items():
                for branch, y in rows[right].items():
                    whole = trees.graft(kept, branch)
                    row[whole] = row.get(whole, domain.zero) + x * y
        rows.append(row)
        result.append(sum((outer[kept] * x for kept, x in row.items()), empty * inner[tree]))
    return Series(first.max_nodes, then.empty, tuple(domain.to_sympy(x) for x in result))


def substitute(field: Series, series: Series) -> Series:
    """Return `series` for another field: the one that ``B(field) / eta`` stands for.

    Raises
    ------
    InputError
        If `field` is not a field, or the two have different sizes.

    Examples
    --------
    >>> from eomsym.optimisers.linear import GradientDescent
    >>> field = modified_equation(GradientDescent(), 5)
    >>> substitute(field, exact_flow(5)) == elementary_weights(GradientDescent(), 5)
    True
    """
    if field.empty != 0:
        raise InputError(f"the field has {field.empty} at the empty tree; 0 is needed")
    domain, (inner, outer), _ = _elements(field, series)
    parts = _Parts(field.forest, inner, domain)
    values = [parts.total(parts.add(tree), outer) for tree in range(len(field))]
    return Series(field.max_nodes, series.empty, tuple(domain.to_sympy(x) for x in values))


class _Parts:
    """All ways to cut edges of each tree: {(part at the root, tree of parts): product of the other parts}.

    The row of a tree needs the coefficients `inner` of smaller trees only, so they may be found on the way.
    """

    def __init__(self, trees: Forest, inner: list[Any], domain: Any) -> None:
        self.trees, self.inner, self.domain = _Grafting(trees), inner, domain
        self.rows: list[dict[tuple[int, int], Any]] = []
        self.closed: list[dict[int, Any]] = []

    def add(self, tree: int) -> dict[tuple[int, int], Any]:
        """Return the row of the next tree."""
        left, right = self.trees.left[tree], self.trees.right[tree]
        row: dict[tuple[int, int], Any] = {(0, 0): self.domain.one} if right < 0 else {}

        def put(root: int, skeleton: int, x: Any) -> None:
            row[root, skeleton] = row.get((root, skeleton), self.domain.zero) + x

        if right >= 0:
            while len(self.closed) <= right:  # the part at the root is complete once its tree becomes a branch
                done: dict[int, Any] = {}
                for (root, skeleton), x in self.rows[len(self.closed)].items():
                    done[skeleton] = done.get(skeleton, self.domain.zero) + x * self.inner[root]
                self.closed.append(done)
            for (root, skeleton), x in self.rows[left].items():
                for branch, y in self.closed[right].items():
                    put(root, self.trees.graft(skeleton, branch), x * y)
                for (below, branches), y in self.rows[right].items():
                    put(self.trees.graft(root, below), self.trees.merge(skeleton, branches), x * y)
        self.rows.append(row)
        return row

    def total(self, row: dict[tuple[int, int], Any], outer: list[Any]) -> Any:
        """Close the part at the root of each cutting, and sum."""
        return sum((x * self.inner[root] * outer[skeleton] for (root, skeleton), x in row.items()), self.domain.zero)


def _field_between(outer: Series, target: Series) -> Series:
    """Return the field that makes `outer`, written for it, equal to `target`."""
    for series in (outer, target):
        if series.empty != 1:
            raise InputError(f"the series has {series.empty} at the empty tree; a map, with 1, is needed")
    domain, (given, wanted), _ = _elements(outer, target)
    if not given[0]:
        raise MethodError("the series has 0 at the single node, so it is the identity to first order; it must move")
    inner: list[Any] = []
    parts = _Parts(outer.forest, inner, domain)
    for tree in range(len(wanted)):
        row = dict(parts.add(tree))
        whole = row.pop((tree, 0))  # the only cutting that has the unknown coefficient of this tree
        inner.append((wanted[tree] - parts.total(row, given)) / (whole * given[0]))
    return Series(outer.max_nodes, sympy.S.Zero, tuple(domain.to_sympy(x) for x in inner))


def modified_equation(what: Series | LinearMethod, max_nodes: int | None = None) -> Series:
    """Return the field whose exact flow is one step of a method, or of any map.

    Parameters
    ----------
    what : Method or Series
        A method (fast, with `max_nodes`), or the B-series of a map.
    max_nodes : int, optional
        Most nodes of a tree, for a method.

    Examples
    --------
    >>> from eomsym.optimisers.linear import GradientDescent
    >>> [str(x) for x in modified_equation(GradientDescent(), 4).values()]
    ['1', '-1/2', '1/3', '1/6', '-1/4', '-1/6', '-1/12', '0']
    >>> modified_equation(elementary_weights(GradientDescent(), 4)) == modified_equation(GradientDescent(), 4)
    True
    """
    if isinstance(what, Series):
        return _field_between(exact_flow(what.max_nodes), what)
    if max_nodes is None:
        raise InputError("max_nodes is needed for a method; write modified_equation(method, 6)")
    table = universal(max_nodes, what)
    return Series(max_nodes, sympy.S.Zero, tuple(table.value(i) for i in range(len(table.forest))))


def modifying_integrator(what: Series | LinearMethod, max_nodes: int | None = None) -> Series:
    """Return the field for which one step of a method is the exact flow of the original field.

    Parameters
    ----------
    what : Method or Series
        A method (with `max_nodes`), or the B-series of a map.
    max_nodes : int, optional
        Most nodes of a tree, for a method.

    Examples
    --------
    >>> from eomsym.optimisers.linear import GradientDescent
    >>> [str(x) for x in modifying_integrator(GradientDescent(), 4).values()]
    ['1', '1/2', '1/6', '1/3', '1/24', '1/12', '1/8', '1/4']
    """
    if not isinstance(what, Series):
        if max_nodes is None:
            raise InputError("max_nodes is needed for a method; write modifying_integrator(method, 6)")
        what = elementary_weights(what, max_nodes)
    return _field_between(what, exact_flow(what.max_nodes))
