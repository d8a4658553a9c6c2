"""A small atlas of made-up patterns, complete and in the real schema, for tests of any part."""

from __future__ import annotations

import shutil
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas import Atlas
from attention_motifs.prompts import Prompt, prompts_digest
from attention_motifs.stages.create import prompts_table
from attention_motifs.stages.distances import distances
from attention_motifs.stages.embed import embed
from attention_motifs.stages.heads import write_heads
from attention_motifs.stages.motif_parts import write_share_columns
from attention_motifs.stages.parts import PatternSource, Sink, extract_from
from attention_motifs.store import remote
from attention_motifs.store.manifest import ModelRecord
from attention_motifs.store.settings import Configuration

if TYPE_CHECKING:
    from jaxtyping import Float

MOTIFS = ("previous token", "first token", "self", "uniform", "band", "repeat")
"""Kinds of heads, given to the heads of every model in turn, so that each has look-alikes."""

HOSTILE_TEXTS = (
    "<b>$x$</b> & \"quotes\" cost $5 or $\\frac{1}{2$, --> ]]> 'so'",
    "\u4f60\u597d \U0001f600 \u202eevil\u202c \x07bell \ud7ff \u0e01\u0e33 e\u0301",
    "\tline one\r\nline two\n\n_{under}^{over} \\undefined{ %d {name}",
    "x" * 500,
)
"""The first prompts: markup, mathematics, odd characters, white space, a word without end."""


_KEPT: dict[tuple[Any, ...], tempfile.TemporaryDirectory[str]] = {}


def make_synthetic_atlas(
    path: str | Path,
    n_models: int = 2,
    n_layers: int = 3,
    n_heads: int = 2,
    n_prompts: int = 20,
    n_tokens: int = 12,
    seed: int = 0,
    n_components: int = 16,
    presets: Any = (),
) -> Atlas:
    """Write a whole atlas of causal softmax patterns, as far as the distances of `mean`.

    The models are `synthetic-0`, `org/synthetic-1`, `synthetic-2`... The same arguments give
    the same atlas: it is made once per process, and copied. `presets` are those of a user; an
    atlas with them, or in an object store, is made anew.
    """
    shape = (n_models, n_layers, n_heads, n_prompts, n_tokens, seed, n_components)
    if presets or remote.is_url(path):
        return _make(path, *shape, presets)
    if shape not in _KEPT:
        kept = tempfile.TemporaryDirectory(prefix="synthetic-atlas-")
        _make(Path(kept.name) / "atlas", *shape)
        _KEPT[shape] = kept
    shutil.copytree(Path(_KEPT[shape].name) / "atlas", path, dirs_exist_ok=True)
    return Atlas.open(path)


def _make(
    path: str | Path,
    n_models: int,
    n_layers: int,
    n_heads: int,
    n_prompts: int,
    n_tokens: int,
    seed: int,
    n_components: int,
    presets: Any = (),
) -> Atlas:
    names = tuple(f"org/synthetic-{i}" if i % 2 else f"synthetic-{i}" for i in range(n_models))
    prompts = [
        Prompt(text, "synthetic/hostile", {"parity": i % 2})
        for i, text in enumerate(HOSTILE_TEXTS[:n_prompts])
    ]
    prompts += [
        Prompt(f"Prompt number {i} is about nothing.", "synthetic/plain", {"parity": i % 2})
        for i in range(len(prompts), n_prompts)
    ]
    configuration = Configuration(
        models=names,
        prompts="synthetic",
        n_prompts=n_prompts,
        seed=seed,
        max_tokens=n_tokens,
        n_components=n_components,
        presets=presets,
    )
    with Atlas.lock(path, new=True):
        atlas = Atlas.create(path, configuration, prompts_table(prompts), prompts_digest(prompts))
        for i, name in enumerate(names):
            extract_from(atlas, _source(name, (seed, i), prompts, n_layers, n_heads, n_tokens))
        write_heads(atlas)
        write_share_columns(atlas)
        embed(atlas)
        distances(atlas, "mean")
        return atlas


def synthetic_pattern(
    motif: str, n: int, rng: np.random.Generator, noise: float = 0.5
) -> Float[np.ndarray, "n n"]:
    """Softmax of the motif's logits plus noise, causal, rows summing to 1, float32."""
    query, key = np.indices((n, n))
    logits = {
        "previous token": 6.0 * (query - key == 1),
        "first token": 5.0 * (key == 0),
        "self": 5.0 * (query == key),
        "uniform": np.zeros((n, n)),
        "band": -0.7 * np.abs(query - key - 2),
        "repeat": 6.0 * (query - key == n // 2) + 2.0 * (key == 0),
    }[motif] + noise * rng.standard_normal((n, n))
    weights = np.tril(np.exp(logits))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _source(
    name: str,
    seed: tuple[int, int],
    prompts: Sequence[Prompt],
    n_layers: int,
    n_heads: int,
    n_tokens: int,
) -> PatternSource:
    def run_block(positions: Sequence[int], sink: Sink) -> None:
        for i, position in enumerate(positions):
            for layer in range(n_layers):
                patterns = [
                    synthetic_pattern(
                        MOTIFS[(layer * n_heads + head) % len(MOTIFS)],
                        n_tokens,
                        np.random.default_rng((*seed, position, layer, head)),
                        noise=0.3 + 0.4 * layer / n_layers,
                    )
                    for head in range(n_heads)
                ]
                sink(layer, [i], np.stack(patterns)[None])

    info = ModelRecord(name, "synthetic", n_layers, n_heads, f"{seed[0]}-{seed[1]}")
    return PatternSource(name, info, [_tokens(p.text, n_tokens) for p in prompts], run_block)


def _tokens(text: str, n_tokens: int) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """One token per character, the text repeated until it is long enough; ids differ by text."""
    characters = (text * n_tokens)[:n_tokens]
    return (*map(ord, characters[:-1]), zlib.crc32(text.encode())), tuple(characters)
