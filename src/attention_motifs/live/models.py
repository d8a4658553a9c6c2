"""Models of an atlas in memory, and how they read a text."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas.text_patterns import Reading
from attention_motifs.atlas.unusual import Comparison, Space, Unusual, comparison, space_of
from attention_motifs.errors import AtlasError, InputError
from attention_motifs.progress import Report, silent
from attention_motifs.stages.model_source import load_for, wanted_model
from attention_motifs.stages.parts import to_numpy
from attention_motifs.stages.same_model import changed_model, changes

if TYPE_CHECKING:
    from attention_motifs.atlas import Atlas
    from attention_motifs.models.model import LoadedModel

MAX_TOKENS = 256
"""Tokens to which a text is cut by default."""

MAX_BYTES = 16 << 10
"""Bytes of a text in UTF-8."""

_MOST_LENGTHS = 16
"""Lengths of texts whose comparisons are kept in memory."""


@dataclass
class _LiveModel:
    """A model in memory, and what its patterns are compared with."""

    loaded: LoadedModel
    bos: bool
    space: Space | str
    """The space of its patterns, or why there is none."""
    comparisons: dict[int, Comparison] = field(default_factory=dict)
    """By length of the text, of the last lengths."""


class LiveModels:
    """Models of an atlas in memory. One text is read at a time.

    Attributes:
        atlas: the atlas.
    """

    def __init__(self, atlas: Atlas, device: str = "auto") -> None:
        """Make it without a model; `load` loads one.

        Args:
            atlas: read, not written.
            device: `auto`, `cpu`, `cuda`...
        """
        self.atlas = atlas
        self._reading = threading.Lock()
        self._models: dict[str, _LiveModel] = {}
        self._device = device

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the models in memory."""
        return tuple(self._models)

    def load(self, name: str, report: Report = silent) -> None:
        """Load one model of the atlas, unless it is in memory.

        Args:
            name: as `live_names` returns it.
            report: shows progress.

        Raises:
            InputError: if the model has no files, or changed since.
            ModelError, ResourceError: if it is not available or does not load.
        """
        from attention_motifs.models.tokenizing import prefix_tokens

        if name in self._models:
            return
        advice = f"run {self.atlas.paths.command('build --model NAME=PATH')} with its present path"
        requested = wanted_model(self.atlas, name, advice)
        loaded = load_for(self.atlas, requested, self._device, report)
        if changed := changes(self.atlas, loaded.info):
            raise changed_model(self.atlas, requested, name, changed)
        bos = prefix_tokens(loaded, self.atlas.manifest.configuration.bos)
        try:
            space: Space | str = space_of(self.atlas, name)
        except AtlasError as error:
            space = str(error)
        self._models[name] = _LiveModel(loaded, bool(bos), space)

    def read(
        self,
        text: str,
        model: str,
        *,
        max_tokens: int | None = None,
        stopped: threading.Event | None = None,
    ) -> Reading:
        """Run a model on a text, and compare the patterns of its heads with those of the atlas.

        Args:
            text: up to `MAX_BYTES` long.
            model: name of a model in memory.
            max_tokens: tokens to which the text is cut (default 256, or the context of the model if
                it is shorter).
            stopped: ends the work when it is set, by `Stopped`.

        Raises:
            InputError: if the text is too long, or has fewer than two tokens.
        """
        from attention_motifs.extraction import for_each_layer
        from attention_motifs.features.stopping import raise_if_stopped, stopped_by
        from attention_motifs.models.tokenizing import count_tokens, tokenize

        checked_text(text)
        live = self._models[model]
        loaded, bos = live.loaded, self.atlas.manifest.configuration.bos
        context = getattr(loaded.model.config, "max_position_embeddings", None)
        limit = MAX_TOKENS if max_tokens is None else max_tokens
        if isinstance(context, int) and max_tokens is None:
            limit = min(limit, context)
        (prompt,) = tokenize(loaded, [("of this text", text)], max_tokens=limit, bos=bos)
        layers: dict[int, np.ndarray[Any, Any]] = {}

        def keep(layer: int, _: Sequence[int], patterns: Any) -> None:
            layers[layer] = np.array(to_numpy(patterns[0]))  # the tensor is used again

        event = threading.Event() if stopped is None else stopped
        with self._reading, stopped_by(event):
            raise_if_stopped()
            for_each_layer(loaded, [prompt], keep, stopped=event)
            patterns = tuple(layers[layer] for layer in loaded.layers)
            unusual, sentence = self._compare(live, patterns, prompt.tokens)
        return Reading(
            model=model,
            tokens=prompt.tokens,
            bos=live.bos,
            is_cut=count_tokens(loaded.tokenizer, text, bos) > len(prompt.tokens),
            layer_numbers=loaded.layers,
            layers=patterns,
            unusual=unusual,
            sentence=sentence,
        )

    def _compare(
        self, live: _LiveModel, layers: tuple[np.ndarray[Any, Any], ...], tokens: tuple[str, ...]
    ) -> tuple[Unusual | None, str]:
        """Return how unusual patterns are, and what they were compared with."""
        if isinstance(live.space, str):
            return None, live.space
        kept, n = live.comparisons, len(tokens)
        if n not in kept:
            if len(kept) >= _MOST_LENGTHS:
                del kept[next(iter(kept))]
            try:
                kept[n] = comparison(self.atlas, live.loaded.info.name, live.space, n)
            except AtlasError as error:
                return None, str(error)
        return kept[n].compare(layers, tokens), kept[n].sentence


def live_names(atlas: Atlas, models: str | Sequence[str] | None) -> list[str]:
    """Return the models of an atlas that can run.

    Args:
        atlas: the atlas.
        models: names; default: all that can run.

    Raises:
        InputError: if a model is not in the atlas, or none of them can run.
    """
    records = atlas.manifest.models
    requested = list(records) if models is None else atlas.known_models(models)
    names = [name for name in dict.fromkeys(requested) if not records[name].is_imported]
    if len(names) < len(set(requested)) and models is not None:
        imported = next(name for name in requested if records[name].is_imported)
        raise InputError(
            f"model {imported!r} cannot run: its patterns were imported. Choose another model, or "
            f"add this one with {atlas.paths.command('add NAME=PATH')}"
        )
    if not names:
        raise InputError(
            f"{atlas.place}: has no model that can run a text: all patterns were imported, or "
            f"there are none. Add one with {atlas.paths.command('add MODEL')}"
        )
    return names


def checked_text(text: Any) -> str:
    """Return a text that a model can be run on.

    Raises:
        InputError: if it is no text, is empty, or too long.
    """
    if not isinstance(text, str):
        raise InputError(f"text={text!r:.60} cannot be read: it is no text. Pass a str")
    if not text.strip():
        raise InputError("the text cannot be read: it is empty. Give a sentence")
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise InputError(
            "the text cannot be read: it holds half of a surrogate pair. Remove that character"
        ) from error
    if size > MAX_BYTES:
        raise InputError(
            f"the text cannot be read: it has {size:,} bytes of at most {MAX_BYTES:,}. Shorten it"
        )
    return text
