"""Options for the problem: one set of them for all commands.

A problem is a named one, an expression, a file of Python or of TOML, or a network on data. What was typed becomes a
description, and `eomsym.experiments.problem` makes the loss and the start of it, as it does for cases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eomsym import checks
from eomsym.cli.options import Callback, numbers, options, read_number
from eomsym.errors import InputError

if TYPE_CHECKING:
    from eomsym.experiments.problem import Given

__all__ = ["Problem", "problem_options"]

OBJECTIVES = ("cross-entropy", "mse")
#: Data that come with the package.
DATA = ("digits", "synthetic")
#: Options of the start.
DRAWN = ("--start", "--seed", "--scheme", "--scale")
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@dataclass(frozen=True)
class Problem:
    """The options of the problem, as they were typed; :meth:`read` makes something of them."""

    problems: tuple[str, ...] = ()
    expression: str | None = None
    velocity: str | None = None
    variables: str | None = None
    start: str | None = None
    path: Path | None = None
    data: str | Path | None = None
    network: str | None = None
    activation: str | None = None
    objective: str | None = None
    normalisation: str | None = None
    samples: int | None = None
    scheme: str | None = None
    scale: float | None = None
    seed: int | None = None
    weight_decay: str | None = None

    @property
    def described(self) -> bool:
        """Whether an option was typed that describes a problem; weight decay alone does not."""
        return any(value not in ((), None) for name, value in vars(self).items() if name != "weight_decay")

    @property
    def named(self) -> bool:
        """Whether anything was typed that says which problem."""
        return any(value not in ((), None) for value in self._ways.values())

    @property
    def _ways(self) -> dict[str, Any]:
        """The options of which each is a problem of its own."""
        return {"--problem": self.problems, "--loss": self.expression, "--field": self.velocity, "--file": self.path,
                "--data": self.data}  # fmt: skip

    def read(self, default: Sequence[str] = (), *, start: bool = True) -> Iterator[Given]:
        """What the options describe; several named problems one after the other.

        Parameters
        ----------
        default : sequence of str
            Named problems where the options describe none.
        start : bool
            Whether a start is needed.

        Raises
        ------
        InputError
            The options do not fit together, or what they name cannot be read.
        """
        from eomsym.experiments.problem import make

        self._check(bool(default), start)
        if self.path is not None and self.path.suffix.lower() == ".toml":
            yield from self._cases(self.path)
            return
        for definition in self._definitions(default):
            yield make({**definition, **self._laid_over()}, start=start)

    def _laid_over(self) -> dict[str, Any]:
        """What goes before the problem's own."""
        found: dict[str, Any] = {}
        if self.start is not None:
            found["start"] = numbers(self.start, "--start")
        if self.weight_decay is not None:
            found["weight_decay"] = str(read_number(self.weight_decay, "--weight-decay"))
        return found

    def _cases(self, path: Path) -> Iterator[Given]:
        """The problems of a case file, or of a plan."""
        from eomsym.experiments.case import Case
        from eomsym.experiments.plan import problem_of, read_cases

        for case in read_cases(path):
            yield problem_of(Case({**case.definition, **self._laid_over()}), path)

    def _check(self, has_default: bool, start: bool) -> None:
        """Refuse options that do not fit together."""
        typed = [way for way, value in self._ways.items() if value not in ((), None)]
        if len(typed) > 1:
            raise InputError(f"{' and '.join(typed)} exclude each other; each is a problem of its own")
        if not (typed or has_default):
            raise InputError("which problem? give one of --problem NAME, --loss EXPR, --field EXPRS, --file FILE, "
                             "--data FILE, such as --loss 'x**2*y' --variables 'x y'")  # fmt: skip
        if self.expression is not None or self.velocity is not None:
            if self.variables is None:
                raise InputError(f"{typed[0]} needs --variables, such as --variables 'x y'")
            if start and self.start is None:
                raise InputError(f"{typed[0]} needs --start, such as --start '-0.5, 1'")
        elif self.variables is not None:
            raise InputError("--variables names those of a loss of your own; add --loss EXPR or --field EXPRS")
        elif self.start is not None and not typed:
            raise InputError("--start belongs to a loss of your own; add --loss EXPR")
        about = {"--network": self.network, "--activation": self.activation, "--objective": self.objective,
                 "--normalisation": self.normalisation, "--samples": self.samples, "--scheme": self.scheme,
                 "--scale": self.scale, "--seed": self.seed}  # fmt: skip
        if self.data is None:
            if extra := [option for option, value in about.items() if value is not None]:
                verb = "goes" if len(extra) == 1 else "go"
                raise InputError(
                    f"{' and '.join(extra)} {verb} with a network on data; add --data FILE, such as digits"
                )
        elif self.network is None:
            raise InputError("--data needs the widths of a network, such as --network 64-16-10")
        elif str(self.data) not in DATA and not checks.path(self.data, "--data", "digits").is_file():
            raise InputError(f"File '{self.data}' does not exist; --data takes a file, or {' or '.join(DATA)}")

    def _definitions(self, default: Sequence[str]) -> Iterator[dict[str, Any]]:
        """The description of each problem that was typed."""
        if self.expression is not None:
            yield {"loss": self.expression, "variables": self.variables}
        elif self.velocity is not None:
            yield {"field": self.velocity, "variables": self.variables}
        elif self.path is not None:
            if context := click.get_current_context(silent=True):
                context.meta["eomsym.file"] = self.path  # whatever its code does wrong later is bad input, too
            yield {"file": str(self.path)}
        elif self.data is not None:
            yield {"network": self._table(), "seed": self.seed or 0}
        else:
            for name in self.problems or default:
                yield {"problem": name}

    def _table(self) -> dict[str, Any]:
        """The table of a network."""
        try:
            widths = [int(word) for word in str(self.network).split("-")]
        except ValueError as error:
            raise InputError(f"--network {self.network!r}: expected widths, such as --network 64-16-10") from error
        typed = {"activation": self.activation, "objective": self.objective, "normalisation": self.normalisation,
                 "samples": self.samples, "scheme": self.scheme, "scale": self.scale}  # fmt: skip
        known = {key: value for key, value in typed.items() if value is not None}
        return {"widths": widths, "data": str(self.data), **known}


def problem_options(*, several: bool = False, start: bool = True) -> Callable[[Callback], Callback]:
    """Give a command the options of a problem; it gets them as `problem`, a :class:`Problem`.

    Parameters
    ----------
    several : bool
        Whether ``--problem`` may be repeated.
    start : bool
        Whether the command has a use for a start, and for how weights are drawn.
    """
    many = "; may be repeated" if several else ""
    listed: list[tuple[tuple[str, ...], dict[str, Any]]] = [
        (("--problem", "problems"), {"multiple": True, "metavar": "NAME", "names": problem_names,
         "help": f"A named problem{many}:"}),
        (("--loss", "expression"), {"metavar": "EXPR", "help": "A loss, such as 'x**2*y**2 + (x-1)**2'."}),
        (("--field", "velocity"), {"metavar": "EXPRS", "help":
         "A velocity field theta' = F, such as 'x - x*y; x*y - y'."}),
        (("--variables",), {"metavar": "NAMES", "help": "Variables of --loss or --field in order, such as 'x y'."}),
        (("--start",), {"metavar": "NUMBERS", "help": "Where to start, such as '-0.5, 1'."}),
        (("--file", "path"), {"type": _FILE, "metavar": "FILE", "help":
         "A file of your own. Python that defines `loss` and `start`, and `method`, `time`, `ladder` if it likes; "
         "it is run. Or TOML: a case, or a plan as `eomsym sweep` takes it."}),
        (("--data",), {"metavar": "FILE", "help":
         "Data for a network: .npz with `inputs` and `targets`, or .csv with the targets in its last columns; "
         "or digits, or synthetic."}),
        (("--network",), {"metavar": "WIDTHS", "help": "Widths of the network, such as 64-16-10."}),
        (("--activation",), {"metavar": "NAME", "names": activations, "help": "Its activation, linear by default:"}),
        (("--objective",), {"type": click.Choice(OBJECTIVES), "help": "Its loss.  [default: mse]"}),
        (("--normalisation",), {"type": click.Choice(("batch", "layer", "weight")), "help":
         "What stands before each activation.  [default: nothing]"}),
        (("--samples",), {"type": click.IntRange(min=1), "metavar": "INTEGER", "help":
         "How many of the data.  [default: all; 20 synthetic ones]"}),
        (("--scheme",), {"metavar": "NAME", "help":
         "How its weights are drawn: xavier, he, near_zero or balanced.  [default: xavier]"}),
        (("--scale",), {"type": float, "metavar": "NUMBER", "help": "Factor of its weights.  [default: 0.5]"}),
        (("--seed",), {"type": click.IntRange(min=0), "metavar": "INTEGER", "help":
         "Of its random weights.  [default: 0]"}),
        (("--weight-decay",), {"metavar": "NUMBER", "help": "Weight decay, such as 1/1000.  [default: 0]"}),
    ]  # fmt: skip
    chosen = [(words, settings) for words, settings in listed if start or words[0] not in DRAWN]
    keys = [words[-1].removeprefix("--").replace("-", "_") for words, _ in chosen]

    def decorate(callback: Callback) -> Callback:
        @wraps(callback)
        def command(**given: Any) -> Any:
            typed = Problem(**{key: given.pop(key) for key in keys})
            if not several and len(typed.problems) > 1:
                raise InputError("--problem may be given once here")
            return callback(problem=typed, **given)

        return options("Problem", chosen)(command)  # type: ignore[return-value]

    return decorate


def activations() -> list[str]:
    """Names of the activations of a network."""
    from eomsym.losses.activations import ACTIVATIONS

    return list(ACTIVATIONS)


def problem_names() -> list[str]:
    """Names of the problems that come with the package."""
    from eomsym.experiments.suite import PROBLEMS

    return list(PROBLEMS)
