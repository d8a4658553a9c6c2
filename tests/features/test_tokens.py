"""The feature set `tokens`: texts, kernels against the oracle, and what the values say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_motifs.errors import InputError
from attention_motifs.features import (
    compute,
    compute_features,
    feature_names,
    features_of,
    token_kernels,
    token_torch,
)
from attention_motifs.features import token_definitions as definitions
from attention_motifs.features.token_texts import plain_pieces, token_table
from features.patterns import degenerate_patterns, pattern_batches, softmax_pattern

NAMES = feature_names("tokens")
DATA = Path(__file__).parent.parent / "data" / "real_patterns.npz"
PIECES = (
    *("The", " cat", " sat", ".", "\n", " the", " Cat", " s", "at", " 12", "3", ",", "\n\n", " "),
    *(" and", " Anne", "é", "\u4e2d", "", "!", " “", "ing", "'s", "\t", " ...", "(", "<s>", " ½"),
)
texts_of = st.lists(st.sampled_from(PIECES), min_size=65, max_size=65)


def oracle(patterns: np.ndarray, texts: list[str]) -> np.ndarray:
    return np.array([definitions.token_features(pattern, texts) for pattern in patterns])


def named(pattern: np.ndarray, texts: list[str]) -> dict[str, float]:
    return dict(zip(NAMES, definitions.token_features(pattern, texts).tolist(), strict=True))


def check_close(got: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    error = np.abs(got - expected)
    assert not np.isnan(error).any()
    row, column = np.unravel_index(error.argmax(), error.shape)
    assert error.max() < tolerance, (row, NAMES[column])


# The texts of tokens.


BYTE_LEVEL = ["The", "Ġcat", "Ġsat", ".", "Ċ", "ĠThe", "ĠÃ©t", "Ã©", "Ġ1", "2"]
SENTENCEPIECE = ["▁The", "▁cat", "▁sat", ".", "<0x0A>", "▁The", "▁ét", "é", "▁1", "2"]
PLAIN = ["The", " cat", " sat", ".", "\n", " The", " ét", "é", " 1", "2"]


def test_entries_of_vocabularies_are_turned_into_text() -> None:
    assert plain_pieces(PLAIN) == PLAIN
    assert plain_pieces(BYTE_LEVEL) == PLAIN
    assert plain_pieces(SENTENCEPIECE) == [" The", *PLAIN[1:]]
    # A character of several tokens belongs to the first of them.
    assert plain_pieces(["Hi", "Ġ", "ðŁĺ", "Ģ", "!"]) == ["Hi", " ", "😀", "", "!"]
    assert plain_pieces(["▁Hi", "▁", "<0xF0>", "<0x9F>", "<0x98>", "<0x80>"])[2:] == [
        *("😀", "", "", "")
    ]


def test_texts_that_are_no_entries_of_a_vocabulary_stay() -> None:
    maltese = ["Ġużeppi", " u", " Ġorġ", " ▁"]
    assert plain_pieces(maltese) == maltese
    assert plain_pieces(["<｜begin▁of▁sentence｜>", "Hi", "!"])[1:] == ["Hi", "!"]


@pytest.mark.parametrize("style", [BYTE_LEVEL, SENTENCEPIECE])
def test_features_are_the_same_in_both_styles(style: list[str]) -> None:
    rng = np.random.default_rng(0)
    patterns = np.stack([softmax_pattern(rng, len(PLAIN)) for _ in range(4)])
    expected = compute_features(patterns, "tokens", tokens=PLAIN)
    assert np.array_equal(compute_features(patterns, "tokens", tokens=style), expected)
    assert np.ptp(expected, axis=0).max() > 0.1


@given(st.lists(st.text(max_size=3), min_size=1, max_size=12))
def test_any_texts_have_a_table(texts: list[str]) -> None:
    pieces = plain_pieces(texts)
    table = token_table(tuple(texts))
    assert len(pieces) == len(texts) == len(table.identity)
    assert table.identity.max() < len(texts)
    for unit in (table.word, table.sentence, table.line):
        assert (np.diff(unit) >= 0).all()


def test_the_table_of_a_text_by_hand() -> None:
    texts = ["The", " cat", "fish", " ran", ".", "\n", "the", " 4", "2", " Cats", "!", "", "x"]
    table = token_table(tuple(texts))

    def at(mask: np.ndarray) -> list[int]:
        return np.flatnonzero(mask).tolist()

    assert table.identity.tolist() == [0, 1, 2, 3, 4, 5, 0, 6, 7, 8, 9, 10, 11]
    assert at(table.newline) == [5]
    assert at(table.punctuation) == [4, 10]
    assert at(table.digit) == [7, 8]
    assert at(table.capital) == [0, 9]
    assert at(table.start) == [0, 1, 3, 6, 7, 9, 12]
    assert at(table.inside) == [2, 8]
    assert at(~table.rare) == [0, 6]
    assert table.sentence.tolist() == [0, 0, 0, 0, 0, 1, 2, 2, 2, 2, 2, 3, 3]
    assert table.line.tolist() == [0] * 6 + [1] * 7
    assert (table.word[2], table.word[8]) == (table.word[1], table.word[7])
    assert table.distinct.tolist() == [0, 0, *range(1, 12)]


# The implementations.


@given(pattern_batches(), texts_of)
@settings(max_examples=15)
def test_the_kernels_agree_with_the_oracle(patterns: np.ndarray, texts: list[str]) -> None:
    texts = texts[: patterns.shape[1]]
    expected = oracle(patterns, texts)
    check_close(token_kernels.token_features(patterns, texts), expected, 1e-5)
    wide = torch.from_numpy(patterns).double()
    check_close(token_torch.token_features(wide, texts).numpy(), expected, 1e-9)
    narrow = token_torch.token_features(torch.from_numpy(patterns), texts)
    check_close(narrow.numpy(), expected, 1e-5)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 28, 40])
@pytest.mark.parametrize("kind", ["different", "equal", "empty"])
def test_degenerate_patterns_and_texts_agree(n: int, kind: str) -> None:
    texts = {"different": [*PIECES, *PIECES], "equal": ["a"] * n, "empty": [""] * n}[kind][:n]
    patterns = np.stack(list(degenerate_patterns(n).values()))
    expected = oracle(patterns, texts)
    check_close(token_kernels.token_features(patterns, texts), expected, 1e-5)
    narrow = token_torch.token_features(torch.from_numpy(patterns), texts)
    assert narrow.dtype == torch.float32
    check_close(narrow.numpy(), expected, 1e-5)


def test_real_patterns_agree() -> None:
    with np.load(DATA, allow_pickle=False) as file:
        patterns = file["n48"][:8]
    texts = [*PIECES, *reversed(PIECES)][:48]
    got = compute_features(patterns, "tokens", tokens=texts)
    check_close(got, oracle(patterns, texts), 1e-5)


@given(pattern_batches(), texts_of)
@settings(max_examples=15)
def test_values_are_in_the_documented_ranges(patterns: np.ndarray, texts: list[str]) -> None:
    rows = compute_features(patterns, "tokens", tokens=texts[: patterns.shape[1]])
    for column, entry in zip(rows.T, features_of("tokens"), strict=True):
        low, high = entry.range
        assert low - 1e-5 <= column.min() <= column.max() <= high + 1e-5, entry.name


# Through `compute_features`.


def test_every_feature_is_described() -> None:
    described = features_of("tokens")
    assert [entry.name for entry in described] == list(definitions.NAMES)
    for entry in described:
        assert entry.name == f"{entry.context}.{entry.statistic}"
        assert entry.formula.count("{") == entry.formula.count("}") > 0, entry.name
        assert len(entry.large) > 10, entry.name
        assert "{x}" not in entry.large


def test_describing_the_set_loads_neither_torch_nor_numba() -> None:
    code = (
        "import sys, attention_motifs.features as f; f.features_of('tokens');"
        "assert not {'torch', 'numba', 'scipy'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_arrays_and_tensors_of_several_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    patterns = np.stack([softmax_pattern(rng, 20) for _ in range(7)])
    first, second = list(PIECES[:20]), list(PIECES[8:])
    texts = [first, first, second, first, second, second, second]
    expected = np.concatenate(
        [
            compute_features(pattern[None], "tokens", tokens=of_pattern)
            for pattern, of_pattern in zip(patterns, texts, strict=True)
        ]
    )
    assert np.array_equal(compute_features(patterns, "tokens", tokens=texts), expected)
    tensor = compute_features(torch.from_numpy(patterns), "tokens", tokens=texts)
    assert np.array_equal(tensor.numpy(), expected)
    wide = compute_features(patterns.astype(np.float64), "tokens", tokens=texts)
    assert np.abs(wide - expected).max() < 1e-5
    monkeypatch.setattr(compute, "THREAD_ELEMENTS", 1)
    monkeypatch.setattr(compute, "CHUNK_BYTES", 3 * 4 * 20 * 20)
    assert np.array_equal(compute_features(patterns, "tokens", tokens=texts, threads=3), expected)


def test_the_set_joins_others_and_its_features_stand_alone() -> None:
    rng = np.random.default_rng(1)
    patterns = np.stack([softmax_pattern(rng, 12) for _ in range(3)])
    patterns[1, 5, 2] = np.nan
    texts = list(PIECES[:12])
    alone = compute_features(patterns, "tokens", tokens=texts)
    assert np.isnan(alone[1]).all()
    assert np.isfinite(alone[[0, 2]]).all()
    both = compute_features(patterns, ["paper", "tokens"], tokens=texts)
    np.testing.assert_array_equal(both[:, 94:], alone)
    np.testing.assert_array_equal(both[:, :94], compute_features(patterns, "paper"))
    one = compute_features(patterns[0], ["same.last"], tokens=texts)
    assert one.tolist() == [alone[0, NAMES.index("same.last")]]
    # Sets that read no tokens ignore them.
    ignored = compute_features(patterns, "paper", tokens=["a"])
    np.testing.assert_array_equal(ignored, both[:, :94])
    assert compute_features(patterns[:0], "tokens", tokens=[]).shape == (0, len(NAMES))


@pytest.mark.parametrize(
    ("tokens", "named"),
    [
        (None, "needs the texts of the tokens"),
        ("abcd", "'abcd'"),
        (4, "4"),
        (["a", "b", "c"], "3 texts for 4 tokens"),
        ([["a"] * 4], "for 1 patterns of 2"),
        ([["a"] * 4, ["a"] * 3], "pattern 1 are 3 texts"),
        ([["a"] * 4, [1, 2, 3, 4]], "pattern 1"),
        ([["a"] * 4, "abcd"], "pattern 1"),
        ([1, 2, 3, 4], "4 patterns of 2"),
    ],
)
@pytest.mark.parametrize("wide", [False, True])
def test_tokens_that_do_not_fit_are_refused(tokens: object, named: str, wide: bool) -> None:
    patterns = np.stack([np.eye(4, dtype=np.float64 if wide else np.float32)] * 2)
    with pytest.raises(InputError, match=named) as caught:
        compute_features(patterns, ["paper", "tokens"], tokens=tokens)  # type: ignore[call-overload]
    assert "tokens=[...]" in str(caught.value)


# What the features say.


def attending(n: int, keys: dict[int, int]) -> np.ndarray:
    """Queries that attend to one key each; all others to the first token."""
    pattern = np.zeros((n, n))
    pattern[:, 0] = 1
    for query, key in keys.items():
        pattern[query] = np.eye(n)[key]
    return pattern


REPEATED = ["<s>", " a", " b", " c", " A", " b", " c", " a", " B"]


def test_attention_to_earlier_occurrences() -> None:
    values = named(attending(9, {4: 1, 5: 2, 6: 3, 7: 4, 8: 5}), REPEATED)
    assert values["same.share"] == values["same.last"] == values["same.peak"] == 1
    assert values["same.excess"] == 0  # in this text the distance says as much
    assert values["after.share"] == values["before.share"] == values["same.far"] == 0
    farther = named(attending(9, {4: 1, 5: 2, 6: 3, 7: 1, 8: 2}), REPEATED)
    assert farther["same.share"] == farther["same.peak"] == 1
    assert farther["same.last"] == pytest.approx(3 / 5)
    irregular = ["<s>", " a", " b", " c", " a", " d", " b", " a", " c"]
    values = named(attending(9, {4: 1, 6: 2, 7: 4, 8: 3}), irregular)
    by_distance = (0.4 + 0.25 + 0.4 + 1 / 3) / (0.4 + 3 * (0.4 + 0.25 + 1 / 3))
    assert values["same.excess"] == pytest.approx(1 - by_distance)


def test_attention_to_the_token_after_an_earlier_occurrence() -> None:
    values = named(attending(9, {4: 2, 5: 3, 6: 4, 7: 5, 8: 6}), REPEATED)
    assert values["after.share"] == values["after.last"] == values["after.peak"] == 1
    assert values["after_pair.share"] == 1
    assert values["same.share"] == 0


def test_a_head_that_follows_distances_alone_has_no_excess() -> None:
    rng = np.random.default_rng(2)
    n = 60
    texts = [PIECES[i] for i in rng.integers(0, 12, n)]
    kernel = np.exp(-0.2 * np.arange(n))
    distance = np.arange(n)[:, None] - np.arange(n)
    pattern = np.where(distance >= 0, kernel[np.abs(distance)], 0) / kernel.sum()
    values = named(pattern, texts)
    for name, value in values.items():
        if name.endswith(".excess"):
            assert value == pytest.approx(0, abs=1e-12), name
    assert values["same.share"] > 0.01


@pytest.mark.parametrize(
    ("name", "key"),
    [("newline", 4), ("punctuation", 3), ("digit", 9), ("capital", 6), ("start", 2)],
)
def test_attention_to_tokens_of_a_kind(name: str, key: int) -> None:
    texts = ["<s>", "the", " cat", ".", "\n", "a", " Dog", "gy", " is", " 4", " now", " too", "?"]
    pattern = attending(13, dict.fromkeys(range(key + 1, 13), key))
    excess = {k: v for k, v in named(pattern, texts).items() if k.endswith(".excess")}
    assert excess[f"{name}.excess"] > 0.2


def test_attention_within_a_word_a_sentence_and_a_line() -> None:
    texts = ["<s>", "un", "believ", "able", ".", " So", " it", " goes", "\n", "A", "b"]
    word = named(attending(11, {2: 1, 3: 1, 10: 9}), texts)
    assert (word["word.share"], word["sentence.share"], word["line.share"]) == (1, 1, 1)
    across = named(attending(11, {6: 1, 7: 2, 9: 3, 10: 4}), texts)
    assert (across["word.share"], across["sentence.share"]) == (0, 0)
    assert across["line.share"] == pytest.approx(2 / 3)  # the query that begins a line has no key


def test_entropy_over_distinct_tokens_ignores_copies() -> None:
    texts = ["<s>", " a", " b", " a", " b", " a", " c"]
    pattern = attending(7, {})
    for query in range(3, 7):
        pattern[query] = 0
        pattern[query, 1:query] = np.where(np.arange(1, query) % 2, 1.0, 0.0)  # on copies of `a`
        pattern[query] /= pattern[query].sum()
    assert named(pattern, texts)["entropy.distinct"] == 0
    pattern[3:] = [0, 0.5, 0.5, 0, 0, 0, 0]
    assert named(pattern, texts)["entropy.distinct"] == 1


def test_which_queries_attend_to_the_first_token() -> None:
    texts = ["<s>", " a", ",", " b", ","]
    values = named(attending(5, {1: 1, 3: 2}), texts)
    assert values["first.at_marks"] == 0.5
    assert values["first.at_starts"] == -0.5


def test_of_one_token_there_is_nothing_to_say() -> None:
    assert not definitions.token_features(np.ones((1, 1)), ["a"]).any()
