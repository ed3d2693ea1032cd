"""Loss and method written down, so that a record can be computed again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from eomsym import optimisers
from eomsym.errors import InputError
from eomsym.losses.expression import Field, Loss
from eomsym.output.records import data_hash, plain

if TYPE_CHECKING:
    from eomsym.losses.objective import Objective
    from eomsym.optimisers.base import Method

__all__ = ["data_of", "make_loss", "make_method", "setting_of"]


def setting_of(losses: Sequence[Objective], method: Method) -> dict[str, Any]:
    """Write down losses and a method, as far as that can be done.

    Parameters
    ----------
    losses : sequence of Objective
        An expression or a field is written in full; of a network there are its options, and its data as a hash.
    method : Method

    Returns
    -------
    dict
        With the keys ``losses`` and ``method``; fit for JSON.

    Examples
    --------
    >>> found = setting_of([Loss("x**2", variables="x")], optimisers.HeavyBall("9/10"))
    >>> found["losses"][0]["expression"], found["method"]["parameters"]["beta"]
    ('x**2', '9/10')
    """
    parameters = None
    if is_dataclass(method) and getattr(optimisers, type(method).__name__, None) is type(method):
        parameters = {f.name: _text(getattr(method, f.name)) for f in fields(method) if f.init}
    return {
        "losses": [_written(loss) for loss in losses],
        "method": {"type": type(method).__name__, "name": method.name, "parameters": parameters},
    }


def _written(loss: Objective) -> dict[str, Any]:
    written: dict[str, Any] = {"type": type(loss).__name__, "description": loss.describe()}
    if type(loss) in (Loss, Field):
        texts = [str(expression) for expression in loss.expressions]  # type: ignore[attr-defined]
        written |= {"expression": texts[0]} if type(loss) is Loss else {"velocity": texts}
        written["variables"] = [str(v) for v in loss.symbols]
    else:
        options = {key: value for key, value in vars(loss).items() if not key.startswith("_")}
        written["options"] = {key: plain(value) for key, value in options.items() if _simple(value)}
        written["options"] |= {"layers": [repr(layer) for layer in getattr(loss, "layers", ())]}
    return written | {"weight_decay": str(loss.weight_decay)}


def data_of(losses: Sequence[Objective]) -> str | None:
    """Hash of the data of some losses; None where they have none.

    Examples
    --------
    >>> data_of([Loss("x**2", variables="x")]) is None
    True
    """
    arrays = [getattr(loss, name) for loss in losses for name in ("inputs", "targets") if hasattr(loss, name)]
    return data_hash(*arrays) if arrays else None


def make_loss(written: Mapping[str, Any]) -> Objective:
    """Make the loss that was written down.

    Raises
    ------
    InputError
        It is a network, whose data are not in the record.

    Examples
    --------
    >>> make_loss(setting_of([Loss("x**2", variables="x")], optimisers.Adam())["losses"][0])
    <Loss x**2 (1 parameters)>
    """
    if "expression" in written:
        loss: Objective = Loss(written["expression"], variables=written["variables"])
    elif "velocity" in written:
        loss = Field(written["velocity"], variables=written["variables"])
    else:
        raise InputError(
            f"the record has no data for {written['description']}; make the loss and type "
            "eomsym.rerun(record, loss=...)"
        )
    return loss.with_weight_decay(Fraction(written["weight_decay"]))


def make_method(written: Mapping[str, Any]) -> Method:
    """Make the method that was written down.

    Raises
    ------
    InputError
        It is not one of `eomsym.optimisers`.

    Examples
    --------
    >>> make_method({"type": "HeavyBall", "name": "", "parameters": {"beta": "9/10"}}).name
    'heavy ball, beta = 9/10'
    """
    if written["parameters"] is None:
        raise InputError(
            f"{written['name']} is not one of eomsym.optimisers; make the method and type "
            "eomsym.rerun(record, method=...)"
        )
    made: Method = getattr(optimisers, written["type"])(**written["parameters"])
    return made


def _simple(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_simple, value))
    return value is None or isinstance(value, (str, bool, int, float))


def _text(value: Any) -> Any:
    """Exact numbers as text, rows of them as lists; words and flags as they are."""
    if isinstance(value, (tuple, list)):
        return [_text(item) for item in value]
    return value if value is None or isinstance(value, (str, bool, int)) else str(value)
