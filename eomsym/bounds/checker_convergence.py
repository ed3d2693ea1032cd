"""Check a certificate of convergence: ``python checker_convergence.py proof.json``. Needs python-flint, nothing else.

The loss is ``L = mean_i |P x_i - y_i|**2/2``, ``P = W_n … W_1``, and the claim: after `steps` steps of exact gradient
descent, ``theta <- theta - eta g(theta)``, L is within `epsilon` of its infimum over all matrices P, which is not above
the minimum of the network. The steps are carried out in balls of Arb. With ``S = mean x x^T`` and ``Q S = mean y x^T``
the loss is ``tr((P - Q) S (P - Q)^T)/2`` above that infimum. Numbers are hexadecimal floats.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from flint import arb, arb_mat, ctx, fmpq, fmpq_mat

__all__ = ["check", "end"]


def exact(text: str) -> Any:
    """A hexadecimal float as a fraction."""
    return fmpq(*float.fromhex(text).as_integer_ratio())


def matrix(rows: list[list[str]]) -> Any:
    return fmpq_mat(len(rows), len(rows[0]), [exact(x) for row in rows for x in row])


def require(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"the certificate does not hold: {what}")


def step(weights: list[Any], second: Any, cross: Any, eta: Any) -> list[Any]:
    """One step of gradient descent."""
    ahead = [weights[0]]  # W_j … W_1
    for w in weights[1:]:
        ahead.append(w * ahead[-1])
    back = ahead.pop() * second - cross
    after = []
    for w, before in zip(reversed(weights), [*reversed(ahead), None]):  # noqa: B905
        after.append(w - (back if before is None else back * before.transpose()) * eta)
        back = w.transpose() * back
    return after[::-1]


def end(proof: dict[str, Any]) -> Any:
    """How far the loss ends above its infimum, as a ball of Arb."""
    ctx.prec = int(proof["bits"])
    x, y = matrix(proof["inputs"]), matrix(proof["targets"])
    second, cross = x.transpose() * x / fmpq(x.nrows()), y.transpose() * x / fmpq(x.nrows())
    best = arb_mat(second.solve(cross.transpose()).transpose())  # in fractions: S is invertible, or there is no answer
    eta = arb(exact(proof["eta"]))
    weights = [arb_mat(matrix(rows)) for rows in proof["start"]]
    require(len(weights) > 0, "at least one matrix")
    second, cross = arb_mat(second), arb_mat(cross)
    for _ in range(int(proof["steps"])):
        weights = step(weights, second, cross, eta)
    product = weights[0]
    for w in weights[1:]:
        product = w * product
    gap = product - best
    return (gap * second * gap.transpose()).trace() / 2


def check(proof: dict[str, Any]) -> list[float]:
    """The claimed excess of the loss; ValueError where it does not hold."""
    before = ctx.prec
    try:
        require(bool(end(proof) <= arb(exact(proof["epsilon"]))), f"{proof['steps']} steps: epsilon")
        return [float.fromhex(proof["epsilon"])]
    finally:
        ctx.prec = before


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        print(f"holds: the loss ends within {check(json.load(file))[0]} of its infimum")
