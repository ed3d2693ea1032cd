"""``eomsym derive``: counter terms, exact, for any loss or for a given one."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eomsym.cli.methods import method_options
from eomsym.cli.options import Command, command_line, read_scalar
from eomsym.cli.problem import Problem, problem_options
from eomsym.cli.show import note
from eomsym.errors import InputError

if TYPE_CHECKING:
    from eomsym.experiments.problem import Given
    from eomsym.formulas.documents import Concrete, Derivation
    from eomsym.optimisers.base import Method

FORMATS = ("text", "latex", "mathml", "json", "python", "html")


def concrete_terms(given: Given, order: int, method: Method, decay: Any) -> Concrete:
    """Derive the terms of one loss."""
    import eomsym as eom
    from eomsym.formulas.documents import Concrete

    loss: Any = given.batches(method)
    if decay is not None:
        loss = (
            [one.with_weight_decay(decay) for one in loss] if isinstance(loss, list) else loss.with_weight_decay(decay)
        )
    found = eom.modified_field(loss, order, method=method)
    plain = isinstance(given.loss, eom.Loss)
    described = (f"L = {given.name}" if plain else given.name) + (f" with weight decay {decay}" if decay else "")
    return Concrete(
        described, found.variables, tuple(map(tuple, found.terms)), given.loss.expression if plain else None
    )


@click.command(cls=Command)
@problem_options(start=False)
@method_options(symbols=True)
@click.option("--order", type=int, metavar="INTEGER",
              help="Highest power of the learning rate.  [default: 3; 2 for nonlinear optimisers]")  # fmt: skip
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option(
    "--width",
    type=float,
    metavar="PT",
    default=345.0,
    show_default=True,
    help="Of the text for latex, in points: longer formulas are broken. 0 breaks none.",
)
@click.option("--xi", is_flag=True, help="Miyagawa's notation (text, latex and mathml).")
@click.option(
    "--group",
    type=click.Choice(["auto", "none", "hessian", "denominator"]),
    default="auto",
    show_default=True,
    help="What to pull out of a sum; auto: denominators that hold symbols, above order 2.",
)
@click.option("--indices", is_flag=True, help="Index notation (text and latex).")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Not stdout.")
def command(
    problem: Problem,
    method: Method | None,
    order: int | None,
    form: str,
    width: float,
    output: Path | None,
    **notation: Any,
) -> None:
    """Derive the counter terms of an optimiser, exactly.

    Without --loss the formulas hold for every loss: g is its gradient, H its Hessian. With --loss and
    --variables the terms of that loss follow them. Parameters of the optimiser may be symbols: --beta beta.
    """
    from eomsym.files import check_writable, write
    from eomsym.output.records import dumps
    from eomsym.output.terminal import echo

    if form not in ("text", "latex") and (notation["indices"] or notation["group"] in ("hessian", "denominator")):
        raise InputError("--indices and --group are for --format text and latex")
    if form not in ("text", "latex", "mathml") and notation["xi"]:
        raise InputError("--xi is for --format text, latex and mathml")
    if not 0 <= width < math.inf or 0 < width < 150:
        raise InputError(f"--width {width:g}: expected a width in points from 150 on, such as 345, or 0 for no breaks")
    if output is not None:
        check_writable(output)
    document = derivation(problem, method, order, notation)
    written = {
        "text": document.text,
        "latex": lambda: document.latex(width or None),
        "json": lambda: dumps(document.record(command=command_line())).rstrip("\n"),
    }
    text = written.get(form, getattr(document, form, document.text))().rstrip("\n")
    if output is None:
        echo(text)
    else:
        note(f"wrote {write(output, text + chr(10))}")


def derivation(problem: Problem, method: Method | None, order: int | None, notation: dict[str, Any]) -> Derivation:
    """Derive what the options ask for."""
    import eomsym as eom
    from eomsym.formulas.documents import Derivation
    from eomsym.formulas.elementwise import elementwise_terms

    decay = None if problem.weight_decay is None else read_scalar(problem.weight_decay)
    given = next(replace(problem, weight_decay=None).read(start=False)) if problem.described else None
    method = method or (given.method if given else None) or eom.GradientDescent()
    order = order if order is not None else 3 if method.is_linear else 2
    terms: Any = eom.counter_terms(order, method=method) if method.is_linear else None
    concrete = None if given is None else concrete_terms(given, order, method, decay)
    if method.is_linear:
        note_radius(method)
    elif concrete is None or order <= 2:
        if any((notation["xi"], notation["indices"], notation["group"] in ("hessian", "denominator"))):
            raise InputError(f"--xi, --group and --indices are for formulas on trees, which {method.name} has not")
        terms = elementwise_terms(method, order)
    return Derivation(method, order, terms, concrete, decay, **notation)


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
