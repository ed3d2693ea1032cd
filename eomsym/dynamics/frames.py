"""Which directions are fast, which are critical, and when a frame no longer fits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from eomsym.dynamics.spectrum import Spectrum, denominator, spectrum
from eomsym.errors import HypothesisError
from eomsym.taylor.channels import Frame, critical_number, response

if TYPE_CHECKING:
    from eomsym.codegen.kernel import Kernel
    from eomsym.optimisers.base import Method
    from eomsym.optimisers.filters import Filter

__all__ = ["Chooser", "fading", "slowest"]

Array = NDArray[np.float64]

#: A direction is fast from about half of the radius on; the cut is the widest gap between these shares of the radius.
WINDOW = 0.35, 0.75
#: From this share of the critical number on a direction carries an amplitude.
CRITICAL = 0.8
#: A frame is renewed where curvatures, or couplings to other directions, times eta, have changed by this.
DRIFT = 0.12
#: Residual of eigenvectors, over the largest eigenvalue.
RESIDUAL = 3e-3


@dataclass(eq=False)
class Chooser:
    """Measures the largest eigenvalues and makes frames of them.

    Attributes
    ----------
    kernel : Kernel
    eta : float
    critical, fast : int
        At most so many directions of either kind.
    """

    kernel: Kernel
    eta: float
    critical: int
    fast: int

    def __post_init__(self) -> None:
        self.method = self.kernel.method
        self.edge = float(critical_number(self.method))
        radius = self.method.stability().radius if self.method.is_linear else None
        #: Beyond it the eliminated motion has no series; a method that divides by roots is cut as gradient descent is.
        self.radius = self.edge / 2 if radius is None else min(float(radius), self.edge / 2)
        self.last: Spectrum | None = None
        self.products = 0

    def measure(self, mean: Array, alternating: Array) -> Spectrum:
        """The largest eigenvalues around a mean, as many as it takes to see where the slow ones begin."""
        n = self.kernel.loss.size
        guess = None if self.last is None else self.last.right
        count = min(n, 4 if guess is None else max(guess.shape[1], 3))
        scale = denominator(self.kernel, np.stack([mean + alternating, mean - alternating]))
        while True:
            found = spectrum(self.kernel, mean, count, guess=guess, scale=scale, rtol=RESIDUAL)
            self.products += found.products
            if self.eta * found.values[-1] < WINDOW[0] * self.radius or count == n:
                break
            if count > self.fast:
                raise HypothesisError(
                    f"more than {self.fast} eigenvalues of the Hessian have eta*lambda >= "
                    f"{WINDOW[0] * self.radius:.2g}, where directions stop being slow; allow more with fast={2 * count}"
                )
            count, guess = min(n, count + max(2, count // 2)), found.right
        keep = min(len(found.values), max(3, int(np.sum(self.eta * found.values >= WINDOW[0] * self.radius)) + 1))
        found = Spectrum(found.values[:keep], found.right[:, :keep], found.left[:, :keep], found.residual, 0)
        self.last = self._turned(found)
        return self.last

    def _turned(self, found: Spectrum) -> Spectrum:
        """Eigenvectors with the signs of the last ones, so that amplitudes do not jump."""
        if self.last is None:
            return found
        k = min(len(found.values), len(self.last.values))
        signs = np.ones(len(found.values))
        signs[:k] = np.where(np.sum(self.last.left[:, :k] * found.right[:, :k], axis=0) < 0, -1.0, 1.0)
        return Spectrum(found.values, found.right * signs, found.left * signs, found.residual, found.products)

    def cut(self, values: Array) -> int:
        """How many directions are fast: the widest gap, as a ratio, around half of the radius."""
        shares = self.eta * values / self.radius
        sure, near = int(np.sum(shares > WINDOW[1])), int(np.sum(shares > WINDOW[0]))
        below = np.append(np.maximum(shares, 1e-3), 1e-3)
        candidates = range(sure, near + 1)
        above = [WINDOW[1] if m == sure else shares[m - 1] for m in candidates]
        ends = [max(below[m], WINDOW[0]) for m in candidates]
        best = int(np.argmax([a / b for a, b in zip(above, ends, strict=True)]))
        return sure + best

    def frame(self, found: Spectrum) -> Frame:
        """The frame of the largest eigenvalues.

        Raises
        ------
        HypothesisError
            More critical or more fast directions than asked for.
        """
        m = self.cut(found.values)
        critical = int(np.sum(self._near(found.values[:m])))
        if critical > self.critical:
            raise HypothesisError(
                f"{critical} directions are near the edge (eta*lambda = "
                f"{', '.join(f'{self.eta * x:.3g}' for x in found.values[:critical])}), and critical={self.critical} "
                f"were asked for; type critical={critical}"
            )
        right, left = (np.ascontiguousarray(side[:, :m]) for side in (found.right, found.left))
        left = left @ np.linalg.inv(left.T @ right).T
        return Frame(right, left, found.values[:m].copy(), critical, self.eta)

    def turned(self, frame: Frame, mean: Array, alternating: Array) -> Array:
        """What the Hessian (or the preconditioned one) makes of the directions of a frame, shape (n, m)."""
        self.products += frame.fast
        found: Array = self.kernel.hessian_vector(mean, frame.right.T).T
        scale = denominator(self.kernel, np.stack([mean + alternating, mean - alternating]))
        return found if scale is None else found / scale[:, None]

    def drift(self, frame: Frame, before: Array, now: Array) -> tuple[float, Array]:
        """How far a frame has come from fitting, by what `turned` has given at its begin and gives now.

        Returns
        -------
        drift : float
            Largest change in a direction, times eta; infinite where one has become critical, or slow.
        values : ndarray, shape (m,)
            Curvatures of the directions.
        """
        values = np.sort(np.linalg.eigvals(frame.left.T @ now).real)[::-1]
        if self.eta * values[-1] < WINDOW[0] * self.radius or np.sum(self._near(values)) > frame.critical:
            return np.inf, values
        change = np.linalg.norm(now - before, axis=0) / np.linalg.norm(frame.right, axis=0)
        return float(self.eta * np.max(change)), values

    def enters(self, frame: Frame, found: Spectrum) -> bool:
        """Whether a slow direction has become fast."""
        return bool(np.sum(self.eta * found.values > WINDOW[1] * self.radius) > frame.fast)

    def _near(self, values: Array) -> NDArray[np.bool_]:
        """Which eigenvalues are near the edge."""
        found: NDArray[np.bool_] = self.eta * values >= CRITICAL * self.edge
        return found


def fading(method: Method) -> float:
    """By which factor what an optimiser remembers of its start shrinks in a step; 0 without a memory.

    Examples
    --------
    >>> from eomsym.optimisers.accelerated import HeavyBall
    >>> round(fading(HeavyBall("9/10")), 12)
    0.9
    """
    given = getattr(method, "edge_fading", None)
    roots = _roots(response(method), 0.0)
    return max(sorted(roots)[:-1], default=0.0) if given is None else float(given())


def slowest(frame: Frame, method: Method) -> float:
    """By which factor a deviation from the slow manifold shrinks in a step, at worst: over the slaved directions."""
    products = frame.eta * frame.curvatures[frame.critical :]
    return max((max(_roots(response(method), float(q))) for q in products), default=0.0)


def _roots(answer: Filter, q: float) -> list[float]:
    """Moduli of the roots E of ``E - 1 + q G(E^-1)``."""
    below, above = (np.array([float(c) for c in row]) for row in (answer.below, answer.above))
    # times below and E^-1, in powers of E^-1 from 0 on: those of E from the highest on
    polynomial = np.polynomial.polynomial.polyadd(np.convolve([1.0, -1.0], below), np.append(0.0, q * above))
    return [float(abs(root)) for root in np.roots(polynomial)]
