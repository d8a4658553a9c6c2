"""`view`: patterns with their tokens, in one call."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, get_args

from attention_motifs.errors import InputError, did_you_mean
from attention_motifs.features.forms import as_float32
from attention_motifs.features.token_texts import plain_pieces
from attention_motifs.head import HeadId
from attention_motifs.viewer.arrays import check_layer, read_layers
from attention_motifs.viewer.contract import (
    VIEW_SCHEMA,
    FirstToken,
    MapName,
    ScaleName,
    Theme,
    View,
    ViewLayer,
    ViewNote,
    WholePattern,
)
from attention_motifs.viewer.packing import packed_layer, stored_side
from attention_motifs.viewer.widget import PatternView

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float32

    from attention_motifs.models.model import LoadedModel


class HasNotes(Protocol):
    """An atlas, which knows the heads of its models."""

    def head_notes(self, model: str) -> tuple[str, list[ViewNote]]:
        """Return a metric, and what the atlas says about each head of a model."""


def view(
    patterns: Any,
    tokens: Any = None,
    text: str | None = None,
    *,
    head: str | tuple[int, int] | None = None,
    model: str = "",
    atlas: HasNotes | None = None,
    scale: ScaleName = "sqrt",
    colours: MapName = "viridis",
    first_token: FirstToken = "apart",  # noqa: S107 - a setting, and no password
    theme: Theme = "auto",
    height: int = 720,
    max_tokens: int | None = None,
) -> PatternView:
    """Show attention patterns: a map of all heads, and one head with its tokens.

    Call it as `view(patterns, tokens)`, `view("gpt2", "text")` or `view(model, tokenizer, "text")`.
    The result is displayed by notebooks (Jupyter, Colab, VS Code, marimo) and saved by
    `.save("page.html")`. It holds all it needs and sends no request.

    Args:
        patterns: an array or tensor (n, n), (heads, n, n) or (layers, heads, n, n); a list with one
            (heads, n, n) or (1, heads, n, n) per layer, such as `outputs.attentions`; a mapping
            from layer to such an array; a TransformerLens cache; batches of `extract_patterns`; or
            a model: its name, what `load_model` returns, or a transformers model.
        tokens: texts of the tokens; default: their positions. For a model: its tokenizer.
        text: text to run a model on.
        head: head shown first, `L5:H3` or (5, 3); default: the first one.
        model: name of the model, for titles and saved pictures.
        atlas: an atlas that holds the model: each head carries its verdict and nearest heads.
        scale: from weights to brightness, `sqrt`, `log` or `linear`.
        colours: `viridis`, `cividis`, `magma` or `greys`.
        first_token: `apart` draws the first column as a strip with a scale of its own, `shown` in
            its place, `hidden` not at all.
        theme: `auto` follows the system, `light` or `dark`.
        height: height in a notebook, in CSS pixels.
        max_tokens: length in tokens to which a text is cut (default 512, or the context of the
            model if it is shorter).

    Returns:
        A `PatternView`. Weights are stored in 256 steps of their square root. Beyond 24 MB of
        these (270 heads of 430 tokens), all heads but `head` are stored in blocks of tokens, and a
        block shows its largest weight.

    Raises:
        InputError: if the patterns are not causal attention of one prompt, the tokens do not fit,
            or an argument is not one of its values.
        ModelError: if a model cannot be loaded.

    Example:
        >>> import attention_motifs as am
        >>> import numpy as np
        >>> patterns = np.tril(np.ones((2, 4, 4))) / np.arange(1, 5)[:, None]
        >>> am.view(patterns, ["The", " cat", " sat", "."])
        PatternView(1 layer, 2 heads, 4 tokens)
    """
    if not isinstance(model, str):
        raise InputError(f"model={model!r:.60} is no name. Pass a text")
    if atlas is not None and not callable(getattr(atlas, "head_notes", None)):
        raise InputError(f"atlas={atlas!r:.60} is no atlas. Pass am.Atlas.open('FOLDER')")
    if _is_model(patterns):
        stream = _run(patterns, tokens, text, max_tokens)
    else:
        if text is not None:
            raise InputError(
                f"text={text!r:.60} was given with patterns of type {type(patterns).__name__}. "
                "Pass the text with a model, or the texts of the tokens with patterns"
            )
        stream = _of_arrays(patterns, tokens, model)
    metric, notes = ("", []) if atlas is None else atlas.head_notes(_named(stream.model))
    settings = Settings(scale, colours, first_token, theme)
    return PatternView(build(stream, head, settings, metric, notes), checked_height(height))


@dataclass(frozen=True)
class Settings:
    """How patterns are drawn first.

    Raises:
        InputError: if a setting is not one of its values.
    """

    scale: ScaleName = "sqrt"
    colours: MapName = "viridis"
    first_token: FirstToken = "apart"  # noqa: S105
    theme: Theme = "auto"

    def __post_init__(self) -> None:
        kinds = {"scale": ScaleName, "colours": MapName, "first_token": FirstToken, "theme": Theme}
        for name, kind in kinds.items():
            value = getattr(self, name)
            if not isinstance(value, str) or value not in get_args(kind):
                advice = did_you_mean(value, get_args(kind))
                raise InputError(f"{name}={value!r:.60} is not known: {advice}")


@dataclass(frozen=True)
class Stream:
    """Patterns of one prompt, a layer at a time.

    Attributes:
        shape: number of each layer, and of its heads.
        layers: (layer, patterns) in this order.
        model: name of the model, or empty.
    """

    shape: Sequence[tuple[int, int]]
    layers: Iterable[tuple[int, Float32[np.ndarray, "heads n n"]]]
    tokens: Sequence[str]
    prompt: str
    model: str = ""
    bos: bool = False


def build(
    stream: Stream,
    head: Any = None,
    settings: Settings | None = None,
    metric: str = "",
    notes: Sequence[ViewNote] = (),
) -> View:
    """Return the data of a view. Memory holds one layer of patterns, and what is stored."""
    shown = shown_head(head, stream.shape)
    n = len(stream.tokens)
    side = stored_side(n, sum(heads for _, heads in stream.shape))
    layers, whole = [], []
    for layer, patterns in stream.layers:
        check_layer(layer, patterns)
        layers.append(ViewLayer(layer, len(patterns), packed_layer(patterns, side)))
        if side < n and layer == shown[0]:
            chosen = patterns[shown[1] : shown[1] + 1]
            whole.append(WholePattern(*shown, packed_layer(chosen, n)))
    return view_of(
        stream, shown, layers=layers, whole=whole, side=side,
        settings=settings or Settings(), metric=metric, notes=notes,
    )  # fmt: skip


def view_of(
    stream: Stream,
    shown: tuple[int, int],
    *,
    layers: list[ViewLayer],
    whole: list[WholePattern],
    side: int,
    settings: Settings,
    metric: str,
    notes: Sequence[ViewNote],
) -> View:
    """Return the data of a view whose patterns are packed."""
    return View(
        schema=VIEW_SCHEMA,
        model=stream.model,
        prompt=stream.prompt,
        tokens=list(stream.tokens),
        bos=stream.bos,
        n_tokens=len(stream.tokens),
        side=side,
        layers=layers,
        whole=whole,
        notes=list(notes),
        metric=metric,
        layer=shown[0],
        head=shown[1],
        scale=settings.scale,
        colours=settings.colours,
        first_token=settings.first_token,
        theme=settings.theme,
    )


def shown_head(head: Any, shape: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Return layer and index of the head that is shown first.

    Raises:
        InputError: if it is no head, or not one of these.
    """
    if head is None:
        return shape[0][0], 0
    if isinstance(head, HeadId):
        layer, index = head.layer, head.index
    elif isinstance(head, str):
        parsed = HeadId.parse(head if head[:1] not in "Ll" or ":" not in head else f"any:{head}")
        layer, index = parsed.layer, parsed.index
    else:
        try:
            layer, index = (operator.index(part) for part in head)
        except (TypeError, ValueError) as error:
            raise InputError(f"head={head!r:.60} is no head. Write 'L5:H3' or (5, 3)") from error
    heads = dict(shape)
    if layer not in heads or not 0 <= index < heads[layer]:
        raise InputError(
            f"head=L{layer}:H{index} is not among these patterns: they have layers "
            f"{min(heads)} to {max(heads)} and heads 0 to {max(heads.values()) - 1}"
        )
    return layer, index


def checked_height(height: Any) -> int:
    """Return a height in pixels.

    Raises:
        InputError: if it is no number of pixels that a notebook can show.
    """
    try:
        pixels = operator.index(height)
    except TypeError as error:
        raise InputError(f"height={height!r:.60} is no number of pixels") from error
    if not 100 <= pixels <= 10_000:
        raise InputError(f"height={pixels} cannot be used: choose 100 to 10,000 pixels")
    return pixels


def _named(model: str) -> str:
    if model == "":
        raise InputError("an atlas was given, and the patterns name no model. Pass model='...'")
    return model


# Patterns that exist


def _of_arrays(patterns: Any, tokens: Any, model: str) -> Stream:
    items = patterns
    if isinstance(patterns, Iterator):
        items = list(patterns)  # batches of `extract_patterns`
    layers = read_layers(items)
    if model == "" and isinstance(items, list | tuple) and hasattr(items[0], "heads"):
        model = str(getattr(items[0], "model", ""))
    n = int(layers[0][1].shape[-1])
    texts = _texts(tokens, n)
    return Stream(
        shape=[(layer, int(array.shape[0])) for layer, array in layers],
        layers=((layer, as_float32(array)) for layer, array in layers),
        tokens=texts,
        prompt="".join(texts) if tokens is not None else f"{n} tokens",
        model=model,
    )


def _texts(tokens: Any, n: int) -> list[str]:
    """Return the texts of the tokens, as text of the prompt; positions if there are none."""
    if tokens is None:
        return [str(place) for place in range(n)]
    how = f"Pass the texts of the {n} tokens, such as tokenizer.convert_ids_to_tokens(ids)"
    if isinstance(tokens, str | bytes) or not isinstance(tokens, Iterable):
        raise InputError(f"tokens are {tokens!r:.60}, not a list of texts. {how}")
    try:
        texts = list(tokens)
    except TypeError as error:  # an array without axes
        raise InputError(f"tokens are {tokens!r:.60}, not a list of texts. {how}") from error
    if wrong := [token for token in texts if not isinstance(token, str)]:
        raise InputError(f"tokens hold {wrong[0]!r:.60}, not a text. {how}")
    if len(texts) != n:
        raise InputError(f"tokens are {len(texts)} texts for {n} tokens. {how}")
    return plain_pieces(texts)


# Models

_MAX_TOKENS = 512


def _is_model(value: Any) -> bool:
    """Return whether a value is a model, its name or path, or a model and its tokenizer."""
    if isinstance(value, tuple) and len(value) == 2:
        value = value[0]
    if isinstance(value, str | os.PathLike):
        return True
    is_loaded = hasattr(value, "info") and hasattr(value, "tokenizer")
    is_module = callable(value) and any(hasattr(value, n) for n in ("config", "cfg", "parameters"))
    return is_loaded or is_module


def _run(model: Any, tokenizer: Any, text: Any, max_tokens: int | None) -> Stream:
    """Run a model on a text. `view(name, text)` has the text in the second place."""
    from attention_motifs.extraction import extract_patterns, load_model, tokenize
    from attention_motifs.models.tokenizing import prefix_tokens

    if text is None and isinstance(tokenizer, str):
        tokenizer, text = None, tokenizer
    if not isinstance(text, str) or text == "":
        raise InputError(
            f"text={text!r:.60}: a model is shown on a text. Pass view(model, tokenizer, 'text'), "
            "view('name of a model', 'text'), or patterns: view(patterns, tokens)"
        )
    loaded: LoadedModel
    if hasattr(model, "info") and hasattr(model, "tokenizer"):
        loaded = model
    else:
        held: Any = model if tokenizer is None else (model, tokenizer)
        loaded = load_model(held, softmax_only=True)
    if max_tokens is None:
        context = getattr(loaded.model.config, "max_position_embeddings", None)
        max_tokens = min(_MAX_TOKENS, context) if isinstance(context, int) else _MAX_TOKENS
    (prompt,) = tokenize(loaded, [("text", text)], max_tokens=max_tokens)
    n_heads = loaded.info.n_heads
    batches = extract_patterns(loaded, text, max_tokens=max_tokens)
    return Stream(
        shape=[(layer, n_heads) for layer in loaded.layers],
        layers=((batch.layer, as_float32(batch.patterns)) for batch in batches),
        tokens=prompt.tokens,
        prompt="".join(prompt.tokens),
        model=loaded.info.name,
        bos=len(prefix_tokens(loaded)) > 0,
    )
