"""The dataset card shows hostile names as what they are, and its YAML is the hub's."""

from __future__ import annotations

import polars as pl
from huggingface_hub import DatasetCard
from hypothesis import assume, example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from attention_motifs.sharing.dataset_card import dataset_card, escaped, table
from attention_motifs.store.inventory import FileEntry
from attention_motifs.store.manifest import Manifest, ModelRecord
from attention_motifs.store.settings import Configuration

HOSTILE = (
    "a|b\n---\nlicense: mit\n# <script>x</script> [l](javascript:x) `c` $x$ ![i](http://e.org/p)"
)


def markdown() -> MarkdownIt:
    return MarkdownIt("gfm-like", {"linkify": False, "html": True}).enable("table")


def card(text: str) -> str:
    info = ModelRecord(
        text, "hub", 2, 3, weights_sha256=text, licence=text, location=text, dtype=text, bos=True
    )
    configuration = Configuration(models=(text,), prompts=text)
    manifest = Manifest(
        configuration, text, {"n": 2, "sha256": ""}, {text: info, "gpt2": info},
        {"gpt2": {"diag.mean": 3}}, {f"distances:{text}": "", "distances:mean": ""},
    )  # fmt: skip
    prompts = pl.DataFrame({"prompt_id": ["0", "1"], "text": ["x", "y"], "source": [text, "s"]})
    files = {"atlas.json": FileEntry(10, "0" * 64), "tokens/m.parquet": FileEntry(5, "0" * 64)}
    return dataset_card(
        "org/name", manifest, prompts, files, licence="cc-by-4.0", prompts_licence=text
    )


def cells(text: str) -> list[str]:
    """Texts of all cells and paragraphs, as they are shown."""
    shown = []
    for token in markdown().parse(text):
        for child in token.children or ():
            assert child.type in {"text", "softbreak", "code_inline", "text_special"}, child
        if token.type == "inline":
            shown.append("".join(c.content for c in token.children or ()))
        assert token.type != "html_block"
    return shown


@given(st.text(max_size=40))
@example(HOSTILE)
@example("http://evil.example/a www.evil.example me@evil.example")
@example("~~x~~ **y** _z_ &lt; &#60; \\| \\")
@example("\u2028# x\u2029- y\r\n1. z")
@example("\ud800")
def test_a_cell_shows_its_text(text: str) -> None:
    lines = table(["one", "two"], [[text, "end"]])
    assert len(lines.split("\n")) == 3
    shown = cells(lines)
    assert len(shown) == 4
    assert shown[3] == "end"
    printable = "".join(c if c.isprintable() and c != "\ufffd" else " " for c in text)
    if printable == text and len(text) < 200:
        assert shown[2].split() == text.split()


@given(st.text(min_size=1, max_size=60).filter(str.strip))
@example(HOSTILE)
@example("---\nlicense: mit\n---")
def test_a_hostile_atlas_changes_nothing_of_the_card(text: str) -> None:
    assume(text.strip())  # the settings refuse a blank name
    written = card(text)
    parsed = DatasetCard(written, ignore_metadata_errors=False)
    assert parsed.data.to_dict() == {
        "license": "cc-by-4.0",
        "pretty_name": "Attention heads: name",
        "tags": ["attention-motifs", "interpretability", "attention-heads"],
        "viewer": False,
    }
    headings = [
        t.map[0] for t in markdown().parse(parsed.text) if t.type == "heading_open" and t.map
    ]
    assert len(headings) == 6
    cells(parsed.text)


def test_the_card_states_what_it_must() -> None:
    shown = "\n".join(cells(DatasetCard(card("Apache-2.0")).text))
    for expected in ("Apache-2.0", "12 heads of 2 language models over 2 prompts",
                   "schema version 1",
                   "mean", "paper, extended", "1e-05", "Licence of the texts"):  # fmt: skip
        assert expected in shown, expected
    source = card("x")
    assert 'am.Atlas.open("hf://datasets/org/name")' in source
    assert "motifs fetch org/name" in source


def test_long_texts_are_cut_and_many_sources_summed_up() -> None:
    assert len(escaped("x" * 10_000)) < 220
