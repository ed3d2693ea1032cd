"""Random verifications of right equations and of wrong ones: no `failed` for a right one, no `passed` for a wrong one.

A case is made from one number, so that a false word can be asked for again:

    python tests/properties/verdicts.py --cases 3000 --first 0

prints what was said, and each false word with its number. Losses, starts and times are scaled over 12 decades, ladders
are left to the package or drawn, coarse ones included.
"""

from __future__ import annotations

import argparse
import math
import sys
import time as clock
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from properties import polynomials, truth

import eomsym as eom
from eomsym.errors import EomsymError, EomsymWarning
from eomsym.testing import altered
from eomsym.verification.verdict import MISFIT_TOLERANCE

#: Seconds for one verification.
LIMIT = 4.0
#: After so many cases it is said how far things are.
REPORT = 200
NAMES = ("x", "y", "z")
#: Losses that are no polynomials, in units of ``s`` and ``c``.
OTHERS = (
    "c*log(1+exp(x/s)) + c*x**2/s**2/8",
    "c*sqrt(1+x**2/s**2+2*y**2/s**2)",
    "c*tanh(x*y/s**2-1/2)**2",
    "c*(sin(x/s)+y**2/s**2*cos(x/s)/3)",
    "c*log(1+(x/s-1)**2+x**2*y**2/s**4)",
    "c*exp(-x*y/s**2)+c*(x**2+y**2)/s**2/2",
    "c*(1-x/s)**2/2+c*(atan(y/s)-x/s)**2/2",
)


@dataclass(frozen=True)
class Case:
    """A verification to be done: a loss, where, how long, how finely, with what."""

    loss: Any
    start: np.ndarray
    time: float
    ladder: tuple[int, ...] | None
    orders: tuple[int, ...]
    method: Any
    polynomial: polynomials.Polynomial | None = None
    exact: truth.GeneralLinear | None = None

    def __str__(self) -> str:
        return (
            f"{self.loss.expressions[0]} from {self.start.tolist()}, time {self.time!r}, ladder {self.ladder}, "
            f"orders {self.orders}, {self.method.name}"
        )


def random_polynomial(rng: np.random.Generator, variables: int, cost: float, length: float) -> polynomials.Polynomial:
    """A sparse polynomial of degree 2 to 6 in ``x/length``, times `cost`; sometimes ill-conditioned."""
    degree = int(rng.integers(2, 7))
    lengths = length * 10.0 ** (rng.uniform(-2, 2, variables) if rng.random() < 0.25 else np.zeros(variables))
    chosen: dict[tuple[int, ...], float] = {}
    for _ in range(int(rng.integers(2, 6))):
        powers = tuple(
            int(p) for p in rng.multinomial(int(rng.integers(1, degree + 1)), np.ones(variables) / variables)
        )
        chosen[powers] = chosen.get(powers, 0.0) + float(rng.integers(-16, 17)) / 16
    for i in range(variables):
        powers = tuple(2 * (k == i) for k in range(variables))
        chosen[powers] = chosen.get(powers, 0.0) + float(rng.integers(0, 17)) / 16
    kept = {p: c for p, c in chosen.items() if c} or {(2,) + (0,) * (variables - 1): 1.0}
    scaled = [cost * c / math.prod(s**e for s, e in zip(lengths, p, strict=True)) for p, c in kept.items()]
    return polynomials.Polynomial(tuple(kept), tuple(map(Fraction, scaled)))


def random_method(rng: np.random.Generator, linear: bool) -> tuple[Any, truth.GeneralLinear | None, float]:
    """A method, the same by tests/properties/truth.py, and by how much slower it must go."""
    beta = Fraction(int(rng.integers(1, 20)), 20)
    known = str(rng.choice(list(truth.METHODS), p=[0.4, 0.15, 0.15, 0.075, 0.075, 0.075, 0.075]))
    if linear or rng.random() < 0.8:
        kind = getattr(eom.optimisers, known)
        method = kind(beta) if known in ("HeavyBall", "Nesterov", "SharpnessAware") else kind()
        slow = float(1 - beta) if known in ("HeavyBall", "Nesterov") else 1.0
        return method, truth.METHODS[known](beta), slow
    optimisers = eom.optimisers
    small = Fraction(int(rng.integers(0, 16)), 20)
    made = (
        lambda: optimisers.Momentum(small, dampening=beta / 2),
        lambda: optimisers.Momentum(small, nesterov=True),
        lambda: optimisers.QuasiHyperbolic(beta, small),
        lambda: optimisers.Lookahead(2, beta),
        lambda: optimisers.NormalisedGradient("1/10"),
        lambda: optimisers.Adam(small, beta / 2, "1/10", inside=True),
        lambda: optimisers.RMSProp(small, "1/10", inside=True),
        lambda: optimisers.RungeKutta([[0, 0], [Fraction(1, 2), 0]], [0, 1]),
    )
    index = int(rng.integers(len(made)))
    return made[index](), None, float(1 - small) if index < 3 else 1.0


def random_case(number: int, wrong: bool = False) -> Case:
    """The case of a number; for a wrong one its method has trees."""
    rng = np.random.default_rng([number, int(wrong)])
    cost, length = 10.0 ** rng.uniform(-6, 6, 2)
    variables = int(rng.integers(1, 4))
    polynomial = None
    if wrong or rng.random() < 0.8:
        polynomial = random_polynomial(rng, variables, cost, length)
        loss = eom.Loss(polynomial.text(NAMES), variables=" ".join(NAMES[:variables]))
    else:
        text = str(rng.choice(OTHERS))
        variables = 2 if "y" in text else 1
        numbers = {"c": f"({Fraction(cost)})", "s": f"({Fraction(length)})"}
        for name, number_ in numbers.items():
            text = text.replace(f"{name}*", f"{number_}*") if name == "c" else text.replace("/s", f"/{number_}")
        loss = eom.Loss(text, variables=" ".join(NAMES[:variables]))
    method, exact, slow = random_method(rng, wrong)
    start = length * rng.uniform(0.1, 1.5, variables) * rng.choice([-1.0, 1.0], variables)
    time = float(length**2 / cost * 10.0 ** rng.uniform(-1.3, 0.7)) * slow
    if isinstance(method, (eom.optimisers.Adam, eom.optimisers.RMSProp, eom.optimisers.NormalisedGradient)):
        time = float(length * 10.0 ** rng.uniform(-1.3, 0.0))  # their steps do not know how steep the loss is
    ladder = None
    if rng.random() < 0.6:
        first, ratio = 10.0 ** rng.uniform(0.0, 2.3), rng.uniform(1.5, 4.0)
        counts = [max(round(first * ratio**k), 1) for k in range(int(rng.integers(2, 5)))]
        ladder = tuple(sorted({*counts, counts[-1] + 1 if len(set(counts)) < 2 else counts[-1]}))
    order = int(rng.integers(0, 5))
    return Case(loss, start, time, ladder, (order,), method, polynomial, exact)


def right(number: int) -> list[tuple[str, str]]:
    """What is said about the right equation: status and reason of each order; none where there is an error."""
    case = random_case(number)
    try:
        report = eom.verify(
            case.loss, case.start, time=case.time, ladder=case.ladder, orders=case.orders, method=case.method,
            limit=LIMIT,
        )  # fmt: skip
    except EomsymError as error:
        return [("error", f"{type(error).__name__}: {error}")]
    return [(result.status, result.reason) for result in report.orders]


def wrong(number: int) -> tuple[str, float, str]:
    """What is said about an equation with one coefficient altered by 1 %: status, how many times the tolerance the
    coefficient moves the end of the motion on the judged rung, and the reason."""
    case = random_case(number, wrong=True)
    rng = np.random.default_rng([number, 2])
    order = case.orders[0]
    row = int(rng.integers(0, order + 1))
    tree = truth.trees(row + 1)[int(rng.integers(len(truth.trees(row + 1))))]
    assert case.polynomial is not None
    assert case.exact is not None
    part = polynomials.as_function(truth.weighted(tree, case.polynomial, case.exact))
    share = 0.01 * float(rng.choice([-1, 1]))
    extra = 3 if type(case.method).__name__ in ("HeavyBall", "Nesterov", "OptimisticGradient") else 1
    try:
        kernel = eom.compile(case.loss, order + extra, method=case.method)
        changed = altered(kernel, row, lambda theta: -share * part(theta))
        report = eom.verify(changed, case.start, time=case.time, ladder=case.ladder, orders=case.orders, limit=LIMIT)
    except EomsymError as error:
        return "error", math.nan, f"{type(error).__name__}: {error}"
    result = report.orders[0]
    if result.judged is None or result.status == "inconclusive":
        return result.status, math.nan, result.reason
    return result.status, moved(case, changed, kernel, report), result.reason


def moved(case: Case, changed: Any, kernel: Any, report: Any) -> float:
    """How far the altered coefficient moves the end of the motion on the judged rung, in tolerances."""
    result = report.orders[0]
    eta = case.time / report.steps[result.judged]
    ends, doubt = [], 0.0
    for one in (changed, kernel):
        scale = float(np.abs(case.start).max())
        try:
            path = eom.flow(
                one.at_order(result.order), case.start, eta=eta, time=case.time, rtol=1e-12, atol=1e-14 * scale
            )
        except EomsymError:
            return math.nan
        ends.append(path.thetas[-1])
        doubt += 3 * path.error + 1e-15 * scale
    # What is surely moved: the two integrators err too.
    gap = max(float(np.linalg.norm(ends[0] - ends[1])) - doubt, 0.0)
    return gap / (MISFIT_TOLERANCE * result.predictions[result.judged])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--wrong", action="store_true", help="one coefficient altered by 1 %%")
    given = parser.parse_args(arguments)
    warnings.simplefilter("ignore", EomsymWarning)
    said: Counter[str] = Counter()
    false, began, slowest = 0, clock.process_time(), (0.0, -1)
    for number in range(given.first, given.first + given.cases):
        before = clock.process_time()
        if given.wrong:
            status, share, reason = wrong(number)
            told = status if status != "passed" else "passed, moved" if share > 1 else "passed, moved by less"
            said[told] += 1
            if told == "passed, moved":
                false += 1
                print(f"{number}: passed, moved by {share:.3g} tolerances: {random_case(number, True)}", flush=True)
        else:
            for status, reason in right(number):
                said[status] += 1
                if status == "failed":
                    false += 1
                    print(f"{number}: failed: {reason}: {random_case(number)}", flush=True)
        slowest = max(slowest, (clock.process_time() - before, number))
        done = number + 1 - given.first
        if done % REPORT == 0 or done == given.cases:
            seconds = clock.process_time() - began
            print(f"{done} cases: {dict(said)}, {seconds:.0f} s, {seconds / done:.3f} s a case, slowest {slowest}",
                  flush=True)  # fmt: skip
    return int(false > 0)


if __name__ == "__main__":
    sys.exit(main())
