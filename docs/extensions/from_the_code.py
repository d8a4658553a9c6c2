"""Parts of pages that are made from the code: commands, names, features, metrics, settings, errors.

A page names a part in a comment, `<!-- generated: commands -->`, which is replaced by Markdown
before the page is read. Such a part cannot be out of date. On a forge the comment does not show.
"""

from __future__ import annotations

import html
import inspect
import json
import math
import re
from collections.abc import Callable, Iterator
from csv import reader
from itertools import groupby
from pathlib import Path
from typing import Any

import typer
from sphinx.application import Sphinx

import attention_motifs
from attention_motifs import errors
from attention_motifs.atlas.ablation_table import COLUMNS, KINDS
from attention_motifs.behaviour.ablation import METHODS
from attention_motifs.behaviour.measures import MEASURES
from attention_motifs.behaviour.scores import CLASS_THRESHOLDS
from attention_motifs.cli.app import app
from attention_motifs.clustering.methods import CLUSTERINGS
from attention_motifs.distances import get_metric, metric_names
from attention_motifs.features import features_of
from attention_motifs.features.motif_definitions import MOTIFS
from attention_motifs.features.registry import built_in_set
from attention_motifs.literature import conflict_table, load_known_heads
from attention_motifs.literature.behaviours import BEHAVIOURS
from attention_motifs.models.architectures import TESTED
from attention_motifs.projection.methods import PROJECTIONS
from attention_motifs.reports.comparison_page import comparison_page
from attention_motifs.store.paths import ARTEFACTS
from attention_motifs.store.presets import PRESETS
from attention_motifs.store.settings import SETTINGS, Setting

MARK = re.compile(r"<!-- generated: ([a-z_]+)(?: ([\w./, -]+?))? -->")

DOCS = Path(__file__).resolve().parents[1]


# Commands


def every_command() -> Iterator[tuple[str, Any]]:
    """Names of all commands, those of groups with the group's, and the commands."""
    for name, command in sorted(typer.main.get_command(app).commands.items()):  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        if inner is None:
            yield name, command
        else:
            yield from ((f"{name} {sub}", one) for sub, one in sorted(inner.items()))


def commands() -> str:
    """Help of every command: what it does, its arguments and options, examples."""
    return "\n\n".join(_command(name, command) for name, command in every_command())


def _command(name: str, command: Any) -> str:
    summary, _, examples = inspect.cleandoc(command.help or "").partition("Examples:")
    context = command.make_context(f"motifs {name}", [], resilient_parsing=True)
    usage = " ".join([f"motifs {name}", *command.collect_usage_pieces(context)])
    records = [(p, p.get_help_record(context)) for p in command.params]
    rows = [(f"`{record[0]}`", *_meaning(record[1])) for _, record in records if record]
    parts = [f"## `motifs {name}`", summary.strip(), f"```text\n{usage}\n```"]
    if rows:
        parts.append(_table(("argument or option", "meaning", "default"), rows))
    lines = [line.strip() for line in examples.splitlines() if line.strip()]
    parts.append("```sh\n" + "\n".join(lines) + "\n```")
    return "\n\n".join(parts)


def _meaning(text: str) -> tuple[str, str]:
    """Meaning and default, from the words that the command line's own help has for both."""
    default = re.search(r"\s*\\?\[(?:(required)|default: (.*?))\]$", text)
    if default is None:
        return text, ""
    return text[: default.start()], "required" if default[1] else f"`{default[2].strip('()')}`"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(c) for c in line) + " |" for line in lines)


def _cell(text: str) -> str:
    shown = " ".join(text.split()).replace("|", "\\|")
    return shown if shown.startswith(("`", "$")) else shown.replace("<", "\\<")


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
    public = {name: getattr(attention_motifs, name) for name in names}
    kinds = {
        "Functions": [name for name in names if not inspect.isclass(public[name])],
        "Classes": [name for name in names if inspect.isclass(public[name])],
    }
    parts = []
    for title, of_kind in kinds.items():
        parts.append(f"## {title}")
        for name in of_kind:
            parts.append(f"### `am.{name}`")
            parts.append(_autodoc("attention_motifs", name, public[name]))
    parts.append("## Version\n\n`am.__version__` is the installed version, a text such as `0.1.0`.")
    return "\n\n".join(parts)


def _autodoc(module: str, name: str, value: object) -> str:
    if inspect.isclass(value):
        lines = [
            f".. autoclass:: {module}.{name}",
            "   :members:",
            "   :inherited-members: Exception",
        ]
    else:
        lines = [f".. autofunction:: {module}.{name}"]
    return "```{eval-rst}\n" + "\n".join(lines) + "\n```"


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


# Features, metrics, scores, architectures


def features(name: str) -> str:
    """List the features of a set by what they are taken from, with folded formulas."""
    notes = built_in_set(name).notes
    parts = [notes] if notes else []
    for context, group in groupby(features_of(name), key=lambda f: f.context):
        parts.append(f"**`{context}`**")
        parts += [_feature(f) for f in group]
    return "\n\n".join(parts)


def _feature(feature: Any) -> str:
    low, high = (_bound(x) for x in feature.range)
    return (
        f'<details class="feature" id="{feature.name}"><summary><code>{feature.name}</code> '
        f"{html.escape(feature.large)}</summary>\n\n$$\n{feature.formula}\n$$\n\n"
        f"In $[{low}, {high}]$, cost {feature.cost}. Source: {feature.source}.\n\n</details>"
    )


def _bound(x: float) -> str:
    if math.isinf(x):
        return r"\infty" if x > 0 else r"-\infty"
    return f"{x:.4g}"


def metrics() -> str:
    """Describe every metric of the registry."""
    parts = []
    presets = [name for name in metric_names() if get_metric(name).space != "embedding"]
    titles = {name: f"`{name}`" for name in metric_names("embedding")}
    titles[presets[0]] = f"The presets: {', '.join(f'`{name}`' for name in presets)}"
    for name in (name for name in metric_names() if name in titles):
        metric = get_metric(name)
        facts = [
            f"Cost: `{metric.cost}`. Triangle inequality: {'yes' if metric.triangle else 'no'}.",
            f"Unchanged by: {'; '.join(metric.invariances)}.",
            f"Cannot see: {metric.blind}.",
            f"Source: {metric.source}.",
        ]
        parts.append(f"### {titles[name]}\n\n$${metric.formula}$$\n\n" + "\n".join(
            f"- {fact}" for fact in facts
        ))  # fmt: skip
    return "\n\n".join(parts)


def presets() -> str:
    """List the presets of the package with the blocks they are made of."""
    rows = [
        (
            f"`{preset.name}`",
            ", ".join(f"`{b.name}` {b.weight:g}, {b.ridge:g}" for b in preset.blocks),
            preset.description,
        )
        for preset in PRESETS.values()
    ]
    return _table(("preset", "blocks: weight, ridge", "near heads have"), rows)


def motifs() -> str:
    """List the motifs among which attention is divided."""
    return _table(("motif", "meaning"), [(f"`{name}`", text) for name, text in MOTIFS.items()])


def projections() -> str:
    """List the methods that draw maps of heads."""
    rows = [(f"`{m.name}`", f"${m.formula}$", m.source) for m in PROJECTIONS.values()]
    return _table(("method", "places heads by", "source"), rows)


def clusterings() -> str:
    """List the methods that group heads."""
    rows = [(f"`{m.name}`", m.title, f"${m.formula}$", m.source) for m in CLUSTERINGS.values()]
    return _table(("method", "is", "groups heads by", "source"), rows)


def replacements() -> str:
    """List what the output of an ablated head is replaced by."""
    rows = [(f"`{name}`", meaning) for name, meaning in METHODS.items()]
    return _table(("`--replacement`", "the output becomes"), rows)


def measures() -> str:
    """List what is measured of an ablated model."""
    rows = [
        (f"`{name}`", ", ".join(f"`{d}`" for d in m.designs), m.meaning, "up" if m.worse > 0
         else "down")
        for name, m in MEASURES.items()
    ]  # fmt: skip
    return _table(("`measure`", "designs", "meaning", "worse"), rows)


def scores() -> str:
    """List the behaviour scores, and from which value on a head is in the computed class."""
    rows = [
        (f"`{name}`", meaning, f"{CLASS_THRESHOLDS[name]:g}" if name in CLASS_THRESHOLDS else "")
        for name, meaning in BEHAVIOURS.items()
    ]
    return _table(("score", "meaning", "in the class from"), rows)


def architectures() -> str:
    """List the tested architectures, and how each is tapped."""
    rows = [(f"`{name}`", each.tap, each.note) for name, each in TESTED.items()]
    return _table(("`model_type`", "patterns taken through", "note"), rows)


# Known heads


def known_heads() -> str:
    """List the known heads, a row for each model, class and source, under a search form.

    The page shows all rows; docs/style/known-heads.js hides those that do not match.
    """
    literature = load_known_heads()
    disputed = set(conflict_table().select("head", "class").iter_rows())
    rows: dict[tuple[str, str, str], list[Any]] = {}
    for a in literature.assignments:
        rows.setdefault((a.head.model, a.head_class, a.source), []).append(a)
    body = []
    for (model, name, key), listed in rows.items():
        source, group = literature.sources[key], literature.groups[literature.classes[name].group]
        aliases = " ".join(literature.models[model].aliases)
        heads = " ".join(_known_head(a, (str(a.head), name) in disputed) for a in listed)
        rules = dict.fromkeys(a.threshold for a in listed if a.threshold)
        notes = dict.fromkeys(a.note for a in listed if a.note)
        notes_shown = "; ".join([*rules, *notes]) or source.note
        evidence = ", ".join(dict.fromkeys(a.evidence for a in listed))
        body.append(
            f'<tr data-model="{html.escape(f"{model} {aliases}")}"><td>{html.escape(model)}</td>'
            f'<td><span class="swatch" style="background:{group.colour}"></span>'
            f"{html.escape(name)}</td>"
            f'<td><a href="{html.escape(source.url)}">{html.escape(source.title)}</a></td>'
            f"<td>{html.escape(evidence)}</td><td>{html.escape(notes_shown)}</td><td>{heads}</td></tr>"
        )
    fields = "".join(
        f'<label>{label} <input type="search" data-field="{field}"></label>'
        for field, label in (("class", "Class"), ("model", "Model"), ("paper", "Paper"))
    )
    titles = ("model", "class", "paper", "evidence", "how selected", "heads")
    header = "".join(f"<th>{title}</th>" for title in titles)
    return (
        "```{raw} html\n"
        f'<form id="known-heads-search">{fields}<output></output></form>\n'
        '<div class="table-wrapper"><table class="docutils" id="known-heads">'
        f"<thead><tr>{header}</tr></thead><tbody>\n"
        + "\n".join(body)
        + "\n</tbody></table></div>\n"
        "```"
    )


def _known_head(assignment: Any, is_disputed: bool) -> str:
    head = f"L{assignment.head.layer}:H{assignment.head.index}"
    score = "" if assignment.score is None else f"score {assignment.score:.4g}"
    conflict = f"; {assignment.conflict or 'another source omits it'}" if is_disputed else ""
    title = html.escape((score + conflict).removeprefix("; "))
    mark = "*" if is_disputed else ""
    return f'<span title="{title}">{head}{mark}</span>' if title else head


# Files and settings


def artefacts() -> str:
    """List the files of an atlas, with the columns they have and what makes them again."""
    rows = []
    for each in ARTEFACTS.values():
        holds = f"{each.holds} ([more]({each.page}))" if each.page else each.holds
        columns = ", ".join(f"`{name}`" for name in each.columns)
        name = _placed(each.pattern)
        command = f"`motifs {_placed(each.command)}`" if each.command else ""
        rows.append((f"`{name}`", holds, columns, command))
    return _table(("file", "holds", "columns", "made again by"), rows)


def _placed(pattern: str) -> str:
    return re.sub(r"\{(\w+)[^}]*\}", r"<\1>", pattern)


def ablation_columns() -> str:
    """List the kinds of rows and the columns of `ablations.parquet`."""
    kinds = _table(("`kind`", "is"), [(f"`{name}`", meaning) for name, meaning in KINDS.items()])
    rows = [(f"`{name}`", kind, meaning) for name, (kind, meaning) in COLUMNS.items()]
    return f"{kinds}\n\n{_table(('column', 'type', 'meaning'), rows)}"


def exit_codes() -> str:
    """List the exit codes with the errors that cause them."""
    kinds: dict[int, list[str]] = {}
    for name, kind in vars(errors).items():
        if inspect.isclass(kind) and issubclass(kind, errors.MotifsError):
            kinds.setdefault(kind.exit_code, []).append(f"`{name}`")
    rows = [
        (str(code), ", ".join(kinds.get(code, [])), meaning)
        for code, meaning in errors.EXIT_CODES.items()
    ]
    return _table(("code", "in Python", "meaning"), rows)


def comparison() -> str:
    """Write the page of `motifs compare` for the reference run."""
    measured = json.loads((DOCS / "packaged" / "comparison.json").read_text(encoding="utf-8"))
    page = comparison_page(measured["atlases"], "packaged", "png")
    return page.replace("## ", "#### ")  # below a section of the page that includes it


def csv(name: str) -> str:
    """Show a file of docs/numbers/ as a table."""
    with (DOCS / "numbers" / name).open(encoding="utf-8", newline="") as lines:
        head, *rows = (tuple(row) for row in reader(lines))
    return f"{_table(head, rows)}\n\n[The table as CSV](numbers/{name})"


def words(text: str) -> str:
    """Make the search find a page by words of a reader, separated by commas."""
    main = ", ".join(f"!{entry.strip()}" for entry in text.split(","))
    return f"```{{index}} {main}\n```"


PLACES = {
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/README.md": "measurements.md",
}
"""Files outside of docs/ that are pages of the site, and their names there."""


def file(name: str) -> str:
    """Return the text of a Markdown file of the repository, with links as the site needs them."""
    path = DOCS.parent / name

    def place(match: re.Match[str]) -> str:
        address, mark, anchor = match[1].partition("#")
        target = (path.parent / address).resolve()
        inside = PLACES.get(target.relative_to(DOCS.parent).as_posix())
        if inside is None and target.is_relative_to(DOCS):
            inside = target.relative_to(DOCS).as_posix()
        return f"]({inside}{mark}{anchor})" if inside else match[0]

    return re.sub(r"\]\((?!https?:|#)([^)\s]+)\)", place, path.read_text(encoding="utf-8"))


GENERATED: dict[str, Callable[..., str]] = {
    "ablation_columns": ablation_columns,
    "architectures": architectures,
    "artefacts": artefacts,
    "clusterings": clusterings,
    "commands": commands,
    "comparison": comparison,
    "csv": csv,
    "exit_codes": exit_codes,
    "features": features,
    "file": file,
    "known_heads": known_heads,
    "measures": measures,
    "metrics": metrics,
    "motifs": motifs,
    "presets": presets,
    "projections": projections,
    "python": python,
    "replacements": replacements,
    "scores": scores,
    "settings": settings,
    "words": words,
}


def replace_marks(_app: Sphinx, _docname: str, source: list[str]) -> None:
    """Replace the comments that name a generated part by that part."""

    def generated(match: re.Match[str]) -> str:
        return GENERATED[match[1]](*([match[2]] if match[2] else []))

    source[0] = MARK.sub(generated, source[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("source-read", replace_marks)
    app.connect("autodoc-process-docstring", escape_bars)
    return {"parallel_read_safe": True}
