"""Links from names in prose to the reference: commands, public Python names, features."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from docutils import nodes
from from_the_code import every_command
from sphinx.application import Sphinx

import attention_motifs
from attention_motifs.features import feature_names
from attention_motifs.features.registry import BUILT_IN_SETS

Link = tuple[str, str]
"""Page and identifier on it."""


def finder() -> Callable[[str], Link | None]:
    """Return a function from the text of a literal to what it links to."""
    commands = {name for name, _ in every_command()}
    public = set(attention_motifs.__all__) - {"__version__"}
    of_atlas = {name for name in dir(attention_motifs.Atlas) if not name.startswith("_")}
    features = {name for key in BUILT_IN_SETS for name in feature_names(key)}

    def find(text: str) -> Link | None:
        if text in features:
            return "features", text
        if match := re.match(r"motifs ([a-z-]+(?: [a-z]+)?)", text):
            for name in (match[1], match[1].split()[0]):
                if name in commands:
                    return "reference/commands", f"motifs-{name.replace(' ', '-')}"
        if match := re.match(r"(?:am\.Atlas|atlas)\.(\w+)", text):
            if match[1] in of_atlas:
                return "reference/python", f"attention_motifs.Atlas.{match[1]}"
        elif (match := re.match(r"@?am\.(\w+)", text)) and match[1] in public:
            return "reference/python", f"attention_motifs.{match[1]}"
        return None

    return find


def link_literals(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Turn literals that name a command, a public name or a feature into links."""
    if docname.startswith("reference/"):
        return
    find = finder()
    for literal in list(doctree.findall(nodes.literal)):
        link = find(literal.astext())
        if link is None or _is_inside(literal, (nodes.reference, nodes.title)):
            continue
        page, identifier = link
        address = "" if page == docname else app.builder.get_relative_uri(docname, page)
        reference = nodes.reference("", "", internal=True, refuri=f"{address}#{identifier}")
        literal.replace_self(reference)
        reference += literal


def _is_inside(node: Any, kinds: tuple[type, ...]) -> bool:
    while node.parent is not None:
        node = node.parent
        if isinstance(node, kinds):
            return True
    return False


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("doctree-resolved", link_literals)
    return {"parallel_read_safe": True}
