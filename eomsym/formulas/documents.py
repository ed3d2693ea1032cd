"""Counter terms as whole documents: JSON records, Python modules and self-contained HTML pages."""

from __future__ import annotations

import json
import keyword
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import sympy
from sympy.printing.pycode import PythonCodePrinter

from eomsym.exact.numbers import Exact
from eomsym.formulas.notation import differential, linear_combination, sum_of
from eomsym.formulas.pictures import draw_table
from eomsym.formulas.potentials import Potential, modified_loss
from eomsym.formulas.coefficients import style_of
from eomsym.formulas.mathml import mathml_of
from eomsym.formulas.terms import CounterTerms, Term

__all__ = ["Concrete", "to_html", "to_json", "to_python"]


@dataclass(frozen=True)
class Concrete:
    """The terms of one loss.

    Parameters
    ----------
    description : str
        What the loss is.
    variables : tuple of sympy.Symbol
        Its parameters.
    terms : tuple of tuple of sympy.Expr, shape (order + 1, n)
        Row ``k`` multiplies ``eta**k``.
    """

    description: str
    variables: tuple[sympy.Symbol, ...]
    terms: tuple[tuple[Exact, ...], ...]

    @property
    def symbols(self) -> list[sympy.Symbol]:
        """The variables, then all other symbols."""
        others = set().union(*(x.free_symbols for row in self.terms for x in row)) - {*self.variables}
        return [*self.variables, *sorted(others, key=str)]


def to_json(terms: CounterTerms, concrete: Concrete | None = None, note: str = "") -> str:
    """Write counter terms as a JSON record; exact numbers are strings.

    Examples
    --------
    >>> from eomsym.formulas.terms import counter_terms
    >>> record = json.loads(to_json(counter_terms(2)))
    >>> [tree["coefficient"] for tree in record["terms"][2]["trees"]]
    ['1/3', '1/12']
    """
    from eomsym._version import __version__

    split = modified_loss(terms.order, method=terms.method)
    record: dict[str, Any] = {
        "eomsym": __version__,
        "method": terms.method.name,
        "order": terms.order,
        "equation": "theta' = -sum_k eta**k term_k" + (f"; {note}" if note else ""),
        "terms": [
            {
                "order": k,
                "text": term.format("text"),
                "latex": term.latex(),
                "is_gradient": part.is_gradient,
                "potential": part.potential.format("text"),
                "obstruction": part.obstruction.format("text"),
                "trees": [
                    {
                        "tree": tree.brackets,
                        "level_sequence": tree.level_sequence,
                        "symmetry": tree.symmetry,
                        "differential": differential(tree, "text"),
                        "coefficient": str(value),
                    }
                    for tree, value in term.items()
                ],
            }
            for k, (term, part) in enumerate(zip(terms, split, strict=True))
        ],
    }
    if concrete:
        record["loss"] = {
            "description": concrete.description,
            "variables": [str(v) for v in concrete.variables],
            "terms": [[str(x) for x in row] for row in concrete.terms],
        }
    return json.dumps(record, indent=1, ensure_ascii=False) + "\n"


class _Printer(PythonCodePrinter):  # type: ignore[misc]
    """Python source with exact fractions."""

    def _print_Rational(self, expression: Any) -> str:
        return f"Fraction({expression.p}, {expression.q})"

    def _print_Symbol(self, expression: Any) -> str:
        return _safe(expression.name)


def _safe(name: str) -> str:
    return f"{name}_" if keyword.iskeyword(name) else name


def to_python(terms: CounterTerms, concrete: Concrete | None = None, note: str = "") -> str:
    """Write counter terms as a Python module without dependencies.

    Returns
    -------
    str
        Source with a function ``coefficients(...)`` of the method's symbols, which maps trees in brackets to
        exact numbers for each order, and, for a given loss, ``terms(...)`` of its variables.

    Examples
    --------
    >>> from eomsym.formulas.terms import counter_terms
    >>> space = {}
    >>> exec(to_python(counter_terms(2)), space)
    >>> space["coefficients"]()[2]
    {'[[.]]': Fraction(1, 3), '[..]': Fraction(1, 12)}
    """
    from eomsym._version import __version__

    show = _Printer({"fully_qualified_modules": True}).doprint

    def number(value: Exact) -> str:
        return f"Fraction({value.p}, {value.q})" if value.is_Rational else show(value)

    symbols = sorted(set().union(*(x.free_symbols for term in terms for x in term.values())), key=str)
    arguments = ", ".join(_safe(s.name) for s in symbols)
    lines = [
        f"def coefficients({arguments}):",
        '    """Return for each order a mapping from trees to coefficients; [..] is D^3 L[g, g], and so on."""',
        "    return [",
    ]
    for term in terms:
        lines.append("        {")
        lines += [f'            "{tree.brackets}": {number(value)},' for tree, value in term.items()]
        lines.append("        },")
    lines.append("    ]")
    if concrete:
        arguments = ", ".join(_safe(s.name) for s in concrete.symbols)
        lines += ["", "", f"def terms({arguments}):", f'    """Return the terms of {concrete.description}."""']
        lines.append("    return [")
        for row in concrete.terms:
            lines.append("        [")
            lines += [f"            {show(x)}," for x in row]
            lines.append("        ],")
        lines.append("    ]")
    head = [
        f'"""Counter terms of {terms.method.name} through order {terms.order}, by eomsym {__version__}.',
        "",
        "theta' = -sum_k eta**k term_k" + (f", {note}" if note else "") + ".",
        '"""',
        "",
        *(["import math"] if any("math." in line for line in lines) else []),
        "from fractions import Fraction",
        "",
        "",
    ]
    return "\n".join(head + lines) + "\n"


_MATHML = "http://www.w3.org/1998/Math/MathML"
_STYLE = """
:root { color-scheme: light dark; }
body { font: 17px/1.5 Georgia, serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; }
h2 { font-size: 1.15rem; margin-top: 2.2rem; border-bottom: 1px solid #8886; }
.sum { line-height: 3; margin: .4rem 0; }
.wide { overflow-x: auto; }
footer { margin-top: 3rem; color: #888; font-size: .85rem; }
"""
_LEGEND = """<p>with {}. Each rooted tree below is one elementary differential: a leaf is <i>g</i>, and a node with
<i>m</i> branches is the derivative of order <i>m</i> + 1 of the loss, applied to them. The number below a
tree is its
coefficient.</p>"""


def to_html(terms: CounterTerms, concrete: Concrete | None = None, note: str = "") -> str:
    """Write counter terms as one HTML page that needs nothing else: MathML formulas and SVG pictures.

    Examples
    --------
    >>> from eomsym.formulas.terms import counter_terms
    >>> page = to_html(counter_terms(2))
    >>> page.startswith("<!DOCTYPE html>"), page.count("<svg"), "http-equiv" in page
    (True, 3, False)
    """
    from eomsym._version import __version__

    title = f"Counter terms of {terms.method.name}"
    answer = modified_loss(terms.order, method=terms.method)
    body = [
        f"<h1>{escape(title)}</h1>",
        "<p>The optimiser with learning rate <i>η</i> follows</p>",
        _math(f"{_dot('θ')}<mo>=</mo><mo>−</mo>{_series(terms.order)}"),
        _LEGEND.format(escape(note or "g = ∇L and H = ∇²L")),
    ]
    for k, (term, part) in enumerate(zip(terms, answer, strict=True)):
        heading = "Order 0: gradient flow" if k == 0 else f"Order {k}"
        shown = {tree: value for tree, value in term.items() if value != 0}
        body += [
            f"<h2>{heading}</h2>",
            _term(term),
            f'<div class="wide">{draw_table(shown)}</div>' if shown else "",
        ]
        potential = _potential(part.potential)
        if part.is_gradient:
            body.append(f"<p>For every loss this is the gradient of</p>{potential}")
        else:
            body.append(
                f"<p>This is not a gradient for every loss. It is the gradient of</p>{potential}"
                f"<p>plus a part that no loss gives:</p>{_term(part.obstruction)}"
            )
        if concrete:
            written = mathml_of(sympy.Matrix(concrete.terms[k]))
            body.append(f'<p>For {escape(concrete.description)}:</p><div class="wide">{_math(written)}</div>')
    body.append(f"<footer>Exact, by eomsym {__version__}.</footer>")
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>\n' + _lines(body) + "</body></html>\n"


def _sum(parts: Iterable[str]) -> str:
    """Write summands as one formula each, so that the page can break the line between them."""
    formulas: list[str] = []
    for part in parts:
        sign = "−" if part.startswith("<mo>−</mo>") else "+" if formulas else ""
        written = part.removeprefix("<mo>−</mo>")
        operator = f'<mo form="infix">{sign}</mo>' if sign else ""
        formulas.append(f'<math xmlns="{_MATHML}" displaystyle="true">{operator}{written}</math>')
    return f'<p class="sum">{" ".join(formulas) or "0"}</p>'


def _term(term: Term) -> str:
    return _sum(linear_combination({tree: x}, "mathml") for tree, x in term.items() if x != 0)


def _potential(potential: Potential) -> str:
    style = style_of("mathml")
    return _sum(sum_of([(x, tree.format("mathml"))], style) for tree, x in potential.items() if x != 0)


def _lines(parts: Iterable[str]) -> str:
    return "".join(f"{part}\n" for part in parts if part)


def _math(inner: str) -> str:
    return f'<math xmlns="{_MATHML}" display="block"><mrow>{inner}</mrow></math>'


def _dot(letter: str) -> str:
    return f"<mover><mi>{letter}</mi><mo>˙</mo></mover>"


def _series(order: int) -> str:
    """Return the MathML of term_0 + eta term_1 + ..."""
    parts: Sequence[str] = [
        ("" if k == 0 else "<mi>η</mi>" if k == 1 else f"<msup><mi>η</mi><mn>{k}</mn></msup>")
        + f"<msub><mtext>term</mtext><mn>{k}</mn></msub>"
        for k in range(order + 1)
    ]
    return "<mo>(</mo>" + "<mo>+</mo>".join(parts) + "<mo>)</mo>"
