"""`HeadId`: the only parser and printer of head names.

A head is written `model:L5:H3` (zero-based layer and index). The paper and the links of
its site use other separators, which are read but never written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering

from attention_motifs.errors import InputError

# The last layer and index are the head's: a name which itself ends like a head keeps its tail.
_HEAD = re.compile(r"(?P<model>.+?)[:~.]L(?P<layer>\d{1,5})[:~.]?H(?P<index>\d{1,5})", re.ASCII)
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?", re.ASCII)
_MAX_LENGTH = 150
"""Characters of a model name: the hub allows 96, and with its endings it must name a file."""
_MAX_NUMBER = 99_999
"""The largest layer or index: what `_HEAD` reads back."""


def _shown(text: object) -> str:
    """Quote a value in an error, cut to what fits on a line."""
    if not isinstance(text, str):
        return f"{text!r:.80}"
    return repr(text if len(text) <= _MAX_LENGTH else text[:_MAX_LENGTH] + "...")


def check_model_name(name: str) -> str:
    """Return `name` if it may name a model, since names become folder names.

    Raises:
        InputError: if it is not `name` or `org/name` of letters, digits, `.`, `-` and `_`, or
            longer than 150 characters.
    """
    # `a__b` would share the folder of `a/b`; behind the slash two underscores mislead nobody.
    doubled = "__" in name.partition("/")[0]
    if len(name) > _MAX_LENGTH or not _MODEL.fullmatch(name) or ".." in name or doubled:
        raise InputError(
            f"model name {_shown(name)} is not usable: write `name` or `org/name` with letters, "
            f"digits, '.', '-' and single '_', at most {_MAX_LENGTH} characters"
        )
    return name


def model_folder(name: str) -> str:
    """Folder name of a model: `org/name` becomes `org__name`.

    Raises:
        InputError: if the name may not name a model.
    """
    return check_model_name(name).replace("/", "__")


@total_ordering
@dataclass(frozen=True, slots=True)
class HeadId:
    """One attention head of one model; layers and heads are counted from zero."""

    model: str
    layer: int
    index: int

    def __post_init__(self) -> None:
        check_model_name(self.model)
        if not (0 <= self.layer <= _MAX_NUMBER and 0 <= self.index <= _MAX_NUMBER):
            raise InputError(
                f"head L{self.layer}:H{self.index}: layer and index lie in 0 to {_MAX_NUMBER}"
            )

    @classmethod
    def parse(cls, text: str) -> HeadId:
        """Read `model:L5:H3`, `model:L5H3`, `model~L5~H3` or `model.L5.H3`.

        Raises:
            InputError: if it is none of these, or no text.
        """
        match = _HEAD.fullmatch(text.strip()) if isinstance(text, str) else None
        if match is None:
            raise InputError(f"{_shown(text)} is not a head: write it as model:L5:H3")
        return cls(match["model"], int(match["layer"]), int(match["index"]))

    def __str__(self) -> str:
        return f"{self.model}:L{self.layer}:H{self.index}"

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, HeadId):
            return NotImplemented
        return (self.model, self.layer, self.index) < (other.model, other.layer, other.index)
