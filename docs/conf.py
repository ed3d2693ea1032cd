"""Settings of the documentation; `make docs` builds it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from sphinx.application import Sphinx

import eomsym

DOCS = Path(__file__).parent
DERIVATIONS = DOCS.parent / "derivations"
PACKAGE = Path(eomsym.__file__).parent
FLOORS = ("exact", "optimisers", "losses", "taylor", "codegen", "dynamics", "bounds", "verification", "testing")
INTERNALS = """# Inner modules

Not public: names may change from version to version. The theory lives in them, floor by floor.
"""


def copy_derivations() -> None:
    """The derivations stand beside the package, where the tests run them; Sphinx reads only below docs/."""
    shutil.rmtree(DOCS / "derivations", ignore_errors=True)
    shutil.copytree(DERIVATIONS, DOCS / "derivations")


def document_inner_modules() -> None:
    """One page for each floor: every module that the pages for users do not show."""
    public = "".join(page.read_text(encoding="utf-8") for page in (DOCS / "reference").glob("*.md"))
    pages = DOCS / "internals"
    shutil.rmtree(pages, ignore_errors=True)
    pages.mkdir()
    floors = [floor for floor in FLOORS if (PACKAGE / floor).is_dir()]
    floors = [floor for floor in floors if f"automodule:: eomsym.{floor}\n" not in public]
    for floor in floors:
        text = f"# eomsym.{floor}\n\n```{{eval-rst}}\n.. automodule:: eomsym.{floor}\n"
        for path in sorted((PACKAGE / floor).rglob("*.py")):
            module = ".".join(["eomsym", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__")
            if module == f"eomsym.{floor}":
                continue
            shown = re.findall(rf"auto\w+:: {module}\.(\w+)", public)
            if f"automodule:: {module}\n" not in public:
                text += f"\n.. automodule:: {module}\n   :members:\n"
                text += f"   :exclude-members: {', '.join(shown)}\n" if shown else ""
        (pages / f"{floor}.md").write_text(f"{text}```\n", encoding="utf-8")
    entries = "\n".join(floors)
    index = f"{INTERNALS}\n```{{toctree}}\n:maxdepth: 1\n\n{entries}\n```\n"
    (pages / "index.md").write_text(index, encoding="utf-8")


copy_derivations()
document_inner_modules()

project = "eomsym"
author = "The eomsym developers"
copyright = "2026, The eomsym developers"
version = release = eomsym.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"eomsym {release}"

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

nb_execution_mode = "force"  # a cache would show what an older package printed
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the numpydoc sections say more: shapes and meaning
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_param = False  # types are phrases such as "array of shape (n,)", not names to link
napoleon_use_rtype = False

nitpick_ignore_regex = [("py:.*", r"(?!eomsym).*")]  # the build is offline: other projects cannot be linked


def tidy(app: object, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Keep reST from reading more into a docstring than it says.

    A line that begins with an initial, "T. Miyagawa, …", would become item T of a list. The type of an attribute, a
    phrase like "mapping from symmetry to Check", would have each of its words linked.
    """
    lines[:] = [
        re.sub(r"^(:vartype [^:]+: )([^`*]+)$", r"\1*\2*", re.sub(r"^(\s*)(?=[A-Z]\. )", r"\1\\", line))
        for line in lines
    ]


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-docstring", tidy, priority=900)  # after napoleon
