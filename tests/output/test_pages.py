"""Pages are whole: one file, well formed, nothing from elsewhere."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

from eomsym.output.figures import Figure
from eomsym.output.pages import page
from eomsym.output.tables import Table


def test_page_holds_what_shows_itself() -> None:
    text = page("η & <b>", [Table(["a"], [(1,)]), Figure(2), "<p>own</p>", 3], footer="the <end>")
    assert not re.search(r'(?<!xlink:)(src|href)="(?!#)|@import|url\((?!#)|<script', text)
    body = ElementTree.fromstring(text[text.index("<body>") : text.index("</html>")])
    tags = [element.tag.rpartition("}")[2] for element in body]
    assert tags == ["h1", "div", "figure", "p", "pre", "footer"]
    assert body[0].text == "η & <b>"
    assert body[-1].text == "the <end>"
    assert "prefers-color-scheme: dark" in text
