from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from attention_motifs import features
from attention_motifs.atlas import Atlas
from attention_motifs.distances import head_distances
from attention_motifs.embedding import LENGTH_BINS
from attention_motifs.errors import AtlasError, InputError, MotifsError
from attention_motifs.extraction import for_each_layer, load_model
from attention_motifs.features import compute_features, feature_names
from attention_motifs.features.registry import forget
from attention_motifs.models.tokenizing import tokenize
from attention_motifs.prompts import Prompt, prompts_digest
from attention_motifs.stages.distances import distances
from attention_motifs.stages.embed import embed
from attention_motifs.stages.remove import remove
from attention_motifs.stages.run import add, build
from conftest import Tiny, contents
from tiny_models import texts, write_prompts

SIZES = {"a": (2, 2), "b": (3, 3)}
METRICS = ("mean", "cosine", "natural", "recommended")
BLOCKS = ("natural", "probes")
N_PROMPTS, N_TOKENS = 20, 24


@pytest.fixture(scope="module", autouse=True)
def _own_cache(own_cache: Path) -> None:
    pass


def states(folder: Path) -> dict[str, tuple[int, int]]:
    """What changes when a file is written again, even with the same bytes."""
    return {
        name: ((s := (folder / name).stat()).st_ino, s.st_mtime_ns) for name in contents(folder)
    }


def changed(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def tapped(tiny: Tiny, model: str, positions: range) -> np.ndarray:
    """Patterns of some of the prompts as the model gives them: prompts, layers, heads, n, n."""
    loaded = load_model(tiny.model(model))
    prompts = [(Prompt(t).prompt_id, t) for t in texts(N_PROMPTS)]
    tokenized = tokenize(loaded, [prompts[i] for i in positions], max_tokens=N_TOKENS)
    kept = np.zeros((len(positions), *SIZES[model], N_TOKENS, N_TOKENS), np.float32)

    def keep(layer: int, rows: Any, patterns: Any) -> None:
        kept[list(rows), layer] = patterns.numpy()

    for_each_layer(loaded, tokenized, keep)
    return kept


# The files


def test_every_file_of_the_contract_is_there_and_no_other(built: Atlas) -> None:
    ids = built.prompts["prompt_id"].to_list()
    expected = {"atlas.json", "digests.jsonl"}
    expected |= {"prompts.parquet", "probes.parquet", "heads.parquet"}
    expected |= {"embedding.json", "embedding.safetensors"}
    expected |= {f"blocks/{b}.{end}" for b in BLOCKS for end in ("json", "safetensors")}
    expected |= {f"distances/{metric}.npy" for metric in METRICS}
    for model in SIZES:
        tables = ("tokens", "embedded", "blocks/natural", "blocks/probes")
        expected |= {f"{table}/{model}.parquet" for table in tables}
        parts = ("features", "motif_shares")
        expected |= {f"{kind}/{model}/part-0000{i}.parquet" for kind in parts for i in range(2)}
        expected |= {f"patterns/{model}/{i}.safetensors" for i in ids[:3]}
        expected |= {f"probes/{model}/{name}.parquet" for name in ("sequences", "part-00000")}
        expected |= {f"probes/{model}/patterns/{i}.safetensors" for i in built.view_probes()}
    assert set(contents(built.path)) == expected


def test_the_manifest_says_what_was_asked_and_what_was_found(built: Atlas, tiny: Tiny) -> None:
    manifest = Atlas.open(built.path).manifest
    assert manifest.configuration == tiny.configuration()
    prompts = [Prompt(t) for t in texts(N_PROMPTS)]
    assert manifest.prompts == {"n": N_PROMPTS, "sha256": prompts_digest(prompts)}
    assert list(manifest.models) == ["a", "b"]
    for name, (n_layers, n_heads) in SIZES.items():
        info = manifest.models[name]
        assert (info.n_layers, info.n_heads, info.added) == (n_layers, n_heads, False)
        assert len(info.weights_sha256) == 64
    assert manifest.imputed == {"a": {}, "b": {}}
    assert set(manifest.stages) == {
        *(f"{stage}:{model}" for stage in ("extract", "probe", "place") for model in SIZES),
        *(f"place-block:{block}:{model}" for block in BLOCKS for model in SIZES),
        *(f"fit-block:{block}" for block in BLOCKS),
        *(f"distances:{metric}" for metric in METRICS),
        "embed",
    }


def test_prompts_keep_their_order(built: Atlas) -> None:
    assert built.prompts["text"].to_list() == texts(N_PROMPTS)
    assert built.prompts["prompt_id"].to_list() == [Prompt(t).prompt_id for t in texts(N_PROMPTS)]
    assert built.prompts["source"].unique().to_list() == ["prompts.jsonl"]


@pytest.mark.parametrize("model", SIZES)
def test_tokens_are_the_prompts_with_bos(built: Atlas, model: str) -> None:
    table = built.tokens(model)
    assert table["prompt_id"].to_list() == built.prompts["prompt_id"].to_list()
    for tokens, ids, text in zip(
        table["tokens"].to_list(), table["token_ids"].to_list(), texts(N_PROMPTS), strict=True
    ):
        assert len(tokens) == len(ids) == N_TOKENS
        assert tokens[0] == "<s>"
        assert text.startswith("".join(tokens[1:]))


def test_heads_are_listed_by_model_layer_and_index(built: Atlas) -> None:
    expected = [
        (f"{model}:L{layer}:H{i}", model, layer, i, layer / (n_layers - 1))
        for model, (n_layers, n_heads) in SIZES.items()
        for layer in range(n_layers)
        for i in range(n_heads)
    ]
    columns = ["head", "model", "layer", "index", "depth"]
    assert list(built.heads.select(columns).iter_rows()) == expected
    assert built.heads["classes"].to_list() == [[]] * len(expected)
    assert [built.head_index(head) for head, *_ in expected] == list(range(len(expected)))


@pytest.mark.parametrize("model", SIZES)
def test_features_are_those_of_the_tapped_patterns(built: Atlas, tiny: Tiny, model: str) -> None:
    names = feature_names(["paper", "extended"])
    ids = built.prompts["prompt_id"].to_list()
    n_layers, n_heads = SIZES[model]
    heads = built.heads.filter(pl.col("model") == model)["head"].to_list()
    for part, positions in zip(built.feature_parts(model), (range(16), range(16, 20)), strict=True):
        assert part.columns == ["head", "prompt_id", "n_tokens", *names]
        assert part["head"].to_list() == heads * len(positions)
        wanted_ids = [ids[p] for p in positions for _ in heads]
        assert part["prompt_id"].to_list() == wanted_ids
        assert part["n_tokens"].unique().to_list() == [N_TOKENS]
        assert set(part.select(names).dtypes) == {pl.Float32}
        patterns = tapped(tiny, model, positions).reshape(-1, N_TOKENS, N_TOKENS)
        assert np.array_equal(
            part.select(names).to_numpy(), compute_features(patterns, ["paper", "extended"])
        )
        assert len(part) == len(positions) * n_layers * n_heads


@pytest.mark.parametrize("model", SIZES)
def test_embedded_patterns_are_what_the_saved_embedding_gives(built: Atlas, model: str) -> None:
    embedding = built.embedding()
    names = list(embedding.feature_names)
    assert names == feature_names("paper")
    rows = np.concatenate([p.select(names).to_numpy() for p in built.feature_parts(model)])
    clouds = built.embedded([model])
    n_layers, n_heads = SIZES[model]
    assert clouds.shape == (N_PROMPTS, n_layers * n_heads, 16)
    assert clouds.dtype == np.float32
    # Part by part, as the stage does: the last bits of a matrix product depend on its size.
    expected = embedding.transform(rows)
    assert np.allclose(clouds.reshape(-1, 16), expected, rtol=1e-5, atol=1e-5)


def test_the_embedding_is_of_all_patterns_of_both_models(built: Atlas) -> None:
    embedding = built.embedding()
    names = list(embedding.feature_names)
    rows = np.concatenate(
        [p.select(names).to_numpy() for model in SIZES for p in built.feature_parts(model)]
    ).astype(np.float64)
    assert embedding.n_rows == len(rows) == 20 * 13
    assert np.allclose(embedding.mean[0], rows.mean(axis=0), rtol=1e-6, atol=1e-9)
    assert np.allclose(embedding.scale[0], rows[:, embedding.kept].std(axis=0), rtol=1e-6)
    assert np.allclose(built.embedded().mean(axis=(0, 1)), 0, atol=1e-4)


@pytest.mark.parametrize("metric", ["mean", "cosine"])
def test_distances_are_those_of_the_head_clouds(built: Atlas, metric: str) -> None:
    matrix = built.distances(metric)
    assert matrix.shape == (13, 13)
    assert matrix.dtype == np.float32
    assert np.array_equal(matrix, head_distances(built.embedded(), metric=metric))


@pytest.mark.parametrize("model", SIZES)
def test_viewing_patterns_are_within_the_stated_error(built: Atlas, tiny: Tiny, model: str) -> None:
    assert built.view_prompts() == built.prompts["prompt_id"].to_list()[:3]
    patterns = tapped(tiny, model, range(16))
    for i, prompt_id in enumerate(built.view_prompts()):
        for layer in range(SIZES[model][0]):
            for head in range(SIZES[model][1]):
                shown = built.pattern(f"{model}:L{layer}:H{head}", prompt_id)
                true = patterns[i, layer, head]
                assert shown.shape == (N_TOKENS, N_TOKENS)
                assert (np.abs(shown - true) <= np.sqrt(true) / 255 + 1e-5).all()
                assert not np.triu(shown, 1).any()


# Running again


def test_running_again_writes_nothing(built: Atlas, tiny: Tiny) -> None:
    before = states(built.path)
    build(built.path, tiny.configuration())
    assert states(built.path) == before


def test_the_same_command_elsewhere_writes_the_same_bytes(
    built: Atlas, tiny: Tiny, tmp_path: Path
) -> None:
    other = build(tmp_path / "other", tiny.configuration())
    assert contents(other.path) == contents(built.path)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("max_tokens", 23),
        ("seed", 7),
        ("n_components", 8),
        ("n_view_prompts", 0),
        ("bos", "never"),
        ("length_bins", (16, 32)),
        ("n_prompts", 19),
    ],
)
def test_another_configuration_is_refused_and_named(
    built: Atlas, tiny: Tiny, setting: str, value: object
) -> None:
    before = states(built.path)
    with pytest.raises(AtlasError) as caught:
        build(built.path, tiny.configuration(**{setting: value}))
    stored_value = getattr(tiny.configuration(), setting)
    assert f"was made with {setting} {stored_value!r}, not {value!r}." in str(caught.value)
    assert "\n" not in str(caught.value)
    assert states(built.path) == before


def test_all_settings_that_differ_are_named(built: Atlas, tiny: Tiny) -> None:
    with pytest.raises(AtlasError, match="max_tokens 24, not 12; n_components 16, not 4"):
        build(built.path, tiny.configuration(max_tokens=12, n_components=4))


def test_a_metric_asked_for_later_is_added(copy: Atlas, tiny: Tiny) -> None:
    before = states(copy.path)
    build(copy.path, tiny.configuration(), metrics=("mean", "cosine", "energy"))
    written = {"atlas.json", "digests.jsonl", "distances/energy.npy"}
    assert changed(before, states(copy.path)) == written
    assert Atlas.open(copy.path).metrics() == ["cosine", "energy", "mean", "natural", "recommended"]


def test_a_stage_is_done_again_when_forced_and_gives_the_same(copy: Atlas) -> None:
    before, times = contents(copy.path), states(copy.path)
    with Atlas.lock(copy.path):
        embed(copy, force=True)
        distances(copy, "mean", force=True)
    assert contents(copy.path) == before
    written = changed(times, states(copy.path))
    assert written >= {"embedding.safetensors", "embedded/b.parquet", "distances/mean.npy"}
    assert not [name for name in written if name.startswith(("features", "tokens", "prompts"))]


# Values that are not finite


@pytest.fixture
def holes() -> Iterator[str]:
    """A feature set with one feature that is NaN, and one that is infinite, for some patterns."""
    name = "holes"

    @features.feature("holes.first", set=name)
    def _first(pattern: np.ndarray) -> float:
        return float(pattern[-1, 0])

    @features.feature("holes.nan", set=name)
    def _nan(pattern: np.ndarray) -> float:
        return float("nan") if pattern[-1, 0] > 0.1 else float(pattern[-1, 1])

    @features.feature("holes.infinite", set=name)
    def _infinite(pattern: np.ndarray) -> float:
        return float("inf") if pattern[-1, 0] > 0.3 else float(pattern[-1, 2])

    yield name
    forget(name)


def test_values_that_are_not_finite_are_imputed_and_counted(
    tiny: Tiny, tmp_path: Path, holes: str
) -> None:
    atlas = build(tmp_path / "atlas", tiny.configuration(feature_sets=(holes,)))
    add(atlas.path, tiny.model("c"))
    atlas = Atlas.open(atlas.path)
    for model in ("a", "b", "c"):
        first = np.concatenate([p["holes.first"].to_numpy() for p in atlas.feature_parts(model)])
        expected = {
            "holes.nan": int((first > 0.1).sum()),
            "holes.infinite": int((first > 0.3).sum()),
        }
        assert 0 < expected["holes.infinite"] <= expected["holes.nan"] < len(first)
        assert atlas.manifest.imputed[model] == expected
    clouds = atlas.embedded()
    assert clouds.shape == (N_PROMPTS, 17, 3), "no row is dropped"
    assert np.isfinite(clouds).all()
    embedding = atlas.embedding()
    hole = np.array([[0.5, np.nan, np.inf]], dtype=np.float32)
    filled = np.array([[0.5, embedding.mean[0, 1], embedding.mean[0, 2]]])
    assert np.allclose(embedding.transform(hole), embedding.transform(filled), atol=1e-5)


# Lengths


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Prompts of which every second one is short."""
    short = ["one two three", "a b c d e f", "The cat sat on the mat"]
    return write_prompts(tmp_path / "mixed.jsonl", [*texts(5), *short])


def test_mixed_lengths_are_warned_of(tiny: Tiny, tmp_path: Path, mixed: Path) -> None:
    with pytest.warns(UserWarning, match=r"a: prompts have \d+ to 24 tokens.*--length-bins"):
        atlas = build(
            tmp_path / "atlas",
            tiny.configuration(prompts=str(mixed), models=(tiny.model("a"),)),
        )
    lengths = atlas.tokens("a")["token_ids"].list.len()
    assert lengths.n_unique() > 1
    table = next(atlas.feature_parts("a", []))
    assert table["n_tokens"].to_list() == [n for n in lengths for _ in range(4)]
    assert np.isfinite(atlas.distances()).all()


def test_length_bins_standardise_per_bin_and_do_not_warn(
    tiny: Tiny, tmp_path: Path, mixed: Path
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        atlas = build(
            tmp_path / "atlas",
            tiny.configuration(
                prompts=str(mixed), models=(tiny.model("a"),), length_bins=LENGTH_BINS
            ),
        )
    embedding = atlas.embedding()
    assert embedding.length_bins == LENGTH_BINS
    part = next(atlas.feature_parts("a"))
    rows, lengths = part.select(embedding.feature_names).to_numpy(), part["n_tokens"].to_numpy()
    expected = embedding.transform(rows, lengths)
    assert np.allclose(atlas.embedded().reshape(-1, expected.shape[1]), expected, atol=1e-5)
    bins = np.searchsorted(LENGTH_BINS, lengths, side="right")
    scores = embedding.standardise(rows, lengths)
    assert len(np.unique(bins)) > 1
    for b in np.unique(bins):
        assert np.allclose(scores[bins == b].mean(axis=0), 0, atol=1e-4)


# Mistakes


def refused(path: Path, configuration: Any, **settings: Any) -> str:
    with pytest.raises(InputError) as caught:
        build(path, configuration, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"models": ("no-such-model",)}, "no-such-model"),
        ({"models": ("x=/nowhere/at/all",)}, "/nowhere/at/all"),
        ({"feature_sets": ("papper",)}, "paper"),
        ({"prompts": "no/such/file.jsonl"}, "no/such/file.jsonl"),
        ({"n_prompts": 21}, "holds only 20"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_an_atlas_is_made(
    tiny: Tiny, tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    assert message in refused(tmp_path / "atlas", tiny.configuration(**settings))
    assert not contents(tmp_path)


def test_an_unknown_metric_is_refused_before_anything_is_computed(
    tiny: Tiny, tmp_path: Path
) -> None:
    assert "cosine" in refused(tmp_path / "atlas", tiny.configuration(), metrics=("cosinee",))
    assert not contents(tmp_path)


def test_two_models_of_one_name_are_refused(tiny: Tiny, tmp_path: Path) -> None:
    twice = tiny.configuration(models=(tiny.model("a"), f"a={tiny.folder / 'b'}"))
    assert "both called a" in refused(tmp_path / "atlas", twice)


def test_a_setting_that_the_model_does_not_allow_can_be_corrected(
    tiny: Tiny, tmp_path: Path
) -> None:
    only = {"models": (tiny.model("a"),), "n_prompts": 2}
    too_long = tiny.configuration(**only, max_tokens=300)
    assert "context of a is 256" in refused(tmp_path / "atlas", too_long)
    assert build(tmp_path / "atlas", tiny.configuration(**only)).models == ("a",)


def test_a_prompt_of_one_token_is_named_and_can_be_mended(tiny: Tiny, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.jsonl"
    settings = tiny.configuration(prompts=str(prompts), bos="never", models=(tiny.model("a"),))
    write_prompts(prompts, [*texts(2), "x"])
    assert "prompts.jsonl, line 3: the text 'x' has 1 token" in refused(
        tmp_path / "atlas", settings
    )
    write_prompts(prompts, texts(3))
    assert len(build(tmp_path / "atlas", settings).prompts) == 3


def test_prompts_that_changed_after_the_first_part_are_noticed(tiny: Tiny, tmp_path: Path) -> None:
    prompts = write_prompts(tmp_path / "prompts.jsonl", texts(3))
    settings = tiny.configuration(prompts=str(prompts), models=(tiny.model("a"),))
    build(tmp_path / "atlas", settings)
    before = states(tmp_path / "atlas")
    write_prompts(prompts, texts(4))
    with pytest.raises(AtlasError, match="held other texts"):
        build(tmp_path / "atlas", settings)
    prompts.unlink()
    build(tmp_path / "atlas", settings)
    assert states(tmp_path / "atlas") == before


def test_an_embedding_of_some_of_the_models_is_refused(copy: Atlas) -> None:
    models = dict(copy.manifest.models)
    del models["b"]
    copy.update(models=models)
    with pytest.raises(AtlasError, match="patterns of 1 of 2 models; run `motifs extract"):
        embed(copy)


@pytest.mark.parametrize("value", [None, 3, b"x", ["a"]])
def test_a_path_or_model_of_another_kind_is_refused(value: Any, tiny: Tiny, tmp_path: Path) -> None:
    for call in (
        lambda: build(value, tiny.configuration()),
        lambda: add(value, "a"),
        lambda: remove(value, "a"),
        lambda: remove(tmp_path, value),
        lambda: build(tmp_path, value),
        lambda: build(tmp_path, tiny.configuration(), metrics=value or 1),
    ):
        with pytest.raises(MotifsError):
            call()


def test_a_folder_with_other_files_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match=r"holds other files \(thesis.tex\) and no atlas"):
        build(tmp_path, tiny.configuration())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
