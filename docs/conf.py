"""Settings of the documentation; `make docs` builds it."""

from __future__ import annotations

import importlib
import re
import shutil
import sys
import tomllib
from pathlib import Path

from sphinx.application import Sphinx

import eomsym

DOCS = Path(__file__).parent
DERIVATIONS = DOCS.parent / "derivations"
PACKAGE = Path(eomsym.__file__).parent
INTERNALS = """# Inner modules

Not public: names may change from version to version. The theory lives in them, floor by floor.
"""


def copy_derivations() -> None:
    """The derivations stand beside the package, where the tests run them; Sphinx reads only below docs/."""
    shutil.rmtree(DOCS / "derivations", ignore_errors=True)
    shutil.copytree(DERIVATIONS, DOCS / "derivations")


def floors() -> list[list[Path]]:
    """The floors from top to bottom, as the contract on imports in pyproject.toml has them; the last is the ground."""
    settings = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))
    contract = next(c for c in settings["tool"]["importlinter"]["contracts"] if c["id"] == "floors")
    names = [re.findall(r"\w+", layer) for layer in contract["layers"]]
    packages = [[PACKAGE / name] for layer in names for name in layer if (PACKAGE / name).is_dir()]
    ground = [PACKAGE / f"{name}.py" for layer in names for name in layer if (PACKAGE / f"{name}.py").is_file()]
    return [*packages, [path for path in ground if not path.stem.startswith("_")]]


def document_inner_modules() -> None:
    """One page for each floor: every module that the pages for users do not show."""
    public = "".join(page.read_text(encoding="utf-8") for page in (DOCS / "reference").glob("*.md"))
    pages = DOCS / "internals"
    shutil.rmtree(pages, ignore_errors=True)
    pages.mkdir()
    entries = []
    for floor in floors():
        name, title = (floor[0].name, f"eomsym.{floor[0].name}") if floor[0].is_dir() else ("ground", "The ground")
        paths = sorted(path for part in floor for path in ([part] if part.is_file() else part.rglob("*.py")))
        modules = ["eomsym." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in paths]
        lines = [line for module in modules for line in entry(module.removesuffix(".__init__"), public)]
        if lines:
            text = "\n".join([f"# {title}", "", "```{eval-rst}", *lines, "```", ""])
            (pages / f"{name}.md").write_text(text, encoding="utf-8")
            entries.append(name)
    index = "\n".join([INTERNALS, "```{toctree}", ":maxdepth: 1", "", *entries, "```", ""])
    (pages / "index.md").write_text(index, encoding="utf-8")


def entry(module: str, public: str) -> list[str]:
    """The lines that document a module, without what the pages for users show of it."""
    if f"automodule:: {module}\n" in public:
        return []
    if (PACKAGE.parent / module.replace(".", "/")).is_dir():
        return [f".. automodule:: {module}", ""]  # its names are documented where they are defined
    named = re.findall(r"auto\w+:: (eomsym(?:\.\w+)*)\.(\w+)", public)
    shown = [name for package, name in named if home(package, name) == module]
    exclude = [f"   :exclude-members: {', '.join(shown)}"] if shown else []
    return [f".. automodule:: {module}", "   :members:", *exclude, ""]


def home(package: str, name: str) -> str:
    """The module in which a name that a page for users shows is defined: many are shown under their package."""
    found = getattr(importlib.import_module(package), name, None)
    return getattr(found, "__module__", package)


copy_derivations()
document_inner_modules()

project = "eomsym"
author = "The eomsym developers"
copyright = "2026, The eomsym developers"
version = release = eomsym.__version__

sys.path.insert(0, str(DOCS / "_ext"))
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "mathml", "complete"]
exclude_patterns = ["_build", "_ext"]
html_theme = "furo"
html_title = f"eomsym {release}"
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["eomsym.css"]
html_show_sourcelink = False

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

nb_execution_mode = "force"  # a cache would show what an older package printed
nb_execution_in_temp = True  # pages that write files leave none behind
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the numpydoc sections say more: shapes and meaning
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_param = False  # types are phrases such as "array of shape (n,)", not names to link
napoleon_use_rtype = False

suppress_warnings = ["ref.python"]  # an attribute's name is looked up as if it were a link, and several classes have it
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
