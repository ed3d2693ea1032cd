from __future__ import annotations

import numpy as np
import pytest

from eomsym.dynamics import chebyshev


@pytest.mark.parametrize("stages", [2, 3, 7, 20, 60])
def test_stable_on_the_whole_interval_and_not_far_beyond(stages: int) -> None:
    def amplified(z: np.ndarray) -> np.ndarray:
        return np.abs(chebyshev.step(lambda y: -z * y, np.ones_like(z), -z, 1.0, stages))

    assert amplified(np.linspace(0, chebyshev.stability(stages), 2001)).max() <= 1.0 + 1e-12
    assert amplified(np.array([1.4 * chebyshev.stability(stages)]))[0] > 1.0


@pytest.mark.parametrize("stages", [2, 5, 15])
def test_second_order(stages: int) -> None:
    def field(y: np.ndarray) -> np.ndarray:
        return np.array([-(y[0] ** 2), y[0] - np.sin(y[1])])

    def end(count: int) -> np.ndarray:
        y = np.array([1.0, 0.5])
        for _ in range(count):
            y = chebyshev.step(field, y, field(y), 1.0 / count, stages)
        return y

    coarse, middle, fine = (end(count) for count in (20, 40, 80))
    np.testing.assert_allclose((coarse - middle) / (middle - fine), 4.0, rtol=0.1)


def test_the_estimated_local_error_is_on_the_safe_side() -> None:
    """It holds the error of the step itself too: 9/5 of the leading one for many stages."""
    one, h = np.ones(1), 0.05
    after = chebyshev.step(lambda y: -y, one, -one, h, 40)
    estimate = chebyshev.local_error(one, -one, after, -after, h)[0]
    assert estimate / (np.exp(-h) - after[0]) == pytest.approx(1.8, abs=0.1)
