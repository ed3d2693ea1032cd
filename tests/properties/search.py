"""A search for the worst cases: truth over bound is made as large as it gets, by differential evolution.

    python tests/properties/search.py --generations 200

Random cases are seldom near the edge of a theorem. Here a population of cases, whose size, length, start and learning
rate run over 12 decades each, is bred for the largest ratio of truth to bound; above 1 the bound is wrong. Populations
are evaluated in compiled batches.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import differential_evolution

sys.path.insert(0, str(Path(__file__).parents[1]))

from properties.million import CERTIFICATES, SHAPES, Cases, monomials

from eomsym.bounds import many_distances
from eomsym.curvature import PolynomialFamily

Array = np.ndarray
DECADES = 6.0


def decoded(genes: Array, shape: tuple[int, int], steps: int, order: int) -> Cases:
    """Cases from rows of genes: log10 of size and of length, log10 of ``eta |A|``, start, coefficients."""
    powers = monomials(shape)
    variables = shape[0]
    size, length, share, near = genes[:, :4].T
    starts = 10.0 ** (length + near)[:, None] * genes[:, 4 : 4 + variables]
    coefficients = 10.0 ** size[:, None] * genes[:, 4 + variables :] / 10.0 ** (length[:, None] * powers.sum(axis=1))
    sharpness = PolynomialFamily(powers, coefficients).around(starts).spectrum(np.zeros(len(genes))).smoothness
    etas = 10.0**share / np.maximum(sharpness, 1e-250)
    return Cases(powers, coefficients, starts, etas, steps, order)


def limits(shape: tuple[int, int]) -> list[tuple[float, float]]:
    ones = [(-1.0, 1.0)] * (shape[0] + len(monomials(shape)))
    return [(-DECADES, DECADES), (-DECADES, DECADES), (-8.0, 0.3), (-8.0, 0.5), *ones]


def worst_ratios(cases: Cases, kind: str, bounds: Callable[..., Array] = many_distances) -> Array:
    """The largest truth over bound along each run; 0 where one of them is not known."""
    true = cases.truth
    values = bounds(cases.family, cases.starts, eta=cases.etas, steps=cases.steps, order=cases.order, certificate=kind)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = true[:, 1:] / values[:, 1:]
    ratios[~np.isfinite(ratios)] = 0.0
    largest: Array = ratios.max(axis=1)
    return largest


def worst_case(
    kind: str,
    order: int,
    shape: tuple[int, int],
    *,
    seed: int = 0,
    generations: int = 40,
    members: int = 4,
    steps: int = 3,
    **options: Any,
) -> tuple[float, Cases]:
    """The largest ratio of truth to bound that the search finds, and the case."""

    def objective(columns: Array) -> Array:
        rows = np.atleast_2d(columns.T)
        return -worst_ratios(decoded(rows, shape, steps, order), kind, **options)

    found = differential_evolution(
        objective, limits(shape), vectorized=True, updating="deferred", maxiter=generations, popsize=members,
        rng=np.random.default_rng(seed), polish=False, tol=0.0, init="sobol",
    )  # fmt: skip
    return float(-found.fun), decoded(found.x[None], shape, steps, order)


def confirmed(cases: Cases, kind: str) -> float:
    """The ratio of a case with the truth to 80 digits."""
    exact = cases.exact(0)[None]
    fixed = _Fixed(**{name: getattr(cases, name) for name in cases.__dataclass_fields__}, known=exact)
    return float(worst_ratios(fixed, kind)[0])


class _Fixed(Cases):
    """A case whose truth is known."""

    def __init__(self, known: Array, **fields: Any) -> None:
        super().__init__(**fields)
        object.__setattr__(self, "known", known)

    @property
    def truth(self) -> Array:
        found: Array = self.known  # type: ignore[attr-defined]
        return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--generations", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=1)
    given = parser.parse_args(arguments)
    wrong = 0
    for seed in range(given.seeds):
        for kind in CERTIFICATES:
            for shape in SHAPES:
                for order in range(4):
                    ratio, cases = worst_case(
                        kind, order, shape, seed=seed, generations=given.generations, steps=1 + seed % 6
                    )
                    if ratio > 1:
                        ratio = confirmed(replace(cases), kind)
                        wrong += ratio > 1
                    print(f"{kind}, order {order}: truth/bound {ratio:.12g}: {cases.shown(0)}", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
