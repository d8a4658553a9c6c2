"""The space of a block against its definition written plainly."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from attention_motifs.embedding import LENGTH_BINS, PatternEmbedding
from attention_motifs.embedding.recommended import N_QUANTILES, RIDGE, RecommendedEmbedding, passes
from attention_motifs.errors import AtlasError, InputError
from attention_motifs.store import files

QUICK = settings(max_examples=40)


def made_up(n_prompts: int, n_heads: int, n_features: int, seed: int = 0) -> np.ndarray:
    """Skewed, correlated features with head, prompt and noise parts, and ties; float32."""
    rng = np.random.default_rng(seed)
    heads = rng.standard_normal((1, n_heads, n_features))
    prompts = 0.3 * rng.standard_normal((n_prompts, 1, n_features))
    noise = 0.5 * rng.standard_normal((n_prompts, n_heads, n_features))
    values = (heads + prompts + noise) @ rng.standard_normal((n_features, n_features))
    values = np.exp(values)
    values[..., 0] = np.round(np.minimum(values[..., 0], 2))  # many equal values
    return values.astype(np.float32)


def lengths(n_prompts: int, *tokens: int) -> np.ndarray:
    return np.resize(np.array(tokens), n_prompts)


# The definition


def hazen(values: Sequence[float], probability: float) -> float:
    """Quantile of sorted values that stand at the probabilities (i + 1/2) / n."""
    at = probability * len(values) - 0.5
    below = min(max(int(np.floor(at)), 0), len(values) - 1)
    above = min(below + 1, len(values) - 1)
    share = min(max(at - below, 0.0), 1.0)
    return values[below] + share * (values[above] - values[below])


def rank_score(x: float, fitted: Sequence[float]) -> float:
    """Standard normal score of x among the fitted values, through their 257 quantiles."""
    finite = sorted(float(v) for v in fitted if np.isfinite(v)) or [0.0]
    if np.isnan(x):
        return 0.0
    chances = [(k + 0.5) / N_QUANTILES for k in range(N_QUANTILES)]
    knots: dict[float, list[float]] = {}
    for chance in chances:
        knots.setdefault(hazen(finite, chance), []).append(chance)
    places = sorted(knots)
    normal = [NormalDist().inv_cdf(sum(knots[v]) / len(knots[v])) for v in places]
    if x <= places[0]:
        return normal[0]
    for low, high, a, b in zip(places, places[1:], normal, normal[1:], strict=False):
        if x <= high:
            return a + (x - low) / (high - low) * (b - a)
    return normal[-1]


def oracle(
    fitted: dict[str, np.ndarray],
    bins: np.ndarray,
    features: np.ndarray,
    new_bins: np.ndarray,
    ridge: float = RIDGE,
) -> np.ndarray:
    """Clouds of one model, from the features of the fitted models; bins per prompt are given."""

    def scores(values: np.ndarray, of_prompt: np.ndarray) -> np.ndarray:
        out = np.zeros(values.shape)
        for p, h, f in np.ndindex(values.shape):
            column = np.concatenate(
                [x[bins == of_prompt[p], :, f].ravel() for x in fitted.values()]
            )
            out[p, h, f] = rank_score(float(values[p, h, f]), column.tolist())
        return out

    n_features = features.shape[2]
    within, n_rows = np.zeros((n_features, n_features)), 0
    for values in fitted.values():
        z = scores(values, bins)
        for h in range(z.shape[1]):
            for p in range(len(z)):
                deviation = z[p, h] - z[:, h].mean(axis=0)
                within += np.outer(deviation, deviation)
                n_rows += 1
    variances, directions = np.linalg.eigh(within / n_rows + ridge * np.eye(n_features))
    whitening = directions @ np.diag(variances**-0.5) @ directions.T
    white = scores(features, new_bins) @ whitening
    for p in range(len(white)):
        white[p] -= white[p].mean(axis=0)
    return white


@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize(
    ("n_prompts", "n_heads", "n_features"), [(1, 1, 1), (1, 4, 2), (2, 3, 3), (3, 5, 4), (6, 7, 3)]
)
def test_agrees_with_the_plain_definition(
    n_prompts: int, n_heads: int, n_features: int, holes: bool
) -> None:
    fitted = {
        "a": made_up(n_prompts, n_heads, n_features),
        "b": made_up(n_prompts, n_heads + 2, n_features, seed=1),
    }
    new = made_up(n_prompts, 3, n_features, seed=2)
    if holes:
        fitted["a"][0, 0] = np.nan
        fitted["b"][-1, :, -1] = np.inf
        new[0, 0, 0], new[0, -1, -1] = np.nan, -np.inf
    n_tokens = lengths(n_prompts, 64, 128)
    bins = (n_tokens == 128).astype(int)

    def read(columns: Sequence[str]) -> Iterator[tuple[np.ndarray, np.ndarray, str]]:
        for model, values in fitted.items():
            yield values[:, :, [int(c) for c in columns]], n_tokens, model

    embedding = RecommendedEmbedding.fit_parts(read, [str(f) for f in range(n_features)])
    placed = embedding.place(new, n_tokens)
    assert placed.dtype == np.float32
    np.testing.assert_allclose(placed, oracle(fitted, bins, new, bins), rtol=1e-5, atol=1e-5)
    for ridge in (0.01, 1.0):
        moved = embedding.with_ridge(placed, ridge)
        assert moved.dtype == np.float32
        np.testing.assert_allclose(
            moved, oracle(fitted, bins, new, bins, ridge), rtol=1e-4, atol=1e-4
        )
    assert embedding.with_ridge(placed, RIDGE) is placed


# The rank map


@QUICK
@given(
    values=hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 40), st.just(2), st.just(1)),
        elements=st.floats(-100, 100, width=32).map(lambda v: round(v, 1)),
    ),
    new=hnp.arrays(np.float32, (1, 30, 1), elements=st.floats(-200, 200, width=32)),
)
def test_the_rank_map_is_monotone_and_bounded(values: np.ndarray, new: np.ndarray) -> None:
    embedding = RecommendedEmbedding.fit(values, lengths(len(values), 50))
    scores = embedding.ranked(new, lengths(1, 50))
    order = np.argsort(new[0, :, 0], kind="stable")
    assert (np.diff(scores[0, order, 0]) >= -1e-12).all()
    assert np.abs(scores).max() <= NormalDist().inv_cdf(1 - 0.5 / N_QUANTILES) + 1e-12


def test_scores_of_the_fitted_patterns_are_standard_normal() -> None:
    values = np.exp(np.random.default_rng(0).standard_normal((60, 40, 2))).astype(np.float32)
    embedding = RecommendedEmbedding.fit(values, lengths(60, 128))
    scores = embedding.ranked(values, lengths(60, 128)).reshape(-1, 2)
    assert np.abs(scores.mean(axis=0)).max() < 0.01
    assert np.abs(scores.std(axis=0) - 1).max() < 0.02
    shares = [(scores < z).mean() for z in (-1.0, 0.0, 1.0)]
    np.testing.assert_allclose(shares, [0.159, 0.5, 0.841], atol=0.01)


def test_any_increasing_change_of_a_feature_hardly_matters() -> None:
    values = made_up(30, 20, 4)
    other = values.copy()
    other[..., 1] = np.log1p(values[..., 1]) * 7 - 3
    n_tokens = lengths(30, 128)
    before, after = (
        RecommendedEmbedding.fit(v, n_tokens).place(v, n_tokens) for v in (values, other)
    )
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.999


def test_a_constant_column_and_one_that_is_never_finite_say_nothing() -> None:
    values = made_up(8, 5, 3)
    values[..., 1], values[..., 2] = 4.0, np.nan
    n_tokens = lengths(8, 32)
    embedding = RecommendedEmbedding.fit(values, n_tokens)
    assert np.abs(embedding.ranked(values, n_tokens)[..., 1:]).max() < 1e-12
    assert np.isfinite(embedding.place(values, n_tokens)).all()


# Lengths


def test_each_length_is_ranked_among_its_own() -> None:
    values = made_up(40, 10, 3)
    n_tokens = lengths(40, 64, 128)
    shifted = values.copy()
    shifted[n_tokens == 128] = 5 * values[n_tokens == 64] + 2
    shifted[n_tokens == 64] = values[n_tokens == 64]
    embedding = RecommendedEmbedding.fit(shifted, n_tokens)
    assert embedding.bins.tolist() == np.searchsorted(LENGTH_BINS, [64, 128], "right").tolist()
    scores = embedding.ranked(shifted, n_tokens)
    np.testing.assert_allclose(scores[n_tokens == 64], scores[n_tokens == 128], atol=1e-4)


def test_a_length_that_was_not_fitted_is_served_by_the_nearest_bin() -> None:
    values = made_up(12, 6, 2)
    embedding = RecommendedEmbedding.fit(values, lengths(12, 20, 500))
    for near, far in ((18, 40), (1000, 600)):
        assert np.array_equal(
            embedding.ranked(values, lengths(12, near)), embedding.ranked(values, lengths(12, far))
        )


# The whitening


def test_whitening_leaves_a_within_head_covariance_of_one() -> None:
    values = made_up(50, 30, 5)
    n_tokens = lengths(50, 128)
    embedding = RecommendedEmbedding.fit(values, n_tokens)
    z = embedding.ranked(values, n_tokens)
    deviations = (z - z.mean(axis=0)).reshape(-1, 5)
    within = deviations.T @ deviations / len(deviations)
    T = embedding.whitening
    assert np.array_equal(T, T.T)
    np.testing.assert_allclose(T @ (within + RIDGE * np.eye(5)) @ T, np.eye(5), atol=1e-10)
    after = T @ within @ T
    assert (np.linalg.eigvalsh(after) < 1).all()
    assert np.linalg.eigvalsh(after).max() > 0.5


def test_the_mean_of_a_models_heads_is_zero_on_every_prompt() -> None:
    values = made_up(9, 12, 4)
    n_tokens = lengths(9, 64, 128)
    embedding = RecommendedEmbedding.fit(values, n_tokens)
    placed = embedding.place(values[:, :7], n_tokens)
    assert np.abs(placed.mean(axis=1)).max() < 1e-6


def test_parts_give_what_the_whole_gives() -> None:
    values = made_up(20, 6, 40)
    n_tokens = lengths(20, 64, 128, 128)
    names = [f"f{i}" for i in range(40)]
    asked = []

    def read(columns: Sequence[str]) -> Iterator[tuple[np.ndarray, np.ndarray, str]]:
        asked.append(list(columns))
        chosen = [names.index(c) for c in columns]
        for start in range(0, 20, 7):
            part = slice(start, start + 7)
            yield values[part][:, :, chosen], n_tokens[part], "model"

    done: list[int] = []
    by_parts = RecommendedEmbedding.fit_parts(read, names, done=lambda: done.append(1))
    whole = RecommendedEmbedding.fit(values, n_tokens, names)
    assert len(done) == len(asked) == passes(40)
    assert max(map(len, asked[:-1])) <= 16, "few columns are in memory at a time"
    assert np.array_equal(by_parts.quantiles, whole.quantiles)
    np.testing.assert_allclose(by_parts.whitening, whole.whitening, rtol=1e-10, atol=1e-12)
    assert (by_parts.n_rows, by_parts.bins.tolist()) == (120, whole.bins.tolist())


# Files


@pytest.fixture
def saved(tmp_path: Path) -> tuple[RecommendedEmbedding, Path]:
    values = made_up(10, 6, 3)
    embedding = RecommendedEmbedding.fit(values, lengths(10, 64, 128), ["x", "y", "z"])
    embedding.save(tmp_path / "recommended")
    return embedding, tmp_path / "recommended"


def test_saved_and_reloaded_it_is_equal_bit_for_bit(
    saved: tuple[RecommendedEmbedding, Path],
) -> None:
    embedding, path = saved
    for name in ("recommended", "recommended.json", "recommended.safetensors"):
        again = RecommendedEmbedding.load(path.with_name(name))
        for field in ("feature_names", "length_bins", "n_rows"):
            assert getattr(again, field) == getattr(embedding, field)
        for field in ("bins", "quantiles", "whitening"):
            one, other = getattr(again, field), getattr(embedding, field)
            assert one.dtype == other.dtype
            assert np.array_equal(one, other)
        values, n_tokens = made_up(4, 6, 3, seed=5), lengths(4, 70)
        assert np.array_equal(again.place(values, n_tokens), embedding.place(values, n_tokens))


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.pop("whitening"),
        lambda a: a.update(quantiles=a["quantiles"][:, :2]),
        lambda a: a.update(quantiles=-a["quantiles"]),
        lambda a: a.update(quantiles=a["quantiles"].astype(np.float32)),
        lambda a: a.update(whitening=a["whitening"] * np.nan),
        lambda a: a.update(bins=a["bins"][::-1].copy()),
        lambda a: a.update(bins=a["bins"] + 100),
        lambda a: a.update(bins=a["bins"][:0]),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(
    saved: tuple[RecommendedEmbedding, Path], change: Callable[[dict[str, np.ndarray]], object]
) -> None:
    path = saved[1].with_suffix(".safetensors")
    arrays, _ = files.read_tensors(path, "")
    change(arrays)
    files.write_tensors(path, arrays, {})
    with pytest.raises(AtlasError, match="mend it") as caught:
        RecommendedEmbedding.load(saved[1], "mend it")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ending", [".json", ".safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.6, None])
def test_damaged_and_missing_files_are_named(
    saved: tuple[RecommendedEmbedding, Path], ending: str, share: float | None
) -> None:
    path = saved[1].with_suffix(ending)
    data = path.read_bytes()
    path.unlink() if share is None else path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(AtlasError, match="mend it") as caught:
        RecommendedEmbedding.load(saved[1], "mend it")
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [{"version": 2}, {"feature_names": None}, {"n_rows": "many"}, {"feature_names": ["x", "y"]},
     {"length_bins": [3, 1]}],
)  # fmt: skip
def test_descriptions_that_are_wrong_are_refused(
    saved: tuple[RecommendedEmbedding, Path], change: dict[str, object]
) -> None:
    path = saved[1].with_suffix(".json")
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(AtlasError, match="mend it"):
        RecommendedEmbedding.load(saved[1], "mend it")


# What is refused


def test_wrong_shapes_and_names_are_refused() -> None:
    values = made_up(4, 3, 2)
    with pytest.raises(InputError):
        RecommendedEmbedding.fit(made_up(4, 3, 3), lengths(4, 9), ["x", "y"])
    with pytest.raises(InputError):
        RecommendedEmbedding.fit(values, lengths(4, 9), ["x", "x"])
    with pytest.raises(InputError):
        RecommendedEmbedding.fit(values, lengths(5, 9))
    with pytest.raises(InputError):
        RecommendedEmbedding.fit(values[:0], lengths(1, 9)[:0])
    with pytest.raises(InputError):
        RecommendedEmbedding.fit_parts(lambda _: iter(()), ["x"])
    embedding = RecommendedEmbedding.fit(values, lengths(4, 9))
    with pytest.raises(InputError):
        embedding.place(made_up(4, 3, 3), lengths(4, 9))


def test_names_are_those_of_the_set_extended_if_the_number_agrees() -> None:
    from attention_motifs.features import feature_names

    extended = feature_names("extended")
    values = made_up(3, 4, len(extended))
    assert RecommendedEmbedding.fit(values, lengths(3, 9)).feature_names == tuple(extended)
    assert RecommendedEmbedding.fit(values[..., :2], lengths(3, 9)).feature_names == (
        "feature0", "feature1",
    )  # fmt: skip


def test_the_number_of_threads_changes_no_bit() -> None:
    """Long sums of products are split over the threads of the linear algebra."""
    from threadpoolctl import threadpool_limits

    values = np.random.default_rng(0).normal(size=(40, 30, 85))
    lengths = np.full(40, 64)
    fitted = []
    for threads in (1, 2):
        with threadpool_limits(threads, user_api="blas"):
            recommended = RecommendedEmbedding.fit(values, lengths)
            rows = values.reshape(-1, 85)
            paper = PatternEmbedding.fit(rows, n_components=16)
            fitted.append((recommended.whitening, recommended.place(values, lengths)))
            fitted[-1] += (paper.components, paper.transform(rows))
    for one, two in zip(*fitted, strict=True):
        assert one.tobytes() == two.tobytes()
