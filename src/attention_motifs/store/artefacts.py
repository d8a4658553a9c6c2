"""The files of an atlas: one table of their names, contents, stages and rebuild commands.

Paths, `motifs check`, error messages, remote copies and docs/atlas.md come from this table. No
other module spells the name of a file of an atlas or the command that makes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Artefact:
    """One kind of file of an atlas."""

    pattern: str
    """Name within the atlas; `{model}`, `{metric}` and so on stand for what differs."""
    holds: str
    """Contents, for docs/atlas.md."""
    stage: str
    """Stage that makes it; `user` for files that a person makes."""
    command: str = ""
    """Words after `motifs` that make it again; empty if no command does."""
    columns: tuple[str, ...] = ()
    """Columns that a table always has."""
    page: str = ""
    """Page of the docs with more about it."""
    kept: bool = False
    """Whether the command keeps an existing file: a damaged one is then deleted first."""
    travels: bool = True
    """Whether it is published and copied with the atlas. False for what is made from the atlas."""


ARTEFACTS: Mapping[str, Artefact] = {
    "manifest": Artefact(
        "atlas.json",
        "schema version, package version, configuration, models with the SHA-256 of their weights, "
        "digest of the prompts, counts of imputed values, journal of stages",
        "create",
    ),
    "digests": Artefact(
        "digests.jsonl",
        "size and SHA-256 of each file, recorded when the file is written",
        "check",
        "check --write-digests",
        travels=False,
    ),
    "prompts": Artefact(
        "prompts.parquet",
        "prompts in the order of every table; `prompt_id` is the first 16 hex digits of the "
        "SHA-256 of the text; `meta` (if a prompt has labels) is a JSON object",
        "create",
        columns=("prompt_id", "text", "source"),
    ),
    "kept_prompts": Artefact(
        "kept-prompts.jsonl",
        "texts that you kept, then the prompts of the atlas; `motifs build --prompts` reads it",
        "user",
        page="explorer.md#your-own-text",
    ),
    "tokens": Artefact(
        "tokens/{model}.parquet",
        "tokens of each prompt",
        "extract",
        "extract",
        ("prompt_id", "token_ids", "tokens"),
        kept=True,
    ),
    "heads": Artefact(
        "heads.parquet",
        "one row per head: `depth` is 0 for the first layer and 1 for the last; behaviour scores "
        "and motif shares add columns",
        "extract",
        "extract",
        ("head", "model", "layer", "index", "depth", "classes"),
        kept=True,
    ),
    "classes": Artefact(
        "classes.json",
        "your own classes of heads",
        "user",
        "classes --file FILE --save",
        page="known-heads.md#your-own-classes",
    ),
    "features": Artefact(
        "features/{model}/part-{block:05d}.parquet",
        "one float32 column per feature; 16 prompts per part",
        "extract",
        "extract",
        ("head", "prompt_id", "n_tokens"),
        kept=True,
    ),
    "probes": Artefact(
        "probes.parquet",
        "probes in the order of every table, before they become tokens of a model",
        "probe",
        "probe",
        ("prompt_id", "source", "text", "repeats", "repeat_length"),
        page="distances.md#probes",
    ),
    "probe_sequences": Artefact(
        "probes/{model}/sequences.parquet",
        "tokens of each probe; `repeat_length`: number of tokens after which they repeat, 0 in "
        "probes of your own",
        "probe",
        "probe",
        ("prompt_id", "token_ids", "tokens", "repeat_length"),
        page="distances.md#probes",
        kept=True,
    ),
    "probe_features": Artefact(
        "probes/{model}/part-{block:05d}.parquet",
        "one float32 column per feature; 16 probes per part",
        "probe",
        "probe",
        ("head", "prompt_id", "n_tokens"),
        page="distances.md#probes",
        kept=True,
    ),
    "probe_patterns": Artefact(
        "probes/{model}/patterns/{prompt}.safetensors",
        "as `patterns/`, on a few probes",
        "probe",
        "probe",
        page="distances.md#probes",
        kept=True,
    ),
    "motif_shares": Artefact(
        "motif_shares/{model}/part-{block:05d}.parquet",
        "share of each motif in each pattern; they sum to 1",
        "shares",
        "shares",
        ("head", "prompt_id"),
        page="explain.md#motif-shares",
        kept=True,
    ),
    "embedding": Artefact(
        "embedding.safetensors",
        "the fitted pattern embedding: means, deviations, components",
        "embed",
        "embed --force",
    ),
    "embedding_settings": Artefact(
        "embedding.json", "columns and settings of the embedding", "embed", "embed --force"
    ),
    "block": Artefact(
        "blocks/{block}.safetensors",
        "a fitted block of the presets: quantiles per feature and length, whitening matrix",
        "embed",
        "embed --force",
        page="distances.md#presets",
    ),
    "block_settings": Artefact(
        "blocks/{block}.json",
        "columns and settings of the block",
        "embed",
        "embed --force",
        page="distances.md#presets",
    ),
    "embedded": Artefact(
        "embedded/{model}.parquet",
        "embedded patterns: `pc0`, `pc1` and so on",
        "embed",
        "embed --force",
        ("head", "prompt_id"),
    ),
    "block_clouds": Artefact(
        "blocks/{block}/{model}.parquet",
        "patterns in the space of the block: `w0`, `w1` and so on",
        "embed",
        "embed --force",
        ("head", "prompt_id"),
        page="distances.md#presets",
    ),
    "distances": Artefact(
        "distances/{metric}.npy",
        "float32, heads x heads, in the order of `heads.parquet`",
        "distances",
        "distances --metric {metric} --force",
    ),
    "neighbours": Artefact(
        "neighbours/{metric}/part-{part:05d}.safetensors",
        "instead of `distances/`, with more than 20,000 heads: the nearest heads of each head",
        "distances",
        "distances --metric {metric} --force",
        page="scale.md#many-heads",
    ),
    "neighbour_index": Artefact(
        "neighbours/{metric}/index.safetensors",
        "the index of heads, with more than 20,000 heads",
        "distances",
        "distances --metric {metric} --force",
        page="scale.md#many-heads",
    ),
    "head_clouds": Artefact(
        "neighbours/clouds-{space}.npy",
        "clouds of all heads, one head after the other, with more than 20,000 heads",
        "distances",
        "distances --metric {metric} --force",
        page="scale.md#many-heads",
    ),
    "projections": Artefact(
        "projections.parquet",
        "one row per head and projection; `scope` is a model or `all`",
        "project",
        "project --force",
        (
            "head",
            "scope",
            "method",
            "n_neighbors",
            "n_components",
            "x",
            "y",
            "z",
            "trustworthiness",
            "continuity",
            "n_pieces",
            "note",
        ),
        "maps.md",
    ),
    "labels": Artefact(
        "clusters/labels.parquet",
        "one column of cluster numbers per clustering; -1: in no cluster",
        "cluster",
        "cluster",
        ("head",),
        "maps.md#clusters",
        kept=True,
    ),
    "cluster_names": Artefact(
        "clusters/names.json",
        "names that you gave to clusters",
        "user",
        page="maps.md#composition-and-names",
    ),
    "clusters": Artefact(
        "clusters/{method}.json",
        "parameters, clusters with their heads, and stability",
        "cluster",
        "cluster --method {method}",
        page="maps.md#clusters",
        kept=True,
    ),
    "linkage": Artefact(
        "clusters/linkage-{method}.npy",
        "the tree of a hierarchical method, in scipy's form",
        "cluster",
        "cluster --method {method}",
        page="maps.md#clusters",
        kept=True,
    ),
    "label_scores": Artefact(
        "label-scores/{model}/{kind}.parquet",
        "behaviour scores per head and label sequence, for the evaluation; `prompts` are the "
        "scores on prompts of the atlas",
        "evaluate",
        "evaluate",
        ("head", "sequence"),
        "evaluation.md#labels",
        kept=True,
    ),
    "evaluation": Artefact(
        "evaluation.json",
        "answer, headline and every row of `motifs evaluate`",
        "evaluate",
        "evaluate",
        page="evaluation.md",
        kept=True,
    ),
    "patterns": Artefact(
        "patterns/{model}/{prompt}.safetensors",
        "`triangles`, uint8 (layers, heads, n(n+1)/2): lower triangles, row by row, 255 times the "
        "square root of the entry",
        "extract",
        "extract",
        kept=True,
    ),
    "ablations": Artefact(
        "ablations.parquet",
        "effects of ablating heads: one row per head, set, control or test",
        "ablate",
        "ablate",
        page="ablation.md#the-table",
        kept=True,
    ),
    "ablation_parts": Artefact(
        "ablations/{model}/{inputs}/part-{part:05d}.parquet",
        "measurements sequence by sequence, so that a stopped sweep continues",
        "ablate",
        "ablate",
        kept=True,
    ),
    "figures": Artefact("figures", "figures", "figures", "figures", travels=False),
    "site": Artefact(
        "site",
        "the explorer, for any static host",
        "site",
        "site",
        page="explorer.md",
        travels=False,
    ),
}
"""Every file of an atlas by a short name, in the order of docs/atlas.md."""
