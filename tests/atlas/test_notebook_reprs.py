"""Results in notebooks: frames, arrays with names, short texts and escaped HTML."""

from __future__ import annotations

import base64
import copy
import io
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from attention_motifs.atlas import Atlas, queries
from attention_motifs.atlas.named_arrays import NamedArray
from attention_motifs.atlas.thumbnails import thumbnail, typical_prompts
from attention_motifs.errors import HeadNotFoundError, InputError
from attention_motifs.notebook import Markup, block, shown, table
from attention_motifs.reports.model_diff import diff
from attention_motifs.store.packed_patterns import pack_triangles
from synthetic_atlas import make_synthetic_atlas

HEAD = "synthetic-0:L1:H1"
HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "\u202egnp.exe", "\ud800"]


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    built = make_synthetic_atlas(tmp_path_factory.mktemp("notebook") / "atlas", n_prompts=20)
    score = pl.Series("induction", np.linspace(0, 1, len(built.heads)), dtype=pl.Float32)
    built.write_heads(built.heads.with_columns(score))
    return built


class Elements(HTMLParser):
    """The tags of a text, and their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.seen if name == tag]


def test_near_is_a_frame_of_what_the_query_returns(atlas: Atlas) -> None:
    near = atlas.near(HEAD, n=4, metric="mean")
    listed = queries.near(atlas, HEAD, 4, "mean")
    assert isinstance(near, pl.DataFrame)
    for name in ("rank", "head", "distance", "percentile", "p", "model", "layer", "index"):
        assert near[name].to_list() == [getattr(head, name) for head in listed]
    assert near["classes"].to_list() == [list(head.classes) for head in listed]
    for text, head in zip(near["measured"], listed, strict=True):
        assert text == head.class_text


def test_an_empty_answer_has_the_same_columns(atlas: Atlas) -> None:
    none = atlas.near(HEAD, scope="within", layers=[])
    assert none.height == 0
    assert none.schema == atlas.near(HEAD).schema
    assert len(Elements(none._repr_html_()).of("tr")) == 2  # titles and the query


def test_a_notebook_shows_every_near_head_with_a_picture(atlas: Atlas) -> None:
    near = atlas.near(HEAD, n=4, metric="mean")
    page = Elements(near._repr_html_())
    assert not {tag for tag, _ in page.seen} & {"script", "iframe", "link", "object", "form"}
    titles = [image["title"] or "" for image in page.of("img")]
    assert [title.partition(", ")[0] for title in titles] == [HEAD, *near["head"]]
    assert all((image["src"] or "").startswith("data:image/png;") for image in page.of("img"))


@pytest.mark.parametrize(
    "derive",
    [
        lambda frame: frame.head(2),
        lambda frame: frame.sort("distance"),
        copy.deepcopy,
    ],
)
def test_tables_made_from_it_are_shown_as_tables(atlas: Atlas, derive: Any) -> None:
    part = derive(atlas.near(HEAD, n=3))
    assert part.columns[:2] == ["rank", "head"]
    assert "img" not in part._repr_html_()


def test_without_patterns_there_are_no_pictures(atlas: Atlas, tmp_path: Any) -> None:
    bare = make_synthetic_atlas(tmp_path / "bare")
    near = bare.near(HEAD, n=2)
    for file in bare.path.glob("patterns/*/*"):
        file.unlink()
    page = Elements(near._repr_html_())
    assert page.of("img") == []
    assert len(page.of("tr")) == 4


def test_the_typical_prompt_is_the_nearest_to_the_mean(atlas: Atlas) -> None:
    model = atlas.models[1]
    clouds = atlas.embedded([model]).astype(float)
    typical = typical_prompts(atlas, model, [0, 3])
    for place, head in enumerate((0, 3)):
        mean = clouds[:, head].mean(axis=0)
        kept = range(len(atlas.view_prompts()))
        assert typical[place] == min(kept, key=lambda i: np.linalg.norm(clouds[i, head] - mean))


@pytest.mark.parametrize("n", [1, 2, 56, 57, 200])
def test_a_thumbnail_is_small_and_keeps_the_largest_weight(n: int) -> None:
    pattern = np.tril(np.full((n, n), 0.25))
    pattern[n - 1, 0] = 1.0
    image = re.search(
        r'src="data:image/png;base64,([^"]+)"', thumbnail(pack_triangles(pattern), "<")
    )
    assert image is not None
    index = np.array(Image.open(io.BytesIO(base64.b64decode(image[1]))))
    assert index.shape == (min(n, 56),) * 2
    assert index.max() == index[-1, 0] == 255


def test_features_have_names(atlas: Atlas) -> None:
    heads = ["org/synthetic-1:L2:H1", "synthetic-0:L0:H1"]
    ids = atlas.prompts["prompt_id"].to_list()
    prompts = [ids[17], ids[2]]
    chosen = atlas.features(heads, prompts, ["diag.mean", "first_tok.mean"])
    assert chosen.shape == (2, 2, 2)
    assert chosen.names["heads"] == tuple(heads)
    for i, prompt in enumerate(prompts):
        for j, head in enumerate(heads):
            model = head.rpartition(":L")[0]
            rows = pl.concat(atlas.feature_parts(model)).filter(prompt_id=prompt, head=head)
            assert chosen.values[i, j, 0] == rows["diag.mean"][0]
            assert chosen.values[i, j, 1] == rows["first_tok.mean"][0]
    every = atlas.features()
    assert every.shape == (20, len(atlas.heads), len(every.names["features"]))
    part = every.select(prompts=prompts, heads=heads, features=["diag.mean", "first_tok.mean"])
    assert np.array_equal(part.values, chosen.values)
    assert chosen.to_polars().height == 8


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"heads": "synthetic-0:L9:H0"}, HeadNotFoundError),
        ({"heads": 3}, InputError),
        ({"prompts": "none"}, InputError),
        ({"prompts": [3]}, InputError),
        ({"names": "diag.meen"}, InputError),
        ({"names": "experimental"}, InputError),
    ],
)
def test_features_that_are_not_there_are_named(
    atlas: Atlas, arguments: dict[str, Any], kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        atlas.features(**arguments)


def test_patterns_of_a_head_by_prompt(atlas: Atlas) -> None:
    patterns = atlas.patterns(HEAD)
    assert list(patterns) == [*atlas.view_prompts(), *atlas.view_probes()]
    for prompt, pattern in patterns.items():
        assert np.array_equal(pattern, atlas.pattern(HEAD, prompt))
        assert len(patterns.tokens[prompt]) == len(pattern)
    assert len(Elements(patterns._repr_html_()).of("img")) == min(16, len(patterns))


@given(
    st.lists(st.integers(0, 3), max_size=4),
    st.lists(st.integers(0, 2), max_size=3),
    st.integers(0, 3),
)
def test_selecting_names_is_indexing(rows: list[int], columns: list[int], single: int) -> None:
    values = np.arange(12.0).reshape(4, 3)
    names = {"heads": tuple("abcd"), "features": tuple("xyz")}
    array = NamedArray(values, names)
    chosen = array.select(heads=["abcd"[i] for i in rows], features=["xyz"[i] for i in columns])
    assert np.array_equal(np.asarray(chosen), values[np.ix_(rows, columns)])
    assert chosen.shape == (len(rows), len(columns))
    assert np.array_equal(array.select(heads="abcd"[single]).values, values[single])
    assert chosen.to_polars().height == len(rows) * len(columns)
    chosen._repr_html_()


@pytest.mark.parametrize("chosen", [{"layers": "a"}, {"heads": "z"}, {"heads": 3}])
def test_names_that_an_array_lacks_are_refused(chosen: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        NamedArray(np.eye(2), {"heads": ("a", "b"), "features": ("x", "y")}).select(**chosen)


def results(atlas: Atlas) -> list[Any]:
    """Return one answer of each kind."""
    pattern = atlas.pattern(HEAD, atlas.view_prompts()[0])
    return [
        atlas,
        atlas.head(HEAD),
        atlas.explain(HEAD),
        atlas.why(HEAD, "synthetic-0:L0:H0"),
        atlas.patterns(HEAD),
        atlas.features(HEAD),
        diff(atlas, "synthetic-0", "org/synthetic-1"),
        atlas.where({"parity": 1}),
        atlas.contrast({"parity": 0}, {"parity": 1}, n_splits=99),
        atlas.identify(np.stack([pattern] * 6), models="synthetic-0")[0],
    ]


def test_texts_are_short_and_pages_are_safe(atlas: Atlas) -> None:
    for result in results(atlas):
        assert len(repr(result)) < 500, repr(result)
        page = Elements(result._repr_html_())
        assert not {tag for tag, _ in page.seen} & {"script", "iframe", "link", "object", "form"}
        assert not any(name.startswith("on") for _, names in page.seen for name in names)


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_of_strangers_are_escaped(text: str) -> None:
    page = Elements(block(text, table([text], [[text, 1, None, Markup("<i></i>")]]), note=text))
    assert {tag for tag, _ in page.seen} == {"div", "style", "p", "b", "bdi", "table", "tr", "th",
                                             "td", "i"}  # fmt: skip
    shown(text).encode("utf-8")
