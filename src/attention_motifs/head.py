"""Names of attention heads and models: parsing, printing and checking.

A head is written `model:L5:H3`, with layer and index counted from zero. The other notations of
the paper and its site are read too, but never written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, total_ordering
from numbers import Integral

from attention_motifs.errors import InputError

# The last layer and index belong to the head, even if the model's name ends like a head.
_HEAD = re.compile(r"(?P<model>.+?)[:~.]L(?P<layer>\d{1,5})[:~.]?H(?P<index>\d{1,5})", re.ASCII)
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?", re.ASCII)
_MAX_LENGTH = 150
"""Maximum length of a model name. The hub allows 96; file names with suffixes must fit too."""
_MAX_NUMBER = 99_999
"""Largest layer or index that `_HEAD` reads."""


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
    if not isinstance(name, str):
        raise InputError(f"model name {_shown(name)} is not usable: expected a text")
    if not _is_usable(name):
        raise InputError(
            f"model name {_shown(name)} is not usable: write `name` or `org/name` with letters, "
            f"digits, '.', '-' and single '_', at most {_MAX_LENGTH} characters"
        )
    return name


@lru_cache(maxsize=1024)
def _is_usable(name: str) -> bool:
    # `a__b` would share the folder of `a/b`; after the slash, two underscores are not ambiguous.
    doubled = "__" in name.partition("/")[0]
    usable = len(name) <= _MAX_LENGTH and _MODEL.fullmatch(name) is not None
    return usable and ".." not in name and not doubled


def model_folder(name: str) -> str:
    """Return the folder name of a model: `org/name` becomes `org__name`.

    Raises:
        InputError: if `name` cannot name a model.
    """
    return check_model_name(name).replace("/", "__")


@total_ordering
@dataclass(frozen=True, slots=True)
class HeadId:
    """Name of one attention head.

    Attributes:
        model: name of the model.
        layer: layer, counted from zero.
        index: head within the layer, counted from zero.

    Raises:
        InputError: if the model's name is not usable, or a number is not one of 0 to 99,999.

    Example:
        >>> head = HeadId.parse("gpt2-small~L5~H1")
        >>> str(head), head.layer
        ('gpt2-small:L5:H1', 5)
    """

    model: str
    layer: int
    index: int

    def __post_init__(self) -> None:
        check_model_name(self.model)
        for field in ("layer", "index"):
            number = getattr(self, field)
            if type(number) is int and 0 <= number <= _MAX_NUMBER:
                continue
            whole = isinstance(number, Integral) and not isinstance(number, bool)
            if not (whole and 0 <= number <= _MAX_NUMBER):
                raise InputError(
                    f"{field} {_shown(number)} of a head of {self.model} is not usable: layer and "
                    f"index are whole numbers from 0 to {_MAX_NUMBER}"
                )
            object.__setattr__(self, field, int(number))

    @classmethod
    def parse(cls, text: str | HeadId) -> HeadId:
        """Read `model:L5:H3`, `model:L5H3`, `model~L5~H3` or `model.L5.H3`.

        Args:
            text: name of a head; a `HeadId` is returned unchanged.

        Raises:
            InputError: if it is none of these.
        """
        if isinstance(text, HeadId):
            return text
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


def layers_in_words(layers: Sequence[int]) -> str:
    """Return the numbers of a model's layers for a message: `layers 0 to 29`, `layers 3, 7, 11`."""
    numbers = list(layers)
    if numbers == list(range(len(numbers))):
        return f"layers 0 to {len(numbers) - 1}"
    return f"layers {', '.join(map(str, numbers))}"
