"""The viewer as one HTML document: script, style and data inside, and no request to any host."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attention_motifs.errors import ResourceError

if TYPE_CHECKING:
    from attention_motifs.viewer.contract import View

ASSETS = Path(__file__).parents[1] / "site" / "assets" / "viewer"
"""The built viewer: viewer.js and viewer.css, made by `python web/build_pages.py`."""


def document(view: View) -> str:
    """Return the HTML text of a view.

    Tokens and names are data: they are in a JSON block in which `<` is escaped, and the script
    writes them as text. The Content-Security-Policy of the document allows its own script and style
    by their digests and nothing else.

    Args:
        view: what is shown.

    Raises:
        ResourceError: if the viewer has not been built in this source tree.
    """
    script, style = _asset("viewer.js"), _asset("viewer.css")
    policy = (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{html.escape(_whole(view.model) or "Attention")}</title>
<style>{style}</style>
</head>
<body>
<div id="app">The viewer is starting. It needs JavaScript.</div>
<script type="application/json" id="data">{json_in_html(asdict(view))}</script>
<script>{script}</script>
</body>
</html>
"""


def json_in_html(value: Any) -> str:
    """Return JSON that ends no script element and opens no comment, whatever its texts hold."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _whole(text: str) -> str:
    """Return a text without halves of surrogate pairs, which UTF-8 cannot hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


def frame(page: str, title: str, height: int) -> str:
    """Return a document inside a frame that cannot reach the notebook around it.

    Args:
        page: the document.
        title: name of the frame for screen readers.
        height: in CSS pixels.
    """
    return (
        f'<iframe title="{html.escape(_whole(title))}" sandbox="allow-scripts allow-downloads" '
        f'style="width: 100%; height: {height}px; border: 1px solid #8886" '
        f'srcdoc="{html.escape(page)}"></iframe>'
    )


@cache
def _asset(name: str) -> str:
    try:
        # Browsers read line ends as "\n", and the digests are of what they read.
        text = (ASSETS / name).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ResourceError(
            f"{ASSETS / name}: does not exist, so the viewer cannot be shown. Run "
            "`python web/build_pages.py` in the source tree"
        ) from error
    # In texts of the script and the style, what would end their elements or open a comment.
    for mark in ("</script", "</style", "<!--"):
        text = text.replace(mark, f"<\\{mark[1:]}")
    return text


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"
