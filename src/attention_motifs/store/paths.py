"""Where an atlas keeps what: the names of its files (docs/atlas.md), here and nowhere else."""

from __future__ import annotations

from pathlib import Path

from attention_motifs.head import model_folder

ATLAS_FILES = (
    "atlas.json",
    "prompts.parquet",
    "heads.parquet",
    "classes.json",
    "embedding.json",
    "embedding.safetensors",
    "recommended.json",
    "recommended.safetensors",
    "projections.parquet",
    "evaluation.json",
    "ablations.parquet",
    "tokens/*.parquet",
    "features/*/part-*.parquet",
    "patterns/*/*.safetensors",
    "embedded/*.parquet",
    "recommended/*.parquet",
    "distances/*.npy",
    "clusters/*.npy",
    "clusters/*.parquet",
    "clusters/*.json",
    "ablations/*/*/part-*.parquet",
    "neighbours/*.npy",
    "neighbours/*/*.safetensors",
)
"""All that belongs to an atlas, and travels with it. Figures and the site are made from it."""


class AtlasPaths:
    """Names of the files of an atlas, which may or may not be there."""

    path: Path
    """Folder of the atlas."""

    @property
    def prompts_path(self) -> Path:
        """Table of prompt_id, text, source."""
        return self.path / "prompts.parquet"

    @property
    def heads_path(self) -> Path:
        """Table of head, model, layer, index, depth, classes and scores."""
        return self.path / "heads.parquet"

    @property
    def classes_path(self) -> Path:
        """A user's own classes of heads, if any are kept here (docs/maps.md)."""
        return self.path / "classes.json"

    @property
    def own_classes(self) -> Path | None:
        """The file of own classes, or None where the atlas keeps none."""
        return self.classes_path if self.classes_path.is_file() else None

    @property
    def embedding_path(self) -> Path:
        """The embedding, without the endings of its two files."""
        return self.path / "embedding"

    @property
    def recommended_path(self) -> Path:
        """The preset `recommended`, without the endings of its two files."""
        return self.path / "recommended"

    def recommended_clouds_path(self, model: str) -> Path:
        """Patterns of one model in the space of the preset `recommended`."""
        return self.path / "recommended" / f"{model_folder(model)}.parquet"

    def tokens_path(self, model: str) -> Path:
        """Table of prompt_id, token_ids, tokens of one model."""
        return self.path / "tokens" / f"{model_folder(model)}.parquet"

    def part_path(self, model: str, block: int) -> Path:
        """Features of one model on one block of prompts."""
        return self.path / "features" / model_folder(model) / f"part-{block:05d}.parquet"

    def patterns_path(self, model: str, prompt_id: str) -> Path:
        """Quantised patterns of all heads of a model on one prompt."""
        return self.path / "patterns" / model_folder(model) / f"{prompt_id}.safetensors"

    def embedded_path(self, model: str) -> Path:
        """Embedded patterns of one model."""
        return self.path / "embedded" / f"{model_folder(model)}.parquet"

    @property
    def projections_path(self) -> Path:
        """Coordinates of heads, one row per head and projection."""
        return self.path / "projections.parquet"

    @property
    def cluster_names_path(self) -> Path:
        """Names that a person gave to clusters."""
        return self.path / "clusters" / "names.json"

    @property
    def evaluation_path(self) -> Path:
        """What each metric is worth: one evaluation per metric."""
        return self.path / "evaluation.json"

    @property
    def ablations_path(self) -> Path:
        """Effects of ablating heads; the columns are in `ablation_table`."""
        return self.path / "ablations.parquet"

    def ablation_part_path(self, model: str, inputs: str, part: int) -> Path:
        """One part of what a run of `motifs ablate` measured, sequence by sequence."""
        folder = self.path / "ablations" / model_folder(model) / inputs
        return folder / f"part-{part:05d}.parquet"

    def distances_path(self, metric: str) -> Path:
        """Distance matrix of one metric, in the order of `heads`."""
        return self.path / "distances" / f"{metric}.npy"

    def neighbours_folder(self, metric: str) -> Path:
        """The nearest heads of every head, where all pairs are too many (docs/scale.md)."""
        return self.path / "neighbours" / metric

    def neighbours_path(self, metric: str, part: int) -> Path:
        """The nearest heads of one part of the heads, in the order of `heads`."""
        return self.neighbours_folder(metric) / f"part-{part:05d}.safetensors"

    def index_path(self, metric: str) -> Path:
        """The index of heads, and how heads are placed in it."""
        return self.neighbours_folder(metric) / "index.safetensors"

    def head_clouds_path(self, space: str) -> Path:
        """Clouds of all heads, one after the other: a copy that single heads are read from."""
        return self.path / "neighbours" / f"clouds-{space}.npy"
