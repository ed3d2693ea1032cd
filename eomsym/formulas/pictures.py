"""Pictures of trees, and of tables of trees with their coefficients, as SVG."""

from __future__ import annotations

from collections.abc import Mapping

from eomsym import checks
from eomsym.errors import InputError
from eomsym.exact.numbers import Exact
from eomsym.exact.trees import Tree
from eomsym.formulas.coefficients import spell, style_of
from eomsym.output.pictures import Picture
from eomsym.output.style import OKABE_ITO

__all__ = ["draw_table", "draw_tree"]

_STEP = 16.0  # distance of two levels
_RADIUS = 4.0


_Node = tuple[float, int, int, int]  # x, depth, colour, index of the parent


def _layout(tree: Tree, left: float = 0.0, depth: int = 0) -> tuple[float, list[_Node]]:
    """Return the width of a tree and its nodes, root first, in steps."""
    if not tree.branches:
        return 1.0, [(left + 0.5, depth, tree.colour, -1)]
    width, roots = 0.0, []
    below: list[_Node] = []
    for branch in tree.branches:
        taken, nodes = _layout(branch, left + width, depth + 1)
        width += taken
        first = 1 + len(below)
        roots.append(nodes[0][0])
        below += [(x, d, c, 0 if p < 0 else p + first) for x, d, c, p in nodes]
    return width, [((roots[0] + roots[-1]) / 2, depth, tree.colour, -1), *below]


def _shapes(tree: Tree, x: float, y: float) -> tuple[float, float, list[str]]:
    """Return width, height and the SVG elements of a tree whose lower left corner is at (x, y)."""
    width, nodes = _layout(tree)
    points = [(x + _STEP * px, y - _STEP * (depth + 0.5)) for px, depth, _, _ in nodes]
    lines = [
        f'<line x1="{a:g}" y1="{b:g}" x2="{points[p][0]:g}" y2="{points[p][1]:g}" stroke="currentColor"/>'
        for (a, b), (_, _, _, p) in zip(points, nodes, strict=True)
        if p >= 0
    ]
    discs = [
        f'<circle cx="{a:g}" cy="{b:g}" r="{_RADIUS:g}" fill="{_fill(c)}"/>'
        for (a, b), (_, _, c, _) in zip(points, nodes, strict=True)
    ]
    return _STEP * width, _STEP * (1 + max(depth for _, depth, _, _ in nodes)), lines + discs


def _fill(colour: int) -> str:
    """The first colour is that of the text around, so that a tree shows on black and on white."""
    others = [shade for name, shade in OKABE_ITO.items() if name not in ("black", "yellow")]
    return others[(colour - 1) % len(others)] if colour else "currentColor"


def _svg(width: float, height: float, label: str, shapes: list[str]) -> Picture:
    size = f'width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{label}">'
    return Picture(head + "".join(shapes) + "</svg>")


def draw_tree(tree: Tree) -> Picture:
    """Draw a tree, its root at the bottom; nodes are filled by their colours.

    Returns
    -------
    Picture
        It shows itself in a notebook; its text is a complete ``svg`` element.

    Examples
    --------
    >>> str(draw_tree(Tree.parse("[..]"))).count("<circle")
    3
    """
    checks.instance(tree, "a tree", Tree, "Tree.parse('[.[.]]')")
    width, height, shapes = _shapes(tree, 0, _STEP * (1 + tree.height))
    return _svg(width, height, f"rooted tree {tree.brackets}", shapes)


def draw_table(coefficients: Mapping[Tree, Exact], columns: int | None = None) -> Picture:
    """Draw trees in a grid, each with its coefficient below.

    Parameters
    ----------
    coefficients : mapping of Tree to sympy.Expr
        For example a :class:`~eomsym.formulas.terms.Term`.
    columns : int, optional
        How many trees to put in a row; as many as fit in 960 pixels by default.

    Raises
    ------
    InputError
        If there is no column, or nothing to draw.

    Examples
    --------
    >>> from eomsym.formulas.terms import counter_terms
    >>> picture = str(draw_table(counter_terms(2)[2]))
    >>> picture.count("<circle"), "1/3" in picture
    (6, True)
    """
    if (columns is not None and columns < 1) or not coefficients:
        raise InputError(f"got {len(coefficients)} trees for {columns} columns; at least one of each is needed")
    style = style_of("unicode")
    cells = []
    for tree, value in coefficients.items():
        negative, text = spell(value, style)
        text = ("−" if negative else "") + (text or "1")
        cells.append((tree, text, max(_shapes(tree, 0, 0)[0], 7.5 * len(text)) + _STEP))
    cell = max(width for _, _, width in cells)
    columns = columns or max(1, int(960 / cell))
    shapes, top = [], 0.0
    for row in range(0, len(cells), columns):
        part = cells[row : row + columns]
        base = top + max(_shapes(tree, 0, 0)[1] for tree, _, _ in part) + 4
        for i, (tree, text, _) in enumerate(part):
            middle = cell * (i + 0.5)
            shapes += _shapes(tree, middle - _shapes(tree, 0, 0)[0] / 2, base)[2]
            shapes.append(
                f'<text x="{middle:g}" y="{base + _STEP:g}" text-anchor="middle" '
                f'font-family="serif" font-size="14" fill="currentColor">{text}</text>'
            )
        top = base + 2 * _STEP
    return _svg(cell * min(columns, len(cells)), top, f"{len(cells)} rooted trees with coefficients", shapes)
