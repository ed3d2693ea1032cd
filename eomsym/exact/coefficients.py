"""Universal coefficients: the number ``alpha(t)`` of each rooted tree in the modified field of a method.

With ``F = -g`` the modified field is ``sum_t eta**(|t|-1) alpha(t)/symmetry(t) F(t)``. Along the modified
flow ``y(eta s) = theta + sum_t eta**|t|/symmetry(t) P_t(s) F(t)`` with polynomials ``P_t``, so ``alpha(t) =
P_t'(0)``. A method turns into a recursion for ``P_t`` over the branches of ``t``, and no tree is ever cut
into pieces:

* Runge-Kutta methods step from integer to integer: ``P_t(j+1) = P_t(j) + sum_i b_i Q_ti(j)``, with ``Q_ti``
  the product of the stage values of the branches. This is done for all trees at once, in integers
  (:func:`_iterate`).
* All others apply their power series to the coefficients of ``P_t``, in any exact domain
  (:func:`eomsym.exact.power_series.expand`).

References
----------
A. Murua, *The Hopf Algebra of Rooted Trees, Free Lie Algebras, and Lie Series*, Found. Comput. Math. 6, 2006,
387-426, doi:10.1007/s10208-003-0111-0 (``alpha`` of gradient descent is the linear coefficient of the order
polynomial).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, comb, factorial, gcd, inf, lcm
from typing import Any

import numpy as np
import sympy
from numpy.typing import NDArray

from eomsym import checks
from eomsym.errors import InputError, SizeError
from eomsym.exact.forests import Forest, count_trees, forest, require_memory
from eomsym.exact.general_linear import GeneralLinear, LinearMethod
from eomsym.exact.numbers import Exact
from eomsym.exact.power_series import expand

__all__ = ["Universal", "universal"]

_CHUNK = 1 << 15  # trees handled at once; their rows stay in the second-level cache

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Universal:
    """Coefficients ``alpha(t) = numerators[t] / denominator`` of all trees of a forest.

    Parameters
    ----------
    method : Method
        The method that they belong to.
    forest : Forest
        The trees: `left`, `right`, `symmetry` and `starts` are read from it.
    numerators : ndarray, shape (trees,)
        int64 where the numerators fit (for gradient descent always), otherwise Python integers; elements of a
        sympy ring for methods with symbols.
    denominator : int or ring element
        The common denominator.

    Examples
    --------
    >>> from eomsym.optimisers.linear import GradientDescent
    >>> table = universal(4, GradientDescent())
    >>> table.numerators.tolist(), table.denominator
    ([12, -6, 4, 2, -3, -2, -1, 0], 12)
    >>> [str(table.value(i)) for i in range(8)]
    ['1', '-1/2', '1/3', '1/6', '-1/4', '-1/6', '-1/12', '0']
    """

    method: LinearMethod
    forest: Forest
    numerators: Array
    denominator: Any
    domain: Any = sympy.QQ

    @property
    def max_nodes(self) -> int:
        """Most nodes of a tree."""
        return self.forest.max_nodes

    @property
    def starts(self) -> NDArray[np.int64]:
        """Trees with ``n`` nodes have the indices ``starts[n] .. starts[n + 1] - 1``."""
        return self.forest.starts

    @property
    def left(self) -> NDArray[np.int32]:
        """Index of each tree without its last branch."""
        return self.forest.left

    @property
    def right(self) -> NDArray[np.int32]:
        """Index of the last branch of each tree."""
        return self.forest.right

    @property
    def symmetry(self) -> NDArray[np.int64]:
        """Order of the automorphism group of each tree."""
        return self.forest.symmetry

    def value(self, index: int) -> Exact:
        """Return ``alpha`` of one tree as a sympy number or expression."""
        top = self.numerators[index]
        if self.domain.is_QQ:
            return sympy.Rational(int(top), int(self.denominator))
        field = self.domain.get_field()
        quotient = field.convert(top, self.domain) / field.convert(self.denominator, self.domain)
        return sympy.factor(field.to_sympy(quotient))


def universal(max_nodes: int, method: LinearMethod) -> Universal:
    """Compute the coefficients of all trees with at most `max_nodes` nodes, exactly.

    Parameters
    ----------
    max_nodes : int
        Most nodes, 1 to 20; counter terms to order ``K`` need ``K + 1`` nodes.
    method : Method
        The optimiser, linear in gradients.

    Returns
    -------
    Universal

    Raises
    ------
    InputError
        If `max_nodes` is out of range.
    SizeError
        If the work would not fit in memory; nothing has been allocated then.

    Notes
    -----
    Runge-Kutta methods with rational coefficients run in int64 modulo ``2**64``. That is exact, as the result
    is proven to be smaller: a majorant of all trees of one size at once bounds it (557 for gradient descent
    and 20 nodes). Where the proof fails, Python integers take over.

    Examples
    --------
    >>> from eomsym.optimisers.linear import GradientDescent
    >>> table = universal(12, GradientDescent())
    >>> sympy.Rational(int(table.numerators.sum()), table.denominator)
    20609/27720
    """
    if isinstance(method, type) or not isinstance(method, LinearMethod):
        raise InputError(f"method is {checks.shown(method)}; expected a method object such as eomsym.GradientDescent()")
    found: Universal = _universal(max_nodes, method)  # type: ignore[arg-type]
    return found


#: More coloured trees take minutes, and nobody reads them.
MOST_COLOURED = 200_000


@lru_cache(maxsize=8)
def _universal(max_nodes: int, method: Any) -> Universal:
    count = sum(count_trees(n + 1, method.colours) for n in range(max_nodes)) if method.colours > 1 else 0
    if count > MOST_COLOURED:
        raise SizeError(
            f"order {max_nodes - 1} of {method.colours} batches has {count:,} terms; ask for a lower order or fewer "
            "batches, or for numbers (eomsym.compile has no such limit)"
        )
    trees = forest(max_nodes, method.colours)
    if not method.is_flow:
        form = method.general_linear()
        if form.lags == 1 and all(x.is_Rational for x in form.entries()):
            return _iterate(trees, method, form)
    alphas, ring, denominator = expand(trees, method)
    if ring.is_QQ:
        common = lcm(*(int(x.denominator) for x in alphas))
        numerators = np.array([int(x.numerator) * (common // int(x.denominator)) for x in alphas], dtype=object)
        return _reduced(method, trees, numerators, common)
    return Universal(method, trees, alphas, denominator, ring)


def _iterate(trees: Forest, method: LinearMethod, form: GeneralLinear) -> Universal:
    """Compute the coefficients of a rational Runge-Kutta method from its integer iterates.

    The table holds ``scale**(|t|-1) Q_ti(j)`` for the stages ``i`` and ``j = 0 .. N-1``; ``P_t(j)`` is a
    running sum.
    """
    n_max, stages = trees.max_nodes, form.stages
    scale = lcm(*(int(x.q) for x in form.entries()))
    common = lcm(*range(1, n_max + 1))
    # alpha = sum_j w_j P(j), the derivative at 0 of interpolation; summed by parts for increments of P
    ends = [common // j * (-1) ** (j - 1) * comb(n_max, j) for j in range(1, n_max + 1)]
    weights = [sum(ends[j:]) for j in range(n_max)]
    bound = _majorant(n_max, form)
    fits = bound < 2**62 and ceil(bound) * common * scale**n_max < 2**62
    dtype: Any = np.int64 if fits else object
    b = [_wrap(int(row[0] * scale), dtype) for row in form.weights]
    a = [[_wrap(int(x * scale), dtype) for x in row] for row in form.coupling]
    stored = int(trees.starts[n_max])
    require_memory(
        stages * n_max * stored * (8 if fits else 60) + len(trees) * 24,
        f"all {len(trees):,} trees of {method.name}",
    )

    table = np.empty((stages, n_max, max(stored, trees.colours)), dtype=dtype)
    table[:, :, : trees.colours] = 1
    numerators = np.empty(len(trees), dtype=dtype)
    colour = trees.root_colour if trees.colours > 1 else None

    def seen(rows: list[Array], at: Array | slice) -> list[Array]:
        """Drop what a stage does not evaluate: roots of another colour."""
        if colour is None:
            return rows
        return [row * (colour[at] == c) for row, c in zip(rows, form.colours, strict=True)]

    for colour_index in range(trees.colours):
        own = sum(int(x) for x, c in zip(b, form.colours, strict=True) if c == colour_index)
        numerators[colour_index] = _wrap(common * own * scale ** (n_max - 1), dtype)
    for n in range(2, n_max + 1):
        here = trees.of_size(n)
        lift = scale ** (n_max - n)
        for start in range(here.start, here.stop, _CHUNK):
            chunk = slice(start, min(start + _CHUNK, here.stop))
            left, right = trees.left[chunk].astype(np.intp), trees.right[chunk].astype(np.intp)
            running = np.zeros(len(left), dtype=dtype)
            total = np.zeros(len(left), dtype=dtype)
            for j in range(n_max):
                branch = seen([table[i, j].take(right) for i in range(stages)], right)
                product = [table[i, j].take(left) * _sum_of([1, *a[i]], [running, *branch]) for i in range(stages)]
                if n < n_max:
                    table[:, j, chunk] = product
                total += _wrap(weights[j] * lift, dtype) * _sum_of(b, seen(product, chunk))
                running += _sum_of(b, branch)
            numerators[chunk] = total
    return _reduced(method, trees, numerators, common * scale**n_max)


def _sum_of(factors: list[Any], rows: list[Array]) -> Array:
    """Return ``sum_i factors[i] rows[i]`` without the work of zeros and ones."""
    terms = [row if x == 1 else row * x for x, row in zip(factors, rows, strict=True) if x]
    total = terms[0] if terms else np.zeros_like(rows[0])
    for term in terms[1:]:
        total = total + term
    return total


def _wrap(number: int, dtype: Any) -> Any:
    """Return an integer modulo ``2**64``, as int64, unless Python integers are in use."""
    return number if dtype is object else np.int64((number + 2**63) % 2**64 - 2**63)


def _majorant(n_max: int, form: GeneralLinear) -> float:
    """Return a bound of ``|alpha(t)|`` over all trees with at most `n_max` nodes.

    Coefficient by coefficient, ``P_t`` is at most what the recursion gives with absolute values, for the
    worst tree of each size. All terms are positive, so floats lose at most a few units in the last place; the
    factor 2 is ample.
    """
    if max(abs(x) for x in form.entries()) > 10**6:
        return inf  # the powers below would leave float64
    bernoulli = np.array([abs(float(sympy.bernoulli(k))) / factorial(k) for k in range(n_max + 1)])
    a = np.abs(np.array(form.coupling, dtype=float).reshape(form.stages, form.stages))
    b = np.abs(np.array(form.weights, dtype=float)).sum(axis=1)
    products: list[Array] = [np.zeros(0), np.ones((form.stages, 1))]  # by size, (stages, degree + 1)
    branches: list[Array] = [np.zeros(0)]
    bound = 0.0
    for n in range(1, n_max + 1):
        if n > 1:
            worst = np.zeros((form.stages, n))
            for m in range(1, n):
                for i in range(form.stages):
                    product = np.convolve(products[m][i], branches[n - m][i])
                    worst[i, : len(product)] = np.maximum(worst[i, : len(product)], product)
            products.append(worst)
        source = b @ products[n]
        flow = np.zeros(n + 1)
        for i in range(n):
            rising = [factorial(i + k) / factorial(i) for k in range(n - i)]
            flow[i + 1] = bernoulli[: n - i] @ (rising * source[i:]) / (i + 1)
        bound = max(bound, float(flow[1]))
        stage = np.tile(flow, (form.stages, 1))
        stage[:, :n] += a @ products[n]
        branches.append(stage)
    return 2 * bound


def _reduced(method: LinearMethod, trees: Forest, numerators: Array, denominator: int) -> Universal:
    """Divide out what all numerators share, and use int64 where they fit."""
    if numerators.dtype == object:
        shared = denominator
        for x in numerators:
            shared = gcd(shared, x)
            if shared == 1:
                break
    else:
        shared = int(np.gcd(np.gcd.reduce(numerators), denominator % 2**63)) if denominator < 2**63 else 1
    if shared > 1:
        numerators = numerators // shared
        denominator //= shared
    if numerators.dtype == object and max(abs(x) for x in numerators) < 2**63:
        numerators = numerators.astype(np.int64)
    numerators.flags.writeable = False
    return Universal(method, trees, numerators, denominator)
