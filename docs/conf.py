"""Settings of the documentation; `make docs` builds it."""

from __future__ import annotations

import shutil
from pathlib import Path

import eomsym

# The derivations stand beside the package, where the tests run them; Sphinx reads only below docs/.
# Unchanged notebooks keep their time stamp, so that a second build has nothing to do.
SOURCE = Path(__file__).parents[1] / "derivations"
COPIES = Path(__file__).parent / "derivations"
COPIES.mkdir(exist_ok=True)
for copy in COPIES.glob("*.md"):
    if not (SOURCE / copy.name).exists():
        copy.unlink()
for notebook in SOURCE.glob("*.md"):
    shutil.copy2(notebook, COPIES)

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

nb_execution_mode = "cache"
nb_execution_cache_path = str(Path(__file__).parent / "_build" / "notebooks")
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
