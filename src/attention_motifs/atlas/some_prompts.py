"""An atlas seen on some of its prompts: the same embedding, distances computed anew, read only."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas.atlas import Atlas
from attention_motifs.atlas.blocks import block_named, clouds_of
from attention_motifs.atlas.motif_shares import SHARE, SPREAD
from attention_motifs.atlas.prompt_labels import Where, described, prompts_where
from attention_motifs.errors import AtlasError
from attention_motifs.features.motif_definitions import MOTIFS

if TYPE_CHECKING:
    import polars as pl
    from jaxtyping import Float, Float32, Int

_FAST = ("mean", "cosine", "centroid")
"""Metrics, besides the presets, whose distances of all pairs are computed in a moment."""


class AtlasOnPrompts(Atlas):
    """Some prompts of an atlas. Made by `Atlas.where`; nothing is written.

    The embedding and the presets stay those of all prompts, so that distances can be compared.
    Probes are not prompts: the presets that use them use all of them.

    Attributes:
        whole: the atlas.
        condition: the labels of the prompts, in words.
    """

    def __init__(self, whole: Atlas, chosen: Int[np.ndarray, " some"], condition: str) -> None:
        """Use `Atlas.where`."""
        self.whole, self.chosen, self.condition = whole, chosen, condition
        self._computed: dict[str, Float[np.ndarray, "heads heads"]] = {}
        prompts = {**whole.manifest.prompts, "n": len(chosen)}
        super().__init__(whole.paths, replace(whole.manifest, prompts=prompts))

    def __repr__(self) -> str:
        return f"<{len(self.chosen)} prompts with {self.condition} of {self.whole!r}>"

    @property
    def prompts(self) -> pl.DataFrame:
        """The chosen rows of the table of the whole atlas."""
        if self._prompts is None:
            self._prompts = self.whole.prompts[self.chosen.tolist()]
        return self._prompts

    @property
    def heads(self) -> pl.DataFrame:
        """The table of the whole atlas, with motif shares over the chosen prompts."""
        if self._heads is None:
            self._heads = self._with_shares(self.whole.heads)
        return self._heads

    def _with_shares(self, table: pl.DataFrame) -> pl.DataFrame:
        import polars as pl

        if next(iter(MOTIFS)) + SHARE not in table.columns:
            return table
        of_models = [self.motif_shares(m).astype(np.float64) for m in self.models]
        shares = np.concatenate(of_models, axis=1)
        finite = np.isfinite(shares).all(axis=2, keepdims=True)
        count = np.maximum(finite.sum(axis=0), 1)
        kept = np.where(finite, shares, 0.0)
        mean = kept.sum(axis=0) / count
        spread = np.sqrt((np.where(finite, shares - mean, 0.0) ** 2).sum(axis=0) / count)
        columns = {}
        for i, name in enumerate(MOTIFS):
            for ending, values in ((SHARE, mean[:, i]), (SHARE + SPREAD, spread[:, i])):
                if name + ending in table.columns:
                    dtype = table.schema[name + ending]
                    columns[name + ending] = pl.Series(values).cast(dtype)
        return table.with_columns(**columns)

    def tokens(self, model: str) -> pl.DataFrame:
        """Return the tokens of the chosen prompts."""
        return self._of_prompts(self.whole.tokens(model))

    def _of_prompts(self, table: pl.DataFrame) -> pl.DataFrame:
        return table.filter(table["prompt_id"].is_in(self.prompts["prompt_id"].to_list()))

    def feature_parts(
        self, model: str, columns: Sequence[str] | None = None, stimuli: str = "prompts"
    ) -> Iterator[pl.DataFrame]:
        """Yield the parts of the features, see `Atlas.feature_parts`; those of prompts are cut."""
        for part in self.whole.feature_parts(model, columns, stimuli):
            if stimuli != "prompts":
                yield part
            elif len(some := self._of_prompts(part)):
                yield some

    def clouds(
        self, artefact: str, models: Sequence[str] | None, n_points: int, **parts: str
    ) -> Float[np.ndarray, "points heads columns"]:
        """Return head clouds, see `Atlas.clouds`; those of prompts are cut."""
        block = parts.get("block")
        if block is not None and block_named(self, block).stimuli != "prompts":
            return self.whole.clouds(artefact, models, n_points, **parts)
        n_whole = int(self.whole.manifest.prompts["n"])
        of_all = self.whole.clouds(artefact, models, n_whole, **parts)
        return np.asarray(of_all[self.chosen])

    def motif_shares(self, model: str) -> Float32[np.ndarray, "prompts heads motifs"]:
        """Return the motif shares on the chosen prompts."""
        return np.asarray(self.whole.motif_shares(model)[self.chosen])

    def view_prompts(self) -> list[str]:
        """Return the ids of those of the chosen prompts whose patterns are kept."""
        chosen = set(self.prompts["prompt_id"].to_list())
        return [prompt for prompt in self.whole.view_prompts() if prompt in chosen]

    # Distances

    @property
    def best_metric(self) -> str:
        """The best metric of the whole atlas."""
        return self.whole.best_metric

    def metrics(self) -> list[str]:
        """Return the metrics of the whole atlas that are computed in a moment."""
        from attention_motifs.distances import get_metric

        stored = self.whole.metrics()
        return [m for m in stored if m in _FAST or get_metric(m).space != "embedding"]

    def neighbour_metrics(self) -> list[str]:
        """Return no metric: nearest heads are stored for all prompts together."""
        return []

    def distances(
        self, metric: str = "mean", where: Where | None = None
    ) -> Float[np.ndarray, "heads heads"]:
        """Compute a distance matrix on the chosen prompts, see `Atlas.distances`."""
        from attention_motifs.distances import get_metric, head_distances

        if where is not None:
            return self.where(where).distances(metric)
        get_metric(metric)
        if metric not in self._computed:
            self._computed[metric] = head_distances(clouds_of(self, metric).array, metric)
        return self._computed[metric]

    def distance_rows(
        self,
        metric: str,
        heads: Int[np.ndarray, " some"],
        to: Int[np.ndarray, " others"] | None = None,
    ) -> Float[np.ndarray, "some others"]:
        """Return rows of `distances`, see `Atlas.distance_rows`."""
        rows = self.distances(metric)[heads]
        return np.asarray(rows if to is None else rows[:, to], dtype=np.float32)

    def where(self, where: Where) -> Atlas:
        """Return those of the chosen prompts that have other labels as well, see `Atlas.where`."""
        chosen = self.chosen[prompts_where(self, where)]
        return AtlasOnPrompts(self.whole, chosen, f"{self.condition}, {described(where)}")

    # Nothing is written

    def _refuse(self) -> None:
        raise AtlasError(
            f"{self.place}: nothing can be written on some of its prompts. Open the whole atlas "
            f"with Atlas.open({self.place!r})"
        )

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Refuse the lock, so that no stage writes what it computes on some of the prompts.

        Raises:
            AtlasError: always.
        """
        self._refuse()
        yield

    def update(self, **changes: Any) -> None:
        """Refuse to write, as `locked`."""
        del changes
        self._refuse()

    def write_heads(self, table: pl.DataFrame) -> None:
        """Refuse to write."""
        self.update(heads=table)

    def write_prompts(self, table: pl.DataFrame) -> None:
        """Refuse to write."""
        self.update(prompts=table)
