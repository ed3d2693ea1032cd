"""Formulas for every loss."""

from .conditions import accuracy, order_conditions
from .elementwise import elementwise_terms
from .epochs import shuffled_epoch
from .pictures import draw_tree
from .potentials import modified_loss
from .terms import CounterTerms, Term, counter_terms

__all__ = [
    "CounterTerms",
    "Term",
    "accuracy",
    "counter_terms",
    "draw_tree",
    "elementwise_terms",
    "modified_loss",
    "order_conditions",
    "shuffled_epoch",
]
