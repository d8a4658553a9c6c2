"""Texts of tokens: their pieces as text, identities and kinds, for the feature set `tokens`.

Everything is read from characters, so that tokenizers which cut a text alike give the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Bool, Int

KEY_KINDS = ("newline", "punctuation", "digit", "capital", "start", "rare", "frequent")
"""Kinds of a token that do not depend on the query."""
UNITS = ("word", "sentence", "line")
"""Parts of a prompt, numbered, that query and key may share."""
FREQUENT = 4
"""A token is frequent if the prompt holds it this often or more."""
SENTENCE_ENDS = ".!?\u3002\uff01\uff1f"
NEWLINES = "\n\r"

_SPACE_MARK = "\u2581"  # stands for a space in SentencePiece vocabularies
_BYTE_LEVEL_MARKS = "\u0120\u010a"  # stand for a space and a line feed in byte-level vocabularies
_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def plain_pieces(texts: Sequence[str]) -> list[str]:
    """Return the texts of tokens as they are in the prompt.

    Entries of a vocabulary in byte-level style (`Ġthe`) or SentencePiece style (`▁the`) are turned
    into text (` the`); texts that hold a space already are text. The first token does not decide,
    since it may be special. A character split into several tokens belongs to the first of them.

    Args:
        texts: one per token.

    Returns:
        One piece of text per token.
    """
    rest = "".join(texts[1:])
    if " " in rest:
        return list(texts)
    if any(mark in rest for mark in _BYTE_LEVEL_MARKS):
        return _decoded([_byte_level_bytes(text) for text in texts])
    if _SPACE_MARK in rest or _BYTE_TOKEN.search(rest):
        return _decoded([_sentencepiece_bytes(text) for text in texts])
    return list(texts)


def _byte_level_bytes(text: str) -> bytes:
    of_character = _byte_of_character()
    return b"".join(
        bytes([of_character[c]]) if c in of_character else c.encode("utf-8", "replace")
        for c in text
    )


@lru_cache
def _byte_of_character() -> dict[str, int]:
    """Return the byte that each character of a byte-level vocabulary stands for (as in GPT-2).

    Printable bytes stand for themselves; the others are the characters from U+0100 on.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {
        chr(0x100 + i): byte for i, byte in enumerate(others)
    }


def _sentencepiece_bytes(text: str) -> bytes:
    byte = _BYTE_TOKEN.fullmatch(text)
    if byte:
        return bytes([int(byte[1], 16)])
    return text.replace(_SPACE_MARK, " ").encode("utf-8", "replace")


def _decoded(parts: Sequence[bytes]) -> list[str]:
    """Decode UTF-8 that is cut anywhere; each character belongs to the part of its first byte."""
    whole = b"".join(parts)
    owner = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    starts = [at for at, byte in enumerate(whole) if byte & 0xC0 != 0x80 or at == 0]
    pieces = [""] * len(parts)
    for start, end in zip(starts, [*starts[1:], len(whole)], strict=True):
        pieces[owner[start]] += whole[start:end].decode("utf-8", "replace")
    return pieces


@dataclass(frozen=True)
class TokenTable:
    """What the features read of the n tokens of a prompt.

    Attributes:
        identity: number of each token's text, without case and outer spaces; tokens without text
            equal no other.
        newline: the token holds a line break.
        punctuation: it holds characters, and no letter or digit.
        digit: it holds a digit.
        capital: its first letter is a capital.
        start: a word begins in it.
        inside: it continues a word that began in an earlier token.
        rare: no other token of the prompt is the same.
        frequent: `FREQUENT` or more tokens of the prompt are the same.
        distinct: number of different tokens before the token, the first token aside.
        kind: number of the token's kind: line break, punctuation, digits, continued word, word,
            spaces; the first that holds.
        word, sentence, line: number of the word, sentence and line that the token belongs to.
    """

    identity: Int[np.ndarray, " n"]
    newline: Bool[np.ndarray, " n"]
    punctuation: Bool[np.ndarray, " n"]
    digit: Bool[np.ndarray, " n"]
    capital: Bool[np.ndarray, " n"]
    start: Bool[np.ndarray, " n"]
    inside: Bool[np.ndarray, " n"]
    rare: Bool[np.ndarray, " n"]
    frequent: Bool[np.ndarray, " n"]
    distinct: Int[np.ndarray, " n"]
    kind: Int[np.ndarray, " n"]
    word: Int[np.ndarray, " n"]
    sentence: Int[np.ndarray, " n"]
    line: Int[np.ndarray, " n"]


def same_text(piece: str) -> str:
    """Return the text by which two tokens are the same: without case and outer spaces."""
    stripped = piece.strip().casefold()
    if stripped or not piece:
        return stripped
    return "\n" if any(c in piece for c in NEWLINES) else " "


@lru_cache(maxsize=256)
def token_table(texts: tuple[str, ...]) -> TokenTable:
    """Return the table of a prompt's tokens.

    Args:
        texts: one per token, of any vocabulary's style.
    """
    pieces = plain_pieces(texts)
    newline = np.array([any(c in piece for c in NEWLINES) for piece in pieces])
    wordlike = np.array([any(c.isalnum() for c in piece) for piece in pieces])
    punctuation = np.array([bool(piece.strip()) for piece in pieces]) & ~wordlike
    digit = np.array([any(c.isdigit() for c in piece) for piece in pieces])
    letters = [next((c for c in piece if c.isalpha()), "") for piece in pieces]
    inside = _continues(pieces)
    start = wordlike & ~inside
    identity = _identity(pieces)
    times = np.bincount(identity)[identity]
    ends = np.array([piece.strip().endswith(tuple(SENTENCE_ENDS)) for piece in pieces])
    table = TokenTable(
        identity=identity,
        newline=newline,
        punctuation=punctuation,
        digit=digit,
        capital=np.array([letter.isupper() for letter in letters]),
        start=start,
        inside=inside,
        rare=times == 1,
        frequent=times >= FREQUENT,
        distinct=_distinct_before(identity),
        kind=np.select([newline, punctuation, digit, inside, start], [1, 2, 3, 4, 5], 0),
        word=np.cumsum(~inside),
        sentence=_numbers_after(ends | newline),
        line=_numbers_after(newline),
    )
    for field in fields(table):
        getattr(table, field.name).flags.writeable = False  # shared by all calls with these texts
    return table


def _identity(pieces: Sequence[str]) -> Int[np.ndarray, " n"]:
    """Number the texts of tokens in the order of their first occurrence."""
    numbers: dict[object, int] = {}
    return np.array(
        [numbers.setdefault(same_text(p) or i, len(numbers)) for i, p in enumerate(pieces)]
    )


def _distinct_before(identity: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    new = np.zeros(len(identity), dtype=np.int64)
    new[1 + np.unique(identity[1:], return_index=True)[1]] = 1
    return np.concatenate([[0], np.cumsum(new)[:-1]])


def _continues(pieces: Sequence[str]) -> Bool[np.ndarray, " n"]:
    """Return whether each piece goes on with a word; a piece without text does if it must."""
    inside = np.zeros(len(pieces), dtype=bool)
    in_word = False
    for position, piece in enumerate(pieces):
        inside[position] = in_word and (not piece or piece[0].isalnum())
        if piece:
            in_word = piece[-1].isalnum()
    return inside


def _numbers_after(ends: Bool[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Return how many units ended before each token."""
    return np.concatenate([[0], np.cumsum(ends)[:-1]])
