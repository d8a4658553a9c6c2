from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from attention_motifs.errors import InputError
from attention_motifs.head import HeadId, check_model_name, model_folder

NOTATIONS = ("{}:L{}:H{}", "{}:L{}H{}", "{}~L{}~H{}", "{}.L{}.H{}")

MODELS = (
    "gpt2-small",
    "Llama-3.2-1B",
    "gemma-2-2b",
    "tiny_stories-1M",
    "7b",
    "EleutherAI/pythia-1.4b-deduped",
    "meta-llama/Llama-3.2-1B",
    "model.L1.H2",
    "L3.H4",
)

_PART = "[A-Za-z0-9][A-Za-z0-9._-]{0,20}"
model_names = st.from_regex(rf"{_PART}(/{_PART})?", fullmatch=True).filter(
    lambda name: ".." not in name and "__" not in name.partition("/")[0]
)
indices = st.integers(0, 99_999)

HOSTILE_NAMES = (
    "",
    " ",
    "..",
    "../x",
    "a/../b",
    "a..b",
    "./x",
    "/etc",
    "a/",
    "a/b/c",
    "a\\b",
    ".hidden",
    "-rf",
    "a b",
    "a\0",
    "a\nb",
    "модель",
    "a５",
    "a:b",
    "a~b",
    "../" * 10**5,
    "a" * 10**6,
    "a b" * 10**6,
)

HOSTILE_HEADS = (
    *(f"{name}:L0:H0" for name in HOSTILE_NAMES if name != " "),
    "model",
    "model:L1",
    "model:H1:L1",
    "model:l1:h1",
    "model:L-1:H0",
    "model:L0:H",
    "model:L0x1:H0",
    "model:L1.5:H0",
    "model:L５:H3",
    "model:L٣:H3",
    "model:L5:H²",
    "model:L5:H3:",
    "model:L5:H3\0",
    "model:L5:H3\nmodel:L5:H3",
    "model:L5::H3",
    "modelL5:H3",
    "model:L123456:H0",
    "model:L0:H" + "1" * 10**6,
    ":L1" * 10**5,
)


def short(text: str) -> str:
    """Name a parameter in the test report."""
    return repr(text) if len(text) < 40 else f"{len(text)} characters of {text[:5]!r}"


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize("model", MODELS)
def test_every_notation_of_every_kind_of_name_is_read(notation: str, model: str) -> None:
    assert HeadId.parse(notation.format(model, 17, 3)) == HeadId(model, 17, 3)


@given(model_names, indices, indices, st.sampled_from(NOTATIONS))
def test_every_notation_is_read_back(model: str, layer: int, index: int, notation: str) -> None:
    assert HeadId.parse(notation.format(model, layer, index)) == HeadId(model, layer, index)


@given(model_names, indices, indices)
@example("model.L1.H2", 0, 99_999)
def test_what_is_printed_is_read_back(model: str, layer: int, index: int) -> None:
    head = HeadId(model, layer, index)
    assert str(head) == f"{model}:L{layer}:H{index}"
    assert HeadId.parse(str(head)) == head


def test_space_around_a_head_is_passed_over() -> None:
    assert HeadId.parse("  gpt2-small:L5:H1\n") == HeadId("gpt2-small", 5, 1)


@pytest.mark.parametrize("text", HOSTILE_HEADS, ids=short)
def test_what_is_no_head_is_refused_in_one_short_line(text: str) -> None:
    with pytest.raises(InputError) as caught:
        HeadId.parse(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=short)
def test_hostile_model_names_are_refused_in_one_short_line(name: str) -> None:
    for use in (check_model_name, model_folder, lambda model: HeadId(model, 0, 0)):
        with pytest.raises(InputError, match="model name") as caught:
            use(name)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 400


@settings(max_examples=300)
@given(st.text(alphabet="aL1./\\~:_-\0\n é", max_size=12) | st.text(max_size=12))
def test_any_text_is_a_head_or_an_input_error(text: str) -> None:
    try:
        head = HeadId.parse(text)
    except InputError:
        return
    assert HeadId.parse(str(head)) == head


@pytest.mark.parametrize(("layer", "index"), [(-1, 0), (0, -1), (100_000, 0), (0, 100_000)])
def test_heads_that_could_not_be_read_back_are_not_made(layer: int, index: int) -> None:
    with pytest.raises(InputError, match="layer and index"):
        HeadId("gpt2", layer, index)


@pytest.mark.parametrize("value", [None, 3, ("gpt2", 1, 2), ["gpt2:L1:H2"], b"gpt2:L1:H2", 1.5])
def test_values_of_another_kind_are_refused(value: Any) -> None:
    with pytest.raises(InputError, match="is not a head"):
        HeadId.parse(value)
    with pytest.raises(InputError, match="expected a text"):
        HeadId(value, 1, 2)
    if not isinstance(value, int):
        with pytest.raises(InputError, match="layer and index"):
            HeadId("gpt2", value, 2)


def test_a_head_is_read_as_itself() -> None:
    head = HeadId("gpt2", 1, 2)
    assert HeadId.parse(head) is head
    assert type(HeadId("gpt2", np.int64(1), 2).layer) is int


def test_an_organisation_is_joined_to_its_model_by_two_underscores() -> None:
    assert model_folder("meta-llama/Llama-3.2-1B") == "meta-llama__Llama-3.2-1B"
    assert model_folder("gpt2") == "gpt2"


@given(st.text(alphabet="ab./_-\\", min_size=1, max_size=8))
@example("a/b__c")
def test_a_model_folder_is_one_plain_folder(name: str) -> None:
    try:
        folder = model_folder(name)
    except InputError:
        return
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", folder)
    assert ".." not in folder


@settings(max_examples=300)
@given(*2 * [st.from_regex("[ab][ab_]{0,3}(/[ab][ab_]{0,3})?", fullmatch=True)])
@example("a/b", "a__b")
@example("a_/b", "a/_b")
@example("a/b__c", "a__b/c")
def test_two_models_never_share_a_folder(one: str, other: str) -> None:
    try:
        same = model_folder(one) == model_folder(other)
    except InputError:
        return
    assert same == (one == other)


def test_the_longest_model_name_still_names_a_file() -> None:
    assert model_folder("o/" + "a" * 94) == "o__" + "a" * 94  # 96 is the hub's own limit
    with pytest.raises(InputError, match="model name"):
        check_model_name("a" * 250)


def test_heads_are_ordered_by_model_then_by_number() -> None:
    ordered = [
        HeadId("a", 2, 11),
        HeadId("a", 10, 2),
        HeadId("a", 10, 9),
        HeadId("a", 10, 10),
        HeadId("b", 0, 0),
    ]
    assert sorted(ordered[i] for i in (3, 0, 4, 2, 1)) == ordered
    assert ordered[0] <= ordered[0]
    assert ordered[1] > ordered[0]
    assert max(ordered) == HeadId("b", 0, 0)


def test_heads_compare_with_heads_only() -> None:
    with pytest.raises(TypeError):
        _ = HeadId("a", 0, 0) < "a:L0:H1"
    assert HeadId("a", 0, 0) != "a:L0:H0"


def test_equal_heads_are_one_key() -> None:
    assert len({HeadId.parse("m:L1:H2"), HeadId.parse("m.L1.H2"), HeadId("m", 1, 2)}) == 1
