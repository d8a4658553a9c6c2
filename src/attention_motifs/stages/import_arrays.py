"""Atlases of patterns that are in memory, without the model that computed them."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas import Atlas
from attention_motifs.errors import InputError, ResourceError
from attention_motifs.features.arguments import name_list
from attention_motifs.features.forms import as_float32, has_layers, is_one_by_one, layers_of
from attention_motifs.features.registry import selected, token_readers
from attention_motifs.features.validation import check_batch
from attention_motifs.head import check_model_name
from attention_motifs.progress import Report, checked_report, silent
from attention_motifs.prompts import Prompt, meta_json
from attention_motifs.stages.import_pattern_lens import import_pattern_lens
from attention_motifs.store.settings import FEATURE_SETS

if TYPE_CHECKING:
    from jaxtyping import Float


def atlas_from_patterns(
    path: str | Path,
    patterns: Any,
    *,
    tokens: Sequence[Sequence[str]] | None = None,
    prompts: Sequence[str | Prompt] | None = None,
    name: str = "patterns",
    feature_sets: tuple[str, ...] = FEATURE_SETS,
    metrics: Sequence[str] | None = None,
    force: bool = False,
    report: Report = silent,
) -> Atlas:
    """Build an atlas from patterns that are in memory, without their model.

    Prompts are read one at a time and kept in a temporary folder, so that an iterator may give more
    than fits in memory.

    Args:
        path: folder of the atlas, or its URL.
        patterns: of each layer, (prompts, heads, n, n), or (heads, n, n) for one prompt: the output
            of a model of transformers or its `attentions`, an array or a list of layers, a mapping
            from layers to arrays, or an `ActivationCache` of TransformerLens. Or an iterator of
            these, for prompts of different lengths. Or a mapping from names of models to any of
            these, on the same prompts.
        tokens: texts of the n tokens of each prompt; by default they are empty.
        prompts: texts of the prompts, or `Prompt` with labels; by default the tokens joined, or
            numbers.
        name: of the model, as used in heads; not for a mapping from names.
        feature_sets: names of feature sets.
        metrics: default: as for `build`.
        force: write the atlas into a folder that holds other files.
        report: shows progress.

    Returns:
        The atlas.

    Raises:
        InputError: if patterns have a shape that is not described here, are no causal attention, or
            do not fit the tokens or the prompts; if two prompts have the same text.
        AtlasError: if another atlas is at `path`.
        ResourceError: if the temporary folder cannot hold the patterns.

    Example:
        >>> import numpy as np
        >>> import attention_motifs as am
        >>> scores = np.random.default_rng(0).random((2, 6, 3, 8, 8)) * np.tril(np.ones((8, 8)))
        >>> layers = list(scores / scores.sum(axis=-1, keepdims=True))  # (prompts, heads, n, n)
        >>> atlas = am.atlas_from_patterns("arrays-atlas", layers, name="mine", metrics=["mean"])
        >>> len(atlas.near("mine:L1:H2", n=5))
        5
    """
    report = checked_report(report)
    chosen = _Texts(tokens, prompts, needed=bool(token_readers(selected(feature_sets))))
    if metrics is not None:
        metrics = name_list(metrics, "metrics")
    models = patterns if _is_of_models(patterns) else {check_model_name(name): patterns}
    try:
        with tempfile.TemporaryDirectory(prefix="attention-motifs-") as temporary:
            folder = Path(temporary) / "arrays"
            for model, of_model in models.items():
                _write_model(folder / check_model_name(model), of_model, chosen)
            return import_pattern_lens(
                folder, path, feature_sets=feature_sets, metrics=metrics, force=force, report=report
            )
    except OSError as error:
        raise ResourceError(
            f"patterns cannot be kept in {tempfile.gettempdir()}: {error.strerror}. Free space "
            "there, or set TMPDIR to another folder"
        ) from error


def _is_of_models(patterns: Any) -> bool:
    return (
        isinstance(patterns, Mapping)
        and not hasattr(patterns, "attentions")
        and bool(patterns)
        and all(isinstance(key, str) and "." not in key[:7] for key in patterns)
        and not any(key.isdecimal() for key in patterns)
    )


@dataclass(frozen=True)
class _Texts:
    """Texts of prompts and of their tokens, if they are given."""

    tokens: Any
    prompts: Any
    needed: bool
    """Whether a feature reads the texts of the tokens."""

    def __post_init__(self) -> None:
        for what, value in (("tokens", self.tokens), ("prompts", self.prompts)):
            if value is not None and (isinstance(value, str) or not isinstance(value, Sequence)):
                raise InputError(f"{what} = {value!r:.60}: give a list with one entry per prompt")
        if self.needed and self.tokens is None:
            raise InputError(
                "tokens: a feature set needs the texts of the tokens. Pass tokens=[[...], ...], or "
                "leave out the set"
            )

    def of(self, position: int, n: int) -> tuple[Prompt, list[str] | None]:
        """Return a prompt and the texts of its n tokens.

        Raises:
            InputError: if there are none, or they are of another number.
        """
        pieces = None
        if self.tokens is not None:
            pieces = self._entry("tokens", position)
            texts = isinstance(pieces, Sequence) and not isinstance(pieces, str)
            if not texts or not all(isinstance(t, str) for t in pieces) or len(pieces) != n:
                raise InputError(
                    f"tokens of prompt {position}: {pieces!r:.60} are not the {n} texts that its "
                    "patterns have rows for. Give one text per token"
                )
            pieces = list(pieces)
        if self.prompts is not None:
            prompt = self._entry("prompts", position)
            if not isinstance(prompt, str | Prompt):
                raise InputError(f"prompt {position} is {prompt!r:.60}: give a text or a Prompt")
            return prompt if isinstance(prompt, Prompt) else Prompt(prompt), pieces
        return Prompt("".join(pieces) if pieces else f"prompt {position}"), pieces

    def _entry(self, what: str, position: int) -> Any:
        values = getattr(self, what)
        if position >= len(values):
            raise InputError(
                f"{what} are given for {len(values)} prompts, and the patterns are of more. Give "
                "one entry per prompt"
            )
        return values[position]


def _write_model(folder: Path, patterns: Any, texts: _Texts) -> None:
    """Write the patterns of a model as pattern-lens does."""
    (folder / "prompts").mkdir(parents=True)
    known: dict[str, int] = {}
    shape: tuple[int, int] | None = None
    with (folder / "prompts.jsonl").open("w", encoding="utf-8") as lines:
        for position, layers in enumerate(_prompts(patterns)):
            found = (len(layers), layers[0].shape[0])
            if found != (shape or found):
                raise InputError(
                    f"patterns of prompt {position} are of {found[0]} layers of {found[1]} heads, "
                    f"those of prompt 0 of {shape}. Give all layers and heads of every prompt"
                )
            shape = found
            prompt, pieces = texts.of(position, layers[0].shape[-1])
            first = known.setdefault(prompt.prompt_id, position)
            if first != position:
                raise InputError(
                    f"prompts {first} and {position} have the same text, which begins "
                    f"{prompt.text[:60]!r}. "
                    "Leave out one of them, or give texts that differ"
                )
            record: dict[str, Any] = {"text": prompt.text, "hash": prompt.prompt_id}
            if (labels := meta_json(prompt.meta)) is not None:
                record["meta"] = json.loads(labels)
            lines.write(json.dumps(record | ({} if pieces is None else {"tokens": pieces})) + "\n")
            _write_arrays(folder / "prompts" / prompt.prompt_id, layers)
    if shape is None:
        raise InputError("patterns: no prompt in them. Give the patterns of one prompt at least")
    sizes = {"n_layers": shape[0], "n_heads": shape[1]}
    (folder / "model_cfg.json").write_text(json.dumps(sizes), encoding="utf-8")


def _write_arrays(folder: Path, layers: list[Float[np.ndarray, "heads n n"]]) -> None:
    """Write the layers of a prompt, the same bytes each time."""
    folder.mkdir()
    with zipfile.ZipFile(folder / "activations.npz", "w") as archive:
        for layer, of_layer in enumerate(layers):
            name = zipfile.ZipInfo(f"blocks.{layer}.attn.hook_pattern.npy")
            with archive.open(name, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.ascontiguousarray(of_layer[None]))


def _prompts(patterns: Any) -> Iterator[list[Float[np.ndarray, "heads n n"]]]:
    """Yield the layers of one prompt after another."""
    if is_one_by_one(patterns):
        for item in patterns:
            yield from _prompts(item)
        return
    if not has_layers(patterns):
        check_batch(patterns)
        if patterns.ndim not in (4, 5):
            raise _unreadable(patterns)
        patterns = list(patterns)
    layers = layers_of(patterns)
    if list(layers) != list(range(len(layers))):
        raise InputError(
            f"patterns are of the layers {', '.join(map(str, layers))}. Give all layers, from 0 on"
        )
    arrays = [_batch(of_layer) for of_layer in layers.values()]
    if len({array.shape[:2] + array.shape[3:] for array in arrays}) != 1:
        shapes = sorted({tuple(array.shape) for array in arrays})
        raise InputError(f"patterns of layers have the shapes {shapes}. Give layers of one shape")
    for position in range(arrays[0].shape[0]):
        yield [as_float32(array[position]) for array in arrays]


def _batch(of_layer: Any) -> Any:
    """Return the patterns of a layer as (prompts, heads, n, n)."""
    check_batch(of_layer)
    if of_layer.ndim == 3:
        return of_layer[None]
    if of_layer.ndim != 4:
        raise _unreadable(of_layer)
    return of_layer


def _unreadable(patterns: Any) -> InputError:
    return InputError(
        f"patterns of shape {tuple(patterns.shape)} cannot be used: give (prompts, heads, n, n) or "
        "(heads, n, n) for each layer"
    )
