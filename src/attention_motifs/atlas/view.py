"""A view of one of the viewing prompts: patterns as the atlas keeps them, with its notes."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from attention_motifs.atlas.head_notes import head_notes
from attention_motifs.errors import AtlasError, InputError
from attention_motifs.head import HeadId
from attention_motifs.viewer.contract import ViewLayer, WholePattern
from attention_motifs.viewer.packing import as_text, reduced_triangles, stored_side
from attention_motifs.viewer.show import Settings, Stream, view_of
from attention_motifs.viewer.widget import PatternView

if TYPE_CHECKING:
    from attention_motifs.atlas.atlas import Atlas

_MOST_LISTED = 8
"""Prompts listed in an error."""


def view(
    atlas: Atlas, head: str | HeadId, prompt: str | int = 0, *, height: int = 720, **settings: Any
) -> PatternView:
    """Show a head on a prompt, among all heads of its model, with what the atlas says about each.

    Args:
        atlas: the atlas.
        head: shown first.
        prompt: id of a prompt or probe whose patterns are kept, or its beginning; or its place
            among them.
        height: height in a notebook, in CSS pixels.
        settings: `scale`, `colours`, `first_token` and `theme`, as in `attention_motifs.view`.

    Raises:
        HeadNotFoundError: if the atlas does not hold the head.
        InputError: if no pattern is kept of the prompt, or a setting is not known.
        AtlasError: if no patterns are kept, or a file is missing or damaged.
    """
    row = atlas.heads.row(atlas.head_index(head), named=True)
    model, shown = row["model"], (int(row["layer"]), int(row["index"]))
    record = atlas.manifest.models[model]
    prompt_id = _kept_prompt(atlas, prompt)
    triangles = atlas.triangles(model, prompt_id)
    tokens, text = _tokens(atlas, model, prompt_id)
    _, n_heads, entries = triangles.shape
    n = len(tokens)
    if entries != n * (n + 1) // 2:
        raise AtlasError(
            f"{atlas.place}: patterns of {prompt_id} have {entries} entries, not those of {n} "
            f"tokens. Run {atlas.paths.extract_command()}"
        )
    side = stored_side(n, record.n_all_heads)
    stored = [t if side == n else reduced_triangles(t, n, side) for t in triangles]
    layers = [
        ViewLayer(layer, n_heads, as_text(part))
        for layer, part in zip(record.layers, stored, strict=True)
    ]
    pattern = triangles[record.place_of(*shown)]
    whole = [] if side == n else [WholePattern(*shown, as_text(pattern))]
    metric, notes = head_notes(atlas, model)
    shape = [(layer, n_heads) for layer in record.layers]
    stream = Stream(shape, (), tokens, text, model, bool(record.bos))
    data = view_of(
        stream, shown, layers=layers, whole=whole, side=side,
        settings=Settings(**settings), metric=metric, notes=notes,
    )  # fmt: skip
    return PatternView(data, height)


def _kept_prompt(atlas: Atlas, prompt: Any) -> str:
    kept = [*atlas.view_prompts(), *atlas.view_probes()]
    if not kept:
        raise AtlasError(
            f"{atlas.place}: no patterns are kept for viewing. Build with a larger --n-view-prompts"
        )
    if isinstance(prompt, str):
        chosen = [name for name in kept if name.startswith(prompt)] if prompt else []
    else:
        try:
            chosen = kept[operator.index(prompt) :][:1]
        except TypeError as error:
            raise InputError(f"prompt={prompt!r:.60} is no prompt. Pass its id") from error
    if len(chosen) != 1:
        why = f"{len(chosen)} kept prompts begin with it" if chosen else "no pattern is kept of it"
        listed = ", ".join([*kept[:_MOST_LISTED], *(["..."] if len(kept) > _MOST_LISTED else [])])
        raise InputError(f"prompt={prompt!r:.60}: {why}. Patterns are kept of {listed}")
    return chosen[0]


def _tokens(atlas: Atlas, model: str, prompt_id: str) -> tuple[list[str], str]:
    """Return the tokens of a prompt or probe, and its text."""
    if prompt_id in atlas.view_prompts():
        table, texts = atlas.tokens(model), atlas.prompts
        text = texts.filter(texts["prompt_id"] == prompt_id)["text"][0]
    else:
        table, text = atlas.probe_sequences(model), ""
    tokens: list[str] = table.filter(table["prompt_id"] == prompt_id)["tokens"][0].to_list()
    return tokens, text or "".join(tokens)
