"""The document of a view: closed to the network, safe from its texts, and saved whole."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import attention_motifs as am
from attention_motifs.atlas import Atlas
from attention_motifs.errors import AtlasError, HeadNotFoundError, InputError, ResourceError
from attention_motifs.viewer import PatternView, document
from synthetic_atlas import make_synthetic_atlas

SCRIPT, STYLE = "window.started = true; // '</script>' & <!--\n", "body { margin: 0 }\n"
PATTERN = np.array([[1.0, 0.0], [0.25, 0.75]], dtype=np.float32)


@pytest.fixture(autouse=True)
def built_viewer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A small script in the place of the built one, which a source tree may lack."""
    folder = tmp_path / "viewer"
    folder.mkdir()
    (folder / "viewer.js").write_text(SCRIPT)
    (folder / "viewer.css").write_text(STYLE)
    monkeypatch.setattr(document, "ASSETS", folder)
    document._asset.cache_clear()
    yield folder
    document._asset.cache_clear()


class Elements(HTMLParser):
    """The elements of a document: name, attributes, and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None], str]] = []
        self.is_open = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), ""))
        self.is_open = True

    def handle_endtag(self, tag: str) -> None:
        self.is_open = False

    def handle_data(self, data: str) -> None:
        if self.is_open:
            tag, attrs, text = self.elements[-1]
            self.elements[-1] = (tag, attrs, text + data)

    def of(self, tag: str) -> list[tuple[dict[str, str | None], str]]:
        return [(attrs, text) for name, attrs, text in self.elements if name == tag]


def data_of(page: str) -> Any:
    return json.loads(Elements(page).of("script")[0][1])


def test_the_policy_allows_the_own_script_and_style_and_no_request() -> None:
    elements = Elements(am.view(PATTERN, ["a", " b"]).html)
    (policy,) = [attrs["content"] for attrs, _ in elements.of("meta") if "http-equiv" in attrs]
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert set(rules["img-src"].split()) == {"data:", "blob:"}
    (_, (_, script)), ((_, style),) = elements.of("script"), elements.of("style")
    for rule, text in (("script-src", script), ("style-src", style)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
    assert not [attrs for _, attrs, _ in elements.elements if {"src", "href"} & set(attrs)]


HOSTILE = st.text(
    st.one_of(st.sampled_from("<>&'\"/-!\u2028\u202e\\"), st.characters()), max_size=12
) | st.sampled_from(["</script><script>alert(1)</script>", "<!--<script>", "]]>", "&lt;"])


@settings(max_examples=60)
@given(first=HOSTILE, second=HOSTILE, model=HOSTILE)
def test_tokens_and_names_are_data(first: str, second: str, model: str) -> None:
    page = am.view(PATTERN, [first, second], model=model).html
    elements = Elements(page)
    tags = [tag for tag, _, _ in elements.elements]
    assert tags == ["html", "head", *5 * ["meta"], "title", "style", "body", "div", *2 * ["script"]]
    data = data_of(page)
    assert data["model"] == model
    assert "".join(data["tokens"]) == data["prompt"]


def test_notebooks_display_a_frame_that_cannot_reach_them() -> None:
    view = am.view(PATTERN, ["</script>", '"><b>'], model='m" onload="x', height=300)
    bundle = view._repr_mimebundle_(include=None, exclude=None)
    assert bundle["text/html"] == view._repr_html_()
    assert bundle["text/plain"] == repr(view)
    ((attributes, _),) = Elements(view._repr_html_()).of("iframe")
    assert attributes["srcdoc"] == view.html
    assert set((attributes["sandbox"] or "").split()) == {"allow-scripts", "allow-downloads"}
    assert "300px" in (attributes["style"] or "")
    assert "onload" not in attributes


def test_a_view_says_what_it_holds() -> None:
    assert repr(am.view(PATTERN)) == "PatternView(1 layer, 1 head, 2 tokens)"
    assert "m, 2 layers, 4 heads" in repr(am.view(np.stack([[PATTERN, PATTERN]] * 2), model="m"))


def test_a_saved_file_is_the_document(tmp_path: Path) -> None:
    view = am.view(PATTERN, ["\ud83d", "\U0001f600"], model="\udcff")
    path = view.save(tmp_path / "view.html")
    assert path.read_text(encoding="utf-8") == view.html
    assert view.save(str(path)) == path
    with pytest.raises(ResourceError):
        view.save(tmp_path / "view.html" / "below.html")


def test_a_source_tree_without_the_built_viewer_names_the_command(built_viewer: Path) -> None:
    (built_viewer / "viewer.js").unlink()
    document._asset.cache_clear()
    with pytest.raises(ResourceError, match=re.escape("web/build_pages.py")):
        _ = am.view(PATTERN).html


# Of an atlas


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    return make_synthetic_atlas(tmp_path_factory.mktemp("viewer") / "atlas", n_prompts=6)


def test_a_view_of_an_atlas_holds_its_patterns_and_the_nearest_heads(atlas: Atlas) -> None:
    head = "org/synthetic-1:L2:H1"
    prompt = atlas.view_prompts()[1]
    view = atlas.view(head, prompt, scale="log")
    data = data_of(view.html)
    assert (data["model"], data["layer"], data["head"]) == ("org/synthetic-1", 2, 1)
    assert (data["scale"], data["metric"]) == ("log", atlas.best_metric)
    pattern = atlas.pattern(head, prompt)
    again = am.view(pattern[None], data["tokens"]).data
    assert data["n_tokens"] == len(pattern) == again.n_tokens
    notes = {(note["layer"], note["head"]): note for note in data["notes"]}
    assert len(notes) == 6
    near = atlas.near(head, n=5)
    assert [item["head"] for item in notes[2, 1]["near"]] == near["head"].to_list()
    for item, expected in zip(notes[2, 1]["near"], near["distance"], strict=True):
        assert item["distance"] == pytest.approx(expected, rel=1e-5)
    assert html.unescape(view._repr_html_()).count(head.rpartition(":L")[0]) > 0


def test_verdicts_are_those_of_explain(atlas: Atlas) -> None:
    metric, notes = atlas.head_notes("synthetic-0")
    assert metric == atlas.best_metric
    for note in notes:
        explained = atlas.explain(f"synthetic-0:L{note.layer}:H{note.head}", metric)
        assert (note.verdict, note.probability) == (explained.verdict, explained.probability)
        assert note.sentence == explained.sentence


def test_patterns_of_a_model_of_an_atlas_carry_its_notes(atlas: Atlas) -> None:
    view = am.view(np.stack([[PATTERN] * 2] * 3), ["a", " b"], model="synthetic-0", atlas=atlas)
    assert len(view.data.notes) == 6
    with pytest.raises(InputError, match="model"):
        am.view(PATTERN, atlas=atlas)
    with pytest.raises(InputError, match="not in this atlas"):
        am.view(PATTERN, model="other", atlas=atlas)


def test_prompts_are_chosen_by_place_and_by_the_beginning_of_the_id(atlas: Atlas) -> None:
    ids = atlas.view_prompts()
    head = "synthetic-0:L0:H0"
    assert atlas.view(head).data == atlas.view(head, ids[0]).data == atlas.view(head, 0).data
    assert atlas.view(head, ids[1][:9]).data == atlas.view(head, 1).data
    for wrong in ("", "no such id", 10**6, None, 1.5):
        with pytest.raises(InputError):
            atlas.view(head, wrong)  # type: ignore[arg-type]
    with pytest.raises(HeadNotFoundError):
        atlas.view("synthetic-0:L9:H0")
    with pytest.raises(InputError):
        atlas.view(head, scale="cubic")


def test_an_atlas_without_viewing_prompts_names_the_option(
    atlas: Atlas, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Atlas, "view_prompts", lambda _: [])
    monkeypatch.setattr(Atlas, "view_probes", lambda _: [])
    with pytest.raises(AtlasError, match="--n-view-prompts"):
        atlas.view("synthetic-0:L0:H0")


def test_a_view_is_made_by_a_function_and_is_of_the_public_class() -> None:
    assert isinstance(am.view(PATTERN), PatternView)
    assert am.PatternView is PatternView
