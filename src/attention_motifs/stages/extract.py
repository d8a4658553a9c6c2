"""Models and prompts to features: the stage `extract`, one part at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs import files
from attention_motifs.atlas import BLOCK_SIZE, IMPORTED, Atlas
from attention_motifs.errors import AtlasError, InputError
from attention_motifs.features import compute_features, feature_names
from attention_motifs.head import HeadId, model_folder
from attention_motifs.progress import Report, silent
from attention_motifs.triangles import pack_triangles

if TYPE_CHECKING:
    import polars as pl
    from jaxtyping import Float

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


def extract(
    atlas: Atlas,
    *,
    device: str = "auto",
    models: Sequence[str] | None = None,
    report: Report = silent,
    added: bool = False,
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

    Raises:
        ModelError, ResourceError: if a model cannot be had, loaded or trusted.
        InputError: if a prompt is shorter than two tokens.
        AtlasError: if the atlas's patterns were imported: they cannot be taken again here.
    """
    from attention_motifs.extraction import resolve

    if models is None and atlas.manifest.configuration.prompts == IMPORTED:
        raise AtlasError(f"{atlas.path}: its patterns were imported; {atlas.extract_command()}")
    for wanted in models or atlas.manifest.configuration.models:
        name = resolve(wanted).name
        _check_folder_is_free(atlas, name)
        if not is_extracted(atlas, name):
            source = _model_source(atlas, wanted, device, report)
            extract_from(atlas, source, report=report, added=added)
    write_heads(atlas)
    for name, info in list(atlas.manifest.models.items()) if models is None else ():
        if info.get("added") and not is_extracted(atlas, name):
            wanted = wanted_model(atlas, name, atlas.extract_command(name))
            source = _model_source(atlas, wanted, device, report)
            extract_from(atlas, source, report=report, added=True)


def wanted_model(atlas: Atlas, model: str, mend: str) -> str:
    """Return what a model was asked for by: local ones are found by their paths alone.

    Args:
        atlas: that holds it.
        model: its name.
        mend: how to tell the path, for the error.

    Raises:
        InputError: if it is a local one whose path the atlas does not tell.
    """
    from attention_motifs.extraction import resolve

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


def _model_source(atlas: Atlas, wanted: str, device: str, report: Report) -> PatternSource:
    from attention_motifs.extraction import first_token, for_each_layer, load_model, tokenize

    configuration = atlas.manifest.configuration
    loaded = load_model(wanted, device=device, dtype=configuration.dtype, report=report)
    tokenized = tokenize(
        loaded,
        [(row["prompt_id"], row["text"]) for row in atlas.prompts.iter_rows(named=True)],
        max_tokens=configuration.max_tokens,
        bos=configuration.bos,
    )

    def run_block(positions: Sequence[int], sink: Sink) -> None:
        for_each_layer(loaded, [tokenized[i] for i in positions], sink)

    return PatternSource(
        loaded.info.name,
        {**loaded.info.to_json(), "bos": first_token(loaded, configuration.bos) is not None},
        [(t.token_ids, t.tokens) for t in tokenized],
        run_block,
    )


def extract_from(
    atlas: Atlas, source: PatternSource, *, report: Report = silent, added: bool = False
) -> None:
    """Write the tokens, features and viewing patterns of one model, part by part."""
    import polars as pl

    prompt_ids: list[str] = atlas.prompts["prompt_id"].to_list()
    inputs = _extract_inputs(atlas, source.info)
    _warn_of_mixed_lengths(atlas, source)
    files.write_parquet(
        atlas.tokens_path(source.model),
        pl.DataFrame(
            {
                "prompt_id": prompt_ids,
                "token_ids": [list(ids) for ids, _ in source.tokens],
                "tokens": [list(texts) for _, texts in source.tokens],
            }
        ),
    )
    with report(f"patterns and features of {source.model}", len(prompt_ids)) as advance:
        for block in range(atlas.n_blocks):
            positions = _positions(atlas, block)
            if not _block_is_complete(atlas, source.model, block, inputs):
                _extract_block(atlas, source, block, positions, prompt_ids, inputs)
            advance(len(positions))
    info = {**source.info, "added": added}
    atlas.update(
        models={**atlas.manifest.models, source.model: info},
        stages={**atlas.manifest.stages, f"extract:{source.model}": inputs},
    )


def _extract_block(
    atlas: Atlas,
    source: PatternSource,
    block: int,
    positions: Sequence[int],
    prompt_ids: Sequence[str],
    inputs: str,
) -> None:
    """Compute one block of prompts; its part is written last, so that it stands for all."""
    n_layers, n_heads = int(source.info["n_layers"]), int(source.info["n_heads"])
    sets = list(atlas.manifest.configuration.feature_sets)
    names = feature_names(sets)
    view = set(atlas.view_prompts())
    features = np.empty((len(positions), n_layers, n_heads, len(names)), dtype=np.float32)
    triangles = {
        i: [np.empty(0, dtype=np.uint8)] * n_layers
        for i, position in enumerate(positions)
        if prompt_ids[position] in view
    }

    def sink(layer: int, indices: Sequence[int], patterns: Any) -> None:
        flat = patterns.reshape(-1, *patterns.shape[-2:])
        rows = _to_numpy(compute_features(flat, sets))
        features[np.asarray(indices), layer] = rows.reshape(len(indices), n_heads, -1)
        for row, i in enumerate(indices):
            if i in triangles:
                triangles[i][layer] = pack_triangles(_to_numpy(patterns[row]))

    source.run_block(positions, sink)
    for i, layers in triangles.items():
        files.write_tensors(
            atlas.patterns_path(source.model, prompt_ids[positions[i]]),
            {"triangles": np.stack(layers)},
            {"n_tokens": str(len(source.tokens[positions[i]][0]))},
        )
    lengths = [len(source.tokens[position][0]) for position in positions]
    table = _part_table(source.model, [prompt_ids[p] for p in positions], lengths, features, names)
    files.write_parquet(atlas.part_path(source.model, block), table, {"inputs": inputs})


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
        and all(_block_is_complete(atlas, model, b, inputs) for b in range(atlas.n_blocks))
    )


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
            "dtype": configuration.dtype,
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


def _warn_of_mixed_lengths(atlas: Atlas, source: PatternSource) -> None:
    """Patterns of one head at different lengths sit apart (docs/mathematics.md)."""
    import warnings

    lengths = {len(ids) for ids, _ in source.tokens}
    if len(lengths) > 1 and not atlas.manifest.configuration.length_bins:
        warnings.warn(
            f"{source.model}: prompts have {min(lengths)} to {max(lengths)} tokens, and patterns "
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
