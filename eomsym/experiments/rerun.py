"""Records, computed again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eomsym import checks
from eomsym.errors import InputError
from eomsym.experiments.experiment import Experiment
from eomsym.experiments.problem import make
from eomsym.experiments.simulate import simulate
from eomsym.output.records import read
from eomsym.verification.order import verify
from eomsym.verification.report import Report
from eomsym.verification.setting import data_of, make_loss, make_method

if TYPE_CHECKING:
    from eomsym.losses.objective import Objective
    from eomsym.optimisers.base import Method

__all__ = ["rerun"]


#: What a record must hold to be computed again, by its schema.
NEEDED = {
    "eomsym.collection": ("records",),
    "eomsym.experiment": ("name", "arguments"),
    "eomsym.verification": ("setting", "data_hash", "start", "time", "steps", "orders", "name"),
}


def rerun(
    record: Mapping[str, Any] | str | Path,
    *,
    loss: Objective | Sequence[Objective] | None = None,
    method: Method | None = None,
) -> Report | Experiment | list[Any]:
    """Compute again what a record holds.

    Parameters
    ----------
    record : dict, or path of a JSON file
        Made by ``.record()`` of a report or of an experiment, or a collection of them.
    loss : Loss, Network, ..., or a list of them, optional
        The loss, where the record has only the hash of its data.
    method : Method, optional
        The optimiser, where it is one of your own.

    Returns
    -------
    Report or Experiment, or a list of them for a collection

    Raises
    ------
    InputError
        The record cannot be computed again, or the data of the loss are other ones.

    Examples
    --------
    >>> import eomsym as eom
    >>> report = eom.verify(eom.Loss("x**4/4", variables="x"), [1.0], time=1.0, orders=[0, 1])
    >>> rerun(report.record()).orders == report.orders
    True
    """
    found = read(record) if isinstance(record, (str, Path)) else record
    checks.instance(found, "a record", Mapping, "report.record(), or the path of its file")
    if missing := [key for key in NEEDED.get(str(found.get("schema")), ()) if key not in found]:
        raise InputError(f"the record does not hold {', '.join(missing)}; give a record that eomsym wrote")
    if found.get("schema") == "eomsym.collection":
        return [rerun(part, loss=loss, method=method) for part in found["records"]]
    if found.get("schema") == "eomsym.experiment":
        return simulate(found["name"], **_arguments(found["arguments"]))
    if found.get("schema") != "eomsym.verification":
        raise InputError(f"got a record of {found.get('schema')!r}; only verifications and experiments run again")
    setting = found["setting"]
    chosen = make_method(setting["method"]) if method is None else method
    losses: list[Any] = list(loss) if isinstance(loss, (list, tuple)) else [loss]
    if loss is None:
        losses = _losses(setting, chosen)
    if (data := data_of(losses)) != found["data_hash"]:
        raise InputError(
            f"the loss has data {data}, the record has {found['data_hash']}; give the loss with those data"
        )
    if found["start"] is None:
        raise InputError("the record holds its start as a hash only; call eomsym.verify with the start that you had")
    report = verify(
        losses,
        found["start"],
        time=found["time"],
        ladder=found["steps"],
        orders=[entry["order"] for entry in found["orders"]],
        method=chosen,
        name=found["name"],
    )
    told = {"case": setting["case"]} if loss is None and "case" in setting else {}
    return replace(report, seed=found.get("seed"), setting={**report.setting, **told})


def _arguments(found: Mapping[str, Any]) -> dict[str, Any]:
    """Those of an experiment."""
    problem = found.get("problem", {})
    if problem is None:
        raise InputError("the record does not hold the loss; call eomsym.experiments.simulate.simulate with yours")
    if "file" in problem:
        raise InputError(f"the problem is the file {problem['file']}, which is not run unasked; type {EXAMPLE}")
    return dict(found)


#: How an experiment on a file is run again.
EXAMPLE = "eomsym simulate NAME --file FILE"


def _losses(setting: Mapping[str, Any], method: Method) -> list[Any]:
    """The losses that were written down; those of a file of Python are not run unasked."""
    case = setting.get("case", {})
    if case and "file" not in case:
        made = make(case, start=False).batches(method)
        return made if isinstance(made, list) else [made]
    return list(map(make_loss, setting["losses"]))
