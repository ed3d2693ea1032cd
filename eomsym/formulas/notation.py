r"""From trees to formulas: ``H² g``, ``\nabla^{3} L[g, Hg]``, or index notation, in every style.

A leaf is the gradient ``g``, a node with one branch is the Hessian ``H`` acting on it, and a node with ``m``
branches is the derivative of order ``m + 1`` of the loss, applied to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import sympy

from eomsym import checks
from eomsym.errors import InputError
from eomsym.exact.numbers import Exact
from eomsym.exact.trees import Tree
from eomsym.formulas.coefficients import spell, style_of
from eomsym.formulas.styles import Style

__all__ = [
    "differential",
    "differential_with_indices",
    "linear_combination",
    "signed",
    "sum_of",
    "summands",
    "term_name",
]


def differential(tree: Tree, format: str = "unicode", *, hessian: str = "H", coloured: bool = False) -> str:
    """Write the elementary differential of a tree.

    Parameters
    ----------
    tree : Tree
        The tree.
    format : str
        ``text``, ``unicode``, ``latex`` or ``mathml``.
    hessian : str
        Name of the Hessian; ``A`` is usual with weight decay.
    coloured : bool
        Whether to number gradients by the colours of the nodes.

    Examples
    --------
    >>> differential(Tree.parse("[[.[.]]]"))
    'H ∇³L[g,Hg]'
    >>> print(differential(Tree.parse("[[.[.]]]"), "latex"))
    H \\nabla^{3} L[g, H g]
    """
    return _Writer(style_of(format), hessian, coloured).write(tree)


class _Writer:
    def __init__(self, style: Style, hessian: str, coloured: bool) -> None:
        self.style, self.hessian, self.coloured = style, hessian, coloured

    def index(self, tree: Tree) -> str:
        return str(tree.colour) if self.coloured else ""

    def write(self, tree: Tree) -> str:
        style, branches = self.style, tree.branches
        if not branches:
            return style.symbol("g", self.index(tree))
        if len(branches) == 1:
            power, inner = 1, branches[0]
            while len(inner.branches) == 1 and inner.colour == tree.colour:
                power, inner = power + 1, inner.branches[0]
            hessian = style.power(style.symbol(self.hessian, self.index(tree)), power)
            return style.apply(hessian, self.write(inner), len(inner.branches) < 2)
        return style.derivative(len(branches) + 1, self.index(tree), [self.write(branch) for branch in branches])


def differential_with_indices(tree: Tree, format: str = "unicode", *, coloured: bool = False) -> str:
    """Write component ``i`` of the elementary differential of a tree, repeated indices summed.

    Examples
    --------
    >>> differential_with_indices(Tree.parse("[.[.]]"))
    'L_{i j k} L_{j} L_{k l} L_{l}'
    """
    style, letters = style_of(format), _letters()

    def write(node: Tree, index: str) -> Iterator[str]:
        below = [next(letters) for _ in node.branches]
        yield style.partial(str(node.colour) if coloured else "", [index, *below])
        for branch, letter in zip(node.branches, below, strict=True):
            yield from write(branch, letter)

    return " ".join(write(tree, next(letters)))


def _letters() -> Iterator[str]:
    yield from "ijklmnpqrstuvw"
    number = 1
    while True:
        yield f"i{number}"
        number += 1


def linear_combination(
    coefficients: Mapping[Tree, Exact],
    format: str = "unicode",
    *,
    group: str = "auto",
    indices: bool = False,
    hessian: str = "H",
) -> str:
    """Write a sum of elementary differentials.

    Parameters
    ----------
    coefficients : mapping of Tree to sympy.Expr
        The coefficients; zeros are left out.
    format : str
        ``text``, ``unicode``, ``latex`` or ``mathml``.
    group : {"auto", "none", "hessian", "denominator"}
        Whether to pull out Hessians on the left, or the common denominator; ``"auto"`` pulls out a denominator that
        holds symbols, above order 2.
    indices : bool
        Whether to use index notation.
    hessian : str
        Name of the Hessian.

    Raises
    ------
    InputError
        If the format or the grouping is unknown.

    Examples
    --------
    >>> from eomsym.formulas.terms import counter_terms
    >>> term = counter_terms(3)[3]
    >>> linear_combination(term)
    '1/4 H³g + 1/12 H ∇³L[g,g] + 1/12 ∇³L[g,Hg]'
    >>> linear_combination(term, group="hessian")
    'H (1/4 H²g + 1/12 ∇³L[g,g]) + 1/12 ∇³L[g,Hg]'
    >>> linear_combination(term, group="denominator")
    '1/12 (3 H³g + H ∇³L[g,g] + ∇³L[g,Hg])'
    """
    front, parts = summands(coefficients, format, group=group, indices=indices, hessian=hessian)
    style = style_of(format)
    inner = "".join(parts) or style.number(0)
    return style.join(front, style.group(inner)) if front else inner


def summands(
    coefficients: Mapping[Tree, Exact],
    format: str = "unicode",
    *,
    group: str = "auto",
    indices: bool = False,
    hessian: str = "H",
) -> tuple[str, list[str]]:
    """Write a sum as its common factor, which may be empty, and its summands with their signs.

    Parameters as for :func:`linear_combination`.

    Examples
    --------
    >>> from eomsym.formulas.terms import counter_terms
    >>> summands(counter_terms(2)[2], group="denominator")
    ('1/12', ['4 H²g', ' + ∇³L[g,g]'])
    """
    style = style_of(format)
    checks.choice(group, "grouping", ("auto", "none", "hessian", "denominator"))
    if group == "hessian" and indices:
        raise InputError("indices cannot be grouped by 'hessian'; choose one of auto, none, denominator")
    coloured = any(tree.coloured for tree in coefficients)
    items = [(tree, value) for tree, value in coefficients.items() if value != 0]
    writer = _Writer(style, hessian, coloured)

    def write(tree: Tree) -> str:
        return differential_with_indices(tree, format, coloured=coloured) if indices else writer.write(tree)

    def nested(pairs: list[tuple[Tree, Exact]]) -> list[tuple[Exact, str]]:
        inner = [(tree.branches[0], value) for tree, value in pairs if len(tree.branches) == 1]
        outer = [(value, write(tree)) for tree, value in pairs if len(tree.branches) != 1]
        if len(inner) < 2 or coloured:
            return [(value, write(tree)) for tree, value in pairs]
        below = style.group("".join(signed(nested(inner), style)))
        return [(sympy.S.One, style.join(style.symbol(hessian), below)), *outer]

    if group == "hessian":
        return "", signed(nested(items), style)
    factor = sympy.S.One
    if len(items) > 1 and (group == "denominator" or (group == "auto" and _unwieldy(items))):
        factor = _common_factor([value for _, value in items])
    parts = signed([(sympy.cancel(x / factor) if factor != 1 else x, write(tree)) for tree, x in items], style)
    negative, front = spell(factor, style)
    return (style.minus.strip() if negative else "") + front, parts


def _unwieldy(items: Sequence[tuple[Tree, Exact]]) -> bool:
    """Whether one denominator reads better than many: above order 2, where it holds symbols."""
    return items[0][0].nodes > 3 and any(value.free_symbols for _, value in items)


def _common_factor(values: list[Exact]) -> Exact:
    """Return one over the least common denominator of the coefficients."""
    if not values:
        return sympy.S.One
    denominators = [sympy.fraction(sympy.together(value))[1] for value in values]
    factor = 1 / sympy.factor(sympy.lcm_list(denominators))
    return -factor if spell(sympy.cancel(values[0] / factor), style_of("text"))[0] else factor


def signed(parts: Iterable[tuple[Exact, str]], style: Style) -> list[str]:
    """Write things that are already written with their coefficients, each but the first with its sign."""
    out: list[str] = []
    for value, written in parts:
        negative, coefficient = spell(value, style)
        sign = (style.minus if negative else style.plus) if out else style.minus.strip() * negative
        out.append(sign + (style.join(coefficient, written) if coefficient else written))
    return out


def sum_of(parts: Iterable[tuple[Exact, str]], style: Style) -> str:
    """Write a sum of things that are already written, with their coefficients."""
    return "".join(signed(parts, style)) or style.number(0)


def term_name(k: int, format: str, xi: bool = False) -> str:
    """Write the name of a term: ``term_k``, or Miyagawa's ``xi_(k-1)``.

    Examples
    --------
    >>> term_name(1, "latex"), term_name(1, "unicode", xi=True)
    ('\\\\mathrm{term}_{1}', 'ξ₀')
    """
    if xi:
        return style_of(format).symbol("xi", str(k - 1))
    if format == "latex":
        return rf"\mathrm{{term}}_{{{k}}}"
    if format == "mathml":
        return f"<msub><mi>term</mi><mn>{k}</mn></msub>"
    return f"term_{k}"
