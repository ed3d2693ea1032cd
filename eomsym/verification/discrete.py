"""The discrete run that a verification judges, and how far it can be trusted.

The judged iterates come from `eomsym.descend`. A second, independent implementation, straight from the
general linear form of the method, repeats the run a few times with every iterate moved at random by up to
one unit in the last place. The largest distance of these runs from the judged one measures its rounding
error; a mistake in either implementation shows up there too.

**Methods that look back.** Momentum needs values before the start. The modified flow describes the
*principal* solution of such a method alone; any other choice of the old values, such as repeating the
start, excites parasitic modes, an error of order ``eta`` that no counter term can remove. So the old values
``theta_{-l}`` are taken from the modified flow through the start, integrated backwards to the times ``-l
eta``. With its order two above that of the leading error, the mistake is ``O(eta**3)`` times what is
judged. It is measured too: the run is repeated with old values of one order less.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from eomsym.dynamics.descent import descend
from eomsym.dynamics.flow import SMALLEST_RTOL, flow
from eomsym.errors import DivergenceError, MethodError

if TYPE_CHECKING:
    from eomsym.codegen.kernel import Kernel
    from eomsym.exact.methods import Method
    from eomsym.losses.objective import Objective

__all__ = ["Optimiser"]

Array = NDArray[np.float64]

NOISY_RUNS = 3
MOST_ITERATIONS = 200  # of an implicit step


class Optimiser:
    """One method on one loss, ready to run from the principal start.

    Parameters
    ----------
    loss : Objective
    method : Method
        Not a flow.

    Raises
    ------
    MethodError
        If the method has no discrete form, or needs more than one field.

    Examples
    --------
    >>> import numpy as np
    >>> import eomsym as eom
    >>> loss, method = eom.Loss("x**2/2", variables="x"), eom.GradientDescent()
    >>> optimiser = Optimiser(loss, method)
    >>> theta, doubt = optimiser.run(eom.compile(loss, 1), np.ones(1), 0.5, 3)
    >>> float(theta[0]), doubt < 1e-15
    (0.125, True)
    """

    def __init__(self, loss: Objective, method: Method) -> None:
        form = method.general_linear()
        if method.colours > 1:
            raise MethodError(f"{method.name} needs one field for each batch; verify knows full-batch methods")
        self.loss, self.method, self.explicit = loss, method, form.explicit
        self.past = np.array(form.past, dtype=np.float64)
        self.weights, self.extrapolation, self.coupling = (
            np.array(matrix, dtype=np.float64) for matrix in (form.weights, form.extrapolation, form.coupling)
        )

    @property
    def lags(self) -> int:
        """How many iterates a step looks back to."""
        return len(self.past)

    @property
    def extra_order(self) -> int:
        """How much more order than the judged one the kernel needs."""
        return 1 if self.lags == 1 else 3

    def run(self, kernel: Kernel, start: Array, eta: float, steps: int) -> tuple[Array, float]:
        """Run the method from its principal start.

        Parameters
        ----------
        kernel : Kernel
            Of this loss and method; its last two orders give the old values.
        start : ndarray, shape (n,)
        eta : float
        steps : int

        Returns
        -------
        theta : ndarray, shape (n,)
            After `steps` steps.
        doubt : float
            Measured Euclidean error, of rounding and of the old values.

        Raises
        ------
        DivergenceError
            If an iterate is not finite.
        """
        history, doubt = self._history(kernel, start, eta)
        final = self._judged(history, eta, steps)
        rng = np.random.default_rng(0)  # a fixed seed: the same command gives the same report
        repeats = [self._repeat(history, eta, steps, rng, doubt) for _ in range(NOISY_RUNS)]
        rounding = max(float(np.linalg.norm(other - final)) for other in repeats)
        if self.lags == 1:
            return final, rounding
        poorer, _ = self._history(kernel.at_order(kernel.order - 1), start, eta)
        return final, rounding + float(np.linalg.norm(self._judged(poorer, eta, steps) - final))

    def _history(self, kernel: Kernel, start: Array, eta: float) -> tuple[Array, float]:
        """Points of the modified flow at times 0, -eta, ..., shape (2 lags - 1, n), and their error.

        The last step needs ``lags`` iterates, and its oldest stage as many before that.
        """
        if self.lags == 1:
            return start[None, :], 0.0
        times = -eta * np.arange(2.0 * self.lags - 1)
        size = float(np.sqrt(np.mean(start**2))) or 1.0
        path = flow(kernel, start, eta, times, rtol=SMALLEST_RTOL, atol=0.01 * SMALLEST_RTOL * size)
        return path.thetas, path.error

    def _judged(self, history: Array, eta: float, steps: int) -> Array:
        """Last iterate ``(n,)`` of the run that is judged."""
        old = history[1:] if self.lags > 1 else None
        path = descend(self.loss, history[0], eta, steps, self.method, every=steps, history=old)
        last: Array = path.thetas[-1]
        return last

    def _repeat(
        self,
        history: Array,
        eta: float,
        steps: int,
        rng: np.random.Generator | None = None,
        doubt: float = 0.0,
    ) -> Array:
        """Last iterate ``(n,)`` of the second implementation; each iterate is moved if ``rng`` is given."""

        def noise(theta: Array, extra: float = 0.0) -> Array:
            if rng is None:
                return theta
            ulps = np.spacing(theta) * rng.integers(-1, 2, theta.shape)
            moved: Array = theta + ulps + extra / np.sqrt(theta.size) * rng.choice([-1.0, 1.0], theta.shape)
            return moved

        # The start is exact by definition, old values carry the error of their integration.
        old = [noise(theta, doubt) for theta in history[1:]]
        thetas: deque[Array] = deque([history[0], *old])
        fields = deque(self._fields(list(thetas)[lag:], eta) for lag in range(1, self.lags))
        for step in range(1, steps + 1):
            with np.errstate(all="ignore"):
                fields.appendleft(self._fields(list(thetas), eta))
                new = sum(past * theta for past, theta in zip(self.past, thetas, strict=False))
                for lag, stages in enumerate(fields):
                    new = new + eta * (self.weights[:, lag] @ stages)
            if not np.all(np.isfinite(new)):
                raise DivergenceError(f"{self.method.name} leaves the finite numbers at step {step}", step)
            thetas.appendleft(noise(new))
            thetas.pop()
            fields.pop()
        return thetas[0]

    def _fields(self, thetas: list[Array], eta: float) -> Array:
        """Velocities ``F(Y_i)``, shape (stages, n), of the step that starts from ``thetas``, newest first."""
        bases = self.extrapolation @ np.array(thetas[: self.lags])
        fields: Array = np.zeros_like(bases)
        if self.explicit:
            for i, base in enumerate(bases):
                fields[i] = self._field(base + eta * (self.coupling[i] @ fields))
            return fields
        change = np.inf
        for _ in range(MOST_ITERATIONS):  # contracts for eta times Hessian below one, where the series holds
            points = bases + eta * (self.coupling @ fields)
            previous, fields = fields, np.array([self._field(point) for point in points])
            last, change = change, float(np.max(np.abs(fields - previous)))
            if not np.isfinite(change) or last <= change <= 1e-12 * float(np.max(np.abs(fields))):
                return fields  # down to rounding, or lost; the caller looks
        raise MethodError(f"the implicit step of {self.method.name} does not converge; take more steps")

    def _field(self, point: Array) -> Array:
        """Velocity ``F = -g``, shape (n,); NaN where the point is not finite."""
        if not np.all(np.isfinite(point)):
            return np.full_like(point, np.nan)
        field: Array = -self.loss.gradient(point)
        return field
