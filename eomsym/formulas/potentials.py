"""Is there a modified loss? The potential of each counter term that is a gradient, or what obstructs it.

A *free tree* is a rooted tree that has forgotten its root. It stands for a scalar, ``S``: each node with
``m`` edges is the ``m``-th derivative of the loss, and edges are contractions, so ``S = L, |g|^2, g.Hg,
...``. Differentiating ``S`` marks each node in turn as the root, hence

    gradient of S / symmetry(free tree)  =  sum over its rootings t of  G(t) / symmetry(t).

Elementary differentials of different rooted trees are independent, so ``sum_t b(t)/symmetry(t) G(t)`` is a
gradient for every loss if and only if ``b`` takes one value on all rootings of each free tree: moving the
root changes nothing. Where it does, the mean over the nodes makes the gradient part, and the rest is the
obstruction. (Other weights would move a gradient from one part to the other; whether the obstruction vanishes
does not depend on them.)

References
----------
D. G. T. Barrett, B. Dherin, *Implicit Gradient Regularization*, ICLR 2021, arXiv:2009.11162 (gradient
descent, first order). A. Ghosh et al., *Implicit Regularization in Heavy-ball Momentum Accelerated SGD*, ICLR
2023, arXiv:2302.00849 (heavy ball, first order). E. Hairer, C. Lubich, G. Wanner, *Geometric Numerical
Integration*, 2nd ed., section IX.9.3 (the same question for Hamiltonian systems), doi:10.1007/3-540-30666-8.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import total_ordering
from typing import Any

import sympy

from eomsym.exact.general_linear import LinearMethod
from eomsym.exact.numbers import Exact
from eomsym.exact.trees import Tree
from eomsym.formulas.coefficients import style_of
from eomsym.formulas.mathml import equations
from eomsym.formulas.meaning import penalised
from eomsym.formulas.notation import differential, signed
from eomsym.formulas.terms import Term, counter_terms

__all__ = ["FreeTree", "ModifiedLoss", "Potential", "Split", "modified_loss", "split"]


@total_ordering
class FreeTree:
    """A tree without a root; equal to every tree of the same shape.

    Parameters
    ----------
    tree : Tree
        Any of its rootings.

    Examples
    --------
    >>> path = FreeTree(Tree.parse("[..]"))
    >>> path == FreeTree(Tree.parse("[[.]]")), path.symmetry
    (True, 2)
    >>> path.rootings
    Counter({Tree.parse('[[.]]'): 2, Tree.parse('[..]'): 1})
    """

    def __init__(self, tree: Tree) -> None:
        self.rootings: Counter[Tree] = Counter(_rootings(tree))
        self.rooted = min(self.rootings)

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return self.rooted.nodes

    @property
    def symmetry(self) -> int:
        """Order of the automorphism group."""
        return self.rooted.symmetry * self.rootings[self.rooted]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FreeTree) and self.rooted == other.rooted

    def __lt__(self, other: FreeTree) -> bool:
        return self.rooted < other.rooted

    def __hash__(self) -> int:
        return hash(self.rooted)

    def __repr__(self) -> str:
        return f"FreeTree({self.rooted!r})"

    def format(
        self, format: str = "unicode", *, coloured: bool = False, hessian: str = "H", decay: Exact | None = None
    ) -> str:
        """Write the scalar that the tree stands for, with colours as indices if there are any.

        With weight decay the scalar of a single node is the penalised loss.

        Examples
        --------
        >>> [FreeTree(Tree.parse(t)).format() for t in (".", "[.]", "[..]", "[[[.]]]", "[...]")]
        ['L', '‖g‖²', 'gᵀHg', 'gᵀH²g', '∇³L[g,g,g]']
        """
        style = style_of(format)
        coloured = coloured or self.rooted.coloured
        root = max(self.rootings, key=lambda tree: (len(tree.branches), -tree.height, tree))
        if not root.branches:
            return penalised(style, decay, str(root.colour) if coloured else "")
        if len(root.branches) < 3:  # a path: start from one of its ends
            end = min(tree for tree in self.rootings if len(tree.branches) == 1)
            first = style.symbol("g", str(end.colour) if coloured else "")
            if self.nodes == 2 and end.colour == end.branches[0].colour:
                return style.norm(first)
            return style.inner(first, differential(end.branches[0], format, coloured=coloured, hessian=hessian))
        written = [differential(branch, format, coloured=coloured, hessian=hessian) for branch in root.branches]
        return style.derivative(len(written), str(root.colour) if coloured else "", written)


def _rootings(tree: Tree) -> Iterator[Tree]:
    """Yield the tree with each of its nodes as the root in turn."""
    yield tree
    for i, branch in enumerate(tree.branches):
        rest = Tree(*tree.branches[:i], *tree.branches[i + 1 :], colour=tree.colour)
        yield from _below(branch, rest)


def _below(branch: Tree, above: Tree) -> Iterator[Tree]:
    """Yield all rootings in `branch`, which hangs from `above`."""
    yield Tree(*branch.branches, above, colour=branch.colour)
    for i, inner in enumerate(branch.branches):
        rest = Tree(*branch.branches[:i], *branch.branches[i + 1 :], above, colour=branch.colour)
        yield from _below(inner, rest)


class Potential(Mapping[FreeTree, Exact]):
    """An exact combination of scalars of free trees.

    Parameters
    ----------
    coefficients : mapping of FreeTree to sympy.Expr
        What multiplies the scalar of each free tree.
    """

    def __init__(self, coefficients: Mapping[FreeTree, Exact]) -> None:
        self._coefficients = dict(coefficients)

    def __getitem__(self, tree: FreeTree) -> Exact:
        return self._coefficients[tree]

    def __iter__(self) -> Iterator[FreeTree]:
        return iter(self._coefficients)

    def __len__(self) -> int:
        return len(self._coefficients)

    def format(self, format: str = "unicode", *, hessian: str = "H", decay: Exact | None = None) -> str:
        """Write the potential in the given style.

        Parameters
        ----------
        format : {"unicode", "text", "latex", "mathml"}
        hessian : str
            Name of the Hessian.
        decay : sympy.Expr, optional
            Weight decay, which is part of the potential.

        Examples
        --------
        >>> modified_loss(1)[0].potential.format(decay=sympy.Symbol("lambda"))
        'L + λ/2 ‖θ‖²'
        """
        style = style_of(format)
        return style.whole("".join(self.summands(format, hessian=hessian, decay=decay)) or style.number(0))

    def summands(self, format: str, *, hessian: str = "H", decay: Exact | None = None) -> list[str]:
        """The summands of the potential, each but the first with its sign; options as for :meth:`format`."""
        style, coloured = style_of(format), any(tree.rooted.coloured for tree in self)
        parts = []
        for tree, x in self.items():
            text = tree.format(format, coloured=coloured, hessian=hessian, decay=decay)
            alone = x == 1 and len(self) == 1
            parts.append((x, style.group(text) if decay is not None and tree.nodes == 1 and not alone else text))
        return signed([part for part in parts if part[0] != 0], style)

    def latex(self) -> str:
        """Write the potential in LaTeX, for amsmath."""
        return self.format("latex")

    def __str__(self) -> str:
        return self.format()

    def __repr__(self) -> str:
        return f"<Potential {self}>"

    def _repr_latex_(self) -> str:
        return rf"$\displaystyle {self.latex()}$"

    def _repr_html_(self) -> str:
        return equations([("", self.summands("mathml"))])

    def gradient(self, order: int) -> Term:
        """Return the gradient of the potential as a term."""
        values = {tree: value * free.symmetry / tree.symmetry for free, value in self.items() for tree in free.rootings}
        return Term(order, dict(sorted(values.items())))


@dataclass(frozen=True)
class Split:
    """One counter term as the gradient of a potential, plus an obstruction.

    Parameters
    ----------
    potential : Potential
        Its scalar potential, as far as there is one.
    gradient : Term
        The gradient of `potential`.
    obstruction : Term
        What is left; it vanishes if and only if the term is a gradient for every loss.
    """

    potential: Potential
    gradient: Term
    obstruction: Term

    @property
    def is_gradient(self) -> bool:
        """Whether the term is a gradient for every loss."""
        return all(x == 0 for x in self.obstruction.values())

    def _repr_html_(self) -> str:
        rest = "" if self.is_gradient else f" and what no loss gives: {self.obstruction._repr_html_()}"
        return f"gradient of {self.potential._repr_html_()}{rest}"


def split(term: Term) -> Split:
    """Split a counter term into a gradient and an obstruction.

    Examples
    --------
    >>> from eomsym.formulas.terms import counter_terms
    >>> parts = split(counter_terms(2)[2])
    >>> parts.is_gradient, str(parts.potential), str(parts.obstruction)
    (False, '5/36 gᵀHg', '1/18 H²g − 1/18 ∇³L[g,g]')
    """
    weights: dict[FreeTree, Exact] = {}
    seen: dict[Tree, FreeTree] = {}
    for tree in term:
        if tree in seen:
            continue
        free = FreeTree(tree)
        seen |= dict.fromkeys(free.rootings, free)
        total = sympy.Add(*(many * term[t] * t.symmetry for t, many in free.rootings.items()))
        weights[free] = sympy.factor(total / free.nodes)
    potential = Potential({free: value / free.symmetry for free, value in sorted(weights.items())})
    gradient = potential.gradient(term.order)
    rest = {tree: sympy.factor(value - gradient[tree]) for tree, value in term.items()}
    return Split(potential, gradient, Term(term.order, rest))


class ModifiedLoss(Sequence[Split]):
    """The answer for each order: ``[k]`` splits the term that multiplies ``eta**k``.

    Parameters
    ----------
    splits : sequence of Split
        One for each order from 0.

    Examples
    --------
    >>> answer = modified_loss(3)
    >>> print(answer)
    order 0: gradient of L
    order 1: gradient of 1/4 ‖g‖²
    order 2: not a gradient; gradient of 5/36 gᵀHg, and 1/18 H²g − 1/18 ∇³L[g,g]
    order 3: not a gradient; gradient of 1/12 gᵀH²g + 1/48 ∇³L[g,g,g], and ...
    >>> answer.highest
    1
    """

    def __init__(self, splits: Sequence[Split]) -> None:
        self._splits = tuple(splits)

    def __getitem__(self, index: Any) -> Any:
        return self._splits[index]

    def __len__(self) -> int:
        return len(self._splits)

    @property
    def highest(self) -> int:
        """The highest order through which a modified loss exists, among those asked for."""
        return next((k for k, part in enumerate(self) if not part.is_gradient), len(self)) - 1

    def format(self, format: str = "unicode") -> str:
        """Write the modified loss through the highest order at which it exists.

        Examples
        --------
        >>> modified_loss(2).format()
        'L + η (1/4 ‖g‖²)'
        """
        style = style_of(format)
        parts = []
        for k in range(self.highest + 1):
            written = self[k].potential.format(format)
            if k and written != style.number(0):
                eta = style.power(style.symbol("eta"), k)
                parts.append(style.join(eta, style.group(written)))
            elif not k:
                parts.append(written)
        return style.plus.join(parts)

    def latex(self) -> str:
        """Write the modified loss in LaTeX, for amsmath."""
        return self.format("latex")

    def _repr_latex_(self) -> str:
        return rf"$\displaystyle {self.latex()}$"

    def _repr_html_(self) -> str:
        return "".join(f"<p>Order {k}: {part._repr_html_()}</p>" for k, part in enumerate(self))

    def __str__(self) -> str:
        lines = []
        for k, part in enumerate(self):
            rest = "" if part.is_gradient else "not a gradient; "
            more = "" if part.is_gradient else f", and {part.obstruction}"
            lines.append(f"order {k}: {rest}gradient of {part.potential}{more}")
        return "\n".join(lines)


def modified_loss(order: int, *, method: LinearMethod | None = None) -> ModifiedLoss:
    """Answer for each order whether the counter term is a gradient for every loss, and of what.

    Parameters
    ----------
    order : int
        The highest power of the learning rate.
    method : Method, optional
        The optimiser; gradient descent by default.

    Examples
    --------
    >>> from eomsym.optimisers.accelerated import HeavyBall
    >>> str(modified_loss(1, method=HeavyBall(sympy.Symbol("beta")))[1].potential)
    '(1+β)/(4(1−β)³) ‖g‖²'
    """
    return ModifiedLoss([split(term) for term in counter_terms(order, method=method)])
