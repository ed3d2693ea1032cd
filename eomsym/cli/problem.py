"""Options for the problem: one set of them for all commands.

A problem is a named one, an expression, a Python file, or a network on data. Each is read into a :class:`Given`, so
that a command knows only losses and starts.
"""

from __future__ import annotations

import runpy
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eomsym.cli.options import Callback, numbers, options, read_number
from eomsym.errors import InputError

if TYPE_CHECKING:
    from eomsym.losses.objective import Objective
    from eomsym.optimisers.base import Method

__all__ = ["Given", "Problem", "file_problem", "problem_options"]

#: Time of what has none of its own.
TIME = 1.0
OBJECTIVES = {"cross-entropy": "cross_entropy", "mse": "mse"}
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@dataclass(frozen=True)
class Given:
    """What a command works on.

    Attributes
    ----------
    loss : Objective, or list of them
        One for each batch.
    start : array_like, shape (n,), or None
        None where a command needs no start and none was given.
    name : str
    time : float
    ladder : tuple of int or None
        None where the problem has none of its own.
    method : Method or None
        That of the user's file, if it has one.
    seed : int or None
        That of the start, if it was drawn.
    setting : mapping
        What a record must know to make the problem again.
    """

    loss: Any
    start: Any
    name: str
    time: float = TIME
    ladder: tuple[int, ...] | None = None
    method: Method | None = None
    seed: int | None = None
    setting: Mapping[str, Any] = field(default_factory=dict)

    def batches(self, method: Method | None) -> Objective | list[Objective]:
        """The loss, or one for each batch of the method.

        Raises
        ------
        InputError
            The method is none, or needs batches, and the loss has no samples to make them of.
        """
        from eomsym.optimisers.names import checked_method

        count = checked_method(method).colours
        if count == 1 or isinstance(self.loss, (list, tuple)):
            return self.loss  # type: ignore[no-any-return]
        if not hasattr(self.loss, "split"):
            raise InputError(
                f"{checked_method(method).name} has one loss for each of {count} batches; give --data with --network, "
                "or --file with a list `loss`"
            )
        return list(self.loss.split(count))


@dataclass(frozen=True)
class Problem:
    """The options of the problem, as they were typed; :meth:`read` makes something of them."""

    problems: tuple[str, ...] = ()
    expression: str | None = None
    velocity: str | None = None
    variables: str | None = None
    start: str | None = None
    path: Path | None = None
    data: Path | None = None
    network: str | None = None
    activation: str | None = None
    objective: str | None = None
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
        self._check(bool(default), start)
        for made in self._made(default, start):
            if self.weight_decay is None:
                yield made
            else:
                decay = read_number(self.weight_decay)
                losses = made.loss if isinstance(made.loss, (list, tuple)) else [made.loss]
                decayed = [loss.with_weight_decay(decay) for loss in losses]
                many = isinstance(made.loss, (list, tuple))
                yield replace(made, loss=decayed if many else decayed[0], setting={})

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
                 "--seed": self.seed}  # fmt: skip
        if self.data is None:
            if extra := [option for option, value in about.items() if value is not None]:
                raise InputError(f"{', '.join(extra)} describe a network on data; add --data FILE")
        elif self.network is None:
            raise InputError("--data needs the widths of a network, such as --network 64-16-10")

    def _made(self, default: Sequence[str], start: bool) -> Iterator[Given]:
        import eomsym as eom

        point = None if self.start is None else numbers(self.start, "--start")
        if self.expression is not None:
            yield Given(eom.Loss(self.expression, variables=self.variables or ""), point, self.expression)
        elif self.velocity is not None:
            components = [part.strip() for part in self.velocity.split(";")]
            yield Given(eom.Field(components, variables=self.variables or ""), point, f"field {self.velocity}")
        elif self.path:
            made = file_problem(self.path, start=start)
            yield made if point is None else replace(made, start=point)
        elif self.data:
            yield self._on_data(self.data, point)
        else:
            for name in self.problems or default:
                yield _named(name, point)

    def _on_data(self, path: Path, point: Any) -> Given:
        """A network on a file of data, with random weights."""
        import eomsym as eom
        from eomsym.experiments.data import read_data

        try:
            widths = tuple(int(word) for word in str(self.network).split("-"))
        except ValueError as error:
            raise InputError(f"--network {self.network!r}: expected widths, such as --network 64-16-10") from error
        objective = OBJECTIVES[self.objective or "mse"]
        inputs, targets = read_data(path, widths, objective)
        network = eom.Network(widths, inputs, targets, activation=self.activation or "tanh", loss=objective)
        name, seed = f"{network.name} on {path.name}", self.seed or 0
        if point is not None:
            return Given(network, point, name)
        return Given(network, network.initial(seed=seed), name, seed=seed)


def problem_options(*, several: bool = False, start: bool = True) -> Callable[[Callback], Callback]:
    """Give a command the options of a problem; it gets them as `problem`, a :class:`Problem`.

    Parameters
    ----------
    several : bool
        Whether ``--problem`` may be repeated.
    start : bool
        Whether the command has a use for ``--start`` and ``--seed``.
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
         "A Python file of your own that defines `loss` and `start`, and `method`, `time`, `ladder` if it likes. "
         "It is run."}),
        (("--data",), {"type": _FILE, "metavar": "FILE", "help":
         "Data for a network: .npz with `inputs` and `targets`, or .csv with the targets in its last columns."}),
        (("--network",), {"metavar": "WIDTHS", "help": "Widths of the network, such as 64-16-10."}),
        (("--activation",), {"metavar": "NAME", "names": activations, "help": "Its activation, tanh by default:"}),
        (("--objective",), {"type": click.Choice(list(OBJECTIVES)), "help": "Its loss.  [default: mse]"}),
        (("--seed",), {"type": click.IntRange(min=0), "metavar": "INTEGER", "help":
         "Of its random weights.  [default: 0]"}),
        (("--weight-decay",), {"metavar": "NUMBER", "help": "Weight decay, such as 1/1000.  [default: 0]"}),
    ]  # fmt: skip
    chosen = [(words, settings) for words, settings in listed if start or words[0] not in ("--start", "--seed")]
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


def _named(name: str, point: Any) -> Given:
    from eomsym.experiments.suite import PROBLEMS, SEED

    if name not in PROBLEMS:
        raise InputError(f"unknown problem {name!r}; expected one of {', '.join(PROBLEMS)}")
    chosen = PROBLEMS[name]
    loss, start = chosen.build()
    made = Given(loss, start, chosen.title, chosen.time, tuple(chosen.steps), seed=SEED, setting={"problem": name})
    return made if point is None else replace(made, start=point, seed=None)


def file_problem(path: Path, *, start: bool = True) -> Given:
    """Run a user's file and take from it what is asked for.

    Raises
    ------
    InputError
        The file fails, with the line where it does, or does not define what it should.
    """
    if context := click.get_current_context(silent=True):
        context.meta["eomsym.file"] = path  # whatever its code does wrong later is bad input, too
    try:
        names = runpy.run_path(str(path))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: a file that ends the program is no problem to work on
        raise InputError(told_of_file(path, error)) from error
    needed = ("loss", "start") if start else ("loss",)
    if missing := [name for name in needed if name not in names]:
        raise InputError(f"{path} does not define {' and '.join(missing)}; expected `loss` and `start`")
    return Given(
        names["loss"],
        names.get("start"),
        getattr(names["loss"], "name", path.name),
        names.get("time", TIME),
        names.get("ladder"),
        names.get("method"),
    )


def told_of_file(path: Path, error: BaseException) -> str:
    """What went wrong in a file, with the line."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f"{path}, line {error.lineno}: {type(error).__name__}: {error.msg}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    where = f"{path}, line {lines[-1]}" if lines else str(path)
    return f"{where}: {type(error).__name__}: {error}"
