"""Tokens of prompts: BOS policies, the texts of tokens, and what is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from attention_motifs.errors import InputError
from attention_motifs.extraction import load_model
from attention_motifs.models.model import LoadedModel
from attention_motifs.models.tokenizing import prefix_tokens, tokenize
from conftest import Tiny

TEXT = "The cat sat on the mat, and the dog sat on the log."
CORPUS = [TEXT, "déjà vu 猫 שלום 🙂 family 👩‍👩‍👧", "  two  spaces\n\ttab"]


def byte_level(trim_offsets: bool = True) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=trim_offsets)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=330, initial_alphabet=alphabet, show_progress=False)
    )
    return tokenizer


def sentence_piece() -> Any:
    """As Llama's: a leading mark for spaces, and bytes for characters that are not known."""
    from tokenizers import Tokenizer, decoders, models, normalizers, trainers

    tokenizer = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
         decoders.Strip(" ", 1, 0)]
    )  # fmt: skip
    tokenizer.train_from_iterator(
        [TEXT],
        trainers.BpeTrainer(
            vocab_size=330, special_tokens=[f"<0x{i:02X}>" for i in range(256)], show_progress=False
        ),
    )
    return tokenizer


def unigram() -> Any:
    """As T5's and Gemma's older ones: normalised, with an unknown token."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.train_from_iterator(
        [TEXT],
        trainers.UnigramTrainer(
            vocab_size=60,
            special_tokens=["<unk>"],
            unk_token="<unk>",
            show_progress=False,
        ),
    )
    return tokenizer


def characters() -> Any:
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.train_from_iterator(
        CORPUS, trainers.WordLevelTrainer(special_tokens=["[UNK]"], show_progress=False)
    )
    return tokenizer


def loaded_with(tokenizer: Any) -> Any:
    model = SimpleNamespace(config=SimpleNamespace(), get_input_embeddings=lambda: None)
    return SimpleNamespace(tokenizer=tokenizer, model=model, info=SimpleNamespace(name="m"))


def _tokenizers() -> dict[str, Any]:
    from transformers import ByT5Tokenizer, PreTrainedTokenizerFast

    fast = {
        "byte-level": byte_level(),
        "byte-level, whole offsets": byte_level(trim_offsets=False),
        "SentencePiece": sentence_piece(),
        "Unigram": unigram(),
        "characters": characters(),
    }
    return {
        **{k: loaded_with(PreTrainedTokenizerFast(tokenizer_object=t)) for k, t in fast.items()},
        "bytes, in Python": loaded_with(ByT5Tokenizer()),
    }


TOKENIZERS: dict[str, Any] = {}


@settings(max_examples=60)
@given(st.text(st.characters(codec="utf-8"), min_size=3, max_size=30))
@example("a 👩‍👩‍👧 b")
@example("猫が好き、犬も。")
@example("שלום עולם abc")
@example("  two  spaces \n\n end ")
@example(TEXT)
def test_the_texts_of_the_tokens_joined_are_the_prompt(text: str) -> None:
    if not TOKENIZERS:
        TOKENIZERS.update(_tokenizers())
    for kind, loaded in TOKENIZERS.items():
        try:
            (prompt,) = tokenize(loaded, [("p", text)], max_tokens=500, bos="never")
        except InputError:  # all of it was normalised away
            continue
        assert "".join(prompt.tokens) == text, kind
        (cut,) = tokenize(loaded, [("p", text)], max_tokens=2, bos="never")
        assert cut.token_ids == prompt.token_ids[:2]
        assert text.startswith("".join(cut.tokens)), kind


def test_words_keep_their_space_and_split_characters_their_place() -> None:
    loaded = _tokenizers()["byte-level"]
    (prompt,) = tokenize(loaded, [("p", "the cat 🜨")], max_tokens=50, bos="never")
    assert " cat" in "".join(prompt.tokens)
    assert len([t for t in prompt.tokens if "🜨" in t]) == 1
    assert prompt.tokens.count("") >= 2  # the other bytes of the sign


@pytest.fixture(scope="module")
def model(tiny: Tiny, own_cache: Path) -> LoadedModel:
    return load_model(tiny.model("a"), device="cpu")


def with_processor(loaded: LoadedModel, single: str) -> LoadedModel:
    """Give a copy of the tokenizer that puts other tokens around a text."""
    import copy

    from tokenizers import processors

    tokenizer = copy.deepcopy(loaded.tokenizer)
    ids = [(t, tokenizer.convert_tokens_to_ids(t)) for t in ("<s>", "</s>")]
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=single, special_tokens=ids
    )
    return dataclasses.replace(loaded, tokenizer=tokenizer)


@pytest.mark.parametrize(
    ("single", "prefix"),
    [("<s> $A", (0,)), ("</s> <s> $A", (1, 0)), ("$A", ()), ("$A </s>", ()), ("</s> $A", (1,))],
)
def test_auto_is_the_tokenizers_own_call(
    model: LoadedModel, single: str, prefix: tuple[int, ...]
) -> None:
    loaded = with_processor(model, single)
    assert prefix_tokens(loaded) == prefix
    (prompt,) = tokenize(loaded, [("p", TEXT)], max_tokens=200)
    assert list(prompt.token_ids) == loaded.tokenizer(TEXT)["input_ids"]
    end = len(prompt.tokens) - single.endswith("</s>")
    assert "".join(prompt.tokens[len(prefix) : end]) == TEXT
    never = tokenize(loaded, [("p", TEXT)], max_tokens=200, bos="never")[0]
    assert never.token_ids == prompt.token_ids[len(prefix) : end]
    always = tokenize(loaded, [("p", TEXT)], max_tokens=7, bos="always")[0]
    assert always.token_ids == (0, *never.token_ids[:6])
    assert always.tokens[0] == "<s>"


def test_a_text_that_begins_with_bos_is_reported_once(model: LoadedModel) -> None:
    prompts = [("a", f"<s>{TEXT}"), ("b", TEXT), ("c", f"<s>user: {TEXT}")]
    for bos in ("auto", "always"):
        with pytest.warns(UserWarning, match="2 of 3 prompts .*BOS.*twice") as caught:
            tokenize(model, prompts, max_tokens=20, bos=bos)
        assert len(caught) == 1
    assert tokenize(model, prompts, max_tokens=20, bos="never")[0].token_ids[:2] != (0, 0)


def test_bos_always_takes_the_end_of_text_where_there_is_no_other(model: LoadedModel) -> None:
    loaded = with_processor(model, "$A")
    loaded.tokenizer.bos_token = None
    assert tuple(prefix_tokens(loaded, "auto")) == ()
    assert tuple(prefix_tokens(loaded, "always")) == (loaded.tokenizer.eos_token_id,)
    loaded.tokenizer.eos_token = None
    with pytest.raises(InputError, match="has no BOS token; use --bos never"):
        prefix_tokens(loaded, "always")


def test_a_token_beyond_the_embedding_is_named_with_its_prompt(model: LoadedModel) -> None:
    loaded = with_processor(model, "<s> $A")
    loaded.tokenizer.add_tokens(["<extra>"])
    with pytest.raises(InputError, match=r"prompt p2 holds the token '<extra>'.*ends at id 299"):
        tokenize(loaded, [("p1", TEXT), ("p2", "red <extra> blue")], max_tokens=20)


@pytest.mark.parametrize(
    ("prompts", "settings", "reason"),
    [
        ([("long", TEXT), ("short", "")], {"bos": "auto"}, "prompt short gives 1 token"),
        ([("long", TEXT), ("short", "x")], {"bos": "never"}, "prompt short gives 1 token"),
        ([("p", TEXT)], {"max_tokens": 1}, "needs at least 2"),
        ([("p", TEXT)], {"max_tokens": 10**6}, "the context of a is"),
        ([("p", TEXT)], {"max_tokens": 8.5}, "whole number"),
        ([("p", TEXT)], {"max_tokens": None}, "whole number"),
        ([("p", TEXT)], {"bos": "sometimes"}, "--bos"),
        ([("p", TEXT)], {"bos": None}, "--bos"),
        (TEXT, {}, "prompts are a str"),
        (None, {}, "prompts are a NoneType"),
        ([TEXT], {}, "pair of an id and a text"),
        ([("p", None)], {}, "pair of an id and a text"),
        ([("p", "\ud800 x")], {}, "surrogate"),
    ],
)
def test_what_cannot_be_tokenized_is_refused(
    model: LoadedModel, prompts: Any, settings: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        tokenize(model, prompts, **{"max_tokens": 8, **settings})
