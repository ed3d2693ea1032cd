"""The unrolled form: a standalone module in which the instructions stand as calls, one a line.

It needs numpy and numba only, and a reader finds his loss in it: every line is one operation on tables, with what it
computes beside it.
"""

from __future__ import annotations

import numpy as np

from eomsym.codegen import source
from eomsym.losses.functions import FUNCTIONS
from eomsym.taylor.instructions import FULL, SKIP, Instruction, entries
from eomsym.taylor.plan import Plan

__all__ = ["FIELD", "standalone"]

_TERMS = '''
def terms(theta):
    """Counter terms at theta, shape ({order} + 1, {n}): row k multiplies eta**k in theta' = -sum_k eta**k terms[k]."""
    memory = np.zeros({memory})
    memory[:{n}] = np.asarray(theta, dtype=np.float64).reshape({n})
    out = np.empty(({order} + 1, {n}))
    fill(memory, INTEGERS, NUMBERS, WEIGHTS, out)
    return out
'''.strip()
#: Works for both forms.
FIELD = '''
def field(theta, eta):
    """Velocity theta' of the equation of motion of order {order} at theta, shape ({n},)."""
    rows = terms(theta)
    velocity = -rows[{order}]
    for row in rows[:{order}][::-1]:
        velocity = eta * velocity - row
    return velocity
'''.strip()


def standalone(plan: Plan, numbers: np.ndarray, order: int, header: str) -> str:
    """Source of a module with ``terms(theta)`` and ``field(theta, eta)``: provenance, primitives, the loss, numbers.

    Parameters
    ----------
    plan : Plan
        From `terms_plan`.
    numbers : ndarray of float64
        The plan's numbers.
    order : int
    header : str
        Docstring of the module.
    """
    lanes, count = plan.lanes, entries(order)
    data = {
        "INTEGERS": np.array(plan.integers, dtype=np.int64),
        "NUMBERS": numbers,
        "WEIGHTS": np.array([[float(x) for x in row] for row in plan.weights(order)]),
    }
    written = "\n".join(f"{name} = {source.array(array)}" for name, array in data.items())
    packed = "unpacked(" in written
    vector = plan.vector and any(FUNCTIONS[name].vector for name in plan.functions)
    parts = [
        f'"""{header}\n"""',
        ("import base64\nimport math\nimport zlib\n\n" if packed else "import math\n\n")
        + "import numpy as np\nfrom numba import njit",
        *([source.vector_functions()] if vector else []),
        source.helpers(plan.primitives - {"value"}),
        *([source.values(plan.functions, vector=plan.vector)] if plan.functions else []),
        "\n".join(_fill(plan, order)),
        *([source.UNPACK] if packed else []),
        f"# the numbers of loss and method\n{written}",
        _TERMS.format(order=order, n=plan.size, memory=lanes * count + plan.scratch_for(order) + 1),
        FIELD.format(order=order, n=plan.size),
    ]
    return "\n\n\n".join(parts) + "\n"


def _fill(plan: Plan, order: int) -> list[str]:
    """The function that sweeps the loss, degree by degree."""
    count, end = entries(order), plan.lanes * entries(order)
    lines = [
        source.flags(entry=True),
        "def fill(memory, integers, numbers, weights, out):",
        f'    """Terms 0..{order} at the point that begins the memory, into the rows of `out`."""',
        "    # tables, entries x lanes: entry d(d+1)/2 + i is the coefficient of s**i eta**(d-i)",
    ]
    for number, table in enumerate(plan.tables):
        start = table.start * count
        lines.append(f"    v{number} = memory[{start}:{start + table.lanes * count}].reshape({count}, {table.lanes})")
    lines += [f"    scratch = memory[{end}:]", f"    for d in range({order} + 1):", f"        last = d == {order} > 0"]
    kinds = sorted({(line.plain, line.mix) for line in plan.instructions if line.mix != SKIP or order > 0})
    for plain, mix in kinds:
        low, mixed = ("min(d, 1)" if plain else "0"), ("last" if mix >= 0 else "False")
        name = _context(plain, mix)
        lines.append(f"        {name} = (d, {low}, {mixed}, weights[{max(mix, 0)}], 0.0, scratch)")
    for line in plan.instructions:
        lines += _call(line, order)
    result = f"v{plan.outputs[0]}"
    lines += [
        f"    for d in range({order} + 1):",
        f"        e = row(d, d if d == {order} else 0)  # the last sum stands in the place of the last entry",
        "        for q in range(out.shape[1]):",
        f"            out[d, q] = {result}[e, q]",
    ]
    return lines


def _context(plain: bool, mix: int) -> str:
    """Name of what a primitive is told about the degree: all entries, a sum, or nothing at the last one."""
    kind = {FULL: "full", SKIP: "early"}.get(mix, f"sum{mix}")
    return f"plain_{kind}" if plain else kind


def _call(line: Instruction, order: int) -> list[str]:
    arguments = ", ".join(
        [
            _context(line.plain, line.mix),
            *(f"v{table}" for table in (line.out, line.x, line.y)),
            f"integers[{line.integers}:]",
            f"numbers[{line.numbers}:]",
        ]
    )
    call = f"{line.primitive}({arguments})"
    if line.mix == SKIP:  # nothing of the last degree is needed
        return [f"        if not last:  # {line.comment}", f"            {call}"]
    return [f"        {call}  # {line.comment}"]
