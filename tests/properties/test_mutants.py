"""The properties notice a wrong bound: each mutant breaks one line of the theory and must be caught."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from properties import checks

from eomsym.bounds import proven
from eomsym.bounds.truncation import step_defect
from eomsym.curvature.hessian import Spectrum
from eomsym.testing import Run, runs, starts

pytestmark = pytest.mark.properties

CALM = settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def caught(property_: Callable[..., Any], *strategies: Any) -> None:
    """Run a property as the real test does, and expect it to find the violation."""
    with pytest.raises(AssertionError, match=r"bound of the distance .* violated"):
        CALM(given(*strategies)(property_))()


def distance(order: int) -> Callable[[Run], None]:
    def check(run: Run) -> None:
        checks.check_distance(run, order)

    return check


def quadratic(values: tuple[int, int], start: np.ndarray, inverse: int) -> None:
    checks.check_quadratic([value / 16 for value in values], start, 1 / (2 * inverse), 12)


QUADRATIC = (st.tuples(st.integers(-16, 32), st.integers(-16, 32)), starts(2, 2.0), st.integers(1, 40))


def test_properties_pass_without_a_mutant() -> None:
    fewer = settings(CALM, max_examples=50)
    fewer(given(*QUADRATIC)(quadratic))()
    fewer(given(runs())(distance(1)))()


@pytest.mark.parametrize("property_, strategies", [(quadratic, QUADRATIC), (distance(0), (runs(),))])
def test_exponential_dropped(
    monkeypatch: pytest.MonkeyPatch, property_: Callable[..., Any], strategies: tuple[Any, ...]
) -> None:
    # exp(int m) is the product of the amplifications |I - eta A|.
    monkeypatch.setattr(Spectrum, "amplification", lambda self, eta: min(1.0, abs(1 - eta * self.upper)))
    caught(property_, *strategies)


def test_smoothness_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Spectrum.smoothness.fget  # type: ignore[attr-defined]
    monkeypatch.setattr(Spectrum, "smoothness", property(lambda self: whole(self) / 2))
    caught(quadratic, *QUADRATIC)


@pytest.mark.parametrize("order", [1, 2])
def test_one_order_too_many_claimed(monkeypatch: pytest.MonkeyPatch, order: int) -> None:
    def wrong(derivatives: Any, distance: float, eta: float, order: int, *rest: Any) -> float:
        return step_defect(derivatives, distance, eta, order + 1, *rest)

    monkeypatch.setattr(proven, "step_defect", wrong)
    caught(distance(order), runs())
