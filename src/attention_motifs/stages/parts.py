"""Parts of a model's features: the features of one block of prompts or probes, whole or absent.

A part depends on the configuration and the stimuli of the atlas, on the model and on the number of
the block alone, so that any process can make parts in any order.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas import BLOCK_SIZE, Atlas
from attention_motifs.atlas.stimuli import N_VIEW_PROBES, PROBES, PROMPTS, Stimuli
from attention_motifs.errors import AtlasError
from attention_motifs.features import compute_features, feature_names
from attention_motifs.features.compute import available_cores
from attention_motifs.features.threads import cores_of_pass
from attention_motifs.progress import Advance, Report, silent
from attention_motifs.stages.disk import require_disk
from attention_motifs.stages.heads import heads_of
from attention_motifs.stages.motif_parts import BlockShares, write_shares
from attention_motifs.stages.same_model import name_of
from attention_motifs.store import files
from attention_motifs.store.manifest import IMPORTED, ModelRecord
from attention_motifs.store.packed_patterns import pack_triangles

if TYPE_CHECKING:
    import polars as pl
    from jaxtyping import Float, Int, UInt8

    from attention_motifs.extraction import ModelIdentity

    Identity = ModelRecord | ModelIdentity

Sink = Callable[..., None]
"""Takes a layer, the positions of the prompts in the block, and patterns (B, H, n, n). Probes are
treated as prompts are. Of some heads at a time, it also takes the number of the first of them."""


@dataclass(frozen=True)
class PatternSource:
    """Source of the patterns of one model on the prompts of an atlas."""

    model: str
    info: ModelRecord
    """Record for the manifest."""
    tokens: Sequence[tuple[tuple[int, ...], tuple[str, ...]]]
    """Ids and texts of the tokens, per prompt."""
    run_block: Callable[[Sequence[int], Sink], None]
    """Passes the patterns of these prompts (positions in the atlas) to the sink."""
    run_heads: Callable[[Sequence[int], Sink], None] | None = None
    """As `run_block`, for some heads at a time; None where a source has whole layers."""
    stimuli: Stimuli = PROMPTS
    repeat_lengths: Sequence[int] = ()
    """Per probe: number of tokens after which it repeats, or 0; empty for prompts."""

    def run(self, positions: Sequence[int], sink: Sink) -> None:
        """Pass the patterns of these prompts to the sink, of as few heads at a time as it can."""
        (self.run_heads or self.run_block)(positions, sink)


def extract_from(
    atlas: Atlas, source: PatternSource, *, report: Report = silent, added: bool = False
) -> None:
    """Write the tokens, features and viewing patterns of one model, part by part.

    Args:
        atlas: the caller holds its lock.
        source: patterns of the model.
        report: shows progress.
        added: whether the model is placed in an embedding that was fitted without it.
    """
    begin_model(atlas, source)
    warn_of_prompts(atlas, source.model)
    title = f"patterns and features of {source.model}"
    with report(title, int(atlas.manifest.prompts["n"])) as advance:
        for block in range(atlas.n_blocks):
            write_part(atlas, source, block)
            advance(len(positions_of(atlas, block)))
    finish_model(atlas, source.model, source.info, added=added)


def begin_model(atlas: Atlas, source: PatternSource) -> None:
    """Write the tokens of a model's prompts.

    Raises:
        ResourceError: if the disk is too small for the patterns and features of the model.
    """
    import polars as pl

    require_disk(atlas, source.model, source.info, [len(ids) for ids, _ in source.tokens],
                 source.stimuli)  # fmt: skip
    table = pl.DataFrame(
        {
            "prompt_id": ids_of(atlas, source.stimuli),
            "token_ids": [list(ids) for ids, _ in source.tokens],
            "tokens": [list(texts) for _, texts in source.tokens],
        }
    )
    if source.stimuli is PROBES:
        table = table.with_columns(
            pl.Series("repeat_length", source.repeat_lengths, dtype=pl.Int32)
        )
    files.write_parquet(atlas.file(source.stimuli.tokens, model=source.model), table)


def finish_probes(atlas: Atlas, model: str, info: ModelRecord) -> None:
    """Record that a model was run on the probes, after all of these parts are written."""
    atlas.finish(PROBES.journal(model), extract_inputs(atlas, info, PROBES))


def finish_model(atlas: Atlas, model: str, info: ModelRecord, *, added: bool = False) -> None:
    """Record a model in the manifest, after all of its parts on prompts are written."""
    models = {**atlas.manifest.models, model: replace(info, added=added)}
    if model not in atlas.manifest.models and not added:
        models = _in_configured_order(atlas, models)
    atlas.update(
        models=models,
        stages={**atlas.manifest.stages, f"extract:{model}": extract_inputs(atlas, info)},
    )


def _in_configured_order(atlas: Atlas, models: dict[str, ModelRecord]) -> dict[str, ModelRecord]:
    """Return records in the order of the configuration, in whatever order workers finish."""
    configuration = atlas.manifest.configuration
    if configuration.prompts == IMPORTED:
        return models
    names = [name_of(model) for model in configuration.models]
    rank = {name: i for i, name in enumerate(names)}
    return dict(sorted(models.items(), key=lambda item: rank.get(item[0], len(rank))))


def write_part(
    atlas: Atlas, source: PatternSource, block: int, advance: Advance | None = None
) -> None:
    """Write one part of a model's features, unless it is complete and of the same inputs.

    The part is written after its viewing patterns and motif shares, so that it stands for all.

    Args:
        atlas: the atlas to write to.
        source: patterns of the model.
        block: number of the block of prompts or probes, from 0.
        advance: called with the number of prompts, divided by that of the layers, after each layer
            of a pass; from any thread.
    """
    stimuli = source.stimuli
    inputs = extract_inputs(atlas, source.info, stimuli)
    if _block_is_complete(atlas, source.model, block, inputs, stimuli):
        return
    positions = positions_of(atlas, block, stimuli)
    prompt_ids = ids_of(atlas, stimuli)[positions.start : positions.stop]
    lengths = [len(source.tokens[position][0]) for position in positions]
    sets = list(atlas.manifest.configuration.feature_sets)
    view = set(_view_ids(atlas, stimuli))
    shape = len(source.info.layers), source.info.n_heads
    with contextlib.ExitStack() as written:
        # Filled layer by layer on the disk: of long prompts they would be most of the memory.
        triangles = {
            i: written.enter_context(
                files.mapped_bytes(
                    atlas.file(stimuli.patterns, model=source.model, prompt=prompt_id),
                    "triangles",
                    (*shape, lengths[i] * (lengths[i] + 1) // 2),
                    {"n_tokens": str(lengths[i])},
                )
            )
            for i, prompt_id in enumerate(prompt_ids)
            if prompt_id in view
        }
        shares = None
        if stimuli is PROMPTS:
            shares = BlockShares([source.tokens[i] for i in positions], source.info)
        features = _features(source, positions, sets, triangles, shares, advance)
    if shares is not None:
        write_shares(atlas, source.info, block, prompt_ids, shares.shares, inputs)
    table = _part_table(source.info, prompt_ids, lengths, features, feature_names(sets))
    files.write_parquet(
        atlas.file(stimuli.features, model=source.model, block=block), table, {"inputs": inputs}
    )


def _features(
    source: PatternSource,
    positions: Sequence[int],
    sets: list[str],
    triangles: Mapping[int, UInt8[np.ndarray, "layers heads entries"]],
    shares: BlockShares | None,
    advance: Advance | None,
) -> Float[np.ndarray, "prompts layers heads features"]:
    """Compute the features of these prompts, and fill `triangles` and `shares`."""
    row_of_layer, n_heads = source.info.row_of_layer, source.info.n_heads
    n_features = len(feature_names(sets))
    features = np.empty((len(positions), len(row_of_layer), n_heads, n_features), dtype=np.float32)

    def sink(layer: int, indices: Sequence[int], patterns: Any, first_head: int = 0) -> None:
        threads = cores_of_pass(available_cores())
        flat, end = patterns.reshape(-1, *patterns.shape[-2:]), first_head + patterns.shape[1]
        texts = [source.tokens[positions[i]][1] for i in indices for _ in range(patterns.shape[1])]
        rows = to_numpy(compute_features(flat, sets, tokens=texts, threads=threads))
        at = row_of_layer[layer]
        shape = len(indices), patterns.shape[1], -1
        features[np.asarray(indices), at, first_head:end] = rows.reshape(shape)
        for row, i in enumerate(indices):
            if shares is None and i not in triangles:
                continue
            # One copy from the device; then head by head, since packing needs several times the
            # memory of what it packs.
            of_prompt = to_numpy(patterns[row])
            if shares is not None:
                shares.take(layer, i, of_prompt, threads, first_head)
            if i in triangles:
                for head, pattern in enumerate(of_prompt, first_head):
                    triangles[i][at, head] = pack_triangles(pattern)
        if advance is not None and end == n_heads:
            advance(len(indices) / len(row_of_layer))

    source.run(positions, sink)
    return features


def _part_table(
    info: ModelRecord,
    prompt_ids: Sequence[str],
    lengths: Sequence[int],
    features: Float[np.ndarray, "prompts layers heads features"],
    names: Sequence[str],
) -> pl.DataFrame:
    import polars as pl

    heads = [str(head) for head in heads_of(info)]
    keys = pl.DataFrame(
        {
            "head": heads * len(prompt_ids),
            "prompt_id": [p for p in prompt_ids for _ in heads],
            "n_tokens": pl.Series([n for n in lengths for _ in heads], dtype=pl.Int32),
        }
    )
    values = pl.DataFrame(features.reshape(-1, len(names)), schema=list(names), orient="row")
    return keys.hstack(values)


def to_numpy(array: Any) -> np.ndarray[Any, Any]:
    """Return an array, or a tensor on any device, as a numpy array of float32."""
    if hasattr(array, "detach"):
        array = array.detach().float().cpu().numpy()
    return np.asarray(array, dtype=np.float32)


def ids_of(atlas: Atlas, stimuli: Stimuli) -> list[str]:
    """Return the ids of the prompts, or of the probes, in the order of every table."""
    table = atlas.prompts if stimuli is PROMPTS else atlas.probes
    ids: list[str] = table["prompt_id"].to_list()
    return ids


def _view_ids(atlas: Atlas, stimuli: Stimuli) -> list[str]:
    return atlas.view_prompts() if stimuli is PROMPTS else atlas.view_probes()


def is_extracted(atlas: Atlas, model: str, stimuli: Stimuli = PROMPTS) -> bool:
    """Return whether a model is in the manifest and its files are present and readable."""
    info = atlas.manifest.models.get(model)
    return (
        info is not None
        and atlas.is_finished(stimuli.journal(model), extract_inputs(atlas, info, stimuli))
        and _metadata(atlas.file(stimuli.tokens, model=model)) is not None
        and not missing_parts(atlas, model, info, stimuli)
    )


def missing_parts(
    atlas: Atlas, model: str, info: Identity, stimuli: Stimuli = PROMPTS
) -> dict[int, range]:
    """Return the blocks whose part is absent, damaged or of other inputs.

    Args:
        atlas: read, not written.
        model: name of the model.
        info: digests and dtype of the model, as in the manifest.
        stimuli: prompts or probes.

    Returns:
        Positions in the atlas of the prompts of each block.
    """
    inputs = extract_inputs(atlas, info, stimuli)
    return {
        block: positions_of(atlas, block, stimuli)
        for block in range(-(-stimuli.count(atlas.manifest) // BLOCK_SIZE))
        if not _block_is_complete(atlas, model, block, inputs, stimuli)
    }


def positions_of(atlas: Atlas, block: int, stimuli: Stimuli = PROMPTS) -> range:
    """Return the positions in the atlas of a block's prompts."""
    n = stimuli.count(atlas.manifest)
    return range(block * BLOCK_SIZE, min((block + 1) * BLOCK_SIZE, n))


def _block_is_complete(atlas: Atlas, model: str, block: int, inputs: str, stimuli: Stimuli) -> bool:
    """Return whether a part is readable and of these inputs, with its viewing patterns."""
    metadata = _metadata(atlas.file(stimuli.features, model=model, block=block))
    if metadata is None or metadata.get("inputs") != inputs:
        return False
    positions = positions_of(atlas, block, stimuli)
    in_block = set(ids_of(atlas, stimuli)[positions.start : positions.stop])
    return all(
        atlas.file(stimuli.patterns, model=model, prompt=prompt_id).is_file()
        for prompt_id in _view_ids(atlas, stimuli)
        if prompt_id in in_block
    )


def _metadata(path: files.Location) -> dict[str, str] | None:
    """Return the metadata of a Parquet file; None if it is absent or damaged."""
    try:
        return files.parquet_metadata(path)
    except AtlasError:
        return None


def extract_inputs(atlas: Atlas, info: Identity, stimuli: Stimuli = PROMPTS) -> str:
    """Return the digest of everything that the features of a model depend on."""
    configuration = atlas.manifest.configuration
    inputs = {
        **({} if info.config_sha256 is None else {"config": info.config_sha256}),
        "weights": info.weights_sha256,
        "tokenizer": info.tokenizer_sha256,
        "bos": configuration.bos,
        "dtype": info.dtype or configuration.dtype,  # imported patterns have no dtype
        "features": feature_names(list(configuration.feature_sets)),
    }
    if stimuli is PROMPTS:
        of_stimuli = {
            "prompts": atlas.manifest.prompts["sha256"],
            "max_tokens": configuration.max_tokens,
            "n_view_prompts": configuration.n_view_prompts,
        }
    else:
        of_stimuli = {
            "probes": atlas.manifest.probes["sha256"],
            "probe_tokens": configuration.probe_tokens,
            "probe_seed": configuration.probe_seed,
            "n_view": min(N_VIEW_PROBES, configuration.n_view_prompts),
            "version": 1,
        }
    return files.digest({**inputs, **of_stimuli})


def warn_of_prompts(atlas: Atlas, model: str) -> None:
    """Warn of prompts of different lengths, and of prompts that are equal after the cut."""
    token_ids: list[list[int]] = atlas.tokens(model)["token_ids"].to_list()
    lengths = {len(ids) for ids in token_ids}
    configuration = atlas.manifest.configuration
    if len(lengths) > 1 and not configuration.length_bins:
        warnings.warn(
            f"{model}: prompts have {min(lengths)} to {max(lengths)} tokens, and patterns of "
            "different lengths are far apart in the embedding. Use a smaller --max-tokens, longer "
            "prompts, or --length-bins",
            stacklevel=2,
        )
    n_repeats = len(token_ids) - len(set(map(tuple, token_ids)))
    if n_repeats and -1 not in token_ids[0]:  # imported patterns come without ids
        warnings.warn(
            f"{model}: {n_repeats} of {len(token_ids)} prompts are the same as an earlier prompt "
            f"in their first {configuration.max_tokens} tokens, so they are no independent "
            "evidence. Use a larger --max-tokens, or other prompts",
            stacklevel=2,
        )


def distinct_prompts(
    atlas: Atlas, models: Sequence[str] | None = None
) -> Int[np.ndarray, " distinct"]:
    """Return the positions of the prompts that differ, for some model, from all earlier ones.

    Prompts that are the same up to `max_tokens` are no independent evidence.

    Args:
        atlas: the atlas.
        models: names of models whose tokens are compared; default: all.
    """
    names = atlas.models if models is None else models
    columns = [atlas.tokens(model)["token_ids"].to_list() for model in names]
    first: dict[Any, int] = {}
    for position, rows in enumerate(zip(*columns, strict=True)):
        known = not any(-1 in row for row in rows)  # imported patterns come without ids
        first.setdefault(tuple(map(tuple, rows)) if known else position, position)
    return np.array(list(first.values()), dtype=np.int64)
