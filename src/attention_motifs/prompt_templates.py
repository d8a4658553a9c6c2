"""Prompts from templates: texts with slots, filled at random, in one or more conditions.

Each prompt carries its condition, the number of its filling, and the places of the filled slots.
"""

from __future__ import annotations

import json
import math
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from numbers import Integral
from typing import Any

import numpy as np

from attention_motifs.errors import InputError, did_you_mean
from attention_motifs.prompts import Prompt

Fillings = Mapping[str, Sequence[Any]]

_SLOT = re.compile(r"(?P<list>[A-Za-z_]+)(?P<number>[0-9]*)(\.(?P<part>[A-Za-z_]+))?", re.ASCII)
_OWN = "own"


@dataclass(frozen=True)
class PromptTemplate:
    """A built-in template.

    Attributes:
        name: its name.
        description: what differs between its conditions.
        conditions: condition -> text with slots.
        fillings: list -> its entries.
    """

    name: str
    description: str
    conditions: dict[str, str]
    fillings: dict[str, list[Any]]


def prompt_templates() -> dict[str, PromptTemplate]:
    """Return the built-in templates by name."""
    file = resources.files("attention_motifs") / "prompt_templates.json"
    held = json.loads(file.read_text(encoding="utf-8"))
    return {
        name: PromptTemplate(
            name,
            value["description"],
            value["conditions"],
            {slot: held["lists"][slot] for slot in _lists_of(value["conditions"])},
        )
        for name, value in held["templates"].items()
    }


def _lists_of(conditions: Mapping[str, str]) -> list[str]:
    slots = [slot for text in conditions.values() for _, slot in _pieces(text) if slot]
    return list(dict.fromkeys(slot.name for slot in slots))


def prompts_from_template(
    template: str | Mapping[str, str],
    n: int = 32,
    *,
    fillings: Fillings | None = None,
    seed: int = 0,
) -> list[Prompt]:
    """Return prompts made from a template, with random fillings of its slots.

    Args:
        template: name of a built-in template (`indirect-objects`, `repeats`, `recall`, `lists`,
            `brackets`, `translation`); or a text with slots such as `{name1} met {name2}.`; or
            texts by condition. A slot is the name of a list and a number: the same slot stands for
            the same entry, and slots of one list for different entries. `{word1.en}` is a part of
            an entry that is a mapping. Braces are written `{{` and `}}`.
        n: number of prompts, a multiple of the number of conditions.
        fillings: list -> its entries, texts or mappings; needed for your own template.
        seed: seed for drawing fillings.

    Returns:
        The prompts, the conditions of one filling next to each other. `meta` holds `template`,
        `condition`, `filling` (its number) and `spans`: slot -> [start, end] of each place where it
        is filled in, in characters of the text.

    Raises:
        InputError: if the template or a list is not known, a slot is malformed, or there are fewer
            different fillings than needed.

    Example:
        >>> import attention_motifs as am
        >>> prompts = am.prompts_from_template("{name1} met {name2}.", 2,
        ...                                    fillings={"name": ["Ann", "Bo", "Cy"]})
        >>> start, end = prompts[0].meta["spans"]["name2"][0]
        >>> prompts[0].text[end:]
        '.'
        >>> [p.meta["condition"] for p in am.prompts_from_template("indirect-objects", 2)]
        ['ABBA', 'BABA']
    """
    name, conditions, lists = _resolved(template, fillings)
    _check_numbers(n, seed, len(conditions))
    parsed = {condition: _pieces(text) for condition, text in conditions.items()}
    slots = sorted({slot.key for pieces in parsed.values() for _, slot in pieces if slot})
    drawn = _drawn(slots, lists, int(n) // len(conditions), int(seed))
    prompts = []
    for number, filling in enumerate(drawn):
        for condition, pieces in parsed.items():
            text, spans = _filled(pieces, filling)
            meta = {"template": name, "condition": condition, "filling": number, "spans": spans}
            if not text.strip():
                raise InputError(f"template {name!r:.60}: its text is empty. Write a text")
            prompts.append(Prompt(text, f"template/{name}", meta))
    return prompts


@dataclass(frozen=True)
class _Slot:
    name: str
    """List of its entries."""
    number: str
    part: str | None

    @property
    def key(self) -> tuple[str, str]:
        return self.name, self.number

    def __str__(self) -> str:
        return self.name + self.number + (f".{self.part}" if self.part else "")


def _resolved(
    template: Any, fillings: Fillings | None
) -> tuple[str, dict[str, str], dict[str, list[Any]]]:
    """Return the name, the texts by condition and the lists of a template."""
    known = prompt_templates()
    if fillings is not None and not isinstance(fillings, Mapping):
        raise InputError(f"fillings={fillings!r:.60}: give a mapping, such as {{'name': ['Ann']}}")
    given = {name: _entries(name, values) for name, values in (fillings or {}).items()}
    if isinstance(template, str) and template in known:
        built_in = known[template]
        return template, built_in.conditions, {**built_in.fillings, **given}
    texts = template if isinstance(template, Mapping) else {_OWN: template}
    if not texts or not all(isinstance(x, str) for pair in texts.items() for x in pair):
        raise InputError(f"template={template!r:.60}: give a name, a text, or texts by condition")
    conditions = dict(texts)
    if needed := [name for name in _lists_of(conditions) if name not in given]:
        raise InputError(
            f"template: no list {needed[0]!r} is given for its slots. Add "
            f"fillings={{{needed[0]!r}: [...]}}"
        )
    if not any(slot for text in conditions.values() for _, slot in _pieces(text)):
        text = next(iter(conditions.values()))
        raise InputError(
            f"template {text!r:.60} is not known and has no slot such as {{name1}}; "
            f"{did_you_mean(text[:60], known)}"
        )
    return _OWN, conditions, given


def _entries(name: object, values: Any) -> list[Any]:
    """Return the different entries of a list."""
    listed = not isinstance(values, str | bytes | Mapping) and isinstance(values, Sequence)
    if not listed or not all(isinstance(value, str | Mapping) for value in values) or not values:
        raise InputError(f"fillings {name!r:.40}: {values!r:.60} is no list of texts. Give a list")
    entries: list[Any] = []
    for value in values:
        entry = dict(value) if isinstance(value, Mapping) else value
        if entry not in entries:
            entries.append(entry)
    return entries


def _check_numbers(n: Any, seed: Any, n_conditions: int) -> None:
    for what, value, least in (("n", n, 1), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
            raise InputError(f"{what} {value!r:.60}: give a whole number of at least {least}")
    if n % n_conditions:
        more = int(n) + n_conditions - int(n) % n_conditions
        raise InputError(
            f"n {n}: the template has {n_conditions} conditions of as many prompts each. Give a "
            f"multiple of {n_conditions}, such as {more}"
        )


def _pieces(text: str) -> list[tuple[str, _Slot | None]]:
    """Return the literal texts of a template, each with the slot that follows it.

    Raises:
        InputError: if a brace is not closed, or a slot is no name.
    """
    try:
        parsed = list(string.Formatter().parse(text))
    except ValueError as error:
        raise InputError(
            f"template {text!r:.60}: {error}. Write a brace of the text twice, as {{{{"
        ) from error
    pieces: list[tuple[str, _Slot | None]] = []
    for literal, field, form, conversion in parsed:
        match = _SLOT.fullmatch(field) if field is not None else None
        if field is not None and (match is None or form or conversion):
            raise InputError(
                f"template: {{{field[:40]}}} is no slot. Write a list and a number, such as "
                "{name1}"
            )
        slot = None if match is None else _Slot(match["list"], match["number"], match["part"])
        pieces.append((literal, slot))
    return pieces


def _drawn(
    slots: Sequence[tuple[str, str]], lists: Mapping[str, list[Any]], n: int, seed: int
) -> list[dict[tuple[str, str], Any]]:
    """Return n different fillings of slots: slot -> entry.

    Raises:
        InputError: if there are fewer.
    """
    by_list: dict[str, list[tuple[str, str]]] = {}
    for slot in slots:
        by_list.setdefault(slot[0], []).append(slot)
    n_possible = math.prod(math.perm(len(lists[k]), len(of)) for k, of in by_list.items())
    if n > n_possible:
        raise InputError(
            f"the lists give {n_possible} different fillings, and {n} are needed. Ask for fewer "
            "prompts, or give longer lists"
        )
    rng = np.random.default_rng(seed)
    chosen: dict[tuple[int, ...], None] = {}
    while len(chosen) < n:
        draw = [rng.permutation(len(lists[k]))[: len(of)].tolist() for k, of in by_list.items()]
        chosen.setdefault(tuple(place for places in draw for place in places))
    ordered = [slot for of in by_list.values() for slot in of]
    return [
        {slot: lists[slot[0]][place] for slot, place in zip(ordered, places, strict=True)}
        for places in chosen
    ]


def _filled(
    pieces: Sequence[tuple[str, _Slot | None]], filling: Mapping[tuple[str, str], Any]
) -> tuple[str, dict[str, list[list[int]]]]:
    """Return the text, and where each slot is filled in.

    Raises:
        InputError: if a part of an entry is asked for that it lacks.
    """
    text = ""
    spans: dict[str, list[list[int]]] = {}
    for literal, slot in pieces:
        text += literal
        if slot is None:
            continue
        entry = filling[slot.key]
        value = entry.get(slot.part) if isinstance(entry, Mapping) and slot.part else entry
        if not isinstance(value, str) or (slot.part and not isinstance(entry, Mapping)):
            raise InputError(
                f"template: {{{slot}}} stands for {entry!r:.60}, which has no text of that name. "
                "Write {list1.part} for entries with parts, {list1} for texts"
            )
        spans.setdefault(str(slot), []).append([len(text), len(text) + len(value)])
        text += value
    return text, spans
