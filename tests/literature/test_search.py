from __future__ import annotations

import pytest

from attention_motifs.errors import InputError
from attention_motifs.literature import known_heads, search_heads


def test_a_search_by_class_model_and_paper_narrows_the_rows() -> None:
    everything = search_heads()
    assert everything.equals(known_heads())
    induction = search_heads("induction")
    assert set(induction["class"]) == {"induction"}
    of_xl = search_heads("induction", model="gpt2-xl")
    assert set(of_xl["model"]) == {"openai-community/gpt2-xl"}
    assert len(of_xl) == 10
    assert search_heads("induction", model="gpt2-xl", paper="wang").is_empty()
    both = search_heads(model="gpt2", paper="copy suppression")
    assert set(both["head"]) == {"gpt2-small:L10:H7", "gpt2-small:L11:H10"}


def test_words_match_parts_of_names_in_any_case() -> None:
    assert set(search_heads("RETRIEVAL head")["group"]) == {"retrieval"}
    llama = set(search_heads(model="llama-3.1")["model"])
    assert {"meta-llama/Llama-3.1-8B", "meta-llama/Llama-3.1-8B-Instruct"} <= llama
    by_address = search_heads(paper="https://arxiv.org/abs/2211.00593")
    assert by_address.equals(search_heads(paper="wang2022-ioi"))


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"head_class": "inductoin"}, "class 'inductoin' is not known; did you mean induction"),
        ({"model": "gtp2-xl"}, "model 'gtp2-xl' is not known; did you mean gpt2-xl"),
        ({"paper": "nobody2020"}, "paper 'nobody2020' is not known"),
    ],
)
def test_a_text_that_matches_nothing_is_named(query: dict[str, str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        search_heads(**query)  # type: ignore[arg-type]
