"""``eomsym derive``: counter terms, exact, for any loss or for a given one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eomsym.cli.methods import method_options
from eomsym.cli.options import Command, read_scalar
from eomsym.cli.problem import Given, Problem, problem_options
from eomsym.cli.show import note
from eomsym.errors import InputError

if TYPE_CHECKING:
    from eomsym.formulas.documents import Concrete
    from eomsym.optimisers.base import Method

FORMATS = ("text", "latex", "json", "python", "html")


def concrete_terms(given: Given, order: int, method: Method, decay: Any) -> Concrete:
    """Derive the terms of one loss."""
    import eomsym as eom
    from eomsym.formulas.documents import Concrete

    loss: Any = given.batches(method)
    if decay is not None:
        loss = [one.with_weight_decay(decay) for one in loss] if isinstance(loss, list) else loss.with_weight_decay(decay)
    found = eom.modified_field(loss, order, method=method)
    described = f"L = {given.name}" if isinstance(given.loss, eom.Loss) else given.name
    if decay is not None:
        described += f" with weight decay {decay}"
    return Concrete(described, found.variables, found.terms)


@click.command(cls=Command)
@problem_options(start=False)
@method_options(symbols=True)
@click.option("--order", type=int, metavar="INTEGER",
              help="Highest power of the learning rate.  [default: 3; 2 for nonlinear optimisers]")  # fmt: skip
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option("--xi", is_flag=True, help="Miyagawa's notation (text and latex).")
@click.option("--group", type=click.Choice(["none", "hessian", "denominator"]), default="none", show_default=True)
@click.option("--indices", is_flag=True, help="Index notation (text and latex).")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Not stdout.")
def command(
    problem: Problem,
    method: Method | None,
    order: int | None,
    form: str,
    xi: bool,
    group: str,
    indices: bool,
    output: Path | None,
) -> None:
    """Derive the counter terms of an optimiser, exactly.

    Without --loss the formulas hold for every loss: g is its gradient, H its Hessian. With --loss and
    --variables the terms of that loss follow them. Parameters of the optimiser may be symbols: --beta beta.
    """
    import eomsym as eom
    from eomsym.files import write as write_file
    from eomsym.formulas.elementwise import elementwise_terms
    from eomsym.output.terminal import echo

    if form not in ("text", "latex") and (xi or indices or group != "none"):
        raise InputError("--xi, --indices and --group are for --format text and latex")
    decay = None if problem.weight_decay is None else read_scalar(problem.weight_decay)
    given = next(replace(problem, weight_decay=None).read(start=False)) if problem.described else None
    method = method or (given.method if given else None) or eom.GradientDescent()
    linear = method.is_linear
    order = order if order is not None else 3 if linear else 2
    terms: Any = eom.counter_terms(order, method=method) if linear else None
    if not linear and form not in ("text", "latex"):
        raise InputError(f"{method.name} has formulas in text and latex only; use --format text")
    concrete = None if given is None else concrete_terms(given, order, method, decay)
    if linear:
        note_radius(method)
    elif concrete is None or order <= 2:
        terms = elementwise_terms(method, order)
    options = {"xi": xi, "group": group, "indices": indices, "hessian": "H" if decay is None else "A"}
    text = write(terms, concrete, form, decay, options)
    if output is None:
        echo(text.rstrip("\n"))
    else:
        note(f"wrote {write_file(output, text)}")


def note_radius(method: Method) -> None:
    """Say on stderr how far the series reaches, where it is not as usual, and how far the run is stable."""
    if method.colours > 1:
        return
    report = method.stability()
    if report.radius is None or report.radius == 1 or report.radius.is_infinite:
        return
    text = f"on a quadratic the series converges for eta*lambda < {shown(report.radius)}"
    if report.limit is not None:
        text += f"; the run is stable up to {shown(report.limit)}"
    note(text)


def shown(value: Any) -> str:
    """Write a number exactly where that is short, and with digits where that helps."""
    if not value.is_number or value.is_Integer or value.is_infinite:
        return str(value)
    digits = f"{float(value):.6g}"
    return f"{value} = {digits}" if len(str(value)) < 30 else digits


def write(terms: Any, concrete: Concrete | None, form: str, decay: Any, options: dict[str, Any]) -> str:
    """Return the document in the format that was asked for."""
    import sympy

    from eomsym.formulas.documents import to_html, to_json, to_python
    from eomsym.formulas.coefficients import style_of
    from eomsym.formulas.terms import CounterTerms

    shown = str(decay) if decay is None or decay.is_Atom else f"({decay})"
    letter = style_of("unicode").symbol(shown)
    note = "" if decay is None else f"g = grad L + {shown} theta and A = its Jacobian"
    if form == "json":
        return to_json(terms, concrete, note)
    if form == "python":
        return to_python(terms, concrete, note)
    if form == "html":
        return to_html(terms, concrete, note and f"g = ∇L + {letter} θ and H = ∇²L + {letter} I")
    if form == "latex":
        lines = [terms.latex(**(options if isinstance(terms, CounterTerms) else {}))] if terms else []
        if concrete:
            rows = (rf"\mathrm{{term}}_{{{k}}} &= {sympy.latex(sympy.Matrix(x))}" for k, x in enumerate(concrete.terms))
            lines += ["\\begin{align*}", " \\\\\n".join(rows), "\\end{align*}"]
        return "\n".join(lines) + "\n"
    lines = [terms.format(**options) if isinstance(terms, CounterTerms) else str(terms)] if terms else []
    if note:
        lines.append(f"with {note}")
    if concrete:
        lines += ["", concrete.description]
        lines += [f"term_{k} = [{', '.join(map(str, row))}]" for k, row in enumerate(concrete.terms)]
    return "\n".join(lines) + "\n"
