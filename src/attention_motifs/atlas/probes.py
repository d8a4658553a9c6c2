"""Probes of an atlas: their table, their sequences, and which models were run on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attention_motifs.atlas.opened import BLOCK_SIZE, OpenedFolder
from attention_motifs.atlas.stimuli import N_VIEW_PROBES, PROBES
from attention_motifs.errors import AtlasError
from attention_motifs.store import files
from attention_motifs.store.manifest import IMPORTED
from attention_motifs.store.paths import ARTEFACTS

if TYPE_CHECKING:
    import polars as pl


class FolderWithProbes(OpenedFolder):
    """The folder of an atlas, and its probes."""

    @property
    def probes(self) -> pl.DataFrame:
        """One row per probe: prompt_id, source, text, repeats, repeat_length.

        Raises:
            AtlasError: if the file is missing or damaged, or of another number of probes.
        """
        if self._probes is not None and len(self._probes) == self.manifest.probes["n"]:
            return self._probes
        file = self.file("probes")
        table = files.read_parquet(file, columns=ARTEFACTS["probes"].columns)
        if len(table) != self.manifest.probes["n"]:
            raise self._mismatch(
                file, f"{len(table)} probes, atlas.json lists {self.manifest.probes['n']}"
            )
        self._probes = table
        return table

    def probe_sequences(self, model: str) -> pl.DataFrame:
        """Return prompt_id, token_ids, tokens and repeat_length of one model's probes."""
        file = self.file("probe_sequences", model=model)
        return files.read_parquet(file, columns=ARTEFACTS["probe_sequences"].columns)

    def has_probes(self, model: str | None = None) -> bool:
        """Return whether a model was run on the probes, or by default whether all models were."""
        models = self.models if model is None else (model,)
        return (
            self.manifest.probes["n"] > 0
            and bool(models)
            and all(PROBES.journal(name) in self.manifest.stages for name in models)
        )

    def require_probes(self, model: str | None = None) -> None:
        """Refuse an atlas whose models were not run on probes.

        Raises:
            AtlasError: with the reason, and the command that adds probes.
        """
        if self.has_probes(model):
            return
        if self.manifest.configuration.prompts == IMPORTED:
            raise AtlasError(
                f"{self.place}: has no probes: its patterns were imported, and no model can be "
                "run on probes. Use the prompts alone"
            )
        raise AtlasError(
            f"{model or self.place}: was not run on probes; run {self.paths.command('probe')}"
        )

    def n_probe_parts(self, model: str) -> int:
        """Return the number of parts of a model's features on probes; 0 if it has none."""
        return -(-int(self.manifest.probes["n"]) // BLOCK_SIZE) if self.has_probes(model) else 0

    def view_probes(self) -> list[str]:
        """Return the ids of the probes whose patterns are kept."""
        if not self.manifest.probes["n"]:
            return []
        ids: list[str] = self.probes["prompt_id"].to_list()
        n, n_random = N_VIEW_PROBES, self.manifest.configuration.n_probes
        n = min(n, self.manifest.configuration.n_view_prompts)
        return ids[:n_random][:n] + ids[n_random:][:n]
