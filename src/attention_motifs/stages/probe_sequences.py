"""Probes of an atlas: their table, and their sequences of tokens for one model.

The table lists the probes before they become tokens. It is the same for all models, so that the
probes of a model that is added later match those of the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.stimuli import PROBES
from attention_motifs.errors import InputError
from attention_motifs.models.tokenizing import (
    TokenizedPrompt,
    n_embedded_tokens,
    prefix_tokens,
    shown_token,
    tokenize,
)
from attention_motifs.prompts import Prompt, read_prompts_file
from attention_motifs.store import files
from attention_motifs.store.manifest import NO_PROBES
from attention_motifs.store.settings import Configuration

if TYPE_CHECKING:
    import polars as pl

    from attention_motifs.models.model import LoadedModel

PROBE_SETTINGS = ("n_probes", "probe_tokens", "probe_file", "probe_seed")
"""Settings of probes, which can change after the atlas was made."""

RANDOM = "probes/random tokens"
"""Source of the probes that are drawn."""

MOST_REPEATS = 16


@dataclass(frozen=True)
class ProbeSequences:
    """Sequences of one model, in the order of the table of probes."""

    sequences: list[TokenizedPrompt]
    repeat_lengths: list[int]
    """Number of tokens after which each repeats; 0 for a user's probe that does not repeat."""


def probes_table(configuration: Configuration) -> pl.DataFrame:
    """Return the table of the probes that a configuration asks for.

    Raises:
        InputError: if the file of own probes is missing or malformed.
    """
    import polars as pl

    from attention_motifs.behaviour.sequences import REPEAT_LENGTHS

    n_random = configuration.n_probes
    of_user = [] if configuration.probe_file is None else _own_probes(configuration.probe_file)
    return pl.DataFrame(
        {
            "prompt_id": [f"probe-{i + 1:02d}" for i in range(n_random)]
            + [f"own-{i + 1:02d}" for i in range(len(of_user))],
            "source": [RANDOM] * n_random + [f"probes/{p.source}" for p, _ in of_user],
            "text": [""] * n_random + [p.text for p, _ in of_user],
            "repeats": pl.Series(
                [0] * n_random + [repeats for _, repeats in of_user], dtype=pl.Int32
            ),
            "repeat_length": pl.Series(
                [REPEAT_LENGTHS[i % len(REPEAT_LENGTHS)] for i in range(n_random)]
                + [0] * len(of_user),
                dtype=pl.Int32,
            ),
        }
    )


def _own_probes(path: str) -> list[tuple[Prompt, int]]:
    """Read the probes of a user, each with the number of times that its text is repeated."""
    probes = []
    for prompt in read_prompts_file(path):
        repeats = prompt.meta.get("repeats", 1)
        if (
            isinstance(repeats, bool)
            or not isinstance(repeats, int)
            or not 1 <= repeats <= MOST_REPEATS
        ):
            raise InputError(
                f"{prompt.place}: 'repeats' is {repeats!r:.80}. Give a whole number from 1 to "
                f"{MOST_REPEATS}: how often the text is in the probe"
            )
        probes.append((prompt, repeats))
    return probes


def table_digest(table: pl.DataFrame) -> str:
    """Return the digest of a table of probes."""
    return files.digest(table.to_dict(as_series=False)) if len(table) else NO_PROBES["sha256"]


def set_probes(atlas: Atlas, configuration: Configuration) -> bool:
    """Write the table of probes, and record their settings; nothing if they are recorded.

    Parts of other probes are deleted. A recorded file of own probes that was deleted since is not
    needed: the table has its texts.

    Args:
        atlas: the caller holds its lock.
        configuration: its settings of probes are taken.

    Returns:
        Whether the probes changed.

    Raises:
        InputError: as `probes_table`.
    """
    manifest = atlas.manifest
    changed = with_probes_of(manifest.configuration, configuration)
    same = changed == manifest.configuration
    path = changed.probe_file
    if same and path is not None and manifest.probes["n"] and not Path(path).is_file():
        return False
    table = probes_table(changed)
    probes = {"n": len(table), "sha256": table_digest(table)}
    if same and manifest.probes == probes:
        return False
    if len(table):
        files.write_parquet(atlas.file("probes"), table)
    of_probes = f"{PROBES.stage}:"
    atlas.update(
        configuration=changed,
        probes=probes,
        stages={k: v for k, v in manifest.stages.items() if not k.startswith(of_probes)},
    )
    for artefact in (PROBES.features, PROBES.patterns, PROBES.tokens):
        for file in atlas.paths.existing(artefact):
            files.remove(file)
    if not len(table):
        files.remove(atlas.file("probes"))
    return True


def with_probes_of(recorded: Configuration, configuration: Configuration) -> Configuration:
    """Return a configuration with the settings of probes of another."""
    return replace(recorded, **{name: getattr(configuration, name) for name in PROBE_SETTINGS})


def probe_sequences(atlas: Atlas, loaded: LoadedModel) -> ProbeSequences:
    """Return the token sequences of the atlas's probes for a model.

    They have the length of the setting `probe_tokens`, or the context of the model if it is
    shorter. Random tokens are drawn from the tokens of the built-in prompts.

    Args:
        atlas: read, not written.
        loaded: the model with its tokenizer.

    Raises:
        InputError: if a probe of the user gives fewer than 2 tokens, or the tokenizer has too few
            common tokens.
    """
    from attention_motifs.behaviour.sequences import common_tokens, probe_sequence

    configuration = atlas.manifest.configuration
    prefix = prefix_tokens(loaded, configuration.bos)
    n_tokens = length_in(loaded, configuration.probe_tokens)
    vocabulary = common_tokens(loaded)
    n_embedded = n_embedded_tokens(loaded)
    if n_embedded is not None:
        vocabulary = vocabulary[vocabulary < n_embedded]
    shown: dict[int, str] = {}

    def tokenized(prompt_id: str, ids: list[int]) -> TokenizedPrompt:
        for token in ids:
            if token not in shown:
                shown[token] = shown_token(loaded.tokenizer, token)
        return TokenizedPrompt(prompt_id, tuple(ids), tuple(shown[token] for token in ids))

    sequences, lengths = [], []
    for number, row in enumerate(atlas.probes.iter_rows(named=True)):
        if row["repeats"] == 0:
            drawn, length = probe_sequence(
                vocabulary,
                number,
                n_tokens=n_tokens,
                prefix=prefix,
                seed=configuration.probe_seed,
            )
            sequences.append(tokenized(row["prompt_id"], drawn.tolist()))
        else:
            sequence, length = _own_sequence(loaded, row, prefix, n_tokens)
            sequences.append(sequence)
        lengths.append(length)
    return ProbeSequences(sequences, lengths)


def length_in(loaded: LoadedModel, n_tokens: int) -> int:
    """Return a length in tokens, or the context of the model if it is shorter."""
    context = getattr(loaded.model.config, "max_position_embeddings", None)
    return min(n_tokens, context) if isinstance(context, int) else n_tokens


def _own_sequence(
    loaded: LoadedModel, row: Mapping[str, Any], prefix: tuple[int, ...], n_tokens: int
) -> tuple[TokenizedPrompt, int]:
    """Return a probe of the user: its text is cut so that all of its repetitions fit."""
    repeats = row["repeats"]
    room = max(2, (n_tokens - len(prefix)) // repeats)
    (text,) = tokenize(loaded, [(row["prompt_id"], row["text"])], max_tokens=room, bos="never")
    before = [shown_token(loaded.tokenizer, token) for token in prefix]
    sequence = TokenizedPrompt(
        row["prompt_id"],
        (*prefix, *text.token_ids * repeats)[:n_tokens],
        (*before, *text.tokens * repeats)[:n_tokens],
    )
    return sequence, len(text.token_ids) if repeats > 1 else 0
