"""The explicit form: one straight line of arithmetic for all terms at a point."""

from __future__ import annotations

import itertools
import math
from typing import Any

from eomsym.codegen.backends.unrolled import FIELD
from eomsym.codegen.numbers import nearest
from eomsym.codegen.source import flags
from eomsym.errors import ExpressionError, SizeError
from eomsym.losses.functions import FUNCTIONS
from eomsym.taylor.instructions import entries
from eomsym.taylor.plan import Plan
from eomsym.taylor.rings.tape import Tape
from eomsym.taylor.table import counter_terms_at
from eomsym.taylor.work import products

__all__ = ["LIMIT", "Explicit", "standalone", "worth_it"]

#: Operations beyond which the explicit form is refused: numba then takes minutes.
LIMIT = 20_000
#: Points that are evaluated together.
BLOCK = 64

_WRITTEN = {"+": "{0} + {1}", "*": "{0} * {1}"}

#: They decide by a number, which a tape does not have.
DECIDES = frozenset({"gate", "center", "peak"})


class Explicit:
    """Tape of all terms of a plan, and its source."""

    def __init__(self, plan: Plan, order: int, limit: int = LIMIT) -> None:
        self.size = plan.size
        self.order = order
        if plan.primitives & DECIDES:
            raise ExpressionError(
                "the explicit form has no branches, and a softmax or a kink decides by a number which is larger; "
                "use form='table' or form='auto'"
            )
        if _least(plan) > limit:
            raise SizeError(
                f"the explicit form of a loss with {_least(plan):,} multiplications at each order is too long; "
                "use form='table', whose code does not grow"
            )
        self.tape = Tape(limit)
        theta = [self.tape.variable(i) for i in range(plan.size)]
        rows = counter_terms_at(plan, theta, order, self.tape)
        self.terms = [[place.index for place in row] for row in rows]
        self.live = self.tape.live([place for row in rows for place in row])

    @property
    def operations(self) -> int:
        """Additions, multiplications and functions."""
        return sum(self.tape.lines[i][0] not in {"variable", "number"} for i in self.live)

    @property
    def source(self) -> str:
        """A module with one function ``explicit(thetas, out)``, for points in rows.

        Points go through in blocks, each number of a block in a row of its own: the loop over them then has the
        form that LLVM turns into vector instructions (half the time a point).
        """
        rows = self.size * (self.order + 2)
        lines = [
            "import math\n\nimport numpy as np\nfrom numba import njit\n\n",
            flags(entry=True, types="void(float64[:, ::1], float64[:, :, ::1])"),
            "def explicit(thetas, out):",
            f'    """Terms 0..{self.order} at each row of `thetas`, in {self.operations} operations."""',
            f"    s = np.zeros({rows * BLOCK})",
            f"    for start in range(0, thetas.shape[0], {BLOCK}):",
            f"        count = min({BLOCK}, thetas.shape[0] - start)",
            f"        for q in range({self.size}):",
            "            for lane in range(count):",
            f"                s[q * {BLOCK} + lane] = thetas[start + lane, q]",
            "        for lane in range(count):",
            *(f"            {line}" for line in self._body()),
            f"        for k in range({self.order + 1}):",
            f"            for q in range({self.size}):",
            "                for lane in range(count):",
            f"                    out[start + lane, k, q] = s[(k * {self.size} + q + {self.size}) * {BLOCK} + lane]",
        ]
        return "\n".join(lines) + "\n"

    def _body(self) -> list[str]:
        lines = []
        for index in self.live:
            kind, *content = self.tape.lines[index]
            if kind == "variable":
                lines.append(f"t{index} = s[lane + {content[0] * BLOCK}]")
            elif kind != "number":
                lines.append(f"t{index} = {_written(kind).format(*map(self._name, content))}")
        for row, index in enumerate(itertools.chain.from_iterable(self.terms)):
            lines.append(f"s[lane + {(self.size + row) * BLOCK}] = {self._name(index)}")
        return lines

    def _name(self, index: int) -> str:
        kind, *content = self.tape.lines[index]
        return literal(content[0]) if kind == "number" else f"t{index}"


def _written(kind: str) -> str:
    """How an operation of the tape is written."""
    return _WRITTEN.get(kind) or FUNCTIONS[kind].source


def _least(plan: Plan) -> int:
    """Multiplications of one evaluation of the gradient, at least."""
    return sum(products(plan))


def literal(number: Any) -> str:
    """The double nearest to an exact number, as a literal that reads back as itself."""
    text = repr(nearest(number))
    return f"({text})" if text.startswith("-") else text


def predicted(plan: Plan, order: int) -> float:
    """About how many operations the closed form of terms 0..order has; infinity where it has none.

    Products of two tables cost some ``entries**2/4`` operations each, everything else `entries`.
    """
    if plan.primitives & DECIDES:
        return math.inf
    long = sum(
        work
        for work, line in zip(products(plan), plan.instructions, strict=True)
        if line.primitive in {"convolve", "matmul"}
    )
    return long * entries(order) ** 2 / 4 + (_least(plan) - long) * entries(order)


def worth_it(plan: Plan, order: int) -> float:
    """From how many points on compiling the closed form pays: decided by the work, before a tape is made.

    An operation takes 2 ms to compile; in the table it takes some 5 ns a point, and in the closed form a tenth of that.
    """
    operations = predicted(plan, order)
    return (0.5 + 2e-3 * operations) / (5e-9 * operations) if operations <= LIMIT // 4 else math.inf


_TERMS = '''
def terms(theta):
    """Counter terms at theta, shape ({order} + 1, {n}): row k multiplies eta**k in theta' = -sum_k eta**k terms[k]."""
    out = np.empty((1, {order} + 1, {n}))
    explicit(np.asarray(theta, dtype=np.float64).reshape(1, {n}), out)
    return out[0]
'''.lstrip()


def standalone(form: Explicit, header: str) -> str:
    """Source of a module that needs numpy and numba only."""
    functions = f"{_TERMS}\n\n{FIELD}".format(order=form.order, n=form.size)
    return f'"""{header}\n"""\n\n{form.source}\n\n{functions}\n'
