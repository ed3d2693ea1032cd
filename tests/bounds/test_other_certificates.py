"""Certificates of networks, convergence and formulas: sharp, checked by programs that stand alone, and fragile."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy

import eomsym as eom
from eomsym.bounds import certificate, certify_convergence, certify_formula, check_certificate
from eomsym.bounds.certificates import CHECKERS
from eomsym.errors import HypothesisError, InputError
from eomsym.optimisers import Extragradient, OptimisticGradient, ProximalPoint, RungeKutta, SharpnessAware


def network(widths: tuple[int, ...] = (2, 3, 2), samples: int = 5) -> tuple[eom.DeepLinear, np.ndarray]:
    rng = np.random.default_rng(1)
    inputs = rng.standard_normal((samples, widths[0]))
    loss = eom.DeepLinear(widths, inputs, inputs @ rng.standard_normal((widths[0], widths[-1])))
    return loss, 0.6 * loss.initial(1)


def numbers(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the numbers of a certificate stand."""
    if isinstance(node, (dict, list)):
        for key in node if isinstance(node, dict) else range(len(node)):
            yield from numbers(node[key], (*path, key))
    elif path[-1] not in ("schema", "name"):
        yield path


def changed(proof: dict[str, Any], path: tuple[Any, ...], factor: float) -> dict[str, Any]:
    """The certificate with one number changed by a share of itself; integers by one at least."""
    found = copy.deepcopy(proof)
    place: Any = found
    for key in path[:-1]:
        place = place[key]
    old = place[path[-1]]
    if isinstance(old, int):
        place[path[-1]] = old + (1 if factor > 1 else -1)
    elif "0x" in old:
        place[path[-1]] = (float.fromhex(old) * factor).hex()
    else:
        place[path[-1]] = str(eom.exact.numbers.as_fraction(old) * eom.exact.numbers.as_fraction(str(factor)))
    return found


def refused(proof: dict[str, Any]) -> bool:
    try:
        check_certificate(proof)
    except HypothesisError:
        return True
    return False


@pytest.mark.parametrize("order", range(2))
def test_a_network(order: int) -> None:
    loss, start = network()
    proof = json.loads(json.dumps(certificate(loss, start, eta=0.05, steps=6, order=order)))
    claim = np.array(check_certificate(proof))
    path = eom.descend(loss, start, eta=0.05, steps=6)
    motion = eom.flow(loss, start, eta=0.05, time=path.times, order=order, rtol=1e-12, atol=1e-14)
    true = np.linalg.norm(path.thetas - motion.thetas, axis=1)
    assert np.all(np.abs(claim - true) <= 2e-3 * true + motion.error + 1e-14)


def true_distances(proof: dict[str, Any]) -> np.ndarray:
    """What a certificate of a network ought to claim, in float64."""

    def read(rows: list[list[str]]) -> np.ndarray:
        return np.array([[float.fromhex(x) for x in row] for row in rows])

    weights = [read(rows) for rows in proof["start"]]
    widths = (weights[0].shape[1], *(w.shape[0] for w in weights))
    loss = eom.DeepLinear(widths, read(proof["inputs"]), read(proof["targets"]))
    start, eta = loss.pack(*weights), float.fromhex(proof["eta"])
    path = eom.descend(loss, start, eta=eta, steps=len(proof["claim"]) - 1)
    motion = eom.flow(loss, start, eta=eta, time=path.times, order=int(proof["order"]), rtol=1e-12, atol=1e-14)
    distances: np.ndarray = np.linalg.norm(path.thetas - motion.thetas, axis=1)
    return distances


@pytest.mark.parametrize("factor", [0.99, 1.01])
def test_a_network_changed_by_a_percent_is_refused_or_still_true(factor: float) -> None:
    loss, start = network((2, 1, 2), 3)
    proof = certificate(loss, start, eta=0.05, steps=3, order=1)
    caught = 0
    for path in numbers(proof):
        other = changed(proof, path, factor)
        if refused(other):
            caught += 1
        else:
            claim = np.array([float.fromhex(x) for x in other["claim"]])
            assert np.all(true_distances(other) <= claim + 1e-13), path
        if path[0] == "claim" and factor < 1 and path[1] > 0:
            assert refused(other), path
    assert caught >= 6


def test_convergence_of_an_instance() -> None:
    loss = eom.DeepLinear((2, 1, 1), inputs=[[2**0.5, 0.0], [0.0, 2**0.5]], targets=[[2**0.5], [0.0]])
    start = loss.pack(W1=[[0.48, 0.64]], W2=[[0.8]])
    guarantee = eom.bounds.guarantee_convergence(loss, start, epsilon=0.01)
    proof = certify_convergence(loss, start, epsilon=0.01)
    assert proof["steps"] == guarantee.steps
    assert check_certificate(json.loads(json.dumps(proof))) == [0.01]
    # As few steps as will do, so that any change for the worse is noticed.
    run = {"eta": 0.25, "steps": 40}
    path = eom.descend(loss, start, **run).thetas
    excess = loss.value(path[-1]) - guarantee.minimum
    sharp = certify_convergence(loss, start, epsilon=1.005 * excess, **run)
    assert not refused(sharp)
    assert refused(changed(sharp, ("epsilon",), 0.99))
    assert refused(changed(sharp, ("steps",), 0.99))
    assert refused(changed(sharp, ("eta",), 0.99))
    with pytest.raises(
        HypothesisError, match=r"needed a loss within epsilon = .* of its infimum, got .* after 40 steps"
    ):
        certify_convergence(loss, start, epsilon=0.99 * excess, **run)
    with pytest.raises(InputError, match="give both, or neither"):
        certify_convergence(loss, start, epsilon=0.1, eta=0.1)
    flat = eom.DeepLinear((2, 1, 1), inputs=[[1.0, 0.0]], targets=[[1.0]])
    with pytest.raises(HypothesisError, match="needed inputs that span their space"):
        certify_convergence(flat, [0.5, 0.5, 0.5], epsilon=0.1, eta=0.1, steps=5)


@pytest.mark.parametrize(
    "method",
    [eom.GradientDescent(), eom.HeavyBall("1/2"), eom.Nesterov("9/10"), ProximalPoint(), OptimisticGradient(),
     Extragradient(), SharpnessAware("3/4"), RungeKutta([[0, 0], [1, 0]], ["1/2", "1/2"])],
    ids=lambda method: method.name,
)  # fmt: skip
def test_formulas(method: Any) -> None:
    proof = json.loads(json.dumps(certify_formula(4, method=method)))
    assert check_certificate(proof) == [4]
    for tree, number in proof["terms"].items():
        wrong = copy.deepcopy(proof)
        wrong["terms"][tree] = str(eom.exact.numbers.as_fraction(number) * 101 / 100) if number != "0" else "1/1000"
        with pytest.raises(HypothesisError, match="does not hold: the coefficient of"):
            check_certificate(wrong)


def test_a_formula_must_be_complete_and_of_its_method() -> None:
    proof = certify_formula(3)
    other = copy.deepcopy(proof)
    other["method"] = certify_formula(3, method=eom.HeavyBall("1/100"))["method"]
    assert refused(other)
    other = copy.deepcopy(proof)
    del other["terms"]["[...]"]
    with pytest.raises(HypothesisError, match="all trees with at most 4 nodes, and no others"):
        check_certificate(other)
    other = copy.deepcopy(proof)
    other["terms"]["[.[.]]"] = other["terms"].pop("[[.].]", other["terms"].get("[.[.]]"))
    other["terms"]["[[.].]"] = other["terms"]["[.[.]]"]
    with pytest.raises(HypothesisError, match="each tree once"):
        check_certificate(other)
    with pytest.raises(InputError, match="goes up to order 9"):
        certify_formula(12)
    with pytest.raises(InputError, match="needs an optimiser with trees"):
        certify_formula(2, method=eom.Adam())
    with pytest.raises(InputError, match="needs fractions for the parameters"):
        certify_formula(2, method=eom.HeavyBall(sympy.Symbol("beta")))


def test_the_checkers_stand_alone(tmp_path: Path) -> None:
    loss, start = network()
    proofs = [
        certificate(loss, start, eta=0.05, steps=2),
        certify_convergence(loss, start, epsilon=100.0, eta=0.05, steps=2),
        certify_formula(2),
    ]
    for proof in proofs:
        path = tmp_path / "proof.json"
        path.write_text(json.dumps(proof))
        source = Path(eom.bounds.__file__).parent / f"{CHECKERS[proof['schema']].rpartition('.')[2]}.py"
        assert len(source.read_text().splitlines()) < 200
        assert "eomsym" not in source.read_text()
        run = [sys.executable, "-I", str(source), str(path)]
        done = subprocess.run(run, capture_output=True, text=True, check=True)
        assert done.stdout.startswith("holds: ")


def test_what_has_no_certificate() -> None:
    loss, start = network()
    with pytest.raises(InputError, match="a certificate of a network knows the orders 0 and 1"):
        certificate(loss, start, eta=0.05, steps=2, order=2)
    with pytest.raises(InputError, match="squared error and no weight decay"):
        certificate(loss.with_weight_decay(Fraction(1, 10)), start, eta=0.05, steps=2)
    with pytest.raises(HypothesisError, match="found no ball that the motion stays in"):
        certificate(loss, 10 * start, eta=3.0, steps=1)
    for wrong in ({}, [], {"schema": "mine"}):
        with pytest.raises(InputError, match="no certificate: its schema is"):
            check_certificate(wrong)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("order", range(2))
def test_a_hundred_parameters_and_a_thousand_steps(order: int) -> None:
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((20, 5))
    loss = eom.DeepLinear((5, 5, 5, 5, 5), inputs, inputs @ rng.standard_normal((5, 5)) / 5**0.5)
    start = 0.5 * loss.initial(1)
    proof = certificate(loss, start, eta=0.002, steps=1000, order=order)
    claim = check_certificate(proof)
    path = eom.descend(loss, start, eta=0.002, steps=1000)
    motion = eom.flow(loss, start, eta=0.002, time=path.times[-1], order=order, rtol=1e-12, atol=1e-14)
    true = float(np.linalg.norm(path.thetas[-1] - motion.thetas[-1]))
    assert claim[-1] == pytest.approx(true, rel=2e-3, abs=0)
