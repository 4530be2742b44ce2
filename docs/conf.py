"""The site, made by `make docs`: the pages of this folder, those made from the code (``making``), the API from docstrings."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import making  # noqa: E402  (lies beside this file)

import dsbench  # noqa: E402

project = "dsbench"
author = copyright = "The dsbench authors"
version = release = dsbench.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
nb_execution_mode = "off"  # a test runs the notebook
exclude_patterns = ["making"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = "dsbench"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False

autodoc_default_options = {"members": True, "undoc-members": False}
autodoc_typehints = "description"
autodoc_member_order = "bysource"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
default_role = "code"  # `name` in a docstring is a name


def setup(app: Any) -> None:
    """Make the pages that are read off the code before any page is read."""
    making.write_all(HERE / "generated")
    app.connect("source-read", _relink)
    app.connect("autodoc-process-docstring", _escape)


def _relink(app: Any, page: str, source: list[str]) -> None:
    source[0] = making.relinked(source[0])


def _escape(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """The star of a shape such as (*, D) begins no emphasis."""
    lines[:] = [line.replace("(*", "(\\*") for line in lines]
