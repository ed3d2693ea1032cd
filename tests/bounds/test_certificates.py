"""Certificates hold, whatever is changed in them is noticed, and the checker stands alone."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from problems import ROSENBROCK

import eomsym as eom
from eomsym.bounds import certificate, check_certificate, checker
from eomsym.errors import HypothesisError, InputError


@pytest.mark.parametrize("order", range(3))
def test_a_certificate_is_sharp_and_stands_alone(order: int, tmp_path: Path) -> None:
    loss, start = ROSENBROCK.build(), ROSENBROCK.start
    proof = certificate(loss, start, eta=0.05, steps=4, order=order, substeps=2)
    path = tmp_path / "proof.json"
    path.write_text(json.dumps(proof))
    claim = check_certificate(json.loads(path.read_text()))
    descent = eom.descend(loss, start, eta=0.05, steps=4)
    motion = eom.flow(loss, start, eta=0.05, time=descent.times, order=order)
    true = np.linalg.norm(descent.thetas - motion.thetas, axis=1)
    assert np.all(true <= np.array(claim) + motion.error)
    assert claim[-1] <= 1.01 * true[-1]
    if order == 1:
        source = Path(checker.__file__)
        assert len(source.read_text().splitlines()) < 200
        run = [sys.executable, "-I", str(source), str(path)]
        done = subprocess.run(run, capture_output=True, text=True, check=True)
        assert done.stdout.startswith("holds: distances [0.0, ")


def test_whatever_is_changed_is_noticed() -> None:
    proof = certificate(eom.Loss("x**4/4 - x*y + y**2", variables="x y"), [0.5, 0.25], eta=0.0625, steps=2, order=1)
    check_certificate(proof)

    def smaller(text: str) -> str:
        return (float.fromhex(text) * 0.999).hex()

    changes = {
        "claim": lambda p: p["claim"].__setitem__(2, smaller(p["claim"][2])),
        "radius": lambda p: p["steps"][0].__setitem__("radius", smaller(p["steps"][0]["radius"])),
        "growth": lambda p: p["steps"][1].__setitem__("growth", (-10.0).hex()),
        "stays in its box": lambda p: p["steps"][0]["box"][0].__setitem__(1, (1e-9).hex()),
        "claim|radius|box": lambda p: p["loss"][0].__setitem__(1, "26/100"),
        "radius|box": lambda p: p.__setitem__("order", 0),
        "one entry a substep": lambda p: p["steps"].pop(),
    }
    for what, change in changes.items():
        wrong = copy.deepcopy(proof)
        change(wrong)
        with pytest.raises(HypothesisError, match=f"does not hold: .*({what})"):
            check_certificate(wrong)
    with pytest.raises(InputError, match="no certificate: its schema is None"):
        check_certificate({})


def test_what_has_no_certificate() -> None:
    with pytest.raises(InputError, match="needs a polynomial with rational coefficients"):
        certificate(eom.Loss("exp(x)", variables="x"), [1.0], eta=0.1, steps=1)
    with pytest.raises(InputError, match="knows the orders 0, 1 and 2"):
        certificate(eom.Loss("x**2", variables="x"), [1.0], eta=0.1, steps=1, order=3)
    with pytest.raises(HypothesisError, match=r"found no box|became infinite|too wide"):
        certificate(eom.Loss("-x**4", variables="x"), [1.0], eta=1.0, steps=1)
