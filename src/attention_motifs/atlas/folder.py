"""The atlas: a folder with everything computed for some models on some prompts.

This module alone knows the schemas of the atlas's files (docs/atlas.md), and `atlas_paths` their
names. Stages hand their results over here; nothing else is shared between them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas.packed_patterns import unpack_triangle
from attention_motifs.distances.neighbour_files import read_neighbours
from attention_motifs.errors import AtlasError, HeadNotFoundError, did_you_mean
from attention_motifs.head import HeadId
from attention_motifs.store import files, remote
from attention_motifs.store.manifest import SCHEMA_VERSION, Manifest
from attention_motifs.store.paths import AtlasPaths
from attention_motifs.store.settings import Configuration as Configuration

if TYPE_CHECKING:
    import polars as pl
    from jaxtyping import Float, UInt8

    from attention_motifs.atlas.queries import NearHead
    from attention_motifs.distances.neighbour_graph import Neighbours
    from attention_motifs.embedding import PatternEmbedding
    from attention_motifs.embedding.recommended import RecommendedEmbedding
    from attention_motifs.reports.head_record import HeadRecord

BLOCK_SIZE = 16
"""Prompts per part: the unit that is complete or absent, and is redone after a kill."""

IMPORTED = "pattern-lens"
"""What stands for the prompts of an atlas whose patterns were imported, not taken."""

HEAD_COLUMNS = ("head", "model", "layer", "index", "depth", "classes")
"""Of the heads table; later stages add more."""

KEY_COLUMNS = ("head", "prompt_id", "n_tokens")


class Atlas(AtlasPaths):
    """An atlas on disk. Opening reads `atlas.json` only; tables are read when asked for."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        """Use `Atlas.open` or `Atlas.create`."""
        self.path = path
        self.manifest = manifest
        self._heads: pl.DataFrame | None = None

    def __repr__(self) -> str:
        return (
            f"<Atlas {self.path}: {', '.join(self.manifest.models) or 'no models yet'}; "
            f"{self.manifest.prompts['n']} prompts>"
        )

    @classmethod
    def open(cls, path: str | Path) -> Atlas:
        """Open an atlas that is there.

        Args:
            path: its folder, or a URL (docs/sharing.md): files then come when they are read.

        Raises:
            AtlasError: if the folder holds none, or one that is damaged or of another schema.
            RemoteError: if the place of the URL refuses or cannot be reached.
        """
        folder = remote.folder_of(path)
        _require_atlas(folder)
        manifest_path = folder / "atlas.json"
        value = files.read_json(manifest_path, "restore it, or build the atlas anew")
        version = value.get("schema_version") if isinstance(value, dict) else None
        if version != SCHEMA_VERSION:
            raise AtlasError(
                f"{manifest_path}: schema version {version}, this program reads "
                f"{SCHEMA_VERSION}; build the atlas anew, or use the version of attention-motifs "
                f"that made it ({value.get('package_version') if isinstance(value, dict) else '?'})"
            )
        try:
            manifest = Manifest(
                configuration=Configuration.from_json(value["configuration"]),
                package_version=value["package_version"],
                prompts={
                    "n": int(value["prompts"]["n"]),
                    "sha256": str(value["prompts"]["sha256"]),
                },
                models={name: value["models"][name] for name in value["model_order"]},
                imputed=value["imputed"],
                stages=value["stages"],
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise files.damaged(
                manifest_path, "restore it, or build the atlas anew", error
            ) from error
        return cls(folder, manifest)

    @classmethod
    def create(
        cls, path: str | Path, configuration: Configuration, prompts: pl.DataFrame, sha256: str
    ) -> Atlas:
        """Make an atlas with prompts and no models yet; the caller holds the lock."""
        from attention_motifs import __version__

        atlas = cls(
            remote.folder_of(path),
            Manifest(configuration, __version__, {"n": len(prompts), "sha256": sha256}, {}, {}, {}),
        )
        files.write_parquet(atlas.prompts_path, prompts)
        atlas._write_manifest()
        return atlas

    # The lock and the manifest

    @staticmethod
    @contextlib.contextmanager
    def lock(path: str | Path, *, new: bool = False) -> Iterator[None]:
        """Hold the atlas for writing; the system frees it when the process ends, however it ends.

        Args:
            path: of the atlas, or its URL: what is written then goes there.
            new: make the folder if it is not there; else it must hold an atlas.

        Raises:
            AtlasError: if another run holds it, or there is no atlas.
            ResourceError: if the folder cannot be written.
        """
        from filelock import FileLock, Timeout

        folder = remote.work_folder(path)
        if not new and not remote.is_url(path):
            _require_atlas(folder)
        lock = FileLock(folder / ".lock")
        try:
            with files.writable_folder(folder):
                folder.mkdir(parents=True, exist_ok=True)
                lock.acquire(timeout=0)
        except Timeout as error:
            raise AtlasError(
                f"{folder}: another run is working on this atlas; wait for it, or use another "
                "--atlas (nothing was changed)"
            ) from error
        try:
            files.remove_unfinished(folder)
            with remote.held(path):
                if not new:
                    _require_atlas(remote.folder_of(path))
                yield
        finally:
            lock.release()

    def update(self, **changes: Any) -> None:
        """Replace fields of the manifest and write it."""
        self.manifest = replace(self.manifest, **changes)
        self._write_manifest()

    def finish(self, stage: str, inputs: str) -> None:
        """Note in the journal that `stage` is complete for these inputs."""
        self.update(stages={**self.manifest.stages, stage: inputs})

    def is_finished(self, stage: str, inputs: str) -> bool:
        """Whether `stage` was completed from the same inputs before."""
        return self.manifest.stages.get(stage) == inputs

    def _write_manifest(self) -> None:
        with remote.sent(self.path):
            files.write_json(self.path / "atlas.json", self.manifest.to_json())

    @property
    def n_blocks(self) -> int:
        """Blocks of prompts, the last one perhaps shorter."""
        return -(-int(self.manifest.prompts["n"]) // BLOCK_SIZE)

    # Tables

    @property
    def models(self) -> tuple[str, ...]:
        """Models in the order of the heads."""
        return tuple(self.manifest.models)

    @property
    def prompts(self) -> pl.DataFrame:
        """prompt_id, text, source; the order in which every table lists prompts."""
        columns = ["prompt_id", "text", "source"]
        return files.read_parquet(self.prompts_path, "build the atlas anew", columns)

    @property
    def heads(self) -> pl.DataFrame:
        """One row per head: head, model, layer, index, depth (0 first layer, 1 last), classes."""
        if self._heads is None:
            mend = f"delete it and {self.extract_command()}"
            table = files.read_parquet(self.heads_path, mend)
            if missing := [name for name in HEAD_COLUMNS if name not in table.columns]:
                raise AtlasError(f"{self.heads_path}: has no column {missing[0]!r}; {mend}")
            self._heads = table
        return self._heads

    def write_heads(self, table: pl.DataFrame) -> None:
        """Replace the heads table."""
        files.write_parquet(self.heads_path, table)
        self._heads = None

    def tokens(self, model: str) -> pl.DataFrame:
        """prompt_id, token_ids, tokens of one model's prompts."""
        mend = f"delete it and {self.extract_command(model)}"
        columns = ["prompt_id", "token_ids", "tokens"]
        return files.read_parquet(self.tokens_path(model), mend, columns)

    def head_index(self, head: str | HeadId) -> int:
        """Row of a head in `heads` and in every distance matrix.

        Raises:
            InputError: if the text is not a head.
            HeadNotFoundError: if the atlas does not hold it; the nearest names are offered.
        """
        wanted = head if isinstance(head, HeadId) else HeadId.parse(head)
        names: list[str] = self.heads["head"].to_list()
        try:
            return names.index(str(wanted))
        except ValueError:
            raise HeadNotFoundError(self._not_found(wanted, names)) from None

    def _not_found(self, wanted: HeadId, names: list[str]) -> str:
        if wanted.model not in self.manifest.models:
            advice = did_you_mean(wanted.model, self.models)
            return f"{wanted}: this atlas has no model {wanted.model!r}; {advice}"
        info = self.manifest.models[wanted.model]
        return (
            f"{wanted}: {wanted.model} has layers 0 to {info['n_layers'] - 1} and heads 0 to "
            f"{info['n_heads'] - 1}; {did_you_mean(wanted, names)}"
        )

    # Numbers

    def feature_parts(
        self, model: str, columns: Sequence[str] | None = None
    ) -> Iterator[pl.DataFrame]:
        """Yield the parts of one model's features, in the order of the prompts.

        Raises:
            AtlasError: if a part is missing or damaged.
        """
        wanted = None if columns is None else [*KEY_COLUMNS, *columns]
        for block in range(self.n_blocks):
            mend = f"delete it and {self.extract_command(model)}"
            yield files.read_parquet(self.part_path(model, block), mend, wanted)

    def embedding(self) -> PatternEmbedding:
        """Return the fitted embedding.

        Raises:
            AtlasError: if the stage `embed` has not run, or a file is damaged.
        """
        from attention_motifs.embedding import PatternEmbedding

        mend = f"run `motifs embed --atlas {self.path} --force`"
        return PatternEmbedding.load(self.embedding_path, mend)

    def embedded(
        self, models: Sequence[str] | None = None
    ) -> Float[np.ndarray, "prompts heads components"]:
        """Head clouds: the embedded patterns of all heads, or of some models, float32.

        Raises:
            AtlasError: if the stage `embed` has not run, or a file is damaged.
        """
        return self._clouds(self.embedded_path, models)

    def recommended(self) -> RecommendedEmbedding:
        """Return the fitted preset `recommended` (docs/distances.md).

        Raises:
            AtlasError: if the atlas lacks the features `extended`, the stage `embed` has not run
                since they came, or a file is damaged.
        """
        from attention_motifs.embedding.recommended import FEATURE_SET, RecommendedEmbedding

        if FEATURE_SET not in self.manifest.configuration.feature_sets:
            embed = f"`motifs embed --atlas {self.path}`"
            raise AtlasError(
                f"{self.path}: has no features of the set {FEATURE_SET!r}, which the metric "
                f"'recommended' needs; {self.extract_command(sets=[FEATURE_SET])}, then {embed}"
            )
        mend = f"run `motifs embed --atlas {self.path} --force`"
        return RecommendedEmbedding.load(self.recommended_path, mend)

    def recommended_clouds(
        self, models: Sequence[str] | None = None
    ) -> Float[np.ndarray, "prompts heads features"]:
        """Head clouds in the space of the preset `recommended`, float32.

        Raises:
            AtlasError: as `recommended`.
        """
        self.recommended()
        return self._clouds(self.recommended_clouds_path, models)

    def _clouds(
        self, path: Callable[[str], Path], models: Sequence[str] | None
    ) -> Float[np.ndarray, "prompts heads columns"]:
        """Patterns of all heads, or of some models, from a table per model."""
        mend = f"run `motifs embed --atlas {self.path} --force`"
        if not self.models:
            raise AtlasError(f"{self.path}: has no patterns yet; {self.extract_command()}")
        n_prompts, clouds = int(self.manifest.prompts["n"]), []
        for model in models or self.models:
            table = files.read_parquet(path(model), mend)
            values = table.drop("head", "prompt_id", strict=False).to_numpy()
            info = self.manifest.models[model]
            n_heads = int(info["n_layers"]) * int(info["n_heads"])
            if len(values) != n_prompts * n_heads:
                raise AtlasError(f"{path(model)}: rows are missing; {mend}")
            clouds.append(values.reshape(n_prompts, n_heads, values.shape[1]))
        return np.concatenate(clouds, axis=1)

    def distances(self, metric: str = "mean") -> Float[np.ndarray, "heads heads"]:
        """Distance matrix in the order of `heads`, float32.

        Raises:
            AtlasError: if it was not computed, or only the nearest heads are kept (see
                `neighbours`), or the file is damaged or of another size.
        """
        path = self.distances_path(metric)
        mend = f"run `motifs distances --atlas {self.path} --metric {metric} --force`"
        if metric in self.neighbour_metrics():
            raise AtlasError(
                f"{path}: not there: {len(self.heads)} heads are too many for the distances of all "
                f"pairs, and the nearest of each are kept instead; use `motifs near`, "
                f"atlas.near(...) or atlas.neighbours({metric!r})"
            )
        matrix = files.read_array(path, mend, memory_map=True)
        n_heads = len(self.heads)
        if matrix.shape != (n_heads, n_heads):
            raise AtlasError(f"{path}: shape {matrix.shape} for {n_heads} heads; {mend}")
        return matrix

    def neighbours(self, metric: str = "mean") -> Neighbours:
        """Nearest heads of every head, in the order of `heads`, of an atlas of very many heads.

        Raises:
            AtlasError: if they were not computed, or a file is damaged.
        """
        return read_neighbours(self, metric, len(self.heads))

    def neighbour_metrics(self) -> list[str]:
        """Metrics of which the nearest heads are kept, because all pairs are too many."""
        folder = self.path / "neighbours"
        return sorted(path.parent.name for path in folder.glob("*/part-00000.safetensors"))

    def head_clouds(self, space: str = "embedding") -> Float[np.ndarray, "heads prompts columns"]:
        """Head clouds, heads first, read from the disk as they are used.

        Args:
            space: `embedding` or `recommended`.

        Raises:
            AtlasError: if the nearest heads were not computed, or the file is damaged.
        """
        path = self.head_clouds_path(space)
        metric = "mean" if space == "embedding" else space
        mend = f"run `motifs distances --atlas {self.path} --metric {metric} --force`"
        clouds = files.read_array(path, mend, memory_map=True)
        wanted = len(self.heads), int(self.manifest.prompts["n"])
        if clouds.ndim != 3 or clouds.shape[:2] != wanted or clouds.dtype != np.float32:
            raise AtlasError(
                f"{path}: not clouds of {wanted[0]} heads on {wanted[1]} prompts; {mend}"
            )
        return clouds

    @property
    def projections(self) -> pl.DataFrame:
        """Coordinates of heads, one row per head and projection, with their quality.

        Raises:
            AtlasError: if the stage `project` has not run, or the file is damaged.
        """
        return files.read_parquet(
            self.projections_path, f"run `motifs project --atlas {self.path}`"
        )

    @property
    def ablations(self) -> pl.DataFrame:
        """Effects of ablating heads; what the columns mean is in docs/ablation.md.

        Raises:
            AtlasError: if the stage `ablate` has not run, or the file is damaged.
        """
        from attention_motifs.atlas.ablation_table import read_table

        return read_table(self.ablations_path, f"run `motifs ablate --atlas {self.path}`")

    def metrics(self) -> list[str]:
        """Metrics whose distance matrices are there."""
        return sorted(path.stem for path in (self.path / "distances").glob("*.npy"))

    def pattern(self, head: str | HeadId, prompt_id: str) -> Float[np.ndarray, "n n"]:
        """Attention pattern kept for viewing: lower triangular, in steps of the square root.

        The error of an entry a is at most about sqrt(a) / 255.

        Raises:
            HeadNotFoundError: if the atlas does not hold the head.
            AtlasError: if the prompt is not one of those kept for viewing, or a file is damaged.
        """
        row = self.heads.row(self.head_index(head), named=True)
        if prompt_id not in self.view_prompts():
            raise AtlasError(
                f"{self.path}: no patterns are kept of prompt {prompt_id} (viewing prompts: "
                f"{', '.join(self.view_prompts())}); build with a larger --n-view-prompts"
            )
        return unpack_triangle(self.triangles(row["model"], prompt_id)[row["layer"], row["index"]])

    def triangles(self, model: str, prompt_id: str) -> UInt8[np.ndarray, "layers heads entries"]:
        """Packed patterns of all heads of a model on a prompt kept for viewing.

        Raises:
            AtlasError: if the file is missing or damaged.
        """
        path = self.patterns_path(model, prompt_id)
        mend = f"delete it and {self.extract_command(model)}"
        packed = files.read_tensors(path, mend)[0].get("triangles")
        info = self.manifest.models[model]
        shape = (int(info["n_layers"]), int(info["n_heads"]))
        if packed is None or packed.dtype != np.uint8 or packed.shape[:-1] != shape:
            raise AtlasError(
                f"{path}: not the patterns of {shape[0]} layers of {shape[1]} heads; {mend}"
            )
        return packed

    def extract_command(self, model: str | None = None, sets: Sequence[str] = ()) -> str:
        """Return the words that tell how to make what was extracted (of one model) again.

        Args:
            model: by default all.
            sets: feature sets that the atlas is to gain.
        """
        info = self.manifest.models.get(model or "", {})
        more = "".join(f" --features {name}" for name in sets)
        if info.get("added"):
            wanted = info.get("wanted") or f"{model}=PATH"
            return f"run `motifs add {wanted} --atlas {self.path}`"
        if self.manifest.configuration.prompts == IMPORTED:
            return f"run `motifs import-pattern-lens DIR{more} --atlas {self.path}`"
        return f"run `motifs extract{more} --atlas {self.path}`"

    def view_prompts(self) -> list[str]:
        """Ids of the prompts whose patterns are kept."""
        ids: list[str] = self.prompts["prompt_id"].to_list()
        return ids[: self.manifest.configuration.n_view_prompts]

    def near(
        self, head: str | HeadId, n: int = 10, metric: str = "mean", **filters: Any
    ) -> list[NearHead]:
        """Return the nearest heads of `head`; see `attention_motifs.atlas.queries.near`."""
        from attention_motifs.atlas import queries

        return queries.near(self, head, n=n, metric=metric, **filters)

    def head(self, head: str | HeadId, **options: Any) -> HeadRecord:
        """All that the atlas knows of a head; see `attention_motifs.reports.head_record`."""
        from attention_motifs.reports.head_record import head_record

        return head_record(self, head, **options)


def _require_atlas(folder: Path) -> None:
    if not (folder / "atlas.json").is_file():
        raise AtlasError(
            f"{folder}: holds no atlas (no atlas.json); make one with `motifs build` or "
            "`motifs demo`, or name another with --atlas"
        )
