"""What the symbols of counter terms mean, in every style: each document defines every symbol that it uses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from eomsym.exact.numbers import Exact
from eomsym.exact.trees import Tree
from eomsym.formulas.coefficients import spell, style_of
from eomsym.formulas.styles import Style

__all__ = ["meaning", "motion", "parameters", "penalised"]

#: Parameters of the optimisers, by the names that they have there.
_PARAMETERS = {
    "alpha": "the weight of the past",
    "beta": "the momentum",
    "beta1": "the weight of the past in the mean of gradients",
    "beta2": "the weight of the past in the mean of squares",
    "dampening": "the dampening",
    "epsilon": "what is added to denominators",
    "nu": "the share of the momentum",
    "r": "the radius over the learning rate",
    "threshold": "the norm at which gradients are clipped",
    "weight_decay": "the decoupled weight decay",
    "width": "the width of the smooth sign",
}
_ORDINALS = {3: "third", 4: "fourth", 5: "fifth"}

#: A formula, and words that say what it does not say itself.
Row = tuple[str, str]


def penalised(style: Style, decay: Exact | None, index: str = "") -> str:
    """Write the loss with its penalty, or bare where there is no weight decay.

    Examples
    --------
    >>> import sympy
    >>> penalised(style_of("text"), sympy.Symbol("lambda"))
    'L + lambda/2 |theta|^2'
    """
    loss = style.symbol("L", index)
    if decay is None:
        return loss
    return loss + style.plus + style.join(spell(decay / 2, style)[1], style.norm(style.symbol("theta")))


def motion(order: int, style: Style, xi: bool = False) -> str:
    """Write the equation of motion that the terms belong to.

    Examples
    --------
    >>> motion(2, style_of("unicode")), motion(2, style_of("text"), xi=True)
    ("θ' = −(term_0 + η term_1 + η² term_2)", "theta' = -g - eta (xi_0 + eta xi_1)")
    """
    names = {"latex": r"\mathrm{{term}}_{{{}}}", "mathml": "<msub><mi>term</mi><mn>{}</mn></msub>"}
    name = names.get(style.name, "term_{}")
    eta, minus = style.symbol("eta"), style.minus.strip()
    parts = []
    for k in range(order + 1 - xi):
        factor = style.symbol("xi", str(k)) if xi else name.format(k)
        parts.append(style.join(style.power(eta, k), factor) if k else factor)
    total = style.plus.join(parts)
    if len(parts) > 1:
        total = style.group(total)
    if xi:
        total = style.symbol("g") + (style.minus + style.join(eta, total) if parts else "")
    return style.dot("theta") + style.equals + minus + total


def meaning(
    coefficients: Mapping[Tree, Any], format: str, *, decay: Exact | None = None, indices: bool = False
) -> list[Row]:
    """Say what the symbols of elementary differentials mean.

    Parameters
    ----------
    coefficients : mapping with trees as keys
        Those that are written.
    format : str
        ``text``, ``unicode``, ``latex`` or ``mathml``.
    decay : sympy.Expr, optional
        Weight decay.
    indices : bool
        Whether they are written in index notation.

    Returns
    -------
    list of (str, str)
        Formulas, and words that follow them.

    Examples
    --------
    >>> meaning({Tree.parse("[[.]]"): 1}, "unicode")
    [('g = ∇L', 'the gradient'), ('H = ∇²L', 'the Hessian')]
    """
    style = style_of(format)
    shapes = {len(node.branches) for tree in coefficients for node in _nodes(tree)}
    batch = "k" if any(tree.coloured for tree in coefficients) else ""
    of = f" of batch {style.inline(style.symbol('k'))}" if batch else ""
    if indices:
        loss = style.inline(penalised(style, decay, batch))
        words = f"the partial derivatives of {loss}{of}; repeated indices are summed over"
        return [(style.partial(batch, ["i", "j"]), words)]
    rows = [_equation(style, style.symbol("g", batch), 1, decay, batch, f"the gradient{of}")]
    if 1 in shapes:
        name = style.symbol("H" if decay is None else "A", batch)
        rows.append(_equation(style, name, 2, decay, batch, f"the Hessian{of}"))
    if high := sorted(m + 1 for m in shapes if m > 1):
        vectors = [style.symbol(letter) for letter in "uvwxyz"][: high[0] - 1]
        word = _ORDINALS.get(high[0], f"{high[0]}th")
        more = ", and so on" if len(high) > 1 else ""
        rows.append((style.derivative(high[0], batch, vectors), f"the {word} derivative{of} on vectors{more}"))
    return rows


def _equation(style: Style, name: str, order: int, decay: Exact | None, batch: str, words: str) -> Row:
    """``g = ∇L + λ θ``, or ``A = ∇²L + λ I``."""
    right = style.nabla_of(order, batch)
    if decay is not None:
        factor = spell(decay, style)[1] or style.number(1)
        right += style.plus + style.join(factor, style.symbol("theta" if order == 1 else "I"))
    return name + style.equals + right, words


def parameters(method: Any, found: set[Any], format: str) -> Iterator[Row]:
    """Say what the symbols in coefficients mean: parameters of the optimiser.

    Examples
    --------
    >>> import sympy
    >>> from eomsym.optimisers.accelerated import HeavyBall
    >>> beta = sympy.Symbol("beta")
    >>> list(parameters(HeavyBall(beta), {beta}, "unicode"))
    [('β', 'the momentum')]
    """
    style = style_of(format)
    known = {f.name: getattr(method, f.name) for f in fields(method)} if is_dataclass(method) else {}
    for symbol in sorted(found, key=str):
        words = next((_PARAMETERS.get(name, "") for name, value in known.items() if value == symbol), "")
        yield style.symbol(symbol.name), words or f"a parameter of the optimiser ({method.name})"


def _nodes(tree: Tree) -> Iterator[Tree]:
    yield tree
    for branch in tree.branches:
        yield from _nodes(branch)
