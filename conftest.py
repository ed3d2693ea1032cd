"""Settings of the whole test run: the tests, and the examples in the docstrings of the package."""

from __future__ import annotations

import os
import shutil
import tempfile
from importlib.util import find_spec

# Two workers on two cores: threads inside a matrix product would only get in each other's way.
# Set before numpy is imported, and inherited by subprocesses.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
os.environ["MPLBACKEND"] = "Agg"

import pytest
from hypothesis import HealthCheck, settings

# Doctests import every module; these need optional oracles.
collect_ignore = [] if find_spec("jax") else ["tests/bench/jax_terms.py", "tests/interop/jax_models.py"]
collect_ignore += [] if find_spec("torch") else ["tests/interop/torch_models.py"]

settings.register_profile("quick", max_examples=25, deadline=None, derandomize=True)
settings.register_profile(
    "thorough",
    max_examples=2_000,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
CALLS = int(os.environ.get("EOMSYM_FUZZ_CALLS", "800"))
settings.register_profile("fuzz", max_examples=CALLS, deadline=None, print_blob=True, database=None)
settings.load_profile("quick")  # the option --hypothesis-profile comes later and wins

LONG = 1000  # examples of a property
_CACHE = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Give all workers of a run one fresh folder of compiled programs, unless the caller names one."""
    if "EOMSYM_CACHE_DIR" not in os.environ:  # pytest-xdist's workers inherit it
        config.stash[_CACHE] = os.environ["EOMSYM_CACHE_DIR"] = tempfile.mkdtemp(prefix="eomsym-tests-")


def pytest_unconfigure(config: pytest.Config) -> None:
    if _CACHE in config.stash:
        shutil.rmtree(config.stash[_CACHE], ignore_errors=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """After a long run of the properties: how tight the bounds were. The workers of pytest-xdist sent the numbers."""
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
