"""How tight the bounds were, over all cases of a property; the table is printed by the conftest.py of the root."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import pytest
from properties.checks import TIGHTNESS


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    TIGHTNESS.clear()
    yield
    for what, ratios in TIGHTNESS.items():
        known = np.array(ratios)[np.isfinite(ratios)]
        if len(known):
            quantiles = [float(value) for value in np.quantile(known, [0.0, 0.5, 0.95])]
            item.user_properties.append(("tightness", [what, len(ratios), len(known), *quantiles]))
