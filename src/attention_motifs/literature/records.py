"""Records of `classes.json` and of a user's class file: their types and their validation.

Both files are an object with `"schema": 1` and lists of objects (docs/known-heads.md):
`models` (name, layers, heads, aliases), `groups` (name, colour, description, scheme), `classes`
(name, group, description), `sources` (key, title, url, evidence, note), `assignments` (one head:
model, head, class, source, note, conflict) and `lists` (heads of one class in one model by one
source, with threshold, scores and the place where they were read). A user's file may refer to what
the package's file defines, but must not define it again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, TypeVar

import msgspec

from attention_motifs.errors import InputError, did_you_mean
from attention_motifs.head import HeadId, check_model_name
from attention_motifs.store.validated_json import Text, parse_document, read_document

SCHEMA = 1
_COLOUR = re.compile(r"#[0-9A-Fa-f]{6}")
_URL = re.compile(r"https?://[^\s]+")

_Count = Annotated[int, msgspec.Meta(ge=1)]

EVIDENCE: Mapping[str, str] = MappingProxyType(
    {
        "causal": "the head's effect was measured by intervening on it (ablation, patching)",
        "attribution": "a score of the head's direct effect on the output",
        "manual": "read off examples or learned features by people",
        "attention score": "a score of where the head attends, or a place in its ranking",
        "weights": "read off the head's weights",
        "other": "anything else; the source's note says what",
    }
)
"""Kinds of evidence, from the strongest."""


class KnownModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model under the name the literature uses, its size, and its other names."""

    name: Text
    n_layers: _Count = msgspec.field(name="layers")
    n_heads: _Count = msgspec.field(name="heads")
    aliases: tuple[str, ...] = ()


class HeadGroup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Classes that belong together and share one colour everywhere.

    Attributes:
        name: of the group.
        colour: #RRGGBB.
        description: what these heads do, as a verb phrase.
        scheme: colour scheme that the colour is from, or "".
    """

    name: Text
    colour: str
    description: str = ""
    scheme: str = ""


class HeadClass(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A kind of head that a source names."""

    name: Text
    group: str
    description: str = ""


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A publication; `evidence` is a key of `EVIDENCE`."""

    key: Text
    title: Text
    evidence: str
    url: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Assignment:
    """The assignment of a head to a class by a source.

    Attributes:
        head: under the literature's name of the model.
        head_class: name of the class.
        source: key of the source.
        evidence: a key of `EVIDENCE`.
        note: what the source says about this head.
        conflict: a disagreement that the assignments themselves do not show.
        threshold: rule by which the source selected the head, or "".
        score: the source's score of the head, or None.
        seen: file or text in which the assignment was read, or "".
        tier: 1, the authors' own statement; 2, a secondary source; 3, not reviewed.
        partial: whether the source's list goes on, so that it does not contradict other heads.
    """

    head: HeadId
    head_class: str
    source: str
    evidence: str
    note: str = ""
    conflict: str = ""
    threshold: str = ""
    score: float | None = None
    seen: str = ""
    tier: int = 1
    partial: bool = False


@dataclass(frozen=True)
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
        return self.aliases.get(name.casefold(), name)

    @cached_property
    def aliases(self) -> dict[str, str]:
        """Names of models by their aliases in lower case; a name is an alias of itself."""
        return {
            alias.casefold(): model.name
            for model in self.models.values()
            for alias in (model.name, *model.aliases)
        }


class _Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An assignment of one head as the file holds it."""

    model: str
    head: str
    head_class: str = msgspec.field(name="class")
    source: str
    note: str = ""
    conflict: str = ""


class _List(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Heads that a source puts in a class, as the file holds them: `heads` maps L5:H3 to a score.

    The fields are those of `Assignment`; `evidence` is that of the source if it is left out.
    """

    model: str
    head_class: str = msgspec.field(name="class")
    source: str
    heads: dict[str, float | None]
    evidence: str = ""
    threshold: str = ""
    partial: bool = False
    seen: str = ""
    tier: Annotated[int, msgspec.Meta(ge=1, le=3)] = 1
    note: str = ""
    conflict: str = ""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The object that a class file holds."""

    schema: int
    models: tuple[KnownModel, ...] = ()
    groups: tuple[HeadGroup, ...] = ()
    classes: tuple[HeadClass, ...] = ()
    sources: tuple[Source, ...] = ()
    assignments: tuple[_Row, ...] = ()
    lists: tuple[_List, ...] = ()


def load_known_heads(extra: Path | None = None) -> Literature:
    """Read the records of the package and, if given, of a class file of the user.

    Args:
        extra: path of the user's class file.

    Raises:
        InputError: if the user's file is missing or malformed, refers to an unknown record, or
            repeats an assignment. The message names the file, the entry and the fix.
    """
    if not isinstance(extra, str | os.PathLike | None) or "\0" in os.fspath(extra or ""):
        raise InputError(f"extra={extra!r:.80}: expected the path of a file of classes")
    if extra is None:
        return _builtin()
    return _extend(_builtin(), read_document(Path(extra), _File, SCHEMA), str(extra))


@lru_cache(maxsize=1)
def _builtin() -> Literature:
    name = "classes.json"
    data = (resources.files("attention_motifs.literature") / name).read_bytes()
    return _extend(Literature(), parse_document(data, name, _File, SCHEMA), name)


def _extend(base: Literature, file: _File, path: str) -> Literature:
    """Add the records of a file, in the order in which they refer to each other."""
    now = base
    for number, model in enumerate(file.models):
        with _located(path, "models", number):
            _check_model(model, now)
            now = replace(now, models=_added(now.models, model.name, model))
    for number, group in enumerate(file.groups):
        with _located(path, "groups", number):
            _check_group(group, now)
            now = replace(now, groups=_added(now.groups, group.name, group))
    for number, head_class in enumerate(file.classes):
        with _located(path, "classes", number):
            _check_defined("group", head_class.group, now.groups)
            _check_name(head_class.name)
            now = replace(now, classes=_added(now.classes, head_class.name, head_class))
    for number, source in enumerate(file.sources):
        with _located(path, "sources", number):
            _check_source(source)
            now = replace(now, sources=_added(now.sources, source.key, source))
    assignments = list(now.assignments)
    known = {(a.head, a.head_class, a.source) for a in assignments}
    entries: dict[str, tuple[_Row | _List, ...]] = {
        "assignments": file.assignments,
        "lists": file.lists,
    }
    for key, listed in entries.items():
        for number, entry in enumerate(listed):
            with _located(path, key, number):
                for assignment in _assignments(entry, now):
                    _check_new(assignment, known)
                    assignments.append(assignment)
    return replace(now, assignments=tuple(assignments))


def _check_new(assignment: Assignment, known: set[tuple[HeadId, str, str]]) -> None:
    """Refuse an assignment that the source already makes; add it to the known ones."""
    key = (assignment.head, assignment.head_class, assignment.source)
    if key in known:
        raise InputError(
            f"{assignment.source!r} already assigns {assignment.head} to "
            f"{assignment.head_class!r}; remove one of the two"
        )
    known.add(key)


@contextmanager
def _located(path: str, key: str, number: int) -> Iterator[None]:
    """Put file and entry before the message of an error."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {key}[{number}]: {error}") from error


T = TypeVar("T")


def _added(records: Mapping[str, T], name: str, record: T) -> Mapping[str, T]:
    if name in records:
        raise InputError(f"{name!r} is already defined; remove it or choose another name")
    return {**records, name: record}


def _check_defined(key: str, name: str, records: Mapping[str, object]) -> None:
    if name not in records:
        raise InputError(
            f"{key} {name!r} is not defined in this file; {did_you_mean(name, records)}"
        )


def _check_model(model: KnownModel, now: Literature) -> None:
    taken = now.aliases
    for name in (model.name, *model.aliases):
        check_model_name(name)
        if name.casefold() in taken:
            raise InputError(f"{name!r} already means {taken[name.casefold()]!r}; remove it here")


def _check_name(name: str) -> None:
    """Refuse a name of a class or group that looks like a computed one."""
    if name.endswith("(computed)"):
        raise InputError(f"name {name!r} ends like that of a behaviour score; choose another name")


def _check_group(group: HeadGroup, now: Literature) -> None:
    if not _COLOUR.fullmatch(group.colour):
        raise InputError(f"colour {group.colour!r} is not #RRGGBB; write it like '#0072B2'")
    for existing in now.groups.values():
        if existing.colour.casefold() == group.colour.casefold():
            raise InputError(f"colour {group.colour} is taken by {existing.name!r}; choose another")
    _check_name(group.name)


def _check_source(source: Source) -> None:
    if source.url and not _URL.fullmatch(source.url):
        raise InputError(
            f"url {source.url!r} is not a web address; write https://..., or leave it out"
        )
    _check_evidence(source.evidence)


def _check_evidence(evidence: str) -> None:
    if evidence not in EVIDENCE:
        raise InputError(f"evidence {evidence!r} is not known; choose from {', '.join(EVIDENCE)}")


def _assignments(entry: _Row | _List, now: Literature) -> Iterator[Assignment]:
    """Yield the assignments of a row or list, after checking the records it refers to."""
    name = now.model_name(check_model_name(entry.model))
    _check_defined("class", entry.head_class, now.classes)
    _check_defined("source", entry.source, now.sources)
    source = now.sources[entry.source]
    if isinstance(entry, _Row):
        yield Assignment(
            _head(entry.head, name, now),
            entry.head_class,
            entry.source,
            source.evidence,
            entry.note,
            entry.conflict,
        )
        return
    if entry.evidence:
        _check_evidence(entry.evidence)
    if not entry.heads:
        raise InputError("'heads' is empty; name one head at least, such as {\"L5:H3\": null}")
    for head, score in entry.heads.items():
        yield Assignment(
            _head(head, name, now),
            entry.head_class,
            entry.source,
            entry.evidence or source.evidence,
            entry.note,
            entry.conflict,
            entry.threshold,
            score,
            entry.seen,
            entry.tier,
            entry.partial,
        )


def _head(text: str, name: str, now: Literature) -> HeadId:
    try:
        head = HeadId.parse(f"{name}:{text.strip()}")
    except InputError:
        head = None
    if head is None or head.model != name:
        raise InputError(f"head {text!r} cannot be read; write it as L5:H3")
    model = now.models.get(name)
    if model and not (head.layer < model.n_layers and head.index < model.n_heads):
        raise InputError(
            f"head {text!r} is not in {name}, which has layers L0 to L{model.n_layers - 1} and "
            f"heads H0 to H{model.n_heads - 1}; check the number (they start at 0)"
        )
    return head
