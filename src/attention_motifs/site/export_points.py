"""Export of patterns as points, and of the distributions of features.

Features are read part by part, as many columns at a time as fit in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from attention_motifs.atlas import KEY_COLUMNS, Atlas
from attention_motifs.embedding.moments import FeatureMoments
from attention_motifs.errors import InputError
from attention_motifs.features import feature_sets, features_of
from attention_motifs.progress import Report
from attention_motifs.site.contract import (
    Dtype,
    Feature,
    FeatureExample,
    Features,
    NearestPatterns,
    PointFeature,
    Points,
)
from attention_motifs.site.contract_distances import HeadFiles
from attention_motifs.site.export_nearest import write_nearest
from attention_motifs.site.head_blocks import head_blocks
from attention_motifs.site.output import DataFolder, finite
from attention_motifs.store.files import parquet_columns

if TYPE_CHECKING:
    from jaxtyping import Float

    from attention_motifs.features import Feature as Registered

MEMORY = 256 << 20
"""Bytes of feature columns in memory."""

N_BINS = 64
N_EXAMPLES = 3
"""Example heads per level of a feature."""

_TAIL = 0.005
"""Share of patterns beyond each end of a histogram; they count in its end bins."""

_ROUNDING = 1e-3
"""Largest error of float16, as a share of the range of the histogram."""


@dataclass(frozen=True)
class Described:
    """The exported data of one feature."""

    point: PointFeature
    feature: Feature


def write_components(
    atlas: Atlas, embedded: Float[np.ndarray, "prompts heads components"], out: DataFolder
) -> tuple[list[str], list[str], list[float]]:
    """Write the embedding by component and by prompt; return the files and the variances."""
    shares = atlas.embedding().explained_variance_ratio[: embedded.shape[2]].tolist()
    components, of_prompts = [], []
    for c in range(embedded.shape[2]):
        components.append(f"points/component-{c}.bin")
        out.array(components[-1], embedded[:, :, c], "float16")
    for p in range(embedded.shape[0]):
        of_prompts.append(f"points/prompt-{p}.bin")
        out.array(of_prompts[-1], embedded[p], "float32")
    return components, of_prompts, shares


def write_points(atlas: Atlas, out: DataFolder, report: Report) -> tuple[Points, str]:
    """Write all points and features; return the entry of the manifest and the features' file.

    Raises:
        AtlasError: if a part of the features or the embedding is missing or damaged.
    """
    components: list[str] = []
    of_prompts: list[str] = []
    shares: list[float] = []
    nearest: NearestPatterns | None = None
    importance: dict[str, list[float]] = {}
    if "embed" in atlas.manifest.stages:
        embedded = atlas.embedded()
        components, of_prompts, shares = write_components(atlas, embedded, out)
        nearest = write_nearest(atlas, embedded, out, report)
        embedding = atlas.embedding()
        importance = {
            name: column.tolist()
            for name, column in zip(embedding.feature_names, embedding.importance().T, strict=True)
        }
    names = _columns(atlas)
    of_patterns = HeadFiles("features/patterns", _per_file(atlas, len(names)))
    means, correlation = _summed(atlas, names, of_patterns, out, report)
    described = list(_each_feature(atlas, names, importance, out, report))
    out.array("features/correlation.bin", correlation, "float16")
    out.array("features/head-means.bin", means, "float32")
    file = "features.json.bin"
    out.json(
        file,
        Features(
            [d.feature for d in described],
            "features/correlation.bin",
            "features/head-means.bin",
            _write_of_heads(atlas, means, out),
            of_patterns,
        ),
    )
    points = Points(
        n_prompts=int(atlas.manifest.prompts["n"]),
        n_components=len(components),
        variance=shares,
        components=components,
        features=[d.point for d in described],
        prompts=of_prompts,
        nearest=nearest,
    )
    return points, file


def _columns(atlas: Atlas) -> list[str]:
    """Return the features that the parts of every model hold, registered or not."""
    shared: list[str] | None = None
    for model in atlas.models:
        columns = parquet_columns(atlas.file("features", model=model, block=0))
        shared = columns if shared is None else [name for name in shared if name in columns]
    return [name for name in shared or [] if name not in KEY_COLUMNS]


def _registered(atlas: Atlas) -> dict[str, tuple[str, Registered]]:
    """Return registered features by name, with their sets; sets of the atlas come first."""
    registered: dict[str, tuple[str, Registered]] = {}
    for name in (*atlas.manifest.configuration.feature_sets, *feature_sets()):
        try:
            for feature in features_of(name):
                registered.setdefault(feature.name, (name, feature))
        except InputError:  # a single feature, or a user's set that is not registered here
            continue
    return registered


FILE_BYTES = 1 << 15
"""Size of the files with all features of a few heads, unless one head is larger."""


def _per_file(atlas: Atlas, width: int) -> list[int]:
    """Return the heads per file of each model if a head has `width` numbers."""
    most = max(1, FILE_BYTES // max(1, 4 * width))
    return [min(info.n_all_heads, most) for info in atlas.manifest.models.values()]


def _write_of_heads(
    atlas: Atlas, means: Float[np.ndarray, "heads features"], out: DataFolder
) -> HeadFiles:
    """Write the mean features of each head, and how they compare with those of all heads."""
    compared = compare_heads(means)
    files = HeadFiles("features/heads", _per_file(atlas, 3 * means.shape[1]))
    for file, rows in head_blocks(atlas, files):
        out.array(f"{file}.bin", compared[rows], "float32")
    return files


def compare_heads(
    means: Float[np.ndarray, "heads features"],
) -> Float[np.ndarray, "heads 3 features"]:
    """Return the mean of each feature, its z-score (ddof 0) and its percentile among the heads.

    z-score and percentile are NaN where a mean is missing, or where the heads differ by rounding
    only.
    """
    means = means.astype(np.float32).astype(np.float64)  # the pages show these
    result = np.full((len(means), 3, means.shape[1]), np.nan)
    result[:, 0] = means
    for place, column in enumerate(means.T):
        finite = column[np.isfinite(column)]
        if not len(finite):
            continue
        centre, spread = finite.mean(), finite.std()
        if spread > 1e-9 * max(1.0, abs(centre)):
            result[:, 1, place] = (column - centre) / spread
            below = np.searchsorted(np.sort(finite), column, side="left")
            result[:, 2, place] = np.where(np.isfinite(column), 100 * below / len(finite), np.nan)
    return result


def _summed(
    atlas: Atlas, names: Sequence[str], of_patterns: HeadFiles, out: DataFolder, report: Report
) -> tuple[Float[np.ndarray, "heads features"], Float[np.ndarray, "features features"]]:
    """Return the mean of each head and the correlations over all patterns; NaN if never finite.

    The features of the viewable patterns are written on the way.
    """
    n_view = len(atlas.view_prompts())
    moments = FeatureMoments(len(names))
    means = []
    with report("site: means of features", len(atlas.models) * atlas.n_blocks) as advance:
        for code, (model, info) in enumerate(atlas.manifest.models.items()):
            n_heads = info.n_all_heads
            total, count = np.zeros((2, n_heads, len(names)))
            prompt, each = 0, of_patterns.per_file[code]
            for part in atlas.feature_parts(model, names):
                rows = part.select(names).to_numpy().astype(np.float64)
                moments.update(rows)
                rows = rows.reshape(-1, n_heads, len(names))
                for shown, features in enumerate(rows[: max(0, n_view - prompt)], start=prompt):
                    for k, start in enumerate(range(0, n_heads, each)):
                        file = f"{of_patterns.folder}/{code}/{k}-{shown}.bin"
                        out.array(file, features[start : start + each], "float32")
                prompt += len(rows)
                usable = np.isfinite(rows)
                values = np.where(usable, rows, 0.0)
                total += values.sum(axis=0)
                count += usable.sum(axis=0)
                advance(1)
            means.append(np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0))
    covariance = moments.covariance()
    deviation = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    scale = np.outer(deviation, deviation)
    correlation = np.divide(
        covariance, scale, out=np.full_like(covariance, np.nan), where=scale > 0
    )
    return np.concatenate(means), np.clip(correlation, -1.0, 1.0)


def _each_feature(
    atlas: Atlas,
    names: Sequence[str],
    importance: dict[str, list[float]],
    out: DataFolder,
    report: Report,
) -> Iterator[Described]:
    known = _registered(atlas)
    n_view = len(atlas.view_prompts())
    with report("site: features of patterns", len(names)) as advance:
        for number, (name, values) in enumerate(_feature_columns(atlas, names)):
            low, high = histogram_range(values)
            dtype = display_dtype(values, low, high)
            point = PointFeature(name, f"points/feature-{number}.bin", dtype)
            with np.errstate(over="ignore"):  # missing values may overflow
                out.array(point.file, np.where(np.isfinite(values), values, np.nan), dtype)
            feature = describe(
                name, known.get(name), values, n_view, importance.get(name, []), low, high
            )
            yield Described(point, feature)
            advance(1)


def _feature_columns(
    atlas: Atlas, names: Sequence[str]
) -> Iterator[tuple[str, Float[np.ndarray, "prompts heads"]]]:
    """Yield the columns one by one; several are read at a time."""
    n_prompts, n_heads = int(atlas.manifest.prompts["n"]), len(atlas.heads)
    width = max(1, MEMORY // (4 * max(1, n_prompts * n_heads)))
    for start in range(0, len(names), width):
        some = list(names[start : start + width])
        values = np.empty((len(some), n_prompts, n_heads), dtype=np.float32)
        head = 0
        for model, info in atlas.manifest.models.items():
            n_of_model = info.n_all_heads
            prompt = 0
            for part in atlas.feature_parts(model, some):
                n = len(part) // n_of_model
                block = part.select(some).to_numpy().reshape(n, n_of_model, len(some))
                values[:, prompt : prompt + n, head : head + n_of_model] = block.transpose(2, 0, 1)
                prompt += n
            head += n_of_model
        yield from zip(some, values, strict=True)


def histogram_range(values: Float[np.ndarray, "*any"]) -> tuple[float, float]:
    """Return the ends of a histogram, without the outermost half per cent on each side.

    Equal values get a range around them; without finite values the range is 0 to 1.
    """
    present = values[np.isfinite(values)].astype(np.float64)
    if not len(present):
        return 0.0, 1.0
    low, high = (float(x) for x in np.quantile(present, [_TAIL, 1 - _TAIL]))
    if high <= low:
        low, high = float(present.min()), float(present.max())
    if high - low <= 1e-9 * max(1.0, abs(low)):
        half = 0.5 * max(1e-6, abs(low))
        return low - half, high + half
    return low, high


def display_dtype(values: Float[np.ndarray, "*any"], low: float, high: float) -> Dtype:
    """Return float16; float32 if float16 overflows or rounds by over a thousandth of the range."""
    present = values[np.isfinite(values)]
    with np.errstate(over="ignore"):
        rounded = present.astype(np.float16).astype(np.float32)
    if not np.isfinite(rounded).all():
        return "float32"
    within = (present >= low) & (present <= high)
    error = np.abs(present - rounded)[within].max(initial=0.0)
    return "float16" if error <= _ROUNDING * (high - low) else "float32"


def describe(
    name: str,
    known: tuple[str, Registered] | None,
    values: Float[np.ndarray, "prompts heads"],
    n_view: int,
    importance: list[float],
    low: float,
    high: float,
) -> Feature:
    """Describe a feature and its distribution over the patterns of an atlas."""
    present = values[np.isfinite(values)].astype(np.float64)
    mean = float(present.mean()) if len(present) else 0.0
    deviation = float(present.std()) if len(present) else 0.0
    counts, _ = np.histogram(np.clip(present, low, high), N_BINS, (low, high))
    context, _, statistic = name.rpartition(".")
    of_set, entry = known if known is not None else ("user", None)
    return Feature(
        name=name,
        set=of_set,
        context=entry.context if entry else context,
        statistic=entry.statistic if entry else statistic,
        formula=entry.formula if entry else "",
        low=finite(entry.range[0]) if entry else None,
        high=finite(entry.range[1]) if entry else None,
        large=entry.large if entry else "",
        source=entry.source if entry else "",
        cost=entry.cost if entry else "",
        kept=deviation > 1e-9 * max(1.0, abs(mean)),
        mean=mean,
        deviation=deviation,
        n_missing=int(values.size - len(present)),
        histogram=counts.tolist(),
        histogram_low=low,
        histogram_high=high,
        importance=importance,
        examples=examples(values[:n_view]),
    )


def examples(values: Float[np.ndarray, "prompts heads"]) -> list[FeatureExample]:
    """Return viewable patterns with low, middle and high values, of different heads per level.

    The list is empty if the feature is the same on all of them.
    """
    usable = np.isfinite(values)
    present = values[usable].astype(np.float64)
    if not len(present) or present.min() == present.max():
        return []
    middle = float(np.median(present))
    levels: tuple[tuple[Literal["low", "middle", "high"], Any], ...] = (
        ("low", values),
        ("middle", np.abs(values - middle)),
        ("high", -values),
    )
    chosen = []
    for level, key in levels:
        order = np.argsort(np.where(usable, key, np.inf), axis=None, kind="stable")
        heads: set[int] = set()
        for flat in order[: usable.sum()].tolist():
            prompt, row = divmod(flat, values.shape[1])
            if row not in heads:
                heads.add(row)
                chosen.append(FeatureExample(level, row, prompt, float(values[prompt, row])))
            if len(heads) == N_EXAMPLES:
                break
    return chosen
