"""Labels of heads for the evaluation: behaviour scores on input that no metric has seen.

There are three kinds of input: random tokens in blocks of other lengths than those of the probes
and of the scores in the heads table, built-in texts that are not among the prompts of the atlas,
each said twice, and such texts by themselves. Every head has one score per sequence and behaviour,
so that an evaluation can resample the sequences.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.behaviour.scores import LOCAL_WINDOW, score_patterns
from attention_motifs.behaviour.sequences import common_tokens, repeated_sequences
from attention_motifs.errors import InputError
from attention_motifs.evaluation.label_scores import PLAIN_TEXT, RANDOM_TOKENS, REPEATED_TEXT
from attention_motifs.features.arguments import whole_number
from attention_motifs.literature.behaviours import OF_PATTERNS
from attention_motifs.progress import Advance
from attention_motifs.prompts import Prompt, load_prompts

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from attention_motifs.models.model import LoadedModel

BLOCK_LENGTHS = (23, 27, 35, 43)
"""Lengths of the blocks of random tokens; those of probes and of `scores.DESIGNS` are others."""

N_SEQUENCES = 16
"""Sequences per kind."""

N_TOKENS = 128
"""Tokens per sequence, or fewer in a model with a shorter context or from a shorter text."""

N_PROMPTS = 32
"""Prompts of the atlas on which the perfect detector scores heads."""

BEHAVIOURS = tuple(OF_PATTERNS)[:6]
"""Behaviours of the labels. The literal wording of prefix matching is left out: its score is that
of the tokens before earlier occurrences, which no head is known for."""

_LEAST_TEXTS = 4
"""Fewer unseen texts would be too small a sample."""
_BATCH = 4


@dataclass(frozen=True)
class LabelTexts:
    """Texts that the atlas does not hold, for the two kinds of labels from text."""

    repeated: tuple[Prompt, ...]
    plain: tuple[Prompt, ...]


def unseen_texts(
    seen: Collection[str], texts: Sequence[Prompt] | None = None, seed: int = 0
) -> LabelTexts:
    """Choose texts that are not among the prompts of an atlas, from as many sources as possible.

    Args:
        seen: ids of the prompts of the atlas.
        texts: texts to choose from (default: the built-in ones).
        seed: seed for the choice, 0 or more.

    Returns:
        Up to 16 texts of either kind, without a text in both; none where fewer than four are left.

    Raises:
        InputError: if the seed or the texts are of another kind.
    """
    rng = np.random.default_rng(whole_number(seed, "seed"))
    offered = load_prompts() if texts is None else texts
    if not isinstance(offered, Sequence) or not all(isinstance(p, Prompt) for p in offered):
        raise InputError(f"texts={texts!r:.80}: expected a list of prompts. Use load_prompts(FILE)")
    unseen = [prompt for prompt in offered if prompt.prompt_id not in seen]
    order = [unseen[i] for i in rng.permutation(len(unseen))]
    nth: dict[str, int] = {}
    rounds = []
    for prompt in order:  # the first text of every source, then the second of every source...
        rounds.append(nth.setdefault(prompt.source, 0))
        nth[prompt.source] += 1
    chosen = [order[i] for i in np.argsort(rounds, kind="stable")][: 2 * N_SEQUENCES]
    half = len(chosen) // 2
    if half < _LEAST_TEXTS:
        return LabelTexts((), ())
    return LabelTexts(tuple(chosen[:half]), tuple(chosen[half:]))


def label_sequences(
    loaded: LoadedModel, kind: str, *, prefix: Sequence[int], texts: LabelTexts, seed: int = 0
) -> list[Int[np.ndarray, " n"]]:
    """Return the token ids of the sequences of one kind of labels.

    Args:
        loaded: the model.
        kind: one of `evaluation.LABEL_KINDS`.
        prefix: token ids put before each sequence, as before prompts: BOS, or none.
        texts: texts for the kinds that need them.
        seed: seed for the draw of random tokens, 0 or more.

    Raises:
        InputError: if the context of the model is too short.
    """
    n = _length(loaded)
    start = list(prefix)
    if kind == RANDOM_TOKENS:
        rng = np.random.default_rng([whole_number(seed, "seed"), len(RANDOM_TOKENS)])
        vocabulary = common_tokens(loaded)
        lengths = [k for k in BLOCK_LENGTHS if 2 * k + len(start) <= n]
        if not lengths:
            raise InputError(
                f"{loaded.info.name}: heads cannot be labelled on random tokens: its context of "
                f"{n} tokens is shorter than two blocks of {BLOCK_LENGTHS[0]}."
            )
        rows = []
        for i in range(N_SEQUENCES):
            k = lengths[i % len(lengths)]
            repeats = -(-n // k)
            rows.append(repeated_sequences(vocabulary, k, repeats, 1, rng, start)[0][:n])
        return rows
    if kind not in (REPEATED_TEXT, PLAIN_TEXT):
        raise InputError(f"label kind {kind!r} is not known.")
    twice = kind == REPEATED_TEXT
    room = n - len(start)
    sequences = []
    for prompt in texts.repeated if twice else texts.plain:
        ids = loaded.tokenizer(prompt.text, add_special_tokens=False)["input_ids"]
        ids = ids[: room // 2] * 2 if twice else ids[:room]
        sequences.append(np.array(start + ids, dtype=np.int64))
    return [row for row in sequences if can_be_scored(row)]


def label_scores(
    loaded: LoadedModel, sequences: Sequence[Int[np.ndarray, " n"]], advance: Advance
) -> Float[np.ndarray, "sequences heads behaviours"]:
    """Score every head on every sequence, in the order of `BEHAVIOURS`, as float32.

    Args:
        loaded: the model.
        sequences: token ids; each needs a repeated token and more than 8 tokens.
        advance: called with the number of sequences that are finished.
    """
    import torch

    from attention_motifs.extraction import run_tapped

    info = loaded.info
    n_scores = len(BEHAVIOURS)
    scores = np.full((len(sequences), info.n_layers, info.n_heads, n_scores), np.nan, np.float32)
    lengths = np.array([len(row) for row in sequences])
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(order):
        same = order[start:][lengths[order[start:]] == lengths[order[start]]]
        batch = same[:_BATCH]

        def sink(layer: int, patterns: Any, batch: Any = batch) -> None:
            for i, position in enumerate(batch):
                pattern = patterns[i].detach().float().cpu().numpy()
                scores[position, layer] = score_patterns(pattern, sequences[position])[:, :n_scores]

        run_tapped(loaded, torch.from_numpy(np.stack([sequences[i] for i in batch])), sink)
        start += len(batch)
        advance(len(batch))
    layers = list(loaded.layers)
    return scores[:, layers].reshape(len(sequences), len(layers) * info.n_heads, n_scores)


def detector_sequences(
    token_ids: Sequence[Sequence[int]],
) -> list[Int[np.ndarray, " n"]]:
    """Return up to 32 prompts of an atlas, evenly spread, that have a repeated token."""
    usable = [row for ids in token_ids if can_be_scored(row := np.array(ids, dtype=np.int64))]
    chosen = np.unique(np.linspace(0, len(usable) - 1, min(N_PROMPTS, len(usable))).astype(int))
    return [usable[i] for i in chosen]


def key_groups(loaded: LoadedModel) -> int:
    """Return the number of key groups per layer; the number of heads without grouped keys."""
    n_groups = getattr(loaded.model.config, "num_key_value_heads", None)
    n_heads = loaded.info.n_heads
    if isinstance(n_groups, int) and 0 < n_groups <= n_heads and n_heads % n_groups == 0:
        return n_groups
    return n_heads


def _length(loaded: LoadedModel) -> int:
    context = getattr(loaded.model.config, "max_position_embeddings", None)
    return min(N_TOKENS, context) if isinstance(context, int) else N_TOKENS


def can_be_scored(tokens: Int[np.ndarray, " n"]) -> bool:
    """Return whether a sequence is longer than the local window and repeats a token."""
    return len(tokens) > LOCAL_WINDOW + 1 and len(np.unique(tokens[1:])) < len(tokens) - 1
