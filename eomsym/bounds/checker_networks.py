"""Check a certificate of a network: ``python checker_networks.py certificate.json``. Needs python-flint, nothing else.

The loss is ``L = mean_i |P x_i - y_i|**2/2``, ``P = W_n … W_1``, ``g = grad L``. The claim: exact gradient descent,
``theta <- theta - eta g(theta)``, is after k steps within ``claim[k]`` of ``theta' = -g`` (order 0) or of
``theta' = -(g + eta/2 g'[g])`` (order 1) at the time ``k eta``. Gradient descent is carried out in balls of Arb; the
motion is followed by Taylor's formula. Let ``P(c + U) = sum_k P_k(U)``, P_k of degree k in U. Then, by Maclaurin's
inequality, ``|P_k(U)| <= p_k |U|**k``, ``p_k = C(n, k) n**(-k/2) times the largest product of n - k norms |W_j|``. On a
ball of radius r around c the norms grow by r, so with ``s = |mean x x^T|``, and for complex U too::

    |dL/dP| <= q = |dL/dP (c)| + s sum_(k>=1) p_k(c) r**k,    |g| <= G = |g(c)| + b r,    -lambda_min(g') <= 2 p_2 q,
    |g'| <= b = s p_1**2 + 2 p_2 q,    |g''| <= t = 6 s p_1 p_2 + 6 p_3 q.

The speed is at most ``S(r) = G`` or ``G + eta/2 b G``: the motion stays in the ball of radius R for complex times below
``rho = R/S(R)``, and Taylor's formula to degree d misses ``R (h/rho)**(d+1)/(1 - h/rho)`` at most (Cauchy). Motions in
the ball of radius r part by ``exp(m h)`` at most, with ``m = 2 p_2 q`` or ``m = 2 p_2 q + eta/2 t G``, because no
eigenvalue of ``-(g' + eta/2 (g' g' + g''[g]))`` is larger. Numbers are hexadecimal floats.
"""

# ruff: noqa: B905
from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from math import comb
from typing import Any

from flint import arb, arb_mat, ctx, fmpq, fmpq_mat

__all__ = ["Network", "check", "walk"]
Series = list[list[Any]]  # for each matrix its Taylor coefficients


def exact(text: str) -> Any:
    """A hexadecimal float as a fraction."""
    return fmpq(*float.fromhex(text).as_integer_ratio())


def matrix(rows: list[list[str]]) -> Any:
    return fmpq_mat(len(rows), len(rows[0]), [exact(x) for row in rows for x in row])


def length(*matrices: Any) -> Any:
    """At least the Euclidean norm of all entries."""
    return arb(sum((x.abs_upper() ** 2 for m in matrices for x in m.entries()), arb(0)).upper()).sqrt()


def norm(a: Any) -> Any:
    """At least the spectral norm: ``|A|**16 <= |(A^T A)**8|_F``."""
    square = a * a.transpose() if a.nrows() < a.ncols() else a.transpose() * a
    for _ in range(3):
        square = square * square
    return length(square).root(16)


def convolved(left: list[Any], right: list[Any], i: int) -> Any:
    """Coefficient i of a product of series."""
    total = left[0] * right[i]
    for a in range(1, i + 1):
        total += left[a] * right[i - a]
    return total


class Network:
    """The loss, and the Taylor coefficients of its motions."""

    def __init__(self, inputs: list[list[str]], targets: list[list[str]], eta: Any, order: int) -> None:
        require(order in (0, 1), "order 0 or 1")
        x, y, self.order, self.eta = matrix(inputs), matrix(targets), order, eta
        self.second = arb_mat(x.transpose() * x / fmpq(x.nrows()))
        self.cross = arb_mat(y.transpose() * x / fmpq(x.nrows()))
        self.bend = norm(self.second)

    def gradient(self, transposed: Series, i: int, kept: dict[str, Series]) -> list[Any]:
        """Coefficient i of the gradient along a curve; `kept` has what belongs to the coefficients before."""
        n = len(transposed)
        ahead, back = kept.setdefault("ahead", [[] for _ in range(n)]), kept.setdefault("back", [[] for _ in range(n)])
        for j in range(n):  # ahead[j] = (W_j … W_1)^T
            ahead[j].append(convolved(ahead[j - 1], transposed[j], i) if j else transposed[0][i])
        back[n - 1].append(ahead[n - 1][i].transpose() * self.second - (self.cross if i == 0 else self.cross * 0))
        for j in range(n - 2, -1, -1):
            back[j].append(convolved(transposed[j + 1], back[j + 1], i))
        return [convolved(back[j], ahead[j - 1], i) if j else back[0][i] for j in range(n)]

    def tangent(self, transposed: Series, along: Series, i: int, kept: dict[str, Series]) -> list[Any]:
        """Coefficient i of the derivative of the gradient along a direction, a curve as well."""
        n, ahead, back = len(transposed), kept["ahead"], kept["back"]
        turned, bent = (
            kept.setdefault("turned", [[] for _ in range(n)]),
            kept.setdefault("bent", [[] for _ in range(n)]),
        )

        def both(x: list[Any], dx: list[Any], y: list[Any], dy: list[Any]) -> Any:
            return convolved(dx, y, i) + convolved(x, dy, i)

        for j in range(n):
            turned[j].append(both(ahead[j - 1], turned[j - 1], transposed[j], along[j]) if j else along[0][i])
        bent[n - 1].append(turned[n - 1][i].transpose() * self.second)
        for j in range(n - 2, -1, -1):
            bent[j].append(both(transposed[j + 1], along[j + 1], back[j + 1], bent[j + 1]))
        return [both(back[j], bent[j], ahead[j - 1], turned[j - 1]) if j else bent[0][i] for j in range(n)]

    def advance(self, weights: list[Any], h: Any, degree: int) -> list[Any]:
        """Taylor's polynomial of the motion, after h."""
        kept: dict[str, Series] = {}
        transposed: Series = [[w.transpose()] for w in weights]
        along: Series = [[] for _ in weights]
        ends, power = list(weights), arb(1)
        for i in range(degree):
            slopes = self.gradient(transposed, i, kept)
            if self.order:
                for line, slope in zip(along, slopes):
                    line.append(slope.transpose())
                turned = self.tangent(transposed, along, i, kept)
                slopes = [g + t * (self.eta / 2) for g, t in zip(slopes, turned)]
            power = power * h
            for j, slope in enumerate(slopes):
                transposed[j].append(slope.transpose() * (arb(-1) / (i + 1)))
                ends[j] = ends[j] - slope * (power / (i + 1))
        return ends

    def bounds(self, weights: list[Any]) -> Callable[[Any], tuple[Any, Any]]:
        """From a radius r to S and m on the ball of that radius around a point."""
        n, kept = len(weights), dict[str, Series]()
        slope = length(*self.gradient([[w.transpose()] for w in weights], 0, kept))
        residual, norms = length(kept["back"][n - 1][0]), sorted((norm(w).upper() for w in weights), reverse=True)

        def p(k: int, r: Any) -> Any:
            product = arb(comb(n, k)) / arb(n).sqrt() ** k
            for size in norms[: max(n - k, 0)]:
                product = product * (size + r)
            return product

        def at(r: Any) -> tuple[Any, Any]:
            q = residual + self.bend * sum((p(k, 0) * r**k for k in range(1, n + 1)), arb(0))
            b, m = self.bend * p(1, r) ** 2 + 2 * p(2, r) * q, 2 * p(2, r) * q
            g = slope + b * r
            t = 6 * self.bend * p(1, r) * p(2, r) + 6 * p(3, r) * q
            return g + self.order * self.eta / 2 * b * g, m + self.order * self.eta / 2 * t * g

        return at

    def descend(self, weights: list[Any]) -> list[Any]:
        """One step of gradient descent."""
        slopes = self.gradient([[w.transpose()] for w in weights], 0, {})
        return [w - g * self.eta for w, g in zip(weights, slopes)]


def require(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"the certificate does not hold: {what}")


def follow(net: Network, centre: list[Any], radius: Any, h: Any, ball: Any, degree: int) -> tuple[list[Any], Any]:
    """The motion from a ball around a centre, after h: it stays in a larger ball for that long."""
    at = net.bounds(centre)
    speed, _ = at(ball)
    reach, ratio = (radius + h * speed).upper(), h * speed / ball
    require(bool(reach <= ball) and bool(ratio < 1), "the motion stays in its ball, and h < rho")
    ends = net.advance(centre, h, degree)
    after = [w.mid() for w in ends]
    missed = length(*(x - y for x, y in zip(ends, after)))
    return after, ((at(reach)[1] * h).exp() * radius + missed + ball * ratio ** (degree + 1) / (1 - ratio)).upper()


def walk(proof: dict[str, Any], steps: int, ball_of: Callable[..., Any]) -> Iterator[Any]:
    """The distances after 1, 2, … steps, as balls of Arb."""
    bits, run_bits, substeps, degree = (int(proof[name]) for name in ("bits", "run_bits", "substeps", "degree"))
    require(substeps > 0 and degree > 0 and len(proof["start"]) > 0, "at least one of each")
    ctx.prec = max(bits, run_bits)
    net = Network(proof["inputs"], proof["targets"], arb(exact(proof["eta"])), int(proof["order"]))
    run = centre = [arb_mat(matrix(rows)) for rows in proof["start"]]
    radius, h = arb(0), net.eta / substeps
    for step in range(steps):
        ctx.prec = bits
        for part in range(substeps):
            ball = ball_of(step * substeps + part, net, centre, radius, h)
            centre, radius = follow(net, centre, radius, h, ball, degree)
        ctx.prec = run_bits
        run = net.descend(run)
        yield length(*(x - y for x, y in zip(run, centre))) + radius


def check(proof: dict[str, Any]) -> list[float]:
    """The claimed distances after 0, 1, … steps; ValueError where anything does not hold."""
    before, claim, balls = ctx.prec, proof["claim"], proof["balls"]
    try:
        require(len(balls) == (len(claim) - 1) * int(proof["substeps"]), "one ball a substep")
        for k, gap in enumerate(walk(proof, len(claim) - 1, lambda i, *_: arb(exact(balls[i]))), 1):
            require(bool(gap <= arb(exact(claim[k]))), f"step {k}: claim")
        return [max(float.fromhex(x), 0.0) for x in claim]
    finally:
        ctx.prec = before


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        print(f"holds: distances {check(json.load(file))}")
