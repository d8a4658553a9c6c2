"""Pages that are made from the code: commands, the Python interface, features.

A page names what it wants in a comment, `<!-- generated: commands -->`, which is replaced by
Markdown before the page is read. So such a page cannot be out of date, and on a forge, where the
comment does not show, the words around it still can be read.
"""

from __future__ import annotations

import ast
import inspect
import math
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any

import typer
from sphinx.application import Sphinx

import attention_motifs
from attention_motifs.cli.app import app as motifs
from attention_motifs.features import features_of
from attention_motifs.store.settings import SETTINGS, Setting

MARK = re.compile(r"<!-- generated: ([a-z]+)(?: ([a-z_]+))? -->")

PARTS = (
    "extraction",
    "features",
    "distances",
    "projection",
    "clustering",
    "literature",
    "behaviour",
    "evaluation",
    "models",
    "figures",
    "atlas.queries",
    "reports.comparison_claims",
    "reports.comparison_measures",
    "reports.comparison_page",
    "reports.head_record",
    "reports.head_page",
    "progress",
)
"""Packages whose names are listed beside the public interface: those that the docs import from."""


# Commands


def every_command() -> Iterator[tuple[str, Any]]:
    """Names of all commands, those of groups with the group's, and the commands."""
    for name, command in sorted(typer.main.get_command(motifs).commands.items()):  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        if inner is None:
            yield name, command
        else:
            yield from ((f"{name} {sub}", one) for sub, one in sorted(inner.items()))


def commands() -> str:
    """Help of every command: what it does, its arguments and options, examples."""
    return "\n\n".join(_command(name, command) for name, command in every_command())


def _command(name: str, command: Any) -> str:
    told, _, examples = inspect.cleandoc(command.help or "").partition("Examples:")
    context = command.make_context(f"motifs {name}", [], resilient_parsing=True)
    usage = " ".join([f"motifs {name}", *command.collect_usage_pieces(context)])
    records = [(p, p.get_help_record(context)) for p in command.params]
    rows = [(f"`{record[0]}`", *_meaning(record[1])) for _, record in records if record]
    parts = [f"## `motifs {name}`", told.strip(), f"```text\n{usage}\n```"]
    if rows:
        parts.append(_table(("argument or option", "meaning", "default"), rows))
    lines = [line.strip() for line in examples.splitlines() if line.strip()]
    parts.append("```sh\n" + "\n".join(lines) + "\n```")
    return "\n\n".join(parts)


def _meaning(told: str) -> tuple[str, str]:
    """Meaning and default, from the words that the command line's own help has for both."""
    found = re.search(r"\s*\\?\[(?:(required)|default: (.*?))\]$", told)
    if found is None:
        return told, ""
    return told[: found.start()], "required" if found[1] else f"`{found[2].strip('()')}`"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(c) for c in line) + " |" for line in lines)


def _cell(text: str) -> str:
    shown = " ".join(text.split()).replace("|", "\\|")
    return shown if shown.startswith("`") else shown.replace("<", "\\<")


# Settings


def settings() -> str:
    """Return a table of every setting of a configuration file."""
    rows = [(f"`{s.key}`", s.kind, _default(s), s.help + ".") for s in SETTINGS]
    return _table(("key", "value", "default", "meaning"), rows)


def _default(setting: Setting) -> str:
    if setting.is_required:
        return "required"
    if not setting.default and setting.about.unset:
        return setting.about.unset
    if isinstance(setting.default, bool):
        return f"`{str(setting.default).lower()}`"
    if isinstance(setting.default, tuple):
        return ", ".join(f"`{value}`" for value in setting.default)
    return f"`{setting.default}`"


# The Python interface


def python() -> str:
    """Every public name of the package, by autodoc."""
    names = [name for name in attention_motifs.__all__ if name != "__version__"]
    found = {name: getattr(attention_motifs, name) for name in names}
    kinds = {
        "Functions": [name for name in names if not inspect.isclass(found[name])],
        "Classes": [name for name in names if inspect.isclass(found[name])],
    }
    parts = []
    for title, of_kind in kinds.items():
        parts.append(f"## {title}")
        for name in of_kind:
            parts.append(f"### `am.{name}`")
            parts.append(_autodoc("attention_motifs", name, found[name]))
    parts.append("## Version\n\n`am.__version__` is the installed version, a text such as `0.1.0`.")
    return "\n\n".join(parts)


def parts() -> str:
    """The names of the packages behind the public interface, by autodoc."""
    made = []
    for part in PARTS:
        module = import_module(f"attention_motifs.{part}")
        told = inspect.getdoc(module) or ""
        made.append(f"## `attention_motifs.{part}`\n\n{told}")
        public = set(attention_motifs.__all__)
        names = getattr(module, "__all__", None) or _defined_in(module)
        for name in names:
            value = getattr(module, name)
            if name in public and value is getattr(attention_motifs, name):
                continue  # on the page of the public interface
            made.append(_autodoc(module.__name__, name, value))
    return "\n\n".join(made)


def _defined_in(module: Any) -> list[str]:
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]


def _autodoc(module: str, name: str, value: object) -> str:
    if inspect.isclass(value):
        lines = [
            f".. autoclass:: {module}.{name}",
            "   :members:",
            "   :inherited-members: Exception",
        ]
    elif callable(value):
        lines = [f".. autofunction:: {module}.{name}"]
    else:
        lines = [f".. py:data:: {module}.{name}", "", f"   {_shown(value)}"]
    return "```{eval-rst}\n" + "\n".join(lines) + "\n```"


def _shown(value: object) -> str:
    """What a constant is, in a line."""
    if isinstance(value, dict | list | tuple | set | frozenset):
        items = ", ".join(f"``{item!r}``" for item in value)
        return f"Keys: {items}." if isinstance(value, dict) else f"{items}."
    return f"``{value!r}``."


def escape_bars(
    _app: Sphinx, _what: str, _name: str, _obj: Any, _opts: Any, lines: list[str]
) -> None:
    """Docstrings write absolute values with bars, which reStructuredText would substitute."""
    lines[:] = [
        "".join(
            part if i % 2 else part.replace("|", "\\|")
            for i, part in enumerate(re.split(r"(`+[^`]*`+)", line))
        )
        for line in lines
    ]


# Features


def features(name: str) -> str:
    """Every feature of a set, by the part of the pattern that it is taken from."""
    parts = []
    for context, group in groupby(features_of(name), key=lambda f: f.context):
        parts.append(f"## `{context}`")
        parts += [_feature(f) for f in group]
    return "\n\n".join(parts)


def _feature(feature: Any) -> str:
    low, high = (_bound(x) for x in feature.range)
    return (
        f"({feature.name})=\n### `{feature.name}`\n\n$$\n{feature.formula}\n$$\n\n"
        f"In $[{low}, {high}]$, cost {feature.cost}. Large: {feature.large}. "
        f"Source: {feature.source}."
    )


def _bound(x: float) -> str:
    if math.isinf(x):
        return r"\infty" if x > 0 else r"-\infty"
    return f"{x:.4g}"


# The code


def layout() -> str:
    """Every module and package of the first level, in its own words."""
    root = Path(str(attention_motifs.__file__)).parent
    rows = []
    for path in sorted(root.iterdir()):
        source = path / "__init__.py" if path.is_dir() else path
        if source.suffix == ".py" and source.is_file() and path.stem != "__init__":
            told = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
            name = f"{path.stem}/" if path.is_dir() else path.name
            rows.append((f"`{name}`", told.partition("\n\n")[0]))
    return _table(("part", "what it says of itself"), rows)


# The site


def pages(app: Sphinx) -> str:
    """A table of contents of the pages that no other one lists."""
    docs = Path(app.srcdir)
    index = (docs / "index.md").read_text(encoding="utf-8")
    listed = {"index", *re.findall(r"^(?:.*<)?([\w/-]+)>?$", index, re.MULTILINE)}
    others = []
    for path in sorted(docs.rglob("*.md")):
        name = path.relative_to(docs).with_suffix("").as_posix()
        has_own_list = path.parent != docs and (path.parent / "index.md").is_file()
        if name not in listed and not has_own_list and not name.startswith("_build/"):
            others.append(name)
    if not others:
        return ""
    return "```{toctree}\n:hidden:\n:caption: More\n\n" + "\n".join(others) + "\n```"


GENERATED: dict[str, Callable[..., str]] = {
    "commands": commands,
    "settings": settings,
    "python": python,
    "parts": parts,
    "features": features,
    "layout": layout,
}


def replace_marks(app: Sphinx, _docname: str, source: list[str]) -> None:
    """Put what is generated in the place of the comments that ask for it."""

    def made(match: re.Match[str]) -> str:
        if match[1] == "pages":
            return pages(app)
        arguments = [match[2]] if match[2] else []
        return GENERATED[match[1]](*arguments)

    source[0] = MARK.sub(made, source[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("source-read", replace_marks)
    app.connect("autodoc-process-docstring", escape_bars)
    return {"parallel_read_safe": True}
