"""Side by side with heyoka.py: gradient flow of small losses to 1e-12, first result and time of a trajectory."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

import numpy as np
import pytest
import sympy
from bench.measure import SMALL, fresh_process, show, side_by_side, tanh_text

import eomsym as eom

pytestmark = pytest.mark.bench
heyoka = pytest.importorskip("heyoka")

TIME = 5.0
LOSSES = {"2 variables": ("(1-x)**2/2 + (y-x**2)**2/2", "x y"), "12 parameters": tanh_text(*SMALL)}

THEIR_FIRST = """
import json, time
import heyoka, numpy as np
heyoka.llvm_state.set_diskcache_enabled(False)
from bench.test_against_heyoka import LOSSES, integrator
import eomsym as eom
loss = eom.Loss(*LOSSES[{name!r}])
begin = time.process_time()
run = integrator(loss.expression, loss.variables, np.linspace(-0.5, 0.9, loss.size))
run.propagate_until({time})
print(json.dumps({{"cpu": time.process_time() - begin}}))
"""
OUR_FIRST = """
import json, time
import numpy as np
import eomsym as eom
from bench.test_against_heyoka import LOSSES
loss = eom.Loss(*LOSSES[{name!r}])
begin = time.process_time()
eom.flow(eom.compile(loss, 0), np.linspace(-0.5, 0.9, loss.size), time={time}, rtol=2e-10)
print(json.dumps({{"cpu": time.process_time() - begin}}))
"""


def integrator(expression: Any, variables: Any, start: np.ndarray) -> Any:
    """heyoka's adaptive Taylor integrator of ``theta' = -grad L``, with its own derivatives."""
    names = {symbol: heyoka.expression(symbol.name) for symbol in variables}
    fractions = [number for number in expression.atoms(sympy.Rational) if number.q > 1]  # refused by from_sympy
    loss = heyoka.from_sympy(expression.xreplace({number: sympy.Float(number, 17) for number in fractions}), names)
    gradient = heyoka.diff_tensors([loss], diff_args=list(names.values()), diff_order=1).gradient
    system = [(variable, -slope) for variable, slope in zip(names.values(), gradient, strict=True)]
    return heyoka.taylor_adaptive(system, list(start), tol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_flow(name: str, tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    heyoka.llvm_state.set_diskcache_enabled(False)
    loss = eom.Loss(*LOSSES[name])
    start = np.linspace(-0.5, 0.9, loss.size)
    run, kernel = integrator(loss.expression, loss.variables, start), eom.compile(loss, 0)

    def theirs() -> np.ndarray:
        run.time = 0.0
        run.state[:] = start
        run.propagate_until(TIME)
        return np.array(run.state)

    ours = partial(eom.flow, kernel, start, time=TIME, rtol=2e-10)  # its tighter run has 1e-12 too
    np.testing.assert_allclose(ours().thetas[-1], theirs(), rtol=0, atol=1e-10)
    seconds = side_by_side({"heyoka": theirs, "eomsym": ours}, rounds=30)

    path = {"PYTHONPATH": ":".join(sys.path), "EOMSYM_CACHE_DIR": str(tmp_path)}
    words = {"name": name, "time": TIME}
    first = {"heyoka": fresh_process(THEIR_FIRST.format(**words), **path)["cpu"]}
    first["eomsym, cold"] = fresh_process(OUR_FIRST.format(**words), **path)["cpu"]
    first["eomsym, warm"] = fresh_process(OUR_FIRST.format(**words), **path)["cpu"]
    lines = [f"first result: {', '.join(f'{who} {t:.2f} s' for who, t in first.items())}"]
    lines.append(f"trajectory: {', '.join(f'{who} {1e3 * t:.3f} ms' for who, t in seconds.items())}")
    show(capsys, f"gradient flow of {name} to time {TIME}, 1e-12", lines)
    assert first["eomsym, warm"] < first["eomsym, cold"]
