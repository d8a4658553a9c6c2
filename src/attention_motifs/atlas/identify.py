"""Identification of heads: a pattern in, the heads of an atlas that it may be from out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas.queries import by_prompt
from attention_motifs.errors import AtlasError, InputError
from attention_motifs.evaluation.identify import MIN_PROMPTS
from attention_motifs.features import compute_features, feature_names
from attention_motifs.features.arguments import whole_number

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int, UInt8

    from attention_motifs.atlas.folder import AtlasFolder
    from attention_motifs.evaluation import HeadIdentifier, IdentifiedPattern
    from attention_motifs.head import HeadId

FEATURE_SETS = ("extended", "paper")
"""Feature sets of an atlas that heads are identified by; it needs one of them."""

_MAX_VALUES = 1 << 25
"""Features read at most (prompts x heads x features); more prompts change little."""

_LEAST_PROMPTS = 16

CUT_BELOW = 0.85
"""Share of the shortest prompt's length below which a pattern is compared with cut patterns."""


def fit_identifier(
    atlas: AtlasFolder,
    *,
    n_tokens: int | None = None,
    without_prompt: str | None = None,
    whole_models: bool = False,
) -> HeadIdentifier:
    """Fit the identification of the heads of an atlas; nothing is written.

    Heads are known by their features on the prompts. For much shorter patterns they are known by
    the patterns kept for viewing, cut to that length, if there are three or more: features depend
    on the length, and fewer patterns of the right length identify better than many of another.

    Args:
        atlas: with its features.
        n_tokens: length of the patterns to be identified (default: that of the prompts).
        without_prompt: id of a prompt to leave out, whose patterns are to be identified.
        whole_models: whether all heads of a model will be identified together.

    Returns:
        The fitted identification. In an atlas of very many heads it is fitted on the first
        prompts, which are a random sample.

    Raises:
        InputError: if there are fewer than three other prompts.
        AtlasError: if the atlas lacks the features, or a part is missing or damaged.
    """
    from attention_motifs.evaluation import HeadIdentifier

    columns = identifying_features(atlas)
    ids: list[str] = atlas.prompts["prompt_id"].to_list()
    n_read = max(_LEAST_PROMPTS, _MAX_VALUES // max(1, len(atlas.heads) * len(columns)))
    keep = np.array([i for i, name in enumerate(ids[:n_read]) if name != without_prompt], dtype=int)
    parts = [_of_prompts(atlas, model, columns, keep) for model in atlas.models]
    if n_tokens is not None and n_tokens < CUT_BELOW * min(n.min() for _, n in parts):
        viewed = [name for name in atlas.view_prompts() if name != without_prompt]
        if len(viewed) >= MIN_PROMPTS:
            cut = [
                features_of_cut(atlas, model, columns, viewed, n_tokens) for model in atlas.models
            ]
            parts = [(values, np.full(len(values), n_tokens)) for values in cut]
    features, lengths = zip(*parts, strict=True)
    heads = atlas.heads["head"].to_list()
    return HeadIdentifier.fit(features, lengths, heads, columns, centred=whole_models)


def _of_prompts(
    atlas: AtlasFolder, model: str, columns: Sequence[str], keep: Int[np.ndarray, " kept"]
) -> tuple[Float[np.ndarray, "kept heads features"], Int[np.ndarray, " kept"]]:
    """Return the features of a model on some prompts, and their lengths in tokens."""
    values, lengths, n = [], [], 0
    for part in atlas.feature_parts(model, columns):
        of_part, tokens_of_part = by_prompt(atlas, model, part, columns)
        values.append(of_part)
        lengths.append(tokens_of_part)
        n += len(of_part)
        if not len(keep) or n > keep[-1]:
            break
    return np.concatenate(values)[keep], np.concatenate(lengths)[keep]


def features_of_cut(
    atlas: AtlasFolder, model: str, columns: Sequence[str], viewed: Sequence[str], n_tokens: int
) -> Float[np.ndarray, "viewed heads features"]:
    """Return the features of a model's patterns kept for viewing, cut to a length."""
    features = []
    for prompt_id in viewed:
        packed = atlas.triangles(model, prompt_id)
        # The first rows of a packed triangle are the triangle of the first tokens.
        kept = packed.reshape(-1, packed.shape[-1])[:, : n_tokens * (n_tokens + 1) // 2]
        features.append(features_of_packed(kept, columns))
    return np.stack(features)


def features_of_packed(
    packed: UInt8[np.ndarray, "patterns entries"], columns: Sequence[str]
) -> Float[np.ndarray, "patterns features"]:
    """Return the features of packed patterns, whose rows are made to sum to 1 again."""
    from attention_motifs.store.packed_patterns import unpack_triangle

    patterns = unpack_triangle(packed)
    patterns /= np.maximum(patterns.sum(axis=2, keepdims=True), 1.0 / 255)
    return np.asarray(compute_features(patterns, columns))


def identifying_features(atlas: AtlasFolder) -> list[str]:
    """Return the features that the heads of an atlas are identified by.

    Raises:
        AtlasError: if the atlas has no models, or none of `FEATURE_SETS`.
    """
    if not atlas.models:
        raise AtlasError(f"{atlas.place}: has no patterns yet; run {atlas.paths.extract_command()}")
    sets = [name for name in FEATURE_SETS if name in atlas.manifest.configuration.feature_sets]
    if not sets:
        extract = atlas.paths.extract_command(sets=(FEATURE_SETS[0],))
        raise AtlasError(
            f"{atlas.place}: heads cannot be identified, since it has the features of neither "
            f"{' nor '.join(FEATURE_SETS)}; run {extract}"
        )
    return list(feature_names(sets))


def identify(
    atlas: AtlasFolder,
    patterns: Any,
    n: int = 5,
    *,
    models: str | Sequence[str] | None = None,
    identifier: HeadIdentifier | None = None,
) -> list[IdentifiedPattern]:
    """Return the heads that each pattern is most likely from.

    A pattern of more tokens than the prompts of the atlas is cut to their length: the first k rows
    and columns of a causal pattern are the pattern on the first k tokens.

    Args:
        atlas: with the features `extended` or `paper`, of three prompts or more.
        patterns: (n_tokens, n_tokens) or (B, n_tokens, n_tokens), a numpy array or a torch tensor:
            attention weights after the softmax, rows are queries. All heads of a model on one
            prompt, (layers, heads, n_tokens, n_tokens), are identified together, which is more
            accurate.
        n: number of heads to return per pattern.
        models: only heads of this model or these models (default: all of the atlas).
        identifier: result of `fit_identifier`, for repeated calls (default: fitted anew).

    Returns:
        One answer per pattern, in their order.

    Raises:
        InputError: if the values are no attention patterns, are not finite, or have fewer than two
            tokens; if a model is not in the atlas; if the atlas has fewer than three prompts.
        AtlasError: if the atlas lacks the features, or a part is missing or damaged.
    """
    whole_number(n, "n", least=1)
    candidates = _candidates(atlas, models)
    columns = identifying_features(atlas)
    checked = checked_patterns(patterns)
    whole = is_whole_model(patterns)
    fitted = identifier or fit_identifier(atlas, n_tokens=checked.shape[-1], whole_models=whole)
    if fitted.centred != whole:
        raise InputError(
            f"patterns have {np.ndim(patterns)} axes, which does not go with the identifier. Fit "
            f"it with whole_models={whole}"
        )
    cut = np.ascontiguousarray(checked[:, : fitted.longest, : fitted.longest])
    rows, n_tokens = compute_features(cut, columns), cut.shape[-1]
    return fitted.identify_all(rows, n_tokens, n=n, candidates=candidates)


def identify_on_prompt(
    atlas: AtlasFolder,
    head: str | HeadId,
    prompt_id: str,
    n: int = 5,
    *,
    models: str | Sequence[str] | None = None,
    identifier: HeadIdentifier | None = None,
) -> IdentifiedPattern:
    """Identify the head of a pattern of the atlas itself, from all other prompts.

    All heads of its model on this prompt are identified together.

    Args:
        atlas: as `identify`.
        head: the head whose pattern is asked about.
        prompt_id: id of a prompt of the atlas.
        n: number of heads to return.
        models: as `identify`.
        identifier: result of `fit_identifier` of whole models without this prompt (default: fitted
            anew).

    Returns:
        The answer.

    Raises:
        HeadNotFoundError: if the atlas does not hold the head.
        InputError: if the atlas does not hold the prompt; as `identify`.
        AtlasError: as `identify`.
    """
    from attention_motifs.atlas.folder import BLOCK_SIZE

    whole_number(n, "n", least=1)
    row = atlas.heads.row(atlas.head_index(head), named=True)
    ids: list[str] = atlas.prompts["prompt_id"].to_list()
    if prompt_id not in ids:
        raise InputError(
            f"prompt {prompt_id!r:.80} is not in {atlas.place}; list them with "
            f"{atlas.paths.command('prompts')}"
        )
    candidates = _candidates(atlas, models)
    columns = identifying_features(atlas)
    block, place = divmod(ids.index(prompt_id), BLOCK_SIZE)
    parts = list(atlas.feature_parts(row["model"], columns))
    values, n_tokens = by_prompt(atlas, row["model"], parts[block], columns)
    record = atlas.manifest.models[row["model"]]
    fitted = identifier or fit_identifier(atlas, without_prompt=prompt_id, whole_models=True)
    answers = fitted.identify_all(values[place], int(n_tokens[place]), n=n, candidates=candidates)
    layer, index = record.place_of(row["layer"], row["index"])
    return answers[layer * record.n_heads + index]


def read_patterns(path: str | Path, name: str | None = None) -> Float[np.ndarray, "..."]:
    """Read patterns from a .npy or .safetensors file; nothing in the file is run.

    Args:
        path: the file.
        name: name of the tensor; default: the only one of the file.

    Returns:
        The array, of any shape.

    Raises:
        InputError: if the file is missing, damaged or of another kind, or the name does not
            choose one array.
    """
    file = Path(os.fspath(path))
    kinds = (".npy", ".safetensors")
    if file.suffix.lower() not in kinds:
        raise InputError(
            f"{file}: patterns cannot be read from a file of this kind. Give a file that ends in "
            f"{' or '.join(kinds)}"
        )
    if not file.is_file():
        raise InputError(f"{file}: there is no such file. Give the path of a .npy file")
    try:
        if file.suffix.lower() == ".npy":
            return np.asarray(np.load(file, allow_pickle=False))
        from safetensors.numpy import load_file

        tensors = load_file(file)
    except Exception as error:  # readers raise many kinds on a damaged file
        reason = " ".join(str(error).split())
        raise InputError(
            f"{file}: cannot be read as an array of numbers ({reason:.120}). Save the patterns "
            "with numpy.save or safetensors"
        ) from error
    if name is None and len(tensors) == 1:
        name = next(iter(tensors))
    if name not in tensors:
        raise InputError(
            f"{file}: holds {len(tensors)} tensors ({', '.join(sorted(tensors)[:8])}). Choose one "
            "with --tensor NAME"
        )
    return np.asarray(tensors[name])


def _candidates(
    atlas: AtlasFolder, models: str | Sequence[str] | None
) -> Bool[np.ndarray, " heads"] | None:
    if not models:
        return None
    return np.isin(atlas.heads["model"].to_numpy(), atlas.known_models(models))


def is_whole_model(patterns: Any) -> bool:
    """Return whether patterns are those of all heads of a model: (layers, heads, n, n)."""
    return len(getattr(patterns, "shape", ())) == 4


def checked_patterns(patterns: Any) -> Float[np.ndarray, "patterns n n"]:
    """Return patterns as a batch of float32, after checks that no feature makes.

    Args:
        patterns: as `identify`.

    Raises:
        InputError: if their shape or type cannot be used, they have one token, or a row that is
            not finite or all 0.
    """
    from attention_motifs.features.validation import check_batch

    if is_whole_model(patterns):
        patterns = patterns.reshape(-1, *patterns.shape[2:])
    check_batch(patterns)
    if len(patterns.shape) > 3:
        raise InputError(
            f"patterns of shape {tuple(patterns.shape)} cannot be used: give (n, n), (B, n, n), or "
            "(layers, heads, n, n)"
        )
    if hasattr(patterns, "detach"):
        patterns = patterns.detach().float().cpu().numpy()
    batch = np.asarray(patterns, dtype=np.float32)
    batch = batch[None] if batch.ndim == 2 else batch
    if batch.shape[-1] < 2:
        raise InputError(
            "a pattern of 1 token cannot be identified: that of every head is the number 1. Give "
            "patterns of two tokens or more"
        )
    for i, pattern in enumerate(batch):
        if not np.isfinite(pattern).all():
            raise InputError(
                f"pattern {i} holds NaN or infinity. Give attention weights from 0 to 1"
            )
        if not pattern.any(axis=1).all():
            query = int((~pattern.any(axis=1)).argmax())
            raise InputError(
                f"pattern {i} is no attention pattern: the weights of query {query} are all 0. "
                "Give weights after the softmax"
            )
    return batch
