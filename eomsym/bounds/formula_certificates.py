"""Certificates of counter terms: trees and fractions that anybody can check against the step of the optimiser."""

from __future__ import annotations

from typing import Any

from eomsym import checks
from eomsym.checks import shown
from eomsym.errors import InputError
from eomsym.formulas.terms import counter_terms
from eomsym.optimisers.base import Method
from eomsym.optimisers.names import checked_method

__all__ = ["FORMULA", "certify_formula"]

FORMULA = "eomsym.formula/1"
#: The trees of the highest order are cut in all ways, which takes a minute there.
HIGHEST = 9


def certify_formula(order: int, *, method: Method | None = None) -> dict[str, Any]:
    """Write down counter terms so that they can be checked by composing them to one step of the optimiser.

    Parameters
    ----------
    order : int
        The highest power of the learning rate, up to 9.
    method : Method, optional
        A method of trees with rational parameters and one batch; gradient descent by default.

    Returns
    -------
    dict
        JSON: the method as fractions, and the coefficient of each tree; see `eomsym.bounds.checker_formulas`.

    Raises
    ------
    InputError
        If the order is too high, or the method has symbols, several batches, or no trees.

    Examples
    --------
    >>> certify_formula(2)["terms"]
    {'.': '1', '[.]': '1/2', '[[.]]': '1/3', '[..]': '1/12'}
    """
    top, optimiser = checks.order(order), checked_method(method)
    if top > HIGHEST:
        raise InputError(f"order={shown(order)}: a certificate of a formula goes up to order {HIGHEST}")
    if not optimiser.is_linear or optimiser.is_flow or optimiser.colours > 1:
        raise InputError(
            f"a certificate of a formula needs an optimiser with trees and one batch, got {optimiser.name}"
        )
    form = optimiser.general_linear()
    if not all(entry.is_Rational for entry in form.entries()):
        raise InputError(
            f"a certificate of a formula needs fractions for the parameters, got {shown(optimiser, 200)}; type for "
            'instance HeavyBall("9/10")'
        )
    matrices = {name: getattr(form, name) for name in ("weights", "extrapolation", "coupling")}
    return {
        "schema": FORMULA,
        "order": top,
        "method": {"name": optimiser.name, "past": [str(x) for x in form.past]}
        | {name: [[str(x) for x in row] for row in rows] for name, rows in matrices.items()},
        "terms": {
            tree.brackets: str(number) for term in counter_terms(top, method=optimiser) for tree, number in term.items()
        },
    }
