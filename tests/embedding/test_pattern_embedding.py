from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from attention_motifs.embedding import LENGTH_BINS, PatternEmbedding
from attention_motifs.embedding.moments import FeatureMoments, LengthBinnedMoments
from attention_motifs.errors import AtlasError, InputError


def table(n_rows: int = 200, n_features: int = 12, seed: int = 0) -> np.ndarray:
    """Correlated features of very different sizes, as ours are."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(n_features, n_features))
    scales = 10.0 ** rng.uniform(-3, 3, n_features)
    return (rng.normal(size=(n_rows, n_features)) @ mixing + rng.normal(size=n_features)) * scales


floats = st.floats(-1e6, 1e6, allow_subnormal=False).map(lambda x: round(x, 3))
tables = st.tuples(st.integers(2, 12), st.integers(1, 5)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=floats)
)
holed_tables = st.tuples(st.integers(2, 12), st.integers(1, 5)).flatmap(
    lambda shape: arrays(
        np.float64, shape, elements=floats | st.sampled_from([np.nan, np.inf, -np.inf])
    )
)


def imputed(rows: np.ndarray) -> np.ndarray:
    """Put the mean of a column's finite values in the place of the others; 0 without any."""
    finite = np.isfinite(rows)
    count = finite.sum(axis=0)
    mean = np.where(finite, rows, 0.0).sum(axis=0) / np.maximum(count, 1)
    return np.where(finite, rows, mean)


def assert_equal(one: PatternEmbedding, other: PatternEmbedding) -> None:
    """Equal bit for bit."""
    for field in fields(PatternEmbedding):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, np.ndarray):
            assert a.dtype == b.dtype, field.name
            assert a.shape == b.shape, field.name
            assert a.tobytes() == b.tobytes(), field.name
        else:
            assert type(a) is type(b), field.name
            assert a == b, field.name


# Moments


@given(holed_tables)
@example(np.array([[np.nan, 1.0], [np.inf, 2.0]]))
def test_moments_are_those_of_the_imputed_table(rows: np.ndarray) -> None:
    moments = FeatureMoments(rows.shape[1])
    moments.update(rows)
    full = imputed(rows)
    size = np.abs(full).max(axis=0) + 1e-3
    assert moments.n_rows == len(rows)
    assert moments.n_imputed.tolist() == (~np.isfinite(rows)).sum(axis=0).tolist()
    assert np.abs(moments.means() - full.mean(axis=0)).max(initial=0) <= 1e-9 * size.max()
    difference = moments.covariance() - np.cov(full.T, ddof=0).reshape(2 * rows.shape[1:])
    assert np.abs(difference / np.outer(size, size)).max() < 1e-9


@given(holed_tables, st.data())
def test_any_split_in_any_order_gives_the_same_moments(rows: np.ndarray, data: Any) -> None:
    order = data.draw(st.permutations(range(len(rows))))
    cuts = data.draw(st.lists(st.integers(0, len(rows)), max_size=4).map(sorted))
    one, parts = FeatureMoments(rows.shape[1]), FeatureMoments(rows.shape[1])
    one.update(rows)
    for part in np.split(rows[order], cuts):
        parts.update(part)
    size = np.abs(imputed(rows)).max(axis=0) + 1e-3
    assert parts.n_rows == one.n_rows
    assert parts.n_imputed.tolist() == one.n_imputed.tolist()
    assert np.abs((parts.means() - one.means()) / size).max() < 1e-9
    assert np.abs((parts.covariance() - one.covariance()) / np.outer(size, size)).max() < 1e-9


def test_a_large_offset_does_not_drown_the_variance() -> None:
    rng = np.random.default_rng(0)
    rows = 1e8 + rng.normal(size=(1000, 2))
    moments = FeatureMoments(2)
    for part in np.split(rows, 10):
        moments.update(part)
    assert np.allclose(moments.covariance(), np.cov(rows.T, ddof=0), rtol=1e-6)


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, 1e30, -1e-30])
def test_a_constant_column_has_a_variance_of_exactly_zero(value: float) -> None:
    moments = FeatureMoments(1)
    for n_rows in (1, 7, 100):
        moments.update(np.full((n_rows, 1), value, dtype=np.float32))
    assert moments.covariance() == 0
    assert moments.means() == np.float64(np.float32(value))


def test_moments_of_nothing_are_zero() -> None:
    moments = FeatureMoments(2)
    moments.update(np.empty((0, 2)))
    assert moments.n_rows == 0
    assert not moments.means().any()
    assert not moments.covariance().any()


@pytest.mark.parametrize("shape", [(3,), (3, 1), (3, 3), (1, 3, 2)])
def test_moments_take_only_their_columns(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError):
        FeatureMoments(2).update(np.zeros(shape))


# Against scikit-learn


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n_components", [1, 5, 12])
def test_it_is_the_pca_of_standardised_features(seed: int, n_components: int) -> None:
    rows = table(seed=seed)
    ours = PatternEmbedding.fit(rows, n_components)
    theirs = PCA(n_components)
    placed = theirs.fit_transform(StandardScaler().fit_transform(rows))
    shares = ours.explained_variance_ratio
    assert np.allclose(shares[:n_components], theirs.explained_variance_ratio_, rtol=1e-9)
    signs = np.sign((ours.components * theirs.components_).sum(axis=1))
    assert np.allclose(ours.components, theirs.components_ * signs[:, None], atol=1e-6)
    assert np.allclose(ours.transform(rows), placed * signs, atol=1e-4)


@pytest.mark.parametrize("n_rows", [2, 3, 5])
def test_fewer_rows_than_columns(n_rows: int) -> None:
    rows = table(n_rows, 12)
    embedding = PatternEmbedding.fit(rows)
    theirs = PCA().fit(StandardScaler().fit_transform(rows))
    assert np.allclose(
        embedding.explained_variance_ratio[:n_rows], theirs.explained_variance_ratio_, atol=1e-12
    )
    assert not embedding.explained_variance_ratio[n_rows - 1 :].round(12).any()
    assert np.isfinite(embedding.transform(rows)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_features_of_any_number_type_are_taken(dtype: type) -> None:
    rows = (table() * 100).astype(dtype)
    placed = PatternEmbedding.fit(rows).transform(rows)
    assert placed.dtype == np.float32
    assert np.allclose(placed, PatternEmbedding.fit(rows.astype(np.float64)).transform(rows))


# What the components are


def test_the_largest_loading_of_each_component_is_positive() -> None:
    for seed in range(10):
        components = PatternEmbedding.fit(table(seed=seed)).components
        largest = np.abs(components).argmax(axis=1)
        assert (components[np.arange(len(components)), largest] > 0).all()


def test_flipped_features_flip_loadings_and_keep_signs() -> None:
    rows = table()
    one, other = PatternEmbedding.fit(rows), PatternEmbedding.fit(-rows)
    assert np.allclose(one.components, other.components)
    assert np.allclose(one.transform(rows), -other.transform(-rows), atol=1e-5)


def test_components_are_orthonormal_and_sorted() -> None:
    embedding = PatternEmbedding.fit(table())
    n = embedding.n_components
    assert np.allclose(embedding.components @ embedding.components.T, np.eye(n), atol=1e-12)
    assert (np.diff(embedding.explained_variance) <= 0).all()
    assert np.isclose(embedding.explained_variance.sum(), len(embedding.kept))
    assert np.isclose(embedding.explained_variance_ratio.sum(), 1)


def test_the_rows_it_was_fitted_on_have_the_explained_variances() -> None:
    rows = table(500)
    embedding = PatternEmbedding.fit(rows)
    placed = embedding.transform(rows).astype(np.float64)
    assert np.abs(placed.mean(axis=0)).max() < 1e-6
    assert np.allclose(np.cov(placed.T, ddof=0), np.diag(embedding.explained_variance), atol=1e-5)


def test_transforming_rows_does_not_depend_on_their_company() -> None:
    rows = table()
    embedding = PatternEmbedding.fit(rows, 5)
    placed = embedding.transform(rows)
    assert np.allclose(embedding.transform(rows[7:8]), placed[7:8], atol=1e-5)
    assert np.allclose(embedding.transform(rows[::-1]), placed[::-1], atol=1e-5)
    assert embedding.transform(rows[:0]).shape == (0, 5)


@given(tables, st.integers(-3, 3), floats)
def test_units_of_the_features_do_not_matter(rows: np.ndarray, power: int, shift: float) -> None:
    scaled = rows * 2.0**power
    try:
        embedding = PatternEmbedding.fit(rows)
        other = PatternEmbedding.fit(scaled + shift)
    except InputError:
        return
    if len(embedding.kept) == len(other.kept):
        distances = pdist(embedding.standardise(rows)), pdist(other.standardise(scaled + shift))
        assert np.allclose(*distances, rtol=1e-3, atol=1e-3)


def test_all_components_kept_are_no_pca() -> None:
    rows = table(60)
    embedding = PatternEmbedding.fit(rows, n_components=1000)
    assert embedding.n_components == 12
    standardised = StandardScaler().fit_transform(rows)
    assert np.allclose(embedding.standardise(rows), standardised, atol=1e-9)
    assert np.allclose(pdist(embedding.transform(rows)), pdist(standardised), rtol=1e-5)


def test_fewer_columns_than_components() -> None:
    rows = table(n_features=3)
    embedding = PatternEmbedding.fit(rows)
    assert embedding.n_components == 3
    assert embedding.transform(rows).shape == (200, 3)


def test_rows_of_importance_sum_to_the_shares() -> None:
    rows = table()
    rows[:, 4] = 2.5
    embedding = PatternEmbedding.fit(rows, 5)
    importance = embedding.importance()
    assert importance.shape == (5, 12)
    assert (importance >= 0).all()
    assert not importance[:, 4].any()
    assert np.allclose(importance.sum(axis=1), embedding.explained_variance_ratio[:5])


def test_importance_finds_the_feature_that_is_its_own_component() -> None:
    rng = np.random.default_rng(0)
    pair = rng.normal(size=(4000, 1))
    rows = np.hstack([pair, pair + 0.01 * rng.normal(size=(4000, 1)), rng.normal(size=(4000, 1))])
    importance = PatternEmbedding.fit(rows, 2).importance()
    assert importance.argmax(axis=1)[1] == 2
    assert importance[0, :2].sum() > 0.99 * importance[0].sum()


# Constant columns, and values that are not finite


@pytest.mark.parametrize("value", [0.0, 1.0, 1 / 3, 1e6, -1e-12])
def test_columns_that_are_constant_up_to_rounding_are_dropped(value: float) -> None:
    rng = np.random.default_rng(0)
    rows = table()
    rows[:, 3] = value
    noise = rng.uniform(-2, 2, len(rows)) * np.finfo(np.float64).eps
    rows[:, 8] = value * (1 + noise)
    embedding = PatternEmbedding.fit(rows)
    assert embedding.kept.tolist() == [i for i in range(12) if i not in (3, 8)]
    rows[:, [3, 8]] = 1e5
    assert np.isfinite(embedding.transform(rows)).all(), "a new model may vary where none did"


def test_a_column_that_varies_a_little_is_kept() -> None:
    rows = table()
    rows[:, 3] = 1 + 1e-6 * np.arange(len(rows))
    assert 3 in PatternEmbedding.fit(rows).kept


def test_constant_columns_do_not_change_where_rows_lie() -> None:
    rows = table()
    padded = np.insert(rows, [0, 5, 12], 7.0, axis=1)
    embedding = PatternEmbedding.fit(padded)
    assert np.array_equal(embedding.transform(padded), PatternEmbedding.fit(rows).transform(rows))


def test_values_not_finite_become_the_mean_and_are_counted() -> None:
    rows = table()
    rows[3, 2], rows[4, 2], rows[5, 7], rows[6, 7] = np.nan, np.inf, -np.inf, np.nan
    embedding = PatternEmbedding.fit(rows)
    assert embedding.n_imputed == (0, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0)
    filled = imputed(rows)
    reference = PatternEmbedding.fit(filled)
    assert reference.n_imputed == (0,) * 12
    assert np.allclose(embedding.components, reference.components, atol=1e-9)
    assert np.allclose(embedding.scale, reference.scale)
    assert np.allclose(embedding.transform(rows), reference.transform(filled), atol=1e-5)
    assert embedding.standardise(rows)[3, 2] == 0


def test_a_row_without_any_finite_value_lies_in_the_middle() -> None:
    rows = table()
    embedding = PatternEmbedding.fit(rows)
    assert not embedding.transform(np.full((1, 12), np.nan)).any()


def test_a_column_without_any_finite_value_is_dropped() -> None:
    rows = table()
    rows[:, 5] = np.nan
    embedding = PatternEmbedding.fit(rows)
    assert 5 not in embedding.kept
    assert embedding.n_imputed[5] == 200


@given(holed_tables)
@example(np.array([[0.0], [1.0]]))
def test_any_table_is_embedded_or_refused(rows: np.ndarray) -> None:
    try:
        embedding = PatternEmbedding.fit(rows)
    except InputError:
        # Only where no column varies by more than rounding.
        full = imputed(rows)
        assert (full.std(axis=0) <= 1.1e-9 * np.maximum(1, np.abs(full.mean(axis=0)))).all()
        return
    assert np.isfinite(embedding.transform(rows)).all()
    assert embedding.explained_variance_ratio.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    "rows",
    [
        np.zeros((0, 3)),
        np.ones((1, 3)),
        np.ones((9, 3)),
        np.full((9, 3), np.nan),
        np.zeros((9, 0)),
        np.zeros(9),
        np.zeros((3, 3, 3)),
        None,
        "features",
        [[1.0], [1.0, 2.0]],
        [[1j], [2j]],
    ],
)
def test_rows_that_cannot_be_embedded_are_refused(rows: Any) -> None:
    with pytest.raises(InputError):
        PatternEmbedding.fit(rows)


def test_nested_lists_are_features() -> None:
    rows = table(20, 3)
    assert_equal(PatternEmbedding.fit(rows.tolist()), PatternEmbedding.fit(rows))  # type: ignore[arg-type]


@pytest.mark.parametrize("n_components", [0, -1, 2.5, "two"])
def test_no_components_are_refused(n_components: Any) -> None:
    with pytest.raises(InputError):
        PatternEmbedding.fit(table(), n_components)


@pytest.mark.parametrize("shape", [(5, 11), (5, 13), (12,), (1, 5, 12)])
def test_other_columns_than_those_fitted_are_refused(shape: tuple[int, ...]) -> None:
    embedding = PatternEmbedding.fit(table())
    for place in (embedding.transform, embedding.standardise):
        with pytest.raises(InputError):
            place(np.zeros(shape))


# Names


def test_columns_are_named() -> None:
    rows = table(n_features=3)
    assert PatternEmbedding.fit(rows).feature_names == ("feature0", "feature1", "feature2")
    assert PatternEmbedding.fit(rows, 2, ["a", "b", "c"]).feature_names == ("a", "b", "c")
    with pytest.raises(InputError):
        PatternEmbedding.fit(rows, 2, ["a", "b"])


def test_94_columns_are_those_of_the_paper() -> None:
    from attention_motifs.features import feature_names

    assert PatternEmbedding.fit(table(n_features=94)).feature_names == tuple(feature_names("paper"))


# Bins of lengths


def test_rows_are_standardised_within_bins_of_lengths() -> None:
    rng = np.random.default_rng(0)
    n_tokens = rng.choice([20, 40, 64, 100, 127], size=600)
    rows = table(600) * n_tokens[:, None] + 5 * n_tokens[:, None] ** 2
    embedding = PatternEmbedding.fit(rows, 12, n_tokens=n_tokens, length_bins=(32, 64, 128))
    z = embedding.standardise(rows, n_tokens)
    for inside in (n_tokens < 32, (n_tokens >= 32) & (n_tokens < 64), n_tokens >= 64):
        assert np.allclose(z[inside].mean(axis=0), 0, atol=1e-9)
        assert np.allclose(z[inside].std(axis=0), 1)
    assert np.allclose(z[n_tokens < 32], StandardScaler().fit_transform(rows[n_tokens < 32]))
    placed = embedding.transform(rows, n_tokens).astype(np.float64)
    assert np.allclose(np.cov(placed.T, ddof=0), np.diag(embedding.explained_variance), atol=1e-4)


def test_one_bin_that_holds_all_is_no_bin() -> None:
    rows, n_tokens = table(), np.full(200, 100)
    binned = PatternEmbedding.fit(rows, n_tokens=n_tokens, length_bins=LENGTH_BINS)
    plain = PatternEmbedding.fit(rows)
    assert np.allclose(binned.transform(rows, n_tokens), plain.transform(rows), atol=1e-5)


def test_a_length_that_was_never_seen_is_treated_as_the_nearest() -> None:
    rows = table()
    n_tokens = np.repeat([16, 128], 100)
    embedding = PatternEmbedding.fit(rows, n_tokens=n_tokens, length_bins=LENGTH_BINS)
    placed = embedding.transform(rows[:5], np.array([16, 20, 128, 300, 5000]))
    assert np.array_equal(placed[:2], embedding.transform(rows[:2], np.array([16, 16])))
    assert np.array_equal(placed[2:], embedding.transform(rows[2:5], np.full(3, 128)))


def test_a_bin_of_one_row_and_a_column_constant_in_one_bin() -> None:
    rows = table()
    n_tokens = np.repeat([16, 128, 2000], [1, 99, 100])
    rows[n_tokens == 128, 0] = 4.0 + 1e-14 * np.arange(99)  # constant up to rounding
    embedding = PatternEmbedding.fit(rows, n_tokens=n_tokens, length_bins=LENGTH_BINS)
    assert 0 in embedding.kept
    z = embedding.standardise(rows, n_tokens)
    assert np.isfinite(z).all()
    assert not z[n_tokens == 16].any()
    assert np.abs(z[n_tokens == 128, 0]).max() < 1e-9
    assert np.allclose(z[n_tokens == 2000].std(axis=0), 1)


def test_parts_by_length_give_the_embedding_of_the_whole() -> None:
    rows = table(300)
    n_tokens = np.random.default_rng(1).integers(10, 200, 300)
    moments = LengthBinnedMoments(12, (64, 128))
    for part in np.array_split(np.arange(300), 7):
        moments.update(rows[part], n_tokens[part])
    assert moments.n_rows == 300
    parts = PatternEmbedding.from_moments(moments)
    whole = PatternEmbedding.fit(rows, n_tokens=n_tokens, length_bins=(64, 128))
    assert np.allclose(parts.transform(rows, n_tokens), whole.transform(rows, n_tokens), atol=1e-4)


@pytest.mark.parametrize("n_tokens", [None, np.full(3, 64)])
def test_bins_of_lengths_need_the_length_of_every_row(n_tokens: np.ndarray | None) -> None:
    rows = table()
    with pytest.raises(InputError):
        PatternEmbedding.fit(rows, n_tokens=n_tokens, length_bins=(64,))
    embedding = PatternEmbedding.fit(rows, n_tokens=np.full(200, 64), length_bins=(64,))
    with pytest.raises(InputError):
        embedding.transform(rows, n_tokens)


@pytest.mark.parametrize("edges", [(64, 32), (32, 32)])
def test_edges_of_bins_must_increase(edges: tuple[int, ...]) -> None:
    with pytest.raises(InputError):
        LengthBinnedMoments(3, edges)


# Saving


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PatternEmbedding]:
    rows = table()
    rows[:, 3], rows[5, 6] = 1.0, np.nan
    n_tokens = np.repeat([16, 128], 100)
    embedding = PatternEmbedding.fit(rows, 5, n_tokens=n_tokens, length_bins=(32, 64))
    path = tmp_path_factory.mktemp("saved") / "embedding"
    embedding.save(path)
    return path, embedding


@pytest.mark.parametrize("ending", ["", ".json", ".safetensors"])
def test_what_is_saved_is_loaded_bit_for_bit(
    saved: tuple[Path, PatternEmbedding], ending: str
) -> None:
    path, embedding = saved
    loaded = PatternEmbedding.load(str(path) + ending)
    assert_equal(loaded, embedding)
    rows, n_tokens = table(50, seed=1), np.arange(50) * 3
    assert np.array_equal(loaded.transform(rows, n_tokens), embedding.transform(rows, n_tokens))


def test_a_dot_in_the_name_is_no_ending(tmp_path: Path) -> None:
    embedding = PatternEmbedding.fit(table())
    embedding.save(tmp_path / "gemma-2.5")
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "gemma-2.5.json",
        "gemma-2.5.safetensors",
    ]
    assert_equal(PatternEmbedding.load(tmp_path / "gemma-2.5"), embedding)


def refusal(path: Path) -> str:
    with pytest.raises(AtlasError) as caught:
        PatternEmbedding.load(path)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert message.startswith(str(path))
    assert "motifs embed" in message
    return message


def test_missing_files_are_named(saved: tuple[Path, PatternEmbedding], tmp_path: Path) -> None:
    _, embedding = saved
    path = tmp_path / "embedding"
    assert "embedding.json: not found" in refusal(path)
    embedding.save(path)
    path.with_suffix(".safetensors").unlink()
    assert "embedding.safetensors: not found" in refusal(path)


def damage(
    saved: tuple[Path, PatternEmbedding], ending: str, change: Any
) -> tuple[Path, PatternEmbedding | None]:
    """Copy the saved files, one of them changed; None if loading refuses them."""
    source, _ = saved
    path = source.with_name("damaged")
    for end in (".json", ".safetensors"):
        data = source.with_suffix(end).read_bytes()
        path.with_suffix(end).write_bytes(change(data) if end == ending else data)
    try:
        return path, PatternEmbedding.load(path)
    except AtlasError:
        return path, None


@settings(max_examples=60)
@given(share=st.floats(0, 1, exclude_max=True))
@pytest.mark.parametrize("ending", [".json", ".safetensors"])
def test_a_truncated_file_is_refused(
    saved: tuple[Path, PatternEmbedding], ending: str, share: float
) -> None:
    path, loaded = damage(saved, ending, lambda data: data[: int(share * len(data))])
    if loaded is None:
        refusal(path)
    else:
        assert ending == ".json", "only the last line break can be spared"
        assert_equal(loaded, saved[1])


@settings(max_examples=150)
@given(
    st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4
    )
)
@pytest.mark.parametrize("ending", [".json", ".safetensors"])
def test_changed_bytes_are_refused_or_leave_an_embedding_that_works(
    saved: tuple[Path, PatternEmbedding], ending: str, changes: list[tuple[float, int]]
) -> None:
    def change(data: bytes) -> bytes:
        changed = bytearray(data)
        for share, byte in changes:
            changed[int(share * len(changed))] = byte
        return bytes(changed)

    path, loaded = damage(saved, ending, change)
    if loaded is None:
        refusal(path)
    else:
        n_features = len(saved[1].feature_names)
        with np.errstate(over="ignore", invalid="ignore"):
            placed = loaded.transform(np.ones((2, n_features)), np.array([16, 128]))
        assert placed.shape == (2, 5)


@pytest.mark.parametrize(
    "value",
    [
        [],
        None,
        "text",
        {},
        {"version": 2},
        {"version": 1},
        {"version": 1, "feature_names": 3},
    ],
)
def test_another_json_is_refused(saved: tuple[Path, PatternEmbedding], value: Any) -> None:
    path, loaded = damage(saved, ".json", lambda _: json.dumps(value).encode())
    assert loaded is None
    assert ".json" in refusal(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"feature_names": ["a"]},
        {"feature_names": None},
        {"length_bins": []},
        {"length_bins": [64, 32]},
        {"length_bins": None},
        {"n_rows": "many"},
        {"n_imputed": [0]},
        {"n_imputed": None},
    ],
)
def test_a_description_of_other_arrays_is_refused(
    saved: tuple[Path, PatternEmbedding], changes: dict[str, Any]
) -> None:
    path, loaded = damage(
        saved, ".json", lambda data: json.dumps({**json.loads(data), **changes}).encode()
    )
    assert loaded is None
    refusal(path)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("kept", np.arange(11) + 5),
        ("kept", np.arange(11) - 1),
        ("kept", np.linspace(0, 1, 11)),
        ("kept", np.arange(4)),
        ("mean", np.zeros((1, 12))),
        ("mean", np.full((3, 12), np.nan)),
        ("scale", np.ones((3, 12))),
        ("scale", np.zeros((3, 11))),
        ("scale", -np.ones((3, 11))),
        ("components", np.ones((5, 12))),
        ("components", np.ones(11)),
        ("components", np.full((5, 11), np.inf)),
        ("explained_variance", np.ones(5)),
        ("explained_variance", np.zeros((11, 1))),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(
    saved: tuple[Path, PatternEmbedding], name: str, array: np.ndarray
) -> None:
    from safetensors.numpy import load, save

    path, loaded = damage(saved, ".safetensors", lambda data: save({**load(data), name: array}))
    assert loaded is None
    assert ".safetensors" in refusal(path)


def test_a_missing_array_is_named(saved: tuple[Path, PatternEmbedding]) -> None:
    from safetensors.numpy import load, save

    def drop(data: bytes) -> bytes:
        return bytes(save({name: a for name, a in load(data).items() if name != "scale"}))

    path, loaded = damage(saved, ".safetensors", drop)
    assert loaded is None
    assert "scale" in refusal(path)
