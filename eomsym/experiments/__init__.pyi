"""Experiments: what one is made of, and many cases at once."""

from .case import Case, Outcome, run_case
from .experiment import Claim, Experiment
from .papers import PAPERS
from .plan import Plan, read_cases, read_plan
from .records import Records
from .standard import standard_suite, suite_table
from .summary import Summary, summarise

__all__ = [
    "PAPERS",
    "Case",
    "Claim",
    "Experiment",
    "Outcome",
    "Plan",
    "Records",
    "Summary",
    "read_cases",
    "read_plan",
    "run_case",
    "standard_suite",
    "suite_table",
    "summarise",
]
