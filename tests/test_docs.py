"""Every public name is on a page of the reference, and what the build refuses in pages is refused."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

PACKAGES = (
    "eomsym",
    *(
        f"eomsym.{part}"
        for part in (
            "bounds",
            "curvature",
            "experiments",
            "formulas",
            "interop",
            "losses",
            "optimisers",
            "output",
            "symmetries",
            "testing",
        )
    ),
)
ROOT = Path(__file__).parents[1]
REFERENCE = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs/reference").glob("*.md"))
NAMED = [
    (importlib.import_module(package), name)
    for package in PACKAGES
    for name in importlib.import_module(package).__all__
]
OBJECTS = {getattr(home, name) for home, name in NAMED if callable(getattr(home, name))}
TABLES = [name for home, name in NAMED if isinstance(getattr(home, name), dict)]


@pytest.mark.parametrize("name", TABLES)
def test_public_table_has_its_entry(name: str) -> None:
    assert re.search(rf"^\.\. autodata:: [\w.]*\.{name}$", REFERENCE, re.MULTILINE)


def results(value: object) -> set[type]:
    """The classes of this package that a public function, or a method of a public class, gives back."""
    methods = [method for name, method in inspect.getmembers(value, inspect.isfunction) if not name.startswith("_")]
    functions = methods if inspect.isclass(value) else [value]
    notes = [inspect.unwrap(function).__annotations__.get("return", "") for function in functions]  # type: ignore[attr-defined]
    homes = [importlib.import_module(function.__module__) for function in functions]  # type: ignore[attr-defined]
    named = {(home, name) for home, note in zip(homes, notes, strict=True) for name in re.findall(r"\w+", str(note))}
    classes = {getattr(home, name, None) for home, name in named}
    return {c for c in classes if inspect.isclass(c) and c.__module__.startswith("eomsym.") and c.__name__[0] != "_"}


PUBLIC = sorted(OBJECTS | set().union(*map(results, OBJECTS)), key=lambda value: value.__name__)


@pytest.mark.parametrize("value", PUBLIC, ids=lambda value: value.__name__)
def test_public_name_has_its_entry(value: type) -> None:
    """By its own entry, or by its module with all members."""
    alone = rf"^\.\. auto(class|function|exception):: ([\w.]*\.)?{value.__name__}$"
    module = rf"^\.\. automodule:: {re.escape(value.__module__)}\n(   :.*\n)*?   :members:$"
    assert re.search(alone, REFERENCE, re.MULTILINE) or re.search(module, REFERENCE, re.MULTILINE)


def test_cost_of_a_change_reads_the_same_everywhere() -> None:
    pages = [(ROOT / page).read_text(encoding="utf-8") for page in ("CONTRIBUTING.md", "docs/development/house.md")]
    tables = [re.findall(r"^\| change .*?\n\n", page, re.MULTILINE | re.DOTALL) for page in pages]
    assert tables[0] == tables[1]
    assert len(tables[0]) == 1


@pytest.fixture
def extension(request: pytest.FixtureRequest) -> ModuleType:
    """An extension of the build of the pages, by its name."""
    if request.param == "mathml":
        pytest.importorskip("sphinx", reason="the extra docs is not installed")
    spec = importlib.util.spec_from_file_location(request.param, ROOT / f"docs/_ext/{request.param}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("extension", ["complete"], indirect=True)
@pytest.mark.parametrize(
    "page, fault",
    [
        (r"<p>the rate \(\eta\)</p>", r"raw TeX: \("),
        ("<p>costs $x^2$ here</p>", "raw TeX: $x^2$"),
        (r"<td>\frac12 Hg</td>", r"raw TeX: \frac"),
        (
            '<div class="cell_output container"><div><pre>&lt;Figure size 640x480 with 1 Axes&gt;</pre></div></div>',
            "a figure that is not shown: <Figure size",
        ),
        ('<script src="https://cdn.example/a.js"></script>', "an outside host: https://cdn.example/a.js"),
        ('<link rel="stylesheet" href="//fonts.example/a.css">', "an outside host: //fonts.example/a.css"),
        ('<img src="http://shields.example/a.svg">', "an outside host: http://shields.example/a.svg"),
        ("<style>@import 'https://fonts.example/a.css';</style>", "an outside host in a style: https://fonts.example"),
        ('<p style="background: url(https://a.example/b.png)">', "an outside host in a style: https://a.example"),
    ],
)
def test_incomplete_page_is_found(extension: ModuleType, page: str, fault: str) -> None:
    assert [found.startswith(fault) for found in extension.faults_of_page(page)] == [True]


@pytest.mark.parametrize("extension", ["complete"], indirect=True)
def test_complete_page_passes(extension: ModuleType, tmp_path: Path) -> None:
    page = """<script src="_static/a.js"></script><link rel="canonical" href="https://a.example/page.html">
    <p>5 $ and 7 $, <a href="https://arxiv.org/abs/2210.15898">a link</a>, <math><mi>η</mi></math>, <code>$x$</code></p>
    <dt class="sig">latex(eta='\\eta')</dt><pre>print(r"\\frac12") &lt;Figure of 1 panel&gt;</pre><img src="a.svg">"""
    assert extension.faults_of_page(page) == []
    (tmp_path / "a.html").write_text(page, encoding="utf-8")
    (tmp_path / "a.css").write_text("p { background: url(https://a.example/b.png) }", encoding="utf-8")
    assert extension.faults(tmp_path) == ["a.css: an outside host: https://a.example"]


@pytest.mark.parametrize("extension", ["mathml"], indirect=True)
@pytest.mark.parametrize("tex", [r"\foo", r"\begin{aligned} a &= b", r"\left( a"])
def test_formula_that_cannot_be_converted_is_refused(extension: ModuleType, tex: str) -> None:
    with pytest.raises(ValueError, match="cannot be converted to MathML"):
        extension.to_mathml(tex, display=True)
