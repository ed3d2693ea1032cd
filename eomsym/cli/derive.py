"""``eomsym derive``: counter terms, exact, for any loss or for a given one."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eomsym.errors import InputError

if TYPE_CHECKING:
    from eomsym.exact.counter_terms import CounterTerms
    from eomsym.exact.documents import Concrete
    from eomsym.exact.methods import Method

PARAMETERS = {
    "gd": (),
    "heavy-ball": ("beta",),
    "nesterov": ("beta",),
    "optimistic": (),
    "proximal": (),
    "extragradient": (),
    "sam": ("radius",),
    "multistep": ("rho", "sigma"),
    "runge-kutta": ("tableau", "weights"),
    "epoch": ("batches",),
}
EXAMPLES = {
    "beta": "beta or 9/10",
    "radius": "r or 1/2",
    "rho": "'1, -1, 0'",
    "sigma": "'3/2, -1/2'",
    "tableau": "'0, 0; 1/2, 0'",
    "weights": "'0, 1'",
    "batches": "2",
}
FORMATS = ("text", "latex", "json", "python", "html")


def read_scalar(text: str) -> Any:
    """Read an exact number or an expression in free symbols: ``9/10``, ``beta``, ``1 - 1/k``."""
    import sympy

    from eomsym.losses.parse import FUNCTIONS, parse

    word = re.sub(r"\blambda\b", "lambda_", text)  # a word that Python reserves
    names = {name for name in re.findall(r"[A-Za-z_]\w*", word) if name not in FUNCTIONS}
    return parse(word, [sympy.Symbol(name) for name in sorted(names)]).subs("lambda_", sympy.Symbol("lambda"))


def read_row(text: str) -> list[Any]:
    """Read exact numbers that are separated by commas."""
    return [read_scalar(word) for word in text.split(",")]


def build_method(name: str, given: dict[str, str | None]) -> Method:
    """Build the optimiser from its name and its parameters, which may be symbols."""
    import eomsym as eom
    from eomsym.exact.methods import Epoch

    wanted = PARAMETERS[name]
    for option, value in given.items():
        if value is None and option in wanted:
            raise InputError(f"--method {name} needs --{option}, such as --{option} {EXAMPLES[option]}")
        if value is not None and option not in wanted:
            raise InputError(f"--method {name} does not take --{option}")
    text = [given[option] or "" for option in wanted]
    builders: dict[str, Callable[[], Method]] = {
        "gd": eom.GradientDescent,
        "heavy-ball": lambda: eom.HeavyBall(read_scalar(text[0])),
        "nesterov": lambda: eom.Nesterov(read_scalar(text[0])),
        "optimistic": eom.OptimisticGradient,
        "proximal": eom.ProximalPoint,
        "extragradient": eom.Extragradient,
        "sam": lambda: eom.SharpnessAware(read_scalar(text[0])),
        "multistep": lambda: eom.LinearMultistep(read_row(text[0]), read_row(text[1])),
        "runge-kutta": lambda: eom.RungeKutta([read_row(row) for row in text[0].split(";")], read_row(text[1])),
        "epoch": lambda: Epoch(int(text[0]) if text[0].isdigit() else 0),
    }
    return builders[name]()


def concrete_terms(expression: str, names: str, order: int, method: Method, decay: Any) -> Concrete:
    """Derive the terms of one loss."""
    import sympy

    import eomsym as eom
    from eomsym.exact.documents import Concrete
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
    field = eom.modified_field(loss, order, method)
    rows = tuple(tuple(term)[: len(variables)] for term in field.terms)
    description = f"L = {expression}" + (f" with weight decay {decay}" if decay is not None else "")
    return Concrete(description, variables, rows)


@click.command()
@click.option("--order", default=3, show_default=True, type=int, help="Highest power of the learning rate.")
@click.option("--method", "name", type=click.Choice(list(PARAMETERS)), default="gd", show_default=True)
@click.option("--beta", metavar="SCALAR", help="Momentum of heavy-ball and nesterov: a symbol or a number.")
@click.option("--radius", metavar="SCALAR", help="Radius of sam over the learning rate.")
@click.option("--rho", metavar="ROW", help="Polynomial of multistep, highest power first: '1, -1, 0'.")
@click.option("--sigma", metavar="ROW", help="The other polynomial of multistep: '3/2, -1/2'.")
@click.option("--tableau", metavar="ROWS", help="Matrix A of runge-kutta: '0, 0; 1/2, 0'.")
@click.option("--weights", metavar="ROW", help="Weights b of runge-kutta: '0, 1'.")
@click.option("--batches", metavar="NUMBER", help="Batches of an epoch in fixed order.")
@click.option("--loss", "expression", metavar="EXPR", help="A loss, such as 'x**2*y**2 + (x-1)**2'.")
@click.option("--variables", metavar="NAMES", help="Its variables in order, such as 'x y'.")
@click.option("--weight-decay", metavar="SCALAR", help="Weight decay: a symbol such as lambda, or a number.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option("--xi", is_flag=True, help="Miyagawa's notation (text and latex).")
@click.option("--group", type=click.Choice(["none", "hessian", "denominator"]), default="none", show_default=True)
@click.option("--indices", is_flag=True, help="Index notation (text and latex).")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Not stdout.")
def command(
    order: int,
    name: str,
    expression: str | None,
    variables: str | None,
    weight_decay: str | None,
    form: str,
    xi: bool,
    group: str,
    indices: bool,
    output: Path | None,
    **parameters: str | None,
) -> None:
    """Derive the counter terms of an optimiser, exactly.

    Without --loss the formulas hold for every loss: g is its gradient, H its Hessian. With --loss and
    --variables the terms of that loss follow them.
    """
    import eomsym as eom

    if (expression is None) != (variables is None):
        raise InputError("--loss and --variables go together, such as --loss 'x**2*y' --variables 'x y'")
    if form not in ("text", "latex") and (xi or indices or group != "none"):
        raise InputError("--xi, --indices and --group are for --format text and latex")
    method = build_method(name, parameters)
    decay = None if weight_decay is None else read_scalar(weight_decay)
    terms = eom.counter_terms(order, method)
    concrete = None
    if expression is not None and variables is not None:
        if method.colours > 1:
            raise InputError("--method epoch has one loss for each batch; --loss gives only one")
        concrete = concrete_terms(expression, variables, order, method, decay)
    options = {"xi": xi, "group": group, "indices": indices, "hessian": "H" if decay is None else "A"}
    text = write(terms, concrete, form, decay, options)
    if output is None:
        click.echo(text, nl=False)
    else:
        save(output, text)
        click.echo(f"wrote {output}", err=True)


def write(terms: CounterTerms, concrete: Concrete | None, form: str, decay: Any, options: dict[str, Any]) -> str:
    """Return the document in the format that was asked for."""
    import sympy

    from eomsym.exact.documents import to_html, to_json, to_python
    from eomsym.exact.styles import style_of

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
        lines = [terms.latex(**options)]
        if concrete:
            rows = (rf"\mathrm{{term}}_{{{k}}} &= {sympy.latex(sympy.Matrix(x))}" for k, x in enumerate(concrete.terms))
            lines += ["\\begin{align*}", " \\\\\n".join(rows), "\\end{align*}"]
        return "\n".join(lines) + "\n"
    lines = [terms.format(**options)]
    if note:
        lines.append(f"with {note}")
    if concrete:
        lines += ["", concrete.description]
        lines += [f"term_{k} = [{', '.join(map(str, row))}]" for k, row in enumerate(concrete.terms)]
    return "\n".join(lines) + "\n"


def save(path: Path, text: str) -> None:
    """Write a file in one piece, or not at all."""
    try:
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
            file.write(text)
        os.replace(file.name, path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; give a file in a folder that exists") from error
