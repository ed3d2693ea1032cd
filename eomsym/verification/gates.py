"""Whether a motion slides along a kink of the loss, where an integrator that steps over kinks does not get on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from eomsym.losses.activations import region
from eomsym.types import Array

if TYPE_CHECKING:
    from eomsym.losses.objective import Objective

__all__ = ["GateWatch"]

#: Evaluations that are not looked at; from then on every so many are. No stage of Dormand and Prince's pairs repeats
#: with this period, so that both sides of a kink are seen.
FIRST, EVERY = 2000, 7
#: A kink that is crossed is seen from both sides for a while, until the step that crosses it is short enough: some
#: twenty switches. The steps are long again only many looks later. A gate that has switched much more often, and was
#: never quiet for so many looks, goes to and fro.
OFTEN, QUIET = 400, 12


class GateWatch:
    """Count how often each gate of some losses has switched between looks at an integration, since it was quiet.

    Where the flow runs towards a kink from both of its sides, it goes on along the kink, with a velocity that no side
    has. Each step of an integrator crosses to the other side, however short it is.

    Parameters
    ----------
    losses : sequence of Objective

    Examples
    --------
    >>> import eomsym as eom
    >>> watch = GateWatch([eom.Loss("Abs(x)", variables="x")])
    >>> {watch(np.array([(-1.0) ** i])) for i in range(FIRST)}
    {''}
    >>> [told for i in range(FIRST * EVERY) if (told := watch(np.array([(-1.0) ** i])))][0]
    'the motion slides along a kink, to and fro over gates 0, 1 (of 0 to 1)'

    References
    ----------
    A. F. Filippov (1988), Differential Equations with Discontinuous Righthand Sides, section 4,
    doi:10.1007/978-94-015-7793-9.
    """

    def __init__(self, losses: Sequence[Objective]) -> None:
        self.losses = tuple(losses)
        self.kinked = any(node.operation == "gate" for loss in self.losses for node in loss.program.nodes)
        self.evaluations = 0
        self.before = np.zeros(0, dtype=bool)
        self.switches, self.quiet = np.zeros(0, dtype=int), np.zeros(0, dtype=int)

    def __call__(self, point: Array) -> str:
        """Look at a point, shape (n,) or longer; what is wrong, or nothing."""
        self.evaluations += 1
        if not self.kinked or self.evaluations <= FIRST or self.evaluations % EVERY:
            return ""
        pattern = np.concatenate([region(loss, point[: loss.size]) for loss in self.losses])
        if not len(self.before):
            self.before, self.switches, self.quiet = pattern, np.zeros(len(pattern), int), np.zeros(len(pattern), int)
        switched = pattern != self.before
        self.before = pattern
        self.quiet = np.where(switched, 0, self.quiet + 1)
        self.switches = np.where(self.quiet > QUIET, 0, self.switches + switched)
        places = np.flatnonzero(self.switches > OFTEN)
        if not len(places):
            return ""
        gates = f"gate{'s' if len(places) > 1 else ''} {', '.join(map(str, places))} (of 0 to {len(pattern) - 1})"
        return f"the motion slides along a kink, to and fro over {gates}"
