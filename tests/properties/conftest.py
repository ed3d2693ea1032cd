"""After a long run of the properties: how tight the bounds were, over all their cases."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import pytest
from hypothesis import settings
from properties.checks import TIGHTNESS

LONG = 1000


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    TIGHTNESS.clear()
    yield
    for what, ratios in TIGHTNESS.items():
        known = np.array(ratios)[np.isfinite(ratios)]
        if len(known):
            quantiles = [float(value) for value in np.quantile(known, [0.0, 0.5, 0.95])]
            item.user_properties.append(("tightness", [what, len(ratios), len(known), *quantiles]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if settings().max_examples < LONG:
        return
    rows = [
        (report.nodeid.rpartition("::")[2].removeprefix("test_"), *value)
        for report in terminalreporter.getreports("passed")
        for name, value in getattr(report, "user_properties", ())
        if name == "tightness"
    ]
    if not rows:
        return
    terminalreporter.section("tightness: bound over truth")
    line = "{:27} {:25} {:>7} {:>9} {:>9} {:>9} {:>9}".format
    terminalreporter.write_line(line("property", "", "cases", "with truth", "least", "median", "95 %"))
    for name, what, cases, known, least, median, most in sorted(rows):
        numbers = (f"{number:.4g}" for number in (least, median, most))
        terminalreporter.write_line(line(name, what, cases, known, *numbers))
