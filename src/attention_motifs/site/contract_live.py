"""The answers of `motifs serve --live` to the page of the user's own text.

`POST live/read` is answered by a little-endian uint32, the length of a JSON text; the JSON text of
a `LiveAnswer`; then bytes: for each reading in its order, the triangles of all heads, layer by
layer, each of n (n + 1) / 2 bytes round(255 * sqrt(weight)).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LiveState:
    """What the server can do: the answer to `GET live/state`."""

    models: list[str]
    """Names of the models in memory."""
    max_tokens: int
    """Tokens to which a text is cut."""
    max_bytes: int
    """Bytes of a text in UTF-8."""


@dataclass(frozen=True)
class LiveReading:
    """Patterns of one model on one text. Lists have one entry per head, layer by layer."""

    model: str
    text: int
    """Place of the text in the request."""
    tokens: list[str]
    bos: bool
    """Whether the first token is BOS."""
    is_cut: bool
    """Whether the text has more tokens."""
    layers: list[int]
    """Numbers of the layers."""
    n_heads: int
    sentence: str
    """What the patterns were compared with, or why they were not."""
    unusual: list[float] | None
    """How much farther than usual a pattern is from the mean of the head's patterns in the atlas,
    in standard deviations; null if the atlas cannot say."""
    distance: list[float] | None
    """This distance, divided by the usual one."""
    share: list[float] | None
    """Share of the prompts of the atlas that are at least as far."""


@dataclass(frozen=True)
class LiveDifference:
    """How differently the heads of one model attend on two texts."""

    model: str
    moved: list[float] | None
    """Share of attention that goes to other tokens; null if the numbers of tokens differ."""
    distance: list[float] | None
    """Distance between the two patterns, divided by the head's usual distance from its mean."""


@dataclass(frozen=True)
class LiveAnswer:
    """The answer to `POST live/read`."""

    readings: list[LiveReading]
    differences: list[LiveDifference]
    """One per model, if there were two texts."""


@dataclass(frozen=True)
class LiveKept:
    """The answer to `POST live/keep`."""

    prompt_id: str
    file: str
    """Name of the file within the atlas."""
    n_kept: int
    """Number of kept texts."""
    is_new: bool
    """Whether the text was not kept, nor a prompt of the atlas, before."""
    command: str
    """Builds an atlas that has the kept texts among its prompts."""


@dataclass(frozen=True)
class LiveError:
    """The answer to a request that is refused."""

    error: str
    """One line: what failed, why, and how to fix it."""
