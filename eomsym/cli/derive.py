"""``eomsym derive``: counter terms, exact, for any loss or for a given one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eomsym.cli.options import METHODS, build_method, command_line, method_options, read_scalar
from eomsym.errors import InputError

if TYPE_CHECKING:
    from eomsym.formulas.documents import Concrete, Derivation
    from eomsym.optimisers.base import Method

FORMATS = ("text", "latex", "mathml", "json", "python", "html")


def concrete_terms(expression: str, names: str, order: int, method: Method, decay: Any) -> Concrete:
    """Derive the terms of one loss."""
    import sympy

    import eomsym as eom
    from eomsym.formulas.documents import Concrete
    from eomsym.losses.parse import parse, symbols

    variables = symbols(names)
    loss: Any = eom.Loss(expression, variables=names)
    if decay is not None and decay.is_number:
        loss = loss.with_weight_decay(decay)
    elif decay is not None:
        # A symbol rides along as one more parameter, with velocity 0.
        value = parse(expression, variables)
        velocity = [-sympy.diff(value, v) - decay * v for v in variables]
        frozen = sorted(decay.free_symbols, key=str)
        loss = eom.Field([*velocity, *([sympy.S.Zero] * len(frozen))], variables=[*variables, *frozen])
    field = eom.modified_field(loss, order, method=method)
    rows = tuple(tuple(term)[: len(variables)] for term in field.terms)
    description = f"L = {expression}" + (f" with weight decay {decay}" if decay is not None else "")
    return Concrete(description, variables, rows, parse(expression, variables))


@click.command()
@click.option("--order", type=int, help="Highest power of the learning rate.  [default: 3; 2 for nonlinear optimisers]")
@method_options(*METHODS)
@click.option("--loss", "expression", metavar="EXPR", help="A loss, such as 'x**2*y**2 + (x-1)**2'.")
@click.option("--variables", metavar="NAMES", help="Its variables in order, such as 'x y'.")
@click.option("--weight-decay", metavar="SCALAR", help="Weight decay: a symbol such as lambda, or a number.")
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
    order: int | None,
    method_name: str,
    expression: str | None,
    variables: str | None,
    weight_decay: str | None,
    form: str,
    width: float,
    output: Path | None,
    **parameters: Any,
) -> None:
    """Derive the counter terms of an optimiser, exactly.

    Without --loss the formulas hold for every loss: g is its gradient, H its Hessian. With --loss and
    --variables the terms of that loss follow them. Parameters of the optimiser may be symbols: --beta beta.
    """
    from eomsym.files import check_writable, write
    from eomsym.output.records import dumps
    from eomsym.output.terminal import echo

    notation = {name: parameters.pop(name) for name in ("xi", "group", "indices")}
    if (expression is None) != (variables is None):
        raise InputError("--loss and --variables go together, such as --loss 'x**2*y' --variables 'x y'")
    if form not in ("text", "latex") and (notation["indices"] or notation["group"] in ("hessian", "denominator")):
        raise InputError("--indices and --group are for --format text and latex")
    if form not in ("text", "latex", "mathml") and notation["xi"]:
        raise InputError("--xi is for --format text, latex and mathml")
    if not 0 <= width < math.inf or 0 < width < 150:
        raise InputError(f"--width {width:g}: expected a width in points from 150 on, such as 345, or 0 for no breaks")
    if output is not None:
        check_writable(output)
    method = build_method(method_name, parameters)
    document = derivation(method, order, expression, variables, weight_decay, notation)
    written = {
        "text": document.text,
        "latex": lambda: document.latex(width or None),
        "json": lambda: dumps(document.record(command=command_line())).rstrip("\n"),
    }
    text = written.get(form, getattr(document, form, document.text))().rstrip("\n")
    if output is None:
        echo(text)
    else:
        click.echo(f"wrote {write(output, text + chr(10))}", err=True)


def derivation(
    method: Method,
    order: int | None,
    expression: str | None,
    variables: str | None,
    weight_decay: str | None,
    notation: dict[str, Any],
) -> Derivation:
    """Derive what the options ask for."""
    import eomsym as eom
    from eomsym.formulas.documents import Derivation
    from eomsym.formulas.elementwise import elementwise_terms

    decay = None if weight_decay is None else read_scalar(weight_decay)
    order = order if order is not None else 3 if method.is_linear else 2
    terms: Any = eom.counter_terms(order, method=method) if method.is_linear else None
    concrete = None
    if expression is not None and variables is not None:
        if method.colours > 1:
            raise InputError("--method epoch has one loss for each batch; --loss gives only one")
        concrete = concrete_terms(expression, variables, order, method, decay)
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
    click.echo(text, err=True)


def shown(value: Any) -> str:
    """Write a number exactly where that is short, and with digits where that helps."""
    if not value.is_number or value.is_Integer or value.is_infinite:
        return str(value)
    digits = f"{float(value):.6g}"
    return f"{value} = {digits}" if len(str(value)) < 30 else digits
