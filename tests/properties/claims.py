"""Learning rates that are said to keep within a distance, and rigorous distances, against the truth."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
from properties.networks import NetworkCases

import eomsym as eom
from eomsym.bounds import distance, many_step_sizes
from eomsym.errors import DivergenceError, HypothesisError

if TYPE_CHECKING:
    from properties.million import Cases, Tally

Array = np.ndarray
#: Of the rates and of the rigorous distances one case in so many: they take many bounds, and Arb in plain Python.
SHARE = {"closed_form": 2, "measured": 1, "proven": 40}
RIGOROUS_SHARE = 100
MOST_STEPS = 12


def check_rates(cases: Cases | NetworkCases, tally: Tally) -> None:
    """Learning rates of all certificates: the truth must stay below epsilon."""
    rng = np.random.default_rng(len(cases.starts) + cases.steps)
    count = len(cases.starts)
    wanted = rng.integers(1, 7, count)
    duration = cases.etas * wanted
    with np.errstate(all="ignore"):
        # About the distance at the end for so many steps, by the first term that is left out.
        first = np.linalg.norm(cases.family.terms(cases.starts, cases.order + 1)[:, -1], axis=1)
        limits = first * cases.etas ** (cases.order + 2) * wanted * 10.0 ** rng.uniform(-0.5, 1.0, count)
    usable = np.isfinite(limits) & (limits > 0)
    for certificate, share in SHARE.items():
        few = np.flatnonzero(usable)[::share]
        kind, began = f"{cases.prefix}rates by {certificate}", time.process_time()
        rates = many_step_sizes(
            cases.family[few], cases.starts[few], time=duration[few], epsilon=limits[few], order=cases.order,
            certificate=certificate, most_steps=MOST_STEPS,
        )  # fmt: skip
        tally.cases[kind] += len(few)
        tally.bounded[kind] += int(np.isfinite(rates).sum())
        found = np.isfinite(rates)
        check_one_certificate(cases, few[found], rates[found], duration, limits, kind, tally)
        tally.seconds[kind] += time.process_time() - began


def check_one_certificate(
    cases: Cases | NetworkCases, chosen: Array, rates: Array, duration: Array, limits: Array, kind: str, tally: Tally
) -> None:
    """Cases with a rate, those of the same number of steps together."""
    counts = np.round(duration[chosen] / rates).astype(int)
    for count in np.unique(counts):
        these = chosen[counts == count]
        some = cases.at(these, rates[counts == count], int(count))
        true = some.truth
        true[some.left] = 0.0
        tally.unknown += int((~np.isfinite(true)).any(axis=1).sum())
        for i in np.flatnonzero((true > limits[these][:, None]).any(axis=1)):
            exact = some.exact(i)
            if (exact[~some.left[i]] > limits[these[i]]).any():
                tally.violations.append(f"{kind}: {exact} above {limits[these[i]]}: {some.shown(i)}")


def check_rigorous(cases: Cases, tally: Tally) -> None:
    """Some rigorous distances, one by one."""
    began = time.process_time()
    true = cases.truth
    known = np.isfinite(true).all(axis=1)
    tally.unknown += int((~known).sum())
    tally.seconds["rigorous"] += time.process_time() - began
    for i in np.flatnonzero(known):
        began = time.process_time()
        loss = eom.Loss(cases.polynomial(i).text("xyz"), variables=" ".join("xyz"[: cases.starts.shape[1]]))
        tally.cases["rigorous"] += 1
        run = {"eta": cases.etas[i], "steps": cases.steps, "order": cases.order, "certificate": "rigorous"}
        try:
            values = distance(loss, cases.starts[i], **run).values
        except (HypothesisError, DivergenceError):
            continue
        finally:
            tally.seconds["rigorous"] += time.process_time() - began
        tally.bounded["rigorous"] += 1
        # It is of the exact equation of motion: no rounding is in the way.
        if not (true[i] <= values).all() and not (cases.exact(i) <= values).all():
            tally.violations.append(f"rigorous: {values} below {true[i]}: {cases.shown(i)}")
