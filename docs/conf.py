"""Settings of the documentation site: `make docs` writes it to docs/_build/html.

Nothing is fetched while the site is built or read: Node runs KaTeX at build time, and its style and
fonts come from the npm package that the explorer uses too.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from sphinx.errors import ConfigError

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path.insert(0, str(DOCS / "extensions"))

project = "attention-motifs"
author = "The attention-motifs developers"
copyright = author  # noqa: A001

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinxcontrib.katex",
    "katex_server",
    "from_the_code",
    "reference_links",
]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}
exclude_patterns = ["_build", "**.ipynb_checkpoints"]
root_doc = "index"

# Markdown: what a forge shows too, and formulas.
myst_enable_extensions = ["dollarmath", "amsmath", "deflist"]
myst_heading_anchors = 4
myst_dmath_double_inline = True

# Notebooks keep their outputs in git; `make notebooks` and the tests run them anew.
nb_execution_mode = "off"
nb_render_markdown_format = "myst"

# The Python interface.
nitpicky = True
nitpick_ignore_regex = [
    # Other packages' names (no inventory is downloaded at build time), and what only stands in the
    # types of documented things.
    ("py:.*", r"(?!attention_motifs).*"),
    ("py:(class|obj)", r".*"),
]
# Two classes are called HeadClass; a type in a signature names neither's module.
suppress_warnings = ["ref.python"]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
default_role = "literal"  # docstrings write names in single backticks, as Markdown does
python_maximum_signature_line_length = 88

# Formulas.
math_number_all = False
smartquotes = False  # quotes as they are typed: they stand in commands and messages
_katex = ROOT / "web" / "node_modules" / "katex" / "dist"
if not (_katex / "katex.min.css").is_file():
    raise ConfigError(f"{_katex}: KaTeX is missing; run `npm ci` in web/, or `make docs`")
if shutil.which("node") is None:
    raise ConfigError("formulas are set by Node at build time, and no `node` was found")
_static = DOCS / "_build" / "katex"
_static.mkdir(parents=True, exist_ok=True)
shutil.copy2(_katex / "katex.min.css", _static)
shutil.copytree(_katex / "fonts", _static / "fonts", dirs_exist_ok=True)
katex_prerender = True
katex_css_path = "katex.min.css"

# Copy buttons on what a reader types, not on what is printed.
copybutton_selector = "div.highlight-sh pre, div.highlight-python pre, div.highlight-console pre"
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True

# Looks.
html_theme = "furo"
html_title = "attention-motifs"
html_static_path = ["style", str(_static)]
html_css_files = ["site.css"]
html_js_files = ["known-heads.js"]
html_show_sphinx = False
html_use_index = html_domain_indices = False  # the search does it
html_copy_source = False
html_show_copyright = False
pygments_style = "friendly"
pygments_dark_style = "monokai"

os.environ.setdefault("PYTHONHASHSEED", "0")
