"""Formulas become MathML when the pages are built: a reader needs no script, no font from elsewhere and no network.

A formula that cannot be converted stops the build.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.writers.html5 import HTML5Translator

ALIGNED = re.compile(r"\\(begin|end)\{aligned\}")  # the converter knows it by this name only
# A bar would get the spaces of a relation: "| x |".
BAR = re.compile(r"<mo(?=[^>]*>(?:&#x0007C;|&#x02016;)</mo>)")


def to_mathml(tex: str, *, display: bool) -> str:
    r"""Convert a formula.

    >>> print(to_mathml("x^2", display=False)[-57:])
    <mrow><msup><mi>x</mi><mn>2</mn></msup></mrow></math>
    """
    try:
        markup = convert(ALIGNED.sub(r"\\\1{align*}", tex), display="block" if display else "inline")
        texts = list(ElementTree.fromstring(markup).itertext())
    except Exception as error:
        raise ValueError(f"cannot be converted to MathML: {tex}") from error
    # The converter hands on what it does not know, such as \foo, as if it were a name.
    unknown = [text for text in texts if "\\" in text]
    if unknown:
        raise ValueError(f"cannot be converted to MathML, because of {', '.join(unknown)}: {tex}")
    return BAR.sub('<mo lspace="0" rspace="0"', markup)


def _converted(node: nodes.Element, *, display: bool) -> str:
    try:
        return to_mathml(node.astext(), display=display)
    except ValueError as error:
        raise ExtensionError(f"{node.source}:{node.line}: a formula {error}") from error


def visit_inline(translator: HTML5Translator, node: nodes.math) -> None:
    translator.body.append(_converted(node, display=False))
    raise nodes.SkipNode


def visit_display(translator: HTML5Translator, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="math">{_converted(node, display=True)}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
