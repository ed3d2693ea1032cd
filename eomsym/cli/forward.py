"""``eomsym forward``: where an optimiser will be after many steps."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import click

from eomsym.cli.options import METHODS, build_method, method_options, read_number
from eomsym.errors import InputError


def _rates(text: str) -> list[float]:
    try:
        return [float(word) for word in text.replace(",", " ").split()]
    except ValueError as error:
        raise InputError(f"--eta {text!r}: expected numbers, such as --eta 0.01 or --eta '0.1, 0.01'") from error


@click.command()
@click.option("--problem", metavar="NAME", help="A named problem, as of `eomsym verify`; rosenbrock by default.")
@click.option("--loss", "expression", metavar="EXPR", help="A loss of your own, such as '(x*y - 1)**2/2'.")
@click.option("--variables", metavar="NAMES", help="Its variables in order, such as 'x y'.")
@click.option("--start", metavar="NUMBERS", help="Where your loss starts, such as '0.5, 0.5'.")
@click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A Python file of your own that defines `loss` and `start`. It is run.",
)
@click.option("--eta", required=True, metavar="NUMBERS", help="Learning rate; of a schedule one for each stretch.")
@click.option("--steps", required=True, metavar="INTEGERS", help="Steps of the optimiser, of each stretch.")
@click.option(
    "--tolerance", type=float, default=1e-6, show_default=True, help="Distance from the optimiser that will do."
)
@click.option("--order", type=int, metavar="K", help="Order of the equation; the lowest that will do by default.")
@method_options(*(name for name in METHODS if name != "epoch"))
@click.option("--save", type=click.Path(path_type=Path), metavar="FILE", help="Parameters, one a line, as text.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def command(
    problem: str | None,
    expression: str | None,
    variables: str | None,
    start: str | None,
    path: Path | None,
    eta: str,
    steps: str,
    tolerance: float,
    order: int | None,
    method_name: str,
    save: Path | None,
    as_json: bool,
    **parameters: str | None,
) -> None:
    """Predict the parameters that an optimiser reaches after many steps, by its equation of motion.

    Where the equation would not pay, or eta*lambda leaves its radius, the optimiser itself runs, and the answer says
    so. Ctrl-C ends a long run with what it has.
    """
    from eomsym.cli.bound import _load
    from eomsym.cli.verify import integers
    from eomsym.dynamics.forward import forward
    from eomsym.files import write

    if sum(option is not None for option in (problem, expression, path)) > 1:
        raise InputError("--problem, --loss and --file exclude each other")
    loss, point, _, _ = _load(problem, expression, variables, start, path)
    method = build_method(method_name, parameters, read_number)
    begin = time.monotonic()
    rates, counts = _rates(eta), integers(steps, "--steps")
    with click.progressbar(
        length=max(1, sum(counts)), file=sys.stderr, label="steps", show_eta=True, item_show_func=lambda item: item
    ) as bar:

        def progress(done: int, _: int, label: str) -> None:
            rate = done / max(time.monotonic() - begin, 1e-9)
            bar.update(max(0, done - bar.pos), f"{label}, {rate:,.0f} steps/s")

        found = forward(
            loss, point, eta=rates, steps=counts, method=method, tolerance=tolerance, order=order, progress=progress
        )
    if save is not None:
        write(save, "".join(f"{number!r}\n" for number in found.theta.tolist()))
    if as_json:
        click.echo(json.dumps(found.record(), indent=2))
    else:
        click.echo(str(found))
        if len(found.theta) <= 12:
            click.echo(f"theta = {', '.join(f'{number:.12g}' for number in found.theta)}")
