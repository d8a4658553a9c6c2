"""The tables of an atlas."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.atlas import blocks
from attention_motifs.atlas.opened import BLOCK_SIZE as BLOCK_SIZE
from attention_motifs.atlas.probes import FolderWithProbes
from attention_motifs.atlas.stimuli import PROBES, PROMPTS, get_stimuli
from attention_motifs.distances import get_metric
from attention_motifs.distances.neighbour_files import read_neighbours
from attention_motifs.errors import AtlasError, HeadNotFoundError, InputError, did_you_mean
from attention_motifs.head import HeadId, layers_in_words
from attention_motifs.store import files
from attention_motifs.store.manifest import IMPORTED as IMPORTED
from attention_motifs.store.packed_patterns import unpack_triangle
from attention_motifs.store.paths import ARTEFACTS, MANIFEST
from attention_motifs.store.settings import Configuration as Configuration

if TYPE_CHECKING:
    import polars as pl
    from jaxtyping import Float, Float32, Int, UInt8

    from attention_motifs.distances.neighbour_graph import Neighbours
    from attention_motifs.embedding import PatternEmbedding

HEAD_COLUMNS = ARTEFACTS["heads"].columns
"""Columns of the heads table; later stages add more."""

KEY_COLUMNS = ARTEFACTS["features"].columns


class AtlasFolder(FolderWithProbes):
    """The tables of an atlas on disk. Tables are read when they are used.

    Attributes:
        paths: its files by name.
        manifest: contents of `atlas.json`.
    """

    # Tables

    def known_models(self, models: str | Sequence[str]) -> list[str]:
        """Return names of models as a list, after checking that the atlas holds them.

        Raises:
            InputError: if it does not, or the value is no list of names.
        """
        try:
            names = [models] if isinstance(models, str) else list(models)
        except TypeError as error:
            raise InputError(f"models={models!r:.80}: give a list of names of models") from error
        for name in names:
            if not isinstance(name, str) or name not in self.models:
                raise InputError(
                    f"model {name!r:.80} is not in this atlas; it has {', '.join(self.models)}"
                )
        return names

    @property
    def prompts(self) -> pl.DataFrame:
        """prompt_id, text, source, meta; the order in which every table lists prompts.

        `meta` holds the labels of a prompt as a JSON object, null if it has none.
        """
        import polars as pl

        if self._prompts is None:
            file = self.file("prompts")
            table, names = files.read_parquet(file), ARTEFACTS["prompts"].columns
            if missing := [name for name in names if name not in table.columns]:
                raise AtlasError(f"{file}: has no column {missing[0]!r}; {file.fix_damaged}")
            if len(table) != self.manifest.prompts["n"]:
                raise self._mismatch(
                    file, f"{len(table)} prompts, {MANIFEST} lists {self.manifest.prompts['n']}"
                )
            if table.schema.get("meta") != pl.String:
                table = table.with_columns(pl.lit(None, dtype=pl.String).alias("meta"))
            self._prompts = table.select(*names, "meta")
        return self._prompts

    def write_prompts(self, table: pl.DataFrame) -> None:
        """Replace the prompts table, by the same texts with other labels."""
        files.write_parquet(self.file("prompts"), table)
        self._prompts = None

    @property
    def heads(self) -> pl.DataFrame:
        """One row per head: head, model, layer, index, depth (0 first layer, 1 last), classes."""
        if self._heads is None:
            file = self.file("heads")
            table = files.read_parquet(file)
            if missing := [name for name in HEAD_COLUMNS if name not in table.columns]:
                raise AtlasError(f"{file}: has no column {missing[0]!r}; {file.fix_damaged}")
            n_heads = sum(record.n_all_heads for record in self.manifest.models.values())
            if len(table) != n_heads:
                raise self._mismatch(
                    file, f"{len(table)} heads, the models of {MANIFEST} have {n_heads}"
                )
            self._heads = table
        return self._heads

    def write_heads(self, table: pl.DataFrame) -> None:
        """Replace the heads table."""
        files.write_parquet(self.file("heads"), table)
        self._heads = None

    def tokens(self, model: str) -> pl.DataFrame:
        """Return prompt_id, token_ids and tokens of one model's prompts."""
        file = self.file("tokens", model=model)
        return files.read_parquet(file, columns=ARTEFACTS["tokens"].columns)

    def head_index(self, head: str | HeadId) -> int:
        """Return the row of a head in `heads` and in every distance matrix.

        Raises:
            InputError: if the text is not a head.
            HeadNotFoundError: if the atlas does not hold it; the nearest names are suggested.
        """
        head_id = head if isinstance(head, HeadId) else HeadId.parse(head)
        names: list[str] = self.heads["head"].to_list()
        try:
            return names.index(str(head_id))
        except ValueError:
            raise HeadNotFoundError(self._not_found(head_id, names)) from None

    def _not_found(self, head: HeadId, names: list[str]) -> str:
        record = self.manifest.models.get(head.model)
        if record is None:
            advice = did_you_mean(head.model, self.models)
            return f"{head}: this atlas has no model {head.model!r}; {advice}"
        return (
            f"{head}: {head.model} has {layers_in_words(record.layers)} and heads 0 to "
            f"{record.n_heads - 1}; {did_you_mean(head, names)}"
        )

    # Numbers

    def feature_parts(
        self, model: str, columns: Sequence[str] | None = None, stimuli: str = "prompts"
    ) -> Iterator[pl.DataFrame]:
        """Yield the parts of one model's features, in the order of the prompts or probes.

        Args:
            model: name of the model.
            columns: features to read; default: all.
            stimuli: `prompts` or `probes`.

        Raises:
            AtlasError: if a part is missing or damaged, or there are no probes.
        """
        names = None if columns is None else [*KEY_COLUMNS, *columns]
        of = get_stimuli(stimuli)
        if of is PROBES:
            self.require_probes(model)
        for block in range(-(-of.count(self.manifest) // BLOCK_SIZE)):
            yield files.read_parquet(self.file(of.features, model=model, block=block), "", names)

    def embedding(self) -> PatternEmbedding:
        """Return the fitted embedding.

        Raises:
            AtlasError: if the stage `embed` has not run, or a file is damaged.
        """
        from attention_motifs.embedding import PatternEmbedding

        return PatternEmbedding.load(
            (self.file("embedding_settings"), self.file("embedding")), self.file("embedding").fix
        )

    def embedded(
        self, models: Sequence[str] | None = None
    ) -> Float[np.ndarray, "prompts heads components"]:
        """Head clouds: the embedded patterns of all heads, or of some models, float32.

        Raises:
            AtlasError: if the stage `embed` has not run, or a file is damaged.
        """
        return self.clouds("embedded", models, int(self.manifest.prompts["n"]))

    def clouds(
        self, artefact: str, models: Sequence[str] | None, n_points: int, **parts: str
    ) -> Float[np.ndarray, "points heads columns"]:
        """Return head clouds from a table per model, float32.

        Args:
            artefact: name of the tables in `store.artefacts`.
            models: names of models; default: all.
            n_points: number of points of each head.
            parts: what other placeholders in the name of a table stand for.

        Raises:
            AtlasError: if there are no patterns yet, or a file is missing or damaged.
        """
        if not self.models:
            raise AtlasError(
                f"{self.place}: has no patterns yet; run {self.paths.extract_command()}"
            )
        names = self.models if models is None else self.known_models(models)
        if not names:
            raise InputError("models=[]: name at least one model, or leave it out")
        clouds = []
        for model in names:
            file = self.file(artefact, model=model, **parts)
            table = files.read_parquet(file)
            numbers = table.drop("head", "prompt_id", strict=False)
            n_heads = self.manifest.models[model].n_all_heads
            if numbers.height != n_points * n_heads:
                raise self._mismatch(
                    file, f"{numbers.height} rows for {n_heads} heads on {n_points} prompts"
                )
            values = numbers.to_numpy()
            clouds.append(values.reshape(n_points, n_heads, values.shape[1]))
        return np.concatenate(clouds, axis=1)

    def distances(self, metric: str = "mean") -> Float[np.ndarray, "heads heads"]:
        """Distance matrix in the order of `heads`, float32.

        Raises:
            AtlasError: if it was not computed, or only the nearest heads are kept (see
                `neighbours`), or the file is damaged or of another size.
        """
        file = self.file("distances", metric=metric)
        if metric in self.neighbour_metrics():
            raise AtlasError(
                f"{file}: not kept: {len(self.heads)} heads are too many for the distances of all "
                f"pairs; use the nearest of each head with `motifs near`, atlas.near(...) or "
                f"atlas.neighbours({metric!r})"
            )
        if not file.is_file():
            get_metric(metric)  # a name that no command knows has no command that computes it
            blocks.require(self, metric)
        matrix = files.read_array(file, memory_map=True)
        n_heads = len(self.heads)
        if matrix.shape != (n_heads, n_heads):
            raise self._mismatch(file, f"shape {matrix.shape} for {n_heads} heads")
        return matrix

    def distance_rows(
        self,
        metric: str,
        heads: Int[np.ndarray, " some"],
        to: Int[np.ndarray, " others"] | None = None,
    ) -> Float[np.ndarray, "some others"]:
        """Distances from some heads to others, float32; of a remote atlas these rows alone.

        Args:
            metric: name of the metric.
            heads: rows of `heads`.
            to: rows of `heads`; default: all.

        Raises:
            AtlasError: as `distances`.
        """
        n_heads = len(self.heads)
        if metric not in self.neighbour_metrics():
            file = self.file("distances", metric=metric)
            rows = files.read_array_rows(file, heads, (n_heads, n_heads))
            if rows is not None:
                return rows if to is None else rows[:, to]
        matrix = self.distances(metric)
        chosen = matrix[heads] if to is None else matrix[np.ix_(heads, to)]
        return np.asarray(chosen, dtype=np.float32)

    def neighbours(self, metric: str = "mean") -> Neighbours:
        """Nearest heads of every head, in the order of `heads`, of an atlas of very many heads.

        Raises:
            AtlasError: if they were not computed, or a file is damaged.
        """
        return read_neighbours(self.paths, metric, len(self.heads))

    def neighbour_metrics(self) -> list[str]:
        """Return the metrics of which only the nearest heads are kept: all pairs are too many."""
        return [file.parts["metric"] for file in self.paths.existing("neighbours", part=0)]

    def head_clouds(self, space: str = "embedding") -> Float[np.ndarray, "heads prompts columns"]:
        """Head clouds, heads first, read from the disk as they are used.

        Args:
            space: `embedding`, or the name of a preset.

        Returns:
            (heads, prompts, columns), or (heads, 1, values) for a preset of several blocks.

        Raises:
            AtlasError: if the nearest heads were not computed, or the file is damaged.
        """
        file = self.file("head_clouds", space=space)
        clouds = files.read_array(file, memory_map=True)
        shape = len(self.heads), blocks.n_points(self, space)
        if clouds.ndim != 3 or clouds.shape[:2] != shape or clouds.dtype != np.float32:
            raise self._mismatch(file, f"not clouds of {shape[0]} heads with {shape[1]} points")
        return clouds

    @property
    def projections(self) -> pl.DataFrame:
        """Coordinates of heads, one row per head and projection, with their quality.

        Raises:
            AtlasError: if the stage `project` has not run, or the file is damaged.
        """
        return files.read_parquet(self.file("projections"))

    @property
    def ablations(self) -> pl.DataFrame:
        """Effects of ablating heads; docs/ablation.md describes the columns.

        Raises:
            AtlasError: if the stage `ablate` has not run, or the file is damaged.
        """
        from attention_motifs.atlas.ablation_table import read_table

        return read_table(self.file("ablations"))

    def motif_shares(self, model: str) -> Float32[np.ndarray, "prompts heads motifs"]:
        """Return the share of each motif in the patterns of a model; see `atlas.motif_shares`.

        Raises:
            AtlasError: if the atlas has no shares of the model, or a file is damaged.
        """
        from attention_motifs.atlas.motif_shares import read_motif_shares

        return read_motif_shares(self, model)

    def metrics(self) -> list[str]:
        """Return the metrics whose distance matrices exist."""
        return [file.parts["metric"] for file in self.paths.existing("distances")]

    def pattern(self, head: str | HeadId, prompt_id: str) -> Float[np.ndarray, "n n"]:
        """Return an attention pattern kept for viewing: lower triangular, quantised.

        The prompt may be a probe.

        It is kept in 256 steps of the square root: the error of an entry a is at most about
        sqrt(a) / 255. Features computed from it differ from the exact ones by up to 18 % at the
        95th percentile; for features use `Atlas.feature_parts`, or `extract_patterns` for exact
        patterns.

        Raises:
            HeadNotFoundError: if the atlas does not hold the head.
            AtlasError: if the prompt is not one of those kept for viewing, or a file is damaged.
        """
        row = self.heads.row(self.head_index(head), named=True)
        kept = [*self.view_prompts(), *self.view_probes()]
        if not isinstance(prompt_id, str) or prompt_id not in kept:
            raise AtlasError(
                f"{self.place}: no patterns are kept of prompt {prompt_id!s:.80} (viewing prompts: "
                f"{', '.join(kept)}); build with a larger --n-view-prompts"
            )
        place = self.manifest.models[row["model"]].place_of(row["layer"], row["index"])
        return unpack_triangle(self.triangles(row["model"], prompt_id)[place])

    def triangles(self, model: str, prompt_id: str) -> UInt8[np.ndarray, "layers heads entries"]:
        """Return the packed patterns of all heads of a model on a prompt kept for viewing.

        The prompt may be a probe. They are read from the disk as they are used: those of a model of
        many heads on a long prompt take gigabytes.

        Raises:
            AtlasError: if the file is missing or damaged.
        """
        stimuli = PROBES if prompt_id in self.view_probes() else PROMPTS
        file = self.file(stimuli.patterns, model=model, prompt=prompt_id)
        packed = files.mapped_tensor(file, "triangles")
        record = self.manifest.models[model]
        shape = (len(record.layers), record.n_heads)
        if packed.shape[:-1] != shape:
            raise self._mismatch(file, f"not the patterns of {shape[0]} layers of {shape[1]} heads")
        return packed

    def view_prompts(self) -> list[str]:
        """Return the ids of the prompts whose patterns are kept."""
        ids: list[str] = self.prompts["prompt_id"].to_list()
        return ids[: self.manifest.configuration.n_view_prompts]
