"""The semi-planted benchmark of an atlas (docs/benchmark.md).

The distances of the planted atlases are computed by the stages of any atlas, and scored on the
hosts of the rules. At strength 0 nothing is planted: a control, and the place where the same
distances meet the classes of real heads.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas import IMPORTED, Atlas
from attention_motifs.atlas.head_distances import all_pairs_of
from attention_motifs.distances import head_distances
from attention_motifs.distances.neighbour_graph import DENSE_LIMIT
from attention_motifs.errors import AtlasError, InputError
from attention_motifs.evaluation.baselines import BASELINES, Embedding
from attention_motifs.evaluation.planted import (
    STRENGTHS,
    PlantedHeads,
    PlantedScore,
    agreement,
    mean_average_precision,
    score_planted,
)
from attention_motifs.features.arguments import number_array, whole_number
from attention_motifs.progress import Report, silent
from attention_motifs.stages.distances import distances, standard_metrics
from attention_motifs.stages.embed import embed
from attention_motifs.stages.evaluate import computed_head_classes
from attention_motifs.stages.planting import LAYERS_ALONE, Planting, plant
from attention_motifs.store import files

if TYPE_CHECKING:
    from jaxtyping import Float

N_PROMPTS = 32
"""Prompts of the atlas that the models run on; all 96 change the table by a hundredth or two."""

CONTROL = 0.0
"""The strength at which nothing is planted."""

RECORD = "benchmark.json"
"""File in the folder of kept planted atlases, with the table and the hosts."""

MIN_CLASS = 3
"""Heads of the smallest class of real heads that counts."""


@dataclass(frozen=True)
class Benchmark:
    """The table of the benchmark."""

    planted: PlantedHeads
    scores: Mapping[str, Mapping[float, PlantedScore]]
    """By metric or embedding, and by strength; the strength 0 is the control."""
    real: Mapping[str, float]
    """Mean average precision on classes of real heads, by metric; empty without scores."""
    real_classes: tuple[str, ...]

    @property
    def agreement(self) -> dict[float, float | None]:
        """Return Spearman's correlation of planted and real precision over metrics, by strength.

        It is None for fewer than four metrics.
        """
        names = [name for name in self.scores if name in self.real]
        return {
            strength: agreement(
                [self.scores[name][strength].mean_ap for name in names],
                [self.real[name] for name in names],
            )
            for strength in self.strengths
        }

    @property
    def strengths(self) -> list[float]:
        """Return the strengths without the control, strongest first."""
        of_first = next(iter(self.scores.values()), {})
        return [strength for strength in of_first if strength != CONTROL]

    @property
    def best(self) -> str:
        """Return the metric or embedding with the best score at the first strength."""
        first = self.strengths[0]
        return max(self.scores, key=lambda name: self.scores[name][first].mean_ap)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {
            "seed": self.planted.seed,
            "rules": self.planted.names,
            "scores": {
                name: {f"{strength:g}": score.to_json() for strength, score in by.items()}
                for name, by in self.scores.items()
            },
            "best": self.best,
            "behind_the_best": {
                name: {f"{s:g}": self.scores[self.best][s].minus(by[s]) for s in self.strengths}
                for name, by in self.scores.items()
            },
            "real": dict(self.real),
            "real_classes": list(self.real_classes),
            "agreement": {f"{k:g}": v for k, v in self.agreement.items()},
        }


def benchmark(
    atlas: Atlas,
    *,
    metrics: Sequence[str] | None = None,
    embeddings: Sequence[Embedding] = (),
    strengths: Sequence[float] = STRENGTHS,
    n_prompts: int = N_PROMPTS,
    n_hosts: int | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    device: str = "auto",
    report: Report = silent,
) -> Benchmark:
    """Measure how well distances find heads in which a known rule was planted.

    Args:
        atlas: its models must be available; it is read, not written. Scores of the stage `score`
            add the comparison with classes of real heads.
        metrics: metrics and presets to compare; default: the standard ones, and those whose
            distances the atlas stores.
        embeddings: functions of your own from patterns to vectors; `BASELINES` are always in.
        strengths: weights of the rules, above 0 and up to 1.
        n_prompts: number of prompts of the atlas, from the first on; all probes are used.
        n_hosts: hosts per rule; default: a third of the heads, up to 10 per rule.
        seed: seed for the draw of the hosts, 0 or more.
        out: new folder to keep the planted atlases in; default: they are deleted.
        device: `auto`, `cpu`, `cuda`...
        report: shows progress.

    Returns:
        The table.

    Raises:
        InputError: if a number cannot be used, a metric is not known, there are too few heads or
            more than all pairs are stored of, or the folder exists.
        AtlasError: if the patterns of the atlas were imported, or it has no models.
        ModelError, ResourceError: if a model is not available or does not load.
    """
    _check(atlas, embeddings, strengths)
    planted = PlantedHeads.draw(len(atlas.heads), n_hosts, seed)
    n_prompts = min(whole_number(n_prompts, "n_prompts", 2), int(atlas.manifest.prompts["n"]))
    metrics = [metrics] if isinstance(metrics, str) else metrics
    chosen = list(metrics or dict.fromkeys([*standard_metrics(atlas), *atlas.metrics()]))
    functions = (*BASELINES, *embeddings)
    ordered = (CONTROL, *sorted(dict.fromkeys(strengths), reverse=True))
    with _folder(out) as folder:
        planting = Planting(planted, n_prompts, functions, device, report)
        atlases, clouds = plant(atlas, folder, ordered, planting)
        matrices: dict[str, dict[float, Float[np.ndarray, "heads heads"]]] = {}
        with report("distances of planted atlases", len(ordered)) as advance:
            for strength, planted_atlas in zip(ordered, atlases, strict=True):
                embed(planted_atlas)
                for metric in chosen:
                    distances(planted_atlas, metric)
                    matrix = np.asarray(
                        all_pairs_of(planted_atlas, metric).matrix, dtype=np.float64
                    )
                    matrices.setdefault(metric, {})[strength] = matrix
                advance(1)
        for function in functions:
            matrices[function.name] = {
                strength: _distances_by(function, clouds[function.name, strength])
                for strength in ordered
            }
        depth = atlas.heads["depth"].to_numpy().astype(np.float64)
        alone = np.abs(depth[:, None] - depth[None, :])
        matrices[LAYERS_ALONE] = dict.fromkeys(ordered, alone)
        result = _scored(atlas, planted, matrices)
        if out is not None:
            files.write_json(folder / RECORD, result.to_json())
    return result


def score_kept(out: str | Path, name: str) -> dict[float, PlantedScore]:
    """Score distances of your own on planted atlases that an earlier run kept.

    Args:
        out: folder of the earlier run. It holds your distances as NAME-0.5.npy, NAME-0.25.npy...,
            each an array (heads, heads) in the order of the heads of the atlas strength-0.5...
        name: start of the names of these files.

    Returns:
        The score at every strength of the run, without the control.

    Raises:
        InputError: if the folder holds no benchmark, or a file is missing or not such an array.
    """
    folder = Path(out)
    if not (folder / RECORD).is_file():
        raise InputError(
            f"{folder}: holds no planted atlases ({RECORD} is missing). Make them with `motifs "
            f"benchmark --out {folder}`"
        )
    record = files.read_json(folder / RECORD)
    planted = PlantedHeads.of_names(record["rules"], int(record["seed"]))
    strengths = [float(text) for text in next(iter(record["scores"].values()))]
    scores = {}
    for strength in sorted(strengths, reverse=True):
        if strength == CONTROL:
            continue
        file = folder / f"{name}-{strength:g}.npy"
        if not file.is_file():
            raise InputError(
                f"{file}: there is no such file. Save the distances on the atlas "
                f"{folder / folder_name(strength)} there with numpy.save"
            )
        scores[strength] = score_planted(files.read_array(file), planted)
    return scores


def folder_name(strength: float) -> str:
    """Return the name of the folder of a planted atlas."""
    return f"strength-{strength:g}"


@contextmanager
def _folder(out: str | Path | None) -> Iterator[Path]:
    """Give the new folder of the planted atlases, or one that is deleted in the end."""
    if out is None:
        with tempfile.TemporaryDirectory(prefix="motifs-benchmark-") as temporary:
            yield Path(temporary)
        return
    folder = Path(out)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: exists already. Give --out the path of a new folder")
    yield folder


def _check(atlas: Atlas, embeddings: Sequence[Embedding], strengths: Sequence[float]) -> None:
    if not isinstance(atlas, Atlas):
        raise InputError(f"atlas={atlas!r:.80}: expected an Atlas. Open one with Atlas.open(PATH)")
    if atlas.manifest.configuration.prompts == IMPORTED:
        raise AtlasError(
            f"{atlas.place}: its patterns were imported, so no model can be run to plant rules. "
            "Use an atlas that was made with `motifs build`"
        )
    if not atlas.models:
        raise AtlasError(f"{atlas.place}: has no patterns yet; run {atlas.paths.extract_command()}")
    if len(atlas.heads) > DENSE_LIMIT:
        raise InputError(
            f"{atlas.place}: {len(atlas.heads)} heads are too many for the distances of all pairs. "
            f"Use an atlas of {DENSE_LIMIT} heads or fewer"
        )
    weights = number_array(strengths, "strengths", ("strengths",))
    if not len(weights) or not ((weights > 0) & (weights <= 1)).all():
        raise InputError(f"strengths are {strengths!r:.80}. Give numbers above 0 and up to 1")
    if not isinstance(embeddings, Sequence) or not all(
        isinstance(embedding, Embedding) for embedding in embeddings
    ):
        raise InputError(f"embeddings={embeddings!r:.80}: expected a list of Embedding")
    names = [embedding.name for embedding in (*BASELINES, *embeddings)]
    if len(set(names)) < len(names):
        raise InputError(f"embeddings are called {', '.join(names)}. Give each a name of its own")


def _distances_by(
    function: Embedding, clouds: Float[np.ndarray, "prompts heads columns"]
) -> Float[np.ndarray, "heads heads"]:
    if function.standardised:
        spread = clouds.std(axis=(0, 1))
        clouds = (clouds - clouds.mean(axis=(0, 1))) / np.where(spread > 0, spread, 1)
    return np.asarray(head_distances(clouds, function.metric), dtype=np.float64)


def _scored(
    atlas: Atlas,
    planted: PlantedHeads,
    matrices: Mapping[str, Mapping[float, Float[np.ndarray, "heads heads"]]],
) -> Benchmark:
    """Score all distances on planted heads and on classes of real heads."""
    classes = [c for c in computed_head_classes(atlas.heads) if c.members.sum() >= MIN_CLASS]
    scores, real = {}, {}
    for name, by in matrices.items():
        scores[name] = {strength: score_planted(matrix, planted) for strength, matrix in by.items()}
        if classes:
            precision = [mean_average_precision(by[CONTROL], c.members) for c in classes]
            real[name] = float(np.mean(precision))
    return Benchmark(planted, scores, real, tuple(c.name for c in classes))
