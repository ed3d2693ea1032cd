"""The built pages show what they should, without a network: no raw TeX, no figure that is only named, no outside host.

The build fails otherwise.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

#: Elements that are words about code; TeX in them is meant.
VERBATIM = {"pre", "code", "script", "style", "title"}
#: Attributes from which a browser fetches, by element. A link that a reader may follow is none of them.
FETCHED = {
    "audio": ("src",), "embed": ("src",), "iframe": ("src",), "img": ("src", "srcset"), "link": ("href",),
    "object": ("data",), "script": ("src",), "source": ("src", "srcset"), "video": ("src", "poster"),
    "image": ("href", "xlink:href"), "use": ("href", "xlink:href"),
}  # fmt: skip
OUTSIDE = re.compile(r"(?:https?:)?//[\w.-]+", re.IGNORECASE)
IN_STYLE = re.compile(r"""(?:url\(\s*|@import\s+)["']?((?:https?:)?//[\w.-]+)""", re.IGNORECASE)
TEX = re.compile(r"\$[^$\s][^$]*[^$\s]\$|\$\w\$|\\[a-zA-Z]{2,}|\\[(\[]")
UNSHOWN = re.compile(r"<Figure\b|<Axes\b|\bAxes\(|<matplotlib\.|<IPython\.core")


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.outputs: list[bool] = []  # of the open divs, which are outputs of cells
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        signature = tag == "dt" and "sig" in (values.get("class") or "").split()
        if tag in VERBATIM or signature:
            self.open.append(tag)
        if tag == "div":
            self.outputs.append("cell_output" in (values.get("class") or "").split())
        fetches = tag != "link" or (values.get("rel") or "") not in ("canonical", "license", "author")
        for name in FETCHED.get(tag, ()) if fetches else ():
            if OUTSIDE.match((values.get(name) or "").strip()):
                self.faults.append(f"an outside host: {values[name]}")
        self.faults += [f"an outside host in a style: {host}" for host in IN_STYLE.findall(values.get("style") or "")]

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()
        if tag == "div" and self.outputs:
            self.outputs.pop()

    def handle_data(self, data: str) -> None:
        if any(self.outputs) and UNSHOWN.search(data):
            self.faults.append(f"a figure that is not shown: {data.strip()[:70]}")
        if "style" in self.open:
            self.faults += [f"an outside host in a style: {host}" for host in IN_STYLE.findall(data)]
        if not self.open and (found := TEX.search(data)):
            self.faults.append(f"raw TeX: {found[0][:70]}")


def faults_of_page(html: str) -> list[str]:
    """What is wrong with one page.

    >>> faults_of_page("<p>$x$</p><code>$x$</code>")
    ['raw TeX: $x$']
    """
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.faults


def faults_of_style(css: str) -> list[str]:
    """What is wrong with one style sheet."""
    return [f"an outside host: {host}" for host in IN_STYLE.findall(css)]


def faults(folder: Path) -> list[str]:
    """What is wrong with the pages and styles of a folder, one line each."""
    found = []
    for path in sorted(folder.rglob("*.html")):
        found += [f"{path.relative_to(folder)}: {fault}" for fault in faults_of_page(path.read_text("utf-8"))]
    for path in sorted(folder.rglob("*.css")):
        found += [f"{path.relative_to(folder)}: {fault}" for fault in faults_of_style(path.read_text("utf-8"))]
    return found


def _check(app: Sphinx, error: Exception | None) -> None:
    from sphinx.errors import ExtensionError  # the rest of this module is tested where Sphinx is not installed

    if error is None and app.builder.format == "html" and (found := faults(Path(app.outdir))):
        raise ExtensionError("\n".join(["the pages are not complete:", *found]))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", _check, priority=900)  # after the theme has written its last styles
    return {"parallel_read_safe": True, "parallel_write_safe": True}
