"""Models and prompts to features: the stage `extract`, one part at a time.

A part holds the features of one model on one block of prompts. It depends on the atlas's
configuration and prompts, the model and the number of the block alone, so that parts can be made in
any order and by any process: `distribute.extract_part` makes one from nothing but these.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas import BLOCK_SIZE, IMPORTED, Atlas
from attention_motifs.atlas.packed_patterns import pack_triangles
from attention_motifs.errors import AtlasError, InputError
from attention_motifs.features import compute_features, feature_names
from attention_motifs.features.compute import available_cores
from attention_motifs.head import HeadId, model_folder
from attention_motifs.progress import Report, silent
from attention_motifs.store import files
from attention_motifs.store.settings import Configuration

if TYPE_CHECKING:
    import polars as pl
    from jaxtyping import Float, UInt8

    from attention_motifs.executors import Executor
    from attention_motifs.models.model import LoadedModel
    from attention_motifs.models.tokenizing import TokenizedPrompt

Sink = Callable[[int, Sequence[int], Any], None]
"""Takes a layer, the positions of the prompts in the block, and patterns (B, H, n, n)."""


@dataclass(frozen=True)
class PatternSource:
    """Where the patterns of one model on the atlas's prompts come from."""

    model: str
    info: Mapping[str, Any]
    """As in the manifest; has at least n_layers, n_heads and weights_sha256."""
    tokens: Sequence[tuple[tuple[int, ...], tuple[str, ...]]]
    """Token ids and their texts, per prompt."""
    run_block: Callable[[Sequence[int], Sink], None]
    """Gives the patterns of these prompts (positions in the atlas) to the sink."""
    at_once: int = 1
    """Threads that `run_block` may call the sink from at the same time."""


def extract(
    atlas: Atlas,
    *,
    device: str = "auto",
    models: Sequence[str] | None = None,
    report: Report = silent,
    added: bool = False,
    executor: Executor | None = None,
) -> None:
    """Take the patterns of the models on the atlas's prompts, and their features.

    What is there already, with all feature sets of the atlas, is kept.

    Args:
        atlas: held by the caller's lock.
        device: `auto`, `cpu`, `cuda`...
        models: as the user names them; by default those of the configuration, and those that
            were added if their features are not complete.
        report: shows progress.
        added: whether these models are placed in an embedding that was fitted without them.
        executor: who makes the parts; by default this process. The parts are the same.

    Raises:
        ModelError, ResourceError: if a model cannot be had, loaded or trusted.
        InputError: if a prompt is shorter than two tokens.
        JobsFailedError: from an executor, if some parts could not be made; the others are there.
        AtlasError: if the atlas's patterns were imported: they cannot be taken again here.
    """
    from attention_motifs.models.sources import resolve

    if models is None and atlas.manifest.configuration.prompts == IMPORTED:
        raise AtlasError(f"{atlas.path}: its patterns were imported; {atlas.extract_command()}")
    missing = []
    for wanted in models or atlas.manifest.configuration.models:
        name = resolve(wanted).name
        _check_folder_is_free(atlas, name)
        if not is_extracted(atlas, name):
            missing.append(wanted)
    _extract_models(atlas, missing, device, executor, report, added=added)
    write_heads(atlas)
    if models is None:
        late = [
            wanted_model(atlas, name, atlas.extract_command(name))
            for name, info in atlas.manifest.models.items()
            if info.get("added") and not is_extracted(atlas, name)
        ]
        _extract_models(atlas, late, device, executor, report, added=True)


def _extract_models(
    atlas: Atlas,
    wanted: Sequence[str],
    device: str,
    executor: Executor | None,
    report: Report,
    *,
    added: bool,
) -> None:
    if executor is not None:
        from attention_motifs.stages.distribute import distribute

        distribute(atlas, wanted, executor, device=device, report=report, added=added)
        return
    for one in wanted:
        extract_from(atlas, model_source(atlas, one, device, report), report=report, added=added)


def wanted_model(atlas: Atlas, model: str, mend: str) -> str:
    """Return what a model was asked for by: local ones are found by their paths alone.

    Args:
        atlas: that holds it.
        model: its name.
        mend: how to tell the path, for the error.

    Raises:
        InputError: if it is a local one whose path the atlas does not tell.
    """
    from attention_motifs.models.sources import resolve

    for wanted in atlas.manifest.configuration.models:
        if wanted == model or wanted.startswith(f"{model}="):
            return wanted
        if "/" in wanted or "." in wanted:
            try:
                if resolve(wanted).name == model:
                    return wanted
            except InputError:  # the path is not there any more
                continue
    if atlas.manifest.models[model].get("kind") in {"folder", "gguf"}:
        raise InputError(f"{model}: where it lies is not known; {mend}")
    return model


def model_source(
    atlas: Atlas,
    wanted: str,
    device: str = "auto",
    report: Report = silent,
    *,
    dtype: str | None = None,
) -> PatternSource:
    """Load a model, and tokenize the atlas's prompts for it.

    Args:
        atlas: read, not written.
        wanted: the model as the user names it.
        device: `auto`, `cpu`, `cuda`...
        report: shows progress.
        dtype: by default what `dtype_in` gives.

    Raises:
        ModelError, ResourceError: if the model cannot be had, loaded or trusted.
        InputError: if a prompt is shorter than two tokens.
    """
    from attention_motifs.extraction import load_model
    from attention_motifs.models.sources import resolve
    from attention_motifs.models.tokenizing import tokenize

    configuration = atlas.manifest.configuration
    dtype = dtype or dtype_in(atlas, resolve(wanted).name)
    loaded = load_model(wanted, device=device, dtype=dtype, report=report)
    tokenized = tokenize(
        loaded,
        [(row["prompt_id"], row["text"]) for row in atlas.prompts.iter_rows(named=True)],
        max_tokens=configuration.max_tokens,
        bos=configuration.bos,
    )
    return source_of(loaded, tokenized, configuration)


def dtype_in(atlas: Atlas, model: str) -> str:
    """Return the dtype of a model in an atlas: the one it ran in before, else as asked for.

    `auto` is decided once, so that what is taken later, also elsewhere, belongs to the rest.
    """
    before: str | None = atlas.manifest.models.get(model, {}).get("dtype")
    return before or atlas.manifest.configuration.dtype


def source_of(
    loaded: LoadedModel, tokenized: Sequence[TokenizedPrompt], configuration: Configuration
) -> PatternSource:
    """Patterns of a loaded model on prompts that were tokenized for it.

    Raises:
        ResourceError: if a forward pass does not fit in memory.
    """
    from attention_motifs.extraction import for_each_layer, most_at_once
    from attention_motifs.models.tokenizing import first_token

    at_once = most_at_once(loaded, max((len(t.token_ids) for t in tokenized), default=2))
    # They end when the source is no longer held.
    threads = ThreadPoolExecutor(at_once, "attention-motifs pass")

    def run_block(positions: Sequence[int], sink: Sink) -> None:
        prompts = [tokenized[i] for i in positions]
        for_each_layer(loaded, prompts, sink, at_once=at_once, threads=threads)

    return PatternSource(
        loaded.info.name,
        {**loaded.info.to_json(), "bos": first_token(loaded, configuration.bos) is not None},
        [(t.token_ids, t.tokens) for t in tokenized],
        run_block,
        at_once,
    )


def extract_from(
    atlas: Atlas, source: PatternSource, *, report: Report = silent, added: bool = False
) -> None:
    """Write the tokens, features and viewing patterns of one model, part by part."""
    begin_model(atlas, source)
    with report(
        f"patterns and features of {source.model}", int(atlas.manifest.prompts["n"])
    ) as advance:
        for block in range(atlas.n_blocks):
            write_part(atlas, source, block)
            advance(len(_positions(atlas, block)))
    finish_model(atlas, source.model, source.info, added=added)


def begin_model(atlas: Atlas, source: PatternSource) -> None:
    """Write the tokens of a model's prompts; before its first part."""
    import polars as pl

    warn_of_mixed_lengths(atlas, source.model, [len(ids) for ids, _ in source.tokens])
    files.write_parquet(
        atlas.tokens_path(source.model),
        pl.DataFrame(
            {
                "prompt_id": atlas.prompts["prompt_id"],
                "token_ids": [list(ids) for ids, _ in source.tokens],
                "tokens": [list(texts) for _, texts in source.tokens],
            }
        ),
    )


def finish_model(atlas: Atlas, model: str, info: Mapping[str, Any], *, added: bool = False) -> None:
    """Note a model whose parts are all there in the manifest."""
    atlas.update(
        models={**atlas.manifest.models, model: {**info, "added": added}},
        stages={**atlas.manifest.stages, f"extract:{model}": _extract_inputs(atlas, info)},
    )


def write_part(atlas: Atlas, source: PatternSource, block: int) -> None:
    """Make one part of a model's features, unless it is there, complete and of the same inputs.

    The part is written last, after its patterns for viewing, so that it stands for all.
    """
    inputs = _extract_inputs(atlas, source.info)
    if _block_is_complete(atlas, source.model, block, inputs):
        return
    positions = _positions(atlas, block)
    prompt_ids = atlas.prompts["prompt_id"][positions.start : positions.stop].to_list()
    lengths = [len(source.tokens[position][0]) for position in positions]
    sets = list(atlas.manifest.configuration.feature_sets)
    view = set(atlas.view_prompts())
    n_layers, n_heads = int(source.info["n_layers"]), int(source.info["n_heads"])
    with contextlib.ExitStack() as written:
        # Filled layer by layer on the disk: of long prompts they would be most of the memory.
        triangles = {
            i: written.enter_context(
                files.mapped_bytes(
                    atlas.patterns_path(source.model, prompt_id),
                    "triangles",
                    (n_layers, n_heads, lengths[i] * (lengths[i] + 1) // 2),
                    {"n_tokens": str(lengths[i])},
                )
            )
            for i, prompt_id in enumerate(prompt_ids)
            if prompt_id in view
        }
        features = _take(source, positions, sets, triangles)
    table = _part_table(source.model, prompt_ids, lengths, features, feature_names(sets))
    files.write_parquet(atlas.part_path(source.model, block), table, {"inputs": inputs})


def _take(
    source: PatternSource,
    positions: Sequence[int],
    sets: list[str],
    triangles: Mapping[int, UInt8[np.ndarray, "layers heads entries"]],
) -> Float[np.ndarray, "prompts layers heads features"]:
    """Features of these prompts; `triangles` are filled with the packed patterns of theirs."""
    n_layers, n_heads = int(source.info["n_layers"]), int(source.info["n_heads"])
    n_features = len(feature_names(sets))
    features = np.empty((len(positions), n_layers, n_heads, n_features), dtype=np.float32)
    threads = max(1, available_cores() // source.at_once)

    def sink(layer: int, indices: Sequence[int], patterns: Any) -> None:
        flat = patterns.reshape(-1, *patterns.shape[-2:])
        rows = _to_numpy(compute_features(flat, sets, threads=threads))
        features[np.asarray(indices), layer] = rows.reshape(len(indices), n_heads, -1)
        for row, i in enumerate(indices):
            if i in triangles:
                # One copy from the device; then head by head, since packing needs several times
                # the memory of what it packs.
                for head, pattern in enumerate(_to_numpy(patterns[row])):
                    triangles[i][layer, head] = pack_triangles(pattern)

    source.run_block(positions, sink)
    return features


def _part_table(
    model: str,
    prompt_ids: Sequence[str],
    lengths: Sequence[int],
    features: Float[np.ndarray, "prompts layers heads features"],
    names: Sequence[str],
) -> pl.DataFrame:
    import polars as pl

    n_prompts, n_layers, n_heads, _ = features.shape
    heads = [str(head) for head in _heads_of(model, n_layers, n_heads)]
    keys = pl.DataFrame(
        {
            "head": heads * n_prompts,
            "prompt_id": [p for p in prompt_ids for _ in heads],
            "n_tokens": pl.Series([n for n in lengths for _ in heads], dtype=pl.Int32),
        }
    )
    values = pl.DataFrame(features.reshape(-1, len(names)), schema=list(names), orient="row")
    return keys.hstack(values)


def _heads_of(model: str, n_layers: int, n_heads: int) -> list[HeadId]:
    return [HeadId(model, layer, i) for layer in range(n_layers) for i in range(n_heads)]


def is_extracted(atlas: Atlas, model: str) -> bool:
    """Whether the stage was finished for a model and its files are still there and whole."""
    info = atlas.manifest.models.get(model)
    if info is None:
        return False
    inputs = _extract_inputs(atlas, info)
    return (
        atlas.is_finished(f"extract:{model}", inputs)
        and _metadata(atlas.tokens_path(model)) is not None
        and not missing_parts(atlas, model, info)
    )


def missing_parts(atlas: Atlas, model: str, info: Mapping[str, Any]) -> dict[int, range]:
    """Blocks whose part is not there, not whole or of other inputs, with the prompts' positions.

    Args:
        atlas: begun for the model.
        model: its name.
        info: what the manifest says of it, or will say.
    """
    inputs = _extract_inputs(atlas, info)
    return {
        block: _positions(atlas, block)
        for block in range(atlas.n_blocks)
        if not _block_is_complete(atlas, model, block, inputs)
    }


def _positions(atlas: Atlas, block: int) -> range:
    """Positions in the atlas of a block's prompts."""
    n_prompts = int(atlas.manifest.prompts["n"])
    return range(block * BLOCK_SIZE, min((block + 1) * BLOCK_SIZE, n_prompts))


def _block_is_complete(atlas: Atlas, model: str, block: int, inputs: str) -> bool:
    """Whether the part is readable and from the same inputs, and its viewing patterns are there.

    Else the block is made anew.
    """
    told = _metadata(atlas.part_path(model, block))
    ids = atlas.view_prompts()[slice(_positions(atlas, block).start, _positions(atlas, block).stop)]
    return (
        told is not None
        and told.get("inputs") == inputs
        and all(atlas.patterns_path(model, prompt_id).is_file() for prompt_id in ids)
    )


def _metadata(path: Path) -> dict[str, str] | None:
    """Metadata of a Parquet file; None if it is not there or not whole."""
    try:
        return files.parquet_metadata(path, "")
    except AtlasError:
        return None


def _extract_inputs(atlas: Atlas, info: Mapping[str, Any]) -> str:
    """Digest of all that the features of a model depend on."""
    configuration = atlas.manifest.configuration
    return files.digest(
        {
            "weights": info["weights_sha256"],
            "tokenizer": info.get("tokenizer_sha256"),
            "prompts": atlas.manifest.prompts["sha256"],
            "max_tokens": configuration.max_tokens,
            "bos": configuration.bos,
            "dtype": info.get("dtype") or configuration.dtype,  # patterns that came without a model
            "features": feature_names(list(configuration.feature_sets)),
            "n_view_prompts": configuration.n_view_prompts,
        }
    )


def _check_folder_is_free(atlas: Atlas, name: str) -> None:
    for other in atlas.manifest.models:
        if other != name and model_folder(other) == model_folder(name):
            raise InputError(
                f"models {other!r} and {name!r} would share the folder {model_folder(name)}; "
                "give one another name with NAME=PATH"
            )


def warn_of_mixed_lengths(atlas: Atlas, model: str, n_tokens: Sequence[int]) -> None:
    """Patterns of one head at different lengths sit apart (docs/mathematics.md)."""
    import warnings

    lengths = set(n_tokens)
    if len(lengths) > 1 and not atlas.manifest.configuration.length_bins:
        warnings.warn(
            f"{model}: prompts have {min(lengths)} to {max(lengths)} tokens, and patterns "
            "of different lengths sit apart in the embedding; use a smaller --max-tokens, longer "
            "prompts, or --length-bins",
            stacklevel=3,
        )


def _to_numpy(array: Any) -> np.ndarray[Any, Any]:
    """Array or tensor on any device as a numpy array of float32."""
    if hasattr(array, "detach"):
        array = array.detach().float().cpu().numpy()
    return np.asarray(array, dtype=np.float32)


def write_heads(atlas: Atlas) -> None:
    """Write `heads.parquet`; columns that later stages added are kept for heads still there."""
    import polars as pl

    from attention_motifs.literature import classes_of

    tables = []
    own = atlas.own_classes
    for model, info in atlas.manifest.models.items():
        heads = _heads_of(model, int(info["n_layers"]), int(info["n_heads"]))
        last = max(int(info["n_layers"]) - 1, 1)
        tables.append(
            pl.DataFrame(
                {
                    "head": [str(h) for h in heads],
                    "model": [model] * len(heads),
                    "layer": pl.Series([h.layer for h in heads], dtype=pl.Int32),
                    "index": pl.Series([h.index for h in heads], dtype=pl.Int32),
                    "depth": pl.Series([h.layer / last for h in heads], dtype=pl.Float32),
                    "classes": pl.Series(classes_of(heads, own), dtype=pl.List(pl.String)),
                }
            )
        )
    table = pl.concat(tables)
    if atlas.heads_path.is_file():
        old = atlas.heads
        later = [name for name in old.columns if name not in table.columns]
        table = table.join(old.select("head", *later), on="head", how="left", maintain_order="left")
        if table.equals(old):
            return
    atlas.write_heads(table)
