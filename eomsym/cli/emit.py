"""``eomsym emit``: the compiled program of a loss as a standalone module."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from eomsym.cli.options import METHODS, build_method, method_options, read_number
from eomsym.errors import InputError

if TYPE_CHECKING:
    from eomsym.losses.expression import Field, Loss


def build_loss(expression: str | None, velocity: str | None, variables: str | None, decay: str) -> Loss | Field:
    """Build the loss, or the velocity field, that the options describe."""
    import eomsym as eom

    if (expression is None) == (velocity is None):
        raise InputError("expected one of --loss EXPR and --field EXPRS, such as --loss 'x**2*y' --variables 'x y'")
    if variables is None:
        raise InputError("--loss and --field need --variables, such as --variables 'x y'")
    made: Loss | Field
    if expression is not None:
        made = eom.Loss(expression, variables=variables)
    else:
        made = eom.Field((velocity or "").split(";"), variables=variables)
    return made.with_weight_decay(read_number(decay))


@click.command()
@click.option("--loss", "expression", metavar="EXPR", help="The loss, such as 'x**2*y**2 + (x-1)**2'.")
@click.option("--field", "velocity", metavar="EXPRS", help="Or a velocity field theta' = F: 'x - x*y; x*y - y'.")
@click.option("--variables", metavar="NAMES", help="The variables in order, such as 'x y'.")
@click.option("--order", default=3, show_default=True, type=int, help="Highest power of the learning rate.")
@method_options(*(name for name in METHODS if name != "epoch"))
@click.option("--weight-decay", metavar="NUMBER", default="0", help="Weight decay, read exactly: 1/1000.")
@click.option(
    "--form",
    type=click.Choice(["table", "explicit", "auto"]),
    default="auto",
    show_default=True,
    help="explicit: the closed form, for many points of a small loss.",
)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Not stdout.")
def command(
    expression: str | None,
    velocity: str | None,
    variables: str | None,
    order: int,
    method_name: str,
    weight_decay: str,
    form: str,
    output: Path | None,
    **parameters: str | None,
) -> None:
    """Write the counter terms of a loss as a Python module that needs only numpy and numba.

    It has two functions: terms(theta), row k of which multiplies eta**k, and field(theta, eta).
    """
    import eomsym as eom

    loss = build_loss(expression, velocity, variables, weight_decay)
    kernel = eom.compile(loss, order, method=build_method(method_name, parameters), form=form)
    if output is None:
        click.echo(kernel.source, nl=False)
    else:
        click.echo(f"wrote {kernel.save(output)}", err=True)
