"""The data inside a viewer's document: their fields and types.

`web/src/contract/viewer.ts` is generated from these dataclasses by `python -m
attention_motifs.site.typescript viewer`, and a test compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

VIEW_SCHEMA = 1
"""Version of the data. The viewer refuses other versions."""

ScaleName = Literal["linear", "sqrt", "log"]
MapName = Literal["viridis", "cividis", "magma", "greys"]
FirstToken = Literal["shown", "apart", "hidden"]
Theme = Literal["auto", "light", "dark"]


@dataclass(frozen=True)
class ViewLayer:
    """Patterns of one layer."""

    layer: int
    """Number of the layer in the model."""
    n_heads: int
    data: str
    """Base64 of a zlib stream: the triangles of the heads one after the other, each of `side` rows,
    as bytes round(255 * sqrt(weight))."""


@dataclass(frozen=True)
class WholePattern:
    """A pattern with a byte per weight, where the layers hold blocks."""

    layer: int
    head: int
    data: str
    """As in `ViewLayer`, one triangle of `n_tokens` rows."""


@dataclass(frozen=True)
class ViewNear:
    """A head similar to another one."""

    head: str
    distance: float


@dataclass(frozen=True)
class ViewNote:
    """What an atlas says about a head."""

    layer: int
    head: int
    verdict: str
    """Most probable class, or "unknown"; empty if the atlas has no verdicts."""
    probability: float | None
    sentence: str
    """What its patterns do; empty if the atlas does not say."""
    near: list[ViewNear]


@dataclass(frozen=True)
class View:
    """Everything that a viewer shows."""

    schema: int
    model: str
    """Name of the model; empty if it is not known."""
    prompt: str
    """Text of the prompt, or the tokens joined."""
    tokens: list[str]
    bos: bool
    """Whether the first token is BOS."""
    n_tokens: int
    side: int
    """Rows of the stored triangles: `n_tokens`, or fewer, whose bytes are then the largest of each
    block."""
    layers: list[ViewLayer]
    whole: list[WholePattern]
    notes: list[ViewNote]
    metric: str
    """Metric of the similar heads; empty without an atlas."""
    layer: int
    """Layer of the head that is shown first."""
    head: int
    scale: ScaleName
    colours: MapName
    first_token: FirstToken
    theme: Theme
