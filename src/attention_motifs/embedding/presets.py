"""Clouds of presets: the blocks of a head, one behind the other, as one vector.

The cloud of each head in each block is scaled to the root of the block's share. The cosine of two
such vectors is then the mean of the cosines in the blocks, weighted by their shares. A block in
which a head has a cloud of zero does not count for this head: the shares of the others are raised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.errors import InputError, did_you_mean
from attention_motifs.store.presets import PRESETS as PRESETS
from attention_motifs.store.presets import VERSIONS
from attention_motifs.store.presets import Block as Block
from attention_motifs.store.presets import Preset as Preset

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from attention_motifs.store.settings import Configuration

    Clouds = Float[np.ndarray, "stimuli heads columns"]


@dataclass(frozen=True)
class Segment:
    """The place of one block in the vectors of a preset."""

    n_stimuli: int
    n_columns: int
    share: float
    """Weight of the block, divided by the sum of all weights."""
    by_prompt: bool
    """Whether the stimuli are the prompts of the atlas, of which some can be chosen."""


def known_presets(configuration: Configuration | None = None) -> dict[str, Preset]:
    """Return the presets of the package, and those of a configuration, by name.

    Args:
        configuration: settings of an atlas, with the version of its presets; default: the newest.
    """
    if configuration is None:
        return dict(PRESETS)
    of_user = {preset.name: preset for preset in configuration.presets}
    return {**VERSIONS[configuration.preset_version], **of_user}


def get_preset(name: str, configuration: Configuration | None = None) -> Preset:
    """Return the preset of this name.

    Args:
        name: name of a preset.
        configuration: settings of an atlas, which may define more presets.

    Raises:
        InputError: if no preset has this name; the message suggests similar names.

    Examples:
        >>> [block.name for block in get_preset("recommended").blocks]
        ['natural', 'probes']
    """
    presets: Mapping[str, Preset] = known_presets(configuration)
    if name not in presets:
        raise InputError(f"preset {name!r:.80} is not known; {did_you_mean(name, presets)}")
    return presets[name]


def concatenated(
    clouds: Sequence[Clouds], segments: Sequence[Segment]
) -> Float[np.ndarray, "one heads values"]:
    """Return the clouds of several blocks as clouds of one point, scaled by their shares.

    Args:
        clouds: (stimuli, heads, columns) of each block; the heads are the same.
        segments: the place of each block.

    Returns:
        (1, heads, values) float32.
    """
    rows = [_rows(block) for block in clouds]
    return on_prompts(np.concatenate(rows, axis=1), segments)[None]


def separated(
    vectors: Float[np.ndarray, "one heads values"], segments: Sequence[Segment]
) -> list[Clouds]:
    """Return the clouds of each block, (stimuli, heads, columns), from those of `concatenated`."""
    clouds, start = [], 0
    for segment in segments:
        width = segment.n_stimuli * segment.n_columns
        rows = vectors[0, :, start : start + width]
        by_head = rows.reshape(len(rows), segment.n_stimuli, segment.n_columns)
        clouds.append(by_head.transpose(1, 0, 2))
        start += width
    return clouds


def on_prompts(
    rows: Float[np.ndarray, "heads values"],
    segments: Sequence[Segment],
    prompts: Int[np.ndarray, " some"] | None = None,
) -> Float[np.ndarray, "heads fewer_values"]:
    """Return the vectors of a preset on some of the prompts; probes stay whole.

    Args:
        rows: (heads, values), the blocks one behind the other, scaled in any way.
        segments: the place of each block.
        prompts: indices of prompts; default: all.

    Returns:
        (heads, values) float32. Each block has the length of the root of its share, or 0.
    """
    parts, start = [], 0
    for segment in segments:
        width = segment.n_stimuli * segment.n_columns
        part = np.asarray(rows[:, start : start + width])
        start += width
        if prompts is not None and segment.by_prompt:
            by_stimulus = part.reshape(len(part), segment.n_stimuli, segment.n_columns)
            part = by_stimulus[:, prompts].reshape(len(part), -1)
        lengths = np.sqrt(np.einsum("hv,hv->h", part, part, dtype=np.float64))
        scales = np.sqrt(segment.share) / np.where(lengths == 0, 1.0, lengths)
        parts.append(part * scales.astype(np.float32)[:, None])
    return np.concatenate(parts, axis=1)


def _rows(clouds: Clouds) -> Float[np.ndarray, "heads values"]:
    """Return the points of each head in one row."""
    return np.ascontiguousarray(clouds.transpose(1, 0, 2)).reshape(clouds.shape[1], -1)
