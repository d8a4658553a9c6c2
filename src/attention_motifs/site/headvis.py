"""Export of a model of an atlas as the data folder of HeadVis, whose pages then show its heads.

The format is that of HeadVis's `data_pipeline.py`, see `extraction.headvis`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas.motif_shares import SHARE
from attention_motifs.errors import AtlasError, InputError, did_you_mean
from attention_motifs.extraction.headvis import CONFIG, FILE, HEADS, SCORES
from attention_motifs.features.motif_definitions import MOTIFS
from attention_motifs.literature.behaviours import BEHAVIOURS
from attention_motifs.progress import Report, silent
from attention_motifs.store.files import replaced_folder
from attention_motifs.store.packed_patterns import unpack_triangle

if TYPE_CHECKING:
    from jaxtyping import Float32

    from attention_motifs.atlas import Atlas

PER_ROW = 8
"""Weights of a row that are kept, as HeadVis advises."""
LEAST = 0.005
"""Smallest weight that is kept, as HeadVis advises."""
_DECIMALS = 4
_INTERVALS = 10
_TOP_TOKENS = 20
_PATTERN_SCORES = {
    "self_attention_score": "mean weight of a token on itself",
    "previous_token_score": "mean weight on the token before",
    "pattern_entropy": "mean entropy of a row, in nats",
    "qk_distance": "mean distance in tokens, weighted by attention",
}


def export_headvis(atlas: Atlas, model: str, out: str | Path, *, report: Report = silent) -> Path:
    """Write the data folder of HeadVis for the heads of a model, on the prompts kept for viewing.

    Args:
        atlas: with patterns kept for viewing.
        model: a model of the atlas.
        out: folder to write; it must not exist.
        report: shows progress.

    Returns:
        The folder.

    Raises:
        InputError: if the model is not in the atlas, or the folder exists.
        AtlasError: if the atlas keeps no patterns, or a file is damaged.
        ResourceError: if the folder cannot be written.
    """
    if model not in atlas.models:
        raise InputError(
            f"model {model!r} is not in this atlas; {did_you_mean(model, atlas.models)}"
        )
    prompts = atlas.view_prompts()
    if not prompts:
        raise AtlasError(
            f"{atlas.path}: keeps no patterns to show. Build it with --n-view-prompts 12"
        )
    target = Path(out)
    if target.exists():
        raise InputError(f"{target}: exists already. Choose another --out, or remove it")
    record = atlas.manifest.models[model]
    with report(f"patterns of {model}", len(prompts)) as advance:
        heads = _Heads(record.layers, record.n_heads)
        tokens = dict(atlas.tokens(model).select("prompt_id", "tokens").iter_rows())
        for number, prompt_id in enumerate(prompts):
            heads.take(number, tokens[prompt_id], atlas.triangles(model, prompt_id))
            advance(1)
    with replaced_folder(target) as folder:
        _write(folder, heads, _scores(atlas, model, heads), model)
    return target


class _Heads:
    """What is collected for each head, prompt after prompt."""

    def __init__(self, layers: Sequence[int], n_heads: int) -> None:
        self.n_heads = n_heads
        self.pairs = [(layer, head) for layer in layers for head in range(n_heads)]
        self.sequences: list[list[dict[str, Any]]] = [[] for _ in self.pairs]
        self.scores = np.zeros((len(self.pairs), len(_PATTERN_SCORES)))
        self.n_prompts = 0

    def take(self, number: int, tokens: Sequence[str], packed: np.ndarray[Any, Any]) -> None:
        """Add the patterns of all heads on a prompt."""
        self.n_prompts += 1
        for row, of_layer in enumerate(packed):
            for head, pattern in enumerate(unpack_triangle(of_layer)):
                at = row * self.n_heads + head
                self.sequences[at].append(_sequence(number, tokens, pattern))
                self.scores[at] += _pattern_scores(pattern)


def _sequence(number: int, tokens: Sequence[str], pattern: Float32[np.ndarray, "n n"]) -> Any:
    n = len(pattern)
    strongest = np.argsort(-pattern, axis=1, kind="stable")[:, :PER_ROW]
    places = np.sort((np.arange(n)[:, None] * n + strongest).ravel())
    weights = pattern.ravel()[places].astype(np.float64)
    kept = weights >= LEAST
    inner = np.tril(pattern, -1)[1:, 1:]  # HeadVis leaves out position 0 and the diagonal
    return {
        "sequence_id": number,
        "interval": 1,
        "tokens": list(tokens),
        "attention_indices": places[kept].astype(np.int32),
        "attention_values": np.round(weights[kept], _DECIMALS),
        "seq_len": n,
        "max_activation": round(float(inner.max(initial=0.0)), _DECIMALS),
    }


def _pattern_scores(pattern: Float32[np.ndarray, "n n"]) -> Float32[np.ndarray, " scores"]:
    weights = pattern.astype(np.float64)
    n = len(weights)
    back = np.subtract.outer(np.arange(n), np.arange(n))
    logs = np.log(weights, out=np.zeros_like(weights), where=weights > 0)
    return np.array(
        [
            np.diagonal(weights).mean(),
            np.diagonal(weights, -1).mean() if n > 1 else 0.0,
            -(weights * logs).sum(axis=1).mean(),
            (weights * back).sum() / max(weights.sum(), 1e-12),
        ]
    )


def _scores(atlas: Atlas, model: str, heads: _Heads) -> dict[str, tuple[str, list[float]]]:
    """Return the meaning of each score, and its value per head."""
    table = atlas.heads.filter(atlas.heads["model"] == model)
    means = heads.scores / heads.n_prompts
    scores = {
        name: (meaning, means[:, i].tolist())
        for i, (name, meaning) in enumerate(_PATTERN_SCORES.items())
    }
    for name, meaning in MOTIFS.items():
        if name + SHARE in table.columns:
            scores[name + SHARE] = (meaning, table[name + SHARE].to_list())
    for behaviour in BEHAVIOURS:
        if behaviour in table.columns:
            scores[behaviour] = (BEHAVIOURS[behaviour], table[behaviour].to_list())
    return scores


def _write(
    folder: Path, heads: _Heads, scores: dict[str, tuple[str, list[float]]], model: str
) -> None:
    pairs = heads.pairs
    (folder / HEADS).mkdir()
    (folder / "attributions").mkdir()
    for (layer, head), sequences in zip(pairs, heads.sequences, strict=True):
        _number_intervals(sequences)
        name = FILE.format(layer=layer, head=head)
        _json(folder / HEADS / name, {"sequences": sequences, **_summary(sequences)})
    rows = [
        {"layer": layer, "head": head}
        | {
            name: round(values[i], _DECIMALS)
            for name, (_, values) in scores.items()
            if values[i] is not None and np.isfinite(values[i])
        }
        for i, (layer, head) in enumerate(pairs)
    ]
    _json(folder / SCORES, rows)
    config = {
        "model_name": model,
        "heads": pairs,
        "n_layers": 1 + pairs[-1][0],
        "n_heads": heads.n_heads,
        "n_intervals": _INTERVALS,
        "metrics": list(scores),
        "metric_descriptions": {name: meaning for name, (meaning, _) in scores.items()},
        "head_data_pattern": FILE,
        "has_umap": False,
        "umap_heads": [],
        "custom_plots": [{"key": "qk_distance_histogram", "label": "Distance in tokens"}],
        "custom_tables": [
            {"key": "top_query_tokens", "label": "Top query tokens"},
            {"key": "top_key_tokens", "label": "Top key tokens"},
        ],
        "statistics_display": {},
    }
    _json(folder / CONFIG, config)
    for name in ("server_config.json", "attributions/manifest.json"):  # without a server
        _json(folder / name, {})


def _number_intervals(sequences: list[dict[str, Any]]) -> None:
    """Number the tenths of the sequences by their largest weight; 10 has the largest."""
    order = sorted(range(len(sequences)), key=lambda i: sequences[i]["max_activation"])
    for rank, i in enumerate(order):
        sequences[i]["interval"] = _INTERVALS - (len(order) - 1 - rank) * _INTERVALS // len(order)


def _summary(sequences: Sequence[dict[str, Any]]) -> dict[str, Any]:
    queries: dict[str, float] = defaultdict(float)
    keys: dict[str, float] = defaultdict(float)
    distances: list[int] = []
    for sequence in sequences:
        n, weights = sequence["seq_len"], sequence["attention_values"]
        query, key = np.divmod(sequence["attention_indices"], n)
        distances += (query - key).tolist()
        for of_tokens, places in ((queries, query), (keys, key)):
            sums = np.bincount(places, weights, n)
            for token, weight in zip(sequence["tokens"], sums.tolist(), strict=True):
                of_tokens[token] += weight
    edges = [0, *(1 << np.arange(int(max(distances, default=1) + 1).bit_length() + 1)).tolist()]
    return {
        "qk_distance_histogram": {
            "bin_edges": edges,
            "bin_values": np.histogram(distances, edges)[0].tolist(),
        },
        "top_query_tokens": _top(queries),
        "top_key_tokens": _top(keys),
        "histogram": {},
        "statistics": {},
    }


def _top(weights: dict[str, float]) -> list[dict[str, Any]]:
    total = sum(weights.values()) or 1.0
    largest = sorted(weights, key=lambda token: -weights[token])[:_TOP_TOKENS]
    return [
        {"token": token, "weight": round(weights[token] / total, _DECIMALS)} for token in largest
    ]


def _json(path: Path, value: Any) -> None:
    text = json.dumps(value, default=np.ndarray.tolist)
    path.write_text(text, encoding="utf-8")
