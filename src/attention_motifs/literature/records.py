"""Records of `classes.json` and of a user's class file: their types and their validation.

Both files are an object with `"schema": 1` and lists of objects (docs/maps.md):
`models` (name, layers, heads, aliases), `groups` (name, colour, description, scheme), `classes`
(name, group, description), `sources` (key, title, url, evidence, note) and `assignments` (model,
head, class, source, note, conflict). A user's file may refer to what the package's file defines,
but must not define it again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from attention_motifs.errors import InputError, did_you_mean
from attention_motifs.head import HeadId, check_model_name
from attention_motifs.store.validated_json import Entry, parse_entry, read_entry

SCHEMA = 1
_COLOUR = re.compile(r"#[0-9A-Fa-f]{6}")
_URL = re.compile(r"https?://[^\s]+")
_LISTS = ("models", "groups", "classes", "sources", "assignments")

EVIDENCE: Mapping[str, str] = MappingProxyType(
    {
        "causal": "the head's effect was measured by intervening on it (ablation, patching)",
        "manual": "read off examples or learned features by people",
        "attention score": "a score of where the head attends, or a place in its ranking",
        "other": "anything else; the source's note says what",
    }
)
"""Kinds of evidence, from the strongest."""


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model under the name the literature uses, its size, and its other names."""

    name: str
    n_layers: int
    n_heads: int
    aliases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HeadGroup:
    """Classes that belong together and share one colour everywhere.

    Attributes:
        name: of the group.
        colour: #RRGGBB.
        description: what these heads do, as a verb phrase.
        scheme: colour scheme that the colour is from, or "".
    """

    name: str
    colour: str
    description: str
    scheme: str


@dataclass(frozen=True, slots=True)
class HeadClass:
    """A kind of head that a source names."""

    name: str
    group: str
    description: str


@dataclass(frozen=True, slots=True)
class Source:
    """A publication; `evidence` is a key of `EVIDENCE`."""

    key: str
    title: str
    url: str
    evidence: str
    note: str


@dataclass(frozen=True, slots=True)
class Assignment:
    """The assignment of a head to a class by a source.

    Attributes:
        head: under the literature's name of the model.
        head_class: name of the class.
        source: key of the source.
        note: what the source says about this head.
        conflict: a disagreement that the assignments themselves do not show.
    """

    head: HeadId
    head_class: str
    source: str
    note: str
    conflict: str


@dataclass(frozen=True, slots=True)
class Literature:
    """All records, checked for consistency, in the order of the files."""

    models: Mapping[str, KnownModel] = field(default_factory=dict)
    groups: Mapping[str, HeadGroup] = field(default_factory=dict)
    classes: Mapping[str, HeadClass] = field(default_factory=dict)
    sources: Mapping[str, Source] = field(default_factory=dict)
    assignments: tuple[Assignment, ...] = ()

    def model_name(self, name: str) -> str:
        """Return the literature's name of a model; an unknown name is returned unchanged.

        Aliases (`gpt2`, `openai-community/gpt2` for `gpt2-small`) are found in any case.
        """
        return _aliases(self.models).get(name.casefold(), name)


def _aliases(models: Mapping[str, KnownModel]) -> dict[str, str]:
    return {
        alias.casefold(): model.name
        for model in models.values()
        for alias in (model.name, *model.aliases)
    }


def load_known_heads(extra: Path | None = None) -> Literature:
    """Read the records of the package and, if given, of a class file of the user.

    Args:
        extra: path of the user's class file.

    Raises:
        InputError: if the user's file is missing or malformed, refers to an unknown record, or
            repeats an assignment. The message names the file, the entry and the fix.
    """
    return _builtin() if extra is None else _extend(_builtin(), read_entry(Path(extra), SCHEMA))


@lru_cache(maxsize=1)
def _builtin() -> Literature:
    file = resources.files("attention_motifs.literature") / "classes.json"
    return _extend(Literature(), parse_entry(file.read_bytes(), "classes.json", SCHEMA))


def _extend(base: Literature, file: Entry) -> Literature:
    """Add the records of a file, in the order in which they refer to each other."""
    file.only(("schema", *_LISTS))
    now = base
    for entry in file.entries("models"):
        model = _read_model(entry, now)
        now = replace(now, models=_added(now.models, model.name, model, entry))
    for entry in file.entries("groups"):
        group = _read_group(entry, now)
        now = replace(now, groups=_added(now.groups, group.name, group, entry))
    for entry in file.entries("classes"):
        head_class = _read_class(entry, now)
        now = replace(now, classes=_added(now.classes, head_class.name, head_class, entry))
    for entry in file.entries("sources"):
        source = _read_source(entry)
        now = replace(now, sources=_added(now.sources, source.key, source, entry))
    assignments = list(now.assignments)
    known = {(a.head, a.head_class, a.source) for a in assignments}
    for entry in file.entries("assignments"):
        assignment = _read_assignment(entry, now)
        key = (assignment.head, assignment.head_class, assignment.source)
        if key in known:
            raise entry.error(
                f"{assignment.source!r} already assigns {assignment.head} to "
                f"{assignment.head_class!r}; remove one of the two"
            )
        known.add(key)
        assignments.append(assignment)
    return replace(now, assignments=tuple(assignments))


T = TypeVar("T")


def _added(records: Mapping[str, T], name: str, record: T, entry: Entry) -> Mapping[str, T]:
    if name in records:
        raise entry.error(f"{name!r} is already defined; remove it or choose another name")
    return {**records, name: record}


def _known(entry: Entry, key: str, records: Mapping[str, object]) -> str:
    """Read the name of a record that must exist."""
    name = entry.text(key)
    if name not in records:
        raise entry.error(
            f"{key} {name!r} is not defined in this file; {did_you_mean(name, records)}"
        )
    return name


def _model_form(entry: Entry, name: str) -> str:
    try:
        return check_model_name(name)
    except InputError as error:
        raise entry.error(str(error)) from error


def _read_model(entry: Entry, now: Literature) -> KnownModel:
    entry.only(("name", "layers", "heads", "aliases"))
    name = _model_form(entry, entry.text("name"))
    aliases = tuple(_model_form(entry, alias) for alias in entry.texts("aliases"))
    taken = _aliases(now.models)
    for alias in (name, *aliases):
        if alias.casefold() in taken:
            raise entry.error(
                f"{alias!r} already means {taken[alias.casefold()]!r}; remove it here"
            )
    return KnownModel(name, _count(entry, "layers"), _count(entry, "heads"), aliases)


def _count(entry: Entry, key: str) -> int:
    value = entry.value.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise entry.error(f"{key!r} is {value!r}; give the number of {key} of the model")
    return value


def _given_name(entry: Entry) -> str:
    """Read the name of a class or group, which must not look like a computed one."""
    name = entry.text("name")
    if name.endswith("(computed)"):
        raise entry.error(f"name {name!r} ends like that of a behaviour score; choose another name")
    return name


def _read_group(entry: Entry, now: Literature) -> HeadGroup:
    entry.only(("name", "colour", "description", "scheme"))
    colour = entry.text("colour")
    if not _COLOUR.fullmatch(colour):
        raise entry.error(f"colour {colour!r} is not #RRGGBB; write it like '#0072B2'")
    for group in now.groups.values():
        if group.colour.casefold() == colour.casefold():
            raise entry.error(f"colour {colour} is taken by {group.name!r}; choose another")
    description = entry.text("description", "")
    return HeadGroup(_given_name(entry), colour, description, entry.text("scheme", ""))


def _read_class(entry: Entry, now: Literature) -> HeadClass:
    entry.only(("name", "group", "description"))
    group = _known(entry, "group", now.groups)
    return HeadClass(_given_name(entry), group, entry.text("description", ""))


def _read_source(entry: Entry) -> Source:
    entry.only(("key", "title", "url", "evidence", "note"))
    url = entry.text("url", "")
    if url and not _URL.fullmatch(url):
        raise entry.error(f"url {url!r} is not a web address; write https://..., or leave it out")
    evidence = entry.text("evidence")
    if evidence not in EVIDENCE:
        raise entry.error(f"evidence {evidence!r} is not known; choose from {', '.join(EVIDENCE)}")
    return Source(entry.text("key"), entry.text("title"), url, evidence, entry.text("note", ""))


def _read_assignment(entry: Entry, now: Literature) -> Assignment:
    entry.only(("model", "head", "class", "source", "note", "conflict"))
    name = now.model_name(_model_form(entry, entry.text("model")))
    written = entry.text("head")
    try:
        head = HeadId.parse(f"{name}:{written.strip()}")
    except InputError as error:
        raise entry.error(f"head {written!r} cannot be read; write it as L5:H3") from error
    if head.model != name:
        raise entry.error(f"head {written!r} cannot be read; write it as L5:H3")
    model = now.models.get(name)
    if model and not (head.layer < model.n_layers and head.index < model.n_heads):
        raise entry.error(
            f"head {written!r} is not in {name}, which has layers L0 to L{model.n_layers - 1} and "
            f"heads H0 to H{model.n_heads - 1}; check the number (they start at 0)"
        )
    return Assignment(
        head,
        _known(entry, "class", now.classes),
        _known(entry, "source", now.sources),
        entry.text("note", ""),
        entry.text("conflict", ""),
    )
