"""Web pages that need nothing else: no script, no font, no picture from elsewhere; light and dark."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from typing import Any

from eomsym import checks
from eomsym._version import __version__
from eomsym.output.figures import Figure

__all__ = ["page", "shown", "side_by_side"]

STYLE = """
:root { color-scheme: light dark; }
body { font: 17px/1.5 Georgia, serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; line-height: 1.25; }
h2 { font-size: 1.15rem; margin-top: 2.2rem; border-bottom: 1px solid #8886; }
table { border-collapse: collapse; font: 15px/1.4 system-ui, sans-serif; font-variant-numeric: tabular-nums; }
th, td { padding: .15rem .6rem; }
thead { border-bottom: 1px solid currentColor; }
tbody { border-bottom: 1px solid #8886; }
figure { margin: 1.2rem 0; overflow-x: auto; }
figure > svg { background: white; max-width: 100%; height: auto; }
.sum { line-height: 3; margin: .4rem 0; }
.sum math[display="block"] { margin: .5rem 0; }
.eomsym { margin: 1rem 0; }
.wide { overflow-x: auto; overflow-y: hidden; }
.legend { font-size: .95rem; }
footer { margin-top: 3rem; color: #777; font-size: .85rem; }
@media (prefers-color-scheme: dark) { body { background: #16181d; color: #e4e4e0; } footer { color: #999; } }
"""


def page(title: str, parts: Iterable[Any], *, footer: str = "") -> str:
    """Write one self-contained HTML page.

    Parameters
    ----------
    title : str
        Text; it is the title of the page and its first heading.
    parts : iterable
        HTML as text, or what shows itself: figures, tables, reports, formulas.
    footer : str
        Text of the last line; the version of eomsym by default.

    Returns
    -------
    str

    Examples
    --------
    >>> text = page("a < b", ["<p>yes</p>"])
    >>> text.splitlines()[0], "<h1>a &lt; b</h1>" in text
    ('<!DOCTYPE html>', True)
    """
    title, footer = checks.text(title, "title", "results"), checks.text(footer, "footer")
    head = (
        f'<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style>"
    )
    body = [f"<h1>{escape(title)}</h1>", *map(shown, checks.items(parts, "parts", "[report, figure]"))]
    body.append(f"<footer>{escape(footer or f'By eomsym {__version__}.')}</footer>")
    lines = "".join(f"{part}\n" for part in body if part)
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>\n{lines}</body></html>\n'


def shown(part: Any) -> str:
    """The HTML of a part of a page.

    Examples
    --------
    >>> from eomsym.output.tables import Table
    >>> shown(Table(["a"], [(1,)]))[:20]
    '<div class="eomsym" '
    """
    if isinstance(part, str):
        return part
    if hasattr(part, "_repr_html_"):
        return str(part._repr_html_())
    if hasattr(part, "_repr_svg_"):
        return f"<figure>{part._repr_svg_()}</figure>"
    return f"<pre>{escape(str(part))}</pre>"


def side_by_side(figures: Iterable[Figure]) -> str:
    """Figures as HTML: beside each other where there is room, below each other where there is none.

    Parameters
    ----------
    figures : iterable of Figure
        With one panel each, so that none becomes too small to be read.

    Returns
    -------
    str

    Examples
    --------
    >>> text = side_by_side([Figure(), Figure()])
    >>> text.count("<figure"), text.count("<svg")
    (2, 2)
    """
    look = "flex:1 1 20rem;max-width:28rem;margin:0;padding:4px;background:white;border-radius:4px"
    parts = []
    for figure in figures:
        said = re.sub(r"[$\\{}]", "", figure.axes[0].get_title())
        drawing = figure._repr_svg_().replace(
            "<svg ", '<svg style="width:100%;height:auto;padding:0;display:block" ', 1
        )
        parts.append(f'<figure role="img" aria-label="{escape(said)}" style="{look}">{drawing}</figure>')
    return f'<div style="display:flex;flex-wrap:wrap;gap:.8rem;margin:1.2rem 0">{"".join(parts)}</div>'
