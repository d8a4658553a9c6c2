"""A head as a page, as JSON and as a table: complete, self-contained, and safe from its texts."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.head_page import page, png_url
from attention_motifs.atlas.head_record import head_record
from attention_motifs.errors import HeadNotFoundError
from attention_motifs.notebook import shown
from attention_motifs.store.packed_patterns import pack_triangles, unpack_triangle
from synthetic_atlas import make_synthetic_atlas

HEAD = "synthetic-0:L1:H1"


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    built = make_synthetic_atlas(tmp_path_factory.mktemp("atlas") / "atlas")
    score = pl.Series("induction", np.linspace(0, 1, len(built.heads)), dtype=pl.Float32)
    built.write_heads(built.heads.with_columns(score, score.alias("induction spread")))
    return built


class Tags(HTMLParser):
    """The tags and attributes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_page_needs_no_other_file_and_no_script(atlas: Atlas) -> None:
    built = Tags(page(atlas.head(HEAD)))
    names = {tag for tag, _ in built.found}
    assert not names & {"script", "link", "iframe", "object", "embed", "form", "base", "svg"}
    for _, attributes in built.found:
        assert not any(name.startswith("on") for name in attributes)
        assert (attributes.get("src") or "data:").startswith("data:image/png;base64,") or (
            "src" not in attributes
        )
    policies = [a["content"] for t, a in built.found if a.get("http-equiv")]
    assert policies[0].startswith("default-src 'none'")
    assert "script-src" not in policies[0]
    images = [a["src"] for t, a in built.found if t == "img"]
    assert len(images) == (1 + 5) * 4


def test_the_images_are_the_patterns(atlas: Atlas) -> None:
    pattern = np.tril(np.random.default_rng(0).random((7, 7)) ** 2)
    packed = pack_triangles(pattern)
    data = base64.b64decode(png_url(packed).partition(",")[2])
    image = Image.open(io.BytesIO(data))
    index = np.array(image)
    assert image.size == (7, 7)
    assert (index[np.triu_indices(7, 1)] == 0).all()
    assert image.info["transparency"] == 0
    back = (index.astype(float) - 1).clip(0) / 254
    np.testing.assert_allclose(back, np.sqrt(unpack_triangle(packed)), atol=0.5 / 254 + 1e-6)


def test_neighbours_scores_and_features_are_those_of_the_queries(atlas: Atlas) -> None:
    text = " ".join(Tags(page(atlas.head(HEAD, n=3))).texts)
    for head, distance in atlas.near(HEAD, 3).select("head", "distance").iter_rows():
        assert head in text
        assert f"{distance:.4g}" in text
    assert "induction" in text
    assert atlas.head(HEAD).features[0].feature in text


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'; alert(1); '",
    "</title></style></bdi><script>alert(1)</script>",
    "\u202egnp.exe\u2066\u200f",
    "&lt;script&gt;",
    "\x00\x1b[31m",
    "\ud800",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_are_shown_and_never_obeyed(text: str) -> None:
    built = Tags(shown(text))
    assert [tag for tag, _ in built.found] == ["bdi"]
    assert not re.search("[\u200e\u200f\u202a-\u202e\u2066-\u2069\x00\x1b\ud800]", shown(text))
    shown(text).encode("utf-8")


def test_what_cannot_be_seen_is_written_out() -> None:
    assert "U+202E" in shown("\u202eevil")
    assert len(shown("x" * 100_000)) < 400


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_of_classes_prompts_and_papers(text: str, atlas: Atlas) -> None:
    record = head_record(atlas, HEAD)
    tag = dict.fromkeys(("class", "paper", "evidence", "note", "conflict"), text)
    changed = type(record)(
        **{
            **vars(record),
            "model": text,
            "tags": [{**tag, "url": "javascript:alert(1)"}, {**tag, "url": f"https://a/{text}"}],
            "prompts": [(text, text + "y" * 100_000)] * len(record.prompts),
            "settings": {text: text},
        }
    )
    built = Tags(page(changed))
    assert not {"script", "x"} & {tag for tag, _ in built.found}
    assert not any(name.startswith("on") for _, a in built.found for name in a)
    hrefs = [a["href"] for t, a in built.found if t == "a"]
    assert all(h is not None and h.startswith("https://a/") for h in hrefs)
    assert len(page(changed)) < len(page(record)) + 20_000


def test_json_and_csv(atlas: Atlas) -> None:
    record = atlas.head(HEAD, n=2, metrics=("mean",))
    value = json.loads(json.dumps(record.to_json(), allow_nan=False))
    assert value["head"] == HEAD
    assert [x["head"] for x in value["neighbours"]["mean"]] == atlas.near(HEAD, 2)["head"].to_list()
    rows = list(csv.DictReader(io.StringIO(record.to_csv())))
    assert len(rows) == len(atlas.heads) - 1
    by_rank = sorted(rows, key=lambda row: int(row["mean rank"]))
    assert by_rank[0]["head"] == atlas.near(HEAD, 1)["head"][0]
    exact = atlas.distances("mean")[atlas.head_index(HEAD), atlas.head_index(rows[0]["head"])]
    assert float(rows[0]["mean"]) == pytest.approx(float(exact), rel=1e-6)


def test_a_notebook_shows_the_core(atlas: Atlas) -> None:
    text = atlas.head("synthetic-0~L1~H1")._repr_html_()
    assert text.startswith('<div class="motifs-head">')
    assert "<script" not in text
    assert HEAD in text


def test_an_unknown_head_is_told(atlas: Atlas) -> None:
    with pytest.raises(HeadNotFoundError):
        atlas.head("synthetic-0:L9:H0")


def test_the_command_writes_a_page(
    atlas: Atlas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from attention_motifs.cli.app import app
    from attention_motifs.errors import InputError

    monkeypatch.chdir(tmp_path)
    arguments = ["export", "org/synthetic-1:L0:H0", "--atlas", str(atlas.path)]
    app([*arguments, "--html"], standalone_mode=False)
    assert (tmp_path / "org__synthetic-1-L0-H0.html").read_text().startswith("<!doctype html>")
    app([*arguments, "--csv", "--out", "d.csv"], standalone_mode=False)
    assert len((tmp_path / "d.csv").read_text().splitlines()) == len(atlas.heads)
    app([*arguments, "--json", "--out", "d.json"], standalone_mode=False)
    assert json.loads((tmp_path / "d.json").read_text())["layer"] == 0
    with pytest.raises(InputError):
        app(arguments, standalone_mode=False)
