"""Check a certificate of a distance: ``python checker.py certificate.json``. Needs python-flint and nothing else.

A certificate claims: exact gradient descent ``theta <- theta - eta g(theta)`` on a polynomial loss is after k steps
within ``claim[k]`` of the equation of motion ``theta' = f(theta) = -(g + eta t_1 + eta**2 t_2)`` of order 0, 1 or 2,
``t_1 = g'[g]/2``, ``t_2 = g'[g'[g]]/3 + g''[g, g]/12``. It holds for each substep h a centre and radius, a box and a
growth; what is checked, in balls of Arb with all rounding, is:

1. ``ball + [0, h] f(box)`` lies in the box, so no solution from the ball leaves it within h (Picard);
2. ``growth - (Df + Df^T)/2`` is positive definite on the box (Cholesky), so solutions there part by ``exp(growth h)``;
3. Taylor's formula from the centre, remainder on the box, ends within the next radius less ``exp(growth h) radius``;
4. gradient descent, in balls, is within the claim less the radius of the centre.

All numbers are hexadecimal floats or fractions, so nothing is rounded on the way.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from flint import arb, arb_series, ctx, fmpq

__all__ = ["Field", "check"]

Polynomial = dict[tuple[int, ...], Any]  # exponents: coefficient
DIGITS = 192  # bits


def plus(p: Polynomial, q: Polynomial, scale: Any = 1) -> Polynomial:
    """``p + scale q``."""
    total = dict(p)
    for powers, number in q.items():
        total[powers] = total.get(powers, fmpq(0)) + scale * number
    return {powers: number for powers, number in total.items() if number != 0}


def derivative(p: Polynomial, i: int) -> Polynomial:
    """Along variable i."""
    return {
        (*powers[:i], powers[i] - 1, *powers[i + 1 :]): powers[i] * number for powers, number in p.items() if powers[i]
    }


def along(p: Polynomial, direction: list[Polynomial]) -> Polynomial:
    """Derivative along a polynomial field."""
    total: Polynomial = {}
    for i, component in enumerate(direction):
        for a, x in derivative(p, i).items():
            for b, y in component.items():
                total = plus(total, {tuple(map(sum, zip(a, b))): x * y})  # noqa: B905
    return total


def value(p: Polynomial, point: list[Any]) -> Any:
    """At a point of balls, or of series of balls."""
    total = point[0] * 0
    for powers, number in p.items():
        product = arb(number)
        for x, power in zip(point, powers):  # noqa: B905
            for _ in range(power):
                product = x * product
        total = total + product
    return total


class Field:
    """Gradient, velocity and its Jacobian, as exact polynomials."""

    def __init__(self, terms: list[Any], size: int, eta: Any, order: int) -> None:
        if order not in (0, 1, 2):
            raise ValueError(f"order {order}: a certificate knows the orders 0, 1 and 2")
        loss: Polynomial = {tuple(powers): fmpq(*map(int, str(number).split("/"))) for powers, number in terms}
        g = self.gradient = [derivative(loss, i) for i in range(size)]
        self.velocity = [plus({}, p, -1) for p in g]
        if order >= 1:
            first = [along(p, g) for p in g]
            self.velocity = [plus(f, p, -eta / 2) for f, p in zip(self.velocity, first)]  # noqa: B905
        if order == 2:
            second = [along(p, first) for p in g]
            for i, p in enumerate(first):
                bent = plus(along(p, g), second[i], -1)  # g''[g, g]
                self.velocity[i] = plus(plus(self.velocity[i], second[i], -(eta**2) / 3), bent, -(eta**2) / 12)
        self.jacobian = [[derivative(f, j) for j in range(size)] for f in self.velocity]

    def image(self, ball: list[Any], box: list[Any], h: Any) -> list[Any]:
        """Where solutions from the ball are within h, if they stay in the box."""
        span = h * arb(0.5, 0.5)
        return [x + span * value(f, box) for x, f in zip(ball, self.velocity)]  # noqa: B905

    def symmetric(self, box: list[Any]) -> list[list[Any]]:
        """Symmetric part of the Jacobian on a box."""
        rows = [[value(p, box) for p in row] for row in self.jacobian]
        return [[(rows[i][j] + rows[j][i]) / 2 for j in range(len(rows))] for i in range(len(rows))]

    def end(self, centre: list[Any], box: list[Any], h: Any, degree: int) -> list[Any]:
        """The solution from the centre after h, by Taylor's formula with the remainder on the box."""
        ends = [x * 0 for x in centre]
        for start, first, last in ((centre, 0, degree - 1), (box, degree, degree)):
            rows = [[x] for x in start]
            for k in range(last):
                ctx.cap = k + 1
                series = [arb_series(list(row)) for row in rows]
                slopes = [value(f, series) for f in self.velocity]
                for row, slope in zip(rows, slopes):  # noqa: B905
                    row.append(slope[k] / (k + 1))
            for k in range(first, last + 1):
                ends = [total + row[k] * h**k for total, row in zip(ends, rows)]  # noqa: B905
        return ends


def definite(matrix: list[list[Any]]) -> bool:
    """Whether all symmetric matrices in the enclosure are positive definite."""
    rows = [list(row) for row in matrix]
    for k, pivot in enumerate(rows):
        if not pivot[k] > 0:
            return False
        for i in range(k + 1, len(rows)):
            factor = rows[i][k] / pivot[k]
            rows[i] = [a - factor * b for a, b in zip(rows[i], pivot)]  # noqa: B905
    return True


def length(entries: list[Any]) -> Any:
    """A ball whose upper end is at least the Euclidean norm."""
    return arb(sum((arb(x.abs_upper()) ** 2 for x in entries), arb(0)).upper()).sqrt()


def require(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"the certificate does not hold: {what}")


def check(certificate: dict[str, Any]) -> list[float]:
    """The claimed distances after 0, 1, … steps; ValueError where anything does not hold."""
    before, ctx.prec = ctx.prec, DIGITS
    cap = ctx.cap
    try:
        return _check(certificate)
    finally:
        ctx.prec, ctx.cap = before, cap


def exact(text: str) -> Any:
    """A hexadecimal float as a fraction."""
    return fmpq(*float.fromhex(text).as_integer_ratio())


def _check(certificate: dict[str, Any]) -> list[float]:
    eta, substeps = exact(certificate["eta"]), int(certificate["substeps"])
    h = arb(eta) / substeps
    start = [exact(x) for x in certificate["start"]]
    field = Field(certificate["loss"], len(start), eta, int(certificate["order"]))
    claim = [float.fromhex(x) for x in certificate["claim"]]
    steps = certificate["steps"]
    require(len(steps) == (len(claim) - 1) * substeps and substeps > 0, "one entry a substep")
    centre, radius = [arb(x) for x in start], arb(0)
    run = [arb(x) for x in start]
    for number, step in enumerate(steps, 1):
        where = f"substep {number}"
        box = [arb(arb(exact(mid)), arb(exact(rad))) for mid, rad in step["box"]]
        ball = [x + arb(0, radius.upper()) for x in centre]
        stays = field.image(ball, box, h)
        require(all(wide.contains(narrow) for wide, narrow in zip(box, stays)), f"{where}: stays in its box")  # noqa: B905
        growth = arb(exact(step["growth"]))
        shifted = [[growth * (i == j) - x for j, x in enumerate(row)] for i, row in enumerate(field.symmetric(box))]
        require(definite(shifted), f"{where}: growth")
        after, wide = [arb(exact(x)) for x in step["centre"]], arb(exact(step["radius"]))
        ends = field.end(centre, box, h, int(certificate["degree"]))
        missed = length([x - y for x, y in zip(ends, after)])  # noqa: B905
        require(bool((growth * h).exp() * radius + missed <= wide), f"{where}: radius")
        centre, radius = after, wide
        if number % substeps == 0:
            slopes = [value(p, run) for p in field.gradient]
            run = [x - eta * g for x, g in zip(run, slopes)]  # noqa: B905
            gap = length([x - y for x, y in zip(run, centre)]) + radius  # noqa: B905
            require(bool(gap <= arb(claim[number // substeps])), f"step {number // substeps}: claim")
    require(claim[0] >= 0, "a distance")
    return claim


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        print(f"holds: distances {check(json.load(file))}")
