"""Counter terms as whole documents, in text, LaTeX, MathML, HTML, JSON and Python; all of them say the same."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import sympy

from eomsym.exact.numbers import Exact
from eomsym.exact.trees import Tree
from eomsym.formulas.coefficients import style_of
from eomsym.formulas.elementwise import ElementwiseTerms, Hessian
from eomsym.formulas.layout import ARTICLE, aligned, latex_width
from eomsym.formulas.mathml import column, equations, formula, mathml_of
from eomsym.formulas.meaning import Row, meaning, motion, parameters
from eomsym.formulas.notation import differential, linear_combination, term_name
from eomsym.formulas.pictures import draw_table
from eomsym.formulas.potentials import Split, split
from eomsym.formulas.python import python_source
from eomsym.formulas.spelling import meanings, summands
from eomsym.formulas.terms import CounterTerms, Term
from eomsym.output.pages import page
from eomsym.output.records import record

__all__ = ["Concrete", "Derivation"]


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
    loss : sympy.Expr, optional
        The loss itself, without weight decay, where it is an expression.
    """

    description: str
    variables: tuple[sympy.Symbol, ...]
    terms: tuple[tuple[Exact, ...], ...]
    loss: Exact | None = None

    @property
    def symbols(self) -> list[sympy.Symbol]:
        """The variables, then all other symbols."""
        others = set().union(*(x.free_symbols for row in self.terms for x in row)) - {*self.variables}
        return [*self.variables, *sorted(others, key=str)]


@dataclass(frozen=True)
class Derivation:
    """Counter terms with what a reader needs to understand them.

    Parameters
    ----------
    method : Method
        The optimiser.
    order : int
        The highest order.
    terms : CounterTerms or ElementwiseTerms, optional
        The formulas for every loss.
    concrete : Concrete, optional
        The terms of one loss.
    decay : sympy.Expr, optional
        Weight decay: ``g = grad L + decay theta``.
    xi : bool
        Miyagawa's notation.
    group : str
        As in :func:`eomsym.formulas.notation.linear_combination`.
    indices : bool
        Index notation.

    Examples
    --------
    >>> from eomsym.formulas.terms import counter_terms
    >>> terms = counter_terms(1)
    >>> print(Derivation(terms.method, 1, terms, decay=sympy.Symbol("lambda")).text())
    term_0 = g
    term_1 = 1/2 Ag
    with θ' = −(term_0 + η term_1), θ the parameters, η the learning rate
         g = ∇L + λ θ, the gradient
         A = ∇²L + λ I, the Hessian
         λ, the weight decay
    """

    method: Any
    order: int
    terms: CounterTerms | ElementwiseTerms | None = None
    concrete: Concrete | None = None
    decay: Exact | None = None
    xi: bool = False
    group: str = "auto"
    indices: bool = False

    @property
    def hessian(self) -> str:
        """The name of the Hessian: ``A`` with weight decay."""
        return "H" if self.decay is None else "A"

    @property
    def options(self) -> dict[str, Any]:
        """How terms on trees are written."""
        return {"group": self.group, "indices": self.indices, "hessian": self.hessian}

    # what the symbols mean ----------------------------------------------------------------------------------------

    def meaning(self, format: str) -> list[Row]:
        """What the symbols mean: formulas, and words that follow them.

        Parameters
        ----------
        format : {"unicode", "text", "latex", "mathml"}
        """
        style = style_of(format)
        theta, eta = style.inline(style.symbol("theta")), style.inline(style.symbol("eta"))
        rows = [(motion(self.order, style, self.xi), f"{theta} the parameters, {eta} the learning rate")]
        found: set[Any] = set()
        if isinstance(self.terms, CounterTerms):
            used = {tree: x for term in self.terms for tree, x in term.items() if x != 0}
            rows += meaning(used, format, decay=self.decay, indices=self.indices)
            found = set().union(*(x.free_symbols for x in used.values()))
        elif self.terms is not None:
            curved = any(x.has(Hessian) for x in self.terms.terms)
            rows += meaning({Tree(Tree()) if curved else Tree(): 1}, format, decay=self.decay)
            rows += meanings(self.terms.shortened, self.terms.names, format, hessian=self.hessian)
            found = self.terms.parameters
        elif self.concrete is not None:
            found = set(self.concrete.symbols) - set(self.concrete.variables)
        decays = self.decay.free_symbols if self.decay is not None else set()
        rows += list(parameters(self.method, found - decays, format))
        rows += [(style.symbol(x.name), "the weight decay") for x in sorted(decays, key=str)]
        if isinstance(self.terms, ElementwiseTerms):
            rows.append(("", "products, quotients and powers are taken entry by entry"))
        return rows

    def _rows(self, format: str) -> list[tuple[str, str]]:
        """Left and right sides of the equations for every loss."""
        if isinstance(self.terms, CounterTerms):
            return [
                (term_name(k, format, self.xi), linear_combination(term, format, **self.options))
                for k, term in enumerate(self.terms)
                if k >= self.xi
            ]
        return self.terms.rows(format, hessian=self.hessian) if self.terms is not None else []

    # documents ----------------------------------------------------------------------------------------------------

    def text(self, format: str = "unicode") -> str:
        """Write the document as plain text: ``"unicode"`` or ASCII, ``"text"``."""
        lines = [f"{left} = {right}" for left, right in self._rows(format)]
        said = [", ".join(filter(None, row)) for row in self.meaning(format)]
        lines += [("with " if k == 0 else "     ") + row for k, row in enumerate(said)]
        if self.concrete:
            lines += ["", self.concrete.description]
            lines += [f"term_{k} = [{', '.join(map(str, row))}]" for k, row in enumerate(self.concrete.terms)]
        return "\n".join(lines)

    def latex(self, width: float | None = ARTICLE) -> str:
        r"""Write the document in LaTeX, for amsmath.

        Parameters
        ----------
        width : float or None
            Of the text, in points: longer formulas are broken into lines. 345 is that of the class article.
        """
        blocks = []
        if self.terms is not None:
            blocks.append(_align(self._rows("latex"), width))
        said = (", ".join(filter(None, (f"${row[0]}$" if row[0] else "", row[1]))) for row in self.meaning("latex"))
        blocks.append("\\noindent with " + ";\n".join(said) + ".")
        if self.concrete:
            loss = self.concrete.loss
            told = [] if loss is None else [("L", sympy.latex(loss))]
            rows = [*told, *self._concrete_rows(self.concrete, width)]
            blocks += [r"\noindent For the loss $L$ below:", _align(rows, width)]
        return "\n".join(blocks)

    def _concrete_rows(self, concrete: Concrete, width: float | None) -> list[tuple[str, str]]:
        """A column vector for each term, or an equation for each entry where the vectors would not fit."""
        names = [term_name(k, "latex") for k in range(len(concrete.terms))]
        entries = [[sympy.latex(x) for x in row] for row in concrete.terms]
        widest = max(latex_width(entry) for row in entries for entry in row)
        if width is None or widest + latex_width(f"{names[-1]} = ") + 20 < width:
            rows = (r" \\ ".join(row) for row in entries)
            return [(name, rf"\begin{{pmatrix}} {row} \end{{pmatrix}}") for name, row in zip(names, rows, strict=True)]
        return [
            (rf"\left({name}\right)_{{{sympy.latex(v)}}}", entry)
            for name, row in zip(names, entries, strict=True)
            for v, entry in zip(concrete.variables, row, strict=True)
        ]

    def mathml(self) -> str:
        """Write the equations as ``math`` elements, one a line, and their meaning as such elements and text."""
        style = style_of("mathml")
        lines = [style.whole(style.equation(*row)) for row in self._rows("mathml")]
        lines += [" ".join(filter(None, (style.inline(left) if left else "", right))) for left, right in self.said]
        if self.concrete:
            lines += [
                style.whole(style.equation(term_name(k, "mathml"), mathml_of(sympy.Matrix(row))))
                for k, row in enumerate(self.concrete.terms)
            ]
        return "\n".join(lines)

    @property
    def said(self) -> list[Row]:
        """The meaning in MathML."""
        return self.meaning("mathml")

    def html(self) -> str:
        """Write one HTML page that needs nothing else: MathML formulas and SVG pictures.

        Examples
        --------
        >>> from eomsym.formulas.terms import counter_terms
        >>> terms = counter_terms(2)
        >>> text = Derivation(terms.method, 2, terms).html()
        >>> text.startswith("<!DOCTYPE html>"), text.count("<svg"), "http-equiv" in text
        (True, 3, False)
        """
        first, *rest = self.said
        body = [f"<p>The optimiser follows</p>{formula(first[0], block=True)}<p>with {first[1]}, and</p>"]
        items = (", ".join(filter(None, (formula(left) if left else "", words))) for left, words in rest)
        body.append("<ul>" + "".join(f"<li>{item}</li>\n" for item in items) + "</ul>")
        if isinstance(self.terms, CounterTerms):
            body.append(_LEGEND)
        for k in range(self.order + 1):
            body.append("<h2>Order 0: gradient flow</h2>" if k == 0 else f"<h2>Order {k}</h2>")
            if isinstance(self.terms, CounterTerms):
                body += self._order(self.terms[k])
            elif self.terms is not None:
                body.append(equations([("", summands(self.terms.shortened[k], "mathml", hessian=self.hessian))]))
            if self.concrete:
                text = f"For {escape(self.concrete.description)}:"
                written = column(term_name(k, "mathml"), self.concrete.variables, self.concrete.terms[k])
                body.append(f'<p>{text}</p><div class="wide">{written}</div>')
        return page(f"Counter terms of {self.method.name}", body)

    def _order(self, term: Term) -> list[str]:
        """What a page says about one term."""
        part = split(term)
        shown = {tree: value for tree, value in term.items() if value != 0}
        written = equations([("", term.summands(hessian=self.hessian, group=self.group))])
        options: dict[str, Any] = {"hessian": self.hessian, "decay": self.decay}
        potential = equations([("", part.potential.summands("mathml", **options))])
        if part.is_gradient:
            said = f"<p>For every loss this is the gradient of</p>{potential}"
        else:
            rest = equations([("", part.obstruction.summands(hessian=self.hessian, group=self.group))])
            said = (
                f"<p>This is not a gradient for every loss. It is the gradient of</p>{potential}"
                f"<p>plus a part that no loss gives:</p>{rest}"
            )
        return [written, f'<div class="wide">{draw_table(shown)}</div>' if shown else "", said]

    def python(self) -> str:
        """Write the document as a Python module, see :func:`eomsym.formulas.python.python_source`."""
        return python_source(self)

    def record(self, *, command: str | None = None) -> dict[str, Any]:
        """Return the document as a record for JSON; exact numbers are strings.

        Examples
        --------
        >>> from eomsym.formulas.terms import counter_terms
        >>> terms = counter_terms(2)
        >>> found = Derivation(terms.method, 2, terms).record()
        >>> [tree["coefficient"] for tree in found["terms"][2]["trees"]]
        ['1/3', '1/12']
        """
        (equation, _), *symbols = self.meaning("text")
        content: dict[str, Any] = {
            "method": self.method.name,
            "order": self.order,
            "equation": equation,
            "symbols": {left or "note": words for left, words in symbols},
            "weight_decay": None if self.decay is None else str(self.decay),
            "terms": [],
            "loss": None,
        }
        if isinstance(self.terms, CounterTerms):
            content["terms"] = [self._term(term, split(term)) for term in self.terms]
        elif self.terms is not None:
            forms = {form: self.terms.rows(form, hessian=self.hessian) for form in ("text", "latex", "mathml")}
            unknown = dict.fromkeys(("is_gradient", "potential", "obstruction", "trees"))
            content["terms"] = [
                {"order": k, **{form: rows[k][1] for form, rows in forms.items()}, **unknown}
                for k in range(len(self.terms))
            ]
        if self.concrete:
            content["loss"] = {
                "description": self.concrete.description,
                "variables": [str(v) for v in self.concrete.variables],
                "terms": [[str(x) for x in row] for row in self.concrete.terms],
            }
        return record("counter_terms", content, command=command)

    def _term(self, term: Term, part: Split) -> dict[str, Any]:
        """One term of a record."""
        options: dict[str, Any] = {"hessian": self.hessian}
        return {
            "order": term.order,
            "text": term.format("text", **options),
            "latex": term.latex(**options),
            "mathml": linear_combination(term, "mathml", **options),
            "is_gradient": part.is_gradient,
            "potential": part.potential.format("text", hessian=self.hessian, decay=self.decay),
            "obstruction": part.obstruction.format("text", **options),
            "trees": [
                {
                    "tree": tree.brackets,
                    "level_sequence": tree.level_sequence,
                    "symmetry": tree.symmetry,
                    "differential": differential(tree, "text", **options),
                    "coefficient": str(value),
                }
                for tree, value in term.items()
            ],
        }


_LEGEND = """<p class="legend">Each rooted tree below is one elementary differential: a leaf is <i>g</i>, and a node
with <i>m</i> branches is the derivative of order <i>m</i> + 1 of the loss, applied to them. The number below a tree is
its coefficient.</p>"""


def _align(rows: list[tuple[str, str]], width: float | None) -> str:
    return f"\\begin{{align*}}\n{aligned(rows, width)}\n\\end{{align*}}"
