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
#: Of rates one case in so many; and of rigorous distances, as Arb is called from plain Python.
SHARE = {"measured": 1, "closed_form": 1, "proven": 4}
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
    usable, truths = np.isfinite(limits) & (limits > 0), Truths(cases, duration)
    for certificate, share in SHARE.items():
        few = np.flatnonzero(usable)[::share]
        kind, began = f"{cases.prefix}rates by {certificate}", time.process_time()
        rates = many_step_sizes(
            cases.family[few], cases.starts[few], time=duration[few], epsilon=limits[few], order=cases.order,
            certificate=certificate, most_steps=MOST_STEPS,
        )  # fmt: skip
        tally.cases[kind] += len(few)
        found = np.isfinite(rates)
        tally.bounded[kind] += int(found.sum())
        for i, rate in truths.above(few[found], rates[found], limits, tally):
            some = truths.runs(np.array([i]), np.array([rate]))
            exact = some.exact(0)[~some.left[0]]
            if (exact > limits[i]).any():
                tally.violations.append(f"{kind}: {exact} above {limits[i]}: {some.shown(0)}")
        tally.seconds[kind] += time.process_time() - began


class Truths:
    """Largest true distances of cases with a learning rate up to a time, each computed once."""

    def __init__(self, cases: Cases | NetworkCases, duration: Array) -> None:
        self.cases, self.duration = cases, duration
        self.known: dict[tuple[int, float], float] = {}

    def runs(self, chosen: Array, rates: Array) -> Cases | NetworkCases:
        """Cases of the same number of steps."""
        return self.cases.at(chosen, rates, max(round(self.duration[chosen[0]] / rates[0]), 1))

    def above(self, chosen: Array, rates: Array, limits: Array, tally: Tally) -> list[tuple[int, float]]:
        """Cases, and their rates, whose truth is above its limit."""
        pairs = list(zip(chosen.tolist(), rates.tolist(), strict=True))
        new = np.array([pair not in self.known for pair in pairs], bool)
        counts = np.round(self.duration[chosen] / rates)
        for count in np.unique(counts[new]):
            these = np.flatnonzero(new & (counts == count))
            some = self.runs(chosen[these], rates[these])
            true = some.truth
            true[some.left] = 0.0
            tally.unknown += int((~np.isfinite(true)).any(axis=1).sum())
            self.known.update(zip((pairs[k] for k in these), np.nanmax(true, axis=1).tolist(), strict=True))
        return [pair for pair in pairs if self.known[pair] > limits[pair[0]]]


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
