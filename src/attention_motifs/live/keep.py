"""Texts that a user keeps as prompts: written to the atlas at once, computed by the next build.

The prompts of an atlas cannot change: every number of it is about all of them. A kept text is
written to a file in the atlas, with the prompts of the atlas after it, and a new atlas is built
from that file.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.prompt_labels import labels_of
from attention_motifs.errors import InputError
from attention_motifs.live.models import checked_text, live_names
from attention_motifs.prompts import Prompt, read_jsonl
from attention_motifs.site.contract_live import LiveKept
from attention_motifs.stages.model_source import reads_softmax_only, wanted_model
from attention_motifs.store import files
from attention_motifs.store.paths import AtlasFile
from attention_motifs.store.settings import Configuration, settings_of

MOST_KEPT = 1000
"""Texts that an atlas keeps at most."""

_KEPT = {"kept": True}


def keep(place: str | Path, text: str) -> LiveKept:
    """Keep a text as a prompt of an atlas.

    It is written to `kept-prompts.jsonl` in the atlas, under the lock of the atlas. No other file
    changes.

    Args:
        place: folder of the atlas, or its URL.
        text: up to 16 KB long.

    Returns:
        Its id, and the command that builds an atlas with it.

    Raises:
        InputError: if the text cannot be read by a model, or the atlas keeps too many.
        AtlasError: if another run holds the atlas.
        ResourceError: if the folder cannot be written.
    """
    prompt = Prompt(checked_text(text), "kept", dict(_KEPT))
    atlas = Atlas.open(place)
    with atlas.locked():
        kept = kept_prompts(atlas)
        of_atlas = atlas.prompts
        known = {*(p.prompt_id for p in kept), *of_atlas["prompt_id"].to_list()}
        is_new = prompt.prompt_id not in known
        if is_new and len(kept) >= MOST_KEPT:
            raise InputError(
                f"{_file(atlas)}: the text cannot be kept, since there are {len(kept):,} already. "
                f"Build an atlas with them: {build_command(atlas)}"
            )
        if is_new:
            kept.append(prompt)
            labels = [{k: v for k, v in of.items() if k != "kept"} for of in labels_of(atlas)]
            rest = [
                Prompt(row["text"], row["source"], of_prompt)
                for row, of_prompt in zip(of_atlas.iter_rows(named=True), labels, strict=True)
            ]
            # The first prompts are those whose patterns are kept for viewing.
            lines = [json.dumps({"text": p.text, "meta": p.meta}) for p in (*kept, *rest)]
            with files.writable_folder(atlas.path), files.atomic(_file(atlas)) as temporary:
                temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return LiveKept(
            prompt_id=prompt.prompt_id,
            file=_file(atlas).name,
            n_kept=len(kept),
            is_new=is_new,
            command=build_command(atlas),
        )


def kept_prompts(atlas: Atlas) -> list[Prompt]:
    """Return the texts that a user kept, in their order.

    Raises:
        InputError: if the file is damaged.
    """
    file = _file(atlas)
    if not file.is_file():
        return []
    prompts = read_jsonl(file.read_bytes(), str(file), "kept")
    return [prompt for prompt in prompts if prompt.meta.get("kept") is True]


def build_command(atlas: Atlas) -> str:
    """Return the command that builds an atlas with the kept texts, next to this one.

    Settings are given as options; where some have none, such as presets, they are read from the
    `atlas.json` of this atlas.

    Raises:
        InputError: if no model of the atlas can run, or the files of one are gone.
    """
    recorded = atlas.manifest.configuration
    advice = f"run {atlas.paths.command('build --model NAME=PATH')} with its present path"
    options: list[tuple[str, Any]] = [("--atlas", f"{str(atlas.place).rstrip('/')}-with-kept")]
    options += [("--model", wanted_model(atlas, name, advice)) for name in live_names(atlas, None)]
    options.append(("--prompts", _file(atlas).path))
    given = [
        (setting, value)
        for setting in settings_of(Configuration)
        if (value := getattr(recorded, setting.field)) != setting.default
        and setting.field not in ("models", "prompts", "n_prompts", "seed")
    ]
    without_option = any(s.is_flag and v not in (True, s.about.true_value) for s, v in given)
    if recorded.presets or without_option:
        n_prompts = len(kept_prompts(atlas)) + int(atlas.manifest.prompts["n"])
        options.append(("--n-prompts", n_prompts))
        options.append(("--config", atlas.file("manifest").path))
        given = []
    for setting, value in given:
        values = value if setting.is_list and not setting.is_flag else (value,)
        options += [(setting.option, None if setting.is_flag else item) for item in values]
    added_hybrid = any(reads_softmax_only(atlas, name) for name in live_names(atlas, None))
    if added_hybrid and not recorded.softmax_only:
        options.append(("--softmax-only", None))
    words = [f"{name} {shlex.quote(str(v))}" if v is not None else name for name, v in options]
    return f"motifs build {' '.join(words)}"


def _file(atlas: Atlas) -> AtlasFile:
    return atlas.file("kept_prompts")
