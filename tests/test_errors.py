"""Errors of the package: their kinds, exit codes and advice."""

from __future__ import annotations

import copy

import pytest

from attention_motifs import errors

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.MotifsError)
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_documented_exit_code(kind: type[errors.MotifsError]) -> None:
    assert 0 < kind.exit_code < 126  # 126 and above have a meaning in shells
    assert errors.EXIT_CODES[kind.exit_code]


def test_kinds_have_different_exit_codes() -> None:
    codes = [kind.exit_code for kind in KINDS if kind is not errors.HeadNotFoundError]
    assert len(set(codes)) == len(codes)
    assert set(codes) == {code for code in errors.EXIT_CODES if 0 < code < 126}


@pytest.mark.parametrize("kind", KINDS)
def test_messages_cannot_write_to_a_terminal(kind: type[errors.MotifsError]) -> None:
    """A message may hold text of a file."""
    assert str(kind("red \x1b[31m \u202e Grüße")) == "red \\x1b[31m \\u202e Grüße"
    copied = copy.copy(kind("a\x00"))
    assert str(copied) == "a\\x00"


def test_wrong_input_is_a_value_error_to_other_programs() -> None:
    assert issubclass(errors.InputError, ValueError)
    assert not issubclass(errors.AtlasError, ValueError)


@pytest.mark.parametrize(
    ("name", "known", "advice"),
    [
        ("meen", ["cosine", "mean"], "did you mean mean?"),
        ("zzz", ["cosine", "mean"], "choose one of cosine, mean"),
        (3, list("abcdefghij"), "choose one of a, b, c, d, e, f, g, h, ..."),
        ("a", [], "none is defined yet"),
    ],
)
def test_advice_names_similar_or_else_known_names(
    name: object, known: list[str], advice: str
) -> None:
    assert errors.did_you_mean(name, known) == advice
