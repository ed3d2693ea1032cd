"""``eomsym simulate``: the experiments of the two source papers, with their figures."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import click

from eomsym.cli.options import command_line
from eomsym.errors import InputError

EXIT = {"passed": 0, "failed": 1, "inconclusive": 3}


@click.command()
@click.argument("name", required=False)
@click.option("--images", type=int, metavar="N", help="How many of the 1797 handwritten digits.")
@click.option("--steps", type=int, metavar="N", help="Steps of gradient descent.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default="eomsym-simulate",
    show_default=True,
    metavar="FOLDER",
    help="Where NAME.json and NAME.png go.",
)
@click.option("--json", "json_path", type=click.Path(path_type=Path), metavar="FILE", help="The record, elsewhere.")
@click.option("--plot", "plot_path", type=click.Path(path_type=Path), metavar="FILE", help="The figure, elsewhere.")
@click.option("--no-plot", is_flag=True, help="Draw no figure.")
def command(
    name: str | None,
    images: int | None,
    steps: int | None,
    output: Path,
    json_path: Path | None,
    plot_path: Path | None,
    no_plot: bool,
) -> None:
    """Run the experiment NAME, draw its figure, and judge its claims; without NAME, list the experiments.

    Elkabetz & Cohen's comparison of gradient descent with eta and eta/r (linear, relu, convolution), Miyagawa's
    subjects (error, scale, translation), and what is known about linear layers (balance, modes).
    """
    from eomsym.experiments.simulate import EXPERIMENTS, simulate

    if name is None:
        for known, entry in EXPERIMENTS.items():
            click.echo(f"{known:12} {entry.summary}")
        return
    if name not in EXPERIMENTS:
        raise InputError(f"unknown experiment {name!r}; choose one of {', '.join(EXPERIMENTS)}")

    from eomsym.files import check_writable, write
    from eomsym.output.figures import check_figure
    from eomsym.output.records import dumps
    from eomsym.output.terminal import echo

    if no_plot and plot_path:
        raise InputError("--plot and --no-plot exclude each other")
    if not (no_plot or plot_path) and find_spec("matplotlib") is None:
        click.echo("no figure: matplotlib is not installed (pip install 'eomsym[plot]')", err=True)
        no_plot = True
    record = check_writable(json_path or output / f"{name}.json")
    figure = None if no_plot else check_figure(plot_path or output / f"{name}.png")

    with click.progressbar(length=1, file=sys.stderr, label=name, item_show_func=lambda item: item) as bar:

        def progress(done: int, total: int, label: str) -> None:
            bar.length = total
            bar.update(done - bar.pos, label)

        found = simulate(name, images=images, steps=steps, progress=progress)
    if figure:
        found.plot().save(figure)
    write(record, dumps(found.record(command=command_line())))
    echo(f"{found.title}\n")
    found.table().show()
    for path in filter(None, (record, figure)):
        click.echo(f"wrote {path}", err=True)
    sys.exit(EXIT[found.status])
