"""A million random cases of each bound, in compiled batches: none may be below the truth.

    python tests/properties/million.py --cases 1000000 --processes 2
    python tests/properties/million.py --cases 100000 --table --kinds polynomials

Losses are sparse polynomials of one to three variables, and networks of up to eight parameters (`networks`); their
size, the length on which they change and the starts are scaled over 12 decades each. The truth is that of
`compiled_truth`; what it says against a bound is computed again to 80 digits before it counts, and so is a sample of
the rest. With ``--table`` the rows of the tables in docs/theory/distance.md are printed.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from properties import polynomials, truth
from properties.claims import RIGOROUS_SHARE, check_rates, check_rigorous
from properties.compiled_truth import HIGHEST_ORDER, IDENTITY, true_distances
from properties.networks import NetworkCases, plain_derivatives, random_networks

from eomsym.bounds import many_distances
from eomsym.bounds.terms import tree_bounds
from eomsym.curvature import PolynomialFamily

Array = np.ndarray
#: Number of variables and degree of the families.
SHAPES = ((1, 6), (2, 4), (3, 3))
CHUNK = 2000
#: Networks of one kind, shape and order.
FEW_NETWORKS = 500
CERTIFICATES = ("closed_form", "proven", "measured")
#: Limits of eta |A| between which cases are shown together.
REGIMES = (0.02, 0.1, 0.5, np.inf)
#: One case of so many is computed again to 80 digits, and how far the two truths may differ.
SAMPLE, SAME = 20_000, 1e-9


@dataclass(frozen=True)
class Cases:
    """Runs of gradient descent: losses of one shape, starts, learning rates, steps, and an order."""

    powers: Array
    coefficients: Array
    starts: Array
    etas: Array
    steps: int
    order: int
    #: Of the names of its bounds.
    prefix = ""

    @property
    def family(self) -> PolynomialFamily:
        return PolynomialFamily(self.powers, self.coefficients)

    @property
    def truth(self) -> Array:
        coefficients = self.coefficients[:, None]
        return true_distances(self.powers, coefficients, self.starts, self.etas, self.steps, self.order, IDENTITY, 1.0)

    def at(self, chosen: Array, etas: Array, steps: int) -> Cases:
        """Some of them with other learning rates."""
        return Cases(self.powers, self.coefficients[chosen], self.starts[chosen], etas, steps, self.order)

    @property
    def left(self) -> Array:
        """From where on the truth is of another loss: nowhere."""
        return np.zeros((len(self.starts), self.steps + 1), bool)

    def in_region(self, points: Array) -> Array:
        """Whether there the loss is what it is at the start."""
        return np.ones(len(points), bool)

    @property
    def cheap(self) -> bool:
        """Whether the truth to 80 digits takes seconds at most."""
        return True

    def slopes_and_hessians(self, points: Array) -> tuple[Array, Array]:
        """Gradients and Hessians by plain NumPy."""
        _, gradients, matrices = plain_derivatives(self.powers, self.coefficients, points)
        return gradients, matrices

    def exact(self, i: int) -> Array:
        """The truth of a case to 80 digits, rounded to doubles."""
        return truth.Truth(self.polynomial(i), self.order, float(self.etas[i])).distances(
            self.starts[i].tolist(), self.steps
        )

    def polynomial(self, i: int) -> polynomials.Polynomial:
        return polynomials.Polynomial(
            tuple(map(tuple, self.powers.tolist())), tuple(map(Fraction, self.coefficients[i].tolist()))
        )

    def shown(self, i: int) -> str:
        """Everything that is needed to type it again."""
        names = ("x", "y", "z")
        terms = [
            f"{c!r}*" + "*".join(f"{name}**{p}" for name, p in zip(names, powers, strict=False) if p)
            for c, powers in zip(self.coefficients[i].tolist(), self.powers.tolist(), strict=True)
            if c
        ]
        return (
            f"{' + '.join(terms)} from {self.starts[i].tolist()}, eta = {float(self.etas[i])!r}, {self.steps} steps, "
            f"order {self.order}"
        )


def monomials(shape: tuple[int, int]) -> Array:
    """All monomials of some variables to a degree, but the constant."""
    variables, degree = shape
    return np.array([p for p in itertools.product(range(degree + 1), repeat=variables) if 0 < sum(p) <= degree])


def random_cases(rng: np.random.Generator, count: int, largest: float = 1.0) -> Cases:
    """Cases of the standard population, of one shape, order and number of steps; ``eta |A|`` up to `largest`."""
    powers = monomials(SHAPES[int(rng.integers(len(SHAPES)))])
    variables = powers.shape[1]
    costs, lengths = 10.0 ** rng.uniform(-6, 6, (2, count, 1))
    coefficients = rng.integers(-16, 17, (count, len(powers))) / 16.0
    coefficients *= rng.random(coefficients.shape) < rng.uniform(0.15, 1.0, (count, 1))
    coefficients[:, np.flatnonzero(powers.sum(axis=1) == 2)[0]] += 1 / 32  # none is constant
    coefficients = coefficients * costs / lengths ** powers.sum(axis=1)
    sizes = np.where(rng.random((count, 1)) < 0.7, 1.0, 10.0 ** rng.uniform(-6, 0, (count, 1)))
    starts = lengths * sizes * rng.uniform(-1.5, 1.5, (count, variables))
    sharpness = PolynomialFamily(powers, coefficients).around(starts).spectrum(np.zeros(count)).smoothness
    shares = largest * 10.0 ** np.where(rng.random(count) < 0.8, rng.uniform(-2, 0, count), rng.uniform(-9, 0, count))
    order, steps = int(rng.integers(0, HIGHEST_ORDER + 1)), int(rng.integers(1, 7))
    return Cases(powers, coefficients, starts, shares / sharpness, steps, order)


@dataclass
class Tally:
    """What was found, of each bound."""

    cases: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    bounded: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    ratios: dict[tuple[str, int, int], list[Array]] = field(default_factory=lambda: defaultdict(list))
    violations: list[str] = field(default_factory=list)
    unknown: int = 0

    def add(self, other: Tally) -> None:
        for name in ("cases", "bounded", "seconds"):
            for key, value in getattr(other, name).items():
                getattr(self, name)[key] += value
        for key, parts in other.ratios.items():
            self.ratios[key] += parts
        self.violations += other.violations
        self.unknown += other.unknown


def check_distances(cases: Cases | NetworkCases, tally: Tally, sample: bool = False) -> None:
    """All certificates against the truth."""
    began = time.process_time()
    true = cases.truth
    tally.seconds[cases.prefix + "truth"] += time.process_time() - began
    left = cases.left
    true[left] = 0.0
    known = np.isfinite(true).all(axis=1)
    tally.unknown += int((~known).sum())
    if sample and cases.cheap:
        i = int(np.argmax(known & ~left[:, -1]))
        exact = cases.exact(i) if known[i] and not left[i, -1] else true[i]
        # The truth in double-double has an absolute error of some 1e-23 of theta.
        if not np.allclose(true[i], exact, rtol=SAME, atol=1e-22 * np.abs(cases.starts[i]).max()):
            tally.violations.append(f"the truth {true[i]} is not {exact}: {cases.shown(i)}")
    sharpness = cases.family.around(cases.starts).spectrum(np.zeros(len(true))).smoothness
    regime = np.searchsorted(REGIMES, cases.etas * sharpness)
    for certificate in CERTIFICATES:
        kind = cases.prefix + certificate
        began = time.process_time()
        values = many_distances(
            cases.family, cases.starts, eta=cases.etas, steps=cases.steps, order=cases.order, certificate=certificate
        )
        tally.seconds[kind] += time.process_time() - began
        tally.cases[kind] += len(values)
        bounded = np.isfinite(values[:, -1])
        tally.bounded[kind] += int(bounded.sum())
        for i in np.flatnonzero(known & ~(true <= values).all(axis=1)):
            if not (left[i] | (cases.exact(i) <= values[i])).all():
                tally.violations.append(f"{kind}: {values[i]} below {true[i]}: {cases.shown(i)}")
        floor = 1e3 * np.finfo(float).eps * np.abs(cases.starts).max(axis=1)
        clear = known & bounded & (true[:, -1] > floor)  # not mostly rounding
        for k in range(len(REGIMES)):
            here = clear & (regime == k)
            tally.ratios[kind, cases.order, k].append(values[here, -1] / true[here, -1])


def check_terms(cases: Cases | NetworkCases, tally: Tally) -> None:
    """The bounds on counter terms by trees, at a random point of a ball."""
    began = time.process_time()
    around = cases.family.around(cases.starts)
    rng = np.random.default_rng(len(cases.etas) + cases.steps)
    directions = rng.standard_normal(cases.starts.shape)
    radii = np.abs(cases.starts).max(axis=1) * 10.0 ** rng.uniform(-4, 0.5, len(cases.etas))
    points = cases.starts + (radii / np.linalg.norm(directions, axis=1))[:, None] * directions
    reached = np.linalg.norm(points - cases.starts, axis=1)
    bounds = tree_bounds(around.known.at(reached, cases.order), cases.order)
    terms = np.linalg.norm(cases.family.terms(points, cases.order), axis=2).T
    bounds = np.where(reached <= around.known.valid, bounds, np.inf)
    tally.seconds[cases.prefix + "terms"] += time.process_time() - began
    tally.cases[cases.prefix + "terms"] += len(points)
    tally.bounded[cases.prefix + "terms"] += int(np.isfinite(bounds).all(axis=0).sum())
    fine = np.isfinite(terms).all(axis=0)
    for i in np.flatnonzero(fine & ~(terms <= bounds * (1 + 1e-12)).all(axis=0)):
        tally.violations.append(
            f"{cases.prefix}terms: {bounds[:, i]} below {terms[:, i]} at {points[i].tolist()}: {cases.shown(i)}"
        )


def check_balls(cases: Cases | NetworkCases, tally: Tally) -> None:
    """Spectrum, gradient and Lipschitz constant of the Hessian at a random point of a ball."""
    began = time.process_time()
    rng = np.random.default_rng(len(cases.etas) + 7 * cases.steps)
    around = cases.family.around(cases.starts)
    directions = rng.standard_normal(cases.starts.shape)
    radii = np.abs(cases.starts).max(axis=1) * 10.0 ** rng.uniform(-4, 0.5, len(cases.starts))
    points = cases.starts + (radii / np.linalg.norm(directions, axis=1))[:, None] * directions
    radii = np.linalg.norm(points - cases.starts, axis=1) * (1 + 1e-12)
    ball, third = around.spectrum(radii), around.third(radii)
    gradients, matrices = cases.slopes_and_hessians(points)
    slope, there = np.linalg.norm(gradients, axis=1), np.linalg.eigvalsh(matrices)
    gaps = np.linalg.norm(matrices - cases.slopes_and_hessians(cases.starts)[1], 2, axis=(1, 2))
    tally.seconds[cases.prefix + "balls"] += time.process_time() - began
    tally.cases[cases.prefix + "balls"] += len(points)
    tally.bounded[cases.prefix + "balls"] += int(np.isfinite(ball.upper).sum())
    slack = 1e-12 * np.maximum(np.abs(there).max(axis=1), around.known.known[1])
    right = (ball.lower <= there[:, 0] + slack) & (there[:, -1] <= ball.upper + slack)
    right &= (slope <= ball.slope * (1 + 1e-12)) & (gaps <= third * radii * (1 + 1e-9) + 4 * slack)
    for i in np.flatnonzero(~right | (np.isfinite(ball.upper) & ~cases.in_region(points))):
        tally.violations.append(
            f"{cases.prefix}ball of radius {radii[i]} around the start, at {points[i].tolist()}: {cases.shown(i)}"
        )


def check_bounds(cases: Cases | NetworkCases, tally: Tally, chunk: int) -> None:
    """All bounds on numbers of a loss."""
    check_distances(cases, tally, sample=chunk % (SAMPLE // CHUNK) == 0)
    check_terms(cases, tally)
    check_balls(cases, tally)


def check_networks(rng: np.random.Generator, count: int, tally: Tally, chunk: int) -> None:
    """All bounds of networks of several shapes and kinds."""
    for begin in range(0, count, FEW_NETWORKS):
        # The sample for the truth to 80 digits is of the first ones.
        check_bounds(random_networks(rng, min(FEW_NETWORKS, count - begin)), tally, chunk if begin == 0 else 1)


#: What is done with so many cases of each kind.
CHECKS: dict[str, Callable[[np.random.Generator, int, Tally, int], None]] = {
    "polynomials": lambda rng, few, tally, chunk: check_bounds(random_cases(rng, few), tally, chunk),
    "networks": check_networks,
    "rates": lambda rng, few, tally, chunk: check_rates(
        random_networks(rng, few) if chunk % 2 else random_cases(rng, few), tally
    ),
    "rigorous": lambda rng, few, tally, chunk: check_rigorous(
        random_cases(rng, -(-few // RIGOROUS_SHARE), largest=0.5), tally
    ),
}
KINDS = tuple(CHECKS)


def sweep(seed: int, count: int, seconds: float = np.inf, kinds: Sequence[str] = KINDS) -> Tally:
    """So many cases of each bound, chunk by chunk, or as many as fit into a time."""
    tally, began = Tally(), time.monotonic()
    for chunk in range(-(-count // CHUNK)):
        if time.monotonic() - began > seconds:
            break
        few = min(CHUNK, count - chunk * CHUNK)
        for place, kind in enumerate(KINDS):
            if kind in kinds:
                rng = np.random.default_rng([seed, chunk, place] if place else [seed, chunk])
                CHECKS[kind](rng, few, tally, chunk)
    return tally


def names_of(tally: Tally) -> list[str]:
    """The bounds on distances that were checked in batches."""
    return list(dict.fromkeys(kind for kind, *_ in tally.ratios))


def table(tally: Tally) -> str:
    """Bound over truth, median (95th percentile), as rows of the table of the documentation."""
    lines = []
    for kind in names_of(tally):
        for order in range(HIGHEST_ORDER + 1):
            cells = []
            for k in range(len(REGIMES)):
                parts = tally.ratios.get((kind, order, k), [])
                ratios = np.concatenate(parts) if parts else np.zeros(0)
                middle, most = np.quantile(ratios, [0.5, 0.95]) if len(ratios) >= 20 else (np.nan, np.nan)
                cells.append(f"{middle:.3g} ({most:.3g})" if len(ratios) >= 20 else "")
            lines.append(f"| {kind} | {order} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=np.inf, help="stop after so many")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args(arguments)
    shares = [given.cases // given.processes] * given.processes
    tally, began = Tally(), time.monotonic()
    if given.processes == 1:
        tally = sweep(given.seed, given.cases, given.seconds, given.kinds)
    else:
        with ProcessPoolExecutor(given.processes) as pool:
            seeds = [given.seed * given.processes + k for k in range(given.processes)]
            for part in pool.map(sweep, seeds, shares, itertools.repeat(given.seconds), itertools.repeat(given.kinds)):
                tally.add(part)
    for kind in sorted(tally.cases):
        cost = tally.seconds[kind]
        if kind in names_of(tally):
            cost += tally.seconds[kind.removesuffix(kind.split(": ")[-1]) + "truth"] / len(CERTIFICATES)
        print(
            f"{kind}: {tally.cases[kind]:,} cases, {tally.bounded[kind]:,} with a bound, "
            f"{tally.cases[kind] / tally.seconds[kind]:,.0f} cases/s, with their truth {tally.cases[kind] / cost:,.0f}"
        )
    print(f"{tally.unknown:,} motions run away; {time.monotonic() - began:.0f} s; {len(tally.violations)} violations")
    print("\n".join(tally.violations[:20]))
    if given.table:
        print(table(tally))
    return int(bool(tally.violations))


if __name__ == "__main__":
    sys.exit(main())
