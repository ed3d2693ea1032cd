"""The colours and marks of every figure, so that an order looks the same wherever it is drawn.

The colours are those of Okabe and Ito, which colour-blind readers can tell apart.

References
----------
M. Okabe, K. Ito, *Color Universal Design*, 2008, https://jfly.uni-koeln.de/color/.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

__all__ = ["BAND", "DESCENT", "GREYS", "INK", "OKABE_ITO", "ORDERS", "RC", "STATUS", "colour", "marker"]

OKABE_ITO = MappingProxyType(
    {
        "black": "#000000",
        "orange": "#E69F00",
        "sky blue": "#56B4E9",
        "green": "#009E73",
        "yellow": "#F0E442",
        "blue": "#0072B2",
        "vermilion": "#D55E00",
        "purple": "#CC79A7",
    }
)
#: Orders 0 (gradient flow), 1, 2, …; yellow is left out, which is faint on white.
ORDERS = tuple(OKABE_ITO[name] for name in ("vermilion", "blue", "green", "purple", "orange", "sky blue"))
MARKERS = ("o", "s", "^", "D", "v", "P")
#: The running optimiser.
DESCENT = OKABE_ITO["black"]
#: Lines that are neither, from light to dark.
GREYS = ("#bcbcbc", "#989898", "#747474", "#505050")
#: Words inside of a figure, and regions in which nothing is judged.
INK, BAND = "#444444", "#d9d9d9"
#: Verdicts, by the names that rich and CSS know them by.
STATUS = MappingProxyType({"passed": OKABE_ITO["green"], "failed": OKABE_ITO["vermilion"], "inconclusive": "#B87C00"})

#: Settings of matplotlib under which figures are made and written.
RC: dict[str, Any] = {
    "axes.labelsize": 9.5,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9,
    "figure.titlesize": 10,
    "font.size": 9,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "lines.markersize": 5,
    "pdf.fonttype": 42,  # text that can be searched and edited
    "svg.hashsalt": "eomsym",  # names inside of the file are the same in every run
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}


def colour(order: int | str) -> str:
    """The colour of an order of the equation of motion, or of ``"descent"``.

    Parameters
    ----------
    order : int or str
        0 is gradient flow. Orders from 6 on begin again with the colour of order 0.

    Returns
    -------
    str
        ``#rrggbb``.

    Examples
    --------
    >>> colour(0), colour("descent")
    ('#D55E00', '#000000')
    """
    return DESCENT if isinstance(order, str) else ORDERS[order % len(ORDERS)]


def marker(order: int) -> str:
    """The mark of an order, for readers without colours.

    Examples
    --------
    >>> marker(0), marker(1)
    ('o', 's')
    """
    # Another pairing for the orders whose colours come a second time.
    return MARKERS[(order + order // len(ORDERS)) % len(MARKERS)]
